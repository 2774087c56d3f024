//! One epoch: how each of its batches is loaded, on any thread.
//!
//! Which rows a batch has depends on the loader, the epoch, where the pass starts in it, and the
//! number of the batch.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use burn_npy_core::Order;

use super::error::{Failure, Loaded, guarded};
use super::report::Counters;
use super::rows::{BatchInfo, RowScratch};
use super::source::{BatchData, Source};
use crate::Result;
use crate::epoch_plan::EpochPlan;

/// One epoch of a source: everything that decides what its batches are.
pub(crate) struct Epoch<O> {
    pub(crate) source: Arc<dyn Source<O>>,
    pub(crate) plan: EpochPlan,
    pub(crate) order: Order,
    pub(crate) number: u64,
    /// The seed of the random numbers for rows.
    pub(crate) seed: u64,
    /// How many rows may be skipped in all; `None` if a failure ends the pass.
    pub(crate) skip_limit: Option<u64>,
    /// How many batches ahead the source reads its files; `None` if it does not.
    pub(crate) readahead: Option<u64>,
    pub(crate) counters: Arc<Counters>,
}

/// A batch as the thread that loads it leaves it.
pub(crate) struct LoadedBatch<O> {
    /// `None` if no row is left of it, or if more rows failed than may be skipped.
    pub(crate) data: Option<BatchData<O>>,
    /// The rows of `data`.
    pub(crate) info: BatchInfo,
    /// The rows that failed, in the order of the batch: all of them, or one more than may be
    /// skipped.
    pub(crate) failed: Vec<(u64, Failure)>,
}

impl<O> LoadedBatch<O> {
    /// A batch of which no row failed.
    fn new(data: BatchData<O>, info: BatchInfo) -> Self {
        Self {
            data: Some(data),
            info,
            failed: Vec::new(),
        }
    }
}

impl<O> Epoch<O> {
    /// The rows of a batch.
    pub(crate) fn info(&self, batch: u64) -> BatchInfo {
        let info = self
            .draw(
                batch..batch + 1,
                &mut RowScratch::new(self.counters.clone()),
            )
            .pop();
        info.unwrap_or_else(|| unreachable!("one batch is drawn"))
    }

    /// The rows of some batches, which share one list.
    fn draw(&self, batches: Range<u64>, scratch: &mut RowScratch) -> Vec<BatchInfo> {
        let mut rows = scratch.take();
        let (mut start, mut parts) = (0, Vec::new());
        let part = |end, padding| {
            parts.push((start..end, padding));
            start = end;
        };
        self.plan
            .fill(batches.clone(), &self.order, Arc::make_mut(&mut rows), part);
        let info = |(batch, (range, padding))| {
            BatchInfo::new(
                self.number,
                batch,
                self.seed,
                (rows.clone(), range),
                padding,
            )
        };
        let infos = batches.zip(parts).map(info).collect();
        scratch.keep(rows);
        infos
    }

    /// Reads the files of some batches ahead. A failure shows when the batch is loaded.
    pub(crate) fn readahead(&self, batches: Range<u64>) {
        let read = || batches.for_each(|batch| self.source.readahead(self.info(batch).rows()));
        let _ = guarded("loader", read);
    }

    /// Loads some batches, all at once or one after the other, until one fails or `stop` is true.
    /// There is at least one result, and only the last can be a failure.
    ///
    /// The content of a batch does not depend on the others.
    pub(crate) fn load(
        &self,
        batches: Range<u64>,
        scratch: &mut RowScratch,
        stop: &dyn Fn() -> bool,
    ) -> Vec<Loaded<LoadedBatch<O>>> {
        let infos = match guarded("loader", || self.draw(batches, scratch)) {
            Ok(infos) => infos,
            Err(failure) => return vec![Err(failure)],
        };
        if infos.len() > 1 {
            let together = || self.source.load(&infos, scratch);
            if let Ok(Ok(run)) = guarded("loader", together) {
                let run = run.into_iter().zip(infos);
                return run
                    .map(|(data, info)| Ok(LoadedBatch::new(data, info)))
                    .collect();
            }
        }
        let mut loaded = Vec::with_capacity(infos.len());
        for info in infos {
            // Code of the user has a guard of its own. This one is for a bug of this crate, which
            // must not make the consumer wait for a worker that is gone.
            let batch = guarded("loader", || self.load_one(info, scratch, stop));
            loaded.push(batch.unwrap_or_else(Err));
            if loaded.last().is_some_and(Result::is_err) || stop() {
                break;
            }
        }
        loaded
    }

    /// Loads one batch.
    pub(crate) fn load_alone(&self, batch: u64) -> Loaded<LoadedBatch<O>> {
        let mut scratch = RowScratch::new(self.counters.clone());
        let mut loaded = self.load(batch..batch + 1, &mut scratch, &|| false);
        let last = loaded.pop();
        last.unwrap_or_else(|| unreachable!("there is at least one result"))
    }

    fn load_one(
        &self,
        info: BatchInfo,
        scratch: &mut RowScratch,
        stop: &dyn Fn() -> bool,
    ) -> Loaded<LoadedBatch<O>> {
        match (self.data(&info, scratch), self.skip_limit) {
            (Ok(data), _) => Ok(LoadedBatch::new(data, info)),
            (Err(failure), Some(limit)) if failure.cause.may_be_of_a_row() => {
                self.retry_row_by_row(&info, limit, failure, scratch, stop)
            }
            (Err(failure), _) => Err(failure),
        }
    }

    fn data(&self, info: &BatchInfo, scratch: &mut RowScratch) -> Loaded<BatchData<O>> {
        let batches = std::slice::from_ref(info);
        let mut loaded = self.source.load(batches, scratch)?;
        let data = loaded.pop();
        Ok(data.unwrap_or_else(|| unreachable!("a source loads what it is asked for")))
    }

    /// Loads each row alone, then the batch from those that can be loaded.
    fn retry_row_by_row(
        &self,
        info: &BatchInfo,
        limit: u64,
        failure: Failure,
        scratch: &mut RowScratch,
        stop: &dyn Fn() -> bool,
    ) -> Loaded<LoadedBatch<O>> {
        let mut failed: Vec<(u64, Failure)> = Vec::new();
        let mut known = HashSet::new();
        let mut keep = vec![true; info.rows().len()];
        for (index, &row) in info.rows().iter().enumerate() {
            if stop() {
                return Err(failure);
            }
            let alone = info.filtered(|other| other == index);
            let Err(failure) = self.data(&alone, scratch) else {
                continue;
            };
            if !failure.cause.may_be_of_a_row() {
                return Err(failure);
            }
            keep[index] = false;
            if known.insert(row) {
                failed.push((row, failure));
            }
            if failed.len() as u64 > limit {
                break;
            }
        }
        let rest = info.filtered(|index| keep[index]);
        let data = match failed.len() as u64 {
            // Each row can be loaded alone.
            0 => return Err(failure),
            count if count > limit => None,
            _ if rest.rows().is_empty() => None,
            _ => Some(self.data(&rest, scratch)?),
        };
        Ok(LoadedBatch {
            data,
            info: rest,
            failed,
        })
    }

    /// Makes the batch of the user from what was loaded.
    pub(crate) fn finish(&self, data: BatchData<O>, info: &BatchInfo) -> Loaded<O> {
        self.source.finish(data, info, &self.counters)
    }
}
