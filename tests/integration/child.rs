//! Tests that may die, as processes of their own.

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Ends such a test, with what the other process is told.
pub(crate) fn end(message: &str) {
    println!("\nended {message}");
}

/// No test of a process takes this long.
const HANGS: Duration = Duration::from_secs(120);

/// Runs an ignored test of this binary in a process of its own, and returns what it [ends](end)
/// with.
///
/// # Panics
///
/// Panics if the process fails, dies, or hangs.
pub(crate) fn run(test: &str, variables: &[(&str, &str)]) -> String {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--ignored", "--nocapture"])
        .envs(variables.iter().copied())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Read meanwhile, since a full pipe would stop the process.
    let read = |mut pipe: Box<dyn Read + Send>| {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            pipe.read_to_end(&mut bytes).unwrap();
            String::from_utf8_lossy(&bytes).into_owned()
        })
    };
    let out = read(Box::new(child.stdout.take().unwrap()));
    let errors = read(Box::new(child.stderr.take().unwrap()));
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status.to_string();
        }
        if start.elapsed() > HANGS {
            child.kill().unwrap();
            child.wait().unwrap();
            break "hangs".to_owned();
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let (out, errors) = (out.join().unwrap(), errors.join().unwrap());
    let ended = out.lines().find_map(|line| line.strip_prefix("ended "));
    match ended {
        Some(ended) if status == "exit status: 0" => ended.to_owned(),
        _ => panic!("{test} {variables:?}: {status}\n{out}\n{errors}"),
    }
}
