//! Trains a small convolutional network on MNIST, from NumPy files to a test accuracy.
//!
//! `cargo run --profile demo --example mnist` needs no arguments and no download. It prints, in
//! part:
//!
//! ```text
//! 10000 training and 2000 test images from examples/mnist/data/mnist.npz
//! epoch 3/3 valid: 2000 images in 0.3 s; Accuracy: epoch 97.90 % - batch 100.00 %; ...
//! predicted 7, label 7
//! test accuracy: 0.9790
//! ```

mod data;
mod display;
mod model;
mod training;

use std::error::Error;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use burn::module::Module;
use burn::tensor::Device;
use burn_npy::{AUTOTUNE, NpyDataset};

use data::Digits;
use model::Cnn;

const USAGE: &str = "\
usage: mnist [--data DIR|FILE.npz] [--train-images N] [--epochs N] [--batch-size N]
             [--workers N] [--seed N]";

/// 10,000 training and 2,000 test images; see the notes beside it.
const BUNDLED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/mnist/data/mnist.npz");

struct Args {
    data: PathBuf,
    /// The number of training images that are used.
    train_images: usize,
    epochs: usize,
    batch_size: usize,
    workers: usize,
    seed: u64,
}

impl Args {
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut parsed = Self {
            data: PathBuf::from(BUNDLED),
            train_images: usize::MAX,
            epochs: 3,
            batch_size: 64,
            workers: AUTOTUNE,
            seed: 42,
        };
        while let Some(flag) = args.next() {
            let value = args.next().ok_or_else(|| format!("{flag}: no value"))?;
            match flag.as_str() {
                "--data" => parsed.data = value.into(),
                "--train-images" => parsed.train_images = number(&flag, &value)?,
                "--epochs" => parsed.epochs = number(&flag, &value)?,
                "--batch-size" => parsed.batch_size = number(&flag, &value)?,
                "--workers" => parsed.workers = number(&flag, &value)?,
                "--seed" => parsed.seed = number(&flag, &value)?,
                _ => return Err(format!("{flag}: unknown argument")),
            }
        }
        if [parsed.epochs, parsed.batch_size, parsed.train_images].contains(&0) {
            return Err("--epochs, --batch-size and --train-images take at least 1".into());
        }
        Ok(parsed)
    }
}

fn number<T: std::str::FromStr>(flag: &str, value: &str) -> Result<T, String> {
    value
        .parse()
        .map_err(|_| format!("{flag}: {value:?} is not a number in range"))
}

fn main() -> ExitCode {
    let args = match Args::parse(std::env::args().skip(1)) {
        Ok(args) => args,
        Err(error) => {
            eprintln!("{error}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        // The reader of a pipe has closed it, as `head` does.
        Err(error) if is_closed_pipe(&*error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn is_closed_pipe(error: &(dyn Error + 'static)) -> bool {
    let error = error.downcast_ref::<std::io::Error>();
    error.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let mut out = std::io::stdout();
    let device = device();
    writeln!(out, "device: {}", describe(&device))?;
    device.seed(args.seed);

    let train = data::open(&args.data, "train")?.take(args.train_images);
    let test = data::open(&args.data, "test")?;
    writeln!(
        out,
        "{} training and {} test images from {}",
        train.len(),
        test.len(),
        args.data.display()
    )?;
    let loader = |dataset: NpyDataset| {
        dataset
            .loader::<Digits>()
            .batch_size(args.batch_size)
            .num_workers(args.workers)
            .set_device(device.clone())
    };
    let train = loader(train).shuffle(args.seed).try_build()?;
    let test = loader(test).try_build()?;

    // A folder for each run: Burn reads its logs back at the end, so two runs must not share them.
    let folder = format!("target/mnist/{}", std::process::id());
    let artifacts = fresh_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder))?;
    let start = std::time::Instant::now();
    let model = training::train(train, test.clone(), args.epochs, &artifacts, &device)?;
    writeln!(out, "trained in {:.1} s", start.elapsed().as_secs_f64())?;

    let file = artifacts.join("model");
    model.save_file(&file)?;
    let model = Cnn::new(&device).try_load_file(&file)?;
    writeln!(out, "saved and loaded again: {}", file.display())?;

    if let Some(batch) = test.iter().next() {
        let batch = batch?;
        let shown = batch.labels.dims()[0].min(8);
        let predicted = training::predict(&model, batch.images.narrow(0, 0, shown))?;
        let labels = batch.labels.narrow(0, 0, shown).try_into_data()?;
        for (digit, label) in predicted.iter().zip(labels.iter::<i64>()) {
            writeln!(out, "predicted {digit}, label {label}")?;
        }
    }
    let accuracy = training::accuracy(&model, &test)?;
    writeln!(out, "test accuracy: {accuracy:.4}")?;
    Ok(())
}

/// The device of the backend whose cargo feature is on.
fn device() -> Device {
    // Burn's training crate brings Flex along, which Burn prefers to NdArray.
    #[cfg(all(feature = "ndarray", not(any(feature = "flex", feature = "wgpu"))))]
    #[allow(deprecated, reason = "upstream prefers Flex; both are supported here")]
    return Device::ndarray();
    // A GPU, if its feature is on, else Flex.
    #[cfg(not(all(feature = "ndarray", not(any(feature = "flex", feature = "wgpu")))))]
    Device::default()
}

/// The backend and, where it can tell, the hardware behind it.
fn describe(device: &Device) -> String {
    #[cfg(feature = "wgpu")]
    if let Some(identity) = device.identity() {
        return format!("{device:?}, {}", identity.name);
    }
    format!("{device:?}")
}

/// An empty directory at `path`; an earlier run with the same number may have left one there.
fn fresh_dir(path: PathBuf) -> Result<PathBuf, Box<dyn Error>> {
    let recreate = || {
        if path.exists() {
            std::fs::remove_dir_all(&path)?;
        }
        std::fs::create_dir_all(&path)
    };
    recreate().map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(path)
}
