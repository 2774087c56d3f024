//! What the verbs of datasets make of small files, for `twins.py`, which compares it with what
//! tf.data, Grain, PyTorch and others make of them. That script makes the files and runs this
//! program:
//!
//! ```sh
//! cargo run --example twins FOLDER
//! ```
//!
//! A line is the name of a verb, a tab, and what it makes as JSON: most often, for each column of a
//! dataset, its rows.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use burn::tensor::{Bool, Device, Int, Tensor};
use burn_npy::ndarray::{Array1, ArrayD, Axis, concatenate};
use burn_npy::order::{Partition, Remainder, Shard};
use burn_npy::transform::{
    self, BatchTransform, CenterCrop, CutMix, MixUp, Noise, OneHot, Pad, RandomCrop, RandomFlip,
    Transform,
};
use burn_npy::{
    Array, Batch, Convert, DataLoaderBuilder, Loader, NpyBatcher, NpyDataset, Sampler, Windows,
    glob,
};
use serde_json::{Map, Value, json};

type Result<T> = std::result::Result<T, Box<dyn Error>>;
type Pair = (Tensor<2, Int>, Tensor<1, Int>);
type Images = (Tensor<4>, Tensor<2>);

/// Numbers in C order as nested lists.
fn nested(shape: &[usize], numbers: &[f64]) -> Value {
    match shape {
        [] => json!(numbers[0]),
        [count, inner @ ..] => {
            let size: usize = inner.iter().product();
            let part = |i| nested(inner, &numbers[i * size..][..size]);
            (0..*count).map(part).collect()
        }
    }
}

/// The rows of a column. A double holds each number that is used here.
fn column(dataset: &NpyDataset, name: &str) -> Result<Value> {
    let doubles = dataset.convert(name, Convert::to::<f64>())?;
    let rows = doubles.read::<f64>(name)?;
    let numbers: Vec<f64> = rows.iter().copied().collect();
    Ok(nested(rows.shape(), &numbers))
}

/// The rows of all columns.
fn rows(dataset: &NpyDataset) -> Result<Value> {
    let mut columns = Map::new();
    for (name, _) in dataset.columns() {
        columns.insert(name.to_owned(), column(dataset, name)?);
    }
    Ok(columns.into())
}

fn floats<const D: usize>(tensor: Tensor<D>) -> Value {
    let numbers: Vec<f64> = tensor.to_data().iter().collect();
    nested(&tensor.dims(), &numbers)
}

fn ints<const D: usize>(tensor: Tensor<D, Int>) -> Value {
    let numbers: Vec<f64> = tensor.to_data().iter().collect();
    nested(&tensor.dims(), &numbers)
}

fn bools<const D: usize>(tensor: Tensor<D, Bool>) -> Value {
    let bools: Vec<f64> = tensor
        .to_data()
        .iter::<bool>()
        .map(|it| it.into())
        .collect();
    nested(&tensor.dims(), &bools)
}

fn builder(dataset: &NpyDataset) -> DataLoaderBuilder<burn_npy::Row, Pair, NpyDataset> {
    dataset
        .loader::<Pair>()
        .set_device(Device::flex())
        .batch_size(4)
}

/// The batches of an epoch.
fn epoch(loader: &Arc<Loader<Pair>>) -> Result<Value> {
    let batches = loader.iter().map(|batch| {
        let (x, y) = batch?;
        Ok(json!({ "x": ints(x), "y": ints(y) }))
    });
    batches.collect()
}

fn show(verb: &str, made: impl Into<Value>) {
    println!("{verb}\t{}", made.into());
}

/// 23 rows of two numbers and a label.
fn table() -> Result<NpyDataset> {
    Ok(NpyDataset::from_files([("x", "x.npy"), ("y", "y.npy")])?)
}

fn sources() -> Result<()> {
    show("from_files", rows(&table()?)?);
    let read = |name: &str| Array::open(name)?.read::<i64>();
    let slices = (("x", read("x.npy")?), ("y", read("y.npy")?));
    show(
        "from_tensor_slices",
        rows(&NpyDataset::from_tensor_slices(slices)?)?,
    );
    let npz = NpyDataset::from_npz("both.npz", [("x", "x"), ("y", "y")])?;
    show("from_npz", rows(&npz)?);
    show(
        "from_glob",
        rows(&NpyDataset::from_glob("shards/x_*.npy")?)?,
    );
    let both = NpyDataset::from_globs([("x", "shards/x_*.npy"), ("y", "shards/y_*.npy")])?;
    show("from_globs", rows(&both)?);
    let samples = NpyDataset::from_samples(glob("classes/*/*.npy")?)?;
    show("from_samples", rows(&samples)?);
    let (folders, classes) = NpyDataset::from_class_folders("classes")?;
    show(
        "from_class_folders",
        json!({ "rows": rows(&folders)?, "classes": classes }),
    );
    Ok(())
}

fn choice_of_rows() -> Result<()> {
    let data = table()?;
    let all = |datasets: &[NpyDataset]| datasets.iter().map(rows).collect::<Result<Value>>();
    let taken = [0, 7, 23, 100].map(|count| data.take(count));
    show("take", all(&taken)?);
    let skipped = [0, 7, 23, 100].map(|count| data.skip(count));
    show("skip", all(&skipped)?);
    let steps = [data.step(3)?, data.skip(1).step(3)?, data.skip(2).step(3)?];
    show("step", all(&steps)?);
    show("step, one of five", rows(&data.skip(2).step(5)?)?);
    show("repeat", all(&[data.repeat(3)?, data.repeat(0)?])?);
    show("rows", rows(&data.rows([22, 0, 5, 5, 1])?)?);
    let odd = data.filter("y", |y: &[i64]| y[0] % 3 != 0)?;
    show("filter", rows(&odd)?);
    show("sort_by", rows(&data.sort_by("y")?)?);
    let chain = odd.skip(2).step(2)?.repeat(2)?.take(9);
    show("filter, skip, step, repeat, take", rows(&chain)?);
    Ok(())
}

fn columns() -> Result<()> {
    let data = table()?;
    let double = transform::from_fn::<i64, i64>(|row, mut out, _| {
        out.assign(&row.mapv(|x| 2 * x + 1));
        Ok(())
    });
    show("map", rows(&data.map("x", double)?)?);
    let with_sum = transform::from_fn::<i64, i64>(|row, mut out, _| {
        let sum = Array1::from_elem(1, row.sum()).into_dyn();
        out.assign(&concatenate(Axis(0), &[row, sum.view()])?);
        Ok(())
    });
    show(
        "map, another shape",
        rows(&data.map("x", with_sum.shape(&[3]))?)?,
    );
    let unit = Convert::to::<f32>().divide(255.0);
    show("convert", rows(&data.convert("x", unit)?)?);
    let both = NpyDataset::concat([data.clone(), data.skip(5).step(2)?])?;
    show("concat", rows(&both)?);
    let names = data
        .select(["x"])?
        .skip(3)
        .zip(&data.select(["y"])?.take(20))?;
    show("zip", rows(&names)?);
    show(
        "select, rename",
        rows(&data.select(["y"])?.rename("y", "label")?)?,
    );
    let parts = data.split_column("x", (("a", 1..2), ("b", 0)))?;
    show("split_column", rows(&parts)?);
    let columns = data.split_column("x", [("a", 1), ("b", 0)])?;
    show("join", rows(&columns.join("x", ["a", "b", "y"])?)?);

    let images = NpyDataset::open("images.npy")?;
    show("reshape", rows(&images.reshape("images", &[6, 10])?)?);
    show("permute", rows(&images.permute("images", &[1, 2, 0])?)?);
    Ok(())
}

fn batches() -> Result<()> {
    let data = table()?;
    show("batch", epoch(&builder(&data).try_build()?)?);
    let full = builder(&data).drop_last(true).try_build()?;
    show("batch, drop_last", epoch(&full)?);
    let shard = |index| {
        let shard = Shard::new(index, 3)?;
        epoch(&builder(&data).shard(shard, Remainder::Uneven).try_build()?)
    };
    show("shard", (0..3).map(shard).collect::<Result<Value>>()?);
    let passes = Sampler::sequential().epoch_len(10)?;
    let loader = builder(&data).sampler(passes).try_build()?;
    let epochs = (0..5).map(|_| epoch(&loader));
    show("epoch_len", epochs.collect::<Result<Value>>()?);

    let loader = builder(&data).try_build()?;
    let mut pass = loader.iter();
    pass.nth(1).transpose()?;
    let resumed = builder(&data).resume(pass.state()).try_build()?;
    show("state, resume", epoch(&resumed)?);

    // Batches of one row, so that an epoch is a list of rows.
    let shuffled = builder(&data).batch_size(1).shuffle(7).try_build()?;
    let epochs = (0..3).map(|_| epoch(&shuffled));
    show("shuffle, epochs", epochs.collect::<Result<Value>>()?);
    let blocks = builder(&data).batch_size(1);
    let blocks = blocks.sampler(Sampler::blocks(4, 2, 7)?).try_build()?;
    show("blocks", epoch(&blocks)?);
    Ok(())
}

fn windows() -> Result<()> {
    let data = table()?;
    let windows = |windows: Windows| rows(&data.windows(windows)?);
    show("windows", windows(Windows::new(4))?);
    let some = Windows::new(4).stride(3).dilation(2);
    show("windows, stride, dilation", windows(some.clone())?);
    show("windows beside Keras", windows(some)?);
    let shifted = Windows::new(4).shifted(1).stride(4);
    show("windows, shifted", windows(shifted)?);
    let horizon = Windows::new(5).horizon(2);
    show("windows, horizon", windows(horizon.clone())?);
    let gap = Windows::new(4).horizon(2).gap(3).dilation(2);
    show("windows, horizon, gap, dilation", windows(gap)?);
    let ends = [9, 9, 12, 23];
    show(
        "windows, within",
        windows(Windows::new(4).within(ends)?.stride(2))?,
    );
    let labelled = NpyDataset::from_files([("x", "x.npy"), ("group", "episodes.npy")])?;
    let grouped = labelled.windows(Windows::new(4).group_by("group").stride(2))?;
    show("windows, group_by", rows(&grouped.select(["x"])?)?);

    let (train, valid) = data.repeat(4)?.windows(horizon)?.split_in_time(0.6)?;
    let all = data.repeat(4)?;
    let number = Array1::from_iter(0..all.len() as i64);
    let numbers = NpyDataset::from_tensor_slices((("row", number),))?;
    let (first, last) = numbers.windows(Windows::new(7))?.split_in_time(0.6)?;
    let begins = |part: &NpyDataset| (0..part.len()).map(|row| part.row(row).index()).collect();
    let begins: Vec<Vec<usize>> = vec![begins(&first), begins(&last)];
    let lens = [train.len(), valid.len()];
    show("split_in_time", json!({ "begins": begins, "lens": lens }));
    Ok(())
}

fn mixes() -> Result<()> {
    let numbers = |start: i64, count: i64| {
        let rows = Array1::from_iter(start..start + count);
        NpyDataset::from_tensor_slices((("row", rows),))
    };
    for (verb, lens, weights) in [
        ("mix", &[40, 11][..], &[3.0, 1.0][..]),
        ("mix of three", &[100, 60, 50], &[0.5, 0.3, 0.2]),
        ("mix that ends early", &[1000, 5], &[1.0, 2.0]),
    ] {
        let parts = (0..).zip(lens).zip(weights);
        let parts = parts.map(|((part, len), weight)| Ok((numbers(1000 * part, *len)?, *weight)));
        let mix = NpyDataset::mix(parts.collect::<Result<Vec<_>>>()?)?;
        show(verb, column(&mix, "row")?);
    }
    Ok(())
}

#[derive(Batch)]
struct Texts {
    #[batch(pad = -1)]
    tokens: Tensor<2, Int>,
    #[batch(lengths = "tokens")]
    lengths: Tensor<1, Int>,
    #[batch(mask_pad = "tokens")]
    mask: Tensor<2, Bool>,
}

fn ragged() -> Result<()> {
    let read = |name: &str| Array::open(name)?.read::<i64>();
    let texts = NpyDataset::from_lengths("tokens", read("tokens.npy")?, read("lengths.npy")?)?;
    show("lengths", texts.lengths("tokens")?);
    let text = |row| -> Result<Value> {
        let text: ArrayD<i64> = texts.row(row).get("tokens")?;
        Ok(json!(text.iter().collect::<Vec<_>>()))
    };
    let all = (0..texts.len()).map(text);
    show("from_lengths", all.collect::<Result<Value>>()?);
    let items = read("tokens.npy")?;
    let by_offsets = NpyDataset::from_offsets("tokens", items, Array::open("offsets.npy")?)?;
    let batches = |dataset: &NpyDataset, sampler: Sampler, size| {
        let builder = dataset.loader::<Texts>().set_device(Device::flex());
        let loader = builder.batch_size(size).sampler(sampler).try_build()?;
        let batches = loader.iter().map(|batch| {
            let batch = batch?;
            let lengths = ints(batch.lengths);
            let (tokens, mask) = (ints(batch.tokens), bools(batch.mask));
            Ok(json!({ "tokens": tokens, "lengths": lengths, "mask": mask }))
        });
        batches.collect::<Result<Value>>()
    };
    let by_length = Sampler::bucketed(texts.lengths("tokens")?, 8, 7)?;
    show(
        "padded batch",
        batches(&by_offsets, Sampler::sequential(), 8)?,
    );
    show("bucketed", batches(&texts, by_length, 8)?);
    Ok(())
}

fn caches() -> Result<()> {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = {
        let calls = calls.clone();
        transform::from_fn::<i64, i64>(move |row, mut out, _| {
            calls.fetch_add(1, Ordering::Relaxed);
            out.assign(&row.mapv(|x| x + 1));
            Ok(())
        })
    };
    let mapped = table()?.map("x", counted)?;
    let folder = tempfile::tempdir()?;
    let made = |name: &str, cached: NpyDataset| {
        let passes = [rows(&cached)?, rows(&cached)?];
        let calls = calls.swap(0, Ordering::Relaxed);
        show(name, json!({ "passes": passes, "calls": calls }));
        Ok::<(), Box<dyn Error>>(())
    };
    made("cache", mapped.cache()?)?;
    made("cache_in", mapped.cache_in(&folder, "plus-one")?)?;
    made("cache_in, again", mapped.cache_in(&folder, "plus-one")?)
}

fn statistics() -> Result<()> {
    let data = NpyDataset::from_files([("features", "features.npy"), ("labels", "labels.npy")])?;
    let counts = data.class_counts("labels")?;
    show("class_counts", json!(Vec::from_iter(counts)));
    show("class_weights", json!(data.class_weights("labels", 5)?));
    let absent = data.class_weights("labels", 7)?;
    show("class_weights, absent classes", json!(absent));
    let all = data.stats("features")?;
    let one =
        |stats: &burn_npy::Stats| json!([stats.mean(), stats.std(), stats.min(), stats.max()]);
    show("stats", one(&all));
    let each = data.stats_axis("features", 0)?;
    show("stats_axis", each.iter().map(one).collect::<Value>());
    let scaled = Convert::to::<f32>().standardize_axis(0, &each);
    show(
        "standardize",
        column(&data.convert("features", scaled)?, "features")?,
    );
    let labels = data.select(["labels"])?;
    let one_hot = |smoothing| {
        let transform = OneHot::new(5).smoothing(smoothing);
        column(&labels.map("labels", transform)?, "labels")
    };
    show("OneHot", one_hot(0.0)?);
    show("OneHot, smoothing", one_hot(0.1)?);
    Ok(())
}

/// How often each image comes among 3600 draws of the first image.
fn drawn(transform: impl Transform) -> Result<Value> {
    let image = NpyDataset::open("images.npy")?.take(1).repeat(3600)?;
    let images = image.map("images", transform)?;
    let builder = images.loader::<Tensor<4, Int>>().set_device(Device::flex());
    let loader = builder.batch_size(100).shuffle(1).try_build()?;
    let mut counts = BTreeMap::new();
    for batch in loader.iter() {
        let Value::Array(images) = ints(batch?) else {
            return Err("batches are lists".into());
        };
        for image in images {
            *counts.entry(image.to_string()).or_insert(0) += 1;
        }
    }
    let counts = counts.into_iter().map(|(image, count)| {
        let image: Value = serde_json::from_str(&image)?;
        Ok(json!([image, count]))
    });
    counts.collect()
}

fn images() -> Result<()> {
    let images = NpyDataset::open("images.npy")?;
    let fixed = |transform: &dyn Fn() -> Result<NpyDataset>| rows(&transform()?);
    let crop = RandomCrop::new([4, 5]).pad(1).channels_first();
    show("RandomCrop, pad", drawn(crop.clone())?);
    show("RandomCrop, pad, flip", drawn(crop.flip(0.5))?);
    let smaller = RandomCrop::new([2, 3]).channels_first();
    show("RandomCrop", drawn(smaller)?);
    let flip = RandomFlip::horizontal(0.5).channels_first();
    show("RandomFlip, horizontal", drawn(flip)?);
    let flip = RandomFlip::vertical(0.25).channels_first();
    show("RandomFlip, vertical", drawn(flip)?);
    let middle = CenterCrop::new([1, 2]).channels_first();
    show(
        "CenterCrop",
        fixed(&|| Ok(images.map("images", middle.clone())?))?,
    );
    let pad = Pad::new(0).height(1, 2).width(3, 0).fill(7.0);
    let pad = pad.channels_first();
    show("Pad", fixed(&|| Ok(images.map("images", pad.clone())?))?);

    let zeros = NpyDataset::from_tensor_slices((("x", ArrayD::<f32>::zeros(vec![200, 100])),))?;
    for (verb, noise) in [
        ("Noise, gaussian", Noise::gaussian(0.5)),
        ("Noise, uniform", Noise::uniform(-1.0, 2.0)),
    ] {
        let builder = zeros.map("x", noise)?.loader::<Tensor<2>>();
        let loader = builder.set_device(Device::flex()).batch_size(200);
        let batch = loader.try_build()?.iter().next().ok_or("no batch")??;
        show(verb, floats(batch));
    }
    Ok(())
}

/// Ten epochs of one batch.
fn mixed(transform: impl BatchTransform) -> Result<Value> {
    let files = [
        ("images", "mixed_images.npy"),
        ("labels", "mixed_labels.npy"),
    ];
    let data = NpyDataset::from_files(files)?.map("labels", OneHot::new(8))?;
    let batcher = NpyBatcher::<Images>::new().map_batch(transform);
    let builder = DataLoaderBuilder::new(batcher).batch_size(8);
    let loader = builder.set_device(Device::flex()).try_build(data)?;
    let batches = (0..10).map(|_| {
        let (images, labels) = loader.iter().next().ok_or("no batch")??;
        Ok(json!({ "images": floats(images), "labels": floats(labels) }))
    });
    batches.collect()
}

fn mixed_images() -> Result<()> {
    show("MixUp", mixed(MixUp::new(1.0, ["images", "labels"])?)?);
    show("CutMix", mixed(CutMix::new(1.0, "images", "labels")?)?);
    Ok(())
}

fn partitions() -> Result<()> {
    let numbers = NpyDataset::from_tensor_slices((("row", Array1::from_iter(0..200_i64)),))?;
    let labels = || Ok::<_, Box<dyn Error>>(Array::open("labels.npy")?.read::<i64>()?);
    let groups = || Ok::<_, Box<dyn Error>>(Array::open("groups.npy")?.read::<i64>()?);
    let folds = |partition: &Partition| {
        let folds = numbers.folds(partition)?.into_iter();
        let fold = |(train, valid): (NpyDataset, NpyDataset)| {
            Ok(json!([column(&train, "row")?, column(&valid, "row")?]))
        };
        folds.map(fold).collect::<Result<Value>>()
    };
    let parts = |partition: &Partition| {
        let parts = numbers.parts(partition)?.into_iter();
        parts
            .map(|part| column(&part, "row"))
            .collect::<Result<Value>>()
    };
    show("k_fold", folds(&Partition::k_fold(200, 7, 1)?)?);
    show(
        "stratified_k_fold",
        folds(&Partition::stratified_k_fold(labels()?, 5, 1)?)?,
    );
    show(
        "grouped_k_fold",
        folds(&Partition::grouped_k_fold(groups()?, 5, 1)?)?,
    );
    let shares = [0.7, 0.3];
    show(
        "Partition::split",
        parts(&Partition::split(200, &shares, 1)?)?,
    );
    show(
        "stratified_split",
        parts(&Partition::stratified_split(labels()?, &shares, 1)?)?,
    );
    show(
        "grouped_split",
        parts(&Partition::grouped_split(groups()?, &shares, 1)?)?,
    );
    let (train, valid) = numbers.split(0.7, 1)?;
    show(
        "split",
        json!([column(&train, "row")?, column(&valid, "row")?]),
    );
    Ok(())
}

fn draws() -> Result<()> {
    let drawn = |sampler: Sampler, len| {
        let order = sampler.order(len, 0);
        order.rows(0..order.len()).collect::<Vec<u64>>()
    };
    let weights = [1.0, 2.0, 0.0, 5.0, 2.0];
    let weighted = Sampler::weighted(&weights, 1)?.draws(20_000)?;
    show("weighted", drawn(weighted, 5));
    let without = Sampler::weighted_without_replacement(&weights, 1)?;
    show("weighted_without_replacement", drawn(without, 5));
    let labels = Array::open("labels.npy")?.read::<i64>()?;
    show("balanced", drawn(Sampler::balanced(labels, 1)?, 200));
    let again = Sampler::with_replacement(1).draws(20_000)?;
    show("with_replacement", drawn(again, 5));
    Ok(())
}

fn main() -> Result<()> {
    let folder = std::env::args().nth(1).ok_or("expected a folder")?;
    std::env::set_current_dir(Path::new(&folder))?;
    sources()?;
    choice_of_rows()?;
    columns()?;
    batches()?;
    windows()?;
    mixes()?;
    ragged()?;
    caches()?;
    statistics()?;
    images()?;
    mixed_images()?;
    partitions()?;
    draws()
}
