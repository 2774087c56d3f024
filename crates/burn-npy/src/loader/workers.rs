//! The threads of one pass, and the window between them and the consumer.
//!
//! Who takes the batches is called the consumer here; on a GPU that is the `uploader`, which stands
//! between.
//!
//! One mutex guards the [state](window::State). A batch is in one of five states:
//!
//! * *open*: its number is not below `next`;
//! * *claimed*: below `next`, and its slot is empty; one worker is loading it, without the lock;
//! * *loaded*: its slot is full, or its worker has it in hand together with others of its run;
//! * *fetched*: its number is below `fetched`; it has no slot, and the consumer has it at hand;
//! * *yielded*: the consumer has given it away.
//!
//! Invariants: `yielded <= fetched <= next`, `next <= end` unless a batch failed, `next - yielded
//! <= window` (or one more, see below), and `slots[i]` belongs to batch `fetched + i`. So at most
//! `window` batches are claimed, loaded or fetched, which bounds the memory, and the consumer has
//! them in order. It says what it has yielded when it comes for more.
//!
//! To pass one small batch costs more than to load it, so they are passed in runs: a worker claims
//! a run of neighbours and fills their slots at once, and the consumer fetches all that are ready,
//! but no more than half of the window, so that the workers can go on meanwhile. Runs are short at
//! the begin of a pass, where the consumer has nothing yet.
//!
//! A consumer that waits longer than it works *helps*: where it would wait, it claims and loads
//! batches like a worker, for which nobody has to be woken. Runs are shorter then, and if they are
//! single batches, the window has room for one more. If there are not more cores than workers, it
//! takes the place of one, who pauses. So two workers on two cores are never three threads that
//! wake each other. A consumer that has work to do with its batches does not help, nor where
//! loading runs code of the user, or may wait for a disk; and it takes nobody's place where batches
//! are large.
//!
//! A consumer that hardly waits is *busy*, and keeps a core for itself: of the workers that wait,
//! no more are woken than there are other cores, and those that pause or have no thread yet stay
//! so. To wake a thread is not cheap either, 20 us in a virtual machine. So a busy consumer says
//! when it will have come for more, and a worker that finds no room *dozes* until then, for which
//! nobody has to wake it. If those that are awake are too few, the consumer waits, and so is not
//! busy any more; how long the first batch took does not count, nor what it waits for if there are
//! not more cores than workers and those that are awake had to wait for room not long ago.
//!
//! Who waits, and who wakes: a worker waits for `room` while no batch may be claimed, unless the
//! consumer is about to fetch, when it only lets others run for a moment. The consumer wakes as
//! many as there is room for when it fetches, first those that ran on another processor, and all
//! when it stops or no batch is left; those that pause, when it neither helps nor is busy; those
//! that doze, when nothing is loaded. The consumer waits for `loaded` while slot 0 is empty, and if
//! it helps, only when it can claim nothing; the worker that fills slot 0 wakes it. A worker waits
//! with no batch in its hands, and only if less than a run is left of the window, so with at least
//! half of the window loaded or being loaded. So nobody waits for ever.
//!
//! The consumer is also who tunes (see `tune`): when it fetches, it may change the window, start
//! more threads, or say that fewer are to go on. A worker that is not to go on leaves before it
//! claims, and marks itself as gone under the lock, so that its place can be filled again.
//!
//! How it stops: a worker leaves when `stopped` is set, or when every batch is claimed. A batch
//! that failed sets `end` behind itself, so nothing after it is claimed. Dropping [`Workers`] sets
//! `stopped` and joins; that takes as long as the batches that are being loaded, one a worker.

mod window;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::Settings;
use super::error::{Cause, Failure};
use super::meter::Meter;
use super::pass::{Made, Pass};
use window::{Hands, Shared, processor};

/// How often a worker looks again for the room that a consumer makes who was woken and has only to
/// run. To sleep meanwhile and to be woken takes longer: with batches of 12 MB, two workers were
/// idle for 12 % of one's time, and so for 7 %.
const MOST_YIELDS: u32 = 100;
/// From this size of a batch on the memory is what bounds two threads: the consumer takes no
/// worker's place.
const LARGE_BATCH: usize = 24 << 20;

/// A consumer that works so many times as long as it waits, or longer, is busy.
const BUSY: u32 = 32;

/// For how many windows of batches no worker must have had to wait for room before one that has no
/// core is woken.
const IDLED: u64 = 4;

/// How the consumer spent its time; what is longer ago counts less.
#[derive(Default)]
struct Recent {
    worked: Duration,
    waited: Duration,
    /// What of that was for the first batch of the pass, which nobody could have loaded before.
    began: Duration,
}

impl Recent {
    fn add(&mut self, worked: Duration, waited: Duration) {
        let began = match self.worked.is_zero() {
            true => waited,
            false => Duration::ZERO,
        };
        for (sum, new) in [
            (&mut self.worked, worked),
            (&mut self.waited, waited),
            (&mut self.began, began),
        ] {
            *sum = *sum * 7 / 8 + new;
        }
    }

    /// Whether it would rather load batches than wait.
    fn mostly_waits(&self) -> bool {
        self.waited >= self.worked
    }

    fn hardly_waits(&self) -> bool {
        self.waited.saturating_sub(self.began) * BUSY < self.worked
    }
}

/// How the consumer came by its batches.
struct Fetch {
    at: Instant,
    waited: Duration,
    batches: u32,
}

/// The threads of a pass.
pub(crate) struct Workers<O> {
    shared: Arc<Shared<O>>,
    /// Batches that were fetched and not yet given away.
    fetched: VecDeque<Result<Made<O>, Failure>>,
    /// Whether who takes them is the consumer, whose waiting is counted.
    by_consumer: bool,
    last: Option<Fetch>,
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
        let may_help = pass.source.is_gather() && !pass.source.waits_for_storage();
        let is_large = settings
            .batch_bytes
            .is_some_and(|bytes| bytes >= LARGE_BATCH);
        let mut workers = Self {
            shared: Arc::new(Shared::new(pass, settings)),
            fetched: VecDeque::new(),
            by_consumer,
            last: None,
            recent: Recent::default(),
            may_help,
            is_large,
            hands: Hands::default(),
            threads: Vec::with_capacity(settings.streams.len()),
        };
        let helps = workers.helps(settings.setting().workers);
        // Fewer threads do the same work, but there must be one.
        match workers.staff(helps) {
            Err(error) if workers.threads.is_empty() => Err(Cause::error(error).into()),
            _ => Ok(workers),
        }
    }

    /// Whether the consumer should load batches, where there are so many workers.
    fn helps(&self, workers: usize) -> bool {
        let takes_place = workers >= self.shared.settings.cores;
        self.may_help && !(takes_place && self.is_large) && self.recent.mostly_waits()
    }

    /// Starts a thread for each worker that should go on and has none. Who would pause for a
    /// consumer that helps needs none yet.
    fn staff(&mut self, helps: bool) -> std::io::Result<()> {
        let mut state = self.shared.lock();
        for index in 0..state.setting.workers {
            if state.alive[index] || (index > 0 && helps && self.shared.pauses(index)) {
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

    /// The next batch in order. It must not be called more often than there are batches, nor after
    /// a failure.
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
        // What the consumer does with a batch.
        let mut step = Duration::ZERO;
        if let Some(last) = self.last.take() {
            let worked = last.at.elapsed();
            self.recent.add(worked, last.waited);
            step = worked / last.batches;
        }
        let helps = self.helps(state.setting.workers);
        state.helps = helps;
        // On one core there is none to be kept, and who mostly waits needs none.
        let keeps_core = self.may_help && !self.recent.mostly_waits() && shared.settings.cores > 1;
        // Where all workers would be one thread too many, and those that are awake have time, more
        // of them are no help.
        let suffices = state.setting.workers >= shared.settings.cores
            && state.next - state.idled < IDLED * state.setting.window as u64;
        state.busy = keeps_core && (self.recent.hardly_waits() || suffices);
        let needs_all = !helps && !state.busy;
        state.yielded = state.fetched;
        // What is waited for may need the room of those that were yielded.
        shared.wake_workers(&mut state);
        let most = match state.run {
            1 => 1,
            _ => (state.setting.window / 2).max(1),
        };
        if state.pausing > 0 && needs_all {
            shared.wake_all();
        }
        let mut waited = Duration::ZERO;
        if !state.is_ready() {
            shared.wake_dozing(&state);
            let start = Instant::now();
            let idle;
            (state, idle) = shared.wait_or_help(state, helps.then_some(&mut self.hands));
            waited = start.elapsed();
            if self.by_consumer {
                let meter = &shared.settings.meter;
                Meter::add(&meter.waited, waited);
                Meter::add(&meter.helped, waited.saturating_sub(idle));
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
        let is_short = needs_all && state.next < state.end && !state.is_staffed();
        let at = Instant::now();
        let batches = self.fetched.len() as u32;
        // A bit later, lest a worker comes too early.
        state.due = state.busy.then(|| at + step * batches + step / 2);
        drop(state);
        self.last = Some(Fetch {
            at,
            waited,
            batches,
        });
        if is_short {
            let _ = self.staff(false);
        }
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
        let helps = state.helps;
        drop(state);
        // Some may have to leave.
        self.shared.wake_all();
        // If there are no more threads to be had, the trial will show that it gains nothing.
        let _ = self.staff(helps);
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
        if state.helps && shared.pauses(index) {
            state.pausing += 1;
            (state, _) = shared.wait(&shared.room[index], state);
            state.pausing -= 1;
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
        } else if let Some(due) = state.due.take() {
            state.idled = state.next;
            state.dozing.push(index);
            let idle;
            (state, idle) = shared.wait_until(&shared.room[index], state, due);
            state.dozing.retain(|dozing| *dozing != index);
            Meter::add(&shared.settings.meter.idle, idle);
        } else {
            state.idled = state.next;
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
pub(super) mod tests;
