//! Orders that users have pinned by their seeds never change.

use std::path::Path;
use std::process::Command;

use burn_npy_core::rand_core::Rng;
use burn_npy_core::{
    Sampler,
    order::{Order, Partition, Permutation, Plan, PositionRng, Remainder, Shard},
};

fn numbers(text: &str) -> Vec<u64> {
    text.split_whitespace()
        .map(|number| number.parse().unwrap())
        .collect()
}

fn first_rows(order: &Order, count: usize) -> Vec<u64> {
    order.rows(0..order.len().min(count as u64)).collect()
}

/// `reference.py` prints the vectors. `python/burn_npy.py` computes them, from the description of
/// the order alone. If a vector changes, the order needs a new version.
#[test]
fn golden_vectors() {
    let mut counts = [0; 8];
    for line in include_str!("../golden.txt").lines() {
        let (key, expected) = line.split_once(':').unwrap();
        let (kind, found) = match key.split_once(' ').unwrap() {
            ("blocks", key) => {
                let [len, seed, epoch, block, mixed] = numbers(key)[..] else {
                    panic!("{line}");
                };
                let sampler = Sampler::blocks(block, mixed, seed).unwrap();
                (1, join(first_rows(&sampler.order(len, epoch), 20)))
            }
            ("blocks-first", key) => {
                let [len, seed, epoch, block, mixed] = numbers(key)[..] else {
                    panic!("{line}");
                };
                let sampler = Sampler::blocks_first(block, mixed, seed).unwrap();
                (7, join(first_rows(&sampler.order(len, epoch), 20)))
            }
            ("bucketed", key) => {
                let [len, seed, epoch, batch] = numbers(key)[..] else {
                    panic!("{line}");
                };
                let lengths = (0..len).map(|row| row * 7919 % 541);
                let sampler = Sampler::bucketed(lengths, batch as usize, seed).unwrap();
                (5, join(first_rows(&sampler.order(len, epoch), 20)))
            }
            ("tokens", key) => {
                let [len, seed, epoch, most] = numbers(key)[..] else {
                    panic!("{line}");
                };
                let lengths = (0..len).map(|row| row * 7919 % 541);
                let sampler = Sampler::max_tokens(lengths, most, seed).unwrap();
                let order = sampler.order(len, epoch);
                let ends = order.batch_ends().unwrap();
                let starts = std::iter::once(&0).chain(ends);
                let batches = starts.zip(ends).take(4);
                let batches = batches.map(|(start, end)| join(order.rows(*start..*end)));
                (6, batches.collect::<Vec<_>>().join(", "))
            }
            ("shard", key) => (2, shard(key)),
            ("epochs", key) => {
                let [len, seed, epoch, n] = numbers(key)[..] else {
                    panic!("{line}");
                };
                let sampler = Sampler::shuffled(seed).epoch_len(n).unwrap();
                (3, join(first_rows(&sampler.order(len, epoch), 16)))
            }
            ("drawn", key) => {
                let [len, seed, epoch] = numbers(key)[..] else {
                    panic!("{line}");
                };
                let sampler = Sampler::with_replacement(seed).draws(8).unwrap();
                (4, join(first_rows(&sampler.order(len, epoch), 8)))
            }
            _ => {
                let [len, seed, epoch] = numbers(key)[..] else {
                    panic!("{line}");
                };
                let rows: Vec<u64> = Permutation::new(len, seed, epoch)
                    .rows(0..len.min(8))
                    .collect();
                let order = Sampler::shuffled(seed).order(len, epoch);
                assert_eq!(first_rows(&order, 8), rows);
                (0, join(rows))
            }
        };
        assert_eq!(found, expected.trim(), "{key}");
        counts[kind] += 1;
    }
    assert_eq!(counts, [50, 15, 104, 20, 12, 15, 15, 9]);
}

fn join(numbers: impl IntoIterator<Item = u64>) -> String {
    let numbers: Vec<String> = numbers.into_iter().map(|n| n.to_string()).collect();
    numbers.join(" ")
}

fn shard(key: &str) -> String {
    let words: Vec<&str> = key.split(' ').collect();
    let [len, batch, drop_last, tail, index, count] = words[..] else {
        panic!("{key}");
    };
    let tail = match tail {
        "drop" => Remainder::Drop,
        "pad" => Remainder::Pad,
        "uneven" => Remainder::Uneven,
        _ => Remainder::Spread,
    };
    let number = |word: &str| word.parse::<u64>().unwrap();
    let shard = Shard::new(number(index), number(count)).unwrap();
    let plan = Plan::new(0..number(len), number(batch) as usize, drop_last == "1");
    let plan = plan.shard(shard, tail);
    let batches = (0..plan.num_batches()).map(|batch| {
        let padding = join(plan.padding(batch));
        if padding.is_empty() {
            join(plan.batch(batch))
        } else {
            format!("{} + {padding}", join(plan.batch(batch)))
                .trim()
                .to_owned()
        }
    });
    batches.collect::<Vec<_>>().join(", ")
}

#[test]
fn the_reference_still_gives_the_golden_vectors() {
    let python = std::env::var("BURN_NPY_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let numpy = crate::output(Command::new(&python).args(["-c", "import numpy"]));
    if !numpy.is_some_and(|output| output.status.success()) {
        assert!(!crate::require_all(), "there is no Python with NumPy");
        eprintln!("skipped: there is no Python with NumPy");
        return;
    }
    let reference = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference.py");
    let Some(output) = crate::output(Command::new(python).arg(reference)) else {
        return;
    };
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let printed = String::from_utf8(output.stdout).unwrap();
    let lines = include_str!("../golden.txt").lines();
    assert!(printed.lines().eq(lines), "the reference differs");
}

/// Orders that `reference.py` does not print. `tests/python.rs` compares whole orders.
#[test]
fn literal_orders() {
    let weights: Vec<f64> = (0..50).map(|row| f64::from(row) * 0.37).collect();
    let labels: Vec<u8> = (0..50).map(|row| row % 7).collect();
    let weighted = Sampler::weighted(&weights, 42).unwrap();
    let without_replacement = Sampler::weighted_without_replacement(&weights, 42).unwrap();
    let balanced = Sampler::balanced(&labels, 42).unwrap();
    assert_eq!(first_rows(&weighted.order(50, 3), 8), WEIGHTED);
    assert_eq!(
        first_rows(&without_replacement.order(50, 3), 8),
        WITHOUT_REPLACEMENT
    );
    assert_eq!(first_rows(&balanced.order(50, 3), 8), BALANCED);
    let folds = Partition::stratified_k_fold(&labels, 5, 42).unwrap();
    assert_eq!(folds.rows(0), FOLD);
    let grouped = Partition::grouped_k_fold(&labels, 5, 42).unwrap();
    assert_eq!(grouped.rows(1), GROUPED_FOLD);
    let mut rng = PositionRng::new(42, 3, 4711);
    assert_eq!([0; 4].map(|_| rng.next_u32()), RANDOM);
}

const WEIGHTED: [u64; 8] = [26, 17, 11, 47, 49, 29, 37, 39];
const WITHOUT_REPLACEMENT: [u64; 8] = [18, 30, 22, 48, 34, 35, 8, 7];
const BALANCED: [u64; 8] = [28, 33, 23, 24, 22, 4, 34, 49];
const FOLD: [u64; 10] = [0, 1, 7, 10, 18, 26, 30, 32, 37, 48];
const GROUPED_FOLD: [u64; 14] = [4, 5, 11, 12, 18, 19, 25, 26, 32, 33, 39, 40, 46, 47];
const RANDOM: [u32; 4] = [2565584630, 3491083504, 3807640731, 2674534816];
