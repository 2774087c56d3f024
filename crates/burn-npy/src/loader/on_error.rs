//! What a loader does about rows that cannot be had, and the list of those it did without.

use std::sync::{Mutex, MutexGuard, PoisonError};

use burn_npy_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use super::error::Failure;

/// What a loader does about a row that cannot be had: the dataset or the file gives an error for
/// it, or the dataset or the batcher panics over it.
///
/// A batch that fails is tried again row by row, and made of the rows that remain; one of which
/// nothing remains is left out. So the dataset is asked for these rows more than once: one that
/// gives another item each time, as a random sampler does, gives others. Rows are tried and counted
/// in the order of the plan, so the result is the same for any number of workers. A file that
/// changed, a column that does not fit the batch type, and a batch that fails although each of its
/// rows is fine always end the pass; but of a panic nobody knows what it was about, so it counts as
/// one over a row.
///
/// [`Loader::skipped`](crate::Loader::skipped) lists the rows, also those that Burn's `Learner` did
/// without.
///
/// Shards count for themselves. Where ranks must have the same number of batches, keep in mind that
/// a batch may be left out.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum OnError {
    /// The pass ends with an error.
    #[default]
    Fail,
    /// The row is left out, until there are more than so many different ones.
    SkipRows(u64),
    /// The row is left out, until there are more than this share of the rows of the dataset.
    SkipRate(f64),
}

impl OnError {
    /// How many rows of a dataset may be skipped; none if none is ever tried.
    pub(crate) fn limit(self, rows: u64) -> Result<Option<u64>> {
        match self {
            Self::Fail => Ok(None),
            Self::SkipRows(rows) => Ok(Some(rows)),
            Self::SkipRate(rate) if (0.0..=1.0).contains(&rate) => {
                let least = (rate * rows as f64) as u64;
                // Of 100 rows, 0.29 would be 28 of them, since it is a bit less.
                let one_more = least < rows && (least + 1) as f64 / rows as f64 <= rate;
                Ok(Some(least + u64::from(one_more)))
            }
            Self::SkipRate(rate) => Err(Error::new(
                ErrorKind::Usage,
                format!("cannot skip rows at a rate of {rate}; expected a share from 0 to 1"),
            )),
        }
    }
}

/// A row that a loader did without.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkippedRow {
    /// The row of the dataset.
    pub row: u64,
    /// The epoch in which it was first skipped.
    pub epoch: u64,
    /// The batch in which it was first skipped.
    pub batch: u64,
    /// Why.
    pub reason: String,
}

/// The rows that were skipped, each once, in the order of the dataset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Ledger(Vec<SkippedRow>);

impl Ledger {
    pub(crate) fn rows(&self) -> &[SkippedRow] {
        &self.0
    }

    pub(crate) fn into_rows(self) -> Vec<SkippedRow> {
        self.0
    }

    fn place(&self, row: u64) -> std::result::Result<usize, usize> {
        self.0.binary_search_by_key(&row, |skipped| skipped.row)
    }

    /// The rows that were lost and are not known yet, unless they would be too many.
    pub(crate) fn admit(
        &self,
        lost: Vec<(u64, Failure)>,
        limit: u64,
        epoch: u64,
        batch: u64,
    ) -> std::result::Result<Vec<SkippedRow>, Failure> {
        let mut new = Vec::new();
        for (row, failure) in lost {
            let known = self.place(row).is_ok();
            if (self.0.len() + new.len() + usize::from(!known)) as u64 > limit {
                return Err(failure.of_row(row).beyond(limit));
            }
            if known {
                continue;
            }
            new.push(SkippedRow {
                row,
                epoch,
                batch,
                reason: failure.cause.to_string(),
            });
        }
        Ok(new)
    }

    pub(crate) fn add(&mut self, new: impl IntoIterator<Item = SkippedRow>) {
        let before = self.0.len();
        self.0.extend(new);
        if self.0.len() > before {
            // It is stable, so of two about one row the first stays.
            self.0.sort_by_key(|skipped| skipped.row);
            self.0.dedup_by_key(|skipped| skipped.row);
        }
    }

    /// A list that was edited by hand may be in any order.
    pub(crate) fn sorted(mut self) -> Self {
        let rows = std::mem::take(&mut self.0);
        self.add(rows);
        self
    }
}

/// The rows that all passes over a loader and its copies have skipped.
#[derive(Debug, Default)]
pub(crate) struct SharedLedger(Mutex<Ledger>);

impl SharedLedger {
    pub(crate) fn add(&self, new: &[SkippedRow]) {
        if !new.is_empty() {
            self.lock().add(new.iter().cloned());
        }
    }

    pub(crate) fn rows(&self) -> Vec<SkippedRow> {
        self.lock().rows().to_vec()
    }

    fn lock(&self) -> MutexGuard<'_, Ledger> {
        // Every change of it is whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_is_listed_once_as_it_was_skipped_first() {
        let skipped = |row, epoch| SkippedRow {
            row,
            epoch,
            batch: 0,
            reason: String::new(),
        };
        let mut ledger = Ledger::default();
        ledger.add([skipped(5, 0), skipped(2, 0), skipped(5, 1)]);
        ledger.add([skipped(2, 2), skipped(9, 2), skipped(1, 2)]);
        let rows: Vec<_> = ledger.rows().iter().map(|it| (it.row, it.epoch)).collect();
        assert_eq!(rows, [(1, 2), (2, 0), (5, 0), (9, 2)]);
    }

    #[test]
    fn a_rate_that_is_a_number_of_rows_is_that_number() {
        for rows in 1..300 {
            for skipped in 0..=rows {
                let rate = OnError::SkipRate(skipped as f64 / rows as f64);
                assert_eq!(rate.limit(rows).unwrap(), Some(skipped), "of {rows}");
            }
        }
        let limit = |rate, rows| OnError::SkipRate(rate).limit(rows).unwrap();
        assert_eq!(limit(0.29, 100), Some(29));
        assert_eq!(limit(0.299, 100), Some(29));
        assert_eq!(limit(1.0, u64::MAX), Some(u64::MAX));
    }
}
