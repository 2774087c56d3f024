//! `burn-npy verify`

use std::io::Write;

use crate::failure::{Outcome, Status};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_args: &Args, _out: &mut dyn Write) -> Outcome {
    Ok(Status::Fine)
}
