//! Passes over rows of any length: filters, sorts and statistics against naive ones.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use burn_npy::ndarray::{Array1, Array2};
use burn_npy::transform::{self, Truncate};
use burn_npy::{Array, Convert, ErrorKind, NpyDataset, Sampler};

/// Rows for many blocks. Some have no items, and one is larger than a block.
fn rows() -> Vec<Vec<i64>> {
    let row = |row: usize| {
        let len = match row {
            4321 => 400_000,
            _ => row * 7919 % 131,
        };
        let token = |item| ((row * 31 + item * 17) % 97) as i64 - 48;
        (0..len).map(token).collect()
    };
    (0..20_000).map(row).collect()
}

fn tokens(rows: &[Vec<i64>]) -> NpyDataset {
    let lengths: Vec<u64> = rows.iter().map(|row| row.len() as u64).collect();
    NpyDataset::from_lengths("tokens", rows.concat(), lengths).unwrap()
}

fn read(dataset: &NpyDataset) -> (Vec<i64>, Vec<u64>) {
    let lengths = dataset.lengths("tokens").unwrap();
    let (items, _) = dataset.read_ragged::<i64>("tokens").unwrap();
    (items.into_raw_vec_and_offset().0, lengths)
}

fn twin(rows: &[Vec<i64>]) -> (Vec<i64>, Vec<u64>) {
    let lengths = rows.iter().map(|row| row.len() as u64);
    (rows.concat(), lengths.collect())
}

#[test]
fn filters_and_sorts_are_their_naive_twins() {
    let mut rows = rows();
    // Two files, the second of them empty, and rows in another order.
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tokens.npy");
    burn_npy::file::write_npy(&path, &Array1::from(rows.concat())).unwrap();
    let lengths: Vec<u64> = rows.iter().map(|row| row.len() as u64).collect();
    let mapped = NpyDataset::from_lengths("tokens", Array::open(&path).unwrap(), lengths).unwrap();
    let none = tokens(&[vec![], vec![]]);
    let dataset = NpyDataset::concat([mapped, none]).unwrap();
    let dataset = dataset.rows((0..dataset.len()).rev()).unwrap();
    rows.extend([vec![], vec![]]);
    rows.reverse();
    assert!(read(&dataset) == twin(&rows));

    let keep = |row: &[i64]| row.len() != 50 && row.iter().sum::<i64>() % 3 == 0;
    let kept = dataset.filter("tokens", keep).unwrap();
    let mut kept_rows = rows.clone();
    kept_rows.retain(|row| keep(row));
    assert!(kept_rows.len() > 5000 && kept_rows.iter().any(Vec::is_empty));
    assert!(read(&kept) == twin(&kept_rows));

    let key = |row: &[i64]| (Reverse(row.len()), row.first().copied());
    let sorted = kept.sort_by_key("tokens", key).unwrap();
    kept_rows.sort_by_key(|row| key(row));
    assert!(read(&sorted) == twin(&kept_rows));

    // What transforms make, and then conversions.
    let short = dataset.map("tokens", Truncate::new(7)).unwrap();
    let short = short.convert("tokens", Convert::to::<f32>()).unwrap();
    let keep = |row: &[f32]| row.len() == 7 && row[6] > 0.0;
    let kept = short.filter("tokens", keep).unwrap();
    let twins = rows.iter().filter(|row| row.len() >= 7 && row[6] > 0);
    let twins: Vec<f32> = twins.flat_map(|row| &row[..7]).map(|x| *x as f32).collect();
    let (items, _) = kept.read_ragged::<f32>("tokens").unwrap();
    assert!(twins.len() > 10_000 && items.iter().eq(&twins));

    // A text that is too long for a batch is left out.
    let lengths = |dataset: &NpyDataset| dataset.lengths("tokens").unwrap();
    Sampler::max_tokens(lengths(&dataset), 512, 1).unwrap_err();
    let fits = dataset.filter("tokens", |row: &[i64]| row.len() <= 512);
    Sampler::max_tokens(lengths(&fits.unwrap()), 512, 1).unwrap();

    // Rows of one shape are sorted by keys too.
    let table = Array2::from_shape_fn((1000, 3), |(row, j)| (row * 37 + j * 5) as i64 % 101);
    let sorted = NpyDataset::from_arrays([("t", table.clone())]).unwrap();
    let sorted = sorted.sort_by_key("t", |row: &[i64]| (row[2], Reverse(row[0])));
    let mut twin: Vec<_> = table.outer_iter().collect();
    twin.sort_by_key(|row| (row[2], Reverse(row[0])));
    let sorted = sorted.unwrap().read::<i64>("t").unwrap();
    assert!(sorted.iter().eq(twin.iter().flat_map(|row| row.iter())));
}

#[test]
fn a_row_comes_with_the_elements_of_its_items() {
    let points = Array2::from_shape_fn((6, 2), |(item, axis)| (10 * item + axis) as i32);
    let clouds = NpyDataset::from_lengths("points", points, vec![2, 0, 3, 1]).unwrap();
    let seen = std::sync::Mutex::new(Vec::new());
    let kept = clouds.filter("points", |row: &[i32]| {
        seen.lock().unwrap().push(row.to_vec());
        row.is_empty() || row[0] == 50
    });
    assert_eq!(kept.unwrap().lengths("points").unwrap(), [0, 1]);
    let seen = seen.into_inner().unwrap();
    let expected: [&[i32]; 4] = [&[0, 1, 10, 11], &[], &[20, 21, 30, 31, 40, 41], &[50, 51]];
    assert_eq!(seen, expected);
    // Items without elements.
    let hollow = NpyDataset::from_lengths("x", Array2::<u8>::zeros((5, 0)), vec![5, 0]).unwrap();
    let kept = hollow.filter("x", |row: &[u8]| row.is_empty()).unwrap();
    assert_eq!((kept.len(), hollow.stats("x").unwrap().count()), (2, 0));
    let none = hollow.take(0).filter("x", |_: &[u8]| true).unwrap();
    assert_eq!(none.len(), 0);
}

#[test]
fn statistics_are_those_of_all_items() {
    let rows = rows();
    let dataset = tokens(&rows).skip(3).step(2).unwrap();
    let items: Vec<i64> = rows.iter().skip(3).step_by(2).flatten().copied().collect();
    let stats = dataset.stats("tokens").unwrap();
    let mean = items.iter().sum::<i64>() as f64 / items.len() as f64;
    let square = |item: &i64| (*item as f64 - mean).powi(2);
    let std = (items.iter().map(square).sum::<f64>() / items.len() as f64).sqrt();
    assert_eq!(stats.count(), items.len() as u64);
    assert_eq!((stats.min(), stats.max()), (-48.0, 48.0));
    assert!((stats.mean() - mean).abs() < 1e-9 && (stats.std() - std).abs() < 1e-9);

    let mut counts = BTreeMap::new();
    items
        .iter()
        .for_each(|item| *counts.entry(*item).or_insert(0) += 1);
    assert_eq!(dataset.class_counts("tokens").unwrap(), counts);

    let classes = tokens(&[vec![0, 2, 0], vec![], vec![0]]);
    let weights = classes.class_weights("tokens", 4).unwrap();
    assert_eq!(weights, [4.0 / 6.0, 1.0, 2.0, 1.0]);
    let error = classes.class_weights("tokens", 2).unwrap_err();
    let message = "1 items of class 2, but the classes are below 2, from 0 on";
    assert_eq!(error.message(), message);
    let points = Array2::<i32>::zeros((3, 2));
    let points = NpyDataset::from_lengths("tokens", points, vec![3]).unwrap();
    let floats = dataset.convert("tokens", Convert::to::<f32>()).unwrap();
    for (dataset, kind) in [(points, ErrorKind::Shape), (floats, ErrorKind::Dtype)] {
        let error = dataset.class_counts("tokens").unwrap_err();
        assert_eq!((error.kind(), error.array()), (kind, Some("tokens")));
    }
}

#[test]
fn what_fails_names_the_first_row() {
    let rows = rows();
    let floats = rows.concat().into_iter().map(|token| match token {
        48 => f32::NAN,
        token => token as f32,
    });
    let lengths: Vec<u64> = rows.iter().map(|row| row.len() as u64).collect();
    let floats = Array1::from_iter(floats);
    let dataset = NpyDataset::from_lengths("tokens", floats, lengths).unwrap();
    let whole = dataset.convert("tokens", Convert::to::<i64>()).unwrap();
    let first = rows.iter().position(|row| row.contains(&48)).unwrap();
    for found in [
        whole.filter("tokens", |_: &[i64]| true).map(drop),
        whole
            .sort_by_key("tokens", |row: &[i64]| row.len())
            .map(drop),
        whole.stats("tokens").map(drop),
        whole.class_counts("tokens").map(drop),
    ] {
        let error = found.unwrap_err();
        assert_eq!(
            (error.kind(), error.array()),
            (ErrorKind::Value, Some("tokens"))
        );
        let named = error.message().contains(&format!("row {first}, element "));
        assert!(named && error.message().contains("NaN"), "{error}");
    }

    let fail = transform::from_fn::<f32, f32>(|row, mut out, _| {
        out.assign(&row);
        match row.len() {
            100 => Err("a hundred".into()),
            _ => Ok(()),
        }
    });
    let failing = dataset.map("tokens", fail).unwrap();
    let error = failing.filter("tokens", |_: &[f32]| true).unwrap_err();
    assert_eq!(
        (error.kind(), error.array()),
        (ErrorKind::Transform, Some("tokens"))
    );

    let keep = |row: &[f32]| assert_ne!(row.len(), 400_000, "row 4321");
    let panic = catch_unwind(AssertUnwindSafe(|| {
        dataset.filter("tokens", |row: &[f32]| {
            keep(row);
            true
        })
    }));
    let panic = panic.unwrap_err();
    assert!(panic.downcast_ref::<String>().unwrap().contains("row 4321"));

    let refused = [
        dataset.filter("tokens", |_: &[u8]| true).map(drop),
        dataset.sort_by_key("tokens", |_: &[u8]| 0).map(drop),
        dataset.sort_by("tokens").map(drop),
        dataset.stats_axis("tokens", 0).map(drop),
        dataset.filter("text", |_: &[f32]| true).map(drop),
    ];
    let expected = [
        (ErrorKind::Dtype, "the column is float32, asked for uint8"),
        (ErrorKind::Dtype, "the column is float32, asked for uint8"),
        (
            ErrorKind::Usage,
            "sort_by_key sorts by what a function makes",
        ),
        (ErrorKind::Usage, "this needs rows of one shape"),
        (ErrorKind::Name, "no such column"),
    ];
    for (found, (kind, message)) in refused.into_iter().zip(expected) {
        let error = found.unwrap_err();
        assert!(
            error.kind() == kind && error.message().contains(message),
            "{error}"
        );
        assert!(error.array().is_some());
    }
}
