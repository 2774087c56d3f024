//! The way from NumPy files to Burn tensors: memory-mapped `.npy` and `.npz` files as datasets,
//! whole batches gathered at memory speed, and a data loader whose order is a pure function of its
//! seed.
//!
//! # A loader in five steps
//!
//! ```
//! use burn::data::dataloader::DataLoader;
//! use burn::tensor::{Device, Int, Tensor};
//! use burn_npy::{Batch, Convert, DType, DataLoaderBuilder, NpyBatcher, NpyDataset};
//!
//! // 1. What the model wants of a batch.
//! struct MnistBatch {
//!     images: Tensor<3>,
//!     targets: Tensor<1, Int>,
//! }
//!
//! impl Batch for MnistBatch {
//!     type Tensors = (Tensor<3>, Tensor<1, Int>);
//!
//!     fn from_tensors((images, targets): Self::Tensors) -> Self {
//!         Self { images, targets }
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! # let (images, labels) = (dir.path().join("images.npy"), dir.path().join("labels.npy"));
//! # burn_npy::write_npy(&images, &burn_npy::ndarray::Array3::from_elem((100, 28, 28), 255_u8))?;
//! # burn_npy::write_npy(&labels, &burn_npy::ndarray::Array1::from_elem(100, 7_u8))?;
//! // 2. What NumPy wrote. Only the headers are read.
//! let dataset = NpyDataset::from_files([("images", images), ("labels", labels)])?
//!     // 3. What should happen to a row on its way.
//!     .convert("images", &Convert::to(DType::F32).divide(255.0))?;
//!
//! // 4. Which columns become which tensors, with labels as the device's integers.
//! let batcher = NpyBatcher::<MnistBatch>::new(["images", "labels"]).device_dtypes();
//!
//! // 5. Order, batches, threads.
//! let loader = DataLoaderBuilder::new(batcher)
//!     .batch_size(64)
//!     .shuffle(42)
//!     .num_workers(2)
//!     .set_device(Device::default())
//!     .try_build(dataset)?;
//!
//! for batch in loader.iter() {
//!     let batch = batch?;
//!     assert_eq!(batch.images.dims()[1..], [28, 28]);
//!     assert_eq!(batch.targets.dims()[0], batch.images.dims()[0]);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # What goes where
//!
//! * [`NpyDataset`] is columns with names; a [`Row`] is a handle to a row of it. It is a Burn
//!   `Dataset<Row>`, so Burn's transforms and its own loader work on it.
//! * [`NpyBatcher`] gathers rows into a [`Batch`]; it is a Burn `Batcher<Row, B>`.
//! * [`DataLoaderBuilder`] builds a [`Loader`], which is a Burn `DataLoader`. It takes any dataset
//!   and any batcher, with the method names of Burn's own builder. [`Sampler`], [`Shard`] and
//!   [`OnError`] say which rows come and in what order; a [`State`] is how far it has come, to go
//!   on from after a crash.
//! * Files, arrays, conversions and the order are in [`burn_npy_core`], re-exported here.
//!
//! # Cargo features
//!
//! No backend is on by default: batches are made on the `Device` that you give. The features
//! `ndarray`, `flex`, `wgpu`, `vulkan`, `metal`, `webgpu`, `cuda` and `rocm` enable the one of that
//! name in Burn, as the same features of your own `burn` dependency do.

mod batcher;
mod dataset;
mod dtype;
mod layout;
mod layouts;
mod loader;
mod mixed;
mod pool;
mod row;
mod slices;
mod tensors;
mod upload;

pub use batcher::NpyBatcher;
pub use dataset::{NpyDataset, NpzColumn, NpzSource, Part};
pub use loader::{
    AUTOTUNE, BatchInfo, DataLoaderBuilder, LoadError, Loader, LoaderIter, OnError, Report,
    SkippedRow, State,
};
pub use row::{Row, Value};
pub use slices::TensorSlices;
pub use tensors::{Batch, Tensors};

pub use burn_npy_core::ml_dtypes::*;
pub use burn_npy_core::{
    self, Access, Array, BatchPosition, Column, Convert, DType, Element, Error, ErrorKind, Limits,
    Npz, NpzWriter, OpenOptions, Order, Partition, Permutation, Plan, PositionRng, Remainder,
    Result, Sampler, Shard, WriteElement, append_npy, half, ml_dtypes, ndarray, rand_core,
    read_index, write_npy,
};

/// Its snippets are compiled and run with the doctests.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
