//! A column: an array seen as rows, with the conversion of a row.

mod batch;
mod bytes;
mod chain;
mod cut;
mod derived;
mod draws;
mod gather;
mod joined;
mod mapped;
mod origin;
mod packed;
mod permuted;
mod picked;
mod ragged;
mod selection;
mod sparse;
mod windows;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use ndarray::{ArrayD, Axis};

use crate::buffer::with_capacity;
use crate::convert::Stages;
use crate::format::header;
use crate::format::item::Numbers;
use crate::storage::Storage;
use crate::{Array, Convert, DType, Element, Error, ErrorKind, Result};

use derived::Derived;
use windows::OfArray;

pub use batch::{gather_columns, gather_drawn};
pub use bytes::ByteTable;
pub use draws::Draws;
pub use ragged::RaggedColumn;
pub use windows::Frame;

/// An array seen as rows along axis 0, each of which can be reshaped, cut and converted.
///
/// Items of several numbers, such as complex ones, give the rows a last axis. A row of an array in
/// C layout, or of a field of a one-dimensional structured array, lies in one piece and costs one
/// copy. A row of an array in Fortran layout lies scattered: each of its elements costs a cache
/// line, or a read under [`Access::Positioned`](crate::Access::Positioned). The array is never
/// transposed as a whole.
///
/// Clones share the data.
#[derive(Clone)]
pub struct Column {
    array: Array,
    numbers: Numbers,
    rows: usize,
    /// The distance between rows, in bytes.
    row_stride: usize,
    /// Length, and stride in bytes, of the axes of a row as it is stored.
    axes: Vec<(usize, usize)>,
    /// Where row 0 begins in the data.
    first: usize,
    /// The shape of a gathered row.
    row_shape: Vec<usize>,
    stages: Stages,
    /// Whether the user vouches that nobody changes the file.
    unchanging: bool,
    /// What the rows are made of, if they are not rows of the array.
    derived: Option<Arc<dyn Derived>>,
    /// If the rows are windows over rows of the array.
    windows: Option<OfArray>,
}

/// The array is left out. So the text says what is done to rows, wherever they come from:
/// `burn-npy` finds the files of a cache by it.
impl fmt::Debug for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Column")
            .field("rows", &(self.rows, self.first, self.row_stride))
            .field("axes", &self.axes)
            .field("row_shape", &self.row_shape)
            .field("stages", &self.stages)
            .field("derived", &self.derived)
            .finish_non_exhaustive()
    }
}

/// Rows that were borrowed; they keep the memory or the map alive that they are in.
#[derive(Clone, Debug)]
pub struct SharedRows {
    storage: Storage,
    range: Range<usize>,
}

impl AsRef<[u8]> for SharedRows {
    fn as_ref(&self) -> &[u8] {
        let bytes = self.storage.bytes().unwrap_or(&[]);
        bytes.get(self.range.clone()).unwrap_or(&[])
    }
}

impl Column {
    /// The rows of an array.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Shape`] if the array has no axes, and so no rows; [`ErrorKind::Dtype`] if its
    /// items are opaque bytes or structures.
    pub fn new(array: Array) -> Result<Self> {
        let Some(&rows) = array.shape().first() else {
            return Err(array.locate(Error::new(
                ErrorKind::Shape,
                "an array without axes has no rows; expected at least one dimension",
            )));
        };
        let mut axes = array.axes();
        let (_, row_stride) = axes.remove(0);
        Self::of_axes(array, rows, row_stride, axes)
    }

    /// A whole array of any shape as one row.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Dtype`] if the items are opaque bytes or structures.
    pub fn whole(array: &Array) -> Result<Self> {
        Self::repeated(array, 1)
    }

    /// As [`whole`](Self::whole), as often as there are rows.
    pub(crate) fn repeated(array: &Array, rows: usize) -> Result<Self> {
        Self::of_axes(array.clone(), rows, 0, array.axes())
    }

    fn of_axes(
        array: Array,
        rows: usize,
        row_stride: usize,
        axes: Vec<(usize, usize)>,
    ) -> Result<Self> {
        let numbers = array.numbers()?;
        Ok(Self {
            first: array.first(),
            numbers,
            rows,
            row_stride,
            row_shape: axes.iter().map(|(len, _)| *len).collect(),
            axes,
            stages: Stages::new(numbers.dtype),
            unchanging: false,
            derived: None,
            windows: None,
            array,
        })
    }

    /// The column without its conversions: the stored numbers in the byte order of the machine.
    /// Bools keep whatever byte the file has.
    pub fn unconverted(mut self) -> Self {
        self.stages = Stages::none(self.numbers.dtype);
        self
    }

    /// The array behind the column.
    pub fn array(&self) -> &Array {
        &self.array
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The shape of a row; empty if a row is one number.
    pub fn row_shape(&self) -> &[usize] {
        &self.row_shape
    }

    /// The dtype of the elements after the conversion.
    pub fn dtype(&self) -> DType {
        self.stages.to()
    }

    /// The size of a row in bytes after the conversion.
    pub fn row_bytes(&self) -> usize {
        self.row_len() * self.dtype().size()
    }

    /// An error if a row is too large at any point of its conversion.
    fn check_row_bytes(&self) -> Result<()> {
        let sizes = self.stages.stages.iter().map(|stage| stage.to.size());
        let widest = sizes.fold(self.numbers.dtype.size(), usize::max);
        match header::checked_nbytes(&self.row_shape, widest) {
            Ok(_) => Ok(()),
            Err(error) => Err(self.locate(error)),
        }
    }

    fn row_len(&self) -> usize {
        self.row_shape.iter().product()
    }

    /// Gives each row another shape with the same number of elements, in C order.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Shape`] if the numbers of elements differ.
    pub fn reshape(mut self, row_shape: &[usize]) -> Result<Self> {
        let wanted = row_shape
            .iter()
            .try_fold(1_usize, |len, axis| len.checked_mul(*axis));
        if wanted != Some(self.row_len()) {
            return Err(self.locate(Error::new(
                ErrorKind::Shape,
                format!(
                    "rows of shape {:?} have {} elements and cannot become {row_shape:?}",
                    self.row_shape,
                    self.row_len()
                ),
            )));
        }
        self.row_shape = row_shape.to_vec();
        Ok(self)
    }

    /// Keeps a part of the first axis of each row, such as `0..9` of a table with ten columns.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Shape`] if the rows have no axis or the range is not inside it;
    /// [`ErrorKind::Usage`] if the rows were reshaped or normalized before.
    pub fn slice(mut self, part: Range<usize>) -> Result<Self> {
        let refuse = |class, message| Err(self.locate(Error::new(class, message)));
        let Some(&len) = self.row_shape.first() else {
            return refuse(
                ErrorKind::Shape,
                "rows of one number have nothing to slice".to_owned(),
            );
        };
        if part.start > part.end || part.end > len {
            return refuse(
                ErrorKind::Shape,
                format!("{part:?} is not inside rows of shape {:?}", self.row_shape),
            );
        }
        let stored = self.axes.iter().map(|(len, _)| len);
        if self.derived.is_some() || stored.ne(&self.row_shape) || self.stages.has_channels() {
            return self.cut(part);
        }
        let (len, stride) = &mut self.axes[0];
        *len = part.len();
        self.first += part.start * *stride;
        self.row_shape[0] = part.len();
        Ok(self)
    }

    /// Makes each row a window over a time series: row `i` becomes the `length` rows from
    /// `i * stride` on, along a new first axis. Windows overlap where the stride is less than the
    /// length. Nothing is copied until they are gathered.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`] if the length or the stride is zero; [`ErrorKind::Shape`] if there are
    /// fewer rows than a window has; [`ErrorKind::Overflow`] if a window is too large.
    ///
    /// # Example
    ///
    /// ```
    /// # extern crate burn_npy_core as burn_npy;
    /// use burn_npy::file::Column;
    ///
    /// # fn main() -> burn_npy::Result<()> {
    /// let series = Column::new(vec![0_i32, 1, 2, 3, 4, 5, 6].into())?;
    /// let windows = series.windows(3, 2)?;
    /// assert_eq!((windows.rows(), windows.row_shape()), (3, &[3][..]));
    /// assert_eq!(windows.row::<i32>(2)?.as_slice(), Some(&[4, 5, 6][..]));
    /// # Ok(())
    /// # }
    /// ```
    pub fn windows(self, length: usize, stride: usize) -> Result<Self> {
        self.dilated_windows(length, stride, 1)
    }

    /// As [`windows`](Self::windows), of rows that are `dilation` apart: row `i` becomes the rows
    /// `i * stride`, `i * stride + dilation` and so on, `length` of them.
    ///
    /// # Errors
    ///
    /// Those of [`windows`](Self::windows), and [`ErrorKind::Usage`] if the dilation is zero.
    pub fn dilated_windows(self, length: usize, stride: usize, dilation: usize) -> Result<Self> {
        let refuse = |class, message: String| Err(self.locate(Error::new(class, message)));
        if length == 0 || stride == 0 || dilation == 0 {
            return refuse(
                ErrorKind::Usage,
                format!(
                    "windows of {length} rows {dilation} apart, one every {stride} rows; each must \
                     be 1 or more"
                ),
            );
        }
        let span = (length - 1).saturating_mul(dilation).saturating_add(1);
        if span > self.rows {
            return refuse(
                ErrorKind::Shape,
                format!("{} rows are too few for a window of {length}", self.rows),
            );
        }
        let rows = (self.rows - span) / stride + 1;
        self.frame(Frame {
            first: 0,
            length,
            stride,
            dilation,
            rows,
            span,
        })
    }

    /// Makes rows of one element plain numbers: an array of the shape `[n, 1]` becomes one of
    /// `[n]`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Shape`] if a row does not have exactly one element.
    pub fn squeeze(self) -> Result<Self> {
        self.reshape(&[])
    }

    /// Converts the elements of each row, after the conversions that were added before.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Dtype`] for arithmetic on integers and casts to 8-bit floats;
    /// [`ErrorKind::Usage`] for numbers that do not fit the rows, are not finite, or cannot divide;
    /// [`ErrorKind::Overflow`] if the rows become too large.
    pub fn convert(mut self, convert: Convert) -> Result<Self> {
        self.stages
            .extend(&convert, &self.row_shape)
            .map_err(|error| self.locate(error))?;
        self.check_row_bytes()?;
        Ok(self)
    }

    /// Vouches that nobody changes the files behind the column, so that its rows can be borrowed,
    /// and a gather does not check the files.
    ///
    /// # Safety
    ///
    /// Nobody may change or truncate the files while this column, a clone of it, or rows borrowed
    /// from them live: safe code gets references to the bytes, and a truncated map kills the
    /// process.
    #[allow(unsafe_code)]
    pub unsafe fn assume_unchanged(self) -> Self {
        let vouched = self.change_parts(&mut Self::vouched);
        // It fails if a transform now refuses the rows. Then the files are still checked.
        vouched.unwrap_or(self)
    }

    fn vouched(&self) -> Self {
        Self {
            unchanging: true,
            ..self.clone()
        }
    }

    /// Rows without a copy: if the array is in memory or in a mapped file that somebody
    /// [vouches for](Self::assume_unchanged), the rows lie one after the other, and the numbers are
    /// aligned, in the byte order of the machine and not converted. `None` otherwise, and for rows
    /// that do not exist.
    pub(crate) fn borrow(&self, rows: Range<usize>) -> Option<SharedRows> {
        let storage = self.array.storage();
        let source = self.rows_in_memory().filter(|_| self.stays())?;
        let whole = self.stages.stages.is_empty() && source.stride == source.row_bytes;
        if !whole || rows.start > rows.end || rows.end > self.rows {
            return None;
        }
        let first = self.array.data_offset() as usize + source.first;
        let at = |row: usize| first + row * source.row_bytes;
        let shared = SharedRows {
            storage: storage.clone(),
            range: at(rows.start)..at(rows.end),
        };
        let start = shared.as_ref().as_ptr();
        (start.align_offset(self.dtype().size()) == 0).then_some(shared)
    }

    /// Checks that the file behind the column is still the one that was opened, as each gather
    /// does before and after it copies. A file that somebody
    /// [vouches for](Self::assume_unchanged) is not checked.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Changed`] if it was truncated, overwritten or replaced.
    pub fn check(&self) -> Result<()> {
        let mut checked = Ok(());
        self.for_each_array(&mut |part| {
            if checked.is_ok() {
                checked = part.check_own();
            }
        });
        checked
    }

    /// As [`check`](Self::check), for a column of an array.
    fn check_own(&self) -> Result<()> {
        let storage = self.array.storage();
        let checked = if self.unchanging {
            storage.check_map()
        } else {
            storage.check()
        };
        checked.map_err(|error| self.array.locate(error))
    }

    /// Whether a copy of rows may kill the process if the file was truncated before.
    fn may_raise(&self) -> bool {
        !self.unchanging && self.array.storage().may_raise()
    }

    /// The same column, read by position if its file is mapped.
    pub(crate) fn by_position(&self) -> Self {
        Self {
            array: self.array.by_position(),
            ..self.clone()
        }
    }

    /// Whether two columns are in the same open file.
    pub(crate) fn shares_file_with(&self, other: &Self) -> bool {
        let is_file = self.derived.is_none() && other.derived.is_none();
        is_file && self.array.storage().same(other.array.storage())
    }

    /// Tells the system whether rows will be gathered in a random order, so that it does not read
    /// ahead in a large file, or in the order of the file, so that it does.
    pub(crate) fn advise(&self, random: bool) {
        self.array.storage().advise(random);
    }

    /// One row as an array.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Dtype`] if `T` is not the dtype of the column after its conversion, and those
    /// of [`gather`](Self::gather).
    pub fn row<T: Element>(&self, row: usize) -> Result<ArrayD<T>> {
        let rows = self.read(&[row])?;
        Ok(rows.index_axis_move(Axis(0), 0))
    }

    /// Rows as one array in memory, of the shape `[rows.len(), ...row_shape]`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Dtype`] if `T` is not the dtype of the column after its conversion,
    /// [`ErrorKind::Overflow`] and [`ErrorKind::Limit`] if the rows do not fit into memory, and
    /// those of [`gather`](Self::gather).
    pub fn read<T: Element>(&self, rows: &[usize]) -> Result<ArrayD<T>> {
        if self.dtype() != T::DTYPE {
            return Err(self.locate(Error::new(
                ErrorKind::Dtype,
                format!("the column is {}, asked for {}", self.dtype(), T::DTYPE),
            )));
        }
        let too_large = || {
            let message = format!("{} rows do not fit into memory", rows.len());
            self.locate(Error::new(ErrorKind::Overflow, message))
        };
        let len = rows.len().checked_mul(self.row_bytes());
        let locate = |error: Error| self.locate(error);
        let mut out = crate::Buffer::zeroed(len.ok_or_else(too_large)?).map_err(locate)?;
        self.gather(rows, out.as_mut_slice())?;
        let shape = std::iter::once(rows.len()).chain(self.row_shape.iter().copied());
        array_of(out.as_slice(), shape.collect()).map_err(locate)
    }
}

impl RaggedColumn {
    /// As [`Column::assume_unchanged`], for the files of the items.
    ///
    /// # Safety
    ///
    /// That of [`Column::assume_unchanged`].
    #[allow(unsafe_code)]
    pub unsafe fn assume_unchanged(self) -> Self {
        self.change_parts(Column::vouched)
    }
}

/// Numbers in the byte order of the machine as an array.
fn array_of<T: Element>(bytes: &[u8], shape: Vec<usize>) -> Result<ArrayD<T>> {
    let numbers = bytes.chunks_exact(size_of::<T>());
    let mut elements: Vec<T> = with_capacity(numbers.len())?;
    elements.extend(numbers.map(|bytes| <T::Stored as crate::element::Scalar>::load(bytes).into()));
    ArrayD::from_shape_vec(shape, elements)
        .map_err(|error| Error::new(ErrorKind::Shape, error.to_string()))
}

#[cfg(test)]
mod tests;
