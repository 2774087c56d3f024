//! Random numbers that belong to a row: the same augmentation whoever does it, and when.

use burn::data::dataloader::DataLoader;
use burn_npy::burn_npy_core::rand_core::Rng;
use burn_npy::{BatchInfo, Row, RowRng};

use crate::{Indices, builder, numbered, numbers, plain};

const ROWS: usize = 100;
const SEED: u64 = 9;

/// Each row with what its generator gives, in the order of the rows.
type Drawn = Vec<(u64, u64)>;

fn drawn(info: &BatchInfo) -> Drawn {
    let draw = |(index, row): (usize, &u64)| (*row, info.rng(index).next_u64());
    info.rows().iter().enumerate().map(draw).collect()
}

fn sorted<O>(batches: impl Iterator<Item = (O, Drawn)>) -> Drawn {
    let mut all: Drawn = batches.flat_map(|(_, drawn)| drawn).collect();
    all.sort_unstable();
    all
}

#[test]
fn a_row_draws_the_same_for_any_workers_batches_and_order() {
    for epoch in 0..3 {
        let expected: Drawn = (0..ROWS as u64)
            .map(|row| (row, RowRng::new(SEED, epoch, row).next_u64()))
            .collect();
        for workers in [0, 1, 2, 7] {
            for batch_size in [1, 7, 100] {
                // Plain items: the workers draw.
                let loader = plain()
                    .map(|rows, info| {
                        assert_eq!(rows, info.rows());
                        (rows, drawn(info))
                    })
                    .batch_size(batch_size)
                    .shuffle(SEED)
                    .num_workers(workers)
                    .start_epoch(epoch)
                    .build(Indices(ROWS));
                assert_eq!(sorted(loader.iter().map(Result::unwrap)), expected);

                // Our batcher: the consumer draws.
                let loader = builder()
                    .map(|batch, info| {
                        let rows: Vec<u64> =
                            numbers(batch).into_iter().map(|row| row as u64).collect();
                        assert_eq!(rows, info.rows());
                        (rows, drawn(info))
                    })
                    .batch_size(batch_size)
                    .shuffle(SEED)
                    .num_workers(workers)
                    .build(numbered(ROWS));
                assert_eq!(sorted(loader.epoch(epoch).map(Result::unwrap)), expected);
            }
        }
    }
}

#[test]
fn batches_may_change_their_type_more_than_once_and_move_between_devices() {
    let loader = builder()
        .map(|batch, _| numbers(batch))
        .map(|rows, info| (info.batch(), rows.len()))
        .batch_size(30)
        .build(numbered(ROWS));
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
        .build(dataset);
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
                .build(Indices(ROWS));
            let ours = builder()
                .map(move |_, info| fail(info))
                .num_workers(workers)
                .build(numbered(ROWS));
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
