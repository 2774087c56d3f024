//! Applies a network to many values at a time with AVX2.
//!
//! This is one of the five files with unsafe code. It calls a function that is compiled for AVX2
//! after a check that the processor has it.
#![allow(unsafe_code)]

use std::arch::x86_64::*;

use super::bulk::{self, NARROW, Rounds};
use super::{FIRST, Feistel, SECOND, SHIFT};

/// Writes the rows at the positions from `start` on. Returns `false`, and writes nothing, if the
/// processor has no AVX2.
pub(super) fn fill<const ROUNDS: usize>(
    network: &Feistel<ROUNDS>,
    start: u64,
    rows: &mut [u64],
) -> bool {
    let found = std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("popcnt");
    if found {
        // SAFETY: the function needs AVX2 and POPCNT, and the check above found both.
        unsafe { Avx2::fill(network, start, rows) };
    }
    found
}

/// The network in AVX2 registers.
///
/// A register has the low or the high halves of eight values, 32 bits each. The halves of the first
/// four values are in the even lanes, those of the other four in the odd lanes.
struct Avx2<const ROUNDS: usize> {
    rounds: Rounds<ROUNDS>,
    /// The shift that takes a value to its high half.
    down: __m128i,
    /// The shift that takes a product to its upper bits, as many as the low half has.
    low_shift: __m128i,
    /// The same for the high half.
    high_shift: __m128i,
}

impl<const ROUNDS: usize> Avx2<ROUNDS> {
    #[target_feature(enable = "avx2,popcnt")]
    fn fill(network: &Feistel<ROUNDS>, start: u64, rows: &mut [u64]) {
        let rounds = Rounds::new(network);
        let this = Self {
            down: _mm_cvtsi32_si128(rounds.low_bits as i32),
            low_shift: shift_to_upper(rounds.low_bits),
            high_shift: shift_to_upper(rounds.high_bits),
            rounds,
        };
        bulk::fill(
            start,
            rows,
            |values| this.apply(values),
            |values| this.apply(values),
        );
    }

    /// Applies the network to each value, and returns a bit for each: whether the result is
    /// outside.
    #[inline]
    #[target_feature(enable = "avx2,popcnt")]
    fn apply<const N: usize>(&self, values: &mut [[u64; NARROW]; N]) -> [u16; N] {
        let rounds = &self.rounds;
        let mut high = [[_mm256_setzero_si256(); 2]; N];
        let mut low = high;
        for part in 0..N {
            let value = bytemuck::cast::<[u64; NARROW], [[__m256i; 2]; 2]>(values[part]);
            for eight in 0..2 {
                let down = value[eight].map(|four| _mm256_srl_epi64(four, self.down));
                high[part][eight] = _mm256_xor_si256(interleaved(down), splat_256(rounds.first));
                let both = interleaved(value[eight]);
                low[part][eight] = _mm256_and_si256(both, splat_256(rounds.low_mask));
            }
        }
        for change in rounds.changes.as_chunks::<2>().0 {
            let [low, high] = [low.as_flattened_mut(), high.as_flattened_mut()];
            round_256(low, high, self.low_shift, change[0]);
            round_256(high, low, self.high_shift, change[1]);
        }
        let mut outside = [0; N];
        for part in 0..N {
            let mut value = [[_mm256_setzero_si256(); 2]; 2];
            for eight in 0..2 {
                let low = _mm256_xor_si256(low[part][eight], splat_256(rounds.last));
                let [high, low] = [apart(high[part][eight]), apart(low)];
                for four in 0..2 {
                    let high = _mm256_sll_epi64(high[four], self.down);
                    value[eight][four] = _mm256_or_si256(high, low[four]);
                    // Both numbers are below 2^63, so a signed comparison is right.
                    let last = _mm256_set1_epi64x((rounds.len - 1) as i64);
                    let above = _mm256_cmpgt_epi64(value[eight][four], last);
                    let mask = _mm256_movemask_pd(_mm256_castsi256_pd(above)) as u16;
                    outside[part] |= mask << (8 * eight + 4 * four);
                }
            }
            values[part] = bytemuck::cast::<[[__m256i; 2]; 2], [u64; NARROW]>(value);
        }
        outside
    }
}

/// The shift that takes a product of 32 bits to its upper `bits` bits.
#[inline]
#[target_feature(enable = "sse2")]
fn shift_to_upper(bits: u32) -> __m128i {
    _mm_cvtsi32_si128((u32::BITS - bits) as i32)
}

/// One round for all registers: changes `half` by the round function of `from`.
#[inline]
#[target_feature(enable = "avx2")]
fn round_256(half: &mut [__m256i], from: &[__m256i], shift: __m128i, change: u32) {
    for (half, from) in half.iter_mut().zip(from) {
        let x = _mm256_mullo_epi32(*from, splat_256(FIRST));
        let x = _mm256_xor_si256(x, _mm256_srli_epi32::<{ SHIFT as i32 }>(x));
        let x = _mm256_srl_epi32(_mm256_mullo_epi32(x, splat_256(SECOND)), shift);
        *half = _mm256_xor_si256(x, _mm256_xor_si256(*half, splat_256(change)));
    }
}

/// The lower 32 bits of the first four numbers in the even lanes, and of the other four in the odd
/// lanes.
#[inline]
#[target_feature(enable = "avx2")]
fn interleaved([even, odd]: [__m256i; 2]) -> __m256i {
    _mm256_blend_epi32::<0b1010_1010>(even, _mm256_slli_epi64::<32>(odd))
}

/// The inverse of `interleaved`: the even lanes and the odd lanes, each widened to 64 bits.
#[inline]
#[target_feature(enable = "avx2")]
fn apart(both: __m256i) -> [__m256i; 2] {
    let even = _mm256_blend_epi32::<0b1010_1010>(both, _mm256_setzero_si256());
    [even, _mm256_srli_epi64::<32>(both)]
}

#[inline]
#[target_feature(enable = "avx2")]
fn splat_256(number: u32) -> __m256i {
    _mm256_set1_epi32(number as i32)
}
