//! A project that has a loader of Burn is moved over by one `use` line.
//!
//! `project.rs` is compiled twice, once with each `DataLoaderBuilder`. Both loaders give each item
//! once in an epoch. That of burn-npy gives them in the same order for any number of workers, so
//! the trained models are the same too.
//!
//! `cargo run --profile demo --example from_burn` prints:
//!
//! ```text
//! Burn, workers 1: y = 3.00 x + 1.00, all once: true
//! Burn, workers 2: y = 3.00 x + 1.00, all once: true
//! Burn, workers 4: y = 3.00 x + 1.00, all once: true
//! Burn: the same order for any number of workers: false
//! burn-npy, workers 1: y = 3.00 x + 1.00, all once: true
//! burn-npy, workers 2: y = 3.00 x + 1.00, all once: true
//! burn-npy, workers 4: y = 3.00 x + 1.00, all once: true
//! burn-npy: the same order for any number of workers: true
//! ```

use std::error::Error;

use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::InMemDataset;
use burn::nn::LinearConfig;
use burn::nn::loss::{MseLoss, Reduction};
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{Device, Tensor, TensorData};

mod before {
    use super::*;
    use burn::data::dataloader::DataLoaderBuilder;

    include!("project.rs");
}

mod after {
    use super::*;
    use burn_npy::DataLoaderBuilder;

    include!("project.rs");
}

type Train = fn(usize) -> Result<(f32, f32, Vec<i64>), Box<dyn Error>>;

fn main() -> Result<(), Box<dyn Error>> {
    for (name, train) in [("Burn", before::train as Train), ("burn-npy", after::train)] {
        let mut orders = Vec::new();
        for workers in [1, 2, 4] {
            let (slope, height, ids) = train(workers)?;
            let once = is_each_once(&ids);
            println!("{name}, workers {workers}: y = {slope:.2} x + {height:.2}, all once: {once}");
            orders.push(ids);
        }
        let same = orders.iter().all(|order| *order == orders[0]);
        println!("{name}: the same order for any number of workers: {same}");
    }
    Ok(())
}

fn is_each_once(ids: &[i64]) -> bool {
    let mut sorted = ids.to_vec();
    sorted.sort_unstable();
    sorted.into_iter().eq(0..1000)
}
