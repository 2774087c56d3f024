//! Turns of many numbers in the wide registers of x86.
//!
//! This is one of the four files with unsafe code: the call of functions that were compiled for instructions
//! that the machine has been seen to have, and numbers taken for the register that holds them.
#![allow(unsafe_code)]

use std::arch::x86_64::*;

use super::bulk::{self, Half, Rounds};
use super::{FIRST, Feistel, SECOND};

/// The numbers at the positions from `start` on, unless the machine has no instructions for it.
pub(super) fn fill<const ROUNDS: usize>(
    network: &Feistel<ROUNDS>,
    start: u64,
    rows: &mut [u64],
) -> bool {
    fill_avx512(network, start, rows) || fill_avx2(network, start, rows)
}

pub(super) fn fill_avx512<const ROUNDS: usize>(
    network: &Feistel<ROUNDS>,
    start: u64,
    rows: &mut [u64],
) -> bool {
    let found = std::is_x86_feature_detected!("avx512f")
        && std::is_x86_feature_detected!("avx512dq")
        && std::is_x86_feature_detected!("popcnt");
    if found {
        // SAFETY: the machine has just been seen to have all that the function was compiled for.
        unsafe { Avx512::fill(network, start, rows) };
    }
    found
}

pub(super) fn fill_avx2<const ROUNDS: usize>(
    network: &Feistel<ROUNDS>,
    start: u64,
    rows: &mut [u64],
) -> bool {
    let found = std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("popcnt");
    if found {
        // SAFETY: as above.
        unsafe { Avx2::fill(network, start, rows) };
    }
    found
}

/// Eight numbers a register: AVX-512 multiplies those of 64 bits.
struct Avx512<const ROUNDS: usize> {
    len: __m512i,
    low_bits: __m512i,
    low_mask: __m512i,
    first: __m512i,
    changes: [u64; ROUNDS],
    last: __m512i,
    low: Half512,
    high: Half512,
}

/// A [`Half`] in registers.
struct Half512 {
    factor: __m512i,
    shift: __m512i,
}

impl<const ROUNDS: usize> Avx512<ROUNDS> {
    #[target_feature(enable = "avx512f,avx512dq,popcnt")]
    fn fill(network: &Feistel<ROUNDS>, start: u64, rows: &mut [u64]) {
        let rounds = Rounds::new(network);
        let half = |half: Half| Half512 {
            factor: splat_512(half.factor),
            shift: splat_512(u64::from(half.shift % 64)),
        };
        let this = Self {
            len: splat_512(rounds.len),
            low_bits: splat_512(u64::from(rounds.low_bits % 64)),
            low_mask: splat_512(rounds.low_mask),
            first: splat_512(rounds.first),
            changes: rounds.changes,
            last: splat_512(rounds.last),
            low: half(rounds.low),
            high: half(rounds.high),
        };
        bulk::fill(
            start,
            rows,
            |values| this.turn(values),
            |values| this.turn(values),
        );
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,popcnt")]
    fn turn<const EIGHTS: usize>(&self, values: &mut [[u64; 8]; EIGHTS]) -> [u8; EIGHTS] {
        let mut high = [_mm512_setzero_si512(); EIGHTS];
        let mut low = high;
        for eight in 0..EIGHTS {
            let value = load(values[eight]);
            high[eight] = _mm512_xor_si512(_mm512_srlv_epi64(value, self.low_bits), self.first);
            low[eight] = _mm512_and_si512(value, self.low_mask);
        }
        for change in self.changes.as_chunks::<2>().0 {
            round_512(&mut low, &high, &self.low, change[0]);
            round_512(&mut high, &low, &self.high, change[1]);
        }
        let mut outside = [0; EIGHTS];
        for eight in 0..EIGHTS {
            let high = _mm512_sllv_epi64(high[eight], self.low_bits);
            let value = _mm512_or_si512(high, _mm512_xor_si512(low[eight], self.last));
            outside[eight] = _mm512_cmpge_epu64_mask(value, self.len);
            values[eight] = store(value);
        }
        outside
    }
}

/// A round, one step after the other for all numbers: the next does not wait for the last.
#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
fn round_512<const EIGHTS: usize>(
    half: &mut [__m512i; EIGHTS],
    from: &[__m512i; EIGHTS],
    to: &Half512,
    change: u64,
) {
    let mut x = *from;
    for x in &mut x {
        *x = _mm512_mullo_epi64(*x, splat_512(FIRST));
    }
    for x in &mut x {
        *x = _mm512_xor_si512(*x, _mm512_srli_epi64::<32>(*x));
    }
    for x in &mut x {
        *x = _mm512_mullo_epi64(*x, to.factor);
    }
    for x in &mut x {
        *x = _mm512_srlv_epi64(*x, to.shift);
    }
    for (half, x) in half.iter_mut().zip(x) {
        // The exclusive or of three.
        *half = _mm512_ternarylogic_epi64::<0b1001_0110>(x, *half, splat_512(change));
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn splat_512(number: u64) -> __m512i {
    _mm512_set1_epi64(number as i64)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(numbers: [u64; 8]) -> __m512i {
    // SAFETY: both are 64 bytes, and any bits are a value of either.
    unsafe { std::mem::transmute::<[u64; 8], __m512i>(numbers) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store(register: __m512i) -> [u64; 8] {
    // SAFETY: as above.
    unsafe { std::mem::transmute::<__m512i, [u64; 8]>(register) }
}

/// Eight halves a register, since AVX2 only multiplies numbers of 32 bits: those of the first four of eight
/// numbers at even places, the others at odd ones.
struct Avx2<const ROUNDS: usize> {
    len: u64,
    low_bits: u32,
    low_mask: u64,
    high_mask: u64,
    first: u64,
    changes: [u64; ROUNDS],
    /// What the upper halves of the keys add to the upper half of the first product.
    carries: [u64; ROUNDS],
    last: u64,
}

impl<const ROUNDS: usize> Avx2<ROUNDS> {
    #[target_feature(enable = "avx2,popcnt")]
    fn fill(network: &Feistel<ROUNDS>, start: u64, rows: &mut [u64]) {
        let rounds = Rounds::new(network);
        let this = Self {
            len: rounds.len,
            low_bits: rounds.low_bits,
            low_mask: rounds.low_mask,
            high_mask: network.high_mask,
            first: rounds.first,
            changes: rounds.changes,
            carries: network.keys.map(|key| (key >> 32).wrapping_mul(FIRST)),
            last: rounds.last,
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
    fn turn<const EIGHTS: usize>(&self, values: &mut [[u64; 8]; EIGHTS]) -> [u8; EIGHTS] {
        let splat = |number: u64| _mm256_set1_epi64x(number as i64);
        let low_bits = splat(u64::from(self.low_bits % 64));

        let mut high = [_mm256_setzero_si256(); EIGHTS];
        let mut low = high;
        for eight in 0..EIGHTS {
            let [even, odd] = bytemuck::cast::<[u64; 8], [__m256i; 2]>(values[eight]);
            let [even_high, odd_high] = [even, odd].map(|x| _mm256_srlv_epi64(x, low_bits));
            let both = interleave(even_high, _mm256_slli_epi64::<32>(odd_high));
            high[eight] = _mm256_xor_si256(both, splat_32(self.first));
            let both = interleave(even, _mm256_slli_epi64::<32>(odd));
            low[eight] = _mm256_and_si256(both, splat_32(self.low_mask));
        }
        let changes = self.changes.as_chunks::<2>().0;
        for (change, carry) in changes.iter().zip(self.carries.as_chunks::<2>().0) {
            let [change, carry] = [change, carry].map(|pair| pair.map(|number| splat_32(number)));
            for eight in 0..EIGHTS {
                let x = round_256(high[eight], carry[0], splat_32(self.low_mask));
                low[eight] = _mm256_xor_si256(x, _mm256_xor_si256(low[eight], change[0]));
            }
            for eight in 0..EIGHTS {
                let x = round_256(low[eight], carry[1], splat_32(self.high_mask));
                high[eight] = _mm256_xor_si256(x, _mm256_xor_si256(high[eight], change[1]));
            }
        }
        let mut outside = [0; EIGHTS];
        for eight in 0..EIGHTS {
            let low = _mm256_xor_si256(low[eight], splat_32(self.last));
            let zero = _mm256_setzero_si256();
            let [high, low] = [high[eight], low]
                .map(|both| [interleave(both, zero), _mm256_srli_epi64::<32>(both)]);
            let value = |at: usize| {
                let high = _mm256_sllv_epi64(high[at], low_bits);
                _mm256_or_si256(high, low[at])
            };
            let [even, odd] = [value(0), value(1)];
            // Both numbers are below 2^63, so their signs say nothing else.
            let [four, more] = [even, odd].map(|x| {
                let above = _mm256_cmpgt_epi64(x, splat(self.len - 1));
                _mm256_movemask_pd(_mm256_castsi256_pd(above)) as u8
            });
            outside[eight] = four | more << 4;
            values[eight] = bytemuck::cast::<[__m256i; 2], [u64; 8]>([even, odd]);
        }
        outside
    }
}

/// The round function of halves that are xored with the lower halves of their keys.
#[inline]
#[target_feature(enable = "avx2")]
fn round_256(halves: __m256i, carry: __m256i, mask: __m256i) -> __m256i {
    // Products with the lower half of a factor, of the even and of the odd places.
    let multiply = |x: __m256i, factor: u64| {
        let odd = _mm256_srli_epi64::<32>(x);
        [x, odd].map(|x| _mm256_mul_epu32(x, splat_32(factor)))
    };
    let [even, odd] = multiply(halves, FIRST);
    let more = _mm256_add_epi32(_mm256_mullo_epi32(halves, splat_32(FIRST >> 32)), carry);
    let upper = interleave(_mm256_srli_epi64::<32>(even), odd);
    let upper = _mm256_add_epi32(upper, more);
    let lower = interleave(even, _mm256_slli_epi64::<32>(odd));
    let lower = _mm256_xor_si256(lower, upper);

    let [even, odd] = multiply(lower, SECOND);
    let more = _mm256_add_epi32(
        _mm256_mullo_epi32(lower, splat_32(SECOND >> 32)),
        _mm256_mullo_epi32(upper, splat_32(SECOND)),
    );
    let product = interleave(_mm256_srli_epi64::<32>(even), odd);
    _mm256_and_si256(_mm256_add_epi32(product, more), mask)
}

/// The even places of one and the odd places of another.
#[inline]
#[target_feature(enable = "avx2")]
fn interleave(even: __m256i, odd: __m256i) -> __m256i {
    _mm256_blend_epi32::<0b1010_1010>(even, odd)
}

/// The lower half of a number at all places.
#[inline]
#[target_feature(enable = "avx2")]
fn splat_32(number: u64) -> __m256i {
    _mm256_set1_epi32(number as i32)
}
