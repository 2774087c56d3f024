//! Images that are cropped and mirrored at random, in the training only.
//!
//! `cargo run --profile demo --example augment` trains three times on 500 images, and prints (the
//! last digits depend on the processor):
//!
//! ```text
//! as they are: test accuracy 0.817
//! cropped and mirrored: test accuracy 0.811
//! cropped: test accuracy 0.878
//! ```
//!
//! Most mirrored digits are no digits, so mirroring harms here. It helps with photographs.

use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::activation::relu;
use burn_npy::{Batch, BatchInfo, Convert, NpyDataset};
use rand::RngExt;

const MNIST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/mnist/data/mnist.npz");
const SIDE: usize = 28;

#[derive(Batch)]
struct Digits {
    /// `[batch, SIDE, SIDE]`
    images: Tensor<3>,
    /// `[batch]`
    labels: Tensor<1, Int>,
}

/// Pads an image, crops it to its size at a random place, and mirrors it with a probability.
///
/// Each row has its own generator, which depends on the seed of the shuffle, the epoch and the
/// place of the row in it. So each run has the same images, with any number of workers.
fn augment(batch: Digits, info: &BatchInfo, pad: usize, flip: f64) -> Digits {
    let padded = batch.images.pad([(pad, pad), (pad, pad)], 0.0);
    let augmented = (0..info.rows().len()).map(|i| {
        let mut rng = info.rng(i);
        let [top, left] = std::array::from_fn(|_| rng.random_range(0..=2 * pad));
        let crop = s![i..i + 1, top..top + SIDE, left..left + SIDE];
        let image = padded.clone().slice(crop);
        let mirrored = rng.random_bool(flip);
        if mirrored { image.flip([2]) } else { image }
    });
    let images = Tensor::cat(augmented.collect(), 0);
    Digits { images, ..batch }
}

/// Class scores, `[batch, 10]`.
fn scores((hidden, output): &(Linear, Linear), images: Tensor<3>) -> Tensor<2> {
    output.forward(relu(hidden.forward(images.flatten(1, 2))))
}

fn open(part: &str) -> burn_npy::Result<NpyDataset> {
    let columns = ["images", "labels"].map(|name| (name, format!("{part}_{name}")));
    NpyDataset::from_npz(MNIST, columns)?.convert("images", Convert::to::<f32>().divide(255.0))
}

/// Trains with augmented images. Returns the accuracy on images as they are.
fn accuracy(pad: usize, flip: f64) -> Result<f64, Box<dyn std::error::Error>> {
    let device = Device::default().autodiff();
    device.seed(42);
    let loader = |data: NpyDataset| {
        let loader = data.loader::<Digits>().batch_size(50);
        loader.set_device(device.clone())
    };
    let train = loader(open("train")?.take(500))
        .shuffle(42)
        .map(move |batch, info| augment(batch, info, pad, flip))
        .try_build()?;
    let test = loader(open("test")?).try_build()?;
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
    println!("as they are: test accuracy {:.3}", accuracy(0, 0.0)?);
    println!(
        "cropped and mirrored: test accuracy {:.3}",
        accuracy(2, 0.5)?
    );
    println!("cropped: test accuracy {:.3}", accuracy(2, 0.0)?);
    Ok(())
}
