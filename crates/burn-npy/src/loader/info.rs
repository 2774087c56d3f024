//! What a batch is made of: its rows by number, and what a random transform of them may draw.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use burn_npy_core::PositionRng;

use super::draw::Drawn;

/// Which rows a batch has, in which epoch, at which positions, and random numbers for each of them.
///
/// [`DataLoaderBuilder::map`](crate::DataLoaderBuilder::map) hands it to a transform together with
/// the batch, and [`LoaderIter::info`](crate::LoaderIter::info) gives that of the last batch. A
/// clone shares the row numbers.
#[derive(Clone)]
pub struct BatchInfo {
    epoch: u64,
    batch: u64,
    seed: u64,
    /// Those of several batches, and which of them are of this one.
    rows: (Arc<Drawn>, Range<usize>),
    padding: usize,
}

impl PartialEq for BatchInfo {
    fn eq(&self, other: &Self) -> bool {
        let of = |info: &Self| (info.epoch, info.batch, info.seed, info.padding);
        of(self) == of(other)
            && self.rows() == other.rows()
            && self.positions().eq(other.positions())
    }
}

impl Eq for BatchInfo {}

impl BatchInfo {
    pub(crate) fn new(
        epoch: u64,
        batch: u64,
        seed: u64,
        rows: (Arc<Drawn>, Range<usize>),
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
        let (drawn, range) = &self.rows;
        &drawn.rows()[range.clone()]
    }

    /// The positions of the [`rows`](Self::rows) in the [order](crate::Order) of the epoch, counted
    /// from 0: the same for any batch size and number of shards, and after a resume in the middle
    /// of the epoch. A row that the epoch has more than once has another position each time.
    /// [Padding](Self::padding) has the position of the row that it repeats.
    pub fn positions(&self) -> impl ExactSizeIterator<Item = u64> + '_ {
        let (drawn, range) = &self.rows;
        range.clone().map(|index| drawn.position(index))
    }

    /// How many of the last rows only fill up the batch, so that all shards have as many: other
    /// batches have them too. Always 0 unless the loader has shards and
    /// [`Remainder::Pad`](crate::Remainder::Pad).
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
        let (drawn, range) = &self.rows;
        assert!(index < range.len(), "row {index} of {}", range.len());
        PositionRng::new(self.seed, self.epoch, drawn.position(range.start + index))
    }

    /// The same batch with one of its rows.
    pub(crate) fn only(&self, index: usize) -> Self {
        self.filtered(|other| other == index)
    }

    /// The same batch with the rows at some of the indices.
    pub(crate) fn filtered(&self, keep: impl Fn(usize) -> bool) -> Self {
        let rows = self.rows();
        let own = rows.len() - self.padding;
        let (mut drawn, mut padding) = (Drawn::default(), 0);
        for (index, (row, position)) in rows.iter().zip(self.positions()).enumerate() {
            if keep(index) {
                drawn.push(*row, position);
                padding += usize::from(index >= own);
            }
        }
        let all = 0..drawn.rows().len();
        Self {
            padding,
            rows: (Arc::new(drawn), all),
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
        let mut drawn = Drawn::default();
        drawn.extend(&order, 20..24);
        drawn.extend(&order, 50..51);
        // Padding, from the start of the epoch.
        drawn.extend(&order, 0..2);
        let info = BatchInfo::new(1, 2, 3, (Arc::new(drawn), 1..7), 2);
        let positions = |info: &BatchInfo| Vec::from_iter(info.positions());
        assert_eq!(positions(&info), [21, 22, 23, 50, 0, 1]);
        assert_eq!(info.rng(3), PositionRng::new(3, 1, 50));

        let rest = info.filtered(|index| index != 1 && index != 4);
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
        assert_eq!(info, info.filtered(|_| true));
        assert_ne!(info.only(0), info.only(1));
    }
}
