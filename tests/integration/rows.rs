//! Random numbers that belong to a position: the same augmentation whoever does it, and when, and
//! another one each time that a row is drawn.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use burn::data::dataloader::DataLoader;
use burn::data::dataset::{Dataset, DatasetError};
use burn_npy::rand_core::Rng;
use burn_npy::{
    BatchInfo, DataLoaderBuilder, Loader, OnError, Row, Sampler,
    order::{PositionRng, Remainder, Shard},
};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use crate::{Indices, builder, numbered, numbers, plain};

const ROWS: usize = 100;
const SEED: u64 = 9;

/// A row, its position, and a number of its generator.
type Drawn = (u64, u64, u64);

/// The rows of a batch, of which the last are padding.
type Batch = (Vec<Drawn>, usize);

fn drawn(info: &BatchInfo) -> Batch {
    assert_eq!(info.positions().len(), info.rows().len());
    let positions = info.rows().iter().zip(info.positions()).enumerate();
    let draw = |(index, (row, position)): (usize, (&u64, u64))| {
        (*row, position, info.rng(index).next_u64())
    };
    (positions.map(draw).collect(), info.padding())
}

/// What each position of an epoch has, from the order alone.
fn expected(sampler: &Sampler, len: usize, epoch: u64) -> Vec<Drawn> {
    let order = sampler.order(len as u64, epoch);
    let seed = sampler.seed().unwrap_or(0);
    let at = |position| PositionRng::new(seed, epoch, position).next_u64();
    let rows = order.rows(0..order.len()).zip(0..);
    rows.map(|(row, position)| (row, position, at(position)))
        .collect()
}

/// A loader of plain items, where the workers draw, or of ours, where the consumer does.
fn loader(
    npy: bool,
    configure: impl FnOnce(DataLoaderBuilder<u64, Batch>) -> DataLoaderBuilder<u64, Batch>,
    configure_npy: impl FnOnce(DataLoaderBuilder<Row, Batch>) -> DataLoaderBuilder<Row, Batch>,
) -> Arc<Loader<Batch>> {
    if npy {
        let builder = builder().map(|batch, info| {
            let rows: Vec<u64> = numbers(batch).into_iter().map(|row| row as u64).collect();
            assert_eq!(rows, info.rows());
            drawn(info)
        });
        return configure_npy(builder).try_build(numbered(ROWS)).unwrap();
    }
    let plain = plain().map(|rows, info| {
        assert_eq!(rows, info.rows());
        drawn(info)
    });
    configure(plain).try_build(Indices(ROWS)).unwrap()
}

/// The same settings for builders of two types.
macro_rules! loader {
    ($npy:expr, $($setting:ident($($argument:expr),*)),*) => {
        loader(
            $npy,
            |builder| builder$(.$setting($($argument),*))*,
            |builder| builder$(.$setting($($argument),*))*,
        )
    };
}

fn samplers() -> Vec<Sampler> {
    let labels: Vec<bool> = (0..ROWS).map(|row| row >= 97).collect();
    let weights: Vec<f64> = (0..ROWS).map(|row| (row % 7) as f64).collect();
    let repeated: Vec<u64> = (0..150).map(|entry| entry * entry % 10).collect();
    vec![
        Sampler::sequential(),
        Sampler::shuffled(SEED),
        Sampler::blocks(7, 3, SEED).unwrap(),
        Sampler::blocks_first(7, 3, SEED).unwrap(),
        Sampler::balanced(&labels, SEED).unwrap(),
        Sampler::weighted(&weights, SEED)
            .unwrap()
            .draws(333)
            .unwrap(),
        Sampler::weighted_without_replacement(&weights, SEED).unwrap(),
        Sampler::shuffled(SEED).index(repeated).unwrap(),
        Sampler::shuffled(SEED).windows(5, 3).unwrap(),
        Sampler::shuffled(SEED).epoch_len(130).unwrap(),
        Sampler::with_replacement(SEED).draws(130).unwrap(),
    ]
}

fn rows(batches: impl IntoIterator<Item = Batch>) -> Vec<Drawn> {
    batches.into_iter().flat_map(|(rows, _)| rows).collect()
}

#[test]
fn each_position_draws_the_same_for_any_workers_and_batches() {
    for sampler in samplers() {
        for (epoch, workers) in [(0, 0), (1, 1), (2, 2), (3, 7)] {
            let expected = expected(&sampler, ROWS, epoch);
            for (batch_size, npy) in [(1, false), (7, true), (7, false), (1000, true)] {
                let sampler = sampler.clone();
                let loader = loader!(
                    npy,
                    batch_size(batch_size),
                    sampler(sampler.clone()),
                    num_workers(workers),
                    start_epoch(epoch)
                );
                assert_eq!(rows(loader.iter().map(Result::unwrap)), expected);
                for batch in 0..loader.len() as u64 {
                    let whole = &expected[batch as usize * batch_size..];
                    let whole = &whole[..batch_size.min(whole.len())];
                    assert_eq!(loader.batch_at(epoch, batch).unwrap().0, whole);
                    assert_eq!(drawn(&loader.info_at(epoch, batch)).0, whole);
                }
            }
        }
    }
}

#[test]
fn a_row_that_is_drawn_fifty_times_has_fifty_generators() {
    let labels: Vec<bool> = (0..200).map(|row| row >= 198).collect();
    let loader = builder()
        .map(|_, info| drawn(info).0)
        .sampler(Sampler::balanced(&labels, 1).unwrap())
        .batch_size(64)
        .try_build(numbered(200))
        .unwrap();
    let mut of_each: HashMap<u64, Vec<u64>> = HashMap::new();
    for (row, _, random) in loader.iter().flat_map(Result::unwrap) {
        of_each.entry(row).or_default().push(random);
    }
    assert_eq!((of_each[&198].len(), of_each[&199].len()), (50, 50));
    let different: HashSet<u64> = of_each.into_values().flatten().collect();
    assert_eq!(different.len(), 200);
}

#[test]
fn a_pass_that_is_gone_on_with_draws_as_if_it_had_not_stopped() {
    let mut rng = StdRng::seed_from_u64(5);
    for case in 0..200 {
        let sampler = samplers().choose(&mut rng).unwrap().clone();
        let mut size = || rng.random_range(1..40);
        let (before, after) = (size(), size());
        let workers = [(); 2].map(|()| *[0, 1, 2, 7].choose(&mut rng).unwrap());
        let npy = rng.random();
        let first = loader!(
            npy,
            batch_size(before),
            sampler(sampler.clone()),
            num_workers(workers[0])
        );
        let stop = rng.random_range(0..first.len());
        let mut pass = first.iter();
        let mut found = rows(pass.by_ref().take(stop).map(Result::unwrap));
        let state = serde_json::to_string(&pass.state()).unwrap();
        let second = loader!(
            npy,
            batch_size(after),
            sampler(sampler.clone()),
            num_workers(workers[1]),
            resume(serde_json::from_str(&state).unwrap())
        );
        found.extend(rows(second.iter().map(Result::unwrap)));
        assert_eq!(found, expected(&sampler, ROWS, 0), "case {case}");
    }
}

#[test]
fn shards_draw_what_one_process_would_and_padding_what_it_repeats() {
    for sampler in samplers() {
        let whole = expected(&sampler, ROWS, 1);
        let whole: HashMap<u64, Drawn> = whole.iter().map(|it| (it.1, *it)).collect();
        for (count, size, from) in [(3, 7, 0), (4, 16, 0), (7, 1, 0), (64, 9, 0), (3, 7, 10)] {
            let state = {
                let loader = loader!(
                    true,
                    batch_size(from.max(1)),
                    sampler(sampler.clone()),
                    start_epoch(1)
                );
                let mut pass = loader.iter();
                pass.by_ref().take(usize::from(from > 0)).for_each(drop);
                pass.state()
            };
            let (mut own, mut padding) = (Vec::new(), 0);
            for index in 0..count {
                let loader = loader!(
                    true,
                    batch_size(size),
                    sampler(sampler.clone()),
                    shard(Shard::new(index, count).unwrap(), Remainder::Pad),
                    num_workers(index as usize % 3),
                    resume(state.clone())
                );
                for (rows, filled) in loader.iter().map(Result::unwrap) {
                    assert!(rows.iter().all(|row| whole[&row.1] == *row));
                    own.extend(rows[..rows.len() - filled].iter().map(|row| row.1));
                    padding += filled;
                }
            }
            own.sort_unstable();
            let all = Vec::from_iter(from as u64..whole.len() as u64);
            assert_eq!(own, all);
            assert_eq!((own.len() + padding) % count as usize, 0);
        }
    }
}

#[test]
fn slices_draw_what_the_whole_loader_would() {
    let sampler = Sampler::weighted(&[1.0; ROWS], SEED).unwrap();
    for (shards, index) in [(1, 0), (3, 1)] {
        let loader = loader!(
            true,
            batch_size(8),
            sampler(sampler.clone()),
            shard(Shard::new(index, shards).unwrap(), Remainder::Uneven),
            num_workers(2)
        );
        let whole = rows(loader.epoch(0).map(Result::unwrap));
        let all = loader.num_items();
        for at in [0, 5, all / 2, all] {
            let parts = [loader.slice(0, at), loader.slice(at, all)];
            let parts = parts.map(|part| rows(part.iter().map(Result::unwrap)));
            assert_eq!(parts.concat(), whole);
        }
    }
}

/// Rows of which every third cannot be had.
struct Thirds;

impl Dataset<u64> for Thirds {
    fn get(&self, index: usize) -> Result<u64, DatasetError> {
        match index % 3 {
            1 => Err(DatasetError::new(std::io::Error::other("a third"))),
            _ => Ok(index as u64),
        }
    }

    fn len(&self) -> usize {
        ROWS
    }
}

#[test]
fn rows_that_were_skipped_change_nothing_for_those_that_stay() {
    for (workers, batch_size) in [(0, 1), (2, 7), (7, 40)] {
        let sampler = Sampler::weighted(&[1.0; ROWS], SEED).unwrap();
        let loader = plain()
            .map(|_, info| drawn(info))
            .sampler(sampler.clone())
            .batch_size(batch_size)
            .num_workers(workers)
            .on_error(OnError::SkipRate(1.0))
            .try_build(Thirds)
            .unwrap();
        let mut left = expected(&sampler, ROWS, 0);
        left.retain(|(row, ..)| row % 3 != 1);
        let mut found = Vec::new();
        let mut pass = loader.iter();
        while let Some(batch) = pass.next() {
            let batch = batch.unwrap();
            assert_eq!(drawn(pass.info().unwrap()), batch);
            found.extend(batch.0);
        }
        assert_eq!(found, left);
    }
}

#[test]
fn batches_may_change_their_type_more_than_once_and_move_between_devices() {
    let loader = builder()
        .map(|batch, _| numbers(batch))
        .map(|rows, info| (info.batch(), rows.len()))
        .batch_size(30)
        .try_build(numbered(ROWS))
        .unwrap();
    let found: Vec<_> = loader
        .to_device(&crate::cpu())
        .iter()
        .map(Result::unwrap)
        .collect();
    assert_eq!(found, [(0, 30), (1, 30), (2, 30), (3, 10)]);
}

#[test]
fn numbers_of_rows_are_those_of_the_dataset() {
    // The other rows of a split: the dataset counts its own.
    let (_, dataset) = numbered(ROWS).split(0.5, 1).unwrap();
    let inner = dataset.clone();
    let loader = builder()
        .map(move |batch, info| {
            let row = |row: &u64| -> Row { inner.row(*row as usize) };
            let files: Vec<i64> = info.rows().iter().map(|i| row(i).index() as i64).collect();
            assert_eq!(files, numbers(batch));
        })
        .batch_size(8)
        .shuffle(1)
        .try_build(dataset)
        .unwrap();
    assert_eq!(loader.iter().map(Result::unwrap).count(), 7);
}

#[test]
fn a_map_that_panics_is_one_error() {
    for workers in [0, 2] {
        let message = |batch: u64| {
            let fail = move |info: &BatchInfo| assert!(info.batch() < batch, "too late");
            let plain = plain()
                .map(move |_, info| fail(info))
                .num_workers(workers)
                .try_build(Indices(ROWS))
                .unwrap();
            let ours = builder()
                .map(move |_, info| fail(info))
                .num_workers(workers)
                .try_build(numbered(ROWS))
                .unwrap();
            [plain, ours].map(|loader| {
                let mut errors = loader.iter().filter_map(Result::err);
                let error = errors.next().unwrap().to_string();
                assert!(errors.next().is_none());
                error
            })
        };
        let expected = "epoch 0, batch 3: the map panicked: too late";
        assert_eq!(message(3), [expected, expected]);
    }
}

#[test]
fn epochs_of_some_batches_go_through_all_rows() {
    let loader = |sampler: Sampler, shards| {
        let builder = crate::plain().batch_size(4).batches_per_epoch(3);
        let shard = burn_npy::order::Shard::new(0, shards).unwrap();
        let builder = builder.shard(shard, burn_npy::order::Remainder::Drop);
        builder.sampler(sampler).try_build(Indices(20))
    };
    let passes = loader(Sampler::shuffled(5), 1).unwrap();
    assert_eq!((passes.len(), passes.num_items()), (3, 12));
    let mut rows: Vec<u64> = Vec::new();
    for _ in 0..5 {
        rows.extend(passes.iter().flat_map(Result::unwrap));
    }
    for pass in rows.chunks(20) {
        let mut pass = pass.to_vec();
        pass.sort();
        assert_eq!(pass, Vec::from_iter(0..20));
    }
    assert_eq!(rows.len(), 60);
    // Each shard has so many.
    assert_eq!(loader(Sampler::shuffled(5), 2).unwrap().len(), 3);
    let drawn = Sampler::weighted(&[1.0; 20], 1).unwrap();
    assert_eq!(loader(drawn, 1).unwrap().len(), 3);
    let few = Sampler::weighted_without_replacement(&[1.0; 8], 1).unwrap();
    // Twelve rows of eight.
    let error = loader(few, 1).unwrap_err();
    assert_eq!(error.kind(), burn_npy::ErrorKind::Usage);
}
