//! Datasets whose rows were chosen, in a loader.

use burn_npy::order::Partition;
use burn_npy::{ErrorKind, NpyDataset, Sampler};

use crate::{batches, builder, epoch, numbered};

/// Rows of 0 to 999 that went through many verbs, and what they should be.
fn chosen() -> (NpyDataset, Vec<i64>) {
    let dataset = numbered(1000);
    let kept = dataset.filter("0", |row: &[i64]| row[0] % 3 > 0).unwrap();
    let reversed = kept.rows((0..kept.len()).rev()).unwrap();
    let chosen = reversed.skip(100).step(2).unwrap().repeat(2).unwrap();
    let kept: Vec<i64> = (0..1000).filter(|x| x % 3 > 0).collect();
    let twin: Vec<i64> = kept.into_iter().rev().skip(100).step_by(2).collect();
    (chosen, twin.repeat(2))
}

#[test]
fn a_loader_gives_the_rows_that_were_chosen() {
    let (dataset, twin) = chosen();
    for workers in [0, 2] {
        let loader = builder().batch_size(7).num_workers(workers);
        let loader = loader.try_build(dataset.clone()).unwrap();
        assert_eq!(loader.num_items(), twin.len());
        assert_eq!(batches(&*loader).concat(), twin);

        let shuffled = builder().batch_size(7).num_workers(workers).shuffle(3);
        let shuffled = shuffled.try_build(dataset.clone()).unwrap();
        for number in 0..2 {
            let order = Sampler::shuffled(3).order(twin.len() as u64, number);
            let expected = order.rows(0..order.len()).map(|row| twin[row as usize]);
            assert!(expected.eq(epoch(&shuffled).concat()));
        }
    }
}

#[test]
fn epochs_with_a_length_of_their_own_go_on_after_a_resume() {
    let (dataset, twin) = chosen();
    let len = twin.len() as u64;
    let sampler = Sampler::shuffled(3).epoch_len(150).unwrap();
    let passes = (0..2).flat_map(|pass| {
        let order = Sampler::shuffled(3).order(len, pass);
        order.rows(0..len).collect::<Vec<_>>()
    });
    let endless: Vec<i64> = passes.map(|row| twin[row as usize]).collect();
    let build = || {
        let builder = builder().batch_size(7).sampler(sampler.clone());
        builder.try_build(dataset.clone()).unwrap()
    };
    let loader = build();
    // What Burn's Learner sees.
    assert_eq!(loader.num_items(), 150);
    let mut found = epoch(&loader).concat();
    found.extend(
        loader
            .iter()
            .take(3)
            .flat_map(|batch| crate::numbers(batch.unwrap())),
    );
    let resumed = build();
    resumed.resume(&loader.state()).unwrap();
    while found.len() < 1050 {
        found.extend(epoch(&resumed).concat());
    }
    assert_eq!(found, endless[..1050]);
}

#[test]
fn a_state_of_another_part_is_refused() {
    let dataset = numbered(1000);
    let folds = Partition::k_fold(1000, 5, 1).unwrap();
    let folds = dataset.folds(&folds).unwrap();
    let build = |dataset: &NpyDataset| {
        let builder = builder().batch_size(7).shuffle(3);
        builder.try_build(dataset.clone()).unwrap()
    };
    let state = build(&folds[0].0).state();
    build(&folds[0].0).resume(&state).unwrap();
    let error = build(&folds[1].0).resume(&state).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    // Without a list, there is none.
    let error = build(&dataset.take(800)).resume(&state).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
}
