//! A table whose last column is the label: split, normalised, and a regression.
//!
//! `cargo run --profile demo --example table` prints (the last digits depend on the processor):
//!
//! ```text
//! mean [87.4, 3.8, 49.4, 10.0], standard deviation [36.0, 1.5, 29.1, 5.8]
//! epoch 1: mean squared error 0.2532
//! epoch 2: mean squared error 0.0116
//! epoch 3: mean squared error 0.0061
//! epoch 4: mean squared error 0.0042
//! epoch 5: mean squared error 0.0033
//! test R2: 0.990
//! ```

use burn::nn::loss::{MseLoss, Reduction};
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::activation::relu;
use burn_npy::file::write_npy;
use burn_npy::ndarray::{Array2, Axis, array};
use burn_npy::{Batch, Convert, NpyDataset};
use rand::{RngExt, SeedableRng, rngs::StdRng};

#[derive(Batch)]
struct Homes {
    /// `[batch, 4]`: square metres, rooms, age in years, kilometres to the centre.
    features: Tensor<2>,
    /// `[batch]`, in thousands.
    rent: Tensor<1>,
}

/// `[batch]`, of features `[batch, 4]`.
fn forward((hidden, output): &(Linear, Linear), features: Tensor<2>) -> Tensor<1> {
    output
        .forward(relu(hidden.forward(features)))
        .squeeze_dim(1)
}

/// A home in each row, with its rent at the end, in `float64` as NumPy has it.
fn homes(rows: usize) -> Array2<f64> {
    let mut rng = StdRng::seed_from_u64(42);
    let mut table = Array2::zeros((rows, 5));
    for mut row in table.rows_mut() {
        let area = rng.random_range(25.0..150.0_f64);
        let rooms = (area / rng.random_range(20.0..35.0)).ceil();
        let (age, distance) = (
            rng.random_range(0.0..100.0),
            rng.random_range(0.0..20.0_f64),
        );
        let metre = 9.0 + 14.0 * (-distance / 5.0).exp() - 0.04 * age;
        let rent = area * metre + 40.0 * rooms + rng.random_range(-50.0..50.0);
        row.assign(&array![area, rooms, age, distance, rent]);
    }
    table
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("homes.npy");
    write_npy(&file, &homes(4000))?;

    let data = NpyDataset::open(&file)?
        .split_column("homes", (("features", 0..4), ("rent", 4)))?
        .convert("rent", Convert::new().divide(1000.0))?;
    let (train, test) = data.split(0.8, 42)?;
    // Both parts are normalised by the statistics of the training rows.
    let features = train.read::<f64>("features")?;
    let mean = features.mean_axis(Axis(0)).ok_or("no rows")?;
    let std = features.std_axis(Axis(0), 0.0);
    println!("mean {mean:.1}, standard deviation {std:.1}");
    let normalize = Convert::new().normalize(&Vec::from_iter(mean), &Vec::from_iter(std));
    let train = train.convert("features", normalize.clone())?;
    let test = test.convert("features", normalize)?;

    let device = Device::default().autodiff();
    device.seed(42);
    let loader = |data: NpyDataset| data.loader::<Homes>().set_device(device.clone());
    let train = loader(train).batch_size(32).shuffle(42).try_build()?;
    let test = loader(test).batch_size(800).try_build()?;
    let hidden = LinearConfig::new(4, 32).init(&device);
    let mut model = (hidden, LinearConfig::new(32, 1).init(&device));
    let mut optimizer = AdamConfig::new().init();
    for epoch in 1..=5 {
        let mut sum = 0.0;
        for batch in train.iter() {
            let Homes { features, rent } = batch?;
            let loss = MseLoss::new().forward(forward(&model, features), rent, Reduction::Mean);
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            model = optimizer.step(5e-3, model, gradients);
            sum += loss.try_into_scalar::<f64>()?;
        }
        let mean = sum / train.len() as f64;
        println!("epoch {epoch}: mean squared error {mean:.4}");
    }

    // All test rows are one batch.
    for batch in test.iter() {
        let Homes { features, rent } = batch?;
        let squares = |x: Tensor<1>| x.powi_scalar(2).sum().try_into_scalar::<f64>();
        let errors = squares(forward(&model, features) - rent.clone())?;
        let deviations = squares(rent.clone() - rent.mean())?;
        println!("test R2: {:.3}", 1.0 - errors / deviations);
    }
    Ok(())
}
