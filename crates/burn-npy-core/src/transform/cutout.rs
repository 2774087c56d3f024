//! Images with a hole.

use super::image::{Channels, Fill, Image, channels_methods, shape_error, usage_error};
use super::ours::Ours;
use super::{RowType, RowView, RowViewMut, Transform};
use crate::order::PositionRng;
use crate::{DType, Result};

/// An image with a square at a random place that is set to one value.
///
/// The method is that of DeVries and Taylor, *Improved Regularization of Convolutional Neural
/// Networks with Cutout*, 2017: the middle of the square is any pixel of the image, and what sticks
/// out of the image is cut off. The square begins half of its size, rounded down, above and to the
/// left of its middle.
///
/// The rows are images `[height, width]` of any dtype, or have their channels
/// [first](Self::channels_first) or [last](Self::channels_last). The new rows have the same shape.
/// The square is at the same place in all channels.
///
/// # Random numbers
///
/// The line of the middle is drawn first, then its column.
///
/// # Errors
///
/// When it is added to a column: [`ErrorKind::Shape`](crate::ErrorKind::Shape) if the rows are no
/// such images or are smaller than the square, [`ErrorKind::Value`](crate::ErrorKind::Value) if the
/// dtype does not have the value to fill with, and [`ErrorKind::Usage`](crate::ErrorKind::Usage) if
/// the square has a size of 0.
///
/// # Example
///
/// ```
/// # extern crate burn_npy_core as burn_npy;
/// use burn_npy::DType;
/// use burn_npy::transform::{Cutout, RowType, Transform};
///
/// # fn main() -> burn_npy::Result<()> {
/// // The mean of the images, if they are normalised.
/// let cutout = Cutout::new(16).fill(0.0).channels_first();
/// let images = RowType::new(DType::F32, [3, 32, 32]);
/// assert_eq!(cutout.output(&images)?, images);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Cutout {
    size: usize,
    fill: f64,
    channels: Channels,
}

impl Cutout {
    /// Squares of this height and width.
    pub fn new(size: usize) -> Self {
        Self {
            size,
            fill: 0.0,
            channels: Channels::Unsaid,
        }
    }

    /// Sets the value of the elements in the square, 0 by default. The dtype of the rows must have
    /// exactly this value.
    pub fn fill(mut self, value: f64) -> Self {
        self.fill = value;
        self
    }

    channels_methods!();

    fn checked(&self, dtype: DType, shape: &[usize]) -> Result<(Image, Fill)> {
        let image = self.channels.image(dtype, shape)?;
        let fill = Fill::new(self.fill, dtype)?;
        if self.size > image.height.min(image.width) {
            return Err(shape_error(format!(
                "rows of shape {shape:?} are images of {} x {}, smaller than the square of {size} \
                 x {size} to cut out",
                image.height,
                image.width,
                size = self.size
            )));
        }
        Ok((image, fill))
    }
}

impl Transform for Cutout {
    fn only_copies(&self, _: Ours) -> bool {
        true
    }

    fn output(&self, row: &RowType) -> Result<RowType> {
        self.checked(row.dtype, &row.shape)?;
        if self.size == 0 {
            return Err(usage_error(
                "the square to cut out has a size of 0".to_owned(),
            ));
        }
        Ok(row.clone())
    }

    fn apply(
        &self,
        row: RowView<'_>,
        mut out: RowViewMut<'_>,
        rng: &mut PositionRng,
    ) -> Result<()> {
        let (image, fill) = self.checked(row.dtype(), row.shape())?;
        out.bytes_mut().copy_from_slice(row.bytes());
        let [lines, columns] = [image.height, image.width].map(|len| {
            let end = rng.below(len as u64) as usize + self.size - self.size / 2;
            end.saturating_sub(self.size)..end.min(len)
        });
        if out.bytes_mut().is_empty() {
            return Ok(());
        }
        let line = image.width * image.pixel;
        for plane in out.bytes_mut().chunks_exact_mut(image.height * line) {
            for line in plane
                .chunks_exact_mut(line)
                .take(lines.end)
                .skip(lines.start)
            {
                fill.fill(&mut line[columns.start * image.pixel..columns.end * image.pixel]);
            }
        }
        Ok(())
    }
}
