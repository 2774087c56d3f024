//! Shards and slices: disjoint, and each a fresh sample of everything in every epoch.

use std::sync::Arc;

use burn::data::dataloader::{DataLoader, DataLoaderBuilder as BurnBuilder};
use burn_npy::{
    Loader, Sampler,
    order::{Remainder, Shard},
};

use crate::{Indices, Keep, plain};

/// 1,000 rows whose labels are sorted: the first half is of class 0, the second of class 1.
const ROWS: usize = 1000;

fn of_class_1(rows: &[u64]) -> usize {
    rows.iter().filter(|row| **row >= 500).count()
}

fn rows(loader: &dyn DataLoader<Vec<u64>>) -> Vec<u64> {
    let batches: Vec<_> = loader.iter().map(Result::unwrap).collect();
    batches.concat()
}

/// Halves are as mixed as a fair coin makes them: within four standard deviations of 250 of 500.
fn is_fair(rows: &[u64]) -> bool {
    (205..=295).contains(&of_class_1(rows))
}

#[test]
fn halves_of_sorted_labels_are_alike_and_burns_are_not() {
    let ours = plain().batch_size(10).shuffle(5).num_workers(2);
    let ours: Arc<dyn DataLoader<Vec<u64>>> = ours.try_build(Indices(ROWS)).unwrap();
    let burns = BurnBuilder::new(Keep)
        .batch_size(10)
        .shuffle(5)
        .set_device(crate::cpu())
        .build(Indices(ROWS));
    let halves = |loader: &Arc<dyn DataLoader<Vec<u64>>>| {
        [loader.slice(0, ROWS / 2), loader.slice(ROWS / 2, ROWS)]
    };
    let (ours, burns) = (halves(&ours), halves(&burns));
    let mut before: Vec<Vec<u64>> = Vec::new();
    for epoch in 0..5 {
        let parts = ours.each_ref().map(|half| rows(&**half));
        let classes = parts.each_ref().map(|part| of_class_1(part));
        assert!(parts.iter().all(|part| is_fair(part)));
        let mut all = parts.concat();
        all.sort_unstable();
        assert!(all.into_iter().eq(0..ROWS as u64));
        // Each epoch anew: of a half, about half was in it before.
        if let Some(before) = before.first() {
            let both = parts[0].iter().filter(|row| before.contains(row)).count();
            assert!((205..=295).contains(&both), "{both}");
        }
        before = parts.to_vec();

        // Burn cuts the rows before it shuffles: each half only ever sees one class.
        let burns = burns.each_ref().map(|half| of_class_1(&rows(&**half)));
        assert_eq!(burns, [0, 500]);
        println!(
            "epoch {epoch}: rows of class 1 in the halves: ours {classes:?}, Burn's {burns:?}"
        );
    }
}

#[test]
fn slices_of_shards_are_parts_of_the_shard() {
    let rank = |index| -> Arc<Loader<Vec<u64>>> {
        let shard = Shard::new(index, 2).unwrap();
        let rank = plain()
            .batch_size(7)
            .shuffle(5)
            .shard(shard, Remainder::Uneven);
        rank.try_build(Indices(ROWS)).unwrap()
    };
    let mut all = Vec::new();
    for index in 0..2 {
        let rank = rank(index);
        assert_eq!(rank.num_items(), 500);
        let halves = [rank.slice(0, 250), rank.slice(250, 500)];
        for _ in 0..3 {
            let parts = halves.each_ref().map(|half| rows(&**half));
            assert_eq!(parts.each_ref().map(Vec::len), [250, 250]);
            let expected = rows(&*rank);
            assert_eq!(parts.concat(), expected);
            assert!(is_fair(&expected));
            all.extend(expected);
        }
    }
    all.sort_unstable();
    assert!(
        all.into_iter()
            .eq((0..ROWS as u64).flat_map(|row| [row; 3]))
    );
}

#[test]
fn padding_is_marked() {
    let pass = |index| -> Vec<(Vec<u64>, usize)> {
        let builder = plain().map(|rows, info| (rows, info.padding()));
        let builder = builder.batch_size(4).num_workers(1);
        let shard = Shard::new(index, 3).unwrap();
        let loader = builder
            .shard(shard, Remainder::Pad)
            .try_build(Indices(14))
            .unwrap();
        assert_eq!(loader.len(), 2);
        loader.iter().map(Result::unwrap).collect()
    };
    assert_eq!(pass(0), [(vec![0, 1, 2, 3], 0), (vec![12], 0)]);
    assert_eq!(pass(1), [(vec![4, 5, 6, 7], 0), (vec![13], 0)]);
    assert_eq!(pass(2), [(vec![8, 9, 10, 11], 0), (vec![0], 1)]);

    let loader = plain().batch_size(4).try_build(Indices(14)).unwrap();
    let mut pass = loader.iter();
    assert!(pass.info().is_none());
    while let Some(batch) = pass.next() {
        assert_eq!(pass.info().unwrap().rows(), batch.unwrap());
    }
    assert_eq!(pass.info().unwrap().batch(), 3);
}

/// Of nine rows in batches of two, shard 0 of 2 has three batches and shard 1 has two.
#[test]
fn a_shard_with_one_batch_fewer_reaches_the_next_epoch() {
    let at = |state: burn_npy::State| (state.epoch(), state.position());
    let build = |index, state: Option<burn_npy::State>| {
        let shard = Shard::new(index, 2).unwrap();
        let builder = plain().batch_size(2).shard(shard, Remainder::Uneven);
        match state {
            Some(state) => builder.resume(state).try_build(Indices(9)).unwrap(),
            None => builder.try_build(Indices(9)).unwrap(),
        }
    };
    let [long, short] = [0, 1].map(|index| build(index, None));
    assert_eq!([long.len(), short.len()], [3, 2]);
    for epoch in 0..3 {
        let mut passes = [long.iter(), short.iter()];
        let mut ask = || passes.each_mut().map(|pass| pass.next().is_some());
        for (position, batches) in [(4, [true, true]), (8, [true, true])] {
            assert_eq!(ask(), batches);
            // A checkpoint of one is a checkpoint of both.
            assert_eq!(
                [at(long.state()), at(short.state())],
                [(epoch, position); 2]
            );
        }
        let saved = short.state();
        assert_eq!(ask(), [true, false]);
        assert_eq!([at(long.state()), at(short.state())], [(epoch + 1, 0); 2]);
        // Who starts again at the last batch of the other has nothing to do, and goes on.
        let again = [0, 1].map(|index| build(index, Some(saved.clone())));
        let left = again.each_ref().map(|loader| loader.iter().count());
        assert_eq!(left, [1, 0]);
        assert_eq!(again.map(|loader| at(loader.state())), [(epoch + 1, 0); 2]);
    }
}

#[test]
fn a_pass_that_fails_is_not_done_with_its_epoch() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.npy");
    burn_npy::file::write_npy(&path, &burn_npy::ndarray::Array1::from_iter(0..6_i64)).unwrap();
    let dataset = burn_npy::NpyDataset::from_files([("x", &path)]).unwrap();
    // A worker could have loaded the rest before the file changes.
    let builder = crate::builder().batch_size(2).num_workers(0);
    let loader = builder.try_build(dataset).unwrap();
    let mut pass = loader.iter();
    assert!(pass.next().unwrap().is_ok());
    std::fs::write(&path, b"another").unwrap();
    assert!(pass.next().unwrap().is_err());
    for _ in 0..3 {
        assert!(pass.next().is_none());
        assert_eq!((pass.state().epoch(), pass.state().position()), (0, 2));
    }
}

#[test]
fn a_sampler_that_does_not_fit_is_refused() {
    let sampler = Sampler::weighted(&[1.0, 2.0], 1).unwrap();
    let error = plain().sampler(sampler).try_build(Indices(3)).unwrap_err();
    assert_eq!(error.to_string(), "2 weights for 3 rows");
    let sampler = Sampler::shuffled(1).index([0, 7]).unwrap();
    let error = plain().sampler(sampler).try_build(Indices(3)).unwrap_err();
    assert!(error.to_string().contains("row 7"), "{error}");
}

#[test]
fn balanced_batches_have_as_many_of_each_class() {
    // One of class 1 in a hundred.
    let labels: Vec<u8> = (0..ROWS).map(|row| u8::from(row % 100 == 0)).collect();
    let sampler = Sampler::balanced(&labels, 3).unwrap();
    let loader = plain()
        .batch_size(10)
        .num_workers(2)
        .sampler(sampler)
        .try_build(Indices(ROWS))
        .unwrap();
    for batch in loader.iter() {
        let rare = batch.unwrap().iter().filter(|row| **row % 100 == 0).count();
        assert_eq!(rare, 5);
    }
}
