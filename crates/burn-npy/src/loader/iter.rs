//! One pass over a loader.

use std::sync::Arc;

use burn::data::dataloader::{DataLoaderIterator, Progress};
use burn::data::dataset::DatasetError;

use super::Settings;
use super::error::{Failure, LoadError};
use super::workers::{Pass, Workers};

/// The batches of one epoch, in order.
///
/// A batch that fails is yielded as one error, and the pass is over. Dropping the iterator stops its
/// threads and waits for them.
pub struct LoaderIter<O> {
    pass: Arc<Pass<O>>,
    workers: Option<Workers<O>>,
    /// Why the workers could not start.
    failure: Option<Failure>,
    /// The next batch.
    next: u64,
    items_yielded: u64,
}

impl<O: Send + 'static> LoaderIter<O> {
    pub(super) fn new(pass: Pass<O>, settings: &Settings) -> Self {
        let pass = Arc::new(pass);
        let mut new = Self {
            workers: None,
            failure: None,
            next: 0,
            items_yielded: 0,
            pass,
        };
        if settings.num_workers > 0 && new.pass.plan.num_batches() > 0 {
            match Workers::start(new.pass.clone(), settings.window, &settings.streams) {
                Ok(workers) => new.workers = Some(workers),
                Err(failure) => new.failure = Some(failure),
            }
        }
        new
    }

    /// The epoch of the pass.
    pub fn epoch(&self) -> u64 {
        self.pass.epoch
    }

    fn load(&mut self) -> Result<O, Failure> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        let loaded = match &self.workers {
            Some(workers) => workers.take()?,
            None => self.pass.load(self.next)?,
        };
        self.pass.source.finish(loaded)
    }
}

impl<O: Send + 'static> Iterator for LoaderIter<O> {
    type Item = Result<O, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        let end = self.pass.plan.num_batches();
        if self.next >= end {
            return None;
        }
        let batch = self.next;
        match self.load() {
            Ok(loaded) => {
                let positions = self.pass.plan.batch(batch);
                self.items_yielded += positions.end - positions.start;
                self.next += 1;
                if self.next == end {
                    self.workers = None;
                }
                Some(Ok(loaded))
            }
            Err(failure) => {
                self.next = end;
                self.workers = None;
                let error = LoadError::new(self.pass.epoch, batch, failure);
                Some(Err(DatasetError::new(error)))
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // An error ends the pass early.
        let left = self.pass.plan.num_batches() - self.next;
        (left.min(1) as usize, usize::try_from(left).ok())
    }
}

impl<O: Send + 'static> DataLoaderIterator<O> for LoaderIter<O> {
    /// What was yielded, whatever was loaded ahead.
    fn progress(&self) -> Progress {
        Progress::new(
            self.items_yielded as usize,
            self.pass.plan.num_rows() as usize,
            Some("items".to_owned()),
        )
    }
}

impl<O> std::fmt::Debug for LoaderIter<O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoaderIter")
            .field("epoch", &self.pass.epoch)
            .field("next", &self.next)
            .field("num_batches", &self.pass.plan.num_batches())
            .field("threads", &self.workers.is_some())
            .finish()
    }
}
