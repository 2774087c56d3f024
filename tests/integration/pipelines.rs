//! Random pipelines of up to six verbs, compared with naive twins on vectors; then loaders of them
//! with any workers, stopped and resumed at random.

use std::sync::Arc;

use burn::tensor::{Int, Tensor};
use burn_npy::file::write_npy;
use burn_npy::ndarray::{Array1, Array2};
use burn_npy::order::Partition;
use burn_npy::transform::{self, RandomCrop, Transform};
use burn_npy::{Convert, Loader, NpyDataset, Sampler, Windows};
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};

use crate::cpu;

const CASES: u64 = 400;

/// A row of the twin: the numbers of the column `x`, and those of `y`.
type TwinRow = (Vec<f32>, Vec<i64>);

/// A dataset, and what its rows should be. Rows of `x` have the shape `[len]`, those of `y` too.
struct Pipeline {
    dataset: NpyDataset,
    twin: Vec<TwinRow>,
    /// How many numbers a row has.
    x_len: usize,
    y_len: usize,
    /// Whether rows of the twin are only the start: a transform draws random numbers.
    draws: bool,
    verbs: Vec<&'static str>,
}

fn source(rng: &mut StdRng, dir: &std::path::Path) -> Pipeline {
    let rows = rng.random_range(0..60);
    let x = Array2::from_shape_simple_fn((rows, 3), || f32::from(rng.random_range(0..100_u8)));
    let y = Array1::from_iter((0..rows).map(|_| rng.random_range(0..9_i64)));
    let twin = x.outer_iter().zip(&y);
    let twin = twin.map(|(x, y)| (x.to_vec(), vec![*y])).collect();
    let dataset = if rng.random() {
        let paths = ["x", "y"].map(|name| dir.join(format!("{name}{}.npy", rng.next_u64())));
        write_npy(&paths[0], &x).unwrap();
        write_npy(&paths[1], &y).unwrap();
        let [x, y] = paths;
        NpyDataset::from_files([("x", x), ("y", y)])
    } else {
        NpyDataset::from_tensor_slices((("x", x), ("y", y)))
    };
    Pipeline {
        dataset: dataset
            .and_then(|dataset| dataset.reshape("y", &[1]))
            .unwrap(),
        twin,
        x_len: 3,
        y_len: 1,
        draws: false,
        verbs: Vec::new(),
    }
}

/// Makes the shapes `[len]` again after a verb.
fn flat(dataset: &NpyDataset, x_len: usize, y_len: usize) -> NpyDataset {
    let dataset = dataset.reshape("x", &[x_len]).unwrap();
    dataset.reshape("y", &[y_len]).unwrap()
}

fn pick<T: Clone>(from: &[T], rows: impl IntoIterator<Item = usize>) -> Vec<T> {
    rows.into_iter().map(|row| from[row].clone()).collect()
}

fn noise() -> impl Transform {
    transform::from_fn::<f32, f32>(|row, mut out, rng| {
        let noise = (rng.next_u32() % 16) as f32 / 16.0;
        out.assign(&row.mapv(|x| x + noise));
        Ok(())
    })
}

impl Pipeline {
    fn verb(self, rng: &mut StdRng, dir: &std::path::Path) -> Self {
        let Self {
            dataset,
            twin,
            mut x_len,
            mut y_len,
            mut draws,
            mut verbs,
        } = self;
        let len = twin.len();
        let seed = rng.next_u64();
        let (verb, dataset, twin) = match rng.random_range(0..17) {
            0 if len > 0 => {
                let count = rng.random_range(0..2 * len);
                let rows: Vec<usize> = (0..count).map(|_| rng.random_range(0..len)).collect();
                ("rows", dataset.rows(&rows).unwrap(), pick(&twin, rows))
            }
            1 => {
                let keep = |y: &[i64]| y[0] % 3 != 0;
                let kept = dataset.filter::<i64>("y", keep).unwrap();
                let twin = twin.into_iter().filter(|(_, y)| keep(y));
                ("filter", kept, twin.collect())
            }
            2 if y_len == 1 => {
                let mut twin = twin;
                twin.sort_by_key(|(_, y)| y[0]);
                ("sort_by", dataset.sort_by("y").unwrap(), twin)
            }
            3 => {
                let count = rng.random_range(0..80);
                let twin = twin.into_iter().take(count);
                ("take", dataset.take(count), twin.collect())
            }
            4 => {
                let count = rng.random_range(0..10);
                let twin = twin.into_iter().skip(count);
                ("skip", dataset.skip(count), twin.collect())
            }
            5 => {
                let stride = rng.random_range(1..4);
                let twin = twin.into_iter().step_by(stride);
                ("step", dataset.step(stride).unwrap(), twin.collect())
            }
            6 if len < 500 => {
                let count = rng.random_range(0..4);
                (
                    "repeat",
                    dataset.repeat(count).unwrap(),
                    std::iter::repeat_n(twin, count).flatten().collect(),
                )
            }
            7 => {
                let mut other = source(rng, dir);
                for _ in 0..rng.random_range(0..3) {
                    other = other.verb(rng, dir);
                }
                if (other.x_len, other.y_len) != (x_len, y_len) {
                    ("nothing", dataset, twin)
                } else {
                    draws |= other.draws;
                    let both = NpyDataset::concat([dataset, other.dataset]).unwrap();
                    ("concat", both, [twin, other.twin].concat())
                }
            }
            8 => {
                // Both columns from different datasets with other rows.
                let x = dataset.select(["x"]).unwrap();
                let y = dataset.select(["y"]).unwrap();
                let ys = twin.iter().map(|(_, y)| y.clone()).rev();
                let twin = twin.iter().map(|(x, _)| x.clone()).zip(ys).collect();
                let y = y.rows((0..len).rev()).unwrap();
                ("zip", x.zip(&y).unwrap(), twin)
            }
            9 if len > 1 => {
                let partition = Partition::split(len, &[0.3, 0.5, 0.2], seed).unwrap();
                let parts = dataset.parts(&partition).unwrap();
                let part = rng.random_range(0..3);
                let rows = partition.rows(part).into_iter().map(|row| row as usize);
                ("parts", parts[part as usize].clone(), pick(&twin, rows))
            }
            10 if y_len < 9 => {
                let (length, stride) = (rng.random_range(1..4), rng.random_range(1..4));
                let windows = Windows::new(length).stride(stride);
                if len < length {
                    ("nothing", dataset, twin)
                } else {
                    let windows = dataset.windows(windows).unwrap();
                    (x_len, y_len) = (x_len * length, y_len * length);
                    let window = |start: usize| {
                        let rows = &twin[start..start + length];
                        (
                            rows.iter().flat_map(|(x, _)| x.clone()).collect(),
                            rows.iter().flat_map(|(_, y)| y.clone()).collect(),
                        )
                    };
                    let starts = (0..=len - length).step_by(stride);
                    let twin = starts.map(window).collect();
                    ("windows", flat(&windows, x_len, y_len), twin)
                }
            }
            11 => {
                let convert = Convert::to::<f32>().scale(0.5).offset(1.0);
                let twin = twin.into_iter().map(|(x, y)| {
                    let x = x.into_iter().map(|x| x * 0.5 + 1.0);
                    (x.collect(), y)
                });
                let twin = twin.collect();
                ("convert", dataset.convert("x", convert).unwrap(), twin)
            }
            12 => {
                let add = transform::from_fn::<f32, f32>(|row, mut out, _| {
                    out.assign(&row.mapv(|x| x + 1.0));
                    Ok(())
                });
                let twin = twin.into_iter().map(|(x, y)| {
                    let x = x.into_iter().map(|x| x + 1.0);
                    (x.collect(), y)
                });
                let twin = twin.collect();
                ("map", dataset.map("x", add).unwrap(), twin)
            }
            13 => {
                draws = true;
                ("noise", dataset.map("x", noise()).unwrap(), twin)
            }
            14 if x_len > 1 && !draws => {
                // One column of the image is cut off.
                let image = dataset.reshape("x", &[1, x_len]).unwrap();
                let image = image.map("x", RandomCrop::new([1, x_len - 1])).unwrap();
                draws = true;
                x_len -= 1;
                ("crop", flat(&image, x_len, y_len), twin)
            }
            15 => {
                let column = transform::from_fn::<f32, f32>(move |row, mut out, _| {
                    let sum = row.sum();
                    let row = row.iter().copied().chain([sum]);
                    out.iter_mut().zip(row).for_each(|(out, x)| *out = x);
                    Ok(())
                });
                x_len += 1;
                let dataset = dataset.map("x", column.shape(&[x_len])).unwrap();
                let twin = twin.into_iter().map(|(mut x, y)| {
                    x.push(x.iter().sum());
                    (x, y)
                });
                ("another shape", dataset, twin.collect())
            }
            16 if !draws => ("cache", dataset.cache().unwrap(), twin),
            _ => ("nothing", dataset, twin),
        };
        verbs.push(verb);
        Self {
            dataset,
            twin,
            x_len,
            y_len,
            draws,
            verbs,
        }
    }
}

type Batches = Vec<(Vec<f32>, Vec<i64>)>;

fn numbers((x, y): (Tensor<2>, Tensor<2, Int>)) -> (Vec<f32>, Vec<i64>) {
    (
        x.into_data().iter().collect(),
        y.into_data().iter().collect(),
    )
}

fn epoch(loader: &Arc<Loader<(Tensor<2>, Tensor<2, Int>)>>) -> Batches {
    loader.iter().map(|batch| numbers(batch.unwrap())).collect()
}

#[test]
fn six_verbs_in_any_order_are_their_naive_twins() {
    let dir = tempfile::tempdir().unwrap();
    let rng = &mut StdRng::seed_from_u64(25);
    let mut counts = std::collections::BTreeMap::new();
    let (mut compared, mut batches, mut drawn) = (0, 0, 0);
    for case in 0..CASES {
        let mut pipeline = source(rng, dir.path());
        for _ in 0..rng.random_range(1..=6) {
            pipeline = pipeline.verb(rng, dir.path());
        }
        for verb in &pipeline.verbs {
            *counts.entry(*verb).or_insert(0) += 1;
        }
        let Pipeline {
            dataset,
            twin,
            x_len,
            y_len,
            draws,
            verbs,
        } = pipeline;
        let what = format!("case {case}: {verbs:?}");
        assert_eq!(dataset.len(), twin.len(), "{what}");
        let ys: Vec<i64> = twin.iter().flat_map(|(_, y)| y.clone()).collect();
        assert_eq!(
            dataset.read::<i64>("y").unwrap().as_slice().unwrap(),
            ys,
            "{what}"
        );
        if !draws {
            let xs: Vec<f32> = twin.iter().flat_map(|(x, _)| x.clone()).collect();
            assert_eq!(
                dataset.read::<f32>("x").unwrap().as_slice().unwrap(),
                xs,
                "{what}"
            );
        }
        compared += twin.len();

        let (size, seed) = (rng.random_range(1..20), rng.next_u64());
        let sampler = match rng.random_range(0..3) {
            0 => Sampler::sequential(),
            _ => Sampler::shuffled(seed),
        };
        let builder = |workers| {
            let builder = dataset.loader::<(Tensor<2>, Tensor<2, Int>)>();
            let builder = builder.batch_size(size).sampler(sampler.clone());
            builder.num_workers(workers).set_device(cpu())
        };
        let loader = builder(0).try_build().unwrap();
        let expected = [epoch(&loader), epoch(&loader)];
        for (number, expected) in (0..).zip(&expected) {
            let order = sampler.order(twin.len() as u64, number);
            let rows = order.rows(0..order.len()).map(|row| &twin[row as usize]);
            let rows: Vec<_> = rows.collect();
            assert_eq!(expected.len(), rows.len().div_ceil(size), "{what}");
            for (rows, (x, y)) in rows.chunks(size).zip(expected) {
                let ys = rows.iter().flat_map(|(_, y)| y);
                assert!(ys.eq(y), "{what}");
                assert_eq!((x.len(), y.len()), (rows.len() * x_len, rows.len() * y_len));
                if !draws {
                    assert!(rows.iter().flat_map(|(x, _)| x).eq(x), "{what}");
                }
            }
            batches += expected.len();
        }
        drawn += usize::from(draws && expected[0] != expected[1]);
        for workers in [1, 2, 7] {
            let loader = builder(workers).try_build().unwrap();
            assert_eq!(epoch(&loader), expected[0], "{what}, {workers} workers");
            // The second epoch stops somewhere, and goes on elsewhere.
            let mut pass = loader.iter();
            let stop = rng.random_range(0..=expected[1].len());
            for expected in &expected[1][..stop] {
                assert_eq!(numbers(pass.next().unwrap().unwrap()), *expected, "{what}");
            }
            let state = pass.state();
            drop(pass);
            let others = [0, 1, 2, 7][rng.random_range(0..4)];
            let resumed = builder(others).resume(state).try_build().unwrap();
            if stop < expected[1].len() || resumed.next_epoch() == 1 {
                assert_eq!(epoch(&resumed), expected[1][stop..], "{what}");
            }
        }
    }
    counts.remove("nothing");
    assert!(
        counts.len() == 17 && counts.values().all(|count| *count > 20),
        "{counts:?}"
    );
    println!("{CASES} pipelines, {compared} rows, {batches} batches, {drawn} of random rows");
    println!("{counts:?}");
    assert!(
        compared > 5000 && batches > 2000 && drawn > 50,
        "{compared} {batches} {drawn}"
    );
}
