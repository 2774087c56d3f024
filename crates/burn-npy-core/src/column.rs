//! A column: an array seen as rows, with what happens to a row on its way out.

mod bytes;

use std::ops::Range;

use ndarray::ArrayD;

use crate::convert::Stages;
use crate::format::item::Numbers;
use crate::gather::{self, Rows, Wanted};
use crate::storage::Storage;
use crate::{Array, ByteOrder, Convert, DType, Element, Error, ErrorClass, Result, array};

pub use bytes::ByteTable;

/// How many bytes of rows are worked on at a time, so that they are still in the cache for the
/// next step.
const BLOCK_BYTES: usize = 32 << 10;
/// The same for rows that are read from a file by position.
const READ_BYTES: usize = 1 << 20;

/// How many rows of the next batch are asked for.
const LOOK_AHEAD: usize = 32;
/// Up to which size of a row other columns are asked for together with it.
const SMALL_ROW: usize = 512;
/// How many such columns there can be.
const MOST_ALSO: usize = 4;

/// What is gathered next: it is asked for from memory while a gather goes on. It changes no result.
///
/// A shuffled gather waits for memory more than for anything else, and the first rows of a batch, which nobody has asked
/// for, wait longest.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ahead<'a> {
    /// The first rows of the batch after this one; a few are enough.
    pub rows: &'a [usize],
    /// Other columns of which the same rows are gathered.
    pub columns: &'a [&'a Column],
    /// Whether these rows were asked for already, since this column was one of those [`columns`](Self::columns).
    pub asked: bool,
}

/// An array seen as rows along axis 0, each of which can be reshaped, cut and converted.
///
/// Numbers that an item is made of, such as the two of a complex number, are a last axis of the rows.
/// A row that lies in one piece, of an array in C layout or of a field of a one-dimensional structured array,
/// costs one copy. A row of an array in Fortran layout lies scattered: it costs a cache line, or a read under
/// [`Access::Positioned`](crate::Access::Positioned), for each of its elements, but neither time nor memory for a
/// transposed copy of the array.
///
/// Clones share the data.
#[derive(Clone, Debug)]
pub struct Column {
    array: Array,
    numbers: Numbers,
    rows: usize,
    /// How many bytes the rows are apart.
    row_stride: usize,
    /// Length and stride in bytes of the axes of a row, as it is stored.
    axes: Vec<(usize, usize)>,
    /// Where row 0 begins in the data.
    first: usize,
    /// The shape of a row as it leaves.
    row_shape: Vec<usize>,
    stages: Stages,
    /// Whether the user vouches that the file stays as it is.
    unchanging: bool,
}

/// Rows that were borrowed, and keep alive what they are in: an owner of bytes.
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
    /// [`ErrorClass::Shape`] if the array has no axes, and so no rows; [`ErrorClass::Dtype`] if its items
    /// are opaque, or structures.
    pub fn new(array: Array) -> Result<Self> {
        let Some(&rows) = array.shape().first() else {
            return Err(array.locate(Error::new(
                ErrorClass::Shape,
                "an array without axes has no rows; expected at least one dimension",
            )));
        };
        let mut axes = array.axes();
        let (_, row_stride) = axes.remove(0);
        Self::of_axes(array, rows, row_stride, axes)
    }

    /// A whole array, of whatever shape, as one row.
    ///
    /// # Errors
    ///
    /// [`ErrorClass::Dtype`] if the items are opaque, or structures.
    pub fn whole(array: &Array) -> Result<Self> {
        Self::of_axes(array.clone(), 1, 0, array.axes())
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
            array,
        })
    }

    /// The column without its conversions: numbers as the file has them, in the byte order of the
    /// machine, bools of whatever byte.
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

    /// The dtype of the elements, after the conversion.
    pub fn dtype(&self) -> DType {
        self.stages.to()
    }

    /// The size of a row in bytes, after the conversion.
    pub fn row_bytes(&self) -> usize {
        self.row_len() * self.dtype().size()
    }

    fn row_len(&self) -> usize {
        self.row_shape.iter().product()
    }

    /// Gives each row another shape of as many elements, read in C order.
    ///
    /// # Errors
    ///
    /// [`ErrorClass::Shape`] if the number of elements is another.
    pub fn reshape(mut self, row_shape: &[usize]) -> Result<Self> {
        let wanted = row_shape
            .iter()
            .try_fold(1_usize, |len, axis| len.checked_mul(*axis));
        if wanted != Some(self.row_len()) {
            return Err(self.array.locate(Error::new(
                ErrorClass::Shape,
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

    /// Keeps a part of the first axis of each row: columns `0..9` of a table of ten.
    ///
    /// # Errors
    ///
    /// [`ErrorClass::Shape`] if the rows have no axis, or the range is not inside it;
    /// [`ErrorClass::Usage`] if the rows were reshaped or normalized before.
    pub fn slice(mut self, part: Range<usize>) -> Result<Self> {
        let refuse = |class, message| Err(self.array.locate(Error::new(class, message)));
        let Some(&len) = self.row_shape.first() else {
            return refuse(
                ErrorClass::Shape,
                "rows of one number have nothing to slice".to_owned(),
            );
        };
        if part.start > part.end || part.end > len {
            return refuse(
                ErrorClass::Shape,
                format!("{part:?} is not inside rows of shape {:?}", self.row_shape),
            );
        }
        let stored = self.axes.iter().map(|(len, _)| len);
        if stored.ne(&self.row_shape) || self.stages.has_channels() {
            return refuse(
                ErrorClass::Usage,
                "slice a column before it is reshaped or normalized".to_owned(),
            );
        }
        let (len, stride) = &mut self.axes[0];
        *len = part.len();
        self.first += part.start * *stride;
        self.row_shape[0] = part.len();
        Ok(self)
    }

    /// Makes each row a window over a time series: row `i` becomes the `length` rows from `i * stride` on, along a
    /// new first axis. Windows overlap where the stride is less than the length, and nothing is copied before
    /// they are gathered.
    ///
    /// # Errors
    ///
    /// [`ErrorClass::Usage`] if the length or the stride is zero, or if the rows were reshaped or normalized
    /// before; [`ErrorClass::Shape`] if there are fewer rows than one window has.
    ///
    /// # Example
    ///
    /// ```
    /// use burn_npy_core::Column;
    ///
    /// # fn main() -> burn_npy_core::Result<()> {
    /// let series = Column::new(vec![0_i32, 1, 2, 3, 4, 5, 6].into())?;
    /// let windows = series.windows(3, 2)?;
    /// assert_eq!((windows.rows(), windows.row_shape()), (3, &[3][..]));
    /// assert_eq!(windows.row::<i32>(2)?.as_slice(), Some(&[4, 5, 6][..]));
    /// # Ok(())
    /// # }
    /// ```
    pub fn windows(mut self, length: usize, stride: usize) -> Result<Self> {
        let refuse = |class, message: String| Err(self.array.locate(Error::new(class, message)));
        if length == 0 || stride == 0 {
            return refuse(
                ErrorClass::Usage,
                format!("windows of {length} rows, {stride} apart; both must be 1 or more"),
            );
        }
        let stored = self.axes.iter().map(|(len, _)| len);
        if stored.ne(&self.row_shape) || self.stages.has_channels() {
            return refuse(
                ErrorClass::Usage,
                "make windows of a column before it is reshaped or normalized".to_owned(),
            );
        }
        let Some(last) = self.rows.checked_sub(length) else {
            return refuse(
                ErrorClass::Shape,
                format!("{} rows are too few for a window of {length}", self.rows),
            );
        };
        self.axes.insert(0, (length, self.row_stride));
        self.row_shape.insert(0, length);
        self.rows = last / stride + 1;
        self.row_stride = self.row_stride.saturating_mul(stride);
        Ok(self)
    }

    /// Makes rows of one element into plain numbers: the shape `[n, 1]` becomes `[n]`.
    ///
    /// # Errors
    ///
    /// [`ErrorClass::Shape`] if a row has more elements than one, or none.
    pub fn squeeze(self) -> Result<Self> {
        self.reshape(&[])
    }

    /// Converts the elements of each row, after what was asked for before.
    ///
    /// # Errors
    ///
    /// [`ErrorClass::Dtype`] for arithmetic on integers, [`ErrorClass::Usage`] for numbers that do
    /// not fit the rows.
    pub fn convert(mut self, convert: &Convert) -> Result<Self> {
        self.stages
            .extend(convert, &self.row_shape)
            .map_err(|error| self.array.locate(error))?;
        Ok(self)
    }

    /// Vouches that the file behind the column stays as it is, so that its rows can be [borrowed](Self::borrow).
    ///
    /// # Safety
    ///
    /// Nobody may change the file, and nobody may truncate it, while this column, a clone of it, or rows that were
    /// borrowed of them live: the bytes are given to safe code, and a truncated map kills the process.
    #[allow(unsafe_code)]
    pub unsafe fn assume_unchanged(mut self) -> Self {
        self.unchanging = true;
        self
    }

    /// Rows that lie one after the other in memory, without a copy: if the array is in memory, or in a mapped file that
    /// somebody [vouches for](Self::assume_unchanged), its numbers are in the byte order of the machine and aligned, and
    /// nothing is to happen to them. None otherwise, and for rows that are not there.
    pub fn borrow(&self, rows: Range<usize>) -> Option<SharedRows> {
        let storage = self.array.storage();
        let stays = storage.owned_bytes().is_some() || self.unchanging;
        let source = self.rows_in_memory().filter(|_| stays)?;
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

    /// Checks that the file behind the column is still the one that was opened.
    ///
    /// # Errors
    ///
    /// [`ErrorClass::Changed`] if it was truncated, overwritten or replaced.
    pub fn check(&self) -> Result<()> {
        self.array
            .storage()
            .check()
            .map_err(|error| self.array.locate(error))
    }

    /// Whether [`check`](Self::check) of two columns looks at the same open file.
    pub fn shares_file_with(&self, other: &Self) -> bool {
        self.array.storage().same(other.array.storage())
    }

    /// Tells the system whether rows will be gathered in a random order, so that it does not read ahead
    /// in a large file, or in the order of the file, so that it does.
    pub fn advise(&self, random: bool) {
        self.array.storage().advise(random);
    }

    /// Copies rows, converted, one after the other into `out`, in the byte order of the machine.
    ///
    /// The caller runs [`check`](Self::check) before, once for all columns of a file.
    ///
    /// # Errors
    ///
    /// [`ErrorClass::Row`] if a row is outside the array, [`ErrorClass::Changed`] if a file that is read by
    /// position changed meanwhile, and what the file system says.
    ///
    /// # Panics
    ///
    /// Panics if `out` is not `rows.len()` times [`row_bytes`](Self::row_bytes) long, or not aligned
    /// for the dtype; a [`Buffer`](crate::Buffer) always is.
    pub fn gather(&self, rows: &[usize], out: &mut [u8]) -> Result<()> {
        self.gather_ahead(rows, Ahead::default(), out)
    }

    /// As [`gather`](Self::gather), for one of several batches or columns: what comes next is asked for from memory
    /// meanwhile.
    ///
    /// # Errors
    ///
    /// Those of [`gather`](Self::gather). Rows ahead that are not there are ignored.
    ///
    /// # Panics
    ///
    /// As [`gather`](Self::gather).
    pub fn gather_ahead(&self, rows: &[usize], ahead: Ahead<'_>, out: &mut [u8]) -> Result<()> {
        assert_eq!(out.len(), rows.len() * self.row_bytes(), "wrong length");
        assert_eq!(
            out.as_ptr().align_offset(self.dtype().size()),
            0,
            "not aligned"
        );
        // The largest first: that is one pass without a branch for each.
        if gather::largest(rows) >= self.rows()
            && let Some(row) = rows.iter().find(|row| **row >= self.rows())
        {
            return Err(self.array.locate(Error::new(
                ErrorClass::Row,
                format!("row {row} of {}", self.rows()),
            )));
        }
        self.gather_inside(rows, ahead, out)
            .and_then(|()| self.array.storage().check_after_read())
            .map_err(|error| self.array.locate(error))
    }

    /// The rows, if they can be copied from memory as they are.
    fn rows_in_memory(&self) -> Option<Rows<'_>> {
        let native = self.numbers.byte_order == ByteOrder::NATIVE || self.numbers.dtype.size() == 1;
        let source = self.contiguous_rows().filter(|_| native)?;
        let bytes = self.array.storage().bytes()?;
        Some(Rows {
            bytes: &bytes[self.array.data_offset() as usize..][..self.array.stored_bytes()],
            ..source
        })
    }

    fn gather_inside(&self, rows: &[usize], ahead: Ahead<'_>, out: &mut [u8]) -> Result<()> {
        if out.is_empty() {
            return Ok(());
        }
        let size = self.numbers.dtype.size();
        let native = self.numbers.byte_order == ByteOrder::NATIVE || size == 1;
        match self.rows_in_memory() {
            Some(source) => {
                let mut also = [source; MOST_ALSO];
                let small =
                    |column: &&&Column| column.rows == self.rows && !self.shares_lines_with(column);
                let others = ahead.columns.iter().filter(small);
                let others = others.filter_map(|column| column.rows_in_memory());
                let others = others.filter(|rows| (1..=SMALL_ROW).contains(&rows.row_bytes));
                let mut count = 0;
                for (slot, rows) in also.iter_mut().zip(others) {
                    (*slot, count) = (rows, count + 1);
                }
                // A single step needs no blocks: nothing has to stay in the cache.
                let per_block = match self.stages.is_single_pass() {
                    true => rows.len(),
                    false => (BLOCK_BYTES / self.row_bytes()).max(1),
                };
                let behind = &ahead.rows[..ahead.rows.len().min(LOOK_AHEAD)];
                let behind = match behind.iter().all(|row| *row < self.rows) {
                    true => behind,
                    false => &[],
                };
                self.blocks(rows, out, per_block, |of, rest, out, scratch| {
                    let wanted = Wanted {
                        of,
                        ahead: if rest.is_empty() { behind } else { rest },
                        also: &also[..count],
                        asked: ahead.asked,
                    };
                    self.run_stages(source, wanted, out, scratch);
                    Ok(())
                })
            }
            // Nothing happens to the rows but their byte order, so they are loaded where they belong.
            None if self.stages.stages.is_empty() => {
                let per_block = (READ_BYTES / self.row_bytes()).max(1);
                self.blocks(rows, out, per_block, |of, _, out, _| {
                    self.load(of, out)?;
                    if !native {
                        array::swap_bytes(out, size);
                    }
                    Ok(())
                })
            }
            None => {
                let stored_row = self.row_len() * size;
                let per_block = (READ_BYTES / stored_row.max(self.row_bytes())).max(1);
                let mut loaded = vec![0_u64; (per_block.min(rows.len()) * stored_row).div_ceil(8)];
                let loaded: &mut [u8] = bytemuck::cast_slice_mut(&mut loaded);
                let numbers: Vec<_> = (0..per_block.min(rows.len())).collect();
                self.blocks(rows, out, per_block, |of, _, out, scratch| {
                    let loaded = &mut loaded[..of.len() * stored_row];
                    self.load(of, loaded)?;
                    if !native {
                        array::swap_bytes(loaded, size);
                    }
                    let source = whole_rows(loaded, of.len());
                    self.run_stages(source, Wanted::only(&numbers[..of.len()]), out, scratch);
                    Ok(())
                })
            }
        }
    }

    /// Whether the rows of another column lie within those of this one, so that they come along.
    fn shares_lines_with(&self, other: &Self) -> bool {
        self.shares_file_with(other)
            && self.array.data_offset() == other.array.data_offset()
            && self.row_stride == other.row_stride
            && self.row_stride <= SMALL_ROW
    }

    /// Calls `f` with blocks of rows, the rows behind them, and their part of `out`.
    fn blocks(
        &self,
        rows: &[usize],
        out: &mut [u8],
        per_block: usize,
        mut f: impl FnMut(&[usize], &[usize], &mut [u8], &mut [Vec<u64>; 2]) -> Result<()>,
    ) -> Result<()> {
        let mut scratch = [Vec::new(), Vec::new()];
        let mut left = rows;
        for out in out.chunks_mut(per_block * self.row_bytes()) {
            let (of, ahead) = left.split_at(out.len() / self.row_bytes());
            f(of, ahead, out, &mut scratch)?;
            left = ahead;
        }
        Ok(())
    }

    /// All stages over some rows; what lies between two stages is in the scratch memory.
    fn run_stages(
        &self,
        source: Rows<'_>,
        wanted: Wanted<'_>,
        out: &mut [u8],
        scratch: &mut [Vec<u64>; 2],
    ) {
        let of = wanted.of;
        match &*self.stages.stages {
            [] => gather::copy(source, wanted, out),
            [stage] => gather::convert(source, wanted, stage, out),
            [first, middle @ .., last] => {
                let [current, next] = scratch;
                let bytes = |scratch: &mut Vec<u64>, dtype: DType| {
                    let len = of.len() * self.row_len() * dtype.size();
                    scratch.resize(len.div_ceil(8), 0);
                    len
                };
                let mut len = bytes(current, first.to);
                let out_first = &mut bytemuck::cast_slice_mut(current)[..len];
                gather::convert(source, wanted, first, out_first);
                let numbers: Vec<_> = (0..of.len()).collect();
                for stage in middle {
                    let next_len = bytes(next, stage.to);
                    let rows = whole_rows(&bytemuck::cast_slice(current)[..len], of.len());
                    let out = &mut bytemuck::cast_slice_mut(next)[..next_len];
                    gather::convert(rows, Wanted::only(&numbers), stage, out);
                    std::mem::swap(current, next);
                    len = next_len;
                }
                let rows = whole_rows(&bytemuck::cast_slice(current)[..len], of.len());
                gather::convert(rows, Wanted::only(&numbers), last, out);
            }
        }
    }

    /// How many of the last axes of a row follow each other without gaps, and the bytes of such a piece.
    fn piece(&self) -> (usize, usize) {
        let mut bytes = self.numbers.dtype.size();
        let mut count = 0;
        for &(len, stride) in self.axes.iter().rev() {
            if len != 1 && stride != bytes {
                break;
            }
            bytes *= len;
            count += 1;
        }
        (count, bytes)
    }

    /// Where the rows are, if each is one piece of memory; `bytes` is left to the caller.
    pub(crate) fn contiguous_rows(&self) -> Option<Rows<'static>> {
        let (axes, row_bytes) = self.piece();
        (axes == self.axes.len()).then_some(Rows {
            bytes: &[],
            first: self.first,
            stride: self.row_stride,
            row_bytes,
        })
    }

    /// Loads the stored numbers of rows, one row after the other, each in C order.
    fn load(&self, of: &[usize], out: &mut [u8]) -> Result<()> {
        let storage = self.array.storage();
        let offset = self.array.data_offset();
        match self.contiguous_rows() {
            Some(rows) => load_rows(storage, offset, rows, of, out),
            None => self.load_pieces(storage, offset, of, out),
        }
    }

    /// Rows that lie scattered, of a Fortran array or a field inside of structures: piece by piece. That
    /// is one cache line, or one read, a piece and row; the array is never transposed as a whole.
    fn load_pieces(
        &self,
        storage: &Storage,
        offset: u64,
        of: &[usize],
        out: &mut [u8],
    ) -> Result<()> {
        let (dense, piece) = self.piece();
        let axes = &self.axes[..self.axes.len() - dense];
        let pieces: usize = axes.iter().map(|(len, _)| len).product();
        let bytes = storage
            .bytes()
            .map(|bytes| &bytes[offset as usize..][..self.array.stored_bytes()]);
        let mut index = vec![0; axes.len()];
        let mut start = self.first;
        for i in 0..pieces {
            for (row, &of) in of.iter().enumerate() {
                let to = &mut out[(row * pieces + i) * piece..][..piece];
                let at = start + of * self.row_stride;
                match bytes {
                    Some(bytes) => to.copy_from_slice(&bytes[at..][..piece]),
                    None => storage.read_at(offset + at as u64, to)?,
                }
            }
            // The next piece in C order: the last axis counts fastest.
            for (index, &(len, stride)) in index.iter_mut().zip(axes).rev() {
                *index += 1;
                start += stride;
                if *index < len {
                    break;
                }
                start -= *index * stride;
                *index = 0;
            }
        }
        Ok(())
    }

    /// One row as an array.
    ///
    /// # Errors
    ///
    /// [`ErrorClass::Dtype`] if `T` is not the dtype of the column after its conversion, and those of
    /// [`gather`](Self::gather).
    pub fn row<T: Element>(&self, row: usize) -> Result<ArrayD<T>> {
        if self.dtype() != T::DTYPE {
            return Err(self.array.locate(Error::new(
                ErrorClass::Dtype,
                format!("the column is {}, asked for {}", self.dtype(), T::DTYPE),
            )));
        }
        self.check()?;
        let mut out = crate::Buffer::zeroed(self.row_bytes())?;
        self.gather(&[row], out.as_mut_slice())?;
        let elements = out
            .as_slice()
            .chunks_exact(size_of::<T>())
            .map(|bytes| <T::Stored as crate::element::Scalar>::load(bytes).into())
            .collect();
        ArrayD::from_shape_vec(self.row_shape.clone(), elements)
            .map_err(|error| Error::new(ErrorClass::Shape, error.to_string()))
    }
}

fn whole_rows(bytes: &[u8], count: usize) -> Rows<'_> {
    let row_bytes = bytes.len() / count.max(1);
    Rows {
        bytes,
        first: 0,
        stride: row_bytes,
        row_bytes,
    }
}

/// Copies rows out of a storage, in as few reads as there are runs of neighbours.
fn load_rows(
    storage: &Storage,
    offset: u64,
    rows: Rows<'_>,
    of: &[usize],
    out: &mut [u8],
) -> Result<()> {
    let mut out = out;
    let mut at = 0;
    while at < of.len() {
        let mut run = 1;
        if rows.stride == rows.row_bytes {
            run += of[at..]
                .windows(2)
                .take_while(|pair| pair[0] + 1 == pair[1])
                .count();
        }
        let (head, rest) = out.split_at_mut(run * rows.row_bytes);
        let start = rows.first as u64 + of[at] as u64 * rows.stride as u64;
        storage.read_at(offset + start, head)?;
        out = rest;
        at += run;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
