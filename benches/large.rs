//! A file of 5 GiB: how long until the first shuffled batch, and how much memory a pass takes.
//!
//! `cargo bench --bench large`, or with `-- --quick` for a glance at a smaller file. The file takes no
//! space on the disk, but its pages are read and copied like any others.

mod common;

use std::io::Write;
use std::time::Instant;

use burn::data::dataloader::DataLoader;
use burn::tensor::{Device, Tensor};
use burn_npy::{DataLoaderBuilder, NpyBatcher, NpyDataset};
use common::{cpu, status};

const COLUMNS: usize = 1024;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let quick = std::env::args().any(|arg| arg == "--quick");
    let bytes: usize = if quick { 1 << 28 } else { 5 << 30 };
    let rows = bytes / (4 * COLUMNS);
    let mut file = tempfile::NamedTempFile::new()?;
    let header =
        format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {COLUMNS}), }}\n");
    file.write_all(b"\x93NUMPY\x01\x00")?;
    file.write_all(&(header.len() as u16).to_le_bytes())?;
    file.write_all(header.as_bytes())?;
    file.as_file().set_len((10 + header.len() + bytes) as u64)?;

    // The device itself is set up once, whatever the loader.
    let device = cpu();
    Tensor::<1>::zeros([1], &device).into_data();
    let before = anonymous_mib();

    let mut first = Vec::new();
    for _ in 0..9 {
        let start = Instant::now();
        let loader = open(file.path(), &device)?;
        let batch = loader.iter().next().ok_or("no batch")??;
        first.push(start.elapsed().as_secs_f64() * 1e3);
        assert_eq!(batch.dims(), [256, COLUMNS]);
    }
    println!(
        "large/open-to-first-batch  {:.2} ms the first time",
        first[0]
    );
    first.sort_by(f64::total_cmp);
    println!(
        "large/open-to-first-batch  {:.2} ms, the median of 9",
        first[4]
    );

    let loader = open(file.path(), &device)?;
    let start = Instant::now();
    let (mut count, mut most) = (0, 0);
    for batch in loader.iter() {
        count += batch?.dims()[0];
        most = most.max(anonymous_mib());
    }
    let seconds = start.elapsed().as_secs_f64();
    assert_eq!(count, rows);
    println!(
        "large/pass                 {:.1} s, {:.2} GB/s, anonymous memory {} MiB, {} MiB more than before",
        seconds,
        bytes as f64 / seconds / 1e9,
        most,
        most.saturating_sub(before)
    );
    Ok(())
}

fn open(
    path: &std::path::Path,
    device: &Device,
) -> burn_npy::Result<std::sync::Arc<burn_npy::Loader<Tensor<2>>>> {
    DataLoaderBuilder::new(NpyBatcher::<Tensor<2>>::all())
        .batch_size(256)
        .shuffle(1)
        .num_workers(2)
        .set_device(device.clone())
        .try_build(NpyDataset::open(path)?)
}

/// Memory of this process that is not a page of a file, in MiB; 0 where the system does not tell.
fn anonymous_mib() -> usize {
    status("RssAnon") >> 20
}
