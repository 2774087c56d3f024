//! Every file of two collections gives the right values or the right kind of error.
//!
//! `tests/corpus` has files that are hard to read. `tests/writers` has files as programs other than
//! NumPy write them, made by its `make.py`. The `expectations.json` of each collection has the
//! expected result of a strict reader for each file, and the result of NumPy. Each file is read in
//! a process of its own. A case fails if the process panics, is killed, takes more than a few
//! seconds, takes more memory than the file and a constant, or gives another result.

// What `burn-npy inspect --json` prints of an array.
#[path = "../../burn-npy-cli/src/inspect/report.rs"]
mod report;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use burn_npy_core::file::{NumpyFile, OpenOptions};
use serde_json::Value;

/// A process that takes longer hangs. It should take a tenth of a second.
const HANGS: Duration = Duration::from_secs(20);
/// The memory that a process may take besides the size of its file: the program, its libraries, and
/// what `inspect` decodes.
const MEMORY: u64 = 96 << 20;

/// Each has `expectations.json` and `files`.
const FOLDERS: [&str; 2] = ["corpus", "writers"];

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests")
        .join(name)
}

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    if args.next().as_deref() == Some("--case") {
        let file = args.next().unwrap_or_default();
        child(Path::new(&file));
        return ExitCode::SUCCESS;
    }
    match FOLDERS.map(check) {
        [true, true] => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// Runs the cases of a folder, and says whether all are right.
fn check(name: &str) -> bool {
    let folder = folder(name);
    let text = std::fs::read(folder.join("expectations.json")).unwrap();
    let expectations: Value = serde_json::from_slice(&text).unwrap();
    let cases = expectations["cases"].as_array().unwrap();
    println!("{name}");
    let mut table: BTreeMap<(String, String), [usize; 2]> = BTreeMap::new();
    let mut failures = Vec::new();
    let mut slowest = (Duration::ZERO, "");
    for case in cases {
        let text = |key: &str| case[key].as_str().unwrap_or("values").to_owned();
        let name = case["name"].as_str().unwrap();
        let start = Instant::now();
        let file = folder.join("files").join(case["file"].as_str().unwrap());
        let outcome = run(&file).and_then(|lines| compare(case, &lines));
        slowest = slowest.max((start.elapsed(), name));
        let counts = table.entry((text("kind"), text("err"))).or_default();
        counts[0] += 1;
        match outcome {
            Ok(()) => counts[1] += 1,
            Err(why) => failures.push(format!("{name}: {why}")),
        }
    }
    println!("{:8} {:18} {:>6} {:>6}", "kind", "class", "cases", "right");
    for ((kind, class), [count, right]) in &table {
        println!("{kind:8} {class:18} {count:6} {right:6}");
    }
    println!(
        "{:8} {:18} {:6} {:6}",
        "all",
        "",
        cases.len(),
        cases.len() - failures.len()
    );
    println!(
        "slowest: {} in {:?}, with its process",
        slowest.1, slowest.0
    );
    for failure in &failures {
        println!("FAILED {failure}");
    }
    failures.is_empty() && !cases.is_empty()
}

/// Prints the contents of a file, and then the peak memory of the process.
fn child(file: &Path) {
    let options = OpenOptions::new().limits(report::limits());
    match NumpyFile::open_with(file, options) {
        Ok(NumpyFile::Npy(array)) => println!("{}", report::object(file, None, Ok(array))),
        Ok(NumpyFile::Npz(npz)) => {
            for name in npz.names() {
                println!("{}", report::object(file, Some(name), npz.array(name)));
            }
        }
        Err(error) => println!("{}", report::object(file, None, Err(error))),
    }
    // Also make a column, as a user's program does first.
    if let Ok(array) = burn_npy_core::Array::open(file) {
        let _ = array.view::<f32>();
        let _ = array.read::<f32>();
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix("kB"));
    let peak = peak.and_then(|peak| peak.trim().parse::<u64>().ok());
    println!("{}", peak.unwrap_or(0) << 10);
}

/// The lines that a process prints about a file.
fn run(file: &Path) -> Result<Vec<Value>, String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .arg("--case")
        .arg(file)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| error.to_string())?;
    let start = Instant::now();
    // A thread reads the output, since it may be longer than a pipe holds.
    let mut stdout = child.stdout.take().unwrap();
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        std::io::Read::read_to_string(&mut stdout, &mut text).map(|_| text)
    });
    let status = loop {
        match child.try_wait().map_err(|error| error.to_string())? {
            Some(status) => break status,
            None if start.elapsed() > HANGS => {
                let _ = child.kill();
                return Err("hangs".to_owned());
            }
            None => std::thread::sleep(Duration::from_micros(200)),
        }
    };
    let text = reader.join().unwrap().map_err(|error| error.to_string())?;
    if !status.success() {
        let mut errors = String::new();
        let _ = std::io::Read::read_to_string(&mut child.stderr.take().unwrap(), &mut errors);
        return Err(format!("{status}: {errors}"));
    }
    let mut lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).map_err(|error| format!("{error}: {line}")))
        .collect::<Result<_, _>>()?;
    let peak = lines.pop().and_then(|peak| peak.as_u64());
    let allowed = MEMORY + file.metadata().map_err(|error| error.to_string())?.len();
    match peak {
        Some(peak) if peak <= allowed => Ok(lines),
        peak => Err(format!("took {peak:?} bytes, allowed are {allowed}")),
    }
}

fn compare(case: &Value, lines: &[Value]) -> Result<(), String> {
    if case["fmt"] == "npy" {
        return match lines {
            [line] => compare_one(case, line),
            _ => Err(format!("{} lines", lines.len())),
        };
    }
    let wanted = case["kind"].as_str().unwrap();
    // The archive as a whole was refused, or the one thing that is wrong with it was found in a
    // member.
    if let Some(line) = lines.iter().find(|line| !line["error"].is_null()) {
        let refused = line["error"] == case["err"];
        let in_member = case["members"]
            .as_array()
            .into_iter()
            .flatten()
            .any(|member| member["name"] == line["member"] && member["err"] == line["error"]);
        if wanted != "ok" && refused {
            return Ok(());
        }
        if !in_member {
            return Err(format!("refused: {line}"));
        }
    } else if wanted == "error" {
        return Err(format!("not refused: {lines:?}"));
    }
    for member in case["members"].as_array().into_iter().flatten() {
        match lines.iter().find(|line| line["member"] == member["name"]) {
            Some(line) => compare_one(member, line)?,
            // What a reader may refuse, it may also leave out of the arrays.
            None if member["kind"] == "either" => {}
            None => return Err(format!("no line for {}", member["name"])),
        }
    }
    Ok(())
}

fn compare_one(expected: &Value, line: &Value) -> Result<(), String> {
    let refused = !line["error"].is_null();
    match expected["kind"].as_str() {
        Some("ok") if refused => return Err(format!("refused: {line}")),
        Some("error") if !refused => return Err(format!("not refused: {line}")),
        _ if refused && line["error"] == expected["err"] => return Ok(()),
        _ if refused => return Err(format!("{} expected: {line}", expected["err"])),
        _ => {}
    }
    // Decoded members of archives have no offset in the file.
    let stored = expected["method"].is_null() || expected["method"] == 0;
    for key in [
        "dtype",
        "shape",
        "order",
        "version",
        "data_offset",
        "nbytes",
        "itemsize",
        "sha256",
        "first_hex",
        "last_hex",
        "descr",
        "raw_sha256",
    ] {
        if expected[key].is_null() || key == "data_offset" && !stored {
            continue;
        }
        if line[key] != expected[key] {
            return Err(format!("{key}: {} expected: {line}", expected[key]));
        }
    }
    Ok(())
}
