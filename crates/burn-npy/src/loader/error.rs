//! Why a batch could not be loaded, and the rows that a loader skips because of it.

use std::any::Any;
use std::error::Error as StdError;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use burn::data::dataset::DatasetError;
use burn_npy_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

/// Why a batch could not be loaded: its epoch and number, its row if known, and the cause.
///
/// The message ends with the message of the cause. [`get_ref`](Self::get_ref) returns the cause
/// itself. [`source`](StdError::source) returns the source of the cause, so a program that prints
/// an error and its sources prints each message once.
///
/// The loader yields it inside Burn's `DatasetError`, which prints the same message and returns the
/// `LoadError` as its source. To print each message once, start with that source:
///
/// ```
/// use std::error::Error as _;
///
/// use burn::data::dataloader::DataLoader;
/// use burn::tensor::Tensor;
/// use burn_npy::{DataLoaderBuilder, Error, ErrorKind, LoadError, NpyBatcher, NpyDataset};
///
/// # fn main() -> burn_npy::Result<()> {
/// # let dir = tempfile::tempdir().unwrap();
/// # let path = dir.path().join("x.npy");
/// # burn_npy::write_npy(&path, &burn_npy::ndarray::Array2::<f32>::zeros((4, 4)))?;
/// let loader = DataLoaderBuilder::new(NpyBatcher::<Tensor<2>>::all())
///     .try_build(NpyDataset::open(&path)?)?;
/// std::fs::write(&path, b"x").unwrap();
///
/// let error = loader.iter().next().unwrap().unwrap_err();
/// let error: &LoadError = error.source().and_then(|error| error.downcast_ref()).unwrap();
/// let cause: &Error = error.get_ref().and_then(|cause| cause.downcast_ref()).unwrap();
/// assert_eq!(cause.kind(), ErrorKind::Changed);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct LoadError(Box<Repr>);

#[derive(Debug)]
struct Repr {
    epoch: u64,
    batch: u64,
    failure: Failure,
}

/// What went wrong.
#[derive(Debug)]
pub(crate) enum Cause {
    /// A dataset or a file.
    Error(Box<dyn StdError + Send + Sync>),
    /// What panicked, with its message: code of the user, or ours.
    Panic(&'static str, String),
}

impl Cause {
    pub(crate) fn error(error: impl StdError + Send + Sync + 'static) -> Self {
        Self::Error(Box::new(error))
    }

    /// A panic of `who`, with its message if the payload is one.
    pub(crate) fn panic(who: &'static str, payload: Box<dyn Any + Send>) -> Self {
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        Self::Panic(who, text.unwrap_or("no message").to_owned())
    }

    /// Whether it may be about a single row, so that the other rows of the batch can be loaded.
    pub(crate) fn may_be_of_a_row(&self) -> bool {
        use ErrorKind::{Changed, Dtype, Name, Overflow, Shape, Usage};
        let Self::Error(error) = self else {
            return true;
        };
        let is_of = |error: &(dyn StdError + 'static), kinds: &[ErrorKind]| {
            let error = error.downcast_ref::<Error>();
            error.is_some_and(|error| kinds.contains(&error.kind()))
        };
        // A dataset of the user may wrap it.
        let mut link = Some(&**error as &(dyn StdError + 'static));
        while let Some(error) = link {
            if is_of(error, &[Changed]) {
                return false;
            }
            link = inner(error);
        }
        // An `Arc` is the error of a source that cannot be used on its device.
        !error.is::<Arc<Error>>() && !is_of(&**error, &[Dtype, Name, Overflow, Shape, Usage])
    }
}

/// The error inside of an error. An error that prints its inner error does not return it as its
/// source.
fn inner<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    let of_ours = error.downcast_ref().and_then(LoadError::get_ref);
    let printed = of_ours.or_else(|| error.downcast_ref::<std::io::Error>()?.get_ref());
    printed.map_or_else(|| error.source(), |inner| Some(inner))
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error(error) => error.fmt(f),
            Self::Panic(who, message) => write!(f, "the {who} panicked: {message}"),
        }
    }
}

/// Why a batch failed, before its epoch and number are added.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) row: Option<u64>,
    /// How many rows may be skipped, if this row was one more.
    pub(crate) limit: Option<u64>,
    pub(crate) cause: Cause,
}

/// What comes of loading.
pub(crate) type Loaded<T> = Result<T, Failure>;

impl Failure {
    /// Names the row, unless one is named already.
    pub(crate) fn of_row(mut self, row: u64) -> Self {
        self.row.get_or_insert(row);
        self
    }
}

impl From<Cause> for Failure {
    fn from(cause: Cause) -> Self {
        let (row, limit) = (None, None);
        Self { row, limit, cause }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Cause::error(error).into()
    }
}

/// Runs `f`; a panic of it is a failure of `who`.
pub(crate) fn guarded<T>(who: &'static str, f: impl FnOnce() -> T) -> Loaded<T> {
    // A panic leaves only the batch half done, and that is given up.
    catch_unwind(AssertUnwindSafe(f)).map_err(|payload| Cause::panic(who, payload).into())
}

impl LoadError {
    pub(crate) fn new(epoch: u64, batch: u64, failure: Failure) -> Self {
        Self(Box::new(Repr {
            epoch,
            batch,
            failure,
        }))
    }

    /// The epoch, counted from 0.
    pub fn epoch(&self) -> u64 {
        self.0.epoch
    }

    /// The batch of the epoch, counted from 0.
    pub fn batch(&self) -> u64 {
        self.0.batch
    }

    /// The row of the dataset that failed, if the failure is known to be about one row.
    pub fn row(&self) -> Option<u64> {
        self.0.failure.row
    }

    /// How many rows [`OnError`] allows to skip, if the row was one more.
    pub fn skip_limit(&self) -> Option<u64> {
        self.0.failure.limit
    }

    /// Whether something panicked: code of the user, such as a batcher, or of this crate.
    pub fn is_panic(&self) -> bool {
        matches!(self.0.failure.cause, Cause::Panic(..))
    }

    /// The cause: an [`Error`], an error of the system, or the `DatasetError` that a dataset of
    /// yours returned, whose source is your error. `None` if something panicked.
    pub fn get_ref(&self) -> Option<&(dyn StdError + Send + Sync + 'static)> {
        match &self.0.failure.cause {
            Cause::Error(error) => Some(&**error),
            Cause::Panic(..) => None,
        }
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "epoch {}, batch {}", self.0.epoch, self.0.batch)?;
        if let Some(row) = self.0.failure.row {
            write!(f, ", row {row}")?;
        }
        if let Some(limit) = self.0.failure.limit {
            write!(f, ", one more than the {limit} rows that may be skipped")?;
        }
        write!(f, ": {}", self.0.failure.cause)
    }
}

/// The message includes that of the cause, so `source` is the source of the cause.
impl StdError for LoadError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        let mut cause: &(dyn StdError + 'static) = self.get_ref()?;
        // A `DatasetError` prints the message of its source.
        while cause.is::<DatasetError>() {
            cause = cause.source()?;
        }
        cause.source()
    }
}

/// What a loader does about a row that cannot be loaded: the dataset or the file returns an error
/// for it, or the dataset or the batcher panics.
///
/// The loader tries a batch that fails again row by row, and makes it of the rows that can be
/// loaded. A batch without any such row is left out. So the dataset is asked for these rows more
/// than once, and a dataset that returns another item each time, as a random sampler does, returns
/// others. Rows are tried and counted in the order of the epoch, so the result is the same for any
/// number of workers. These failures always end the pass: a file that changed, a column that does
/// not fit the batch type, and a batch that fails although each of its rows can be loaded. A panic
/// counts as a failure of its row.
///
/// [`Loader::skipped`](crate::Loader::skipped) lists the rows that were skipped, also in passes
/// that Burn's `Learner` made.
///
/// Each shard counts its own rows. Since a batch may be left out, ranks may then have different
/// numbers of batches.
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
                reason: failure.cause.to_string(),
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

    /// A list that was edited by hand may be in any order.
    pub(crate) fn sorted(mut self) -> Self {
        let rows = std::mem::take(&mut self.0);
        self.add(rows);
        self
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn load_error(cause: impl StdError + Send + Sync + 'static) -> LoadError {
        LoadError::new(1, 2, Cause::error(cause).into())
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
        let chain = |error: LoadError| {
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
        let error = load_error(changed());
        let cause: &Error = error.get_ref().and_then(|it| it.downcast_ref()).unwrap();
        assert_eq!(cause.kind(), ErrorKind::Changed);
        let panicked = Cause::panic("map", Box::new("no"));
        assert!(LoadError::new(1, 2, panicked.into()).get_ref().is_none());
    }

    /// Whatever a dataset of the user wraps it in.
    #[test]
    fn a_file_that_changed_is_no_row_to_skip() {
        let causes = [
            Cause::error(changed()),
            Cause::error(DatasetError::new(changed())),
            Cause::error(io::Error::other(changed())),
            Cause::error(DatasetError::new(io::Error::other(changed()))),
            Cause::error(DatasetError::new(load_error(changed()))),
            Cause::error(Outer(io::Error::other(load_error(DatasetError::new(
                changed(),
            ))))),
        ];
        for cause in causes {
            assert!(!cause.may_be_of_a_row(), "{cause:?}");
        }
        let read = Error::new(ErrorKind::Io, "a bad sector");
        assert!(Cause::error(Outer(io::Error::other(load_error(read)))).may_be_of_a_row());
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
