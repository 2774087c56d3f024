//! The order of an epoch, by promise.

mod command;
mod golden;
mod resume;

use std::process::{Command, Output};

/// Whether what is absent is a failure, and not a reason to skip.
fn require_all() -> bool {
    std::env::var_os("BURN_NPY_REQUIRE_ALL").is_some()
}

/// What a command gives, if there is such a command.
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
