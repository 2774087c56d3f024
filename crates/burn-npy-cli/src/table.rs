//! Tables with aligned columns, and numbers and texts as they are shown in them.

use std::io::{self, Write};

use anstyle::Style;
use burn_npy_core::internal::one_line;
use burn_npy_core::{
    DType,
    file::{ByteOrder, ItemKind, ItemType},
};
use unicode_width::UnicodeWidthStr;

/// What is printed where the width of the terminal is not known.
const WIDTH: usize = 80;
/// How many digits a number has that need not be exact.
const DIGITS: usize = 6;
/// As many digits tell all numbers of double precision apart.
const MOST_DIGITS: usize = 17;
/// The longest dtype that is shown: structures have long ones.
const MAX_DTYPE: usize = 40;

/// The width of the terminal that stdout is, or 80.
pub(crate) fn terminal_width() -> usize {
    let size = terminal_size::terminal_size_of(io::stdout());
    size.map_or(WIDTH, |(width, _)| usize::from(width.0).max(20))
}

/// Where the texts of a column begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// A table with a line of titles.
#[derive(Debug)]
pub(crate) struct Table {
    columns: Vec<(String, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new<T: Into<String>>(columns: impl IntoIterator<Item = (T, Align)>) -> Self {
        let columns = columns
            .into_iter()
            .map(|(title, side)| (title.into(), side));
        Self {
            columns: columns.collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row, with a text a column.
    pub(crate) fn push(&mut self, row: Vec<String>) {
        self.rows.push(row);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Prints the titles, bold on a terminal, and the rows.
    pub(crate) fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        let titles: Vec<_> = self
            .columns
            .iter()
            .map(|(title, _)| title.clone())
            .collect();
        let mut widths: Vec<_> = titles.iter().map(|title| title.width()).collect();
        for row in &self.rows {
            for (width, text) in widths.iter_mut().zip(row) {
                *width = text.width().max(*width);
            }
        }
        let bold = Style::new().bold();
        writeln!(out, "{bold}{}{bold:#}", self.line(&titles, &widths))?;
        for row in &self.rows {
            writeln!(out, "{}", self.line(row, &widths))?;
        }
        Ok(())
    }

    fn line(&self, texts: &[String], widths: &[usize]) -> String {
        let mut line = String::new();
        for ((text, width), (_, side)) in texts.iter().zip(widths).zip(&self.columns) {
            let padding = " ".repeat(width.saturating_sub(text.width()));
            match side {
                Align::Left => line += &format!("{text}{padding}"),
                Align::Right => line += &format!("{padding}{text}"),
            }
            line += "  ";
        }
        line.truncate(line.trim_end().len());
        line
    }
}

/// A number of bytes, as in `44.9 MiB`.
pub(crate) fn bytes(bytes: u64) -> String {
    let mut units = ["KiB", "MiB", "GiB", "TiB"].into_iter();
    let mut size = bytes as f64 / 1024.0;
    let Some(mut unit) = units.next().filter(|_| bytes >= 1024) else {
        return format!("{bytes} B");
    };
    while let Some(next) = units.next().filter(|_| size >= 1023.95) {
        size /= 1024.0;
        unit = next;
    }
    format!("{size:.1} {unit}")
}

/// A shape as NumPy prints it: `(60000, 28, 28)`, `(5,)` or `()`.
pub(crate) fn shape(axes: &[usize]) -> String {
    match axes {
        [one] => format!("({one},)"),
        axes => {
            let axes: Vec<_> = axes.iter().map(ToString::to_string).collect();
            format!("({})", axes.join(", "))
        }
    }
}

/// The dtype of an item as NumPy prints it: a name such as `float32`, or its code if the bytes are
/// in the other order or there is no name.
pub(crate) fn dtype(item: &ItemType) -> String {
    match item.kind() {
        ItemKind::Number(dtype, order) if *order == ByteOrder::NATIVE || dtype.size() == 1 => {
            dtype.name().to_owned()
        }
        ItemKind::Complex(dtype, ByteOrder::NATIVE) => match dtype {
            DType::F32 => "complex64".to_owned(),
            DType::F64 => "complex128".to_owned(),
            _ => item.to_string(),
        },
        _ => one_line(&item.to_string(), MAX_DTYPE),
    }
}

/// A number with six digits, without zeros at the end.
pub(crate) fn number(value: f64) -> String {
    rounded(value, DIGITS)
}

/// A number with so many significant digits, without zeros at the end. Whole numbers of up to
/// fifteen digits are exact.
pub(crate) fn rounded(value: f64, digits: usize) -> String {
    if let Some(text) = special(value) {
        return text;
    }
    let digits = digits.max(1);
    laid_out(&format!("{value:.*e}", digits - 1), digits as i32 - 1)
}

/// A number with the fewest digits that tell it from all other numbers of its dtype. Whole numbers
/// of up to fifteen digits are exact.
pub(crate) fn shortest(value: f64, dtype: Option<DType>) -> String {
    if let Some(text) = special(value) {
        return text;
    }
    let text = match dtype {
        // The bits of the significand, and the exponent of the least number.
        Some(DType::F16) => shortest_in(value, 11, -24),
        Some(DType::BF16) => shortest_in(value, 8, -133),
        Some(dtype) if dtype.is_float() && dtype != DType::F64 => format!("{:e}", value as f32),
        _ => format!("{value:e}"),
    };
    laid_out(&text, 15)
}

/// The fewest digits that are nearer to a number than half of the way to the next one.
fn shortest_in(value: f64, bits: i32, least: i32) -> String {
    let exponent = value.abs().log2().floor() as i32;
    let step = 2.0_f64.powi((exponent + 1 - bits).max(least));
    // Below a power of two the numbers are half as far apart.
    let near = if value.abs() == 2.0_f64.powi(exponent) {
        step / 4.0
    } else {
        step / 2.0
    };
    let texts = (0..MOST_DIGITS).map(|digits| format!("{value:.digits$e}"));
    let is_near = |text: &String| text.parse::<f64>().is_ok_and(|x| (x - value).abs() < near);
    texts.into_iter().find(is_near).unwrap_or_default()
}

/// Numbers in ascending order, with as many digits as it takes that no two are the same, but at
/// least six.
pub(crate) fn distinct(values: &[f64]) -> Vec<String> {
    let texts = |digits| -> Vec<_> { values.iter().map(|value| rounded(*value, digits)).collect() };
    let differ = |texts: &Vec<String>| texts.windows(2).all(|pair| pair[0] != pair[1]);
    let fewest = (DIGITS..MOST_DIGITS).map(texts).find(differ);
    fewest.unwrap_or_else(|| texts(MOST_DIGITS))
}

/// NaN, the infinities, and whole numbers of up to fifteen digits.
fn special(value: f64) -> Option<String> {
    match value {
        0.0 => Some("0".to_owned()),
        _ if value.fract() == 0.0 && value.abs() < 1e15 => Some(format!("{value:.0}")),
        _ if value.is_nan() => Some("nan".to_owned()),
        _ if value.is_infinite() => Some(value.to_string()),
        _ => None,
    }
}

/// A number in scientific notation without zeros at the end. With an exponent from -5 to `most` it
/// is without one.
fn laid_out(text: &str, most: i32) -> String {
    let (digits, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (sign, digits) = match digits.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", digits),
    };
    let digits = digits.replace('.', "");
    let digits = match digits.trim_end_matches('0') {
        "" => "0",
        digits => digits,
    };
    let point = exponent.max(0) as usize + 1;
    let with_point = |at: usize| match digits.split_at_checked(at) {
        Some((whole, rest)) if !rest.is_empty() => format!("{whole}.{rest}"),
        _ => digits.to_owned() + &"0".repeat(at.saturating_sub(digits.len())),
    };
    let shown = match exponent {
        -5..0 => format!("0.{}{digits}", "0".repeat(-exponent as usize - 1)),
        _ if (0..=most).contains(&exponent) => with_point(point),
        _ => format!("{}e{exponent}", with_point(1)),
    };
    format!("{sign}{shown}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_six_digits() {
        for (value, expected) in [
            (0.0, "0"),
            (-0.0, "0"),
            (1.0, "1"),
            (-2.5, "-2.5"),
            (0.1 + 0.2, "0.3"),
            (123456.7, "123457"),
            (999999.7, "1e6"),
            (1234567.0, "1234567"),
            (1234567.5, "1.23457e6"),
            (0.0000123456789, "0.0000123457"),
            (1e-7, "1e-7"),
            (1e300, "1e300"),
            (f64::NAN, "nan"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(number(value), expected);
        }
    }

    #[test]
    fn exact_numbers_have_the_digits_that_it_takes() {
        let half = Some(DType::F16);
        for (value, dtype, expected) in [
            (0.0, None, "0"),
            (0.1, None, "0.1"),
            (1.0 / 3.0, None, "0.3333333333333333"),
            (f64::from(0.1_f32), Some(DType::F32), "0.1"),
            (f64::from(1.0000001_f32), Some(DType::F32), "1.0000001"),
            (f64::from(-1234567.5_f32), Some(DType::F32), "-1234567.5"),
            (0.0999755859375, half, "0.1"),
            (65504.0, half, "65504"),
            (5.960464477539063e-8, half, "6e-8"),
            (0.10009765625, Some(DType::BF16), "0.1"),
            (4294967295.0, Some(DType::U32), "4294967295"),
            (9007199254740991.0, None, "9007199254740991"),
            (1e16, None, "1e16"),
            (f64::MIN_POSITIVE, None, "2.2250738585072014e-308"),
            (f64::NAN, half, "nan"),
            (f64::NEG_INFINITY, None, "-inf"),
        ] {
            assert_eq!(shortest(value, dtype), expected);
        }
    }

    #[test]
    fn shortest_numbers_are_those_that_were_shown() {
        for bits in 1..0x7c00_u16 {
            let value = half(bits);
            let shown: f64 = shortest(value, Some(DType::F16)).parse().unwrap();
            let apart = |other: u16| (half(other) - shown).abs();
            assert!(
                apart(bits) < apart(bits - 1) && apart(bits) < apart(bits + 1),
                "{value}"
            );
        }
        for i in 1..1000_u32 {
            let value = f32::from_bits(i * 2_139_095);
            let shown = shortest(value.into(), Some(DType::F32));
            assert_eq!(shown.parse(), Ok(value));
            let value = f64::from(value) / 3.0;
            assert_eq!(shortest(value, None).parse(), Ok(value));
        }
    }

    /// A positive number of half precision, or the one after the greatest.
    fn half(bits: u16) -> f64 {
        let (exponent, fraction) = (i32::from(bits >> 10), f64::from(bits & 0x3ff));
        match exponent {
            0 => fraction * 2.0_f64.powi(-24),
            _ => (1024.0 + fraction) * 2.0_f64.powi(exponent - 25),
        }
    }

    #[test]
    fn different_numbers_are_told_apart() {
        assert_eq!(distinct(&[0.1, 0.25]), ["0.1", "0.25"]);
        let near = distinct(&[1000.0, 1000.0001, 1000.0002]);
        assert_eq!(near, ["1000", "1000.0001", "1000.0002"]);
        let next = f64::from_bits(1.5_f64.to_bits() + 1);
        assert_eq!(distinct(&[1.5, next]), ["1.5", "1.5000000000000002"]);
    }

    #[test]
    fn sizes_have_a_unit() {
        for (size, expected) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            ((1 << 20) - 1, "1.0 MiB"),
            (5 << 30, "5.0 GiB"),
            (5 << 50, "5120.0 TiB"),
        ] {
            assert_eq!(bytes(size), expected);
        }
    }

    #[test]
    fn columns_are_aligned() {
        let mut table = Table::new([("NAME", Align::Left), ("SIZE", Align::Right)]);
        table.push(vec!["é漢".to_owned(), "1".to_owned()]);
        table.push(vec!["x".to_owned(), "12345".to_owned()]);
        let mut out = Vec::new();
        table
            .print(&mut anstream::StripStream::new(&mut out))
            .unwrap();
        let expected = "NAME   SIZE\né漢       1\nx     12345\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
