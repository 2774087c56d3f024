//! The columns of a dataset, by name.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::Path;

use burn_npy_core::internal::{self, WORDS, listed, literal, shown, shown_path};
use burn_npy_core::{
    Array, Error, ErrorKind, Result,
    file::{Column, ItemKind, RaggedColumn},
};

use crate::layouts::LayoutCache;

/// A column of any kind.
#[derive(Clone, Debug)]
pub(crate) enum AnyColumn {
    Numbers(Column),
    /// Rows of any length.
    Ragged(RaggedColumn),
    /// An array of opaque items. It has at least one axis.
    Opaque(Array),
}

impl AnyColumn {
    /// The column of an array, whose items may be opaque.
    pub(super) fn new(array: Array) -> Result<Self> {
        let is_opaque =
            array.dtype().is_none() && matches!(array.item().kind(), ItemKind::Opaque(_));
        if is_opaque && !array.shape().is_empty() {
            return Ok(Self::Opaque(array));
        }
        Column::new(array).map(Self::Numbers)
    }

    /// The file, if all rows are of one.
    pub(crate) fn file(&self) -> Option<&Path> {
        match self {
            Self::Numbers(column) => internal::file(column),
            Self::Ragged(column) => internal::ragged_file(column),
            Self::Opaque(array) => array.file(),
        }
    }

    /// The arrays that the rows are made of.
    pub(super) fn arrays(&self) -> Vec<Array> {
        let mut arrays = Vec::new();
        match self {
            Self::Numbers(column) => {
                internal::for_each_array(column, &mut |part| arrays.push(part.array().clone()));
            }
            Self::Ragged(column) => arrays.extend(column.arrays().cloned()),
            Self::Opaque(array) => arrays.push(array.clone()),
        }
        arrays
    }

    pub(super) fn rows(&self) -> usize {
        match self {
            Self::Numbers(column) => column.rows(),
            Self::Ragged(column) => column.rows(),
            Self::Opaque(array) => array.shape()[0],
        }
    }

    /// The rows of one shape, or an error that names the column if they have none, or no numbers.
    pub(super) fn numbers(&self, name: &str) -> Result<&Column> {
        match self {
            Self::Numbers(column) => Ok(column),
            Self::Ragged(_) => {
                let message = "its rows have different lengths, and this needs rows of one shape: \
                               do it to the items before from_offsets, by another column, or \
                               without this one after dataset.select([..]); \
                               dataset.pack(..) and dataset.windows(..) make rows of one shape";
                Err(Error::new(ErrorKind::Usage, message).in_array(name))
            }
            Self::Opaque(array) => {
                let dtype = opaque_as(array.item().size());
                let error = Error::new(
                    ErrorKind::Dtype,
                    format!(
                        "items of {} are opaque, so the column has no numbers yet; say what they \
                         are, such as dataset.reinterpret({}, {dtype})",
                        array.item(),
                        literal(name)
                    ),
                );
                Err(match array.file() {
                    Some(file) => error.in_array(name).in_file(file),
                    None => error.in_array(name),
                })
            }
        }
    }
}

/// The type of the items, and the shape of a row.
impl fmt::Display for AnyColumn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Numbers(column) => {
                let shape = format!("{:?}", column.row_shape());
                write!(f, "{} {}", column.dtype(), shown(&shape))?;
                if column.is_scattered() {
                    f.write_str(" scattered")
                } else {
                    Ok(())
                }
            }
            Self::Ragged(column) => {
                write!(f, "{} {}", column.dtype(), any_length(column.item_shape()))
            }
            Self::Opaque(array) => {
                let shape = format!("{:?}", &array.shape()[1..]);
                write!(f, "opaque {} {}", array.item(), shown(&shape))
            }
        }
    }
}

/// The shape of rows of any length.
pub(crate) fn any_length(item_shape: &[usize]) -> String {
    let axes = item_shape.iter().map(|len| format!(", {len}"));
    format!("[*{}]", axes.collect::<String>())
}

/// The most likely dtype of opaque items of `size` bytes, as code.
pub(super) fn opaque_as(size: usize) -> &'static str {
    match size {
        1 => "DType::F8E4M3FN",
        2 => "DType::BF16",
        _ => "DType::U8",
    }
}

/// The columns of a dataset, by name.
#[derive(Debug, Default)]
pub(crate) struct Columns {
    names: Vec<String>,
    columns: Vec<AnyColumn>,
    /// The index of the first column of each name.
    by_name: HashMap<String, usize>,
    /// A cache for batchers.
    pub(crate) layouts: LayoutCache,
}

impl Columns {
    pub(super) fn push(&mut self, name: String, column: AnyColumn) {
        let index = self.names.len();
        self.by_name.entry(name.clone()).or_insert(index);
        self.names.push(name);
        self.columns.push(column);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &AnyColumn)> {
        self.names.iter().map(String::as_str).zip(&self.columns)
    }

    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// A column of any kind.
    pub(crate) fn any(&self, name: &str) -> Result<&AnyColumn> {
        let index = self.by_name.get(name).ok_or_else(|| {
            let known = listed_names(&self.names);
            let message = format!("no such column; there are {known}");
            Error::new(ErrorKind::Name, message).in_array(name)
        })?;
        Ok(&self.columns[*index])
    }

    /// A column of numbers with rows of one shape.
    pub(crate) fn get(&self, name: &str) -> Result<&Column> {
        self.any(name)?.numbers(name)
    }

    /// A column with rows of any length.
    pub(crate) fn ragged(&self, name: &str) -> Result<&RaggedColumn> {
        match self.any(name)? {
            AnyColumn::Ragged(column) => Ok(column),
            _ => {
                let message = "its rows have one shape, so they have no lengths; a column of \
                               NpyDataset::from_offsets or from_lengths has";
                Err(Error::new(ErrorKind::Usage, message).in_array(name))
            }
        }
    }

    /// The number of rows. It is an error if the columns have different numbers of rows, or if two
    /// have the same name.
    pub(super) fn expect_table(&self) -> Result<usize> {
        if self.by_name.len() < self.names.len() {
            let mut seen = HashSet::new();
            let twice = self.names.iter().find(|name| !seen.insert(*name));
            let error = Error::new(ErrorKind::Duplicate, "two columns with this name");
            return Err(twice
                .into_iter()
                .fold(error, |error, name| error.in_array(name)));
        }
        let counts = || {
            self.iter().map(|(name, column)| Count {
                name,
                file: column.file(),
                rows: column.rows(),
            })
        };
        expect_one_length(counts)
    }
}

/// The number of rows of a column.
pub(super) struct Count<'a> {
    pub(super) name: &'a str,
    pub(super) file: Option<&'a Path>,
    pub(super) rows: usize,
}

/// The number of rows. It is an error if the columns have different numbers of rows, or if there
/// are no columns.
pub(super) fn expect_one_length<'a, I>(counts: impl Fn() -> I) -> Result<usize>
where
    I: Iterator<Item = Count<'a>>,
{
    let Some(first) = counts().next() else {
        return Err(Error::new(ErrorKind::Usage, "a dataset without columns"));
    };
    if counts().all(|count| count.rows == first.rows) {
        return Ok(first.rows);
    }
    let one_file = counts().all(|count| count.file == first.file);
    let described = |count: Count<'_>| {
        let (name, rows) = (shown(count.name), count.rows);
        match count.file {
            Some(file) if !one_file => format!("{name} has {rows} (in {})", shown_path(file)),
            _ => format!("{name} has {rows}"),
        }
    };
    // If there are many, leave out those that agree with the first.
    let many = counts().nth(WORDS).is_some();
    let differs = counts()
        .skip(1)
        .filter(|count| !many || count.rows != first.rows);
    let message = listed(counts().take(1).chain(differs), described);
    let error = Error::new(
        ErrorKind::Shape,
        format!("the columns have different numbers of rows: {message}"),
    );
    Err(match first.file {
        Some(file) if one_file => error.in_file(file),
        _ => error,
    })
}

/// The first few names.
pub(crate) fn listed_names(names: &[String]) -> String {
    listed(names, |name| shown(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(counts: impl IntoIterator<Item = (String, usize)>) -> Columns {
        let mut columns = Columns::default();
        for (name, rows) in counts {
            let column = AnyColumn::new(vec![0_u8; rows].into()).unwrap();
            columns.push(name, column);
        }
        columns
    }

    #[test]
    fn a_column_that_differs_from_many_is_listed() {
        let counts = (0..2000).map(|i| (format!("c{i}"), 3 + usize::from(i == 1500)));
        let error = columns(counts).expect_table().unwrap_err().to_string();
        assert_eq!(
            error,
            "the columns have different numbers of rows: c0 has 3, c1500 has 4"
        );
        let counts = (0..2000).map(|i| (format!("c{i}"), i));
        let error = columns(counts).expect_table().unwrap_err().to_string();
        assert!(error.ends_with("c19 has 19, and 1980 more"), "{error}");
    }

    #[test]
    fn what_is_said_of_many_columns_is_short_and_soon_said() {
        let counts = || (0..65_535).map(|i| (format!("{i}{}", "x".repeat(100)), 3));
        let all = columns(counts());
        assert_eq!(all.expect_table().unwrap(), 3);
        for (name, _) in counts().step_by(100) {
            assert_eq!(all.get(&name).unwrap().rows(), 3);
        }
        let error = all.get("y").unwrap_err();
        assert!(error.to_string().ends_with(", and 65523 more"), "{error}");
        assert!(error.to_string().len() < 2000);
        let twice = columns(counts().chain([("x".to_owned(), 3), ("x".to_owned(), 3)]));
        let error = twice.expect_table().unwrap_err();
        assert_eq!(
            (error.kind(), error.array()),
            (ErrorKind::Duplicate, Some("x"))
        );
    }
}
