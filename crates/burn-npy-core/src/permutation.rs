//! A shuffle of any length that takes no memory and can be undone.
//!
//! A keyed Feistel network (Luby and Rackoff, 1988) permutes the numbers of `bits` bits; what falls
//! outside the length is put in again until it falls inside (cycle walking: Black and Rogaway, *Ciphers
//! with Arbitrary Finite Domains*, 2002). The domain is less than twice the length, so fewer than two
//! turns are expected. Up to [`TABLE_LEN`] rows a table is both better and faster.
//!
//! Every number here is part of the order that users have pinned by their seeds: a change of any is a
//! new [`Permutation::VERSION`].

use std::ops::Range;
use std::sync::Arc;

/// Luby and Rackoff need 3 or 4 rounds of ideal functions; with ours, 4 are measurably biased and 8
/// are not.
const ROUNDS: usize = 8;

/// Below this the halves of a Feistel network have too few bits to mix well.
const TABLE_LEN: u64 = 4096;

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// A permutation of `0..len` that depends on a seed and an epoch, and on nothing else: no clock, no
/// thread, no platform, no version of another crate.
///
/// # Example
///
/// ```
/// use burn_npy_core::Permutation;
///
/// let permutation = Permutation::new(1_000_000_000, 42, 0);
/// let row = permutation.row(0);
/// assert_eq!(permutation.position(row), 0);
/// ```
#[derive(Clone, Debug)]
pub struct Permutation {
    len: u64,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Table {
        rows: Arc<[u16]>,
        positions: Arc<[u16]>,
    },
    Feistel {
        keys: [u64; ROUNDS],
        low_bits: u32,
        low_mask: u64,
        high_mask: u64,
    },
}

impl Permutation {
    /// The version of the order; it changes with any change of a result.
    pub const VERSION: u32 = 1;

    /// The permutation of `0..len` for a seed and an epoch. The two are hashed together, so that no
    /// epoch of one seed is an epoch of another.
    ///
    /// # Panics
    ///
    /// Panics if `len` is above 2^63.
    pub fn new(len: u64, seed: u64, epoch: u64) -> Self {
        assert!(len <= 1 << 63, "a permutation of more than 2^63 rows");
        let mut keys = Keys::new(seed, epoch);
        let kind = if len <= TABLE_LEN {
            let mut rows: Vec<u16> = (0..len as u16).collect();
            // Fisher and Yates, with Lemire's multiplication in place of a division.
            for last in (1..rows.len()).rev() {
                let bound = last as u128 + 1;
                let other = (u128::from(keys.next()) * bound) >> 64;
                rows.swap(last, other as usize);
            }
            let mut positions = vec![0; rows.len()];
            for (position, row) in rows.iter().enumerate() {
                positions[usize::from(*row)] = position as u16;
            }
            Kind::Table {
                rows: rows.into(),
                positions: positions.into(),
            }
        } else {
            let bits = u64::BITS - (len - 1).leading_zeros();
            let low_bits = bits.div_ceil(2);
            Kind::Feistel {
                keys: std::array::from_fn(|_| keys.next()),
                low_bits,
                low_mask: (1 << low_bits) - 1,
                high_mask: (1 << (bits - low_bits)) - 1,
            }
        };
        Self { len, kind }
    }

    /// How many rows there are.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The row at a position of the epoch.
    ///
    /// # Panics
    ///
    /// Panics if the position is not below [`len`](Self::len).
    #[inline]
    pub fn row(&self, position: u64) -> u64 {
        assert!(position < self.len, "position {position} of {}", self.len);
        match &self.kind {
            Kind::Table { rows, .. } => rows[position as usize].into(),
            Kind::Feistel {
                keys,
                low_bits,
                low_mask,
                high_mask,
            } => {
                let mut value = position;
                loop {
                    let mut high = value >> low_bits;
                    let mut low = value & low_mask;
                    for pair in keys.as_chunks::<2>().0 {
                        low ^= round(high, pair[0]) & low_mask;
                        high ^= round(low, pair[1]) & high_mask;
                    }
                    value = high << low_bits | low;
                    if value < self.len {
                        return value;
                    }
                }
            }
        }
    }

    /// The position of a row in the epoch: the inverse of [`row`](Self::row).
    ///
    /// # Panics
    ///
    /// Panics if the row is not below [`len`](Self::len).
    pub fn position(&self, row: u64) -> u64 {
        assert!(row < self.len, "row {row} of {}", self.len);
        match &self.kind {
            Kind::Table { positions, .. } => positions[row as usize].into(),
            Kind::Feistel {
                keys,
                low_bits,
                low_mask,
                high_mask,
            } => {
                let mut value = row;
                loop {
                    let mut high = value >> low_bits;
                    let mut low = value & low_mask;
                    for pair in keys.as_chunks::<2>().0.iter().rev() {
                        high ^= round(low, pair[1]) & high_mask;
                        low ^= round(high, pair[0]) & low_mask;
                    }
                    value = high << low_bits | low;
                    if value < self.len {
                        return value;
                    }
                }
            }
        }
    }

    /// The rows at a range of positions.
    ///
    /// # Panics
    ///
    /// The iterator panics at a position that is not below [`len`](Self::len).
    pub fn rows(&self, positions: Range<u64>) -> impl Iterator<Item = u64> + '_ {
        positions.map(|position| self.row(position))
    }
}

/// The round function: two multiplications spread every bit of the half and of the key over the low
/// half of the result.
#[inline(always)]
fn round(half: u64, key: u64) -> u64 {
    let mut x = (half ^ key).wrapping_mul(0xd6e8_feb8_6659_fd93);
    x ^= x >> 32;
    x.wrapping_mul(0xa076_1d64_78bd_642f) >> 32
}

/// The stream of keys of a seed and an epoch.
struct Keys {
    first: u64,
    second: u64,
}

impl Keys {
    fn new(seed: u64, epoch: u64) -> Self {
        Self {
            first: mix(mix(seed.wrapping_add(GOLDEN)).wrapping_add(epoch)),
            second: mix(mix(epoch ^ GOLDEN).wrapping_add(seed)),
        }
    }

    fn next(&mut self) -> u64 {
        self.first = self.first.wrapping_add(GOLDEN);
        self.second = self.second.wrapping_add(0xd1b5_4a32_d192_ed03);
        mix(self.first) ^ mix(self.second)
    }
}

/// The finalizer of SplitMix64 (Steele, Lea and Flood, 2014).
fn mix(mut x: u64) -> u64 {
    x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `twin.py` wrote the vectors, from the description of the order and not from this code. A change
    /// of any of them is a new version of the order.
    #[test]
    fn golden_vectors() {
        let mut count = 0;
        for line in include_str!("../tests/golden.txt").lines() {
            let (key, rows) = line.split_once(':').unwrap();
            let numbers = |text: &str| -> Vec<u64> {
                text.split_whitespace()
                    .map(|n| n.parse().unwrap())
                    .collect()
            };
            let [len, seed, epoch] = numbers(key)[..] else {
                panic!("{key}");
            };
            let permutation = Permutation::new(len, seed, epoch);
            let found: Vec<u64> = permutation.rows(0..len.min(8)).collect();
            assert_eq!(found, numbers(rows), "{key}");
            count += 1;
        }
        assert_eq!(count, 50);
    }

    #[test]
    fn every_row_has_one_position() {
        for len in [0, 1, 2, 3, 100, 4095, 4096, 4097, 5000, 65_536, 100_003] {
            let permutation = Permutation::new(len, 7, 3);
            let mut seen = vec![false; len as usize];
            for (position, row) in permutation.rows(0..len).enumerate() {
                assert!(!std::mem::replace(&mut seen[row as usize], true));
                assert_eq!(permutation.position(row), position as u64);
            }
            assert!(seen.iter().all(|seen| *seen));
        }
    }

    #[test]
    fn seeds_and_epochs_are_not_added() {
        let first = |seed, epoch| {
            Permutation::new(100_000, seed, epoch)
                .rows(0..64)
                .collect::<Vec<_>>()
        };
        assert_ne!(first(0, 1), first(1, 0));
        assert_ne!(first(0, 0), first(0, 1));
        assert_ne!(first(5, 5), first(4, 6));
    }

    /// Pearson's chi-squared of where a tenth of the rows, neighbours in the file, end up among 50
    /// parts of the epoch, over many epochs. 49 degrees of freedom: 99.99 % are below 96.
    #[test]
    fn neighbours_are_spread_evenly() {
        for len in [1000, 4097, 6000, 60_000, 70_000] {
            let mut counts = [0_u64; 50];
            let epochs = 40;
            for epoch in 0..epochs {
                let permutation = Permutation::new(len, 1, epoch);
                for row in 0..len / 10 {
                    counts[(permutation.position(row) * 50 / len) as usize] += 1;
                }
            }
            let expected = (epochs * (len / 10)) as f64 / 50.0;
            let chi2: f64 = counts
                .iter()
                .map(|count| (*count as f64 - expected).powi(2) / expected)
                .sum();
            assert!(chi2 < 96.0, "{len}: {chi2}");
        }
    }

    proptest! {
        #[test]
        fn positions_come_back(len in 1..=1_u64 << 63, seed: u64, epoch: u64, at: u64) {
            let permutation = Permutation::new(len, seed, epoch);
            let position = at % len;
            let row = permutation.row(position);
            prop_assert!(row < len);
            prop_assert_eq!(permutation.position(row), position);
        }
    }
}
