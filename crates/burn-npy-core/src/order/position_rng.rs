//! A random number generator for each position of an epoch.

use std::convert::Infallible;

use rand_core::{Rng, TryRng};

use crate::order::keys::{Keys, part_of};

const TAG: u64 = 8;

/// A random number generator for one position of an epoch, for random transforms such as
/// augmentation.
///
/// Its numbers depend on the seed, the epoch and the position only. They do not depend on the
/// worker, the batch size, the machine, or the rows loaded before. If an epoch has a row at fifty
/// positions, each of the fifty has its own generator.
///
/// The generator is Philox4x32-10 (Salmon, Moraes, Dror and Shaw, *Parallel Random Numbers: As Easy
/// as 1, 2, 3*, 2011). Its key is a hash of the seed and the epoch. The position is the upper half
/// of its counter. It implements [`TryRng`], and so [`Rng`](rand_core::Rng) as well: the
/// distributions of `rand` 0.10 accept it, though another version of `rand` may turn the same
/// numbers into other values. It is not cryptographically secure.
///
/// # Example
///
/// ```
/// # extern crate burn_npy_core as burn_npy;
/// use burn_npy::order::PositionRng;
/// use rand::RngExt;
///
/// let flip = |position| PositionRng::new(42, 0, position).random_bool(0.5);
/// assert_eq!(flip(4711), flip(4711));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PositionRng {
    key: [u32; 2],
    position: u64,
    /// The index of the next block of four words.
    block: u64,
    words: [u32; 4],
    /// How many of `words` have been returned.
    used: usize,
}

impl PositionRng {
    /// The generator of a position. [`Plan::batch`](crate::Plan::batch) gives the positions of a
    /// batch.
    pub fn new(seed: u64, epoch: u64, position: u64) -> Self {
        Self::stream(seed, epoch, 0).at(position)
    }

    /// The generator of position 0 in one of many streams. Stream 0 is that of [`new`](Self::new).
    pub(crate) fn stream(seed: u64, epoch: u64, stream: u64) -> Self {
        let key = Keys::new(part_of(seed, TAG, stream), epoch).at(0);
        Self {
            key: halves(key),
            position: 0,
            block: 0,
            words: [0; 4],
            used: 4,
        }
    }

    /// The generator of another position, from its first number on.
    pub(crate) fn at(&self, position: u64) -> Self {
        Self {
            position,
            block: 0,
            words: [0; 4],
            used: 4,
            ..*self
        }
    }

    fn next(&mut self) -> u32 {
        if self.used == self.words.len() {
            let ([a, b], [c, d]) = (halves(self.block), halves(self.position));
            self.words = philox([a, b, c, d], self.key);
            self.block = self.block.wrapping_add(1);
            self.used = 0;
        }
        self.used += 1;
        self.words[self.used - 1]
    }

    /// A number below `n`, each with the same probability; 0 if `n` is 0. It takes two words. It
    /// takes two more for each number that it rejects, which happens with a probability below
    /// `n` / 2^64.
    ///
    /// The method is that of Lemire, *Fast Random Integer Generation in an Interval*, 2019: the
    /// upper half of the product of `n` and 64 random bits, rejected if the lower half is less than
    /// 2^64 modulo `n`.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        loop {
            let product = u128::from(self.next_u64()) * u128::from(n);
            let low = product as u64;
            // The remainder is less than `n`, and a division takes longer than the rest.
            if low >= n || low >= n.wrapping_neg() % n {
                return (product >> 64) as u64;
            }
        }
    }

    /// Whether an event of probability `p` happens. It takes two words, whatever `p` is: the event
    /// happens if their upper 53 bits, as a fraction of 1, are less than `p`.
    pub(crate) fn chance(&mut self, p: f64) -> bool {
        ((self.next_u64() >> 11) as f64) < p * (1_u64 << 53) as f64
    }
}

impl TryRng for PositionRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.next())
    }

    /// Two words, the lower half first.
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let low = u64::from(self.next());
        Ok(u64::from(self.next()) << 32 | low)
    }

    /// The bytes of the next words in little-endian order. The unused bytes of the last word are
    /// skipped.
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for bytes in bytes.chunks_mut(4) {
            bytes.copy_from_slice(&self.next().to_le_bytes()[..bytes.len()]);
        }
        Ok(())
    }
}

/// The lower and the upper half of a number.
fn halves(x: u64) -> [u32; 2] {
    [x as u32, (x >> 32) as u32]
}

/// Philox4x32-10.
fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for _ in 0..10 {
        let [low_a, high_a] = halves(0xd251_1f53 * u64::from(counter[0]));
        let [low_b, high_b] = halves(0xcd9e_8d57 * u64::from(counter[2]));
        counter = [
            high_b ^ counter[1] ^ key[0],
            low_b,
            high_a ^ counter[3] ^ key[1],
            low_a,
        ];
        key[0] = key[0].wrapping_add(0x9e37_79b9);
        key[1] = key[1].wrapping_add(0xbb67_ae85);
    }
    counter
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The test vectors of Random123, the authors' library.
    #[test]
    fn philox_gives_the_vectors_of_its_authors() {
        for (counter, key, words) in [
            (
                [0; 4],
                [0; 2],
                [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8],
            ),
            (
                [u32::MAX; 4],
                [u32::MAX; 2],
                [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd],
            ),
            (
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xa409_3822, 0x299f_31d0],
                [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
            ),
        ] {
            assert_eq!(philox(counter, key), words);
        }
    }

    #[test]
    fn positions_epochs_and_seeds_have_numbers_of_their_own() {
        let mut seen = std::collections::HashSet::new();
        for seed in 0..10 {
            for epoch in 0..10 {
                for position in 0..10 {
                    let mut rng = PositionRng::new(seed, epoch, position);
                    assert!((0..10).all(|_| seen.insert(rng.next_u64())));
                }
            }
        }
    }

    #[test]
    fn bytes_are_those_of_the_words() {
        let mut bytes = [0; 11];
        PositionRng::new(1, 2, 3).fill_bytes(&mut bytes);
        let mut rng = PositionRng::new(1, 2, 3);
        assert_eq!(bytes[..8], rng.next_u64().to_le_bytes());
        assert_eq!(bytes[8..], rng.next_u32().to_le_bytes()[..3]);
    }

    /// A generator whose first words are these.
    fn of(words: [u32; 4]) -> PositionRng {
        PositionRng {
            words,
            used: 0,
            ..PositionRng::new(0, 0, 0)
        }
    }

    #[test]
    fn a_number_below_another_is_one_of_equally_many() {
        // 2^64 is 1 modulo 3, so one product is rejected: that of 0.
        assert_eq!(of([0, 0, u32::MAX, u32::MAX]).below(3), 2);
        assert_eq!(of([1, 0, 0, 0]).below(3), 0);
        // Of 2^63 + 1, almost half of all products are rejected.
        let drawn = [0, 1, 2].map(|x| of([0, x << 30, 0, u32::MAX]).below((1 << 63) + 1));
        let second = 0xffff_ffff << 31;
        assert_eq!(drawn, [second, second, 1 << 62]);
        // Of a power of two, none is.
        assert_eq!(of([0, 0, 1, 1]).below(1 << 63), 0);
        assert_eq!(of([0; 4]).below(1), 0);
        assert_eq!(of([7; 4]).below(0), 0);
    }

    #[test]
    fn a_chance_of_zero_never_comes_and_one_of_one_always() {
        assert!(!of([0; 4]).chance(0.0));
        assert!(of([u32::MAX; 4]).chance(1.0));
        assert!(of([u32::MAX, u32::MAX >> 1, 0, 0]).chance(0.5));
        assert!(!of([0, 1 << 31, 0, 0]).chance(0.5));
    }
}
