//! Rows drawn with given weights, without replacement.
//!
//! Each row gets a random key with an exponential distribution whose rate is the row's weight. The
//! rows are drawn in the order of their keys (Efraimidis and Spirakis, *Weighted Random Sampling
//! with a Reservoir*, 2006).
//!
//! The keys are computed with the four basic operations only, so they are the same on every
//! machine. The logarithm of the standard library may differ in the last bit between platforms, so
//! this file has one of its own.

use crate::order::keys::{Keys, part_of};

const TAG: u64 = 4;

/// Draws `count` rows, or fewer if fewer weights are above zero. It needs 16 bytes a row while it
/// runs.
pub(crate) fn draw(weights: &[f64], count: usize, seed: u64, epoch: u64) -> Vec<u64> {
    let keys = Keys::new(part_of(seed, TAG, 0), epoch);
    let mut drawn: Vec<(f64, u64)> = (0_u64..)
        .zip(weights)
        .filter(|(_, weight)| **weight > 0.0)
        .map(|(row, weight)| {
            // One of 2^53 numbers above 0 and below 1, except that the largest is rounded to 1.
            let random = ((keys.at(row) >> 11) as f64 + 0.5) / 9_007_199_254_740_992.0;
            (-ln(random) / weight, row)
        })
        .collect();
    let order = |a: &(f64, u64), b: &(f64, u64)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
    if count < drawn.len() {
        drawn.select_nth_unstable_by(count, order);
        drawn.truncate(count);
    }
    drawn.sort_unstable_by(order);
    drawn.into_iter().map(|(_, row)| row).collect()
}

/// The natural logarithm of a normal number, accurate to about the last bit.
///
/// With x = 2^e m and m near 1, ln x = e ln 2 + 2 artanh((m - 1) / (m + 1)). The artanh is computed
/// by its power series.
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
    fn the_logarithm_agrees_with_std_up_to_the_last_bits() {
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
        // If row 0 comes first, row 3 is second with probability 5/7; if row 2 does, with 5/6.
        let last = 1.0 / 8.0 * 5.0 / 7.0 + 2.0 / 8.0 * 5.0 / 6.0;
        for row in 0..4 {
            assert!((first[row] - expected[row]).abs() < 0.015, "{first:?}");
        }
        assert!((second[3] - last).abs() < 0.015, "{second:?}");
    }
}
