//! The arguments of `NpyDataset::from_npz`: an archive, and names of arrays.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use burn_npy_core::{Result, file::Npz};

/// An archive for [`NpyDataset::from_npz`](crate::NpyDataset::from_npz): a path, or an open
/// [`Npz`]. The latter can be opened with other [`OpenOptions`](crate::file::OpenOptions).
///
/// It is implemented for `&str`, `String`, `&String`, `&Path`, `PathBuf`, `&PathBuf` and `&Npz`,
/// and cannot be implemented elsewhere.
pub trait NpzSource: sealed::Source {}

/// The name of an array in an archive, which is also the name of its column, or a pair of the name
/// of the column and the name of the array.
///
/// It is implemented for `&str`, `String`, `&String`, `&&str`, `Cow<str>`, and for pairs of types
/// that are `AsRef<str>`, by value and by reference. It cannot be implemented elsewhere.
pub trait NpzColumn: sealed::Names {}

pub(super) mod sealed {
    use super::{Npz, Result};

    pub trait Source {
        /// Calls `f` with the archive. A path is opened for the call.
        fn with<T>(self, f: impl FnOnce(&Npz) -> Result<T>) -> Result<T>;
    }

    pub trait Names {
        /// The name of the column and the name of the array.
        fn into_names(self) -> (String, String);
    }
}

impl NpzSource for &Npz {}
impl sealed::Source for &Npz {
    fn with<T>(self, f: impl FnOnce(&Npz) -> Result<T>) -> Result<T> {
        f(self)
    }
}

macro_rules! paths {
    ($($path:ty),*) => {$(
        impl NpzSource for $path {}
        impl sealed::Source for $path {
            fn with<T>(self, f: impl FnOnce(&Npz) -> Result<T>) -> Result<T> {
                f(&Npz::open(self)?)
            }
        }
    )*};
}

paths! { &str, String, &String, &Path, PathBuf, &PathBuf }

macro_rules! names {
    ($($name:ty),*) => {$(
        impl NpzColumn for $name {}
        impl sealed::Names for $name {
            fn into_names(self) -> (String, String) {
                (self.to_string(), self.to_string())
            }
        }
    )*};
}

names! { &str, String, &String, &&str, Cow<'_, str> }

impl<C: AsRef<str>, A: AsRef<str>> NpzColumn for (C, A) {}
impl<C: AsRef<str>, A: AsRef<str>> sealed::Names for (C, A) {
    fn into_names(self) -> (String, String) {
        (&self).into_names()
    }
}

impl<C: AsRef<str>, A: AsRef<str>> NpzColumn for &(C, A) {}
impl<C: AsRef<str>, A: AsRef<str>> sealed::Names for &(C, A) {
    fn into_names(self) -> (String, String) {
        (self.0.as_ref().to_owned(), self.1.as_ref().to_owned())
    }
}
