//! The threads of one pass, and the window between them and the consumer.
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
//! than half of the window, so that the workers can go on meanwhile. A consumer that waits is *hungry*:
//! then a worker hands over what it has so far.
//!
//! Who waits, and who wakes: a worker waits on `room` while no batch may be claimed; the consumer wakes
//! all when it fetches, and when it stops. The consumer waits on `loaded` until slot 0 is full;
//! a worker wakes it when it fills slot 0. A worker waits with no batch in its hands, so a batch that the
//! consumer waits for is always being loaded, and nobody waits for ever.
//!
//! How it stops: a worker leaves when `stopped` is set, or when every batch is claimed. A batch that
//! failed sets `end` behind itself, so nothing after it is claimed. Dropping [`Workers`] sets
//! `stopped` and joins; that takes as long as the batches that are being loaded, one a worker.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use burn::tensor::StreamId;

use super::error::{Cause, Failure};
use super::pass::{Made, Pass};

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
    stopped: bool,
}

struct Shared<O> {
    pass: Arc<Pass<O>>,
    window: u64,
    /// How many batches a worker claims at a time.
    run: u64,
    /// Whether the consumer waits. Only a hint: it is read without the lock.
    hungry: AtomicBool,
    /// Whether the workers should leave what they have not begun; set with `State::stopped`.
    stopped: AtomicBool,
    state: Mutex<State<O>>,
    /// There may be a batch to claim.
    room: Condvar,
    /// Slot 0 is full.
    loaded: Condvar,
}

impl<O> Shared<O> {
    fn lock(&self) -> MutexGuard<'_, State<O>> {
        // No code of a user runs under the lock, and ours keeps the invariants at every step.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The threads of a pass.
pub(crate) struct Workers<O> {
    shared: Arc<Shared<O>>,
    /// Batches that were fetched and not yet given away.
    fetched: VecDeque<Result<Made<O>, Failure>>,
    threads: Vec<JoinHandle<()>>,
}

impl<O: Send + 'static> Workers<O> {
    /// Starts a thread for each stream.
    pub(crate) fn start(
        pass: Arc<Pass<O>>,
        window: usize,
        run: usize,
        streams: &[StreamId],
    ) -> Result<Self, Failure> {
        let Range { start, end } = pass.cut.batches();
        let mut workers = Self {
            shared: Arc::new(Shared {
                pass,
                window: window as u64,
                run: run.max(1) as u64,
                hungry: AtomicBool::new(false),
                stopped: AtomicBool::new(false),
                state: Mutex::new(State {
                    next: start,
                    announced: start,
                    fetched: start,
                    yielded: start,
                    end,
                    slots: VecDeque::with_capacity(window),
                    stopped: false,
                }),
                room: Condvar::new(),
                loaded: Condvar::new(),
            }),
            fetched: VecDeque::new(),
            threads: Vec::with_capacity(streams.len()),
        };
        for (index, stream) in streams.iter().copied().enumerate() {
            let shared = workers.shared.clone();
            let thread = thread::Builder::new()
                .name(format!("burn-npy-{index}"))
                .spawn(move || stream.executes(|| work(&shared)));
            match thread {
                Ok(thread) => workers.threads.push(thread),
                // Fewer threads do the same work.
                Err(_) if index > 0 => break,
                Err(error) => return Err(Cause::error(error).into()),
            }
        }
        Ok(workers)
    }

    /// The next batch in order. It must not be called more often than there are batches, nor after a
    /// failure.
    pub(crate) fn take(&mut self) -> Result<Made<O>, Failure> {
        if self.fetched.is_empty() {
            self.fetch();
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
        shared.room.notify_all();
        while !matches!(state.slots.front(), Some(Some(_))) {
            shared.hungry.store(true, Ordering::Relaxed);
            state = shared
                .loaded
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        shared.hungry.store(false, Ordering::Relaxed);
        let most = match shared.run {
            1 => 1,
            _ => (shared.window / 2).max(1),
        };
        while (self.fetched.len() as u64) < most
            && let Some(Some(_)) = state.slots.front()
        {
            self.fetched.extend(state.slots.pop_front().flatten());
            state.fetched += 1;
        }
        // The first of them is given away at once.
        state.yielded = state.fetched - (self.fetched.len() as u64 - 1);
        drop(state);
        shared.room.notify_all();
    }
}

fn work<O>(shared: &Shared<O>) {
    let mut made: Vec<Result<Made<O>, Failure>> = Vec::new();
    let mut state = shared.lock();
    loop {
        if state.stopped || state.next >= state.end {
            return;
        }
        let room = shared.window.saturating_sub(state.next - state.yielded);
        // A worker that takes the last place for one batch would pass them one by one for ever.
        if room < shared.run.min(state.end - state.next) {
            state = shared
                .room
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
            continue;
        }
        let first = state.next;
        let end = state.end.min(first + shared.run);
        state.next = end;
        state.slots.extend((first..end).map(|_| None));
        // A disk needs time, so what it must read is said a window before it is wanted.
        let soon = (end + shared.window).min(shared.pass.cut.batches().end);
        let announced = std::mem::replace(&mut state.announced, soon);
        drop(state);

        shared.pass.announce(announced..soon);
        // The first batch that is still in hand.
        let mut in_hand = first;
        for batch in first..end {
            let loaded = shared.pass.load(batch);
            let failed = loaded.is_err();
            made.push(loaded);
            let stopped = shared.stopped.load(Ordering::Relaxed);
            let hungry = shared.hungry.load(Ordering::Relaxed);
            if failed || stopped || hungry && batch + 1 < end {
                in_hand = hand_over(shared, &mut shared.lock(), in_hand, &mut made);
            }
            if failed || stopped {
                break;
            }
        }
        state = shared.lock();
        hand_over(shared, &mut state, in_hand, &mut made);
    }
}

/// Fills the slots of the batches from `first` on; gives the batch behind them.
fn hand_over<O>(
    shared: &Shared<O>,
    state: &mut State<O>,
    first: u64,
    made: &mut Vec<Result<Made<O>, Failure>>,
) -> u64 {
    let mut batch = first;
    for loaded in made.drain(..) {
        if loaded.is_err() {
            state.end = state.end.min(batch + 1);
        }
        let slot = (batch - state.fetched) as usize;
        state.slots[slot] = Some(loaded);
        if slot == 0 {
            shared.loaded.notify_one();
        }
        batch += 1;
    }
    batch
}

impl<O> Drop for Workers<O> {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
        self.shared.lock().stopped = true;
        self.shared.room.notify_all();
        for thread in self.threads.drain(..) {
            // Code of the user runs under a guard, so there is no panic to pass on.
            let _ = thread.join();
        }
    }
}
