//! Several devices in one process: each gets as many batches, and each row comes once.

use std::sync::{Arc, Mutex, PoisonError};

use burn::data::dataloader::DataLoader;
use burn::data::dataloader::split::split_dataloader;
use burn::module::Module;
use burn::nn::loss::{MseLoss, Reduction};
use burn::nn::{Linear, LinearConfig};
use burn::optim::{GradientsParams, SgdConfig};
use burn::tensor::{Device, Tensor};
use burn::train::{
    ExecutionStrategy, InferenceStep, Learner, MultiDeviceOptim, RegressionOutput,
    SupervisedTraining, TrainOutput, TrainStep, TrainingStrategy,
};
use burn_npy::order::{Remainder, Shard};
use burn_npy::{
    BatchInfo, DataLoaderBuilder, ErrorKind, Loader, NpyBatcher, NpyDataset, Sampler, State,
    ndarray::Array2,
};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::learner::Silent;
use crate::property::{Batch, Cut, cut, naive, own};
use crate::{Indices, plain};

const CASES: u64 = 4000;

fn devices(count: usize) -> Vec<Device> {
    vec![crate::cpu(); count]
}

fn sizes(loader: Arc<dyn DataLoader<Vec<u64>>>, count: usize) -> Vec<Vec<usize>> {
    let parts = split_dataloader(loader, &devices(count));
    let sizes = |part: &Arc<dyn DataLoader<Vec<u64>>>| {
        part.iter().map(|batch| batch.unwrap().len()).collect()
    };
    parts.iter().map(sizes).collect()
}

#[test]
fn burn_gives_one_device_a_batch_more_and_devices_do_not() {
    let builder = || plain().batch_size(2).shuffle(1);
    let without = sizes(builder().build(Indices(20)), 3);
    assert_eq!(without, [vec![2; 3], vec![2; 3], vec![2; 4]]);
    let with = sizes(builder().devices(3).build(Indices(20)), 3);
    assert_eq!(with, [[2, 2, 2, 2], [2, 2, 1, 1], [2, 2, 1, 1]]);
    let whole = sizes(builder().drop_last(true).devices(3).build(Indices(20)), 3);
    assert_eq!(whole, [[2, 2, 2]; 3]);
    // One device has the loader itself.
    let one = sizes(builder().devices(3).build(Indices(20)), 1);
    assert_eq!(one, [[2; 10]]);
}

type Part = Arc<dyn DataLoader<Batch>>;

/// A loader of one of the processes of a case.
fn loader(cut: &Cut, of: (u64, u64), devices: u64, state: Option<State>) -> Builder {
    let (process, processes) = of;
    let builder = plain().map(|rows, info| (rows, info.padding()));
    let builder = builder
        .batch_size(cut.batch_size)
        .drop_last(cut.drop_last)
        .shard(Shard::new(process, processes).unwrap(), cut.tail)
        .devices(devices as usize)
        .num_workers(cut.workers)
        .prefetch(cut.prefetch);
    match state {
        Some(state) => builder.resume(state),
        None => builder,
    }
}

type Builder = DataLoaderBuilder<u64, Batch>;

fn batches(part: &Part) -> Vec<Batch> {
    part.iter().map(Result::unwrap).collect()
}

/// Random loaders, stopped somewhere and resumed on other devices.
fn check(rng: &mut StdRng) {
    let rows = rng.random_range(0..80_usize);
    let seed = rng.random();
    let order = |epoch| -> Vec<u64> {
        let order = Sampler::shuffled(seed).order(rows as u64, epoch);
        (0..order.len()).map(|at| order.row(at)).collect()
    };
    let processes = rng.random_range(1..3);
    let count = rng.random_range(1..6);
    let mut cut = cut(rng);
    // Threads take most of the time.
    cut.workers = [0, cut.workers][usize::from(rng.random_ratio(1, 50))];
    let build = |cut: &Cut, process, state| {
        let builder = loader(cut, (process, processes), count, state).shuffle(seed);
        builder.try_build(Indices(rows))
    };
    let all = Cut {
        shards: processes * count,
        ..cut
    };

    // What a process on one device has done before.
    let before = plain().shuffle(seed).batch_size(rng.random_range(1..20));
    let before = before.try_build(Indices(rows)).unwrap();
    let mut pass = before.iter();
    let done = pass
        .by_ref()
        .take(rng.random_range(0..4))
        .map(Result::unwrap);
    let done = done.collect::<Vec<_>>().concat();
    let state = pass.state();
    drop(pass);
    let (epoch, at) = (state.epoch(), state.position() as usize);

    for resumed in [false, true] {
        let epochs = match resumed {
            false => [(0, 0), (1, 0)],
            true => [(epoch, at), (epoch + 1, 0)],
        };
        let mut seen = vec![Vec::new(); 2];
        let mut most = 0;
        for process in 0..processes {
            let loader = match build(&cut, process, resumed.then(|| state.clone())) {
                Ok(loader) => loader,
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Usage);
                    let one = build_one(&cut, (process, processes), rows);
                    let is_few = one.num_items() < count as usize;
                    let whole = order(0);
                    let all_empty = naive(&whole, &whole, &all).iter().all(Vec::is_empty);
                    assert!(cut.tail == Remainder::Uneven || is_few || all_empty);
                    assert!(count > 1);
                    return;
                }
            };
            assert!(count == 1 || cut.tail != Remainder::Uneven);
            let parts = split_dataloader(loader, &devices(count as usize));
            for (index, (epoch, at)) in epochs.into_iter().enumerate() {
                let whole = order(epoch);
                let rest = &whole[at..];
                let is_step = at.is_multiple_of(all.batch_size * all.shards as usize);
                let fill = if is_step { &whole } else { rest };
                let expected = naive(rest, fill, &all);
                for (device, part) in (process * count..).zip(&parts) {
                    let found = batches(part);
                    assert_eq!(found, expected[device as usize]);
                    seen[index].extend(own(&found));
                    // As many on every device of every process.
                    assert!(count == 1 || found.len() == expected[0].len());
                    assert!(count == 1 || at > 0 || !found.is_empty());
                    most = most.max(found.iter().map(|(rows, _)| rows.len()).max().unwrap_or(0));
                }
            }
        }
        assert!(most <= cut.batch_size);
        for (found, (epoch, at)) in seen.iter_mut().zip(epochs) {
            let whole = order(epoch);
            let left = rows - at;
            let each = match (cut.tail, cut.drop_last) {
                (Remainder::Pad, _) => true,
                (Remainder::Spread, false) => cut.batch_size > 1 && left as u64 >= all.shards,
                _ => false,
            };
            if epoch == 0 && at > 0 {
                found.extend(&done);
            }
            let count = found.len();
            found.sort_unstable();
            found.dedup();
            assert_eq!(found.len(), count, "a row comes twice");
            if each {
                assert!(found.iter().copied().eq(0..rows as u64), "a row is missing");
            }
            assert!(whole.len() >= count);
        }
    }
}

fn build_one(cut: &Cut, of: (u64, u64), rows: usize) -> Arc<Loader<Batch>> {
    loader(cut, of, 1, None).try_build(Indices(rows)).unwrap()
}

/// Passes over all parts that are stopped together, and resumed from the state of the loader.
#[test]
fn the_state_of_a_loader_is_where_all_devices_are() {
    for seed in 0..2000 {
        let mut rng = StdRng::seed_from_u64(seed);
        let rows = rng.random_range(24..120_usize);
        let build = |count: usize, batch_size: usize, state: Option<State>| {
            let builder = plain().shuffle(seed).devices(count).batch_size(batch_size);
            let builder = match state {
                Some(state) => builder.resume(state),
                None => builder,
            };
            builder.num_workers(0).try_build(Indices(rows)).unwrap()
        };
        let (count, batch_size) = (rng.random_range(1..5), rng.random_range(2..7));
        let loader = build(count, batch_size, None);
        let parts = split_dataloader(loader.clone() as _, &devices(count));
        if count == 1 {
            continue;
        }
        let whole: Vec<Vec<u64>> = parts.iter().map(|part| all(&**part)).collect();
        assert_eq!((loader.state().epoch(), loader.state().position()), (1, 0));
        let mut passes: Vec<_> = parts.iter().map(|part| part.iter()).collect();
        let steps = whole[0].len().div_ceil(batch_size);
        let steps = rng.random_range(0..=steps);
        let mut seen = Vec::new();
        for _ in 0..steps {
            for pass in &mut passes {
                seen.extend(pass.next().unwrap().unwrap());
            }
        }
        let saved = serde_json::to_string(&loader.state()).unwrap();
        // Who is ahead of the others is given the batch again.
        if let Some(batch) = passes[0].next() {
            batch.unwrap();
            assert_eq!(serde_json::to_string(&loader.state()).unwrap(), saved);
        }
        // A pass of the loader itself does not continue with them, and moves it.
        assert_eq!((loader.next_epoch(), loader.iter().epoch()), (0, 0));

        let state: State = serde_json::from_str(&saved).unwrap();
        let (epoch, count) = (state.epoch(), rng.random_range(1..5));
        let loader = build(count, rng.random_range(2..7), Some(state.clone()));
        let parts = split_dataloader(loader as _, &devices(count));
        let rest: Vec<Vec<u64>> = parts.iter().map(|part| all(&**part)).collect();
        if epoch == 1 {
            seen.extend(rest.concat());
        } else {
            // All devices were done.
            assert_eq!((epoch, state.position()), (2, 0));
            assert_eq!(rest.concat().len(), rows);
        }
        // A rest of fewer rows than devices is none.
        let left = rows - seen.len();
        assert!(left < count && (left == 0 || epoch == 1), "{left} are left");
        let count = seen.len();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), count);
    }
}

/// Only the parts that were made last move the loader, and no pass that began before them.
#[test]
fn parts_that_are_made_anew_take_the_place_of_others() {
    let loader = plain().batch_size(2).devices(2).num_workers(0);
    let loader = loader.try_build(Indices(20)).unwrap();
    let place = || (loader.state().epoch(), loader.state().position());
    let mut pass = loader.iter();
    assert!(pass.nth(2).is_some());
    assert_eq!(place(), (0, 6));
    let [old, new] = [0, 1].map(|_| split_dataloader(loader.clone() as _, &devices(2)));
    assert!(pass.next().is_some());
    for part in &old {
        assert_eq!(part.iter().count(), 5);
    }
    assert_eq!(place(), (0, 6));
    for part in &new {
        part.iter().for_each(drop);
    }
    assert_eq!(place(), (2, 0));
}

/// An epoch of so many batches of each device has other rows on other devices.
#[test]
fn a_state_of_epochs_of_another_length_is_refused() {
    let builder = |devices| {
        let builder = plain().batch_size(2).shuffle(1).devices(devices);
        builder.batches_per_epoch(4)
    };
    let state = builder(3).try_build(Indices(100)).unwrap().state();
    assert!(
        builder(3)
            .resume(state.clone())
            .try_build(Indices(100))
            .is_ok()
    );
    let error = builder(2)
        .resume(state)
        .try_build(Indices(100))
        .unwrap_err();
    assert!(error.to_string().contains("batches_per_epoch"), "{error}");
}

fn all(part: &dyn DataLoader<Vec<u64>>) -> Vec<u64> {
    let batches: Vec<Vec<u64>> = part.iter().map(Result::unwrap).collect();
    batches.concat()
}

#[test]
fn devices_have_the_batches_of_a_naive_reference() {
    for seed in 0..CASES {
        let mut rng = StdRng::seed_from_u64(seed);
        let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(&mut rng)));
        if let Err(panic) = checked {
            println!("case {seed}");
            std::panic::resume_unwind(panic);
        }
    }
}

/// Batches that the sampler makes: some are halved, so that there are as many for each device.
#[test]
fn batches_of_tokens_are_shared_too() {
    for seed in 0..300 {
        let mut rng = StdRng::seed_from_u64(seed);
        let rows = rng.random_range(6..80_usize);
        let lengths: Vec<u64> = (0..rows).map(|_| rng.random_range(1..9)).collect();
        let most = rng.random_range(8..60);
        let sampler = Sampler::max_tokens(lengths.iter().copied(), most, seed).unwrap();
        let count = rng.random_range(2..6);
        let loader = plain().sampler(sampler).devices(count).build(Indices(rows));
        let parts = split_dataloader(loader, &devices(count));
        for _ in 0..3 {
            let parts: Vec<Vec<Vec<u64>>> = parts
                .iter()
                .map(|part| part.iter().map(Result::unwrap).collect())
                .collect();
            assert!(parts.iter().all(|part| part.len() == parts[0].len()));
            for batch in parts.concat() {
                let longest = batch
                    .iter()
                    .map(|row| lengths[*row as usize])
                    .max()
                    .unwrap();
                assert!(longest * batch.len() as u64 <= most);
            }
            let mut all = parts.concat().concat();
            all.sort_unstable();
            assert!(all.into_iter().eq(0..rows as u64));
        }
    }
}

#[test]
fn misuse_is_an_error_or_a_plain_slice() {
    let build = |devices, rows| {
        let built = plain()
            .batch_size(2)
            .devices(devices)
            .try_build(Indices(rows));
        built.map(drop).map_err(|error| error.to_string())
    };
    assert!(build(0, 10).unwrap_err().contains("must be at least 1"));
    let error = build(3, 2).unwrap_err();
    assert_eq!(error, "3 devices for 2 rows; each must have at least one");
    // 10 rows are two full batches, too few for three devices.
    for remainder in [Remainder::Spread, Remainder::Drop] {
        let builder = plain().batch_size(4).drop_last(true).devices(3);
        let built = builder
            .shard(Shard::WHOLE, remainder)
            .try_build(Indices(10));
        let error = built.unwrap_err().to_string();
        assert!(
            error.starts_with("3 devices for 2 batches, of which none"),
            "{error}"
        );
    }
    let uneven = plain().devices(2).shard(Shard::WHOLE, Remainder::Uneven);
    let error = uneven.try_build(Indices(10)).unwrap_err().to_string();
    assert!(error.contains("choose Remainder::Spread"), "{error}");

    // Other devices than those that were announced, and slices of slices.
    let loader = || plain().batch_size(2).devices(2).build(Indices(20));
    assert_eq!(sizes(loader(), 3), [vec![2; 3], vec![2; 3], vec![2; 4]]);
    for (first, expected) in [(0..8, [1, 2]), (0..10, [1, 4]), (10..20, [3, 6])] {
        let part = loader().slice(first.start, first.end).slice(1, 3);
        let rows = part.iter().map(Result::unwrap);
        assert_eq!(Vec::from_iter(rows), [expected]);
    }
}

#[test]
fn an_epoch_of_so_many_batches_has_them_on_each_device() {
    let builder = plain().batch_size(2).shuffle(1).devices(3);
    let loader = builder.batches_per_epoch(4).build(Indices(100));
    assert_eq!(sizes(loader, 3), [[2; 4]; 3]);
}

const ROWS: usize = 20;

/// What was trained on: the rows and the loss of each batch.
static SEEN: Mutex<Vec<(Vec<u64>, f32)>> = Mutex::new(Vec::new());

#[derive(Module, Debug)]
struct Line {
    linear: Linear,
}

impl Line {
    fn output(&self, batch: Tensor<2>) -> RegressionOutput {
        let output = self.linear.forward(batch.clone());
        let targets = batch * 3.0 + 1.0;
        let loss = MseLoss::new().forward(output.clone(), targets.clone(), Reduction::Mean);
        RegressionOutput {
            loss,
            output,
            targets,
        }
    }
}

impl TrainStep for Line {
    type Input = (Tensor<2>, BatchInfo);
    type Output = RegressionOutput;

    fn step(&self, (batch, info): Self::Input) -> TrainOutput<RegressionOutput> {
        let output = self.output(batch);
        let seen = (info.rows().to_vec(), output.loss.clone().into_scalar());
        SEEN.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(seen);
        TrainOutput::new(self, output.loss.backward(), output)
    }
}

impl InferenceStep for Line {
    type Input = (Tensor<2>, BatchInfo);
    type Output = RegressionOutput;

    fn step(&self, (batch, _): Self::Input) -> RegressionOutput {
        self.output(batch)
    }
}

fn line_loader(devices: usize, workers: usize) -> Arc<Loader<(Tensor<2>, BatchInfo)>> {
    let values = Array2::from_shape_fn((ROWS, 1), |(row, _)| row as f32 / ROWS as f32);
    DataLoaderBuilder::new(NpyBatcher::<Tensor<2>>::new())
        .map(|batch, info| (batch, info.clone()))
        .batch_size(2)
        .shuffle(5)
        .num_workers(workers)
        .set_device(crate::cpu().autodiff())
        .devices(devices)
        .try_build(NpyDataset::from_tensor_slices(values).unwrap())
        .unwrap()
}

/// The losses of each step on one device: the batches of the step one after the other, and a step
/// of the optimizer for the sum of their gradients.
fn on_one_device(
    device: &Device,
    model: &Line,
    count: usize,
    epochs: u64,
) -> Vec<Vec<(Vec<u64>, f32)>> {
    let (mut model, mut optimizer) = (model.clone().fork(device), SgdConfig::new().init());
    let values = |rows: &[u64]| {
        let values = rows.iter().map(|row| *row as f32 / ROWS as f32);
        let values = Vec::from_iter(values);
        Tensor::<1>::from_floats(&values[..], device).unsqueeze_dim::<2>(1)
    };
    let mut steps = Vec::new();
    for epoch in 0..epochs {
        let order = Sampler::shuffled(5).order(ROWS as u64, epoch);
        let rows: Vec<u64> = (0..ROWS as u64).map(|at| order.row(at)).collect();
        let cut = Cut {
            batch_size: 2,
            drop_last: false,
            shards: count as u64,
            tail: Remainder::Spread,
            workers: 0,
            prefetch: 0,
        };
        let devices = naive(&rows, &rows, &cut);
        for step in 0..devices[0].len() {
            let mut seen = Vec::new();
            let mut sum: Option<Tensor<1>> = None;
            for device in &devices {
                let (rows, _) = &device[step];
                let loss = model.output(values(rows)).loss;
                seen.push((rows.clone(), loss.clone().into_scalar()));
                sum = Some(match sum {
                    Some(sum) => sum + loss,
                    None => loss,
                });
            }
            let gradients = GradientsParams::from_grads(sum.unwrap().backward(), &model);
            model = optimizer.step(0.1, model, gradients);
            steps.push(seen);
        }
    }
    steps
}

#[test]
fn a_learner_on_several_devices_trains_as_on_one() {
    trains_as_on_one(&crate::cpu());
}

/// One training at a time, since all write down what they see in one place.
static ONE: Mutex<()> = Mutex::new(());

/// Compares on a device, which is there several times.
pub(crate) fn trains_as_on_one(device: &Device) {
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    for (count, workers, optim) in [
        (2, 2, MultiDeviceOptim::OptimMainDevice),
        (3, 0, MultiDeviceOptim::OptimMainDevice),
        (3, 2, MultiDeviceOptim::OptimSharded),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let device = device.clone().autodiff();
        let model = Line {
            linear: LinearConfig::new(1, 1).init(&device),
        };
        let expected = on_one_device(&device, &model, count, 3);
        let strategy = ExecutionStrategy::multi(vec![device.clone(); count], optim);
        let loader = line_loader(count, workers);
        let valid = line_loader(1, 0);
        let training = SupervisedTraining::new(folder.path(), loader.clone(), valid)
            .with_training_strategy(TrainingStrategy::Default(strategy))
            .with_application_logger(None)
            .renderer(Box::new(Silent))
            .num_epochs(3);
        let result = training.launch(Learner::new(model, SgdConfig::new().init(), 0.1));
        assert!(result.error.is_none());
        assert_eq!((loader.state().epoch(), loader.state().position()), (3, 0));

        let seen = std::mem::take(&mut *SEEN.lock().unwrap());
        assert_eq!(seen.len(), expected.concat().len());
        // The devices of a step run at the same time, so that they write in any order.
        for (found, expected) in seen.chunks(count).zip(expected) {
            for (rows, loss) in expected {
                let (_, found) = found.iter().find(|(found, _)| *found == rows).unwrap();
                assert!((found - loss).abs() < 1e-5, "{rows:?}: {found}, not {loss}");
            }
        }
        let first: f32 = seen[..count].iter().map(|(_, loss)| loss).sum();
        let last: f32 = seen[seen.len() - count..]
            .iter()
            .map(|(_, loss)| loss)
            .sum();
        let batches = seen.len();
        println!("{count} times {device:?}, {batches} batches: {first} to {last}");
    }
}

/// Passes over batches of tokens that are stopped together, and resumed in other processes on other
/// devices.
#[test]
fn batches_of_tokens_are_resumed() {
    for seed in 0..600 {
        let mut rng = StdRng::seed_from_u64(seed);
        let rows = rng.random_range(30..120_usize);
        let lengths: Vec<u64> = (0..rows).map(|_| rng.random_range(1..9)).collect();
        let most = rng.random_range(8..60);
        let drop_last = rng.random_ratio(1, 4);
        // The loaders of all processes, and the parts of all devices.
        let build = |processes: u64, count: u64, state: Option<&State>| {
            let loaders = (0..processes).map(|process| {
                let sampler = Sampler::max_tokens(lengths.iter().copied(), most, seed).unwrap();
                let builder = plain().sampler(sampler).drop_last(drop_last).num_workers(0);
                let shard = Shard::new(process, processes).unwrap();
                let builder = builder.shard(shard, Remainder::Spread);
                let builder = builder.devices(count as usize);
                let builder = match state {
                    Some(state) => builder.resume(state.clone()),
                    None => builder,
                };
                builder.try_build(Indices(rows)).ok()
            });
            let loaders = loaders.collect::<Option<Vec<_>>>()?;
            let parts = loaders
                .iter()
                .flat_map(|loader| split_dataloader(loader.clone() as _, &devices(count as usize)));
            let parts = Vec::from_iter(parts);
            Some((loaders, parts))
        };
        let (processes, count) = (rng.random_range(1..3), rng.random_range(2..4));
        let Some((loaders, parts)) = build(processes, count, None) else {
            assert!(drop_last);
            continue;
        };
        let mut passes: Vec<_> = parts.iter().map(|part| part.iter()).collect();
        let mut seen = Vec::new();
        for _ in 0..rng.random_range(0..6) {
            let next = passes
                .iter_mut()
                .map(|pass| pass.next().map(Result::unwrap));
            let next: Vec<Option<Vec<u64>>> = next.collect();
            assert!(
                next.iter()
                    .all(|batch| batch.is_some() == next[0].is_some())
            );
            seen.extend(next.into_iter().flatten().flatten());
        }
        let state = loaders[0].state();
        for loader in &loaders {
            let other = loader.state();
            let places = [&state, &other].map(|state| (state.epoch(), state.position()));
            assert_eq!(places[0], places[1]);
        }
        let (processes, count) = (rng.random_range(1..3), rng.random_range(1..4));
        let Some((_, parts)) = build(processes, count, Some(&state)) else {
            continue;
        };
        let rest = parts
            .iter()
            .map(|part| part.iter().map(Result::unwrap).collect());
        let rest: Vec<Vec<Vec<u64>>> = rest.collect();
        assert!(rest.iter().all(|part| part.len() == rest[0].len()));
        if state.epoch() == 0 {
            seen.extend(rest.concat().concat());
        }
        let count = seen.len() as u64;
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len() as u64, count, "a row comes twice");
        // A rest of fewer rows than devices is none.
        assert!(drop_last || rows as u64 - count < parts.len() as u64);
    }
}
