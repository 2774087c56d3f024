//! Coming from tf.data: the same pipeline, the names, and the differences.
//!
//! # The same pipeline
//!
//! ```python
//! with np.load("mnist.npz") as data:
//!     train = tf.data.Dataset.from_tensor_slices((data["images"], data["labels"]))
//! train = train.shuffle(10_000, seed=42)
//! train = train.map(lambda x, y: (tf.cast(x, tf.float32) / 255.0, y), tf.data.AUTOTUNE)
//! train = train.batch(64, drop_remainder=True).prefetch(tf.data.AUTOTUNE)
//! for images, labels in train:
//!     ...
//! ```
//!
//! ```
//! # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/shown.rs"));
//! # macro_rules! println { ($($text:tt)*) => { print_line(format!($($text)*)) } }
//! use burn::tensor::{Int, Tensor};
//! use burn_npy::{Batch, Convert, NpyDataset};
//!
//! #[derive(Batch)]
//! struct Digits {
//!     images: Tensor<3>,
//!     labels: Tensor<1, Int>,
//! }
//!
//! fn main() -> burn_npy::Result<()> {
//! #   let _folder = folder();
//! #   digits();
//!     let train = NpyDataset::open("mnist.npz")?
//!         .convert("images", Convert::to::<f32>().divide(255.0))?
//!         .loader::<Digits>()
//!         .shuffle(42)
//!         .batch_size(64)
//!         .drop_last(true)
//!         .try_build()?;
//!     for batch in train.iter() {
//!         let Digits { images, labels } = batch?;
//! #       assert_eq!((images.dims(), labels.dims()), ([64, 28, 28], [64]));
//!         // ...
//!     }
//!     println!("{} batches", train.len());
//! #   shown("from_tf_data");
//!     Ok(())
//! }
//! ```
//!
//! ```text
//! 15 batches
//! ```
//!
//! The calls of the loader's builder can come in any order: they describe the loader, and do not
//! wrap each other. The methods of a dataset do, as in tf.data. The number of threads and how far
//! they load ahead are chosen as with `AUTOTUNE`.
//!
//! # The names
//!
//! | tf.data | here |
//! |---|---|
//! | `from_tensor_slices` | [`from_tensor_slices`](crate::NpyDataset::from_tensor_slices) for arrays in memory; [`open`](crate::NpyDataset::open) for files |
//! | `from_generator`, `TFRecordDataset` | Burn's `Dataset`, with [`DataLoaderBuilder::new`](crate::DataLoaderBuilder::new); streams without row numbers are not there |
//! | `list_files`, `interleave` | [`from_glob`](crate::NpyDataset::from_glob), [`from_globs`](crate::NpyDataset::from_globs); a shuffle is of the rows of all files |
//! | `zip` | [`zip`](crate::NpyDataset::zip) of datasets; [`from_files`](crate::NpyDataset::from_files) and [`from_npz`](crate::NpyDataset::from_npz) make columns of one |
//! | `shuffle(buffer, seed)` | `shuffle(seed)`: of all rows, without a buffer |
//! | `shuffle(.., reshuffle_each_iteration=False)` | [`Loader::epoch`](crate::Loader::epoch)`(0)` for each pass |
//! | `batch(n)` | `batch_size(n)` |
//! | `batch(n, drop_remainder=True)` | `batch_size(n).drop_last(true)` |
//! | `padded_batch` | a column of [`from_offsets`](crate::NpyDataset::from_offsets) or [`from_lengths`](crate::NpyDataset::from_lengths), see the [cookbook](crate::cookbook#8-rows-of-several-lengths) |
//! | `map` of one element | [`map`](crate::NpyDataset::map) of the dataset; [`convert`](crate::NpyDataset::convert) for casts and normalisation. Both run on the workers |
//! | `map` of a batch | [`map_batch`](crate::NpyBatcher::map_batch) on the workers; [`map`](crate::DataLoaderBuilder::map) of the builder on tensors |
//! | `tf.image.random_crop` and the like | the module [`transform`](crate::transform), see [`pipelines`](crate::pipelines#the-methods) |
//! | `map(num_parallel_calls)` | `num_workers`, for all that workers do |
//! | `prefetch(n)`, `AUTOTUNE` | `prefetch(n)`; found by itself unless set |
//! | `repeat(n)` | a loop: each call of [`iter`](crate::Loader::iter) is the next epoch |
//! | `take(n)`, `skip(n)` | [`take`](crate::NpyDataset::take) and [`skip`](crate::NpyDataset::skip) of the dataset, in rows; `loader.iter().take(n)`, in batches |
//! | `window(size, shift)`, `timeseries_dataset_from_array` | [`windows`](crate::NpyDataset::windows)`(Windows::new(size).stride(shift))`: each window is a row, not a dataset |
//! | `shard(count, index)` | `shard(Shard::new(index, count)?, ..)`: it cuts the order, not the files, see [`Shard`](crate::order::Shard) |
//! | `filter` | [`filter`](crate::NpyDataset::filter), once and not in each epoch |
//! | `repeat(n)` within an epoch, `steps_per_epoch` | [`repeat`](crate::NpyDataset::repeat) of the dataset, [`epoch_len`](crate::Sampler::epoch_len) of a sampler |
//! | `Normalization().adapt(data)` | [`stats`](crate::NpyDataset::stats) and [`Convert::standardize`](crate::Convert::standardize) |
//! | `concatenate` | [`concat`](crate::NpyDataset::concat) |
//! | `sample_from_datasets` | [`mix`](crate::NpyDataset::mix) |
//! | `rejection_resample` | [`Sampler::balanced`](crate::Sampler::balanced), [`Sampler::weighted`](crate::Sampler::weighted) |
//! | `cache()`, `cache(file)` | [`cache`](crate::NpyDataset::cache), [`cache_in`](crate::NpyDataset::cache_in), for what transforms make; the system keeps the pages of files |
//! | `ignore_errors` | [`on_error`](crate::DataLoaderBuilder::on_error), with a limit and a list of the rows |
//! | `cardinality()` | [`Loader::len`](crate::Loader::len) in batches, [`num_items`](crate::Loader::num_items) in rows |
//! | `bucket_by_sequence_length` | [`Sampler::bucketed`](crate::Sampler::bucketed); with batch sizes that shrink as lengths grow, [`Sampler::max_tokens`](crate::Sampler::max_tokens) |
//! | `RaggedTensor.from_row_splits`, `from_row_lengths` | [`from_offsets`](crate::NpyDataset::from_offsets), [`from_lengths`](crate::NpyDataset::from_lengths) |
//! | `RaggedTensor.values`, `row_splits` | [`read_ragged`](crate::NpyDataset::read_ragged) |
//! | `tf_text` trimmers, `tf.image.random_crop` of a sequence | [`map`](crate::NpyDataset::map) with [`Truncate`](crate::transform::Truncate) |
//! | `unbatch`, `group_by_window`, `ragged_batch` | not there |
//! | saving an iterator with `tf.train.Checkpoint` | [`Loader::state`](crate::Loader::state): a few hundred bytes, without the buffer |
//!
//! # The differences that bite
//!
//! - **There is no shuffle buffer.** `shuffle(seed)` draws from all rows, and takes no memory. For
//!   a file on a slow disk, [`Sampler::blocks`](crate::Sampler::blocks) shuffles blocks of rows,
//!   which is near to what a buffer does. [`Sampler::blocks_first`](crate::Sampler::blocks_first)
//!   does so in the first epoch only, for a file that is fetched and then kept.
//! - **An order depends on the seed and the epoch**, and not on the number of threads or on the
//!   machine. So `deterministic=False` is not there.
//! - **Integers do not become floats**, and a field `Tensor<3>` does not take a column of `uint8`.
//!   The error of `try_build` says which `convert` makes it one. `float64` becomes the float of the
//!   device.
//! - **There are no graphs.** A transform of a row is Rust that works on arrays in memory; tensor
//!   operations go into `map` of the builder, which runs where the tensors are made and not on the
//!   workers.
//! - **A pipeline has no batches in its middle.** Methods of a dataset are about rows. What is
//!   about a batch is said to the loader and its batcher.
//! - **The last batch is smaller**, as in tf.data, unless `drop_last(true)`.
//! - **A batch is a `Result`**, and an error ends the pass.
