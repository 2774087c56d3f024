//! Where the time of a loader goes, counted while it works.
//!
//! Relaxed counters: each is right by itself, and a report that is taken during a pass may be a
//! batch off.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What making tensors spent, beside the upload.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spent {
    /// In code of the user.
    pub(crate) user: Duration,
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Counters of nanoseconds, unless their names say otherwise.
        #[derive(Debug, Default)]
        pub(crate) struct Meter {
            $($(#[$doc])* pub(crate) $name: AtomicU64,)*
        }

        /// What a [`Meter`] showed at one time.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub(crate) struct Reading {
            $(pub(crate) $name: u64,)*
        }

        impl Meter {
            pub(crate) fn read(&self) -> Reading {
                Reading { $($name: self.$name.load(Ordering::Relaxed),)* }
            }
        }

        impl Reading {
            /// What came after an earlier reading.
            pub(crate) fn since(&self, earlier: &Self) -> Self {
                Self { $($name: self.$name.saturating_sub(earlier.$name),)* }
            }
        }
    };
}

counters! {
    /// From the begin of each pass to its last batch so far.
    wall,
    /// The consumer waited for a batch, or made batches itself: all without workers, some where it
    /// helped them.
    waited,
    /// Of that: it made batches, to help workers.
    helped,
    /// Tensors were made of host memory, by the consumer or ahead of it.
    upload,
    /// Code of the user ran on them, in the same place.
    map,
    /// What of those two was done ahead of the consumer, by a thread of its own.
    ahead,
    /// All workers and the consumer together: made batches.
    busy,
    /// Of that: in datasets and batchers of the user, and functions given to `map` where whole
    /// batches are made.
    user,
    /// Of that: blocked, for files that may have to be read from a disk.
    storage,
    /// All workers together: had nothing to do, since enough was ready.
    idle,
    /// How many batches were yielded.
    batches,
    /// How many rows those had.
    rows,
    /// How many bytes went to the device.
    uploaded_bytes,
}

impl Meter {
    pub(crate) fn add(counter: &AtomicU64, spent: Duration) {
        Self::count(counter, spent.as_nanos() as u64);
    }

    pub(crate) fn count(counter: &AtomicU64, count: u64) {
        counter.fetch_add(count, Ordering::Relaxed);
    }
}

/// Times the making of batches on the current thread.
pub(crate) struct Stopwatch {
    start: Instant,
    cpu: Option<Duration>,
}

impl Stopwatch {
    /// Waits for a disk are found by the time that the thread did not run, which costs a system
    /// call.
    pub(crate) fn start(waits_for_storage: bool) -> Self {
        Self {
            cpu: waits_for_storage.then(thread_time).flatten(),
            start: Instant::now(),
        }
    }

    /// Counts what was spent since the start, and what of that in code of the user.
    pub(crate) fn stop(self, meter: &Meter, user: Duration) {
        let wall = self.start.elapsed();
        Meter::add(&meter.busy, wall);
        if !user.is_zero() {
            Meter::add(&meter.user, user);
        }
        if let (Some(before), Some(after)) = (self.cpu, self.cpu.and_then(|_| thread_time())) {
            let ran = after.saturating_sub(before);
            Meter::add(&meter.storage, wall.saturating_sub(ran));
        }
    }
}

/// How long the current thread has run.
#[cfg(unix)]
fn thread_time() -> Option<Duration> {
    use rustix::time::{ClockId, clock_gettime};
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Some(Duration::new(
        time.tv_sec.try_into().ok()?,
        time.tv_nsec.try_into().ok()?,
    ))
}

#[cfg(not(unix))]
fn thread_time() -> Option<Duration> {
    None
}
