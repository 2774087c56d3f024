//! The training run: a loop of our own, from the last checkpoint on.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{Linear, LinearConfig, Relu};
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{Device, Int, Tensor, TensorData};
use burn_npy::{BatchInfo, Convert, NpyDataset};
use rand::RngExt;

use crate::Result;
use crate::checkpoint::Checkpoint;

/// 10,000 training images and their labels; see the notes beside it.
const IMAGES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/mnist/data/mnist.npz");
const SEED: u64 = 42;
const LEARNING_RATE: f64 = 1e-3;
/// The number of steps between checkpoints.
const EVERY: usize = 10;

#[derive(Module, Debug)]
struct Network {
    hidden: Linear,
    activation: Relu,
    output: Linear,
}

impl Network {
    fn new(device: &Device) -> Self {
        Self {
            hidden: LinearConfig::new(28 * 28, 64).init(device),
            activation: Relu::new(),
            output: LinearConfig::new(64, 10).init(device),
        }
    }

    /// Class scores, `[batch, 10]`, of images `[batch, 28, 28]`.
    fn forward(&self, images: Tensor<3>) -> Tensor<2> {
        let hidden = self.hidden.forward(images.flatten(1, 2));
        self.output.forward(self.activation.forward(hidden))
    }
}

type Batch = (Tensor<3>, Tensor<1, Int>);

/// Makes each image brighter or darker, at random, but always the same for a row and an epoch.
fn brighten((images, labels): Batch, info: &BatchInfo) -> Batch {
    let count = info.rows().len();
    let factors = (0..count).map(|index| info.rng(index).random_range(0.7..1.3_f32));
    let factors = TensorData::new(factors.collect(), [count, 1, 1]);
    let factors = Tensor::<3>::from_data(factors, &images.device());
    (images * factors, labels)
}

/// Trains up to a number of steps, in a folder that may have a checkpoint.
pub(crate) fn train(folder: &Path, steps: usize, workers: usize) -> Result<()> {
    let device = Device::default().autodiff();
    device.seed(SEED);
    let model = Network::new(&device);
    let optimizer = AdamConfig::new().init();
    let dataset = NpyDataset::from_npz(IMAGES, ["train_images", "train_labels"])?
        .convert("train_images", Convert::to::<f32>().divide(255.0))?;
    let loader = dataset
        .loader::<Batch>()
        .map(brighten)
        .batch_size(64)
        .shuffle(SEED)
        .num_workers(workers)
        .set_device(device.clone())
        .try_build()?;

    let saved = Checkpoint::load(folder, model.clone(), AdamConfig::new().init())?;
    let (mut step, mut model, mut optimizer) = match saved {
        Some(saved) => {
            loader.resume(&saved.loader)?;
            (saved.step, saved.model, saved.optimizer)
        }
        None => (0, model, optimizer),
    };
    let criterion = CrossEntropyLossConfig::new().init(&device);
    let mut log = File::options()
        .create(true)
        .append(true)
        .open(log(folder))?;
    loop {
        // The next epoch, or the rest of one.
        for batch in loader.iter() {
            if step >= steps {
                return Ok(());
            }
            let (images, labels) = batch?;
            let loss = criterion.forward(model.forward(images), labels);
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            model = optimizer.step(LEARNING_RATE, model, gradients);

            let loss = loss.try_into_scalar::<f32>()?;
            // In one piece, so that a kill leaves no half of a line.
            let line = format!("{step} {:08x}\n", loss.to_bits());
            log.write_all(line.as_bytes())?;
            step += 1;
            if step.is_multiple_of(EVERY) {
                let checkpoint = Checkpoint {
                    step,
                    model: model.clone(),
                    optimizer: optimizer.clone(),
                    loader: loader.state(),
                };
                checkpoint.save(folder)?;
            }
        }
    }
}

fn log(folder: &Path) -> PathBuf {
    folder.join("losses")
}

/// Steps and their losses, in the order in which they were done.
pub(crate) fn losses(folder: &Path) -> Result<Vec<(usize, f32)>> {
    let text = fs::read_to_string(log(folder))?;
    let parse = |line: &str| {
        let (step, bits) = line.split_once(' ')?;
        let loss = f32::from_bits(u32::from_str_radix(bits, 16).ok()?);
        Some((step.parse().ok()?, loss))
    };
    let losses = text.lines().map(parse).collect::<Option<_>>();
    losses.ok_or_else(|| format!("{}: a line that is no loss", log(folder).display()).into())
}

/// The number of steps that a run has done, saved or not.
pub(crate) fn steps_done(folder: &Path) -> usize {
    let losses = losses(folder).unwrap_or_default();
    losses.last().map_or(0, |(step, _)| step + 1)
}
