//! A folder with the files of a cache, and how much they may take.
//!
//! The bound is that of the folder, not of a process. What the files take is what the file system
//! says that they do, so a look at the folder needs no shared book of accounts that could be wrong.
//! A look takes long if there are many files. So a process looks, and may then write an eighth of
//! what is free, or a small part of the bound, until it looks again. Several processes that look at
//! the same time may so together exceed the bound by a little, and so does a file system that says
//! late what files take.
//!
//! If nothing is free, the files that were opened the longest time ago are deleted, except those
//! that someone has open, until a part of the bound is free. If none is left, chunks are not kept:
//! so a file that is larger than the bound keeps the chunks that came first, which for a shuffled
//! order are as good as any others.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::files::{delete, key_of};

/// A process that looks takes this part of what is free, or of what a full folder has free after
/// files were deleted: this part of this part of the bound.
const SHARE: u64 = 8;
/// How long nothing is kept after there was no room, or a write has failed.
const PAUSE: Duration = Duration::from_secs(10);

/// A folder and its bound. A process has one of each.
pub(super) struct Folder {
    path: PathBuf,
    max_bytes: u64,
    room: Mutex<Room>,
    /// How many handles of this process use a key. They may have no descriptor, and so no lock.
    used: Mutex<HashMap<String, usize>>,
}

/// What this process may write.
#[derive(Default)]
struct Room {
    bytes: u64,
    paused: Option<Instant>,
}

/// A file in a folder, as it was found.
struct Found {
    key: String,
    /// When it was opened last, or written to.
    used_at: SystemTime,
    bytes: u64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Folder {
    /// The folder at a path, which is created if it is missing.
    pub(super) fn at(path: &Path, max_bytes: u64) -> io::Result<Arc<Self>> {
        static FOLDERS: Mutex<Vec<Weak<Folder>>> = Mutex::new(Vec::new());

        std::fs::create_dir_all(path)?;
        let path = std::fs::canonicalize(path)?;
        let mut folders = lock(&FOLDERS);
        folders.retain(|folder| folder.strong_count() > 0);
        let same = |folder: &Arc<Self>| folder.path == path && folder.max_bytes == max_bytes;
        if let Some(folder) = folders.iter().filter_map(Weak::upgrade).find(same) {
            return Ok(folder);
        }
        let folder = Arc::new(Self {
            path,
            max_bytes,
            room: Mutex::default(),
            used: Mutex::default(),
        });
        folders.push(Arc::downgrade(&folder));
        Ok(folder)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Keeps this process from deleting the files of a key.
    pub(super) fn uses(self: &Arc<Self>, key: &str) -> InUse {
        *lock(&self.used).entry(key.to_owned()).or_insert(0) += 1;
        InUse {
            folder: self.clone(),
            key: key.to_owned(),
        }
    }

    /// Takes room for some bytes that will be written. `false` if there is none.
    pub(super) fn take(&self, bytes: u64) -> bool {
        let mut room = lock(&self.room);
        if room.bytes < bytes {
            if room.paused.is_some_and(|until| Instant::now() < until) {
                return false;
            }
            let free = self.make_room(bytes);
            if free < bytes {
                room.paused = Some(Instant::now() + PAUSE);
                return false;
            }
            *room = Room {
                bytes: (free / SHARE)
                    .max(free.min(part(self.max_bytes) / SHARE))
                    .max(bytes),
                paused: None,
            };
        }
        room.bytes -= bytes;
        true
    }

    /// What is done after a failed write: a full disk has room once a file is deleted, and for
    /// other reasons nothing is written for a while.
    pub(super) fn failed(&self, error: &io::Error) {
        use io::ErrorKind::{QuotaExceeded, StorageFull};

        let is_full = [QuotaExceeded, StorageFull].contains(&error.kind());
        let mut room = lock(&self.room);
        let found = self.found();
        if !is_full || self.delete_oldest(&found, part(taken(&found))) == 0 {
            *room = Room {
                bytes: 0,
                paused: Some(Instant::now() + PAUSE),
            };
        }
    }

    /// How much is free. If it is less than some bytes, files are deleted first.
    fn make_room(&self, bytes: u64) -> u64 {
        let found = self.found();
        let taken = taken(&found);
        let free = self.max_bytes.saturating_sub(taken);
        if free >= bytes {
            return free;
        }
        let wanted = bytes.max(part(self.max_bytes));
        let above = taken.saturating_sub(self.max_bytes.saturating_sub(wanted));
        let deleted = self.delete_oldest(&found, above);
        self.max_bytes.saturating_sub(taken - deleted)
    }

    /// Deletes files until so many bytes are free that were not, at least one file. Returns how
    /// many they are.
    fn delete_oldest(&self, found: &[Found], bytes: u64) -> u64 {
        let mut deleted = 0;
        for found in found {
            if self.delete(found) {
                deleted += found.bytes;
            }
            if deleted >= bytes.max(1) {
                break;
            }
        }
        deleted
    }

    fn delete(&self, found: &Found) -> bool {
        // The lock is held meanwhile, so that nobody here begins to use it.
        let used = lock(&self.used);
        !used.contains_key(&found.key) && delete(&self.path, &found.key)
    }

    /// The files of the folder, those first that were opened the longest time ago.
    fn found(&self) -> Vec<Found> {
        let mut files: HashMap<String, Found> = HashMap::new();
        for entry in std::fs::read_dir(&self.path)
            .into_iter()
            .flatten()
            .flatten()
        {
            let name = entry.file_name();
            let Some((key, name)) = name.to_str().and_then(|name| Some((key_of(name)?, name)))
            else {
                continue;
            };
            // It may be gone by now.
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            let found = files.entry(key.to_owned()).or_insert_with(|| Found {
                key: key.to_owned(),
                used_at: UNIX_EPOCH,
                bytes: 0,
            });
            found.bytes += allocated(&metadata);
            if name.ends_with(".map") {
                found.used_at = metadata.modified().unwrap_or(UNIX_EPOCH);
            }
        }
        let mut files: Vec<Found> = files.into_values().collect();
        files.sort_by(|a, b| (a.used_at, &a.key).cmp(&(b.used_at, &b.key)));
        files
    }
}

/// The use of a key by this process, while this exists.
pub(super) struct InUse {
    folder: Arc<Folder>,
    key: String,
}

impl InUse {
    pub(super) fn folder(&self) -> &Folder {
        &self.folder
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        let mut used = lock(&self.folder.used);
        if let Some(count) = used.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                used.remove(&self.key);
            }
        }
    }
}

/// How much is deleted of so many bytes at a time.
fn part(bytes: u64) -> u64 {
    bytes / SHARE / SHARE
}

fn taken(found: &[Found]) -> u64 {
    found.iter().map(|found| found.bytes).sum()
}

/// What a file takes on the disk, without its holes.
#[cfg(unix)]
fn allocated(metadata: &std::fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::blocks(metadata) * 512
}

#[cfg(not(unix))]
fn allocated(metadata: &std::fs::Metadata) -> u64 {
    metadata.len()
}
