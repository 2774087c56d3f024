use super::*;
use crate::Permutation;

fn rows(sampler: &Sampler, len: u64, epoch: u64) -> Vec<u64> {
    let order = sampler.order(len, epoch);
    order.rows(0..order.len()).collect()
}

fn message(result: Result<impl std::fmt::Debug>) -> (ErrorKind, String) {
    let error = result.unwrap_err();
    (error.kind(), error.to_string())
}

#[test]
fn sequential_is_the_order_of_the_file() {
    let order = Sampler::sequential().order(5, 9);
    assert_eq!(order.rows(1..4).collect::<Vec<_>>(), [1, 2, 3]);
}

#[test]
fn shuffled_is_the_permutation() {
    let order = Sampler::shuffled(3).order(5000, 9);
    let permutation = Permutation::new(5000, 3, 9);
    assert!(
        order
            .rows(0..5000)
            .eq((0..5000).map(|p| permutation.row(p)))
    );
}

#[test]
#[should_panic(expected = "position 5 of 5")]
fn beyond_the_end_is_a_bug() {
    Sampler::sequential().order(5, 0).row(5);
}

#[test]
#[should_panic(expected = "positions 3..6 of 5")]
fn filling_beyond_the_end_is_a_bug() {
    Sampler::shuffled(1).order(5, 0).fill(3..6, &mut [0; 3]);
}

#[test]
fn windows_end_within_the_series() {
    let windows = |len, length, stride| {
        let sampler = Sampler::sequential().windows(length, stride).unwrap();
        rows(&sampler, len, 0)
    };
    assert_eq!(windows(10, 4, 3), [0, 3, 6]);
    assert_eq!(windows(9, 4, 3), [0, 3]);
    assert_eq!(windows(4, 4, 1), [0]);
    assert!(windows(3, 4, 1).is_empty());

    let order = Sampler::shuffled(1).windows(4, 3).unwrap().order(100, 0);
    for position in 0..order.len() {
        assert_eq!(order.position(order.row(position)), Some(position));
    }
    assert_eq!(order.position(1), None);
    assert_eq!(order.position(99), None);
}

#[test]
fn a_list_may_repeat_rows() {
    let sampler = Sampler::sequential().index([5, 2, 5]).unwrap();
    assert_eq!(rows(&sampler, 6, 1), [5, 2, 5]);
    let order = sampler.order(6, 0);
    assert_eq!(order.positions(5).collect::<Vec<_>>(), [0, 2]);
    assert_eq!((order.position(2), order.position(3)), (Some(1), None));
    assert!(sampler.is_random());
    assert!(!Sampler::sequential().index([2, 5]).unwrap().is_random());
    let blocks = |rows: [u64; 3]| Sampler::blocks(2, 2, 1).unwrap().index(rows).unwrap();
    assert!(blocks([5, 2, 5]).is_random() && !blocks([2, 5, 5]).is_random());

    let mut shuffled = rows(&Sampler::shuffled(1).index([5, 2, 5]).unwrap(), 6, 1);
    shuffled.sort_unstable();
    assert_eq!(shuffled, [2, 5, 5]);
}

#[test]
fn epochs_with_a_length_go_on_through_the_passes() {
    for len in [1, 2, 3, 10, 4099] {
        for sampler in [
            Sampler::sequential(),
            Sampler::shuffled(7),
            Sampler::blocks(3, 2, 7).unwrap(),
            Sampler::blocks_first(3, 2, 7).unwrap(),
            Sampler::shuffled(7).index(vec![0; 5]).unwrap(),
            Sampler::shuffled(7).windows(1, 2).unwrap(),
        ] {
            let endless: Vec<u64> = (0..40).flat_map(|pass| rows(&sampler, len, pass)).collect();
            for epoch_len in [1, 2, 7, 10, 11, 25, 4099] {
                let own = sampler.clone().epoch_len(epoch_len).unwrap();
                own.check(len).unwrap();
                assert_eq!(own.positions(len), epoch_len);
                for (expected, epoch) in endless.chunks_exact(epoch_len as usize).zip(0..40) {
                    let order = own.order(len, epoch);
                    assert_eq!(order.len(), epoch_len);
                    assert!(order.rows(0..epoch_len).eq(expected.iter().copied()));
                    // From the middle, alone, and back.
                    let middle = epoch_len / 2;
                    assert_eq!(order.row(middle), expected[middle as usize]);
                    let rest = order.rows(middle..epoch_len);
                    assert!(rest.eq(expected[middle as usize..].iter().copied()));
                    if len <= 10 {
                        let row = expected[middle as usize];
                        let found: Vec<u64> = order.positions(row).collect();
                        let of_row = (0..).zip(expected).filter(|(_, other)| **other == row);
                        assert!(of_row.map(|(at, _)| at).eq(found.iter().copied()));
                        assert_eq!(order.position(row), found.first().copied());
                    }
                }
            }
        }
    }
}

#[test]
fn the_last_epoch_has_an_order_too() {
    for len in [1, 3, 5000, 1 << 62] {
        let sampler = Sampler::shuffled(1).epoch_len(7).unwrap();
        let order = sampler.order(len, u64::MAX);
        assert_eq!(order.rows(0..7).filter(|row| *row < len).count(), 7);
    }
    let long = Sampler::shuffled(1).epoch_len(u64::MAX).unwrap();
    assert!(long.order(5000, u64::MAX).row(u64::MAX - 1) < 5000);
}

/// Pearson's chi-squared with 99 degrees of freedom: 99.99 % of uniform draws are below 161.
#[test]
fn draws_with_replacement_are_uniform_and_repeat_rows() {
    let sampler = Sampler::with_replacement(3);
    assert_eq!(sampler.positions(100), 100);
    let drawn = rows(&sampler.clone().draws(100_000).unwrap(), 100, 5);
    let mut counts = [0_f64; 100];
    drawn.iter().for_each(|row| counts[*row as usize] += 1.0);
    let chi2: f64 = counts.iter().map(|c| (c - 1000.0).powi(2) / 1000.0).sum();
    assert!((50.0..161.0).contains(&chi2), "{chi2}");
    assert_eq!(drawn[..100], rows(&sampler, 100, 5));
    assert_ne!(rows(&sampler, 100, 5), rows(&sampler, 100, 6));
    let order = sampler.order(100, 5);
    let position = order.position(drawn[42]).unwrap();
    assert_eq!(order.row(position), drawn[42]);
    assert!(order.positions(drawn[42]).any(|position| position == 42));
    assert!(sampler.is_random() && sampler.seed() == Some(3));
    let listed = sampler.index([5, 7]).unwrap().draws(50).unwrap();
    let mut drawn = rows(&listed, 10, 0);
    drawn.sort_unstable();
    drawn.dedup();
    assert_eq!(drawn, [5, 7]);
    assert!(rows(&Sampler::with_replacement(1), 0, 0).is_empty());
}

#[test]
fn draws_count_the_rows_of_an_epoch() {
    let weights = [0.0, 1.0, 3.0, 0.5];
    let weighted = Sampler::weighted(&weights, 1).unwrap();
    assert_eq!(rows(&weighted, 4, 0).len(), 4);
    assert_eq!(rows(&weighted.draws(100).unwrap(), 4, 0).len(), 100);

    let without_replacement = Sampler::weighted_without_replacement(&weights, 1).unwrap();
    let mut all = rows(&without_replacement, 4, 0);
    all.sort_unstable();
    assert_eq!(all, [1, 2, 3]);
    assert_eq!(
        rows(&without_replacement.clone().draws(2).unwrap(), 4, 0),
        rows(&without_replacement, 4, 0)[..2]
    );
    assert_eq!(without_replacement.positions(4), 3);

    let balanced = Sampler::balanced(["a", "a", "a", "b"], 1).unwrap();
    let order = balanced.draws(8).unwrap().order(4, 0);
    assert_eq!(order.positions(3).count(), 4);
    assert!(
        Sampler::balanced(["a"], 1)
            .unwrap()
            .draws(0)
            .unwrap()
            .order(1, 0)
            .is_empty()
    );
}

#[test]
fn millions_of_rows_are_shown_in_a_line() {
    let weighted = Sampler::weighted(&[1.0; 10_000], 1).unwrap();
    let balanced = Sampler::balanced([1; 10_000], 1).unwrap();
    let listed = Sampler::shuffled(1).index(vec![0; 10_000]).unwrap();
    for sampler in [weighted, balanced, listed, Sampler::shuffled(1)] {
        let order = sampler.order(10_000, 0);
        assert!(format!("{sampler:?}{order:?}").len() < 1000, "{order:?}");
    }
}

#[test]
fn mixing_goes_from_0_to_1() {
    assert_eq!(Sampler::sequential().mixing(1000), 0.0);
    assert_eq!(Sampler::shuffled(1).mixing(1000), 1.0);
    let blocks = |mixed| Sampler::blocks(10, mixed, 1).unwrap().mixing(1000);
    assert!(0.0 < blocks(1) && blocks(1) < blocks(10) && blocks(10) < blocks(50));
    assert_eq!(blocks(100), 1.0);
    let first = Sampler::blocks_first(10, 10, 1).unwrap();
    assert_eq!(first.mixing(1000), blocks(10));
}

#[test]
fn misuse_is_an_error_that_names_the_place() {
    use ErrorKind::{Overflow, Row, Usage};
    let weighted = |weights: &[f64]| message(Sampler::weighted(weights, 1));
    let number = "expected a finite number that is not negative";
    assert_eq!(
        weighted(&[1.0, -2.0]),
        (Usage, format!("weight 1 is -2, {number}"))
    );
    assert_eq!(
        weighted(&[f64::NAN]),
        (Usage, format!("weight 0 is NaN, {number}"))
    );
    assert_eq!(
        weighted(&[f64::INFINITY]),
        (Usage, format!("weight 0 is inf, {number}"))
    );
    assert_eq!(
        weighted(&[0.0, 0.0]),
        (Usage, "all 2 weights are zero".to_owned())
    );
    assert_eq!(weighted(&[]), (Usage, "all 0 weights are zero".to_owned()));

    let check = |sampler: Result<Sampler>, len| message(sampler.unwrap().check(len));
    assert_eq!(
        check(Sampler::weighted(&[1.0], 1), 5),
        (Usage, "1 weights for 5 rows".to_owned())
    );
    assert_eq!(
        check(Sampler::balanced([1], 1).unwrap().windows(2, 1), 5),
        (Usage, "1 labels for 4 windows".to_owned())
    );
    assert_eq!(
        check(Sampler::sequential().index([0, 7, 2]), 7),
        (
            Row,
            "entry 1 of the index is row 7, but there are 7 rows".to_owned()
        )
    );
    assert_eq!(check(Ok(Sampler::sequential()), u64::MAX).0, Overflow);

    let epochs = "epochs of 4 positions, but there are no rows".to_owned();
    assert_eq!(
        check(Sampler::shuffled(1).epoch_len(4), 0),
        (Usage, epochs.clone())
    );
    assert_eq!(
        check(Sampler::with_replacement(1).draws(4), 0),
        (Usage, epochs)
    );
    Sampler::with_replacement(1).check(0).unwrap();

    let tokens = |lengths: &[i64], max| Sampler::max_tokens(lengths.iter().copied(), max, 1);
    assert_eq!(message(tokens(&[1], 0)).0, Usage);
    assert_eq!(
        message(tokens(&[3, 9, 12], 8)),
        (
            Usage,
            "row 1 has length 9, but a batch has at most 8 tokens; raise max_tokens, shorten \
             longer rows with Truncate, or leave them out, as with dataset.filter(\"tokens\", \
             |row: &[i64]| row.len() <= 8)"
                .to_owned()
        )
    );
    // Lengths of any type of integers, if they are lengths.
    assert_eq!(
        message(tokens(&[3, -1, -2, 12], 8)),
        (
            Usage,
            "the length of row 1 is negative, or beyond 64 bits".to_owned()
        )
    );
    assert_eq!(message(Sampler::max_tokens([1, u128::MAX], 8, 1)).0, Usage);
    let of_u64 = Sampler::max_tokens([3_u64, 8, 0], 8, 1).unwrap();
    assert_eq!(tokens(&[3, 8, 0], 8).unwrap(), of_u64);
    assert_eq!(
        Sampler::max_tokens(vec![3_usize, 8, 0], 8, 1).unwrap(),
        of_u64
    );
    assert_eq!(Sampler::max_tokens([3_u8, 8, 0], 8, 1).unwrap(), of_u64);
    assert_eq!(
        check(tokens(&[1, 2], 8), 5),
        (Usage, "2 lengths for 5 rows".to_owned())
    );
    let all = "batches of similar lengths have epochs of all rows".to_owned();
    for sampler in [tokens(&[1, 2], 8), Sampler::bucketed([1, 2], 8, 1)] {
        let sampler = sampler.unwrap();
        assert_eq!(message(sampler.clone().epoch_len(4)), (Usage, all.clone()));
        assert_eq!(message(sampler.draws(4)).0, Usage);
    }

    let none: [u8; 0] = [];
    assert_eq!(message(Sampler::balanced(none, 1)).0, Usage);
    for sampler in [Sampler::shuffled(1), Sampler::with_replacement(1)] {
        assert_eq!(message(sampler.epoch_len(0)).0, Usage);
    }
    let drawn = Sampler::with_replacement(1);
    assert_eq!(drawn.clone().epoch_len(4).ok(), drawn.draws(4).ok());
    assert_eq!(message(Sampler::blocks(0, 4, 1)).0, Usage);
    assert_eq!(message(Sampler::blocks(4, 0, 1)).0, Usage);
    assert_eq!(message(Sampler::blocks_first(0, 4, 1)).0, Usage);
    assert_eq!(message(Sampler::blocks_first(4, 0, 1)).0, Usage);
    assert_eq!(message(Sampler::sequential().windows(0, 4)).0, Usage);
    assert_eq!(message(Sampler::sequential().draws(4)).0, Usage);
    let twice = Sampler::sequential().windows(1, 1).unwrap().index([1]);
    assert_eq!(message(twice).0, Usage);
    let few = Sampler::weighted_without_replacement(&[1.0, 0.0], 1).unwrap();
    assert_eq!(message(few.draws(2)).0, Usage);
}

/// The batches are those of the entries, whatever row each entry is.
#[test]
fn batches_of_tokens_are_made_of_the_entries_of_a_list() {
    let sampler = Sampler::max_tokens([5, 1, 1, 4], 8, 3).unwrap();
    let entries = sampler.order(4, 2);
    let rows = sampler.index([9, 7, 7, 0]).unwrap().order(10, 2);
    assert_eq!(rows.batch_ends(), entries.batch_ends());
    let list = [9, 7, 7, 0];
    let expected = entries.rows(0..4).map(|entry| list[entry as usize]);
    assert!(rows.rows(0..4).eq(expected));
    assert_eq!(Sampler::shuffled(3).order(4, 2).batch_ends(), None);
    let bucketed = Sampler::bucketed([1, 2, 3], 2, 1).unwrap();
    assert_eq!(bucketed.order(3, 0).batch_ends(), None);
}
