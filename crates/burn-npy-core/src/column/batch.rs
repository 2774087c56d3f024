//! One gather over the columns of a batch.
//!
//! A shuffled gather waits for memory more than for anything else. So the rows of the batch are
//! prefetched in all columns at once.

use super::{Column, Draws};
use crate::Error;
use crate::gather::{Rows, Schedule};

/// Up to this size in bytes a row is short.
const SHORT_ROW: usize = 512;
/// How many short rows a column gathers before it is the turn of the next: what the first column
/// prefetched for the others is still in a near cache then.
const ROWS_PER_TURN: usize = 1024;

/// Copies the same rows of several columns, each as [`Column::gather`] does, into the memory that
/// is given with it.
///
/// # Errors
///
/// The index of the column that failed, and one of the errors of [`Column::gather`].
///
/// # Panics
///
/// As [`Column::gather`], if the memory of a column has the wrong length or alignment.
///
/// # Example
///
/// ```
/// # extern crate burn_npy_core as burn_npy;
/// use burn_npy::file::{Buffer, Column, gather_columns};
///
/// # fn main() -> burn_npy::Result<()> {
/// let features = Column::new(vec![0.5_f32, 1.5, 2.5].into())?;
/// let labels = Column::new(vec![7_i64, 8, 9].into())?;
/// let mut batch = [Buffer::zeroed(2 * 4)?, Buffer::zeroed(2 * 8)?];
/// let [a, b] = &mut batch;
/// let mut columns = [(&features, a.as_mut_slice()), (&labels, b.as_mut_slice())];
/// gather_columns(&mut columns, &[2, 0]).map_err(|(_, error)| error)?;
/// assert_eq!(bytemuck::cast_slice::<u8, i64>(batch[1].as_slice()), [9, 7]);
/// # Ok(())
/// # }
/// ```
pub fn gather_columns(
    columns: &mut [(&Column, &mut [u8])],
    rows: &[usize],
) -> Result<(), (usize, Error)> {
    let mut positions = Vec::new();
    if columns.iter().any(|(column, _)| column.depth() > 0) {
        positions.extend(rows.iter().map(|row| *row as u64));
    }
    let draws = Draws {
        seed: 0,
        epoch: 0,
        positions: &positions,
    };
    gather_drawn(columns, rows, draws)
}

/// As [`gather_columns`], for draws of an epoch. Columns without transforms need no positions.
///
/// # Errors
///
/// Those of [`gather_columns`].
///
/// # Panics
///
/// Those of [`gather_columns`].
pub fn gather_drawn(
    columns: &mut [(&Column, &mut [u8])],
    rows: &[usize],
    draws: Draws<'_>,
) -> Result<(), (usize, Error)> {
    for (index, (column, out)) in columns.iter().enumerate() {
        column.expect_memory(rows.len(), out);
        column.expect_rows(rows).map_err(|error| (index, error))?;
    }
    let files = files(columns, rows);
    // All that has to be fetched is on its way before the gather waits for the first of it.
    let is_far = |(_, part): &(usize, &Column)| part.array.storage().reader().is_some();
    if files.iter().any(is_far) {
        columns.iter().for_each(|(column, _)| column.request(rows));
    }
    let check =
        |(index, part): &(usize, &Column)| part.check_own().map_err(|error| (*index, error));
    // Before, since a copy from a map of a file that was truncated raises a signal.
    let mut raising = files.iter().filter(|(_, part)| part.may_raise());
    raising.try_for_each(check)?;
    let gathered = gather_checked(columns, rows, draws);
    // After, since a file may have changed meanwhile. That comes before an error of the gather, of
    // which it may be the cause.
    files.iter().try_for_each(check)?;
    gathered
}

/// A column in each file that some rows are made of, with the index of the column of the batch.
fn files<'a>(columns: &[(&'a Column, &mut [u8])], rows: &[usize]) -> Vec<(usize, &'a Column)> {
    let (mut files, mut previous) = (Vec::new(), Vec::new());
    for (index, (column, _)) in columns.iter().enumerate() {
        let mut sources = Vec::new();
        column.sources(rows, &mut sources);
        // Columns of the same files are mostly neighbours, and a second look does no harm.
        let known = |(at, source): (usize, &&Column)| {
            previous
                .get(at)
                .is_some_and(|known: &&Column| known.shares_file_with(source))
        };
        let new = sources.iter().enumerate().filter(|source| !known(*source));
        files.extend(new.map(|(_, source)| (index, *source)));
        previous = sources;
    }
    files
}

/// Gathers rows that exist into memory that fits them.
fn gather_checked(
    columns: &mut [(&Column, &mut [u8])],
    rows: &[usize],
    draws: Draws<'_>,
) -> Result<(), (usize, Error)> {
    let Some((&(first, _), others)) = columns.split_first() else {
        return Ok(());
    };
    let per_turn = if !others.is_empty() && first.row_bytes() <= SHORT_ROW {
        ROWS_PER_TURN
    } else {
        rows.len().max(1)
    };
    let others: Vec<Rows<'_>> = others
        .iter()
        .filter_map(|&(other, _)| rows_to_prefetch(first, other))
        .collect();
    for (start, turn) in (0..).step_by(per_turn).zip(rows.chunks(per_turn)) {
        let rest = &rows[start + turn.len()..];
        for (index, (column, out)) in columns.iter_mut().enumerate() {
            let schedule = Schedule {
                rows: turn,
                next: rest,
                draws: draws.part(start..start + turn.len()),
                others: if index == 0 { &others } else { &[] },
                // A derived column prefetches no rows of others.
                prefetched: index > 0 && first.derived.is_none(),
                non_temporal: false,
            };
            let row_bytes = column.row_bytes();
            let out = &mut out[start * row_bytes..][..turn.len() * row_bytes];
            column
                .gather_turn(schedule, out)
                .map_err(|error| (index, error))?;
        }
    }
    Ok(())
}

/// The rows of another column, if they should be prefetched with the first column.
fn rows_to_prefetch<'a>(first: &Column, other: &'a Column) -> Option<Rows<'a>> {
    // A column that lies within the rows of the first comes along with them.
    let come_along = first.shares_file_with(other)
        && first.array.data_offset() == other.array.data_offset()
        && first.row_stride == other.row_stride
        && first.row_stride <= SHORT_ROW;
    let rows = other.rows_of_pieces()?;
    (!come_along && (1..=SHORT_ROW).contains(&rows.row_bytes)).then_some(rows)
}
