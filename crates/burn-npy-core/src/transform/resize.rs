//! Images of another size.

use fast_image_resize::images::{Image as NewImage, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

use super::image::{Channels, Image, channels_methods, shape_error, usage_error};
use super::{RowType, RowView, RowViewMut, Transform};
use crate::order::PositionRng;
use crate::{DType, Error, ErrorKind, Result};

/// An image resized to a height and a width.
///
/// The rows are images `[height, width]`, or have their channels [first](Self::channels_first) or
/// [last](Self::channels_last). The new rows have the same dtype. The ratio of height and width is
/// not kept: crop the image to the wanted ratio before if it matters.
///
/// [`ResizeFilter::Nearest`] takes rows of any dtype, such as masks of labels. The other filters
/// take `uint8`, `uint16` and `float32`, and at most four channels if they are last. Channels are
/// independent: a fourth one is not taken for opacity.
///
/// The results are those of Pillow's `resize`, and so of torchvision's `Resize` for images of
/// Pillow: when an image becomes smaller, each filter but `Nearest` covers all of the old image.
/// Floats are equal up to rounding. Integers differ by at most 1, and by 2 for the filters that
/// overshoot, more where they do: they are kept within the range of the integer after each of the
/// two passes, and which pass comes first differs. `Nearest` takes the pixel that has the middle of
/// the new pixel, in exact arithmetic; Pillow may take the one beside it if the middle is on an
/// edge. The last bit of floats may depend on the processor, since the order of the sums does.
///
/// It needs the feature `resize`.
///
/// # Errors
///
/// When it is added to a column: [`ErrorKind::Shape`] if the rows are no such images or have no
/// pixels, [`ErrorKind::Dtype`] if the filter does not take their dtype, [`ErrorKind::Usage`] if
/// the new size is 0, and [`ErrorKind::Limit`] if a size is not below 2<sup>32</sup>.
///
/// # Example
///
/// ```
/// # extern crate burn_npy_core as burn_npy;
/// use burn_npy::DType;
/// use burn_npy::transform::{Resize, ResizeFilter, RowType, Transform};
///
/// # fn main() -> burn_npy::Result<()> {
/// let resize = Resize::new([224, 224]).filter(ResizeFilter::Bicubic).channels_last();
/// let images = resize.output(&RowType::new(DType::U8, [480, 640, 3]))?;
/// assert_eq!(images.shape, [224, 224, 3]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Resize {
    size: [usize; 2],
    filter: ResizeFilter,
    channels: Channels,
}

/// How [`Resize`] computes a pixel, with the names of Pillow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResizeFilter {
    /// The nearest pixel. It makes no new values, as masks of labels need it.
    Nearest,
    /// The mean of the pixels that the new pixel covers.
    Box,
    /// Linear interpolation.
    #[default]
    Bilinear,
    /// Cubic interpolation (Catmull-Rom). It overshoots at edges.
    Bicubic,
    /// A windowed sinc over three pixels on each side. It overshoots at edges.
    Lanczos,
}

impl Resize {
    /// Images of this height and width.
    pub fn new(size: [usize; 2]) -> Self {
        Self {
            size,
            filter: ResizeFilter::default(),
            channels: Channels::Unsaid,
        }
    }

    /// Sets the filter, [`ResizeFilter::Bilinear`] by default.
    pub fn filter(mut self, filter: ResizeFilter) -> Self {
        self.filter = filter;
        self
    }

    channels_methods!();

    /// The image, checked with everything but the filter.
    fn checked(&self, dtype: DType, shape: &[usize]) -> Result<Image> {
        let image = self.channels.image(dtype, shape)?;
        if image.height == 0 || image.width == 0 || image.pixel == 0 {
            return Err(shape_error(format!(
                "rows of shape {shape:?} have no pixels to resize"
            )));
        }
        if self.size.contains(&0) {
            return Err(usage_error(format!(
                "images cannot be resized to {:?}",
                self.size
            )));
        }
        Ok(image)
    }

    /// The filter, and the type of the pixels that it takes; `None` if it is `Nearest`.
    fn convolution(
        &self,
        dtype: DType,
        shape: &[usize],
        image: &Image,
    ) -> Result<Option<(FilterType, PixelType)>> {
        let filter = match self.filter {
            ResizeFilter::Nearest => return Ok(None),
            ResizeFilter::Box => FilterType::Box,
            ResizeFilter::Bilinear => FilterType::Bilinear,
            ResizeFilter::Bicubic => FilterType::CatmullRom,
            ResizeFilter::Lanczos => FilterType::Lanczos3,
        };
        let types = match dtype {
            DType::U8 => [
                PixelType::U8,
                PixelType::U8x2,
                PixelType::U8x3,
                PixelType::U8x4,
            ],
            DType::U16 => [
                PixelType::U16,
                PixelType::U16x2,
                PixelType::U16x3,
                PixelType::U16x4,
            ],
            DType::F32 => [
                PixelType::F32,
                PixelType::F32x2,
                PixelType::F32x3,
                PixelType::F32x4,
            ],
            _ => {
                let message = format!(
                    "{:?} takes uint8, uint16 and float32 and the rows are {dtype}; convert the \
                     column first, or take ResizeFilter::Nearest",
                    self.filter
                );
                return Err(Error::new(ErrorKind::Dtype, message));
            }
        };
        match types.get(image.pixel / dtype.size() - 1) {
            Some(pixel) => Ok(Some((filter, *pixel))),
            None => Err(shape_error(format!(
                "rows of shape {shape:?} have more than four channels last; put the channels first"
            ))),
        }
    }
}

impl Transform for Resize {
    fn output(&self, row: &RowType) -> Result<RowType> {
        let image = self.checked(row.dtype, &row.shape)?;
        self.convolution(row.dtype, &row.shape, &image)?;
        for size in [[image.height, image.width], self.size] {
            lengths(size)?;
        }
        self.channels.resized(row, self.size)
    }

    fn apply(&self, row: RowView<'_>, mut out: RowViewMut<'_>, _: &mut PositionRng) -> Result<()> {
        let image = self.checked(row.dtype(), row.shape())?;
        let convolution = self.convolution(row.dtype(), row.shape(), &image)?;
        let planes = row
            .bytes()
            .chunks_exact(image.height * image.width * image.pixel);
        let new_plane = self.size[0] * self.size[1] * image.pixel;
        let planes = planes.zip(out.bytes_mut().chunks_exact_mut(new_plane));
        let Some((filter, pixel)) = convolution else {
            planes.for_each(|(old, new)| nearest(&image, old, self.size, new));
            return Ok(());
        };
        let options = ResizeOptions::new()
            .resize_alg(ResizeAlg::Convolution(filter))
            .use_alpha(false);
        let [height, width] = lengths([image.height, image.width])?;
        let [new_height, new_width] = lengths(self.size)?;
        let mut resizer = Resizer::new();
        for (old, new) in planes {
            let old = ImageRef::new(width, height, old, pixel).map_err(not_resized)?;
            let new = NewImage::from_slice_u8(new_width, new_height, new, pixel);
            let mut new = new.map_err(not_resized)?;
            resizer
                .resize(&old, &mut new, &options)
                .map_err(not_resized)?;
        }
        Ok(())
    }
}

/// Copies the nearest pixels of a plane.
fn nearest(image: &Image, old: &[u8], [height, width]: [usize; 2], new: &mut [u8]) {
    // The middle of a new pixel, in halves of a new pixel, on the scale of the old image.
    let index = |at: usize, new: usize, old: usize| {
        ((2 * at as u128 + 1) * old as u128 / (2 * new as u128)) as usize
    };
    let columns: Vec<usize> = (0..width)
        .map(|x| index(x, width, image.width) * image.pixel)
        .collect();
    let line = image.width * image.pixel;
    for (y, new) in new.chunks_exact_mut(width * image.pixel).enumerate() {
        let old = &old[index(y, height, image.height) * line..][..line];
        for (new, column) in new.chunks_exact_mut(image.pixel).zip(&columns) {
            new.copy_from_slice(&old[*column..][..image.pixel]);
        }
    }
}

/// A height and a width as the crate takes them.
fn lengths(size: [usize; 2]) -> Result<[u32; 2]> {
    let [Ok(height), Ok(width)] = size.map(u32::try_from) else {
        let message = format!(
            "images of {} x {} are too large to resize",
            size[0], size[1]
        );
        return Err(Error::new(ErrorKind::Limit, message));
    };
    Ok([height, width])
}

/// An error of the crate, which the checks before it leave no reason for.
fn not_resized(error: impl std::error::Error) -> Error {
    shape_error(error.to_string())
}
