//! Where the time of a training run goes, as seen from its loader.
//!
//! The counters are relaxed: each is right by itself, and a report that is taken during a pass may
//! be a batch off.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::dataset::listed_names;

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Counters of nanoseconds, unless their names say otherwise.
        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            $($(#[$doc])* pub(crate) $name: AtomicU64,)*
        }

        /// The values of [`Counters`] at one time.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub(crate) struct Snapshot {
            $(pub(crate) $name: u64,)*
        }

        impl Counters {
            pub(crate) fn snapshot(&self) -> Snapshot {
                Snapshot { $($name: self.$name.load(Ordering::Relaxed),)* }
            }
        }

        impl Snapshot {
            /// What was added after an earlier snapshot.
            pub(crate) fn since(&self, earlier: &Self) -> Self {
                Self { $($name: self.$name.saturating_sub(earlier.$name),)* }
            }
        }
    };
}

counters! {
    /// From the start of each pass to its last batch so far.
    wall,
    /// The consumer waited for a batch, or loaded batches itself.
    waited,
    /// Tensors were made of host memory, by the consumer or ahead of it.
    upload,
    /// Code of the user ran on those tensors, on the same thread.
    map,
    /// The part of `upload` and `map` that a thread of its own did ahead of the consumer.
    ahead,
    /// All threads together: loaded batches.
    busy,
    /// The part of `busy` in datasets and batchers of the user, and in functions given to `map`
    /// where whole batches are made.
    user,
    /// The part of `busy` in which a thread was blocked, for files that may have to be read from a
    /// disk.
    storage,
    /// All workers together: waited for room in the window.
    idle,
    /// How many batches were yielded.
    batches,
    /// How many rows those had.
    rows,
    /// How many bytes went to the device.
    uploaded_bytes,
    /// How many passes ended with an error.
    failures,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64, spent: Duration) {
        Self::count(counter, spent.as_nanos() as u64);
    }

    pub(crate) fn count(counter: &AtomicU64, count: u64) {
        counter.fetch_add(count, Ordering::Relaxed);
    }
}

impl Counters {
    /// Runs something, and counts its time.
    pub(crate) fn time<T>(counter: &AtomicU64, run: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let done = run();
        Self::add(counter, start.elapsed());
        done
    }

    /// Runs `load`, which loads batches on this thread, and counts its time.
    ///
    /// The time in which the thread did not run is a wait for a disk. To ask for it is a system
    /// call, made only where loading may read files.
    pub(crate) fn time_load<T>(&self, reads_files: bool, load: impl FnOnce() -> T) -> T {
        let ran = || reads_files.then(thread_time).flatten();
        let (before, start) = (ran(), Instant::now());
        let loaded = load();
        let wall = start.elapsed();
        Self::add(&self.busy, wall);
        if let (Some(before), Some(after)) = (before, ran()) {
            Self::add(&self.storage, (wall + before).saturating_sub(after));
        }
        loaded
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

/// Where the time of the passes of a loader went; [`Loader::report`](crate::Loader::report) returns
/// it.
///
/// The time of the consumer, [`wall`](Self::wall), has four parts: it [waited](Self::waited) for
/// batches, it made tensors of them ([`upload`](Self::upload)), it ran functions given to
/// [`map`](Self::map), and the rest is the training ([`consumer`](Self::consumer)). With workers
/// and a GPU, a thread of its own does upload and map [ahead](Self::is_ahead) of the consumer.
/// [`gather`](Self::gather), [`storage`](Self::storage), [`user`](Self::user) and
/// [`idle`](Self::idle) are sums over all threads. `Display` prints a summary.
///
/// # As JSON
///
/// It is a `serde::Serialize`: `serde_json::to_string(&report)`, with that crate in your project,
/// is a line for a log. A field has the name and the value of a method. There may be more fields in
/// later versions.
///
/// | field | value |
/// |---|---|
/// | `wall`, `waited`, `upload`, `map`, `consumer` | seconds, a number with a fraction; of the consumer |
/// | `gather`, `storage`, `user`, `idle` | seconds, over all threads |
/// | `batches`, `rows`, `uploaded_bytes`, `failures` | integers |
/// | `workers`, `prefetch` | integers; what the loader has at the time of the report |
/// | `is_ahead` | a bool |
/// | `scattered` | an array of the names of columns |
/// | `rows_per_second`, `max_speedup` | numbers with a fraction |
/// | `verdict` | a string |
///
/// # Example
///
/// ```
/// use burn::tensor::Tensor;
/// use burn_npy::{DataLoaderBuilder, NpyBatcher, NpyDataset, ndarray::Array2};
///
/// # fn main() -> burn_npy::Result<()> {
/// let dataset = NpyDataset::from_tensor_slices(Array2::<f32>::zeros((1000, 8)))?;
/// let loader = DataLoaderBuilder::new(NpyBatcher::<Tensor<2>>::new())
///     .batch_size(10)
///     .num_workers(1)
///     .try_build(dataset)?;
/// assert_eq!(loader.iter().count(), 100);
///
/// let report = loader.report();
/// assert_eq!((report.batches(), report.rows()), (100, 1000));
/// assert_eq!(report.uploaded_bytes(), 1000 * 8 * 4);
/// println!("{report}");
///
/// let line = serde_json::to_string(&report).unwrap();
/// assert!(line.contains("\"batches\":100,\"rows\":1000,\"uploaded_bytes\":32000"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub(crate) snapshot: Snapshot,
    pub(crate) workers: usize,
    pub(crate) prefetch: usize,
    pub(crate) scattered: Arc<[String]>,
}

impl Report {
    /// The time of all passes, from the start of each to its last batch so far.
    pub fn wall(&self) -> Duration {
        Duration::from_nanos(self.snapshot.wall)
    }

    /// How long the consumer waited for batches, or loaded them itself: all of them without
    /// workers, some with workers, in place of waiting.
    pub fn waited(&self) -> Duration {
        Duration::from_nanos(self.snapshot.waited)
    }

    /// How long tensors were made of gathered rows.
    pub fn upload(&self) -> Duration {
        Duration::from_nanos(self.snapshot.upload)
    }

    /// How long functions given to [`DataLoaderBuilder::map`](crate::DataLoaderBuilder::map) ran on
    /// those tensors.
    pub fn map(&self) -> Duration {
        Duration::from_nanos(self.snapshot.map)
    }

    /// Whether [`upload`](Self::upload) and [`map`](Self::map) were done by a thread of their own,
    /// ahead of the consumer.
    pub fn is_ahead(&self) -> bool {
        self.snapshot.ahead > 0
    }

    /// The rest of the [`wall`](Self::wall): the training.
    pub fn consumer(&self) -> Duration {
        let ahead = Duration::from_nanos(self.snapshot.ahead);
        let made = (self.upload() + self.map()).saturating_sub(ahead);
        self.wall().saturating_sub(self.waited() + made)
    }

    /// How long rows were gathered and converted, on all threads together, without waits for
    /// storage.
    pub fn gather(&self) -> Duration {
        let other = self.snapshot.user + self.snapshot.storage;
        Duration::from_nanos(self.snapshot.busy.saturating_sub(other))
    }

    /// How long all threads together were blocked while they read files of more than 256 MiB, which
    /// may not be in memory; 0 if the system cannot tell.
    pub fn storage(&self) -> Duration {
        Duration::from_nanos(self.snapshot.storage.min(self.snapshot.busy))
    }

    /// How long datasets and batchers that are not of this crate ran, and functions given to `map`
    /// behind those, on all threads together.
    pub fn user(&self) -> Duration {
        Duration::from_nanos(self.snapshot.user)
    }

    /// How long workers slept because enough batches were ready.
    pub fn idle(&self) -> Duration {
        Duration::from_nanos(self.snapshot.idle)
    }

    /// How many batches were yielded.
    pub fn batches(&self) -> u64 {
        self.snapshot.batches
    }

    /// How many rows those had, padding included.
    pub fn rows(&self) -> u64 {
        self.snapshot.rows
    }

    /// How many bytes went to the device; 0 for batchers other than
    /// [`NpyBatcher`](crate::NpyBatcher), which make their own tensors.
    pub fn uploaded_bytes(&self) -> u64 {
        self.snapshot.uploaded_bytes
    }

    /// How many passes ended with an error. Burn's `Learner` then ends the training early, with its
    /// usual summary; the error is in its result.
    pub fn failures(&self) -> u64 {
        self.snapshot.failures
    }

    /// How many workers a pass has. It may be less than
    /// [`num_workers`](crate::DataLoaderBuilder::num_workers) asked for, which says when.
    pub fn workers(&self) -> usize {
        self.workers
    }

    /// How many batches may be loaded ahead of the consumer, as found so far, see
    /// [`prefetch`](crate::DataLoaderBuilder::prefetch).
    pub fn prefetch(&self) -> usize {
        self.prefetch
    }

    /// The columns whose rows lie scattered in their files, as those of a table in Fortran order
    /// do: each row costs a cache line for each of its elements. `np.save(path,
    /// np.ascontiguousarray(array))` writes them in one piece.
    pub fn scattered(&self) -> &[String] {
        &self.scattered
    }

    /// Rows a second.
    pub fn rows_per_second(&self) -> f64 {
        self.snapshot.rows as f64 / self.wall().as_secs_f64().max(1e-9)
    }

    /// How many times faster the training would be if batches cost nothing: 1 if it never waits.
    pub fn max_speedup(&self) -> f64 {
        let consumer = self.consumer().as_secs_f64();
        (self.wall().as_secs_f64() / consumer.max(1e-9)).max(1.0)
    }

    /// What was added after an earlier report of the same loader.
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            snapshot: self.snapshot.since(&earlier.snapshot),
            ..self.clone()
        }
    }

    /// What limits the speed, and what to do about it, in a sentence.
    pub fn verdict(&self) -> String {
        let wall = self.wall().as_secs_f64();
        if self.snapshot.batches == 0 || wall == 0.0 {
            return "no batch was yielded yet".to_owned();
        }
        let share = |part: Duration| part.as_secs_f64() / wall;
        let (waited, upload, map) = (
            share(self.waited()),
            share(self.upload()),
            share(self.map()),
        );
        // What is done ahead of the consumer costs it only the time that it waits.
        let ours = share(self.wall().saturating_sub(self.consumer()));
        let gain = 100.0 * (self.max_speedup() - 1.0);
        if ours < 0.05 {
            return format!(
                "the model is the limit: a faster loader would gain {} %",
                gain.round().max(f64::from(gain > 0.05))
            );
        }
        let would_gain = if gain < 1000.0 {
            format!("batches that cost nothing would gain {gain:.0} %")
        } else {
            "the consumer does next to nothing with its batches".to_owned()
        };
        let is_made_too_slowly = if self.is_ahead() {
            upload + map > 0.8
        } else {
            upload.max(map) >= waited
        };
        if is_made_too_slowly && map >= upload {
            return format!("the function given to map is the limit: {would_gain}");
        }
        if is_made_too_slowly {
            return format!("the upload to the device is the limit: {would_gain}");
        }
        let busy = [
            (self.storage(), "the storage is the limit"),
            (
                self.user(),
                "code of your own, a dataset or a batcher, is the limit",
            ),
            (self.gather(), "the gather is the limit"),
        ];
        let (_, limit) = busy
            .into_iter()
            .max_by_key(|(spent, _)| *spent)
            .unwrap_or_default();
        let advice = match self.workers {
            0 => "; workers would do it meanwhile",
            _ => "",
        };
        format!("{limit}: {would_gain}{advice}")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wall = self.wall().as_secs_f64().max(1e-9);
        let percent = |part: Duration| 100.0 * part.as_secs_f64() / wall;
        writeln!(f, "{}", self.verdict())?;
        writeln!(
            f,
            "{} batches, {:.0} rows/s, {:.1} MB to the device, {} workers, {} batches ahead",
            self.batches(),
            self.rows_per_second(),
            self.uploaded_bytes() as f64 / 1e6,
            self.workers,
            self.prefetch,
        )?;
        writeln!(
            f,
            "consumer {:.1} s: training {:.1} %, waiting {:.1} %, upload {:.1} %, map {:.1} %",
            self.wall().as_secs_f64(),
            percent(self.consumer()),
            percent(self.waited()),
            percent(self.upload()),
            percent(self.map()),
        )?;
        write!(
            f,
            "making batches: gather {:.1} %, storage {:.1} %, your code {:.1} %, idle {:.1} % of \
             that time, over all threads",
            percent(self.gather()),
            percent(self.storage()),
            percent(self.user()),
            percent(self.idle()),
        )?;
        if self.failures() > 0 {
            write!(f, "\npasses that ended with an error: {}", self.failures())?;
        }
        if !self.scattered.is_empty() {
            write!(
                f,
                "\nrows of {} lie scattered (Fortran order): np.save(path, \
                 np.ascontiguousarray(array)) writes them in one piece, which is faster",
                listed_names(&self.scattered)
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(snapshot: Snapshot, workers: usize) -> Report {
        Report {
            snapshot,
            workers,
            prefetch: 4,
            scattered: Arc::default(),
        }
    }

    #[test]
    fn the_verdict_names_what_is_in_the_way() {
        let second = 1_000_000_000;
        let snapshot = Snapshot {
            wall: 10 * second,
            batches: 100,
            rows: 1000,
            ..Snapshot::default()
        };
        let verdict = |snapshot, workers| report(snapshot, workers).verdict();
        let model = Snapshot {
            waited: second / 10,
            ..snapshot
        };
        assert_eq!(
            verdict(model, 2),
            "the model is the limit: a faster loader would gain 1 %"
        );
        let waits = Snapshot {
            waited: 5 * second,
            busy: 9 * second,
            ..snapshot
        };
        assert_eq!(
            verdict(waits, 0),
            "the gather is the limit: batches that cost nothing would gain 100 %; workers would do \
             it meanwhile"
        );
        let disk = Snapshot {
            storage: 8 * second,
            ..waits
        };
        assert!(verdict(disk, 1).starts_with("the storage is the limit"));
        let user = Snapshot {
            user: 9 * second,
            ..waits
        };
        assert!(verdict(user, 1).starts_with("code of your own"));
        let upload = Snapshot {
            upload: 6 * second,
            ..snapshot
        };
        assert!(verdict(upload, 1).starts_with("the upload to the device"));
        let map = Snapshot {
            map: 6 * second,
            ..snapshot
        };
        assert!(verdict(map, 1).starts_with("the function given to map"));
        // Ahead of the consumer, they are in the way only if it waits for them.
        let ahead = Snapshot {
            waited: 7 * second,
            upload: 9 * second,
            ahead: 9 * second,
            busy: 4 * second,
            ..snapshot
        };
        assert!(verdict(ahead, 1).starts_with("the upload to the device"));
        assert_eq!(report(ahead, 1).consumer().as_secs(), 3);
        let hidden = Snapshot {
            waited: second / 10,
            ..ahead
        };
        assert!(verdict(hidden, 1).starts_with("the model is the limit"));
        assert!(verdict(Snapshot::default(), 1).starts_with("no batch"));
    }

    #[test]
    fn reports_are_subtracted() {
        let first = Snapshot {
            wall: 5,
            batches: 1,
            ..Snapshot::default()
        };
        let second = Snapshot {
            wall: 9,
            batches: 3,
            ..Snapshot::default()
        };
        let since = report(second, 1).since(&report(first, 1));
        assert_eq!((since.wall().as_nanos(), since.batches()), (4, 2));
    }
}
