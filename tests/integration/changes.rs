//! A file that another program writes anew while a loader reads it.
//!
//! The loader runs in a process of its own, since a signal may kill it. Each change of a file at
//! each moment is tested in the core; here it is the threads of a pass that must not give a row.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use burn::tensor::{Int, Tensor};
use burn_npy::ndarray::Array2;
use burn_npy::{DataLoaderBuilder, ErrorKind, NpyBatcher, NpyDataset};
use burn_npy::{Sampler, catch_sigbus, file::write_npy};

use crate::cpu;

const ROWS: usize = 100_000;
/// How many numbers a row has.
const LEN: usize = 10;

fn write(path: &Path, added: i32) {
    let number = |(row, i)| (row * LEN + i) as i32 + added;
    write_npy(path, &Array2::from_shape_fn((ROWS, LEN), number)).unwrap();
}

#[test]
#[ignore = "a process of the other test"]
fn reader() {
    let variable = |name| std::env::var(name).unwrap();
    let number = |name| variable(name).parse::<usize>().unwrap();
    catch_sigbus().unwrap();
    let sampler = match number("READER_SHUFFLES") {
        0 => Sampler::sequential(),
        _ => Sampler::shuffled(1),
    };
    let loader = DataLoaderBuilder::new(NpyBatcher::<Tensor<2, Int>>::new().keep_dtypes())
        .set_device(cpu())
        .batch_size(number("READER_BATCH"))
        .num_workers(number("READER_WORKERS"))
        .sampler(sampler)
        .try_build(NpyDataset::open(variable("READER_FILE")).unwrap())
        .unwrap();
    loop {
        let mut pass = loader.iter();
        while let Some(batch) = pass.next() {
            let batch = match batch {
                Ok(batch) => batch.into_data(),
                Err(error) => {
                    assert!(pass.next().is_none(), "a failure ends the pass");
                    let text = error.to_string();
                    return println!("ended {} {text}", error.kind());
                }
            };
            let rows = pass.info().unwrap().rows();
            let expected = rows
                .iter()
                .flat_map(|row| (0..LEN).map(move |i| *row as i32 * LEN as i32 + i as i32));
            assert!(expected.eq(batch.iter::<i32>()), "rows of another file");
            println!("batch");
        }
    }
}

#[test]
fn no_batch_has_rows_of_another_file() {
    type Change = fn(&Path, &[u8]);
    let changes: [Change; 2] = [
        |path, bytes| {
            use std::os::unix::fs::FileExt;
            let file = std::fs::File::options().write(true).open(path).unwrap();
            file.write_all_at(bytes, 0).unwrap();
        },
        // As `np.save` does.
        |path, bytes| std::fs::write(path, bytes).unwrap(),
    ];
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.npy");
    write(&path, 1);
    let other = std::fs::read(&path).unwrap();
    for (number, change) in (0..12).zip(changes.iter().cycle()) {
        write(&path, 0);
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["changes::reader", "--exact", "--ignored", "--nocapture"])
            .env("READER_FILE", &path)
            .env("READER_SHUFFLES", (number / 2 % 2).to_string())
            .env("READER_WORKERS", (number % 3).to_string())
            .env("READER_BATCH", [256, 20_000][number / 4 % 2].to_string())
            .stdout(Stdio::piped())
            .spawn();
        let mut child = child.unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok);
        assert!(lines.any(|line| line == "batch"), "{number}");
        std::thread::sleep(Duration::from_micros(number as u64 * 379 % 2000));
        change(&path, &other);
        let end = lines.find(|line| line.starts_with("ended"));
        let status = child.wait().unwrap();
        let end = end.unwrap_or_else(|| panic!("{number}: {status}"));
        let kind = format!("ended {}", ErrorKind::Changed);
        assert!(end.starts_with(&kind), "{number}: {end}");
        assert!(end.contains("x.npy"), "{end}");
    }
}
