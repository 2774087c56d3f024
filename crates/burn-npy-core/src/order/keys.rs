//! Streams of 64-bit numbers that are the same on every machine: what all orders are made of.

/// The step of SplitMix64: 2^64 divided by the golden ratio, made odd.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The stream of numbers of a seed and an epoch: two SplitMix64 streams (Steele, Lea and Flood, 2014)
/// whose states depend on both in different ways, added without carry. Any number of it can be had
/// without those before it.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    first: u64,
    second: u64,
}

impl Keys {
    pub(crate) fn new(seed: u64, epoch: u64) -> Self {
        Self {
            first: mix(mix(seed.wrapping_add(GOLDEN)).wrapping_add(epoch)),
            second: mix(mix(epoch ^ GOLDEN).wrapping_add(seed)),
        }
    }

    /// The number at an index.
    #[inline]
    pub(crate) fn at(&self, index: u64) -> u64 {
        let steps = index.wrapping_add(1);
        let first = self.first.wrapping_add(steps.wrapping_mul(GOLDEN));
        let second = self
            .second
            .wrapping_add(steps.wrapping_mul(0xd1b5_4a32_d192_ed03));
        mix(first) ^ mix(second)
    }
}

/// The finalizer of SplitMix64.
#[inline]
pub(crate) fn mix(mut x: u64) -> u64 {
    x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}

/// A seed of its own for a part of an order: which use (a tag), and which part of it.
pub(crate) fn part_of(seed: u64, tag: u64, part: u64) -> u64 {
    mix(mix(seed ^ mix(tag)).wrapping_add(part.wrapping_mul(GOLDEN)))
}

/// A number below a bound from a random number, by Lemire's multiplication in place of a division.
#[inline]
pub(crate) fn below(random: u64, bound: u64) -> u64 {
    ((u128::from(random) * u128::from(bound)) >> 64) as u64
}
