//! The loops that take rows from one place to another, and the arithmetic in between.
//!
//! This is one of the four files with unsafe code: the call of a function that was compiled for
//! instructions that the machine has been seen to have, and the hint to fetch a cache line.
//!
//! A shuffled gather waits for memory, so each loop asks for rows that come later than the
//! one that it copies. That gains 1.4 to 2 times for rows of up to a few KiB.
#![allow(unsafe_code)]

use bytemuck::Pod;
use half::{bf16, f16};

use crate::DType;
use crate::convert::{Arith, Cast, Stage};
use crate::element::{Scalar, with_made, with_stored};
use crate::stream;

/// How many rows ahead of the copy the memory is asked for, at most.
const AHEAD: usize = 16;
/// How many bytes are asked for ahead of the copy, so that they are still in the nearest cache when their turn comes.
const AHEAD_BYTES: usize = 16 << 10;
/// How much of a row is asked for; the hardware sees the pattern of what follows.
const ROW_BYTES: usize = 1 << 10;

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

    /// Asks for the first cache lines of a row. To ask once more for the last of them, which a row that is not aligned
    /// reaches into, gains a tenth with short rows; to count the lines exactly instead does not.
    #[inline(always)]
    fn prefetch(&self, row: usize) {
        let start = self.bytes.as_ptr();
        let start = start.wrapping_add(self.first + row * self.stride);
        let len = self.row_bytes.min(ROW_BYTES);
        // The loop itself is what costs with short rows.
        prefetch(start);
        if len > 128 {
            for at in (64..len).step_by(64) {
                prefetch(start.wrapping_add(at));
            }
        } else if len > 64 {
            prefetch(start.wrapping_add(64));
        }
        if len > 8 {
            prefetch(start.wrapping_add(len - 1));
        }
    }
}

#[inline(always)]
fn prefetch(line: *const u8) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch is a hint that faults on no address, and SSE is part of x86_64.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.cast()) };
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

    /// Asks for a row that comes later than the one at `i`.
    #[inline(always)]
    fn prefetch(&self, rows: Rows<'_>, i: usize, distance: usize) {
        let later = i + distance;
        let of = self.of.get(later);
        if let Some(&row) = of.or_else(|| self.ahead.get(later - self.of.len())) {
            rows.prefetch(row);
            for also in self.also {
                also.prefetch(row);
            }
        }
    }

    /// How many rows later.
    #[inline(always)]
    fn distance(&self, rows: Rows<'_>) -> usize {
        (AHEAD_BYTES / rows.row_bytes.max(1)).clamp(1, AHEAD)
    }
}

/// Copies rows one after the other to `out`.
pub(crate) fn copy(rows: Rows<'_>, wanted: Wanted<'_>, out: &mut [u8]) {
    let of = wanted.of;
    match rows.row_bytes {
        0 => {}
        1 => copy_sized::<1>(rows, wanted, out),
        2 => copy_sized::<2>(rows, wanted, out),
        4 => copy_sized::<4>(rows, wanted, out),
        8 => copy_sized::<8>(rows, wanted, out),
        _ => {
            let streamed = out.len() >= stream::MIN_BYTES;
            let distance = wanted.distance(rows);
            let mut out = out;
            let mut at = 0;
            while at < of.len() {
                let run = run_len(rows, &of[at..]);
                for i in at..at + run {
                    wanted.prefetch(rows, i, distance);
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

fn copy_sized<const N: usize>(rows: Rows<'_>, wanted: Wanted<'_>, out: &mut [u8]) {
    let out = out.as_chunks_mut::<N>().0;
    if wanted.asked {
        for (out, &row) in out.iter_mut().zip(wanted.of) {
            out.copy_from_slice(rows.row(row));
        }
        return;
    }
    for (i, (out, &row)) in out.iter_mut().zip(wanted.of).enumerate() {
        wanted.prefetch(rows, i, AHEAD);
        out.copy_from_slice(rows.row(row));
    }
}

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
    match size_of_val(out) >= stream::MIN_BYTES {
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
    match size_of_val(out) >= stream::MIN_BYTES {
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
    let distance = wanted.distance(rows);
    for (i, (out, &row)) in out.chunks_exact_mut(row_len).zip(wanted.of).enumerate() {
        wanted.prefetch(rows, i, distance);
        let row = rows.row(row).chunks(tile.len() * size_of::<S>());
        for (out, row) in out.chunks_mut(tile.len()).zip(row) {
            let tile = &mut tile[..out.len()];
            convert_row::<S, T>(row, tile, f);
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
    let distance = wanted.distance(rows);
    for (i, (out, &row)) in out.chunks_exact_mut(row_len).zip(wanted.of).enumerate() {
        wanted.prefetch(rows, i, distance);
        convert_row::<S, T>(rows.row(row), out, f);
    }
}

/// A row, in pieces of fixed lengths that the compiler makes vectors of. The last piece overlaps the one before it
/// rather than going element by element.
#[inline(always)]
fn convert_row<S: Scalar + Cast<T>, T: Pod>(row: &[u8], out: &mut [T], f: impl Fn(T) -> T + Copy) {
    let len = out.len();
    assert_eq!(row.len(), len * size_of::<S>());
    if len > 16 {
        for (out, element) in out.iter_mut().zip(row.chunks_exact(size_of::<S>())) {
            *out = f(S::load(element).cast());
        }
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

/// A float that a cast is fused with.
trait Fused: Float + std::ops::Neg<Output = Self> {
    const ONE: Self;

    /// `self * a + b`, rounded once.
    fn mul_add(self, a: Self, b: Self) -> Self;
}

macro_rules! fused {
    ($($float:ty),*) => {$(
        impl Fused for $float {
            const ONE: Self = 1.0;

            #[inline(always)]
            fn mul_add(self, a: Self, b: Self) -> Self {
                <$float>::mul_add(self, a, b)
            }
        }
    )*};
}

fused!(f32, f64);

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
