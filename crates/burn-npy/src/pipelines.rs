//! Pipelines: what can be done to rows between the files and the batches, and where it runs.
//!
//! A dataset is a value. Each method returns another dataset and leaves the old one as it is. So
//! methods follow each other in any order, and the datasets for training and for validation can
//! share what they have in common.
//!
//! 1. [The methods, with their names elsewhere](#the-methods)
//! 2. [Where each of them runs](#where-each-of-them-runs)
//! 3. [Random numbers](#random-numbers)
//! 4. [What a saved state knows](#what-a-saved-state-knows)
//!
//! Programs:
//!
//! 5. [Augmentation, in training only](#augmentation-in-training-only)
//! 6. [An image and its mask](#an-image-and-its-mask)
//! 7. [Many files: filtered, concatenated, mixed](#many-files-filtered-concatenated-mixed)
//! 8. [Folds, each with its statistics](#folds-each-with-its-statistics)
//! 9. [A forecast from recordings](#a-forecast-from-recordings)
//! 10. [Texts with a mask](#texts-with-a-mask)
//! 11. [Work that is done once](#work-that-is-done-once)
//! 12. [Rows that stay on the device](#rows-that-stay-on-the-device)
//!
//! # The methods
//!
//! Each name links to its documentation. Most have an example there.
//!
//! | files | here | tf.data | PyTorch (P), Grain (G) |
//! |---|---|---|---|
//! | shards, by a pattern or by a list | [`from_glob`], [`from_globs`], [`from_shards`] | `list_files`, `interleave` | `ConcatDataset` of files (P) |
//! | a file for each sample, or for each class | [`from_samples`], [`from_classes`], [`from_class_folders`] | | `DatasetFolder` (P) |
//! | rows of any length: items and offsets, or lengths | [`from_offsets`], [`from_lengths`] | `RaggedTensor` | a list of tensors (P) |
//! | a sparse matrix of scipy, with dense rows | [`from_scipy_npz`] | `SparseTensor` | |
//! | numbers without a header | [`Array::open_raw`] | `FixedLengthRecordDataset` | `np.memmap` |
//!
//! | rows | here | tf.data | PyTorch (P), Grain (G) |
//! |---|---|---|---|
//! | those of a list | [`rows`] | | `Subset` (P) |
//! | those that a function keeps | [`filter`] | `filter` | `filter` (G) |
//! | in the order of a column, or of what a function makes of its rows | [`sort_by`], [`sort_by_key`] | | |
//! | the first, all but the first, every `n`-th | [`take`], [`skip`], [`step`] | `take`, `skip`, `shard` | a slice (G) |
//! | all, several times | [`repeat`] | `repeat` | `repeat` (G) |
//! | two random parts; parts of a [`Partition`]; folds | [`split`], [`parts`], [`folds`] | | `random_split` (P) |
//! | those of several datasets, one dataset after the other | [`concat`] | `concatenate` | `ConcatDataset` (P) |
//! | those of several datasets in turn, by weights | [`mix`] | `sample_from_datasets` | `mix` (G) |
//! | windows over the rows, or within rows of any length; a split of them | [`windows`], [`split_in_time`] | `window` | `unfold` (P) |
//! | several of any length in each row of a fixed length | [`pack`] | | `BestFitPackIterDataset` (G) |
//! | made once, in memory or in files | [`cache`], [`cache_in`] | `cache` | |
//! | all of a column, as an array; of any length, as items and offsets | [`read`], [`read_ragged`] | `RaggedTensor.values`, `row_splits` | |
//!
//! | columns | here | tf.data | PyTorch (P), Grain (G) |
//! |---|---|---|---|
//! | some of them, other names | [`select`], [`rename`] | `map` | `map` (G) |
//! | those of two datasets | [`zip`] | `zip` | `StackDataset` (P), `zip` (G) |
//! | one of several, several of one | [`join`], [`split_column`] | `map` | `map` (G) |
//! | another shape, another order of the axes | [`reshape`], [`permute`] | `map` | `map` (G) |
//! | casts, factors, normalisation | [`convert`] | `map` | `transform=` (P), `map` (G) |
//! | a function of a row, random or not | [`map`] | `map` | `transform=` (P), `random_map` (G) |
//! | mean and deviation; counts and weights of classes | [`stats`], [`stats_axis`], [`class_counts`], [`class_weights`] | `Normalization.adapt` | |
//!
//! | the loader | here | tf.data | PyTorch (P), Grain (G) |
//! |---|---|---|---|
//! | all rows, shuffled | [`shuffle`] | `shuffle` | `shuffle=True` (P), `shuffle` (G) |
//! | rows by weights, by classes, of a list | [`Sampler`] | `rejection_resample` | `WeightedRandomSampler` (P) |
//! | rows of similar lengths together | [`Sampler::bucketed`] | `bucket_by_sequence_length` | a sampler of your own (P) |
//! | batches of at most so many tokens, padded | [`Sampler::max_tokens`] | `bucket_by_sequence_length` with a batch size for each bucket | `--max-tokens` of fairseq (P) |
//! | epochs of any length, in rows or in batches | [`Sampler::epoch_len`], [`batches_per_epoch`] | `repeat`, `take`, `steps_per_epoch` | `RandomSampler(num_samples)` (P) |
//! | padding, lengths, masks | [`Batch`] | `padded_batch` | `pad_sequence` (P) |
//! | a function of a batch in host memory | [`map_batch`] | `map` after `batch` | `collate_fn` (P) |
//! | a function of tensors | [`map` of the builder] | | in the loop |
//! | all rows on the device | [`resident`] | | `data.to("cuda")` (P) |
//!
//! The module [`transform`] has functions for [`map`] and [`map_batch`]:
//!
//! | transform | what it does | torchvision |
//! |---|---|---|
//! | [`RandomCrop`] | a part of an image at a random place, with padding and mirroring if asked for | `RandomCrop`, `RandomHorizontalFlip` |
//! | [`CenterCrop`], [`Pad`], `Resize` | the middle of an image; a border; another size (feature `resize`) | the same |
//! | [`RandomFlip`] | mirrors an image, left to right or top to bottom | `RandomHorizontalFlip`, `RandomVerticalFlip` |
//! | [`Cutout`] | sets a square at a random place to one value | `RandomErasing` |
//! | [`Noise`] | adds normal or uniform noise | `GaussianNoise` |
//! | [`OneHot`] | a label as probabilities, smoothed if asked for | `one_hot` |
//! | [`Truncate`] | the first steps of a sequence, or some at a random place | `Truncate` of torchtext |
//! | [`MixUp`], [`CutMix`] | mixes the rows of a batch, for [`map_batch`] | the same |
//! | [`from_fn`] | what a closure does | `Lambda` |
//!
//! # Where each of them runs
//!
//! | what | when, and on which threads |
//! |---|---|
//! | [`rows`], [`take`], [`concat`], [`zip`], [`windows`], [`split`] and the like | at once, with row numbers only: no row is read, but for the column of [`group_by`] |
//! | [`filter`], [`sort_by`], [`sort_by_key`], [`stats`], [`class_counts`], [`cache`] | at once, on all cores: each row of the column is read, and nothing is left to do in an epoch |
//! | [`convert`], [`permute`], [`map`] | when a row is put into a batch, on the workers of the loader |
//! | [`map_batch`] | when all rows of a batch are there, on the workers |
//! | [`map` of the builder] | when the tensors of a batch are there, on the thread that trains; with workers and a GPU, on another one, a batch ahead |
//!
//! So crops and noise belong into [`map`], where as many rows are worked on as there are workers.
//! The function of the builder is for what tensor operations do best, and for what the GPU should
//! do.
//!
//! A row of any length is to a transform an array of its items. So the same transforms work, and
//! the new row may have another length, which depends on the old one alone. Padding, [`lengths`]
//! and [`Sampler::bucketed`] are about the new rows.
//!
//! What is said first is done first. Crop before you convert: a crop of bytes moves a quarter of
//! what a crop of `float32` moves, and the rest of the image is never converted. Noise needs
//! floats, so it comes after the conversion.
//!
//! # Random numbers
//!
//! A transform that draws random numbers gets a generator. What it draws depends on
//!
//! - the seed of the sampler, or 0 if it has none,
//! - the epoch,
//! - the position of the row in the order of the epoch,
//! - how many transforms the column had before this one.
//!
//! It does not depend on the number of workers, the batch size, the shards, or on whether the run
//! was resumed. [`MixUp`] and [`CutMix`] draw once for a batch, with the generator of its first
//! row, so they depend on the batch size. A row that a sampler draws twice in an epoch is augmented
//! in two ways. The first transforms of all columns draw the same numbers, which crops an image and
//! its mask alike; the second ones draw others.
//!
//! Outside of a loader, as with [`row`](crate::NpyDataset::row), [`read`](crate::NpyDataset::read)
//! and [`cache`], the seed and the epoch are 0, and the position is the number of the row.
//!
//! # What a saved state knows
//!
//! A [`State`](crate::State) is refused for another dataset. It compares the number of rows, how
//! they were chosen, the names, dtypes and shapes of the columns, and the values of some rows.
//! Values are those before [`map`], since a random transform has no fixed ones. So nothing notices
//! that the program that resumes has another transform or other parameters, unless its rows have
//! another dtype or shape. [`cache_in`] compares the same, which is why its files have a name of
//! your choice: change it with the transform.
//!
//! # Augmentation, in training only
//!
//! The training has two methods more than the validation: one crops the images, the other makes
//! probabilities of the labels. [`MixUp`] mixes the rows of a batch. It needs an [`NpyBatcher`],
//! which `dataset.loader()` otherwise makes by itself.
//!
//! ```
//! # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/shown.rs"));
//! # macro_rules! println { ($($text:tt)*) => { print_line(format!($($text)*)) } }
//! use burn::tensor::{Int, Tensor};
//! use burn_npy::transform::{MixUp, OneHot, RandomCrop};
//! use burn_npy::{Batch, Convert, DataLoaderBuilder, NpyBatcher, NpyDataset};
//!
//! #[derive(Batch)]
//! struct Mixed {
//!     images: Tensor<3>,
//!     labels: Tensor<2>, // probabilities of the classes
//! }
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
//!     // images: (1000, 28, 28) uint8, labels: (1000,) uint8
//!     let (train, valid) = NpyDataset::open("mnist.npz")?.split(0.9, 42)?;
//!     let to_floats = Convert::to::<f32>().divide(255.0);
//!
//!     let train = train
//!         .map("images", RandomCrop::new([28, 28]).pad(4).flip(0.5))?
//!         .convert("images", to_floats.clone())?
//!         .map("labels", OneHot::new(10).smoothing(0.1))?;
//!     let mix_up = MixUp::new(0.2, ["images", "labels"])?;
//!     let train = DataLoaderBuilder::new(NpyBatcher::<Mixed>::new().map_batch(mix_up))
//!         .batch_size(50)
//!         .shuffle(42)
//!         .try_build(train)?;
//!
//!     let valid = valid.convert("images", to_floats)?;
//!     let valid = valid.loader::<Digits>().batch_size(50).try_build()?;
//!
//!     let Mixed { images, labels } = train.epoch(0).next().unwrap()?;
//!     println!("training: {:?} and {:?}", images.dims(), labels.dims());
//!     let Digits { images, labels } = valid.epoch(0).next().unwrap()?;
//!     println!("validation: {:?} and {:?}", images.dims(), labels.dims());
//!     let images = |epoch| Ok::<_, burn_npy::Error>(train.batch_at(epoch, 0)?.images.to_data());
//!     println!("the same batch again: {}", images(0)? == images(0)?);
//!     println!("in the next epoch: {}", images(0)? == images(1)?);
//! #   shown("pipelines");
//!     Ok(())
//! }
//! ```
//!
//! ```text
//! training: [50, 28, 28] and [50, 10]
//! validation: [50, 28, 28] and [50]
//! the same batch again: true
//! in the next epoch: false
//! ```
//!
//! A row with three axes needs a word about its channels, `channels_first()` or `channels_last()`:
//! the [module](crate::transform#images) says why. The crate has no transforms of colours. A
//! closure in [`from_fn`] is one.
//!
//! # An image and its mask
//!
//! The same transform is the first one of both columns, so it draws the same numbers. What comes
//! second in one of them is its own.
//!
//! ```
//! # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/shown.rs"));
//! # macro_rules! println { ($($text:tt)*) => { print_line(format!($($text)*)) } }
//! use burn::tensor::{Int, Tensor};
//! use burn_npy::transform::{Noise, RandomCrop};
//! use burn_npy::{Batch, Convert, NpyDataset};
//!
//! #[derive(Batch)]
//! struct Scans {
//!     images: Tensor<4>,
//!     masks: Tensor<3, Int>,
//! }
//!
//! fn main() -> burn_npy::Result<()> {
//! #   let _folder = folder();
//! #   use burn_npy::ndarray::{Array3, Array4};
//! #   let inside = |row, y, x| u8::from((row + 2 * y + x) % 7 == 0);
//! #   let mut npz = burn_npy::file::NpzWriter::create("scans.npz")?;
//! #   let images = Array4::from_shape_fn((20, 1, 64, 64), |(i, _, y, x)| 100 * inside(i, y, x));
//! #   npz.add("images", &images)?;
//! #   npz.add("masks", &Array3::from_shape_fn((20, 64, 64), |(i, y, x)| inside(i, y, x)))?;
//! #   npz.finish()?;
//!     // images: (20, 1, 64, 64) uint8, bright where masks: (20, 64, 64) uint8 are 1
//!     let crop = RandomCrop::new([48, 48]).flip(0.5);
//!     let loader = NpyDataset::open("scans.npz")?
//!         .map("images", crop.clone().channels_first())?
//!         .map("masks", crop)?
//!         .convert("images", Convert::to::<f32>().divide(100.0))?
//!         .map("images", Noise::gaussian(0.01))?
//!         .loader::<Scans>()
//!         .batch_size(10)
//!         .shuffle(42)
//!         .try_build()?;
//!     for batch in loader.iter() {
//!         let Scans { images, masks } = batch?;
//!         println!("{:?} and {:?}", images.dims(), masks.dims());
//!         let bright = images.squeeze_dim::<3>(1).greater_elem(0.5);
//!         println!("alike: {}", bright.int().equal(masks).all().into_scalar::<bool>());
//!     }
//! #   shown("pipelines");
//!     Ok(())
//! }
//! ```
//!
//! ```text
//! [10, 1, 48, 48] and [10, 48, 48]
//! alike: true
//! [10, 1, 48, 48] and [10, 48, 48]
//! alike: true
//! ```
//!
//! # Many files: filtered, concatenated, mixed
//!
//! All of these are datasets, so they can be split, shuffled and resumed as one of a single file. A
//! batch may have rows of several files.
//!
//! ```
//! # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/shown.rs"));
//! # macro_rules! println { ($($text:tt)*) => { print_line(format!($($text)*)) } }
//! use burn_npy::NpyDataset;
//!
//! fn main() -> burn_npy::Result<()> {
//! #   let _folder = folder();
//! #   use burn_npy::ndarray::Array1;
//! #   for (name, rows, first) in [("web-0", 8, 0), ("web-1", 8, 8), ("web-10", 8, 16),
//! #                               ("book", 6, 100)] {
//! #       let mut npz = burn_npy::file::NpzWriter::create(format!("{name}.npz"))?;
//! #       npz.add("id", &Array1::from_iter(first..first + rows))?;
//! #       npz.add("quality", &Array1::from_iter((first..first + rows).map(|i| (i % 4) as f32)))?;
//! #       npz.finish()?;
//! #   }
//!     // web-0.npz, web-1.npz and web-10.npz, with 8 rows each, and book.npz with 6:
//!     // id (n,) int32, quality (n,) float32
//!     let web = NpyDataset::from_glob("web-*.npz")?;
//!     let web = web.filter("quality", |row: &[f32]| row[0] >= 1.0)?;
//!     let books = NpyDataset::open("book.npz")?;
//!     println!("{} and {} rows", web.len(), books.len());
//!
//!     let all = NpyDataset::concat([web.clone(), books.clone()])?;
//!     println!("concatenated: {:?}", all.read::<i32>("id")?.as_slice().unwrap());
//!
//!     // Three rows of the web for each row of a book.
//!     let mix = NpyDataset::mix([(web, 3.0), (books, 1.0)])?;
//!     println!("mixed: {:?}", mix.read::<i32>("id")?.as_slice().unwrap());
//! #   shown("pipelines");
//!     Ok(())
//! }
//! ```
//!
//! ```text
//! 18 and 6 rows
//! concatenated: [1, 2, 3, 5, 6, 7, 9, 10, 11, 13, 14, 15, 17, 18, 19, 21, 22, 23, 100, 101,
//!     102, 103, 104, 105]
//! mixed: [1, 2, 100, 3, 5, 6, 101, 7, 9, 10, 102, 11, 13, 14, 103, 15, 17, 18, 104, 19, 21,
//!     22, 105, 23]
//! ```
//!
//! # Folds, each with its statistics
//!
//! [`stats_axis`] reads the rows for training only, so nothing of the validation is in the mean.
//! [`standardize_axis`] subtracts it and divides by the standard deviation, in both parts.
//!
//! ```
//! # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/shown.rs"));
//! # macro_rules! println { ($($text:tt)*) => { print_line(format!($($text)*)) } }
//! use burn::tensor::{Int, Tensor};
//! use burn_npy::{Batch, Convert, NpyDataset, order::Partition};
//!
//! #[derive(Batch)]
//! struct Patients {
//!     measured: Tensor<2>,
//!     ill: Tensor<1, Int>,
//! }
//!
//! fn main() -> burn_npy::Result<()> {
//! #   let _folder = folder();
//! #   use burn_npy::ndarray::{Array1, Array2};
//! #   let mut npz = burn_npy::file::NpzWriter::create("patients.npz")?;
//! #   let measured = Array2::from_shape_fn((60, 2), |(i, j)| ((i * 7 % 60) * (1 + 9 * j)) as f32);
//! #   npz.add("measured", &measured)?;
//! #   npz.add("ill", &Array1::from_iter((0..60_u8).map(|row| u8::from(row % 3 == 0))))?;
//! #   npz.finish()?;
//!     // measured: (60, 2) float32, ill: (60,) uint8
//!     let data = NpyDataset::open("patients.npz")?;
//!     let folds = Partition::stratified_k_fold(data.read::<u8>("ill")?, 3, 42)?;
//!     for (train, valid) in data.folds(&folds)? {
//!         let scale = Convert::new().standardize_axis(0, &train.stats_axis("measured", 0)?);
//!         let train = train.convert("measured", scale.clone())?;
//!         let valid = valid.convert("measured", scale)?;
//!         println!("{:?}, {:?}", train.class_counts("ill")?, valid.class_counts("ill")?);
//!
//!         let train = train.loader::<Patients>().batch_size(40).shuffle(42).try_build()?;
//!         let Patients { measured, ill } = train.iter().next().unwrap()?;
//!         let mean = measured.mean_dim(0).abs().max().into_scalar::<f32>();
//!         println!("{:?}, the largest mean is below 0.001: {}", ill.dims(), mean < 1e-3);
//!     }
//! #   shown("pipelines");
//!     Ok(())
//! }
//! ```
//!
//! ```text
//! {0: 26, 1: 14}, {0: 14, 1: 6}
//! [40], the largest mean is below 0.001: true
//! {0: 27, 1: 13}, {0: 13, 1: 7}
//! [40], the largest mean is below 0.001: true
//! {0: 27, 1: 13}, {0: 13, 1: 7}
//! [40], the largest mean is below 0.001: true
//! ```
//!
//! `data.class_weights("ill", 2)?` gives the weights of the classes for
//! `CrossEntropyLossConfig::with_weights`.
//!
//! # A forecast from recordings
//!
//! A file has several recordings, one after the other. Windows stay within a recording. The rows
//! are split before the windows are made, so no window of the validation has a row of the training.
//! [`split_in_time`] also splits windows that overlap, and leaves out those between the parts.
//!
//! ```
//! # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/shown.rs"));
//! # macro_rules! println { ($($text:tt)*) => { print_line(format!($($text)*)) } }
//! use burn::tensor::Tensor;
//! use burn_npy::{Batch, Convert, NpyDataset, Windows};
//!
//! #[derive(Batch)]
//! struct Forecast {
//!     sensors: Tensor<3>,          // [rows, 24, 3], the past
//!     temperature_next: Tensor<2>, // [rows, 6], what follows
//! }
//!
//! fn main() -> burn_npy::Result<()> {
//! #   let _folder = folder();
//! #   use burn_npy::ndarray::{Array1, Array2};
//! #   let mut npz = burn_npy::file::NpzWriter::create("weather.npz")?;
//! #   npz.add("station", &Array1::from_iter((0..500).map(|row| row / 100)))?;
//! #   npz.add("wind", &Array2::from_shape_fn((500, 2), |(row, i)| (row + i) as f32))?;
//! #   npz.add("temperature", &Array1::from_iter((0..500).map(|row| row as f32)))?;
//! #   npz.finish()?;
//!     // 500 hours: station (500,) int32, wind (500, 2) float32, temperature (500,) float32
//!     let hours = NpyDataset::open("weather.npz")?;
//!     let (train, valid) = hours.split_in_time(0.8)?;
//!     let stats = train.stats("temperature")?;
//!     let forecast = |hours: NpyDataset| {
//!         let scale = Convert::new().standardize(&stats);
//!         let hours = hours.convert("temperature", scale)?;
//!         let temperature = hours.select(["temperature", "station"])?;
//!         let sensors = hours.join("sensors", ["wind", "temperature"])?.select(["sensors"])?;
//!         sensors.zip(&temperature)?.windows(Windows::new(24).horizon(6).group_by("station"))
//!     };
//!     let train = forecast(train)?.loader::<Forecast>().batch_size(32).shuffle(42).try_build()?;
//!     let valid = forecast(valid)?.loader::<Forecast>().batch_size(32).try_build()?;
//!     println!("{} and {} windows", train.num_items(), valid.num_items());
//!     let Forecast { sensors, temperature_next } = train.iter().next().unwrap()?;
//!     println!("{:?} and {:?}", sensors.dims(), temperature_next.dims());
//! #   shown("pipelines");
//!     Ok(())
//! }
//! ```
//!
//! ```text
//! 284 and 71 windows
//! [32, 24, 3] and [32, 6]
//! ```
//!
//! # Texts with a mask
//!
//! The tokens of all texts are one array, and another one says how long each text is.
//! [`Sampler::bucketed`] puts texts of similar lengths into a batch, which is padded to its longest
//! text. [`Sampler::max_tokens`] does so too, and bounds what a padded batch holds, not how many
//! texts it has: it is for lengths that differ by much, and needs no `batch_size`. It refuses texts
//! that are too long: [`filter`] leaves them out, and [`Truncate`] shortens them.
//!
//! ```
//! # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/shown.rs"));
//! # macro_rules! println { ($($text:tt)*) => { print_line(format!($($text)*)) } }
//! use burn::tensor::{Bool, Int, Tensor};
//! use burn_npy::{Array, Batch, NpyDataset, Sampler};
//!
//! #[derive(Batch)]
//! struct Texts {
//!     tokens: Tensor<2, Int>,
//!     #[batch(mask_pad = "tokens")]
//!     mask_pad: Tensor<2, Bool>, // true where there is no token
//!     labels: Tensor<1, Int>,
//! }
//!
//! fn main() -> burn_npy::Result<()> {
//! #   let _folder = folder();
//! #   use burn_npy::{file::write_npy, ndarray::{Array1, array}};
//! #   write_npy("tokens.npy", &Array1::from_iter(10..31_u16))?;
//! #   write_npy("lengths.npy", &array![1_i64, 6, 2, 5, 1, 6])?;
//! #   write_npy("labels.npy", &array![0_u8, 1, 0, 1, 0, 1])?;
//!     // np.save("tokens.npy", np.concatenate(texts))           (21,) uint16
//!     // np.save("lengths.npy", [len(text) for text in texts])  (6,) int64
//!     let (tokens, lengths) = (Array::open("tokens.npy")?, Array::open("lengths.npy")?);
//!     let texts = NpyDataset::from_lengths("tokens", tokens, lengths)?
//!         .zip(&NpyDataset::open("labels.npy")?)?;
//!     println!("{texts:?}");
//!
//!     let sampler = Sampler::bucketed(texts.lengths("tokens")?, 3, 42)?;
//!     let loader = texts.loader::<Texts>().batch_size(3).sampler(sampler).try_build()?;
//!     for batch in loader.iter() {
//!         let Texts { tokens, mask_pad, .. } = batch?;
//!         println!("{:?}: {}", tokens.dims(), tokens.to_data());
//!         println!("padding: {}", mask_pad.int().to_data());
//!     }
//! #   shown("pipelines");
//!     Ok(())
//! }
//! ```
//!
//! ```text
//! NpyDataset { rows: 6, tokens: uint16 [*], labels: uint8 [] }
//! [3, 6]: [19, 20, 21, 22, 23, 0, 11, 12, 13, 14, 15, 16, 25, 26, 27, 28, 29, 30]
//! padding: [0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
//! [3, 2]: [10, 0, 24, 0, 17, 18]
//! padding: [0, 1, 0, 1, 0, 0]
//! ```
//!
//! # Work that is done once
//!
//! [`cache`] makes all rows and keeps them in memory; [`cache_in`] keeps them in files, which the
//! next run opens. What is random comes after it, or it would be drawn once for all epochs.
//!
//! ```
//! # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/shown.rs"));
//! # macro_rules! println { ($($text:tt)*) => { print_line(format!($($text)*)) } }
//! use burn::tensor::Tensor;
//! use burn_npy::transform::{self, Noise};
//! use burn_npy::NpyDataset;
//! use std::sync::atomic::{AtomicUsize, Ordering};
//!
//! /// How many rows were worked on.
//! static ROWS: AtomicUsize = AtomicUsize::new(0);
//!
//! fn main() -> burn_npy::Result<()> {
//! #   let _folder = folder();
//! #   let waves = burn_npy::ndarray::Array2::<f32>::ones((100, 8));
//! #   burn_npy::file::write_npy("waves.npy", &waves)?;
//!     // (100, 8) float32
//!     let energy = || {
//!         transform::from_fn::<f32, f32>(|wave, mut out, _| {
//!             ROWS.fetch_add(1, Ordering::Relaxed);
//!             // ... something that takes long.
//!             out.fill(wave.mapv(|x| x * x).sum());
//!             Ok(())
//!         })
//!         .shape(&[1])
//!     };
//!     for run in ["first", "second"] {
//!         let waves = NpyDataset::open("waves.npy")?
//!             .map("waves", energy())?
//!             .cache_in("cache", "energy-v1")?
//!             .map("waves", Noise::gaussian(0.1))?;
//!         let loader = waves.loader::<Tensor<2>>().batch_size(10).shuffle(42).try_build()?;
//!         for _epoch in 0..3 {
//!             for batch in loader.iter() {
//!                 batch?; // a training step
//!             }
//!         }
//!         println!("{run} run: {} rows of work", ROWS.swap(0, Ordering::Relaxed));
//!     }
//! #   shown("pipelines");
//!     Ok(())
//! }
//! ```
//!
//! ```text
//! first run: 100 rows of work
//! second run: 0 rows of work
//! ```
//!
//! # Rows that stay on the device
//!
//! For a GPU, and a dataset that fits into its memory beside the model: the rows go there once, and
//! a batch is a selection of them. The order, the batches and the states are the same as without
//! it. Transforms of rows and functions in [`map_batch`] are refused, since they work on the host,
//! and so are rows of any length. Transform tensors with the [`map` of the builder] instead.
//!
//! ```
//! # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/shown.rs"));
//! # macro_rules! println { ($($text:tt)*) => { print_line(format!($($text)*)) } }
//! use burn::tensor::{Int, Tensor};
//! use burn_npy::transform::RandomFlip;
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
//!     let data = NpyDataset::open("mnist.npz")?;
//!     let floats = data.convert("images", Convert::to::<f32>().divide(255.0))?;
//!     let loader = floats.loader::<Digits>().batch_size(64).shuffle(42);
//!     let loader = loader.resident(true).try_build()?;
//!     println!("{} batches", loader.iter().count());
//!
//!     let flipped = floats.map("images", RandomFlip::horizontal(0.5))?;
//!     println!("{}", flipped.loader::<Digits>().resident(true).try_build().unwrap_err());
//! #   shown("pipelines");
//!     Ok(())
//! }
//! ```
//!
//! ```text
//! 16 batches
//! a dataset with transforms cannot stay on the device, where rows would be the same in each
//!     epoch; leave out resident(true), or transform tensors with map
//! ```
//!
//! [`Array::open_raw`]: crate::Array::open_raw
//! [`Batch`]: crate::Batch
//! [`NpyBatcher`]: crate::NpyBatcher
//! [`Partition`]: crate::order::Partition
//! [`Sampler`]: crate::Sampler
//! [`Sampler::bucketed`]: crate::Sampler::bucketed
//! [`Sampler::max_tokens`]: crate::Sampler::max_tokens
//! [`Sampler::epoch_len`]: crate::Sampler::epoch_len
//! [`cache`]: crate::NpyDataset::cache
//! [`from_scipy_npz`]: crate::NpyDataset::from_scipy_npz
//! [`pack`]: crate::NpyDataset::pack
//! [`batches_per_epoch`]: crate::DataLoaderBuilder::batches_per_epoch
//! [`cache_in`]: crate::NpyDataset::cache_in
//! [`class_counts`]: crate::NpyDataset::class_counts
//! [`class_weights`]: crate::NpyDataset::class_weights
//! [`concat`]: crate::NpyDataset::concat
//! [`convert`]: crate::NpyDataset::convert
//! [`filter`]: crate::NpyDataset::filter
//! [`folds`]: crate::NpyDataset::folds
//! [`group_by`]: crate::Windows::group_by
//! [`from_class_folders`]: crate::NpyDataset::from_class_folders
//! [`from_classes`]: crate::NpyDataset::from_classes
//! [`from_glob`]: crate::NpyDataset::from_glob
//! [`from_globs`]: crate::NpyDataset::from_globs
//! [`from_lengths`]: crate::NpyDataset::from_lengths
//! [`from_offsets`]: crate::NpyDataset::from_offsets
//! [`from_samples`]: crate::NpyDataset::from_samples
//! [`from_shards`]: crate::NpyDataset::from_shards
//! [`join`]: crate::NpyDataset::join
//! [`map`]: crate::NpyDataset::map
//! [`lengths`]: crate::NpyDataset::lengths
//! [`map` of the builder]: crate::DataLoaderBuilder::map
//! [`map_batch`]: crate::NpyBatcher::map_batch
//! [`mix`]: crate::NpyDataset::mix
//! [`parts`]: crate::NpyDataset::parts
//! [`permute`]: crate::NpyDataset::permute
//! [`read`]: crate::NpyDataset::read
//! [`read_ragged`]: crate::NpyDataset::read_ragged
//! [`rename`]: crate::NpyDataset::rename
//! [`repeat`]: crate::NpyDataset::repeat
//! [`reshape`]: crate::NpyDataset::reshape
//! [`resident`]: crate::DataLoaderBuilder::resident
//! [`rows`]: crate::NpyDataset::rows
//! [`select`]: crate::NpyDataset::select
//! [`shuffle`]: crate::DataLoaderBuilder::shuffle
//! [`skip`]: crate::NpyDataset::skip
//! [`sort_by`]: crate::NpyDataset::sort_by
//! [`sort_by_key`]: crate::NpyDataset::sort_by_key
//! [`split`]: crate::NpyDataset::split
//! [`split_column`]: crate::NpyDataset::split_column
//! [`split_in_time`]: crate::NpyDataset::split_in_time
//! [`standardize_axis`]: crate::Convert::standardize_axis
//! [`stats`]: crate::NpyDataset::stats
//! [`stats_axis`]: crate::NpyDataset::stats_axis
//! [`step`]: crate::NpyDataset::step
//! [`take`]: crate::NpyDataset::take
//! [`transform`]: crate::transform
//! [`windows`]: crate::NpyDataset::windows
//! [`zip`]: crate::NpyDataset::zip
//! [`CenterCrop`]: crate::transform::CenterCrop
//! [`CutMix`]: crate::transform::CutMix
//! [`Cutout`]: crate::transform::Cutout
//! [`MixUp`]: crate::transform::MixUp
//! [`Noise`]: crate::transform::Noise
//! [`OneHot`]: crate::transform::OneHot
//! [`Pad`]: crate::transform::Pad
//! [`RandomCrop`]: crate::transform::RandomCrop
//! [`RandomFlip`]: crate::transform::RandomFlip
//! [`Truncate`]: crate::transform::Truncate
//! [`from_fn`]: crate::transform::from_fn
