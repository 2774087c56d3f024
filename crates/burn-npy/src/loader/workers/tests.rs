//! Who loads which batch, with a source that says so.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;

use burn::tensor::{Device, StreamId};
use burn_npy_core::{Remainder, Sampler, Shard};

use super::super::BatchInfo;
use super::super::builder::Demand;
use super::super::cut::Cutter;
use super::super::draw::Draw;
use super::super::meter::Spent;
use super::super::source::{Loaded, Source};
use super::super::tune::{Bounds, Setting, Tuner};
use super::*;

/// Batches that take a while, with the thread that loaded each, and how many were being loaded
/// then.
pub(in crate::loader) struct Slow {
    len: usize,
    load: Duration,
    /// How long every twentieth takes, which is more than a window makes up for.
    hiccup: Duration,
    pub(in crate::loader) is_gather: bool,
    pub(in crate::loader) fails: Option<u64>,
    loading: AtomicUsize,
    by: Mutex<Vec<(u64, String, usize)>>,
}

const HERE: &str = "the consumer";

impl Slow {
    pub(in crate::loader) fn new(batches: usize, load: Duration) -> Self {
        Self {
            len: batches,
            load,
            hiccup: load,
            is_gather: true,
            fails: None,
            loading: AtomicUsize::new(0),
            by: Mutex::default(),
        }
    }

    pub(in crate::loader) fn len(&self) -> usize {
        self.len
    }

    /// How many batches were loaded.
    pub(in crate::loader) fn loaded(&self) -> usize {
        self.by.lock().unwrap().len()
    }

    /// How many batches from one on a thread has loaded.
    fn loaded_by(&self, thread: &str, from: u64) -> usize {
        let by = self.by.lock().unwrap();
        by.iter()
            .filter(|(batch, name, _)| *batch >= from && name == thread)
            .count()
    }

    /// How many batches from one on were loaded beside others.
    fn loaded_together(&self, from: u64) -> usize {
        let by = self.by.lock().unwrap();
        by.iter()
            .filter(|(batch, _, loading)| *batch >= from && *loading > 1)
            .count()
    }
}

impl Source<u64> for Slow {
    fn item_bytes(&self) -> Option<usize> {
        Some(8)
    }

    fn advise(&self, _: bool) {}

    fn is_gather(&self) -> bool {
        self.is_gather
    }

    fn load(&self, info: &BatchInfo, _: &mut Draw) -> Result<Loaded<u64>, Failure> {
        let loading = 1 + self.loading.fetch_add(1, Ordering::Relaxed);
        thread::sleep(match info.batch() % 20 {
            19 => self.hiccup,
            _ => self.load,
        });
        self.loading.fetch_sub(1, Ordering::Relaxed);
        let name = thread::current().name().unwrap_or_default().to_owned();
        let worker = name.starts_with("burn-npy-");
        let name = if worker { name } else { HERE.to_owned() };
        self.by.lock().unwrap().push((info.batch(), name, loading));
        match self.fails == Some(info.batch()) {
            true => Err(Cause::panic("test", Box::new("it fails")).into()),
            false => Ok(Loaded::Batch(Box::new(info.batch()))),
        }
    }

    fn finish(&self, _: Loaded<u64>, _: &BatchInfo, _: &mut Spent) -> Result<u64, Failure> {
        unreachable!("the workers only load")
    }

    fn to_device(&self, _: &Device) -> crate::Result<Arc<dyn Source<u64>>> {
        unreachable!("nobody asks")
    }
}

/// A pass over batches of one row, and its settings.
pub(in crate::loader) fn given(
    source: &Arc<Slow>,
    workers: usize,
    cores: usize,
    batch_bytes: usize,
) -> (Pass<u64>, Settings) {
    let window = 8;
    let setting = Setting { workers, window };
    let bounds = Bounds {
        least_workers: workers,
        most_workers: workers,
        most_window: window,
    };
    let sampler = Sampler::sequential();
    let cutter = Cutter {
        positions: source.len as u64,
        batch_size: 1,
        drop_last: false,
        shard: Shard::WHOLE,
        tail: Remainder::default(),
        slice: None,
    };
    let pass = Pass {
        source: source.clone() as Arc<dyn Source<u64>>,
        cut: cutter.cut(0),
        order: sampler.order(source.len as u64, 0),
        epoch: 0,
        seed: 0,
        limit: None,
        announced_ahead: None,
    };
    let settings = Settings {
        sampler,
        items: source.len as u64,
        demand: Demand {
            num_workers: workers,
            ..Demand::default()
        },
        tuner: Arc::new(Mutex::new(Tuner::new(setting, bounds))),
        run: 2,
        most_window: window,
        batch_bytes: Some(batch_bytes),
        cores,
        meter: Arc::default(),
        skipped: Arc::default(),
        streams: (0..workers).map(|_| StreamId::allocate()).collect(),
        upload_stream: StreamId::allocate(),
        limit: None,
    };
    (pass, settings)
}

/// The workers of such a pass.
fn start(source: &Arc<Slow>, workers: usize, cores: usize, batch_bytes: usize) -> Workers<u64> {
    let (pass, settings) = given(source, workers, cores, batch_bytes);
    Workers::start(Arc::new(pass), &settings, true).unwrap()
}

fn take(workers: &mut Workers<u64>) -> Result<u64, Failure> {
    match workers.take()?.loaded {
        Some(Loaded::Batch(batch)) => Ok(*batch),
        _ => panic!("a batch"),
    }
}

fn take_all(workers: &mut Workers<u64>, batches: Range<u64>, work: Duration) {
    for batch in batches {
        assert_eq!(take(workers).unwrap(), batch);
        thread::sleep(work);
    }
}

#[test]
fn a_consumer_that_would_only_wait_loads_batches() {
    let source = Arc::new(Slow::new(200, Duration::from_micros(200)));
    take_all(&mut start(&source, 1, 8, 8), 0..200, Duration::ZERO);
    let counts = [HERE, "burn-npy-0"].map(|who| source.loaded_by(who, 0));
    assert_eq!(counts[0] + counts[1], 200);
    assert!(counts.iter().all(|count| *count >= 40), "{counts:?}");
}

#[test]
fn on_few_cores_the_consumer_takes_the_place_of_a_worker() {
    let source = Arc::new(Slow::new(200, Duration::from_micros(500)));
    take_all(&mut start(&source, 2, 2, 8), 0..200, Duration::ZERO);
    let [here, first, second] =
        [HERE, "burn-npy-0", "burn-npy-1"].map(|who| source.loaded_by(who, 0));
    assert_eq!(here + first + second, 200);
    assert!(here >= 40 && first >= 40, "{here} {first}");
    assert!(second < 40, "{second}");
}

#[test]
fn who_paused_goes_on_when_the_consumer_has_work_to_do() {
    let source = Arc::new(Slow::new(300, Duration::from_micros(1500)));
    let mut workers = start(&source, 2, 2, 8);
    take_all(&mut workers, 0..100, Duration::ZERO);
    take_all(&mut workers, 100..300, Duration::from_millis(1));
    // Some until that is known.
    assert!(source.loaded_by(HERE, 120) < 20);
    assert!(source.loaded_by("burn-npy-1", 120) >= 20);
}

/// How many batches two workers load beside each other for steps of 2 ms, on eight cores and on
/// two.
fn loaded_together(batches: usize, load: Duration, hiccup: Duration) -> [usize; 2] {
    [8, 2].map(|cores| {
        let mut source = Slow::new(batches, load);
        source.hiccup = hiccup;
        let source = Arc::new(source);
        let work = Duration::from_millis(2);
        take_all(&mut start(&source, 2, cores, 8), 0..batches as u64, work);
        // A few until it is known.
        source.loaded_together(30)
    })
}

#[test]
fn a_busy_consumer_has_a_core_of_its_own() {
    let load = Duration::from_micros(500);
    let together = loaded_together(150, load, load);
    assert!(together[0] >= 20 && together[1] < 5, "{together:?}");
}

#[test]
fn who_waits_now_and_then_keeps_a_core_if_one_worker_has_time() {
    let [load, hiccup] = [200, 20_000].map(Duration::from_micros);
    let together = loaded_together(200, load, hiccup);
    assert!(together[0] >= 20 && together[1] < 5, "{together:?}");
}

#[test]
fn a_busy_consumer_wakes_nobody() {
    let source = Arc::new(Slow::new(200, Duration::from_micros(100)));
    let mut workers = start(&source, 1, 2, 8);
    let work = Duration::from_millis(1);
    take_all(&mut workers, 0..20, work);
    let mut waiting = 0;
    for batch in 20..200 {
        assert_eq!(take(&mut workers).unwrap(), batch);
        thread::sleep(work);
        // Whether the worker waits to be woken.
        waiting += workers.shared.lock().waiting.len();
    }
    assert!(waiting < 60, "{waiting}");
}

#[test]
fn who_dozes_is_woken_by_a_consumer_that_comes_early() {
    // One of these is when the consumer has several batches at hand.
    for early in 13..17 {
        let source = Arc::new(Slow::new(40, Duration::from_micros(100)));
        let mut workers = start(&source, 1, 2, 8);
        take_all(&mut workers, 0..early, Duration::from_millis(20));
        let start = Instant::now();
        take_all(&mut workers, early..40, Duration::ZERO);
        // It would doze for three steps and a half.
        assert!(start.elapsed() < Duration::from_millis(40));
    }
}

#[test]
fn nobody_waits_for_ever_whatever_the_consumer_does() {
    let works = [150, 0, 1000, 0, 150, 1000].map(Duration::from_micros);
    for (workers, cores) in [(1, 1), (2, 1), (1, 2), (2, 2), (3, 2), (3, 4)] {
        let source = Arc::new(Slow::new(240, Duration::from_micros(200)));
        let mut threads = start(&source, workers, cores, 8);
        for (start, work) in (0..240).step_by(40).zip(works) {
            for batch in start..start + 40 {
                // Unevenly, so that who looks for room itself comes too early.
                let work = work * [1, 3][(batch / 4 % 2) as usize];
                take_all(&mut threads, batch..batch + 1, work);
            }
        }
    }
}

#[test]
fn the_batch_that_the_consumer_loads_is_one_more_within_the_bounds() {
    let source = Arc::new(Slow::new(1, Duration::ZERO));
    let workers = start(&source, 1, 2, 8);
    let mut state = workers.shared.lock();
    for (helps, run, window, expected) in [
        (true, 1, 3, 4),
        (true, 1, 8, 8),
        (true, 2, 3, 3),
        (false, 1, 3, 3),
    ] {
        (state.helps, state.run, state.setting.window) = (helps, run, window);
        assert_eq!(workers.shared.window(&state), expected);
    }
}

#[test]
fn nobody_helps_with_code_of_the_user_or_takes_a_place_for_large_batches() {
    let mut source = Slow::new(50, Duration::from_micros(200));
    source.is_gather = false;
    let source = Arc::new(source);
    take_all(&mut start(&source, 1, 8, 8), 0..50, Duration::ZERO);
    assert_eq!(source.loaded_by(HERE, 0), 0);

    let source = Arc::new(Slow::new(50, Duration::from_micros(200)));
    take_all(
        &mut start(&source, 2, 2, LARGE_BATCH),
        0..50,
        Duration::ZERO,
    );
    assert_eq!(source.loaded_by(HERE, 0), 0);
    // So both workers are wanted.
    assert!(source.loaded_by("burn-npy-0", 10) >= 10);
    assert!(source.loaded_by("burn-npy-1", 10) >= 10);
}

#[test]
fn a_failure_comes_after_all_before_it_whoever_loads_it() {
    for fails in 0..60 {
        let mut source = Slow::new(100, Duration::from_micros(20 * (fails % 3)));
        source.fails = Some(fails);
        let source = Arc::new(source);
        let mut workers = start(&source, 1 + fails as usize % 3, 2, 8);
        take_all(&mut workers, 0..fails, Duration::ZERO);
        assert!(take(&mut workers).is_err());
    }
}
