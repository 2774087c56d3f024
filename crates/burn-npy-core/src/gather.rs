//! The loops that take rows from one place to another, and the arithmetic in between.
//!
//! This is one of the four files with unsafe code: the call of a function that was compiled for
//! instructions that the machine has been seen to have, and the hint to fetch a cache line.
//!
//! A shuffled gather waits for memory, so each loop asks for the rows that are [`AHEAD`] of the
//! one that it copies. That gains 1.4 to 2 times for rows of up to a few KiB.
#![allow(unsafe_code)]

use bytemuck::Pod;
use half::{bf16, f16};

use crate::DType;
use crate::convert::{Arith, Cast, Stage};
use crate::element::{Scalar, with_made, with_stored};
use crate::stream;

/// How many rows ahead of the copy the memory is asked for.
const AHEAD: usize = 16;
/// How much of a row is asked for; the hardware sees the pattern of what follows.
const AHEAD_BYTES: usize = 256;

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
    fn prefetch(&self, row: usize) {
        let start = self.first + row * self.stride;
        let end = start + self.row_bytes.min(AHEAD_BYTES);
        let mut at = start;
        while at < end {
            prefetch(self.bytes, at);
            at += 64;
        }
        // The last line, which a row that is not aligned reaches into.
        prefetch(self.bytes, end - 1);
    }
}

#[inline(always)]
fn prefetch(bytes: &[u8], at: usize) {
    #[cfg(target_arch = "x86_64")]
    if at < bytes.len() {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch is a hint that faults on no address, and SSE is part of x86_64; the
        // address is inside `bytes`, so the pointer arithmetic is in bounds.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(bytes.as_ptr().add(at).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (bytes, at);
}

/// Copies the rows `of` one after the other to `out`. `ahead` are the rows that come later, which
/// are only asked for.
pub(crate) fn copy(rows: Rows<'_>, of: &[usize], ahead: &[usize], out: &mut [u8]) {
    match rows.row_bytes {
        0 => {}
        1 => copy_sized::<1>(rows, of, ahead, out),
        2 => copy_sized::<2>(rows, of, ahead, out),
        4 => copy_sized::<4>(rows, of, ahead, out),
        8 => copy_sized::<8>(rows, of, ahead, out),
        _ => {
            let streamed = out.len() >= stream::MIN_BYTES;
            let mut out = out;
            let mut at = 0;
            while at < of.len() {
                let run = run_len(rows, &of[at..]);
                for i in at..at + run {
                    prefetch_ahead(rows, of, ahead, i);
                }
                let (head, rest) = out.split_at_mut(run * rows.row_bytes);
                let start = rows.first + of[at] * rows.stride;
                let from = &rows.bytes[start..][..head.len()];
                match streamed {
                    true => stream::copy(from, head),
                    false => head.copy_from_slice(from),
                }
                out = rest;
                at += run;
            }
            stream::fence();
        }
    }
}

/// How many of the first rows follow each other in memory without a gap.
#[inline(always)]
fn run_len(rows: Rows<'_>, of: &[usize]) -> usize {
    if rows.stride != rows.row_bytes {
        return 1;
    }
    1 + of.windows(2).take_while(|w| w[0] + 1 == w[1]).count()
}

#[inline(always)]
fn prefetch_ahead(rows: Rows<'_>, of: &[usize], ahead: &[usize], i: usize) {
    let later = i + AHEAD;
    if let Some(&row) = of.get(later).or_else(|| ahead.get(later - of.len())) {
        rows.prefetch(row);
    }
}

fn copy_sized<const N: usize>(rows: Rows<'_>, of: &[usize], ahead: &[usize], out: &mut [u8]) {
    for (i, (out, &row)) in out.as_chunks_mut::<N>().0.iter_mut().zip(of).enumerate() {
        prefetch_ahead(rows, of, ahead, i);
        out.copy_from_slice(rows.row(row));
    }
}

/// Runs a stage over the rows `of`, which become one after the other `out`.
pub(crate) fn convert(
    rows: Rows<'_>,
    of: &[usize],
    ahead: &[usize],
    stage: &Stage,
    out: &mut [u8],
) {
    if rows.row_bytes == 0 {
        return;
    }
    let fused = with_stored!(stage.from, From => match stage.to {
        DType::F32 => {
            let out = bytemuck::cast_slice_mut(out);
            convert_float::<From, f32>(rows, of, ahead, &stage.arith, out)
        }
        DType::F64 => {
            let out = bytemuck::cast_slice_mut(out);
            convert_float::<From, f64>(rows, of, ahead, &stage.arith, out)
        }
        to => with_made!(to, To => {
            let out = bytemuck::cast_slice_mut(out);
            dispatch::<From, To>(rows, of, ahead, out, |x| x);
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
fn convert_float<S: Scalar + Cast<T>, T: Float>(
    rows: Rows<'_>,
    of: &[usize],
    ahead: &[usize],
    arith: &[Arith],
    out: &mut [T],
) -> usize {
    match arith {
        [Arith::Multiply(a), Arith::Add(b), ..] => {
            let (a, b) = (T::from_f64(*a), T::from_f64(*b));
            dispatch::<S, T>(rows, of, ahead, out, move |x| x * a + b);
            2
        }
        [Arith::Multiply(a), ..] => {
            let a = T::from_f64(*a);
            dispatch::<S, T>(rows, of, ahead, out, move |x| x * a);
            1
        }
        [Arith::Divide(a), ..] => {
            let a = T::from_f64(*a);
            dispatch::<S, T>(rows, of, ahead, out, move |x| x / a);
            1
        }
        _ => {
            dispatch::<S, T>(rows, of, ahead, out, |x| x);
            0
        }
    }
}

/// The loop, compiled for the best instructions that the machine has.
fn dispatch<S: Scalar + Cast<T>, T: Pod>(
    rows: Rows<'_>,
    of: &[usize],
    ahead: &[usize],
    out: &mut [T],
    f: impl Fn(T) -> T + Copy,
) {
    #[cfg(target_arch = "x86_64")]
    if std::is_x86_feature_detected!("avx2") {
        if size_of_val(out) >= stream::MIN_BYTES {
            // SAFETY: the machine has just been seen to have AVX2.
            unsafe { stream_avx2::<S, T>(rows, of, ahead, out, f) };
        } else {
            // SAFETY: as above.
            unsafe { convert_avx2::<S, T>(rows, of, ahead, out, f) };
        }
        return;
    }
    convert_rows::<S, T>(rows, of, ahead, out, f);
}

/// As [`convert_avx2`], but past the caches: a tile at a time is converted in the nearest cache and
/// streamed from there.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn stream_avx2<S: Scalar + Cast<T>, T: Pod>(
    rows: Rows<'_>,
    of: &[usize],
    ahead: &[usize],
    out: &mut [T],
    f: impl Fn(T) -> T + Copy,
) {
    let mut tile = stream::Tile::default();
    let tile: &mut [T] = bytemuck::cast_slice_mut(&mut tile.0);
    let row_len = rows.row_bytes / size_of::<S>();
    for (i, (out, &row)) in out.chunks_exact_mut(row_len).zip(of).enumerate() {
        prefetch_ahead(rows, of, ahead, i);
        let row = rows.row(row).chunks(tile.len() * size_of::<S>());
        for (out, row) in out.chunks_mut(tile.len()).zip(row) {
            let tile = &mut tile[..out.len()];
            for (to, element) in tile.iter_mut().zip(row.chunks_exact(size_of::<S>())) {
                *to = f(S::load(element).cast());
            }
            stream::copy_avx2(bytemuck::cast_slice(tile), bytemuck::cast_slice_mut(out));
        }
    }
    stream::fence();
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn convert_avx2<S: Scalar + Cast<T>, T: Pod>(
    rows: Rows<'_>,
    of: &[usize],
    ahead: &[usize],
    out: &mut [T],
    f: impl Fn(T) -> T + Copy,
) {
    convert_rows::<S, T>(rows, of, ahead, out, f);
}

#[inline(always)]
fn convert_rows<S: Scalar + Cast<T>, T: Pod>(
    rows: Rows<'_>,
    of: &[usize],
    ahead: &[usize],
    out: &mut [T],
    f: impl Fn(T) -> T + Copy,
) {
    let row_len = rows.row_bytes / size_of::<S>();
    for (i, (out, &row)) in out.chunks_exact_mut(row_len).zip(of).enumerate() {
        prefetch_ahead(rows, of, ahead, i);
        let row = rows.row(row).chunks_exact(size_of::<S>());
        for (out, element) in out.iter_mut().zip(row) {
            *out = f(S::load(element).cast());
        }
    }
}

/// A float that arithmetic steps run in.
trait Float:
    Pod
    + std::ops::Add<Output = Self>
    + std::ops::Sub<Output = Self>
    + std::ops::Mul<Output = Self>
    + std::ops::Div<Output = Self>
{
    fn from_f64(value: f64) -> Self;
}

impl Float for f16 {
    fn from_f64(value: f64) -> Self {
        crate::convert::f16_from_f64(value)
    }
}

impl Float for bf16 {
    fn from_f64(value: f64) -> Self {
        crate::convert::bf16_from_f64(value)
    }
}

impl Float for f32 {
    fn from_f64(value: f64) -> Self {
        value as f32
    }
}

impl Float for f64 {
    fn from_f64(value: f64) -> Self {
        value
    }
}

/// One step over whole rows, in place.
fn arithmetic<T: Float>(arith: &Arith, out: &mut [T]) {
    match arith {
        Arith::Multiply(a) => {
            let a = T::from_f64(*a);
            out.iter_mut().for_each(|x| *x = *x * a);
        }
        Arith::Add(a) => {
            let a = T::from_f64(*a);
            out.iter_mut().for_each(|x| *x = *x + a);
        }
        Arith::Divide(a) => {
            let a = T::from_f64(*a);
            out.iter_mut().for_each(|x| *x = *x / a);
        }
        Arith::Normalize { inner, channels } => {
            let inner = *inner;
            if inner == 0 {
                return;
            }
            let channels: Vec<_> = channels
                .iter()
                .map(|(mean, std)| (T::from_f64(*mean), T::from_f64(*std)))
                .collect();
            for pixels in out.chunks_exact_mut(inner * channels.len()) {
                for (run, &(mean, std)) in pixels.chunks_exact_mut(inner).zip(&channels) {
                    run.iter_mut().for_each(|x| *x = (*x - mean) / std);
                }
            }
        }
    }
}
