//! `burn-npy convert`: writes arrays anew, in another file format, dtype, layout or order.

mod finite;
mod idx;
mod images;
mod plan;
mod pump;
mod rows;
mod source;
mod text;
mod write;

use std::fs;
use std::io::Write;
use std::num::NonZero;
use std::path::{Path, PathBuf};

use burn_npy_core::internal::shown_path;
use burn_npy_core::{DType, Error, file::Access};

use self::images::Size;
use self::plan::RowRange;
use self::rows::Cast;
use self::write::{Output, Tables};
use crate::failure::{Outcome, Status};
use crate::open::OpenArgs;
use crate::progress::Progress;
use crate::save::Folders;
use crate::{save, table};

/// How many files get their names together, when all are complete. They are open until then, and
/// some systems let a process have 256 open files.
const TOGETHER: usize = 100;

/// Output of more bytes is compared with its source only if the user asks for it.
const COMPARED: u64 = 256 << 20;

/// Write arrays anew: as .npy files or an aligned .npz file, in C layout, in another dtype or order
///
/// IN is a .npy, .npz, IDX or CSV file, FILE:ARRAY, or a folder of IDX files, images or .npy files.
/// OUT is a .npy file, a .npz file, or a folder, with a .npy file for each array. A .npy file has
/// the rows of all inputs, one after the other.
///
/// All arrays are written in C layout and the byte order of the machine, and those of archives
/// stored and aligned, so that a loader can map them. Up to 100 files get their names together,
/// when all are complete; if one cannot be written, nothing is left of them.
#[derive(Debug, clap::Args)]
#[command(override_usage = "burn-npy convert [OPTIONS] <IN>... <OUT>", after_help = EXAMPLES)]
pub(crate) struct Args {
    /// What to read: FILE, FILE:ARRAY or a folder, any number of them; then what to write
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// Replace files that are there, and remove shards of the same name but another number
    #[arg(long)]
    force: bool,
    /// Read what was written and compare it with the source [default: up to 256 MiB]
    #[arg(long)]
    verify: bool,

    /// Cast to a dtype; a number outside its range, or a fraction in an integer, is an error
    #[arg(long = "dtype", value_name = "DTYPE", value_parser = dtype, help_heading = "Numbers")]
    cast_to: Option<DType>,
    /// With --dtype: a number outside the range of an integer becomes the end of the range, and
    /// one outside the range of a float infinity
    #[arg(long, requires = "cast_to", help_heading = "Numbers")]
    saturate: bool,
    /// With --dtype: round fractions, halves to the even number
    #[arg(long, requires = "cast_to", help_heading = "Numbers")]
    round: bool,

    /// Take only these rows, such as 0..1000 or 1000..
    #[arg(long, value_name = "A..B", help_heading = "Rows")]
    rows: Option<RowRange>,
    /// Write the rows in the order of the first epoch of Sampler::shuffled(SEED); arrays with as
    /// many rows get the same order
    #[arg(long, value_name = "SEED", help_heading = "Rows")]
    shuffle: Option<u64>,
    /// Divide the rows into N files, such as train-00000-of-00010.npy
    #[arg(
        long,
        value_name = "N",
        help_heading = "Rows",
        conflicts_with = "rows_per_shard"
    )]
    shards: Option<NonZero<usize>>,
    /// Divide the rows into files of N rows, the last of which may have fewer
    #[arg(long, value_name = "N", help_heading = "Rows")]
    rows_per_shard: Option<NonZero<usize>>,

    /// CSV: take only these columns, by name or by number from 1 on; one alone makes one axis
    #[arg(
        long,
        value_name = "NAME,...",
        value_delimiter = ',',
        help_heading = "Text and images"
    )]
    columns: Option<Vec<String>>,
    /// Images: bring all to one size
    #[arg(long, value_name = "WxH", help_heading = "Text and images")]
    size: Option<Size>,
    /// Images: one channel, also of coloured ones
    #[arg(long, help_heading = "Text and images")]
    grey: bool,

    #[command(flatten)]
    open: OpenArgs,
}

const EXAMPLES: &str = "\
Examples:
  burn-npy convert train.npz train/              each array as a .npy file
  burn-npy convert x.npy y.npy train.npz         an archive that can be mapped
  burn-npy convert train/ train.npz              the .npy files of a folder, by their names
  burn-npy convert train.npz:x x.npy             one array
  burn-npy convert --dtype float32 x.npy x32.npy
  burn-npy convert --shuffle 1 --shards 10 x.npy y.npy train/
  burn-npy convert monday.npy tuesday.npy days.npy
  burn-npy convert train-images-idx3-ubyte.gz train-labels-idx1-ubyte.gz mnist/
  burn-npy convert --columns age,height people.csv people.npy
  burn-npy convert --size 32x32 photos/ photos.npz

A CSV file may have a line of names. Its array is int64 if all numbers are integers, and float64
otherwise; it is held in memory. A folder of images has .png or .jpg files, or a folder of these for
each class: then there are the arrays `images` and `labels`, where the label is the place of the
class among the sorted names. 16-bit images become 8-bit ones, and transparency is left out.";

fn dtype(name: &str) -> Result<DType, String> {
    let short = match name {
        "f16" => "float16",
        "f32" => "float32",
        "f64" => "float64",
        "bf16" => "bfloat16",
        "i8" => "int8",
        "i16" => "int16",
        "i32" => "int32",
        "i64" => "int64",
        "u8" => "uint8",
        "u16" => "uint16",
        "u32" => "uint32",
        "u64" => "uint64",
        name => name,
    };
    short.parse().map_err(|error: Error| error.to_string())
}

impl Args {
    fn inputs(&self) -> &[PathBuf] {
        self.paths.split_last().map_or(&[], |(_, inputs)| inputs)
    }

    fn out(&self) -> &Path {
        self.paths.last().map_or(Path::new(""), PathBuf::as_path)
    }

    fn cast(&self) -> Option<Cast> {
        self.cast_to.map(|dtype| Cast {
            dtype,
            saturates: self.saturate,
            rounds: self.round,
        })
    }
}

pub(crate) fn run(args: &Args, out: &mut dyn Write) -> Outcome {
    if args.inputs().is_empty() {
        let message =
            "expected what to read, and then what to write; try `burn-npy convert --help`";
        return Err(message.to_owned().into());
    }
    // Pages of a map count as memory, and a read for each row of a shuffle takes long.
    let access = match args.shuffle {
        None => Access::Positioned,
        Some(_) => Access::Mapped,
    };
    let tables = plan::tables(args, source::open(args, access)?)?;
    let outputs = plan::outputs(args, &tables)?;
    if let Some(output) = outputs
        .iter()
        .find(|output| output.path.exists() && !args.force)
    {
        let path = shown_path(&output.path);
        return Err(format!("{path}: the file exists; --force replaces it").into());
    }
    let others = plan::other_shards(args, &outputs)?;
    let parts = outputs.iter().flat_map(|output| &output.arrays);
    let bytes: u64 = parts.map(|part| tables.bytes(part)).sum();
    // Read in another way than what is written, if that does not take more memory.
    let other = match args.shuffle {
        None if bytes <= COMPARED => Access::Mapped,
        _ => Access::Positioned,
    };
    let compared = match args.verify || bytes <= COMPARED {
        true => Some(plan::tables(args, source::open(args, other)?)?),
        false => None,
    };
    let passes = 1 + u64::from(compared.is_some());
    let progress = Progress::new(bytes * passes);
    let mut folders = Folders::default();
    for outputs in outputs.chunks(TOGETHER) {
        let mut files = Vec::new();
        for output in outputs {
            folders.make(&output.path)?;
            files.push(write::write(output, &tables, compared.as_ref(), &progress)?);
        }
        for (output, file) in outputs.iter().zip(files) {
            save::name(file, &output.path, args.force)?;
            print(output, &tables, out)?;
        }
    }
    for other in others {
        fs::remove_file(&other).map_err(|error| format!("{}: {error}", shown_path(&other)))?;
    }
    Ok(Status::Fine)
}

fn print(output: &Output, tables: &Tables, out: &mut dyn Write) -> Outcome<()> {
    for part in &output.arrays {
        let Some(table) = tables.tables.get(part.table) else {
            continue;
        };
        let mut path = shown_path(&output.path);
        if output.is_archive {
            path = format!("{path}:{}", burn_npy_core::internal::shown(&table.name));
        }
        let shape = table::shape(&tables.shape(part));
        writeln!(out, "{} -> {path} {} {shape}", table.label, table.dtype)?;
    }
    Ok(())
}
