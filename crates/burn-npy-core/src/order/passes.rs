//! Orders that have each entry once, and epochs of any length that go on through such orders.

use std::ops::Range;
use std::sync::Arc;

use crate::Permutation;
use crate::order::Arrangement;
use crate::order::blocks::Blocks;

/// An order that has each entry once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Once {
    Sequential,
    Shuffled {
        seed: u64,
    },
    Blocks {
        seed: u64,
        block: u64,
        mixed: u64,
    },
    /// The first pass is that of `Blocks`, all others are those of `Shuffled`.
    BlocksFirst {
        seed: u64,
        block: u64,
        mixed: u64,
    },
}

impl Once {
    /// The order of one pass over all entries.
    pub(crate) fn pass(self, entries: u64, pass: u64) -> Arrangement {
        match self {
            Self::Sequential => Arrangement::Sequential,
            Self::BlocksFirst { seed, block, mixed } if pass == 0 => {
                Self::Blocks { seed, block, mixed }.pass(entries, pass)
            }
            Self::Shuffled { seed } | Self::BlocksFirst { seed, .. } => {
                Arrangement::Shuffled(Permutation::new(entries, seed, pass))
            }
            Self::Blocks { seed, block, mixed } => {
                Arrangement::Blocks(Blocks::new(entries, block, mixed, seed, pass))
            }
        }
    }
}

/// An epoch that is a part of an endless sequence of passes.
#[derive(Clone, Debug)]
pub(crate) struct Passes {
    order: Once,
    entries: u64,
    /// The pass in which the epoch starts, and where in it.
    first: u64,
    offset: u64,
    /// That pass and the next, which are all of an epoch that is not longer than a pass.
    known: Arc<[Arrangement; 2]>,
}

impl Passes {
    /// Epoch `epoch` of those of `len` positions each. There must be entries.
    pub(crate) fn new(order: Once, entries: u64, len: u64, epoch: u64) -> Self {
        let start = u128::from(epoch) * u128::from(len);
        // Beyond 2^64 passes, their numbers start again.
        let first = (start / u128::from(entries)) as u64;
        let known = [first, first.wrapping_add(1)].map(|pass| order.pass(entries, pass));
        Self {
            order,
            entries,
            first,
            offset: (start % u128::from(entries)) as u64,
            known: Arc::new(known),
        }
    }

    pub(crate) fn fill(&self, positions: Range<u64>, mut entries: &mut [u64]) {
        let mut position = u128::from(self.offset) + u128::from(positions.start);
        while !entries.is_empty() {
            let pass = (position / u128::from(self.entries)) as u64;
            let start = (position % u128::from(self.entries)) as u64;
            let count = (self.entries - start).min(entries.len() as u64);
            let (now, rest) = entries.split_at_mut(count as usize);
            match self.known.get(pass as usize) {
                Some(known) => known.fill(start..start + count, now),
                None => {
                    let pass = self.first.wrapping_add(pass);
                    let order = self.order.pass(self.entries, pass);
                    order.fill(start..start + count, now);
                }
            }
            position += u128::from(count);
            entries = rest;
        }
    }
}
