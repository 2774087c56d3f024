//! The rows of several columns, one column after the other.

use std::ops::Range;
use std::sync::Arc;

use super::derived::Derived;
use super::origin::Origin;
use super::{Column, Draws, selection};
use crate::transform::RowType;
use crate::{Error, ErrorKind, Result};

#[derive(Debug)]
pub(super) struct Chain {
    columns: Vec<Column>,
    /// The first row of each column, and the number of all rows.
    starts: Vec<usize>,
    /// For every `1 << shift` rows, the column that has the first of them. A search among all
    /// columns would take longer than the gather of a small row.
    parts: Vec<usize>,
    shift: u32,
    /// Where the rows of each column lie in its file; `None` if they cannot be used there.
    places: Option<Vec<Place>>,
}

/// Where the rows of a column lie, in bytes from the start of its storage.
#[derive(Clone, Copy, Debug)]
struct Place {
    first: usize,
    stride: usize,
}

impl Column {
    /// The rows of several columns, one column after the other. A row is gathered from the file
    /// that has it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Dtype`] or [`ErrorKind::Shape`], with the file, if the rows of a column are not
    /// of the dtype and the shape of those of the first; [`ErrorKind::Usage`] if there are no
    /// columns.
    pub fn chain(columns: impl IntoIterator<Item = Self>) -> Result<Self> {
        let mut all = Vec::new();
        for column in columns {
            let chained = column
                .derived
                .as_ref()
                .and_then(|derived| derived.chained());
            match chained {
                // Chains of chains of chains would be slow.
                Some(columns) if column.is_bare() => all.extend(columns.iter().cloned()),
                _ => all.push(column),
            }
        }
        Ok(match <[Self; 1]>::try_from(all) {
            Ok([one]) => one,
            Err(all) => Self::of_derived(Arc::new(Chain::new(all)?)),
        })
    }
}

impl Column {
    /// Where the rows lie, if each is one piece of memory, and needs no conversion.
    fn place(&self) -> Option<Place> {
        let rows = self
            .rows_in_memory()
            .filter(|_| self.stages.stages.is_empty())?;
        Some(Place {
            first: self.array.data_offset() as usize + rows.first,
            stride: rows.stride,
        })
    }
}

impl Chain {
    fn new(columns: Vec<Column>) -> Result<Self> {
        let Some(first) = columns.first() else {
            return Err(Error::new(ErrorKind::Usage, "a chain of no columns"));
        };
        let mut starts = Vec::with_capacity(columns.len() + 1);
        let mut rows = 0_usize;
        for column in &columns {
            starts.push(rows);
            let refuse = |kind, message| Err(column.locate(Error::new(kind, message)));
            if column.dtype() != first.dtype() {
                let message = format!(
                    "rows of {} after rows of {}{}; convert one of them first",
                    column.dtype(),
                    first.dtype(),
                    of_file(first),
                );
                return refuse(ErrorKind::Dtype, message);
            }
            if column.row_shape != first.row_shape {
                let message = format!(
                    "rows of shape {:?} after rows of shape {:?}{}",
                    column.row_shape,
                    first.row_shape,
                    of_file(first),
                );
                return refuse(ErrorKind::Shape, message);
            }
            rows = match rows.checked_add(column.rows) {
                Some(rows) => rows,
                None => return refuse(ErrorKind::Overflow, "too many rows".to_owned()),
            };
        }
        starts.push(rows);
        // About two for each column.
        let shift = (rows / (2 * columns.len())).checked_ilog2().unwrap_or(0);
        let firsts = (0..=rows.saturating_sub(1) >> shift).map(|first| first << shift);
        let parts = firsts.scan(0, |part, first| {
            while starts[*part + 1] <= first && *part + 1 < columns.len() {
                *part += 1;
            }
            Some(*part)
        });
        Ok(Self {
            parts: parts.collect(),
            shift,
            places: columns.iter().map(Column::place).collect(),
            columns,
            starts,
        })
    }

    /// The column that has a row, and the row there.
    fn locate(&self, row: usize) -> (usize, usize) {
        let at = row >> self.shift;
        let first = self.parts[at];
        let last = self
            .parts
            .get(at + 1)
            .map_or(self.columns.len() - 1, |last| *last);
        // Columns without rows start where the next one starts.
        let later = &self.starts[first + 1..=last];
        let part = first + later.partition_point(|start| *start <= row);
        (part, row - self.starts[part])
    }

    /// The rows of each column among `rows`, as their indices in `rows`, column by column.
    fn by_part(&self, rows: &[usize]) -> Vec<(usize, usize, usize)> {
        let place = |(index, row): (usize, &usize)| {
            let (part, row) = self.locate(*row);
            (part, index, row)
        };
        let mut places: Vec<_> = rows.iter().enumerate().map(place).collect();
        if !places.is_sorted() {
            places.sort_unstable();
        }
        places
    }
}

fn of_file(column: &Column) -> String {
    match column.file() {
        Some(file) => format!(" in {}", crate::message::shown_path(file)),
        None => String::new(),
    }
}

impl Derived for Chain {
    fn rows(&self) -> usize {
        self.starts[self.columns.len()]
    }

    fn row_type(&self) -> RowType {
        self.columns[0].row_type()
    }

    fn columns(&self) -> &[Column] {
        &self.columns
    }

    fn with(&self, columns: Vec<Column>) -> Result<Arc<dyn Derived>> {
        Ok(Arc::new(Self::new(columns)?))
    }

    fn visit(
        &self,
        rows: &[usize],
        f: &mut dyn FnMut(&Column, &[usize]) -> Result<()>,
    ) -> Result<()> {
        let places = self.by_part(rows);
        let mut rows = Vec::new();
        for places in places.chunk_by(|a, b| a.0 == b.0) {
            rows.clear();
            rows.extend(places.iter().map(|(_, _, row)| *row));
            f(&self.columns[places[0].0], &rows)?;
        }
        Ok(())
    }

    fn load(&self, rows: &[usize], draws: Draws<'_>, out: &mut [u8]) -> Result<()> {
        let row_bytes = self.columns[0].row_bytes();
        let per_turn = self.columns[0].rows_per_block(row_bytes.max(1));
        let mut scratch = self.columns[0].rows_buffer(per_turn.min(rows.len()))?;
        let places = self.by_part(rows);
        let (mut rows, mut positions) = (Vec::new(), Vec::new());
        for places in places.chunk_by(|a, b| a.0 == b.0) {
            for places in places.chunks(per_turn) {
                let column = &self.columns[places[0].0];
                rows.clear();
                rows.extend(places.iter().map(|(_, _, row)| *row));
                positions.clear();
                let at = places
                    .iter()
                    .map(|(_, index, _)| draws.positions.get(*index));
                positions.extend(at.flatten());
                let draws = draws.at(&positions);
                let Range { start, end } = places[0].1..places[places.len() - 1].1 + 1;
                if end - start == places.len() {
                    let out = &mut out[start * row_bytes..end * row_bytes];
                    column.load_rows(&rows, draws, out)?;
                    continue;
                }
                let gathered = &mut scratch.as_mut_slice()[..rows.len() * row_bytes];
                column.load_rows(&rows, draws, gathered)?;
                let gathered = gathered.chunks_exact(row_bytes.max(1));
                for (row, (_, index, _)) in gathered.zip(places) {
                    out[index * row_bytes..][..row_bytes].copy_from_slice(row);
                }
            }
        }
        Ok(())
    }

    fn sources<'a>(&'a self, rows: &[usize], sources: &mut Vec<&'a Column>) {
        if self.columns.iter().any(|column| column.derived.is_some()) {
            let mut rows_of = Vec::new();
            for places in self.by_part(rows).chunk_by(|a, b| a.0 == b.0) {
                rows_of.clear();
                rows_of.extend(places.iter().map(|(_, _, row)| *row));
                self.columns[places[0].0].sources(&rows_of, sources);
            }
            return;
        }
        // Sorting the rows would take longer than their gather.
        let mut found = vec![0_u64; self.columns.len().div_ceil(64)];
        for row in rows {
            let (part, _) = self.locate(*row);
            let (word, bit) = (&mut found[part / 64], 1 << (part % 64));
            if *word & bit == 0 {
                *word |= bit;
                sources.push(&self.columns[part]);
            }
        }
    }

    fn origin(&self, row: usize, element: Option<usize>) -> Option<Origin<'_>> {
        let (part, row) = self.locate(row);
        let column = &self.columns[part];
        Some(Origin {
            column,
            row,
            element,
            made: None,
        })
    }

    fn slices<'a>(&'a self, rows: &[usize], slices: &mut Vec<&'a [u8]>) -> bool {
        slices.reserve(rows.len());
        let Some(places) = &self.places else {
            return rows.iter().all(|row| {
                let (part, row) = self.locate(*row);
                self.columns[part].slices(&[row], slices)
            });
        };
        let row_bytes = self.columns[0].row_bytes();
        for row in rows {
            let (part, row) = self.locate(*row);
            let Some(bytes) = self.columns[part].array.storage().bytes() else {
                return false;
            };
            let start = places[part].first + row * places[part].stride;
            slices.push(&bytes[start..][..row_bytes]);
        }
        true
    }

    fn keeps_rows(&self) -> bool {
        true
    }

    fn selection(&self) -> Option<u64> {
        selection::of_parts(self.starts.iter().copied().zip(&self.columns))
    }

    fn chained(&self) -> Option<&[Column]> {
        Some(&self.columns)
    }
}
