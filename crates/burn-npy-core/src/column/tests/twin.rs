//! The gather against a naive twin that converts element by element.

use half::{bf16, f16};
use ndarray::{ArrayD, IxDyn, ShapeBuilder};
use proptest::prelude::*;

use crate::array::swap_bytes;
use crate::{Access, Array, Buffer, ByteOrder, Column, Convert, DType, OpenOptions};

/// The naive twin: an element as f64, through each step.
fn naive(value: f64, from: DType, steps: &[(DType, Option<f64>)]) -> f64 {
    let mut value = value;
    let mut dtype = from;
    for &(to, factor) in steps {
        value = naive_cast(value, dtype, to);
        dtype = to;
        if let Some(factor) = factor {
            value = match dtype {
                DType::F16 => nearest_f16(value * nearest_f16(factor)),
                DType::BF16 => nearest_bf16(value * nearest_bf16(factor)),
                DType::F32 => f64::from(value as f32 * factor as f32),
                _ => value * factor,
            };
        }
    }
    value
}

fn naive_cast(value: f64, from: DType, to: DType) -> f64 {
    macro_rules! int {
        ($int:ty) => {
            match from.is_float() {
                true => value as $int as f64,
                false => value as i128 as $int as f64,
            }
        };
    }
    match to {
        DType::Bool => f64::from(u8::from(value != 0.0)),
        DType::I8 => int!(i8),
        DType::I16 => int!(i16),
        DType::I32 => int!(i32),
        DType::I64 => int!(i64),
        DType::U8 => int!(u8),
        DType::U16 => int!(u16),
        DType::U32 => int!(u32),
        DType::U64 => int!(u64),
        DType::F16 => nearest_f16(value),
        DType::BF16 => nearest_bf16(value),
        DType::F32 => f64::from(value as f32),
        DType::F64 => value,
        _ => unreachable!("nothing is cast to {to}"),
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
    // What rounds to infinity is nearest to the value that would come after the last.
    let last = of_bits(infinity - 1);
    let magnitude = |bits: u16| match bits == infinity {
        true => last + (last - of_bits(infinity - 2)),
        false => of_bits(bits),
    };
    let (mut low, mut high) = (0, infinity);
    while low + 1 < high {
        let middle = (low + high) / 2;
        match magnitude(middle) <= value.abs() {
            true => low = middle,
            false => high = middle,
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

fn as_f64(column: &Column, rows: &[usize]) -> Vec<f64> {
    let mut out = Buffer::zeroed(rows.len() * column.row_bytes()).unwrap();
    column.gather(rows, out.as_mut_slice()).unwrap();
    with_elements(column.dtype(), out.as_slice())
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
    fn gather_is_its_naive_twin(
        dtype in prop::sample::select(DType::ALL),
        shape in prop::collection::vec(1..9_usize, 1..4),
        fortran: bool,
        big_endian: bool,
        access in prop::sample::select(&[Access::Mapped, Access::Positioned, Access::Memory][..]),
        steps in prop::collection::vec(
            (prop::sample::select(DType::ALL), prop::option::of(-2.0..2.0_f64)), 0..4),
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
        // Arithmetic on integers is refused, so the twin does not see it.
        let mut done = Vec::new();
        for (to, factor) in steps {
            if !to.can_be_made() {
                prop_assert!(column.clone().convert(&Convert::to(to)).is_err() || to == column.dtype());
                continue;
            }
            let factor = factor.filter(|_| to.is_float());
            let mut convert = Convert::to(to);
            if let Some(factor) = factor {
                convert = convert.scale(factor);
            }
            column = column.convert(&convert).unwrap();
            done.push((to, factor));
        }
        let expected: Vec<f64> = rows
            .iter()
            .flat_map(|row| &values[row * row_len..][..row_len][part.clone()])
            .map(|value| naive(*value, dtype, &done))
            .collect();
        prop_assert_eq!(as_f64(&column, &rows), expected);
    }
}
