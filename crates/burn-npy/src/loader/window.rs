//! The window between the threads that load batches and the consumer: a bounded reorder buffer.
//!
//! Threads claim the next batches in order, load them without the lock, and fill them in. The
//! consumer takes them in order. One mutex guards [`WindowState`]:
//!
//! ```text
//!             first slot             next                end
//!                  │                   │                  │
//!  ────────────────┼───────────────────┼──────────────────┼
//!  taken by the    │ claimed, a slot   │ not claimed yet  │ none
//!  consumer        │ for each claim    │                  │
//!                  └───── ≤ limit ─────┘
//! ```
//!
//! * The limit counts batches ahead of the consumer. While it asks for a batch, that batch is not
//!   ahead of it, so one more may be claimed.
//! * A claim is up to `run` neighbouring batches, since to pass a small batch between threads costs
//!   more than to load it. At the start of a pass claims are shorter, so that the first batch comes
//!   soon.
//! * A worker sleeps on `room` while the window has no room for its claim. The consumer wakes one
//!   worker each time that it asks for a batch. Where loading may take no longer than waking a
//!   thread, it wakes all workers, once, when half of the window becomes free. When the limit
//!   grows, it wakes all.
//! * The consumer sleeps on `filled` while the first slot is empty. The worker that fills that slot
//!   wakes it.
//! * The limit doubles, up to `max_limit`, when the consumer finds its batch missing after the
//!   window was full: then batches come unevenly, and a longer window evens that out. This is the
//!   rule of `prefetch(AUTOTUNE)` in tf.data.
//! * A batch that fails is the last: `end` moves behind it, and nothing after it is claimed.
//! * `stop` wakes everybody, and workers get no more claims. Only the thread that takes batches
//!   calls it, as its last act, so `try_claim` does not ask.
//!
//! Nobody sleeps for ever. A worker sleeps only if less than a claim is free, so less than half of
//! the window, and the consumer makes half of it free when it takes what is there. The consumer
//! sleeps only while the first slot is claimed, by a worker that is awake until it has filled it,
//! or while nothing is claimed: then a worker is awake and about to claim.

use std::collections::VecDeque;
use std::ops::Range;

use super::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// How long claims are, and how far the window reaches, in batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// The length of a claim, at most; with workers no more than half of the limit, unless it is 1.
    pub(crate) run: u64,
    /// How many batches may be claimed and not taken, at first.
    pub(crate) limit: u64,
    /// What the limit may grow to. If it is not above `limit`, the limit never grows.
    pub(crate) max_limit: u64,
    /// Whether workers are woken when half of the window is free, not for each claim.
    pub(crate) wake_at_half: bool,
}

/// A value `T` for each claim.
#[derive(Debug)]
pub(crate) struct Window<T> {
    state: Mutex<WindowState<T>>,
    room: Condvar,
    filled: Condvar,
    limits: Limits,
    start: u64,
}

#[derive(Debug)]
struct WindowState<T> {
    /// The first batch that is not claimed.
    next: u64,
    /// The end of the batches that may be claimed.
    end: u64,
    /// A slot for each claim that is not taken, in order.
    slots: VecDeque<Slot<T>>,
    limit: u64,
    /// Whether the consumer is waiting for the first slot.
    asking: bool,
    /// Whether a worker found the window full, with the first slot filled, since the consumer last
    /// asked in vain.
    was_full: bool,
    stopped: bool,
}

#[derive(Debug)]
struct Slot<T> {
    batches: Range<u64>,
    value: Option<T>,
}

impl<T> WindowState<T> {
    /// Claims up to `run` batches, if there are any and the window has room.
    fn claim(&mut self, limits: Limits, start: u64) -> Option<Range<u64>> {
        let so_far = (self.next - start).max(1);
        let left = self.end.saturating_sub(self.next);
        let len = limits.run.min(so_far).min(left);
        let limit = self.limit + u64::from(self.asking);
        if len == 0 || limit.saturating_sub(self.claimed()) < len {
            return None;
        }
        let batches = self.next..self.next + len;
        self.next = batches.end;
        self.slots.push_back(Slot {
            batches: batches.clone(),
            value: None,
        });
        Some(batches)
    }

    /// How many batches are claimed and not taken.
    fn claimed(&self) -> u64 {
        let first = self.slots.front();
        first.map_or(0, |slot| self.next - slot.batches.start)
    }

    fn is_half_free(&self) -> bool {
        2 * self.claimed() <= self.limit
    }

    fn is_filled(&self) -> bool {
        self.slots.front().is_some_and(|slot| slot.value.is_some())
    }
}

impl<T> Window<T> {
    /// An empty window over some batches.
    pub(crate) fn new(batches: Range<u64>, limits: Limits) -> Self {
        debug_assert!(0 < limits.run && limits.run <= limits.limit);
        Self {
            state: Mutex::new(WindowState {
                next: batches.start,
                end: batches.end,
                slots: VecDeque::new(),
                limit: limits.limit,
                asking: false,
                was_full: false,
                stopped: false,
            }),
            room: Condvar::new(),
            filled: Condvar::new(),
            limits,
            start: batches.start,
        }
    }

    fn lock(&self) -> MutexGuard<'_, WindowState<T>> {
        // No code of a user runs under the lock, and no method panics between two changes.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next claim of a worker, which sleeps until there is room; `None` if the worker should
    /// leave.
    pub(crate) fn claim_or_wait(&self) -> Option<Range<u64>> {
        let mut state = self.lock();
        loop {
            if state.stopped || state.next >= state.end {
                return None;
            }
            if let Some(claim) = state.claim(self.limits, self.start) {
                return Some(claim);
            }
            state.was_full |= state.is_filled();
            state = self
                .room
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The next claim, if there is room for one now.
    pub(crate) fn try_claim(&self) -> Option<Range<u64>> {
        self.lock().claim(self.limits, self.start)
    }

    /// Fills the slot of a claim. If one of its batches failed, `end` is the one after it.
    pub(crate) fn fill(&self, claim: &Range<u64>, value: T, end: Option<u64>) {
        let mut state = self.lock();
        if let Some(end) = end {
            state.end = state.end.min(end);
        }
        let slot = state.slots.iter().position(|slot| slot.batches == *claim);
        if let Some(index) = slot {
            state.slots[index].value = Some(value);
        }
        drop(state);
        if slot == Some(0) {
            self.filled.notify_one();
        }
    }

    /// The value of the first slot, if it is filled.
    pub(crate) fn pop(&self) -> Option<T> {
        let mut state = self.lock();
        let Limits {
            limit,
            max_limit,
            wake_at_half,
            ..
        } = self.limits;
        let was_half_free = state.is_half_free();
        state.asking = !state.is_filled();
        let slot = if state.asking {
            None
        } else {
            state.slots.pop_front()
        };
        let grows = state.asking && std::mem::take(&mut state.was_full) && limit < max_limit;
        if grows {
            state.limit = (2 * state.limit).min(max_limit);
        }
        let is_half_free = !was_half_free && state.is_half_free();
        drop(state);
        if grows || (wake_at_half && is_half_free) {
            self.room.notify_all();
        } else if !wake_at_half {
            self.room.notify_one();
        }
        slot?.value
    }

    /// Sleeps until the first slot is filled, or the window is stopped.
    pub(crate) fn wait_filled(&self) {
        let mut state = self.lock();
        while !state.is_filled() && !state.stopped {
            state = self
                .filled
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Lowers the limit to this, or to a claim if that is more.
    pub(crate) fn restrict(&self, limit: u64) {
        let mut state = self.lock();
        state.limit = state.limit.min(limit.max(self.limits.run));
    }

    /// How many batches may be claimed and not taken.
    pub(crate) fn limit(&self) -> u64 {
        self.lock().limit
    }

    /// How many batches are claimed ahead of the consumer.
    #[cfg(test)]
    pub(crate) fn ahead(&self) -> u64 {
        let state = self.lock();
        state.claimed().saturating_sub(u64::from(state.asking))
    }

    /// Gives workers no more claims, and wakes those who sleep.
    pub(crate) fn stop(&self) {
        self.lock().stopped = true;
        self.room.notify_all();
        self.filled.notify_all();
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.lock().stopped
    }
}
