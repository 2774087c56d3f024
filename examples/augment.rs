//! Images that are cropped and mirrored at random, in the training only.
//!
//! `cargo run --profile demo --example augment` trains three times on 500 images, and prints (the
//! last digits depend on the processor):
//!
//! ```text
//! as they are: test accuracy 0.817
//! cropped and mirrored: test accuracy 0.798
//! cropped: test accuracy 0.876
//! ```
//!
//! Most mirrored digits are no digits, so mirroring harms here. It helps with photographs.

use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::activation::relu;
use burn_npy::transform::RandomCrop;
use burn_npy::{Batch, Convert, NpyDataset};

const MNIST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/mnist/data/mnist.npz");
const SIDE: usize = 28;

#[derive(Batch)]
struct Digits {
    /// `[batch, SIDE, SIDE]`
    images: Tensor<3>,
    /// `[batch]`
    labels: Tensor<1, Int>,
}

/// Class scores, `[batch, 10]`.
fn scores((hidden, output): &(Linear, Linear), images: Tensor<3>) -> Tensor<2> {
    output.forward(relu(hidden.forward(images.flatten(1, 2))))
}

/// The images are bytes.
fn open(part: &str) -> burn_npy::Result<NpyDataset> {
    let columns = ["images", "labels"].map(|name| (name, format!("{part}_{name}")));
    NpyDataset::from_npz(MNIST, columns)
}

/// Trains with augmented images. Returns the accuracy on images as they are.
fn accuracy(augment: RandomCrop) -> Result<f64, Box<dyn std::error::Error>> {
    let device = Device::default().autodiff();
    device.seed(42);
    let loader = |data: NpyDataset| -> burn_npy::Result<_> {
        let data = data.convert("images", Convert::to::<f32>().divide(255.0))?;
        let loader = data.loader::<Digits>().batch_size(50);
        Ok(loader.set_device(device.clone()))
    };
    // The workers crop bytes, and then convert the crop. Each run has the same crops, with any
    // number of workers: they depend on the seed of the shuffle, the epoch and the place of the row
    // in it.
    let train = open("train")?.take(500).map("images", augment)?;
    let train = loader(train)?.shuffle(42).try_build()?;
    let test = loader(open("test")?)?.try_build()?;

    let hidden = LinearConfig::new(SIDE * SIDE, 128).init(&device);
    let mut model = (hidden, LinearConfig::new(128, 10).init(&device));
    let mut optimizer = AdamConfig::new().init();
    let criterion = CrossEntropyLossConfig::new().init(&device);
    for _ in 0..40 {
        for batch in train.iter() {
            let Digits { images, labels } = batch?;
            let loss = criterion.forward(scores(&model, images), labels);
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            model = optimizer.step(3e-3, model, gradients);
        }
    }
    let mut correct = 0;
    for batch in test.iter() {
        let Digits { images, labels } = batch?;
        let digits = scores(&model, images).argmax(1).squeeze_dim::<1>(1);
        correct += digits.equal(labels).int().sum().try_into_scalar::<i64>()?;
    }
    Ok(correct as f64 / test.num_items() as f64)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let images = RandomCrop::new([SIDE, SIDE]);
    let as_they_are = accuracy(images.clone())?;
    println!("as they are: test accuracy {as_they_are:.3}");
    let mirrored = accuracy(images.clone().pad(2).flip(0.5))?;
    println!("cropped and mirrored: test accuracy {mirrored:.3}");
    let cropped = accuracy(images.pad(2))?;
    println!("cropped: test accuracy {cropped:.3}");
    Ok(())
}
