//! Entries drawn with replacement, each as likely as any other.

use crate::order::keys::{Keys, below, part_of};

const TAG: u64 = 10;

/// The draws of one epoch. A draw depends on the position alone.
#[derive(Clone, Debug)]
pub(crate) struct Uniform {
    entries: u64,
    keys: Keys,
}

impl Uniform {
    pub(crate) fn new(entries: u64, seed: u64, epoch: u64) -> Self {
        Self {
            entries,
            keys: Keys::new(part_of(seed, TAG, 0), epoch),
        }
    }

    pub(crate) fn fill(&self, start: u64, entries: &mut [u64]) {
        for (position, entry) in (start..).zip(entries) {
            *entry = below(self.keys.at(position), self.entries);
        }
    }
}
