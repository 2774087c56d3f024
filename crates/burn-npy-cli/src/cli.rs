//! The command line: a subcommand a file, with its arguments.

use std::io::Write;

use clap::{Parser, Subcommand};

use crate::failure::Outcome;
use crate::{bench, completions, convert, head, inspect, man, order, stats, verify, view};

/// Looks into NumPy files, checks them, measures their numbers, and makes them of others.
#[derive(Debug, Parser)]
#[command(name = "burn-npy", version, after_help = EXIT_CODES, arg_required_else_help = true)]
#[command(disable_help_subcommand = true, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "\
FILE is a .npy, .npz or IDX file; its first bytes tell which. FILE:ARRAY is an array of an archive,
or a field of a structured array. A command built with the feature `http` also takes the URL of a
.npy or .npz file: https://, http:// or hf://.

Exit codes: 0 if all is right, 1 if `verify` has found something, 2 if a file cannot be read or the
arguments are wrong.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Inspect(inspect::Args),
    Head(head::Args),
    Stats(stats::Args),
    Verify(verify::Args),
    View(view::Args),
    Convert(Box<convert::Args>),
    Bench(bench::Args),
    Order(order::Args),
    Completions(completions::Args),
    Man(man::Args),
}

impl Command {
    /// Runs the subcommand, which prints what it finds to `out`.
    pub(crate) fn run(&self, out: &mut dyn Write) -> Outcome {
        match self {
            Self::Inspect(args) => inspect::run(args, out),
            Self::Head(args) => head::run(args, out),
            Self::Stats(args) => stats::run(args, out),
            Self::Verify(args) => verify::run(args, out),
            Self::View(args) => view::run(args, out),
            Self::Convert(args) => convert::run(args, out),
            Self::Bench(args) => bench::run(args, out),
            Self::Order(args) => order::run(args, out),
            Self::Completions(args) => completions::run(args, out),
            Self::Man(args) => man::run(args, out),
        }
    }
}
