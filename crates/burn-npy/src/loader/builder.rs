//! How a loader is described: Burn's builder, and what Burn's does not have.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::Dataset;
use burn::tensor::{Device, StreamId};
use burn_npy_core::{Error, ErrorClass, Result, Sampler};

use super::source::{Direct, General, Source};
use super::{Loader, Settings};
use crate::NpyDataset;
use crate::batcher::{NpyBatcher, as_npy};

/// How many bytes of batches may be ready before they are asked for, unless the builder says otherwise.
const PREFETCH_BYTES: usize = 128 << 20;

/// Builds a [`Loader`] from any dataset and any batcher, with the method names of Burn's builder of the
/// same name: changing the `use` line moves a project over.
///
/// With an [`NpyDataset`] and an [`NpyBatcher`], rows go from the files straight into batches; with
/// other datasets and batchers the order, the bounds and the error handling are the same.
///
/// # Example
///
/// ```
/// use burn::data::dataloader::DataLoader;
/// use burn::tensor::{Device, Int, Tensor};
/// use burn_npy::{DataLoaderBuilder, NpyBatcher, NpyDataset, ndarray::Array};
///
/// # fn main() -> burn_npy::Result<()> {
/// let dataset = NpyDataset::from_arrays([
///     ("images", burn_npy::Array::from(Array::<f32, _>::zeros((100, 28, 28)))),
///     ("labels", Array::<i64, _>::zeros(100).into()),
/// ])?;
/// let loader = DataLoaderBuilder::new(NpyBatcher::<(Tensor<3>, Tensor<1, Int>)>::all())
///     .batch_size(32)
///     .shuffle(42)
///     .num_workers(2)
///     .set_device(Device::default())
///     .try_build(dataset)?;
///
/// for batch in loader.iter() {
///     let (images, labels) = batch.expect("the data is in memory");
///     assert_eq!(images.dims()[0], labels.dims()[0]);
/// }
/// assert_eq!(loader.num_batches(), 4);
/// # Ok(())
/// # }
/// ```
pub struct DataLoaderBuilder<I, O> {
    batcher: Arc<dyn Batcher<I, O>>,
    npy: Option<NpyBatcher<O>>,
    batch_size: usize,
    drop_last: bool,
    sampler: Sampler,
    num_workers: usize,
    prefetch: Option<usize>,
    prefetch_bytes: usize,
    device: Option<Device>,
}

impl<I, O> DataLoaderBuilder<I, O>
where
    I: Send + 'static,
    O: Send + 'static,
{
    /// A loader of batches of one item, in the order of the dataset, without threads, on the default
    /// device; the methods change that.
    pub fn new<Bt: Batcher<I, O> + 'static>(batcher: Bt) -> Self {
        Self {
            npy: as_npy(&batcher),
            batcher: Arc::new(batcher),
            batch_size: 1,
            drop_last: false,
            sampler: Sampler::sequential(),
            num_workers: 0,
            prefetch: None,
            prefetch_bytes: PREFETCH_BYTES,
            device: None,
        }
    }

    /// How many items a batch has.
    pub fn batch_size(mut self, batch_size: usize) -> Self {
        self.batch_size = batch_size;
        self
    }

    /// Leaves out the last batch of an epoch if it is smaller than the others.
    pub fn drop_last(mut self, drop_last: bool) -> Self {
        self.drop_last = drop_last;
        self
    }

    /// Shuffles all items anew in each epoch. The order is a pure function of the seed, the epoch and the
    /// number of items, see [`Permutation`](crate::Permutation); it takes no memory.
    pub fn shuffle(mut self, seed: u64) -> Self {
        self.sampler = Sampler::shuffled(seed);
        self
    }

    /// How many threads load batches ahead of the consumer. With 0, each batch is loaded when it is
    /// asked for.
    pub fn num_workers(mut self, num_workers: usize) -> Self {
        self.num_workers = num_workers;
        self
    }

    /// How many batches may be loaded or being loaded before they are asked for; two more than twice
    /// the number of workers unless set. At least one always is, if there are workers.
    pub fn prefetch(mut self, batches: usize) -> Self {
        self.prefetch = Some(batches);
        self
    }

    /// How many bytes those batches may take, 128 MiB unless set. It holds where the size of an item
    /// is known: with an [`NpyBatcher`].
    pub fn prefetch_bytes(mut self, bytes: usize) -> Self {
        self.prefetch_bytes = bytes;
        self
    }

    /// The device of the batches; Burn's default device unless set.
    pub fn set_device(mut self, device: Device) -> Self {
        self.device = Some(device);
        self
    }

    /// Builds the loader, as Burn's builder does.
    ///
    /// # Panics
    ///
    /// Panics with the message of [`try_build`](Self::try_build) if that fails.
    pub fn build<D: Dataset<I> + 'static>(self, dataset: D) -> Arc<Loader<O>> {
        self.try_build(dataset)
            .unwrap_or_else(|error| panic!("cannot build the loader: {error}"))
    }

    /// Builds the loader. No thread starts before the first pass.
    ///
    /// # Errors
    ///
    /// [`ErrorClass::Usage`] for a batch size of zero; with an [`NpyBatcher`] also [`ErrorClass::Name`],
    /// [`ErrorClass::Shape`] and [`ErrorClass::Dtype`] for a column that does not fit the batch type.
    pub fn try_build<D: Dataset<I> + 'static>(self, dataset: D) -> Result<Arc<Loader<O>>> {
        if self.batch_size == 0 {
            return Err(Error::new(ErrorClass::Usage, "a batch size of zero"));
        }
        let device = self.device.unwrap_or_default();
        let any: &dyn Any = &dataset;
        let source: Arc<dyn Source<O>> = match (any.downcast_ref::<NpyDataset>(), self.npy) {
            (Some(dataset), Some(npy)) => Arc::new(Direct::new(dataset.clone(), npy, device)?),
            (_, npy) => {
                let dataset = Arc::new(dataset);
                Arc::new(General::new(dataset, self.batcher, npy, device)?)
            }
        };
        let mut window = self.prefetch.unwrap_or(2 * self.num_workers + 2);
        if let Some(bytes) = source.item_bytes() {
            let batch_bytes = bytes.saturating_mul(self.batch_size).max(1);
            window = window.min(self.prefetch_bytes / batch_bytes);
        }
        Ok(Arc::new(Loader {
            positions: 0..source.len() as u64,
            source,
            settings: Settings {
                sampler: self.sampler,
                batch_size: self.batch_size,
                drop_last: self.drop_last,
                num_workers: self.num_workers,
                window: window.max(1),
                streams: (0..self.num_workers)
                    .map(|_| StreamId::allocate())
                    .collect(),
            },
            next_epoch: AtomicU64::new(0),
        }))
    }
}

impl<I, O> std::fmt::Debug for DataLoaderBuilder<I, O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DataLoaderBuilder")
            .field("batch_size", &self.batch_size)
            .field("drop_last", &self.drop_last)
            .field("sampler", &self.sampler)
            .field("num_workers", &self.num_workers)
            .field("prefetch", &self.prefetch)
            .field("prefetch_bytes", &self.prefetch_bytes)
            .field("device", &self.device)
            .finish()
    }
}
