//! What Burn's `Learner` shows of a loader.

use std::fmt;
use std::sync::Arc;

use burn::tensor::TensorReadError;
use burn::train::metric::{
    Metric, MetricAttributes, MetricMetadata, MetricName, Numeric, NumericAttributes, NumericEntry,
    SerializedEntry, format_float,
};

use crate::Loader;
use crate::loader::report::{Counters, Report};

/// A metric of Burn's `Learner` that tells how fast a [`Loader`] is: on the screen of the training,
/// in its logs and in its summary. It needs the feature `train`.
///
/// The value of an epoch is that of the [`Report`] over the epoch so far; the value of a batch is
/// that since the update before. Burn updates its metrics on a thread of its own, so an update may
/// be some batches late, and the next one has the value of more than one batch, or, if no batch was
/// yielded in between, the value before. Time counts only during passes over the loader: in a
/// metric of the training, validation does not count.
///
/// Register a metric for the split that the loader is for: `metric_train_numeric` with that of the
/// training, `metric_valid_numeric` with that of the validation. It counts the passes of the loader
/// and of its copies on other devices, as its report does. Where Burn trains on several devices, it
/// trains on slices, which count for themselves: the metric then says `N/A`.
///
/// # Example
///
/// ```
/// use burn::tensor::Tensor;
/// use burn::train::metric::{Metric, Numeric};
/// use burn_npy::{LoaderMetric, NpyDataset, ndarray::Array2};
///
/// # use burn::data::dataloader::Progress;
/// # use burn::train::metric::MetricMetadata;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let data = NpyDataset::from_tensor_slices(Array2::<f32>::zeros((1000, 8)))?;
/// let loader = data.loader::<Tensor<2>>().batch_size(10).try_build()?;
///
/// // SupervisedTraining::new("run", loader.clone(), valid)
/// //     .metric_train_numeric(LoaderMetric::rows_per_second(&loader))
/// //     .metric_train_numeric(LoaderMetric::waiting(&loader))
///
/// // What the Learner does with it:
/// let mut metric = LoaderMetric::rows_per_second(&loader);
/// # let progress = Progress::new(0, 1, None);
/// # let metadata = MetricMetadata { progress, iteration: None, lr: None };
/// for batch in loader.iter() {
///     let batch = batch?; // a training step
///     // "epoch 81632.65 rows/s - batch 79365.08 rows/s"
///     let entry = metric.update(&(), &metadata)?;
/// #   assert!(entry.formatted.ends_with(" rows/s"));
/// }
/// assert_eq!(metric.final_value().current(), loader.report().rows_per_second());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct LoaderMetric {
    kind: Kind,
    counters: Arc<Counters>,
    /// At the start of the epoch.
    start: Report,
    /// At the last update that had a batch.
    last: Report,
    /// The values of the batch and of the epoch; `None` before the first batch.
    values: Option<(f64, f64)>,
}

/// What is shown.
#[derive(Clone, Copy)]
struct Kind {
    name: &'static str,
    unit: &'static str,
    higher_is_better: bool,
    of: fn(&Report) -> f64,
}

impl LoaderMetric {
    /// How many rows were yielded in a second, padding included:
    /// [`Report::rows_per_second`]. Its name is "Loader Rows per Second".
    pub fn rows_per_second<O>(loader: &Loader<O>) -> Self {
        Self::new(
            loader,
            Kind {
                name: "Loader Rows per Second",
                unit: "rows/s",
                higher_is_better: true,
                of: Report::rows_per_second,
            },
        )
    }

    /// How many megabytes, of 10^6 bytes, went to the device in a second:
    /// [`Report::uploaded_bytes`]. It is 0 for batchers other than an
    /// [`NpyBatcher`](crate::NpyBatcher). Its name is "Loader MB per Second".
    pub fn megabytes_per_second<O>(loader: &Loader<O>) -> Self {
        Self::new(
            loader,
            Kind {
                name: "Loader MB per Second",
                unit: "MB/s",
                higher_is_better: true,
                of: |report| report.uploaded_bytes() as f64 / 1e6 / seconds(report),
            },
        )
    }

    /// The part of the time in which the training had no batch, in percent: it waited for one, or
    /// the loader made tensors or ran functions given to `map` on its thread. The rest is
    /// [`Report::consumer`]. Its name is "Loader Waiting".
    pub fn waiting<O>(loader: &Loader<O>) -> Self {
        Self::new(
            loader,
            Kind {
                name: "Loader Waiting",
                unit: "%",
                higher_is_better: false,
                of: |report| {
                    let ours = report.wall().saturating_sub(report.consumer());
                    100.0 * ours.as_secs_f64() / seconds(report)
                },
            },
        )
    }

    fn new<O>(loader: &Loader<O>, kind: Kind) -> Self {
        let counters = loader.workers.counters.clone();
        let start = Report {
            snapshot: counters.snapshot(),
            workers: 0,
            prefetch: 0,
            scattered: Arc::default(),
        };
        Self {
            kind,
            counters,
            last: start.clone(),
            start,
            values: None,
        }
    }

    fn now(&self) -> Report {
        Report {
            snapshot: self.counters.snapshot(),
            ..self.start.clone()
        }
    }

    /// The text of the current values, and what the log keeps.
    fn entry(&self, logged: impl FnOnce(f64, f64) -> NumericEntry) -> SerializedEntry {
        let unit = self.kind.unit;
        let Some((batch, epoch)) = self.values else {
            return SerializedEntry::not_available(Some(unit));
        };
        let [shown_epoch, shown_batch] = [epoch, batch].map(|value| format_float(value, 2));
        SerializedEntry::new(
            format!("epoch {shown_epoch} {unit} - batch {shown_batch} {unit}"),
            logged(batch, epoch).serialize(),
        )
    }
}

/// The time of a report; not 0, since it is divided by.
fn seconds(report: &Report) -> f64 {
    report.wall().as_secs_f64().max(1e-9)
}

impl Metric for LoaderMetric {
    type Input = ();

    fn name(&self) -> MetricName {
        Arc::new(self.kind.name.to_owned())
    }

    fn attributes(&self) -> MetricAttributes {
        NumericAttributes {
            unit: Some(self.kind.unit.to_owned()),
            higher_is_better: self.kind.higher_is_better,
        }
        .into()
    }

    fn update(&mut self, _: &(), _: &MetricMetadata) -> Result<SerializedEntry, TensorReadError> {
        let now = self.now();
        let batch = now.since(&self.last);
        if batch.batches() > 0 {
            let of = self.kind.of;
            self.values = Some((of(&batch), of(&now.since(&self.start))));
            self.last = now;
        }
        Ok(self.entry(|batch, _| NumericEntry::Value(batch)))
    }

    fn compute(&mut self) -> Result<SerializedEntry, TensorReadError> {
        Ok(self.entry(|_, epoch| NumericEntry::Final(epoch)))
    }

    fn clear(&mut self) {
        self.start = self.now();
        self.last = self.start.clone();
        self.values = None;
    }
}

impl Numeric for LoaderMetric {
    fn value(&self) -> Option<NumericEntry> {
        let (batch, _) = self.values?;
        Some(NumericEntry::Value(batch))
    }

    fn running_value(&self) -> Option<NumericEntry> {
        let (_, epoch) = self.values?;
        Some(NumericEntry::Value(epoch))
    }

    fn final_value(&self) -> NumericEntry {
        NumericEntry::Final(self.values.map_or(0.0, |(_, epoch)| epoch))
    }
}

impl fmt::Debug for LoaderMetric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, values) = (self.kind.name, self.values);
        write!(f, "LoaderMetric {{ name: {name:?}, values: {values:?} }}")
    }
}
