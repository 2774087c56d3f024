//! Writes files that NumPy can read.

mod append;
pub(crate) mod atomic_file;
mod npz_writer;
#[cfg(unix)]
mod rights;

pub use append::append_npy;
pub use npz_writer::NpzWriter;

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use ndarray::{ArrayBase, ArrayView, Data, Dimension};
use ndarray_npy::{WriteNpyError, WriteNpyExt};

use crate::format::header;
use crate::write::atomic_file::AtomicFile;
use crate::{ByteOrder, Element, Error, ErrorKind, Layout, Result, ml_dtypes, small_types};

/// The type of the elements of an array that is written. Every [`Element`] is one.
///
/// `bf16` and the one-byte types of `ml_dtypes` are written as opaque items, `<V2` and `<V1`. NumPy
/// can read these, and [`Array::reinterpret`](crate::Array::reinterpret) sets their dtype.
/// `np.save` does the same, except for `float8_e5m2`: it writes `<f1`, which `np.load` then
/// refuses.
pub trait WriteElement: Element {
    /// Writes the bytes of a `.npy` file.
    #[doc(hidden)]
    fn write_array<D: Dimension>(array: ArrayView<'_, Self, D>, out: impl Write) -> io::Result<()>;
}

macro_rules! written_by_ndarray_npy {
    ($($element:ty)*) => {$(
        impl WriteElement for $element {
            fn write_array<D: Dimension>(
                array: ArrayView<'_, Self, D>,
                out: impl Write,
            ) -> io::Result<()> {
                array.write_npy(out).map_err(|error| match error {
                    WriteNpyError::Io(error) => error,
                    error => io::Error::other(error),
                })
            }
        }
    )*};
}

written_by_ndarray_npy!(bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64);

macro_rules! written_here {
    ($($element:path)*) => {$(
        impl WriteElement for $element {
            fn write_array<D: Dimension>(
                array: ArrayView<'_, Self, D>,
                mut out: impl Write,
            ) -> io::Result<()> {
                let layout = if !array.is_standard_layout() && array.t().is_standard_layout() {
                    Layout::Fortran
                } else {
                    Layout::C
                };
                let descr = format!("'{}'", Self::DTYPE.descr(ByteOrder::NATIVE));
                out.write_all(&header::encode(&descr, layout, array.shape()))?;
                match array.as_slice_memory_order().filter(|_| is_dense(&array)) {
                    Some(elements) => out.write_all(bytemuck::cast_slice(elements)),
                    None => array
                        .iter()
                        .try_for_each(|element| out.write_all(bytemuck::bytes_of(element))),
                }
            }
        }
    )*};
}

macro_rules! small_written_here {
    ($($(#[$doc:meta])* $name:ident $text:literal $value:ident $format:expr;)*) => {
        written_here!($(ml_dtypes::$name)*);
    };
}

written_here!(f16 bf16);
small_types!(small_written_here);

/// Whether the elements are contiguous in one of the two layouts of a file.
fn is_dense<T, D: Dimension>(array: &ArrayView<'_, T, D>) -> bool {
    array.is_standard_layout() || array.t().is_standard_layout()
}

/// Writes an array to a `.npy` file, in the layout that it has in memory.
///
/// The file is written atomically: to a new file in the same folder, which then takes the place of
/// the old one. A program that has the old file open keeps it, and a crash leaves either the old
/// file or the new one.
///
/// # What is at the path
///
/// - Only a regular file is replaced, and only one that you may write to. You must also be allowed
///   to write to its folder.
/// - The new file has the mode of the old one, its access control list (on Linux) and, where the
///   system permits it, its owner and group: a user's file stays the user's if root writes it. Of
///   the mode, the bits setuid, setgid and sticky are dropped. If the group changes, it may do no
///   more than everybody may. Nobody can open the new file earlier.
/// - Where there is no file, the new one has the mode that the umask gives.
/// - Symbolic links stay. If one leads to a file that does not exist, the file is created there.
/// - Other hard links keep the old file.
/// - A file that is mounted by itself, as into a container, cannot be replaced. Mount its folder.
///
/// While it is written, the file has no name on Linux, so nothing is left of it if the process is
/// killed, except in the instant in which it gets its name. On other systems, and on file systems
/// without such files, a killed process leaves a file whose name starts with `.tmp`.
///
/// # Errors
///
/// [`ErrorKind::Io`](crate::ErrorKind::Io) if there is something else than a regular file at the
/// path, before anything is written, and from the file system. The old file is then as it was,
/// unless the message says that the array was written: then a crash of the machine may undo that.
///
/// # Example
///
/// ```
/// # extern crate burn_npy_core as burn_npy;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("labels.npy");
/// burn_npy::file::write_npy(&path, &ndarray::array![3_u8, 1, 2])?;
/// assert_eq!(burn_npy::Array::open(&path)?.shape(), [3]);
/// # Ok(())
/// # }
/// ```
pub fn write_npy<T, S, D>(path: impl AsRef<Path>, array: &ArrayBase<S, D>) -> Result<()>
where
    T: WriteElement,
    S: Data<Elem = T>,
    D: Dimension,
{
    let path = path.as_ref();
    let write = || {
        let mut file = AtomicFile::new(path)?;
        fill(file.file(), |out| T::write_array(array.view(), out))
            .map_err(|error| Error::io("cannot write the array", error))?;
        file.commit("the array was written")
    };
    write().map_err(|error| error.in_file(path))
}

/// A file that is complete, apart from its name. If it is dropped before it gets that, it is gone.
#[derive(Debug)]
pub struct Complete {
    file: AtomicFile,
    path: PathBuf,
}

impl Complete {
    /// Writes a file to the disk. It stays open, and gets its name later.
    ///
    /// # Errors
    ///
    /// Those of `write`, of [`write_npy`], and [`ErrorKind::Io`] from the file system.
    pub fn new(path: &Path, write: &mut dyn FnMut(&mut File) -> Result<()>) -> Result<Self> {
        let mut start = || {
            let mut file = AtomicFile::new(path)?;
            write(file.file())?;
            // A disk that is full may say so only now.
            let synced = file.file().sync_all();
            synced.map_err(|error| Error::io("cannot complete the new file", error))?;
            Ok(file)
        };
        Ok(Self {
            file: start().map_err(|error| in_file(error, path))?,
            path: path.to_path_buf(),
        })
    }

    /// Gives the file its name. If it does not replace a file that is there, that one stays.
    /// Returns whether the new file has the name.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] from the file system.
    pub fn name(self, replaces: bool) -> Result<bool> {
        let done = "the rows were written";
        let named = match replaces {
            true => self.file.commit(done).map(|()| true),
            false => self.file.commit_if_none(done),
        };
        named.map_err(|error| in_file(error, &self.path))
    }
}

/// An error of a row is not one of this file.
fn in_file(error: Error, path: &Path) -> Error {
    match error.kind() {
        ErrorKind::Io if error.file().is_none() => error.in_file(path),
        _ => error,
    }
}

/// Writes to a file, through a buffer.
fn fill(
    file: &mut File,
    write: impl FnOnce(&mut BufWriter<&mut File>) -> io::Result<()>,
) -> io::Result<()> {
    let mut out = BufWriter::new(file);
    write(&mut out)?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array, s};

    use super::*;
    use crate::{Array, DType};

    #[test]
    fn a_file_is_replaced_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.npy");
        write_npy(&path, &array![1_i32, 2, 3]).unwrap();
        let old = Array::open(&path).unwrap();
        write_npy(&path, &array![4_i32]).unwrap();
        assert_eq!(old.read::<i32>().unwrap_err().kind(), ErrorKind::Changed);
        let new = Array::open(&path).unwrap().read::<i32>().unwrap();
        assert_eq!(new, array![4].into_dyn());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn halves_are_written_in_every_layout() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.npy");
        let values = Array2::from_shape_fn((4, 6), |(i, j)| bf16::from_f32((i * 6 + j) as f32));
        for values in [
            values.view(),
            values.t(),
            values.slice(s![..;-1, 1..;2]),
            values.slice(s![1..3, ..]),
        ] {
            write_npy(&path, &values).unwrap();
            let array = Array::open(&path).unwrap();
            assert_eq!(array.item().to_string(), "<V2");
            let found = array.reinterpret(DType::BF16).unwrap().read::<bf16>();
            assert_eq!(found.unwrap(), values.into_dyn());
        }
        write_npy(&path, &array![f16::from_f32(0.5)]).unwrap();
        let found = Array::open(&path).unwrap().read::<f16>().unwrap();
        assert_eq!(found[[0]].to_f32(), 0.5);
    }

    #[test]
    fn a_folder_that_is_missing_is_named() {
        let error = write_npy("missing/x.npy", &array![1_u8]).unwrap_err();
        assert!(error.to_string().starts_with("missing/x.npy: cannot write"));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_file_without_a_name_is_not_replaced() {
        use std::os::fd::AsRawFd;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.npy");
        let file = std::fs::File::create(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        let error = write_npy(path, &array![1_u8]).unwrap_err();
        assert!(error.message().contains("has no path"), "{error}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
