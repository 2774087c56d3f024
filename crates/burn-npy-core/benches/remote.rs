//! Rows of a file that is far away: each request takes 20 ms, however long it is.
//!
//! `cargo bench -p burn-npy-core --bench remote [-- --quick]`
//!
//! The ids are `remote/<bytes of a row>/<order>`. Batches of 64 rows are announced as a loader
//! does, and gathered, on one thread. The ratio is that to a loop on 64 threads, each of which
//! reads one row after the other with no code of ours between: as many rows as 64 requests at a
//! time can bring, if each row needs one of its own. `whole` reads all bytes in order, beside the
//! same loop over pieces of 256 KiB.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use burn_npy_core::{
    Array, Result,
    file::{Buffer, Column, OpenOptions, write_npy},
    internal,
    order::Permutation,
    remote::ReadAt,
};
use ndarray::Array2;

const BATCH: usize = 64;
/// Requests at the same time, which is the default.
const IN_FLIGHT: usize = 64;
const LATENCY: Duration = Duration::from_millis(20);
/// Rows of a block that is read in order.
const BLOCK: usize = 256;
const PIECE: usize = 256 << 10;

#[derive(Debug)]
struct Far {
    bytes: Vec<u8>,
    requests: AtomicU64,
    fetched: AtomicU64,
}

impl ReadAt for Far {
    fn name(&self) -> &str {
        "far"
    }

    fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        thread::sleep(LATENCY);
        self.requests.fetch_add(1, Relaxed);
        self.fetched.fetch_add(out.len() as u64, Relaxed);
        out.copy_from_slice(&self.bytes[offset as usize..][..out.len()]);
        Ok(())
    }
}

fn main() -> Result<()> {
    let quick = std::env::args().any(|arg| arg == "--quick");
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder to write to");
    println!(
        "{:24} {:>9} {:>9} {:>6} {:>9} {:>9} {:>9}",
        "id", "rows/s", "loop", "ratio", "rows", "requests", "MB"
    );
    for (row_bytes, rows) in [(784, 64_000), (150_528, 2048)] {
        let byte = |(row, i): (usize, usize)| (row * 31 + i) as u8;
        let path = dir.path().join("rows.npy");
        write_npy(&path, &Array2::from_shape_fn((rows, row_bytes), byte))?;
        let far = Arc::new(Far {
            bytes: std::fs::read(path).expect("it was just written"),
            requests: AtomicU64::new(0),
            fetched: AtomicU64::new(0),
        });
        let read = if quick { 640 } else { rows.min(9600) };
        for order in ["in-order", "blocks", "shuffled"] {
            let of = order_of(order, rows, read);
            let data = far.bytes.len() - rows * row_bytes;
            let places: Vec<_> = of.iter().map(|row| data + row * row_bytes).collect();
            let by_loop = read as f64 / read_by_loop(&far, &places, row_bytes);
            count_from_zero(&far);
            let ours = read as f64 / gather(&far, &of, row_bytes)?;
            show(
                &format!("remote/{row_bytes}/{order}"),
                &far,
                read,
                ours,
                by_loop,
            );
        }
        if row_bytes > PIECE / 2 {
            let len = if quick { 16 << 20 } else { far.bytes.len() } / PIECE * PIECE;
            let pieces: Vec<_> = (0..len / PIECE).map(|piece| piece * PIECE).collect();
            let by_loop = pieces.len() as f64 / read_by_loop(&far, &pieces, PIECE);
            count_from_zero(&far);
            let start = Instant::now();
            // A file in memory is read whole.
            let whole = OpenOptions::new().access(burn_npy_core::file::Access::Memory);
            Array::from_reader(far.clone(), whole)?;
            let all = (far.bytes.len() / PIECE) as f64 / start.elapsed().as_secs_f64();
            show(
                "remote/256-KiB/whole",
                &far,
                far.bytes.len() / PIECE,
                all,
                by_loop,
            );
        }
    }
    Ok(())
}

fn show(id: &str, far: &Far, rows: usize, ours: f64, by_loop: f64) {
    println!(
        "{:24} {:>9.0} {:>9.0} {:>6.2} {:>9} {:>9} {:>9.1}",
        id,
        ours,
        by_loop,
        ours / by_loop,
        rows,
        far.requests.load(Relaxed),
        far.fetched.load(Relaxed) as f64 / 1e6
    );
}

fn count_from_zero(far: &Far) {
    far.requests.store(0, Relaxed);
    far.fetched.store(0, Relaxed);
}

/// The first rows of an epoch.
fn order_of(order: &str, rows: usize, count: usize) -> Vec<usize> {
    let shuffled = |len: usize| -> Vec<u64> {
        let order = Permutation::new(len as u64, 7, 0);
        order.rows(0..len as u64).collect()
    };
    match order {
        "in-order" => (0..count).collect(),
        "blocks" => shuffled(rows / BLOCK)
            .into_iter()
            .flat_map(|block| (0..BLOCK).map(move |row| block as usize * BLOCK + row))
            .take(count)
            .collect(),
        _ => shuffled(rows)
            .into_iter()
            .map(|row| row as usize)
            .take(count)
            .collect(),
    }
}

/// Reads pieces on as many threads as there may be requests. Returns seconds.
fn read_by_loop(far: &Far, places: &[usize], len: usize) -> f64 {
    let next = AtomicUsize::new(0);
    let start = Instant::now();
    thread::scope(|scope| {
        for _ in 0..IN_FLIGHT {
            scope.spawn(|| {
                let mut out = vec![0; len];
                while let Some(place) = places.get(next.fetch_add(1, Relaxed)) {
                    far.read_at(*place as u64, &mut out).expect("it is there");
                }
            });
        }
    });
    start.elapsed().as_secs_f64()
}

/// Gathers batches, and announces those that come later. Returns seconds.
fn gather(far: &Arc<Far>, rows: &[usize], row_bytes: usize) -> Result<f64> {
    let column = Column::new(Array::from_reader(far.clone(), OpenOptions::new())?)?;
    let ahead = internal::readahead_rows(&column).div_ceil(BATCH);
    let batches: Vec<_> = rows.chunks(BATCH).collect();
    let mut out = Buffer::zeroed(BATCH * column.row_bytes())?;
    let mut next = 0;
    let start = Instant::now();
    for (at, batch) in batches.iter().enumerate() {
        next = next.max(at + 1);
        let soon = batches.len().min(at + 1 + ahead);
        while next < soon && internal::readahead(&column, batches[next]) {
            next += 1;
        }
        let out = &mut out.as_mut_slice()[..batch.len() * row_bytes];
        column.gather(batch, out)?;
        let expected = batch.iter().map(|row| (row * 31) as u8);
        assert!(
            out.iter().step_by(row_bytes).copied().eq(expected),
            "other rows"
        );
    }
    Ok(start.elapsed().as_secs_f64())
}
