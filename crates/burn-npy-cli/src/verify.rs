//! `burn-npy verify`: reads everything, and says what is wrong.

mod duplicates;

use std::cmp::Ordering;
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
/// Exit codes: 0 if all is right, 1 if there are findings, 2 if a file cannot be read or compared.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Files, or arrays of archives
    #[arg(required = true, value_name = "FILE[:ARRAY]")]
    files: Vec<PathBuf>,
    /// Find NaN, infinities, and times that are NaT
    #[arg(long)]
    finite: bool,
    /// Find numbers outside a range, such as 0..10 or 0..=9 for labels; NaN is outside of each, and
    /// text or times are an error, since they cannot be compared
    #[arg(long, value_name = "A..B", allow_hyphen_values = true)]
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

/// A range of numbers, as the user wrote it.
#[derive(Clone, Debug)]
struct Range {
    text: String,
    start: Bound,
    end: Bound,
    /// Whether the end belongs to it.
    closed: bool,
}

/// An end of a range.
#[derive(Clone, Copy, Debug)]
struct Bound {
    number: f64,
    /// The number, if it is an integer, also of more digits than `number` has.
    whole: Option<i128>,
}

/// Above it, `f64` may be outside the range of `i128`.
const LARGEST: f64 = 1e38;

impl Bound {
    fn parse(text: &str, absent: f64) -> Result<Self, String> {
        let number: f64 = match text.trim() {
            "" => absent,
            text => text.parse().map_err(|error| format!("{text}: {error}"))?,
        };
        let is_whole = number.fract() == 0.0 && number.abs() < LARGEST;
        let whole = text.trim().parse().ok();
        let whole = whole.or_else(|| is_whole.then_some(number as i128));
        Ok(Self { number, whole })
    }

    /// How an integer compares with it.
    fn order(&self, integer: i128) -> Option<Ordering> {
        match self.whole {
            Some(whole) => Some(integer.cmp(&whole)),
            // A number with a fraction is small enough, or it is far from all integers of 64 bits.
            None => (integer as f64).partial_cmp(&self.number),
        }
    }
}

impl Range {
    fn contains(&self, number: f64) -> bool {
        let (start, end) = (self.start.number, self.end.number);
        number >= start && (number < end || self.closed && number == end)
    }

    fn contains_integer(&self, integer: i128) -> bool {
        let starts = self.start.order(integer).is_some_and(Ordering::is_ge);
        starts
            && match self.end.order(integer) {
                Some(Ordering::Less) => true,
                Some(Ordering::Equal) => self.closed,
                _ => false,
            }
    }
}

impl FromStr for Range {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (start, end) = text
            .split_once("..")
            .ok_or("expected A..B, such as 0..10")?;
        let open = end.strip_prefix('=');
        let range = Self {
            text: text.trim().to_owned(),
            start: Bound::parse(start, f64::NEG_INFINITY)?,
            end: Bound::parse(open.unwrap_or(end), f64::INFINITY)?,
            closed: open.is_some() || end.trim().is_empty(),
        };
        let (start, end) = (range.start.number, range.end.number);
        if start.is_nan() || end.is_nan() || start > end {
            return Err("there are no numbers in it".to_owned());
        }
        Ok(range)
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
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
    let mut refused = Vec::new();
    if args.finite || args.range.is_some() {
        for (name, array) in parts(name, &array) {
            match numbers(args, &opened.label(name.as_deref()), &array, findings) {
                // The other fields are looked at all the same.
                Err(failure @ Failure::Message(_)) => refused.push(failure),
                done => done?,
            }
        }
    }
    if args.duplicates {
        duplicates::find(&array, &opened.label(name), findings)?;
    }
    let last = refused.pop();
    for failure in refused {
        failure.report();
    }
    if let Some(failure) = last {
        return Err(failure);
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
    let kind = array.item().kind();
    let is_text = matches!(kind, ItemKind::Bytes | ItemKind::Text(_));
    let is_time = matches!(kind, ItemKind::DateTime(..) | ItemKind::TimeDelta(..));
    if args.range.is_some() && (is_text || is_time) {
        let dtype = table::dtype(array.item());
        return Err(format!("{label}: --range compares numbers, and items are {dtype}").into());
    }
    if is_text {
        return Ok(());
    }
    let scan = Scan::new(array)?;
    let range = args.range.as_ref();
    let infinite = |number: f64| args.finite && !number.is_finite();
    let outside = |range: &Range, number: f64, exact: Option<i128>| match exact {
        Some(integer) => !range.contains_integer(integer),
        None => !range.contains(number),
    };
    let is_wrong = |number: f64, exact: Option<i128>| match is_time {
        // "Not a time" is the least integer.
        true => args.finite && exact == Some(i64::MIN.into()),
        false => infinite(number) || range.is_some_and(|range| outside(range, number, exact)),
    };
    let why = |number: f64, exact: Option<i128>| {
        let shown = match exact {
            _ if is_time => "NaT".to_owned(),
            Some(integer) => integer.to_string(),
            None => table::shortest(number, array.dtype()),
        };
        match range {
            Some(range) if !infinite(number) => format!("{shown}, not in {range}"),
            _ => shown,
        }
    };
    let add = |wrong: &mut Wrong, chunk: &Chunk<'_>| {
        for (at, number) in chunk.numbers.iter().enumerate() {
            let exact = chunk.exact.map(|exact| exact.get(at));
            if !is_wrong(*number, exact) {
                continue;
            }
            wrong.count += 1;
            if wrong.first.len() < args.most {
                let (row, place) = (at / scan.row_len(), at % scan.row_len());
                let index = place_of(&scan.index(chunk.first + row, place));
                wrong
                    .first
                    .push(format!("{index} is {}", why(*number, exact)));
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
        for (text, inside, outside) in [
            ("0..9007199254740993", 1 << 53, (1 << 53) + 1),
            ("0..=9007199254740993", (1 << 53) + 1, (1 << 53) + 2),
            ("9007199254740993..", (1 << 53) + 1, 1 << 53),
            ("..18446744073709551615", u64::MAX - 1, u64::MAX),
            ("0.5..1.5", 1, 0),
            ("..=1e3", 1000, 1001),
            ("..1e300", u64::MAX, u64::MAX),
        ] {
            let range: Range = text.parse().unwrap();
            let contains = |number: u64| range.contains_integer(number.into());
            assert!(contains(inside), "{text}");
            assert!(!contains(outside) || inside == outside, "{text}");
        }
        for text in ["5", "a..b", "3..2", "nan..1"] {
            assert!(text.parse::<Range>().is_err(), "{text}");
        }
    }
}
