//! Rows that a transform makes.

use std::fmt;
use std::sync::Arc;

use super::derived::{Derived, exactly};
use super::origin::Origin;
use super::{Column, Draws};
use crate::order::PositionRng;
use crate::transform::{Ours, RowType, RowView, RowViewMut, Transform};
use crate::{DType, Result};

struct Mapped {
    column: [Column; 1],
    transform: Arc<dyn Transform>,
    row_type: RowType,
    /// How many transforms the column has already.
    depth: u64,
    /// Whether the transform may see rows where they lie.
    in_place: bool,
}

impl Column {
    /// The rows that a transform makes of these. The transform runs when rows are gathered.
    ///
    /// # Errors
    ///
    /// Those of [`Transform::output`], and [`ErrorKind::Overflow`](crate::ErrorKind::Overflow) for
    /// a new row beyond all memory.
    pub fn map(self, transform: impl Transform) -> Result<Self> {
        let mapped = Mapped::new(self, Arc::new(transform))?;
        Ok(Self::of_derived(Arc::new(mapped)))
    }
}

impl Mapped {
    fn new(column: Column, transform: Arc<dyn Transform>) -> Result<Self> {
        let locate = |error| column.locate(error);
        let row_type = transform.output(&column.row_type()).map_err(locate)?;
        crate::format::header::checked_nbytes(&row_type.shape, row_type.dtype.size())
            .map_err(locate)?;
        Ok(Self {
            depth: column.depth(),
            in_place: transform.only_copies(Ours) || column.stays(),
            column: [column],
            transform,
            row_type,
        })
    }

    fn column(&self) -> &Column {
        &self.column[0]
    }
}

impl Derived for Mapped {
    fn rows(&self) -> usize {
        self.column().rows
    }

    fn row_type(&self) -> RowType {
        self.row_type.clone()
    }

    fn columns(&self) -> &[Column] {
        &self.column
    }

    fn with(&self, columns: Vec<Column>) -> Result<Arc<dyn Derived>> {
        let [column] = exactly(columns);
        Ok(Arc::new(Self::new(column, self.transform.clone())?))
    }

    fn load(&self, rows: &[usize], draws: Draws<'_>, out: &mut [u8]) -> Result<()> {
        let column = self.column();
        let out_bytes = out.len() / rows.len().max(1);
        let first = PositionRng::stream(draws.seed, draws.epoch, self.depth + 1);
        column.for_each_row(rows, draws, self.in_place, &mut |index, row| {
            let row = RowView::new(column.dtype(), &column.row_shape, row);
            let out = &mut out[index * out_bytes..][..out_bytes];
            let new = RowViewMut::new(self.row_type.dtype, &self.row_type.shape, &mut *out);
            let mut rng = first.at(draws.positions[index]);
            let made = self.transform.apply(row, new, &mut rng);
            if self.row_type.dtype == DType::Bool {
                // A transform may write any byte, and a comparison on a device tells 7 from 1.
                out.iter_mut().for_each(|byte| *byte = (*byte).min(1));
            }
            made.map_err(|error| column.of_transform(rows[index], error))
        })
    }

    fn origin(&self, row: usize, element: Option<usize>) -> Option<Origin<'_>> {
        let is_one = self.row_type.shape.iter().product::<usize>() == 1;
        Some(Origin {
            column: self.column(),
            row,
            element: None,
            made: element.filter(|_| !is_one),
        })
    }

    fn depth(&self) -> u64 {
        self.depth + 1
    }
}

impl fmt::Debug for Mapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mapped")
            .field("column", self.column())
            .field("row_type", &self.row_type)
            .finish_non_exhaustive()
    }
}
