//! Parts of images, all of one size.

use super::image::{Channels, Fill, Image, Window, channels_methods, probability, shape_error};
use super::ours::Ours;
use super::{RowType, RowView, RowViewMut, Transform};
use crate::order::PositionRng;
use crate::{DType, Error, ErrorKind, Result};

/// A part of an image at a random place, and perhaps its mirror image: the usual augmentation of
/// small images.
///
/// The rows are images `[height, width]` of any dtype, or have their channels
/// [first](Self::channels_first) or [last](Self::channels_last). The new rows have the height and
/// width of the crop. Only the lines and columns of the crop are read.
///
/// # Random numbers
///
/// The top line is drawn first, then the left column, each with the same probability for all places
/// where the crop fits into the padded image. With [`flip`](Self::flip), a third number decides
/// whether the crop is mirrored.
///
/// # Errors
///
/// When it is added to a column: [`ErrorKind::Shape`] if the rows are no such images or the padded
/// image is smaller than the crop, [`ErrorKind::Value`] if the dtype does not have the value to
/// fill with, and [`ErrorKind::Usage`] if the probability is none.
///
/// # Example
///
/// The augmentation of CIFAR-10: four pixels of zeros around the image, a crop of the old size, and
/// half of the crops mirrored. In torchvision it is `RandomCrop(32, padding=4)` and
/// `RandomHorizontalFlip()`.
///
/// ```
/// # extern crate burn_npy_core as burn_npy;
/// use burn_npy::DType;
/// use burn_npy::transform::{RandomCrop, RowType, Transform};
///
/// # fn main() -> burn_npy::Result<()> {
/// let augment = RandomCrop::new([32, 32]).pad(4).flip(0.5).channels_first();
/// let images = RowType::new(DType::U8, [3, 32, 32]);
/// assert_eq!(augment.output(&images)?, images);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct RandomCrop {
    size: [usize; 2],
    pad: usize,
    fill: f64,
    flip: Option<f64>,
    channels: Channels,
}

impl RandomCrop {
    /// Crops of this height and width.
    pub fn new(size: [usize; 2]) -> Self {
        Self {
            size,
            pad: 0,
            fill: 0.0,
            flip: None,
            channels: Channels::Unsaid,
        }
    }

    /// Adds pixels on each of the four sides before the crop. By default there are none.
    pub fn pad(mut self, pixels: usize) -> Self {
        self.pad = pixels;
        self
    }

    /// Sets the value of the elements that [`pad`](Self::pad) adds, 0 by default. The dtype of the
    /// rows must have exactly this value.
    pub fn fill(mut self, value: f64) -> Self {
        self.fill = value;
        self
    }

    /// Mirrors crops with this probability, left to right. The crop and its mirror image are made
    /// in one pass.
    pub fn flip(mut self, probability: f64) -> Self {
        self.flip = Some(probability);
        self
    }

    channels_methods!();

    /// The image, what pads it, and how many places the crop has along each axis. It is compiled
    /// into its callers, as are the functions that it calls: each row asks for it, and to return it
    /// in memory would take as long as to copy a small image.
    #[inline(always)]
    fn checked(&self, dtype: DType, shape: &[usize]) -> Result<(Image, Fill, [u64; 2])> {
        let image = self.channels.image(dtype, shape)?;
        let fill = Fill::new(self.fill, dtype)?;
        let padded = |len| padded(len, self.pad, self.pad).ok_or_else(|| too_large(shape));
        let (height, width) = (padded(image.height)?, padded(image.width)?);
        let places = places([height, width], self.size, shape, self.pad)?;
        Ok((image, fill, places.map(|places| places as u64 + 1)))
    }
}

impl Transform for RandomCrop {
    fn only_copies(&self, _: Ours) -> bool {
        true
    }

    fn output(&self, row: &RowType) -> Result<RowType> {
        self.checked(row.dtype, &row.shape)?;
        self.flip.map(probability).transpose()?;
        self.channels.resized(row, self.size)
    }

    fn apply(
        &self,
        row: RowView<'_>,
        mut out: RowViewMut<'_>,
        rng: &mut PositionRng,
    ) -> Result<()> {
        let (image, fill, places) = self.checked(row.dtype(), row.shape())?;
        let start = places.map(|places| rng.below(places) as isize - self.pad as isize);
        let mirrored = self.flip.is_some_and(|p| rng.chance(p));
        let window = Window {
            size: self.size,
            start,
            flipped: [false, mirrored],
        };
        window.copy(&image, row.bytes(), out.bytes_mut(), &fill);
        Ok(())
    }
}

/// The part in the middle of an image.
///
/// The rows are images `[height, width]` of any dtype, or have their channels
/// [first](Self::channels_first) or [last](Self::channels_last). The new rows have the height and
/// width of the crop. If an odd number of lines or columns is cut off, one more is cut off at the
/// bottom or at the right. Only the lines and columns of the crop are read.
///
/// # Errors
///
/// [`ErrorKind::Shape`] when it is added to a column, if the rows are no such images or are smaller
/// than the crop.
///
/// # Example
///
/// ```
/// # extern crate burn_npy_core as burn_npy;
/// use burn_npy::order::PositionRng;
/// use burn_npy::transform::{CenterCrop, RowView, RowViewMut, Transform};
///
/// # fn main() -> burn_npy::Result<()> {
/// let image = [0_u8, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];
/// let mut middle = [0_u8; 2];
/// CenterCrop::new([1, 2]).apply(
///     RowView::from_elements(&[3, 4], &image)?,
///     RowViewMut::from_elements(&[1, 2], &mut middle)?,
///     &mut PositionRng::new(0, 0, 0),
/// )?;
/// assert_eq!(middle, [5, 6]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct CenterCrop {
    size: [usize; 2],
    channels: Channels,
}

impl CenterCrop {
    /// Crops of this height and width.
    pub fn new(size: [usize; 2]) -> Self {
        Self {
            size,
            channels: Channels::Unsaid,
        }
    }

    channels_methods!();

    fn checked(&self, dtype: DType, shape: &[usize]) -> Result<(Image, [usize; 2])> {
        let image = self.channels.image(dtype, shape)?;
        let places = places([image.height, image.width], self.size, shape, 0)?;
        Ok((image, places))
    }
}

impl Transform for CenterCrop {
    fn only_copies(&self, _: Ours) -> bool {
        true
    }

    fn output(&self, row: &RowType) -> Result<RowType> {
        self.checked(row.dtype, &row.shape)?;
        self.channels.resized(row, self.size)
    }

    fn apply(&self, row: RowView<'_>, mut out: RowViewMut<'_>, _: &mut PositionRng) -> Result<()> {
        let (image, places) = self.checked(row.dtype(), row.shape())?;
        let window = Window {
            size: self.size,
            start: places.map(|places| (places / 2) as isize),
            flipped: [false; 2],
        };
        window.copy(&image, row.bytes(), out.bytes_mut(), &Fill::ZERO);
        Ok(())
    }
}

/// How far a crop can move down and to the right.
#[inline(always)]
fn places(image: [usize; 2], crop: [usize; 2], shape: &[usize], pad: usize) -> Result<[usize; 2]> {
    let [Some(down), Some(right)] = [0, 1].map(|axis| image[axis].checked_sub(crop[axis])) else {
        let padded = if pad > 0 {
            format!(", padded by {pad},")
        } else {
            String::new()
        };
        return Err(shape_error(format!(
            "rows of shape {shape:?}{padded} are images of {} x {}, smaller than the crop of {} x \
             {}",
            image[0], image[1], crop[0], crop[1]
        )));
    };
    Ok([down, right])
}

/// The length of an axis with something before and after it.
pub(super) fn padded(len: usize, before: usize, after: usize) -> Option<usize> {
    let sum = len.checked_add(before)?.checked_add(after)?;
    (sum <= isize::MAX as usize).then_some(sum)
}

pub(super) fn too_large(shape: &[usize]) -> Error {
    Error::new(
        ErrorKind::Overflow,
        format!("padded rows of shape {shape:?} would be larger than the address space"),
    )
}
