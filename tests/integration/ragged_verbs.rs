//! Rows of any length through every verb, transforms and caches too, against naive twins.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use burn::data::dataset::transform::ComposedDataset;
use burn::tensor::{Int, Tensor};
use burn_npy::ndarray::{Array1, Array2, s};
use burn_npy::order::Partition;
use burn_npy::transform::{self, Transform, Truncate};
use burn_npy::{
    Array, Batch, Convert, DataLoaderBuilder, ErrorKind, Loader, NpyBatcher, NpyDataset, OnError,
    Sampler,
};
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};

use crate::{cpu, numpy, skip};

/// A row of the twin: tokens and a label.
pub(crate) type TwinRow = (Vec<i64>, i64);

/// A dataset, and what its rows should be. Once a transform has drawn random numbers, only the
/// lengths of the twin count.
pub(crate) struct Pipeline {
    pub(crate) dataset: NpyDataset,
    pub(crate) twin: Vec<TwinRow>,
    draws: bool,
    verbs: Vec<&'static str>,
}

pub(crate) fn source(rng: &mut StdRng) -> Pipeline {
    let longest = [0, 4, 40][rng.random_range(0..3)];
    let twin: Vec<TwinRow> = (0..rng.random_range(0..40))
        .map(|label| {
            let tokens = 0..rng.random_range(0..=longest);
            (tokens.map(|_| rng.random_range(0..99)).collect(), label % 7)
        })
        .collect();
    Pipeline {
        dataset: dataset(&twin),
        twin,
        draws: false,
        verbs: Vec::new(),
    }
}

fn dataset(rows: &[TwinRow]) -> NpyDataset {
    let tokens: Vec<i64> = rows.iter().flat_map(|(tokens, _)| tokens.clone()).collect();
    let lengths: Vec<i64> = rows.iter().map(|(tokens, _)| tokens.len() as i64).collect();
    let labels = Array1::from_iter(rows.iter().map(|(_, label)| *label));
    let tokens = NpyDataset::from_lengths("tokens", tokens, lengths).unwrap();
    let labels = NpyDataset::from_arrays([("labels", labels)]).unwrap();
    tokens.zip(&labels).unwrap()
}

pub(crate) fn pick(from: &[TwinRow], rows: impl IntoIterator<Item = usize>) -> Vec<TwinRow> {
    rows.into_iter().map(|row| from[row].clone()).collect()
}

/// A token before each row, and one behind it.
fn ends() -> impl Transform {
    let ends = transform::from_fn::<i64, i64>(|tokens, mut out, _| {
        let end = tokens.len() + 1;
        out[[0]] = -1;
        out.slice_mut(s![1..end]).assign(&tokens);
        out[[end]] = -2;
        Ok(())
    });
    ends.length(|len| len + 2)
}

/// Sets tokens to 0 at random.
fn dropout() -> impl Transform {
    transform::from_fn::<i64, i64>(|tokens, mut out, rng| {
        out.assign(&tokens.mapv(|token| token * i64::from(rng.next_u32() % 2)));
        Ok(())
    })
}

impl Pipeline {
    fn verb(self, rng: &mut StdRng, dir: &Path) -> Self {
        let Self {
            dataset,
            mut twin,
            mut draws,
            mut verbs,
        } = self;
        let len = twin.len();
        let seed = rng.next_u64();
        let map = |transform| dataset.map("tokens", transform).unwrap();
        let (verb, dataset, twin) = match rng.random_range(0..19) {
            0 if len > 0 => {
                let rows: Vec<usize> = (0..len).map(|_| rng.random_range(0..len)).collect();
                ("rows", dataset.rows(&rows).unwrap(), pick(&twin, rows))
            }
            1 => {
                let kept = dataset.filter("labels", |label: &[i64]| label[0] != 2);
                twin.retain(|(_, label)| *label != 2);
                ("filter", kept.unwrap(), twin)
            }
            2 => {
                twin.sort_by_key(|(_, label)| *label);
                ("sort_by", dataset.sort_by("labels").unwrap(), twin)
            }
            3 => {
                let (from, count) = (rng.random_range(0..4), rng.random_range(0..60));
                let rows = twin.into_iter().skip(from).take(count);
                (
                    "skip and take",
                    dataset.skip(from).take(count),
                    rows.collect(),
                )
            }
            4 => {
                let rows = twin.into_iter().step_by(2);
                ("step", dataset.step(2).unwrap(), rows.collect())
            }
            5 if len < 100 => {
                let count = rng.random_range(0..4);
                let twin = std::iter::repeat_n(twin, count).flatten();
                ("repeat", dataset.repeat(count).unwrap(), twin.collect())
            }
            6 => {
                let mut other = source(rng);
                for _ in 0..rng.random_range(0..3) {
                    other = other.verb(rng, dir);
                }
                draws |= other.draws;
                let both = NpyDataset::concat([dataset, other.dataset]).unwrap();
                ("concat", both, [twin, other.twin].concat())
            }
            7 => {
                let labels = dataset.select(["labels"]).unwrap();
                let tokens = dataset.select(["tokens"]).unwrap();
                let tokens = tokens.rows((0..len).rev()).unwrap();
                let rows = twin.iter().rev().zip(&twin);
                let rows = rows.map(|((tokens, _), (_, label))| (tokens.clone(), *label));
                ("zip", tokens.zip(&labels).unwrap(), rows.collect())
            }
            8 if len > 1 => {
                let partition = Partition::split(len, &[0.4, 0.6], seed).unwrap();
                let part = rng.random_range(0..2);
                let rows = partition.rows(part).into_iter().map(|row| row as usize);
                let parts = dataset.parts(&partition).unwrap();
                ("parts", parts[part as usize].clone(), pick(&twin, rows))
            }
            9 => {
                let double = Convert::to::<f64>().scale(2.0);
                let dataset = dataset.convert("tokens", double).unwrap();
                let dataset = dataset.convert("tokens", Convert::to::<i64>()).unwrap();
                let tokens = twin.iter_mut().flat_map(|(tokens, _)| tokens);
                tokens.for_each(|token| *token *= 2);
                ("convert", dataset, twin)
            }
            10 => {
                let most = rng.random_range(1..20);
                let dataset = dataset.map("tokens", Truncate::new(most)).unwrap();
                twin.iter_mut()
                    .for_each(|(tokens, _)| tokens.truncate(most));
                ("truncate", dataset, twin)
            }
            11 => {
                let dataset = dataset.map("tokens", ends()).unwrap();
                for (tokens, _) in &mut twin {
                    tokens.insert(0, -1);
                    tokens.push(-2);
                }
                ("ends", dataset, twin)
            }
            12 => {
                draws = true;
                ("dropout", dataset.map("tokens", dropout()).unwrap(), twin)
            }
            13 => {
                draws = true;
                let most = rng.random_range(1..20);
                twin.iter_mut()
                    .for_each(|(tokens, _)| tokens.truncate(most));
                ("random span", map(Truncate::new(most).random()), twin)
            }
            14 if !draws => ("cache", dataset.cache().unwrap(), twin),
            15 if !draws => {
                // What transforms do is not known, so each pipeline has its own name.
                let name = format!("{seed:x}");
                let cached = dataset.cache_in(dir, &name).unwrap();
                let again = dataset.cache_in(dir, &name).unwrap();
                let read = |dataset: &NpyDataset| dataset.read_ragged::<i64>("tokens").unwrap();
                assert!(read(&cached) == read(&again));
                ("cache_in", again, twin)
            }
            16 if len > 0 => {
                let mut other = source(rng);
                if other.twin.is_empty() {
                    other.twin.push((vec![5], 3));
                    other.dataset = self::dataset(&other.twin);
                }
                // Which row of a mix is where is pinned elsewhere.
                let number = |from: usize, count: usize| {
                    let rows = Array1::from_iter((from..from + count).map(|row| row as i64));
                    NpyDataset::from_arrays([("row", rows)]).unwrap()
                };
                let more = other.twin.len();
                let rows = NpyDataset::mix([(number(0, len), 2.0), (number(len, more), 1.0)]);
                let rows = rows.unwrap().read::<i64>("row").unwrap();
                let twin = [twin, other.twin].concat();
                let twin = pick(&twin, rows.iter().map(|row| *row as usize));
                let mix = NpyDataset::mix([(dataset, 2.0), (other.dataset, 1.0)]).unwrap();
                ("mix", mix, twin)
            }
            17 => {
                // What is drawn changes no length.
                let odd = |tokens: &[i64]| !draws && tokens.iter().sum::<i64>() % 2 != 0;
                let keep = |tokens: &[i64]| tokens.len() % 5 != 1 && !odd(tokens);
                let kept = dataset.filter("tokens", keep).unwrap();
                twin.retain(|(tokens, _)| keep(tokens));
                ("filter by tokens", kept, twin)
            }
            18 => {
                let key = |tokens: &[i64]| match draws {
                    true => tokens.len() as i64,
                    false => tokens.first().copied().unwrap_or(-7),
                };
                let sorted = dataset.sort_by_key("tokens", key).unwrap();
                twin.sort_by_key(|(tokens, _)| key(tokens));
                ("sort_by_key", sorted, twin)
            }
            _ => ("nothing", dataset, twin),
        };
        verbs.push(verb);
        Self {
            dataset,
            twin,
            draws,
            verbs,
        }
    }
}

#[derive(Batch)]
struct Texts {
    #[batch(pad = -9)]
    tokens: Tensor<2, Int>,
    #[batch(lengths = "tokens")]
    lengths: Tensor<1, Int>,
    labels: Tensor<1, Int>,
}

type Numbers = [Vec<i64>; 3];

fn numbers(batch: Texts) -> Numbers {
    let Texts {
        tokens,
        lengths,
        labels,
    } = batch;
    let of = |data: burn::tensor::TensorData| data.iter::<i64>().collect();
    [
        of(tokens.into_data()),
        of(lengths.into_data()),
        of(labels.into_data()),
    ]
}

fn epoch(loader: &Arc<Loader<Texts>>) -> Vec<Numbers> {
    loader.iter().map(|batch| numbers(batch.unwrap())).collect()
}

fn naive_batch(rows: &[&TwinRow]) -> Numbers {
    let longest = rows.iter().map(|(tokens, _)| tokens.len()).max();
    let longest = longest.unwrap_or(0).max(1);
    let padded = |(tokens, _): &&TwinRow| {
        let padding = std::iter::repeat_n(-9, longest - tokens.len());
        tokens.iter().copied().chain(padding).collect::<Vec<_>>()
    };
    [
        rows.iter().flat_map(padded).collect(),
        rows.iter().map(|(tokens, _)| tokens.len() as i64).collect(),
        rows.iter().map(|(_, label)| *label).collect(),
    ]
}

#[test]
fn six_verbs_in_any_order_are_their_naive_twins() {
    let dir = tempfile::tempdir().unwrap();
    let rng = &mut StdRng::seed_from_u64(71);
    let mut counts = std::collections::BTreeMap::new();
    let (mut compared, mut drawn) = (0, 0);
    for case in 0..300 {
        let mut pipeline = source(rng);
        for _ in 0..rng.random_range(1..=6) {
            pipeline = pipeline.verb(rng, dir.path());
        }
        for verb in &pipeline.verbs {
            *counts.entry(*verb).or_insert(0) += 1;
        }
        let Pipeline {
            dataset,
            twin,
            draws,
            verbs,
        } = pipeline;
        let what = format!("case {case}: {verbs:?}");
        let lengths = twin.iter().map(|(tokens, _)| tokens.len() as u64);
        let lengths: Vec<u64> = lengths.collect();
        assert_eq!(dataset.lengths("tokens").unwrap(), lengths, "{what}");
        dataset.verify().unwrap();
        let (items, offsets) = dataset.read_ragged::<i64>("tokens").unwrap();
        assert!(
            offsets
                .windows(2)
                .map(|pair| pair[1] - pair[0])
                .eq(lengths.clone())
        );
        if !draws {
            let all = twin.iter().flat_map(|(tokens, _)| tokens);
            assert!(items.iter().eq(all), "{what}");
        }
        for (row, (tokens, _)) in twin.iter().enumerate().take(5) {
            let found = dataset.row(row).get::<i64>("tokens").unwrap();
            assert!(draws || found.iter().eq(tokens), "{what}");
            assert_eq!(found.len(), tokens.len(), "{what}");
        }
        compared += twin.len();

        let size = rng.random_range(1..12);
        let sampler = match rng.random_range(0..3) {
            0 => Sampler::sequential(),
            1 if !twin.is_empty() => Sampler::bucketed(lengths, size, case).unwrap(),
            _ => Sampler::shuffled(case),
        };
        let builder = |workers| {
            let builder = dataset.loader::<Texts>().batch_size(size);
            let builder = builder.sampler(sampler.clone()).set_device(cpu());
            builder.num_workers(workers)
        };
        let loader = builder(0).try_build().unwrap();
        let expected = [epoch(&loader), epoch(&loader)];
        for (number, expected) in (0..).zip(&expected) {
            let order = sampler.order(twin.len() as u64, number);
            let rows = order.rows(0..order.len()).map(|row| &twin[row as usize]);
            let rows: Vec<&TwinRow> = rows.collect();
            assert_eq!(expected.len(), rows.len().div_ceil(size), "{what}");
            for (rows, found) in rows.chunks(size).zip(expected) {
                let naive = naive_batch(rows);
                assert_eq!(found[1..], naive[1..], "{what}");
                assert_eq!(found[0].len(), naive[0].len(), "{what}");
                assert!(draws || found[0] == naive[0], "{what}");
            }
        }
        drawn += usize::from(draws && expected[0] != expected[1]);
        for workers in [1, 2, 7] {
            let loader = builder(workers).try_build().unwrap();
            assert!(epoch(&loader) == expected[0], "{what}, {workers} workers");
            // The second epoch stops somewhere, and goes on elsewhere.
            let mut pass = loader.iter();
            let stop = rng.random_range(0..=expected[1].len());
            for expected in &expected[1][..stop] {
                assert!(
                    numbers(pass.next().unwrap().unwrap()) == *expected,
                    "{what}"
                );
            }
            let state = pass.state();
            drop(pass);
            let others = [0, 1, 2, 7][rng.random_range(0..4)];
            let resumed = builder(others).resume(state).try_build().unwrap();
            if stop < expected[1].len() || resumed.next_epoch() == 1 {
                assert!(epoch(&resumed) == expected[1][stop..], "{what}");
            }
        }
    }
    counts.remove("nothing");
    assert!(
        counts.len() == 19 && counts.values().all(|count| *count > 15),
        "{counts:?}"
    );
    assert!(compared > 3000 && drawn > 50, "{compared} {drawn}");
}

#[test]
fn a_random_span_is_a_part_of_its_row_and_another_one_each_time() {
    // The token after each is one more.
    let rows: Vec<TwinRow> = (0..50)
        .map(|row| ((1000 * row..1000 * row + 10 * row).collect(), row))
        .collect();
    let spans = dataset(&rows).map("tokens", Truncate::new(8).random());
    let spans = spans.unwrap();
    let loader = spans.loader::<Texts>().batch_size(7).shuffle(3);
    let loader = loader.num_workers(2).set_device(cpu()).try_build().unwrap();
    let mut starts = std::collections::HashSet::<i64>::new();
    for _epoch in 0..5 {
        for [tokens, lengths, labels] in epoch(&loader) {
            let width = tokens.len() / labels.len();
            for ((tokens, len), row) in tokens.chunks(width).zip(lengths).zip(labels) {
                assert_eq!(len, (10 * row).min(8));
                let tokens = &tokens[..len as usize];
                assert!(tokens.windows(2).all(|pair| pair[0] + 1 == pair[1]));
                assert!(
                    tokens
                        .iter()
                        .all(|token| rows[row as usize].0.contains(token))
                );
                starts.extend(tokens.first());
            }
        }
    }
    assert!(starts.len() > 200, "{}", starts.len());
}

#[test]
fn rows_of_several_datasets_draw_as_those_of_one() {
    let rows: Vec<TwinRow> = (0..40)
        .map(|row| (vec![row; row as usize % 9], row))
        .collect();
    let jitter = |rows: &[TwinRow]| dataset(rows).map("tokens", dropout()).unwrap();
    let parts = [jitter(&rows[..15]), jitter(&rows[15..])];
    let build = |workers| {
        let builder = DataLoaderBuilder::new(NpyBatcher::<Texts>::new()).batch_size(6);
        builder.shuffle(2).num_workers(workers).set_device(cpu())
    };
    let composed = ComposedDataset::new(parts.to_vec());
    let composed = build(2).try_build(composed).unwrap();
    let one = build(0)
        .try_build(NpyDataset::concat(parts).unwrap())
        .unwrap();
    for _ in 0..3 {
        assert!(epoch(&composed) == epoch(&one));
    }
}

#[test]
fn an_error_and_a_panic_are_those_of_their_row() {
    let rows: Vec<TwinRow> = (0..20)
        .map(|row| (vec![row; 1 + row as usize % 4], row))
        .collect();
    let fail = |panics: bool| {
        transform::from_fn::<i64, i64>(move |tokens, mut out, _| {
            out.assign(&tokens);
            match tokens[[0]] {
                13 if panics => panic!("thirteen"),
                13 => Err("thirteen".into()),
                _ => Ok(()),
            }
        })
    };
    for (panics, kind) in [(false, ErrorKind::Transform), (true, ErrorKind::Panic)] {
        let data = dataset(&rows).map("tokens", fail(panics)).unwrap().skip(1);
        for workers in [0, 2] {
            let build = |on_error| {
                let loader = data.loader::<Texts>().batch_size(4).on_error(on_error);
                loader
                    .num_workers(workers)
                    .set_device(cpu())
                    .try_build()
                    .unwrap()
            };
            let failed = build(OnError::Fail).iter().find_map(Result::err).unwrap();
            assert_eq!((failed.kind(), failed.row()), (kind, Some(12)));
            assert!(failed.to_string().contains("thirteen"), "{failed}");
            if panics {
                continue;
            }
            assert_eq!(failed.array(), Some("tokens"));
            let rest = epoch(&build(OnError::SkipRows(1)));
            let labels: Vec<i64> = rest.iter().flat_map(|batch| batch[2].clone()).collect();
            assert!(labels.into_iter().eq((1..20).filter(|row| *row != 13)));
        }
    }
}

#[test]
fn rows_that_are_left_out_may_have_any_length() {
    let at_least_two = || {
        transform::from_fn::<i64, i64>(|tokens, mut out, _| {
            out.assign(&tokens.slice(s![2..]));
            Ok(())
        })
        // Of a shorter row, this panics.
        .length(|len| len.checked_sub(2).unwrap())
    };
    let rows: Vec<TwinRow> = [3, 1, 0, 4].map(|len| (vec![7; len], len as i64)).to_vec();
    let long = dataset(&rows).filter("labels", |label: &[i64]| label[0] >= 2);
    let rest = long.unwrap().map("tokens", at_least_two()).unwrap();
    assert_eq!(rest.lengths("tokens").unwrap(), [1, 2]);
    assert_eq!(rest.read_ragged::<i64>("tokens").unwrap().1, [0, 1, 3]);
}

#[test]
fn cached_rows_are_made_once_and_are_files_of_items_and_offsets() {
    let dir = tempfile::tempdir().unwrap();
    let made = Arc::new(AtomicUsize::new(0));
    let counter = made.clone();
    let negative = transform::from_fn::<f32, f32>(move |row, mut out, _| {
        counter.fetch_add(1, Ordering::Relaxed);
        out.assign(&row.mapv(|x| -x));
        Ok(())
    });
    // More than a block, with rows of more than a block and rows without items.
    let lengths: Vec<i64> = (0..3000)
        .map(|row| row * 37 % 101)
        .chain([200_000, 0])
        .collect();
    let count = lengths.iter().sum::<i64>() as usize;
    let points = Array2::from_shape_fn((count, 2), |(item, axis)| (2 * item + axis) as f32);
    let clouds = NpyDataset::from_lengths("points", points, lengths.clone()).unwrap();
    let ids = Array1::from_iter(0..lengths.len() as i32);
    let ids = NpyDataset::from_arrays([("id", ids)]).unwrap();
    let data = clouds.map("points", negative).unwrap().zip(&ids).unwrap();
    let data = data.rows((0..data.len()).rev()).unwrap();
    let take = || made.swap(0, Ordering::Relaxed);
    let read = |data: &NpyDataset| data.read_ragged::<f32>("points").unwrap();
    let expected = read(&data);
    assert_eq!(take(), data.len());
    assert_eq!(expected.0[[0, 0]], -2.0 * (count - 200_000) as f32);
    let cached = data.cache().unwrap();
    assert_eq!(take(), data.len());
    for expected_made in [data.len(), 0] {
        let in_files = data.cache_in(dir.path(), "clouds").unwrap();
        assert_eq!(take(), expected_made);
        for cached in [&cached, &in_files] {
            assert!(read(cached) == expected);
            let id = cached.read::<i32>("id").unwrap();
            assert_eq!(id[[0]], lengths.len() as i32 - 1);
        }
    }
    assert_eq!(take(), 0);
    let names = std::fs::read_dir(dir.path()).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    let key = &names[0]["clouds.".len()..][..16];
    let expected_names = ["0.npy", "0.offsets.npy", "1.npy"];
    assert_eq!(
        names,
        expected_names.map(|name| format!("clouds.{key}.{name}"))
    );
    let open = |name: &str| Array::open(dir.path().join(name)).unwrap();
    let again = NpyDataset::from_offsets("points", open(&names[0]), open(&names[1])).unwrap();
    assert!(read(&again) == expected);
    if let Some(python) = numpy::python() {
        let script = "import sys, numpy as np\n\
                      items, offsets = map(np.load, sys.argv[1:])\n\
                      rows = np.split(items, offsets[1:-1])\n\
                      print(offsets.dtype, len(rows), *map(len, rows[:5]), items[-1])";
        let paths = [0, 1].map(|file| dir.path().join(&names[file]));
        let args = [
            "-c".as_ref(),
            script.as_ref(),
            paths[0].as_ref(),
            paths[1].as_ref(),
        ];
        let lengths = lengths.iter().rev().take(5).map(i64::to_string);
        let (lengths, last) = (lengths.collect::<Vec<_>>().join(" "), expected.0.len() - 1);
        let last = [last - 1, last].map(|at| expected.0.as_slice().unwrap()[at]);
        let shown = format!(
            "int64 {} {lengths} [{:?} {:?}]",
            data.len(),
            last[0],
            last[1]
        );
        let found = numpy::run(&python, &args)
            .replace(". ", ".0 ")
            .replace(".]", ".0]");
        assert_eq!(found.trim(), shown);
    } else {
        skip("there is no Python with NumPy");
    }
    // Other rows, other conversions and other lengths are made anew.
    let convert = |scale| data.convert("points", Convert::new().scale(scale)).unwrap();
    let truncate = |most| data.map("points", Truncate::new(most)).unwrap();
    let mut swapped: Vec<usize> = (0..data.len()).collect();
    swapped.swap(101, 202);
    let others = [
        data.take(10),
        data.zip(&ids.rename("id", "other").unwrap())
            .unwrap()
            .rows(&swapped)
            .unwrap(),
        clouds.rows(&swapped).unwrap().zip(&ids).unwrap(),
        convert(2.0),
        convert(3.0),
        truncate(5),
        truncate(6),
    ];
    for (number, other) in others.iter().enumerate() {
        let before = std::fs::read_dir(dir.path()).unwrap().count();
        let cached = other.cache_in(dir.path(), "clouds").unwrap();
        assert!(read(&cached) == read(other), "{number}");
        let files = std::fs::read_dir(dir.path()).unwrap().count();
        assert!(files >= before + 3, "{number}");
    }
    // What failed leaves nothing.
    let fail = transform::from_fn::<f32, f32>(|_, _, _| Err("no".into()));
    let failing = data.map("points", fail).unwrap();
    let empty = tempfile::tempdir().unwrap();
    for cached in [failing.cache(), failing.cache_in(empty.path(), "x")] {
        let error = cached.unwrap_err();
        let place = (error.kind(), error.array());
        assert_eq!(place, (ErrorKind::Transform, Some("points")));
    }
    assert_eq!(std::fs::read_dir(empty.path()).unwrap().count(), 0);
    let none = data.take(0).cache().unwrap();
    assert_eq!(none.read_ragged::<f32>("points").unwrap().1, [0]);
}
