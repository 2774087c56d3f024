//! Memory does not grow with the file, the epochs, or the batches.

use std::io::Write;

use burn::tensor::Tensor;
use burn_npy::{DataLoaderBuilder, NpyBatcher, NpyDataset};

use crate::skip;

/// Memory of this process that is not a page of a file, in MiB.
fn anonymous_mib() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("RssAnon:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<usize>().ok()? / 1024)
}

#[test]
fn a_pass_over_a_large_file_takes_little_memory() {
    let Some(before) = anonymous_mib() else {
        return skip("/proc/self/status does not tell the anonymous memory");
    };
    // 1 GiB that takes no space on the disk.
    let (rows, columns) = (1_usize << 16, 1_usize << 12);
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let header =
        format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {columns}), }}");
    let header = format!("{header:<117}\n");
    file.write_all(b"\x93NUMPY\x01\x00").unwrap();
    file.write_all(&(header.len() as u16).to_le_bytes())
        .unwrap();
    file.write_all(header.as_bytes()).unwrap();
    let len = 10 + header.len() + 4 * rows * columns;
    file.as_file().set_len(len as u64).unwrap();

    let dataset = NpyDataset::open(file.path()).unwrap();
    let loader = DataLoaderBuilder::new(NpyBatcher::<Tensor<2>>::new())
        .batch_size(256)
        .shuffle(1)
        .num_workers(2)
        .set_device(crate::cpu())
        .try_build(dataset)
        .unwrap();
    let mut most = 0;
    let mut count = 0;
    for batch in loader.iter() {
        assert_eq!(batch.unwrap().dims(), [256, columns]);
        most = most.max(anonymous_mib().unwrap());
        count += 1;
    }
    assert_eq!(count, rows / 256);
    let grown = most.saturating_sub(before);
    assert!(grown < 100, "{grown} MiB more than before");
}
