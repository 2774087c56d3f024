//! Why a batch did not come.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use burn::data::dataset::DatasetError;
use burn_npy_core::{Error, ErrorKind};

/// Why a loader yielded no batch: what went wrong, in which epoch and batch, and where known at
/// which row.
///
/// Its message ends with that of its cause: what the file system, the dataset or a panic said.
/// [`get_ref`](Self::get_ref) is the cause for programs. [`source`](StdError::source) goes on
/// behind it, so who prints an error and its sources prints each message once.
///
/// The loader yields it inside Burn's `DatasetError`, which prints the same message and also gives
/// the `LoadError` as its source. Who prints the sources of a `DatasetError` prints that message
/// twice; `source` of the `DatasetError`, cast down, is where to begin:
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
    row: Option<u64>,
    /// How many rows may be skipped, if there were more.
    limit: Option<u64>,
    cause: Cause,
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

    /// The message of a panic, from what `catch_unwind` gives.
    pub(crate) fn panic(who: &'static str, payload: Box<dyn std::any::Any + Send>) -> Self {
        let message = match payload.downcast::<String>() {
            Ok(message) => *message,
            Err(payload) => match payload.downcast::<&'static str>() {
                Ok(message) => (*message).to_owned(),
                Err(_) => "no message".to_owned(),
            },
        };
        Self::Panic(who, message)
    }

    /// Whether it may be about a single row; else the rows are not to blame.
    pub(crate) fn may_be_of_a_row(&self) -> bool {
        let Self::Error(error) = self else {
            return true;
        };
        if error.is::<SharedError>() {
            return false;
        }
        // Also where a dataset of the user passes it on.
        let mut link = Some(&**error as &(dyn StdError + 'static));
        while let Some(error) = link {
            if error
                .downcast_ref()
                .is_some_and(|error: &Error| error.kind() == ErrorKind::Changed)
            {
                return false;
            }
            link = inner(error);
        }
        !error.downcast_ref().is_some_and(|error: &Error| {
            use ErrorKind::{Dtype, Name, Overflow, Shape, Usage};
            matches!(error.kind(), Dtype | Name | Overflow | Shape | Usage)
        })
    }
}

/// What an error is about. Those that print what is inside of them do not give it as their source.
fn inner<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    let printed = if let Some(error) = error.downcast_ref::<LoadError>() {
        error.get_ref()
    } else if let Some(error) = error.downcast_ref::<std::io::Error>() {
        error.get_ref()
    } else {
        None
    };
    match printed {
        Some(inner) => Some(inner),
        None => error.source(),
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error(error) => error.fmt(f),
            Self::Panic(who, message) => write!(f, "the {who} panicked: {message}"),
        }
    }
}

/// An error that every batch has.
#[derive(Debug)]
pub(crate) struct SharedError(pub(crate) Arc<Error>);

impl fmt::Display for SharedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl StdError for SharedError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source()
    }
}

/// A cause, and the row that it is about.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) row: Option<u64>,
    /// How many rows may be skipped, if this is one more.
    pub(crate) limit: Option<u64>,
    pub(crate) cause: Cause,
}

impl Failure {
    /// Names the row, unless it is known.
    pub(crate) fn of_row(mut self, row: u64) -> Self {
        self.row.get_or_insert(row);
        self
    }

    pub(crate) fn beyond(mut self, limit: u64) -> Self {
        self.limit = Some(limit);
        self
    }
}

impl From<Cause> for Failure {
    fn from(cause: Cause) -> Self {
        Self {
            row: None,
            limit: None,
            cause,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Cause::error(error).into()
    }
}

impl LoadError {
    pub(crate) fn new(epoch: u64, batch: u64, failure: Failure) -> Self {
        Self(Box::new(Repr {
            epoch,
            batch,
            row: failure.row,
            limit: failure.limit,
            cause: failure.cause,
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

    /// The item that failed, as its number in the dataset that the loader was built from, if it is
    /// known to be one.
    pub fn row(&self) -> Option<u64> {
        self.0.row
    }

    /// How many rows may be skipped, if the row was one more, see [`OnError`](crate::OnError).
    pub fn skip_limit(&self) -> Option<u64> {
        self.0.limit
    }

    /// Whether something panicked: code of the user, such as a batcher, or of this crate.
    pub fn is_panic(&self) -> bool {
        matches!(self.0.cause, Cause::Panic(..))
    }

    /// The cause: an [`Error`], what the system said, or the `DatasetError` that a dataset of yours
    /// gave, whose source is your error. None if something panicked.
    pub fn get_ref(&self) -> Option<&(dyn StdError + Send + Sync + 'static)> {
        match &self.0.cause {
            Cause::Error(error) => Some(&**error),
            Cause::Panic(..) => None,
        }
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "epoch {}, batch {}", self.0.epoch, self.0.batch)?;
        if let Some(row) = self.0.row {
            write!(f, ", row {row}")?;
        }
        if let Some(limit) = self.0.limit {
            write!(f, ", one more than the {limit} rows that may be skipped")?;
        }
        write!(f, ": {}", self.0.cause)
    }
}

/// What is behind the cause, whose message is part of this one's.
impl StdError for LoadError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        let mut cause: &(dyn StdError + 'static) = self.get_ref()?;
        // Its message is that of its source.
        while cause.is::<DatasetError>() {
            cause = cause.source()?;
        }
        cause.source()
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
        let shared = SharedError(Arc::new(changed()));
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
}
