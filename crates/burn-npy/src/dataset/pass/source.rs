//! The rows that a pass reads: of one shape, or of any length.

use std::ops::Range;

use burn_npy_core::{
    Result,
    file::{Column, Element, RaggedColumn},
    internal,
};

use super::BLOCK_BYTES;
use crate::dataset::named::AnyColumn;
use crate::memory;

/// A column that a pass reads.
#[derive(Clone, Copy)]
pub(in crate::dataset) enum Source<'a> {
    Fixed(&'a Column),
    Ragged(&'a RaggedColumn),
}

impl<'a> Source<'a> {
    /// The rows of a column. An error names the column `name`.
    pub(in crate::dataset) fn of(column: &'a AnyColumn, name: &str) -> Result<Self> {
        match column {
            AnyColumn::Ragged(column) => Ok(Self::Ragged(column)),
            other => other.numbers(name).map(Self::Fixed),
        }
    }

    /// An error if `T` is not the dtype.
    pub(super) fn expect_dtype<T: Element>(self) -> Result<()> {
        match self {
            Self::Fixed(column) => column.read::<T>(&[]).map(drop),
            Self::Ragged(column) => column.read::<T>(&[]).map(drop),
        }
    }

    /// How many elements a row has.
    pub(super) fn elements(self, row: usize) -> usize {
        match self {
            Self::Fixed(column) => column.row_shape().iter().product(),
            Self::Ragged(column) => {
                column.length(row) * column.item_shape().iter().product::<usize>()
            }
        }
    }

    /// The size of a row in bytes.
    fn row_bytes(self, row: usize) -> Result<usize> {
        match self {
            Self::Fixed(column) => Ok(column.row_bytes()),
            Self::Ragged(column) => column.bytes_of(column.length(row), 1),
        }
    }

    /// The size of the rows of a block in bytes.
    pub(super) fn bytes(self, rows: &[usize]) -> Result<usize> {
        match self {
            Self::Fixed(column) => Ok(rows.len() * column.row_bytes()),
            Self::Ragged(_) => rows
                .iter()
                .try_fold(0, |bytes, row| Ok(bytes + self.row_bytes(*row)?)),
        }
    }

    /// The blocks of `len` rows. `row` gives the row of the column for each. A block has
    /// [`BLOCK_BYTES`] of rows and of their numbers, or one row that is larger.
    pub(super) fn blocks(
        self,
        len: usize,
        row: impl Fn(usize) -> usize,
    ) -> Result<Vec<Range<usize>>> {
        let mut blocks = Vec::new();
        if let Self::Fixed(column) = self {
            let per_block = BLOCK_BYTES / column.row_bytes().saturating_add(size_of::<u64>());
            let per_block = per_block.max(1);
            memory::reserve(&mut blocks, len.div_ceil(per_block))?;
            let starts = (0..len).step_by(per_block);
            blocks.extend(starts.map(|start| start..len.min(start.saturating_add(per_block))));
            return Ok(blocks);
        }
        let (mut start, mut bytes) = (0, 0_usize);
        for index in 0..len {
            let more = self.row_bytes(row(index))?.saturating_add(size_of::<u64>());
            if start < index && bytes.saturating_add(more) > BLOCK_BYTES {
                memory::reserve(&mut blocks, 1)?;
                blocks.push(start..index);
                (start, bytes) = (index, 0);
            }
            bytes = bytes.saturating_add(more);
        }
        if start < len {
            memory::reserve(&mut blocks, 1)?;
            blocks.push(start..len);
        }
        Ok(blocks)
    }

    /// Copies rows, converted, one after the other into `out`.
    pub(super) fn gather(self, rows: &[usize], out: &mut [u8]) -> Result<()> {
        match self {
            Self::Fixed(column) => {
                internal::readahead(column, rows);
                column.gather(rows, out)
            }
            Self::Ragged(column) => {
                internal::readahead_ragged(column, rows);
                internal::gather_items(column, rows, out)
            }
        }
    }
}
