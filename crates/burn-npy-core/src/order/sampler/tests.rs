use super::*;

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

    let mut shuffled = rows(&Sampler::shuffled(1).index([5, 2, 5]).unwrap(), 6, 1);
    shuffled.sort_unstable();
    assert_eq!(shuffled, [2, 5, 5]);
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

    let none: [u8; 0] = [];
    assert_eq!(message(Sampler::balanced(none, 1)).0, Usage);
    assert_eq!(message(Sampler::blocks(0, 4, 1)).0, Usage);
    assert_eq!(message(Sampler::blocks(4, 0, 1)).0, Usage);
    assert_eq!(message(Sampler::sequential().windows(0, 4)).0, Usage);
    assert_eq!(message(Sampler::sequential().draws(4)).0, Usage);
    let twice = Sampler::sequential().windows(1, 1).unwrap().index([1]);
    assert_eq!(message(twice).0, Usage);
    let few = Sampler::weighted_without_replacement(&[1.0, 0.0], 1).unwrap();
    assert_eq!(message(few.draws(2)).0, Usage);
}
