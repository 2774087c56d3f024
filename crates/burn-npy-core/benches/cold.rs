//! Shuffled rows of a file that is not in memory, by each way to read them.
//!
//! `cargo bench -p burn-npy-core --bench cold [-- --quick]`
//!
//! The ids are `cold/<file>/<row>/<way>`. Of a file of 512 MiB every row is read, so that later
//! rows share pages with earlier ones; of one of 3 GiB, the first rows of an epoch. In each round
//! every way reads the same batches in the same order, and the file is dropped from the page cache
//! before. A shared disk may be twice as fast in one second as in the next, so turns are short and
//! many, and the order of the ways is drawn anew in each round. The naive way runs after all
//! rounds, for a limited time: it reads megabytes around each row, which would soon bring a small
//! file into memory.
//!
//! `warm/<file>/<row>/<way>` reads the same file from memory, to see what readahead costs where it
//! gains nothing.
#![cfg(unix)]

#[allow(dead_code, reason = "each bench uses its part")]
mod disk;

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use burn_npy_core::{Result, order::Permutation};
use disk::{BATCH, WAYS};

/// What a way reads in one turn, at most.
const TURN: usize = 512 << 20;

/// Ways to read a file that is in memory, in pairs without and with readahead.
const WARM: [&str; 4] = [
    "mapped",
    "mapped-readahead",
    "positioned",
    "positioned-readahead",
];

fn main() -> Result<()> {
    let quick = std::env::args().any(|arg| arg == "--quick");
    // Sizes of the files, the time limit of the naive way, and rounds on the disk; `few` for the
    // naive way and for files in memory.
    let (sizes, naive, rounds, few) = if quick {
        (&[320 << 20][..], Duration::from_millis(30), 1, 1)
    } else {
        (&[512 << 20, 3 << 30][..], Duration::from_millis(200), 21, 5)
    };
    // Not the folder for temporary files, which may be in memory.
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder to write to");
    let cases = sizes
        .iter()
        .flat_map(|size| [(*size, 4 << 10), (*size, 150 << 10)]);
    for (size, row_bytes) in cases {
        let case = format!("{}-MiB/{}-KiB", size >> 20, row_bytes >> 10);
        let path = dir.path().join(format!("{row_bytes}.npy"));
        disk::write(&path, size, row_bytes)?;
        let rows = size / (64 << 20) * ((64 << 20) / row_bytes);
        let per_turn = rows.min(TURN / row_bytes) / BATCH;

        let mut rates = vec![Vec::new(); WAYS.len()];
        for round in 0..rounds {
            let batches = &disk::shuffled(rows, round)[..per_turn];
            let ways = WAYS.len() as u64 - 1;
            for turn in Permutation::new(ways, 2, round).rows(0..ways) {
                let way = 1 + turn as usize;
                disk::drop_from_cache(&path);
                rates[way].push(rate(WAYS[way], &path, row_bytes, batches, naive)?);
            }
        }
        for round in 0..few {
            disk::drop_from_cache(&path);
            let batches = disk::shuffled(rows, round);
            rates[0].push(rate(WAYS[0], &path, row_bytes, &batches, naive)?);
        }
        let medians: Vec<f64> = rates.iter_mut().map(|rates| median(rates)).collect();
        let best = medians[3..]
            .iter()
            .fold(0.0, |best: f64, rate| best.max(*rate));
        println!(
            "{:40} {:>10} {:>17} {:>8} {:>13}",
            "id", "rows/s", "slowest-fastest", "x naive", "x best rival"
        );
        for ((way, rate), all) in WAYS.iter().zip(&medians).zip(&rates) {
            println!(
                "{:40} {rate:>10.0} {:>17} {:>8.1} {:>13.2}",
                format!("cold/{case}/{way}"),
                format!("{:.0}-{:.0}", all[0], all[all.len() - 1]),
                rate / medians[0],
                rate / best
            );
        }

        let mut rates = vec![Vec::new(); WARM.len()];
        let batches = disk::shuffled(rows, 0);
        std::io::copy(&mut File::open(&path).unwrap(), &mut std::io::sink()).expect("all of it");
        for _ in 0..few {
            for (way, rates) in WARM.iter().zip(&mut rates) {
                rates.push(rate(way, &path, row_bytes, &batches, naive)?);
            }
        }
        let medians: Vec<f64> = rates.iter_mut().map(|rates| median(rates)).collect();
        println!("{:40} {:>10} {:>17}", "id", "rows/s", "x no readahead");
        for (i, (way, rate)) in WARM.iter().zip(&medians).enumerate() {
            let id = format!("warm/{case}/{way}");
            println!("{id:40} {rate:>10.0} {:>17.2}", rate / medians[i - i % 2]);
        }
        let _ = std::fs::remove_file(&path);
    }
    Ok(())
}

/// Rows a second.
fn rate(
    way: &str,
    path: &Path,
    row_bytes: usize,
    batches: &[Vec<usize>],
    naive: Duration,
) -> Result<f64> {
    let mut reader = disk::open(way, path, row_bytes)?;
    let start = Instant::now();
    let mut done = 0;
    for (at, rows) in batches.iter().enumerate() {
        disk::check(rows, reader.read(batches, at));
        done += rows.len();
        if way == "mapped-naive" && start.elapsed() > naive {
            break;
        }
    }
    Ok(done as f64 / start.elapsed().as_secs_f64())
}

/// Sorts, too.
fn median(rates: &mut [f64]) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}
