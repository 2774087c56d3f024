//! Sentences of any length: who speaks in "Pride and Prejudice", a person or the author?
//!
//! `cargo run --profile demo --example text` prints (the last digits depend on the processor):
//!
//! ```text
//! NpyDataset { rows: 760, tokens: uint16 [*], labels: uint8 [] }
//! shuffled: 63 % of the batches is padding
//! bucketed: 6 % of the batches is padding
//! test accuracy: 0.783, and 0.651 if it is always a person
//! ```

use burn::nn::{Embedding, EmbeddingConfig, Initializer, loss::CrossEntropyLossConfig};
use burn::optim::{AdamWConfig, GradientsParams};
use burn::prelude::*;
use burn_npy::{Batch, NpyDataset, Sampler};

#[derive(Batch)]
struct Sentences {
    tokens: Tensor<2, Int>, // [batch, longest]
    #[batch(mask_pad = "tokens")]
    mask_pad: Tensor<2, Bool>, // [batch, longest], true where there is no token
    labels: Tensor<1, Int>, // [batch]
}

/// The words of each sentence of more than two, as numbers, and whether it is between quotes.
fn open() -> burn_npy::Result<NpyDataset> {
    let (mut tokens, mut lengths, mut labels) = (Vec::new(), Vec::new(), Vec::new());
    let mut known = std::collections::HashMap::new();
    for (part, text) in include_str!("chars/pride.txt").split('"').enumerate() {
        for sentence in text.split(['.', '!', '?', ';']) {
            let words = sentence.split(|c: char| !c.is_alphabetic());
            let words = Vec::from_iter(words.filter(|word| !word.is_empty()));
            if words.len() > 2 {
                lengths.push(words.len() as i64);
                labels.push((part % 2) as u8);
                for word in words {
                    let new = known.len() as u16;
                    tokens.push(*known.entry(word.to_lowercase()).or_insert(new));
                }
            }
        }
    }
    let labels = NpyDataset::from_tensor_slices((("labels", labels),))?;
    NpyDataset::from_lengths("tokens", tokens, lengths)?.zip(&labels)
}

/// Class scores, `[batch, 2]`: the sum over the words, of which padding is none.
fn scores(model: &Embedding, batch: &Sentences) -> Tensor<2> {
    let words = model.forward(batch.tokens.clone()); // [batch, longest, 2]
    let padding = batch.mask_pad.clone().unsqueeze_dim(2);
    words.mask_fill(padding, 0.0).sum_dim(1).squeeze_dim(1)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let data = open()?;
    println!("{data:?}");
    let (train, test) = data.split(0.8, 42)?;
    let device = Device::default().autodiff();
    let loader = |data: &NpyDataset| data.loader::<Sentences>().set_device(device.clone());
    let shuffled = loader(&train).batch_size(16).shuffle(42).try_build()?;
    let tokens: u64 = train.lengths("tokens")?.iter().sum();
    let buckets = Sampler::bucketed(train.lengths("tokens")?, 16, 42)?;
    let bucketed = loader(&train).batch_size(16).sampler(buckets).try_build()?;
    for (name, loader) in [("shuffled", &shuffled), ("bucketed", &bucketed)] {
        let mut places = 0;
        for batch in loader.epoch(0) {
            places += batch?.tokens.shape().num_elements();
        }
        let padding = 100.0 - 100.0 * tokens as f64 / places as f64;
        println!("{name}: {padding:.0} % of the batches is padding");
    }
    let model = EmbeddingConfig::new(1 << 16, 2).with_initializer(Initializer::Zeros);
    let (mut model, mut optimizer) = (model.init(&device), AdamWConfig::new().init());
    let criterion = CrossEntropyLossConfig::new().init(&device);
    for batch in (0..5).flat_map(|_| bucketed.iter()) {
        let batch = batch?;
        let loss = criterion.forward(scores(&model, &batch), batch.labels);
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(1e-2, model, gradients);
    }
    // All test rows are one batch.
    let test = loader(&test).batch_size(test.len()).try_build()?;
    let batch = test.iter().next().ok_or("no rows")??;
    let found = scores(&model, &batch).argmax(1).squeeze_dim(1);
    let share = |of: Tensor<1>| of.mean().into_scalar::<f64>();
    let always = share(batch.labels.clone().float());
    let accuracy = share(found.equal(batch.labels).float());
    println!("test accuracy: {accuracy:.3}, and {always:.3} if it is always a person");
    Ok(())
}
