//! Rows whose elements become others.

#![deny(unsafe_code)]

pub(super) use bytemuck::Pod;
use bytemuck::Zeroable;
use half::{bf16, f16};

use super::arithmetic::{Fused, arithmetic};
use super::lookup::lookup;
use super::{LINE, Level, ROW_BYTES, Rows, Schedule, for_other_rows, for_short_rows, prefetch};
use super::{convert_fast, convert_small};
use crate::DType;
pub(super) use crate::convert::Cast;
use crate::convert::{Arith, AsF32, Stage};
pub(super) use crate::element::Scalar;
use crate::element::{with_made, with_measured};
use crate::non_temporal::{self, Line};

/// How much of a row is converted before more of it is asked for.
const PIECE: usize = 256;

/// Runs a stage over rows, which become one after the other `out`.
pub(crate) fn convert(rows: Rows<'_>, schedule: Schedule<'_>, stage: &Stage, out: &mut [u8]) {
    if rows.row_bytes == 0 {
        return;
    }
    let fused = match (stage.to, stage.is_fused()) {
        (DType::F32, true) => with_measured!(stage.from, From => {
            convert_float::<From, f32>(rows, schedule, stage, bytemuck::cast_slice_mut(out))
        }, unreachable!("only measurements are fused")),
        (DType::F64, true) => with_measured!(stage.from, From => {
            convert_float::<From, f64>(rows, schedule, stage, bytemuck::cast_slice_mut(out))
        }, unreachable!("only measurements are fused")),
        (to, _) => {
            match &stage.table {
                Some(table) => lookup(rows, schedule, table, out),
                None => with_made!(stage.from, From => with_made!(to, To => {
                    convert_small::<From, To>(rows, schedule, bytemuck::cast_slice_mut(out))
                }, unreachable!("a stage makes what can be made")), {
                    unreachable!("what cannot be made has a table")
                }),
            }
            0
        }
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

/// An integer whose bytes are stored in the order of other machines.
#[derive(Clone, Copy, PartialEq, Pod, Zeroable)]
#[repr(transparent)]
struct Swapped<T>(T);

macro_rules! swapped {
    ($($int:ty),*) => {$(
        impl Scalar for Swapped<$int> {
            const IS_HALF: bool = false;

            #[inline(always)]
            fn load(bytes: &[u8]) -> Self {
                Self(bytemuck::pod_read_unaligned(bytes))
            }
        }

        impl Cast<$int> for Swapped<$int> {
            #[inline(always)]
            fn cast(self) -> $int {
                self.0.swap_bytes()
            }
        }
    )*};
}

swapped!(u16, u32, u64);

/// Copies rows one after the other to `out`, and reverses the bytes of each element of `size`
/// bytes.
pub(crate) fn copy_swapped(rows: Rows<'_>, schedule: Schedule<'_>, size: usize, out: &mut [u8]) {
    if rows.row_bytes == 0 {
        return;
    }
    match size {
        2 => convert_small::<Swapped<u16>, u16>(rows, schedule, bytemuck::cast_slice_mut(out)),
        4 => convert_small::<Swapped<u32>, u32>(rows, schedule, bytemuck::cast_slice_mut(out)),
        _ => convert_small::<Swapped<u64>, u64>(rows, schedule, bytemuck::cast_slice_mut(out)),
    }
}

/// Casts with the first arithmetic step fused into the loop; gives how many steps are done.
fn convert_float<S: Scalar + Cast<T>, T: Fused>(
    rows: Rows<'_>,
    schedule: Schedule<'_>,
    stage: &Stage,
    out: &mut [T],
) -> usize
where
    f32: Cast<T>,
{
    match &*stage.arith {
        [Arith::Multiply(a), Arith::Add(b), ..] => {
            let (a, b) = (T::from_f64(*a), T::from_f64(*b));
            convert_fast::<S, T>(rows, schedule, out, move |x| x * a + b);
            2
        }
        [Arith::Multiply(a), ..] => {
            let a = T::from_f64(*a);
            convert_fast::<S, T>(rows, schedule, out, move |x| x * a);
            1
        }
        [Arith::Divide(a), ..] => {
            let a = T::from_f64(*a);
            match stage.reciprocal && Level::of_machine() != Level::Portable {
                // Division by a constant, exact as `convert::divides_by_reciprocal` has seen, at a third of the cost.
                true => {
                    let inverse = T::ONE / a;
                    convert_fast::<S, T>(rows, schedule, out, move |x| {
                        let near = x * inverse;
                        (-near).mul_add(a, x).mul_add(inverse, near)
                    });
                }
                false => convert_fast::<S, T>(rows, schedule, out, move |x| x / a),
            }
            1
        }
        _ => {
            convert_fast::<S, T>(rows, schedule, out, |x| x);
            0
        }
    }
}

/// Converts the rows from the one with number `done` on, or all of them if they are stored past the caches. A function is given, rather
/// than compiled in, since long rows do not notice that, nor do a few short ones.
#[inline(never)]
pub(super) fn other_rows<T: Pod>(
    rows: Rows<'_>,
    schedule: Schedule<'_>,
    done: usize,
    out: &mut [T],
    row_len: usize,
    convert_row: &dyn Fn(&[u8], &mut [T]),
) {
    for_other_rows(rows, schedule, done, out, row_len, convert_row);
    if schedule.non_temporal {
        non_temporal::fence();
    }
}

/// Converts rows and stores them past the caches, by way of a tile in the nearest one: slower by a tenth than [`stream_row`], and nothing
/// more to compile for a type.
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
#[inline(never)]
pub(super) fn stream_tiles<T: Pod>(
    rows: Rows<'_>,
    schedule: Schedule<'_>,
    out: &mut [T],
    row_len: usize,
    convert_row: &dyn Fn(&[u8], &mut [T]),
) {
    let mut tile = [Line::zeroed(); 64];
    let tile: &mut [T] = bytemuck::cast_slice_mut(&mut tile);
    let stored = rows.row_bytes / row_len;
    for_other_rows(rows, schedule, 0, out, row_len, |row, out| {
        let parts = row.chunks(tile.len() * stored);
        for (part, out) in parts.zip(out.chunks_mut(tile.len())) {
            let tile = &mut tile[..out.len()];
            convert_row(part, tile);
            non_temporal::copy(bytemuck::cast_slice(tile), bytemuck::cast_slice_mut(out));
        }
    });
    non_temporal::fence();
}

/// Makes eight `f32` of eight `f16`.
pub(super) trait Widen: Fn([u8; HALVES]) -> [f32; 8] + Copy {}

impl<F: Fn([u8; HALVES]) -> [f32; 8] + Copy> Widen for F {}

/// The size of eight halves.
const HALVES: usize = 16;

/// Where the processor has no instruction for it.
#[inline(always)]
pub(super) fn widen(halves: [u8; HALVES]) -> [f32; 8] {
    let halves: [f16; 8] = bytemuck::cast(halves);
    halves.map(f16::as_f32)
}

/// Converts the first of short rows, unless they go past the caches; gives how many.
#[inline(always)]
pub(super) fn short_rows<S: Scalar + Cast<T>, T: Pod>(
    rows: Rows<'_>,
    schedule: Schedule<'_>,
    out: &mut [T],
    f: impl Fn(T) -> T + Copy,
    widen: impl Widen,
) -> usize
where
    f32: Cast<T>,
{
    if schedule.non_temporal {
        return 0;
    }
    let row_len = rows.row_bytes / size_of::<S>();
    for_short_rows!(rows, schedule, out, row_len, |from, out| row::<S, T>(
        from, out, f, widen
    ))
}

/// A row, in pieces of fixed lengths that the compiler makes vectors of. The last piece overlaps the one before it
/// rather than going element by element.
#[inline(always)]
pub(super) fn row<S: Scalar + Cast<T>, T: Pod>(
    row: &[u8],
    out: &mut [T],
    f: impl Fn(T) -> T + Copy,
    widen: impl Widen,
) where
    f32: Cast<T>,
{
    let len = out.len();
    assert_eq!(row.len(), len * size_of::<S>());
    if len > 16 {
        let pieces = match reads_slowly(size_of::<S>(), size_of::<T>()) {
            true => row.len().saturating_sub(ROW_BYTES) / PIECE * PIECE,
            false => 0,
        };
        let (row, last) = row.split_at(pieces);
        let (out, last_out) = out.split_at_mut(pieces / size_of::<S>());
        let out = out.chunks_exact_mut(PIECE / size_of::<S>());
        for (piece, out) in row.chunks_exact(PIECE).zip(out) {
            prefetch_later(piece);
            convert_run::<S, T>(piece, out, f, widen);
        }
        convert_run::<S, T>(last, last_out, f, widen);
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

/// The same, stored past the caches: a line at a time, by a function for that.
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
#[inline(always)]
pub(super) fn stream_row<S: Scalar + Cast<T>, T: Pod>(
    row: &[u8],
    out: &mut [T],
    f: impl Fn(T) -> T + Copy,
    widen: impl Widen,
    store: impl Fn(Line, &mut Line) + Copy,
) where
    f32: Cast<T>,
{
    let stored = size_of::<S>();
    let (head, lines, tail) = bytemuck::pod_align_to_mut::<T, Line>(out);
    let (before, row) = row.split_at(head.len() * stored);
    convert_run::<S, T>(before, head, f, widen);
    let line_bytes = LINE / size_of::<T>() * stored;
    let (row, behind) = row.split_at(lines.len() * line_bytes);
    let convert_lines = |row: &[u8], lines: &mut [Line]| {
        for (from, to) in row.chunks_exact(line_bytes).zip(lines) {
            let mut line = Line::zeroed();
            convert_run::<S, T>(from, bytemuck::cast_slice_mut(&mut line.0), f, widen);
            store(line, to);
        }
    };
    let piece = PIECE.div_ceil(line_bytes);
    let pieces = match reads_slowly(stored, size_of::<T>()) {
        true => row.len().saturating_sub(ROW_BYTES) / (piece * line_bytes),
        false => 0,
    };
    let (row, last) = row.split_at(pieces * piece * line_bytes);
    let (lines, last_lines) = lines.split_at_mut(pieces * piece);
    for (row, lines) in row
        .chunks_exact(piece * line_bytes)
        .zip(lines.chunks_exact_mut(piece))
    {
        prefetch_later(row);
        convert_lines(row, lines);
    }
    convert_lines(last, last_lines);
    convert_run::<S, T>(behind, tail, f, widen);
}

/// Whether the hardware does not see in time that a row is read from front to end, since more is written meanwhile. To
/// ask for all of it gains 10 to 30 % where bytes or 16 bits become 32.
const fn reads_slowly(stored: usize, made: usize) -> bool {
    stored < made
}

/// Asks for what comes later in a row than one of its parts, by as much as was asked for before its turn.
#[inline(always)]
fn prefetch_later(part: &[u8]) {
    for at in (0..part.len()).step_by(LINE) {
        prefetch::<1>(part.as_ptr().wrapping_add(ROW_BYTES + at));
    }
}

#[inline(always)]
fn convert_run<S: Scalar + Cast<T>, T: Pod>(
    row: &[u8],
    out: &mut [T],
    f: impl Fn(T) -> T + Copy,
    widen: impl Widen,
) where
    f32: Cast<T>,
{
    let (mut row, mut out) = (row, out);
    if S::IS_HALF {
        let (halves, last) = row.as_chunks::<HALVES>();
        let (eights, last_out) = out.split_at_mut(8 * halves.len());
        for (halves, out) in halves.iter().zip(eights.as_chunks_mut::<8>().0) {
            *out = widen(*halves).map(|x| f(x.cast()));
        }
        (row, out) = (last, last_out);
    }
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
