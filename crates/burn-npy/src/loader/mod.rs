//! Batches in a proven order, loaded by threads, ahead of time, in bounded memory.
//!
//! ```text
//! plan: batch k = positions ──► order: position → row ──► source: rows → host memory
//!                                                              (workers, any order)
//!              consumer ◄── upload, in order ◄── window of loaded batches
//! ```
//!
//! The order of an epoch depends on the sampler, the epoch and the number of rows alone. Workers
//! decide when a batch is loaded, never what is in it.
//!
//! The files are layers; none imports one above it:
//!
//! | file | contents |
//! |---|---|
//! | `builder` | Burn's builder, and its additions |
//! | this one | [`Loader`] |
//! | `iter` | one pass: yields batches and moves the cursor |
//! | `workers` | the threads of a pass |
//! | `epoch` | how the batches of an epoch are loaded; `epoch_plan` has their positions |
//! | `source`, `resident` | rows to host memory or batches; rows that stay on the device |
//! | `state` | what is saved of the `cursor`; `dataset::fingerprint` describes the dataset |
//! | `rows` | the rows of a batch |
//! | `window`, `report`, `error` | the reorder buffer, counters, failures and skipped rows |

mod builder;
mod epoch;
pub(crate) mod error;
mod iter;
pub(crate) mod report;
mod resident;
mod rows;
mod source;
mod state;
mod window;
#[cfg(test)]
#[path = "window/tests.rs"]
mod window_tests;
mod workers;

/// What the window synchronizes with. A model checker replaces it.
mod sync {
    pub(super) use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
}

use std::sync::{Arc, Mutex, PoisonError};

use burn::data::dataloader::{DataLoader, DataLoaderIterator};
use burn::tensor::Device;
use burn_npy_core::{
    internal,
    order::{BatchPosition, Order},
};

pub use builder::DataLoaderBuilder;
pub(crate) use error::guarded;
pub use error::{OnError, SkippedRow};
pub use iter::LoaderIter;
pub use report::Report;
pub use rows::BatchInfo;
pub use state::State;
pub use workers::AUTOTUNE;

use crate::Result;
use crate::cursor::{Cursor, SharedCursor, Ticket};
use crate::epoch_plan::{BatchBound, Batching, EpochPlan, Orders};
use crate::trace::Span;
use epoch::Epoch;
use error::SkippedRows;
use iter::{BurnIter, Track};
use source::{Source, SourceInfo};
use state::Identity;
use workers::WorkerConfig;

/// A Burn `DataLoader` whose order is a pure function of the seed and the epoch.
///
/// A [`DataLoaderBuilder`] builds one. Each call of [`iter`](Self::iter) is the next epoch, from 0
/// on, in an order of its own if it is shuffled; [`epoch`](Self::epoch) repeats any epoch. The
/// batches and their order are the same for any number of workers. [`state`](Self::state) says how
/// far the loader has come, and [`resume`](Self::resume) continues from there.
/// [`batch_at`](Self::batch_at) and [`locate`](Self::locate) look at any batch of any epoch.
///
/// A pass that fails yields one [`Error`](crate::Error) and ends; the next pass is not affected.
/// Dropping an iterator stops and joins its threads; between passes there are none.
///
/// # Example
///
/// What an error says of its place:
///
/// ```
/// use burn::tensor::{Int, Tensor};
/// use burn_npy::{Convert, ErrorKind, NpyDataset, ndarray::Array1};
///
/// # fn main() -> burn_npy::Result<()> {
/// let mut ages = Array1::<f64>::ones(100);
/// ages[57] = f64::NAN;
/// let loader = NpyDataset::from_arrays([("ages", ages)])?
///     .convert("ages", Convert::to::<i32>())?
///     .loader::<Tensor<1, Int>>()
///     .batch_size(10)
///     .try_build()?;
///
/// let mut pass = loader.iter();
/// assert_eq!(pass.by_ref().take_while(|batch| batch.is_ok()).count(), 5);
/// assert!(pass.next().is_none(), "an error ends the pass");
///
/// let error = loader.epoch(3).find_map(|batch| batch.err()).unwrap();
/// assert_eq!((error.epoch(), error.batch(), error.row()), (Some(3), Some(5), Some(57)));
/// assert_eq!((error.kind(), error.array()), (ErrorKind::Value, Some("ages")));
/// assert!(error.to_string().starts_with("epoch 3, batch 5, row 57: `ages`: row 57 has NaN"));
/// # Ok(())
/// # }
/// ```
pub struct Loader<O> {
    source: Arc<dyn Source<O>>,
    info: SourceInfo,
    orders: Orders,
    batching: Batching,
    pub(crate) workers: WorkerConfig,
    /// How many rows may be skipped; `None` if a failure ends the pass.
    skip_limit: Option<u64>,
    /// The rows that any pass has skipped, those of copies included.
    skipped: Arc<Mutex<SkippedRows>>,
    cursor: Arc<SharedCursor>,
    identity: Arc<Identity>,
}

impl<O: Send + 'static> Loader<O> {
    /// The next epoch, or the rest of one that is resumed. `DataLoader::iter` returns the same pass
    /// with the errors of Burn, and without its [`state`](LoaderIter::state) and its rows.
    pub fn iter(&self) -> LoaderIter<O> {
        let (cursor, ticket) = self.cursor.start();
        self.pass(cursor, Some((self.cursor.clone(), ticket)))
    }

    /// One pass in the order of an epoch, counted from 0, whatever passes there were before. It
    /// does not move the loader.
    pub fn epoch(&self, epoch: u64) -> LoaderIter<O> {
        let skipped = self.cursor.get().skipped;
        let cursor = Cursor {
            epoch,
            position: 0,
            skipped,
        };
        self.pass(cursor, None)
    }

    fn pass(&self, cursor: Cursor, shared: Option<(Arc<SharedCursor>, Ticket)>) -> LoaderIter<O> {
        let epoch = self.epoch_from(cursor.epoch, cursor.position);
        let track = Track {
            cursor,
            shared,
            identity: self.identity.clone(),
            skipped: self.skipped.clone(),
        };
        LoaderIter::new(epoch, &self.workers, &self.info, track)
    }

    /// The batches of an epoch, from a position on.
    fn epoch_from(&self, number: u64, from: u64) -> Epoch<O> {
        // The system itself reads ahead in a file of this machine that is read in order.
        let by_us = self.source.advise(self.orders.sampler.is_random());
        let ahead = match self.info.readahead_rows {
            0 => None,
            rows => by_us.then_some(rows),
        };
        let order = self.orders.order(number);
        let plan = self.batching.plan(Some(&order), from);
        Epoch {
            source: self.source.clone(),
            readahead: ahead.map(|rows| plan.batches_of(rows as u64)),
            plan,
            order,
            number,
            seed: self.orders.sampler.seed().unwrap_or(0),
            skip_limit: self.skip_limit,
            counters: self.workers.counters.clone(),
            span: Span::none(),
        }
    }

    /// The order of the next pass, if the sampler makes its batches.
    fn made(&self) -> Option<Order> {
        internal::largest_batch(&self.orders.sampler)?;
        Some(self.orders.order(self.next_epoch()))
    }

    /// The batches of its epoch. Others have as many, unless the sampler makes them.
    fn plan(&self) -> EpochPlan {
        self.batching.plan(self.made().as_ref(), 0)
    }

    /// How many batches a whole epoch has, for this shard; batches that are all padding count. With
    /// [`Sampler::max_tokens`](crate::Sampler::max_tokens) epochs differ a little, and it is the
    /// number of [`next_epoch`](Self::next_epoch).
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.plan().batches().end as usize
    }

    /// How many rows a whole epoch yields, for this shard. Padding does not count, nor do rows that
    /// are left out at the end. With [`Sampler::max_tokens`](crate::Sampler::max_tokens) and
    /// several shards epochs differ, as for [`len`](Self::len).
    pub fn num_items(&self) -> usize {
        self.plan().num_rows() as usize
    }

    /// Where the time of all passes so far went. Passes over copies on other devices count, such as
    /// those of Burn's `Learner` on one device. Slices, which it makes for several devices, count
    /// for themselves.
    pub fn report(&self) -> Report {
        let schedule = self.workers.schedule(&self.info);
        let limits = schedule.limits;
        Report {
            snapshot: self.workers.counters.snapshot(),
            workers: schedule.threads,
            prefetch: (limits.limit + limits.run - 1) as usize,
            scattered: self.info.scattered.clone(),
        }
    }

    /// The rows that were skipped so far, see [`OnError`], in the order of the dataset: in all
    /// passes over this loader and over its copies and slices, and those of the state that it
    /// resumed.
    pub fn skipped(&self) -> Vec<SkippedRow> {
        let mut all = self.cursor.get().skipped;
        let skipped = self.skipped.lock().unwrap_or_else(PoisonError::into_inner);
        all.add(skipped.rows().iter().cloned());
        all.rows().to_vec()
    }

    /// One batch of an epoch: the same as in a pass, without those before it. It does not move the
    /// loader.
    ///
    /// # Errors
    ///
    /// The error that a pass would yield. With [`OnError`] set to skip rows, also the error of the
    /// last row if no row of the batch can be loaded.
    ///
    /// # Panics
    ///
    /// Panics if the epoch does not have the batch.
    ///
    /// # Example
    ///
    /// ```
    /// use burn::tensor::{Int, Tensor};
    /// use burn_npy::{DataLoaderBuilder, NpyBatcher, NpyDataset, ndarray::Array1};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let dataset = NpyDataset::from_tensor_slices(Array1::from_iter(0..100_i64))?;
    /// let loader = DataLoaderBuilder::new(NpyBatcher::<Tensor<1, Int>>::new())
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
    pub fn batch_at(&self, epoch: u64, batch: u64) -> Result<O> {
        let whole = self.whole(epoch, batch);
        let load = || {
            let mut loaded = whole.load_alone(batch)?;
            match (loaded.data, loaded.failed.pop()) {
                (Some(data), _) => whole.finish(data, &loaded.info),
                (None, Some((row, failure))) => Err(failure.of_row(row)),
                (None, None) => unreachable!("a batch without data has a row that failed"),
            }
        };
        load().map_err(|failure| failure.in_batch(epoch, batch))
    }

    /// The rows of one batch of an epoch, without loading it.
    ///
    /// # Panics
    ///
    /// Panics if the epoch does not have the batch, or if there is no memory for the numbers of its
    /// rows.
    pub fn info_at(&self, epoch: u64, batch: u64) -> BatchInfo {
        let info = self.whole(epoch, batch).info(batch);
        info.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Where a row of the dataset comes in an epoch: the shard, the batch, and the place in the
    /// batch. `None` if the epoch does not draw the row, or leaves it out at the end. For a row
    /// that comes more than once, this is the first place. Padding does not count.
    pub fn locate(&self, epoch: u64, row: u64) -> Option<BatchPosition> {
        let order = self.orders.order(epoch);
        let position = order.position(row)?;
        self.batching.plan(Some(&order), 0).locate(position)
    }

    fn whole(&self, epoch: u64, batch: u64) -> Epoch<O> {
        let whole = self.epoch_from(epoch, 0);
        let count = whole.plan.batches().end;
        assert!(batch < count, "batch {batch} of {count}");
        whole
    }

    /// The same loader, which continues on its own.
    fn fork(&self) -> Self {
        Self {
            source: self.source.clone(),
            info: self.info.clone(),
            orders: self.orders.clone(),
            batching: self.batching.clone(),
            workers: self.workers.clone(),
            skip_limit: self.skip_limit,
            skipped: self.skipped.clone(),
            cursor: Arc::new(self.cursor.fork()),
            identity: self.identity.clone(),
        }
    }
}

impl<O> Loader<O> {
    /// How far the loader has come: behind the last batch that its latest pass has yielded, also
    /// while that pass is running. Passes of [`epoch`](Self::epoch) and batches of
    /// [`batch_at`](Self::batch_at) do not count. Nor do passes over copies, which
    /// [`slice`](burn::data::dataloader::DataLoader::slice) and
    /// [`to_device`](burn::data::dataloader::DataLoader::to_device) make, such as Burn's `Learner`
    /// uses; rows that those skip are in [`skipped`](Self::skipped).
    ///
    /// Of a loader for several [devices](DataLoaderBuilder::devices) whose parts were made after
    /// its latest pass, it is how far all of them have come: behind the batches that each device
    /// has had. A device that has had one more than others gets that one again.
    pub fn state(&self) -> State {
        self.identity.state(self.cursor.get())
    }

    /// Continues from a state: the next pass is the rest of its epoch, and later passes are the
    /// epochs after it. The number of workers, the batch size and the shards may differ from those
    /// of the loader that the state is from. If the batches are the same, so are their numbers.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) for a state of another dataset, another
    /// sampler, another seed, or another version, naming what differs. A dataset is compared by its
    /// length and, if it is an [`NpyDataset`](crate::NpyDataset), by the names, dtypes, shapes and
    /// some rows of its columns.
    pub fn resume(&self, state: &State) -> Result<()> {
        self.cursor.set(self.identity.cursor(state)?);
        Ok(())
    }

    /// The epoch of the next pass, counted from 0.
    pub fn next_epoch(&self) -> u64 {
        self.cursor.next_epoch()
    }
}

impl<O: Send + 'static> DataLoader<O> for Loader<O> {
    fn iter<'a>(&'a self) -> Box<dyn DataLoaderIterator<O> + 'a> {
        Box::new(BurnIter(self.iter()))
    }

    fn num_items(&self) -> usize {
        self.num_items()
    }

    /// The same loader with batches on another device. If the columns do not fit the device, every
    /// pass yields an error that says so. A dataset of yours is not asked for anything.
    fn to_device(&self, device: &Device) -> Arc<dyn DataLoader<O>> {
        let source = self.source.to_device(device);
        let mut new = Self {
            info: source.info(BatchBound::new(
                &self.orders.sampler,
                self.workers.batch_size,
            )),
            source,
            ..self.fork()
        };
        if new.info.batch_bytes != self.info.batch_bytes {
            new.workers = self.workers.fork();
        }
        Arc::new(new)
    }

    /// The rows from `start` to `end` of each epoch, in its order; of a shard, counted among its
    /// own rows. Slices that do not overlap never see the same row in an epoch, unless the sampler
    /// repeats it. Each slice sees a random sample of all rows, another one each epoch. Of a
    /// resumed epoch, a slice is the same share of the rest. Slices are not padded. A batch of
    /// [`Sampler::max_tokens`](crate::Sampler::max_tokens) belongs as a whole to the slice that has
    /// its first row.
    ///
    /// The slices that Burn's `split_dataloader` asks for are something else if the loader is made
    /// for several [devices](DataLoaderBuilder::devices): the parts of these.
    fn slice(&self, start: usize, end: usize) -> Arc<dyn DataLoader<O>> {
        let (batching, device) = self.batching.slice(self.made().as_ref(), start, end);
        let (cursor, together) = match (device, self.batching.devices as usize) {
            (Some(index), devices) => (self.cursor.part(index, devices), devices),
            (None, _) => (self.cursor.slice(), 1),
        };
        Arc::new(Self {
            batching,
            cursor: Arc::new(cursor),
            workers: self.workers.slice(together),
            ..self.fork()
        })
    }
}

impl<O> std::fmt::Debug for Loader<O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loader")
            .field("sampler", &self.orders.sampler)
            .field("batching", &self.batching)
            .field("next_epoch", &self.next_epoch())
            .field("workers", &self.workers.options)
            .finish_non_exhaustive()
    }
}
