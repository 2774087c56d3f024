//! Random loaders that are stopped at random batches and resumed with other settings, compared with
//! a naive reference on vectors.

use burn_npy::{
    DataLoaderBuilder, Sampler, State,
    order::{Order, Remainder, Shard},
};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use crate::{Indices, builder, numbered, numbers, plain};

const CASES: u64 = 3000;
const SHARD_CASES: u64 = 20_000;
const REMAINDERS: [Remainder; 4] = [
    Remainder::Drop,
    Remainder::Pad,
    Remainder::Uneven,
    Remainder::Spread,
];

/// How an epoch is divided, and the number of workers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    pub(crate) batch_size: usize,
    pub(crate) drop_last: bool,
    pub(crate) shards: u64,
    pub(crate) tail: Remainder,
    pub(crate) workers: usize,
    pub(crate) prefetch: usize,
}

#[derive(Clone, Debug)]
struct Case {
    len: usize,
    sampler: Sampler,
    name: &'static str,
    epoch: u64,
    before: Cut,
    after: Cut,
    /// After how many batches, of those that there are.
    stop: f64,
    /// Through files' columns and tensors instead of plain numbers.
    npy: bool,
}

pub(crate) fn cut(rng: &mut StdRng) -> Cut {
    Cut {
        batch_size: rng.random_range(1..20),
        drop_last: rng.random(),
        shards: *[1, 1, 2, 3, 5].choose(rng).unwrap(),
        tail: *REMAINDERS.choose(rng).unwrap(),
        workers: *[0, 0, 1, 2, 7].choose(rng).unwrap(),
        prefetch: rng.random_range(0..6),
    }
}

fn case(rng: &mut StdRng) -> Case {
    let len: usize = if rng.random_ratio(1, 50) {
        rng.random_range(4000..4400)
    } else {
        rng.random_range(0..200)
    };
    let seed: u64 = rng.random();
    let shuffled = Sampler::shuffled(seed);
    let rows = len as u64;
    let weights = |rng: &mut StdRng| -> Vec<f64> {
        (0..len).map(|_| rng.random_range(0..4) as f64).collect()
    };
    let (name, sampler) = match rng.random_range(0..12) {
        0 => ("sequential", Ok(Sampler::sequential())),
        1 | 2 => ("shuffled", Ok(shuffled)),
        3 => {
            let (size, mixed) = (rng.random_range(1..30), rng.random_range(1..6));
            let in_blocks = [Sampler::blocks, Sampler::blocks_first][rng.random_range(0..2)];
            ("blocks", in_blocks(size, mixed, seed))
        }
        4 => {
            let (length, stride) = (rng.random_range(1..20), rng.random_range(1..9));
            ("windows", shuffled.windows(length, stride))
        }
        5 => {
            let index: Vec<u64> = match len {
                0 => vec![],
                _ => (0..rng.random_range(0..300))
                    .map(|_| rng.random_range(0..rows))
                    .collect(),
            };
            ("index", shuffled.index(index))
        }
        6 => {
            let epoch_len = rng.random_range(1..300);
            let sampler = shuffled.epoch_len(epoch_len);
            ("epoch_len", sampler.and_then(|s| s.check(rows).map(|()| s)))
        }
        10 => {
            let lengths: Vec<u8> = (0..len).map(|_| rng.random_range(0..40)).collect();
            let size = rng.random_range(1..20);
            ("bucketed", Sampler::bucketed(lengths, size, seed))
        }
        7 => {
            let sampler = Sampler::with_replacement(seed).draws(rng.random_range(0..300));
            ("replaced", sampler.and_then(|s| s.check(rows).map(|()| s)))
        }
        8 => ("weighted", Sampler::weighted(&weights(rng), seed)),
        9 => {
            let weights = weights(rng);
            (
                "unreplaced",
                Sampler::weighted_without_replacement(&weights, seed),
            )
        }
        _ => {
            let labels: Vec<u8> = (0..len).map(|_| rng.random_range(0..4)).collect();
            ("balanced", Sampler::balanced(&labels, seed))
        }
    };
    Case {
        len,
        // Without rows there is nothing to draw, and there are no labels to balance.
        sampler: sampler.unwrap_or_else(|_| Sampler::shuffled(seed)),
        name,
        epoch: rng.random_range(0..4),
        before: cut(rng),
        after: cut(rng),
        stop: rng.random(),
        npy: rng.random_ratio(1, 5),
    }
}

/// A batch: its rows, and how many of the last of them are padding.
pub(crate) type Batch = (Vec<u64>, usize);

/// In how many steps every shard has a full batch.
fn full_steps(rows: usize, cut: &Cut) -> usize {
    let step = cut.batch_size * cut.shards as usize;
    let left = rows % step;
    let shared = cut.tail == Remainder::Spread && !cut.drop_last && cut.batch_size > 1;
    match shared && (1..cut.shards as usize).contains(&left) {
        true => (rows / step).saturating_sub(1),
        false => rows / step,
    }
}

/// The batches of each shard, from the rows of an epoch; what fills up a batch is from the start of
/// `fill`.
pub(crate) fn naive(rows: &[u64], fill: &[u64], cut: &Cut) -> Vec<Vec<Batch>> {
    let (size, count) = (cut.batch_size, cut.shards as usize);
    let mut shards: Vec<Vec<Batch>> = vec![Vec::new(); count];
    let mut give = |shard: usize, own: &[u64], padding: &[u64]| {
        if !own.is_empty() || !padding.is_empty() {
            shards[shard].push(([own, padding].concat(), padding.len()));
        }
    };
    let (steps, rest) = rows.split_at(full_steps(rows.len(), cut) * size * count);
    for (number, own) in steps.chunks(size).enumerate() {
        give(number % count, own, &[]);
    }
    match (cut.tail, cut.drop_last) {
        _ if rest.is_empty() => {}
        (Remainder::Drop | Remainder::Spread, true) => {}
        (Remainder::Spread, false) if rest.len() < count => {}
        (Remainder::Spread, false) => {
            // One step, or two if they are too many for one.
            let (first, second) = match rest.len() > size * count {
                true => rest.split_at(rest.len() / 2),
                false => rest.split_at(rest.len()),
            };
            for mut step in [first, second] {
                let (each, more) = (step.len() / count, step.len() % count);
                for shard in 0..count {
                    let (own, then) = step.split_at(each + usize::from(shard < more));
                    give(shard, own, &[]);
                    step = then;
                }
            }
        }
        (Remainder::Drop, false) => {
            let each = rest.len() / count;
            (0..count).for_each(|shard| give(shard, &rest[shard * each..][..each], &[]));
        }
        (Remainder::Pad, drop_last) => {
            let each = if drop_last {
                size
            } else {
                rest.len().div_ceil(count)
            };
            let mut own = rest.chunks(each);
            let mut fill = fill.iter().copied().cycle();
            for shard in 0..count {
                let own = own.next().unwrap_or_default();
                let padding: Vec<u64> = fill.by_ref().take(each - own.len()).collect();
                give(shard, own, &padding);
            }
        }
        (Remainder::Uneven, true) => {
            let full = rest.chunks_exact(size);
            full.enumerate()
                .for_each(|(shard, own)| give(shard, own, &[]));
        }
        (Remainder::Uneven, false) => {
            let mut rest = rest;
            let (each, more) = (rest.len() / count, rest.len() % count);
            for shard in 0..count {
                let (own, then) = rest.split_at(each + usize::from(shard < more));
                give(shard, own, &[]);
                rest = then;
            }
        }
        (other, _) => unreachable!("{other:?}"),
    }
    shards
}

/// A loader of a shard, which gives rows and the number of padding rows, whatever its dataset is.
trait Ranks {
    fn loader(
        &self,
        cut: &Cut,
        shard: u64,
        start: Result<State, u64>,
    ) -> std::sync::Arc<burn_npy::Loader<Batch>>;
}

impl Ranks for Case {
    fn loader(
        &self,
        cut: &Cut,
        shard: u64,
        start: Result<State, u64>,
    ) -> std::sync::Arc<burn_npy::Loader<Batch>> {
        fn set<I: Send + 'static>(
            case: &Case,
            builder: DataLoaderBuilder<I, Batch>,
            cut: &Cut,
            shard: u64,
            start: Result<State, u64>,
        ) -> DataLoaderBuilder<I, Batch> {
            let builder = builder
                .batch_size(cut.batch_size)
                .drop_last(cut.drop_last)
                .sampler(case.sampler.clone())
                .shard(Shard::new(shard, cut.shards).unwrap(), cut.tail)
                .num_workers(cut.workers)
                .prefetch(cut.prefetch);
            match start {
                Ok(state) => builder.resume(state),
                Err(epoch) => builder.start_epoch(epoch),
            }
        }
        if self.npy {
            let builder = builder().map(|batch, info| {
                let rows = numbers(batch).into_iter().map(|row| row as u64).collect();
                (rows, info.padding())
            });
            set(self, builder, cut, shard, start)
                .try_build(numbered(self.len))
                .unwrap()
        } else {
            let builder = plain().map(|rows, info| (rows, info.padding()));
            set(self, builder, cut, shard, start)
                .try_build(Indices(self.len))
                .unwrap()
        }
    }
}

pub(crate) fn own(batches: &[Batch]) -> Vec<u64> {
    let own = batches
        .iter()
        .map(|(rows, padding)| &rows[..rows.len() - padding]);
    own.collect::<Vec<_>>().concat()
}

fn check(case: &Case, rng: &mut StdRng) {
    let len = case.len as u64;
    let rows = |epoch: u64| -> Vec<u64> {
        let order: Order = case.sampler.order(len, epoch);
        (0..order.len())
            .map(|position| order.row(position))
            .collect()
    };
    let whole = rows(case.epoch);
    let (before, after) = (&case.before, &case.after);

    // All ranks go as far as the first one, which has the most batches, or to their end.
    let expected = naive(&whole, &whole, before);
    let stop = (case.stop * (expected[0].len() + 1) as f64) as usize;
    let mut seen = Vec::new();
    let mut saved = None;
    for (shard, expected) in (0..).zip(&expected) {
        let loader = case.loader(before, shard, Err(case.epoch));
        assert_eq!(loader.len(), expected.len());
        assert_eq!(loader.num_items(), own(expected).len());
        let mut pass = loader.iter();
        let found: Vec<Batch> = pass.by_ref().take(stop).map(Result::unwrap).collect();
        assert_eq!(found, expected[..stop.min(expected.len())]);
        seen.extend(own(&found));
        let state = serde_json::to_string(&pass.state()).unwrap();
        assert_eq!(serde_json::to_string(&loader.state()).unwrap(), state);
        if found.len() == stop {
            // Those who have come equally far say the same.
            assert_eq!(*saved.get_or_insert(state.clone()), state);
        }
        if !expected.is_empty() {
            let batch = rng.random_range(0..expected.len());
            let (found, info) = (
                loader.batch_at(case.epoch, batch as u64).unwrap(),
                loader.info_at(case.epoch, batch as u64),
            );
            assert_eq!(found, expected[batch]);
            assert_eq!((info.rows().to_vec(), info.padding()), expected[batch]);
        }
    }
    locate(case, &whole, &expected, rng);

    // The rest, with other settings.
    let state: State = serde_json::from_str(&saved.unwrap()).unwrap();
    let at = state.position() as usize;
    let (epoch, rest) = if state.epoch() == case.epoch {
        (case.epoch, whole[at..].to_vec())
    } else {
        assert_eq!((state.epoch(), at), (case.epoch + 1, 0));
        assert!(stop >= expected[0].len());
        (case.epoch + 1, rows(case.epoch + 1))
    };
    // If the state is at the start of a step, the padding is the same as without the stop.
    let step = after.batch_size * after.shards as usize;
    let aligned = at.is_multiple_of(step) && at / step <= full_steps(whole.len(), after);
    let fill = if aligned && epoch == case.epoch {
        &whole
    } else {
        &rest
    };
    let expected = naive(&rest, fill, after);
    let next = naive(&rows(epoch + 1), &rows(epoch + 1), after);
    let mut then = Vec::new();
    for (shard, (expected, next)) in (0..).zip(expected.iter().zip(&next)) {
        let loader = case.loader(after, shard, Ok(state.clone()));
        let mut pass = loader.iter();
        assert_eq!((pass.epoch(), loader.next_epoch()), (epoch, epoch + 1));
        let found: Vec<Batch> = pass.by_ref().map(Result::unwrap).collect();
        assert_eq!(&found, expected);
        if let (true, Some(info)) = (aligned, pass.info()) {
            // Batches keep their numbers.
            assert_eq!(info.batch() as usize, at / step + found.len() - 1);
        }
        then.extend(own(&found));
        // And on, as if nothing had happened.
        let found: Vec<Batch> = loader.iter().map(Result::unwrap).collect();
        assert_eq!(&found, next);
    }

    // Each row once, except those that the remainder drops.
    if epoch == case.epoch {
        seen.extend(then);
        assert!(whole.len() - seen.len() <= most_dropped(after));
        seen.extend(&whole[seen.len()..]);
        seen.sort_unstable();
        let mut all = whole;
        all.sort_unstable();
        assert_eq!(seen, all);
    }
}

/// How many rows of an epoch the remainder drops, at most.
fn most_dropped(cut: &Cut) -> usize {
    match (cut.tail, cut.drop_last) {
        (Remainder::Pad, _) | (Remainder::Uneven, false) => 0,
        (Remainder::Uneven, true) => cut.batch_size - 1,
        (Remainder::Drop | Remainder::Spread, false) => cut.shards as usize - 1,
        (Remainder::Drop | Remainder::Spread, true) => cut.batch_size * cut.shards as usize - 1,
        (other, _) => unreachable!("{other:?}"),
    }
}

fn locate(case: &Case, whole: &[u64], batches: &[Vec<Batch>], rng: &mut StdRng) {
    let row = rng.random_range(0..case.len as u64 + 2);
    // If a row comes more than once, its first position counts.
    let first = whole.iter().position(|found| *found == row);
    let loader = case.loader(&case.before, 0, Err(0));
    match (first, loader.locate(case.epoch, row)) {
        (None, found) => assert_eq!(found, None),
        (Some(first), None) => {
            let most = case.before.batch_size * case.before.shards as usize;
            assert!(whole.len() - first <= most);
        }
        (Some(_), Some(found)) => {
            let (rows, padding) = &batches[found.shard as usize][found.batch as usize];
            let offset = found.offset as usize;
            assert_eq!(rows[offset], row);
            assert!(offset < rows.len() - padding);
        }
    }
}

#[test]
fn every_row_comes_once_however_an_epoch_is_gone_on_with() {
    let start = std::time::Instant::now();
    let mut kinds = std::collections::BTreeMap::new();
    for seed in 0..CASES {
        let mut rng = StdRng::seed_from_u64(seed);
        let case = case(&mut rng);
        *kinds.entry(case.name).or_insert(0) += 1;
        let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            check(&case, &mut rng);
        }));
        if let Err(panic) = checked {
            println!("case {seed}: {case:#?}");
            std::panic::resume_unwind(panic);
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    println!("{CASES} random loaders in {seconds:.1} s: {kinds:?}");
}

/// Some ranks that always ask for their next batch at the same time, as those of a distributed
/// training do, and that are stopped and started again as other ranks until an epoch is done.
fn ask_together(rng: &mut StdRng) {
    let len = rng.random_range(0..40_usize);
    let sampler = match rng.random() {
        true => Sampler::shuffled(rng.random()),
        false => Sampler::sequential(),
    };
    let rows = |epoch: u64| -> Vec<u64> {
        let order = sampler.order(len as u64, epoch);
        (0..order.len()).map(|at| order.row(at)).collect()
    };
    let loader = |cut: &Cut, shard: u64, state: &Option<State>| {
        let builder = plain().map(|rows, info| (rows, info.padding()));
        let builder = builder
            .batch_size(cut.batch_size)
            .drop_last(cut.drop_last)
            .sampler(sampler.clone())
            .shard(Shard::new(shard, cut.shards).unwrap(), cut.tail)
            .num_workers(cut.workers)
            .prefetch(cut.prefetch);
        match state {
            Some(state) => builder
                .resume(state.clone())
                .try_build(Indices(len))
                .unwrap(),
            None => builder.try_build(Indices(len)).unwrap(),
        }
    };
    let whole = rows(0);
    let mut seen: Vec<u64> = Vec::new();
    let (mut state, mut at) = (None, 0);
    for leg in 0.. {
        let mut cut = cut(rng);
        // Threads take most of the time.
        cut.workers = [0, cut.workers][usize::from(rng.random_ratio(1, 50))];
        cut.batch_size = cut.batch_size.min(rng.random_range(1..20));
        let (rest, step) = (&whole[at..], cut.batch_size * cut.shards as usize);
        let fill = if at.is_multiple_of(step) {
            &whole
        } else {
            rest
        };
        let expected = naive(rest, fill, &cut);
        let longest = expected.iter().map(Vec::len).max().unwrap_or(0);
        // Up to what everybody has, or so far that nobody has any more.
        let asks = match leg {
            4 => longest + 1,
            _ => rng.random_range(0..=longest + 1),
        };
        let mut states = Vec::new();
        for (shard, expected) in (0..).zip(&expected) {
            let loader = loader(&cut, shard, &state);
            let mut pass = loader.iter();
            let found: Vec<Option<Batch>> = (0..asks)
                .map(|_| pass.next().transpose().unwrap())
                .collect();
            let none = std::iter::repeat(None);
            let expected: Vec<_> = expected
                .iter()
                .cloned()
                .map(Some)
                .chain(none)
                .take(asks)
                .collect();
            assert_eq!(found, expected);
            seen.extend(own(&found.into_iter().flatten().collect::<Vec<_>>()));
            assert_eq!(pass.state(), loader.state());
            states.push(pass.state());
            // What follows does not depend on whether the end of the pass was seen.
            drop(pass);
            assert_eq!(loader.iter().epoch(), 1);
        }
        // Nobody is behind, and nobody ahead.
        let there = states.pop().unwrap();
        assert!(states.iter().all(|state| *state == there));
        let is_done = asks >= longest.max(1);
        let expected = if is_done {
            (1, 0)
        } else {
            let batches = expected.iter().flat_map(|shard| shard.iter().take(asks));
            (
                0,
                at + batches
                    .map(|(rows, padding)| rows.len() - padding)
                    .sum::<usize>(),
            )
        };
        assert_eq!((there.epoch(), there.position() as usize), expected);
        let saved = serde_json::to_string(&there).unwrap();
        state = Some(serde_json::from_str(&saved).unwrap());
        if is_done {
            assert!(whole.len() - seen.len() <= most_dropped(&cut));
            break;
        }
        at = expected.1;
    }
    let mut once = seen.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), seen.len());
    // The next epoch is a whole one.
    let cut = Cut {
        workers: 0,
        ..cut(rng)
    };
    let next = rows(1);
    for (shard, expected) in (0..).zip(naive(&next, &next, &cut)) {
        let found: Vec<Batch> = loader(&cut, shard, &state)
            .iter()
            .map(Result::unwrap)
            .collect();
        assert_eq!(found, expected);
    }
}

#[test]
fn ranks_that_ask_together_stay_together_and_reach_the_next_epoch() {
    for seed in 0..SHARD_CASES {
        let mut rng = StdRng::seed_from_u64(seed);
        let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            ask_together(&mut rng);
        }));
        if let Err(panic) = checked {
            println!("case {seed}");
            std::panic::resume_unwind(panic);
        }
    }
}
