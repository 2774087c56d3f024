//! The fourteen jobs in burn-npy, each as short as it is usually written.
//!
//! ```sh
//! docs/compare/make_data.py FOLDER
//! cargo run --example compare FOLDER [JOB...]
//! ```
//!
//! The lines between `// job N` and `// end` are those that the job needs; `count.py` counts them.
//! What follows them checks the result.

use std::error::Error;
use std::fs;

use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{GradientsParams, SgdConfig};
use burn::tensor::{Bool, DType as TensorDType, Device, Int, Tensor, s};
use burn_npy::file::write_npy;
use burn_npy::ndarray::Array2;
use burn_npy::order::Partition;
use burn_npy::transform::RandomCrop;
use burn_npy::{
    Array, Batch, Convert, DataLoaderBuilder, Loader, NpyBatcher, NpyDataset, Sampler, Windows,
};

type Done = Result<(), Box<dyn Error>>;

/// Of each channel of CIFAR-10.
const MEAN: [f64; 3] = [0.4914, 0.4822, 0.4465];
const STD: [f64; 3] = [0.2470, 0.2435, 0.2616];

fn ints<const D: usize>(tensor: &Tensor<D, Int>) -> Vec<i64> {
    tensor.to_data().iter::<i64>().collect()
}

fn floats<const D: usize>(tensor: &Tensor<D>) -> Vec<f32> {
    assert_eq!(tensor.dtype(), TensorDType::F32);
    tensor.to_data().iter::<f32>().collect()
}

fn sorted(mut numbers: Vec<i64>) -> Vec<i64> {
    numbers.sort();
    numbers
}

fn count(numbers: &[i64], classes: usize) -> Vec<usize> {
    let of = |class| numbers.iter().filter(|&&it| it == class as i64).count();
    (0..classes).map(of).collect()
}

/// u8 images divided by 255, with the labels of `make_data.py`.
fn check_images((images, labels): &(Tensor<3>, Tensor<1, Int>), shape: [usize; 3]) {
    assert_eq!(images.dims(), shape);
    let pixels = floats(&images.clone().slice(s![.., 0..1, 0..1]));
    let rows = pixels
        .iter()
        .map(|pixel| (pixel * 255.0).round() as i64 % 10);
    assert!(rows.eq(ints(labels)));
}

/// Files for training and validation.
fn job_1() -> Done {
    // job 1
    let dataset = |part: &str| {
        let files = ["images", "labels"].map(|name| (name, format!("{part}_{name}.npy")));
        NpyDataset::from_files(files)?.convert("images", Convert::to::<f32>().divide(255.0))
    };
    let loader = |data: NpyDataset| data.loader::<(Tensor<3>, Tensor<1, Int>)>().batch_size(64);
    let train = loader(dataset("train")?).shuffle(42).try_build()?;
    let valid = loader(dataset("valid")?).try_build()?;
    // end
    let unshuffled: Vec<i64> = (0..64).map(|row| row % 10).collect();
    for _ in 0..2 {
        let batches: Vec<_> = train.iter().collect::<Result<_, _>>()?;
        assert_eq!(batches.len(), 10);
        check_images(&batches[0], [64, 28, 28]);
        assert_ne!(ints(&batches[0].1), unshuffled);
    }
    let batches: Vec<_> = valid.iter().collect::<Result<_, _>>()?;
    assert_eq!(batches.len(), 2);
    check_images(&batches[1], [36, 28, 28]);
    assert_eq!(ints(&batches[0].1), unshuffled);
    Ok(())
}

/// Two arrays of an archive.
fn job_2() -> Done {
    // job 2
    let npz = NpyDataset::from_npz("mnist.npz", [("images", "x_train"), ("labels", "y_train")])?;
    let dataset = npz.convert("images", Convert::to::<f32>().divide(255.0))?;
    let builder = dataset.loader::<(Tensor<3>, Tensor<1, Int>)>();
    let loader = builder.batch_size(64).shuffle(42).try_build()?;
    // end
    let batches: Vec<_> = loader.iter().collect::<Result<_, _>>()?;
    assert_eq!(batches.len(), 10);
    check_images(&batches[0], [64, 28, 28]);
    Ok(())
}

/// CIFAR: channels first, normalised per channel, labels without their second axis.
fn job_3() -> Done {
    // job 3
    let files = ["images", "labels"].map(|name| (name, format!("cifar_train_{name}.npy")));
    let images = NpyDataset::from_files(files)?.permute("images", &[2, 0, 1])?;
    let scale = Convert::to::<f32>().divide(255.0).normalize(&MEAN, &STD);
    let dataset = images.convert("images", scale)?.reshape("labels", &[])?;
    let builder = dataset.loader::<(Tensor<4>, Tensor<1, Int>)>();
    let loader = builder.batch_size(64).shuffle(42).try_build()?;
    // end
    let (images, labels) = loader.iter().next().unwrap()?;
    assert_eq!((images.dims(), labels.dims()), ([64, 3, 32, 32], [64]));
    let pixels = floats(&images.slice(s![.., .., 16..17, 16..17]));
    for (pixels, label) in pixels.chunks(3).zip(ints(&labels)) {
        let pixel =
            |channel: usize| (pixels[channel] as f64 * STD[channel] + MEAN[channel]) * 255.0;
        let row = pixel(0) / 3.0;
        assert!((pixel(2) - (row * 3.0 + 2.0)).abs() < 1e-3);
        assert_eq!(row.round() as i64 % 10, label);
    }
    Ok(())
}

/// A random crop and flip, in training only.
fn job_4() -> Done {
    // job 4
    let dataset = |part: &str| {
        let files = ["images", "labels"].map(|name| (name, format!("cifar_{part}_{name}.npy")));
        let images = NpyDataset::from_files(files)?.permute("images", &[2, 0, 1])?;
        images.reshape("labels", &[])
    };
    let loader = |data: NpyDataset| data.loader::<(Tensor<4>, Tensor<1, Int>)>().batch_size(64);
    let scale = Convert::to::<f32>().divide(255.0);
    let augment = RandomCrop::new([32, 32]).pad(4).flip(0.5).channels_first();
    let train = dataset("train")?.map("images", augment)?;
    let train = train.convert("images", scale.clone())?;
    let train = loader(train).shuffle(42).try_build()?;
    let valid = loader(dataset("valid")?.convert("images", scale)?).try_build()?;
    // end
    let batches: Vec<_> = train.iter().collect::<Result<_, _>>()?;
    let images = Tensor::cat(batches.into_iter().map(|batch| batch.0).collect(), 0);
    assert_eq!(images.dims(), [600, 3, 32, 32]);
    // The column of 255 is at the left, somewhere at the left or right after a shift, or cut off.
    let line = floats(&images.slice(s![.., 0..1, 16..17, ..]));
    let is_bright = |&column: &usize| line.iter().skip(column).step_by(32).any(|it| *it == 1.0);
    let bright: Vec<_> = (0..32).filter(is_bright).collect();
    assert_eq!(bright, [0, 1, 2, 3, 4, 27, 28, 29, 30, 31]);
    let (images, labels) = valid.iter().next().unwrap()?;
    let left = floats(&images.clone().slice(s![.., .., .., 0..1]));
    assert!(left.iter().all(|it| *it == 1.0));
    let pixels = floats(&images.slice(s![.., 0..1, 16..17, 16..17]));
    let rows = pixels
        .iter()
        .map(|pixel| (pixel * 85.0).round() as i64 % 10);
    assert!(rows.eq(ints(&labels)));
    Ok(())
}

/// A table whose last column is the label.
fn job_5() -> Done {
    // job 5
    let dataset = NpyDataset::open("table.npy")?
        .split_column("table", (("features", 0..9), ("label", 9)))?
        .convert("label", Convert::to::<i64>())?;
    let builder = dataset.loader::<(Tensor<2>, Tensor<1, Int>)>();
    let loader = builder.batch_size(64).shuffle(42).try_build()?;
    // end
    let (features, labels) = loader.iter().next().unwrap()?;
    assert_eq!(features.dims(), [64, 9]);
    let rows = floats(&features.slice(s![.., 0..1])).into_iter();
    assert!(rows.map(|row| row as i64 % 3).eq(ints(&labels)));
    Ok(())
}

/// Windows of 24 steps, and the 6 steps that follow. Nothing is copied until a batch is.
fn job_6() -> Done {
    // job 6
    let dataset = NpyDataset::open("series.npy")?.windows(Windows::new(24).horizon(6))?;
    let builder = dataset.loader::<(Tensor<3>, Tensor<3>)>();
    let loader = builder.batch_size(64).shuffle(42).try_build()?;
    // end
    assert_eq!(loader.num_items(), 971);
    let (past, future) = loader.iter().next().unwrap()?;
    assert_eq!((past.dims(), future.dims()), ([64, 24, 4], [64, 6, 4]));
    let first = past.slice(s![.., 0..1, ..]);
    let later = |steps| floats(&(first.clone() + steps as f32));
    let found = |step: usize| floats(&future.clone().slice(s![.., step..step + 1, ..]));
    for (later, found) in [(later(24), found(0)), (later(29), found(5))] {
        assert!(later.iter().zip(found).all(|(a, b)| (a - b).abs() < 1e-3));
    }
    Ok(())
}

/// Windows of 128 tokens out of a mapped file, and the same moved on by one.
fn job_7() -> Done {
    // job 7
    let windows = Windows::new(128).shifted(1).stride(128);
    let dataset = NpyDataset::open("tokens.npy")?.windows(windows)?;
    let builder = dataset.loader::<(Tensor<2, Int>, Tensor<2, Int>)>();
    let loader = builder.batch_size(8).shuffle(42).try_build()?;
    // end
    assert_eq!(loader.num_items(), 78);
    let (x, y) = loader.iter().next().unwrap()?;
    assert_eq!((x.dims(), y.dims()), ([8, 128], [8, 128]));
    assert_eq!(
        x.dtype(),
        Tensor::<1, Int>::arange(0..1, &x.device()).dtype()
    );
    assert_eq!(ints(&(x.clone() + 1)), ints(&y));
    assert!(
        ints(&x.slice(s![.., 0..1]))
            .iter()
            .all(|token| token % 128 == 0)
    );
    Ok(())
}

/// Texts of several lengths, padded with 0, with a mask.
fn job_8() -> Done {
    // job 8
    #[derive(Batch)]
    struct Texts {
        texts: Tensor<2, Int>,
        #[batch(mask_pad = "texts")]
        mask_pad: Tensor<2, Bool>,
    }
    let [tokens, lengths] = ["tokens", "lengths"].map(|it| Array::open(format!("texts_{it}.npy")));
    let dataset = NpyDataset::from_lengths("texts", tokens?, lengths?)?;
    let builder = dataset.loader::<Texts>();
    let loader = builder.batch_size(16).shuffle(42).try_build()?;
    // end
    let batches: Vec<Texts> = loader.iter().collect::<Result<_, _>>()?;
    assert_eq!(batches.len(), 13);
    let mut tokens = 0;
    for Texts { texts, mask_pad } in batches {
        assert_eq!(texts.dims(), mask_pad.dims());
        let mask_pad: Vec<bool> = mask_pad.to_data().iter::<bool>().collect();
        let texts = ints(&texts);
        let is_padding = texts.iter().map(|token| *token == 0);
        assert!(is_padding.eq(mask_pad.iter().copied()));
        tokens += mask_pad.iter().filter(|it| !**it).count() as u64;
    }
    assert_eq!(tokens, dataset.lengths("texts")?.iter().sum::<u64>());
    Ok(())
}

/// A hundred shards as one dataset. The files are mapped.
fn job_9() -> Done {
    // job 9
    let files = ["images", "labels"].map(|name| (name, format!("shards/{name}-*.npy")));
    let dataset = NpyDataset::from_globs(files)?;
    let batcher = NpyBatcher::<(Tensor<3, Int>, Tensor<1, Int>)>::new().keep_dtypes();
    let builder = DataLoaderBuilder::new(batcher).batch_size(64).shuffle(42);
    let loader = builder.try_build(dataset)?;
    // end
    let batches: Vec<_> = loader.iter().collect::<Result<_, _>>()?;
    let (images, labels): (Vec<_>, Vec<_>) = batches.into_iter().unzip();
    let (images, labels) = (Tensor::cat(images, 0), Tensor::cat(labels, 0));
    assert_eq!(
        (images.dims(), images.dtype()),
        ([2000, 28, 28], TensorDType::U8)
    );
    let labels = ints(&labels);
    assert_eq!(sorted(labels.clone()), (0..2000).collect::<Vec<_>>());
    let pixels = ints(&images.slice(s![.., 5..6, 5..6]));
    assert!(labels.iter().map(|label| label % 250).eq(pixels));
    Ok(())
}

/// Rare classes: each class is drawn as often as the other.
fn job_10() -> Done {
    // job 10
    let files = ["features", "labels"].map(|name| (name, format!("rare_{name}.npy")));
    let dataset = NpyDataset::from_files(files)?;
    let sampler = Sampler::balanced(dataset.read::<i64>("labels")?, 42)?;
    let builder = dataset.loader::<(Tensor<2>, Tensor<1, Int>)>();
    let loader = builder.batch_size(64).sampler(sampler).try_build()?;
    // end
    let batches: Vec<_> = loader.iter().collect::<Result<_, _>>()?;
    let (features, labels): (Vec<_>, Vec<_>) = batches.into_iter().unzip();
    let (features, labels) = (Tensor::cat(features, 0), ints(&Tensor::cat(labels, 0)));
    assert_eq!((features.dims(), labels.len()), ([1000, 8], 1000));
    let rows = floats(&features.slice(s![.., 0..1])).into_iter();
    assert!(
        rows.map(|row| i64::from(row as i64 % 20 == 0))
            .eq(labels.iter().copied())
    );
    assert!((400..600).contains(&labels.iter().sum::<i64>()));
    Ok(())
}

/// A loop that is killed continues with the next batch, as if nothing had happened.
fn job_11() -> Done {
    // job 11
    let open_loader = || {
        let builder = NpyDataset::open("table.npy")?.loader::<Tensor<2>>();
        builder.batch_size(64).shuffle(42).try_build()
    };
    // end
    let loader = open_loader()?;
    let mut batches = loader.iter();
    let taken: Vec<_> = batches.by_ref().take(5).collect::<Result<_, _>>()?;
    // job 11
    fs::write("resume.json", serde_json::to_string(&loader.state())?)?;
    // end
    let expected: Vec<_> = batches.chain(loader.iter()).collect::<Result<_, _>>()?;
    // job 11
    let loader = open_loader()?;
    loader.resume(&serde_json::from_str(&fs::read_to_string("resume.json")?)?)?;
    // end
    let rest: Vec<_> = loader
        .iter()
        .chain(loader.iter())
        .collect::<Result<_, _>>()?;
    assert_eq!((rest.len(), expected.len()), (11 + 16, 11 + 16));
    assert!(
        rest.iter()
            .zip(&expected)
            .all(|(a, b)| floats(a) == floats(b))
    );
    let first = |batch: &Tensor<2>| floats(&batch.clone().slice(s![.., 0..1]));
    let rows = taken.iter().chain(&rest[..11]).flat_map(first);
    assert_eq!(
        sorted(rows.map(|row| row as i64).collect()),
        (0..1000).collect::<Vec<_>>()
    );
    assert_ne!(floats(&taken[0]), floats(&rest[11]));
    Ok(())
}

/// The rows of one file whose label is below 5, with all rows of another behind them.
fn job_12() -> Done {
    // job 12
    let dataset = |part: &str| {
        let files = ["images", "labels"].map(|name| (name, format!("{part}_{name}.npy")));
        NpyDataset::from_files(files)?.convert("images", Convert::to::<f32>().divide(255.0))
    };
    let kept = dataset("train")?.filter("labels", |label: &[u8]| label[0] < 5)?;
    let both = NpyDataset::concat([kept, dataset("valid")?])?;
    let builder = both.loader::<(Tensor<3>, Tensor<1, Int>)>();
    let loader = builder.batch_size(64).shuffle(42).try_build()?;
    // end
    let batches: Vec<_> = loader.iter().collect::<Result<_, _>>()?;
    check_images(&batches[0], [64, 28, 28]);
    let labels: Vec<i64> = batches.iter().flat_map(|batch| ints(&batch.1)).collect();
    assert_eq!(count(&labels, 10), [70, 70, 70, 70, 70, 10, 10, 10, 10, 10]);
    Ok(())
}

/// A linear model of three classes after ten epochs.
fn fit(train: &Loader<(Tensor<2>, Tensor<1, Int>)>) -> Result<Linear, Box<dyn Error>> {
    let device = Device::default().autodiff();
    device.seed(42);
    let mut model = LinearConfig::new(4, 3).init(&device);
    let mut optimizer = SgdConfig::new().init();
    let criterion = CrossEntropyLossConfig::new().init(&device);
    for _ in 0..10 {
        for batch in train.iter() {
            let (features, labels) = batch?;
            let loss = criterion.forward(model.forward(features), labels);
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            model = optimizer.step(0.1, model, gradients);
        }
    }
    Ok(model)
}

fn accuracy(
    model: &Linear,
    valid: &Loader<(Tensor<2>, Tensor<1, Int>)>,
) -> Result<f64, Box<dyn Error>> {
    let model = model.valid();
    let mut right = 0;
    for batch in valid.iter() {
        let (features, labels) = batch?;
        let classes = model.forward(features).argmax(1).squeeze_dim::<1>(1);
        right += classes.equal(labels).int().sum().try_into_scalar::<i64>()?;
    }
    Ok(right as f64 / valid.num_items() as f64)
}

/// Five folds with as many of each class, and a model for each.
fn job_13() -> Done {
    // job 13
    let files = ["features", "labels"].map(|name| (name, format!("folds_{name}.npy")));
    let dataset = NpyDataset::from_files(files)?;
    let folds = Partition::stratified_k_fold(dataset.read::<i64>("labels")?, 5, 42)?;
    let loader = |data: NpyDataset| data.loader::<(Tensor<2>, Tensor<1, Int>)>().batch_size(32);
    let mut scores = Vec::new();
    for (train, valid) in dataset.folds(&folds)? {
        let train = loader(train).shuffle(42).try_build()?;
        let valid = loader(valid).try_build()?;
        let model = fit(&train)?;
        scores.push(accuracy(&model, &valid)?);
        // end
        assert_eq!((train.num_items(), valid.num_items()), (240, 60));
        let batches: Vec<_> = valid.iter().collect::<Result<_, _>>()?;
        let labels: Vec<i64> = batches.iter().flat_map(|batch| ints(&batch.1)).collect();
        assert_eq!(count(&labels, 3), [20, 20, 20]);
        // job 13
    }
    // end
    assert_eq!(scores.len(), 5);
    assert!(scores.iter().all(|score| *score > 0.9), "{scores:?}");
    Ok(())
}

/// Predictions in the order of the rows, written as a .npy file.
fn job_14() -> Done {
    let linear = LinearConfig::new(28 * 28, 10).init(&Device::default());
    let model = |images: Tensor<3>| linear.forward(images.flatten::<2>(1, 2));
    // job 14
    let dataset = NpyDataset::open("valid_images.npy")?
        .convert("valid_images", Convert::to::<f32>().divide(255.0))?;
    let loader = dataset.loader::<Tensor<3>>().batch_size(64).try_build()?;
    let predictions = loader.iter().map(|batch| batch.map(model));
    let predictions = Tensor::cat(predictions.collect::<Result<_, _>>()?, 0);
    let rows = Array2::from_shape_vec(predictions.dims(), predictions.try_to_vec_as::<f32>()?)?;
    write_npy("predictions.npy", &rows)?;
    // end
    let written = Array::open("predictions.npy")?.read::<f32>()?;
    assert_eq!(written.shape(), [100, 10]);
    let row = floats(&model(Tensor::full(
        [1, 28, 28],
        77.0 / 255.0,
        &Device::default(),
    )));
    let is_row = |row_of_file: usize| {
        let numbers = row.iter().enumerate();
        numbers.fold(true, |all, (i, x)| {
            all && (written[[row_of_file, i]] - x).abs() < 1e-5
        })
    };
    assert!(is_row(77) && !is_row(76));
    Ok(())
}

fn main() -> Done {
    let jobs: [fn() -> Done; 14] = [
        job_1, job_2, job_3, job_4, job_5, job_6, job_7, job_8, job_9, job_10, job_11, job_12,
        job_13, job_14,
    ];
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    std::env::set_current_dir(&arguments[0])?;
    for (number, job) in (1..).zip(jobs) {
        if arguments.len() == 1 || arguments[1..].contains(&number.to_string()) {
            job()?;
            println!("job {number}: ok");
        }
    }
    Ok(())
}
