use burn_npy_core::ndarray::{Array1, Array2, array};
use burn_npy_core::{Array, Convert, order::PositionRng, rand_core::Rng};

use super::*;
use crate::dataset::tests::numbers;

/// What windows of rows should be: for each, the rows of `x` and those of `x_next`.
fn naive(ends: &[usize], windows: &Windows) -> Vec<[Vec<i64>; 2]> {
    let mut all = Vec::new();
    let mut start = 0;
    for &end in ends {
        for first in (start..end).step_by(windows.stride) {
            let step = |step: usize| first + step * windows.dilation;
            let next = match (windows.horizon, windows.shifted) {
                (Some(horizon), _) => {
                    let after = windows.length + windows.gap;
                    after..after + horizon
                }
                (_, Some(by)) => by..by + windows.length,
                _ => 0..0,
            };
            let parts = [0..windows.length, next];
            let parts = parts.map(|steps| steps.map(step).collect::<Vec<_>>());
            if parts.iter().flatten().all(|row| *row < end) {
                all.push(parts.map(|rows| rows.iter().map(|row| *row as i64).collect()));
            }
        }
        start = end;
    }
    all
}

struct Random(PositionRng);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        (self.0.next_u64() % bound as u64) as usize
    }

    /// Ends of groups of `rows` rows, some of them empty.
    fn ends(&mut self, rows: usize) -> Vec<usize> {
        let mut ends: Vec<usize> = (0..self.below(5)).map(|_| self.below(rows + 1)).collect();
        ends.push(rows);
        ends.sort();
        ends
    }

    fn windows(&mut self) -> Windows {
        let mut windows = Windows::new(1 + self.below(4))
            .dilation(1 + self.below(3))
            .stride(1 + self.below(6));
        match self.below(3) {
            0 => windows = windows.horizon(1 + self.below(3)).gap(self.below(3)),
            1 => windows = windows.shifted(1 + self.below(4)),
            _ => {}
        }
        windows
    }
}

/// A column of row numbers, plain or made of other columns.
fn row_numbers(random: &mut Random, rows: usize) -> NpyDataset {
    let numbers = numbers(rows);
    match random.below(5) {
        0 => numbers,
        1 => {
            let cut = random.below(rows + 1);
            NpyDataset::concat([numbers.take(cut), numbers.skip(cut)]).unwrap()
        }
        2 => {
            let later = Array1::from_iter(-3..rows as i64);
            NpyDataset::from_tensor_slices(later).unwrap().skip(3)
        }
        3 => {
            let table = Array2::from_shape_fn((2, rows), |(_, row)| row as i64);
            let table = Array::from(table.reversed_axes());
            let table = NpyDataset::from_arrays([("t", table)]).unwrap();
            table.split_column("t", [("0", 1)]).unwrap()
        }
        _ => numbers.convert("0", Convert::to::<i32>()).unwrap(),
    }
    .convert("0", Convert::to::<i64>())
    .unwrap()
}

fn parts(dataset: &NpyDataset, row: usize) -> [Vec<i64>; 2] {
    let row = dataset.row(row);
    let of = |name| {
        row.get::<i64>(name)
            .map(|values| values.into_iter().collect())
    };
    [of("0").unwrap(), of("0_next").unwrap_or_default()]
}

#[test]
fn windows_are_their_naive_twins() {
    let mut random = Random(PositionRng::new(3, 1, 4));
    let (mut some, mut none) = (0, 0);
    for case in 0..3000 {
        let rows = random.below(40);
        let dataset = row_numbers(&mut random, rows);
        let mut windows = random.windows();
        let mut ends = vec![rows];
        match random.below(3) {
            0 => {
                ends = random.ends(rows);
                windows = windows.within(ends.iter().map(|end| *end as i32)).unwrap();
            }
            1 => {
                ends = random.ends(rows);
                windows = windows.group_by("group");
            }
            _ => {}
        }
        let group = |row| ends.iter().filter(|end| **end <= row).count() as u8;
        let groups = Array1::from_iter((0..rows).map(group));
        let groups = NpyDataset::from_tensor_slices((("group", groups),)).unwrap();
        let dataset = dataset.zip(&groups).unwrap();
        let expected = naive(&ends, &windows);
        let found = dataset.windows(windows.clone());
        if expected.is_empty() {
            assert_eq!(found.unwrap_err().kind(), ErrorKind::Shape, "{windows:?}");
            none += 1;
            continue;
        }
        let found = found.unwrap();
        let all: Vec<_> = (0..found.len()).map(|row| parts(&found, row)).collect();
        assert_eq!(
            all, expected,
            "case {case}: {rows} rows, {ends:?}, {windows:?}"
        );
        let first = |row: usize| found.row(row).index() as i64;
        assert!((0..found.len()).all(|row| first(row) == expected[row][0][0]));
        some += 1;
    }
    assert!(some > 1000 && none > 200, "{some} {none}");
}

#[test]
fn no_row_is_in_both_parts_of_a_split() {
    let mut random = Random(PositionRng::new(2, 7, 1));
    let (mut compared, mut refused) = (0, 0);
    for case in 0..3000 {
        let rows = 20 + random.below(60);
        let mut dataset = row_numbers(&mut random, rows);
        for _ in 0..1 + random.below(2) {
            let mut windows = random.windows();
            if random.below(2) == 0 {
                windows = windows.within(random.ends(dataset.len())).unwrap();
            }
            // The second of two windows would have a column twice.
            let Ok(next) = dataset.windows(windows) else {
                continue;
            };
            dataset = next;
            match random.below(5) {
                0 => dataset = dataset.skip(random.below(4)),
                1 => {
                    let cut = random.below(dataset.len() + 1);
                    let later = dataset.skip(cut);
                    dataset = NpyDataset::concat([dataset.take(cut), later]).unwrap();
                }
                _ => {}
            }
        }
        let rows_of = |dataset: &NpyDataset| -> HashSet<i64> {
            let mut rows = HashSet::new();
            for (name, _) in dataset.columns() {
                rows.extend(dataset.read::<i64>(name).unwrap());
            }
            rows
        };
        let fraction = [0.3, 0.5, 0.8][random.below(3)];
        let Ok((train, valid)) = dataset.split_in_time(fraction) else {
            refused += 1;
            continue;
        };
        let (a, b) = (rows_of(&train), rows_of(&valid));
        assert!(a.is_disjoint(&b), "case {case}: {dataset:?}");
        match dataset.split(fraction, 1) {
            // Rows that are not in neighbouring windows are never in two.
            Ok((train, valid)) => assert!(rows_of(&train).is_disjoint(&rows_of(&valid))),
            Err(error) => assert!(error.to_string().contains("use split_in_time"), "{error}"),
        }
        compared += 1;
    }
    assert!(compared > 2000 && refused > 100, "{compared} {refused}");
}

#[test]
fn as_few_windows_as_overlap_are_left_out() {
    for (windows, gap) in [
        (Windows::new(1), 0),
        (Windows::new(5), 4),
        (Windows::new(5).stride(5), 0),
        (Windows::new(5).stride(2), 2),
        (Windows::new(5).shifted(1).stride(5), 1),
        (Windows::new(3).horizon(2).gap(1).dilation(2), 10),
        (
            Windows::new(5).stride(5).within([0, 33, 47, 100]).unwrap(),
            0,
        ),
        (Windows::new(5).within([33, 47, 100]).unwrap(), 4),
    ] {
        let all = numbers(100).windows(windows.clone()).unwrap();
        let (train, valid) = all.split_in_time(0.5).unwrap();
        assert_eq!(all.len() - train.len() - valid.len(), gap, "{windows:?}");
        assert_eq!(all.split(0.5, 1).is_ok(), gap == 0, "{windows:?}");
    }
    let all = numbers(100).windows(Windows::new(5)).unwrap();
    assert_eq!(all.split_in_time(1.0).unwrap().1.len(), 0);
    let (train, valid) = all.split_in_time(0.0).unwrap();
    assert_eq!((train.len(), valid.len()), (0, 96));
    // Rows have no gap.
    let (train, valid) = numbers(10).split_in_time(0.75).unwrap();
    assert_eq!((train.len(), valid.row(0).index()), (8, 8));
}

/// What is done to windows leaves them windows.
#[test]
fn windows_overlap_whatever_is_done_to_them() {
    let all = numbers(50).windows(Windows::new(4).horizon(2)).unwrap();
    let other = numbers(45).rename("0", "label").unwrap();
    for windows in [
        all.select(["0"]).unwrap(),
        all.rename("0_next", "y").unwrap(),
        all.convert("0", Convert::to::<f32>()).unwrap(),
        all.reshape("0", &[2, 2]).unwrap(),
        all.split_column("0", (("a", 0..2), ("b", 3))).unwrap(),
        all.take(40).skip(3),
        all.zip(&other).unwrap(),
        other.zip(&all).unwrap(),
        NpyDataset::concat([all.take(10), all.skip(10)]).unwrap(),
        all.rename("0_next", "y")
            .unwrap()
            .windows(Windows::new(1))
            .unwrap(),
    ] {
        assert!(windows.split(0.5, 1).is_err(), "{windows:?}");
        let (train, valid) = windows.split_in_time(0.5).unwrap();
        assert_eq!(windows.len() - train.len() - valid.len(), 5, "{windows:?}");
    }
    let labels = all.zip(&other).unwrap().select(["label"]).unwrap();
    assert!(labels.split(0.5, 1).is_ok());
}

#[test]
fn rows_that_are_split_before_make_windows_in_their_order() {
    let rows = |dataset: &NpyDataset| dataset.read::<i64>("0").unwrap();
    let windows = Windows::new(4).stride(3);
    let later = numbers(10).skip(1).take(8).windows(windows).unwrap();
    assert_eq!(rows(&later), array![[1, 2, 3, 4], [4, 5, 6, 7]].into_dyn());
    let (part, _) = numbers(10).split(0.5, 1).unwrap();
    let (pairs, singles) = (rows(&part.windows(Windows::new(2)).unwrap()), rows(&part));
    for (i, pair) in pairs.outer_iter().enumerate() {
        assert_eq!((pair[0], pair[1]), (singles[i], singles[i + 1]));
    }
    // Windows of shuffled windows may share any rows.
    let apart = numbers(10).windows(Windows::new(2).stride(2)).unwrap();
    let (part, _) = apart.split(1.0, 1).unwrap();
    let pairs = part.windows(Windows::new(2)).unwrap();
    assert!(pairs.split(0.5, 1).is_err() && pairs.split_in_time(0.5).is_ok());
    let parts = NpyDataset::concat([pairs.skip(2), pairs.take(2)]).unwrap();
    assert_eq!(parts.split_in_time(0.5).unwrap().1.len(), 1);
}

#[test]
fn groups_are_found_by_the_values_of_any_column() {
    let x = Array1::from_iter(0..7);
    let by = |groups: Array| {
        let dataset = NpyDataset::from_arrays([("x", Array::from(x.clone())), ("by", groups)]);
        dataset.unwrap().windows(Windows::new(2).group_by("by"))
    };
    let starts = |windows: NpyDataset| -> Vec<usize> {
        (0..windows.len())
            .map(|row| windows.row(row).index())
            .collect()
    };
    let nan = f64::NAN;
    let floats = array![nan, nan, 1.0, 1.0, 1.0, -1.0, -1.0];
    assert_eq!(starts(by(floats.into()).unwrap()), [0, 2, 3, 5]);
    let names = [*b"ab", *b"ab", *b"ab", *b"b\0", *b"b\0", *b"c\0", *b"d\0"];
    let names = Array2::from_shape_fn((7, 2), |(row, i)| names[row][i]);
    assert_eq!(starts(by(names.into()).unwrap()), [0, 1, 3]);

    let error = by(array![0, 0, 1, 1, 0, 0, 0].into()).unwrap_err();
    assert_eq!(
        (error.kind(), error.array()),
        (ErrorKind::Usage, Some("by"))
    );
    assert!(error.to_string().contains("row 4 has the value"), "{error}");
    let error = by(array![0, 1, 2, 3, 4, 5, 6].into()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "none of 7 groups has enough rows for a window, which needs 2"
    );
    let error = numbers(3)
        .windows(Windows::new(2).group_by("z"))
        .unwrap_err();
    assert_eq!((error.kind(), error.array()), (ErrorKind::Name, Some("z")));
}

#[test]
fn what_makes_no_windows_is_named() {
    let of = |windows: Windows| numbers(10).windows(windows).unwrap_err().to_string();
    for (windows, message) in [
        (
            Windows::new(0),
            "the length of windows is 0; it must be 1 or more",
        ),
        (
            Windows::new(1).stride(0),
            "the stride of windows is 0; it must be 1 or more",
        ),
        (
            Windows::new(1).dilation(0),
            "the dilation of windows is 0; it must be 1 or more",
        ),
        (
            Windows::new(1).horizon(0),
            "the horizon of windows is 0; it must be 1 or more",
        ),
        (
            Windows::new(1).shifted(0),
            "the shift of windows is 0; it must be 1 or more",
        ),
        (
            Windows::new(1).gap(2),
            "a gap of 2 without a horizon; set the horizon too",
        ),
        (
            Windows::new(1).horizon(1).shifted(1),
            "windows with a horizon and a shifted window; expected one of them",
        ),
        (
            Windows::new(11),
            "10 rows are too few for a window, which needs 11",
        ),
        (
            Windows::new(3).horizon(2).dilation(3),
            "10 rows are too few for a window, which needs 13",
        ),
        (
            Windows::new(1).within([5, 9]).unwrap(),
            "the last group ends at row 9, but there are 10 rows; the ends of groups are sums of \
             their lengths, and the last is the number of rows",
        ),
        (
            Windows::new(6).within([5, 10]).unwrap(),
            "none of 2 groups has enough rows",
        ),
    ] {
        assert!(
            of(windows.clone()).starts_with(message),
            "{windows:?}: {}",
            of(windows.clone())
        );
    }
    for huge in [
        Windows::new(usize::MAX),
        Windows::new(2).dilation(usize::MAX),
        Windows::new(2)
            .horizon(usize::MAX)
            .gap(usize::MAX)
            .dilation(usize::MAX),
        Windows::new(usize::MAX).shifted(usize::MAX),
    ] {
        assert_eq!(
            numbers(10).windows(huge).unwrap_err().kind(),
            ErrorKind::Shape
        );
    }
    let far = Windows::new(2).stride(usize::MAX);
    assert_eq!(numbers(10).windows(far).unwrap().len(), 1);
    let error = Windows::new(1).within([5, 3]).unwrap_err().to_string();
    assert!(
        error.starts_with("the end of group 1 is before row 5, where the"),
        "{error}"
    );
    assert!(Windows::new(1).within([3_i64, -1]).is_err());
    let two = numbers(10).windows(Windows::new(2).horizon(1)).unwrap();
    let error = two.windows(Windows::new(2).horizon(1)).unwrap_err();
    assert_eq!(
        (error.kind(), error.array()),
        (ErrorKind::Duplicate, Some("0_next"))
    );
    let error = two.split_in_time(0.9).unwrap_err().to_string();
    let message = "7 of 8 windows leave none for the second part, since the 2 windows after them \
                   share rows with them";
    assert_eq!(error, message);
}
