//! Rows of any length: what verbs, batches and errors make of them.

use std::path::Path;

use burn::data::dataset::transform::ComposedDataset;
use burn::tensor::{Bool, Int, Tensor};
use burn_npy::file::{Access, OpenOptions, write_npy};
use burn_npy::ndarray::{Array1, Array2, array};
use burn_npy::transform::BatchRows;
use burn_npy::{
    Array, Batch, BatchInfo, Convert, DataLoaderBuilder, ErrorKind, NpyBatcher, NpyDataset,
    OnError, Row, Sampler, State,
};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use crate::cpu;

const PAD: i64 = -100;

#[derive(Batch, Debug)]
struct Texts {
    #[batch(lengths = "tokens")]
    lengths: Tensor<1, Int>,
    #[batch(pad = -100)]
    tokens: Tensor<2, Int>,
    #[batch(file_rows)]
    rows: Vec<usize>,
    labels: Tensor<1, Int>,
    #[batch(mask_pad = "tokens")]
    mask_pad: Tensor<2, Bool>,
    points: Tensor<3>,
}

/// A row of the naive twin.
#[derive(Clone, Debug)]
struct Naive {
    tokens: Vec<i64>,
    points: Vec<[f32; 2]>,
    label: i64,
}

/// What a batch holds, as vectors.
#[derive(Debug, PartialEq)]
struct Plain {
    shapes: [Vec<usize>; 3],
    tokens: Vec<i64>,
    points: Vec<f32>,
    lengths: Vec<i64>,
    labels: Vec<i64>,
    mask_pad: Vec<bool>,
}

fn plain(batch: Texts) -> Plain {
    Plain {
        shapes: [
            batch.tokens.dims().to_vec(),
            batch.points.dims().to_vec(),
            batch.mask_pad.dims().to_vec(),
        ],
        tokens: batch.tokens.try_to_vec_as().unwrap(),
        points: batch.points.try_to_vec_as().unwrap(),
        lengths: batch.lengths.try_to_vec_as().unwrap(),
        labels: batch.labels.try_to_vec_as().unwrap(),
        mask_pad: batch.mask_pad.try_to_vec_as().unwrap(),
    }
}

fn naive_batch<'a>(rows: impl IntoIterator<Item = &'a Naive>) -> Plain {
    let rows: Vec<&Naive> = rows.into_iter().collect();
    let longest = |len: fn(&Naive) -> usize| rows.iter().map(|row| len(row)).max().unwrap().max(1);
    let (text, cloud) = (
        longest(|row| row.tokens.len()),
        longest(|row| row.points.len()),
    );
    let mut made = Plain {
        shapes: [
            vec![rows.len(), text],
            vec![rows.len(), cloud, 2],
            vec![rows.len(), text],
        ],
        tokens: Vec::new(),
        points: Vec::new(),
        lengths: rows.iter().map(|row| row.tokens.len() as i64).collect(),
        labels: rows.iter().map(|row| row.label).collect(),
        mask_pad: Vec::new(),
    };
    for row in rows {
        for place in 0..text {
            made.tokens
                .push(row.tokens.get(place).copied().unwrap_or(PAD));
            made.mask_pad.push(place >= row.tokens.len());
        }
        for place in 0..cloud {
            made.points
                .extend(row.points.get(place).copied().unwrap_or_default());
        }
    }
    made
}

/// Files of rows of any length, and their naive twin.
fn random(rng: &mut StdRng, dir: &Path) -> (NpyDataset, Vec<Naive>) {
    let longest = *[0, 3, 10, 60].choose(rng).unwrap();
    let rows: Vec<Naive> = (0..rng.random_range(0..80))
        .map(|label| Naive {
            tokens: (0..rng.random_range(0..=longest))
                .map(|_| rng.random_range(0..999))
                .collect(),
            points: (0..rng.random_range(0..=longest))
                .map(|_| [rng.random_range(0..9) as f32, label as f32])
                .collect(),
            label,
        })
        .collect();
    let name = rng.random::<u64>();
    let save = |what: &str, array: Array1<i64>| {
        let path = dir.join(format!("{name}-{what}.npy"));
        write_npy(&path, &array).unwrap();
        path
    };
    let lengths = |of: fn(&Naive) -> usize| rows.iter().map(move |row| of(row) as i64);
    let offsets = lengths(|row| row.tokens.len()).scan(0, |end, len| {
        *end += len;
        Some(*end)
    });
    let offsets = save("offsets", std::iter::once(0).chain(offsets).collect());
    let tokens = save(
        "tokens",
        rows.iter().flat_map(|row| row.tokens.clone()).collect(),
    );
    let access = *[Access::Mapped, Access::Positioned, Access::Memory]
        .choose(rng)
        .unwrap();
    let tokens = Array::open_with(tokens, OpenOptions::new().access(access)).unwrap();
    let points: Vec<f32> = rows.iter().flat_map(|row| row.points.concat()).collect();
    let points = Array2::from_shape_vec((points.len() / 2, 2), points)
        .unwrap()
        .mapv(f64::from);
    let labels = Array1::from_iter(rows.iter().map(|row| row.label as i32));
    let dataset = NpyDataset::from_offsets("tokens", tokens, Array::open(offsets).unwrap())
        .unwrap()
        .zip(&NpyDataset::from_arrays([("labels", labels)]).unwrap())
        .unwrap();
    let lengths: Vec<i64> = lengths(|row| row.points.len()).collect();
    let clouds = NpyDataset::from_lengths("cloud", points, lengths).unwrap();
    (
        dataset
            .zip(&clouds.rename("cloud", "points").unwrap())
            .unwrap(),
        rows,
    )
}

/// A dataset that has gone through some verbs, and its naive twin.
fn changed(rng: &mut StdRng, dir: &Path) -> (NpyDataset, Vec<Naive>) {
    let (mut dataset, mut rows) = random(rng, dir);
    for _ in 0..rng.random_range(0..4) {
        match rng.random_range(0..5) {
            0 => {
                let (more, naive) = random(rng, dir);
                dataset = NpyDataset::concat([dataset, more]).unwrap();
                rows.extend(naive);
            }
            1 => {
                let count = rng.random_range(0..5);
                (dataset, rows) = (dataset.skip(count), rows.into_iter().skip(count).collect());
            }
            2 => {
                let whole = dataset.clone();
                dataset = whole.split(0.9, rng.random()).unwrap().0;
                // The naive twin is told by the labels which rows are left.
                let labels = dataset.read::<i32>("labels").unwrap();
                let known = whole.read::<i32>("labels").unwrap();
                if known.iter().collect::<std::collections::HashSet<_>>().len() < known.len() {
                    dataset = whole;
                    continue;
                }
                let row = |label: &i32| rows.iter().find(|row| row.label == i64::from(*label));
                rows = labels
                    .iter()
                    .map(|label| row(label).unwrap().clone())
                    .collect();
            }
            3 => {
                let [labels, others] = [&["labels"][..], &["points", "tokens"]];
                let labels = dataset.select(labels).unwrap();
                dataset = dataset.select(others).unwrap().zip(&labels).unwrap();
            }
            _ => {
                dataset = dataset
                    .convert("tokens", Convert::to::<i32>())
                    .and_then(|dataset| dataset.convert("tokens", Convert::to::<i64>()))
                    .and_then(|dataset| dataset.reshape("points", &[1, 2]))
                    .and_then(|dataset| dataset.reshape("points", &[2]))
                    .unwrap();
            }
        }
    }
    (dataset, rows)
}

#[test]
fn batches_are_those_of_a_naive_twin_for_any_number_of_workers_and_after_a_resume() {
    let dir = tempfile::tempdir().unwrap();
    let rng = &mut StdRng::seed_from_u64(5);
    for case in 0..150 {
        let (dataset, rows) = changed(rng, dir.path());
        assert_eq!(dataset.len(), rows.len());
        let lengths = dataset.lengths("tokens").unwrap();
        assert!(
            lengths
                .into_iter()
                .eq(rows.iter().map(|row| row.tokens.len() as u64))
        );
        dataset.verify().unwrap();
        for (index, row) in rows.iter().enumerate() {
            let found = dataset.row(index);
            assert_eq!(
                found.get::<i64>("tokens").unwrap().as_slice(),
                Some(&*row.tokens)
            );
            assert_eq!(
                found.get::<f64>("points").unwrap().shape(),
                [row.points.len(), 2]
            );
        }
        let batch_size = rng.random_range(1..10);
        let sampler = match rng.random_range(0..3) {
            0 => Sampler::sequential(),
            _ => Sampler::shuffled(case),
        };
        let order = sampler.order(rows.len() as u64, 0);
        let order: Vec<u64> = order.rows(0..order.len()).collect();
        let naive = order.chunks(batch_size);
        let naive = naive.map(|batch| naive_batch(batch.iter().map(|row| &rows[*row as usize])));
        let naive: Vec<Plain> = naive.collect();
        let loader = |workers| {
            let loader = dataset.loader::<Texts>().set_device(cpu());
            loader
                .batch_size(batch_size)
                .sampler(sampler.clone())
                .num_workers(workers)
        };
        for workers in [0, 1, 2, 7] {
            let loader = loader(workers).try_build().unwrap();
            let found: Vec<Plain> = loader.iter().map(|batch| plain(batch.unwrap())).collect();
            assert!(found == naive, "case {case}, {workers} workers");
        }
        if naive.is_empty() {
            continue;
        }
        let first = loader(2).try_build().unwrap();
        let stop = rng.random_range(0..naive.len());
        let mut iter = first.iter();
        iter.by_ref()
            .take(stop)
            .for_each(|batch| drop(batch.unwrap()));
        drop(iter);
        let state = serde_json::to_string(&first.state()).unwrap();
        let state: State = serde_json::from_str(&state).unwrap();
        let rest = loader(rng.random_range(0..3))
            .resume(state)
            .try_build()
            .unwrap();
        let rest: Vec<Plain> = rest.iter().map(|batch| plain(batch.unwrap())).collect();
        assert!(rest == naive[stop..], "case {case}");
    }
}

/// Texts with one that cannot be converted, and one without tokens.
fn with_a_bad_row(dir: &Path) -> NpyDataset {
    let path = dir.join("values.npy");
    write_npy(&path, &array![1.0, 2.0, 3.0, 0.5, 5.0]).unwrap();
    NpyDataset::from_lengths("tokens", Array::open(path).unwrap(), vec![2, 2, 0, 1])
        .and_then(|dataset| dataset.convert("tokens", Convert::to::<i32>()))
        .unwrap()
}

#[test]
fn a_row_that_cannot_be_loaded_is_named_or_skipped() {
    let dir = tempfile::tempdir().unwrap();
    let dataset = with_a_bad_row(dir.path());
    let loader = |on_error| {
        let loader = dataset.loader::<Tensor<2, Int>>().set_device(cpu());
        loader.batch_size(4).on_error(on_error).try_build().unwrap()
    };
    let error = loader(OnError::Fail).iter().next().unwrap().unwrap_err();
    let place = (error.kind(), error.row(), error.array(), error.file());
    let path = dir.path().join("values.npy");
    assert_eq!(
        place,
        (ErrorKind::Value, Some(1), Some("tokens"), Some(&*path))
    );
    assert!(
        error.message().starts_with("item 3 of the file has 0.5"),
        "{error}"
    );
    assert_eq!(dataset.verify().unwrap_err().kind(), ErrorKind::Value);
    assert!(dataset.take(1).verify().is_ok() && dataset.skip(2).verify().is_ok());

    let mut batches = loader(OnError::SkipRows(1))
        .iter()
        .map(|batch| batch.unwrap())
        .collect::<Vec<_>>();
    let batch = batches.pop().unwrap();
    assert_eq!((batches.len(), batch.dims()), (0, [3, 2]));
    assert_eq!(batch.try_to_vec_as::<i64>().unwrap(), [1, 2, 0, 0, 5, 0]);
}

#[test]
fn a_batch_of_empty_rows_has_one_place_for_each() {
    let empty = NpyDataset::from_lengths("tokens", vec![0_i64; 0], vec![0, 0, 0]).unwrap();
    let batcher = NpyBatcher::<Tensor<2, Int>>::new();
    let rows: Vec<Row> = (0..3).map(|row| empty.row(row)).collect();
    let batch = batcher.try_batch(&rows, &cpu()).unwrap();
    assert_eq!(batch.dims(), [3, 1]);
    assert_eq!(batch.try_to_vec_as::<i64>().unwrap(), [0; 3]);
}

#[test]
fn rows_of_several_datasets_are_padded_together() {
    let dir = tempfile::tempdir().unwrap();
    let rng = &mut StdRng::seed_from_u64(9);
    for _ in 0..40 {
        let parts: Vec<_> = (0..3).map(|_| changed(rng, dir.path())).collect();
        let rows: Vec<&Naive> = parts.iter().flat_map(|(_, rows)| rows).collect();
        if rows.is_empty() {
            continue;
        }
        let datasets = parts.iter().map(|(dataset, _)| dataset.clone()).collect();
        let loader = DataLoaderBuilder::new(NpyBatcher::<Texts>::new())
            .batch_size(7)
            .shuffle(1)
            .set_device(cpu())
            .try_build(ComposedDataset::new(datasets))
            .unwrap();
        let order = Sampler::shuffled(1).order(rows.len() as u64, 0);
        let order: Vec<u64> = order.rows(0..order.len()).collect();
        let naive = order
            .chunks(7)
            .map(|batch| naive_batch(batch.iter().map(|row| rows[*row as usize])));
        let found = loader.iter().map(|batch| plain(batch.unwrap()));
        assert!(found.collect::<Vec<_>>() == naive.collect::<Vec<_>>());
    }
    // Rows of one shape are no rows of any length.
    let ragged = NpyDataset::from_lengths("x", vec![1_i64, 2], vec![1, 1]).unwrap();
    let fixed = NpyDataset::from_tensor_slices((("x", array![[1_i64], [2]]),)).unwrap();
    let batcher = NpyBatcher::<Tensor<2, Int>>::new();
    let error = batcher
        .try_batch(&[ragged.row(0), fixed.row(1)], &cpu())
        .unwrap_err();
    assert_eq!((error.kind(), error.array()), (ErrorKind::Shape, Some("x")));
    assert!(error.message().contains("rows of I"), "{error}");
    assert!(error.message().contains(" [1] after rows of I"), "{error}");
    assert!(
        error.message().contains(" [*], of another dataset"),
        "{error}"
    );
}

#[test]
fn what_rows_of_any_length_cannot_do_is_told() {
    #[derive(Batch)]
    #[allow(dead_code, reason = "no batch is made")]
    struct Padded {
        #[batch(pad = -100)]
        x: Tensor<2, Int>,
    }
    #[derive(Batch)]
    #[allow(dead_code, reason = "no batch is made")]
    struct Half {
        #[batch(column = "x", pad = 0.5)]
        half: Tensor<2, Int>,
    }
    #[derive(Batch)]
    #[allow(dead_code, reason = "no batch is made")]
    struct Lengths {
        #[batch(lengths = "x")]
        lengths: Tensor<1>,
    }
    #[derive(Batch)]
    #[allow(dead_code, reason = "no batch is made")]
    struct Mask {
        #[batch(mask_pad = "x")]
        mask: Tensor<2, Bool>,
    }
    let dataset = NpyDataset::from_lengths("x", vec![1_u8, 2, 3], vec![1, 2]).unwrap();
    let fixed = NpyDataset::from_tensor_slices((("x", array![[1_u8], [2]]),)).unwrap();
    assert_eq!(
        format!("{dataset:?}"),
        "NpyDataset { rows: 2, x: uint8 [*] }"
    );
    assert_eq!(format!("{:?}", dataset.row(1)), r#"{"x": [2, 3]}"#);
    fn build<B: Batch>(dataset: &NpyDataset) -> burn_npy::Result<()> {
        dataset
            .loader::<B>()
            .set_device(cpu())
            .try_build()
            .map(drop)
    }
    build::<Padded>(&dataset).unwrap();
    let kept = DataLoaderBuilder::new(NpyBatcher::<Padded>::new().keep_dtypes());
    let zip = |dataset: &NpyDataset, other: &NpyDataset| dataset.zip(&other.rename("x", "y")?);
    let one_shape = "its rows have different lengths, and this needs rows of one shape";
    let no_padding = "its rows have one shape, so there is no padding";
    for (result, kind, message) in [
        (
            dataset.split_column("x", [("y", 0)]).map(drop),
            ErrorKind::Usage,
            one_shape,
        ),
        (
            fixed.lengths("x").map(drop),
            ErrorKind::Usage,
            "its rows have one shape",
        ),
        (
            dataset.lengths("y").map(drop),
            ErrorKind::Name,
            "no such column",
        ),
        (
            NpyDataset::concat([dataset.clone(), fixed.clone()]).map(drop),
            ErrorKind::Shape,
            "rows of any length cannot follow rows of one shape",
        ),
        (
            zip(&dataset, &fixed.skip(1)).map(drop),
            ErrorKind::Shape,
            "different numbers of rows",
        ),
        (
            kept.set_device(cpu()).try_build(dataset.clone()).map(drop),
            ErrorKind::Usage,
            "uint8 has no -100 for the padding; choose another",
        ),
        (
            build::<Half>(&dataset),
            ErrorKind::Usage,
            " has no 0.5 for the padding",
        ),
        (build::<Padded>(&fixed), ErrorKind::Usage, no_padding),
        (build::<Mask>(&fixed), ErrorKind::Usage, no_padding),
        (
            build::<Lengths>(&dataset),
            ErrorKind::Shape,
            "a field with #[batch(lengths = ..)] is a Tensor<1, Int>",
        ),
        (
            build::<Tensor<1, Int>>(&dataset),
            ErrorKind::Shape,
            "rows of shape [*] make a batch of 2 dimensions, but the batch has a tensor of 1 \
             there: use Tensor<2, Int> in the batch, or dataset.reshape(\"x\", &[..]) gives items",
        ),
    ] {
        let error = result.unwrap_err();
        assert!(
            error.kind() == kind && error.message().contains(message),
            "{error}"
        );
        let names_columns = error.message().contains("different numbers");
        assert!(
            error.array() == Some("x") || names_columns || error.array() == Some("y"),
            "{error}"
        );
    }
    let of_tuple = dataset.zip(&fixed.rename("x", "y").unwrap()).unwrap();
    let loader = of_tuple
        .loader::<(Tensor<2, Int>, Tensor<2, Int>)>()
        .batch_size(2)
        .set_device(cpu());
    let (x, y) = loader.try_build().unwrap().iter().next().unwrap().unwrap();
    assert_eq!((x.dims(), y.dims()), ([2, 2], [2, 1]));
    assert_eq!(x.try_to_vec_as::<i64>().unwrap(), [1, 0, 2, 3]);
}

#[test]
fn a_batch_transform_is_told_that_they_are_not_there() {
    let texts = NpyDataset::from_lengths("tokens", vec![1_i64, 2, 3], vec![1, 2]).unwrap();
    let labels = NpyDataset::from_arrays([("labels", array![0_i64, 1])]).unwrap();
    let both = texts.zip(&labels).unwrap();
    let map = |batch: &mut BatchRows<'_>, _: &BatchInfo| {
        batch.column_mut::<i64>("tokens")?;
        Ok(())
    };
    let batcher = || NpyBatcher::<(Tensor<2, Int>, Tensor<1, Int>)>::new().map_batch(map);
    let error = batcher().try_batch(&[both.row(0)], &cpu()).unwrap_err();
    let message = "the batch has no such column with rows of one shape; those it has are ";
    assert_eq!(error.message(), format!("{message}labels"));
    let batcher = NpyBatcher::<Tensor<2, Int>>::new().map_batch(map);
    let error = batcher.try_batch(&[texts.row(0)], &cpu()).unwrap_err();
    assert_eq!(error.message(), format!("{message}none"));
}

#[test]
fn a_state_of_other_lengths_is_refused() {
    let dataset =
        |lengths: Vec<i64>| NpyDataset::from_lengths("x", vec![7_i64; 6], lengths).unwrap();
    let loader = |dataset: &NpyDataset| {
        let loader = dataset
            .loader::<Tensor<2, Int>>()
            .batch_size(2)
            .set_device(cpu());
        loader.try_build().unwrap()
    };
    let saved = loader(&dataset(vec![1, 2, 3])).state();
    loader(&dataset(vec![1, 2, 3])).resume(&saved).unwrap();
    let error = loader(&dataset(vec![2, 1, 3])).resume(&saved).unwrap_err();
    assert!(
        error.message().contains("whose values were others"),
        "{error}"
    );
    let fixed = NpyDataset::from_tensor_slices((("x", Array2::<i64>::zeros((3, 2))),)).unwrap();
    let error = loader(&fixed).resume(&saved).unwrap_err();
    assert!(
        error
            .message()
            .contains("[*], but those of the column are [2]"),
        "{error}"
    );
}

#[test]
fn packed_rows_have_every_token_once_for_any_number_of_workers() {
    type Packed = (Tensor<2, Int>, Tensor<2, Int>);
    let lengths: Vec<i64> = (0..200).map(|row| row * 37 % 23).collect();
    let count: i64 = lengths.iter().sum();
    let tokens: Vec<i32> = (1..=count as i32).collect();
    let dataset = NpyDataset::from_lengths("x", tokens, lengths).unwrap();
    let packed = dataset.pack("x", 16).unwrap();
    assert!(packed.len() * 16 < count as usize * 11 / 10);
    let build = |workers| {
        let builder = packed.loader::<Packed>().batch_size(5).shuffle(3);
        builder.num_workers(workers).set_device(cpu()).try_build()
    };
    let epoch = |workers| -> Vec<(Vec<i64>, Vec<i64>)> {
        let loader = build(workers).unwrap();
        let numbers = |tensor: Tensor<2, Int>| tensor.into_data().iter().collect();
        let batches = loader.iter().map(Result::unwrap);
        batches
            .map(|(x, segments)| (numbers(x), numbers(segments)))
            .collect()
    };
    let expected = epoch(0);
    let tokens = expected.iter().flat_map(|(x, _)| x);
    let mut tokens: Vec<i64> = tokens.copied().filter(|token| *token > 0).collect();
    tokens.sort();
    assert_eq!(tokens, Vec::from_iter(1..=count));
    for (x, segments) in &expected {
        assert!(
            x.iter()
                .zip(segments)
                .all(|(x, segment)| (*x == 0) == (*segment == 0))
        );
    }
    for workers in [1, 2, 7] {
        assert_eq!(epoch(workers), expected);
    }
    // It is a dataset as any other.
    let some = packed
        .filter::<i32>("x_segments", |row| row[15] > 1)
        .unwrap();
    assert!(!some.is_empty() && some.len() < packed.len());
    for (result, expected) in [
        (dataset.pack("x", 0), "rows of zero items"),
        (packed.pack("x", 4), "`x`: "),
        (
            dataset
                .zip(&dataset.rename("x", "y").unwrap())
                .unwrap()
                .pack("x", 4),
            "select([\"x\"])",
        ),
    ] {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert!(error.to_string().contains(expected), "{error}");
    }
}
