//! Windows: rows that are made of several rows of a column.

use std::sync::Arc;

use super::derived::{Derived, exactly};
use super::{Column, Draws};
use crate::Result;
use crate::transform::RowType;

/// Row `i` is the `length` rows from `i * stride` on that are `dilation` apart.
#[derive(Debug)]
struct Windows {
    column: [Column; 1],
    rows: usize,
    length: usize,
    stride: usize,
    dilation: usize,
}

impl Column {
    /// Windows over rows of any kind. The caller has counted them.
    pub(super) fn derive_windows(
        self,
        rows: usize,
        [length, stride, dilation]: [usize; 3],
    ) -> Self {
        Self::of_derived(Arc::new(Windows {
            column: [self],
            rows,
            length,
            stride,
            dilation,
        }))
    }
}

impl Windows {
    fn column(&self) -> &Column {
        &self.column[0]
    }

    fn expand(&self, rows: &[usize]) -> Vec<usize> {
        let of_window = |row: &usize| {
            let first = row * self.stride;
            (0..self.length).map(move |index| first + index * self.dilation)
        };
        rows.iter().flat_map(of_window).collect()
    }
}

impl Derived for Windows {
    fn rows(&self) -> usize {
        self.rows
    }

    fn row_type(&self) -> RowType {
        let mut row_type = self.column().row_type();
        row_type.shape.insert(0, self.length);
        row_type
    }

    fn columns(&self) -> &[Column] {
        &self.column
    }

    fn with(&self, columns: Vec<Column>) -> Result<Arc<dyn Derived>> {
        Ok(Arc::new(Self {
            column: exactly(columns),
            ..*self
        }))
    }

    fn visit(
        &self,
        rows: &[usize],
        f: &mut dyn FnMut(&Column, &[usize]) -> Result<()>,
    ) -> Result<()> {
        f(self.column(), &self.expand(rows))
    }

    fn load(&self, rows: &[usize], draws: Draws<'_>, out: &mut [u8]) -> Result<()> {
        let of_window = |position: &u64| {
            let first = position.wrapping_mul(self.length as u64);
            (0..self.length as u64).map(move |index| first.wrapping_add(index))
        };
        let positions: Vec<u64> = draws.positions.iter().flat_map(of_window).collect();
        let rows = self.expand(rows);
        self.column().load_rows(&rows, draws.at(&positions), out)
    }
}
