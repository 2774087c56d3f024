//! Shuffled rows of a file on a disk, by each way to read them: ours, and the rivals'.

#[cfg(target_os = "linux")]
mod uring;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use burn_npy_core::{
    Array, Result,
    file::{Access, Buffer, Column, OpenOptions, append_npy, write_npy},
    internal,
    order::Permutation,
};
use ndarray::Array2;
use rustix::fs::{Advice, fadvise};

/// Rows of a batch.
pub(crate) const BATCH: usize = 64;
/// How many batches ahead every way asks for: what is best for ours, so that no way has a deeper
/// queue than another.
pub(crate) fn ahead(row_bytes: usize) -> usize {
    ((16 << 20) / row_bytes).min(512).div_ceil(BATCH)
}

/// The ways to read a file that is not in memory; the rivals, which use none of our code, come
/// last.
pub(crate) const WAYS: &[&str] = &[
    "mapped-naive",
    "mapped-readahead",
    "positioned-readahead",
    "pread-fadvise",
    #[cfg(target_os = "linux")]
    "io_uring",
];

/// Reads batches in their order, one a call.
pub(crate) trait Reader {
    /// The rows of batch `at`, one after the other.
    fn read(&mut self, batches: &[Vec<usize>], at: usize) -> &[u8];
}

/// What reads the rows of `row_bytes` bytes in that way.
pub(crate) fn open(way: &str, path: &Path, row_bytes: usize) -> Result<Box<dyn Reader>> {
    Ok(match way {
        "mapped-naive" => Box::new(Ours::open(path, Access::Mapped, false, false)?),
        // Only for files that are in memory.
        "mapped" => Box::new(Ours::open(path, Access::Mapped, true, false)?),
        "mapped-readahead" => Box::new(Ours::open(path, Access::Mapped, true, true)?),
        "positioned" => Box::new(Ours::open(path, Access::Positioned, true, false)?),
        "positioned-readahead" => Box::new(Ours::open(path, Access::Positioned, true, true)?),
        "pread-fadvise" => Box::new(Pread::open(path, row_bytes)),
        #[cfg(target_os = "linux")]
        "io_uring" => Box::new(uring::Uring::open(path, row_bytes)),
        other => panic!("no way is called {other}"),
    })
}

struct Ours {
    column: Column,
    /// How many batches after the gathered one are read ahead, if any.
    ahead: Option<usize>,
    /// The first batch that was not read ahead.
    next: usize,
    out: Buffer,
}

impl Ours {
    fn open(path: &Path, access: Access, random: bool, readahead: bool) -> Result<Self> {
        let options = OpenOptions::new().access(access);
        let column = Column::new(Array::open_with(path, options)?)?;
        internal::advise(&column, random);
        Ok(Self {
            out: Buffer::zeroed(BATCH * column.row_bytes())?,
            ahead: readahead.then(|| internal::readahead_rows(&column).div_ceil(BATCH)),
            column,
            next: 0,
        })
    }
}

impl Reader for Ours {
    fn read(&mut self, batches: &[Vec<usize>], at: usize) -> &[u8] {
        if let Some(ahead) = self.ahead {
            let soon = batches.len().min(at + 1 + ahead);
            for rows in &batches[self.next..soon] {
                internal::readahead(&self.column, rows);
            }
            self.next = soon;
        }
        let out = self.out.as_mut_slice();
        self.column
            .gather(&batches[at], out)
            .expect("the rows are there");
        out
    }
}

/// Advice for each row of the coming batches, then one read a row.
struct Pread {
    file: File,
    data: u64,
    row_bytes: usize,
    /// The first batch without advice.
    advised: usize,
    out: Vec<u8>,
}

impl Pread {
    fn open(path: &Path, row_bytes: usize) -> Self {
        let file = File::open(path).expect("the file was just written");
        Self {
            data: data_offset(&file),
            file,
            row_bytes,
            advised: 0,
            out: vec![0; BATCH * row_bytes],
        }
    }

    fn offset(&self, row: usize) -> u64 {
        self.data + (row * self.row_bytes) as u64
    }
}

impl Reader for Pread {
    fn read(&mut self, batches: &[Vec<usize>], at: usize) -> &[u8] {
        let soon = batches.len().min(at + 1 + ahead(self.row_bytes));
        for row in batches[self.advised..soon].iter().flatten() {
            let len = std::num::NonZeroU64::new(self.row_bytes as u64);
            fadvise(&self.file, self.offset(*row), len, Advice::WillNeed).expect("advice");
        }
        self.advised = soon;
        for (i, row) in batches[at].iter().enumerate() {
            let out = &mut self.out[i * self.row_bytes..][..self.row_bytes];
            let offset = self.data + (row * self.row_bytes) as u64;
            self.file.read_exact_at(out, offset).expect("a row");
        }
        &self.out
    }
}

/// Where the data of a file of format 1.0 begins.
fn data_offset(file: &File) -> u64 {
    let mut len = [0; 2];
    file.read_exact_at(&mut len, 8).expect("a header");
    10 + u64::from(u16::from_le_bytes(len))
}

/// Bytes that no file system makes smaller; each row begins and ends with its number.
pub(crate) fn write(path: &Path, size: usize, row_bytes: usize) -> Result<()> {
    const CHUNK: usize = 64 << 20;
    let mut state = 1_u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as u8
    };
    let mut chunk = Array2::from_shape_simple_fn((CHUNK / row_bytes, row_bytes), &mut next);
    let mut number = 0_u64;
    for i in 0..size / CHUNK {
        for row in chunk.as_slice_mut().unwrap().chunks_mut(row_bytes) {
            row[..8].copy_from_slice(&number.to_le_bytes());
            row[row_bytes - 8..].copy_from_slice(&number.to_le_bytes());
            number += 1;
        }
        match i {
            0 => write_npy(path, &chunk)?,
            _ => append_npy(path, &chunk)?,
        }
    }
    Ok(())
}

/// The whole batches of an epoch.
pub(crate) fn shuffled(rows: usize, epoch: u64) -> Vec<Vec<usize>> {
    let order = Permutation::new(rows as u64, 1, epoch);
    let rows: Vec<usize> = order.rows(0..rows as u64).map(|row| row as usize).collect();
    rows.chunks_exact(BATCH).map(<[_]>::to_vec).collect()
}

/// Nobody is faster by reading something else.
pub(crate) fn check(rows: &[usize], out: &[u8]) {
    let row_bytes = out.len() / rows.len();
    for (row, bytes) in rows.iter().zip(out.chunks(row_bytes)) {
        let number = (*row as u64).to_le_bytes();
        assert!(bytes.starts_with(&number) && bytes.ends_with(&number));
    }
}

pub(crate) fn drop_from_cache(path: &Path) {
    let file = File::open(path).expect("the file was just written");
    let _ = file.sync_all();
    let dropped = fadvise(&file, 0, None, Advice::DontNeed);
    assert!(dropped.is_ok(), "the page cache cannot be told");
}
