//! From a NumPy file to a trained model, in one page.
//!
//! `cargo run -p quickstart` builds the least of Burn that trains, and does not optimise it.

use std::error::Error;
use std::io::Write;

use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{Device, Int, Tensor};
use burn_npy::{Convert, DType, DataLoaderBuilder, Loader, NpyBatcher, NpyDataset};

/// 10,000 training and 2,000 test images of handwritten digits, with their labels.
const MNIST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../mnist/data/mnist.npz");
const PIXELS: usize = 28 * 28;
const EPOCHS: usize = 3;
const LEARNING_RATE: f64 = 2e-3;

/// Grey levels in `[0, 1]`, `[batch, 28, 28]`, and digits, `[batch]`.
type Batch = (Tensor<3>, Tensor<1, Int>);

fn main() -> Result<(), Box<dyn Error>> {
    match run(&mut std::io::stdout().lock()) {
        // Whoever closes the pipe has read enough.
        Err(error) if is_closed_pipe(&*error) => Ok(()),
        done => done,
    }
}

fn run(out: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let device = Device::default();
    device.seed(42);

    // Two arrays of one archive. `NpyDataset::from_files` takes `.npy` files in the same way.
    let open = |images, labels| {
        NpyDataset::from_npz(MNIST, [("images", images), ("labels", labels)])?
            .convert("images", &Convert::to(DType::F32).divide(255.0))
    };
    let train = open("train_images", "train_labels")?;
    let test = open("test_images", "test_labels")?;
    writeln!(out, "{train:?}")?;
    writeln!(out, "label of row 7: {}", train.row(7).value("labels")?)?;

    // Which columns become which tensors, in which order, on how many threads.
    let batcher = NpyBatcher::<Batch>::all().device_dtypes();
    let builder = |device: &Device| {
        DataLoaderBuilder::new(batcher.clone())
            .batch_size(64)
            .num_workers(2)
            .set_device(device.clone())
    };
    let training = device.clone().autodiff();
    let train = builder(&training).shuffle(42).try_build(train)?;
    let test = builder(&device).try_build(test)?;
    if let Some(batch) = test.iter().next() {
        let (images, labels) = batch?;
        writeln!(out, "first batch: {:?} {:?}", images.dims(), labels.dims())?;
    }

    let mut model = LinearConfig::new(PIXELS, 10).init(&training);
    let mut optimizer = AdamConfig::new().init();
    let criterion = CrossEntropyLossConfig::new().init(&training);
    for epoch in 1..=EPOCHS {
        let mut sum = 0.0;
        // Each call to `iter` is the next epoch, reshuffled.
        for batch in train.iter() {
            let (images, labels) = batch?;
            let loss = criterion.forward(scores(&model, images), labels);
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            model = optimizer.step(LEARNING_RATE, model, gradients);
            sum += loss.try_into_scalar::<f32>()?;
        }
        let mean = sum / train.num_batches() as f32;
        writeln!(out, "epoch {epoch}: mean loss {mean:.3}")?;
    }
    writeln!(
        out,
        "test accuracy: {:.3}",
        accuracy(&model.valid(), &test)?
    )?;
    Ok(())
}

/// Class scores, `[batch, 10]`.
fn scores(model: &Linear, images: Tensor<3>) -> Tensor<2> {
    model.forward(images.flatten(1, 2))
}

/// The share of images whose digit has the highest score.
fn accuracy(model: &Linear, loader: &Loader<Batch>) -> Result<f64, Box<dyn Error>> {
    let mut correct = 0;
    for batch in loader.iter() {
        let (images, labels) = batch?;
        let digits = scores(model, images).argmax(1).squeeze_dim::<1>(1);
        correct += digits.equal(labels).int().sum().try_into_scalar::<i64>()?;
    }
    Ok(correct as f64 / loader.num_items() as f64)
}

fn is_closed_pipe(error: &(dyn Error + 'static)) -> bool {
    let error = error.downcast_ref::<std::io::Error>();
    error.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}
