//! All rows in a random order, in batches of as many rows as a bound on their padded size allows.

use crate::Permutation;
use crate::order::buckets::BATCHES;
use crate::order::keys::part_of;
use crate::order::shared::Shared;

/// A tag for [`part_of`]: the shuffle of the rows, and that of the batches.
const TAG: u64 = 11;

/// The length of each row, 8 bytes a row, and how much fits into a batch.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tokens {
    /// At least 1 and at most `max` each.
    lengths: Shared<u64>,
    max: u64,
    /// The most rows that any batch may have.
    largest: u64,
    /// How many rows are sorted together.
    pool: usize,
}

impl Tokens {
    /// Batches of rows of these lengths. If a row alone is longer than `max`, which is not 0, it is
    /// the error.
    pub(crate) fn new(mut lengths: Vec<u64>, max: u64) -> Result<Self, (usize, u64)> {
        if let Some(row) = lengths.iter().position(|length| *length > max) {
            return Err((row, lengths[row]));
        }
        // A batch of empty rows is padded to one place each.
        lengths
            .iter_mut()
            .for_each(|length| *length = 1.max(*length));
        let mut sorted = lengths.clone();
        sorted.sort_unstable();
        // No batch of so many rows is smaller padded than that of the shortest ones.
        let shortest = sorted.iter().zip(1..);
        let fitting = shortest.take_while(|(longest, rows)| fits(*rows, **longest, max));
        let largest = fitting.count() as u64;
        let sum: u128 = lengths.iter().map(|length| u128::from(*length)).sum();
        let rows = BATCHES as u128 * u128::from(max) * lengths.len() as u128;
        let pool = rows.checked_div(sum).unwrap_or(0);
        Ok(Self {
            pool: usize::try_from(pool).unwrap_or(usize::MAX).max(1),
            lengths: lengths.into(),
            max,
            largest,
        })
    }

    pub(crate) fn lengths(&self) -> &[u64] {
        &self.lengths
    }

    pub(crate) fn max(&self) -> u64 {
        self.max
    }

    pub(crate) fn largest(&self) -> u64 {
        self.largest
    }

    /// The rows of an epoch, and where each of its batches ends, 8 bytes each.
    ///
    /// The rows are shuffled. Pools of as many rows as 100 batches have on average are sorted by
    /// length. A batch takes the next rows of its pool as long as they fit. Then the batches are
    /// shuffled.
    pub(crate) fn draw(&self, seed: u64, epoch: u64) -> (Vec<u64>, Vec<u64>) {
        let len = self.lengths.len();
        let length = |row: u64| self.lengths[row as usize];
        let shuffle = Permutation::new(len as u64, part_of(seed, TAG, 0), epoch);
        let mut rows = vec![0; len];
        shuffle.fill(0..len as u64, &mut rows);
        let mut batches = Vec::new();
        let mut start = 0;
        for pool in rows.chunks_mut(self.pool) {
            // Rows of one length stay shuffled.
            pool.sort_by_key(|row| length(*row));
            let mut count = 0;
            for row in pool {
                if !fits(count + 1, length(*row), self.max) {
                    batches.push(start..start + count as usize);
                    (start, count) = (start + count as usize, 0);
                }
                count += 1;
            }
            batches.push(start..start + count as usize);
            start += count as usize;
        }
        let shuffle = Permutation::new(batches.len() as u64, part_of(seed, TAG, 1), epoch);
        let (mut order, mut ends) = (Vec::with_capacity(len), Vec::with_capacity(batches.len()));
        for batch in shuffle.rows(0..shuffle.len()) {
            order.extend_from_slice(&rows[batches[batch as usize].clone()]);
            ends.push(order.len() as u64);
        }
        (order, ends)
    }
}

/// Whether so many rows fit into a batch if this is the longest.
fn fits(rows: u64, longest: u64, max: u64) -> bool {
    rows.checked_mul(longest)
        .is_some_and(|tokens| tokens <= max)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The batches as lists of rows, each found with a search over the whole pool.
    fn naive(lengths: &[u64], max: u64, seed: u64, epoch: u64) -> Vec<Vec<u64>> {
        let length = |row: &u64| lengths[*row as usize].max(1);
        let rows = Permutation::new(lengths.len() as u64, part_of(seed, TAG, 0), epoch);
        let rows: Vec<u64> = rows.rows(0..lengths.len() as u64).collect();
        let sum: u128 = rows.iter().map(|row| u128::from(length(row))).sum();
        let pool = (100 * u128::from(max) * rows.len() as u128).checked_div(sum);
        let pool = pool.unwrap_or(1).min(1 << 40) as usize;
        let mut batches: Vec<Vec<u64>> = Vec::new();
        for pool in rows.chunks(pool) {
            let mut left: Vec<u64> = pool.to_vec();
            let mut batch: Vec<u64> = Vec::new();
            while !left.is_empty() {
                let shortest = (0..left.len()).min_by_key(|at| length(&left[*at])).unwrap();
                let row = left.remove(shortest);
                if (batch.len() as u128 + 1) * u128::from(length(&row)) > u128::from(max) {
                    batches.push(std::mem::take(&mut batch));
                }
                batch.push(row);
            }
            batches.push(batch);
        }
        let order = Permutation::new(batches.len() as u64, part_of(seed, TAG, 1), epoch);
        let order = order.rows(0..batches.len() as u64);
        order.map(|batch| batches[batch as usize].clone()).collect()
    }

    fn batches((rows, ends): &(Vec<u64>, Vec<u64>)) -> Vec<Vec<u64>> {
        let starts = std::iter::once(0).chain(ends.iter().copied());
        let ranges = starts.zip(ends);
        ranges
            .map(|(start, end)| rows[start as usize..*end as usize].to_vec())
            .collect()
    }

    proptest! {
        #[test]
        fn batches_are_those_of_a_naive_reference(
            lengths in prop::collection::vec(
                prop_oneof![4 => 0_u64..20, 1 => Just(0), 1 => 20_u64..60], 0..700,
            ),
            more in 0_u64..100, seed: u64, epoch: u64, scale in prop_oneof![Just(1), Just(1 << 58)],
        ) {
            // The largest numbers must not overflow.
            let lengths: Vec<u64> = lengths.iter().map(|length| length * scale).collect();
            let longest = lengths.iter().copied().max().unwrap_or(0);
            let max = longest.saturating_add(more).max(1);
            let tokens = Tokens::new(lengths.clone(), max).unwrap();
            let found = batches(&tokens.draw(seed, epoch));
            prop_assert_eq!(&found, &naive(&lengths, max, seed, epoch));
            let mut all = found.concat();
            all.sort_unstable();
            prop_assert!(all.into_iter().eq(0..lengths.len() as u64));
            for batch in &found {
                let rows = batch.len() as u64;
                prop_assert!(0 < rows && rows <= tokens.largest());
                let longest = batch.iter().map(|row| lengths[*row as usize].max(1)).max();
                prop_assert!(u128::from(rows) * u128::from(longest.unwrap()) <= u128::from(max));
            }
        }
    }

    #[test]
    fn batches_are_nearly_full_and_differ_between_epochs() {
        let lengths: Vec<u64> = (0..20_000).map(|row| row * 7919 % 541).collect();
        let tokens = Tokens::new(lengths.clone(), 8192).unwrap();
        let padded = |batch: &Vec<u64>| {
            let longest = batch.iter().map(|row| lengths[*row as usize].max(1)).max();
            batch.len() as u64 * longest.unwrap()
        };
        let sum: u64 = lengths.iter().sum();
        for (seed, epoch) in [(0, 0), (0, 1), (7, 0)] {
            let found = batches(&tokens.draw(seed, epoch));
            let places: u64 = found.iter().map(padded).sum();
            assert!(places * 100 < sum * 104, "{places} places for {sum}");
            assert!(
                (found.len() as u64 * 8192) * 100 < sum * 110,
                "{}",
                found.len()
            );
            // The longest rows of a pool may be too few for a batch.
            let partial = found.iter().filter(|batch| padded(batch) < 8192 - 541);
            assert!(partial.count() <= lengths.len().div_ceil(tokens.pool));
        }
        assert_ne!(tokens.draw(0, 0), tokens.draw(0, 1));
        assert_ne!(tokens.draw(0, 0), tokens.draw(1, 0));
    }

    #[test]
    fn empty_rows_take_a_place_and_a_row_that_does_not_fit_is_named() {
        let empty = Tokens::new(vec![0; 10], 4).unwrap();
        let mut sizes: Vec<usize> = batches(&empty.draw(1, 1)).iter().map(Vec::len).collect();
        sizes.sort_unstable();
        assert_eq!(sizes, [2, 4, 4]);
        assert_eq!(empty.largest(), 4);
        assert_eq!(Tokens::new(vec![], 1).unwrap().draw(0, 0), (vec![], vec![]));
        assert_eq!(Tokens::new(vec![4, 5, 6], 4), Err((1, 5)));
        let one = Tokens::new(vec![u64::MAX, 0, 1], u64::MAX).unwrap();
        assert_eq!(one.draw(0, 0).1.len(), 2);
    }
}
