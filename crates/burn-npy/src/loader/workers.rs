//! The threads of one pass, and the window between them and the consumer.
//!
//! One mutex guards the [`State`]. A batch is in one of four states:
//!
//! * *open*: its number is not below `next`;
//! * *claimed*: below `next`, and its slot is empty; one worker is loading it, without the lock;
//! * *loaded*: its slot is full;
//! * *taken*: its number is below `taken`; it has no slot.
//!
//! Invariants: `taken <= next <= end`, `next - taken <= window`, and `slots[i]` belongs to batch
//! `taken + i`. So at most `window` batches are claimed or loaded, which bounds the memory, and the
//! consumer takes them in order.
//!
//! Who waits, and who wakes: a worker waits on `room` while no batch may be claimed; the consumer wakes
//! one when it takes a batch, all when it stops. The consumer waits on `loaded` until slot 0 is full;
//! a worker wakes it when it fills slot 0. A worker waits with no batch in its hands, so a batch that the
//! consumer waits for is always being loaded, and nobody waits for ever.
//!
//! How it stops: a worker leaves when `stopped` is set, or when every batch is claimed. A batch that
//! failed sets `end` behind itself, so nothing after it is claimed. Dropping [`Workers`] sets
//! `stopped` and joins; that takes as long as the batches that are being loaded.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use burn::tensor::StreamId;

use super::error::{Cause, Failure};
use super::pass::{Made, Pass};

type Slot<O> = Option<Result<Made<O>, Failure>>;

struct State<O> {
    /// The first batch that nobody has claimed.
    next: u64,
    /// The first batch that the consumer has not taken.
    taken: u64,
    /// Behind the last batch that may be claimed.
    end: u64,
    slots: VecDeque<Slot<O>>,
    stopped: bool,
}

struct Shared<O> {
    pass: Arc<Pass<O>>,
    window: u64,
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
    threads: Vec<JoinHandle<()>>,
}

impl<O: Send + 'static> Workers<O> {
    /// Starts a thread for each stream.
    pub(crate) fn start(
        pass: Arc<Pass<O>>,
        window: usize,
        streams: &[StreamId],
    ) -> Result<Self, Failure> {
        let Range { start, end } = pass.cut.batches();
        let mut workers = Self {
            shared: Arc::new(Shared {
                pass,
                window: window as u64,
                state: Mutex::new(State {
                    next: start,
                    taken: start,
                    end,
                    slots: VecDeque::with_capacity(window),
                    stopped: false,
                }),
                room: Condvar::new(),
                loaded: Condvar::new(),
            }),
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
    pub(crate) fn take(&self) -> Result<Made<O>, Failure> {
        let mut state = self.shared.lock();
        loop {
            if let Some(Some(_)) = state.slots.front() {
                break;
            }
            state = self
                .shared
                .loaded
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        let slot = state.slots.pop_front().flatten();
        state.taken += 1;
        drop(state);
        self.shared.room.notify_one();
        slot.unwrap_or_else(|| unreachable!("slot 0 was full"))
    }
}

fn work<O>(shared: &Shared<O>) {
    let mut state = shared.lock();
    loop {
        if state.stopped || state.next >= state.end {
            return;
        }
        if state.next - state.taken >= shared.window {
            state = shared
                .room
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
            continue;
        }
        let batch = state.next;
        state.next += 1;
        state.slots.push_back(None);
        drop(state);

        let loaded = shared.pass.load(batch);

        state = shared.lock();
        if loaded.is_err() {
            state.end = state.end.min(batch + 1);
        }
        let slot = (batch - state.taken) as usize;
        state.slots[slot] = Some(loaded);
        if slot == 0 {
            shared.loaded.notify_one();
        }
    }
}

impl<O> Drop for Workers<O> {
    fn drop(&mut self) {
        self.shared.lock().stopped = true;
        self.shared.room.notify_all();
        for thread in self.threads.drain(..) {
            // Code of the user runs under a guard, so there is no panic to pass on.
            let _ = thread.join();
        }
    }
}
