//! An object as bytes that are read by position.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use burn_npy_core::remote::ReadAt;
use burn_npy_core::{Error, ErrorKind, Result};
use bytes::Bytes;
use object_store::ObjectMeta;
use object_store::path::Path;

use crate::fetch::{GivenUp, Store};
use crate::location::Location;
use crate::runtime::Threads;

/// How much of an object comes with the answer that tells its length. The header of a `.npy` file
/// is in it.
const START_BYTES: u64 = 64 << 10;

/// An open object.
pub(crate) struct Object {
    url: String,
    path: Path,
    meta: Arc<ObjectMeta>,
    start: Vec<u8>,
    store: Arc<Store>,
    threads: Arc<Threads>,
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Object").field(&self.url).finish()
    }
}

impl Object {
    /// Opens an object with one request.
    pub(crate) fn open(
        url: &str,
        location: Location<'_>,
        store: Arc<Store>,
        threads: Arc<Threads>,
    ) -> Result<Self> {
        let path = path(location.key)?;
        let asked = (path.clone(), store.clone());
        let start = threads.run(async move { asked.1.start(&asked.0, START_BYTES).await })?;
        let start =
            start.map_err(|given_up| explain(given_up, &store, "it could not be opened"))?;
        Ok(Self {
            url: url.to_owned(),
            path,
            meta: Arc::new(start.meta),
            start: start.bytes.concat(),
            store,
            threads,
        })
    }

    fn fetch(&self, range: Range<u64>) -> Result<Vec<Bytes>> {
        let (store, path, meta) = (self.store.clone(), self.path.clone(), self.meta.clone());
        let asked = range.clone();
        let answer = self
            .threads
            .run(async move { store.range(&path, asked, &meta).await })?;
        answer.map_err(|given_up| {
            let what = format!("bytes {} to {} could not be read", range.start, range.end);
            explain(given_up, &self.store, &what).in_file(&self.url)
        })
    }
}

impl ReadAt for Object {
    fn name(&self) -> &str {
        &self.url
    }

    fn len(&self) -> u64 {
        self.meta.size
    }

    fn version(&self) -> Option<&str> {
        self.meta.e_tag.as_deref().filter(|tag| !tag.is_empty())
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        let end = offset.checked_add(out.len() as u64);
        let Some(end) = end.filter(|end| *end <= self.len()) else {
            let message = format!(
                "{} bytes at byte {offset} are beyond the end, which is at byte {}",
                out.len(),
                self.len()
            );
            return Err(Error::new(ErrorKind::TruncatedData, message).in_file(&self.url));
        };
        if out.is_empty() {
            return Ok(());
        }
        if end <= self.start.len() as u64 {
            out.copy_from_slice(&self.start[offset as usize..end as usize]);
            return Ok(());
        }
        let mut rest = out;
        for piece in self.fetch(offset..end)? {
            let (part, after) = rest.split_at_mut(piece.len());
            part.copy_from_slice(&piece);
            rest = after;
        }
        Ok(())
    }
}

/// The name of an object.
pub(crate) fn path(key: &str) -> Result<Path> {
    let path = Path::parse(key).map_err(|error| {
        Error::new(ErrorKind::Usage, "no object can have this name").with_source(error)
    })?;
    if path.is_root() {
        let message = "the URL names a bucket; add the name of an object, as in s3://BUCKET/KEY";
        return Err(Error::new(ErrorKind::Usage, message));
    }
    Ok(path)
}

/// The error of requests that failed.
pub(crate) fn explain(given_up: GivenUp, store: &Store, what: &str) -> Error {
    let what = match given_up.attempts {
        1 => what.to_owned(),
        attempts => format!("{what} in {attempts} attempts"),
    };
    given_up.failure.error(store.service, &store.bucket, &what)
}
