//! The example, with real ranks: their losses are those of one process, none waits for a rank that
//! is gone, and other numbers of ranks go on with the epoch.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use burn_npy::NpyDataset;
use burn_npy::file::NpzWriter;
use burn_npy::ndarray::ArrayD;
use rustix::process::{Pid, Signal, kill_process};

const RANKS: &str = env!("CARGO_BIN_EXE_ranks");
const ROWS: usize = 10_000;
/// After so long without a line, the ranks wait for each other, and would forever.
const LIMIT: Duration = Duration::from_secs(300);

/// Whether ranks can be started. If not, the test is skipped, or fails if nothing may be absent.
fn has_mpirun() -> bool {
    match Command::new("mpirun").arg("--version").output() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            assert!(
                std::env::var_os("BURN_NPY_REQUIRE_ALL").is_none(),
                "BURN_NPY_REQUIRE_ALL is set, but there is no mpirun"
            );
            // Not `eprintln`, which the test harness would keep to itself.
            let _ = writeln!(std::io::stderr(), "skipped, since there is no mpirun");
            false
        }
        _ => true,
    }
}

/// A running `mpirun`, with what it and its ranks have printed.
struct Run {
    mpirun: Child,
    lines: Receiver<String>,
    output: String,
}

impl Run {
    fn start(args: &[&str]) -> Self {
        let mut mpirun = Command::new("mpirun")
            // As root, with more ranks than cores, and without a network.
            .env("OMPI_ALLOW_RUN_AS_ROOT", "1")
            .env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")
            .env("OMPI_MCA_rmaps_base_oversubscribe", "1")
            .env("OMPI_MCA_btl", "self,vader")
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        send_lines(mpirun.stdout.take().unwrap(), sender.clone());
        send_lines(mpirun.stderr.take().unwrap(), sender);
        Self {
            mpirun,
            lines,
            output: String::new(),
        }
    }

    /// Starts so many ranks, each with the same arguments.
    fn ranks(count: usize, args: &[&str]) -> Self {
        Self::start(&[&["-n", &count.to_string(), RANKS], args].concat())
    }

    /// Waits for a line that begins so.
    fn wait_for(&mut self, beginning: &str) {
        while let Some(line) = self.next_line() {
            if line.starts_with(beginning) {
                return;
            }
        }
        panic!("no line {beginning:?} in\n{}", self.output);
    }

    /// Waits for the end.
    fn finish(mut self) -> (ExitStatus, String) {
        while self.next_line().is_some() {}
        let status = self.mpirun.wait().unwrap();
        (status, std::mem::take(&mut self.output))
    }

    /// Waits for the end of a run that must succeed, and gives the loss of each step.
    fn losses(self) -> BTreeMap<usize, f64> {
        let (status, output) = self.finish();
        assert!(status.success(), "{status}\n{output}");
        let parse = |line: &str| {
            let (step, loss) = line.strip_prefix("step ")?.split_once(": loss ")?;
            Some((step.parse().ok()?, loss.parse().ok()?))
        };
        output.lines().filter_map(parse).collect()
    }

    fn next_line(&mut self) -> Option<String> {
        match self.lines.recv_timeout(LIMIT) {
            Ok(line) => {
                self.output += &line;
                self.output.push('\n');
                Some(line)
            }
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("the ranks hang after\n{}", self.output),
        }
    }

    /// The process of each rank.
    fn processes(&self) -> BTreeMap<usize, Pid> {
        let parse = |line: &str| {
            let (rank, id) = line.strip_prefix("rank ")?.split_once(": process ")?;
            let rank = rank.split(' ').next()?.parse().ok()?;
            Some((rank, Pid::from_raw(id.parse().ok()?)?))
        };
        self.output.lines().filter_map(parse).collect()
    }
}

impl Drop for Run {
    /// Ends the ranks of a test that fails.
    fn drop(&mut self) {
        let id = Pid::from_child(&self.mpirun);
        if matches!(self.mpirun.try_wait(), Ok(None)) {
            // On this signal it ends its ranks.
            let _ = kill_process(id, Signal::TERM);
            let _ = self.mpirun.wait();
        }
    }
}

fn send_lines(pipe: impl Read + Send + 'static, lines: Sender<String>) {
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            let _ = lines.send(line);
        }
    });
}

/// Whether a process runs. One that has ended stays listed until its parent asks for its status.
fn is_alive(process: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", process.as_raw_nonzero()));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

/// The rows of each step below a limit that so many ranks have logged, all ranks together.
fn logged_rows(folder: &Path, ranks: usize, below: usize) -> Vec<(usize, Vec<usize>)> {
    let mut rows = Vec::new();
    for rank in 0..ranks {
        let log = fs::read_to_string(folder.join(format!("rows-{rank}-of-{ranks}"))).unwrap();
        for line in log.lines() {
            let (step, list) = line.split_once(" [").unwrap();
            let list = list.strip_suffix(']').unwrap().split(", ");
            rows.push((
                step.parse().unwrap(),
                list.map(|row| row.parse().unwrap()).collect(),
            ));
        }
    }
    rows.retain(|(step, _)| *step < below);
    rows
}

/// Each row of the epoch came once: to `before` ranks before a step, and to `after` from it on.
fn assert_each_row_once(folder: &Path, before: usize, after: usize, step: usize) {
    let old = logged_rows(folder, before, step);
    let new = logged_rows(folder, after, usize::MAX);
    assert!(new.iter().all(|(new, _)| *new >= step));
    let count = |part: &[(usize, Vec<usize>)]| part.iter().map(|(_, rows)| rows.len()).sum();
    let counts: [usize; 2] = [count(&old), count(&new)];
    let mut rows: Vec<usize> = old.into_iter().chain(new).flat_map(|it| it.1).collect();
    rows.sort_unstable();
    let [old, new] = counts;
    println!(
        "{before} ranks: {old} rows in {step} steps; {after} ranks: {new} rows; together {}",
        rows.len()
    );
    assert!(rows.into_iter().eq(0..ROWS));
}

/// A file with the training images, not compressed, and other labels.
fn write_data(path: &Path, label: impl Fn(u8) -> u8) {
    const MNIST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../mnist/data/mnist.npz");
    let data = NpyDataset::from_npz(MNIST, ["train_images", "train_labels"]).unwrap();
    let images: ArrayD<u8> = data.read("train_images").unwrap();
    let labels: ArrayD<u8> = data.read("train_labels").unwrap();
    let mut npz = NpzWriter::create(path).unwrap();
    npz.add("train_images", &images).unwrap();
    npz.add("train_labels", &labels.mapv(label)).unwrap();
    npz.finish().unwrap();
}

#[test]
fn ranks_have_the_losses_of_one_process_with_larger_batches() {
    if !has_mpirun() {
        return;
    }
    // In the last step of an epoch of the second, one rank has one row, and two have none.
    for (ranks, batch, epochs, steps) in [(2, 64, "1", 79), (3, 101, "2", 68)] {
        let losses = |ranks, batch: usize| {
            Run::ranks(ranks, &["--batch", &batch.to_string(), "--epochs", epochs]).losses()
        };
        let many = losses(ranks, batch);
        let batch = ranks * batch;
        let one = losses(1, batch);
        println!("step   {ranks} ranks   one process with batches of {batch}");
        for (step, loss) in &many {
            println!("{step:4}  {loss:.6}  {:.6}", one[step]);
        }
        assert_eq!((many.len(), one.len()), (steps, steps));
        for (step, loss) in many {
            let difference = (loss - one[&step]).abs();
            assert!(difference <= 1e-4, "step {step}: {difference}");
        }
    }
}

#[test]
fn four_ranks_stop_and_three_go_on() {
    if !has_mpirun() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let args = ["--batch", "33", "--folder", folder.path().to_str().unwrap()];
    let first = Run::ranks(4, &[&args[..], &["--steps", "21"]].concat()).losses();
    assert!(first.into_keys().eq(0..21));
    let second = Run::ranks(3, &args).losses();
    // 21 steps of 4 * 33 rows, 73 of 3 * 33, and a row that only one rank has.
    assert!(second.into_keys().eq(21..95));
    assert_each_row_once(folder.path(), 4, 3, 21);
    // Nothing is left to do.
    assert!(Run::ranks(2, &args).losses().is_empty());
}

#[test]
fn a_rank_that_dies_ends_the_run_and_others_go_on() {
    if !has_mpirun() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let args = ["--batch", "8", "--folder", folder.path().to_str().unwrap()];
    let mut run = Run::ranks(4, &args);
    run.wait_for("step 25:");
    let processes = run.processes();
    assert_eq!(processes.len(), 4);
    let killed = Instant::now();
    kill_process(processes[&2], Signal::KILL).unwrap();
    let (status, output) = run.finish();
    let seconds = killed.elapsed().as_secs_f64();
    let is_message = |line: &&str| !line.starts_with("step ") && !line.starts_with("rank ");
    let message: Vec<&str> = output.lines().filter(is_message).collect();
    let message = message.join("\n");
    println!("rank 2 killed; {status} after {seconds:.2} s:\n{message}");
    assert!(!status.success());
    assert!(message.contains("on signal 9"), "{message}");
    for process in processes.into_values() {
        while is_alive(process) {
            assert!(killed.elapsed() < LIMIT, "{process:?} is alive");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    // Steps after the last checkpoint are done again, by three ranks.
    let second = Run::ranks(3, &args).losses();
    let (step, _) = second.first_key_value().unwrap();
    assert!(*step >= 20 && step.is_multiple_of(10), "{step}");
    assert_each_row_once(folder.path(), 4, 3, *step);
}

#[test]
fn a_rank_whose_file_changes_ends_the_run() {
    if !has_mpirun() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let data = ["good.npz", "changed.npz"].map(|name| folder.path().join(name));
    for path in &data {
        write_data(path, |label| label);
    }
    let [good, changed] = data.each_ref().map(|path| path.to_str().unwrap());
    let rank = |data| ["-n", "1", RANKS, "--batch", "4", "--data", data];
    let mut run = Run::start(&[&rank(good)[..], &[":"], &rank(changed)].concat());
    run.wait_for("step 20:");
    let mut file = File::options().append(true).open(changed).unwrap();
    file.write_all(b"more").unwrap();
    let (status, output) = run.finish();
    assert!(!status.success());
    let mut errors = output.lines().filter(|line| line.contains(": error: "));
    let error = errors.next().unwrap_or_else(|| panic!("{output}"));
    println!("{error}");
    assert!(
        error.starts_with("rank 1: error: epoch 0, batch "),
        "{error}"
    );
    assert!(error.contains("changed.npz"), "{error}");
    assert_eq!(errors.next(), None);
}

#[test]
fn a_rank_that_panics_ends_the_run() {
    if !has_mpirun() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let data = ["good.npz", "wrong.npz"].map(|name| folder.path().join(name));
    write_data(&data[0], |label| label);
    // There are ten classes.
    write_data(&data[1], |label| label + 100);
    let [good, wrong] = data.each_ref().map(|path| path.to_str().unwrap());
    let rank = |data| ["-n", "1", RANKS, "--data", data];
    let (status, output) = Run::start(&[&rank(good)[..], &[":"], &rank(wrong)].concat()).finish();
    assert!(!status.success());
    assert!(output.contains("rank 1: panicked"), "{output}");
}
