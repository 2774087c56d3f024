//! Where the bytes of arrays are: a mapped file, a file that is read by position, or memory.
//!
//! This is one of the five files with unsafe code. A mapped file can be changed by anyone at any
//! time, so rows are copied out of it and no reference into a map leaves this crate.
//! [`Storage::check`] finds a file that was truncated, overwritten or replaced. Each gather calls
//! it after the copy, so that nothing is given out that may be of another file; and before it,
//! since a copy from a truncated file raises SIGBUS. A file that is truncated during the copy still
//! raises it, which [`catch_sigbus`] makes an error; then there is no check before.
//! [`Access::Positioned`] reads without mapping.
#![allow(unsafe_code)]

mod open_file;
mod sigbus;

use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{self, AtomicU32, AtomicU64};
use std::sync::{Arc, OnceLock};

use memmap2::{Mmap, MmapOptions};

use crate::buffer::with_capacity;
use crate::decode::Share;
use crate::remote::{self, ReadAt, Reader};
use crate::{Error, ErrorKind, OpenOptions, Result};
use open_file::OpenFile;
use sigbus::Watched;

pub(crate) use open_file::Counted;
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

/// How many files are mapped.
static MAPS: AtomicU64 = AtomicU64::new(0);
/// The share of the maps of the process that files take. The rest is for the program: an allocator
/// and the stacks of threads need some.
const MAPPED_SHARE: u64 = 2;

/// How many maps the process may have.
fn max_maps() -> u64 {
    static MAX: OnceLock<u64> = OnceLock::new();
    // Other systems have no such limit.
    let of_linux = || {
        let text = std::fs::read_to_string("/proc/sys/vm/max_map_count");
        let max = text.ok().and_then(|text| text.trim().parse().ok());
        // The default of Linux, for a container that hides the file.
        max.unwrap_or(if cfg!(target_os = "linux") {
            65_530
        } else {
            u64::MAX
        })
    };
    *MAX.get_or_init(of_linux)
}

/// How the bytes of a file are reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Access {
    /// Map the file into memory: fastest while it is in the page cache. Files beyond half of the
    /// maps that the system allows a process, and those that it cannot map, are read as with
    /// [`Positioned`](Self::Positioned). A file that is truncated
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
    Remote(Remote),
}

/// A file that is elsewhere, until all of it is here.
struct Remote {
    reader: Reader,
    /// Whether the local file is mapped once it has all bytes.
    maps: bool,
    /// The local file, mapped. `None` if it cannot be mapped.
    whole: OnceLock<Option<Storage>>,
}

impl Remote {
    /// The local file, if it has all bytes.
    fn whole(&self) -> Option<&Storage> {
        let whole = match self.whole.get() {
            None if self.maps && self.reader.is_whole() => {
                self.whole.get_or_init(|| Storage::whole(&self.reader))
            }
            whole => whole?,
        };
        whole.as_ref()
    }
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
    _counted: Counted,
}

impl Mapped {
    /// `None` if there are enough maps, or the system cannot map the file.
    fn new(file: &Arc<OpenFile>) -> Result<Option<Self>> {
        let counted = Counted::below(&MAPS, max_maps() / MAPPED_SHARE);
        let (Some(counted), Ok(len)) = (counted, usize::try_from(file.len())) else {
            return Ok(None);
        };
        let map = |file: &File| {
            // SAFETY: `map` requires that nobody changes the file while the map is alive, which
            // nobody can promise. Instead: the map is read only; its bytes are plain data, of which
            // every value is valid; they are copied out before anything is decided by them twice;
            // `check` runs before and after each use; and only functions that are unsafe themselves
            // let references to them leave the crate.
            unsafe { MmapOptions::new().len(len).map(file) }
        };
        let map = file.with_file(map)?.ok();
        Ok(map.map(|map| Self {
            watched: Watched::new(&map),
            map,
            file: file.clone(),
            _counted: counted,
        }))
    }

    fn check(&self) -> Result<()> {
        // What was copied from the map comes before what is found now.
        atomic::fence(atomic::Ordering::SeqCst);
        self.file.check()?;
        self.check_map()
    }

    fn check_map(&self) -> Result<()> {
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
    /// Opens a file, or what is at a URL.
    pub(crate) fn open(path: &Path, options: &OpenOptions) -> Result<Self> {
        let Some(url) = remote::as_url(path) else {
            return Self::open_local(path, options);
        };
        let source = options.remote.open(url);
        Self::remote(source.map_err(|error| error.in_file(path))?, options)
    }

    /// What a reader reads, as a file.
    pub(crate) fn remote(source: Arc<dyn ReadAt>, options: &OpenOptions) -> Result<Self> {
        let reader = Reader::new(source, &options.remote)?;
        let storage = Self(Arc::new(Repr::Remote(Remote {
            reader,
            maps: options.access == Access::Mapped,
            whole: OnceLock::new(),
        })));
        if options.access != Access::Memory {
            return Ok(storage);
        }
        let len = usize::try_from(storage.len()).unwrap_or(usize::MAX);
        let name = storage.path().unwrap_or(Path::new(""));
        let mut bytes = with_capacity(len).map_err(|error| error.in_file(name))?;
        storage.read_through(0..storage.len(), |piece| bytes.extend_from_slice(piece))?;
        Ok(Self(Arc::new(Repr::Memory(InMemory {
            bytes: Box::new(bytes),
            path: storage.path().map(Path::to_path_buf),
        }))))
    }

    /// Maps the local file that has all bytes of a remote one. Its times are no matter: a process
    /// that fetched a part of it late writes the same bytes once more.
    fn whole(reader: &Reader) -> Option<Self> {
        let (file, path) = reader.whole()?;
        let file = Arc::new(OpenFile::of_open(&path, file, true)?);
        let mapped = Mapped::new(&file).ok()??;
        (file.len() == reader.len()).then(|| Self(Arc::new(Repr::Mapped(mapped))))
    }

    /// What the bytes are in now: the mapped file, of a remote one that is whole.
    fn repr(&self) -> &Repr {
        match &*self.0 {
            Repr::Remote(remote) => remote.whole().map_or(&*self.0, |whole| &*whole.0),
            repr => repr,
        }
    }

    /// The reader of a remote file that is not whole.
    pub(crate) fn reader(&self) -> Option<&Reader> {
        match self.repr() {
            Repr::Remote(remote) => Some(&remote.reader),
            _ => None,
        }
    }

    /// Whether the bytes are fetched from elsewhere, or were.
    pub(crate) fn is_remote(&self) -> bool {
        matches!(&*self.0, Repr::Remote(_))
    }

    fn open_local(path: &Path, options: &OpenOptions) -> Result<Self> {
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
            let mapped = match options.access {
                Access::Mapped => Mapped::new(&file)?,
                _ => None,
            };
            Ok(mapped.map_or(Repr::Positioned(file), Repr::Mapped))
        };
        let repr = open().map_err(|error: Error| error.in_file(path))?;
        Ok(Self(Arc::new(repr)))
    }

    /// The same file, read by position if it is mapped, so that reading it raises no signal.
    pub(crate) fn by_position(&self) -> Self {
        match self.repr() {
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
        match self.repr() {
            Repr::Mapped(Mapped { map, .. }) | Repr::Temporary(Temporary { map, .. }) => {
                map.len() as u64
            }
            Repr::Positioned(file) => file.len(),
            Repr::Remote(remote) => remote.reader.len(),
            Repr::Memory(memory) => memory.bytes().len() as u64,
        }
    }

    /// All bytes, unless they have to be read.
    pub(crate) fn bytes(&self) -> Option<&[u8]> {
        match self.repr() {
            Repr::Mapped(Mapped { map, .. }) | Repr::Temporary(Temporary { map, .. }) => Some(map),
            Repr::Positioned(_) | Repr::Remote(_) => None,
            Repr::Memory(memory) => Some(memory.bytes()),
        }
    }

    /// Whether a copy raises a signal that kills the process if the file was truncated before.
    pub(crate) fn may_raise(&self) -> bool {
        matches!(self.repr(), Repr::Mapped(_)) && !sigbus::is_caught()
    }

    /// The open file, if it is not in memory.
    fn file(&self) -> Option<&OpenFile> {
        match self.repr() {
            Repr::Mapped(Mapped { file, .. }) | Repr::Positioned(file) => Some(file),
            Repr::Memory(_) | Repr::Temporary(_) | Repr::Remote(_) => None,
        }
    }

    /// The file of the bytes.
    pub(crate) fn path(&self) -> Option<&Path> {
        match &*self.0 {
            Repr::Memory(memory) => memory.path.as_deref(),
            Repr::Remote(remote) => Some(remote.reader.name()),
            _ => self.file().map(|file| &*file.path),
        }
    }

    /// The bytes, if nobody else can change them.
    pub(crate) fn owned_bytes(&self) -> Option<&[u8]> {
        match self.repr() {
            Repr::Memory(memory) => Some(memory.bytes()),
            Repr::Temporary(Temporary { map, .. }) => Some(map),
            _ => None,
        }
    }

    /// Fills `out` with the bytes at `offset`. A mapped file is read too, not accessed through its
    /// map, so that a file that is truncated meanwhile is an error.
    pub(crate) fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        self.expect_inside(offset, out.len() as u64)?;
        match self.repr() {
            Repr::Remote(remote) => remote.reader.read_at(offset, out),
            Repr::Mapped(Mapped { file, .. }) | Repr::Positioned(file) => file.read_at(offset, out),
            Repr::Memory(memory) => {
                out.copy_from_slice(&memory.bytes()[offset as usize..][..out.len()]);
                Ok(())
            }
            Repr::Temporary(temporary) => {
                out.copy_from_slice(&temporary.map[offset as usize..][..out.len()]);
                Ok(())
            }
        }
    }

    /// Calls `f` with all bytes of a range, in order and piece by piece.
    ///
    /// As in [`read_at`](Self::read_at), a mapped file is read. So its pages do not become part of
    /// the process either.
    pub(crate) fn read_through(&self, range: Range<u64>, mut f: impl FnMut(&[u8])) -> Result<()> {
        let len = range.end.saturating_sub(range.start);
        self.expect_inside(range.start, len)?;
        if let Some(bytes) = self.owned_bytes() {
            f(&bytes[range.start as usize..][..len as usize]);
            return Ok(());
        }
        let mut piece = vec![0; len.min(IO_BYTES as u64) as usize];
        let mut at = range.start;
        while at < range.end {
            let piece = &mut piece[..(range.end - at).min(IO_BYTES as u64) as usize];
            self.read_at(at, piece)?;
            f(piece);
            at += piece.len() as u64;
        }
        // The file may have changed, before or meanwhile.
        self.check()
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
        match self.repr() {
            Repr::Mapped(mapped) => mapped.check(),
            Repr::Temporary(temporary) => temporary.watched.check(),
            Repr::Positioned(file) => file.check(),
            // Each read of a remote file checks its version.
            Repr::Memory(_) | Repr::Remote(_) => Ok(()),
        }
    }

    /// Checks that all of a map could be read.
    pub(crate) fn check_map(&self) -> Result<()> {
        match self.repr() {
            Repr::Mapped(mapped) => mapped.check_map(),
            _ => self.check(),
        }
    }

    /// Tells the system how a file will be read. In a large file, reading ahead of a random row
    /// costs far more than the row.
    #[cfg_attr(not(unix), allow(unused_variables))]
    pub(crate) fn advise(&self, random: bool) {
        // Only hints: a system that ignores them is slower, not wrong. Of a small file it is never
        // told anything.
        if self.len() <= SMALL {
            return;
        }
        #[cfg(unix)]
        if let Repr::Mapped(Mapped { map, .. }) | Repr::Temporary(Temporary { map, .. }) =
            self.repr()
        {
            let advice = if random {
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
            let advice = if random {
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

    /// Whether it is a file so large, or so far, that the system does not soon have all of it in
    /// memory.
    pub(crate) fn is_large_file(&self) -> bool {
        self.reader().is_some() || self.kept().is_some() && self.len() > SMALL
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
        matches!(self.repr(), Repr::Memory(_))
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
            if let Repr::Mapped(Mapped { map, .. }) = self.repr() {
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

/// The first bytes of a part of a storage, read with one system call. The headers of a member and
/// of its array are neighbours.
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

    /// The bytes at an offset of the storage, which are read if they are not among the first ones.
    pub(crate) fn get(&self, offset: u64, len: usize) -> Result<Cow<'_, [u8]>> {
        let known = || {
            let at = usize::try_from(offset.checked_sub(self.start)?).ok()?;
            self.bytes.get(at..at.checked_add(len)?)
        };
        if let Some(known) = known() {
            return Ok(known.into());
        }
        let mut bytes = vec![0; len];
        self.storage.read_at(offset, &mut bytes)?;
        Ok(bytes.into())
    }

    pub(crate) fn storage(&self) -> &'a Storage {
        self.storage
    }
}

impl std::fmt::Debug for Storage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.repr() {
            Repr::Mapped(Mapped { file, .. }) => write!(f, "Mapped({:?})", file.path),
            Repr::Positioned(file) => write!(f, "Positioned({:?})", file.path),
            Repr::Memory(memory) => write!(f, "Memory({} bytes)", memory.bytes().len()),
            Repr::Temporary(Temporary { map, .. }) => write!(f, "Temporary({} bytes)", map.len()),
            Repr::Remote(remote) => write!(f, "Remote({:?})", remote.reader.name()),
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
pub(crate) mod tests;
