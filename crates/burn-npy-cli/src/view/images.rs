//! Rows as images, on a contact sheet.

use burn_npy_core::file::{Buffer, Column};
use burn_npy_core::{Array, Convert, DType, Error, ErrorKind, Result};

use super::picture::{CHARACTER, Color, LINE, MAX_PIXELS, Picture};
use crate::open::locate;
use crate::table;

const PAPER: Color = [238, 240, 242];
const INK: Color = [31, 35, 40];
const PALE_INK: Color = [110, 118, 127];
/// The color of NaN, which no shade of grey is.
const NAN: Color = [207, 34, 46];
/// Around the sheet, and between images.
const MARGIN: usize = 12;
const GAP: usize = 8;
/// Between an image and its caption.
const LEADING: usize = 2;
/// Small images are enlarged to at least so many pixels.
const LEGIBLE: usize = 56;
/// The longest caption that makes a column wider, in characters.
const MAX_CAPTION: usize = 16;

/// How the numbers of a row are the pixels of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Form {
    height: usize,
    width: usize,
    /// Whether a pixel has three numbers, red, green and blue.
    is_color: bool,
    /// Whether the numbers of a color lie one after the other.
    channels_first: bool,
}

impl Form {
    /// The form of rows of a shape; `None` if they are no images. Where the first and the last axis
    /// have the length of a pixel, the last one has the channels.
    pub(super) fn of(shape: &[usize]) -> Option<Self> {
        let (height, width, channels, channels_first) = match *shape {
            [height, width] => (height, width, 1, false),
            [height, width, channels @ (1 | 3)] => (height, width, channels, false),
            [channels @ (1 | 3), height, width] => (height, width, channels, true),
            _ => return None,
        };
        (height > 0 && width > 0).then_some(Self {
            height,
            width,
            is_color: channels == 3,
            channels_first,
        })
    }

    /// The numbers of a pixel.
    fn pixel(&self, numbers: &[f64], y: usize, x: usize) -> [f64; 3] {
        let at = y * self.width + x;
        match (self.is_color, self.channels_first) {
            (false, _) => [numbers[at]; 3],
            (true, false) => [0, 1, 2].map(|channel| numbers[3 * at + channel]),
            (true, true) => {
                let area = self.height * self.width;
                [0, 1, 2].map(|channel| numbers[channel * area + at])
            }
        }
    }
}

/// How a sheet is laid out.
#[derive(Debug)]
pub(super) struct Style {
    /// Images in a line.
    pub(super) columns: usize,
    /// How often each pixel is repeated in both directions.
    pub(super) scale: Option<usize>,
    /// The numbers that are black and white.
    pub(super) range: Option<(f64, f64)>,
    /// Whether the captions are more than the numbers of the rows.
    pub(super) has_labels: bool,
}

/// Draws rows, each above its caption.
pub(super) fn sheet(
    array: &Array,
    column: Column,
    form: Form,
    rows: &[usize],
    captions: &[String],
    style: &Style,
) -> Result<Picture> {
    let smaller = form.height.min(form.width);
    let scale = style.scale.unwrap_or(LEGIBLE.div_ceil(smaller)).max(1);
    let columns = style.columns.clamp(1, rows.len().max(1));
    let longest = captions.iter().map(|text| text.chars().count()).max();
    let caption = longest.unwrap_or(0).min(MAX_CAPTION) * CHARACTER;
    let too_large = || {
        let message = format!(
            "{} images of {}x{} pixels make a picture of more than {MAX_PIXELS} pixels; take fewer \
             --rows or a smaller --scale",
            rows.len(),
            form.width.saturating_mul(scale),
            form.height.saturating_mul(scale),
        );
        locate(array, Error::new(ErrorKind::Limit, message))
    };
    let size = || {
        let image = [
            form.width.checked_mul(scale)?,
            form.height.checked_mul(scale)?,
        ];
        let cell = [image[0].max(caption), image[1].checked_add(LEADING + LINE)?];
        let along = |count: usize, len: usize| {
            let all = count.checked_mul(len.checked_add(GAP)?)?;
            all.checked_add(2 * MARGIN - GAP)
        };
        let width = along(columns, cell[0])?;
        let height = along(rows.len().div_ceil(columns), cell[1])?;
        width
            .checked_mul(height)
            .filter(|pixels| *pixels <= MAX_PIXELS)?;
        Some((image, cell, width, height))
    };
    let (image, cell, width, height) = size().ok_or_else(too_large)?;
    let mut reader = Reader::new(column)?;
    let (low, high) = match (style.range, array.dtype()) {
        (Some(range), _) => range,
        (None, Some(DType::U8)) => (0.0, 255.0),
        (None, Some(DType::Bool)) => (0.0, 1.0),
        (None, _) => reader.range(rows)?,
    };
    let shade = |number: f64| {
        // A range of one number has no scale.
        let part = (number - low) / (high - low).max(f64::MIN_POSITIVE);
        (part * 255.0).round().clamp(0.0, 255.0) as u8
    };
    let mut picture = Picture::new(width, height, PAPER);
    let ink = if style.has_labels { INK } else { PALE_INK };
    for (place, (row, caption)) in rows.iter().zip(captions).enumerate() {
        let numbers = reader.read(*row)?;
        let left = MARGIN + place % columns * (cell[0] + GAP);
        let top = MARGIN + place / columns * (cell[1] + GAP);
        let start = left + (cell[0] - image[0]) / 2;
        for y in 0..form.height {
            for x in 0..form.width {
                let pixel = form.pixel(numbers, y, x);
                let color = match pixel.iter().any(|number| number.is_nan()) {
                    true => NAN,
                    false => pixel.map(shade),
                };
                let at = [start + x * scale, top + y * scale];
                picture.fill(at, [scale, scale], color);
            }
        }
        let caption = cut(caption, cell[0] / CHARACTER);
        let indent = (cell[0] - caption.chars().count() * CHARACTER) / 2;
        let at = [left + indent, top + image[1] + LEADING];
        picture.text(at, &caption, ink);
    }
    Ok(picture)
}

/// A text of at most `most` characters, which ends with two dots if there were more.
fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most.saturating_sub(2)).collect();
    let dots = "..".chars().take(most);
    kept.chars().chain(dots).collect()
}

/// Reads rows in double precision.
struct Reader {
    column: Column,
    buffer: Buffer,
}

impl Reader {
    fn new(column: Column) -> Result<Self> {
        let column = column.convert(Convert::to::<f64>())?;
        let most = MAX_PIXELS.saturating_mul(3 * size_of::<f64>());
        if column.row_bytes() > most {
            let message = format!("a row of shape {} is too large", {
                table::shape(column.row_shape())
            });
            return Err(locate(
                column.array(),
                Error::new(ErrorKind::Limit, message),
            ));
        }
        let buffer = Buffer::zeroed(column.row_bytes())?;
        Ok(Self { column, buffer })
    }

    fn read(&mut self, row: usize) -> Result<&[f64]> {
        self.column.gather(&[row], self.buffer.as_mut_slice())?;
        Ok(bytemuck::cast_slice(self.buffer.as_slice()))
    }

    /// The least and the greatest number of some rows, without NaN and infinities.
    fn range(&mut self, rows: &[usize]) -> Result<(f64, f64)> {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for row in rows {
            let numbers = self.read(*row)?.iter();
            for number in numbers.filter(|number| number.is_finite()) {
                low = low.min(*number);
                high = high.max(*number);
            }
        }
        Ok(if low > high { (0.0, 1.0) } else { (low, high) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_axis_of_three_has_the_colors() {
        let form = |shape: &[usize]| {
            Form::of(shape)
                .map(|form| (form.height, form.width, form.is_color, form.channels_first))
        };
        for (shape, expected) in [
            (&[4, 5][..], Some((4, 5, false, false))),
            (&[4, 5, 1], Some((4, 5, false, false))),
            (&[1, 4, 5], Some((4, 5, false, true))),
            (&[4, 5, 3], Some((4, 5, true, false))),
            (&[3, 4, 5], Some((4, 5, true, true))),
            (&[3, 5, 3], Some((3, 5, true, false))),
            (&[4, 5, 2], None),
            (&[4, 0], None),
            (&[4], None),
            (&[2, 2, 2, 2], None),
        ] {
            assert_eq!(form(shape), expected, "{shape:?}");
        }
    }

    #[test]
    fn a_long_caption_is_cut() {
        for (text, most, expected) in [
            ("boot", 4, "boot"),
            ("ankle boot", 7, "ankle.."),
            ("boot", 1, "."),
            ("boot", 0, ""),
        ] {
            assert_eq!(cut(text, most), expected);
        }
    }
}
