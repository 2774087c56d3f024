//! Batches of a bounded number of tokens: `Sampler::max_tokens`, from the sampler to the tensors.

use std::sync::Arc;

use burn::data::dataloader::DataLoader;
use burn::tensor::{Int, Tensor};
use burn_npy::order::{Order, Remainder, Shard};
use burn_npy::{
    Batch, Convert, DataLoaderBuilder, ErrorKind, Loader, NpyDataset, OnError, Result, Sampler,
    State,
};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::cpu;

#[derive(Batch, Debug)]
struct Texts {
    #[batch(pad = -1)]
    tokens: Tensor<2, Int>,
    #[batch(lengths = "tokens")]
    lengths: Tensor<1, Int>,
    labels: Tensor<1, Int>,
}

/// The padded tokens, the longest length, and the labels, which are the numbers of the rows.
type Plain = (Vec<i64>, usize, Vec<u64>);

/// The tokens, the lengths, the labels and the numbers of the rows.
fn bytes_of(batch: &Texts) -> usize {
    let [rows, longest] = batch.tokens.dims();
    let number = batch.tokens.dtype().size();
    number * rows * (longest + 2) + size_of::<u64>() * rows
}

fn plain(batch: Texts) -> Plain {
    let [rows, longest] = batch.tokens.dims();
    let lengths: Vec<i64> = batch.lengths.try_to_vec_as().unwrap();
    assert_eq!(lengths.len(), rows);
    assert_eq!(longest as i64, lengths.into_iter().max().unwrap().max(1));
    let labels: Vec<i64> = batch.labels.try_to_vec_as().unwrap();
    (
        batch.tokens.try_to_vec_as().unwrap(),
        longest,
        labels.into_iter().map(|label| label as u64).collect(),
    )
}

/// Texts of 0 to `longest` tokens; the tokens of a text follow its number.
fn texts(rng: &mut StdRng, rows: usize, longest: usize) -> (NpyDataset, Vec<Vec<i64>>) {
    let rows: Vec<Vec<i64>> = (0..rows as i64)
        .map(|row| (row..row + rng.random_range(0..=longest) as i64).collect())
        .collect();
    let lengths: Vec<i64> = rows.iter().map(|row| row.len() as i64).collect();
    let labels: Vec<i64> = (0..rows.len() as i64).collect();
    let labels = NpyDataset::from_tensor_slices((("labels", labels),)).unwrap();
    let dataset = NpyDataset::from_lengths("tokens", rows.concat(), lengths).unwrap();
    (dataset.zip(&labels).unwrap(), rows)
}

/// The batches of an epoch as lists of rows.
fn made(order: &Order) -> Vec<Vec<u64>> {
    let mut start = 0;
    let ends = order.batch_ends().unwrap().iter();
    ends.map(|end| {
        order
            .rows(std::mem::replace(&mut start, *end)..*end)
            .collect()
    })
    .collect()
}

fn padded(rows: &[u64], texts: &[Vec<i64>]) -> Plain {
    let texts = rows.iter().map(|row| &texts[*row as usize]);
    let longest = texts.clone().map(Vec::len).max().unwrap().max(1);
    let place = |text: &Vec<i64>| {
        let text = text.clone().into_iter();
        text.chain(std::iter::repeat(-1)).take(longest).collect()
    };
    let places: Vec<Vec<i64>> = texts.map(place).collect();
    (places.concat(), longest, rows.to_vec())
}

fn collect(batches: impl Iterator<Item = Result<Texts>>) -> Vec<Plain> {
    batches.map(|batch| plain(batch.unwrap())).collect()
}

fn rows_of(batches: &[Plain]) -> Vec<u64> {
    batches
        .iter()
        .flat_map(|(_, _, rows)| rows.clone())
        .collect()
}

fn sorted(mut rows: Vec<u64>) -> Vec<u64> {
    rows.sort_unstable();
    rows
}

fn build(
    dataset: &NpyDataset,
    sampler: &Sampler,
    change: impl FnOnce(
        DataLoaderBuilder<burn_npy::Row, Texts, NpyDataset>,
    ) -> DataLoaderBuilder<burn_npy::Row, Texts, NpyDataset>,
) -> Arc<Loader<Texts>> {
    let builder = dataset.loader::<Texts>().set_device(cpu());
    change(builder.sampler(sampler.clone()))
        .try_build()
        .unwrap()
}

#[test]
fn batches_are_full_and_the_same_for_any_number_of_workers() {
    let rng = &mut StdRng::seed_from_u64(1);
    for case in 0..40 {
        let (rows, longest) = (rng.random_range(0..150), rng.random_range(0..30));
        let (dataset, texts) = texts(rng, rows, longest);
        let max = rng.random_range(longest.max(1) as u64..120);
        let lengths = dataset.lengths("tokens").unwrap();
        let sampler = Sampler::max_tokens(lengths, max, case).unwrap();
        let mut expected = Vec::new();
        for epoch in 0..2 {
            let order = sampler.order(rows as u64, epoch);
            let batches = made(&order);
            assert_eq!(sorted(batches.concat()), Vec::from_iter(0..rows as u64));
            let batches: Vec<Plain> = batches.iter().map(|rows| padded(rows, &texts)).collect();
            for (_, longest, rows) in &batches {
                assert!((rows.len() * longest) as u64 <= max);
            }
            expected.push(batches);
        }
        for (workers, drop_last) in [(0, true), (1, false), (2, false), (7, true)] {
            let change = |it: DataLoaderBuilder<_, _, _>| it.num_workers(workers);
            let loader = build(&dataset, &sampler, |it| change(it).drop_last(drop_last));
            for (epoch, expected) in expected.iter().enumerate() {
                assert_eq!((loader.len(), loader.num_items()), (expected.len(), rows));
                assert!(
                    collect(loader.iter()) == *expected,
                    "case {case}, epoch {epoch}"
                );
            }
            for (number, batch) in expected[1].iter().enumerate() {
                let number = number as u64;
                assert_eq!(loader.info_at(1, number).rows(), batch.2);
                assert_eq!(plain(loader.batch_at(1, number).unwrap()), *batch);
                for (offset, row) in batch.2.iter().enumerate() {
                    let found = loader.locate(1, *row).unwrap();
                    let place = (found.shard, found.batch, found.offset);
                    assert_eq!(place, (0, number, offset as u64));
                }
            }
        }
    }
}

/// A pass of some shards stops anywhere, and others go on.
#[test]
fn each_row_comes_once_though_the_number_of_shards_changes() {
    let rng = &mut StdRng::seed_from_u64(2);
    for case in 0..60 {
        let rows = rng.random_range(1..200);
        let (dataset, _) = texts(rng, rows, 20);
        let lengths = dataset.lengths("tokens").unwrap();
        let sampler = Sampler::max_tokens(lengths, rng.random_range(20..80), case).unwrap();
        let count = rng.random_range(1..4);
        let shard = |index, count, state: Option<&State>| {
            let shard = Shard::new(index, count).unwrap();
            build(&dataset, &sampler, |it| {
                let it = it.shard(shard, Remainder::Uneven).num_workers(1);
                match state {
                    Some(state) => it.resume(state.clone()),
                    None => it.start_epoch(case),
                }
            })
        };
        let most = shard(0, count, None).len();
        let stop = rng.random_range(0..most);
        let mut seen = Vec::new();
        let mut states = Vec::new();
        for index in 0..count {
            let loader = shard(index, count, None);
            let mut pass = loader.iter();
            let batches = collect(pass.by_ref().take(stop));
            let processed = pass.progress().items_processed;
            assert_eq!(processed, rows_of(&batches).len());
            states.push(pass.state());
            seen.extend(batches);
        }
        let state = states.pop().unwrap();
        assert!(states.iter().all(|other| *other == state));
        let text = serde_json::to_string(&state).unwrap();
        let state: State = serde_json::from_str(&text).unwrap();
        let count = match rng.random_range(0..2) {
            0 => count,
            _ => rng.random_range(1..5),
        };
        for index in 0..count {
            seen.extend(collect(shard(index, count, Some(&state)).iter()));
        }
        assert_eq!(
            sorted(rows_of(&seen)),
            Vec::from_iter(0..dataset.len() as u64)
        );
        // The batches are those of the sampler, since every shard stopped at the end of one.
        let mut found: Vec<Vec<u64>> = seen.into_iter().map(|(_, _, rows)| rows).collect();
        let mut expected = made(&sampler.order(dataset.len() as u64, case));
        found.sort();
        expected.sort();
        assert_eq!(found, expected);
    }
}

/// A state may be one of a position that is within a batch.
#[test]
fn a_pass_goes_on_within_a_batch() {
    let rng = &mut StdRng::seed_from_u64(3);
    let (dataset, texts) = texts(rng, 60, 9);
    let lengths = dataset.lengths("tokens").unwrap();
    let sampler = Sampler::max_tokens(lengths, 20, 5).unwrap();
    let saved = build(&dataset, &sampler, |it| it).state();
    let order = sampler.order(60, 0);
    let ends = order.batch_ends().unwrap();
    for position in 0..60_u64 {
        let mut state = serde_json::to_value(&saved).unwrap();
        state["position"] = position.into();
        let state: State = serde_json::from_value(state).unwrap();
        let loader = build(&dataset, &sampler, |it| it.resume(state).num_workers(2));
        let mut start = position;
        let left = ends.iter().filter(|end| **end > position);
        let expected: Vec<Plain> = left
            .map(|end| {
                let rows = order.rows(std::mem::replace(&mut start, *end)..*end);
                padded(&Vec::from_iter(rows), &texts)
            })
            .collect();
        let mut pass = loader.iter();
        assert_eq!(pass.size_hint().1, Some(expected.len()));
        assert_eq!(pass.progress().items_total, 60 - position as usize);
        assert!(collect(pass.by_ref()) == expected, "position {position}");
        assert_eq!(pass.info().unwrap().positions().last(), Some(59));
        assert_eq!((pass.state().epoch(), pass.state().position()), (1, 0));
        assert_eq!(sorted(rows_of(&collect(loader.iter()))).len(), 60);
    }
}

#[test]
fn shards_are_disjoint_and_have_as_many_batches_unless_uneven() {
    let (dataset, _) = texts(&mut StdRng::seed_from_u64(4), 97, 15);
    let lengths = dataset.lengths("tokens").unwrap();
    for (max, count) in [(15, 2), (40, 3), (200, 5), (2000, 2)] {
        let sampler = Sampler::max_tokens(lengths.iter().copied(), max, 5).unwrap();
        let all = made(&sampler.order(97, 0));
        for remainder in [Remainder::Drop, Remainder::Pad, Remainder::Uneven] {
            let (mut own, mut counts) = (Vec::new(), Vec::new());
            for index in 0..count {
                let shard = Shard::new(index, count).unwrap();
                let loader = build(&dataset, &sampler, |it| it.shard(shard, remainder));
                let mut pass = loader.iter();
                let mut batches = 0;
                while let Some(batch) = pass.next() {
                    let (_, _, rows) = plain(batch.unwrap());
                    let info = pass.info().unwrap();
                    assert_eq!(info.rows(), rows);
                    assert!([0, rows.len()].contains(&info.padding()));
                    match info.padding() {
                        0 => own.push(rows),
                        _ => assert!(all.iter().take(count as usize).any(|own| *own == rows)),
                    }
                    batches += 1;
                }
                assert_eq!(loader.len(), batches);
                let progress = pass.progress();
                assert_eq!(progress.items_processed, progress.items_total);
                counts.push(batches);
            }
            let each = all.len() / count as usize;
            let expected = match remainder {
                Remainder::Drop => vec![each; counts.len()],
                Remainder::Pad => vec![all.len().div_ceil(count as usize); counts.len()],
                _ => {
                    let more = all.len() % count as usize;
                    (0..counts.len())
                        .map(|at| each + usize::from(at < more))
                        .collect()
                }
            };
            assert_eq!(counts, expected, "{remainder:?}");
            let done = match remainder {
                Remainder::Drop => each * count as usize,
                _ => all.len(),
            };
            own.sort();
            let mut expected = all[..done].to_vec();
            expected.sort();
            assert_eq!(own, expected, "{remainder:?}");
        }
    }
}

/// What Burn's `Learner` does for several devices.
#[test]
fn slices_have_whole_batches_and_cover_each_epoch() {
    let (dataset, _) = texts(&mut StdRng::seed_from_u64(6), 301, 25);
    let lengths = dataset.lengths("tokens").unwrap();
    let sampler = Sampler::max_tokens(lengths, 50, 5).unwrap();
    let loader = build(&dataset, &sampler, |it| it);
    for devices in [2, 3, 50] {
        let items = loader.num_items();
        let step = items / devices;
        let slices: Vec<_> = (0..devices)
            .map(|index| {
                let end = if index + 1 == devices {
                    items
                } else {
                    (index + 1) * step
                };
                loader.slice(index * step, end)
            })
            .collect();
        for epoch in 0..3 {
            let expected = made(&sampler.order(301, epoch));
            let mut found = Vec::new();
            for slice in &slices {
                let items = slice.num_items();
                let batches = slice.iter().map(|batch| plain(batch.unwrap()).2);
                let batches: Vec<Vec<u64>> = batches.collect();
                assert_eq!(batches.concat().len(), items);
                found.extend(batches);
            }
            assert_eq!(found, expected);
        }
    }
}

#[test]
fn a_row_that_is_skipped_leaves_its_batch_smaller() {
    let tokens = vec![1.0, 2.0, 0.5, 4.0, 5.0, 6.0];
    let dataset = NpyDataset::from_lengths("tokens", tokens, vec![1, 2, 1, 2])
        .and_then(|dataset| dataset.convert("tokens", Convert::to::<i32>()))
        .unwrap();
    let sampler = Sampler::max_tokens(dataset.lengths("tokens").unwrap(), 4, 1).unwrap();
    let loader = dataset.loader::<Tensor<2, Int>>().set_device(cpu());
    let loader = loader
        .sampler(sampler.clone())
        .on_error(OnError::SkipRows(1));
    let loader = loader.try_build().unwrap();
    let mut found = Vec::new();
    let mut pass = loader.iter();
    while let Some(batch) = pass.next() {
        let rows = pass.info().unwrap().rows().to_vec();
        assert_eq!(batch.unwrap().dims()[0], rows.len());
        found.extend(rows);
    }
    assert_eq!(sorted(found), [0, 2, 3]);
    assert_eq!(loader.skipped()[0].row, 1);
}

#[test]
fn the_prefetch_holds_the_largest_batches() {
    // Many short rows or a few long ones make a batch.
    let lengths: Vec<i64> = (0..4000)
        .map(|row| if row % 40 == 0 { 256 } else { 1 })
        .collect();
    let tokens = vec![7_i64; lengths.iter().sum::<i64>() as usize];
    let dataset = NpyDataset::from_lengths("tokens", tokens, lengths).unwrap();
    let labels = NpyDataset::from_tensor_slices((("labels", vec![0_i64; 4000]),)).unwrap();
    let dataset = dataset.zip(&labels).unwrap();
    let sampler = Sampler::max_tokens(dataset.lengths("tokens").unwrap(), 512, 1).unwrap();
    for bytes in [1, 1 << 20, 4 << 20, 64 << 20] {
        let loader = build(&dataset, &sampler, |it| {
            it.prefetch(4096).prefetch_bytes(bytes).num_workers(2)
        });
        let mut largest = 0;
        for batch in loader.iter() {
            largest = largest.max(bytes_of(&batch.unwrap()));
        }
        let expected = (bytes / largest).clamp(1, 4096);
        assert_eq!(loader.report().prefetch(), expected, "{bytes} of {largest}");
    }
}

#[test]
fn no_batch_is_larger_than_the_prefetch_counts() {
    // Nine texts of ten are short, and the others hundreds of times as long.
    let rng = &mut StdRng::seed_from_u64(9);
    let mut length = |row| match row % 10 {
        0 => rng.random_range(500..2000_i64),
        _ => rng.random_range(5..25),
    };
    let lengths: Vec<i64> = (0..3000).map(&mut length).collect();
    let tokens = vec![7_i64; lengths.iter().sum::<i64>() as usize];
    let texts = NpyDataset::from_lengths("tokens", tokens, lengths).unwrap();
    let labels = NpyDataset::from_tensor_slices((("labels", vec![0_i64; 3000]),)).unwrap();
    let dataset = texts.zip(&labels).unwrap();
    let lengths = dataset.lengths("tokens").unwrap();
    let listed: Vec<u64> = (0..3000).rev().step_by(2).collect();
    let of_listed = listed.iter().map(|row| lengths[*row as usize]);
    let index = Sampler::max_tokens(of_listed, 8192, 1).unwrap();
    let index = index.index(listed.clone()).unwrap();
    // Lengths that are too small: batches are larger than the sampler thinks.
    let halves = lengths.iter().map(|length| length / 2);
    let prefetched = |dataset: &NpyDataset, sampler: &Sampler| {
        let build = |bytes| {
            build(dataset, sampler, |it| {
                it.prefetch(16).prefetch_bytes(bytes).num_workers(2)
            })
        };
        let mut largest = 0;
        let loader = build(128 << 20);
        assert_eq!(loader.report().prefetch(), 16);
        for epoch in 0..3 {
            for batch in loader.epoch(epoch) {
                largest = largest.max(bytes_of(&batch.unwrap()));
            }
        }
        // Sixteen of at most twice the size fit, but not sixteen of less than the size.
        assert!(build(16 * largest - 1).report().prefetch() < 16);
        let prefetch = build(32 * largest).report().prefetch();
        assert_eq!(prefetch, 16, "{largest}");
    };
    prefetched(
        &dataset,
        &Sampler::max_tokens(lengths.clone(), 8192, 1).unwrap(),
    );
    prefetched(&dataset, &index);
    prefetched(&dataset, &Sampler::max_tokens(halves, 8192, 1).unwrap());
}

#[test]
fn rows_that_a_dataset_leaves_out_do_not_count_for_the_prefetch() {
    let lengths = vec![1_i64, 1_000_000, 3, 2];
    let texts = NpyDataset::from_lengths("0", vec![7_u8; 1_000_006], lengths).unwrap();
    let prefetch = |dataset: &NpyDataset| {
        let loader = dataset.loader::<Tensor<2, Int>>().set_device(cpu());
        let loader = loader.prefetch(16).prefetch_bytes(1 << 20).batch_size(2);
        loader.try_build().unwrap().report().prefetch()
    };
    assert_eq!(prefetch(&texts), 1);
    assert_eq!(prefetch(&texts.skip(2)), 16);
    assert_eq!(prefetch(&texts.rows([0, 3, 2, 0]).unwrap()), 16);
    assert_eq!(prefetch(&texts.rows([0, 1]).unwrap()), 1);
}

#[test]
fn what_does_not_go_with_batches_of_the_sampler_is_told() {
    let (dataset, _) = texts(&mut StdRng::seed_from_u64(7), 20, 5);
    let sampler = Sampler::max_tokens(dataset.lengths("tokens").unwrap(), 9, 1).unwrap();
    let builder = || dataset.loader::<Texts>().sampler(sampler.clone());
    for (builder, message) in [
        (
            builder().batch_size(1),
            "the sampler makes the batches; leave out batch_size",
        ),
        (builder().batches_per_epoch(3), "epochs of all rows"),
        (builder().batch_size(0), "a batch size of zero"),
    ] {
        let error = builder.try_build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert!(error.to_string().contains(message), "{error}");
    }
    let other = Sampler::max_tokens(dataset.lengths("tokens").unwrap(), 10, 1).unwrap();
    let state = builder().try_build().unwrap().state();
    let error = dataset
        .loader::<Texts>()
        .sampler(other)
        .resume(state)
        .try_build();
    assert!(error.unwrap_err().to_string().contains("another sampler"));
}

/// Batches of the sampler for a dataset and a batcher of another kind.
#[test]
fn any_dataset_and_batcher_get_the_batches() {
    use burn::data::dataloader::batcher::Batcher;
    use burn::data::dataset::InMemDataset;
    use burn::tensor::Device;

    struct List;
    impl Batcher<u64, Vec<u64>> for List {
        fn batch(&self, items: Vec<u64>, _: &Device) -> Vec<u64> {
            items
        }
    }
    let sampler = Sampler::max_tokens((0..50).map(|row| row % 7), 12, 1).unwrap();
    for workers in [0, 2] {
        let builder = DataLoaderBuilder::new(List).sampler(sampler.clone());
        let builder = builder.num_workers(workers).set_device(cpu());
        let loader = builder
            .try_build(InMemDataset::new((0..50).collect()))
            .unwrap();
        let found: Vec<Vec<u64>> = loader.iter().map(Result::unwrap).collect();
        assert_eq!(found, made(&sampler.order(50, 0)));
    }
}
