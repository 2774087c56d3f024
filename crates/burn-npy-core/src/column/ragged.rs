//! Rows of any length: each is a run of the items of an array.

mod gather;
mod items;
mod mapped;

use std::fmt;
use std::ops::Range;
use std::path::Path;

use super::Column;
use super::origin::{locate_in, no_row, one_file};
use crate::buffer::with_capacity;
use crate::gather::prefetch_slice;
use crate::order::keys::mix;
use crate::order::shared::Shared;
use crate::row_map::RowMap;
use crate::{Array, Convert, DType, Error, ErrorKind, Result};

use mapped::Step;

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
#[derive(Clone)]
pub struct RaggedColumn {
    /// The items, one array after the other. Each column is one of an array.
    parts: Shared<Column>,
    /// The number of the first item of each part. Between two parts one number is left out, so that
    /// the start of a row without items tells its part too.
    starts: Shared<usize>,
    pub(super) rows: Shared<Run>,
    /// The transforms of the rows of each part, one after the other, if there are any.
    steps: Option<Shared<Vec<Step>>>,
    longest: usize,
    /// As [`Column::is_random`].
    is_random: bool,
}

/// Items that are a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub(super) start: usize,
    pub(super) len: usize,
}

/// As that of [`Column`], without the arrays: what is done to rows, and which ones there are.
impl fmt::Debug for RaggedColumn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = hash(self.rows.iter().flat_map(|run| [run.start, run.len]));
        f.debug_struct("RaggedColumn")
            .field("parts", &&*self.parts)
            .field("rows", &format_args!("{} {rows:016x}", self.rows.len()))
            .field("steps", &self.steps.as_deref())
            .finish_non_exhaustive()
    }
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
            items += part.rows + 1;
        }
        Self {
            parts: parts.into(),
            starts: starts.into(),
            rows: rows.into(),
            steps: None,
            longest: 0,
            is_random: false,
        }
        .measured()
    }

    /// The same column, with the length of its longest row.
    fn measured(self) -> Self {
        Self {
            longest: self.lengths().max().unwrap_or(0),
            ..self
        }
    }

    /// The rows of several columns, one column after the other.
    ///
    /// # Errors
    ///
    /// Those of [`Column::chain`], if the items are not alike.
    pub fn chain(columns: impl IntoIterator<Item = Self>) -> Result<Self> {
        let (mut parts, mut rows, mut items) = (Vec::new(), Vec::new(), 0_usize);
        let (mut steps, mut ends) = (Vec::new(), Vec::new());
        let mut is_random = false;
        for column in columns {
            is_random |= column.is_random;
            let moved = |row: &Run| Run {
                start: row.start + items,
                len: row.len,
            };
            rows.extend(column.rows.iter().map(moved));
            parts.extend(column.parts.iter().cloned());
            for (number, part) in column.parts.iter().enumerate() {
                let message = "too many items";
                let too_many = || part.array.locate(Error::new(ErrorKind::Overflow, message));
                let end = items.checked_add(part.rows);
                items = end
                    .and_then(|end| end.checked_add(1))
                    .ok_or_else(too_many)?;
                steps.push(column.steps_of(number).to_vec());
                ends.push(column.end(number).clone());
            }
        }
        // An error if they are not alike.
        Column::chain(ends)?;
        let is_mapped = steps.iter().any(|steps| !steps.is_empty());
        let chained = Self {
            steps: is_mapped.then(|| steps.into()),
            is_random,
            ..Self::new(parts, rows)
        };
        Ok(chained.measured())
    }

    /// The rows that a map gives. The map must be one of the rows of this column.
    pub(crate) fn pick(&self, map: &RowMap) -> Result<Self> {
        if map.is_identity() && map.len() == self.rows.len() {
            return Ok(self.clone());
        }
        let mut rows = with_capacity(map.len())?;
        rows.extend((0..map.len()).map(|row| self.rows[map.map(row)]));
        let picked = Self {
            rows: rows.into(),
            is_random: self.is_random || map.is_random(),
            ..self.clone()
        };
        Ok(picked.measured())
    }

    /// The same rows, with changed items.
    pub(crate) fn change_items(
        &self,
        mut change: impl FnMut(Column) -> Result<Column>,
    ) -> Result<Self> {
        let (mut parts, mut steps) = (
            self.parts.to_vec(),
            self.steps.as_deref().map(<[_]>::to_vec),
        );
        for (number, part) in parts.iter_mut().enumerate() {
            let of_part = steps.as_mut().and_then(|steps| steps[number].last_mut());
            let items = of_part.map_or(part, |step| &mut step.items);
            *items = change(items.clone())?;
        }
        Ok(Self {
            parts: parts.into(),
            steps: steps.map(Shared::from),
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
        (0..self.rows.len()).map(|row| self.length(row))
    }

    /// How many items a row has.
    ///
    /// # Panics
    ///
    /// Panics if there is no such row.
    pub fn length(&self, row: usize) -> usize {
        let len = self.rows[row].len;
        match &self.steps {
            None => len,
            Some(steps) => mapped::length_after(&steps[self.part_of(row)], len),
        }
    }

    /// How many items the longest row has.
    pub fn longest(&self) -> usize {
        self.longest
    }

    /// The shape of an item; empty if it is one number. A row has an axis more, the first one.
    pub fn item_shape(&self) -> &[usize] {
        self.end(0).row_shape()
    }

    /// The dtype of the elements after the conversion.
    pub fn dtype(&self) -> DType {
        self.end(0).dtype()
    }

    /// The size of an item in bytes after the conversion.
    pub fn item_bytes(&self) -> usize {
        self.end(0).row_bytes()
    }

    fn expect_rows(&self, rows: &[usize]) -> Result<()> {
        let Some(row) = rows.iter().find(|row| **row >= self.rows.len()) else {
            return Ok(());
        };
        let arrays: Vec<_> = self.arrays().collect();
        Err(no_row(*row, self.rows.len(), &arrays))
    }

    /// As [`Column::is_random`].
    pub(crate) fn is_random(&self) -> bool {
        self.is_random
    }

    /// The file, if all rows are of one.
    pub(crate) fn file(&self) -> Option<&Path> {
        one_file(&self.arrays().collect::<Vec<_>>())
    }

    /// Adds the file to an error, if all rows are of one.
    fn locate_all(&self, error: Error) -> Error {
        locate_in(&self.arrays().collect::<Vec<_>>(), error)
    }

    fn part_of(&self, row: usize) -> usize {
        let start = self.rows[row].start;
        self.starts.partition_point(|first| *first <= start) - 1
    }

    /// The part that has the items of a row, and which of its items they are.
    fn locate(&self, row: usize) -> (usize, Range<usize>) {
        let (part, run) = (self.part_of(row), self.rows[row]);
        let start = run.start - self.starts[part];
        (part, start..start + run.len)
    }

    /// The items of all parts as one column, and which of them each row has.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`] if transforms make the rows; those of [`Column::chain`].
    pub(crate) fn flat(&self) -> Result<(Column, Vec<Range<usize>>)> {
        let items = Column::chain(self.parts.iter().cloned())?;
        if self.steps.is_some() {
            let message = "transforms make these rows, so they are no parts of an array; \
                           dataset.cache()? makes them once, and cache_in in files";
            return Err(items.locate(Error::new(ErrorKind::Usage, message)));
        }
        let mut runs = with_capacity(self.rows.len())?;
        runs.extend(self.runs().map(|run| run.start..run.start + run.len));
        Ok((items, runs))
    }

    /// The items of each row, counted over all parts.
    pub(super) fn runs(&self) -> impl Iterator<Item = Run> + '_ {
        let run = |(row, run): (usize, &Run)| Run {
            // One number is left out after each part.
            start: run.start - self.part_of(row),
            len: run.len,
        };
        self.rows.iter().enumerate().map(run)
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
        if let Some(source) = self.parts[part].items_in_memory()
            && run.len > 0
        {
            prefetch_slice(source.run(items));
        }
    }

    /// The same rows, with changed items before all transforms.
    pub(super) fn change_parts(&self, change: impl FnMut(&Column) -> Column) -> Self {
        let parts = self.parts.iter().map(change);
        Self {
            parts: parts.collect::<Vec<_>>().into(),
            ..self.clone()
        }
    }

    /// The rows before all transforms, read by position if their files are mapped.
    pub(crate) fn source_by_position(&self) -> Self {
        let source = Self {
            steps: None,
            ..self.change_parts(Column::by_position)
        };
        source.measured()
    }

    /// The columns of the items, and which of their items some rows have, for
    /// [`readahead`](Column::readahead).
    pub(crate) fn visit(&self, rows: &[usize], f: &mut dyn FnMut(&Column, &[Range<usize>])) {
        let mut places: Vec<_> = rows.iter().map(|row| self.locate(*row)).collect();
        // It keeps the order of the rows of a part.
        places.sort_by_key(|(part, _)| *part);
        for places in places.chunk_by(|a, b| a.0 == b.0) {
            let runs: Vec<_> = places.iter().map(|(_, run)| run.clone()).collect();
            f(&self.parts[places[0].0], &runs);
        }
    }

    /// The columns of the items.
    pub(crate) fn items(&self) -> &[Column] {
        &self.parts
    }

    /// How many items the longest row has before all transforms.
    pub(crate) fn longest_source(&self) -> usize {
        self.rows.iter().map(|row| row.len).max().unwrap_or(0)
    }
}

/// A hash of some numbers.
fn hash(numbers: impl Iterator<Item = usize>) -> u64 {
    numbers.fold(0, |hash: u64, number| {
        mix(hash.rotate_left(5) ^ number as u64)
    })
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
