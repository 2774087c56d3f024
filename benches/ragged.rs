//! One shuffled epoch of 100,000 texts of any length, padded in batches of 64.
//!
//! `cargo bench --bench ragged`, or with `-- --quick` for a glance. It prints rows a second, the
//! median of all rounds, for each number of workers: shuffled, and in buckets of similar lengths.
//! It leaves its files in `target/ragged`, where `benches/peers/ragged.py` pads them with PyTorch.

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use burn::tensor::{Device, Int, Tensor};
use burn_npy::ndarray::Array1;
use burn_npy::{Array, NpyDataset, Sampler, file::write_npy};
use rand::{RngExt, SeedableRng, rngs::StdRng};

const ROWS: usize = 100_000;
const BATCH: usize = 64;

/// Tokens, and lengths that are log-normal with a median of 150, as those of short texts.
fn write(folder: &Path) -> burn_npy::Result<()> {
    let mut rng = StdRng::seed_from_u64(42);
    let mut length = || {
        // The sum of twelve uniform numbers is close to a normal one.
        let normal: f64 = (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0;
        (150.0 * (0.8 * normal).exp()).clamp(1.0, 4000.0) as i64
    };
    let ends = (0..ROWS).scan(0, |end, _| {
        *end += length();
        Some(*end)
    });
    let offsets = Array1::from_iter(std::iter::once(0).chain(ends));
    let tokens = Array1::from_iter((0..offsets[ROWS]).map(|token| (token % 30_000) as i32));
    write_npy(folder.join("tokens.npy"), &tokens)?;
    write_npy(folder.join("offsets.npy"), &offsets)
}

fn main() -> burn_npy::Result<()> {
    let rounds = if std::env::args().any(|arg| arg == "--quick") {
        1
    } else {
        7
    };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/ragged");
    std::fs::create_dir_all(&folder).expect("a folder for the data");
    write(&folder)?;
    let open = |name: &str| Array::open(folder.join(name));
    let data = NpyDataset::from_offsets("tokens", open("tokens.npy")?, open("offsets.npy")?)?;
    let lengths = data.lengths("tokens")?;
    let tokens: u64 = lengths.iter().sum();
    println!("{ROWS} rows of {} tokens on average", tokens / ROWS as u64);
    let bucketed = Sampler::bucketed(lengths, BATCH, 42)?;
    for (name, sampler) in [("shuffled", Sampler::shuffled(42)), ("bucketed", bucketed)] {
        for workers in [0, 1, 2] {
            let loader = data.loader::<Tensor<2, Int>>().batch_size(BATCH);
            let loader = loader.sampler(sampler.clone()).num_workers(workers);
            let loader = loader.set_device(Device::flex()).try_build()?;
            let (mut seconds, mut elements) = (Vec::new(), 0);
            for _ in 0..rounds {
                let start = Instant::now();
                elements = 0;
                for batch in loader.iter() {
                    elements += black_box(batch?).shape().num_elements() as u64;
                }
                seconds.push(start.elapsed().as_secs_f64());
            }
            seconds.sort_by(f64::total_cmp);
            let rate = ROWS as f64 / seconds[rounds / 2];
            let padding = 100.0 - 100.0 * tokens as f64 / elements as f64;
            println!("{name}, {workers} workers: {rate:.0} rows/s, {padding:.0} % padding");
        }
    }
    Ok(())
}
