//! A `.npy` file or a `.npz` archive, as its first bytes tell.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::format::header::MAGIC;
use crate::format::magic;
use crate::remote::ReadAt;
use crate::storage::Storage;
use crate::{Array, Npz, OpenOptions, Result};

/// An open `.npy` file or `.npz` archive.
#[derive(Debug)]
pub enum NumpyFile {
    /// A `.npy` file.
    Npy(Array),
    /// A `.npz` archive.
    Npz(Npz),
}

impl NumpyFile {
    /// Opens a `.npy` file or a `.npz` archive. The first bytes of the file decide which, not its
    /// name.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Magic`](crate::ErrorKind::Magic) for a file that is neither; the message says
    /// what it seems to be. Also those of [`Array::open`] and [`Npz::open`].
    pub fn open_with(path: impl AsRef<Path>, options: OpenOptions) -> Result<Self> {
        let path = path.as_ref();
        Self::in_storage(path, Storage::open(path, &options)?, options)
    }

    /// As [`open_with`](Self::open_with), for a file that is read by a reader of your own.
    ///
    /// # Errors
    ///
    /// Those of [`open_with`](Self::open_with), and of the reader.
    pub fn from_reader(reader: Arc<dyn ReadAt>, options: OpenOptions) -> Result<Self> {
        let name = PathBuf::from(reader.name());
        Self::in_storage(&name, Storage::remote(reader, &options)?, options)
    }

    fn in_storage(path: &Path, storage: Storage, options: OpenOptions) -> Result<Self> {
        let open = || {
            let mut start = [0; MAGIC.len()];
            let start = &mut start[..storage.len().min(MAGIC.len() as u64) as usize];
            storage.read_at(0, start)?;
            if start.starts_with(b"PK") {
                return Npz::in_storage(path, storage.clone(), options.clone()).map(Self::Npz);
            }
            if start == MAGIC {
                let array = Array::of_file(storage.clone(), options.limits.header_bytes);
                return array.map(Self::Npy);
            }
            Err(magic::not_a(
                ".npy or .npz file",
                &storage,
                0,
                storage.len(),
            ))
        };
        open().map_err(|error| error.in_file(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Access, ErrorKind, NpzWriter, write_npy};

    #[test]
    fn the_first_bytes_decide() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        write_npy(path("array.npz"), &ndarray::array![1, 2]).unwrap();
        let mut npz = NpzWriter::create(path("archive.npy")).unwrap();
        npz.add("x", &ndarray::array![1, 2]).unwrap();
        npz.finish().unwrap();
        for (name, bytes) in [("empty", &b""[..]), ("P", b"P"), ("text", b"1,2\n3,4\n")] {
            std::fs::write(path(name), bytes).unwrap();
        }
        std::fs::write(path("short"), b"\x93NUMPY").unwrap();
        for access in [Access::Mapped, Access::Positioned, Access::Memory] {
            let open = |name: &str| {
                let options = OpenOptions::new().access(access);
                NumpyFile::open_with(path(name), options)
            };
            assert!(matches!(open("array.npz").unwrap(), NumpyFile::Npy(_)));
            assert!(matches!(open("archive.npy").unwrap(), NumpyFile::Npz(_)));
            for name in ["empty", "P", "text", "short"] {
                let error = open(name).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Magic);
                assert_eq!(error.file(), Some(&*path(name)));
                let expected = if name == "short" {
                    ".npy"
                } else {
                    ".npy or .npz"
                };
                let start = format!("not a {expected} file: ");
                assert!(error.message().starts_with(&start), "{error}");
            }
        }
    }
}
