//! Batch memory that is used again when its tensor is dropped.
//!
//! Fresh pages cost more than the copy into them. In the steady state only the few words that share
//! a buffer are allocated.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, ThreadId};

use burn_npy_core::{Result, file::Buffer};

/// No more buffers are kept once this many bytes are unused, or twice the bytes of a large one.
const MAX_IDLE_BYTES: usize = 256 << 20;

/// Buffers that wait for their next batch.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    idle: Mutex<Idle>,
}

#[derive(Debug, Default)]
struct Idle {
    /// Each with the thread that filled it last, in the order in which they came back.
    buffers: Vec<(ThreadId, Buffer)>,
    bytes: usize,
}

impl Pool {
    /// A buffer of `len` bytes of any value.
    pub(crate) fn take(self: &Arc<Self>, len: usize) -> Result<PooledBuffer> {
        let taker = thread::current().id();
        let idle = {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            // A much larger buffer would be wasted on a small column.
            let fits = |buffer: &Buffer| {
                (len..=len.saturating_mul(2).saturating_add(4096)).contains(&buffer.capacity())
            };
            // The buffer that came back last is still in a cache: in that of this core if this
            // thread filled it.
            let own = |(owner, buffer): &(_, Buffer)| *owner == taker && fits(buffer);
            let found = idle.buffers.iter().rposition(own);
            let found = found.or_else(|| idle.buffers.iter().position(|(_, b)| fits(b)));
            found.map(|index| {
                let (_, buffer) = idle.buffers.remove(index);
                idle.bytes -= buffer.capacity();
                buffer
            })
        };
        let buffer = match idle {
            Some(mut buffer) => {
                buffer.set_len(len);
                buffer
            }
            None => Buffer::zeroed(len)?,
        };
        Ok(PooledBuffer {
            buffer: Some((taker, buffer)),
            pool: self.clone(),
        })
    }

    fn give_back(&self, owner: ThreadId, buffer: Buffer) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        // A worker and the consumer have one each, however large: to clear a new buffer for each
        // batch takes longer than to fill it.
        if idle.bytes < MAX_IDLE_BYTES.max(2 * buffer.capacity()) {
            idle.bytes += buffer.capacity();
            idle.buffers.push((owner, buffer));
        }
    }
}

/// A buffer that goes back to its pool when it is dropped.
pub(crate) struct PooledBuffer {
    /// `None` only during the drop.
    buffer: Option<(ThreadId, Buffer)>,
    pool: Arc<Pool>,
}

impl PooledBuffer {
    pub(crate) fn as_mut_slice(&mut self) -> &mut [u8] {
        self.buffer
            .as_mut()
            .map_or(&mut [], |(_, buffer)| buffer.as_mut_slice())
    }

    /// The bytes for one tensor or several. The buffer goes back when the last of them is dropped.
    pub(crate) fn into_shared(self) -> bytes::Bytes {
        bytes::Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for PooledBuffer {
    fn as_ref(&self) -> &[u8] {
        self.buffer
            .as_ref()
            .map_or(&[], |(_, buffer)| buffer.as_slice())
    }
}

impl Drop for PooledBuffer {
    fn drop(&mut self) {
        if let Some((owner, buffer)) = self.buffer.take() {
            self.pool.give_back(owner, buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_when_its_bytes_are_dropped() {
        let pool = Arc::new(Pool::default());
        let mut buffer = pool.take(1000).unwrap();
        buffer.as_mut_slice().fill(7);
        let address = buffer.as_ref().as_ptr();
        let bytes = buffer.into_shared();
        let other = pool.take(1000).unwrap();
        assert_ne!(other.as_ref().as_ptr(), address);
        drop(bytes);
        let again = pool.take(990).unwrap();
        assert_eq!(again.as_ref().as_ptr(), address);
        assert_eq!(again.as_ref(), [7; 990]);
    }

    #[test]
    fn a_buffer_of_any_size_is_kept_but_not_many() {
        let pool = Arc::new(Pool::default());
        // Untouched pages take no memory.
        let buffers: Vec<_> = (0..4)
            .map(|_| pool.take(MAX_IDLE_BYTES + 1).unwrap())
            .collect();
        drop(buffers);
        assert_eq!(pool.idle.lock().unwrap().buffers.len(), 2);
    }

    #[test]
    fn a_large_buffer_is_not_spent_on_a_small_batch() {
        let pool = Arc::new(Pool::default());
        drop(pool.take(1 << 20).unwrap());
        let small = pool.take(10).unwrap();
        assert_eq!(small.as_ref().len(), 10);
        assert_eq!(pool.idle.lock().unwrap().buffers.len(), 1);
    }
}
