//! More files than a process may have descriptors.

use burn::tensor::{Int, Tensor};
use burn_npy::ndarray::Array1;
use burn_npy::{NpyDataset, Result, file::write_npy, glob};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::child;

const FILES: i64 = 1500;
/// The rows of a file.
const ROWS: i64 = 4;

fn write(folder: &std::path::Path) {
    for file in 0..FILES {
        let rows = Array1::from_iter(ROWS * file..ROWS * (file + 1));
        write_npy(folder.join(format!("x_{file}.npy")), &rows).unwrap();
    }
}

/// The number of rows of an epoch with two workers, if each came once.
fn train(dataset: &NpyDataset, width: usize) -> usize {
    let dataset = dataset.reshape("data", &[width]).unwrap();
    let loader = dataset
        .loader::<(Tensor<2, Int>,)>()
        .batch_size(64)
        .shuffle(1)
        .num_workers(2)
        .set_device(crate::cpu());
    let loader = loader.try_build().unwrap();
    let mut rows: Vec<i64> = Vec::new();
    for batch in loader.iter() {
        let (batch,) = batch.unwrap();
        rows.extend(batch.into_data().iter::<i64>());
    }
    assert!(!rows.is_sorted());
    rows.sort_unstable();
    assert!(rows.iter().copied().eq(0..FILES * ROWS));
    rows.len()
}

/// Opens and trains, in a process that may have few descriptors.
#[test]
#[ignore = "a process of the other tests"]
fn epoch() {
    let limit = Rlimit {
        current: Some(256),
        ..getrlimit(Resource::Nofile)
    };
    setrlimit(Resource::Nofile, limit).unwrap();
    let pattern = std::env::var("PATTERN").unwrap();
    let open: fn(&str) -> Result<NpyDataset> = match &*std::env::var("OPEN").unwrap() {
        "shards" => NpyDataset::from_glob,
        _ => |pattern| NpyDataset::from_samples(glob(pattern)?),
    };
    let dataset = open(&pattern).unwrap();
    let width = FILES * ROWS / dataset.len() as i64;
    child::end(&train(&dataset, width as usize).to_string());
}

/// Opens a file that is larger than the address space that is left.
#[test]
#[ignore = "a process of the other tests"]
fn large_file() {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = pages.split(' ').next().unwrap().parse().unwrap();
    let limit = Rlimit {
        current: Some((pages * rustix::param::page_size() + (1 << 30)) as u64),
        ..getrlimit(Resource::As)
    };
    setrlimit(Resource::As, limit).unwrap();
    let dataset = NpyDataset::open(std::env::var("PATH_OF_FILE").unwrap()).unwrap();
    let last = dataset.row(dataset.len() - 1).get::<u8>("x").unwrap();
    child::end(&format!("{} {last}", dataset.len()));
}

#[test]
fn a_file_that_cannot_be_mapped_is_read_by_position() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npy");
    let rows = 8_u64 << 30;
    let header = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': ({rows},), }}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.bytes());
    std::fs::write(&path, &bytes).unwrap();
    // The rest is zero, and takes no space.
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    file.set_len(bytes.len() as u64 + rows).unwrap();
    let variables = [("PATH_OF_FILE", path.to_str().unwrap())];
    let ended = child::run("many_files::large_file", &variables);
    assert_eq!(ended, format!("{rows} 0"));
}

#[test]
fn there_may_be_more_files_than_descriptors() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path());
    let pattern = folder.path().join("x_*.npy");
    for open in ["shards", "samples"] {
        let variables = [("PATTERN", pattern.to_str().unwrap()), ("OPEN", open)];
        let rows = child::run("many_files::epoch", &variables);
        assert_eq!(rows, (FILES * ROWS).to_string(), "{open}");
    }
}
