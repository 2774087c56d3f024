//! Labels: every number becomes an integer that has its value, or an error of its row.
//!
//! `cargo test --test integration labels -- --nocapture` prints a table beside NumPy.

use std::path::Path;

use burn::tensor::{Device, Int, Tensor};
use burn_npy::ndarray::Array1;
use burn_npy::{
    Convert, DType, DataLoaderBuilder, Error, ErrorKind, NpyBatcher, NpyDataset, OnError,
    file::Column,
};

use crate::numpy::{python, run};
use crate::skip;

/// A row of a column of any integer dtype, as text.
fn integer(column: &Column, row: usize) -> Result<String, Error> {
    macro_rules! read {
        ($($dtype:ident $int:ty),*) => {
            match column.dtype() {
                $(DType::$dtype => column.row::<$int>(row).map(|value| value[[]].to_string()),)*
                other => panic!("{other} is no integer"),
            }
        };
    }
    read!(I8 i8, I16 i16, I32 i32, I64 i64, U8 u8, U16 u16, U32 u32, U64 u64)
}

#[test]
fn casts_to_integers_are_those_of_exact_arithmetic() {
    let Some(python) = python() else {
        return skip("there is no Python with NumPy");
    };
    let dir = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/numpy/labels.py");
    let printed = run(&python, &[script.as_ref(), dir.path().as_ref()]);
    let mut lines = 0;
    let mut differences = 0;
    println!(
        "| from | to | value | cast | saturating_cast | round | trunc | wrapping_cast | NumPy |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for line in printed.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [from, to, index, value, numpy, expected @ ..] = &words[..] else {
            panic!("{line}");
        };
        let whole = NpyDataset::open(dir.path().join(format!("{from}.npy"))).unwrap();
        let (_, column) = whole.columns().next().unwrap();
        let to: DType = to.parse().unwrap();
        let float = column.dtype().is_float();
        let fraction = |step: fn(Convert) -> Convert| {
            let convert = Convert::new();
            (if float { step(convert) } else { convert }).cast(to)
        };
        let ways = [
            Convert::new().cast(to),
            Convert::new().saturating_cast(to),
            fraction(Convert::round),
            fraction(Convert::trunc),
            Convert::new().wrapping_cast(to),
        ];
        let found = ways.map(|convert| {
            let column = match column.clone().convert(convert.clone()) {
                Ok(column) => column,
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Dtype, "{line}");
                    return "refused".to_owned();
                }
            };
            integer(&column, index.parse().unwrap()).unwrap_or_else(|error| {
                assert_eq!(error.kind(), ErrorKind::Value, "{line}");
                let message = error.message();
                assert!(
                    message.starts_with(&format!("row {index} of the file has ")),
                    "{message}"
                );
                "error".to_owned()
            })
        });
        assert_eq!(found, expected, "{line}");
        // What NumPy keeps we keep; where it gives another value we give none.
        if found[0] != "error" {
            assert_eq!(found[0], *numpy, "{line}");
        }
        differences += usize::from(found[0] == "error");
        lines += 1;
        if ["float64", "int64"].contains(from) && to == DType::I32 {
            println!(
                "| {from} | {to} | {value} | {} | {numpy} |",
                found.join(" | ")
            );
        }
    }
    println!("{lines} casts, {differences} of them errors where NumPy gives another value");
    assert!(lines > 1_000 && differences > 100);
}

fn dataset(labels: Vec<i64>) -> NpyDataset {
    NpyDataset::from_arrays([("ids", Array1::from(labels))]).unwrap()
}

#[test]
fn an_id_beyond_the_integers_of_the_device_is_an_error_of_its_row() {
    let ids = vec![0, (1 << 31) - 1, 1 << 31, (1 << 40) + 3, -1];
    let build = |batcher: NpyBatcher<Tensor<1, Int>>, on_error| {
        DataLoaderBuilder::new(batcher)
            .batch_size(5)
            .on_error(on_error)
            .set_device(Device::flex())
            .try_build(dataset(ids.clone()))
            .unwrap()
    };
    let values = |batch: Tensor<1, Int>| batch.into_data().iter::<i64>().collect::<Vec<_>>();
    let as_they_are = build(NpyBatcher::new().keep_dtypes(), OnError::default());
    let batch = as_they_are.iter().next().unwrap().unwrap();
    assert_eq!(values(batch), ids);

    let loader = build(NpyBatcher::new(), OnError::default());
    let error = loader.iter().next().unwrap().unwrap_err().to_string();
    let expected = "epoch 0, batch 0, row 2: `ids`: row 2 has 2147483648, but int32 goes from";
    assert!(error.starts_with(expected), "{error}");

    let loader = build(NpyBatcher::new(), OnError::SkipRows(2));
    let batch = loader.iter().next().unwrap().unwrap();
    assert_eq!(values(batch), [0, (1 << 31) - 1, -1]);
    let skipped: Vec<_> = loader.skipped().iter().map(|row| row.row).collect();
    assert_eq!(skipped, [2, 3]);
}

/// The rows of which the loader looks at some when it is built do not decide whether it is built.
#[test]
fn labels_that_are_missing_are_errors_of_their_rows_or_skipped() {
    let labels = Array1::from(vec![0.0, 1.0, f64::NAN, 2.0, f64::INFINITY]);
    let dataset = NpyDataset::from_arrays([("label", labels)])
        .and_then(|dataset| dataset.convert("label", Convert::to::<i64>()))
        .unwrap();
    let error = dataset.read::<i64>("label").unwrap_err();
    assert_eq!(
        (error.kind(), error.array()),
        (ErrorKind::Value, Some("label"))
    );
    assert!(error.message().starts_with("row 2 has NaN"), "{error}");
    let builder = || {
        DataLoaderBuilder::new(NpyBatcher::<Tensor<1, Int>>::new())
            .batch_size(2)
            .set_device(Device::flex())
    };
    let loader = builder().try_build(dataset.clone()).unwrap();
    let mut batches = loader.iter();
    batches.next().unwrap().unwrap();
    let error = batches.next().unwrap().unwrap_err().to_string();
    assert!(
        error.starts_with("epoch 0, batch 1, row 2: `label`: row 2 has NaN"),
        "{error}"
    );
    assert!(batches.next().is_none());

    for workers in [0, 2] {
        let builder = builder()
            .on_error(OnError::SkipRate(1.0))
            .num_workers(workers);
        let loader = builder.try_build(dataset.clone()).unwrap();
        let values = |batch: Tensor<1, Int>| batch.into_data().iter::<i64>().collect::<Vec<_>>();
        let batches: Vec<_> = loader.iter().map(|batch| values(batch.unwrap())).collect();
        assert_eq!(batches, [vec![0, 1], vec![2]]);
        assert_eq!(loader.skipped().len(), 2);
    }
}

/// Rows of several datasets give batches of one dtype, whatever the batch size, or an error.
#[test]
fn datasets_that_differ_are_refused_and_their_misfits_named() {
    use burn::data::dataset::transform::ComposedDataset;
    let parts = || {
        let wide = Array1::from(vec![1_i64, 2, 3, 4]);
        let narrow = Array1::from(vec![1_u8, 2, 3, 4]);
        vec![
            NpyDataset::from_arrays([("y", wide)]).unwrap(),
            NpyDataset::from_arrays([("y", narrow)]).unwrap(),
        ]
    };
    let build = |batcher: NpyBatcher<Tensor<1, Int>>, batch_size| {
        DataLoaderBuilder::new(batcher)
            .batch_size(batch_size)
            .set_device(Device::flex())
            .try_build(ComposedDataset::new(parts()))
            .unwrap()
    };
    for batch_size in [1, 3, 4, 8] {
        let loader = build(NpyBatcher::new().keep_dtypes(), batch_size);
        let error = loader.iter().find_map(Result::err).unwrap().to_string();
        assert!(
            error.contains("rows of U8 [] after rows of I64 []"),
            "{error}"
        );
        let loader = build(NpyBatcher::new(), batch_size);
        let rows: Vec<i64> = loader
            .iter()
            .flat_map(|batch| batch.unwrap().into_data().iter::<i64>().collect::<Vec<_>>())
            .collect();
        assert_eq!(rows, [1, 2, 3, 4, 1, 2, 3, 4]);
    }
    let ids = |ids: [i64; 3]| dataset(ids.to_vec());
    let composed = ComposedDataset::new(vec![ids([0, 1, 2]), ids([3, 1 << 40, 5])]);
    let loader = DataLoaderBuilder::new(NpyBatcher::<Tensor<1, Int>>::new())
        .batch_size(6)
        .set_device(Device::flex())
        .try_build(composed)
        .unwrap();
    let error = loader.iter().next().unwrap().unwrap_err().to_string();
    assert!(
        error.starts_with("epoch 0, batch 0, row 4: `ids`: row 1 has 1099511627776"),
        "{error}"
    );
}
