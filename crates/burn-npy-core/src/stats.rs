//! Statistics of numbers, in one pass.

/// How many numbers are summed side by side: what the widest vectors hold.
const LANES: usize = 8;

/// Count, least and greatest number, mean and standard deviation of numbers, in double precision.
///
/// NaN and infinities are counted and left out of everything else. The mean and the sum of squared
/// deviations of each slice are found in two passes (with the correction of Chan, Golub and
/// LeVeque, *Algorithms for computing the sample variance*, 1983), and those of slices are merged
/// with the formula of the same paper, so that a large mean costs no digits of the standard
/// deviation. The results depend on how the numbers are divided into slices, in the last digits
/// only.
///
/// # Example
///
/// ```
/// # extern crate burn_npy_core as burn_npy;
/// use burn_npy::Stats;
///
/// let mut stats = Stats::new();
/// stats.add(&[1.0, 2.0, f64::NAN]);
/// stats.add(&[3.0, 6.0]);
/// assert_eq!((stats.count(), stats.nan()), (4, 1));
/// assert_eq!((stats.min(), stats.max(), stats.mean()), (1.0, 6.0, 3.0));
/// assert_eq!(stats.std(), 3.5_f64.sqrt());
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stats {
    count: u64,
    min: f64,
    max: f64,
    /// A number near the mean of the first slice, and how far the mean is from there: one number
    /// would round off digits that the standard deviation needs.
    origin: f64,
    mean: f64,
    /// The sum of the squares of the deviations from the mean.
    squares: f64,
    nan: u64,
    infinite: u64,
}

impl Default for Stats {
    fn default() -> Self {
        Self::new()
    }
}

impl Stats {
    /// The statistics of no numbers.
    pub fn new() -> Self {
        Self {
            count: 0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            origin: 0.0,
            mean: 0.0,
            squares: 0.0,
            nan: 0,
            infinite: 0,
        }
    }

    /// Adds numbers.
    pub fn add(&mut self, numbers: &[f64]) {
        let mut new = Self::new();
        for number in numbers {
            new.nan += u64::from(number.is_nan());
            new.infinite += u64::from(number.is_infinite());
            if number.is_finite() {
                new.min = new.min.min(*number);
                new.max = new.max.max(*number);
            }
        }
        new.count = numbers.len() as u64 - new.nan - new.infinite;
        if new.count == 0 {
            return self.merge(&new);
        }
        let count = new.count as f64;
        let near = sum(numbers, |number| number) / count;
        new.origin = near;
        let rest = sum(numbers, |number| number - near);
        new.mean = rest / count;
        let squares = sum(numbers, |number| (number - near) * (number - near));
        new.squares = (squares - rest * rest / count).max(0.0);
        self.merge(&new);
    }

    /// Adds the numbers of other statistics.
    pub fn merge(&mut self, other: &Self) {
        self.nan += other.nan;
        self.infinite += other.infinite;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        if other.count == 0 {
            return;
        }
        if self.count == 0 {
            self.origin = other.origin;
        }
        let (own, others) = (self.count as f64, other.count as f64);
        let share = others / (own + others);
        let apart = (other.origin - self.origin) + (other.mean - self.mean);
        self.mean += apart * share;
        self.squares += other.squares + apart * apart * own * share;
        self.count += other.count;
    }

    /// How many finite numbers there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The least finite number; NaN if there is none.
    pub fn min(&self) -> f64 {
        self.if_any(self.min)
    }

    /// The greatest finite number; NaN if there is none.
    pub fn max(&self) -> f64 {
        self.if_any(self.max)
    }

    /// The mean of the finite numbers; NaN if there is none. It is infinite or NaN if their sum is
    /// beyond the range of `f64`.
    pub fn mean(&self) -> f64 {
        self.if_any(if self.is_constant() {
            self.min
        } else {
            self.origin + self.mean
        })
    }

    /// The standard deviation of the finite numbers, which is that of the whole population, as
    /// NumPy's `std`: the sum of squares is divided by their number. It is NaN if there is none,
    /// exactly 0 if all are equal, and infinite or NaN if the squares are beyond the range of
    /// `f64`.
    pub fn std(&self) -> f64 {
        self.if_any(if self.is_constant() {
            0.0
        } else {
            (self.squares / self.count as f64).sqrt()
        })
    }

    /// How many NaN there are.
    pub fn nan(&self) -> u64 {
        self.nan
    }

    /// How many infinities there are.
    pub fn infinite(&self) -> u64 {
        self.infinite
    }

    /// What a number is divided by to have a standard deviation of 1: the standard deviation, or 1
    /// if that is 0.
    pub(crate) fn divisor(&self) -> f64 {
        match self.std() {
            0.0 => 1.0,
            std => std,
        }
    }

    fn is_constant(&self) -> bool {
        self.min == self.max
    }

    fn if_any(&self, number: f64) -> f64 {
        if self.count == 0 { f64::NAN } else { number }
    }
}

/// The sum of a function of the finite numbers.
fn sum(numbers: &[f64], of: impl Fn(f64) -> f64) -> f64 {
    let of = |number: f64| if number.is_finite() { of(number) } else { 0.0 };
    let mut sums = [0.0; LANES];
    let chunks = numbers.chunks_exact(LANES);
    let rest: f64 = chunks.remainder().iter().map(|number| of(*number)).sum();
    for chunk in chunks {
        for (sum, number) in sums.iter_mut().zip(chunk) {
            *sum += of(*number);
        }
    }
    sums.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(slices: &[&[f64]]) -> Stats {
        let mut stats = Stats::new();
        slices.iter().for_each(|slice| stats.add(slice));
        stats
    }

    fn near(found: f64, expected: f64, scale: f64) -> bool {
        (found - expected).abs() <= 1e-12 * scale
    }

    proptest! {
        #[test]
        fn slices_in_any_division_have_the_statistics_of_all(
            numbers in prop::collection::vec(-100_i32..100, 0..200),
            cuts in prop::collection::vec(0..200_usize, 0..6),
            offset in prop::sample::select(vec![0.0, 1e3, -1e9]),
        ) {
            // Integers, so that the reference is exact.
            let count = numbers.len() as i64;
            let sum: i64 = numbers.iter().map(|x| i64::from(*x)).sum();
            let squares: i64 = numbers.iter().map(|x| i64::from(*x).pow(2)).sum();
            let all: Vec<f64> = numbers.iter().map(|x| f64::from(*x) + offset).collect();
            let mut stats = Stats::new();
            let mut parts: Vec<usize> = cuts.iter().map(|cut| *cut.min(&all.len())).collect();
            parts.extend([0, all.len()]);
            parts.sort_unstable();
            for part in parts.windows(2) {
                let mut merged = Stats::new();
                merged.add(&all[part[0]..part[1]]);
                stats.merge(&merged);
            }
            prop_assert_eq!(stats.count(), count as u64);
            if count == 0 {
                for none in [stats.min(), stats.max(), stats.mean(), stats.std()] {
                    prop_assert!(none.is_nan());
                }
            } else {
                let mean = sum as f64 / count as f64;
                let variance = (count * squares - sum * sum) as f64 / (count * count) as f64;
                prop_assert!(near(stats.mean(), mean + offset, 100.0 + offset.abs()));
                prop_assert!(near(stats.std(), variance.sqrt(), 1e3), "{:?}", stats);
                let least = f64::from(*numbers.iter().min().unwrap()) + offset;
                let greatest = f64::from(*numbers.iter().max().unwrap()) + offset;
                prop_assert_eq!((stats.min(), stats.max()), (least, greatest));
            }
        }
    }

    #[test]
    fn what_is_not_finite_is_counted_and_left_out() {
        let (inf, nan) = (f64::INFINITY, f64::NAN);
        let stats = of(&[&[nan, 1.0, inf], &[-nan, -inf], &[3.0], &[]]);
        assert_eq!((stats.count(), stats.nan(), stats.infinite()), (2, 2, 2));
        assert_eq!((stats.min(), stats.max()), (1.0, 3.0));
        assert_eq!((stats.mean(), stats.std()), (2.0, 1.0));
        let none = of(&[&[nan, inf]]);
        assert!(none.mean().is_nan() && none.std().is_nan() && none.min().is_nan());
    }

    #[test]
    fn a_large_mean_costs_no_digits() {
        // The sum of squares minus the square of the sum would have none left.
        let numbers: Vec<f64> = (0..100_000).map(|i| 1e9 + f64::from(i % 2)).collect();
        for slices in [
            &numbers.chunks(100_000).collect::<Vec<_>>(),
            &numbers.chunks(7).collect(),
        ] {
            let stats = of(slices);
            assert_eq!(stats.mean(), 1e9 + 0.5);
            assert!(near(stats.std(), 0.5, 1.0), "{}", stats.std());
        }
    }

    #[test]
    fn equal_numbers_have_no_deviation() {
        let stats = of(&[&[0.1; 10], &[0.1; 7]]);
        assert_eq!((stats.mean(), stats.std()), (0.1, 0.0));
        assert_eq!(of(&[&[-0.0, 0.0]]).std(), 0.0);
    }

    #[test]
    fn what_is_beyond_the_range_is_not_finite() {
        let stats = of(&[&[f64::MAX; 3], &[-f64::MAX; 3]]);
        assert_eq!((stats.min(), stats.max()), (-f64::MAX, f64::MAX));
        assert!(!stats.std().is_finite());
        // Their deviation is too small to have a square.
        assert_eq!(of(&[&[1e-200, 2e-200]]).std(), 0.0);
    }
}
