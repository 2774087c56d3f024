//! Where the bytes of arrays are: a mapped file, a file that is read by position, or memory.
//!
//! This is one of the four files with unsafe code. A mapped file can be changed by anyone at any
//! time, so rows are copied out of it and no reference into a map leaves this crate.
//! [`Storage::check`] finds a file that was truncated, overwritten or replaced; each gather calls
//! it first. A race remains: a file that is truncated between the check and the copy kills the
//! process by SIGBUS. [`Access::Positioned`] has no such race.
#![allow(unsafe_code)]

use std::fs::{File, Metadata};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::SystemTime;

use memmap2::Mmap;

use crate::decode::Share;
use crate::{Error, ErrorKind, Result};

/// The size of a small file, at most. Whatever the system reads ahead of one is soon needed.
const SMALL: u64 = 256 << 20;
/// The longest range that is advised at once. Of a longer one, Linux may read only as much as it
/// reads ahead by default.
const MAX_ADVISED: u64 = 128 << 10;
/// How many bytes are read, decoded or checked at a time: they stay in a near cache.
pub(crate) const IO_BYTES: usize = 256 << 10;

/// How the bytes of a file are reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Access {
    /// Map the file into memory: fastest while it is in the page cache. The file must not be
    /// truncated while it is in use, see the [crate's page](crate#files-that-change).
    #[default]
    Mapped,
    /// Read each row with a positioned read: slower for small rows, but a file that shrinks is
    /// always an error.
    Positioned,
    /// Read the whole file into memory when it is opened.
    Memory,
}

/// The bytes of a file or of an array in memory; clones share them.
#[derive(Clone)]
pub(crate) struct Storage(Arc<Repr>);

enum Repr {
    Mapped(Mmap, OpenFile),
    Positioned(OpenFile),
    Memory(InMemory),
    /// A temporary file, and its share in the limit of its archive.
    Unnamed {
        map: Mmap,
        _share: Share,
    },
}

/// Bytes in memory, and the file that they were read from, which messages name.
struct InMemory {
    bytes: Box<dyn AsRef<[u8]> + Send + Sync>,
    path: Option<PathBuf>,
}

impl InMemory {
    fn bytes(&self) -> &[u8] {
        (*self.bytes).as_ref()
    }
}

impl Storage {
    pub(crate) fn open(path: &Path, access: Access) -> Result<Self> {
        let file = OpenFile::open(path)?;
        let repr = if access == Access::Memory || file.state.len == 0 {
            let mut bytes = Vec::new();
            io::Read::read_to_end(&mut &file.file, &mut bytes)
                .map_err(|error| Error::io("cannot read the file", error).in_file(path))?;
            // A file that changed meanwhile is half old and half new, which no later check finds.
            file.check()?;
            Repr::Memory(InMemory {
                bytes: Box::new(bytes),
                path: Some(file.path),
            })
        } else if access == Access::Positioned {
            Repr::Positioned(file)
        } else {
            // SAFETY: `Mmap::map` requires that nobody changes the file while the map is alive,
            // which nobody can promise. Instead: the map is read only; its bytes are plain data, of
            // which every value is valid; they are copied out before anything is decided by them
            // twice; `check` runs before each use; and only functions that are unsafe themselves
            // let references to them leave the crate.
            let map = unsafe { Mmap::map(&file.file) }
                .map_err(|error| Error::io("cannot map the file", error).in_file(path))?;
            Repr::Mapped(map, file)
        };
        Ok(Self(Arc::new(repr)))
    }

    pub(crate) fn memory(bytes: impl AsRef<[u8]> + Send + Sync + 'static) -> Self {
        Self(Arc::new(Repr::Memory(InMemory {
            bytes: Box::new(bytes),
            path: None,
        })))
    }

    /// Maps a temporary file that has no name, so that nobody else can reach it. The share of its
    /// bytes in the limit of its archive lives as long as the map.
    pub(crate) fn unnamed(file: &File, share: Share) -> Result<Self> {
        // SAFETY: the file must not change while it is mapped. It was created without a name, or
        // lost it at once, so nobody else can open it; our own handle is dropped by the caller, and
        // this map is read only.
        let map = unsafe { Mmap::map(file) }
            .map_err(|error| Error::io("cannot map a temporary file", error))?;
        Ok(Self(Arc::new(Repr::Unnamed { map, _share: share })))
    }

    /// The length in bytes, from when the file was opened.
    pub(crate) fn len(&self) -> u64 {
        match &*self.0 {
            Repr::Mapped(map, _) | Repr::Unnamed { map, .. } => map.len() as u64,
            Repr::Positioned(file) => file.state.len,
            Repr::Memory(memory) => memory.bytes().len() as u64,
        }
    }

    /// All bytes, unless they have to be read.
    pub(crate) fn bytes(&self) -> Option<&[u8]> {
        match &*self.0 {
            Repr::Mapped(map, _) | Repr::Unnamed { map, .. } => Some(map),
            Repr::Positioned(_) => None,
            Repr::Memory(memory) => Some(memory.bytes()),
        }
    }

    /// The file of the bytes.
    pub(crate) fn path(&self) -> Option<&Path> {
        match &*self.0 {
            Repr::Mapped(_, file) | Repr::Positioned(file) => Some(&file.path),
            Repr::Memory(memory) => memory.path.as_deref(),
            Repr::Unnamed { .. } => None,
        }
    }

    /// The bytes, if nobody else can change them.
    pub(crate) fn owned_bytes(&self) -> Option<&[u8]> {
        match &*self.0 {
            Repr::Memory(memory) => Some(memory.bytes()),
            Repr::Unnamed { map, .. } => Some(map),
            _ => None,
        }
    }

    /// Fills `out` with the bytes at `offset`.
    pub(crate) fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        self.expect_inside(offset, out.len() as u64)?;
        match (&*self.0, self.bytes()) {
            (_, Some(bytes)) => out.copy_from_slice(&bytes[offset as usize..][..out.len()]),
            (Repr::Positioned(file), _) => file.read_at(offset, out)?,
            _ => unreachable!("only positioned files have no bytes"),
        }
        Ok(())
    }

    /// Calls `f` with all bytes of a range, in order and piece by piece.
    ///
    /// A mapped file is read too, not accessed through its map. So its pages do not become part of
    /// the process, and a file that is truncated meanwhile is an error.
    pub(crate) fn read_through(&self, range: Range<u64>, mut f: impl FnMut(&[u8])) -> Result<()> {
        let len = range.end.saturating_sub(range.start);
        self.expect_inside(range.start, len)?;
        let (Repr::Mapped(_, file) | Repr::Positioned(file)) = &*self.0 else {
            let bytes = self.owned_bytes().unwrap_or(&[]);
            f(&bytes[range.start as usize..][..len as usize]);
            return Ok(());
        };
        file.check()?;
        let mut piece = vec![0; len.min(IO_BYTES as u64) as usize];
        let mut at = range.start;
        while at < range.end {
            let piece = &mut piece[..(range.end - at).min(IO_BYTES as u64) as usize];
            file.read_at(at, piece)?;
            f(piece);
            at += piece.len() as u64;
        }
        // The file may have changed meanwhile.
        file.check()
    }

    fn expect_inside(&self, offset: u64, len: u64) -> Result<()> {
        let end = offset.checked_add(len);
        if end.is_none_or(|end| end > self.len()) {
            return Err(Error::new(
                ErrorKind::TruncatedData,
                "a read beyond the end of the file",
            )
            .at(offset));
        }
        Ok(())
    }

    /// Checks that the file is still the one that was opened.
    pub(crate) fn check(&self) -> Result<()> {
        match &*self.0 {
            Repr::Mapped(_, file) | Repr::Positioned(file) => file.check(),
            Repr::Memory(_) | Repr::Unnamed { .. } => Ok(()),
        }
    }

    /// Checks a file that is read by position once more, so that one that was written to between
    /// [`check`](Self::check) and the read is found. A map needs the check before, since there the
    /// access itself fails.
    pub(crate) fn check_after_read(&self) -> Result<()> {
        match &*self.0 {
            Repr::Positioned(file) => file.check(),
            _ => Ok(()),
        }
    }

    /// Tells the system how a file will be read. In a large file, reading ahead of a random row
    /// costs far more than the row.
    pub(crate) fn advise(&self, random: bool) {
        // Only hints: a system that ignores them is slower, not wrong.
        #[cfg(unix)]
        if let Repr::Mapped(map, _) | Repr::Unnamed { map, .. } = &*self.0 {
            let advice = if random && map.len() as u64 > SMALL {
                memmap2::Advice::Random
            } else {
                memmap2::Advice::Normal
            };
            let _ = map.advise(advice);
        }
        // For a mapped file too, since `is_cached` reads it: a row whose neighbours are in memory
        // looks like a sequential read.
        #[cfg(all(unix, not(target_vendor = "apple")))]
        if let Repr::Mapped(_, file) | Repr::Positioned(file) = &*self.0 {
            use rustix::fs::{Advice, fadvise};
            let advice = if random && file.state.len > SMALL {
                Advice::Random
            } else {
                Advice::Normal
            };
            let _ = fadvise(&file.file, 0, None, advice);
        }
    }

    /// Whether it is a file so large that the system does not soon have all of it in memory.
    pub(crate) fn is_large_file(&self) -> bool {
        matches!(&*self.0, Repr::Mapped(..) | Repr::Positioned(_)) && self.len() > SMALL
    }

    /// Whether a byte of a file is in memory; `false` if the system cannot tell.
    pub(crate) fn is_cached(&self, offset: u64) -> bool {
        match &*self.0 {
            #[cfg(target_os = "linux")]
            Repr::Mapped(_, file) | Repr::Positioned(file) => {
                use rustix::io::{ReadWriteFlags, preadv2};
                let mut byte = [0];
                let mut out = [io::IoSliceMut::new(&mut byte)];
                // A read that gives up where it would have to wait for the disk.
                preadv2(&file.file, &mut out, offset, ReadWriteFlags::NOWAIT).is_ok()
            }
            Repr::Memory(_) => true,
            _ => false,
        }
    }

    /// A counter for `readahead`: how many batches in a row were in memory.
    pub(crate) fn cached_streak(&self) -> Option<&AtomicU32> {
        match &*self.0 {
            Repr::Mapped(_, file) | Repr::Positioned(file) => Some(&file.cached_streak),
            Repr::Memory(_) | Repr::Unnamed { .. } => None,
        }
    }

    /// Asks the system to read bytes of a file, without waiting for them. Only a hint.
    pub(crate) fn will_need(&self, range: Range<u64>) {
        for Range { start, end } in pieces(range) {
            match &*self.0 {
                // For a map too: `madvise` would lock the address space of the process.
                #[cfg(all(unix, not(target_vendor = "apple")))]
                Repr::Mapped(_, file) | Repr::Positioned(file) => {
                    use rustix::fs::{Advice, fadvise};
                    let len = std::num::NonZeroU64::new(end - start);
                    let _ = fadvise(&file.file, start, len, Advice::WillNeed);
                }
                #[cfg(target_vendor = "apple")]
                Repr::Mapped(map, _) => {
                    let (start, len) = (start as usize, (end - start) as usize);
                    let _ = map.advise_range(memmap2::Advice::WillNeed, start, len);
                }
                _ => {
                    let _ = (start, end);
                }
            }
        }
    }

    /// Whether two storages are the same, so that one check is enough.
    pub(crate) fn same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl std::fmt::Debug for Storage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &*self.0 {
            Repr::Mapped(_, file) => write!(f, "Mapped({:?})", file.path),
            Repr::Positioned(file) => write!(f, "Positioned({:?})", file.path),
            Repr::Memory(memory) => write!(f, "Memory({} bytes)", memory.bytes().len()),
            Repr::Unnamed { map, .. } => write!(f, "Unnamed({} bytes)", map.len()),
        }
    }
}

/// A range in pieces, each of which the system reads whole.
fn pieces(range: Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let end = range.end;
    range
        .step_by(MAX_ADVISED as usize)
        .map(move |start| start..end.min(start.saturating_add(MAX_ADVISED)))
}

/// An open file and its state when it was opened.
struct OpenFile {
    path: PathBuf,
    file: File,
    state: FileState,
    inode: Option<InodeState>,
    /// About how often it was checked.
    checks: AtomicU32,
    cached_streak: AtomicU32,
}

/// One check in this many follows the path of the file. Changes of the file itself show without
/// that, but not that a folder of the path was replaced.
const CHECKS_PER_PATH: u32 = 64;

impl OpenFile {
    fn open(path: &Path) -> Result<Self> {
        let open = || {
            // Before it is opened, since opening a pipe waits for a writer.
            let metadata = std::fs::metadata(path)?;
            if metadata.is_dir() {
                return Err(io::Error::other("a folder; open the files that are in it"));
            }
            if !metadata.is_file() {
                return Err(io::Error::other("not a regular file"));
            }
            let file = File::open(path)?;
            let metadata = file.metadata()?;
            Ok((file, metadata))
        };
        let (file, metadata) =
            open().map_err(|error| Error::io("cannot open the file", error).in_file(path))?;
        Ok(Self {
            // So that the check does not depend on the working directory.
            path: std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf()),
            file,
            state: FileState::new(&metadata),
            inode: inode_state(&metadata),
            checks: AtomicU32::new(0),
            cached_streak: AtomicU32::new(0),
        })
    }

    /// Reads by position, whether the file is mapped or not.
    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        read_exact_at(&self.file, out, offset).map_err(|error| {
            // A file that shrank is reported as changed, not as a short read.
            match self.check() {
                Err(changed) => changed,
                Ok(()) => Error::io("cannot read the file", error)
                    .in_file(&self.path)
                    .at(offset),
            }
        })
    }

    /// Takes one system call while nobody touches the file. A deleted file is no error, since it is
    /// whole as long as it is open.
    fn check(&self) -> Result<()> {
        if self.is_untouched() {
            return Ok(());
        }
        let now = match std::fs::metadata(&self.path) {
            Ok(metadata) => FileState::new(&metadata),
            Err(_) => {
                let metadata = self.file.metadata().map_err(|error| {
                    Error::io("cannot look at the file", error).in_file(&self.path)
                })?;
                FileState::new(&metadata)
            }
        };
        if now == self.state {
            return Ok(());
        }
        let what = if now.identity != self.state.identity {
            "was replaced by another file".to_owned()
        } else if now.len != self.state.len {
            format!("was {} bytes and is now {}", self.state.len, now.len)
        } else {
            "was written to".to_owned()
        };
        Err(
            Error::new(ErrorKind::Changed, format!("the file {what} while in use"))
                .in_file(&self.path),
        )
    }

    /// Whether the open file's size, times and link count are unchanged; `false` if the platform
    /// cannot tell, and when it is time to follow the path, which takes three times as long.
    fn is_untouched(&self) -> bool {
        // Threads may lose a count, which does no harm.
        let checks = self.checks.load(Ordering::Relaxed).wrapping_add(1);
        self.checks.store(checks, Ordering::Relaxed);
        !checks.is_multiple_of(CHECKS_PER_PATH)
            && self.inode.is_some()
            && self.file.metadata().is_ok_and(|now| {
                FileState::new(&now) == self.state && inode_state(&now) == self.inode
            })
    }
}

/// What changes with everything that is done to a file: the time of the last change, and the link
/// count, which shows that the file was replaced within the same tick of the clock.
#[derive(PartialEq)]
struct InodeState {
    changed: (i64, i64),
    links: u64,
}

#[cfg(unix)]
fn inode_state(metadata: &Metadata) -> Option<InodeState> {
    use std::os::unix::fs::MetadataExt;
    Some(InodeState {
        changed: (metadata.ctime(), metadata.ctime_nsec()),
        links: metadata.nlink(),
    })
}

#[cfg(not(unix))]
fn inode_state(_: &Metadata) -> Option<InodeState> {
    None
}

#[derive(PartialEq)]
struct FileState {
    len: u64,
    modified: Option<SystemTime>,
    identity: (u64, u64),
}

impl FileState {
    fn new(metadata: &Metadata) -> Self {
        Self {
            len: metadata.len(),
            modified: metadata.modified().ok(),
            identity: identity(metadata),
        }
    }
}

#[cfg(unix)]
fn identity(metadata: &Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;
    (metadata.dev(), metadata.ino())
}

#[cfg(not(unix))]
fn identity(_: &Metadata) -> (u64, u64) {
    (0, 0)
}

#[cfg(unix)]
fn read_exact_at(file: &File, out: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, out, offset)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut out: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !out.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, out, offset)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                out = &mut out[read..];
                offset += read as u64;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn temporary(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, bytes).unwrap();
        (dir, path)
    }

    #[test]
    fn a_long_range_is_advised_whole() {
        for (start, len) in [
            (0, 0),
            (5, 1),
            (5, MAX_ADVISED),
            (7, MAX_ADVISED + 1),
            (0, 10 * MAX_ADVISED - 3),
        ] {
            let all: Vec<_> = pieces(start..start + len).collect();
            let sum: u64 = all.iter().map(|piece| piece.end - piece.start).sum();
            assert_eq!(sum, len);
            assert!(
                all.iter()
                    .all(|piece| piece.end - piece.start <= MAX_ADVISED)
            );
            assert!(all.is_sorted_by(|a, b| a.end == b.start));
            assert_eq!(all.first().map_or(start, |piece| piece.start), start);
        }
    }

    #[test]
    fn every_access_reads_the_same() {
        let (_dir, path) = temporary(b"0123456789");
        for access in [Access::Mapped, Access::Positioned, Access::Memory] {
            let storage = Storage::open(&path, access).unwrap();
            let mut out = [0; 4];
            storage.read_at(3, &mut out).unwrap();
            assert_eq!(&out, b"3456");
            assert!(storage.read_at(7, &mut out).is_err());
            assert!(storage.read_at(u64::MAX, &mut out).is_err());
            assert_eq!(storage.len(), 10);
            // Of whatever kind, the bytes are known by their file.
            assert_eq!(storage.path(), Some(&*path));
        }
    }

    #[test]
    fn all_bytes_of_a_range_are_read_through_in_order() {
        let bytes: Vec<u8> = (0..2 * IO_BYTES + 77).map(|i| (i % 251) as u8).collect();
        let (_dir, path) = temporary(&bytes);
        let mut storages = vec![Storage::memory(bytes.clone())];
        for access in [Access::Mapped, Access::Positioned, Access::Memory] {
            storages.push(Storage::open(&path, access).unwrap());
        }
        let end = bytes.len();
        for storage in storages {
            for range in [
                0..end,
                5..end,
                3..3,
                end..end,
                1..IO_BYTES + 1,
                IO_BYTES..2 * IO_BYTES,
            ] {
                let mut read: Vec<u8> = Vec::new();
                let wide = range.start as u64..range.end as u64;
                storage
                    .read_through(wide, |piece| read.extend(piece))
                    .unwrap();
                assert!(read == bytes[range.clone()], "{storage:?} {range:?}");
            }
            for outside in [0..end as u64 + 1, u64::MAX..u64::MAX] {
                assert!(storage.read_through(outside, |_| ()).is_err());
            }
        }
    }

    #[test]
    fn a_file_that_changes_while_it_is_read_through_is_found() {
        for access in [Access::Mapped, Access::Positioned] {
            for len in [4, IO_BYTES as u64 + 10, 4 * IO_BYTES as u64] {
                let (_dir, path) = temporary(&vec![7; 4 * IO_BYTES]);
                let storage = Storage::open(&path, access).unwrap();
                let mut pieces = 0;
                let read = storage.read_through(0..4 * IO_BYTES as u64, |_| {
                    let file = File::options().write(true).open(&path).unwrap();
                    file.set_len(len).unwrap();
                    if len == 4 * IO_BYTES as u64 {
                        std::fs::write(&path, vec![8; 4 * IO_BYTES]).unwrap();
                    }
                    pieces += 1;
                });
                assert_eq!(read.unwrap_err().kind(), ErrorKind::Changed);
                assert!(pieces > 0);
            }
        }
    }

    #[test]
    fn an_empty_file_opens() {
        let (_dir, path) = temporary(b"");
        assert_eq!(Storage::open(&path, Access::Mapped).unwrap().len(), 0);
    }

    #[test]
    fn what_cannot_be_opened_is_named() {
        let (dir, path) = temporary(b"");
        for path in [dir.path(), &path.with_extension("missing")] {
            let error = Storage::open(path, Access::Mapped).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Io);
            assert_eq!(error.file(), Some(path));
        }
    }

    #[test]
    #[cfg(unix)]
    fn what_is_no_file_is_not_waited_for() {
        let (dir, _) = temporary(b"");
        let pipe = dir.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        for path in [&*pipe, Path::new("/dev/zero")] {
            for access in [Access::Mapped, Access::Positioned, Access::Memory] {
                let error = Storage::open(path, access).unwrap_err();
                assert!(error.to_string().ends_with("not a regular file"), "{error}");
            }
        }
    }

    #[test]
    fn a_file_that_changes_is_found() {
        for access in [Access::Mapped, Access::Positioned] {
            let (_dir, path) = temporary(&[7; 64]);
            let storage = Storage::open(&path, access).unwrap();
            storage.check().unwrap();

            File::options()
                .write(true)
                .open(&path)
                .and_then(|file| file.set_len(10))
                .unwrap();
            let error = storage.check().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Changed);
            assert!(error.to_string().contains("was 64 bytes and is now 10"));
        }
        let (_dir, path) = temporary(&[7; 64]);
        let storage = Storage::open(&path, Access::Mapped).unwrap();
        let other = path.with_extension("new");
        std::fs::write(&other, [8; 64]).unwrap();
        std::fs::rename(other, &path).unwrap();
        assert!(storage.check().unwrap_err().message().contains("replaced"));
        std::fs::remove_file(&path).unwrap();
        storage.check().unwrap();
    }

    /// Whatever leads to another file at the path, at whichever check.
    #[test]
    fn a_file_in_the_place_of_another_is_found() {
        type Replace = fn(&Path, &Path);
        let ways: [(&str, u32, Replace); 4] = [
            ("renamed over it", 1, |new, path| {
                std::fs::rename(new, path).unwrap()
            }),
            ("put where it was deleted", 1, |new, path| {
                std::fs::remove_file(path).unwrap();
                std::fs::rename(new, path).unwrap();
            }),
            ("put where it was moved away", 1, |new, path| {
                std::fs::rename(path, path.with_extension("old")).unwrap();
                std::fs::rename(new, path).unwrap();
            }),
            (
                "in another folder of that name",
                CHECKS_PER_PATH,
                |new, path| {
                    let folder = path.parent().unwrap();
                    std::fs::rename(folder, folder.with_extension("old")).unwrap();
                    std::fs::create_dir(folder).unwrap();
                    std::fs::rename(new, path).unwrap();
                },
            ),
        ];
        for (way, within, replace) in ways {
            for before in [0, 1, 100] {
                let (dir, outside) = temporary(&[8; 64]);
                let folder = dir.path().join("folder");
                std::fs::create_dir(&folder).unwrap();
                let path = folder.join("file");
                std::fs::write(&path, [7; 64]).unwrap();
                let storage = Storage::open(&path, Access::Mapped).unwrap();
                (0..before).for_each(|_| storage.check().unwrap());
                replace(&outside, &path);
                let found = (0..within).find_map(|_| storage.check().err());
                let found = found.unwrap_or_else(|| panic!("{way} after {before} checks"));
                assert!(found.message().contains("replaced"), "{found}");
                // Nor is it forgotten.
                if within == 1 {
                    (0..100).for_each(|_| assert!(storage.check().is_err()));
                }
            }
        }
    }

    #[test]
    fn what_leaves_a_file_as_it_is_is_no_change() {
        let (_dir, path) = temporary(&[7; 64]);
        let storage = Storage::open(&path, Access::Mapped).unwrap();
        let checks = || (0..2 * CHECKS_PER_PATH).for_each(|_| storage.check().unwrap());
        checks();
        let mut rights = std::fs::metadata(&path).unwrap().permissions();
        rights.set_readonly(true);
        std::fs::set_permissions(&path, rights).unwrap();
        checks();
        std::fs::hard_link(&path, path.with_extension("link")).unwrap();
        checks();
        std::fs::rename(&path, path.with_extension("moved")).unwrap();
        checks();
    }
}
