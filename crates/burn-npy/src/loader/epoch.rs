//! One epoch: how each of its batches is loaded, on any thread.
//!
//! Which rows a batch has depends on the loader, the epoch, where the pass starts in it, and the
//! number of the batch.

use std::collections::HashSet;
use std::ops::Range;
use std::slice;
use std::sync::Arc;

use burn_npy_core::order::Order;

use super::error::{Failure, Loaded, guarded};
use super::report::Counters;
use super::rows::{BatchInfo, RowScratch};
use super::source::{BatchData, Source};
use crate::Result;
use crate::epoch_plan::{EpochPlan, Rows};
use crate::trace::Span;

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
    /// That of the pass, if this is one.
    pub(crate) span: Span,
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

impl<O> Epoch<O> {
    /// The rows of a batch.
    pub(crate) fn info(&self, batch: u64) -> Result<BatchInfo> {
        let info = self
            .draw(batch..batch + 1, &mut RowScratch::default())?
            .pop();
        Ok(info.unwrap_or_else(|| unreachable!("one batch is drawn")))
    }

    /// The rows of some batches, which share one list.
    fn draw(&self, batches: Range<u64>, scratch: &mut RowScratch) -> Result<Vec<BatchInfo>> {
        let mut rows = scratch.take();
        let (mut start, mut parts) = (0, Vec::new());
        let part = |end, padding| {
            parts.push((start..end, padding));
            start = end;
        };
        self.plan
            .fill(batches.clone(), &self.order, Arc::make_mut(&mut rows), part)?;
        let info = |(batch, (range, padding))| {
            let rows = (rows.clone(), range);
            let mut info = BatchInfo::new(self.number, batch, self.seed, rows, padding);
            info.is_first = batch == self.plan.batches().start;
            info
        };
        let infos = batches.zip(parts).map(info).collect();
        scratch.keep(rows);
        Ok(infos)
    }

    /// Reads the files of some batches ahead. Returns the first batch for which there was no room.
    /// A failure shows when the batch is loaded.
    pub(crate) fn readahead(&self, batches: Range<u64>) -> Option<u64> {
        let read = |info: BatchInfo| self.source.readahead(info.rows());
        let has_room = |batch: &u64| self.info(*batch).map_or(true, read);
        let found = guarded("loader", || {
            batches.into_iter().find(|batch| !has_room(batch))
        });
        found.ok().flatten()
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
        // Code of the user has guards of its own. This one is for a bug of this crate, which must
        // not make the consumer wait for a worker that is gone.
        let load = || {
            let infos = self.draw(batches, scratch)?;
            Ok(self.load_drawn(infos, scratch, stop))
        };
        let loaded = guarded("loader", load).and_then(|loaded| loaded);
        loaded.unwrap_or_else(|failure| vec![Err(failure)])
    }

    fn load_drawn(
        &self,
        infos: Vec<BatchInfo>,
        scratch: &mut RowScratch,
        stop: &dyn Fn() -> bool,
    ) -> Vec<Loaded<LoadedBatch<O>>> {
        let failure = match self.source.load(&infos, scratch) {
            Ok(run) => {
                let whole = |(data, info)| LoadedBatch {
                    data: Some(data),
                    info,
                    failed: Vec::new(),
                };
                return run.into_iter().zip(infos).map(whole).map(Ok).collect();
            }
            Err(failure) => failure,
        };
        if let [info] = &*infos {
            return vec![match self.skip_limit {
                Some(limit) if failure.may_be_of_a_row => {
                    self.retry_row_by_row(info, limit, failure, scratch, stop)
                }
                _ => Err(failure),
            }];
        }
        let mut loaded = Vec::new();
        for info in infos {
            loaded.extend(self.load_drawn(vec![info], scratch, stop));
            if loaded.last().is_some_and(Result::is_err) || stop() {
                break;
            }
        }
        loaded
    }

    /// Loads one batch.
    pub(crate) fn load_alone(&self, batch: u64) -> Loaded<LoadedBatch<O>> {
        let mut scratch = RowScratch::new(self.counters.clone());
        let loaded = self.load(batch..batch + 1, &mut scratch, &|| false).pop();
        loaded.unwrap_or_else(|| unreachable!("there is at least one result"))
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
        let (mut kept, mut padding) = (Rows::default(), 0);
        for (index, (&row, position)) in info.rows().iter().zip(info.positions()).enumerate() {
            if stop() {
                return Err(failure);
            }
            let alone = info.only(index);
            match self.source.load(slice::from_ref(&alone), scratch) {
                Ok(_) => {
                    kept.push(row, position)?;
                    padding += alone.padding();
                }
                Err(failure) if !failure.may_be_of_a_row => return Err(failure),
                Err(failure) => {
                    if known.insert(row) {
                        failed.push((row, failure));
                    }
                    if failed.len() as u64 > limit {
                        break;
                    }
                }
            }
        }
        let rest = info.with_rows(kept, padding);
        let data = match failed.len() as u64 {
            // Each row can be loaded alone.
            0 => return Err(failure),
            count if count > limit => None,
            _ if rest.rows().is_empty() => None,
            _ => self.source.load(slice::from_ref(&rest), scratch)?.pop(),
        };
        Ok(LoadedBatch {
            data,
            info: rest,
            failed,
        })
    }

    /// The batch of the user, made of what was loaded.
    pub(crate) fn finish(&self, data: BatchData<O>, info: &BatchInfo) -> Loaded<O> {
        match data {
            BatchData::Done(batch) => Ok(*batch.into_inner()),
            BatchData::Host(data) => {
                let _span = self.span.upload(info, data.bytes());
                self.source.finish(data, info, &self.counters)
            }
        }
    }
}
