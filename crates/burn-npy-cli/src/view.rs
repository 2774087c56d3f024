//! `burn-npy view`: rows as a picture.

mod images;
mod picture;
mod plot;
mod series;

use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use burn_npy_core::file::{Column, ItemKind};
use burn_npy_core::internal::{io_error, shown, shown_path};
use burn_npy_core::{Array, Error, ErrorKind, Result, Sampler};

use self::images::{Form, Style};
use self::plot::Plot;
use self::series::Source;
use crate::failure::{Failure, Outcome, Status};
use crate::open::{self, OpenArgs, locate, parts};
use crate::progress::Progress;
use crate::{save, table, values};

/// How many images are shown unless the user says which.
const IMAGES: usize = 64;

const EXAMPLES: &str = "\
Examples:
  burn-npy view mnist.npz:train_images -o digits.png --labels mnist.npz:train_labels
  burn-npy view cifar.npy -o cifar.png --shape 3x32x32 --random 40 --seed 1
  burn-npy view prices.npy -o prices.svg --columns-of 0,3 --rows 0..100000";

/// Draw rows: images side by side with their labels, or a plot of numbers
///
/// Rows of shape (height, width), (height, width, 3) or (3, height, width) are images. Those of
/// uint8 are drawn as they are. Of all others the least number is black, the greatest white, and
/// NaN red.
///
/// Rows that are numbers, or lists of numbers, become a plot with a line for each column. Where
/// there are more rows than pixels, each step of a line shows its least and its greatest number.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// A file, or an array of an archive
    #[arg(value_name = "FILE[:ARRAY]")]
    file: PathBuf,
    /// The picture: a .png file, or for a plot a .png or .svg file
    #[arg(short, long, value_name = "FILE")]
    out: PathBuf,
    /// Replace a file that is there
    #[arg(long)]
    force: bool,
    /// Draw rows A to B, without B [default: the first 64 images, or all rows of a plot]
    #[arg(long, value_name = "A..B", value_parser = rows)]
    rows: Option<(usize, Option<usize>)>,

    /// Draw N rows in a random order, none twice
    #[arg(
        long,
        value_name = "N",
        conflicts_with = "rows",
        help_heading = "Images"
    )]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    random: Option<u64>,
    /// With --random: other rows for each seed [default: 0]
    #[arg(long, value_name = "S", requires = "random", help_heading = "Images")]
    seed: Option<u64>,
    /// Write the labels of the rows below them [default: the numbers of the rows]
    #[arg(long, value_name = "FILE[:ARRAY]", help_heading = "Images")]
    labels: Option<PathBuf>,
    /// Take rows of another shape for images, such as 28x28, 32x32x3 or 3x32x32
    #[arg(long, value_name = "SHAPE", value_parser = shape, help_heading = "Images")]
    shape: Option<Shape>,
    /// How many images are side by side [default: 8]
    #[arg(long, value_name = "N", help_heading = "Images")]
    columns: Option<usize>,
    /// Draw each pixel K times in both directions [default: so that an image has 56]
    #[arg(long, value_name = "K", help_heading = "Images")]
    scale: Option<usize>,
    /// The numbers that are black and white
    #[arg(long, value_name = "A..B", value_parser = range, help_heading = "Images")]
    #[arg(allow_hyphen_values = true)]
    range: Option<(f64, f64)>,

    /// Draw these numbers of each row, counted from 0, or these fields [default: the first 8]
    #[arg(
        long,
        value_name = "COLUMN,...",
        value_delimiter = ',',
        help_heading = "Plots"
    )]
    columns_of: Option<Vec<String>>,

    #[command(flatten)]
    open: OpenArgs,
}

/// The lengths of the axes of an image.
#[derive(Clone, Debug)]
struct Shape(Vec<usize>);

fn rows(text: &str) -> Result<(usize, Option<usize>), String> {
    let (start, end) = text
        .split_once("..")
        .ok_or("expected A..B, such as 0..64")?;
    let number = |text: &str| match text.trim() {
        "" => Ok(None),
        text => text
            .parse()
            .map(Some)
            .map_err(|error| format!("{text}: {error}")),
    };
    Ok((number(start)?.unwrap_or(0), number(end)?))
}

fn shape(text: &str) -> Result<Shape, String> {
    let axes = text.split('x').map(|axis| axis.parse().ok());
    let axes = axes.collect::<Option<Vec<usize>>>();
    let axes = axes.filter(|axes| Form::of(axes).is_some());
    axes.map(Shape)
        .ok_or_else(|| "expected 28x28, 32x32x3 or 3x32x32".to_owned())
}

fn range(text: &str) -> Result<(f64, f64), String> {
    let ends = text.split_once("..");
    let ends = ends.and_then(|(low, high)| Some((low.parse().ok()?, high.parse().ok()?)));
    let ends = ends.filter(|(low, high): &(f64, f64)| low < high && (high - low).is_finite());
    ends.ok_or_else(|| "expected two numbers, such as 0..1".to_owned())
}

pub(crate) fn run(args: &Args, out: &mut dyn Write) -> Outcome {
    let extension = args.out.extension().and_then(|text| text.to_str());
    let is_svg = match extension.map(str::to_ascii_lowercase).as_deref() {
        Some("png") => false,
        Some("svg") => true,
        _ => {
            return Err(
                format!("{}: the name ends with .png or .svg", shown_path(&args.out)).into(),
            );
        }
    };
    if !args.force && args.out.symlink_metadata().is_ok() {
        let file = shown_path(&args.out);
        return Err(format!("{file}: there is such a file; --force replaces it").into());
    }
    let (label, array) = one(&args.file, &args.open)?;
    match form(args, &array)? {
        Some(_) if is_svg => {
            let file = shown_path(&args.out);
            Err(format!("{file}: images make a .png file; .svg is for plots").into())
        }
        Some((form, column)) => draw_images(args, &array, column, form, out),
        None => draw_plot(args, &label, &array, is_svg, out),
    }
}

/// The array that is meant, with what it is called.
fn one(file: &Path, args: &OpenArgs) -> Outcome<(String, Array)> {
    let opened = open::open(file, args, open::options().skip_checksums(true))?;
    match &opened.names()[..] {
        [name] => Ok((
            opened.label(name.as_deref()),
            opened.array(name.as_deref())?,
        )),
        [Some(first), ..] => {
            let (file, first) = (opened.label(None), opened.label(Some(first)));
            Err(format!("{file}: there are several arrays; name one, such as {first}").into())
        }
        _ => Err(format!("{}: there are no arrays", opened.label(None)).into()),
    }
}

/// How the rows are images; `None` if they are for a plot.
fn form(args: &Args, array: &Array) -> Outcome<Option<(Form, Column)>> {
    let refuse = |kind, why: String| Err(locate(array, Error::new(kind, why)).into());
    if !array.item().fields().is_empty() {
        return Ok(None);
    }
    if !matches!(
        array.item().kind(),
        ItemKind::Number(..) | ItemKind::Opaque(_)
    ) {
        let dtype = table::dtype(array.item());
        return refuse(
            ErrorKind::Dtype,
            format!("items of {dtype} cannot be drawn"),
        );
    }
    let column = Column::new(array.clone())?;
    if let Some(Shape(axes)) = &args.shape {
        let form = Form::of(axes);
        return Ok(form.zip(Some(column.reshape(axes)?)));
    }
    match (Form::of(column.row_shape()), column.row_shape()) {
        (Some(form), _) => Ok(Some((form, column))),
        (None, [] | [_]) => Ok(None),
        (None, other) => refuse(
            ErrorKind::Shape,
            format!(
                "rows of shape {} are neither images nor lists of numbers; --shape says how they \
                 are images",
                table::shape(other)
            ),
        ),
    }
}

fn draw_images(
    args: &Args,
    array: &Array,
    column: Column,
    form: Form,
    out: &mut dyn Write,
) -> Outcome {
    refuse(&[("columns-of", args.columns_of.is_some())], "images")?;
    let rows = match args.random {
        Some(count) => {
            let order = Sampler::shuffled(args.seed.unwrap_or(0)).order(column.rows() as u64, 0);
            let rows = order.rows(0..count.min(order.len()));
            rows.map(|row| row as usize).collect()
        }
        None => {
            let most = args.rows.map_or(IMAGES, |_| usize::MAX);
            chosen(args, array)?.take(most).collect::<Vec<_>>()
        }
    };
    let captions = captions(args, array, &rows)?;
    let style = Style {
        columns: args.columns.unwrap_or(8),
        scale: args.scale,
        range: args.range,
        has_labels: args.labels.is_some(),
    };
    let picture = images::sheet(array, column, form, &rows, &captions, &style)?;
    save(args, &mut |file| picture.write(file))?;
    let (width, height) = (picture.width(), picture.height());
    let file = shown_path(&args.out);
    writeln!(
        out,
        "{file}: {} images, {width}x{height} pixels",
        rows.len()
    )?;
    Ok(Status::Fine)
}

/// What is written below the rows.
fn captions(args: &Args, array: &Array, rows: &[usize]) -> Outcome<Vec<String>> {
    let Some(file) = &args.labels else {
        return Ok(rows.iter().map(ToString::to_string).collect());
    };
    // `--raw` and `--as` are for the images.
    let (label, labels) = one(file, &OpenArgs::default())?;
    let [have, want] = [&labels, array].map(|array| array.shape().first().copied());
    if have != want || have.is_none() {
        let (have, want) = (have.unwrap_or(0), want.unwrap_or(0));
        return Err(format!("{label}: {have} labels for {want} rows").into());
    }
    let text = |row: &usize| {
        let values = values::read(&labels, *row, Some(4))?.values;
        let values: Vec<_> = values.iter().map(values::Value::text).collect();
        Ok(values.join(" "))
    };
    rows.iter().map(text).collect()
}

fn draw_plot(
    args: &Args,
    label: &str,
    array: &Array,
    is_svg: bool,
    out: &mut dyn Write,
) -> Outcome {
    let of_images = [
        ("random", args.random.is_some()),
        ("labels", args.labels.is_some()),
        ("shape", args.shape.is_some()),
        ("columns", args.columns.is_some()),
        ("scale", args.scale.is_some()),
        ("range", args.range.is_some()),
    ];
    refuse(&of_images, "a plot")?;
    let rows = chosen(args, array)?;
    let sources = sources(args, array)?;
    let bytes: usize = sources.iter().map(Source::row_bytes).sum();
    let progress = Progress::new((rows.len() as u64).saturating_mul(bytes as u64));
    let mut lines = Vec::new();
    for source in &sources {
        lines.extend(source.read(rows.clone(), plot::STEPS, &progress)?);
    }
    drop(progress);
    if lines.iter().all(|line| line.pieces.is_empty()) {
        let error = Error::new(ErrorKind::Value, "there are no finite numbers to draw");
        return Err(locate(array, error).into());
    }
    let below = match series::rows_of_step(rows.len(), plot::STEPS) {
        1 => "row".to_owned(),
        step => format!("row; the least and the greatest of {step} rows at each step"),
    };
    let plot = Plot::new(label, &below, rows.clone(), &lines);
    match is_svg {
        true => save(args, &mut |file| file.write_all(plot.svg().as_bytes()))?,
        false => save(args, &mut |file| plot.picture().write(file))?,
    }
    let file = shown_path(&args.out);
    let (count, rows) = (lines.len(), rows.len());
    let s = if count == 1 { "" } else { "s" };
    writeln!(out, "{file}: {count} line{s} of {rows} rows")?;
    Ok(Status::Fine)
}

/// Which columns of an array, or which of its fields, are lines.
fn sources(args: &Args, array: &Array) -> Outcome<Vec<Source>> {
    let most = plot::COLORS.len();
    let refuse = |why: String| Failure::from(locate(array, Error::new(ErrorKind::Usage, why)));
    if args
        .columns_of
        .as_ref()
        .is_some_and(|named| named.len() > most)
    {
        return Err(refuse(format!("a plot has at most {most} lines")));
    }
    let parts = parts(None, array);
    if let [(None, _)] = parts[..] {
        let len = array.shape().get(1).copied();
        let Some(len) = len else {
            if args.columns_of.is_some() {
                return Err(refuse("rows that are numbers have no columns".to_owned()));
            }
            return Ok(vec![Source::new(array, vec![(0, String::new())])?]);
        };
        let picks = match &args.columns_of {
            None => (0..len.min(most)).collect(),
            Some(named) => named
                .iter()
                .map(|name| {
                    let place = name.parse().ok().filter(|place| *place < len);
                    place.ok_or_else(|| refuse(format!("no column {name}, there are {len}")))
                })
                .collect::<Outcome<Vec<usize>>>()?,
        };
        let picks = picks
            .into_iter()
            .map(|place| (place, format!("column {place}")));
        return Ok(vec![Source::new(array, picks.collect())?]);
    }
    let is_number = |field: &Array| {
        let is_number = matches!(field.item().kind(), ItemKind::Number(..));
        is_number && field.shape().len() == 1
    };
    let mut found: Vec<_> = parts.iter().filter(|(_, field)| is_number(field)).collect();
    if let Some(named) = &args.columns_of {
        let find = |name: &String| {
            let mut fields = found.iter();
            let field = fields.find(|(field, _)| field.as_ref() == Some(name));
            field.copied().ok_or_else(|| {
                let fields = found.iter().filter_map(|(field, _)| field.as_deref());
                let fields: Vec<_> = fields.map(shown).collect();
                let (name, fields) = (shown(name), fields.join(", "));
                refuse(format!("no field {name} of one number; there are {fields}"))
            })
        };
        found = named.iter().map(find).collect::<Outcome<_>>()?;
    }
    let lines = found.into_iter().take(most).map(|(name, field)| {
        let name = shown(name.as_deref().unwrap_or(""));
        Ok(Source::new(field, vec![(0, name)])?)
    });
    lines.collect()
}

/// The rows that the user names, or all.
fn chosen(args: &Args, array: &Array) -> Result<Range<usize>> {
    let len = array.shape().first().copied().unwrap_or(0);
    let (start, end) = args.rows.unwrap_or((0, None));
    let end = end.unwrap_or(len);
    let why = match () {
        () if array.shape().is_empty() => "an array without axes has no rows".to_owned(),
        () if len == 0 => "there are no rows".to_owned(),
        () if end > len || start >= end => format!("no rows {start}..{end}, there are {len}"),
        () => return Ok(start..end),
    };
    Err(locate(array, Error::new(ErrorKind::Row, why)))
}

fn refuse(given: &[(&str, bool)], what: &str) -> Outcome<()> {
    match given.iter().find(|(_, is_given)| *is_given) {
        Some((flag, _)) => Err(format!("--{flag} has no meaning for {what}").into()),
        None => Ok(()),
    }
}

/// Writes a file that is there only when it is complete.
fn save(args: &Args, write: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>) -> Result<()> {
    save::file(&args.out, args.force, &mut |file| {
        let mut buffered = io::BufWriter::new(file);
        let written = write(&mut buffered).and_then(|()| buffered.flush());
        written.map_err(|error| io_error("cannot write the picture", error))
    })
}
