//! The guide: from a NumPy file to a trained model, in the order in which the data flows.
//!
//! Each program is complete. What it prints is shown below it. The [cookbook](crate::cookbook) has
//! a program for each of the usual jobs, and [`pipelines`](crate::pipelines) all that can be done
//! to rows. Coming from another loader, you may want
//! [`from_pytorch`](crate::from_pytorch), [`from_tf_data`](crate::from_tf_data) or
//! [`from_burn`](crate::from_burn) first.
//!
//! 1. [Files](#files)
//! 2. [Dataset](#dataset)
//! 3. [Transforms](#transforms)
//! 4. [Batch](#batch)
//! 5. [Loader](#loader)
//! 6. [Training](#training)
//! 7. [Resume](#resume)
//! 8. [Errors](#errors)
//! 9. [Where the time goes](#where-the-time-goes)
//! 10. [Cargo features](#cargo-features)
//!
//! # Files
//!
//! NumPy writes one array to a `.npy` file, and several to a `.npz` archive:
//!
//! ```python
//! np.save("images.npy", images)                        # one array
//! np.savez("mnist.npz", images=images, labels=labels)  # (1000, 28, 28) and (1000,), uint8
//! ```
//!
//! Both open the same way. Rows are slices along axis 0.
//!
//! ```
//! # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/shown.rs"));
//! # macro_rules! println { ($($text:tt)*) => { print_line(format!($($text)*)) } }
//! use burn_npy::NpyDataset;
//!
//! fn main() -> burn_npy::Result<()> {
//! #   let _folder = folder();
//! #   digits();
//!     let data = NpyDataset::open("mnist.npz")?;
//!     println!("{data:?}");
//!     println!("{} rows", data.len());
//! #   shown("guide");
//!     Ok(())
//! }
//! ```
//!
//! ```text
//! NpyDataset { rows: 1000, images: uint8 [28, 28], labels: uint8 [] }
//! 1000 rows
//! ```
//!
//! | you have | you call |
//! |---|---|
//! | a `.npy` file, or an archive whose arrays all have the same number of rows | [`NpyDataset::open`] |
//! | an archive of which you want some arrays, such as `x_train` and `y_train` | [`NpyDataset::from_npz`] |
//! | a `.npy` file for each column | [`NpyDataset::from_files`] |
//! | many files of the same columns | [`NpyDataset::from_glob`], and others in the [cookbook](crate::cookbook#9-a-hundred-shards) |
//! | rows of different lengths, such as texts | [`NpyDataset::from_offsets`], see the [cookbook](crate::cookbook#8-rows-of-several-lengths) |
//! | numbers without a header, of `tofile` or `np.memmap` | [`Array::open_raw`](crate::Array::open_raw) |
//! | arrays in memory | [`NpyDataset::from_tensor_slices`] |
//!
//! A file is mapped into memory, not read: opening a `.npy` file reads its header. Opening an
//! archive reads its arrays once to compare their checksums, and decodes those that are compressed.
//! So `np.savez` is the better choice for training, not `np.savez_compressed`.
//!
//! [`limits`](crate::limits) lists what cannot be opened.
//!
//! ## Files at URLs
//!
//! With the feature `http`, what takes a path of a file also takes a URL of a web server, or of
//! Hugging Face:
//!
//! ```no_run
//! use burn_npy::NpyDataset;
//!
//! # fn main() -> burn_npy::Result<()> {
//! let images = NpyDataset::open("https://data.example.org/images.npy")?;
//! let mnist = NpyDataset::open("hf://datasets/org/mnist@v1.0/train.npz")?;
//! # Ok(())
//! # }
//! ```
//!
//! The rows of a batch are fetched, and not the whole file. The server must send parts of files, as
//! nginx, Apache and object stores do. `hf://datasets/ORG/NAME@REVISION/PATH` is a file of a
//! dataset on Hugging Face, `hf://ORG/NAME/PATH` one of a model. The revision is `main` unless it
//! is named, and stays the commit that it is when the file is opened. The variable `HF_TOKEN` is
//! the token for what is not public. `HTTPS_PROXY` names a proxy.
//!
//! What may pass is tried again: a lost connection, an answer that takes too long, a server that is
//! busy. A file that is replaced on the server while it is in use is an error, as one on this
//! machine is. `Http` in the module [`remote`](crate::remote) sets headers, time-outs and the
//! number of attempts, and an [`OpenUrl`](crate::remote::OpenUrl) of your own opens other URLs.
//!
//! [`RemoteOptions::cache`](crate::remote::RemoteOptions::cache) keeps what is fetched on this
//! machine. [`Sampler::blocks_first`](crate::Sampler::blocks_first) then reads the file in blocks
//! in the first epoch only. The crate `burn-npy-cloud` opens `s3://`, `gs://` and `az://`.
//!
//! # Dataset
//!
//! An [`NpyDataset`] has named columns with the same number of rows. Its methods return a new
//! dataset and copy nothing. They choose rows, or describe what happens to a row when it is put
//! into a batch. These are the usual ones; [`pipelines`](crate::pipelines#the-methods) has all.
//!
//! | method | what it does |
//! |---|---|
//! | [`select`], [`rename`] | keeps some columns, in an order; renames one |
//! | [`convert`] | casts and scales elements, with a [`Convert`] |
//! | [`reshape`], [`permute`] | gives rows another shape; brings their axes into another order |
//! | [`split_column`], [`join`] | makes several columns of one, or one of several |
//! | [`map`] | makes a new row of each row, with a [transform](#transforms) |
//! | [`split`], [`folds`] | makes datasets for training and for validation, at random |
//! | [`rows`], [`filter`], [`take`], [`skip`] | keeps some rows |
//! | [`concat`], [`zip`], [`mix`] | puts rows, or columns, of several datasets together |
//! | [`windows`], [`split_in_time`] | makes rows of windows over a time series; splits it |
//!
//! ```
//! # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/shown.rs"));
//! # macro_rules! println { ($($text:tt)*) => { print_line(format!($($text)*)) } }
//! use burn_npy::{Convert, NpyDataset};
//!
//! fn main() -> burn_npy::Result<()> {
//! #   let _folder = folder();
//! #   digits();
//!     let data = NpyDataset::open("mnist.npz")?
//!         .convert("images", Convert::to::<f32>().divide(255.0))? // grey levels in [0, 1]
//!         .reshape("images", &[1, 28, 28])?; // one channel
//!     let (train, valid) = data.split(0.9, 42)?;
//!     println!("{train:?}");
//!     println!("{valid:?}");
//!     println!("the label of row 0 is {}", data.row(0).value("labels")?);
//! #   shown("guide");
//!     Ok(())
//! }
//! ```
//!
//! ```text
//! NpyDataset { rows: 900, images: float32 [1, 28, 28], labels: uint8 [] }
//! NpyDataset { rows: 100, images: float32 [1, 28, 28], labels: uint8 [] }
//! the label of row 0 is 0
//! ```
//!
//! Nothing is converted now, and the file stays as it is. A conversion runs when a row is put into
//! a batch. Each step rounds as the same step of NumPy does. A cast to an integer that would change
//! a value is an error of its row, see [`Convert`].
//!
//! # Transforms
//!
//! [`map`] makes a new row of each row of a column: a random crop, noise, or what a closure of your
//! own does. It runs on the workers, when a row is put into a batch. A dataset for validation that
//! should not have it comes from before the call.
//!
//! ```
//! # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/shown.rs"));
//! # macro_rules! println { ($($text:tt)*) => { print_line(format!($($text)*)) } }
//! use burn_npy::transform::{RandomCrop, from_fn};
//! use burn_npy::{Convert, NpyDataset};
//!
//! fn main() -> burn_npy::Result<()> {
//! #   let _folder = folder();
//! #   digits();
//!     let (train, valid) = NpyDataset::open("mnist.npz")?.split(0.9, 42)?;
//!
//!     // A closure gets the row, zeros to write the new row to, and a generator of random numbers.
//!     let invert = from_fn::<u8, u8>(|image, mut out, _| {
//!         out.assign(&image.mapv(|grey| 255 - grey));
//!         Ok(())
//!     });
//!     let train = train
//!         .map("images", RandomCrop::new([24, 24]))? // in each epoch at another place
//!         .map("images", invert)?
//!         .convert("images", Convert::to::<f32>().divide(255.0))?;
//!     println!("{train:?}");
//!     println!("{valid:?}");
//! #   let image = train.row(0).get::<f32>("images")?;
//! #   assert!(image.iter().all(|grey| *grey == 0.0 || *grey == 1.0));
//! #   shown("guide");
//!     Ok(())
//! }
//! ```
//!
//! ```text
//! NpyDataset { rows: 900, images: float32 [24, 24], labels: uint8 [] }
//! NpyDataset { rows: 100, images: uint8 [28, 28], labels: uint8 [] }
//! ```
//!
//! What is said first is done first: here a crop of bytes, which is then converted. What a row
//! draws depends on the seed, the epoch and its position in the epoch, and not on the workers.
//! [`pipelines`](crate::pipelines) has the list of transforms, and functions of whole batches.
//!
//! # Batch
//!
//! A batch is a struct with a tensor for each column. With `#[derive(Batch)]`, a field gets the
//! column of its name. The first axis of a tensor is that of the rows. The type of the field says
//! how many axes there are, and whether the elements are floats, integers (`Int`) or bools
//! (`Bool`).
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
//!     #[batch(column = "labels")] // a column of another name
//!     targets: Tensor<1, Int>,
//!     #[batch(file_rows)] // the numbers of the rows in the file
//!     rows: Vec<usize>,
//! }
//!
//! fn main() -> burn_npy::Result<()> {
//! #   let _folder = folder();
//! #   digits();
//!     let data = NpyDataset::open("mnist.npz")?;
//!
//!     // Bytes do not become floats by themselves:
//!     let error = data.loader::<Digits>().try_build().unwrap_err();
//!     println!("{error}");
//!
//!     let data = data.convert("images", Convert::to::<f32>().divide(255.0))?;
//!     let loader = data.loader::<Digits>().batch_size(4).try_build()?;
//!     for batch in loader.iter().take(1) {
//!         let Digits { images, targets, rows } = batch?;
//!         println!("images: {:?} {:?}", images.dims(), images.dtype());
//!         println!("targets: {} {:?}", targets.to_data(), targets.dtype());
//!         println!("rows: {rows:?}");
//!     }
//! #   shown("guide");
//!     Ok(())
//! }
//! ```
//!
//! ```text
//! mnist.npz: `images`: the column is uint8, but the batch wants a float tensor:
//!     dataset.convert("images", Convert::to::<f32>()) makes it one, or the field of the batch
//!     can be of the kind Int
//! images: [4, 28, 28] F32
//! targets: [0, 7, 4, 1] I32
//! rows: [0, 1, 2, 3]
//! ```
//!
//! **Dtypes.** Tensors get the default dtypes of the device, as with Burn's `Tensor::from_data`:
//! labels of bytes become the integers that a loss expects, and `float64` features become `float32`
//! where the device computes in it. [`NpyBatcher::keep_dtypes`] keeps the dtypes of the file
//! instead. Integers never become floats by themselves, nor floats integers. [`convert`] says so
//! explicitly.
//!
//! **Tuples.** A tensor is a batch too, and so is a tuple of up to twelve. A tuple gets the columns
//! of the dataset in their order, and [`select`] sets the order: `data.select(["images",
//! "labels"])?.loader::<(Tensor<3>, Tensor<1, Int>)>()`.
//!
//! **Shapes.** A column that does not fit its field is an error when the loader is built, by
//! [`try_build`](crate::DataLoaderBuilder::try_build).
//!
//! # Loader
//!
//! `data.loader::<Digits>()` gives a [`DataLoaderBuilder`](crate::DataLoaderBuilder). Its methods
//! have the names of Burn's builder, and there are more of them.
//!
//! | method | without it |
//! |---|---|
//! | `batch_size(n)` | 1; the last batch of an epoch may be smaller |
//! | `drop_last(true)` | the last batch is kept |
//! | `shuffle(seed)` | the order of the dataset |
//! | `sampler(..)` | the order of the dataset; a [`Sampler`](crate::Sampler) has weights, classes, blocks, lists |
//! | `shard(..)` | the whole epoch, not the part of one of several processes |
//! | [`devices(n)`](crate::DataLoaderBuilder::devices) | Burn cuts the epoch for several devices, and one may get a batch more |
//! | `map(..)` | the tensors as they are; a function gets them where they are made, for work on the device, where [transforms](#transforms) are for rows |
//! | `resident(true)` | each batch goes to the device; not all rows once |
//! | `num_workers(n)` | one thread less than there are cores, at least one |
//! | `prefetch(n)` | found while the loader works, within `prefetch_bytes` |
//! | `set_device(device)` | Burn's default device |
//! | `on_error(..)` | an error ends the pass |
//!
//! ```
//! # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/shown.rs"));
//! # macro_rules! println { ($($text:tt)*) => { print_line(format!($($text)*)) } }
//! use burn::tensor::{Int, Tensor};
//! use burn_npy::{Batch, NpyDataset};
//!
//! #[derive(Batch)]
//! struct Labels {
//!     labels: Tensor<1, Int>,
//! }
//!
//! fn main() -> burn_npy::Result<()> {
//! #   let _folder = folder();
//! #   digits();
//!     let data = NpyDataset::open("mnist.npz")?.take(10);
//!     let loader = data.loader::<Labels>().batch_size(4).shuffle(42).try_build()?;
//!     println!("{} batches of {} rows", loader.len(), loader.num_items());
//!
//!     // Each call of `iter` is the next epoch, shuffled anew.
//!     for epoch in 0..2 {
//!         for batch in loader.iter() {
//!             println!("epoch {epoch}: {}", batch?.labels.to_data());
//!         }
//!     }
//!     // An epoch can be repeated, and a batch looked up.
//!     println!("epoch 1, batch 2: {}", loader.batch_at(1, 2)?.labels.to_data());
//!     println!("rows: {:?}", loader.info_at(1, 2).rows());
//! #   shown("guide");
//!     Ok(())
//! }
//! ```
//!
//! ```text
//! 3 batches of 10 rows
//! epoch 0: [6, 4, 1, 3]
//! epoch 0: [5, 0, 7, 9]
//! epoch 0: [2, 8]
//! epoch 1: [2, 0, 1, 3]
//! epoch 1: [5, 8, 9, 4]
//! epoch 1: [6, 7]
//! epoch 1, batch 2: [6, 7]
//! rows: [8, 1]
//! ```
//!
//! **Order.** The row at a position depends on the seed, the epoch and the number of rows, and on
//! nothing else. The number of workers, the machine and the speed of the disk do not change it. The
//! shuffle is of all rows: there is no shuffle buffer. `python/burn_npy.py` in the repository
//! computes the same order in NumPy.
//!
//! **Workers.** They are threads of this process. They start with a pass and end with it. They copy
//! rows from the mapped file straight into the memory of a batch. With `num_workers(0)` the thread
//! that trains loads the batches itself.
//!
//! **Device.** Batches are made on the device of the builder. For a training loop of your own it
//! has to be an autodiff device, as in the next section. Burn's `Learner` sets it by itself.
//!
//! # Training
//!
//! A loop of your own:
//!
//! ```
//! # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/shown.rs"));
//! # macro_rules! println { ($($text:tt)*) => { print_line(format!($($text)*)) } }
//! use burn::nn::{LinearConfig, loss::CrossEntropyLossConfig};
//! use burn::optim::{AdamConfig, GradientsParams};
//! use burn::prelude::*;
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
//!     let device = Device::default().autodiff();
//!     let loader = NpyDataset::open("mnist.npz")?
//!         .convert("images", Convert::to::<f32>().divide(255.0))?
//!         .loader::<Digits>()
//!         .batch_size(50)
//!         .shuffle(42)
//!         .set_device(device.clone())
//!         .try_build()?;
//!
//!     let mut model = LinearConfig::new(28 * 28, 10).init(&device);
//!     let mut optimizer = AdamConfig::new().init();
//!     let criterion = CrossEntropyLossConfig::new().init(&device);
//!     for epoch in 1..=3 {
//!         let mut correct = 0;
//!         for batch in loader.iter() {
//!             let Digits { images, labels } = batch?;
//!             let scores = model.forward(images.flatten::<2>(1, 2));
//!             let hits = scores.clone().argmax(1).squeeze_dim::<1>(1).equal(labels.clone());
//!             correct += hits.int().sum().into_scalar::<i64>();
//!             let loss = criterion.forward(scores, labels);
//!             let gradients = GradientsParams::from_grads(loss.backward(), &model);
//!             model = optimizer.step(1e-2, model, gradients);
//!         }
//!         if epoch == 3 {
//!             println!("epoch {epoch}: {correct} of {} are right", loader.num_items());
//!         }
//!     }
//! #   shown("guide");
//!     Ok(())
//! }
//! ```
//!
//! ```text
//! epoch 3: 1000 of 1000 are right
//! ```
//!
//! With Burn's `Learner`, the loaders are arguments of `SupervisedTraining::new`. A model for it
//! says in `TrainStep` and `InferenceStep` what it does with a batch:
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
//! #[derive(Batch)]
//! struct Digits {
//!     images: Tensor<3>,
//!     labels: Tensor<1, Int>,
//! }
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
//!     let data = NpyDataset::open("mnist.npz")?
//!         .convert("images", Convert::to::<f32>().divide(255.0))?;
//!     let (train, valid) = data.split(0.9, 42)?;
//!
//!     let train = train.loader::<Digits>().batch_size(50).shuffle(42).try_build()?;
//!     let valid = valid.loader::<Digits>().batch_size(50).try_build()?;
//!     let device = Device::default().autodiff();
//!     let model = Model { linear: LinearConfig::new(28 * 28, 10).init(&device) };
//!     let result = SupervisedTraining::new("run", train.clone(), valid)
//!         .metrics((AccuracyMetric::new(), LossMetric::new()))
//!         .num_epochs(2)
//!         .launch(Learner::new(model, AdamConfig::new().init(), 1e-2));
//!     // A loader that fails ends the training early, and only this tells.
//!     if let Some(error) = result.error {
//!         return Err(error.into());
//!     }
//!     println!("trained on {} rows", train.report().rows());
//! #   shown("guide");
//!     Ok(())
//! }
//! ```
//!
//! ```text
//! trained on 1800 rows
//! ```
//!
//! Before that, Burn prints how far it is, a line a batch, or with its feature `tui` a display. The
//! metrics are in the folder `run`, and `.summary()` before `.launch(..)` prints them at the end.
//! `burn` needs its feature `train` for this.
//!
//! With the feature `train` of this crate, `.metric_train_numeric(LoaderMetric::waiting(&train))`
//! before `.launch(..)` adds a metric: which part of the time the training waits for its loader.
//! `LoaderMetric::rows_per_second` and `megabytes_per_second` are its speed.
//!
//! # Resume
//!
//! [`Loader::state`](crate::Loader::state) says how far a loader has come. Save it with the model
//! and the optimizer. It is a `serde` value of a few hundred bytes. A loader that resumes it
//! continues with the next row, also with another batch size or another number of workers.
//!
//! ```
//! # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/shown.rs"));
//! # macro_rules! println { ($($text:tt)*) => { print_line(format!($($text)*)) } }
//! use burn::tensor::{Int, Tensor};
//! use burn_npy::{Batch, NpyDataset, State};
//!
//! #[derive(Batch)]
//! struct Labels {
//!     labels: Tensor<1, Int>,
//! }
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//! #   let _folder = folder();
//! #   digits();
//!     let data = NpyDataset::open("mnist.npz")?;
//!     let loader = data.loader::<Labels>().batch_size(100).shuffle(42).try_build()?;
//!     for batch in loader.iter().take(4) {
//!         batch?; // a training step
//!     }
//!     std::fs::write("loader.json", serde_json::to_string(&loader.state())?)?;
//!
//!     // Later, in another process.
//!     let state: State = serde_json::from_str(&std::fs::read_to_string("loader.json")?)?;
//!     println!("epoch {}, {} rows are done", state.epoch(), state.position());
//!     let loader = data.loader::<Labels>().batch_size(50).shuffle(42).resume(state).try_build()?;
//!     println!("{} batches are left", loader.iter().count());
//! #   shown("guide");
//!     Ok(())
//! }
//! ```
//!
//! ```text
//! epoch 0, 400 rows are done
//! 12 batches are left
//! ```
//!
//! A state of another dataset, another sampler or another seed is an error that says what differs.
//! A `Learner` copies its loaders, so its state does not follow them; it resumes after a whole
//! epoch, which is a job of the [cookbook](crate::cookbook#11-resume).
//!
//! # Errors
//!
//! There is one type, [`Error`](crate::Error). Its message names the batch, the file, the column
//! and the row, and says what was found and what was expected. Its [`kind`](crate::Error::kind) and
//! its other methods are for programs. A batch that cannot be loaded is an `Err` of the iterator,
//! once, and ends the pass. The next call of `iter` is the next epoch.
//!
//! ```
//! # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/shown.rs"));
//! # macro_rules! println { ($($text:tt)*) => { print_line(format!($($text)*)) } }
//! use burn::tensor::{Int, Tensor};
//! use burn_npy::{Convert, ErrorKind, NpyDataset, OnError};
//!
//! fn main() -> burn_npy::Result<()> {
//! #   let _folder = folder();
//! #   let mut ages = burn_npy::ndarray::Array1::<f64>::from_elem(100, 30.0);
//! #   ages[57] = f64::NAN;
//! #   burn_npy::file::write_npy("ages.npy", &ages)?;
//!     // np.save("ages.npy", ages): (100,) float64, with a NaN in row 57
//!     let data = NpyDataset::open("ages.npy")?.convert("ages", Convert::to::<i64>())?;
//!     let builder = || data.loader::<Tensor<1, Int>>().batch_size(10);
//!
//!     for batch in builder().try_build()?.iter() {
//!         if let Err(error) = batch {
//!             println!("{error}");
//!             assert_eq!((error.kind(), error.row()), (ErrorKind::Value, Some(57)));
//!         }
//!     }
//!
//!     // Up to five bad rows are left out, and listed.
//!     let loader = builder().on_error(OnError::SkipRows(5)).try_build()?;
//!     let mut rows = 0;
//!     for batch in loader.iter() {
//!         rows += batch?.dims()[0];
//!     }
//!     println!("{rows} rows are left, row {} was skipped", loader.skipped()[0].row);
//!
//!     // Finds such rows before the training does.
//!     println!("{}", data.verify().unwrap_err());
//! #   shown("guide");
//!     Ok(())
//! }
//! ```
//!
//! ```text
//! epoch 0, batch 5, row 57: /data/ages.npy: `ages`: row 57 of the file has NaN, but int64 has
//!     no such value; replace it in the file, or let the loader skip such rows with on_error
//! 99 rows are left, row 57 was skipped
//! /data/ages.npy: `ages`: row 57 of the file has NaN, but int64 has no such value; replace it
//!     in the file, or let the loader skip such rows with on_error
//! ```
//!
//! [`OnError`](crate::OnError) says which failures are about a row. A file that was overwritten
//! while it is in use is not one of them, see
//! [`limits`](crate::limits#do-not-overwrite-a-file-that-is-in-use).
//!
//! # Where the time goes
//!
//! The loader counts its time. [`Loader::report`](crate::Loader::report) prints a verdict, such as
//! "the model is the limit", and the shares: training, waiting, upload to the device, `map`, and
//! how busy the workers were.
//!
//! ```
//! # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/shown.rs"));
//! # macro_rules! println { ($($text:tt)*) => { print_line(format!($($text)*)) } }
//! use burn::tensor::{Int, Tensor};
//! use burn_npy::NpyDataset;
//!
//! fn main() -> burn_npy::Result<()> {
//! #   let _folder = folder();
//! #   digits();
//!     let data = NpyDataset::open("mnist.npz")?.select(["labels"])?;
//!     let loader = data.loader::<Tensor<1, Int>>().batch_size(100).try_build()?;
//!     for batch in loader.iter() {
//!         batch?; // a training step
//!     }
//!     let report = loader.report(); // println!("{report}") prints all of it
//! #   assert!(report.to_string().starts_with(&report.verdict()));
//!     println!("{} batches, {} rows", report.batches(), report.rows());
//!     println!("{} passes failed", report.failures());
//! #   shown("guide");
//!     Ok(())
//! }
//! ```
//!
//! ```text
//! 10 batches, 1000 rows
//! 0 passes failed
//! ```
//!
//! | the verdict | what helps |
//! |---|---|
//! | the model is the limit | nothing here: a faster loader would not help |
//! | the gather is the limit | more workers; rows that lie in one piece in the file (C order). Transforms are a part of it: crop before you convert, and [`cache`](crate::NpyDataset::cache) what is not random |
//! | the storage is the limit | [`Sampler::blocks`](crate::Sampler::blocks), which reads the file in blocks |
//! | the upload to the device is the limit | smaller dtypes: images as bytes are converted on the GPU |
//! | the function given to map is the limit | less work in it |
//! | code of your own, a dataset or a batcher, is the limit | more workers, or an [`NpyBatcher`](crate::NpyBatcher) in its place |
//!
//! A [`Report`](crate::Report) is a `serde` value too: `serde_json::to_string(&report)` is a line
//! for a log. While Burn's `Learner` runs, a `LoaderMetric` shows the speed of the loader, see
//! [Training](#training).
//!
//! ## Spans and events
//!
//! With the feature `tracing`, a pass tells the subscriber of the thread that begins it what it
//! does, under the target `burn_npy`:
//!
//! | span | level | fields | it is entered |
//! |---|---|---|---|
//! | `pass` | info | `epoch`, `batches`, `rows` | while the training asks for a batch; it is closed when the iterator is dropped |
//! | `load` | debug | `first` (the number of a batch), `batches`, `rows` | while a thread loads these batches |
//! | `upload` | debug | `batch`, `rows`, `bytes` | while tensors are made of the batch, and functions given to `map` run on them |
//!
//! | event | level | fields |
//! |---|---|---|
//! | workers started | debug | `workers`, `ahead` (how many batches they may load ahead at first) |
//! | the window grew | debug | `from`, `to` (the same number, at the start and at the end of a pass) |
//! | a row is skipped | warn | `epoch`, `batch`, `row`, `reason` |
//! | the error that ends a pass | error | `epoch`, `batch`, `row` |
//!
//! `load` and `upload` are children of `pass`, on any thread. A subscriber that leaves out `pass`
//! gets neither. Events, and spans of your own in a dataset or a transform, have these as their
//! parents. The error of a pass is logged with the crate `log` only if no subscriber takes it.
//! `Learner` installs a subscriber for its file `experiment.log`, unless
//! `with_application_logger(None)` says otherwise.
//!
//! # Cargo features
//!
//! No backend is on by default. A batch is made on the `Device` that you pass, so the backend is a
//! matter of your own `burn` dependency. Each feature turns on the feature of the same name in
//! Burn.
//!
//! | feature | backend |
//! |---|---|
//! | `flex` | CPU, the one that Burn recommends |
//! | `ndarray` | CPU, on the crate `ndarray` |
//! | `wgpu` | any GPU, with the graphics API of the machine |
//! | `vulkan`, `metal`, `webgpu` | `wgpu` with that API |
//! | `cuda` | NVIDIA GPUs |
//! | `rocm` | AMD GPUs |
//!
//! The feature `resize` adds the transform `Resize`, and the crate that computes it. `http` opens
//! [files at URLs](#files-at-urls), and brings a client with TLS. `train` adds `LoaderMetric`, and
//! turns on `train` in Burn. `tracing` adds [spans and events](#spans-and-events).
//!
//! The crates `serde_json`, for a saved state, and `rand`, for more than plain random numbers in
//! a transform, are not part of this one: add them to your project where you want them.
//!
//! [`NpyDataset`]: crate::NpyDataset
//! [`NpyDataset::open`]: crate::NpyDataset::open
//! [`NpyDataset::from_npz`]: crate::NpyDataset::from_npz
//! [`NpyDataset::from_files`]: crate::NpyDataset::from_files
//! [`NpyDataset::from_glob`]: crate::NpyDataset::from_glob
//! [`NpyDataset::from_offsets`]: crate::NpyDataset::from_offsets
//! [`NpyDataset::from_tensor_slices`]: crate::NpyDataset::from_tensor_slices
//! [`NpyBatcher::keep_dtypes`]: crate::NpyBatcher::keep_dtypes
//! [`Convert`]: crate::Convert
//! [`concat`]: crate::NpyDataset::concat
//! [`convert`]: crate::NpyDataset::convert
//! [`filter`]: crate::NpyDataset::filter
//! [`folds`]: crate::NpyDataset::folds
//! [`join`]: crate::NpyDataset::join
//! [`map`]: crate::NpyDataset::map
//! [`mix`]: crate::NpyDataset::mix
//! [`permute`]: crate::NpyDataset::permute
//! [`rename`]: crate::NpyDataset::rename
//! [`reshape`]: crate::NpyDataset::reshape
//! [`rows`]: crate::NpyDataset::rows
//! [`select`]: crate::NpyDataset::select
//! [`skip`]: crate::NpyDataset::skip
//! [`split`]: crate::NpyDataset::split
//! [`split_column`]: crate::NpyDataset::split_column
//! [`split_in_time`]: crate::NpyDataset::split_in_time
//! [`take`]: crate::NpyDataset::take
//! [`windows`]: crate::NpyDataset::windows
//! [`zip`]: crate::NpyDataset::zip
