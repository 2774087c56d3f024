//! Shuffled rows of a hundred files beside those of one file, on one thread.
//!
//! `cargo bench -p burn-npy-core --bench shards [-- --quick] [--catch] [--vouch]`
//!
//! The ids are `shards/<bytes of a row>/<rows of a claim>`: rows of bytes become floats between 0
//! and 1. The files and the file run in turn, and the ratio is the median of the ratios of all
//! rounds. Each gather writes to other memory than the one before, as batches do. `--catch` calls
//! `catch_sigbus`, `--vouch` calls `assume_unchanged`.

#![allow(unsafe_code, reason = "a promise about the files")]

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Instant;

use burn_npy_core::{
    Array, Convert, Result,
    file::{Buffer, Column, write_npy},
    order::Permutation,
};
use ndarray::Array2;

const FILES: usize = 100;
/// How many buffers take turns.
const BUFFERS: usize = 8;

fn main() -> Result<()> {
    let quick = std::env::args().any(|arg| arg == "--quick");
    if std::env::args().any(|arg| arg == "--catch") {
        burn_npy_core::catch_sigbus()?;
    }
    let vouch = std::env::args().any(|arg| arg == "--vouch");
    let (scale, rounds) = if quick { (10, 1) } else { (1, 41) };
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder to write to");
    println!(
        "{:24} {:>12} {:>12} {:>8}",
        "id", "one file", "100 files", "ratio"
    );
    for (row_bytes, rows) in [
        (784, 60_000 / scale),
        (3072, 20_000 / scale),
        (12_288, 5000 / scale),
    ] {
        let [one, many] = files(dir.path(), row_bytes, rows)?.map(|paths| open(&paths, vouch));
        let columns = [one?, many?];
        for claim in [64, 128, 256, 512, 1024] {
            let mut seconds = [Vec::new(), Vec::new()];
            let mut buffers = Vec::new();
            for _ in 0..BUFFERS {
                buffers.push(Buffer::zeroed(claim * columns[0].row_bytes())?);
            }
            for round in 0..=rounds {
                for which in [round % 2, 1 - round % 2] {
                    let order = Permutation::new(rows as u64, 7, round as u64);
                    let order: Vec<usize> =
                        order.rows(0..rows as u64).map(|row| row as usize).collect();
                    let start = Instant::now();
                    for (turn, of) in order.chunks_exact(claim).enumerate() {
                        let buffer = &mut buffers[turn % BUFFERS];
                        columns[which].gather(of, buffer.as_mut_slice())?;
                        black_box(buffer);
                    }
                    // The first round brings the files into memory.
                    if round > 0 {
                        seconds[which].push(start.elapsed().as_secs_f64());
                    }
                }
            }
            let mut ratios: Vec<f64> = (0..rounds)
                .map(|round| seconds[0][round] / seconds[1][round])
                .collect();
            let rate = |seconds: &mut Vec<f64>| (rows / claim * claim) as f64 / median(seconds);
            let [one, many] = &mut seconds;
            println!(
                "{:24} {:>12.0} {:>12.0} {:>8.2}",
                format!("shards/{row_bytes}/{claim}"),
                rate(one),
                rate(many),
                median(&mut ratios)
            );
        }
    }
    Ok(())
}

/// Writes the same rows to one file and to a hundred.
fn files(dir: &Path, row_bytes: usize, rows: usize) -> Result<[Vec<PathBuf>; 2]> {
    let byte =
        |(row, i): (usize, usize)| ((row * row_bytes + i).wrapping_mul(2_654_435_761) >> 7) as u8;
    let values = Array2::from_shape_fn((rows, row_bytes), byte);
    let path = |file: usize| dir.join(format!("{row_bytes}-{file}.npy"));
    write_npy(path(FILES), &values)?;
    let per_file = rows / FILES;
    for file in 0..FILES {
        let rows = file * per_file..(file + 1) * per_file;
        write_npy(path(file), &values.slice(ndarray::s![rows, ..]))?;
    }
    Ok([vec![path(FILES)], (0..FILES).map(path).collect()])
}

fn open(paths: &[PathBuf], vouch: bool) -> Result<Column> {
    let columns = paths.iter().map(|path| {
        let column = Column::new(Array::open(path)?)?;
        if !vouch {
            return Ok(column);
        }
        // SAFETY: only this program knows of the files, which it wrote before.
        Ok(unsafe { column.assume_unchanged() })
    });
    Column::chain(columns.collect::<Result<Vec<_>>>()?)?.convert(Convert::to::<f32>().divide(255.0))
}

/// Sorts, too.
fn median(numbers: &mut [f64]) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}
