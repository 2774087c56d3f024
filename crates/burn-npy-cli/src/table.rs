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
    if value == 0.0 || !value.is_finite() {
        let text = value.to_string();
        return text.replace("NaN", "nan").replace("-0", "0");
    }
    // The exponent after the digits are rounded.
    let text = format!("{value:.5e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trimmed = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    match exponent {
        -5..=5 => trimmed(&format!("{value:.*}", (5 - exponent) as usize)),
        // Whole numbers of up to fifteen digits are exact.
        6..=14 if value.fract() == 0.0 => format!("{value:.0}"),
        _ => format!("{}e{exponent}", trimmed(digits)),
    }
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
