//! Threads: bounded, stopped, joined.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::{Dataset, DatasetError};
use burn::tensor::{Device, Int, Tensor};
use burn_npy::{
    Array, Convert, DataLoaderBuilder, NpyBatcher, NpyDataset,
    file::{Access, NpzWriter, OpenOptions, write_npy},
    ndarray::Array2,
};

/// Counts the batches that are loaded, and the threads that are inside of it.
#[derive(Clone, Default)]
struct Counting {
    loaded: Arc<AtomicUsize>,
    /// One for the builder, and one for each batcher that a thread still holds.
    alive: Arc<()>,
}

impl Batcher<usize, Vec<usize>> for Counting {
    fn batch(&self, items: Vec<usize>, _: &Device) -> Vec<usize> {
        self.loaded.fetch_add(1, Ordering::SeqCst);
        items
    }
}

struct Indices(usize);

impl Dataset<usize> for Indices {
    fn get(&self, index: usize) -> Result<usize, DatasetError> {
        Ok(index)
    }

    fn len(&self) -> usize {
        self.0
    }
}

fn settled(count: &AtomicUsize) -> usize {
    let start = Instant::now();
    let mut last = (count.load(Ordering::SeqCst), Instant::now());
    // Until it has not changed for a while; the bound only keeps a failure from hanging.
    while last.1.elapsed() < Duration::from_millis(100) && start.elapsed().as_secs() < 20 {
        let now = count.load(Ordering::SeqCst);
        if now != last.0 {
            last = (now, Instant::now());
        }
        std::thread::yield_now();
    }
    last.0
}

#[test]
fn prefetch_is_bounded() {
    for (workers, prefetch, expected) in [(1, 3, 3), (4, 3, 3), (2, 0, 1), (0, 3, 0)] {
        let batcher = Counting::default();
        let loader = DataLoaderBuilder::new(batcher.clone())
            .batch_size(2)
            .num_workers(workers)
            .prefetch(prefetch)
            .set_device(crate::cpu())
            .try_build(Indices(1000))
            .unwrap();
        let mut iter = loader.iter();
        assert_eq!(settled(&batcher.loaded), expected);
        for taken in 1..5 {
            assert!(iter.next().is_some());
            assert_eq!(settled(&batcher.loaded), taken + expected);
        }
    }
}

#[test]
fn prefetch_is_bounded_in_bytes() {
    // A batch is 1 MiB; 2.5 MiB hold two.
    let values = Array2::<u8>::zeros((100, 1 << 16));
    let dataset = NpyDataset::from_tensor_slices(values).unwrap();
    let batcher = NpyBatcher::<burn::tensor::Tensor<2, burn::tensor::Int>>::new().keep_dtypes();
    let loader = DataLoaderBuilder::new(batcher)
        .batch_size(16)
        .num_workers(2)
        .prefetch(50)
        .prefetch_bytes((1 << 20) * 5 / 2)
        .set_device(crate::cpu())
        .try_build(dataset)
        .unwrap();
    assert_eq!(loader.report().prefetch(), 2);
    assert_eq!(loader.iter().count(), 7);
}

#[test]
fn dropping_an_iterator_stops_and_joins() {
    let batcher = Counting::default();
    let alive = Arc::downgrade(&batcher.alive);
    let loader = DataLoaderBuilder::new(batcher.clone())
        .batch_size(1)
        .num_workers(3)
        .set_device(crate::cpu())
        .try_build(Indices(1_000_000))
        .unwrap();
    for _ in 0..50 {
        let mut iter = loader.iter();
        iter.next();
        drop(iter);
        // The threads are gone, so nothing is loaded any more.
        let loaded = batcher.loaded.load(Ordering::SeqCst);
        std::thread::yield_now();
        assert_eq!(batcher.loaded.load(Ordering::SeqCst), loaded);
    }
    // An iterator outlives its loader's other users, but not its own drop.
    let iter = loader.epoch(0);
    drop((loader, batcher));
    assert!(alive.upgrade().is_some());
    drop(iter);
    assert!(
        alive.upgrade().is_none(),
        "a thread still holds the batcher"
    );
}

#[test]
fn two_passes_at_once_do_not_disturb_each_other() {
    let loader = crate::builder()
        .batch_size(3)
        .shuffle(1)
        .num_workers(2)
        .try_build(crate::numbered(100))
        .unwrap();
    let pairs = loader.epoch(4).zip(loader.epoch(4));
    let mut count = 0;
    for (a, b) in pairs {
        assert_eq!(crate::numbers(a.unwrap()), crate::numbers(b.unwrap()));
        count += 1;
    }
    assert_eq!(count, 34);
}

/// `tests/valgrind` runs this one, since it has all that threads share: files, memory, and batches.
#[test]
fn workers_and_the_consumer_share_files_and_memory() {
    const ROWS: usize = 500;
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let values = Array2::from_shape_fn((ROWS, 6), |(i, j)| (10 * i + j) as f32);
    let labels = values.map(|value| *value as i64).column(0).to_owned();
    write_npy(path("x.npy"), &values).unwrap();
    let mut npz = NpzWriter::create(path("y.npz")).unwrap();
    npz.add("y", &labels).unwrap();
    npz.finish().unwrap();
    for access in [Access::Mapped, Access::Positioned, Access::Memory] {
        let options = OpenOptions::new().access(access);
        let y = burn_npy::file::Npz::open_with(path("y.npz"), options.clone()).unwrap();
        let arrays = [
            ("x", Array::open_with(path("x.npy"), options).unwrap()),
            ("y", y.array("y").unwrap()),
        ];
        let dataset = NpyDataset::from_arrays(arrays)
            .and_then(|dataset| dataset.convert("x", Convert::to::<f32>().scale(2.0)))
            .unwrap();
        for (workers, shuffled) in [(2, true), (2, false), (0, true)] {
            let batcher = NpyBatcher::<(Tensor<2>, Tensor<1, Int>)>::new().keep_dtypes();
            let mut builder = DataLoaderBuilder::new(batcher)
                .batch_size(7)
                .num_workers(workers)
                .set_device(crate::cpu());
            if shuffled {
                builder = builder.shuffle(3);
            }
            let loader = builder.try_build(dataset.clone()).unwrap();
            // One pass is given up, and others take its place.
            assert_eq!(loader.iter().take(5).count(), 5);
            for _ in 0..2 {
                let mut seen = Vec::new();
                for batch in loader.iter() {
                    let (x, y) = batch.unwrap();
                    let x: Vec<f32> = x.into_data().iter().collect();
                    let y: Vec<i64> = y.into_data().iter().collect();
                    for (x, y) in x.chunks(6).zip(&y) {
                        let expected: Vec<f32> = (0..6).map(|j| (2 * (y + j)) as f32).collect();
                        assert_eq!(x, expected);
                    }
                    seen.extend(y);
                }
                seen.sort_unstable();
                assert_eq!(seen, labels.to_vec());
            }
        }
    }
}
