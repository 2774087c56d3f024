//! How a command ends: its exit code, and one line on stderr for what went wrong.

use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

use burn_npy_core::internal::{MESSAGE, one_line};
use clap::CommandFactory;

use crate::cli::Cli;

/// The exit code of a command. The greatest of several counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Status {
    /// All is right: 0.
    Fine,
    /// Something was found in a file that can be read: 1.
    Found,
    /// Something cannot be read, or the arguments are wrong: 2.
    Failed,
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        Self::from(status as u8)
    }
}

/// What a command returns.
pub(crate) type Outcome<T = Status> = Result<T, Failure>;

/// Why a command ends early.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The line for stderr, without `burn-npy: `.
    Message(String),
    /// An error of a file or an array.
    Core(burn_npy_core::Error),
    /// Nobody reads the output any more.
    Closed,
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::Message(format!("cannot write: {error}")),
        }
    }
}

impl From<burn_npy_core::Error> for Failure {
    fn from(error: burn_npy_core::Error) -> Self {
        Self::Core(error)
    }
}

impl From<String> for Failure {
    fn from(message: String) -> Self {
        Self::Message(message)
    }
}

impl Failure {
    /// Prints what went wrong on stderr, and returns the status. That nobody reads the output is no
    /// failure of the command.
    pub(crate) fn report(&self) -> Status {
        match self {
            Self::Closed => return Status::Fine,
            Self::Message(message) => complain(message),
            Self::Core(error) => complain(&advised(&error.to_string())),
        }
        Status::Failed
    }
}

/// What the core says names methods; here it names options.
const ADVICE: [(&str, &str); 15] = [
    (
        "say with saturating_cast or wrapping_cast what becomes of it",
        SATURATE,
    ),
    ("say with saturating_cast what becomes of it", SATURATE),
    (
        "round() or trunc() before the cast says what becomes of them",
        "--round rounds them",
    ),
    (", or let the loader skip such rows with on_error", ""),
    ("use Array::open", "leave out --raw"),
    ("reinterpret the array", "name the dtype with --as"),
    (
        "Limits::member_bytes of OpenOptions::limits raises",
        "--limit raises",
    ),
    (
        ", which Limits::header_bytes of OpenOptions::limits raises",
        "",
    ),
    (
        "drop some of them, or raise Limits::total_bytes of OpenOptions::limits",
        "raise it with --limit",
    ),
    (
        "; with a lower Limits::memory_bytes the array is decoded into a file",
        "",
    ),
    (
        "turn on the feature `http` of burn-npy",
        "`cargo install` this command with `--features http`",
    ),
    (
        "`Http::header` can give it a key",
        "https://NAME:PASSWORD@HOST/ can give it a key",
    ),
    (
        "give RemoteOptions an opener, such as that of the crate burn-npy-cloud",
        "this command opens those of https, http and hf",
    ),
    ("; `Http::root_certificates` says whom to trust", ""),
    (
        "`gunzip < FILE > x.npy`",
        "`gunzip < FILE > x.npy`; if it is an IDX file, `burn-npy convert FILE x.npy` reads it",
    ),
];
const SATURATE: &str = "take the end of the range with --saturate";

/// The text of an error of the core as the command says it.
pub(crate) fn advised(error: &str) -> String {
    let mut text = error.to_owned();
    for (method, option) in ADVICE {
        text = text.replace(method, option);
    }
    text
}

/// Prints a line on stderr.
pub(crate) fn complain(message: &str) {
    // Some messages are lists, a thing a line.
    let lines: Vec<_> = message.split('\n').map(str::trim).collect();
    let line = one_line(&lines.join(" "), 2 * MESSAGE);
    // There is nobody to tell that stderr is closed.
    let _ = writeln!(io::stderr(), "burn-npy: {line}");
}

/// The subcommand in the arguments of this program.
fn subcommand() -> Option<String> {
    let name = std::env::args_os().nth(1)?.into_string().ok()?;
    let is_one = Cli::command().find_subcommand(&name).is_some();
    is_one.then_some(name)
}

/// Prints what clap says: help and the version, or what is wrong with the arguments.
pub(crate) fn complain_of_usage(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        let _ = error.print();
        return Status::Fine.into();
    }
    if error.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let _ = error.print();
        return Status::Failed.into();
    }
    let text = error.render().to_string();
    // The usage comes last, and takes several lines.
    let (message, usage) = text.split_once("\nUsage:").unwrap_or((&text, ""));
    // "For more information" comes after it, or instead of it.
    let message = message.split("\nFor more information").next().unwrap_or("");
    let message = message.strip_prefix("error:").unwrap_or(message);
    let words: Vec<_> = message.split_whitespace().collect();
    let words = words.join(" ").replace(" tip:", "; tip:");
    let command: Vec<_> = usage.split_whitespace().take(2).collect();
    let help = match command[..] {
        [_, name] if name.starts_with(|c: char| c.is_alphabetic()) => format!("{name} --help"),
        // There is no usage if a value is wrong.
        _ => match subcommand() {
            Some(name) => format!("{name} --help"),
            None => "--help".to_owned(),
        },
    };
    complain(&format!("{words}; try `burn-npy {help}`"));
    Status::Failed.into()
}
