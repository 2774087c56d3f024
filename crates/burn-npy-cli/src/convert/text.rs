//! Tables of numbers in text: CSV.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use burn_npy_core::internal::quoted;
use burn_npy_core::{Array, DType, ndarray};
use csv::{ByteRecord, ReaderBuilder, Trim};

/// From here on, an integer is no double, or shares one with others.
const EXACT: u64 = 1 << 53;

/// Whether a file is a table of text, by its name.
pub(crate) fn is_text(path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default().to_string_lossy();
    ["csv", "tsv", "txt"].contains(&&*extension.to_lowercase())
}

/// The columns of a table.
struct Columns {
    /// Their places in a line.
    places: Vec<usize>,
    /// Their names, as they are shown.
    names: Vec<String>,
    /// Whether the first line is a header.
    has_header: bool,
}

/// A table as an array in memory of `int64`, or of `float64` if not all numbers are integers. The
/// array of one column has one axis.
pub(crate) fn array(
    path: &Path,
    chosen: Option<&[String]>,
    dtype: Option<DType>,
) -> Result<Array, String> {
    let columns = columns(path, chosen)?;
    let width = columns.places.len();
    // Integers that a float does not have are errors, unless the user has named a float dtype.
    let rounds = dtype.is_some_and(DType::is_float);
    if !rounds {
        let mut integers: Vec<i64> = Vec::new();
        let all = read(path, &columns, &mut |field| {
            Ok(field.parse().map(|number| integers.push(number)).is_ok())
        })?;
        if all {
            return shaped(integers, width);
        }
    }
    let mut floats: Vec<f64> = Vec::new();
    read(path, &columns, &mut |field| {
        let number: f64 = field
            .parse()
            .map_err(|_| format!("{} is no number", quoted(field)))?;
        if number.is_infinite() && field.bytes().any(|byte| byte.is_ascii_digit()) {
            return Err(format!("{field} does not fit a float64"));
        }
        let is_integer = field
            .bytes()
            .all(|byte| byte.is_ascii_digit() || b"+-".contains(&byte));
        if !rounds && is_integer && number.abs() >= EXACT as f64 {
            return Err(format!(
                "{field} does not fit an int64 or a float64; --dtype float64 rounds it"
            ));
        }
        floats.push(number);
        Ok(true)
    })?;
    shaped(floats, width)
}

fn shaped<T: burn_npy_core::file::Element + Clone>(
    numbers: Vec<T>,
    width: usize,
) -> Result<Array, String> {
    if width == 1 {
        return Ok(numbers.into());
    }
    let shape = (numbers.len() / width.max(1), width);
    let table = ndarray::Array2::from_shape_vec(shape, numbers);
    Ok(table.map_err(|error| error.to_string())?.into())
}

fn reader(path: &Path) -> Result<csv::Reader<File>, String> {
    let text = |error: std::io::Error| error.to_string();
    let mut first = String::new();
    BufReader::new(File::open(path).map_err(text)?)
        .read_line(&mut first)
        .map_err(text)?;
    let separators = ['\t', ';', ','];
    let separator = separators.into_iter().find(|c| first.contains(*c));
    let mut builder = ReaderBuilder::new();
    builder.delimiter(separator.unwrap_or(',') as u8);
    builder.has_headers(false).flexible(true).trim(Trim::All);
    builder.from_path(path).map_err(message)
}

fn message(error: csv::Error) -> String {
    let line = error.position().map(|position| position.line());
    match (error.into_kind(), line) {
        (csv::ErrorKind::Io(error), _) => error.to_string(),
        (kind, Some(line)) => format!("line {line}: {kind:?}"),
        (kind, None) => format!("{kind:?}"),
    }
}

/// Looks at the first line. It is a header if none of its fields is a number.
fn columns(path: &Path, chosen: Option<&[String]>) -> Result<Columns, String> {
    let mut first = ByteRecord::new();
    if !reader(path)?
        .read_byte_record(&mut first)
        .map_err(message)?
    {
        return Err("a table without a line".to_owned());
    }
    let fields: Vec<_> = first.iter().map(String::from_utf8_lossy).collect();
    let has_header = fields.iter().all(|field| field.parse::<f64>().is_err());
    let name = |place: usize| match has_header {
        true => format!("{} {}", place + 1, quoted(&fields[place])),
        false => format!("{}", place + 1),
    };
    let find = |wanted: &String| {
        if has_header && let Some(place) = fields.iter().position(|field| *field == **wanted) {
            return Ok(place);
        }
        let number = wanted
            .parse()
            .ok()
            .filter(|number| (1..=fields.len()).contains(number));
        number.map(|number: usize| number - 1).ok_or_else(|| {
            let names = (0..fields.len()).map(name).collect::<Vec<_>>().join(", ");
            format!("no column {}; there are {names}", quoted(wanted))
        })
    };
    let places = match chosen {
        Some(chosen) => chosen.iter().map(find).collect::<Result<Vec<_>, _>>()?,
        None => (0..fields.len()).collect(),
    };
    Ok(Columns {
        names: places.iter().map(|place| name(*place)).collect(),
        places,
        has_header,
    })
}

/// Calls `put` with all fields, line by line, until it returns `false`.
fn read(
    path: &Path,
    columns: &Columns,
    put: &mut dyn FnMut(&str) -> Result<bool, String>,
) -> Result<bool, String> {
    let mut reader = reader(path)?;
    let mut record = ByteRecord::new();
    let mut fields = None;
    let mut skip = columns.has_header;
    while reader.read_byte_record(&mut record).map_err(message)? {
        let line = record.position().map_or(0, |position| position.line());
        let expected = *fields.get_or_insert(record.len());
        if record.len() != expected {
            return Err(format!(
                "line {line}: {} fields, but the first line has {expected}",
                record.len()
            ));
        }
        if std::mem::take(&mut skip) {
            continue;
        }
        for (place, name) in columns.places.iter().zip(&columns.names) {
            let field = String::from_utf8_lossy(&record[*place]);
            let put = put(&field);
            match put.map_err(|what| format!("line {line}, column {name}: {what}"))? {
                true => {}
                // Not all are integers.
                false => return Ok(false),
            }
        }
    }
    Ok(true)
}
