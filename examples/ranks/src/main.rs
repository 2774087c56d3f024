//! Data-parallel training: several processes, the ranks, share each epoch, and average their
//! gradients with MPI.
//!
//! It needs an MPI library and libclang. On Debian: `apt install openmpi-bin libopenmpi-dev
//! libclang-dev`. This trains on two ranks:
//!
//! ```text
//! mpirun -n 2 cargo run --manifest-path examples/ranks/Cargo.toml
//! ```
//!
//! Rank 0 prints the mean loss of each step. One process with batches of twice the size prints the
//! same losses, but for the last digit:
//!
//! ```text
//! mpirun -n 1 cargo run --manifest-path examples/ranks/Cargo.toml -- --batch 128
//! ```
//!
//! - `--batch 64`: the rows that each rank has in a step.
//! - `--epochs 1`: the number of epochs.
//! - `--folder F`: saves the run there, every 10 steps and at its end. A run with the same folder
//!   goes on from there, with any number of ranks, and each row of the epoch still comes once. Each
//!   rank also writes the rows of its steps there. Ranks on several machines must share the folder.
//! - `--steps N`: ends the run after so many steps, those of earlier runs in the folder included.
//! - `--data mnist.npz`: trains on other images than the bundled ones.
//!
//! If a rank dies, `mpirun` ends the others. A rank that fails prints its error and ends the others
//! itself. Open MPI asks for `--oversubscribe` if there are more ranks than cores.

#[path = "../../resume/checkpoint.rs"]
mod checkpoint;
mod gradients;
mod training;

use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use mpi::Threading;
use mpi::topology::Communicator;

/// 10,000 training images and their labels; see the notes beside it.
const IMAGES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../mnist/data/mnist.npz");

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    // The loader has threads, but only this one calls MPI.
    let (universe, _) =
        mpi::initialize_with_threading(Threading::Funneled).ok_or("MPI is in use already")?;
    let world = universe.world();
    let run = || training::train(&world, &Args::parse()?);
    let failure = match catch_unwind(AssertUnwindSafe(run)) {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(error)) => format!("error: {error}"),
        Err(_) => "panicked".to_owned(),
    };
    // In one piece, since other ranks may print too.
    let line = format!("rank {}: {failure}\n", world.rank());
    eprint!("{line}");
    // If this rank just ended, the others would wait for its gradients.
    world.abort(1)
}

struct Args {
    batch: usize,
    epochs: u64,
    steps: usize,
    folder: Option<PathBuf>,
    data: PathBuf,
}

impl Args {
    fn parse() -> Result<Self> {
        let mut args = Self {
            batch: 64,
            epochs: 1,
            steps: usize::MAX,
            folder: None,
            data: IMAGES.into(),
        };
        let mut words = std::env::args().skip(1);
        while let Some(name) = words.next() {
            let value = words.next().ok_or(format!("{name} needs a value"))?;
            match &*name {
                "--batch" => args.batch = value.parse()?,
                "--epochs" => args.epochs = value.parse()?,
                "--steps" => args.steps = value.parse()?,
                "--folder" => args.folder = Some(value.into()),
                "--data" => args.data = value.into(),
                _ => return Err(format!("{name}: no such option").into()),
            }
        }
        Ok(args)
    }
}
