//! The values of rows, as they are printed.

mod time;

use burn_npy_core::internal::shown;
use burn_npy_core::{
    Array, Convert, DType, Error, ErrorKind, Result,
    file::{Column, ItemKind},
};
use serde_json::{Number, Value as Json};

use crate::open::locate;
use crate::table;

/// The largest row that is printed, as it is read.
const MAX_ROW_BYTES: usize = 64 << 20;

/// How many significant digits a float has, unless it takes more.
pub(crate) const DIGITS: usize = 8;
/// As many digits tell all floats apart.
const MOST_DIGITS: usize = 17;

/// An item of an array.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Bool(bool),
    Int(i64),
    Uint(u64),
    Single(f32),
    Double(f64),
    /// The real and the imaginary part.
    Complex(Box<[Self; 2]>),
    /// Text, a time, or opaque bytes as hexadecimal digits.
    Text(String),
}

impl Value {
    /// The value in a table, floats with up to eight significant digits.
    pub(crate) fn text(&self) -> String {
        self.text_with(DIGITS)
    }

    /// The value in a table, floats with up to so many significant digits.
    pub(crate) fn text_with(&self, digits: usize) -> String {
        match self {
            Self::Bool(true) => "True".to_owned(),
            Self::Bool(false) => "False".to_owned(),
            Self::Int(number) => number.to_string(),
            Self::Uint(number) => number.to_string(),
            Self::Single(number) => float((*number).into(), Some(DType::F32), digits),
            Self::Double(number) => float(*number, None, digits),
            Self::Complex(parts) => {
                let [real, imaginary] = [parts[0].text_with(digits), parts[1].text_with(digits)];
                let plus = if imaginary.starts_with('-') { "" } else { "+" };
                format!("{real}{plus}{imaginary}j")
            }
            Self::Text(text) => shown(text),
        }
    }

    /// The value with all digits. What JSON has no number for is a text: `NaN`, `Infinity`.
    pub(crate) fn json(&self) -> Json {
        let float = |number: f64, shortest: String| match number.is_finite() {
            // The digits of an `f32` are fewer than those of the same `f64`.
            true => shortest
                .parse()
                .ok()
                .and_then(Number::from_f64)
                .map_or(Json::Null, Json::from),
            false if number.is_nan() => "NaN".into(),
            false if number > 0.0 => "Infinity".into(),
            false => "-Infinity".into(),
        };
        match self {
            Self::Bool(value) => (*value).into(),
            Self::Int(number) => (*number).into(),
            Self::Uint(number) => (*number).into(),
            Self::Single(number) => float((*number).into(), number.to_string()),
            Self::Double(number) => float(*number, number.to_string()),
            Self::Complex(parts) => parts.iter().map(Self::json).collect(),
            Self::Text(text) => text.as_str().into(),
        }
    }

    /// Whether it stands at the left of a column.
    pub(crate) fn is_text(&self) -> bool {
        matches!(self, Self::Text(_))
    }
}

/// A float with the fewest digits that tell it from others, rounded if these are too many.
fn float(number: f64, dtype: Option<DType>, digits: usize) -> String {
    let exact = table::shortest(number, dtype);
    let significand = exact.split('e').next().unwrap_or_default();
    let significand = significand.trim_start_matches(['-', '0', '.']);
    match significand.bytes().filter(u8::is_ascii_digit).count() <= digits {
        true => exact,
        false => table::rounded(number, digits),
    }
}

/// How many digits it takes to tell the values of each pair apart, at least [`DIGITS`].
pub(crate) fn digits<'a>(pairs: impl IntoIterator<Item = (&'a Value, &'a Value)>) -> usize {
    let mut digits = DIGITS;
    for (a, b) in pairs {
        let coincide = |digits| a.text_with(digits) == b.text_with(digits);
        // Those that are the same with all digits too are the same number, or NaN.
        if a != b && coincide(digits) && !coincide(MOST_DIGITS) {
            while coincide(digits) {
                digits += 1;
            }
        }
    }
    digits
}

/// A row of an array, perhaps without the middle of its first axis.
#[derive(Debug)]
pub(crate) struct Row {
    /// The lengths of the axes as they are here.
    pub(crate) shape: Vec<usize>,
    /// Where items are left out along the first axis.
    pub(crate) gap: Option<usize>,
    /// The items in C order.
    pub(crate) values: Vec<Value>,
}

/// Reads a row of an array that is no structure. With `edge`, a longer first axis of the row has
/// only so many items at its start and at its end. An array without axes is one row.
pub(crate) fn read(array: &Array, row: usize, edge: Option<usize>) -> Result<Row> {
    let axes = array.shape().get(1..).unwrap_or(&[]);
    let cut = edge.zip(axes.first().copied());
    let cut = cut.filter(|(edge, len)| *len > edge.saturating_mul(2));
    let mut shape = axes.to_vec();
    let mut values = Vec::new();
    match cut {
        Some((edge, len)) => {
            shape[0] = 2 * edge;
            for part in [0..edge, len - edge..len] {
                values.extend(items(array, row, Some(part))?);
            }
        }
        None => values = items(array, row, None)?,
    }
    Ok(Row {
        shape,
        gap: cut.map(|(edge, _)| edge),
        values,
    })
}

/// The items of a row, or of a part of its first axis.
fn items(array: &Array, row: usize, part: Option<std::ops::Range<usize>>) -> Result<Vec<Value>> {
    let kind = array.item().kind();
    let is_opaque = array.dtype().is_none();
    let array = match is_opaque {
        true => &array.clone().reinterpret(DType::U8)?,
        false => array,
    };
    let column = match array.shape() {
        [] => Column::whole(array)?,
        _ => Column::new(array.clone())?,
    };
    let column = match part {
        Some(part) => column.slice(part)?,
        None => column,
    };
    if column.row_bytes() > MAX_ROW_BYTES {
        let message = format!(
            "a row of {} bytes is too large to print",
            column.row_bytes()
        );
        return Err(locate(array, Error::new(ErrorKind::Limit, message)));
    }
    let numbers = numbers(column, array.dtype().unwrap_or(DType::U8), row)?;
    let bytes = |numbers: &[Value]| -> Vec<u8> { numbers.iter().map(byte).collect() };
    let of_items = |item: &dyn Fn(&[Value]) -> Value| -> Vec<Value> {
        match array.number_axis() {
            // Items of no bytes.
            Some(0) => {
                let axes = array.shape().get(1..).unwrap_or(&[]);
                vec![Value::Text(String::new()); axes.iter().product()]
            }
            len => numbers.chunks_exact(len.unwrap_or(1)).map(item).collect(),
        }
    };
    Ok(match kind {
        ItemKind::Complex(..) => of_items(&|parts| match parts {
            [real, imaginary] => Value::Complex([real.clone(), imaginary.clone()].into()),
            _ => Value::Text(String::new()),
        }),
        ItemKind::Bytes => of_items(&|numbers| {
            let text = bytes(numbers);
            let end = text
                .iter()
                .rposition(|byte| *byte != 0)
                .map_or(0, |last| last + 1);
            Value::Text(text[..end].escape_ascii().to_string())
        }),
        ItemKind::Text(_) => of_items(&|numbers| {
            let text: String = numbers.iter().map(character).collect();
            Value::Text(text.trim_end_matches('\0').to_owned())
        }),
        ItemKind::DateTime(_, unit) => of_items(&|numbers| Value::Text(when(&numbers[0], unit))),
        ItemKind::TimeDelta(_, unit) => of_items(&|numbers| Value::Text(span(&numbers[0], unit))),
        _ if is_opaque => of_items(&|numbers| {
            let digits = bytes(numbers);
            Value::Text(digits.iter().map(|byte| format!("{byte:02x}")).collect())
        }),
        _ => numbers,
    })
}

/// The numbers of a row, in a type that holds them.
fn numbers(column: Column, dtype: DType, row: usize) -> Result<Vec<Value>> {
    let to = |to: DType| column.clone().convert(Convert::new().cast(to));
    let rows = [row];
    Ok(match dtype {
        DType::Bool => {
            let bools = to(DType::U8)?.read::<u8>(&rows)?;
            bools
                .into_iter()
                .map(|number| Value::Bool(number != 0))
                .collect()
        }
        DType::U64 => column
            .read::<u64>(&rows)?
            .into_iter()
            .map(Value::Uint)
            .collect(),
        DType::F64 => column
            .read::<f64>(&rows)?
            .into_iter()
            .map(Value::Double)
            .collect(),
        dtype if dtype.is_float() => {
            let singles = to(DType::F32)?.read::<f32>(&rows)?;
            singles.into_iter().map(Value::Single).collect()
        }
        _ => to(DType::I64)?
            .read::<i64>(&rows)?
            .into_iter()
            .map(Value::Int)
            .collect(),
    })
}

fn byte(value: &Value) -> u8 {
    match value {
        Value::Int(number) => *number as u8,
        _ => 0,
    }
}

fn character(value: &Value) -> char {
    let code = match value {
        Value::Int(number) => u32::try_from(*number).ok(),
        _ => None,
    };
    code.and_then(char::from_u32)
        .unwrap_or(char::REPLACEMENT_CHARACTER)
}

fn when(value: &Value, unit: &str) -> String {
    match value {
        Value::Int(number) => time::date(*number, unit),
        other => other.text(),
    }
}

fn span(value: &Value, unit: &str) -> String {
    match value {
        Value::Int(i64::MIN) => "NaT".to_owned(),
        other => format!("{} {unit}", other.text()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_keeps_all_digits() {
        for (value, expected) in [
            (Value::Single(0.1), "0.1"),
            (Value::Double(0.1), "0.1"),
            (Value::Double(1.0 / 3.0), "0.3333333333333333"),
            (Value::Single(f32::NAN), "\"NaN\""),
            (Value::Double(f64::NEG_INFINITY), "\"-Infinity\""),
            (Value::Uint(u64::MAX), "18446744073709551615"),
            (Value::Int(i64::MIN), "-9223372036854775808"),
            (
                Value::Complex([Value::Double(1.0), Value::Double(-2.5)].into()),
                "[1.0,-2.5]",
            ),
            (Value::Text("a\"\n".to_owned()), "\"a\\\"\\n\""),
        ] {
            assert_eq!(value.json().to_string(), expected);
        }
    }

    #[test]
    fn floats_have_as_many_digits_as_it_takes() {
        for (value, expected) in [
            (Value::Single(0.1), "0.1"),
            (Value::Single(50.0 / 3.0), "16.666666"),
            (Value::Double(50.0 / 3.0), "16.666667"),
            (Value::Double(123456789.5), "1.2345679e8"),
            (Value::Double(1.5e-300), "1.5e-300"),
            (
                Value::Complex([Value::Double(0.5), Value::Double(-2.0)].into()),
                "0.5-2j",
            ),
        ] {
            assert_eq!(value.text(), expected);
        }
        let values = [1.0, 1.0000000001, f64::NAN, f64::NAN, 1.0].map(Value::Double);
        let pairs = || values.iter().zip(&values[1..]);
        assert_eq!(digits(pairs()), 11);
        assert_eq!(digits(pairs().skip(1)), 8);
        assert_eq!(values[1].text_with(11), "1.0000000001");
        let next = Value::Double(1.0_f64.next_up());
        assert_eq!(digits([(&values[0], &next)]), 17);
    }

    #[test]
    fn a_long_row_has_its_edges() {
        let array = Array::from(burn_npy_core::ndarray::Array2::from_shape_fn(
            (2, 10),
            |(i, j)| (10 * i + j) as u8,
        ));
        let row = read(&array, 1, Some(2)).unwrap();
        assert_eq!((row.shape, row.gap), (vec![4], Some(2)));
        assert_eq!(row.values, [10, 11, 18, 19].map(Value::Int));
        let row = read(&array, 1, Some(5)).unwrap();
        assert_eq!((row.values.len(), row.gap), (10, None));
    }
}
