//! The order is a pure function of the seed and the epoch; workers and prefetch change nothing.

use burn::data::dataloader::DataLoader;
use burn_npy::order::Permutation;

use crate::{batches, builder, epoch, numbered};

#[test]
fn batches_are_the_same_for_any_number_of_workers() {
    let pass = |workers: usize, prefetch: usize| {
        let loader = builder()
            .batch_size(17)
            .shuffle(3)
            .num_workers(workers)
            .prefetch(prefetch)
            .try_build(numbered(10_007))
            .unwrap();
        [epoch(&loader), epoch(&loader)]
    };
    let [first, second] = pass(0, 1);
    assert_ne!(first, second);
    for workers in [1, 2, 7] {
        for prefetch in [0, 1, 5, 100] {
            assert_eq!(pass(workers, prefetch), [first.clone(), second.clone()]);
        }
    }
}

#[test]
fn batches_are_those_of_a_naive_reference() {
    // Small numbers of everything, all combined.
    for len in [0, 1, 2, 7, 30] {
        for batch_size in [1, 2, 7, 31] {
            for drop_last in [false, true] {
                for shuffle in [None, Some(9)] {
                    for workers in [0, 3] {
                        let mut builder = builder()
                            .batch_size(batch_size)
                            .drop_last(drop_last)
                            .num_workers(workers);
                        if let Some(seed) = shuffle {
                            builder = builder.shuffle(seed);
                        }
                        let loader = builder.try_build(numbered(len)).unwrap();
                        for number in 0..2 {
                            let rows: Vec<i64> = (0..len as i64)
                                .map(|position| match shuffle {
                                    Some(seed) => Permutation::new(len as u64, seed, number)
                                        .row(position as u64)
                                        as i64,
                                    None => position,
                                })
                                .collect();
                            let mut naive: Vec<_> =
                                rows.chunks(batch_size).map(<[i64]>::to_vec).collect();
                            if drop_last {
                                naive.retain(|batch| batch.len() == batch_size);
                            }
                            assert_eq!(epoch(&loader), naive);
                            assert_eq!(loader.len(), naive.len());
                            assert_eq!(loader.num_items(), naive.concat().len());
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn any_epoch_can_be_had_again() {
    let loader = builder()
        .batch_size(8)
        .shuffle(1)
        .try_build(numbered(100))
        .unwrap();
    let passes = [epoch(&loader), epoch(&loader), epoch(&loader)];
    for (number, pass) in passes.iter().enumerate() {
        let again = loader.epoch(number as u64);
        let again: Vec<_> = again.map(|batch| crate::numbers(batch.unwrap())).collect();
        assert_eq!(again, *pass);
    }
}

#[test]
fn progress_counts_what_was_yielded() {
    for workers in [0, 2] {
        let loader = builder()
            .batch_size(4)
            .num_workers(workers)
            .prefetch(100)
            .try_build(numbered(10))
            .unwrap();
        let mut iter = loader.iter();
        let mut seen = vec![iter.progress().items_processed];
        while iter.next().is_some() {
            seen.push(iter.progress().items_processed);
        }
        assert_eq!(seen, [0, 4, 8, 10]);
        assert_eq!(iter.progress().items_total, 10);
        assert!(iter.next().is_none());
    }
}

#[test]
fn slices_are_disjoint_and_each_epoch_anew() {
    let loader = builder()
        .batch_size(10)
        .shuffle(5)
        .num_workers(1)
        .try_build(numbered(1000))
        .unwrap();
    let halves = [loader.slice(0, 500), loader.slice(500, 1000)];
    let mut before = Vec::new();
    for _ in 0..3 {
        let parts: Vec<Vec<i64>> = halves
            .iter()
            .map(|half| batches(&**half).concat())
            .collect();
        assert_ne!(parts[0], before);
        let mut all = parts.concat();
        all.sort();
        assert_eq!(all, (0..1000).collect::<Vec<_>>());
        // Sorted labels are mixed: each half has a fair share of the first rows.
        let low = parts[0].iter().filter(|row| **row < 500).count();
        assert!((200..300).contains(&low), "{low}");
        before = parts[0].clone();
    }
    let inner = loader.slice(100, 200).slice(10, 1000);
    assert_eq!(inner.num_items(), 90);
    assert_eq!(batches(&*loader.slice(20, 10)), [[0_i64; 0]; 0]);
}

#[test]
fn a_copy_on_another_device_goes_on_with_the_epoch() {
    let loader = builder()
        .batch_size(10)
        .shuffle(5)
        .try_build(numbered(100))
        .unwrap();
    epoch(&loader);
    let copy = loader.to_device(&crate::cpu());
    assert_eq!(batches(&*copy), epoch(&loader));
}
