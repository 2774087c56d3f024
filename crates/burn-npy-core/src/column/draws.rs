//! The draws of an epoch that rows are gathered for.

use std::ops::Range;

/// Where rows stand in an epoch, for the generators of their transforms.
#[derive(Clone, Copy, Debug, Default)]
pub struct Draws<'a> {
    /// The seed of the sampler.
    pub seed: u64,
    /// The epoch.
    pub epoch: u64,
    /// The position of each row.
    pub positions: &'a [u64],
}

impl<'a> Draws<'a> {
    /// The draws of some of the rows. Rows that no transform makes need no positions.
    pub fn part(&self, rows: Range<usize>) -> Self {
        Self {
            positions: self.positions.get(rows).unwrap_or(&[]),
            ..*self
        }
    }

    /// The same epoch at other positions.
    pub(super) fn at<'b>(&self, positions: &'b [u64]) -> Draws<'b> {
        Draws {
            seed: self.seed,
            epoch: self.epoch,
            positions,
        }
    }
}
