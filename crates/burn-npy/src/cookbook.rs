//! One program for each job that people come with.
//!
//! Each program is complete, and what it prints is shown below it. The [guide](crate::guide)
//! explains the parts, and [`pipelines`](crate::pipelines) has all that can be done to rows. The
//! jobs:
//!
//! 1. [Train and validation files, with a Learner](#1-train-and-validation-files-with-a-learner)
//! 2. [One archive](#2-one-archive)
//! 3. [Images with channels last](#3-images-with-channels-last)
//! 4. [Crop and flip, in training only](#4-crop-and-flip-in-training-only)
//! 5. [A table whose last column is the label](#5-a-table-whose-last-column-is-the-label)
//! 6. [Windows with a horizon](#6-windows-with-a-horizon)
//! 7. [Windows of tokens](#7-windows-of-tokens)
//! 8. [Rows of several lengths](#8-rows-of-several-lengths)
//! 9. [A hundred shards](#9-a-hundred-shards)
//! 10. [Rare classes](#10-rare-classes)
//! 11. [Resume](#11-resume)
//! 12. [Filter and concatenate](#12-filter-and-concatenate)
//! 13. [Cross-validation](#13-cross-validation)
//! 14. [Predictions](#14-predictions)
//! 15. [Arrays in memory](#15-arrays-in-memory)
//! 16. [Where the time goes](#16-where-the-time-goes)
//!
//! # 1. Train and validation files, with a Learner
//!
//! Each array is a file of its own. `from_files` gives each a name, which is that of a field of the
//! batch.
//!
//! ```
//! # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/shown.rs"));
//! # macro_rules! println { ($($text:tt)*) => { print_line(format!($($text)*)) } }
//! use burn::nn::{Linear, LinearConfig, loss::CrossEntropyLossConfig};
//! use burn::optim::AdamConfig;
//! use burn::prelude::*;
//! use burn::train::metric::{AccuracyMetric, LossMetric};
//! use burn::train::{ClassificationOutput, InferenceStep, Learner};
//! use burn::train::{SupervisedTraining, TrainOutput, TrainStep};
//! use burn_npy::{Batch, Convert, NpyDataset};
//!
//! # // job 1
//! #[derive(Batch)]
//! struct Digits {
//!     images: Tensor<3>,
//!     labels: Tensor<1, Int>,
//! }
//!
//! fn open(part: &str) -> burn_npy::Result<NpyDataset> {
//!     let files = ["images", "labels"].map(|column| (column, format!("{part}_{column}.npy")));
//!     NpyDataset::from_files(files)?.convert("images", Convert::to::<f32>().divide(255.0))
//! }
//! # // end
//!
//! #[derive(Module, Debug)]
//! struct Model {
//!     linear: Linear,
//! }
//!
//! impl Model {
//!     fn classify(&self, batch: Digits) -> ClassificationOutput {
//!         let output = self.linear.forward(batch.images.flatten::<2>(1, 2));
//!         let criterion = CrossEntropyLossConfig::new().init(&output.device());
//!         let loss = criterion.forward(output.clone(), batch.labels.clone());
//!         ClassificationOutput::new(loss, output, batch.labels)
//!     }
//! }
//!
//! impl TrainStep for Model {
//!     type Input = Digits;
//!     type Output = ClassificationOutput;
//!
//!     fn step(&self, batch: Digits) -> TrainOutput<ClassificationOutput> {
//!         let output = self.classify(batch);
//!         TrainOutput::new(self, output.loss.backward(), output)
//!     }
//! }
//!
//! impl InferenceStep for Model {
//!     type Input = Digits;
//!     type Output = ClassificationOutput;
//!
//!     fn step(&self, batch: Digits) -> ClassificationOutput {
//!         self.classify(batch)
//!     }
//! }
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//! #   let _folder = folder();
//! #   digits();
//! #   for (part, rows) in [("train", 0..900), ("valid", 900..1000)] {
//! #       use burn_npy::ndarray::s;
//! #       let all = NpyDataset::open("mnist.npz")?;
//! #       let images = all.read::<u8>("images")?;
//! #       let labels = all.read::<u8>("labels")?;
//! #       let of = |name: &str| format!("{part}_{name}.npy");
//! #       burn_npy::file::write_npy(of("images"), &images.slice(s![rows.clone(), .., ..]))?;
//! #       burn_npy::file::write_npy(of("labels"), &labels.slice(s![rows]))?;
//! #   }
//! #   // job 1
//!     let train = open("train")?.loader::<Digits>().batch_size(50).shuffle(42).try_build()?;
//!     let valid = open("valid")?.loader::<Digits>().batch_size(50).try_build()?;
//! #   // end
//!     println!("{} and {} batches", train.len(), valid.len());
//!
//!     let device = Device::default().autodiff();
//!     let model = Model { linear: LinearConfig::new(28 * 28, 10).init(&device) };
//!     let result = SupervisedTraining::new("run", train.clone(), valid.clone())
//!         .metrics((AccuracyMetric::new(), LossMetric::new()))
//!         .num_epochs(2)
//!         .launch(Learner::new(model, AdamConfig::new().init(), 1e-2));
//!     if let Some(error) = result.error {
//!         return Err(error.into());
//!     }
//!     println!("{} rows trained on, {} validated", train.report().rows(), valid.report().rows());
//! #   shown("cookbook");
//!     Ok(())
//! }
//! ```
//!
//! ```text
//! 18 and 2 batches
//! 1800 rows trained on, 200 validated
//! ```
//!
//! In between, Burn prints how far it is. `.summary()` before `.launch(..)` prints the metrics at
//! the end. `burn` needs the feature `train`.
//!
//! # 2. One archive
//!
//! The arrays for training and for tests have different lengths, so they are opened as two
//! datasets. Each pair is the name of a column and that of an array.
//!
//! ```
//! # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/shown.rs"));
//! # macro_rules! println { ($($text:tt)*) => { print_line(format!($($text)*)) } }
//! use burn::tensor::{Int, Tensor};
//! use burn_npy::{Batch, Convert, NpyDataset};
//!
//! # // job 2
//! #[derive(Batch)]
//! struct Digits {
//!     images: Tensor<3>,
//!     labels: Tensor<1, Int>,
//! }
//! # // end
//!
//! fn main() -> burn_npy::Result<()> {
//! #   let _folder = folder();
//! #   use burn_npy::ndarray::{Array1, Array3};
//! #   let mut npz = burn_npy::file::NpzWriter::create("mnist.npz")?;
//! #   for (part, rows) in [("train", 60), ("test", 10)] {
//! #       npz.add(&format!("x_{part}"), &Array3::<u8>::zeros((rows, 28, 28)))?;
//! #       npz.add(&format!("y_{part}"), &Array1::<u8>::zeros(rows))?;
//! #   }
//! #   npz.finish()?;
//!     // np.savez("mnist.npz", x_train=..., y_train=..., x_test=..., y_test=...)
//! #   // job 2
//!     let open = |x, y| {
//!         NpyDataset::from_npz("mnist.npz", [("images", x), ("labels", y)])?
//!             .convert("images", Convert::to::<f32>().divide(255.0))
//!     };
//!     let (train, test) = (open("x_train", "y_train")?, open("x_test", "y_test")?);
//!     let train = train.loader::<Digits>().batch_size(16).shuffle(42).try_build()?;
//!     let test = test.loader::<Digits>().batch_size(16).try_build()?;
//! #   // end
//!     println!("{} and {} rows", train.num_items(), test.num_items());
//!
//!     // `open` would not know what belongs together, and says so:
//!     println!("{}", NpyDataset::open("mnist.npz").unwrap_err());
//! #   shown("cookbook");
//!     Ok(())
//! }
//! ```
//!
//! ```text
//! 60 and 10 rows
//! mnist.npz: the arrays have different numbers of rows, so they are not one dataset:
//! x_train: uint8 [60, 28, 28]
//! y_train: uint8 [60]
//! x_test: uint8 [10, 28, 28]
//! y_test: uint8 [10]
//! To open those with the same number of rows: NpyDataset::from_npz("mnist.npz", ["x_train",
//!     "y_train"])
//! ```
//!
//! # 3. Images with channels last
//!
//! CIFAR-10 and most NumPy code keep channels last, and its labels are a column of a table, `(n,
//! 1)`. Burn's convolutions expect channels first. `permute` brings them there: axis 0 of the new
//! row is axis 2 of the old one. It comes before `convert`, since bytes are moved sooner than
//! floats.
//!
//! ```
//! # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/shown.rs"));
//! # macro_rules! println { ($($text:tt)*) => { print_line(format!($($text)*)) } }
//! use burn::tensor::{Int, Tensor};
//! use burn_npy::{Batch, Convert, NpyDataset};
//!
//! # // job 3
//! #[derive(Batch)]
//! struct Images {
//!     images: Tensor<4>,
//!     labels: Tensor<1, Int>,
//! }
//! # // end
//!
//! fn main() -> burn_npy::Result<()> {
//! #   let _folder = folder();
//! #   use burn_npy::ndarray::{Array2, Array4};
//! #   let mut npz = burn_npy::file::NpzWriter::create("cifar10.npz")?;
//! #   npz.add("x_train", &Array4::from_shape_fn((100, 32, 32, 3), |i| (40 * i.3) as u8))?;
//! #   npz.add("y_train", &Array2::<u8>::from_elem((100, 1), 3))?;
//! #   npz.finish()?;
//!     // x_train: (100, 32, 32, 3) uint8, y_train: (100, 1) uint8
//! #   // job 3
//!     let (mean, std) = ([0.4914, 0.4822, 0.4465], [0.2470, 0.2435, 0.2616]);
//!     let columns = [("images", "x_train"), ("labels", "y_train")];
//!     let loader = NpyDataset::from_npz("cifar10.npz", columns)?
//!         .permute("images", &[2, 0, 1])? // channels first
//!         .convert("images", Convert::to::<f32>().divide(255.0).normalize(&mean, &std))?
//!         .reshape("labels", &[])? // (n, 1) to (n,)
//!         .loader::<Images>()
//!         .batch_size(64)
//!         .shuffle(42)
//!         .try_build()?;
//! #   // end
//!     for batch in loader.iter() {
//!         let Images { images, labels } = batch?;
//!         println!("{:?} and {:?}", images.dims(), labels.dims());
//!     }
//! #   shown("cookbook");
//!     Ok(())
//! }
//! ```
//!
//! ```text
//! [64, 3, 32, 32] and [64]
//! [36, 3, 32, 32] and [36]
//! ```
//!
//! # 4. Crop and flip, in training only
//!
//! The dataset for training has a transform, and the one for validation has none. The workers crop
//! and mirror the bytes, and convert the crop. What a row draws depends on the seed, the epoch and
//! the position of the row, so a run can be repeated with another number of workers.
//!
//! ```
//! # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/shown.rs"));
//! # macro_rules! println { ($($text:tt)*) => { print_line(format!($($text)*)) } }
//! use burn::tensor::{Int, Tensor};
//! use burn_npy::{Batch, Convert, NpyDataset, transform::RandomCrop};
//!
//! # // job 4
//! #[derive(Batch)]
//! struct Images {
//!     images: Tensor<4>, // [rows, channels, height, width]
//!     labels: Tensor<1, Int>,
//! }
//! # // end
//!
//! fn main() -> burn_npy::Result<()> {
//! #   let _folder = folder();
//! #   use burn_npy::ndarray::{Array1, Array4};
//! #   let mut npz = burn_npy::file::NpzWriter::create("images.npz")?;
//! #   npz.add("images", &Array4::from_shape_fn((100, 3, 32, 32), |i| (i.2 * 6 + i.3) as u8))?;
//! #   npz.add("labels", &Array1::<u8>::zeros(100))?;
//! #   npz.finish()?;
//!     // images: (100, 3, 32, 32) uint8, labels: (100,) uint8
//! #   // job 4
//!     let (train, valid) = NpyDataset::open("images.npz")?.split(0.8, 42)?;
//!     let augment = RandomCrop::new([32, 32]).pad(4).flip(0.5).channels_first();
//!     let train = train.map("images", augment)?;
//!
//!     let scale = Convert::to::<f32>().divide(255.0);
//!     let [train, valid] = [train, valid].map(|data| data.convert("images", scale.clone()));
//!     let train = train?.loader::<Images>().batch_size(16).shuffle(42).try_build()?;
//!     let valid = valid?.loader::<Images>().batch_size(16).try_build()?;
//! #   // end
//!     for loader in [&train, &valid] {
//!         let batch = loader.epoch(0).next().unwrap()?;
//!         println!("{:?} and {:?}", batch.images.dims(), batch.labels.dims());
//!     }
//!     let image = |epoch| Ok::<_, burn_npy::Error>(train.batch_at(epoch, 0)?.images.to_data());
//!     println!("the same again: {}", image(0)? == image(0)?);
//!     println!("in the next epoch: {}", image(0)? == image(1)?);
//! #   shown("cookbook");
//!     Ok(())
//! }
//! ```
//!
//! ```text
//! [16, 3, 32, 32] and [16]
//! [16, 3, 32, 32] and [16]
//! the same again: true
//! in the next epoch: false
//! ```
//!
//! The page [`pipelines`](crate::pipelines) has the other transforms, MixUp, an image with its
//! mask, and a closure as a transform.
//!
//! # 5. A table whose last column is the label
//!
//! `split_column` makes columns of parts of a row: a range keeps its axis, an index removes it.
//! NumPy computes in `float64`. The features become the floats of the device by themselves, and the
//! label an integer by `convert`. A label with a fraction is an error that names its row.
//!
//! ```
//! # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/shown.rs"));
//! # macro_rules! println { ($($text:tt)*) => { print_line(format!($($text)*)) } }
//! use burn::tensor::{Int, Tensor};
//! use burn_npy::{Batch, Convert, NpyDataset};
//!
//! # // job 5
//! #[derive(Batch)]
//! struct Wine {
//!     features: Tensor<2>,
//!     label: Tensor<1, Int>,
//! }
//! # // end
//!
//! fn main() -> burn_npy::Result<()> {
//! #   let _folder = folder();
//! #   use burn_npy::ndarray::Array2;
//! #   let table = Array2::from_shape_fn((100, 10), |(i, j)| (i * j % 7) as f64);
//! #   burn_npy::file::write_npy("wine.npy", &table)?;
//!     // (100, 10) float64
//! #   // job 5
//!     let loader = NpyDataset::open("wine.npy")?
//!         .split_column("wine", (("features", 0..9), ("label", 9)))?
//!         .convert("label", Convert::to::<i64>())?
//!         .loader::<Wine>()
//!         .batch_size(50)
//!         .shuffle(42)
//!         .try_build()?;
//! #   // end
//!     for batch in loader.iter() {
//!         let Wine { features, label } = batch?;
//!         println!("{:?} {:?}", features.dims(), features.dtype());
//!         println!("{:?} {:?}", label.dims(), label.dtype());
//!     }
//! #   shown("cookbook");
//!     Ok(())
//! }
//! ```
//!
//! ```text
//! [50, 9] F32
//! [50] I32
//! [50, 9] F32
//! [50] I32
//! ```
//!
//! # 6. Windows with a horizon
//!
//! From a day of hours, the six hours after it are predicted. [`Windows`](crate::Windows) makes a
//! row of 24 consecutive rows of the file, and with a horizon a second column of what follows. The
//! column `x` becomes `x` and `x_next`. Nothing is copied until a batch is made.
//!
//! Windows share rows with their neighbours, so `split` would put the same hours into both parts,
//! and refuses. `split_in_time` takes the first windows for training, leaves out those that overlap
//! the last of them, and keeps the rest for validation.
//!
//! ```
//! # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/shown.rs"));
//! # macro_rules! println { ($($text:tt)*) => { print_line(format!($($text)*)) } }
//! use burn::tensor::Tensor;
//! use burn_npy::{Batch, NpyDataset, Windows};
//!
//! # // job 6
//! #[derive(Batch)]
//! struct Series {
//!     hourly: Tensor<3>,      // [rows, 24, sensors]
//!     hourly_next: Tensor<3>, // [rows, 6, sensors]
//! }
//! # // end
//!
//! fn main() -> burn_npy::Result<()> {
//! #   let _folder = folder();
//! #   let hours = burn_npy::ndarray::Array2::from_shape_fn((1000, 4), |(hour, _)| hour as f32);
//! #   burn_npy::file::write_npy("hourly.npy", &hours)?;
//!     // (1000, 4) float32: an hour a row, four sensors
//! #   // job 6
//!     let windows = NpyDataset::open("hourly.npy")?.windows(Windows::new(24).horizon(6))?;
//!     let (train, valid) = windows.split_in_time(0.8)?;
//!
//!     let train = train.loader::<Series>().batch_size(32).shuffle(42).try_build()?;
//!     let valid = valid.loader::<Series>().batch_size(32).try_build()?;
//! #   // end
//!     println!("{windows:?}");
//!     println!("{} and {} windows", train.num_items(), valid.num_items());
//!     let batch = train.epoch(0).next().unwrap()?;
//!     println!("{:?} and {:?}", batch.hourly.dims(), batch.hourly_next.dims());
//!     let last = windows.row(train.num_items() - 1).get::<f32>("hourly_next")?[[5, 0]];
//!     let first = valid.epoch(0).next().unwrap()?.hourly.slice([0..1, 0..1, 0..1]);
//!     println!("training ends with hour {last}");
//!     println!("validation begins with hour {}", first.into_scalar::<f32>());
//!     println!("{}", windows.split(0.8, 42).unwrap_err());
//! #   shown("cookbook");
//!     Ok(())
//! }
//! ```
//!
//! ```text
//! NpyDataset { rows: 971, hourly: float32 [24, 4], hourly_next: float32 [6, 4] }
//! 777 and 165 windows
//! [32, 24, 4] and [32, 6, 4]
//! training ends with hour 805
//! validation begins with hour 806
//! the rows are windows that overlap, so a random split would put the same rows of the file
//!     into both parts; use split_in_time
//! ```
//!
//! Several series in one file stay apart if you say where each ends, with
//! [`within`](crate::Windows::within), or which column says to which one a row belongs, with
//! [`group_by`](crate::Windows::group_by). To predict one column from others, keep the past of
//! those and the future of that one: `select(["wind", "pressure", "temperature_next"])`.
//!
//! # 7. Windows of tokens
//!
//! A language model predicts the next token, so each window comes with the same window one token
//! later. With a stride of its length, each token is predicted once.
//!
//! ```
//! # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/shown.rs"));
//! # macro_rules! println { ($($text:tt)*) => { print_line(format!($($text)*)) } }
//! use burn::tensor::{Int, Tensor};
//! use burn_npy::{Batch, NpyDataset, Windows};
//!
//! # // job 7
//! #[derive(Batch)]
//! struct Text {
//!     tokens: Tensor<2, Int>,
//!     tokens_next: Tensor<2, Int>,
//! }
//! # // end
//!
//! fn main() -> burn_npy::Result<()> {
//! #   let _folder = folder();
//! #   let tokens = burn_npy::ndarray::Array1::from_iter(0..1025_u16);
//! #   burn_npy::file::write_npy("tokens.npy", &tokens)?;
//!     // (1025,) uint16
//! #   // job 7
//!     let loader = NpyDataset::open("tokens.npy")?
//!         .windows(Windows::new(128).shifted(1).stride(128))?
//!         .loader::<Text>()
//!         .batch_size(4)
//!         .shuffle(42)
//!         .try_build()?;
//! #   // end
//!     println!("{} windows", loader.num_items());
//!     let Text { tokens, tokens_next } = loader.iter().next().unwrap()?;
//!     println!("{:?} and {:?}", tokens.dims(), tokens_next.dims());
//!     let is_next = (tokens + 1).equal(tokens_next).all().into_scalar::<bool>();
//!     println!("shifted by one: {is_next}");
//! #   shown("cookbook");
//!     Ok(())
//! }
//! ```
//!
//! ```text
//! 8 windows
//! [4, 128] and [4, 128]
//! shifted by one: true
//! ```
//!
//! Shuffled windows do not keep a sentence together over two batches. Without `shuffle`, windows
//! come in the order of the file.
//!
//! Tokens that `tofile` or `np.memmap` wrote have no header. Say what they are:
//!
//! ```
//! use burn_npy::{Array, DType, NpyDataset, file::RawFormat};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("train.bin");
//! # std::fs::write(&path, [0; 2050])?;
//! let tokens = Array::open_raw(&path, RawFormat::new(DType::U16))?; // train.bin of nanoGPT
//! let data = NpyDataset::from_arrays([("tokens", tokens)])?;
//! assert_eq!(data.len(), 1025);
//! # Ok(())
//! # }
//! ```
//!
//! # 8. Rows of several lengths
//!
//! Each row of an array has the same length. So save the tokens of all rows in one array, and where
//! each row ends in another:
//!
//! ```python
//! offsets = np.cumsum([0] + [len(s) for s in sequences])
//! np.savez("sentences.npz", tokens=np.concatenate(sequences), offsets=offsets, labels=labels)
//! ```
//!
//! A batch is padded to its longest row. The sampler puts rows of similar lengths into a batch, so
//! that little of it is padding. A `mask_pad` is true where there is no token, as Burn's attention
//! wants it.
//!
//! ```
//! # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/shown.rs"));
//! # macro_rules! println { ($($text:tt)*) => { print_line(format!($($text)*)) } }
//! use burn::tensor::{Bool, Int, Tensor};
//! use burn_npy::{Batch, NpyDataset, Sampler, file::Npz};
//!
//! # // job 8
//! #[derive(Batch)]
//! struct Sentences {
//!     #[batch(pad = -1)]
//!     tokens: Tensor<2, Int>,
//!     #[batch(mask_pad = "tokens")]
//!     mask_pad: Tensor<2, Bool>,
//!     labels: Tensor<1, Int>,
//! }
//! # // end
//!
//! fn main() -> burn_npy::Result<()> {
//! #   let _folder = folder();
//! #   use burn_npy::ndarray::{Array1, array};
//! #   let mut npz = burn_npy::file::NpzWriter::create("sentences.npz")?;
//! #   npz.add("tokens", &Array1::from_iter(10..20_u16))?;
//! #   npz.add("offsets", &array![0_i64, 1, 3, 4, 10])?;
//! #   npz.add("labels", &array![0_u8, 1, 0, 1])?;
//! #   npz.finish()?;
//!     // tokens: (10,) uint16, offsets: (5,) int64, labels: (4,) uint8
//! #   // job 8
//!     let npz = Npz::open("sentences.npz")?;
//!     let data = NpyDataset::from_offsets("tokens", npz.array("tokens")?, npz.array("offsets")?)?
//!         .zip(&NpyDataset::from_npz(&npz, ["labels"])?)?;
//!     let sampler = Sampler::bucketed(data.lengths("tokens")?, 2, 42)?;
//!     let loader = data.loader::<Sentences>().batch_size(2).sampler(sampler).try_build()?;
//! #   // end
//!     println!("{data:?}");
//!     for batch in loader.iter() {
//!         let Sentences { tokens, mask_pad, .. } = batch?;
//!         println!("{:?} {}", tokens.dims(), tokens.to_data());
//!         println!("padding: {}", mask_pad.int().to_data());
//!     }
//! #   shown("cookbook");
//!     Ok(())
//! }
//! ```
//!
//! ```text
//! NpyDataset { rows: 4, tokens: uint16 [*], labels: uint8 [] }
//! [2, 6] [11, 12, -1, -1, -1, -1, 14, 15, 16, 17, 18, 19]
//! padding: [0, 0, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0]
//! [2, 1] [10, 13]
//! padding: [0, 0]
//! ```
//!
//! A transform sees a row as an array of its items, and may make one of another length. Here each
//! sentence gets a token before it and one behind it, and then an epoch reads four tokens of it, at
//! a random place. Or windows go through each sentence, with the token that follows each.
//!
//! ```
//! # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/shown.rs"));
//! # macro_rules! println { ($($text:tt)*) => { print_line(format!($($text)*)) } }
//! use burn::tensor::{Int, Tensor};
//! use burn_npy::ndarray::{Array1, s};
//! use burn_npy::transform::{self, Truncate};
//! use burn_npy::{NpyDataset, Windows};
//!
//! fn main() -> burn_npy::Result<()> {
//! #   let _folder = folder();
//!     let tokens = Array1::from_iter(10..22_u16);
//!     let data = NpyDataset::from_lengths("tokens", tokens, vec![1, 2, 6, 3])?;
//!     let with_ends = transform::from_fn::<u16, u16>(|tokens, mut out, _| {
//!         let end = tokens.len() + 1;
//!         out[[0]] = 1;
//!         out.slice_mut(s![1..end]).assign(&tokens);
//!         out[[end]] = 2;
//!         Ok(())
//!     });
//!     let data = data.map("tokens", with_ends.length(|len| len + 2))?;
//!     println!("lengths {:?}", data.lengths("tokens")?);
//!
//!     let short = data.map("tokens", Truncate::new(4).random())?;
//!     let loader = short.loader::<Tensor<2, Int>>().batch_size(4).try_build()?;
//!     for epoch in 0..2 {
//!         println!("{}", loader.epoch(epoch).next().unwrap()?.to_data());
//!     }
//!
//!     // Windows, and pack, need rows that were made once.
//!     let windows = data.cache()?.windows(Windows::new(3).shifted(1).stride(2))?;
//!     for row in 0..windows.len() {
//!         println!("{:?}", windows.row(row));
//!     }
//! #   shown("cookbook");
//!     Ok(())
//! }
//! ```
//!
//! ```text
//! lengths [3, 4, 8, 5]
//! [1, 10, 2, 0, 1, 11, 12, 2, 14, 15, 16, 17, 19, 20, 21, 2]
//! [1, 10, 2, 0, 1, 11, 12, 2, 15, 16, 17, 18, 1, 19, 20, 21]
//! {"tokens": [1, 11, 12], "tokens_next": [11, 12, 2]}
//! {"tokens": [1, 13, 14], "tokens_next": [13, 14, 15]}
//! {"tokens": [14, 15, 16], "tokens_next": [15, 16, 17]}
//! {"tokens": [16, 17, 18], "tokens_next": [17, 18, 2]}
//! {"tokens": [1, 19, 20], "tokens_next": [19, 20, 21]}
//! ```
//!
//! # 9. A hundred shards
//!
//! `from_glob` opens the files that match a pattern as one dataset, in the order of the numbers in
//! their names, and the loader shuffles the rows of all. A batch may have rows of several shards.
//!
//! ```
//! # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/shown.rs"));
//! # macro_rules! println { ($($text:tt)*) => { print_line(format!($($text)*)) } }
//! use burn::tensor::{Int, Tensor};
//! use burn_npy::{Batch, NpyDataset, Result};
//!
//! # // job 9
//! #[derive(Batch)]
//! struct Rows {
//!     features: Tensor<2>,
//!     labels: Tensor<1, Int>,
//! }
//! # // end
//!
//! fn main() -> Result<()> {
//! #   let _folder = folder();
//! #   use burn_npy::ndarray::{Array1, Array2};
//! #   for shard in 0..100 {
//! #       let path = format!("train-{shard:03}.npz");
//! #       let mut npz = burn_npy::file::NpzWriter::create(path)?;
//! #       npz.add("features", &Array2::<f32>::zeros((10, 8)))?;
//! #       npz.add("labels", &Array1::from_elem(10, shard as u8))?;
//! #       npz.finish()?;
//! #   }
//!     // train-000.npz to train-099.npz, each with features (10, 8) and labels (10,)
//! #   // job 9
//!     let all = NpyDataset::from_glob("train-*.npz")?;
//!     let loader = all.loader::<Rows>().batch_size(64).shuffle(42).try_build()?;
//! #   // end
//!     println!("{} rows", loader.num_items());
//!     let Rows { features, labels } = loader.iter().next().unwrap()?;
//!     let mut labels: Vec<i64> = labels.to_data().iter().collect();
//!     labels.dedup();
//!     println!("{:?}, from more than 10 shards: {}", features.dims(), labels.len() > 10);
//! #   shown("cookbook");
//!     Ok(())
//! }
//! ```
//!
//! ```text
//! 1000 rows
//! [64, 8], from more than 10 shards: true
//! ```
//!
//! Other ways to have many files:
//!
//! | files | call |
//! |---|---|
//! | a list of shards | [`NpyDataset::from_shards`](crate::NpyDataset::from_shards) |
//! | shards of each column: `x_*.npy` and `y_*.npy` | [`NpyDataset::from_globs`](crate::NpyDataset::from_globs) |
//! | a file for each sample | [`NpyDataset::from_samples`](crate::NpyDataset::from_samples) |
//! | a file for each class, such as `cat.npy` and `dog.npy` | [`NpyDataset::from_classes`](crate::NpyDataset::from_classes) |
//! | a folder for each class with a file for each sample | [`NpyDataset::from_class_folders`](crate::NpyDataset::from_class_folders) |
//! | datasets that are opened or changed one by one | [`NpyDataset::concat`](crate::NpyDataset::concat) |
//!
//! The loader looks at each file of a batch before it copies rows and after it, so many small
//! batches of rows from many files cost more than those of one file. Larger batches cost less, and
//! so does a call of [`catch_sigbus`](crate::catch_sigbus) at the start of `main`, which spares the
//! look before.
//!
//! # 10. Rare classes
//!
//! `Sampler::balanced` draws each class equally often, so rows of rare classes come several times
//! in an epoch. `Sampler::weighted` takes a weight for each row instead. To weigh the classes in
//! the loss, give `data.class_weights("labels", 2)?` to `CrossEntropyLossConfig::with_weights`.
//!
//! ```
//! # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/shown.rs"));
//! # macro_rules! println { ($($text:tt)*) => { print_line(format!($($text)*)) } }
//! use burn::tensor::{Int, Tensor};
//! use burn_npy::{Batch, NpyDataset, Sampler};
//!
//! # // job 10
//! #[derive(Batch)]
//! struct Scans {
//!     scans: Tensor<2>,
//!     labels: Tensor<1, Int>,
//! }
//! # // end
//!
//! fn main() -> burn_npy::Result<()> {
//! #   let _folder = folder();
//! #   use burn_npy::ndarray::{Array1, Array2};
//! #   let mut npz = burn_npy::file::NpzWriter::create("scans.npz")?;
//! #   npz.add("scans", &Array2::<f32>::zeros((100, 8)))?;
//! #   npz.add("labels", &Array1::from_iter((0..100_u8).map(|row| u8::from(row % 20 == 0))))?;
//! #   npz.finish()?;
//!     // 95 rows have the label 0, and 5 the label 1
//! #   // job 10
//!     let data = NpyDataset::open("scans.npz")?;
//!     let sampler = Sampler::balanced(data.read::<u8>("labels")?, 42)?;
//!     let loader = data.loader::<Scans>().batch_size(20).sampler(sampler).try_build()?;
//! #   // end
//!     for batch in loader.iter() {
//!         let Scans { scans, labels } = batch?;
//!         println!("{} of {} are rare", labels.sum().into_scalar::<i64>(), scans.dims()[0]);
//!     }
//! #   shown("cookbook");
//!     Ok(())
//! }
//! ```
//!
//! ```text
//! 10 of 20 are rare
//! 10 of 20 are rare
//! 10 of 20 are rare
//! 10 of 20 are rare
//! 10 of 20 are rare
//! ```
//!
//! # 11. Resume
//!
//! The state of the loader is saved with the model, in one file or with one rename, so that they
//! belong to the same step. This program stops after five steps, and goes on where it was when it
//! is called again. The example `resume` of the repository saves a model and an optimizer too.
//!
//! ```
//! # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/shown.rs"));
//! # macro_rules! println { ($($text:tt)*) => { print_line(format!($($text)*)) } }
//! use burn::tensor::{Int, Tensor};
//! use burn_npy::{Batch, NpyDataset, State};
//! use std::{error::Error, fs, path::Path};
//!
//! # // job 11
//! #[derive(Batch)]
//! struct Numbers {
//!     numbers: Tensor<1, Int>,
//! }
//!
//! fn train(steps: usize) -> Result<(), Box<dyn Error>> {
//!     let loader = NpyDataset::open("numbers.npy")?
//!         .loader::<Numbers>()
//!         .batch_size(4)
//!         .shuffle(42)
//!         .try_build()?;
//!     if Path::new("state.json").exists() {
//!         let state: State = serde_json::from_str(&fs::read_to_string("state.json")?)?;
//!         loader.resume(&state)?;
//!     }
//!     let mut step = 0;
//!     loop {
//!         // The rest of an epoch, and then the next ones.
//!         let epoch = loader.next_epoch();
//!         for batch in loader.iter() {
//!             println!("epoch {epoch}: {}", batch?.numbers.to_data());
//!             step += 1;
//!             fs::write("state.new", serde_json::to_string(&loader.state())?)?;
//!             fs::rename("state.new", "state.json")?;
//!             if step == steps {
//!                 return Ok(());
//!             }
//!         }
//!     }
//! }
//! # // end
//!
//! fn main() -> Result<(), Box<dyn Error>> {
//! #   let _folder = folder();
//! #   burn_npy::file::write_npy("numbers.npy", &burn_npy::ndarray::Array1::from_iter(0..10_i64))?;
//!     train(2)?;
//!     println!("killed, and started again");
//!     train(3)?;
//! #   shown("cookbook");
//!     Ok(())
//! }
//! ```
//!
//! ```text
//! epoch 0: [8, 2, 3, 9]
//! epoch 0: [5, 0, 1, 7]
//! killed, and started again
//! epoch 0: [6, 4]
//! epoch 1: [6, 0, 3, 9]
//! epoch 1: [5, 4, 7, 2]
//! ```
//!
//! Under Burn's `Learner`, which copies its loaders, a run resumes after a whole epoch. Burn counts
//! epochs from 1. So `.checkpoint(n)` of the training, which loads the model after its epoch `n`,
//! goes with `.start_epoch(n)` of the loader:
//!
//! ```
//! # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/shown.rs"));
//! # macro_rules! println { ($($text:tt)*) => { print_line(format!($($text)*)) } }
//! use burn::nn::{Linear, LinearConfig, loss::{MseLoss, Reduction}};
//! use burn::optim::SgdConfig;
//! use burn::prelude::*;
//! use burn::train::{InferenceStep, Learner, RegressionOutput};
//! use burn::train::{SupervisedTraining, TrainOutput, TrainStep};
//! use burn_npy::{Batch, NpyDataset};
//! use std::{error::Error, path::Path};
//!
//! #[derive(Batch)]
//! struct Points {
//!     x: Tensor<2>,
//!     y: Tensor<2>,
//! }
//!
//! fn train(epochs: usize) -> Result<(), Box<dyn Error>> {
//!     // The last epoch whose model is saved.
//!     let model = |epoch: usize| format!("run/checkpoint/model-{epoch}.bpk");
//!     let done = (1..epochs).rev().find(|&epoch| Path::new(&model(epoch)).exists());
//!
//!     let data = NpyDataset::open("points.npz")?;
//!     let train = data
//!         .loader::<Points>()
//!         .batch_size(10)
//!         .shuffle(42)
//!         .start_epoch(done.unwrap_or(0) as u64)
//!         .try_build()?;
//!     let valid = data.loader::<Points>().batch_size(10).try_build()?;
//!     println!("starts with epoch {}, counted from 0", train.next_epoch());
//!
//!     let device = Device::default().autodiff();
//!     let model = Line { linear: LinearConfig::new(1, 1).init(&device) };
//!     let mut training = SupervisedTraining::new("run", train.clone(), valid)
//!         .with_default_checkpointers()
//!         .num_epochs(epochs);
//!     if let Some(epoch) = done {
//!         training = training.checkpoint(epoch);
//!     }
//!     let result = training.launch(Learner::new(model, SgdConfig::new().init(), 0.1));
//!     if let Some(error) = result.error {
//!         return Err(error.into());
//!     }
//!     println!("trained on {} batches", train.report().batches());
//!     Ok(())
//! }
//!
//! fn main() -> Result<(), Box<dyn Error>> {
//! #   let _folder = folder();
//! #   let mut npz = burn_npy::file::NpzWriter::create("points.npz")?;
//! #   let x = burn_npy::ndarray::Array2::from_shape_fn((40, 1), |(row, _)| row as f32 / 40.0);
//! #   npz.add("x", &x)?;
//! #   npz.add("y", &(&x * 2.0))?;
//! #   npz.finish()?;
//!     train(2)?;
//!     train(5)?;
//! #   shown("cookbook");
//!     Ok(())
//! }
//!
//! #[derive(Module, Debug)]
//! struct Line {
//!     linear: Linear,
//! }
//!
//! impl Line {
//!     fn regress(&self, batch: Points) -> RegressionOutput {
//!         let output = self.linear.forward(batch.x);
//!         let loss = MseLoss::new().forward(output.clone(), batch.y.clone(), Reduction::Mean);
//!         RegressionOutput { loss, output, targets: batch.y }
//!     }
//! }
//!
//! impl TrainStep for Line {
//!     type Input = Points;
//!     type Output = RegressionOutput;
//!
//!     fn step(&self, batch: Points) -> TrainOutput<RegressionOutput> {
//!         let output = self.regress(batch);
//!         TrainOutput::new(self, output.loss.backward(), output)
//!     }
//! }
//!
//! impl InferenceStep for Line {
//!     type Input = Points;
//!     type Output = RegressionOutput;
//!
//!     fn step(&self, batch: Points) -> RegressionOutput {
//!         self.regress(batch)
//!     }
//! }
//! ```
//!
//! ```text
//! starts with epoch 0, counted from 0
//! trained on 8 batches
//! starts with epoch 2, counted from 0
//! trained on 12 batches
//! ```
//!
//! # 12. Filter and concatenate
//!
//! `filter` calls a function for each row of a column, once and on all cores, and keeps the rows
//! for which it is true. `concat` puts the rows of datasets one after the other. What comes out is
//! a dataset like any other.
//!
//! ```
//! # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/shown.rs"));
//! # macro_rules! println { ($($text:tt)*) => { print_line(format!($($text)*)) } }
//! use burn::tensor::{Int, Tensor};
//! use burn_npy::{Batch, NpyDataset};
//!
//! # // job 12
//! #[derive(Batch)]
//! struct Visits {
//!     pages: Tensor<1, Int>,
//!     seconds: Tensor<1>,
//! }
//! # // end
//!
//! fn main() -> burn_npy::Result<()> {
//! #   let _folder = folder();
//! #   use burn_npy::ndarray::Array1;
//! #   for (day, first) in [("monday", 0), ("tuesday", 100)] {
//! #       let mut npz = burn_npy::file::NpzWriter::create(format!("{day}.npz"))?;
//! #       npz.add("pages", &Array1::from_iter(first..first + 10_u16))?;
//! #       npz.add("seconds", &Array1::from_iter((0..10).map(|row| row as f32 / 4.0)))?;
//! #       npz.finish()?;
//! #   }
//!     // monday.npz and tuesday.npz: pages (10,) uint16, seconds (10,) float32
//! #   // job 12
//!     let monday = NpyDataset::open("monday.npz")?;
//!     let long = monday.filter("seconds", |row: &[f32]| row[0] > 1.0)?;
//!     let both = NpyDataset::concat([long, NpyDataset::open("tuesday.npz")?])?;
//!     let loader = both.loader::<Visits>().batch_size(20).shuffle(42).try_build()?;
//! #   // end
//!     let Visits { pages, seconds } = loader.iter().next().unwrap()?;
//!     println!("{}", pages.to_data());
//!     let short = seconds.lower_equal_elem(1.0).int().sum().into_scalar::<i64>();
//!     println!("{short} of them are short, all of Tuesday");
//! #   shown("cookbook");
//!     Ok(())
//! }
//! ```
//!
//! ```text
//! [9, 106, 100, 109, 101, 8, 7, 103, 104, 108, 5, 6, 107, 105, 102]
//! 5 of them are short, all of Tuesday
//! ```
//!
//! `mix` takes the rows of datasets in turn, by weights, and `zip` puts the columns of two datasets
//! beside each other. The page [`pipelines`](crate::pipelines) lists all such methods.
//!
//! # 13. Cross-validation
//!
//! A `Partition` divides the rows into folds. `stratified_k_fold` gives each fold its share of each
//! class; `grouped_k_fold` puts all rows of a patient or a recording into one fold. `folds` makes
//! two datasets of each fold, for training and for validation. `parts` makes one dataset of each
//! part, as for a split into three.
//!
//! ```
//! # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/shown.rs"));
//! # macro_rules! println { ($($text:tt)*) => { print_line(format!($($text)*)) } }
//! use burn::nn::{LinearConfig, loss::CrossEntropyLossConfig};
//! use burn::optim::{AdamConfig, GradientsParams};
//! use burn::prelude::*;
//! use burn_npy::{Batch, NpyDataset, order::Partition};
//!
//! # // job 13
//! #[derive(Batch)]
//! struct Points {
//!     points: Tensor<2>,
//!     labels: Tensor<1, Int>,
//! }
//! # // end
//!
//! fn main() -> burn_npy::Result<()> {
//! #   let _folder = folder();
//! #   use burn_npy::ndarray::{Array1, Array2};
//! #   let labels = Array1::from_iter((0..100_u8).map(|row| row % 2));
//! #   let points = Array2::from_shape_fn((100, 2), |(row, x)| {
//! #       (x as f32 - 0.5) * (f32::from(labels[row]) - 0.5)
//! #   });
//! #   let mut npz = burn_npy::file::NpzWriter::create("points.npz")?;
//! #   npz.add("points", &points)?;
//! #   npz.add("labels", &labels)?;
//! #   npz.finish()?;
//!     // points: (100, 2) float32, labels: (100,) uint8
//!     let device = Device::default().autodiff();
//!     let criterion = CrossEntropyLossConfig::new().init(&device);
//! #   // job 13
//!     let data = NpyDataset::open("points.npz")?;
//!     let folds = Partition::stratified_k_fold(data.read::<u8>("labels")?, 5, 42)?;
//!     for (fold, (train, valid)) in data.folds(&folds)?.iter().enumerate() {
//!         let train = train
//!             .loader::<Points>()
//!             .batch_size(16)
//!             .shuffle(42)
//!             .set_device(device.clone())
//!             .try_build()?;
//!         let valid = valid.loader::<Points>().batch_size(16).try_build()?;
//! #   // end
//!
//!         let mut model = LinearConfig::new(2, 2).init(&device);
//!         let mut optimizer = AdamConfig::new().init();
//!         for _epoch in 0..5 {
//!             for batch in train.iter() {
//!                 let Points { points, labels } = batch?;
//!                 let loss = criterion.forward(model.forward(points), labels);
//!                 let gradients = GradientsParams::from_grads(loss.backward(), &model);
//!                 model = optimizer.step(0.3, model, gradients);
//!             }
//!         }
//!         let (model, mut correct) = (model.valid(), 0);
//!         for batch in valid.iter() {
//!             let Points { points, labels } = batch?;
//!             let classes = model.forward(points).argmax(1).squeeze_dim::<1>(1);
//!             correct += classes.equal(labels).int().sum().into_scalar::<i64>();
//!         }
//!         println!("fold {fold}: {correct} of {} are right", valid.num_items());
//!     }
//! #   shown("cookbook");
//!     Ok(())
//! }
//! ```
//!
//! ```text
//! fold 0: 20 of 20 are right
//! fold 1: 20 of 20 are right
//! fold 2: 20 of 20 are right
//! fold 3: 20 of 20 are right
//! fold 4: 20 of 20 are right
//! ```
//!
//! # 14. Predictions
//!
//! A loader without `shuffle` gives the rows in the order of the file, each once, so the
//! predictions are in that order too. `append_npy` adds those of a batch to the file. For results
//! that fit into memory, `write_npy` writes them at once.
//!
//! ```
//! # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/shown.rs"));
//! # macro_rules! println { ($($text:tt)*) => { print_line(format!($($text)*)) } }
//! use burn::nn::LinearConfig;
//! use burn::prelude::*;
//! use burn_npy::file::append_npy;
//! use burn_npy::{Batch, NpyDataset, ndarray::Array2};
//!
//! # // job 14
//! #[derive(Batch)]
//! struct Inputs {
//!     inputs: Tensor<2>,
//! }
//! # // end
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//! #   let _folder = folder();
//! #   burn_npy::file::write_npy("inputs.npy", &Array2::<f32>::ones((100, 8)))?;
//!     // (100, 8) float32
//!     let model = LinearConfig::new(8, 3).init(&Device::default());
//! #   // job 14
//!     let loader = NpyDataset::open("inputs.npy")?.loader::<Inputs>().batch_size(32).try_build()?;
//!     for batch in loader.iter() {
//!         let scores = model.forward(batch?.inputs);
//!         let shape = (scores.dims()[0], 3);
//!         let values: Vec<f32> = scores.into_data().iter().collect();
//!         append_npy("scores.npy", &Array2::from_shape_vec(shape, values)?)?;
//!     }
//! #   // end
//!     println!("{:?}", NpyDataset::open("scores.npy")?);
//! #   shown("cookbook");
//!     Ok(())
//! }
//! ```
//!
//! ```text
//! NpyDataset { rows: 100, scores: float32 [3] }
//! ```
//!
//! # 15. Arrays in memory
//!
//! As with TensorFlow's `from_tensor_slices`, the rows are slices along axis 0. A pair of a name
//! and an array is a column with that name. Rows in memory are borrowed by a batch where that is
//! possible, and copied otherwise.
//!
//! ```
//! # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/shown.rs"));
//! # macro_rules! println { ($($text:tt)*) => { print_line(format!($($text)*)) } }
//! use burn::tensor::{Int, Tensor};
//! use burn_npy::{Batch, NpyDataset, ndarray::array};
//!
//! #[derive(Batch)]
//! struct Points {
//!     features: Tensor<2>,
//!     labels: Tensor<1, Int>,
//! }
//!
//! fn main() -> burn_npy::Result<()> {
//!     let features = array![[1.0_f32, 3.0], [2.0, 1.0], [3.0, 3.0]];
//!     let labels = array![0, 1, 0];
//!     let data = NpyDataset::from_tensor_slices((("features", features), ("labels", labels)))?;
//!     for batch in data.loader::<Points>().batch_size(2).try_build()?.iter() {
//!         let Points { features, labels } = batch?;
//!         println!("{} {}", features.to_data(), labels.to_data());
//!     }
//! #   shown("cookbook");
//!     Ok(())
//! }
//! ```
//!
//! ```text
//! [1.0, 3.0, 2.0, 1.0] [0, 1]
//! [3.0, 3.0] [0]
//! ```
//!
//! # 16. Where the time goes
//!
//! The loader counts its time. It chooses the number of threads that load batches, and how far
//! ahead they load. `println!("{}", loader.report())` prints a verdict, such as "the model is the
//! limit: a faster loader would gain 1 %", and the figures behind it. `since` is for one epoch of
//! many.
//!
//! ```
//! # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/shown.rs"));
//! # macro_rules! println { ($($text:tt)*) => { print_line(format!($($text)*)) } }
//! use burn::tensor::{Int, Tensor};
//! use burn_npy::{NpyDataset, ndarray::Array1};
//!
//! fn main() -> burn_npy::Result<()> {
//!     let data = NpyDataset::from_tensor_slices(Array1::from_iter(0..100_i64))?;
//!     let loader = data.loader::<Tensor<1, Int>>().batch_size(10).try_build()?;
//!     for epoch in 0..2 {
//!         let before = loader.report();
//!         for batch in loader.iter() {
//!             batch?; // a training step
//!         }
//!         let report = loader.report().since(&before);
//!         println!("epoch {epoch}: {} batches, {} rows", report.batches(), report.rows());
//!     }
//! #   shown("cookbook");
//!     Ok(())
//! }
//! ```
//!
//! ```text
//! epoch 0: 10 batches, 100 rows
//! epoch 1: 10 batches, 100 rows
//! ```
//!
//! The [guide](crate::guide#where-the-time-goes) says what helps after each verdict. With Burn's
//! `Learner`, `.metric_train_numeric(LoaderMetric::waiting(&train))` shows the part of the time in
//! which the training waits, in each batch and each epoch; that needs the feature `train` of
//! `burn-npy`.
