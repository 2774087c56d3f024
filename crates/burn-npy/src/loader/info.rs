//! What a batch is made of: its rows by number, and what a random transform of them may draw.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use burn_npy_core::RowRng;

/// Which rows a batch has, in which epoch, and random numbers that belong to them.
///
/// [`DataLoaderBuilder::map`](crate::DataLoaderBuilder::map) hands it to a transform together with the
/// batch, and [`LoaderIter::info`](crate::LoaderIter::info) gives that of the last batch. A clone
/// shares the row numbers.
#[derive(Clone)]
pub struct BatchInfo {
    epoch: u64,
    batch: u64,
    seed: u64,
    /// Those of several batches, and which of them are of this one.
    rows: (Arc<Vec<u64>>, Range<usize>),
    padding: usize,
}

impl PartialEq for BatchInfo {
    fn eq(&self, other: &Self) -> bool {
        let of = |info: &Self| (info.epoch, info.batch, info.seed, info.padding);
        of(self) == of(other) && self.rows() == other.rows()
    }
}

impl Eq for BatchInfo {}

impl BatchInfo {
    pub(crate) fn new(
        epoch: u64,
        batch: u64,
        seed: u64,
        rows: (Arc<Vec<u64>>, Range<usize>),
        padding: usize,
    ) -> Self {
        Self {
            epoch,
            batch,
            seed,
            rows,
            padding,
        }
    }

    /// The epoch, counted from 0.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The batch, counted from 0 in each epoch. After a resume with another batch size or another number of
    /// shards in the middle of an epoch, batches are counted from there.
    pub fn batch(&self) -> u64 {
        self.batch
    }

    /// The rows of the batch in its order: their numbers in the dataset that the loader was built from, which after a
    /// [`split`](crate::NpyDataset::split) are not those of the [files](crate::Row::index). Those at the end may be
    /// [`padding`](Self::padding). Rows that were skipped are not among them.
    pub fn rows(&self) -> &[u64] {
        let (rows, range) = &self.rows;
        &rows[range.clone()]
    }

    /// How many of the last rows only fill up the batch, so that all shards have as many: other batches
    /// have them too. Always 0 unless the loader has shards and [`Tail::Pad`](crate::Tail::Pad).
    pub fn padding(&self) -> usize {
        self.padding
    }

    /// A generator for the row at a place in the batch, keyed by the seed of the sampler (0 if it has none), the
    /// epoch and the row: the same numbers for any number of workers, batch size or shards. A row that comes
    /// twice in an epoch has the same ones each time.
    ///
    /// # Panics
    ///
    /// Panics if there are not so many rows.
    pub fn rng(&self, index: usize) -> RowRng {
        RowRng::new(self.seed, self.epoch, self.rows()[index])
    }

    /// The same batch with one of its rows.
    pub(crate) fn only(&self, index: usize) -> Self {
        let rows = self.rows();
        Self {
            padding: usize::from(index >= rows.len() - self.padding),
            rows: (Arc::new(vec![rows[index]]), 0..1),
            ..*self
        }
    }

    /// The same batch with the rows at some of the places.
    pub(crate) fn filtered(&self, keep: impl Fn(usize) -> bool) -> Self {
        let kept = |places: std::ops::Range<usize>| places.filter(|index| keep(*index));
        let rows = self.rows();
        let own = rows.len() - self.padding;
        let padding = kept(own..rows.len()).count();
        let rows: Vec<u64> = kept(0..rows.len()).map(|i| rows[i]).collect();
        let all = 0..rows.len();
        Self {
            padding,
            rows: (Arc::new(rows), all),
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
    use super::*;

    #[test]
    fn padding_is_counted_among_the_rows_that_stay() {
        let rows = Arc::new(vec![9, 10, 11, 12, 13, 14, 15]);
        let info = BatchInfo::new(1, 2, 3, (rows, 1..6), 2);
        let rest = info.filtered(|index| index != 1 && index != 4);
        assert_eq!((rest.rows(), rest.padding()), (&[10, 12, 13][..], 1));
        assert_eq!(
            (info.only(0).rows(), info.only(0).padding()),
            (&[10][..], 0)
        );
        let last = info.only(4);
        assert_eq!((last.rows(), last.padding()), (&[14][..], 1));
        assert_eq!(last.rng(0), info.rng(4));
    }
}
