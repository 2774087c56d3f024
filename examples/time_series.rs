//! A forecast from windows over a series: two days of temperatures, and the six hours after them.
//!
//! `cargo run --profile demo --example time_series` prints (the last digits depend on the
//! processor):
//!
//! ```text
//! NpyDataset { rows: 8713, past: float32 [48], future: float32 [6] }
//! epoch 1: mean squared error 4.07
//! epoch 2: mean squared error 1.46
//! epoch 3: mean squared error 1.36
//! epoch 4: mean squared error 1.34
//! epoch 5: mean squared error 1.31
//! test mean squared error: 8.54 of the last value, 1.38 of the model
//! ```

use burn::nn::loss::{MseLoss, Reduction};
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use burn_npy::file::write_npy;
use burn_npy::ndarray::Array1;
use burn_npy::{Batch, NpyDataset};
use rand::{RngExt, SeedableRng, rngs::StdRng};

/// The hours that the model sees, and those that it forecasts.
const PAST: usize = 48;
const HORIZON: usize = 6;
const WINDOW: usize = PAST + HORIZON;

#[derive(Batch)]
struct Forecasts {
    /// `[batch, PAST]`
    past: Tensor<2>,
    /// `[batch, HORIZON]`
    future: Tensor<2>,
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

/// Degrees hour by hour: the time of the day and of the year, and weather that changes slowly.
fn temperatures(hours: usize) -> Array1<f32> {
    let mut rng = StdRng::seed_from_u64(42);
    let mut weather = 0.0;
    let wave = |hour: usize, period: f64| (hour as f64 / period * std::f64::consts::TAU).sin();
    Array1::from_shape_fn(hours, |hour| {
        weather = 0.97 * weather + rng.random_range(-1.0..1.0);
        (10.0 + 8.0 * wave(hour, 8766.0) + 4.0 * wave(hour, 24.0) + weather) as f32
    })
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("hours.npy");
    write_npy(&file, &temperatures(8766))?;

    // Row `i` is the hours from `i` to `i + WINDOW`. Nothing is copied.
    let windows = NpyDataset::open(&file)?.windows(WINDOW, 1)?;
    let (past, future) = ((0..PAST).into(), (PAST..WINDOW).into());
    let windows = windows.split_column("hours", [("past", past), ("future", future)])?;
    println!("{windows:?}");
    // The split is in time, since neighbouring windows share almost all their hours. The windows in
    // the gap are left out: they have hours of both parts.
    let split = windows.len() * 3 / 4;
    let (train, test) = (windows.take(split), windows.skip(split + WINDOW - 1));

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
            let Forecasts { past, future } = batch?;
            let loss = MseLoss::new().forward(forecast(&model, past), future, Reduction::Mean);
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            model = optimizer.step(1e-3, model, gradients);
            sum += loss.try_into_scalar::<f64>()?;
        }
        let mean = sum / train.len() as f64;
        println!("epoch {epoch}: mean squared error {mean:.2}");
    }

    let (mut naive, mut learned) = (0.0, 0.0);
    for batch in test.iter() {
        let Forecasts { past, future } = batch?;
        let squares = |forecast: Tensor<2>| (forecast - future.clone()).powi_scalar(2).sum();
        naive += squares(last_value(past.clone())).try_into_scalar::<f64>()?;
        learned += squares(forecast(&model, past)).try_into_scalar::<f64>()?;
    }
    let count = (test.num_items() * HORIZON) as f64;
    let (naive, learned) = (naive / count, learned / count);
    println!("test mean squared error: {naive:.2} of the last value, {learned:.2} of the model");
    Ok(())
}
