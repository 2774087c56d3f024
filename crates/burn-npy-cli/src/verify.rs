//! `burn-npy verify`: reads everything, and says what is wrong.

mod duplicates;

use std::fmt;
use std::io::Write;
use std::path::PathBuf;
use std::str::FromStr;

use burn_npy_core::{Array, ErrorKind, Result, file::ItemKind};

use crate::failure::{Failure, Outcome, Status};
use crate::open::{self, OpenArgs, Opened, Source, parts};
use crate::progress::Progress;
use crate::scan::{Chunk, Scan};
use crate::table;

/// How many bytes are read at a time.
const CHUNK: usize = 1 << 20;

/// Read everything, and say what is wrong: checksums, and what the options ask for
///
/// Each finding is a line that names the array, the row and the element. The checksums of archives
/// are always compared; a .npy file has none, but all of it is read.
///
/// Exit codes: 0 if all is right, 1 if there are findings, 2 if a file cannot be read.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Files, or arrays of archives
    #[arg(required = true, value_name = "FILE[:ARRAY]")]
    files: Vec<PathBuf>,
    /// Find NaN, infinities, and times that are NaT
    #[arg(long)]
    finite: bool,
    /// Find numbers outside a range, such as 0..10 or 0..=9 for labels; NaN is outside of each
    #[arg(long, value_name = "A..B")]
    range: Option<Range>,
    /// Find rows of the same bytes; it takes 16 bytes of memory a row
    #[arg(long)]
    duplicates: bool,
    /// List so many findings of a kind for each array
    #[arg(long, value_name = "N", default_value_t = 10)]
    most: usize,
    /// Print nothing about files without findings
    #[arg(long, short)]
    quiet: bool,
    #[command(flatten)]
    open: OpenArgs,
}

/// A range of numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Range {
    start: f64,
    end: f64,
    /// Whether the end belongs to it.
    closed: bool,
}

impl Range {
    fn contains(&self, number: f64) -> bool {
        number >= self.start && (number < self.end || self.closed && number == self.end)
    }
}

impl FromStr for Range {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (start, end) = text
            .split_once("..")
            .ok_or("expected A..B, such as 0..10")?;
        let number = |text: &str, absent: f64| match text.trim() {
            "" => Ok(absent),
            text => text.parse().map_err(|error| format!("{text}: {error}")),
        };
        let open = end.strip_prefix('=');
        let range = Self {
            start: number(start, f64::NEG_INFINITY)?,
            end: number(open.unwrap_or(end), f64::INFINITY)?,
            closed: open.is_some() || end.trim().is_empty(),
        };
        if range.start.is_nan() || range.end.is_nan() || range.start > range.end {
            return Err("there are no numbers in it".to_owned());
        }
        Ok(range)
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |number: f64| match number.is_finite() {
            true => table::shortest(number, None),
            false => String::new(),
        };
        let equals = if self.closed && self.end.is_finite() {
            "="
        } else {
            ""
        };
        write!(f, "{}..{equals}{}", shown(self.start), shown(self.end))
    }
}

/// What is found in an array.
pub(crate) struct Findings<'a> {
    out: &'a mut dyn Write,
    /// How many of a kind are listed.
    most: usize,
    count: u64,
}

impl Findings<'_> {
    /// Prints the first findings of a kind, and how many more there are.
    fn list(&mut self, label: &str, first: &[String], count: u64) -> Outcome<()> {
        self.count += count;
        for finding in first {
            writeln!(self.out, "{label}: {finding}")?;
        }
        let more = count - first.len() as u64;
        if more > 0 {
            writeln!(self.out, "{label}: and {more} more")?;
        }
        Ok(())
    }
}

pub(crate) fn run(args: &Args, out: &mut dyn Write) -> Outcome {
    let mut status = Status::Fine;
    for file in &args.files {
        let found = open::open(file, &args.open, open::options()).map_err(Failure::from);
        match found.and_then(|opened| verify(args, &opened, out)) {
            Ok(found) => status = status.max(found),
            Err(Failure::Closed) => return Err(Failure::Closed),
            Err(failure) => status = failure.report(),
        }
    }
    Ok(status)
}

fn verify(args: &Args, opened: &Opened, out: &mut dyn Write) -> Outcome {
    let mut status = Status::Fine;
    let (mut arrays, mut bytes) = (0_usize, 0);
    for name in opened.names() {
        let mut findings = Findings {
            out,
            most: args.most,
            count: 0,
        };
        let found = match verify_array(args, opened, name.as_deref(), &mut findings) {
            Ok(nbytes) => {
                arrays += 1;
                bytes += nbytes;
                if findings.count > 0 {
                    Status::Found
                } else {
                    Status::Fine
                }
            }
            Err(Failure::Core(error)) if error.kind() == ErrorKind::Crc => {
                writeln!(out, "{error}")?;
                Status::Found
            }
            Err(Failure::Closed) => return Err(Failure::Closed),
            Err(failure) => failure.report(),
        };
        status = status.max(found);
    }
    if status == Status::Fine && !args.quiet {
        let plural = if arrays == 1 { "" } else { "s" };
        let label = opened.label(opened.target.array.as_deref());
        writeln!(
            out,
            "{label}: ok, {arrays} array{plural}, {}",
            table::bytes(bytes)
        )?;
    }
    Ok(status)
}

/// Reads an array, prints what is found, and returns its size in bytes.
fn verify_array(
    args: &Args,
    opened: &Opened,
    name: Option<&str>,
    findings: &mut Findings<'_>,
) -> Outcome<u64> {
    let looks_inside = args.finite || args.range.is_some() || args.duplicates;
    if let (Source::Archive(npz), Some(name), false) = (&opened.source, name, looks_inside)
        && npz.names().iter().any(|known| known == name)
    {
        // It decodes nothing into memory.
        npz.verify(name)?;
        return Ok(npz.header(name)?.nbytes() as u64);
    }
    let array = opened.array(name)?;
    // Opening an array of an archive has read all of it. A field has only a part of the bytes.
    if let (Source::One(whole), false) = (&opened.source, looks_inside) {
        read(whole)?;
    }
    if args.finite || args.range.is_some() {
        for (name, array) in parts(name, &array) {
            numbers(args, &opened.label(name.as_deref()), &array, findings)?;
        }
    }
    if args.duplicates {
        duplicates::find(&array, &opened.label(name), findings)?;
    }
    Ok(array.nbytes() as u64)
}

/// Reads the bytes of an array, which proves that it can be done.
fn read(array: &Array) -> Result<()> {
    let nbytes = array.nbytes();
    let progress = Progress::new(nbytes as u64);
    let mut chunk = vec![0; CHUNK.min(nbytes)];
    for start in (0..nbytes).step_by(CHUNK) {
        let chunk = &mut chunk[..CHUNK.min(nbytes - start)];
        array.read_bytes(start, chunk)?;
        progress.advance(chunk.len() as u64);
    }
    Ok(())
}

/// The first numbers that are wrong, and how many are.
#[derive(Default)]
struct Wrong {
    first: Vec<String>,
    count: u64,
}

/// Finds numbers that are not finite, or outside of the range.
fn numbers(args: &Args, label: &str, array: &Array, findings: &mut Findings<'_>) -> Outcome<()> {
    let is_time = match array.item().kind() {
        ItemKind::Bytes | ItemKind::Text(_) => return Ok(()),
        ItemKind::DateTime(..) | ItemKind::TimeDelta(..) => true,
        _ => false,
    };
    let scan = Scan::new(array)?;
    let infinite = |number: f64| args.finite && !number.is_finite();
    let outside = |number: f64| args.range.is_some_and(|range| !range.contains(number));
    let is_wrong = |number: f64| match is_time {
        // "Not a time" is the least integer.
        true => args.finite && number == i64::MIN as f64,
        false => infinite(number) || outside(number),
    };
    let shown = |number: f64| table::shortest(number, array.dtype());
    let why = |number: f64| match (is_time, args.range) {
        (true, _) => "NaT".to_owned(),
        (_, Some(range)) if !infinite(number) => format!("{}, not in {range}", shown(number)),
        _ => shown(number),
    };
    let add = |wrong: &mut Wrong, chunk: &Chunk<'_>| {
        for (at, number) in chunk.numbers.iter().enumerate() {
            if !is_wrong(*number) {
                continue;
            }
            wrong.count += 1;
            if wrong.first.len() < args.most {
                let (row, place) = (at / scan.row_len(), at % scan.row_len());
                let index = place_of(&scan.index(chunk.first + row, place));
                wrong.first.push(format!("{index} is {}", why(*number)));
            }
        }
    };
    let merge = |all: &mut Wrong, more: Wrong| {
        all.count += more.count;
        all.first.extend(more.first);
        all.first.truncate(args.most);
    };
    let wrong = scan.fold(&Progress::new(scan.bytes()), Wrong::default, add, merge)?;
    findings.list(label, &wrong.first, wrong.count)
}

/// The place of a number in words: its row, and where it is there.
fn place_of(index: &[usize]) -> String {
    match index {
        [] => "the number".to_owned(),
        [row] => format!("row {row}"),
        [row, element] => format!("row {row}, element {element}"),
        [row, rest @ ..] => format!("row {row}, element {}", table::shape(rest)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_those_of_rust() {
        for (text, inside, outside) in [
            ("0..10", 0.0, 10.0),
            ("0..=9", 9.0, 9.5),
            ("..-1", -1e300, -1.0),
            ("2.5..", f64::INFINITY, 2.0),
            ("0..1", 0.5, f64::NAN),
        ] {
            let range: Range = text.parse().unwrap();
            assert!(range.contains(inside) && !range.contains(outside), "{text}");
            assert_eq!(range.to_string(), text);
        }
        for text in ["5", "a..b", "3..2", "nan..1"] {
            assert!(text.parse::<Range>().is_err(), "{text}");
        }
    }
}
