//! Batches that are borrowed: no copy, and no way to change what they lie in.

use std::sync::Arc;

use burn::tensor::{Int, Tensor};
use burn_npy::ndarray::{Array2, Array3};
use burn_npy::transform::{Truncate, from_fn};
use burn_npy::{
    Array, DataLoaderBuilder, ErrorKind, Loader, NpyBatcher, NpyDataset, Result, Windows,
    file::write_npy,
};

fn values() -> Array2<f32> {
    Array2::from_shape_fn((100, 64), |(i, j)| (i * 64 + j) as f32)
}

fn loader(dataset: NpyDataset, workers: usize) -> Arc<Loader<Tensor<2>>> {
    DataLoaderBuilder::new(NpyBatcher::new())
        .batch_size(16)
        .num_workers(workers)
        .set_device(crate::cpu())
        .try_build(dataset)
        .unwrap()
}

/// Where the values of a batch of neighbouring rows lie. Flex gives back the memory that a tensor
/// was made of.
#[cfg(not(feature = "ndarray"))]
fn address(dataset: &NpyDataset, rows: impl Iterator<Item = usize>) -> usize {
    let rows: Vec<_> = rows.map(|row| dataset.row(row)).collect();
    let batcher = NpyBatcher::<Tensor<2>>::new();
    let batch = batcher.try_batch(&rows, &crate::cpu()).unwrap();
    batch.into_data().bytes().as_ptr().addr()
}

#[test]
fn batches_of_an_array_in_memory_lie_in_it() {
    let values = values();
    #[cfg(not(feature = "ndarray"))]
    let start = values.as_ptr().addr();
    let dataset = NpyDataset::from_tensor_slices(values).unwrap();
    for workers in [0, 2] {
        let mut row = 0;
        for batch in loader(dataset.clone(), workers).iter() {
            let batch = batch.unwrap();
            // As the loader made it; what a backend gives back may be a copy that it made for that.
            let rows = batch.dims()[0];
            let expected: Vec<f32> = (row * 64..(row + rows) * 64).map(|x| x as f32).collect();
            assert_eq!(batch.into_data().try_to_vec::<f32>().unwrap(), expected);
            row += rows;
        }
        assert_eq!(row, 100);
    }
    #[cfg(not(feature = "ndarray"))]
    {
        let whole = start..start + 100 * 64 * 4;
        assert_eq!(address(&dataset, 10..20), start + 10 * 64 * 4);
        // Rows in another order are gathered.
        assert!(!whole.contains(&address(&dataset, (10..20).rev())));
    }
}

#[test]
fn a_tensor_that_is_changed_leaves_array_and_file_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("values.npy");
    write_npy(&path, &values()).unwrap();
    let before = std::fs::read(&path).unwrap();
    let mapped = NpyDataset::open(&path).unwrap();
    // SAFETY: the file is this test's own, and stays.
    #[allow(unsafe_code)]
    let vouched = unsafe { mapped.assume_unchanged() };
    let memory = NpyDataset::from_tensor_slices(values()).unwrap();
    for dataset in [vouched, memory] {
        for workers in [0, 2] {
            for batch in loader(dataset.clone(), workers).iter() {
                // In place, where the backend can.
                let changed = batch.unwrap().mul_scalar(0.0).add_scalar(-1.0);
                let ones = Tensor::<2>::ones(changed.dims(), &crate::cpu());
                let changed = changed.slice_assign([0..1, 0..64], ones.slice([0..1, 0..64]));
                assert_eq!(changed.dims()[1], 64);
            }
        }
        let sum: f32 = loader(dataset, 0)
            .iter()
            .map(|batch| batch.unwrap().sum().into_scalar::<f32>())
            .sum();
        assert_eq!(sum, (0..6400).sum::<i32>() as f32);
    }
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
#[cfg(not(feature = "ndarray"))]
fn mapped_files_are_borrowed_on_somebodys_word_only() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("values.npy");
    write_npy(&path, &values()).unwrap();
    let mapped = NpyDataset::open(&path).unwrap();
    // SAFETY: the file is this test's own, and stays.
    #[allow(unsafe_code)]
    let vouched = unsafe { mapped.assume_unchanged() };
    // A map begins on a page; the data begin after a header of 128 bytes.
    let place = 128 + 10 * 64 * 4;
    let of_vouched = [10..20, 20..30].map(|rows| address(&vouched, rows));
    assert_eq!(of_vouched[0] % 4096, place);
    assert_eq!(of_vouched[1] - of_vouched[0], 10 * 64 * 4);
    // A copy comes back to the pool and is used again.
    let batcher = NpyBatcher::<Tensor<2>>::new();
    let copied = |rows: std::ops::Range<usize>| {
        let rows: Vec<_> = rows.map(|row| mapped.row(row)).collect();
        let batch = batcher.try_batch(&rows, &crate::cpu()).unwrap();
        batch.into_data().bytes().as_ptr().addr()
    };
    assert_eq!(copied(10..20), copied(20..30));
}

#[test]
fn a_batch_outlives_dataset_and_loader() {
    let values = Array3::from_shape_fn((10, 2, 2), |(i, y, x)| (i * 4 + y * 2 + x) as i64);
    let array = Array::from(values);
    let dataset = NpyDataset::from_arrays([("x", array)]).unwrap();
    let loader = DataLoaderBuilder::new(NpyBatcher::<Tensor<3, Int>>::new())
        .batch_size(4)
        .set_device(crate::cpu())
        .try_build(dataset)
        .unwrap();
    let batch = loader.iter().next().unwrap().unwrap();
    drop(loader);
    let found: Vec<i64> = batch.into_data().iter().collect();
    assert_eq!(found, (0..16).collect::<Vec<_>>());
}

/// The same dataset, on this test's word.
fn vouched(dataset: &NpyDataset) -> NpyDataset {
    // SAFETY: the folders are the test's own, and the bytes of their files do not change.
    #[allow(unsafe_code)]
    unsafe {
        dataset.assume_unchanged()
    }
}

/// Each row of the columns `x` and `y`, of which there may be one.
fn read(dataset: &NpyDataset) -> Result<Vec<f32>> {
    let mut numbers = Vec::new();
    for row in 0..dataset.len() {
        for name in ["x", "y"] {
            match dataset.row(row).get::<f32>(name) {
                Err(error) if error.kind() == ErrorKind::Name => {}
                found => numbers.extend(found?),
            }
        }
    }
    Ok(numbers)
}

/// The bytes stay, so that the promise is kept; that the files were touched is what a check finds.
#[test]
fn the_promise_holds_before_and_after_each_verb() {
    let dir = tempfile::tempdir().unwrap();
    let paths = ["a", "b"].map(|name| dir.path().join(name).with_extension("npy"));
    for path in &paths {
        write_npy(path, &values()).unwrap();
    }
    let named_x = |data: NpyDataset| {
        let name = data.columns().next().unwrap().0;
        data.rename(name, "x").unwrap()
    };
    let rows = || named_x(NpyDataset::open(&paths[0]).unwrap());
    let shards = || named_x(NpyDataset::from_shards(&paths).unwrap());
    let texts = || {
        let items = Array::open(&paths[0]).unwrap();
        NpyDataset::from_lengths("x", items, vec![40, 0, 60]).unwrap()
    };
    let all_texts = || NpyDataset::concat([texts(), texts()]).unwrap();
    let twice = || {
        from_fn::<f32, f32>(|row, mut out, _| {
            out.assign(&(&row * 2.0));
            Ok(())
        })
    };
    type Verb<'a> = (
        &'a str,
        &'a dyn Fn() -> NpyDataset,
        &'a dyn Fn(NpyDataset) -> NpyDataset,
    );
    let zipped = |data: NpyDataset| {
        let other = data.rename("x", "y").unwrap().rows((0..100).rev()).unwrap();
        data.zip(&other).unwrap()
    };
    let windows = |data: NpyDataset| data.windows(Windows::new(3).stride(2)).unwrap();
    let cases: [Verb; 15] = [
        ("rows", &rows, &|data| data.rows([3, 1]).unwrap()),
        ("shards", &shards, &|data| data),
        ("concat", &rows, &|data| {
            NpyDataset::concat([data.clone(), data]).unwrap()
        }),
        ("map", &rows, &|data| data.map("x", twice()).unwrap()),
        ("map of shards", &shards, &|data| {
            data.map("x", twice()).unwrap()
        }),
        ("rows and zip", &rows, &zipped),
        ("windows", &rows, &windows),
        ("windows of shards", &shards, &windows),
        ("permute", &rows, &|data| {
            data.reshape("x", &[8, 8])
                .unwrap()
                .permute("x", &[1, 0])
                .unwrap()
        }),
        ("mix", &rows, &|data| {
            NpyDataset::mix([(data.clone(), 1.0), (data, 2.0)]).unwrap()
        }),
        ("texts", &texts, &|data| data),
        ("concat of texts", &all_texts, &|data| {
            data.rows([5, 0]).unwrap()
        }),
        ("map of texts", &all_texts, &|data| {
            let data = data.map("x", twice()).unwrap();
            data.map("x", Truncate::new(50)).unwrap()
        }),
        ("windows of texts", &all_texts, &windows),
        ("pack", &texts, &|data| {
            data.pack("x", 32).unwrap().select(["x"]).unwrap()
        }),
    ];
    let datasets = cases.map(|(name, open, verb)| {
        let checked = verb(open());
        let expected = read(&checked).unwrap();
        assert!(!expected.is_empty(), "{name}");
        let promised = [verb(vouched(&open())), vouched(&verb(open()))];
        (name, checked, promised, expected)
    });
    for path in &paths {
        let file = std::fs::File::options().write(true).open(path).unwrap();
        file.set_modified(std::time::UNIX_EPOCH).unwrap();
    }
    for (name, checked, promised, expected) in datasets {
        let error = read(&checked).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Changed, "{name}");
        for dataset in promised {
            assert_eq!(read(&dataset).unwrap(), expected, "{name}");
        }
    }
}
