//! The threads of one pass, and the window between them and the consumer.
//!
//! Who takes the batches is called the consumer here; on a GPU that is the `uploader`, which stands between.
//!
//! One mutex guards the [`State`]. A batch is in one of five states:
//!
//! * *open*: its number is not below `next`;
//! * *claimed*: below `next`, and its slot is empty; one worker is loading it, without the lock;
//! * *loaded*: its slot is full, or its worker has it in hand together with others of its run;
//! * *fetched*: its number is below `fetched`; it has no slot, and the consumer has it at hand;
//! * *yielded*: the consumer has given it away.
//!
//! Invariants: `yielded <= fetched <= next <= end`, `next - yielded <= window`, and `slots[i]` belongs to
//! batch `fetched + i`. So at most `window` batches are claimed, loaded or fetched, which bounds the
//! memory, and the consumer has them in order. It says what it has yielded when it comes for more.
//!
//! To pass one small batch costs more than to load it, so they are passed in runs: a worker claims a run of
//! neighbours and fills their slots at once, and the consumer fetches all that are ready, but no more
//! than half of the window, so that the workers can go on meanwhile. Runs are short at the begin of a pass, where the
//! consumer has nothing yet.
//!
//! A consumer that waits longer than it works *helps*: where it would wait, it claims and loads batches like a worker, for which
//! nobody has to be woken. Runs are shorter then. If there are not more cores than workers, it takes the place of one, who
//! pauses. So two workers on two cores are never three threads that wake each other. A consumer that has work to do
//! with its batches does not help, nor where loading runs code of the user, or may wait for a disk; and it takes nobody's place
//! where batches are large.
//!
//! Who waits, and who wakes: a worker waits for `room` while no batch may be claimed, unless the consumer is about to fetch,
//! when it only lets others run for a moment. The consumer wakes as many as there is room for when it fetches, first those
//! that ran on another processor, and all when it stops or no batch is left; those that pause, when it helps no longer. The
//! consumer waits for `loaded` while slot 0 is empty, and if it helps, only when it can claim nothing; the worker that fills slot 0
//! wakes it. A worker waits with no batch in its hands, and only if less than a run is left of the window, so with at least half
//! of the window loaded or being loaded. So nobody waits for ever.
//!
//! The consumer is also who tunes (see `tune`): when it fetches, it may change the window, start more threads, or say
//! that fewer are to go on. A worker that is not to go on leaves before it claims, and marks itself as gone under the
//! lock, so that its place can be filled again.
//!
//! How it stops: a worker leaves when `stopped` is set, or when every batch is claimed. A batch that
//! failed sets `end` behind itself, so nothing after it is claimed. Dropping [`Workers`] sets
//! `stopped` and joins; that takes as long as the batches that are being loaded, one a worker.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::Settings;
use super::draw::Draw;
use super::error::{Cause, Failure};
use super::meter::{Meter, Stopwatch};
use super::pass::{Made, Pass};
use super::tune::Setting;

/// How often a worker looks again for the room that a consumer makes who was woken and has only to run. To sleep meanwhile
/// and to be woken takes longer: with batches of 12 MB, two workers were idle for 12 % of one's time, and so for 7 %.
const MOST_YIELDS: u32 = 100;
/// Which part of a run is claimed at a time while the consumer helps: as many batches as stay in a near cache.
const PART_OF_RUN: u64 = 4;
/// From this size of a batch on the memory is what bounds two threads: the consumer takes no worker's place.
const LARGE_BATCH: usize = 24 << 20;

type Slot<O> = Option<Result<Made<O>, Failure>>;

struct State<O> {
    /// The first batch that nobody has claimed.
    next: u64,
    /// The first batch that nobody has announced.
    announced: u64,
    /// The first batch that the consumer has not fetched.
    fetched: u64,
    /// The first batch that the consumer had not given away when it was here last.
    yielded: u64,
    /// Behind the last batch that may be claimed.
    end: u64,
    slots: VecDeque<Slot<O>>,
    setting: Setting,
    /// How many batches a worker claims at a time.
    run: u64,
    /// Which workers have a thread that goes on.
    alive: Vec<bool>,
    /// Which workers wait for room, and on which processor each of them ran last.
    waiting: Vec<(usize, Option<usize>)>,
    /// Whether the consumer waits for slot 0, and was not woken yet.
    hungry: bool,
    /// Whether the consumer loads batches, too.
    helps: bool,
    /// Whether the consumer was woken and will make room as soon as it runs.
    woken: bool,
    stopped: bool,
}

impl<O> State<O> {
    /// Whether the next batch is loaded.
    fn is_ready(&self) -> bool {
        matches!(self.slots.front(), Some(Some(_)))
    }
}

/// Batches that one thread is to load.
struct Claim {
    batches: Range<u64>,
    /// What it announces first.
    announced: Range<u64>,
}

struct Shared<O> {
    pass: Arc<Pass<O>>,
    settings: Settings,
    /// Whether the workers should leave what they have not begun; set with `State::stopped`.
    stopped: AtomicBool,
    state: Mutex<State<O>>,
    /// There may be a batch to claim, for each worker.
    room: Vec<Condvar>,
    /// Slot 0 is full.
    loaded: Condvar,
    /// The first batch of the pass.
    first_of_all: u64,
}

impl<O> Shared<O> {
    fn lock(&self) -> MutexGuard<'_, State<O>> {
        // No code of a user runs under the lock, and ours keeps the invariants at every step.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many batches should be claimed next; 0 if none is left.
    fn run(&self, state: &State<O>) -> u64 {
        let run = match state.helps {
            true => state.run.div_ceil(PART_OF_RUN),
            false => state.run,
        };
        // The first batches are wanted at once.
        let begun = (state.next - self.first_of_all) / (2 * state.setting.workers as u64);
        // A failure may have moved the end before what was claimed.
        run.min(begun.max(1))
            .min(state.end.saturating_sub(state.next))
    }

    /// Claims the next batches, if some are left and the window has room for them.
    fn claim(&self, state: &mut State<O>) -> Option<Claim> {
        let run = self.run(state);
        let window = state.setting.window as u64;
        let room = window.saturating_sub(state.next - state.yielded);
        // A worker that takes the last place for one batch would pass them one by one for ever.
        if run == 0 || room < run {
            return None;
        }
        let first = state.next;
        let end = first + run;
        state.next = end;
        state.slots.extend((first..end).map(|_| None));
        // A disk needs time, so what it must read is said a window before it is wanted. The first batches of a pass are wanted at
        // once, so the others are said little by little.
        let soon = self.pass.soon(end, window);
        let soon = soon
            .min(state.announced.max(end) + 2 * run)
            .max(state.announced);
        let announced = std::mem::replace(&mut state.announced, soon);
        Some(Claim {
            batches: first..end,
            announced: announced..soon,
        })
    }

    /// Loads what was claimed, and fills its slots. It takes the lock.
    fn load(&self, claim: Claim, hands: &mut Hands<O>) -> MutexGuard<'_, State<O>> {
        let (pass, meter) = (&*self.pass, &*self.settings.meter);
        let source = &*pass.source;
        let first = claim.batches.start;
        let watch = Stopwatch::start(source.waits_for_storage());
        pass.announce(claim.announced);
        let stop = || self.stopped.load(Ordering::Relaxed);
        pass.load_run(claim.batches, &mut hands.draw, stop, &mut hands.made);
        watch.stop(meter, source.is_gather());
        let mut state = self.lock();
        for (batch, loaded) in (first..).zip(hands.made.drain(..)) {
            if loaded.is_err() {
                state.end = state.end.min(batch + 1);
            }
            let slot = (batch - state.fetched) as usize;
            state.slots[slot] = Some(loaded);
        }
        if state.hungry && state.is_ready() {
            (state.hungry, state.woken) = (false, true);
            self.loaded.notify_one();
        }
        state
    }

    /// Waits for the next batch; who has hands to help loads what can be claimed meanwhile.
    fn wait_or_help<'a>(
        &'a self,
        mut state: MutexGuard<'a, State<O>>,
        mut hands: Option<&mut Hands<O>>,
    ) -> MutexGuard<'a, State<O>> {
        while !state.is_ready() {
            if let Some(hands) = &mut hands
                && let Some(claim) = self.claim(&mut state)
            {
                drop(state);
                state = self.load(claim, hands);
                continue;
            }
            state.hungry = true;
            (state, _) = self.wait(&self.loaded, state);
        }
        (state.hungry, state.woken) = (false, false);
        state
    }

    fn wait<'a>(
        &self,
        on: &Condvar,
        state: MutexGuard<'a, State<O>>,
    ) -> (MutexGuard<'a, State<O>>, Duration) {
        let start = Instant::now();
        let state = on.wait(state).unwrap_or_else(PoisonError::into_inner);
        (state, start.elapsed())
    }

    /// Wakes all workers, those that pause too.
    fn wake_all(&self) {
        self.room.iter().for_each(Condvar::notify_one);
    }

    /// Wakes as many workers as there is room for; all that wait, if they are to leave. One too many would take the core of the
    /// training for nothing, and to wake nobody is a system call, too.
    fn wake_workers(&self, state: &mut State<O>) {
        let leaves = |alive: &[bool]| alive.iter().any(|alive| *alive);
        let most = match state.next >= state.end || leaves(&state.alive[state.setting.workers..]) {
            true => state.waiting.len(),
            false => {
                let under_way = (state.next - state.yielded) as usize;
                let room = state.setting.window.saturating_sub(under_way);
                // At the begin of a pass runs are shorter, so one is woken for any room.
                (room / state.run as usize).max(room.min(1))
            }
        };
        let here = processor();
        for _ in 0..most {
            let Some(place) = first_to_wake(&state.waiting, here) else {
                return;
            };
            let (worker, _) = state.waiting.swap_remove(place);
            self.room[worker].notify_one();
        }
    }
}

/// Whom of those that wait, each with the processor where it was last, a thread should wake that runs here: a busy system
/// leaves a thread where it was, and on the processor of the consumer it would run when the consumer waits for it.
fn first_to_wake(waiting: &[(usize, Option<usize>)], here: Option<usize>) -> Option<usize> {
    let elsewhere = waiting.iter().rposition(|(_, last)| *last != here);
    elsewhere.or(waiting.len().checked_sub(1))
}

/// The processor that this thread runs on, where that is known.
#[cfg(target_os = "linux")]
fn processor() -> Option<usize> {
    Some(rustix::thread::sched_getcpu())
}

#[cfg(not(target_os = "linux"))]
fn processor() -> Option<usize> {
    None
}

/// What a thread that loads works with, and uses again.
struct Hands<O> {
    draw: Draw,
    made: Vec<Result<Made<O>, Failure>>,
}

impl<O> Default for Hands<O> {
    fn default() -> Self {
        Self {
            draw: Draw::default(),
            made: Vec::new(),
        }
    }
}

/// How the consumer spent its time; what is longer ago counts less.
#[derive(Default)]
struct Recent {
    worked: Duration,
    waited: Duration,
}

impl Recent {
    fn add(&mut self, worked: Duration, waited: Duration) {
        self.worked = self.worked * 7 / 8 + worked;
        self.waited = self.waited * 7 / 8 + waited;
    }
}

/// The threads of a pass.
pub(crate) struct Workers<O> {
    shared: Arc<Shared<O>>,
    /// Batches that were fetched and not yet given away.
    fetched: VecDeque<Result<Made<O>, Failure>>,
    /// Whether who takes them is the consumer, whose waiting is counted.
    by_consumer: bool,
    /// When the last batches were fetched, and how long they were waited for.
    last: Option<(Instant, Duration)>,
    recent: Recent,
    /// Whether the consumer may load batches.
    may_help: bool,
    /// Whether a batch is of [`LARGE_BATCH`] bytes.
    is_large: bool,
    hands: Hands<O>,
    threads: Vec<JoinHandle<()>>,
}

impl<O: Send + 'static> Workers<O> {
    /// Starts the threads.
    pub(crate) fn start(
        pass: Arc<Pass<O>>,
        settings: &Settings,
        by_consumer: bool,
    ) -> Result<Self, Failure> {
        let Range { start, end } = pass.cut.batches();
        let setting = settings.setting();
        let may_help = pass.source.is_gather() && !pass.source.waits_for_storage();
        let is_large = settings
            .batch_bytes
            .is_some_and(|bytes| bytes >= LARGE_BATCH);
        let mut workers = Self {
            shared: Arc::new(Shared {
                pass,
                settings: settings.clone(),
                stopped: AtomicBool::new(false),
                state: Mutex::new(State {
                    next: start,
                    announced: start,
                    fetched: start,
                    yielded: start,
                    end,
                    slots: VecDeque::with_capacity(setting.window),
                    run: settings.run(setting) as u64,
                    setting,
                    alive: vec![false; settings.streams.len()],
                    waiting: Vec::with_capacity(settings.streams.len()),
                    hungry: false,
                    helps: false,
                    woken: false,
                    stopped: false,
                }),
                room: settings.streams.iter().map(|_| Condvar::new()).collect(),
                loaded: Condvar::new(),
                first_of_all: start,
            }),
            fetched: VecDeque::new(),
            by_consumer,
            last: None,
            recent: Recent::default(),
            may_help,
            is_large,
            hands: Hands::default(),
            threads: Vec::with_capacity(settings.streams.len()),
        };
        // Fewer threads do the same work, but there must be one.
        match workers.staff() {
            Err(error) if workers.threads.is_empty() => Err(Cause::error(error).into()),
            _ => Ok(workers),
        }
    }

    /// Starts a thread for each worker that should go on and has none.
    fn staff(&mut self) -> std::io::Result<()> {
        let mut state = self.shared.lock();
        for index in 0..state.setting.workers {
            if state.alive[index] {
                continue;
            }
            let shared = self.shared.clone();
            let stream = shared.settings.streams[index];
            let thread = thread::Builder::new()
                .name(format!("burn-npy-{index}"))
                .spawn(move || stream.executes(|| work(&shared, index)))?;
            state.alive[index] = true;
            self.threads.push(thread);
        }
        drop(state);
        // Those who are gone are joined at once, so that their number does not grow.
        for index in (0..self.threads.len()).rev() {
            if self.threads[index].is_finished() {
                let _ = self.threads.swap_remove(index).join();
            }
        }
        Ok(())
    }

    /// The next batch in order. It must not be called more often than there are batches, nor after a
    /// failure.
    pub(crate) fn take(&mut self) -> Result<Made<O>, Failure> {
        if self.fetched.is_empty() {
            self.fetch();
            self.tune();
        }
        let batch = self.fetched.pop_front();
        batch.unwrap_or_else(|| unreachable!("at least one batch was fetched"))
    }

    /// Fetches the next batches, at least one.
    fn fetch(&mut self) {
        let shared = &*self.shared;
        let mut state = shared.lock();
        state.yielded = state.fetched;
        // What is waited for may need the room of those that were yielded.
        shared.wake_workers(&mut state);
        let most = match state.run {
            1 => 1,
            _ => (state.setting.window / 2).max(1),
        };
        if let Some((since, waited)) = self.last.take() {
            self.recent.add(since.elapsed(), waited);
        }
        let takes_place = state.setting.workers >= shared.settings.cores;
        let may_help = self.may_help && !(takes_place && self.is_large);
        let helps = may_help && self.recent.waited >= self.recent.worked;
        if state.helps && !helps {
            // Those that paused.
            shared.wake_all();
        }
        state.helps = helps;
        let mut waited = Duration::ZERO;
        if !state.is_ready() {
            let start = Instant::now();
            state = shared.wait_or_help(state, helps.then_some(&mut self.hands));
            waited = start.elapsed();
            if self.by_consumer {
                Meter::add(&shared.settings.meter.waited, waited);
            }
        }
        while self.fetched.len() < most
            && let Some(Some(_)) = state.slots.front()
        {
            self.fetched.extend(state.slots.pop_front().flatten());
            state.fetched += 1;
        }
        // The first of them is given away at once.
        state.yielded = state.fetched - (self.fetched.len() as u64 - 1);
        shared.wake_workers(&mut state);
        drop(state);
        self.last = Some((Instant::now(), waited));
    }

    /// Changes the setting if it is time to.
    fn tune(&mut self) {
        let settings = &self.shared.settings;
        let Some(mut tuner) = settings.tuner() else {
            return;
        };
        if !tuner.look(settings.meter.read()) {
            return;
        }
        let setting = tuner.setting();
        drop(tuner);
        let mut state = self.shared.lock();
        state.setting = setting;
        state.run = settings.run(setting) as u64;
        drop(state);
        // Some may have to leave.
        self.shared.wake_all();
        // If there are no more threads to be had, the trial will show that it gains nothing.
        let _ = self.staff();
    }
}

fn work<O>(shared: &Shared<O>, index: usize) {
    let mut hands = Hands::default();
    let mut yields = 0;
    let mut state = shared.lock();
    loop {
        if state.stopped || state.next >= state.end || index >= state.setting.workers {
            state.alive[index] = false;
            return;
        }
        // The consumer is here instead.
        if state.helps && index + 1 >= shared.settings.cores {
            (state, _) = shared.wait(&shared.room[index], state);
            continue;
        }
        if let Some(claim) = shared.claim(&mut state) {
            yields = 0;
            drop(state);
            state = shared.load(claim, &mut hands);
        } else if yields < MOST_YIELDS && state.woken {
            yields += 1;
            drop(state);
            thread::yield_now();
            state = shared.lock();
        } else {
            state.waiting.push((index, processor()));
            let idle;
            (state, idle) = shared.wait(&shared.room[index], state);
            // Who was woken for no reason is still there.
            state.waiting.retain(|(waiting, _)| *waiting != index);
            Meter::add(&shared.settings.meter.idle, idle);
        }
    }
}

impl<O> Drop for Workers<O> {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
        self.shared.lock().stopped = true;
        self.shared.wake_all();
        for thread in self.threads.drain(..) {
            // Code of the user runs under a guard, so there is no panic to pass on.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, StreamId};
    use burn_npy_core::{Sampler, Shard, Tail};

    use super::super::BatchInfo;
    use super::super::cut::Cutter;
    use super::super::meter::Spent;
    use super::super::source::{Loaded, Source};
    use super::super::tune::{Bounds, Tuner};
    use super::*;

    #[test]
    fn who_ran_on_another_processor_is_woken_first() {
        let waiting = [(3, Some(0)), (1, Some(1)), (2, Some(0))];
        assert_eq!(first_to_wake(&waiting, Some(0)), Some(1));
        assert_eq!(first_to_wake(&waiting, Some(1)), Some(2));
        assert_eq!(first_to_wake(&waiting[..1], Some(0)), Some(0));
        assert_eq!(first_to_wake(&waiting, None), Some(2));
        assert_eq!(first_to_wake(&[(0, None)], None), Some(0));
        assert_eq!(first_to_wake(&[], Some(0)), None);
    }

    /// Batches that take a while, with the thread that loaded each.
    struct Slow {
        len: usize,
        load: Duration,
        is_gather: bool,
        fails: Option<u64>,
        by: Mutex<Vec<(u64, String)>>,
    }

    const HERE: &str = "the consumer";

    impl Slow {
        fn new(batches: usize, load: Duration) -> Self {
            Self {
                len: batches,
                load,
                is_gather: true,
                fails: None,
                by: Mutex::default(),
            }
        }

        /// How many batches from one on a thread has loaded.
        fn loaded_by(&self, thread: &str, from: u64) -> usize {
            let by = self.by.lock().unwrap();
            by.iter()
                .filter(|(batch, name)| *batch >= from && name == thread)
                .count()
        }
    }

    impl Source<u64> for Slow {
        fn len(&self) -> usize {
            self.len
        }

        fn item_bytes(&self) -> Option<usize> {
            Some(8)
        }

        fn advise(&self, _: bool) {}

        fn is_gather(&self) -> bool {
            self.is_gather
        }

        fn load(&self, info: &BatchInfo, _: &mut Draw) -> Result<Loaded<u64>, Failure> {
            thread::sleep(self.load);
            let name = thread::current().name().unwrap_or_default().to_owned();
            let worker = name.starts_with("burn-npy-");
            let name = if worker { name } else { HERE.to_owned() };
            self.by.lock().unwrap().push((info.batch(), name));
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

    /// The workers of a pass over batches of one row.
    fn start(source: &Arc<Slow>, workers: usize, cores: usize, batch_bytes: usize) -> Workers<u64> {
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
            tail: Tail::default(),
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
            tuner: Arc::new(Mutex::new(Tuner::new(setting, bounds))),
            run: 2,
            batch_bytes: Some(batch_bytes),
            cores,
            meter: Arc::default(),
            streams: (0..workers).map(|_| StreamId::allocate()).collect(),
            upload_stream: StreamId::allocate(),
            limit: None,
        };
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
        let source = Arc::new(Slow::new(200, Duration::from_micros(1500)));
        let mut workers = start(&source, 2, 2, 8);
        take_all(&mut workers, 0..100, Duration::ZERO);
        take_all(&mut workers, 100..200, Duration::from_millis(1));
        // A few until that is known.
        assert!(source.loaded_by(HERE, 120) < 20);
        assert!(source.loaded_by("burn-npy-1", 120) >= 20);
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
}
