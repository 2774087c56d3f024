//! A column: an array seen as rows, with what happens to a row on its way out.

use std::ops::Range;

use ndarray::ArrayD;

use crate::convert::Stages;
use crate::gather::{self, Rows};
use crate::storage::Storage;
use crate::{Array, ByteOrder, Convert, DType, Element, Error, ErrorClass, Layout, Result, array};

/// How many bytes of rows are worked on at a time, so that they are still in the cache for the
/// next step.
const BLOCK_BYTES: usize = 32 << 10;
/// The same for rows that are read from a file by position.
const READ_BYTES: usize = 1 << 20;

/// An array seen as rows along axis 0, each of which can be reshaped, cut and converted.
///
/// Clones share the data.
#[derive(Clone, Debug)]
pub struct Column {
    array: Array,
    /// Which part of axis 1 a row has; the whole if `None`.
    part: Option<Range<usize>>,
    /// The shape of a row as it leaves.
    row_shape: Vec<usize>,
    stages: Stages,
}

impl Column {
    /// The rows of an array.
    ///
    /// # Errors
    ///
    /// [`ErrorClass::Shape`] if the array has no axes, and so no rows.
    pub fn new(array: Array) -> Result<Self> {
        if array.shape().is_empty() {
            return Err(array.locate(Error::new(
                ErrorClass::Shape,
                "an array without axes has no rows; expected at least one dimension",
            )));
        }
        Ok(Self {
            part: None,
            row_shape: array.shape()[1..].to_vec(),
            stages: Stages::new(array.dtype()),
            array,
        })
    }

    /// The array behind the column.
    pub fn array(&self) -> &Array {
        &self.array
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.array.shape()[0]
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
        let whole = self.part.clone().unwrap_or(0..self.array.shape()[1]);
        let as_stored = whole.len() == len && self.row_shape[1..] == self.array.shape()[2..];
        if !as_stored || self.stages.has_channels() {
            return refuse(
                ErrorClass::Usage,
                "slice a column before it is reshaped or normalized".to_owned(),
            );
        }
        self.row_shape[0] = part.len();
        self.part = Some(whole.start + part.start..whole.start + part.end);
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
    /// [`ErrorClass::Row`] if a row is outside the array, and what the file system says.
    ///
    /// # Panics
    ///
    /// Panics if `out` is not `rows.len()` times [`row_bytes`](Self::row_bytes) long, or not aligned
    /// for the dtype; a [`Buffer`](crate::Buffer) always is.
    pub fn gather(&self, rows: &[usize], out: &mut [u8]) -> Result<()> {
        assert_eq!(out.len(), rows.len() * self.row_bytes(), "wrong length");
        assert_eq!(
            out.as_ptr().align_offset(self.dtype().size()),
            0,
            "not aligned"
        );
        if let Some(row) = rows.iter().find(|row| **row >= self.rows()) {
            return Err(self.array.locate(Error::new(
                ErrorClass::Row,
                format!("row {row} of {}", self.rows()),
            )));
        }
        self.gather_inside(rows, out)
            .map_err(|error| self.array.locate(error))
    }

    fn gather_inside(&self, rows: &[usize], out: &mut [u8]) -> Result<()> {
        if out.is_empty() {
            return Ok(());
        }
        let native = self.array.byte_order() == ByteOrder::NATIVE || self.array.dtype().size() == 1;
        let source = self.stored_rows();
        match (self.array.storage().bytes(), source) {
            (Some(bytes), Some(source)) if native => {
                let source = Rows {
                    bytes: &bytes[self.array.data_offset() as usize..][..self.array.nbytes()],
                    ..source
                };
                let per_block = (BLOCK_BYTES / self.row_bytes()).max(1);
                // A single step needs no blocks: nothing has to stay in the cache.
                let per_block = if self.stages.is_single_pass() {
                    rows.len()
                } else {
                    per_block
                };
                self.blocks(rows, out, per_block, |of, ahead, out, scratch| {
                    self.run_stages(source, of, ahead, out, scratch);
                    Ok(())
                })
            }
            _ => {
                let stored_row = self.row_len() * self.array.dtype().size();
                let per_block = (READ_BYTES / stored_row.max(self.row_bytes())).max(1);
                let mut loaded = vec![0_u64; (per_block.min(rows.len()) * stored_row).div_ceil(8)];
                let loaded: &mut [u8] = bytemuck::cast_slice_mut(&mut loaded);
                let numbers: Vec<_> = (0..per_block.min(rows.len())).collect();
                self.blocks(rows, out, per_block, |of, _, out, scratch| {
                    let loaded = &mut loaded[..of.len() * stored_row];
                    self.load(of, loaded)?;
                    if !native {
                        array::swap_bytes(loaded, self.array.dtype().size());
                    }
                    let source = Rows {
                        bytes: loaded,
                        first: 0,
                        stride: stored_row,
                        row_bytes: stored_row,
                    };
                    self.run_stages(source, &numbers[..of.len()], &[], out, scratch);
                    Ok(())
                })
            }
        }
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
        of: &[usize],
        ahead: &[usize],
        out: &mut [u8],
        scratch: &mut [Vec<u64>; 2],
    ) {
        match &*self.stages.stages {
            [] => gather::copy(source, of, ahead, out),
            [stage] => gather::convert(source, of, ahead, stage, out),
            [first, middle @ .., last] => {
                let [current, next] = scratch;
                let bytes = |scratch: &mut Vec<u64>, dtype: DType| {
                    let len = of.len() * self.row_len() * dtype.size();
                    scratch.resize(len.div_ceil(8), 0);
                    len
                };
                let mut len = bytes(current, first.to);
                let out_first = &mut bytemuck::cast_slice_mut(current)[..len];
                gather::convert(source, of, ahead, first, out_first);
                let numbers: Vec<_> = (0..of.len()).collect();
                for stage in middle {
                    let next_len = bytes(next, stage.to);
                    let rows = whole_rows(&bytemuck::cast_slice(current)[..len], of.len());
                    let out = &mut bytemuck::cast_slice_mut(next)[..next_len];
                    gather::convert(rows, &numbers, &[], stage, out);
                    std::mem::swap(current, next);
                    len = next_len;
                }
                let rows = whole_rows(&bytemuck::cast_slice(current)[..len], of.len());
                gather::convert(rows, &numbers, &[], last, out);
            }
        }
    }

    /// Where the rows are, if each is one piece of memory; `bytes` is left to the caller.
    fn stored_rows(&self) -> Option<Rows<'static>> {
        let shape = self.array.shape();
        let itemsize = self.array.dtype().size();
        // With one number a row, or one row, the layouts are the same.
        let row_major = self.array.layout() == Layout::C
            || shape[1..].iter().product::<usize>() <= 1
            || shape[0] == 1 && shape.iter().filter(|len| **len > 1).count() <= 1;
        row_major.then(|| {
            let stride = shape[1..].iter().product::<usize>() * itemsize;
            let skipped = self.part.as_ref().map_or(0, |part| part.start);
            let inner = shape.iter().skip(2).product::<usize>();
            Rows {
                bytes: &[],
                first: skipped * inner * itemsize,
                stride,
                row_bytes: self.row_len() * itemsize,
            }
        })
    }

    /// Loads the stored elements of rows, one row after the other, each in C order.
    fn load(&self, of: &[usize], out: &mut [u8]) -> Result<()> {
        let storage = self.array.storage();
        let offset = self.array.data_offset();
        if let Some(rows) = self.stored_rows() {
            return load_rows(storage, offset, rows, of, out);
        }
        self.load_fortran(storage, offset, of, out)
    }

    /// Rows of a Fortran array: element by element, each `shape[0]` elements from the one before it
    /// along axis 1. That is one cache line, or one read, an element; the array is never transposed as
    /// a whole.
    fn load_fortran(
        &self,
        storage: &Storage,
        offset: u64,
        of: &[usize],
        out: &mut [u8],
    ) -> Result<()> {
        let itemsize = self.array.dtype().size();
        let shape = self.array.shape();
        let mut part = shape[1..].to_vec();
        let mut first = 0;
        if let Some(range) = &self.part {
            part[0] = range.len();
            first = range.start * shape[0];
        }
        let bytes = storage
            .bytes()
            .map(|bytes| &bytes[offset as usize..][..self.array.nbytes()]);
        let mut index = vec![0; part.len()];
        let mut element = first;
        for i in 0..self.row_len() {
            for (row, &of) in of.iter().enumerate() {
                let to = &mut out[(row * self.row_len() + i) * itemsize..][..itemsize];
                let at = (element + of) * itemsize;
                match bytes {
                    Some(bytes) => to.copy_from_slice(&bytes[at..][..itemsize]),
                    None => storage.read_at(offset + at as u64, to)?,
                }
            }
            // The next element in C order: the last axis counts fastest.
            let mut stride = shape.iter().product::<usize>();
            for axis in (0..part.len()).rev() {
                stride /= shape[axis + 1];
                index[axis] += 1;
                element += stride;
                if index[axis] < part[axis] {
                    break;
                }
                element -= index[axis] * stride;
                index[axis] = 0;
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
