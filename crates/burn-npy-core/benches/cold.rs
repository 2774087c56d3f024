//! Shuffled rows of a file that is not in memory, by each way to read them.
//!
//! `cargo bench -p burn-npy-core --bench cold [-- --quick]`
//!
//! The ids are `cold/<row>/<way>`. Before each round the file is dropped from the page cache. A way reads
//! batches of rows that nobody has read before, for a fixed time, in turn with the others.
#![cfg(unix)]

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use burn_npy_core::{
    Access, Array, Buffer, Column, OpenOptions, Permutation, Result, append_npy, write_npy,
};
use ndarray::Array2;

const BATCH: usize = 64;
/// How many batches are announced before the one that is gathered.
const AHEAD: usize = 2;

/// Name, access, whether the order is said to be random, whether batches are announced.
const WAYS: [(&str, Access, bool, bool); 5] = [
    ("mapped-naive", Access::Mapped, false, false),
    ("mapped-random", Access::Mapped, true, false),
    ("mapped-announced", Access::Mapped, true, true),
    ("positioned", Access::Positioned, true, false),
    ("positioned-announced", Access::Positioned, true, true),
];

fn main() -> Result<()> {
    let quick = std::env::args().any(|arg| arg == "--quick");
    let (size, time, rounds) = match quick {
        true => (400 << 20, Duration::from_millis(300), 1),
        false => (3 << 30, Duration::from_secs(2), 3),
    };
    // Not the folder for temporary files, which may be in memory.
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder to write to");
    for row_bytes in [4 << 10, 150 << 10] {
        let path = dir.path().join(format!("{row_bytes}.npy"));
        write(&path, size, row_bytes)?;
        let mut rates = vec![Vec::new(); WAYS.len()];
        for round in 0..rounds {
            for (way, rates) in WAYS.iter().zip(&mut rates) {
                drop_from_cache(&path);
                rates.push(run(&path, way, time, round)?);
            }
        }
        let median = |rates: &mut Vec<f64>| {
            rates.sort_by(f64::total_cmp);
            rates[rates.len() / 2]
        };
        let medians: Vec<f64> = rates.iter_mut().map(median).collect();
        println!("{:40} {:>10} {:>8}", "id", "rows/s", "x naive");
        for ((name, ..), rate) in WAYS.iter().zip(&medians) {
            let id = format!("cold/{}-KiB/{name}", row_bytes >> 10);
            println!("{id:40} {rate:>10.0} {:>8.1}", rate / medians[0]);
        }
        let _ = std::fs::remove_file(&path);
    }
    Ok(())
}

/// Bytes that no file system makes smaller.
fn write(path: &Path, size: usize, row_bytes: usize) -> Result<()> {
    let rows = (64 << 20) / row_bytes;
    let mut state = 1_u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as u8
    };
    let chunk = Array2::from_shape_simple_fn((rows, row_bytes), &mut next);
    write_npy(path, &chunk)?;
    for _ in 1..size / (64 << 20) {
        append_npy(path, &chunk)?;
    }
    Ok(())
}

fn drop_from_cache(path: &Path) {
    let file = File::open(path).expect("the file was just written");
    let _ = file.sync_all();
    let dropped = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed);
    assert!(dropped.is_ok(), "the page cache cannot be told");
}

/// Rows a second.
fn run(
    path: &Path,
    &(_, access, random, announce): &(&str, Access, bool, bool),
    time: Duration,
    round: u64,
) -> Result<f64> {
    let options = OpenOptions {
        access,
        ..OpenOptions::default()
    };
    let column = Column::new(Array::open_with(path, options)?)?;
    column.advise(random);
    let order = Permutation::new(column.rows() as u64, 1, round);
    let batches = column.rows() / BATCH;
    let rows = |batch: usize| -> Vec<usize> {
        let start = (batch * BATCH) as u64;
        let positions = start..start + BATCH as u64;
        order.rows(positions).map(|row| row as usize).collect()
    };
    let mut out = Buffer::zeroed(BATCH * column.row_bytes())?;
    let start = Instant::now();
    let mut done = 0;
    for batch in 0..batches {
        if announce {
            let first = if batch == 0 { 0 } else { batch + AHEAD };
            for ahead in (first..=batch + AHEAD).filter(|ahead| *ahead < batches) {
                column.announce(&rows(ahead));
            }
        }
        column.check()?;
        column.gather(&rows(batch), out.as_mut_slice())?;
        done += BATCH;
        if start.elapsed() > time {
            break;
        }
    }
    Ok(done as f64 / start.elapsed().as_secs_f64())
}
