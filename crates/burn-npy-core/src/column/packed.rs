//! Rows of any length, several of them in each row of a fixed length.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use super::derived::{Derived, exactly};
use super::origin::Origin;
use super::ragged::{RaggedColumn, Run};
use super::{Column, Draws, selection};
use crate::order::shared::Shared;
use crate::transform::RowType;
use crate::{DType, Error, ErrorKind, Result};

/// Which items each row has.
#[derive(Clone, Debug)]
struct Packing {
    /// The items of all rows, row by row.
    runs: Shared<Run>,
    /// The first run of each row, and the number of all runs.
    starts: Shared<usize>,
    length: usize,
}

/// The items of several rows, one after the other, and zeros behind them.
#[derive(Debug)]
struct Packed {
    items: [Column; 1],
    packing: Packing,
}

/// The numbers of the runs of a [`Packed`] row, counted from 1; 0 for the zeros behind them.
#[derive(Debug)]
struct Segments {
    /// Only for messages.
    items: [Column; 1],
    packing: Packing,
}

impl RaggedColumn {
    /// Puts the items of several rows into each row of `length` items, and zeros behind them. The
    /// second column has the number of the row that an item is from, counted from 1 in each row,
    /// and 0 behind the last. A row with more items is cut into pieces, and a row without items is
    /// left out.
    ///
    /// The longest rows come first, each into the fullest row that has room for it (best fit
    /// decreasing). So the rows depend on the lengths alone.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`] if `length` is zero, or if transforms make the rows; those of
    /// [`Column::chain`]; [`ErrorKind::Overflow`] for rows beyond all memory.
    pub fn pack(&self, length: usize) -> Result<[Column; 2]> {
        let (items, runs) = self.flat()?;
        let locate = |error| items.locate(error);
        if length == 0 {
            let message = "rows of zero items; give the length of the rows to fill";
            return Err(locate(Error::new(ErrorKind::Usage, message)));
        }
        self.bytes_of(length, 1).map_err(locate)?;
        let packing = Packing::new(&runs, length);
        let items = [items];
        let segments = Segments {
            items: items.clone(),
            packing: packing.clone(),
        };
        let packed = Packed { items, packing };
        Ok([
            Column::of_derived(Arc::new(packed)),
            Column::of_derived(Arc::new(segments)),
        ])
    }
}

impl Packing {
    fn new(rows: &[Range<usize>], length: usize) -> Self {
        let pieces = |row: &Range<usize>| {
            let Range { start, end } = *row;
            let piece = move |start: usize| Run {
                start,
                len: (end - start).min(length),
            };
            (start..end).step_by(length).map(piece)
        };
        let mut pieces: Vec<Run> = rows.iter().flat_map(pieces).collect();
        pieces.sort_by_key(|piece| std::cmp::Reverse(piece.len));
        let mut packed: Vec<Vec<Run>> = Vec::new();
        // The rows by the room that they have left.
        let mut open: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for piece in pieces {
            let fullest = open.range(piece.len..).next().map(|(room, _)| *room);
            let (row, room) = match fullest {
                Some(room) => {
                    let rows = open.entry(room).or_default();
                    let row = rows.pop().unwrap_or_default();
                    if rows.is_empty() {
                        open.remove(&room);
                    }
                    (row, room)
                }
                None => {
                    packed.push(Vec::new());
                    (packed.len() - 1, length)
                }
            };
            packed[row].push(piece);
            if room > piece.len {
                open.entry(room - piece.len).or_default().push(row);
            }
        }
        let mut starts = vec![0];
        for row in &packed {
            starts.push(starts[starts.len() - 1] + row.len());
        }
        Self {
            runs: packed.concat().into(),
            starts: starts.into(),
            length,
        }
    }

    fn rows(&self) -> usize {
        self.starts.len() - 1
    }

    fn runs(&self, row: usize) -> &[Run] {
        &self.runs[self.starts[row]..self.starts[row + 1]]
    }

    fn selection(&self) -> u64 {
        let starts = self.starts.iter().map(|start| *start as u64);
        let lengths = [self.length as u64].into_iter().chain(starts);
        selection::of_runs(self.runs.iter().copied(), lengths)
    }

    fn items(&self, row: usize) -> impl Iterator<Item = usize> + '_ {
        let items = |run: &Run| run.start..run.start + run.len;
        self.runs(row).iter().flat_map(items)
    }
}

impl Packed {
    fn column(&self) -> &Column {
        &self.items[0]
    }
}

impl Derived for Packed {
    fn rows(&self) -> usize {
        self.packing.rows()
    }

    fn row_type(&self) -> RowType {
        let mut row_type = self.column().row_type();
        row_type.shape.insert(0, self.packing.length);
        row_type
    }

    fn columns(&self) -> &[Column] {
        &self.items
    }

    fn with(&self, columns: Vec<Column>) -> Result<Arc<dyn Derived>> {
        Ok(Arc::new(Self {
            items: exactly(columns),
            packing: self.packing.clone(),
        }))
    }

    fn visit(
        &self,
        rows: &[usize],
        f: &mut dyn FnMut(&Column, &[usize]) -> Result<()>,
    ) -> Result<()> {
        let items = rows.iter().flat_map(|row| self.packing.items(*row));
        f(self.column(), &items.collect::<Vec<_>>())
    }

    fn origin(&self, row: usize, element: Option<usize>) -> Option<Origin<'_>> {
        let (element, item_len) = (element?, self.column().row_len());
        // The zeros behind the items are of no file.
        let row = self.packing.items(row).nth(element / item_len)?;
        Some(Origin {
            column: self.column(),
            row,
            element: Some(element % item_len),
            made: None,
        })
    }

    /// The longest rows come first, wherever they are.
    fn is_random(&self) -> bool {
        true
    }

    fn selection(&self) -> Option<u64> {
        Some(self.packing.selection())
    }

    fn load(&self, rows: &[usize], draws: Draws<'_>, out: &mut [u8]) -> Result<()> {
        let item_bytes = self.column().row_bytes();
        let row_bytes = self.packing.length * item_bytes;
        let mut items = Vec::new();
        for (index, row) in rows.iter().enumerate() {
            items.clear();
            items.extend(self.packing.items(*row));
            let out = &mut out[index * row_bytes..][..row_bytes];
            let (filled, rest) = out.split_at_mut(items.len() * item_bytes);
            // All items of a row have its position.
            let position = draws.positions.get(index).copied();
            let positions = vec![position.unwrap_or(0); items.len()];
            self.column()
                .load_rows(&items, draws.at(&positions), filled)?;
            rest.fill(0);
        }
        Ok(())
    }
}

impl Derived for Segments {
    fn rows(&self) -> usize {
        self.packing.rows()
    }

    fn row_type(&self) -> RowType {
        RowType::new(DType::I32, [self.packing.length])
    }

    fn columns(&self) -> &[Column] {
        &self.items
    }

    fn with(&self, columns: Vec<Column>) -> Result<Arc<dyn Derived>> {
        Ok(Arc::new(Self {
            items: exactly(columns),
            packing: self.packing.clone(),
        }))
    }

    fn visit(&self, _: &[usize], _: &mut dyn FnMut(&Column, &[usize]) -> Result<()>) -> Result<()> {
        Ok(())
    }

    fn selection(&self) -> Option<u64> {
        Some(self.packing.selection())
    }

    fn load(&self, rows: &[usize], _: Draws<'_>, out: &mut [u8]) -> Result<()> {
        let numbers: &mut [i32] = bytemuck::cast_slice_mut(out);
        for (row, out) in rows
            .iter()
            .zip(numbers.chunks_exact_mut(self.packing.length))
        {
            out.fill(0);
            let mut rest = out;
            for (number, run) in (1..).zip(self.packing.runs(*row)) {
                let (own, behind) = rest.split_at_mut(run.len);
                own.fill(number);
                rest = behind;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Convert;

    proptest! {
        #[test]
        fn every_item_is_in_one_row(
            lengths in prop::collection::vec(0..40_i64, 0..60), length in 1..30_usize,
        ) {
            let count: i64 = lengths.iter().sum();
            let items: Vec<i64> = (1..=count).collect();
            let ragged = RaggedColumn::from_lengths(items.into(), &lengths.clone().into()).unwrap();
            // Of two arrays, which also have items that belong to no row.
            let (some, all) = (lengths.len() / 3, lengths.len());
            let part = |rows: std::ops::Range<usize>| {
                let items: Vec<i64> = (0..=count + 1).collect();
                let offset = |row: usize| 1 + lengths[..row].iter().sum::<i64>();
                let offsets: Vec<i64> = (rows.start..=rows.end).map(offset).collect();
                RaggedColumn::from_offsets(items.into(), &offsets.into()).unwrap()
            };
            let chain = RaggedColumn::chain([part(0..some), part(some..all)]).unwrap();
            let whole = |ragged: &RaggedColumn| {
                let [packed, segments] = ragged.pack(length).unwrap();
                let rows: Vec<usize> = (0..packed.rows()).collect();
                (packed.read::<i64>(&rows).unwrap(), segments.read::<i32>(&rows).unwrap())
            };
            prop_assert_eq!(whole(&chain), whole(&ragged));
            let [packed, segments] = ragged.pack(length).unwrap();
            prop_assert_eq!(packed.row_shape(), &[length]);
            let rows: Vec<usize> = (0..packed.rows()).rev().collect();
            let (items, numbers) = (packed.read::<i64>(&rows), segments.read::<i32>(&rows));
            let (items, numbers) = (items.unwrap(), numbers.unwrap());
            let mut seen: Vec<i64> = Vec::new();
            let mut runs = 0;
            for (items, numbers) in items.outer_iter().zip(numbers.outer_iter()) {
                let pairs: Vec<(i64, i32)> =
                    items.iter().copied().zip(numbers.iter().copied()).collect();
                let filled = pairs.iter().take_while(|(item, _)| *item != 0).count();
                prop_assert!(filled > 0);
                prop_assert!(pairs[filled..].iter().all(|pair| *pair == (0, 0)));
                for pieces in pairs[..filled].chunk_by(|a, b| a.1 == b.1) {
                    runs += 1;
                    // A piece follows itself, and no piece is of two rows.
                    prop_assert!(pieces.windows(2).all(|pair| pair[0].0 + 1 == pair[1].0));
                    seen.extend(pieces.iter().map(|(item, _)| item));
                }
                prop_assert_eq!(pairs[0].1, 1);
                prop_assert!(pairs[..filled].windows(2).all(|pair| pair[1].1 - pair[0].1 <= 1));
            }
            seen.sort();
            prop_assert_eq!(seen, (1..=count).collect::<Vec<_>>());
            let pieces = |len: &i64| (*len as usize).div_ceil(length);
            prop_assert_eq!(runs, lengths.iter().map(pieces).sum::<usize>());
            // Two rows of which each is at most half full would be one.
            prop_assert!(packed.rows() * length <= 2 * count as usize + length);
        }
    }

    #[test]
    fn what_was_done_to_the_items_stays() {
        let ragged = RaggedColumn::from_lengths(vec![1_u8, 2, 3, 4, 5].into(), &vec![2, 3].into());
        let ragged = ragged.unwrap().convert(Convert::to::<f32>().scale(0.5));
        let [packed, segments] = ragged.unwrap().pack(6).unwrap();
        let row = packed.row::<f32>(0).unwrap();
        assert_eq!(row.as_slice().unwrap(), [1.5, 2.0, 2.5, 0.5, 1.0, 0.0]);
        let row = segments.row::<i32>(0).unwrap();
        assert_eq!(row.as_slice().unwrap(), [1, 1, 1, 2, 2, 0]);
    }

    #[test]
    fn no_length_is_an_error() {
        let ragged = RaggedColumn::from_lengths(vec![1_u8].into(), &vec![1].into()).unwrap();
        assert_eq!(ragged.pack(0).unwrap_err().kind(), ErrorKind::Usage);
        assert_eq!(
            ragged.pack(usize::MAX).unwrap_err().kind(),
            ErrorKind::Overflow
        );
    }
}
