//! Trains on `images.npy`, (n, 28, 28) uint8, and `labels.npy`, (n,) uint8, with Burn's Learner.

use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{Linear, LinearConfig};
use burn::optim::AdamConfig;
use burn::tensor::{Device, Int, Tensor};
use burn::train::metric::{AccuracyMetric, LossMetric};
use burn::train::{ClassificationOutput, InferenceStep, Learner, SupervisedTraining};
use burn::train::{TrainOutput, TrainStep};
use burn_npy::{Batch, Convert, NpyDataset};

#[derive(Batch, Debug)]
struct Digits {
    images: Tensor<3>,
    labels: Tensor<1, Int>,
}

#[derive(Module, Debug)]
struct Model {
    linear: Linear,
}

impl InferenceStep for Model {
    type Input = Digits;
    type Output = ClassificationOutput;

    fn step(&self, Digits { images, labels }: Digits) -> ClassificationOutput {
        let scores = self.linear.forward(images.flatten(1, 2));
        let loss = CrossEntropyLossConfig::new().init(&scores.device());
        ClassificationOutput::new(loss.forward(scores.clone(), labels.clone()), scores, labels)
    }
}

impl TrainStep for Model {
    type Input = Digits;
    type Output = ClassificationOutput;

    fn step(&self, batch: Digits) -> TrainOutput<ClassificationOutput> {
        let output = InferenceStep::step(self, batch);
        TrainOutput::new(self, output.loss.backward(), output)
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let data = NpyDataset::from_files([("images", "images.npy"), ("labels", "labels.npy")])?
        .convert("images", Convert::to::<f32>().divide(255.0))?;
    let (train, valid) = data.split(0.9, 42)?;
    let train = train.loader::<Digits>().batch_size(64).shuffle(42).build();
    let valid = valid.loader::<Digits>().batch_size(64).build();

    let linear = LinearConfig::new(28 * 28, 10).init(&Device::default().autodiff());
    let training = SupervisedTraining::new("run", train, valid).num_epochs(3);
    let training = training.metrics((AccuracyMetric::new(), LossMetric::new()));
    let learner = Learner::new(Model { linear }, AdamConfig::new().init(), 2e-3);
    let result = training.summary().launch(learner);
    // A loader that fails ends the training early.
    result.error.map_or(Ok(()), |error| Err(error.into()))
}
