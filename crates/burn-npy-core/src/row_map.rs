//! Maps the rows of a dataset to rows of its columns.

use crate::order::Permutation;

/// Maps each row of a dataset to a row of its columns.
#[derive(Clone, Debug)]
pub struct RowMap {
    len: usize,
    /// What was done to the dataset, the last step first.
    steps: Vec<RowStep>,
}

#[derive(Clone, Debug)]
enum RowStep {
    Skip(usize),
    Shuffle(Permutation),
}

impl RowMap {
    /// All rows of columns of `len` rows, in their order.
    pub fn new(len: usize) -> Self {
        Self {
            len,
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
        self.len -= count;
        match self.steps.first_mut() {
            Some(RowStep::Skip(skipped)) => *skipped += count,
            _ => self.steps.insert(0, RowStep::Skip(count)),
        }
    }

    /// Brings the rows into a random order.
    pub fn shuffle(&mut self, seed: u64) {
        // No loader reaches this epoch, so a split is never equal to the order of an epoch.
        let permutation = Permutation::new(self.len as u64, seed, u64::MAX);
        self.steps.insert(0, RowStep::Shuffle(permutation));
    }

    /// Whether each row of the dataset is the row of its columns with the same index.
    pub fn is_identity(&self) -> bool {
        self.steps.is_empty()
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
            RowStep::Shuffle(permutation) => permutation.row(row as u64) as usize,
        };
        self.steps.iter().fold(row, step)
    }
}
