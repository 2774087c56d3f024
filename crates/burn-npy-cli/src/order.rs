//! `burn-npy order`: the row numbers of an epoch, for tests with other tools.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use burn_npy_core::internal::shown_path;
use burn_npy_core::{
    Array, Convert, DType, Sampler,
    file::Column,
    order::{Order, Plan, Remainder, Shard, read_index},
};
use clap::ValueEnum;

use crate::failure::{Failure, Outcome, Status};

/// Print the row numbers of an epoch in their order, one a line
///
/// It is the order in which a loader with the same sampler, seed and epoch goes through a dataset
/// of so many rows.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How many rows the dataset has, up to 2^63
    #[arg(long, value_name = "N")]
    len: u64,
    /// The seed
    #[arg(long, value_name = "S", default_value_t)]
    seed: u64,
    /// The epoch
    #[arg(long, value_name = "E", default_value_t)]
    epoch: u64,
    /// The order
    #[arg(long, value_name = "NAME", value_enum, default_value_t)]
    sampler: Kind,
    /// Begin at the Kth row of the output; as fast for any K
    #[arg(long, value_name = "K", default_value_t)]
    start: u64,
    /// Print M rows [default: all that are left]
    #[arg(long, value_name = "M")]
    count: Option<u64>,
    /// Print the positions of a row in the epoch instead; with --shard the shard, the batch and the
    /// offset of each
    #[arg(long, value_name = "ROW")]
    locate: Option<u64>,

    /// blocks, blocks-first: how many rows a block has [default: 1024]
    #[arg(long, value_name = "N", help_heading = "Samplers")]
    block_size: Option<u64>,
    /// blocks, blocks-first: how many blocks are mixed at a time [default: 8]
    #[arg(long, value_name = "N", help_heading = "Samplers")]
    mixed: Option<u64>,
    /// weighted: a text file with a weight a line
    #[arg(long, value_name = "FILE", help_heading = "Samplers")]
    weights: Option<PathBuf>,
    /// balanced: a text file with a label a line, or a .npy file of integers; labels are compared
    /// as integers if all are, and as text otherwise
    #[arg(long, value_name = "FILE", help_heading = "Samplers")]
    labels: Option<PathBuf>,
    /// weighted and balanced: how many rows an epoch has
    #[arg(long, value_name = "N", help_heading = "Samplers")]
    draws: Option<u64>,
    /// Order the rows of a list: a text file with a row a line, or a .npy file
    #[arg(long, value_name = "FILE", help_heading = "Samplers")]
    index: Option<PathBuf>,
    /// Order windows over a time series, by their first rows
    #[arg(long, value_name = "LENGTH", help_heading = "Samplers")]
    window: Option<u64>,
    /// How far apart windows begin [default: 1]
    #[arg(long, value_name = "N", requires = "window", help_heading = "Samplers")]
    stride: Option<u64>,

    /// Print only the rows of shard I, from 0 on, of N
    #[arg(long, value_name = "I/N", help_heading = "Shards")]
    shard: Option<Shard>,
    /// The batches that shards take in turn [default: 1]
    #[arg(long, value_name = "N", requires = "shard", help_heading = "Shards")]
    batch_size: Option<usize>,
    /// What is done with the last rows; those that pad are marked by ` padding` [default: uneven]
    #[arg(
        long,
        value_name = "POLICY",
        requires = "shard",
        help_heading = "Shards"
    )]
    tail: Option<Tail>,
    /// Leave out batches that are not full
    #[arg(long, requires = "shard", help_heading = "Shards")]
    drop_last: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Kind {
    #[default]
    Shuffled,
    Sequential,
    Blocks,
    BlocksFirst,
    Weighted,
    WeightedWithoutReplacement,
    Balanced,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Tail {
    Uneven,
    Drop,
    Pad,
    Spread,
}

pub(crate) fn run(args: &Args, out: &mut dyn Write) -> Outcome {
    let sampler = sampler(args)?;
    sampler.check(args.len)?;
    if args.batch_size == Some(0) {
        return Err(Failure::from("--batch-size 0: a batch has rows".to_owned()));
    }
    let order = sampler.order(args.len, args.epoch);
    check_rows(args, &order)?;
    let plan = args.shard.map(|shard| {
        let tail = match args.tail {
            None | Some(Tail::Uneven) => Remainder::Uneven,
            Some(Tail::Drop) => Remainder::Drop,
            Some(Tail::Pad) => Remainder::Pad,
            Some(Tail::Spread) => Remainder::Spread,
        };
        let batch_size = args.batch_size.unwrap_or(1);
        Plan::new(0..order.len(), batch_size, args.drop_last).shard(shard, tail)
    });
    match (args.locate, plan) {
        (Some(row), plan) => locate(out, &order, plan, row)?,
        (None, None) => {
            let start = args.start.min(order.len());
            let end = start.saturating_add(args.count.unwrap_or(u64::MAX));
            for row in order.rows(start..end.min(order.len())) {
                writeln!(out, "{row}")?;
            }
        }
        (None, Some(plan)) => shard(out, &order, &plan, args)?,
    }
    Ok(Status::Fine)
}

/// Checks that the row to locate, and the row to begin at, are there.
fn check_rows(args: &Args, order: &Order) -> Outcome<()> {
    let (len, rows) = (args.len, order.len());
    match args.locate {
        Some(row) if row >= len => Err(format!("--locate: no row {row}, there are {len}").into()),
        // To begin at the end prints nothing.
        None if args.start > rows => {
            let start = args.start;
            Err(format!("--start: no row {start} in the order, there are {rows}").into())
        }
        _ => Ok(()),
    }
}

fn sampler(args: &Args) -> Outcome<Sampler> {
    use Kind::{Balanced, Blocks, BlocksFirst, Weighted, WeightedWithoutReplacement};
    let kind = args.sampler;
    let name = kind.to_possible_value();
    let name = name.as_ref().map_or("", |name| name.get_name());
    let seed = args.seed;
    fn needs<'a>(name: &str, file: &'a Option<PathBuf>, flag: &str) -> Result<&'a Path, String> {
        let file = file.as_deref();
        file.ok_or_else(|| format!("--sampler {name} needs --{flag} FILE"))
    }
    let in_blocks = matches!(kind, Blocks | BlocksFirst);
    let is_weighted = matches!(kind, Weighted | WeightedWithoutReplacement);
    for (given, flag, fits) in [
        (args.block_size.is_some(), "block-size", in_blocks),
        (args.mixed.is_some(), "mixed", in_blocks),
        (args.weights.is_some(), "weights", is_weighted),
        (args.labels.is_some(), "labels", kind == Balanced),
    ] {
        if given && !fits {
            return Err(format!("--{flag} has no meaning with --sampler {name}").into());
        }
    }
    let weights = || -> Result<Vec<f64>, String> {
        let lines = lines(needs(name, &args.weights, "weights")?)?;
        let numbered = (1..).zip(lines);
        let weight = |(number, line): (u64, String)| {
            let line = line.trim();
            let parsed = line.parse();
            parsed.map_err(|error| format!("weight {number} {line}: {error}"))
        };
        numbered.map(weight).collect()
    };
    let mut sampler = match kind {
        Kind::Shuffled => Sampler::shuffled(seed),
        Kind::Sequential => Sampler::sequential(),
        Blocks | BlocksFirst => {
            let (size, mixed) = (args.block_size.unwrap_or(1024), args.mixed.unwrap_or(8));
            match kind {
                Blocks => Sampler::blocks(size, mixed, seed)?,
                _ => Sampler::blocks_first(size, mixed, seed)?,
            }
        }
        Weighted => Sampler::weighted(&weights()?, seed)?,
        WeightedWithoutReplacement => Sampler::weighted_without_replacement(&weights()?, seed)?,
        Balanced => balanced(needs(name, &args.labels, "labels")?, seed)?,
    };
    if let Some(draws) = args.draws {
        sampler = sampler.draws(draws)?;
    }
    if let Some(index) = &args.index {
        sampler = sampler.index(read_index(index)?)?;
    }
    if let Some(length) = args.window {
        sampler = sampler.windows(length, args.stride.unwrap_or(1))?;
    }
    Ok(sampler)
}

/// The sampler for the labels of a file. The classes are in the order of the labels, so integers
/// must be compared as integers.
fn balanced(file: &Path, seed: u64) -> Outcome<Sampler> {
    if is_npy(file).map_err(|error| format!("{}: {error}", shown_path(file)))? {
        return Ok(Sampler::balanced(integers(file)?, seed)?);
    }
    let lines = lines(file)?;
    let integers = lines.iter().map(|line| line.trim().parse::<i64>());
    Ok(match integers.collect::<Result<Vec<_>, _>>() {
        Ok(integers) => Sampler::balanced(integers, seed)?,
        Err(_) => Sampler::balanced(&lines, seed)?,
    })
}

fn is_npy(file: &Path) -> io::Result<bool> {
    let mut start = Vec::new();
    std::fs::File::open(file)?.take(6).read_to_end(&mut start)?;
    Ok(start == b"\x93NUMPY")
}

/// The integers of a `.npy` file with one axis.
fn integers(file: &Path) -> Outcome<Vec<i64>> {
    let array = Array::open(file)?;
    let is_integer = array.dtype().is_some_and(|dtype| !dtype.is_float());
    if array.shape().len() != 1 || array.number_axis().is_some() || !is_integer {
        let (item, shape) = (array.item(), array.shape());
        let file = shown_path(file);
        return Err(
            format!("{file}: labels are integers on one axis, found {item} {shape:?}").into(),
        );
    }
    let column = Column::whole(&array)?.convert(Convert::new().cast(DType::I64))?;
    Ok(column.read::<i64>(&[0])?.into_iter().collect())
}

fn lines(file: &Path) -> Result<Vec<String>, String> {
    let text = std::fs::read_to_string(file);
    let text = text.map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(text.lines().map(str::to_owned).collect())
}

fn locate(out: &mut dyn Write, order: &Order, plan: Option<Plan>, row: u64) -> io::Result<()> {
    order.positions(row).try_for_each(|position| match &plan {
        None => writeln!(out, "{position}"),
        Some(plan) => match plan.locate(position) {
            Some(found) => writeln!(out, "{} {} {}", found.shard, found.batch, found.offset),
            None => writeln!(out, "left out"),
        },
    })
}

fn shard(out: &mut dyn Write, order: &Order, plan: &Plan, args: &Args) -> io::Result<()> {
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

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    /// What `burn-npy order` prints.
    fn order(args: &[&str]) -> Outcome<String> {
        let cli = Cli::try_parse_from(["burn-npy", "order"].iter().chain(args)).unwrap();
        let Command::Order(args) = cli.command else {
            unreachable!("the subcommand is order")
        };
        let mut out = Vec::new();
        run(&args, &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn integer_labels_have_the_order_of_a_loader() {
        let dir = tempfile::tempdir().unwrap();
        let (text, npy) = (dir.path().join("l.txt"), dir.path().join("l.npy"));
        for labels in [
            (0..39).map(|row| row * 5 % 13).collect::<Vec<i32>>(),
            (0..39).map(|row| row * 5 % 25 - 12).collect(),
        ] {
            let lines: Vec<_> = labels.iter().map(ToString::to_string).collect();
            std::fs::write(&text, lines.join("\n")).unwrap();
            let array = burn_npy_core::ndarray::Array1::from(labels.clone());
            burn_npy_core::file::write_npy(&npy, &array).unwrap();
            let expected = Sampler::balanced(labels, 4).unwrap().order(39, 1);
            let expected: String = expected.rows(0..39).map(|row| format!("{row}\n")).collect();
            for file in [&text, &npy] {
                let file = file.to_str().unwrap();
                let mut args = vec!["--len=39", "--seed=4", "--epoch=1", "--sampler=balanced"];
                args.extend(["--labels", file]);
                assert_eq!(order(&args).unwrap(), expected, "{file}");
            }
        }
    }

    #[test]
    fn labels_of_an_array_are_integers_on_one_axis() {
        let dir = tempfile::tempdir().unwrap();
        let npy = dir.path().join("l.npy");
        burn_npy_core::file::write_npy(&npy, &burn_npy_core::ndarray::array![0.5]).unwrap();
        let args = [
            "--len=1",
            "--sampler=balanced",
            "--labels",
            npy.to_str().unwrap(),
        ];
        let Err(Failure::Message(message)) = order(&args) else {
            panic!("floats are no labels")
        };
        assert!(
            message.ends_with("labels are integers on one axis, found <f8 [1]"),
            "{message}"
        );
    }
}
