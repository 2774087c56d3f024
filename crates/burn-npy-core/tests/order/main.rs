//! The promises about the order of an epoch.

mod golden;
mod resume;

use std::process::{Command, Output};

/// Whether a missing program is a failure instead of a reason to skip.
fn require_all() -> bool {
    std::env::var_os("BURN_NPY_REQUIRE_ALL").is_some()
}

/// The output of a command, or `None` if there is no such command.
fn output(command: &mut Command) -> Option<Output> {
    match command.output() {
        Ok(output) => Some(output),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !require_all() => {
            eprintln!("skipped: there is no {command:?}");
            None
        }
        Err(error) => panic!("{command:?}: {error}"),
    }
}
