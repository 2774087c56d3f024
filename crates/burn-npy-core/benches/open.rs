//! What it costs to open files: time, and memory by a counting allocator.
//!
//! `cargo bench -p burn-npy-core --bench open [-- --quick]`
#![allow(unsafe_code, reason = "an allocator that counts")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use burn_npy_core::{
    Array, Result,
    file::{Access, Column, Npz, NpzWriter, OpenOptions, write_npy},
};
use ndarray::{Array1, array};

struct Counting;

static LARGEST: AtomicUsize = AtomicUsize::new(0);
static TOTAL: AtomicUsize = AtomicUsize::new(0);
static LIVE: AtomicUsize = AtomicUsize::new(0);

// SAFETY: all work is the system allocator's; what is added only counts.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LARGEST.fetch_max(layout.size(), Ordering::Relaxed);
        TOTAL.fetch_add(layout.size(), Ordering::Relaxed);
        LIVE.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise is the same.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The median time of a run, and the largest and all allocations of one.
fn measure<T>(id: &str, times: usize, mut f: impl FnMut() -> Result<T>) -> Result<()> {
    f()?;
    LARGEST.store(0, Ordering::Relaxed);
    TOTAL.store(0, Ordering::Relaxed);
    f()?;
    let (largest, total) = (
        LARGEST.load(Ordering::Relaxed),
        TOTAL.load(Ordering::Relaxed),
    );
    let mut durations: Vec<Duration> = (0..times)
        .map(|_| {
            let start = Instant::now();
            f().map(|_| start.elapsed())
        })
        .collect::<Result<_>>()?;
    durations.sort();
    println!(
        "{id:32} {:>9.1} us, largest allocation {largest} bytes, all {total}",
        durations[times / 2].as_secs_f64() * 1e6
    );
    Ok(())
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let quick = std::env::args().any(|arg| arg == "--quick");
    let times = if quick { 21 } else { 201 };
    let dir = tempfile::tempdir()?;
    let small = dir.path().join("small.npy");
    write_npy(&small, &array![1.0_f32, 2.0, 3.0])?;
    let len = std::fs::metadata(&small)?.len();
    for access in [Access::Mapped, Access::Positioned] {
        let id = format!("open/npy-{len}-bytes/{access:?}");
        measure(&id, times, || open(&small, access))?;
    }

    let members = dir.path().join("members.npz");
    let mut npz = NpzWriter::create(&members)?;
    for member in 0..20_000 {
        npz.add(&format!("array-{member}"), &array![member])?;
    }
    npz.finish()?;
    measure("open/npz-20000-members", times.min(21), || {
        Npz::open(&members)
    })?;
    let npz = Npz::open(&members)?;
    measure("open/npz-member", times, || npz.array("array-10000"))?;

    let count = if quick { 1000 } else { 100_000 };
    for file in 0..count {
        std::fs::copy(&small, dir.path().join(format!("{file}.npy")))?;
    }
    for (count, access) in [
        (count / 10, Access::Mapped),
        (count / 10, Access::Positioned),
        (count, Access::Mapped),
        (count, Access::Positioned),
    ] {
        let (before, start) = (LIVE.load(Ordering::Relaxed), Instant::now());
        let columns = (0..count).map(|file| {
            let path = dir.path().join(format!("{file}.npy"));
            Column::whole(&open(&path, access)?)
        });
        let chain = Column::chain(columns.collect::<Result<Vec<_>>>()?)?;
        let seconds = start.elapsed().as_secs_f64();
        let bytes = LIVE.load(Ordering::Relaxed) - before;
        let id = format!("open/{count}-files/{access:?}");
        println!(
            "{id:32} {:>9.3} s, {} bytes a file",
            seconds,
            bytes / chain.rows()
        );
    }

    let wide = dir.path().join("wide.npy");
    write_npy(&wide, &Array1::<u8>::zeros(1 << 28))?;
    measure("open/npy-256-MiB", times, || open(&wide, Access::Mapped))?;
    Ok(())
}

fn open(path: &Path, access: Access) -> Result<Array> {
    let options = OpenOptions::new().access(access);
    Array::open_with(path, options)
}
