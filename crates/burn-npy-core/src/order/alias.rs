//! Rows drawn with given probabilities, with replacement.
//!
//! This is the alias method (Walker, 1977) with Vose's table (*A Linear Algorithm for Generating
//! Random Numbers with a Given Distribution*, 1991). Each draw takes one random number and one
//! table lookup. The random number depends on the position alone, so a draw is a pure function of
//! (weights, seed, epoch, position).

use crate::order::keys::{Keys, part_of};
use crate::order::shared::Shared;

const TAG: u64 = 3;

/// The alias table, 16 bytes a row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Alias {
    columns: Shared<Column>,
}

/// One column of the table. Column `k` stands for row `k` below `height`, and for row `other` from
/// there on.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Column {
    height: u64,
    other: u64,
}

impl Alias {
    /// Builds the table. The weights must be finite, not negative, and not all zero.
    pub(crate) fn new(weights: &[f64]) -> Self {
        // The weights are divided by the largest one first, so that their sum stays finite.
        let heaviest = (0..weights.len()).fold(0, |best, row| {
            if weights[row] > weights[best] {
                row
            } else {
                best
            }
        });
        let largest = weights.get(heaviest).copied().unwrap_or(1.0);
        let sum: f64 = weights.iter().map(|weight| weight / largest).sum();
        let scale = weights.len() as f64 / sum;
        let mut shares: Vec<f64> = weights.iter().map(|w| w / largest * scale).collect();
        let (mut small, mut large): (Vec<u64>, Vec<u64>) =
            (0..weights.len() as u64).partition(|row| shares[*row as usize] < 1.0);
        // Rounding may leave rows over at the end. Their columns are full, except that a row of
        // weight zero must never come.
        let mut columns: Vec<Column> = (0..weights.len())
            .map(|row| {
                let (height, other) = if weights[row] > 0.0 {
                    (u64::MAX, row)
                } else {
                    (0, heaviest)
                };
                Column {
                    height,
                    other: other as u64,
                }
            })
            .collect();
        while let (Some(row), Some(other)) = (small.pop(), large.last().copied()) {
            let share = shares[row as usize];
            columns[row as usize] = Column {
                // The share times 2^64. The cast saturates.
                height: (share * 18_446_744_073_709_551_616.0) as u64,
                other,
            };
            let left = (shares[other as usize] + share) - 1.0;
            shares[other as usize] = left;
            if left < 1.0 {
                large.pop();
                small.push(other);
            }
        }
        Self {
            columns: columns.into(),
        }
    }

    pub(crate) fn len(&self) -> u64 {
        self.columns.len() as u64
    }

    /// The contents of the table, for a fingerprint.
    pub(crate) fn words(&self) -> impl Iterator<Item = u64> {
        self.columns.iter().flat_map(|c| [c.height, c.other])
    }

    /// The draws of an epoch.
    pub(crate) fn draws(&self, seed: u64, epoch: u64) -> Draws {
        Draws {
            table: self.clone(),
            keys: Keys::new(part_of(seed, TAG, 0), epoch),
        }
    }
}

/// The draws of one epoch.
#[derive(Clone, Debug)]
pub(crate) struct Draws {
    table: Alias,
    keys: Keys,
}

impl Draws {
    pub(crate) fn fill(&self, start: u64, rows: &mut [u64]) {
        let columns = &*self.table.columns;
        for (position, row) in (start..).zip(rows) {
            // The upper half of the product picks the column, the lower half is the height.
            let product = u128::from(self.keys.at(position)) * columns.len() as u128;
            let picked = (product >> 64) as u64;
            let column = columns[picked as usize];
            *row = if (product as u64) < column.height {
                picked
            } else {
                column.other
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_come_as_often_as_their_weights_say() {
        let mut weights: Vec<f64> = (0..100).map(|row| f64::from(row % 7) * 0.3).collect();
        weights[50] = 200.0;
        let sum: f64 = weights.iter().sum();
        let mut rows = vec![0; 400_000];
        Alias::new(&weights).draws(5, 2).fill(0, &mut rows);
        let mut counts = [0_u64; 100];
        rows.iter().for_each(|row| counts[*row as usize] += 1);
        for (count, weight) in counts.iter().zip(&weights) {
            let expected = weight / sum * rows.len() as f64;
            assert!((*count as f64 - expected).abs() <= 5.0 * expected.sqrt());
            assert!(*weight > 0.0 || *count == 0);
        }
    }

    #[test]
    fn extreme_weights_work() {
        for (weights, allowed) in [
            (vec![0.0, 0.0, 5e-324], vec![2]),
            (vec![f64::MAX, f64::MAX, 0.0], vec![0, 1]),
            (vec![1.0], vec![0]),
        ] {
            let mut rows = [0; 1000];
            Alias::new(&weights).draws(1, 1).fill(0, &mut rows);
            assert!(rows.iter().all(|row| allowed.contains(row)), "{weights:?}");
        }
    }

    #[test]
    fn a_draw_belongs_to_its_position() {
        let draws = Alias::new(&[1.0, 2.0, 3.0, 4.0]).draws(9, 9);
        let mut all = [0; 100];
        draws.fill(0, &mut all);
        let mut part = [0; 10];
        draws.fill(60, &mut part);
        assert_eq!(part, all[60..70]);
    }
}
