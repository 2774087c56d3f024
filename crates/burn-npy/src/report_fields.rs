//! A report as fields, for `serde`. The documentation of [`Report`] lists them.

use serde::ser::{Serialize, SerializeStruct, Serializer};

use crate::Report;

impl Serialize for Report {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let durations = [
            ("wall", self.wall()),
            ("waited", self.waited()),
            ("upload", self.upload()),
            ("map", self.map()),
            ("consumer", self.consumer()),
            ("gather", self.gather()),
            ("storage", self.storage()),
            ("user", self.user()),
            ("idle", self.idle()),
        ];
        let counts = [
            ("batches", self.batches()),
            ("rows", self.rows()),
            ("uploaded_bytes", self.uploaded_bytes()),
            ("failures", self.failures()),
        ];
        let mut fields =
            serializer.serialize_struct("Report", durations.len() + counts.len() + 7)?;
        for (name, duration) in durations {
            fields.serialize_field(name, &duration.as_secs_f64())?;
        }
        for (name, count) in counts {
            fields.serialize_field(name, &count)?;
        }
        fields.serialize_field("workers", &self.workers())?;
        fields.serialize_field("prefetch", &self.prefetch())?;
        fields.serialize_field("is_ahead", &self.is_ahead())?;
        fields.serialize_field("scattered", self.scattered())?;
        fields.serialize_field("rows_per_second", &self.rows_per_second())?;
        fields.serialize_field("max_speedup", &self.max_speedup())?;
        fields.serialize_field("verdict", &self.verdict())?;
        fields.end()
    }
}
