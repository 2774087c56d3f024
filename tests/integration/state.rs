//! A state is what was yielded; it fits the loader that it came from, and no other.

use burn::data::dataloader::DataLoader;
use burn_npy::ndarray::{Array1, Array2};
use burn_npy::{ErrorKind, NpyDataset, Sampler, State};

use crate::{Indices, batches, builder, epoch, numbered, numbers, plain};

fn json(state: &State) -> serde_json::Value {
    serde_json::to_value(state).unwrap()
}

#[test]
fn the_format_is_small_and_pinned() {
    let loader = builder()
        .batch_size(10)
        .shuffle(42)
        .try_build(numbered(100))
        .unwrap();
    loader.iter().take(3).for_each(drop);
    let text = serde_json::to_string(&loader.state()).unwrap();
    assert_eq!(
        text,
        r#"{"version":2,"order":3,"sampler":"56085d8ececf76da","seed":42,"epoch":0,"position":30,"dataset":{"rows":100,"columns":[{"name":"0","dtype":"int64","row_shape":[],"content":"e0a721cc16259518"}]},"skipped":[]}"#
    );
    let state: State = serde_json::from_str(&text).unwrap();
    assert_eq!(state, loader.state());

    let loader = plain().try_build(Indices(7)).unwrap();
    assert_eq!(
        json(&loader.state())["dataset"],
        serde_json::json!({ "rows": 7 })
    );
}

#[test]
fn only_what_was_yielded_counts() {
    for workers in [0, 1, 4] {
        let loader = builder()
            .batch_size(10)
            .shuffle(1)
            .num_workers(workers)
            .prefetch(10)
            .try_build(numbered(95))
            .unwrap();
        assert_eq!((loader.state().epoch(), loader.state().position()), (0, 0));
        for number in 0..2 {
            let mut pass = loader.iter();
            for done in 0..10 {
                let state = pass.state();
                assert_eq!((state.epoch(), state.position()), (number, 10 * done));
                assert_eq!(loader.state(), state);
                pass.next().unwrap().unwrap();
            }
            // An epoch that is over is the start of the next.
            let state = pass.state();
            assert_eq!((state.epoch(), state.position()), (number + 1, 0));
            assert!(pass.next().is_none());
            assert_eq!(loader.state(), state);
        }
        // What is looked at on the way changes nothing.
        let before = loader.state();
        loader.epoch(7).take(3).for_each(drop);
        loader.batch_at(9, 2).unwrap();
        batches(&*loader.slice(0, 10));
        assert_eq!(loader.state(), before);
    }
}

#[test]
fn the_pass_that_began_last_moves_the_loader() {
    let loader = builder().batch_size(10).try_build(numbered(30)).unwrap();
    let (mut first, mut second) = (loader.iter(), loader.iter());
    second.next();
    first.next();
    first.next();
    assert_eq!(loader.state(), second.state());
    assert_eq!((loader.state().epoch(), loader.state().position()), (1, 10));
    assert_eq!((first.state().epoch(), first.state().position()), (0, 20));
}

#[test]
fn a_loader_goes_on_in_place_too() {
    let loader = builder()
        .batch_size(7)
        .shuffle(3)
        .num_workers(2)
        .try_build(numbered(100))
        .unwrap();
    let all = [epoch(&loader), epoch(&loader), epoch(&loader)];
    let again = builder()
        .batch_size(7)
        .shuffle(3)
        .try_build(numbered(100))
        .unwrap();
    epoch(&again);
    let mut pass = again.iter();
    let first: Vec<_> = pass
        .by_ref()
        .take(5)
        .map(|batch| numbers(batch.unwrap()))
        .collect();
    let state = pass.state();
    drop(pass);
    // A copy has the rest too, and slices of it have their share of the rest.
    loader.resume(&state).unwrap();
    let copy = loader.to_device(&crate::cpu());
    let halves = [loader.slice(0, 50), loader.slice(50, 100)];
    assert_eq!([first, epoch(&loader)].concat(), all[1]);
    assert_eq!(batches(&*copy), all[1][5..]);
    let halves = halves.map(|half| batches(&*half).concat());
    assert_eq!(halves.concat(), all[1][5..].concat());
    assert_eq!(halves.map(|half| half.len()), [32, 33]);
    assert_eq!(epoch(&loader), all[2]);
    assert_eq!(batches(&*copy), all[2]);
    // As often as one likes.
    loader.resume(&state).unwrap();
    assert_eq!(epoch(&loader), all[1][5..]);
}

#[test]
fn an_epoch_to_start_with_agrees_with_burns_learner() {
    let loader = builder()
        .batch_size(8)
        .shuffle(1)
        .try_build(numbered(50))
        .unwrap();
    let epochs: Vec<_> = (0..6).map(|_| epoch(&loader)).collect();
    // The learner moves the loader to its device once, then asks for a pass each epoch.
    let resumed = builder()
        .batch_size(8)
        .shuffle(1)
        .start_epoch(3)
        .try_build(numbered(50))
        .unwrap();
    assert_eq!(resumed.next_epoch(), 3);
    let copy = resumed.to_device(&crate::cpu());
    for expected in &epochs[3..] {
        assert_eq!(&batches(&*copy), expected);
    }
}

#[test]
fn a_state_of_something_else_is_refused() {
    let sorted = || Array1::from_iter(0..100_i64);
    let dataset = |values: Array1<i64>| NpyDataset::from_tensor_slices(values).unwrap();
    let state = builder()
        .shuffle(1)
        .try_build(dataset(sorted()))
        .unwrap()
        .state();
    let refused = |sampler: Sampler, dataset: NpyDataset| {
        let builder = builder().sampler(sampler).resume(state.clone());
        let error = builder.try_build(dataset).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        error.to_string()
    };
    let shuffled = Sampler::shuffled(1);
    let mut other = sorted();
    other[99] = 1;
    for (sampler, dataset, message) in [
        (
            shuffled.clone(),
            dataset(Array1::zeros(99)),
            "of 100 rows, but there are 99",
        ),
        (
            shuffled.clone(),
            dataset(other),
            "`0`: the state is one of a dataset whose values were",
        ),
        (
            shuffled.clone(),
            dataset(sorted()).rows((0..100).rev()).unwrap(),
            "the selection of rows is another than that of the saved state",
        ),
        (
            Sampler::shuffled(2),
            dataset(sorted()),
            "the seed of the state is 1, but the seed of the loader's sampler is 2",
        ),
        (
            Sampler::sequential(),
            dataset(sorted()),
            "the seed of the state is 1, but the seed of the loader's sampler is none",
        ),
        (
            Sampler::blocks(2, 3, 1).unwrap(),
            dataset(sorted()),
            "another sampler",
        ),
    ] {
        let found = refused(sampler, dataset);
        assert!(found.contains(message), "{found}");
    }
    let floats = NpyDataset::from_tensor_slices(Array1::<f32>::zeros(100)).unwrap();
    let loader =
        burn_npy::DataLoaderBuilder::new(burn_npy::NpyBatcher::<burn::tensor::Tensor<1>>::new())
            .shuffle(1)
            .set_device(crate::cpu());
    let error = loader.resume(state.clone()).try_build(floats).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("of int64, but the column is float32"),
        "{error}"
    );
    let pairs = NpyDataset::from_tensor_slices(Array2::<i64>::zeros((100, 2))).unwrap();
    let loader = burn_npy::DataLoaderBuilder::new(crate::Keep)
        .shuffle(1)
        .set_device(crate::cpu());
    let error = loader.resume(state.clone()).try_build(pairs).unwrap_err();
    assert!(error.to_string().contains("rows of shape []"), "{error}");
    // A dataset that is not ours has a length and nothing else.
    let error = plain()
        .shuffle(1)
        .resume(state.clone())
        .try_build(Indices(100))
        .unwrap_err();
    assert!(error.to_string().contains("no known columns"), "{error}");

    // What a file may say that no loader wrote.
    let loader = builder().shuffle(1).try_build(dataset(sorted())).unwrap();
    loader.iter().take(3).for_each(drop);
    let before = loader.state();
    for (key, value, message) in [
        (
            "version",
            1,
            "the state has version 1, but this is version 2; resume with the version of burn-npy",
        ),
        // Random numbers belonged to rows then, not to positions.
        ("order", 2, "version 2 of the order, but this is version 3"),
        ("order", 9, "version 9 of the order, but this is version 3"),
        ("position", 101, "at position 101 of 100"),
    ] {
        let mut edited = json(&state);
        edited[key] = value.into();
        let edited: State = serde_json::from_value(edited).unwrap();
        let error = loader.resume(&edited).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
    assert_eq!(loader.state(), before);
}

#[test]
fn empty_epochs_end_at_once() {
    let loader = builder().batch_size(4).try_build(numbered(0)).unwrap();
    assert!(loader.iter().next().is_none());
    assert_eq!(loader.next_epoch(), 1);
    loader.resume(&loader.state()).unwrap();
    let loader = builder()
        .batch_size(4)
        .drop_last(true)
        .try_build(numbered(3))
        .unwrap();
    assert!(loader.iter().next().is_none());
    assert_eq!((loader.state().epoch(), loader.state().position()), (1, 0));
}
