//! Maps the rows of a dataset to rows of its files.

use burn_npy_core::order::Permutation;

/// Maps each row of a dataset to a file row. Its memory does not depend on the number of rows.
#[derive(Clone, Debug)]
pub(crate) struct RowMap {
    pub(super) len: usize,
    /// What was done to the dataset, the last step first.
    steps: Vec<RowStep>,
}

#[derive(Clone, Debug)]
enum RowStep {
    Skip(usize),
    Shuffle(Permutation),
}

impl RowMap {
    pub(super) fn new(len: usize) -> Self {
        Self {
            len,
            steps: Vec::new(),
        }
    }

    pub(super) fn skip(&mut self, count: usize) {
        let count = count.min(self.len);
        self.len -= count;
        match self.steps.first_mut() {
            Some(RowStep::Skip(skipped)) => *skipped += count,
            _ => self.steps.insert(0, RowStep::Skip(count)),
        }
    }

    pub(super) fn shuffle(&mut self, seed: u64) {
        // No loader reaches this epoch, so a split is never equal to the order of an epoch.
        let permutation = Permutation::new(self.len as u64, seed, u64::MAX);
        self.steps.insert(0, RowStep::Shuffle(permutation));
    }

    /// Whether each row of the dataset is the file row with the same index.
    pub(crate) fn is_identity(&self) -> bool {
        self.steps.is_empty()
    }

    /// The file row of a row of the dataset.
    pub(crate) fn map(&self, row: usize) -> usize {
        assert!(row < self.len, "row {row} of {}", self.len);
        let step = |row, step: &RowStep| match step {
            RowStep::Skip(count) => row + count,
            RowStep::Shuffle(permutation) => permutation.row(row as u64) as usize,
        };
        self.steps.iter().fold(row, step)
    }
}
