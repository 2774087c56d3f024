//! A forecast for weather stations: two days of temperatures, and the six hours after them.
//!
//! The stations follow each other in one file, so windows must not reach from one into the next.
//!
//! `cargo run --profile demo --example time_series` prints (the last digits depend on the
//! processor):
//!
//! ```text
//! NpyDataset { rows: 8535, degrees: float32 [48], degrees_next: float32 [6] }
//! epoch 1: mean squared error 4.17
//! epoch 2: mean squared error 1.47
//! epoch 3: mean squared error 1.37
//! epoch 4: mean squared error 1.33
//! epoch 5: mean squared error 1.30
//! test mean squared error: 8.36 of the last value, 1.38 of the model
//! ```

use burn::nn::loss::{MseLoss, Reduction};
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use burn_npy::file::write_npy;
use burn_npy::ndarray::Array1;
use burn_npy::{Array, Batch, NpyDataset, Windows};
use rand::{RngExt, SeedableRng, rngs::StdRng};

/// The hours that the model sees, and those that it forecasts.
const PAST: usize = 48;
const HORIZON: usize = 6;

#[derive(Batch)]
struct Forecasts {
    /// `[batch, PAST]`
    degrees: Tensor<2>,
    /// `[batch, HORIZON]`
    degrees_next: Tensor<2>,
}

/// The naive forecast, `[batch, 1]`: the last value stays.
fn last_value(past: Tensor<2>) -> Tensor<2> {
    past.narrow(1, PAST - 1, 1)
}

/// The model's forecast, `[batch, HORIZON]`: differences to the last value.
fn forecast(model: &Linear, past: Tensor<2>) -> Tensor<2> {
    let last = last_value(past.clone());
    model.forward(past - last.clone()) + last
}

/// A station hour by hour: its climate, the time of the day, and weather that changes slowly.
fn station(hours: usize, rng: &mut StdRng) -> Vec<f32> {
    let (climate, mut weather) = (rng.random_range(0.0..20.0), 0.0);
    let mut degrees = |hour| {
        weather = 0.97 * weather + rng.random_range(-1.0..1.0);
        let day = (hour as f64 / 24.0 * std::f64::consts::TAU).sin();
        (climate + 4.0 * day + weather) as f32
    };
    (0..hours).map(&mut degrees).collect()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let file = |name| folder.path().join(name);
    let (mut degrees, mut ends) = (Vec::new(), Vec::new());
    let mut rng = StdRng::seed_from_u64(42);
    for hours in [1500, 2400, 900, 20, 1800, 2200] {
        degrees.extend(station(hours, &mut rng));
        ends.push(degrees.len() as i64);
    }
    write_npy(file("degrees.npy"), &Array1::from(degrees))?;
    write_npy(file("ends.npy"), &Array1::from(ends))?;

    // A row is a window within a station. Nothing is copied.
    let ends = Array::open(file("ends.npy"))?.read::<i64>()?;
    let windows = Windows::new(PAST).horizon(HORIZON).within(ends)?;
    let windows = NpyDataset::open(file("degrees.npy"))?.windows(windows)?;
    println!("{windows:?}");
    // At random, the windows of the test would share almost all their hours with the training.
    let (train, test) = windows.split_in_time(0.75)?;

    let device = Device::default().autodiff();
    device.seed(42);
    let loader = |data: NpyDataset| data.loader::<Forecasts>().batch_size(64);
    let train = loader(train).shuffle(42).set_device(device.clone());
    let train = train.try_build()?;
    let test = loader(test).set_device(device.clone()).try_build()?;
    let mut model = LinearConfig::new(PAST, HORIZON).init(&device);
    let mut optimizer = AdamConfig::new().init();
    for epoch in 1..=5 {
        let mut sum = 0.0;
        for batch in train.iter() {
            let batch = batch?;
            let made = forecast(&model, batch.degrees);
            let loss = MseLoss::new().forward(made, batch.degrees_next, Reduction::Mean);
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            model = optimizer.step(1e-3, model, gradients);
            sum += loss.try_into_scalar::<f64>()?;
        }
        let mean = sum / train.len() as f64;
        println!("epoch {epoch}: mean squared error {mean:.2}");
    }

    let (mut naive, mut learned) = (0.0, 0.0);
    for batch in test.iter() {
        let Forecasts {
            degrees: past,
            degrees_next: future,
        } = batch?;
        let squares = |forecast: Tensor<2>| (forecast - future.clone()).powi_scalar(2).sum();
        naive += squares(last_value(past.clone())).try_into_scalar::<f64>()?;
        learned += squares(forecast(&model, past)).try_into_scalar::<f64>()?;
    }
    let count = (test.num_items() * HORIZON) as f64;
    let (naive, learned) = (naive / count, learned / count);
    println!("test mean squared error: {naive:.2} of the last value, {learned:.2} of the model");
    Ok(())
}
