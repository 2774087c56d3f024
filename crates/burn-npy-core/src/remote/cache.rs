//! Keeps what was fetched of a remote file on a local disk: **the cache is the file**.
//!
//! A remote file has two local files, in a folder that the user gives:
//!
//! * `<key>.data` has the length of the remote file, and the same bytes at the same places. Where
//!   nothing was fetched, it is a hole. Once nothing is missing, it is an ordinary file that is
//!   mapped like any other.
//! * `<key>.map` says what the file is, and which of its chunks are there. It begins with a text,
//!   which is compared when the file is opened: so a collision of keys, another format and a
//!   damaged start are never believed. The key is a hash of this text, that is, of the name, the
//!   version and the length. Another version of the remote file is another file here, and the old
//!   one ages out.
//!
//! # When a chunk is there
//!
//! Each chunk has an entry of eight bytes in the map: a mark, and the CRC-32 of its bytes. It is
//! written after the bytes, and alone, so that processes need no lock to add chunks to one file.
//! Whoever is killed between the two writes leaves a chunk that is not there. A process compares
//! the checksum when it uses a chunk that it did not write itself for the first time. So a hole
//! that a power failure left, a file that was cut, and a disk that lost bytes are chunks that are
//! not there. They are fetched again, and no reader sees wrong bytes.
//!
//! When a process has seen all chunks, and handed on the last, it writes the data to the disk, and
//! then the time of the data to the map. No reader waits for that. Now the file is whole. A process
//! that finds this time in the map, and data of this length and time, believes all chunks without
//! reading them. If another process writes a chunk later, which has the same bytes, the time is
//! another, and the next process compares the chunks once more.
//!
//! # What may be deleted
//!
//! A process holds a shared lock on the map while it has the file open. Whoever needs room takes
//! the exclusive lock first, without waiting; see [`Folder`]. The lock of a process that is killed
//! is gone. If a file is deleted in spite of this, by a user or on a file system without locks,
//! whoever has it open keeps the bytes.
//!
//! A process may have more files open than descriptors. Beyond its share, a file is opened for each
//! use, and is not mapped. Another process may delete it between two uses, and even begin it anew.
//! Each beginning has a random number, so this is seen, and the file is not used further. Data that
//! someone deleted or cut is begun anew too, but not while anyone has the map open.
//!
//! # What fails
//!
//! A folder in which nothing can be written is an error when the file is opened. After that,
//! nothing here is an error: what cannot be read is fetched, and what cannot be written is not
//! kept.

mod files;
mod folder;

use std::fs::File;
use std::io;
use std::ops::{Deref, Range};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use super::pool::Chunks;
use crate::message::shown_path;
use crate::positioned::read_exact_at;
use crate::storage::Counted;
use crate::{Error, Result};
use files::{Entry, Files, Format};
use folder::{Folder, InUse};

/// How many bytes are fetched and kept as one, 128 KiB. Smaller chunks would be more requests,
/// which stores limit and charge by their number; larger ones would fetch more that is not needed
/// before the first batch, and for each row that there is no room to keep.
const CHUNK_BYTES: u64 = 128 << 10;

/// How many files keep their descriptors.
static KEPT: AtomicU64 = AtomicU64::new(0);
/// How many descriptors a file has.
const DESCRIPTORS: u64 = 2;

/// The chunks of a remote file that are on this machine. Threads share it.
pub(crate) struct CacheFile(Arc<Opened>);

/// What a thread that settles has too.
pub(crate) struct Opened {
    format: Format,
    /// The random number of the beginning of the file.
    beginning: u64,
    in_use: InUse,
    /// `None` if enough descriptors are kept. Then the file is opened for each use.
    kept: Option<(Files, Counted)>,
    /// A bit for each chunk that this process wrote or compared.
    seen: Box<[AtomicU64]>,
    /// How many chunks were not seen.
    unseen: AtomicU64,
    /// Whether all chunks were seen, and nobody has written them to the disk yet.
    is_complete: AtomicBool,
    is_whole: AtomicBool,
    /// Whether the file is not to be used any more.
    is_lost: AtomicBool,
}

impl CacheFile {
    /// Opens the local file of a remote one, or begins it. `None` if the remote file has no version
    /// or no bytes, or if the system refuses to open it for want of something, such as space.
    ///
    /// The files of a folder together take up to about `max_bytes` of disk space.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) if nothing can be written in the folder.
    pub(crate) fn open(
        folder: &Path,
        max_bytes: u64,
        name: &str,
        version: Option<&str>,
        len: u64,
    ) -> Result<Option<Self>> {
        let Some(version) = version.filter(|_| len > 0) else {
            return Ok(None);
        };
        let failed = |error| {
            let what = format!(
                "cannot keep remote files in the folder {}; give RemoteOptions::cache one in which \
                 this user can write, or leave it out",
                shown_path(folder)
            );
            Error::io(&what, error)
        };
        let folder = Folder::at(folder, max_bytes).map_err(failed)?;
        match Self::open_in(&folder, name, version, len, CHUNK_BYTES) {
            Ok(file) => Ok(file),
            Err(error) if is_about_rights(&error) => Err(failed(error)),
            Err(_) => Ok(None),
        }
    }

    fn open_in(
        folder: &Arc<Folder>,
        name: &str,
        version: &str,
        len: u64,
        chunk_bytes: u64,
    ) -> io::Result<Option<Self>> {
        let format = Format::new(folder.path(), name, version, len, chunk_bytes);
        let in_use = folder.uses(format.key());
        // Memory that is not touched costs nothing, however long the file is said to be.
        let words = usize::try_from(format.chunks().div_ceil(64)).ok();
        let seen = words.and_then(|words| bytemuck::try_zeroed_slice_box(words).ok());
        let Some(seen) = seen else { return Ok(None) };
        let Some(files) = Files::open(&format)? else {
            return Ok(None);
        };
        files.touch();
        let beginning = files.beginning();
        let is_whole = files.is_whole(&format);
        let counted = Counted::descriptors(&KEPT, DESCRIPTORS);
        let kept = counted.map(|counted| (files, counted));
        let file = Opened {
            unseen: AtomicU64::new(format.chunks()),
            is_complete: AtomicBool::new(false),
            is_whole: AtomicBool::new(is_whole && kept.is_some()),
            is_lost: AtomicBool::new(false),
            format,
            beginning,
            in_use,
            kept,
            seen,
        };
        if is_whole {
            for word in &file.seen {
                word.store(u64::MAX, Ordering::Relaxed);
            }
            file.unseen.store(0, Ordering::Relaxed);
        }
        Ok(Some(Self(Arc::new(file))))
    }

    /// As [`settle`](Chunks::settle), on a thread of its own, since a reader does not wait for the
    /// disk. The file stays open until then.
    fn settle_aside(&self) {
        if !self.is_complete.load(Ordering::Acquire) {
            return;
        }
        let file = self.0.clone();
        let thread = thread::Builder::new().name("burn-npy-settle".to_owned());
        if thread.spawn(move || file.settle()).is_err() {
            self.settle();
        }
    }
}

impl Deref for CacheFile {
    type Target = Opened;

    fn deref(&self) -> &Opened {
        &self.0
    }
}

impl Opened {
    /// The bytes of a chunk.
    fn range(&self, chunk: u64) -> Range<u64> {
        self.format.range(chunk)
    }

    /// Compares a chunk with its checksum, and copies the bytes at `at` of it. `false` if it is
    /// missing.
    fn compare(&self, files: &Files, chunk: u64, at: u64, out: &mut [u8]) -> bool {
        let Some(entry) = files.entry(chunk) else {
            return false;
        };
        let range = self.range(chunk);
        let len = (range.end - range.start) as usize;
        let mut buffer = Vec::new();
        let bytes = if out.len() == len {
            &mut *out
        } else {
            buffer.resize(len, 0);
            &mut buffer
        };
        // A disk that cannot read the chunk can still take it anew.
        let read = read_exact_at(&files.data, bytes, range.start);
        if read.is_err() || Entry::of(bytes) != entry {
            files.remove_entry(chunk);
            return false;
        }
        if !buffer.is_empty() {
            let start = (at - range.start) as usize;
            out.copy_from_slice(&buffer[start..start + out.len()]);
        }
        self.see(chunk);
        true
    }

    fn is_lost(&self) -> bool {
        self.is_lost.load(Ordering::Relaxed)
    }

    fn lose(&self) {
        self.is_lost.store(true, Ordering::Relaxed);
    }

    fn is_seen(&self, chunk: u64) -> bool {
        let word = usize::try_from(chunk / 64)
            .ok()
            .and_then(|at| self.seen.get(at));
        let bit = 1 << (chunk % 64);
        word.is_some_and(|word| word.load(Ordering::Acquire) & bit != 0)
    }

    /// Notes that a chunk is there.
    fn see(&self, chunk: u64) {
        let bit = 1 << (chunk % 64);
        let before = self.seen[(chunk / 64) as usize].fetch_or(bit, Ordering::AcqRel);
        if before & bit == 0 && self.unseen.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.is_complete.store(true, Ordering::Release);
        }
    }

    /// Calls `f` with the files. `None` if that fails, or if they are not those that were opened.
    fn with<T>(&self, f: impl FnOnce(&Files) -> io::Result<T>) -> Option<T> {
        if self.is_lost() {
            return None;
        }
        if let Some((files, _)) = &self.kept {
            return f(files).ok();
        }
        let files = Files::reopen(&self.format).ok().flatten();
        let files = files.filter(|files| files.beginning() == self.beginning);
        if files.is_none() {
            self.lose();
        }
        f(&files?).ok()
    }

    /// Writes a file of which the last chunk was written to the disk, which makes it whole. This
    /// takes as long as the disk needs for what is not on it yet.
    fn settle(&self) {
        if !self.is_complete.swap(false, Ordering::AcqRel) {
            return;
        }
        let completed = self.with(|files| files.complete(&self.format));
        if completed.is_some() {
            self.is_whole.store(self.kept.is_some(), Ordering::Release);
        } else {
            // The disk did not take what it was given, and nobody knows which part.
            self.lose();
        }
    }
}

impl Chunks for CacheFile {
    fn chunk_bytes(&self) -> u64 {
        self.format.chunk_bytes
    }

    /// Whether a chunk seems to be there, written by this process or another. It may still turn out
    /// to be damaged when it is read.
    fn has(&self, chunk: u64) -> bool {
        let entry = || self.with(|files| Ok(files.entry(chunk))).flatten();
        let is_there = || !self.is_lost() && (self.is_seen(chunk) || entry().is_some());
        chunk < self.format.chunks() && is_there()
    }

    /// Fills `out` with the bytes at `offset`, and returns whether their chunks are there. If one
    /// is missing, `out` has any bytes.
    fn read(&self, offset: u64, out: &mut [u8]) -> bool {
        let inside = offset.checked_add(out.len() as u64);
        if inside.is_none_or(|end| end > self.format.len) {
            return false;
        }
        let mut compared = false;
        let read = |files: &Files| {
            let (mut at, mut rest) = (offset, &mut *out);
            while !rest.is_empty() {
                let chunk = at / self.chunk_bytes();
                let mut end = self.range(chunk).end;
                let seen = self.is_seen(chunk);
                // Neighbours that need not be compared are read at once.
                while seen && end - at < rest.len() as u64 && self.is_seen(end / self.chunk_bytes())
                {
                    end = self.range(end / self.chunk_bytes()).end;
                }
                let len = (rest.len() as u64).min(end - at) as usize;
                let (piece, after) = rest.split_at_mut(len);
                if seen {
                    read_exact_at(&files.data, piece, at)?;
                } else if self.compare(files, chunk, at, piece) {
                    compared = true;
                } else {
                    return Ok(false);
                }
                (at, rest) = (at + len as u64, after);
            }
            Ok(true)
        };
        let Some(is_there) = self.with(read) else {
            // What was there when it was compared is not there now.
            self.lose();
            return false;
        };
        if compared {
            self.settle_aside();
        }
        is_there
    }

    /// Keeps the bytes of a chunk, all of them. `false` if they are not kept, since there is no
    /// room, or the disk is full or fails.
    fn write(&self, chunk: u64, bytes: &[u8]) -> bool {
        let range = self.range(chunk);
        let len = range.end - range.start;
        if self.is_lost() || range.is_empty() || bytes.len() as u64 != len {
            return false;
        }
        if self.is_seen(chunk) {
            return true;
        }
        let folder = self.in_use.folder();
        if !folder.take(len) {
            return false;
        }
        let write = |files: &Files| {
            let written = files.write(chunk, range.start, bytes);
            if written.is_ok() {
                self.see(chunk);
            }
            Ok(written)
        };
        match self.with(write) {
            Some(Ok(())) => true,
            Some(Err(error)) => {
                folder.failed(&error);
                false
            }
            None => false,
        }
    }

    fn settle(&self) {
        self.0.settle();
    }

    /// Whether all chunks are there, and on the disk, so that [`whole`](Chunks::whole) has the
    /// file. It costs no system call.
    fn is_whole(&self) -> bool {
        self.is_whole.load(Ordering::Acquire)
    }

    /// The local file and its path, once it is whole.
    fn whole(&self) -> Option<(File, PathBuf)> {
        let (files, _) = self.kept.as_ref().filter(|_| self.is_whole())?;
        Some((files.data.try_clone().ok()?, self.format.data_path()))
    }
}

impl std::fmt::Debug for CacheFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CacheFile")
            .field("data", &self.format.data_path())
            .field("chunks", &self.format.chunks())
            .field("unseen", &self.unseen)
            .finish_non_exhaustive()
    }
}

/// Whether an error says that the user must choose another folder.
fn is_about_rights(error: &io::Error) -> bool {
    use io::ErrorKind::{IsADirectory, NotADirectory, PermissionDenied, ReadOnlyFilesystem};

    let kinds = [
        PermissionDenied,
        ReadOnlyFilesystem,
        NotADirectory,
        IsADirectory,
    ];
    kinds.contains(&error.kind())
}

#[cfg(test)]
mod tests;
