//! Checks all data of a dataset before it is used.

use burn_npy_core::{
    Array, Result,
    file::{Buffer, Column, RaggedColumn},
};

use super::NpyDataset;
use super::named::AnyColumn;
use crate::memory;

/// The number of bytes of rows that are converted or compared at a time.
pub(super) const BLOCK_BYTES: usize = 1 << 20;

impl NpyDataset {
    /// Reads all data once, to find errors before a training run does.
    ///
    /// It checks that the files have not changed since they were opened, checks the checksums of
    /// archive members, and converts each row of the dataset, column by column. It does not check
    /// whether the device has each integer, which a batcher does. A column of opaque items is not
    /// converted.
    ///
    /// It runs on one thread and takes about as long as an epoch without a model. Members that are
    /// stored in an archive are read once more for their checksums. It needs a few MiB of memory,
    /// or that of one row if it is larger. After a random split, the rows are read in the order of
    /// the split, which is slow for a file that is not in memory, so verify before you split.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Crc`](crate::ErrorKind::Crc) for a wrong checksum;
    /// [`ErrorKind::Changed`](crate::ErrorKind::Changed) for a file that has changed; the error of
    /// a conversion, for the first row that has one; and [`ErrorKind::Io`](crate::ErrorKind::Io)
    /// from the file system.
    ///
    /// # Example
    ///
    /// ```
    /// use burn_npy::{Convert, DType, NpyDataset, ndarray::array};
    ///
    /// # fn main() -> burn_npy::Result<()> {
    /// let dataset = NpyDataset::from_tensor_slices(array![1.0, 2.0, 3.0])?
    ///     .convert("0", Convert::to::<i64>())?;
    /// dataset.verify()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn verify(&self) -> Result<()> {
        let mut before: Option<Array> = None;
        for (name, column) in self.columns.iter() {
            for array in column.arrays() {
                // The fields of a structured array are in the same member.
                if before
                    .as_ref()
                    .is_none_or(|before| !array.shares_bytes_with(before))
                {
                    array.verify().map_err(|error| error.in_array(name))?;
                }
                before = Some(array);
            }
        }
        for (name, column) in self.columns.iter() {
            let converted = match column {
                AnyColumn::Numbers(column) => self.convert_all(column),
                AnyColumn::Ragged(column) => self.convert_runs(column),
                AnyColumn::Opaque(_) => Ok(()),
            };
            converted.map_err(|error| error.in_column(name))?;
        }
        Ok(())
    }

    fn convert_all(&self, column: &Column) -> Result<()> {
        let row_bytes = column.row_bytes();
        // The numbers of the rows take memory too.
        let per_block = (BLOCK_BYTES / (row_bytes + size_of::<usize>()))
            .max(1)
            .min(self.len().max(1));
        let mut block = Buffer::zeroed(per_block * row_bytes)?;
        let mut rows = Vec::new();
        memory::reserve(&mut rows, per_block)?;
        for start in (0..self.len()).step_by(per_block) {
            let end = self.len().min(start + per_block);
            rows.clear();
            rows.extend((start..end).map(|index| self.rows.map(index)));
            block.set_len(rows.len() * row_bytes);
            column.gather(&rows, block.as_mut_slice())?;
        }
        Ok(())
    }
    fn convert_runs(&self, column: &RaggedColumn) -> Result<()> {
        let padding = vec![0; column.dtype().size()];
        let mut block = Buffer::zeroed(column.bytes_of(column.longest(), 1)?.max(BLOCK_BYTES))?;
        let mut rows = Vec::new();
        let mut longest = 0;
        for index in 0..=self.len() {
            let next = (index < self.len()).then(|| self.rows.map(index));
            let length = next.map_or(0, |row| column.length(row).max(longest));
            // The numbers of the rows take memory too.
            let fits = |bytes| bytes + size_of_val(&*rows) <= BLOCK_BYTES;
            let bytes = column.bytes_of(length, rows.len() + 1);
            if !rows.is_empty() && (next.is_none() || !bytes.is_ok_and(fits)) {
                block.set_len(column.bytes_of(longest, rows.len())?);
                column.gather(&rows, longest, &padding, block.as_mut_slice())?;
                rows.clear();
                longest = 0;
            }
            if let Some(row) = next {
                longest = longest.max(column.length(row));
                rows.push(row);
            }
        }
        Ok(())
    }
}
