//! A training learns from objects exactly what it learns from files.

use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{Linear, LinearConfig, Relu};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use burn_npy::file::{Npz, NpzWriter, OpenOptions};
use burn_npy::ndarray::{Array1, Array3, Axis};
use burn_npy::{Batch, Convert, NpyDataset};

use crate::MNIST;
use crate::server::Bucket;

const ROWS: usize = 600;
const EPOCHS: usize = 2;

#[derive(Batch)]
struct Digits {
    /// `[batch, 28, 28]`
    images: Tensor<3>,
    /// `[batch]`
    labels: Tensor<1, Int>,
}

#[derive(Module, Debug)]
struct Model {
    hidden: Linear,
    output: Linear,
}

impl Model {
    /// Class scores, `[batch, 10]`.
    fn forward(&self, images: Tensor<3>) -> Tensor<2> {
        let hidden = self.hidden.forward(images.flatten(1, 2));
        self.output.forward(Relu::new().forward(hidden))
    }
}

/// The loss of each batch, from the same start.
fn losses(data: NpyDataset) -> Vec<f32> {
    let device = Device::flex().autodiff();
    device.seed(42);
    let loader = data
        .convert("images", Convert::to::<f32>().divide(255.0))
        .unwrap()
        .loader::<Digits>()
        .batch_size(50)
        .shuffle(42)
        .num_workers(2)
        .set_device(device.clone())
        .try_build()
        .unwrap();
    let mut model = Model {
        hidden: LinearConfig::new(28 * 28, 32).init(&device),
        output: LinearConfig::new(32, 10).init(&device),
    };
    let mut optimizer = AdamConfig::new().init();
    let criterion = CrossEntropyLossConfig::new().init(&device);
    let mut losses = Vec::new();
    for _ in 0..EPOCHS {
        for batch in loader.iter() {
            let Digits { images, labels } = batch.unwrap();
            let loss = criterion.forward(model.forward(images), labels);
            losses.push(loss.clone().try_into_scalar::<f32>().unwrap());
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            model = optimizer.step(3e-3, model, gradients);
        }
    }
    losses
}

/// The images and labels of the archive of the examples, of which each member is deflated.
fn deflated(path: &str, options: OpenOptions) -> NpyDataset {
    let columns = [("images", "train_images"), ("labels", "train_labels")];
    let npz = Npz::open_with(path, options).unwrap();
    NpyDataset::from_npz(&npz, columns).unwrap().take(ROWS)
}

/// As `numpy.savez` writes them, so that rows are fetched when a batch needs them.
fn stored() -> Vec<u8> {
    let npz = Npz::open(MNIST).unwrap();
    let read = |name| npz.array(name).unwrap().read::<u8>().unwrap();
    let rows = |name| read(name).slice_axis(Axis(0), (0..ROWS).into()).to_owned();
    let images: Array3<u8> = rows("train_images").into_dimensionality().unwrap();
    let labels: Array1<u8> = rows("train_labels").into_dimensionality().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mnist.npz");
    let mut npz = NpzWriter::create(&path).unwrap();
    npz.add("images", &images).unwrap();
    npz.add("labels", &labels).unwrap();
    npz.finish().unwrap();
    std::fs::read(path).unwrap()
}

/// A local file, an object, and an object of which all is in the cache.
#[test]
fn the_losses_are_those_of_files() {
    let bucket = Bucket::new();
    let local = losses(deflated(MNIST, OpenOptions::new()));
    assert_eq!(local.len(), EPOCHS * ROWS / 50);
    // It learns.
    let mean = |losses: &[f32]| losses.iter().sum::<f32>() / losses.len() as f32;
    assert!(
        mean(&local[local.len() - 5..]) < 0.7 * mean(&local[..5]),
        "{local:?}"
    );

    // Members that are fetched whole, and rows that are fetched for each batch.
    let whole = bucket.put("mnist.npz", std::fs::read(MNIST).unwrap());
    let file = stored();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("stored.npz");
    std::fs::write(&path, &file).unwrap();
    assert_eq!(losses(NpyDataset::open(&path).unwrap()), local);
    let by_batch = bucket.put("stored.npz", file);

    for url in [whole, by_batch] {
        let cache = dir.path().join("cache");
        let run = |options: OpenOptions| {
            let before = bucket.requests();
            let losses = losses(if url.ends_with("mnist.npz") {
                deflated(&url, options)
            } else {
                NpyDataset::open_with(&url, options).unwrap()
            });
            (losses, bucket.requests() - before)
        };
        let cached = || {
            let remote = bucket.cloud().remote_options().cache(&cache, 1 << 30);
            OpenOptions::new().remote(remote)
        };
        let (plain, plain_requests) = run(bucket.cloud().open_options());
        let (cold, cold_requests) = run(cached());
        let (warm, warm_requests) = run(cached());
        assert_eq!(plain, local, "{url}");
        assert_eq!(cold, local, "{url}");
        assert_eq!(warm, local, "{url}");
        // It only asks whether the object is the same.
        assert_eq!(warm_requests, 1, "{url}");
        println!("{url}: {plain_requests}, {cold_requests} and {warm_requests} requests");
        println!("batch  local   plain   cold    warm");
        for batch in 0..local.len() {
            let losses = [local[batch], plain[batch], cold[batch], warm[batch]];
            println!("{batch:5} {losses:.5?}");
        }
    }
}
