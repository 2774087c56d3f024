//! Copies that go past the caches.
//!
//! This is one of the four files with unsafe code: the instructions that do it. A large batch is
//! written once and read much later, if by this processor at all. Ordinary stores fetch each line of it from
//! memory first, only to overwrite it, and drive out of the cache what is still needed; streaming stores do
//! neither, and make a gather of large batches up to twice as fast.
#![allow(unsafe_code)]

use std::sync::LazyLock;

/// From this size of a batch on, in bytes, it is worth it. Several batches are on their way at a time, and smaller ones
/// stay in the last cache from one time to the next. Measured on Zen 4, streaming made batches of 3 MiB slower by a third, and those
/// of 12 and 48 MiB faster by two thirds. On Emerald Rapids, where a core of many has little of a last cache that is far from it,
/// it made those of 3 MiB faster by a fifth, and in a loop in C those of less than 1 MiB slower.
pub(crate) fn min_bytes() -> usize {
    static FOUND: LazyLock<usize> = LazyLock::new(|| match is_intel_server() {
        true => 2 << 20,
        false => 24 << 20,
    });
    *FOUND
}

/// Whether the processor is one of Intel that has AVX-512, which but for a few are those whose last cache lies around all cores.
#[cfg(target_arch = "x86_64")]
fn is_intel_server() -> bool {
    let vendor = std::arch::x86_64::__cpuid(0);
    let name = [vendor.ebx, vendor.edx, vendor.ecx].map(u32::to_le_bytes);
    name.as_flattened() == b"GenuineIntel" && std::is_x86_feature_detected!("avx512f")
}

#[cfg(not(target_arch = "x86_64"))]
fn is_intel_server() -> bool {
    false
}

/// What is converted at a time before it is streamed; a few of them fit into the first cache.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(crate) struct Tile(pub(crate) [u8; 4096]);

impl Default for Tile {
    fn default() -> Self {
        Self([0; 4096])
    }
}

/// Copies bytes. Other threads see them after a [`fence`].
pub(crate) fn copy(from: &[u8], to: &mut [u8]) {
    #[cfg(target_arch = "x86_64")]
    if std::is_x86_feature_detected!("avx2") {
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
