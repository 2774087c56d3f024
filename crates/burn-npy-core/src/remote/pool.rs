//! The requests of all files that are read with the same options, and what they fetched.
//!
//! An [`Entry`] is a range of a file that one request fetches. The entries of a file are disjoint.
//! One mutex guards all of them:
//!
//! ```text
//!            a thread takes it        the request ends
//!   Queued ───────────────────► Running ───────────────► Ready or Failed ───► forgotten
//! ```
//!
//! * The queue has the plan in its order: what was announced first is fetched first. A range that a
//!   reader waits for, or is about to read, goes before all that is only planned. What was planned
//!   before something that was read already goes last: the plan may have been given up.
//! * A thread takes requests until the queue is empty, and then ends. Threads are started for what
//!   is queued, up to the limit. If none can be started, the reader that waits fetches.
//! * A reader sleeps on `done` while the entry that it needs is queued or running. The thread that
//!   ends a request for which somebody waits wakes all readers. Each entry in the queue has a
//!   thread that will take it, or a reader that is awake, so nobody sleeps for ever.
//! * A reader holds on to the entry that it waits for and copies from, so it is there until then.
//! * `held` counts the bytes of all entries. What is planned must fit into `memory_bytes`, or it is
//!   dropped, and who announced it is told. For room, entries are forgotten: first those that were
//!   read completely, then those that were planned long before one that was read already, the
//!   oldest first. What a reader needs at once also takes the place of what is planned last.
//! * What failed gives its error to the readers that wait for it, and is then forgotten, so that a
//!   later read tries again. If nobody waits for it yet, the error is kept for as long again as the
//!   request took: a server that is gone is waited for once, and one that is back is asked again.
//! * A reader whose work nobody wants any more, as the flag of its thread says, waits no longer.
//! * What nobody reads any more is forgotten with its file. A request that runs then ends in vain.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use super::ReadAt;
use super::plan::{Piece, Streams};
use super::wanted;
use crate::buffer::with_capacity;
use crate::message::one_line;
use crate::{Error, ErrorKind, Result};

/// How much is fetched at a time, and kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    /// Requests that run at the same time, at least 1.
    pub(super) in_flight: usize,
    /// Bytes of what was fetched and is planned.
    pub(super) memory_bytes: u64,
    /// Bytes between two ranges that are fetched together, since to fetch them takes less time than
    /// a request of its own.
    pub(super) near: u64,
    /// A short read that nobody announced fetches the block of this size in which it lies: a header
    /// or a directory is read in several steps. Not more than what `Http` has of a file when it is
    /// open, so that its header takes no second request.
    pub(super) block: u64,
    /// The longest request, in bytes. Longer ranges are fetched by several.
    pub(super) most: u64,
}

impl Sizes {
    pub(super) const DEFAULT: Self = Self {
        in_flight: 64,
        memory_bytes: 256 << 20,
        near: 16 << 10,
        block: 16 << 10,
        most: 1 << 20,
    };

    /// How far ahead reads are followed that nobody announces.
    pub(super) fn most_ahead(&self) -> u64 {
        let most = self.most.saturating_mul(self.in_flight as u64);
        most.min(self.memory_bytes / 4)
    }
}

/// A cache of chunks of a file, on a disk.
pub(super) trait Chunks: fmt::Debug + Send + Sync {
    fn chunk_bytes(&self) -> u64;
    fn has(&self, chunk: u64) -> bool;
    /// `false` if a chunk is missing.
    fn read(&self, offset: u64, out: &mut [u8]) -> bool;
    /// `false` if there is no room.
    fn write(&self, chunk: u64, bytes: &[u8]) -> bool;
    /// Called after the bytes of a write were given to their readers, for what takes long.
    fn settle(&self);
    fn is_whole(&self) -> bool;
    /// The local file and its path, once it is whole.
    fn whole(&self) -> Option<(fs::File, PathBuf)>;
}

/// A file that is read through a pool.
#[derive(Debug)]
pub(super) struct File {
    /// Its number in the pool.
    id: u64,
    source: Arc<dyn ReadAt>,
    pub(super) len: u64,
    pub(super) chunks: Option<Arc<dyn Chunks>>,
    streams: Mutex<Streams>,
}

impl File {
    /// The number of bytes to whose multiples requests are rounded; without a cache, 1.
    pub(super) fn chunk_bytes(&self) -> u64 {
        let chunks = self.chunks.as_ref();
        chunks.map_or(1, |chunks| chunks.chunk_bytes().max(1))
    }

    /// A range and what belongs to the same blocks of a size.
    pub(super) fn rounded(&self, range: &Range<u64>, to: u64) -> Range<u64> {
        let end = range.end.checked_next_multiple_of(to);
        range.start - range.start % to..end.unwrap_or(self.len).min(self.len)
    }

    /// As [`Sizes::near`]. Chunks that are in the cache are not fetched again because they are few.
    pub(super) fn near(&self, sizes: &Sizes) -> u64 {
        if self.chunks.is_some() { 0 } else { sizes.near }
    }

    /// Fetches a range. A panic is an error.
    fn fetch(self: Arc<Self>, range: Range<u64>) -> Result<Fetched> {
        let fetch = || {
            let mut bytes = with_capacity((range.end - range.start) as usize)?;
            bytes.resize((range.end - range.start) as usize, 0);
            self.source.read_at(range.start, &mut bytes)?;
            let is_kept = self.keep(range.start, &bytes);
            // It may be the last who has the file, whose code belongs to the user.
            drop(self);
            Ok(Fetched { bytes, is_kept })
        };
        let fetched = catch_unwind(AssertUnwindSafe(fetch));
        fetched.unwrap_or_else(|payload| Err(panicked(payload)))
    }

    /// Writes chunks to the cache. Returns whether all of them are there.
    fn keep(&self, start: u64, bytes: &[u8]) -> bool {
        let (Some(chunks), size) = (&self.chunks, self.chunk_bytes()) else {
            return false;
        };
        let parts = (start / size..).zip(bytes.chunks(size as usize));
        parts.fold(true, |all, (chunk, bytes)| {
            (chunks.has(chunk) || chunks.write(chunk, bytes)) && all
        })
    }
}

struct Fetched {
    bytes: Vec<u8>,
    /// Whether a cache has them too.
    is_kept: bool,
}

fn panicked(payload: Box<dyn Any + Send>) -> Error {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let message = format!("its reader panicked: {}", text.unwrap_or("no message"));
    // What it panicked with may panic when it is dropped.
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(payload);
    }
    Error::new(ErrorKind::Panic, one_line(&message, 1024))
}

/// Why a range is fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// It will be read soon.
    Planned,
    /// It will be read at once.
    Needed,
    /// It is read, and nobody has said so before.
    Read,
    /// It follows on what is read.
    Follows,
}

/// The file and the first byte of an entry.
type Place = (u64, u64);

struct Entry {
    file: Arc<File>,
    end: u64,
    stage: Stage,
    /// Its place in the plan, which no other entry has.
    number: u64,
    why: Why,
    /// Whether it goes before what is only planned.
    is_urgent: bool,
    /// How many bytes will be read, and were not.
    unread: u64,
    /// How many readers wait for it or copy from it.
    readers: usize,
}

enum Stage {
    Queued,
    Running,
    Ready(Arc<Vec<u8>>),
    /// Until when the error is a new one.
    Failed(Error, Instant),
}

#[derive(Default)]
struct State {
    entries: BTreeMap<Place, Entry>,
    /// The entries that are queued, by whether they are not urgent, and their number.
    queue: BTreeMap<(bool, u64), Place>,
    /// The entries that may be forgotten, by whether something of them is unread, and their number.
    spare: BTreeMap<(bool, u64), Place>,
    /// The bytes of all entries.
    held: u64,
    /// The number of the entry furthest in the plan that was read. What is needed at once is in no
    /// plan, and has a number after all of it.
    passed: u64,
    numbers: u64,
    files: u64,
    /// The threads that were started and have not ended, and how many of them run a request.
    threads: usize,
    busy: usize,
}

impl State {
    /// The entry that has a byte.
    fn covering(&self, file: &File, at: u64) -> Option<Place> {
        let mut before = self.entries.range((file.id, 0)..=(file.id, at));
        let (place, entry) = before.next_back()?;
        (entry.end > at).then_some(*place)
    }

    /// The entries that have bytes of a range.
    fn overlapping(&self, file: &File, range: &Range<u64>) -> Vec<Place> {
        let first = self.covering(file, range.start);
        let from = first.unwrap_or((file.id, range.start));
        let until = (file.id, range.end.max(from.1));
        self.entries
            .range(from..until)
            .map(|(place, _)| *place)
            .collect()
    }

    /// The parts of a range that no entry has.
    fn gaps(&self, file: &File, range: &Range<u64>) -> Vec<Range<u64>> {
        let mut gaps = Vec::new();
        let mut at = range.start;
        for place in self.overlapping(file, range) {
            if at < place.1 {
                gaps.push(at..place.1);
            }
            at = at.max(self.entries[&place].end);
        }
        if at < range.end {
            gaps.push(at..range.end);
        }
        gaps
    }

    /// Queues a range that no entry has.
    fn add(&mut self, file: &Arc<File>, range: Range<u64>, needed: u64, why: Why) {
        self.numbers += 1;
        let (number, place) = (self.numbers, (file.id, range.start));
        let is_urgent = matches!(why, Why::Needed | Why::Read);
        let len = range.end - range.start;
        self.held += len;
        self.queue.insert((!is_urgent, number), place);
        let entry = Entry {
            file: file.clone(),
            end: range.end,
            stage: Stage::Queued,
            number,
            why,
            is_urgent,
            unread: needed.min(len),
            readers: 0,
        };
        self.entries.insert(place, entry);
    }

    /// Adds a range that no entry has to the one before it, if that is near and only planned. So
    /// batches that follow one another share requests, if they have to wait anyway.
    fn extend(&mut self, file: &File, range: &Range<u64>, needed: u64, sizes: &Sizes) -> bool {
        let mut before = (self.entries).range_mut((file.id, 0)..(file.id, range.start));
        let Some((place, entry)) = before.next_back() else {
            return false;
        };
        let is_planned = matches!(entry.stage, Stage::Queued) && !entry.is_urgent;
        let is_near = range.start - entry.end <= file.near(sizes);
        if !is_planned || !is_near || range.end - place.1 > sizes.most {
            return false;
        }
        self.held += range.end - entry.end;
        entry.end = range.end;
        entry.unread += needed.min(range.end - range.start);
        true
    }

    /// Forgets what failed before anybody waited for it, if that is long ago.
    fn forget_old_errors(&mut self, file: &File, range: &Range<u64>) {
        for place in self.overlapping(file, range) {
            let entry = &self.entries[&place];
            let is_old = |until: Instant| entry.readers == 0 && until <= Instant::now();
            if matches!(entry.stage, Stage::Failed(_, until) if is_old(until)) {
                self.forget(place);
            }
        }
    }

    /// Lets what is queued of a range go before what is only planned.
    fn hurry(&mut self, file: &File, range: &Range<u64>) {
        for place in self.overlapping(file, range) {
            let Some(entry) = self.entries.get_mut(&place) else {
                continue;
            };
            if matches!(entry.stage, Stage::Queued) && !entry.is_urgent {
                entry.is_urgent = true;
                self.queue.remove(&(true, entry.number));
                self.queue.insert((false, entry.number), place);
            }
        }
    }

    /// Forgets entries until `len` more bytes fit into `most`. Returns whether they do.
    fn make_room(&mut self, len: u64, most: u64, is_urgent: bool) -> bool {
        while self.held.saturating_add(len) > most {
            let first = self.spare.first_key_value();
            // A plan is not read quite in its order: several readers follow it, and several plans
            // may take turns. What is further behind than there are entries was given up.
            let given_up = self.passed.saturating_sub(self.entries.len() as u64);
            let first = first.filter(|((unread, number), _)| !unread || *number < given_up);
            // What is queued costs nothing yet.
            let queued = self
                .queue
                .last_key_value()
                .filter(|((planned, _), _)| *planned);
            let last = queued.or_else(|| self.spare.last_key_value());
            let place = first.or_else(|| last.filter(|_| is_urgent));
            let Some((_, &place)) = place else {
                return false;
            };
            self.forget(place);
        }
        true
    }

    fn forget(&mut self, place: Place) {
        let Some(entry) = self.entries.remove(&place) else {
            return;
        };
        self.held -= entry.end - place.1;
        self.queue.remove(&(!entry.is_urgent, entry.number));
        self.spare.remove(&(entry.unread > 0, entry.number));
    }

    fn forget_file(&mut self, file: &File) {
        let places = self.entries.range((file.id, 0)..=(file.id, u64::MAX));
        for place in places.map(|(place, _)| *place).collect::<Vec<_>>() {
            self.forget(place);
        }
    }

    /// How many threads to start for what is queued. They count from now on.
    fn start(&mut self, in_flight: usize) -> usize {
        let without = self.queue.len().saturating_sub(self.threads - self.busy);
        let count = without.min(in_flight.saturating_sub(self.threads));
        self.threads += count;
        count
    }

    /// Takes the first request of the queue.
    fn take(&mut self) -> Option<(Place, Arc<File>, u64)> {
        let first = *self.queue.first_key_value()?.0;
        let ahead = self.queue.range((true, self.passed)..).next();
        let key = ahead.map_or(first, |(ahead, _)| if first.0 { *ahead } else { first });
        let place = self.queue.remove(&key)?;
        let entry = self.entries.get_mut(&place)?;
        entry.stage = Stage::Running;
        Some((place, entry.file.clone(), entry.end))
    }

    /// Keeps what a request brought. Returns whether somebody waits for it.
    fn finish(&mut self, place: Place, fetched: Result<Fetched>, began: Instant) -> bool {
        // The number of a file is never used again, so it is the same entry.
        let Some(entry) = self.entries.get_mut(&place) else {
            return false;
        };
        entry.stage = match fetched {
            Ok(Fetched { bytes, is_kept }) => {
                if is_kept {
                    entry.unread = 0;
                }
                Stage::Ready(Arc::new(bytes))
            }
            Err(error) => Stage::Failed(error, Instant::now() + began.elapsed()),
        };
        if entry.readers > 0 {
            return true;
        }
        self.spare.insert((entry.unread > 0, entry.number), place);
        false
    }

    /// Begins to hold on to an entry.
    fn hold(&mut self, place: Place) {
        if let Some(entry) = self.entries.get_mut(&place) {
            entry.readers += 1;
            if matches!(entry.why, Why::Planned | Why::Follows) {
                self.passed = self.passed.max(entry.number);
            }
            self.spare.remove(&(entry.unread > 0, entry.number));
        }
    }

    /// Ends it, after some bytes were read.
    fn let_go(&mut self, place: Place, read: u64) {
        let Some(entry) = self.entries.get_mut(&place) else {
            return;
        };
        entry.readers -= 1;
        entry.unread = entry.unread.saturating_sub(read);
        if entry.readers > 0 {
            return;
        }
        match entry.stage {
            // A reader that nobody wants any more lets go of a request that has not ended.
            Stage::Queued | Stage::Running => {}
            Stage::Ready(_) => {
                self.spare.insert((entry.unread > 0, entry.number), place);
            }
            Stage::Failed(..) => self.forget(place),
        }
    }
}

/// What fetches, for all files that are read with the same options.
pub(super) struct Pool {
    pub(super) sizes: Sizes,
    state: Mutex<State>,
    done: Condvar,
}

/// It shows its sizes, and not what is in memory.
impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("sizes", &self.sizes)
            .finish_non_exhaustive()
    }
}

/// The pool of options that set no limits.
static DEFAULT: LazyLock<Arc<Pool>> = LazyLock::new(|| Pool::new(Sizes::DEFAULT));

impl Pool {
    pub(super) fn new(sizes: Sizes) -> Arc<Self> {
        Arc::new(Self {
            sizes,
            state: Mutex::default(),
            done: Condvar::new(),
        })
    }

    pub(super) fn shared() -> Arc<Self> {
        DEFAULT.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A file that is read through this pool.
    pub(super) fn open(
        &self,
        source: Arc<dyn ReadAt>,
        chunks: Option<Arc<dyn Chunks>>,
    ) -> Arc<File> {
        let len = source.len();
        let mut state = self.lock();
        state.files += 1;
        Arc::new(File {
            id: state.files,
            source,
            len,
            chunks,
            streams: Mutex::default(),
        })
    }

    /// Forgets a file that nobody reads any more.
    pub(super) fn close(&self, file: &File) {
        self.lock().forget_file(file);
    }

    /// Begins to fetch pieces, as far as there is room. Returns whether there was.
    pub(super) fn announce(self: &Arc<Self>, file: &Arc<File>, pieces: &[Piece], why: Why) -> bool {
        let (mut state, mut all) = (self.lock(), true);
        for piece in pieces {
            if why == Why::Needed {
                state.hurry(file, &piece.range);
            }
            for gap in state.gaps(file, &piece.range) {
                let len = gap.end - gap.start;
                all &= state.make_room(len, self.sizes.memory_bytes, why == Why::Needed);
                if !all {
                    break;
                }
                if why != Why::Planned || !state.extend(file, &gap, piece.needed, &self.sizes) {
                    state.add(file, gap, piece.needed, why);
                }
            }
        }
        self.start(state);
        all
    }

    /// Starts threads for what is queued, without the lock.
    fn start(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        let count = state.start(self.sizes.in_flight);
        drop(state);
        for started in 0..count {
            let pool = self.clone();
            let thread = thread::Builder::new().name("burn-npy-fetch".to_owned());
            if thread.spawn(move || pool.work()).is_err() {
                // Fewer threads do the same work, and without any the readers do it.
                self.lock().threads -= count - started;
                self.done.notify_all();
                return;
            }
        }
    }

    /// What a thread does.
    fn work(&self) {
        let mut state = self.lock();
        while !state.queue.is_empty() {
            state = self.run(state);
        }
        state.threads -= 1;
    }

    /// Runs the first request of the queue.
    fn run<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        let Some((place, file, end)) = state.take() else {
            return state;
        };
        state.busy += 1;
        drop(state);
        let chunks = file.chunks.clone();
        let began = Instant::now();
        let fetched = file.fetch(place.1..end);
        let mut state = self.lock();
        if state.finish(place, fetched, began) {
            self.done.notify_all();
        }
        if let Some(chunks) = chunks {
            drop(state);
            chunks.settle();
            // It may be the last who has them.
            drop(chunks);
            state = self.lock();
        }
        state.busy -= 1;
        state
    }

    /// Fills `out` with bytes of a file that exist.
    pub(super) fn read(self: &Arc<Self>, file: &Arc<File>, at: u64, out: &mut [u8]) -> Result<()> {
        let end = at + out.len() as u64;
        let mut follows = self.what_follows(file, at..end);
        let (mut at, mut out) = (at, out);
        while at < end {
            let mut state = self.lock();
            // Not more than may be held, but at least one request.
            let far = self.sizes.memory_bytes.max(self.sizes.most);
            let far = at.saturating_add(far).min(end);
            self.need(&mut state, file, at..far);
            let Some(place) = state.covering(file, at) else {
                continue;
            };
            state.hold(place);
            self.start(state);
            if let Some(follows) = follows.take() {
                let follows = super::plan::pieces(&[follows], 0, self.most(file));
                self.announce(file, &follows, Why::Follows);
            }
            let bytes = match self.wait(place) {
                Ok(bytes) => bytes,
                Err(error) => {
                    self.lock().let_go(place, 0);
                    return Err(error);
                }
            };
            let bytes = &bytes[(at - place.1) as usize..];
            let (head, rest) = out.split_at_mut(bytes.len().min(out.len()));
            head.copy_from_slice(&bytes[..head.len()]);
            let read = head.len() as u64;
            at += read;
            out = rest;
            let mut state = self.lock();
            state.let_go(place, read);
            state.make_room(0, self.sizes.memory_bytes, true);
        }
        Ok(())
    }

    /// The longest request to a file.
    pub(super) fn most(&self, file: &File) -> u64 {
        self.sizes.most.next_multiple_of(file.chunk_bytes())
    }

    /// What should be fetched with a read, because it follows another that nobody announced.
    fn what_follows(&self, file: &File, read: Range<u64>) -> Option<Range<u64>> {
        let state = self.lock();
        let entry = state.covering(file, read.start);
        let is_planned = |place| matches!(state.entries[&place].why, Why::Planned | Why::Needed);
        if entry.is_some_and(is_planned) {
            return None;
        }
        let mut streams = file.streams.lock().unwrap_or_else(PoisonError::into_inner);
        let follows = streams.advance(&read, self.sizes.most_ahead(), self.sizes.in_flight)?;
        let follows = file.rounded(&follows, file.chunk_bytes());
        (!follows.is_empty()).then_some(follows)
    }

    /// Has all of a range fetched before what is only planned.
    fn need(&self, state: &mut State, file: &Arc<File>, range: Range<u64>) {
        state.forget_old_errors(file, &range);
        state.hurry(file, &range);
        for gap in state.gaps(file, &range) {
            let is_short = gap.end - gap.start < self.sizes.block;
            let to = match file.chunk_bytes() {
                1 if is_short => self.sizes.block,
                chunk => chunk,
            };
            // What an entry has is not fetched again.
            let around = file.rounded(&gap, to);
            let whole = state.gaps(file, &around);
            let whole = whole
                .iter()
                .filter(|of| of.end > gap.start && of.start < gap.end);
            let whole: Vec<_> = whole.cloned().collect();
            for piece in super::plan::pieces(&whole, 0, self.most(file)) {
                let len = piece.range.end - piece.range.start;
                state.make_room(len, self.sizes.memory_bytes, true);
                state.add(file, piece.range, piece.needed, Why::Read);
            }
        }
    }

    /// Waits for an entry on which the caller holds.
    fn wait(&self, place: Place) -> Result<Arc<Vec<u8>>> {
        let mut state = self.lock();
        loop {
            match &state.entries[&place].stage {
                Stage::Ready(bytes) => return Ok(bytes.clone()),
                Stage::Failed(error, _) => return Err(error.clone()),
                Stage::Queued if state.threads == 0 => {
                    // No thread could be started.
                    state.threads += 1;
                    state = self.run(state);
                    state.threads -= 1;
                    self.done.notify_all();
                }
                Stage::Queued | Stage::Running => {
                    if wanted::is_in_vain() {
                        return Err(Error::new(
                            ErrorKind::Io,
                            "nobody wants these bytes any more",
                        ));
                    }
                    let done = self.done.wait_timeout(state, wanted::PATIENCE);
                    state = done.unwrap_or_else(PoisonError::into_inner).0;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
