//! Where a loader is, shared by the loader and the pass that is the current one.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::on_error::Ledger;

/// What was yielded, and nothing else.
#[derive(Clone, Debug, Default)]
pub(crate) struct At {
    pub(crate) epoch: u64,
    /// The first position of the epoch that no shard has had.
    pub(crate) position: u64,
    pub(crate) skipped: Ledger,
}

/// The cursor of a loader. The pass that began last moves it; those before it do not any more.
#[derive(Debug)]
pub(crate) struct Cursor(Mutex<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    at: At,
    /// The epoch and the position at which the next pass begins.
    next: (u64, u64),
    /// The number of the pass that moves the cursor.
    pass: u64,
}

/// The right of one pass to move the cursor.
pub(crate) type Ticket = u64;

impl Cursor {
    pub(crate) fn new(at: At) -> Self {
        Self(Mutex::new(Inner {
            next: (at.epoch, at.position),
            at,
            pass: 0,
        }))
    }

    /// A cursor at the same place, for another loader.
    pub(crate) fn fork(&self) -> Self {
        Self(Mutex::new(self.lock().clone()))
    }

    /// Begins the next pass.
    pub(crate) fn begin(&self) -> (At, Ticket) {
        let mut inner = self.lock();
        (inner.at.epoch, inner.at.position) = inner.next;
        inner.next = (inner.at.epoch.wrapping_add(1), 0);
        inner.pass += 1;
        (inner.at.clone(), inner.pass)
    }

    /// Where a pass is, if it is still the last one; what changed of the ledger is added by `add`.
    pub(crate) fn report(&self, ticket: Ticket, at: &At, add: impl FnOnce(&mut Ledger)) {
        let mut inner = self.lock();
        if inner.pass == ticket {
            (inner.at.epoch, inner.at.position) = (at.epoch, at.position);
            add(&mut inner.at.skipped);
        }
    }

    /// Moves to a place; a running pass has no say any more.
    pub(crate) fn set(&self, at: At) {
        let mut inner = self.lock();
        inner.next = (at.epoch, at.position);
        inner.at = at;
        inner.pass += 1;
    }

    pub(crate) fn at(&self) -> At {
        self.lock().at.clone()
    }

    /// The epoch of the next pass.
    pub(crate) fn next_epoch(&self) -> u64 {
        self.lock().next.0
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every change of it is whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
