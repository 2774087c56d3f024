use proptest::prelude::*;

use super::*;

#[test]
fn the_last_batch_has_the_remaining_positions() {
    let plan = Plan::new(5..15, 4, false);
    let batches: Vec<_> = (0..plan.num_batches()).map(|k| plan.batch(k)).collect();
    assert_eq!(batches, [5..9, 9..13, 13..15]);
    assert_eq!(plan.num_rows(), 10);

    let plan = Plan::new(5..15, 4, true);
    assert_eq!((plan.num_batches(), plan.num_rows()), (2, 8));
    assert_eq!(Plan::new(3..3, 4, false).num_batches(), 0);
}

/// The positions of a batch, and its padding.
type Batch = (Vec<u64>, Vec<u64>);

/// The batches of each shard, made with vectors.
fn naive(
    positions: Range<u64>,
    size: usize,
    drop_last: bool,
    count: usize,
    remainder: Remainder,
) -> Vec<Vec<Batch>> {
    let all: Vec<u64> = positions.collect();
    let mut shards: Vec<Vec<Batch>> = vec![Vec::new(); count];
    let mut steps: Vec<&[u64]> = all.chunks(size * count).collect();
    let last = steps.last().map_or(0, |step| step.len());
    if remainder == Remainder::Spread && !drop_last && last < count && steps.len() > 1 && size > 1 {
        // The last two steps become two of half of their positions.
        steps.truncate(steps.len() - 2);
        let rest = &all[steps.concat().len()..];
        let (first, second) = rest.split_at(rest.len() / 2);
        steps.extend([first, second]);
    }
    for step in steps {
        let full = step.len() == size * count;
        let mut parts: Vec<Batch> = match (remainder, drop_last) {
            _ if full => step
                .chunks(size)
                .map(|own| (own.to_vec(), vec![]))
                .collect(),
            (Remainder::Drop | Remainder::Spread, true) => vec![],
            (Remainder::Spread, false) if step.len() < count => vec![],
            (Remainder::Drop, false) => match step.len() / count {
                0 => vec![],
                each => step
                    .chunks_exact(each)
                    .take(count)
                    .map(|own| (own.to_vec(), vec![]))
                    .collect(),
            },
            (Remainder::Pad, _) => {
                let each = if drop_last {
                    size
                } else {
                    step.len().div_ceil(count)
                };
                let mut own = step.chunks(each);
                let mut fill = all.iter().copied().cycle();
                (0..count)
                    .map(|_| {
                        let own = own.next().unwrap_or_default().to_vec();
                        let padding = fill.by_ref().take(each - own.len()).collect();
                        (own, padding)
                    })
                    .collect()
            }
            (Remainder::Uneven, true) => step
                .chunks_exact(size)
                .map(|own| (own.to_vec(), vec![]))
                .collect(),
            (Remainder::Uneven | Remainder::Spread, false) => {
                let mut rest = step;
                (0..count)
                    .map(|shard| {
                        let own;
                        let size = step.len() / count + usize::from(shard < step.len() % count);
                        (own, rest) = rest.split_at(size);
                        (own.to_vec(), vec![])
                    })
                    .collect()
            }
        };
        parts.retain(|(own, padding)| !own.is_empty() || !padding.is_empty());
        for (shard, part) in shards.iter_mut().zip(parts) {
            shard.push(part);
        }
    }
    shards
}

const REMAINDERS: [Remainder; 4] = [
    Remainder::Drop,
    Remainder::Pad,
    Remainder::Uneven,
    Remainder::Spread,
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn batches_equal_a_naive_reference(
        start in 0..100_u64, len in 0..300_u64, size in 1..20_usize, drop_last: bool,
        count in 1..9_u64, remainder in prop::sample::select(&REMAINDERS[..]),
    ) {
        let plan = Plan::new(start..start + len, size, drop_last);
        let naive = naive(start..start + len, size, drop_last, count as usize, remainder);
        let mut left_out: Vec<u64> = (start..start + len).collect();
        for (index, naive) in (0..).zip(&naive) {
            let plan = plan.shard(Shard::new(index, count).unwrap(), remainder);
            let batches: Vec<Batch> = (0..plan.num_batches())
                .map(|k| (plan.batch(k).collect(), plan.padding(k).collect()))
                .collect();
            prop_assert_eq!(&batches, naive);
            let rows: usize = naive.iter().map(|(own, _)| own.len()).sum();
            prop_assert_eq!(plan.num_rows() as usize, rows);
            for (batch, (own, _)) in (0..).zip(&batches) {
                for (offset, position) in (0..).zip(own) {
                    let expected = BatchPosition { shard: index, batch, offset };
                    prop_assert_eq!(plan.locate(*position), Some(expected));
                    left_out.retain(|left| left != position);
                }
            }
        }
        for position in &left_out {
            let plan = plan.shard(Shard::new(0, count).unwrap(), remainder);
            prop_assert_eq!(plan.locate(*position), None);
        }
        // The promises in the docs of the variants.
        let steps = (size as u64) * count;
        let most = match (remainder, drop_last) {
            (Remainder::Drop | Remainder::Spread, true) => steps - 1,
            (Remainder::Drop, false) => count - 1,
            (Remainder::Spread, false) if size == 1 || len < count => count - 1,
            (Remainder::Uneven, true) => size as u64 - 1,
            (Remainder::Pad, _) | (Remainder::Uneven | Remainder::Spread, false) => 0,
        };
        prop_assert!(left_out.len() as u64 <= most);
        let sizes: Vec<Vec<usize>> = naive
            .iter()
            .map(|shard| shard.iter().map(|(own, padding)| own.len() + padding.len()).collect())
            .collect();
        let alike = |shard: &Vec<usize>| match remainder {
            Remainder::Uneven => true,
            Remainder::Spread => {
                let mut pairs = shard.iter().zip(&sizes[0]);
                shard.len() == sizes[0].len() && pairs.all(|(own, first)| own.abs_diff(*first) < 2)
            }
            _ => *shard == sizes[0],
        };
        prop_assert!(sizes.iter().all(alike));
        prop_assert!(sizes.concat().iter().all(|found| (1..=size).contains(found)));
        prop_assert!(!drop_last || sizes.concat().iter().all(|found| *found == size));
    }

    /// Where all shards are after each step, and a plan of the rest.
    #[test]
    fn what_is_done_is_a_prefix_that_another_plan_continues(
        len in 0..300_u64, size in 1..20_usize, drop_last: bool, count in 1..9_u64,
        remainder in prop::sample::select(&REMAINDERS[..]),
    ) {
        let naive = naive(0..len, size, drop_last, count as usize, remainder);
        let plan = Plan::new(0..len, size, drop_last);
        let plan = plan.shard(Shard::new(0, count).unwrap(), remainder);
        let mut seen = 0;
        for step in 0..naive[0].len() {
            prop_assert_eq!(plan.done(step as u64), seen);
            let batches = naive.iter().filter_map(|shard| shard.get(step));
            seen += batches.map(|(own, _)| own.len() as u64).sum::<u64>();
            // The rest has the batches that are left, if no shard is behind.
            let rest = Plan::new(seen..len, size, drop_last);
            for (index, naive) in (0..).zip(&naive) {
                let rest = rest.shard(Shard::new(index, count).unwrap(), remainder);
                let left = naive.iter().skip(step + 1).map(|(own, _)| own.clone());
                let found = (0..rest.num_batches()).map(|batch| rest.batch(batch).collect());
                prop_assert_eq!(Vec::<Vec<u64>>::from_iter(found), Vec::from_iter(left));
            }
        }
        prop_assert_eq!(plan.done(naive[0].len() as u64), len);
    }

    #[test]
    fn no_number_is_too_large(
        len in (1_u64 << 60)..=1 << 63, size in 1_usize.., drop_last: bool, count in 1_u64..,
        index: u64, remainder in prop::sample::select(&REMAINDERS[..]), at: u64,
    ) {
        let plan = Plan::new(0..len, size, drop_last);
        let plan = plan.shard(Shard::new(index % count, count).unwrap(), remainder);
        if let Some(found) = plan.locate(at % len) {
            let plan = plan.shard(Shard::new(found.shard, count).unwrap(), remainder);
            prop_assert_eq!(plan.batch(found.batch).start + found.offset, at % len);
        }
        if plan.num_batches() > 0 {
            let last = plan.num_batches() - 1;
            prop_assert!(plan.batch(last).end <= len);
            prop_assert!(plan.padding(last).take(10).all(|position| position < len));
        }
    }
}
