//! A process that is killed at random moments, and resumes from the state it saved last.
//!
//! The reader is this test binary again. It appends each row number to a log and then saves its
//! state, together with the length of the log, to a file in one step. What the log has behind that
//! length when the process dies was not saved: it may be rows of one batch, and comes again.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Seek, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use burn_npy::{State, order::Permutation};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use crate::{Indices, plain};

const KILLS: u64 = 100;
const ROWS: u64 = 5000;
const SEED: u64 = 11;

/// What is saved in one step.
type Saved = (State, u64);

fn saved(dir: &Path) -> Option<Saved> {
    let text = fs::read_to_string(dir.join("state.json")).ok()?;
    Some(serde_json::from_str(&text).unwrap())
}

#[test]
#[ignore = "a process of the other test"]
fn reader() {
    let variable = |name| std::env::var(name).unwrap();
    let number = |name| variable(name).parse::<usize>().unwrap();
    let dir = variable("KILL_DIR");
    let dir = Path::new(&dir);
    let mut builder = plain()
        .batch_size(number("KILL_BATCH"))
        .num_workers(number("KILL_WORKERS"))
        .shuffle(SEED);
    let log = dir.join("log");
    let mut log = File::options()
        .create(true)
        .write(true)
        .truncate(false)
        .open(log)
        .unwrap();
    // Without a state the log must be empty, too: a process may be killed in its first batch.
    let mut saved_len = 0;
    if let Some((state, len)) = saved(dir) {
        builder = builder.resume(state);
        saved_len = len;
    }
    log.set_len(saved_len).unwrap();
    log.seek(std::io::SeekFrom::End(0)).unwrap();
    let loader = builder.try_build(Indices(ROWS as usize)).unwrap();
    println!("ready");
    loop {
        let mut pass = loader.iter();
        while let Some(batch) = pass.next() {
            for (index, row) in batch.unwrap().into_iter().enumerate() {
                writeln!(log, "{row}").unwrap();
                // What a training step would do with the rows takes a while, too.
                if index == 0 {
                    std::thread::sleep(Duration::from_micros(300));
                }
            }
            let saved: Saved = (pass.state(), log.stream_position().unwrap());
            fs::write(
                dir.join("state.new"),
                serde_json::to_string(&saved).unwrap(),
            )
            .unwrap();
            fs::rename(dir.join("state.new"), dir.join("state.json")).unwrap();
        }
    }
}

#[test]
fn nothing_is_lost_and_nothing_comes_twice() {
    let dir = tempfile::tempdir().unwrap();
    let mut rng = StdRng::seed_from_u64(3);
    let mut again = 0;
    let (mut rows, mut len) = (0, 0);
    for _ in 0..KILLS {
        let batch: usize = rng.random_range(1..30);
        let workers = *[0, 1, 2, 3].choose(&mut rng).unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["kill::reader", "--exact", "--ignored", "--nocapture"])
            .env("KILL_DIR", dir.path())
            .env("KILL_BATCH", batch.to_string())
            .env("KILL_WORKERS", workers.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap() == "ready"));
        std::thread::sleep(Duration::from_micros(rng.random_range(0..30_000)));
        child.kill().unwrap();
        let status = child.wait().unwrap();
        assert_eq!(status.signal(), Some(9), "{status}");

        // As much as the state says, and no more than a batch that it does not know of.
        let log = fs::read(dir.path().join("log")).unwrap();
        if let Some((state, saved_len)) = saved(dir.path()) {
            rows = state.epoch() * ROWS + state.position();
            len = saved_len as usize;
        }
        let lines = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == b'\n').count();
        assert_eq!(lines(&log[..len]) as u64, rows);
        assert!(lines(&log[len..]) <= batch);
        again += usize::from(log.len() > len);
    }

    let log = fs::read(dir.path().join("log")).unwrap();
    let found: Vec<u64> = log[..len]
        .lines()
        .map(|line| line.unwrap().parse().unwrap())
        .collect();
    let expected: Vec<u64> = (0..rows)
        .map(|at| Permutation::new(ROWS, SEED, at / ROWS).row(at % ROWS))
        .collect();
    assert_eq!(found, expected);
    println!(
        "{KILLS} kills, {again} of them between a row and its state; {rows} rows in {:.1} epochs, \
         none lost, none twice",
        rows as f64 / ROWS as f64
    );
    assert!(rows > KILLS, "hardly anything happened");
}
