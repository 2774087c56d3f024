//! Every plain dtype in either byte order to `f32`, and tables in Fortran order, beside NumPy by
//! hand and a loop in C that only copies; all on one thread, on the same mapped files, by turns.
//! The loop is compiled for AVX2, as ours are; NumPy uses what the machine has.
//!
//! `cargo bench -p burn-npy-core --bench casts [-- --quick] [-- f2]`
//!
//! The ids are `casts/<dtype>` and `fortran/<rows>x<columns>`; a word selects those that have it.
//! The loop needs a C compiler, and NumPy a Python that has it, `BURN_NPY_PYTHON` or `python3`;
//! without them their columns are empty.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use burn_npy_core::{
    Array, Convert, Result,
    file::{Buffer, Column},
    order::Permutation,
};

const BATCH: usize = 256;
const CODES: [&str; 20] = [
    "|b1", "|u1", "|i1", "<u2", ">u2", "<i2", ">i2", "<u4", ">u4", "<i4", ">i4", "<u8", ">u8",
    "<i8", ">i8", "<f2", ">f2", ">f4", "<f8", ">f8",
];

/// A program that runs an epoch when it is told to.
struct Peer {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Peer {
    /// Starts a program, which must find the same sum of the first rows.
    fn start(command: &mut Command, expected: f64) -> Option<Self> {
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::null()).spawn().ok()?;
        let to = child.stdin.take()?;
        let from = BufReader::new(child.stdout.take()?);
        let mut peer = Self { child, to, from };
        let sum = peer.number()?;
        let near = (sum - expected).abs() <= 1e-6 * expected.abs();
        assert!(near, "{sum} is not the sum of the rows, {expected}");
        Some(peer)
    }

    fn number(&mut self) -> Option<f64> {
        let mut line = String::new();
        self.from.read_line(&mut line).ok()?;
        line.trim().parse().ok()
    }

    fn seconds(&mut self) -> Option<f64> {
        writeln!(self.to).and_then(|()| self.to.flush()).ok()?;
        self.number()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The value of an element, small enough for every dtype, as its bytes in the file.
fn element(code: &str, index: usize) -> Vec<u8> {
    let small = (index.wrapping_mul(2_654_435_761) >> 9) % 100;
    let mut bytes = match &code[1..] {
        "b1" => vec![(small % 2) as u8],
        "u1" | "i1" => vec![small as u8],
        "u2" | "i2" => (small as u16).to_le_bytes().to_vec(),
        "u4" | "i4" => (small as u32).to_le_bytes().to_vec(),
        "u8" | "i8" => (small as u64).to_le_bytes().to_vec(),
        "f2" => burn_npy_core::half::f16::from_f32(small as f32 + 0.5)
            .to_le_bytes()
            .to_vec(),
        "f4" => (small as f32 + 0.5).to_le_bytes().to_vec(),
        _ => (small as f64 + 0.5).to_le_bytes().to_vec(),
    };
    if code.starts_with('>') {
        bytes.reverse();
    }
    bytes
}

/// Writes a file of `rows` rows of `len` elements.
fn write(path: &Path, code: &str, fortran: bool, rows: usize, len: usize) -> std::io::Result<()> {
    let order = if fortran { "True" } else { "False" };
    let text = format!("{{'descr': '{code}', 'fortran_order': {order}, 'shape': ({rows}, {len})}}");
    let mut file = std::io::BufWriter::new(std::fs::File::create(path)?);
    file.write_all(b"\x93NUMPY\x01\x00")?;
    file.write_all(&118_u16.to_le_bytes())?;
    writeln!(file, "{text:<117}")?;
    let some: Vec<u8> = (0..1009 * 64).flat_map(|i| element(code, i)).collect();
    let mut left = rows * len * element(code, 0).len();
    while left > 0 {
        let part = &some[..left.min(some.len())];
        file.write_all(part)?;
        left -= part.len();
    }
    file.flush()
}

/// An epoch of ours, in seconds.
fn epoch(column: &Column, order: &[usize], out: &mut Buffer) -> Result<f64> {
    let start = Instant::now();
    let mut left = order;
    while !left.is_empty() {
        let (of, rest) = left.split_at(BATCH.min(left.len()));
        left = rest;
        out.set_len(of.len() * column.row_bytes());
        column.gather(of, out.as_mut_slice())?;
        std::hint::black_box(&mut *out);
    }
    Ok(start.elapsed().as_secs_f64())
}

struct Peers {
    python: String,
    python_peer: PathBuf,
    c_peer: Option<PathBuf>,
}

impl Peers {
    fn new(dir: &Path) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/casts");
        let c_peer = dir.join("peer");
        let mut compiler = Command::new("cc");
        compiler.args(["-O3", "-mavx2", "-mfma", "-mf16c", "-w", "-o"]);
        let compiled = compiler.arg(&c_peer).arg(folder.join("peer.c")).status();
        Self {
            python: std::env::var("BURN_NPY_PYTHON").unwrap_or_else(|_| "python3".to_owned()),
            python_peer: folder.join("peer.py"),
            c_peer: compiled
                .is_ok_and(|status| status.success())
                .then_some(c_peer),
        }
    }
}

fn median(mut of: Vec<f64>) -> Option<f64> {
    of.sort_by(f64::total_cmp);
    of.get(of.len() / 2).copied()
}

fn run(id: &str, path: &Path, code: &str, peers: &Peers, rounds: usize) -> Result<()> {
    let column = Column::new(Array::open(path)?)?.convert(Convert::to::<f32>())?;
    let (rows, len) = (column.rows(), column.row_bytes() / size_of::<f32>());
    let first: Vec<usize> = (0..rows.min(256)).collect();
    let sum: f64 = column
        .read::<f32>(&first)?
        .iter()
        .map(|x| f64::from(*x))
        .sum();
    let mut numpy = Command::new(&peers.python);
    numpy
        .arg(&peers.python_peer)
        .arg(path)
        .arg(BATCH.to_string());
    let c_peer = peers.c_peer.as_ref().filter(|_| !column.is_scattered());
    let looped = c_peer.and_then(|program| {
        let offset = column.array().data_offset();
        let mut looped = Command::new(program);
        looped.arg(path).arg(BATCH.to_string()).arg(code);
        looped.args([rows as u64, len as u64, offset].map(|number| number.to_string()));
        Peer::start(&mut looped, sum)
    });
    let mut others = [Peer::start(&mut numpy, sum), looped];
    let order: Vec<usize> = Permutation::new(rows as u64, 7, 0)
        .rows(0..rows as u64)
        .map(|row| row as usize)
        .collect();
    let mut out = Buffer::zeroed(BATCH * column.row_bytes())?;
    let mut ours = Vec::new();
    let mut theirs = [Vec::new(), Vec::new()];
    for round in 0..=rounds {
        let seconds = epoch(&column, &order, &mut out)?;
        // The first round brings the file into memory.
        if round > 0 {
            ours.push(seconds);
        }
        for (peer, theirs) in others.iter_mut().zip(&mut theirs) {
            let seconds = peer.as_mut().and_then(Peer::seconds);
            theirs.extend(seconds.filter(|_| round > 0));
        }
    }
    let ours = median(ours).unwrap_or(f64::NAN);
    let show = |seconds: Option<f64>| match seconds {
        Some(seconds) => format!("{:>9.2}", seconds / ours),
        None => " ".repeat(9),
    };
    let [numpy, looped] = theirs.map(|seconds| show(median(seconds)));
    let gigabytes = (rows * column.array().nbytes() / rows.max(1)) as f64 / ours / 1e9;
    println!(
        "{id:20} {:>12.0} {gigabytes:>9.2} {numpy} {looped}",
        rows as f64 / ours
    );
    Ok(())
}

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let quick = args.iter().any(|arg| arg == "--quick");
    let words: Vec<_> = args.iter().filter(|arg| !arg.starts_with("--")).collect();
    let wanted = |id: &str| words.is_empty() || words.iter().any(|word| id.contains(&**word));
    let (scale, rounds) = if quick { (10, 1) } else { (1, 7) };
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder to write to");
    let peers = Peers::new(dir.path());
    let path = dir.path().join("rows.npy");
    println!(
        "{:20} {:>12} {:>9} {:>9} {:>9}",
        "id", "rows/s", "GB/s read", "of NumPy", "of a loop"
    );
    for code in CODES {
        let id = format!("casts/{code}");
        if wanted(&id) {
            write(&path, code, false, 12_000 / scale, 3_072).expect("room for a file");
            run(&id, &path, code, &peers, rounds)?;
        }
    }
    for (rows, columns) in [(100_000, 64), (1_000_000, 64), (1_000_000, 10)] {
        let id = format!("fortran/{rows}x{columns}");
        if wanted(&id) {
            write(&path, "<f4", true, rows / scale, columns).expect("room for a file");
            run(&id, &path, "<f4", &peers, rounds)?;
        }
    }
    Ok(())
}
