//! Rows that cannot be had are skipped up to a limit, the same ones for any number of workers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use burn::data::dataloader::DataLoader;
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::{Dataset, DatasetError};
use burn::tensor::{Device, Int, Tensor};
use burn_npy::ndarray::Array1;
use burn_npy::{
    Array, DataLoaderBuilder, ErrorKind, Loader, NpyBatcher, NpyDataset, OnError, Row, State,
    file::write_npy,
};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use crate::{Indices, Keep, numbered, numbers, plain};

/// Rows of which every tenth, from the fifth on, fails.
struct Holes(usize);

impl Dataset<u64> for Holes {
    fn get(&self, index: usize) -> Result<u64, DatasetError> {
        match index % 10 {
            5 => Err(DatasetError::new(std::io::Error::other(format!(
                "hole {index}"
            )))),
            _ => Ok(index as u64),
        }
    }

    fn len(&self) -> usize {
        self.0
    }
}

fn builder(on_error: OnError) -> DataLoaderBuilder<u64, Vec<u64>> {
    plain().batch_size(8).shuffle(2).on_error(on_error)
}

/// The batches of a pass, the error that ended it, and the rows that were skipped up to there.
fn pass<O: Send + 'static>(loader: &Arc<Loader<O>>) -> (Vec<O>, Option<String>, Vec<u64>) {
    let mut pass = loader.iter();
    let mut batches = Vec::new();
    let mut error = None;
    for batch in pass.by_ref() {
        match batch {
            Ok(batch) => batches.push(batch),
            Err(failed) => assert!(error.replace(failed.to_string()).is_none()),
        }
    }
    assert_eq!(pass.state(), loader.state());
    let skipped = pass
        .state()
        .skipped()
        .iter()
        .map(|skipped| skipped.row)
        .collect();
    (batches, error, skipped)
}

#[test]
fn rows_are_skipped_up_to_a_count_or_a_rate() {
    let holes = [5, 15, 25, 35, 45, 55, 65, 75, 85, 95];
    for workers in [0, 1, 4] {
        for on_error in [OnError::SkipRows(10), OnError::SkipRate(0.1)] {
            let loader = builder(on_error)
                .num_workers(workers)
                .try_build(Holes(100))
                .unwrap();
            let order = builder(OnError::Fail).try_build(Indices(100)).unwrap();
            // The limit is one of different rows, so that epochs do not add up.
            for epoch in 0..3 {
                let (batches, error, skipped) = pass(&loader);
                assert_eq!((error, &skipped[..]), (None, &holes[..]));
                let whole = order.epoch(epoch).map(Result::unwrap);
                let expected: Vec<Vec<u64>> = whole
                    .map(|batch| batch.into_iter().filter(|row| row % 10 != 5).collect())
                    .collect();
                assert_eq!(batches, expected);
                assert_eq!(loader.batch_at(epoch, 3).unwrap(), expected[3]);
            }
            let skipped = loader.state();
            let first = &skipped.skipped()[0];
            assert_eq!((first.row, first.epoch, &*first.reason), (5, 0, "hole 5"));
            assert!(order.info_at(0, first.batch).rows().contains(&5));
        }
    }
}

#[test]
fn a_function_of_batches_gets_no_row_alone() {
    for workers in [0, 2] {
        let loader = builder(OnError::SkipRows(10))
            .num_workers(workers)
            .map(|batch, info| {
                assert!(batch.len() > 1 && batch.len() == info.rows().len());
                batch
            })
            .try_build(Holes(100))
            .unwrap();
        let (batches, error, skipped) = pass(&loader);
        assert_eq!((error, skipped.len()), (None, 10));
        assert_eq!(batches.concat().len(), 90);
    }
}

#[test]
fn a_loader_knows_what_its_copies_skipped() {
    let loader = builder(OnError::SkipRows(10))
        .try_build(Holes(100))
        .unwrap();
    let rows = || -> Vec<u64> { loader.skipped().iter().map(|skipped| skipped.row).collect() };
    assert_eq!(rows(), [0_u64; 0]);
    // Of a copy nothing else can be asked, neither of a slice.
    let slice = loader.slice(0, 50);
    slice.iter().for_each(|batch| drop(batch.unwrap()));
    let some = rows();
    assert!(!some.is_empty() && some.len() < 10);
    let copy = loader.to_device(&crate::cpu());
    copy.iter().for_each(|batch| drop(batch.unwrap()));
    assert_eq!(rows(), [5, 15, 25, 35, 45, 55, 65, 75, 85, 95]);
    // The loader itself has not moved, so there is nothing in its state.
    assert_eq!(loader.state().skipped(), []);
    // What a state says is known.
    let mut pass = loader.iter();
    pass.by_ref().for_each(|batch| drop(batch.unwrap()));
    let resumed = builder(OnError::SkipRows(10)).resume(pass.state());
    assert_eq!(
        resumed.try_build(Holes(100)).unwrap().skipped(),
        loader.skipped()
    );
}

#[test]
fn one_row_too_many_is_an_error_that_names_it() {
    let expected = {
        let order = builder(OnError::Fail).try_build(Indices(100)).unwrap();
        let rows: Vec<u64> = order.epoch(0).flat_map(Result::unwrap).collect();
        let bad = rows
            .iter()
            .enumerate()
            .filter(|(_, row)| **row % 10 == 5)
            .nth(4);
        let (at, row) = bad.unwrap();
        let batch = at / 8;
        let message = format!(
            "epoch 0, batch {batch}, row {row}, one more than the 4 rows that may be skipped: \
             hole {row}"
        );
        (batch, message)
    };
    for workers in [0, 1, 4] {
        for on_error in [OnError::SkipRows(4), OnError::SkipRate(0.045)] {
            let loader = builder(on_error)
                .num_workers(workers)
                .try_build(Holes(100))
                .unwrap();
            let (batches, error, skipped) = pass(&loader);
            assert_eq!(
                (batches.len(), error),
                (expected.0, Some(expected.1.clone()))
            );
            assert!(skipped.len() <= 4);
            // The failed batch does not count, so it is where the loader goes on.
            assert_eq!(loader.state().position() as usize, 8 * expected.0);
        }
    }
    let error = builder(OnError::SkipRate(1.5))
        .try_build(Holes(10))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
}

#[test]
fn the_ledger_is_part_of_the_state() {
    let loader = builder(OnError::SkipRows(10))
        .try_build(Holes(100))
        .unwrap();
    let mut half = loader.iter();
    half.by_ref().take(6).for_each(drop);
    let saved = serde_json::to_string(&half.state()).unwrap();
    let state: State = serde_json::from_str(&saved).unwrap();
    let known = state.skipped().len();
    assert!((1..10).contains(&known), "{known}");

    for workers in [0, 3] {
        let resumed = builder(OnError::SkipRows(10))
            .num_workers(workers)
            .resume(state.clone())
            .try_build(Holes(100))
            .unwrap();
        let (_, error, skipped) = pass(&resumed);
        assert_eq!((error, skipped.len()), (None, 10));
        // With a lower limit, what was skipped before counts.
        let strict = builder(OnError::SkipRows(known as u64))
            .num_workers(workers)
            .resume(state.clone())
            .try_build(Holes(100))
            .unwrap();
        let (_, error, skipped) = pass(&strict);
        assert!(error.unwrap().contains("one more than the"));
        assert_eq!(skipped.len(), known);
        let stricter = builder(OnError::SkipRows(0))
            .resume(state.clone())
            .try_build(Holes(100))
            .unwrap();
        assert!(pass(&stricter).1.is_some());
    }
}

#[test]
fn a_batch_of_which_nothing_is_left_is_left_out() {
    for workers in [0, 2] {
        let loader = plain()
            .on_error(OnError::SkipRows(100))
            .num_workers(workers)
            .try_build(Holes(26))
            .unwrap();
        let (batches, error, skipped) = pass(&loader);
        assert_eq!((batches.len(), error), (23, None));
        assert_eq!(skipped, [5, 15, 25]);
        assert_eq!(loader.state().epoch(), 1);
        let error = loader.batch_at(0, 5).unwrap_err();
        assert_eq!(error.to_string(), "epoch 0, batch 5, row 5: hole 5");
    }
}

/// Panics over odd rows, and over batches of more than three.
#[derive(Clone)]
struct Odd(Arc<AtomicUsize>);

impl Batcher<u64, Vec<u64>> for Odd {
    fn batch(&self, items: Vec<u64>, _: &Device) -> Vec<u64> {
        self.0.fetch_add(1, Ordering::SeqCst);
        assert!(items.iter().all(|row| row % 2 == 0), "odd");
        assert!(items.len() <= 3, "too many");
        items
    }
}

#[test]
fn a_batcher_that_panics_over_a_row_loses_the_row() {
    let loader = |batch_size| {
        DataLoaderBuilder::new(Odd(Arc::default()))
            .batch_size(batch_size)
            .on_error(OnError::SkipRate(0.5))
            .set_device(crate::cpu())
            .try_build(Indices(12))
            .unwrap()
    };
    let (batches, error, _) = pass(&loader(6));
    assert_eq!(
        (batches, error),
        (vec![vec![0, 2, 4], vec![6, 8, 10]], None)
    );
    // Of eight, four are left, and they are still too many: no row is to blame.
    let (batches, error, _) = pass(&loader(8));
    assert!(batches.is_empty());
    assert_eq!(
        error.unwrap(),
        "epoch 0, batch 0: the batcher panicked: too many"
    );

    // Nothing is tried twice if failures are not skipped.
    let batcher = Odd(Arc::default());
    let raising = DataLoaderBuilder::new(batcher.clone()).batch_size(6);
    assert_eq!(pass(&raising.try_build(Indices(12)).unwrap()).0.len(), 0);
    assert_eq!(batcher.0.load(Ordering::SeqCst), 1);
}

/// A file for each row, of which some are not there.
struct Files(std::path::PathBuf);

impl Dataset<Row> for Files {
    fn get(&self, index: usize) -> Result<Row, DatasetError> {
        let open = || {
            let array = Array::open(self.0.join(format!("{index}.npy")))?;
            Ok::<_, burn_npy::Error>(NpyDataset::from_arrays([("x", array)])?.row(0))
        };
        open().map_err(DatasetError::new)
    }

    fn len(&self) -> usize {
        20
    }
}

#[test]
fn the_error_names_the_file() {
    let dir = tempfile::tempdir().unwrap();
    for row in (0..20).filter(|row| row % 7 != 3) {
        let row_of_its_own = burn_npy::ndarray::Array1::from(vec![row as i64]);
        burn_npy::file::write_npy(dir.path().join(format!("{row}.npy")), &row_of_its_own).unwrap();
    }
    let build = |rows| {
        DataLoaderBuilder::new(NpyBatcher::<Tensor<1, Int>>::new())
            .batch_size(4)
            .num_workers(2)
            .on_error(OnError::SkipRows(rows))
            .set_device(crate::cpu())
            .try_build(Files(dir.path().to_owned()))
            .unwrap()
    };
    let (batches, error, skipped) = pass(&build(3));
    let rows: Vec<i64> = batches.into_iter().flat_map(numbers).collect();
    assert_eq!(rows, (0..20).filter(|row| row % 7 != 3).collect::<Vec<_>>());
    assert_eq!((error, &skipped[..]), (None, &[3, 10, 17][..]));
    let message = pass(&build(2)).1.unwrap();
    assert!(
        message.starts_with("epoch 0, batch 4, row 17, one more than the 2 rows"),
        "{message}"
    );
    assert!(message.contains("17.npy: "), "{message}");
}

#[test]
fn a_file_that_changed_is_never_skipped() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.npy");
    burn_npy::file::write_npy(&path, &burn_npy::ndarray::Array1::from_iter(0..1000_i64)).unwrap();
    let loader = crate::builder()
        .batch_size(10)
        .on_error(OnError::SkipRate(1.0))
        .try_build(NpyDataset::open(&path).unwrap())
        .unwrap();
    std::fs::File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(900)
        .unwrap();
    let error = loader.iter().next().unwrap().unwrap_err();
    assert_eq!(error.row(), None);
    assert_eq!(loader.iter().filter(Result::is_ok).count(), 0);
    assert!(loader.state().skipped().is_empty());
}

#[test]
fn what_does_not_fail_is_not_touched() {
    let loader = DataLoaderBuilder::new(Keep)
        .on_error(OnError::SkipRows(0))
        .set_device(crate::cpu())
        .try_build(Indices(10))
        .unwrap();
    assert_eq!(
        pass(&loader),
        ((0..10).map(|row| vec![row]).collect(), None, vec![])
    );
    let loader = crate::builder()
        .on_error(OnError::SkipRows(0))
        .try_build(numbered(10))
        .unwrap();
    assert_eq!(pass(&loader).0.len(), 10);
}

/// Rows of which any may fail.
#[derive(Clone)]
struct Patchy(Vec<bool>);

impl Dataset<u64> for Patchy {
    fn get(&self, index: usize) -> Result<u64, DatasetError> {
        if self.0[index] {
            Err(DatasetError::new(std::io::Error::other("bad")))
        } else {
            Ok(index as u64)
        }
    }

    fn len(&self) -> usize {
        self.0.len()
    }
}

/// Random holes and random limits, stopped and resumed with other workers: what comes is what a
/// vector says.
#[test]
fn what_is_skipped_is_what_a_vector_says() {
    const CASES: u64 = 500;
    let mut raised = 0;
    for seed in 0..CASES {
        let mut rng = StdRng::seed_from_u64(seed);
        let share = rng.random_range(0.0..0.6);
        let rows = rng.random_range(1..80);
        let dataset = Patchy((0..rows).map(|_| rng.random_bool(share)).collect());
        let bad = dataset.0.iter().filter(|bad| **bad).count();
        let limit = rng.random_range(0..=bad + 1);
        let batch_size = rng.random_range(1..9);
        let workers = [(); 2].map(|()| *[0, 1, 2, 7].choose(&mut rng).unwrap());
        let loader = |workers| {
            plain()
                .batch_size(batch_size)
                .shuffle(seed)
                .num_workers(workers)
                .on_error(OnError::SkipRows(limit as u64))
        };

        // Batch by batch, until there is one row too many.
        let whole = plain()
            .batch_size(batch_size)
            .shuffle(seed)
            .try_build(Indices(rows))
            .unwrap();
        let mut left = limit;
        let mut expected: Vec<Vec<u64>> = Vec::new();
        let mut fails = false;
        for batch in whole.epoch(0).map(Result::unwrap) {
            let (lost, kept): (Vec<u64>, Vec<u64>) =
                batch.into_iter().partition(|row| dataset.0[*row as usize]);
            fails = lost.len() > left;
            if fails {
                break;
            }
            left -= lost.len();
            if !kept.is_empty() {
                expected.push(kept);
            }
        }
        raised += usize::from(fails);

        let first = loader(workers[0]).try_build(dataset.clone()).unwrap();
        let stop = rng.random_range(0..=expected.len());
        let mut found: Vec<_> = first.iter().take(stop).map(Result::unwrap).collect();
        let second = loader(workers[1])
            .resume(first.state())
            .try_build(dataset)
            .unwrap();
        if second.next_epoch() == 0 {
            let (rest, error, skipped) = pass(&second);
            found.extend(rest);
            assert_eq!(error.is_some(), fails, "case {seed}");
            assert_eq!(skipped.len(), limit - left, "case {seed}");
        }
        assert_eq!(found, expected, "case {seed}");
    }
    println!("{CASES} random datasets with holes, {raised} of them with too many");
}

/// A dataset of a user that reads from ours, and passes its errors on.
struct Inner(NpyDataset);

impl Dataset<f32> for Inner {
    fn get(&self, index: usize) -> Result<f32, DatasetError> {
        let value = self.0.row(index).get::<f32>("x");
        value.map(|value| value[[]]).map_err(DatasetError::new)
    }

    fn len(&self) -> usize {
        self.0.len()
    }
}

#[test]
fn a_file_that_changed_is_no_row_to_skip() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.npy");
    let values = Array1::from_iter((0..100).map(|i| i as f32));
    write_npy(&path, &values).unwrap();
    for workers in [0, 2] {
        let loader = DataLoaderBuilder::new(Keep)
            .batch_size(8)
            .num_workers(workers)
            .on_error(OnError::SkipRate(1.0))
            .try_build(Inner(NpyDataset::open(&path).unwrap()))
            .unwrap();
        assert_eq!(pass(&loader).0.len(), 13);
        write_npy(&path, &(&values + 1.0)).unwrap();
        let (batches, error, skipped) = pass(&loader);
        assert_eq!((batches.len(), &skipped[..]), (0, &[][..]));
        let error = error.unwrap();
        assert!(error.contains("replaced by another file"), "{error}");
    }
}

/// A dataset that fails with an error of the system.
struct OutOf(std::io::ErrorKind);

impl Dataset<u64> for OutOf {
    fn get(&self, index: usize) -> Result<u64, DatasetError> {
        if index % 10 == 5 {
            let error = std::io::Error::other(std::io::Error::from(self.0));
            return Err(DatasetError::new(error));
        }
        Ok(index as u64)
    }

    fn len(&self) -> usize {
        100
    }
}

/// A dataset may have a file for each row, so a file that is not there is a row that is not there.
#[test]
fn what_concerns_every_row_is_no_row_to_skip() {
    use std::io::ErrorKind::{NotFound, OutOfMemory, PermissionDenied, StorageFull};
    for workers in [0, 2] {
        let loader = |kind| {
            let on_error = OnError::SkipRate(1.0);
            builder(on_error)
                .num_workers(workers)
                .try_build(OutOf(kind))
                .unwrap()
        };
        for kind in [NotFound, PermissionDenied] {
            let (_, error, skipped) = pass(&loader(kind));
            assert_eq!((error, skipped.len()), (None, 10), "{kind}");
        }
        for kind in [OutOfMemory, StorageFull] {
            let (_, error, skipped) = pass(&loader(kind));
            assert!(error.is_some_and(|error| error.ends_with(&kind.to_string())));
            assert_eq!(skipped, [0_u64; 0]);
        }
    }
}

#[test]
fn many_rows_of_a_very_large_batch_are_skipped() {
    let loader = builder(OnError::SkipRows(1 << 10)).batch_size(1 << 14);
    let (batches, error, skipped) = pass(&loader.try_build(Holes(10_000)).unwrap());
    assert_eq!(
        (batches[0].len(), error, skipped.len()),
        (9_000, None, 1_000)
    );
}
