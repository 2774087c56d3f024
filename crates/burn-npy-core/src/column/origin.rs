//! Where rows come from, for the errors about them.
//!
//! An error about a row names the file that has the row. An error about more than a row names a
//! file only if all rows are in it: the first one of a chain may have nothing to do with it.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::path::Path;

use super::Column;
use crate::convert::Stage;
use crate::gather::Misfit;
use crate::{Array, Error, ErrorKind};

/// A row of a column, and an element of it, unless that is no longer known, since a transform made
/// the row.
pub(super) struct Origin<'a> {
    pub(super) column: &'a Column,
    pub(super) row: usize,
    pub(super) element: Option<usize>,
    /// The element of what the last transform made, if it made several.
    pub(super) made: Option<usize>,
}

impl Column {
    /// The column of an array and its row that a row is, or that an element of it is from; `None`
    /// if it is made of several.
    pub(super) fn origin(&self, row: usize, element: Option<usize>) -> Option<Origin<'_>> {
        if let Some(derived) = &self.derived {
            let inner = derived.origin(row, element)?;
            let origin = inner.column.origin(inner.row, inner.element)?;
            return Some(Origin {
                made: inner.made.or(origin.made),
                ..origin
            });
        }
        let column = self;
        Some(Origin {
            column,
            row,
            element,
            made: None,
        })
    }

    /// The arrays that all rows are made of.
    fn arrays(&self) -> Vec<&Array> {
        let mut arrays = Vec::new();
        self.for_each_array(&mut |part| arrays.push(&part.array));
        arrays
    }

    /// The file, if all rows are of one.
    pub(crate) fn file(&self) -> Option<&Path> {
        one_file(&self.arrays())
    }

    /// Adds the file to an error, if all rows are of one.
    pub(super) fn locate(&self, error: Error) -> Error {
        locate_in(&self.arrays(), error)
    }

    /// Adds the file to an error about a row that exists.
    fn locate_row(&self, row: usize, error: Error) -> Error {
        let mut sources = Vec::new();
        self.sources(&[row], &mut sources);
        let arrays: Vec<_> = sources.iter().map(|column| &column.array).collect();
        locate_in(&arrays, error)
    }

    /// The error of a row that does not exist.
    pub(super) fn no_row(&self, row: usize) -> Error {
        no_row(row, self.rows, &self.arrays())
    }

    /// The row of the array that an element of a row of this column is in, and which element of it
    /// it is. The column must be one of an array. Where the element lies in the data says so,
    /// whether the rows were cut, permuted or made windows.
    fn in_array(&self, row: usize, element: usize) -> (usize, usize) {
        if self.row_stride == 0 && self.row_len() == 0 {
            return (row, element);
        }
        let mut offset = self.first + row * self.row_stride;
        let mut outer = element;
        for &(len, stride) in self.axes.iter().rev() {
            offset += outer % len.max(1) * stride;
            outer /= len.max(1);
        }
        offset -= self.array.first();
        let axes = self.array.axes();
        let mut order: Vec<_> = (0..axes.len()).filter(|axis| axes[*axis].0 > 1).collect();
        order.sort_unstable_by_key(|axis| Reverse(axes[*axis].1));
        let mut index = vec![0; axes.len()];
        for axis in order {
            let stride = axes[axis].1.max(1);
            index[axis] = offset / stride;
            offset %= stride;
        }
        let inner = axes.iter().zip(&index).skip(1);
        let element = inner.fold(0, |element, ((len, _), index)| element * len + index);
        // Joined fields are one row of the first of them, and go on behind it.
        let of_next_fields = offset / self.numbers.dtype.size();
        (
            index.first().copied().unwrap_or(0),
            element + of_next_fields,
        )
    }

    /// Whether each row is the whole array.
    fn is_whole(&self) -> bool {
        self.row_stride == 0 && self.row_len() > 0
    }

    /// How many elements a row of the array has.
    fn array_row_len(&self) -> usize {
        self.array
            .axes()
            .iter()
            .skip(1)
            .map(|(len, _)| len)
            .product()
    }

    /// Where a row is in the file of the array.
    fn row_in_file(&self, row: usize) -> String {
        let (first, _) = self.in_array(row, 0);
        match self.windows {
            _ if self.is_whole() => "the array of the file".to_owned(),
            Some(_) => format!("the window from row {first} of the file on"),
            None => format!("row {first} of the file"),
        }
    }

    /// Where an element of a row is in the file of the array, whose rows are `what`.
    pub(super) fn element_in_file(&self, what: &str, row: usize, element: usize) -> String {
        let (row, element) = self.in_array(row, element);
        let len = self.array_row_len();
        if self.is_whole() {
            return format!("element {} of the file", row * len + element);
        }
        let is_one = len == 1 && element == 0;
        match is_one && (self.windows.is_some() || self.row_len() == 1) {
            true => format!("{what} {row} of the file"),
            false => format!("{what} {row} of the file, element {element},"),
        }
    }

    /// The error of a row that a transform cannot make a new one of.
    pub(super) fn of_transform(&self, row: usize, error: Error) -> Error {
        let error = error.of_transform();
        match self.origin(row, None) {
            Some(Origin { column, row, .. }) if column.array.file().is_some() => {
                column.array.locate(error.in_row(&column.row_in_file(row)))
            }
            _ => self.locate_row(row, error),
        }
    }

    /// The error of a row whose value cannot be converted.
    pub(super) fn misfit(&self, row: usize, (stage, misfit): (&Stage, Misfit)) -> Error {
        let origin = self.origin(row, Some(misfit.element));
        let origin = origin.filter(|origin| origin.column.array.file().is_some());
        let Some(Origin {
            column,
            row,
            element,
            made,
        }) = origin
        else {
            let what = match self.windows {
                Some(_) => "window",
                None => "row",
            };
            let mut place = format!("{what} {row}");
            if self.row_len() != 1 {
                place += &format!(", element {},", misfit.element);
            }
            return self.locate_row(row, self.misfit_at(&place, stage, &misfit));
        };
        let place = match element {
            Some(element) => column.element_in_file("row", row, element),
            None => {
                let mut place = column.row_in_file(row);
                if let Some(made) = made {
                    place += &format!(", element {made} of what a transform made,");
                }
                place
            }
        };
        column.array.locate(self.misfit_at(&place, stage, &misfit))
    }
}

/// Adds the file to an error about some arrays, if they are all in one, and the member of an
/// archive if there is one array.
pub(super) fn locate_in(arrays: &[&Array], error: Error) -> Error {
    match (arrays, one_file(arrays)) {
        ([array], _) => array.locate(error),
        (_, Some(file)) => error.in_file(file),
        _ => error,
    }
}

/// The error of a row that does not exist, of columns of some arrays.
pub(super) fn no_row(row: usize, rows: usize, arrays: &[&Array]) -> Error {
    let files: BTreeSet<_> = arrays.iter().filter_map(|array| array.file()).collect();
    let of_files = match files.len() {
        0 | 1 => String::new(),
        count => format!(", of {count} files"),
    };
    let message = format!("row {row} of {rows}{of_files}");
    locate_in(arrays, Error::new(ErrorKind::Row, message))
}

/// The file, if the arrays are all in one.
pub(super) fn one_file<'a>(arrays: &[&'a Array]) -> Option<&'a Path> {
    let file = arrays.first()?.file()?;
    let others = arrays.iter();
    others
        .map(|array| array.file())
        .all(|other| other == Some(file))
        .then_some(file)
}

#[cfg(test)]
mod tests;
