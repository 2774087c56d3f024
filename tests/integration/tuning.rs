//! AUTOTUNE, and the report of where the time goes.

use std::time::Duration;

use burn::data::dataloader::DataLoader;
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::transform::PartialDataset;
use burn::data::dataset::{Dataset, DatasetError, InMemDataset};
use burn::tensor::{Device, Int, Tensor};
use burn_npy::ndarray::Array2;
use burn_npy::{AUTOTUNE, DataLoaderBuilder, NpyBatcher, NpyDataset};
use serde_json::Value;

/// A batcher that takes its time.
#[derive(Clone)]
struct Slow(Duration);

impl Batcher<usize, Vec<usize>> for Slow {
    fn batch(&self, items: Vec<usize>, _: &Device) -> Vec<usize> {
        std::thread::sleep(self.0);
        items
    }
}

fn items(count: usize) -> InMemDataset<usize> {
    InMemDataset::new((0..count).collect())
}

#[test]
fn what_is_tuned_never_changes_a_batch() {
    let builder = || crate::builder().batch_size(3).shuffle(5);
    let fixed = builder().try_build(crate::numbered(1000)).unwrap();
    let tuned = builder()
        .num_workers(AUTOTUNE)
        .prefetch(AUTOTUNE)
        .try_build(crate::numbered(1000))
        .unwrap();
    for epoch in 0..20 {
        let expected: Vec<_> = fixed.iter().map(|b| crate::numbers(b.unwrap())).collect();
        let found: Vec<_> = tuned.iter().map(|b| crate::numbers(b.unwrap())).collect();
        assert_eq!(found, expected, "epoch {epoch}");
    }
}

#[test]
fn the_loader_chooses_one_worker_fewer_than_cores() {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let loader = DataLoaderBuilder::new(Slow(Duration::from_millis(4)))
        .batch_size(2)
        .num_workers(AUTOTUNE)
        .set_device(crate::cpu())
        .try_build(items(40))
        .unwrap();
    assert_eq!(loader.report().workers(), (cores - 1).max(1));
    assert_eq!(loader.iter().count(), 20);
    let report = loader.report();
    assert!(report.user() > report.gather(), "{report}");
    assert!(report.verdict().starts_with("code of your own"), "{report}");
    assert_eq!(report.uploaded_bytes(), 0);
    // Code of the user gets the workers that were asked for.
    let asked = DataLoaderBuilder::new(Slow(Duration::ZERO))
        .num_workers(cores + 3)
        .set_device(crate::cpu())
        .try_build(items(4))
        .unwrap();
    assert_eq!(asked.report().workers(), cores + 3);
}

#[test]
fn prefetch_is_what_was_asked_for_within_the_bytes() {
    let prefetch = |batches, bytes| {
        let batcher = NpyBatcher::<Tensor<1, Int>>::new().keep_dtypes();
        let loader = DataLoaderBuilder::new(batcher)
            .set_device(crate::cpu())
            .batch_size(1 << 16)
            .num_workers(1)
            .prefetch(batches)
            .prefetch_bytes(bytes)
            .try_build(crate::numbered(1 << 17))
            .unwrap();
        assert_eq!(loader.iter().count(), 2);
        loader.report().prefetch()
    };
    assert_eq!(prefetch(3, 1 << 30), 3);
    // A batch has 512 KiB, and its row numbers as much again.
    assert_eq!(prefetch(30, 8 << 20), 8);
    assert_eq!(prefetch(30, 0), 1);
    assert!(prefetch(AUTOTUNE, 8 << 20) <= 8);
}

#[test]
fn a_slow_model_is_called_the_limit() {
    let loader = crate::builder()
        .batch_size(10)
        .shuffle(1)
        .num_workers(1)
        .try_build(crate::numbered(200))
        .unwrap();
    for batch in loader.iter() {
        batch.unwrap();
        std::thread::sleep(Duration::from_millis(10));
    }
    let report = loader.report();
    assert!(
        report.verdict().starts_with("the model is the limit"),
        "{report}"
    );
    assert!(report.max_speedup() < 1.1, "{report}");
    assert_eq!((report.batches(), report.rows()), (20, 200));
    // The times of the consumer are all of its time.
    let parts = report.waited() + report.upload() + report.map() + report.consumer();
    assert_eq!(parts, report.wall());
    // Another pass is counted on top, and by itself.
    assert_eq!(loader.iter().count(), 20);
    assert_eq!(loader.report().since(&report).batches(), 20);
}

/// Takes its time, and fails in the end.
struct Failing;

impl Dataset<usize> for Failing {
    fn get(&self, index: usize) -> Result<usize, DatasetError> {
        std::thread::sleep(Duration::from_millis(2));
        if index < 8 {
            Ok(index)
        } else {
            Err(DatasetError::new(std::io::Error::other("it ends")))
        }
    }

    fn len(&self) -> usize {
        16
    }
}

#[test]
fn what_a_failure_took_is_counted() {
    for workers in [0, 1] {
        let loader = DataLoaderBuilder::new(Slow(Duration::ZERO))
            .batch_size(8)
            .num_workers(workers)
            .set_device(crate::cpu())
            .try_build(Failing)
            .unwrap();
        assert_eq!(
            loader
                .iter()
                .map(|batch| batch.is_ok())
                .filter(|ok| !ok)
                .count(),
            1
        );
        let report = loader.report();
        assert_eq!(report.batches(), 1);
        assert!(report.wall() >= report.waited(), "{report}");
        if workers == 0 {
            assert!(report.waited() >= Duration::from_millis(16), "{report}");
        }
        assert!(report.user() >= Duration::from_millis(18), "{report}");
    }
}

#[test]
fn our_gather_is_no_code_of_the_user() {
    let rows = burn_npy::ndarray::Array2::<f32>::zeros((64, 1 << 16));
    let dataset = NpyDataset::from_tensor_slices(rows).unwrap();
    for workers in [0, 1] {
        let loader = DataLoaderBuilder::new(NpyBatcher::<Tensor<2>>::new())
            .batch_size(16)
            // Rows in file order would not be copied.
            .shuffle(1)
            .num_workers(workers)
            .set_device(crate::cpu())
            .try_build(PartialDataset::new(dataset.clone(), 0, 64))
            .unwrap();
        assert_eq!(loader.iter().count(), 4);
        let report = loader.report();
        assert!(report.gather() > report.user(), "{report}");
        // It is told of copies, and not of slices.
        assert_eq!(loader.to_device(&crate::cpu()).iter().count(), 4);
        assert_eq!(loader.slice(0, 32).iter().count(), 2);
        assert_eq!(loader.report().batches(), 8);
    }
}

/// Tables as pandas and polars write them.
#[test]
fn rows_that_lie_scattered_are_said() {
    let table = Array2::from_shape_fn((64, 5), |(i, j)| (5 * i + j) as f32);
    let columns = table.t().as_standard_layout().into_owned().reversed_axes();
    let dir = tempfile::tempdir().unwrap();
    for (name, table, scattered) in [("c", &table, false), ("fortran", &columns, true)] {
        let path = dir.path().join(format!("{name}.npy"));
        burn_npy::file::write_npy(&path, table).unwrap();
        let dataset = NpyDataset::open(&path).unwrap();
        assert_eq!(format!("{dataset:?}").contains("[5] scattered"), scattered);
        let loader = DataLoaderBuilder::new(NpyBatcher::<Tensor<2>>::new())
            .batch_size(8)
            .shuffle(1)
            .set_device(crate::cpu())
            .try_build(dataset)
            .unwrap();
        for batch in loader.iter() {
            let rows: Vec<f32> = batch.unwrap().into_data().iter().collect();
            for row in rows.chunks(5) {
                let expected: Vec<_> = (0..5).map(|j| row[0] + j as f32).collect();
                assert_eq!(row, expected);
            }
        }
        let report = loader.report();
        assert_eq!(!report.scattered().is_empty(), scattered);
        assert_eq!(
            report.to_string().contains("rows of fortran lie scattered"),
            scattered
        );
    }
}

#[test]
fn a_report_as_json_has_what_its_methods_return() {
    let dir = tempfile::tempdir().unwrap();
    let columns = Array2::from_shape_fn((5, 64), |(i, j)| (5 * i + j) as f32).reversed_axes();
    let path = dir.path().join("fortran.npy");
    burn_npy::file::write_npy(&path, &columns).unwrap();
    let scattered = NpyDataset::open(&path).unwrap();
    let scattered = scattered.loader::<Tensor<2>>().batch_size(8).shuffle(1);
    let scattered = scattered.set_device(crate::cpu()).try_build().unwrap();
    assert_eq!(scattered.iter().count(), 8);
    let loader = crate::builder().batch_size(8).num_workers(2);
    let (mut names_found, loader) = (0, loader.try_build(crate::numbered(100)).unwrap());
    assert_eq!(loader.iter().count(), 13);
    for report in [
        scattered.report(),
        loader.report(),
        loader.report().since(&loader.report()),
    ] {
        let text = serde_json::to_string(&report).unwrap();
        let Value::Object(mut fields) = serde_json::from_str(&text).unwrap() else {
            panic!("{text}");
        };
        let durations = [
            ("wall", report.wall()),
            ("waited", report.waited()),
            ("upload", report.upload()),
            ("map", report.map()),
            ("consumer", report.consumer()),
            ("gather", report.gather()),
            ("storage", report.storage()),
            ("user", report.user()),
            ("idle", report.idle()),
        ];
        for (name, expected) in durations {
            let seconds = fields.remove(name).unwrap().as_f64().unwrap();
            assert_eq!(Duration::from_secs_f64(seconds), expected, "{name}");
        }
        let counts = [
            ("batches", report.batches()),
            ("rows", report.rows()),
            ("uploaded_bytes", report.uploaded_bytes()),
            ("failures", report.failures()),
            ("workers", report.workers() as u64),
            ("prefetch", report.prefetch() as u64),
        ];
        for (name, expected) in counts {
            assert_eq!(
                fields.remove(name).unwrap().as_u64(),
                Some(expected),
                "{name}"
            );
        }
        let mut field = |name: &str| fields.remove(name).unwrap();
        // Parsing may round the last digit.
        let close = |found: &Value, expected: f64| {
            let ratio = found.as_f64().unwrap() / expected.max(1e-300);
            assert!(
                expected == 0.0 || (ratio - 1.0).abs() < 1e-9,
                "{found} for {expected}"
            );
        };
        let speeds = [field("rows_per_second"), field("max_speedup")];
        close(&speeds[0], report.rows_per_second());
        close(&speeds[1], report.max_speedup());
        assert_eq!(field("is_ahead").as_bool(), Some(report.is_ahead()));
        assert_eq!(field("verdict").as_str(), Some(&*report.verdict()));
        let names: Vec<String> = serde_json::from_value(field("scattered")).unwrap();
        assert_eq!(names, report.scattered());
        names_found += names.len();
        assert!(fields.is_empty(), "not looked at: {fields:?}");
    }
    // One of the reports names a column.
    assert_eq!(names_found, 1);
}
