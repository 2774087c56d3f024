//! Copies that go past the caches.
//!
//! This is one of the four files with unsafe code: the instructions that do it. A large batch is
//! written once and read much later, if by this processor at all. Ordinary stores fetch each line of it from
//! memory first, only to overwrite it, and drive out of the cache what is still needed; streaming stores do
//! neither, and make a gather of large batches up to twice as fast.
#![allow(unsafe_code)]

/// Whether this machine has such instructions.
pub(crate) fn is_possible() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::is_x86_feature_detected!("avx2");
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// A line of the cache.
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C, align(64))]
pub(crate) struct Line(pub(crate) [u8; 64]);

/// Stores a line. Other threads see it after a [`fence`].
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
#[inline]
pub(crate) fn store_avx2(line: Line, to: &mut Line) {
    use std::arch::x86_64::{_mm256_load_si256, _mm256_stream_si256};
    for at in [0, 32] {
        // SAFETY: both are twice as long as the instructions want, and aligned as they want.
        unsafe {
            let half = _mm256_load_si256(line.0.as_ptr().add(at).cast());
            _mm256_stream_si256(to.0.as_mut_ptr().add(at).cast(), half);
        }
    }
}

/// Copies bytes. Other threads see them after a [`fence`].
pub(crate) fn copy(from: &[u8], to: &mut [u8]) {
    #[cfg(target_arch = "x86_64")]
    if is_possible() {
        // SAFETY: the machine has just been seen to have AVX2.
        unsafe { copy_avx2(from, to) };
        return;
    }
    to.copy_from_slice(from);
}

/// Copies bytes. Other threads see them after a [`fence`].
///
/// # Panics
///
/// Panics if the lengths differ.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
#[inline]
pub(crate) fn copy_avx2(from: &[u8], to: &mut [u8]) {
    use std::arch::x86_64::{__m256i, _mm256_loadu_si256, _mm256_stream_si256};
    assert_eq!(from.len(), to.len());
    const WIDTH: usize = size_of::<__m256i>();
    let head = to.as_ptr().align_offset(WIDTH).min(to.len());
    let whole = (to.len() - head) / WIDTH * WIDTH;
    to[..head].copy_from_slice(&from[..head]);
    for at in (head..head + whole).step_by(WIDTH) {
        // SAFETY: `at + WIDTH` is at most `head + whole`, which is at most the length of both; the load
        // needs no alignment, and the store has it, since `head` bytes on `to` is aligned and each step
        // keeps it so.
        unsafe {
            let chunk = _mm256_loadu_si256(from.as_ptr().add(at).cast());
            _mm256_stream_si256(to.as_mut_ptr().add(at).cast(), chunk);
        }
    }
    to[head + whole..].copy_from_slice(&from[head + whole..]);
}

/// Orders what was streamed before what is written after, as the hand-over to another thread is.
pub(crate) fn fence() {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the instruction is part of SSE, which is part of x86_64, and orders memory, no more.
    unsafe {
        std::arch::x86_64::_mm_sfence();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_and_alignment_is_copied() {
        let from: Vec<u8> = (0..300_u32).map(|i| (i * 7) as u8).collect();
        for start in 0..40 {
            for len in 0..200 {
                let mut to = [0; 300];
                copy(&from[start..][..len], &mut to[start..][..len]);
                fence();
                assert_eq!(to[start..][..len], from[start..][..len]);
                assert!(
                    to[..start]
                        .iter()
                        .chain(&to[start + len..])
                        .all(|x| *x == 0)
                );
            }
        }
    }
}
