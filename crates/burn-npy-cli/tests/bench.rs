//! What `bench` prints: that it is there and plausible, not how much it is.

use std::path::Path;
use std::process::{Command, Output};

use burn_npy_core::file::NpzWriter;
use ndarray::{Array1, Array3};
use serde_json::Value;

fn burn_npy(dir: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_burn-npy"));
    command.args(args).current_dir(dir).output().unwrap()
}

/// Runs a command that succeeds, and returns what it prints.
fn run(dir: &Path, args: &[&str]) -> String {
    let output = burn_npy(dir, args);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn bench_has_a_rate_for_each_number_of_threads() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let mut npz = NpzWriter::create(path("x.npz")).unwrap();
    npz.add("x", &Array3::<f32>::zeros((500, 8, 8))).unwrap();
    npz.add("y", &Array1::<u8>::zeros(500)).unwrap();
    npz.add("few", &Array1::<u8>::zeros(3)).unwrap();
    npz.finish().unwrap();
    let cold = cfg!(target_os = "linux").then_some("--cold");
    let mut args = vec!["bench", "x.npz", "--batch=32", "--seconds=0.2", "--json"];
    args.extend(cold);
    let found: Value = serde_json::from_str(&run(dir.path(), &args)).unwrap();
    assert_eq!(found["file"], "x.npz");
    let names: Vec<_> = found["arrays"].as_array().unwrap().iter().collect();
    assert_eq!(names.len(), 2);
    assert_eq!(
        (&names[0]["member"], &names[1]["member"]),
        (&"x".into(), &"y".into())
    );
    assert_eq!(names[0]["shape"], serde_json::json!([500, 8, 8]));
    for (key, expected) in [
        ("rows", 500),
        ("rows_measured", 500),
        ("row_bytes", 257),
        ("batch", 32),
    ] {
        assert_eq!(found[key], expected, "{key}");
    }
    let positive = |object: &Value| {
        let rows = object["rows_per_second"].as_f64().unwrap();
        let bytes = object["bytes_per_second"].as_f64().unwrap();
        assert!(
            rows > 0.0 && (bytes / rows - 257.0).abs() < 1e-6,
            "{object}"
        );
    };
    positive(&found["copy"]);
    let warm = found["warm"].as_array().unwrap();
    warm.iter().for_each(positive);
    let threads: Vec<_> = warm
        .iter()
        .map(|rate| rate["threads"].as_u64().unwrap())
        .collect();
    assert!(threads.starts_with(&[0, 1]) && threads.is_sorted_by(|a, b| a < b));
    assert!(threads.contains(&found["num_workers"].as_u64().unwrap()));
    if cold.is_some() {
        let rates = found["cold"]["rates"].as_array().unwrap();
        assert_eq!(rates.len(), 2);
        rates.iter().for_each(positive);
    }
    let known = [
        "disk",
        "layout",
        "small batches",
        "small rows",
        "memory",
        "gather",
    ];
    assert!(known.contains(&found["bound"].as_str().unwrap()));
    assert!(found["advice"].as_array().unwrap().len() >= 3);
    // For people.
    let said = run(dir.path(), &["bench", "x.npz:few", "--seconds=0.05"]);
    assert!(
        said.starts_with("few  uint8 (3,)\n3 rows of 1 B, in batches of 256\n"),
        "{said}"
    );
    assert!(
        said.contains("a plain copy") && said.contains("num_workers("),
        "{said}"
    );
}

#[test]
fn no_file_is_too_hostile_to_measure() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../burn-npy-core/tests/corpus/files");
    let files = std::fs::read_dir(&folder).unwrap();
    let mut files: Vec<_> = files.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut measured = 0;
    // Each takes its time.
    for file in files.iter().step_by(8) {
        let args = [
            "bench",
            file.to_str().unwrap(),
            "--seconds=0.05",
            "--batch=8",
        ];
        let output = burn_npy(&folder, &[&args[..], &["--limit=16777216"]].concat());
        let said = String::from_utf8(output.stderr).unwrap();
        match output.status.code() {
            Some(0) if said.is_empty() => measured += 1,
            Some(2) if said.starts_with("burn-npy: ") && said.lines().count() == 1 => {}
            other => panic!("{args:?}: {other:?} {said}"),
        }
    }
    assert!(measured > 5, "{measured} of {}", files.len());
}
