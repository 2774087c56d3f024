//! The loops that copy and convert rows.
//!
//! This is one of the five files with unsafe code: calls of functions that are compiled for
//! instructions which the machine was found to have, and prefetches.
//!
//! A shuffled gather waits for memory, so each loop prefetches rows that come later than the one
//! that it copies.
#![allow(unsafe_code)]

mod arithmetic;
#[cfg(target_arch = "x86_64")]
mod avx2;
mod cast;
mod convert;
mod copy;
mod guard;
mod lines;
mod lookup;
mod scattered;

use crate::column::Draws;
use convert::{Cast, Pod, Scalar};
use guard::Guarded;

pub(crate) use cast::copy_swapped;
pub(crate) use convert::convert;
pub(crate) use copy::copy;
pub(crate) use guard::{Misfit, Why, clamp, first_misfit};
pub(crate) use lines::Lines;
pub(crate) use scattered::{Pieces, copy_pieces};

/// How many rows ahead of the copy a row is prefetched, at most: into the second cache, for which a
/// core can wait for more lines than for the first.
pub(crate) const FAR: usize = 32;
/// The same in bytes, so that the rows are still there when their turn comes.
const FAR_BYTES: usize = 16 << 10;
/// A row is prefetched again, into the first cache, this many times closer.
pub(crate) const NEAR: usize = 4;
/// The size of a cache line.
pub(crate) const LINE: usize = 64;
/// How many cache lines a short row takes, at most.
const SHORT: usize = 3;
/// How many bytes of a row are prefetched before its turn. The hardware sees what follows, unless
/// the row is [read slowly](convert::reads_slowly).
const ROW_BYTES: usize = 1 << 10;

/// Rows that lie in memory: row `i` is the `row_bytes` bytes at `first + i * stride`, or a slice of
/// a list.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) first: usize,
    pub(crate) stride: usize,
    pub(crate) row_bytes: usize,
    /// Rows that lie at no equal distances; empty if the rows are in `bytes`.
    pub(crate) list: &'a [&'a [u8]],
    /// Makes the rows, if they do not lie in memory.
    pub(crate) made: Option<Made<'a>>,
}

/// Makes rows one at a time, each when it is its turn: calls a function with each of the rows that
/// are gathered, and its index among them.
pub(crate) type Made<'a> = &'a dyn Fn(&mut dyn FnMut(usize, &[u8]));

impl<'a> Rows<'a> {
    /// Rows of one length that lie anywhere.
    pub(crate) fn listed(list: &'a [&'a [u8]]) -> Self {
        Self {
            bytes: &[],
            first: 0,
            stride: 0,
            row_bytes: list.first().map_or(0, |row| row.len()),
            list,
            made: None,
        }
    }

    #[inline(always)]
    pub(crate) fn row(&self, row: usize) -> &'a [u8] {
        if !self.list.is_empty() {
            return self.list[row];
        }
        self.spaced_row(row)
    }

    /// As [`row`](Self::row), of rows that are not listed.
    #[inline(always)]
    fn spaced_row(&self, row: usize) -> &'a [u8] {
        &self.bytes[self.first + row * self.stride..][..self.row_bytes]
    }

    /// Where a row begins that is not listed, or that does not exist.
    #[inline(always)]
    pub(crate) fn start(&self, row: usize) -> *const u8 {
        let offset = row.wrapping_mul(self.stride).wrapping_add(self.first);
        self.bytes.as_ptr().wrapping_add(offset)
    }

    /// Prefetches the first cache lines of a row into a cache of some level. The last of them is
    /// prefetched by itself, since a row that is not aligned reaches into one more.
    #[inline(always)]
    pub(crate) fn prefetch<const LEVEL: u8>(&self, row: usize) {
        let start = match self.list.get(row) {
            Some(listed) => listed.as_ptr(),
            None => self.start(row),
        };
        let len = self.row_bytes.min(ROW_BYTES);
        for at in (0..len).step_by(LINE) {
            prefetch::<LEVEL>(start.wrapping_add(at));
        }
        prefetch::<LEVEL>(start.wrapping_add(len.saturating_sub(1)));
    }

    /// How many rows later is far.
    #[inline(always)]
    pub(crate) fn far(&self) -> usize {
        (FAR_BYTES / self.row_bytes.max(1)).clamp(NEAR, FAR)
    }

    /// As [`prefetch`](Self::prefetch) for a short row, without the loop, which would cost more
    /// than the lines.
    #[inline(always)]
    fn prefetch_short<const LEVEL: u8>(&self, row: usize, lines: usize) {
        let start = self.start(row);
        prefetch::<LEVEL>(start);
        if lines > 2 {
            prefetch::<LEVEL>(start.wrapping_add(LINE));
        }
        prefetch::<LEVEL>(start.wrapping_add(self.row_bytes.saturating_sub(1)));
    }

    /// How many cache lines a row takes, at most.
    fn max_lines(&self) -> usize {
        // Rows begin at all places in a line that are this far apart.
        let apart = 1 << self.stride.trailing_zeros().min(LINE.trailing_zeros());
        let last = LINE - apart + self.start(0) as usize % apart;
        (last + self.row_bytes).div_ceil(LINE)
    }
}

#[inline(always)]
fn prefetch<const LEVEL: u8>(line: *const u8) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _MM_HINT_T1, _mm_prefetch};
        // SAFETY: a prefetch is a hint that faults on no address, and SSE is part of x86_64.
        unsafe {
            match LEVEL {
                1 => _mm_prefetch::<_MM_HINT_T0>(line.cast()),
                _ => _mm_prefetch::<_MM_HINT_T1>(line.cast()),
            }
        };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = line;
}

/// Prefetches the start of a row that will be read soon.
pub(crate) fn prefetch_slice(row: &[u8]) {
    for line in row[..row.len().min(ROW_BYTES)].chunks(LINE) {
        prefetch::<1>(line.as_ptr());
    }
}

/// Which rows are copied, and what is prefetched meanwhile.
#[derive(Clone, Copy, Default)]
pub(crate) struct Schedule<'a> {
    /// The rows that are copied.
    pub(crate) rows: &'a [usize],
    /// The rows that are copied next, which exist. They change no result.
    pub(crate) next: &'a [usize],
    /// The draws of the rows, for transforms.
    pub(crate) draws: Draws<'a>,
    /// Where other columns have the same rows, which are copied after these.
    pub(crate) others: &'a [Rows<'a>],
    /// Whether the rows were among the [`others`](Self::others) of a column before.
    pub(crate) prefetched: bool,
    /// Whether the result is stored past the caches.
    pub(crate) non_temporal: bool,
}

impl<'a> Schedule<'a> {
    /// Rows that are in a near cache, so nothing is prefetched.
    pub(crate) fn cached(rows: &'a [usize]) -> Self {
        Self {
            rows,
            ..Self::default()
        }
    }

    /// Prefetches rows that come later than the one at `i`.
    #[inline(always)]
    fn prefetch(&self, source: Rows<'_>, i: usize, far: usize) {
        let later = i + far;
        let row = self.rows.get(later);
        if let Some(&row) = row.or_else(|| self.next.get(later - self.rows.len())) {
            self.prefetch_row::<2>(source, row);
        }
        if let Some(&row) = self.rows.get(i + far / NEAR) {
            self.prefetch_row::<1>(source, row);
        }
    }

    #[inline(always)]
    fn prefetch_row<const LEVEL: u8>(&self, source: Rows<'_>, row: usize) {
        source.prefetch::<LEVEL>(row);
        for other in self.others {
            other.prefetch::<LEVEL>(row);
        }
    }

    /// The rows in three parts, each with the rows that come `far / NEAR` and `far` later. The last
    /// rows are left out if it is not known what comes after them.
    fn parts(&self, far: usize) -> [[&'a [usize]; 3]; 3] {
        let (rows, near) = (self.rows, far / NEAR);
        let mut parts = [[&[][..]; 3]; 3];
        if let Some(most) = rows.len().checked_sub(far) {
            parts[0] = [&rows[..most], &rows[near..][..most], &rows[far..]];
            if let Some(next) = self.next.get(..far) {
                let (first, last) = next.split_at(far - near);
                let rows = &rows[most..];
                parts[1] = [&rows[..far - near], &rows[near..], first];
                parts[2] = [&rows[far - near..], &next[..near], last];
            }
        }
        parts
    }

    /// If the rows are short: how many cache lines they take, and the one other column that is
    /// prefetched, a line for each row; the rows themselves if there is none.
    fn short(&self, source: Rows<'a>) -> Option<(usize, Rows<'a>)> {
        let other = match self.others {
            [] => source,
            [other] if other.max_lines() == 1 => *other,
            _ => return None,
        };
        if !source.list.is_empty() || source.made.is_some() {
            return None;
        }
        let lines = source.max_lines();
        (lines <= SHORT).then_some((lines, other))
    }
}

/// Runs `$do` for short rows and their places, `$len` elements of `$out` each, and prefetches later
/// rows. Gives how many rows are done, from the first on: none if the rows are not short.
///
/// A core looks a fixed number of instructions ahead. It should find several short rows there, so
/// that it waits for them side by side: hence a loop without any instruction that can be left out.
/// It is a macro, since the body of a closure is not compiled for the instructions of its caller.
macro_rules! for_short_rows {
    ($rows:expr, $schedule:expr, $out:expr, $len:expr, |$row:ident, $place:ident| $do:expr) => {{
        let (rows, schedule): (Rows<'_>, Schedule<'_>) = ($rows, $schedule);
        let mut done = 0;
        if let Some((lines, other)) = schedule.short(rows) {
            for [of, near, far] in schedule.parts(rows.far()) {
                let places = $out[done * $len..][..of.len() * $len].chunks_exact_mut($len);
                for (($place, &row), (&near, &far)) in places.zip(of).zip(near.iter().zip(far)) {
                    rows.prefetch_short::<2>(far, lines);
                    prefetch::<2>(other.start(far));
                    rows.prefetch_short::<1>(near, lines);
                    prefetch::<1>(other.start(near));
                    let $row = rows.spaced_row(row);
                    $do;
                }
                done += of.len();
            }
        }
        done
    }};
}

use for_short_rows;

/// Runs `f` for each row but the first `done`, and for its place, and prefetches later rows.
#[inline(always)]
fn for_other_rows<T>(
    rows: Rows<'_>,
    schedule: Schedule<'_>,
    done: usize,
    out: &mut [T],
    len: usize,
    mut f: impl FnMut(&[u8], &mut [T]),
) {
    if let Some(made) = rows.made {
        return made(&mut |i, row| f(row, &mut out[i * len..][..len]));
    }
    let far = rows.far();
    let places = out[done * len..].chunks_exact_mut(len);
    for ((i, place), &row) in (done..).zip(places).zip(&schedule.rows[done..]) {
        schedule.prefetch(rows, i, far);
        f(rows.row(row), place);
    }
}

/// Whether all row numbers are below a length, found without a branch for each. It may be false for
/// a length beyond `isize::MAX`, which only rows of no bytes can have.
pub(crate) fn all_below(rows: &[usize], len: usize) -> bool {
    let Some(last) = len.checked_sub(1) else {
        return rows.is_empty();
    };
    // A row beyond `isize::MAX` sets the highest bit, and so does one after the last.
    let outside = rows
        .iter()
        .fold(0, |outside, row| outside | row | last.wrapping_sub(*row));
    outside >> (usize::BITS - 1) == 0
}

/// The instructions that loops are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    /// AVX2, FMA and F16C.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Portable,
}

impl Level {
    fn of_machine() -> Self {
        #[cfg(test)]
        if let Some(level) = tests::LEVEL.get() {
            return level;
        }
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::is_x86_feature_detected as has;
            if has!("avx2") && has!("fma") && has!("f16c") {
                return Self::Avx2;
            }
        }
        Self::Portable
    }
}

/// Whether all elements of a row fit.
fn row_fits<S: Guarded>(row: &[u8], bounds: (S::Bound, S::Bound)) -> bool {
    match Level::of_machine() {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the machine has just been seen to have these instructions.
        Level::Avx2 => unsafe { avx2::row_fits::<S>(row, bounds) },
        Level::Portable => guard::all_fit::<S>(row, bounds),
    }
}

/// Copies the lines of an image to their places, with their pixels, which have a size in bytes, in
/// the reverse order.
pub(crate) fn mirror_lines(lines: &Lines, pixel: usize, row: &[u8], out: &mut [u8]) {
    fn mirror<const PIXEL: usize>(lines: &Lines, row: &[u8], out: &mut [u8]) {
        match Level::of_machine() {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the machine has just been seen to have these instructions.
            Level::Avx2 => unsafe { avx2::mirror::<PIXEL>(lines, row, out) },
            Level::Portable => lines.mirror::<PIXEL>(row, out),
        }
    }
    match pixel {
        // One, three and four channels of one, two and four bytes, and what else is of such a size.
        1 => mirror::<1>(lines, row, out),
        2 => mirror::<2>(lines, row, out),
        3 => mirror::<3>(lines, row, out),
        4 => mirror::<4>(lines, row, out),
        6 => mirror::<6>(lines, row, out),
        8 => mirror::<8>(lines, row, out),
        12 => mirror::<12>(lines, row, out),
        16 => mirror::<16>(lines, row, out),
        _ => lines.mirror_any(pixel, row, out),
    }
}

/// Casts the elements of a row, from bytes to bytes.
type CastRow = fn(&[u8], &mut [u8]);

/// The cast of a row from one type to another.
fn cast_row<S: Scalar + Cast<T>, T: Pod>() -> CastRow {
    match Level::of_machine() {
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => |row, out| {
            // SAFETY: this function is only given out where the machine has just been seen to have
            // these instructions.
            unsafe { avx2::cast::<S, T>(row, bytemuck::cast_slice_mut(out)) }
        },
        Level::Portable => {
            |row, out| convert::cast_each::<S, T>(row, bytemuck::cast_slice_mut(out), |x| x)
        }
    }
}

/// Casts rows to `f32` and applies `f`, by loops for each type and function. Rare casts take
/// [`cast_row`], which compiles to much less.
fn convert_rows<S: Scalar + Cast<f32>>(
    rows: Rows<'_>,
    schedule: Schedule<'_>,
    out: &mut [f32],
    f: impl Fn(f32) -> f32 + Copy,
) {
    let sizes = [size_of::<S>(), size_of::<f32>()];
    match Level::of_machine() {
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => {
            // SAFETY: the machine has just been seen to have these instructions.
            let done = unsafe { avx2::short_rows::<S>(rows, schedule, out, f) };
            let row = |row: &[u8], out: &mut [u8]| {
                // SAFETY: as above.
                unsafe { avx2::row::<S>(row, bytemuck::cast_slice_mut(out), f) }
            };
            let stream_row = |row: &[u8], out: &mut [u8]| {
                // SAFETY: as above.
                unsafe { avx2::stream_row::<S>(row, bytemuck::cast_slice_mut(out), f) }
            };
            let row: &dyn Fn(&[u8], &mut [u8]) = if schedule.non_temporal {
                &stream_row
            } else {
                &row
            };
            let out = bytemuck::cast_slice_mut(out);
            convert::other_rows(rows, schedule, done, out, sizes, row);
        }
        Level::Portable => {
            let row = |row: &[u8], out: &mut [u8]| {
                convert::cast_each::<S, f32>(row, bytemuck::cast_slice_mut(out), f)
            };
            let out = bytemuck::cast_slice_mut(out);
            convert::other_rows(rows, schedule, 0, out, sizes, &row);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::{FAR, Level, NEAR, Schedule};
    use std::cell::Cell;

    thread_local! {
        /// The level of the thread, if it is not the one of the machine.
        pub(super) static LEVEL: Cell<Option<Level>> = const { Cell::new(None) };
    }

    /// Runs something at each level that the machine has.
    pub(crate) fn at_each_level(mut f: impl FnMut()) {
        let mut levels = vec![Level::of_machine()];
        levels.extend((levels[0] != Level::Portable).then_some(Level::Portable));
        for level in levels {
            LEVEL.set(Some(level));
            f();
        }
        LEVEL.set(None);
    }

    #[test]
    fn parts_know_what_comes_later() {
        let all = Vec::from_iter(0..100);
        for len in 0..70 {
            for behind in 0..30 {
                for far in NEAR..=FAR {
                    let (of, ahead) = all[..len + behind].split_at(len);
                    let schedule = Schedule {
                        next: ahead,
                        ..Schedule::cached(of)
                    };
                    let parts = schedule.parts(far);
                    let [of, near, later] = [0, 1, 2].map(|i| parts.map(|part| part[i]).concat());
                    let most = match (len < far, behind < far) {
                        (true, _) => 0,
                        (_, true) => len - far,
                        _ => len,
                    };
                    assert_eq!(of, all[..most]);
                    assert_eq!(near, all[far / NEAR..][..most]);
                    assert_eq!(later, all[far..][..most]);
                }
            }
        }
    }

    #[test]
    fn rows_are_below_a_length_if_each_is() {
        let naive = |rows: &[usize], len| rows.iter().all(|row| *row < len);
        let some = [
            0,
            1,
            7,
            isize::MAX as usize,
            isize::MAX as usize + 1,
            usize::MAX,
        ];
        for len in [0, 1, 2, 8, isize::MAX as usize] {
            for a in some {
                for b in some {
                    let rows = [0, a, b, 0];
                    assert_eq!(
                        super::all_below(&rows, len),
                        naive(&rows, len),
                        "{rows:?} {len}"
                    );
                }
            }
            assert!(super::all_below(&[], len));
        }
    }
}
