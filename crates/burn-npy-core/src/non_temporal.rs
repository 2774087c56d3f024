//! Stores that bypass the caches.
//!
//! This is one of the five files with unsafe code: the instructions for such stores. A large batch
//! does not stay in the caches until it is read. Ordinary stores fetch each of its lines from
//! memory only to overwrite it, and evict what is still needed; non-temporal stores do neither.
#![allow(unsafe_code)]

/// The size in bytes from which a batch is stored past the caches: more than the last cache keeps
/// until the model reads the batch. glibc's `memcpy` has a threshold for the same reason.
const MIN_BYTES: usize = 8 << 20;

/// Whether a batch of `bytes` bytes should be stored past the caches.
pub(crate) fn is_better(bytes: usize) -> bool {
    #[cfg(test)]
    if let Some(forced) = tests::FORCED.get() {
        return forced && is_possible();
    }
    bytes >= MIN_BYTES && is_possible()
}

/// Whether this machine has such instructions.
fn is_possible() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::is_x86_feature_detected!("avx2");
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// A cache line.
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
        // SAFETY: both lines are 64 bytes long, so 32 bytes at 0 and at 32 are inside, and both are
        // aligned to 64, so each half is to 32, as the instructions require.
        unsafe {
            let half = _mm256_load_si256(line.0.as_ptr().add(at).cast());
            _mm256_stream_si256(to.0.as_mut_ptr().add(at).cast(), half);
        }
    }
}

/// Copies bytes. Other threads see them after a [`fence`].
///
/// # Panics
///
/// Panics if the lengths differ.
pub(crate) fn copy(from: &[u8], to: &mut [u8]) {
    #[cfg(target_arch = "x86_64")]
    if is_possible() {
        // SAFETY: the machine has just been seen to have AVX2.
        unsafe { copy_avx2(from, to) };
        return;
    }
    to.copy_from_slice(from);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
#[inline]
fn copy_avx2(from: &[u8], to: &mut [u8]) {
    use std::arch::x86_64::{__m256i, _mm256_loadu_si256, _mm256_stream_si256};
    assert_eq!(from.len(), to.len());
    const WIDTH: usize = size_of::<__m256i>();
    let head = to.as_ptr().align_offset(WIDTH).min(to.len());
    let whole = (to.len() - head) / WIDTH * WIDTH;
    to[..head].copy_from_slice(&from[..head]);
    for at in (head..head + whole).step_by(WIDTH) {
        // SAFETY: `at + WIDTH` is at most `head + whole`, which is at most the length of both. The
        // load needs no alignment. The store has it: `to` is aligned at `head`, and each step is
        // a multiple of the alignment.
        unsafe {
            let chunk = _mm256_loadu_si256(from.as_ptr().add(at).cast());
            _mm256_stream_si256(to.as_mut_ptr().add(at).cast(), chunk);
        }
    }
    to[head + whole..].copy_from_slice(&from[head + whole..]);
}

/// Orders non-temporal stores before later ones, such as those that hand a batch to another thread.
pub(crate) fn fence() {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the instruction is part of SSE, which every x86_64 has, and only orders memory.
    unsafe {
        std::arch::x86_64::_mm_sfence();
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::cell::Cell;

    use super::*;

    thread_local! {
        /// What [`is_better`] says on this thread, if the machine can do it.
        pub(super) static FORCED: Cell<Option<bool>> = const { Cell::new(None) };
    }

    /// Runs something with all batches stored past the caches, or none.
    pub(crate) fn with_forced<T>(forced: bool, f: impl FnOnce() -> T) -> T {
        FORCED.set(Some(forced));
        let result = f();
        FORCED.set(None);
        result
    }

    #[test]
    fn large_batches_alone_bypass_the_caches() {
        assert!(!is_better(MIN_BYTES - 1));
        assert_eq!(is_better(MIN_BYTES), is_possible());
    }

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
