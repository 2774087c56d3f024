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
//! consumer has nothing yet. A consumer that hardly does anything but wait is not faster for being woken early, and takes a
//! core from the workers each time: it waits for a run of each of them.
//!
//! Who waits, and who wakes: a worker waits for `room` while no batch may be claimed, unless the consumer is about to fetch,
//! when it only lets others run for a moment. The consumer wakes as many as there is room for when it fetches, first those
//! that ran on another processor, and all when it stops or no batch is left. The consumer waits for `loaded` until as
//! many slots are full as it `wanted`, or all that there will be; the worker that fills the last of them wakes it. A worker waits
//! with no batch in its hands, and only if less than a run is left of the window, so with at least half of the window loaded or
//! being loaded. The consumer never wants more than that, so nobody waits for ever.
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
/// How much longer than it worked with them a consumer must have waited for its batches, to wait for more at a time.
const WAITS: u32 = 8;

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
    /// For how many loaded batches the consumer waits; none if it does not wait, or was woken.
    wanted: Option<u64>,
    /// Whether the consumer was woken and will make room as soon as it runs.
    woken: bool,
    stopped: bool,
}

impl<O> State<O> {
    /// Whether the next batches are loaded, so many or all that there are.
    fn has(&self, wanted: u64) -> bool {
        let wanted = wanted.min(self.end - self.fetched) as usize;
        wanted <= self.slots.len() && self.slots.range(..wanted).all(Option::is_some)
    }
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
}

impl<O> Shared<O> {
    fn lock(&self) -> MutexGuard<'_, State<O>> {
        // No code of a user runs under the lock, and ours keeps the invariants at every step.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// Wakes as many workers as there is room for; all, if they are to leave. One too many would take the core of the
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

/// The threads of a pass.
pub(crate) struct Workers<O> {
    shared: Arc<Shared<O>>,
    /// Batches that were fetched and not yet given away.
    fetched: VecDeque<Result<Made<O>, Failure>>,
    /// Whether who takes them is the consumer, whose waiting is counted.
    by_consumer: bool,
    /// When the last batches were fetched, and how long they were waited for.
    last: (Instant, Duration),
    /// For how many batches the consumer is ready to wait.
    patience: u64,
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
                    wanted: None,
                    woken: false,
                    stopped: false,
                }),
                room: settings.streams.iter().map(|_| Condvar::new()).collect(),
                loaded: Condvar::new(),
            }),
            fetched: VecDeque::new(),
            by_consumer,
            last: (Instant::now(), Duration::ZERO),
            patience: 1,
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
        let (since, waited) = &mut self.last;
        let worked = since.elapsed();
        self.patience = match state.run > 1 && worked * WAITS < *waited {
            true => (2 * self.patience).min(state.run * state.setting.workers as u64),
            false => 1,
        };
        *waited = Duration::ZERO;
        if !state.has(1) {
            while !state.has(self.patience) {
                state.wanted = Some(self.patience);
                let slept;
                (state, slept) = shared.wait(&shared.loaded, state);
                *waited += slept;
            }
            state.woken = false;
            if self.by_consumer {
                Meter::add(&shared.settings.meter.waited, *waited);
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
        *since = Instant::now();
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
        // Some may have to leave.
        self.shared.wake_workers(&mut state);
        drop(state);
        // If there are no more threads to be had, the trial will show that it gains nothing.
        let _ = self.staff();
    }
}

fn work<O>(shared: &Shared<O>, index: usize) {
    let (pass, meter) = (&*shared.pass, &*shared.settings.meter);
    let source = &*pass.source;
    let (waits, is_gather) = (source.waits_for_storage(), source.is_gather());
    let first_of_all = pass.cut.batches().start;
    let mut made: Vec<Result<Made<O>, Failure>> = Vec::new();
    let mut draw = Draw::default();
    let mut yields = 0;
    let mut state = shared.lock();
    loop {
        if state.stopped || state.next >= state.end || index >= state.setting.workers {
            state.alive[index] = false;
            return;
        }
        let Setting { workers, window } = state.setting;
        // The first batches are wanted at once.
        let begun = (state.next - first_of_all) / (2 * workers as u64);
        let run = state.run.min(begun.max(1)).min(state.end - state.next);
        let room = (window as u64).saturating_sub(state.next - state.yielded);
        // A worker that takes the last place for one batch would pass them one by one for ever.
        if room < run {
            if yields < MOST_YIELDS && state.woken {
                yields += 1;
                drop(state);
                thread::yield_now();
                state = shared.lock();
                continue;
            }
            state.waiting.push((index, processor()));
            let idle;
            (state, idle) = shared.wait(&shared.room[index], state);
            // Who was woken for no reason is still there.
            state.waiting.retain(|(waiting, _)| *waiting != index);
            Meter::add(&meter.idle, idle);
            continue;
        }
        yields = 0;
        let first = state.next;
        let end = first + run;
        state.next = end;
        state.slots.extend((first..end).map(|_| None));
        // A disk needs time, so what it must read is said a window before it is wanted. The first batches of a pass are wanted at
        // once, so the others are said little by little.
        let soon = pass.soon(end, window as u64);
        let soon = soon
            .min(state.announced.max(end) + 2 * run)
            .max(state.announced);
        let announced = std::mem::replace(&mut state.announced, soon);
        drop(state);

        let watch = Stopwatch::start(waits);
        pass.announce(announced..soon);
        let stop = || shared.stopped.load(Ordering::Relaxed);
        pass.load_run(first..end, &mut draw, stop, &mut made);
        watch.stop(meter, is_gather);
        state = shared.lock();
        hand_over(shared, &mut state, first, &mut made);
    }
}

/// Fills the slots of the batches from `first` on.
fn hand_over<O>(
    shared: &Shared<O>,
    state: &mut State<O>,
    first: u64,
    made: &mut Vec<Result<Made<O>, Failure>>,
) {
    for (batch, loaded) in (first..).zip(made.drain(..)) {
        if loaded.is_err() {
            state.end = state.end.min(batch + 1);
        }
        let slot = (batch - state.fetched) as usize;
        state.slots[slot] = Some(loaded);
    }
    if state.wanted.is_some_and(|wanted| state.has(wanted)) {
        (state.wanted, state.woken) = (None, true);
        shared.loaded.notify_one();
    }
}

impl<O> Drop for Workers<O> {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
        self.shared.lock().stopped = true;
        self.shared.room.iter().for_each(Condvar::notify_one);
        for thread in self.threads.drain(..) {
            // Code of the user runs under a guard, so there is no panic to pass on.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_are_wanted_or_all_that_there_will_be() {
        let failed = || Some(Err(Cause::panic("test", Box::new("a failure")).into()));
        let mut state = State::<()> {
            next: 14,
            announced: 14,
            fetched: 10,
            yielded: 10,
            end: 20,
            slots: [failed(), failed(), None, failed()].into(),
            setting: Setting {
                workers: 2,
                window: 8,
            },
            run: 2,
            alive: Vec::new(),
            waiting: Vec::new(),
            wanted: None,
            woken: false,
            stopped: false,
        };
        let has = |state: &State<_>| (1..=6).filter(|wanted| state.has(*wanted)).count();
        assert_eq!(has(&state), 2);
        state.slots[2] = failed();
        assert_eq!(has(&state), 4);
        // What comes after a failure is never loaded.
        state.end = 14;
        assert_eq!(has(&state), 6);
    }

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
}
