//! Random numbers added to rows.

use rand_core::Rng;

use super::image::usage_error;
use super::{RowType, RowView, RowViewMut, Transform};
use crate::order::PositionRng;
use crate::{DType, Error, ErrorKind, Result};

/// A row to whose elements independent random numbers are added.
///
/// The rows are `float32` or `float64`, of any shape. The new rows have the same dtype and shape.
///
/// # Random numbers
///
/// Each element takes a number `u` between 0 and 1, in C order. For `float32` it is
/// (k + 1/2) / 2<sup>32</sup>, where k is the next word of 32 bits of the generator. For `float64`
/// it is (k + 1/2) / 2<sup>52</sup>, where k is the upper 52 bits of the next 64.
///
/// Uniform noise is `low + (high - low) * u`. Gaussian noise is `std` times the number below which
/// a standard normal variable is with probability `u`, computed with the algorithm AS 241
/// (`PPND16`) of Wichura, *The Percentage Points of the Normal Distribution*, 1988, to about 16
/// digits. With `float32` it is at most 6.4 standard deviations, with `float64` 8.3.
///
/// The noise is added in `f64` and the sum is rounded once. All of it is arithmetic that each
/// machine does alike, the logarithm included, which is that of the crate `libm` and not of the
/// system.
///
/// # Errors
///
/// When it is added to a column: [`ErrorKind::Dtype`] if the rows are of another dtype, and
/// [`ErrorKind::Usage`] if a parameter is not finite, `std` is negative, or `low` is above `high`.
///
/// # Example
///
/// ```
/// # extern crate burn_npy_core as burn_npy;
/// use burn_npy::order::PositionRng;
/// use burn_npy::transform::{Noise, RowView, RowViewMut, Transform};
///
/// # fn main() -> burn_npy::Result<()> {
/// let mut noisy = [0.0_f32; 3];
/// Noise::uniform(-0.5, 0.5).apply(
///     RowView::from_elements(&[3], &[1.0_f32, 2.0, 3.0])?,
///     RowViewMut::from_elements(&[3], &mut noisy)?,
///     &mut PositionRng::new(42, 0, 0),
/// )?;
/// assert_eq!(noisy.map(f32::round), [1.0, 2.0, 3.0]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Noise {
    distribution: Distribution,
}

#[derive(Clone, Debug)]
enum Distribution {
    Gaussian { std: f64 },
    Uniform { low: f64, high: f64 },
}

impl Noise {
    /// Normally distributed noise of mean 0 and this standard deviation.
    pub fn gaussian(std: f64) -> Self {
        Self {
            distribution: Distribution::Gaussian { std },
        }
    }

    /// Noise that is uniformly distributed between two numbers.
    pub fn uniform(low: f64, high: f64) -> Self {
        Self {
            distribution: Distribution::Uniform { low, high },
        }
    }
}

impl Distribution {
    /// Makes each of some numbers from 0 to 1 the noise below which there is this share of all
    /// noise.
    fn quantiles(&self, shares: &mut [f64]) {
        match self {
            Self::Gaussian { std } => {
                standard_normal(shares);
                shares.iter_mut().for_each(|x| *x *= std);
            }
            Self::Uniform { low, high } => {
                shares.iter_mut().for_each(|u| *u = low + (high - low) * *u);
            }
        }
    }

    /// Adds noise to elements.
    fn add<T: Copy + Into<f64>>(
        &self,
        old: &[T],
        new: &mut [T],
        mut draw: impl FnMut() -> f64,
        rounded: impl Fn(f64) -> T,
    ) {
        // Loops over some numbers at a time become vector instructions.
        let mut buffer = [0.0; 64];
        let news = new.chunks_mut(buffer.len());
        for (old, new) in old.chunks(buffer.len()).zip(news) {
            let noise = &mut buffer[..old.len()];
            noise.fill_with(&mut draw);
            self.quantiles(noise);
            for ((old, noise), new) in old.iter().zip(noise).zip(new) {
                *new = rounded((*old).into() + *noise);
            }
        }
    }
}

impl Transform for Noise {
    fn output(&self, row: &RowType) -> Result<RowType> {
        if !matches!(row.dtype, DType::F32 | DType::F64) {
            let message = format!(
                "noise takes float32 and float64 and the rows are {}; convert the column first",
                row.dtype
            );
            return Err(Error::new(ErrorKind::Dtype, message));
        }
        match self.distribution {
            Distribution::Gaussian { std } if !(0.0..=f64::MAX).contains(&std) => Err(usage_error(
                format!("{std} is no standard deviation, which is finite and not negative"),
            )),
            Distribution::Uniform { low, high } if !(0.0..=f64::MAX).contains(&(high - low)) => {
                Err(usage_error(format!(
                    "there is no noise from {low} to {high}"
                )))
            }
            _ => Ok(row.clone()),
        }
    }

    fn apply(
        &self,
        row: RowView<'_>,
        mut out: RowViewMut<'_>,
        rng: &mut PositionRng,
    ) -> Result<()> {
        if row.dtype() == DType::F64 {
            let draw = || ((rng.next_u64() >> 12) as f64 + 0.5) / (1_u64 << 52) as f64;
            let (old, new) = (row.elements()?, out.elements_mut()?);
            self.distribution.add::<f64>(old, new, draw, |x| x);
        } else {
            let draw = || (f64::from(rng.next_u32()) + 0.5) / (1_u64 << 32) as f64;
            let (old, new) = (row.elements()?, out.elements_mut()?);
            self.distribution.add::<f32>(old, new, draw, |x| x as f32);
        }
        Ok(())
    }
}

/// Makes each share, of at most 64, the quantile of the standard normal distribution: a quotient of
/// polynomials for the middle and two for the tails, which begin at 0.075 and near 1.4e-11.
fn standard_normal(shares: &mut [f64]) {
    let mut buffer = [0.0; 64];
    let middle = &mut buffer[..shares.len()];
    // This is computed for the tails too, since a loop without branches is faster.
    for (u, x) in shares.iter().zip(&mut *middle) {
        let from_middle = u - 0.5;
        *x = from_middle * quotient(&MIDDLE, 0.180625 - from_middle * from_middle);
    }
    for (u, middle) in shares.iter_mut().zip(middle) {
        let from_middle = *u - 0.5;
        *u = if from_middle.abs() <= 0.425 {
            *middle
        } else {
            tail(u.min(1.0 - *u)).copysign(from_middle)
        };
    }
}

/// How far the quantile of a small share is from 0.
fn tail(share: f64) -> f64 {
    let x = (-libm::log(share)).sqrt();
    if x <= 5.0 {
        quotient(&TAIL, x - 1.6)
    } else {
        quotient(&FAR_TAIL, x - 5.0)
    }
}

/// The quotient of two polynomials, whose coefficients have the lowest power first.
fn quotient([above, below]: &[[f64; 8]; 2], x: f64) -> f64 {
    let polynomial = |coefficients: &[f64; 8]| {
        let step = |sum: f64, coefficient: &f64| sum * x + coefficient;
        coefficients.iter().rev().fold(0.0, step)
    };
    polynomial(above) / polynomial(below)
}

/// The coefficients of AS 241, as the nearest `f64`s.
const MIDDLE: [[f64; 8]; 2] = [
    [
        3.3871328727963665,
        133.14166789178438,
        1971.5909503065513,
        13731.69376550946,
        45921.95393154987,
        67265.7709270087,
        33430.57558358813,
        2509.0809287301227,
    ],
    [
        1.0,
        42.31333070160091,
        687.1870074920579,
        5394.196021424751,
        21213.794301586597,
        39307.89580009271,
        28729.085735721943,
        5226.495278852854,
    ],
];
const TAIL: [[f64; 8]; 2] = [
    [
        1.4234371107496835,
        4.630337846156546,
        5.769497221460691,
        3.6478483247632045,
        1.2704582524523684,
        0.2417807251774506,
        0.022723844989269184,
        0.0007745450142783414,
    ],
    [
        1.0,
        2.053191626637759,
        1.6763848301838038,
        0.6897673349851,
        0.14810397642748008,
        0.015198666563616457,
        0.0005475938084995345,
        1.0507500716444169e-09,
    ],
];
const FAR_TAIL: [[f64; 8]; 2] = [
    [
        6.657904643501103,
        5.463784911164114,
        1.7848265399172913,
        0.29656057182850487,
        0.026532189526576124,
        0.0012426609473880784,
        2.7115555687434876e-05,
        2.0103343992922881e-07,
    ],
    [
        1.0,
        0.599832206555888,
        0.1369298809227358,
        0.014875361290850615,
        0.0007868691311456133,
        1.8463183175100548e-05,
        1.421511758316446e-07,
        2.0442631033899397e-15,
    ],
];

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers are those of `statistics.NormalDist` in Python, which has the same algorithm.
    #[test]
    fn quantiles_are_those_of_the_normal_distribution() {
        let quantile = |share: f64| {
            let mut shares = [share];
            standard_normal(&mut shares);
            shares[0]
        };
        assert_eq!(quantile(0.5), 0.0);
        for (u, expected) in [
            (0.975, 1.9599639845400536),
            (2_f64.powi(-2), -0.6744897501960817),
            (2_f64.powi(-4), -1.5341205443525459),
            (2_f64.powi(-20), -4.7630010342678135),
            (2_f64.powi(-36), -6.651035379893009),
            (2_f64.powi(-37), -6.752300431407015),
            (2_f64.powi(-53), -8.209536151601386),
        ] {
            assert_eq!(quantile(u), expected);
            assert_eq!(quantile(1.0 - u), -expected);
        }
    }
}
