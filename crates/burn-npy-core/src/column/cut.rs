//! A part of each row, along the first axis.

use std::ops::Range;
use std::sync::Arc;

use super::derived::{Derived, exactly};
use super::origin::Origin;
use super::{Column, Draws};
use crate::Result;
use crate::transform::RowType;

#[derive(Debug)]
struct Cut {
    column: [Column; 1],
    part: Range<usize>,
}

impl Column {
    /// The part of each row, whatever was done to the rows before. It lies inside the first axis.
    pub(super) fn cut(self, part: Range<usize>) -> Result<Self> {
        match &self.derived {
            // So that no file is read in vain.
            Some(derived) if self.is_bare() && derived.keeps_rows() => {
                let columns = derived.columns().iter();
                let columns = columns.map(|column| column.clone().slice(part.clone()));
                Ok(Self::of_derived(
                    derived.with(columns.collect::<Result<_>>()?)?,
                ))
            }
            _ => Ok(Self::of_derived(Arc::new(Cut {
                column: [self],
                part,
            }))),
        }
    }
}

impl Cut {
    fn column(&self) -> &Column {
        &self.column[0]
    }

    /// Where the part lies in a row.
    fn bytes(&self) -> Range<usize> {
        let column = self.column();
        let each = column.row_bytes() / column.row_shape[0].max(1);
        self.part.start * each..self.part.end * each
    }
}

impl Derived for Cut {
    fn rows(&self) -> usize {
        self.column().rows
    }

    fn row_type(&self) -> RowType {
        let mut row_type = self.column().row_type();
        row_type.shape[0] = self.part.len();
        row_type
    }

    fn columns(&self) -> &[Column] {
        &self.column
    }

    fn with(&self, columns: Vec<Column>) -> Result<Arc<dyn Derived>> {
        Ok(Arc::new(Self {
            column: exactly(columns),
            part: self.part.clone(),
        }))
    }

    fn load(&self, rows: &[usize], draws: Draws<'_>, out: &mut [u8]) -> Result<()> {
        let (column, part) = (self.column(), self.bytes());
        column.for_each_row(rows, draws, true, &mut |index, row| {
            out[index * part.len()..][..part.len()].copy_from_slice(&row[part.clone()]);
            Ok(())
        })
    }

    fn origin(&self, row: usize, element: Option<usize>) -> Option<Origin<'_>> {
        let column = self.column();
        let each = column.row_len() / column.row_shape[0].max(1);
        let element = element.map(|element| element + self.part.start * each);
        Some(Origin {
            column,
            row,
            element,
            made: None,
        })
    }

    fn slices<'a>(&'a self, rows: &[usize], slices: &mut Vec<&'a [u8]>) -> bool {
        let (before, part) = (slices.len(), self.bytes());
        let found = self.column().slices(rows, slices);
        for slice in &mut slices[before..] {
            *slice = &slice[part.clone()];
        }
        found
    }
}
