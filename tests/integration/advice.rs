//! What the system is told about a large file: read ahead of the rows, or not.

use std::fs;
use std::io::Write;

use burn::tensor::{Int, Tensor};
use burn_npy::{NpyDataset, Sampler, Windows};

/// More than a file that the system is told nothing about.
const ROWS: u64 = 300 << 20;

/// Whether the map of a file is one of which the system reads no more than is asked for; `None` if
/// the system does not say.
fn is_random(file: &std::path::Path) -> Option<bool> {
    let maps = fs::read_to_string("/proc/self/smaps").ok()?;
    let of_file = maps.split_once(file.to_str()?)?.1;
    let flags = of_file.split_once("VmFlags:")?.1.lines().next()?;
    Some(flags.split_whitespace().any(|flag| flag == "rr"))
}

#[test]
fn rows_in_an_order_of_their_own_are_read_at_random() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("zeros.npy");
    let header = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': ({ROWS},), }}");
    let mut file = fs::File::create(&path).unwrap();
    file.write_all(b"\x93NUMPY\x01\x00\x76\x00").unwrap();
    file.write_all(format!("{header:<117}\n").as_bytes())
        .unwrap();
    // It takes no place on the disk.
    file.set_len(128 + ROWS).unwrap();
    let data = NpyDataset::open(&path).unwrap();
    let told = |dataset: &NpyDataset, sampler: Sampler| {
        let loader = dataset.loader::<Tensor<1, Int>>().sampler(sampler);
        let loader = loader.set_device(crate::cpu()).try_build().unwrap();
        loader.iter().take(1).for_each(|batch| drop(batch.unwrap()));
        is_random(&path)
    };
    let sequential = Sampler::sequential;
    if told(&data, sequential()).is_none() {
        eprintln!("skipped, since the system does not tell");
        return;
    }
    let listed = |rows: &[u64]| data.rows(rows).unwrap();
    let index = |rows: Vec<u64>| sequential().index(rows).unwrap();
    let array = data.columns().next().unwrap().1.array().clone();
    let lengths = vec![1_i64 << 20; (ROWS >> 20) as usize];
    let texts = NpyDataset::from_lengths("texts", array, lengths).unwrap();
    let backwards = texts.rows((0..texts.len()).rev()).unwrap();
    let windows = |texts: &NpyDataset| {
        let windows = texts.windows(Windows::new(1).stride(1 << 20)).unwrap();
        windows.reshape("texts", &[]).unwrap()
    };
    let far = data.step(1 << 20).unwrap();
    let (first, second) = far.split(0.5, 1).unwrap();
    for (number, (dataset, sampler, expected)) in [
        (data.clone(), sequential(), false),
        (data.clone(), Sampler::shuffled(1), true),
        (data.skip(9), sequential(), false),
        (listed(&[3, 7, 9]), sequential(), false),
        (listed(&[9, 3, 7]), sequential(), true),
        (data.clone(), index(vec![3, 7, 7, 9]), false),
        (data.clone(), index(vec![9, 3, 7]), true),
        (far.clone(), sequential(), false),
        (first.clone(), sequential(), true),
        (first.sort_by("zeros").unwrap(), sequential(), true),
        (
            NpyDataset::concat([first, second]).unwrap(),
            sequential(),
            true,
        ),
        (windows(&texts), sequential(), false),
        (windows(&backwards), sequential(), true),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(told(&dataset, sampler), Some(expected), "case {number}");
    }
}
