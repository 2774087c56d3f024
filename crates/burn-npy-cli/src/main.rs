//! The command `burn-npy`: looks into NumPy files, checks them and measures their numbers.

mod cli;
mod failure;
mod open;
mod progress;
mod table;

mod completions;
mod head;
mod inspect;
mod man;
mod order;
mod stats;
mod verify;

use std::io::{BufWriter, Write};
use std::process::ExitCode;

use clap::Parser;

use crate::cli::Cli;
use crate::failure::{Failure, complain, complain_of_usage};

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
    match done.and_then(|status| flushed.map(|()| status)) {
        Ok(status) => status.into(),
        // The reader of a pipe has closed it, as `head` does.
        Err(Failure::Closed) => ExitCode::SUCCESS,
        Err(Failure::Message(message)) => {
            complain(&message);
            failure::Status::Failed.into()
        }
    }
}
