//! Mirror images.

use super::image::{Channels, Fill, Window, channels_methods, probability};
use super::ours::Ours;
use super::{RowType, RowView, RowViewMut, Transform};
use crate::Result;
use crate::order::PositionRng;

/// An image that is mirrored with some probability.
///
/// The rows are images `[height, width]` of any dtype, or have their channels
/// [first](Self::channels_first) or [last](Self::channels_last). The new rows have the same shape.
/// To mirror a crop, use [`RandomCrop::flip`](super::RandomCrop::flip), which takes one pass for
/// both.
///
/// # Random numbers
///
/// One number decides whether the image is mirrored.
///
/// # Errors
///
/// When it is added to a column: [`ErrorKind::Shape`](crate::ErrorKind::Shape) if the rows are no
/// such images, and [`ErrorKind::Usage`](crate::ErrorKind::Usage) if the probability is none.
///
/// # Example
///
/// ```
/// # extern crate burn_npy_core as burn_npy;
/// use burn_npy::order::PositionRng;
/// use burn_npy::transform::{RandomFlip, RowView, RowViewMut, Transform};
///
/// # fn main() -> burn_npy::Result<()> {
/// // Two pixels with three channels.
/// let image = [1.0_f32, 2.0, 3.0, 4.0, 5.0, 6.0];
/// let mut mirrored = [0.0_f32; 6];
/// RandomFlip::horizontal(1.0).channels_last().apply(
///     RowView::from_elements(&[1, 2, 3], &image)?,
///     RowViewMut::from_elements(&[1, 2, 3], &mut mirrored)?,
///     &mut PositionRng::new(0, 0, 0),
/// )?;
/// assert_eq!(mirrored, [4.0, 5.0, 6.0, 1.0, 2.0, 3.0]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct RandomFlip {
    /// Whether the height and the width are reversed.
    axes: [bool; 2],
    probability: f64,
    channels: Channels,
}

impl RandomFlip {
    /// Swaps left and right with this probability.
    pub fn horizontal(probability: f64) -> Self {
        Self {
            axes: [false, true],
            probability,
            channels: Channels::Unsaid,
        }
    }

    /// Swaps top and bottom with this probability.
    pub fn vertical(probability: f64) -> Self {
        Self {
            axes: [true, false],
            probability,
            channels: Channels::Unsaid,
        }
    }

    channels_methods!();
}

impl Transform for RandomFlip {
    fn only_copies(&self, _: Ours) -> bool {
        true
    }

    fn output(&self, row: &RowType) -> Result<RowType> {
        self.channels.image(row.dtype, &row.shape)?;
        probability(self.probability)?;
        Ok(row.clone())
    }

    fn apply(
        &self,
        row: RowView<'_>,
        mut out: RowViewMut<'_>,
        rng: &mut PositionRng,
    ) -> Result<()> {
        let image = self.channels.image(row.dtype(), row.shape())?;
        let flip = rng.chance(self.probability);
        let window = Window {
            size: [image.height, image.width],
            start: [0; 2],
            flipped: self.axes.map(|axis| axis && flip),
        };
        window.copy(&image, row.bytes(), out.bytes_mut(), &Fill::ZERO);
        Ok(())
    }
}
