//! A rival: whole batches through a ring of the kernel, with the next ones in flight meanwhile.
#![allow(unsafe_code)]

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;

use io_uring::{IoUring, opcode, types};

use super::{BATCH, Reader};

pub(crate) struct Uring {
    ring: IoUring,
    file: File,
    data: u64,
    row_bytes: usize,
    /// The first batch that was not submitted.
    asked: usize,
    /// Batches in flight, and the one that is looked at.
    slots: Vec<Vec<u8>>,
    /// How many reads of each slot are in flight.
    left: Vec<usize>,
}

impl Uring {
    pub(crate) fn open(path: &Path, row_bytes: usize) -> Self {
        let file = File::open(path).expect("the file was just written");
        let slots = super::ahead(row_bytes) + 1;
        let entries = (slots * BATCH).next_power_of_two() as u32;
        Self {
            ring: IoUring::new(entries).expect("a ring"),
            data: super::data_offset(&file),
            file,
            row_bytes,
            asked: 0,
            slots: vec![vec![0; BATCH * row_bytes]; slots],
            left: vec![0; slots],
        }
    }

    fn ask(&mut self, rows: &[usize], slot: usize) {
        for (row, out) in rows
            .iter()
            .zip(self.slots[slot].chunks_exact_mut(self.row_bytes))
        {
            let fd = types::Fd(self.file.as_raw_fd());
            let read = opcode::Read::new(fd, out.as_mut_ptr(), self.row_bytes as u32)
                .offset(self.data + (row * self.row_bytes) as u64)
                .build()
                .user_data(slot as u64);
            // SAFETY: the buffer is not touched, moved or freed before its read has completed:
            // `read` waits for all reads of a slot before it uses it, and `drop` for all reads. The
            // ring has room for all slots.
            unsafe { self.ring.submission().push(&read) }.expect("room in the ring");
            self.left[slot] += 1;
        }
    }

    /// Waits until no read of the slot is in flight.
    fn wait(&mut self, slot: usize) {
        loop {
            for done in self.ring.completion() {
                self.left[done.user_data() as usize] -= 1;
                assert_eq!(done.result(), self.row_bytes as i32, "a whole row");
            }
            match self.left[slot] {
                0 => return,
                left => self.ring.submit_and_wait(left.min(16)).expect("the ring"),
            };
        }
    }
}

impl Reader for Uring {
    fn read(&mut self, batches: &[Vec<usize>], at: usize) -> &[u8] {
        let slots = self.slots.len();
        while self.asked < batches.len().min(at + slots) {
            self.ask(&batches[self.asked], self.asked % slots);
            self.asked += 1;
        }
        self.ring.submit().expect("the ring");
        self.wait(at % slots);
        &self.slots[at % slots]
    }
}

impl Drop for Uring {
    fn drop(&mut self) {
        (0..self.slots.len()).for_each(|slot| self.wait(slot));
    }
}
