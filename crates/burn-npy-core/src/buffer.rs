//! Memory for batches and decoded arrays, aligned for every element type and for SIMD.

use bytemuck::{Pod, Zeroable};

use crate::{Error, ErrorKind, Result};

/// A cache line, the unit in which buffers are allocated.
#[derive(Clone, Copy, Zeroable, Pod)]
#[repr(C, align(64))]
struct Line([u8; 64]);

/// The size of a huge page.
#[cfg(target_os = "linux")]
const HUGE_PAGE: usize = 2 << 20;

/// Bytes that start at a multiple of [`Buffer::ALIGN`].
pub struct Buffer {
    memory: Memory,
    len: usize,
}

enum Memory {
    Lines(Box<[Line]>),
    /// Pages that are mapped for this buffer.
    #[cfg(target_os = "linux")]
    Pages(memmap2::MmapMut),
}

impl Buffer {
    /// The alignment of the first byte.
    pub const ALIGN: usize = align_of::<Line>();

    /// `len` zero bytes. A large buffer takes no memory until it is written.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Limit`] when the allocator refuses.
    pub fn zeroed(len: usize) -> Result<Self> {
        #[cfg(target_os = "linux")]
        // To touch small pages for the first time takes longer than to copy a batch into them.
        if len >= 2 * HUGE_PAGE
            && let Some(whole) = len.checked_next_multiple_of(HUGE_PAGE)
            && let Ok(pages) = memmap2::MmapMut::map_anon(whole)
        {
            // Only a hint: a system without huge pages uses small ones. The system aligns a map
            // whose length is a multiple of a huge page. The last page is a huge one too, unless
            // that would take an eighth more memory.
            let large = if pages.len() - len <= len / 8 {
                pages.len()
            } else {
                len / HUGE_PAGE * HUGE_PAGE
            };
            let _ = pages.advise_range(memmap2::Advice::HugePage, 0, large);
            let memory = Memory::Pages(pages);
            return Ok(Self { memory, len });
        }
        let lines = bytemuck::allocation::try_zeroed_slice_box(len.div_ceil(size_of::<Line>()))
            .map_err(|()| no_memory(len))?;
        let memory = Memory::Lines(lines);
        Ok(Self { memory, len })
    }

    /// How many bytes the buffer can hold.
    pub fn capacity(&self) -> usize {
        match &self.memory {
            Memory::Lines(lines) => size_of_val(&**lines),
            #[cfg(target_os = "linux")]
            Memory::Pages(pages) => pages.len(),
        }
    }

    /// Makes the buffer `len` bytes long and leaves what they hold.
    ///
    /// # Panics
    ///
    /// Panics if `len` is more than the [`capacity`](Self::capacity).
    pub fn set_len(&mut self, len: usize) {
        assert!(len <= self.capacity(), "a buffer does not grow");
        self.len = len;
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        let all = match &self.memory {
            Memory::Lines(lines) => bytemuck::cast_slice(lines),
            #[cfg(target_os = "linux")]
            Memory::Pages(pages) => &**pages,
        };
        &all[..self.len]
    }

    /// The bytes, for writing.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        let all = match &mut self.memory {
            Memory::Lines(lines) => bytemuck::cast_slice_mut(lines),
            #[cfg(target_os = "linux")]
            Memory::Pages(pages) => &mut **pages,
        };
        &mut all[..self.len]
    }
}

pub(crate) fn no_memory(len: usize) -> Error {
    Error::new(ErrorKind::Limit, format!("no memory for {len} bytes"))
}

/// An empty list with room for `len` elements.
pub(crate) fn with_capacity<T>(len: usize) -> Result<Vec<T>> {
    let mut list = Vec::new();
    list.try_reserve_exact(len)
        .map_err(|_| no_memory(len.saturating_mul(size_of::<T>())))?;
    Ok(list)
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl std::fmt::Debug for Buffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Buffer")
            .field("len", &self.len)
            .field("capacity", &self.capacity())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_memory_is_enough_for_is_an_error() {
        for len in [usize::MAX, usize::MAX - 63, isize::MAX as usize] {
            assert_eq!(Buffer::zeroed(len).unwrap_err().kind(), ErrorKind::Limit);
            assert_eq!(
                with_capacity::<u64>(len).unwrap_err().kind(),
                ErrorKind::Limit
            );
        }
        assert!(with_capacity::<u64>(3).unwrap().capacity() >= 3);
    }

    #[test]
    fn buffers_are_aligned_and_keep_their_capacity() {
        let mut buffer = Buffer::zeroed(100).unwrap();
        assert_eq!(buffer.as_slice().as_ptr().align_offset(Buffer::ALIGN), 0);
        assert_eq!((buffer.as_slice().len(), buffer.capacity()), (100, 128));
        buffer.as_mut_slice()[99] = 7;
        buffer.set_len(128);
        assert_eq!(buffer.as_slice()[99], 7);
        assert!(Buffer::zeroed(0).unwrap().as_slice().is_empty());
    }

    #[test]
    fn large_buffers_are_zero_aligned_and_can_be_written() {
        let mut buffer = Buffer::zeroed((5 << 20) + 3).unwrap();
        assert_eq!(buffer.as_slice().as_ptr().align_offset(Buffer::ALIGN), 0);
        assert!(buffer.as_slice().iter().all(|byte| *byte == 0));
        buffer.as_mut_slice().fill(7);
        let capacity = buffer.capacity();
        buffer.set_len(capacity);
        assert_eq!(buffer.as_slice()[5 << 20], 7);
        assert!(buffer.as_slice().len() >= (5 << 20) + 3);
    }

    #[test]
    fn a_buffer_that_cannot_be_had_is_an_error() {
        let error = Buffer::zeroed(isize::MAX as usize - 4096).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Limit);
    }
}
