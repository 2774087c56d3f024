//! Reads all numbers of an array, once, on all cores.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use burn_npy_core::{
    Array, Convert, DType, Error, ErrorKind, Result,
    file::{Buffer, Column},
};

use crate::open::locate;
use crate::progress::Progress;

/// How many numbers are read at a time, unless a row has more.
const NUMBERS: usize = 1 << 17;
/// The longest row in bytes. If it is longer, the rows are taken along the longest axis.
const ROW_BYTES: usize = 8 << 20;
/// The longest row that is read.
const MAX_ROW_BYTES: usize = 256 << 20;
/// How many parts the rows are divided into, at most. Each is folded in order, and so are the
/// parts, so the number of threads does not change the result.
const PARTS: usize = 256;

/// All numbers of an array, as rows of double precision.
#[derive(Debug)]
pub(crate) struct Scan {
    column: Column,
    /// The axis along which the rows lie.
    axis: Option<usize>,
    /// The dtype of numbers that are read as they are, because double precision cannot hold them.
    exact: Option<DType>,
    /// The size of a row in the file.
    stored_row_bytes: u64,
}

/// Some neighbouring rows.
#[derive(Debug)]
pub(crate) struct Chunk<'a> {
    /// The first row.
    pub(crate) first: usize,
    /// The numbers of the rows, one row after the other.
    pub(crate) numbers: &'a [f64],
    /// The same numbers, if they are integers of 64 bits.
    pub(crate) exact: Option<Exact<'a>>,
}

/// Integers that double precision cannot hold.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Exact<'a> {
    I64(&'a [i64]),
    U64(&'a [u64]),
}

impl Exact<'_> {
    /// One of the integers.
    pub(crate) fn get(self, at: usize) -> i128 {
        match self {
            Self::I64(numbers) => numbers[at].into(),
            Self::U64(numbers) => numbers[at].into(),
        }
    }

    /// The least and the greatest.
    pub(crate) fn range(self) -> Option<(i128, i128)> {
        match self {
            Self::I64(numbers) => range_of(numbers),
            Self::U64(numbers) => range_of(numbers),
        }
    }
}

impl Scan {
    /// The rows along the first axis, or along the longest if rows are too large.
    pub(crate) fn new(array: &Array) -> Result<Self> {
        let longest = (0..array.shape().len()).max_by_key(|axis| array.shape()[*axis]);
        let large = |row: usize| row.saturating_mul(size_of::<f64>()) > ROW_BYTES;
        let row: usize = array.shape().iter().skip(1).product();
        match longest {
            Some(axis) if large(row) => Self::along(array, axis),
            Some(_) => Self::along(array, 0),
            None => Self::of(Column::whole(array)?, array, None),
        }
    }

    /// The rows along an axis.
    fn along(array: &Array, axis: usize) -> Result<Self> {
        let rows = array.clone().rows_along(axis as isize)?;
        Self::of(Column::new(rows)?, array, Some(axis))
    }

    fn of(column: Column, array: &Array, axis: Option<usize>) -> Result<Self> {
        let exact = array.dtype();
        let exact = exact.filter(|dtype| matches!(dtype, DType::I64 | DType::U64));
        let column = match exact {
            Some(_) => column.unconverted(),
            None => column.convert(Convert::to::<f64>())?,
        };
        if column.row_bytes() > MAX_ROW_BYTES {
            let message = format!("a row of {} bytes is too large to read", column.row_bytes());
            return Err(locate(array, Error::new(ErrorKind::Limit, message)));
        }
        let numbers: usize = column.row_shape().iter().product();
        let size = array.dtype().map_or(1, DType::size);
        Ok(Self {
            stored_row_bytes: numbers as u64 * size as u64,
            column,
            axis,
            exact,
        })
    }

    /// The shape of a row.
    pub(crate) fn row_shape(&self) -> &[usize] {
        self.column.row_shape()
    }

    /// The axis of the array along which the rows lie; `None` for an array without axes.
    pub(crate) fn axis(&self) -> Option<usize> {
        self.axis
    }

    /// The size of the numbers in bytes, as the progress counts it.
    pub(crate) fn bytes(&self) -> u64 {
        (self.column.rows() as u64).saturating_mul(self.stored_row_bytes)
    }

    /// How many numbers a row has.
    pub(crate) fn row_len(&self) -> usize {
        self.row_shape().iter().product()
    }

    /// The indices of a number in the array, as NumPy counts them, from its row and its place in
    /// the row.
    pub(crate) fn index(&self, row: usize, place: usize) -> Vec<usize> {
        let mut rest = place;
        let mut index: Vec<_> = self
            .row_shape()
            .iter()
            .rev()
            .collect::<Vec<_>>()
            .into_iter()
            .map(|len| {
                let at = rest % len;
                rest /= len;
                at
            })
            .collect();
        index.reverse();
        if let Some(axis) = self.axis {
            index.insert(axis, row);
        }
        index
    }

    /// Calls `add` with all rows, in order within a part, and `merge` with the states of the parts,
    /// in order.
    pub(crate) fn fold<S: Send>(
        &self,
        progress: &Progress,
        new: impl Fn() -> S + Sync,
        add: impl Fn(&mut S, &Chunk<'_>) + Sync,
        merge: impl Fn(&mut S, S) + Sync,
    ) -> Result<S> {
        let rows = self.column.rows();
        if self.row_len() == 0 || rows == 0 {
            return Ok(new());
        }
        let rows_of_chunk = (NUMBERS / self.row_len()).max(1);
        let chunks = rows.div_ceil(rows_of_chunk);
        let rows_of_part = chunks.div_ceil(PARTS) * rows_of_chunk;
        let parts = rows.div_ceil(rows_of_part);
        let next = AtomicUsize::new(0);
        let failed = AtomicBool::new(false);
        let merged = Mutex::new(Merged {
            all: new(),
            done: 0,
            waiting: BTreeMap::new(),
        });
        let work = || -> Result<()> {
            let mut memory = self.memory(rows_of_chunk.min(rows))?;
            while !failed.load(Ordering::Relaxed) {
                let part = next.fetch_add(1, Ordering::Relaxed);
                if part >= parts {
                    break;
                }
                let start = part * rows_of_part;
                let end = rows.min(start + rows_of_part);
                let mut state = new();
                for first in (start..end).step_by(rows_of_chunk) {
                    let chunk = first..end.min(first + rows_of_chunk);
                    let rows = chunk.len() as u64;
                    self.read(chunk, &mut memory, |chunk| add(&mut state, chunk))?;
                    progress.advance(rows * self.stored_row_bytes);
                }
                let mut merged = merged.lock().unwrap_or_else(PoisonError::into_inner);
                merged.put(part, state, &merge);
            }
            Ok(())
        };
        let threads = thread::available_parallelism()
            .map_or(1, usize::from)
            .min(parts);
        let work = || work().inspect_err(|_| failed.store(true, Ordering::Relaxed));
        thread::scope(|scope| {
            let workers: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
            let own = work();
            let others = workers.into_iter().map(|worker| match worker.join() {
                Ok(done) => done,
                Err(payload) => std::panic::resume_unwind(payload),
            });
            others.fold(own, Result::and)
        })?;
        Ok(merged
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
            .all)
    }

    fn memory(&self, rows: usize) -> Result<Memory> {
        Ok(Memory {
            buffer: Buffer::zeroed(rows * self.column.row_bytes())?,
            rows: Vec::new(),
            numbers: Vec::new(),
        })
    }

    fn read(
        &self,
        rows: Range<usize>,
        memory: &mut Memory,
        then: impl FnOnce(&Chunk<'_>),
    ) -> Result<()> {
        let first = rows.start;
        memory.rows.clear();
        memory.rows.extend(rows);
        memory
            .buffer
            .set_len(memory.rows.len() * self.column.row_bytes());
        let bytes = memory.buffer.as_mut_slice();
        self.column.gather(&memory.rows, bytes)?;
        memory.numbers.clear();
        let numbers = &mut memory.numbers;
        let (numbers, exact) = match self.exact {
            Some(DType::I64) => {
                let exact: &[i64] = bytemuck::cast_slice(bytes);
                numbers.extend(exact.iter().map(|number| *number as f64));
                (&**numbers, Some(Exact::I64(exact)))
            }
            Some(_) => {
                let exact: &[u64] = bytemuck::cast_slice(bytes);
                numbers.extend(exact.iter().map(|number| *number as f64));
                (&**numbers, Some(Exact::U64(exact)))
            }
            None => (bytemuck::cast_slice(bytes), None),
        };
        then(&Chunk {
            first,
            numbers,
            exact,
        });
        Ok(())
    }
}

fn range_of<T: Copy + Ord + Into<i128>>(numbers: &[T]) -> Option<(i128, i128)> {
    let least = numbers.iter().copied().min()?;
    let greatest = numbers.iter().copied().max()?;
    Some((least.into(), greatest.into()))
}

/// What a thread reads into.
struct Memory {
    buffer: Buffer,
    rows: Vec<usize>,
    numbers: Vec<f64>,
}

/// The states of parts, merged in their order.
struct Merged<S> {
    all: S,
    /// How many parts are in `all`.
    done: usize,
    /// Parts that are done before those in front of them.
    waiting: BTreeMap<usize, S>,
}

impl<S> Merged<S> {
    fn put(&mut self, part: usize, state: S, merge: impl Fn(&mut S, S)) {
        self.waiting.insert(part, state);
        while let Some(state) = self.waiting.remove(&self.done) {
            merge(&mut self.all, state);
            self.done += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use burn_npy_core::ndarray::{Array1, Array3};

    use super::*;

    /// All numbers with their indices, in the order of the scan.
    fn read(array: &Array) -> Vec<(Vec<usize>, f64)> {
        let scan = Scan::new(array).unwrap();
        let add = |all: &mut Vec<_>, chunk: &Chunk<'_>| {
            for (at, number) in chunk.numbers.iter().enumerate() {
                let (row, place) = (at / scan.row_len(), at % scan.row_len());
                all.push((scan.index(chunk.first + row, place), *number));
            }
        };
        let progress = Progress::new(scan.bytes());
        scan.fold(&progress, Vec::new, add, |all, more| all.extend(more))
            .unwrap()
    }

    #[test]
    fn each_number_comes_once_with_its_indices() {
        let number = |(i, j, k): (usize, usize, usize)| (100 * i + 10 * j + k) as i32;
        for shape in [(7, 3, 2), (1, 1, 1), (40, 9, 9), (0, 3, 2), (3, 0, 2)] {
            let values = Array3::from_shape_fn(shape, number);
            let found = read(&Array::from(values.clone()));
            let expected = values.indexed_iter();
            let expected = expected.map(|((i, j, k), x)| (vec![i, j, k], f64::from(*x)));
            assert_eq!(found, expected.collect::<Vec<_>>());
        }
    }

    #[test]
    fn rows_that_are_too_large_are_taken_along_the_longest_axis() {
        let values = Array3::from_shape_fn((2, 1_100_000, 1), |(i, j, _)| (i + 3 * j) as f32);
        let scan = Scan::new(&Array::from(values.clone())).unwrap();
        assert_eq!((scan.row_len(), scan.index(5, 1)), (2, vec![1, 5, 0]));
        for (index, number) in read(&Array::from(values.clone())) {
            assert_eq!(values[[index[0], index[1], index[2]]], number as f32);
        }
    }

    #[test]
    fn the_range_of_large_integers_is_exact() {
        let values = vec![i64::MAX, i64::MAX - 1, 3];
        let scan = Scan::new(&Array::from(Array1::from(values))).unwrap();
        let add =
            |range: &mut Option<_>, chunk: &Chunk<'_>| *range = chunk.exact.and_then(Exact::range);
        let merge = |all: &mut Option<_>, more| *all = more;
        let range = scan.fold(&Progress::new(0), || None, add, merge).unwrap();
        assert_eq!(range, Some((3, i64::MAX.into())));
    }
}
