//! Each row comes once over all shards, even if an epoch is stopped and resumed with other
//! settings.

use std::ops::Range;

use burn_npy_core::{
    Sampler,
    order::{Order, Plan, Remainder, Shard},
};
use proptest::prelude::*;

/// A sampler that gives each entry once.
#[derive(Clone, Debug)]
enum Kind {
    Sequential,
    Shuffled,
    Blocks(u64, u64),
    BlocksFirst(u64, u64),
    Windows(u64, u64),
    Index(Vec<u64>),
    WithoutReplacement,
}

impl Kind {
    fn sampler(&self, seed: u64, len: u64) -> Sampler {
        match self {
            Self::Sequential => Sampler::sequential(),
            Self::Shuffled => Sampler::shuffled(seed),
            Self::Blocks(size, mixed) => Sampler::blocks(*size, *mixed, seed).unwrap(),
            Self::BlocksFirst(size, mixed) => Sampler::blocks_first(*size, *mixed, seed).unwrap(),
            Self::Windows(length, stride) => {
                Sampler::shuffled(seed).windows(*length, *stride).unwrap()
            }
            Self::Index(_) => Sampler::shuffled(seed).index(self.rows(len)).unwrap(),
            Self::WithoutReplacement => {
                let weights: Vec<f64> = (0..len).map(|row| (row % 5) as f64).collect();
                match Sampler::weighted_without_replacement(&weights, seed) {
                    Ok(sampler) => sampler,
                    // Nothing can be drawn.
                    Err(_) => Sampler::sequential().index([]).unwrap(),
                }
            }
        }
    }

    fn rows(&self, len: u64) -> Vec<u64> {
        match self {
            Self::Windows(length, stride) => (0..len)
                .step_by(*stride as usize)
                .filter(|start| start + length <= len)
                .collect(),
            Self::Index(rows) => {
                let mut rows: Vec<u64> = rows.iter().copied().filter(|row| *row < len).collect();
                rows.sort_unstable();
                rows
            }
            Self::WithoutReplacement => (0..len).filter(|row| row % 5 > 0).collect(),
            _ => (0..len).collect(),
        }
    }
}

fn kinds() -> impl Strategy<Value = Kind> {
    prop_oneof![
        Just(Kind::Sequential),
        Just(Kind::Shuffled),
        (1..300_u64, 1..10_u64).prop_map(|(size, mixed)| Kind::Blocks(size, mixed)),
        (1..300_u64, 1..10_u64).prop_map(|(size, mixed)| Kind::BlocksFirst(size, mixed)),
        (1..50_u64, 1..20_u64).prop_map(|(length, stride)| Kind::Windows(length, stride)),
        prop::collection::vec(0..700_u64, 0..500).prop_map(Kind::Index),
        Just(Kind::WithoutReplacement),
    ]
}

const REMAINDERS: [Remainder; 4] = [
    Remainder::Drop,
    Remainder::Pad,
    Remainder::Uneven,
    Remainder::Spread,
];

/// On both sides of the length up to which a shuffle is a table.
fn lengths() -> impl Strategy<Value = u64> {
    prop_oneof![20 => 0..700_u64, 1 => 4000..5000_u64]
}

/// The rows of the first `steps` batches of all shards, padding left out.
fn run(order: &Order, plan: &Plan, count: u64, tail: Remainder, steps: u64) -> Vec<u64> {
    let mut seen = Vec::new();
    for index in 0..count {
        let plan = plan.shard(Shard::new(index, count).unwrap(), tail);
        for batch in 0..steps.min(plan.num_batches()) {
            seen.extend(order.rows(plan.batch(batch)));
        }
    }
    seen
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn each_row_once_also_with_another_batch_size_and_shard_count(
        kind in kinds(), len in lengths(), seed: u64, epoch in 0..100_u64,
        first in (1..40_usize, 1..7_u64), then in (1..40_usize, 1..7_u64),
        last in (1..40_usize, 1..7_u64), stop in 0..60_u64,
        tail in prop::sample::select(REMAINDERS.to_vec()),
        drop_last: bool,
    ) {
        let sampler = kind.sampler(seed, len);
        let order = sampler.order(len, epoch);
        prop_assert_eq!(order.len(), sampler.positions(len));

        // Stopped twice, each time with other batches and other shards.
        let plan = Plan::new(0..order.len(), first.0, drop_last);
        let sharded = |plan: &Plan, count| plan.shard(Shard::new(0, count).unwrap(), tail);
        let steps = sharded(&plan, first.1).num_batches();
        let stop = stop.min(steps.saturating_sub(1));
        let mut seen = run(&order, &plan, first.1, tail, stop);
        // Too few rows for any batch: the others may have one.
        let at = match steps {
            0 => 0,
            _ => sharded(&plan, first.1).done(stop),
        };

        let plan = Plan::new(at..order.len(), then.0, drop_last);
        let steps = sharded(&plan, then.1).num_batches();
        seen.extend(run(&order, &plan, then.1, tail, steps / 2));
        let at = match steps {
            0 => at,
            _ => sharded(&plan, then.1).done(steps / 2),
        };

        let plan = Plan::new(at..order.len(), last.0, drop_last);
        seen.extend(run(&order, &plan, last.1, tail, u64::MAX));
        let left_out = kind.rows(len).len() - seen.len();
        let most = match (tail, drop_last) {
            (Remainder::Pad, _) | (Remainder::Uneven, false) => 0,
            (Remainder::Uneven, true) => last.0 - 1,
            (Remainder::Drop | Remainder::Spread, false) => last.1 as usize - 1,
            (Remainder::Drop | Remainder::Spread, true) => last.0 * last.1 as usize - 1,
            (other, _) => unreachable!("{other:?}"),
        };
        prop_assert!(left_out <= most);
        // Those that are left out are the last ones.
        seen.extend(order.rows(seen.len() as u64..order.len()));
        seen.sort_unstable();
        prop_assert_eq!(seen, kind.rows(len));
    }

    #[test]
    fn any_part_of_an_order_is_that_of_the_whole(
        kind in kinds(), len in lengths(), seed: u64, epoch in 0..100_u64, from in 0.0..1.0_f64,
        to in 0.0..1.0_f64,
    ) {
        let order = kind.sampler(seed, len).order(len, epoch);
        // One by one, as a naive reference for the faster ways.
        let naive: Vec<u64> = (0..order.len()).map(|position| order.row(position)).collect();
        let cut = |share: f64| (share * order.len() as f64) as u64;
        let Range { start, end } = cut(from.min(to))..cut(from.max(to));
        let mut rows = vec![0; (end - start) as usize];
        order.fill(start..end, &mut rows);
        prop_assert_eq!(&rows, &naive[start as usize..end as usize]);
        prop_assert!(order.rows(start..end).eq(rows));

        let row = naive.get(start as usize).copied().unwrap_or(len);
        let positions = (0..).zip(&naive).filter(|(_, found)| **found == row).map(|(at, _)| at);
        prop_assert!(order.positions(row).eq(positions));
    }
}
