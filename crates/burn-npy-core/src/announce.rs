//! Rows that will be wanted soon: the disk can work on all of them at once, and before anyone waits.
//!
//! A gather from a map meets one page that is not in memory after the other, and each is one read that
//! it waits for. The rows of the coming batches are known, so they can be announced: a disk with a deep
//! queue gives them ten or a hundred times as fast.

use std::ops::Range;

use crate::Column;

/// How many rows of a batch are looked at to see whether the batch is in memory.
const PROBES: usize = 8;
/// A page, or what the system rounds to it.
const PAGE: u64 = 4096;

impl Column {
    /// Whether [`announce`](Self::announce) does anything: only for files of more than 256 MiB.
    pub fn is_announced(&self) -> bool {
        self.array().storage().is_large_file()
    }

    /// Tells the system that these rows will be gathered soon, so that it reads those that are not in memory
    /// meanwhile. It does not wait, and it may do nothing: for small files, which are read ahead
    /// anyway, and for rows that are in memory, of which a few are looked at.
    pub fn announce(&self, rows: &[usize]) {
        if !self.is_announced() {
            return;
        }
        let storage = self.array().storage();
        let Some(source) = self.contiguous_rows() else {
            return;
        };
        let start = self.array().data_offset() + source.first as u64;
        let range = |row: &usize| {
            let start = start + *row as u64 * source.stride as u64;
            start..start + source.row_bytes as u64
        };
        let inside = |row: &&usize| **row < self.rows() && source.row_bytes > 0;
        let is_cached = |row: &usize| {
            let Range { start, end } = range(row);
            storage.is_cached(start) && storage.is_cached(end - 1)
        };
        let step = rows.len().div_ceil(PROBES).max(1);
        if rows.iter().filter(inside).step_by(step).all(is_cached) {
            return;
        }
        let mut ranges: Vec<_> = rows.iter().filter(inside).map(range).collect();
        for range in merge(&mut ranges) {
            storage.will_need(range);
        }
    }
}

/// The same pages in as few ranges as there are runs of them.
fn merge(ranges: &mut [Range<u64>]) -> Vec<Range<u64>> {
    for range in ranges.iter_mut() {
        range.start -= range.start % PAGE;
    }
    ranges.sort_unstable_by_key(|range| range.start);
    let mut merged: Vec<Range<u64>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.start <= last.end.next_multiple_of(PAGE) => {
                last.end = last.end.max(range.end);
            }
            _ => merged.push(range.clone()),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;
    use crate::format::header;
    use crate::{Access, Array, Buffer, OpenOptions};

    #[test]
    #[allow(clippy::single_range_in_vec_init, reason = "one range is meant")]
    fn ranges_that_meet_are_one() {
        assert_eq!(merge(&mut [8192..8200, 10..20, 4095..4097]), [0..8200]);
        assert_eq!(merge(&mut [20_000..20_001, 0..1]), [0..1, 16_384..20_001]);
        assert_eq!(merge(&mut []), []);
    }

    #[test]
    #[cfg(unix)]
    fn announced_rows_are_the_same_rows() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("large.npy");
        // Large enough to be announced; a sparse file takes no space.
        let rows = 80_000;
        let head = header::encode("'|u1'", crate::Layout::C, &[rows, 4000]);
        let file = File::create(&path).unwrap();
        file.set_len((head.len() + rows * 4000) as u64).unwrap();
        let mut bytes = head.clone();
        bytes.resize(head.len() + 4000, 7);
        std::os::unix::fs::FileExt::write_all_at(&file, &bytes, 0).unwrap();
        for access in [Access::Mapped, Access::Positioned] {
            let options = OpenOptions {
                access,
                ..OpenOptions::default()
            };
            let column = Column::new(Array::open_with(&path, options).unwrap()).unwrap();
            column.advise(true);
            // Rows that are not there are for the gather to refuse.
            column.announce(&[rows - 1, 0, 40_000, rows, usize::MAX]);
            let mut out = Buffer::zeroed(3 * 4000).unwrap();
            column
                .gather(&[rows - 1, 0, 40_000], out.as_mut_slice())
                .unwrap();
            let out = out.as_slice();
            assert!(out[..4000].iter().chain(&out[8000..]).all(|x| *x == 0));
            assert!(out[4000..8000].iter().all(|x| *x == 7));
        }
    }
}
