//! Many numbers of a network at a time.
//!
//! Each round waits for the one before it, so [`WIDE`] numbers take a turn side by side. Which of them fall
//! outside no processor can foresee, so they are collected without a branch, until they fill such a
//! turn of their own.

use std::hint::black_box;

use super::{Feistel, mask, round};

/// How many numbers take a turn side by side: in eight registers of AVX2 for each half, enough to hide the latency of its
/// multiplications.
const WIDE: usize = 64;

/// How many do where those are too many.
pub(super) const NARROW: usize = 16;

/// Up to so many times that number are faster one after the other.
const FEW_PARTS: usize = 2;

/// How many rows take their first turn before those outside are collected, so that the one does not wait
/// for the other.
const BLOCK: usize = 128;

/// How many rows are done with before the next begin, so that a `u16` is a place among them.
const CHUNK: usize = 1 << 16;

/// Numbers that take a turn side by side.
type Wide = [[u64; NARROW]; WIDE / NARROW];
type Narrow = [[u64; NARROW]; 1];

/// The places whose numbers fell outside. Behind the last is room for a store of eight.
type Places = [u16; BLOCK + WIDE + 8];

static STEPS: Wide = {
    let mut steps = [[0; NARROW]; WIDE / NARROW];
    let mut step = 0;
    while step < WIDE {
        steps[step / NARROW][step % NARROW] = step as u64;
        step += 1;
    }
    steps
};

/// The numbers of the bits that are set in a byte.
static BITS: [[u8; 8]; 256] = {
    let mut bits = [[0; 8]; 256];
    let mut byte = 0;
    while byte < 256 {
        let (mut bit, mut count) = (0, 0);
        while bit < 8 {
            if byte >> bit & 1 == 1 {
                bits[byte][count] = bit;
                count += 1;
            }
            bit += 1;
        }
        byte += 1;
    }
    bits
};

/// The rounds of a network in fewer steps: a half takes the key of the next round together with the result of
/// this one.
pub(super) struct Rounds<const ROUNDS: usize> {
    pub(super) len: u64,
    pub(super) low_bits: u32,
    pub(super) high_bits: u32,
    pub(super) low_mask: u32,
    /// What is xored into the high half before the first round,
    pub(super) first: u32,
    /// into the half that each round changes,
    pub(super) changes: [u32; ROUNDS],
    /// and into the low half after the last.
    pub(super) last: u32,
}

impl<const ROUNDS: usize> Rounds<ROUNDS> {
    pub(super) fn new(network: &Feistel<ROUNDS>) -> Self {
        let keys = &network.keys;
        // A half has the key of every other round.
        let changes = std::array::from_fn(|round| {
            let before = round.checked_sub(1).map_or(0, |before| keys[before]);
            before ^ keys.get(round + 1).copied().unwrap_or(0)
        });
        Self {
            len: network.len,
            low_bits: network.low_bits,
            high_bits: network.high_bits,
            low_mask: mask(network.low_bits),
            first: keys[0],
            changes,
            last: keys[ROUNDS - 1],
        }
    }

    /// The numbers at the positions from `start` on, on any machine.
    pub(super) fn fill(&self, start: u64, rows: &mut [u64]) {
        fill(
            start,
            rows,
            |values| self.turn(values),
            |values| self.turn(values),
        );
    }

    #[inline(always)]
    fn turn<const N: usize>(&self, values: &mut [[u64; NARROW]; N]) -> [u16; N] {
        let mut outside = [0; N];
        for (values, outside) in values.iter_mut().zip(&mut outside) {
            for (eight, values) in values.as_chunks_mut::<8>().0.iter_mut().enumerate() {
                let mut high = values.map(|value| (value >> self.low_bits) as u32 ^ self.first);
                let mut low = values.map(|value| value as u32 & self.low_mask);
                for change in self.changes.as_chunks::<2>().0 {
                    for lane in 0..8 {
                        low[lane] ^= round(high[lane], self.low_bits) ^ change[0];
                    }
                    for lane in 0..8 {
                        high[lane] ^= round(low[lane], self.high_bits) ^ change[1];
                    }
                }
                for lane in 0..8 {
                    let (high, low) = (u64::from(high[lane]), u64::from(low[lane] ^ self.last));
                    values[lane] = high << self.low_bits | low;
                    *outside |= u16::from(values[lane] >= self.len) << (8 * eight + lane);
                }
            }
        }
        outside
    }
}

/// The numbers at the positions from `start` on, by a function that gives each number a turn, and a bit for
/// each that fell outside; the same for many and for few.
#[inline(always)]
pub(super) fn fill(
    mut start: u64,
    rows: &mut [u64],
    wide: impl Fn(&mut Wide) -> [u16; WIDE / NARROW],
    narrow: impl Fn(&mut Narrow) -> [u16; 1],
) {
    // Were they known, the compiler would treat each in its own way, and not add all at once.
    let steps = black_box(&STEPS);
    for rows in rows.chunks_mut(CHUNK) {
        let mut outside = [0; BLOCK + WIDE + 8];
        let mut count = 0;
        let mut place = 0;
        while rows.len() - place > FEW_PARTS * NARROW {
            let block = place;
            let mut masks = [[0; WIDE / NARROW]; BLOCK / WIDE];
            for masks in &mut masks {
                if place == rows.len() {
                    break;
                }
                place += first_turn(steps, start, place, rows, masks, &wide);
            }
            for (part, mask) in masks.as_flattened().iter().enumerate() {
                count = push(&mut outside, count, block + NARROW * part, *mask);
            }
            while count >= WIDE {
                count = again(&mut outside, count, rows, &wide);
            }
        }
        while place < rows.len() {
            let mut masks = [0];
            let block = place;
            place += first_turn(steps, start, place, rows, &mut masks, &narrow);
            count = push(&mut outside, count, block, masks[0]);
        }
        while count > NARROW {
            count = again(&mut outside, count, rows, &wide);
        }
        if count > 0 {
            walk(&outside, count, rows, &narrow);
        }
        start += rows.len() as u64;
    }
}

/// The positions from `start` on; behind the last of the order, they may be any numbers.
#[inline(always)]
fn positions<const N: usize>(steps: &Wide, start: u64) -> [[u64; NARROW]; N] {
    std::array::from_fn(|part| steps[part].map(|step| start.wrapping_add(step)))
}

/// A turn for the rows from a place on, as many as take one, or as there are; says how many.
#[inline(always)]
fn first_turn<const N: usize>(
    steps: &Wide,
    start: u64,
    place: usize,
    rows: &mut [u64],
    masks: &mut [u16; N],
    turn: &impl Fn(&mut [[u64; NARROW]; N]) -> [u16; N],
) -> usize {
    let rows = &mut rows[place..];
    let positions = || positions(steps, start + place as u64);
    if let Some(values) = rows.as_chunks_mut().0.first_chunk_mut() {
        *values = positions();
        *masks = turn(values);
        return NARROW * N;
    }
    let mut values = positions();
    *masks = turn(&mut values);
    rows.copy_from_slice(&values.as_flattened()[..rows.len()]);
    // Behind the last row there is none.
    for (part, mask) in masks.iter_mut().enumerate() {
        let here = rows.len().saturating_sub(NARROW * part).min(NARROW);
        *mask &= ((1_u32 << here) - 1) as u16;
    }
    rows.len()
}

/// Adds those of some places whose bits are set.
#[inline(always)]
fn push(outside: &mut Places, mut count: usize, place: usize, mask: u16) -> usize {
    for (eight, mask) in mask.to_le_bytes().into_iter().enumerate() {
        let bits = &BITS[usize::from(mask)];
        for (outside, bit) in outside[count..][..8].iter_mut().zip(bits) {
            *outside = (place + 8 * eight) as u16 + u16::from(*bit);
        }
        count += mask.count_ones() as usize;
    }
    count
}

/// A turn for the last of those outside.
#[inline(always)]
fn again(
    outside: &mut Places,
    count: usize,
    rows: &mut [u64],
    wide: &impl Fn(&mut Wide) -> [u16; WIDE / NARROW],
) -> usize {
    let turned = count.min(WIDE);
    let mut count = count - turned;
    let mut places = [0; WIDE];
    places[..turned].copy_from_slice(&outside[count..][..turned]);
    let mut values = [[0; NARROW]; WIDE / NARROW];
    for (value, place) in values.as_flattened_mut().iter_mut().zip(places) {
        *value = rows[usize::from(place)];
    }
    let masks = wide(&mut values);
    for lane in 0..turned {
        rows[usize::from(places[lane])] = values.as_flattened()[lane];
        outside[count] = places[lane];
        count += usize::from(masks[lane / NARROW] >> (lane % NARROW) & 1);
    }
    count
}

/// Turns for the last ones, until all are inside.
#[inline(always)]
fn walk(
    outside: &Places,
    count: usize,
    rows: &mut [u64],
    narrow: &impl Fn(&mut Narrow) -> [u16; 1],
) {
    // Those behind the last are turned as well, and left alone.
    let places: [u16; NARROW] = std::array::from_fn(|lane| outside[lane.min(count - 1)]);
    let mut values = [places.map(|place| rows[usize::from(place)])];
    let mut left = u16::MAX >> (NARROW - count);
    while left != 0 {
        let [mask] = narrow(&mut values);
        // Those that are inside go on turning, since to stop them would take longer.
        for lane in 0..count {
            let row = &mut rows[usize::from(places[lane])];
            *row = match left >> lane & 1 {
                1 => values[0][lane],
                _ => *row,
            };
        }
        left &= mask;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::order::keys::Keys;

    type Network = Feistel<8>;

    /// Fills by each set of instructions that the machine has, and by the one that is chosen.
    fn fills(network: &Network, start: u64, len: usize) -> Vec<(&'static str, Vec<u64>)> {
        type Fill = fn(&Network, u64, &mut [u64]) -> bool;
        let fills: &[(&str, Fill)] = &[
            ("chosen", |network, start, rows| {
                network.fill(start, rows);
                true
            }),
            ("portable", |network, start, rows| {
                Rounds::new(network).fill(start, rows);
                true
            }),
            #[cfg(target_arch = "x86_64")]
            ("AVX2", super::super::x86::fill),
        ];
        let filled = fills.iter().filter_map(|(name, fill)| {
            let mut rows = vec![u64::MAX; len];
            fill(network, start, &mut rows).then_some((*name, rows))
        });
        filled.collect()
    }

    fn naive(network: &Network, start: u64, len: usize) -> Vec<u64> {
        (start..).take(len).map(|at| network.row(at)).collect()
    }

    fn lengths() -> impl Strategy<Value = u64> {
        prop_oneof![
            4097..=1_u64 << 63,
            Just(1_u64 << 63),
            // Of any size alike.
            (12..63_u32, 1.0..2.0_f64)
                .prop_map(|(bits, more)| (2_f64.powi(bits as i32) * more) as u64 + 1),
            // The worst: almost half of the domain is outside.
            (12..63_u32, 1..5_u64).prop_map(|(bits, more)| (1 << bits) + more),
            (13..=63_u32, 0..5_u64).prop_map(|(bits, less)| (1 << bits) - less),
        ]
    }

    proptest! {
        #[test]
        fn many_are_what_each_is(
            len in lengths(),
            seed: u64,
            at in prop_oneof![Just(0.0), Just(1.0), 0.0..1.0_f64],
            count in prop_oneof![
                prop::sample::select(vec![0, 1, 4, 5, 7, 8, 9, 15, 16, 17, 32, 33, 63, 64, 65, 127, 128, 129, 255, 256, 257, 1000]),
                0..1000_usize,
            ],
        ) {
            let network = Network::new(len, &Keys::new(seed, 0));
            let last = len - count as u64;
            let start = ((last as f64 * at) as u64).min(last);
            let naive = naive(&network, start, count);
            for (name, rows) in fills(&network, start, count) {
                prop_assert_eq!(&rows, &naive, "{}", name);
            }
        }
    }

    #[test]
    fn more_than_a_chunk_is_what_each_is() {
        for len in [65_537, 100_000, 131_073, (1 << 40) + 1] {
            let network = Network::new(len, &Keys::new(7, 3));
            let count = len.min(140_000) as usize;
            let naive = naive(&network, 0, count);
            for (name, rows) in fills(&network, 0, count) {
                assert!(rows == naive, "{name}, {len}");
            }
        }
    }
}
