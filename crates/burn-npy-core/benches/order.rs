//! The order of an epoch: its speed beside that of a shuffled vector, and a billion rows in no memory.
//!
//! `cargo bench -p burn-npy-core --bench order`, or with `-- --quick` for a glance.

use std::hint::black_box;
use std::time::{Duration, Instant};

use burn_npy_core::{Permutation, Plan, Sampler};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;

fn main() {
    let quick = std::env::args().any(|arg| arg == "--quick");
    // Enough for a stable figure; the least of several runs is the one that nothing disturbed.
    let (indices, runs) = if quick { (1 << 20, 3) } else { (1 << 24, 7) };

    for len in [60_000_u64, 65_537, 1_000_000, 1_000_000_000] {
        let mut rows = vec![0_u64; 256];
        let time = least(runs, || {
            let mut done = 0;
            let mut epoch = 0;
            while done < indices {
                let permutation = Permutation::new(len, 42, epoch);
                let mut start = 0;
                while start < len && done < indices {
                    let end = len.min(start + 256);
                    let rows = &mut rows[..(end - start) as usize];
                    permutation.fill(start..end, rows);
                    black_box(&rows);
                    done += end - start;
                    start = end;
                }
                epoch += 1;
            }
            done
        });
        println!("order/{len}/fill            {time:6.2} ns an index");
        let permutation = Permutation::new(len, 42, 0);
        let time = least(runs, || {
            let count = len.min(indices);
            for position in 0..count {
                black_box(permutation.row(position));
            }
            count
        });
        println!("order/{len}/row             {time:6.2} ns an index");
        let time = least(runs, || {
            let count = len.min(indices);
            for row in 0..count {
                black_box(permutation.position(row));
            }
            count
        });
        println!("order/{len}/position        {time:6.2} ns an index");
        if len <= 1_000_000 {
            let mut vector: Vec<u64> = (0..len).collect();
            let mut rng = SmallRng::seed_from_u64(42);
            let time = least(runs, || {
                let epochs = (indices / len).max(1);
                for _ in 0..epochs {
                    vector.shuffle(&mut rng);
                    black_box(&vector);
                }
                epochs * len
            });
            println!("order/{len}/fisher-yates    {time:6.2} ns an index");
        }
    }
    let _ = (Sampler::shuffled(1), Plan::new(0..1, 1, false));
}

/// The least time of some runs, in nanoseconds an index; a run says how many indices it drew.
fn least(runs: usize, mut run: impl FnMut() -> u64) -> f64 {
    (0..runs)
        .map(|_| {
            let start = Instant::now();
            let indices = run();
            let time: Duration = start.elapsed();
            time.as_secs_f64() * 1e9 / indices as f64
        })
        .fold(f64::INFINITY, f64::min)
}
