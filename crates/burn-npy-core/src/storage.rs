//! Where the bytes of arrays are: a mapped file, a file that is read by position, or memory.
//!
//! This is one of the five files with unsafe code. A mapped file can be changed by anyone at any
//! time, so rows are copied out of it and no reference into a map leaves this crate.
//! [`Storage::check`] finds a file that was truncated, overwritten or replaced. Each gather calls
//! it before and after the copy: after it, so that nothing is given out that may be of another
//! file; before it, since a copy from a truncated file raises SIGBUS. A file that is truncated
//! during the copy still raises it, which [`catch_sigbus`] makes an error. [`Access::Positioned`]
//! reads without mapping.
#![allow(unsafe_code)]

mod open_file;
mod sigbus;

use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{self, AtomicU32};

use memmap2::{Mmap, MmapOptions};

use crate::decode::Share;
use crate::{Error, ErrorKind, OpenOptions, Result};
use open_file::OpenFile;
use sigbus::Watched;

pub use sigbus::catch_sigbus;

/// The size of a small file, at most. Whatever the system reads ahead of one is soon needed.
const SMALL: u64 = 256 << 20;
/// The longest range that is advised at once. Of a longer one, Linux may read only as much as it
/// reads ahead by default.
const MAX_ADVISED: u64 = 128 << 10;
/// How many bytes are read, decoded or checked at a time: they stay in a near cache.
pub(crate) const IO_BYTES: usize = 256 << 10;

/// How many bytes of a header are read at once: more than those of most.
const HEAD_BYTES: u64 = 512;

/// How the bytes of a file are reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Access {
    /// Map the file into memory: fastest while it is in the page cache. A file that is truncated
    /// while rows are copied from it kills the process, unless the program calls [`catch_sigbus`];
    /// see the [crate's page](crate#files-that-change).
    #[default]
    Mapped,
    /// Read each row with a positioned read: slower for small rows, but a file that shrinks and a
    /// disk that fails are always errors.
    Positioned,
    /// Read the whole file into memory when it is opened.
    Memory,
}

/// The bytes of a file or of an array in memory; clones share them.
#[derive(Clone)]
pub(crate) struct Storage(Arc<Repr>);

enum Repr {
    Mapped(Mapped),
    Positioned(Arc<OpenFile>),
    Memory(InMemory),
    Temporary(Temporary),
}

/// A mapped temporary file without a name, so that nobody else can reach it.
struct Temporary {
    /// Before the map, so that it is dropped first.
    watched: Watched,
    map: Mmap,
    /// Its share in the limit of its archive.
    _share: Share,
}

/// A mapped file.
struct Mapped {
    /// Before the map, so that it is dropped first.
    watched: Watched,
    map: Mmap,
    file: Arc<OpenFile>,
}

impl Mapped {
    fn new(file: Arc<OpenFile>) -> Result<Self> {
        let len = usize::try_from(file.len())
            .map_err(|_| Error::new(ErrorKind::Overflow, "the file is too large to be mapped"))?;
        let map = |file: &File| {
            // SAFETY: `map` requires that nobody changes the file while the map is alive, which
            // nobody can promise. Instead: the map is read only; its bytes are plain data, of which
            // every value is valid; they are copied out before anything is decided by them twice;
            // `check` runs before and after each use; and only functions that are unsafe themselves
            // let references to them leave the crate.
            unsafe { MmapOptions::new().len(len).map(file) }
        };
        let map = file.with_file(map)?.map_err(|error| {
            let message = "cannot map the file; Access::Positioned reads without a map";
            Error::io(message, error)
        })?;
        Ok(Self {
            watched: Watched::new(&map),
            map,
            file,
        })
    }

    fn check(&self) -> Result<()> {
        // What was copied from the map comes before what is found now.
        atomic::fence(atomic::Ordering::SeqCst);
        self.file.check()?;
        let read = self.watched.check();
        read.map_err(|error| error.in_file(&self.file.path))
    }
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
    pub(crate) fn open(path: &Path, options: &OpenOptions) -> Result<Self> {
        let file = OpenFile::open(path, options.ignore_times)?;
        let open = || {
            if options.access == Access::Memory || file.len() == 0 {
                let mut bytes = Vec::new();
                file.with_file(|mut file| io::Read::read_to_end(&mut file, &mut bytes))?
                    .map_err(|error| Error::io("cannot read the file", error))?;
                // A file that changed meanwhile is half old and half new, which no later check
                // finds.
                file.check()?;
                return Ok(Repr::Memory(InMemory {
                    bytes: Box::new(bytes),
                    path: Some(file.path),
                }));
            }
            let file = Arc::new(file);
            if options.access == Access::Positioned {
                return Ok(Repr::Positioned(file));
            }
            Mapped::new(file).map(Repr::Mapped)
        };
        let repr = open().map_err(|error| error.in_file(path))?;
        Ok(Self(Arc::new(repr)))
    }

    /// The same file, read by position if it is mapped, so that reading it raises no signal.
    pub(crate) fn by_position(&self) -> Self {
        match &*self.0 {
            Repr::Mapped(mapped) => Self(Arc::new(Repr::Positioned(mapped.file.clone()))),
            _ => self.clone(),
        }
    }

    pub(crate) fn memory(bytes: impl AsRef<[u8]> + Send + Sync + 'static) -> Self {
        Self(Arc::new(Repr::Memory(InMemory {
            bytes: Box::new(bytes),
            path: None,
        })))
    }

    /// Maps a temporary file that has no name, so that nobody else can reach it. The share of its
    /// bytes in the limit of its archive lives as long as the map.
    pub(crate) fn temporary(file: &File, share: Share) -> Result<Self> {
        // SAFETY: the file must not change while it is mapped. It was created without a name, or
        // lost it at once, so nobody else can open it; our own handle is dropped by the caller, and
        // this map is read only.
        let map = unsafe { Mmap::map(file) }
            .map_err(|error| Error::io("cannot map a temporary file", error))?;
        Ok(Self(Arc::new(Repr::Temporary(Temporary {
            watched: Watched::new(&map),
            map,
            _share: share,
        }))))
    }

    /// The length in bytes, from when the file was opened.
    pub(crate) fn len(&self) -> u64 {
        match &*self.0 {
            Repr::Mapped(Mapped { map, .. }) | Repr::Temporary(Temporary { map, .. }) => {
                map.len() as u64
            }
            Repr::Positioned(file) => file.len(),
            Repr::Memory(memory) => memory.bytes().len() as u64,
        }
    }

    /// All bytes, unless they have to be read.
    pub(crate) fn bytes(&self) -> Option<&[u8]> {
        match &*self.0 {
            Repr::Mapped(Mapped { map, .. }) | Repr::Temporary(Temporary { map, .. }) => Some(map),
            Repr::Positioned(_) => None,
            Repr::Memory(memory) => Some(memory.bytes()),
        }
    }

    /// The open file, if it is not in memory.
    fn file(&self) -> Option<&OpenFile> {
        match &*self.0 {
            Repr::Mapped(Mapped { file, .. }) | Repr::Positioned(file) => Some(file),
            Repr::Memory(_) | Repr::Temporary(_) => None,
        }
    }

    /// The file of the bytes.
    pub(crate) fn path(&self) -> Option<&Path> {
        match &*self.0 {
            Repr::Memory(memory) => memory.path.as_deref(),
            _ => self.file().map(|file| &*file.path),
        }
    }

    /// The bytes, if nobody else can change them.
    pub(crate) fn owned_bytes(&self) -> Option<&[u8]> {
        match &*self.0 {
            Repr::Memory(memory) => Some(memory.bytes()),
            Repr::Temporary(Temporary { map, .. }) => Some(map),
            _ => None,
        }
    }

    /// Fills `out` with the bytes at `offset`. A mapped file is read too, not accessed through its
    /// map, so that a file that is truncated meanwhile is an error.
    pub(crate) fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        self.expect_inside(offset, out.len() as u64)?;
        match (self.file(), self.owned_bytes()) {
            (Some(file), _) => file.read_at(offset, out)?,
            (None, Some(bytes)) => out.copy_from_slice(&bytes[offset as usize..][..out.len()]),
            (None, None) => unreachable!("what is not in a file is in memory"),
        }
        Ok(())
    }

    /// Calls `f` with all bytes of a range, in order and piece by piece.
    ///
    /// As in [`read_at`](Self::read_at), a mapped file is read. So its pages do not become part of
    /// the process either.
    pub(crate) fn read_through(&self, range: Range<u64>, mut f: impl FnMut(&[u8])) -> Result<()> {
        let len = range.end.saturating_sub(range.start);
        self.expect_inside(range.start, len)?;
        let Some(file) = self.file() else {
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

    /// Checks that the file is still the one that was opened, and that all of it could be read.
    pub(crate) fn check(&self) -> Result<()> {
        match &*self.0 {
            Repr::Mapped(mapped) => mapped.check(),
            Repr::Temporary(temporary) => temporary.watched.check(),
            Repr::Positioned(file) => file.check(),
            Repr::Memory(_) => Ok(()),
        }
    }

    /// Tells the system how a file will be read. In a large file, reading ahead of a random row
    /// costs far more than the row.
    #[cfg_attr(not(unix), allow(unused_variables))]
    pub(crate) fn advise(&self, random: bool) {
        // Only hints: a system that ignores them is slower, not wrong.
        #[cfg(unix)]
        if let Repr::Mapped(Mapped { map, .. }) | Repr::Temporary(Temporary { map, .. }) = &*self.0
        {
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
        if let Some(file) = self.kept() {
            use rustix::fs::{Advice, fadvise};
            let advice = if random && self.len() > SMALL {
                Advice::Random
            } else {
                Advice::Normal
            };
            let _ = fadvise(file, 0, None, advice);
        }
    }

    /// The descriptor, if it is a file and its descriptor is kept.
    fn kept(&self) -> Option<&File> {
        self.file()?.kept()
    }

    /// Whether it is a file so large that the system does not soon have all of it in memory.
    pub(crate) fn is_large_file(&self) -> bool {
        self.kept().is_some() && self.len() > SMALL
    }

    /// Whether a byte of a file is in memory; `false` if the system cannot tell.
    pub(crate) fn is_cached(&self, offset: u64) -> bool {
        #[cfg(target_os = "linux")]
        if let Some(file) = self.kept() {
            use rustix::io::{ReadWriteFlags, preadv2};
            let mut byte = [0];
            let mut out = [io::IoSliceMut::new(&mut byte)];
            // A read that gives up where it would have to wait for the disk.
            return preadv2(file, &mut out, offset, ReadWriteFlags::NOWAIT).is_ok();
        }
        let _ = offset;
        matches!(&*self.0, Repr::Memory(_))
    }

    /// A counter for `readahead`: how many batches in a row were in memory.
    pub(crate) fn cached_streak(&self) -> Option<&AtomicU32> {
        self.file().map(|file| &file.cached_streak)
    }

    /// Asks the system to read bytes of a file, without waiting for them. Only a hint.
    pub(crate) fn will_need(&self, range: Range<u64>) {
        for Range { start, end } in pieces(range) {
            // For a map too: `madvise` would lock the address space of the process.
            #[cfg(all(unix, not(target_vendor = "apple")))]
            if let Some(file) = self.kept() {
                use rustix::fs::{Advice, fadvise};
                let len = std::num::NonZeroU64::new(end - start);
                let _ = fadvise(file, start, len, Advice::WillNeed);
            }
            #[cfg(target_vendor = "apple")]
            if let Repr::Mapped(Mapped { map, .. }) = &*self.0 {
                let (start, len) = (start as usize, (end - start) as usize);
                let _ = map.advise_range(memmap2::Advice::WillNeed, start, len);
            }
            let _ = (start, end);
        }
    }

    /// Whether two storages are the same, so that one check is enough.
    pub(crate) fn same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// The first bytes of a part of a storage, read with one system call.
pub(crate) struct Head<'a> {
    storage: &'a Storage,
    start: u64,
    bytes: Vec<u8>,
}

impl<'a> Head<'a> {
    pub(crate) fn read(storage: &'a Storage, start: u64) -> Result<Self> {
        let len = storage.len().saturating_sub(start).min(HEAD_BYTES);
        let mut bytes = vec![0; len as usize];
        storage.read_at(start, &mut bytes)?;
        Ok(Self {
            storage,
            start,
            bytes,
        })
    }

    /// Some bytes from `at` on, which are read if they are not among the first ones.
    pub(crate) fn get(&self, at: usize, len: usize) -> Result<Cow<'_, [u8]>> {
        let known = at.checked_add(len).and_then(|end| self.bytes.get(at..end));
        if let Some(known) = known {
            return Ok(known.into());
        }
        let mut bytes = vec![0; len];
        self.storage
            .read_at(self.start.saturating_add(at as u64), &mut bytes)?;
        Ok(bytes.into())
    }
}

impl std::fmt::Debug for Storage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &*self.0 {
            Repr::Mapped(Mapped { file, .. }) => write!(f, "Mapped({:?})", file.path),
            Repr::Positioned(file) => write!(f, "Positioned({:?})", file.path),
            Repr::Memory(memory) => write!(f, "Memory({} bytes)", memory.bytes().len()),
            Repr::Temporary(Temporary { map, .. }) => write!(f, "Temporary({} bytes)", map.len()),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn open(path: &Path, access: Access) -> Result<Storage> {
        Storage::open(path, &OpenOptions::new().access(access))
    }

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
            let storage = open(&path, access).unwrap();
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
            storages.push(open(&path, access).unwrap());
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
                let storage = open(&path, access).unwrap();
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
        assert_eq!(open(&path, Access::Mapped).unwrap().len(), 0);
    }

    #[test]
    fn what_cannot_be_opened_is_named() {
        let (dir, path) = temporary(b"");
        for path in [dir.path(), &path.with_extension("missing")] {
            let error = open(path, Access::Mapped).unwrap_err();
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
                let error = open(path, access).unwrap_err();
                assert!(error.to_string().ends_with("not a regular file"), "{error}");
            }
        }
    }

    /// Each way to change a file, and a part of what is said of it.
    #[test]
    fn a_file_that_changes_is_found() {
        type Change = fn(&Path);
        let changes: [(&str, Change); 7] = [
            ("was 64 bytes and is now 10", |path| {
                for_writing(path).set_len(10).unwrap();
            }),
            ("was 64 bytes and is now 65", |path| {
                std::fs::write(path, [7; 65]).unwrap();
            }),
            ("was written to", |path| {
                std::fs::write(path, [8; 64]).unwrap();
            }),
            ("its time was set back", |path| {
                let before = std::fs::metadata(path).unwrap().modified().unwrap();
                std::fs::write(path, [8; 64]).unwrap();
                for_writing(path).set_modified(before).unwrap();
            }),
            // What looks like that.
            ("or its attributes", |path| {
                let mut rights = std::fs::metadata(path).unwrap().permissions();
                rights.set_readonly(true);
                std::fs::set_permissions(path, rights).unwrap();
            }),
            ("or its attributes", |path| {
                std::fs::hard_link(path, path.with_extension("link")).unwrap();
            }),
            ("or its name", |path| {
                std::fs::rename(path, path.with_extension("moved")).unwrap();
            }),
        ];
        for (message, change) in changes {
            for access in [Access::Mapped, Access::Positioned] {
                let (_dir, path) = temporary(&[7; 64]);
                let storage = open(&path, access).unwrap();
                let trusted = OpenOptions::new().access(access).ignore_times(true);
                let trusted = Storage::open(&path, &trusted).unwrap();
                storage.check().unwrap();
                change(&path);
                // It is not forgotten.
                for _ in 0..2 * 64 {
                    let error = storage.check().unwrap_err();
                    assert_eq!(
                        (error.kind(), error.file()),
                        (ErrorKind::Changed, Some(&*path))
                    );
                    assert!(error.message().contains(message), "{error}");
                    // Whoever vouches for the bytes vouches for their number.
                    let is_found = trusted.check().is_err();
                    assert_eq!(is_found, message.contains("bytes"), "{message}");
                }
            }
        }
    }

    fn for_writing(path: &Path) -> File {
        File::options().write(true).open(path).unwrap()
    }

    /// Whatever leads to another file at the path, at whichever check.
    #[test]
    fn a_file_in_the_place_of_another_is_found() {
        type Replace = fn(&Path, &Path);
        let ways: [(&str, u32, Replace); 3] = [
            ("renamed over it", 1, |new, path| {
                std::fs::rename(new, path).unwrap()
            }),
            ("put where it was deleted", 1, |new, path| {
                std::fs::remove_file(path).unwrap();
                std::fs::rename(new, path).unwrap();
            }),
            ("in another folder of that name", 64, |new, path| {
                let folder = path.parent().unwrap();
                std::fs::rename(folder, folder.with_extension("old")).unwrap();
                std::fs::create_dir(folder).unwrap();
                std::fs::rename(new, path).unwrap();
            }),
        ];
        for (way, within, replace) in ways {
            for before in [0, 1, 100] {
                let (dir, outside) = temporary(&[8; 64]);
                let folder = dir.path().join("folder");
                std::fs::create_dir(&folder).unwrap();
                let path = folder.join("file");
                std::fs::write(&path, [7; 64]).unwrap();
                // The clock of a file system may tick rarely.
                let earlier = std::time::SystemTime::UNIX_EPOCH;
                for_writing(&path).set_modified(earlier).unwrap();
                let storage = open(&path, Access::Mapped).unwrap();
                (0..before).for_each(|_| storage.check().unwrap());
                replace(&outside, &path);
                let found = (0..within).find_map(|_| storage.check().err());
                let found = found.unwrap_or_else(|| panic!("{way} after {before} checks"));
                assert!(found.message().contains("replaced"), "{found}");
                // It is not forgotten.
                std::fs::remove_file(&path).unwrap();
                (0..100).for_each(|_| assert!(storage.check().is_err()));
            }
        }
    }

    #[test]
    fn a_file_that_is_deleted_is_whole() {
        for access in [Access::Mapped, Access::Positioned] {
            let (_dir, path) = temporary(&[7; 64]);
            let storage = open(&path, access).unwrap();
            std::fs::remove_file(&path).unwrap();
            (0..2 * 64).for_each(|_| storage.check().unwrap());
            storage.read_at(0, &mut [0; 64]).unwrap();
        }
    }

    #[test]
    #[cfg(unix)]
    fn a_deleted_file_that_is_written_to_is_found() {
        let (_dir, path) = temporary(&[7; 64]);
        let storage = open(&path, Access::Mapped).unwrap();
        let file = for_writing(&path);
        std::fs::remove_file(&path).unwrap();
        (0..2).for_each(|_| storage.check().unwrap());
        let before = file.metadata().unwrap().modified().unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, &[8; 64], 0).unwrap();
        file.set_modified(before).unwrap();
        assert_eq!(storage.check().unwrap_err().kind(), ErrorKind::Changed);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_file_without_a_name_is_read_by_its_descriptor() {
        use std::os::fd::AsRawFd;
        let (_dir, path) = temporary(&[7; 64]);
        let file = File::open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
        for access in [Access::Mapped, Access::Positioned, Access::Memory] {
            let storage = open(&path, access).unwrap();
            (0..2 * 64).for_each(|_| storage.check().unwrap());
            let mut byte = [0];
            storage.read_at(63, &mut byte).unwrap();
            assert_eq!(byte, [7]);
        }
    }

    /// Runs the test `child` of this module in a process of its own, and gives its status.
    #[cfg(unix)]
    fn run(child: &str, descriptors: u32) -> std::process::ExitStatus {
        std::process::Command::new("sh")
            .arg("-c")
            .arg(format!("ulimit -n {descriptors}; exec \"$0\" \"$@\""))
            .arg(std::env::current_exe().unwrap())
            .args([&format!("storage::tests::{child}"), "--exact", "--ignored"])
            .status()
            .unwrap()
    }

    #[test]
    #[cfg(unix)]
    fn more_files_are_open_than_there_are_descriptors() {
        assert!(run("many_files", 40).success());
    }

    #[test]
    #[cfg(unix)]
    #[ignore = "a process of the other tests"]
    fn many_files() {
        let dir = tempfile::tempdir().unwrap();
        let path = |number: usize| dir.path().join(format!("{number}.bin"));
        let mut storages = Vec::new();
        for number in 0..300 {
            std::fs::write(path(number), [number as u8; 100]).unwrap();
            let access = [Access::Mapped, Access::Positioned][number % 2];
            storages.push(open(&path(number), access).unwrap());
        }
        for (number, storage) in storages.iter().enumerate() {
            let mut byte = [0];
            storage.read_at(99, &mut byte).unwrap();
            storage.check().unwrap();
            assert_eq!(byte, [number as u8]);
        }
        // Each change is found, also in a file whose descriptor is not kept.
        for (number, storage) in storages.iter().enumerate() {
            let path = path(number);
            match number % 3 {
                0 => std::fs::write(&path, [1; 100]).unwrap(),
                1 => std::fs::rename(&path, path.with_extension("moved")).unwrap(),
                _ => std::fs::write(&path, [1; 99]).unwrap(),
            }
            for _ in 0..2 {
                assert_eq!(storage.check().unwrap_err().kind(), ErrorKind::Changed);
            }
            let read = storage.read_at(0, &mut [0]);
            assert!(storage.kept().is_some() || read.is_err());
        }
        // Descriptors come back.
        drop(storages);
        std::fs::write(path(0), b"x").unwrap();
        assert!(open(&path(0), Access::Mapped).unwrap().kept().is_some());
    }

    #[test]
    #[cfg(unix)]
    fn a_fault_in_a_mapped_file_is_an_error() {
        assert!(run("faults", 100).success());
    }

    #[test]
    #[cfg(unix)]
    #[ignore = "a process of the other tests"]
    fn faults() {
        catch_sigbus().unwrap();
        catch_sigbus().unwrap();
        for round in 0..3 {
            for (kind, ignore_times) in [(ErrorKind::Changed, false), (ErrorKind::Io, true)] {
                let (_dir, path) = temporary(&[7; 100_000]);
                let options = OpenOptions::new().ignore_times(ignore_times);
                let storage = Storage::open(&path, &options).unwrap();
                let sound = Storage::open(&path.with_extension("sound"), &options);
                assert!(sound.is_err());
                let file = for_writing(&path);
                file.set_len(10_000).unwrap();
                let bytes = storage.bytes().unwrap();
                // Two faults in one map, the second before the first.
                assert_eq!((bytes[50_000], bytes[99_999], bytes[20_000]), (0, 0, 0));
                assert_eq!(bytes[9_999], 7, "round {round}");
                // As if a disk had failed: afterwards, the file is as it was.
                file.set_len(100_000).unwrap();
                for _ in 0..2 {
                    assert_eq!(storage.check().unwrap_err().kind(), kind);
                }
                // Reads by position are not concerned.
                if ignore_times {
                    storage.by_position().check().unwrap();
                }
            }
        }
    }

    /// A fault elsewhere kills the process by the signal, as it does without the handler.
    #[test]
    #[cfg(unix)]
    fn a_fault_in_the_map_of_another_is_not_caught() {
        use std::os::unix::process::ExitStatusExt;
        assert_eq!(run("fault_of_another", 100).signal(), Some(libc::SIGBUS));
    }

    /// As `kill` sends it.
    #[test]
    #[cfg(unix)]
    fn a_signal_that_is_sent_is_not_caught() {
        use std::os::unix::process::ExitStatusExt;
        assert_eq!(run("sent_signal", 100).signal(), Some(libc::SIGBUS));
    }

    #[test]
    #[cfg(unix)]
    #[ignore = "a process of the other tests"]
    fn sent_signal() {
        // SAFETY: the process is meant to die of the signal. Before, it gets the handler that a
        // program without Rust's standard library has.
        unsafe { libc::signal(libc::SIGBUS, libc::SIG_DFL) };
        catch_sigbus().unwrap();
        // SAFETY: as above.
        unsafe { libc::raise(libc::SIGBUS) };
    }

    #[test]
    #[cfg(unix)]
    #[ignore = "a process of the other tests"]
    fn fault_of_another() {
        catch_sigbus().unwrap();
        let (_dir, path) = temporary(&[7; 100_000]);
        let _ours = open(&path, Access::Mapped).unwrap();
        let file = File::options().read(true).write(true).open(&path).unwrap();
        // SAFETY: the process is meant to die of the access.
        let map = unsafe { Mmap::map(&file).unwrap() };
        file.set_len(0).unwrap();
        std::process::exit(i32::from(map[0]));
    }
}
