//! Streams of pseudorandom 64-bit numbers, the same on every machine. Every order is computed from
//! them.

/// The increment of SplitMix64: 2^64 divided by the golden ratio, made odd.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The stream of random numbers for a seed and an epoch.
///
/// It is the exclusive or of two SplitMix64 streams (Steele, Lea and Flood, 2014). The start of
/// each depends on both the seed and the epoch, in a different way. Any number of the stream can be
/// computed without the ones before it.
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

    /// The number at an index of the stream.
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

/// Derives an independent seed for one use of randomness, which `tag` names, and for one part of
/// that use.
pub(crate) fn part_of(seed: u64, tag: u64, part: u64) -> u64 {
    mix(mix(seed ^ mix(tag)).wrapping_add(part.wrapping_mul(GOLDEN)))
}

/// Maps a random number to one below `bound`, by Lemire's multiplication instead of a division.
#[inline]
pub(crate) fn below(random: u64, bound: u64) -> u64 {
    ((u128::from(random) * u128::from(bound)) >> 64) as u64
}
