//! Statistics of columns, compared with what the installed NumPy makes of the same arrays.

use std::path::Path;

use burn_npy::{NpyDataset, Stats};

use crate::{numpy, skip};

/// Writes arrays of several dtypes, and prints for each its name, its number of axes, and the
/// statistics of the whole array and of each channel along each axis of a row: how many numbers are
/// finite, NaN and infinite, and min, max, mean and standard deviation of those that are finite.
const STATISTICS: &str = "
import numpy as np, pathlib, sys
d = pathlib.Path(sys.argv[1])
rng = np.random.default_rng(7)
images = rng.integers(0, 256, (700, 3, 9, 8), np.uint8)
far = 1.7e9 + rng.normal(0, 0.01, (20000, 2))
holes = rng.normal(5, 2, (9000, 4)).astype(np.float32)
holes[rng.random(holes.shape) < 0.1] = np.nan
holes[rng.random(holes.shape) < 0.1] = -np.inf
arrays = {
    'images': images,
    'far': far,
    'holes': holes,
    'halves': rng.normal(0, 1, (5000, 3)).astype(np.float16),
    'large': rng.integers(-2**62, 2**62, 300000),
    'constant': np.full((1000, 2), 0.1),
    'fortran': np.asfortranarray(rng.normal(0, 1, (3000, 5))),
}

def line(x):
    x = x.astype(np.float64)
    f = x[np.isfinite(x)]
    print(f.size, np.isnan(x).sum(), np.isinf(x).sum(), *map(repr, map(float, (
        f.min(), f.max(), f.astype(np.longdouble).mean(), f.astype(np.longdouble).std()))))

for name, x in arrays.items():
    np.save(d / f'{name}.npy', x)
    print('array', name, x.ndim)
    line(x)
    for axis in range(1, x.ndim):
        for channel in range(x.shape[axis]):
            line(np.take(x, channel, axis))
";

/// The numbers of rows of each class, and scikit-learn's balanced weights by its formula.
const CLASSES: &str = "
import numpy as np, pathlib, sys
labels = np.random.default_rng(7).choice(5, 200000, p=[0.7, 0.2, 0.05, 0, 0.05]).astype(np.int16)
np.save(pathlib.Path(sys.argv[1]) / 'labels.npy', labels)
classes, counts = np.unique(labels, return_counts=True)
weights = len(labels) / (len(classes) * np.bincount(labels)[classes])
for row in zip(classes, counts, weights):
    print(*row)
";

fn expect(found: &Stats, line: &str, name: &str) {
    let numbers: Vec<f64> = line.split(' ').map(|x| x.parse().unwrap()).collect();
    let counts = [found.count(), found.nan(), found.infinite()];
    assert_eq!(counts.map(|count| count as f64), numbers[..3], "{name}");
    assert_eq!([found.min(), found.max()], numbers[3..5], "{name}");
    let near = |found: f64, expected: f64| {
        let close = (found - expected).abs() <= 1e-11 * expected.abs();
        assert!(close, "{name}: {found} instead of {expected}");
    };
    // A mean near 0 has the accuracy of the numbers.
    let (mean, std) = (numbers[5], numbers[6]);
    assert!(
        (found.mean() - mean).abs() <= 1e-13 * (mean.abs() + std),
        "{name}: {found:?}"
    );
    if found.min() == found.max() {
        assert_eq!((found.mean(), found.std()), (found.min(), 0.0), "{name}");
    } else {
        near(found.std(), std);
    }
}

#[test]
fn statistics_are_numpys() {
    let Some(python) = numpy::python() else {
        return skip("there is no Python with NumPy");
    };
    let dir = tempfile::tempdir().unwrap();
    let folder: &Path = dir.path();
    let printed = numpy::run(
        &python,
        &["-c".as_ref(), STATISTICS.as_ref(), folder.as_ref()],
    );
    let mut lines = printed.lines();
    let mut arrays = 0;
    while let Some(line) = lines.next() {
        let ["array", name, axes] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        let dataset = NpyDataset::open(folder.join(format!("{name}.npy"))).unwrap();
        expect(&dataset.stats(name).unwrap(), lines.next().unwrap(), name);
        for axis in 1..axes.parse().unwrap() {
            for channel in dataset.stats_axis(name, axis - 1).unwrap() {
                expect(&channel, lines.next().unwrap(), name);
            }
        }
        arrays += 1;
    }
    assert_eq!(arrays, 7);
}

#[test]
fn counts_and_weights_of_classes_are_numpys() {
    let Some(python) = numpy::python() else {
        return skip("there is no Python with NumPy");
    };
    let dir = tempfile::tempdir().unwrap();
    let folder: &Path = dir.path();
    let printed = numpy::run(&python, &["-c".as_ref(), CLASSES.as_ref(), folder.as_ref()]);
    let dataset = NpyDataset::open(folder.join("labels.npy")).unwrap();
    let counts = dataset.class_counts("labels").unwrap();
    let weights = dataset.class_weights("labels", 5).unwrap();
    let found = counts.iter().map(|(class, count)| {
        let weight = weights[*class as usize];
        (*class, *count, weight)
    });
    let expected = printed.lines().map(|line| {
        let words: Vec<&str> = line.split(' ').collect();
        let weight: f64 = words[2].parse().unwrap();
        (
            words[0].parse().unwrap(),
            words[1].parse().unwrap(),
            weight as f32,
        )
    });
    assert!(found.eq(expected), "{counts:?} {weights:?} {printed}");
    assert_eq!((counts.len(), weights[3]), (4, 1.0));
}
