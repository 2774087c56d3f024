//! A shuffle that keeps the rows of a block of the file close to each other.
//!
//! The file is cut into blocks, the blocks are shuffled, as many as are mixed at a time make a pool,
//! and the rows of each pool are shuffled among themselves. So a pool can be read block by block, and
//! each row is still a pure function of (length, seed, epoch, position), without memory. Reading
//! in blocks through a buffer that is shuffled is what CorgiPile does (Xu et al., *In-Database Machine
//! Learning with CorgiPile: Stochastic Gradient Descent without Full Data Shuffle*, 2022).

use std::ops::Range;

use crate::Permutation;
use crate::order::keys::part_of;

/// Tags that keep the two kinds of permutations apart.
const BLOCKS: u64 = 1;
const POOL: u64 = 2;

/// The order of one epoch.
#[derive(Clone, Debug)]
pub(crate) struct Blocks {
    len: u64,
    seed: u64,
    epoch: u64,
    /// Rows of a block.
    block: u64,
    /// Blocks of a pool.
    mixed: u64,
    /// Which block stands where.
    blocks: Permutation,
    /// Where the last block of the file stands, which may be short,
    short_at: u64,
    /// and by how many rows.
    short_by: u64,
}

/// A pool: its number, the position at which it begins, and how many rows it has.
struct Pool {
    number: u64,
    start: u64,
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
            short_at: count.checked_sub(1).map_or(0, |last| blocks.position(last)),
            // The length may be close to 2^63, and the block as long.
            short_by: (block - len % block) % block,
            blocks,
        }
    }

    fn pool_rows(&self) -> u64 {
        self.block.saturating_mul(self.mixed)
    }

    /// The pool of a number.
    fn pool(&self, number: u64) -> Pool {
        let begin = |number: u64| {
            let rows = number.saturating_mul(self.pool_rows());
            let missing = match number > self.short_at / self.mixed {
                true => self.short_by,
                false => 0,
            };
            rows.saturating_sub(missing).min(self.len)
        };
        let start = begin(number);
        Pool {
            number,
            start,
            len: begin(number + 1) - start,
        }
    }

    /// The pool of a position.
    fn pool_at(&self, position: u64) -> Pool {
        let pool = self.pool(position / self.pool_rows());
        match position < pool.start + pool.len {
            true => pool,
            false => self.pool(pool.number + 1),
        }
    }

    fn shuffle(&self, pool: &Pool) -> Permutation {
        Permutation::new(pool.len, part_of(self.seed, POOL, pool.number), self.epoch)
    }

    /// Behind which row of a pool the short block leaves a gap, if it is in the pool.
    fn gap(&self, pool: u64) -> Option<u64> {
        (self.short_at / self.mixed == pool)
            .then(|| (self.short_at % self.mixed + 1) * self.block - self.short_by)
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
            let gap = self.gap(pool.number).unwrap_or(u64::MAX);
            for row in rows.iter_mut() {
                let place = match *row < gap {
                    true => *row,
                    false => *row + self.short_by,
                };
                let block = pool.number * self.mixed + place / self.block;
                *row = self.blocks.row(block) * self.block + place % self.block;
            }
            done += rows.len();
        }
    }

    /// The position of a row below the length.
    pub(crate) fn position(&self, row: u64) -> u64 {
        let block = self.blocks.position(row / self.block);
        let pool = self.pool(block / self.mixed);
        let mut place = block % self.mixed * self.block + row % self.block;
        if self.gap(pool.number).is_some_and(|gap| place >= gap) {
            place -= self.short_by;
        }
        pool.start + self.shuffle(&pool).position(place)
    }
}

/// How far apart in the epoch two neighbours in the file are on average, on a scale from 0, next to each
/// other, to 1, as far as in a shuffle of all rows.
pub(crate) fn mixing(len: u64, block: u64, mixed: u64) -> f64 {
    let block = block.clamp(1, len.max(1));
    let blocks = len.div_ceil(block);
    if len < 3 || mixed >= blocks {
        return 1.0;
    }
    let (rows, block, pool) = (len as f64, block as f64, block as f64 * mixed as f64);
    // Two of n places drawn at random are (n + 1) / 3 apart.
    let global = (rows + 1.0) / 3.0;
    let within = (pool + 1.0) / 3.0;
    // Two random rows are in one block, or in two: that gives the mean over those in two.
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

    /// The same order, made with vectors.
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
            rows.extend(shuffle.rows(0..len).map(|place| pool[place as usize]));
        }
        rows
    }

    proptest! {
        #[test]
        fn blocks_are_those_of_a_naive_reference(
            len in 0..3000_u64, seed: u64, epoch in 0..5_u64, block in 1..400_u64, mixed in 1..20_u64,
            cut in 0.0..1.0_f64,
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
        fn any_length_comes_back(
            len in 1..=1_u64 << 63, seed: u64, block in 1..=1_u64 << 63, mixed in 1..=1_u64 << 63, at: u64,
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
