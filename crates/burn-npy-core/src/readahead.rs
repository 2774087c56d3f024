//! Readahead for rows that lie anywhere in a large file.
//!
//! A gather from a map meets the pages that are not in memory one after the other, and waits for
//! each. The rows of the coming batches are known, so the system is asked for them early: a disk
//! with a deep queue then reads many at a time.

use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use crate::Column;

/// How many rows of a batch are probed to see whether the batch is in memory. A probe is a system
/// call, which takes as long as the gather of a small row.
const PROBES: usize = 8;
/// From this size in bytes on, every row is probed: that costs little beside its gather.
const LARGE_ROW: usize = 32 << 10;
/// After this many batches in a row that were in memory, an eighth of the probes is enough.
const TRUSTED: u32 = 16;
/// How many small rows keep the queue of a disk full.
const MAX_ROWS: usize = 512;
/// The same for large rows, in bytes: what is read ahead takes memory.
const MAX_BYTES: usize = 16 << 20;
/// The size of a page.
const PAGE: u64 = 4096;

impl Column {
    /// How many rows ahead of the gather [`readahead`](Self::readahead) should be called: enough
    /// for the queue of a disk, within some MiB, but at least 1. 0 if it does nothing.
    pub(crate) fn readahead_rows(&self) -> usize {
        let mut most = 0;
        self.for_each_array(&mut |part| most = most.max(part.own_readahead_rows()));
        most
    }

    fn own_readahead_rows(&self) -> usize {
        self.readahead_runs_of(1)
    }

    /// As [`readahead_rows`](Self::readahead_rows), for runs of up to `length` rows of an array.
    pub(crate) fn readahead_runs_of(&self, length: usize) -> usize {
        let storage = self.array().storage();
        if let (Some(reader), Some((pieces, len))) = (storage.reader(), self.pieces()) {
            let (most, bytes) = reader.ahead();
            let of_row = (pieces.saturating_mul(len).saturating_mul(length)).max(1);
            // Rows of very many pieces are not worth a plan.
            return (most / pieces.max(1)).min((bytes / of_row as u64).max(1) as usize);
        }
        match self.contiguous_rows() {
            Some(source) if storage.is_large_file() => {
                let bytes = source.row_bytes.saturating_mul(length).max(1);
                (MAX_BYTES / bytes).clamp(1, MAX_ROWS)
            }
            _ => 0,
        }
    }

    /// Asks the system to read rows that will be gathered soon, or requests remote ones. Returns at
    /// once.
    ///
    /// Does nothing for files of up to 256 MiB on this machine, which the system reads ahead by
    /// itself, for rows that are scattered, and for rows that seem to be in memory already.
    ///
    /// The answer is `false` if there was no room for all rows, and they should be announced again.
    pub(crate) fn readahead(&self, rows: &[usize]) -> bool {
        let mut has_room = true;
        self.visit_own(rows, &mut |part, rows| {
            has_room &= part.readahead_runs(rows.iter().map(|row| *row..row + 1));
        });
        has_room
    }

    /// Requests rows that are gathered next, if they are remote, before all that is gathered later.
    pub(crate) fn request(&self, rows: &[usize]) {
        self.visit_own(rows, &mut |part, rows| {
            let reader = part.array().storage().reader();
            let Some((reader, (pieces, _))) = reader.zip(part.pieces()) else {
                return;
            };
            // The plan of rows of many pieces takes memory too.
            let most = MAX_BYTES / size_of::<Range<u64>>();
            for rows in rows.chunks((most / pieces.max(1)).max(1)) {
                let runs = rows.chunk_by(|a, b| a + 1 == *b);
                reader.need(&part.ranges(runs.map(|run| run[0]..run[0] + run.len())));
            }
        });
    }

    /// Calls `f` with the rows of each array that some rows are made of, if there are such rows.
    fn visit_own(&self, rows: &[usize], f: &mut dyn FnMut(&Self, &[usize])) {
        let read = &mut |part: &Self, rows: &[usize]| {
            f(part, rows);
            Ok(())
        };
        if rows.iter().all(|row| *row < self.rows()) {
            let _ = self.visit(rows, read);
        }
    }

    /// As [`readahead`](Self::readahead), for runs of neighbouring rows of an array that exist.
    pub(crate) fn readahead_runs(
        &self,
        runs: impl ExactSizeIterator<Item = Range<usize>> + Clone,
    ) -> bool {
        let storage = self.array().storage();
        if !storage.is_large_file() {
            return true;
        }
        if let Some(reader) = storage.reader() {
            return reader.will_need(&self.ranges(runs));
        }
        let Some(source) = self.contiguous_rows() else {
            return true;
        };
        let start = self.array().data_offset() + source.first as u64;
        let at = |row: usize| start + row as u64 * source.stride as u64;
        let count = runs.len();
        let ranges = runs
            .filter(|run| !run.is_empty())
            .map(|run| at(run.start)..at(run.end - 1) + source.row_bytes as u64)
            .filter(|range| !range.is_empty());
        let Some(streak) = storage.cached_streak() else {
            return true;
        };
        let bytes: u64 = ranges.clone().map(|range| range.end - range.start).sum();
        let probes = if bytes < (LARGE_ROW * count) as u64 {
            PROBES
        } else {
            count
        };
        let is_cached = |at| storage.is_cached(at);
        if are_cached(streak, count, probes, &mut ranges.clone(), is_cached) {
            return true;
        }
        for range in merge(&mut ranges.collect::<Vec<_>>()) {
            storage.will_need(range);
        }
        true
    }
}

/// Whether all of `len` rows seem to be in memory, by probing some. `streak` counts the batches in
/// a row that did, up to [`TRUSTED`]. Threads may overwrite it for each other, which makes a few
/// probes more or less.
fn are_cached(
    streak: &AtomicU32,
    len: usize,
    probes: usize,
    rows: &mut dyn Iterator<Item = Range<u64>>,
    is_cached: impl Fn(u64) -> bool,
) -> bool {
    let before = streak.load(Relaxed);
    let probes = if before < TRUSTED { probes } else { probes / 8 };
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

/// Whether the pages of a row are in memory. The first and the last page may have come with the
/// neighbours of the row, so a long row is probed in the middle.
fn is_row_cached(row: Range<u64>, is_cached: impl Fn(u64) -> bool) -> bool {
    if row.end - row.start > 2 * PAGE {
        return is_cached(row.start.midpoint(row.end));
    }
    let pages = row.start / PAGE..row.end.div_ceil(PAGE);
    pages
        .map(|page| (page * PAGE).max(row.start))
        .all(is_cached)
}

/// The pages of some ranges, in as few ranges as possible.
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

    use super::*;

    #[test]
    #[allow(clippy::single_range_in_vec_init, reason = "one range is meant")]
    fn ranges_that_meet_are_one() {
        assert_eq!(merge(&mut [8192..8200, 10..20, 4095..4097]), [0..8200]);
        assert_eq!(merge(&mut [20_000..20_001, 0..1]), [0..1, 16_384..20_001]);
        assert_eq!(merge(&mut []), []);
    }

    #[test]
    fn a_file_in_memory_is_hardly_probed() {
        let streak = AtomicU32::new(0);
        let probe = |cached: &dyn Fn(u64) -> bool| {
            let probes = Cell::new(0);
            let is_cached = |at| {
                probes.set(probes.get() + 1);
                cached(at)
            };
            // Rows of one page each.
            let mut rows = (0..64).map(|row| row * PAGE..(row + 1) * PAGE);
            let all = are_cached(&streak, 64, PROBES, &mut rows, is_cached);
            (all, probes.get())
        };
        for _ in 0..TRUSTED {
            assert_eq!(probe(&|_| true), (true, PROBES));
        }
        assert_eq!(probe(&|_| true), (true, 1));
        // The first that is missing is enough, and from then on no batch is trusted.
        assert_eq!(probe(&|_| false), (false, 1));
        assert_eq!(probe(&|at| at < 32 * PAGE), (false, 5));
        assert_eq!(probe(&|_| true), (true, PROBES));
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
    fn what_is_in_memory_needs_no_readahead() {
        let column = Column::new(vec![0_u8; 8].into()).unwrap();
        assert_eq!(column.readahead_rows(), 0);
        column.readahead(&[0, 7, 8]);
    }

    /// Writes a file of 320 MB whose first row is 7; the rest is zero, and takes no space.
    #[cfg(unix)]
    fn write_large(path: &std::path::Path, rows: usize) {
        let head = crate::format::header::encode("'|u1'", crate::Layout::C, &[rows, 4000]);
        let file = std::fs::File::create(path).unwrap();
        file.set_len((head.len() + rows * 4000) as u64).unwrap();
        let bytes = [&*head, &[7; 4000]].concat();
        std::os::unix::fs::FileExt::write_all_at(&file, &bytes, 0).unwrap();
    }

    #[test]
    #[cfg(unix)]
    fn rows_of_several_files_are_read_ahead() {
        use crate::{Array, Buffer};

        let dir = tempfile::tempdir().unwrap();
        let rows = 80_000;
        let parts = [0, 1].map(|part| {
            let path = dir.path().join(format!("{part}.npy"));
            write_large(&path, rows);
            Column::new(Array::open(path).unwrap()).unwrap()
        });
        let chain = Column::chain(parts.clone()).unwrap();
        assert_eq!(chain.readahead_rows(), MAX_ROWS);
        let read = [rows, 5, 2 * rows - 1, 0];
        // Each file is asked for its rows.
        let mut asked = Vec::new();
        let visited = chain.visit(&read, &mut |part, rows| {
            let file = part.array().file().unwrap().file_stem().unwrap();
            asked.push((file.to_str().unwrap().to_owned(), rows.to_vec()));
            Ok(())
        });
        visited.unwrap();
        let expected = [("0", vec![5, 0]), ("1", vec![0, rows - 1])];
        assert!(
            asked
                .iter()
                .map(|(file, rows)| (&**file, rows.clone()))
                .eq(expected)
        );
        chain.readahead(&read);
        let mut out = Buffer::zeroed(4 * 4000).unwrap();
        chain.gather(&read, out.as_mut_slice()).unwrap();
        let first: Vec<u8> = out.as_slice().iter().copied().step_by(4000).collect();
        assert_eq!(first, [7, 0, 0, 7]);
    }

    #[test]
    #[cfg(unix)]
    fn rows_that_were_read_ahead_are_the_same_rows() {
        use crate::{Access, Array, Buffer, OpenOptions};

        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("large.npy");
        let rows = 80_000;
        write_large(&path, rows);
        for access in [Access::Mapped, Access::Positioned] {
            let options = OpenOptions {
                access,
                ..OpenOptions::default()
            };
            let column = Column::new(Array::open_with(&path, options).unwrap()).unwrap();
            column.advise(true);
            assert_eq!(column.readahead_rows(), MAX_ROWS);
            let windows = column.clone().windows(10_000, 1).unwrap();
            assert_eq!(windows.readahead_rows(), 1);
            // Rows that are not there are for the gather to refuse.
            column.readahead(&[rows - 1, 0, 40_000, rows, usize::MAX]);
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
