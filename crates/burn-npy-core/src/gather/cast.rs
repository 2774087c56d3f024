//! Rare casts, with one plain loop for each.
//!
//! The loops take most of the time that the crate takes to compile. So integers are cast by their
//! size and sign, and halves and bools by way of another type, which changes no result.

#![deny(unsafe_code)]

use bytemuck::{Pod, Zeroable};
use half::{bf16, f16};

use super::convert::{other_rows, stream_tiles};
use super::{CastRow, Rows, Schedule, cast_row, copy};
use crate::DType;
use crate::convert::Cast;
use crate::element::{BoolByte, Scalar};
use crate::non_temporal::Line;

/// How many elements are cast at a time where that takes two steps.
const TILE: usize = 512;

/// Casts rows. Casts that are fused with arithmetic are not among them.
pub(super) fn cast(rows: Rows<'_>, schedule: Schedule<'_>, from: DType, to: DType, out: &mut [u8]) {
    let is_copy = from == to || from.is_int() && to.is_int() && from.size() == to.size();
    if is_copy && from != DType::Bool {
        return copy(rows, schedule, out);
    }
    let half = match from {
        DType::F16 => Some(cast_row::<f16, f32>()),
        DType::BF16 => Some(cast_row::<bf16, f32>()),
        _ => None,
    };
    // The first step, and the second with the size of the elements between them.
    let (first, second) = match half {
        Some(widen) => (widen, Some((4, direct(DType::F32, to)))),
        None if from == DType::Bool && to.size() > 1 && to != DType::F32 => (
            cast_row::<BoolByte, BoolByte>(),
            Some((1, direct(DType::U8, to))),
        ),
        None => (direct(from, to), None),
    };
    let sizes @ [stored, made] = [from.size(), to.size()];
    let Some((middle, second)) = second else {
        return run(rows, schedule, sizes, out, &first);
    };
    run(rows, schedule, sizes, out, &|row, out| {
        let mut tile = [Line::zeroed(); TILE * 4 / 64];
        let tile: &mut [u8] = bytemuck::cast_slice_mut(&mut tile);
        let parts = row.chunks(TILE * stored).zip(out.chunks_mut(TILE * made));
        for (part, out) in parts {
            let tile = &mut tile[..part.len() / stored * middle];
            first(part, tile);
            second(tile, out);
        }
    });
}

/// A cast in one step.
fn direct(from: DType, to: DType) -> CastRow {
    use DType::*;

    /// The sources of a target that is a float: all but halves and bools.
    macro_rules! of_number {
        ($to:ty) => {
            match from {
                I8 => cast_row::<i8, $to>(),
                I16 => cast_row::<i16, $to>(),
                I32 => cast_row::<i32, $to>(),
                I64 => cast_row::<i64, $to>(),
                U8 => cast_row::<u8, $to>(),
                U16 => cast_row::<u16, $to>(),
                U32 => cast_row::<u32, $to>(),
                U64 => cast_row::<u64, $to>(),
                F32 => cast_row::<f32, $to>(),
                _ => cast_row::<f64, $to>(),
            }
        };
    }

    /// The targets of a float that are integers.
    macro_rules! float_to_int {
        ($from:ty) => {
            match to {
                I8 => cast_row::<$from, i8>(),
                I16 => cast_row::<$from, i16>(),
                I32 => cast_row::<$from, i32>(),
                I64 => cast_row::<$from, i64>(),
                U8 => cast_row::<$from, u8>(),
                U16 => cast_row::<$from, u16>(),
                U32 => cast_row::<$from, u32>(),
                _ => cast_row::<$from, u64>(),
            }
        };
    }

    match (to, from) {
        (F32, Bool) => cast_row::<BoolByte, f32>(),
        (F32, U32) => cast_row::<u32, f32>(),
        (F32, U64) => cast_row::<u64, f32>(),
        (F32, _) => unreachable!("a fused cast"),
        (F64, _) => of_number!(f64),
        (F16, _) => of_number!(f16),
        (BF16, _) => of_number!(bf16),
        (Bool, F32) => cast_row::<f32, BoolByte>(),
        (Bool, F64) => cast_row::<f64, BoolByte>(),
        (Bool, _) | (_, Bool) => match from.size() {
            1 => cast_row::<BoolByte, BoolByte>(),
            2 => cast_row::<u16, BoolByte>(),
            4 => cast_row::<u32, BoolByte>(),
            _ => cast_row::<u64, BoolByte>(),
        },
        (_, F32) => float_to_int!(f32),
        (_, F64) => float_to_int!(f64),
        _ => int_to_int(from, to),
    }
}

/// A cast between integers of different sizes.
fn int_to_int(from: DType, to: DType) -> CastRow {
    let is_signed = from.int_range().is_some_and(|(min, _)| min < 0);
    match (from.size(), to.size(), is_signed) {
        (8, 4, _) => cast_row::<u64, u32>(),
        (8, 2, _) => cast_row::<u64, u16>(),
        (8, 1, _) => cast_row::<u64, u8>(),
        (4, 2, _) => cast_row::<u32, u16>(),
        (4, 1, _) => cast_row::<u32, u8>(),
        (2, 1, _) => cast_row::<u16, u8>(),
        (4, 8, false) => cast_row::<u32, u64>(),
        (2, 8, false) => cast_row::<u16, u64>(),
        (2, 4, false) => cast_row::<u16, u32>(),
        (1, 8, false) => cast_row::<u8, u64>(),
        (1, 4, false) => cast_row::<u8, u32>(),
        (1, 2, false) => cast_row::<u8, u16>(),
        (4, 8, true) => cast_row::<i32, i64>(),
        (2, 8, true) => cast_row::<i16, i64>(),
        (2, 4, true) => cast_row::<i16, i32>(),
        (1, 8, true) => cast_row::<i8, i64>(),
        (1, 4, true) => cast_row::<i8, i32>(),
        (1, 2, true) => cast_row::<i8, i16>(),
        _ => unreachable!("integers of one size are copied"),
    }
}

/// Casts rows whose elements are stored in the first size and made in the second.
fn run(
    rows: Rows<'_>,
    schedule: Schedule<'_>,
    sizes: [usize; 2],
    out: &mut [u8],
    cast: &dyn Fn(&[u8], &mut [u8]),
) {
    if schedule.non_temporal {
        stream_tiles(rows, schedule, out, sizes, cast);
    } else {
        other_rows(rows, schedule, 0, out, sizes, cast);
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
    let cast: CastRow = match size {
        2 => cast_row::<Swapped<u16>, u16>(),
        4 => cast_row::<Swapped<u32>, u32>(),
        _ => cast_row::<Swapped<u64>, u64>(),
    };
    run(rows, schedule, [size, size], out, &cast);
}
