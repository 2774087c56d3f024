//! The training loop of a rank.

use std::fs::{self, File};
use std::io::Write;

use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Int, Tensor};
use burn_npy::order::{Remainder, Shard};
use burn_npy::{Convert, NpyDataset};
use mpi::topology::{Communicator, SimpleCommunicator};

use crate::checkpoint::Checkpoint;
use crate::gradients::{Sums, average};
use crate::{Args, Result};

const SEED: u64 = 42;
const LEARNING_RATE: f64 = 1e-3;
/// The number of steps between checkpoints.
const EVERY: usize = 10;

/// Two layers.
type Network = (Linear, Linear);

/// Class scores, `[batch, 10]`, of images `[batch, 28, 28]`.
fn scores((hidden, output): &Network, images: Tensor<3>) -> Tensor<2> {
    output.forward(relu(hidden.forward(images.flatten(1, 2))))
}

/// Trains on this rank's part of the batches.
pub(crate) fn train(world: &SimpleCommunicator, args: &Args) -> Result<()> {
    let shard = Shard::from_env()?;
    // A launcher that `from_env` does not know would give each rank the whole epoch.
    let in_mpi = Shard::new(world.rank() as u64, world.size() as u64)?;
    if shard != in_mpi {
        return Err(format!("rank {shard} in the environment, but {in_mpi} in MPI").into());
    }
    let id = std::process::id();
    println!("rank {} of {}: process {id}", shard.index(), shard.count());

    let device = Device::default().autodiff();
    // The same initial weights on each rank.
    device.seed(SEED);
    let mut model: Network = (
        LinearConfig::new(28 * 28, 64).init(&device),
        LinearConfig::new(64, 10).init(&device),
    );
    let mut optimizer = AdamConfig::new().init();
    let criterion = CrossEntropyLossConfig::new().init(&device);
    let loader = NpyDataset::from_npz(&args.data, ["train_images", "train_labels"])?
        .convert("train_images", Convert::to::<f32>().divide(255.0))?
        .loader::<(Tensor<3>, Tensor<1, Int>)>()
        .batch_size(args.batch)
        .shuffle(SEED)
        // No row is left out at the end of an epoch, where some ranks may have a batch more.
        .shard(shard, Remainder::Uneven)
        .num_workers(1)
        .set_device(device)
        .try_build()?;

    let (mut step, mut log) = (0, None);
    if let Some(folder) = &args.folder {
        fs::create_dir_all(folder)?;
        let new = AdamConfig::new().init();
        if let Some(saved) = Checkpoint::load(folder, model.clone(), new)? {
            // All ranks go on from the state that rank 0 saved.
            loader.resume(&saved.loader)?;
            (step, model, optimizer) = (saved.step, saved.model, saved.optimizer);
        }
        let path = folder.join(format!("rows-{}-of-{}", shard.index(), shard.count()));
        log = Some(File::options().create(true).append(true).open(path)?);
    }
    let save = |step, model: &Network, optimizer: &ModuleOptimizer| match &args.folder {
        Some(folder) if shard.index() == 0 => Checkpoint {
            step,
            model: model.clone(),
            optimizer: optimizer.clone(),
            loader: loader.state(),
        }
        .save(folder),
        _ => Ok(()),
    };

    let mut pass = loader.iter();
    while step < args.steps && pass.epoch() < args.epochs {
        let mut own = Sums::default();
        if let Some((images, labels)) = pass.next().transpose()? {
            let rows = pass.info().map_or(&[][..], |info| info.rows());
            if let Some(log) = &mut log {
                writeln!(log, "{step} {rows:?}")?;
            }
            own.rows = rows.len() as f32;
            let loss = criterion.forward(scores(&model, images), labels) * own.rows;
            own.gradients = GradientsParams::from_grads(loss.backward(), &model);
            own.loss = loss.try_into_scalar()?;
        }
        let Some((loss, gradients)) = average(world, &model, own) else {
            // No rank has rows left.
            pass = loader.iter();
            continue;
        };
        model = optimizer.step(LEARNING_RATE, model, gradients);
        if shard.index() == 0 {
            println!("step {step}: loss {loss:.6}");
        }
        step += 1;
        if step.is_multiple_of(EVERY) {
            save(step, &model, &optimizer)?;
        }
    }
    save(step, &model, &optimizer)
}
