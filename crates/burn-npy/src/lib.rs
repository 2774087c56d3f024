//! Train [Burn](https://burn.dev) models straight from NumPy files.
//!
//! `.npy` and `.npz` files are memory-mapped datasets. Background threads build batches. The
//! shuffle depends only on the seed and the epoch. A killed run resumes with the next row.
//!
//! # In twenty lines
//!
//! In Python:
//!
//! ```python
//! np.savez("mnist.npz", images=images, labels=labels)  # (1000, 28, 28) and (1000,), uint8
//! ```
//!
//! In Rust:
//!
//! ```
//! # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/shown.rs"));
//! # macro_rules! println { ($($text:tt)*) => { print_line(format!($($text)*)) } }
//! use burn::prelude::*;
//! use burn_npy::{Batch, Convert, NpyDataset};
//!
//! #[derive(Batch)] // a field gets the column of its name
//! struct Digits {
//!     images: Tensor<3>,
//!     labels: Tensor<1, Int>,
//! }
//!
//! fn main() -> burn_npy::Result<()> {
//! #   let _folder = folder();
//! #   digits();
//!     let data = NpyDataset::open("mnist.npz")?
//!         .convert("images", Convert::to::<f32>().divide(255.0))?;
//!     let (train, valid) = data.split(0.9, 42)?;
//!     println!("{train:?}");
//!
//!     let train = train.loader::<Digits>().batch_size(64).shuffle(42).try_build()?;
//!     let valid = valid.loader::<Digits>().batch_size(64).try_build()?;
//!     println!("{} and {} batches", train.len(), valid.len());
//!     for batch in train.iter().take(2) {
//!         let Digits { images, labels } = batch?; // on the device
//!         println!("{:?} and {:?}", images.dims(), labels.dims());
//!     }
//! #   shown("lib");
//!     Ok(())
//! }
//! ```
//!
//! ```text
//! NpyDataset { rows: 900, images: float32 [28, 28], labels: uint8 [] }
//! 15 and 2 batches
//! [64, 28, 28] and [64]
//! [64, 28, 28] and [64]
//! ```
//!
//! Each call of [`iter`](Loader::iter) is the next epoch, shuffled anew. Burn's `Learner` takes the
//! loaders as they are.
//!
//! # Where to read on
//!
//! | page | what it has |
//! |---|---|
//! | [`guide`] | from a file to a trained model, in the order in which the data flows |
//! | [`pipelines`] | all that can be done to rows, with the names of tf.data, PyTorch and Grain: filter, mix, windows, transforms, caches |
//! | [`cookbook`] | a program for each of the usual jobs: images, tables, windows, texts, shards, folds, resuming |
//! | [`from_pytorch`], [`from_tf_data`], [`from_burn`] | the same pipeline in both, the names, and the differences |
//! | [`limits`] | what cannot be opened, files that are overwritten, platforms |
//!
//! # The types
//!
//! 1. **Files.** [`NpyDataset::open`] opens a `.npy` file or an archive. The module
//!    [`file`](mod@file) has what is below that: [`Array`], archives, headers, writers.
//! 2. **Dataset.** An [`NpyDataset`] has named columns; a [`Row`] is a handle to one of its rows.
//!    It is a Burn `Dataset<Row>`. A [`Convert`] says how elements are cast and scaled. The module
//!    [`transform`] makes new rows of rows.
//! 3. **Batch.** A [`Batch`] is a struct of tensors, or a tuple of tensors. An [`NpyBatcher`] makes
//!    it of rows; it is a Burn `Batcher<Row, B>`.
//! 4. **Loader.** A [`DataLoaderBuilder`] builds a [`Loader`], which is a Burn `DataLoader`. It
//!    takes any dataset and any batcher. A [`Sampler`] chooses and orders the rows, [`OnError`]
//!    says what happens to a row that cannot be loaded, and the module [`order`] has shards, folds
//!    and the orders themselves.
//! 5. **Running.** A [`BatchInfo`] says which rows a batch has. A [`State`] lets a run resume. A
//!    [`Report`] says where the time went. An [`Error`] says what failed, and where.
//!
//! What does not need Burn is the crate `burn-npy-core`.
//!
//! # Cargo features
//!
//! No backend is on by default: batches are made on the `Device` that you pass. The features
//! `ndarray`, `flex`, `wgpu`, `vulkan`, `metal`, `webgpu`, `cuda` and `rocm` turn on the backend of
//! that name in Burn, as the same features of your own `burn` dependency do. Others add to the
//! crate:
//!
//! | feature | what it adds |
//! |---|---|
//! | `resize` | the transform `Resize` |
//! | `http` | files at `https://`, `http://` and `hf://`, see the [guide](guide#files-at-urls) |
//! | `train` | `LoaderMetric`, which shows the loader in Burn's `Learner`; turns on `train` in Burn |
//! | `tracing` | spans and events of the crate `tracing`, see the [guide](guide#spans-and-events) |

mod batch_map;
mod batcher;
pub mod cookbook;
mod cursor;
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
#[cfg(feature = "train")]
mod metric;
mod mixed;
mod padded;
pub mod pipelines;
mod pool;
mod report_fields;
mod row;
mod scope;
mod slices;
mod tensors;
mod trace;
mod upload;

pub use batcher::NpyBatcher;
pub use dataset::{NpyDataset, NpzColumn, NpzSource, Part, Parts, RowNumber, Windows, glob};
pub use loader::{
    AUTOTUNE, BatchInfo, DataLoaderBuilder, Loader, LoaderIter, OnError, Report, SkippedRow, State,
};
#[cfg(feature = "train")]
pub use metric::LoaderMetric;
pub use row::{Row, Value};
pub use slices::TensorSlices;
pub use tensors::{Batch, BatchField, Tensors};

pub use burn_npy_core::{
    Array, Convert, DType, Error, ErrorKind, Result, Sampler, Stats, catch_sigbus, file, half,
    ml_dtypes, ndarray, order, rand_core, remote,
};
pub use burn_npy_derive::Batch;

/// Transforms of rows, for [`NpyDataset::map`], and of batches, for [`NpyBatcher::map_batch`].
///
/// A row `[height, width]` is an image. A row with three axes needs a word about its channels:
/// `channels_first()` if it is `[channels, height, width]`, as Burn's convolutions take it, or
/// `channels_last()` if it is `[height, width, channels]`, as programs for images write it.
///
/// A random transform takes its numbers from the generator of the position, in the order that its
/// documentation has. So the new rows do not depend on the number of workers, and other programs
/// can compute them.
pub mod transform {
    pub use crate::batch_map::{BatchRows, BatchTransform, CutMix, MixUp};
    pub use burn_npy_core::transform::*;
}
