//! Reads a remote file as if it were near.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::slice;
use std::sync::Arc;

use super::plan::pieces;
use super::pool::{Chunks, File, Pool, Why};
use super::{ReadAt, RemoteOptions};
use crate::Result;

/// A remote file that is read as if it were near. When it is dropped, nothing more of the file is
/// requested.
#[derive(Debug)]
pub(crate) struct Reader {
    file: Arc<File>,
    name: PathBuf,
    pool: Arc<Pool>,
}

impl Reader {
    pub(crate) fn new(source: Arc<dyn ReadAt>, options: &RemoteOptions) -> Result<Self> {
        let cache = options.open_cache(&*source)?;
        let chunks = cache.map(|cache| Arc::new(cache) as Arc<dyn Chunks>);
        Ok(Self::with(source, options.pool(), chunks))
    }

    pub(super) fn with(
        source: Arc<dyn ReadAt>,
        pool: Arc<Pool>,
        chunks: Option<Arc<dyn Chunks>>,
    ) -> Self {
        let name = PathBuf::from(source.name());
        Self {
            file: pool.open(source, chunks),
            name,
            pool,
        }
    }

    /// What messages call the file.
    pub(crate) fn name(&self) -> &Path {
        &self.name
    }

    pub(crate) fn len(&self) -> u64 {
        self.file.len
    }

    /// Fills `out` with bytes that exist, and waits for them if they are not here.
    pub(crate) fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        let read = if self.file.chunks.is_some() {
            self.read_by_chunk(offset, out)
        } else {
            self.pool.read(&self.file, offset, out)
        };
        read.map_err(|error| error.in_file(&self.name))
    }

    /// As [`read_at`](Self::read_at), from the cache where it has the bytes.
    fn read_by_chunk(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        let Some(chunks) = &self.file.chunks else {
            return Ok(());
        };
        if chunks.read(offset, out) {
            return Ok(());
        }
        let size = self.file.chunk_bytes();
        self.need(slice::from_ref(&(offset..offset + out.len() as u64)));
        let (mut at, mut rest) = (offset, out);
        while !rest.is_empty() {
            let len = (size - at % size).min(rest.len() as u64);
            let (part, others) = rest.split_at_mut(len as usize);
            if !chunks.read(at, part) {
                self.pool.read(&self.file, at, part)?;
            }
            (at, rest) = (at + len, others);
        }
        Ok(())
    }

    /// Begins to fetch ranges that will be read soon, in the order in which they are given. Returns
    /// at once. Only a hint: ranges may overlap, be known already, or reach beyond the end.
    ///
    /// The answer is whether there was room for all of them. The others may be announced again.
    pub(crate) fn will_need(&self, ranges: &[Range<u64>]) -> bool {
        self.announce(ranges, Why::Planned)
    }

    /// As [`will_need`](Self::will_need), for ranges that are read at once, so that they go before
    /// others.
    pub(crate) fn need(&self, ranges: &[Range<u64>]) {
        self.announce(ranges, Why::Needed);
    }

    fn announce(&self, ranges: &[Range<u64>], why: Why) -> bool {
        let file = &self.file;
        let inside = |range: &Range<u64>| range.start..range.end.min(file.len);
        let ranges = ranges.iter().map(inside).filter(|range| !range.is_empty());
        let ranges: Vec<_> = match &file.chunks {
            None => ranges.collect(),
            Some(chunks) => {
                let size = file.chunk_bytes();
                let numbers = ranges.flat_map(|range| range.start / size..range.end.div_ceil(size));
                let missing = numbers.filter(|chunk| !chunks.has(*chunk));
                let bytes =
                    |chunk: u64| chunk * size..(chunk + 1).saturating_mul(size).min(file.len);
                missing.map(bytes).collect()
            }
        };
        let near = file.near(&self.pool.sizes);
        let pieces = pieces(&ranges, near, self.pool.most(file));
        self.pool.announce(file, &pieces, why)
    }

    /// How many rows ahead of the gather they are announced, and how many bytes: as many small rows
    /// as keep all requests busy even if a hundred share one, and at most half of the memory.
    pub(crate) fn ahead(&self) -> (usize, u64) {
        let sizes = &self.pool.sizes;
        (sizes.in_flight.saturating_mul(128), sizes.memory_bytes / 2)
    }

    /// Whether [`whole`](Self::whole) has a file. It costs no system call.
    pub(crate) fn is_whole(&self) -> bool {
        let chunks = self.file.chunks.as_ref();
        chunks.is_some_and(|chunks| chunks.is_whole())
    }

    /// The local file that has all bytes, and its path, once there is one.
    pub(crate) fn whole(&self) -> Option<(fs::File, PathBuf)> {
        self.file.chunks.as_ref()?.whole()
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.pool.close(&self.file);
    }
}
