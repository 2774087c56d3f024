//! Coming from Burn's own loader: one `use` line, and what is different.
//!
//! # One line
//!
//! A project with a dataset, a batcher and a loader of Burn's changes the `use` line of the
//! builder:
//!
//! ```
//! # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/shown.rs"));
//! # macro_rules! println { ($($text:tt)*) => { print_line(format!($($text)*)) } }
//! use burn::data::dataloader::batcher::Batcher;
//! use burn::data::dataset::InMemDataset;
//! use burn::tensor::{Device, Tensor};
//! // use burn::data::dataloader::DataLoaderBuilder;
//! use burn_npy::DataLoaderBuilder;
//!
//! struct Mean;
//!
//! impl Batcher<f32, Tensor<1>> for Mean {
//!     fn batch(&self, items: Vec<f32>, device: &Device) -> Tensor<1> {
//!         Tensor::from_floats(items.as_slice(), device)
//!     }
//! }
//!
//! fn main() -> burn_npy::Result<()> {
//!     let dataset = InMemDataset::new((0..10).map(|item| item as f32).collect());
//!     let loader = DataLoaderBuilder::new(Mean)
//!         .batch_size(4)
//!         .shuffle(42)
//!         .num_workers(2)
//!         .build(dataset);
//!     println!("{} items", loader.num_items());
//!     for batch in loader.iter() {
//!         println!("{}", batch?.to_data());
//!     }
//! #   shown("from_burn");
//!     Ok(())
//! }
//! ```
//!
//! ```text
//! 10 items
//! [8.0, 2.0, 3.0, 9.0]
//! [5.0, 0.0, 1.0, 7.0]
//! [6.0, 4.0]
//! ```
//!
//! Items that are not `Clone` or `Debug` are fine too. The loader goes to `SupervisedTraining::new`
//! as before.
//!
//! # The whole way
//!
//! With NumPy files, a dataset and a batcher of your own are not needed any more:
//!
//! | Burn | here |
//! |---|---|
//! | a struct for an item, and a `Dataset` that reads it | [`NpyDataset`](crate::NpyDataset) |
//! | a `Batcher` that makes a tensor of each item, and `Tensor::cat` of them | `#[derive(Batch)]` |
//! | `.map(\|t\| t / 255)` in the batcher | [`convert`](crate::NpyDataset::convert), in the copy of the row |
//! | augmentation in the batcher | [`map`](crate::NpyDataset::map) with a [`transform`](crate::transform), on the workers |
//! | `DataLoaderBuilder::new(batcher).build(dataset)` | `dataset.loader::<B>().try_build()?` |
//!
//! ```
//! # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/shown.rs"));
//! # macro_rules! println { ($($text:tt)*) => { print_line(format!($($text)*)) } }
//! use burn::tensor::{Int, Tensor};
//! use burn_npy::{Batch, Convert, NpyDataset};
//!
//! #[derive(Batch, Clone, Debug)]
//! struct MnistBatch {
//!     images: Tensor<3>,
//!     #[batch(column = "labels")]
//!     targets: Tensor<1, Int>,
//! }
//!
//! fn main() -> burn_npy::Result<()> {
//! #   let _folder = folder();
//! #   digits();
//!     let loader = NpyDataset::open("mnist.npz")?
//!         .convert("images", Convert::to::<f32>().divide(255.0))?
//!         .loader::<MnistBatch>()
//!         .batch_size(64)
//!         .shuffle(42)
//!         .num_workers(4)
//!         .try_build()?;
//!     for batch in loader.iter().take(1) {
//!         let MnistBatch { images, targets } = batch?;
//!         println!("{:?} and {:?}", images.dims(), targets.dims());
//!     }
//! #   shown("from_burn");
//!     Ok(())
//! }
//! ```
//!
//! ```text
//! [64, 28, 28] and [64]
//! ```
//!
//! Both halves also work alone. An [`NpyDataset`](crate::NpyDataset) is a Burn `Dataset` whose
//! items are handles to rows, so Burn's transforms take it. An [`NpyBatcher`](crate::NpyBatcher) is
//! a Burn `Batcher`, so Burn's loader takes it.
//!
//! # `build` and `try_build`
//!
//! | | returns | if a column does not fit |
//! |---|---|---|
//! | `build` | `Arc<dyn DataLoader<B>>`, as Burn's builder | panics with the message |
//! | `try_build` | `Result<Arc<Loader<B>>>` | an error |
//!
//! An `Arc<Loader<B>>` goes wherever Burn takes an `Arc<dyn DataLoader<B>>`. It has
//! [`iter`](crate::Loader::iter) and [`num_items`](crate::Loader::num_items) without an import of
//! the trait `DataLoader`, and more: [`len`](crate::Loader::len), [`state`](crate::Loader::state),
//! [`report`](crate::Loader::report), [`epoch`](crate::Loader::epoch),
//! [`batch_at`](crate::Loader::batch_at), [`skipped`](crate::Loader::skipped).
//!
//! # The names
//!
//! | Burn | here |
//! |---|---|
//! | `batch_size`, `shuffle`, `set_device` | the same |
//! | `num_workers` | the same; unless it is called there are workers, where Burn has none |
//! | `ShuffledDataset`, `SamplerDataset` | [`Sampler`](crate::Sampler); Burn's work too |
//! | `PartialDataset` | [`take`](crate::NpyDataset::take), [`skip`](crate::NpyDataset::skip), [`split`](crate::NpyDataset::split) |
//! | `ComposedDataset`, `SelectionDataset` | [`concat`](crate::NpyDataset::concat), [`rows`](crate::NpyDataset::rows), [`filter`](crate::NpyDataset::filter); Burn's work too, but a saved state then knows of the dataset only its number of rows |
//! | `MapperDataset` | [`convert`](crate::NpyDataset::convert), [`map`](crate::NpyDataset::map) with a [`transform`](crate::transform) |
//! | `WindowsDataset` | [`windows`](crate::NpyDataset::windows) |
//! | `DataLoader::slice`, `to_device` | the same, and the `Learner` uses them |
//! | a `Batcher` for rows of a database | as it is |
//!
//! # The differences that bite
//!
//! - **The order does not depend on the number of workers.** Burn shuffles once, gives each worker
//!   a part of the rows, and each worker shuffles its own part. So another number of workers makes
//!   other batches, and they come in the order in which the workers are done. Here a seed and an
//!   epoch give the same batches in the same order.
//! - **Each call of `iter` is the next epoch**, as in Burn. [`Loader::epoch`](crate::Loader::epoch)
//!   repeats one, and `start_epoch` starts with another. A copy by `to_device` or `slice` counts
//!   its epochs by itself.
//! - **Loading ahead is bounded.** Burn's workers load up to 100 batches ahead, whatever their
//!   size. Here [`prefetch_bytes`](crate::DataLoaderBuilder::prefetch_bytes) bounds them.
//! - **Workers live as long as a pass.** Burn's live as long as the loader.
//! - **Errors come once, and say where.** [`Loader::iter`](crate::Loader::iter) yields an
//!   [`Error`](crate::Error) with the epoch, the batch and the row. An `Arc<dyn DataLoader>` yields
//!   Burn's `DatasetError`, and `?` or `burn_npy::Error::from` makes the `Error` of it. It ends the
//!   pass, with any number of workers.
//! - **A panic in a dataset or a batcher is an error** of its batch, and does not end the epoch
//!   silently.
//! - **Integers have the dtype of the device.** Burn's `Tensor::from_data` converts so too.
//!   Integers do not become floats, see [`NpyBatcher`](crate::NpyBatcher).
