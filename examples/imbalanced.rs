//! A rare class, and a sampler that draws every class equally often.
//!
//! `cargo run --profile demo --example imbalanced` prints (the last digits depend on the
//! processor):
//!
//! ```text
//! digit  images  recall shuffled  recall balanced
//!     0    1001            0.971            0.966
//!     1    1127            0.949            0.953
//!     2     991            0.840            0.840
//!     3      12            0.000            0.667
//!     4     980            0.871            0.876
//!     5     863            0.838            0.838
//!     6    1014            0.899            0.910
//!     7    1070            0.820            0.795
//!     8     944            0.797            0.812
//!     9     978            0.856            0.845
//! recall of the rare digit: shuffled 0.000, balanced 0.667
//! ```

use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use burn_npy::{Batch, Convert, NpyDataset, Sampler};

const MNIST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/mnist/data/mnist.npz");
/// The digit of which one image in a hundred is kept.
const RARE: u8 = 3;

#[derive(Batch)]
struct Digits {
    /// `[batch, 28, 28]`
    images: Tensor<3>,
    /// `[batch]`
    labels: Tensor<1, Int>,
}

fn open(part: &str) -> burn_npy::Result<NpyDataset> {
    let columns = ["images", "labels"].map(|name| (name, format!("{part}_{name}")));
    NpyDataset::from_npz(MNIST, columns)?.convert("images", Convert::to::<f32>().divide(255.0))
}

/// Class scores, `[batch, 10]`.
fn scores(model: &Linear, images: Tensor<3>) -> Tensor<2> {
    model.forward(images.flatten(1, 2))
}

/// Trains with the rows that a sampler draws. Gives the share of the images of each digit that the
/// model recognises.
fn recalls(train: &NpyDataset, sampler: Sampler) -> Result<[f64; 10], Box<dyn std::error::Error>> {
    let device = Device::default().autodiff();
    device.seed(42);
    let loader = |data: &NpyDataset| data.loader::<Digits>().set_device(device.clone());
    let train = loader(train).batch_size(50).sampler(sampler).try_build()?;
    let test = loader(&open("test")?).batch_size(200).try_build()?;

    let mut model = LinearConfig::new(28 * 28, 10).init(&device);
    let mut optimizer = AdamConfig::new().init();
    let criterion = CrossEntropyLossConfig::new().init(&device);
    for _ in 0..3 {
        for batch in train.iter() {
            let Digits { images, labels } = batch?;
            let loss = criterion.forward(scores(&model, images), labels);
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            model = optimizer.step(1e-3, model, gradients);
        }
    }
    let (mut found, mut all) = ([0.0; 10], [0.0; 10]);
    for batch in test.iter() {
        let Digits { images, labels } = batch?;
        let digits = scores(&model, images).argmax(1).try_to_vec_as::<i64>()?;
        for (digit, label) in digits.into_iter().zip(labels.try_to_vec_as::<i64>()?) {
            all[label as usize] += 1.0;
            found[label as usize] += f64::from(digit == label);
        }
    }
    Ok(std::array::from_fn(|digit| found[digit] / all[digit]))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let all = open("train")?;
    let labels = all.read::<u8>("labels")?;
    let is_kept = |row: &usize| labels[[*row]] != RARE || row.is_multiple_of(100);
    let train = all.rows((0..all.len()).filter(is_kept))?;

    let shuffled = recalls(&train, Sampler::shuffled(42))?;
    let labels = train.read::<u8>("labels")?;
    let balanced = recalls(&train, Sampler::balanced(labels, 42)?)?;
    println!("digit  images  recall shuffled  recall balanced");
    for (digit, images) in train.class_counts("labels")? {
        let [shuffled, balanced] = [shuffled, balanced].map(|recalls| recalls[digit as usize]);
        println!("{digit:5}  {images:6}  {shuffled:15.3}  {balanced:15.3}");
    }
    let rare = usize::from(RARE);
    let [shuffled, balanced] = [shuffled, balanced].map(|recalls| recalls[rare]);
    println!("recall of the rare digit: shuffled {shuffled:.3}, balanced {balanced:.3}");
    Ok(())
}
