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
const FIRST: u32 = 0x7feb_352d;
const SECOND: u32 = 0x846c_a68b;

/// By how much the round function shifts between the two.
const SHIFT: u32 = 15;

/// A permutation of `0..len`. The number of rounds is a parameter for the tests, which show that 4 are too
/// few.
#[derive(Clone, Debug)]
pub(crate) struct Feistel<const ROUNDS: usize> {
    len: u64,
    keys: [u32; ROUNDS],
    /// How many bits the halves have: 1 to 32.
    low_bits: u32,
    high_bits: u32,
}

impl<const ROUNDS: usize> Feistel<ROUNDS> {
    /// The permutation of `0..len`, which has 3 to 2^63 numbers, by the first keys of a stream.
    pub(crate) fn new(len: u64, keys: &Keys) -> Self {
        debug_assert!((3..=1 << 63).contains(&len) && ROUNDS.is_multiple_of(2));
        let bits = u64::BITS - (len - 1).leading_zeros();
        let low_bits = bits.div_ceil(2);
        Self {
            len,
            keys: std::array::from_fn(|index| keys.at(index as u64) as u32),
            low_bits,
            high_bits: bits - low_bits,
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
        let [mut low, mut high] = self.halves(value);
        for pair in self.keys.as_chunks::<2>().0 {
            low ^= round(high ^ pair[0], self.low_bits);
            high ^= round(low ^ pair[1], self.high_bits);
        }
        u64::from(high) << self.low_bits | u64::from(low)
    }

    #[inline(always)]
    fn backward(&self, value: u64) -> u64 {
        let [mut low, mut high] = self.halves(value);
        for pair in self.keys.as_chunks::<2>().0.iter().rev() {
            high ^= round(low ^ pair[1], self.high_bits);
            low ^= round(high ^ pair[0], self.low_bits);
        }
        u64::from(high) << self.low_bits | u64::from(low)
    }

    #[inline(always)]
    fn halves(&self, value: u64) -> [u32; 2] {
        [
            value as u32 & mask(self.low_bits),
            (value >> self.low_bits) as u32,
        ]
    }
}

/// As many bits as a half has.
fn mask(bits: u32) -> u32 {
    u32::MAX >> (u32::BITS - bits)
}

/// The round function: two multiplications spread every bit of the half and of its key over the upper bits of
/// the result, of which so many are taken.
#[inline(always)]
fn round(keyed: u32, bits: u32) -> u32 {
    let x = keyed.wrapping_mul(FIRST);
    (x ^ x >> SHIFT).wrapping_mul(SECOND) >> (u32::BITS - bits)
}
