//! What an error is about: a row, a file, or more than that. A loader skips only rows.

use std::collections::TryReserveError;
use std::error::Error as StdError;
use std::io;
use std::sync::Arc;

use burn_npy_core::{Error, ErrorKind};

/// How much an error concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// A row: another row of the same file can be read.
    Row,
    /// A file, or how it is used. A dataset of the user may have a file for each row.
    File,
    /// The process, the system, or a file that is not the one that was opened. To go on without a
    /// row would hide it.
    All,
}

impl Scope {
    /// That of an error of a column or a file.
    pub(crate) fn of(error: &Error) -> Self {
        match error.kind() {
            ErrorKind::Value | ErrorKind::Row | ErrorKind::Transform => Self::Row,
            ErrorKind::Io => error.io_error().map_or(Self::Row, Self::of_io),
            ErrorKind::Magic
            | ErrorKind::Version
            | ErrorKind::TruncatedHeader
            | ErrorKind::HeaderTooLarge
            | ErrorKind::Header
            | ErrorKind::Dtype
            | ErrorKind::Shape
            | ErrorKind::Overflow
            | ErrorKind::Object
            | ErrorKind::TruncatedData
            | ErrorKind::Trailing
            | ErrorKind::Zip
            | ErrorKind::Crc
            | ErrorKind::Method
            | ErrorKind::Encrypted
            | ErrorKind::Duplicate
            | ErrorKind::Name
            | ErrorKind::Usage
            | ErrorKind::Dataset
            | ErrorKind::Panic => Self::File,
            ErrorKind::Limit | ErrorKind::Changed => Self::All,
            // A kind that is new here ends a pass until somebody has thought about it.
            _ => Self::All,
        }
    }

    fn of_io(error: &io::Error) -> Self {
        use io::ErrorKind::{OutOfMemory, QuotaExceeded, StorageFull};
        match error.kind() {
            OutOfMemory | QuotaExceeded | StorageFull => Self::All,
            _ => Self::of_code(error),
        }
    }

    #[cfg(unix)]
    fn of_code(error: &io::Error) -> Self {
        use rustix::io::Errno;
        match Errno::from_io_error(error) {
            // A bad place of the disk.
            Some(Errno::IO) => Self::Row,
            // Too many open files, of the process and of the system.
            Some(Errno::MFILE | Errno::NFILE) => Self::All,
            _ => Self::File,
        }
    }

    #[cfg(not(unix))]
    fn of_code(_: &io::Error) -> Self {
        Self::File
    }

    /// That of one error of a chain; `None` if it is of an unknown type.
    pub(crate) fn of_any(error: &(dyn StdError + 'static)) -> Option<Self> {
        let ours = error.downcast_ref::<Error>();
        let ours = ours.or_else(|| error.downcast_ref::<Arc<Error>>().map(|error| &**error));
        let of_io = || error.downcast_ref().map(Self::of_io);
        let no_memory = error.is::<TryReserveError>().then_some(Self::All);
        ours.map(Self::of).or_else(of_io).or(no_memory)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_to_blame_for_its_values_only() {
        let of = |kind| Scope::of(&Error::new(kind, ""));
        for kind in [ErrorKind::Value, ErrorKind::Row, ErrorKind::Io] {
            assert_eq!(of(kind), Scope::Row, "{kind}");
        }
        for kind in [
            ErrorKind::Magic,
            ErrorKind::Version,
            ErrorKind::TruncatedHeader,
            ErrorKind::HeaderTooLarge,
            ErrorKind::Header,
            ErrorKind::Dtype,
            ErrorKind::Shape,
            ErrorKind::Overflow,
            ErrorKind::Object,
            ErrorKind::TruncatedData,
            ErrorKind::Trailing,
            ErrorKind::Zip,
            ErrorKind::Crc,
            ErrorKind::Method,
            ErrorKind::Encrypted,
            ErrorKind::Duplicate,
            ErrorKind::Name,
            ErrorKind::Usage,
            ErrorKind::Dataset,
            ErrorKind::Panic,
        ] {
            assert_eq!(of(kind), Scope::File, "{kind}");
        }
        for kind in [ErrorKind::Limit, ErrorKind::Changed] {
            assert_eq!(of(kind), Scope::All, "{kind}");
        }
    }

    #[test]
    fn an_error_of_the_system_may_concern_every_row() {
        let of = |error: io::Error| Scope::of_any(&error);
        assert_eq!(
            of(io::ErrorKind::OutOfMemory.into()),
            Some(Scope::All),
            "out of memory"
        );
        for kind in [io::ErrorKind::NotFound, io::ErrorKind::PermissionDenied] {
            assert_eq!(of(kind.into()), Some(Scope::File), "{kind}");
        }
        #[cfg(unix)]
        {
            use rustix::io::Errno;
            for code in [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::NOSPC] {
                assert_eq!(of(code.into()), Some(Scope::All), "{code}");
            }
            for code in [Errno::NOENT, Errno::ACCESS, Errno::STALE] {
                assert_eq!(of(code.into()), Some(Scope::File), "{code}");
            }
            assert_eq!(of(Errno::IO.into()), Some(Scope::Row));
        }
        let missing = burn_npy_core::Array::open("no such file.npy").unwrap_err();
        assert_eq!(Scope::of(&missing), Scope::File);
        assert_eq!(Scope::of_any(&Arc::new(missing)), Some(Scope::File));
        let none = Vec::<u8>::new().try_reserve(usize::MAX).unwrap_err();
        assert_eq!(Scope::of_any(&none), Some(Scope::All));
        assert_eq!(Scope::of_any(&std::fmt::Error), None);
    }
}
