//! A training run that is killed and resumed. Its losses are those of an undisturbed run, bit for
//! bit.
//!
//! `cargo run --profile demo --example resume` needs no arguments. It trains a small network on the
//! bundled MNIST images twice, in processes of their own: once from start to end, and once killed
//! (SIGKILL) at moments chosen from a seed and started again, each time with another number of
//! workers. Then it compares the losses of all steps, and exits with 1 if one differs.
//!
//! With `--steps 30` it ends with:
//!
//! ```text
//! step  29: [1.4185548] and [1.4185548]
//! identical: all 30 losses, and those of 17 steps that came after a checkpoint and were done again
//! ```
//!
//! Nothing has to be done to make the training itself repeatable: this network's losses are the
//! same for 1, 2, 4 and 8 threads of Flex, which divides the outputs of its operations among
//! threads, not their sums. For a model of which that is not true, set `RAYON_NUM_THREADS=1` for
//! such a comparison.

mod checkpoint;
mod training;

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, ExitCode};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

const STEPS: usize = 400;
const KILLS: usize = 3;
/// Of the moments at which the run is killed.
const SEED: u64 = 2026;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args[..] {
        [] => compare(STEPS),
        ["--steps", steps] => match number(steps) {
            Ok(steps) if steps > KILLS => compare(steps),
            Ok(_) => Err("too few steps to be killed in between".into()),
            Err(error) => Err(error),
        },
        // The processes that the example starts itself.
        ["train", folder, steps, workers] => number(steps)
            .and_then(|steps| training::train(Path::new(folder), steps, number(workers)?)),
        _ => Err("usage: resume [--steps N]".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // The reader of a pipe has closed it, as `head` does.
        Err(error) if is_closed_pipe(&*error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn is_closed_pipe(error: &(dyn Error + 'static)) -> bool {
    let error = error.downcast_ref::<std::io::Error>();
    error.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

fn number(text: &str) -> Result<usize> {
    text.parse()
        .map_err(|_| format!("{text:?} is not a number of steps").into())
}

/// A process that trains in a folder, from the last checkpoint if there is one.
fn start(folder: &Path, steps: usize, workers: usize) -> Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("train").arg(folder);
    Ok(command
        .args([steps, workers].map(|n| n.to_string()))
        .spawn()?)
}

fn finish(mut run: Child) -> Result<()> {
    match run.wait()? {
        status if status.success() => Ok(()),
        status => Err(format!("the training run ended with {status}").into()),
    }
}

fn compare(steps: usize) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let [whole, broken] = ["whole", "broken"].map(|name| folder.path().join(name));
    fs::create_dir(&whole)?;
    fs::create_dir(&broken)?;

    let begin = Instant::now();
    finish(start(&whole, steps, 2)?)?;
    let expected = losses(&whole)?;
    let mut out = std::io::stdout();
    let seconds = begin.elapsed().as_secs_f64();
    writeln!(out, "undisturbed: {steps} steps in {seconds:.1} s")?;

    let begin = Instant::now();
    let mut rng = StdRng::seed_from_u64(SEED);
    for kill in 0..KILLS {
        // Somewhere in its part of the run, and anywhere in a step; the last part is left alone.
        let part = kill * steps / (KILLS + 1)..(kill + 1) * steps / (KILLS + 1);
        let step = rng.random_range(part);
        let mut run = start(&broken, steps, kill)?;
        while training::steps_done(&broken) <= step && run.try_wait()?.is_none() {
            sleep(Duration::from_millis(1));
        }
        sleep(Duration::from_micros(rng.random_range(0..5000)));
        run.kill()?;
        let status = run.wait()?;
        if status.code().is_some() {
            return Err(format!("the run ended before it was killed: {status}").into());
        }
        let done = training::steps_done(&broken);
        writeln!(
            out,
            "with {kill} workers: killed after step {done} ({status})"
        )?;
    }
    finish(start(&broken, steps, KILLS)?)?;
    let found = losses(&broken)?;
    let seconds = begin.elapsed().as_secs_f64();
    writeln!(out, "killed {KILLS} times: {seconds:.1} s")?;

    report(&expected, &found, steps)
}

/// The losses of each step, as often as it was done.
type Losses = BTreeMap<usize, Vec<f32>>;

fn losses(folder: &Path) -> Result<Losses> {
    let mut losses = Losses::new();
    for (step, loss) in training::losses(folder)? {
        losses.entry(step).or_default().push(loss);
    }
    Ok(losses)
}

fn report(expected: &Losses, found: &Losses, steps: usize) -> Result<()> {
    let mut out = std::io::stdout().lock();
    let mut different = 0;
    let mut again = 0;
    for step in 0..steps {
        let at = |losses: &Losses| losses.get(&step).cloned().unwrap_or_default();
        let (expected, found) = (at(expected), at(found));
        let is_same = |loss: &f32| expected.len() == 1 && loss.to_bits() == expected[0].to_bits();
        let same = !found.is_empty() && found.iter().all(is_same);
        different += usize::from(!same);
        again += found.len().saturating_sub(1);
        if !same || step % (steps / 8).max(1) == 0 || step + 1 == steps {
            writeln!(out, "step {step:3}: {expected:?} and {found:?}")?;
        }
    }
    match different {
        0 => writeln!(
            out,
            "identical: all {steps} losses, and those of {again} steps that came after a \
             checkpoint and were done again"
        )?,
        _ => return Err(format!("{different} of {steps} losses differ").into()),
    }
    Ok(())
}
