//! How a loader is described: Burn's builder, and what Burn's does not have.

use std::any::Any;
use std::sync::{Arc, Mutex};
use std::thread;

use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::Dataset;
use burn::tensor::{Device, StreamId};
use burn_npy_core::{Error, ErrorKind, Remainder, Result, Sampler, Shard};

use super::cursor::{At, Cursor};
use super::cut::Cutter;
use super::fingerprint::Fingerprint;
use super::mapped::Mapped;
use super::source::{Direct, General, Source};
use super::state::Identity;
use super::tune::{Bounds, Setting, Tuner};
use super::{BatchInfo, Loader, OnError, Settings, State};
use crate::NpyDataset;
use crate::batcher::as_npy;

/// How many bytes of batches may be ready before they are asked for, unless the builder says
/// otherwise.
const PREFETCH_BYTES: usize = 128 << 20;

/// How many bytes of small batches a worker makes before it hands them over.
const RUN_BYTES: usize = 2 << 20;
/// How many batches those are at the most.
const MOST_IN_RUN: usize = 32;
/// How many bytes of batches are under way at first, if they are large: what the last cache may
/// hold beside what others have there, so that a batch is still there when it is used, and its
/// memory when it comes back.
const CACHE_BYTES: usize = 12 << 20;
/// How many batches may be under way at the most, however small.
const MOST_AHEAD: usize = 4096;
/// How many workers there may be. More threads than that are a slip, or more than systems have.
const MOST_WORKERS: usize = 1024;

/// As a number of workers or of batches ahead: found by the loader, while it works. Batches are the
/// same, and come in the same order, whatever it finds.
///
/// It starts with one worker and adds others only as long as the consumer waits and batches come
/// faster by them, up to the number of cores. Once settled it stays quiet.
pub const AUTOTUNE: usize = usize::MAX;

/// Builds a [`Loader`] from any dataset and any batcher, with the method names of Burn's builder of
/// the same name: changing the `use` line moves a project over.
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
/// Only after a failure are items asked for once more: if `get_many` fails, `get` is called for the
/// items of the batch in turn, up to the one that fails, so that the error can name it; and where
/// [`OnError`] says that rows are skipped, each item of a batch that failed is asked for alone, and
/// then those that are left together. A dataset that gives another item each time gives others
/// then.
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
    source: MakeSource<I, O>,
    batch_size: usize,
    drop_last: bool,
    sampler: Sampler,
    shard: Shard,
    tail: Remainder,
    start: Start,
    on_error: OnError,
    demand: Demand,
    device: Option<Device>,
}

/// Makes the source of a loader from a dataset.
type MakeSource<I, O> =
    Box<dyn FnOnce(Given<I>, Device) -> Result<Arc<dyn Source<O>>> + Send + Sync>;

/// The dataset that a loader is built from.
struct Given<I> {
    dataset: Arc<dyn Dataset<I>>,
    /// The same, if it is ours.
    npy: Option<NpyDataset>,
}

/// How many threads can run at the same time.
fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// What was asked for of workers, and of what they load ahead.
#[derive(Clone, Copy, Debug)]
pub(super) struct Demand {
    pub(super) num_workers: usize,
    pub(super) prefetch: Option<usize>,
    pub(super) prefetch_bytes: usize,
}

impl Default for Demand {
    fn default() -> Self {
        Self {
            num_workers: 0,
            prefetch: None,
            prefetch_bytes: PREFETCH_BYTES,
        }
    }
}

/// The size of a batch, where that of an item is known.
pub(super) fn batch_bytes(batch_size: usize, item_bytes: Option<usize>) -> Option<usize> {
    item_bytes.map(|bytes| bytes.saturating_mul(batch_size).max(1))
}

/// How many workers there are and how far they are ahead at first, what of it may change, and how
/// many batches a worker makes at a time, where a batch has so many rows and, if that is known, so
/// many bytes.
pub(super) fn ahead(
    demand: Demand,
    batch_size: usize,
    batch_bytes: Option<usize>,
) -> (Setting, Bounds, usize) {
    let Demand {
        num_workers,
        prefetch,
        prefetch_bytes,
    } = demand;
    // The numbers of its rows are there as long as the batch is.
    let rows_bytes = batch_size.saturating_mul(size_of::<u64>());
    let (workers, most_workers) = match num_workers {
        AUTOTUNE => (1, cores()),
        fixed => (fixed, fixed),
    };
    let least_workers = workers;
    let fits = |bytes: usize, rows: usize| {
        batch_bytes.map_or(MOST_AHEAD, |batch| bytes / batch.saturating_add(rows))
    };
    let most = fits(prefetch_bytes, rows_bytes).clamp(1, MOST_AHEAD);
    // So many small batches that it is worth to wake a thread for them.
    let run = batch_bytes.map_or(1, |bytes| (RUN_BYTES / bytes).clamp(1, MOST_IN_RUN));
    let usual = (2 * workers).saturating_mul(run).saturating_add(2);
    let (window, most_window) = match prefetch.filter(|batches| *batches != AUTOTUNE) {
        Some(batches) => {
            let window = batches.clamp(1, most);
            (window, window)
        }
        // Nobody knows what more of them would take.
        None if batch_bytes.is_none() => {
            let most = (2 * most_workers).saturating_add(2);
            (usual, most.max(usual))
        }
        None => {
            // One for each thread that loads, the consumer too if it has nothing else to do, and
            // one that is done.
            let loading = (workers + 1).min(cores().max(workers));
            let cached = fits(CACHE_BYTES, 0).max(loading + 1);
            (usual.min(cached).min(most).max(1), most)
        }
    };
    let bounds = Bounds {
        least_workers,
        most_workers,
        most_window,
    };
    (Setting { workers, window }, bounds, run)
}

/// Where a loader begins.
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
    /// A loader of batches of one item, in the order of the dataset, without threads, on the
    /// default device; the methods change that.
    pub fn new<Bt: Batcher<I, O> + 'static>(batcher: Bt) -> Self {
        let npy = as_npy(&batcher);
        let batcher = Arc::new(batcher);
        let source = move |given: Given<I>, device| -> Result<Arc<dyn Source<O>>> {
            Ok(match (given.npy, npy) {
                (Some(dataset), Some(npy)) => Arc::new(Direct::new(dataset, npy, device)?),
                (_, npy) => Arc::new(General::new(given.dataset, batcher, npy, device)),
            })
        };
        Self {
            source: Box::new(source),
            batch_size: 1,
            drop_last: false,
            sampler: Sampler::sequential(),
            shard: Shard::WHOLE,
            tail: Remainder::default(),
            start: Start::Epoch(0),
            on_error: OnError::default(),
            demand: Demand::default(),
            device: None,
        }
    }

    /// Passes each batch through a function, which also gets the [`BatchInfo`]: which rows these
    /// are, in which epoch, which of them are padding, and a generator of random numbers for each
    /// of them. The generator belongs to the position of the row in the epoch's order: it is the
    /// same whichever worker has the row, and another each time that a sampler draws the row again.
    /// With an [`NpyBatcher`](crate::NpyBatcher) the function runs where the tensors are made: on
    /// the consumer's thread, or, if there are workers and the device is a GPU, on one that is a
    /// batch ahead of it; with any other batcher, also one around an `NpyBatcher`, on the workers'.
    ///
    /// A panic in it is an error of the batch.
    ///
    /// # Example
    ///
    /// Half of the rows change their sign, others in each epoch:
    ///
    /// ```
    /// use burn::tensor::{Tensor, TensorData};
    /// use burn_npy::burn_npy_core::rand_core::Rng;
    /// use burn_npy::{DataLoaderBuilder, NpyBatcher, NpyDataset, ndarray::Array2};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let dataset = NpyDataset::from_tensor_slices(Array2::<f32>::ones((100, 3)))?;
    /// let loader = DataLoaderBuilder::new(NpyBatcher::<Tensor<2>>::all())
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
    /// for batch in loader.pass() {
    ///     assert_eq!(batch?.dims()[1], 3);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn map<P: Send + 'static>(
        self,
        map: impl Fn(O, &BatchInfo) -> P + Send + Sync + 'static,
    ) -> DataLoaderBuilder<I, P> {
        let source = self.source;
        let source = move |given: Given<I>, device| -> Result<Arc<dyn Source<P>>> {
            Ok(Arc::new(Mapped {
                source: source(given, device)?,
                map: Arc::new(map),
            }))
        };
        DataLoaderBuilder {
            source: Box::new(source),
            batch_size: self.batch_size,
            drop_last: self.drop_last,
            sampler: self.sampler,
            shard: self.shard,
            tail: self.tail,
            start: self.start,
            on_error: self.on_error,
            demand: self.demand,
            device: self.device,
        }
    }

    /// How many items a batch has; 1 unless set. The last batch of an epoch may have fewer.
    pub fn batch_size(mut self, batch_size: usize) -> Self {
        self.batch_size = batch_size;
        self
    }

    /// Leaves out the last batch of an epoch if it is smaller than the others; with shards, see
    /// [`Remainder`].
    pub fn drop_last(mut self, drop_last: bool) -> Self {
        self.drop_last = drop_last;
        self
    }

    /// Shuffles all items anew in each epoch. The order is a pure function of the seed, the epoch
    /// and the number of items, see [`Permutation`](crate::Permutation); it takes no memory. It is
    /// the short form of [`sampler`](Self::sampler) with [`Sampler::shuffled`].
    pub fn shuffle(mut self, seed: u64) -> Self {
        self.sampler = Sampler::shuffled(seed);
        self
    }

    /// How the items of an epoch are chosen and ordered: shuffled, in blocks, by weights, balanced
    /// over classes, those of a list. Of a sampler of windows, a batch gets the items at which they
    /// begin, and makes windows of them itself; for an [`NpyDataset`], use
    /// [`windows`](NpyDataset::windows) instead, which makes each window an item.
    pub fn sampler(mut self, sampler: Sampler) -> Self {
        self.sampler = sampler;
        self
    }

    /// Takes the part of each epoch that belongs to one of several processes; [`Shard::from_env`]
    /// knows what the usual launchers say. Shards cut the order, not the dataset: they are
    /// disjoint, and each is a new sample of all items in each epoch. The [`Remainder`] says what
    /// happens at the end of an epoch where there is not a full batch for each; all but
    /// [`Remainder::Uneven`] give each the same number of batches.
    pub fn shard(mut self, shard: Shard, tail: Remainder) -> Self {
        (self.shard, self.tail) = (shard, tail);
        self
    }

    /// Begins with an epoch other than 0, counted from 0: what comes is what a loader that has had
    /// the epochs before it would yield.
    ///
    /// A training run of Burn's `Learner` that is resumed from `.checkpoint(n)`, after its epoch
    /// `n` counted from 1, goes on with the order that it would have had with `.start_epoch(n)`.
    pub fn start_epoch(mut self, epoch: u64) -> Self {
        self.start = Start::Epoch(epoch);
        self
    }

    /// Goes on from a saved state, as [`Loader::resume`] does.
    pub fn resume(mut self, state: State) -> Self {
        self.start = Start::State(Box::new(state));
        self
    }

    /// What happens if a row cannot be had: the pass ends with an error, or the row is skipped.
    pub fn on_error(mut self, on_error: OnError) -> Self {
        self.on_error = on_error;
        self
    }

    /// How many threads load batches ahead of the consumer; 0 unless set. With 0, each batch is
    /// loaded when it is asked for, together with those behind it if they are small: up to 128 KiB
    /// of an [`NpyDataset`] that is in memory. With [`AUTOTUNE`], as many as make batches come
    /// faster.
    ///
    /// A consumer that waits longer for batches of an [`NpyDataset`] than it works with them loads
    /// some itself, unless files of more than 256 MiB may have to be read for them. If there are
    /// not more cores than workers, one of those pauses meanwhile; of batches of 24 MiB or more, it
    /// then loads none.
    pub fn num_workers(mut self, num_workers: usize) -> Self {
        self.demand.num_workers = num_workers;
        self
    }

    /// How many batches may be loaded or being loaded before they are asked for. Unless set, or
    /// with [`AUTOTUNE`], the loader begins with a few, of small batches with so many that they are
    /// worth waking a thread for, and doubles that while the consumer waits although workers are
    /// idle, within [`prefetch_bytes`](Self::prefetch_bytes). At least one always is, if there are
    /// workers, and no more than 4,096. On a GPU one more is ready as tensors.
    pub fn prefetch(mut self, batches: usize) -> Self {
        self.demand.prefetch = Some(batches);
        self
    }

    /// How many bytes those batches may take, 128 MiB unless set; one batch may always be loaded,
    /// however large. It holds for batches of an [`NpyBatcher`](crate::NpyBatcher). Of rows that
    /// come from a dataset other than an [`NpyDataset`], the size is known when the first batch of
    /// a pass is loaded; until then each worker may load a batch.
    pub fn prefetch_bytes(mut self, bytes: usize) -> Self {
        self.demand.prefetch_bytes = bytes;
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
    /// [`ErrorKind::Usage`] for a batch size of zero, more than 1,024 workers, and for a rate of
    /// skipped rows that is none; those of [`Sampler::check`] and [`Loader::resume`].
    ///
    /// With an [`NpyDataset`] and an [`NpyBatcher`](crate::NpyBatcher) also [`ErrorKind::Name`],
    /// [`ErrorKind::Shape`] and [`ErrorKind::Dtype`] for a column that does not fit the batch
    /// type, [`ErrorKind::Usage`] if there are more or fewer columns than tensors, and what
    /// reading a few of the rows may give, such as [`ErrorKind::Changed`]. If the rows of an
    /// `NpyBatcher` come from another dataset, they are not looked at before they are wanted: a
    /// column that does not fit is then the error of the first batch.
    pub fn try_build<D: Dataset<I> + 'static>(self, dataset: D) -> Result<Arc<Loader<O>>> {
        if self.batch_size == 0 {
            return Err(Error::new(ErrorKind::Usage, "a batch size of zero"));
        }
        let workers = self.demand.num_workers;
        if workers > MOST_WORKERS && workers != AUTOTUNE {
            let message = format!("{workers} workers, more than {MOST_WORKERS}");
            return Err(Error::new(ErrorKind::Usage, message));
        }
        let any: &dyn Any = &dataset;
        let npy = any.downcast_ref::<NpyDataset>().cloned();
        let len = dataset.len();
        self.sampler.check(len as u64)?;
        let positions = self.sampler.positions(len as u64);
        let limit = self.on_error.limit(len as u64)?;
        let given = Given {
            dataset: Arc::new(dataset),
            npy: npy.clone(),
        };
        let source = (self.source)(given, self.device.unwrap_or_default())?;
        let batch_bytes = batch_bytes(self.batch_size, source.item_bytes());
        let (setting, bounds, run) = ahead(self.demand, self.batch_size, batch_bytes);
        let fingerprint = match npy {
            Some(dataset) => Fingerprint::of(&dataset)?,
            None => Fingerprint::of_length(len),
        };
        let identity = Identity::new(self.sampler.clone(), fingerprint, positions);
        let at = match self.start {
            Start::Epoch(epoch) => At {
                epoch,
                ..At::default()
            },
            Start::State(state) => identity.place(&state)?,
        };
        Ok(Arc::new(Loader {
            source,
            settings: Settings {
                sampler: self.sampler,
                items: len as u64,
                demand: self.demand,
                tuner: Arc::new(Mutex::new(Tuner::new(setting, bounds))),
                run,
                most_window: bounds.most_window,
                batch_bytes,
                cores: cores(),
                meter: Arc::default(),
                skipped: Arc::default(),
                streams: (0..bounds.most_workers)
                    .map(|_| StreamId::allocate())
                    .collect(),
                upload_stream: StreamId::allocate(),
                limit,
            },
            cutter: Cutter {
                positions,
                batch_size: self.batch_size,
                drop_last: self.drop_last,
                shard: self.shard,
                tail: self.tail,
                slice: None,
            },
            cursor: Arc::new(Cursor::new(at)),
            identity: Arc::new(identity),
        }))
    }
}

impl<I, O> std::fmt::Debug for DataLoaderBuilder<I, O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DataLoaderBuilder")
            .field("batch_size", &self.batch_size)
            .field("drop_last", &self.drop_last)
            .field("sampler", &self.sampler)
            .field("shard", &self.shard)
            .field("tail", &self.tail)
            .field("start", &self.start)
            .field("on_error", &self.on_error)
            .field("demand", &self.demand)
            .field("device", &self.device)
            .finish()
    }
}
