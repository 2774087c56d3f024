//! The two local files of a remote file, and what is in the map: a text that says what the file is,
//! padded to a multiple of 64 bytes, then 64 bytes of [`State`], then an [`Entry`] for each chunk.

#[cfg(not(windows))]
use std::fs::TryLockError;
use std::fs::{File, Metadata, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::order::hash::Hash;
use crate::positioned::{read_exact_at, write_all_at};

/// Another one for each change of the map.
const FORMAT: u32 = 1;
/// What an entry is known by.
const MARK: u32 = u32::from_le_bytes(*b"npyc");
const STATE_BYTES: u64 = 64;
const ENTRY_BYTES: u64 = 8;
/// How long others may take to begin or to delete a file, in milliseconds, until it is not used.
const PATIENCE: u32 = 200;

/// What a local file is: what the start of its map must say.
#[derive(Debug)]
pub(super) struct Format {
    pub(super) len: u64,
    pub(super) chunk_bytes: u64,
    folder: PathBuf,
    key: String,
    text: Vec<u8>,
}

impl Format {
    pub(super) fn new(
        folder: &Path,
        name: &str,
        version: &str,
        len: u64,
        chunk_bytes: u64,
    ) -> Self {
        // Quoted, so that no two names and versions have the same text.
        let mut text = format!(
            "burn-npy cache {FORMAT}\nname {name:?}\nversion {version:?}\nlength {len}\n\
             chunk {chunk_bytes}\n"
        )
        .into_bytes();
        text.resize(text.len().next_multiple_of(64), b'\n');
        let mut hash = Hash(0);
        let words = text.chunks_exact(8).map(|word| {
            let word = word.try_into();
            word.map_or(0, u64::from_le_bytes)
        });
        hash.add(words);
        Self {
            len,
            chunk_bytes,
            folder: folder.to_path_buf(),
            key: format!("{:016x}", hash.0),
            text,
        }
    }

    /// What the two files are called.
    pub(super) fn key(&self) -> &str {
        &self.key
    }

    pub(super) fn data_path(&self) -> PathBuf {
        data_path(&self.folder, &self.key)
    }

    pub(super) fn chunks(&self) -> u64 {
        self.len.div_ceil(self.chunk_bytes)
    }

    /// The bytes of a chunk; empty if there is no such chunk.
    pub(super) fn range(&self, chunk: u64) -> Range<u64> {
        let start = chunk.saturating_mul(self.chunk_bytes).min(self.len);
        start..start.saturating_add(self.chunk_bytes).min(self.len)
    }

    fn state_at(&self) -> u64 {
        self.text.len() as u64
    }

    fn map_len(&self) -> u64 {
        let entries = self.chunks().saturating_mul(ENTRY_BYTES);
        entries.saturating_add(self.state_at() + STATE_BYTES)
    }
}

pub(super) fn data_path(folder: &Path, key: &str) -> PathBuf {
    folder.join(format!("{key}.data"))
}

pub(super) fn map_path(folder: &Path, key: &str) -> PathBuf {
    folder.join(format!("{key}.map"))
}

/// The key that the name of one of our files has.
pub(super) fn key_of(name: &str) -> Option<&str> {
    let key = name
        .strip_suffix(".data")
        .or_else(|| name.strip_suffix(".map"))?;
    let is_hex = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    (key.len() == 16 && key.bytes().all(is_hex)).then_some(key)
}

/// The checksum of a chunk that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry(u32);

impl Entry {
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self(crc32fast::hash(bytes))
    }

    fn to_bytes(self) -> [u8; ENTRY_BYTES as usize] {
        let entry = u64::from(MARK) << 32 | u64::from(self.0);
        entry.to_le_bytes()
    }

    fn from_bytes(bytes: [u8; ENTRY_BYTES as usize]) -> Option<Self> {
        let entry = u64::from_le_bytes(bytes);
        ((entry >> 32) as u32 == MARK).then_some(Self(entry as u32))
    }
}

/// The random number of a beginning, and the time of the data when all of it was on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    beginning: u64,
    whole: Option<Time>,
}

/// Seconds and nanoseconds since 1970.
type Time = (u64, u32);

fn modified(metadata: &Metadata) -> Option<Time> {
    let since = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some((since.as_secs(), since.subsec_nanos()))
}

impl State {
    fn to_bytes(self) -> [u8; STATE_BYTES as usize] {
        let mut bytes = [0; STATE_BYTES as usize];
        bytes[..8].copy_from_slice(&self.beginning.to_le_bytes());
        if let Some((seconds, nanos)) = self.whole {
            bytes[8..16].copy_from_slice(&seconds.to_le_bytes());
            bytes[16..20].copy_from_slice(&nanos.to_le_bytes());
            let sum = crc32fast::hash(&bytes[..20]);
            bytes[20..24].copy_from_slice(&sum.to_le_bytes());
        }
        bytes
    }

    /// A note that is not the one that was written is none.
    fn from_bytes(bytes: &[u8]) -> Self {
        let word = |at: usize| {
            let word = bytes.get(at..at + 4).and_then(|word| word.try_into().ok());
            word.map_or(0, u32::from_le_bytes)
        };
        let long = |at| u64::from(word(at)) | u64::from(word(at + 4)) << 32;
        let is_whole = bytes.get(..20).map(crc32fast::hash) == Some(word(20));
        Self {
            beginning: long(0),
            whole: is_whole.then(|| (long(8), word(16))),
        }
    }
}

/// The two files, open, with a shared lock.
#[derive(Debug)]
pub(super) struct Files {
    pub(super) data: File,
    map: File,
    state_at: u64,
    state: State,
}

impl Files {
    /// Opens the files, and begins them if there are none, or others, or half of them. `None` if
    /// another has those open, or does not finish.
    pub(super) fn open(format: &Format) -> io::Result<Option<Self>> {
        for turn in 0..PATIENCE {
            if turn > 0 {
                sleep(Duration::from_millis(1));
            }
            let map = open(
                &map_path(&format.folder, &format.key),
                OpenOptions::new().create(true),
            )?;
            if Lock::shared(&map) == Lock::Refused || is_deleted(&map)? {
                continue;
            }
            if let Some((data, state)) = Self::of_map(&map, format)? {
                return Ok(Some(Self::new(data, map, format, state)));
            }
            // Nobody else may have it open while it is begun.
            let _ = map.unlock();
            if Lock::exclusive(&map) != Lock::Refused && !is_deleted(&map)? {
                begin(&map, format)?;
            }
        }
        Ok(None)
    }

    /// Opens the files as they are. `None` if they are gone, or others.
    pub(super) fn reopen(format: &Format) -> io::Result<Option<Self>> {
        let path = map_path(&format.folder, &format.key);
        let map = open(&path, &mut OpenOptions::new())?;
        if Lock::shared(&map) == Lock::Refused || is_deleted(&map)? {
            return Ok(None);
        }
        let found = Self::of_map(&map, format)?;
        Ok(found.map(|(data, state)| Self::new(data, map, format, state)))
    }

    /// The data of a map, and its state. `None` if one of them is missing or of another length.
    fn of_map(map: &File, format: &Format) -> io::Result<Option<(File, State)>> {
        let Some(state) = read_state(map, format)? else {
            return Ok(None);
        };
        let data = match open(&format.data_path(), &mut OpenOptions::new()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            data => data?,
        };
        let is_long = data.metadata()?.len() == format.len;
        Ok(is_long.then_some((data, state)))
    }

    fn new(data: File, map: File, format: &Format, state: State) -> Self {
        Self {
            data,
            map,
            state_at: format.state_at(),
            state,
        }
    }

    /// The random number of the beginning of the files.
    pub(super) fn beginning(&self) -> u64 {
        self.state.beginning
    }

    /// Notes that the files are used now.
    pub(super) fn touch(&self) {
        let _ = self.map.set_modified(SystemTime::now());
    }

    /// Whether all data was on the disk, and nobody has written to it since.
    pub(super) fn is_whole(&self, format: &Format) -> bool {
        let same = |found: &Metadata| {
            self.state.whole.is_some()
                && modified(found) == self.state.whole
                && found.len() == format.len
        };
        self.data.metadata().is_ok_and(|found| same(&found))
    }

    /// Writes all data to the disk, then the note that it is there.
    pub(super) fn complete(&self, format: &Format) -> io::Result<()> {
        // The time comes first, so that what another process writes meanwhile is another time.
        let found = self.data.metadata()?;
        if found.len() != format.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.data.sync_data()?;
        let state = State {
            beginning: self.state.beginning,
            whole: modified(&found),
        };
        // Without the note, the next process compares all chunks.
        let _ = write_all_at(&self.map, &state.to_bytes(), self.state_at);
        Ok(())
    }

    /// The entry of a chunk. One that cannot be read is none.
    pub(super) fn entry(&self, chunk: u64) -> Option<Entry> {
        let mut bytes = [0; ENTRY_BYTES as usize];
        read_exact_at(&self.map, &mut bytes, self.entry_at(chunk)).ok()?;
        Entry::from_bytes(bytes)
    }

    /// Writes the bytes of a chunk, then its entry.
    pub(super) fn write(&self, chunk: u64, offset: u64, bytes: &[u8]) -> io::Result<()> {
        write_all_at(&self.data, bytes, offset)?;
        let entry = Entry::of(bytes).to_bytes();
        write_all_at(&self.map, &entry, self.entry_at(chunk))
    }

    /// A chunk that is damaged is not there. If this fails, it is found to be damaged again.
    pub(super) fn remove_entry(&self, chunk: u64) {
        let _ = write_all_at(&self.map, &[0; ENTRY_BYTES as usize], self.entry_at(chunk));
    }

    fn entry_at(&self, chunk: u64) -> u64 {
        self.state_at + STATE_BYTES + chunk * ENTRY_BYTES
    }
}

/// Opens one of the files, for reading and writing.
fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    // On Windows nobody deletes a file that another has open like this. Locks would not do: nobody
    // can write to what is locked there.
    #[cfg(windows)]
    {
        use std::os::windows::fs::OpenOptionsExt;
        const READ_AND_WRITE: u32 = 1 | 2;
        options.share_mode(READ_AND_WRITE);
    }
    options.read(true).write(true).open(path)
}

/// What became of a lock that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    windows,
    allow(dead_code, reason = "there, an open file is its own lock")
)]
enum Lock {
    Taken,
    /// Another has one that does not allow it.
    Refused,
    /// The file system has no locks.
    Unknown,
}

impl Lock {
    #[cfg(not(windows))]
    fn of(result: Result<(), TryLockError>) -> Self {
        match result {
            Ok(()) => Self::Taken,
            Err(TryLockError::WouldBlock) => Self::Refused,
            Err(TryLockError::Error(_)) => Self::Unknown,
        }
    }

    #[cfg(not(windows))]
    fn shared(file: &File) -> Self {
        Self::of(file.try_lock_shared())
    }

    #[cfg(not(windows))]
    fn exclusive(file: &File) -> Self {
        Self::of(file.try_lock())
    }

    #[cfg(windows)]
    fn shared(_: &File) -> Self {
        Self::Taken
    }

    #[cfg(windows)]
    fn exclusive(_: &File) -> Self {
        Self::Taken
    }
}

/// Whether a file was deleted since it was opened, and so has a lock that says nothing.
fn is_deleted(file: &File) -> io::Result<bool> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        Ok(file.metadata()?.nlink() == 0)
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        Ok(false)
    }
}

/// The state of a map. `None` if it is not of this format, or is not finished.
fn read_state(map: &File, format: &Format) -> io::Result<Option<State>> {
    if map.metadata()?.len() != format.map_len() {
        return Ok(None);
    }
    let mut head = vec![0; format.text.len() + STATE_BYTES as usize];
    read_exact_at(map, &mut head, 0)?;
    let (text, state) = head.split_at(format.text.len());
    Ok((text == format.text).then(|| State::from_bytes(state)))
}

/// Begins a map in which no chunk is there, or goes on with one whose data was deleted or cut: what
/// is missing of it is a hole. The text comes last, so that a map without its end is one of another
/// format. The data gets its length after the new random number, so that nobody who has the old one
/// takes the holes for what he has seen.
fn begin(map: &File, format: &Format) -> io::Result<()> {
    if Files::of_map(map, format)?.is_some() {
        return Ok(());
    }
    let is_known = read_state(map, format)?.is_some();
    let data = open(&format.data_path(), OpenOptions::new().create(true))?;
    if !is_known {
        map.set_len(0)?;
        map.set_len(format.map_len())?;
    }
    // Each state of the hasher is another.
    let state = State {
        beginning: RandomState::new().hash_one(std::process::id()),
        whole: None,
    };
    write_all_at(map, &state.to_bytes(), format.state_at())?;
    data.set_len(format.len)?;
    write_all_at(map, &format.text, 0)
}

/// Deletes the files of a key, unless someone has them open. Returns whether they are gone.
pub(super) fn delete(folder: &Path, key: &str) -> bool {
    let map_path = map_path(folder, key);
    // Data without a map gets one, so that its lock says the same to everybody.
    let Ok(map) = open(&map_path, OpenOptions::new().create(true)) else {
        return false;
    };
    if Lock::exclusive(&map) != Lock::Taken || is_deleted(&map).unwrap_or(true) {
        return false;
    }
    let is_gone = |path: &Path| match std::fs::remove_file(path) {
        Ok(()) => true,
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    };
    // The data first: a map without data is found and deleted later, and nobody believes it.
    is_gone(&data_path(folder, key)) && is_gone(&map_path)
}
