//! A histogram of numbers whose range is not known before.
//!
//! All bins are as wide as a power of two, and begin at multiples of their width. Where the range
//! becomes too large for the bins, each two neighbours become one, which loses no count. So
//! histograms of parts can be added, and the result does not depend on how the numbers are divided.

/// How many bins there are, at most.
const BINS: i64 = 4096;
/// The narrowest bins: the reciprocals of smaller powers are beyond the range of `f64`.
const NARROWEST: i32 = -1000;
/// The digits of an `f64`, in bits.
const DIGITS: i32 = 52;

/// Counts of finite numbers.
#[derive(Clone, Debug)]
pub(super) struct Histogram {
    /// The least exponent that is allowed: 0 for integers.
    narrowest: i32,
    /// The width of a bin is this power of two.
    exponent: i32,
    /// The number of the first bin: it begins at `first` times the width.
    first: i64,
    counts: Vec<u64>,
    least: f64,
    greatest: f64,
}

/// Some neighbouring bins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bin {
    pub(super) start: f64,
    /// It ends before this number.
    pub(super) end: f64,
    pub(super) count: u64,
}

impl Histogram {
    /// A histogram of nothing. The bins of integers are not narrower than 1.
    pub(super) fn new(of_integers: bool) -> Self {
        let narrowest = if of_integers { 0 } else { NARROWEST };
        Self {
            narrowest,
            exponent: narrowest,
            first: 0,
            counts: Vec::new(),
            least: f64::INFINITY,
            greatest: f64::NEG_INFINITY,
        }
    }

    /// Counts the finite numbers of some, of which the least and the greatest are known.
    pub(super) fn add(&mut self, numbers: &[f64], least: f64, greatest: f64) {
        if least.is_nan() {
            // None is finite.
            return;
        }
        self.cover(least, greatest, self.narrowest);
        let scale = power(-self.exponent);
        for number in numbers {
            if number.is_finite() {
                let bin = bin(*number, scale) - self.first;
                self.counts[bin as usize] += 1;
            }
        }
    }

    /// Adds the counts of another histogram.
    pub(super) fn merge(&mut self, mut other: Self) {
        if other.counts.is_empty() {
            return;
        }
        self.cover(other.least, other.greatest, other.exponent);
        other.widen(self.exponent);
        let offset = (other.first - self.first) as usize;
        for (count, more) in self.counts[offset..].iter_mut().zip(&other.counts) {
            *count += more;
        }
    }

    /// Makes room for numbers between two, in bins that are not narrower than a power of two.
    fn cover(&mut self, least: f64, greatest: f64, exponent: i32) {
        let is_new = self.counts.is_empty();
        self.least = self.least.min(least);
        self.greatest = self.greatest.max(greatest);
        let exponent = exponent.max(self.narrowest);
        let exponent = if is_new {
            exponent
        } else {
            exponent.max(self.exponent)
        };
        let exponent = wide_enough(self.least, self.greatest, exponent);
        self.widen(exponent);
        let bins = bins(self.least, self.greatest, exponent);
        let front = if is_new { 0 } else { self.first - bins.0 };
        let mut counts = vec![0; (bins.1 - bins.0 + 1) as usize];
        counts[front as usize..][..self.counts.len()].copy_from_slice(&self.counts);
        (self.first, self.counts) = (bins.0, counts);
    }

    /// Makes the bins wider.
    fn widen(&mut self, exponent: i32) {
        let doublings = (exponent - self.exponent).clamp(0, 63) as u32;
        self.exponent = exponent;
        if doublings == 0 || self.counts.is_empty() {
            return;
        }
        let first = self.first >> doublings;
        let last = (self.first + self.counts.len() as i64 - 1) >> doublings;
        let mut counts = vec![0; (last - first + 1) as usize];
        for (bin, count) in (self.first..).zip(&self.counts) {
            counts[((bin >> doublings) - first) as usize] += count;
        }
        (self.first, self.counts) = (first, counts);
    }

    /// The counts in at most so many bins of the same width.
    pub(super) fn bins(&self, most: usize) -> Vec<Bin> {
        let each = self.counts.len().div_ceil(most.max(1)).max(1);
        let width = power(self.exponent);
        let edge = |index: usize| (self.first + (index * each) as i64) as f64 * width;
        let groups = self.counts.chunks(each).enumerate();
        groups
            .map(|(index, counts)| Bin {
                start: edge(index),
                end: edge(index + 1),
                count: counts.iter().sum(),
            })
            .collect()
    }
}

fn power(exponent: i32) -> f64 {
    2.0_f64.powi(exponent)
}

/// The number of the bin of a number, with the reciprocal of the width: the product, rounded down.
fn bin(number: f64, scale: f64) -> i64 {
    let scaled = number * scale;
    // Rounded towards zero. `f64::floor` is a call where the processor may be an old one.
    let near = scaled as i64;
    // A small negative number may become zero.
    let is_above = near as f64 > scaled || scaled == 0.0 && number < 0.0;
    near - i64::from(is_above)
}

/// The numbers of the first and the last bin.
fn bins(least: f64, greatest: f64, exponent: i32) -> (i64, i64) {
    let scale = power(-exponent);
    (bin(least, scale), bin(greatest, scale))
}

/// The exponent from a least one on with which the bins suffice.
fn wide_enough(least: f64, greatest: f64, narrowest: i32) -> i32 {
    let largest = least.abs().max(greatest.abs());
    // Half of each, since the difference may be beyond the range of `f64`.
    let half = greatest / 2.0 - least / 2.0;
    let log = |number: f64| number.log2().floor().max(f64::from(NARROWEST)) as i32;
    let by_digits = log(largest) - DIGITS + 1;
    let by_range = log(half / BINS as f64) + 1;
    let mut exponent = narrowest.max(by_digits).max(by_range);
    loop {
        let (first, last) = bins(least, greatest, exponent);
        if last - first < BINS {
            return exponent;
        }
        exponent += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The counts by comparing each number with the edges.
    fn naive(numbers: &[f64], bins: &[Bin]) -> Vec<u64> {
        let of = |bin: &Bin| {
            let inside = |number: &&f64| **number >= bin.start && **number < bin.end;
            let finite = numbers.iter().filter(|number| number.is_finite());
            finite.filter(inside).count() as u64
        };
        bins.iter().map(of).collect()
    }

    fn add(histogram: &mut Histogram, numbers: &[f64]) {
        let finite = || numbers.iter().copied().filter(|number| number.is_finite());
        let least = finite().reduce(f64::min).unwrap_or(f64::NAN);
        let greatest = finite().reduce(f64::max).unwrap_or(f64::NAN);
        histogram.add(numbers, least, greatest);
    }

    fn cases() -> Vec<Vec<f64>> {
        let random = |i: u64| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 11) as f64;
        vec![
            vec![],
            vec![3.0],
            vec![-0.1, 0.1, 5.0, 5.0, 1e9],
            (0..1000).map(|i| random(i) / 1e15 - 4.0).collect(),
            (0..1000).map(|i| 1e9 + random(i) / 9e16).collect(),
            vec![f64::MAX, f64::MIN, 0.0, 1.0],
            vec![f64::MIN_POSITIVE, 5e-324, -5e-324, 0.0],
            vec![f64::NAN, f64::INFINITY, 2.0, f64::NEG_INFINITY],
            (0..1000).map(|i| 1.5_f64.powi(i - 500)).collect(),
        ]
    }

    #[test]
    fn each_number_is_counted_in_its_bin() {
        for numbers in cases() {
            for most in [1, 7, 20, 10_000] {
                let mut histogram = Histogram::new(false);
                add(&mut histogram, &numbers);
                let bins = histogram.bins(most);
                assert!(bins.len() <= most);
                let counts: Vec<_> = bins.iter().map(|bin| bin.count).collect();
                // The ends may be beyond the range of f64, and then they are infinite.
                assert_eq!(counts, naive(&numbers, &bins), "{numbers:?}");
                let finite = numbers.iter().filter(|number| number.is_finite());
                assert_eq!(counts.iter().sum::<u64>(), finite.count() as u64);
            }
        }
    }

    #[test]
    fn a_range_takes_many_bins() {
        let mut histogram = Histogram::new(false);
        let numbers: Vec<_> = (0..1000).map(|i| 1e6 + f64::from(i) / 7.0).collect();
        add(&mut histogram, &numbers);
        assert!(histogram.counts.len() > 1500);
        assert_eq!(histogram.bins(20).len(), 20);
    }

    #[test]
    fn the_order_and_the_parts_do_not_matter() {
        let whole: Vec<f64> = cases().concat();
        for numbers in cases().into_iter().chain([whole]) {
            let mut all = Histogram::new(false);
            add(&mut all, &numbers);
            let mut merged = Histogram::new(false);
            for part in numbers.chunks(7).rev() {
                let mut own = Histogram::new(false);
                add(&mut own, part);
                merged.merge(own);
            }
            let mut bins = merged.bins(50);
            let total = |histogram: &Histogram| histogram.counts.iter().sum::<u64>();
            assert_eq!(total(&merged), total(&all));
            bins.retain(|bin| bin.count > 0);
            let counts: Vec<_> = bins.iter().map(|bin| bin.count).collect();
            assert_eq!(counts, naive(&numbers, &bins));
        }
    }

    #[test]
    fn bins_of_integers_are_whole() {
        let mut histogram = Histogram::new(true);
        add(&mut histogram, &[0.0, 1.0, 1.0, 3.0]);
        let counts: Vec<_> = histogram
            .bins(20)
            .iter()
            .map(|bin| (bin.start, bin.count))
            .collect();
        assert_eq!(counts, [(0.0, 1), (1.0, 2), (2.0, 0), (3.0, 1)]);
    }
}
