//! One shuffled epoch in batches of 256: burn-npy beside Burn's own loader.
//!
//! `cargo bench --bench epoch`, or with `-- --quick` for a glance. The ids are
//! `epoch/<workload>/<who>-<workers>`. All contenders yield the same values, which is asserted before
//! anything is timed; then they run in turn, round by round, so that a machine that slows down slows
//! them all. The figure is the median.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use burn::data::dataloader::batcher::Batcher;
use burn::data::dataloader::{DataLoader, DataLoaderBuilder as BurnBuilder};
use burn::data::dataset::InMemDataset;
use burn::tensor::{Device, Int, Tensor, TensorData};
use burn_npy::ndarray::{Array1, Array2};
use burn_npy::{Convert, DType, DataLoaderBuilder, NpyBatcher, NpyDataset, write_npy};
use rand::{RngExt, SeedableRng, rngs::StdRng};

const BATCH: usize = 256;

/// Rows of features, and the number of the row as its label.
type Batch = (Tensor<2>, Tensor<1, Int>);

/// A row as Burn's datasets usually hold it.
#[derive(Clone, Debug)]
struct Item<T> {
    features: Vec<T>,
    label: i64,
}

/// An element, and how it becomes an `f32`.
trait Feature: Copy + Send + Sync + std::fmt::Debug + 'static {
    fn to_f32(self) -> f32;
}

impl Feature for u8 {
    fn to_f32(self) -> f32 {
        f32::from(self) / 255.0
    }
}

impl Feature for f64 {
    fn to_f32(self) -> f32 {
        self as f32
    }
}

/// A tensor an item, then `cat`: what Burn's examples do.
#[derive(Clone)]
struct Usual;

impl<T: Feature> Batcher<Item<T>, Batch> for Usual {
    fn batch(&self, items: Vec<Item<T>>, device: &Device) -> Batch {
        let features = items.iter().map(|item| {
            let values: Vec<f32> = item.features.iter().map(|x| x.to_f32()).collect();
            let len = values.len();
            Tensor::<2>::from_data(TensorData::new(values, [1, len]), device)
        });
        let labels = items
            .iter()
            .map(|item| Tensor::<1, Int>::from_data([item.label], device));
        (
            Tensor::cat(features.collect(), 0),
            Tensor::cat(labels.collect(), 0),
        )
    }
}

/// One `Vec` a batch: the best that can be done with items.
#[derive(Clone)]
struct Best;

impl<T: Feature> Batcher<Item<T>, Batch> for Best {
    fn batch(&self, items: Vec<Item<T>>, device: &Device) -> Batch {
        let row_len = items[0].features.len();
        let mut values = Vec::with_capacity(items.len() * row_len);
        for item in &items {
            values.extend(item.features.iter().map(|x| x.to_f32()));
        }
        let labels: Vec<i64> = items.iter().map(|item| item.label).collect();
        let shape = [items.len(), row_len];
        (
            Tensor::from_data(TensorData::new(values, shape), device),
            Tensor::from_data(TensorData::new(labels, [items.len()]), device),
        )
    }
}

struct Contender {
    id: String,
    loader: Arc<dyn DataLoader<Batch>>,
    seconds: Vec<f64>,
}

fn contenders<T: Feature>(
    workload: &str,
    dataset: NpyDataset,
    items: Vec<Item<T>>,
) -> Vec<Contender> {
    let mut contenders = Vec::new();
    for workers in [0, 1, 2] {
        let mut add = |who: &str, loader| {
            contenders.push(Contender {
                id: format!("epoch/{workload}/{who}-{workers}"),
                loader,
                seconds: Vec::new(),
            });
        };
        let ours = DataLoaderBuilder::new(NpyBatcher::<Batch>::all())
            .batch_size(BATCH)
            .shuffle(1)
            .num_workers(workers)
            .set_device(cpu())
            .build(dataset.clone());
        add("burn-npy", ours);
        macro_rules! burn {
            ($batcher:expr) => {
                BurnBuilder::new($batcher)
                    .batch_size(BATCH)
                    .shuffle(1)
                    .num_workers(workers)
                    .set_device(cpu())
                    .build(InMemDataset::new(items.clone()))
            };
        }
        add("burn-usual", burn!(Usual));
        add("burn-best", burn!(Best));
    }
    contenders
}

/// Every row once, with the very bits that it should have.
fn check<T: Feature>(contender: &Contender, items: &[Item<T>]) {
    let mut seen = vec![false; items.len()];
    for batch in contender.loader.iter() {
        let (features, labels) = batch.expect("the data is sound");
        let features: Vec<f32> = features.into_data().try_to_vec().expect("f32");
        let labels: Vec<i64> = labels.into_data().iter().collect();
        let rows = features.chunks_exact(features.len() / labels.len());
        for (row, label) in rows.zip(labels) {
            let item = &items[label as usize];
            assert!(!std::mem::replace(&mut seen[label as usize], true));
            assert!(
                row.iter()
                    .zip(&item.features)
                    .all(|(found, expected)| found.to_bits() == expected.to_f32().to_bits()),
                "{}: row {label} has other values",
                contender.id
            );
        }
    }
    assert!(
        seen.iter().all(|seen| *seen),
        "{}: rows are missing",
        contender.id
    );
}

fn run<T: Feature>(workload: &str, rounds: usize, dataset: NpyDataset, items: Vec<Item<T>>) {
    let rows = items.len() as f64;
    let mut contenders = contenders(workload, dataset, items.clone());
    for contender in &contenders {
        check(contender, &items);
    }
    drop(items);
    for _ in 0..rounds {
        for contender in &mut contenders {
            let start = Instant::now();
            for batch in contender.loader.iter() {
                black_box(batch.expect("the data is sound"));
            }
            contender.seconds.push(start.elapsed().as_secs_f64());
        }
    }
    let median = |seconds: &[f64]| {
        let mut sorted = seconds.to_vec();
        sorted.sort_by(f64::total_cmp);
        sorted[sorted.len() / 2]
    };
    let fastest = |who: &str| {
        let of_who = contenders.iter().filter(|c| c.id.contains(who));
        of_who
            .map(|c| median(&c.seconds))
            .fold(f64::INFINITY, f64::min)
    };
    let (usual, best) = (fastest("burn-usual"), fastest("burn-best"));
    println!(
        "{:<28} {:>12} {:>12} {:>12} {:>11} {:>11}",
        "id", "rows/s", "slowest", "fastest", "x usual", "x best"
    );
    for contender in &contenders {
        let seconds = median(&contender.seconds);
        let slowest = contender.seconds.iter().copied().fold(0.0, f64::max);
        let fastest = contender
            .seconds
            .iter()
            .copied()
            .fold(f64::INFINITY, f64::min);
        println!(
            "{:<28} {:>12.0} {:>12.0} {:>12.0} {:>11.2} {:>11.2}",
            contender.id,
            rows / seconds,
            rows / slowest,
            rows / fastest,
            usual / seconds,
            best / seconds,
        );
    }
    println!();
}

/// The CPU backend to measure on: NdArray if its feature is on, else Flex.
fn cpu() -> Device {
    #[cfg(feature = "ndarray")]
    #[allow(deprecated, reason = "upstream prefers Flex; both are supported here")]
    return Device::ndarray();
    #[cfg(not(feature = "ndarray"))]
    Device::flex()
}

fn main() {
    let quick = std::env::args().any(|arg| arg == "--quick");
    let rounds = if quick { 1 } else { 9 };
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mut rng = StdRng::seed_from_u64(0);
    println!("medians of {rounds} rounds; x usual and x best: times the fastest of Burn's own\n");

    let rows = if quick { 6_000 } else { 60_000 };
    let images = Array2::from_shape_simple_fn((rows, 784), || rng.random::<u8>());
    let to_unit = Convert::to(DType::F32).divide(255.0);
    let files = dataset(&dir, images.clone(), to_unit);
    run("mnist", rounds, files, items(images));

    let rows = if quick { 50_000 } else { 1_000_000 };
    let table = Array2::from_shape_simple_fn((rows, 10), || rng.random::<f64>());
    let files = dataset(&dir, table.clone(), Convert::to(DType::F32));
    run("table", rounds, files, items(table));
}

fn items<T: Feature>(features: Array2<T>) -> Vec<Item<T>> {
    let rows = features.rows().into_iter().zip(0..);
    rows.map(|(row, label)| Item {
        features: row.to_vec(),
        label,
    })
    .collect()
}

/// The features in a file, as a user has them, and the numbers of the rows in another.
fn dataset<T>(dir: &tempfile::TempDir, features: Array2<T>, convert: Convert) -> NpyDataset
where
    T: Feature + burn_npy::WriteElement,
{
    let labels = Array1::from_iter(0..features.nrows() as i64);
    let files = ["features", "labels"].map(|name| {
        let file = format!("{name}-{}.npy", std::any::type_name::<T>());
        (name, dir.path().join(file))
    });
    write_npy(&files[0].1, &features).expect("the folder can be written");
    write_npy(&files[1].1, &labels).expect("the folder can be written");
    NpyDataset::from_files(files)
        .and_then(|dataset| dataset.convert("features", &convert))
        .expect("the files are sound")
}
