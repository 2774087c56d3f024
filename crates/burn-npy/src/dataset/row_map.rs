//! Which rows of the files a dataset has.

use burn_npy_core::Permutation;

/// Which rows of the files the dataset has, in which order. It takes no memory, however many
/// rows there are.
#[derive(Clone, Debug)]
pub(crate) struct RowMap {
    pub(super) len: usize,
    /// What happened to the rows, the last first.
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
        // An epoch that no loader reaches, so that a split is not the order of an epoch.
        let permutation = Permutation::new(self.len as u64, seed, u64::MAX);
        self.steps.insert(0, RowStep::Shuffle(permutation));
    }

    /// Whether indices of the dataset are rows of the files.
    pub(crate) fn is_identity(&self) -> bool {
        self.steps.is_empty()
    }

    /// The row of the files at an index of the dataset.
    pub(crate) fn map(&self, index: usize) -> usize {
        assert!(index < self.len, "row {index} of {}", self.len);
        let step = |index, step: &RowStep| match step {
            RowStep::Skip(count) => index + count,
            RowStep::Shuffle(permutation) => permutation.row(index as u64) as usize,
        };
        self.steps.iter().fold(index, step)
    }
}
