//! Runs of rows, such as the first rows of the windows in each of several groups.

use std::fmt;

use crate::order::domain::is_random;
use crate::order::hash::Hash;

/// Rows that lie in runs.
#[derive(Clone)]
pub(super) struct Runs {
    stride: usize,
    /// Of each run: how many rows the runs before it have, and the row where it begins.
    runs: Vec<(usize, usize)>,
    len: usize,
    /// The smallest distance between two rows; 0 if one may come before or equal an earlier one.
    apart: usize,
    /// As [`is_random`], of where the runs begin.
    is_random: bool,
}

/// There may be millions of runs.
impl fmt::Debug for Runs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut hash = Hash(0);
        self.add_to(&mut hash);
        let (rows, runs) = (self.len, self.runs.len());
        write!(f, "[{rows} rows in {runs} runs: {:016x}]", hash.0)
    }
}

impl Runs {
    /// Runs of pairs of their first row and their number of rows, one behind the other.
    pub(super) fn new(stride: usize, of: impl IntoIterator<Item = (usize, usize)>) -> Self {
        let (mut runs, mut len, mut apart) = (Vec::new(), 0, usize::MAX);
        let mut last = None::<usize>;
        for (start, count) in of.into_iter().filter(|(_, count)| *count > 0) {
            if let Some(last) = last {
                apart = apart.min(start.saturating_sub(last));
            }
            if count > 1 {
                apart = apart.min(stride);
            }
            last = Some(start + (count - 1) * stride);
            runs.push((len, start));
            len += count;
        }
        Self {
            stride,
            is_random: is_random(runs.iter().map(|(_, start)| *start as u64)),
            runs,
            len,
            apart,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Whether the rows jump about from run to run.
    pub(super) fn is_random(&self) -> bool {
        self.is_random
    }

    /// Whether each row is the one with its index.
    pub(super) fn is_identity(&self) -> bool {
        self.stride == 1 && self.runs.iter().all(|(before, start)| before == start)
    }

    /// Adds where each run begins.
    pub(super) fn add_to(&self, hash: &mut Hash) {
        hash.add([self.stride as u64]);
        let runs = self.runs.iter();
        hash.add(runs.flat_map(|(before, start)| [*before as u64, *start as u64]));
    }

    /// How many of the rows after a row may share rows of an array with it, if of all rows
    /// `overlap` do. [`usize::MAX`] if it may be any of the rows.
    pub(super) fn overlap(&self, overlap: usize) -> usize {
        overlap.checked_div(self.apart).unwrap_or(usize::MAX)
    }

    /// The row at an index, which is below [`len`](Self::len).
    pub(super) fn row(&self, index: usize) -> usize {
        let run = self.runs.partition_point(|(before, _)| *before <= index) - 1;
        let (before, start) = self.runs[run];
        start + (index - before) * self.stride
    }
}
