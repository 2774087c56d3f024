//! The loops that take rows from one place to another, and the arithmetic in between.
//!
//! This is one of the four files with unsafe code: the call of a function that was compiled for
//! instructions that the machine has been seen to have, and the hint to fetch a cache line.
//!
//! A shuffled gather waits for memory, so each loop asks for rows that come later than the
//! one that it copies. That gains 1.4 to 2 times for rows of up to a few KiB.
#![allow(unsafe_code)]

mod arithmetic;
mod copy;

use bytemuck::Pod;
use half::{bf16, f16};

use crate::DType;
use crate::convert::{Arith, Cast, Stage};
use crate::element::{Scalar, with_made, with_stored};
use crate::stream;
use arithmetic::{Fused, arithmetic};

pub(crate) use copy::copy;

/// How many rows ahead of the copy the memory is asked for, at most: into the second cache. A core waits for more lines of
/// that one than of the nearest, so this gains up to two times over asking for the nearest at once.
const FAR: usize = 32;
/// How many bytes that may be, so that they are still there when their turn comes.
const FAR_BYTES: usize = 16 << 10;
/// At which part of the way a row is asked for again, into the nearest cache.
const NEAR: usize = 4;
/// The size of a cache line.
const LINE: usize = 64;
/// In how many lines a short row is at the most.
const SHORT: usize = 3;
/// How much of a row is asked for before its turn. The hardware sees what follows, unless it is
/// [read slowly](reads_slowly).
const ROW_BYTES: usize = 1 << 10;
/// How much of a row is converted before more of it is asked for.
const PIECE: usize = 256;

/// Rows that lie in memory: row `i` is the `row_bytes` bytes at `first + i * stride`.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) first: usize,
    pub(crate) stride: usize,
    pub(crate) row_bytes: usize,
}

impl<'a> Rows<'a> {
    #[inline(always)]
    fn row(&self, row: usize) -> &'a [u8] {
        &self.bytes[self.first + row * self.stride..][..self.row_bytes]
    }

    #[inline(always)]
    fn start(&self, row: usize) -> *const u8 {
        let start = self.bytes.as_ptr();
        start.wrapping_add(self.first + row * self.stride)
    }

    /// Asks for the first cache lines of a row, into a cache of some level. To ask once more for the last of them, which a row
    /// that is not aligned reaches into, gains a tenth with short rows; to count the lines exactly instead does not.
    #[inline(always)]
    fn prefetch<const LEVEL: u8>(&self, row: usize) {
        let (start, len) = (self.start(row), self.row_bytes.min(ROW_BYTES));
        for at in (0..len).step_by(LINE) {
            prefetch::<LEVEL>(start.wrapping_add(at));
        }
        prefetch::<LEVEL>(start.wrapping_add(len.saturating_sub(1)));
    }

    /// As [`prefetch`](Self::prefetch), for a row in so few lines: without a loop, which would cost more than the lines.
    #[inline(always)]
    fn prefetch_short<const LEVEL: u8>(&self, row: usize, lines: usize) {
        let start = self.start(row);
        prefetch::<LEVEL>(start);
        if lines > 2 {
            prefetch::<LEVEL>(start.wrapping_add(LINE));
        }
        prefetch::<LEVEL>(start.wrapping_add(self.row_bytes.saturating_sub(1)));
    }

    /// In how many cache lines a row is at the most.
    fn lines(&self) -> usize {
        // Rows begin at all places of a line that are so far apart.
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

/// Which rows are copied, and what is asked for meanwhile.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// The rows that are copied.
    pub(crate) of: &'a [usize],
    /// Those that come later.
    pub(crate) ahead: &'a [usize],
    /// Places that have something for the same rows, which is copied next.
    pub(crate) also: &'a [Rows<'a>],
    /// Whether the rows were asked for before.
    pub(crate) asked: bool,
}

impl<'a> Wanted<'a> {
    pub(crate) fn only(of: &'a [usize]) -> Self {
        Self {
            of,
            ahead: &[],
            also: &[],
            asked: false,
        }
    }

    /// Asks for rows that come later than the one at `i`.
    #[inline(always)]
    fn prefetch(&self, rows: Rows<'_>, i: usize, far: usize) {
        let later = i + far;
        let of = self.of.get(later);
        if let Some(&row) = of.or_else(|| self.ahead.get(later - self.of.len())) {
            self.ask::<2>(rows, row);
        }
        if let Some(&row) = self.of.get(i + far / NEAR) {
            self.ask::<1>(rows, row);
        }
    }

    #[inline(always)]
    fn ask<const LEVEL: u8>(&self, rows: Rows<'_>, row: usize) {
        rows.prefetch::<LEVEL>(row);
        for also in self.also {
            also.prefetch::<LEVEL>(row);
        }
    }

    /// How many rows later is far.
    #[inline(always)]
    fn far(&self, rows: Rows<'_>) -> usize {
        (FAR_BYTES / rows.row_bytes.max(1)).clamp(NEAR, FAR)
    }

    /// If the rows are short, in how many lines they are, and the other place that is asked for, a line each; the rows
    /// if there is none.
    fn short(&self, rows: Rows<'a>) -> Option<(usize, Rows<'a>)> {
        let also = match self.also {
            [] => rows,
            [also] if also.lines() == 1 => *also,
            _ => return None,
        };
        let lines = rows.lines();
        (lines <= SHORT).then_some((lines, also))
    }
}

/// Runs something for every row and its place, so many elements of `out`, and asks for the rows that come later.
///
/// A core looks only so many instructions ahead. Of short rows it should find several there, so that it looks up their pages
/// side by side: hence a loop of its own for those, with nothing in it that can be left out. A macro, since the body of
/// a closure is not compiled for the instructions that its caller may use.
macro_rules! for_each_row {
    ($rows:expr, $wanted:expr, $out:expr, $len:expr, |$row:ident, $place:ident| $do:expr) => {
        let (rows, wanted): (Rows<'_>, Wanted<'_>) = ($rows, $wanted);
        let (out, len) = ($out, $len);
        let (far, of) = (wanted.far(rows), wanted.of);
        let short = wanted.short(rows);
        let most = short.map_or(0, |_| of.len().saturating_sub(far));
        let (places, last_places) = out.split_at_mut(most * len);
        if let Some((lines, also)) = short
            && most > 0
        {
            let later = of[far / NEAR..].iter().zip(&of[far..]);
            let places = places.chunks_exact_mut(len);
            for (($place, &row), (&near, &far)) in places.zip(of).zip(later) {
                rows.prefetch_short::<2>(far, lines);
                prefetch::<2>(also.start(far));
                rows.prefetch_short::<1>(near, lines);
                prefetch::<1>(also.start(near));
                let $row = rows.row(row);
                $do;
            }
        }
        let last_places = last_places.chunks_exact_mut(len);
        for ((i, $place), &row) in (most..).zip(last_places).zip(&of[most..]) {
            wanted.prefetch(rows, i, far);
            let $row = rows.row(row);
            $do;
        }
    };
}

use for_each_row;

/// The largest of some row numbers, 0 of none.
pub(crate) fn largest(rows: &[usize]) -> usize {
    #[cfg(target_arch = "x86_64")]
    if Level::of_machine() == Level::Avx512 {
        #[target_feature(enable = "avx512f")]
        fn largest_avx512(rows: &[usize]) -> usize {
            rows.iter().fold(0, |largest, row| largest.max(*row))
        }
        // SAFETY: the machine has just been seen to have AVX-512.
        return unsafe { largest_avx512(rows) };
    }
    rows.iter().fold(0, |largest, row| largest.max(*row))
}

/// Runs a stage over rows, which become one after the other `out`.
pub(crate) fn convert(rows: Rows<'_>, wanted: Wanted<'_>, stage: &Stage, out: &mut [u8]) {
    if rows.row_bytes == 0 {
        return;
    }
    let fused = with_stored!(stage.from, From => match stage.to {
        DType::F32 => {
            let out = bytemuck::cast_slice_mut(out);
            convert_float::<From, f32>(rows, wanted, stage, out)
        }
        DType::F64 => {
            let out = bytemuck::cast_slice_mut(out);
            convert_float::<From, f64>(rows, wanted, stage, out)
        }
        to => with_made!(to, To => {
            let out = bytemuck::cast_slice_mut(out);
            dispatch::<From, To>(rows, wanted, out, |x| x);
            0
        }, unreachable!("a stage makes what can be made")),
    });
    for arith in &stage.arith[fused..] {
        match stage.to {
            DType::F16 => arithmetic::<f16>(arith, bytemuck::cast_slice_mut(out)),
            DType::BF16 => arithmetic::<bf16>(arith, bytemuck::cast_slice_mut(out)),
            DType::F32 => arithmetic::<f32>(arith, bytemuck::cast_slice_mut(out)),
            _ => arithmetic::<f64>(arith, bytemuck::cast_slice_mut(out)),
        }
    }
}

/// Casts with the first arithmetic step fused into the loop; gives how many steps are done.
fn convert_float<S: Scalar + Cast<T>, T: Fused>(
    rows: Rows<'_>,
    wanted: Wanted<'_>,
    stage: &Stage,
    out: &mut [T],
) -> usize {
    match &*stage.arith {
        [Arith::Multiply(a), Arith::Add(b), ..] => {
            let (a, b) = (T::from_f64(*a), T::from_f64(*b));
            dispatch::<S, T>(rows, wanted, out, move |x| x * a + b);
            2
        }
        [Arith::Multiply(a), ..] => {
            let a = T::from_f64(*a);
            dispatch::<S, T>(rows, wanted, out, move |x| x * a);
            1
        }
        [Arith::Divide(a), ..] => {
            let a = T::from_f64(*a);
            match stage.reciprocal && Level::of_machine() != Level::Portable {
                // Division by a constant, exact as `convert::divides_by_reciprocal` has seen, at a third of the cost.
                true => {
                    let inverse = T::ONE / a;
                    dispatch::<S, T>(rows, wanted, out, move |x| {
                        let near = x * inverse;
                        (-near).mul_add(a, x).mul_add(inverse, near)
                    });
                }
                false => dispatch::<S, T>(rows, wanted, out, move |x| x / a),
            }
            1
        }
        _ => {
            dispatch::<S, T>(rows, wanted, out, |x| x);
            0
        }
    }
}

/// What a machine can do, as far as the loops are compiled for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    /// AVX-512 with the parts that all server processors have, and FMA.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// AVX2 and FMA.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Portable,
}

impl Level {
    fn of_machine() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::is_x86_feature_detected as has;
            if has!("avx512f")
                && has!("avx512bw")
                && has!("avx512dq")
                && has!("avx512vl")
                && has!("fma")
            {
                return Self::Avx512;
            }
            if has!("avx2") && has!("fma") {
                return Self::Avx2;
            }
        }
        Self::Portable
    }
}

/// The loop, compiled for the best instructions that the machine has.
fn dispatch<S: Scalar + Cast<T>, T: Pod>(
    rows: Rows<'_>,
    wanted: Wanted<'_>,
    out: &mut [T],
    f: impl Fn(T) -> T + Copy,
) {
    match Level::of_machine() {
        // SAFETY: the machine has just been seen to have these instructions.
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => unsafe { convert_avx512::<S, T>(rows, wanted, out, f) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => unsafe { convert_avx2::<S, T>(rows, wanted, out, f) },
        Level::Portable => convert_rows::<S, T>(rows, wanted, out, f),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
fn convert_avx512<S: Scalar + Cast<T>, T: Pod>(
    rows: Rows<'_>,
    wanted: Wanted<'_>,
    out: &mut [T],
    f: impl Fn(T) -> T + Copy,
) {
    match size_of_val(out) >= stream::min_bytes() {
        true => stream_rows::<S, T>(rows, wanted, out, f),
        false => convert_rows::<S, T>(rows, wanted, out, f),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn convert_avx2<S: Scalar + Cast<T>, T: Pod>(
    rows: Rows<'_>,
    wanted: Wanted<'_>,
    out: &mut [T],
    f: impl Fn(T) -> T + Copy,
) {
    match size_of_val(out) >= stream::min_bytes() {
        true => stream_rows::<S, T>(rows, wanted, out, f),
        false => convert_rows::<S, T>(rows, wanted, out, f),
    }
}

/// As [`convert_rows`], but past the caches: a tile at a time is converted in the nearest cache and
/// streamed from there.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn stream_rows<S: Scalar + Cast<T>, T: Pod>(
    rows: Rows<'_>,
    wanted: Wanted<'_>,
    out: &mut [T],
    f: impl Fn(T) -> T + Copy,
) {
    let mut tile = stream::Tile::default();
    let tile: &mut [T] = bytemuck::cast_slice_mut(&mut tile.0);
    let row_len = rows.row_bytes / size_of::<S>();
    let far = wanted.far(rows);
    for (i, (out, &row)) in out.chunks_exact_mut(row_len).zip(wanted.of).enumerate() {
        wanted.prefetch(rows, i, far);
        let mut row = rows.row(row);
        for out in out.chunks_mut(tile.len()) {
            let tile = &mut tile[..out.len()];
            let (part, behind) = row.split_at(out.len() * size_of::<S>());
            if reads_slowly::<S, T>() && behind.len() >= ROW_BYTES {
                prefetch_later(part);
            }
            convert_row::<S, T>(part, tile, f);
            row = behind;
            stream::copy(bytemuck::cast_slice(tile), bytemuck::cast_slice_mut(out));
        }
    }
    stream::fence();
}

#[inline(always)]
fn convert_rows<S: Scalar + Cast<T>, T: Pod>(
    rows: Rows<'_>,
    wanted: Wanted<'_>,
    out: &mut [T],
    f: impl Fn(T) -> T + Copy,
) {
    let row_len = rows.row_bytes / size_of::<S>();
    for_each_row!(rows, wanted, out, row_len, |row, out| convert_row::<S, T>(
        row, out, f
    ));
}

/// A row, in pieces of fixed lengths that the compiler makes vectors of. The last piece overlaps the one before it
/// rather than going element by element.
#[inline(always)]
fn convert_row<S: Scalar + Cast<T>, T: Pod>(row: &[u8], out: &mut [T], f: impl Fn(T) -> T + Copy) {
    let len = out.len();
    assert_eq!(row.len(), len * size_of::<S>());
    if len > 16 {
        let pieces = match reads_slowly::<S, T>() {
            true => row.len().saturating_sub(ROW_BYTES) / PIECE * PIECE,
            false => 0,
        };
        let (row, last) = row.split_at(pieces);
        let (out, last_out) = out.split_at_mut(pieces / size_of::<S>());
        let out = out.chunks_exact_mut(PIECE / size_of::<S>());
        for (piece, out) in row.chunks_exact(PIECE).zip(out) {
            prefetch_later(piece);
            convert_run::<S, T>(piece, out, f);
        }
        convert_run::<S, T>(last, last_out, f);
    } else if len >= 8 {
        convert_piece::<8, S, T>(row, out, 0, f);
        convert_piece::<8, S, T>(row, out, len - 8, f);
    } else if len >= 4 {
        convert_piece::<4, S, T>(row, out, 0, f);
        convert_piece::<4, S, T>(row, out, len - 4, f);
    } else {
        for at in 0..len {
            convert_piece::<1, S, T>(row, out, at, f);
        }
    }
}

/// Whether the hardware does not see in time that a row is read from front to end, since more is written meanwhile. To
/// ask for all of it gains 10 to 30 % where bytes or 16 bits become 32.
const fn reads_slowly<S, T>() -> bool {
    size_of::<S>() < size_of::<T>()
}

/// Asks for what comes later in a row than one of its parts, by as much as was asked for before its turn.
#[inline(always)]
fn prefetch_later(part: &[u8]) {
    for at in (0..part.len()).step_by(LINE) {
        prefetch::<1>(part.as_ptr().wrapping_add(ROW_BYTES + at));
    }
}

#[inline(always)]
fn convert_run<S: Scalar + Cast<T>, T: Pod>(row: &[u8], out: &mut [T], f: impl Fn(T) -> T + Copy) {
    for (out, element) in out.iter_mut().zip(row.chunks_exact(size_of::<S>())) {
        *out = f(S::load(element).cast());
    }
}

#[inline(always)]
fn convert_piece<const N: usize, S: Scalar + Cast<T>, T: Pod>(
    row: &[u8],
    out: &mut [T],
    at: usize,
    f: impl Fn(T) -> T + Copy,
) {
    let row = &row[at * size_of::<S>()..][..N * size_of::<S>()];
    // All is read before anything is written, or the compiler would have to assume that the one changes the other.
    let mut from = [S::zeroed(); N];
    for (from, element) in from.iter_mut().zip(row.chunks_exact(size_of::<S>())) {
        *from = S::load(element);
    }
    let mut to = [T::zeroed(); N];
    for (to, from) in to.iter_mut().zip(from) {
        *to = f(from.cast());
    }
    out[at..][..N].copy_from_slice(&to);
}
