//! Who loads which batch, with a source that keeps a list.

use std::sync::Mutex;
use std::sync::atomic::AtomicIsize;
use std::time::Duration;

use burn::tensor::Device;
use burn_npy_core::{
    Sampler,
    order::{Remainder, Shard},
};

use super::super::rows::BatchInfo;
use super::super::source::Source;
use super::*;
use crate::epoch_plan::{BatchBound, Batching};
use crate::layout::HostBatch;
use crate::trace::Span;

const MIB: usize = 1 << 20;
const HERE: &str = "the consumer";

fn options(num_workers: usize, batches: Option<usize>) -> PrefetchOptions {
    PrefetchOptions {
        num_workers,
        batches,
        bytes: 128 * MIB,
    }
}

fn config(options: PrefetchOptions, batch_size: usize, cores: usize) -> WorkerConfig {
    WorkerConfig {
        options,
        batch_size,
        cores,
        counters: Arc::default(),
        found_limit: Arc::default(),
        streams: (0..options.num_workers.min(9))
            .map(|_| StreamId::allocate())
            .collect(),
        upload_stream: StreamId::allocate(),
        may_upload: true,
    }
}

fn info(work: Work, batch_bytes: Option<usize>) -> SourceInfo {
    SourceInfo {
        batch_bytes,
        ..SourceInfo::unknown(work)
    }
}

/// Threads, whether the consumer helps, and the limits of the window, for batches of one row.
fn schedule(options: PrefetchOptions, work: Work, bytes: Option<usize>) -> (usize, bool, [u64; 3]) {
    let Schedule {
        threads,
        helps,
        limits,
    } = config(options, 1, 4).schedule(&info(work, bytes));
    (threads, helps, [limits.run, limits.limit, limits.max_limit])
}

#[test]
fn workers_leave_a_core_to_the_consumer_that_helps() {
    use Work::{Files, Memory, UserCode};
    let threads = |num_workers, work| {
        let (threads, helps, _) = schedule(options(num_workers, None), work, Some(MIB));
        (threads, helps)
    };
    for work in [Memory, Files, UserCode] {
        assert_eq!(threads(0, work), (0, true), "{work:?}");
        assert_eq!(threads(AUTOTUNE, work), (3, work == Memory), "{work:?}");
    }
    assert_eq!(threads(2, Memory), (2, true));
    assert_eq!(threads(9, Memory), (3, true));
    assert_eq!(threads(9, Files), (9, false));
    assert_eq!(threads(9, UserCode), (9, false));
    let one_core = config(options(AUTOTUNE, None), 1, 1).schedule(&info(Memory, Some(MIB)));
    assert_eq!(one_core.threads, 1);
}

#[test]
fn the_parts_of_devices_share_the_cores() {
    let threads = |num_workers, work, devices| {
        let whole = config(options(num_workers, None), 1, 16);
        let source = info(work, Some(MIB));
        whole.slice(devices).schedule(&source).threads
    };
    for (devices, expected) in [(1, 15), (4, 3), (8, 1), (16, 1), (99, 1)] {
        assert_eq!(threads(AUTOTUNE, Work::Files, devices), expected);
        assert_eq!(threads(AUTOTUNE, Work::Memory, devices), expected);
        assert_eq!(threads(6, Work::Memory, devices), expected.min(6));
        // As many as were asked for, where they may sleep.
        assert_eq!(threads(6, Work::Files, devices), 6);
    }
}

#[test]
fn small_batches_are_passed_in_runs_within_the_limits() {
    use Work::{Files, Memory, UserCode};
    let limits = |options, work, bytes| schedule(options, work, bytes).2;
    // Two claims for each worker and the consumer; what the consumer has at hand is counted.
    assert_eq!(
        limits(options(1, None), Memory, Some(100_000)),
        [5, 16, 1338]
    );
    assert_eq!(limits(options(1, None), Memory, Some(MIB)), [1, 4, 127]);
    assert_eq!(limits(options(3, None), Memory, Some(64 * MIB)), [1, 1, 1]);
    assert_eq!(limits(options(1, None), Memory, Some(1)), [32, 97, 4065]);
    // Asked for.
    assert_eq!(limits(options(1, Some(1)), Memory, Some(1)), [1, 1, 1]);
    assert_eq!(limits(options(1, Some(9)), Memory, Some(1)), [2, 8, 8]);
    assert_eq!(
        limits(options(1, Some(9)), Memory, Some(64 * MIB)),
        [1, 1, 1]
    );
    // Nobody knows how large batches are.
    assert_eq!(limits(options(2, None), UserCode, None), [1, 6, 6]);
    assert_eq!(limits(options(2, Some(9)), UserCode, None), [1, 9, 9]);
    // Who waits for a disk does not wait for later batches.
    assert_eq!(limits(options(0, None), Files, Some(1))[0], 1);
    assert_eq!(limits(options(1, None), Files, Some(1))[0], 32);
    assert_eq!(limits(options(0, None), Memory, Some(1))[0], 32);
}

/// Batches that take a while, and the thread that loaded each.
struct Slow {
    batches: usize,
    load: Duration,
    work: Work,
    batch_bytes: Option<usize>,
    fails: Option<u64>,
    by: Mutex<Vec<(u64, String)>>,
    /// How many more batches were loaded, or are being loaded, than the consumer asked for.
    ahead: AtomicIsize,
    max_ahead: AtomicIsize,
}

impl Slow {
    fn new(batches: usize, load: Duration, work: Work) -> Self {
        Self {
            batches,
            load,
            work,
            batch_bytes: Some(MIB),
            fails: None,
            by: Mutex::default(),
            ahead: AtomicIsize::new(0),
            max_ahead: AtomicIsize::new(0),
        }
    }

    /// How many batches a thread has loaded.
    fn loaded_by(&self, thread: &str) -> usize {
        let by = self.by.lock().unwrap();
        by.iter().filter(|(_, name)| name == thread).count()
    }

    fn load_one(&self, batch: u64) -> Loaded<BatchData<u64>> {
        let ahead = 1 + self.ahead.fetch_add(1, Ordering::SeqCst);
        self.max_ahead.fetch_max(ahead, Ordering::SeqCst);
        if !self.load.is_zero() {
            thread::sleep(self.load);
        }
        let name = thread::current().name().unwrap_or_default().to_owned();
        let is_worker = name.starts_with("burn-npy-");
        let name = if is_worker { name } else { HERE.to_owned() };
        self.by.lock().unwrap().push((batch, name));
        if self.fails == Some(batch) {
            return Err(Failure::error(std::io::Error::other("it fails")));
        }
        Ok(BatchData::done(batch))
    }

    fn loaded(&self) -> usize {
        self.by.lock().unwrap().len()
    }
}

impl Source<u64> for Slow {
    fn info(&self, _: BatchBound<'_>) -> SourceInfo {
        info(self.work, self.batch_bytes)
    }

    fn load(&self, batches: &[BatchInfo], _: &mut RowScratch) -> Loaded<Vec<BatchData<u64>>> {
        batches
            .iter()
            .map(|batch| self.load_one(batch.batch()))
            .collect()
    }

    fn finish(&self, _: HostBatch, _: &BatchInfo, _: &Counters) -> Loaded<u64> {
        unreachable!("the workers only load")
    }

    fn to_device(&self, _: &Device) -> Arc<dyn Source<u64>> {
        unreachable!("nobody asks")
    }
}

/// The workers of a pass over batches of one row.
fn start(source: &Arc<Slow>, options: PrefetchOptions, cores: usize) -> Workers<u64> {
    let positions = source.batches as u64;
    let batching = Batching {
        positions,
        batch_size: 1,
        drop_last: false,
        shard: Shard::WHOLE,
        remainder: Remainder::default(),
        devices: 1,
        slice: None,
    };
    let config = config(options, 1, cores);
    let epoch = Epoch {
        span: Span::none(),
        source: source.clone() as Arc<dyn Source<u64>>,
        plan: batching.plan(None, 0),
        order: Sampler::sequential().order(positions, 0),
        number: 0,
        seed: 0,
        skip_limit: None,
        readahead: None,
        counters: config.counters.clone(),
    };
    Workers::start(
        Arc::new(epoch),
        &config,
        &info(source.work, source.batch_bytes),
    )
}

fn take(workers: &mut Workers<u64>, source: &Slow) -> Loaded<u64> {
    source.ahead.fetch_sub(1, Ordering::SeqCst);
    let batch = workers.take()?;
    match batch.data {
        Some(BatchData::Done(batch)) => Ok(*batch.into_inner()),
        _ => panic!("a batch"),
    }
}

fn take_all(workers: &mut Workers<u64>, source: &Slow, batches: Range<u64>, work: Duration) {
    for batch in batches {
        assert_eq!(take(workers, source).unwrap(), batch);
        if !work.is_zero() {
            thread::sleep(work);
        }
    }
}

#[test]
fn a_consumer_that_would_only_wait_loads_batches() {
    let load = Duration::from_micros(200);
    let source = Arc::new(Slow::new(200, load, Work::Memory));
    let mut workers = start(&source, options(1, None), 8);
    take_all(&mut workers, &source, 0..200, Duration::ZERO);
    let counts = [HERE, "burn-npy-0"].map(|who| source.loaded_by(who));
    assert_eq!(counts[0] + counts[1], 200);
    assert!(counts.iter().all(|count| *count >= 40), "{counts:?}");
}

#[test]
fn the_consumer_runs_no_code_of_the_user_and_waits_for_no_disk() {
    for work in [Work::UserCode, Work::Files] {
        let source = Arc::new(Slow::new(50, Duration::from_micros(200), work));
        let mut workers = start(&source, options(2, None), 2);
        take_all(&mut workers, &source, 0..50, Duration::ZERO);
        let counts = [HERE, "burn-npy-0", "burn-npy-1"].map(|who| source.loaded_by(who));
        assert_eq!(counts[0], 0);
        // Both workers are there, though there are only two cores.
        assert!(counts[1] >= 10 && counts[2] >= 10, "{counts:?}");
    }
}

#[test]
fn without_workers_code_of_the_user_runs_when_its_batch_is_wanted() {
    let loaded_after_each = |work, batch_bytes| {
        let mut source = Slow::new(9, Duration::ZERO, work);
        source.batch_bytes = batch_bytes;
        let source = Arc::new(source);
        let mut workers = start(&source, options(0, None), 2);
        let mut loaded = Vec::new();
        for batch in 0..9 {
            assert_eq!(take(&mut workers, &source).unwrap(), batch);
            loaded.push(source.loaded());
        }
        loaded
    };
    let one_by_one = Vec::from_iter(1..=9);
    assert_eq!(loaded_after_each(Work::UserCode, None), one_by_one);
    assert_eq!(loaded_after_each(Work::Files, Some(8)), one_by_one);
    // Claims of a pass become longer: 1, 1, 2, 4 and the last one.
    let runs = loaded_after_each(Work::Memory, Some(8));
    assert_eq!(runs, [1, 2, 4, 4, 8, 8, 8, 8, 9]);
}

#[test]
fn no_more_is_loaded_ahead_than_asked_for() {
    for prefetch in [1, 2, 5, 16, 40] {
        for workers in [1, 2, 3] {
            for (work, batch_bytes) in [(Work::Memory, 8), (Work::Files, MIB), (Work::UserCode, 8)]
            {
                let mut source = Slow::new(200, Duration::ZERO, work);
                source.batch_bytes = Some(batch_bytes);
                let source = Arc::new(source);
                let options = options(workers, Some(prefetch));
                let mut threads = start(&source, options, 4);
                for batch in 0..200 {
                    if batch % 20 == 0 {
                        thread::sleep(Duration::from_millis(1));
                    }
                    assert_eq!(take(&mut threads, &source).unwrap(), batch);
                }
                let ahead = source.max_ahead.load(Ordering::SeqCst);
                assert!(
                    ahead <= prefetch as isize,
                    "{ahead} of {prefetch}, {workers} {work:?}"
                );
            }
        }
    }
}

#[test]
fn a_failure_comes_after_all_before_it_whoever_loads_it() {
    for fails in 0..60 {
        for workers in 0..4 {
            let load = Duration::from_micros(20 * (fails % 3));
            let mut source = Slow::new(100, load, Work::Memory);
            (source.fails, source.batch_bytes) = (Some(fails), Some(MIB >> (fails % 5)));
            let source = Arc::new(source);
            let mut threads = start(&source, options(workers, None), 4);
            take_all(&mut threads, &source, 0..fails, Duration::ZERO);
            assert!(take(&mut threads, &source).is_err());
        }
    }
}

#[test]
fn nobody_waits_for_ever_whatever_the_consumer_does() {
    let works = [150, 0, 1000, 0, 150, 1000].map(Duration::from_micros);
    for (workers, cores) in [(1, 1), (2, 1), (1, 2), (2, 2), (3, 2), (3, 4)] {
        for work in [Work::Memory, Work::Files] {
            let source = Arc::new(Slow::new(240, Duration::from_micros(200), work));
            let mut threads = start(&source, options(workers, None), cores);
            for (start, work) in (0..240).step_by(40).zip(works) {
                take_all(&mut threads, &source, start..start + 40, work);
            }
        }
    }
}

#[test]
fn the_limit_grows_where_batches_come_unevenly_and_the_next_pass_has_it() {
    let source = Arc::new(Slow::new(400, Duration::ZERO, Work::Files));
    let mut workers = start(&source, options(1, None), 2);
    let config = workers.shared.config.clone();
    let before = workers.shared.window.limit();
    for start in (0..400).step_by(40) {
        // The window fills up, then the consumer takes everything at once.
        thread::sleep(Duration::from_millis(2));
        take_all(&mut workers, &source, start..start + 40, Duration::ZERO);
    }
    let after = workers.shared.window.limit();
    assert!(after >= 4 * before, "{before} {after}");
    drop(workers);
    let schedule = config.schedule(&info(source.work, source.batch_bytes));
    assert_eq!(schedule.limits.limit, after);
    let fork = config
        .fork()
        .schedule(&info(source.work, source.batch_bytes));
    assert_eq!(fork.limits.limit, before);
}
