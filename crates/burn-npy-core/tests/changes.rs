//! A file that is changed in every way while another process reads it.
//!
//! The reader is a process of its own, so the test sees if a signal kills it. The number of runs of
//! each kind is `CHANGES_TIMES`, 2 by default; the tables are printed with `--nocapture`.
#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::fs::{File, FileTimes};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::FileExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use burn_npy_core::{
    Array, ErrorKind,
    file::{Access, Buffer, Column, OpenOptions, write_npy},
};
use ndarray::Array2;

const ROWS: usize = 200_000;
/// The size of a row in bytes.
const ROW: usize = 32;

type Change = (&'static str, fn(&Path));

/// Most change the bytes, all of them some time of the file.
const CHANGES: [Change; 10] = [
    ("truncate", |path| {
        for_writing(path).set_len(4096).unwrap();
    }),
    ("truncate and write anew", |path| {
        // As `np.save` does.
        std::fs::write(path, after()).unwrap();
    }),
    ("overwrite at once", |path| {
        for_writing(path).write_all_at(after(), 0).unwrap();
    }),
    ("overwrite in chunks", |path| {
        let file = for_writing(path);
        for (number, chunk) in after().chunks(64 << 10).enumerate() {
            file.write_all_at(chunk, (number * (64 << 10)) as u64)
                .unwrap();
        }
    }),
    ("write through a map", |path| {
        let code = "import mmap, sys\n\
                    file = open(sys.argv[1], 'r+b')\n\
                    map = mmap.mmap(file.fileno(), 0)\n\
                    map[4096:] = b'\\xee' * (len(map) - 4096)";
        let python = std::env::var("BURN_NPY_PYTHON").unwrap_or_else(|_| "python3".to_owned());
        let status = Command::new(python).args(["-c", code]).arg(path).status();
        assert!(status.unwrap().success());
    }),
    ("punch a hole", |path| {
        use rustix::fs::{FallocateFlags, fallocate};
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        fallocate(for_writing(path), flags, 4096, 4 << 20).unwrap();
    }),
    ("replace", |path| {
        let new = path.with_extension("new");
        std::fs::write(&new, after()).unwrap();
        std::fs::rename(new, path).unwrap();
    }),
    ("append", |path| {
        let mut file = File::options().append(true).open(path).unwrap();
        file.write_all(&[0xee; 3200]).unwrap();
    }),
    ("touch", |path| {
        let now = FileTimes::new().set_modified(std::time::SystemTime::now());
        for_writing(path).set_times(now).unwrap();
    }),
    ("write and set the time back", |path| {
        let before = std::fs::metadata(path).unwrap().modified().unwrap();
        let file = for_writing(path);
        file.write_all_at(after(), 0).unwrap();
        file.set_times(FileTimes::new().set_modified(before))
            .unwrap();
    }),
];

fn for_writing(path: &Path) -> File {
    File::options().write(true).open(path).unwrap()
}

/// The bytes of the file before it is changed.
fn before() -> &'static [u8] {
    static BEFORE: LazyLock<Vec<u8>> = LazyLock::new(|| npy(0));
    &BEFORE
}

/// The bytes of a file with other values.
fn after() -> &'static [u8] {
    static AFTER: LazyLock<Vec<u8>> = LazyLock::new(|| npy(1));
    &AFTER
}

fn npy(added: u32) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.npy");
    let number = |(row, i)| (row * (ROW / 4) + i) as u32 + added;
    write_npy(&path, &Array2::from_shape_fn((ROWS, ROW / 4), number)).unwrap();
    std::fs::read(path).unwrap()
}

/// How the reader reads.
#[derive(Clone, Copy, Debug)]
enum Way {
    Mapped,
    /// Mapped, in a program that calls `catch_sigbus`.
    Caught,
    Positioned,
    /// As the shards of one column, of which the first changes. Otherwise as `Caught`.
    Shards,
}

const WAYS: [Way; 4] = [Way::Mapped, Way::Caught, Way::Positioned, Way::Shards];
const BATCHES: [usize; 2] = [256, 65_536];

/// The reader: gathers random rows again and again, each time with other words on its standard
/// output, and ends with the kind of the first error. It waits for a line before each round if told
/// to.
#[test]
#[ignore = "a process of the other tests"]
fn reader() {
    let variable = |name| std::env::var(name).unwrap();
    let way = variable("READER_WAY");
    let access = match way.as_str() {
        "Positioned" => Access::Positioned,
        way => {
            if way != "Mapped" {
                burn_npy_core::catch_sigbus().unwrap();
            }
            Access::Mapped
        }
    };
    let batch: usize = variable("READER_BATCH").parse().unwrap();
    let open = |path: &Path| {
        let options = OpenOptions::new().access(access);
        Column::new(Array::open_with(path, options).unwrap()).unwrap()
    };
    let file = variable("READER_FILE");
    let mut column = open(Path::new(&file));
    if way == "Shards" {
        let other = open(&Path::new(&file).with_file_name("other.npy"));
        column = Column::chain([column, other]).unwrap();
    }
    let mut out = Buffer::zeroed(batch * column.row_bytes()).unwrap();
    let mut lines = std::io::stdin().lines();
    println!();
    for round in 0.. {
        let count = column.rows();
        let rows: Vec<usize> = (0..batch).map(|i| (round + i) * 7919 % count).collect();
        if let Err(error) = column.gather(&rows, out.as_mut_slice()) {
            return println!("ended {} {error}", error.kind());
        }
        // Rows without an error are those of the file that was opened.
        let found: &[u32] = bytemuck::cast_slice(out.as_slice());
        let expected = rows
            .iter()
            .flat_map(|row| (0..ROW / 4).map(move |i| row % ROWS * (ROW / 4) + i));
        let wrong = expected.zip(found).filter(|(a, b)| *a != **b as usize);
        let wrong = wrong.count();
        if wrong > 0 {
            return println!("ended with {wrong} wrong numbers");
        }
        println!("gathered");
        if variable("READER_WAITS") == "true" && lines.next().is_none() {
            return;
        }
    }
}

struct Reader {
    child: Child,
    stdin: ChildStdin,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Reader {
    fn start(file: &Path, way: Way, batch: usize, waits: bool) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["reader", "--exact", "--ignored", "--nocapture"])
            .env("READER_FILE", file)
            .env("READER_WAY", format!("{way:?}"))
            .env("READER_BATCH", batch.to_string())
            .env("READER_WAITS", waits.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self {
            stdin: child.stdin.take().unwrap(),
            lines: stdout.lines(),
            child,
        }
    }

    fn wait_for_a_batch(&mut self) {
        let found = self.lines.any(|line| line.unwrap() == "gathered");
        assert!(found, "{}", self.end());
    }

    /// The last line of the output, or the status if there is none.
    fn end(&mut self) -> String {
        let start = Instant::now();
        let ended = self
            .lines
            .by_ref()
            .map_while(Result::ok)
            .take_while(|_| start.elapsed() < Duration::from_secs(30))
            .find(|line| line.starts_with("ended"));
        let _ = self.child.kill();
        let status = self.child.wait().unwrap();
        let mut errors = String::new();
        let _ = self
            .child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut errors);
        match ended {
            Some(line) => line,
            None if status.signal() == Some(libc::SIGBUS) => "SIGBUS".to_owned(),
            None => format!("{status}: {errors}"),
        }
    }
}

fn times() -> u64 {
    let times = std::env::var("CHANGES_TIMES").ok();
    times.map_or(2, |times| times.parse().unwrap())
}

/// Changes a file while it is read, and counts how the readers end.
fn ends(change: Change, way: Way, batch: usize, waits: bool) -> BTreeMap<String, u64> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.npy");
    let mut ends = BTreeMap::new();
    for time in 0..times() {
        std::fs::write(&path, before()).unwrap();
        std::fs::write(dir.path().join("other.npy"), before()).unwrap();
        let mut reader = Reader::start(&path, way, batch, waits);
        reader.wait_for_a_batch();
        if !waits {
            std::thread::sleep(Duration::from_micros(time * 379 % 2000));
        }
        (change.1)(&path);
        if waits {
            writeln!(reader.stdin).unwrap();
        }
        let end = reader.end();
        let kind = format!("ended {}", ErrorKind::Changed);
        let end = match end.strip_prefix(&kind) {
            Some(message) => {
                assert!(message.contains("x.npy"), "{message}");
                "changed".to_owned()
            }
            None => end,
        };
        *ends.entry(end).or_insert(0) += 1;
    }
    println!("{:28} {way:10?} {batch:6}: {ends:?}", change.0);
    ends
}

#[test]
fn a_change_between_batches_is_an_error() {
    for change in CHANGES {
        for way in WAYS {
            let ends = ends(change, way, BATCHES[0], true);
            assert!(ends.keys().eq(["changed"]), "{}: {ends:?}", change.0);
        }
    }
}

/// No reader gets rows of another file. Where the file is truncated while it is read, a mapped
/// reader may be killed, unless it catches the signal.
#[test]
fn a_change_at_any_moment_is_an_error() {
    for change in CHANGES {
        for way in WAYS {
            for batch in BATCHES {
                let ends = ends(change, way, batch, false);
                let may_die = matches!(way, Way::Mapped) && change.0.starts_with("truncate");
                let known = |end: &String| end == "changed" || (may_die && end == "SIGBUS");
                assert!(ends.keys().all(known), "{}: {ends:?}", change.0);
            }
        }
    }
}
