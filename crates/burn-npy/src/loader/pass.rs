//! What the batches of one pass are, whoever makes them and when.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use burn_npy_core::Order;

use super::BatchInfo;
use super::cut::Cut;
use super::draw::Draw;
use super::error::Failure;
use super::meter::{Meter, Spent};
use super::source::{Loaded, Source, guarded};

/// One pass over a source: everything that decides what its batches are.
pub(crate) struct Pass<O> {
    pub(crate) source: Arc<dyn Source<O>>,
    pub(crate) cut: Cut,
    pub(crate) order: Order,
    pub(crate) epoch: u64,
    /// Of the random numbers for rows.
    pub(crate) seed: u64,
    /// How many rows may be skipped in all; none if a failure ends the pass.
    pub(crate) limit: Option<u64>,
    /// How many batches ahead the source wants to know what is coming; none if it does not.
    pub(crate) announced_ahead: Option<u64>,
}

/// A batch as a worker leaves it.
pub(crate) struct Made<O> {
    /// None if no row is left of it.
    pub(crate) loaded: Option<Loaded<O>>,
    /// The rows that are left.
    pub(crate) info: BatchInfo,
    /// The rows that are not, in the order of the batch: all of them, or one more than may be
    /// skipped.
    pub(crate) lost: Vec<(u64, Failure)>,
}

impl<O> Pass<O> {
    /// The rows of a batch.
    pub(crate) fn info(&self, batch: u64) -> BatchInfo {
        let mut draw = Draw::default();
        draw.draw(&self.cut, &self.order, batch..batch + 1);
        self.drawn(&draw, batch)
    }

    /// A batch of those that were drawn.
    fn drawn(&self, draw: &Draw, batch: u64) -> BatchInfo {
        let (rows, padding) = draw.rows(batch);
        BatchInfo::new(self.epoch, batch, self.seed, rows, padding)
    }

    /// The batch before which all should be announced when `window` batches from `end` on are under
    /// way.
    pub(crate) fn soon(&self, end: u64, window: u64) -> u64 {
        let ahead = self.announced_ahead.unwrap_or(0).max(window);
        end.saturating_add(ahead).min(self.cut.batches().end)
    }

    /// Tells the source which batches are coming. Whatever is wrong with them is found when they
    /// are loaded.
    pub(crate) fn announce(&self, batches: Range<u64>) {
        if self.announced_ahead.is_some() {
            let announce = || batches.for_each(|batch| self.source.announce(&self.info(batch)));
            let _ = guarded("loader", announce);
        }
    }

    fn draw(&self, batches: Range<u64>, draw: &mut Draw) -> Result<(), Failure> {
        guarded("loader", || draw.draw(&self.cut, &self.order, batches))
    }

    /// Loads a batch of those that were drawn. What comes of it depends on the batch alone.
    ///
    /// Code of the user has a guard of its own. This one is for a bug of ours, which must not make
    /// the consumer wait for a worker that is gone.
    fn load(
        &self,
        batch: u64,
        draw: &mut Draw,
        stop: &dyn Fn() -> bool,
    ) -> Result<Made<O>, Failure> {
        guarded("loader", || self.make(batch, draw, stop))?
    }

    /// Draws and loads some batches, one after the other or all at once, until one fails or `stop`
    /// says so.
    pub(crate) fn load_run(
        &self,
        batches: Range<u64>,
        draw: &mut Draw,
        stop: impl Fn() -> bool,
        made: &mut Vec<Result<Made<O>, Failure>>,
    ) {
        let drawn = self.draw(batches.clone(), draw);
        if drawn.is_ok() && batches.end - batches.start > 1 {
            let before = made.len();
            let mut batch = batches.start;
            let mut items = std::mem::take(&mut draw.items);
            let mut give = |loaded| {
                made.push(Ok(Made {
                    loaded: Some(loaded),
                    info: self.drawn(draw, batch),
                    lost: Vec::new(),
                }));
                batch += 1;
            };
            let load = || self.source.load_run(draw, &mut items, &mut give);
            let loaded = guarded("loader", load);
            draw.items = items;
            if matches!(loaded, Ok(true)) {
                return;
            }
            made.truncate(before);
        }
        for batch in batches {
            made.push(match drawn {
                Ok(()) => self.load(batch, draw, &stop),
                // Which one of them cannot be drawn?
                Err(_) => self.load_alone(batch, draw),
            });
            if made.last().is_some_and(Result::is_err) || stop() {
                return;
            }
        }
    }

    /// Makes a batch of what was loaded, and counts the time.
    pub(crate) fn finish(
        &self,
        loaded: Loaded<O>,
        info: &BatchInfo,
        meter: &Meter,
    ) -> Result<O, Failure> {
        let Loaded::Host(gathered) = &loaded else {
            return self.source.finish(loaded, info, &mut Spent::default());
        };
        let bytes = gathered.bytes();
        let (start, mut spent) = (Instant::now(), Spent::default());
        let batch = self.source.finish(loaded, info, &mut spent);
        let upload = start.elapsed().saturating_sub(spent.user);
        Meter::add(&meter.upload, upload);
        Meter::add(&meter.map, spent.user);
        Meter::count(&meter.uploaded_bytes, bytes as u64);
        batch
    }

    /// Draws a batch and loads it.
    pub(crate) fn load_alone(&self, batch: u64, draw: &mut Draw) -> Result<Made<O>, Failure> {
        self.draw(batch..batch + 1, draw)?;
        self.load(batch, draw, &|| false)
    }

    fn make(
        &self,
        batch: u64,
        draw: &mut Draw,
        stop: &dyn Fn() -> bool,
    ) -> Result<Made<O>, Failure> {
        let info = self.drawn(draw, batch);
        match (self.source.load(&info, draw), self.limit) {
            (Ok(loaded), _) => Ok(Made {
                loaded: Some(loaded),
                info,
                lost: Vec::new(),
            }),
            (Err(failure), Some(limit)) if failure.cause.may_be_of_a_row() => {
                self.salvage(&info, limit, failure, draw, stop)
            }
            (Err(failure), _) => Err(failure),
        }
    }

    /// Tries the rows one by one, and makes a batch of those that can be had; gives up if nobody
    /// wants it any more.
    fn salvage(
        &self,
        info: &BatchInfo,
        limit: u64,
        failure: Failure,
        draw: &mut Draw,
        stop: &dyn Fn() -> bool,
    ) -> Result<Made<O>, Failure> {
        let mut lost: Vec<(u64, Failure)> = Vec::new();
        let mut known = HashSet::new();
        let mut keep = vec![true; info.rows().len()];
        for (index, &row) in info.rows().iter().enumerate() {
            if stop() {
                return Err(failure);
            }
            let Err(failure) = self.source.load(&info.only(index), draw) else {
                continue;
            };
            if !failure.cause.may_be_of_a_row() {
                return Err(failure);
            }
            keep[index] = false;
            if known.insert(row) {
                lost.push((row, failure));
            }
            if lost.len() as u64 > limit {
                break;
            }
        }
        let rest = info.filtered(|index| keep[index]);
        let loaded = match lost.len() as u64 {
            // Each row is fine alone.
            0 => return Err(failure),
            count if count > limit => None,
            _ if rest.rows().is_empty() => None,
            _ => Some(self.source.load(&rest, draw)?),
        };
        Ok(Made {
            loaded,
            info: rest,
            lost,
        })
    }
}
