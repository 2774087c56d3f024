//! tmp
use std::ops::Range;

/// How many rows an iterator asks for at once.
const CHUNK: usize = 64;

/// Panics unless a slice takes the rows at the positions, of which there are `len`.
pub(crate) fn check_fill(positions: &Range<u64>, len: u64, slice: usize) {
    let Range { start, end } = *positions;
    assert!(start <= end && end <= len, "positions {start}..{end} of {len}");
    assert!(end - start == slice as u64, "{} positions into a slice of {slice}", end - start);
}

/// The rows at a range of positions, filled a chunk at a time.
pub(crate) struct Chunks<F> {
    positions: Range<u64>,
    fill: F,
    chunk: [u64; CHUNK],
    at: usize,
    filled: usize,
}

impl<F: FnMut(Range<u64>, &mut [u64])> Chunks<F> {
    pub(crate) fn new(positions: Range<u64>, fill: F) -> Self {
        Self { positions, fill, chunk: [0; CHUNK], at: 0, filled: 0 }
    }
}

impl<F: FnMut(Range<u64>, &mut [u64])> Iterator for Chunks<F> {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        if self.at == self.filled {
            let left = self.positions.end.saturating_sub(self.positions.start);
            let count = left.min(CHUNK as u64);
            if count == 0 {
                return None;
            }
            let start = self.positions.start;
            self.positions.start += count;
            self.filled = count as usize;
            self.at = 0;
            (self.fill)(start..start + count, &mut self.chunk[..self.filled]);
        }
        let row = self.chunk[self.at];
        self.at += 1;
        Some(row)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.positions.end.saturating_sub(self.positions.start);
        let waiting = self.filled - self.at;
        let exact = usize::try_from(left).ok().and_then(|left| left.checked_add(waiting));
        (exact.unwrap_or(usize::MAX), exact)
    }
}
