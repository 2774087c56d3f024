//! Which positions make up which batch, and whose it is.

use std::ops::Range;

use crate::Shard;

/// The batches of an epoch: a cut of a range of positions into pieces of one size, in turn for each shard.
///
/// In each step, every shard gets one batch; the batches of a step follow each other. So what all shards
/// have done after some steps is a range from the start, [`done`](Self::done), and a plan of the rest, with
/// another batch size or another number of shards, sees each remaining position once.
///
/// ```text
/// 2 shards, batches of 3    0 1 2 │ 3 4 5 │ 6 7 8 │ 9 10 11 │ 12 13 14
///                           step 0        │ step 1          │ the tail
/// shard                     0       1       0       1         as Remainder says
/// ```
///
/// # Example
///
/// ```
/// use burn_npy_core::{Plan, Shard, Remainder};
///
/// # fn main() -> burn_npy_core::Result<()> {
/// let plan = Plan::new(0..15, 3, false);
/// let ranks = [0, 1].map(|rank| plan.shard(Shard::new(rank, 2).unwrap(), Remainder::Pad));
/// assert_eq!(ranks[1].batch(0), 3..6);
/// // Two for each, and one that was missing.
/// assert_eq!((ranks[0].batch(2), ranks[1].batch(2)), (12..14, 14..15));
/// assert!(ranks[1].padding(2).eq([0]));
///
/// // After two steps with two ranks, go on with one and larger batches.
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
    tail: Remainder,
    /// Steps in which every shard has a full batch.
    full_steps: u64,
}

/// What happens to the positions that are too few for a full batch for every shard. With a single shard,
/// and `drop_last` not set, they are its last batch, whatever is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Remainder {
    /// Each shard gets as many, and what cannot be divided is left out: fewer positions than there are
    /// shards, or all of them with `drop_last`. All shards have the same number of batches, of the
    /// same sizes.
    #[default]
    Drop,
    /// As with [`Drop`](Self::Drop), but rounded up, and what is missing is [`Plan::padding`]; with
    /// `drop_last`, up to a full batch. All shards have the same number of batches, of the same sizes.
    Pad,
    /// Each position once: the sizes differ by one, and some shards may have a batch more than others, which
    /// a training run with collective operations would wait for. With `drop_last`, full batches for
    /// as many shards as there are, and only the rest is left out.
    Uneven,
}

/// Where a position is, by [`Plan::locate`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BatchPosition {
    /// The shard that has it.
    pub shard: u64,
    /// The batch of that shard.
    pub batch: u64,
    /// Which of the batch it is.
    pub offset: u64,
}

impl Plan {
    /// Cuts positions into batches. The last batch is smaller if the size does not divide their
    /// number, or left out if `drop_last` is set.
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
            tail: Remainder::Drop,
            full_steps: 0,
        };
        new.shard(Shard::WHOLE, Remainder::Drop)
    }

    /// The batches of one shard of the same positions.
    pub fn shard(&self, shard: Shard, tail: Remainder) -> Self {
        let step = self.batch_size.saturating_mul(shard.count());
        Self {
            shard,
            tail,
            full_steps: self.len() / step,
            ..self.clone()
        }
    }

    /// How many batches there are.
    pub fn num_batches(&self) -> u64 {
        let (own, padding) = self.last();
        self.full_steps + u64::from(own.end - own.start + padding > 0)
    }

    /// How many rows the batches have in all, padding not counted.
    pub fn num_rows(&self) -> u64 {
        let (own, _) = self.last();
        self.full_steps * self.batch_size + (own.end - own.start)
    }

    /// The positions of a batch; none if it is all padding.
    ///
    /// # Panics
    ///
    /// Panics if the batch is not below [`num_batches`](Self::num_batches).
    pub fn batch(&self, batch: u64) -> Range<u64> {
        self.check(batch);
        let offsets = match batch < self.full_steps {
            true => {
                let start = batch * self.step() + self.shard.index() * self.batch_size;
                start..start + self.batch_size
            }
            false => self.last().0,
        };
        self.positions.start + offsets.start..self.positions.start + offsets.end
    }

    /// Positions that fill up a batch after its own: marked, since other batches have them too. They are
    /// those from the start, each shard going on where the one before it stops.
    ///
    /// # Panics
    ///
    /// Panics if the batch is not below [`num_batches`](Self::num_batches).
    pub fn padding(&self, batch: u64) -> impl Iterator<Item = u64> + use<> {
        self.check(batch);
        let Range { start, end } = self.positions;
        let (first, count) = match batch < self.full_steps {
            true => (0, 0),
            false => {
                // Those of the shards before it: their shares, less what they have.
                let shares = self.shard.index().saturating_mul(self.tail_share());
                (shares.saturating_sub(self.tail_len()), self.last().1)
            }
        };
        (first..first.saturating_add(count)).map(move |number| start + number % (end - start))
    }

    /// The first position that no shard has seen after so many batches of each, in other words where to go on.
    /// Positions that are left out count as seen when all batches are done.
    pub fn done(&self, batches: u64) -> u64 {
        match batches <= self.full_steps && batches < self.longest() {
            true => self.positions.start + batches * self.step(),
            false => self.positions.end,
        }
    }

    /// Which shard has a position, in which of its batches, and where; none if it is left out or not among
    /// the positions.
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
        let offset = offset - full;
        // The first shards may have one more than the others.
        let (share, larger) = (self.tail_share(), self.tail_larger());
        let shard = match offset / share.saturating_add(1) {
            shard if shard < larger => shard,
            _ => (offset - larger).checked_div(share)?,
        };
        let own = self.tail_of(shard);
        (shard < self.shard.count() && own.contains(&offset)).then(|| BatchPosition {
            shard,
            batch: self.full_steps,
            offset: offset - own.start,
        })
    }

    fn len(&self) -> u64 {
        self.positions.end - self.positions.start
    }

    /// The positions of a step.
    fn step(&self) -> u64 {
        self.batch_size.saturating_mul(self.shard.count())
    }

    /// The positions of the tail.
    fn tail_len(&self) -> u64 {
        self.len() % self.step()
    }

    /// How many positions of the tail a shard should have, at least.
    fn tail_share(&self) -> u64 {
        match (self.tail, self.drop_last) {
            (Remainder::Drop, true) => 0,
            (Remainder::Pad | Remainder::Uneven, true) => self.batch_size,
            (Remainder::Pad, false) => self.tail_len().div_ceil(self.shard.count()),
            (Remainder::Drop | Remainder::Uneven, false) => self.tail_len() / self.shard.count(),
        }
    }

    /// How many shards have one more than that.
    fn tail_larger(&self) -> u64 {
        match (self.tail, self.drop_last) {
            (Remainder::Uneven, false) => self.tail_len() % self.shard.count(),
            _ => 0,
        }
    }

    /// The part of the tail that a shard has.
    fn tail_of(&self, shard: u64) -> Range<u64> {
        let (len, share, larger) = (self.tail_len(), self.tail_share(), self.tail_larger());
        let begin = |shard: u64| (shard.saturating_mul(share) + shard.min(larger)).min(len);
        match begin(shard)..begin(shard + 1) {
            // A batch that would be smaller is left out.
            own if self.tail == Remainder::Uneven
                && self.drop_last
                && own.end - own.start < share =>
            {
                own.start..own.start
            }
            own => own,
        }
    }

    /// The last batch, which may be empty: its offsets, and how much padding it has.
    fn last(&self) -> (Range<u64>, u64) {
        let own = self.tail_of(self.shard.index());
        let padding = match self.tail == Remainder::Pad && self.tail_len() > 0 {
            true => self.tail_share() - (own.end - own.start),
            false => 0,
        };
        let full = self.full_steps * self.step();
        (full + own.start..full + own.end, padding)
    }

    /// The largest number of batches that a shard has.
    fn longest(&self) -> u64 {
        let first = self.tail_of(0);
        self.full_steps + u64::from(first.end > first.start)
    }

    fn check(&self, batch: u64) {
        let count = self.num_batches();
        assert!(batch < count, "batch {batch} of {count}");
    }
}

#[cfg(test)]
mod tests;
