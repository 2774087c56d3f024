//! `burn-npy man`

use std::io::Write;

use clap::CommandFactory;
use clap_mangen::Man;

use crate::cli::Cli;
use crate::failure::{Outcome, Status};

/// Print the manual page, of the command or of a subcommand
///
/// To read it: burn-npy man | man -l -
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The subcommand
    subcommand: Option<String>,
}

pub(crate) fn run(args: &Args, out: &mut dyn Write) -> Outcome {
    let mut cli = Cli::command();
    // Gives the subcommands their whole names.
    cli.build();
    let page = match &args.subcommand {
        None => cli,
        Some(name) => {
            let found = cli.find_subcommand(name);
            let unknown = || format!("no subcommand {name:?}");
            found.ok_or_else(unknown)?.clone()
        }
    };
    Man::new(page).render(out)?;
    Ok(Status::Fine)
}
