//! Which row stands at which position of an epoch.

use std::ops::Range;

use crate::Permutation;

/// How the rows of an epoch are ordered: a pure function of (length, epoch, position).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampler {
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Sequential,
    Shuffled { seed: u64 },
}

impl Sampler {
    /// The rows in the order of the file, each epoch.
    pub fn sequential() -> Self {
        Self {
            kind: Kind::Sequential,
        }
    }

    /// All rows in a random order, each epoch another; see [`Permutation`].
    pub fn shuffled(seed: u64) -> Self {
        Self {
            kind: Kind::Shuffled { seed },
        }
    }

    /// Whether rows that follow each other in an epoch are far from each other in the file.
    pub fn is_random(&self) -> bool {
        self.kind != Kind::Sequential
    }

    /// The order of an epoch.
    ///
    /// # Panics
    ///
    /// Panics if `len` is above 2^63.
    pub fn order(&self, len: u64, epoch: u64) -> Order {
        Order {
            len,
            permutation: match self.kind {
                Kind::Sequential => None,
                Kind::Shuffled { seed } => Some(Permutation::new(len, seed, epoch)),
            },
        }
    }
}

/// The order of one epoch.
#[derive(Clone, Debug)]
pub struct Order {
    len: u64,
    permutation: Option<Permutation>,
}

impl Order {
    /// How many positions there are.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there are no positions.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The row at a position.
    ///
    /// # Panics
    ///
    /// Panics if the position is not below [`len`](Self::len).
    pub fn row(&self, position: u64) -> u64 {
        match &self.permutation {
            Some(permutation) => permutation.row(position),
            None => {
                assert!(position < self.len, "position {position} of {}", self.len);
                position
            }
        }
    }

    /// The rows at a range of positions, in order.
    ///
    /// # Panics
    ///
    /// The iterator panics at a position that is not below [`len`](Self::len).
    pub fn rows(&self, positions: Range<u64>) -> impl Iterator<Item = u64> + '_ {
        positions.map(|position| self.row(position))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequential_is_the_order_of_the_file() {
        let order = Sampler::sequential().order(5, 9);
        assert_eq!(order.rows(1..4).collect::<Vec<_>>(), [1, 2, 3]);
    }

    #[test]
    fn shuffled_is_the_permutation() {
        let order = Sampler::shuffled(3).order(5000, 9);
        let permutation = Permutation::new(5000, 3, 9);
        assert!(order.rows(0..5000).eq(permutation.rows(0..5000)));
    }

    #[test]
    #[should_panic(expected = "position 5 of 5")]
    fn beyond_the_end_is_a_bug() {
        Sampler::sequential().order(5, 0).row(5);
    }
}
