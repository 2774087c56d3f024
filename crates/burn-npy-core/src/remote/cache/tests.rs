//! Local files that are written, read, damaged, shared and deleted.
//!
//! Two handles in one process are as two processes: each has its own descriptors and locks, and
//! knows nothing of the other. `tests/cache.rs` has processes. How much files take is tested on
//! Linux, whose file systems tell it at once.

use std::fs;
use std::time::{Duration, Instant, SystemTime};

use proptest::prelude::*;
use tempfile::TempDir;

use super::files::{data_path, map_path};
use super::*;
use crate::positioned::write_all_at;

/// Small chunks, so that a file has many. A page, so that holes are possible.
const CHUNK: u64 = 4096;
const PLENTY: u64 = 1 << 40;

/// What the remote file has.
fn remote(len: u64) -> Vec<u8> {
    (0..len).map(|i| (i * 31 % 251 + i / 4096) as u8).collect()
}

struct Dir {
    dir: TempDir,
    max_bytes: u64,
}

impl Dir {
    fn new(max_bytes: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { dir, max_bytes }
    }

    fn folder(&self) -> Arc<Folder> {
        Folder::at(self.dir.path(), self.max_bytes).unwrap()
    }

    fn open(&self, name: &str, len: u64) -> CacheFile {
        let file = CacheFile::open_in(&self.folder(), name, "v1", len, CHUNK);
        file.unwrap().unwrap()
    }

    fn names(&self) -> Vec<String> {
        let names = fs::read_dir(self.dir.path()).unwrap();
        let mut names: Vec<String> = names
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn paths(&self, file: &CacheFile) -> (PathBuf, PathBuf) {
        let folder = fs::canonicalize(self.dir.path()).unwrap();
        let key = file.format.key();
        (data_path(&folder, key), map_path(&folder, key))
    }
}

fn write(file: &CacheFile, bytes: &[u8], chunk: u64) -> bool {
    let range = file.range(chunk);
    let is_kept = file.write(chunk, &bytes[range.start as usize..range.end as usize]);
    file.settle();
    is_kept
}

fn fill(file: &CacheFile, bytes: &[u8]) {
    for chunk in 0..file.format.chunks() {
        assert!(write(file, bytes, chunk));
    }
}

/// Reads a range, and checks the bytes if they are there.
fn reads(file: &CacheFile, bytes: &[u8], range: Range<u64>) -> bool {
    let mut out = vec![0xaa; (range.end - range.start) as usize];
    let is_there = file.read(range.start, &mut out);
    // Another thread may make the file whole.
    let start = Instant::now();
    while Arc::strong_count(&file.0) > 1 {
        assert!(start.elapsed() < Duration::from_secs(60));
        std::thread::yield_now();
    }
    if is_there {
        assert!(
            out == bytes[range.start as usize..range.end as usize],
            "wrong bytes in {range:?}"
        );
    }
    is_there
}

fn there(file: &CacheFile, bytes: &[u8]) -> Vec<u64> {
    let chunks = 0..file.format.chunks();
    chunks
        .filter(|chunk| reads(file, bytes, file.range(*chunk)))
        .collect()
}

#[test]
fn chunks_that_were_written_are_read() {
    for len in [1, CHUNK - 1, CHUNK, CHUNK + 1, 70 * CHUNK, 130 * CHUNK + 5] {
        let (dir, bytes) = (Dir::new(PLENTY), remote(len));
        let file = dir.open("x", len);
        let chunks = file.format.chunks();
        assert!(there(&file, &bytes).is_empty());
        for chunk in (0..chunks).rev() {
            assert!(!file.is_whole() && !file.has(chunk));
            assert!(write(&file, &bytes, chunk) && write(&file, &bytes, chunk));
            assert!(file.has(chunk));
            // All that is after it is there, and what is before it is not.
            let start = file.range(chunk).start;
            for from in [start, len - 1, len - (len - start) / 2] {
                assert!(reads(&file, &bytes, from..len));
            }
            assert!(start == 0 || !reads(&file, &bytes, start - 1..len));
        }
        assert!(file.is_whole());
        assert!(file.read(0, &mut []) && file.read(len, &mut []));
        // Beyond the end there is nothing, and it is no chunk.
        for (offset, len) in [(len, 1), (len - 1, 2), (u64::MAX, 1), (0, len as usize + 1)] {
            assert!(!file.read(offset, &mut vec![0; len]));
        }
        for chunk in [chunks, chunks + 64, u64::MAX] {
            assert!(!file.has(chunk) && !file.write(chunk, &[]) && !file.write(chunk, &[0]));
        }
        let (file, path) = file.whole().unwrap();
        assert_eq!(file.metadata().unwrap().len(), len);
        assert!(fs::read(path).unwrap() == bytes);
    }
}

/// The last chunk is handed on before the disk has all of the file.
#[test]
fn a_file_is_whole_once_it_is_settled() {
    let dir = Dir::new(PLENTY);
    let file = dir.open("x", 10);
    assert!(file.write(0, &[7; 10]));
    assert!(reads(&file, &[7; 10], 0..10));
    assert!(!file.is_whole() && file.whole().is_none());
    assert!(!dir.open("x", 10).is_whole());
    file.settle();
    assert!(file.is_whole() && file.whole().is_some());
    assert!(dir.open("x", 10).is_whole());
}

#[test]
fn a_chunk_of_another_length_is_not_kept() {
    let dir = Dir::new(PLENTY);
    let file = dir.open("x", CHUNK + 10);
    for (chunk, len) in [(0, CHUNK - 1), (0, CHUNK + 1), (0, 0), (1, 9), (1, CHUNK)] {
        assert!(!file.write(chunk, &vec![7; len as usize]));
        assert!(!file.has(chunk));
    }
}

#[test]
fn what_has_no_version_or_no_bytes_is_not_kept() {
    let dir = tempfile::tempdir().unwrap();
    let open = |version, len| CacheFile::open(dir.path(), PLENTY, "x", version, len).unwrap();
    assert!(open(None, 10).is_none());
    assert!(open(Some("v"), 0).is_none());
    assert_eq!(open(Some("v"), 10).unwrap().chunk_bytes(), CHUNK_BYTES);
    // A length that no file can have, and a map that nobody could keep in memory.
    assert!(open(Some("v"), u64::MAX).is_none());
    assert!(open(Some("v"), 1 << 62).is_none());
}

#[test]
fn handles_share_what_they_write() {
    let (dir, bytes) = (Dir::new(PLENTY), remote(10 * CHUNK));
    let [a, b] = [0, 1].map(|_| dir.open("x", 10 * CHUNK));
    for chunk in 0..10 {
        let [writer, other] = if chunk % 2 == 0 { [&a, &b] } else { [&b, &a] };
        assert!(!other.has(chunk));
        assert!(write(writer, &bytes, chunk));
        assert!(other.has(chunk));
        assert!(reads(other, &bytes, 0..(chunk + 1) * CHUNK));
    }
    assert!(a.is_whole() && b.is_whole());
    drop((a, b));
    assert!(dir.open("x", 10 * CHUNK).is_whole());
}

#[test]
fn each_name_version_and_length_is_another_file() {
    let dir = Dir::new(PLENTY);
    let folder = dir.folder();
    let open = |name, version, len, chunk| {
        let file = CacheFile::open_in(&folder, name, version, len, chunk);
        file.unwrap().unwrap()
    };
    let of = [
        ("x", "v1", 10, CHUNK),
        ("y", "v1", 10, CHUNK),
        ("x", "v2", 10, CHUNK),
        ("x", "v1", 11, CHUNK),
        ("x", "v1", 10, 2 * CHUNK),
        // What could be taken for the lines of another.
        ("x\"\nversion \"v1", "v1", 10, CHUNK),
        ("x", "v1\"\nversion \"v1", 10, CHUNK),
    ];
    let bytes = |number: usize| vec![number as u8; of[number].2 as usize];
    for (number, (name, version, len, chunk)) in of.into_iter().enumerate() {
        let file = open(name, version, len, chunk);
        assert!(!file.has(0));
        assert!(file.write(0, &bytes(number)));
    }
    for (number, (name, version, len, chunk)) in of.into_iter().enumerate() {
        let file = open(name, version, len, chunk);
        assert!(reads(&file, &bytes(number), 0..len));
    }
    assert_eq!(dir.names().len(), 2 * of.len());
}

type Damage = (&'static str, fn(&Path, &Path));

fn for_writing(path: &Path) -> File {
    File::options().write(true).open(path).unwrap()
}

fn flip(path: &Path, at: u64) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at as usize] ^= 4;
    write_all_at(&for_writing(path), &bytes, 0).unwrap();
}

fn entries_at(map: &Path) -> u64 {
    fs::metadata(map).unwrap().len() - 8 * 6
}

/// Each damages chunk 2 of 6, or more.
const DAMAGES: [Damage; 14] = [
    ("a bit of the data", |data, _| flip(data, 2 * CHUNK + 77)),
    ("zeros in the data", |data, _| {
        write_all_at(&for_writing(data), &[0; CHUNK as usize], 2 * CHUNK).unwrap();
    }),
    ("data that was cut", |data, _| {
        for_writing(data).set_len(2 * CHUNK + 10).unwrap();
    }),
    ("data that was cut and is long again", |data, _| {
        for_writing(data).set_len(2 * CHUNK).unwrap();
        for_writing(data).set_len(5 * CHUNK + 5).unwrap();
    }),
    ("longer data of others", |data, _| {
        fs::write(data, vec![9; 7 * CHUNK as usize]).unwrap();
    }),
    ("no data", |data, _| fs::remove_file(data).unwrap()),
    ("a checksum", |_, map| flip(map, entries_at(map) + 2 * 8)),
    ("a mark", |_, map| flip(map, entries_at(map) + 2 * 8 + 4)),
    ("the entry of another chunk", |_, map| {
        let (at, bytes) = (entries_at(map) as usize, fs::read(map).unwrap());
        let other = &bytes[at + 8..at + 16];
        write_all_at(&for_writing(map), other, (at + 2 * 8) as u64).unwrap();
    }),
    ("the text of the map", |_, map| flip(map, 20)),
    ("the end of the map", |_, map| {
        for_writing(map).set_len(entries_at(map) + 2 * 8).unwrap();
    }),
    ("a longer map", |_, map| {
        let len = fs::metadata(map).unwrap().len();
        for_writing(map).set_len(len + 1).unwrap();
    }),
    ("an empty map", |_, map| {
        for_writing(map).set_len(0).unwrap()
    }),
    ("no map", |_, map| fs::remove_file(map).unwrap()),
];

#[test]
fn what_is_damaged_is_missing_and_is_written_again() {
    let len = 5 * CHUNK + 5;
    let bytes = remote(len);
    for (what, damage) in DAMAGES {
        for (is_open, all) in [(true, false), (false, false), (false, true)] {
            let dir = Dir::new(PLENTY);
            let writer = dir.open("x", len);
            for chunk in [0, 1, 2, 3, 4, 5] {
                assert!((!all && chunk == 4) || write(&writer, &bytes, chunk));
            }
            assert_eq!(writer.is_whole(), all);
            let (data, map) = dir.paths(&writer);
            let open = is_open.then(|| dir.open("x", len));
            drop(writer);
            // What was whole is believed until its time is another.
            std::thread::sleep(Duration::from_millis(if all { 10 } else { 0 }));
            damage(&data, &map);
            // Who has the files open keeps those that are deleted, and does not look at what the
            // map says of itself any more. The next one finds nothing.
            let unseen = ["no data", "no map", "the text of the map", "a longer map"];
            let stays = is_open && unseen.contains(&what);
            let is_lost = stays || is_open && what == "an empty map";
            let reader = open.unwrap_or_else(|| dir.open("x", len));
            // A whole file is believed if it is the map that is damaged.
            let believed = all && [DAMAGES[6].0, DAMAGES[7].0, DAMAGES[8].0].contains(&what);
            assert_eq!(reader.is_whole(), believed, "{what}");
            let found = there(&reader, &bytes);
            assert_eq!(found.contains(&2), stays || believed, "{what}: {found:?}");
            assert_eq!(there(&reader, &bytes), found, "{what}: twice");
            // What is not damaged is not fetched again.
            if what.starts_with("a ") && !what.contains("map") {
                assert!(found.starts_with(&[0, 1]), "{what}: {found:?}");
            }
            for chunk in 0..6 {
                assert!(write(&reader, &bytes, chunk), "{what}");
            }
            // A file of another length than it had is used again when it is opened again.
            if is_open && what.starts_with("longer") {
                assert!(there(&reader, &bytes).is_empty());
            } else {
                assert_eq!(there(&reader, &bytes), [0, 1, 2, 3, 4, 5], "{what}");
                assert!(reader.is_whole());
            }
            drop(reader);
            let again = dir.open("x", len);
            let found = there(&again, &bytes).len();
            assert_eq!(found, if is_lost { 0 } else { 6 }, "{what}");
        }
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_hole_is_missing() {
    use rustix::fs::{FallocateFlags, fallocate};

    let (dir, bytes) = (Dir::new(PLENTY), remote(4 * CHUNK));
    let file = dir.open("x", 4 * CHUNK);
    (0..3).for_each(|chunk| assert!(write(&file, &bytes, chunk)));
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    fallocate(for_writing(&dir.paths(&file).0), flags, CHUNK, CHUNK).unwrap();
    drop(file);
    let file = dir.open("x", 4 * CHUNK);
    assert!(file.has(1));
    assert_eq!(there(&file, &bytes), [0, 2]);
    assert!(!file.has(1));
    fill(&file, &bytes);
    assert_eq!(there(&file, &bytes), [0, 1, 2, 3]);
}

/// Data that is cut while its chunks are known to be there.
#[test]
fn what_was_seen_and_is_gone_is_missing() {
    let (dir, bytes) = (Dir::new(PLENTY), remote(4 * CHUNK));
    let file = dir.open("x", 4 * CHUNK);
    (0..3).for_each(|chunk| assert!(write(&file, &bytes, chunk)));
    for_writing(&dir.paths(&file).0).set_len(CHUNK).unwrap();
    assert!(!reads(&file, &bytes, 0..3 * CHUNK));
    // Nobody knows what else has changed, so the file is not used any more.
    assert!(there(&file, &bytes).is_empty() && !write(&file, &bytes, 3));
    drop(file);
    assert_eq!(there(&dir.open("x", 4 * CHUNK), &bytes), [0]);
}

#[test]
fn a_whole_file_is_believed_unless_it_has_another_time() {
    let (dir, bytes) = (Dir::new(PLENTY), remote(3 * CHUNK));
    let file = dir.open("x", 3 * CHUNK);
    fill(&file, &bytes);
    let (data, _) = dir.paths(&file);
    drop(file);
    assert!(dir.open("x", 3 * CHUNK).is_whole());
    for_writing(&data)
        .set_modified(SystemTime::now() + Duration::from_secs(5))
        .unwrap();
    for round in 0..2 {
        let file = dir.open("x", 3 * CHUNK);
        assert_eq!(file.is_whole(), round == 1);
        assert_eq!(there(&file, &bytes), [0, 1, 2]);
        assert!(file.is_whole());
    }
}

/// Whoever compares the last chunk does not wait for the disk, and may drop the file at once.
#[test]
fn a_file_that_was_compared_becomes_whole_by_itself() {
    let (dir, bytes) = (Dir::new(PLENTY), remote(3 * CHUNK));
    let file = dir.open("x", 3 * CHUNK);
    fill(&file, &bytes);
    let data = dir.paths(&file).0;
    drop(file);
    for_writing(&data)
        .set_modified(SystemTime::now() + Duration::from_secs(5))
        .unwrap();
    let file = dir.open("x", 3 * CHUNK);
    let mut out = vec![0; bytes.len()];
    assert!(!file.is_whole() && file.read(0, &mut out) && out == bytes);
    drop(file);
    let start = Instant::now();
    while !dir.open("x", 3 * CHUNK).is_whole() {
        assert!(start.elapsed() < Duration::from_secs(60), "never whole");
    }
}

/// The map of another file at our path, as if two had one key.
#[test]
fn a_collision_of_keys_is_never_believed() {
    let dir = Dir::new(PLENTY);
    let (one, two) = (dir.open("x", CHUNK), dir.open("y", CHUNK));
    assert!(one.write(0, &[1; CHUNK as usize]) && two.write(0, &[2; CHUNK as usize]));
    let (from, to) = (dir.paths(&one), dir.paths(&two));
    drop((one, two));
    fs::copy(&from.0, &to.0).unwrap();
    fs::copy(&from.1, &to.1).unwrap();
    // While the other is in use, ours is not kept.
    let other = File::open(&to.1).unwrap();
    other.lock_shared().unwrap();
    let open = || CacheFile::open_in(&dir.folder(), "y", "v1", CHUNK, CHUNK).unwrap();
    assert!(open().is_none());
    drop(other);
    let file = open().unwrap();
    assert!(!file.has(0) && !file.is_whole());
    assert!(file.write(0, &[2; CHUNK as usize]));
    assert!(reads(&dir.open("y", CHUNK), &[2; CHUNK as usize], 0..CHUNK));
}

/// A file of the folder, opened so many seconds ago.
fn aged(dir: &Dir, name: &str, chunks: u64, seconds: u64) -> CacheFile {
    let file = dir.open(name, chunks * CHUNK);
    fill(&file, &remote(chunks * CHUNK));
    let time = SystemTime::now() - Duration::from_secs(seconds);
    for_writing(&dir.paths(&file).1).set_modified(time).unwrap();
    file
}

/// What the data of the folder takes, which the maps do not count in.
#[cfg(target_os = "linux")]
fn taken(dir: &Dir) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let path = |name: &String| dir.dir.path().join(name);
    let names = dir.names();
    names
        .iter()
        .map(|name| fs::metadata(path(name)).unwrap().blocks() * 512)
        .sum()
}

#[test]
#[cfg(target_os = "linux")]
fn the_oldest_file_that_nobody_uses_makes_room() {
    // Four files of ten chunks, and a map of a page for each.
    let dir = Dir::new(4 * 11 * CHUNK);
    let names = |files: &[&(PathBuf, PathBuf)]| {
        let mut names: Vec<String> = files
            .iter()
            .flat_map(|(data, map)| [data, map])
            .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
            .collect();
        names.sort();
        names
    };
    let old: Vec<CacheFile> = [("a", 300), ("b", 100), ("c", 400), ("d", 200)]
        .into_iter()
        .map(|(name, seconds)| aged(&dir, name, 10, seconds))
        .collect();
    let paths: Vec<_> = old.iter().map(|file| dir.paths(file)).collect();
    let [a, b, c, d] = <[CacheFile; 4]>::try_from(old).ok().unwrap();
    fs::write(dir.dir.path().join("of the user"), "kept").unwrap();
    fs::write(dir.dir.path().join("0123456789abcdef.data.txt"), "kept").unwrap();
    // `c` is the oldest, but in use; `a` is next.
    drop((a, b, d));
    let new = dir.open("new", 10 * CHUNK);
    let bytes = remote(10 * CHUNK);
    fill(&new, &bytes);
    assert!(taken(&dir) <= dir.max_bytes + 2 * CHUNK);
    let mut left = names(&[&paths[1], &paths[2], &paths[3], &dir.paths(&new)]);
    left.extend(["0123456789abcdef.data.txt", "of the user"].map(str::to_owned));
    left.sort();
    assert_eq!(dir.names(), left);
    assert_eq!(there(&c, &bytes).len(), 10);
    // Nothing is left of the one that was deleted.
    assert!(there(&dir.open("a", 10 * CHUNK), &bytes).is_empty());
}

/// One look at many small files makes room for many chunks.
#[test]
#[cfg(target_os = "linux")]
fn small_files_are_deleted_several_at_a_time() {
    // 512 chunks, which 256 files fill with their maps.
    let dir = Dir::new(512 * CHUNK);
    (0..256_u64).for_each(|i| drop(aged(&dir, &i.to_string(), 1, 2000 - i)));
    let file = dir.open("x", 100 * CHUNK);
    let bytes = remote(100 * CHUNK);
    let before = dir.names().len();
    assert!(write(&file, &bytes, 0));
    // A 64th is free then, and the map of the new file, and what it has.
    let deleted = before - dir.names().len();
    assert!((8..=12).contains(&deleted), "{deleted}");
    (1..7).for_each(|chunk| assert!(write(&file, &bytes, chunk)));
    assert_eq!(before - dir.names().len(), deleted);
    assert!(taken(&dir) <= dir.max_bytes);
}

#[test]
fn a_file_that_is_opened_is_the_youngest() {
    let dir = Dir::new(PLENTY);
    let map = dir.paths(&aged(&dir, "x", 1, 500)).1;
    let age = || fs::metadata(&map).unwrap().modified().unwrap().elapsed();
    assert!(age().unwrap() > Duration::from_secs(400));
    drop(dir.open("x", CHUNK));
    assert!(age().unwrap_or_default() < Duration::from_secs(400));
}

#[test]
fn what_another_has_open_is_not_deleted() {
    let dir = Dir::new(PLENTY);
    let files = [0, 1].map(|_| dir.open("x", CHUNK));
    let (folder, key) = (dir.folder(), files[0].format.key().to_owned());
    for file in files {
        assert!(!files::delete(folder.path(), &key));
        assert_eq!(dir.names().len(), 2);
        drop(file);
    }
    assert!(files::delete(folder.path(), &key));
    assert!(dir.names().is_empty());
}

#[test]
#[cfg(target_os = "linux")]
fn without_room_nothing_more_is_kept() {
    let dir = Dir::new(11 * CHUNK);
    let used = aged(&dir, "used", 4, 100);
    let bytes = remote(20 * CHUNK);
    let file = dir.open("x", 20 * CHUNK);
    let kept: Vec<u64> = (0..20)
        .rev()
        .filter(|chunk| write(&file, &bytes, *chunk))
        .collect();
    assert!((3..=6).contains(&kept.len()), "{kept:?}");
    assert!(taken(&dir) <= 11 * CHUNK, "{}", taken(&dir));
    // The chunks that came first are still there, for others too.
    for file in [&file, &dir.open("x", 20 * CHUNK)] {
        let mut found = there(file, &bytes);
        found.reverse();
        assert_eq!(found, kept);
    }
    assert!(!file.is_whole() && file.whole().is_none());
    drop(used);
}

#[test]
fn a_bound_of_nothing_keeps_nothing() {
    let dir = Dir::new(0);
    let file = dir.open("x", CHUNK);
    assert!(!file.write(0, &[1; CHUNK as usize]));
    assert!(!file.has(0));
}

/// What a process leaves that was killed while it deleted a file, or began it.
#[test]
#[cfg(target_os = "linux")]
fn halves_of_a_file_are_deleted_too() {
    let dir = Dir::new(8 * CHUNK);
    let (a, b) = (aged(&dir, "a", 2, 100), aged(&dir, "b", 2, 200));
    let (a, b) = {
        let (a, b) = (a, b);
        (dir.paths(&a), dir.paths(&b))
    };
    fs::remove_file(a.0).unwrap();
    fs::remove_file(b.1).unwrap();
    let empty = dir.dir.path().join("0123456789abcdef.map");
    fs::write(&empty, "").unwrap();
    for_writing(&empty)
        .set_modified(SystemTime::UNIX_EPOCH)
        .unwrap();
    let file = dir.open("x", 7 * CHUNK);
    fill(&file, &remote(7 * CHUNK));
    assert_eq!(dir.names().len(), 2, "{:?}", dir.names());
}

#[test]
fn two_bounds_of_a_folder_do_not_disturb_each_other() {
    let dir = Dir::new(PLENTY);
    let file = dir.open("x", 2 * CHUNK);
    assert!(file.write(0, &[1; CHUNK as usize]));
    let small = Folder::at(dir.dir.path(), CHUNK).unwrap();
    let other = CacheFile::open_in(&small, "y", "v", CHUNK, CHUNK)
        .unwrap()
        .unwrap();
    assert!(!other.write(0, &[1; CHUNK as usize]));
    assert!(file.write(1, &[1; CHUNK as usize]));
}

#[test]
fn a_folder_that_cannot_be_used_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "x").unwrap();
    for folder in [file.clone(), file.join("below")] {
        let error = CacheFile::open(&folder, PLENTY, "x", Some("v"), 10).unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::Io);
        let message = error.to_string();
        assert!(message.contains(&*shown_path(&folder)), "{message}");
        assert!(message.contains("RemoteOptions::cache"), "{message}");
    }
    // One that is missing is created.
    let folder = dir.path().join("a/b/c");
    assert!(
        CacheFile::open(&folder, PLENTY, "x", Some("v"), 10)
            .unwrap()
            .is_some()
    );
}

/// Many begin one file at once, and none is left without it.
#[test]
fn a_file_is_begun_once() {
    for _ in 0..20 {
        let dir = Dir::new(PLENTY);
        let open = || dir.open("x", 9 * CHUNK);
        let files: Vec<CacheFile> = std::thread::scope(|scope| {
            let opened: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
            opened
                .into_iter()
                .map(|file| file.join().unwrap())
                .collect()
        });
        let first = files[0].beginning;
        assert!(files.iter().all(|file| file.beginning == first));
        let bytes = remote(9 * CHUNK);
        std::thread::scope(|scope| {
            for (number, file) in files.iter().enumerate() {
                let bytes = &bytes;
                scope.spawn(move || assert!(write(file, bytes, number as u64)));
            }
        });
        assert_eq!(there(&files[7], &bytes), [0, 1, 2, 3, 4, 5, 6, 7]);
    }
}

/// Files are begun, used and deleted by several threads, each with a folder of its own, as several
/// processes have.
#[test]
#[cfg(unix)]
fn files_come_and_go_under_several_hands() {
    let dir = Dir::new(0);
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let path = dir.dir.path();
            scope.spawn(move || {
                for round in 0..40_u64 {
                    // Room for about two of the four files.
                    let bound = 20 * CHUNK + thread * 40 + round;
                    let folder = Folder::at(path, bound).unwrap();
                    let number = (round * 7 + thread) % 4;
                    let len = 8 * CHUNK + number;
                    let name = number.to_string();
                    let file = CacheFile::open_in(&folder, &name, "v", len, CHUNK);
                    let Some(file) = file.unwrap() else { continue };
                    let bytes = remote(len);
                    let _ = there(&file, &bytes);
                    for chunk in 0..file.format.chunks() {
                        write(&file, &bytes, (chunk * 5 + thread) % 9);
                    }
                    let _ = there(&file, &bytes);
                }
            });
        }
    });
}

/// What is done to a file, by one of several handles.
#[derive(Clone, Debug)]
enum Step {
    Write(usize, u64),
    Read(usize, u64, u64),
    Reopen(usize),
    FlipData(u64),
    FlipMap(u64),
}

fn step(len: u64) -> impl Strategy<Value = Step> {
    let chunk = 0..len.div_ceil(CHUNK);
    prop_oneof![
        6 => (0..3_usize, chunk.clone()).prop_map(|(handle, chunk)| Step::Write(handle, chunk)),
        6 => (0..3_usize, 0..len, 0..=len).prop_map(|(handle, a, b)| Step::Read(handle, a, b)),
        2 => (0..3_usize).prop_map(Step::Reopen),
        1 => (0..len).prop_map(Step::FlipData),
        1 => chunk.prop_map(Step::FlipMap),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Three handles, and a list of the chunks that must be there and may be there.
    #[test]
    fn handles_are_a_list_of_bytes(
        (len, steps) in (1..6 * CHUNK).prop_flat_map(|len| {
            (Just(len), proptest::collection::vec(step(len), 1..60))
        }),
    ) {
        let (dir, bytes) = (Dir::new(PLENTY), remote(len));
        let chunks = len.div_ceil(CHUNK) as usize;
        let mut handles: Vec<CacheFile> = (0..3).map(|_| dir.open("x", len)).collect();
        let (data, map) = dir.paths(&handles[0]);
        let entries = fs::metadata(&map).unwrap().len() - 8 * chunks as u64;
        // Whether a chunk was written, and whether it is undamaged since.
        let (mut written, mut sound) = (vec![false; chunks], vec![false; chunks]);
        for step in steps {
            match step {
                Step::Write(handle, chunk) => {
                    let is_seen = handles[handle].is_seen(chunk);
                    prop_assert!(write(&handles[handle], &bytes, chunk));
                    written[chunk as usize] = true;
                    sound[chunk as usize] |= !is_seen;
                }
                Step::Read(handle, a, b) => {
                    let (a, b) = (a.min(b), a.max(b));
                    let part = (a / CHUNK) as usize..b.div_ceil(CHUNK) as usize;
                    // A handle believes what it has seen, so it must not be damaged.
                    let seen = |chunk: usize| handles[handle].is_seen(chunk as u64);
                    if part.clone().any(|chunk| seen(chunk) && !sound[chunk]) {
                        continue;
                    }
                    let is_there = reads(&handles[handle], &bytes, a..b);
                    let part = if a == b { 0..0 } else { part };
                    if part.clone().all(|chunk| sound[chunk]) {
                        prop_assert!(is_there);
                    }
                    if part.clone().any(|chunk| !written[chunk]) {
                        prop_assert!(!is_there);
                    }
                }
                Step::Reopen(handle) => {
                    handles[handle] = dir.open("x", len);
                }
                Step::FlipData(at) => {
                    flip(&data, at);
                    // As a disk does, which is not within a tick of the clock.
                    let later = SystemTime::now() + Duration::from_secs(at + 1);
                    for_writing(&data).set_modified(later).unwrap();
                    sound[(at / CHUNK) as usize] = false;
                }
                Step::FlipMap(chunk) => {
                    flip(&map, entries + 8 * chunk + len % 8);
                    sound[chunk as usize] = false;
                }
            }
        }
    }
}

#[test]
#[cfg(target_os = "linux")]
fn more_files_are_kept_than_there_are_descriptors() {
    with_few_descriptors("many_files");
}

#[test]
#[cfg(target_os = "linux")]
#[ignore = "a process of the other tests"]
fn many_files() {
    let dir = Dir::new(100 * 5 * CHUNK);
    let bytes = remote(4 * CHUNK);
    let name = |number: usize| number.to_string();
    let mut files: Vec<CacheFile> = (0..100).map(|i| dir.open(&name(i), 4 * CHUNK)).collect();
    let mapped = files.iter().filter(|file| file.kept.is_some()).count();
    assert_eq!(mapped, 40 / 4 / 2);
    for file in &files {
        fill(file, &bytes);
    }
    for file in &files {
        assert_eq!(there(file, &bytes), [0, 1, 2, 3]);
        // A file that could be deleted and begun anew is not handed on.
        assert_eq!(file.is_whole(), file.kept.is_some());
        assert_eq!(file.whole().is_some(), file.kept.is_some());
    }
    // This process deletes none of them, since they are in use.
    let more = dir.open("more", 100 * CHUNK);
    let kept = (0..100).filter(|chunk| write(&more, &remote(100 * CHUNK), *chunk));
    assert!(kept.count() < 100);
    assert!(files.iter().all(|file| there(file, &bytes).len() == 4));
    // Another does. Then they are not used further, whoever begins them anew.
    let last = files.pop().unwrap();
    let key = last.format.key().to_owned();
    assert!(last.kept.is_none() && files::delete(dir.folder().path(), &key));
    assert!(there(&last, &bytes).is_empty() && !write(&last, &bytes, 0) && !last.has(3));
    let before = files.pop().unwrap();
    assert!(files::delete(dir.folder().path(), before.format.key()));
    let folder = Folder::at(dir.dir.path(), PLENTY).unwrap();
    let again = CacheFile::open_in(&folder, &name(98), "v1", 4 * CHUNK, CHUNK);
    let again = again.unwrap().unwrap();
    assert!(write(&again, &bytes, 1));
    assert!(there(&before, &bytes).is_empty());
    assert_eq!(there(&again, &bytes), [1]);
}

/// Runs a test of this module in a process of its own that may have few descriptors.
#[cfg(target_os = "linux")]
fn with_few_descriptors(test: &str) {
    let status = std::process::Command::new("sh")
        .arg("-c")
        .arg("ulimit -n 40; exec \"$0\" \"$@\"")
        .arg(std::env::current_exe().unwrap())
        .args([
            &format!("remote::cache::tests::{test}"),
            "--exact",
            "--ignored",
        ])
        .status();
    assert!(status.unwrap().success());
}

#[test]
#[cfg(target_os = "linux")]
fn who_opens_data_at_each_use_finds_no_holes_in_it() {
    with_few_descriptors("data_that_comes_and_goes");
}

/// Only the data is deleted or cut, as by a program that deletes old files of a folder.
#[test]
#[cfg(target_os = "linux")]
#[ignore = "a process of the other tests"]
fn data_that_comes_and_goes() {
    let (dir, bytes) = (Dir::new(PLENTY), remote(4 * CHUNK));
    let keep: Vec<CacheFile> = (0..5).map(|i| dir.open(&i.to_string(), CHUNK)).collect();
    let damages: [fn(&Path); 3] = [
        |data| fs::remove_file(data).unwrap(),
        |data| for_writing(data).set_len(0).unwrap(),
        |data| for_writing(data).set_len(9 * CHUNK).unwrap(),
    ];
    for (number, damage) in damages.into_iter().enumerate() {
        let open = || dir.open(&format!("x{number}"), 4 * CHUNK);
        let file = open();
        assert!(file.kept.is_none());
        fill(&file, &bytes);
        assert_eq!(there(&file, &bytes), [0, 1, 2, 3]);
        damage(&dir.paths(&file).0);
        let again = open();
        assert!(there(&file, &bytes).is_empty());
        fill(&again, &bytes);
        assert_eq!(there(&again, &bytes), [0, 1, 2, 3]);
        // What was given up is not used again, though there is data again.
        assert!(there(&file, &bytes).is_empty() && !file.has(0));
    }
    drop(keep);
}

/// Who holds on to data that was deleted has it alone.
#[test]
#[cfg(unix)]
fn data_is_not_begun_anew_while_another_has_its_map() {
    let (dir, bytes) = (Dir::new(PLENTY), remote(4 * CHUNK));
    let file = dir.open("x", 4 * CHUNK);
    (0..3).for_each(|chunk| assert!(write(&file, &bytes, chunk)));
    fs::remove_file(dir.paths(&file).0).unwrap();
    let open = || CacheFile::open_in(&dir.folder(), "x", "v1", 4 * CHUNK, CHUNK).unwrap();
    assert!(open().is_none());
    assert!(write(&file, &bytes, 3));
    assert_eq!(there(&file, &bytes), [0, 1, 2, 3]);
    drop(file);
    let file = open().unwrap();
    assert!(!file.is_whole() && there(&file, &bytes).is_empty());
    fill(&file, &bytes);
    assert!(open().unwrap().is_whole());
}
