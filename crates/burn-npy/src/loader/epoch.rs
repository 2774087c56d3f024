//! What an epoch consists of: which positions each batch has, and how a batch is loaded.
//!
//! Nothing here knows about threads. What a batch is depends on the loader, the epoch and its
//! number alone.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use burn_npy_core::{BatchPosition, Order, Plan, Remainder, Shard};

use super::error::{Failure, guarded};
use super::report::Counters;
use super::rows::{BatchInfo, RowScratch, Rows};
use super::source::{BatchData, Source};
use crate::Result;

/// How every epoch of a loader is cut into batches.
#[derive(Clone, Debug)]
pub(crate) struct Batching {
    /// How many positions an epoch has.
    pub(crate) positions: u64,
    pub(crate) batch_size: usize,
    pub(crate) drop_last: bool,
    pub(crate) shard: Shard,
    pub(crate) remainder: Remainder,
    /// The part of the shard's rows that a slice has, counted in the order of the epoch.
    pub(crate) slice: Option<Range<u64>>,
}

/// The batches of one pass.
#[derive(Clone, Debug)]
pub(crate) struct EpochPlan {
    /// The batches of the shard; of all of its rows, if there is a slice.
    plan: Plan,
    slice: Option<Plan>,
    batch_size: u64,
    /// The first batch of the pass, which is not 0 in a resumed epoch.
    first: u64,
    end: u64,
}

impl Batching {
    /// The batches of an epoch from a position on.
    ///
    /// If the position is the start of a step, this is the plan of the whole epoch, started later:
    /// the batches keep their numbers and their padding. Otherwise it is a plan of the rest.
    pub(crate) fn plan(&self, from: u64) -> EpochPlan {
        let batch_size = self.batch_size as u64;
        if let Some(slice) = &self.slice {
            let (whole, rest) = (self.rows(0), self.rows(from));
            // The slice has the same share of the rest as of the whole.
            let (all, left) = (whole.num_rows(), rest.num_rows());
            let at = |row: u64| {
                let share = u128::from(row) * u128::from(left);
                share.checked_div(u128::from(all)).unwrap_or(0) as u64
            };
            let positions = at(slice.start)..at(slice.end);
            let slice = Plan::new(positions, self.batch_size, self.drop_last);
            return EpochPlan {
                end: slice.num_batches(),
                plan: rest,
                slice: Some(slice),
                batch_size,
                first: 0,
            };
        }
        let step = batch_size.saturating_mul(self.shard.count());
        let (start, first) = if from.is_multiple_of(step) {
            (0, from / step)
        } else {
            (from, 0)
        };
        let plan = Plan::new(start..self.positions, self.batch_size, self.drop_last)
            .shard(self.shard, self.remainder);
        EpochPlan {
            end: plan.num_batches(),
            plan,
            slice: None,
            batch_size,
            first,
        }
    }

    /// The rows of the shard from a position of the epoch on, including the last ones, which
    /// batches may leave out.
    fn rows(&self, from: u64) -> Plan {
        Plan::new(from..self.positions, self.batch_size, false).shard(self.shard, self.remainder)
    }

    /// The same for the rows from `start` to `end` of this.
    pub(crate) fn slice(&self, start: usize, end: usize) -> Self {
        let own = match &self.slice {
            Some(slice) => slice.clone(),
            None => 0..self.rows(0).num_rows(),
        };
        let at = |row: usize| own.start.saturating_add(row as u64).min(own.end);
        Self {
            slice: Some(at(start)..at(end).max(at(start))),
            ..self.clone()
        }
    }
}

impl EpochPlan {
    /// The numbers of the batches.
    pub(crate) fn batches(&self) -> Range<u64> {
        self.first..self.end
    }

    /// How many rows come before a batch, without padding.
    pub(crate) fn rows_before(&self, batch: u64) -> u64 {
        let before = |batch: u64| {
            self.own()
                .num_rows()
                .min(batch.saturating_mul(self.batch_size))
        };
        before(batch) - before(self.first)
    }

    /// How many rows there are, without padding.
    pub(crate) fn num_rows(&self) -> u64 {
        self.rows_before(self.end)
    }

    fn own(&self) -> &Plan {
        self.slice.as_ref().unwrap_or(&self.plan)
    }

    /// Appends the rows of `batches` to `rows`. After each batch it calls `end` with the number of
    /// rows so far, and how many of the last of them are padding. Consecutive positions of several
    /// batches are drawn together.
    pub(crate) fn fill(
        &self,
        batches: Range<u64>,
        order: &Order,
        rows: &mut Rows,
        mut end: impl FnMut(usize, usize),
    ) {
        let mut run = 0..0;
        let mut count = rows.numbers().len();
        for batch in batches {
            let mut draw = |positions: Range<u64>| {
                count += (positions.end - positions.start) as usize;
                if positions.start == run.end {
                    run.end = positions.end;
                    return;
                }
                rows.extend(order, std::mem::replace(&mut run, positions));
            };
            let own = self.own().batch(batch);
            let mut padding = 0;
            if self.slice.is_none() {
                draw(own);
                for position in self.plan.padding(batch) {
                    draw(position..position + 1);
                    padding += 1;
                }
            } else {
                // Its rows are those of one or two batches of the shard.
                let mut at = own.start;
                while at < own.end {
                    let positions = self.plan.batch(at / self.batch_size);
                    let start = positions.start + at % self.batch_size;
                    let positions = start..positions.end.min(start + (own.end - at));
                    assert!(!positions.is_empty(), "row {at} of a shard that has fewer");
                    at += positions.end - positions.start;
                    draw(positions);
                }
            }
            end(count, padding);
        }
        rows.extend(order, run);
    }

    /// The shard, the batch and the place in it of a position.
    pub(crate) fn locate(&self, position: u64) -> Option<BatchPosition> {
        self.plan.locate(position)
    }

    /// The first position that some shard still has to do after the batches before `batch`.
    pub(crate) fn done(&self, batch: u64) -> u64 {
        self.plan.done(batch)
    }
}

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
    /// `None` if no row is left of it.
    pub(crate) data: Option<BatchData<O>>,
    /// The rows that were loaded.
    pub(crate) info: BatchInfo,
    /// The rows that failed, in the order of the batch: all of them, or one more than may be
    /// skipped.
    pub(crate) failed: Vec<(u64, Failure)>,
}

impl<O> Epoch<O> {
    /// The rows of a batch.
    pub(crate) fn info(&self, batch: u64) -> BatchInfo {
        let mut rows = Rows::default();
        let infos = self.infos(batch..batch + 1, &mut rows);
        let (_, range, padding) = infos.into_iter().next().unwrap_or_default();
        BatchInfo::new(
            self.number,
            batch,
            self.seed,
            (Arc::new(rows), range),
            padding,
        )
    }

    /// Appends the rows of some batches; returns the number, the range and the padding of each.
    fn infos(&self, batches: Range<u64>, rows: &mut Rows) -> Vec<(u64, Range<usize>, usize)> {
        let mut batch = batches.start;
        let mut start = rows.numbers().len();
        let mut infos = Vec::with_capacity((batches.end - batches.start) as usize);
        self.plan.fill(batches, &self.order, rows, |end, padding| {
            infos.push((batch, start..end, padding));
            (batch, start) = (batch + 1, end);
        });
        infos
    }

    /// The rows of some batches, which share one list.
    fn draw(&self, batches: Range<u64>, scratch: &mut RowScratch) -> Vec<BatchInfo> {
        let mut rows = scratch.take();
        let infos = self.infos(batches, Arc::make_mut(&mut rows));
        let info = |(batch, range, padding)| {
            BatchInfo::new(
                self.number,
                batch,
                self.seed,
                (rows.clone(), range),
                padding,
            )
        };
        let infos = infos.into_iter().map(info).collect();
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
    ) -> Vec<Result<LoadedBatch<O>, Failure>> {
        let infos = match guarded("loader", || self.draw(batches, scratch)) {
            Ok(infos) => infos,
            Err(failure) => return vec![Err(failure)],
        };
        let together = || self.source.load_run(&infos, scratch);
        if let Ok(Some(run)) = guarded("loader", together) {
            let loaded = |(data, info)| {
                Ok(LoadedBatch {
                    data: Some(data),
                    info,
                    failed: Vec::new(),
                })
            };
            return run.into_iter().zip(infos).map(loaded).collect();
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
    pub(crate) fn load_alone(&self, batch: u64) -> Result<LoadedBatch<O>, Failure> {
        let mut scratch = RowScratch::default();
        let mut loaded = self.load(batch..batch + 1, &mut scratch, &|| false);
        let last = loaded.pop();
        last.unwrap_or_else(|| unreachable!("there is at least one result"))
    }

    fn load_one(
        &self,
        info: BatchInfo,
        scratch: &mut RowScratch,
        stop: &dyn Fn() -> bool,
    ) -> Result<LoadedBatch<O>, Failure> {
        match (
            self.source.load(&info, scratch, &self.counters),
            self.skip_limit,
        ) {
            (Ok(data), _) => Ok(LoadedBatch {
                data: Some(data),
                info,
                failed: Vec::new(),
            }),
            (Err(failure), Some(limit)) if failure.cause.may_be_of_a_row() => {
                self.retry_row_by_row(&info, limit, failure, scratch, stop)
            }
            (Err(failure), _) => Err(failure),
        }
    }

    /// Loads each row alone, then the batch from those that can be loaded.
    fn retry_row_by_row(
        &self,
        info: &BatchInfo,
        limit: u64,
        failure: Failure,
        scratch: &mut RowScratch,
        stop: &dyn Fn() -> bool,
    ) -> Result<LoadedBatch<O>, Failure> {
        let mut failed: Vec<(u64, Failure)> = Vec::new();
        let mut known = HashSet::new();
        let mut keep = vec![true; info.rows().len()];
        for (index, &row) in info.rows().iter().enumerate() {
            if stop() {
                return Err(failure);
            }
            let alone = info.only(index);
            let Err(failure) = self.source.load(&alone, scratch, &self.counters) else {
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
            _ => Some(self.source.load(&rest, scratch, &self.counters)?),
        };
        Ok(LoadedBatch {
            data,
            info: rest,
            failed,
        })
    }

    /// Makes the batch of the user from what was loaded.
    pub(crate) fn finish(&self, data: BatchData<O>, info: &BatchInfo) -> Result<O, Failure> {
        self.source.finish(data, info, &self.counters)
    }
}

#[cfg(test)]
mod tests {
    use burn_npy_core::Sampler;

    use super::*;

    /// The rows of a pass, so many batches at once; where those of each batch end, and how many are
    /// padding. Each row is the one at its position.
    fn drawn(plan: &EpochPlan, order: &Order, at_once: u64) -> (Vec<u64>, Vec<(usize, usize)>) {
        let (mut drawn, mut ends) = (Rows::default(), Vec::new());
        let batches = plan.batches();
        for start in batches.clone().step_by(at_once as usize) {
            let some = start..batches.end.min(start + at_once);
            plan.fill(some, order, &mut drawn, |end, padding| {
                ends.push((end, padding));
            });
        }
        for (index, row) in drawn.numbers().iter().enumerate() {
            assert_eq!(order.row(drawn.position(index)), *row);
        }
        (drawn.numbers().to_vec(), ends)
    }

    fn rows(plan: &EpochPlan, order: &Order) -> Vec<u64> {
        let one_by_one = drawn(plan, order, 1);
        assert_eq!(drawn(plan, order, 3), one_by_one);
        assert_eq!(drawn(plan, order, 1000), one_by_one);
        one_by_one.0
    }

    /// Everything small, combined.
    fn each_batching(remainders: &[Remainder], mut f: impl FnMut(Batching, Order)) {
        for positions in [0, 1, 5, 23, 40] {
            for (batch_size, count) in [(1, 1), (3, 1), (3, 2), (4, 3), (50, 2)] {
                for &remainder in remainders {
                    for index in 0..count {
                        let batching = Batching {
                            positions,
                            batch_size,
                            drop_last: false,
                            shard: Shard::new(index, count).unwrap(),
                            remainder,
                            slice: None,
                        };
                        f(batching, Sampler::shuffled(1).order(positions, 0));
                    }
                }
            }
        }
    }

    /// What the plan says, one row after the other.
    #[test]
    fn batches_that_are_drawn_together_are_those_of_the_plan() {
        each_batching(
            &[Remainder::Drop, Remainder::Pad, Remainder::Uneven],
            |batching, order| {
                let plan = batching.plan(0);
                let (mut rows, mut ends) = (Vec::new(), Vec::new());
                for batch in plan.batches() {
                    let own = plan.plan.batch(batch).map(|position| order.row(position));
                    rows.extend(own);
                    let padding = plan.plan.padding(batch);
                    let padding = Vec::from_iter(padding.map(|at| order.row(at)));
                    rows.extend(&padding);
                    ends.push((rows.len(), padding.len()));
                }
                for at_once in [1, 2, 7, 1000] {
                    let found = drawn(&plan, &order, at_once);
                    assert_eq!(found, (rows.clone(), ends.clone()));
                }
            },
        );
    }

    /// Slices have the rows of their shard, in its order, each once.
    #[test]
    fn slices_cut_the_rows_of_a_shard() {
        each_batching(&[Remainder::Drop, Remainder::Uneven], |batching, order| {
            let positions = batching.positions;
            for from in [0, positions / 3, positions] {
                let whole = rows(&batching.plan(from), &order);
                assert_eq!(batching.plan(from).num_rows(), whole.len() as u64);
                let all = batching.plan(0).num_rows() as usize;
                for at in [0, all / 3, all / 2, all] {
                    let parts = [batching.slice(0, at), batching.slice(at, usize::MAX)];
                    let parts = parts.map(|part| rows(&part.plan(from), &order));
                    assert_eq!(parts.concat(), whole);
                }
            }
        });
        let batching = Batching {
            positions: 100,
            batch_size: 10,
            drop_last: true,
            shard: Shard::WHOLE,
            remainder: Remainder::Drop,
            slice: None,
        };
        let inner = batching.slice(20, 60).slice(10, 25);
        let order = Sampler::sequential().order(100, 0);
        assert_eq!(rows(&inner.plan(0), &order), (30..40).collect::<Vec<_>>());
    }
}
