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
        let line_bytes = [image.width * image.pixel, width * image.pixel];
        let lines = Lines {
            planes: [image.height * line_bytes[0], height * line_bytes[1]],
            starts: [lines.from * line_bytes[0], lines.to * line_bytes[1]],
            count: lines.len,
            line_bytes,
            columns: [columns.from, columns.to].map(|column| column * image.pixel),
            copied: columns.len * image.pixel,
            upside_down,
        };
        if mirrored {
            lines.mirror(row, out, image.pixel);
        } else {
            lines.copy(row, out);
        }
    }
}

/// The lines that a window and an image have in common, in bytes; first those of the image.
#[derive(Clone, Copy)]
struct Lines {
    planes: [usize; 2],
    /// Where they begin in a plane.
    starts: [usize; 2],
    count: usize,
    line_bytes: [usize; 2],
    /// Where they begin in a line.
    columns: [usize; 2],
    copied: usize,
    upside_down: bool,
}

impl Lines {
    /// Calls `f` with what is copied of each line. What depends on the kind of image is decided
    /// before, since lines are short.
    #[inline(always)]
    fn each(self, row: &[u8], out: &mut [u8], f: impl Fn(&[u8], &mut [u8])) {
        let planes = row.chunks_exact(self.planes[0]);
        for (plane, out) in planes.zip(out.chunks_exact_mut(self.planes[1])) {
            let plane = &plane[self.starts[0]..][..self.count * self.line_bytes[0]];
            let out = &mut out[self.starts[1]..][..self.count * self.line_bytes[1]];
            let old = plane.chunks_exact(self.line_bytes[0]);
            let new = out.chunks_exact_mut(self.line_bytes[1]);
            let f = |(old, new): (&[u8], &mut [u8])| {
                let [from, to] = self.columns;
                f(&old[from..][..self.copied], &mut new[to..][..self.copied]);
            };
            if self.upside_down {
                old.rev().zip(new).for_each(f);
            } else {
                old.zip(new).for_each(f);
            }
        }
    }

    fn copy(mut self, row: &[u8], out: &mut [u8]) {
        /// The two pieces may overlap.
        fn ends<const N: usize>(line: &[u8], out: &mut [u8]) {
            let (Some(first), Some(last)) = (line.first_chunk::<N>(), line.last_chunk::<N>())
            else {
                return out.copy_from_slice(line);
            };
            if let Some(out) = out.first_chunk_mut() {
                *out = *first;
            }
            if let Some(out) = out.last_chunk_mut() {
                *out = *last;
            }
        }
        if [self.copied; 2] == self.line_bytes && !self.upside_down {
            // Whole lines follow each other.
            self.copied *= self.count;
            self.line_bytes = [self.copied; 2];
            self.count = 1;
        }
        // A call would cost more than the copy of a short line.
        match self.copied {
            8..16 => self.each(row, out, ends::<8>),
            16..32 => self.each(row, out, ends::<16>),
            32..=64 => self.each(row, out, ends::<32>),
            _ => self.each(row, out, |line, out| out.copy_from_slice(line)),
        }
    }

    /// Copies the pixels of each line in the reverse order.
    fn mirror(self, row: &[u8], out: &mut [u8], pixel: usize) {
        fn each<const N: usize>(line: &[u8], out: &mut [u8]) {
            let new = out.as_chunks_mut::<N>().0;
            for (old, new) in line.as_chunks::<N>().0.iter().rev().zip(new) {
                *new = *old;
            }
        }
        /// Pixels of less than eight bytes, eight bytes at a time. The last word of the line may
        /// overlap the one before it.
        #[inline(always)]
        fn words<const N: usize>(line: &[u8], out: &mut [u8], turn: impl Fn(u64) -> u64) {
            let turned = |word: &[u8; 8]| turn(u64::from_ne_bytes(*word)).to_ne_bytes();
            let (Some(last), Some(first)) = (line.last_chunk(), out.first_chunk_mut()) else {
                return each::<N>(line, out);
            };
            *first = turned(last);
            let new = out.as_rchunks_mut::<8>().1.iter_mut().rev();
            for (old, new) in line.as_chunks::<8>().0.iter().zip(new) {
                *new = turned(old);
            }
        }
        match pixel {
            1 => self.each(row, out, |line, out| words::<1>(line, out, u64::swap_bytes)),
            2 => self.each(row, out, |line, out| {
                words::<2>(line, out, |word| {
                    let swapped = word.rotate_left(32);
                    let even = 0x0000_ffff_0000_ffff;
                    (swapped & even) << 16 | swapped >> 16 & even
                })
            }),
            // Three and four channels of one, two and four bytes, and what else is of such a size.
            3 => self.each(row, out, each::<3>),
            4 => self.each(row, out, each::<4>),
            6 => self.each(row, out, each::<6>),
            8 => self.each(row, out, each::<8>),
            12 => self.each(row, out, each::<12>),
            16 => self.each(row, out, each::<16>),
            _ => self.each(row, out, |line, out| {
                let new = out.chunks_exact_mut(pixel);
                for (old, new) in line.chunks_exact(pixel).rev().zip(new) {
                    new.copy_from_slice(old);
                }
            }),
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
