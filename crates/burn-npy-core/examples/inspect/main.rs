//! Prints what is in NumPy files: one JSON object a line for each array or error.
//!
//! `cargo run -q --release -p burn-npy-core --example inspect -- FILE...`
//!
//! The exit status is 0 even if files have errors. It is 2 for wrong arguments.

mod report;

use std::io::{BufWriter, Write};
use std::process::ExitCode;

const USAGE: &str = "\
usage: inspect [--limit BYTES] FILE...
  --limit BYTES  decode at most so many bytes of compressed arrays (64 MiB each, 256 MiB in all)";

fn main() -> ExitCode {
    let mut limits = report::limits();
    let mut files = Vec::new();
    let mut args = std::env::args_os().skip(1);
    while let Some(arg) = args.next() {
        match arg.to_str() {
            Some("--limit") => {
                let bytes = args.next().and_then(|arg| arg.to_str()?.parse().ok());
                let Some(bytes) = bytes else {
                    eprintln!("--limit takes a number of bytes\n{USAGE}");
                    return ExitCode::from(2);
                };
                limits = limits.member_bytes(bytes).total_bytes(bytes);
            }
            Some("--help" | "-h") => {
                let _ = writeln!(std::io::stdout(), "{USAGE}");
                return ExitCode::SUCCESS;
            }
            Some("--") => files.extend(args.by_ref()),
            Some(flag) if flag.starts_with("--") => {
                eprintln!("{flag}: unknown argument\n{USAGE}");
                return ExitCode::from(2);
            }
            _ => files.push(arg),
        }
    }
    if files.is_empty() {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    }
    let mut out = BufWriter::new(std::io::stdout().lock());
    // The reader of a pipe has closed it, as `head` does.
    let mut print = |line: serde_json::Value| writeln!(out, "{line}").is_ok();
    for file in files {
        if !report::inspect(file.as_ref(), limits, &mut print) {
            break;
        }
    }
    let _ = out.flush();
    ExitCode::SUCCESS
}
