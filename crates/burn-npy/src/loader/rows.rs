//! The rows of a batch: their numbers, where they stand in the order, and random numbers for them.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use burn_npy_core::internal::Draws;
use burn_npy_core::order::PositionRng;

use super::report::Counters;
use crate::Result;
use crate::epoch_plan::Rows;

/// What a thread that loads batches works with: memory that it uses again, and counters.
#[derive(Debug, Default)]
pub(crate) struct RowScratch {
    pub(crate) counters: Arc<Counters>,
    /// Lists of earlier claims, the oldest first; batches may still share them.
    lists: VecDeque<Arc<Rows>>,
    /// The rows of a claim as rows of the files.
    pub(crate) file_rows: Vec<usize>,
}

/// How many lists a thread keeps.
const MAX_LISTS: usize = 64;

impl RowScratch {
    pub(crate) fn new(counters: Arc<Counters>) -> Self {
        Self {
            counters,
            ..Self::default()
        }
    }

    /// An empty list that nobody else shares.
    pub(crate) fn take(&mut self) -> Arc<Rows> {
        // It is the oldest, unless somebody keeps a batch.
        let free = |list: &mut Arc<Rows>| Arc::get_mut(list).map(Rows::clear).is_some();
        let found = self.lists.iter_mut().position(free);
        let list = found.and_then(|index| self.lists.remove(index));
        list.unwrap_or_default()
    }

    /// Keeps a list for later.
    pub(crate) fn keep(&mut self, list: Arc<Rows>) {
        if self.lists.len() < MAX_LISTS {
            self.lists.push_back(list);
        }
    }
}

/// Which rows a batch has, in which epoch, at which positions, and random numbers for each of them.
///
/// [`DataLoaderBuilder::map`](crate::DataLoaderBuilder::map) passes it to a transform together with
/// the batch, and [`LoaderIter::info`](crate::LoaderIter::info) returns it for the last batch. A
/// clone shares the row numbers.
#[derive(Clone)]
pub struct BatchInfo {
    epoch: u64,
    batch: u64,
    seed: u64,
    /// The rows of several batches, and the range of them that belongs to this batch.
    rows: (Arc<Rows>, Range<usize>),
    padding: usize,
    /// Whether its pass begins with it.
    pub(crate) is_first: bool,
    /// Whether a row of a batch is loaded alone, to see whether it can be. What is done to whole
    /// batches is not done to it.
    pub(crate) is_trial: bool,
}

impl BatchInfo {
    pub(crate) fn new(
        epoch: u64,
        batch: u64,
        seed: u64,
        rows: (Arc<Rows>, Range<usize>),
        padding: usize,
    ) -> Self {
        Self {
            epoch,
            batch,
            seed,
            rows,
            padding,
            is_first: false,
            is_trial: false,
        }
    }

    /// The epoch, counted from 0.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The batch, counted from 0 in each epoch. After a resume with another batch size or another
    /// number of shards in the middle of an epoch, batches are counted from there.
    pub fn batch(&self) -> u64 {
        self.batch
    }

    /// The rows of the batch in its order: their numbers in the dataset that the loader was built
    /// from, which after a [`split`](crate::NpyDataset::split) are not those of the
    /// [files](crate::Row::index). Those at the end may be [`padding`](Self::padding). Rows that
    /// were skipped are not among them.
    pub fn rows(&self) -> &[u64] {
        let (all, range) = &self.rows;
        &all.numbers()[range.clone()]
    }

    /// The rows of neighbouring batches that were drawn together, in their order.
    pub(crate) fn joined(batches: &[Self]) -> &[u64] {
        let [(all, first), (_, last)] = [&batches[0].rows, &batches[batches.len() - 1].rows];
        &all.numbers()[first.start..last.end]
    }

    /// The positions of the [`rows`](Self::rows) in the [order](crate::order::Order) of the epoch,
    /// counted from 0: the same for any batch size and number of shards, and after a resume in the
    /// middle of the epoch. A row that the epoch has more than once has another position each time.
    /// [Padding](Self::padding) has the position of the row that it repeats.
    pub fn positions(&self) -> impl ExactSizeIterator<Item = u64> + '_ {
        let (all, range) = &self.rows;
        range.clone().map(|index| all.position(index))
    }

    /// How many of the last rows are repeated from other batches, so that all shards have as many
    /// batches. Always 0 unless the loader has shards and
    /// [`Remainder::Pad`](crate::order::Remainder::Pad).
    pub fn padding(&self) -> usize {
        self.padding
    }

    /// A generator for one of the rows, by its index in the batch: keyed by the seed of the sampler
    /// (0 if it has none), the epoch and the [position](Self::positions). So it gives the same
    /// numbers for any number of workers, batch size or shards, and a row that is drawn fifty times
    /// in an epoch has fifty generators. Padding has the generator of the row that it repeats.
    ///
    /// # Panics
    ///
    /// Panics if `index` is not below the number of [`rows`](Self::rows).
    pub fn rng(&self, index: usize) -> PositionRng {
        let (all, range) = &self.rows;
        assert!(index < range.len(), "row {index} of {}", range.len());
        PositionRng::new(self.seed, self.epoch, all.position(range.start + index))
    }

    /// The draws of the rows, which are at these positions.
    pub(crate) fn draws<'a>(&self, positions: &'a [u64]) -> Draws<'a> {
        Draws {
            seed: self.seed,
            epoch: self.epoch,
            positions,
        }
    }

    /// Rows outside of a loader, each at the position of its number.
    pub(crate) fn of_rows(numbers: impl Iterator<Item = u64>) -> Result<Self> {
        let mut rows = Rows::default();
        for row in numbers {
            rows.push(row, row)?;
        }
        let range = 0..rows.numbers().len();
        Ok(Self::new(0, 0, 0, (Arc::new(rows), range), 0))
    }

    /// The batch with only the row at an index, to see whether that can be loaded.
    pub(crate) fn only(&self, index: usize) -> Self {
        let (all, range) = &self.rows;
        let start = range.start + index;
        Self {
            rows: (all.clone(), start..start + 1),
            padding: usize::from(index + self.padding >= range.len()),
            is_trial: true,
            ..*self
        }
    }

    /// The batch with other rows, of which so many of the last ones are padding.
    pub(crate) fn with_rows(&self, rows: Rows, padding: usize) -> Self {
        let range = 0..rows.numbers().len();
        Self {
            rows: (Arc::new(rows), range),
            padding,
            ..*self
        }
    }
}

impl fmt::Debug for BatchInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchInfo")
            .field("epoch", &self.epoch)
            .field("batch", &self.batch)
            .field("rows", &self.rows())
            .field("padding", &self.padding)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use burn_npy_core::Sampler;

    use super::*;

    #[test]
    fn rows_that_stay_keep_their_positions_and_generators() {
        let order = Sampler::shuffled(9).order(100, 1);
        let mut all = Rows::default();
        // The last ones are padding, from the start of the epoch.
        for positions in [20..24, 50..51, 0..2] {
            all.extend(&order, positions).unwrap();
        }
        let info = BatchInfo::new(1, 2, 3, (Arc::new(all), 1..7), 2);
        let positions = |info: &BatchInfo| Vec::from_iter(info.positions());
        assert_eq!(positions(&info), [21, 22, 23, 50, 0, 1]);
        assert_eq!(info.rng(3), PositionRng::new(3, 1, 50));

        let mut kept = Rows::default();
        for position in [21, 23, 50, 1] {
            kept.push(order.row(position), position).unwrap();
        }
        let rest = info.with_rows(kept, 1);
        assert_eq!((positions(&rest), rest.padding()), (vec![21, 23, 50, 1], 1));
        let rows = [21, 23, 50, 1].map(|position| order.row(position));
        assert_eq!(rest.rows(), rows);
        for (index, old) in [0, 2, 3, 5].into_iter().enumerate() {
            assert_eq!(rest.rng(index), info.rng(old));
        }
        for index in 0..6 {
            let only = info.only(index);
            assert_eq!(
                (only.rows(), only.rng(0)),
                (&info.rows()[index..][..1], info.rng(index))
            );
            assert_eq!(only.padding(), usize::from(index >= 4));
        }
    }

    #[test]
    fn lists_are_used_again_though_somebody_keeps_one() {
        let mut scratch = RowScratch::default();
        let kept = scratch.take();
        scratch.keep(kept.clone());
        for _ in 0..100 {
            let list = scratch.take();
            assert!(!Arc::ptr_eq(&list, &kept) && list.numbers().is_empty());
            scratch.keep(list);
            assert!(scratch.lists.len() <= 2);
        }
    }
}
