//! The steady state: what a batch allocates, and what a thousand epochs leave behind.
//!
//! A binary of its own, since the allocator that counts is that of the whole process. For the same
//! reason there is one test, whose parts run one after the other.
#![allow(unsafe_code, reason = "an allocator is unsafe to write")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use burn::tensor::{Device, Int, Tensor};
use burn_npy::ndarray::{Array1, Array2};
use burn_npy::{Convert, DataLoaderBuilder, Loader, NpyBatcher, NpyDataset, file::write_npy};

type Batch = (Tensor<2>, Tensor<1, Int>);

/// The allocator of the system, which counts.
struct Counting;

static BYTES: AtomicUsize = AtomicUsize::new(0);
static CALLS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: all that it does to memory is left to `System`, with the arguments as they came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BYTES.fetch_add(layout.size(), Relaxed);
        CALLS.fetch_add(1, Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`, which is that of `System`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as above; the memory is from `System`.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[cfg(feature = "ndarray")]
fn cpu() -> Device {
    #[allow(deprecated, reason = "upstream prefers Flex; both are supported here")]
    Device::ndarray()
}

#[cfg(not(feature = "ndarray"))]
fn cpu() -> Device {
    Device::flex()
}

/// Mapped files, shuffled, converted: what most users have.
fn loader(dir: &std::path::Path, rows: usize, batch: usize, workers: usize) -> Arc<Loader<Batch>> {
    let files = ["features", "labels"].map(|name| (name, dir.join(format!("{name}-{rows}.npy"))));
    if !files[0].1.exists() {
        let features = Array2::from_shape_fn((rows, 20), |(i, j)| (i + j) as u8);
        write_npy(&files[0].1, &features).unwrap();
        write_npy(&files[1].1, &Array1::from_iter(0..rows as i64)).unwrap();
    }
    let dataset = NpyDataset::from_files(files)
        .and_then(|data| data.convert("features", Convert::to::<f32>().divide(255.0)))
        .unwrap();
    DataLoaderBuilder::new(NpyBatcher::new())
        .batch_size(batch)
        .shuffle(1)
        .num_workers(workers)
        .set_device(cpu())
        .try_build(dataset)
        .unwrap()
}

/// Bytes and calls of the allocator for each batch, without the first quarter of a pass, which
/// fills what is used again.
fn allocated(loader: &Loader<Batch>) -> (usize, usize) {
    let batches = loader.len();
    let mut pass = loader.iter();
    let mut before = (0, 0);
    for batch in 0..batches {
        if batch == batches / 4 {
            before = (BYTES.load(Relaxed), CALLS.load(Relaxed));
        }
        pass.next().unwrap().unwrap();
    }
    let after = (BYTES.load(Relaxed), CALLS.load(Relaxed));
    let counted = batches - batches / 4;
    (
        (after.0 - before.0) / counted,
        (after.1 - before.1) / counted,
    )
}

/// A figure of this process in `/proc/self/status`.
fn status(name: &str) -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with(name))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// How many threads this process has, once there are no more than `most`. A thread that was joined
/// may be counted for another moment: the system wakes who joins it before it takes it from the
/// list.
fn threads(most: usize) -> Option<usize> {
    let start = Instant::now();
    loop {
        let now = status("Threads:")?;
        if now <= most || start.elapsed() > Duration::from_secs(5) {
            return Some(now);
        }
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn batches_allocate_a_constant_and_epochs_leave_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let threads_before = status("Threads:");
    for workers in [0, 1, 2] {
        for batch in [16, 64, 256] {
            let loader = loader(dir.path(), 400_000, batch, workers);
            // The first pass fills the pool. The scheduler may have more runs under way in a later
            // one than ever before, but no more than the window has, so that some pass is the
            // steady state.
            assert_eq!(loader.iter().count(), loader.len());
            let passes = (0..5).map(|_| allocated(&loader));
            let (bytes, calls) = passes.min().unwrap();
            println!(
                "{workers} workers, batches of {batch}: {bytes} bytes in {calls} calls a batch"
            );
            // The features of a batch are 80 bytes a row, 20 kB at 256.
            assert!(
                bytes < 1000,
                "{bytes} bytes a batch of {batch} rows, {workers} workers"
            );
        }
    }

    let (Some(most), Some(_)) = (threads_before, status("RssAnon:")) else {
        println!("skipped: /proc/self/status does not tell the threads and the memory");
        return;
    };
    let loader = loader(dir.path(), 1000, 32, 2);
    let mut after = Vec::new();
    for epoch in 1..=1000 {
        assert_eq!(loader.iter().count(), 32);
        if epoch % 100 == 0 {
            after.push((threads(most).unwrap(), status("RssAnon:").unwrap()));
        }
    }
    println!("threads and KiB of anonymous memory after each 100 epochs: {after:?}");
    for (threads, _) in &after {
        assert!(*threads <= most, "{threads} threads, {most} at the start");
    }
    let ((_, first_kib), (_, kib)) = (after[0], after[9]);
    assert!(
        kib < first_kib + 1024,
        "{first_kib} KiB after 100 epochs, {kib} KiB after 1000"
    );
    assert_eq!(loader.report().batches(), 32_000);
}
