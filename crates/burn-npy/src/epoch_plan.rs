//! Which positions of the order each batch of an epoch has: arithmetic, without threads or data.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use burn_npy_core::{
    Result, Sampler, internal,
    order::{BatchPosition, Order, Plan, Remainder, Shard},
};

use crate::memory;

mod devices;

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

/// The orders of the epochs of a dataset. The last one is kept if it is a list, which takes long to
/// draw. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Orders {
    pub(crate) sampler: Sampler,
    /// How many rows the dataset has.
    rows: u64,
    /// The last list, and its epoch.
    last: Arc<Mutex<Option<(u64, Order)>>>,
}

impl Orders {
    pub(crate) fn new(sampler: Sampler, rows: u64) -> Self {
        Self {
            sampler,
            rows,
            last: Arc::default(),
        }
    }

    pub(crate) fn order(&self, epoch: u64) -> Order {
        let last = || self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let known = last().clone().filter(|(of, _)| *of == epoch);
        if let Some((_, order)) = known {
            return order;
        }
        // Without the lock: who wants another epoch does not wait.
        let order = self.sampler.order(self.rows, epoch);
        if internal::is_list(&order) {
            *last() = Some((epoch, order.clone()));
        }
        order
    }
}

/// How many rows the batches of a loader may have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BatchBound<'a> {
    sampler: &'a Sampler,
    /// The most rows of any batch.
    pub(crate) most: usize,
}

impl<'a> BatchBound<'a> {
    pub(crate) fn new(sampler: &'a Sampler, most: usize) -> Self {
        Self { sampler, most }
    }

    /// Each row of a dataset of `len` rows, with the most rows that a batch with it may have.
    pub(crate) fn each(self, len: usize) -> Box<dyn Iterator<Item = (usize, usize)> + 'a> {
        match internal::most_rows(self.sampler) {
            Some(rows) => Box::new(rows.map(|(row, most)| (row as usize, most as usize))),
            None => Box::new((0..len).map(move |row| (row, self.most))),
        }
    }
}

/// How every epoch of a loader is cut into batches.
#[derive(Clone, Debug)]
pub(crate) struct Batching {
    /// How many positions an epoch has.
    pub(crate) positions: u64,
    /// 1 if the sampler makes the batches: then whole ones are divided, not positions.
    pub(crate) batch_size: usize,
    pub(crate) drop_last: bool,
    pub(crate) shard: Shard,
    pub(crate) remainder: Remainder,
    /// How many devices share the batches of the shard, each as a shard of its own.
    pub(crate) devices: u64,
    pub(crate) slice: Option<Slice>,
}

/// Whole epochs, in batches of one row. A slice by rows has the last one or two batches smaller.
impl Default for Batching {
    fn default() -> Self {
        Self {
            positions: 0,
            batch_size: 1,
            drop_last: false,
            shard: Shard::WHOLE,
            remainder: Remainder::Spread,
            devices: 1,
            slice: None,
        }
    }
}

/// A part of the rows of a shard.
#[derive(Clone, Debug)]
pub(crate) struct Slice {
    /// The rows, counted in the order of the epoch.
    rows: Range<u64>,
    /// How many rows the shard had, for epochs that have more or fewer.
    of: u64,
}

/// The batches of one pass. The plans divide positions, or the batches that the sampler has made.
#[derive(Clone, Debug)]
pub(crate) struct EpochPlan {
    /// The batches of the shard; of all of its rows, if there is a slice.
    plan: Plan,
    slice: Option<Plan>,
    batch_size: u64,
    /// The first batch of the pass, which is not 0 in a resumed epoch.
    first: u64,
    end: u64,
    made: Option<Made>,
}

/// Batches that the sampler has made.
#[derive(Clone, Debug)]
struct Made {
    /// The first position of each batch, over all shards, and the end of the last one.
    starts: Vec<u64>,
    /// How many rows come before each batch of the shard or the slice, and how many there are,
    /// without padding.
    before: Vec<u64>,
}

impl Made {
    /// The batches from a position on, which may be within a batch.
    fn new(ends: &[u64], from: u64) -> Self {
        let left = ends.iter().copied().filter(|end| *end > from);
        Self {
            starts: std::iter::once(from).chain(left).collect(),
            before: Vec::new(),
        }
    }

    /// Makes the number of batches a multiple of the number of shards, if there are enough rows:
    /// batches are halved, the last ones first.
    fn spread(&mut self, shards: u64) {
        let missing = |made: &Self| (shards - made.count() % shards) % shards;
        let mut divisible = true;
        while missing(self) > 0 && std::mem::take(&mut divisible) {
            for batch in (0..self.count() as usize).rev() {
                let (start, end) = (self.starts[batch], self.starts[batch + 1]);
                if end - start > 1 && missing(self) > 0 {
                    self.starts.insert(batch + 1, start + (end - start) / 2);
                    divisible = true;
                }
            }
        }
    }

    /// How many batches there are, over all shards.
    fn count(&self) -> u64 {
        self.starts.len() as u64 - 1
    }

    /// The positions of some batches.
    fn positions(&self, batches: Range<u64>) -> Range<u64> {
        self.starts[batches.start as usize]..self.starts[batches.end as usize]
    }

    /// Counts the rows of a shard.
    fn count_rows(&mut self, plan: &Plan) {
        let mut rows = 0;
        self.before = vec![rows];
        for batch in 0..plan.num_batches() {
            let positions = self.positions(plan.batch(batch));
            rows += positions.end - positions.start;
            self.before.push(rows);
        }
    }

    /// The batches of the shard that start in a range of its rows. Padding is none of them.
    fn slice(&mut self, rows: Range<u64>) -> Range<u64> {
        let first_from = |row| self.before.partition_point(|before| *before < row);
        let last = self.before.len() - 1;
        let [start, end] = [rows.start, rows.end].map(|row| first_from(row).min(last));
        self.before = self.before[start..=end.max(start)].to_vec();
        start as u64..end as u64
    }
}

/// What `part` of `whole` is of another whole.
fn share(part: u64, whole: u64, other: u64) -> u64 {
    let product = u128::from(part) * u128::from(other);
    product.checked_div(u128::from(whole)).unwrap_or(0) as u64
}

impl Batching {
    /// The batches of an epoch from a position on. The order is not needed if the sampler does not
    /// make the batches.
    ///
    /// If the position is the start of a step, this is the plan of the whole epoch, started later:
    /// the batches keep their numbers and their padding. Otherwise it is a plan of the rest.
    pub(crate) fn plan(&self, order: Option<&Order>, from: u64) -> EpochPlan {
        let ends = order.and_then(Order::batch_ends);
        if let Some(slice) = &self.slice {
            let mut rest = self.rows(ends, from);
            // The slice has the same share of the rest as of the whole.
            let left = rest.num_rows();
            let at = |row: u64| share(row, slice.of, left);
            let rows = at(slice.rows.start)..at(slice.rows.end);
            let slice = match &mut rest.made {
                Some(made) => Plan::new(made.slice(rows), 1, false),
                None => Plan::new(rows, self.batch_size, self.drop_last),
            };
            rest.end = slice.num_batches();
            rest.slice = Some(slice);
            return rest;
        }
        let step = (self.batch_size as u64).saturating_mul(self.shard.count());
        // What the plan divides and comes before the position; `None` within a batch.
        let before = match ends {
            None => Some(from),
            Some(_) if from == 0 => Some(0),
            Some(ends) => ends.binary_search(&from).ok().map(|at| at as u64 + 1),
        };
        if let Some(before) = before.filter(|before| before.is_multiple_of(step)) {
            let mut whole = self.cut(ends, 0, self.drop_last);
            whole.first = before / step;
            // The last steps may be smaller.
            let is_full = whole.first <= internal::full_steps(&whole.plan);
            if is_full && whole.positions(before..before).start == from {
                return whole;
            }
        }
        self.cut(ends, from, self.drop_last)
    }

    /// The rows of the shard from a position of the epoch on, including the last ones, which
    /// batches may leave out.
    fn rows(&self, ends: Option<&[u64]>, from: u64) -> EpochPlan {
        self.cut(ends, from, false)
    }

    /// The batches of the shard, cut anew from a position on.
    fn cut(&self, ends: Option<&[u64]>, from: u64, drop_last: bool) -> EpochPlan {
        let mut made = ends.map(|ends| Made::new(ends, from));
        if let Some(made) = &mut made
            && self.remainder == Remainder::Spread
            && !drop_last
        {
            made.spread(self.shard.count());
        }
        let divided = match &made {
            Some(made) => 0..made.count(),
            None => from..self.positions,
        };
        let plan = Plan::new(divided, self.batch_size, drop_last);
        let plan = plan.shard(self.shard, self.remainder);
        if let Some(made) = &mut made {
            made.count_rows(&plan);
        }
        EpochPlan {
            end: plan.num_batches(),
            plan,
            slice: None,
            batch_size: self.batch_size as u64,
            first: 0,
            made,
        }
    }

    /// The same for the rows from `start` to `end` of this, counted in an epoch with this order. A
    /// batch of the sampler belongs to the slice that has its first row. If this is the part of a
    /// device, its number too.
    pub(crate) fn slice(
        &self,
        order: Option<&Order>,
        start: usize,
        end: usize,
    ) -> (Self, Option<usize>) {
        if let Some((device, index)) = self.device(order, start, end) {
            return (device, Some(index));
        }
        (self.rows_from_to(order, start, end), None)
    }

    fn rows_from_to(&self, order: Option<&Order>, start: usize, end: usize) -> Self {
        let ends = order.and_then(Order::batch_ends);
        let own = self.slice.clone().unwrap_or_else(|| {
            let of = self.rows(ends, 0).num_rows();
            Slice { rows: 0..of, of }
        });
        let all = own.rows.end - own.rows.start;
        let known = match ends {
            // The batches that start in a slice have more or fewer rows than it.
            Some(_) => self.plan(order, 0).num_rows(),
            None => all,
        };
        let at = |row: usize| match row as u64 {
            row if row < known => own.rows.start + share(row, known, all),
            _ => own.rows.end,
        };
        Self {
            slice: Some(Slice {
                rows: at(start)..at(end).max(at(start)),
                of: own.of,
            }),
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
        let before = |batch: u64| match &self.made {
            Some(made) => made.before[batch.min(made.before.len() as u64 - 1) as usize],
            None => internal::rows_before(self.own(), batch),
        };
        before(batch) - before(self.first)
    }

    /// How many rows there are, without padding.
    pub(crate) fn num_rows(&self) -> u64 {
        self.rows_before(self.end)
    }

    /// How many batches have so many rows; on average, if the sampler makes the batches.
    pub(crate) fn batches_of(&self, rows: u64) -> u64 {
        let (batches, all) = match self.made {
            Some(_) => (self.end - self.first, self.num_rows()),
            None => (1, self.batch_size),
        };
        rows.saturating_mul(batches).div_ceil(all.max(1))
    }

    fn own(&self) -> &Plan {
        self.slice.as_ref().unwrap_or(&self.plan)
    }

    /// The positions of what the plans divide.
    fn positions(&self, divided: Range<u64>) -> Range<u64> {
        match &self.made {
            Some(made) => made.positions(divided),
            None => divided,
        }
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
                draw(self.positions(own))?;
                for again in self.plan.padding(batch) {
                    let positions = self.positions(again..again + 1);
                    padding += (positions.end - positions.start) as usize;
                    draw(positions)?;
                }
            } else {
                // Its rows are those of some batches of the shard; of the sampler's, of one.
                let mut at = own.start;
                while at < own.end {
                    // Only the last batches of a shard may be smaller.
                    let before = |batch| internal::rows_before(&self.plan, batch);
                    let mut batch = internal::full_steps(&self.plan).min(at / self.batch_size);
                    while before(batch + 1) <= at && batch + 1 < self.plan.num_batches() {
                        batch += 1;
                    }
                    let part = self.plan.batch(batch);
                    let start = part.start + at - before(batch);
                    let part = start..part.end.min(start + (own.end - at));
                    assert!(!part.is_empty(), "row {at} of a shard that has fewer");
                    at += part.end - part.start;
                    draw(self.positions(part))?;
                }
            }
            end(count, padding);
        }
        rows.extend(order, run)
    }

    /// The shard, the batch and the place in it of a position.
    pub(crate) fn locate(&self, position: u64) -> Option<BatchPosition> {
        let Some(made) = &self.made else {
            return self.plan.locate(position);
        };
        let behind = made.starts.partition_point(|start| *start <= position);
        let batch = behind.checked_sub(1)?;
        let mut found = self.plan.locate(batch as u64)?;
        found.offset = position - made.starts[batch];
        Some(found)
    }

    /// The first position that some shard still has to do after the batches before `batch`.
    pub(crate) fn done(&self, batch: u64) -> u64 {
        let done = self.plan.done(batch);
        self.positions(done..done).start
    }
}

#[cfg(test)]
mod tests;
