//! A shuffle that keeps the rows of a block of the file close together.
//!
//! The file is divided into blocks, and the blocks are shuffled. Then each group of consecutive
//! blocks forms a pool, and the rows of each pool are shuffled. The last block of the file may be
//! short, wherever the shuffle puts it.
//!
//! A pool can be read block by block. The row at a position is still a pure function of (length,
//! seed, epoch, position) and needs no memory. CorgiPile reads blocks through a shuffled buffer in
//! the same way (Xu et al., *In-Database Machine Learning with CorgiPile: Stochastic Gradient
//! Descent without Full Data Shuffle*, 2022).

use std::ops::Range;

use crate::Permutation;
use crate::order::keys::part_of;

/// Tags for [`part_of`], which keep the permutations of blocks and of pools independent.
const BLOCKS: u64 = 1;
const POOL: u64 = 2;

/// The order of one epoch.
#[derive(Clone, Debug)]
pub(crate) struct Blocks {
    len: u64,
    seed: u64,
    epoch: u64,
    /// The number of rows of a block.
    block: u64,
    /// The number of blocks of a pool.
    mixed: u64,
    /// The order of the blocks. A slot is a position in it.
    blocks: Permutation,
    /// The slot of the last block of the file.
    short_slot: u64,
    /// How many rows that block has fewer than the others.
    short_by: u64,
}

struct Pool {
    index: u64,
    /// The position at which the pool starts.
    start: u64,
    /// The number of rows.
    len: u64,
}

impl Blocks {
    pub(crate) fn new(len: u64, block: u64, mixed: u64, seed: u64, epoch: u64) -> Self {
        let block = block.clamp(1, len.max(1));
        let count = len.div_ceil(block);
        let blocks = Permutation::new(count, part_of(seed, BLOCKS, 0), epoch);
        Self {
            len,
            seed,
            epoch,
            block,
            mixed: mixed.clamp(1, count.max(1)),
            short_slot: count.checked_sub(1).map_or(0, |last| blocks.position(last)),
            // Written so that it does not overflow if the length and the block are close to 2^63.
            short_by: (block - len % block) % block,
            blocks,
        }
    }

    fn pool_rows(&self) -> u64 {
        self.block.saturating_mul(self.mixed)
    }

    fn pool(&self, index: u64) -> Pool {
        let start_of = |index: u64| {
            let rows = index.saturating_mul(self.pool_rows());
            // The pools after the short block start earlier.
            let missing = if index > self.short_slot / self.mixed {
                self.short_by
            } else {
                0
            };
            rows.saturating_sub(missing).min(self.len)
        };
        let start = start_of(index);
        Pool {
            index,
            start,
            len: start_of(index + 1) - start,
        }
    }

    fn pool_at(&self, position: u64) -> Pool {
        let pool = self.pool(position / self.pool_rows());
        if position < pool.start + pool.len {
            pool
        } else {
            self.pool(pool.index + 1)
        }
    }

    fn shuffle(&self, pool: &Pool) -> Permutation {
        Permutation::new(pool.len, part_of(self.seed, POOL, pool.index), self.epoch)
    }

    /// The offset in the pool at which the rows that the short block lacks would come, or `None` if
    /// the block is in another pool.
    fn gap(&self, pool: &Pool) -> Option<u64> {
        (self.short_slot / self.mixed == pool.index)
            .then(|| (self.short_slot % self.mixed + 1) * self.block - self.short_by)
    }

    pub(crate) fn fill(&self, positions: Range<u64>, rows: &mut [u64]) {
        let mut done = 0;
        while done < rows.len() {
            let position = positions.start + done as u64;
            let pool = self.pool_at(position);
            let end = positions.end.min(pool.start + pool.len);
            let rows = &mut rows[done..done + (end - position) as usize];
            self.shuffle(&pool)
                .fill(position - pool.start..end - pool.start, rows);
            let gap = self.gap(&pool).unwrap_or(u64::MAX);
            for row in rows.iter_mut() {
                // The offset in the pool if all its blocks had the full length.
                let offset = if *row < gap {
                    *row
                } else {
                    *row + self.short_by
                };
                let slot = pool.index * self.mixed + offset / self.block;
                *row = self.blocks.row(slot) * self.block + offset % self.block;
            }
            done += rows.len();
        }
    }

    /// The position of a row below the length.
    pub(crate) fn position(&self, row: u64) -> u64 {
        let slot = self.blocks.position(row / self.block);
        let pool = self.pool(slot / self.mixed);
        let mut offset = slot % self.mixed * self.block + row % self.block;
        if self.gap(&pool).is_some_and(|gap| offset >= gap) {
            offset -= self.short_by;
        }
        pool.start + self.shuffle(&pool).position(offset)
    }
}

/// How far apart two neighbours in the file are in the epoch, on average. See
/// [`Sampler::mixing`](crate::Sampler::mixing).
pub(crate) fn mixing(len: u64, block: u64, mixed: u64) -> f64 {
    let block = block.clamp(1, len.max(1));
    let blocks = len.div_ceil(block);
    if len < 3 || mixed >= blocks {
        return 1.0;
    }
    let (rows, block, pool) = (len as f64, block as f64, block as f64 * mixed as f64);
    // Two random positions out of n are (n + 1) / 3 apart on average.
    let global = (rows + 1.0) / 3.0;
    let within = (pool + 1.0) / 3.0;
    // The mean over all pairs of rows is `global`, and over pairs in one block it is `within`. That
    // gives the mean over pairs in two blocks.
    let together = (block - 1.0) / (rows - 1.0);
    let across = (global - together * within) / (1.0 - together);
    let neighbours = (rows - blocks as f64) / (rows - 1.0);
    let mean = neighbours * within + (1.0 - neighbours) * across;
    ((mean - 1.0) / (global - 1.0)).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The same order, made with vectors of rows.
    fn naive(len: u64, block: u64, mixed: u64, seed: u64, epoch: u64) -> Vec<u64> {
        let all: Vec<u64> = (0..len).collect();
        let file: Vec<&[u64]> = all.chunks(block as usize).collect();
        let blocks = Permutation::new(file.len() as u64, part_of(seed, BLOCKS, 0), epoch);
        let blocks: Vec<&[u64]> = blocks
            .rows(0..file.len() as u64)
            .map(|block| file[block as usize])
            .collect();
        let mut rows = Vec::new();
        for (number, pool) in blocks.chunks(mixed as usize).enumerate() {
            let pool = pool.concat();
            let len = pool.len() as u64;
            let shuffle = Permutation::new(len, part_of(seed, POOL, number as u64), epoch);
            rows.extend(shuffle.rows(0..len).map(|offset| pool[offset as usize]));
        }
        rows
    }

    proptest! {
        #[test]
        fn blocks_equal_a_naive_reference(
            len in 0..3000_u64, block in 1..400_u64, mixed in 1..20_u64, seed: u64,
            epoch in 0..5_u64, cut in 0.0..1.0_f64,
        ) {
            let blocks = Blocks::new(len, block, mixed, seed, epoch);
            let naive = naive(len, block, mixed, seed, epoch);
            let cut = (len as f64 * cut) as u64;
            let mut rows = vec![0; len as usize];
            let (first, second) = rows.split_at_mut(cut as usize);
            blocks.fill(0..cut, first);
            blocks.fill(cut..len, second);
            prop_assert_eq!(&rows, &naive);
            for (position, row) in rows.iter().enumerate().step_by(37) {
                prop_assert_eq!(blocks.position(*row), position as u64);
            }
        }

        #[test]
        fn position_is_the_inverse_at_any_length(
            len in 1..=1_u64 << 63, block in 1..=1_u64 << 63, mixed in 1..=1_u64 << 63, seed: u64,
            at: u64,
        ) {
            let blocks = Blocks::new(len, block, mixed, seed, 0);
            let mut row = [0];
            blocks.fill(at % len..at % len + 1, &mut row);
            prop_assert!(row[0] < len);
            prop_assert_eq!(blocks.position(row[0]), at % len);
        }
    }

    #[test]
    fn mixing_is_what_is_measured() {
        for (len, block, mixed) in [
            (10_000, 100, 1),
            (10_000, 100, 10),
            (10_000, 100, 50),
            (10_000, 10, 4),
            (10_000, 3000, 1),
            (10_000, 1, 1),
            (9_999, 1000, 10),
        ] {
            let (mut sum, mut count) = (0.0, 0.0);
            for epoch in 0..60 {
                let blocks = Blocks::new(len, block, mixed, 1, epoch);
                let mut rows = vec![0; len as usize];
                blocks.fill(0..len, &mut rows);
                let mut positions = vec![0_i64; len as usize];
                for (position, row) in rows.iter().enumerate() {
                    positions[*row as usize] = position as i64;
                }
                for pair in positions.windows(2) {
                    sum += pair[0].abs_diff(pair[1]) as f64;
                    count += 1.0;
                }
            }
            let measured = (sum / count - 1.0) / ((len as f64 + 1.0) / 3.0 - 1.0);
            let told = mixing(len, block, mixed);
            assert!(
                (told - measured).abs() < 0.03,
                "{block} {mixed}: {told} {measured}"
            );
        }
        assert_eq!(mixing(10_000, 100, 100), 1.0);
        assert_eq!(mixing(10_000, 1, 1), 1.0);
        assert!(mixing(10_000, 100, 1) < mixing(10_000, 100, 2));
    }
}
