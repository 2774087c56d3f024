//! `burn-npy head`: prints rows.

mod layout;

use std::io::Write;
use std::path::PathBuf;
use std::str::FromStr;

use burn_npy_core::internal::shown;
use burn_npy_core::{Array, Error, ErrorKind, Result, Sampler};
use serde_json::{Map, Value as Json, json};

use self::layout::{Lines, one_line};
use crate::failure::{Failure, Outcome, Status};
use crate::open::{self, OpenArgs, parts};
use crate::table::{self, terminal_width};
use crate::values::{self, Row, Value};

/// How many rows are aligned with each other.
const BLOCK: usize = 1000;
/// Of a longer axis, so many items are shown at its start and at its end, as in NumPy.
const EDGE: usize = 3;

/// Print the first rows, or others
///
/// Each row begins with its number. A row of numbers takes one line, without its middle if the line
/// would be wider than the terminal. Rows with more axes are printed as by NumPy, the middle of a
/// long axis left out. Floats have eight digits, or as many as tell neighbours apart.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Files, or arrays of archives
    #[arg(required = true, value_name = "FILE[:ARRAY]")]
    files: Vec<PathBuf>,
    /// Print the first N rows
    #[arg(short = 'n', value_name = "N", default_value_t = 10)]
    count: usize,
    /// Print the rows of these numbers, counted from 0, such as 5,7,100 or 0..3 or 1000..
    #[arg(long, value_name = "ROW,...", value_delimiter = ',', conflicts_with_all = ["count"])]
    rows: Option<Vec<Span>>,
    /// Print N rows in a random order, none twice
    #[arg(long, value_name = "N", conflicts_with_all = ["count", "rows"])]
    random: Option<u64>,
    /// With --random: other rows for each seed
    #[arg(
        long,
        value_name = "S",
        requires = "random",
        default_value_t,
        hide_default_value = true
    )]
    seed: u64,
    /// Print a JSON object a line, with all digits of whole rows
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    open: OpenArgs,
}

/// A row, or the rows from one to another.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Span {
    start: usize,
    /// It ends before this row; `None` for the last rows.
    end: Option<usize>,
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| {
            let number: Result<usize, _> = text.trim().parse();
            number.map_err(|_| "expected a row such as 5, or A..B such as 0..3".to_owned())
        };
        let Some((start, end)) = text.split_once("..") else {
            let start = number(text)?;
            let end = Some(start.saturating_add(1));
            return Ok(Self { start, end });
        };
        let given = |text: &str| (!text.trim().is_empty()).then(|| number(text)).transpose();
        let (start, end) = (given(start)?.unwrap_or(0), given(end)?);
        match end {
            Some(end) if end < start => Err("it ends before it begins".to_owned()),
            end => Ok(Self { start, end }),
        }
    }
}

pub(crate) fn run(args: &Args, out: &mut dyn Write) -> Outcome {
    let mut status = Status::Fine;
    let mut printed = false;
    for file in &args.files {
        let options = open::options().skip_checksums(true);
        let opened = match open::open(file, &args.open, options) {
            Ok(opened) => opened,
            Err(error) => {
                status = Failure::from(error).report();
                continue;
            }
        };
        let names = opened.names();
        let with_titles = args.files.len() > 1 || names.len() > 1;
        for name in &names {
            let name = name.as_deref();
            let mut print = || -> Outcome<()> {
                let array = opened.array(name)?;
                if args.json {
                    return print_json(args, &open::text(&opened.target.file), name, &array, out);
                }
                if with_titles {
                    let blank = if printed { "\n" } else { "" };
                    let (dtype, shape) = (table::dtype(array.item()), table::shape(array.shape()));
                    writeln!(out, "{blank}{}  {dtype} {shape}", opened.label(name))?;
                    printed = true;
                }
                print_rows(args, &array, out)
            };
            match print() {
                Ok(()) => {}
                Err(Failure::Closed) => return Err(Failure::Closed),
                Err(failure) => status = failure.report(),
            }
        }
    }
    Ok(status)
}

/// The numbers of the rows to print. An array without axes is one row.
fn chosen(args: &Args, array: &Array) -> Result<Vec<usize>> {
    let rows = array.shape().first().copied().unwrap_or(1);
    if let Some(spans) = &args.rows {
        let mut chosen = Vec::new();
        for span in spans {
            let end = span.end.unwrap_or_else(|| rows.max(span.start));
            // The last row that is asked for, or that before which there are none.
            let last = span.start.max(end.saturating_sub(1));
            if end > rows || span.start > rows {
                let message = format!("no row {last}, there are {rows}");
                return Err(open::locate(array, Error::new(ErrorKind::Row, message)));
            }
            chosen.extend(span.start..end);
        }
        return Ok(chosen);
    }
    if let Some(count) = args.random {
        let order = Sampler::shuffled(args.seed).order(rows as u64, 0);
        return Ok(order
            .rows(0..count.min(order.len()))
            .map(|row| row as usize)
            .collect());
    }
    Ok((0..rows.min(args.count)).collect())
}

fn print_rows(args: &Args, array: &Array, out: &mut dyn Write) -> Outcome<()> {
    let fields = array.fields();
    let is_table = !fields.is_empty() || array.shape().len() <= 2;
    let titles = fields.iter().map(|(name, _)| shown(name));
    let titles: Vec<_> = titles.collect();
    for (block, rows) in chosen(args, array)?.chunks(BLOCK).enumerate() {
        let mut lines = Lines::new(if block == 0 { &titles } else { &[] });
        let number = |row: &usize| (!array.shape().is_empty()).then_some(*row);
        if !fields.is_empty() {
            let columns = fields.iter().map(|(_, field)| cells(field, rows));
            let columns: Vec<_> = columns.collect::<Result<_>>()?;
            for (at, row) in rows.iter().enumerate() {
                let cells = columns.iter().map(|cells| cells[at].clone());
                lines.push(number(row), cells.collect(), None);
            }
        } else if is_table {
            // No column is narrower than its space and one digit.
            let edge = Some(terminal_width() / 2 + 1);
            let read = rows.iter().map(|row| values::read(array, *row, edge));
            let read: Vec<_> = read.collect::<Result<_>>()?;
            let digits = values::digits(neighbours(&read));
            for (row, read) in rows.iter().zip(&read) {
                let cells = read.values.iter().map(|value| cell(value, digits));
                lines.push(number(row), cells.collect(), read.gap);
            }
        } else {
            for row in rows {
                let read = values::read(array, *row, Some(EDGE))?;
                layout::print_block(number(row), &read, terminal_width(), out)?;
            }
        }
        lines.print(terminal_width(), out)?;
    }
    Ok(())
}

/// A text, and whether it stands at the left of its column.
fn cell(value: &Value, digits: usize) -> (String, bool) {
    (value.text_with(digits), value.is_text())
}

/// The cells of a field.
fn cells(field: &Array, rows: &[usize]) -> Result<Vec<(String, bool)>> {
    let read = |row: &usize| values::read(field, *row, Some(EDGE));
    if field.shape().len() > 1 {
        // Large ones are not kept.
        let cells = rows.iter().map(|row| {
            let row = read(row)?;
            let is_text = row.values.first().is_some_and(Value::is_text);
            Ok((one_line(&row), is_text))
        });
        return cells.collect();
    }
    let read: Vec<_> = rows.iter().map(read).collect::<Result<_>>()?;
    let digits = values::digits(neighbours(&read));
    let values = read.iter().flat_map(|row| &row.values);
    Ok(values.map(|value| cell(value, digits)).collect())
}

/// The pairs of values that stand beside each other, or one below the other.
fn neighbours(rows: &[Row]) -> impl Iterator<Item = (&Value, &Value)> {
    let across = rows
        .iter()
        .flat_map(|row| row.values.iter().zip(row.values.iter().skip(1)));
    let down = rows.iter().zip(rows.iter().skip(1));
    across.chain(down.flat_map(|(row, next)| row.values.iter().zip(&next.values)))
}

fn print_json(
    args: &Args,
    file: &str,
    member: Option<&str>,
    array: &Array,
    out: &mut dyn Write,
) -> Outcome<()> {
    for row in chosen(args, array)? {
        let read = |array: &Array| values::read(array, row, None).map(|row| nested(&row));
        let value = match parts(None, array)[..] {
            [(None, ref array)] => read(array)?,
            ref fields => {
                let mut object = Map::new();
                for (name, field) in fields {
                    object.insert(name.clone().unwrap_or_default(), read(field)?);
                }
                Json::Object(object)
            }
        };
        let row = (!array.shape().is_empty()).then_some(row);
        writeln!(
            out,
            "{}",
            json!({"file": file, "member": member, "row": row, "value": value})
        )?;
    }
    Ok(())
}

/// The items of a row in lists of lists.
fn nested(row: &Row) -> Json {
    let mut level: Vec<Json> = row.values.iter().map(|value| value.json()).collect();
    for (axis, len) in row.shape.iter().enumerate().rev() {
        let lists: usize = row.shape[..axis].iter().product();
        let mut items = level.into_iter();
        level = (0..lists)
            .map(|_| items.by_ref().take(*len).collect())
            .collect();
    }
    level.into_iter().next().unwrap_or(Json::Null)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_numbers_and_ranges() {
        let span = |text: &str| text.parse::<Span>().map(|span| (span.start, span.end));
        for (text, expected) in [
            ("5", (5, Some(6))),
            ("0..3", (0, Some(3))),
            ("7..", (7, None)),
            ("..7", (0, Some(7))),
            ("3..3", (3, Some(3))),
        ] {
            assert_eq!(span(text), Ok(expected));
        }
        for text in ["", "-1", "3..1", "a..2", "1..=2"] {
            assert!(span(text).is_err(), "{text}");
        }
    }

    #[test]
    fn lists_have_the_shape_of_the_row() {
        let array = |shape: &[usize]| {
            let len: usize = shape.iter().product();
            let numbers = burn_npy_core::ndarray::Array1::from_iter(0..len as i64);
            Array::from(numbers.into_shape_with_order(shape.to_vec()).unwrap())
        };
        for (shape, expected) in [
            (&[2][..], "1"),
            (&[2, 3], "[3,4,5]"),
            (&[2, 2, 2], "[[4,5],[6,7]]"),
            (&[2, 0], "[]"),
            (&[2, 2, 0], "[[],[]]"),
        ] {
            let row = values::read(&array(shape), 1, None).unwrap();
            assert_eq!(nested(&row).to_string(), expected);
        }
    }
}
