//! The rows of neighbouring batches, drawn together.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

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
    /// How long code of the user ran for what was drawn since it was taken last.
    pub(crate) user: Duration,
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
        // It is the oldest, unless somebody keeps a batch.
        let found = self.spare.iter_mut().position(is_free);
        found
            .and_then(|index| self.spare.remove(index))
            .unwrap_or_default()
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

#[cfg(test)]
mod tests {
    use burn_npy_core::{Sampler, Shard, Tail};

    use super::super::cut::Cutter;
    use super::*;

    #[test]
    fn lists_are_used_again_though_somebody_keeps_one() {
        let cutter = Cutter {
            positions: 1000,
            batch_size: 10,
            drop_last: false,
            shard: Shard::WHOLE,
            tail: Tail::default(),
            slice: None,
        };
        let (cut, order) = (cutter.cut(0), Sampler::sequential().order(1000, 0));
        let mut draw = Draw::default();
        let mut kept = None;
        for batch in 0..100 {
            draw.draw(&cut, &order, batch..batch + 1);
            let ((rows, range), _) = draw.rows(batch);
            assert_eq!(rows[range][0], 10 * batch);
            kept.get_or_insert(rows);
            assert!(draw.spare.len() <= 2);
        }
    }
}
