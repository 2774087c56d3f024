//! A forecast for weather stations: two days of temperatures, and the six hours after them.
//!
//! The stations follow each other in one file, so windows must not reach from one into the next.
//!
//! `cargo run --profile demo --example time_series` prints (the last digits depend on the
//! processor):
//!
//! ```text
//! NpyDataset { rows: 8535, degrees: float32 [48], degrees_next: float32 [6] }
//! test mean squared error: 8.36 of the last value, 1.38 of the model
//! ```

use burn::nn::loss::{MseLoss, Reduction};
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use burn_npy::{Batch, NpyDataset, Windows};
use rand::{RngExt, SeedableRng, rngs::StdRng};

/// The hours that the model sees, and those that it forecasts.
const PAST: usize = 48;
const HORIZON: usize = 6;

#[derive(Batch)]
struct Forecasts {
    degrees: Tensor<2>,      // [batch, PAST]
    degrees_next: Tensor<2>, // [batch, HORIZON]
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

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // A station hour by hour: its climate, the time of the day, and weather that changes slowly.
    let (mut degrees, mut ends) = (Vec::new(), Vec::new());
    let mut rng = StdRng::seed_from_u64(42);
    for hours in [1500, 2400, 900, 20, 1800, 2200] {
        let (climate, mut weather) = (rng.random_range(0.0..20.0), 0.0);
        for hour in 0..hours {
            weather = 0.97 * weather + rng.random_range(-1.0..1.0);
            let day = (hour as f64 / 24.0 * std::f64::consts::TAU).sin();
            degrees.push((climate + 4.0 * day + weather) as f32);
        }
        ends.push(degrees.len());
    }
    // From files, it would be `NpyDataset::open("degrees.npy")?`, and for the ends of the stations
    // `Array::open("ends.npy")?.read::<i64>()?`.
    let hours = NpyDataset::from_tensor_slices((("degrees", degrees),))?;

    // A row is a window within a station. Nothing is copied.
    let windows = hours.windows(Windows::new(PAST).horizon(HORIZON).within(ends)?)?;
    println!("{windows:?}");
    // At random, the windows of the test would share almost all their hours with the training.
    let (train, test) = windows.split_in_time(0.75)?;

    let device = Device::default().autodiff();
    device.seed(42);
    let loader = |data: &NpyDataset| data.loader::<Forecasts>().set_device(device.clone());
    let train = loader(&train).batch_size(64).shuffle(42).try_build()?;
    let error = |made, next| MseLoss::new().forward(made, next, Reduction::Mean);
    let mut model = LinearConfig::new(PAST, HORIZON).init(&device);
    let mut optimizer = AdamConfig::new().init();
    for batch in (0..5).flat_map(|_| train.iter()) {
        let batch = batch?;
        let loss = error(forecast(&model, batch.degrees), batch.degrees_next);
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(1e-3, model, gradients);
    }
    // All test rows are one batch.
    let test = loader(&test).batch_size(test.len()).try_build()?;
    let batch = test.iter().next().ok_or("no rows")??;
    let (past, next) = (batch.degrees, batch.degrees_next);
    let naive = error(last_value(past.clone()), next.clone()).into_scalar::<f64>();
    let learned = error(forecast(&model, past), next).into_scalar::<f64>();
    println!("test mean squared error: {naive:.2} of the last value, {learned:.2} of the model");
    Ok(())
}
