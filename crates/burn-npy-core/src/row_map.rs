//! Maps the rows of a dataset to rows of its columns.

mod mix;
mod runs;

use std::sync::Arc;

use crate::buffer::no_memory;
use crate::order::Permutation;
use crate::order::domain::is_random;
use crate::order::hash::Hash;
use crate::{Error, ErrorKind, Result};

use mix::Mix;
use runs::Runs;

/// Maps each row of a dataset to a row of its columns.
#[derive(Clone, Debug)]
pub struct RowMap {
    len: usize,
    /// The number of rows of the columns.
    columns: usize,
    /// What was done to the dataset, the last step first. A list is the first that was done.
    steps: Vec<RowStep>,
}

#[derive(Clone, Debug)]
enum RowStep {
    Skip(usize),
    Shuffle {
        seed: u64,
        permutation: Permutation,
    },
    /// Each row is this many behind the one before.
    Stride(usize),
    /// The rows start again after this many.
    Cycle(usize),
    List {
        rows: RowList,
        /// As [`is_random`].
        is_random: bool,
    },
    Runs(Runs),
    Mix(Mix),
}

/// Rows of the columns, which clones share. Most columns have so few that 4 bytes hold a row.
#[derive(Clone)]
enum RowList {
    Short(Arc<Vec<u32>>),
    Long(Arc<Vec<usize>>),
}

impl RowList {
    fn get(&self, index: usize) -> usize {
        match self {
            Self::Short(rows) => rows[index] as usize,
            Self::Long(rows) => rows[index],
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Short(rows) => rows.len(),
            Self::Long(rows) => rows.len(),
        }
    }

    fn numbers(&self) -> impl Iterator<Item = u64> + '_ {
        (0..self.len()).map(|index| self.get(index) as u64)
    }
}

/// A list may have millions of rows.
impl std::fmt::Debug for RowList {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut hash = Hash(0);
        hash.add(self.numbers());
        write!(f, "[{} rows: {:016x}]", self.len(), hash.0)
    }
}

impl RowMap {
    /// All rows of columns of `len` rows, in their order.
    pub fn new(len: usize) -> Self {
        Self {
            len,
            columns: len,
            steps: Vec::new(),
        }
    }

    /// The number of rows.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Keeps the first `count` rows, or all if there are fewer.
    pub fn take(&mut self, count: usize) {
        self.len = self.len.min(count);
    }

    /// Drops the first `count` rows, or all if there are fewer.
    pub fn skip(&mut self, count: usize) {
        let count = count.min(self.len);
        if count == 0 {
            return;
        }
        self.len -= count;
        match self.steps.first_mut() {
            Some(RowStep::Skip(skipped)) => *skipped += count,
            _ => self.steps.insert(0, RowStep::Skip(count)),
        }
    }

    /// Keeps every `stride`-th row, beginning with the first.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`] if `stride` is zero.
    pub fn step(&mut self, stride: usize) -> Result<()> {
        if stride == 0 {
            let message = "every 0th row; to keep all rows, give 1";
            return Err(Error::new(ErrorKind::Usage, message));
        }
        if stride > 1 {
            self.len = self.len.div_ceil(stride);
            self.steps.insert(0, RowStep::Stride(stride));
        }
        Ok(())
    }

    /// Has the rows `count` times, one after the other.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Overflow`] if there are too many then.
    pub fn repeat(&mut self, count: usize) -> Result<()> {
        let len = self.len.checked_mul(count);
        // A permutation has at most 2^63 rows.
        let Some(len) = len.filter(|len| *len <= isize::MAX as usize) else {
            let message = format!("{} rows {count} times are too many", self.len);
            return Err(Error::new(ErrorKind::Overflow, message));
        };
        if len > self.len {
            self.steps.insert(0, RowStep::Cycle(self.len));
        }
        self.len = len;
        Ok(())
    }

    /// Brings the rows into a random order.
    pub fn shuffle(&mut self, seed: u64) {
        // No loader reaches this epoch, so a split is never equal to the order of an epoch.
        let permutation = Permutation::new(self.len as u64, seed, u64::MAX);
        self.steps.insert(0, RowStep::Shuffle { seed, permutation });
    }

    /// The rows of a list. It holds rows of the columns, so that a list of a list costs no more
    /// than one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Row`] for a row that does not exist; [`ErrorKind::Limit`] when the allocator
    /// refuses.
    pub fn list(&self, rows: impl IntoIterator<Item = i128>) -> Result<Self> {
        let rows = rows.into_iter();
        let list = match u32::try_from(self.columns) {
            Ok(_) => RowList::Short(self.collect(rows, |row| row as u32)?),
            Err(_) => RowList::Long(self.collect(rows, |row| row)?),
        };
        Ok(Self {
            len: list.len(),
            columns: self.columns,
            steps: vec![RowStep::List {
                is_random: is_random(list.numbers()),
                rows: list,
            }],
        })
    }

    fn collect<T>(
        &self,
        mut rows: impl Iterator<Item = i128>,
        stored: impl Fn(usize) -> T,
    ) -> Result<Arc<Vec<T>>> {
        let mut list = Vec::new();
        while let Some(row) = rows.next() {
            let known = usize::try_from(row).ok().filter(|row| *row < self.len);
            let known = known.ok_or_else(|| {
                let message = format!(
                    "entry {} of the list is row {row}, but there are {} rows",
                    list.len(),
                    self.len
                );
                Error::new(ErrorKind::Row, message)
            })?;
            if list.len() == list.capacity() {
                // No more than there are rows: the list may be long and its first row not exist.
                let more = rows.size_hint().0.min(self.len).saturating_add(1);
                list.try_reserve(more)
                    .map_err(|_| no_memory(more.saturating_mul(size_of::<T>())))?;
            }
            list.push(stored(self.map(known)));
        }
        list.shrink_to_fit();
        Ok(Arc::new(list))
    }

    /// Whether each row of the dataset is the row of its columns with the same index.
    pub fn is_identity(&self) -> bool {
        self.steps.is_empty()
    }

    /// Whether columns that are read in the order of the rows are read at random. Rows that mostly
    /// ascend are read in order.
    pub fn is_random(&self) -> bool {
        let mut steps = self.steps.iter();
        steps.any(|step| match step {
            RowStep::Shuffle { .. } => true,
            RowStep::List { is_random, .. } => *is_random,
            RowStep::Runs(runs) => runs.is_random(),
            // Each part of a mix, and each turn of a cycle, is read in order.
            RowStep::Skip(_) | RowStep::Stride(_) | RowStep::Cycle(_) | RowStep::Mix(_) => false,
        })
    }

    /// A hash of how the rows are chosen, the same on every machine; `None` if they are the first
    /// rows of the columns, in their order. Other steps to the same rows may have another hash, but
    /// the number of rows that the columns have does not count.
    pub fn fingerprint(&self) -> Option<u64> {
        if self.is_identity() {
            return None;
        }
        let mut hash = Hash(self.len as u64);
        for step in &self.steps {
            match step {
                RowStep::Skip(count) => hash.add([0, *count as u64]),
                RowStep::Shuffle { seed, permutation } => {
                    hash.add([1, Permutation::VERSION.into(), *seed, permutation.len()]);
                }
                RowStep::Stride(stride) => hash.add([2, *stride as u64]),
                RowStep::Cycle(len) => hash.add([3, *len as u64]),
                RowStep::List { rows, .. } => {
                    hash.add([4]);
                    hash.add(rows.numbers());
                }
                RowStep::Runs(runs) => {
                    hash.add([5]);
                    runs.add_to(&mut hash);
                }
                RowStep::Mix(mix) => {
                    hash.add([6]);
                    mix.add_to(&mut hash);
                }
            }
        }
        Some(hash.0)
    }

    /// The row of the columns that a row of the dataset is.
    ///
    /// # Panics
    ///
    /// Panics if the row is not below [`len`](Self::len).
    pub fn map(&self, row: usize) -> usize {
        assert!(row < self.len, "row {row} of {}", self.len);
        let step = |row, step: &RowStep| match step {
            RowStep::Skip(count) => row + count,
            RowStep::Shuffle { permutation, .. } => permutation.row(row as u64) as usize,
            RowStep::Stride(stride) => row * stride,
            RowStep::Cycle(len) => row % len,
            RowStep::List { rows, .. } => rows.get(row),
            RowStep::Runs(runs) => runs.row(row),
            RowStep::Mix(mix) => mix.row(row),
        };
        self.steps.iter().fold(row, step)
    }

    /// Keeps the rows of runs: each begins at a row and has a number of rows that are `stride`
    /// apart. With a stride of 0 it has one row so many times.
    pub fn runs(&mut self, stride: usize, runs: impl IntoIterator<Item = (usize, usize)>) {
        let runs = Runs::new(stride, runs);
        self.len = runs.len();
        if !runs.is_identity() {
            self.steps.insert(0, RowStep::Runs(runs));
        }
    }

    /// Takes rows of several parts in turn, in proportion to their weights, which are positive. The
    /// parts, of which there is at least one, follow each other. The rows end before a part would
    /// have to give a row twice.
    pub fn mix(&mut self, parts: &[(usize, f64)]) {
        let mix = Mix::new(parts);
        self.len = mix.len();
        self.steps.insert(0, RowStep::Mix(mix));
    }

    /// How many of the rows after a row may share rows of an array with it, if of the columns
    /// `overlap` do. [`usize::MAX`] if it may be any of the rows.
    pub fn overlap(&self, overlap: usize) -> usize {
        let of_step = |overlap, step: &RowStep| match (overlap, step) {
            (0 | usize::MAX, _) | (_, RowStep::Skip(_)) => overlap,
            (_, RowStep::Runs(runs)) => runs.overlap(overlap),
            (_, RowStep::Stride(stride)) => overlap / stride,
            _ => usize::MAX,
        };
        // The last step is the one next to the columns.
        self.steps.iter().rev().fold(overlap, of_step)
    }
}

#[cfg(test)]
mod tests;
