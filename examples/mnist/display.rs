//! The progress of a training: a line a split, and one every five seconds in between.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Write};
use std::time::{Duration, Instant};

use burn::train::logger::{EvaluationProgressLogger, TrainingProgressLogger};
use burn::train::metric::{MetricDefinition, MetricId};
use burn::train::renderer::{
    EvaluationName, MetricState, MetricsRenderer, MetricsRendererEvaluation,
    MetricsRendererTraining,
};

/// Prints lines that are meant for a log.
pub(crate) struct Lines {
    epoch: usize,
    epochs: usize,
    split: String,
    items: usize,
    /// The name of each metric, and its last value.
    metrics: BTreeMap<String, (String, String)>,
    started: Instant,
    printed: Instant,
}

impl Lines {
    pub(crate) fn new() -> Self {
        Self {
            epoch: 1,
            epochs: 0,
            split: String::new(),
            items: 0,
            metrics: BTreeMap::new(),
            started: Instant::now(),
            printed: Instant::now(),
        }
    }

    fn line(&self, done: &str) {
        let mut line = format!(
            "epoch {}/{} {}: {done}",
            self.epoch, self.epochs, self.split
        );
        for (name, value) in self.metrics.values() {
            line += &format!("; {name}: {value}");
        }
        if let Err(error) = writeln!(std::io::stdout(), "{line}") {
            // Burn takes no error here. A reader that closes the pipe, as `head` does, has enough.
            let has_enough = error.kind() == ErrorKind::BrokenPipe;
            std::process::exit(if has_enough { 0 } else { 1 });
        }
    }

    fn update(&mut self, state: MetricState) {
        let (MetricState::Generic(entry) | MetricState::Numeric(entry, _)) = state;
        if let Some((_, value)) = self.metrics.get_mut(&id(&entry.metric_id)) {
            *value = entry.serialized_entry.formatted;
        }
    }
}

impl MetricsRendererTraining for Lines {
    fn update_train(&mut self, state: MetricState) {
        self.update(state);
    }

    fn update_valid(&mut self, state: MetricState) {
        self.update(state);
    }
}

impl TrainingProgressLogger for Lines {
    fn start(&mut self, epochs: usize, first: usize, _: Option<usize>, _: Option<&str>) {
        (self.epoch, self.epochs) = (first.max(1), epochs);
    }

    fn update_epoch(&mut self, epoch: usize) {
        self.epoch = epoch + 1;
    }

    fn start_split(&mut self, split: &str, items: usize) {
        (self.split, self.items) = (split.to_owned(), items);
        (self.started, self.printed) = (Instant::now(), Instant::now());
    }

    fn update_split(&mut self, processed: usize) {
        if self.printed.elapsed() >= Duration::from_secs(5) {
            self.printed = Instant::now();
            self.line(&format!("{processed} of {} images", self.items));
        }
    }

    fn end_split(&mut self) {
        let seconds = self.started.elapsed().as_secs_f64();
        self.line(&format!("{} images in {seconds:.1} s", self.items));
    }

    fn end(&mut self) {}

    /// An event is an iteration; the lines count those.
    fn log_event_training(&mut self, _: String) {}
}

/// A training has no evaluation to show.
impl EvaluationProgressLogger for Lines {
    fn start_global_progress(&mut self, _: usize) {}
    fn start_test(&mut self, _: &str, _: usize) {}
    fn update_test_progress(&mut self, _: usize) {}
    fn end_test(&mut self) {}
    fn end_global_progress(&mut self) {}
    fn log_event_evaluation(&mut self, _: String) {}
}

impl MetricsRendererEvaluation for Lines {
    fn update_test(&mut self, _: EvaluationName, _: MetricState) {}
}

impl MetricsRenderer for Lines {
    fn manual_close(&mut self) {}
    fn register_metric(&mut self, metric: MetricDefinition) {
        let named = (metric.name.to_string(), String::new());
        self.metrics.insert(id(&metric.metric_id), named);
    }
}

/// Metrics are told apart by their ids, which have no order of their own.
fn id(metric: &MetricId) -> String {
    format!("{metric:?}")
}
