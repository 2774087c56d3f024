//! Images with a border.

use super::crop::{padded, too_large};
use super::image::{Channels, Fill, Image, Window, channels_methods};
use super::ours::Ours;
use super::{RowType, RowView, RowViewMut, Transform};
use crate::order::PositionRng;
use crate::{DType, Result};

/// An image with a border of one value.
///
/// The rows are images `[height, width]` of any dtype, or have their channels
/// [first](Self::channels_first) or [last](Self::channels_last). The new rows have the height and
/// width with the border.
///
/// # Errors
///
/// When it is added to a column: [`ErrorKind::Shape`](crate::ErrorKind::Shape) if the rows are no
/// such images, [`ErrorKind::Value`](crate::ErrorKind::Value) if the dtype does not have the value
/// to fill with, and [`ErrorKind::Overflow`](crate::ErrorKind::Overflow) if the new rows are larger
/// than the address space.
///
/// # Example
///
/// Images of 28 x 28 become images of 32 x 32, as the network LeNet expects them:
///
/// ```
/// # extern crate burn_npy_core as burn_npy;
/// use burn_npy::DType;
/// use burn_npy::transform::{Pad, RowType, Transform};
///
/// # fn main() -> burn_npy::Result<()> {
/// let images = Pad::new(2).output(&RowType::new(DType::U8, [28, 28]))?;
/// assert_eq!(images.shape, [32, 32]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Pad {
    /// Before and after the height and the width.
    border: [[usize; 2]; 2],
    fill: f64,
    channels: Channels,
}

impl Pad {
    /// Adds pixels on each of the four sides.
    pub fn new(pixels: usize) -> Self {
        Self {
            border: [[pixels; 2]; 2],
            fill: 0.0,
            channels: Channels::Unsaid,
        }
    }

    /// Sets how many lines are added above and below the image.
    pub fn height(mut self, above: usize, below: usize) -> Self {
        self.border[0] = [above, below];
        self
    }

    /// Sets how many columns are added to the left and to the right of the image.
    pub fn width(mut self, left: usize, right: usize) -> Self {
        self.border[1] = [left, right];
        self
    }

    /// Sets the value of the new elements, 0 by default. The dtype of the rows must have exactly
    /// this value.
    pub fn fill(mut self, value: f64) -> Self {
        self.fill = value;
        self
    }

    channels_methods!();

    /// The image, its border, and the new height and width.
    fn checked(&self, dtype: DType, shape: &[usize]) -> Result<(Image, Fill, [usize; 2])> {
        let image = self.channels.image(dtype, shape)?;
        let fill = Fill::new(self.fill, dtype)?;
        let [[above, below], [left, right]] = self.border;
        let height = padded(image.height, above, below).ok_or_else(|| too_large(shape))?;
        let width = padded(image.width, left, right).ok_or_else(|| too_large(shape))?;
        Ok((image, fill, [height, width]))
    }
}

impl Transform for Pad {
    fn only_copies(&self, _: Ours) -> bool {
        true
    }

    fn output(&self, row: &RowType) -> Result<RowType> {
        let (_, _, size) = self.checked(row.dtype, &row.shape)?;
        self.channels.resized(row, size)
    }

    fn apply(&self, row: RowView<'_>, mut out: RowViewMut<'_>, _: &mut PositionRng) -> Result<()> {
        let (image, fill, size) = self.checked(row.dtype(), row.shape())?;
        let window = Window {
            size,
            start: self.border.map(|[before, _]| -(before as isize)),
            flipped: [false; 2],
        };
        window.copy(&image, row.bytes(), out.bytes_mut(), &fill);
        Ok(())
    }
}
