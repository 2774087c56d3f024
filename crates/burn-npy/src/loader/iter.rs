//! One pass over a loader.

use std::sync::Arc;
use std::time::Instant;

use burn::data::dataloader::{DataLoaderIterator, Progress};
use burn::data::dataset::DatasetError;

use super::epoch::{Epoch, LoadedBatch};
use super::error::{Failure, LoadError, SharedSkippedRows, SkippedRow};
use super::report::Counters;
use super::rows::BatchInfo;
use super::state::{Cursor, Identity, SharedCursor, State, Ticket};
use super::workers::{Batches, WorkerConfig};

/// The batches of one epoch, or of the rest of one, in order.
///
/// A batch that fails is yielded as one error, which ends the pass. Dropping the iterator stops its
/// threads and waits for them.
pub struct LoaderIter<O> {
    epoch: Arc<Epoch<O>>,
    /// `None` after the last batch.
    batches: Option<Batches<O>>,
    /// Why no thread could start.
    failure: Option<Failure>,
    /// The next batch.
    next: u64,
    end: u64,
    /// The rows of the last batch.
    info: Option<BatchInfo>,
    track: Track,
    /// The end of the time that is counted.
    counted: Instant,
}

/// How far a pass has come, and who is told.
pub(super) struct Track {
    pub(super) cursor: Cursor,
    /// The cursor of the loader, if the pass moves it.
    pub(super) shared: Option<(Arc<SharedCursor>, Ticket)>,
    pub(super) identity: Arc<Identity>,
    /// The rows that all passes over the loader have skipped.
    pub(super) skipped: Arc<SharedSkippedRows>,
}

impl<O: Send + 'static> LoaderIter<O> {
    pub(super) fn new(epoch: Epoch<O>, config: &WorkerConfig, track: Track) -> Self {
        let range = epoch.plan.batches();
        let mut new = Self {
            epoch: Arc::new(epoch),
            batches: None,
            failure: None,
            next: range.start,
            end: range.end,
            info: None,
            track,
            counted: Instant::now(),
        };
        if range.start == range.end {
            // An epoch without batches is done before it starts.
            new.advance(Vec::new());
        }
        if !range.is_empty() {
            match Batches::start(new.epoch.clone(), config) {
                Ok(batches) => new.batches = Some(batches),
                Err(failure) => new.failure = Some(failure),
            }
        }
        new
    }

    /// The epoch of the pass.
    pub fn epoch(&self) -> u64 {
        self.epoch.number
    }

    /// Which rows the last batch has, and which of them are padding; `None` before the first batch.
    pub fn info(&self) -> Option<&BatchInfo> {
        self.info.as_ref()
    }

    /// How far the pass has come. Batches that were yielded count, batches loaded ahead do not.
    pub fn state(&self) -> State {
        self.track.identity.state(self.track.cursor.clone())
    }

    /// How many rows the pass has yielded, and how many it has. Rows that were skipped count as
    /// yielded; rows that are loaded ahead and padding do not count.
    pub fn progress(&self) -> Progress {
        Progress::new(
            self.epoch.plan.rows_before(self.next) as usize,
            self.epoch.plan.num_rows() as usize,
            Some("items".to_owned()),
        )
    }

    /// The next batch; `None` if all of its rows were skipped.
    fn load(&mut self) -> Result<Option<O>, Failure> {
        let Some(batches) = &mut self.batches else {
            let failure = self.failure.take();
            return Err(failure.unwrap_or_else(|| unreachable!("a batch is left")));
        };
        let LoadedBatch { data, info, failed } = batches.take()?;
        let limit = self.epoch.skip_limit.unwrap_or(0);
        let known = &self.track.cursor.skipped;
        let skipped = known.admit(failed, limit, self.epoch.number, self.next)?;
        let batch = data
            .map(|data| self.epoch.finish(data, &info))
            .transpose()?;
        self.next += 1;
        self.advance(skipped);
        if batch.is_some() {
            self.info = Some(info);
        }
        Ok(batch)
    }

    /// Counts the time up to now.
    fn count_time(&mut self) {
        let now = Instant::now();
        let counters = &self.epoch.counters;
        Counters::add(&counters.wall, now.duration_since(self.counted));
        self.counted = now;
    }

    fn count_batch(&self) {
        let counters = &self.epoch.counters;
        Counters::count(&counters.batches, 1);
        let rows = self.info.as_ref().map_or(0, |info| info.rows().len());
        Counters::count(&counters.rows, rows as u64);
    }

    /// Moves the cursor behind the batches that are done.
    fn advance(&mut self, skipped: Vec<SkippedRow>) {
        let Track {
            cursor,
            shared,
            skipped: all,
            ..
        } = &mut self.track;
        cursor.epoch = self.epoch.number;
        cursor.position = self.epoch.plan.done(self.next);
        all.add(&skipped);
        cursor.skipped.add(skipped.iter().cloned());
        cursor.normalise(self.epoch.order.len());
        if let Some((shared, ticket)) = shared {
            shared.advance(*ticket, cursor, skipped);
        }
    }
}

impl<O: Send + 'static> Iterator for LoaderIter<O> {
    type Item = Result<O, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.next < self.end {
            let batch = self.next;
            let loaded = self.load();
            self.count_time();
            if loaded.is_err() {
                self.end = self.next;
            }
            if self.next == self.end {
                self.batches = None;
            }
            match loaded {
                Ok(Some(loaded)) => {
                    self.count_batch();
                    return Some(Ok(loaded));
                }
                Ok(None) => {}
                Err(failure) => {
                    let error = LoadError::new(self.epoch.number, batch, failure);
                    return Some(Err(DatasetError::new(error)));
                }
            }
        }
        None
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.end - self.next;
        // An error ends the pass early, and a batch may lose all of its rows.
        let min = match self.epoch.skip_limit {
            Some(_) => 0,
            None => left.min(1),
        };
        (min as usize, usize::try_from(left).ok())
    }
}

impl<O: Send + 'static> DataLoaderIterator<O> for LoaderIter<O> {
    fn progress(&self) -> Progress {
        self.progress()
    }
}

impl<O> std::fmt::Debug for LoaderIter<O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoaderIter")
            .field("epoch", &self.epoch.number)
            .field("next", &self.next)
            .field("end", &self.end)
            .finish()
    }
}
