//! Lines of images, as they are or mirrored.

#![deny(unsafe_code)]

/// The lines that an image has in common with a part of it, in bytes: first of the image, then of
/// the part.
pub(crate) struct Lines {
    /// The sizes of planes.
    pub(crate) planes: [usize; 2],
    /// Where the first line begins in a plane.
    pub(crate) starts: [usize; 2],
    /// How far a line is from the one before it.
    pub(crate) strides: [isize; 2],
    /// How many lines a plane has, and how long they are.
    pub(crate) count: usize,
    pub(crate) bytes: usize,
}

impl Lines {
    /// Copies the lines of an image to their places.
    pub(crate) fn copy(&self, row: &[u8], out: &mut [u8]) {
        if self.strides == [self.bytes as isize; 2] {
            // The lines of a plane follow each other.
            let whole = Self {
                count: 1,
                bytes: self.count * self.bytes,
                ..*self
            };
            return whole.each(row, out, |line, out| out.copy_from_slice(line));
        }
        // A call would cost more than the copy of a short line.
        match self.bytes {
            8..16 => self.each(row, out, ends::<8>),
            16..32 => self.each(row, out, ends::<16>),
            32..=64 => self.each(row, out, ends::<32>),
            _ => self.each(row, out, |line, out| out.copy_from_slice(line)),
        }
    }

    /// Copies the lines of an image with their pixels in the reverse order.
    #[inline(always)]
    pub(super) fn mirror<const PIXEL: usize>(&self, row: &[u8], out: &mut [u8]) {
        match self.bytes {
            _ if 8 % PIXEL > 0 => self.each(row, out, mirror_each::<PIXEL>),
            16.. => self.each(row, out, mirror_chunks::<16, PIXEL>),
            _ => self.each(row, out, mirror_chunks::<8, PIXEL>),
        }
    }

    /// As [`mirror`](Self::mirror), for pixels of any size.
    pub(super) fn mirror_any(&self, pixel: usize, row: &[u8], out: &mut [u8]) {
        self.each(row, out, |line, out| {
            let new = out.chunks_exact_mut(pixel);
            for (old, new) in line.chunks_exact(pixel).rev().zip(new) {
                new.copy_from_slice(old);
            }
        });
    }

    /// Calls `f` with each line and its place. What depends on the kind of image is decided before,
    /// since lines are short.
    #[inline(always)]
    fn each(&self, row: &[u8], out: &mut [u8], f: impl Fn(&[u8], &mut [u8])) {
        let planes = row.chunks_exact(self.planes[0]);
        for (plane, out) in planes.zip(out.chunks_exact_mut(self.planes[1])) {
            let [mut from, mut to] = self.starts;
            for _ in 0..self.count {
                f(&plane[from..][..self.bytes], &mut out[to..][..self.bytes]);
                // There may be nothing before the first line or behind the last.
                from = from.wrapping_add_signed(self.strides[0]);
                to = to.wrapping_add_signed(self.strides[1]);
            }
        }
    }
}

/// Copies a line in two pieces, which may overlap.
#[inline(always)]
fn ends<const N: usize>(line: &[u8], out: &mut [u8]) {
    let (Some(first), Some(last)) = (line.first_chunk::<N>(), line.last_chunk::<N>()) else {
        return out.copy_from_slice(line);
    };
    if let Some(out) = out.first_chunk_mut() {
        *out = *first;
    }
    if let Some(out) = out.last_chunk_mut() {
        *out = *last;
    }
}

/// Mirrors a line, `N` bytes at a time. The last of the line may overlap those before them.
#[inline(always)]
fn mirror_chunks<const N: usize, const PIXEL: usize>(line: &[u8], out: &mut [u8]) {
    let turned = |bytes: &[u8; N]| -> [u8; N] {
        std::array::from_fn(|i| bytes[N - PIXEL - i / PIXEL * PIXEL + i % PIXEL])
    };
    let (Some(last), Some(first)) = (line.last_chunk(), out.first_chunk_mut()) else {
        return mirror_each::<PIXEL>(line, out);
    };
    *first = turned(last);
    let new = out.as_rchunks_mut::<N>().1.iter_mut().rev();
    for (old, new) in line.as_chunks::<N>().0.iter().zip(new) {
        *new = turned(old);
    }
}

/// Mirrors a line, a pixel at a time.
#[inline(always)]
fn mirror_each<const PIXEL: usize>(line: &[u8], out: &mut [u8]) {
    let new = out.as_chunks_mut::<PIXEL>().0;
    for (old, new) in line.as_chunks::<PIXEL>().0.iter().rev().zip(new) {
        *new = *old;
    }
}

#[cfg(test)]
mod tests {
    use super::super::{mirror_lines, tests::at_each_level};
    use super::*;

    #[test]
    fn lines_of_all_lengths_are_those_pixel_by_pixel() {
        for pixel in [1, 2, 3, 4, 5, 6, 8, 12, 16] {
            for width in 1..70 {
                // Three lines of an image of two planes, its second to fourth, in a part that has
                // a line above them and a pixel on their left.
                let [old, new] = [(width + 2) * pixel, (width + 1) * pixel];
                let row: Vec<u8> = (0..2 * 5 * old).map(|i| (i * 31 / 7) as u8).collect();
                for upside_down in [false, true] {
                    let (first, stride) = if upside_down {
                        (3, -(old as isize))
                    } else {
                        (1, old as isize)
                    };
                    let lines = Lines {
                        planes: [5 * old, 4 * new],
                        starts: [first * old + pixel, new + pixel],
                        strides: [stride, new as isize],
                        count: 3,
                        bytes: width * pixel,
                    };
                    let expected = |mirrored: bool| {
                        let mut out = vec![9; 2 * 4 * new];
                        for (plane, y, x) in
                            (0..2 * 3 * width).map(|i| (i / width / 3, i / width % 3, i % width))
                        {
                            let from_y = if upside_down { 3 - y } else { 1 + y };
                            let from_x = if mirrored { width - x } else { 1 + x };
                            let from = (plane * 5 + from_y) * old + from_x * pixel;
                            let to = (plane * 4 + 1 + y) * new + (1 + x) * pixel;
                            out[to..][..pixel].copy_from_slice(&row[from..][..pixel]);
                        }
                        out
                    };
                    let mut out = vec![9; 2 * 4 * new];
                    lines.copy(&row, &mut out);
                    assert!(out == expected(false), "{pixel} {width} {upside_down}");
                    at_each_level(|| {
                        let mut out = vec![9; 2 * 4 * new];
                        mirror_lines(&lines, pixel, &row, &mut out);
                        assert!(out == expected(true), "{pixel} {width} {upside_down}");
                    });
                }
            }
        }
    }
}
