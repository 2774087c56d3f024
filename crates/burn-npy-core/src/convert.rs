//! Conversions of the elements of a row.
//!
//! A [`Convert`] is a list of steps. Its result is the same as running the steps over the whole
//! array one after the other, as in NumPy: each step rounds to the dtype of the column at that
//! point. The loops fuse a cast with the step after it, which does not change the result.

use std::sync::Arc;

use half::{bf16, f16};

use crate::element::{BoolByte, with_measured};
use crate::table::Table;
use crate::{DType, Element, Error, ErrorKind, Result, Stats};

/// Steps that convert the elements of a column: casts, scales, offsets, normalisations.
///
/// # Example
///
/// Images of bytes become floats in [0, 1], then each of three channels gets mean 0 and standard
/// deviation 1:
///
/// ```
/// # extern crate burn_npy_core as burn_npy;
/// use burn_npy::Convert;
///
/// let convert = Convert::to::<f32>()
///     .divide(255.0)
///     .normalize(&[0.485, 0.456, 0.406], &[0.229, 0.224, 0.225]);
/// ```
///
/// # Casts to integers
///
/// The result for a value that is cast to `int32`, and NumPy's with `astype` on x86-64:
///
/// | value | cast | saturating_cast | round, cast | trunc, cast | wrapping_cast | NumPy |
/// |---|---|---|---|---|---|---|
/// | 7.0 | 7 | 7 | 7 | 7 | | 7 |
/// | NaN | error | error | error | error | | -2147483648 |
/// | infinity | error | 2147483647 | error | error | | -2147483648 |
/// | 1.5 | error | error | 2 | 1 | | 1 |
/// | 2.5 | error | error | 2 | 2 | | 2 |
/// | -0.5 | error | error | 0 | 0 | | 0 |
/// | 2<sup>31</sup>, a float | error | 2147483647 | error | error | | -2147483648 |
/// | 2<sup>31</sup>, an integer | error | 2147483647 | | | -2147483648 | -2147483648 |
/// | 2<sup>40</sup> + 3, an integer | error | 2147483647 | | | 3 | 3 |
///
/// An error is [`ErrorKind::Value`] when the row is gathered; NumPy gives a wrong value there.
/// Empty places are errors when the column is [converted](crate::Column::convert): floats cannot be
/// wrapped, and integers have no fractions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Convert {
    steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Cast(DType, Range),
    Multiply(f64),
    Add(f64),
    Divide(f64),
    Round,
    Trunc,
    Normalize {
        axis: usize,
        mean: Arc<[f64]>,
        std: Arc<[f64]>,
    },
}

impl Convert {
    /// No steps: the elements are not converted.
    pub fn new() -> Self {
        Self::default()
    }

    /// Casts to the dtype of a type, the usual first step: `Convert::to::<f32>()`. It is the short
    /// form of [`cast`](Self::cast) with [`Element::DTYPE`].
    pub fn to<T: Element>() -> Self {
        Self::new().cast(T::DTYPE)
    }

    /// Casts to another dtype.
    ///
    /// A cast to an integer keeps the value or is an error of its row: NaN, an infinity, a fraction
    /// and a number outside the range of the integer are [`ErrorKind::Value`], whose message has
    /// the row and the value. Use [`round`](Self::round) or [`trunc`](Self::trunc) before the cast
    /// for fractions, and [`saturating_cast`](Self::saturating_cast) or
    /// [`wrapping_cast`](Self::wrapping_cast) for numbers out of range.
    ///
    /// A cast to a float gives the nearest value, as in NumPy, or infinity beyond the largest
    /// value. A cast to `bool` makes everything but 0 true. The small types of `ml_dtypes` can be
    /// cast from, not to.
    ///
    /// # Example
    ///
    /// ```
    /// # extern crate burn_npy_core as burn_npy;
    /// use burn_npy::{Array, Convert, ErrorKind, file::Column};
    ///
    /// # fn main() -> burn_npy::Result<()> {
    /// let labels = Column::new(Array::from(vec![0.0, 1.0, f64::NAN]))?
    ///     .convert(Convert::to::<i64>())?;
    /// assert_eq!(labels.read::<i64>(&[1, 0])?.as_slice(), Some(&[1, 0][..]));
    /// let error = labels.read::<i64>(&[2]).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Value);
    /// assert!(error.message().starts_with("row 2 has NaN"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn cast(self, dtype: DType) -> Self {
        self.then(Step::Cast(dtype, Range::Check))
    }

    /// Casts to another dtype; numbers outside the range of an integer, and infinities, become the
    /// nearest end of the range, as with [`i32::saturating_add`] and NumPy's `clip`. NaN and
    /// fractions remain errors of their rows. To floats and `bool` it is [`cast`](Self::cast).
    pub fn saturating_cast(self, dtype: DType) -> Self {
        self.then(Step::Cast(dtype, Range::Saturate))
    }

    /// Casts integers to another dtype; a number outside the range of an integer loses its upper
    /// bits, as with [`i32::wrapping_add`] and NumPy's `astype` between integers. Floats cannot be
    /// wrapped: cast them to `int64` first. To floats and `bool` it is [`cast`](Self::cast).
    pub fn wrapping_cast(self, dtype: DType) -> Self {
        self.then(Step::Cast(dtype, Range::Wrap))
    }

    /// Rounds each element to the nearest whole number, halves to the even one, as NumPy's `round`
    /// does. The column must be of a float dtype by then.
    pub fn round(self) -> Self {
        self.then(Step::Round)
    }

    /// Removes the fraction of each element, as NumPy's `astype` does in a cast to an integer.
    /// The column must be of a float dtype by then.
    pub fn trunc(self) -> Self {
        self.then(Step::Trunc)
    }

    /// Multiplies each element by a factor. The column must be of a float dtype by then.
    pub fn scale(self, factor: f64) -> Self {
        self.then(Step::Multiply(factor))
    }

    /// Adds a number to each element. The column must be of a float dtype by then.
    pub fn offset(self, summand: f64) -> Self {
        self.then(Step::Add(summand))
    }

    /// Divides each element by a number: `divide(255.0)` maps bytes to [0, 1] exactly. The column
    /// must be of a float dtype by then.
    pub fn divide(self, divisor: f64) -> Self {
        self.then(Step::Divide(divisor))
    }

    /// Subtracts the mean of each channel and divides by its standard deviation. Both are in the
    /// units that the elements have by then: in [0, 1] after `divide(255.0)`. The channels are axis
    /// 0 of a row, as in images of the shape `[channels, height, width]`. Rows of one number have
    /// one channel.
    ///
    /// The column must be of a float dtype by then. [`Column::convert`](crate::Column::convert)
    /// checks that the lengths fit the row.
    pub fn normalize(self, mean: &[f64], std: &[f64]) -> Self {
        self.normalize_axis(0, mean, std)
    }

    /// As [`normalize`](Self::normalize), with the channels along another axis of a row, such as
    /// 2 for images of the shape `[height, width, channels]`.
    ///
    /// # Example
    ///
    /// ```
    /// # extern crate burn_npy_core as burn_npy;
    /// use burn_npy::{Array, Convert, file::Column};
    ///
    /// # fn main() -> burn_npy::Result<()> {
    /// // One image of two pixels, with three channels last.
    /// let image = ndarray::array![[[[0_u8, 10, 20], [2, 20, 30]]]];
    /// let column = Column::new(Array::from(image))?
    ///     .convert(Convert::to::<f32>().normalize_axis(2, &[1.0, 10.0, 20.0], &[1.0, 5.0, 5.0]))?;
    /// let expected = ndarray::array![[[-1.0, 0.0, 0.0], [1.0, 2.0, 2.0]]];
    /// assert_eq!(column.row::<f32>(0)?, expected.into_dyn());
    /// # Ok(())
    /// # }
    /// ```
    pub fn normalize_axis(self, axis: usize, mean: &[f64], std: &[f64]) -> Self {
        self.then(Step::Normalize {
            axis,
            mean: mean.into(),
            std: std.into(),
        })
    }

    /// Gives the elements mean 0 and standard deviation 1: subtracts the mean of the statistics,
    /// and divides by their standard deviation. If that is 0, it only subtracts, as scikit-learn's
    /// `StandardScaler` does. [`NpyDataset::stats`] makes the statistics of a column.
    ///
    /// The statistics are in the units that the elements have by then. The column must be of a
    /// float dtype by then, in which the difference is computed: cast to `f64` before, and to `f32`
    /// after, if the mean is large against the standard deviation, as with times in seconds.
    /// Statistics of no finite numbers have no mean, which is an error when the column is
    /// [converted](crate::Column::convert).
    ///
    /// [`NpyDataset::stats`]: https://docs.rs/burn-npy/latest/burn_npy/struct.NpyDataset.html#method.stats
    ///
    /// # Example
    ///
    /// ```
    /// # extern crate burn_npy_core as burn_npy;
    /// use burn_npy::{Array, Convert, Stats, file::Column};
    ///
    /// # fn main() -> burn_npy::Result<()> {
    /// let mut stats = Stats::new();
    /// stats.add(&[1.0, 3.0]);
    /// let column = Column::new(Array::from(vec![1_u8, 3, 7]))?
    ///     .convert(Convert::to::<f32>().standardize(&stats))?;
    /// assert_eq!(column.read::<f32>(&[0, 1, 2])?, ndarray::array![-1.0, 1.0, 5.0].into_dyn());
    /// # Ok(())
    /// # }
    /// ```
    pub fn standardize(self, stats: &Stats) -> Self {
        self.offset(-stats.mean()).divide(stats.divisor())
    }

    /// As [`standardize`](Self::standardize), with statistics of each channel along an axis of a
    /// row. Rows of one number have one channel, along axis 0.
    pub fn standardize_axis(self, axis: usize, channels: &[Stats]) -> Self {
        let mean: Vec<f64> = channels.iter().map(Stats::mean).collect();
        let std: Vec<f64> = channels.iter().map(Stats::divisor).collect();
        self.normalize_axis(axis, &mean, &std)
    }

    fn then(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }
}

/// What a cast does with a number outside the range of an integer.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Range {
    /// It is an error of its row.
    Check,
    /// It becomes the nearest end of the range.
    Saturate,
    /// It loses its upper bits.
    Wrap,
}

/// How a stage handles values that its integers do not have.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Guard {
    /// Nothing: there are none, or the user wants them wrapped.
    None,
    /// An element must be a whole number within the range of the integer.
    Exact,
    /// An element must be a whole number or an infinity; the cast of a float saturates.
    Whole,
    /// Integers are clamped to the range before the cast.
    Clamp,
}

impl Guard {
    fn new(from: DType, to: DType, range: Range) -> Self {
        let (Some(target), true) = (to.int_range(), from != DType::Bool) else {
            return Self::None;
        };
        match (from.int_range(), range) {
            (None, Range::Saturate) => Self::Whole,
            (None, _) => Self::Exact,
            (Some(source), _) if target.0 <= source.0 && source.1 <= target.1 => Self::None,
            (Some(_), Range::Check) => Self::Exact,
            (Some(_), Range::Saturate) => Self::Clamp,
            (Some(_), Range::Wrap) => Self::None,
        }
    }
}

/// Arithmetic that stays within a float dtype, checked against a column.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Arith {
    Multiply(f64),
    Add(f64),
    Divide(f64),
    Round,
    Trunc,
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
    /// How values are handled that `to` does not have.
    pub(crate) guard: Guard,
    pub(crate) arith: Vec<Arith>,
    /// Whether the first step is a division for which [`divides_by_reciprocal`] holds.
    pub(crate) reciprocal: bool,
    /// The cast, if it is from a small type of `ml_dtypes`: one loop for all of them compiles
    /// faster than one for each.
    pub(crate) table: Option<Table>,
}

impl Stage {
    /// Whether the first steps run in the same loop as the cast. Only for casts that are common in
    /// training, since each of these loops takes time to compile.
    pub(crate) fn is_fused(&self) -> bool {
        self.to == DType::F32 && with_measured!(self.from, _From => true, false)
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
            // A file may have any byte; gathered bools are 0 or 1.
            stages.push_cast(DType::Bool, Range::Check);
        }
        stages
    }

    /// No stages, not even the one that makes bools 0 or 1.
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

    /// Whether each row is written once and not read again.
    pub(crate) fn is_single_pass(&self) -> bool {
        match &*self.stages {
            [] => true,
            [stage] if stage.guard != Guard::None => false,
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

    fn push_cast(&mut self, to: DType, range: Range) {
        let from = self.to();
        let guard = Guard::new(from, to, range);
        if from.small().is_some() && Guard::new(from, to, Range::Check) != Guard::None {
            // A table neither checks nor wraps, so the cast goes through a dtype with all values.
            let exact = if from.is_float() {
                DType::F32
            } else {
                DType::I8
            };
            self.push_cast(exact, range);
            return self.push_cast(to, range);
        }
        match self.stages.last_mut() {
            // The stage that makes bools 0 or 1 is a cast already.
            Some(stage) if stage.from == DType::Bool && stage.to == DType::Bool => stage.to = to,
            _ => self.stages.push(Stage {
                from,
                to,
                guard,
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
                Step::Cast(to, _) if *to == dtype => continue,
                Step::Cast(to, _) if !to.can_be_made() => {
                    return Err(Error::new(
                        ErrorKind::Dtype,
                        format!("{to} can be read but not made; cast to another dtype"),
                    ));
                }
                Step::Cast(to, Range::Wrap) if dtype.is_float() && to.is_int() => {
                    return Err(Error::new(
                        ErrorKind::Dtype,
                        format!(
                            "wrapping_cast takes integers and the column is {dtype} by then; cast \
                             to int64 before, or use cast or saturating_cast"
                        ),
                    ));
                }
                Step::Cast(to, range) => {
                    self.push_cast(*to, *range);
                    continue;
                }
                _ if !dtype.computes() => {
                    return Err(Error::new(
                        ErrorKind::Dtype,
                        format!(
                            "arithmetic needs a float of 16 bits or more and the column is {dtype} \
                             by then; cast first"
                        ),
                    ));
                }
                Step::Multiply(factor) => Arith::Multiply(finite(*factor, dtype)?),
                Step::Add(summand) => Arith::Add(finite(*summand, dtype)?),
                Step::Divide(divisor) => Arith::Divide(divides(*divisor, dtype)?),
                Step::Round => Arith::Round,
                Step::Trunc => Arith::Trunc,
                Step::Normalize { axis, mean, std } => {
                    normalize(*axis, mean, std, row_shape, dtype)?
                }
            };
            if self.stages.is_empty() {
                self.stages.push(Stage {
                    from: dtype,
                    to: dtype,
                    guard: Guard::None,
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

/// Whether every quotient of the stage comes out right by a multiplication with the inverse and a
/// correction of the rest (Markstein, *Computation of elementary functions on the IBM RISC
/// System/6000 processor*, 1990), which is a third of the work of a division. Bytes have so few
/// values that all are tried.
fn divides_by_reciprocal(stage: &Stage, divisor: f64) -> bool {
    let mut bytes = match (stage.from, stage.to) {
        (DType::U8, DType::F32) => 0..=255,
        (DType::I8, DType::F32) => -128..=127,
        _ => return false,
    };
    bytes.all(|byte: i16| {
        let (x, divisor) = (f32::from(byte), divisor as f32);
        let inverse = 1.0 / divisor;
        let near = x * inverse;
        let found = (-near).mul_add(divisor, x).mul_add(inverse, near);
        found.to_bits() == (x / divisor).to_bits()
    })
}

fn usage(message: String) -> Error {
    Error::new(ErrorKind::Usage, message)
}

/// A number in the dtype of the column, in which a step computes.
fn in_dtype(number: f64, dtype: DType) -> f64 {
    match dtype {
        DType::F16 => f16_from_f64(number).into(),
        DType::BF16 => bf16_from_f64(number).into(),
        DType::F32 => (number as f32).into(),
        _ => number,
    }
}

fn finite(number: f64, dtype: DType) -> Result<f64> {
    if in_dtype(number, dtype).is_finite() {
        Ok(number)
    } else {
        Err(usage(format!("{number:?} is not a finite {dtype}")))
    }
}

fn divides(number: f64, dtype: DType) -> Result<f64> {
    let here = in_dtype(number, dtype);
    if number.is_normal() && here.is_finite() && here != 0.0 {
        Ok(number)
    } else {
        Err(usage(format!("{number:?} is no {dtype} to divide by")))
    }
}

fn normalize(
    axis: usize,
    mean: &[f64],
    std: &[f64],
    row_shape: &[usize],
    dtype: DType,
) -> Result<Arith> {
    // A number is its own channel.
    let row_shape = if row_shape.is_empty() {
        &[1]
    } else {
        row_shape
    };
    let channels = *row_shape.get(axis).ok_or_else(|| {
        usage(format!(
            "rows of shape {row_shape:?} have no axis {axis} to normalize along"
        ))
    })?;
    if mean.len() != channels || std.len() != channels {
        return Err(usage(format!(
            "{} means and {} standard deviations for rows of shape {row_shape:?}, whose axis \
             {axis} has {channels} channels",
            mean.len(),
            std.len()
        )));
    }
    let channels = mean.iter().zip(std);
    Ok(Arith::Normalize {
        inner: row_shape[axis + 1..].iter().product(),
        channels: channels
            .map(|(mean, std)| Ok((finite(*mean, dtype)?, divides(*std, dtype)?)))
            .collect::<Result<_>>()?,
    })
}

/// The value of one stored type as another.
pub(crate) trait Cast<T> {
    fn cast(self) -> T;
}

/// Casts of floats that an `f32` holds exactly.
macro_rules! cast_by_f32 {
    ($($from:ty),* => $to:ty) => {$(
        impl Cast<$to> for $from {
            #[inline(always)]
            fn cast(self) -> $to { self.as_f32().cast() }
        }
    )*};
}

/// A float that an `f32` holds exactly.
pub(crate) trait AsF32: Copy {
    fn as_f32(self) -> f32;
}

macro_rules! as_f32 {
    ($($from:ty),*) => {$(
        impl AsF32 for $from {
            #[inline(always)]
            fn as_f32(self) -> f32 { self.to_f32() }
        }
    )*};
}

as_f32!(bf16);

impl AsF32 for f16 {
    #[inline(always)]
    fn as_f32(self) -> f32 {
        f16_to_f32(self)
    }
}

macro_rules! cast_primitives {
    ($($from:ident),* => $to:tt) => {$( cast_primitives!(@each $from => $to); )*};
    (@each $from:ident => [$($to:ident),*]) => {
        $(impl Cast<$to> for $from {
            #[inline(always)]
            fn cast(self) -> $to { cast_primitives!(@pair self, $from, $to) }
        })*

        impl Cast<BoolByte> for $from {
            #[inline(always)]
            fn cast(self) -> BoolByte { BoolByte::new(self != (0 as $from)) }
        }

        impl Cast<$from> for BoolByte {
            #[inline(always)]
            fn cast(self) -> $from { u8::from(self.get()) as $from }
        }

        cast_by_f32!(f16, bf16 => $from);
    };
    (@pair $value:expr, u64, f32) => { u64_to_f32($value) };
    (@pair $value:expr, $from:ident, $to:ident) => { $value as $to };
}

/// The nearest `f32` of a `u64`, as with `as`, without a branch and in steps that are vector
/// instructions.
#[inline(always)]
fn u64_to_f32(value: u64) -> f32 {
    /// An `f64` with this exponent counts ones, or units of 2^32, in its last bits.
    const ONES: u64 = 0x433 << 52;
    const UPPER: u64 = 0x453 << 52;
    // Beyond 53 bits the last 11 only matter for whether they are all 0: rounded to odd, as above.
    let odd = (value | ((value & 0x7ff) + 0x7ff)) & !0x7ff;
    let exact = if value >> 53 == 0 { value } else { odd };
    let upper = f64::from_bits((exact >> 32) | UPPER) - f64::from_bits(UPPER);
    let lower = f64::from_bits((exact & 0xffff_ffff) | ONES) - f64::from_bits(ONES);
    (upper + lower) as f32
}

/// The value of an `f16`, which an `f32` holds exactly. A NaN keeps its payload and becomes quiet,
/// as with the instruction of x86.
///
/// It has no branch, so the compiler can use vectors. `f16::to_f32` checks the processor for each
/// element.
#[inline(always)]
fn f16_to_f32(value: f16) -> f32 {
    /// The difference of the exponents of the two formats, at its place in an `f32`.
    const BIAS: u32 = (127 - 15) << 23;
    /// The magnitudes of the least normal value and of infinity, above which is NaN.
    const NORMAL: u32 = 0x0400 << 13;
    const INFINITY: u32 = 0x7c00 << 13;
    let bits = u32::from(value.to_bits());
    let magnitude = (bits & 0x7fff) << 13;
    let extra = if magnitude >= INFINITY { BIAS } else { 0 };
    let quiet = u32::from(magnitude > INFINITY) << 22;
    let normal = (magnitude + BIAS + extra) | quiet;
    // A subnormal value counts units of 2^-24, and so does the fraction of a float from the least
    // normal value on. The float is then too large by that value.
    let least = f32::from_bits(BIAS + NORMAL);
    let subnormal = f32::from_bits(magnitude + BIAS + NORMAL) - least;
    let unsigned = if magnitude < NORMAL {
        subnormal.to_bits()
    } else {
        normal
    };
    f32::from_bits(unsigned | (bits & 0x8000) << 16)
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

// To round a value twice, to an `f32` and then to a half, can go wrong at a tie. Rounding to odd
// the first time keeps what the second rounding needs (Boldo and Melquiond, *When double rounding
// is odd*, 2005).

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
cast_by_f32!(f16, bf16 => BoolByte);

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

impl Cast<f16> for BoolByte {
    #[inline(always)]
    fn cast(self) -> f16 {
        if self.get() { f16::ONE } else { f16::ZERO }
    }
}

impl Cast<bf16> for BoolByte {
    #[inline(always)]
    fn cast(self) -> bf16 {
        if self.get() { bf16::ONE } else { bf16::ZERO }
    }
}

impl Cast<BoolByte> for BoolByte {
    #[inline(always)]
    fn cast(self) -> BoolByte {
        BoolByte::new(self.get())
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
        assert!(cast::<_, BoolByte>(-0.5_f32).get());
        assert!(!cast::<_, BoolByte>(-0.0_f64).get());
        assert_eq!(
            cast::<_, BoolByte>(bytemuck::cast::<u8, BoolByte>(7)),
            BoolByte::new(true)
        );
    }

    #[test]
    fn halves_become_the_floats_of_the_processor() {
        for bits in 0..=u16::MAX {
            let half = f16::from_bits(bits);
            let expected = half.to_f64_const() as f32;
            let found = f16_to_f32(half);
            if half.is_nan() {
                let payload = u32::from(bits & 0x3ff) << 13;
                let sign = u32::from(bits & 0x8000) << 16;
                assert_eq!(found.to_bits(), sign | 0x7fc0_0000 | payload);
            } else {
                assert_eq!(found.to_bits(), expected.to_bits(), "{bits:#x}");
            }
        }
    }

    #[test]
    fn large_integers_become_the_nearest_float() {
        let mut value = 1_u64;
        for shift in (0..64).cycle().take(100_000) {
            value = value
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            for x in [
                value >> shift,
                !(value >> shift),
                1 << shift,
                (1 << shift) - 1,
            ] {
                assert_eq!(u64_to_f32(x).to_bits(), (x as f32).to_bits(), "{x}");
            }
        }
    }

    #[test]
    fn casts_are_guarded_where_a_value_could_be_lost() {
        let guard = |from: DType, convert: &Convert| {
            let mut stages = Stages::new(from);
            stages.extend(convert, &[3]).unwrap();
            stages.stages.last().unwrap().guard
        };
        use DType::*;
        for (from, to, guards) in [
            (F32, I64, [Guard::Exact, Guard::Whole]),
            (BF16, U8, [Guard::Exact, Guard::Whole]),
            (I64, I32, [Guard::Exact, Guard::Clamp]),
            (I8, U64, [Guard::Exact, Guard::Clamp]),
            (U64, I64, [Guard::Exact, Guard::Clamp]),
            (U8, I16, [Guard::None, Guard::None]),
            (U32, I64, [Guard::None, Guard::None]),
            (Bool, I8, [Guard::None, Guard::None]),
            (I64, F32, [Guard::None, Guard::None]),
            (F64, F16, [Guard::None, Guard::None]),
            (F64, Bool, [Guard::None, Guard::None]),
            (I4, I8, [Guard::None, Guard::None]),
            (I4, U8, [Guard::Exact, Guard::Clamp]),
            (U4, U8, [Guard::None, Guard::None]),
            (F8E5M2, I64, [Guard::Exact, Guard::Whole]),
            (F8E5M2, F16, [Guard::None, Guard::None]),
        ] {
            assert_eq!(
                guard(from, &Convert::new().cast(to)),
                guards[0],
                "{from} to {to}"
            );
            let saturating = Convert::new().saturating_cast(to);
            assert_eq!(guard(from, &saturating), guards[1], "{from} to {to}");
            if from.is_float() && to.is_int() {
                continue;
            }
            let wrapping = Convert::new().wrapping_cast(to);
            assert_eq!(guard(from, &wrapping), Guard::None, "{from} to {to}");
        }
    }

    #[test]
    fn steps_become_stages() {
        let mut stages = Stages::new(DType::U8);
        assert_eq!((stages.to(), stages.stages.len()), (DType::U8, 0));
        let convert = Convert::to::<f32>().divide(255.0).offset(-0.5);
        stages.extend(&convert, &[3]).unwrap();
        assert_eq!((stages.to(), stages.stages.len()), (DType::F32, 1));
        stages.extend(&Convert::to::<f32>(), &[3]).unwrap();
        assert_eq!(stages.stages.len(), 1);
        stages
            .extend(&Convert::new().cast(DType::F16).scale(2.0), &[3])
            .unwrap();
        assert_eq!((stages.to(), stages.stages.len()), (DType::F16, 2));
    }

    #[test]
    fn rows_of_one_number_are_normalized_as_one_channel() {
        let column = |values: Vec<f32>| crate::Column::new(values.into()).unwrap();
        let mut stats = Stats::new();
        stats.add(&[2.0, 4.0]);
        for convert in [
            Convert::new().normalize(&[3.0], &[1.0]),
            Convert::new().standardize(&stats),
            Convert::new().standardize_axis(0, &[stats]),
        ] {
            let values = column(vec![2.0, 4.0, 7.0]).convert(convert).unwrap();
            let read = values.read::<f32>(&[2, 0, 1]).unwrap();
            assert_eq!(read.as_slice(), Some(&[4.0, -1.0, 1.0][..]));
        }
        let two = column(vec![1.0]).convert(Convert::new().normalize(&[1.0; 2], &[1.0; 2]));
        assert!(two.unwrap_err().message().contains("has 1 channels"));
    }

    #[test]
    fn a_channel_without_deviation_is_only_centred() {
        let of = |numbers: &[f64]| {
            let mut stats = Stats::new();
            stats.add(numbers);
            stats
        };
        let table = ndarray::array![[0.1_f64, 1.0], [0.1, 3.0]];
        let column = crate::Column::new(table.into()).unwrap();
        let channels = [of(&[0.1; 2]), of(&[1.0, 3.0])];
        let convert = Convert::new().standardize_axis(0, &channels);
        let read = column
            .clone()
            .convert(convert)
            .unwrap()
            .read::<f64>(&[0, 1])
            .unwrap();
        assert_eq!(read.as_slice(), Some(&[0.0, -1.0, 0.0, 1.0][..]));
        let whole = Convert::new().standardize(&channels[0]);
        let read = column
            .clone()
            .convert(whole)
            .unwrap()
            .read::<f64>(&[1])
            .unwrap();
        assert_eq!(read.as_slice(), Some(&[0.0, 2.9][..]));
        for none in [
            Convert::new().standardize(&of(&[f64::NAN])),
            Convert::new().standardize_axis(0, &[of(&[1.0]), of(&[])]),
        ] {
            let error = column.clone().convert(none).unwrap_err();
            assert!(
                error.message().contains("NaN is not a finite float64"),
                "{error}"
            );
        }
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
        let floats = Convert::to::<f32>();
        assert!(refused(Convert::new().cast(DType::F8E5M2)).contains("not made"));
        assert!(refused(floats.clone().divide(0.0)).contains("divide by"));
        assert!(refused(floats.clone().scale(f64::NAN)).contains("finite"));
        // In the dtype of the column they are infinite, or 0.
        assert!(refused(floats.clone().scale(1e39)).contains("not a finite float32"));
        let halves = Convert::new().cast(DType::F16);
        assert!(refused(halves.clone().offset(70_000.0)).contains("finite"));
        assert!(refused(halves.divide(1e-9)).contains("no float16 to divide by"));
        let narrow = floats.clone().normalize(&[0.0; 3], &[1e-60; 3]);
        assert!(refused(narrow).contains("divide by"));
        assert!(refused(floats.clone().normalize(&[0.0], &[1.0])).contains("3 channels"));
        assert!(refused(floats.clone().normalize(&[0.0; 3], &[0.0; 3])).contains("divide by"));
        assert!(refused(floats.clone().normalize_axis(2, &[0.0], &[1.0])).contains("no axis 2"));
        assert!(refused(floats.wrapping_cast(DType::I32)).contains("takes integers"));
        assert!(refused(Convert::new().round()).contains("cast first"));
    }
}
