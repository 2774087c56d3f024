//! The command `burn-npy`: looks into NumPy files, checks them, measures their numbers, and makes
//! them of others.

mod cli;
mod failure;
mod open;
mod progress;
mod save;
mod scan;
mod table;
mod values;

mod bench;
mod completions;
mod convert;
mod head;
mod inspect;
mod man;
mod order;
mod stats;
mod verify;
mod view;

use std::io::{BufWriter, Write};
use std::process::ExitCode;

use clap::Parser;

use crate::cli::Cli;
use crate::failure::{Failure, complain_of_usage};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return complain_of_usage(&error),
    };
    // A file that is truncated while it is read is an error then, not the end of the process. A
    // system that refuses the handler reads files as well without it.
    let _ = burn_npy_core::catch_sigbus();
    let mut out = BufWriter::new(anstream::stdout().lock());
    let done = cli.command.run(&mut out);
    // What was found before a failure is shown before it.
    let flushed = out.flush().map_err(Failure::from);
    let status = done.and_then(|status| flushed.map(|()| status));
    status.unwrap_or_else(|failure| failure.report()).into()
}
