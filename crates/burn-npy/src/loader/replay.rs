//! Any batch again, alone, and where a row is.

use burn_npy_core::BatchPosition;

use super::draw::Draw;
use super::error::LoadError;
use super::meter::Spent;
use super::pass::Pass;
use super::{BatchInfo, Loader};

impl<O: Send + 'static> Loader<O> {
    /// A batch of an epoch, alone: the same as in a pass, without those before it. It does not move
    /// the loader.
    ///
    /// # Errors
    ///
    /// What the pass would have yielded; with [`OnError`](crate::OnError) set to skip rows also the
    /// error of a row, if none of the batch can be had.
    ///
    /// # Panics
    ///
    /// Panics if the batch is not below [`num_batches`](Self::num_batches).
    ///
    /// # Example
    ///
    /// ```
    /// use burn::tensor::{Int, Tensor};
    /// use burn_npy::{DataLoaderBuilder, NpyBatcher, NpyDataset, ndarray::Array1};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let dataset = NpyDataset::from_tensor_slices(Array1::from_iter(0..100_i64))?;
    /// let loader = DataLoaderBuilder::new(NpyBatcher::<Tensor<1, Int>>::all())
    ///     .batch_size(8)
    ///     .shuffle(42)
    ///     .try_build(dataset)?;
    ///
    /// // Which batch of epoch 3 has row 47?
    /// let place = loader.locate(3, 47).unwrap();
    /// let batch = loader.batch_at(3, place.batch)?;
    /// let rows: Vec<i64> = batch.into_data().iter().collect();
    /// assert_eq!(rows[place.offset as usize], 47);
    /// # Ok(())
    /// # }
    /// ```
    pub fn batch_at(&self, epoch: u64, batch: u64) -> Result<O, LoadError> {
        let pass = self.whole(epoch, batch);
        let load = || {
            let mut made = pass.load_alone(batch, &mut Draw::default())?;
            match (made.loaded, made.lost.pop()) {
                (Some(loaded), _) => pass
                    .source
                    .finish(loaded, &made.info, &mut Spent::default()),
                (None, Some((row, failure))) => Err(failure.of_row(row)),
                (None, None) => unreachable!("a batch that is not there has lost a row"),
            }
        };
        load().map_err(|failure| LoadError::new(epoch, batch, failure))
    }

    /// The rows of a batch of an epoch, without loading it.
    ///
    /// # Panics
    ///
    /// Panics if the batch is not below [`num_batches`](Self::num_batches).
    pub fn info_at(&self, epoch: u64, batch: u64) -> BatchInfo {
        self.whole(epoch, batch).info(batch)
    }

    /// Where an epoch has a row of the dataset: the shard, the batch of that shard, and the offset
    /// in the batch. `None` if the epoch does not have the row, or drops it with the remainder. If
    /// the row comes more than once, this is its first position. Padding is not searched.
    pub fn locate(&self, epoch: u64, row: u64) -> Option<BatchPosition> {
        let order = self.order(epoch);
        let position = order.position(row)?;
        self.cutter.cut(0).locate(position)
    }

    fn whole(&self, epoch: u64, batch: u64) -> Pass<O> {
        let count = self.num_batches() as u64;
        assert!(batch < count, "batch {batch} of {count}");
        self.source.advise(self.settings.sampler.is_random());
        self.pass_over(epoch, 0)
    }
}
