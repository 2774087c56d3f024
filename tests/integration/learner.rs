//! Burn's `Learner`, resumed from a checkpoint, sees the epochs that it would have seen. A loader
//! that fails ends it, and says so. It shows metrics of its loaders.

use std::error::Error as _;
use std::path::Path;
use std::sync::{Arc, Mutex};

use burn::data::dataset::{Dataset, DatasetError};
use burn::module::Module;
use burn::nn::loss::{MseLoss, Reduction};
use burn::nn::{Linear, LinearConfig};
use burn::optim::SgdConfig;
use burn::tensor::{Device, Tensor};
use burn::train::logger::{EvaluationProgressLogger, TrainingProgressLogger};
use burn::train::metric::MetricDefinition;
use burn::train::renderer::{
    EvaluationName, MetricState, MetricsRenderer, MetricsRendererEvaluation,
    MetricsRendererTraining,
};
use burn::train::{
    InferenceStep, Learner, RegressionOutput, SupervisedTraining, TrainOutput, TrainStep,
};
use burn_npy::{
    BatchInfo, DataLoaderBuilder, Error, Loader, LoaderMetric, NpyBatcher, NpyDataset, Row,
    ndarray::Array2,
};

const ROWS: usize = 20;

/// What was trained on, batch by batch: the epoch and the rows.
static SEEN: Mutex<Vec<(u64, Vec<u64>)>> = Mutex::new(Vec::new());

type Batch = (Tensor<2>, BatchInfo);

#[derive(Module, Debug)]
struct Line {
    linear: Linear,
}

impl Line {
    fn output(&self, batch: Tensor<2>) -> RegressionOutput {
        let output = self.linear.forward(batch.clone());
        let loss = MseLoss::new().forward(output.clone(), batch.clone(), Reduction::Mean);
        RegressionOutput {
            loss,
            output,
            targets: batch,
        }
    }
}

impl TrainStep for Line {
    type Input = Batch;
    type Output = RegressionOutput;

    fn step(&self, (batch, info): Batch) -> TrainOutput<RegressionOutput> {
        let seen = (info.epoch(), info.rows().to_vec());
        SEEN.lock().unwrap().push(seen);
        let output = self.output(batch);
        TrainOutput::new(self, output.loss.backward(), output)
    }
}

impl InferenceStep for Line {
    type Input = Batch;
    type Output = RegressionOutput;

    fn step(&self, (batch, _): Batch) -> RegressionOutput {
        self.output(batch)
    }
}

fn loader(workers: usize, start_epoch: u64) -> Arc<Loader<Batch>> {
    let values = Array2::from_shape_fn((ROWS, 1), |(row, _)| row as f32 / ROWS as f32);
    DataLoaderBuilder::new(NpyBatcher::<Tensor<2>>::new())
        .map(|batch, info| (batch, info.clone()))
        .batch_size(6)
        .shuffle(5)
        .num_workers(workers)
        .start_epoch(start_epoch)
        .try_build(NpyDataset::from_tensor_slices(values).unwrap())
        .unwrap()
}

/// Trains up to an epoch, and resumes from a checkpoint if there is one.
fn train(folder: &Path, epochs: usize, checkpoint: Option<usize>) -> Vec<(u64, Vec<u64>)> {
    // After `n` epochs of Burn's comes our epoch `n`.
    let start = checkpoint.unwrap_or(0) as u64;
    let device: Device = crate::cpu().autodiff();
    let model = Line {
        linear: LinearConfig::new(1, 1).init(&device),
    };
    let (training_set, validation_set) = (loader(2, start), loader(0, 0));
    let mut training = SupervisedTraining::new(folder, training_set.clone(), validation_set)
        .with_default_checkpointers()
        .with_application_logger(None)
        .renderer(Box::new(Silent))
        .num_epochs(epochs);
    if let Some(checkpoint) = checkpoint {
        training = training.checkpoint(checkpoint);
    }
    let result = training.launch(Learner::new(model, SgdConfig::new().init(), 0.1));
    assert!(result.error.is_none());
    // It trains with a copy, of which the loader tells.
    let report = training_set.report();
    let new = (epochs - checkpoint.unwrap_or(0)) as u64;
    assert_eq!((report.batches(), report.rows()), (4 * new, 20 * new));
    std::mem::take(&mut SEEN.lock().unwrap())
}

/// One training at a time, since all write down what they see in one place.
static ONE: Mutex<()> = Mutex::new(());

#[test]
fn a_learner_that_is_resumed_sees_the_same_epochs() {
    let _one = ONE.lock().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let whole = train(&folder.path().join("whole"), 4, None);
    let epochs: Vec<u64> = whole.iter().map(|(epoch, _)| *epoch).collect();
    assert_eq!(epochs, [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3]);
    assert_ne!(whole[0].1, whole[4].1);

    let folder = folder.path().join("resumed");
    let first = train(&folder, 2, None);
    let rest = train(&folder, 4, Some(2));
    assert_eq!([first, rest].concat(), whole);
}

/// Rows of which one cannot be had.
struct Broken(NpyDataset);

impl Dataset<Row> for Broken {
    fn get(&self, index: usize) -> Result<Row, DatasetError> {
        if index == 13 {
            let error = std::io::Error::other("row 13 of the broken dataset");
            return Err(DatasetError::new(error));
        }
        Ok(self.0.row(index))
    }

    fn len(&self) -> usize {
        self.0.len()
    }
}

/// What was logged by us, of any test.
struct Logged;

static LOGGED: Mutex<Vec<(log::Level, String)>> = Mutex::new(Vec::new());

/// The records of ours with this text, from the first call on.
fn logged(text: &str) -> Vec<(log::Level, String)> {
    // It is the logger of the process already, if another test was first.
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

#[test]
fn a_loader_that_fails_ends_a_learner_and_says_so() {
    let _one = ONE.lock().unwrap();
    assert!(logged("broken dataset").is_empty());
    let folder = tempfile::tempdir().unwrap();
    let values = Array2::from_shape_fn((ROWS, 1), |(row, _)| row as f32 / ROWS as f32);
    let values = NpyDataset::from_tensor_slices(values).unwrap();
    let training_set = DataLoaderBuilder::new(NpyBatcher::<Tensor<2>>::new())
        .map(|batch, info| (batch, info.clone()))
        .batch_size(6)
        .num_workers(2)
        .try_build(Broken(values))
        .unwrap();
    let model = Line {
        linear: LinearConfig::new(1, 1).init(&crate::cpu().autodiff()),
    };
    let training = SupervisedTraining::new(folder.path(), training_set.clone(), loader(0, 0))
        .with_application_logger(None)
        .renderer(Box::new(Silent))
        .num_epochs(3);
    let result = training.launch(Learner::new(model, SgdConfig::new().init(), 0.1));
    SEEN.lock().unwrap().clear();

    let message = "epoch 0, batch 2, row 13: row 13 of the broken dataset";
    let error = result.error.unwrap();
    let error = error.source().and_then(|error| error.source()).unwrap();
    let error: &Error = error.downcast_ref().unwrap();
    assert_eq!((error.row(), &*error.to_string()), (Some(13), message));
    // The other epochs were not begun.
    let report = training_set.report();
    assert_eq!((report.failures(), report.batches()), (1, 2));
    let line = "\npasses that ended with an error: 1\n";
    assert!(format!("{report}\n").contains(line), "{report}");
    assert!(!format!("{}", report.since(&report)).contains("ended with"));
    let expected = (log::Level::Error, message.to_owned());
    assert_eq!(logged("broken dataset"), [expected]);
}

/// The numbers in the log of a metric of the training, and the one of the whole epoch.
fn metric_log(folder: &Path, epoch: usize, metric: &str) -> (Vec<f64>, f64) {
    let file = folder.join(format!("train/epoch-{epoch}/{metric}.log"));
    let text = std::fs::read_to_string(&file).unwrap();
    let mut lines = Vec::from_iter(text.lines());
    let last = lines.pop().unwrap().strip_suffix(",final").unwrap();
    let number = |line: &str| line.parse::<f64>().unwrap();
    (lines.into_iter().map(number).collect(), number(last))
}

#[test]
fn a_learner_logs_what_the_loader_reports() {
    let _one = ONE.lock().unwrap();
    for (epochs, workers) in [(1, 0), (1, 2), (3, 2)] {
        let folder = tempfile::tempdir().unwrap();
        let (training_set, other) = (loader(workers, 0), loader(0, 0));
        let model = Line {
            linear: LinearConfig::new(1, 1).init(&crate::cpu().autodiff()),
        };
        let training = SupervisedTraining::new(folder.path(), training_set.clone(), loader(0, 0))
            .metric_train_numeric(LoaderMetric::rows_per_second(&training_set))
            .metric_train_numeric(LoaderMetric::megabytes_per_second(&training_set))
            .metric_train_numeric(LoaderMetric::waiting(&training_set))
            // Of a loader that nobody asks, nothing is known, also where Burn sums it up.
            .metric_valid_numeric(LoaderMetric::waiting(&other))
            .with_application_logger(None)
            .renderer(Box::new(Silent))
            .num_epochs(epochs)
            .summary();
        let result = training.launch(Learner::new(model, SgdConfig::new().init(), 0.1));
        assert!(result.error.is_none());
        SEEN.lock().unwrap().clear();

        for epoch in 1..=epochs {
            let log = |metric| metric_log(folder.path(), epoch, metric);
            let (rows, all_rows) = log("Loader_Rows_per_Second");
            let (bytes, all_bytes) = log("Loader_MB_per_Second");
            let (waiting, all_waiting) = log("Loader_Waiting");
            let percent = 0.0..=100.0;
            assert!(waiting.iter().all(|value| percent.contains(value)));
            assert!(all_rows > 0.0 && all_bytes > 0.0 && percent.contains(&all_waiting));
            let updates = [rows.len(), bytes.len(), waiting.len()];
            // Metrics are updated by another thread, which may be behind when an epoch begins.
            assert!(updates.iter().all(|updates| (1..=4).contains(updates)));
            if epochs == 1 {
                assert_eq!(updates, [4; 3]);
                let report = training_set.report();
                assert_eq!(all_rows, report.rows_per_second());
                // A row is one `f32`.
                let ratio = all_rows * 4.0 / 1e6 / all_bytes;
                assert!((ratio - 1.0).abs() < 1e-9, "{ratio}");
            }
        }
        assert!(
            !folder
                .path()
                .join("valid/epoch-1/Loader_Waiting.log")
                .exists()
        );
    }
}

/// Shows nothing, also on a terminal.
pub(crate) struct Silent;

impl MetricsRendererTraining for Silent {
    fn update_train(&mut self, _: MetricState) {}
    fn update_valid(&mut self, _: MetricState) {}
}

impl TrainingProgressLogger for Silent {
    fn start(&mut self, _: usize, _: usize, _: Option<usize>, _: Option<&str>) {}
    fn update_epoch(&mut self, _: usize) {}
    fn start_split(&mut self, _: &str, _: usize) {}
    fn update_split(&mut self, _: usize) {}
    fn end_split(&mut self) {}
    fn end(&mut self) {}
    fn log_event_training(&mut self, _: String) {}
}

impl EvaluationProgressLogger for Silent {
    fn start_global_progress(&mut self, _: usize) {}
    fn start_test(&mut self, _: &str, _: usize) {}
    fn update_test_progress(&mut self, _: usize) {}
    fn end_test(&mut self) {}
    fn end_global_progress(&mut self) {}
    fn log_event_evaluation(&mut self, _: String) {}
}

impl MetricsRendererEvaluation for Silent {
    fn update_test(&mut self, _: EvaluationName, _: MetricState) {}
}

impl MetricsRenderer for Silent {
    fn manual_close(&mut self) {}
    fn register_metric(&mut self, _: MetricDefinition) {}
}
