//! Rows drawn with given weights, without replacement.
//!
//! Each row runs for an exponentially distributed time with its weight as the rate, and they are drawn as they
//! arrive (Efraimidis and Spirakis, *Weighted Random Sampling with a Reservoir*, 2006). Only the
//! four basic operations touch the times, so they are the same on every machine; a logarithm of the
//! system would not be.

use crate::order::keys::{Keys, part_of};

const TAG: u64 = 4;

/// The first `count` rows of an epoch, or fewer if fewer weights are above zero. It takes 16 bytes a
/// row while it runs.
pub(crate) fn draw(weights: &[f64], count: usize, seed: u64, epoch: u64) -> Vec<u64> {
    let keys = Keys::new(part_of(seed, TAG, 0), epoch);
    let mut arrivals: Vec<(f64, u64)> = (0_u64..)
        .zip(weights)
        .filter(|(_, weight)| **weight > 0.0)
        .map(|(row, weight)| {
            // One of 2^53 numbers above 0, and below 1 but for the last, which is rounded up.
            let random = ((keys.at(row) >> 11) as f64 + 0.5) / 9_007_199_254_740_992.0;
            (-ln(random) / weight, row)
        })
        .collect();
    let order = |a: &(f64, u64), b: &(f64, u64)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
    if count < arrivals.len() {
        arrivals.select_nth_unstable_by(count, order);
        arrivals.truncate(count);
    }
    arrivals.sort_unstable_by(order);
    arrivals.into_iter().map(|(_, row)| row).collect()
}

/// The natural logarithm of a normal number, to about the last bit: with x = 2^e m and m near 1,
/// ln x = e ln 2 + 2 artanh((m - 1) / (m + 1)), and the series of artanh.
fn ln(x: f64) -> f64 {
    let bits = x.to_bits();
    let mut exponent = (bits >> 52) as i64 - 1023;
    let mut m = f64::from_bits(bits & ((1 << 52) - 1) | 1023 << 52);
    if m > std::f64::consts::SQRT_2 {
        m *= 0.5;
        exponent += 1;
    }
    let s = (m - 1.0) / (m + 1.0);
    let square = s * s;
    let series = (0..12)
        .rev()
        .fold(0.0, |sum, k| sum * square + 1.0 / f64::from(2 * k + 1));
    exponent as f64 * std::f64::consts::LN_2 + 2.0 * s * series
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_logarithm_is_that_of_the_system_but_for_the_last_bits() {
        for k in 1..100_000 {
            let x = f64::from(k) / 100_000.0;
            assert!(
                (ln(x) - x.ln()).abs() <= 4.0 * f64::EPSILON * x.ln().abs().max(0.1),
                "{x}"
            );
        }
        assert_eq!(ln(1.0), 0.0);
    }

    #[test]
    fn the_first_is_drawn_by_its_weight_and_the_second_from_the_rest() {
        let weights = [1.0, 0.0, 2.0, 5.0];
        let (mut first, mut second) = ([0.0; 4], [0.0; 4]);
        let epochs = 40_000;
        for epoch in 0..epochs {
            let rows = draw(&weights, 4, 1, epoch);
            assert_eq!(rows.len(), 3);
            assert_eq!(draw(&weights, 2, 1, epoch), rows[..2]);
            first[rows[0] as usize] += 1.0 / epochs as f64;
            second[rows[1] as usize] += 1.0 / epochs as f64;
        }
        let expected = [1.0 / 8.0, 0.0, 2.0 / 8.0, 5.0 / 8.0];
        // After row 0 came first, row 3 has 5 of 7, and so on.
        let last = 1.0 / 8.0 * 5.0 / 7.0 + 2.0 / 8.0 * 5.0 / 6.0;
        for row in 0..4 {
            assert!((first[row] - expected[row]).abs() < 0.015, "{first:?}");
        }
        assert!((second[3] - last).abs() < 0.015, "{second:?}");
    }
}
