//! Windows: rows that are made of several rows of a column.

use std::sync::Arc;

use super::derived::{Derived, exactly};
use super::origin::Origin;
use super::{Column, Draws, selection};
use crate::Result;
use crate::transform::RowType;

/// Which rows windows have. Window `i` has `length` rows that are `dilation` apart, from
/// `first + i * stride` on. All of them exist.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    /// Where window 0 begins.
    pub first: usize,
    /// The number of rows of a window.
    pub length: usize,
    /// The distance between the first rows of two windows.
    pub stride: usize,
    /// The distance between two rows of a window.
    pub dilation: usize,
    /// The number of windows.
    pub rows: usize,
    /// How many neighbouring rows a window and what belongs to it lie in.
    pub span: usize,
}

/// Windows that are no derived column, since the axes of an array can be those of its windows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct OfArray {
    /// How many of the windows after one may share rows of the array with it.
    pub(super) overlap: usize,
    /// As [`Column::selection`].
    pub(super) selection: u64,
}

#[derive(Debug)]
struct Windows {
    column: [Column; 1],
    frame: Frame,
}

impl Column {
    /// Windows over rows that exist.
    pub(crate) fn frame(mut self, frame: Frame) -> Result<Self> {
        let Frame {
            first,
            length,
            stride,
            dilation,
            rows,
            ..
        } = frame;
        let stored = self.axes.iter().map(|(len, _)| len);
        if self.derived.is_some() || stored.ne(&self.row_shape) || self.stages.has_channels() {
            let windows = Self::of_derived(Arc::new(Windows {
                column: [self],
                frame,
            }));
            windows.check_row_bytes()?;
            return Ok(windows);
        }
        self.windows = Some(OfArray {
            overlap: frame.overlap(self.overlap()),
            selection: selection::of_windows(self.selection(), &frame),
        });
        self.first = self
            .first
            .saturating_add(first.saturating_mul(self.row_stride));
        let between = self.row_stride.saturating_mul(dilation);
        self.axes.insert(0, (length, between));
        self.row_shape.insert(0, length);
        self.rows = rows;
        self.row_stride = self.row_stride.saturating_mul(stride);
        self.check_row_bytes()?;
        Ok(self)
    }
}

impl Frame {
    /// How many of the windows after one may share rows of an array with it, if of the rows
    /// `overlap` do.
    fn overlap(&self, overlap: usize) -> usize {
        match overlap {
            usize::MAX => usize::MAX,
            overlap => overlap.saturating_add(self.span - 1) / self.stride,
        }
    }
}

impl Windows {
    fn column(&self) -> &Column {
        &self.column[0]
    }

    fn expand(&self, rows: &[usize]) -> Vec<usize> {
        let frame = &self.frame;
        let of_window = |row: &usize| {
            let first = frame.first + row * frame.stride;
            (0..frame.length).map(move |index| first + index * frame.dilation)
        };
        rows.iter().flat_map(of_window).collect()
    }
}

impl Derived for Windows {
    fn rows(&self) -> usize {
        self.frame.rows
    }

    fn row_type(&self) -> RowType {
        let mut row_type = self.column().row_type();
        row_type.shape.insert(0, self.frame.length);
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
        let length = self.frame.length as u64;
        let of_window = |position: &u64| {
            let first = position.wrapping_mul(length);
            (0..length).map(move |index| first.wrapping_add(index))
        };
        let positions: Vec<u64> = draws.positions.iter().flat_map(of_window).collect();
        let rows = self.expand(rows);
        self.column().load_rows(&rows, draws.at(&positions), out)
    }

    fn origin(&self, row: usize, element: Option<usize>) -> Option<Origin<'_>> {
        let (element, row_len) = (element?, self.column().row_len());
        let frame = &self.frame;
        Some(Origin {
            column: self.column(),
            row: frame.first + row * frame.stride + element / row_len * frame.dilation,
            element: Some(element % row_len),
            made: None,
        })
    }

    fn selection(&self) -> Option<u64> {
        Some(selection::of_windows(
            self.column().selection(),
            &self.frame,
        ))
    }

    fn overlap(&self) -> usize {
        self.frame.overlap(self.column().overlap())
    }
}
