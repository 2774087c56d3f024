//! Without memory for a list of rows or for a batch, a pass ends with an error, at once.
//!
//! The memory of a process is limited, so each case is a process of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use burn::data::dataset::{Dataset, DatasetError};
use burn::tensor::{Int, Tensor};
use burn_npy::ndarray::{Array1, Array2};
use burn_npy::{
    Convert, DataLoaderBuilder, ErrorKind, Loader, NpyBatcher, NpyDataset, OnError, Row,
};
use rustix::process::{Resource, Rlimit, setrlimit};

use crate::{child, plain};

const MIB: usize = 1 << 20;
/// The rows of the only batch. Their numbers take 32 MiB.
const ROWS: usize = 4 * MIB;

/// What there is no memory for: a list of rows, or the batch.
const LIST: &str = "no memory for the numbers of 4194304 rows (33554432 bytes)";
const BATCH: &str = "`0`: no memory for 134217728 bytes";

/// Where memory ends, how many megabytes there are, and the message.
const CASES: [(&str, usize, &str); 7] = [
    ("numbers", 16, LIST),
    // Each is one list more than before.
    ("file rows", 48, LIST),
    ("indices", 48, LIST),
    ("batch", 96, BATCH),
    // Beside the numbers and the items, which have 16 bytes each.
    ("rows of one dataset", 112, LIST),
    ("rows of two datasets", 144, LIST),
    ("rows of two datasets", 176, LIST),
];

/// Limits the memory of the process to so much more than it has.
fn limit(more: usize) {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = pages.split(' ').next().unwrap().parse().unwrap();
    let limit = Rlimit {
        current: Some((pages * rustix::param::page_size() + more) as u64),
        maximum: None,
    };
    setrlimit(Resource::As, limit).unwrap();
}

fn bytes() -> NpyDataset {
    NpyDataset::from_tensor_slices(Array1::<u8>::zeros(ROWS + 1)).unwrap()
}

/// Rows of one or two datasets in turn; counts those that are asked for alone.
struct Rows(Vec<NpyDataset>, Arc<AtomicUsize>);

impl Dataset<Row> for Rows {
    fn get(&self, index: usize) -> Result<Row, DatasetError> {
        self.1.fetch_add(1, Ordering::SeqCst);
        Ok(self.0[index % self.0.len()].row(index))
    }

    fn get_many(&self, indices: Vec<usize>) -> Result<Vec<Row>, DatasetError> {
        let (first, count) = (indices[0], indices.len());
        drop(indices);
        let mut rows = Vec::new();
        rows.try_reserve_exact(count).map_err(DatasetError::new)?;
        rows.extend((first..first + count).map(|row| self.0[row % self.0.len()].row(row)));
        Ok(rows)
    }

    fn len(&self) -> usize {
        ROWS
    }
}

/// Runs a pass with so much memory, and ends with its error.
fn fail<O: Send + 'static>(loader: &Loader<O>, megabytes: usize) {
    limit(megabytes * MIB);
    let mut errors = Vec::from_iter(loader.iter().filter_map(Result::err));
    assert_eq!((errors.len(), loader.skipped().len()), (1, 0));
    let error = errors.remove(0);
    assert_eq!((error.kind(), error.row()), (ErrorKind::Limit, None));
    child::end(&error.to_string());
}

/// One case, named by the environment.
#[test]
#[ignore = "a process of the other tests"]
fn one_case() {
    let name = std::env::var("CASE").unwrap();
    let megabytes = std::env::var("MEGABYTES").unwrap().parse().unwrap();
    let workers = std::env::var("WORKERS").unwrap().parse().unwrap();
    // Failures are skipped, so a loader that took it for one of a row would try four million.
    let skip = OnError::SkipRate(1.0);
    let plain = plain().batch_size(ROWS).num_workers(workers).on_error(skip);
    let ours = DataLoaderBuilder::new(NpyBatcher::<Tensor<1, Int>>::new().keep_dtypes())
        .batch_size(ROWS)
        .num_workers(workers)
        .on_error(skip)
        .set_device(crate::cpu());
    let asked = Arc::new(AtomicUsize::new(0));
    match name.as_str() {
        "numbers" | "indices" => fail(&plain.try_build(crate::Indices(ROWS)).unwrap(), megabytes),
        "file rows" => fail(&ours.try_build(bytes().skip(1)).unwrap(), megabytes),
        "batch" => {
            let table = Array2::<u8>::zeros((ROWS, 8));
            let table = NpyDataset::from_tensor_slices(table).unwrap();
            let table = table.convert("0", Convert::to::<i32>()).unwrap();
            let loader = DataLoaderBuilder::new(NpyBatcher::<Tensor<2, Int>>::new().keep_dtypes())
                .batch_size(ROWS)
                .num_workers(workers)
                .on_error(skip)
                .set_device(crate::cpu());
            fail(&loader.try_build(table).unwrap(), megabytes);
        }
        "rows of one dataset" => {
            fail(
                &ours.try_build(Rows(vec![bytes()], asked.clone())).unwrap(),
                megabytes,
            );
        }
        "rows of two datasets" => {
            fail(
                &ours
                    .try_build(Rows(vec![bytes(), bytes()], asked.clone()))
                    .unwrap(),
                megabytes,
            );
        }
        other => panic!("no case {other}"),
    }
    assert_eq!(asked.load(Ordering::SeqCst), 0, "rows were tried alone");
}

#[test]
fn a_batch_without_memory_is_one_error_at_once() {
    for (case, megabytes, message) in CASES {
        for workers in ["0", "1"] {
            let megabytes = megabytes.to_string();
            let variables = [
                ("CASE", case),
                ("MEGABYTES", &*megabytes),
                ("WORKERS", workers),
                // Otherwise a thread of glibc has 64 MiB in reserve.
                ("MALLOC_ARENA_MAX", "1"),
            ];
            let ended = child::run("little_memory::one_case", &variables);
            let message = format!("epoch 0, batch 0: {message}");
            assert_eq!(ended, message, "{case}, {workers} workers");
        }
    }
}
