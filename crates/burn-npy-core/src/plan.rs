//! Which positions make up which batch.

use std::ops::Range;

/// The batches of an epoch: a cut of a range of positions into pieces of one size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    positions: Range<u64>,
    batch_size: u64,
    num_batches: u64,
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
        let batch_size = batch_size as u64;
        let len = positions.end.saturating_sub(positions.start);
        let num_batches = match drop_last {
            true => len / batch_size,
            false => len.div_ceil(batch_size),
        };
        Self {
            positions,
            batch_size,
            num_batches,
        }
    }

    /// How many batches there are.
    pub fn num_batches(&self) -> u64 {
        self.num_batches
    }

    /// How many rows the batches have in all.
    pub fn num_rows(&self) -> u64 {
        self.positions_until(self.num_batches) - self.positions.start
    }

    fn positions_until(&self, batch: u64) -> u64 {
        self.positions
            .start
            .saturating_add(batch.saturating_mul(self.batch_size))
            .min(self.positions.end.max(self.positions.start))
    }

    /// The positions of a batch.
    ///
    /// # Panics
    ///
    /// Panics if the batch is not below [`num_batches`](Self::num_batches).
    pub fn batch(&self, batch: u64) -> Range<u64> {
        assert!(
            batch < self.num_batches,
            "batch {batch} of {}",
            self.num_batches
        );
        self.positions_until(batch)..self.positions_until(batch + 1)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_last_batch_is_what_is_left() {
        let plan = Plan::new(5..15, 4, false);
        let batches: Vec<_> = (0..plan.num_batches()).map(|k| plan.batch(k)).collect();
        assert_eq!(batches, [5..9, 9..13, 13..15]);
        assert_eq!(plan.num_rows(), 10);

        let plan = Plan::new(5..15, 4, true);
        assert_eq!((plan.num_batches(), plan.num_rows()), (2, 8));
        assert_eq!(Plan::new(3..3, 4, false).num_batches(), 0);
    }

    proptest! {
        #[test]
        fn batches_are_the_chunks_of_the_positions(
            start in 0..1000_u64, len in 0..1000_u64, batch_size in 1..200_usize, drop_last: bool
        ) {
            let plan = Plan::new(start..start + len, batch_size, drop_last);
            let all: Vec<u64> = (start..start + len).collect();
            let naive: Vec<&[u64]> = match drop_last {
                true => all.chunks_exact(batch_size).collect(),
                false => all.chunks(batch_size).collect(),
            };
            prop_assert_eq!(plan.num_batches() as usize, naive.len());
            prop_assert_eq!(plan.num_rows() as usize, naive.concat().len());
            for (k, naive) in naive.iter().enumerate() {
                prop_assert!(plan.batch(k as u64).eq(naive.iter().copied()));
            }
        }
    }
}
