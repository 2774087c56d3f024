//! Train Burn models straight from NumPy files. `.npy` and `.npz` files are memory-mapped datasets.
//! Background workers build batches at the speed of memory. The shuffle depends only on the seed
//! and the epoch.
//!
//! # A loader in five steps
//!
//! ```
//! use burn::data::dataloader::DataLoader;
//! use burn::tensor::{Device, Int, Tensor};
//! use burn_npy::{Batch, Convert, DType, DataLoaderBuilder, NpyBatcher, NpyDataset};
//!
//! // 1. The batch your model takes.
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
//! # burn_npy::file::write_npy(&images, &burn_npy::ndarray::Array3::from_elem((100, 28, 28),
//! 255_u8))?;
//! # burn_npy::file::write_npy(&labels, &burn_npy::ndarray::Array1::from_elem(100, 7_u8))?;
//! // 2. The files of NumPy. Only their headers are read.
//! let dataset = NpyDataset::from_files([("images", images), ("labels", labels)])?
//!     // 3. The conversion of each row, on its way into a batch.
//!     .convert("images", Convert::to::<f32>().divide(255.0))?;
//!
//! // 4. The column of each tensor. Labels become integers of the device.
//! let batcher = NpyBatcher::<MnistBatch>::new().with_columns(["images", "labels"]);
//!
//! // 5. The order, the batches, the threads.
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
//! The [`cookbook`] has a program for each of the usual jobs.
//!
//! # The types
//!
//! * An [`NpyDataset`] has named columns; a [`Row`] is a handle to one of its rows. It is a Burn
//!   `Dataset<Row>`, so Burn's transforms and Burn's loader work with it.
//! * An [`NpyBatcher`] gathers rows into a [`Batch`]. It is a Burn `Batcher<Row, B>`.
//! * A [`DataLoaderBuilder`] builds a [`Loader`], which is a Burn `DataLoader`. It takes any
//!   dataset and any batcher, and has the method names of Burn's builder. A [`Sampler`] chooses and
//!   orders the rows, a [`Shard`] divides them among processes, and [`OnError`] sets what happens
//!   to a row that cannot be loaded. A [`State`] lets a run resume after a crash.
//! * [`Array`], [`Npz`], [`Convert`], [`Order`] and the other types for files, conversions and
//!   orders come from the crate `burn-npy-core`, which does not depend on Burn.
//!
//! # Cargo features
//!
//! No backend is enabled by default. Batches are made on the `Device` that you pass. The features
//! `ndarray`, `flex`, `wgpu`, `vulkan`, `metal`, `webgpu`, `cuda` and `rocm` enable the backend of
//! that name in Burn, as the same features of your own `burn` dependency do.

mod batcher;
pub mod cookbook;
mod dataset;
mod dtype;
mod epoch_plan;
pub mod from_burn;
pub mod from_pytorch;
pub mod from_tf_data;
pub mod guide;
mod layout;
mod layouts;
pub mod limits;
mod loader;
mod memory;
mod mixed;
mod pool;
mod row;
mod scope;
mod slices;
mod tensors;
mod upload;

pub use batcher::NpyBatcher;
pub use dataset::{NpyDataset, NpzColumn, NpzSource, Part};
pub use loader::{
    AUTOTUNE, BatchInfo, DataLoaderBuilder, Loader, LoaderIter, OnError, Report, SkippedRow, State,
};
pub use row::{Row, Value};
pub use slices::TensorSlices;
pub use tensors::{Batch, Tensors};

pub use burn_npy_core::{
    Array, Convert, DType, Error, ErrorKind, Result, Sampler, catch_sigbus, file, half, ml_dtypes,
    ndarray, order, rand_core,
};
pub use burn_npy_derive::Batch;
