//! How a loader is described: Burn's builder, and what Burn's does not have.

use std::any::Any;
use std::sync::{Arc, OnceLock};
use std::thread;

use burn::data::dataloader::DataLoader;
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::Dataset;
use burn::tensor::{Device, StreamId};
use burn_npy_core::{
    Error, ErrorKind, Result, Sampler, internal,
    order::{Remainder, Shard},
};

use super::Loader;
use super::error::{Failure, OnError, guarded};
use super::rows::BatchInfo;
use super::source::{AnyBatcher, AnySource, MappedSource, NpySource, Source};
use super::state::{Identity, State};
use super::workers::{AUTOTUNE, PrefetchOptions, WorkerConfig};
use crate::NpyDataset;
use crate::Row;
use crate::batcher::as_npy;
use crate::cursor::{Cursor, SharedCursor};
use crate::dataset::fingerprint::Fingerprint;
use crate::epoch_plan::{BatchBound, Batching, Orders};

/// How many bytes of batches may be loaded ahead, unless the builder says otherwise.
const PREFETCH_BYTES: usize = 128 << 20;
/// How many workers there may be. More threads than that are a mistake.
const MAX_WORKERS: usize = 1024;

/// Builds a [`Loader`] from any dataset and any batcher, with the method names of Burn's builder of
/// the same name: changing the `use` line moves a project over. For an [`NpyDataset`] alone,
/// [`NpyDataset::loader`] is shorter.
///
/// With an [`NpyDataset`] and an [`NpyBatcher`](crate::NpyBatcher), rows go from the files straight
/// into batches; with other datasets and batchers the order, the bounds and the error handling are
/// the same.
///
/// # What is asked of a dataset
///
/// Of a dataset other than an [`NpyDataset`], `len` is asked when the loader is built, and
/// `get_many` once for each batch that is loaded. So a dataset may give another item each time that
/// it is asked, as Burn's `SamplerDataset` does. Workers load batches that are asked for later, or
/// never if a pass is dropped before its end.
///
/// Only after a failure that may be about a row (see [`OnError`]) are items asked for once more: if
/// `get_many` fails or panics, `get` is called for the items of the batch in turn, up to the one
/// that fails, so that the error can name it; and where [`OnError`] says that rows are skipped,
/// each item of a batch that failed is asked for alone, and then those that are left together. A
/// dataset that gives another item each time gives others then.
///
/// # Example
///
/// ```
/// use burn::tensor::{Device, Int, Tensor};
/// use burn_npy::{DataLoaderBuilder, NpyBatcher, NpyDataset, ndarray::Array};
///
/// # fn main() -> burn_npy::Result<()> {
/// let dataset = NpyDataset::from_arrays([
///     ("images", burn_npy::Array::from(Array::<f32, _>::zeros((100, 28, 28)))),
///     ("labels", Array::<i64, _>::zeros(100).into()),
/// ])?;
/// let loader = DataLoaderBuilder::new(NpyBatcher::<(Tensor<3>, Tensor<1, Int>)>::new())
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
/// assert_eq!(loader.len(), 4);
/// # Ok(())
/// # }
/// ```
///
/// [`NpyDataset::loader`] makes a builder that has its dataset, the parameter `D`. Its `build` and
/// `try_build` take no arguments.
pub struct DataLoaderBuilder<I, O, D = ()> {
    source: MakeSource<I, O>,
    options: Options,
    dataset: D,
}

/// What the methods of the builder set.
#[derive(Debug)]
struct Options {
    batch_size: Option<usize>,
    batching: Batching,
    sampler: Sampler,
    batches_per_epoch: Option<u64>,
    start: Start,
    on_error: OnError,
    prefetch: PrefetchOptions,
    resident: bool,
    device: Option<Device>,
}

/// Makes the source of a loader from a dataset, which is given once more if it is ours.
type MakeSource<I, O> = Box<
    dyn FnOnce(Arc<dyn Dataset<I>>, Option<NpyDataset>, Device) -> Result<Arc<dyn Source<O>>>
        + Send
        + Sync,
>;

/// Where a loader starts.
#[derive(Debug)]
enum Start {
    Epoch(u64),
    State(Box<State>),
}

impl<I, O> DataLoaderBuilder<I, O>
where
    I: Send + 'static,
    O: Send + 'static,
{
    /// A loader of batches of one item, in the order of the dataset, on the default device, with as
    /// many threads as [`AUTOTUNE`] chooses. The other methods change that.
    pub fn new<Bt: Batcher<I, O> + 'static>(batcher: Bt) -> Self {
        let batcher = match as_npy(&batcher) {
            Some(ours) => AnyBatcher::Ours(ours),
            None => AnyBatcher::Users(Box::new(batcher)),
        };
        Self {
            source: Box::new(move |any, ours, device| {
                Ok(match (ours, batcher) {
                    (Some(ours), AnyBatcher::Ours(npy)) => {
                        Arc::new(NpySource::new(ours, npy, device)?)
                    }
                    (_, batcher) => Arc::new(AnySource::new(any, Arc::new(batcher), device)),
                })
            }),
            options: Options {
                batch_size: None,
                batching: Batching::default(),
                sampler: Sampler::sequential(),
                batches_per_epoch: None,
                start: Start::Epoch(0),
                on_error: OnError::default(),
                prefetch: PrefetchOptions {
                    num_workers: AUTOTUNE,
                    batches: None,
                    bytes: PREFETCH_BYTES,
                },
                resident: false,
                device: None,
            },
            dataset: (),
        }
    }

    pub(crate) fn of<D>(self, dataset: D) -> DataLoaderBuilder<I, O, D> {
        DataLoaderBuilder {
            source: self.source,
            options: self.options,
            dataset,
        }
    }

    /// Builds the loader, as Burn's builder does.
    ///
    /// # Panics
    ///
    /// Panics with the message of [`try_build`](Self::try_build) if that fails.
    pub fn build<D: Dataset<I> + 'static>(self, dataset: D) -> Arc<dyn DataLoader<O>> {
        expect_loader(self.try_build(dataset))
    }

    /// Builds the loader, with all of its methods. No thread starts before the first pass.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`] for a batch size of zero, or one with a sampler that makes the batches,
    /// more than 1,024 workers, a rate of skipped rows that is none, and a dataset that panics when
    /// it is asked for its length; those of [`Sampler::check`] and [`Loader::resume`].
    ///
    /// With an [`NpyDataset`] and an [`NpyBatcher`](crate::NpyBatcher) also [`ErrorKind::Name`],
    /// [`ErrorKind::Shape`] and [`ErrorKind::Dtype`] for a column that does not fit the batch
    /// type, [`ErrorKind::Usage`] if there are more or fewer columns than tensors, and what
    /// reading a few of the rows may give, such as [`ErrorKind::Changed`]. A failure that is about
    /// one of these rows alone is left to the batch of the row, see [`OnError`]. If the row cannot
    /// be read, the loader knows its dataset by the other rows: states that it saves are refused
    /// once the row can be read again, and states from before the row went bad are refused now.
    ///
    /// If the rows of an `NpyBatcher` come from another dataset, they are not looked at before they
    /// are wanted: a column that does not fit is then the error of the first batch.
    pub fn try_build<D: Dataset<I> + 'static>(self, dataset: D) -> Result<Arc<Loader<O>>> {
        build(self.source, self.options, dataset)
    }
}

impl<O: Send + 'static> DataLoaderBuilder<Row, O, NpyDataset> {
    /// Builds the loader, as Burn's builder does.
    ///
    /// # Panics
    ///
    /// Panics with the message of [`try_build`](Self::try_build) if that fails.
    pub fn build(self) -> Arc<dyn DataLoader<O>> {
        expect_loader(self.try_build())
    }

    /// Builds the loader, with all of its methods. No thread starts before the first pass.
    ///
    /// # Errors
    ///
    /// Those of [`DataLoaderBuilder::try_build`] for an [`NpyDataset`].
    pub fn try_build(self) -> Result<Arc<Loader<O>>> {
        build(self.source, self.options, self.dataset)
    }
}

impl<I, O, D> DataLoaderBuilder<I, O, D>
where
    I: Send + 'static,
    O: Send + 'static,
{
    /// Passes each batch through a function, which also gets the [`BatchInfo`]: which rows these
    /// are, in which epoch, which of them are padding, and a generator of random numbers for each
    /// of them. The generator belongs to the position of the row in the epoch's order: it is the
    /// same whichever worker has the row, and another each time that a sampler draws the row again.
    /// With an [`NpyBatcher`](crate::NpyBatcher) the function runs where the tensors are made: on
    /// the consumer's thread, or, if there are workers and the device is a GPU, on one that is a
    /// batch ahead of it; with any other batcher, also one around an `NpyBatcher`, on the workers'.
    ///
    /// A panic in it is an error of the batch, and ends the pass whatever [`OnError`] says: the
    /// function had the whole batch, so no row is to blame.
    ///
    /// # Example
    ///
    /// Half of the rows change their sign, others in each epoch:
    ///
    /// ```
    /// use burn::tensor::{Tensor, TensorData};
    /// use burn_npy::rand_core::Rng;
    /// use burn_npy::{DataLoaderBuilder, NpyBatcher, NpyDataset, ndarray::Array2};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let dataset = NpyDataset::from_tensor_slices(Array2::<f32>::ones((100, 3)))?;
    /// let loader = DataLoaderBuilder::new(NpyBatcher::<Tensor<2>>::new())
    ///     .map(|batch, info| {
    ///         let sign = |i| if info.rng(i).next_u32() & 1 == 0 { 1.0_f32 } else { -1.0 };
    ///         let signs: Vec<f32> = (0..info.rows().len()).map(sign).collect();
    ///         let signs = TensorData::new(signs, [info.rows().len(), 1]);
    ///         let signs = Tensor::<2>::from_data(signs, &batch.device());
    ///         batch * signs
    ///     })
    ///     .batch_size(32)
    ///     .shuffle(42)
    ///     .try_build(dataset)?;
    /// for batch in loader.iter() {
    ///     assert_eq!(batch?.dims()[1], 3);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn map<P: Send + 'static>(
        self,
        map: impl Fn(O, &BatchInfo) -> P + Send + Sync + 'static,
    ) -> DataLoaderBuilder<I, P, D> {
        let source = self.source;
        DataLoaderBuilder {
            source: Box::new(move |any, ours, device| {
                Ok(Arc::new(MappedSource {
                    source: source(any, ours, device)?,
                    map: Arc::new(map),
                }))
            }),
            options: self.options,
            dataset: self.dataset,
        }
    }

    /// How many items a batch has; 1 unless set. The last batch of an epoch may have fewer. A
    /// sampler that makes the batches, [`Sampler::max_tokens`], does not go with it.
    pub fn batch_size(mut self, batch_size: usize) -> Self {
        self.options.batch_size = Some(batch_size);
        self
    }

    /// Leaves out the last batch of an epoch if it is smaller than the others; with shards, see
    /// [`Remainder`]. Batches of [`Sampler::max_tokens`] are none smaller, so nothing is left out.
    pub fn drop_last(mut self, drop_last: bool) -> Self {
        self.options.batching.drop_last = drop_last;
        self
    }

    /// Shuffles all items anew in each epoch. The order is a pure function of the seed, the epoch
    /// and the number of items, see [`Permutation`](crate::order::Permutation). It takes no memory.
    /// This is the short form of [`sampler`](Self::sampler) with [`Sampler::shuffled`].
    pub fn shuffle(mut self, seed: u64) -> Self {
        self.options.sampler = Sampler::shuffled(seed);
        self
    }

    /// How the items of an epoch are chosen and ordered: shuffled, in blocks, by weights, balanced
    /// over classes, those of a list. Of a sampler of windows, a batch gets the items at which they
    /// begin, and makes windows of them itself; for an [`NpyDataset`], use
    /// [`windows`](NpyDataset::windows) instead, which makes each window an item.
    pub fn sampler(mut self, sampler: Sampler) -> Self {
        self.options.sampler = sampler;
        self
    }

    /// Ends each epoch after so many batches of each shard and device. The next epoch
    /// goes on where this one ended, so that every row comes before any comes again, or draws anew
    /// with a sampler that draws. So a checkpoint, or a validation, comes every so many batches,
    /// however many rows there are. [`Sampler::epoch_len`] and [`Sampler::draws`] say the same in
    /// rows: with them, a state may be resumed with another batch size, and with other shards and
    /// [devices](Self::devices), of which each would have other batches here.
    ///
    /// # Errors
    ///
    /// [`try_build`](Self::try_build) fails with the errors of these methods.
    ///
    /// # Example
    ///
    /// ```
    /// use burn::tensor::Tensor;
    /// use burn_npy::{NpyDataset, ndarray::Array2};
    ///
    /// # fn main() -> burn_npy::Result<()> {
    /// let dataset = NpyDataset::from_tensor_slices(Array2::<f32>::zeros((1000, 4)))?;
    /// let loader = dataset
    ///     .loader::<Tensor<2>>()
    ///     .batch_size(32)
    ///     .shuffle(42)
    ///     .batches_per_epoch(10)
    ///     .try_build()?;
    /// assert_eq!((loader.len(), loader.num_items()), (10, 320));
    /// # Ok(())
    /// # }
    /// ```
    pub fn batches_per_epoch(mut self, batches: u64) -> Self {
        self.options.batches_per_epoch = Some(batches);
        self
    }

    /// Takes the part of each epoch that belongs to one of several processes; [`Shard::from_env`]
    /// knows what the usual launchers say. Shards cut the order, not the dataset: they are
    /// disjoint, and each is a new sample of all items in each epoch. The [`Remainder`] says what
    /// happens at the end of an epoch where there is not a full batch for each; all but
    /// [`Remainder::Uneven`] give each the same number of batches. Where [`OnError`] skips rows, a
    /// batch without any row left is passed over, so that a shard may yield fewer.
    pub fn shard(mut self, shard: Shard, remainder: Remainder) -> Self {
        let batching = &mut self.options.batching;
        (batching.shard, batching.remainder) = (shard, remainder);
        self
    }

    /// How many devices of this process train together, as with `ExecutionStrategy::multi` of
    /// Burn's `Learner`; 1 unless set. Each of them then gets as many batches as the others, and
    /// each row comes once in an epoch, on one of them.
    ///
    /// Burn cuts a loader by rows, in `split_dataloader`: of 20 rows in batches of 2, three devices
    /// get 6, 6 and 8 rows, so one has a batch more. A device without a batch left does nothing in
    /// the last step, or the others wait for it forever if they train with collective operations.
    /// With `devices(3)` the [slices](DataLoader::slice) that Burn asks for are the parts of three
    /// devices instead, which take turns by batch as [shards](Self::shard) do. Each of the three
    /// gets 4 batches, of which the last two are smaller, as [`Remainder::Spread`] says. With
    /// [`Sampler::max_tokens`], some of the last batches are halved.
    ///
    /// If there are shards too, the devices of all of them take turns, and the [`Remainder`] is
    /// that of `shard`. Rows of an epoch are left out only as it says: with `Spread`, those left
    /// over where batches have one row, and with [`drop_last`](Self::drop_last), those that are no
    /// full batch for every device.
    ///
    /// [`Loader::state`] says how far all devices have come, so save it when each has had as many
    /// batches. It may be resumed with another number of devices: each gets its part of the rest of
    /// the epoch.
    ///
    /// The loader itself has all batches, for one device. Slices of other rows are what they are
    /// without this, and log a warning. Each part has a [window](Self::prefetch) and
    /// [workers](Self::num_workers) of its own; [`AUTOTUNE`] divides the cores among the parts. An
    /// error of a part has the number of the batch in the part. Where [`OnError`] skips rows, a
    /// batch without any row left is passed over, so that a device may have fewer.
    ///
    /// A part begins with [`Loader::next_epoch`], and each of its passes is the next epoch, as
    /// Burn's `Learner` makes them. In a loop of your own, make the parts once, before the first
    /// epoch: those that are made anew begin with the same epoch again.
    ///
    /// # Errors
    ///
    /// [`try_build`](Self::try_build) fails with [`ErrorKind::Usage`] for no devices, for so many
    /// that each would have no row or no batch, and for several with [`Remainder::Uneven`].
    ///
    /// # Example
    ///
    /// ```
    /// use burn::data::dataloader::split::split_dataloader;
    /// use burn::tensor::{Device, Tensor};
    /// use burn_npy::{NpyDataset, ndarray::Array1};
    ///
    /// # fn main() -> burn_npy::Result<()> {
    /// let devices = [Device::default(), Device::default(), Device::default()];
    /// let loader = NpyDataset::from_tensor_slices(Array1::<f32>::zeros(20))?
    ///     .loader::<Tensor<1>>()
    ///     .batch_size(2)
    ///     .devices(devices.len())
    ///     .build();
    /// for part in split_dataloader(loader, &devices) {
    ///     let sizes = part.iter().map(|batch| batch.unwrap().dims()[0]);
    ///     let sizes: Vec<usize> = sizes.collect();
    ///     assert_eq!((sizes.len(), &sizes[..2]), (4, &[2, 2][..]));
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn devices(mut self, devices: usize) -> Self {
        self.options.batching.devices = devices as u64;
        self
    }

    /// Begins with an epoch other than 0, counted from 0: what comes is what a loader that has had
    /// the epochs before it would yield.
    ///
    /// A training run of Burn's `Learner` that is resumed from `.checkpoint(n)`, after its epoch
    /// `n` counted from 1, goes on with the order that it would have had with `.start_epoch(n)`.
    pub fn start_epoch(mut self, epoch: u64) -> Self {
        self.options.start = Start::Epoch(epoch);
        self
    }

    /// Goes on from a saved state, as [`Loader::resume`] does.
    pub fn resume(mut self, state: State) -> Self {
        self.options.start = Start::State(Box::new(state));
        self
    }

    /// What happens if a row cannot be loaded: the pass ends with an error, or the row is skipped.
    ///
    /// # Example
    ///
    /// Up to one row in a hundred is skipped:
    ///
    /// ```
    /// use burn::tensor::{Int, Tensor};
    /// use burn_npy::{Convert, NpyDataset, OnError, ndarray::Array1};
    ///
    /// # fn main() -> burn_npy::Result<()> {
    /// let mut ages = Array1::<f64>::ones(1000);
    /// ages[57] = f64::NAN; // no integer has this value
    /// let loader = NpyDataset::from_arrays([("ages", ages)])?
    ///     .convert("ages", Convert::to::<i32>())?
    ///     .loader::<Tensor<1, Int>>()
    ///     .batch_size(10)
    ///     .on_error(OnError::SkipRate(0.01))
    ///     .try_build()?;
    /// assert_eq!(loader.iter().count(), 100);
    /// assert_eq!(loader.skipped()[0].row, 57);
    /// # Ok(())
    /// # }
    /// ```
    pub fn on_error(mut self, on_error: OnError) -> Self {
        self.options.on_error = on_error;
        self
    }

    /// How many threads load batches ahead of the consumer. With [`AUTOTUNE`], the default, there
    /// is one less than there are cores, but at least one. With 0, the consumer loads each batch
    /// when it asks for it, together with the next ones if they are small.
    ///
    /// Where loading a batch copies rows that are in memory, the consumer loads batches too instead
    /// of waiting, so there are never more workers than one less than there are cores. Datasets and
    /// batchers of your own, and files of more than 256 MiB, which may have to be read from a disk,
    /// get exactly as many workers as you ask for.
    ///
    /// # Example
    ///
    /// The batches are the same for any number:
    ///
    /// ```
    /// use burn::tensor::{Int, Tensor};
    /// use burn_npy::{NpyDataset, ndarray::Array1};
    ///
    /// # fn main() -> burn_npy::Result<()> {
    /// let dataset = NpyDataset::from_tensor_slices(Array1::from_iter(0..100_i32))?;
    /// let batches = |workers| -> burn_npy::Result<Vec<_>> {
    ///     let builder = dataset.loader::<Tensor<1, Int>>().batch_size(8).shuffle(42);
    ///     let loader = builder.num_workers(workers).try_build()?;
    ///     loader.iter().map(|batch| Ok(batch?.into_data())).collect()
    /// };
    /// assert_eq!(batches(0)?, batches(4)?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn num_workers(mut self, num_workers: usize) -> Self {
        self.options.prefetch.num_workers = num_workers;
        self
    }

    /// How many batches may be loaded before the consumer asks for them, batches that are being
    /// loaded included: at least 1 and at most 4,096. On a GPU, one more is ready as tensors.
    ///
    /// Unless set, or with [`AUTOTUNE`], the loader starts with a few batches. It doubles that each
    /// time that the consumer finds no batch ready although the window was full before, up to what
    /// [`prefetch_bytes`](Self::prefetch_bytes) allows.
    ///
    /// # Example
    ///
    /// To hold little memory, whatever the consumer does:
    ///
    /// ```
    /// use burn::tensor::Tensor;
    /// use burn_npy::{NpyDataset, ndarray::Array2};
    ///
    /// # fn main() -> burn_npy::Result<()> {
    /// let dataset = NpyDataset::from_tensor_slices(Array2::<f32>::zeros((1000, 64)))?;
    /// let loader = dataset.loader::<Tensor<2>>().batch_size(100).prefetch(2).try_build()?;
    /// assert_eq!(loader.iter().count(), 10);
    /// assert_eq!(loader.report().prefetch(), 2);
    /// # Ok(())
    /// # }
    /// ```
    pub fn prefetch(mut self, batches: usize) -> Self {
        self.options.prefetch.batches = Some(batches);
        self
    }

    /// How many bytes those batches may take, 128 MiB unless set. One batch may always be loaded,
    /// however large it is.
    ///
    /// The limit holds for batches of an [`NpyBatcher`](crate::NpyBatcher). Each batch counts as
    /// the largest one that there may be: padded to the longest row of the dataset, or of as many
    /// tokens as [`Sampler::max_tokens`] allows. If its rows come from a dataset other than an
    /// [`NpyDataset`], the size of a batch is known only after the first one of a pass; until then
    /// each worker may load a batch.
    pub fn prefetch_bytes(mut self, bytes: usize) -> Self {
        self.options.prefetch.bytes = bytes;
        self
    }

    /// Keeps all rows in the memory of the device, in the dtype in which they are stored if that is
    /// bytes. A batch is then a selection of them there, and only row numbers go to the device. The
    /// batches, their order and states are the same. The default is `false`.
    ///
    /// It is for datasets that fit into the memory of a GPU beside the model. The first batch of a
    /// device brings all rows there, which takes as much memory of the host meanwhile. No row is
    /// skipped: one that cannot be loaded is an error of each batch, whatever [`OnError`] says.
    ///
    /// # Errors
    ///
    /// [`try_build`](Self::try_build) fails with [`ErrorKind::Usage`] for a dataset or a batcher of
    /// your own, for a batcher with [`map_batch`](crate::NpyBatcher::map_batch), and for a dataset
    /// with [transforms](NpyDataset::map) or rows of any length.
    pub fn resident(mut self, resident: bool) -> Self {
        self.options.resident = resident;
        self
    }

    /// The device of the batches; Burn's default device unless set.
    pub fn set_device(mut self, device: Device) -> Self {
        self.options.device = Some(device);
        self
    }
}

fn expect_loader<O: Send + 'static>(built: Result<Arc<Loader<O>>>) -> Arc<dyn DataLoader<O>> {
    built.unwrap_or_else(|error| panic!("cannot build the loader: {error}"))
}

fn build<I, O: Send + 'static, D: Dataset<I> + 'static>(
    source: MakeSource<I, O>,
    mut options: Options,
    dataset: D,
) -> Result<Arc<Loader<O>>> {
    let refuse = |message| Err(Error::new(ErrorKind::Usage, message));
    let made = internal::largest_batch(&options.sampler);
    let batch_size = match options.batch_size {
        Some(0) => return refuse("a batch size of zero; it must be at least 1"),
        Some(_) if made.is_some() => {
            return refuse("the sampler makes the batches; leave out batch_size, or max_tokens");
        }
        set => set.unwrap_or(1),
    };
    let workers = options.prefetch.num_workers;
    if workers > MAX_WORKERS && workers != AUTOTUNE {
        let message = format!("{workers} workers, more than {MAX_WORKERS}");
        return Err(Error::new(ErrorKind::Usage, message));
    }
    let any: &dyn Any = &dataset;
    let npy = any.downcast_ref::<NpyDataset>().cloned();
    let panicked = |failure: Failure| Error::new(ErrorKind::Usage, failure.message);
    let len = guarded("dataset", || dataset.len()).map_err(panicked)?;
    if let Some(batches) = options.batches_per_epoch {
        let together = options.batching.together(batches);
        let rows = together.saturating_mul(batch_size as u64);
        options.sampler = options.sampler.epoch_len(rows)?;
    }
    options.sampler.check(len as u64)?;
    let positions = options.sampler.positions(len as u64);
    let skip_limit = options.on_error.limit(len as u64)?;
    let device = options.device.unwrap_or_default();
    let mut source = source(Arc::new(dataset), npy.clone(), device)?;
    if options.resident {
        source = source.resident()?;
    }
    let identity = Identity {
        sampler: options.sampler.clone(),
        sampler_print: OnceLock::new(),
        dataset: match npy {
            Some(dataset) => {
                guarded("dataset", || Fingerprint::of(&dataset)).map_err(panicked)??
            }
            None => Fingerprint::of_length(len),
        },
        positions,
    };
    let cursor = match options.start {
        Start::Epoch(epoch) => Cursor {
            epoch,
            ..Cursor::default()
        },
        Start::State(state) => identity.cursor(&state)?,
    };
    let most = made.map_or(batch_size, |largest| largest as usize);
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let max_threads = if workers == AUTOTUNE { cores } else { workers };
    let loader = Loader {
        info: source.info(BatchBound::new(&options.sampler, most)),
        source,
        orders: Orders::new(options.sampler, len as u64),
        batching: Batching {
            positions,
            batch_size,
            ..options.batching
        },
        workers: WorkerConfig {
            options: options.prefetch,
            batch_size: most,
            cores,
            counters: Arc::default(),
            found_limit: Arc::default(),
            streams: (0..max_threads).map(|_| StreamId::allocate()).collect(),
            upload_stream: StreamId::allocate(),
            may_upload: true,
        },
        skip_limit,
        skipped: Arc::default(),
        cursor: Arc::new(SharedCursor::new(cursor)),
        identity: Arc::new(identity),
    };
    loader.batching.check_devices(|| loader.made())?;
    Ok(Arc::new(loader))
}

impl<I, O, D> std::fmt::Debug for DataLoaderBuilder<I, O, D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.options.fmt(f)
    }
}
