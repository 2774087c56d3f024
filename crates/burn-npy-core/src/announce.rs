//! Rows that will be wanted soon: the disk can work on all of them at once, and before anyone waits.
//!
//! A gather from a map meets one page that is not in memory after the other, and each is one read that
//! it waits for. The rows of the coming batches are known, so they can be announced: a disk with a deep
//! queue gives them ten or a hundred times as fast.

use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use crate::Column;

/// How many rows of a batch are looked at to see whether the batch is in memory: each look is a system call, and gathering
/// a small row takes no longer than one.
const PROBES: usize = 8;
/// Rows of so many bytes are all looked at, which costs little beside their gather: one that is missing is met page by page.
const LARGE_ROW: usize = 32 << 10;
/// After so many batches in a row that were in memory, an eighth of the looks is enough.
const TRUSTED: u32 = 16;
/// How many rows of a few KiB keep the queue of a disk full. With 16 of 4 KiB they come 0.7 times as fast, with 64 0.95
/// times; on a busy machine 512 still gain over 128.
const ROWS_AHEAD: usize = 512;
/// Large rows keep a disk busy in small numbers: 8 of 150 KiB do. What is announced takes memory.
const BYTES_AHEAD: usize = 16 << 20;
/// A page, or what the system rounds to it.
const PAGE: u64 = 4096;

impl Column {
    /// Whether [`announce`](Self::announce) does anything: only for files of more than 256 MiB.
    pub fn is_announced(&self) -> bool {
        self.array().storage().is_large_file()
    }

    /// How many rows should be announced before the one that is gathered: enough for the queue of a disk, and no more
    /// than some MiB, but at least one. 0 if announcing does nothing.
    pub fn rows_ahead(&self) -> usize {
        match self.contiguous_rows() {
            Some(source) if self.is_announced() => {
                (BYTES_AHEAD / source.row_bytes.max(1)).clamp(1, ROWS_AHEAD)
            }
            _ => 0,
        }
    }

    /// Tells the system that these rows will be gathered soon, so that it reads those that are not in memory
    /// meanwhile. It does not wait, and it may do nothing: for small files, which are read ahead
    /// anyway, and for rows that are in memory, of which some are looked at.
    ///
    /// Small rows of a file for which there is memory make it read the rest of the file in order, too: slowly at first,
    /// and all of it before the end of an epoch.
    pub fn announce(&self, rows: &[usize]) {
        if !self.is_announced() {
            return;
        }
        let storage = self.array().storage();
        let (Some(source), Some(streak)) = (self.contiguous_rows(), storage.cached_streak()) else {
            return;
        };
        let start = self.array().data_offset() + source.first as u64;
        let ranges = || {
            let inside = rows.iter().filter(|row| **row < self.rows());
            inside
                .map(|row| start + *row as u64 * source.stride as u64)
                .map(|start| start..start + source.row_bytes as u64)
                .filter(|range| !range.is_empty())
        };
        let small = source.row_bytes < LARGE_ROW;
        let len = self.rows() as u64 * source.stride as u64;
        let swept = match small {
            true => self.sweep().reached(len),
            false => 0,
        };
        // Of the rows that a sweep has come to some are looked at, as without one; the others are announced anyway.
        let sweeping = 0 < swept && swept < len;
        let unread = |range: &Range<u64>| sweeping && range.end > start + swept;
        let probes = if small { PROBES } else { rows.len() };
        let mut doubtful = ranges().filter(|range| !unread(range));
        let cached = are_cached(streak, rows.len(), probes, &mut doubtful, |at| {
            storage.is_cached(at)
        });
        if cached && !sweeping {
            return;
        }
        let mut wanted: Vec<_> = ranges().filter(|range| !cached || unread(range)).collect();
        for range in merge(&mut wanted) {
            storage.will_need(range);
        }
        if small {
            let pages = rows.len() as u64 * (source.row_bytes as u64 + PAGE);
            let next = self.sweep().advance(pages, len);
            if !next.is_empty() {
                storage.will_need(start + next.start..start + next.end);
            }
        }
    }
}

/// Whether all of `len` rows seem to be in memory, by some of them. `streak` counts the batches that did, up to
/// [`TRUSTED`]. Threads may overwrite it for each other: then a few rows more or less are looked at.
fn are_cached(
    streak: &AtomicU32,
    len: usize,
    probes: usize,
    rows: &mut dyn Iterator<Item = Range<u64>>,
    is_cached: impl Fn(u64) -> bool,
) -> bool {
    let before = streak.load(Relaxed);
    let probes = match before < TRUSTED {
        true => probes,
        false => probes / 8,
    };
    let cached = rows
        .step_by(len.div_ceil(probes.max(1)).max(1))
        .all(|row| is_row_cached(row, &is_cached));
    match cached {
        true if before < TRUSTED => streak.store(before + 1, Relaxed),
        // Not written when nothing changes, so that threads do not fight for it.
        false if before > 0 => streak.store(0, Relaxed),
        _ => {}
    }
    cached
}

/// The first and the last page of a row may have come with its neighbours, so they say nothing of what is between.
fn is_row_cached(row: Range<u64>, is_cached: impl Fn(u64) -> bool) -> bool {
    if row.end - row.start > 2 * PAGE {
        return is_cached(row.start.midpoint(row.end));
    }
    let pages = row.start / PAGE..row.end.div_ceil(PAGE);
    pages
        .map(|page| (page * PAGE).max(row.start))
        .all(is_cached)
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
    use std::cell::Cell;
    use std::fs::File;

    use super::*;
    use crate::format::header;
    #[cfg(target_os = "linux")]
    use crate::sweep::Sweep;
    use crate::{Access, Array, Buffer, OpenOptions};

    #[test]
    #[allow(clippy::single_range_in_vec_init, reason = "one range is meant")]
    fn ranges_that_meet_are_one() {
        assert_eq!(merge(&mut [8192..8200, 10..20, 4095..4097]), [0..8200]);
        assert_eq!(merge(&mut [20_000..20_001, 0..1]), [0..1, 16_384..20_001]);
        assert_eq!(merge(&mut []), []);
    }

    #[test]
    fn a_file_in_memory_is_hardly_looked_at() {
        let streak = AtomicU32::new(0);
        let look = |cached: &dyn Fn(u64) -> bool| {
            let looks = Cell::new(0);
            let is_cached = |at| {
                looks.set(looks.get() + 1);
                cached(at)
            };
            // Rows of one page each.
            let mut rows = (0..64).map(|row| row * PAGE..(row + 1) * PAGE);
            let all = are_cached(&streak, 64, PROBES, &mut rows, is_cached);
            (all, looks.get())
        };
        for _ in 0..TRUSTED {
            assert_eq!(look(&|_| true), (true, PROBES));
        }
        assert_eq!(look(&|_| true), (true, 1));
        // The first that is missing is enough, and from then on no batch is trusted.
        assert_eq!(look(&|_| false), (false, 1));
        assert_eq!(look(&|at| at < 32 * PAGE), (false, 5));
        assert_eq!(look(&|_| true), (true, PROBES));
        assert!(are_cached(&streak, 0, 0, &mut std::iter::empty(), |_| {
            false
        }));
        let mut row = std::iter::once(0..1);
        assert!(!are_cached(&streak, 1, 1, &mut row, |_| false));
    }

    /// As in the second half of an epoch, when the neighbours of most rows have been read.
    #[test]
    fn pages_that_came_with_the_neighbours_are_no_sign_of_a_row() {
        for (first, bytes) in [
            (128, 4096),
            (128, 5000),
            (4000, 8192),
            (128, 8193),
            (128, 153_600),
        ] {
            let row = first..first + bytes;
            let neighbours = |at: u64| {
                let page = at / PAGE;
                page == row.start / PAGE || page == (row.end - 1) / PAGE
            };
            let pages = row.start / PAGE..row.end.div_ceil(PAGE);
            let shared = pages.count() <= 2;
            assert_eq!(is_row_cached(row.clone(), neighbours), shared, "{row:?}");
            assert!(is_row_cached(row.clone(), |_| true));
            for missing in [row.start, row.end - 1] {
                let alone = |at: u64| at / PAGE != missing / PAGE;
                assert!(bytes > 2 * PAGE || !is_row_cached(row.clone(), alone));
            }
        }
    }

    #[test]
    fn what_is_in_memory_is_not_announced() {
        let column = Column::new(vec![0_u8; 8].into()).unwrap();
        assert!(!column.is_announced());
        assert_eq!(column.rows_ahead(), 0);
        column.announce(&[0, 7, 8]);
    }

    /// A file of 320 MB that begins with those bytes; the rest is zero, and takes no space.
    #[cfg(unix)]
    fn large_file(path: &std::path::Path, first: &[u8]) -> usize {
        let rows = 80_000;
        let head = header::encode("'|u1'", crate::Layout::C, &[rows, 4000]);
        let file = File::create(path).unwrap();
        file.set_len((head.len() + rows * 4000) as u64).unwrap();
        let bytes = [&head, first].concat();
        std::os::unix::fs::FileExt::write_all_at(&file, &bytes, 0).unwrap();
        rows
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_file_that_fits_into_memory_is_read_to_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("large.npy");
        // Bytes that are on the disk: of the others the system knows that they are zero.
        let rows = large_file(&path, &vec![0; 80_000 * 4000]);
        // Last the time when all is read: what is still being read then cannot be dropped.
        for fits in [false, true] {
            let file = File::open(&path).unwrap();
            file.sync_all().unwrap();
            rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
            let mut column = Column::new(Array::open(&path).unwrap()).unwrap();
            column.set_sweep(Sweep::with_memory(fits));
            column.advise(true);
            // To look at a page asks the system for it, so each is looked at once; they are no neighbours.
            let mut looks = (1..80).map(|i| {
                let offset = (rows - i * 200) * 4000;
                column.array().storage().is_cached(offset as u64)
            });
            if looks.next() == Some(true) {
                eprintln!("not tested: the file system is in memory itself");
                return;
            }
            let asked: Vec<usize> = (0..rows / 2).collect();
            asked.chunks(64).for_each(|rows| column.announce(rows));
            // A busy disk takes seconds.
            let (times, pause) = if fits { (75, 200) } else { (50, 20) };
            // Some pages may be there that the system could not drop.
            let mut in_a_row = 0;
            let is_read = (0..times).any(|_| {
                std::thread::sleep(std::time::Duration::from_millis(pause));
                in_a_row = if looks.next().unwrap() {
                    in_a_row + 1
                } else {
                    0
                };
                in_a_row == 12
            });
            assert_eq!(is_read, fits);
        }
    }

    #[test]
    #[cfg(unix)]
    fn announced_rows_are_the_same_rows() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("large.npy");
        let rows = large_file(&path, &[7; 4000]);
        for access in [Access::Mapped, Access::Positioned] {
            let options = OpenOptions {
                access,
                ..OpenOptions::default()
            };
            let column = Column::new(Array::open_with(&path, options).unwrap()).unwrap();
            column.advise(true);
            assert_eq!(column.rows_ahead(), ROWS_AHEAD);
            let windows = column.clone().windows(10_000, 1).unwrap();
            assert_eq!(windows.rows_ahead(), 1);
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
