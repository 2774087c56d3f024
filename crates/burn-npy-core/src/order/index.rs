//! Lists of row numbers in files.

use std::path::Path;

use crate::format::header::MAGIC;
use crate::storage::Storage;
use crate::{Access, Array, DType, Error, ErrorKind, ItemKind, OpenOptions, Result};

/// Reads a list of row numbers from a `.npy` file or a text file.
///
/// The array in a `.npy` file must have one axis and an integer dtype. A text file has one number
/// a line; empty lines and lines that start with `#` are ignored.
///
/// # Errors
///
/// Those of [`Array::open`]; [`ErrorKind::Shape`] or [`ErrorKind::Dtype`] if the array is not a
/// list of integers; [`ErrorKind::Row`] for a negative number; [`ErrorKind::Usage`] for a line of
/// text that is not a number. The message names the file and the entry or the line.
///
/// # Example
///
/// ```
/// # extern crate burn_npy_core as burn_npy;
/// use burn_npy::{Sampler, order::read_index};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("good.txt");
/// std::fs::write(&path, "# rows that passed inspection\n4\n8\n15\n")?;
/// let sampler = Sampler::sequential().index(read_index(&path)?)?;
/// assert!(sampler.order(100, 0).rows(0..3).eq([4, 8, 15]));
/// # Ok(())
/// # }
/// ```
pub fn read_index(path: impl AsRef<Path>) -> Result<Vec<u64>> {
    let path = path.as_ref();
    let storage = Storage::open(path, &OpenOptions::new().access(Access::Memory))?;
    let bytes = storage.bytes().unwrap_or_default();
    let rows = if bytes.starts_with(MAGIC) {
        rows_of_array(path)
    } else {
        rows_of_text(bytes)
    };
    rows.map_err(|error| error.in_file(path))
}

fn rows_of_array(path: &Path) -> Result<Vec<u64>> {
    let array = Array::open(path)?;
    if array.shape().len() != 1 {
        return Err(Error::new(
            ErrorKind::Shape,
            format!("an index has one axis, found shape {:?}", array.shape()),
        ));
    }
    macro_rules! read {
        ($type:ty) => {
            array
                .read::<$type>()?
                .iter()
                .enumerate()
                .map(|(entry, row)| {
                    u64::try_from(*row).map_err(|_| {
                        let message = format!("entry {entry} is row {row}, below zero");
                        Error::new(ErrorKind::Row, message)
                    })
                })
                .collect()
        };
    }
    let ItemKind::Number(dtype, _) = *array.item().kind() else {
        return Err(no_integers(array.item()));
    };
    match dtype {
        DType::I64 => read!(i64),
        DType::I32 => read!(i32),
        DType::I16 => read!(i16),
        DType::I8 => read!(i8),
        DType::U64 => read!(u64),
        DType::U32 => read!(u32),
        DType::U16 => read!(u16),
        DType::U8 => read!(u8),
        other => Err(no_integers(other)),
    }
}

fn no_integers(found: impl std::fmt::Display) -> Error {
    Error::new(
        ErrorKind::Dtype,
        format!("an index is made of integers, found {found}"),
    )
}

fn rows_of_text(bytes: &[u8]) -> Result<Vec<u64>> {
    let mut rows = Vec::new();
    for (number, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        let row = std::str::from_utf8(line).ok().and_then(|l| l.parse().ok());
        rows.push(row.ok_or_else(|| {
            let found: String = String::from_utf8_lossy(line).chars().take(40).collect();
            let message = format!("line {}: {found:?} is not a row number", number + 1);
            Error::new(ErrorKind::Usage, message)
        })?);
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use ndarray::{Array1, array};

    use super::*;
    use crate::write_npy;

    #[test]
    fn arrays_and_text_give_the_same_rows() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index");
        let check = || assert_eq!(read_index(&path).unwrap(), [3, 1, 200]);
        write_npy(&path, &array![3_i64, 1, 200]).unwrap();
        check();
        write_npy(&path, &array![3_u8, 1, 200]).unwrap();
        check();
        fs::write(&path, "# three\r\n3\r\n\n 1\n200").unwrap();
        check();
    }

    #[test]
    fn errors_name_the_file_and_the_entry() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index");
        let check = |kind, message: &str| {
            let error = read_index(&path).unwrap_err();
            assert_eq!(error.kind(), kind, "{error}");
            assert_eq!(error.to_string(), format!("{}: {message}", path.display()));
        };
        write_npy(&path, &array![3_i32, -1]).unwrap();
        check(ErrorKind::Row, "entry 1 is row -1, below zero");
        write_npy(&path, &array![[3_i32]]).unwrap();
        check(
            ErrorKind::Shape,
            "an index has one axis, found shape [1, 1]",
        );
        write_npy(&path, &Array1::from_elem(3, 0.5_f32)).unwrap();
        check(
            ErrorKind::Dtype,
            "an index is made of integers, found float32",
        );
        fs::write(&path, "3\n\n4.5\n").unwrap();
        check(ErrorKind::Usage, "line 3: \"4.5\" is not a row number");
        fs::remove_file(&path).unwrap();
        let error = read_index(&path).unwrap_err();
        assert_eq!((error.kind(), error.file()), (ErrorKind::Io, Some(&*path)));
    }
}
