//! One pass over a loader.

use std::sync::Arc;
use std::time::Instant;

use burn::data::dataloader::{DataLoaderIterator, Progress};
use burn::data::dataset::DatasetError;

use super::alone::Alone;
use super::cursor::{At, Cursor, Ticket};
use super::error::{Failure, LoadError};
use super::meter::Meter;
use super::on_error::{SharedLedger, SkippedRow};
use super::pass::{Made, Pass};
use super::state::{Identity, State};
use super::uploader::Uploader;
use super::workers::Workers;
use super::{BatchInfo, Settings};

/// The batches of one epoch, or of the rest of one, in order.
///
/// A batch that fails is yielded as one error, and the pass is over. Dropping the iterator stops
/// its threads and waits for them.
pub struct LoaderIter<O> {
    pass: Arc<Pass<O>>,
    threads: Option<Threads<O>>,
    /// Makes the batches, if there are no threads.
    alone: Alone<O>,
    meter: Arc<Meter>,
    /// What all passes over the loader have skipped.
    skipped: Arc<SharedLedger>,
    /// Until when the time is counted.
    counted: Instant,
    /// Why the workers could not start.
    failure: Option<Failure>,
    /// The next batch.
    next: u64,
    end: u64,
    /// That of the last batch.
    info: Option<BatchInfo>,
    at: At,
    /// The cursor of the loader, if the pass moves it.
    cursor: Option<(Arc<Cursor>, Ticket)>,
    identity: Arc<Identity>,
    /// How many positions an epoch has.
    positions: u64,
}

/// Who makes the batches, other than the consumer.
enum Threads<O> {
    Workers(Box<Workers<O>>),
    /// Has workers of its own.
    Uploader(Uploader<O>),
}

impl<O: Send + 'static> Threads<O> {
    fn start(pass: &Arc<Pass<O>>, settings: &Settings) -> Result<Self, Failure> {
        let uploads = pass.source.uploads();
        let workers = Workers::start(pass.clone(), settings, !uploads)?;
        Ok(match uploads {
            true => Self::Uploader(Uploader::start(workers, pass.clone(), settings)?),
            false => Self::Workers(Box::new(workers)),
        })
    }
}

impl<O: Send + 'static> LoaderIter<O> {
    pub(super) fn new(
        pass: Pass<O>,
        settings: &Settings,
        at: At,
        cursor: Option<(Arc<Cursor>, Ticket)>,
        identity: Arc<Identity>,
    ) -> Self {
        let batches = pass.cut.batches();
        let pass = Arc::new(pass);
        let mut new = Self {
            threads: None,
            alone: Alone::new(&pass, settings),
            meter: settings.meter.clone(),
            skipped: settings.skipped.clone(),
            counted: Instant::now(),
            failure: None,
            next: batches.start,
            end: batches.end,
            info: None,
            at,
            cursor,
            identity,
            positions: pass.order.len(),
            pass,
        };
        if !settings.streams.is_empty() && !batches.is_empty() {
            match Threads::start(&new.pass, settings) {
                Ok(threads) => new.threads = Some(threads),
                Err(failure) => new.failure = Some(failure),
            }
        }
        // An epoch without batches is done before it begins.
        if batches.start == batches.end {
            new.advance(Vec::new());
        }
        new
    }

    /// The epoch of the pass.
    pub fn epoch(&self) -> u64 {
        self.pass.epoch
    }

    /// Which rows the last batch has, and which of them are padding; none before the first batch.
    pub fn info(&self) -> Option<&BatchInfo> {
        self.info.as_ref()
    }

    /// How far the pass has come: what was yielded counts, what was loaded ahead does not.
    pub fn state(&self) -> State {
        self.identity.state(self.at.clone())
    }

    /// The next batch; none if all of its rows were skipped.
    fn load(&mut self) -> Result<Option<O>, Failure> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        let Made { loaded, info, lost } = match &mut self.threads {
            Some(Threads::Workers(workers)) => workers.take()?,
            Some(Threads::Uploader(uploader)) => uploader.take()?,
            None => self.alone.take(&self.pass, self.next, &self.meter)?,
        };
        let (epoch, limit) = (self.pass.epoch, self.pass.limit.unwrap_or(0));
        let skipped = self.at.skipped.admit(lost, limit, epoch, self.next)?;
        let batch = loaded
            .map(|loaded| self.pass.finish(loaded, &info, &self.meter))
            .transpose()?;
        self.next += 1;
        self.advance(skipped);
        if batch.is_some() {
            self.info = Some(info);
        }
        Ok(batch)
    }

    /// Counts the time up to now.
    fn count_time(&mut self) {
        let now = Instant::now();
        Meter::add(&self.meter.wall, now.duration_since(self.counted));
        self.counted = now;
    }

    fn count_batch(&self) {
        Meter::count(&self.meter.batches, 1);
        let rows = self.info.as_ref().map_or(0, |info| info.rows().len());
        Meter::count(&self.meter.rows, rows as u64);
    }

    /// Moves the cursor behind the batches that are done.
    fn advance(&mut self, skipped: Vec<SkippedRow>) {
        self.at.epoch = self.pass.epoch;
        self.at.position = self.pass.cut.done(self.next);
        self.skipped.add(&skipped);
        self.at.skipped.add(skipped.iter().cloned());
        self.at.normalise(self.positions);
        if let Some((cursor, ticket)) = &self.cursor {
            cursor.report(*ticket, &self.at, |ledger| ledger.add(skipped));
        }
    }
}

impl<O: Send + 'static> Iterator for LoaderIter<O> {
    type Item = Result<O, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.next < self.end {
            let batch = self.next;
            let loaded = self.load();
            self.count_time();
            if loaded.is_err() {
                self.end = self.next;
            }
            if self.next == self.end {
                self.threads = None;
            }
            match loaded {
                Ok(Some(loaded)) => {
                    self.count_batch();
                    return Some(Ok(loaded));
                }
                Ok(None) => {}
                Err(failure) => {
                    let error = LoadError::new(self.pass.epoch, batch, failure);
                    return Some(Err(DatasetError::new(error)));
                }
            }
        }
        None
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.end - self.next;
        // An error ends the pass early, and a batch may lose all of its rows.
        let least = match self.pass.limit {
            Some(_) => 0,
            None => left.min(1),
        };
        (least as usize, usize::try_from(left).ok())
    }
}

impl<O: Send + 'static> DataLoaderIterator<O> for LoaderIter<O> {
    /// What the pass has yielded, whatever was loaded ahead, of what it has; rows that were skipped
    /// count as yielded, padding does not.
    fn progress(&self) -> Progress {
        Progress::new(
            self.pass.cut.rows_before(self.next) as usize,
            self.pass.cut.num_rows() as usize,
            Some("items".to_owned()),
        )
    }
}

impl<O> std::fmt::Debug for LoaderIter<O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoaderIter")
            .field("epoch", &self.pass.epoch)
            .field("next", &self.next)
            .field("end", &self.end)
            .field("threads", &self.threads.is_some())
            .finish()
    }
}
