//! Rows whose axes are in another order.

use std::sync::Arc;

use super::derived::{Derived, exactly};
use super::origin::Origin;
use super::{Column, Draws};
use crate::transform::RowType;
use crate::{Error, ErrorKind, Result};

#[derive(Debug)]
struct Permuted {
    column: [Column; 1],
    axes: Vec<usize>,
}

impl Column {
    /// Brings the axes of each row into another order: axis `i` of the new row is axis `axes[i]` of
    /// the old one, as in NumPy's `transpose`. `[2, 0, 1]` brings the channels of an image to the
    /// front.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Shape`] if `axes` does not have each axis of a row once.
    ///
    /// # Example
    ///
    /// ```
    /// # extern crate burn_npy_core as burn_npy;
    /// use burn_npy::file::Column;
    ///
    /// # fn main() -> burn_npy::Result<()> {
    /// let images = ndarray::Array4::<u8>::zeros((10, 32, 48, 3));
    /// let images = Column::new(images.into())?.permute(&[2, 0, 1])?;
    /// assert_eq!(images.row_shape(), [3, 32, 48]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn permute(mut self, axes: &[usize]) -> Result<Self> {
        let mut sorted = axes.to_vec();
        sorted.sort_unstable();
        if !sorted.iter().copied().eq(0..self.row_shape.len()) {
            let message = format!(
                "{axes:?} is no order of the axes of rows of shape {:?}; expected each of {:?}, \
                 once",
                self.row_shape,
                Vec::from_iter(0..self.row_shape.len())
            );
            return Err(self.locate(Error::new(ErrorKind::Shape, message)));
        }
        let stored = self.axes.iter().map(|(len, _)| len);
        let is_stored = stored.eq(&self.row_shape) && !self.stages.has_channels();
        // The elements lie apart anyway, and may follow each other in the other order.
        if self.derived.is_none() && is_stored && self.contiguous_rows().is_none() {
            self.axes = axes.iter().map(|axis| self.axes[*axis]).collect();
            self.row_shape = axes.iter().map(|axis| self.row_shape[*axis]).collect();
            return Ok(self);
        }
        Ok(Self::of_derived(Arc::new(Permuted {
            column: [self],
            axes: axes.to_vec(),
        })))
    }
}

impl Permuted {
    fn column(&self) -> &Column {
        &self.column[0]
    }

    /// The axes of a new row with more than one element, in order. Axes that follow each other in
    /// the old row too are one.
    fn moves(&self) -> Vec<Move> {
        let shape = &self.column().row_shape;
        let mut strides = vec![0; shape.len()];
        let mut stride = self.column().dtype().size();
        for axis in (0..shape.len()).rev() {
            strides[axis] = stride;
            stride *= shape[axis];
        }
        let mut moves: Vec<Move> = Vec::new();
        for axis in &self.axes {
            let (len, from) = (shape[*axis], strides[*axis]);
            match moves.last_mut() {
                _ if len == 1 => {}
                Some(outer) if outer.from == len * from => {
                    outer.len *= len;
                    outer.from = from;
                }
                _ => moves.push(Move { len, from, to: 0 }),
            }
        }
        let mut to = self.column().dtype().size();
        for axis in moves.iter_mut().rev() {
            axis.to = to;
            to *= axis.len;
        }
        moves
    }
}

/// An axis along which elements are moved.
#[derive(Clone, Copy)]
struct Move {
    len: usize,
    /// The distance in bytes between neighbours in the old row.
    from: usize,
    /// The same in the new row.
    to: usize,
}

/// Copies pieces of `size` bytes.
fn copy(row: &[u8], moves: &[Move], size: usize, out: &mut [u8]) {
    match moves {
        [] => out[..size].copy_from_slice(&row[..size]),
        [axis] => match size {
            1 => copy_items::<1>(row, *axis, out),
            2 => copy_items::<2>(row, *axis, out),
            4 => copy_items::<4>(row, *axis, out),
            8 => copy_items::<8>(row, *axis, out),
            _ => {
                let items = out.chunks_mut(axis.to).zip(row.chunks(axis.from));
                for (out, item) in items.take(axis.len) {
                    out[..size].copy_from_slice(&item[..size]);
                }
            }
        },
        [axis, inner @ ..] => {
            for index in 0..axis.len {
                let (row, out) = (&row[index * axis.from..], &mut out[index * axis.to..]);
                copy(row, inner, size, out);
            }
        }
    }
}

/// With a constant size, a copy is one instruction.
fn copy_items<const SIZE: usize>(row: &[u8], axis: Move, out: &mut [u8]) {
    let items = out.chunks_mut(axis.to).zip(row.chunks(axis.from));
    for (out, item) in items.take(axis.len) {
        out[..SIZE].copy_from_slice(&item[..SIZE]);
    }
}

impl Derived for Permuted {
    fn rows(&self) -> usize {
        self.column().rows
    }

    fn row_type(&self) -> RowType {
        let RowType { dtype, shape } = self.column().row_type();
        let shape = self.axes.iter().map(|axis| shape[*axis]);
        RowType::new(dtype, Vec::from_iter(shape))
    }

    fn columns(&self) -> &[Column] {
        &self.column
    }

    fn with(&self, columns: Vec<Column>) -> Result<Arc<dyn Derived>> {
        Ok(Arc::new(Self {
            column: exactly(columns),
            axes: self.axes.clone(),
        }))
    }

    fn load(&self, rows: &[usize], draws: Draws<'_>, out: &mut [u8]) -> Result<()> {
        let column = self.column();
        let mut moves = self.moves();
        let mut size = column.dtype().size();
        // What stays together is one piece.
        if let Some(last) = moves.pop_if(|axis| axis.from == size) {
            size *= last.len;
        }
        moves.sort_by_key(|axis| axis.len);
        let row_bytes = column.row_bytes();
        if row_bytes == 0 {
            return Ok(());
        }
        column.for_each_row(rows, draws, true, &mut |index, row| {
            copy(
                row,
                &moves,
                size,
                &mut out[index * row_bytes..][..row_bytes],
            );
            Ok(())
        })
    }

    fn origin(&self, row: usize, element: Option<usize>) -> Option<Origin<'_>> {
        let old = &self.column().row_shape;
        let moved = |mut element: usize| {
            let mut places = vec![0; old.len()];
            for axis in self.axes.iter().rev() {
                places[*axis] = element % old[*axis];
                element /= old[*axis];
            }
            let of_axis = |element, (len, place)| element * len + place;
            old.iter().zip(places).fold(0, of_axis)
        };
        Some(Origin {
            column: self.column(),
            row,
            element: element.map(moved),
            made: None,
        })
    }
}
