//! Shards that are sorted by class, as they often come, opened by a pattern as one dataset. Its
//! rows are shuffled across all shards, so it does not matter how they were sorted.
//!
//! `cargo run --profile demo --example shards` prints (the last digits depend on the processor):
//!
//! ```text
//! NpyDataset { rows: 10000, images: float32 [28, 28], labels: uint8 [] }
//! file after file:
//! the first batch begins with [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
//! recognised 0.292
//! shuffled across all shards:
//! the first batch begins with [9, 0, 1, 7, 4, 6, 1, 9, 1, 3, 2, 2]
//! recognised 0.830
//! ```

use std::path::Path;

use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use burn_npy::ndarray::{Array1, Array3, Axis};
use burn_npy::{Batch, Convert, NpyDataset, Sampler, file::write_npy};

const MNIST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/mnist/data/mnist.npz");

#[derive(Batch)]
struct Digits {
    /// `[batch, 28, 28]`
    images: Tensor<3>,
    /// `[batch]`
    labels: Tensor<1, Int>,
}

/// Writes a shard for each digit: `images_0.npy` and `labels_0.npy` have all zeros, and so on.
fn write_shards(folder: &Path) -> burn_npy::Result<()> {
    let train = NpyDataset::from_npz(MNIST, ["train_images", "train_labels"])?;
    let (images, labels) = (
        train.read::<u8>("train_images")?,
        train.read::<u8>("train_labels")?,
    );
    for digit in 0..10 {
        let rows: Vec<usize> = (0..labels.len())
            .filter(|row| labels[[*row]] == digit)
            .collect();
        let shard: Array3<u8> = images.select(Axis(0), &rows).into_dimensionality().unwrap();
        write_npy(folder.join(format!("images_{digit}.npy")), &shard)?;
        let label = Array1::from_elem(rows.len(), digit);
        write_npy(folder.join(format!("labels_{digit}.npy")), &label)?;
    }
    Ok(())
}

/// Trains for an epoch. Prints the labels at the start of the first batch, and the share of the
/// test images that the model recognises.
fn train(data: &NpyDataset, sampler: Sampler) -> Result<(), Box<dyn std::error::Error>> {
    let device = Device::default().autodiff();
    device.seed(42);
    let loader = data.loader::<Digits>().set_device(device.clone());
    let loader = loader.batch_size(50).sampler(sampler).try_build()?;
    let mut model: Linear = LinearConfig::new(28 * 28, 10).init(&device);
    let mut optimizer = AdamConfig::new().init();
    let criterion = CrossEntropyLossConfig::new().init(&device);
    for (step, batch) in loader.iter().enumerate() {
        let Digits { images, labels } = batch?;
        if step == 0 {
            let first = labels.clone().slice(0..12).try_to_vec_as::<i64>()?;
            println!("the first batch begins with {first:?}");
        }
        let loss = criterion.forward(model.forward(images.flatten::<2>(1, 2)), labels);
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(1e-3, model, gradients);
    }
    let test = [("images", "test_images"), ("labels", "test_labels")];
    let test = NpyDataset::from_npz(MNIST, test)?;
    let test = test.convert("images", Convert::to::<f32>().divide(255.0))?;
    let count = test.len();
    let test = test
        .loader::<Digits>()
        .batch_size(count)
        .set_device(device)
        .try_build()?;
    for batch in test.iter() {
        let Digits { images, labels } = batch?;
        let digits = model
            .forward(images.flatten::<2>(1, 2))
            .argmax(1)
            .squeeze_dim(1);
        let right = digits.equal(labels).int().sum().into_scalar::<i64>();
        println!("recognised {:.3}", right as f64 / count as f64);
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    write_shards(folder.path())?;
    let pattern = |name| format!("{}/{name}_*.npy", folder.path().display());
    let names = ["images", "labels"];
    let data = NpyDataset::from_globs(names.map(|name| (name, pattern(name))))?;
    let data = data.convert("images", Convert::to::<f32>().divide(255.0))?;
    println!("{data:?}");

    println!("file after file:");
    train(&data, Sampler::sequential())?;
    println!("shuffled across all shards:");
    train(&data, Sampler::shuffled(42))
}
