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

use burn::nn::{LinearConfig, loss::CrossEntropyLossConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use burn_npy::{Batch, Convert, NpyDataset, Sampler, file::write_npy};

const MNIST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/mnist/data/mnist.npz");
const NAMES: [&str; 2] = ["images", "labels"];

#[derive(Batch)]
struct Digits {
    images: Tensor<3>,      // [batch, 28, 28]
    labels: Tensor<1, Int>, // [batch]
}

fn open(part: &str) -> burn_npy::Result<NpyDataset> {
    NpyDataset::from_npz(MNIST, NAMES.map(|name| (name, format!("{part}_{name}"))))
}

/// Trains for an epoch. Prints the labels at the start of the first batch, and the share of the
/// test images that the model recognises.
fn train(data: &NpyDataset, sampler: Sampler) -> Result<(), Box<dyn std::error::Error>> {
    let device = Device::default().autodiff();
    device.seed(42);
    let loader = |data: &NpyDataset| data.loader::<Digits>().set_device(device.clone());
    let train = loader(data).batch_size(50).sampler(sampler).try_build()?;
    let mut model = LinearConfig::new(28 * 28, 10).init(&device);
    let mut optimizer = AdamConfig::new().init();
    let criterion = CrossEntropyLossConfig::new().init(&device);
    for (step, batch) in train.iter().enumerate() {
        let Digits { images, labels } = batch?;
        if step == 0 {
            let first = labels.clone().slice(0..12).try_to_vec_as::<i64>()?;
            println!("the first batch begins with {first:?}");
        }
        let scores = model.forward(images.flatten::<2>(1, 2));
        let loss = criterion.forward(scores, labels);
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(1e-3, model, gradients);
    }
    let test = open("test")?;
    let test = test.convert("images", Convert::to::<f32>().divide(255.0))?;
    // All its rows are one batch.
    for batch in loader(&test).batch_size(test.len()).try_build()?.iter() {
        let Digits { images, labels } = batch?;
        let scores = model.forward(images.flatten::<2>(1, 2));
        let right = scores.argmax(1).squeeze_dim(1).equal(labels);
        let share = right.float().mean().into_scalar::<f64>();
        println!("recognised {share:.3}");
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let path = |name: &str, digit: &str| format!("{}/{name}_{digit}.npy", folder.path().display());
    // A shard for each digit: images_0.npy and labels_0.npy have all zeros, and so on.
    let whole = open("train")?;
    for digit in 0..10 {
        let shard = whole.filter("labels", |label: &[u8]| label[0] == digit)?;
        for name in NAMES {
            write_npy(path(name, &digit.to_string()), &shard.read::<u8>(name)?)?;
        }
    }

    let data = NpyDataset::from_globs(NAMES.map(|name| (name, path(name, "*"))))?;
    let data = data.convert("images", Convert::to::<f32>().divide(255.0))?;
    println!("{data:?}");
    println!("file after file:");
    train(&data, Sampler::sequential())?;
    println!("shuffled across all shards:");
    train(&data, Sampler::shuffled(42))
}
