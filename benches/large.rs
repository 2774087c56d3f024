//! A file of 5 GiB: how long a new process takes until it has the first shuffled batch, and how
//! much memory a pass takes.
//!
//! `cargo bench --bench large`, or with `-- --quick` for a glance at a smaller file. The file takes
//! no space on the disk, but its pages are read and copied like any others.

mod common;

use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use burn::tensor::Tensor;
use burn_npy::{DataLoaderBuilder, NpyBatcher, NpyDataset};
use common::{cpu, status};

const COLUMNS: usize = 1024;
/// How many processes open the file, one after the other.
const PROCESSES: usize = 21;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let start = Instant::now();
    let args: Vec<_> = std::env::args().collect();
    if let [_, flag, path] = &args[..]
        && flag == "--first"
    {
        let loader = open(path.as_ref())?;
        let mut batches = loader.iter();
        let batch = batches.next().ok_or("no batch")??;
        println!("{}", start.elapsed().as_secs_f64() * 1e3);
        assert_eq!(batch.dims(), [256, COLUMNS]);
        return Ok(());
    }

    let quick = args.iter().any(|arg| arg == "--quick");
    let bytes: usize = if quick { 1 << 28 } else { 5 << 30 };
    let rows = bytes / (4 * COLUMNS);
    let mut file = tempfile::NamedTempFile::new()?;
    let header =
        format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {COLUMNS}), }}\n");
    file.write_all(b"\x93NUMPY\x01\x00")?;
    file.write_all(&(header.len() as u16).to_le_bytes())?;
    file.write_all(header.as_bytes())?;
    file.as_file().set_len((10 + header.len() + bytes) as u64)?;
    // What is measured is not the disk.
    std::io::copy(&mut std::fs::File::open(file.path())?, &mut std::io::sink())?;

    let mut first = Vec::new();
    for _ in 0..PROCESSES {
        let mut process = Command::new(std::env::current_exe()?);
        let output = process.arg("--first").arg(file.path()).output()?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into());
        }
        first.push(std::str::from_utf8(&output.stdout)?.trim().parse::<f64>()?);
    }
    first.sort_by(f64::total_cmp);
    println!(
        "large/main-to-first-batch  {:.2} ms, the median of {PROCESSES} processes, {:.2} to {:.2}",
        first[PROCESSES / 2],
        first[0],
        first[PROCESSES - 1]
    );

    // What a tensor takes at all is not the loader's.
    Tensor::<1>::zeros([1], &cpu()).into_data();
    let before = anonymous_mib();
    let start = Instant::now();
    let loader = open(file.path())?;
    let (mut count, mut most) = (0, 0);
    for batch in loader.iter() {
        count += batch?.dims()[0];
        most = most.max(anonymous_mib());
    }
    let seconds = start.elapsed().as_secs_f64();
    assert_eq!(count, rows);
    println!(
        "large/pass                 {:.1} s, {:.2} GB/s, anonymous memory {} MiB, \
         {} MiB more than before",
        seconds,
        bytes as f64 / seconds / 1e9,
        most,
        most.saturating_sub(before)
    );
    Ok(())
}

fn open(path: &Path) -> burn_npy::Result<std::sync::Arc<burn_npy::Loader<Tensor<2>>>> {
    DataLoaderBuilder::new(NpyBatcher::<Tensor<2>>::new())
        .batch_size(256)
        .shuffle(std::process::id().into())
        .num_workers(2)
        .set_device(cpu())
        .try_build(NpyDataset::open(path)?)
}

/// Memory of this process that is not a page of a file, in MiB; 0 where the system does not tell.
fn anonymous_mib() -> usize {
    status("RssAnon") >> 20
}
