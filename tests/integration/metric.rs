//! The metrics of a loader, updated by hand, beside its report.

use std::time::Duration;

use burn::data::dataloader::Progress;
use burn::tensor::Tensor;
use burn::train::metric::{Metric, MetricAttributes, MetricMetadata, Numeric, NumericEntry};
use burn_npy::ndarray::Array2;
use burn_npy::{Loader, LoaderMetric, NpyDataset, Report};

const ROWS: u64 = 100;

fn loader(workers: usize) -> std::sync::Arc<Loader<Tensor<2>>> {
    let values = Array2::<f32>::zeros((ROWS as usize, 6));
    let data = NpyDataset::from_tensor_slices(values).unwrap();
    let loader = data.loader::<Tensor<2>>().batch_size(8).shuffle(3);
    let loader = loader.num_workers(workers).set_device(crate::cpu());
    loader.try_build().unwrap()
}

/// Updates a metric, as Burn does after each batch.
fn update(metric: &mut LoaderMetric) -> String {
    let metadata = MetricMetadata {
        progress: Progress::new(0, 1, None),
        iteration: None,
        lr: None,
    };
    metric.update(&(), &metadata).unwrap().formatted
}

/// Each metric, with what it is of a report, computed in another way.
type Naive = fn(&Report) -> f64;

fn metrics(loader: &Loader<Tensor<2>>) -> [(LoaderMetric, Naive); 3] {
    let waiting: Naive = |report| {
        let making = [report.waited(), report.upload(), report.map()];
        let making: f64 = making.iter().map(Duration::as_secs_f64).sum();
        100.0 * making / report.wall().as_secs_f64()
    };
    [
        (LoaderMetric::rows_per_second(loader), |report| {
            report.rows() as f64 / report.wall().as_secs_f64()
        }),
        (LoaderMetric::megabytes_per_second(loader), |report| {
            report.rows() as f64 * 24.0 / 1e6 / report.wall().as_secs_f64()
        }),
        (LoaderMetric::waiting(loader), waiting),
    ]
}

fn close(found: f64, expected: f64) {
    let error = (found - expected).abs() / expected.max(1e-3);
    assert!(error < 1e-6, "{found} is not {expected}");
}

#[test]
fn values_are_those_of_the_report_since_the_last_update_and_in_the_epoch() {
    for workers in [0, 2] {
        let loader = loader(workers);
        // What came before does not count.
        assert_eq!(loader.iter().count(), 13);
        for index in 0..3 {
            let (mut metric, naive) = metrics(&loader)[index].clone();
            for _ in 0..2 {
                assert!(metric.value().is_none() && metric.running_value().is_none());
                assert!(update(&mut metric).starts_with("epoch N/A"));
                let (start, mut last) = (loader.report(), loader.report());
                let mut after_last = None;
                for (index, batch) in loader.iter().enumerate() {
                    batch.unwrap();
                    if index == 5 {
                        // An update that comes late has two batches.
                        continue;
                    }
                    let now = loader.report();
                    let shown = update(&mut metric);
                    let (batch, epoch) = (metric.value(), metric.running_value());
                    let (batch, epoch) = (batch.unwrap().current(), epoch.unwrap().current());
                    close(batch, naive(&now.since(&last)));
                    close(epoch, naive(&now.since(&start)));
                    let rows = if index == 6 {
                        16
                    } else if index == 12 {
                        4
                    } else {
                        8
                    };
                    assert_eq!(now.since(&last).rows(), rows);
                    assert!(
                        shown.starts_with("epoch ") && shown.contains(" - batch "),
                        "{shown}"
                    );
                    // Nothing new: the values stay.
                    assert_eq!(update(&mut metric), shown);
                    (last, after_last) = (now, Some(epoch));
                }
                assert_eq!(last.since(&start).rows(), ROWS);
                let NumericEntry::Final(value) = metric.final_value() else {
                    panic!("the value of an epoch is final");
                };
                assert_eq!(Some(value), after_last);
                let logged = metric.compute().unwrap().serialized;
                assert_eq!(logged, format!("{value},final"));
                metric.clear();
            }
        }
    }
}

#[test]
fn waiting_tells_a_slow_loader_from_a_slow_training() {
    let waits = |load: Duration, train: Duration| {
        let values = Array2::<f32>::zeros((20, 6));
        let data = NpyDataset::from_tensor_slices(values).unwrap();
        let loader = data
            .loader::<Tensor<2>>()
            .num_workers(0)
            .set_device(crate::cpu());
        let loader = loader.map(move |batch, _| {
            std::thread::sleep(load);
            batch
        });
        let loader = loader.try_build().unwrap();
        let mut metric = LoaderMetric::waiting(&loader);
        for batch in loader.iter() {
            batch.unwrap();
            update(&mut metric);
            std::thread::sleep(train);
        }
        metric.final_value().current()
    };
    let (short, long) = (Duration::ZERO, Duration::from_millis(10));
    let (slow_loader, slow_training) = (waits(long, short), waits(short, long));
    assert!(slow_loader > 80.0, "{slow_loader} %");
    assert!(slow_training < 50.0, "{slow_training} %");
}

#[test]
fn burn_learns_units_and_which_way_is_better() {
    let loader = loader(0);
    let attributes = metrics(&loader).map(|(metric, _)| {
        let MetricAttributes::Numeric(numeric) = metric.attributes() else {
            panic!("{metric:?} is a number");
        };
        (numeric.unit.unwrap(), numeric.higher_is_better)
    });
    let expected = [("rows/s", true), ("MB/s", true), ("%", false)];
    assert_eq!(
        attributes,
        expected.map(|(unit, higher)| (unit.to_owned(), higher))
    );
    let names = metrics(&loader).map(|(metric, _)| metric.name().to_string());
    let expected = [
        "Loader Rows per Second",
        "Loader MB per Second",
        "Loader Waiting",
    ];
    assert_eq!(names, expected);
}
