//! The rows of neighbouring batches, drawn together.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use burn_npy_core::Order;

use super::cut::Cut;

/// How many lists of row numbers wait for those who still look at them.
const MOST_SPARE: usize = 64;

/// Rows, and where in the order of the epoch they stand.
#[derive(Clone, Debug, Default)]
pub(crate) struct Drawn {
    rows: Vec<u64>,
    /// Where positions begin that follow each other: the index of the first row, and its position.
    runs: Vec<(usize, u64)>,
}

impl Drawn {
    pub(crate) fn rows(&self) -> &[u64] {
        &self.rows
    }

    /// The position of the row at an index.
    pub(crate) fn position(&self, index: usize) -> u64 {
        let behind = self.runs.partition_point(|(first, _)| *first <= index);
        let (first, position) = self.runs[behind - 1];
        position + (index - first) as u64
    }

    /// Puts the rows at some positions behind what is there.
    ///
    /// # Panics
    ///
    /// Panics if there is no memory for them; who draws has a guard.
    pub(crate) fn extend(&mut self, order: &Order, positions: Range<u64>) {
        if positions.is_empty() {
            return;
        }
        let start = self.rows.len();
        let count = (positions.end - positions.start) as usize;
        self.rows
            .try_reserve(count)
            .unwrap_or_else(|_| panic!("no memory for the numbers of {count} rows"));
        self.rows.resize(start + count, 0);
        self.runs.push((start, positions.start));
        order.fill(positions, &mut self.rows[start..]);
    }

    /// Puts a row behind what is there.
    pub(crate) fn push(&mut self, row: u64, position: u64) {
        let index = self.rows.len();
        if index == 0 || self.position(index) != position {
            self.runs.push((index, position));
        }
        self.rows.push(row);
    }

    fn clear(&mut self) {
        self.rows.clear();
        self.runs.clear();
    }
}

/// What a thread that makes batches has at hand: the rows of a run of them, and memory that is used
/// again.
#[derive(Debug, Default)]
pub(crate) struct Draw {
    drawn: Arc<Drawn>,
    /// Where the rows of each batch end, and how many of them are padding.
    ends: Vec<(usize, usize)>,
    first: u64,
    /// Lists of earlier runs, the oldest first.
    spare: VecDeque<Arc<Drawn>>,
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
        let last = std::mem::replace(&mut self.drawn, free);
        if last.rows.capacity() > 0 && self.spare.len() < MOST_SPARE {
            self.spare.push_back(last);
        }
        // It is ours alone, so nothing is cloned.
        let drawn = Arc::make_mut(&mut self.drawn);
        drawn.clear();
        cut.rows(batches, order, drawn, |end, padding| {
            self.ends.push((end, padding));
        });
    }

    /// A list that nobody looks at any more, or a new one.
    fn free(&mut self) -> Arc<Drawn> {
        let is_free = |list: &mut Arc<Drawn>| Arc::get_mut(list).is_some();
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

    /// The rows of one of the batches that were drawn, as a part of all, and how many of the last
    /// are padding.
    pub(crate) fn rows(&self, batch: u64) -> ((Arc<Drawn>, Range<usize>), usize) {
        let (_, padding) = self.ends[(batch - self.first) as usize];
        ((self.drawn.clone(), self.range(batch)), padding)
    }

    /// The rows of all batches that were drawn, and where those of each end.
    pub(crate) fn all(&self) -> (&[u64], impl Iterator<Item = usize>) {
        (&self.drawn.rows, self.ends.iter().map(|(end, _)| *end))
    }

    /// The rows that come after those of a batch, of which the next ones are at the front.
    pub(crate) fn after(&self, batch: u64) -> &[u64] {
        &self.drawn.rows[self.range(batch).end..]
    }
}

#[cfg(test)]
mod tests {
    use burn_npy_core::{Remainder, Sampler, Shard};

    use super::super::cut::Cutter;
    use super::*;

    #[test]
    fn lists_are_used_again_though_somebody_keeps_one() {
        let cutter = Cutter {
            positions: 1000,
            batch_size: 10,
            drop_last: false,
            shard: Shard::WHOLE,
            tail: Remainder::default(),
            slice: None,
        };
        let (cut, order) = (cutter.cut(0), Sampler::sequential().order(1000, 0));
        let mut draw = Draw::default();
        let mut kept = None;
        for batch in 0..100 {
            draw.draw(&cut, &order, batch..batch + 1);
            let ((drawn, range), _) = draw.rows(batch);
            assert_eq!(drawn.rows()[range][0], 10 * batch);
            kept.get_or_insert(drawn);
            assert!(draw.spare.len() <= 2);
        }
    }

    #[test]
    fn each_row_knows_its_position() {
        let order = Sampler::shuffled(1).order(100, 0);
        let mut drawn = Drawn::default();
        let mut expected = Vec::new();
        for positions in [7..12, 3..3, 40..41, 41..44, 0..2, 99..100] {
            drawn.extend(&order, positions.clone());
            expected.extend(positions);
        }
        for position in [98, 99, 5, 6, 7, 7] {
            drawn.push(order.row(position), position);
            expected.push(position);
        }
        let found = (0..drawn.rows().len()).map(|index| drawn.position(index));
        assert_eq!(Vec::from_iter(found), expected);
        let rows = expected.iter().map(|position| order.row(*position));
        assert_eq!(drawn.rows(), Vec::from_iter(rows));
        // Those that follow each other take no memory each.
        assert_eq!(drawn.runs.len(), 8);
    }
}
