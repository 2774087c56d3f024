//! One program for each job that people come with.
//!
//! # Arrays in memory
//!
//! Like TensorFlow's `from_tensor_slices`: the rows are slices along axis 0.
//!
//! ```
//! use burn_npy::{NpyDataset, ndarray::array};
//!
//! fn main() -> burn_npy::Result<()> {
//!     let features = array![[1.0_f32, 3.0], [2.0, 1.0], [3.0, 3.0]];
//!     let labels = array![0, 1, 0];
//!     let dataset = NpyDataset::from_tensor_slices((features, labels))?;
//!     assert_eq!(dataset.len(), 3);
//!     Ok(())
//! }
//! ```
//!
//! # A part of an archive
//!
//! An archive with arrays of several lengths, such as those for training and for tests, is opened
//! part by part. Each pair is the name of a column and that of an array.
//!
//! ```
//! use burn_npy::{NpyDataset, file::NpzWriter, ndarray::{Array1, Array3}};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     // np.savez("mnist.npz", x_train=..., y_train=..., x_test=..., y_test=...)
//!     let dir = tempfile::tempdir()?;
//!     let path = dir.path().join("mnist.npz");
//!     let mut npz = NpzWriter::create(&path)?;
//!     for (part, rows) in [("train", 60), ("test", 10)] {
//!         npz.add(&format!("x_{part}"), &Array3::<u8>::zeros((rows, 28, 28)))?;
//!         npz.add(&format!("y_{part}"), &Array1::<u8>::zeros(rows))?;
//!     }
//!     npz.finish()?;
//!
//!     let train = NpyDataset::from_npz(&path, [("images", "x_train"), ("labels", "y_train")])?;
//!     let test = NpyDataset::from_npz(&path, [("images", "x_test"), ("labels", "y_test")])?;
//!     assert_eq!((train.len(), test.len()), (60, 10));
//!     Ok(())
//! }
//! ```
//!
//! # A table whose last column is the label
//!
//! NumPy computes in `float64`, models in `float32`. The batch fails if a label has a fraction, and
//! the error names the row. `device_dtypes` makes features and labels what Burn's losses and
//! metrics expect.
//!
//! ```
//! use burn::tensor::{Int, Tensor};
//! use burn_npy::{Convert, DType, DataLoaderBuilder, NpyBatcher, NpyDataset, ndarray::Array2};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let dataset = NpyDataset::from_arrays([("table", Array2::<f64>::zeros((100, 10)))])?
//!         .split_column("table", [("features", (0..9).into()), ("label", 9.into())])?
//!         .convert("label", Convert::to::<i64>())?;
//!     let batcher = NpyBatcher::<(Tensor<2>, Tensor<1, Int>)>::new();
//!     let loader = DataLoaderBuilder::new(batcher).batch_size(10).try_build(dataset)?;
//!     let (features, labels) = loader.iter().next().unwrap()?;
//!     assert_eq!((features.dims(), labels.dims()), ([10, 9], [10]));
//!     Ok(())
//! }
//! ```
//!
//! # Images with channels last
//!
//! Most NumPy code keeps channels last, Burn's convolutions expect them first. The tensor is
//! permuted on the device, without a copy of the rows on the way.
//!
//! ```
//! use burn::tensor::Tensor; use burn_npy::{Batch, Convert, DType, DataLoaderBuilder, NpyBatcher,
//! NpyDataset, ndarray::Array4};
//!
//! struct Images(Tensor<4>);
//!
//! impl Batch for Images {
//!     type Tensors = Tensor<4>;
//!
//!     fn from_tensors(images: Self::Tensors) -> Self {
//!         Self(images.permute([0, 3, 1, 2]))
//!     }
//! }
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let images = Array4::<u8>::zeros((20, 32, 32, 3));
//!     let dataset = NpyDataset::from_arrays([("images", images)])?
//!         .convert("images", Convert::to::<f32>().divide(255.0))?;
//!     let loader = DataLoaderBuilder::new(NpyBatcher::<Images>::new())
//!         .batch_size(8)
//!         .try_build(dataset)?;
//!     let batch = loader.iter().next().unwrap()?;
//!     assert_eq!(batch.0.dims(), [8, 3, 32, 32]);
//!     Ok(())
//! }
//! ```
//!
//! # Rare classes, and folds
//!
//! `Sampler::balanced` draws every class equally often, so rows of rare classes come several times.
//! `Partition` divides the rows for cross-validation, here with as many of each class in each fold.
//! An array without a name is the column `0`.
//!
//! ```
//! use burn::tensor::{Int, Tensor};
//! use burn_npy::{
//!     DataLoaderBuilder, NpyBatcher, NpyDataset, Sampler, ndarray::Array1, order::Partition,
//! };
//!
//! fn main() -> burn_npy::Result<()> {
//!     let classes = Array1::from_iter((0..100_i64).map(|row| (row % 10) / 9));
//!     let dataset = NpyDataset::from_tensor_slices(classes)?;
//!     let labels: Vec<i64> = dataset.read("0")?.into_iter().collect();
//!     let builder = || {
//!         let batcher = NpyBatcher::<Tensor<1, Int>>::new();
//!         DataLoaderBuilder::new(batcher).batch_size(10)
//!     };
//!
//!     let balanced = builder()
//!         .sampler(Sampler::balanced(&labels, 42)?)
//!         .try_build(dataset.clone())?;
//!     assert_eq!(balanced.len(), 10);
//!
//!     let folds = Partition::stratified_k_fold(&labels, 5, 42)?;
//!     for fold in 0..5 {
//!         let train = Sampler::shuffled(42).index(folds.others(fold))?;
//!         let train = builder().sampler(train).try_build(dataset.clone())?;
//!         let valid = Sampler::sequential().index(folds.rows(fold))?;
//!         let valid = builder().sampler(valid).try_build(dataset.clone())?;
//!         assert_eq!((train.num_items(), valid.num_items()), (80, 20));
//!     }
//!     Ok(())
//! }
//! ```
//!
//! # Resuming
//!
//! The state is a few hundred bytes of JSON. Save it with a checkpoint of the model. A run that is
//! resumed continues with the next row, also with another batch size or number of workers.
//!
//! This is for a training loop of your own. Burn's `Learner` copies its loaders, so their state
//! does not follow it. It resumes after a whole epoch: `.checkpoint(n)` of the training and
//! `.start_epoch(n)` of the loader.
//!
//! ```
//! use burn::tensor::{Int, Tensor};
//! use burn_npy::{DataLoaderBuilder, NpyBatcher, NpyDataset, State, ndarray::Array1};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let dataset = NpyDataset::from_tensor_slices(Array1::from_iter(0..100_i64))?;
//!     let builder = || DataLoaderBuilder::new(NpyBatcher::<Tensor<1, Int>>::new()).shuffle(42);
//!     let loader = builder().batch_size(10).try_build(dataset.clone())?;
//!
//!     let mut pass = loader.iter();
//!     assert_eq!(pass.by_ref().take(4).count(), 4);
//!     let saved = serde_json::to_string(&pass.state())?; // a few hundred bytes
//!
//!     let state: State = serde_json::from_str(&saved)?;
//!     let loader = builder().batch_size(6).resume(state).try_build(dataset)?;
//!     assert_eq!(loader.iter().count(), 10); // the 60 rows that are left
//!     Ok(())
//! }
//! ```
//!
//! # Where the time goes
//!
//! The loader counts its time. With `AUTOTUNE` it chooses how many threads load batches. How far
//! ahead they load, it finds in any case.
//!
//! ```
//! use burn::tensor::{Int, Tensor};
//! use burn_npy::{AUTOTUNE, DataLoaderBuilder, NpyBatcher, NpyDataset, ndarray::Array1};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let dataset = NpyDataset::from_tensor_slices(Array1::from_iter(0..100_i64))?;
//!     let loader = DataLoaderBuilder::new(NpyBatcher::<Tensor<1, Int>>::new())
//!         .batch_size(10)
//!         .num_workers(AUTOTUNE)
//!         .try_build(dataset)?;
//!     for batch in loader.iter() {
//!         batch?; // a training step
//!     }
//!     // "the model is the limit: a faster loader would gain 1 %", for example, and the figures.
//!     println!("{}", loader.report());
//!     Ok(())
//! }
//! ```
