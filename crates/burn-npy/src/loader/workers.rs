//! The threads of one pass: workers, which load batches ahead of the consumer, and on a GPU an
//! uploader, which makes tensors of them a batch ahead.
//!
//! Workers claim batches of the [`Window`], load them and fill them in, until none is left or the
//! pass is dropped. The consumer takes them in order. Where it would sleep, it claims and loads
//! batches like a worker, unless loading runs code of the user or may wait for a disk. Without
//! workers it loads all of them, by the same code.
//!
//! While the consumer loads batches too, one more thread than there are cores would only get in the
//! way, so there are at most `cores - 1` workers then. A consumer that is busy with its model has a
//! core for itself by the same rule. Code of the user, and files on a disk, get exactly as many
//! workers as were asked for.
//!
//! With workers and a device that has its own memory, the uploader is the consumer of the window.
//! It is one thread with one CubeCL stream, which owns all memory of batches. While the user works
//! with a batch, the next one is copied to the device.
//!
//! Dropping [`Workers`] stops the window and joins the threads, which takes as long as the batches
//! that are being loaded.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use burn::tensor::StreamId;

use super::epoch::{Epoch, LoadedBatch};
use super::error::{Cause, Failure};
use super::report::{Counters, Stopwatch};
use super::rows::RowScratch;
use super::source::{BatchData, Work};
use super::window::{Limits, Window};
use crate::Result;

/// Lets the loader choose the number of workers, or how many batches are loaded ahead. The batches
/// and their order are the same, whatever it chooses.
///
/// It chooses one worker fewer than there are cores, so that the training keeps a core, but at
/// least one. For [`prefetch`](crate::DataLoaderBuilder::prefetch) it starts with a few batches and
/// doubles that each time that the consumer finds no batch ready although enough were before.
pub const AUTOTUNE: usize = usize::MAX;

/// How many bytes of small batches are passed between threads at a time.
const RUN_BYTES: usize = 512 << 10;
/// How many batches that may be.
const MAX_RUN: usize = 32;
/// How many batches may be loaded ahead, however small.
const MAX_PREFETCH: usize = 4096;

/// What the user asked for of workers and prefetch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PrefetchOptions {
    pub(crate) num_workers: usize,
    /// How many batches may be loaded ahead; `None` or [`AUTOTUNE`] leaves it to the loader.
    pub(crate) batches: Option<usize>,
    /// How many bytes those may take.
    pub(crate) bytes: usize,
}

/// How a pass is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Schedule {
    pub(crate) threads: usize,
    /// Whether the consumer loads batches where it would sleep.
    pub(crate) helps: bool,
    pub(crate) limits: Limits,
}

impl PrefetchOptions {
    /// How batches are loaded that need this work and have so many rows, and so many bytes if that
    /// is known.
    pub(crate) fn schedule(
        self,
        work: Work,
        batch_size: usize,
        batch_bytes: Option<usize>,
        cores: usize,
    ) -> Schedule {
        let spare = cores.saturating_sub(1).max(1);
        let threads = match self.num_workers {
            AUTOTUNE => spare,
            asked if work == Work::Memory => asked.min(spare),
            asked => asked,
        };
        // The numbers of its rows live as long as the batch.
        let numbers = batch_size.saturating_mul(size_of::<u64>());
        let fits = |batch: usize| self.bytes / batch.saturating_add(numbers);
        let most = batch_bytes
            .map_or(MAX_PREFETCH, fits)
            .clamp(1, MAX_PREFETCH);
        let asked = self.batches.filter(|batches| *batches != AUTOTUNE);
        let max = asked.unwrap_or(most).clamp(1, most);
        // The workers and the consumer.
        let loaders = threads + 1;
        let run = match (work, batch_bytes) {
            (Work::UserCode, _) | (_, None) => 1,
            // A consumer that waits for a disk waits for the next batch alone.
            (Work::Files, _) if threads == 0 => 1,
            (_, Some(bytes)) => (RUN_BYTES / bytes)
                .min(MAX_RUN)
                .min(max / (2 * loaders))
                .max(1),
        };
        // Two claims for each.
        let usual = (2 * loaders * run).min(max);
        let (limit, max_limit) = match (asked, batch_bytes) {
            (Some(_), _) => (max, max),
            // Nobody knows what more batches would take.
            (None, None) => (usual, usual),
            (None, Some(_)) => (usual, max),
        };
        // The consumer has up to `run` batches at hand, one of which is given away.
        let at_hand = run - 1;
        Schedule {
            threads,
            helps: work == Work::Memory || threads == 0,
            limits: Limits {
                run: run as u64,
                limit: (limit - at_hand) as u64,
                max_limit: (max_limit - at_hand) as u64,
                wake_at_half: work == Work::Memory,
            },
        }
    }
}

/// What the passes of a loader share.
#[derive(Clone, Debug)]
pub(crate) struct WorkerConfig {
    pub(crate) options: PrefetchOptions,
    pub(crate) batch_size: usize,
    /// How many threads can run at the same time.
    pub(crate) cores: usize,
    pub(crate) counters: Arc<Counters>,
    /// The limit of the window that the last pass came to; 0 before the first.
    pub(crate) found_limit: Arc<AtomicU64>,
    /// A CubeCL stream for each worker. Streams own memory on the device, so new ones for the
    /// threads of each pass would be a leak.
    pub(crate) streams: Arc<[StreamId]>,
    /// The stream of the uploader.
    pub(crate) upload_stream: StreamId,
}

impl WorkerConfig {
    /// How the batches of a source are loaded.
    pub(crate) fn schedule(&self, work: Work, row_bytes: Option<usize>) -> Schedule {
        let bytes = row_bytes.map(|bytes| bytes.saturating_mul(self.batch_size).max(1));
        let mut schedule = self
            .options
            .schedule(work, self.batch_size, bytes, self.cores);
        let Limits {
            limit, max_limit, ..
        } = &mut schedule.limits;
        *limit = self
            .found_limit
            .load(Ordering::Relaxed)
            .clamp(*limit, *max_limit);
        schedule
    }

    /// The same for other batches, with a prefetch of their own.
    pub(crate) fn fork(&self) -> Self {
        Self {
            found_limit: Arc::default(),
            ..self.clone()
        }
    }
}

/// The batches of a claim, up to the first that failed.
type Run<O> = Vec<Result<LoadedBatch<O>, Failure>>;

/// What the threads of a pass share.
struct Shared<O> {
    epoch: Arc<Epoch<O>>,
    window: Window<Run<O>>,
    config: WorkerConfig,
    /// The length of a claim.
    run: u64,
    /// The first batch whose files nobody has begun to read ahead.
    unread: AtomicU64,
}

impl<O> Shared<O> {
    /// Loads what was claimed, and fills it in.
    fn load(&self, claim: Range<u64>, scratch: &mut RowScratch) {
        let watch = Stopwatch::start(self.epoch.source.work() == Work::Files);
        self.readahead(claim.end);
        let stop = || self.window.is_stopped();
        let run = self.epoch.load(claim.clone(), scratch, &stop);
        watch.stop(&self.config.counters);
        if self.epoch.source.row_bytes().is_none()
            && let Some(Ok(LoadedBatch {
                data: Some(BatchData::Host(data)),
                info,
                ..
            })) = run.last()
        {
            let bytes = data.bytes().saturating_add(size_of_val(info.rows()));
            self.window
                .restrict((self.config.options.bytes / bytes.max(1)) as u64);
        }
        let failed = run.last().is_some_and(Result::is_err);
        let end = failed.then(|| claim.start + run.len() as u64);
        self.window.fill(&claim, run, end);
    }

    /// Reads files for batches that come later. The first batches of a pass are wanted at once, so
    /// the distance grows with each claim.
    fn readahead(&self, claimed: u64) {
        let Some(ahead) = self.epoch.readahead else {
            return;
        };
        let unread = self.unread.load(Ordering::Relaxed).max(claimed);
        let ahead = claimed.saturating_add(ahead.max(self.window.limit()));
        let step = unread.saturating_add(2 * self.run);
        let until = ahead.min(step).min(self.epoch.plan.batches().end);
        let from = self.unread.fetch_max(until, Ordering::Relaxed);
        if from < until {
            self.epoch.readahead(from..until);
        }
    }
}

/// The batches of a pass in order, and the threads that load them.
pub(crate) struct Workers<O> {
    shared: Arc<Shared<O>>,
    /// The rest of the claim that was taken last.
    ready: std::vec::IntoIter<Result<LoadedBatch<O>, Failure>>,
    /// Whether the consumer loads batches where it would sleep.
    helps: bool,
    /// Whether the thread that takes them is the consumer, whose waiting is counted.
    is_consumer: bool,
    scratch: RowScratch,
    threads: Vec<JoinHandle<()>>,
}

impl<O: Send + 'static> Workers<O> {
    /// Starts the workers.
    fn start(epoch: Arc<Epoch<O>>, config: &WorkerConfig, schedule: Schedule) -> Self {
        let batches = epoch.plan.batches();
        let shared = Arc::new(Shared {
            unread: AtomicU64::new(batches.start),
            run: schedule.limits.run,
            window: Window::new(batches, schedule.limits),
            epoch,
            config: config.clone(),
        });
        let mut threads = Vec::with_capacity(schedule.threads);
        for (index, stream) in config.streams.iter().take(schedule.threads).enumerate() {
            let (shared, stream) = (shared.clone(), *stream);
            let thread = thread::Builder::new()
                .name(format!("burn-npy-{index}"))
                .spawn(move || stream.executes(|| work(&shared)));
            // Fewer threads do the same work, and without any the consumer does it.
            let Ok(thread) = thread else { break };
            threads.push(thread);
        }
        Self {
            shared,
            ready: Vec::new().into_iter(),
            helps: schedule.helps || threads.is_empty(),
            is_consumer: true,
            scratch: RowScratch::default(),
            threads,
        }
    }

    /// The next batch. It must not be called more often than there are batches, nor after a
    /// failure.
    fn take(&mut self) -> Result<LoadedBatch<O>, Failure> {
        loop {
            if let Some(batch) = self.ready.next() {
                return batch;
            }
            self.ready = self.take_run().into_iter();
        }
    }

    fn take_run(&mut self) -> Run<O> {
        let window = &self.shared.window;
        if let Some(run) = window.pop() {
            return run;
        }
        let start = Instant::now();
        let run = loop {
            let claim = if self.helps { window.try_claim() } else { None };
            match claim {
                Some(claim) => self.shared.load(claim, &mut self.scratch),
                None => window.wait_filled(),
            }
            if let Some(run) = window.pop() {
                break run;
            }
        };
        if self.is_consumer {
            Counters::add(&self.shared.config.counters.waited, start.elapsed());
        }
        run
    }
}

/// What a worker does.
fn work<O>(shared: &Shared<O>) {
    let mut scratch = RowScratch::default();
    loop {
        let start = Instant::now();
        let claim = shared.window.claim_or_wait();
        Counters::add(&shared.config.counters.idle, start.elapsed());
        let Some(claim) = claim else { return };
        shared.load(claim, &mut scratch);
    }
}

impl<O> Drop for Workers<O> {
    fn drop(&mut self) {
        let Shared { window, config, .. } = &*self.shared;
        window.stop();
        config.found_limit.store(window.limit(), Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // Code of the user runs under a guard, so there is no panic to pass on.
            let _ = thread.join();
        }
    }
}

/// The thread that makes tensors ahead of the consumer.
pub(crate) struct Uploader<O> {
    /// `None` only while it is dropped.
    ready: Option<Receiver<Result<LoadedBatch<O>, Failure>>>,
    thread: Option<JoinHandle<()>>,
    counters: Arc<Counters>,
}

impl<O: Send + 'static> Uploader<O> {
    /// Starts the thread, which takes over the workers.
    fn start(mut workers: Workers<O>) -> Result<Self, Failure> {
        workers.is_consumer = false;
        let config = &workers.shared.config;
        let (counters, stream) = (config.counters.clone(), config.upload_stream);
        // The channel holds nothing: the batch that is ready is in the hands of the thread.
        let (give, ready) = sync_channel(0);
        let thread = thread::Builder::new()
            .name("burn-npy-upload".to_owned())
            .spawn(move || stream.executes(|| upload_all(workers, &give)))
            .map_err(|error| Failure::from(Cause::error(error)))?;
        Ok(Self {
            ready: Some(ready),
            thread: Some(thread),
            counters,
        })
    }

    fn take(&mut self) -> Result<LoadedBatch<O>, Failure> {
        let start = Instant::now();
        let batch = self.ready.as_ref().and_then(|ready| ready.recv().ok());
        Counters::add(&self.counters.waited, start.elapsed());
        // Code of the user runs under a guard, so this would be a bug of this crate.
        let gone = || Cause::panic("upload", Box::new("its thread is gone")).into();
        batch.unwrap_or_else(|| Err(gone()))
    }
}

impl<O> Drop for Uploader<O> {
    fn drop(&mut self) {
        // The thread learns that nobody wants its batch when it would give it away.
        self.ready = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn upload_all<O: Send + 'static>(
    mut workers: Workers<O>,
    give: &SyncSender<Result<LoadedBatch<O>, Failure>>,
) {
    let epoch = workers.shared.epoch.clone();
    for _ in epoch.plan.batches() {
        let batch = workers.take().and_then(|batch| upload(batch, &epoch));
        let failed = batch.is_err();
        if give.send(batch).is_err() || failed {
            return;
        }
    }
}

/// The batch with its tensors made.
fn upload<O>(mut batch: LoadedBatch<O>, epoch: &Epoch<O>) -> Result<LoadedBatch<O>, Failure> {
    if let Some(data) = batch.data.take() {
        let start = Instant::now();
        let done = epoch.finish(data, &batch.info);
        Counters::add(&epoch.counters.ahead, start.elapsed());
        batch.data = Some(BatchData::Done(Box::new(done?)));
    }
    Ok(batch)
}

/// Where the consumer takes its batches.
pub(crate) enum Batches<O> {
    Workers(Box<Workers<O>>),
    Uploader(Uploader<O>),
}

impl<O: Send + 'static> Batches<O> {
    /// Starts the threads of a pass.
    pub(crate) fn start(epoch: Arc<Epoch<O>>, config: &WorkerConfig) -> Result<Self, Failure> {
        let source = &epoch.source;
        let (schedule, uploads) = (
            config.schedule(source.work(), source.row_bytes()),
            source.uploads(),
        );
        let workers = Workers::start(epoch, config, schedule);
        if uploads && schedule.threads > 0 {
            return Ok(Self::Uploader(Uploader::start(workers)?));
        }
        Ok(Self::Workers(Box::new(workers)))
    }

    /// The next batch in order. It must not be called more often than there are batches, nor after
    /// a failure.
    pub(crate) fn take(&mut self) -> Result<LoadedBatch<O>, Failure> {
        match self {
            Self::Workers(workers) => workers.take(),
            Self::Uploader(uploader) => uploader.take(),
        }
    }
}

#[cfg(test)]
mod tests;
