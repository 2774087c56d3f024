//! An open file: its bytes by position, and whether it has changed since it was opened.

use std::fs::{File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::positioned::read_exact_at;
use crate::{Error, ErrorKind, Result};

/// One check in this many follows the path of the file, which shows that a folder of the path was
/// replaced. Nothing that happens to the file itself needs that.
const CHECKS_PER_PATH: u32 = 64;
/// The share of the descriptors of the process that open files keep. The rest is for the program.
const KEPT_SHARE: u64 = 4;

/// An open file and its state when it was opened.
pub(super) struct OpenFile {
    pub(super) path: PathBuf,
    /// `None` if enough descriptors are kept. Then the file is opened for each use.
    kept: Option<Kept>,
    state: FileState,
    /// Whether it had no name when it was opened, as a file that another process has open.
    is_nameless: bool,
    /// When its attributes changed last, as the first look after it was deleted found.
    deleted: OnceLock<Option<Time>>,
    /// Whether the user says that the times of the file mean nothing.
    ignore_times: bool,
    /// About how often it was checked.
    checks: AtomicU32,
    /// What was done to the file, once that was found.
    changed: OnceLock<String>,
    /// A counter for `readahead`: how many batches in a row were in memory.
    pub(super) cached_streak: AtomicU32,
}

impl OpenFile {
    pub(super) fn open(path: &Path, ignore_times: bool) -> Result<Self> {
        let (file, metadata) = open_regular(path)
            .map_err(|error| Error::io("cannot open the file", error).in_file(path))?;
        Ok(Self::new(path, file, &metadata, ignore_times))
    }

    /// A file that is open already. Its descriptor stays open, so `None` if enough are kept.
    pub(super) fn of_open(path: &Path, file: File, ignore_times: bool) -> Option<Self> {
        let metadata = file.metadata().ok()?;
        let open = Self::new(path, file, &metadata, ignore_times);
        open.kept.is_some().then_some(open)
    }

    fn new(path: &Path, file: File, metadata: &Metadata, ignore_times: bool) -> Self {
        Self {
            // So that the check does not depend on the working directory.
            path: std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf()),
            kept: Kept::new(file),
            state: FileState::new(metadata),
            is_nameless: FileState::new(metadata).links == Some(0),
            deleted: OnceLock::new(),
            ignore_times,
            checks: AtomicU32::new(0),
            changed: OnceLock::new(),
            cached_streak: AtomicU32::new(0),
        }
    }

    /// The length in bytes, from when the file was opened.
    pub(super) fn len(&self) -> u64 {
        self.state.len
    }

    /// The descriptor, if it is kept.
    pub(super) fn kept(&self) -> Option<&File> {
        self.kept.as_ref().map(|kept| &kept.file)
    }

    /// Calls `f` with the file, which is opened for that if its descriptor is not kept.
    pub(super) fn with_file<T>(&self, f: impl FnOnce(&File) -> T) -> Result<T> {
        if let Some(file) = self.kept() {
            return Ok(f(file));
        }
        let (file, metadata) = open_regular(&self.path)
            .map_err(|error| self.lost(error, "cannot open the file again"))?;
        match self.difference(FileState::new(&metadata)) {
            Some(what) => Err(self.has_changed(what)),
            None => Ok(f(&file)),
        }
    }

    /// Reads by position, whether the file is mapped or not.
    pub(super) fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        let read = self.with_file(|file| read_exact_at(file, out, offset))?;
        read.map_err(|error| {
            // A file that shrank is reported as changed, not as a short read.
            match self.check() {
                Err(changed) => changed,
                Ok(()) => Error::io("cannot read the file", error)
                    .in_file(&self.path)
                    .at(offset),
            }
        })
    }

    /// Checks that the file is still the one that was opened, and has the same bytes. Takes one
    /// system call.
    ///
    /// The file itself decides, through its descriptor: its length, and the times at which its
    /// bytes and its attributes changed. The latter cannot be set back. A file that was deleted is
    /// whole as long as it is open, which is no change; another file in its place is one.
    pub(super) fn check(&self) -> Result<()> {
        if let Some(what) = self.changed.get() {
            return Err(self.changed_error(what));
        }
        match self.find_change()? {
            Some(what) => Err(self.has_changed(what)),
            None => Ok(()),
        }
    }

    /// What was done to the file, if anything.
    fn find_change(&self) -> Result<Option<String>> {
        let at_path = || std::fs::metadata(&self.path);
        let Some(file) = self.kept() else {
            let now = at_path().map_err(|error| self.lost(error, "cannot look at the file"))?;
            return Ok(self.difference(FileState::new(&now)));
        };
        let now = FileState::of_open(file)
            .map_err(|error| Error::io("cannot look at the file", error).in_file(&self.path))?;
        let is_deleted = now.links == Some(0) && !self.is_nameless;
        let mut compared = now;
        // Deleting it changed the time at which its attributes changed, once.
        if is_deleted && *self.deleted.get_or_init(|| now.changed) == now.changed {
            compared.changed = self.state.changed;
        }
        let difference = self.difference(compared);
        if difference.is_some() || self.ignore_times {
            return Ok(difference);
        }
        // Threads may lose a count, which does no harm.
        let checks = self.checks.load(Ordering::Relaxed).wrapping_add(1);
        self.checks.store(checks, Ordering::Relaxed);
        if !is_deleted && !checks.is_multiple_of(CHECKS_PER_PATH) {
            return Ok(None);
        }
        // Inode numbers are not compared: some network mounts give others at each look. What is at
        // the path of a file without a name is another file.
        let is_other = at_path().is_ok_and(|there| is_deleted || FileState::new(&there) != now);
        Ok(is_other.then(|| "was replaced by another file".to_owned()))
    }

    /// How the state of the file differs from when it was opened.
    fn difference(&self, now: FileState) -> Option<String> {
        let before = self.state;
        if now.len != before.len {
            Some(format!("was {} bytes and is now {}", before.len, now.len))
        } else if self.ignore_times || now == before {
            None
        } else if now.modified != before.modified {
            Some("was written to".to_owned())
        } else {
            Some(
                "was written to and its time was set back, or its attributes or its name were \
                 changed"
                    .to_owned(),
            )
        }
    }

    /// The error for a file whose path leads nowhere, while its descriptor is not kept.
    fn lost(&self, error: io::Error, what: &str) -> Error {
        if error.kind() == io::ErrorKind::NotFound {
            return self.has_changed("was deleted or moved".to_owned());
        }
        Error::io(what, error).in_file(&self.path)
    }

    /// Remembers a change, since a file that has changed once stays another.
    fn has_changed(&self, what: String) -> Error {
        self.changed_error(self.changed.get_or_init(|| what))
    }

    fn changed_error(&self, what: &str) -> Error {
        Error::new(ErrorKind::Changed, format!("the file {what} while in use")).in_file(&self.path)
    }
}

/// Opens a regular file. Others are refused before they are opened, since opening a pipe waits for
/// a writer.
fn open_regular(path: &Path) -> io::Result<(File, Metadata)> {
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
}

/// How many descriptors are kept.
static KEPT: AtomicU64 = AtomicU64::new(0);

/// A descriptor that stays open. They are a part of those that the process may have.
struct Kept {
    file: File,
    _counted: Counted,
}

impl Kept {
    /// `None` if enough are kept already.
    fn new(file: File) -> Option<Self> {
        let counted = Counted::descriptors(&KEPT, 1);
        counted.map(|_counted| Self { file, _counted })
    }
}

/// One of those things of which the process may have a number, while it exists.
pub(crate) struct Counted(&'static AtomicU64);

impl Counted {
    /// `None` if there are so many already that they have their share of the descriptors of the
    /// process, of which each has some.
    pub(crate) fn descriptors(count: &'static AtomicU64, each: u64) -> Option<Self> {
        Self::below(count, max_descriptors() / KEPT_SHARE / each)
    }

    /// `None` if there are `max` already.
    pub(super) fn below(count: &'static AtomicU64, max: u64) -> Option<Self> {
        let more = |count| (count < max).then_some(count + 1);
        let counted = count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        counted.ok().map(|_| Self(count))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How many descriptors the process may have.
fn max_descriptors() -> u64 {
    #[cfg(unix)]
    {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
        limit.current.unwrap_or(u64::MAX)
    }
    // Windows has no such limit.
    #[cfg(not(unix))]
    u64::MAX
}

/// Seconds since 1970, and nanoseconds.
type Time = (i64, i64);

/// What changes with the bytes of a file.
#[derive(Clone, Copy)]
struct FileState {
    len: u64,
    modified: Option<Time>,
    /// When its bytes, its attributes or its name changed. No program can set it.
    changed: Option<Time>,
    /// How many names the file has, which may change.
    links: Option<u64>,
}

impl PartialEq for FileState {
    fn eq(&self, other: &Self) -> bool {
        let compared = |state: &Self| (state.len, state.modified, state.changed);
        compared(self) == compared(other)
    }
}

#[cfg(unix)]
impl FileState {
    fn new(metadata: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        Self {
            len: metadata.len(),
            modified: Some((metadata.mtime(), metadata.mtime_nsec())),
            changed: Some((metadata.ctime(), metadata.ctime_nsec())),
            links: Some(metadata.nlink()),
        }
    }

    /// The state of an open file, without what the standard library asks for besides.
    // The types of the fields differ between systems.
    #[allow(clippy::unnecessary_cast)]
    fn of_open(file: &File) -> io::Result<Self> {
        let stat = rustix::fs::fstat(file)?;
        Ok(Self {
            len: stat.st_size as u64,
            modified: Some((stat.st_mtime as i64, stat.st_mtime_nsec as i64)),
            changed: Some((stat.st_ctime as i64, stat.st_ctime_nsec as i64)),
            links: Some(stat.st_nlink as u64),
        })
    }
}

#[cfg(not(unix))]
impl FileState {
    fn new(metadata: &Metadata) -> Self {
        let since_1970 = |time: std::time::SystemTime| time.duration_since(std::time::UNIX_EPOCH);
        let modified = metadata
            .modified()
            .ok()
            .and_then(|time| since_1970(time).ok());
        Self {
            len: metadata.len(),
            modified: modified.map(|time| (time.as_secs() as i64, time.subsec_nanos().into())),
            changed: None,
            links: None,
        }
    }

    fn of_open(file: &File) -> io::Result<Self> {
        Ok(Self::new(&file.metadata()?))
    }
}
