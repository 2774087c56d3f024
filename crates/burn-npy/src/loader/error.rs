//! Why a batch could not be loaded, and the rows that a loader skips because of it.

use std::any::Any;
use std::error::Error as StdError;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use burn_npy_core::internal::{self, MESSAGE, one_line};
use burn_npy_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use crate::scope::Scope;

/// How many errors of a chain are looked at. An error may be its own source.
const MAX_CHAIN: usize = 64;

/// Why a batch failed, before its epoch and number are added.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) row: Option<u64>,
    /// How many rows may be skipped, if this row was one more.
    pub(crate) limit: Option<u64>,
    /// The message of the cause. It is made at once and under a guard, since the `Display` of an
    /// error is code of the user.
    pub(crate) message: String,
    /// Whether it may be about a single row, so that the other rows of the batch can be loaded.
    pub(crate) may_be_of_a_row: bool,
    /// The cause, unless something panicked.
    error: Guarded<Option<Box<dyn StdError + Send + Sync>>>,
}

/// What comes of loading.
pub(crate) type Loaded<T> = Result<T, Failure>;

impl Failure {
    /// An error of a dataset of the user.
    pub(crate) fn error(error: impl StdError + Send + Sync + 'static) -> Self {
        let error: Box<dyn StdError + Send + Sync> = Box::new(error);
        let message = guarded("`Display` of an error", || {
            one_line(&error.to_string(), MESSAGE)
        });
        let may_be_of_a_row = guarded("`source` of an error", || may_be_of_a_row(&*error));
        Self {
            row: None,
            limit: None,
            message: message.unwrap_or_else(|panic| panic.message),
            may_be_of_a_row: may_be_of_a_row.unwrap_or(true),
            error: Guarded::new(Some(error)),
        }
    }

    /// A panic of `who`, with its message if the payload is one. A function given to `map` and a
    /// batch type had the whole batch, so only a dataset and a batcher are tried row by row.
    fn panic(who: &str, payload: Box<dyn Any + Send>) -> Self {
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        let text = text.unwrap_or("no message");
        let message = one_line(&format!("the {who} panicked: {text}"), MESSAGE);
        discard(payload);
        Self {
            row: None,
            limit: None,
            message,
            may_be_of_a_row: ["dataset", "batcher", "transform"].contains(&who),
            error: Guarded::new(None),
        }
    }

    /// The error of a batch, as it is yielded.
    pub(crate) fn in_batch(self, epoch: u64, batch: u64) -> Error {
        let (row, limit) = (self.row, self.limit);
        let error = match self.error.into_inner() {
            None => Error::new(ErrorKind::Panic, self.message),
            Some(cause) => match internal::as_ours(&*cause) {
                Some(ours) => ours.clone(),
                None => internal::user_error(self.message, cause),
            },
        };
        internal::in_batch(error, epoch, batch, row, limit)
    }

    /// Names the row, unless one is named already.
    pub(crate) fn of_row(mut self, row: u64) -> Self {
        self.row.get_or_insert(row);
        self
    }
}

/// Of this crate: there, an error of a file is not one of a row.
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let may_be_of_a_row = Scope::of(&error) == Scope::Row;
        Self {
            may_be_of_a_row,
            ..Self::error(error)
        }
    }
}

/// Whether an error of a dataset of the user may be about the row that it was asked for. What it
/// wraps may tell.
fn may_be_of_a_row(error: &(dyn StdError + 'static)) -> bool {
    let chain = std::iter::successors(Some(error), |error| inner(*error));
    let mut scopes = chain.take(MAX_CHAIN).map(Scope::of_any);
    scopes.all(|scope| scope != Some(Scope::All))
}

/// The error inside of an error. An error that prints its inner error does not return it as its
/// source.
fn inner<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    let of_ours = error.downcast_ref().and_then(Error::get_ref);
    let of_io = || Some(error.downcast_ref::<std::io::Error>()?.get_ref()? as _);
    of_ours.or_else(of_io).or_else(|| error.source())
}

/// Runs `f`; a panic of it is a failure of `who`.
pub(crate) fn guarded<T>(who: &'static str, f: impl FnOnce() -> T) -> Loaded<T> {
    // A panic leaves only the batch half done, and that is given up.
    catch_unwind(AssertUnwindSafe(f)).map_err(|payload| Failure::panic(who, payload))
}

/// Drops a value of the user. If that panics, what it panics with may panic too when it is dropped,
/// so that stays in memory.
pub(crate) fn discard<T>(value: T) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(value))) {
        std::mem::forget(payload);
    }
}

/// A value of the user that may be dropped anywhere: a panic of its `Drop` goes no further.
pub(crate) struct Guarded<T>(Option<T>);

impl<T> Guarded<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Some(value))
    }

    pub(crate) fn into_inner(mut self) -> T {
        self.0.take().expect("it is taken once")
    }
}

impl<T> Drop for Guarded<T> {
    fn drop(&mut self) {
        discard(self.0.take());
    }
}

impl<T> fmt::Debug for Guarded<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("..")
    }
}

/// What a loader does about a row that cannot be loaded.
///
/// These failures may be about a row: a value that a cast cannot keep, a place of a file that the
/// disk cannot read (under [`Access::Positioned`](crate::file::Access::Positioned)), an error that
/// a dataset of yours returns for the row, and a panic of your dataset or batcher. All others end
/// the pass:
///
/// * a file that changed, or that cannot be read as a whole; no memory, a size above a limit, too
///   many open files, a full disk. They do so inside of an error of your dataset too, if that error
///   returns them as its [`source`](StdError::source);
/// * a column that does not fit the batch type;
/// * a panic in a function given to [`map`](crate::DataLoaderBuilder::map) or in a method of your
///   [`Batch`](crate::Batch), since it had the whole batch;
/// * a batch that fails although each of its rows can be loaded.
///
/// The loader tries a batch that fails again row by row, and makes it of the rows that can be
/// loaded. A batch without any such row is left out. So the dataset is asked for these rows more
/// than once, and a dataset that returns another item each time, as a random sampler does, returns
/// others. Rows are tried and counted in the order of the epoch, so the result is the same for any
/// number of workers.
///
/// [`Loader::skipped`](crate::Loader::skipped) lists the rows that were skipped, also in passes
/// that Burn's `Learner` made.
///
/// Each shard counts its own rows. Since a batch may be left out, ranks may then have different
/// numbers of batches. A [`State`](crate::State) for all of them must come from the one that is
/// furthest behind.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum OnError {
    /// The pass ends with an error.
    #[default]
    Fail,
    /// The row is skipped, up to this number of different rows.
    SkipRows(u64),
    /// The row is skipped, up to this share of the rows of the dataset, from 0 to 1.
    SkipRate(f64),
}

impl OnError {
    /// How many rows of a dataset of `rows` rows may be skipped; `None` if a failure ends the pass.
    pub(crate) fn limit(self, rows: u64) -> Result<Option<u64>> {
        match self {
            Self::Fail => Ok(None),
            Self::SkipRows(rows) => Ok(Some(rows)),
            Self::SkipRate(rate) if (0.0..=1.0).contains(&rate) => {
                let least = (rate * rows as f64) as u64;
                // In floating point, 0.29 of 100 is slightly less than 29.
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

/// A row that a loader skipped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SkippedRow {
    /// The row of the dataset.
    pub row: u64,
    /// The epoch in which it was first skipped.
    pub epoch: u64,
    /// The batch in which it was first skipped.
    pub batch: u64,
    /// The message of the failure.
    pub reason: String,
}

/// The rows that were skipped, each once, in the order of the dataset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct SkippedRows(Vec<SkippedRow>);

impl SkippedRows {
    pub(crate) fn rows(&self) -> &[SkippedRow] {
        &self.0
    }

    /// The rows of `failed` that are not in the list yet.
    ///
    /// # Errors
    ///
    /// The failure of the first row that is one more than `limit`.
    pub(crate) fn admit(
        &self,
        failed: Vec<(u64, Failure)>,
        limit: u64,
        epoch: u64,
        batch: u64,
    ) -> Loaded<Vec<SkippedRow>> {
        let mut new = Vec::new();
        for (row, failure) in failed {
            let known = self.0.binary_search_by_key(&row, |skipped| skipped.row);
            let known = known.is_ok();
            if (self.0.len() + new.len() + usize::from(!known)) as u64 > limit {
                let mut failure = failure.of_row(row);
                failure.limit = Some(limit);
                return Err(failure);
            }
            if known {
                continue;
            }
            new.push(SkippedRow {
                row,
                epoch,
                batch,
                reason: failure.message.clone(),
            });
        }
        Ok(new)
    }

    pub(crate) fn add(&mut self, new: impl IntoIterator<Item = SkippedRow>) {
        let before = self.0.len();
        self.0.extend(new);
        if self.0.len() > before {
            // The sort is stable, so the first entry of a row stays.
            self.0.sort_by_key(|skipped| skipped.row);
            self.0.dedup_by_key(|skipped| skipped.row);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use burn::data::dataset::DatasetError;

    use super::*;

    fn load_error(cause: impl StdError + Send + Sync + 'static) -> Error {
        Failure::error(cause).in_batch(1, 2)
    }

    fn changed() -> Error {
        Error::new(ErrorKind::Changed, "the file is another")
    }

    /// Prints its own message only, as most errors do.
    #[derive(Debug)]
    struct Outer(io::Error);

    impl fmt::Display for Outer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("outer")
        }
    }

    impl StdError for Outer {
        fn source(&self) -> Option<&(dyn StdError + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn each_message_is_printed_once() {
        let chain = |error: Error| {
            let mut messages = Vec::new();
            let mut link: Option<&dyn StdError> = Some(&error);
            while let Some(error) = link {
                messages.push(error.to_string());
                link = error.source();
            }
            messages
        };
        let message = "epoch 1, batch 2: the file is another";
        assert_eq!(chain(load_error(changed())), [message]);
        let shared = Arc::new(changed());
        assert_eq!(chain(load_error(shared)), [message]);
        let of_a_dataset = DatasetError::new(DatasetError::new(changed()));
        assert_eq!(chain(load_error(of_a_dataset)), [message]);
        let outer = || Outer(io::Error::other("inner"));
        let messages = ["epoch 1, batch 2: outer", "inner"];
        assert_eq!(chain(load_error(outer())), messages);
        assert_eq!(chain(load_error(DatasetError::new(outer()))), messages);
    }

    #[test]
    fn the_cause_is_there_for_programs() {
        let error = Failure::error(DatasetError::new(changed()))
            .of_row(7)
            .in_batch(1, 2);
        assert_eq!(error.kind(), ErrorKind::Changed);
        assert_eq!(
            (error.epoch(), error.batch(), error.row()),
            (Some(1), Some(2), Some(7))
        );
        let foreign = load_error(DatasetError::new(Outer(io::Error::other("inner"))));
        assert_eq!(foreign.kind(), ErrorKind::Dataset);
        assert!(foreign.get_ref().unwrap().is::<Outer>());
        let panicked = guarded("map", || panic!("no")).unwrap_err();
        let panicked = panicked.in_batch(1, 2);
        assert_eq!(panicked.kind(), ErrorKind::Panic);
        assert!(panicked.get_ref().is_none());

        let missing = load_error(DatasetError::new(io::Error::from(io::ErrorKind::NotFound)));
        let kind = missing.io_error().map(io::Error::kind);
        assert_eq!(
            (missing.kind(), kind),
            (ErrorKind::Dataset, Some(io::ErrorKind::NotFound))
        );

        // A dataset may use a loader of its own. The place is that of the outer one.
        let outer = Failure::error(DatasetError::new(error.clone()));
        let outer = outer.of_row(3).in_batch(4, 5);
        assert_eq!(
            (outer.epoch(), outer.batch(), outer.row()),
            (Some(4), Some(5), Some(3))
        );
        assert_eq!(
            (outer.kind(), &*outer.to_string()),
            (
                ErrorKind::Changed,
                "epoch 4, batch 5, row 3: epoch 1, batch 2, row 7: the file is another"
            )
        );

        // Through Burn's traits it is the same error, and `?` gives it back.
        let back = Error::from(DatasetError::new(DatasetError::new(Arc::new(error))));
        assert_eq!((back.kind(), back.row()), (ErrorKind::Changed, Some(7)));
        let back = Error::from(DatasetError::new(Outer(io::Error::other("inner"))));
        assert_eq!(
            (back.kind(), &*back.to_string()),
            (ErrorKind::Dataset, "outer")
        );
        assert_eq!(back.source().unwrap().to_string(), "inner");
    }

    /// Whatever a dataset of the user wraps it in.
    #[test]
    fn what_concerns_every_row_is_no_row_to_skip() {
        let limit = || Error::new(ErrorKind::Limit, "no memory for 9 bytes");
        let no_memory = || io::Error::from(io::ErrorKind::OutOfMemory);
        let failures = [
            Failure::error(changed()),
            Failure::error(DatasetError::new(changed())),
            Failure::error(io::Error::other(changed())),
            Failure::error(DatasetError::new(io::Error::other(changed()))),
            Failure::error(DatasetError::new(load_error(changed()))),
            Failure::error(Outer(io::Error::other(load_error(DatasetError::new(
                changed(),
            ))))),
            Failure::error(DatasetError::new(limit())),
            Failure::error(Arc::new(limit())),
            Failure::error(DatasetError::new(Outer(no_memory()))),
            Failure::error(Outer(io::Error::other(no_memory()))),
        ];
        for failure in failures {
            assert!(!failure.may_be_of_a_row, "{failure:?}");
        }
    }

    /// A dataset of the user may have a file for each row; a gather of ours has not.
    #[test]
    fn a_file_is_a_row_only_for_a_dataset_of_the_user() {
        let missing = || burn_npy_core::Array::open("no such file.npy").unwrap_err();
        let header = || Error::new(ErrorKind::Header, "not a dictionary");
        for error in [missing, header] {
            assert!(Failure::error(DatasetError::new(error())).may_be_of_a_row);
            assert!(!Failure::from(error()).may_be_of_a_row);
        }
        let read = || Error::new(ErrorKind::Io, "a bad sector");
        let value = || Error::new(ErrorKind::Value, "NaN has no integer");
        for error in [read, value] {
            assert!(Failure::error(Outer(io::Error::other(load_error(error())))).may_be_of_a_row);
            assert!(Failure::from(error()).may_be_of_a_row);
        }
    }

    #[test]
    fn a_dataset_and_a_batcher_may_panic_over_a_row() {
        for (who, expected) in [
            ("dataset", true),
            ("batcher", true),
            ("transform", true),
            ("map", false),
            ("batch type", false),
            ("gather", false),
            ("loader", false),
        ] {
            let failure = guarded(who, || panic!("no {}", 7)).unwrap_err();
            assert_eq!(failure.message, format!("the {who} panicked: no 7"));
            assert_eq!(failure.may_be_of_a_row, expected, "{who}");
        }
    }

    #[test]
    fn a_message_is_one_line_of_bounded_length() {
        let message = |text: &str| load_error(io::Error::other(text.to_owned())).to_string();
        assert_eq!(
            message("a\u{1b}[31m\u{9b}\r\n\u{e9}"),
            "epoch 1, batch 2: a\\u{1b}[31m\\u{9b}\\r\\n\u{e9}"
        );
        let long = message(&"\u{e9}".repeat(1 << 20));
        assert!(long.len() < 5000 && long.ends_with("\u{e9}..."));
        assert!(message(&"x".repeat(MESSAGE)).ends_with('x'));
        let panicked = guarded("map", || panic!("{}\u{7}", "y".repeat(1 << 20))).unwrap_err();
        assert!(panicked.message.len() < 5000);
    }

    #[test]
    fn each_row_is_listed_once_as_it_was_skipped_first() {
        let skipped = |row, epoch| SkippedRow {
            row,
            epoch,
            batch: 0,
            reason: String::new(),
        };
        let mut skipped_rows = SkippedRows::default();
        skipped_rows.add([skipped(5, 0), skipped(2, 0), skipped(5, 1)]);
        skipped_rows.add([skipped(2, 2), skipped(9, 2), skipped(1, 2)]);
        let rows: Vec<_> = skipped_rows
            .rows()
            .iter()
            .map(|it| (it.row, it.epoch))
            .collect();
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
