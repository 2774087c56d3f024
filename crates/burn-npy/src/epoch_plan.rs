//! Which positions of the order each batch of an epoch has: arithmetic, without threads or data.

use std::ops::Range;

use burn_npy_core::{
    Result,
    order::{BatchPosition, Order, Plan, Remainder, Shard},
};

use crate::memory;

/// Rows, and their positions in the order of the epoch.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rows {
    rows: Vec<u64>,
    /// Where each run of consecutive positions starts: the index of its first row, and its first
    /// position.
    runs: Vec<(usize, u64)>,
}

impl Rows {
    pub(crate) fn numbers(&self) -> &[u64] {
        &self.rows
    }

    /// The position of the row at an index.
    pub(crate) fn position(&self, index: usize) -> u64 {
        let behind = self.runs.partition_point(|(first, _)| *first <= index);
        let (first, position) = self.runs[behind - 1];
        position + (index - first) as u64
    }

    /// Appends the rows at some positions.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Limit`](crate::ErrorKind::Limit) if there is no memory for them.
    pub(crate) fn extend(&mut self, order: &Order, positions: Range<u64>) -> Result<()> {
        if positions.is_empty() {
            return Ok(());
        }
        let start = self.rows.len();
        let count = (positions.end - positions.start) as usize;
        memory::reserve(&mut self.rows, count)?;
        memory::reserve(&mut self.runs, 1)?;
        self.rows.resize(start + count, 0);
        self.runs.push((start, positions.start));
        order.fill(positions, &mut self.rows[start..]);
        Ok(())
    }

    /// Appends one row.
    ///
    /// # Errors
    ///
    /// Those of [`extend`](Self::extend).
    pub(crate) fn push(&mut self, row: u64, position: u64) -> Result<()> {
        let index = self.rows.len();
        memory::reserve(&mut self.rows, 1)?;
        if index == 0 || self.position(index) != position {
            memory::reserve(&mut self.runs, 1)?;
            self.runs.push((index, position));
        }
        self.rows.push(row);
        Ok(())
    }

    pub(crate) fn clear(&mut self) {
        self.rows.clear();
        self.runs.clear();
    }
}

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
    ///
    /// # Errors
    ///
    /// Those of [`Rows::extend`].
    pub(crate) fn fill(
        &self,
        batches: Range<u64>,
        order: &Order,
        rows: &mut Rows,
        mut end: impl FnMut(usize, usize),
    ) -> Result<()> {
        let mut run = 0..0;
        let mut count = rows.numbers().len();
        for batch in batches {
            let mut draw = |positions: Range<u64>| {
                count += (positions.end - positions.start) as usize;
                if positions.start == run.end {
                    run.end = positions.end;
                    return Ok(());
                }
                rows.extend(order, std::mem::replace(&mut run, positions))
            };
            let own = self.own().batch(batch);
            let mut padding = 0;
            if self.slice.is_none() {
                draw(own)?;
                for position in self.plan.padding(batch) {
                    draw(position..position + 1)?;
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
                    draw(positions)?;
                }
            }
            end(count, padding);
        }
        rows.extend(order, run)
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
            })
            .unwrap();
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

    #[test]
    fn each_row_knows_its_position() {
        let order = Sampler::shuffled(1).order(100, 0);
        let mut all = Rows::default();
        let mut expected = Vec::new();
        for positions in [7..12, 3..3, 40..41, 41..44, 0..2, 99..100] {
            all.extend(&order, positions.clone()).unwrap();
            expected.extend(positions);
        }
        for position in [98, 99, 5, 6, 7, 7] {
            all.push(order.row(position), position).unwrap();
            expected.push(position);
        }
        let found = (0..all.numbers().len()).map(|index| all.position(index));
        assert_eq!(Vec::from_iter(found), expected);
        let rows = expected.iter().map(|position| order.row(*position));
        assert_eq!(all.numbers(), Vec::from_iter(rows));
        // Those that follow each other take no memory each.
        assert_eq!(all.runs.len(), 8);
    }
}
