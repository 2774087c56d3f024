//! Training, and counting what the trained model gets right.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use burn::lr_scheduler::cosine::CosineAnnealingLrSchedulerConfig;
use burn::optim::AdamConfig;
use burn::tensor::{Device, Tensor};
use burn::train::metric::{AccuracyMetric, LossMetric};
use burn::train::{Learner, SupervisedTraining};
use burn_npy::{Loader, LoaderMetric};

use crate::data::Digits;
use crate::display::Lines;
use crate::model::Cnn;

const LEARNING_RATE: f64 = 2e-3;

/// Trains a new model and returns it ready for inference. `logs` receives the metrics.
pub(crate) fn train(
    train: Arc<Loader<Digits>>,
    test: Arc<Loader<Digits>>,
    epochs: usize,
    logs: &Path,
    device: &Device,
) -> Result<Cnn, Box<dyn Error>> {
    let steps = epochs * train.len();
    let schedule = CosineAnnealingLrSchedulerConfig::new(LEARNING_RATE, steps).init()?;
    let learner = Learner::new(
        Cnn::new(&device.clone().autodiff()),
        AdamConfig::new().init(),
        schedule,
    );
    // The test images double as the validation set: they are displayed after each epoch,
    // but nothing is chosen by them.
    let training = SupervisedTraining::new(logs, train.clone(), test.clone())
        .metrics((AccuracyMetric::new(), LossMetric::new()))
        .metric_train_numeric(LoaderMetric::waiting(&train))
        .metric_valid_numeric(LoaderMetric::waiting(&test))
        .with_application_logger(None)
        .num_epochs(epochs)
        // Burn's own display brings 27 crates; without it, Burn prints a line a batch.
        .renderer(Box::new(Lines::new()))
        .summary();
    let result = training.launch(learner);
    // A loader that fails ends the training early, with the usual summary: only this tells.
    match result.error {
        Some(error) => Err(error.into()),
        None => Ok(result.model),
    }
}

/// The digit the model sees in each image of a batch.
pub(crate) fn predict(model: &Cnn, images: Tensor<3>) -> Result<Vec<i64>, Box<dyn Error>> {
    let digits = model.forward(images).argmax(1).try_into_data()?;
    Ok(digits.iter::<i64>().collect())
}

/// The share of images that the model recognises.
pub(crate) fn accuracy(model: &Cnn, loader: &Loader<Digits>) -> Result<f64, Box<dyn Error>> {
    let mut correct = 0;
    for batch in loader.iter() {
        let batch = batch?;
        let predicted = model.forward(batch.images).argmax(1).squeeze_dim::<1>(1);
        let hits = predicted.equal(batch.labels).int().sum();
        correct += hits.try_into_scalar::<i64>()?;
    }
    Ok(correct as f64 / loader.num_items() as f64)
}
