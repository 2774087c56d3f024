//! Predictions of a saved model, in the order of the dataset, as a `.npy` file.
//!
//! `cargo run --profile demo --example predict` prints (the last digits depend on the processor):
//!
//! ```text
//! 2000 rows, in the order of the file: true
//! read back, the same digits: true
//! test accuracy: 0.868
//! ```

use std::path::Path;

use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use burn_npy::file::write_npy;
use burn_npy::ndarray::Array1;
use burn_npy::{Array, Batch, Convert, NpyDataset};

const MNIST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/mnist/data/mnist.npz");

#[derive(Batch)]
struct Digits {
    /// `[batch, 28, 28]`
    images: Tensor<3>,
    /// `[batch]`
    labels: Tensor<1, Int>,
    /// The row of each image in the file.
    #[batch(file_rows)]
    rows: Vec<usize>,
}

fn open(part: &str) -> burn_npy::Result<NpyDataset> {
    let columns = ["images", "labels"].map(|name| (name, format!("{part}_{name}")));
    NpyDataset::from_npz(MNIST, columns)?.convert("images", Convert::to::<f32>().divide(255.0))
}

/// Class scores, `[batch, 10]`.
fn scores(model: &Linear, images: Tensor<3>) -> Tensor<2> {
    model.forward(images.flatten(1, 2))
}

/// A model for the rest of the example, in a file.
fn train_and_save(file: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let device = Device::default().autodiff();
    device.seed(42);
    let loader = open("train")?.loader::<Digits>().batch_size(50).shuffle(42);
    let loader = loader.set_device(device.clone()).try_build()?;
    let mut model = LinearConfig::new(28 * 28, 10).init(&device);
    let mut optimizer = AdamConfig::new().init();
    let criterion = CrossEntropyLossConfig::new().init(&device);
    for _ in 0..2 {
        for batch in loader.iter() {
            let Digits { images, labels, .. } = batch?;
            let loss = criterion.forward(scores(&model, images), labels);
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            model = optimizer.step(2e-3, model, gradients);
        }
    }
    Ok(model.valid().save_file(file)?)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let [saved, predicted] = ["model", "digits.npy"].map(|name| folder.path().join(name));
    train_and_save(&saved)?;

    let model = LinearConfig::new(28 * 28, 10).init(&Device::default());
    let model = model.try_load_file(&saved)?;
    let data = open("test")?;
    let loader = data.loader::<Digits>().batch_size(64).try_build()?;
    let (mut digits, mut rows) = (Vec::new(), Vec::new());
    // Without `shuffle`, the rows come in the order of the dataset.
    for batch in loader.iter() {
        let batch = batch?;
        let classes = scores(&model, batch.images).argmax(1);
        digits.extend(classes.try_to_vec_as::<u8>()?);
        rows.extend(batch.rows);
    }
    let in_order = rows.iter().copied().eq(0..data.len());
    println!("{} rows, in the order of the file: {in_order}", rows.len());

    // In Python: `np.load("digits.npy")`.
    write_npy(&predicted, &Array1::from(digits.clone()))?;
    let read = Array::open(&predicted)?.read::<u8>()?;
    println!("read back, the same digits: {}", read.iter().eq(&digits));
    let labels = data.read::<u8>("labels")?;
    let correct = read.iter().zip(&labels).filter(|(a, b)| a == b).count();
    println!("test accuracy: {:.3}", correct as f64 / labels.len() as f64);
    Ok(())
}
