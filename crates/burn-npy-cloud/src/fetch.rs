//! Requests to a store, repeated while that may help.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{GetOptions, ObjectMeta, ObjectStore, ObjectStoreExt};

use crate::failure::{Failure, Reason};
use crate::location::Service;

/// How long the first request to a store is repeated. If it fails, an option is likely to be wrong.
const FIRST_PATIENCE: Duration = Duration::from_secs(3);
/// The wait before a request is repeated: twice as long each time, between these.
const WAIT: Range<Duration> = Duration::from_millis(100)..Duration::from_secs(5);

/// One bucket.
pub(crate) struct Store {
    objects: Arc<dyn ObjectStore>,
    pub(crate) service: Service,
    pub(crate) bucket: String,
    patience: Duration,
    /// Whether it has ever answered.
    answered: AtomicBool,
}

// That of the client could show keys.
impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({:?}, {:?})", self.service, self.bucket)
    }
}

/// The start of an object, and what is known of it.
pub(crate) struct Start {
    pub(crate) meta: ObjectMeta,
    pub(crate) bytes: Vec<Bytes>,
}

/// What one request brought.
enum Got {
    All(ObjectMeta),
    /// The connection broke after this many bytes.
    Some(u64, Failure),
}

/// A failure, and how many requests failed.
#[derive(Debug)]
pub(crate) struct GivenUp {
    pub(crate) failure: Failure,
    pub(crate) attempts: u32,
}

impl Store {
    pub(crate) fn new(
        objects: Arc<dyn ObjectStore>,
        service: Service,
        bucket: &str,
        patience: Duration,
    ) -> Self {
        Self {
            objects,
            service,
            bucket: bucket.to_owned(),
            patience,
            answered: AtomicBool::new(false),
        }
    }

    /// Fetches what there is of the first `len` bytes.
    pub(crate) async fn start(&self, path: &Path, len: u64) -> Result<Start, GivenUp> {
        let mut tries = Tries::new(self);
        loop {
            match self.start_once(path, len).await {
                Ok(start) => return Ok(start),
                Err(failure) => tries.wait_after(failure).await?,
            }
        }
    }

    async fn start_once(&self, path: &Path, len: u64) -> Result<Start, Failure> {
        let mut bytes = Vec::new();
        match self.get(path, 0..len, None, &mut bytes).await {
            Ok(Got::All(meta)) => Ok(Start { meta, bytes }),
            Ok(Got::Some(_, failure)) => Err(failure),
            Err(failure) if failure.reason == Reason::Range => {
                // No range is in an empty object.
                let meta = self.objects.head(path).await?;
                if meta.size > 0 {
                    return Err(failure);
                }
                Ok(Start { meta, bytes })
            }
            Err(failure) => Err(failure),
        }
    }

    /// Fetches a range that exists, of an object that is still this one.
    pub(crate) async fn range(
        &self,
        path: &Path,
        range: Range<u64>,
        of: &ObjectMeta,
    ) -> Result<Vec<Bytes>, GivenUp> {
        let mut bytes = Vec::new();
        let mut at = range.start;
        let mut tries = Tries::new(self);
        loop {
            let failure = match self.get(path, at..range.end, Some(of), &mut bytes).await {
                Ok(Got::All(_)) => return Ok(bytes),
                Ok(Got::Some(len, failure)) => {
                    at += len;
                    if len > 0 {
                        tries = Tries::new(self);
                    }
                    failure
                }
                Err(failure) => self.explained(path, of, failure).await,
            };
            tries.wait_after(failure).await?;
        }
    }

    /// All objects with a prefix, or, not `deep`, those without another `/` after it.
    pub(crate) async fn list(&self, prefix: &Path, deep: bool) -> Result<Vec<Path>, GivenUp> {
        let mut tries = Tries::new(self);
        loop {
            match self.list_once(prefix, deep).await {
                Ok(found) => return Ok(found.into_iter().map(|found| found.location).collect()),
                Err(failure) => tries.wait_after(failure).await?,
            }
        }
    }

    async fn list_once(&self, prefix: &Path, deep: bool) -> Result<Vec<ObjectMeta>, Failure> {
        let found = if deep {
            self.objects.list(Some(prefix)).try_collect().await?
        } else {
            self.objects
                .list_with_delimiter(Some(prefix))
                .await?
                .objects
        };
        self.answered.store(true, Ordering::Relaxed);
        Ok(found)
    }

    /// One request. What arrives is added to `bytes`.
    async fn get(
        &self,
        path: &Path,
        range: Range<u64>,
        of: Option<&ObjectMeta>,
        bytes: &mut Vec<Bytes>,
    ) -> Result<Got, Failure> {
        let mut options = GetOptions::new().with_range(Some(range.clone()));
        if let Some(of) = of {
            options = match &of.e_tag {
                // A weak tag never matches.
                Some(tag) if !tag.starts_with("W/") => options.with_if_match(Some(tag)),
                Some(_) => options,
                None => options.with_if_unmodified_since(Some(of.last_modified)),
            };
        }
        let answer = self.objects.get_opts(path, options).await?;
        self.answered.store(true, Ordering::Relaxed);
        let meta = answer.meta.clone();
        // Not each server knows conditions.
        if of.is_some_and(|of| !is_same(of, &meta)) {
            return Err(Failure::new(Reason::Changed, "another version was sent"));
        }
        let len = range.end.min(meta.size) - range.start;
        let mut left = len;
        let mut body = answer.into_stream();
        while let Some(piece) = body.next().await {
            let failure = match piece {
                Ok(piece) if piece.len() as u64 <= left => {
                    left -= piece.len() as u64;
                    bytes.push(piece);
                    continue;
                }
                Ok(_) => Failure::new(Reason::Cut, "more bytes were sent than asked for"),
                Err(error) => Failure::from(error),
            };
            return Ok(Got::Some(len - left, failure));
        }
        if left > 0 {
            let said = format!("{left} of {len} bytes are missing");
            return Ok(Got::Some(len - left, Failure::new(Reason::Cut, said)));
        }
        Ok(Got::All(meta))
    }

    /// A failure that is due to another object at this place, as one that has become too short.
    async fn explained(&self, path: &Path, of: &ObjectMeta, failure: Failure) -> Failure {
        let changed = match failure.reason {
            Reason::NoObject | Reason::NoBucket => true,
            Reason::Range | Reason::Other => {
                let now = self.objects.head(path).await;
                now.is_ok_and(|now| !is_same(of, &now))
            }
            _ => false,
        };
        if changed {
            Failure {
                reason: Reason::Changed,
                ..failure
            }
        } else {
            failure
        }
    }
}

/// Whether two answers are about the same bytes.
fn is_same(a: &ObjectMeta, b: &ObjectMeta) -> bool {
    let same_version = match (&a.e_tag, &b.e_tag) {
        (Some(a), Some(b)) => a == b,
        _ => a.last_modified == b.last_modified,
    };
    a.size == b.size && same_version
}

/// How often a request has failed, and for how long.
struct Tries {
    since: Option<Instant>,
    failed: u32,
    wait: Duration,
    patience: Duration,
}

impl Tries {
    fn new(store: &Store) -> Self {
        let first = !store.answered.load(Ordering::Relaxed);
        let patience = store.patience;
        Self {
            since: None,
            failed: 0,
            wait: WAIT.start,
            patience: if first {
                patience.min(FIRST_PATIENCE)
            } else {
                patience
            },
        }
    }

    /// Waits before the request is repeated, unless that does not help, or has been done for long
    /// enough.
    async fn wait_after(&mut self, failure: Failure) -> Result<(), GivenUp> {
        self.failed += 1;
        let since = *self.since.get_or_insert_with(Instant::now);
        if !failure.is_passing() || since.elapsed() + self.wait > self.patience {
            let attempts = self.failed;
            return Err(GivenUp { failure, attempts });
        }
        // Half of it is by chance, so that what failed together does not come back together.
        let chance = RandomState::new().hash_one(self.failed) as f64 / u64::MAX as f64;
        tokio::time::sleep(self.wait.mul_f64((1.0 + chance) / 2.0)).await;
        self.wait = WAIT.end.min(self.wait * 2);
        Ok(())
    }
}
