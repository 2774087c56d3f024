//! The progress of a training where there is no terminal: a line a split, and one every five seconds in between.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use burn::train::logger::{EvaluationProgressLogger, TrainingProgressLogger};
use burn::train::metric::MetricDefinition;
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
    metrics: BTreeMap<String, String>,
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
        let metrics: Vec<_> = self.metrics.values().map(String::as_str).collect();
        println!(
            "epoch {}/{} {}: {done}  {}",
            self.epoch,
            self.epochs,
            self.split,
            metrics.join("  ")
        );
    }

    fn update(&mut self, state: MetricState) {
        let (MetricState::Generic(entry) | MetricState::Numeric(entry, _)) = state;
        let id = format!("{:?}", entry.metric_id);
        self.metrics.insert(id, entry.serialized_entry.formatted);
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
        self.metrics.clear();
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

    fn log_event_training(&mut self, event: String) {
        println!("{event}");
    }
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
    fn register_metric(&mut self, _: MetricDefinition) {}
}
