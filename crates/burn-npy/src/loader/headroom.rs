//! One batch over and over: what the training alone is worth.

use std::sync::Arc;

use burn::data::dataloader::{DataLoader, DataLoaderIterator, Progress};
use burn::data::dataset::DatasetError;
use burn::tensor::Device;

use super::{LoadError, Loader};

/// A Burn `DataLoader` that yields one batch again and again, as many times as an epoch has
/// batches.
///
/// [`Loader::headroom`] makes it. To train with it takes as long as the training would if batches
/// cost nothing: what a run with the real loader takes more is all that a faster one could gain.
#[derive(Clone, Debug)]
pub struct Headroom<O> {
    batch: O,
    batches: usize,
    rows: usize,
}

impl<O: Clone + Send + 'static> Loader<O> {
    /// The first batch of epoch 0, to be had as often as there are batches: for measuring the speed
    /// of the training alone. It does not move the loader.
    ///
    /// # Errors
    ///
    /// What [`batch_at`](Self::batch_at) gives.
    ///
    /// # Panics
    ///
    /// Panics if there are no batches.
    ///
    /// # Example
    ///
    /// ```
    /// use std::time::Instant;
    ///
    /// use burn::data::dataloader::DataLoader;
    /// use burn::tensor::Tensor;
    /// use burn_npy::{DataLoaderBuilder, NpyBatcher, NpyDataset, ndarray::Array2};
    ///
    /// fn train(loader: &dyn DataLoader<Tensor<2>>) -> f32 {
    ///     loader.iter().map(|batch| batch.unwrap().mean().into_scalar::<f32>()).sum()
    /// }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let dataset = NpyDataset::from_tensor_slices(Array2::<f32>::ones((1000, 8)))?;
    /// let loader = DataLoaderBuilder::new(NpyBatcher::<Tensor<2>>::all())
    ///     .batch_size(10)
    ///     .num_workers(1)
    ///     .try_build(dataset)?;
    /// let start = Instant::now();
    /// train(&*loader);
    /// let real = start.elapsed();
    ///
    /// let start = Instant::now();
    /// train(&loader.headroom()?);
    /// println!("{:.2} times the training alone", real.as_secs_f64() / start.elapsed().as_secs_f64());
    /// # Ok(())
    /// # }
    /// ```
    pub fn headroom(&self) -> Result<Headroom<O>, LoadError> {
        Ok(Headroom {
            batch: self.batch_at(0, 0)?,
            batches: self.num_batches(),
            rows: self.num_items(),
        })
    }
}

impl<O: Clone + Send + Sync + 'static> DataLoader<O> for Headroom<O> {
    fn iter<'a>(&'a self) -> Box<dyn DataLoaderIterator<O> + 'a> {
        Box::new(Repeat {
            of: self,
            yielded: 0,
        })
    }

    fn num_items(&self) -> usize {
        self.rows
    }

    /// The same: the batch stays where it is.
    fn to_device(&self, _: &Device) -> Arc<dyn DataLoader<O>> {
        Arc::new(self.clone())
    }

    /// As many batches of these items as of all.
    fn slice(&self, start: usize, end: usize) -> Arc<dyn DataLoader<O>> {
        let rows = end.min(self.rows).saturating_sub(start);
        Arc::new(Self {
            batch: self.batch.clone(),
            batches: share(self.batches, rows, self.rows),
            rows,
        })
    }
}

/// So much of `all` as `part` is of `whole`, rounded up.
fn share(all: usize, part: usize, whole: usize) -> usize {
    let product = all as u128 * part as u128;
    product.div_ceil(whole.max(1) as u128) as usize
}

struct Repeat<'a, O> {
    of: &'a Headroom<O>,
    yielded: usize,
}

impl<O: Clone> Iterator for Repeat<'_, O> {
    type Item = Result<O, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.yielded == self.of.batches {
            return None;
        }
        self.yielded += 1;
        Some(Ok(self.of.batch.clone()))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.of.batches - self.yielded;
        (left, Some(left))
    }
}

impl<O: Clone> DataLoaderIterator<O> for Repeat<'_, O> {
    fn progress(&self) -> Progress {
        let done = share(self.of.rows, self.yielded, self.of.batches);
        Progress::new(done, self.of.rows, Some("items".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn shares_are_rounded_up_and_never_overflow() {
        assert_eq!(super::share(3, 10, 20), 2);
        assert_eq!(super::share(3, 0, 0), 0);
        assert_eq!(super::share(usize::MAX, 5, usize::MAX), 5);
    }
}
