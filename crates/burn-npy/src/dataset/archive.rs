//! Checks whether all arrays of an archive are columns of one table, and explains it if not.

use std::collections::HashMap;
use std::fmt::Write;
use std::path::Path;

use burn_npy_core::internal::{WORDS, listed, literal, separated, shown};
use burn_npy_core::{
    Array, DType, Error, ErrorKind, Result,
    file::{Header, ItemKind, ItemType, Npz},
};

use super::named::opaque_as;

/// The maximum length of an array that may be the shape of a sparse array.
const MAX_AXES: usize = 8;

/// Refuses an archive whose arrays are not the columns of one table. It reads headers only.
pub(super) fn expect_table(path: &Path, npz: &Npz) -> Result<()> {
    if npz.names().is_empty() {
        return Err(without_arrays(npz).in_file(path));
    }
    let mut arrays = Vec::new();
    for name in npz.names() {
        match npz.header(name) {
            // The file as a whole cannot be read.
            Err(error) if matches!(error.kind(), ErrorKind::Io | ErrorKind::Changed) => {
                return Err(error);
            }
            header => arrays.push(Entry::new(name, header)),
        }
    }
    let first = arrays[0].rows();
    let fits = |array: &Entry<'_>| array.rows().is_some() && array.rows() == first;
    let shape = match arrays.len() {
        1 => None,
        _ => arrays.iter().find(|array| array.is_shape()),
    };
    let opaque = arrays.iter().any(|array| !array.opaque.is_empty());
    if arrays.iter().all(fits) && shape.is_none() && !opaque {
        return Ok(());
    }
    // A single array has no others to compare with.
    Err(match arrays.len() {
        1 => arrays.remove(0).alone(path),
        _ => explain(path, &arrays, shape).in_file(path),
    })
}

/// The error for a `.npy` file with an opaque array, or an opaque field, whose dtype is not given.
pub(super) fn opaque_file(path: &Path, file: &str, field: Option<&str>, array: &Array) -> Error {
    let (name, at) = (literal(file), literal(&path.to_string_lossy()));
    let from = format!("NpyDataset::from_files([({name}, {at})])?");
    let column = match field {
        Some(field) => format!("{file}.{field}"),
        None => file.to_owned(),
    };
    let size = array.item().size();
    let call = reinterpreted(from, &[(column, size)]);
    opaque(&array.item().to_string(), size, &call)
        .in_array(field.unwrap_or(file))
        .in_file(path)
}

fn opaque(item: &str, size: usize, call: &str) -> Error {
    Error::new(
        ErrorKind::Dtype,
        format!(
            "items of {item} are opaque: the file does not tell their type. {}: {call}",
            guess(size)
        ),
    )
}

/// Says for which type of items the suggested call is right. `size` is that of an item in bytes.
fn guess(size: usize) -> &'static str {
    match size {
        1 => {
            "If they are float8_e4m3fn (for int4 it is DType::I4, and so on for the types of \
             ml_dtypes)"
        }
        2 => "If they are bfloat16",
        4 => "For their bytes (for complex32 it is DType::F16, for bcomplex32 DType::BF16)",
        _ => "For their bytes",
    }
}

fn without_arrays(npz: &Npz) -> Error {
    let members = listed(npz.members(), shown);
    let message = match npz.members().len() {
        0 => "an empty archive: it has no members".to_owned(),
        _ if npz.members().any(|name| name.ends_with("data.pkl")) => {
            "a file of torch.save, which is a pickle: load it in Python and save its tensors, as \
             np.savez(\"x.npz\", x=tensor.numpy()) does"
                .to_owned()
        }
        _ => format!(
            "no arrays: the names of arrays end in .npy, but the members are {members}; \
             np.savez(path, **dict(np.load(path))) writes those that are arrays anew"
        ),
    };
    Error::new(ErrorKind::Usage, message)
}

/// An array of the archive, described by its header.
struct Entry<'a> {
    name: &'a str,
    header: Result<Header>,
    /// The names of the opaque columns that it would become, and the sizes of their items.
    opaque: Vec<(String, usize)>,
}

impl<'a> Entry<'a> {
    fn new(name: &'a str, header: Result<Header>) -> Self {
        let mut opaque = Vec::new();
        if let Ok(header) = &header {
            find_opaque(name, header.item(), &mut opaque);
        }
        Self {
            name,
            header,
            opaque,
        }
    }

    /// The number of rows; `None` for an array without axes or with an unreadable header.
    fn rows(&self) -> Option<usize> {
        self.header.as_ref().ok()?.shape().first().copied()
    }

    /// Whether it looks like a shape, such as that of a sparse array whose parts are the other
    /// arrays.
    fn is_shape(&self) -> bool {
        let Ok(header) = &self.header else {
            return false;
        };
        let is_integer = match header.item().kind() {
            ItemKind::Number(dtype, _) => !dtype.is_float() && *dtype != DType::Bool,
            _ => false,
        };
        let last = self.name.rsplit(['_', '.', '/']).next();
        last == Some("shape") && is_integer && matches!(header.shape(), [len] if *len <= MAX_AXES)
    }

    /// The error if the only array of an archive cannot be a column.
    fn alone(self, path: &Path) -> Error {
        let call = open(path, &[&self]);
        let error = match self.header {
            Err(error) => error,
            Ok(header) if header.shape().is_empty() => Error::new(
                ErrorKind::Shape,
                "an array without axes has no rows; expected at least one dimension",
            ),
            Ok(header) => {
                let size = self
                    .opaque
                    .first()
                    .map_or(header.item().size(), |(_, size)| *size);
                opaque(&header.item().to_string(), size, &call)
            }
        };
        error.in_array(self.name).in_file(path)
    }
}

/// Collects the opaque columns that an array becomes, including those of its fields.
fn find_opaque(name: &str, item: &ItemType, found: &mut Vec<(String, usize)>) {
    if matches!(item.kind(), ItemKind::Opaque(_)) {
        found.push((name.to_owned(), item.size()));
    }
    for field in item.fields() {
        find_opaque(&format!("{name}.{}", field.name()), field.item(), found);
    }
}

/// The error that lists the arrays, says why they are not one table, and how to open some of them.
fn explain(path: &Path, arrays: &[Entry<'_>], shape: Option<&Entry<'_>>) -> Error {
    let unreadable = arrays.iter().find_map(|array| array.header.as_ref().err());
    let group = largest_group(arrays);
    let (kind, mut message) = match (shape, unreadable) {
        (Some(array), _) => {
            let name = shown(array.name);
            let why = "seems to be the shape of a sparse array, whose parts are no columns; \
                       NpyDataset::from_scipy_npz opens a csr_matrix of scipy's save_npz, save \
                       others dense, with np.save(\"x.npy\", \
                       scipy.sparse.load_npz(path).toarray()):";
            (ErrorKind::Shape, format!("`{name}` {why}"))
        }
        (None, Some(error)) => (error.kind(), "not all arrays can be columns:".to_owned()),
        (None, None) if group.len() < arrays.len() => {
            let why = match group.len() {
                0 => "none of the arrays has rows:",
                _ => "the arrays have different numbers of rows, so they are not one dataset:",
            };
            (ErrorKind::Shape, why.to_owned())
        }
        (None, None) => {
            let why = "some arrays have opaque items, which are no numbers yet:";
            (ErrorKind::Dtype, why.to_owned())
        }
    };
    let rows = group.first().and_then(|array| array.rows());
    message += "\n  ";
    message += &separated("\n  ", telling_first(arrays, rows), |array| {
        let name = shown(array.name);
        match &array.header {
            Ok(header) if header.shape().is_empty() => format!("{name}: {header}, no rows"),
            Ok(header) => format!("{name}: {header}"),
            Err(error) => format!("{name}: cannot be read: {}", described(error)),
        }
    });
    let all = group.len() == arrays.len();
    if !group.is_empty() && (shape.is_none() || all) {
        let what = if shape.is_some() {
            "If it is no sparse array"
        } else if all {
            "To open them"
        } else if group.len() == 1 {
            "To open one of them"
        } else {
            "To open those with the same number of rows"
        };
        let _ = write!(message, "\n{what}: {}", open(path, &group));
    }
    Error::new(kind, message)
}

/// The arrays in the order in which a message lists them. If there are too many, it begins with
/// some whose number of rows is not `rows`, that of the largest group, and goes on with some of the
/// group.
fn telling_first<'a, 'b>(arrays: &'a [Entry<'b>], rows: Option<usize>) -> Vec<&'a Entry<'b>> {
    if arrays.len() <= WORDS {
        return arrays.iter().collect();
    }
    let others = arrays.iter().filter(|array| array.rows() != rows);
    let alike = arrays.iter().filter(|array| array.rows() == rows);
    let rest = others.clone().skip(WORDS / 2);
    others.take(WORDS / 2).chain(alike).chain(rest).collect()
}

/// The largest group of arrays with the same number of rows. If several are equally large, it is
/// the one with the most rows.
fn largest_group<'a, 'b>(arrays: &'a [Entry<'b>]) -> Vec<&'a Entry<'b>> {
    let mut counts = HashMap::new();
    for rows in arrays.iter().filter_map(Entry::rows) {
        *counts.entry(rows).or_insert(0_usize) += 1;
    }
    let largest = counts
        .into_iter()
        .max_by_key(|(rows, count)| (*count, *rows));
    let of_it = |array: &&Entry<'_>| array.rows() == largest.map(|(rows, _)| rows);
    match largest {
        Some(_) => arrays.iter().filter(of_it).collect(),
        None => Vec::new(),
    }
}

/// The call that opens some of the arrays.
fn open(path: &Path, arrays: &[&Entry<'_>]) -> String {
    // If there are too many, this does not compile on purpose. A call with only the listed names
    // would silently open fewer arrays.
    let names = listed(arrays, |array| literal(array.name));
    let from = format!(
        "NpyDataset::from_npz({}, [{names}])",
        literal(&path.to_string_lossy())
    );
    if arrays.iter().all(|array| array.opaque.is_empty()) {
        return from;
    }
    let opaque = arrays.iter().flat_map(|array| &array.opaque);
    reinterpreted(format!("{from}?"), opaque)
}

/// Extends a call so that it sets the dtypes of opaque columns.
fn reinterpreted<'a>(
    mut call: String,
    opaque: impl IntoIterator<Item = &'a (String, usize)>,
) -> String {
    let mut opaque = opaque.into_iter();
    for (name, size) in opaque.by_ref().take(WORDS) {
        let dtype = opaque_as(*size);
        let _ = write!(call, ".reinterpret({}, {dtype})?", literal(name));
    }
    match opaque.count() {
        0 => call,
        more => format!("{call}, and {more} more"),
    }
}

/// The message of an error and its offset, without the file and the array.
fn described(error: &Error) -> String {
    match error.offset() {
        Some(offset) => format!("{} (at byte {offset})", error.message()),
        None => error.message().to_owned(),
    }
}

#[cfg(test)]
mod tests;
