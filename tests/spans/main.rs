//! The spans and events of a pass, as a subscriber of the crate `tracing` gets them.
//!
//! One test after the other, and in a process of their own: what `tracing` remembers of a span or
//! an event is decided when a thread comes to it first, by the subscribers that it sees then.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::{Dataset, DatasetError};
use burn::tensor::{Device, Int, Tensor};
use burn_npy::ndarray::{Array1, Array2};
use burn_npy::{Convert, DataLoaderBuilder, Loader, NpyDataset, OnError};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Level, Metadata, Subscriber, dispatcher};

type Fields = BTreeMap<String, String>;

/// Keeps the other tests waiting.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is known of a span.
#[derive(Clone, Debug)]
struct Span {
    name: &'static str,
    level: Level,
    parent: Option<u64>,
    fields: Fields,
    /// The threads that entered it.
    threads: Vec<String>,
    /// How often it is entered and not left, and how many handles there are.
    open: (i64, i64),
}

/// Keeps all spans and events, by number.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Collected>>);

#[derive(Default)]
struct Collected {
    spans: BTreeMap<u64, Span>,
    events: Vec<(Level, Option<u64>, Fields)>,
    /// The spans that each thread is in.
    entered: BTreeMap<String, Vec<u64>>,
}

struct Visitor<'a>(&'a mut Fields);

impl Visit for Visitor<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}"));
    }
}

/// The numbers of spans, of all subscribers, so that none means anything to another.
static NEXT: AtomicU64 = AtomicU64::new(1);

fn this_thread() -> String {
    let thread = thread::current();
    let name = thread.name().unwrap_or_default();
    format!("{name} {:?}", thread.id())
}

impl Collector {
    fn change(&self, id: &Id, change: impl FnOnce(&mut Span)) {
        let mut collected = self.0.lock().unwrap();
        change(
            collected
                .spans
                .get_mut(&id.into_u64())
                .expect("a span of this subscriber"),
        );
    }

    /// Runs something while this is the subscriber of the thread.
    fn during<T>(&self, run: impl FnOnce() -> T) -> T {
        dispatcher::with_default(&Dispatch::new(self.clone()), run)
    }

    fn spans(&self, name: &str) -> Vec<(u64, Span)> {
        let collected = self.0.lock().unwrap();
        let named = collected.spans.iter().filter(|(_, span)| span.name == name);
        named.map(|(id, span)| (*id, span.clone())).collect()
    }

    fn events(&self, message: &str) -> Vec<(Level, Option<u64>, Fields)> {
        let collected = self.0.lock().unwrap();
        let with = |fields: &Fields| fields["message"].contains(message);
        let events = collected.events.iter().filter(|(.., fields)| with(fields));
        events.cloned().collect()
    }
}

impl Subscriber for Collector {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "burn_npy"
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut collected = self.0.lock().unwrap();
        let inside = collected.entered.get(&this_thread());
        let inside = inside.and_then(|spans| spans.last().copied());
        let parent = match span.parent() {
            Some(parent) => Some(parent.into_u64()),
            None => inside.filter(|_| span.is_contextual()),
        };
        let mut fields = Fields::new();
        span.record(&mut Visitor(&mut fields));
        let (metadata, id) = (span.metadata(), NEXT.fetch_add(1, Ordering::Relaxed));
        let span = Span {
            name: metadata.name(),
            level: *metadata.level(),
            parent,
            fields,
            threads: Vec::new(),
            open: (0, 1),
        };
        collected.spans.insert(id, span);
        Id::from_u64(id)
    }

    fn record(&self, id: &Id, values: &Record<'_>) {
        self.change(id, |span| values.record(&mut Visitor(&mut span.fields)));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::new();
        event.record(&mut Visitor(&mut fields));
        let mut collected = self.0.lock().unwrap();
        let inside = collected.entered.get(&this_thread());
        let inside = inside.and_then(|spans| spans.last().copied());
        collected
            .events
            .push((*event.metadata().level(), inside, fields));
    }

    fn enter(&self, id: &Id) {
        self.change(id, |span| {
            span.threads.push(this_thread());
            span.open.0 += 1;
        });
        let mut collected = self.0.lock().unwrap();
        let entered = collected.entered.entry(this_thread()).or_default();
        entered.push(id.into_u64());
    }

    fn exit(&self, id: &Id) {
        self.change(id, |span| span.open.0 -= 1);
        let mut collected = self.0.lock().unwrap();
        let left = collected.entered.get_mut(&this_thread()).unwrap().pop();
        assert_eq!(
            left,
            Some(id.into_u64()),
            "spans are left in the reverse order"
        );
    }

    fn clone_span(&self, id: &Id) -> Id {
        self.change(id, |span| span.open.1 += 1);
        id.clone()
    }

    fn try_close(&self, id: Id) -> bool {
        let mut is_last = false;
        self.change(&id, |span| {
            span.open.1 -= 1;
            is_last = span.open.1 == 0;
        });
        is_last
    }
}

/// A dataset of nothing but numbers, and a batcher that keeps them.
struct Indices(usize);

impl Dataset<u64> for Indices {
    fn get(&self, index: usize) -> Result<u64, DatasetError> {
        Ok(index as u64)
    }

    fn len(&self) -> usize {
        self.0
    }
}

#[derive(Clone)]
struct Keep;

impl Batcher<u64, Vec<u64>> for Keep {
    fn batch(&self, items: Vec<u64>, _: &Device) -> Vec<u64> {
        items
    }
}

/// What was logged by us.
struct Logged;

static LOGGED: Mutex<Vec<(log::Level, String)>> = Mutex::new(Vec::new());

/// The records of ours with this text, from the first call on.
fn logged(text: &str) -> Vec<(log::Level, String)> {
    // It is the logger of the process already, after the first call.
    let _ = log::set_logger(&Logged);
    log::set_max_level(log::LevelFilter::Error);
    let logged = LOGGED.lock().unwrap();
    let ours = logged.iter().filter(|(_, line)| line.contains(text));
    ours.cloned().collect()
}

impl log::Log for Logged {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        if record.target().starts_with("burn_npy") {
            let line = (record.level(), record.args().to_string());
            LOGGED.lock().unwrap().push(line);
        }
    }

    fn flush(&self) {}
}

fn number(span: &Span, field: &str) -> u64 {
    span.fields[field].parse().unwrap()
}

/// 100 rows of 24 bytes, in 13 batches.
fn loader(workers: usize) -> Arc<Loader<Tensor<2>>> {
    let values = Array2::<f32>::zeros((100, 6));
    let data = NpyDataset::from_tensor_slices(values).unwrap();
    let loader = data.loader::<Tensor<2>>().batch_size(8).shuffle(3);
    let loader = loader.num_workers(workers).set_device(Device::default());
    loader.try_build().unwrap()
}

#[test]
fn a_pass_is_a_span_with_its_loads_and_uploads() {
    let _alone = alone();
    for workers in [0, 2] {
        let (loader, collector) = (loader(workers), Collector::default());
        collector.during(|| {
            for _ in 0..2 {
                assert_eq!(loader.iter().map(Result::unwrap).count(), 13);
            }
        });
        // Without the subscriber of the thread, nobody hears of a pass.
        assert_eq!(loader.iter().count(), 13);

        let (passes, loads) = (collector.spans("pass"), collector.spans("load"));
        let uploads = collector.spans("upload");
        assert_eq!(passes.len(), 2);
        for (epoch, (id, pass)) in passes.iter().enumerate() {
            assert_eq!((pass.level, pass.parent), (Level::INFO, None));
            let fields = ["epoch", "batches", "rows"].map(|field| number(pass, field));
            assert_eq!((fields, pass.fields.len()), ([epoch as u64, 13, 100], 3));
            let of_pass = |(_, span): &&(u64, Span)| span.parent == Some(*id);

            // Claims are made in order, and each batch is loaded once.
            let loads = Vec::from_iter(loads.iter().filter(of_pass));
            let mut claims = Vec::from_iter(loads.iter().map(|(_, load)| {
                assert_eq!((load.level, load.fields.len()), (Level::DEBUG, 3));
                ["first", "batches", "rows"].map(|field| number(load, field))
            }));
            claims.sort_unstable();
            let mut next = 0;
            for [first, batches, rows] in claims {
                assert_eq!(first, next);
                next += batches;
                assert_eq!(rows, (8 * next).min(100) - 8 * first);
            }
            assert_eq!(next, 13);

            let uploads = Vec::from_iter(uploads.iter().filter(of_pass));
            assert_eq!(uploads.len(), 13);
            for (batch, (_, upload)) in uploads.into_iter().enumerate() {
                assert_eq!((upload.level, upload.fields.len()), (Level::DEBUG, 3));
                let rows = if batch < 12 { 8 } else { 4 };
                let fields = ["batch", "rows", "bytes"].map(|field| number(upload, field));
                assert_eq!(fields, [batch as u64, rows, 24 * rows]);
            }
        }
        let all = [&passes, &loads, &uploads].into_iter().flatten();
        assert_eq!(all.clone().count(), collector.0.lock().unwrap().spans.len());
        for (_, span) in all {
            assert!(!span.threads.is_empty(), "{span:?} was not entered");
            assert_eq!(span.open, (0, 0), "{span:?} is not closed");
        }

        let started = collector.events("workers started");
        let threads = loader.report().workers();
        assert_eq!(started.len(), if workers == 0 { 0 } else { 2 });
        for ((level, inside, fields), (pass, _)) in started.iter().zip(&passes) {
            assert_eq!((*level, *inside), (Level::DEBUG, Some(*pass)));
            assert_eq!(fields["workers"], threads.to_string());
        }
    }
}

#[test]
fn code_of_the_user_runs_in_the_spans_of_the_workers() {
    let _alone = alone();
    let (collector, data) = (Collector::default(), Indices(24));
    let loader = DataLoaderBuilder::new(Keep).num_workers(2);
    let loader = loader.try_build(data).unwrap();
    collector.during(|| assert_eq!(loader.iter().count(), 24));
    let (loads, [(pass, _)]) = (collector.spans("load"), &*collector.spans("pass")) else {
        panic!("there is one pass");
    };
    assert_eq!(loads.len(), 24);
    for (_, load) in loads {
        assert_eq!(load.parent, Some(*pass));
        let [thread] = &*load.threads else {
            panic!("{load:?}")
        };
        assert!(thread.starts_with("burn-npy-"), "{thread}");
    }
    // Such batches are no host memory that goes to a device.
    assert!(collector.spans("upload").is_empty());
    assert_eq!(collector.events("workers started")[0].2["workers"], "2");
}

#[test]
fn a_window_that_grew_is_told_of_at_the_end() {
    let _alone = alone();
    let values = Array2::<f32>::zeros((400, 6));
    let slow = burn_npy::transform::from_fn::<f32, f32>(|row, mut out, _| {
        thread::sleep(Duration::from_millis(1));
        out.assign(&row);
        Ok(())
    });
    let data = NpyDataset::from_arrays([("values", values)]).unwrap();
    let data = data.map("values", slow).unwrap();
    let loader = data
        .loader::<Tensor<2>>()
        .num_workers(2)
        .set_device(Device::default());
    let loader = loader.try_build().unwrap();
    let (collector, before) = (Collector::default(), loader.report().prefetch());
    collector.during(|| {
        let mut pass = loader.iter();
        for _ in 0..10 {
            // The workers fill the window, and the consumer takes all of it at once.
            thread::sleep(Duration::from_millis(100));
            assert_eq!(pass.by_ref().take(40).count(), 40);
        }
    });
    let after = loader.report().prefetch();
    assert!(after > before, "{after} batches ahead, {before} before");
    let [(level, inside, fields)] = &*collector.events("the window grew") else {
        panic!("it grew in one pass");
    };
    assert_eq!(
        (*level, *inside),
        (Level::DEBUG, Some(collector.spans("pass")[0].0))
    );
    let grew = ["from", "to"].map(|field| fields[field].parse::<usize>().unwrap());
    assert_eq!(grew[1] - grew[0], after - before);
}

/// Labels of which row 13 is no integer.
fn broken(on_error: OnError) -> Arc<Loader<Tensor<1, Int>>> {
    let mut values = Array1::<f64>::zeros(20);
    values[13] = f64::NAN;
    let data = NpyDataset::from_arrays([("spans", values)]).unwrap();
    let data = data.convert("spans", Convert::to::<i32>()).unwrap();
    let loader = data.loader::<Tensor<1, Int>>().batch_size(4).num_workers(2);
    let loader = loader.on_error(on_error).set_device(Device::default());
    loader.try_build().unwrap()
}

#[test]
fn a_skipped_row_and_a_failed_pass_are_events() {
    let _alone = alone();
    let collector = Collector::default();
    let loader = broken(OnError::SkipRows(1));
    collector.during(|| {
        for _ in 0..2 {
            assert_eq!(loader.iter().map(Result::unwrap).count(), 5);
        }
    });
    // Once, as the loader lists it.
    let [(level, inside, fields)] = &*collector.events("a row is skipped") else {
        panic!("one row is skipped, once");
    };
    let passes = collector.spans("pass");
    assert_eq!((*level, *inside), (Level::WARN, Some(passes[0].0)));
    let place = ["epoch", "batch", "row"].map(|field| &*fields[field]);
    assert_eq!(place, ["0", "3", "13"]);
    assert_eq!(
        fields["reason"],
        format!("{:?}", loader.skipped()[0].reason)
    );

    // An event is not logged once more.
    let text = "row 13: `spans`";
    assert!(logged(text).is_empty());
    let (collector, loader) = (Collector::default(), broken(OnError::Fail));
    let fail = || loader.iter().find_map(Result::err).unwrap().to_string();
    let message = collector.during(fail);
    let [(level, inside, fields)] = &*collector.events(text) else {
        panic!("the pass fails once");
    };
    assert_eq!(
        (*level, *inside),
        (Level::ERROR, Some(collector.spans("pass")[0].0))
    );
    let place = ["epoch", "batch", "row"].map(|field| &*fields[field]);
    assert_eq!((place, &*fields["message"]), (["0", "3", "13"], &*message));
    assert!(logged(text).is_empty());
    // Where nobody listens, it is.
    let message = fail();
    assert_eq!(logged(text), [(log::Level::Error, message)]);
}

/// A subscriber that panics in one of its methods.
struct Panics(&'static str, AtomicU64);

impl Panics {
    fn at(&self, place: &str) {
        if self.0 == place {
            self.1.fetch_add(1, Ordering::Relaxed);
            std::panic::panic_any("the subscriber");
        }
    }
}

impl Subscriber for Panics {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "burn_npy"
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        self.at("new_span");
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {
        self.at("event");
    }

    fn enter(&self, _: &Id) {
        self.at("enter");
    }

    fn exit(&self, _: &Id) {
        self.at("exit");
    }

    fn clone_span(&self, id: &Id) -> Id {
        self.at("clone_span");
        id.clone()
    }

    fn try_close(&self, _: Id) -> bool {
        self.at("try_close");
        false
    }
}

#[test]
fn a_subscriber_that_panics_costs_no_batch() {
    let _alone = alone();
    for place in [
        "new_span",
        "enter",
        "exit",
        "clone_span",
        "try_close",
        "event",
    ] {
        for workers in [0, 2] {
            let subscriber = Arc::new(Panics(place, AtomicU64::new(0)));
            dispatcher::with_default(&Dispatch::from(subscriber.clone()), || {
                let batches = loader(workers).iter().map(Result::unwrap).count();
                assert_eq!(batches, 13, "{place}");
                let skipped = broken(OnError::SkipRows(1));
                assert_eq!(skipped.iter().map(Result::unwrap).count(), 5, "{place}");
            });
            assert!(
                subscriber.1.load(Ordering::Relaxed) > 0,
                "{place} was not called"
            );
        }
    }
}
