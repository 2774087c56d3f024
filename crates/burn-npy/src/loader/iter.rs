//! One pass over a loader.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use burn::data::dataloader::{DataLoaderIterator, Progress};
use burn::data::dataset::DatasetError;

use super::epoch::{Epoch, LoadedBatch};
use super::error::{Loaded, SkippedRow, SkippedRows};
use super::report::Counters;
use super::rows::BatchInfo;
use super::source::SourceInfo;
use super::state::{Identity, State};
use super::workers::{self, TakeBatch, WorkerConfig};
use crate::Result;
use crate::cursor::{Cursor, SharedCursor, Ticket};
use crate::trace::{self, Span};

/// The batches of one epoch, or of the rest of one, in order.
///
/// A batch that fails is yielded as one [`Error`](crate::Error), which ends the pass. The error is
/// also logged, with the crate `log`, and counted in the [`Report`](crate::Report). Dropping the
/// iterator stops its threads and waits for them.
pub struct LoaderIter<O> {
    epoch: Arc<Epoch<O>>,
    /// `None` after the last batch.
    take: Option<TakeBatch<O>>,
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
    pub(super) skipped: Arc<Mutex<SkippedRows>>,
}

impl<O: Send + 'static> LoaderIter<O> {
    pub(super) fn new(
        mut epoch: Epoch<O>,
        config: &WorkerConfig,
        source: &SourceInfo,
        track: Track,
    ) -> Self {
        let range = epoch.plan.batches();
        epoch.span = Span::pass(&epoch.plan, epoch.number);
        let mut new = Self {
            epoch: Arc::new(epoch),
            take: None,
            next: range.start,
            end: range.end,
            info: None,
            track,
            counted: Instant::now(),
        };
        let _span = new.epoch.span.enter();
        if !range.is_empty() {
            new.take = Some(workers::start(new.epoch.clone(), config, source));
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
    fn load(&mut self) -> Loaded<Option<O>> {
        let take = self.take.as_mut();
        let take = take.unwrap_or_else(|| unreachable!("a batch is left"));
        let LoadedBatch { data, info, failed } = take()?;
        let limit = self.epoch.skip_limit.unwrap_or(0);
        let known = &self.track.cursor.skipped;
        let skipped = known.admit(failed, limit, self.epoch.number, self.next)?;
        let batch = data
            .map(|data| self.epoch.finish(data, &info))
            .transpose()?;
        self.next += 1;
        self.advance(self.next, skipped);
        if batch.is_some() {
            self.info = Some(info);
        }
        Ok(batch)
    }

    /// Counts the time up to now, and the last batch if there is one.
    fn count(&mut self, is_batch: bool) {
        let now = Instant::now();
        let counters = &self.epoch.counters;
        Counters::add(&counters.wall, now.duration_since(self.counted));
        self.counted = now;
        if let Some(info) = self.info.as_ref().filter(|_| is_batch) {
            Counters::count(&counters.batches, 1);
            Counters::count(&counters.rows, info.rows().len() as u64);
        }
    }

    /// Moves the cursor to where all shards are once each has asked for `batches` batches.
    fn advance(&mut self, batches: u64, skipped: Vec<SkippedRow>) {
        let track = &mut self.track;
        let cursor = &mut track.cursor;
        cursor.epoch = self.epoch.number;
        cursor.position = self.epoch.plan.done(batches);
        cursor.normalise(self.epoch.order.len());
        if !skipped.is_empty() {
            trace::skipped(&skipped);
            cursor.skipped.add(skipped.iter().cloned());
            let mut all = track.skipped.lock().unwrap_or_else(PoisonError::into_inner);
            all.add(skipped.iter().cloned());
        }
        if let Some((shared, ticket)) = &track.shared {
            shared.advance(*ticket, cursor, skipped);
        }
    }
}

impl<O: Send + 'static> Iterator for LoaderIter<O> {
    type Item = Result<O>;

    fn next(&mut self) -> Option<Self::Item> {
        let _span = self.epoch.span.enter();
        while self.next < self.end {
            let batch = self.next;
            let loaded = self.load();
            self.count(matches!(loaded, Ok(Some(_))));
            if loaded.is_err() {
                self.end = self.next;
            }
            if self.next == self.end {
                self.take = None;
            }
            match loaded {
                Ok(Some(loaded)) => return Some(Ok(loaded)),
                Ok(None) => {}
                Err(failure) => {
                    let error = failure.in_batch(self.epoch.number, batch);
                    Counters::count(&self.epoch.counters.failures, 1);
                    // A program may look at batches only.
                    trace::failed(&error);
                    return Some(Err(error));
                }
            }
        }
        if self.next == self.epoch.plan.batches().end {
            // Other shards may have one batch more. Whoever asks for it too is done with the epoch.
            self.advance(self.next + 1, Vec::new());
        }
        None
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.end - self.next;
        // An error ends the pass early, and a batch may lose all of its rows.
        let min = left.min(u64::from(self.epoch.skip_limit.is_none()));
        (min as usize, usize::try_from(left).ok())
    }
}

/// A pass as Burn's `DataLoader` has it.
pub(super) struct BurnIter<O>(pub(super) LoaderIter<O>);

impl<O: Send + 'static> Iterator for BurnIter<O> {
    type Item = Result<O, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.0.next()?.map_err(DatasetError::new))
    }
}

impl<O: Send + 'static> DataLoaderIterator<O> for BurnIter<O> {
    fn progress(&self) -> Progress {
        self.0.progress()
    }
}

impl<O> std::fmt::Debug for LoaderIter<O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (epoch, next, end) = (self.epoch.number, self.next, self.end);
        write!(f, "LoaderIter {{ epoch: {epoch}, batches: {next}..{end} }}")
    }
}
