//! Finds values that a cast to an integer cannot keep, or clamps them to its range.

#![deny(unsafe_code)]

use half::{bf16, f16};

use super::{Rows, row_fits};
use crate::DType;
use crate::convert::{AsF32, Guard, Stage};
use crate::element::{Scalar, with_guarded};

/// An element that a stage cannot convert.
#[derive(Debug, PartialEq)]
pub(crate) struct Misfit {
    /// The index of its row among those that are converted.
    pub(crate) row: usize,
    /// Its index in the row.
    pub(crate) element: usize,
    pub(crate) value: String,
    pub(crate) why: Why,
}

/// Why an integer does not have a value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Why {
    NotANumber,
    OutOfRange,
    Fraction,
}

/// A number that is compared with the range of an integer.
pub(super) trait Guarded: Scalar {
    /// The type in which values are compared with the ends of the range.
    type Bound: Copy;

    /// The least and the greatest value that the guard accepts.
    fn bounds(to: DType, guard: Guard) -> (Self::Bound, Self::Bound);

    /// Whether the value is a whole number from the first to the second bound, both included.
    fn fits(self, bounds: (Self::Bound, Self::Bound)) -> bool;

    /// The nearest value within the bounds.
    fn clamped(self, bounds: (Self::Bound, Self::Bound)) -> Self;

    fn why(self) -> Why;

    fn show(self) -> String;
}

macro_rules! guarded_integers {
    ($($int:ty),*) => {$(
        impl Guarded for $int {
            type Bound = $int;

            fn bounds(to: DType, _: Guard) -> ($int, $int) {
                let (min, max) = to.int_range().unwrap_or((i128::MIN, i128::MAX));
                let here = |end: i128| {
                    end.clamp(i128::from(<$int>::MIN), i128::from(<$int>::MAX)) as $int
                };
                (here(min), here(max))
            }

            #[inline(always)]
            fn fits(self, (min, max): ($int, $int)) -> bool {
                (self >= min) & (self <= max)
            }

            #[inline(always)]
            fn clamped(self, (min, max): ($int, $int)) -> $int {
                self.clamp(min, max)
            }

            fn why(self) -> Why {
                Why::OutOfRange
            }

            fn show(self) -> String {
                self.to_string()
            }
        }
    )*};
}

guarded_integers!(i8, i16, i32, i64, u8, u16, u32, u64);

macro_rules! guarded_floats {
    ($($float:ty, $wide:ty, $widen:expr;)*) => {$(
        impl Guarded for $float {
            type Bound = $wide;

            fn bounds(to: DType, guard: Guard) -> ($wide, $wide) {
                let (min, max) = to.int_range().unwrap_or((i128::MIN, i128::MAX));
                if guard == Guard::Whole {
                    return (<$wide>::NEG_INFINITY, <$wide>::INFINITY);
                }
                // A lower end is 0 or a power of two, so it is exact.
                let end = max as $wide;
                let max = if end as i128 > max { end.next_down() } else { end };
                (min as $wide, max)
            }

            #[inline(always)]
            fn fits(self, (min, max): ($wide, $wide)) -> bool {
                /// From here on, floats have no fractions.
                const WHOLE: $wide = (1_u64 << (<$wide>::MANTISSA_DIGITS - 1)) as $wide;
                let x: $wide = $widen(self);
                // The sum has no fraction, so it differs if there was one.
                let magnitude = x.abs();
                let whole = ((magnitude + WHOLE) - WHOLE == magnitude) | (magnitude >= WHOLE);
                whole & (x >= min) & (x <= max)
            }

            fn clamped(self, _: ($wide, $wide)) -> $float {
                unreachable!("the cast of a float saturates by itself")
            }

            fn why(self) -> Why {
                let x: $wide = $widen(self);
                if x.is_nan() {
                    Why::NotANumber
                } else if x.is_finite() && x.fract() != 0.0 {
                    Why::Fraction
                } else {
                    Why::OutOfRange
                }
            }

            fn show(self) -> String {
                // `Debug` writes an exponent where there would be many digits.
                let x: $wide = $widen(self);
                format!("{x:?}")
            }
        }
    )*};
}

guarded_floats! {
    f16, f32, f16::as_f32;
    bf16, f32, bf16::as_f32;
    f32, f32, f32::from;
    f64, f64, f64::from;
}

/// The first element that a stage cannot convert, if there is one.
pub(crate) fn first_misfit(rows: Rows<'_>, of: &[usize], stage: &Stage) -> Option<Misfit> {
    with_guarded!(stage.from, Stored => misfit::<Stored>(rows, of, stage), None)
}

fn misfit<S: Guarded>(rows: Rows<'_>, of: &[usize], stage: &Stage) -> Option<Misfit> {
    let bounds = S::bounds(stage.to, stage.guard);
    let elements = |row: usize| {
        let row = rows.row(of[row]);
        row.chunks_exact(size_of::<S>()).map(S::load)
    };
    let row = of
        .iter()
        .position(|&row| !row_fits::<S>(rows.row(row), bounds))?;
    let found = elements(row).enumerate().find(|(_, x)| !x.fits(bounds));
    let (element, value) = found?;
    Some(Misfit {
        row,
        element,
        value: value.show(),
        why: value.why(),
    })
}

/// Whether all elements of a row fit, found without a branch for each.
#[inline(always)]
pub(super) fn all_fit<S: Guarded>(row: &[u8], bounds: (S::Bound, S::Bound)) -> bool {
    let elements = row.chunks_exact(size_of::<S>()).map(S::load);
    elements.fold(true, |all, element| all & element.fits(bounds))
}

/// Clamps integers that lie one after the other to the range of the integers of a stage.
pub(crate) fn clamp(stage: &Stage, elements: &mut [u8]) {
    with_guarded!(stage.from, Stored => {
        let bounds = Stored::bounds(stage.to, stage.guard);
        let elements: &mut [Stored] = bytemuck::cast_slice_mut(elements);
        elements.iter_mut().for_each(|x| *x = x.clamped(bounds));
    }, ());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_values_that_the_integer_has() {
        for (to, max) in [
            (DType::U8, 255.0_f32),
            (DType::I16, 32_767.0),
            (DType::I32, 2_147_483_520.0),
            (DType::I64, 9_223_371_487_098_961_920.0),
            (DType::U64, 18_446_742_974_197_923_840.0),
        ] {
            let bounds = f32::bounds(to, Guard::Exact);
            assert_eq!(bounds.1, max, "{to}");
            assert!(max.fits(bounds) && !max.next_up().fits(bounds), "{to}");
            let min = to.int_range().unwrap().0 as f32;
            assert!(min.fits(bounds) && !(min - min.abs() - 1.0).fits(bounds) || min == 0.0);
        }
        assert!(!(-1.0_f64).fits(f64::bounds(DType::U64, Guard::Exact)));
        assert!((-0.0_f64).fits(f64::bounds(DType::U64, Guard::Exact)));
        assert_eq!(i8::bounds(DType::U64, Guard::Exact), (0, 127));
        assert_eq!(u64::bounds(DType::I8, Guard::Exact), (0, 127));
    }

    #[test]
    fn whole_numbers_are_told_from_fractions() {
        let everything = f64::bounds(DType::I64, Guard::Whole);
        let exact = f64::bounds(DType::I64, Guard::Exact);
        for x in [
            0.0,
            -0.0,
            1.0,
            -7.0,
            4_503_599_627_370_497.0,
            -2.0_f64.powi(63),
        ] {
            assert!(x.fits(exact) && x.fits(everything), "{x}");
        }
        for (x, why) in [
            (0.5, Why::Fraction),
            (-1.25, Why::Fraction),
            (f64::MIN_POSITIVE, Why::Fraction),
            (4_503_599_627_370_495.5, Why::Fraction),
            (2.0_f64.powi(63), Why::OutOfRange),
            (f64::INFINITY, Why::OutOfRange),
            (f64::NEG_INFINITY, Why::OutOfRange),
            (f64::NAN, Why::NotANumber),
        ] {
            assert!(!x.fits(exact), "{x}");
            assert_eq!(x.fits(everything), why == Why::OutOfRange, "{x}");
            assert_eq!(x.why(), why, "{x}");
        }
        let half = f16::bounds(DType::I16, Guard::Exact);
        assert!(f16::from_f32(2048.0).fits(half) && !f16::from_f32(0.125).fits(half));
        assert!(!f16::INFINITY.fits(half) && !f16::NAN.fits(half));
    }
}
