//! A contender of `benches/peers/run`: burn-npy, or Burn's own loader, on the files that all peers
//! read.
//!
//! ```sh
//! cargo bench --bench peers -- --workload mnist --batch 256 --who ours
//! ```
//!
//! The files are those that `benches/peers/run` makes. Burn's loader has its rows in memory as
//! items, `usual` with a tensor an item and `best` with one `Vec` a batch. The order of an epoch is
//! drawn while it is timed.
//!
//! Options: `--idiom workers|usual|best` and `--threads N` for one alone, which makes the peak of
//! memory its own; `--json` for a record a line; `--data FOLDER`; `--seconds S`;
//! `--mode check|epoch|step|cold`, where `step` works for `--step-ms MS` after each batch, as a
//! model would, and `cold` times the first epoch from the opening on.

mod common;

use std::collections::HashMap;
use std::error::Error;
use std::fs::File;
use std::hint::black_box;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use burn::data::dataloader::DataLoader;
use burn_npy::{Array, Convert, NpyDataset, file::Element};
use bytemuck::Pod;
use common::items::{Best, Item, Usual};
use common::{Batch, Feature, burns, check, ours, status};
use serde_json::json;

/// The longest warm-up; what is timed are whole epochs.
const WARM_UP: Duration = Duration::from_secs(1);

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// What to run, as `--name value` pairs.
struct Args(HashMap<String, String>);

impl Args {
    fn parse() -> Self {
        let mut args = std::env::args().skip(1).peekable();
        let mut values = HashMap::new();
        while let Some(name) = args.next() {
            // Cargo adds `--bench`, which like `--json` has no value.
            let value = args.next_if(|next| !next.starts_with("--"));
            values.insert(name, value.unwrap_or_default());
        }
        Self(values)
    }

    fn get<'a>(&'a self, name: &str, default: &'a str) -> &'a str {
        self.0.get(name).map_or(default, String::as_str)
    }

    fn number<N: std::str::FromStr>(&self, name: &str, default: N) -> Result<N> {
        match self.0.get(name) {
            Some(value) => value
                .parse()
                .map_err(|_| format!("{name} {value} is not a number").into()),
            None => Ok(default),
        }
    }

    fn files(&self) -> [(&'static str, PathBuf); 2] {
        let folder = PathBuf::from(self.get("--data", "target/peers/data"));
        let workload = self.get("--workload", "");
        ["features", "labels"].map(|part| (part, folder.join(format!("{workload}-{part}.npy"))))
    }
}

/// A way to make the batches, and how many workers it has.
struct Contender<'a> {
    args: &'a Args,
    batch: usize,
    idiom: &'a str,
    workers: usize,
}

impl Contender<'_> {
    fn id(&self) -> String {
        format!("{}-{}", self.idiom, self.workers)
    }

    /// Opens the files and builds a loader.
    fn open<T: Feature + Element + Pod>(
        &self,
        convert: &Convert,
    ) -> Result<Arc<dyn DataLoader<Batch>>> {
        let files = self.args.files();
        if self.idiom == "workers" {
            let row_len = Array::open(&files[0].1)?.shape()[1..].iter().product();
            let dataset = NpyDataset::from_files(files)?
                .reshape("features", &[row_len])?
                .convert("features", convert.clone())?;
            return Ok(ours(dataset, self.batch, self.workers));
        }
        let items = items::<T>(&files[0].1, &files[1].1)?;
        Ok(match self.idiom {
            "usual" => burns(Usual, items, self.batch, self.workers),
            _ => burns(Best, items, self.batch, self.workers),
        })
    }

    /// As the checks of the peers, but for the bits: ours and Burn's divide as NumPy does.
    fn check<T: Feature + Element + Pod>(&self, convert: &Convert) -> Result<()> {
        let features = Array::open(&self.args.files()[0].1)?.read::<T>()?;
        let (rows, row_len) = (features.shape()[0], features.len() / features.shape()[0]);
        let values = features
            .as_slice()
            .ok_or("the rows are one after the other")?;
        let loader = self.open::<T>(convert)?;
        check(&self.id(), &*loader, rows, |row| {
            &values[row * row_len..][..row_len]
        });
        Ok(())
    }

    /// Opens the files, takes a first batch, warms up, and times whole epochs.
    fn measure<T: Feature + Element + Pod>(&self, convert: &Convert) -> Result<serde_json::Value> {
        let mode = self.args.get("--mode", "epoch");
        let step_ms = self.args.number("--step-ms", 1.0)?;
        let step = (mode == "step").then(|| Step::new(step_ms));

        let opened = Instant::now();
        let loader = self.open::<T>(convert)?;
        let mut batches = loader.iter();
        black_box(batches.next().ok_or("no batch")??);
        let first_batch = opened.elapsed();

        let num_batches = loader.num_items().div_ceil(self.batch);
        let mut epochs = 1;
        let mut taken = 1;
        // What the steps of each epoch take alone, measured before and after it: the machine is
        // faster in one second than in the next.
        let alone_now = || {
            step.as_ref()
                .map(|step| step.alone(1 + num_batches as u32 / 4))
        };
        let mut alone = Vec::new();
        // What the steps of the epochs took beside the loader.
        let mut steps = Duration::ZERO;
        let seconds = if mode == "cold" {
            for batch in batches {
                black_box(batch?);
                taken += 1;
            }
            opened.elapsed().as_secs_f64()
        } else {
            let warm = Instant::now();
            for batch in batches {
                black_box(batch?);
                // Who takes batches more slowly has more of them at once, in memory that is new the
                // first time.
                if let Some(step) = &step {
                    step.run();
                }
                if warm.elapsed() > WARM_UP {
                    break;
                }
            }
            let at_least = Duration::from_secs_f64(self.args.number("--seconds", 0.4)?);
            (epochs, taken) = (0, 0);
            let mut seconds = Duration::ZERO;
            alone.extend(alone_now());
            while epochs == 0 || seconds < at_least {
                let start = Instant::now();
                for batch in loader.iter() {
                    black_box(batch?);
                    taken += 1;
                    if let Some(step) = &step {
                        let start = Instant::now();
                        step.run();
                        steps += start.elapsed();
                    }
                }
                epochs += 1;
                seconds += start.elapsed();
                alone.extend(alone_now());
            }
            seconds.as_secs_f64()
        };
        assert_eq!(taken, epochs * num_batches);

        let mut record = json!({
            "workload": self.args.get("--workload", ""),
            "batch": self.batch,
            "who": self.args.get("--who", "ours"),
            "idiom": self.id(),
            "samples_s": (epochs * loader.num_items()) as f64 / seconds,
            "first_batch_ms": first_batch.as_secs_f64() * 1e3,
            "rss_mb": status("VmHWM") as f64 / 1e6,
        });
        if step.is_some() {
            let around = alone.windows(2).map(|pair| (pair[0] + pair[1]) / 2.0);
            let compute = num_batches as f64 * around.sum::<f64>();
            record["over_compute"] = json!(seconds / compute);
            record["over_its_steps"] = json!(seconds / steps.as_secs_f64());
        }
        Ok(record)
    }

    fn run<T: Feature + Element + Pod>(&self, convert: &Convert) -> Result<()> {
        if self.args.get("--mode", "epoch") == "check" {
            return self.check::<T>(convert);
        }
        let record = self.measure::<T>(convert)?;
        if self.args.0.contains_key("--json") {
            println!("{record}");
        } else {
            println!(
                "{:<12} {:>12.0} rows/s, first batch after {:.2} ms, at most {:.0} MB",
                self.id(),
                record["samples_s"].as_f64().unwrap_or_default(),
                record["first_batch_ms"].as_f64().unwrap_or_default(),
                record["rss_mb"].as_f64().unwrap_or_default(),
            );
        }
        Ok(())
    }
}

/// All rows as Burn's datasets hold them, read one by one so that the peak of memory is theirs.
fn items<T: Feature + Pod>(features: &Path, labels: &Path) -> Result<Vec<Item<T>>> {
    let array = Array::open(features)?;
    let row_len = array.shape()[1..].iter().product();
    let mut file = BufReader::with_capacity(1 << 20, File::open(features)?);
    file.seek(SeekFrom::Start(array.data_offset()))?;
    let item = |label| {
        let mut features = vec![T::zeroed(); row_len];
        file.read_exact(bytemuck::cast_slice_mut(&mut features))?;
        Ok(Item { features, label })
    };
    let labels = Array::open(labels)?.read::<i64>()?;
    labels.into_iter().map(item).collect()
}

/// A model step: a fixed amount of work on one thread that takes about so many ms when nothing else
/// runs.
struct Step {
    rounds: u32,
}

impl Step {
    fn new(ms: f64) -> Self {
        let mut step = Self { rounds: 100_000 };
        // The processor is slower at first.
        step.alone(30);
        step.rounds = (ms / 1e3 / step.alone(30) * f64::from(step.rounds)) as u32;
        step
    }

    fn run(&self) {
        let mut values = [1.0_f32; 64];
        for _ in 0..self.rounds {
            for value in &mut values {
                *value = *value * 0.999 + 0.001;
            }
            black_box(&values);
        }
    }

    /// How many seconds a step takes with no loader beside it, the mean of so many.
    fn alone(&self, steps: u32) -> f64 {
        let start = Instant::now();
        (0..steps).for_each(|_| self.run());
        start.elapsed().as_secs_f64() / f64::from(steps)
    }
}

fn main() -> Result<()> {
    let args = Args::parse();
    let batch = args.number("--batch", 256)?;
    let idioms: &[&str] = match args.get("--who", "ours") {
        "ours" => &["workers"],
        "burn" => &["usual", "best"],
        other => return Err(format!("--who is ours or burn, not {other}").into()),
    };
    if !args.files()[0].1.exists() {
        println!("no files of --workload mnist|table|images|rows: benches/peers/run makes them");
        return Ok(());
    }
    let workers = if args.0.contains_key("--threads") {
        vec![args.number("--threads", 0)?]
    } else {
        vec![0, 1, 2]
    };
    let idioms = idioms.iter().filter(|i| args.get("--idiom", i) == **i);
    for (&idiom, &workers) in idioms.flat_map(|i| workers.iter().map(move |w| (i, w))) {
        let contender = Contender {
            args: &args,
            batch,
            idiom,
            workers,
        };
        match args.get("--workload", "") {
            "table" => contender.run::<f64>(&Convert::to::<f32>())?,
            "rows" => contender.run::<f32>(&Convert::to::<f32>())?,
            _ => contender.run::<u8>(&Convert::to::<f32>().divide(255.0))?,
        }
    }
    Ok(())
}
