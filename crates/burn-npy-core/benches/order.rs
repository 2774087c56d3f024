//! The order of an epoch: its speed beside a shuffled vector, and a billion rows in no memory.
//!
//! `cargo bench -p burn-npy-core --bench order [-- --quick]`. A figure is the minimum of several
//! runs, which other programs disturbed least.

use std::error::Error;
use std::hint::black_box;
use std::io::Write;
use std::time::Instant;

use burn_npy_core::{
    Array, Sampler,
    file::Column,
    order::{Order, Plan},
};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;

const BATCH: usize = 256;
const BILLION: u64 = 1_000_000_000;

fn main() -> Result<(), Box<dyn Error>> {
    let quick = std::env::args().any(|arg| arg == "--quick");
    let (indices, runs) = if quick { (1 << 20, 3) } else { (1 << 23, 9) };

    billion(if quick { 3 } else { 9 })?;
    // 65,537 is the worst of all lengths: almost half of the network's domain is outside.
    for len in [60_000, 65_537, 1_000_000, BILLION] {
        let sampler = Sampler::shuffled(42);
        for batch in [16, 64, BATCH, 4096] {
            let time = least(runs, || epochs(&sampler, len, batch, indices));
            println!("order/shuffled/{len}/fill of {batch:<4} {time:6.2} ns an index");
        }
        let order = sampler.order(len, 0);
        let time = least(runs, || one_by_one(len, indices, |at| order.row(at)));
        println!("order/shuffled/{len}/row          {time:6.2} ns an index");
        let time = least(runs, || {
            one_by_one(len, indices, |row| order.position(row).unwrap_or(0))
        });
        println!("order/shuffled/{len}/position     {time:6.2} ns an index");
        // A vector of a billion rows takes 8 GB.
        if len < BILLION {
            let time = least(runs, || fisher_yates(len, indices));
            println!(
                "order/fisher-yates/{len}/epoch    {time:6.2} ns an index, {} bytes",
                8 * len
            );
        }
    }

    let len = 1_000_000;
    let weights: Vec<f64> = (0..len).map(|row| (row % 100) as f64).collect();
    let labels: Vec<u64> = (0..len).map(|row| row % 100).collect();
    for (name, sampler) in [
        ("blocks of 1024, 8 mixed", Sampler::blocks(1024, 8, 42)?),
        ("blocks of 64, 8 mixed", Sampler::blocks(64, 8, 42)?),
        ("weighted", Sampler::weighted(&weights, 42)?),
        (
            "weighted without replacement",
            Sampler::weighted_without_replacement(&weights, 42)?,
        ),
        ("balanced", Sampler::balanced(&labels, 42)?),
    ] {
        // The order's making included, an epoch at a time.
        let time = least(runs, || epochs(&sampler, len, BATCH, indices));
        println!("order/{name}/{len}    {time:6.2} ns an index");
    }
    Ok(())
}

/// Draws whole epochs, batch by batch.
fn epochs(sampler: &Sampler, len: u64, batch: usize, indices: u64) -> u64 {
    let mut rows = vec![0; batch];
    let mut done = 0;
    for epoch in 0.. {
        let order = sampler.order(len, epoch);
        let plan = Plan::new(0..order.len(), batch, false);
        for batch in 0..plan.num_batches() {
            done += fill(&order, &plan, batch, &mut rows);
            if done >= indices {
                return done;
            }
        }
    }
    done
}

fn fill(order: &Order, plan: &Plan, batch: u64, rows: &mut [u64]) -> u64 {
    let positions = plan.batch(batch);
    let count = positions.end - positions.start;
    order.fill(positions, &mut rows[..count as usize]);
    black_box(&rows);
    count
}

fn one_by_one(len: u64, indices: u64, of: impl Fn(u64) -> u64) -> u64 {
    let count = len.min(indices);
    for at in 0..count {
        black_box(of(at));
    }
    count
}

fn fisher_yates(len: u64, indices: u64) -> u64 {
    let mut rng = SmallRng::seed_from_u64(42);
    let epochs = indices.div_ceil(len);
    for _ in 0..epochs {
        // As a loader does: a new vector each epoch.
        let mut rows: Vec<u64> = (0..len).collect();
        rows.shuffle(&mut rng);
        black_box(&rows);
    }
    epochs * len
}

/// A file of a billion rows: opened, shuffled, and the row numbers of 1,000 batches drawn.
fn billion(runs: usize) -> Result<(), Box<dyn Error>> {
    let mut file = tempfile::NamedTempFile::new()?;
    let header = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': ({BILLION},), }}\n");
    file.write_all(b"\x93NUMPY\x01\x00")?;
    file.write_all(&(header.len() as u16).to_le_bytes())?;
    file.write_all(header.as_bytes())?;
    // It takes no space on the disk.
    file.as_file().set_len(10 + header.len() as u64 + BILLION)?;

    let before = memory();
    let mut first = None;
    let mut best = f64::INFINITY;
    for _ in 0..runs {
        let start = Instant::now();
        let column = Column::new(Array::open(file.path())?)?;
        let order = Sampler::shuffled(42).order(column.rows() as u64, 0);
        let plan = Plan::new(0..order.len(), BATCH, false);
        let mut rows = [0; BATCH];
        for batch in 0..1000 {
            fill(&order, &plan, batch, &mut rows);
        }
        let time = start.elapsed().as_secs_f64() * 1e3;
        first.get_or_insert(time);
        best = best.min(time);
    }
    println!(
        "order/billion/open, shuffle, 1000 batches of {BATCH}    {:.2} ms the first time, \
         {best:.2} ms at best",
        first.unwrap_or(best)
    );
    println!(
        "order/billion/memory    {} bytes more than before, an order is {} bytes",
        memory().saturating_sub(before),
        size_of::<Order>()
    );
    Ok(())
}

/// The peak memory of the process, mapped files included; 0 where the system does not tell.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

/// The least time of some runs, in nanoseconds an index; a run says how many indices it drew.
fn least(runs: usize, mut run: impl FnMut() -> u64) -> f64 {
    (0..runs)
        .map(|_| {
            let start = Instant::now();
            let indices = run();
            start.elapsed().as_secs_f64() * 1e9 / indices as f64
        })
        .fold(f64::INFINITY, f64::min)
}
