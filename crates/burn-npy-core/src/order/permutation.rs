//! A shuffle of any length that needs no memory and has an inverse.
//!
//! It is a [`Feistel`] network. Up to [`TABLE_LEN`] rows it is a table, which is better mixed and
//! faster.
//!
//! Users pin orders by their seeds. A change of any constant here or in `feistel` changes those
//! orders, so it needs a new [`Permutation::VERSION`].

#[cfg(test)]
mod quality;

use std::ops::Range;

use crate::order::chunks::{Chunks, check_fill};
use crate::order::feistel::Feistel;
use crate::order::keys::{Keys, below};
use crate::order::shared::Shared;

/// Luby and Rackoff need 3 or 4 rounds of ideal round functions. With ours, the tests in `quality`
/// reject 4 rounds at every length and 6 where the halves are shortest; 8 rounds pass.
const ROUNDS: usize = 8;

/// The longest permutation that is a table. The halves of a shorter Feistel network would have too
/// few bits to mix well.
const TABLE_LEN: u64 = 4096;

/// A permutation of `0..len` that depends on a seed and an epoch only, not on the clock, threads,
/// the platform or the version of another crate.
///
/// # Example
///
/// ```
/// # extern crate burn_npy_core as burn_npy;
/// use burn_npy::order::Permutation;
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
        rows: Shared<u16>,
        positions: Shared<u16>,
    },
    Feistel(Feistel<ROUNDS>),
}

impl Permutation {
    /// The version of the permutations. It changes whenever a result does.
    pub const VERSION: u32 = 2;

    /// The permutation of `0..len` for a seed and an epoch. The two are hashed together, so the
    /// epochs of one seed are not those of another.
    ///
    /// # Panics
    ///
    /// Panics if `len` is above 2^63.
    pub fn new(len: u64, seed: u64, epoch: u64) -> Self {
        assert!(len <= 1 << 63, "a permutation of more than 2^63 rows");
        let keys = Keys::new(seed, epoch);
        let kind = if len <= TABLE_LEN {
            let mut rows: Vec<u16> = (0..len as u16).collect();
            // The Fisher-Yates shuffle.
            for (key, last) in (1..rows.len()).rev().enumerate() {
                let other = below(keys.at(key as u64), last as u64 + 1);
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
            Kind::Feistel(Feistel::new(len, &keys))
        };
        Self { len, kind }
    }

    /// The number of rows.
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
            Kind::Feistel(feistel) => feistel.row(position),
        }
    }

    /// The position of a row in the epoch. It is the inverse of [`row`](Self::row).
    ///
    /// # Panics
    ///
    /// Panics if the row is not below [`len`](Self::len).
    pub fn position(&self, row: u64) -> u64 {
        assert!(row < self.len, "row {row} of {}", self.len);
        match &self.kind {
            Kind::Table { positions, .. } => positions[row as usize].into(),
            Kind::Feistel(feistel) => feistel.position(row),
        }
    }

    /// Writes the rows at a range of positions into a slice. It is several times as fast as calling
    /// [`row`](Self::row) for each.
    ///
    /// # Panics
    ///
    /// Panics if the slice is not as long as the range, or if a position is not below
    /// [`len`](Self::len).
    pub fn fill(&self, positions: Range<u64>, rows: &mut [u64]) {
        check_fill(&positions, self.len, rows.len());
        match &self.kind {
            Kind::Table { rows: table, .. } => {
                let table = &table[positions.start as usize..positions.end as usize];
                for (row, found) in rows.iter_mut().zip(table) {
                    *row = (*found).into();
                }
            }
            Kind::Feistel(feistel) => feistel.fill(positions.start, rows),
        }
    }

    /// The rows at a range of positions, in order.
    ///
    /// # Panics
    ///
    /// The iterator panics before a position that is not below [`len`](Self::len).
    pub fn rows(&self, positions: Range<u64>) -> impl Iterator<Item = u64> + '_ {
        Chunks::new(positions, |positions, rows| self.fill(positions, rows))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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

    /// Counts where the first tenth of the rows ends up among 50 equal parts of the epoch, over
    /// many epochs, and compares with a uniform spread by Pearson's chi-squared. It has 49 degrees
    /// of freedom, so 99.99 % of random permutations are below 96.
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
