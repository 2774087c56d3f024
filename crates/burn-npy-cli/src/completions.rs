//! `burn-npy completions`

use std::io::Write;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::Cli;
use crate::failure::{Outcome, Status};

/// Print completions for a shell
///
/// For bash: burn-npy completions bash > ~/.local/share/bash-completion/completions/burn-npy
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The shell
    shell: Shell,
}

pub(crate) fn run(args: &Args, out: &mut dyn Write) -> Outcome {
    // clap_complete panics if it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "burn-npy", &mut script);
    out.write_all(&script)?;
    Ok(Status::Fine)
}
