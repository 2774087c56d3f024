//! Rows of files that are far away: a loader requests the next batches before it waits for them.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use burn::tensor::{Int, Tensor};
use burn_npy::file::{OpenOptions, write_npy};
use burn_npy::ndarray::Array1;
use burn_npy::remote::{ReadAt, RemoteOptions};
use burn_npy::{Array, Batch, DataLoaderBuilder, NpyBatcher, NpyDataset, Result, Row, Windows};

use crate::cpu;

/// The numbers from `first` on, far away.
#[derive(Debug)]
struct Far {
    bytes: Vec<u8>,
    first: u64,
    requests: Mutex<Vec<Range<u64>>>,
}

/// The numbers of a file.
const NUMBERS: u64 = 1 << 20;

impl Far {
    fn new(file: u64) -> Arc<Self> {
        let first = file * NUMBERS;
        let numbers = Array1::from_iter((first..first + NUMBERS).map(|number| number as i64));
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("numbers.npy");
        write_npy(&path, &numbers).unwrap();
        Arc::new(Self {
            bytes: std::fs::read(path).unwrap(),
            first,
            requests: Mutex::default(),
        })
    }

    fn near(&self) -> Array {
        Array::from_bytes(self.bytes.clone()).unwrap()
    }

    fn far(self: &Arc<Self>, remote: &RemoteOptions) -> Array {
        Array::from_reader(self.clone(), OpenOptions::new().remote(remote.clone())).unwrap()
    }

    /// Whether a number was requested, if it is of this file.
    fn has_requested(&self, number: u64) -> bool {
        let Some(index) = number
            .checked_sub(self.first)
            .filter(|index| *index < NUMBERS)
        else {
            return true;
        };
        let at = self.bytes.len() as u64 - 8 * (NUMBERS - index);
        let requests = self.requests.lock().unwrap();
        requests
            .iter()
            .any(|range| range.start <= at && at + 8 <= range.end)
    }
}

impl ReadAt for Far {
    fn name(&self) -> &str {
        "far"
    }

    fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        let range = offset..offset + out.len() as u64;
        self.requests.lock().unwrap().push(range);
        out.copy_from_slice(&self.bytes[offset as usize..][..out.len()]);
        Ok(())
    }
}

#[derive(Batch)]
struct Single {
    x: Tensor<1, Int>,
}

#[derive(Batch)]
struct Several {
    x: Tensor<2, Int>,
}

#[derive(Batch)]
struct Padded {
    #[batch(pad = -1)]
    x: Tensor<2, Int>,
}

/// The numbers of the batches of a pass.
type Pass = Box<dyn Iterator<Item = Vec<i64>>>;
/// Starts one, with some workers, and shuffled or not.
type Start = fn(NpyDataset, usize, bool) -> Pass;

macro_rules! start {
    ($batch:ty) => {
        |dataset, workers, shuffled| {
            let batcher = NpyBatcher::<$batch>::new();
            let mut builder = DataLoaderBuilder::<Row, $batch>::new(batcher)
                .set_device(cpu())
                .batch_size(16)
                .num_workers(workers);
            if shuffled {
                builder = builder.shuffle(5);
            }
            let batches = builder.try_build(dataset).unwrap().iter();
            Box::new(batches.map(|batch| batch.unwrap().x.into_data().iter().collect()))
        }
    };
}

#[test]
fn the_next_batches_are_requested_before_they_are_wanted() {
    let of = |array: Array| NpyDataset::from_arrays([("x", array)]).unwrap();
    type Make<'a> = &'a dyn Fn(Vec<Array>) -> NpyDataset;
    let cases: [(&str, Make<'_>, Start); 5] = [
        ("rows", &|mut arrays| of(arrays.remove(0)), start!(Single)),
        (
            "a chain",
            &|arrays| NpyDataset::concat(arrays.into_iter().map(of)).unwrap(),
            start!(Single),
        ),
        (
            "windows",
            &|mut arrays| of(arrays.remove(0)).windows(Windows::new(3)).unwrap(),
            start!(Several),
        ),
        (
            "wide windows",
            &|mut arrays| {
                let windows = Windows::new(3).dilation(10_000);
                of(arrays.remove(0)).windows(windows).unwrap()
            },
            start!(Several),
        ),
        (
            "rows of any length",
            &|mut arrays| {
                let lengths: Vec<i64> =
                    (0..NUMBERS as i64 / 4).map(|row| 3 + row % 2 * 2).collect();
                NpyDataset::from_lengths("x", arrays.remove(0), lengths).unwrap()
            },
            start!(Padded),
        ),
    ];
    for (name, make, start) in cases {
        for workers in [0, 2] {
            for shuffled in [false, true] {
                let files = [Far::new(0), Far::new(1)];
                let remote = RemoteOptions::new().in_flight(8);
                let near = make(files.iter().map(|file| file.near()).collect());
                let far = make(files.iter().map(|file| file.far(&remote)).collect());
                let expected: Vec<_> = start(near, 0, shuffled).take(12).collect();
                let mut pass = start(far, workers, shuffled);
                let what = format!("{name}, {workers} workers, shuffled: {shuffled}");
                for (at, batch) in expected.iter().enumerate() {
                    assert_eq!(pass.next().unwrap(), *batch, "{what}");
                    // More and more batches are requested, although nobody asks for them.
                    let ahead = expected.iter().skip(at + 1).take(at + 1).flatten();
                    let ahead: Vec<_> = ahead.filter(|number| **number >= 0).collect();
                    let start = Instant::now();
                    while !ahead
                        .iter()
                        .all(|number| files.iter().all(|file| file.has_requested(**number as u64)))
                    {
                        assert!(
                            start.elapsed() < Duration::from_secs(60),
                            "{what}, batch {at}"
                        );
                        thread::yield_now();
                    }
                }
            }
        }
    }
}

/// A file on a server that answers no more, until it is back.
#[derive(Debug)]
struct Stalled {
    bytes: Vec<u8>,
    is_back: Mutex<bool>,
    back: Condvar,
    asked: AtomicBool,
}

impl ReadAt for Stalled {
    fn name(&self) -> &str {
        "stalled"
    }

    fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        let mut is_back = self.is_back.lock().unwrap();
        while !*is_back {
            self.asked.store(true, Ordering::Relaxed);
            is_back = self.back.wait(is_back).unwrap();
        }
        out.copy_from_slice(&self.bytes[offset as usize..][..out.len()]);
        Ok(())
    }
}

#[test]
fn a_pass_over_a_server_that_is_gone_can_be_dropped() {
    for workers in [1, 3] {
        let stalled = Arc::new(Stalled {
            bytes: Far::new(0).bytes.clone(),
            is_back: Mutex::new(true),
            back: Condvar::new(),
            asked: AtomicBool::new(false),
        });
        let array = Array::from_reader(stalled.clone(), OpenOptions::new()).unwrap();
        let dataset = NpyDataset::from_arrays([("x", array)]).unwrap();
        let loader = dataset
            .loader::<Single>()
            .batch_size(16)
            .shuffle(1)
            .set_device(cpu())
            .num_workers(workers)
            .try_build()
            .unwrap();
        *stalled.is_back.lock().unwrap() = false;
        let (dropped, was_dropped) = std::sync::mpsc::channel();
        let asked = stalled.clone();
        let dropping = loader.clone();
        thread::spawn(move || {
            let pass = dropping.iter();
            while !asked.asked.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(1));
            }
            drop(pass);
            dropped.send(()).unwrap();
        });
        // Long before a request would fail.
        was_dropped.recv_timeout(Duration::from_secs(60)).unwrap();
        // When the server is back, a pass has all rows.
        *stalled.is_back.lock().unwrap() = true;
        stalled.back.notify_all();
        let rows = loader.iter().map(|batch| batch.unwrap().x.dims()[0]);
        assert_eq!(rows.take(100).sum::<usize>(), 1600);
    }
}
