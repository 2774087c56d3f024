//! Batches in a proven order, made by threads, ahead of time, in bounded memory.
//!
//! ```text
//! plan: batch k = positions ──► order: position → item ──► source: items → host memory
//!                                                               (workers, any order)
//!              consumer ◄── upload, in order ◄── window of loaded batches
//! ```
//!
//! The order of an epoch depends on the sampler, the epoch and the number of items alone. Workers
//! only decide when a batch is made, never what is in it. `cut` says which positions a batch has,
//! `pass` what it is made of, `alone` and `workers` who makes it when, and `iter` yields it and
//! moves the `cursor`.

mod alone;
mod builder;
mod cursor;
mod cut;
mod draw;
mod error;
mod fingerprint;
mod headroom;
mod hex;
mod info;
mod iter;
mod mapped;
mod meter;
mod on_error;
mod pass;
mod replay;
mod report;
mod source;
mod state;
mod tune;
mod uploader;
mod workers;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use burn::data::dataloader::{DataLoader, DataLoaderIterator};
use burn::tensor::{Device, StreamId};
use burn_npy_core::{Order, Sampler};

pub use builder::{AUTOTUNE, DataLoaderBuilder};
pub use error::LoadError;
pub use headroom::Headroom;
pub use info::BatchInfo;
pub use iter::LoaderIter;
pub use on_error::{OnError, SkippedRow};
pub use report::Report;
pub use state::State;

use builder::{Demand, ahead, batch_bytes};
use cursor::{At, Cursor};
use cut::Cutter;
use meter::Meter;
use on_error::SharedLedger;
use pass::Pass;
use source::{Failed, Source};
use state::Identity;
use tune::{Setting, Tuner};

/// A Burn `DataLoader` whose order is a pure function of the seed and the epoch.
///
/// A [`DataLoaderBuilder`] builds one. Each pass over it is the next epoch, from 0 on, in an order
/// of its own if it is shuffled; [`epoch`](Self::epoch) gives any epoch again. The batches, their
/// content and their order are the same for any number of workers. [`state`](Self::state) says how
/// far it has come, [`resume`](Self::resume) goes on from there, and [`batch_at`](Self::batch_at)
/// and [`locate`](Self::locate) look at any batch of any epoch.
///
/// A pass that fails yields one error, a [`LoadError`], and ends; the next pass is not affected.
/// Dropping an iterator stops and joins its threads; between passes there are none.
pub struct Loader<O> {
    source: Arc<dyn Source<O>>,
    settings: Settings,
    cutter: Cutter,
    cursor: Arc<Cursor>,
    identity: Arc<Identity>,
}

/// How many bytes of batches stay in a near cache of the core.
const NEAR_BYTES: usize = 128 << 10;

/// What a builder decided, for all slices and devices.
#[derive(Clone)]
struct Settings {
    sampler: Sampler,
    /// How many items the dataset had when the loader was built: the plan does not follow one that
    /// changes.
    items: u64,
    demand: Demand,
    /// How many workers there are and how far ahead; the same for all passes, so that what was
    /// found out stays known.
    tuner: Arc<Mutex<Tuner>>,
    /// How many batches a worker makes at a time, if the window has room for them.
    run: usize,
    /// How many batches there may be at a time at the most.
    most_window: usize,
    /// The size of a batch, where it is known.
    batch_bytes: Option<usize>,
    /// How many threads can run at the same time.
    cores: usize,
    meter: Arc<Meter>,
    /// The rows that any pass has skipped, of copies as well.
    skipped: Arc<SharedLedger>,
    /// A CubeCL stream for each worker: streams own memory on the device, so a new one for each
    /// epoch's threads would be a leak.
    streams: Arc<[StreamId]>,
    /// The same for who uploads.
    upload_stream: StreamId,
    /// How many rows may be skipped; none if a failure ends the pass.
    limit: Option<u64>,
}

impl Settings {
    fn setting(&self) -> Setting {
        self.lock().setting()
    }

    /// What finds the setting, unless that is fixed.
    fn tuner(&self) -> Option<MutexGuard<'_, Tuner>> {
        let tuner = self.lock();
        (!tuner.is_fixed()).then_some(tuner)
    }

    fn lock(&self) -> MutexGuard<'_, Tuner> {
        self.tuner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many batches a worker makes at a time: each should have two runs in the window.
    fn run(&self, setting: Setting) -> usize {
        let room = setting.window / (2 * setting.workers).max(1);
        self.run.min(room).max(1)
    }

    /// How many batches stay in a near cache, and a consumer makes at a time.
    fn near_run(&self) -> u64 {
        let near = NEAR_BYTES / self.batch_bytes.unwrap_or(NEAR_BYTES);
        near.clamp(1, self.run.min(self.most_window)) as u64
    }

    /// The same where items have another size, as they may have on another device.
    fn sized(&self, batch_size: usize, item_bytes: Option<usize>) -> Self {
        let batch_bytes = batch_bytes(batch_size, item_bytes);
        if batch_bytes == self.batch_bytes {
            return self.clone();
        }
        let (setting, bounds, run) = ahead(self.demand, batch_size, batch_bytes);
        let tuner = Tuner::new(setting, bounds).looked_at(self.meter.read());
        Self {
            tuner: Arc::new(Mutex::new(tuner)),
            run,
            most_window: bounds.most_window,
            batch_bytes,
            ..self.clone()
        }
    }

    /// The same for a part of the batches, which are timed on their own.
    fn fork(&self) -> Self {
        Self {
            tuner: Arc::new(Mutex::new(self.lock().fork())),
            meter: Arc::default(),
            ..self.clone()
        }
    }
}

impl<O: Send + 'static> Loader<O> {
    /// Where the time of all passes so far went, those of copies on other devices included, such as
    /// Burn's `Learner` makes. Slices, as it makes for several devices, are timed on their own. The
    /// [setting](Report::setting) is that of this loader: on a device where batches have another
    /// size, a copy has its own.
    pub fn report(&self) -> Report {
        let setting = self.settings.setting();
        Report {
            reading: self.settings.meter.read(),
            workers: setting.workers,
            window: setting.window,
            scattered: self.source.scattered().into(),
        }
    }

    /// The rows that were skipped so far, see [`OnError`], in the order of the dataset: by all
    /// passes over this loader and over its copies and slices, and those of the state that it goes
    /// on from.
    pub fn skipped(&self) -> Vec<SkippedRow> {
        let mut all = self.cursor.at().skipped;
        all.add(self.settings.skipped.rows());
        all.into_rows()
    }

    /// How many batches a whole epoch has, for this shard; batches that are all padding count.
    pub fn num_batches(&self) -> usize {
        self.cutter.cut(0).batches().end as usize
    }

    /// The next epoch, or the rest of one that is gone on with: what `iter` gives, as the type that
    /// knows its [`state`](LoaderIter::state) and the rows of its batches.
    pub fn pass(&self) -> LoaderIter<O> {
        let (at, ticket) = self.cursor.begin();
        self.run(at, Some((self.cursor.clone(), ticket)))
    }

    /// A pass with the order of a certain epoch, whatever passes there were before. It does not
    /// move the loader.
    pub fn epoch(&self, epoch: u64) -> LoaderIter<O> {
        let skipped = self.cursor.at().skipped;
        let at = At {
            epoch,
            position: 0,
            skipped,
        };
        self.run(at, None)
    }

    fn run(&self, at: At, cursor: Option<(Arc<Cursor>, cursor::Ticket)>) -> LoaderIter<O> {
        self.source.advise(self.settings.sampler.is_random());
        let pass = self.pass_over(at.epoch, at.position);
        LoaderIter::new(pass, &self.settings, at, cursor, self.identity.clone())
    }

    /// What the batches of an epoch are, from a position on.
    fn pass_over(&self, epoch: u64, from: u64) -> Pass<O> {
        Pass {
            source: self.source.clone(),
            cut: self.cutter.cut(from),
            order: self.order(epoch),
            epoch,
            seed: self.settings.sampler.seed().unwrap_or(0),
            limit: self.settings.limit,
            // What is read in its own order is read ahead by the system.
            announced_ahead: match self.source.rows_ahead() {
                0 => None,
                rows if self.settings.sampler.is_random() => {
                    Some(rows.div_ceil(self.cutter.batch_size) as u64)
                }
                _ => None,
            },
        }
    }

    fn order(&self, epoch: u64) -> Order {
        self.settings.sampler.order(self.settings.items, epoch)
    }

    fn with(&self, source: Arc<dyn Source<O>>, settings: Settings, cutter: Cutter) -> Self {
        Self {
            source,
            settings,
            cutter,
            // A copy goes on where the original is.
            cursor: Arc::new(self.cursor.fork()),
            identity: self.identity.clone(),
        }
    }
}

impl<O: Send + 'static> DataLoader<O> for Loader<O> {
    /// The next epoch, or the rest of one that is gone on with.
    fn iter<'a>(&'a self) -> Box<dyn DataLoaderIterator<O> + 'a> {
        Box::new(self.pass())
    }

    /// How many items a whole epoch yields, for this shard; neither padding nor what is left out at
    /// the end counts.
    fn num_items(&self) -> usize {
        self.cutter.cut(0).num_rows() as usize
    }

    /// The same loader with batches on another device. If the columns do not fit the device, every
    /// pass yields an error that says so. A dataset of yours is not asked for anything.
    fn to_device(&self, device: &Device) -> Arc<dyn DataLoader<O>> {
        let source = self.source.to_device(device).unwrap_or_else(|error| {
            Arc::new(Failed {
                error: Arc::new(error),
            })
        });
        let item_bytes = source.item_bytes();
        let settings = self.settings.sized(self.cutter.batch_size, item_bytes);
        Arc::new(self.with(source, settings, self.cutter.clone()))
    }

    /// The items from `start` to `end` of each epoch, in its order; of a shard, those of its own.
    /// Slices that do not overlap never see the same item in an epoch (unless the sampler repeats
    /// it), and each sees a random sample of all items, another one each epoch. Of an epoch that is
    /// gone on with, a slice is the same share of the rest. Slices are not padded.
    fn slice(&self, start: usize, end: usize) -> Arc<dyn DataLoader<O>> {
        let cutter = self.cutter.slice(start, end);
        Arc::new(self.with(self.source.clone(), self.settings.fork(), cutter))
    }
}

impl<O> std::fmt::Debug for Loader<O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loader")
            .field("sampler", &self.settings.sampler)
            .field("cutter", &self.cutter)
            .field("next_epoch", &self.next_epoch())
            .field("num_workers", &self.settings.setting().workers)
            .field("window", &self.settings.setting().window)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::workers::tests::{Slow, given};
    use super::*;

    #[test]
    fn where_items_are_larger_fewer_batches_are_ahead() {
        let source = Arc::new(Slow::new(1, Duration::ZERO));
        let (_, settings) = given(&source, 2, 2, 1 << 20);
        let same = settings.sized(4, Some(1 << 18));
        assert!(Arc::ptr_eq(&settings.tuner, &same.tuner));
        // 128 MiB of batches, and of the numbers of their rows.
        let larger = settings.sized(4, Some((16 << 20) - 8));
        assert_eq!((larger.setting().window, larger.most_window), (2, 2));
        assert_eq!(larger.batch_bytes, Some((64 << 20) - 32));
        let narrow = settings.sized(1 << 20, Some(2));
        assert_eq!(narrow.most_window, 12);
        assert!(Arc::ptr_eq(&settings.meter, &larger.meter));
    }
}
