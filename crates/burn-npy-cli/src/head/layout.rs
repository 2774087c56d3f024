//! Rows as lines: in columns, or in brackets as NumPy prints arrays.

use std::io::{self, Write};

use anstyle::Style;
use unicode_width::UnicodeWidthStr;

use super::EDGE;
use crate::values::{self, Row};

const GAP: &str = "...";

/// A text, and whether it stands at the left of its column.
type Cell = (String, bool);

/// Rows of cells that are aligned in columns.
#[derive(Debug)]
pub(super) struct Lines<'a> {
    titles: &'a [String],
    rows: Vec<(Option<usize>, Vec<Cell>)>,
    /// The column before which others are left out already.
    gap: Option<usize>,
}

impl<'a> Lines<'a> {
    pub(super) fn new(titles: &'a [String]) -> Self {
        Self {
            titles,
            rows: Vec::new(),
            gap: None,
        }
    }

    /// Adds a row with its number. All rows have equally many cells, and the same gap.
    pub(super) fn push(&mut self, number: Option<usize>, cells: Vec<Cell>, gap: Option<usize>) {
        self.rows.push((number, cells));
        self.gap = gap;
    }

    /// Prints the lines, without the columns in the middle if they are too wide.
    pub(super) fn print(&self, width: usize, out: &mut dyn Write) -> io::Result<()> {
        let columns = self.rows.first().map_or(0, |(_, cells)| cells.len());
        let widths: Vec<_> = (0..columns)
            .map(|column| {
                let cells = self.rows.iter().map(|(_, cells)| cells[column].0.width());
                let title = self.titles.get(column).map_or(0, |title| title.width());
                cells.chain([title]).max().unwrap_or(0)
            })
            .collect();
        let numbers = self.rows.iter().filter_map(|(number, _)| *number);
        let number_width = numbers
            .map(|number| number.to_string().len())
            .max()
            .unwrap_or(0);
        let (left, right) = fitting(&widths, self.gap, width.saturating_sub(number_width));
        let line = |number: String, cell: &dyn Fn(usize) -> Cell| {
            let mut line = format!("{number:>number_width$}");
            let mut push = |text: &str, width: usize, is_left: bool| {
                let padding = " ".repeat(width.saturating_sub(text.width()));
                let separator = if line.is_empty() { "" } else { "  " };
                line += separator;
                line += &if is_left {
                    format!("{text}{padding}")
                } else {
                    padding + text
                };
            };
            let is_cut = self.gap.is_some() || left + right < columns;
            let gap = is_cut.then_some(None);
            let last = (columns - right..columns).map(Some);
            for column in (0..left).map(Some).chain(gap).chain(last) {
                let Some(column) = column else {
                    push(GAP, GAP.len(), true);
                    continue;
                };
                let (text, is_left) = cell(column);
                push(&text, widths[column], is_left);
            }
            line.truncate(line.trim_end().len());
            line
        };
        if let (false, Some((_, cells))) = (self.titles.is_empty(), self.rows.first()) {
            let title = |column: usize| (self.titles[column].clone(), cells[column].1);
            let bold = Style::new().bold();
            writeln!(out, "{bold}{}{bold:#}", line(String::new(), &title))?;
        }
        for (number, cells) in &self.rows {
            let number = number.map_or_else(String::new, |number| number.to_string());
            writeln!(out, "{}", line(number, &|column| cells[column].clone()))?;
        }
        Ok(())
    }
}

/// How many columns fit at the left and at the right of what is left out.
fn fitting(widths: &[usize], gap: Option<usize>, width: usize) -> (usize, usize) {
    let wide = |widths: &[usize]| widths.iter().map(|width| width + 2).sum::<usize>();
    if gap.is_none() && wide(widths) <= width {
        return (widths.len(), 0);
    }
    let most_left = gap.unwrap_or(widths.len());
    let most_right = widths.len() - gap.unwrap_or(0);
    let (mut left, mut right) = (0, 0);
    let mut rest = width.saturating_sub(GAP.len() + 2);
    loop {
        let at_left = left <= right;
        let next = match at_left {
            true if left < most_left && left + right < widths.len() => widths[left],
            false if right < most_right && left + right < widths.len() => {
                widths[widths.len() - 1 - right]
            }
            _ => break,
        };
        // At least the first column.
        if next + 2 > rest && left > 0 {
            break;
        }
        rest = rest.saturating_sub(next + 2);
        if at_left {
            left += 1;
        } else {
            right += 1;
        }
    }
    (left, right)
}

/// Prints a row in brackets, in one line if it fits.
pub(super) fn print_block(
    number: Option<usize>,
    row: &Row,
    width: usize,
    out: &mut dyn Write,
) -> io::Result<()> {
    let number = number.map_or_else(String::new, |number| format!("{number}  "));
    let lines = brackets(row);
    let short = lines
        .iter()
        .map(|line| line.trim_start())
        .collect::<Vec<_>>()
        .join(" ");
    if number.len() + short.width() <= width {
        return writeln!(out, "{number}{short}");
    }
    for (index, line) in lines.iter().enumerate() {
        match index {
            0 => writeln!(out, "{number}{line}")?,
            _ => writeln!(out, "{}{line}", " ".repeat(number.len()))?,
        }
    }
    Ok(())
}

/// A row in one line, with brackets if it has axes.
pub(super) fn one_line(row: &Row) -> String {
    let lines = brackets(row);
    lines
        .iter()
        .map(|line| line.trim_start())
        .collect::<Vec<_>>()
        .join(" ")
}

/// The lines of a row in brackets, its items aligned.
fn brackets(row: &Row) -> Vec<String> {
    let mut shown = Vec::new();
    // The widths and the digits are those of the items that are shown.
    visit(&row.shape, row.gap, 0, &mut |place| shown.push(place));
    let pairs = shown.windows(2);
    let digits = values::digits(pairs.map(|pair| (&row.values[pair[0]], &row.values[pair[1]])));
    let text = |place: &usize| row.values[*place].text_with(digits);
    let width = shown
        .iter()
        .map(|place| text(place).width())
        .max()
        .unwrap_or(0);
    let is_left = row.values.first().is_some_and(|value| value.is_text());
    let padded = |text: String| {
        let padding = " ".repeat(width.saturating_sub(text.width()));
        if is_left {
            format!("{text}{padding}")
        } else {
            padding + &text
        }
    };
    nested(&row.shape, row.gap, 0, &|place| padded(text(&place)))
}

/// The indices along an axis that are shown, with `None` for those that are left out.
fn indices(len: usize, gap: Option<usize>) -> Vec<Option<usize>> {
    match gap {
        Some(gap) => (0..gap)
            .map(Some)
            .chain([None])
            .chain((gap..len).map(Some))
            .collect(),
        None if len > 2 * EDGE => indices_around(len),
        None => (0..len).map(Some).collect(),
    }
}

fn indices_around(len: usize) -> Vec<Option<usize>> {
    let start = (0..EDGE).map(Some);
    start
        .chain([None])
        .chain((len - EDGE..len).map(Some))
        .collect()
}

/// Calls `f` with the place of each item that is shown.
fn visit(shape: &[usize], gap: Option<usize>, start: usize, f: &mut dyn FnMut(usize)) {
    let Some((len, inner)) = shape.split_first() else {
        return f(start);
    };
    let size: usize = inner.iter().product();
    for index in indices(*len, gap).into_iter().flatten() {
        visit(inner, None, start + index * size, f);
    }
}

fn nested(
    shape: &[usize],
    gap: Option<usize>,
    start: usize,
    text: &dyn Fn(usize) -> String,
) -> Vec<String> {
    let Some((len, inner)) = shape.split_first() else {
        return vec![text(start)];
    };
    let size: usize = inner.iter().product();
    let mut lines = Vec::new();
    for index in indices(*len, gap) {
        match index {
            Some(index) => lines.extend(nested(inner, None, start + index * size, text)),
            None => lines.push(GAP.to_owned()),
        }
    }
    if inner.is_empty() {
        return vec![format!("[{}]", lines.join(" "))];
    }
    let last = lines.len().saturating_sub(1);
    let ends = lines.iter().enumerate().map(|(index, line)| {
        let open = if index == 0 { "[" } else { " " };
        let close = if index == last { "]" } else { "" };
        format!("{open}{line}{close}")
    });
    let lines: Vec<_> = ends.collect();
    if lines.is_empty() {
        vec!["[]".to_owned()]
    } else {
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::Value;

    fn row(shape: &[usize]) -> Row {
        let len: usize = shape.iter().product();
        Row {
            shape: shape.to_vec(),
            gap: None,
            values: (0..len as i64).map(Value::Int).collect(),
        }
    }

    #[test]
    fn brackets_are_those_of_numpy() {
        for (shape, expected) in [
            (&[][..], "0"),
            (&[3], "[0 1 2]"),
            (&[2, 2], "[[0 1]\n [2 3]]"),
            (&[2, 1, 2], "[[[0 1]]\n [[2 3]]]"),
            (&[7], "[0 1 2 ... 4 5 6]"),
            (&[2, 0], "[[]\n []]"),
            (&[0, 2], "[]"),
            (
                &[7, 2],
                "[[ 0  1]\n [ 2  3]\n [ 4  5]\n ...\n [ 8  9]\n [10 11]\n [12 13]]",
            ),
        ] {
            assert_eq!(brackets(&row(shape)).join("\n"), expected, "{shape:?}");
        }
    }

    #[test]
    fn as_many_columns_as_fit_are_shown() {
        assert_eq!(fitting(&[1; 10], None, 30), (10, 0));
        assert_eq!(fitting(&[1; 10], None, 29), (4, 4));
        assert_eq!(fitting(&[1; 10], Some(5), 100), (5, 5));
        assert_eq!(fitting(&[1; 10], Some(5), 14), (2, 1));
        assert_eq!(fitting(&[100; 2], None, 20), (1, 0));
        assert_eq!(fitting(&[], None, 20), (0, 0));
    }

    #[test]
    fn lines_are_aligned() {
        let titles = ["id".to_owned(), "name".to_owned()];
        let mut lines = Lines::new(&titles);
        for (number, id, name) in [(9, "1", "é"), (10, "-20", "ab")] {
            let cells = vec![(id.to_owned(), false), (name.to_owned(), true)];
            lines.push(Some(number), cells, None);
        }
        let mut out = Vec::new();
        lines
            .print(40, &mut anstream::StripStream::new(&mut out))
            .unwrap();
        let expected = "     id  name\n 9    1  é\n10  -20  ab\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
        let mut out = Vec::new();
        lines
            .print(12, &mut anstream::StripStream::new(&mut out))
            .unwrap();
        let expected = "     id  ...\n 9    1  ...\n10  -20  ...\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
