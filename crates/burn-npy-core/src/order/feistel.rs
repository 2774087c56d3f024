//! A keyed Feistel network that permutes `0..len` for any length.
//!
//! A Feistel network (Luby and Rackoff, 1988) permutes all numbers of a fixed number of bits. A
//! length is seldom a power of two, so a result may be outside `0..len`. The network is then
//! applied to that result again, until one is inside. This is cycle walking (Black and Rogaway,
//! *Ciphers with Arbitrary Finite Domains*, 2002), and it makes a permutation of `0..len`. The
//! domain is smaller than twice the length, so the network is applied fewer than two times on
//! average.

mod bulk;
#[cfg(target_arch = "x86_64")]
mod x86;

use crate::order::feistel::bulk::Rounds;
use crate::order::keys::Keys;

/// The factors of the two multiplications of the round function.
const FIRST: u32 = 0x7feb_352d;
const SECOND: u32 = 0x846c_a68b;

/// The shift between the two multiplications.
const SHIFT: u32 = 15;

/// A permutation of `0..len`. The number of rounds is a parameter because tests show that 4 are too
/// few.
#[derive(Clone, Debug)]
pub(crate) struct Feistel<const ROUNDS: usize> {
    len: u64,
    keys: [u32; ROUNDS],
    /// The number of bits of each half, 1 to 32.
    low_bits: u32,
    high_bits: u32,
}

impl<const ROUNDS: usize> Feistel<ROUNDS> {
    /// The permutation of `0..len` under the first `ROUNDS` numbers of `keys`. The length must be
    /// from 3 to 2^63.
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

    /// The row at a position, which must be below the length.
    #[inline]
    pub(crate) fn row(&self, position: u64) -> u64 {
        self.walk(position, |value| self.forward(value))
    }

    /// The position of a row, which must be below the length: the inverse of [`row`](Self::row).
    #[inline]
    pub(crate) fn position(&self, row: u64) -> u64 {
        self.walk(row, |value| self.backward(value))
    }

    /// Writes the rows at the positions from `start` on. It is several times as fast as calling
    /// [`row`](Self::row) for each.
    pub(crate) fn fill(&self, start: u64, rows: &mut [u64]) {
        if let [row] = rows {
            *row = self.row(start);
            return;
        }
        #[cfg(target_arch = "x86_64")]
        if x86::fill(self, start, rows) {
            return;
        }
        Rounds::new(self).fill(start, rows);
    }

    /// Cycle walking: applies the network until the value is below the length.
    #[inline(always)]
    fn walk(&self, mut value: u64, network: impl Fn(u64) -> u64) -> u64 {
        loop {
            value = network(value);
            if value < self.len {
                return value;
            }
        }
    }

    /// Applies the network once. The rounds change the low and the high half in turn.
    #[inline(always)]
    fn forward(&self, value: u64) -> u64 {
        let [mut low, mut high] = self.halves(value);
        for pair in self.keys.as_chunks::<2>().0 {
            low ^= round(high ^ pair[0], self.low_bits);
            high ^= round(low ^ pair[1], self.high_bits);
        }
        u64::from(high) << self.low_bits | u64::from(low)
    }

    /// Applies the inverse of the network once.
    #[inline(always)]
    fn backward(&self, value: u64) -> u64 {
        let [mut low, mut high] = self.halves(value);
        for pair in self.keys.as_chunks::<2>().0.iter().rev() {
            high ^= round(low ^ pair[1], self.high_bits);
            low ^= round(high ^ pair[0], self.low_bits);
        }
        u64::from(high) << self.low_bits | u64::from(low)
    }

    /// The low and the high half of a value.
    #[inline(always)]
    fn halves(&self, value: u64) -> [u32; 2] {
        [
            value as u32 & mask(self.low_bits),
            (value >> self.low_bits) as u32,
        ]
    }
}

/// A number whose lowest `bits` bits are set.
fn mask(bits: u32) -> u32 {
    u32::MAX >> (u32::BITS - bits)
}

/// The round function, applied to a half that is already xored with its key.
///
/// Two multiplications spread every input bit over the upper bits of the product. The result is the
/// highest `bits` bits.
#[inline(always)]
fn round(keyed: u32, bits: u32) -> u32 {
    let x = keyed.wrapping_mul(FIRST);
    (x ^ x >> SHIFT).wrapping_mul(SECOND) >> (u32::BITS - bits)
}
