//! Applies a network to many values at a time.
//!
//! Within one value, each round waits for the result of the round before. So the network is applied
//! to [`WIDE`] values side by side, which keeps the processor busy.
//!
//! After the first application, some values are outside `0..len` and have to go through the network
//! again. A branch on that would often be mispredicted. So the indexes of these values are
//! collected in a list without branches. Whenever the list has [`WIDE`] indexes, the network is
//! applied to their values side by side.

use std::hint::black_box;

use super::{Feistel, mask, round};

/// The number of values that go through the network side by side. Each half fills eight registers
/// of AVX2, which is enough to hide the latency of their multiplications.
const WIDE: usize = 64;

/// The number of values side by side where there are too few for [`WIDE`].
pub(super) const NARROW: usize = 16;

/// The last rows of a chunk go through the network in steps of [`NARROW`], if there are at most
/// this many such steps.
const MAX_NARROW_STEPS: usize = 2;

/// The number of rows that are computed before their outside values are collected. With more than
/// one step of [`WIDE`], collecting one overlaps with computing the next.
const BLOCK: usize = 128;

/// The number of rows in a chunk. A chunk is completed before the next one starts, so an index into
/// it is a `u16`.
const CHUNK: usize = 1 << 16;

/// Values that go through the network side by side.
type Wide = [[u64; NARROW]; WIDE / NARROW];
type Narrow = [[u64; NARROW]; 1];

/// The indexes, in the chunk, of the values that are outside. `push` stores eight at a time, so
/// there is room for eight more after the last one.
type Outside = [u16; BLOCK + WIDE + 8];

/// The numbers from 0 up, which are added to a start to make consecutive positions.
static STEPS: Wide = {
    let mut steps = [[0; NARROW]; WIDE / NARROW];
    let mut step = 0;
    while step < WIDE {
        steps[step / NARROW][step % NARROW] = step as u64;
        step += 1;
    }
    steps
};

/// The indexes of the bits that are set in each byte.
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

/// The keys of a network, combined so that a round needs one exclusive or less.
///
/// In the plain network, a round xors a key into a copy of the half that it reads. Here that key is
/// already in the half: the round before, which changed the half, xored it in together with its
/// result. `changes` also removes the key that the half has carried so far.
pub(super) struct Rounds<const ROUNDS: usize> {
    pub(super) len: u64,
    pub(super) low_bits: u32,
    pub(super) high_bits: u32,
    pub(super) low_mask: u32,
    /// Is xored into the high half before the first round.
    pub(super) first: u32,
    /// Is xored, in each round, into the half that the round changes.
    pub(super) changes: [u32; ROUNDS],
    /// Is xored into the low half after the last round, to remove its key.
    pub(super) last: u32,
}

impl<const ROUNDS: usize> Rounds<ROUNDS> {
    pub(super) fn new(network: &Feistel<ROUNDS>) -> Self {
        let keys = &network.keys;
        // The half that a round changes was read by the round before, so it carries the key of that
        // round. The round after will read it, so it gets the key of that one.
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

    /// Writes the rows at the positions from `start` on, with portable code.
    pub(super) fn fill(&self, start: u64, rows: &mut [u64]) {
        fill(
            start,
            rows,
            |values| self.apply(values),
            |values| self.apply(values),
        );
    }

    /// Applies the network to each value, and returns a bit for each: whether the result is
    /// outside.
    #[inline(always)]
    fn apply<const N: usize>(&self, values: &mut [[u64; NARROW]; N]) -> [u16; N] {
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

/// Writes the rows at the positions from `start` on.
///
/// `wide` and `narrow` apply the network to [`WIDE`] and to [`NARROW`] values. Each returns a bit
/// for each value: whether the result is outside.
#[inline(always)]
pub(super) fn fill(
    mut start: u64,
    rows: &mut [u64],
    wide: impl Fn(&mut Wide) -> [u16; WIDE / NARROW],
    narrow: impl Fn(&mut Narrow) -> [u16; 1],
) {
    // If the compiler knew the steps, it would add each on its own and not all of them as a vector.
    let steps = black_box(&STEPS);
    for rows in rows.chunks_mut(CHUNK) {
        let mut outside = [0; BLOCK + WIDE + 8];
        let mut count = 0;
        let mut done = 0;
        while rows.len() - done > MAX_NARROW_STEPS * NARROW {
            let block = done;
            let mut masks = [[0; WIDE / NARROW]; BLOCK / WIDE];
            for masks in &mut masks {
                if done == rows.len() {
                    break;
                }
                done += apply_first(steps, start, done, rows, masks, &wide);
            }
            for (part, mask) in masks.as_flattened().iter().enumerate() {
                count = push(&mut outside, count, block + NARROW * part, *mask);
            }
            while count >= WIDE {
                count = apply_again(&mut outside, count, rows, &wide);
            }
        }
        while done < rows.len() {
            let mut masks = [0];
            let block = done;
            done += apply_first(steps, start, done, rows, &mut masks, &narrow);
            count = push(&mut outside, count, block, masks[0]);
        }
        while count > NARROW {
            count = apply_again(&mut outside, count, rows, &wide);
        }
        if count > 0 {
            walk(&outside, count, rows, &narrow);
        }
        start += rows.len() as u64;
    }
}

/// The positions from `start` on. Those after the end of the order are never used, so they may
/// wrap.
#[inline(always)]
fn positions<const N: usize>(steps: &Wide, start: u64) -> [[u64; NARROW]; N] {
    std::array::from_fn(|part| steps[part].map(|step| start.wrapping_add(step)))
}

/// Applies the network to the positions of the rows from index `done` on: `NARROW * N` of them, or
/// all that are left. Returns how many there were.
#[inline(always)]
fn apply_first<const N: usize>(
    steps: &Wide,
    start: u64,
    done: usize,
    rows: &mut [u64],
    masks: &mut [u16; N],
    network: &impl Fn(&mut [[u64; NARROW]; N]) -> [u16; N],
) -> usize {
    let rows = &mut rows[done..];
    let positions = || positions(steps, start + done as u64);
    if let Some(values) = rows.as_chunks_mut().0.first_chunk_mut() {
        *values = positions();
        *masks = network(values);
        return NARROW * N;
    }
    let mut values = positions();
    *masks = network(&mut values);
    rows.copy_from_slice(&values.as_flattened()[..rows.len()]);
    // Clear the bits of values after the last row.
    for (part, mask) in masks.iter_mut().enumerate() {
        let here = rows.len().saturating_sub(NARROW * part).min(NARROW);
        *mask &= ((1_u32 << here) - 1) as u16;
    }
    rows.len()
}

/// Appends the indexes whose bits in `mask` are set; bit 0 stands for `index`. Returns the new
/// count.
#[inline(always)]
fn push(outside: &mut Outside, mut count: usize, index: usize, mask: u16) -> usize {
    for (eight, mask) in mask.to_le_bytes().into_iter().enumerate() {
        let bits = &BITS[usize::from(mask)];
        for (outside, bit) in outside[count..][..8].iter_mut().zip(bits) {
            *outside = (index + 8 * eight) as u16 + u16::from(*bit);
        }
        count += mask.count_ones() as usize;
    }
    count
}

/// Applies the network again to the last [`WIDE`] values of the list, or to all if there are fewer,
/// and removes those that are inside now. Returns the new count.
#[inline(always)]
fn apply_again(
    outside: &mut Outside,
    count: usize,
    rows: &mut [u64],
    wide: &impl Fn(&mut Wide) -> [u16; WIDE / NARROW],
) -> usize {
    let taken = count.min(WIDE);
    let mut count = count - taken;
    let mut indexes = [0; WIDE];
    indexes[..taken].copy_from_slice(&outside[count..][..taken]);
    let mut values = [[0; NARROW]; WIDE / NARROW];
    for (value, index) in values.as_flattened_mut().iter_mut().zip(indexes) {
        *value = rows[usize::from(index)];
    }
    let masks = wide(&mut values);
    for lane in 0..taken {
        rows[usize::from(indexes[lane])] = values.as_flattened()[lane];
        outside[count] = indexes[lane];
        count += usize::from(masks[lane / NARROW] >> (lane % NARROW) & 1);
    }
    count
}

/// Applies the network to the last values of a chunk, at most [`NARROW`], until all are inside.
#[inline(always)]
fn walk(
    outside: &Outside,
    count: usize,
    rows: &mut [u64],
    narrow: &impl Fn(&mut Narrow) -> [u16; 1],
) {
    // Unused lanes repeat the last value, and their results are ignored.
    let indexes: [u16; NARROW] = std::array::from_fn(|lane| outside[lane.min(count - 1)]);
    let mut values = [indexes.map(|index| rows[usize::from(index)])];
    let mut left = u16::MAX >> (NARROW - count);
    while left != 0 {
        let [mask] = narrow(&mut values);
        // A lane whose value is inside keeps computing, since to stop it would take longer. Its row
        // is no longer changed.
        for lane in 0..count {
            let row = &mut rows[usize::from(indexes[lane])];
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

    /// Fills with each implementation that the machine supports, and with the one that is chosen.
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
            // All orders of magnitude, equally often.
            (12..63_u32, 1.0..2.0_f64)
                .prop_map(|(bits, more)| (2_f64.powi(bits as i32) * more) as u64 + 1),
            // Just above a power of two, almost half of the domain is outside; just below, almost
            // nothing.
            (12..63_u32, 1..5_u64).prop_map(|(bits, more)| (1 << bits) + more),
            (13..=63_u32, 0..5_u64).prop_map(|(bits, less)| (1 << bits) - less),
        ]
    }

    proptest! {
        #[test]
        fn fill_equals_row_for_each(
            len in lengths(),
            seed: u64,
            at in prop_oneof![Just(0.0), Just(1.0), 0.0..1.0_f64],
            count in prop_oneof![
                prop::sample::select(vec![
                    0, 1, 4, 5, 7, 8, 9, 15, 16, 17, 32, 33, 63, 64, 65, 127, 128, 129, 255, 256,
                    257, 1000,
                ]),
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
    fn fill_of_several_chunks_equals_row_for_each() {
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
