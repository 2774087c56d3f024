//! A small convolutional network: two conv blocks and two linear layers.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Dropout, DropoutConfig, Linear, LinearConfig, Relu};
use burn::tensor::{Device, Tensor};
use burn::train::{ClassificationOutput, InferenceStep, TrainOutput, TrainStep};

use crate::data::{Digits, SIDE};

const CLASSES: usize = 10;
const KERNEL: usize = 5;
const CHANNELS: [usize; 2] = [16, 32];
const HIDDEN: usize = 128;

/// Mean and standard deviation of the grey levels of the MNIST training set.
const MEAN: f32 = 0.1307;
const STD: f32 = 0.3081;

#[derive(Module, Debug)]
pub(crate) struct Cnn {
    block1: ConvBlock,
    block2: ConvBlock,
    hidden: Linear,
    dropout: Dropout,
    activation: Relu,
    output: Linear,
}

impl Cnn {
    pub(crate) fn new(device: &Device) -> Self {
        let [first, second] = CHANNELS;
        let side = ConvBlock::output_side(ConvBlock::output_side(SIDE));
        Self {
            block1: ConvBlock::new(1, first, device),
            block2: ConvBlock::new(first, second, device),
            hidden: LinearConfig::new(second * side * side, HIDDEN).init(device),
            dropout: DropoutConfig::new(0.3).init(),
            activation: Relu::new(),
            output: LinearConfig::new(HIDDEN, CLASSES).init(device),
        }
    }

    /// Class scores, `[batch, 10]`, of images `[batch, 28, 28]` with grey levels in `[0, 1]`.
    pub(crate) fn forward(&self, images: Tensor<3>) -> Tensor<2> {
        let x = images.sub_scalar(MEAN).div_scalar(STD).unsqueeze_dim(1);
        let x = self.block2.forward(self.block1.forward(x));
        let x = self.hidden.forward(x.flatten(1, 3));
        let x = self.dropout.forward(self.activation.forward(x));
        self.output.forward(x)
    }

    fn classify(&self, batch: Digits) -> ClassificationOutput {
        let output = self.forward(batch.images);
        let loss = CrossEntropyLossConfig::new()
            .init(&output.device())
            .forward(output.clone(), batch.labels.clone());
        ClassificationOutput::new(loss, output, batch.labels)
    }
}

impl TrainStep for Cnn {
    type Input = Digits;
    type Output = ClassificationOutput;

    fn step(&self, batch: Digits) -> TrainOutput<ClassificationOutput> {
        let output = self.classify(batch);
        TrainOutput::new(self, output.loss.backward(), output)
    }
}

impl InferenceStep for Cnn {
    type Input = Digits;
    type Output = ClassificationOutput;

    fn step(&self, batch: Digits) -> ClassificationOutput {
        self.classify(batch)
    }
}

/// Convolution without padding, pooling to half the side, normalisation, ReLU.
#[derive(Module, Debug)]
struct ConvBlock {
    conv: Conv2d,
    pool: MaxPool2d,
    norm: BatchNorm,
    activation: Relu,
}

impl ConvBlock {
    fn new(inputs: usize, outputs: usize, device: &Device) -> Self {
        Self {
            // The normalisation that follows has a bias of its own.
            conv: Conv2dConfig::new([inputs, outputs], [KERNEL; 2])
                .with_bias(false)
                .init(device),
            pool: MaxPool2dConfig::new([2, 2]).with_strides([2, 2]).init(),
            norm: BatchNormConfig::new(outputs).init(device),
            activation: Relu::new(),
        }
    }

    const fn output_side(side: usize) -> usize {
        (side - (KERNEL - 1)) / 2
    }

    /// Pools first: normalising and clamping a quarter of the values is a quarter of the work.
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let x = self.pool.forward(self.conv.forward(x));
        self.activation.forward(self.norm.forward(x))
    }
}
