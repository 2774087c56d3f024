//! A file that is truncated, overwritten or replaced while another process reads it.
//!
//! The reader is a process of its own, so the test sees if a signal kills it.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use burn_npy_core::{Access, Array, Buffer, Column, ErrorKind, OpenOptions, write_npy};
use ndarray::Array2;

const TIMES: u64 = 50;
const ROWS: usize = 20_000;
type Change = (&'static str, fn(&Path));

const CHANGES: [Change; 3] = [
    ("truncate", |path| {
        let file = File::options().write(true).open(path).unwrap();
        file.set_len(4096).unwrap();
    }),
    ("overwrite", |path| {
        // As `np.save` to the same name with an array of the same size, but for the truncation.
        let bytes = vec![0xee; 100_000];
        let mut file = File::options().write(true).open(path).unwrap();
        file.write_all(&bytes).unwrap();
    }),
    ("replace", |path| {
        write_npy(path, &table().mapv(|x| x + 1)).unwrap();
    }),
];

fn table() -> Array2<u32> {
    Array2::from_shape_fn((ROWS, 8), |(row, i)| (row * 8 + i) as u32)
}

/// The reader: gathers the same rows again and again, each time with other words on its standard
/// output, and ends with the kind of the first error. It waits for a line before each round if told
/// to.
#[test]
#[ignore = "a process of the other tests"]
fn reader() {
    let variable = |name| std::env::var(name).unwrap();
    let access = match variable("READER_ACCESS").as_str() {
        "Mapped" => Access::Mapped,
        _ => Access::Positioned,
    };
    let options = OpenOptions::new().access(access);
    let array = Array::open_with(variable("READER_FILE"), options).unwrap();
    let column = Column::new(array).unwrap();
    let rows: Vec<usize> = (0..64).map(|i| i * 7919 % ROWS).collect();
    let mut out = Buffer::zeroed(rows.len() * column.row_bytes()).unwrap();
    let mut lines = std::io::stdin().lines();
    println!();
    loop {
        let gathered = column.gather(&rows, out.as_mut_slice());
        let found: &[u32] = bytemuck::cast_slice(out.as_slice());
        match gathered {
            Err(error) => return println!("ended {} {error}", error.kind()),
            Ok(()) => {
                // A batch without an error has the rows of the file that was opened.
                let expected = rows.iter().flat_map(|row| (0..8).map(move |i| row * 8 + i));
                assert!(expected.eq(found.iter().map(|x| *x as usize)), "other rows");
            }
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
    fn start(file: &Path, access: Access, waits: bool) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["reader", "--exact", "--ignored", "--nocapture"])
            .env("READER_FILE", file)
            .env("READER_ACCESS", format!("{access:?}"))
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
        let ended = self
            .lines
            .by_ref()
            .map_while(Result::ok)
            .find(|line| line.starts_with("ended"));
        let status = self.child.wait().unwrap();
        let mut errors = String::new();
        let _ = self
            .child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut errors);
        match (status.success(), ended) {
            (true, Some(line)) => line,
            _ => format!("{status}: {errors}"),
        }
    }
}

/// The change happens between two batches. Mapped and positioned access must both detect it.
#[test]
fn a_change_between_batches_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.npy");
    for access in [Access::Mapped, Access::Positioned] {
        for (name, change) in CHANGES {
            for _ in 0..TIMES {
                write_npy(&path, &table()).unwrap();
                let mut reader = Reader::start(&path, access, true);
                reader.wait_for_a_batch();
                change(&path);
                writeln!(reader.stdin).unwrap();
                let end = reader.end();
                let kind = format!("ended {}", ErrorKind::Changed);
                assert!(end.starts_with(&kind), "{name} under {access:?}: {end}");
                assert!(end.contains("x.npy"), "{end}");
            }
            println!("{name} between batches under {access:?}: {TIMES} times changed");
        }
    }
}

/// The change happens at any moment. A process with positioned reads is never killed by it, and
/// never gets rows of another file.
#[test]
fn a_change_at_any_moment_is_an_error_of_positioned_reads() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.npy");
    for (name, change) in CHANGES {
        for time in 0..TIMES {
            write_npy(&path, &table()).unwrap();
            let mut reader = Reader::start(&path, Access::Positioned, false);
            reader.wait_for_a_batch();
            std::thread::sleep(Duration::from_micros(time * 37 % 500));
            change(&path);
            let end = reader.end();
            let kind = format!("ended {}", ErrorKind::Changed);
            assert!(end.starts_with(&kind), "{name}: {end}");
        }
        println!("{name} at any moment under Positioned: {TIMES} times changed");
    }
}
