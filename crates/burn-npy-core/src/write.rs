//! Files that NumPy reads.

use std::io::{BufWriter, Write};
use std::path::Path;

use ndarray::{ArrayBase, Data, Dimension};
use ndarray_npy::{WritableElement, WriteNpyExt};

use crate::replace::Replacement;
use crate::{Error, Result};

/// Writes an array to a `.npy` file, in the layout that it has in memory.
///
/// The bytes go to a temporary file in the same folder, which replaces `path` when it is complete:
/// whoever has the old file open keeps it, and a crash leaves either the old file or the new one.
///
/// # Errors
///
/// What the file system says.
///
/// # Example
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("labels.npy");
/// burn_npy_core::write_npy(&path, &ndarray::array![3_u8, 1, 2])?;
/// assert_eq!(burn_npy_core::Array::open(&path)?.shape(), [3]);
/// # Ok(())
/// # }
/// ```
pub fn write_npy<T, S, D>(path: impl AsRef<Path>, array: &ArrayBase<S, D>) -> Result<()>
where
    T: WritableElement,
    S: Data<Elem = T>,
    D: Dimension,
{
    let path = path.as_ref();
    let write = || {
        let mut replacement = Replacement::new(path)?;
        let mut file = BufWriter::new(replacement.file.as_file_mut());
        array.write_npy(&mut file).map_err(std::io::Error::other)?;
        file.flush()?;
        drop(file);
        replacement.commit()
    };
    write().map_err(|error| Error::io("cannot write the array", error).in_file(path))
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::{Array, ErrorClass};

    #[test]
    fn a_file_is_replaced_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.npy");
        write_npy(&path, &array![1_i32, 2, 3]).unwrap();
        let old = Array::open(&path).unwrap();
        write_npy(&path, &array![4_i32]).unwrap();
        assert_eq!(old.read::<i32>().unwrap_err().class(), ErrorClass::Changed);
        let new = Array::open(&path).unwrap().read::<i32>().unwrap();
        assert_eq!(new, array![4].into_dyn());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_folder_that_is_missing_is_named() {
        let error = write_npy("missing/x.npy", &array![1_u8]).unwrap_err();
        assert!(error.to_string().starts_with("missing/x.npy: cannot write"));
    }
}
