//! Shared by the benches: the device, batches as Burn makes them, and a check of all values.
#![allow(dead_code, reason = "each bench uses a part of it")]

pub(crate) mod items;

use std::sync::Arc;

use burn::data::dataloader::batcher::Batcher;
use burn::data::dataloader::{DataLoader, DataLoaderBuilder as BurnBuilder};
use burn::data::dataset::InMemDataset;
use burn::tensor::{Device, Int, Tensor};
use burn_npy::{DataLoaderBuilder, NpyBatcher, NpyDataset};

use items::Item;

/// Rows of features, and the number of the row as its label.
pub(crate) type Batch = (Tensor<2>, Tensor<1, Int>);

/// An element, and how it becomes an `f32`.
pub(crate) trait Feature: Copy + Send + Sync + std::fmt::Debug + 'static {
    fn to_f32(self) -> f32;
}

impl Feature for u8 {
    fn to_f32(self) -> f32 {
        f32::from(self) / 255.0
    }
}

impl Feature for f32 {
    fn to_f32(self) -> f32 {
        self
    }
}

impl Feature for f64 {
    fn to_f32(self) -> f32 {
        self as f32
    }
}

/// Shuffled batches of a dataset's two columns.
pub(crate) fn ours(
    dataset: NpyDataset,
    batch: usize,
    workers: usize,
) -> Arc<dyn DataLoader<Batch>> {
    // Labels of `int64`, as the others have them.
    DataLoaderBuilder::new(NpyBatcher::<Batch>::new().keep_dtypes())
        .batch_size(batch)
        .shuffle(1)
        .num_workers(workers)
        .set_device(cpu())
        .build(dataset)
}

/// The same of items, with Burn's loader.
pub(crate) fn burns<T: Feature>(
    batcher: impl Batcher<Item<T>, Batch> + 'static,
    items: Vec<Item<T>>,
    batch: usize,
    workers: usize,
) -> Arc<dyn DataLoader<Batch>> {
    BurnBuilder::new(batcher)
        .batch_size(batch)
        .shuffle(1)
        .num_workers(workers)
        .set_device(cpu())
        .build(InMemDataset::new(items))
}

/// Every row once, with the very bits that it should have.
pub(crate) fn check<'a, T: Feature>(
    id: &str,
    loader: &dyn DataLoader<Batch>,
    rows: usize,
    expected: impl Fn(usize) -> &'a [T],
) {
    let mut seen = vec![false; rows];
    for batch in loader.iter() {
        let (features, labels) = batch.expect("the data is sound");
        let features: Vec<f32> = features.into_data().try_to_vec().expect("f32");
        let labels: Vec<i64> = labels.into_data().iter().collect();
        let rows = features.chunks_exact(features.len() / labels.len());
        assert_eq!(rows.len(), labels.len(), "{id}");
        for (row, label) in rows.zip(labels) {
            let label = label as usize;
            assert!(!std::mem::replace(&mut seen[label], true), "{id}");
            let expected = expected(label);
            assert_eq!(row.len(), expected.len(), "{id}");
            assert!(
                row.iter()
                    .zip(expected)
                    .all(|(found, expected)| found.to_bits() == expected.to_f32().to_bits()),
                "{id}: row {label} has other values"
            );
        }
    }
    assert!(seen.iter().all(|seen| *seen), "{id}: rows are missing");
}

/// The CPU backend to measure on: NdArray if its feature is on, else Flex.
pub(crate) fn cpu() -> Device {
    #[cfg(feature = "ndarray")]
    #[allow(deprecated, reason = "upstream prefers Flex; both are supported here")]
    return Device::ndarray();
    #[cfg(not(feature = "ndarray"))]
    Device::flex()
}

/// A figure of Linux about this process, such as `VmHWM`, in bytes.
pub(crate) fn status(name: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mut lines = status.lines();
    lines
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .and_then(|value| value.split_whitespace().next()?.parse::<usize>().ok())
        .map_or(0, |kib| kib << 10)
}
