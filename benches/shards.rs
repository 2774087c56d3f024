//! Shuffled epochs of a hundred files beside those of one file, through the loader.
//!
//! `cargo bench --bench shards [-- --quick] [--catch]`
//!
//! The ids are `shards/<bytes of a row>/<workers>`: batches of 64 rows of bytes, which become
//! floats between 0 and 1. The file and the files run in turn, and the ratio is the median of the
//! ratios of all rounds. `--catch` calls `catch_sigbus`.

mod common;

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Instant;

use burn::tensor::Tensor;
use burn_npy::ndarray::{Array2, s};
use burn_npy::{Convert, NpyDataset, Result, file::write_npy};

const FILES: usize = 100;
const BATCH: usize = 64;

fn main() -> Result<()> {
    let quick = std::env::args().any(|arg| arg == "--quick");
    if std::env::args().any(|arg| arg == "--catch") {
        burn_npy::catch_sigbus()?;
    }
    let (scale, rounds) = if quick { (10, 1) } else { (1, 41) };
    let dir = tempfile::tempdir().expect("a temporary folder");
    println!(
        "{:24} {:>12} {:>12} {:>8}",
        "id", "one file", "100 files", "ratio"
    );
    for (row_bytes, rows) in [(784, 60_000 / scale), (3072, 20_000 / scale)] {
        let datasets = files(dir.path(), row_bytes, rows)?;
        for workers in [0, 1, 2] {
            let mut loaders = Vec::new();
            for paths in &datasets {
                let parts = paths
                    .iter()
                    .map(|path| NpyDataset::from_files([("x", path)]));
                let dataset = NpyDataset::concat(parts.collect::<Result<Vec<_>>>()?)?
                    .convert("x", Convert::to::<f32>().divide(255.0))?;
                let builder = dataset.loader::<(Tensor<2>,)>().batch_size(BATCH);
                let builder = builder.shuffle(1).num_workers(workers);
                loaders.push(builder.set_device(common::cpu()).try_build()?);
            }
            let mut seconds = [Vec::new(), Vec::new()];
            for round in 0..=rounds {
                for which in [round % 2, 1 - round % 2] {
                    let start = Instant::now();
                    for batch in loaders[which].iter() {
                        black_box(batch?);
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
            let [one, many] = seconds
                .each_mut()
                .map(|seconds| rows as f64 / median(seconds));
            let id = format!("shards/{row_bytes}/{workers}");
            let ratio = median(&mut ratios);
            println!("{id:24} {one:>12.0} {many:>12.0} {ratio:>8.2}");
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
        write_npy(path(file), &values.slice(s![rows, ..]).to_owned())?;
    }
    Ok([vec![path(FILES)], (0..FILES).map(path).collect()])
}

/// Sorts, too.
fn median(numbers: &mut [f64]) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}
