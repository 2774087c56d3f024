//! Files that are not on this machine: on a web server, in an object store, or wherever a
//! [`ReadAt`] finds them.
//!
//! [`Array::open`](crate::Array::open) and all that is opened by a path also takes a URL. With the
//! feature `http`, `https://`, `http://` and `hf://` are opened, see `Http`. [`RemoteOptions`] says
//! how bytes are read, and an [`OpenUrl`] which other URLs there are.
//! [`Array::from_reader`](crate::Array::from_reader) takes a [`ReadAt`] of your own.
//!
//! Rows are requested before they are needed: a loader knows those of the coming batches, and a
//! gather all of its own. Up to [`in_flight`](RemoteOptions::in_flight) requests run at the same
//! time, on threads that end when there is nothing left to request. Ranges that are near share a
//! request, and long ones are split. What a reader waits for goes first. What has arrived, up to
//! [`memory_bytes`](RemoteOptions::memory_bytes), stays in memory until it is read. Reads that
//! follow one another, as of a whole file, are noticed and continued. A request that fails is an
//! error for the readers that wait for it, and made again when its bytes are read later.
//!
//! With a folder for a [`cache`](RemoteOptions::cache), each byte is fetched once, in this run and
//! later ones. Requests are then whole chunks of 128 KiB. A file of which all chunks are there is
//! mapped, and read as fast as any other on this machine.

mod cache;
mod conformance;
#[cfg(feature = "http")]
mod http;
mod plan;
mod pool;
mod reader;
pub(crate) mod url;
pub(crate) mod wanted;

use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::Arc;

use crate::{Error, ErrorKind, Result};
use cache::CacheFile;
use pool::{Pool, Sizes};

pub use conformance::check_read_at;
#[cfg(feature = "http")]
pub use http::Http;
pub(crate) use reader::Reader;
pub(crate) use url::as_url;

/// Bytes that are read by position, such as those of an object in a store. They do not change.
///
/// A read may be slow. The rows that will be needed are known early, so many reads run at the same
/// time, on threads that exist only while there is something to read.
///
/// # Example
///
/// ```
/// # extern crate burn_npy_core as burn_npy;
/// use std::sync::Arc;
///
/// use burn_npy::{Array, Error, ErrorKind, Result, file::OpenOptions, remote::ReadAt};
///
/// /// The values of a database, or any other place.
/// #[derive(Debug)]
/// struct Blob(Vec<u8>);
///
/// impl ReadAt for Blob {
///     fn name(&self) -> &str {
///         "blob 7"
///     }
///
///     fn len(&self) -> u64 {
///         self.0.len() as u64
///     }
///
///     fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<()> {
///         let bytes = self.0.get(offset as usize..).and_then(|bytes| bytes.get(..out.len()));
///         let short = || Error::new(ErrorKind::TruncatedData, "a read beyond the end");
///         out.copy_from_slice(bytes.ok_or_else(short)?);
///         Ok(())
///     }
/// }
///
/// # fn main() -> Result<()> {
/// # let dir = tempfile::tempdir().unwrap();
/// # let path = dir.path().join("labels.npy");
/// # burn_npy::file::write_npy(&path, &ndarray::array![3_u8, 1, 2])?;
/// # let bytes = std::fs::read(path).unwrap();
/// let array = Array::from_reader(Arc::new(Blob(bytes)), OpenOptions::new())?;
/// assert_eq!(array.read::<u8>()?.as_slice(), Some(&[3, 1, 2][..]));
/// # Ok(())
/// # }
/// ```
#[allow(clippy::len_without_is_empty, reason = "an empty file is no array")]
pub trait ReadAt: Debug + Send + Sync {
    /// What messages call it, such as its URL. It must not have secrets in it.
    fn name(&self) -> &str;

    /// The number of bytes.
    fn len(&self) -> u64;

    /// What identifies the bytes, such as an `ETag`: other bytes at the same name have another
    /// version. Without one, nothing is kept for the next run.
    fn version(&self) -> Option<&str> {
        None
    }

    /// Fills `out` with the bytes at `offset`. Several threads call it at the same time.
    ///
    /// It repeats what may succeed if it is repeated, but not forever: an error is final.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Changed`] if the bytes are no longer those of [`version`](Self::version),
    /// [`ErrorKind::TruncatedData`] beyond the end, and what the place says.
    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<()>;
}

/// What opens URLs, such as an object store: [`RemoteOptions::opener`] takes one.
pub trait OpenUrl: Debug + Send + Sync {
    /// Opens what is at a URL. One call is enough to know its length and its version.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`] for a URL that it does not know, and what the place says.
    fn open_url(&self, url: &str) -> Result<Arc<dyn ReadAt>>;
}

/// How files at URLs are read, for
/// [`OpenOptions::remote`](crate::file::OpenOptions::remote()).
#[derive(Clone, Debug, Default)]
pub struct RemoteOptions {
    opener: Option<Arc<dyn OpenUrl>>,
    /// `None` for the one that all options share that set no limits.
    pool: Option<Arc<Pool>>,
    cache: Option<(PathBuf, u64)>,
}

impl RemoteOptions {
    /// The default options.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets what opens URLs: all of them, also those that are opened without it.
    ///
    /// Without one, and with the feature `http`, the default `Http` opens URLs of `https`, `http`
    /// and `hf`, and nothing opens others.
    pub fn opener(mut self, opener: impl OpenUrl + 'static) -> Self {
        self.opener = Some(Arc::new(opener));
        self
    }

    /// Sets how many requests may run at the same time, at least 1. The default is 64.
    ///
    /// It is a limit over all files that are opened with these options and their clones. Options
    /// without limits of their own have one limit together. More requests are of use where each
    /// takes long, and fewer where a server refuses so many.
    pub fn in_flight(self, requests: usize) -> Self {
        self.sized(|sizes| sizes.in_flight = requests.max(1))
    }

    /// Sets how many bytes may be in memory, or on their way, that nobody reads yet. The default is
    /// 256 MiB.
    ///
    /// As [`in_flight`](Self::in_flight), it is a limit over all files. What is beyond it is
    /// requested later. What somebody waits for does not count, so a row may be larger.
    pub fn memory_bytes(self, bytes: u64) -> Self {
        self.sized(|sizes| sizes.memory_bytes = bytes)
    }

    /// A pool of its own, for files that are opened from now on.
    fn sized(mut self, change: impl FnOnce(&mut Sizes)) -> Self {
        let mut sizes = self.pool.map_or(Sizes::DEFAULT, |pool| pool.sizes);
        change(&mut sizes);
        self.pool = Some(Pool::new(sizes));
        self
    }

    fn pool(&self) -> Arc<Pool> {
        self.pool.clone().unwrap_or_else(Pool::shared)
    }

    /// Keeps what is fetched in a folder of this machine, so that it is fetched once. The default
    /// is to keep nothing.
    ///
    /// The folder is created if it is missing. Its files take up to about `max_bytes` of the disk
    /// together; those that were opened the longest time ago are deleted for others, unless they
    /// are in use. Of a file for which there is no room, a part is kept. A file of which all is
    /// there is mapped, as if it had been opened by its path, unless [`Access::Positioned`] is set;
    /// [`Access::Memory`] reads from the folder too.
    ///
    /// Processes may share a folder, and may be killed at any moment. Each chunk has a checksum.
    /// Whoever can write to the folder can change what is read, so share it with those whom you
    /// trust. It must be on a local disk, of a file system with holes and locks, as those of Linux
    /// and macOS are. It can be deleted at any time.
    ///
    /// Files without a [version](ReadAt::version) are not kept. Files that are open and kept take
    /// up to a quarter of the descriptors that the process may have, two each. Each read of a
    /// further one opens it anew, which takes longer, and another process may delete it: for many
    /// files, raise the limit (`ulimit -n`).
    ///
    /// # Example
    ///
    /// ```
    /// # extern crate burn_npy_core as burn_npy;
    /// use burn_npy::{file::OpenOptions, remote::RemoteOptions};
    ///
    /// let remote = RemoteOptions::new().cache("/var/cache/training", 200 << 30);
    /// let options = OpenOptions::new().remote(remote);
    /// ```
    ///
    /// # Errors
    ///
    /// None here. To open a file gives [`ErrorKind::Io`] if nothing can be written in the folder.
    /// After that, what cannot be written is not kept, which is no error.
    ///
    /// [`Access::Memory`]: crate::file::Access::Memory
    /// [`Access::Positioned`]: crate::file::Access::Positioned
    pub fn cache(mut self, folder: impl Into<PathBuf>, max_bytes: u64) -> Self {
        self.cache = Some((folder.into(), max_bytes));
        self
    }

    /// Opens what is kept of a file.
    pub(crate) fn open_cache(&self, source: &dyn ReadAt) -> Result<Option<CacheFile>> {
        let Some((folder, max_bytes)) = &self.cache else {
            return Ok(None);
        };
        let (name, version) = (source.name(), source.version());
        CacheFile::open(folder, *max_bytes, name, version, source.len())
    }

    /// Opens a URL.
    pub(crate) fn open(&self, url: &str) -> Result<Arc<dyn ReadAt>> {
        if let Some(opener) = &self.opener {
            return opener.open_url(url);
        }
        #[cfg(feature = "http")]
        if is_web(url) {
            return http::open(url);
        }
        let advice = match is_web(url) {
            true => "turn on the feature `http` of burn-npy",
            false => "give RemoteOptions an opener, such as that of the crate burn-npy-cloud",
        };
        let scheme = url.split(':').next().unwrap_or(url);
        let message = format!("nothing opens URLs of {scheme}; {advice}");
        Err(Error::new(ErrorKind::Usage, message))
    }
}

/// Whether a URL is one that the feature `http` opens.
fn is_web(url: &str) -> bool {
    let schemes = ["https://", "http://", "hf://"];
    schemes.iter().any(|scheme| url.starts_with(scheme))
}

#[cfg(test)]
mod tests;
