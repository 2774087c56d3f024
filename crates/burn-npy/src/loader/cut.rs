//! Which positions of the order each batch of a pass has.

use std::ops::Range;

use burn_npy_core::{BatchPosition, Order, Plan, Remainder, Shard};

use super::draw::Drawn;

/// How every pass of a loader is cut.
#[derive(Clone, Debug)]
pub(crate) struct Cutter {
    /// How many positions an epoch has.
    pub(crate) positions: u64,
    pub(crate) batch_size: usize,
    pub(crate) drop_last: bool,
    pub(crate) shard: Shard,
    pub(crate) tail: Remainder,
    /// A part of the rows that the shard has in an epoch, counted in their order.
    pub(crate) slice: Option<Range<u64>>,
}

/// The batches of one pass.
#[derive(Clone, Debug)]
pub(crate) struct Cut {
    /// Those of the shard; of all of its rows, if there is a slice.
    plan: Plan,
    slice: Option<Plan>,
    batch_size: u64,
    /// The first batch of the pass: not 0 if the epoch is gone on with.
    first: u64,
    end: u64,
}

impl Cutter {
    /// The batches of an epoch from a position on.
    ///
    /// Where the position is the start of a step, the plan is that of the whole epoch, begun later:
    /// the batches keep their numbers and their padding. Else it is a plan of the rest.
    pub(crate) fn cut(&self, from: u64) -> Cut {
        let len = self.positions;
        let batch_size = self.batch_size as u64;
        if let Some(slice) = &self.slice {
            let (whole, rest) = (self.rows(0), self.rows(from));
            // The same share of the rest as of the whole, so that slices have what belongs to them.
            let (all, left) = (whole.num_rows(), rest.num_rows());
            let at = |row: u64| match all {
                0 => 0,
                _ => (u128::from(row) * u128::from(left) / u128::from(all)) as u64,
            };
            let slice = Plan::new(
                at(slice.start)..at(slice.end),
                self.batch_size,
                self.drop_last,
            );
            let end = slice.num_batches();
            return Cut {
                plan: rest,
                slice: Some(slice),
                batch_size,
                first: 0,
                end,
            };
        }
        let step = batch_size.saturating_mul(self.shard.count());
        let (start, first) = match from.is_multiple_of(step) {
            true => (0, from / step),
            false => (from, 0),
        };
        let plan = Plan::new(start..len, self.batch_size, self.drop_last);
        let plan = plan.shard(self.shard, self.tail);
        Cut {
            end: plan.num_batches(),
            plan,
            slice: None,
            batch_size,
            first,
        }
    }

    /// The rows of the shard from a position of the epoch on, those of a tail that batches may
    /// leave out too.
    fn rows(&self, from: u64) -> Plan {
        Plan::new(from..self.positions, self.batch_size, false).shard(self.shard, self.tail)
    }

    /// A slice of what this cuts: of its rows in their order.
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

impl Cut {
    /// The batches of the pass.
    pub(crate) fn batches(&self) -> Range<u64> {
        self.first..self.end
    }

    /// How many rows the pass has before a batch, padding not counted.
    pub(crate) fn rows_before(&self, batch: u64) -> u64 {
        let before = |batch: u64| {
            self.own()
                .num_rows()
                .min(batch.saturating_mul(self.batch_size))
        };
        before(batch) - before(self.first)
    }

    /// How many rows the pass has, padding not counted.
    pub(crate) fn num_rows(&self) -> u64 {
        self.rows_before(self.end)
    }

    fn own(&self) -> &Plan {
        self.slice.as_ref().unwrap_or(&self.plan)
    }

    /// Puts the rows of some batches behind what is there, and tells where those of each end, and
    /// how many of the last of them are padding. Positions that follow each other are drawn at
    /// once.
    pub(crate) fn rows(
        &self,
        batches: Range<u64>,
        order: &Order,
        drawn: &mut Drawn,
        mut end: impl FnMut(usize, usize),
    ) {
        let mut run = 0..0;
        let mut count = drawn.rows().len();
        for batch in batches {
            let mut draw = |positions: Range<u64>| {
                count += (positions.end - positions.start) as usize;
                if positions.start == run.end {
                    run.end = positions.end;
                    return;
                }
                drawn.extend(order, std::mem::replace(&mut run, positions));
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
                // Of one or two batches of the shard.
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
        drawn.extend(order, run);
    }

    /// Where a position is.
    pub(crate) fn locate(&self, position: u64) -> Option<BatchPosition> {
        self.plan.locate(position)
    }

    /// The first position that no shard has had when the batches before `batch` are done.
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
    fn drawn(cut: &Cut, order: &Order, at_once: u64) -> (Vec<u64>, Vec<(usize, usize)>) {
        let (mut drawn, mut ends) = (Drawn::default(), Vec::new());
        let batches = cut.batches();
        for start in batches.clone().step_by(at_once as usize) {
            let some = start..batches.end.min(start + at_once);
            cut.rows(some, order, &mut drawn, |end, padding| {
                ends.push((end, padding));
            });
        }
        for (index, row) in drawn.rows().iter().enumerate() {
            assert_eq!(order.row(drawn.position(index)), *row);
        }
        (drawn.rows().to_vec(), ends)
    }

    fn rows(cut: &Cut, order: &Order) -> Vec<u64> {
        let one_by_one = drawn(cut, order, 1);
        assert_eq!(drawn(cut, order, 3), one_by_one);
        assert_eq!(drawn(cut, order, 1000), one_by_one);
        one_by_one.0
    }

    /// Everything small, combined.
    fn each_cutter(tails: &[Remainder], mut f: impl FnMut(Cutter, Order)) {
        for positions in [0, 1, 5, 23, 40] {
            for (batch_size, count) in [(1, 1), (3, 1), (3, 2), (4, 3), (50, 2)] {
                for &tail in tails {
                    for index in 0..count {
                        let cutter = Cutter {
                            positions,
                            batch_size,
                            drop_last: false,
                            shard: Shard::new(index, count).unwrap(),
                            tail,
                            slice: None,
                        };
                        f(cutter, Sampler::shuffled(1).order(positions, 0));
                    }
                }
            }
        }
    }

    /// What the plan says, one row after the other.
    #[test]
    fn batches_that_are_drawn_together_are_those_of_the_plan() {
        each_cutter(
            &[Remainder::Drop, Remainder::Pad, Remainder::Uneven],
            |cutter, order| {
                let cut = cutter.cut(0);
                let (mut rows, mut ends) = (Vec::new(), Vec::new());
                for batch in cut.batches() {
                    let own = cut.plan.batch(batch).map(|position| order.row(position));
                    rows.extend(own);
                    let padding = cut.plan.padding(batch);
                    let padding = Vec::from_iter(padding.map(|at| order.row(at)));
                    rows.extend(&padding);
                    ends.push((rows.len(), padding.len()));
                }
                for at_once in [1, 2, 7, 1000] {
                    let found = drawn(&cut, &order, at_once);
                    assert_eq!(found, (rows.clone(), ends.clone()));
                }
            },
        );
    }

    /// Slices have the rows of their shard, in its order, each once.
    #[test]
    fn slices_cut_the_rows_of_a_shard() {
        each_cutter(&[Remainder::Drop, Remainder::Uneven], |cutter, order| {
            let positions = cutter.positions;
            for from in [0, positions / 3, positions] {
                let whole = rows(&cutter.cut(from), &order);
                assert_eq!(cutter.cut(from).num_rows(), whole.len() as u64);
                let all = cutter.cut(0).num_rows() as usize;
                for at in [0, all / 3, all / 2, all] {
                    let parts = [cutter.slice(0, at), cutter.slice(at, usize::MAX)];
                    let parts = parts.map(|part| rows(&part.cut(from), &order));
                    assert_eq!(parts.concat(), whole);
                }
            }
        });
        let cutter = Cutter {
            positions: 100,
            batch_size: 10,
            drop_last: true,
            shard: Shard::WHOLE,
            tail: Remainder::Drop,
            slice: None,
        };
        let inner = cutter.slice(20, 60).slice(10, 25);
        let order = Sampler::sequential().order(100, 0);
        assert_eq!(rows(&inner.cut(0), &order), (30..40).collect::<Vec<_>>());
    }
}
