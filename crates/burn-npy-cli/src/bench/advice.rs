//! What bounds a pass, and what to do about it.

use crate::table;

/// A rate is as good as another that is higher by less than this.
const ALIKE: f64 = 0.9;
/// Up to this size in bytes a row takes about as long as a smaller one.
const SMALL_ROW: usize = 256;
/// The same for a batch.
const SMALL_BATCH: usize = 16 << 10;
/// A time to open a file that is worth a conversion, in seconds.
const LONG: f64 = 0.5;

/// What helps if the disk is the bound.
const FASTER_FROM_DISK: &str = "What helps: memory for the whole file; Sampler::blocks, which \
                                reads rows that lie side by side; or rows that `burn-npy convert \
                                --shuffle SEED` has shuffled once, read in their order.";

/// Numbers of threads with their rates.
type Rates = Vec<(usize, f64)>;

/// What was measured. Rates are rows a second.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) row_bytes: usize,
    /// Rows of a batch.
    pub(super) batch: usize,
    /// Whether the numbers of a row lie apart.
    pub(super) scattered: bool,
    /// Whether the numbers are in the byte order of other machines.
    pub(super) swapped: bool,
    /// Whether an array was compressed.
    pub(super) decoded: bool,
    pub(super) open_seconds: f64,
    pub(super) copy: f64,
    /// The rates of numbers of threads.
    pub(super) warm: Rates,
    /// The rates while the file is read, and what the disk gave, if the system says it.
    pub(super) cold: Option<(Rates, Option<u64>)>,
}

#[derive(Debug, Default)]
pub(super) struct Advice {
    /// A word or two.
    pub(super) bound: &'static str,
    /// The fewest workers that are about as fast as any number of them.
    pub(super) num_workers: usize,
    /// What bounds it comes first.
    pub(super) sentences: Vec<String>,
}

fn best_of(rates: &[(usize, f64)]) -> f64 {
    rates.iter().map(|(_, rate)| *rate).fold(0.0, f64::max)
}

pub(super) fn advice(facts: &Facts) -> Advice {
    let best = best_of(&facts.warm);
    // What counts of a file that is on a slow disk.
    let from_disk = facts.cold.as_ref().filter(|(rates, bytes)| {
        let was_read = *bytes != Some(0);
        was_read && best_of(rates) < best / 2.0
    });
    let rates = from_disk.map_or(&facts.warm, |(rates, _)| rates);
    let mut enough = rates.iter();
    let enough = enough.find(|(_, rate)| *rate >= ALIKE * best_of(rates));
    let num_workers = enough.map_or(0, |(threads, _)| *threads);
    let size = |rate: f64| table::bytes((rate * facts.row_bytes as f64) as u64);
    let batch_bytes = facts.batch * facts.row_bytes;
    let alone = facts.warm.first().map_or(0.0, |(_, rate)| *rate);
    let of_copy = alone / facts.copy.max(f64::MIN_POSITIVE);
    let (bound, why) = match from_disk {
        Some((rates, _)) => (
            "disk",
            format!(
                "The disk bounds it while the file is not in memory: {}/s of rows, then {}/s.",
                size(best_of(rates)),
                size(best)
            ),
        ),
        _ if facts.scattered && of_copy < ALIKE => (
            "layout",
            format!(
                "The layout bounds it: in Fortran order the numbers of a row lie apart, and one \
                 thread is at {:.0}% of a plain copy.",
                100.0 * of_copy
            ),
        ),
        _ if batch_bytes <= SMALL_BATCH && of_copy < ALIKE => (
            "small batches",
            format!(
                "Small batches bound it: one has {} and takes {:.1} us, much of it to check the \
                 file.",
                table::bytes(batch_bytes as u64),
                1e6 * facts.batch as f64 / alone.max(f64::MIN_POSITIVE)
            ),
        ),
        _ if facts.row_bytes <= SMALL_ROW => (
            "small rows",
            format!(
                "Small rows bound it: one takes {:.1} ns, most of it to find the row in memory.",
                1e9 / best.max(f64::MIN_POSITIVE)
            ),
        ),
        _ if of_copy >= 0.5 => (
            "memory",
            format!(
                "Memory bounds it: one thread is at {:.0}% of a plain copy, and {}/s is the best.",
                100.0 * of_copy,
                size(best)
            ),
        ),
        _ => (
            "gather",
            format!(
                "The gather bounds it: one thread is at {:.0}% of a plain copy.",
                100.0 * of_copy
            ),
        ),
    };
    let mut sentences = vec![why];
    sentences.push(match num_workers {
        0 => "num_workers(0) is enough to copy rows; transforms and a busy training thread want \
              more."
            .to_owned(),
        n => format!("num_workers({n}) is enough to copy rows; transforms want more."),
    });
    if let Some((_, Some(0))) = &facts.cold {
        let why = "Nothing came from the disk: the file is on tmpfs, or another program uses it.";
        sentences.push(why.to_owned());
    }
    let mut convert = Vec::new();
    if facts.scattered {
        convert.push("in C layout".to_owned());
    }
    if facts.swapped {
        convert.push("in the byte order of this machine".to_owned());
    }
    if facts.decoded && facts.open_seconds >= LONG {
        let seconds = facts.open_seconds;
        convert.push(format!(
            "uncompressed, since it takes {seconds:.1} s to open"
        ));
    }
    if from_disk.is_some() {
        sentences.push(FASTER_FROM_DISK.to_owned());
    }
    if !convert.is_empty() {
        let convert = convert.join(", ");
        sentences.push(format!(
            "Write the file anew with `burn-npy convert`: {convert}."
        ));
    } else if from_disk.is_none() {
        sentences.push("The file is fine as it is.".to_owned());
    }
    Advice {
        bound,
        num_workers,
        sentences,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts {
            row_bytes: 784,
            batch: 256,
            copy: 100.0,
            warm: vec![(0, 80.0), (1, 85.0), (2, 150.0), (4, 160.0)],
            ..Facts::default()
        }
    }

    #[test]
    fn each_bound_has_its_sentence() {
        for (facts, bound, sentence) in [
            (facts(), "memory", "Memory bounds it: one thread is at 80%"),
            (
                Facts {
                    scattered: true,
                    ..facts()
                },
                "layout",
                "Write the file anew with `burn-npy convert`: in C layout.",
            ),
            (
                Facts {
                    row_bytes: 128,
                    ..facts()
                },
                "small rows",
                "The file is fine as it is.",
            ),
            (
                Facts {
                    batch: 1,
                    ..facts()
                },
                "small batches",
                "one has 784 B and takes 12500.0 us",
            ),
            (
                Facts {
                    copy: 1000.0,
                    ..facts()
                },
                "gather",
                "at 8% of a plain copy",
            ),
            (
                Facts {
                    cold: Some((vec![(0, 5.0), (2, 10.0)], Some(5))),
                    ..facts()
                },
                "disk",
                "not in memory: 7.7 KiB/s of rows, then 122.5 KiB/s",
            ),
            (
                Facts {
                    cold: Some((vec![(0, 5.0), (2, 10.0)], Some(0))),
                    ..facts()
                },
                "memory",
                "Nothing came from the disk",
            ),
            (
                Facts {
                    decoded: true,
                    open_seconds: 2.0,
                    swapped: true,
                    ..facts()
                },
                "memory",
                "convert`: in the byte order of this machine, uncompressed, since it takes 2.0 s",
            ),
        ] {
            let found = advice(&facts);
            assert_eq!((found.bound, found.num_workers), (bound, 2), "{facts:?}");
            assert!(found.sentences.join(" ").contains(sentence), "{found:?}");
        }
    }

    #[test]
    fn a_slow_disk_has_its_advice() {
        let from_disk = |best: f64, scattered: bool| {
            let facts = Facts {
                cold: Some((vec![(0, best)], None)),
                scattered,
                ..facts()
            };
            advice(&facts).sentences.join(" ")
        };
        for (best, is_slow) in [(79.0, true), (81.0, false)] {
            let found = from_disk(best, false);
            for (what, slow) in [("Sampler::blocks", true), ("The file is fine", false)] {
                assert_eq!(found.contains(what), slow == is_slow, "{found}");
            }
        }
        let found = from_disk(10.0, true);
        assert!(
            found.contains("--shuffle SEED") && found.contains("in C layout"),
            "{found}"
        );
    }

    #[test]
    fn no_thread_is_enough_if_more_are_no_faster() {
        let facts = Facts {
            warm: vec![(0, 95.0), (1, 100.0)],
            ..facts()
        };
        assert_eq!(advice(&facts).num_workers, 0);
    }
}
