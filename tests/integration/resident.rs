//! Columns that stay on the device give the batches that a gather gives.

use std::sync::Arc;

use burn::data::dataset::transform::ComposedDataset;
use burn::tensor::{Device, Int, Tensor};
use burn_npy::ndarray::{Array1, Array3, Array4};
use burn_npy::{Batch, Convert, ErrorKind, Loader, NpyDataset, transform};

use crate::cpu;

#[derive(Batch)]
struct Images {
    gray: Tensor<3>,
    colors: Tensor<4>,
    odd: Tensor<2>,
    labels: Tensor<1, Int>,
    #[batch(file_rows)]
    rows: Vec<usize>,
}

const ROWS: usize = 60;

fn dataset() -> NpyDataset {
    let byte = |i: usize| (i * 37 % 251) as u8;
    let gray = Array3::from_shape_fn((ROWS, 8, 10), |(i, y, x)| byte(i * 80 + y * 10 + x));
    let colors = Array4::from_shape_fn((ROWS, 3, 6, 6), |(i, c, y, x)| {
        byte(i * 108 + c * 36 + y * 6 + x)
    });
    // Rows of bytes that are no whole number of integers.
    let odd = gray.to_shape((ROWS, 80)).unwrap();
    let odd = odd.slice(burn_npy::ndarray::s![.., ..77]).to_owned();
    let labels = Array1::from_iter((0..ROWS).map(|row| row as u8));
    let (mean, std) = ([0.1, 0.2, 0.3], [0.4, 0.5, 0.6]);
    let scaled = || Convert::to::<f32>().divide(255.0);
    NpyDataset::from_tensor_slices((
        ("gray", gray),
        ("colors", colors),
        ("odd", odd),
        ("labels", labels),
    ))
    .and_then(|dataset| dataset.convert("gray", scaled()))
    .and_then(|dataset| dataset.convert("colors", scaled().normalize(&mean, &std)))
    .and_then(|dataset| dataset.convert("odd", scaled()))
    .unwrap()
}

type Found = (Vec<f32>, Vec<f32>, Vec<f32>, Vec<i64>, Vec<usize>);

fn found(batch: Images) -> Found {
    let count = batch.labels.dims()[0];
    assert_eq!(batch.gray.dims(), [count, 8, 10]);
    assert_eq!(batch.colors.dims(), [count, 3, 6, 6]);
    (
        batch.gray.into_data().iter().collect(),
        batch.colors.into_data().iter().collect(),
        batch.odd.into_data().iter().collect(),
        batch.labels.into_data().iter().collect(),
        batch.rows,
    )
}

fn epoch(loader: &Arc<Loader<Images>>) -> Vec<Found> {
    loader.iter().map(|batch| found(batch.unwrap())).collect()
}

/// Compares on a device, which converts `narrow` bytes a row itself.
pub(crate) fn the_batches_are_those_of_a_gather(device: &Device, narrow: usize) {
    let (train, _) = dataset().split(0.8, 3).unwrap();
    let build = |workers: usize, resident: bool| {
        train
            .loader::<Images>()
            .batch_size(7)
            .shuffle(5)
            .num_workers(workers)
            .set_device(device.clone())
            .resident(resident)
    };
    for workers in [0, 2] {
        let gathered = build(workers, false).try_build().unwrap();
        let resident = build(workers, true).try_build().unwrap();
        let mut bytes = Vec::new();
        for _ in 0..3 {
            let before = resident.report().uploaded_bytes();
            assert_eq!(epoch(&resident), epoch(&gathered));
            bytes.push(resident.report().uploaded_bytes() - before);
        }
        // The rows go to the device once, and then their numbers.
        let numbers = (train.len() * 4) as u64;
        let label = Tensor::<1, Int>::zeros([1], device)
            .into_data()
            .bytes()
            .len();
        let floats = 4 * (80 + 108 + 77) - 3 * narrow + label;
        assert_eq!(
            bytes,
            [(train.len() * floats) as u64 + numbers, numbers, numbers]
        );

        // A state goes from one to the other.
        let mut pass = gathered.iter();
        pass.nth(2).unwrap().unwrap();
        let resumed = build(workers, true)
            .resume(pass.state())
            .try_build()
            .unwrap();
        let rest: Vec<_> = pass.map(|batch| found(batch.unwrap())).collect();
        assert_eq!(epoch(&resumed), rest);
        assert_eq!(
            found(resident.batch_at(1, 4).unwrap()),
            found(gathered.batch_at(1, 4).unwrap())
        );
    }
}

#[test]
fn on_the_cpu() {
    the_batches_are_those_of_a_gather(&cpu(), 0);
}

#[test]
fn what_cannot_stay_is_refused() {
    let refused = |error: burn_npy::Error| {
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert!(
            error.to_string().contains("leave out resident(true)"),
            "{error}"
        );
    };
    let same = transform::from_fn::<f32, f32>(|row, mut out, _| {
        out.assign(&row);
        Ok(())
    });
    let mapped = dataset().map("gray", same).unwrap();
    refused(
        mapped
            .loader::<Images>()
            .resident(true)
            .try_build()
            .unwrap_err(),
    );
    let composed = ComposedDataset::new(vec![dataset(), dataset()]);
    let batcher = burn_npy::NpyBatcher::<Images>::new();
    let builder = burn_npy::DataLoaderBuilder::new(batcher).resident(true);
    refused(builder.try_build(composed).unwrap_err());

    let texts = NpyDataset::from_lengths("0", vec![1_i64, 2, 3], vec![1_i64, 2]).unwrap();
    let builder = texts.loader::<Tensor<2, Int>>().resident(true);
    refused(builder.try_build().unwrap_err());

    // A value that does not fit is an error of the batch that needs the column.
    let labels = Array1::from(vec![1.0_f32, f32::NAN]);
    let labels = NpyDataset::from_tensor_slices(labels)
        .and_then(|labels| labels.convert("0", Convert::to::<i32>()))
        .unwrap();
    let loader = labels
        .loader::<Tensor<1, Int>>()
        .resident(true)
        .set_device(cpu());
    let error = loader
        .try_build()
        .unwrap()
        .iter()
        .next()
        .unwrap()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Value);
    assert!(error.to_string().contains("row 1"), "{error}");
}
