//! TensorFlow's tutorial on `tf.data` with NumPy arrays, in the words of burn-npy.
//!
//! `cargo run --profile demo --example tensor_slices` prints:
//!
//! ```text
//! first element: 1
//! [1, 2, 3]
//! [4, 5, 6]
//! [7, 8, 9]
//! [10]
//! features [2.0, 1.0, 1.0, 3.0], labels [1, 0]
//! features [5.0, 2.0, 4.0, 0.0], labels [0, 1]
//! features [3.0, 3.0], labels [0]
//! [1000, 10] F64
//! ```
//!
//! and the last line ten times.

use std::error::Error;
use std::io::Write;

use burn::tensor::{Device, Int, Tensor};
use burn_npy::ndarray::{Array1, Array2, array};
use burn_npy::{DataLoaderBuilder, NpyBatcher, NpyDataset};
use rand::{RngExt, SeedableRng, rngs::StdRng};

fn main() -> Result<(), Box<dyn Error>> {
    match run(&mut std::io::stdout().lock()) {
        // The reader of a pipe has closed it, as `head` does.
        Err(error) if is_closed_pipe(&*error) => Ok(()),
        done => done,
    }
}

fn run(out: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let device = Device::default();
    numbers(out, &device)?;
    features_and_labels(out, &device)?;
    large_random(out, &device)
}

fn is_closed_pipe(error: &(dyn Error + 'static)) -> bool {
    let error = error.downcast_ref::<std::io::Error>();
    error.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

/// The array 1..10: its first element, then batches of three.
fn numbers(out: &mut impl Write, device: &Device) -> Result<(), Box<dyn Error>> {
    let dataset = NpyDataset::from_tensor_slices(Array1::from_iter(1..=10))?;
    writeln!(out, "first element: {}", dataset.row(0).value("0")?)?;

    let loader = dataset
        .loader::<Tensor<1, Int>>()
        .batch_size(3)
        .set_device(device.clone())
        .try_build()?;
    for batch in loader.iter() {
        let numbers: Vec<i32> = batch?.try_into_data()?.iter().collect();
        writeln!(out, "{numbers:?}")?;
    }
    Ok(())
}

/// Five rows of features with a label each, shuffled over the whole set: a row and its label stay
/// together.
fn features_and_labels(out: &mut impl Write, device: &Device) -> Result<(), Box<dyn Error>> {
    let features = array![
        [1.0_f32, 3.0],
        [2.0, 1.0],
        [3.0, 3.0],
        [4.0, 0.0],
        [5.0, 2.0]
    ];
    let labels = array![0, 1, 0, 1, 0];
    let dataset = NpyDataset::from_tensor_slices((features, labels))?;

    let loader = dataset
        .loader::<(Tensor<2>, Tensor<1, Int>)>()
        .batch_size(2)
        .shuffle(42)
        .set_device(device.clone())
        .try_build()?;
    for batch in loader.iter() {
        let (features, labels) = batch?;
        let features: Vec<f32> = features.try_into_data()?.iter().collect();
        let labels: Vec<i32> = labels.try_into_data()?.iter().collect();
        writeln!(out, "features {features:?}, labels {labels:?}")?;
    }
    Ok(())
}

/// A larger array in batches that are made ahead of time: the first ten.
fn large_random(out: &mut impl Write, device: &Device) -> Result<(), Box<dyn Error>> {
    let mut rng = StdRng::seed_from_u64(0);
    let values = Array2::from_shape_simple_fn((100_000, 10), || rng.random::<f64>());
    // The array is of f64, and so are the tensors: the batcher is told to keep the dtype.
    let dataset = NpyDataset::from_tensor_slices(values)?;
    let loader = DataLoaderBuilder::new(NpyBatcher::<Tensor<2>>::new().keep_dtypes())
        .batch_size(1000)
        .num_workers(1)
        .prefetch(4)
        .set_device(device.clone())
        .try_build(dataset)?;
    for batch in loader.iter().take(10) {
        let batch = batch?;
        writeln!(out, "{:?} {:?}", batch.dims(), batch.dtype())?;
    }
    Ok(())
}
