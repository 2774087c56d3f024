//! A hash that tells samplers apart.

use super::{Kind, Sampler};
use crate::Order;
use crate::order::domain::Domain;
use crate::order::hash::Hash;
use crate::order::keys::mix;
use crate::order::passes::Once;

impl Sampler {
    /// A hash of everything that decides the order: the kind of sampler, its seed, weights, labels,
    /// lengths and list, and [`Order::VERSION`].
    ///
    /// It is the same on every machine, so a saved state can be checked against the sampler that it
    /// is restored with. It takes O(n) time for a sampler with O(n) memory.
    pub fn fingerprint(&self) -> u64 {
        let mut hash = Hash(mix(Order::VERSION.into()));
        match &self.kind {
            Kind::Once { order, len } => {
                match *order {
                    Once::Sequential => hash.add([0]),
                    Once::Shuffled { seed } => hash.add([1, seed]),
                    Once::Blocks { seed, block, mixed } => hash.add([2, seed, block, mixed]),
                    Once::BlocksFirst { seed, block, mixed } => {
                        hash.add([10, seed, block, mixed]);
                    }
                }
                // Nothing that is added for a domain has two words.
                if let Some(len) = len {
                    hash.add([7, *len]);
                }
            }
            Kind::WithReplacement { seed, draws } => {
                hash.add([6, *seed, draws.unwrap_or(u64::MAX)]);
            }
            Kind::Weighted { seed, table, draws } => {
                hash.add([3, *seed, draws.unwrap_or(u64::MAX)]);
                hash.add(table.words());
            }
            Kind::WeightedWithoutReplacement {
                seed,
                weights,
                draws,
            } => {
                hash.add([4, *seed, *draws]);
                hash.add(weights.iter().map(|weight| weight.to_bits()));
            }
            Kind::Balanced {
                seed,
                classes,
                draws,
            } => {
                hash.add([5, *seed, draws.unwrap_or(u64::MAX)]);
                for class in classes.iter() {
                    hash.add(class.iter().copied());
                }
            }
            Kind::Bucketed {
                seed,
                batch_size,
                buckets,
            } => {
                hash.add([8, *seed, *batch_size as u64]);
                hash.add(buckets.ranks().iter().copied());
            }
            Kind::MaxTokens { seed, tokens } => {
                hash.add([9, *seed, tokens.max()]);
                hash.add(tokens.lengths().iter().copied());
            }
        }
        match &self.domain {
            Domain::Rows => hash.add([0]),
            Domain::Windows { length, stride } => hash.add([1, *length, *stride]),
            Domain::Index { rows, .. } => {
                hash.add([2]);
                hash.add(rows.iter().copied());
            }
        }
        hash.0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn other_samplers_have_other_fingerprints() {
        let samplers = || {
            let balanced = |labels: &[u8]| Sampler::balanced(labels, 1).unwrap();
            let weighted = |weights: &[f64]| Sampler::weighted(weights, 1).unwrap();
            let without_replacement =
                |w: &[f64]| Sampler::weighted_without_replacement(w, 1).unwrap();
            let shuffled = Sampler::shuffled(1);
            [
                Sampler::sequential(),
                shuffled.clone(),
                Sampler::shuffled(2),
                Sampler::blocks(2, 3, 1).unwrap(),
                Sampler::blocks(3, 2, 1).unwrap(),
                Sampler::blocks_first(2, 3, 1).unwrap(),
                Sampler::blocks_first(3, 2, 1).unwrap(),
                weighted(&[1.0, 2.0]),
                weighted(&[2.0, 1.0]),
                weighted(&[1.0, 2.0]).draws(3).unwrap(),
                without_replacement(&[1.0, 2.0]),
                without_replacement(&[1.0, 2.0, 0.0]),
                balanced(&[0, 1, 1]),
                balanced(&[0, 0, 1]),
                Sampler::bucketed([7, 9], 2, 1).unwrap(),
                Sampler::bucketed([9, 7], 2, 1).unwrap(),
                Sampler::bucketed([7, 9], 3, 1).unwrap(),
                Sampler::max_tokens([7, 9], 9, 1).unwrap(),
                Sampler::max_tokens([9, 7], 9, 1).unwrap(),
                Sampler::max_tokens([8, 9], 9, 1).unwrap(),
                Sampler::max_tokens([7, 9], 10, 1).unwrap(),
                Sampler::max_tokens([7, 9], 9, 2).unwrap(),
                shuffled.clone().windows(2, 1).unwrap(),
                shuffled.clone().windows(1, 2).unwrap(),
                shuffled.clone().epoch_len(2).unwrap(),
                shuffled.clone().epoch_len(3).unwrap(),
                Sampler::with_replacement(1),
                Sampler::with_replacement(2),
                Sampler::with_replacement(1).draws(2).unwrap(),
                shuffled.clone().index([1, 2]).unwrap(),
                shuffled.index([2, 1]).unwrap(),
            ]
        };
        let prints = |samplers: [Sampler; 31]| samplers.map(|sampler| sampler.fingerprint());
        let found: HashSet<u64> = prints(samplers()).into_iter().collect();
        assert_eq!(found.len(), 31);
        assert_eq!(prints(samplers()), prints(samplers()));
        // Saved states hold fingerprints, so they must not change.
        assert_eq!(
            Sampler::shuffled(42).fingerprint(),
            6_199_307_755_011_929_818
        );
        let literal = [
            Sampler::sequential(),
            Sampler::blocks(2, 3, 1).unwrap(),
            Sampler::shuffled(1).windows(2, 1).unwrap(),
            Sampler::sequential().index([1, 2]).unwrap(),
            Sampler::shuffled(1).epoch_len(2).unwrap(),
            Sampler::with_replacement(1),
        ];
        assert_eq!(literal.map(|sampler| sampler.fingerprint()), LITERAL);
    }
    const LITERAL: [u64; 6] = [
        16_174_588_386_999_571_926,
        998_239_170_409_591_996,
        369_757_777_303_985_950,
        15_335_392_395_413_988_526,
        3_081_746_100_693_694_752,
        12_378_386_658_080_048_982,
    ];
}
