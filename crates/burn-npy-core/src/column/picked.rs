//! Rows of a column, in another order.

use std::sync::Arc;

use super::derived::{Derived, exactly};
use super::origin::Origin;
use super::{Column, Draws, selection};
use crate::Result;
use crate::row_map::RowMap;
use crate::transform::RowType;

#[derive(Debug)]
struct Picked {
    column: [Column; 1],
    map: RowMap,
}

impl Column {
    /// The rows that a map gives. The map must be one of the rows of this column.
    pub(crate) fn pick(&self, map: &RowMap) -> Self {
        if map.is_identity() && map.len() == self.rows {
            return self.clone();
        }
        Self::of_derived(Arc::new(Picked {
            column: [self.clone()],
            map: map.clone(),
        }))
    }
}

impl Picked {
    fn column(&self) -> &Column {
        &self.column[0]
    }

    fn picked(&self, rows: &[usize]) -> Vec<usize> {
        rows.iter().map(|row| self.map.map(*row)).collect()
    }
}

impl Derived for Picked {
    fn rows(&self) -> usize {
        self.map.len()
    }

    fn row_type(&self) -> RowType {
        self.column().row_type()
    }

    fn columns(&self) -> &[Column] {
        &self.column
    }

    fn with(&self, columns: Vec<Column>) -> Result<Arc<dyn Derived>> {
        Ok(Arc::new(Self {
            column: exactly(columns),
            map: self.map.clone(),
        }))
    }

    fn visit(
        &self,
        rows: &[usize],
        f: &mut dyn FnMut(&Column, &[usize]) -> Result<()>,
    ) -> Result<()> {
        f(self.column(), &self.picked(rows))
    }

    fn load(&self, rows: &[usize], draws: Draws<'_>, out: &mut [u8]) -> Result<()> {
        self.column().load_rows(&self.picked(rows), draws, out)
    }

    fn origin(&self, row: usize, element: Option<usize>) -> Option<Origin<'_>> {
        Some(Origin {
            column: self.column(),
            row: self.map.map(row),
            element,
            made: None,
        })
    }

    fn slices<'a>(&'a self, rows: &[usize], slices: &mut Vec<&'a [u8]>) -> bool {
        self.column().slices(&self.picked(rows), slices)
    }

    fn keeps_rows(&self) -> bool {
        true
    }

    fn selection(&self) -> Option<u64> {
        selection::of_picked(self.column(), &self.map)
    }

    fn is_random(&self) -> bool {
        self.map.is_random() || self.column().is_random()
    }

    fn overlap(&self) -> usize {
        self.map.overlap(self.column().overlap())
    }
}
