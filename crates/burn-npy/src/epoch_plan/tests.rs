//! Batches of positions and of the sampler, beside naive references.

use burn_npy_core::Sampler;

use super::*;

/// The rows of a pass, so many batches at once; where those of each batch end, and how many are
/// padding. Each row is the one at its position.
fn drawn(plan: &EpochPlan, order: &Order, at_once: u64) -> (Vec<u64>, Vec<(usize, usize)>) {
    let (mut drawn, mut ends) = (Rows::default(), Vec::new());
    let batches = plan.batches();
    for start in batches.clone().step_by(at_once as usize) {
        let some = start..batches.end.min(start + at_once);
        plan.fill(some, order, &mut drawn, |end, padding| {
            ends.push((end, padding));
        })
        .unwrap();
    }
    for (index, row) in drawn.numbers().iter().enumerate() {
        assert_eq!(order.row(drawn.position(index)), *row);
    }
    (drawn.numbers().to_vec(), ends)
}

fn rows(plan: &EpochPlan, order: &Order) -> Vec<u64> {
    let one_by_one = drawn(plan, order, 1);
    assert_eq!(drawn(plan, order, 3), one_by_one);
    assert_eq!(drawn(plan, order, 1000), one_by_one);
    one_by_one.0
}

const REMAINDERS: [Remainder; 4] = [
    Remainder::Drop,
    Remainder::Pad,
    Remainder::Uneven,
    Remainder::Spread,
];

/// Everything small, combined.
fn each_batching(remainders: &[Remainder], mut f: impl FnMut(Batching, Order)) {
    for positions in [0, 1, 5, 23, 40] {
        for (batch_size, count) in [(1, 1), (3, 1), (3, 2), (4, 3), (50, 2)] {
            for &remainder in remainders {
                for index in 0..count {
                    let batching = Batching {
                        positions,
                        batch_size,
                        drop_last: false,
                        shard: Shard::new(index, count).unwrap(),
                        remainder,
                        devices: 1,
                        slice: None,
                    };
                    f(batching, Sampler::shuffled(1).order(positions, 0));
                }
            }
        }
    }
}

/// What the plan says, one row after the other.
#[test]
fn batches_that_are_drawn_together_are_those_of_the_plan() {
    each_batching(&REMAINDERS, |batching, order| {
        let plan = batching.plan(None, 0);
        let (mut rows, mut ends, mut before) = (Vec::new(), Vec::new(), 0);
        for batch in plan.batches() {
            assert_eq!(plan.rows_before(batch), before);
            let own = plan.plan.batch(batch).map(|position| order.row(position));
            rows.extend(own);
            before += rows.len() as u64 - ends.last().map_or(0, |(end, _)| *end as u64);
            let padding = plan.plan.padding(batch);
            let padding = Vec::from_iter(padding.map(|at| order.row(at)));
            rows.extend(&padding);
            ends.push((rows.len(), padding.len()));
        }
        for at_once in [1, 2, 7, 1000] {
            let found = drawn(&plan, &order, at_once);
            assert_eq!(found, (rows.clone(), ends.clone()));
        }
    });
}

/// Slices have the rows of their shard, in its order, each once.
#[test]
fn slices_cut_the_rows_of_a_shard() {
    let remainders = [Remainder::Drop, Remainder::Uneven, Remainder::Spread];
    each_batching(&remainders, |batching, order| {
        let positions = batching.positions;
        for from in [0, positions / 3, positions] {
            let whole = rows(&batching.plan(None, from), &order);
            assert_eq!(batching.plan(None, from).num_rows(), whole.len() as u64);
            let all = batching.plan(None, 0).num_rows() as usize;
            for at in [0, all / 3, all / 2, all] {
                let parts = [
                    batching.slice(None, 0, at).0,
                    batching.slice(None, at, usize::MAX).0,
                ];
                let parts = parts.map(|part| rows(&part.plan(None, from), &order));
                assert_eq!(parts.concat(), whole);
            }
        }
    });
    let batching = Batching {
        positions: 100,
        batch_size: 10,
        drop_last: true,
        shard: Shard::WHOLE,
        remainder: Remainder::Drop,
        devices: 1,
        slice: None,
    };
    let inner = batching.slice(None, 20, 60).0.slice(None, 10, 25).0;
    let order = Sampler::sequential().order(100, 0);
    assert_eq!(
        rows(&inner.plan(None, 0), &order),
        (30..40).collect::<Vec<_>>()
    );
}

/// Orders whose batches the sampler has made, of two epochs, and everything small, combined.
fn each_made(mut f: impl FnMut(Batching, [Order; 2])) {
    for positions in [0_u64, 1, 5, 23, 40] {
        for (max, count) in [(6, 1), (9, 2), (20, 3), (6, 5), (1000, 2)] {
            let lengths = (0..positions).map(|row| row * 7 % 6);
            let sampler = Sampler::max_tokens(lengths, max, 1).unwrap();
            for remainder in REMAINDERS {
                for index in 0..count {
                    let batching = Batching {
                        positions,
                        batch_size: 1,
                        drop_last: index % 2 == 0,
                        shard: Shard::new(index, count).unwrap(),
                        remainder,
                        devices: 1,
                        slice: None,
                    };
                    f(
                        batching,
                        [0, 1].map(|epoch| sampler.order(positions, epoch)),
                    );
                }
            }
        }
    }
}

/// Batches as lists of positions, from a position on.
fn listed(order: &Order, from: u64) -> Vec<Vec<u64>> {
    let mut start = from;
    let ends = order.batch_ends().unwrap().iter().copied();
    ends.filter(|end| *end > from)
        .map(|end| (std::mem::replace(&mut start, end)..end).collect())
        .collect()
}

/// The batches of a shard, each with how much of it is padding, and how many come before them.
fn naive(batching: &Batching, order: &Order, from: u64) -> (usize, Vec<(Vec<u64>, usize)>) {
    let (index, count) = (batching.shard.index(), batching.shard.count() as usize);
    let whole = listed(order, 0);
    let before = whole.iter().take_while(|batch| batch[0] < from).count();
    let is_start = whole[..before].iter().map(Vec::len).sum::<usize>() as u64 == from;
    // Halved until their number is a multiple of that of the shards.
    let spread = |mut batches: Vec<Vec<u64>>| {
        let halves = batching.remainder == Remainder::Spread && !batching.drop_last;
        while halves && !batches.len().is_multiple_of(count) {
            let before = batches.len();
            for at in (0..before).rev() {
                let half = batches[at].len() / 2;
                if half > 0 && !batches.len().is_multiple_of(count) {
                    let second = batches[at].split_off(half);
                    batches.insert(at + 1, second);
                }
            }
            if batches.len() == before {
                break;
            }
        }
        batches
    };
    let whole = spread(whole);
    let is_same = whole.get(before).is_none_or(|batch| batch[0] == from);
    let (all, first) = match is_start && is_same && before.is_multiple_of(count) {
        true => (whole, before / count),
        false => (spread(listed(order, from)), 0),
    };
    let mut fill = all.iter().cycle();
    let mut own = Vec::new();
    for step in all.chunks(count) {
        let given = match (step.len() == count, batching.remainder) {
            (false, Remainder::Drop | Remainder::Spread) => &[],
            _ => step,
        };
        let index = index as usize;
        if let Some(batch) = given.get(index) {
            own.push((batch.clone(), 0));
        } else if batching.remainder == Remainder::Pad {
            let again = fill.nth(index - step.len()).unwrap();
            own.push((again.clone(), again.len()));
        }
    }
    (first, own)
}

#[test]
fn batches_of_the_sampler_are_divided_as_by_a_naive_reference() {
    each_made(|batching, [order, _]| {
        for from in 0..=batching.positions {
            let plan = batching.plan(Some(&order), from);
            let (first, expected) = naive(&batching, &order, from);
            assert_eq!(plan.batches(), first as u64..expected.len() as u64);
            let expected = &expected[first..];
            let (mut rows, mut ends, mut own) = (Vec::new(), Vec::new(), Vec::new());
            for (batch, (positions, padding)) in (first as u64..).zip(expected) {
                assert_eq!(plan.rows_before(batch), own.len() as u64);
                for (offset, position) in (0..).zip(positions).take(positions.len() - padding) {
                    let found = plan.locate(*position).unwrap();
                    let place = (found.shard, found.batch, found.offset);
                    assert_eq!(place, (batching.shard.index(), batch, offset));
                    own.push(*position);
                }
                rows.extend(positions.iter().map(|position| order.row(*position)));
                ends.push((rows.len(), *padding));
            }
            assert_eq!(plan.num_rows(), own.len() as u64);
            for at_once in [1, 2, 1000] {
                assert_eq!(drawn(&plan, &order, at_once), (rows.clone(), ends.clone()));
            }
            assert_eq!(plan.locate(batching.positions), None);
        }
    });
}

/// All shards together have each batch once, and go on where they were, with any number of
/// shards.
#[test]
fn shards_of_made_batches_are_disjoint_and_resume() {
    each_made(|batching, [order, _]| {
        let shards = |count: u64, from| {
            (0..count).map(move |index| {
                let shard = Shard::new(index, count).unwrap();
                (shard, from)
            })
        };
        let plan_of = |(shard, from)| {
            let batching = Batching {
                shard,
                remainder: Remainder::Uneven,
                ..batching.clone()
            };
            batching.plan(Some(&order), from)
        };
        let count = batching.shard.count();
        let plans = Vec::from_iter(shards(count, 0).map(plan_of));
        let steps = plans[0].batches().end;
        for done in 0..=steps {
            let from = plans[0].done(done);
            assert!(plans.iter().all(|plan| plan.done(done) == from));
            let rest = shards(count % 3 + 1, from).map(plan_of);
            let rest = Vec::from_iter(rest.flat_map(|plan| rows(&plan, &order)));
            let seen = plans.iter().flat_map(|plan| {
                let all = rows(plan, &order);
                all[..plan.rows_before(done) as usize].to_vec()
            });
            let mut all = Vec::from_iter(seen.chain(rest));
            all.sort_unstable();
            assert_eq!(all, Vec::from_iter(0..batching.positions));
        }
    });
}

/// Slices have whole batches, in the order of the shard, each once, also in an epoch with
/// batches of other sizes, and so do their slices.
#[test]
fn slices_of_made_batches_cover_a_shard() {
    let mut compared = 0;
    each_made(|batching, orders| {
        let first = Some(&orders[0]);
        let rows_of = |part: &Batching| part.plan(first, 0).num_rows() as usize;
        let all = rows_of(&batching);
        for at in [0, 1, all / 3, all / 2, all.saturating_sub(1), all] {
            let [one, two] = [(0, at), (at, all)].map(|(a, b)| batching.slice(first, a, b).0);
            let inner = rows_of(&two);
            // Of no rows there are no parts, though another epoch may have some.
            if all == 0 || inner == 0 {
                continue;
            }
            let inner = [(0, inner / 2), (inner / 2, inner)];
            let [three, four] = inner.map(|(a, b)| two.slice(first, a, b).0);
            for order in &orders {
                for from in 0..=batching.positions {
                    let plan = batching.rows(order.batch_ends(), from);
                    let (mut rows, mut ends) = drawn(&plan, order, 1);
                    ends.retain(|(_, padding)| *padding == 0);
                    rows.truncate(ends.last().map_or(0, |(end, _)| *end));
                    for parts in [&[&one, &two][..], &[&one, &three, &four]] {
                        let (mut found, mut found_ends) = (Vec::new(), Vec::new());
                        for part in parts {
                            let plan = part.plan(Some(order), from);
                            let (rows, ends) = drawn(&plan, order, 2);
                            assert_eq!(plan.num_rows(), rows.len() as u64);
                            let before = found.len();
                            found_ends.extend(ends.iter().map(|(end, _)| (before + end, 0)));
                            found.extend(rows);
                        }
                        assert_eq!((&found, &found_ends), (&rows, &ends));
                        compared += 1;
                    }
                }
            }
        }
    });
    assert!(compared > 10_000, "{compared}");
}

#[test]
fn batches_are_counted_by_their_mean_size() {
    let batching = Batching {
        positions: 40,
        batch_size: 3,
        drop_last: false,
        shard: Shard::WHOLE,
        remainder: Remainder::Drop,
        devices: 1,
        slice: None,
    };
    let plan = batching.plan(None, 0);
    assert_eq!([0, 1, 3, 4].map(|rows| plan.batches_of(rows)), [0, 1, 1, 2]);
    let order = Sampler::max_tokens([2; 40], 8, 1).unwrap().order(40, 0);
    let batching = Batching {
        batch_size: 1,
        ..batching
    };
    let plan = batching.plan(Some(&order), 0);
    assert_eq!(
        [0, 1, 4, 5, 40].map(|rows| plan.batches_of(rows)),
        [0, 1, 1, 2, 10]
    );
}

#[test]
fn each_row_knows_its_position() {
    let order = Sampler::shuffled(1).order(100, 0);
    let mut all = Rows::default();
    let mut expected = Vec::new();
    for positions in [7..12, 3..3, 40..41, 41..44, 0..2, 99..100] {
        all.extend(&order, positions.clone()).unwrap();
        expected.extend(positions);
    }
    for position in [98, 99, 5, 6, 7, 7] {
        all.push(order.row(position), position).unwrap();
        expected.push(position);
    }
    let found = (0..all.numbers().len()).map(|index| all.position(index));
    assert_eq!(Vec::from_iter(found), expected);
    let rows = expected.iter().map(|position| order.row(*position));
    assert_eq!(all.numbers(), Vec::from_iter(rows));
    // Those that follow each other take no memory each.
    assert_eq!(all.runs.len(), 8);
}

#[test]
fn orders_are_those_of_the_sampler_and_lists_are_kept() {
    let lengths = || (0..50_u64).map(|row| row % 7);
    let listed = [
        Sampler::max_tokens(lengths(), 20, 1).unwrap(),
        Sampler::bucketed(lengths(), 4, 1).unwrap(),
        Sampler::balanced(lengths(), 1).unwrap(),
        Sampler::weighted_without_replacement(&[1.0; 50], 1).unwrap(),
    ];
    let others = [
        Sampler::sequential(),
        Sampler::shuffled(1),
        Sampler::shuffled(1)
            .index((0..50).rev().collect::<Vec<u64>>())
            .unwrap(),
        Sampler::with_replacement(1),
        Sampler::weighted(&[1.0; 50], 1).unwrap(),
    ];
    let kept = |orders: &Orders| {
        orders
            .last
            .lock()
            .unwrap()
            .as_ref()
            .map(|(epoch, _)| *epoch)
    };
    for (number, sampler) in listed.iter().chain(&others).enumerate() {
        let orders = Orders::new(sampler.clone(), 50);
        let copy = orders.clone();
        for epoch in [3, 3, 0, 3, 1, 1] {
            for orders in [&orders, &copy] {
                let (found, naive) = (orders.order(epoch), sampler.order(50, epoch));
                let all = |order: &Order| order.rows(0..order.len()).collect::<Vec<_>>();
                assert_eq!(all(&found), all(&naive));
                assert_eq!(found.batch_ends(), naive.batch_ends());
            }
            let expected = (number < listed.len()).then_some(epoch);
            assert_eq!((kept(&orders), kept(&copy)), (expected, expected));
        }
    }
    // The same list, and no other with the same rows.
    let orders = Orders::new(listed[0].clone(), 50);
    let ends = |order: &Order| order.batch_ends().unwrap().as_ptr();
    let first = orders.order(5);
    assert_eq!(ends(&first), ends(&orders.clone().order(5)));
    assert_ne!(ends(&first), ends(&orders.order(6)));
}
