//! Objects have the bytes that were put there.

use std::time::{Duration, Instant};

use burn_npy::file::{Npz, NpzWriter, write_npy};
use burn_npy::ndarray::{Array1, Array2, ShapeBuilder};
use burn_npy::remote::{OpenUrl, check_read_at};
use burn_npy::{Array, ErrorKind, NpyDataset, Sampler};

use crate::MNIST;
use crate::proxy::Proxy;
use crate::server::{Bucket, cloud};

fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7 % 251) as u8).collect()
}

/// A file on this machine, as bytes.
fn written(write: impl FnOnce(&std::path::Path)) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    write(&path);
    std::fs::read(path).unwrap()
}

#[test]
fn ranges_are_right() {
    let bucket = Bucket::new();
    // Shorter and longer than what comes with the length.
    for len in [0, 1, 10_007, 70_021] {
        let bytes = bytes(len);
        let url = bucket.put(&format!("folder/bytes {len}#1 %20.npy"), bytes.clone());
        let object = bucket.cloud().open_url(&url).unwrap();
        assert_eq!(object.name(), url);
        assert!(object.version().is_some());
        check_read_at(&*object, &bytes);
    }
}

#[test]
fn a_header_costs_one_request() {
    let bucket = Bucket::new();
    let array = Array2::from_shape_fn((1000, 64), |(row, column)| (row * 64 + column) as f32);
    let url = bucket.put("x.npy", written(|path| write_npy(path, &array).unwrap()));
    let options = bucket.cloud().open_options();
    let opened = Array::open_with(&url, options).unwrap();
    assert_eq!(opened.shape(), [1000, 64]);
    assert_eq!(bucket.requests(), 1);
    assert_eq!(opened.read::<f32>().unwrap(), array.into_dyn());
}

#[test]
fn arrays_of_all_kinds_are_read() {
    let bucket = Bucket::new();
    let c = Array2::from_shape_fn((500, 12), |(row, column)| (row * 12 + column) as i32);
    let mut fortran = Array2::<i32>::zeros((500, 12).f());
    fortran.assign(&c);
    let npy = |array: &Array2<i32>| written(|path| write_npy(path, array).unwrap());
    let npz = written(|path| {
        let mut npz = NpzWriter::create(path).unwrap();
        npz.add("x", &c).unwrap();
        npz.add("y", &Array1::from_iter(0..500_i64)).unwrap();
        npz.finish().unwrap();
    });
    let files = [
        ("c.npy", npy(&c)),
        ("fortran.npy", npy(&fortran)),
        ("stored.npz", npz),
    ];
    let options = bucket.cloud().open_options();
    let rows: Vec<usize> = (0..500).map(|i| i * 37 % 500).collect();
    for (name, file) in files {
        let url = bucket.put(name, file);
        let dataset = NpyDataset::open_with(&url, options.clone()).unwrap();
        let name = if name.ends_with("npz") {
            "x"
        } else {
            name.trim_end_matches(".npy")
        };
        assert_eq!(dataset.len(), 500, "{url}");
        assert_eq!(
            dataset.read::<i32>(name).unwrap(),
            c.clone().into_dyn(),
            "{url}"
        );
        let mixed = dataset
            .rows(rows.clone())
            .unwrap()
            .read::<i32>(name)
            .unwrap();
        assert_eq!(
            mixed,
            c.select(burn_npy::ndarray::Axis(0), &rows).into_dyn(),
            "{url}"
        );
    }
}

/// The members of this archive are deflated.
#[test]
fn compressed_members_are_read() {
    let bucket = Bucket::new();
    let url = bucket.put("mnist.npz", std::fs::read(MNIST).unwrap());
    let far = Npz::open_with(&url, bucket.cloud().open_options()).unwrap();
    let near = Npz::open(MNIST).unwrap();
    for name in ["test_images", "test_labels"] {
        let array = |npz: &Npz| npz.array(name).unwrap().read::<u8>().unwrap();
        assert_eq!(array(&far), array(&near));
    }
}

#[test]
fn connections_that_break_are_made_again() {
    let bucket = Bucket::new();
    let bytes = bytes(300_000);
    let url = bucket.put("x", bytes.clone());
    // In the head of an answer, and in its body.
    for after in [0, 100, 70_000, 200_000] {
        let proxy = Proxy::start(bucket.address(), 4, after);
        let object = cloud(&format!("http://{}", proxy.address));
        let object = object.open_url(&url).unwrap();
        let mut out = vec![0; bytes.len()];
        object.read_at(0, &mut out).unwrap();
        assert!(out == bytes, "after {after} bytes");
        assert!(proxy.broken() >= 2, "after {after} bytes");
    }
}

#[test]
fn a_server_that_comes_back_is_waited_for() {
    let mut bucket = Bucket::new();
    let bytes = bytes(200_000);
    let url = bucket.put("x", bytes.clone());
    let object = bucket.cloud().open_url(&url).unwrap();
    bucket.stop();
    std::thread::scope(|scope| {
        let read = scope.spawn(|| {
            let mut out = vec![0; bytes.len()];
            object.read_at(0, &mut out).unwrap();
            out
        });
        std::thread::sleep(Duration::from_secs(1));
        assert!(!read.is_finished());
        bucket.start_again();
        assert!(read.join().unwrap() == bytes);
    });
}

#[test]
fn a_server_that_stays_away_is_an_error() {
    let mut bucket = Bucket::new();
    let url = bucket.put("x", bytes(200_000));
    let cloud = bucket.cloud().patience(Duration::from_secs(1));
    let object = cloud.open_url(&url).unwrap();
    bucket.stop();
    let start = Instant::now();
    let error = object.read_at(150_000, &mut [0; 10]).unwrap_err();
    // Far less than without an end.
    assert!(start.elapsed() < Duration::from_secs(30));
    assert_eq!(error.kind(), ErrorKind::Io);
    let message = error.to_string();
    for part in [
        &*url,
        "bytes 150000 to 150010",
        "attempts",
        "AWS_ENDPOINT",
        "refused",
    ] {
        assert!(message.contains(part), "{message}");
    }
}

/// With and without a server that checks versions itself.
#[test]
fn objects_that_change_are_errors() {
    for bucket in [Bucket::new(), Bucket::without_conditions()] {
        let cloud = bucket.cloud();
        // The new length; what is read is beyond the end of the shorter one.
        let changes = [
            ("as long", Some(200_000)),
            ("longer", Some(300_000)),
            ("shorter", Some(100_000)),
            ("gone", None),
        ];
        for (key, len) in changes {
            let url = bucket.put(key, vec![0; 200_000]);
            let object = cloud.open_url(&url).unwrap();
            object.read_at(150_000, &mut [1; 10]).unwrap();
            match len {
                Some(len) => drop(bucket.put(key, vec![1; len])),
                None => bucket.delete(key),
            }
            let error = object.read_at(150_000, &mut [1; 10]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Changed, "{key}: {error}");
            assert!(error.to_string().contains(&url), "{error}");
            // The new one can be opened.
            assert_eq!(cloud.open_url(&url).is_ok(), len.is_some());
        }
    }
}

/// A dataset whose object is replaced in the middle of an epoch.
#[test]
fn no_row_of_a_new_object_is_given_out() {
    let bucket = Bucket::new();
    let file = |value: u8| {
        let array = Array2::from_elem((400, 1000), value);
        written(|path| write_npy(path, &array).unwrap())
    };
    let url = bucket.put("x.npy", file(0));
    let dataset = NpyDataset::open_with(&url, bucket.cloud().open_options()).unwrap();
    let order = Sampler::shuffled(1).order(400, 0);
    let rows: Vec<usize> = order.rows(0..400).map(|row| row as usize).collect();
    let read = |rows: &[usize]| {
        let rows = dataset.rows(rows.iter().copied()).unwrap();
        rows.read::<u8>("x")
    };
    assert!(read(&rows[..200]).unwrap().iter().all(|value| *value == 0));
    bucket.put("x.npy", file(1));
    match read(&rows[200..]) {
        // It had them already.
        Ok(rows) => assert!(rows.iter().all(|value| *value == 0)),
        Err(error) => assert_eq!(error.kind(), ErrorKind::Changed, "{error}"),
    }
}

/// Where a runtime may not be blocked or dropped, ours is.
#[test]
fn programs_with_a_runtime_of_their_own_open_objects() {
    let bucket = Bucket::new();
    let bytes = bytes(130_000);
    let url = bucket.put("x", bytes.clone());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        let cloud = bucket.cloud();
        let object = cloud.open_url(&url).unwrap();
        drop(cloud);
        let mut out = vec![0; bytes.len()];
        object.read_at(0, &mut out).unwrap();
        assert!(out == bytes);
    });
}

/// In a process of its own, since other tests have such threads too.
#[cfg(target_os = "linux")]
#[test]
fn threads_end_with_the_last_object() {
    const CHILD: &str = "BURN_NPY_CLOUD_THREADS";
    if std::env::var_os(CHILD).is_none() {
        let this = "read::threads_end_with_the_last_object";
        let child = std::process::Command::new(std::env::current_exe().unwrap())
            .args([this, "--exact", "--nocapture"])
            .env(CHILD, "1")
            .output()
            .unwrap();
        assert!(child.status.success(), "{child:?}");
        return;
    }
    let threads = || {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap();
        let name = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("comm"));
        // A thread may end meanwhile.
        let names = tasks.filter_map(|task| name(task.ok()?).ok());
        names
            .filter(|name| name.trim_end() == "burn-npy-cloud")
            .count()
    };
    let bucket = Bucket::new();
    let url = bucket.put("x", bytes(200_000));
    let cloud = bucket.cloud();
    assert_eq!(threads(), 0);
    let object = cloud.clone().open_url(&url).unwrap();
    drop(cloud);
    object.read_at(150_000, &mut [0; 10]).unwrap();
    assert!(threads() >= 2);
    drop(object);
    let start = Instant::now();
    while threads() > 0 {
        assert!(
            start.elapsed() < Duration::from_secs(30),
            "{} threads",
            threads()
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}
