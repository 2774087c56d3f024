//! What is found in a pass over the numbers of an array.

use std::collections::BTreeMap;

use burn_npy_core::{DType, Error, ErrorKind, Result, Stats};

use super::histogram::Histogram;
use crate::progress::Progress;
use crate::scan::{Chunk, Exact, Scan};

/// How many classes are counted, at most.
const CLASSES: usize = 32;
/// How far apart the classes of neighbouring rows are, at most.
const CLASS_RANGE: f64 = 4096.0;
/// How many channels an axis has, at most.
const CHANNELS: usize = 1 << 16;

/// The statistics of an array.
#[derive(Debug)]
pub(super) struct State {
    pub(super) stats: Stats,
    /// The least and the greatest number, if they are integers of 64 bits.
    pub(super) range: Option<(i128, i128)>,
    pub(super) histogram: Histogram,
    /// How often each integer comes; `None` if there are too many.
    pub(super) classes: Option<BTreeMap<i64, u64>>,
}

/// The statistics of all numbers of an array.
pub(super) fn of(scan: &Scan, dtype: DType) -> Result<State> {
    let progress = Progress::new(scan.bytes());
    let has_classes = !dtype.is_float();
    let new = || State {
        stats: Stats::new(),
        range: None,
        histogram: Histogram::new(has_classes),
        classes: has_classes.then(BTreeMap::new),
    };
    scan.fold(&progress, new, State::add, State::merge)
}

impl State {
    fn add(&mut self, chunk: &Chunk<'_>) {
        let mut own = Stats::new();
        own.add(chunk.numbers);
        let (least, greatest) = (own.min(), own.max());
        self.stats.merge(&own);
        self.range = both(self.range, chunk.exact.and_then(Exact::range));
        self.histogram.add(chunk.numbers, least, greatest);
        let classes = self.classes.take();
        let count = || count(chunk.numbers, least, greatest);
        self.classes = classes.and_then(|classes| more(classes, count()?));
    }

    fn merge(&mut self, other: Self) {
        self.stats.merge(&other.stats);
        self.range = both(self.range, other.range);
        self.histogram.merge(other.histogram);
        let classes = self.classes.take();
        self.classes = classes.and_then(|classes| more(classes, other.classes?));
    }
}

fn both(a: Option<(i128, i128)>, b: Option<(i128, i128)>) -> Option<(i128, i128)> {
    match (a, b) {
        (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
        (one, None) | (None, one) => one,
    }
}

/// How often each of some integers comes, if there are few.
fn count(numbers: &[f64], least: f64, greatest: f64) -> Option<BTreeMap<i64, u64>> {
    let span = greatest - least;
    if span >= CLASS_RANGE || least.abs().max(greatest.abs()) > (1_u64 << 53) as f64 {
        return None;
    }
    let mut counts = vec![0; span as usize + 1];
    for number in numbers {
        counts[(number - least) as usize] += 1;
    }
    let classes = (least as i64..).zip(counts).filter(|(_, count)| *count > 0);
    Some(classes.collect())
}

/// The sum, if there are few classes.
fn more(mut all: BTreeMap<i64, u64>, more: BTreeMap<i64, u64>) -> Option<BTreeMap<i64, u64>> {
    for (class, count) in more {
        *all.entry(class).or_default() += count;
    }
    (all.len() <= CLASSES).then_some(all)
}

/// The statistics of each channel along an axis of the array.
pub(super) fn of_channels(scan: &Scan, axis: usize, count: usize) -> Result<Vec<Stats>> {
    if count > CHANNELS {
        let message =
            format!("axis {axis} has {count} channels; at most {CHANNELS} are told apart");
        return Err(Error::new(ErrorKind::Usage, message));
    }
    let progress = Progress::new(scan.bytes());
    let of_rows = scan.axis();
    let new = || vec![Stats::new(); count];
    let add = |channels: &mut Vec<Stats>, chunk: &Chunk<'_>| {
        let rows = chunk.numbers.chunks_exact(scan.row_len());
        match of_rows.map(|rows| axis.cmp(&rows)) {
            // A row is a channel.
            Some(std::cmp::Ordering::Equal) | None => {
                for (row, numbers) in rows.enumerate() {
                    channels[chunk.first + row].add(numbers);
                }
            }
            // The axis of the rows comes first.
            Some(order) => {
                let place = if order.is_lt() { axis } else { axis - 1 };
                let inner: usize = scan.row_shape()[place + 1..].iter().product();
                let mut own = Vec::with_capacity(chunk.numbers.len() / count);
                for (channel, stats) in channels.iter_mut().enumerate() {
                    own.clear();
                    for numbers in chunk.numbers.chunks_exact(count * inner) {
                        own.extend_from_slice(&numbers[channel * inner..][..inner]);
                    }
                    stats.add(&own);
                }
            }
        }
    };
    let merge = |all: &mut Vec<Stats>, more: Vec<Stats>| {
        all.iter_mut()
            .zip(&more)
            .for_each(|(all, more)| all.merge(more));
    };
    scan.fold(&progress, new, add, merge)
}

#[cfg(test)]
mod tests {
    use burn_npy_core::Array;
    use burn_npy_core::ndarray::{Array3, Axis};

    use super::*;

    #[test]
    fn channels_are_those_of_the_axis() {
        for shape in [(5, 3, 4), (2, 3, 700_000), (1, 1_100_000, 2), (0, 2, 1)] {
            let values = Array3::from_shape_fn(shape, |(i, j, k)| ((i + 7 * j + k) % 91) as f32);
            let scan = Scan::new(&Array::from(values.clone())).unwrap();
            for axis in 0..3 {
                let count = values.len_of(Axis(axis));
                if count > CHANNELS {
                    assert!(of_channels(&scan, axis, count).is_err());
                    continue;
                }
                let found = of_channels(&scan, axis, count).unwrap();
                for (stats, expected) in found.iter().zip(values.axis_iter(Axis(axis))) {
                    let numbers: Vec<_> = expected.iter().map(|x| f64::from(*x)).collect();
                    let mut naive = Stats::new();
                    naive.add(&numbers);
                    assert_eq!(stats.count(), naive.count());
                    if naive.count() == 0 {
                        continue;
                    }
                    assert_eq!((stats.min(), stats.max()), (naive.min(), naive.max()));
                    assert!((stats.mean() - naive.mean()).abs() < 1e-9);
                    assert!((stats.std() - naive.std()).abs() < 1e-9);
                }
            }
        }
    }

    #[test]
    fn classes_are_counted_while_they_are_few() {
        let classes = |numbers: Vec<i64>| {
            let scan = Scan::new(&Array::from(numbers)).unwrap();
            of(&scan, DType::I64).unwrap().classes
        };
        let few: Vec<_> = (0..300_000).map(|i| i % 3 - 1).collect();
        let expected = BTreeMap::from([(-1, 100_000), (0, 100_000), (1, 100_000)]);
        assert_eq!(classes(few), Some(expected));
        assert_eq!(classes((0..33).collect()), None);
        assert_eq!(classes(vec![i64::MIN, i64::MAX]), None);
        assert_eq!(classes(vec![]), Some(BTreeMap::new()));
    }
}
