//! Every place where code of the user runs, with everything that it can do wrong: one error, and
//! the next pass is whole.
//!
//! Each case is a process of its own, so the tests see if one aborts or hangs.

use std::error::Error;
use std::fmt;
use std::panic::panic_any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::{Dataset, DatasetError};
use burn::tensor::{Device, Int, Tensor};
use burn_npy::{Batch, DataLoaderBuilder, Loader, NpyBatcher, OnError};

use crate::{child, numbered};

const ROWS: usize = 64;
/// The row over which code of the user fails.
const BAD: usize = 20;

/// Where code of the user fails.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    Len,
    Get,
    GetMany,
    /// It gives one item too few, and its items may fail when they are dropped.
    Items,
    Batcher,
    BatchType,
    /// A function given to `map`, behind our batcher and behind another one.
    MapOfOurs,
    MapOfOthers,
    /// A pass is dropped while batches are loaded ahead.
    LoadedAhead,
    Logger,
}

/// How it fails.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    Panic,
    /// With something that panics when it is dropped, with something that panics when it is
    /// dropped.
    PanicOfBomb,
    Error,
    ErrorThatPanicsWhenShown,
    ErrorThatPanicsWhenDropped,
    ErrorThatIsItsOwnSource,
    ErrorWhoseSourcePanics,
}

const PANICS: [Fault; 2] = [Fault::Panic, Fault::PanicOfBomb];
const ALL: [Fault; 7] = [
    Fault::Panic,
    Fault::PanicOfBomb,
    Fault::Error,
    Fault::ErrorThatPanicsWhenShown,
    Fault::ErrorThatPanicsWhenDropped,
    Fault::ErrorThatIsItsOwnSource,
    Fault::ErrorWhoseSourcePanics,
];
const PLACES: [(Place, &[Fault]); 10] = [
    (Place::Len, &PANICS),
    (Place::Get, &ALL),
    (Place::GetMany, &ALL),
    (Place::Items, &PANICS),
    (Place::Batcher, &PANICS),
    (Place::BatchType, &PANICS),
    (Place::MapOfOurs, &PANICS),
    (Place::MapOfOthers, &PANICS),
    (Place::LoadedAhead, &PANICS),
    (Place::Logger, &PANICS),
];

#[derive(Clone, Copy)]
struct Case(Place, Fault);

/// Whether code fails now.
static FAILS: AtomicBool = AtomicBool::new(false);

struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic_any(Bomb);
        }
    }
}

#[derive(Clone, Copy)]
struct Bad(Fault);

impl fmt::Display for Bad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        assert!(self.0 != Fault::ErrorThatPanicsWhenShown, "not shown");
        f.write_str("bad")
    }
}

impl fmt::Debug for Bad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[derive(Debug)]
struct BadError(Bad);

impl fmt::Display for BadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for BadError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self.0.0 {
            Fault::ErrorThatIsItsOwnSource => Some(self),
            Fault::ErrorWhoseSourcePanics => panic!("no source"),
            _ => None,
        }
    }
}

impl Drop for BadError {
    fn drop(&mut self) {
        if self.0.0 == Fault::ErrorThatPanicsWhenDropped && !std::thread::panicking() {
            panic_any(Bomb);
        }
    }
}

impl Fault {
    /// Fails, now and over some rows.
    fn over(self, rows: &[usize]) -> Result<(), DatasetError> {
        if !FAILS.load(Ordering::SeqCst) || !rows.contains(&BAD) {
            return Ok(());
        }
        match self {
            Fault::Panic => panic!("boom"),
            Fault::PanicOfBomb => panic_any(Bomb),
            _ => Err(DatasetError::new(BadError(Bad(self)))),
        }
    }
}

impl Case {
    fn at(self, place: Place, rows: &[usize]) -> Result<(), DatasetError> {
        if self.0 == place {
            return self.1.over(rows);
        }
        Ok(())
    }

    fn panic_at(self, place: Place, rows: &[usize]) {
        // There, cases have panics only.
        self.at(place, rows).unwrap();
    }
}

/// A row that may fail when it is dropped.
struct Item(usize, Case);

impl Drop for Item {
    fn drop(&mut self) {
        let of_bad_batch = self.0 / 8 == BAD / 8;
        if of_bad_batch && !std::thread::panicking() {
            self.1.panic_at(Place::Items, &[BAD]);
        }
    }
}

impl Dataset<Item> for Case {
    fn get(&self, index: usize) -> Result<Item, DatasetError> {
        self.at(Place::Get, &[index])?;
        Ok(Item(index, *self))
    }

    fn get_many(&self, indices: Vec<usize>) -> Result<Vec<Item>, DatasetError> {
        self.at(Place::GetMany, &indices)?;
        let is_short = self.0 == Place::Items && FAILS.load(Ordering::SeqCst);
        let count = indices.len() - usize::from(is_short && indices.contains(&BAD));
        let indices = indices.into_iter().take(count);
        indices.map(|index| self.get(index)).collect()
    }

    fn len(&self) -> usize {
        self.panic_at(Place::Len, &[BAD]);
        ROWS
    }
}

/// A batch, which may fail when it is dropped.
struct Rows(Case);

impl Drop for Rows {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.0.panic_at(Place::LoadedAhead, &[BAD]);
        }
    }
}

impl Batcher<Item, Rows> for Case {
    fn batch(&self, items: Vec<Item>, _: &Device) -> Rows {
        let rows = Vec::from_iter(items.iter().map(|item| item.0));
        // So that they are not dropped while the batcher panics.
        items.into_iter().for_each(drop);
        self.panic_at(Place::Batcher, &rows);
        Rows(*self)
    }
}

/// A batch of our batcher that fails.
struct Ours;

/// What it fails with, for a constructor that gets tensors only.
static BATCH_TYPE: std::sync::OnceLock<Fault> = std::sync::OnceLock::new();

impl Batch for Ours {
    type Tensors = Tensor<1, Int>;

    fn from_tensors(tensor: Tensor<1, Int>) -> Self {
        let rows: Vec<i64> = tensor.into_data().iter().collect();
        let rows = Vec::from_iter(rows.into_iter().map(|row| row as usize));
        if let Some(fault) = BATCH_TYPE.get() {
            fault.over(&rows).unwrap();
        }
        Self
    }
}

/// A logger that fails.
impl log::Log for Case {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        if record.target().starts_with("burn_npy") {
            self.panic_at(Place::Logger, &[BAD]);
        }
    }

    fn flush(&self) {}
}

/// The number of batches, and the messages of the errors, shown in each way.
fn pass<O: Send + 'static>(loader: &Loader<O>) -> (usize, Vec<String>) {
    let (mut batches, mut errors) = (0, Vec::new());
    for batch in loader.iter() {
        match batch {
            // As if the training had used it.
            Ok(batch) => {
                std::mem::forget(batch);
                batches += 1;
            }
            Err(error) => {
                assert!(!format!("{error:?}").is_empty());
                let shown = error.to_string();
                // Nothing of it panics, whatever is inside.
                let _ = (error.source(), error.get_ref().is_some());
                assert_eq!(DatasetError::from(error).to_string(), shown);
                errors.push(shown);
            }
        }
    }
    (batches, errors)
}

/// Runs a case with each policy and number of workers, and tells what comes.
fn run<O: Send + 'static>(
    case: Case,
    of_a_row: bool,
    message: &str,
    build: impl Fn(OnError, usize) -> Arc<Loader<O>>,
) {
    for workers in [0, 2] {
        for on_error in [OnError::Fail, OnError::SkipRows(1)] {
            let loader = build(on_error, workers);
            FAILS.store(true, Ordering::SeqCst);
            for number in 0..2 {
                let (batches, errors) = pass(&loader);
                if of_a_row && on_error != OnError::Fail {
                    assert_eq!((batches, errors), (8, vec![]));
                    let skipped = loader.skipped();
                    assert_eq!((skipped.len(), skipped[0].row), (1, BAD as u64));
                    assert_eq!(skipped[0].reason, message);
                    continue;
                }
                assert_eq!((batches, errors.len()), (2, 1), "{errors:?}");
                let start = format!("epoch {number}, batch 2");
                assert!(errors[0].starts_with(&start), "{}", errors[0]);
                assert!(errors[0].ends_with(message), "{}", errors[0]);
                assert_eq!(loader.report().failures(), number + 1);
                assert!(loader.skipped().is_empty());
            }
            FAILS.store(false, Ordering::SeqCst);
            assert_eq!(pass(&loader), (8, vec![]));
        }
    }
    let skipped = if of_a_row { "or a skipped row" } else { "" };
    child::end(&format!("{:?} {:?}: {message} {skipped}", case.0, case.1));
}

fn run_case(case: Case) {
    let Case(place, fault) = case;
    let others = move |on_error, workers| {
        DataLoaderBuilder::new(case)
            .batch_size(8)
            .num_workers(workers)
            .on_error(on_error)
            .set_device(crate::cpu())
    };
    let ours = |on_error, workers| {
        DataLoaderBuilder::new(NpyBatcher::<Ours>::new())
            .batch_size(8)
            .num_workers(workers)
            .on_error(on_error)
            .set_device(crate::cpu())
    };
    let panicked = |who| match fault {
        Fault::Panic => format!("the {who} panicked: boom"),
        Fault::PanicOfBomb => format!("the {who} panicked: no message"),
        Fault::ErrorThatPanicsWhenShown => {
            "the `Display` of an error panicked: not shown".to_owned()
        }
        _ => "bad".to_owned(),
    };
    match place {
        Place::Len => {
            FAILS.store(true, Ordering::SeqCst);
            let built = others(OnError::SkipRows(1), 2).try_build(case);
            let message = built.unwrap_err().to_string();
            assert_eq!(message, panicked("dataset"));
            FAILS.store(false, Ordering::SeqCst);
            let built = others(OnError::Fail, 2).try_build(case).unwrap();
            assert_eq!(pass(&built), (8, vec![]));
            child::end(&format!("{place:?} {fault:?}: {message}"));
        }
        Place::Get | Place::GetMany => {
            let message = panicked("dataset");
            run(case, true, &message, |on_error, workers| {
                others(on_error, workers).try_build(case).unwrap()
            });
        }
        Place::Items => {
            let message = "the dataset gave 7 items when asked for 8";
            run(case, false, message, |on_error, workers| {
                others(on_error, workers).try_build(case).unwrap()
            });
        }
        Place::Batcher => {
            let message = panicked("batcher");
            run(case, true, &message, |on_error, workers| {
                others(on_error, workers).try_build(case).unwrap()
            });
        }
        Place::BatchType => {
            BATCH_TYPE.set(fault).unwrap();
            let message = panicked("batch type");
            run(case, false, &message, |on_error, workers| {
                ours(on_error, workers).try_build(numbered(ROWS)).unwrap()
            });
        }
        Place::MapOfOurs | Place::MapOfOthers => {
            let message = panicked("map");
            let rows = |info: &burn_npy::BatchInfo| {
                Vec::from_iter(info.rows().iter().map(|row| *row as usize))
            };
            run(case, false, &message, |on_error, workers| {
                if place == Place::MapOfOurs {
                    let loader = ours(on_error, workers);
                    let loader = loader.map(move |_, info| case.panic_at(place, &rows(info)));
                    loader.try_build(numbered(ROWS)).unwrap()
                } else {
                    let loader = others(on_error, workers);
                    let loader = loader.map(move |_, info| case.panic_at(place, &rows(info)));
                    loader.try_build(case).unwrap()
                }
            });
        }
        Place::LoadedAhead => {
            for workers in [0, 1, 3] {
                let loader = others(OnError::Fail, workers).try_build(case).unwrap();
                FAILS.store(true, Ordering::SeqCst);
                for _ in 0..20 {
                    let mut iter = loader.iter();
                    std::mem::forget(iter.next().unwrap().unwrap());
                    // The workers load what they may.
                    std::thread::sleep(std::time::Duration::from_millis(2));
                }
                FAILS.store(false, Ordering::SeqCst);
                assert_eq!(pass(&loader), (8, vec![]));
            }
            child::end(&format!("{place:?} {fault:?}: no error"));
        }
        Place::Logger => {
            log::set_boxed_logger(Box::new(case)).unwrap();
            log::set_max_level(log::LevelFilter::Error);
            let dataset = Case(Place::Get, Fault::Error);
            run(case, true, "bad", |on_error, workers| {
                others(on_error, workers).try_build(dataset).unwrap()
            });
        }
    }
}

/// One case, named by the environment.
#[test]
#[ignore = "a process of the other tests"]
fn one_case() {
    let name = std::env::var("CASE").unwrap();
    let cases = PLACES.iter().flat_map(|(place, faults)| {
        let case = |fault: &Fault| Case(*place, *fault);
        faults.iter().map(case)
    });
    let mut cases = cases.filter(|case| format!("{:?} {:?}", case.0, case.1) == name);
    run_case(cases.next().unwrap());
}

#[test]
fn whatever_code_of_the_user_does_is_one_error_and_the_next_pass_is_whole() {
    for (place, faults) in PLACES {
        for fault in faults {
            let case = format!("{place:?} {fault:?}");
            let ended = child::run("user_code::one_case", &[("CASE", &case)]);
            println!("{ended}");
        }
    }
}
