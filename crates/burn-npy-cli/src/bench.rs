//! `burn-npy bench`: how many rows a second a loader may get.

mod advice;
mod measure;
mod show;

use std::io::Write;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use burn_npy_core::Array;
use burn_npy_core::file::{ByteOrder, Column};
use burn_npy_core::internal::{advise, is_stored};

use self::advice::{Facts, advice};
use self::measure::{Copies, Limit, Pass, disk_bytes, forget, median};
use self::show::{Cold, Described, Report};
use crate::failure::{Outcome, Status};
use crate::open::{self, OpenArgs, Opened, Source, Target, parts};
use crate::table;

/// Each rate is the median of so many rounds.
const ROUNDS: usize = 5;
/// The same for rounds that begin with a file that is not in memory.
const COLD_ROUNDS: usize = 3;
/// The part of the time in which rows are read for the first time.
const FIRST: f64 = 0.25;

const EXAMPLES: &str = "\
Examples:
  burn-npy bench mnist.npz --array train_images,train_labels --batch 128
  burn-npy bench large.npy --batch 64 --seconds 20 --cold";

/// Measure how many rows a second come in a shuffled order, and say what bounds it
///
/// It is what a loader does without its tensors: threads gather the batches of a shuffled epoch
/// into memory, and hand them over to another thread. With 0 threads there is one thread in all.
/// The plain copy copies the same rows in the same order within memory, without a file and without
/// checks. It takes memory for the rows, up to 1 GiB of them; all rates are of these rows.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// A file, or an array of an archive
    #[arg(value_name = "FILE[:ARRAY]")]
    file: PathBuf,
    /// Arrays of an archive [default: those with the most rows]
    #[arg(long, value_name = "ARRAY,...", value_delimiter = ',')]
    array: Vec<String>,
    /// How many rows a batch has
    #[arg(long, value_name = "N", default_value_t = 256)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    batch: u32,
    /// How long it takes, apart from the time to open the file
    #[arg(long, value_name = "S", default_value_t = 3.0, value_parser = seconds)]
    seconds: f64,
    /// Measure also while the file is read from the disk: before each round, at most an epoch of
    /// all rows, Linux forgets the file, unless another program uses it
    #[arg(long)]
    cold: bool,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    open: OpenArgs,
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok();
    let seconds = seconds.filter(|seconds| (0.05..=3600.0).contains(seconds));
    seconds.ok_or_else(|| "expected seconds, from 0.05 to 3600".to_owned())
}

/// What is measured.
struct Subject {
    opened: Opened,
    /// The names of the arrays.
    names: Vec<Option<String>>,
    /// The arrays, or their fields.
    arrays: Vec<(Option<String>, Array)>,
    columns: Vec<Column>,
    /// How long it took to open the file, with what is decoded.
    open_seconds: f64,
}

pub(crate) fn run(args: &Args, out: &mut dyn Write) -> Outcome {
    let most = thread::available_parallelism().map_or(1, usize::from);
    // The system forgets nothing of a file that is open and mapped.
    let (mut report, mut facts) = warm(args, most)?;
    if args.cold {
        let cold = cold(args, most)?;
        facts.cold = Some((cold.rates.clone(), cold.disk_bytes));
        report.cold = Some(cold);
    }
    report.advice = advice(&facts);
    match args.json {
        true => writeln!(out, "{}", report.json())?,
        false => report.print(out)?,
    }
    Ok(Status::Fine)
}

/// How long each of the two measurements takes.
fn time(args: &Args) -> Duration {
    let share = if args.cold { 0.5 } else { 1.0 };
    Duration::from_secs_f64(args.seconds * share)
}

/// Measures while the rows are in memory.
fn warm(args: &Args, most: usize) -> Outcome<(Report, Facts)> {
    let subject = subject(args)?;
    let rows = subject.columns[0].rows();
    let row_bytes: usize = subject.columns.iter().map(Column::row_bytes).sum();
    if rows == 0 || row_bytes == 0 {
        return Err(format!("{}: there are no rows to read", subject.opened.label(None)).into());
    }
    let start = Instant::now();
    let copies = Copies::read(&subject.columns, start + time(args).mul_f64(FIRST))?;
    let batch = args.batch as usize;
    let pass = Pass::new(&subject.columns, copies.rows(), batch);
    let counts = thread_counts(most);
    let rounds = (ROUNDS * (counts.len() + 1)) as u32;
    let limit = Limit {
        time: time(args).saturating_sub(start.elapsed()) / rounds,
        rows: usize::MAX,
    };
    let mut rates = vec![Vec::new(); counts.len() + 1];
    let mut places = vec![0; counts.len() + 1];
    for _ in 0..ROUNDS {
        rates[0].push(copies.round(&pass, &mut places[0], limit)?);
        for (which, threads) in counts.iter().enumerate() {
            let place = &mut places[which + 1];
            rates[which + 1].push(pass.round(*threads, place, limit)?);
        }
    }
    let mut medians = rates.into_iter().map(median);
    let copy = medians.next().unwrap_or(0.0);
    let warm: Vec<_> = counts.into_iter().zip(medians).collect();
    let facts = Facts {
        row_bytes,
        batch: batch.min(rows),
        scattered: subject.columns.iter().any(Column::is_scattered),
        swapped: subject.arrays.iter().any(|(_, array)| is_swapped(array)),
        decoded: is_decoded(&subject),
        open_seconds: subject.open_seconds,
        copy,
        warm: warm.clone(),
        cold: None,
    };
    let described = subject.arrays.iter().map(|(name, array)| Described {
        name: name.clone(),
        dtype: table::dtype(array.item()),
        shape: array.shape().to_vec(),
    });
    let report = Report {
        file: subject.opened.label(None),
        arrays: described.collect(),
        rows,
        measured: copies.rows(),
        row_bytes,
        batch,
        open_seconds: subject.open_seconds,
        copy,
        warm,
        ..Report::default()
    };
    Ok((report, facts))
}

/// 0, 1, 2, 4 and so on, and the number of cores.
fn thread_counts(most: usize) -> Vec<usize> {
    let powers = (0..usize::BITS).map(|power| 1 << power);
    let mut counts = vec![0];
    counts.extend(powers.take_while(|count| *count < most));
    counts.push(most);
    counts
}

/// Opens the file, and the arrays that are meant.
fn subject(args: &Args) -> Outcome<Subject> {
    let start = Instant::now();
    let options = open::options().skip_checksums(true);
    let opened = open::open(&args.file, &args.open, options)?;
    let names = match (&args.array[..], &opened.target.array) {
        ([], None) => with_most_rows(&opened)?,
        ([], Some(_)) => opened.names(),
        (_, Some(_)) => return Err("--array has no meaning with FILE:ARRAY".to_owned().into()),
        (named, None) => named.iter().cloned().map(Some).collect(),
    };
    let mut arrays = Vec::new();
    for name in &names {
        let array = opened.array(name.as_deref())?;
        arrays.extend(parts(name.as_deref(), &array));
    }
    let columns = arrays.iter().map(|(_, array)| Column::new(array.clone()));
    let columns = columns.collect::<burn_npy_core::Result<Vec<_>>>()?;
    let Some((first, others)) = columns.split_first() else {
        return Err(format!("{}: there are no arrays", opened.label(None)).into());
    };
    if let Some(at) = others.iter().position(|other| other.rows() != first.rows()) {
        let [a, b] = [0, at + 1].map(|at| opened.label(arrays[at].0.as_deref()));
        let (many, other) = (first.rows(), others[at].rows());
        return Err(format!("{a} has {many} rows, and {b} has {other}").into());
    }
    columns.iter().for_each(|column| {
        advise(column, true);
    });
    let open_seconds = start.elapsed().as_secs_f64();
    Ok(Subject {
        opened,
        names,
        arrays,
        columns,
        open_seconds,
    })
}

/// The arrays of an archive with the most rows, or the array of a file with one.
fn with_most_rows(opened: &Opened) -> Outcome<Vec<Option<String>>> {
    let Source::Archive(npz) = &opened.source else {
        return Ok(opened.names());
    };
    let mut known = Vec::new();
    for name in npz.names() {
        let header = npz.header(name)?;
        known.extend(header.shape().first().map(|rows| (*rows, name.clone())));
    }
    let most = known.iter().map(|(rows, _)| *rows).max();
    let found = known.into_iter().filter(|(rows, _)| Some(*rows) == most);
    Ok(found.map(|(_, name)| Some(name)).collect())
}

/// Measures while the file is read from the disk.
fn cold(args: &Args, most: usize) -> Outcome<Cold> {
    let counts = [0, most];
    let time = time(args);
    let slice = time / (COLD_ROUNDS * counts.len()) as u32;
    let start = Instant::now();
    let (mut open_seconds, mut rates) = (Vec::new(), vec![Vec::new(); counts.len()]);
    let before = disk_bytes();
    for round in 0..COLD_ROUNDS {
        // To open a file may take long.
        if round > 0 && start.elapsed() > time {
            break;
        }
        for (threads, rates) in counts.iter().zip(&mut rates) {
            forget(&Target::new(&args.file).file)?;
            let subject = subject(args)?;
            open_seconds.push(subject.open_seconds);
            let rows = subject.columns[0].rows();
            let pass = Pass::new(&subject.columns, rows, args.batch as usize);
            // A second epoch would come from memory.
            let limit = Limit { time: slice, rows };
            rates.push(pass.round(*threads, &mut 0, limit)?);
        }
    }
    let read = before.zip(disk_bytes());
    Ok(Cold {
        open_seconds: median(open_seconds),
        rates: counts
            .into_iter()
            .zip(rates.into_iter().map(median))
            .collect(),
        disk_bytes: read.map(|(before, after)| after.saturating_sub(before)),
    })
}

fn is_swapped(array: &Array) -> bool {
    let is_wide = array.dtype().is_some_and(|dtype| dtype.size() > 1);
    is_wide && array.byte_order() != ByteOrder::NATIVE
}

/// Whether an array is compressed.
fn is_decoded(subject: &Subject) -> bool {
    let Source::Archive(npz) = &subject.opened.source else {
        return false;
    };
    let mut names = subject.names.iter().flatten();
    names.any(|name| !is_stored(npz, name).unwrap_or(true))
}
