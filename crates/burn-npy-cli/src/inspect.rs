//! `burn-npy inspect`: what is in files, and what a loader makes of it.

mod arrays;
mod report;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use burn_npy_core::Error;
use burn_npy_core::internal::{listed, literal};

use self::arrays::Facts;
use crate::failure::{Outcome, Status, advised, complain};
use crate::open::{self, OpenArgs, Opened, Source};
use crate::table::{self, Align, Table};

/// How many groups of arrays are listed, at most.
const GROUPS: usize = 5;

/// Show what is in files, and what a loader makes of it
///
/// A table with a line for each array: its dtype, shape, memory layout and size; how many rows a
/// dataset has of it, and their shape; and whether it is read from the mapped file, fetched, or
/// decoded first. Below are warnings, and the calls that open the arrays of archives. It reads
/// headers only.
///
/// With --json, a line for each array or error; arrays are read, for their digests. Then errors in
/// files are a part of the output, and the exit code is 0.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Files, or arrays of archives
    #[arg(required = true, value_name = "FILE[:ARRAY]")]
    files: Vec<PathBuf>,
    /// Print a JSON object a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    open: OpenArgs,
}

pub(crate) fn run(args: &Args, out: &mut dyn Write) -> Outcome {
    if args.json {
        for file in &args.files {
            print_json(file, args, out)?;
        }
        return Ok(Status::Fine);
    }
    let mut status = Status::Fine;
    let mut facts = Vec::new();
    let mut calls = Vec::new();
    for file in &args.files {
        let mut failed = |error: Error| {
            status = Status::Failed;
            complain(&advised(&error.to_string()));
        };
        let options = open::options().skip_checksums(true);
        match open::open(file, &args.open, options) {
            Ok(opened) => {
                let found = arrays::of(&opened, &mut failed);
                calls.extend(calls_that_open(&opened, &found));
                facts.extend(found);
            }
            Err(error) => failed(error),
        }
    }
    if let [_] = args.files[..] {
        // The name of the file is known.
        facts.iter_mut().for_each(Facts::shorten);
    }
    print(&facts, &calls, out)?;
    Ok(status)
}

fn print_json(file: &Path, args: &Args, out: &mut dyn Write) -> Outcome<()> {
    let object = |file: &Path, name: Option<&str>, array| {
        let mut object = report::object(file, name, array);
        let advised = object["message"].as_str().map(advised);
        if let Some(message) = advised {
            object["message"] = message.into();
        }
        object
    };
    match open::open(file, &args.open, open::options().limits(report::limits())) {
        Err(error) => writeln!(out, "{}", object(file, None, Err(error)))?,
        Ok(opened) => {
            for name in opened.names() {
                let array = opened.array(name.as_deref());
                let file = &opened.target.file;
                writeln!(out, "{}", object(file, name.as_deref(), array))?;
            }
        }
    }
    Ok(())
}

fn print(facts: &[Facts], calls: &[String], out: &mut dyn Write) -> Outcome<()> {
    use Align::{Left, Right};
    let mut table = Table::new([
        ("ARRAY", Left),
        ("DTYPE", Left),
        ("SHAPE", Left),
        ("ORDER", Left),
        ("SIZE", Right),
        ("ROWS", Right),
        ("ROW", Left),
        ("READ", Left),
    ]);
    for array in facts {
        let no_rows = || "-".to_owned();
        table.push(vec![
            array.label.clone(),
            array.dtype.clone(),
            table::shape(&array.shape),
            if array.fortran { "F" } else { "C" }.to_owned(),
            table::bytes(array.nbytes),
            array.rows.map_or_else(no_rows, |rows| rows.to_string()),
            array
                .rows
                .map_or_else(no_rows, |_| table::shape(&array.row_shape)),
            array.read.to_owned(),
        ]);
    }
    if !table.is_empty() {
        table.print(out)?;
    }
    let mut notes = facts.iter().flat_map(|array| {
        let notes = array.notes.iter();
        notes.map(|note| format!("{}: {note}", array.label))
    });
    print_block(&mut notes, out)?;
    print_block(&mut calls.iter().cloned(), out)
}

/// Prints lines below an empty one.
fn print_block(lines: &mut dyn Iterator<Item = String>, out: &mut dyn Write) -> Outcome<()> {
    for (index, line) in lines.enumerate() {
        if index == 0 {
            writeln!(out)?;
        }
        writeln!(out, "{line}")?;
    }
    Ok(())
}

/// The calls that open the arrays of an archive, one for each number of rows.
fn calls_that_open(opened: &Opened, facts: &[Facts]) -> Vec<String> {
    if let (Source::One(_), _) | (_, Some(_)) = (&opened.source, &opened.target.array) {
        return Vec::new();
    }
    let mut groups: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
    for array in facts
        .iter()
        .filter(|array| array.is_column && !array.is_field)
    {
        if let Some(rows) = array.rows.filter(|rows| *rows > 0) {
            groups.entry(rows).or_default().push(&array.name);
        }
    }
    let path = literal(&open::text(&opened.target.file));
    let mut calls: Vec<_> = groups
        .iter()
        .rev()
        .take(GROUPS)
        .map(|(rows, names)| {
            // It opens all arrays or none.
            if names.len() == opened.names().len() {
                return format!("NpyDataset::open({path})?  // {rows} rows");
            }
            let names = listed(names, |name| literal(name));
            format!("NpyDataset::from_npz({path}, [{names}])?  // {rows} rows")
        })
        .collect();
    if groups.len() > GROUPS {
        calls.push(format!(
            "and {} more numbers of rows",
            groups.len() - GROUPS
        ));
    }
    calls
}
