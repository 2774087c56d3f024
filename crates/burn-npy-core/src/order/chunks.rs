//! An iterator over rows that are computed in chunks, which is faster than one by one.

use std::ops::Range;

/// The number of rows in a chunk.
const CHUNK: usize = 256;

/// Iterates over the rows at a range of positions.
pub(crate) struct Chunks<F> {
    positions: Range<u64>,
    fill: F,
    chunk: [u64; CHUNK],
    at: usize,
    filled: usize,
}

impl<F: FnMut(Range<u64>, &mut [u64])> Chunks<F> {
    pub(crate) fn new(positions: Range<u64>, fill: F) -> Self {
        Self {
            positions,
            fill,
            chunk: [0; CHUNK],
            at: 0,
            filled: 0,
        }
    }

    fn left(&self) -> u64 {
        self.positions.end.saturating_sub(self.positions.start)
    }
}

impl<F: FnMut(Range<u64>, &mut [u64])> Iterator for Chunks<F> {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        if self.at == self.filled {
            let count = self.left().min(CHUNK as u64);
            if count == 0 {
                return None;
            }
            let start = self.positions.start;
            (self.fill)(start..start + count, &mut self.chunk[..count as usize]);
            self.positions.start += count;
            self.filled = count as usize;
            self.at = 0;
        }
        let row = self.chunk[self.at];
        self.at += 1;
        Some(row)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let waiting = self.filled - self.at;
        let left = usize::try_from(self.left()).ok();
        let exact = left.and_then(|left| left.checked_add(waiting));
        (exact.unwrap_or(usize::MAX), exact)
    }
}

/// Panics unless the positions are within `0..len` and a slice of length `slice` holds exactly
/// them.
pub(crate) fn check_fill(positions: &Range<u64>, len: u64, slice: usize) {
    let Range { start, end } = *positions;
    assert!(
        start <= end && end <= len,
        "positions {start}..{end} of {len}"
    );
    assert!(
        end - start == slice as u64,
        "{} positions into a slice of {slice}",
        end - start
    );
}
