//! The window of batches between the workers and the consumer: what is claimed, loaded, waited for
//! and woken.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::super::Settings;
use super::super::draw::Draw;
use super::super::error::Failure;
use super::super::meter::Stopwatch;
use super::super::pass::{Made, Pass};
use super::super::source::Loaded;
use super::super::tune::Setting;

/// Which part of a run is claimed at a time while the consumer helps, or more if they stay in a
/// near cache.
const PART_OF_RUN: u64 = 4;

type Slot<O> = Option<Result<Made<O>, Failure>>;

/// What the lock guards.
pub(super) struct State<O> {
    /// The first batch that nobody has claimed.
    pub(super) next: u64,
    /// The first batch that nobody has announced.
    announced: u64,
    /// The first batch that the consumer has not fetched.
    pub(super) fetched: u64,
    /// The first batch that the consumer had not given away when it was here last.
    pub(super) yielded: u64,
    /// Behind the last batch that may be claimed.
    pub(super) end: u64,
    pub(super) slots: VecDeque<Slot<O>>,
    pub(super) setting: Setting,
    /// How many batches a worker claims at a time.
    pub(super) run: u64,
    /// How many batches fit into the bytes that were asked for, if nobody knew their size before:
    /// by the largest that was loaded.
    fits: usize,
    /// Which workers have a thread that goes on.
    pub(super) alive: Vec<bool>,
    /// Which workers wait for room, and on which processor each of them ran last.
    pub(super) waiting: Vec<(usize, Option<usize>)>,
    /// Whether the consumer waits for slot 0, and was not woken yet.
    pub(super) hungry: bool,
    /// Whether the consumer loads batches, too.
    pub(super) helps: bool,
    /// Whether a worker on the core of the consumer would be in its way: it hardly waits, or those
    /// that are awake have time.
    pub(super) busy: bool,
    /// When a consumer that is busy will have come for more, for one worker that waits for room.
    pub(super) due: Option<Instant>,
    /// Which workers wait until then.
    pub(super) dozing: Vec<usize>,
    /// The first batch that nobody had claimed when a worker last had to wait for room.
    pub(super) idled: u64,
    /// How many pause, since the consumer helps.
    pub(super) pausing: usize,
    /// Whether the consumer was woken and will make room as soon as it runs.
    pub(super) woken: bool,
    pub(super) stopped: bool,
}

impl<O> State<O> {
    /// Whether the next batch is loaded.
    pub(super) fn is_ready(&self) -> bool {
        matches!(self.slots.front(), Some(Some(_)))
    }

    /// Whether each worker that should go on has a thread.
    pub(super) fn is_staffed(&self) -> bool {
        self.alive[..self.setting.workers]
            .iter()
            .all(|alive| *alive)
    }
}

/// Batches that one thread is to load.
pub(super) struct Claim {
    batches: Range<u64>,
    /// What it announces first.
    announced: Range<u64>,
}

/// What the threads of a pass share.
pub(super) struct Shared<O> {
    pass: Arc<Pass<O>>,
    pub(super) settings: Settings,
    /// Whether the workers should leave what they have not begun; set with `State::stopped`.
    pub(super) stopped: AtomicBool,
    state: Mutex<State<O>>,
    /// There may be a batch to claim, for each worker.
    pub(super) room: Vec<Condvar>,
    /// Slot 0 is full.
    loaded: Condvar,
    /// The first batch of the pass.
    first_of_all: u64,
}

impl<O> Shared<O> {
    pub(super) fn new(pass: Arc<Pass<O>>, settings: &Settings) -> Self {
        let Range { start, end } = pass.cut.batches();
        let setting = settings.setting();
        Self {
            pass,
            settings: settings.clone(),
            stopped: AtomicBool::new(false),
            state: Mutex::new(State {
                next: start,
                announced: start,
                fetched: start,
                yielded: start,
                end,
                slots: VecDeque::with_capacity(setting.window + 1),
                run: settings.run(setting) as u64,
                fits: usize::MAX,
                setting,
                alive: vec![false; settings.streams.len()],
                waiting: Vec::with_capacity(settings.streams.len()),
                hungry: false,
                helps: false,
                busy: false,
                due: None,
                dozing: Vec::with_capacity(settings.streams.len()),
                idled: start,
                pausing: 0,
                woken: false,
                stopped: false,
            }),
            room: settings.streams.iter().map(|_| Condvar::new()).collect(),
            loaded: Condvar::new(),
            first_of_all: start,
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State<O>> {
        // No code of a user runs under the lock, and ours keeps the invariants at every step.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this worker pauses while the consumer helps, since there is no core for both.
    pub(super) fn pauses(&self, worker: usize) -> bool {
        worker + 1 >= self.settings.cores
    }

    /// How many batches may be claimed and not yielded. The one that a consumer loads itself is one
    /// more if they are passed one by one: a worker that is done first would have to wait for it.
    pub(super) fn window(&self, state: &State<O>) -> u64 {
        let own = state.helps && state.run == 1;
        let window = state.setting.window + usize::from(own);
        window.min(self.settings.most_window).min(state.fits) as u64
    }

    /// How many batches of the size of this one fit, where that is not known from the start.
    fn fits(&self, made: &Made<O>) -> usize {
        match &made.loaded {
            Some(Loaded::Host(gathered)) if self.settings.batch_bytes.is_none() => {
                let rows_bytes = size_of_val(made.info.rows());
                let bytes = gathered.bytes().saturating_add(rows_bytes);
                (self.settings.demand.prefetch_bytes / bytes.max(1)).max(1)
            }
            _ => usize::MAX,
        }
    }

    /// How many batches should be claimed next; 0 if none is left.
    fn run(&self, state: &State<O>) -> u64 {
        let part = state.run.div_ceil(PART_OF_RUN);
        let run = match state.helps {
            true => state.run.min(part.max(self.settings.near_run())),
            false => state.run,
        };
        // The first batches are wanted at once.
        let begun = (state.next - self.first_of_all) / (2 * state.setting.workers as u64);
        // A failure may have moved the end before what was claimed.
        run.min(begun.max(1))
            .min(state.end.saturating_sub(state.next))
    }

    /// Claims the next batches, if some are left and the window has room for them.
    pub(super) fn claim(&self, state: &mut State<O>) -> Option<Claim> {
        let run = self.run(state);
        let window = self.window(state);
        let room = window.saturating_sub(state.next - state.yielded);
        // A worker that takes the last place for one batch would pass them one by one for ever.
        if run == 0 || room < run {
            return None;
        }
        let first = state.next;
        let end = first + run;
        state.next = end;
        state.slots.extend((first..end).map(|_| None));
        // A disk needs time, so what it must read is said a window before it is wanted. The first
        // batches of a pass are wanted at once, so the others are said little by little.
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
    pub(super) fn load(&self, claim: Claim, hands: &mut Hands<O>) -> MutexGuard<'_, State<O>> {
        let (pass, meter) = (&*self.pass, &*self.settings.meter);
        let source = &*pass.source;
        let first = claim.batches.start;
        let watch = Stopwatch::start(source.waits_for_storage());
        pass.announce(claim.announced);
        let stop = || self.stopped.load(Ordering::Relaxed);
        pass.load_run(claim.batches, &mut hands.draw, stop, &mut hands.made);
        watch.stop(meter, std::mem::take(&mut hands.draw.user));
        let mut state = self.lock();
        for (batch, loaded) in (first..).zip(hands.made.drain(..)) {
            match &loaded {
                Ok(made) => state.fits = state.fits.min(self.fits(made)),
                Err(_) => state.end = state.end.min(batch + 1),
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

    /// Waits for the next batch; who has hands to help loads what can be claimed meanwhile. Also
    /// gives how long it did nothing.
    pub(super) fn wait_or_help<'a>(
        &'a self,
        mut state: MutexGuard<'a, State<O>>,
        mut hands: Option<&mut Hands<O>>,
    ) -> (MutexGuard<'a, State<O>>, Duration) {
        let mut idle = Duration::ZERO;
        while !state.is_ready() {
            if let Some(hands) = &mut hands
                && let Some(claim) = self.claim(&mut state)
            {
                drop(state);
                state = self.load(claim, hands);
                continue;
            }
            state.hungry = true;
            let slept;
            (state, slept) = self.wait(&self.loaded, state);
            idle += slept;
        }
        (state.hungry, state.woken) = (false, false);
        (state, idle)
    }

    pub(super) fn wait<'a>(
        &self,
        on: &Condvar,
        state: MutexGuard<'a, State<O>>,
    ) -> (MutexGuard<'a, State<O>>, Duration) {
        let start = Instant::now();
        let state = on.wait(state).unwrap_or_else(PoisonError::into_inner);
        (state, start.elapsed())
    }

    /// The same, but no longer than until then.
    pub(super) fn wait_until<'a>(
        &self,
        on: &Condvar,
        state: MutexGuard<'a, State<O>>,
        until: Instant,
    ) -> (MutexGuard<'a, State<O>>, Duration) {
        let start = Instant::now();
        let most = until.saturating_duration_since(start);
        let (state, _) = on
            .wait_timeout(state, most)
            .unwrap_or_else(PoisonError::into_inner);
        (state, start.elapsed())
    }

    /// Wakes all workers, those that pause too.
    pub(super) fn wake_all(&self) {
        self.room.iter().for_each(Condvar::notify_one);
    }

    /// Wakes those that look for room later.
    pub(super) fn wake_dozing(&self, state: &State<O>) {
        for worker in &state.dozing {
            self.room[*worker].notify_one();
        }
    }

    /// Wakes as many workers as there is room for; all that wait, if they are to leave. One too
    /// many would take the core of the training for nothing, and to wake nobody is a system call,
    /// too.
    pub(super) fn wake_workers(&self, state: &mut State<O>) {
        let leaves = |alive: &[bool]| alive.iter().any(|alive| *alive);
        let most = match state.next >= state.end || leaves(&state.alive[state.setting.workers..]) {
            true => state.waiting.len(),
            false => {
                let under_way = state.next - state.yielded;
                let room = self.window(state).saturating_sub(under_way) as usize;
                // At the begin of a pass runs are shorter, so one is woken for any room.
                let wanted = (room / state.run as usize).max(room.min(1));
                match state.busy {
                    // Those that are awake look for room before they wait, so one of them is
                    // enough.
                    true => {
                        let alive = state.alive.iter().filter(|alive| **alive).count();
                        let awake = alive.saturating_sub(state.waiting.len() + state.pausing);
                        wanted.min((self.settings.cores - 1).saturating_sub(awake))
                    }
                    false => wanted,
                }
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

/// Whom of those that wait, each with the processor where it was last, a thread should wake that
/// runs here: a busy system leaves a thread where it was, and on the processor of the consumer it
/// would run when the consumer waits for it.
fn first_to_wake(waiting: &[(usize, Option<usize>)], here: Option<usize>) -> Option<usize> {
    let elsewhere = waiting.iter().rposition(|(_, last)| *last != here);
    elsewhere.or(waiting.len().checked_sub(1))
}

/// The processor that this thread runs on, where that is known.
#[cfg(target_os = "linux")]
pub(super) fn processor() -> Option<usize> {
    Some(rustix::thread::sched_getcpu())
}

#[cfg(not(target_os = "linux"))]
pub(super) fn processor() -> Option<usize> {
    None
}

/// What a thread that loads works with, and uses again.
pub(super) struct Hands<O> {
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

#[cfg(test)]
mod tests {
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
}
