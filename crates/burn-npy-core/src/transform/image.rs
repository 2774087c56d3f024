//! Rows as images, for the transforms that move pixels.

use super::RowType;
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
    pub(super) fn new(value: f64, dtype: DType) -> Result<Self> {
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
        let old_line = image.width * image.pixel;
        let new_line = width * image.pixel;
        let [from, to] = [columns.from, columns.to].map(|column| column * image.pixel);
        let copied = columns.len * image.pixel;
        let planes = row.chunks_exact(image.height * old_line);
        for (plane, out) in planes.zip(out.chunks_exact_mut(height * new_line)) {
            let plane = &plane[lines.from * old_line..][..lines.len * old_line];
            let out = &mut out[lines.to * new_line..][..lines.len * new_line];
            if copied == old_line && copied == new_line && self.flipped == [false; 2] {
                out.copy_from_slice(plane);
                continue;
            }
            let copy = |(old, new): (&[u8], &mut [u8])| {
                let (old, new) = (&old[from..][..copied], &mut new[to..][..copied]);
                if mirrored {
                    mirror(old, new, image.pixel);
                } else {
                    new.copy_from_slice(old);
                }
            };
            let old = plane.chunks_exact(old_line);
            let new = out.chunks_exact_mut(new_line);
            if upside_down {
                old.rev().zip(new).for_each(copy);
            } else {
                old.zip(new).for_each(copy);
            }
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

/// Copies pixels in the reverse order.
fn mirror(line: &[u8], out: &mut [u8], pixel: usize) {
    fn each<const N: usize>(line: &[u8], out: &mut [u8]) {
        let new = out.as_chunks_mut::<N>().0;
        for (old, new) in line.as_chunks::<N>().0.iter().rev().zip(new) {
            *new = *old;
        }
    }
    /// Pixels of less than eight bytes, eight bytes at a time.
    fn words<const N: usize>(line: &[u8], out: &mut [u8], turn: impl Fn(u64) -> u64) {
        let (old, old_rest) = line.as_chunks::<8>();
        let (new_rest, new) = out.as_rchunks_mut::<8>();
        for (old, new) in old.iter().zip(new.iter_mut().rev()) {
            *new = turn(u64::from_ne_bytes(*old)).to_ne_bytes();
        }
        each::<N>(old_rest, new_rest);
    }
    match pixel {
        1 => words::<1>(line, out, u64::swap_bytes),
        2 => words::<2>(line, out, |word| {
            let swapped = word.rotate_left(32);
            let even = 0x0000_ffff_0000_ffff;
            (swapped & even) << 16 | swapped >> 16 & even
        }),
        // Three and four channels of one, two and four bytes, and what else is of such a size.
        3 => each::<3>(line, out),
        4 => each::<4>(line, out),
        6 => each::<6>(line, out),
        8 => each::<8>(line, out),
        12 => each::<12>(line, out),
        16 => each::<16>(line, out),
        _ => {
            let new = out.chunks_exact_mut(pixel);
            for (old, new) in line.chunks_exact(pixel).rev().zip(new) {
                new.copy_from_slice(old);
            }
        }
    }
}
