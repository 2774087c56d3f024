//! The error type of this crate.

use std::error::Error as StdError;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::message::{bounded, shown, shown_path, shown_source};
use crate::remote::url::without_secrets;

/// A result whose error is [`Error`] by default.
///
/// It has two parameters like [`std::result::Result`], so code that imports this crate with `*` can
/// still name another error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The kind of an [`Error`], which [`Error::kind`] gives.
///
/// [`ErrorKind::name`] gives a stable name for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The operating system reported an error, such as a file that does not exist.
    Io,
    /// The file does not start with the magic bytes of the format.
    Magic,
    /// The `.npy` format version is not 1.0, 2.0 or 3.0.
    Version,
    /// The file ends inside its header.
    TruncatedHeader,
    /// The header is longer than the limit.
    HeaderTooLarge,
    /// The header is not a dictionary as the format requires it.
    Header,
    /// The dtype is unknown, malformed, or not supported.
    Dtype,
    /// The shape is malformed, or does not fit the operation.
    Shape,
    /// A size does not fit into the address space.
    Overflow,
    /// The array holds pickled Python objects, which are never loaded.
    Object,
    /// The file ends before the data that its header announces.
    TruncatedData,
    /// A compressed member is longer than the archive declares, or has more bytes after its array
    /// than [`Limits::member_bytes`](crate::Limits::member_bytes) allows.
    Trailing,
    /// The archive is malformed, or contradicts itself.
    Zip,
    /// A checksum of the archive does not match its data.
    Crc,
    /// The archive uses a compression method that is not supported.
    Method,
    /// The archive is encrypted.
    Encrypted,
    /// Two members of an archive, or two columns, have the same name.
    Duplicate,
    /// There is no array, field or column of this name.
    Name,
    /// A size is above a limit.
    Limit,
    /// The file was truncated, overwritten or replaced while it was in use.
    Changed,
    /// A row does not exist.
    Row,
    /// A row has a value that the requested dtype cannot represent.
    Value,
    /// An argument is wrong, or arguments contradict each other or the data.
    Usage,
    /// A transform failed on a row. [`Error::get_ref`] gives the error if it is one of another
    /// crate.
    Transform,
    /// A dataset returned an error of another crate, which [`Error::get_ref`] gives.
    Dataset,
    /// Code panicked while a batch was loaded: of a dataset, a batcher or a function that the user
    /// wrote, or of this crate.
    Panic,
}

impl ErrorKind {
    /// The stable name of the kind, in lower case with underscores.
    pub fn name(self) -> &'static str {
        match self {
            Self::Io => "io",
            Self::Magic => "magic",
            Self::Version => "version",
            Self::TruncatedHeader => "truncated_header",
            Self::HeaderTooLarge => "header_too_large",
            Self::Header => "header",
            Self::Dtype => "dtype",
            Self::Shape => "shape",
            Self::Overflow => "overflow",
            Self::Object => "object",
            Self::TruncatedData => "truncated_data",
            Self::Trailing => "trailing",
            Self::Zip => "zip",
            Self::Crc => "crc",
            Self::Method => "method",
            Self::Encrypted => "encrypted",
            Self::Duplicate => "duplicate",
            Self::Name => "name",
            Self::Limit => "limit",
            Self::Changed => "changed",
            Self::Row => "row",
            Self::Value => "value",
            Self::Usage => "usage",
            Self::Transform => "transform",
            Self::Dataset => "dataset",
            Self::Panic => "panic",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a file could not be opened, read or used, or why a batch could not be loaded.
///
/// The message names the batch, the file, the array or column, and the row or byte, and says what
/// was found and what was expected. It ends with the error that caused it, if there was one. So
/// [`source`](StdError::source) skips that error and gives its source, and a chain of errors prints
/// each text once. The other methods are for programs.
///
/// Names, paths and texts of files are shown with their control characters escaped, and long ones
/// are cut, so an error prints less than 6 KB. [`file`](Error::file) and [`array`](Error::array)
/// give them whole. A clone is cheap.
#[derive(Clone)]
pub struct Error(Arc<Repr>);

#[derive(Clone)]
struct Repr {
    kind: ErrorKind,
    message: String,
    place: Option<Place>,
    file: Option<PathBuf>,
    array: Option<String>,
    offset: Option<u64>,
    cause: Cause,
}

/// The batch that could not be loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The epoch, counted from 0.
    pub(crate) epoch: u64,
    /// The batch of the epoch, counted from 0.
    pub(crate) batch: u64,
    /// The row of the dataset, if the failure is about one row.
    pub(crate) row: Option<u64>,
    /// How many rows may be skipped, if the row was one more.
    pub(crate) skip_limit: Option<u64>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "epoch {}, batch {}", self.epoch, self.batch)?;
        if let Some(row) = self.row {
            write!(f, ", row {row}")?;
        }
        if let Some(limit) = self.skip_limit {
            write!(f, ", one more than the {limit} rows that may be skipped")?;
        }
        Ok(())
    }
}

/// The error that caused an error.
#[derive(Clone)]
enum Cause {
    None,
    /// It is shown after the message.
    System(Arc<dyn StdError + Send + Sync>),
    /// The message is its own.
    User(Arc<UserError>),
}

/// An error of a user. Its code may panic, and that goes no further.
struct UserError(Option<Box<dyn StdError + Send + Sync>>);

impl UserError {
    fn get(&self) -> Option<&(dyn StdError + 'static)> {
        unwrapped(self.0.as_deref()?)
    }

    /// The source that its message does not include.
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        let source = || self.get()?.source();
        catch_unwind(AssertUnwindSafe(source)).unwrap_or(None)
    }
}

/// The error inside of Burn's `DatasetError`, which prints the message of its source.
#[cfg_attr(not(feature = "burn"), allow(clippy::unnecessary_wraps, unused_mut))]
fn unwrapped<'a>(mut error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    #[cfg(feature = "burn")]
    while error.is::<burn_dataset::DatasetError>() {
        error = error.source()?;
    }
    Some(error)
}

/// An error that is one of ours, also inside of Burn's `DatasetError` or of an `Arc`.
pub fn as_ours<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a Error> {
    let error = unwrapped(error)?;
    let shared = || error.downcast_ref::<Arc<Error>>().map(|error| &**error);
    error.downcast_ref().or_else(shared)
}

impl Drop for UserError {
    fn drop(&mut self) {
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(self.0.take())));
        // What it panics with may panic too when it is dropped.
        dropped.unwrap_or_else(std::mem::forget);
    }
}

impl Error {
    /// An error of a kind. The message should say what was found and what was expected. What is
    /// beyond 3,000 bytes of it is cut off, and control characters other than line breaks are
    /// escaped.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Arc::new(Repr {
            kind,
            message: bounded(message.into()),
            place: None,
            file: None,
            array: None,
            offset: None,
            cause: Cause::None,
        }))
    }

    /// An error of the operating system.
    pub(crate) fn io(what: &str, source: std::io::Error) -> Self {
        Self::new(ErrorKind::Io, what).with_source(source)
    }

    /// Adds the file, unless the error already has one. Of a URL, it leaves out what may be secret:
    /// the user and the query.
    pub fn in_file(mut self, file: impl AsRef<Path>) -> Self {
        let known = &mut self.change().file;
        known.get_or_insert_with(|| without_secrets(file.as_ref()));
        self
    }

    /// Adds the archive member or the column, unless the error already has one.
    pub fn in_array(mut self, array: impl Into<String>) -> Self {
        self.change().array.get_or_insert_with(|| array.into());
        self
    }

    /// Adds the column. It replaces the archive member, since the user knows the column by the name
    /// that they gave it.
    pub fn in_column(mut self, column: impl Into<String>) -> Self {
        self.change().array = Some(column.into());
        self
    }

    /// Adds the byte where the problem starts, counted from the start of the file or member.
    pub(crate) fn at(mut self, offset: u64) -> Self {
        self.change().offset.get_or_insert(offset);
        self
    }

    /// Adds the error that caused it, whose message is shown after this one.
    pub fn with_source(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.change().cause = Cause::System(Arc::new(source));
        self
    }

    /// The error of a user, whose message it has.
    pub(crate) fn user(message: String, error: Box<dyn StdError + Send + Sync>) -> Self {
        let mut new = Self::new(ErrorKind::Dataset, message);
        new.change().cause = Cause::User(Arc::new(UserError(Some(error))));
        new
    }

    /// The error of a transform, which is about a row.
    pub(crate) fn of_transform(mut self) -> Self {
        if self.kind() != ErrorKind::Value {
            self.change().kind = ErrorKind::Transform;
        }
        self
    }

    /// Puts the place of a row before the message.
    pub(crate) fn in_row(mut self, place: &str) -> Self {
        let new = self.change();
        new.message = bounded(format!("{place}: {}", new.message));
        self
    }

    /// Adds the batch. If the error already has one, of another loader, that becomes a part of the
    /// message.
    pub(crate) fn in_batch(mut self, place: Place) -> Self {
        let new = self.change();
        if let Some(inner) = new.place.replace(place) {
            new.message = bounded(format!("{inner}: {}", new.message));
        }
        self
    }

    fn change(&mut self) -> &mut Repr {
        Arc::make_mut(&mut self.0)
    }

    /// The kind of the error.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The file that the error is about.
    pub fn file(&self) -> Option<&Path> {
        self.0.file.as_deref()
    }

    /// The archive member or the column that the error is about.
    pub fn array(&self) -> Option<&str> {
        self.0.array.as_deref()
    }

    /// The byte where the problem starts, counted from the start of the file or member.
    pub fn offset(&self) -> Option<u64> {
        self.0.offset
    }

    /// The error of the operating system, if there was one.
    ///
    /// # Example
    ///
    /// ```
    /// # extern crate burn_npy_core as burn_npy;
    /// use std::io::ErrorKind;
    ///
    /// let error = burn_npy::Array::open("no such file.npy").unwrap_err();
    /// assert_eq!(error.io_error().map(|error| error.kind()), Some(ErrorKind::NotFound));
    /// ```
    pub fn io_error(&self) -> Option<&std::io::Error> {
        self.get_ref()?.downcast_ref()
    }

    /// The error that caused this one: of the operating system, or of a dataset that the user
    /// wrote. The message includes its message.
    pub fn get_ref(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.0.cause {
            Cause::None => None,
            Cause::System(error) => Some(&**error),
            Cause::User(error) => error.get(),
        }
    }

    /// The epoch of the batch that could not be loaded, counted from 0. `None` for errors that are
    /// not about a batch.
    pub fn epoch(&self) -> Option<u64> {
        Some(self.0.place?.epoch)
    }

    /// The batch that could not be loaded, counted from 0 in each epoch.
    pub fn batch(&self) -> Option<u64> {
        Some(self.0.place?.batch)
    }

    /// The row of the dataset because of which the batch could not be loaded, if it is known.
    pub fn row(&self) -> Option<u64> {
        self.0.place?.row
    }

    /// The message without the batch, the file, the array and the byte.
    pub fn message(&self) -> &str {
        &self.0.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.0.place {
            write!(f, "{place}: ")?;
        }
        if let Some(file) = &self.0.file {
            write!(f, "{}: ", shown_path(file))?;
        }
        if let Some(array) = &self.0.array {
            write!(f, "`{}`: ", shown(array))?;
        }
        f.write_str(&self.0.message)?;
        if let Some(offset) = self.0.offset {
            write!(f, " (at byte {offset})")?;
        }
        if let Cause::System(error) = &self.0.cause {
            write!(f, ": {}", shown_source(&**error))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error({}: {self})", self.kind())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.0.cause {
            Cause::None => None,
            Cause::System(error) => error.source(),
            Cause::User(error) => error.source(),
        }
    }
}

#[cfg(feature = "burn")]
impl From<Error> for burn_dataset::DatasetError {
    fn from(error: Error) -> Self {
        Self::new(error)
    }
}

/// An error that a loader yields through Burn's traits is the [`Error`] again. One of a dataset is
/// [`ErrorKind::Dataset`].
#[cfg(feature = "burn")]
impl From<burn_dataset::DatasetError> for Error {
    fn from(error: burn_dataset::DatasetError) -> Self {
        use crate::message::{MESSAGE, one_line};

        if let Some(ours) = as_ours(&error) {
            return ours.clone();
        }
        // Its `Display` is code of the user.
        let message = catch_unwind(AssertUnwindSafe(|| one_line(&error.to_string(), MESSAGE)));
        let message = message.unwrap_or_else(|payload| {
            std::mem::forget(payload);
            "an error that panics when it is shown".to_owned()
        });
        Self::user(message, Box::new(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_does_not_reach_the_terminal_as_it_is() {
        let error = Error::new(ErrorKind::Name, "no").in_array("a\nb\u{1b}[31m\u{e9}");
        assert_eq!(error.to_string(), "`a\\nb\\u{1b}[31m\u{e9}`: no");
        assert_eq!(error.in_column("c").to_string(), "`c`: no");
    }

    #[test]
    fn the_message_says_where() {
        let error = Error::new(ErrorKind::Dtype, "found '<c8', expected a plain dtype")
            .in_array("x.npy")
            .in_file("data.npz")
            .in_file("ignored")
            .at(10);
        assert_eq!(
            error.to_string(),
            "data.npz: `x.npy`: found '<c8', expected a plain dtype (at byte 10)"
        );
        assert_eq!(error.file(), Some(Path::new("data.npz")));
        assert_eq!(error.kind().name(), "dtype");
    }

    #[test]
    fn the_error_is_one_word_and_keeps_what_the_system_said() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
        let error = Error::io("cannot open", std::io::ErrorKind::NotFound.into());
        let kind = error.io_error().map(std::io::Error::kind);
        assert_eq!(kind, Some(std::io::ErrorKind::NotFound));
        assert!(error.to_string().starts_with("cannot open: "));
        assert!(Error::new(ErrorKind::Io, "").io_error().is_none());
    }

    #[test]
    fn a_chain_of_errors_prints_each_text_once() {
        #[derive(Debug)]
        struct Outer(std::num::ParseIntError);
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
        let outer = Outer("x".parse::<i32>().unwrap_err());
        let error = Error::io("cannot read", std::io::Error::other(outer));
        let mut chain = vec![error.to_string()];
        let mut link = error.source();
        while let Some(error) = link {
            chain.push(error.to_string());
            link = error.source();
        }
        assert_eq!(
            chain,
            ["cannot read: outer", "invalid digit found in string"]
        );
    }
}
