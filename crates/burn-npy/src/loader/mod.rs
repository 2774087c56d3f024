//! Batches in a proven order, made by threads, ahead of time, in bounded memory.
//!
//! ```text
//! plan: batch k = positions ──► order: position → item ──► source: items → host memory
//!                                                               (workers, any order)
//!              consumer ◄── upload, in order ◄── window of loaded batches
//! ```
//!
//! The order of an epoch depends on the seed, the epoch and the number of items alone. Workers only
//! decide when a batch is made, never what is in it.

mod builder;
mod error;
mod iter;
mod source;
mod workers;

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use burn::data::dataloader::{DataLoader, DataLoaderIterator};
use burn::tensor::{Device, StreamId};
use burn_npy_core::{Plan, Sampler};

pub use builder::DataLoaderBuilder;
pub use error::LoadError;
pub use iter::LoaderIter;
use source::{Failed, Source};

/// A Burn `DataLoader` whose order is a pure function of the seed and the epoch.
///
/// A [`DataLoaderBuilder`] builds one. Each pass over it is the next epoch, from 0 on, in an order
/// of its own if it is shuffled; [`epoch`](Self::epoch) gives any epoch again. The batches, their
/// content and their order are the same for any number of workers.
///
/// A pass that fails yields one error, a [`LoadError`], and ends; the next pass is not affected. Dropping
/// an iterator stops and joins its threads; between passes there are none.
pub struct Loader<O> {
    source: Arc<dyn Source<O>>,
    settings: Settings,
    /// Which positions of the order are this loader's.
    positions: Range<u64>,
    next_epoch: AtomicU64,
}

/// What a builder decided, for all slices and devices.
#[derive(Clone)]
struct Settings {
    sampler: Sampler,
    batch_size: usize,
    drop_last: bool,
    num_workers: usize,
    /// How many batches may be loaded or being loaded before they are asked for.
    window: usize,
    /// A CubeCL stream for each worker: streams own memory on the device, so a new one for each
    /// epoch's threads would be a leak.
    streams: Arc<[StreamId]>,
}

impl<O: Send + 'static> Loader<O> {
    /// How many batches a pass has.
    pub fn num_batches(&self) -> usize {
        self.plan().num_batches() as usize
    }

    /// A pass with the order of a certain epoch, whatever passes there were before.
    pub fn epoch(&self, epoch: u64) -> LoaderIter<O> {
        self.source.advise(self.settings.sampler.is_random());
        let order = self.settings.sampler.order(self.source.len() as u64, epoch);
        let pass = workers::Pass {
            source: self.source.clone(),
            plan: self.plan(),
            order,
            epoch,
        };
        LoaderIter::new(pass, &self.settings)
    }

    fn plan(&self) -> Plan {
        let Settings {
            batch_size,
            drop_last,
            ..
        } = self.settings;
        Plan::new(self.positions.clone(), batch_size, drop_last)
    }

    fn with(&self, source: Arc<dyn Source<O>>, positions: Range<u64>) -> Self {
        Self {
            source,
            settings: self.settings.clone(),
            positions,
            // A copy goes on where the original is.
            next_epoch: AtomicU64::new(self.next_epoch.load(Ordering::Relaxed)),
        }
    }
}

impl<O: Send + 'static> DataLoader<O> for Loader<O> {
    /// The next epoch.
    fn iter<'a>(&'a self) -> Box<dyn DataLoaderIterator<O> + 'a> {
        Box::new(self.epoch(self.next_epoch.fetch_add(1, Ordering::Relaxed)))
    }

    /// How many items a pass yields; those of a last batch that is dropped are not counted.
    fn num_items(&self) -> usize {
        self.plan().num_rows() as usize
    }

    /// The same loader with batches on another device. If the columns do not fit the device, every
    /// pass yields an error that says so.
    fn to_device(&self, device: &Device) -> Arc<dyn DataLoader<O>> {
        let source = self.source.to_device(device).unwrap_or_else(|error| {
            Arc::new(Failed {
                len: self.source.len(),
                error: Arc::new(error),
            })
        });
        Arc::new(self.with(source, self.positions.clone()))
    }

    /// The positions from `start` to `end` of each epoch. Slices that do not overlap never see the
    /// same item in an epoch, and each sees a random sample of all items, another one each epoch.
    fn slice(&self, start: usize, end: usize) -> Arc<dyn DataLoader<O>> {
        let at = |position: usize| {
            let position = self.positions.start.saturating_add(position as u64);
            position.min(self.positions.end)
        };
        let positions = at(start)..at(end).max(at(start));
        Arc::new(self.with(self.source.clone(), positions))
    }
}

impl<O> std::fmt::Debug for Loader<O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loader")
            .field("sampler", &self.settings.sampler)
            .field("positions", &self.positions)
            .field("batch_size", &self.settings.batch_size)
            .field("drop_last", &self.settings.drop_last)
            .field("num_workers", &self.settings.num_workers)
            .field("window", &self.settings.window)
            .finish()
    }
}
