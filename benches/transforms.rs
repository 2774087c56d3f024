//! Transforms on the workers: work that scales with them, and crops beside a plain gather.
//!
//! `cargo bench --bench transforms`, or with `-- --quick` for a glance, and with a word for the ids
//! that have it. `benches/peers/bench_transforms.py` does the first part with PyTorch and Grain.
//!
//! - `work/20us/burn-npy-<workers>`: rows of 784 bytes, on each of which a transform works for 20
//!   microseconds, in batches of 64.
//! - `crop/<images>/<what>`: batches of 256 without workers. `plain` gathers u8 images and divides
//!   them by 255; `copied` has a transform before that which only copies; `crop` has a random crop,
//!   half of them mirrored.
//!
//! The contenders of a group run in turn, round by round. A figure is the median; `x first` is the
//! median of the ratios to the first of the group in the same round, so that a machine whose speed
//! changes does not change it.

mod common;

use std::hint::black_box;
use std::time::Instant;

use burn::tensor::Tensor;
use burn_npy::ndarray::{Array1, Array2, Array4};
use burn_npy::order::PositionRng;
use burn_npy::transform::{RandomCrop, RowType, RowView, RowViewMut, Transform};
use burn_npy::{Convert, NpyDataset, Sampler, file::write_npy};
use common::{check, cpu, ours};
use rand::{RngExt, SeedableRng, rngs::StdRng};

/// How long the transform of the first part works on a row.
const WORK_SECONDS: f64 = 20e-6;

/// Copies the row, and then computes something that nobody needs.
#[derive(Clone, Copy)]
struct Work {
    rounds: u32,
}

impl Work {
    /// As much as takes 20 microseconds when nothing else runs.
    fn new() -> Self {
        let mut work = Self { rounds: 100_000 };
        let seconds = (0..1000).map(|_| {
            let start = Instant::now();
            work.run();
            start.elapsed().as_secs_f64()
        });
        let fastest = seconds.fold(f64::INFINITY, f64::min);
        work.rounds = (f64::from(work.rounds) * WORK_SECONDS / fastest) as u32;
        work
    }

    fn run(&self) {
        let mut number = black_box(1_u64);
        for _ in 0..self.rounds {
            number = number
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
        }
        black_box(number);
    }
}

impl Transform for Work {
    fn output(&self, row: &RowType) -> burn_npy::Result<RowType> {
        Ok(row.clone())
    }

    fn apply(
        &self,
        row: RowView<'_>,
        mut out: RowViewMut<'_>,
        _: &mut PositionRng,
    ) -> burn_npy::Result<()> {
        out.bytes_mut().copy_from_slice(row.bytes());
        self.run();
        Ok(())
    }
}

/// A way to make the batches of an epoch.
struct Contender {
    id: String,
    rows: usize,
    epoch: Box<dyn Fn()>,
}

/// Takes turns and prints a table.
fn race(rounds: usize, contenders: &[Contender]) {
    let median = |seconds: &mut Vec<f64>| {
        seconds.sort_by(f64::total_cmp);
        seconds[seconds.len() / 2]
    };
    let mut seconds = vec![Vec::new(); contenders.len()];
    // The first round only warms up.
    for round in 0..=rounds {
        for (contender, seconds) in contenders.iter().zip(&mut seconds) {
            let start = Instant::now();
            (contender.epoch)();
            if round > 0 {
                seconds.push(start.elapsed().as_secs_f64());
            }
        }
    }
    println!(
        "{:<32} {:>12} {:>12} {:>12} {:>9}   ({rounds} rounds)",
        "id", "rows/s", "slowest", "fastest", "x first"
    );
    let of_first = seconds.first().cloned().unwrap_or_default();
    for (contender, mut seconds) in contenders.iter().zip(seconds) {
        let ratios = of_first.iter().zip(&seconds);
        let ratio = median(&mut ratios.map(|(first, own)| first / own).collect());
        let rate = |seconds: f64| contender.rows as f64 / seconds;
        let middle = median(&mut seconds);
        println!(
            "{:<32} {:>12.0} {:>12.0} {:>12.0} {:>9.2}",
            contender.id,
            rate(middle),
            rate(seconds[seconds.len() - 1]),
            rate(seconds[0]),
            ratio
        );
    }
    println!();
}

/// 20 microseconds of work a row.
fn work(rounds: usize, rows: usize, rng: &mut StdRng) {
    let features = Array2::from_shape_simple_fn((rows, 784), || rng.random::<u8>());
    let labels = Array1::from_iter(0..rows as i64);
    let slices = (("features", features.clone()), ("labels", labels));
    let dataset = NpyDataset::from_tensor_slices(slices)
        .and_then(|dataset| dataset.map("features", Work::new()))
        .and_then(|dataset| dataset.convert("features", Convert::to::<f32>().divide(255.0)))
        .expect("the data is sound");
    let features = features.as_slice().expect("a new array is in C order");
    let contenders = [0, 1, 2].map(|workers| {
        let loader = ours(dataset.clone(), 64, workers);
        let id = format!("work/20us/burn-npy-{workers}");
        check(&id, &*loader, rows, |row| &features[row * 784..][..784]);
        Contender {
            id,
            rows,
            epoch: Box::new(move || {
                for batch in loader.iter() {
                    black_box(batch.expect("the data is sound"));
                }
            }),
        }
    });
    race(rounds, &contenders);
}

/// Images in a file, plain and cropped.
fn crop(rounds: usize, name: &str, shape: [usize; 4], crop: RandomCrop, rng: &mut StdRng) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("images.npy");
    let images = Array4::from_shape_simple_fn(shape, || rng.random::<u8>());
    write_npy(&path, &images).expect("the folder can be written");
    let unit = |dataset: NpyDataset| dataset.convert("images", Convert::to::<f32>().divide(255.0));
    let files = NpyDataset::from_files([("images", path)]).expect("the file is sound");
    let plain = unit(files.clone()).expect("bytes become floats");
    let copied = files.map("images", Work { rounds: 0 }).and_then(unit);
    let cropped = files.map("images", crop.flip(0.5).channels_first());
    let contenders = [
        ("plain", plain.clone()),
        ("copied", copied.expect("bytes become floats")),
        ("crop", cropped.and_then(unit).expect("the crop fits")),
    ];
    let contenders = contenders.map(|(what, dataset)| {
        let builder = dataset.loader::<Tensor<4>>().set_device(cpu());
        let builder = builder.batch_size(256).shuffle(1).num_workers(0);
        let loader = builder.try_build().expect("the images fit the batch");
        Contender {
            id: format!("crop/{name}/{what}"),
            rows: shape[0],
            epoch: Box::new(move || {
                for batch in loader.iter() {
                    black_box(batch.expect("the data is sound"));
                }
            }),
        }
    });
    check_crops(&plain, shape, images.as_slice().expect("in C order"));
    race(rounds, &contenders);
}

/// The first plain batch has the values that it should have.
fn check_crops(plain: &NpyDataset, shape: [usize; 4], images: &[u8]) {
    let builder = plain.loader::<Tensor<4>>().set_device(cpu());
    let loader = builder.batch_size(256).shuffle(1).try_build();
    let batch = loader.expect("the images fit the batch").iter().next();
    let batch = batch.expect("a batch").expect("the data is sound");
    let found: Vec<f32> = batch.into_data().try_to_vec().expect("f32");
    let len = shape[1..].iter().product::<usize>();
    let order = Sampler::shuffled(1).order(shape[0] as u64, 0);
    for (place, row) in order.rows(0..256).enumerate() {
        let expected = &images[row as usize * len..][..len];
        let expected = expected.iter().map(|pixel| f32::from(*pixel) / 255.0);
        assert!(expected.eq(found[place * len..][..len].iter().copied()));
    }
}

fn main() {
    let mut args = std::env::args().skip(1);
    let quick = std::env::args().any(|arg| arg == "--quick");
    let word = args.find(|arg| !arg.starts_with("--")).unwrap_or_default();
    let is_chosen = |id: &str| id.contains(&word);
    let rounds = if quick { 1 } else { 9 };
    let part = if quick { 10 } else { 1 };
    let mut rng = StdRng::seed_from_u64(0);
    if is_chosen("work/20us") {
        // Short epochs, of which some find both cores idle.
        work(7 * rounds, 3200, &mut rng);
    }
    for (name, shape, augment) in [
        (
            "mnist",
            [60_000 / part, 1, 28, 28],
            RandomCrop::new([28; 2]).pad(4),
        ),
        (
            "cifar",
            [20_000 / part, 3, 32, 32],
            RandomCrop::new([32; 2]).pad(4),
        ),
        (
            "64-to-56",
            [5000 / part, 3, 64, 64],
            RandomCrop::new([56; 2]),
        ),
    ] {
        if is_chosen(&format!("crop/{name}")) {
            crop(rounds, name, shape, augment, &mut rng);
        }
    }
}
