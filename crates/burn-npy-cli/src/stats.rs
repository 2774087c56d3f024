//! `burn-npy stats`: statistics of the numbers of arrays.

mod histogram;
mod show;
mod state;

use std::io::Write;
use std::path::PathBuf;

use burn_npy_core::{
    Array, DType, Error, ErrorKind, Result, Stats,
    file::{ItemKind, ItemType},
};
use serde_json::json;

use self::state::State;
use crate::failure::{Outcome, Status, advised, complain};
use crate::open::{self, OpenArgs, Opened, parts};
use crate::scan::Scan;

/// Show statistics of the numbers: least, greatest, mean, standard deviation, NaN and infinities
///
/// Each array is read once, on all cores. The least and the greatest number are exact. NaN and
/// infinities are counted and left out of everything else. The standard deviation is that of the
/// population, as NumPy's std. For one array, the counts of up to 32 different integers are shown
/// too, or a histogram. The real and the imaginary parts of complex numbers are numbers of their
/// own; --axis -1 tells them apart.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Files, or arrays of archives
    #[arg(required = true, value_name = "FILE[:ARRAY]")]
    files: Vec<PathBuf>,
    /// Show a line for each index along an axis of the array, as NumPy counts axes: 1 or -1 for the
    /// columns of a table
    #[arg(long, allow_negative_numbers = true)]
    axis: Option<isize>,
    /// The bins of the histogram, which is shown for several arrays too then [default: 20]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    #[arg(conflicts_with = "axis")]
    bins: Option<u16>,
    /// Print a JSON object a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    open: OpenArgs,
}

/// An array and what was found.
#[derive(Debug)]
struct Found {
    label: String,
    item: ItemType,
    /// The dtype of the numbers.
    dtype: Option<DType>,
    what: What,
}

impl Found {
    /// Whether each item is two numbers, which are counted by themselves.
    fn is_complex(&self) -> bool {
        matches!(self.item.kind(), ItemKind::Complex(..))
    }

    /// Whether the numbers are integers.
    fn is_whole(&self) -> bool {
        self.dtype.is_some_and(|dtype| !dtype.is_float())
    }
}

#[derive(Debug)]
enum What {
    /// Text, bytes and times have no statistics.
    Nothing,
    All(Box<State>),
    Channels(Vec<Stats>),
}

pub(crate) fn run(args: &Args, out: &mut dyn Write) -> Outcome {
    let mut status = Status::Fine;
    let mut all = Vec::new();
    let mut failed = |error: Error| {
        status = Status::Failed;
        complain(&advised(&error.to_string()));
    };
    for file in &args.files {
        let opened = match open::open(file, &args.open, open::options()) {
            Ok(opened) => opened,
            Err(error) => {
                failed(error);
                continue;
            }
        };
        for name in opened.names() {
            let array = match opened.array(name.as_deref()) {
                Ok(array) => array,
                Err(error) => {
                    failed(error);
                    continue;
                }
            };
            for (name, array) in parts(name.as_deref(), &array) {
                match found(args, &opened, name.as_deref(), &array) {
                    Err(error) => failed(error),
                    Ok(found) if args.json => {
                        let mut object = json!({
                            "file": open::text(&opened.target.file),
                            "member": name,
                            "shape": array.shape(),
                        });
                        show::add_json(&mut object, &found, args.bins);
                        writeln!(out, "{object}")?;
                    }
                    Ok(found) => all.push(found),
                }
            }
        }
    }
    show::print(&all, args.bins, out)?;
    Ok(status)
}

fn found(args: &Args, opened: &Opened, name: Option<&str>, array: &Array) -> Result<Found> {
    let what = match (array.item().kind(), array.dtype()) {
        (ItemKind::Bytes | ItemKind::Text(_), _) => What::Nothing,
        (ItemKind::DateTime(..) | ItemKind::TimeDelta(..), _) => What::Nothing,
        (_, dtype) => {
            let scan = Scan::new(array)?;
            match (args.axis, dtype) {
                (Some(axis), _) => {
                    let (axis, count) = channels(array, axis)?;
                    What::Channels(state::of_channels(&scan, axis, count)?)
                }
                (None, Some(dtype)) => What::All(state::of(&scan, dtype)?.into()),
                (None, None) => What::Nothing,
            }
        }
    };
    Ok(Found {
        label: opened.label(name),
        item: array.item().clone(),
        dtype: array.dtype(),
        what,
    })
}

/// An axis, counted from the start, and its length.
fn channels(array: &Array, axis: isize) -> Result<(usize, usize)> {
    let mut shape = array.shape().to_vec();
    shape.extend(array.number_axis());
    let from_start = match axis {
        0.. => Some(axis.unsigned_abs()),
        _ => shape.len().checked_sub(axis.unsigned_abs()),
    };
    let found = from_start.and_then(|axis| shape.get(axis).map(|len| (axis, *len)));
    found.ok_or_else(|| {
        let message = format!("no axis {axis} in an array of shape {shape:?}");
        open::locate(array, Error::new(ErrorKind::Shape, message))
    })
}
