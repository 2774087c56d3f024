//! Rows of any length: each is a run of the items of an array.

use std::ops::Range;

use ndarray::ArrayD;

use super::gather::{BLOCK_BYTES, Scratch, room, whole_rows};
use super::{Column, array_of};
use crate::buffer::with_capacity;
use crate::convert::Stage;
use crate::gather::{Misfit, Rows, Schedule, prefetch_slice};
use crate::order::shared::Shared;
use crate::row_map::RowMap;
use crate::{Array, Buffer, Convert, DType, Element, Error, ErrorKind, Result};

/// Rows of any length. The rows of an array are items, and each row of the column is a run of them:
/// a text is a run of tokens, a cloud one of points.
///
/// It takes 16 bytes of memory a row. Clones share it.
///
/// # Example
///
/// ```
/// # extern crate burn_npy_core as burn_npy;
/// use burn_npy::file::RaggedColumn;
///
/// # fn main() -> burn_npy::Result<()> {
/// let tokens = vec![10, 11, 20, 30, 31, 32];
/// let column = RaggedColumn::from_offsets(tokens.into(), &vec![0_i64, 2, 3, 6].into())?;
/// assert_eq!(column.row::<i32>(2)?.as_slice(), Some(&[30, 31, 32][..]));
/// assert_eq!(column.lengths().collect::<Vec<_>>(), [2, 1, 3]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct RaggedColumn {
    /// The items, one array after the other. Each column is one of an array.
    pub(super) parts: Shared<Column>,
    /// The first item of each part, counted over all of them.
    starts: Shared<usize>,
    pub(super) rows: Shared<Run>,
    longest: usize,
}

/// Items that are a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub(super) start: usize,
    pub(super) len: usize,
}

impl RaggedColumn {
    /// Row `i` has the items `offsets[i]..offsets[i + 1]`, so `n` rows have `n + 1` offsets.
    ///
    /// # Errors
    ///
    /// Those of [`Column::new`] for the items and of [`Column::read`] for the offsets;
    /// [`ErrorKind::Shape`] and [`ErrorKind::Dtype`] if the offsets are not a list of integers;
    /// [`ErrorKind::Value`] if an offset is negative, less than the one before it, or beyond the
    /// items. Items before the first offset and after the last one belong to no row.
    pub fn from_offsets(items: Array, offsets: &Array) -> Result<Self> {
        let items = Column::new(items)?;
        let locate = |error| offsets.locate(error);
        let list = integers(offsets, "offset")?;
        let wrong = |message: String| Err(locate(Error::new(ErrorKind::Value, message)));
        if list.is_empty() {
            let message = "no offsets; n rows have n + 1 of them, and no rows have one";
            return Err(locate(Error::new(ErrorKind::Shape, message)));
        }
        let mut rows = with_capacity(list.len() - 1).map_err(locate)?;
        for (row, pair) in list.windows(2).enumerate() {
            let [start, end] = [pair[0], pair[1]];
            if end < start {
                return wrong(format!(
                    "offset {} is {end}, less than offset {row}, which is {start}: row {row} would \
                     end before it begins; if these are lengths, use from_lengths",
                    row + 1
                ));
            }
            if end > items.rows {
                return wrong(format!(
                    "offset {} is {end}, but there are {} items: row {row} would end after the \
                     last one; take the offsets that were saved with these items",
                    row + 1,
                    items.rows
                ));
            }
            let len = end - start;
            rows.push(Run { start, len });
        }
        if list[0] > items.rows {
            let (first, count) = (list[0], items.rows);
            return wrong(format!("offset 0 is {first}, but there are {count} items"));
        }
        Ok(Self::new(vec![items], rows))
    }

    /// Row `i` has `lengths[i]` items, from where the row before it ends.
    ///
    /// # Errors
    ///
    /// Those of [`Column::new`] for the items and of [`Column::read`] for the lengths;
    /// [`ErrorKind::Shape`] and [`ErrorKind::Dtype`] if the lengths are not a list of integers;
    /// [`ErrorKind::Value`] if a length is negative, or if their sum is not the number of items.
    pub fn from_lengths(items: Array, lengths: &Array) -> Result<Self> {
        let items = Column::new(items)?;
        let locate = |error| lengths.locate(error);
        let list = integers(lengths, "length")?;
        let wrong = |message: String| Err(locate(Error::new(ErrorKind::Value, message)));
        let mut rows = with_capacity(list.len()).map_err(locate)?;
        let mut start = 0;
        for (row, len) in list.into_iter().enumerate() {
            if len > items.rows - start {
                return wrong(format!(
                    "length {row} is {len}, but only {} of {} items are left for row {row}; if \
                     these are offsets, use from_offsets",
                    items.rows - start,
                    items.rows
                ));
            }
            rows.push(Run { start, len });
            start += len;
        }
        if start < items.rows {
            return wrong(format!(
                "the lengths add up to {start}, but there are {} items; take the lengths that were \
                 saved with these items",
                items.rows
            ));
        }
        Ok(Self::new(vec![items], rows))
    }

    fn new(parts: Vec<Column>, rows: Vec<Run>) -> Self {
        let mut starts = Vec::with_capacity(parts.len());
        let mut items = 0;
        for part in &parts {
            starts.push(items);
            items += part.rows;
        }
        Self {
            parts: parts.into(),
            starts: starts.into(),
            longest: rows.iter().map(|row| row.len).max().unwrap_or(0),
            rows: rows.into(),
        }
    }

    /// The rows of several columns, one column after the other.
    ///
    /// # Errors
    ///
    /// Those of [`Column::chain`], if the items are not alike.
    pub fn chain(columns: impl IntoIterator<Item = Self>) -> Result<Self> {
        let (mut parts, mut rows, mut items) = (Vec::new(), Vec::new(), 0_usize);
        for column in columns {
            let moved = |row: &Run| Run {
                start: row.start + items,
                len: row.len,
            };
            rows.extend(column.rows.iter().map(moved));
            parts.extend(column.parts.iter().cloned());
            for part in column.parts.iter() {
                let message = "too many items";
                let too_many = || part.array.locate(Error::new(ErrorKind::Overflow, message));
                items = items.checked_add(part.rows).ok_or_else(too_many)?;
            }
        }
        // An error if they are not alike.
        Column::chain(parts.iter().cloned())?;
        Ok(Self::new(parts, rows))
    }

    /// The rows that a map gives. The map must be one of the rows of this column.
    pub(crate) fn pick(&self, map: &RowMap) -> Result<Self> {
        if map.is_identity() && map.len() == self.rows.len() {
            return Ok(self.clone());
        }
        let mut rows = with_capacity(map.len())?;
        rows.extend((0..map.len()).map(|row| self.rows[map.map(row)]));
        Ok(Self {
            longest: rows.iter().map(|row: &Run| row.len).max().unwrap_or(0),
            rows: rows.into(),
            ..self.clone()
        })
    }

    /// The same rows, with changed items.
    pub(crate) fn change_items(
        &self,
        change: impl FnMut(Column) -> Result<Column>,
    ) -> Result<Self> {
        let parts = self.parts.iter().cloned().map(change);
        Ok(Self {
            parts: parts.collect::<Result<Vec<_>>>()?.into(),
            ..self.clone()
        })
    }

    /// Converts the elements of each item, after the conversions that were added before.
    ///
    /// # Errors
    ///
    /// Those of [`Column::convert`].
    pub fn convert(&self, convert: Convert) -> Result<Self> {
        self.change_items(|items| items.convert(convert.clone()))
    }

    /// Gives each item another shape with the same number of elements, in C order.
    ///
    /// # Errors
    ///
    /// Those of [`Column::reshape`].
    pub fn reshape(&self, item_shape: &[usize]) -> Result<Self> {
        self.change_items(|items| items.reshape(item_shape))
    }

    /// The arrays of the items.
    pub fn arrays(&self) -> impl Iterator<Item = &Array> {
        self.parts.iter().map(|part| &part.array)
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// How many items each row has.
    pub fn lengths(&self) -> impl ExactSizeIterator<Item = usize> + '_ {
        self.rows.iter().map(|row| row.len)
    }

    /// How many items a row has.
    ///
    /// # Panics
    ///
    /// Panics if there is no such row.
    pub fn length(&self, row: usize) -> usize {
        self.rows[row].len
    }

    /// How many items the longest row has.
    pub fn longest(&self) -> usize {
        self.longest
    }

    /// The shape of an item; empty if it is one number. A row has an axis more, the first one.
    pub fn item_shape(&self) -> &[usize] {
        self.parts[0].row_shape()
    }

    /// The dtype of the elements after the conversion.
    pub fn dtype(&self) -> DType {
        self.parts[0].dtype()
    }

    /// The size of an item in bytes after the conversion.
    pub fn item_bytes(&self) -> usize {
        self.parts[0].row_bytes()
    }

    /// One row as an array of the shape `[length, ...item_shape]`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Dtype`] if `T` is not the dtype of the column after its conversion, and those
    /// of [`gather`](Self::gather).
    pub fn row<T: Element>(&self, row: usize) -> Result<ArrayD<T>> {
        if self.dtype() != T::DTYPE {
            let message = format!("the column is {}, asked for {}", self.dtype(), T::DTYPE);
            return Err(self.parts[0]
                .array
                .locate(Error::new(ErrorKind::Dtype, message)));
        }
        self.expect_rows(&[row])?;
        let len = self.rows[row].len;
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
    /// element.
    ///
    /// # Errors
    ///
    /// Those of [`Column::gather`].
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
        self.gather_to(rows, |index| index, length, padding, out)
    }

    /// As [`gather`](Self::gather), each row to a place of its own among those in `out`.
    pub(crate) fn gather_to(
        &self,
        rows: &[usize],
        place: impl Fn(usize) -> usize,
        length: usize,
        padding: &[u8],
        out: &mut [u8],
    ) -> Result<()> {
        let off = out.as_ptr().align_offset(self.dtype().size());
        assert_eq!(off, 0, "not aligned");
        self.expect_rows(rows)?;
        let parts = self.parts_of(rows);
        // As in the gather of other columns: before, because of the signal, and after.
        self.check_parts(&parts)?;
        let gathered = self.gather_checked(rows, place, length, padding, out);
        self.check_parts(&parts)?;
        gathered
    }

    fn gather_checked(
        &self,
        rows: &[usize],
        place: impl Fn(usize) -> usize,
        length: usize,
        padding: &[u8],
        out: &mut [u8],
    ) -> Result<()> {
        let (room, item_bytes) = (length * self.item_bytes(), self.item_bytes());
        let mut scratch = ItemScratch::default();
        for (index, &row) in rows.iter().enumerate() {
            if let Some(later) = rows.get(index + crate::gather::NEAR) {
                self.prefetch(*later);
            }
            let len = self.rows[row].len;
            let out = &mut out[place(index) * room..][..room];
            let (items, rest) = out.split_at_mut(len * item_bytes);
            fill(rest, padding);
            let (part, of_part) = self.locate(row);
            part.load_items(of_part, items, &mut scratch)
                .map_err(|failure| match failure {
                    ItemFailure::Error(error) => error,
                    ItemFailure::Misfit(stage, misfit) => {
                        let place = format!("row {row}, element {},", misfit.element);
                        part.array.locate(part.misfit_at(&place, stage, &misfit))
                    }
                })?;
        }
        Ok(())
    }

    fn expect_rows(&self, rows: &[usize]) -> Result<()> {
        let Some(row) = rows.iter().find(|row| **row >= self.rows.len()) else {
            return Ok(());
        };
        let error = Error::new(ErrorKind::Row, format!("row {row} of {}", self.rows.len()));
        Err(self.parts[0].array.locate(error))
    }

    fn part_of(&self, row: usize) -> usize {
        let start = self.rows[row].start;
        // An empty row may start at the end of all items.
        self.starts.partition_point(|first| *first <= start) - 1
    }

    /// The array that has the items of a row, and which of its items they are.
    fn locate(&self, row: usize) -> (&Column, Range<usize>) {
        let (part, run) = (self.part_of(row), self.rows[row]);
        let start = run.start - self.starts[part];
        (&self.parts[part], start..start + run.len)
    }

    /// The parts that have the items of some rows.
    fn parts_of(&self, rows: &[usize]) -> Vec<usize> {
        if self.parts.len() == 1 {
            return vec![0];
        }
        let mut parts: Vec<usize> = rows.iter().map(|row| self.part_of(*row)).collect();
        parts.sort_unstable();
        parts.dedup();
        parts
    }

    fn check_parts(&self, parts: &[usize]) -> Result<()> {
        parts
            .iter()
            .try_for_each(|part| self.parts[*part].check_own())
    }

    /// Has the processor fetch the start of a row, if it lies in memory.
    fn prefetch(&self, row: usize) {
        let Some(run) = self.rows.get(row) else {
            return;
        };
        let (part, items) = self.locate(row);
        if let Some(source) = part.items_in_memory()
            && run.len > 0
        {
            prefetch_slice(source.run(items));
        }
    }

    pub(crate) fn by_position(&self) -> Self {
        let parts = self.parts.iter().map(Column::by_position);
        Self {
            parts: parts.collect::<Vec<_>>().into(),
            ..self.clone()
        }
    }

    /// The columns of the items, and which of their items some rows have, for
    /// [`readahead`](Column::readahead).
    pub(crate) fn visit(&self, rows: &[usize], f: &mut dyn FnMut(&Column, &[Range<usize>])) {
        for part in self.parts_of(rows) {
            let of_part = rows.iter().filter(|row| self.part_of(**row) == part);
            let runs: Vec<_> = of_part.map(|row| self.locate(*row).1).collect();
            f(&self.parts[part], &runs);
        }
    }

    /// The columns of the items.
    pub(crate) fn items(&self) -> &[Column] {
        &self.parts
    }
}

/// Items that lie one after the other in memory.
struct Items<'a> {
    bytes: &'a [u8],
    item_bytes: usize,
}

impl<'a> Items<'a> {
    fn run(&self, items: Range<usize>) -> &'a [u8] {
        &self.bytes[items.start * self.item_bytes..items.end * self.item_bytes]
    }
}

enum ItemFailure<'a> {
    Error(Error),
    Misfit(&'a Stage, Misfit),
}

/// Memory for items on their way.
#[derive(Default)]
struct ItemScratch {
    stages: Scratch,
    loaded: Vec<u64>,
    numbers: Vec<usize>,
}

impl Column {
    /// The rows, if each follows the one before it in memory, in the byte order of the machine.
    fn items_in_memory(&self) -> Option<Items<'_>> {
        let source = self.rows_in_memory()?;
        (source.stride == source.row_bytes).then(|| Items {
            bytes: &source.bytes[source.first..],
            item_bytes: source.row_bytes,
        })
    }

    /// Copies neighbouring rows, converted, into `out`. They exist, and `out` has room for them.
    fn load_items<'c>(
        &'c self,
        items: Range<usize>,
        out: &mut [u8],
        scratch: &mut ItemScratch,
    ) -> std::result::Result<(), ItemFailure<'c>> {
        if out.is_empty() {
            return Ok(());
        }
        let (size, made) = (self.numbers.dtype.size(), self.row_bytes());
        let stored = self.row_len() * size;
        let source = self.items_in_memory();
        let per_block = match &source {
            Some(_) if self.stages.is_single_pass() => items.len(),
            Some(_) => (BLOCK_BYTES / stored.max(made)).max(1),
            None => self.rows_per_block(stored.max(made)),
        };
        let mut start = items.start;
        for out in out.chunks_mut(per_block * made) {
            let block = start..start + out.len() / made;
            let first = (start - items.start) * self.row_len();
            start = block.end;
            let loaded = match &source {
                Some(source) => source.run(block),
                None => {
                    scratch.numbers.clear();
                    scratch.numbers.extend(block.clone());
                    let plain = self.stages.stages.is_empty();
                    let place = match plain {
                        true => &mut *out,
                        false => room(&mut scratch.loaded, block.len() * stored),
                    };
                    self.load_native(&scratch.numbers, place)
                        .map_err(|error| ItemFailure::Error(self.array.locate(error)))?;
                    if plain {
                        continue;
                    }
                    &bytemuck::cast_slice(&scratch.loaded)[..block.len() * stored]
                }
            };
            if self.stages.stages.is_empty() {
                out.copy_from_slice(loaded);
                continue;
            }
            // All of them as one row.
            let rows: Rows<'_> = whole_rows(loaded, 1);
            self.run_stages(rows, Schedule::cached(&[0]), out, &mut scratch.stages)
                .map_err(|(stage, misfit)| {
                    let element = first + misfit.element;
                    ItemFailure::Misfit(stage, Misfit { element, ..misfit })
                })?;
        }
        Ok(())
    }
}

/// Fills memory with an element. It is aligned for it.
fn fill(out: &mut [u8], element: &[u8]) {
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

/// The numbers of a list, none of them negative. `what` is one of them in a message.
fn integers(array: &Array, what: &str) -> Result<Vec<usize>> {
    let refuse = |kind, message| Err(array.locate(Error::new(kind, message)));
    let shape = array.shape();
    if shape.len() != 1 {
        return refuse(
            ErrorKind::Shape,
            format!("{what}s are a list of integers, found an array of shape {shape:?}"),
        );
    }
    let column = Column::new(array.clone())?;
    if !column.dtype().is_int() {
        return refuse(
            ErrorKind::Dtype,
            format!(
                "{what}s are integers, found {}; save them as int64",
                column.dtype()
            ),
        );
    }
    let locate = |error| array.locate(error);
    let mut rows = with_capacity(column.rows).map_err(locate)?;
    rows.extend(0..column.rows);
    let mut list = with_capacity(column.rows).map_err(locate)?;
    if column.dtype() == DType::U64 {
        // One beyond the memory of the machine is beyond the items too.
        let numbers = column.read::<u64>(&rows)?;
        list.extend(
            numbers
                .iter()
                .map(|n| usize::try_from(*n).unwrap_or(usize::MAX)),
        );
        return Ok(list);
    }
    let numbers = column.convert(Convert::to::<i64>())?.read::<i64>(&rows)?;
    for (index, number) in numbers.iter().enumerate() {
        let Ok(number) = usize::try_from(*number) else {
            let message = format!("{what} {index} is {number}, and none is below 0");
            return refuse(ErrorKind::Value, message);
        };
        list.push(number);
    }
    Ok(list)
}

#[cfg(test)]
mod tests;
