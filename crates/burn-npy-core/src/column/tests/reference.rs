//! The gather against a naive reference that converts element by element.

use half::{bf16, f16};
use ndarray::{ArrayD, IxDyn, ShapeBuilder};
use proptest::prelude::*;

use crate::array::swap_bytes;
use crate::{Access, Array, Buffer, ByteOrder, Column, Convert, DType, ErrorKind, OpenOptions};

/// An element of the naive reference, exact whatever its dtype is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Number {
    Whole(i128),
    Float(f64),
}

impl Number {
    fn float(self) -> f64 {
        match self {
            Self::Whole(value) => value as f64,
            Self::Float(value) => value,
        }
    }
}

/// What a cast does with numbers out of range, and what is done with fractions before it.
#[derive(Clone, Copy, Debug)]
enum Mode {
    Check,
    Saturate,
    Wrap,
    Round,
    Trunc,
}

/// A cast, and a factor after it.
#[derive(Clone, Copy, Debug)]
struct Steps {
    to: DType,
    mode: Mode,
    factor: Option<f64>,
}

impl Steps {
    fn add(self, from: DType) -> Convert {
        let convert = match self.mode {
            Mode::Round if from.is_float() => Convert::new().round(),
            Mode::Trunc if from.is_float() => Convert::new().trunc(),
            _ => Convert::new(),
        };
        let convert = match self.mode {
            Mode::Saturate => convert.saturating_cast(self.to),
            Mode::Wrap => convert.wrapping_cast(self.to),
            _ => convert.cast(self.to),
        };
        match self.factor {
            Some(factor) => convert.scale(factor),
            None => convert,
        }
    }

    /// The naive reference: an element through both steps, or `None` if the cast cannot keep it.
    fn naive(self, value: Number, from: DType) -> Option<Number> {
        let value = match (self.mode, value) {
            (Mode::Round, Number::Float(value)) => Number::Float(value.round_ties_even()),
            (Mode::Trunc, Number::Float(value)) => Number::Float(value.trunc()),
            (_, value) => value,
        };
        let value = if self.to == from {
            value
        } else {
            self.naive_cast(value)?
        };
        let Some(factor) = self.factor else {
            return Some(value);
        };
        let value = value.float();
        Some(Number::Float(match self.to {
            DType::F16 => nearest_f16(value * nearest_f16(factor)),
            DType::BF16 => nearest_bf16(value * nearest_bf16(factor)),
            DType::F32 => f64::from(value as f32 * factor as f32),
            _ => value * factor,
        }))
    }

    fn naive_cast(self, value: Number) -> Option<Number> {
        let Some((min, max)) = self.to.int_range() else {
            return Some(match self.to {
                DType::Bool => Number::Whole(i128::from(value.float() != 0.0)),
                DType::F16 => Number::Float(nearest_f16(value.float())),
                DType::BF16 => Number::Float(nearest_bf16(value.float())),
                DType::F32 => Number::Float(f64::from(match value {
                    Number::Whole(value) => value as f32,
                    Number::Float(value) => value as f32,
                })),
                _ => Number::Float(value.float()),
            });
        };
        let whole = match value {
            Number::Whole(value) => value,
            Number::Float(value) if value.is_nan() => return None,
            Number::Float(value) if value.is_finite() && value.fract() != 0.0 => return None,
            Number::Float(value) => value as i128,
        };
        let whole = match self.mode {
            Mode::Saturate => whole.clamp(min, max),
            // The range has as many values as a power of two.
            Mode::Wrap => (whole - min).rem_euclid(max - min + 1) + min,
            _ if (min..=max).contains(&whole) => whole,
            _ => return None,
        };
        Some(Number::Whole(whole))
    }
}

fn nearest_f16(value: f64) -> f64 {
    nearest(value, 0x7c00, |bits| f16::from_bits(bits).to_f64())
}

fn nearest_bf16(value: f64) -> f64 {
    nearest(value, 0x7f80, |bits| bf16::from_bits(bits).to_f64())
}

/// By search among all values: the nearest, or the even one of two.
fn nearest(value: f64, infinity: u16, of_bits: impl Fn(u16) -> f64) -> f64 {
    if value.is_nan() {
        return value;
    }
    // What rounds to infinity is nearest to the value that would come after the last.
    let last = of_bits(infinity - 1);
    let magnitude = |bits: u16| {
        if bits == infinity {
            last + (last - of_bits(infinity - 2))
        } else {
            of_bits(bits)
        }
    };
    let (mut low, mut high) = (0, infinity);
    while low + 1 < high {
        let middle = (low + high) / 2;
        if magnitude(middle) <= value.abs() {
            low = middle;
        } else {
            high = middle;
        }
    }
    let [below, above] = [low, high].map(|bits| (magnitude(bits) - value.abs()).abs());
    let bits = match below.total_cmp(&above) {
        std::cmp::Ordering::Less => low,
        std::cmp::Ordering::Equal => low + (low & 1),
        std::cmp::Ordering::Greater => high,
    };
    of_bits(bits).copysign(value)
}

fn as_f64(column: &Column, rows: &[usize]) -> crate::Result<Vec<f64>> {
    let mut out = Buffer::zeroed(rows.len() * column.row_bytes())?;
    column.gather(rows, out.as_mut_slice())?;
    Ok(with_elements(column.dtype(), out.as_slice()))
}

fn with_elements(dtype: DType, bytes: &[u8]) -> Vec<f64> {
    use crate::convert::Cast;
    use crate::element::{Scalar, with_made};
    with_made!(dtype, Stored => bytes
    .chunks_exact(size_of::<Stored>())
    .map(|bytes| <Stored as Cast<f64>>::cast(Stored::load(bytes)))
    .collect(), {
        let format = dtype.small().unwrap();
        bytes.iter().map(|byte| format.value(*byte).into()).collect()
    })
}

/// A file of small whole numbers, which every dtype can hold.
fn file(
    dir: &std::path::Path,
    dtype: DType,
    shape: &[usize],
    fortran: bool,
    big_endian: bool,
) -> (std::path::PathBuf, Vec<f64>) {
    use crate::convert::Cast;
    use crate::element::with_made;
    let len = shape.iter().product::<usize>();
    let whole = 0..if dtype == DType::Bool { 2 } else { 100 };
    let mut whole: Vec<f64> = whole.map(f64::from).collect();
    if let Some(format) = dtype.small() {
        let held: Vec<_> = (0..=u8::MAX)
            .map(|byte| f64::from(format.value(byte)))
            .collect();
        whole.retain(|value| held.contains(value));
    }
    let values: Vec<f64> = (0..len).map(|i| whole[i % whole.len()]).collect();
    let in_file = ArrayD::from_shape_vec(IxDyn(shape).set_f(fortran), values).unwrap();
    let order = if big_endian {
        ByteOrder::Big
    } else {
        ByteOrder::Little
    };
    let tuple: String = shape.iter().map(|len| format!("{len},")).collect();
    let text = format!(
        "{{'descr': '{}', 'fortran_order': {}, 'shape': ({tuple})}}",
        dtype.descr(order),
        if fortran { "True" } else { "False" },
    );
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((text.len() as u16).to_le_bytes());
    bytes.extend(text.as_bytes());
    let data_at = bytes.len();
    for value in in_file.as_slice_memory_order().unwrap() {
        with_made!(dtype, Stored => {
            let value: Stored = value.cast();
            bytes.extend(bytemuck::bytes_of(&value));
        }, {
            let is_it = |bits: &u8| with_elements(dtype, &[*bits]) == [*value];
            bytes.extend((0..=u8::MAX).find(is_it));
        });
    }
    if (order == ByteOrder::Big) != (ByteOrder::NATIVE == ByteOrder::Big) {
        swap_bytes(&mut bytes[data_at..], dtype.size());
    }
    let path = dir.join("x.npy");
    std::fs::write(&path, bytes).unwrap();
    // The values in C order, whatever the layout in the file.
    (path, in_file.iter().copied().collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn gather_is_its_naive_reference(
        dtype in prop::sample::select(DType::ALL),
        shape in prop::collection::vec(1..9_usize, 1..4),
        fortran: bool,
        big_endian: bool,
        access in prop::sample::select(&[Access::Mapped, Access::Positioned, Access::Memory][..]),
        steps in prop::collection::vec((
            prop::sample::select(DType::ALL),
            prop::sample::select(
                &[Mode::Check, Mode::Saturate, Mode::Wrap, Mode::Round, Mode::Trunc][..]),
            prop::option::of(prop_oneof![-2.0..2.0_f64, Just(-1.0), Just(1e3), Just(3e4)]),
        ), 0..4),
        picks in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
        cut in any::<(prop::sample::Index, prop::sample::Index)>(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let (path, values) = file(dir.path(), dtype, &shape, fortran, big_endian);
        let options = OpenOptions { access, ..Default::default() };
        let mut array = Array::open_with(&path, options).unwrap();
        if array.dtype().is_none() {
            array = array.reinterpret(dtype).unwrap();
        }
        let mut column = Column::new(array).unwrap();

        let rows: Vec<usize> = picks.iter().map(|pick| pick.index(shape[0])).collect();
        let row_len = values.len() / shape[0];
        let mut part = 0..row_len;
        if let Some(&len) = shape.get(1) {
            let (a, b) = (cut.0.index(len + 1), cut.1.index(len + 1));
            let range = a.min(b)..a.max(b);
            let inner = row_len / len;
            part = range.start * inner..range.end * inner;
            column = column.slice(range).unwrap();
        }
        // Arithmetic on integers is refused, so the reference does not see it.
        let mut done = Vec::new();
        for (to, mode, factor) in steps {
            let from = column.dtype();
            if !to.can_be_made() {
                prop_assert!(column.clone().convert(Convert::new().cast(to)).is_err() || to ==
                from); continue;
            }
            let factor = factor.filter(|_| to.is_float());
            let steps = Steps { to, mode, factor };
            let converted = column.clone().convert(steps.add(from));
            if matches!(mode, Mode::Wrap) && from.is_float() && to.is_int()
                || matches!(mode, Mode::Round | Mode::Trunc) && from.is_float() && !from.computes()
            {
                prop_assert_eq!(converted.unwrap_err().kind(), ErrorKind::Dtype);
                continue;
            }
            column = converted.unwrap();
            done.push((from, steps));
        }
        let expected: Option<Vec<f64>> = rows
            .iter()
            .flat_map(|row| &values[row * row_len..][..row_len][part.clone()])
            .map(|value| {
                let value = match dtype.int_range() {
                    Some(_) => Number::Whole(*value as i128),
                    None => Number::Float(*value),
                };
                let steps = |value, (from, steps): &(DType, Steps)| steps.naive(value, *from);
                done.iter().try_fold(value, steps).map(Number::float)
            })
            .collect();
        match (as_f64(&column, &rows), expected) {
            (Ok(found), Some(expected)) => {
                let bits = |values: &[f64]| -> Vec<u64> {
                    values.iter().map(|x| x.to_bits()).collect()
                };
                // Of NaN there are several.
                let known = |x: &f64| if x.is_nan() { f64::NAN } else { *x };
                let found: Vec<_> = found.iter().map(known).collect();
                let expected: Vec<_> = expected.iter().map(known).collect();
                prop_assert_eq!(bits(&found), bits(&expected), "{:?} {:?}", found, expected);
            }
            (Err(error), None) => prop_assert_eq!(error.kind(), ErrorKind::Value),
            (found, expected) => prop_assert!(false, "{found:?}, expected {expected:?}"),
        }
    }
}
