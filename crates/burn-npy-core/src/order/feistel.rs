//! A keyed Feistel network on the numbers below any length.
//!
//! The network (Luby and Rackoff, 1988) permutes the numbers of `bits` bits; what falls outside the
//! length is put in again until it falls inside (cycle walking: Black and Rogaway, *Ciphers with
//! Arbitrary Finite Domains*, 2002). The domain is less than twice the length, so fewer than two
//! turns are expected.

use crate::order::keys::Keys;

/// How many numbers [`Feistel::fill`] keeps at hand, at most as many as a `u8` counts.
const CHUNK: usize = 256;

/// How many networks are evaluated side by side: one alone waits for its multiplications.
const LANES: usize = 8;

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
    /// The permutation of `0..len`, which has 2 to 2^63 numbers, by the first keys of a stream.
    pub(crate) fn new(len: u64, keys: &Keys) -> Self {
        debug_assert!((2..=1 << 63).contains(&len) && ROUNDS.is_multiple_of(2));
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
        self.walk(position, |value| self.forward([value])[0])
    }

    /// The inverse of [`row`](Self::row).
    #[inline]
    pub(crate) fn position(&self, row: u64) -> u64 {
        self.walk(row, |value| self.backward(value))
    }

    /// The numbers at the positions from `start` on.
    pub(crate) fn fill(&self, start: u64, rows: &mut [u64]) {
        for (k, rows) in rows.chunks_mut(CHUNK).enumerate() {
            self.fill_chunk(start + (k * CHUNK) as u64, rows);
        }
    }

    /// One turn for all, then one for those that fell outside, and so on: several turns go on side by
    /// side, and no branch depends on a random number.
    fn fill_chunk(&self, start: u64, rows: &mut [u64]) {
        let mut outside: [u8; CHUNK] = std::array::from_fn(|i| i as u8);
        for (i, row) in rows.iter_mut().enumerate() {
            *row = start + i as u64;
        }
        let mut count = rows.len();
        while count > 0 {
            let mut left = 0;
            for group in (0..count).step_by(LANES) {
                let full = LANES.min(count - group);
                // A lane with nothing to do repeats the last.
                let ids: [u8; LANES] =
                    std::array::from_fn(|lane| outside[(group + lane).min(count - 1)]);
                let values = self.forward(ids.map(|id| rows[usize::from(id)]));
                for (id, value) in ids.into_iter().zip(values).take(full) {
                    rows[usize::from(id)] = value;
                    outside[left] = id;
                    left += usize::from(value >= self.len);
                }
            }
            count = left;
        }
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
    fn forward<const N: usize>(&self, values: [u64; N]) -> [u64; N] {
        let mut high = values.map(|value| value >> self.low_bits);
        let mut low = values.map(|value| value & self.low_mask);
        for pair in self.keys.as_chunks::<2>().0 {
            for lane in 0..N {
                low[lane] ^= round(high[lane], pair[0]) & self.low_mask;
            }
            for lane in 0..N {
                high[lane] ^= round(low[lane], pair[1]) & self.high_mask;
            }
        }
        std::array::from_fn(|lane| high[lane] << self.low_bits | low[lane])
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
    let mut x = (half ^ key).wrapping_mul(0xd6e8_feb8_6659_fd93);
    x ^= x >> 32;
    x.wrapping_mul(0xa076_1d64_78bd_642f) >> 32
}
