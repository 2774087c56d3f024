//! From a NumPy file to a trained model.
//!
//! `cargo run -p quickstart` builds the least of Burn that trains, and does not optimise it. It
//! prints (the last digits depend on the processor):
//!
//! ```text
//! NpyDataset { rows: 10000, images: float32 [28, 28], labels: uint8 [] }
//! 157 batches, the first: [64, 28, 28] [64]
//! epoch 1: mean loss 0.805
//! epoch 2: mean loss 0.406
//! epoch 3: mean loss 0.342
//! test accuracy: 0.878
//! ```

use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{Device, Int, Tensor};
use burn_npy::{Batch, Convert, NpyDataset};

/// 10,000 training and 2,000 test images of handwritten digits, with their labels.
const MNIST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../mnist/data/mnist.npz");

#[derive(Batch)]
struct Digits {
    /// `[batch, 28, 28]`, grey levels in `[0, 1]`.
    images: Tensor<3>,
    /// `[batch]`
    labels: Tensor<1, Int>,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = Device::default();
    device.seed(42);

    let open = |images, labels| {
        NpyDataset::from_npz(MNIST, [("images", images), ("labels", labels)])?
            .convert("images", Convert::to::<f32>().divide(255.0))
    };
    let (train, test) = (
        open("train_images", "train_labels")?,
        open("test_images", "test_labels")?,
    );
    println!("{train:?}");
    let training = device.clone().autodiff();
    let loader = |dataset: NpyDataset| dataset.loader::<Digits>().batch_size(64);
    let train = loader(train)
        .shuffle(42)
        .set_device(training.clone())
        .try_build()?;
    let test = loader(test).set_device(device).try_build()?;
    if let Some(batch) = train.epoch(0).next() {
        let Digits { images, labels } = batch?;
        let shapes = (images.dims(), labels.dims());
        println!(
            "{} batches, the first: {:?} {:?}",
            train.len(),
            shapes.0,
            shapes.1
        );
    }

    let mut model = LinearConfig::new(28 * 28, 10).init(&training);
    let mut optimizer = AdamConfig::new().init();
    let criterion = CrossEntropyLossConfig::new().init(&training);
    for epoch in 1..=3 {
        let mut sum = 0.0;
        // Each call to `iter` is the next epoch, reshuffled.
        for batch in train.iter() {
            let Digits { images, labels } = batch?;
            let loss = criterion.forward(scores(&model, images), labels);
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            model = optimizer.step(2e-3, model, gradients);
            sum += loss.try_into_scalar::<f32>()?;
        }
        println!("epoch {epoch}: mean loss {:.3}", sum / train.len() as f32);
    }

    let (model, mut correct) = (model.valid(), 0);
    for batch in test.iter() {
        let Digits { images, labels } = batch?;
        let digits = scores(&model, images).argmax(1).squeeze_dim::<1>(1);
        correct += digits.equal(labels).int().sum().try_into_scalar::<i64>()?;
    }
    println!(
        "test accuracy: {:.3}",
        correct as f64 / test.num_items() as f64
    );
    Ok(())
}

/// Class scores, `[batch, 10]`.
fn scores(model: &Linear, images: Tensor<3>) -> Tensor<2> {
    model.forward(images.flatten(1, 2))
}
