//! How far a loader and its passes have come.
//!
//! The cursor of a loader follows its latest pass. If the loader has parts for several devices, it
//! follows these: it is where all of them are.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::SkippedRow;
use crate::loader::error::SkippedRows;

/// What was yielded, and nothing else.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cursor {
    pub(crate) epoch: u64,
    /// The first position of the epoch that some shard still has to do.
    pub(crate) position: u64,
    pub(crate) skipped: SkippedRows,
}

impl Cursor {
    /// Makes the end of an epoch the start of the next.
    pub(crate) fn normalise(&mut self, positions: u64) {
        if self.position >= positions {
            (self.epoch, self.position) = (self.epoch.wrapping_add(1), 0);
        }
    }

    fn place(&self) -> Place {
        (self.epoch, self.position)
    }
}

/// An epoch and a position of it.
type Place = (u64, u64);

/// The right of one pass, or of one part, to move the cursor.
pub(crate) type Ticket = u64;

/// The cursor of a loader and of its latest pass. Only the pass that started last moves it, or the
/// parts for devices that were made after that.
#[derive(Debug)]
pub(crate) struct SharedCursor {
    state: Mutex<CursorState>,
    /// If this is the cursor of a part: that of the whole loader, the number of the part, and its
    /// right.
    whole: Option<(Arc<SharedCursor>, usize, Ticket)>,
}

#[derive(Clone, Debug)]
struct CursorState {
    cursor: Cursor,
    /// Where the next pass starts.
    next: Place,
    /// The number of the pass that moves the cursor, or of the part that was made last.
    pass: Ticket,
    /// The parts for devices that move the cursor, and where they are.
    parts: Vec<(Ticket, Place)>,
}

impl SharedCursor {
    pub(crate) fn new(cursor: Cursor) -> Self {
        Self {
            state: Mutex::new(CursorState {
                next: cursor.place(),
                cursor,
                pass: 0,
                parts: Vec::new(),
            }),
            whole: None,
        }
    }

    /// A cursor at the same place, for a copy on another device. That of a part stays one.
    pub(crate) fn fork(&self) -> Self {
        let whole = self.whole.clone();
        Self {
            whole,
            ..self.slice()
        }
    }

    /// A cursor at the same place, for a loader of its own.
    pub(crate) fn slice(&self) -> Self {
        let mut state = self.lock().clone();
        state.parts.clear();
        Self {
            state: Mutex::new(state),
            whole: None,
        }
    }

    /// The cursor of one of so many parts, at the same place. A part that was made before in its
    /// stead does not move the cursor any more, nor does a pass.
    pub(crate) fn part(self: &Arc<Self>, part: usize, parts: usize) -> Self {
        let mut state = self.lock();
        state.pass += 1;
        let (ticket, next) = (state.pass, state.next);
        state.parts.resize(parts, (ticket, next));
        state.parts[part] = (ticket, next);
        drop(state);
        Self {
            whole: Some((self.clone(), part, ticket)),
            ..self.slice()
        }
    }

    /// Starts the next pass.
    pub(crate) fn start(&self) -> (Cursor, Ticket) {
        let mut state = self.lock();
        (state.cursor.epoch, state.cursor.position) = state.next;
        state.next = (state.cursor.epoch.wrapping_add(1), 0);
        state.pass += 1;
        state.parts.clear();
        (state.cursor.clone(), state.pass)
    }

    /// Moves to where a pass is, if that pass is still the latest, and adds the rows that it
    /// skipped.
    pub(crate) fn advance(&self, ticket: Ticket, to: &Cursor, skipped: Vec<SkippedRow>) {
        let mut state = self.lock();
        if state.pass != ticket {
            return;
        }
        (state.cursor.epoch, state.cursor.position) = to.place();
        state.cursor.skipped.add(skipped.iter().cloned());
        drop(state);
        if let Some((whole, part, ticket)) = &self.whole {
            whole.advance_part(*part, *ticket, to.place(), skipped);
        }
    }

    /// Moves to where the part is that is furthest behind.
    fn advance_part(&self, part: usize, ticket: Ticket, to: Place, skipped: Vec<SkippedRow>) {
        let mut state = self.lock();
        let place = state.parts.get_mut(part);
        if let Some((_, place)) = place.filter(|(of, _)| *of == ticket) {
            *place = to;
            let behind = state.parts.iter().map(|(_, place)| *place).min();
            let behind = behind.unwrap_or(to);
            (state.cursor.epoch, state.cursor.position) = behind;
            state.cursor.skipped.add(skipped);
        }
    }

    /// Moves to a place. A pass that is running does not move the cursor any more.
    pub(crate) fn set(&self, cursor: Cursor) {
        let mut state = self.lock();
        state.next = cursor.place();
        state.cursor = cursor;
        state.pass += 1;
        state.parts.clear();
    }

    pub(crate) fn get(&self) -> Cursor {
        self.lock().cursor.clone()
    }

    /// The epoch of the next pass.
    pub(crate) fn next_epoch(&self) -> u64 {
        self.lock().next.0
    }

    fn lock(&self) -> MutexGuard<'_, CursorState> {
        // A panic leaves no change half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
