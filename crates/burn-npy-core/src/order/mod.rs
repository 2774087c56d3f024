//! The order of an epoch: which row is at which position.
//!
//! A [`Sampler`](crate::Sampler) gives the [`Order`] of an epoch. A [`Plan`] divides the order into
//! batches, for one [`Shard`] or several. A [`Partition`] divides rows into folds, or into parts
//! for training and validation. A [`PositionRng`] gives random numbers for a position. All of them
//! are pure functions of their arguments.

use std::ops::Range;

mod alias;
mod blocks;
mod buckets;
mod chunks;
mod classes;
pub(crate) mod domain;
mod feistel;
pub(crate) mod hash;
mod index;
pub(crate) mod keys;
mod partition;
mod passes;
mod permutation;
mod plan;
mod position_rng;
pub(crate) mod sampler;
mod shard;
pub(crate) mod shared;
mod tokens;
mod uniform;
mod weighted_without_replacement;

pub use index::read_index;
pub use partition::Partition;
pub use permutation::Permutation;
pub use plan::{BatchPosition, Plan, Remainder};
pub use position_rng::PositionRng;
pub use shard::Shard;

use crate::order::alias::Draws;
use crate::order::blocks::Blocks;
use crate::order::chunks::{Chunks, check_fill};
use crate::order::domain::{Domain, Search};
use crate::order::passes::Passes;
use crate::order::shared::Shared;
use crate::order::uniform::Uniform;

/// The order of one epoch: the row at each position. [`Sampler::order`](crate::Sampler::order)
/// makes it. Clones share their memory.
///
/// # Example
///
/// ```
/// # extern crate burn_npy_core as burn_npy;
/// use burn_npy::{Sampler, order::Plan};
///
/// let order = Sampler::shuffled(42).order(60_000, 3);
/// let plan = Plan::new(0..order.len(), 256, false);
///
/// // The rows of batch 7, and back.
/// let rows: Vec<u64> = order.rows(plan.batch(7)).collect();
/// let position = order.position(rows[5]).unwrap();
/// let found = plan.locate(position).unwrap();
/// assert_eq!((found.batch, found.offset), (7, 5));
/// ```
#[derive(Clone, Debug)]
pub struct Order {
    /// The number of positions.
    len: u64,
    /// The number of rows of the dataset.
    rows: u64,
    arrangement: Arrangement,
    domain: Domain,
    batch_ends: Option<Shared<u64>>,
}

/// Which entry of the domain is at each position.
#[derive(Clone, Debug)]
pub(crate) enum Arrangement {
    Sequential,
    Shuffled(Permutation),
    Blocks(Blocks),
    Passes(Passes),
    Uniform(Uniform),
    Drawn(Draws),
    Listed(Shared<u64>),
}

impl Order {
    /// The version of the orders of all samplers and of the numbers of a [`PositionRng`]. It
    /// changes whenever any of their results does. [`Permutation::VERSION`] is that of the plain
    /// shuffle.
    pub const VERSION: u32 = 3;

    pub(crate) fn new(len: u64, rows: u64, arrangement: Arrangement, domain: Domain) -> Self {
        Self {
            len,
            rows,
            arrangement,
            domain,
            batch_ends: None,
        }
    }

    pub(crate) fn in_batches(self, ends: Vec<u64>) -> Self {
        Self {
            batch_ends: Some(ends.into()),
            ..self
        }
    }

    /// The position behind the last row of each batch, ascending, if the sampler makes the batches:
    /// [`Sampler::max_tokens`](crate::Sampler::max_tokens) does. `None` if a batch may be any run
    /// of positions.
    pub fn batch_ends(&self) -> Option<&[u64]> {
        self.batch_ends.as_deref()
    }

    /// Whether it is a list in memory, which takes long to draw.
    pub(crate) fn is_list(&self) -> bool {
        matches!(self.arrangement, Arrangement::Listed(_))
    }

    /// The number of positions.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there are no positions.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The row at a position. [`fill`](Self::fill) is faster for many positions.
    ///
    /// # Panics
    ///
    /// Panics if the position is not below [`len`](Self::len).
    pub fn row(&self, position: u64) -> u64 {
        assert!(position < self.len, "position {position} of {}", self.len);
        let mut row = [0];
        match &self.arrangement {
            Arrangement::Shuffled(permutation) => row[0] = permutation.row(position),
            arrangement => arrangement.fill(position..position + 1, &mut row),
        }
        self.domain.resolve(&mut row);
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
        self.arrangement.fill(positions, rows);
        self.domain.resolve(rows);
    }

    /// The rows at a range of positions, in order.
    ///
    /// # Panics
    ///
    /// The iterator panics before a position that is not below [`len`](Self::len).
    pub fn rows(&self, positions: Range<u64>) -> impl Iterator<Item = u64> + '_ {
        Chunks::new(positions, |positions, rows| self.fill(positions, rows))
    }

    /// The first position of a row, or `None` if the epoch does not have the row.
    ///
    /// This is O(1) for a sequential order, a shuffle and a shuffle in blocks, also of windows. For
    /// lists, drawn rows and epochs with a length of their own it searches the epoch.
    pub fn position(&self, row: u64) -> Option<u64> {
        match self.inverse(row) {
            Ok(position) => position,
            Err(Search) => self.search(row).next(),
        }
    }

    /// All positions of a row, ascending. There is more than one if the row repeats in the epoch.
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
        let Some(entry) = self.domain.entry(row, self.rows)? else {
            return Ok(None);
        };
        match &self.arrangement {
            Arrangement::Sequential => Ok(Some(entry)),
            Arrangement::Shuffled(permutation) => Ok(Some(permutation.position(entry))),
            Arrangement::Blocks(blocks) => Ok(Some(blocks.position(entry))),
            Arrangement::Passes(_)
            | Arrangement::Uniform(_)
            | Arrangement::Drawn(_)
            | Arrangement::Listed(_) => Err(Search),
        }
    }
}

impl Arrangement {
    fn fill(&self, positions: Range<u64>, entries: &mut [u64]) {
        match self {
            Self::Sequential => {
                for (entry, position) in entries.iter_mut().zip(positions) {
                    *entry = position;
                }
            }
            Self::Shuffled(permutation) => permutation.fill(positions, entries),
            Self::Blocks(blocks) => blocks.fill(positions, entries),
            Self::Passes(passes) => passes.fill(positions, entries),
            Self::Uniform(uniform) => uniform.fill(positions.start, entries),
            Self::Drawn(draws) => draws.fill(positions.start, entries),
            Self::Listed(list) => {
                let Range { start, end } = positions;
                entries.copy_from_slice(&list[start as usize..end as usize]);
            }
        }
    }
}
