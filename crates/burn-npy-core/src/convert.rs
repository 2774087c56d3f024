//! What happens to the elements of a row on its way into a batch.
//!
//! A [`Convert`] is a list of steps, and its result is that of doing the steps one after the other
//! over the whole array, as one would in NumPy: each step rounds to the dtype of the column at that
//! point. The kernels fuse a cast with the step after it, which does not change the result.

use std::sync::Arc;

use half::{bf16, f16};

use crate::element::{Bit, with_measured};
use crate::table::Table;
use crate::{DType, Error, ErrorClass, Result};

/// Steps to convert the elements of a column: a cast, a scale, an offset, a normalisation.
///
/// # Example
///
/// Images of bytes become floats in [0, 1], then each of three channels gets mean 0 and standard
/// deviation 1:
///
/// ```
/// use burn_npy_core::{Convert, DType};
///
/// let convert = Convert::to(DType::F32)
///     .divide(255.0)
///     .normalize(&[0.485, 0.456, 0.406], &[0.229, 0.224, 0.225]);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Convert {
    steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Cast(DType),
    Multiply(f64),
    Add(f64),
    Divide(f64),
    Normalize {
        axis: usize,
        mean: Arc<[f64]>,
        std: Arc<[f64]>,
    },
}

impl Convert {
    /// No steps: the elements stay what they are.
    pub fn new() -> Self {
        Self::default()
    }

    /// Casts to another dtype, the usual first step.
    pub fn to(dtype: DType) -> Self {
        Self::new().cast(dtype)
    }

    /// Casts to another dtype.
    ///
    /// Integers wrap around, as in NumPy and C. A float becomes the nearest value of a narrower
    /// float; towards an integer it loses its fraction, values outside become the nearest end of
    /// the integer's range, and NaN becomes 0. Towards `bool`, all but 0 is true. The types of one
    /// byte of `ml_dtypes` can be cast from, not to.
    pub fn cast(self, dtype: DType) -> Self {
        self.then(Step::Cast(dtype))
    }

    /// Multiplies each element by a factor. The column must be of a float dtype by then.
    pub fn scale(self, factor: f64) -> Self {
        self.then(Step::Multiply(factor))
    }

    /// Adds a number to each element. The column must be of a float dtype by then.
    pub fn offset(self, summand: f64) -> Self {
        self.then(Step::Add(summand))
    }

    /// Divides each element by a number: `divide(255.0)` takes bytes into [0, 1] exactly. The
    /// column must be of a float dtype by then.
    pub fn divide(self, divisor: f64) -> Self {
        self.then(Step::Divide(divisor))
    }

    /// Subtracts the mean and divides by the standard deviation, for each channel its own, both in the units that the elements
    /// have by then: after `divide(255.0)`, those of [0, 1]. The
    /// channels are axis 0 of a row, as in images of the shape `[channels, height, width]`.
    ///
    /// The column must be of a float dtype by then; that the lengths fit the row is checked when the
    /// steps are given to a column.
    pub fn normalize(self, mean: &[f64], std: &[f64]) -> Self {
        self.normalize_axis(0, mean, std)
    }

    /// As [`normalize`](Self::normalize), with the channels along another axis of a row, such as
    /// 2 for images of the shape `[height, width, channels]`.
    pub fn normalize_axis(self, axis: usize, mean: &[f64], std: &[f64]) -> Self {
        self.then(Step::Normalize {
            axis,
            mean: mean.into(),
            std: std.into(),
        })
    }

    fn then(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }
}

/// Arithmetic that stays within a float dtype, checked against a column.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Arith {
    Multiply(f64),
    Add(f64),
    Divide(f64),
    /// Mean and standard deviation of each channel, whose elements stand in runs of `inner`.
    Normalize {
        inner: usize,
        channels: Arc<[(f64, f64)]>,
    },
}

/// A cast and the arithmetic after it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Stage {
    pub(crate) from: DType,
    pub(crate) to: DType,
    pub(crate) arith: Vec<Arith>,
    /// Whether the first step is a division that [`divides_by_reciprocal`] holds for.
    pub(crate) reciprocal: bool,
    /// What each byte becomes, if the elements are of a small type of `ml_dtypes`: one loop for
    /// all of them is less to compile than one for each.
    pub(crate) table: Option<Table>,
}

impl Stage {
    /// Whether the kernels do the first step together with the cast. Each dtype costs time to compile, so it is left out
    /// for those that are seldom computed with.
    pub(crate) fn is_fused(&self) -> bool {
        matches!(self.to, DType::F32 | DType::F64)
            && with_measured!(self.from, _From => true, false)
    }
}

/// The steps, checked against a column.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Stages {
    from: DType,
    pub(crate) stages: Vec<Stage>,
}

impl Stages {
    pub(crate) fn new(from: DType) -> Self {
        let mut stages = Self::none(from);
        if from == DType::Bool {
            // Files may hold any byte; what leaves here is 0 or 1.
            stages.push_cast(DType::Bool);
        }
        stages
    }

    /// No stages, not even the first look at bools.
    pub(crate) fn none(from: DType) -> Self {
        Self {
            from,
            stages: Vec::new(),
        }
    }

    /// The dtype after all stages.
    pub(crate) fn to(&self) -> DType {
        self.stages.last().map_or(self.from, |stage| stage.to)
    }

    /// Whether each row is written once and not looked at again.
    pub(crate) fn is_single_pass(&self) -> bool {
        match &*self.stages {
            [] => true,
            [stage] => match &*stage.arith {
                [] => true,
                [Arith::Multiply(_) | Arith::Divide(_)] => stage.is_fused(),
                [Arith::Multiply(_), Arith::Add(_)] => stage.is_fused(),
                _ => false,
            },
            _ => false,
        }
    }

    /// Whether a step depends on where an element stands in its row.
    pub(crate) fn has_channels(&self) -> bool {
        self.stages
            .iter()
            .flat_map(|stage| &stage.arith)
            .any(|arith| matches!(arith, Arith::Normalize { .. }))
    }

    fn push_cast(&mut self, to: DType) {
        let from = self.to();
        match self.stages.last_mut() {
            // The first look at stored bools is a cast already.
            Some(stage) if stage.from == DType::Bool && stage.to == DType::Bool => stage.to = to,
            _ => self.stages.push(Stage {
                from,
                to,
                arith: Vec::new(),
                reciprocal: false,
                table: Table::new(from, to),
            }),
        }
    }

    /// Adds steps, which must fit a column whose rows have this shape.
    pub(crate) fn extend(&mut self, convert: &Convert, row_shape: &[usize]) -> Result<()> {
        for step in &convert.steps {
            let dtype = self.to();
            let arith = match step {
                Step::Cast(to) if *to == dtype => continue,
                Step::Cast(to) if !to.can_be_made() => {
                    return Err(Error::new(
                        ErrorClass::Dtype,
                        format!("{to} can be read but not made; cast to another dtype"),
                    ));
                }
                Step::Cast(to) => {
                    self.push_cast(*to);
                    continue;
                }
                _ if !dtype.computes() => {
                    return Err(Error::new(
                        ErrorClass::Dtype,
                        format!(
                            "arithmetic needs a float of 16 bits or more and the column is {dtype} by \
                             then; cast first"
                        ),
                    ));
                }
                Step::Multiply(factor) => Arith::Multiply(finite(*factor)?),
                Step::Add(summand) => Arith::Add(finite(*summand)?),
                Step::Divide(divisor) => Arith::Divide(divides(*divisor)?),
                Step::Normalize { axis, mean, std } => normalize(*axis, mean, std, row_shape)?,
            };
            if self.stages.is_empty() {
                self.stages.push(Stage {
                    from: dtype,
                    to: dtype,
                    arith: Vec::new(),
                    reciprocal: false,
                    table: None,
                });
            }
            if let Some(stage) = self.stages.last_mut() {
                if let (true, Arith::Divide(divisor)) = (stage.arith.is_empty(), &arith) {
                    stage.reciprocal = divides_by_reciprocal(stage, *divisor);
                }
                stage.arith.push(arith);
            }
        }
        Ok(())
    }
}

/// Whether a quotient of every value that the stage may meet comes out right by a multiplication with the inverse and
/// a correction of the rest (Markstein, *Computation of elementary functions on the IBM RISC System/6000
/// processor*, 1990), which is a third of the work of a division. Bytes have so few values that all are
/// tried.
fn divides_by_reciprocal(stage: &Stage, divisor: f64) -> bool {
    let mut bytes = match stage.from {
        DType::Bool => 0..=1,
        DType::U8 => 0..=255,
        DType::I8 => -128..=127,
        _ => return false,
    };
    match stage.to {
        DType::F32 => bytes.all(|byte: i16| {
            let (x, divisor) = (f32::from(byte), divisor as f32);
            let inverse = 1.0 / divisor;
            let near = x * inverse;
            let found = (-near).mul_add(divisor, x).mul_add(inverse, near);
            found.to_bits() == (x / divisor).to_bits()
        }),
        DType::F64 => bytes.all(|byte: i16| {
            let x = f64::from(byte);
            let inverse = 1.0 / divisor;
            let near = x * inverse;
            let found = (-near).mul_add(divisor, x).mul_add(inverse, near);
            found.to_bits() == (x / divisor).to_bits()
        }),
        _ => false,
    }
}

fn usage(message: String) -> Error {
    Error::new(ErrorClass::Usage, message)
}

fn finite(number: f64) -> Result<f64> {
    match number.is_finite() {
        true => Ok(number),
        false => Err(usage(format!("{number} is not a finite number"))),
    }
}

fn divides(number: f64) -> Result<f64> {
    match number.is_normal() {
        true => Ok(number),
        false => Err(usage(format!("{number} is no number to divide by"))),
    }
}

fn normalize(axis: usize, mean: &[f64], std: &[f64], row_shape: &[usize]) -> Result<Arith> {
    let channels = *row_shape.get(axis).ok_or_else(|| {
        usage(format!(
            "rows of shape {row_shape:?} have no axis {axis} to normalize along"
        ))
    })?;
    if mean.len() != channels || std.len() != channels {
        return Err(usage(format!(
            "{} means and {} standard deviations for rows of shape {row_shape:?}, whose axis {axis} \
             has {channels} channels",
            mean.len(),
            std.len()
        )));
    }
    let channels = mean.iter().zip(std);
    Ok(Arith::Normalize {
        inner: row_shape[axis + 1..].iter().product(),
        channels: channels
            .map(|(mean, std)| Ok((finite(*mean)?, divides(*std)?)))
            .collect::<Result<_>>()?,
    })
}

/// The value of one stored type as another.
pub(crate) trait Cast<T> {
    fn cast(self) -> T;
}

/// Floats that an `f32` holds exactly.
macro_rules! cast_by_f32 {
    ($($from:ty),* => $to:ty) => {$(
        impl Cast<$to> for $from {
            #[inline(always)]
            fn cast(self) -> $to { self.to_f32().cast() }
        }
    )*};
}

macro_rules! cast_primitives {
    ($($from:ty),* => $to:tt) => {$( cast_primitives!(@each $from => $to); )*};
    (@each $from:ty => [$($to:ty),*]) => {
        $(impl Cast<$to> for $from {
            #[inline(always)]
            fn cast(self) -> $to { self as $to }
        })*

        impl Cast<Bit> for $from {
            #[inline(always)]
            fn cast(self) -> Bit { Bit::new(self != (0 as $from)) }
        }

        impl Cast<$from> for Bit {
            #[inline(always)]
            fn cast(self) -> $from { u8::from(self.get()) as $from }
        }

        cast_by_f32!(f16, bf16 => $from);
    };
}

cast_primitives!(i8, i16, i32, i64, u8, u16, u32, u64, f32, f64
    => [i8, i16, i32, i64, u8, u16, u32, u64, f32, f64]);

/// Casts to a half by way of an `f32` that `$exact` makes.
macro_rules! cast_to_half {
    ($half:ty, $exact:expr => $($from:ty),*) => {$(
        impl Cast<$half> for $from {
            #[inline(always)]
            fn cast(self) -> $half { <$half>::from_f32($exact(self)) }
        }
    )*};
}

// Integers that are not exact as f32 are infinite as f16, so the way over f32 rounds once.
cast_to_half!(f16, |x| x as f32 => i8, i16, i32, i64, u8, u16, u32, u64);
cast_to_half!(f16, f32::from => f32);
cast_to_half!(f16, f32_from_f64 => f64);
cast_to_half!(bf16, f32::from => i8, i16, u8, u16, f32);
cast_to_half!(bf16, f32_from_int => i32, i64, u32, u64);
cast_to_half!(bf16, f32_from_f64 => f64);

// To round a value twice, once to an `f32` and then to a half, can go wrong at a tie. Rounding to odd
// the first time keeps what the second rounding must know (Boldo and Melquiond, *When double
// rounding is odd*, 2005).

/// An integer as an `f32`, rounded to odd.
#[inline(always)]
fn f32_from_int(value: impl Into<i128>) -> f32 {
    let value = value.into();
    let magnitude = value.unsigned_abs();
    let excess = (u128::BITS - magnitude.leading_zeros()).saturating_sub(f32::MANTISSA_DIGITS);
    let lost = magnitude & ((1 << excess) - 1) != 0;
    let odd = ((magnitude >> excess) | u128::from(lost)) << excess;
    // No more digits than an `f32` has, so this is exact.
    let odd = odd as f32;
    if value < 0 { -odd } else { odd }
}

/// An `f64` as an `f32`, rounded to odd.
#[inline(always)]
fn f32_from_f64(value: f64) -> f32 {
    let near = value as f32;
    if f64::from(near) == value || near.is_nan() {
        return near;
    }
    let away = u32::from(f64::from(near).abs() > value.abs());
    f32::from_bits((near.to_bits() - away) | 1)
}

/// The nearest `f16`.
pub(crate) fn f16_from_f64(value: f64) -> f16 {
    value.cast()
}

/// The nearest `bf16`.
pub(crate) fn bf16_from_f64(value: f64) -> bf16 {
    value.cast()
}

cast_by_f32!(f16 => bf16);
cast_by_f32!(bf16 => f16);
cast_by_f32!(f16, bf16 => Bit);

impl Cast<f16> for f16 {
    #[inline(always)]
    fn cast(self) -> f16 {
        self
    }
}

impl Cast<bf16> for bf16 {
    #[inline(always)]
    fn cast(self) -> bf16 {
        self
    }
}

impl Cast<f16> for Bit {
    #[inline(always)]
    fn cast(self) -> f16 {
        if self.get() { f16::ONE } else { f16::ZERO }
    }
}

impl Cast<bf16> for Bit {
    #[inline(always)]
    fn cast(self) -> bf16 {
        if self.get() { bf16::ONE } else { bf16::ZERO }
    }
}

impl Cast<Bit> for Bit {
    #[inline(always)]
    fn cast(self) -> Bit {
        Bit::new(self.get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cast<S: Cast<T>, T>(value: S) -> T {
        value.cast()
    }

    #[test]
    fn casts_do_what_the_docs_say() {
        assert_eq!(cast::<_, u8>(300_i32), 44);
        assert_eq!(cast::<_, u8>(-1.5_f32), 0);
        assert_eq!(cast::<_, i32>(f64::NAN), 0);
        assert_eq!(cast::<_, f16>(70_000_i64), f16::INFINITY);
        // A value that two roundings would get wrong.
        let tie = 1.0 + 2f64.powi(-11) + 2f64.powi(-40);
        assert_eq!(cast::<_, f16>(tie), f16::from_bits(0x3c01));
        assert_eq!(
            cast::<_, bf16>(1.0 + 2f64.powi(-8) + 2f64.powi(-40)),
            bf16::from_bits(0x3f81)
        );
        assert_eq!(
            cast::<_, bf16>((1_i64 << 62) + (1 << 54)),
            bf16::from_f32(2f32.powi(62))
        );
        assert_eq!(
            cast::<_, bf16>((1_i64 << 62) + (1 << 54) + 1).to_bits(),
            0x5e81
        );
        assert_eq!(cast::<_, f16>(i64::MIN), f16::NEG_INFINITY);
        assert!(cast::<_, Bit>(-0.5_f32).get());
        assert!(!cast::<_, Bit>(-0.0_f64).get());
        assert_eq!(cast::<_, Bit>(bytemuck::cast::<u8, Bit>(7)), Bit::new(true));
    }

    #[test]
    fn steps_become_stages() {
        let mut stages = Stages::new(DType::U8);
        assert_eq!((stages.to(), stages.stages.len()), (DType::U8, 0));
        let convert = Convert::to(DType::F32).divide(255.0).offset(-0.5);
        stages.extend(&convert, &[3]).unwrap();
        assert_eq!((stages.to(), stages.stages.len()), (DType::F32, 1));
        stages.extend(&Convert::to(DType::F32), &[3]).unwrap();
        assert_eq!(stages.stages.len(), 1);
        stages
            .extend(&Convert::to(DType::F16).scale(2.0), &[3])
            .unwrap();
        assert_eq!((stages.to(), stages.stages.len()), (DType::F16, 2));
    }

    #[test]
    fn steps_that_do_not_fit_are_refused() {
        let refused = |convert: Convert| {
            Stages::new(DType::U8)
                .extend(&convert, &[3, 2])
                .unwrap_err()
                .to_string()
        };
        assert!(refused(Convert::new().scale(2.0)).contains("cast first"));
        let floats = Convert::to(DType::F32);
        assert!(refused(Convert::to(DType::F8E5M2)).contains("not made"));
        assert!(refused(floats.clone().divide(0.0)).contains("divide by"));
        assert!(refused(floats.clone().scale(f64::NAN)).contains("finite"));
        assert!(refused(floats.clone().normalize(&[0.0], &[1.0])).contains("3 channels"));
        assert!(refused(floats.clone().normalize(&[0.0; 3], &[0.0; 3])).contains("divide by"));
        assert!(refused(floats.normalize_axis(2, &[0.0], &[1.0])).contains("no axis 2"));
    }
}
