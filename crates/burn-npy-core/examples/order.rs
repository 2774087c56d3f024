//! Prints the rows of an epoch, one a line, for tests with other tools. `--help` lists the options.

use std::fmt::Display;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::process::ExitCode;
use std::str::FromStr;

use burn_npy_core::{
    Sampler,
    order::{Order, Plan, Remainder, Shard, read_index},
};

const HELP: &str = "\
Prints the row numbers of an epoch in their order, one a line.

usage: order --len N [options]

  --len N             how many rows the dataset has, up to 2^63
  --seed S            0 unless given
  --epoch E           0 unless given
  --sampler NAME      shuffled (unless given), sequential, blocks, weighted,
                      weighted-without-replacement, balanced
  --start K           begins at the Kth row of the output, 0 unless given; as fast for any K
  --count M           prints M rows, all that are left unless given
  --locate ROW        prints the positions of a row in the epoch instead; with --shard the
                      shard, the batch and the offset of each

samplers with parameters
  --block-size N      blocks: how many rows a block has, 1024 unless given
  --mixed N           blocks: how many blocks are mixed at a time, 8 unless given
  --weights FILE      weighted: a text file with a weight a line
  --labels FILE       balanced: a text file with a label a line
  --draws N           weighted and balanced: how many rows an epoch has
  --index FILE        orders the rows of a list: a text file with a row a line, or a .npy file
  --window LENGTH     orders windows over a time series, by their first rows
  --stride N          how far apart windows begin, 1 unless given

shards
  --shard I/N         only the rows of shard I, from 0 on, of N
  --batch-size N      the batches that shards take in turn, 1 unless given
  --tail POLICY       uneven (unless given), drop, pad; rows that pad are marked by ` padding`
  --drop-last         leaves out batches that are not full
";

#[derive(Default)]
struct Args {
    len: Option<u64>,
    seed: u64,
    epoch: u64,
    sampler: Option<String>,
    start: u64,
    count: Option<u64>,
    locate: Option<u64>,
    block_size: Option<u64>,
    mixed: Option<u64>,
    weights: Option<String>,
    labels: Option<String>,
    draws: Option<u64>,
    index: Option<String>,
    window: Option<u64>,
    stride: Option<u64>,
    shard: Option<Shard>,
    batch_size: Option<usize>,
    tail: Option<Remainder>,
    drop_last: bool,
}

fn main() -> ExitCode {
    let args: Result<Vec<String>, _> = std::env::args_os()
        .skip(1)
        .map(|arg| {
            arg.into_string()
                .map_err(|arg| format!("{arg:?} is not text"))
        })
        .collect();
    let result = args.and_then(|args| {
        if args.iter().any(|arg| arg == "--help" || arg == "-h") {
            Ok(print(|out| out.write_all(HELP.as_bytes())))
        } else {
            parse(args).and_then(run)
        }
    });
    match result {
        Ok(Ok(())) => ExitCode::SUCCESS,
        // The reader of a pipe has closed it, as `head` does.
        Ok(Err(error)) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            let _ = writeln!(io::stderr(), "order: cannot write: {error}");
            ExitCode::FAILURE
        }
        Err(message) => {
            let _ = writeln!(io::stderr(), "order: {message}\ntry --help");
            ExitCode::from(2)
        }
    }
}

fn parse(args: Vec<String>) -> Result<Args, String> {
    let mut parsed = Args::default();
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        let (name, inline) = match arg.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (arg, None),
        };
        if name == "--drop-last" && inline.is_none() {
            parsed.drop_last = true;
            continue;
        }
        let mut text = || {
            inline
                .clone()
                .or_else(|| args.next())
                .ok_or_else(|| format!("{name} needs a value"))
        };
        match name.as_str() {
            "--len" => parsed.len = Some(value(&name, &text()?)?),
            "--seed" => parsed.seed = value(&name, &text()?)?,
            "--epoch" => parsed.epoch = value(&name, &text()?)?,
            "--sampler" => parsed.sampler = Some(text()?),
            "--start" => parsed.start = value(&name, &text()?)?,
            "--count" => parsed.count = Some(value(&name, &text()?)?),
            "--locate" => parsed.locate = Some(value(&name, &text()?)?),
            "--block-size" => parsed.block_size = Some(value(&name, &text()?)?),
            "--mixed" => parsed.mixed = Some(value(&name, &text()?)?),
            "--weights" => parsed.weights = Some(text()?),
            "--labels" => parsed.labels = Some(text()?),
            "--draws" => parsed.draws = Some(value(&name, &text()?)?),
            "--index" => parsed.index = Some(text()?),
            "--window" => parsed.window = Some(value(&name, &text()?)?),
            "--stride" => parsed.stride = Some(value(&name, &text()?)?),
            "--shard" => parsed.shard = Some(value(&name, &text()?)?),
            "--batch-size" => parsed.batch_size = Some(value(&name, &text()?)?),
            "--tail" => {
                parsed.tail = Some(match text()?.as_str() {
                    "uneven" => Remainder::Uneven,
                    "drop" => Remainder::Drop,
                    "pad" => Remainder::Pad,
                    other => return Err(format!("--tail {other}: uneven, drop or pad")),
                });
            }
            _ => return Err(format!("unknown argument {name}")),
        }
    }
    Ok(parsed)
}

fn value<T: FromStr<Err: Display>>(name: &str, text: &str) -> Result<T, String> {
    text.parse()
        .map_err(|error| format!("{name} {text}: {error}"))
}

fn sampler(args: &Args) -> Result<Sampler, String> {
    let name = args.sampler.as_deref().unwrap_or("shuffled");
    let seed = args.seed;
    let needs = |file: &Option<String>, flag: &str| {
        let file = file.as_ref();
        file.ok_or_else(|| format!("--sampler {name} needs --{flag} FILE"))
            .and_then(lines)
    };
    let belongs = |given: bool, flag: &str, fits: bool| {
        if given && !fits {
            return Err(format!("--{flag} has no meaning with --sampler {name}"));
        }
        Ok(())
    };
    belongs(args.block_size.is_some(), "block-size", name == "blocks")?;
    belongs(args.mixed.is_some(), "mixed", name == "blocks")?;
    belongs(
        args.weights.is_some(),
        "weights",
        name.starts_with("weighted"),
    )?;
    belongs(args.labels.is_some(), "labels", name == "balanced")?;
    let weights = || -> Result<Vec<f64>, String> {
        let lines = needs(&args.weights, "weights")?;
        (1..)
            .zip(lines)
            .map(|(number, line)| value(&format!("weight {number}"), line.trim()))
            .collect()
    };
    let mut sampler = match name {
        "shuffled" => Ok(Sampler::shuffled(seed)),
        "sequential" => Ok(Sampler::sequential()),
        "blocks" => Sampler::blocks(
            args.block_size.unwrap_or(1024),
            args.mixed.unwrap_or(8),
            seed,
        ),
        "weighted" => Sampler::weighted(&weights()?, seed),
        "weighted-without-replacement" => Sampler::weighted_without_replacement(&weights()?, seed),
        "balanced" => Sampler::balanced(&needs(&args.labels, "labels")?, seed),
        _ => return Err(format!("unknown sampler {name}")),
    };
    if let Some(draws) = args.draws {
        sampler = sampler.and_then(|sampler| sampler.draws(draws));
    }
    if let Some(index) = &args.index {
        sampler = sampler.and_then(|sampler| sampler.index(read_index(index)?));
    }
    match (args.window, args.stride) {
        (Some(length), stride) => {
            sampler = sampler.and_then(|s| s.windows(length, stride.unwrap_or(1)));
        }
        (None, Some(_)) => return Err("--stride needs --window".to_owned()),
        (None, None) => {}
    }
    sampler.map_err(|error| error.to_string())
}

fn lines(file: &String) -> Result<Vec<String>, String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
    Ok(text.lines().map(str::to_owned).collect())
}

/// The outer error is about the arguments, the inner one about the output.
fn run(args: Args) -> Result<io::Result<()>, String> {
    let len = args.len.ok_or("--len is missing")?;
    let sampler = sampler(&args)?;
    sampler.check(len).map_err(|error| error.to_string())?;
    if args.batch_size == Some(0) {
        return Err("--batch-size 0: a batch has rows".to_owned());
    }
    let sharded = args.batch_size.is_some() || args.tail.is_some() || args.drop_last;
    if sharded && args.shard.is_none() {
        return Err("--batch-size, --tail and --drop-last need --shard".to_owned());
    }
    let order = sampler.order(len, args.epoch);
    let plan = args.shard.map(|shard| {
        Plan::new(0..order.len(), args.batch_size.unwrap_or(1), args.drop_last)
            .shard(shard, args.tail.unwrap_or(Remainder::Uneven))
    });
    Ok(print(|out| match (args.locate, plan) {
        (Some(row), plan) => locate(out, &order, plan, row),
        (None, None) => {
            let start = args.start.min(order.len());
            let end = start.saturating_add(args.count.unwrap_or(u64::MAX));
            order
                .rows(start..end.min(order.len()))
                .try_for_each(|row| writeln!(out, "{row}"))
        }
        (None, Some(plan)) => shard(out, &order, &plan, &args),
    }))
}

fn locate(out: &mut impl Write, order: &Order, plan: Option<Plan>, row: u64) -> io::Result<()> {
    order.positions(row).try_for_each(|position| match &plan {
        None => writeln!(out, "{position}"),
        Some(plan) => match plan.locate(position) {
            Some(found) => writeln!(out, "{} {} {}", found.shard, found.batch, found.offset),
            None => writeln!(out, "left out"),
        },
    })
}

fn shard(out: &mut impl Write, order: &Order, plan: &Plan, args: &Args) -> io::Result<()> {
    let size = args.batch_size.unwrap_or(1) as u64;
    // All batches but the last are full.
    let mut skip = args.start % size;
    let mut left = args.count.unwrap_or(u64::MAX);
    for batch in (args.start / size)..plan.num_batches() {
        let own = plan.batch(batch);
        let start = own.end.min(own.start.saturating_add(skip));
        skip -= start - own.start;
        let end = own.end.min(start.saturating_add(left));
        left -= end - start;
        for row in order.rows(start..end) {
            writeln!(out, "{row}")?;
        }
        for position in plan.padding(batch).skip(skip as usize) {
            if left == 0 {
                break;
            }
            left -= 1;
            writeln!(out, "{} padding", order.row(position))?;
        }
        if left == 0 {
            break;
        }
        skip = 0;
    }
    Ok(())
}

fn print(
    write: impl FnOnce(&mut BufWriter<io::StdoutLock<'_>>) -> io::Result<()>,
) -> io::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    write(&mut out)?;
    out.flush()
}
