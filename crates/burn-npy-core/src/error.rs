//! The error type of this crate.

use std::error::Error as StdError;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::message::{bounded, shown, shown_path, shown_source};

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
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a file could not be opened, read or used.
///
/// The message names the file, the array or column, and the row or byte, and says what was found
/// and what was expected. It ends with the error of the operating system, if there was one. So
/// [`source`](StdError::source) skips that error and gives its source, and a chain of errors prints
/// each text once. [`kind`](Error::kind) and [`io_error`](Error::io_error) are for programs.
///
/// Names, paths and texts of files are shown with their control characters escaped, and long ones
/// are cut, so an error prints less than 5 KB. [`file`](Error::file) and [`array`](Error::array)
/// give them whole.
pub struct Error(Box<Repr>);

struct Repr {
    kind: ErrorKind,
    message: String,
    file: Option<PathBuf>,
    array: Option<String>,
    offset: Option<u64>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of a kind. The message should say what was found and what was expected. What is
    /// beyond 3,000 bytes of it is cut off, and control characters other than line breaks are
    /// escaped.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Repr {
            kind,
            message: bounded(message.into()),
            file: None,
            array: None,
            offset: None,
            source: None,
        }))
    }

    /// An error of the operating system.
    pub(crate) fn io(what: &str, source: std::io::Error) -> Self {
        Self::new(ErrorKind::Io, what).with_source(source)
    }

    /// Adds the file, unless the error already has one.
    pub fn in_file(mut self, file: impl AsRef<Path>) -> Self {
        self.0
            .file
            .get_or_insert_with(|| file.as_ref().to_path_buf());
        self
    }

    /// Adds the archive member or the column, unless the error already has one.
    pub fn in_array(mut self, array: impl Into<String>) -> Self {
        self.0.array.get_or_insert_with(|| array.into());
        self
    }

    /// Adds the column. It replaces the archive member, since the user knows the column by the name
    /// that they gave it.
    pub fn in_column(mut self, column: impl Into<String>) -> Self {
        self.0.array = Some(column.into());
        self
    }

    /// Adds the byte where the problem starts, counted from the start of the file or member.
    pub(crate) fn at(mut self, offset: u64) -> Self {
        self.0.offset.get_or_insert(offset);
        self
    }

    pub(crate) fn with_source(
        mut self,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        self.0.source = Some(source.into());
        self
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
    /// use std::io::ErrorKind;
    ///
    /// let error = burn_npy_core::Array::open("no such file.npy").unwrap_err();
    /// assert_eq!(error.io_error().map(|error| error.kind()), Some(ErrorKind::NotFound));
    /// ```
    pub fn io_error(&self) -> Option<&std::io::Error> {
        self.0.source.as_ref()?.downcast_ref()
    }

    /// The message without the file, the array and the byte.
    pub fn message(&self) -> &str {
        &self.0.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
        if let Some(source) = &self.0.source {
            write!(f, ": {}", shown_source(&**source))?;
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
        // The message contains the source itself.
        self.0.source.as_ref()?.source()
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
