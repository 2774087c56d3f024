//! All rows in a random order in which the rows of a batch have similar lengths.

use crate::Permutation;
use crate::order::keys::part_of;
use crate::order::shared::Shared;

/// A tag for [`part_of`]: the shuffle of the rows, and that of the batches.
const TAG: u64 = 9;
/// How many batches of rows are sorted together.
pub(crate) const BATCHES: usize = 100;

/// The rank of the length of each row among all lengths, 8 bytes a row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Buckets {
    ranks: Shared<u64>,
}

impl Buckets {
    pub(crate) fn new<L: Ord>(lengths: &[L]) -> Self {
        let length = |row: u64| &lengths[row as usize];
        let mut rows: Vec<u64> = (0..lengths.len() as u64).collect();
        rows.sort_unstable_by_key(|row| length(*row));
        let mut ranks = vec![0; rows.len()];
        let mut rank = 0;
        for pair in rows.windows(2) {
            rank += u64::from(length(pair[0]) != length(pair[1]));
            ranks[pair[1] as usize] = rank;
        }
        Self {
            ranks: ranks.into(),
        }
    }

    /// The rank of each row.
    pub(crate) fn ranks(&self) -> &[u64] {
        &self.ranks
    }

    /// The rows of an epoch, 8 bytes each.
    ///
    /// The rows are shuffled. Those beyond the last full batch are the end of the epoch, so they
    /// are of all lengths, and whoever drops them drops no length more than another. The others
    /// are sorted by length, 100 batches at a time, and their batches are shuffled.
    pub(crate) fn draw(&self, batch_size: usize, seed: u64, epoch: u64) -> Vec<u64> {
        let len = self.ranks.len();
        let shuffle = Permutation::new(len as u64, part_of(seed, TAG, 0), epoch);
        let mut rows = vec![0; len];
        shuffle.fill(0..len as u64, &mut rows);
        let (full, rest) = rows.split_at_mut(len - len % batch_size);
        for pool in full.chunks_mut(batch_size.saturating_mul(BATCHES)) {
            // Rows of one length stay shuffled.
            pool.sort_by_key(|row| self.ranks[*row as usize]);
        }
        let batches = (full.len() / batch_size) as u64;
        let batches = Permutation::new(batches, part_of(seed, TAG, 1), epoch);
        let mut order = Vec::with_capacity(len);
        for batch in batches.rows(0..batches.len()) {
            order.extend_from_slice(&full[batch as usize * batch_size..][..batch_size]);
        }
        order.extend_from_slice(rest);
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_comes_once_with_rows_of_similar_lengths() {
        for (len, batch_size) in [
            (0, 1),
            (1, 1),
            (5, 9),
            (1000, 7),
            (10_000, 32),
            (3, usize::MAX),
        ] {
            let lengths: Vec<usize> = (0..len).map(|row| row * 7919 % 541).collect();
            let buckets = Buckets::new(&lengths);
            let order = buckets.draw(batch_size, 3, 1);
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert!(sorted.into_iter().eq(0..len as u64));
            let spread = |batch: &[u64]| {
                let lengths = batch.iter().map(|row| lengths[*row as usize]);
                lengths.clone().max().unwrap() - lengths.min().unwrap()
            };
            // Each of the 100 batches of a pool has a hundredth of the lengths, or a few more.
            if len == 10_000 {
                let full = order.chunks_exact(batch_size);
                let wide = full.clone().filter(|batch| spread(batch) > 20).count();
                // The batches of the last pool are fewer, and so wider.
                assert!(wide <= 12, "{wide}");
                assert!(spread(full.remainder()) > 200);
            }
            if len > 100 {
                assert_ne!(order, buckets.draw(batch_size, 3, 2));
                assert_ne!(order, buckets.draw(batch_size, 4, 1));
            }
        }
    }

    #[test]
    fn only_the_order_of_the_lengths_matters() {
        assert_eq!(Buckets::new(&[5, 1, 5, 9]).ranks(), [1, 0, 1, 2]);
        assert_eq!(
            Buckets::new(&["b", "a", "b", "c"]),
            Buckets::new(&[5, 1, 5, 9])
        );
    }
}
