//! Work of the user on the workers: transforms of rows and of batches.

use std::sync::Arc;

use burn::data::dataset::transform::ComposedDataset;
use burn::tensor::Tensor;
use burn_npy::ndarray::{Array1, Array2, Axis};
use burn_npy::transform::{self, BatchRows, BatchTransform, CutMix, MixUp, Transform};
use burn_npy::{
    BatchInfo, Convert, DataLoaderBuilder, ErrorKind, Loader, NpyBatcher, NpyDataset, OnError, Row,
    Sampler,
};
use rand::{Rng, RngExt};

use crate::cpu;

const ROWS: usize = 100;

/// Rows `[number, number]`.
fn pairs() -> NpyDataset {
    let pairs = Array2::from_shape_fn((ROWS, 2), |(row, _)| row as f32);
    NpyDataset::from_tensor_slices((("x", pairs),)).unwrap()
}

/// Adds a number to a row that depends on its generator.
fn noise() -> impl Transform {
    transform::from_fn::<f32, f32>(|row, mut out, rng| {
        let noise = (rng.next_u32() % 1000) as f32;
        out.assign(&row.mapv(|x| x + noise / 1000.0));
        Ok(())
    })
}

fn builder() -> DataLoaderBuilder<Row, Tensor<2>> {
    DataLoaderBuilder::new(NpyBatcher::new())
        .batch_size(7)
        .set_device(cpu())
}

fn numbers(batch: Tensor<2>) -> Vec<f32> {
    batch.into_data().iter().collect()
}

fn epoch(loader: &Arc<Loader<Tensor<2>>>) -> Vec<Vec<f32>> {
    loader.iter().map(|batch| numbers(batch.unwrap())).collect()
}

#[test]
fn the_same_draws_whatever_the_workers_and_after_a_resume() {
    let dataset = pairs()
        .map("x", noise())
        .unwrap()
        .map("x", noise())
        .unwrap();
    let (train, _) = dataset.split(0.8, 1).unwrap();
    // Rows come more than once.
    let weights: Vec<f64> = (0..train.len()).map(|row| (row % 5) as f64).collect();
    let sampler = Sampler::weighted(&weights, 3).unwrap();
    let build = |workers| {
        let builder = builder().sampler(sampler.clone()).num_workers(workers);
        builder.try_build(train.clone()).unwrap()
    };
    let expected = {
        let loader = build(0);
        [epoch(&loader), epoch(&loader)]
    };
    assert_ne!(expected[0], expected[1]);
    for workers in [0, 1, 2, 7] {
        let loader = build(workers);
        for (number, expected) in expected.iter().enumerate() {
            let mut pass = loader.iter();
            let stop = 3 + number;
            for batch in &expected[..stop] {
                assert_eq!(numbers(pass.next().unwrap().unwrap()), *batch);
            }
            let resumed = builder().sampler(sampler.clone()).num_workers(workers);
            let resumed = resumed
                .resume(pass.state())
                .try_build(train.clone())
                .unwrap();
            assert_eq!(epoch(&resumed), expected[stop..]);
            let rest: Vec<_> = pass.map(|batch| numbers(batch.unwrap())).collect();
            assert_eq!(rest, expected[stop..]);
            for (batch, expected) in expected.iter().enumerate() {
                let again = loader.batch_at(number as u64, batch as u64).unwrap();
                assert_eq!(numbers(again), *expected);
            }
        }
    }
    // A row that is drawn several times is changed in several ways.
    let mut first: Vec<f32> = expected[0].iter().flatten().step_by(2).copied().collect();
    let drawn = first.len();
    first.sort_by(f32::total_cmp);
    first.dedup();
    assert!(first.len() > drawn * 9 / 10, "{} of {drawn}", first.len());
    first.dedup_by_key(|x| *x as u32 / 2);
    assert!(first.len() < drawn * 3 / 4);
}

#[test]
fn another_batch_size_changes_no_row() {
    let dataset = pairs().map("x", noise()).unwrap();
    let rows = |size| {
        let loader = builder().shuffle(5).batch_size(size);
        epoch(&loader.try_build(dataset.clone()).unwrap()).concat()
    };
    assert_eq!(rows(7), rows(64));
}

#[test]
fn an_image_and_its_mask_are_changed_alike() {
    let both = pairs().zip(&pairs().rename("x", "mask").unwrap()).unwrap();
    let both = both
        .map("x", noise())
        .and_then(|both| both.map("mask", noise()));
    let loader = both
        .unwrap()
        .loader::<(Tensor<2>, Tensor<2>)>()
        .batch_size(10)
        .shuffle(1)
        .set_device(cpu())
        .try_build()
        .unwrap();
    for batch in loader.iter() {
        let (image, mask) = batch.unwrap();
        assert_eq!(numbers(image), numbers(mask));
    }
}

#[test]
fn rows_of_several_datasets_are_transformed_too() {
    let [a, b] = [pairs().take(40), pairs().skip(40)].map(|it| it.map("x", noise()).unwrap());
    let composed = ComposedDataset::new(vec![a.clone(), b.clone()]);
    let composed = builder()
        .shuffle(2)
        .num_workers(2)
        .try_build(composed)
        .unwrap();
    let joined = NpyDataset::concat([a, b]).unwrap();
    let joined = builder()
        .shuffle(2)
        .num_workers(2)
        .try_build(joined)
        .unwrap();
    for _ in 0..3 {
        assert_eq!(epoch(&composed), epoch(&joined));
    }
}

#[derive(Debug)]
struct Unlucky;

impl std::fmt::Display for Unlucky {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("no number thirteen")
    }
}

impl std::error::Error for Unlucky {}

#[test]
fn a_failure_names_the_row_and_can_be_skipped() {
    for panics in [false, true] {
        let dataset = pairs().map(
            "x",
            transform::from_fn::<f32, f32>(move |row, mut out, _| {
                if row[[0]] == 13.0 {
                    assert!(!panics, "thirteen");
                    return Err(Unlucky.into());
                }
                out.assign(&row);
                Ok(())
            }),
        );
        let dataset = dataset.unwrap();
        for workers in [0, 1, 2, 7] {
            let builder = || builder().num_workers(workers);
            let loader = builder().try_build(dataset.clone()).unwrap();
            let mut pass = loader.iter();
            assert!(pass.next().unwrap().is_ok());
            let error = pass.next().unwrap().unwrap_err();
            let message = error.to_string();
            if panics {
                assert_eq!(error.kind(), ErrorKind::Panic);
                let expected = "epoch 0, batch 1, row 13: the transform panicked: thirteen";
                assert_eq!(message, expected);
            } else {
                assert_eq!(error.kind(), ErrorKind::Transform);
                assert_eq!(message, "epoch 0, batch 1, row 13: `x`: no number thirteen");
                assert!(error.get_ref().unwrap().is::<Unlucky>());
            }
            assert!(pass.next().is_none());

            let loader = builder().on_error(OnError::SkipRows(1));
            let loader = loader.try_build(dataset.clone()).unwrap();
            let kept = epoch(&loader).concat();
            assert_eq!(kept.len(), 2 * (ROWS - 1));
            assert!(!kept.contains(&13.0));
            assert_eq!(loader.skipped()[0].row, 13);
        }
        // A row alone, outside of a loader.
        assert!(panics || dataset.row(13).get::<f32>("x").is_err());
        assert_eq!(dataset.row(14).get::<f32>("x").unwrap()[[1]], 14.0);
    }
}

#[test]
fn a_transform_for_other_rows_is_refused_at_once() {
    let integers = NpyDataset::from_tensor_slices(Array1::from_iter(0..5_i64)).unwrap();
    let error = integers.map("0", noise()).unwrap_err();
    assert_eq!((error.kind(), error.array()), (ErrorKind::Dtype, Some("0")));
    let message = error.to_string();
    assert!(
        message.contains("takes float32, but the rows are int64"),
        "{message}"
    );
    assert_eq!(
        integers.map("1", noise()).unwrap_err().kind(),
        ErrorKind::Name
    );
}

/// The batches that a loader gives whose batches a function of the user changes.
fn mapped<M: BatchTransform>(map: impl Fn() -> M, workers: usize) -> Vec<Vec<f32>> {
    let batcher = NpyBatcher::<Tensor<2>>::new().map_batch(map());
    let loader = DataLoaderBuilder::new(batcher)
        .batch_size(8)
        .shuffle(4)
        .num_workers(workers)
        .set_device(cpu())
        .try_build(pairs())
        .unwrap();
    epoch(&loader)
}

#[test]
fn batches_are_mixed_as_their_rows_say() {
    let mixed = mapped(|| MixUp::new(0.4, ["x"]).unwrap(), 0);
    let plain = builder()
        .batch_size(8)
        .shuffle(4)
        .try_build(pairs())
        .unwrap();
    let plain = epoch(&plain);
    let mut shares = Vec::new();
    for (mixed, plain) in mixed.iter().zip(&plain) {
        let count = plain.len() / 2;
        let before = |i: usize| plain[2 * ((i + count - 1) % count)];
        let share = (mixed[0] - before(0)) / (plain[0] - before(0));
        assert!((-1e-3..=1.001).contains(&share), "{share}");
        for i in 0..count {
            let expected = share * plain[2 * i] + (1.0 - share) * before(i);
            assert!((mixed[2 * i] - expected).abs() < 1e-2);
            assert_eq!(mixed[2 * i], mixed[2 * i + 1]);
        }
        shares.push(share);
    }
    shares.dedup();
    assert_eq!(shares.len(), plain.len());
    for workers in [1, 2, 7] {
        assert_eq!(mapped(|| MixUp::new(0.4, ["x"]).unwrap(), workers), mixed);
    }
    for alpha in [0.0, -1.0, f32::NAN, f32::MAX, f32::INFINITY] {
        let error = MixUp::new(alpha, ["x"]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        let error = CutMix::new(alpha, "x", "y").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
    }
    for alpha in [f32::MIN_POSITIVE, 1e-20, 1e20, f32::MAX / 2.0] {
        let mixed = mapped(|| MixUp::new(alpha, ["x"]).unwrap(), 0);
        assert!(mixed.iter().flatten().all(|x| x.is_finite()), "{alpha}");
    }
}

#[test]
fn boxes_are_cut_and_labels_follow_the_pixels() {
    let images = Array1::from_iter(0..ROWS).mapv(|row| row as f32);
    let images = images
        .insert_axis(Axis(1))
        .insert_axis(Axis(2))
        .broadcast((ROWS, 6, 8))
        .unwrap()
        .to_owned();
    let labels = Array2::from_shape_fn((ROWS, 1), |(row, _)| row as f32);
    let dataset = NpyDataset::from_tensor_slices((("images", images), ("labels", labels))).unwrap();
    let batcher = NpyBatcher::<(Tensor<3>, Tensor<2>)>::new()
        .map_batch(CutMix::new(1.0, "images", "labels").unwrap());
    let loader = DataLoaderBuilder::new(batcher)
        .batch_size(10)
        .set_device(cpu());
    let loader = loader.try_build(dataset).unwrap();
    let mut cut = 0;
    for (number, batch) in loader.iter().enumerate() {
        let (images, labels) = batch.unwrap();
        let images: Vec<f32> = images.into_data().iter().collect();
        for (i, (image, label)) in images.chunks(48).zip(numbers(labels)).enumerate() {
            let own = (10 * number + i) as f32;
            let other = (10 * number + (i + 9) % 10) as f32;
            let pasted = image.iter().filter(|x| **x == other).count();
            assert_eq!(image.iter().filter(|x| **x == own).count(), 48 - pasted);
            let expected = own + (other - own) * pasted as f32 / 48.0;
            assert!((label - expected).abs() < 1e-4, "{label} {expected}");
            cut += usize::from(pasted > 0);
        }
    }
    assert!(cut > ROWS / 2, "{cut}");
}

#[test]
fn a_failure_of_a_batch_is_one_error() {
    for (workers, panics) in [(0, false), (2, false), (0, true), (2, true)] {
        let map = move |batch: &mut BatchRows<'_>, info: &BatchInfo| {
            assert_eq!(batch.len(), info.rows().len());
            if info.batch() == 2 {
                assert!(!panics, "two");
                batch.column_mut::<f64>("x")?;
            }
            batch
                .column_mut::<f32>("x")?
                .fill(info.rng(0).random_range(1.0..2.0));
            Ok(())
        };
        let loader = DataLoaderBuilder::new(NpyBatcher::<Tensor<2>>::new().map_batch(map))
            .batch_size(8)
            .num_workers(workers)
            .set_device(cpu())
            .try_build(pairs())
            .unwrap();
        let mut pass = loader.iter();
        for _ in 0..2 {
            let batch = numbers(pass.next().unwrap().unwrap());
            assert!((1.0..2.0).contains(&batch[0]));
        }
        let error = pass.next().unwrap().unwrap_err().to_string();
        let expected = if panics {
            "epoch 0, batch 2: the batch transform panicked: two"
        } else {
            "epoch 0, batch 2: `x`: the column is float32 in the batch, asked for float64"
        };
        assert!(error.starts_with(expected), "{error}");
        assert!(pass.next().is_none());
    }
}

/// Of a batch with a row that cannot be loaded, the others are, and become one batch.
#[test]
fn rows_are_skipped_though_a_batch_transform_needs_several() {
    let mut numbers = Array1::from_iter((0..20).map(f64::from));
    numbers[7] = f64::NAN;
    let dataset = NpyDataset::from_tensor_slices((("x", numbers),))
        .and_then(|dataset| dataset.convert("x", Convert::to::<i32>()))
        .and_then(|dataset| dataset.convert("x", Convert::to::<f32>()))
        .unwrap();
    let build = |workers: usize, on_error: OnError| {
        let map = |batch: &mut BatchRows<'_>, _: &BatchInfo| {
            if batch.len() < 2 {
                return Err("one row has no other".into());
            }
            let mut x = batch.column_mut::<f32>("x")?;
            x += 100.0;
            Ok(())
        };
        DataLoaderBuilder::new(NpyBatcher::<Tensor<1>>::new().map_batch(map))
            .batch_size(5)
            .num_workers(workers)
            .on_error(on_error)
            .set_device(cpu())
            .try_build(dataset.clone())
            .unwrap()
    };
    for workers in [0, 2] {
        let loader = build(workers, OnError::SkipRows(1));
        let batches = loader.iter().map(|batch| {
            let batch = batch.unwrap().into_data();
            batch.iter::<f32>().collect::<Vec<_>>()
        });
        let batches: Vec<_> = batches.collect();
        let lens: Vec<_> = batches.iter().map(Vec::len).collect();
        assert_eq!(lens, [5, 4, 5, 5]);
        assert_eq!(batches[1], [105.0, 106.0, 108.0, 109.0]);
        let error = build(workers, OnError::Fail).iter().find_map(Result::err);
        let error = error.unwrap().to_string();
        assert!(
            error.starts_with("epoch 0, batch 1, row 7: `x`: row 7 has NaN"),
            "{error}"
        );
    }
}
