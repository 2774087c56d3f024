//! Rows as images, for the transforms that move pixels.

use super::RowType;
use crate::gather::{self, Lines};
use crate::{DType, Error, ErrorKind, Result};

/// Where the channels of an image are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Channels {
    /// The user has not said it.
    #[default]
    Unsaid,
    First,
    Last,
}

/// Adds the methods that say where the channels are, to a type with a field `channels`.
macro_rules! channels_methods {
    () => {
        /// Says that the rows are images `[channels, height, width]`.
        pub fn channels_first(mut self) -> Self {
            self.channels = $crate::transform::image::Channels::First;
            self
        }

        /// Says that the rows are images `[height, width, channels]`.
        pub fn channels_last(mut self) -> Self {
            self.channels = $crate::transform::image::Channels::Last;
            self
        }
    };
}
pub(super) use channels_methods;

/// The geometry of a row that is an image: lines of pixels, in planes if the channels are first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Image {
    pub(super) height: usize,
    pub(super) width: usize,
    /// The bytes of a pixel: of all its channels if they are last, or of one.
    pub(super) pixel: usize,
}

impl Channels {
    /// The geometry of a row.
    #[inline(always)]
    pub(super) fn image(self, dtype: DType, shape: &[usize]) -> Result<Image> {
        let (height, width, channels) = match (self, shape) {
            (Self::Unsaid, &[height, width]) => (height, width, 1),
            (Self::First, &[_, height, width]) => (height, width, 1),
            (Self::Last, &[height, width, channels]) => (height, width, channels),
            (Self::Unsaid, [_, _, _]) => {
                return Err(shape_error(format!(
                    "rows of shape {shape:?} may have their channels first or last; add \
                     channels_first() if they are [channels, height, width], or channels_last() \
                     if they are [height, width, channels]"
                )));
            }
            (Self::Unsaid, _) => {
                return Err(shape_error(format!(
                    "rows of shape {shape:?} are no images; expected [height, width] or an axis \
                     more for the channels"
                )));
            }
            (Self::First, _) => {
                return Err(shape_error(format!(
                    "rows of shape {shape:?} have no channels first; expected [channels, height, \
                     width]"
                )));
            }
            (Self::Last, _) => {
                return Err(shape_error(format!(
                    "rows of shape {shape:?} have no channels last; expected [height, width, \
                     channels]"
                )));
            }
        };
        Ok(Image {
            height,
            width,
            // Of an image without pixels, it may be any size.
            pixel: channels.saturating_mul(dtype.size()),
        })
    }

    /// The rows when their images get another height and width.
    pub(super) fn resized(self, row: &RowType, [height, width]: [usize; 2]) -> Result<RowType> {
        let mut shape = row.shape.clone();
        let at = usize::from(self == Self::First);
        for (len, new) in shape[at..].iter_mut().zip([height, width]) {
            *len = new;
        }
        row_type(row.dtype, shape)
    }
}

/// Rows whose bytes can be counted.
pub(super) fn row_type(dtype: DType, shape: Vec<usize>) -> Result<RowType> {
    let bytes = |bytes: usize, len: &usize| bytes.checked_mul(*len);
    match shape.iter().try_fold(dtype.size(), bytes) {
        Some(bytes) if bytes <= isize::MAX as usize => Ok(RowType { dtype, shape }),
        _ => Err(Error::new(
            ErrorKind::Overflow,
            format!("new rows of shape {shape:?} would be larger than the address space"),
        )),
    }
}

pub(super) fn shape_error(message: String) -> Error {
    Error::new(ErrorKind::Shape, message)
}

pub(super) fn usage_error(message: String) -> Error {
    Error::new(ErrorKind::Usage, message)
}

/// A probability, checked.
pub(super) fn probability(p: f64) -> Result<f64> {
    if (0.0..=1.0).contains(&p) {
        return Ok(p);
    }
    Err(usage_error(format!(
        "{p} is no probability, which is from 0 to 1"
    )))
}

/// A value that fills elements of a dtype.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fill {
    bytes: [u8; 8],
    size: usize,
}

impl Fill {
    /// Bytes of 0, for elements of any dtype.
    pub(super) const ZERO: Self = Self {
        bytes: [0; 8],
        size: 1,
    };

    /// The element that has exactly this value.
    #[inline(always)]
    pub(super) fn new(value: f64, dtype: DType) -> Result<Self> {
        // Each row asks for its fill, most often for this one.
        if value.to_bits() == 0 && dtype.small().is_none() {
            return Ok(Self::ZERO);
        }
        let mut bytes = [0; 8];
        let element = element(value, dtype).ok_or_else(|| {
            Error::new(
                ErrorKind::Value,
                format!("the rows are {dtype}, which cannot have the value {value} to fill with"),
            )
        })?;
        // The lower bytes of the number.
        let size = dtype.size();
        if cfg!(target_endian = "big") {
            bytes[..size].copy_from_slice(&element.to_be_bytes()[8 - size..]);
        } else {
            bytes = element.to_le_bytes();
        }
        Ok(Self { bytes, size })
    }

    /// Fills elements.
    pub(super) fn fill(&self, out: &mut [u8]) {
        fn each<const N: usize>(out: &mut [u8], bytes: [u8; 8]) {
            let (elements, _) = out.as_chunks_mut::<N>();
            elements.fill(std::array::from_fn(|i| bytes[i]));
        }
        match self.size {
            1 => out.fill(self.bytes[0]),
            2 => each::<2>(out, self.bytes),
            4 => each::<4>(out, self.bytes),
            _ => each::<8>(out, self.bytes),
        }
    }
}

/// The bits of the element of a dtype that has a value; `None` if there is none.
fn element(value: f64, dtype: DType) -> Option<u64> {
    use half::{bf16, f16};

    if let Some(format) = dtype.small() {
        let values = || (0..=u8::MAX).map(|byte| (u64::from(byte), f64::from(format.value(byte))));
        let same = |(_, x): &(u64, f64)| x.to_bits() == value.to_bits();
        // A type without -0 has the value of -0, and each NaN is NaN.
        let equal = |(_, x): &(u64, f64)| *x == value || x.is_nan() && value.is_nan();
        return Some(values().find(same).or_else(|| values().find(equal))?.0);
    }
    let exact = |x: f64| x == value || x.is_nan() && value.is_nan();
    let (bits, is_exact) = match dtype {
        DType::F16 => (
            f16::from_f64(value).to_bits().into(),
            exact(f16::from_f64(value).into()),
        ),
        DType::BF16 => (
            bf16::from_f64(value).to_bits().into(),
            exact(bf16::from_f64(value).into()),
        ),
        DType::F32 => (
            (value as f32).to_bits().into(),
            exact(f64::from(value as f32)),
        ),
        DType::F64 => (value.to_bits(), true),
        _ => {
            let (low, high) = dtype.int_range().unwrap_or((0, 1));
            let whole = value as i128;
            (
                whole as u64,
                whole as f64 == value && low <= whole && whole <= high,
            )
        }
    };
    is_exact.then_some(bits)
}

/// A part of an image that may stick out of it, as a new image.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    /// The height and width of the new image.
    pub(super) size: [usize; 2],
    /// The line and the column of the old image at which the new one begins.
    pub(super) start: [isize; 2],
    /// Whether the new image is turned upside down, and whether it is mirrored.
    pub(super) flipped: [bool; 2],
}

impl Window {
    /// Copies the window of a row to `out`. What sticks out is filled.
    pub(super) fn copy(&self, image: &Image, row: &[u8], out: &mut [u8], fill: &Fill) {
        if out.is_empty() {
            return;
        }
        let [lines, columns] = [0, 1].map(|axis| {
            let len = [image.height, image.width][axis];
            Overlap::new(len, self.size[axis], self.start[axis], self.flipped[axis])
        });
        let [height, width] = self.size;
        if lines.len < height || columns.len < width {
            fill.fill(out);
        }
        if lines.len == 0 || columns.len == 0 {
            return;
        }
        let [upside_down, mirrored] = self.flipped;
        let line_bytes = [image.width, width].map(|width| width * image.pixel);
        let stride = line_bytes[0] as isize;
        let (first, stride) = if upside_down {
            (lines.from + lines.len - 1, -stride)
        } else {
            (lines.from, stride)
        };
        let lines = Lines {
            planes: [image.height * line_bytes[0], height * line_bytes[1]],
            starts: [
                first * line_bytes[0] + columns.from * image.pixel,
                lines.to * line_bytes[1] + columns.to * image.pixel,
            ],
            strides: [stride, line_bytes[1] as isize],
            count: lines.len,
            bytes: columns.len * image.pixel,
        };
        if mirrored {
            gather::mirror_lines(&lines, image.pixel, row, out);
        } else {
            lines.copy(row, out);
        }
    }
}

/// What a window and an image have in common, along an axis.
struct Overlap {
    /// The index in the image where it begins.
    from: usize,
    /// The index in the new image where it begins.
    to: usize,
    len: usize,
}

impl Overlap {
    fn new(image: usize, window: usize, start: isize, flipped: bool) -> Self {
        let end = start.saturating_add_unsigned(window);
        let within = |index: isize| usize::try_from(index).unwrap_or(0).min(image);
        let (from, end) = (within(start), within(end));
        let len = end - from;
        // If they have something in common, `from` is not less than `start`.
        let before = if len == 0 {
            0
        } else {
            (from as isize - start) as usize
        };
        let to = if flipped {
            window - len - before
        } else {
            before
        };
        Self { from, to, len }
    }
}
