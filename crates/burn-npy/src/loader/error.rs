//! Why a batch did not come.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use burn_npy_core::{Error, ErrorClass};

/// Why a loader yielded no batch: what went wrong, in which epoch and batch, and where known at
/// which row.
///
/// The loader yields it inside Burn's `DatasetError`; [`source`](StdError::source) leads on to what
/// the file system or the dataset said.
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
                .is_some_and(|error: &Error| error.class() == ErrorClass::Changed)
            {
                return false;
            }
            link = error.source();
        }
        !error.downcast_ref().is_some_and(|error: &Error| {
            use ErrorClass::{Dtype, Name, Overflow, Shape, Usage};
            matches!(error.class(), Dtype | Name | Overflow | Shape | Usage)
        })
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
        Some(&*self.0)
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

    /// The item that failed, as its number in the dataset that the loader was built from, if it is known to be one.
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

impl StdError for LoadError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.0.cause {
            Cause::Error(error) => Some(&**error),
            Cause::Panic(..) => None,
        }
    }
}
