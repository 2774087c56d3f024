//! Finds rows of the same bytes.
//!
//! Only a key of each row is kept. The key of a row of up to eight bytes is the row itself. The key
//! of a longer row is a hash, and rows with the same hash are compared.

use std::collections::BinaryHeap;
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
    // The rows are read once for the keys, and those with the same hash a second time.
    let bytes = (rows.rows() as u64).saturating_mul(row_bytes as u64);
    let progress = Progress::new(bytes);
    let mut keys = keys(&rows, &progress)?;
    // Rows with the same key in their order.
    keys.sort_unstable();
    let mut pairs = Pairs::new(findings.most);
    let groups = || {
        keys.chunk_by(|a, b| a.0 == b.0)
            .filter(|group| group.len() > 1)
    };
    if row_bytes <= size_of::<u64>() {
        for group in groups() {
            for (_, row) in &group[1..] {
                pairs.add(*row, group[0].1);
            }
        }
    } else {
        let again: usize = groups().map(<[_]>::len).sum();
        progress.add_work((again as u64).saturating_mul(row_bytes as u64));
        let mut one = (Buffer::zeroed(row_bytes)?, Buffer::zeroed(row_bytes)?);
        for group in groups() {
            compare(&rows, group, &mut one, &progress, &mut pairs)?;
        }
    }
    let first = pairs.first.into_sorted_vec().into_iter();
    let first = first.map(|(row, other)| format!("row {row} is the same as row {other}"));
    let first: Vec<_> = first.collect();
    findings.list(label, &first, pairs.count)
}

/// Rows, each with the first row that is the same.
struct Pairs {
    /// How many are kept.
    most: usize,
    /// The first of them.
    first: BinaryHeap<(usize, usize)>,
    /// How many there are.
    count: u64,
}

impl Pairs {
    fn new(most: usize) -> Self {
        Self {
            most,
            first: BinaryHeap::new(),
            count: 0,
        }
    }

    fn add(&mut self, row: usize, other: usize) {
        self.count += 1;
        if self.first.len() < self.most {
            self.first.push((row, other));
        } else if let Some(mut last) = self.first.peek_mut()
            && row < last.0
        {
            *last = (row, other);
        }
    }
}

/// Compares rows with the same hash.
fn compare(
    rows: &Rows,
    group: &[(u64, usize)],
    one: &mut (Buffer, Buffer),
    progress: &Progress,
    pairs: &mut Pairs,
) -> Result<()> {
    let row_bytes = rows.row_bytes() as u64;
    // Different rows with the same hash are rare, so the first row is in memory all the time.
    let mut different = vec![group[0].1];
    let mut held = group[0].1;
    rows.read(held, 1, one.1.as_mut_slice())?;
    progress.advance(row_bytes);
    for (_, row) in &group[1..] {
        rows.read(*row, 1, one.0.as_mut_slice())?;
        let mut same = None;
        for other in &different {
            if held != *other {
                rows.read(*other, 1, one.1.as_mut_slice())?;
                held = *other;
            }
            if one.0.as_slice() == one.1.as_slice() {
                same = Some(*other);
                break;
            }
        }
        match same {
            Some(other) => pairs.add(*row, other),
            None => different.push(*row),
        }
        progress.advance(row_bytes);
    }
    Ok(())
}

/// The key of each row, with the row.
fn keys(rows: &Rows, progress: &Progress) -> Outcome<Vec<(u64, usize)>> {
    let row_bytes = rows.row_bytes();
    let at_once = (CHUNK / row_bytes).clamp(1, rows.rows());
    let mut keys = Vec::new();
    let no_memory = |_| format!("no memory for the keys of {} rows", rows.rows());
    keys.try_reserve_exact(rows.rows()).map_err(no_memory)?;
    let mut buffer = Buffer::zeroed(at_once * row_bytes)?;
    for first in (0..rows.rows()).step_by(at_once) {
        let count = at_once.min(rows.rows() - first);
        buffer.set_len(count * row_bytes);
        rows.read(first, count, buffer.as_mut_slice())?;
        let each = buffer.as_slice().chunks_exact(row_bytes);
        keys.extend(each.map(key).zip(first..));
        progress.advance((count * row_bytes) as u64);
    }
    Ok(keys)
}

/// The bytes of a short row, or the hash of a longer one.
fn key(row: &[u8]) -> u64 {
    let mut bytes = [0; size_of::<u64>()];
    if let Some(start) = bytes.get_mut(..row.len()) {
        start.copy_from_slice(row);
        return u64::from_le_bytes(bytes);
    }
    let mut hasher = DefaultHasher::new();
    hasher.write(row);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use burn_npy_core::ndarray::{Array2, ShapeBuilder};

    use super::*;

    /// What is printed about an array.
    fn found(array: &Array, most: usize) -> String {
        let mut out = Vec::new();
        let mut findings = Findings {
            out: &mut out,
            most,
            count: 0,
        };
        find(array, "x", &mut findings).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_row_that_was_there_before_is_found() {
        let value = |row: usize| (row * row) % 97;
        let same = |row: usize| (0..row).find(|other| value(*other) == value(row));
        let pairs: Vec<_> = (0..500).filter_map(|row| Some((row, same(row)?))).collect();
        // Rows of 2, 6, 8 and 10 bytes.
        for (columns, fortran) in [(1, false), (3, false), (3, true), (4, false), (5, true)] {
            let shape = (500, columns).set_f(fortran);
            let values = Array2::from_shape_fn(shape, |(i, j)| (value(i) + j) as u16);
            let array = Array::from(values);
            for most in [0, 1, 10, usize::MAX] {
                let mut expected = String::new();
                for (row, other) in pairs.iter().take(most) {
                    expected += &format!("x: row {row} is the same as row {other}\n");
                }
                if let Some(more @ 1..) = pairs.len().checked_sub(most) {
                    expected += &format!("x: and {more} more\n");
                }
                assert_eq!(found(&array, most), expected);
            }
        }
    }

    #[test]
    fn rows_with_the_same_hash_are_compared() {
        let values = Array2::from_shape_fn((6, 10), |(i, j)| [1_u8, 2, 1, 3, 2, 1][i] + j as u8);
        let rows = Rows::new(&Array::from(values)).unwrap();
        let mut one = (Buffer::zeroed(10).unwrap(), Buffer::zeroed(10).unwrap());
        let mut pairs = Pairs::new(9);
        let group: Vec<_> = (0..6).map(|row| (7, row)).collect();
        let progress = Progress::new(60);
        compare(&rows, &group, &mut one, &progress, &mut pairs).unwrap();
        assert_eq!(pairs.first.into_sorted_vec(), [(2, 0), (4, 1), (5, 0)]);
    }
}
