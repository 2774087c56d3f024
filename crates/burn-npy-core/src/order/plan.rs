//! The batches of an epoch, for one process or several.

use std::ops::Range;

use crate::Shard;

/// Divides a range of positions into batches, and the batches among shards.
///
/// In each step, every shard gets one batch, and the batches of a step are consecutive. So the
/// positions that all shards have seen after some steps are a range from the start, which
/// [`done`](Self::done) gives. A plan of the rest has each remaining position once, even with
/// another batch size or another number of shards. The positions that are too few for another step
/// are the remainder; [`Remainder`] says what happens to them.
///
/// ```text
/// 2 shards, batches of 3    0 1 2 │ 3 4 5 │ 6 7 8 │ 9 10 11 │ 12 13 14
///                           step 0        │ step 1          │ remainder
/// shard                     0       1       0       1
/// ```
///
/// # Example
///
/// ```
/// # extern crate burn_npy_core as burn_npy;
/// use burn_npy::order::{Plan, Remainder, Shard};
///
/// # fn main() -> burn_npy::Result<()> {
/// let plan = Plan::new(0..15, 3, false);
/// let ranks = [0, 1].map(|rank| plan.shard(Shard::new(rank, 2).unwrap(), Remainder::Pad));
/// assert_eq!(ranks[1].batch(0), 3..6);
/// // The remainder: shard 0 gets two positions, shard 1 gets one and one of padding.
/// assert_eq!((ranks[0].batch(2), ranks[1].batch(2)), (12..14, 14..15));
/// assert!(ranks[1].padding(2).eq([0]));
///
/// // After two steps with two ranks, resume with a single one and larger batches.
/// let rest = Plan::new(ranks[0].done(2)..15, 10, false);
/// assert_eq!(rest.batch(0), 12..15);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    positions: Range<u64>,
    batch_size: u64,
    drop_last: bool,
    shard: Shard,
    remainder: Remainder,
    /// The number of steps in which every shard has a full batch.
    full_steps: u64,
    /// Into how many steps the rest is cut.
    rest_steps: u64,
}

/// What happens to the remainder: the positions that are too few for a full batch for every shard.
///
/// A single shard without `drop_last` gets them as its last batch, whichever variant is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Remainder {
    /// Every shard gets the same number of positions. Those left over, fewer than there are shards,
    /// are dropped. With `drop_last` the whole remainder is dropped. All shards have the same
    /// number of batches, of the same sizes.
    #[default]
    Drop,
    /// Every shard gets the same number of positions, rounded up; with `drop_last` a full batch.
    /// [`Plan::padding`] fills what is missing. All shards have the same number of batches, of the
    /// same sizes.
    Pad,
    /// No position is dropped or repeated. The last batches differ by at most one in size, and some
    /// shards may have one batch more than others. In a training run with collective operations, a
    /// shard without a batch must still take part in those of the others, as in the example
    /// `ranks`, or they wait forever. With `drop_last`, as many shards as possible get a full batch
    /// and the rest is dropped.
    Uneven,
    /// No position is dropped or repeated, and all shards have the same number of batches. The last
    /// one or two of them are smaller, and differ by at most one in size. With two, a step of full
    /// batches and the positions left over, fewer than there are shards, have become two steps:
    ///
    /// ```text
    /// 20 positions      0 1 │ 2 3 │ 4 5 │ 6 7 │ 8 9 │ 10 11 │ 12 13 │ 14 │ 15 │ 16 17 │ 18 │ 19
    /// shard of 3        0     1     2     0     1     2       0       1    2    0       1    2
    /// ```
    ///
    /// Positions left over are dropped where that cannot be: if a batch has one position, or if all
    /// positions are fewer than there are shards. With `drop_last` the whole remainder is dropped.
    Spread,
}

/// Where a plan has a position. [`Plan::locate`] returns it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct BatchPosition {
    /// The index of the shard.
    pub shard: u64,
    /// The index of the batch among those of the shard.
    pub batch: u64,
    /// The offset in the batch.
    pub offset: u64,
}

impl Plan {
    /// Divides positions into batches of `batch_size`. The last batch may be smaller; with
    /// `drop_last` it is then left out.
    ///
    /// # Panics
    ///
    /// Panics if the batch size is zero.
    pub fn new(positions: Range<u64>, batch_size: usize, drop_last: bool) -> Self {
        assert!(batch_size > 0, "a batch size of zero");
        let new = Self {
            positions: positions.start..positions.end.max(positions.start),
            batch_size: batch_size as u64,
            drop_last,
            shard: Shard::WHOLE,
            remainder: Remainder::Drop,
            full_steps: 0,
            rest_steps: 1,
        };
        new.shard(Shard::WHOLE, Remainder::Drop)
    }

    /// The batches of one shard of the same positions.
    pub fn shard(&self, shard: Shard, remainder: Remainder) -> Self {
        let step = self.batch_size.saturating_mul(shard.count());
        let (steps, left) = (self.len() / step, self.len() % step);
        // Whether the last full step and the positions left over become two smaller steps.
        let shared = remainder == Remainder::Spread
            && !self.drop_last
            && (1..shard.count()).contains(&left)
            && steps > 0
            && self.batch_size > 1;
        Self {
            shard,
            remainder,
            full_steps: steps - u64::from(shared),
            rest_steps: 1 + u64::from(shared),
            ..self.clone()
        }
    }

    /// The number of batches.
    pub fn num_batches(&self) -> u64 {
        self.num_batches_of(self.shard.index())
    }

    /// The number of rows in all batches together, without padding.
    pub fn num_rows(&self) -> u64 {
        self.rows_before(u64::MAX)
    }

    /// The positions of a batch. The range is empty if the batch is all padding.
    ///
    /// # Panics
    ///
    /// Panics if the batch is not below [`num_batches`](Self::num_batches).
    pub fn batch(&self, batch: u64) -> Range<u64> {
        self.check(batch);
        let offsets = if batch < self.full_steps {
            let start = batch * self.step() + self.shard.index() * self.batch_size;
            start..start + self.batch_size
        } else {
            self.rest_batch(batch - self.full_steps, self.shard.index())
                .0
        };
        self.positions.start + offsets.start..self.positions.start + offsets.end
    }

    /// The positions that fill up a batch after its own ones. Other batches have them too. They are
    /// taken from the start of the plan's positions, and each shard continues where the one before
    /// it stopped.
    ///
    /// # Panics
    ///
    /// Panics if the batch is not below [`num_batches`](Self::num_batches).
    pub fn padding(&self, batch: u64) -> impl Iterator<Item = u64> + use<> {
        self.check(batch);
        let Range { start, end } = self.positions;
        let (first, count) = if batch < self.full_steps {
            (0, 0)
        } else {
            // The padding of the shards before this one: their shares minus the positions they
            // have.
            let (shard, rest) = (self.shard.index(), self.rest_len());
            let shares = shard.saturating_mul(self.share(rest));
            (shares.saturating_sub(rest), self.rest_batch(0, shard).1)
        };
        (first..first.saturating_add(count)).map(move |index| start + index % (end - start))
    }

    /// The first position that no shard has seen after `batches` batches of each, which is where to
    /// resume. Dropped positions count as seen once all batches are done.
    pub fn done(&self, batches: u64) -> u64 {
        if batches >= self.num_batches_of(0) {
            return self.positions.end;
        }
        let offset = match batches.checked_sub(self.full_steps + 1) {
            None => batches * self.step(),
            Some(step) => self.rest_step(step).end,
        };
        self.positions.start + offset
    }

    /// The shard and the batch that have a position, and its offset in the batch. `None` if the
    /// position is dropped or not in the plan.
    pub fn locate(&self, position: u64) -> Option<BatchPosition> {
        let offset = position.checked_sub(self.positions.start)?;
        let full = self.full_steps * self.step();
        if offset < full {
            return Some(BatchPosition {
                shard: offset % self.step() / self.batch_size,
                batch: offset / self.step(),
                offset: offset % self.batch_size,
            });
        }
        let step = (0..self.rest_steps).find(|step| offset < self.rest_step(*step).end)?;
        let positions = self.rest_step(step);
        let in_step = offset - positions.start;
        let (share, larger) = self.shares(positions.end - positions.start);
        let shard = match in_step / share.saturating_add(1) {
            shard if shard < larger => shard,
            _ => (in_step - larger).checked_div(share)?,
        };
        let (own, _) = self.rest_batch(step, shard);
        (shard < self.shard.count() && own.contains(&offset)).then(|| BatchPosition {
            shard,
            batch: self.full_steps + step,
            offset: offset - own.start,
        })
    }

    fn len(&self) -> u64 {
        self.positions.end - self.positions.start
    }

    /// The number of positions in a step.
    fn step(&self) -> u64 {
        self.batch_size.saturating_mul(self.shard.count())
    }

    /// The number of positions after the full steps.
    fn rest_len(&self) -> u64 {
        self.len() - self.full_steps * self.step()
    }

    /// The offsets of one of the steps after the full ones.
    fn rest_step(&self, step: u64) -> Range<u64> {
        let (full, rest) = (self.full_steps * self.step(), self.rest_len());
        // There are two steps at most, so that the first half is rounded down.
        let start_of = |step| {
            if step < self.rest_steps {
                rest / 2 * step
            } else {
                rest
            }
        };
        full + start_of(step)..full + start_of(step + 1)
    }

    /// The number of positions that each shard should have of `len` ones in a step that is not
    /// full.
    fn share(&self, len: u64) -> u64 {
        match (self.remainder, self.drop_last) {
            (Remainder::Drop | Remainder::Spread, true) => 0,
            (Remainder::Pad | Remainder::Uneven, true) => self.batch_size,
            (Remainder::Pad, false) => len.div_ceil(self.shard.count()),
            (Remainder::Drop | Remainder::Uneven | Remainder::Spread, false) => {
                len / self.shard.count()
            }
        }
    }

    /// The share, and the number of shards, the first ones, that have one position more.
    fn shares(&self, len: u64) -> (u64, u64) {
        let share = self.share(len);
        let larger = match (self.remainder, self.drop_last) {
            (Remainder::Uneven, false) => len % self.shard.count(),
            (Remainder::Spread, false) if share > 0 => len % self.shard.count(),
            _ => 0,
        };
        (share, larger)
    }

    /// The batch of a shard in one of the steps after the full ones, which may be empty: its
    /// offsets, and how much padding it has.
    fn rest_batch(&self, step: u64, shard: u64) -> (Range<u64>, u64) {
        let positions = self.rest_step(step);
        let len = positions.end - positions.start;
        let (share, larger) = self.shares(len);
        let start_of = |shard: u64| {
            let start = shard.saturating_mul(share) + shard.min(larger);
            positions.start + start.min(len)
        };
        let own = start_of(shard)..start_of(shard + 1);
        let found = own.end - own.start;
        match self.remainder {
            Remainder::Uneven if self.drop_last && found < share => (own.start..own.start, 0),
            Remainder::Pad if len > 0 => (own, share - found),
            _ => (own, 0),
        }
    }

    /// The number of steps in which every shard has a full batch.
    pub(crate) fn full_steps(&self) -> u64 {
        self.full_steps
    }

    /// The number of rows in the batches before one, without padding.
    pub(crate) fn rows_before(&self, batch: u64) -> u64 {
        let rest = batch.saturating_sub(self.full_steps).min(self.rest_steps);
        let rest = (0..rest).map(|step| self.rest_batch(step, self.shard.index()).0);
        let full = batch.min(self.full_steps) * self.batch_size;
        full + rest.map(|own| own.end - own.start).sum::<u64>()
    }

    /// The number of batches of a shard. The first one has the most.
    fn num_batches_of(&self, shard: u64) -> u64 {
        let rest = (0..self.rest_steps).map(|step| self.rest_batch(step, shard));
        let rest = rest.filter(|(own, padding)| own.end - own.start + padding > 0);
        self.full_steps + rest.count() as u64
    }

    fn check(&self, batch: u64) {
        let count = self.num_batches();
        assert!(batch < count, "batch {batch} of {count}");
    }
}

#[cfg(test)]
mod tests;
