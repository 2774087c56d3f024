//! The promises of the workspace, one module each.
//!
//! A test that needs something that the machine may not have (NumPy, a Vulkan driver) says so and
//! is skipped. With `BURN_NPY_REQUIRE_ALL=1` in the environment it fails instead.

#[cfg(target_os = "linux")]
mod advice;
mod archives;
mod asked;
#[cfg(target_os = "linux")]
mod bad_reads;
mod borrow;
mod burn_loader;
#[cfg(unix)]
mod changes;
mod child;
mod derive;
mod devices;
mod errors;
mod examples;
mod glob;
#[cfg(unix)]
mod kill;
mod labels;
mod learner;
#[cfg(target_os = "linux")]
mod little_memory;
#[cfg(target_os = "linux")]
mod many_files;
mod memory;
mod messages;
mod metric;
mod numpy;
mod order;
mod pipelines;
mod property;
mod ragged;
mod ragged_pass;
mod ragged_verbs;
mod ragged_windows;
mod readme;
mod remote;
mod resident;
mod rows;
mod shards;
mod skip;
mod state;
mod statistics;
mod threads;
mod tokens;
mod transforms;
mod tuning;
mod user_code;
mod verbs;
#[cfg(feature = "wgpu")]
mod wgpu;

use std::io::Write;
use std::sync::Arc;

use burn::data::dataloader::DataLoader;
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::{Dataset, DatasetError};
use burn::tensor::{Device, Int, Tensor};
use burn_npy::{DataLoaderBuilder, Loader, NpyBatcher, NpyDataset, Row, ndarray::Array1};

/// Skips a test whose real part is absent, loudly; fails it where everything must be there.
fn skip(why: &str) {
    assert!(
        std::env::var_os("BURN_NPY_REQUIRE_ALL").is_none(),
        "BURN_NPY_REQUIRE_ALL is set, but {why}"
    );
    // Not `eprintln`, which the test harness would keep to itself.
    let _ = writeln!(std::io::stderr(), "skipped, since {why}");
}

/// The CPU backend that most tests run on: NdArray if its feature is on, else Flex.
fn cpu() -> Device {
    #[cfg(feature = "ndarray")]
    #[allow(deprecated, reason = "upstream prefers Flex; both are supported here")]
    return Device::ndarray();
    #[cfg(not(feature = "ndarray"))]
    Device::flex()
}

/// A dataset of nothing but numbers, and a batcher that keeps them: as cheap as it gets.
struct Indices(usize);

impl Dataset<u64> for Indices {
    fn get(&self, index: usize) -> Result<u64, DatasetError> {
        Ok(index as u64)
    }

    fn len(&self) -> usize {
        self.0
    }
}

#[derive(Clone)]
struct Keep;

impl<I: Send + Sync> Batcher<I, Vec<I>> for Keep {
    fn batch(&self, items: Vec<I>, _: &Device) -> Vec<I> {
        items
    }
}

/// A builder for batches of plain numbers.
fn plain() -> DataLoaderBuilder<u64, Vec<u64>> {
    DataLoaderBuilder::new(Keep).set_device(cpu())
}

/// Rows whose only column is their number.
fn numbered(len: usize) -> NpyDataset {
    NpyDataset::from_tensor_slices(Array1::from_iter(0..len as i64)).unwrap()
}

/// A builder for batches of row numbers.
fn builder() -> DataLoaderBuilder<Row, Tensor<1, Int>> {
    DataLoaderBuilder::new(NpyBatcher::new()).set_device(cpu())
}

/// The numbers of a batch.
fn numbers(batch: Tensor<1, Int>) -> Vec<i64> {
    batch.into_data().iter().collect()
}

/// The batches of the next epoch.
fn epoch(loader: &Arc<Loader<Tensor<1, Int>>>) -> Vec<Vec<i64>> {
    batches(&**loader)
}

fn batches(loader: &dyn DataLoader<Tensor<1, Int>>) -> Vec<Vec<i64>> {
    loader.iter().map(|batch| numbers(batch.unwrap())).collect()
}
