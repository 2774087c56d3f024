//! Remote files that are kept on a local disk by processes that share a folder, are killed, and run
//! out of space.
//!
//! The number of rounds in which processes are killed is `CACHE_KILLS`, 50 by default.
#![cfg(target_os = "linux")]

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use burn_npy_core::{
    Array, Error, ErrorKind, Result, Sampler,
    file::{Access, Buffer, Column, OpenOptions},
    remote::{ReadAt, RemoteOptions, check_read_at},
};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use rustix::fs::{Gid, Uid};

/// Rows of 96 bytes, of which many lie in two chunks.
const ROWS: usize = 30_000;
const ROW: usize = 24;
const PLENTY: u64 = 1 << 40;

/// The bytes of the remote file. Each process makes the same, without a file.
fn npy() -> Vec<u8> {
    let values: Vec<u32> = (0..(ROWS * ROW) as u32).map(|i| i ^ 0x5bd1_e995).collect();
    npy_of(
        "<u4",
        &format!("{ROWS}, {ROW}"),
        bytemuck::cast_slice(&values),
    )
}

fn npy_of(descr: &str, shape: &str, bytes: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({shape}), }}");
    let mut npy = b"\x93NUMPY\x01\x00\xf6\x00".to_vec();
    npy.extend(format!("{header:245}\n").bytes());
    npy.extend_from_slice(bytes);
    npy
}

/// A place that is slow, and counts what is read.
#[derive(Debug)]
struct Far {
    bytes: Vec<u8>,
    version: Option<&'static str>,
    wait: Duration,
    reads: AtomicUsize,
    read_bytes: AtomicU64,
}

impl Far {
    fn new(wait: Duration) -> Arc<Self> {
        Self::with(npy(), Some("1"), wait)
    }

    fn with(bytes: Vec<u8>, version: Option<&'static str>, wait: Duration) -> Arc<Self> {
        Arc::new(Self {
            bytes,
            version,
            wait,
            reads: AtomicUsize::new(0),
            read_bytes: AtomicU64::new(0),
        })
    }

    /// How often something was read, and how many bytes.
    fn counted(&self) -> (usize, u64) {
        let reads = self.reads.load(Ordering::SeqCst);
        (reads, self.read_bytes.load(Ordering::SeqCst))
    }
}

impl ReadAt for Far {
    fn name(&self) -> &str {
        "far://x.npy"
    }

    fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn version(&self) -> Option<&str> {
        self.version
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        let bytes = usize::try_from(offset).ok().and_then(|offset| {
            let bytes = self.bytes.get(offset..)?;
            bytes.get(..out.len())
        });
        let short = || Error::new(ErrorKind::TruncatedData, "a read beyond the end");
        out.copy_from_slice(bytes.ok_or_else(short)?);
        thread::sleep(self.wait);
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.read_bytes
            .fetch_add(out.len() as u64, Ordering::SeqCst);
        Ok(())
    }
}

fn options(folder: &Path, max_bytes: u64) -> OpenOptions {
    OpenOptions::new().remote(RemoteOptions::new().cache(folder, max_bytes))
}

fn open(far: &Arc<Far>, folder: &Path) -> Column {
    let array = Array::from_reader(far.clone(), options(folder, PLENTY)).unwrap();
    Column::new(array).unwrap()
}

/// An epoch in batches of rows in a random order, each of which must be right.
fn epoch(column: &Column, far: &Far, seed: u64) {
    some_rows(column, far, seed, ROWS);
}

/// The first rows of an epoch.
fn some_rows(column: &Column, far: &Far, seed: u64, rows: usize) {
    let header = far.bytes.len() - ROWS * ROW * 4;
    let order = Sampler::shuffled(seed).order(ROWS as u64, 0);
    let order: Vec<usize> = (0..rows as u64).map(|i| order.row(i) as usize).collect();
    let mut out = Buffer::zeroed(1000 * ROW * 4).unwrap();
    for batch in order.chunks(1000) {
        let out = &mut out.as_mut_slice()[..batch.len() * ROW * 4];
        column.gather(batch, out).unwrap();
        for (row, found) in batch.iter().zip(out.chunks(ROW * 4)) {
            let start = header + row * ROW * 4;
            assert!(found == &far.bytes[start..start + ROW * 4], "row {row}");
        }
    }
}

/// Whether a file of the folder is mapped by this process.
fn is_mapped(folder: &Path) -> bool {
    let folder = fs::canonicalize(folder).unwrap();
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let name = format!("{}/", folder.to_str().unwrap());
    maps.lines()
        .any(|line| line.contains(&name) && line.ends_with(".data"))
}

/// Waits until a file of the folder is mapped. The last chunk is there before the disk has all.
fn wait_until_mapped(folder: &Path, column: &Column) {
    let start = Instant::now();
    while !is_mapped(folder) {
        assert!(start.elapsed() < Duration::from_secs(60), "never mapped");
        let mut out = Buffer::zeroed(column.row_bytes()).unwrap();
        column.gather(&[0], out.as_mut_slice()).unwrap();
    }
}

/// The local data of the only remote file in a folder.
fn data(folder: &Path) -> PathBuf {
    let mut paths = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let is_data = |path: &PathBuf| path.extension().is_some_and(|name| name == "data");
    paths.find(is_data).unwrap()
}

/// A process that runs one of the ignored tests here.
fn process(test: &str, folder: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([test, "--exact", "--ignored", "--nocapture"])
        .env("CACHE_FOLDER", folder);
    command
}

/// The same after commands of a shell, which a program runs.
fn process_after(program: &[&str], shell: &str, test: &str, folder: &Path) -> Command {
    let inside = process(test, folder);
    let mut command = Command::new(program[0]);
    command
        .args(&program[1..])
        .args(["-c", &format!("set -e\n{shell}\nexec \"$@\""), "sh"])
        .arg(inside.get_program())
        .args(inside.get_args())
        .env("CACHE_FOLDER", folder);
    command
}

fn succeeds(mut command: Command) {
    let output = command.output().unwrap();
    let [out, errors] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    let ran = output.status.success() && out.contains("1 passed");
    assert!(ran, "{}\n{out}\n{errors}", output.status);
}

fn folder_of_process() -> PathBuf {
    std::env::var_os("CACHE_FOLDER").unwrap().into()
}

#[test]
fn each_byte_is_fetched_once() {
    let dir = tempfile::tempdir().unwrap();
    let far = Far::new(Duration::ZERO);
    let len = far.len();
    let column = open(&far, dir.path());
    epoch(&column, &far, 1);
    assert_eq!(far.counted().1, len);
    // What is whole is read from memory.
    wait_until_mapped(dir.path(), &column);
    epoch(&column, &far, 2);
    assert_eq!(far.counted().1, len);
    assert!(fs::read(data(dir.path())).unwrap() == far.bytes);
    // In the next run, it is mapped at once.
    drop(column);
    assert!(!is_mapped(dir.path()));
    let far = Far::new(Duration::ZERO);
    let column = open(&far, dir.path());
    assert!(is_mapped(dir.path()));
    epoch(&column, &far, 3);
    assert_eq!(far.counted(), (0, 0));
    // And in another process.
    succeeds(process("a_process_that_fetches_nothing", dir.path()));
}

#[test]
#[ignore = "a process of the other tests"]
fn a_process_that_fetches_nothing() {
    let folder = folder_of_process();
    let far = Far::new(Duration::ZERO);
    let column = open(&far, &folder);
    epoch(&column, &far, 4);
    assert_eq!(far.counted(), (0, 0));
}

/// A process that reads the first half; this one then reads the rest.
#[test]
fn a_process_uses_what_another_has_fetched() {
    let dir = tempfile::tempdir().unwrap();
    succeeds(process("a_process_that_fetches_the_first_half", dir.path()));
    let far = Far::new(Duration::ZERO);
    let column = open(&far, dir.path());
    assert!(!is_mapped(dir.path()));
    epoch(&column, &far, 5);
    // All but what is before the middle, which may be in the middle of a chunk.
    let (_, fetched) = far.counted();
    let rest = far.len() / 2;
    assert!(
        fetched <= rest + 4096 && fetched + (256 << 10) >= rest,
        "{fetched}"
    );
    wait_until_mapped(dir.path(), &column);
}

#[test]
#[ignore = "a process of the other tests"]
fn a_process_that_fetches_the_first_half() {
    let far = Far::new(Duration::ZERO);
    let column = open(&far, &folder_of_process());
    let rows: Vec<usize> = (0..ROWS / 2).collect();
    let mut out = Buffer::zeroed(rows.len() * ROW * 4).unwrap();
    column.gather(&rows, out.as_mut_slice()).unwrap();
}

#[test]
fn however_it_is_opened_the_bytes_are_the_same() {
    for len in [1, 5000, 300_000] {
        let bytes: Vec<u8> = (0..len).map(|i: u32| (i * 7 % 251) as u8).collect();
        let file = npy_of("|u1", &format!("{len},"), &bytes);
        for access in [Access::Mapped, Access::Positioned, Access::Memory] {
            let dir = tempfile::tempdir().unwrap();
            for round in 0..3 {
                let far = Far::with(file.clone(), Some("1"), Duration::ZERO);
                check_read_at(&*far, &file);
                let before = far.counted().1;
                let options = options(dir.path(), PLENTY).access(access);
                let array = Array::from_reader(far.clone(), options).unwrap();
                assert_eq!(array.read::<u8>().unwrap().as_slice(), Some(&*bytes));
                let fetched = far.counted().1 - before;
                assert_eq!(fetched, if round == 0 { far.len() } else { 0 });
                if access == Access::Mapped {
                    wait_until_mapped(dir.path(), &Column::new(array).unwrap());
                } else {
                    assert!(!is_mapped(dir.path()));
                }
            }
        }
    }
}

#[test]
fn another_version_is_another_file() {
    let dir = tempfile::tempdir().unwrap();
    let read = |value: u8, version| {
        let far = Far::with(
            npy_of("|u1", "1000,", &[value; 1000]),
            version,
            Duration::ZERO,
        );
        let array = Array::from_reader(far.clone(), options(dir.path(), PLENTY)).unwrap();
        assert_eq!(
            array.read::<u8>().unwrap().as_slice(),
            Some(&[value; 1000][..])
        );
        far.counted().1 > 0
    };
    for (value, version, is_fetched) in [
        (1, Some("1"), true),
        (2, Some("2"), true),
        (1, Some("1"), false),
        (2, Some("2"), false),
        // Without a version, nobody knows whose bytes they were.
        (3, None, true),
        (4, None, true),
    ] {
        assert_eq!(read(value, version), is_fetched);
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 4);
}

/// A user who may only look at the folder; root would be let in.
#[test]
fn a_folder_in_which_one_may_not_write_is_named() {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
    let folder = dir.path().join("folder");
    let far = Far::with(npy_of("|u1", "3,", &[1, 2, 3]), Some("1"), Duration::ZERO);
    let open = || Array::from_reader(far.clone(), options(&folder, PLENTY));
    let as_nobody = || {
        if fs::metadata("/proc/self").unwrap().uid() == 0 {
            let (user, group) = (Uid::from_raw(65_534), Gid::from_raw(65_534));
            rustix::thread::set_thread_groups(&[]).unwrap();
            rustix::thread::set_thread_res_gid(group, group, group).unwrap();
            rustix::thread::set_thread_res_uid(user, user, user).unwrap();
        }
        open().unwrap_err()
    };
    // It cannot be created, then nothing in it, then the files in it are those of another.
    for round in 0..3 {
        if round == 0 {
            fs::set_permissions(dir.path(), Permissions::from_mode(0o555)).unwrap();
        } else {
            fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
            if round == 1 {
                fs::create_dir(&folder).unwrap();
            } else {
                fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
                drop(open().unwrap());
                let names = fs::read_dir(&folder).unwrap();
                let paths = names.map(|entry| entry.unwrap().path());
                for path in paths {
                    fs::set_permissions(path, Permissions::from_mode(0o444)).unwrap();
                }
            }
            fs::set_permissions(&folder, Permissions::from_mode(0o555)).unwrap();
        }
        let error = thread::scope(|scope| scope.spawn(as_nobody).join().unwrap());
        assert_eq!(error.kind(), ErrorKind::Io);
        let message = error.to_string();
        assert!(message.contains(folder.to_str().unwrap()), "{message}");
        assert!(message.contains("RemoteOptions::cache"), "{message}");
    }
    fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
}

/// Someone empties the folder while a file in it is used.
#[test]
fn a_folder_may_be_deleted_at_any_time() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("folder");
    let far = Far::new(Duration::ZERO);
    let column = open(&far, &folder);
    let mut out = Buffer::zeroed(ROW * 4).unwrap();
    column.gather(&[ROWS - 1], out.as_mut_slice()).unwrap();
    fs::remove_dir_all(&folder).unwrap();
    for seed in 0..2 {
        epoch(&column, &far, seed);
    }
    // What others begin there meanwhile is another file.
    let other = open(&Far::new(Duration::ZERO), &folder);
    epoch(&column, &far, 3);
    epoch(&other, &far, 4);
    drop((column, other));
    assert!(fs::read(data(&folder)).unwrap() == far.bytes);
}

/// One process of several that fill a file, each in another order and from several threads.
#[test]
#[ignore = "a process of the other tests"]
fn filler() {
    let seed: u64 = std::env::var("CACHE_SEED").unwrap().parse().unwrap();
    let far = Far::new(Duration::from_millis(2));
    println!("ready");
    std::io::stdout().flush().unwrap();
    let _ = std::io::stdin().lines().next();
    let remote = RemoteOptions::new().cache(folder_of_process(), PLENTY);
    // So that it takes a while.
    let options = OpenOptions::new().remote(remote.in_flight(2));
    let column = Column::new(Array::from_reader(far.clone(), options).unwrap()).unwrap();
    thread::scope(|scope| {
        for thread in 0..2 {
            let (column, far) = (&column, &far);
            scope.spawn(move || epoch(column, far, seed * 2 + thread));
        }
    });
    println!("done");
}

/// Copies a folder as it is now, so that a look at it does not fill it.
fn copy(folder: &Path) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, dir.path().join(path.file_name().unwrap())).unwrap();
    }
    dir
}

/// Each round goes on where the last one was killed; a few rounds make a whole file.
#[test]
fn processes_that_are_killed_leave_only_right_bytes() {
    let rounds: u64 = std::env::var("CACHE_KILLS").map_or(50, |text| text.parse().unwrap());
    let mut rng = SmallRng::seed_from_u64(7);
    let mut dir = tempfile::tempdir().unwrap();
    let (mut killed, mut parts) = (0, 0);
    for round in 0..rounds {
        let start = |child: u64| {
            let mut child = process("filler", dir.path())
                .env("CACHE_SEED", (round * 3 + child).to_string())
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            let mut out = BufReader::new(child.stdout.take().unwrap());
            let mut text = String::new();
            while !text.contains("ready") {
                assert!(out.read_line(&mut text).unwrap() > 0, "{text}");
            }
            (child, out, text)
        };
        let mut children: Vec<_> = (0..3).map(start).collect();
        // All at once.
        for (child, ..) in &mut children {
            child.stdin.take().unwrap().write_all(b"\n").unwrap();
        }
        for (mut child, mut out, mut text) in children {
            thread::sleep(Duration::from_micros(rng.random_range(0..6000)));
            child.kill().unwrap();
            out.read_to_string(&mut text).unwrap();
            let output = child.wait_with_output().unwrap();
            let errors = String::from_utf8_lossy(&output.stderr);
            killed += u32::from(!text.contains("done"));
            assert!(
                !text.contains("panicked") && errors.is_empty(),
                "{text}\n{errors}"
            );
        }
        if fs::read_dir(dir.path()).unwrap().next().is_none() {
            continue;
        }
        // Whatever is there is right, and whatever is not is fetched.
        let copied = copy(dir.path());
        let far = Far::new(Duration::ZERO);
        let column = open(&far, copied.path());
        epoch(&column, &far, round);
        let (_, fetched) = far.counted();
        assert!(fetched <= far.len());
        wait_until_mapped(copied.path(), &column);
        assert!(fs::read(data(copied.path())).unwrap() == far.bytes);
        parts += u32::from(0 < fetched && fetched < far.len());
        if round % 5 == 4 || fetched == 0 {
            let far = Far::new(Duration::ZERO);
            let column = open(&far, dir.path());
            epoch(&column, &far, round);
            wait_until_mapped(dir.path(), &column);
            drop(column);
            let column = open(&far, dir.path());
            assert!(is_mapped(dir.path()));
            drop(column);
            dir = tempfile::tempdir().unwrap();
        }
    }
    // It is a test only if many were killed while the file had a part of its chunks.
    println!("{killed} were killed, and {parts} of {rounds} rounds left a part of the file");
    assert!(u64::from(killed) >= rounds && u64::from(parts) * 5 >= rounds);
}

/// Reads all, twice, with a disk that takes a part of it.
#[test]
#[ignore = "a process of the other tests"]
fn a_process_without_space() {
    let far = Far::new(Duration::ZERO);
    let folder = folder_of_process();
    for seed in 0..2 {
        // What is not on the disk does not stay in memory.
        let remote = RemoteOptions::new().cache(&folder, PLENTY).memory_bytes(0);
        let options = OpenOptions::new().remote(remote);
        let column = Column::new(Array::from_reader(far.clone(), options).unwrap()).unwrap();
        for part in 0..2 {
            let before = far.counted().0;
            some_rows(&column, &far, seed * 2 + part, 2000);
            let fetches = far.counted().0 - before;
            assert!(fetches > 0 && !is_mapped(&folder));
            if std::env::var("CACHE_KEEPS").unwrap() == "some" && (seed, part) != (0, 0) {
                // About one row of three is in a chunk for which there was no room.
                assert!(fetches < 1300, "{fetches}");
            }
        }
    }
}

#[test]
fn a_full_disk_is_no_error() {
    let dir = tempfile::tempdir().unwrap();
    let allowed = Command::new("unshare").args(["--mount", "true"]).output();
    if !allowed.is_ok_and(|output| output.status.success()) {
        // Not a failure under any setting: a container may forbid it to its root.
        let _ = writeln!(
            std::io::stderr(),
            "skipped, since nothing can be mounted here"
        );
        return;
    }
    let mount = "mount -t tmpfs -o size=2m tmpfs \"$CACHE_FOLDER\"";
    let unshare = ["unshare", "--mount", "sh"];
    let mut command = process_after(&unshare, mount, "a_process_without_space", dir.path());
    command.env("CACHE_KEEPS", "some");
    succeeds(command);
}

#[test]
fn a_limit_on_files_is_no_error() {
    let dir = tempfile::tempdir().unwrap();
    // In blocks of 512 bytes. The data is longer, so nothing can be kept.
    let limit = "trap '' XFSZ; ulimit -f 2000";
    let mut command = process_after(&["sh"], limit, "a_process_without_space", dir.path());
    command.env("CACHE_KEEPS", "nothing");
    succeeds(command);
}
