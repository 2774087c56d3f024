//! A keyed Feistel network on the numbers below any length.
//!
//! The network (Luby and Rackoff, 1988) permutes the numbers of `bits` bits; what falls outside the
//! length is put in again until it falls inside (cycle walking: Black and Rogaway, *Ciphers with
//! Arbitrary Finite Domains*, 2002). The domain is less than twice the length, so fewer than two
//! turns are expected.

mod bulk;
#[cfg(target_arch = "x86_64")]
mod x86;

use crate::order::feistel::bulk::Rounds;
use crate::order::keys::Keys;

/// Up to so many numbers, to get ready for many takes longer than to make one after the other.
const FEW: usize = 4;

/// The factors of the round function.
const FIRST: u64 = 0xd6e8_feb8_6659_fd93;
const SECOND: u64 = 0xa076_1d64_78bd_642f;

/// A permutation of `0..len`. The number of rounds is a parameter for the tests, which show that 4 are too
/// few.
#[derive(Clone, Debug)]
pub(crate) struct Feistel<const ROUNDS: usize> {
    len: u64,
    keys: [u64; ROUNDS],
    low_bits: u32,
    low_mask: u64,
    high_mask: u64,
}

impl<const ROUNDS: usize> Feistel<ROUNDS> {
    /// The permutation of `0..len`, which has 3 to 2^63 numbers, by the first keys of a stream.
    pub(crate) fn new(len: u64, keys: &Keys) -> Self {
        debug_assert!((3..=1 << 63).contains(&len) && ROUNDS.is_multiple_of(2));
        let bits = u64::BITS - (len - 1).leading_zeros();
        let low_bits = bits.div_ceil(2);
        Self {
            len,
            keys: std::array::from_fn(|index| keys.at(index as u64)),
            low_bits,
            low_mask: (1 << low_bits) - 1,
            high_mask: (1 << (bits - low_bits)) - 1,
        }
    }

    /// The number at a position below the length.
    #[inline]
    pub(crate) fn row(&self, position: u64) -> u64 {
        self.walk(position, |value| self.forward(value))
    }

    /// The inverse of [`row`](Self::row).
    #[inline]
    pub(crate) fn position(&self, row: u64) -> u64 {
        self.walk(row, |value| self.backward(value))
    }

    /// The numbers at the positions from `start` on; several times as fast as one after the other.
    pub(crate) fn fill(&self, start: u64, rows: &mut [u64]) {
        if rows.len() <= FEW {
            for (position, row) in (start..).zip(rows) {
                *row = self.row(position);
            }
            return;
        }
        #[cfg(target_arch = "x86_64")]
        if x86::fill(self, start, rows) {
            return;
        }
        Rounds::new(self).fill(start, rows);
    }

    /// Cycle walking: turns until the number is below the length.
    #[inline(always)]
    fn walk(&self, mut value: u64, turn: impl Fn(u64) -> u64) -> u64 {
        loop {
            value = turn(value);
            if value < self.len {
                return value;
            }
        }
    }

    #[inline(always)]
    fn forward(&self, value: u64) -> u64 {
        let mut high = value >> self.low_bits;
        let mut low = value & self.low_mask;
        for pair in self.keys.as_chunks::<2>().0 {
            low ^= round(high, pair[0]) & self.low_mask;
            high ^= round(low, pair[1]) & self.high_mask;
        }
        high << self.low_bits | low
    }

    #[inline(always)]
    fn backward(&self, value: u64) -> u64 {
        let mut high = value >> self.low_bits;
        let mut low = value & self.low_mask;
        for pair in self.keys.as_chunks::<2>().0.iter().rev() {
            high ^= round(low, pair[1]) & self.high_mask;
            low ^= round(high, pair[0]) & self.low_mask;
        }
        high << self.low_bits | low
    }
}

/// The round function: two multiplications spread every bit of the half and of the key over the low
/// half of the result.
#[inline(always)]
fn round(half: u64, key: u64) -> u64 {
    let mut x = (half ^ key).wrapping_mul(FIRST);
    x ^= x >> 32;
    x.wrapping_mul(SECOND) >> 32
}
