//! One shuffled epoch in batches of 256: burn-npy beside Burn's own loader.
//!
//! `cargo bench --bench epoch`, or with `-- --quick` for a glance. The ids are
//! `epoch/<workload>/<who>-<workers>`. All contenders yield the same values, which is asserted
//! before anything is timed; then they run in turn, round by round, so that a machine that slows
//! down slows them all. The figure is the median.

mod common;

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use burn::data::dataloader::DataLoader;
use burn_npy::ndarray::{Array1, Array2};
use burn_npy::{Convert, NpyDataset, file::write_npy};
use common::items::{Best, Item, Usual};
use common::{Batch, Feature, burns, check, ours};
use rand::{RngExt, SeedableRng, rngs::StdRng};

const BATCH: usize = 256;

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
        add("burn-npy", ours(dataset.clone(), BATCH, workers));
        add("burn-usual", burns(Usual, items.clone(), BATCH, workers));
        add("burn-best", burns(Best, items.clone(), BATCH, workers));
    }
    contenders
}

fn run<T: Feature>(workload: &str, rounds: usize, dataset: NpyDataset, items: Vec<Item<T>>) {
    let rows = items.len() as f64;
    let mut contenders = contenders(workload, dataset, items.clone());
    for contender in &contenders {
        check(&contender.id, &*contender.loader, items.len(), |row| {
            &items[row].features
        });
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

fn main() {
    let quick = std::env::args().any(|arg| arg == "--quick");
    let rounds = if quick { 1 } else { 9 };
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mut rng = StdRng::seed_from_u64(0);
    println!("medians of {rounds} rounds; x usual and x best: times the fastest of Burn's own\n");

    let rows = if quick { 6_000 } else { 60_000 };
    let images = Array2::from_shape_simple_fn((rows, 784), || rng.random::<u8>());
    let to_unit = Convert::to::<f32>().divide(255.0);
    let files = dataset(&dir, images.clone(), to_unit);
    run("mnist", rounds, files, items(images));

    let rows = if quick { 50_000 } else { 1_000_000 };
    let table = Array2::from_shape_simple_fn((rows, 10), || rng.random::<f64>());
    let files = dataset(&dir, table.clone(), Convert::to::<f32>());
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
    T: Feature + burn_npy::file::WriteElement,
{
    let labels = Array1::from_iter(0..features.nrows() as i64);
    let files = ["features", "labels"].map(|name| {
        let file = format!("{name}-{}.npy", std::any::type_name::<T>());
        (name, dir.path().join(file))
    });
    write_npy(&files[0].1, &features).expect("the folder can be written");
    write_npy(&files[1].1, &labels).expect("the folder can be written");
    NpyDataset::from_files(files)
        .and_then(|dataset| dataset.convert("features", convert.clone()))
        .expect("the files are sound")
}
