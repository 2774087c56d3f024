//! Windows within rows of any length, against a naive twin, and what is refused with what to do.

use burn::tensor::{Int, Tensor};
use burn_npy::ndarray::{Array1, array};
use burn_npy::transform::{Noise, Truncate};
use burn_npy::{Convert, ErrorKind, NpyDataset, Sampler, Windows};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::cpu;
use crate::ragged_verbs::{TwinRow, pick, source};

#[test]
fn windows_lie_within_rows() {
    let rng = &mut StdRng::seed_from_u64(12);
    let mut windows_seen = 0;
    for case in 0..200 {
        // Some rows of several arrays, in some order.
        let mut parts = Vec::new();
        let mut rows: Vec<TwinRow> = Vec::new();
        for _ in 0..rng.random_range(1..4) {
            let part = source(rng);
            rows.extend(part.twin);
            parts.push(part.dataset);
        }
        let mut data = NpyDataset::concat(parts).unwrap();
        let clouds = data.select(["tokens"]).unwrap();
        let twice = Convert::to::<f64>().scale(2.0);
        let clouds = clouds.convert("tokens", twice).unwrap();
        data = data
            .zip(&clouds.rename("tokens", "twice").unwrap())
            .unwrap();
        if rng.random() && !rows.is_empty() {
            let list: Vec<usize> = (0..30).map(|_| rng.random_range(0..rows.len())).collect();
            data = data.rows(&list).unwrap();
            rows = pick(&rows, list);
        }
        let [length, stride, dilation] = [0; 3].map(|_| rng.random_range(1..4_usize));
        let (mut windows, mut next) = (Windows::new(length), None);
        match rng.random_range(0..3) {
            0 => {
                windows = windows.shifted(1);
                next = Some((1, length));
            }
            1 => {
                windows = windows.horizon(2).gap(1);
                next = Some((length + 1, 2));
            }
            _ => {}
        }
        let windows = windows.stride(stride).dilation(dilation);
        let steps = next.map_or(length, |(first, len): (usize, usize)| {
            length.max(first + len)
        });
        let span = (steps - 1) * dilation + 1;
        let mut expected = Vec::new();
        for (tokens, label) in &rows {
            let mut start = 0;
            while start + span <= tokens.len() {
                let of = |first: usize, length: usize| -> Vec<i64> {
                    let steps = first..first + length;
                    steps.map(|step| tokens[start + step * dilation]).collect()
                };
                expected.push((
                    of(0, length),
                    next.map(|(first, len)| of(first, len)),
                    *label,
                ));
                start += stride;
            }
        }
        let found = data.windows(windows);
        if expected.is_empty() {
            let error = found.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Shape);
            let message = format!("rows has enough items for a window, which needs {span}");
            assert!(error.message().contains(&message), "{error}");
            continue;
        }
        let found = found.unwrap();
        assert_eq!(found.len(), expected.len(), "case {case}");
        let names: Vec<&str> = found.columns().map(|(name, _)| name).collect();
        let with_next = ["tokens", "tokens_next", "labels", "twice", "twice_next"];
        let without = ["tokens", "labels", "twice"];
        assert_eq!(names, next.map_or(&without[..], |_| &with_next));
        let tokens = found.read::<i64>("tokens").unwrap();
        assert_eq!(tokens.shape(), [expected.len(), length]);
        assert!(tokens.iter().eq(expected.iter().flat_map(|(x, _, _)| x)));
        let twice = found.read::<f64>("twice").unwrap();
        assert_eq!(twice, tokens.mapv(|x| 2.0 * x as f64), "case {case}");
        let labels = found.read::<i64>("labels").unwrap();
        assert!(labels.iter().eq(expected.iter().map(|(_, _, label)| label)));
        if next.is_some() {
            let next = found.read::<i64>("tokens_next").unwrap();
            assert!(
                next.iter().eq(expected
                    .iter()
                    .flat_map(|(_, next, _)| next.iter().flatten()))
            );
        }
        windows_seen += expected.len();
        // In a loader, in any order.
        let some = found.select(["tokens", "labels"]).unwrap();
        let loader = some.loader::<(Tensor<2, Int>, Tensor<1, Int>)>();
        let loader = loader.batch_size(5).shuffle(case).num_workers(2);
        let loader = loader.set_device(cpu()).try_build().unwrap();
        let order = Sampler::shuffled(case).order(expected.len() as u64, 0);
        let order: Vec<u64> = order.rows(0..order.len()).collect();
        for (rows, batch) in order.chunks(5).zip(loader.iter()) {
            let (tokens, labels) = batch.unwrap();
            let rows = || rows.iter().map(|row| &expected[*row as usize]);
            let tokens: Vec<i64> = tokens.into_data().iter().collect();
            assert!(tokens.iter().eq(rows().flat_map(|(x, _, _)| x)));
            let labels: Vec<i64> = labels.into_data().iter().collect();
            assert!(labels.iter().eq(rows().map(|(_, _, label)| label)));
        }
    }
    assert!(windows_seen > 5000, "{windows_seen}");
}

#[test]
fn windows_within_rows_are_split_as_other_windows() {
    let tokens = NpyDataset::from_lengths("x", Array1::from_iter(0..100), vec![60, 40]).unwrap();
    let windows = tokens.windows(Windows::new(4)).unwrap();
    assert_eq!(windows.len(), 57 + 37);
    assert!(windows.split(0.5, 1).is_err());
    let (train, valid) = windows.split_in_time(0.5).unwrap();
    let ends = |data: &NpyDataset| data.read::<i32>("x").unwrap();
    let last = ends(&train).iter().copied().max().unwrap();
    assert!(ends(&valid).iter().all(|token| *token > last));
    // Apart, they may go anywhere.
    let apart = tokens.windows(Windows::new(4).stride(4)).unwrap();
    assert_eq!(apart.split(0.5, 1).unwrap().0.len(), 13);
    let turned = tokens
        .rows([1, 0])
        .unwrap()
        .windows(Windows::new(4))
        .unwrap();
    assert_eq!(turned.row(0).get::<i32>("x").unwrap()[[0]], 60);
    assert!(turned.split_in_time(0.5).is_err());
}

#[test]
fn what_cannot_be_done_is_told_with_what_can() {
    let tokens = NpyDataset::from_lengths("x", vec![1_u8, 2, 3], vec![1, 2]).unwrap();
    let others = NpyDataset::from_lengths("y", vec![1_u8, 2, 3], vec![2, 1]).unwrap();
    let both = tokens.zip(&others).unwrap();
    let short = tokens.map("x", Truncate::new(1)).unwrap();
    let fixed = NpyDataset::from_arrays([("x", array![1_u8, 2])]).unwrap();
    for (result, kind, message) in [
        (
            tokens.read::<u8>("x").map(drop),
            ErrorKind::Usage,
            "so they are no array; dataset.read_ragged(\"x\") gives their items and offsets",
        ),
        (
            tokens.read_ragged::<i8>("x").map(drop),
            ErrorKind::Dtype,
            "the column is uint8, asked for int8",
        ),
        (
            fixed.read_ragged::<u8>("x").map(drop),
            ErrorKind::Usage,
            "its rows have one shape",
        ),
        (
            tokens.map("x", Noise::gaussian(1.0)).map(drop),
            ErrorKind::Dtype,
            "convert the column first",
        ),
        (
            tokens.stats_axis("x", 0).map(drop),
            ErrorKind::Usage,
            "this needs rows of one shape",
        ),
        (
            short.pack("x", 4).map(drop),
            ErrorKind::Usage,
            "dataset.cache()? makes them once",
        ),
        (
            short.windows(Windows::new(1)).map(drop),
            ErrorKind::Usage,
            "dataset.cache()? makes them once",
        ),
        (
            tokens.windows(Windows::new(1).group_by("x")).map(drop),
            ErrorKind::Usage,
            "leave out within(..) and group_by(..)",
        ),
        (
            tokens.windows(Windows::new(0)).map(drop),
            ErrorKind::Usage,
            "the length of windows is 0",
        ),
        (
            both.windows(Windows::new(1)).map(drop),
            ErrorKind::Shape,
            "row 0 has 2 items, but 1 in \"x\"",
        ),
    ] {
        let error = result.unwrap_err();
        let found = error.to_string();
        assert!(error.kind() == kind && found.contains(message), "{found}");
    }
    // What the messages say works.
    let cached = short.cache().unwrap();
    assert_eq!(cached.pack("x", 4).unwrap().len(), 1);
    assert_eq!(cached.windows(Windows::new(1)).unwrap().len(), 2);
}
