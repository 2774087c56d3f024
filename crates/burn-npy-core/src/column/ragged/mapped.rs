//! Rows of any length that transforms make.
//!
//! How many items a new row has is a function of how many the old one has. It is known as soon as
//! the transform is added, so that rows can be padded, and put together by their lengths, before
//! any of them is read.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use super::items::{ItemScratch, RowPlace};
use super::{RaggedColumn, hash};
use crate::column::gather::room;
use crate::column::{Column, Draws};
use crate::format::header::checked_nbytes;
use crate::order::PositionRng;
use crate::transform::{Ours, RowType, RowView, RowViewMut, Transform};
use crate::{Array, DType, Error, ErrorKind, Result};

/// A transform of the rows of a part.
#[derive(Clone)]
pub(super) struct Step {
    transform: Arc<dyn Transform>,
    /// The length of a new row, for each length that an old row has.
    lengths: Arc<BTreeMap<usize, usize>>,
    /// The shape of a new item.
    item_shape: Vec<usize>,
    /// The new items and what is done to them. It has no rows.
    pub(super) items: Column,
}

/// The row that is made, and its draw.
#[derive(Clone, Copy)]
pub(super) struct Made<'a> {
    pub(super) place: RowPlace,
    pub(super) draws: Draws<'a>,
    pub(super) position: u64,
}

/// The length of a row after some steps. A row that none of them was asked about has no items.
pub(super) fn length_after(steps: &[Step], len: usize) -> usize {
    let next = |len, step: &Step| step.lengths.get(&len).copied().unwrap_or(0);
    steps.iter().fold(len, next)
}

impl RaggedColumn {
    /// The rows that a transform makes of these. The transform runs when rows are gathered.
    ///
    /// A row of `n` items has the shape `[n, ...item_shape]`. [`Transform::output`] is called now,
    /// once for each length that a row has, and the first axis of what it answers is the length of
    /// the new row. So the new length depends on the old one alone. All new rows have items of one
    /// dtype and one shape.
    ///
    /// # Errors
    ///
    /// Those of [`Transform::output`]; [`ErrorKind::Shape`] and [`ErrorKind::Dtype`] if new rows
    /// have no axis, or if their items are not alike; [`ErrorKind::Overflow`] for a new row beyond
    /// all memory.
    ///
    /// # Example
    ///
    /// ```
    /// # extern crate burn_npy_core as burn_npy;
    /// use burn_npy::file::RaggedColumn;
    /// use burn_npy::transform::Truncate;
    ///
    /// # fn main() -> burn_npy::Result<()> {
    /// let tokens = vec![10, 11, 20, 30, 31, 32];
    /// let texts = RaggedColumn::from_lengths(tokens.into(), &vec![2_i64, 1, 3].into())?;
    /// let short = texts.map(Truncate::new(2))?;
    /// assert_eq!(short.lengths().collect::<Vec<_>>(), [2, 1, 2]);
    /// assert_eq!(short.row::<i32>(2)?.as_slice(), Some(&[30, 31][..]));
    /// # Ok(())
    /// # }
    /// ```
    pub fn map(&self, transform: impl Transform) -> Result<Self> {
        self.map_rows(transform, 0..self.rows())
    }

    /// As [`map`](Self::map), if only some of the rows are used.
    pub(crate) fn map_rows(
        &self,
        transform: impl Transform,
        rows: impl Iterator<Item = usize>,
    ) -> Result<Self> {
        // A row of each length.
        let mut examples = BTreeMap::new();
        for row in rows {
            examples.entry(self.length(row)).or_insert(row);
        }
        let transform: Arc<dyn Transform> = Arc::new(transform);
        let old = RowType::new(self.dtype(), self.item_shape());
        let locate = |error| self.locate_all(error);
        let (new, lengths) = outputs(&*transform, &old, &examples).map_err(locate)?;
        let lengths = Arc::new(lengths);
        let step = |array: &Array| Step {
            transform: transform.clone(),
            lengths: lengths.clone(),
            item_shape: new.shape.clone(),
            items: Column::of_type(array.clone(), new.clone()),
        };
        let steps = self.parts.iter().enumerate().map(|(number, part)| {
            let mut steps = self.steps_of(number).to_vec();
            steps.push(step(&part.array));
            steps
        });
        let mapped = Self {
            steps: Some(steps.collect::<Vec<_>>().into()),
            ..self.clone()
        };
        Ok(mapped.measured())
    }

    /// How many transforms, one after the other, make a row.
    pub(crate) fn depth(&self) -> u64 {
        let steps = self.steps.iter().flat_map(|steps| steps.iter());
        steps.map(Vec::len).max().unwrap_or(0) as u64
    }

    /// The transforms of the rows of a part.
    pub(super) fn steps_of(&self, part: usize) -> &[Step] {
        self.steps.as_ref().map_or(&[], |steps| &steps[part])
    }

    /// The items of the rows of a part after all transforms. Where there are some, it has no rows.
    pub(super) fn end(&self, part: usize) -> &Column {
        let last = self.steps_of(part).last();
        last.map_or(&self.parts[part], |step| &step.items)
    }
}

/// What the new items are, and the new length for each of some lengths, of which a row is known.
fn outputs(
    transform: &dyn Transform,
    item: &RowType,
    examples: &BTreeMap<usize, usize>,
) -> Result<(RowType, BTreeMap<usize, usize>)> {
    let output = |len: usize| {
        let shape = std::iter::once(len).chain(item.shape.iter().copied());
        let new = transform.output(&RowType::new(item.dtype, shape.collect::<Vec<_>>()))?;
        checked_nbytes(&new.shape, new.dtype.size())?;
        match new.shape.split_first() {
            Some((len, item_shape)) => Ok((*len, RowType::new(new.dtype, item_shape))),
            None => {
                let message = "the transform makes one number of a row of any length, but such a \
                               row has an axis for its items; give it the shape [1]";
                Err(Error::new(ErrorKind::Shape, message))
            }
        }
    };
    let mut all: Option<RowType> = None;
    let mut lengths = BTreeMap::new();
    for (len, row) in examples {
        let (new_len, new) = output(*len).map_err(|error| match error.kind() {
            ErrorKind::Shape => {
                let message = format!("{}; row {row} has {len} items", error.message());
                Error::new(ErrorKind::Shape, message)
            }
            _ => error,
        })?;
        let known = all.get_or_insert_with(|| new.clone());
        if *known != new {
            let kind = match known.dtype == new.dtype {
                true => ErrorKind::Shape,
                false => ErrorKind::Dtype,
            };
            let message = format!(
                "the transform makes items of {} {:?} of row {row}, which has {len}, but items of \
                 {} {:?} of shorter rows; only the number of items may differ",
                new.dtype, new.shape, known.dtype, known.shape
            );
            return Err(Error::new(kind, message));
        }
        lengths.insert(*len, new_len);
    }
    match all {
        Some(new) => Ok((new, lengths)),
        // Without rows, those of one item say what the items would be.
        None => Ok((output(1)?.1, lengths)),
    }
}

/// Memory for rows between two steps.
#[derive(Default)]
pub(super) struct RowScratch {
    items: ItemScratch,
    row: Vec<u64>,
    next: Vec<u64>,
}

impl Column {
    /// Copies neighbouring rows into `out`, or what some steps make of them as one row.
    pub(super) fn make_items(
        &self,
        items: Range<usize>,
        steps: &[Step],
        made: Made<'_>,
        out: &mut [u8],
        scratch: &mut RowScratch,
    ) -> Result<()> {
        let Some((first, _)) = steps.split_first() else {
            return self.load_items(items, made.place, out, &mut scratch.items);
        };
        let (mut len, mut before) = (items.len(), self);
        let mut lies = self.items_to_see(first, items.clone());
        if lies.is_none() {
            let row = room(&mut scratch.row, len * self.row_bytes());
            self.load_items(items, made.place, row, &mut scratch.items)?;
        }
        for (number, step) in steps.iter().enumerate() {
            let old: &[u8] = match lies.take() {
                Some(lies) => lies,
                None => &bytemuck::cast_slice(&scratch.row)[..len * before.row_bytes()],
            };
            let new_len = length_after(std::slice::from_ref(step), len);
            let is_last = number + 1 == steps.len();
            let is_converted = !step.items.stages.stages.is_empty();
            let bytes = new_len * step.made_bytes();
            let new = match is_last && !is_converted {
                true => &mut *out,
                false => room(&mut scratch.next, bytes),
            };
            let stream = PositionRng::stream(made.draws.seed, made.draws.epoch, number as u64 + 1);
            step.apply(before, (old, len), (new, new_len), stream.at(made.position))
                .map_err(|error| {
                    let error = error.of_transform().in_row(&made.place.row());
                    self.array.locate(error)
                })?;
            std::mem::swap(&mut scratch.row, &mut scratch.next);
            if is_converted && bytes > 0 {
                let new = &bytemuck::cast_slice(&scratch.row)[..bytes];
                let out = match is_last {
                    true => &mut *out,
                    false => room(&mut scratch.next, new_len * step.items.row_bytes()),
                };
                let stages = &mut scratch.items.stages;
                let place = |element| made.place.made_element(element);
                step.items.convert_items(new, place, out, stages)?;
                std::mem::swap(&mut scratch.row, &mut scratch.next);
            }
            (len, before) = (new_len, &step.items);
        }
        Ok(())
    }

    /// Rows where they lie in memory, if a step may see them there.
    fn items_to_see(&self, step: &Step, items: Range<usize>) -> Option<&[u8]> {
        if !self.stages.stages.is_empty() || !(step.transform.only_copies(Ours) || self.stays()) {
            return None;
        }
        let items = self.items_in_memory()?.run(items);
        let is_aligned = items.as_ptr().align_offset(self.dtype().size()) == 0;
        is_aligned.then_some(items)
    }
}

impl Step {
    /// The size of an item that the transform makes, before it is converted.
    fn made_bytes(&self) -> usize {
        self.item_shape.iter().product::<usize>() * self.items.numbers.dtype.size()
    }

    /// Makes the new row of items of a column.
    fn apply(
        &self,
        column: &Column,
        (old, old_len): (&[u8], usize),
        (new, new_len): (&mut [u8], usize),
        mut rng: PositionRng,
    ) -> Result<()> {
        let of = |len: usize, item: &[usize]| [&[len], item].concat();
        let old_shape = of(old_len, &column.row_shape);
        let new_shape = of(new_len, &self.item_shape);
        let dtype = self.items.numbers.dtype;
        let made = self.transform.apply(
            RowView::new(column.dtype(), &old_shape, old),
            RowViewMut::new(dtype, &new_shape, &mut *new),
            &mut rng,
        );
        if dtype == DType::Bool {
            // A transform may write any byte, and a comparison on a device tells 7 from 1.
            new.iter_mut().for_each(|byte| *byte = (*byte).min(1));
        }
        made
    }
}

/// What is known of a step, other than what its transform does.
impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lengths = self.lengths.iter().flat_map(|(old, new)| [*old, *new]);
        f.debug_struct("Step")
            .field("lengths", &format_args!("{:016x}", hash(lengths)))
            .field("item_shape", &self.item_shape)
            .field("items", &self.items)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
