//! The one error of this crate: what kind of thing went wrong, where, and why.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::path::{Path, PathBuf};

/// A result whose error is [`Error`], unless another is named.
///
/// It has two parameters as [`std::result::Result`] has, so that code which imports everything of
/// this crate with `*` can name other errors too.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of thing went wrong; [`Error::kind`] gives it.
///
/// The name that [`ErrorKind::name`] gives is stable and meant for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The operating system refused: not found, no permission, a read that failed.
    Io,
    /// The first bytes are not those of the format.
    Magic,
    /// The `.npy` format version is not 1.0, 2.0 or 3.0.
    Version,
    /// The file ends inside its header.
    TruncatedHeader,
    /// The header is longer than the limit.
    HeaderTooLarge,
    /// The header is not the dictionary that the format describes.
    Header,
    /// The dtype is unknown, malformed, or not supported.
    Dtype,
    /// The shape is malformed, or does not fit what was asked of the array.
    Shape,
    /// Sizes that do not fit into the address space.
    Overflow,
    /// The array holds pickled Python objects, which are never loaded.
    Object,
    /// The file ends before the data that its header announces.
    TruncatedData,
    /// A compressed member goes on after the size that the archive says, or has more bytes after
    /// its array than [`Limits::member_bytes`](crate::Limits::member_bytes) lets be read.
    Trailing,
    /// The archive is malformed, or contradicts itself.
    Zip,
    /// A checksum of the archive does not match its data.
    Crc,
    /// The archive uses a compression method that is not supported.
    Method,
    /// The archive is encrypted.
    Encrypted,
    /// Two members of an archive, or two columns, have one name.
    Duplicate,
    /// A name that does not exist.
    Name,
    /// A size is above the limit that was set.
    Limit,
    /// The file was truncated, overwritten or replaced while it was in use.
    Changed,
    /// A row number outside the array.
    Row,
    /// A row has a value that the dtype that was asked for does not have.
    Value,
    /// Arguments that contradict each other, or the data.
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
/// Its message names the file, the array or column, and the place, with what was found and what was
/// expected, and ends with what the operating system said, if it said anything. So
/// [`source`](StdError::source) does not give that error again, but what is behind it, and a chain
/// of errors prints each text once. [`kind`](Error::kind) and [`io_error`](Error::io_error) are
/// for programs.
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
    /// An error of a kind, with a message that says what was found and what was expected.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Repr {
            kind,
            message: message.into(),
            file: None,
            array: None,
            offset: None,
            source: None,
        }))
    }

    /// What the operating system said.
    pub(crate) fn io(what: &str, source: std::io::Error) -> Self {
        Self::new(ErrorKind::Io, what).with_source(source)
    }

    /// Names the file, unless the error already names one.
    pub fn in_file(mut self, file: impl AsRef<Path>) -> Self {
        self.0
            .file
            .get_or_insert_with(|| file.as_ref().to_path_buf());
        self
    }

    /// Names the archive member or the column, unless the error already names one.
    pub fn in_array(mut self, array: impl Into<String>) -> Self {
        self.0.array.get_or_insert_with(|| array.into());
        self
    }

    /// Names the column, in the place of the archive member that it is of: a column has the name
    /// that the user gave it.
    pub fn in_column(mut self, column: impl Into<String>) -> Self {
        self.0.array = Some(column.into());
        self
    }

    /// Names the byte at which the trouble begins, counted from the start of the file or member.
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

    /// The byte at which the trouble begins, counted from the start of the file or member.
    pub fn offset(&self) -> Option<u64> {
        self.0.offset
    }

    /// What the operating system said, if it was that which failed.
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

    /// The message alone, without the place.
    pub fn message(&self) -> &str {
        &self.0.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.0.file {
            write!(f, "{}: ", file.display())?;
        }
        if let Some(array) = &self.0.array {
            write!(f, "`{}`: ", printable(array))?;
        }
        f.write_str(&self.0.message)?;
        if let Some(offset) = self.0.offset {
            write!(f, " (at byte {offset})")?;
        }
        if let Some(source) = &self.0.source {
            write!(f, ": {source}")?;
        }
        Ok(())
    }
}

/// A name from a file, without characters that a terminal acts on.
pub(crate) fn printable(name: &str) -> Cow<'_, str> {
    if !name.contains(char::is_control) {
        return name.into();
    }
    let escape = |c: char| {
        if c.is_control() {
            c.escape_default().to_string()
        } else {
            c.to_string()
        }
    };
    name.chars().map(escape).collect()
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error({}: {self})", self.kind())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        // The source itself is a part of the message.
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
