//! The threads of one pass: workers, which load batches ahead of the consumer, and on a GPU an
//! uploader, which makes tensors of them a batch ahead.
//!
//! Workers claim batches of the [`Window`], load them and fill them in, until none is left or the
//! pass is dropped. The consumer takes them in order. Where it would sleep, it claims and loads
//! batches like a worker, unless loading runs code of the user or may wait for a disk. Without
//! workers it loads all of them, by the same code.
//!
//! Copying is bound by the cores. Where the consumer loads batches too, there are at most
//! `cores - 1` workers, but at least one, so that the consumer has a core, also while it runs a
//! model. Code of the user and files on a disk may sleep, so they get as many workers as were asked
//! for.
//!
//! With workers and a device that has its own memory, the uploader is the consumer of the window.
//! It is one thread with one CubeCL stream, which owns all memory of batches. While the user works
//! with a batch, the next one is copied to the device.
//!
//! Dropping [`Workers`] stops the window and joins the threads, which takes as long as the batches
//! that are being loaded. Threads that wait for a server end at once.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use burn::tensor::StreamId;
use burn_npy_core::internal;

use super::epoch::{Epoch, LoadedBatch};
use super::error::{Failure, Loaded, discard};
use super::report::Counters;
use super::rows::RowScratch;
use super::source::{BatchData, SourceInfo, Work};
use super::window::{Limits, Window};
use crate::{Result, trace};

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

/// What the passes of a loader share.
#[derive(Clone, Debug)]
pub(crate) struct WorkerConfig {
    pub(crate) options: PrefetchOptions,
    /// The most rows that a batch may have.
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
    /// Whether there may be an uploader. Where Burn trains on several devices, it hands batches to
    /// threads of its own. With CubeCL of Burn 0.22 its gradients are wrong if yet another thread
    /// makes the batches.
    pub(crate) may_upload: bool,
}

impl WorkerConfig {
    /// How the batches of a source are loaded.
    pub(crate) fn schedule(&self, source: &SourceInfo) -> Schedule {
        let (work, options) = (source.work, self.options);
        let batch_bytes = source.batch_bytes.map(|bytes| bytes.max(1));
        let spare = self.cores.saturating_sub(1).max(1);
        let threads = match options.num_workers {
            AUTOTUNE => spare,
            asked if work == Work::Memory => asked.min(spare),
            asked => asked,
        };
        // The numbers of its rows live as long as the batch.
        let numbers = self.batch_size.saturating_mul(size_of::<u64>());
        let fits = |batch: usize| options.bytes / batch.saturating_add(numbers);
        let most = batch_bytes
            .map_or(MAX_PREFETCH, fits)
            .clamp(1, MAX_PREFETCH);
        let asked = options.batches.filter(|batches| *batches != AUTOTUNE);
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
        let limit = if asked.is_some() { max } else { usual };
        // Nobody knows what more batches of an unknown size would take.
        let max_limit = if batch_bytes.is_some() { max } else { limit };
        // The consumer holds the rest of a claim, up to `run - 1` batches, outside of the window.
        let [limit, max_limit] = [limit, max_limit].map(|limit| (limit - (run - 1)) as u64);
        let found_limit = self.found_limit.load(Ordering::Relaxed);
        Schedule {
            threads,
            helps: work == Work::Memory || threads == 0,
            limits: Limits {
                run: run as u64,
                limit: found_limit.clamp(limit, max_limit),
                max_limit,
                wake_at_half: work == Work::Memory,
            },
        }
    }

    /// The same for other batches, with a prefetch of their own.
    pub(crate) fn fork(&self) -> Self {
        Self {
            found_limit: Arc::default(),
            ..self.clone()
        }
    }

    /// The same for a slice, which has its part of the cores if others are passed over with it.
    pub(crate) fn slice(&self, together: usize) -> Self {
        Self {
            cores: (self.cores / together).max(1),
            counters: Arc::default(),
            may_upload: false,
            ..self.fork()
        }
    }
}

/// The batches of a claim, up to and including the first that failed; fewer if the pass stops.
type Run<O> = Vec<Loaded<LoadedBatch<O>>>;

/// What the threads of a pass share.
struct Shared<O> {
    epoch: Arc<Epoch<O>>,
    window: Window<Run<O>>,
    config: WorkerConfig,
    source: SourceInfo,
    limits: Limits,
    /// The first batch whose files nobody has begun to read ahead.
    unread: AtomicU64,
    /// Set when nobody wants the batches any more, so that no worker waits for a server.
    given_up: Arc<AtomicBool>,
}

impl<O> Shared<O> {
    /// Loads what was claimed, and fills it in.
    fn load(&self, claim: Range<u64>, scratch: &mut RowScratch) {
        let reads_files = self.source.work == Work::Files;
        let run = self.config.counters.time_load(reads_files, || {
            let _span = self.epoch.span.load(&self.epoch.plan, &claim);
            self.readahead(claim.end);
            let stop = || self.window.is_stopped();
            self.epoch.load(claim.clone(), scratch, &stop)
        });
        if self.source.batch_bytes.is_none()
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
        let step = unread.saturating_add(2 * self.limits.run);
        let until = ahead.min(step).min(self.epoch.plan.batches().end);
        let from = self.unread.fetch_max(until, Ordering::Relaxed);
        if from < until
            && let Some(first) = self.epoch.readahead(from..until)
        {
            // Again with the next claim, when there is more room.
            self.unread.fetch_min(first, Ordering::Relaxed);
        }
    }
}

/// The batches of a pass in order, and the threads that load them.
struct Workers<O> {
    shared: Arc<Shared<O>>,
    /// The rest of the claim that was taken last.
    ready: std::vec::IntoIter<Loaded<LoadedBatch<O>>>,
    /// Whether the consumer loads batches where it would sleep.
    helps: bool,
    /// Whether the thread that takes them is the consumer, whose waiting is counted.
    is_consumer: bool,
    scratch: RowScratch,
    threads: Vec<JoinHandle<()>>,
}

impl<O: Send + 'static> Workers<O> {
    /// Starts the workers.
    fn start(epoch: Arc<Epoch<O>>, config: &WorkerConfig, source: &SourceInfo) -> Self {
        let schedule = config.schedule(source);
        let batches = epoch.plan.batches();
        let shared = Arc::new(Shared {
            unread: AtomicU64::new(batches.start),
            given_up: Arc::default(),
            limits: schedule.limits,
            window: Window::new(batches, schedule.limits),
            epoch,
            config: config.clone(),
            source: source.clone(),
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
        trace::workers(threads.len(), schedule.limits.limit);
        Self {
            shared,
            ready: Vec::new().into_iter(),
            helps: schedule.helps || threads.is_empty(),
            is_consumer: true,
            scratch: RowScratch::new(config.counters.clone()),
            threads,
        }
    }

    /// The next batch. It must not be called more often than there are batches, nor after a
    /// failure.
    fn take(&mut self) -> Loaded<LoadedBatch<O>> {
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
    let counters = &shared.config.counters;
    let mut scratch = RowScratch::new(counters.clone());
    internal::unless_given_up(&shared.given_up, || {
        loop {
            let claim = Counters::time(&counters.idle, || shared.window.claim_or_wait());
            let Some(claim) = claim else { return };
            shared.load(claim, &mut scratch);
        }
    });
}

impl<O> Drop for Workers<O> {
    fn drop(&mut self) {
        let shared = &*self.shared;
        shared.given_up.store(true, Ordering::Relaxed);
        shared.window.stop();
        let limit = shared.window.limit();
        shared.config.found_limit.store(limit, Ordering::Relaxed);
        shared.epoch.span.window(shared.limits.limit, limit);
        for thread in self.threads.drain(..) {
            // Code of the user runs under a guard, so there is no panic to pass on.
            discard(thread.join());
        }
    }
}

/// Takes the next batch in order. It must not be called more often than there are batches, nor
/// after a failure. Dropping it stops the threads.
pub(crate) type TakeBatch<O> = Box<dyn FnMut() -> Loaded<LoadedBatch<O>> + Send>;

/// Starts the threads of a pass.
pub(crate) fn start<O: Send + 'static>(
    epoch: Arc<Epoch<O>>,
    config: &WorkerConfig,
    source: &SourceInfo,
) -> TakeBatch<O> {
    let mut workers = Workers::start(epoch, config, source);
    if source.uploads && config.may_upload && !workers.threads.is_empty() {
        let mut uploader = Uploader::start(workers);
        Box::new(move || uploader.take())
    } else {
        Box::new(move || workers.take())
    }
}

/// The thread that makes tensors ahead of the consumer.
struct Uploader<O> {
    /// `None` only while it is dropped.
    ready: Option<Receiver<Loaded<LoadedBatch<O>>>>,
    /// `None` if it could not be started.
    thread: Option<JoinHandle<()>>,
    counters: Arc<Counters>,
    given_up: Arc<AtomicBool>,
}

impl<O: Send + 'static> Uploader<O> {
    /// Starts the thread, which takes over the workers.
    fn start(mut workers: Workers<O>) -> Self {
        workers.is_consumer = false;
        let config = &workers.shared.config;
        let (counters, stream) = (config.counters.clone(), config.upload_stream);
        let given_up = workers.shared.given_up.clone();
        // The channel holds nothing: the batch that is ready is in the hands of the thread.
        let (give, ready) = sync_channel(0);
        let thread = thread::Builder::new()
            .name("burn-npy-upload".to_owned())
            .spawn(move || stream.executes(|| upload_all(workers, &give)));
        Self {
            ready: Some(ready),
            thread: thread.ok(),
            counters,
            given_up,
        }
    }

    fn take(&mut self) -> Loaded<LoadedBatch<O>> {
        let receive = || self.ready.as_ref()?.recv().ok();
        let batch = Counters::time(&self.counters.waited, receive);
        // Code of the user runs under a guard, so it does not end the thread.
        let gone = || std::io::Error::other("the thread that uploads batches could not be started");
        batch.unwrap_or_else(|| Err(Failure::error(gone())))
    }
}

impl<O> Drop for Uploader<O> {
    fn drop(&mut self) {
        // The thread learns that nobody wants its batch when it would give it away.
        self.given_up.store(true, Ordering::Relaxed);
        self.ready = None;
        if let Some(thread) = self.thread.take() {
            discard(thread.join());
        }
    }
}

fn upload_all<O: Send + 'static>(
    mut workers: Workers<O>,
    give: &SyncSender<Loaded<LoadedBatch<O>>>,
) {
    let epoch = workers.shared.epoch.clone();
    for _ in epoch.plan.batches() {
        let batch = workers.take().and_then(|mut batch| {
            if let Some(data) = batch.data.take() {
                let finish = || epoch.finish(data, &batch.info);
                let done = Counters::time(&epoch.counters.ahead, finish)?;
                batch.data = Some(BatchData::done(done));
            }
            Ok(batch)
        });
        let failed = batch.is_err();
        if give.send(batch).is_err() || failed {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
