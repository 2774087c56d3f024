//! Each subcommand on each file of the collections of the core, hostile ones included: it ends
//! soon, with the exit code that its output asks for, and never panics.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// A process that takes longer hangs.
const HANGS: Duration = Duration::from_secs(20);

/// What is decoded takes long in a program that is not optimised.
const LIMIT: &str = "--limit=16777216";

const COMMANDS: [&[&str]; 8] = [
    &["inspect"],
    &["inspect", "--json"],
    &["head", "-n", "3", LIMIT],
    &["head", "--json", "-n", "2", "--as", "uint8", LIMIT],
    &["stats", LIMIT],
    &["stats", "--json", "--axis", "-1", "--as", "bfloat16", LIMIT],
    &["verify", LIMIT],
    &[
        "verify",
        "--finite",
        "--range",
        "0..10",
        "--duplicates",
        LIMIT,
    ],
];

fn burn_npy(args: &[&str], file: &Path) -> Result<Output, String> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_burn-npy"))
        .args(args)
        .arg(file)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| error.to_string())?;
    let id = child.id();
    // The outputs are read meanwhile, since they may be longer than a pipe holds.
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let reader = |pipe: Option<Box<dyn std::io::Read + Send>>| {
        thread::spawn(move || {
            let mut bytes = Vec::new();
            pipe.map(|mut pipe| pipe.read_to_end(&mut bytes));
            bytes
        })
    };
    let stdout = reader(stdout.map(|pipe| Box::new(pipe) as _));
    let stderr = reader(stderr.map(|pipe| Box::new(pipe) as _));
    let start = Instant::now();
    let status = loop {
        match child.try_wait().map_err(|error| error.to_string())? {
            Some(status) => break status,
            None if start.elapsed() > HANGS => {
                let _ = child.kill();
                return Err(format!("process {id} hangs"));
            }
            None => thread::sleep(Duration::from_micros(300)),
        }
    };
    let read = |thread: thread::JoinHandle<Vec<u8>>| thread.join().map_err(|_| "no output");
    Ok(Output {
        status,
        stdout: read(stdout)?,
        stderr: read(stderr)?,
    })
}

/// What is wrong with the outcome of a command.
fn check(args: &[&str], file: &Path, case: &Value) -> Result<(), String> {
    let output = burn_npy(args, file)?;
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).map_err(|error| error.to_string());
    let (stdout, stderr) = (text(&output.stdout)?, text(&output.stderr)?);
    let fail = |why: &str| Err(format!("{why}: {}\n{stderr}", output.status));
    if !stderr.lines().all(|line| line.starts_with("burn-npy: ")) {
        return fail("more on stderr than messages");
    }
    if stdout.chars().any(|c| c.is_control() && c != '\n') {
        return fail("control characters");
    }
    match (output.status.code(), stderr.is_empty()) {
        (Some(0), true) => {}
        (Some(1), true) if args[0] == "verify" && !stdout.is_empty() => {}
        (Some(2), false) => {}
        _ => return fail("exit code"),
    }
    if !args.contains(&"--json") {
        return Ok(());
    }
    let lines = stdout.lines().map(serde_json::from_str::<Value>);
    let lines = lines.collect::<Result<Vec<_>, _>>();
    let lines = lines.map_err(|error| format!("no JSON: {error}"))?;
    if args[0] != "inspect" || case["fmt"] != "npy" {
        return Ok(());
    }
    // What the core's test compares in all detail.
    let [line] = &lines[..] else {
        return fail("not one line");
    };
    let agrees = match case["kind"].as_str() {
        Some("ok") => ["dtype", "shape", "order", "sha256", "raw_sha256"]
            .iter()
            .all(|key| case[key].is_null() || case[key] == line[key]),
        Some("error") => case["err"] == line["error"],
        _ => true,
    };
    if agrees {
        Ok(())
    } else {
        fail(&format!("another result: {line}"))
    }
}

#[test]
fn no_file_is_too_hostile() {
    let folders = ["corpus", "writers"].map(|name| {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../burn-npy-core/tests")
            .join(name)
    });
    let mut cases: Vec<(PathBuf, Value)> = Vec::new();
    for folder in folders {
        let text = std::fs::read(folder.join("expectations.json")).unwrap();
        let expectations: Value = serde_json::from_slice(&text).unwrap();
        for case in expectations["cases"].as_array().unwrap() {
            let file = folder.join("files").join(case["file"].as_str().unwrap());
            cases.push((file, case.clone()));
        }
    }
    assert!(cases.len() > 400);
    let next = AtomicUsize::new(0);
    let work = || {
        let mut failures = Vec::new();
        while let Some((file, case)) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            for args in COMMANDS {
                if let Err(why) = check(args, file, case) {
                    failures.push(format!("{args:?} {}: {why}", file.display()));
                }
            }
        }
        failures
    };
    let failures: Vec<_> = thread::scope(|scope| {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap())
            .collect()
    });
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_burn-npy"))
        .args(["order", "--len", "1000000"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        (output.status.code(), &output.stderr[..]),
        (Some(0), &b""[..])
    );
}

#[test]
fn completions_and_manual_pages_are_made() {
    let output = |args: &[&str]| {
        let output = burn_npy(&args[..1], Path::new(args[1])).unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = output(&["completions", shell]);
        assert!(
            script.contains("inspect") && script.contains("duplicates"),
            "{shell}"
        );
    }
    for name in [
        "inspect",
        "head",
        "stats",
        "verify",
        "order",
        "convert",
        "completions",
        "man",
    ] {
        let page = output(&["man", name]);
        assert!(page.contains(&format!(".TH burn-npy-{name} 1")), "{page}");
    }
}
