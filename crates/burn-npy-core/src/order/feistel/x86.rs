//! Turns of many numbers in the wide registers of x86.
//!
//! This is one of the four files with unsafe code: the call of a function that was compiled for instructions
//! that the machine has been seen to have.
#![allow(unsafe_code)]

use std::arch::x86_64::*;

use super::bulk::{self, NARROW, Rounds};
use super::{FIRST, Feistel, SECOND, SHIFT};

/// The numbers at the positions from `start` on, unless the machine has no instructions for it.
pub(super) fn fill<const ROUNDS: usize>(
    network: &Feistel<ROUNDS>,
    start: u64,
    rows: &mut [u64],
) -> bool {
    let found = std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("popcnt");
    if found {
        // SAFETY: the machine has just been seen to have all that the function was compiled for.
        unsafe { Avx2::fill(network, start, rows) };
    }
    found
}

/// The halves of eight numbers a register: those of the first four at even places, the others at odd ones.
struct Avx2<const ROUNDS: usize> {
    rounds: Rounds<ROUNDS>,
    /// By how much a number is shifted for its high half, and a product for each of the halves.
    down: __m128i,
    low_shift: __m128i,
    high_shift: __m128i,
}

impl<const ROUNDS: usize> Avx2<ROUNDS> {
    #[target_feature(enable = "avx2,popcnt")]
    fn fill(network: &Feistel<ROUNDS>, start: u64, rows: &mut [u64]) {
        let rounds = Rounds::new(network);
        let this = Self {
            down: _mm_cvtsi32_si128(rounds.low_bits as i32),
            low_shift: upper(rounds.low_bits),
            high_shift: upper(rounds.high_bits),
            rounds,
        };
        bulk::fill(
            start,
            rows,
            |values| this.turn(values),
            |values| this.turn(values),
        );
    }

    #[inline]
    #[target_feature(enable = "avx2,popcnt")]
    fn turn<const N: usize>(&self, values: &mut [[u64; NARROW]; N]) -> [u16; N] {
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
                    // Both numbers are below 2^63, so their signs say nothing else.
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

/// By how much a product is shifted for so many of its upper bits.
#[inline]
#[target_feature(enable = "sse2")]
fn upper(bits: u32) -> __m128i {
    _mm_cvtsi32_si128((u32::BITS - bits) as i32)
}

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

/// The lower halves of the first four numbers at even places, and of the others at odd ones.
#[inline]
#[target_feature(enable = "avx2")]
fn interleaved([even, odd]: [__m256i; 2]) -> __m256i {
    _mm256_blend_epi32::<0b1010_1010>(even, _mm256_slli_epi64::<32>(odd))
}

/// The numbers at even places, and those at odd ones, as ones of 64 bits.
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
