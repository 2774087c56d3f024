//! Prints statistics: tables, histograms, and JSON.

use std::io::{self, Write};

use burn_npy_core::Stats;
use serde_json::{Number, Value, json};

use super::histogram::Histogram;
use super::state::State;
use super::{Found, What};
use crate::table::{self, Align, Table, terminal_width};

/// How many bins a histogram has by default.
const BINS: u16 = 20;
/// The longest bar, in columns.
const LONGEST_BAR: usize = 40;

/// Prints a table of all arrays. Prints classes or a histogram if there is one array, or `bins`.
pub(super) fn print(all: &[Found], bins: Option<u16>, out: &mut dyn Write) -> io::Result<()> {
    use Align::{Left, Right};
    if all.is_empty() {
        return Ok(());
    }
    let numbers = ["COUNT", "MIN", "MAX", "MEAN", "STD", "NAN", "INF"];
    let numbers = numbers.map(|title| (title, Right));
    let mut table = Table::new(
        [("ARRAY", Left), ("DTYPE", Left)]
            .into_iter()
            .chain(numbers),
    );
    for found in all {
        let label = match found.is_complex() {
            true => format!("{} (real and imaginary parts)", found.label),
            false => found.label.clone(),
        };
        match &found.what {
            What::Nothing => {
                let mut row = vec![label, table::dtype(&found.item)];
                row.resize(9, "-".to_owned());
                table.push(row);
            }
            What::All(state) => {
                table.push(row(label, found, &state.stats, state.range));
            }
            What::Channels(channels) => {
                for (channel, stats) in channels.iter().enumerate() {
                    let label = format!("{label} [{channel}]");
                    table.push(row(label, found, stats, None));
                }
            }
        }
    }
    table.print(out)?;
    for found in all {
        let What::All(state) = &found.what else {
            continue;
        };
        if all.len() > 1 && bins.is_none() || state.stats.count() == 0 {
            continue;
        }
        writeln!(out)?;
        if all.len() > 1 {
            writeln!(out, "{}", found.label)?;
        }
        match (&state.classes, bins) {
            (Some(classes), None) => {
                let classes = classes.iter();
                let lines = classes.map(|(class, count)| (class.to_string(), *count));
                bars("CLASS", &lines.collect::<Vec<_>>(), out)?;
            }
            _ => histogram(&state.histogram, bins, out)?,
        }
    }
    Ok(())
}

fn row(label: String, found: &Found, stats: &Stats, range: Option<(i128, i128)>) -> Vec<String> {
    let (min, max) = match range {
        Some((min, max)) => (min.to_string(), max.to_string()),
        None => (
            table::shortest(stats.min(), found.dtype),
            table::shortest(stats.max(), found.dtype),
        ),
    };
    vec![
        label,
        table::dtype(&found.item),
        stats.count().to_string(),
        min,
        max,
        table::number(stats.mean()),
        table::number(stats.std()),
        stats.nan().to_string(),
        stats.infinite().to_string(),
    ]
}

fn histogram(histogram: &Histogram, bins: Option<u16>, out: &mut dyn Write) -> io::Result<()> {
    let bins = histogram.bins(bins.unwrap_or(BINS).into());
    let edges: Vec<_> = bins.iter().map(|bin| bin.start).collect();
    let counts = bins.iter().map(|bin| bin.count);
    let lines = table::distinct(&edges).into_iter().zip(counts);
    bars("FROM", &lines.collect::<Vec<_>>(), out)
}

/// A table of counts with bars.
fn bars(title: &str, lines: &[(String, u64)], out: &mut dyn Write) -> io::Result<()> {
    let most = lines
        .iter()
        .map(|(_, count)| *count)
        .max()
        .unwrap_or(0)
        .max(1);
    let total: u64 = lines.iter().map(|(_, count)| count).sum();
    let columns = lines
        .iter()
        .map(|(text, count)| text.len() + count.to_string().len());
    let taken = columns.max().unwrap_or(0).max(10) + 12;
    let width = terminal_width().saturating_sub(taken).min(LONGEST_BAR);
    let right = Align::Right;
    let mut table = Table::new([
        (title, right),
        ("COUNT", right),
        ("%", right),
        ("", Align::Left),
    ]);
    for (text, count) in lines {
        let share = 100.0 * *count as f64 / total.max(1) as f64;
        let eighths = (*count as f64 / most as f64 * 8.0 * width as f64).round() as usize;
        let mut row = vec![text.clone(), count.to_string(), format!("{share:.1}")];
        row.push(bar(eighths));
        table.push(row);
    }
    table.print(out)
}

/// A bar of so many eighths of a column.
fn bar(eighths: usize) -> String {
    let mut bar = "█".repeat(eighths / 8);
    bar.extend(['▏', '▎', '▍', '▌', '▋', '▊', '▉'].get((eighths % 8).wrapping_sub(1)));
    bar
}

/// Adds what was found to the JSON object of an array.
pub(super) fn add_json(object: &mut Value, found: &Found, bins: Option<u16>) {
    object["dtype"] = found.item.to_string().into();
    if found.is_complex() {
        object["numbers"] = "real and imaginary parts".into();
    }
    match &found.what {
        What::Nothing => {}
        What::All(state) => {
            let stats = json(&state.stats, state.range, found.is_whole());
            if let (Some(object), Value::Object(stats)) = (object.as_object_mut(), stats) {
                object.extend(stats);
            }
            add_counts(object, state, bins);
        }
        What::Channels(channels) => {
            let whole = found.is_whole();
            let channels = channels.iter().map(|stats| json(stats, None, whole));
            object["channels"] = channels.collect::<Vec<_>>().into();
        }
    }
}

/// Statistics as JSON. What is NaN or infinite is `null`.
fn json(stats: &Stats, range: Option<(i128, i128)>, whole: bool) -> Value {
    let whole = |number: f64| match whole && number.is_finite() {
        true => Number::from_i128(number as i128).map_or(Value::Null, Value::Number),
        false => number.into(),
    };
    let exact = |number: i128| Number::from_i128(number).map_or(Value::Null, Value::Number);
    json!({
        "count": stats.count(),
        "nan": stats.nan(),
        "infinite": stats.infinite(),
        "min": range.map_or_else(|| whole(stats.min()), |(min, _)| exact(min)),
        "max": range.map_or_else(|| whole(stats.max()), |(_, max)| exact(max)),
        "mean": stats.mean(),
        "std": stats.std(),
    })
}

fn add_counts(object: &mut Value, state: &State, bins: Option<u16>) {
    if let Some(classes) = &state.classes {
        let classes = classes
            .iter()
            .map(|(class, count)| (class.to_string(), (*count).into()));
        object["classes"] = Value::Object(classes.collect());
    }
    let bins = state.histogram.bins(bins.unwrap_or(BINS).into());
    let edges = bins
        .iter()
        .map(|bin| bin.start)
        .chain(bins.last().map(|bin| bin.end));
    object["histogram"] = json!({
        "edges": edges.collect::<Vec<_>>(),
        "counts": bins.iter().map(|bin| bin.count).collect::<Vec<_>>(),
    });
}
