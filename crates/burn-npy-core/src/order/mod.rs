//! Which row stands at which position of one epoch.

use std::ops::Range;

mod alias;
mod blocks;
mod chunks;
mod classes;
mod entries;
mod feistel;
mod index;
mod keys;
mod permutation;
mod plan;
mod position_rng;
mod race;
mod sampler;
mod shard;
mod shared;
mod partition;

pub use index::read_index;
pub use permutation::Permutation;
pub use plan::{BatchPosition, Plan, Remainder};
pub use position_rng::PositionRng;
pub use sampler::Sampler;
pub use shard::Shard;
pub use partition::Partition;

use crate::order::alias::Draws;
use crate::order::blocks::Blocks;
use crate::order::chunks::{Chunks, check_fill};
use crate::order::entries::{Entries, Search};
use crate::order::shared::Shared;

/// The order of one epoch, as [`Sampler::order`](crate::Sampler::order) gives it. Clones share what
/// memory it has.
///
/// # Example
///
/// ```
/// use burn_npy_core::{Plan, Sampler};
///
/// let order = Sampler::shuffled(42).order(60_000, 3);
/// let plan = Plan::new(0..order.len(), 256, false);
///
/// // The rows of batch 7, and back.
/// let rows: Vec<u64> = order.rows(plan.batch(7)).collect();
/// let place = order.position(rows[5]).and_then(|position| plan.locate(position)).unwrap();
/// assert_eq!((place.batch, place.offset), (7, 5));
/// ```
#[derive(Clone, Debug)]
pub struct Order {
    /// How many positions there are.
    len: u64,
    /// How many rows the dataset has.
    rows: u64,
    base: Base,
    entries: Entries,
}

/// Which entry stands at a position.
#[derive(Clone, Debug)]
pub(crate) enum Base {
    Sequential,
    Shuffled(Permutation),
    Blocks(Blocks),
    Drawn(Draws),
    Listed(Shared<u64>),
}

impl Order {
    /// The version of all orders that samplers give, and of what a [`PositionRng`] is keyed by; it
    /// changes with any change of a result. The shuffle of all rows has [`Permutation::VERSION`].
    pub const VERSION: u32 = 3;

    pub(crate) fn new(len: u64, rows: u64, base: Base, entries: Entries) -> Self {
        Self {
            len,
            rows,
            base,
            entries,
        }
    }

    /// How many positions there are.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there are no positions.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The row at a position; [`fill`](Self::fill) is faster for many.
    ///
    /// # Panics
    ///
    /// Panics if the position is not below [`len`](Self::len).
    pub fn row(&self, position: u64) -> u64 {
        assert!(position < self.len, "position {position} of {}", self.len);
        let mut row = [0];
        match &self.base {
            Base::Shuffled(permutation) => row[0] = permutation.row(position),
            base => base.fill(position..position + 1, &mut row),
        }
        self.entries.resolve(&mut row);
        row[0]
    }

    /// Writes the rows at a range of positions into a slice.
    ///
    /// # Panics
    ///
    /// Panics if the slice is not as long as the range, or if a position is not below
    /// [`len`](Self::len).
    pub fn fill(&self, positions: Range<u64>, rows: &mut [u64]) {
        check_fill(&positions, self.len, rows.len());
        self.base.fill(positions, rows);
        self.entries.resolve(rows);
    }

    /// The rows at a range of positions, in order.
    ///
    /// # Panics
    ///
    /// The iterator panics before a position that is not below [`len`](Self::len).
    pub fn rows(&self, positions: Range<u64>) -> impl Iterator<Item = u64> + '_ {
        Chunks::new(positions, |positions, rows| self.fill(positions, rows))
    }

    /// The first position of a row, or none if the epoch does not have it. Of a shuffle, of blocks and of
    /// windows over them the inverse is known; otherwise it is a search through the epoch.
    pub fn position(&self, row: u64) -> Option<u64> {
        match self.inverse(row) {
            Ok(position) => position,
            Err(Search) => self.search(row).next(),
        }
    }

    /// All positions of a row, ascending: more than one where rows repeat.
    pub fn positions(&self, row: u64) -> impl Iterator<Item = u64> + '_ {
        let (known, found) = match self.inverse(row) {
            Ok(position) => (position, None),
            Err(Search) => (None, Some(self.search(row))),
        };
        known.into_iter().chain(found.into_iter().flatten())
    }

    fn search(&self, row: u64) -> impl Iterator<Item = u64> + '_ {
        self.rows(0..self.len)
            .zip(0..)
            .filter(move |(found, _)| *found == row)
            .map(|(_, position)| position)
    }

    fn inverse(&self, row: u64) -> Result<Option<u64>, Search> {
        let Some(entry) = self.entries.entry(row, self.rows)? else {
            return Ok(None);
        };
        match &self.base {
            Base::Sequential => Ok(Some(entry)),
            Base::Shuffled(permutation) => Ok(Some(permutation.position(entry))),
            Base::Blocks(blocks) => Ok(Some(blocks.position(entry))),
            Base::Drawn(_) | Base::Listed(_) => Err(Search),
        }
    }
}

impl Base {
    fn fill(&self, positions: Range<u64>, entries: &mut [u64]) {
        match self {
            Self::Sequential => {
                for (entry, position) in entries.iter_mut().zip(positions) {
                    *entry = position;
                }
            }
            Self::Shuffled(permutation) => permutation.fill(positions, entries),
            Self::Blocks(blocks) => blocks.fill(positions, entries),
            Self::Drawn(draws) => draws.fill(positions.start, entries),
            Self::Listed(list) => {
                let Range { start, end } = positions;
                entries.copy_from_slice(&list[start as usize..end as usize]);
            }
        }
    }
}
