//! Windows over the items of each row, where rows have any length.

use std::ops::Range;

use burn_npy_core::internal::{self, RowMap};
use burn_npy_core::{Error, ErrorKind, Result, file::Column};

use super::{Groups, NpyDataset, Windows, usage};
use crate::dataset::named::{AnyColumn, Columns};
use crate::memory;

impl NpyDataset {
    /// [`windows`](Self::windows), if a column has rows of any length.
    pub(super) fn windows_within_rows(
        &self,
        windows: &Windows,
        next: Option<(usize, usize)>,
        span: usize,
    ) -> Result<Self> {
        if windows.groups != Groups::One {
            return Err(usage(
                "windows over rows of any length lie within the rows; leave out within(..) and \
                 group_by(..)",
            ));
        }
        // The items of all rows of a column, and those of each row.
        let mut flat: Vec<(Column, Vec<Range<usize>>)> = Vec::new();
        let mut known: Option<(&str, Vec<usize>)> = None;
        for (name, column) in self.columns.iter() {
            let AnyColumn::Ragged(column) = column else {
                continue;
            };
            let lengths = (0..self.len()).map(|row| column.length(self.rows.map(row)));
            let lengths = memory::list(lengths)?;
            let (first, expected) = known.get_or_insert_with(|| (name, lengths.clone()));
            expect_alike(first, expected, &lengths).map_err(|error| error.in_column(name))?;
            let of_column = internal::flat_ragged(column);
            flat.push(of_column.map_err(|error| error.in_column(name))?);
        }
        let lengths = known.map_or(Vec::new(), |(_, lengths)| lengths);
        let counts = lengths.iter().map(|len| windows.count(*len, span));
        let counts = memory::list(counts)?;
        if counts.iter().all(|count| *count == 0) {
            let message = format!(
                "none of {} rows has enough items for a window, which needs {span}",
                self.len()
            );
            return Err(Error::new(ErrorKind::Shape, message));
        }
        let rows = || (0..self.len()).map(|row| self.rows.map(row)).zip(&counts);
        let mut columns = Columns::default();
        let mut flat = flat.into_iter();
        for (name, column) in self.columns.iter() {
            if let AnyColumn::Ragged(_) = column {
                let Some((items, runs)) = flat.next() else {
                    continue;
                };
                // There is a window at each item, also across rows. The map takes those within.
                let mut map = RowMap::new(items.rows() - (span - 1));
                map.runs(
                    windows.stride,
                    rows().map(|(row, count)| (runs[row].start, *count)),
                );
                for (name, column) in windows.frames(name.to_owned(), items, next, span)? {
                    columns.push(name, AnyColumn::Numbers(internal::pick(&column, &map)));
                }
                continue;
            }
            let column = column.numbers(name)?;
            let mut map = RowMap::new(column.rows());
            map.runs(0, rows().map(|(row, count)| (row, *count)));
            let column = internal::pick(column, &map);
            columns.push(name.to_owned(), AnyColumn::Numbers(column));
        }
        Self::from_columns(columns)
    }
}

/// An error if a row has not as many items as in another column.
fn expect_alike(first: &str, expected: &[usize], found: &[usize]) -> Result<()> {
    let mut pairs = expected.iter().zip(found).enumerate();
    let Some((row, (expected, found))) = pairs.find(|(_, (a, b))| a != b) else {
        return Ok(());
    };
    let first = internal::literal(first);
    let message = format!(
        "row {row} has {found} items, but {expected} in {first}, so they have different windows; \
         select([{first}, ..]) leaves columns out",
    );
    Err(Error::new(ErrorKind::Shape, message))
}
