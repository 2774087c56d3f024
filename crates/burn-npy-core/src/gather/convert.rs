//! Rows whose elements become others.

#![deny(unsafe_code)]

pub(super) use bytemuck::Pod;
use bytemuck::Zeroable;
use half::{bf16, f16};

use super::arithmetic::arithmetic;
use super::cast::cast;
use super::lookup::lookup;
use super::{LINE, Level, ROW_BYTES, Rows, Schedule, convert_rows};
use super::{for_other_rows, for_short_rows, prefetch};
use crate::DType;
pub(super) use crate::convert::Cast;
use crate::convert::{Arith, Stage};
pub(super) use crate::element::Scalar;
use crate::element::with_measured;
use crate::non_temporal::{self, Line};

/// How many bytes of a row are converted before more of it is prefetched.
const PIECE: usize = 256;

/// Runs a stage over rows, which become one after the other `out`.
pub(crate) fn convert(rows: Rows<'_>, schedule: Schedule<'_>, stage: &Stage, out: &mut [u8]) {
    if rows.row_bytes == 0 {
        return;
    }
    let fused = if stage.is_fused() {
        convert_fused(rows, schedule, stage, bytemuck::cast_slice_mut(out))
    } else if let Some(table) = &stage.table {
        lookup(rows, schedule, table, out);
        0
    } else {
        cast(rows, schedule, stage.from, stage.to, out);
        0
    };
    for arith in &stage.arith[fused..] {
        match stage.to {
            DType::F16 => arithmetic::<f16>(arith, bytemuck::cast_slice_mut(out)),
            DType::BF16 => arithmetic::<bf16>(arith, bytemuck::cast_slice_mut(out)),
            DType::F32 => arithmetic::<f32>(arith, bytemuck::cast_slice_mut(out)),
            _ => arithmetic::<f64>(arith, bytemuck::cast_slice_mut(out)),
        }
    }
}

/// Casts to `f32` and does the first steps of the arithmetic in the same loop; gives how many.
fn convert_fused(rows: Rows<'_>, schedule: Schedule<'_>, stage: &Stage, out: &mut [f32]) -> usize {
    if let (true, Some(Arith::Divide(a))) = (stage.reciprocal, stage.arith.first())
        && Level::of_machine() != Level::Portable
    {
        // A division at a third of the cost, exact as `convert::divides_by_reciprocal` has found.
        let a = *a as f32;
        let inverse = 1.0 / a;
        let f = move |x: f32| {
            let near = x * inverse;
            (-near).mul_add(a, x).mul_add(inverse, near)
        };
        match stage.from {
            DType::U8 => convert_rows::<u8>(rows, schedule, out, f),
            _ => convert_rows::<i8>(rows, schedule, out, f),
        }
        return 1;
    }
    with_measured!(stage.from, From => match &*stage.arith {
        [Arith::Multiply(a), rest @ ..] => {
            // To add -0.0 changes no float.
            let (b, steps) = match rest {
                [Arith::Add(b), ..] => (*b as f32, 2),
                _ => (-0.0, 1),
            };
            let a = *a as f32;
            convert_rows::<From>(rows, schedule, out, move |x| x * a + b);
            steps
        }
        [Arith::Divide(a), ..] => {
            let a = *a as f32;
            convert_rows::<From>(rows, schedule, out, move |x| x / a);
            1
        }
        _ => {
            convert_rows::<From>(rows, schedule, out, |x| x);
            0
        }
    }, unreachable!("only measurements are fused"))
}

/// Converts rows, all but the first `done`. The elements are stored in the first size and made in
/// the second. The function is called, not compiled in, which neither long rows notice nor a few
/// short ones.
#[inline(never)]
pub(super) fn other_rows(
    rows: Rows<'_>,
    schedule: Schedule<'_>,
    done: usize,
    out: &mut [u8],
    [stored, made]: [usize; 2],
    convert_row: &dyn Fn(&[u8], &mut [u8]),
) {
    let made_row = rows.row_bytes / stored * made;
    for_other_rows(rows, schedule, done, out, made_row, convert_row);
    if schedule.non_temporal {
        non_temporal::fence();
    }
}

/// As [`other_rows`], stored past the caches by way of a tile in the nearest one: for functions
/// that do not store like that themselves.
#[inline(never)]
pub(super) fn stream_tiles(
    rows: Rows<'_>,
    schedule: Schedule<'_>,
    out: &mut [u8],
    [stored, made]: [usize; 2],
    convert_row: &dyn Fn(&[u8], &mut [u8]),
) {
    let mut tile = [Line::zeroed(); 64];
    let tile: &mut [u8] = bytemuck::cast_slice_mut(&mut tile);
    let len = tile.len() / made;
    let made_row = rows.row_bytes / stored * made;
    for_other_rows(rows, schedule, 0, out, made_row, |row, out| {
        for (part, out) in row.chunks(len * stored).zip(out.chunks_mut(len * made)) {
            let tile = &mut tile[..out.len()];
            convert_row(part, tile);
            non_temporal::copy(tile, out);
        }
    });
    non_temporal::fence();
}

/// Makes eight `f32` of eight `f16`.
pub(super) trait Widen: Fn([u8; HALVES]) -> [f32; 8] + Copy {}

impl<F: Fn([u8; HALVES]) -> [f32; 8] + Copy> Widen for F {}

/// The size of eight halves.
const HALVES: usize = 16;

/// Converts the first of short rows, unless they go past the caches; gives how many.
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
#[inline(always)]
pub(super) fn short_rows<S: Scalar + Cast<f32>>(
    rows: Rows<'_>,
    schedule: Schedule<'_>,
    out: &mut [f32],
    f: impl Fn(f32) -> f32 + Copy,
    widen: impl Widen,
) -> usize {
    if schedule.non_temporal {
        return 0;
    }
    let row_len = rows.row_bytes / size_of::<S>();
    for_short_rows!(rows, schedule, out, row_len, |from, out| row::<S>(
        from, out, f, widen
    ))
}

/// A row, in pieces of fixed lengths that the compiler makes vectors of. The last piece overlaps
/// the one before it rather than going element by element.
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
#[inline(always)]
pub(super) fn row<S: Scalar + Cast<f32>>(
    row: &[u8],
    out: &mut [f32],
    f: impl Fn(f32) -> f32 + Copy,
    widen: impl Widen,
) {
    let len = out.len();
    assert_eq!(row.len(), len * size_of::<S>());
    if len > 16 {
        let pieces = if reads_slowly::<S>() {
            row.len().saturating_sub(ROW_BYTES) / PIECE * PIECE
        } else {
            0
        };
        let (row, last) = row.split_at(pieces);
        let (out, last_out) = out.split_at_mut(pieces / size_of::<S>());
        let out = out.chunks_exact_mut(PIECE / size_of::<S>());
        for (piece, out) in row.chunks_exact(PIECE).zip(out) {
            prefetch_later(piece);
            convert_run::<S>(piece, out, f, widen);
        }
        convert_run::<S>(last, last_out, f, widen);
    } else if len >= 8 {
        convert_piece::<8, S>(row, out, 0, f);
        convert_piece::<8, S>(row, out, len - 8, f);
    } else if len >= 4 {
        convert_piece::<4, S>(row, out, 0, f);
        convert_piece::<4, S>(row, out, len - 4, f);
    } else {
        for at in 0..len {
            convert_piece::<1, S>(row, out, at, f);
        }
    }
}

/// As [`row`], stored past the caches: a line at a time, by `store`.
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
#[inline(always)]
pub(super) fn stream_row<S: Scalar + Cast<f32>>(
    row: &[u8],
    out: &mut [f32],
    f: impl Fn(f32) -> f32 + Copy,
    widen: impl Widen,
    store: impl Fn(Line, &mut Line) + Copy,
) {
    let stored = size_of::<S>();
    let (head, lines, tail) = bytemuck::pod_align_to_mut::<f32, Line>(out);
    let (before, row) = row.split_at(head.len() * stored);
    let line_bytes = LINE / size_of::<f32>() * stored;
    let (row, behind) = row.split_at(lines.len() * line_bytes);
    let convert_lines = |row: &[u8], lines: &mut [Line]| {
        for (from, to) in row.chunks_exact(line_bytes).zip(lines) {
            let mut line = Line::zeroed();
            convert_run::<S>(from, bytemuck::cast_slice_mut(&mut line.0), f, widen);
            store(line, to);
        }
    };
    let piece = PIECE.div_ceil(line_bytes);
    let pieces = if reads_slowly::<S>() {
        row.len().saturating_sub(ROW_BYTES) / (piece * line_bytes)
    } else {
        0
    };
    let (row, last) = row.split_at(pieces * piece * line_bytes);
    let (lines, last_lines) = lines.split_at_mut(pieces * piece);
    let row = row.chunks_exact(piece * line_bytes);
    for (row, lines) in row.zip(lines.chunks_exact_mut(piece)) {
        prefetch_later(row);
        convert_lines(row, lines);
    }
    convert_lines(last, last_lines);
    // The ends, of less than a line.
    cast_each::<S, f32>(before, head, f);
    cast_each::<S, f32>(behind, tail, f);
}

/// Whether the hardware does not see in time that a row is read from front to end, since more is
/// written meanwhile. Then all of the row is prefetched.
const fn reads_slowly<S>() -> bool {
    size_of::<S>() < size_of::<f32>()
}

/// Prefetches what comes [`ROW_BYTES`] after a part of a row.
#[inline(always)]
fn prefetch_later(part: &[u8]) {
    for at in (0..part.len()).step_by(LINE) {
        prefetch::<1>(part.as_ptr().wrapping_add(ROW_BYTES + at));
    }
}

#[inline(always)]
fn convert_run<S: Scalar + Cast<f32>>(
    row: &[u8],
    out: &mut [f32],
    f: impl Fn(f32) -> f32 + Copy,
    widen: impl Widen,
) {
    let (mut row, mut out) = (row, out);
    if S::IS_HALF {
        let (halves, last) = row.as_chunks::<HALVES>();
        let (eights, last_out) = out.split_at_mut(8 * halves.len());
        for (halves, out) in halves.iter().zip(eights.as_chunks_mut::<8>().0) {
            *out = widen(*halves).map(f);
        }
        (row, out) = (last, last_out);
    }
    cast_each::<S, f32>(row, out, f);
}

/// Casts the elements of a row and applies `f`.
#[inline(always)]
pub(super) fn cast_each<S: Scalar + Cast<T>, T: Pod>(
    row: &[u8],
    out: &mut [T],
    f: impl Fn(T) -> T + Copy,
) {
    for (out, element) in out.iter_mut().zip(row.chunks_exact(size_of::<S>())) {
        *out = f(S::load(element).cast());
    }
}

#[inline(always)]
fn convert_piece<const N: usize, S: Scalar + Cast<f32>>(
    row: &[u8],
    out: &mut [f32],
    at: usize,
    f: impl Fn(f32) -> f32 + Copy,
) {
    let row = &row[at * size_of::<S>()..][..N * size_of::<S>()];
    // All is read before anything is written. Otherwise the compiler must assume that a write
    // changes what is read next.
    let mut from = [S::zeroed(); N];
    for (from, element) in from.iter_mut().zip(row.chunks_exact(size_of::<S>())) {
        *from = S::load(element);
    }
    let mut to = [0.0; N];
    for (to, from) in to.iter_mut().zip(from) {
        *to = f(from.cast());
    }
    out[at..][..N].copy_from_slice(&to);
}
