//! A disk with a bad place, and other errors of the system in its place: only the bad place is one
//! of a row.
//!
//! A library that is preloaded makes the errors, in a process of its own.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use burn::tensor::Tensor;
use burn_npy::ndarray::Array2;
use burn_npy::{
    Array, DataLoaderBuilder, Loader, NpyBatcher, NpyDataset, OnError, Result,
    file::{Access, OpenOptions, write_npy},
};
use rustix::io::Errno;

use crate::child;

const ROWS: usize = 200;
const ROW_BYTES: usize = 512;

/// Has reads of a row fail from now on.
fn spoil(row: usize, error: Errno) {
    let byte = 128 + row * ROW_BYTES;
    let rule = format!("{byte} {}", error.raw_os_error());
    std::fs::write(std::env::var("BAD_READS").unwrap(), rule).unwrap();
}

fn mend() {
    std::fs::remove_file(std::env::var("BAD_READS").unwrap()).unwrap();
}

fn build(on_error: OnError, workers: usize) -> Result<Arc<Loader<Tensor<2>>>> {
    let options = OpenOptions::new().access(Access::Positioned);
    let array = Array::open_with(std::env::var("BAD_FILE").unwrap(), options)?;
    DataLoaderBuilder::new(NpyBatcher::new())
        .batch_size(10)
        .num_workers(workers)
        .on_error(on_error)
        .set_device(crate::cpu())
        .try_build(NpyDataset::from_arrays([("x", array)])?)
}

/// The number of rows that come, the row of the error, and whether anything was skipped.
fn pass(loader: &Loader<Tensor<2>>) -> (usize, Option<Option<u64>>, usize) {
    let (mut rows, mut failed) = (0, None);
    for batch in loader.iter() {
        match batch {
            Ok(batch) => rows += batch.dims()[0],
            Err(error) => {
                assert!(failed.replace(error.row()).is_none());
            }
        }
    }
    (rows, failed, loader.skipped().len())
}

/// The last row is one of those that a loader reads when it is built.
const LAST: usize = ROWS - 1;

#[test]
#[ignore = "a process of the other tests"]
fn a_bad_place() {
    for workers in [0, 2] {
        spoil(LAST, Errno::IO);
        let skips = build(OnError::SkipRows(1), workers).unwrap();
        assert_eq!(pass(&skips), (ROWS - 1, None, 1));
        assert_eq!(skips.skipped()[0].row, LAST as u64);
        let fails = build(OnError::Fail, workers).unwrap();
        assert_eq!(pass(&fails), (ROWS - 10, Some(Some(LAST as u64)), 0));
        // The next start knows the state, as long as the file stays as it is.
        let again = build(OnError::SkipRows(1), workers).unwrap();
        again.resume(&skips.state()).unwrap();
        let bad = skips.state();
        // As long as it does: a row that can be read again makes it another one.
        mend();
        let whole = build(OnError::Fail, workers).unwrap();
        let refused = whole.resume(&bad).unwrap_err().to_string();
        assert!(refused.contains("whose values were others"), "{refused}");
        assert_eq!(pass(&whole), (ROWS, None, 0));
        // A row that is not looked at before, and comes in the middle.
        spoil(102, Errno::IO);
        let skips = build(OnError::SkipRows(1), workers).unwrap();
        skips.resume(&whole.state()).unwrap();
        assert_eq!(pass(&skips), (ROWS - 1, None, 1));
        mend();
    }
    child::end("well");
}

#[test]
#[ignore = "a process of the other tests"]
fn other_errors() {
    for error in [
        Errno::MFILE,
        Errno::NFILE,
        Errno::NOMEM,
        Errno::ACCESS,
        Errno::NOENT,
    ] {
        spoil(LAST, error);
        let built = build(OnError::SkipRate(1.0), 0).map(drop).unwrap_err();
        let code = built.io_error().and_then(Errno::from_io_error);
        assert_eq!(code, Some(error), "{built}");
        mend();
        for workers in [0, 2] {
            let loader = build(OnError::SkipRate(1.0), workers).unwrap();
            spoil(101, error);
            assert_eq!(pass(&loader), (100, Some(None), 0), "{error}");
            mend();
            assert_eq!(pass(&loader), (ROWS, None, 0));
        }
    }
    child::end("well");
}

#[test]
fn only_a_bad_place_is_one_of_a_row() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name| dir.path().join(name).display().to_string();
    let (file, reads, library) = (path("x.npy"), path("reads"), path("bad_reads.so"));
    write_npy(&file, &Array2::<f32>::ones((ROWS, ROW_BYTES / 4))).unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/integration/bad_reads.c");
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-o", &library])
        .arg(source)
        .arg("-ldl")
        .status();
    if !compiled.is_ok_and(|status| status.success()) {
        return crate::skip("there is no C compiler");
    }
    for test in ["bad_reads::a_bad_place", "bad_reads::other_errors"] {
        let variables = [
            ("BAD_FILE", &*file),
            ("BAD_READS", &reads),
            ("LD_PRELOAD", &library),
        ];
        assert_eq!(child::run(test, &variables), "well");
    }
}
