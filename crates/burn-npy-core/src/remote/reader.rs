//! Reads a remote file: what is needed soon, many ranges at a time.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{ReadAt, RemoteOptions};
use crate::Result;

/// A remote file that is read as if it were near.
#[derive(Debug)]
pub(crate) struct Reader {
    source: Arc<dyn ReadAt>,
    len: u64,
    name: PathBuf,
}

impl Reader {
    pub(crate) fn new(source: Arc<dyn ReadAt>, _options: &RemoteOptions) -> Result<Self> {
        Ok(Self {
            len: source.len(),
            name: PathBuf::from(source.name()),
            source,
        })
    }

    /// What messages call the file.
    pub(crate) fn name(&self) -> &Path {
        &self.name
    }

    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Fills `out` with bytes that exist, and waits for them if they are not here.
    pub(crate) fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        let read = self.source.read_at(offset, out);
        read.map_err(|error| error.in_file(&self.name))
    }

    /// Begins to fetch ranges that will be read soon, in the order in which they are given. Returns
    /// at once. Only a hint: ranges may overlap, be known already, or reach beyond the end.
    pub(crate) fn will_need(&self, _ranges: &[Range<u64>]) {}

    /// A local file that has all the bytes, once there is one. It costs no system call.
    pub(crate) fn whole(&self) -> Option<PathBuf> {
        None
    }
}
