//! Sparse matrices, whose rows are made dense.

use std::path::Path;

use burn_npy_core::ndarray::Ix1;
use burn_npy_core::{Array, Convert, Error, ErrorKind, Result, file::Column, file::Npz};

use super::NpyDataset;
use super::files::DATA;
use super::named::{AnyColumn, Columns};

impl NpyDataset {
    /// Opens a matrix in compressed rows (CSR) that `scipy.sparse.save_npz` wrote, as a column
    /// `data` whose rows are made dense when they are gathered. So a batch of a matrix of words or
    /// ratings takes the memory of the batch, and never that of the matrix. Save with
    /// `compressed=False`, so that the file is mapped.
    ///
    /// # Errors
    ///
    /// Those of [`Npz::open`](crate::file::Npz::open), [`Npz::array`](crate::file::Npz::array) and
    /// [`Column::from_csr`]; [`ErrorKind::Usage`] for a matrix of another format.
    ///
    /// # Example
    ///
    /// ```
    /// use burn_npy::NpyDataset;
    ///
    /// # fn main() -> burn_npy::Result<()> {
    /// # use burn_npy::{file::NpzWriter, ndarray::array};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let path = dir.path().join("words.npz");
    /// # let mut npz = NpzWriter::create(&path)?;
    /// # npz.add("data", &array![2_i32, 1, 5])?;
    /// # npz.add("indices", &array![3_i32, 0, 1])?;
    /// # npz.add("indptr", &array![0_i32, 1, 1, 3])?;
    /// # npz.add("shape", &array![3_i64, 4])?;
    /// # npz.finish()?;
    /// // scipy.sparse.save_npz("words.npz", csr_matrix(counts), compressed=False)
    /// let words = NpyDataset::from_scipy_npz(&path)?;
    /// assert_eq!(format!("{words:?}"), "NpyDataset { rows: 3, data: int32 [4] }");
    /// assert_eq!(words.row(2).get::<i32>("data")?.as_slice(), Some(&[1, 5, 0, 0][..]));
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_scipy_npz(path: impl AsRef<Path>) -> Result<Self> {
        let npz = Npz::open(path)?;
        let located = |error: Error| error.in_file(npz.path());
        if npz.names().iter().any(|name| name == "format") {
            let format = npz.array("format")?.read::<u8>().map_err(located)?;
            let format = String::from_utf8_lossy(format.as_slice().unwrap_or(&[])).into_owned();
            if format != "csr" {
                let message = format!(
                    "a sparse matrix in the format {format:?}; save it with \
                     save_npz(path, matrix.tocsr())"
                );
                return Err(located(Error::new(ErrorKind::Usage, message)));
            }
        }
        let (rows, width) = shape(&npz.array("shape")?).map_err(located)?;
        let [data, indices, indptr] = ["data", "indices", "indptr"].map(|name| npz.array(name));
        let column = Column::from_csr(data?, indices?, &indptr?, width).map_err(located)?;
        if column.rows() != rows {
            let found = column.rows();
            let message = format!("a matrix of {rows} rows, but `indptr` is of {found}");
            return Err(located(Error::new(ErrorKind::Shape, message)));
        }
        let mut columns = Columns::default();
        columns.push(DATA.to_owned(), AnyColumn::Numbers(column));
        Self::from_columns(columns)
    }
}

/// The rows and columns of a matrix.
fn shape(array: &Array) -> Result<(usize, usize)> {
    let whole = Column::whole(array)?.convert(Convert::to::<i64>())?;
    let numbers = whole.row::<i64>(0)?;
    let numbers = numbers.into_dimensionality::<Ix1>().ok();
    let numbers = numbers.as_ref().and_then(|numbers| numbers.as_slice());
    if let Some([rows, width]) = numbers
        && let (Ok(rows), Ok(width)) = (usize::try_from(*rows), usize::try_from(*width))
    {
        return Ok((rows, width));
    }
    let message = format!("the shape of a matrix is {numbers:?}, expected rows and columns");
    Err(Error::new(ErrorKind::Shape, message).in_array("shape"))
}

#[cfg(test)]
mod tests {
    use burn_npy_core::file::NpzWriter;
    use burn_npy_core::ndarray::{Array1, array};

    use super::*;

    #[test]
    fn what_is_no_csr_matrix_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.npz");
        let open = |shape: Array1<i64>, with_indptr: bool| {
            let mut npz = NpzWriter::create(&path).unwrap();
            npz.add("data", &array![1.0_f32]).unwrap();
            npz.add("indices", &array![0_i32]).unwrap();
            if with_indptr {
                npz.add("indptr", &array![0_i32, 1]).unwrap();
            }
            npz.add("shape", &shape).unwrap();
            npz.finish().unwrap();
            NpyDataset::from_scipy_npz(&path)
        };
        assert_eq!(open(array![1, 5], true).unwrap().len(), 1);
        for (shape, with_indptr, kind) in [
            (array![2, 5], true, ErrorKind::Shape),
            (array![1, -5], true, ErrorKind::Shape),
            (array![1], true, ErrorKind::Shape),
            (array![1, i64::MAX], true, ErrorKind::Overflow),
            (array![1, 5], false, ErrorKind::Name),
        ] {
            let error = open(shape, with_indptr).unwrap_err();
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.file().unwrap().ends_with("x.npz"));
        }
    }
}
