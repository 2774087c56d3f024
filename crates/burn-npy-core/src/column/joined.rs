//! Rows that are made of the rows of several columns, one after the other.

use std::sync::Arc;

use super::derived::Derived;
use super::origin::Origin;
use super::{Column, Draws};
use crate::transform::RowType;
use crate::{Error, ErrorKind, Result};

#[derive(Debug)]
struct Joined {
    columns: Vec<Column>,
    /// How many elements a row has.
    len: usize,
}

impl Column {
    /// Makes one row of the rows of several columns: the elements of the first, those of the second
    /// and so on, along one axis.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Dtype`] or [`ErrorKind::Shape`] if a column has another dtype or another number
    /// of rows than the first; [`ErrorKind::Usage`] if there are no columns;
    /// [`ErrorKind::Overflow`] if a row becomes too large.
    ///
    /// # Example
    ///
    /// ```
    /// # extern crate burn_npy_core as burn_npy;
    /// use burn_npy::file::Column;
    ///
    /// # fn main() -> burn_npy::Result<()> {
    /// let temperature = Column::new(vec![20.5, 21.0].into())?;
    /// let wind = Column::new(ndarray::array![[1.0, 2.0], [3.0, 4.0]].into())?;
    /// let features = Column::join([temperature, wind])?;
    /// assert_eq!(features.row::<f64>(1)?.as_slice(), Some(&[21.0, 3.0, 4.0][..]));
    /// # Ok(())
    /// # }
    /// ```
    pub fn join(columns: impl IntoIterator<Item = Self>) -> Result<Self> {
        let columns: Vec<Self> = columns.into_iter().collect();
        let Some(first) = columns.first() else {
            return Err(Error::new(ErrorKind::Usage, "no columns to join"));
        };
        for column in &columns {
            let refuse = |kind, message| Err(column.locate(Error::new(kind, message)));
            if column.dtype() != first.dtype() {
                let message = format!(
                    "{} cannot be joined to {}; convert one of them first",
                    column.dtype(),
                    first.dtype()
                );
                return refuse(ErrorKind::Dtype, message);
            }
            if column.rows != first.rows {
                let message = format!(
                    "{} rows cannot be joined to {} rows",
                    column.rows, first.rows
                );
                return refuse(ErrorKind::Shape, message);
            }
        }
        if let Some(neighbours) = Self::join_neighbours(&columns) {
            return Ok(neighbours);
        }
        let len = columns
            .iter()
            .map(Self::row_len)
            .try_fold(0, usize::checked_add);
        let too_large = || Error::new(ErrorKind::Overflow, "rows beyond all memory");
        let len = len.ok_or_else(too_large)?;
        let joined = Self::of_derived(Arc::new(Joined { columns, len }));
        joined.check_row_bytes()?;
        Ok(joined)
    }

    /// The same as one piece, if the rows lie one behind the other in the same file, as the fields
    /// of a structure do.
    fn join_neighbours(columns: &[Self]) -> Option<Self> {
        let first = &columns[0];
        let mut end = first.first;
        for column in columns {
            let piece = column.contiguous_rows()?;
            let follows = column.shares_file_with(first)
                && column.array.data_offset() == first.array.data_offset()
                && column.first == end
                && column.row_stride == first.row_stride
                && column.numbers.dtype == first.numbers.dtype
                && column.numbers.byte_order == first.numbers.byte_order
                && column.windows == first.windows
                && column.unchanging == first.unchanging
                && column.stages.stages.is_empty();
            if !follows {
                return None;
            }
            end += piece.row_bytes;
        }
        let size = first.numbers.dtype.size();
        let len = (end - first.first) / size;
        Some(Self {
            axes: vec![(len, size)],
            row_shape: vec![len],
            ..first.clone()
        })
    }
}

impl Derived for Joined {
    fn rows(&self) -> usize {
        self.columns[0].rows
    }

    fn row_type(&self) -> RowType {
        RowType::new(self.columns[0].dtype(), [self.len])
    }

    fn columns(&self) -> &[Column] {
        &self.columns
    }

    fn with(&self, columns: Vec<Column>) -> Result<Arc<dyn Derived>> {
        let len = self.len;
        Ok(Arc::new(Self { columns, len }))
    }

    fn visit(
        &self,
        rows: &[usize],
        f: &mut dyn FnMut(&Column, &[usize]) -> Result<()>,
    ) -> Result<()> {
        self.columns.iter().try_for_each(|column| f(column, rows))
    }

    fn load(&self, rows: &[usize], draws: Draws<'_>, out: &mut [u8]) -> Result<()> {
        let row_bytes = out.len() / rows.len().max(1);
        let mut start = 0;
        for column in &self.columns {
            let len = column.row_bytes();
            column.for_each_row(rows, draws, true, &mut |index, row| {
                out[index * row_bytes + start..][..len].copy_from_slice(row);
                Ok(())
            })?;
            start += len;
        }
        Ok(())
    }

    fn origin(&self, row: usize, element: Option<usize>) -> Option<Origin<'_>> {
        let mut element = element?;
        for column in &self.columns {
            if element < column.row_len() {
                let element = Some(element);
                return Some(Origin {
                    column,
                    row,
                    element,
                    made: None,
                });
            }
            element -= column.row_len();
        }
        None
    }
}
