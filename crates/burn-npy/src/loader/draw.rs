//! The rows of neighbouring batches, drawn together.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use burn_npy_core::Order;

use super::cut::Cut;

/// How many lists of row numbers wait for those who still look at them.
const MOST_SPARE: usize = 64;

/// What a thread that makes batches has at hand: the rows of a run of them, and memory that is used again.
#[derive(Debug, Default)]
pub(crate) struct Draw {
    rows: Arc<Vec<u64>>,
    /// Where the rows of each batch end, and how many of them are padding.
    ends: Vec<(usize, usize)>,
    first: u64,
    /// Lists of earlier runs, the oldest first.
    spare: VecDeque<Arc<Vec<u64>>>,
    /// For the rows of a batch as the gather wants them.
    pub(crate) items: Vec<usize>,
    /// Whether the files of the run were checked.
    pub(crate) checked: bool,
}

impl Draw {
    /// Draws the rows of some batches.
    pub(crate) fn draw(&mut self, cut: &Cut, order: &Order, batches: Range<u64>) {
        self.first = batches.start;
        self.checked = false;
        self.ends.clear();
        let free = self.free();
        let last = std::mem::replace(&mut self.rows, free);
        if last.capacity() > 0 && self.spare.len() < MOST_SPARE {
            self.spare.push_back(last);
        }
        // It is ours alone, so nothing is cloned.
        let rows = Arc::make_mut(&mut self.rows);
        rows.clear();
        cut.rows(batches, order, rows, |end, padding| {
            self.ends.push((end, padding));
        });
    }

    /// A list that nobody looks at any more, or a new one.
    fn free(&mut self) -> Arc<Vec<u64>> {
        let is_free = |list: &mut Arc<Vec<u64>>| Arc::get_mut(list).is_some();
        match self.spare.front_mut().is_some_and(is_free) {
            true => self.spare.pop_front().unwrap_or_default(),
            false => Arc::default(),
        }
    }

    fn range(&self, batch: u64) -> Range<usize> {
        let index = (batch - self.first) as usize;
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before].0);
        start..self.ends[index].0
    }

    /// The rows of one of the batches that were drawn, as a part of all, and how many of the last are padding.
    pub(crate) fn rows(&self, batch: u64) -> ((Arc<Vec<u64>>, Range<usize>), usize) {
        let (_, padding) = self.ends[(batch - self.first) as usize];
        ((self.rows.clone(), self.range(batch)), padding)
    }

    /// The rows of all batches that were drawn, and where those of each end.
    pub(crate) fn all(&self) -> (&[u64], impl Iterator<Item = usize>) {
        (&self.rows, self.ends.iter().map(|(end, _)| *end))
    }

    /// The rows that come after those of a batch, of which the next ones are at the front.
    pub(crate) fn after(&self, batch: u64) -> &[u64] {
        &self.rows[self.range(batch).end..]
    }
}
