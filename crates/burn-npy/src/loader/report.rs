//! Where the time of a training run goes, as seen from its loader.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::meter::Reading;
use crate::dataset::listed;

/// Where the time went, of all passes of a loader so far or of some: a [`Loader`](crate::Loader)
/// gives it.
///
/// The time of the consumer, [`wall`](Self::wall), is the sum of what it [waited](Self::waited) for
/// batches, what it took to make tensors of them ([`upload`](Self::upload)), code of yours on that
/// way ([`map`](Self::map)), and everything else, which is the training
/// ([`consumer`](Self::consumer)). With workers and a GPU, upload and map are done
/// [ahead](Self::is_ahead) of the consumer, at the same time. So is what workers do:
/// [`gather`](Self::gather), [`storage`](Self::storage), [`user`](Self::user) and
/// [`idle`](Self::idle) are sums over all of them. `Display` says it in words.
///
/// # Example
///
/// ```
/// use burn::data::dataloader::DataLoader;
/// use burn::tensor::Tensor;
/// use burn_npy::{DataLoaderBuilder, NpyBatcher, NpyDataset, ndarray::Array2};
///
/// # fn main() -> burn_npy::Result<()> {
/// let dataset = NpyDataset::from_tensor_slices(Array2::<f32>::zeros((1000, 8)))?;
/// let loader = DataLoaderBuilder::new(NpyBatcher::<Tensor<2>>::all())
///     .batch_size(10)
///     .num_workers(1)
///     .try_build(dataset)?;
/// assert_eq!(loader.iter().count(), 100);
///
/// let report = loader.report();
/// assert_eq!((report.batches(), report.rows()), (100, 1000));
/// assert_eq!(report.uploaded_bytes(), 1000 * 8 * 4);
/// println!("{report}");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Report {
    pub(crate) reading: Reading,
    pub(crate) workers: usize,
    pub(crate) window: usize,
    pub(crate) scattered: Arc<[String]>,
}

impl Report {
    /// The time of all passes, from the begin of each to its last batch so far.
    pub fn wall(&self) -> Duration {
        Duration::from_nanos(self.reading.wall)
    }

    /// How long the consumer waited for batches, or made them itself: all of them without workers,
    /// some where it would have waited long.
    pub fn waited(&self) -> Duration {
        Duration::from_nanos(self.reading.waited)
    }

    /// How long tensors were made out of what workers had gathered.
    pub fn upload(&self) -> Duration {
        Duration::from_nanos(self.reading.upload)
    }

    /// How long functions given to [`DataLoaderBuilder::map`](crate::DataLoaderBuilder::map) ran
    /// there.
    pub fn map(&self) -> Duration {
        Duration::from_nanos(self.reading.map)
    }

    /// Whether [`upload`](Self::upload) and [`map`](Self::map) were done by a thread of their own,
    /// ahead of the consumer.
    pub fn is_ahead(&self) -> bool {
        self.reading.ahead > 0
    }

    /// What is left of the [`wall`](Self::wall): the training.
    pub fn consumer(&self) -> Duration {
        let ahead = Duration::from_nanos(self.reading.ahead);
        let made = (self.upload() + self.map()).saturating_sub(ahead);
        self.wall().saturating_sub(self.waited() + made)
    }

    /// How long rows were gathered and converted, on all threads together, waits for storage not
    /// included.
    pub fn gather(&self) -> Duration {
        let other = self.reading.user + self.reading.storage;
        Duration::from_nanos(self.reading.busy.saturating_sub(other))
    }

    /// How long all threads together were blocked while they read files of more than 256 MiB, which
    /// may not be in memory; 0 where the system does not tell.
    pub fn storage(&self) -> Duration {
        Duration::from_nanos(self.reading.storage.min(self.reading.busy))
    }

    /// How long datasets and batchers that are not of this crate ran, and functions given to `map`
    /// behind those, on all threads together.
    pub fn user(&self) -> Duration {
        Duration::from_nanos(self.reading.user)
    }

    /// How long workers had nothing to do, since enough was ready.
    pub fn idle(&self) -> Duration {
        Duration::from_nanos(self.reading.idle)
    }

    /// How many batches were yielded.
    pub fn batches(&self) -> u64 {
        self.reading.batches
    }

    /// How many rows those had, padding included.
    pub fn rows(&self) -> u64 {
        self.reading.rows
    }

    /// How many bytes went to the device; 0 for batchers that are not of this crate, which make
    /// their own tensors.
    pub fn uploaded_bytes(&self) -> u64 {
        self.reading.uploaded_bytes
    }

    /// How many workers there are now, and how many batches may be loaded ahead: what was asked
    /// for, or found by [`AUTOTUNE`](crate::AUTOTUNE).
    pub fn setting(&self) -> (usize, usize) {
        (self.workers, self.window)
    }

    /// The columns whose rows lie scattered in their files, as those of a table in Fortran order do:
    /// each row costs a cache line for each of its elements. `np.save(path,
    /// np.ascontiguousarray(array))` writes them in one piece.
    pub fn scattered(&self) -> &[String] {
        &self.scattered
    }

    /// Rows a second.
    pub fn rows_per_second(&self) -> f64 {
        self.reading.rows as f64 / self.wall().as_secs_f64().max(1e-9)
    }

    /// By which factor the training would get faster if batches cost nothing at all: 1 if it never
    /// waits. To measure it instead of computing it, train with
    /// [`Loader::headroom`](crate::Loader::headroom).
    pub fn headroom(&self) -> f64 {
        let consumer = self.consumer().as_secs_f64();
        (self.wall().as_secs_f64() / consumer.max(1e-9)).max(1.0)
    }

    /// What happened after an earlier report of the same loader.
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            reading: self.reading.since(&earlier.reading),
            ..self.clone()
        }
    }

    /// What limits the speed, and what to do about it, in a sentence.
    pub fn verdict(&self) -> String {
        let wall = self.wall().as_secs_f64();
        if self.reading.batches == 0 || wall == 0.0 {
            return "no batch was yielded yet".to_owned();
        }
        let share = |part: Duration| part.as_secs_f64() / wall;
        let (waited, upload, map) = (
            share(self.waited()),
            share(self.upload()),
            share(self.map()),
        );
        // Ahead of the consumer, they cost it what it waits for them.
        let ours = share(self.wall().saturating_sub(self.consumer()));
        let gain = 100.0 * (self.headroom() - 1.0);
        if ours < 0.05 {
            return format!(
                "the model is the limit: a faster loader would gain {} %",
                gain.round().max(f64::from(gain > 0.05))
            );
        }
        let would_gain = match gain < 1000.0 {
            true => format!("batches that cost nothing would gain {gain:.0} %"),
            false => "the consumer does next to nothing with its batches".to_owned(),
        };
        let is_made_too_slowly = match self.is_ahead() {
            true => upload + map > 0.8,
            false => upload.max(map) >= waited,
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
            self.window,
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
            "making batches: gather {:.1} %, storage {:.1} %, your code {:.1} %, idle {:.1} % of that \
             time, over all threads",
            percent(self.gather()),
            percent(self.storage()),
            percent(self.user()),
            percent(self.idle()),
        )?;
        if !self.scattered.is_empty() {
            write!(
                f,
                "\nrows of {} lie scattered (Fortran order): np.save(path, \
                 np.ascontiguousarray(array)) writes them in one piece, which is faster",
                listed(&self.scattered)
            )?;
        }
        Ok(())
    }
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Report")
            .field("reading", &self.reading)
            .field("workers", &self.workers)
            .field("window", &self.window)
            .field("scattered", &self.scattered)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(reading: Reading, workers: usize) -> Report {
        Report {
            reading,
            workers,
            window: 4,
            scattered: Arc::default(),
        }
    }

    #[test]
    fn the_verdict_names_what_is_in_the_way() {
        let second = 1_000_000_000;
        let reading = Reading {
            wall: 10 * second,
            batches: 100,
            rows: 1000,
            ..Reading::default()
        };
        let verdict = |reading, workers| report(reading, workers).verdict();
        let model = Reading {
            waited: second / 10,
            ..reading
        };
        assert_eq!(
            verdict(model, 2),
            "the model is the limit: a faster loader would gain 1 %"
        );
        let waits = Reading {
            waited: 5 * second,
            busy: 9 * second,
            ..reading
        };
        assert_eq!(
            verdict(waits, 0),
            "the gather is the limit: batches that cost nothing would gain 100 %; workers would do it meanwhile"
        );
        let disk = Reading {
            storage: 8 * second,
            ..waits
        };
        assert!(verdict(disk, 1).starts_with("the storage is the limit"));
        let user = Reading {
            user: 9 * second,
            ..waits
        };
        assert!(verdict(user, 1).starts_with("code of your own"));
        let upload = Reading {
            upload: 6 * second,
            ..reading
        };
        assert!(verdict(upload, 1).starts_with("the upload to the device"));
        let map = Reading {
            map: 6 * second,
            ..reading
        };
        assert!(verdict(map, 1).starts_with("the function given to map"));
        // Ahead of the consumer, they are in the way only if it waits for them.
        let ahead = Reading {
            waited: 7 * second,
            upload: 9 * second,
            ahead: 9 * second,
            busy: 4 * second,
            ..reading
        };
        assert!(verdict(ahead, 1).starts_with("the upload to the device"));
        assert_eq!(report(ahead, 1).consumer().as_secs(), 3);
        let hidden = Reading {
            waited: second / 10,
            ..ahead
        };
        assert!(verdict(hidden, 1).starts_with("the model is the limit"));
        assert!(verdict(Reading::default(), 1).starts_with("no batch"));
    }

    #[test]
    fn reports_are_subtracted() {
        let first = Reading {
            wall: 5,
            batches: 1,
            ..Reading::default()
        };
        let second = Reading {
            wall: 9,
            batches: 3,
            ..Reading::default()
        };
        let since = report(second, 1).since(&report(first, 1));
        assert_eq!((since.wall().as_nanos(), since.batches()), (4, 2));
    }
}
