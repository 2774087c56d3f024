//! The loops, compiled for AVX2, FMA and F16C.

#![deny(unsafe_code)]

use std::arch::x86_64::_mm256_cvtph_ps;

use super::convert::{self, Cast, Pod, Scalar};
use super::guard::{self, Guarded};
use super::{Lines, Rows, Schedule};
use crate::non_temporal;

/// Makes eight `f32` of eight `f16`.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
fn widen(halves: [u8; 16]) -> [f32; 8] {
    bytemuck::cast(_mm256_cvtph_ps(bytemuck::cast(halves)))
}

#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn row_fits<S: Guarded>(row: &[u8], bounds: (S::Bound, S::Bound)) -> bool {
    guard::all_fit::<S>(row, bounds)
}

#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn mirror<const PIXEL: usize>(lines: &Lines, row: &[u8], out: &mut [u8]) {
    lines.mirror::<PIXEL>(row, out);
}

#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn cast<S: Scalar + Cast<T>, T: Pod>(row: &[u8], out: &mut [T]) {
    convert::cast_each::<S, T>(row, out, |x| x);
}

#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn row<S: Scalar + Cast<f32>>(
    row: &[u8],
    out: &mut [f32],
    f: impl Fn(f32) -> f32 + Copy,
) {
    convert::row::<S>(row, out, f, |halves| widen(halves));
}

#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn stream_row<S: Scalar + Cast<f32>>(
    row: &[u8],
    out: &mut [f32],
    f: impl Fn(f32) -> f32 + Copy,
) {
    let store = |line, to: &mut non_temporal::Line| non_temporal::store_avx2(line, to);
    convert::stream_row::<S>(row, out, f, |halves| widen(halves), store);
}

#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn short_rows<S: Scalar + Cast<f32>>(
    rows: Rows<'_>,
    schedule: Schedule<'_>,
    out: &mut [f32],
    f: impl Fn(f32) -> f32 + Copy,
) -> usize {
    convert::short_rows::<S>(rows, schedule, out, f, |halves| widen(halves))
}
