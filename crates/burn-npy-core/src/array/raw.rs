//! Arrays in files without a header.

use std::path::Path;
use std::sync::Arc;

use super::{Array, OpenOptions, Source, strides};
use crate::format::header::{MAGIC, checked_nbytes};
use crate::storage::Storage;
use crate::{ByteOrder, DType, Error, ErrorKind, ItemType, Layout, Result};

/// What is in a file without a header, for [`Array::open_raw`].
///
/// Such files are written by `array.tofile(path)` and by `np.memmap`, and have only the numbers. So
/// whoever reads them has to know the dtype and the shape. That a file does not fit them is an
/// error only if its size shows it: another dtype of the same size gives other values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawFormat {
    dtype: DType,
    byte_order: ByteOrder,
    row_shape: Vec<usize>,
    rows: Option<usize>,
    offset: u64,
}

impl RawFormat {
    /// Rows of one number each, up to the end of the file.
    pub fn new(dtype: DType) -> Self {
        Self {
            dtype,
            byte_order: ByteOrder::Little,
            row_shape: Vec::new(),
            rows: None,
            offset: 0,
        }
    }

    /// Sets the shape of a row: all axes of the array but the first. They are in C order.
    pub fn row_shape(mut self, row_shape: &[usize]) -> Self {
        self.row_shape = row_shape.to_vec();
        self
    }

    /// Sets the number of rows. What follows them in the file is left out. By default there are as
    /// many rows as the file has room for.
    pub fn rows(mut self, rows: usize) -> Self {
        self.rows = Some(rows);
        self
    }

    /// Sets where the first row begins, in bytes. The default is the start of the file.
    pub fn offset(mut self, bytes: u64) -> Self {
        self.offset = bytes;
        self
    }

    /// Sets the order of the bytes of a number. The default is [`ByteOrder::Little`], as almost all
    /// machines write it.
    pub fn byte_order(mut self, byte_order: ByteOrder) -> Self {
        self.byte_order = byte_order;
        self
    }

    /// The number of rows in a file of `len` bytes, and their size in bytes.
    fn fit(&self, len: u64) -> Result<(usize, usize)> {
        let row_bytes = checked_nbytes(&self.row_shape, self.dtype.size())?;
        let row = || format!("{} {:?}", self.dtype, self.row_shape);
        let room = len.checked_sub(self.offset).ok_or_else(|| {
            let message = format!(
                "the first row is at byte {}, but the file has {len}",
                self.offset
            );
            Error::new(ErrorKind::TruncatedData, message)
        })?;
        if let Some(rows) = self.rows {
            let nbytes = rows.checked_mul(row_bytes);
            let nbytes = nbytes.filter(|nbytes| *nbytes as u64 <= room);
            return Ok((
                rows,
                nbytes.ok_or_else(|| {
                    let message = format!(
                        "{rows} rows of {} need {row_bytes} bytes each, but from byte {} on the \
                         file has {room}",
                        row(),
                        self.offset
                    );
                    Error::new(ErrorKind::TruncatedData, message)
                })?,
            ));
        }
        let refuse = |message| Err(Error::new(ErrorKind::Shape, message));
        if row_bytes == 0 {
            let row = row();
            return refuse(format!(
                "rows of {row} have no bytes, so a file does not say how many there are; set rows"
            ));
        }
        if !room.is_multiple_of(row_bytes as u64) {
            return refuse(format!(
                "from byte {} on the file has {room} bytes, which is not a whole number of rows of \
                 {}, of {row_bytes} bytes each; check the dtype, the shape and the offset, or set \
                 rows",
                self.offset,
                row()
            ));
        }
        let too_large = |_| Error::new(ErrorKind::Overflow, "the file is larger than all memory");
        let nbytes = usize::try_from(room).map_err(too_large)?;
        Ok((nbytes / row_bytes, nbytes))
    }
}

impl Array {
    /// Opens a file of numbers without a header, by mapping it into memory. What the file does not
    /// say, `format` does.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] from the file system; [`ErrorKind::Shape`] if the size of the file is not
    /// a whole number of rows; [`ErrorKind::TruncatedData`] if it has fewer rows than `format`
    /// says; [`ErrorKind::Usage`] if it is a `.npy` file; [`ErrorKind::Overflow`] if a row is
    /// beyond all memory.
    ///
    /// # Example
    ///
    /// ```
    /// # extern crate burn_npy_core as burn_npy;
    /// use burn_npy::{Array, DType, file::RawFormat};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("train.bin");
    /// // In Python: np.array([7, 300, 2], np.uint16).tofile("train.bin")
    /// # std::fs::write(&path, [7, 0, 44, 1, 2, 0])?;
    /// let tokens = Array::open_raw(&path, RawFormat::new(DType::U16))?;
    /// assert_eq!(tokens.read::<u16>()?, ndarray::array![7, 300, 2].into_dyn());
    ///
    /// // Images of 32 x 32 bytes behind 8 bytes of something else.
    /// let images = RawFormat::new(DType::U8).row_shape(&[32, 32]).offset(8);
    /// let error = Array::open_raw(&path, images).unwrap_err();
    /// assert!(error.to_string().ends_with("the first row is at byte 8, but the file has 6"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn open_raw(path: impl AsRef<Path>, format: RawFormat) -> Result<Self> {
        Self::open_raw_with(path, format, OpenOptions::default())
    }

    /// As [`open_raw`](Self::open_raw), with options.
    ///
    /// # Errors
    ///
    /// Those of [`open_raw`](Self::open_raw).
    pub fn open_raw_with(
        path: impl AsRef<Path>,
        format: RawFormat,
        options: OpenOptions,
    ) -> Result<Self> {
        let path = path.as_ref();
        let storage = Storage::open(path, &options)?;
        // A change of the file comes first, since it may be the cause of the error.
        let array = Self::of_raw(&storage, format);
        let array = array.map_err(|error| storage.check().err().unwrap_or(error));
        array.map_err(|error| error.in_file(path))
    }

    fn of_raw(storage: &Storage, format: RawFormat) -> Result<Self> {
        let (rows, stored_bytes) = format.fit(storage.len())?;
        if format.offset == 0 && storage.len() >= MAGIC.len() as u64 {
            let mut start = [0; MAGIC.len()];
            storage.read_at(0, &mut start)?;
            if start == *MAGIC {
                return Err(Error::new(
                    ErrorKind::Usage,
                    "a .npy file, whose header says what is in it; use Array::open",
                ));
            }
        }
        let item = ItemType::number(format.dtype, format.byte_order);
        let shape: Vec<usize> = [rows].into_iter().chain(format.row_shape).collect();
        Ok(Self {
            numbers: item.numbers(),
            strides: strides(&shape, Layout::C, item.size()),
            item,
            layout: Layout::C,
            shape,
            first: 0,
            source: Arc::new(Source::file(storage)),
            storage: storage.clone(),
            offset: format.offset,
            stored_bytes,
            version: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array3, array};

    use super::*;
    use crate::{Access, Column, Convert};

    fn options() -> [OpenOptions; 3] {
        [Access::Mapped, Access::Positioned, Access::Memory]
            .map(|access| OpenOptions::new().access(access))
    }

    #[test]
    fn rows_are_those_of_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.bin");
        let values = Array3::from_shape_fn((4, 2, 3), |(i, j, k)| (100 * i + 10 * j + k) as i32);
        for (order, offset) in [
            (ByteOrder::Little, 0),
            (ByteOrder::Big, 3),
            (ByteOrder::Big, 8),
        ] {
            let mut bytes = vec![0xff; offset];
            for value in &values {
                match order {
                    ByteOrder::Little => bytes.extend(value.to_le_bytes()),
                    ByteOrder::Big => bytes.extend(value.to_be_bytes()),
                }
            }
            std::fs::write(&path, &bytes).unwrap();
            let format = RawFormat::new(DType::I32)
                .row_shape(&[2, 3])
                .byte_order(order);
            let format = format.offset(offset as u64);
            for options in options() {
                let open = |format| Array::open_raw_with(&path, format, options.clone()).unwrap();
                let array = open(format.clone());
                assert_eq!(array.read::<i32>().unwrap(), values.view().into_dyn());
                assert_eq!(
                    (array.byte_order(), array.file()),
                    (order, Some(path.as_path()))
                );
                assert_eq!(
                    (array.data_offset(), array.version()),
                    (offset as u64, None)
                );
                array.verify().unwrap();
                let column = Column::new(array).unwrap();
                let floats = column.convert(Convert::to::<f64>()).unwrap();
                let expected = values.index_axis(ndarray::Axis(0), 2).mapv(f64::from);
                assert_eq!(floats.row::<f64>(2).unwrap(), expected.into_dyn());
                let some = open(format.clone().rows(3));
                assert_eq!(some.read::<i32>().unwrap().shape(), [3, 2, 3]);
            }
        }
    }

    #[test]
    fn an_empty_file_has_no_rows() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.bin");
        std::fs::write(&path, []).unwrap();
        for options in options() {
            let array = Array::open_raw_with(&path, RawFormat::new(DType::F32), options).unwrap();
            assert_eq!(array.shape(), [0]);
        }
    }

    #[test]
    fn what_does_not_fit_is_told_in_numbers() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.bin");
        std::fs::write(&path, [1; 101]).unwrap();
        let of = RawFormat::new;
        for (format, kind, message) in [
            (
                of(DType::U16),
                ErrorKind::Shape,
                "from byte 0 on the file has 101 bytes, which is not a whole number of rows of \
                 uint16 [], of 2 bytes each",
            ),
            (
                of(DType::F32).row_shape(&[3]).offset(1),
                ErrorKind::Shape,
                "from byte 1 on the file has 100 bytes, which is not a whole number of rows of \
                 float32 [3], of 12 bytes each",
            ),
            (
                of(DType::U16).rows(51),
                ErrorKind::TruncatedData,
                "51 rows of uint16 [] need 2 bytes each, but from byte 0 on the file has 101",
            ),
            (
                of(DType::U16).rows(usize::MAX),
                ErrorKind::TruncatedData,
                "need 2 bytes each",
            ),
            (
                of(DType::U8).offset(102),
                ErrorKind::TruncatedData,
                "the first row is at byte 102, but the file has 101",
            ),
            (
                of(DType::U8).row_shape(&[3, 0]),
                ErrorKind::Shape,
                "have no bytes",
            ),
            (
                of(DType::U8).row_shape(&[usize::MAX, 2]),
                ErrorKind::Overflow,
                "",
            ),
        ] {
            let error = Array::open_raw(&path, format).unwrap_err();
            assert_eq!(
                (error.kind(), error.file()),
                (kind, Some(path.as_path())),
                "{error}"
            );
            assert!(error.to_string().contains(message), "{error}");
        }
        let none = of(DType::U8).row_shape(&[3, 0]).rows(7);
        assert_eq!(Array::open_raw(&path, none).unwrap().shape(), [7, 3, 0]);

        crate::write_npy(&path, &array![1_u8, 2]).unwrap();
        let error = Array::open_raw(&path, of(DType::U8)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert!(Array::open_raw(&path, of(DType::U8).offset(128)).is_ok());
        let error = Array::open_raw(dir.path().join("y.bin"), of(DType::U8)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
    }

    #[test]
    fn a_file_that_changes_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.bin");
        std::fs::write(&path, [1; 100]).unwrap();
        let column = Column::new(Array::open_raw(&path, RawFormat::new(DType::U8)).unwrap());
        let column = column.unwrap();
        assert!(column.row::<u8>(99).is_ok());
        std::fs::write(&path, [2; 50]).unwrap();
        assert_eq!(column.row::<u8>(0).unwrap_err().kind(), ErrorKind::Changed);
    }
}
