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
    if args.shell == Shell::Bash {
        script = matching(&script);
    }
    out.write_all(&script)?;
    Ok(Status::Fine)
}

/// Corrects the script for bash. `clap_complete` sets `cmd` to `burn__npy__subcmd__head`, but the
/// cases are of `burn__subcmd__npy__subcmd__head`: it takes the hyphen in the name of the command
/// for the start of a subcommand.
fn matching(script: &[u8]) -> Vec<u8> {
    let script = String::from_utf8_lossy(script);
    let script = script.replace("burn__subcmd__npy__subcmd__", "burn__npy__subcmd__");
    script.into_bytes()
}

#[cfg(all(test, unix))]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn bash_completes_the_options_of_a_subcommand() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("burn-npy.bash");
        let mut script = Vec::new();
        let args = Args { shell: Shell::Bash };
        run(&args, &mut script).unwrap();
        std::fs::write(&path, script).unwrap();
        for (words, expected) in [
            (&["he"][..], "head"),
            (&["head", "--r"], "--rows --random --raw"),
            (
                &["order", "--sampler", ""],
                "shuffled sequential blocks blocks-first weighted weighted-without-replacement \
                 balanced",
            ),
        ] {
            // As bash does when a user presses the tab key.
            let complete = "source \"$0\"; COMP_WORDS=(burn-npy \"$@\"); COMP_CWORD=$#; \
                            _burn__npy burn-npy \"${!#}\" \"${COMP_WORDS[$# - 1]}\"; \
                            echo \"${COMPREPLY[@]}\"";
            let mut bash = Command::new("bash");
            let output = bash.arg("-c").arg(complete).arg(&path).args(words);
            let output = output.output().unwrap();
            assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
            assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), expected);
        }
    }
}
