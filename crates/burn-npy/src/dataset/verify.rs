//! A look at all data before it is used.

use burn_npy_core::{Buffer, Column, Result};

use super::NpyDataset;
use super::named::AnyColumn;

/// How many bytes of rows are converted at a time.
const BLOCK_BYTES: usize = 1 << 20;
/// How many rows that is at most.
const BLOCK_ROWS: usize = 1 << 14;

impl NpyDataset {
    /// Reads all data once, to find before a training what would end it: compares the checksums of
    /// the archive members behind the columns, looks whether the files are still those that were
    /// opened, and converts each row of the dataset, column by column. The first row that cannot be
    /// converted is the error. What a batcher converts, as with
    /// [`device_dtypes`](crate::NpyBatcher::device_dtypes), is not looked at.
    ///
    /// It takes about as long as an epoch without a model on one thread, and for arrays that are
    /// stored in archives the time to read their members once more: memory or the disk is the
    /// limit. No more than some MiB are taken, or one row if that is larger. After a random split
    /// the rows are read in the order of the split, which is slow on a file that is not in memory:
    /// verify before the split. A column of opaque items has nothing to convert.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Crc`](crate::ErrorKind::Crc) and
    /// [`ErrorKind::Changed`](crate::ErrorKind::Changed) for the file; what the conversions of a
    /// column refuse, for the first row that they do; and what the file system says.
    ///
    /// # Example
    ///
    /// ```
    /// use burn_npy::{Convert, DType, NpyDataset, ndarray::array};
    ///
    /// # fn main() -> burn_npy::Result<()> {
    /// let dataset = NpyDataset::from_tensor_slices(array![1.0, 2.0, 3.0])?
    ///     .convert("0", &Convert::to(DType::I64))?;
    /// dataset.verify()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn verify(&self) -> Result<()> {
        let mut before = None;
        for (name, column) in self.columns.iter() {
            let array = column.array();
            // The fields of a structured array are in the same member.
            if before.is_none_or(|before| !array.shares_bytes_with(before)) {
                array.verify().map_err(|error| error.in_array(name))?;
            }
            before = Some(array);
        }
        for (name, column) in self.columns.iter() {
            if let AnyColumn::Numbers(column) = column {
                self.convert_all(column)
                    .map_err(|error| error.in_column(name))?;
            }
        }
        Ok(())
    }

    fn convert_all(&self, column: &Column) -> Result<()> {
        let row_bytes = column.row_bytes();
        let per_block = (BLOCK_BYTES / row_bytes.max(1))
            .clamp(1, BLOCK_ROWS)
            .min(self.len().max(1));
        let mut block = Buffer::zeroed(per_block * row_bytes)?;
        let mut rows = Vec::with_capacity(per_block);
        for start in (0..self.len()).step_by(per_block) {
            let end = self.len().min(start + per_block);
            rows.clear();
            rows.extend((start..end).map(|index| self.rows.map(index)));
            block.set_len(rows.len() * row_bytes);
            column.check()?;
            column.gather(&rows, block.as_mut_slice())?;
        }
        Ok(())
    }
}
