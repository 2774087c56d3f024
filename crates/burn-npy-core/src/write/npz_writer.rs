//! Writes archives that NumPy can read.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use ndarray::{ArrayBase, Data, Dimension};

use crate::write::atomic_file::AtomicFile;
use crate::zip::{Writer, Zip64From};
use crate::{Error, ErrorKind, Result, WriteElement};

/// Writes arrays to a `.npz` archive, one after the other, as `np.savez` does.
///
/// The arrays are stored without compression, and their data starts at multiples of 64 bytes in the
/// file. So they can be mapped and borrowed in place, which is rarely possible with those of
/// `np.savez`. The writer needs no memory besides the arrays. The same arrays give the same bytes.
///
/// The archive is written atomically: to a new file in the same folder, which
/// [`finish`](Self::finish) puts at its path. Without `finish`, no file is left. What may be at the
/// path, and what the new file takes over from the old one, is as with
/// [`write_npy`](crate::write_npy).
///
/// # Example
///
/// ```
/// # extern crate burn_npy_core as burn_npy;
/// use burn_npy::file::{Npz, NpzWriter};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("train.npz");
/// let mut npz = NpzWriter::create(&path)?;
/// npz.add("images", &ndarray::Array3::<u8>::zeros((10, 28, 28)))?;
/// npz.add("labels", &ndarray::Array1::<i64>::zeros(10))?;
/// npz.finish()?;
///
/// let npz = Npz::open(&path)?;
/// assert_eq!(npz.names(), ["images", "labels"]);
/// assert_eq!(npz.array("images")?.data_offset() % 64, 0);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct NpzWriter {
    path: PathBuf,
    file: AtomicFile,
    archive: Writer<BufWriter<File>>,
    names: HashSet<String>,
    failed: bool,
}

impl NpzWriter {
    /// Starts an archive that [`finish`](Self::finish) will put at `path`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] if there is something else than a regular file at the path, and from the
    /// file system.
    pub fn create(path: impl AsRef<Path>) -> Result<Self> {
        Self::create_with(path.as_ref(), Zip64From::default())
    }

    fn create_with(path: &Path, zip64: Zip64From) -> Result<Self> {
        let mut file = AtomicFile::new(path).map_err(|error| error.in_file(path))?;
        let out = file.file().try_clone();
        let out = BufWriter::new(out.map_err(|error| cannot_write(error, path))?);
        Ok(Self {
            path: path.to_path_buf(),
            file,
            archive: Writer::new(out, zip64),
            names: HashSet::new(),
            failed: false,
        })
    }

    /// Writes an array, in the layout that it has in memory. As in NumPy, the member of the archive
    /// has `.npy` added to the name.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Duplicate`] if there already is an array of this name, with or without `.npy`;
    /// [`ErrorKind::Usage`] for a name with a NUL character or of more than 65,531 bytes;
    /// [`ErrorKind::Io`] from the file system, after which the archive cannot be finished.
    pub fn add<T, S, D>(&mut self, name: &str, array: &ArrayBase<S, D>) -> Result<()>
    where
        T: WriteElement,
        S: Data<Elem = T>,
        D: Dimension,
    {
        let refuse = |kind, what: &str| {
            let error = Error::new(kind, what).in_file(&self.path);
            Err(error.in_array(name))
        };
        let member = format!("{name}.npy");
        if self.failed {
            return refuse(ErrorKind::Usage, "an array before it could not be written");
        }
        if name.contains('\0') {
            return refuse(ErrorKind::Usage, "a name with a NUL character");
        }
        if member.len() > usize::from(u16::MAX) {
            return refuse(ErrorKind::Usage, "a name of more than 65,531 bytes");
        }
        // NumPy finds an array by the name of its member, too.
        let stem = name.strip_suffix(".npy");
        if self.names.contains(name)
            || self.names.contains(&member)
            || stem.is_some_and(|stem| self.names.contains(stem))
        {
            return refuse(ErrorKind::Duplicate, "two arrays of this name");
        }
        let written = self.archive.member(&member, |out| {
            // Elements that are not in memory order are written one by one.
            let mut out = BufWriter::with_capacity(1 << 16, out);
            T::write_array(array.view(), &mut out)?;
            out.flush()
        });
        if let Err(error) = written {
            self.failed = true;
            return Err(cannot_write(error, &self.path).in_array(name));
        }
        self.names.insert(name.to_owned());
        Ok(())
    }

    /// Completes the archive and puts it at its path.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`] if an array could not be written; [`ErrorKind::Io`] from the file
    /// system, and if something else than a regular file is now at the path. The old file is then
    /// as it was, unless the message says that the archive was written: then a crash of the machine
    /// may undo that.
    pub fn finish(self) -> Result<()> {
        if self.failed {
            let error = Error::new(ErrorKind::Usage, "an array could not be written");
            return Err(error.in_file(self.path));
        }
        let complete = || self.archive.finish()?.flush();
        complete().map_err(|error| cannot_write(error, &self.path))?;
        let committed = self.file.commit("the archive was written");
        committed.map_err(|error| error.in_file(self.path))
    }
}

fn cannot_write(error: io::Error, path: &Path) -> Error {
    Error::io("cannot write the archive", error).in_file(path)
}

#[cfg(test)]
mod tests {
    use ndarray::{Array0, Array1, Array2, array, s};

    use super::*;
    use crate::Npz;

    #[test]
    fn what_is_written_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.npz");
        let images = Array2::from_shape_fn((300, 7), |(i, j)| (i * 7 + j) as f32);
        for bytes in [u64::MAX, 500, 0] {
            let zip64 = Zip64From {
                bytes,
                members: bytes,
            };
            let mut npz = NpzWriter::create_with(&path, zip64).unwrap();
            npz.add("images", &images).unwrap();
            npz.add("d/fortran", &images.t()).unwrap();
            npz.add("\u{e4}", &images.slice(s![..;2, 1..3])).unwrap();
            npz.add("", &Array0::from_elem((), 3_i64)).unwrap();
            npz.add("none.npy", &Array1::<bool>::from_vec(vec![]))
                .unwrap();
            npz.finish().unwrap();

            let npz = Npz::open(&path).unwrap();
            assert_eq!(
                npz.names(),
                ["images", "d/fortran", "\u{e4}", "", "none.npy"]
            );
            npz.verify_all().unwrap();
            for name in npz.names() {
                assert_eq!(npz.array(name).unwrap().data_offset() % 64, 0);
            }
            let read = |name| npz.array(name).unwrap().read::<f32>().unwrap();
            assert_eq!(read("images"), images.view().into_dyn());
            assert_eq!(read("d/fortran"), images.t().into_dyn());
            assert_eq!(read("\u{e4}"), images.slice(s![..;2, 1..3]).into_dyn());
            assert_eq!(npz.array("").unwrap().read::<i64>().unwrap()[[]], 3);
            assert_eq!(npz.array("none.npy").unwrap().shape(), [0]);
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn without_its_end_nothing_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.npz");
        let mut npz = NpzWriter::create(&path).unwrap();
        npz.add("x", &array![1, 2, 3]).unwrap();
        drop(npz);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        NpzWriter::create(&path).unwrap().finish().unwrap();
        assert!(Npz::open(&path).unwrap().names().is_empty());
        let error = NpzWriter::create(dir.path().join("missing/x.npz")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
    }

    #[test]
    fn names_are_checked_before_anything_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.npz");
        let mut npz = NpzWriter::create(&path).unwrap();
        npz.add("x", &array![1]).unwrap();
        let mut refused = |name: &str| npz.add(name, &array![1]).unwrap_err().kind();
        assert_eq!(refused("x"), ErrorKind::Duplicate);
        assert_eq!(refused("x.npy"), ErrorKind::Duplicate);
        assert_eq!(refused("a\0"), ErrorKind::Usage);
        assert_eq!(refused(&"a".repeat(65_532)), ErrorKind::Usage);
        npz.add(&"a".repeat(65_531), &array![2]).unwrap();
        npz.add("y.npy", &array![3]).unwrap();
        let error = npz.add("y", &array![3]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Duplicate);
        npz.finish().unwrap();
        let npz = Npz::open(&path).unwrap();
        npz.verify_all().unwrap();
        assert_eq!(npz.names().len(), 3);
    }
}
