//! A model of characters: tokens in a raw file, windows of them, and the character after each.
//!
//! `cargo run --profile demo --example chars` prints, after up to a minute (the text depends on the
//! processor, and is in one line):
//!
//! ```text
//! NpyDataset { rows: 3359, tokens: uint16 [32], tokens_next: uint16 [32] }
//! epoch 1: mean loss 2.43
//! epoch 2: mean loss 1.85
//! epoch 3: mean loss 1.65
//! epoch 4: mean loss 1.53
//! epoch 5: mean loss 1.45
//! epoch 6: mean loss 1.39
//! "My dear Mr. Bennet, she had reply in given of his articularly acquainted in in the room in
//! succeeded are takes and is a reply to be a good, and replied his sisters. I am sure of a
//! redeared he are with a good
//! ```

use burn::nn::gru::{Gru, GruConfig};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{Embedding, EmbeddingConfig, Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::activation::softmax;
use burn_npy::file::RawFormat;
use burn_npy::{Array, DType, NpyDataset, Windows};

/// The first chapters of "Pride and Prejudice"; see the notes beside it.
const TEXT: &str = include_str!("pride.txt");
/// The number of characters of a window that the model reads.
const LENGTH: usize = 32;
const HIDDEN: usize = 128;

#[derive(Module, Debug)]
struct Model {
    embedding: Embedding,
    gru: Gru,
    output: Linear,
}

impl Model {
    /// Scores of the next token, `[batch, length, tokens]`, after each of `[batch, length]`, and
    /// the state at the end.
    fn forward(&self, tokens: Tensor<2, Int>, state: Option<Tensor<2>>) -> (Tensor<3>, Tensor<2>) {
        let [_, length] = tokens.dims();
        let states = self.gru.forward(self.embedding.forward(tokens), state);
        let last = states.clone().narrow(1, length - 1, 1).squeeze_dim(1);
        (self.output.forward(states), last)
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut vocabulary: Vec<char> = TEXT.chars().collect();
    vocabulary.sort_unstable();
    vocabulary.dedup();
    let token = |c: char| vocabulary.partition_point(|known| *known < c) as u16;

    let folder = tempfile::tempdir()?;
    let file = folder.path().join("train.bin");
    // As `np.array(tokens, np.uint16).tofile("train.bin")` does: numbers without a header.
    let bytes = TEXT.chars().flat_map(|c| token(c).to_le_bytes());
    std::fs::write(&file, bytes.collect::<Vec<u8>>())?;

    let device = Device::default().autodiff();
    device.seed(42);
    let tokens = Array::open_raw(&file, RawFormat::new(DType::U16))?;
    let dataset = NpyDataset::from_arrays([("tokens", tokens)])?;
    let dataset = dataset.windows(Windows::new(LENGTH).shifted(1).stride(16))?;
    println!("{dataset:?}");
    let loader = dataset
        .loader::<(Tensor<2, Int>, Tensor<2, Int>)>()
        .batch_size(32)
        .shuffle(42)
        .set_device(device.clone())
        .try_build()?;

    let count = vocabulary.len();
    let mut model = Model {
        embedding: EmbeddingConfig::new(count, 32).init(&device),
        gru: GruConfig::new(32, HIDDEN, true).init(&device),
        output: LinearConfig::new(HIDDEN, count).init(&device),
    };
    let mut optimizer = AdamConfig::new().init();
    let criterion = CrossEntropyLossConfig::new().init(&device);
    for epoch in 1..=6 {
        let mut sum = 0.0;
        for batch in loader.iter() {
            let (read, next) = batch?;
            let (scores, _) = model.forward(read, None);
            let loss = criterion.forward(scores.flatten(0, 1), next.flatten(0, 1));
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            model = optimizer.step(5e-3, model, gradients);
            sum += loss.try_into_scalar::<f64>()?;
        }
        println!("epoch {epoch}: mean loss {:.2}", sum / loader.len() as f64);
    }

    // It goes on from a beginning, one character at a time.
    let model = model.valid();
    let mut text = String::from("\"My dear ");
    let mut read = Vec::from_iter(text.chars().map(|c| i64::from(token(c))));
    let mut state = None;
    for _ in 0..200 {
        let tokens = Tensor::<1, Int>::from_ints(&read[..], &device.clone().inner()).unsqueeze();
        let (scores, last) = model.forward(tokens, state);
        // Sharper than what the model thinks: it leaves unlikely characters out.
        let scores = scores.narrow(1, read.len() - 1, 1) / 0.5;
        let next = softmax(scores, 2).categorical(1).try_into_scalar::<i64>()?;
        text.push(vocabulary[next as usize]);
        (read, state) = (vec![next], Some(last));
    }
    println!("{text}");
    Ok(())
}
