//! Rows with their axes in another order.

use ndarray::{ArrayView, ArrayViewMut, IxDyn};

use super::image::{shape_error, usage_error};
use super::{RowType, RowView, RowViewMut, Transform};
use crate::Result;
use crate::order::PositionRng;

/// A row with its axes in another order, as NumPy's `transpose`.
///
/// The rows are of any dtype. The new rows have the same elements.
///
/// # Errors
///
/// When it is added to a column: [`ErrorKind::Shape`](crate::ErrorKind::Shape) if the rows have
/// another number of axes, and [`ErrorKind::Usage`](crate::ErrorKind::Usage) if an axis is missing
/// or there twice.
///
/// # Example
///
/// ```
/// # extern crate burn_npy_core as burn_npy;
/// use burn_npy::DType;
/// use burn_npy::transform::{Permute, RowType, Transform};
///
/// # fn main() -> burn_npy::Result<()> {
/// // Images as programs for images write them, and as Burn's convolutions take them.
/// let images = RowType::new(DType::U8, [480, 640, 3]);
/// assert_eq!(Permute::channels_first().output(&images)?.shape, [3, 480, 640]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Permute {
    axes: Vec<usize>,
}

impl Permute {
    /// Axis `i` of the new row is axis `axes[i]` of the old one, as in NumPy's `transpose` and
    /// PyTorch's `permute`.
    pub fn new(axes: &[usize]) -> Self {
        Self {
            axes: axes.to_vec(),
        }
    }

    /// Images `[height, width, channels]` become `[channels, height, width]`.
    pub fn channels_first() -> Self {
        Self::new(&[2, 0, 1])
    }

    /// Images `[channels, height, width]` become `[height, width, channels]`.
    pub fn channels_last() -> Self {
        Self::new(&[1, 2, 0])
    }
}

impl Transform for Permute {
    fn output(&self, row: &RowType) -> Result<RowType> {
        let mut sorted = self.axes.clone();
        sorted.sort_unstable();
        if !sorted.iter().copied().eq(0..sorted.len()) {
            return Err(usage_error(format!(
                "{:?} is no order of axes; it must have each of 0 to {} once",
                self.axes,
                self.axes.len().saturating_sub(1)
            )));
        }
        if self.axes.len() != row.shape.len() {
            return Err(shape_error(format!(
                "rows of shape {:?} do not have the {} axes of the order {:?}",
                row.shape,
                self.axes.len(),
                self.axes
            )));
        }
        let shape: Vec<usize> = self.axes.iter().map(|axis| row.shape[*axis]).collect();
        Ok(RowType::new(row.dtype, shape))
    }

    fn apply(&self, row: RowView<'_>, mut out: RowViewMut<'_>, _: &mut PositionRng) -> Result<()> {
        match row.dtype().size() {
            1 => self.permute::<u8>(row, &mut out),
            2 => self.permute::<u16>(row, &mut out),
            4 => self.permute::<u32>(row, &mut out),
            _ => self.permute::<u64>(row, &mut out),
        }
    }
}

impl Permute {
    /// Moves elements of the size of a `T`.
    fn permute<T: bytemuck::Pod>(&self, row: RowView<'_>, out: &mut RowViewMut<'_>) -> Result<()> {
        let not_aligned = |error: bytemuck::PodCastError| shape_error(error.to_string());
        let not_of_shape = |error: ndarray::ShapeError| shape_error(error.to_string());
        let elements = bytemuck::try_cast_slice::<u8, T>(row.bytes()).map_err(not_aligned)?;
        let old = ArrayView::from_shape(row.shape(), elements).map_err(not_of_shape)?;
        let shape = IxDyn(out.shape());
        let elements = bytemuck::try_cast_slice_mut(out.bytes_mut()).map_err(not_aligned)?;
        let mut new = ArrayViewMut::from_shape(shape, elements).map_err(not_of_shape)?;
        let last = |shape: &[usize]| shape.last().copied();
        if last(new.shape()) >= last(old.shape()) {
            new.assign(&old.permuted_axes(IxDyn(&self.axes)));
            return Ok(());
        }
        // The innermost loop is over the last axis, which is long in the old row only.
        let mut inverse = vec![0; self.axes.len()];
        for (at, axis) in self.axes.iter().enumerate() {
            inverse[*axis] = at;
        }
        new.permuted_axes(IxDyn(&inverse)).assign(&old);
        Ok(())
    }
}
