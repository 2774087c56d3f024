//! The gather of rows of any length: padded, or one after the other.

use std::ops::Range;

use ndarray::ArrayD;

use super::RaggedColumn;
use super::items::RowPlace;
use super::mapped::{Made, RowScratch};
use crate::buffer::with_capacity;
use crate::column::{Draws, array_of};
use crate::{Buffer, Element, Error, ErrorKind, Result};

impl RaggedColumn {
    /// One row as an array of the shape `[length, ...item_shape]`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Dtype`] if `T` is not the dtype of the column after its conversion, and those
    /// of [`gather`](Self::gather).
    pub fn row<T: Element>(&self, row: usize) -> Result<ArrayD<T>> {
        self.expect_dtype::<T>()?;
        self.expect_rows(&[row])?;
        let len = self.length(row);
        let mut out = Buffer::zeroed(self.bytes_of(len, 1)?)?;
        let nothing = vec![0; self.dtype().size()];
        self.gather(&[row], len, &nothing, out.as_mut_slice())?;
        let shape = std::iter::once(len).chain(self.item_shape().iter().copied());
        array_of(out.as_slice(), shape.collect())
    }

    /// The size in bytes of `rows` rows that are padded to `length` items.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Overflow`] if no memory can hold them.
    pub fn bytes_of(&self, length: usize, rows: usize) -> Result<usize> {
        let bytes = length.checked_mul(self.item_bytes());
        let bytes = bytes.and_then(|bytes| bytes.checked_mul(rows));
        let bytes = bytes.filter(|bytes| isize::try_from(*bytes).is_ok());
        bytes.ok_or_else(|| {
            let message = format!("{rows} rows, padded to {length} items, are beyond all memory");
            Error::new(ErrorKind::Overflow, message)
        })
    }

    /// Copies rows, converted, one after the other into `out`, in the byte order of the machine.
    /// Each has room for `length` items, and what it does not fill gets the padding, which is one
    /// element. For a transform that draws random numbers, the position of a row is its number.
    ///
    /// # Errors
    ///
    /// Those of [`Column::gather`](crate::file::Column::gather), and those of transforms.
    ///
    /// # Panics
    ///
    /// Panics if a row is longer than `length`, if `out` does not have the size that
    /// [`bytes_of`](Self::bytes_of) gives or is not aligned for the dtype, or if the padding does
    /// not have the size of the dtype.
    pub fn gather(
        &self,
        rows: &[usize],
        length: usize,
        padding: &[u8],
        out: &mut [u8],
    ) -> Result<()> {
        let room = length * self.item_bytes();
        assert_eq!(out.len(), rows.len() * room, "wrong length");
        let place = |index| index * room..(index + 1) * room;
        self.gather_outside(rows, place, padding, out)
    }

    /// The items of some rows as one array of the shape `[items, ...item_shape]`, and the offsets
    /// of the rows in it, as [`from_offsets`](Self::from_offsets) takes them.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Dtype`] if `T` is not the dtype of the column after its conversion,
    /// [`ErrorKind::Overflow`] and [`ErrorKind::Limit`] if the rows do not fit into memory, and
    /// those of [`gather`](Self::gather).
    ///
    /// # Example
    ///
    /// ```
    /// # extern crate burn_npy_core as burn_npy;
    /// use burn_npy::file::RaggedColumn;
    ///
    /// # fn main() -> burn_npy::Result<()> {
    /// let column = RaggedColumn::from_lengths(vec![1, 2, 3].into(), &vec![2_u8, 0, 1].into())?;
    /// let (items, offsets) = column.read::<i32>(&[2, 0])?;
    /// assert_eq!((items.as_slice(), &*offsets), (Some(&[3, 1, 2][..]), &[0, 1, 3][..]));
    /// # Ok(())
    /// # }
    /// ```
    pub fn read<T: Element>(&self, rows: &[usize]) -> Result<(ArrayD<T>, Vec<u64>)> {
        self.expect_dtype::<T>()?;
        self.expect_rows(rows)?;
        let mut offsets = with_capacity(rows.len() + 1)?;
        offsets.push(0_u64);
        let mut items = 0_usize;
        for row in rows {
            let too_many = || Error::new(ErrorKind::Overflow, "more items than memory");
            items = items.checked_add(self.length(*row)).ok_or_else(too_many)?;
            offsets.push(items as u64);
        }
        let mut out = Buffer::zeroed(self.bytes_of(items, 1)?)?;
        self.gather_items(rows, out.as_mut_slice())?;
        let shape = std::iter::once(items).chain(self.item_shape().iter().copied());
        Ok((array_of(out.as_slice(), shape.collect())?, offsets))
    }

    /// Copies the items of rows, converted, one row after the other into `out`, which has the size
    /// of all of them.
    pub(crate) fn gather_items(&self, rows: &[usize], out: &mut [u8]) -> Result<()> {
        self.expect_rows(rows)?;
        let mut ends = with_capacity(rows.len())?;
        let mut end = 0;
        for row in rows {
            end += self.length(*row) * self.item_bytes();
            ends.push(end);
        }
        assert_eq!(out.len(), end, "wrong length");
        let start = |index: usize| index.checked_sub(1).map_or(0, |before| ends[before]);
        self.gather_outside(rows, |index| start(index)..ends[index], &[], out)
    }

    /// Gathers rows outside of an epoch.
    fn gather_outside(
        &self,
        rows: &[usize],
        place: impl Fn(usize) -> Range<usize>,
        padding: &[u8],
        out: &mut [u8],
    ) -> Result<()> {
        let mut positions = Vec::new();
        if self.steps.is_some() {
            positions.extend(rows.iter().map(|row| *row as u64));
        }
        let draws = Draws {
            seed: 0,
            epoch: 0,
            positions: &positions,
        };
        self.gather_drawn(rows, draws, place, padding, out)
    }

    /// As [`gather`](Self::gather), for draws of an epoch, each row to bytes of its own in `out`. A
    /// column without transforms needs no positions.
    pub(crate) fn gather_drawn(
        &self,
        rows: &[usize],
        draws: Draws<'_>,
        place: impl Fn(usize) -> Range<usize>,
        padding: &[u8],
        out: &mut [u8],
    ) -> Result<()> {
        let off = out.as_ptr().align_offset(self.dtype().size());
        assert_eq!(off, 0, "not aligned");
        self.expect_rows(rows)?;
        let parts = self.parts_of(rows);
        // As in the gather of other columns: before, because of the signal, and after.
        self.check_parts(&parts)?;
        let gathered = self.gather_checked(rows, draws, place, padding, out);
        self.check_parts(&parts)?;
        gathered
    }

    fn gather_checked(
        &self,
        rows: &[usize],
        draws: Draws<'_>,
        place: impl Fn(usize) -> Range<usize>,
        padding: &[u8],
        out: &mut [u8],
    ) -> Result<()> {
        let mut scratch = RowScratch::default();
        for (index, &row) in rows.iter().enumerate() {
            if let Some(later) = rows.get(index + crate::gather::NEAR) {
                self.prefetch(*later);
            }
            let out = &mut out[place(index)];
            let (items, rest) = out.split_at_mut(self.length(row) * self.item_bytes());
            fill(rest, padding);
            let (part, of_part) = self.locate(row);
            let steps = self.steps_of(part);
            let part = &self.parts[part];
            let made = Made {
                place: RowPlace {
                    row,
                    first_item: part.array.file().map(|_| of_part.start),
                },
                draws,
                // Only transforms draw.
                position: draws.positions.get(index).copied().unwrap_or(0),
            };
            part.make_items(of_part, steps, made, items, &mut scratch)?;
        }
        Ok(())
    }

    fn expect_dtype<T: Element>(&self) -> Result<()> {
        if self.dtype() == T::DTYPE {
            return Ok(());
        }
        let message = format!("the column is {}, asked for {}", self.dtype(), T::DTYPE);
        Err(self.locate_all(Error::new(ErrorKind::Dtype, message)))
    }
}

/// Fills memory with an element. It is aligned for it.
pub(super) fn fill(out: &mut [u8], element: &[u8]) {
    let Some(&first) = element.first() else {
        return;
    };
    if element.iter().all(|byte| *byte == first) {
        out.fill(first);
        return;
    }
    match *element {
        [a, b] => bytemuck::cast_slice_mut(out).fill(u16::from_ne_bytes([a, b])),
        [a, b, c, d] => bytemuck::cast_slice_mut(out).fill(u32::from_ne_bytes([a, b, c, d])),
        _ => {
            for place in out.chunks_exact_mut(element.len()) {
                place.copy_from_slice(element);
            }
        }
    }
}
