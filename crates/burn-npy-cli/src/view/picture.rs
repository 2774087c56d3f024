//! A picture of pixels, in which boxes, text and lines are drawn.

use std::io::{self, Write};

use noto_sans_mono_bitmap::{FontWeight, RasterHeight, get_raster, get_raster_width};

/// Red, green and blue.
pub(super) type Color = [u8; 3];

/// The most pixels of a picture.
pub(super) const MAX_PIXELS: usize = 64 << 20;
const HEIGHT: RasterHeight = RasterHeight::Size16;
/// The height of a line of text in pixels.
pub(super) const LINE: usize = HEIGHT.val();
/// The width of each character.
pub(super) const CHARACTER: usize = get_raster_width(FontWeight::Regular, HEIGHT);

/// Pixels, row by row from the top.
#[derive(Debug)]
pub(super) struct Picture {
    width: usize,
    height: usize,
    pixels: Vec<Color>,
}

impl Picture {
    /// A picture of one color, of at most [`MAX_PIXELS`].
    pub(super) fn new(width: usize, height: usize, color: Color) -> Self {
        Self {
            width,
            height,
            pixels: vec![color; width * height],
        }
    }

    pub(super) fn width(&self) -> usize {
        self.width
    }

    pub(super) fn height(&self) -> usize {
        self.height
    }

    /// Fills a box, of which a part may lie outside of the picture.
    pub(super) fn fill(&mut self, [x, y]: [usize; 2], [width, height]: [usize; 2], color: Color) {
        for row in y..self.height.min(y + height) {
            let line = &mut self.pixels[row * self.width..][..self.width];
            line[x.min(self.width)..self.width.min(x + width)].fill(color);
        }
    }

    /// Mixes a color into a pixel, if it is in the picture: all of it with a coverage of 1.
    fn mix(&mut self, x: usize, y: usize, color: Color, coverage: f32) {
        if x < self.width && y < self.height {
            let pixel = &mut self.pixels[y * self.width + x];
            for (old, new) in pixel.iter_mut().zip(color) {
                let (from, to) = (f32::from(*old), f32::from(new));
                *old = (from + (to - from) * coverage).round() as u8;
            }
        }
    }

    /// Writes a line of text whose upper left corner is at `x` and `y`. The font has the printable
    /// characters of ASCII and Latin-1; each other one is a question mark.
    pub(super) fn text(&mut self, [x, y]: [usize; 2], text: &str, color: Color) {
        let glyph = |character| get_raster(character, FontWeight::Regular, HEIGHT);
        for (place, character) in text.chars().enumerate() {
            let Some(glyph) = glyph(character).or_else(|| glyph('?')) else {
                continue;
            };
            for (down, line) in glyph.rows().enumerate() {
                for (right, coverage) in line.iter().enumerate() {
                    let coverage = f32::from(*coverage) / 255.0;
                    self.mix(x + place * CHARACTER + right, y + down, color, coverage);
                }
            }
        }
    }

    /// Draws lines from point to point. Where they cross, they are no darker than elsewhere.
    pub(super) fn polyline(&mut self, points: &[[f64; 2]], width: f64, color: Color) {
        let reach = width / 2.0 + 0.5;
        // The pixels between two numbers.
        let pixels = |least: f64, most: f64, len: usize| {
            let start = (least - reach).floor().max(0.0) as usize;
            start..len.min((most + reach).ceil().max(0.0) as usize)
        };
        let extent = |axis: usize, len: usize| {
            let places = points.iter().map(|point| point[axis]);
            let least = places.clone().fold(f64::MAX, f64::min);
            pixels(least, places.fold(f64::MIN, f64::max), len)
        };
        let (columns, rows) = (extent(0, self.width), extent(1, self.height));
        let mut coverages = vec![0.0_f32; columns.len() * rows.len()];
        for ends in points.windows(2) {
            let ([ax, ay], [bx, by]) = (ends[0], ends[1]);
            let (dx, dy) = (bx - ax, by - ay);
            for y in pixels(ay.min(by), ay.max(by), self.height) {
                for x in pixels(ax.min(bx), ax.max(bx), self.width) {
                    let (px, py) = (x as f64 + 0.5 - ax, y as f64 + 0.5 - ay);
                    // Where the line is nearest to the center of the pixel, from 0 to 1.
                    let at = (px * dx + py * dy) / (dx * dx + dy * dy);
                    let at = if at.is_nan() { 0.0 } else { at.clamp(0.0, 1.0) };
                    let away = (px - at * dx).hypot(py - at * dy);
                    let coverage = (reach - away).clamp(0.0, 1.0) as f32;
                    let at = (y - rows.start) * columns.len() + x - columns.start;
                    coverages[at] = coverages[at].max(coverage);
                }
            }
        }
        for (line, y) in coverages.chunks(columns.len().max(1)).zip(rows) {
            for (coverage, x) in line.iter().zip(columns.clone()) {
                self.mix(x, y, color, *coverage);
            }
        }
    }

    /// Writes a PNG file, in grey if all pixels are grey.
    pub(super) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let is_grey = self.pixels.iter().all(|[r, g, b]| r == g && g == b);
        let grey: Vec<u8>;
        let (kind, bytes) = if is_grey {
            grey = self.pixels.iter().map(|[grey, ..]| *grey).collect();
            (png::ColorType::Grayscale, &grey[..])
        } else {
            (png::ColorType::Rgb, self.pixels.as_flattened())
        };
        let mut encoder = png::Encoder::new(out, self.width as u32, self.height as u32);
        encoder.set_color(kind);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(bytes)?;
        writer.finish()?;
        Ok(())
    }
}
