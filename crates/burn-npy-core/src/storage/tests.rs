//! Files that are opened, read and changed.

use std::time::{Duration, Instant};

use super::*;
use crate::remote::check_read_at;

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

/// Any storage as a [`ReadAt`], for the tests that each must pass.
#[derive(Debug)]
pub(crate) struct Near(pub(crate) Storage);

impl ReadAt for Near {
    fn name(&self) -> &str {
        "near"
    }

    fn len(&self) -> u64 {
        self.0.len()
    }

    fn version(&self) -> Option<&str> {
        Some("1")
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        self.0.read_at(offset, out)
    }
}

#[test]
fn each_storage_has_the_bytes() {
    let dir = tempfile::tempdir().unwrap();
    for len in [0, 1, 4096, 10_007] {
        let bytes: Vec<u8> = (0..len).map(|i: u32| (i * 7 % 251) as u8).collect();
        let path = dir.path().join("bytes");
        std::fs::write(&path, &bytes).unwrap();
        for access in [Access::Mapped, Access::Positioned, Access::Memory] {
            let options = OpenOptions::new().access(access);
            let storage = Storage::open(&path, &options).unwrap();
            check_read_at(&Near(storage.clone()), &bytes);
            for access in [Access::Mapped, Access::Memory] {
                let near = Arc::new(Near(storage.clone()));
                let far = Storage::remote(near, &OpenOptions::new().access(access)).unwrap();
                assert_eq!(far.reader().is_some(), access == Access::Mapped);
                assert_eq!(far.path(), Some(Path::new("near")));
                check_read_at(&Near(far.clone()), &bytes);
                let mut all = Vec::new();
                far.read_through(0..len.into(), |piece| all.extend_from_slice(piece))
                    .unwrap();
                assert_eq!(all, bytes);
            }
            // First it is fetched, then it is kept.
            let folder = tempfile::tempdir().unwrap();
            let remote = remote::RemoteOptions::new().cache(folder.path(), 1 << 30);
            for access in [Access::Positioned, Access::Mapped, Access::Memory] {
                let near = Arc::new(Near(storage.clone()));
                let options = OpenOptions::new().access(access).remote(remote.clone());
                let far = Storage::remote(near, &options).unwrap();
                check_read_at(&Near(far.clone()), &bytes);
                let is_mapped = len > 0 && access == Access::Mapped;
                // A thread of its own finds that all of the file is here.
                let start = Instant::now();
                while is_mapped && far.bytes().is_none() {
                    assert!(start.elapsed() < Duration::from_secs(60), "not mapped");
                    std::thread::yield_now();
                }
                assert_eq!(
                    far.by_position().bytes().is_none(),
                    access != Access::Memory
                );
                assert_eq!(matches!(far.repr(), Repr::Mapped(_)), is_mapped);
                assert_eq!(far.bytes().is_some(), is_mapped || access == Access::Memory);
            }
        }
        check_read_at(&Near(Storage::memory(bytes.clone())), &bytes);
    }
}

#[test]
fn a_remote_file_that_memory_cannot_hold_is_named() {
    /// A server may say anything.
    #[derive(Debug)]
    struct Huge;

    impl ReadAt for Huge {
        fn name(&self) -> &str {
            "https://host/huge.npy"
        }

        fn len(&self) -> u64 {
            u64::MAX
        }

        fn read_at(&self, _: u64, _: &mut [u8]) -> Result<()> {
            Err(Error::new(ErrorKind::Io, "nothing should be read"))
        }
    }

    let options = OpenOptions::new().access(Access::Memory);
    let error = Storage::remote(Arc::new(Huge), &options).err().unwrap();
    assert_eq!(error.file(), Some(Path::new("https://host/huge.npy")));
    assert!(error.to_string().contains("no memory"), "{error}");
}
