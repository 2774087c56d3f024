//! Tests whether a permutation looks as if it were drawn at random. Three statistics accept 8
//! rounds of the network and reject 4.
//!
//! Each statistic counts something over many epochs and gives how many standard deviations the
//! count is from its mean for random permutations. A random permutation is beyond [`FAIR`] once in
//! a million.

use super::{Permutation, ROUNDS};
use crate::order::feistel::Feistel;
use crate::order::keys::Keys;

const FAIR: f64 = 5.0;

/// From the shortest network to one far too long to enumerate.
const LENGTHS: [u64; 9] = [
    4097,
    5000,
    8192,
    60_000,
    65_536,
    65_537,
    1_000_000,
    10_000_000,
    1_000_000_000,
];

fn network<const R: usize>(len: u64, epoch: u64) -> Feistel<R> {
    Feistel::new(len, &Keys::new(1, epoch))
}

/// The power of two by which a network splits a number into its halves. It is from one to two times
/// the square root of the length.
fn cut(len: u64) -> u64 {
    1 << (u64::BITS - (len - 1).leading_zeros()).div_ceil(2)
}

/// Counts how many rows of the first half of the epoch come from each of `cells` equal parts of the
/// file, and adds up Pearson's chi-squared over the epochs.
fn positions<const R: usize>(len: u64, cells: u64, epochs: u64) -> f64 {
    let mut rows = vec![0; (len / 2) as usize];
    let expected = rows.len() as f64 / cells as f64;
    // The rows are drawn without replacement, so their counts vary less.
    let correction = 1.0 - (rows.len() as f64 - 1.0) / (len as f64 - 1.0);
    let freedom = (cells - 1) as f64;
    let mut sum = 0.0;
    for epoch in 0..epochs {
        network::<R>(len, epoch).fill(0, &mut rows);
        let mut counts = vec![0_u64; cells as usize];
        for row in &rows {
            counts[(row * cells / len) as usize] += 1;
        }
        let squares = counts.iter().map(|n| (*n as f64 - expected).powi(2));
        sum += squares.sum::<f64>() / expected / correction - freedom;
    }
    sum / (2.0 * freedom * epochs as f64).sqrt()
}

/// Counts pairs of consecutive positions whose rows are neighbours in the file modulo the cut.
fn distances<const R: usize>(len: u64, samples: u64) -> f64 {
    let cut = cut(len);
    let mut rows = [0; 256];
    let (mut found, mut done) = (0_u64, 0);
    for epoch in 0.. {
        let network = network::<R>(len, epoch);
        for start in (0..len - 256).step_by(256).take(1000) {
            network.fill(start, &mut rows);
            for [first, second] in rows.as_chunks().0 {
                let distance = first.abs_diff(*second) % cut;
                found += u64::from(distance == 1 || distance == cut - 1);
            }
            done += rows.len() as u64 / 2;
        }
        if done >= samples {
            break;
        }
    }
    let expected = 2.0 * done as f64 / cut as f64;
    (found as f64 - expected) / expected.sqrt()
}

/// Counts pairs of positions, within a run as long as the cut, where `position ^ row` has the same
/// low bits for both.
fn pairs<const R: usize>(len: u64, samples: u64) -> f64 {
    let cut = cut(len);
    let runs = samples.div_ceil(cut);
    let mut rows = vec![0; cut as usize];
    let mut found = 0;
    for run in 0..runs {
        network::<R>(len, run).fill(run % (len / cut) * cut, &mut rows);
        let mut counts = vec![0_u64; cut as usize];
        for (position, row) in rows.iter().enumerate() {
            counts[((position as u64 ^ row) % cut) as usize] += 1;
        }
        found += counts
            .iter()
            .map(|n| n * n.saturating_sub(1) / 2)
            .sum::<u64>();
    }
    let expected = (runs * (cut - 1)) as f64 / 2.0;
    (found as f64 - expected) / expected.sqrt()
}

#[test]
fn positions_are_uniform_and_four_rounds_are_rejected() {
    for (len, epochs) in [(8192, 600), (16_384, 250)] {
        let four = positions::<4>(len, 2, epochs);
        assert!(four > FAIR, "{len}: 4 rounds pass: {four:.1}");
    }
    for (len, epochs) in [(4097, 400), (8192, 600), (16_384, 250), (60_000, 20)] {
        for cells in [2, 4, 16] {
            let z = positions::<ROUNDS>(len, cells, epochs);
            assert!(z.abs() < FAIR, "{len}, {cells} parts: {z:.1}");
        }
    }
}

#[test]
fn distances_of_neighbours_are_uniform_and_four_rounds_are_rejected() {
    for len in LENGTHS {
        let z = distances::<ROUNDS>(len, 1 << 18);
        assert!(z.abs() < FAIR, "{len}: {z:.1}");
        // A longer permutation needs more samples; the ignored test has them.
        if len <= 8192 {
            let four = distances::<4>(len, 1 << 18);
            assert!(four > 2.0 * FAIR, "{len}: 4 rounds pass: {four:.1}");
        }
    }
}

#[test]
fn pairs_are_uniform_and_four_rounds_are_rejected() {
    // The halves of the last one are longer than the shift of the round function.
    for len in LENGTHS.into_iter().chain([1 << 40]) {
        let z = pairs::<ROUNDS>(len, 200_000);
        assert!(z.abs() < FAIR, "{len}: {z:.1}");
        let four = pairs::<4>(len, 200_000);
        assert!(four > 20.0 * FAIR, "{len}: 4 rounds pass: {four:.1}");
    }
    // Even 6 rounds are not enough where the halves are short.
    assert!(pairs::<6>(8192, 200_000) > FAIR);
}

/// Run it with `cargo test --release -p burn-npy-core -- --ignored --nocapture quality`.
#[test]
#[ignore = "several hundred million indices"]
fn long_epochs_are_uniform() {
    for len in [60_000, 65_536, 65_537, 1_000_000, 10_000_000] {
        let epochs = 100_000_000_u64.div_ceil(len);
        let found = |name: &str, four: f64, z: f64| {
            println!("{len:>9} {name:<9}  4 rounds {four:6.1}   {ROUNDS} rounds {z:5.1}");
            assert!(z.abs() < FAIR, "{len} {name}: {z:.1}");
        };
        let four = positions::<4>(len, 2, epochs);
        found("positions", four, positions::<ROUNDS>(len, 2, epochs));
        let four = distances::<4>(len, 50_000_000);
        found("distances", four, distances::<ROUNDS>(len, 50_000_000));
        assert!(four > 2.0 * FAIR, "{len}: 4 rounds pass: {four:.1}");
        let four = pairs::<4>(len, 50_000_000);
        found("pairs", four, pairs::<ROUNDS>(len, 50_000_000));
        assert!(four > 20.0 * FAIR, "{len}: 4 rounds pass: {four:.1}");
    }
}

/// Tests short permutations, which are tables. Every permutation of a few rows comes equally often.
/// With more rows, each row has each position, and each distance between consecutive rows comes,
/// equally often.
#[test]
fn short_epochs_are_uniform() {
    for (len, orders) in [(2, 2), (3, 6), (4, 24), (5, 120)] {
        let epochs = 200 * orders;
        let mut counts = std::collections::HashMap::new();
        for epoch in 0..epochs {
            let rows: Vec<u64> = Permutation::new(len, 3, epoch).rows(0..len).collect();
            *counts.entry(rows).or_insert(0_u64) += 1;
        }
        assert_eq!(counts.len() as u64, orders);
        let z = chi_squared(counts.into_values(), 200.0);
        assert!(z < FAIR, "{len}: {z:.1}");
    }
    for len in [7, 30, 100] {
        let epochs = 100 * len;
        let mut table = vec![0_u64; (len * len) as usize];
        let mut steps = vec![0_u64; (len - 1) as usize];
        for epoch in 0..epochs {
            let rows: Vec<u64> = Permutation::new(len, 3, epoch).rows(0..len).collect();
            for (position, row) in rows.iter().enumerate() {
                table[position * len as usize + *row as usize] += 1;
            }
            for pair in rows.windows(2) {
                steps[((len + pair[1] - pair[0]) % len - 1) as usize] += 1;
            }
        }
        let z = chi_squared(table, epochs as f64 / len as f64);
        assert!(z < FAIR, "positions of {len}: {z:.1}");
        let z = chi_squared(steps, epochs as f64);
        assert!(z < FAIR, "distances of {len}: {z:.1}");
    }
}

fn chi_squared(counts: impl IntoIterator<Item = u64>, expected: f64) -> f64 {
    let (mut sum, mut cells) = (0.0, 0.0);
    for count in counts {
        sum += (count as f64 - expected).powi(2) / expected;
        cells += 1.0;
    }
    (sum - (cells - 1.0)) / (2.0_f64 * (cells - 1.0)).sqrt()
}
