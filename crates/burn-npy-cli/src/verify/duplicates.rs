//! Finds rows of the same bytes.
//!
//! Only a hash of each row is kept. Rows with the same hash are compared.

use std::hash::{DefaultHasher, Hasher};

use burn_npy_core::{
    Array, Error, ErrorKind, Result,
    file::{Buffer, Column, Layout},
};

use super::Findings;
use crate::failure::{Failure, Outcome};
use crate::progress::Progress;

/// How many bytes of rows are read at a time, unless a row has more.
const CHUNK: usize = 1 << 20;
/// The longest row that is read.
const MAX_ROW_BYTES: usize = 256 << 20;

/// Where the bytes of rows come from.
enum Rows {
    /// Rows of numbers.
    Numbers(Column),
    /// Structures and opaque items, one row after the other.
    Stored {
        array: Array,
        rows: usize,
        row_bytes: usize,
    },
}

impl Rows {
    fn new(array: &Array) -> Result<Self> {
        let rows = array.shape().first().copied().unwrap_or(0);
        if array.dtype().is_some() && !array.shape().is_empty() {
            return Ok(Self::Numbers(Column::new(array.clone())?.unconverted()));
        }
        if array.layout() == Layout::Fortran && array.shape().len() > 1 {
            let message = "rows of structures in Fortran order cannot be compared; compare a field";
            return Err(Error::new(ErrorKind::Usage, message));
        }
        Ok(Self::Stored {
            row_bytes: array.nbytes() / rows.max(1),
            array: array.clone(),
            rows,
        })
    }

    fn rows(&self) -> usize {
        match self {
            Self::Numbers(column) => column.rows(),
            Self::Stored { rows, .. } => *rows,
        }
    }

    fn row_bytes(&self) -> usize {
        match self {
            Self::Numbers(column) => column.row_bytes(),
            Self::Stored { row_bytes, .. } => *row_bytes,
        }
    }

    /// Reads neighbouring rows.
    fn read(&self, first: usize, count: usize, out: &mut [u8]) -> Result<()> {
        match self {
            Self::Numbers(column) => {
                let rows: Vec<_> = (first..first + count).collect();
                column.gather(&rows, out)
            }
            Self::Stored {
                array, row_bytes, ..
            } => array.read_bytes(first * row_bytes, out),
        }
    }
}

/// Lists rows that are the same as a row before them.
pub(super) fn find(array: &Array, label: &str, findings: &mut Findings<'_>) -> Outcome<()> {
    let rows = Rows::new(array)?;
    let row_bytes = rows.row_bytes();
    if row_bytes == 0 || rows.rows() < 2 {
        return Ok(());
    }
    if row_bytes > MAX_ROW_BYTES {
        let message = format!("{label}: a row of {row_bytes} bytes is too large to compare");
        return Err(Failure::Message(message));
    }
    let mut hashes = hashes(&rows)?;
    // Rows with the same hash in their order.
    hashes.sort_unstable();
    let mut pairs = Vec::new();
    let mut one = (Buffer::zeroed(row_bytes)?, Buffer::zeroed(row_bytes)?);
    for group in hashes
        .chunk_by(|a, b| a.0 == b.0)
        .filter(|group| group.len() > 1)
    {
        // Different rows with the same hash are rare.
        let mut different: Vec<usize> = Vec::new();
        for (_, row) in group {
            rows.read(*row, 1, one.0.as_mut_slice())?;
            let mut same = None;
            for other in &different {
                rows.read(*other, 1, one.1.as_mut_slice())?;
                if one.0.as_slice() == one.1.as_slice() {
                    same = Some(*other);
                    break;
                }
            }
            match same {
                Some(other) => pairs.push((*row, other)),
                None => different.push(*row),
            }
        }
    }
    pairs.sort_unstable();
    let first = pairs.iter().take(findings.most);
    let first = first.map(|(row, other)| format!("row {row} is the same as row {other}"));
    let first: Vec<_> = first.collect();
    findings.list(label, &first, pairs.len() as u64)
}

/// The hash of each row, with the row.
fn hashes(rows: &Rows) -> Outcome<Vec<(u64, usize)>> {
    let row_bytes = rows.row_bytes();
    let at_once = (CHUNK / row_bytes).clamp(1, rows.rows());
    let progress = Progress::new(rows.rows() as u64 * row_bytes as u64);
    let mut hashes = Vec::new();
    let no_memory = |_| format!("no memory for the hashes of {} rows", rows.rows());
    hashes.try_reserve_exact(rows.rows()).map_err(no_memory)?;
    let mut buffer = Buffer::zeroed(at_once * row_bytes)?;
    for first in (0..rows.rows()).step_by(at_once) {
        let count = at_once.min(rows.rows() - first);
        buffer.set_len(count * row_bytes);
        rows.read(first, count, buffer.as_mut_slice())?;
        for (row, bytes) in (first..).zip(buffer.as_slice().chunks_exact(row_bytes)) {
            let mut hasher = DefaultHasher::new();
            hasher.write(bytes);
            hashes.push((hasher.finish(), row));
        }
        progress.advance((count * row_bytes) as u64);
    }
    Ok(hashes)
}

#[cfg(test)]
mod tests {
    use burn_npy_core::ndarray::{Array2, ShapeBuilder};

    use super::*;

    #[test]
    fn each_row_that_was_there_before_is_found() {
        let value = |row: usize| (row * row) % 97;
        for fortran in [false, true] {
            let shape = (500, 3).set_f(fortran);
            let values = Array2::from_shape_fn(shape, |(i, j)| (value(i) + j) as u16);
            let mut out = Vec::new();
            let mut findings = Findings {
                out: &mut out,
                most: usize::MAX,
                count: 0,
            };
            find(&Array::from(values), "x", &mut findings).unwrap();
            let mut expected = String::new();
            for row in 0..500 {
                if let Some(other) = (0..row).find(|other| value(*other) == value(row)) {
                    expected += &format!("x: row {row} is the same as row {other}\n");
                }
            }
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}
