//! What a dataset of a user is asked for: the items of the epoch, and nothing else.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use burn::data::dataloader::DataLoader;
use burn::data::dataset::transform::{ComposedDataset, PartialDataset, SamplerDataset};
use burn::data::dataset::{Dataset, DatasetError};
use burn::tensor::{Int, Tensor};
use burn_npy::ndarray::{Array1, Array2};
use burn_npy::{Convert, DataLoaderBuilder, NpyBatcher, NpyDataset, OnError, Row, file::write_npy};

use crate::{batches, builder, numbered, numbers};

/// Rows that write down what is asked of them.
#[derive(Clone)]
struct Asked {
    rows: NpyDataset,
    /// The items of each call of `get_many`.
    many: Arc<Mutex<Vec<Vec<usize>>>>,
    /// Those of `get`.
    one: Arc<Mutex<Vec<usize>>>,
    fails: Arc<AtomicBool>,
}

impl Asked {
    fn new(len: usize) -> Self {
        Self {
            rows: numbered(len),
            many: Arc::default(),
            one: Arc::default(),
            fails: Arc::default(),
        }
    }

    fn take(&self) -> (Vec<usize>, Vec<usize>) {
        let many = std::mem::take(&mut *self.many.lock().unwrap());
        let mut many = many.concat();
        many.sort_unstable();
        (many, std::mem::take(&mut *self.one.lock().unwrap()))
    }
}

impl Dataset<Row> for Asked {
    fn get(&self, index: usize) -> Result<Row, DatasetError> {
        self.one.lock().unwrap().push(index);
        if self.fails.load(Ordering::SeqCst) && index == 13 {
            return Err(DatasetError::new(std::io::Error::other("no luck")));
        }
        Ok(self.rows.row(index))
    }

    fn get_many(&self, indices: Vec<usize>) -> Result<Vec<Row>, DatasetError> {
        self.many.lock().unwrap().push(indices.clone());
        if self.fails.load(Ordering::SeqCst) && indices.contains(&13) {
            return Err(DatasetError::new(std::io::Error::other("no luck")));
        }
        Ok(indices.into_iter().map(|row| self.rows.row(row)).collect())
    }

    fn len(&self) -> usize {
        self.rows.len()
    }
}

#[test]
fn each_item_is_asked_for_once_an_epoch() {
    for workers in [0, 1, 4] {
        let asked = Asked::new(50);
        let loader = builder()
            .batch_size(8)
            .shuffle(1)
            .num_workers(workers)
            .try_build(asked.clone())
            .unwrap();
        let copy = loader.to_device(&crate::cpu());
        let parts = [copy.slice(0, 20), copy.slice(20, 50)];
        assert_eq!((loader.num_items(), parts[1].num_items()), (50, 30));
        loader.info_at(0, 3);
        loader.locate(0, 7);
        loader.resume(&loader.state()).unwrap();
        println!("{loader:?} {}", loader.report());
        assert_eq!(asked.take(), (vec![], vec![]), "nobody wants a batch yet");
        let once: Vec<usize> = (0..50).collect();
        for _ in 0..3 {
            assert_eq!(batches(&*loader).concat().len(), 50);
            assert_eq!(asked.take(), (once.clone(), vec![]));
        }
        assert_eq!(
            parts.map(|part| batches(&*part)).concat().concat().len(),
            50
        );
        assert_eq!(asked.take(), (once.clone(), vec![]));
    }
}

#[test]
fn after_a_failure_the_items_of_its_batch_are_asked_for_again() {
    let asked = Asked::new(32);
    asked.fails.store(true, Ordering::SeqCst);
    let loader = builder().batch_size(8).try_build(asked.clone()).unwrap();
    let error = loader.iter().find_map(Result::err).unwrap().to_string();
    assert_eq!(error, "epoch 0, batch 1, row 13: no luck");
    let (many, one) = asked.take();
    assert_eq!(many, Vec::from_iter(0..16));
    assert_eq!(one, Vec::from_iter(8..=13));

    // Each alone, and then those that are left.
    let loader = builder()
        .batch_size(8)
        .on_error(OnError::SkipRows(1))
        .try_build(asked.clone())
        .unwrap();
    assert_eq!(batches(&*loader).concat().len(), 31);
    let calls = asked.many.lock().unwrap().clone();
    let of_batch = calls.iter().filter(|items| (8..16).contains(&items[0]));
    assert_eq!(of_batch.count(), 1 + 8 + 1);
}

#[test]
fn a_dataset_that_draws_without_replacement_gives_each_row_once() {
    for workers in [0, 2] {
        for _ in 0..20 {
            let sampled = SamplerDataset::<_, Row>::without_replacement(numbered(50), 50);
            let loader = builder()
                .batch_size(7)
                .num_workers(workers)
                .try_build(sampled)
                .unwrap()
                .to_device(&crate::cpu());
            for _ in 0..2 {
                let mut rows = batches(&*loader).concat();
                rows.sort_unstable();
                assert_eq!(rows, Vec::from_iter(0..50));
            }
        }
    }
}

/// How many batches were asked for, of rows that are large.
struct Large(NpyDataset, Arc<AtomicUsize>);

impl Dataset<Row> for Large {
    fn get(&self, index: usize) -> Result<Row, DatasetError> {
        Ok(self.0.row(index))
    }

    fn get_many(&self, indices: Vec<usize>) -> Result<Vec<Row>, DatasetError> {
        self.1.fetch_add(1, Ordering::SeqCst);
        Ok(indices.into_iter().map(|row| self.0.row(row)).collect())
    }

    fn len(&self) -> usize {
        self.0.len()
    }
}

#[test]
fn batches_ahead_are_bounded_in_bytes_as_soon_as_one_is_there() {
    const WORKERS: usize = 2;
    for (megabytes, most) in [(3, 3), (1, 1), (0, 1), (1000, 30)] {
        let table = Array2::<u8>::zeros((400, 64 << 10));
        let table = NpyDataset::from_tensor_slices(table).unwrap();
        let asked = Arc::default();
        let batcher = NpyBatcher::<Tensor<2, Int>>::new().keep_dtypes();
        let loader = DataLoaderBuilder::new(batcher)
            .batch_size(15)
            .num_workers(WORKERS)
            .prefetch(30)
            .prefetch_bytes(megabytes << 20)
            .set_device(crate::cpu())
            .try_build(Large(table, Arc::clone(&asked)))
            .unwrap();
        let mut pass = loader.iter();
        for yielded in 1..=3 {
            pass.next().unwrap().unwrap();
            let ahead = || asked.load(Ordering::SeqCst) - yielded;
            // The workers do what they may.
            for _ in 0..200 {
                std::thread::sleep(Duration::from_millis(1));
                let most = if yielded == 1 {
                    most.max(WORKERS)
                } else {
                    most
                };
                assert!(ahead() <= most, "{} ahead, for {megabytes} MiB", ahead());
            }
        }
        assert_eq!(asked.load(Ordering::SeqCst) > 10, megabytes == 1000);
        assert_eq!(pass.filter(|batch| batch.is_ok()).count(), 27 - 3);
    }
}

#[test]
fn what_does_not_fit_is_the_error_of_the_first_batch() {
    let bytes = || NpyDataset::from_tensor_slices(Array1::from(vec![7_u8; 20])).unwrap();
    let loader = DataLoaderBuilder::new(NpyBatcher::<Tensor<1>>::new())
        .batch_size(4)
        .on_error(OnError::SkipRate(1.0))
        .set_device(crate::cpu())
        .try_build(PartialDataset::<_, Row>::new(bytes(), 3, 18))
        .unwrap();
    let mut errors = loader.iter().filter_map(Result::err);
    let error = errors.next().unwrap().to_string();
    assert!(errors.next().is_none());
    assert!(
        error.starts_with("epoch 0, batch 0: `0`: the column is uint8"),
        "{error}"
    );
    assert_eq!(loader.skipped(), []);
}

/// One file a class, and one a way to convert.
#[test]
fn rows_of_many_files_come_in_their_order() {
    let dir = tempfile::tempdir().unwrap();
    let parts: Vec<NpyDataset> = (0..30_i64)
        .map(|class| {
            let path = dir.path().join(format!("{class}.npy"));
            let rows = Array1::from_iter((0..20).map(|row| class * 20 + row));
            let (array, convert) = match class % 3 {
                0 => (write_npy(&path, &rows), Convert::to::<i64>()),
                1 => (
                    write_npy(&path, &rows.mapv(|x| x as u16)),
                    Convert::to::<i64>(),
                ),
                _ => (
                    write_npy(&path, &rows.mapv(|x| x as f64)),
                    Convert::to::<i64>(),
                ),
            };
            array.unwrap();
            NpyDataset::from_files([("x", path)])
                .and_then(|dataset| dataset.convert("x", convert.clone()))
                .unwrap()
        })
        .collect();
    for (workers, batch_size) in [(0, 1), (0, 64), (2, 7), (3, 1000)] {
        let loader = |seed| {
            let loader = builder().batch_size(batch_size).num_workers(workers);
            loader.shuffle(seed)
        };
        let one = loader(3).try_build(numbered(600)).unwrap();
        let composed = loader(3)
            .try_build(ComposedDataset::new(parts.clone()))
            .unwrap();
        for _ in 0..2 {
            assert_eq!(batches(&*composed), batches(&*one));
        }
        let batch = composed.batch_at(5, 0).unwrap();
        assert_eq!(numbers(batch), numbers(one.batch_at(5, 0).unwrap()));
    }
}
