//! Cross-validation: five models, each tested on another fifth of the images.
//!
//! `cargo run --profile demo --example folds` prints (the last digits depend on the processor):
//!
//! ```text
//! fold 0: 3200 and 800 rows, accuracy 0.907
//! fold 1: 3200 and 800 rows, accuracy 0.897
//! fold 2: 3200 and 800 rows, accuracy 0.890
//! fold 3: 3200 and 800 rows, accuracy 0.877
//! fold 4: 3200 and 800 rows, accuracy 0.897
//! accuracy: 0.894, standard deviation 0.011
//! ```

use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use burn_npy::ndarray::Array1;
use burn_npy::order::Partition;
use burn_npy::{Batch, Convert, NpyDataset};

const MNIST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/mnist/data/mnist.npz");
const FOLDS: u32 = 5;

#[derive(Batch)]
struct Digits {
    /// `[batch, 28, 28]`
    images: Tensor<3>,
    /// `[batch]`
    labels: Tensor<1, Int>,
}

/// Class scores, `[batch, 10]`.
fn scores(model: &Linear, images: Tensor<3>) -> Tensor<2> {
    model.forward(images.flatten(1, 2))
}

/// Trains on some images, and gives the share of the others that the model recognises.
fn accuracy(train: &NpyDataset, test: &NpyDataset) -> Result<f64, Box<dyn std::error::Error>> {
    let device = Device::default().autodiff();
    device.seed(42);
    let loader = |data: &NpyDataset| {
        let loader = data.loader::<Digits>().batch_size(50);
        loader.set_device(device.clone())
    };
    let train = loader(train).shuffle(42).try_build()?;
    let test = loader(test).try_build()?;

    let mut model = LinearConfig::new(28 * 28, 10).init(&device);
    let mut optimizer = AdamConfig::new().init();
    let criterion = CrossEntropyLossConfig::new().init(&device);
    for _ in 0..5 {
        for batch in train.iter() {
            let Digits { images, labels } = batch?;
            let loss = criterion.forward(scores(&model, images), labels);
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            model = optimizer.step(2e-3, model, gradients);
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
    let columns = [("images", "train_images"), ("labels", "train_labels")];
    let data = NpyDataset::from_npz(MNIST, columns)?
        .convert("images", Convert::to::<f32>().divide(255.0))?
        .take(4000);

    // Each fold has as many images of each digit as the others, give or take one.
    let folds = Partition::stratified_k_fold(data.read::<u8>("labels")?, FOLDS, 42)?;
    let mut accuracies = Vec::new();
    for (fold, (train, test)) in data.folds(&folds)?.iter().enumerate() {
        print!("fold {fold}: {} and {} rows, ", train.len(), test.len());
        let accuracy = accuracy(train, test)?;
        println!("accuracy {accuracy:.3}");
        accuracies.push(accuracy);
    }
    let accuracies = Array1::from(accuracies);
    let (mean, deviation) = (accuracies.sum() / f64::from(FOLDS), accuracies.std(1.0));
    println!("accuracy: {mean:.3}, standard deviation {deviation:.3}");
    Ok(())
}
