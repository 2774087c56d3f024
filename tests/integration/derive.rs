//! A struct with `#[derive(Batch)]` has the columns that its fields name.

use burn::data::dataloader::DataLoaderBuilder as BurnBuilder;
use burn::data::dataset::transform::ComposedDataset;
use burn::tensor::{Bool, Int, Tensor};
use burn_npy::ndarray::{Array1, Array2};
use burn_npy::{
    Batch, Convert, DataLoaderBuilder, ErrorKind, NpyBatcher, NpyDataset, OnError, Sampler, Windows,
};

/// The fields are in another order than the columns, and one column is not used.
#[derive(Batch, Clone, Debug)]
struct Marked<const D: usize> {
    #[batch(file_rows)]
    rows: Vec<usize>,
    r#type: Tensor<1, Int>,
    #[batch(default)]
    note: Option<String>,
    #[batch(column = "a b")]
    values: Tensor<D>,
    odd: Tensor<1, Bool>,
}

const LEN: usize = 103;

fn dataset() -> NpyDataset {
    NpyDataset::from_tensor_slices((
        (
            "a b",
            Array2::from_shape_fn((LEN, 2), |(row, i)| (2 * row + i) as f64),
        ),
        ("unused", Array1::<u8>::zeros(LEN)),
        ("odd", Array1::from_iter((0..LEN).map(|row| row % 2 == 1))),
        ("type", Array1::from_iter((0..LEN).map(|row| row as u8))),
    ))
    .unwrap()
}

/// Every value says which row it is from. Returns the rows.
fn check(batch: &Marked<2>) -> Vec<usize> {
    let rows = &batch.rows;
    let found: Vec<usize> = batch
        .r#type
        .to_data()
        .iter::<i64>()
        .map(|x| x as usize)
        .collect();
    assert_eq!(&found, rows);
    let values: Vec<f64> = batch.values.to_data().iter::<f64>().collect();
    let expected = rows
        .iter()
        .flat_map(|row| [2.0 * *row as f64, 2.0 * *row as f64 + 1.0]);
    assert_eq!(values, expected.collect::<Vec<_>>());
    let odd: Vec<bool> = batch.odd.to_data().iter::<bool>().collect();
    assert_eq!(odd, rows.iter().map(|row| row % 2 == 1).collect::<Vec<_>>());
    assert!(batch.note.is_none());
    rows.clone()
}

#[test]
fn fields_get_their_columns_and_the_rows_of_the_file() {
    for workers in [0, 2] {
        let (train, _) = dataset().split(0.7, 3).unwrap();
        let expected: Vec<usize> = (0..train.len()).map(|row| train.row(row).index()).collect();
        let loader = train
            .loader::<Marked<2>>()
            .batch_size(7)
            .shuffle(1)
            .num_workers(workers)
            .set_device(crate::cpu())
            .try_build()
            .unwrap();
        assert_eq!((loader.len(), loader.num_items()), (11, 72));
        let mut all: Vec<usize> = loader.iter().flat_map(|it| check(&it.unwrap())).collect();
        assert_ne!(all, expected);
        let again: Vec<usize> = loader.epoch(0).flat_map(|it| check(&it.unwrap())).collect();
        assert_eq!(all, again);
        all.sort_unstable();
        let mut expected = expected;
        expected.sort_unstable();
        assert_eq!(all, expected);
    }
}

#[test]
fn rows_are_told_by_burns_loader_and_over_several_datasets_too() {
    let batcher = NpyBatcher::<Marked<2>>::new();
    let burns = BurnBuilder::new(batcher.clone())
        .batch_size(10)
        .shuffle(5)
        .set_device(crate::cpu())
        .build(dataset());
    let mut all: Vec<usize> = burns.iter().flat_map(|it| check(&it.unwrap())).collect();
    all.sort_unstable();
    assert_eq!(all, Vec::from_iter(0..LEN));

    let both = ComposedDataset::new(vec![dataset(), dataset().skip(100)]);
    let ours = DataLoaderBuilder::new(batcher)
        .batch_size(10)
        .set_device(crate::cpu())
        .build(both);
    let all: Vec<usize> = ours.iter().flat_map(|it| check(&it.unwrap())).collect();
    assert_eq!(all, Vec::from_iter((0..LEN).chain(100..LEN)));
}

#[test]
fn rows_that_are_skipped_are_not_told() {
    let labels = Array1::from_iter((0..40).map(|row| if row % 10 == 3 { 999 } else { row }));
    let dataset = NpyDataset::from_tensor_slices((("x", labels),)).unwrap();
    let dataset = dataset.convert("x", Convert::to::<u8>()).unwrap();
    #[derive(Batch)]
    struct X {
        x: Tensor<1, Int>,
        #[batch(file_rows)]
        rows: Vec<usize>,
    }
    let loader = dataset
        .loader::<X>()
        .batch_size(8)
        .on_error(OnError::SkipRows(4))
        .set_device(crate::cpu())
        .try_build()
        .unwrap();
    let mut all = Vec::new();
    for batch in loader.iter() {
        let batch = batch.unwrap();
        let x: Vec<usize> = batch
            .x
            .to_data()
            .iter::<i64>()
            .map(|x| x as usize)
            .collect();
        assert_eq!(x, batch.rows);
        all.extend(batch.rows);
    }
    assert_eq!(all, Vec::from_iter((0..40).filter(|row| row % 10 != 3)));
}

#[test]
fn a_row_drawn_twice_is_told_twice_and_a_window_by_its_first_row() {
    #[derive(Batch)]
    struct X {
        x: Tensor<2, Int>,
        #[batch(file_rows)]
        rows: Vec<usize>,
    }
    let series = NpyDataset::from_tensor_slices((("x", Array1::from_iter(0..20_i32)),)).unwrap();
    let windows = series.windows(Windows::new(3).stride(2)).unwrap();
    let drawn = Sampler::sequential().index(vec![4_u64, 0, 4]).unwrap();
    let loader = windows
        .loader::<X>()
        .batch_size(3)
        .sampler(drawn)
        .set_device(crate::cpu())
        .try_build()
        .unwrap();
    let batch = loader.iter().next().unwrap().unwrap();
    assert_eq!(batch.rows, [8, 0, 8]);
    let x: Vec<i64> = batch.x.to_data().iter().collect();
    assert_eq!(x, [8, 9, 10, 0, 1, 2, 8, 9, 10]);
}

#[test]
fn a_column_that_is_not_there_is_an_error_when_the_loader_is_built() {
    let dataset = dataset().rename("type", "kind").unwrap();
    let error = dataset.loader::<Marked<2>>().try_build().unwrap_err();
    assert_eq!(
        (error.kind(), error.array()),
        (ErrorKind::Name, Some("type"))
    );
    let error = dataset.loader::<Marked<3>>().try_build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Name);
    let renamed = NpyBatcher::<Marked<2>>::new().with_columns(["kind", "a b", "odd"]);
    let loader = DataLoaderBuilder::new(renamed)
        .batch_size(4)
        .try_build(dataset)
        .unwrap();
    check(&loader.iter().next().unwrap().unwrap());
}

/// Elements become those of the device, unless the batcher is told to keep them.
#[test]
fn dtypes_are_those_of_the_device_or_of_the_columns() {
    let table = Array2::<f64>::ones((4, 2));
    let dataset = NpyDataset::from_tensor_slices((table, Array1::<u16>::ones(4))).unwrap();
    type Both = (Tensor<2>, Tensor<1, Int>);
    let device = crate::cpu();
    let settings = device.settings();
    let batcher = NpyBatcher::<Both>::new();
    let rows = [dataset.row(0)];
    let (floats, ints) = batcher.try_batch(&rows, &device).unwrap();
    assert_eq!(floats.dtype(), settings.float_dtype.into());
    assert_eq!(ints.dtype(), settings.int_dtype.into());
    if device.supports_dtype(burn::tensor::DType::U16) {
        let kept = batcher.keep_dtypes().try_batch(&rows, &device).unwrap();
        assert_eq!(kept.0.dtype(), burn::tensor::DType::F64);
        assert_eq!(kept.1.dtype(), burn::tensor::DType::U16);
    }
    // Integers do not become floats by themselves.
    let error = dataset
        .select(["1"])
        .unwrap()
        .loader::<Tensor<1>>()
        .try_build()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Dtype);
    assert!(
        error.to_string().contains("Convert::to::<f32>()"),
        "{error}"
    );
}
