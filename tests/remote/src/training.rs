//! A small model of MNIST, trained by Burn's `Learner` on several devices.

use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};

use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{Linear, LinearConfig, Relu};
use burn::optim::SgdConfig;
use burn::tensor::{Device, Int, Tensor};
use burn::train::logger::{EvaluationProgressLogger, TrainingProgressLogger};
use burn::train::metric::MetricDefinition;
use burn::train::renderer::{
    EvaluationName, MetricState, MetricsRenderer, MetricsRendererEvaluation,
    MetricsRendererTraining,
};
use burn::train::{
    ClassificationOutput, ExecutionStrategy, InferenceStep, Learner, MultiDeviceOptim,
    SupervisedTraining, TrainOutput, TrainStep, TrainingStrategy,
};
use burn_npy::{Batch, BatchInfo, Loader, NpyDataset};

#[derive(Batch, Debug)]
pub(crate) struct Digits {
    pub(crate) images: Tensor<3>,
    pub(crate) labels: Tensor<1, Int>,
}

/// A batch that a device was trained on.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) device: Device,
    pub(crate) epoch: u64,
    pub(crate) rows: Vec<u64>,
    pub(crate) loss: f32,
}

static SEEN: Mutex<Vec<Seen>> = Mutex::new(Vec::new());

/// How many batches were trained on so far.
pub(crate) fn batches_seen() -> usize {
    SEEN.lock().unwrap_or_else(PoisonError::into_inner).len()
}

#[derive(Module, Debug)]
pub(crate) struct Model {
    first: Linear,
    second: Linear,
}

impl Model {
    pub(crate) fn new() -> Self {
        let device = Device::flex().autodiff();
        Self {
            first: LinearConfig::new(28 * 28, 16).init(&device),
            second: LinearConfig::new(16, 10).init(&device),
        }
    }
}

impl InferenceStep for Model {
    type Input = (Digits, BatchInfo);
    type Output = ClassificationOutput;

    fn step(&self, (batch, _): Self::Input) -> ClassificationOutput {
        let Digits { images, labels } = batch;
        let hidden = Relu::new().forward(self.first.forward(images.flatten(1, 2)));
        let scores = self.second.forward(hidden);
        let loss = CrossEntropyLossConfig::new().init(&scores.device());
        ClassificationOutput::new(loss.forward(scores.clone(), labels.clone()), scores, labels)
    }
}

impl TrainStep for Model {
    type Input = (Digits, BatchInfo);
    type Output = ClassificationOutput;

    fn step(&self, (batch, info): Self::Input) -> TrainOutput<ClassificationOutput> {
        let device = batch.images.device();
        let (epoch, rows) = (info.epoch(), info.rows().to_vec());
        let output = InferenceStep::step(self, (batch, info));
        let seen = Seen {
            device,
            epoch,
            rows,
            loss: output.loss.clone().into_scalar(),
        };
        SEEN.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(seen);
        TrainOutput::new(self, output.loss.backward(), output)
    }
}

pub(crate) fn loader(
    data: &NpyDataset,
    devices: usize,
) -> burn_npy::Result<Arc<Loader<(Digits, BatchInfo)>>> {
    data.loader::<Digits>()
        .map(|batch, info| (batch, info.clone()))
        .batch_size(32)
        .shuffle(7)
        .num_workers(2)
        .devices(devices)
        .set_device(Device::flex())
        .try_build()
}

/// Trains a model, and gives what each device was trained on.
pub(crate) fn train(
    model: Model,
    data: &NpyDataset,
    valid: &NpyDataset,
    devices: &[Device],
    epochs: usize,
) -> Result<Vec<Seen>, Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let devices: Vec<Device> = devices.iter().cloned().map(Device::autodiff).collect();
    let loaders = (loader(data, devices.len())?, loader(valid, 1)?);
    let strategy = ExecutionStrategy::multi(devices, MultiDeviceOptim::OptimMainDevice);
    let training = SupervisedTraining::new(folder.path(), loaders.0, loaders.1)
        .with_training_strategy(TrainingStrategy::Default(strategy))
        .with_application_logger(None)
        .renderer(Box::new(Silent))
        .num_epochs(epochs);
    let result = training.launch(Learner::new(model, SgdConfig::new().init(), 0.05));
    let seen = std::mem::take(&mut *SEEN.lock().unwrap_or_else(PoisonError::into_inner));
    match result.error {
        Some(error) => Err(error.into()),
        None => Ok(seen),
    }
}

/// Shows nothing, also on a terminal.
struct Silent;

impl MetricsRendererTraining for Silent {
    fn update_train(&mut self, _: MetricState) {}
    fn update_valid(&mut self, _: MetricState) {}
}

impl TrainingProgressLogger for Silent {
    fn start(&mut self, _: usize, _: usize, _: Option<usize>, _: Option<&str>) {}
    fn update_epoch(&mut self, _: usize) {}
    fn start_split(&mut self, _: &str, _: usize) {}
    fn update_split(&mut self, _: usize) {}
    fn end_split(&mut self) {}
    fn end(&mut self) {}
    fn log_event_training(&mut self, _: String) {}
}

impl EvaluationProgressLogger for Silent {
    fn start_global_progress(&mut self, _: usize) {}
    fn start_test(&mut self, _: &str, _: usize) {}
    fn update_test_progress(&mut self, _: usize) {}
    fn end_test(&mut self) {}
    fn end_global_progress(&mut self) {}
    fn log_event_evaluation(&mut self, _: String) {}
}

impl MetricsRendererEvaluation for Silent {
    fn update_test(&mut self, _: EvaluationName, _: MetricState) {}
}

impl MetricsRenderer for Silent {
    fn manual_close(&mut self) {}
    fn register_metric(&mut self, _: MetricDefinition) {}
}
