//! How rows were chosen and put together, as a hash that a saved state holds.
//!
//! What the rows have in them does not count, nor how they are converted or changed, nor into how
//! many files they are divided. So the same program has the same hash as long as it has the same
//! rows. But the lengths that transforms give to rows of any length count, as the shape does of
//! rows of one shape.

use super::ragged::{RaggedColumn, Run};
use super::{Column, Frame};
use crate::order::hash::Hash;
use crate::row_map::RowMap;

/// A hash of some words, the first of which says what the others are.
pub(super) fn hash(words: impl IntoIterator<Item = u64>) -> u64 {
    let mut hash = Hash(0);
    hash.add(words);
    hash.0
}

/// That of columns of which each row has a row of each; `None` if nothing was chosen.
pub(super) fn of_columns(columns: &[Column]) -> Option<u64> {
    if let [column] = columns {
        return column.selection();
    }
    of_parts((0..).zip(columns))
}

/// That of columns at some places; `None` if nothing was chosen.
pub(super) fn of_parts<'a>(parts: impl Iterator<Item = (usize, &'a Column)>) -> Option<u64> {
    let chosen = parts.filter_map(|(at, column)| Some([at as u64, column.selection()?]));
    let chosen: Vec<u64> = chosen.flatten().collect();
    (!chosen.is_empty()).then(|| hash([0].into_iter().chain(chosen)))
}

/// That of the rows of a column that a map gives.
pub(super) fn of_picked(column: &Column, map: &RowMap) -> Option<u64> {
    let Some(rows) = map.fingerprint() else {
        return column.selection();
    };
    Some(hash([1, rows, column.selection().unwrap_or(0)]))
}

/// That of windows over the rows of a column with a selection.
pub(super) fn of_windows(of: Option<u64>, frame: &Frame) -> u64 {
    let Frame {
        first,
        length,
        stride,
        dilation,
        ..
    } = *frame;
    let numbers = [first, length, stride, dilation].map(|number| number as u64);
    hash([2, of.unwrap_or(0)].into_iter().chain(numbers))
}

/// That of runs of items.
pub(super) fn of_runs(runs: impl Iterator<Item = Run>, lengths: impl Iterator<Item = u64>) -> u64 {
    let runs = runs.flat_map(|run| [run.start as u64, run.len as u64]);
    hash([3].into_iter().chain(lengths).chain(runs))
}

impl Column {
    /// A hash of how the rows were chosen and put together, the same on every machine; `None` if
    /// they are rows of arrays in their order.
    pub(crate) fn selection(&self) -> Option<u64> {
        match &self.derived {
            Some(derived) => derived.selection(),
            None => self.windows.map(|windows| windows.selection),
        }
    }
}

impl RaggedColumn {
    /// As [`Column::selection`]: of which items the rows are, and how long they are, if transforms
    /// have changed that.
    pub(crate) fn selection(&self) -> u64 {
        let runs = of_runs(self.runs(), std::iter::empty());
        if self.lengths().eq(self.rows.iter().map(|run| run.len)) {
            return runs;
        }
        let lengths = self.lengths().map(|length| length as u64);
        hash([4, runs].into_iter().chain(lengths))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use ndarray::Array2;

    use super::*;
    use crate::Convert;
    use crate::transform::Truncate;

    fn zeros(rows: usize) -> Column {
        Column::new(Array2::<f32>::zeros((rows, 2)).into()).unwrap()
    }

    fn picked(column: &Column, change: impl FnOnce(&mut RowMap)) -> Column {
        let mut map = RowMap::new(column.rows());
        change(&mut map);
        column.pick(&map)
    }

    /// All rows are alike, and so are their numbers and shapes in each group.
    #[test]
    fn what_columns_are_made_of_counts() {
        let all = zeros(20);
        let shuffled = |seed| picked(&all, |map| map.shuffle(seed));
        let chain = |columns: &[Column]| Column::chain(columns.iter().cloned()).unwrap();
        let join = |columns: &[Column]| Column::join(columns.iter().cloned()).unwrap();
        let frame = |first, dilation| Frame {
            first,
            length: 2,
            stride: 1,
            dilation,
            rows: 10,
            span: 10,
        };
        let windows = |first, dilation| all.clone().frame(frame(first, dilation)).unwrap();
        let (skipped, cut) = (
            picked(&all, |map| map.skip(5)),
            picked(&all, |map| map.take(15)),
        );
        let groups = [
            vec![all.clone(), shuffled(1), shuffled(2)],
            vec![
                chain(&[zeros(20), shuffled(1), cut.clone()]),
                chain(&[zeros(20), shuffled(2), cut.clone()]),
                chain(&[shuffled(1), zeros(20), cut.clone()]),
                chain(&[zeros(20), zeros(20), skipped.clone()]),
                chain(&[zeros(20), skipped.clone(), zeros(20)]),
            ],
            vec![
                join(&[zeros(20), shuffled(1)]),
                join(&[shuffled(1), zeros(20)]),
                join(&[zeros(20), shuffled(2)]),
            ],
            vec![
                windows(0, 1),
                windows(0, 2),
                windows(1, 1),
                shuffled(1).frame(frame(0, 1)).unwrap(),
                shuffled(2).frame(frame(0, 1)).unwrap(),
            ],
        ];
        for (number, group) in groups.iter().enumerate() {
            let found: HashSet<_> = group.iter().map(Column::selection).collect();
            assert_eq!(found.len(), group.len(), "group {number}");
            for column in group {
                // What is done to rows afterwards does not choose them.
                let same = column.clone().convert(Convert::to::<f64>()).unwrap();
                let same = same.cut(0..1).unwrap();
                assert_eq!(same.selection(), column.selection(), "group {number}");
            }
        }
        // Saved states hold them.
        let literal = [&groups[0][1], &groups[1][0], &groups[2][0], &groups[3][1]];
        assert_eq!(literal.map(|column| column.selection().unwrap()), LITERAL);
    }
    const LITERAL: [u64; 4] = [
        16_370_737_398_087_983_334,
        5_913_704_350_528_789_160,
        8_316_671_336_887_462_947,
        13_205_693_157_831_746_615,
    ];

    #[test]
    fn in_how_many_files_rows_are_does_not_count() {
        let one = zeros(30);
        let parts = || Column::chain([zeros(7), zeros(0), zeros(23)]).unwrap();
        assert_eq!((one.selection(), parts().selection()), (None, None));
        let chosen = |column: &Column| {
            let column = picked(column, |map| map.shuffle(3));
            let column = column.windows(3, 2).unwrap();
            Column::chain([zeros(9).windows(3, 2).unwrap(), column])
                .unwrap()
                .selection()
        };
        assert_eq!(chosen(&one), chosen(&parts()));
        let windows = |column: Column| column.dilated_windows(4, 1, 2).unwrap().selection();
        assert_eq!(windows(one.clone()), windows(parts()));
        // The first rows are as many as there are.
        let first = picked(&one, |map| map.take(20)).windows(2, 1).unwrap();
        assert_eq!(
            first.selection(),
            zeros(20).windows(2, 1).unwrap().selection()
        );
    }

    #[test]
    fn items_of_rows_of_any_length_count() {
        let column = |lengths: &[i64]| {
            let items = vec![0_i32; lengths.iter().sum::<i64>() as usize];
            RaggedColumn::from_lengths(items.into(), &lengths.to_vec().into()).unwrap()
        };
        let (a, b) = (column(&[2, 2, 1]), column(&[2, 1, 2]));
        assert_ne!(a.selection(), b.selection());
        let mut map = RowMap::new(3);
        map.take(2);
        let mut other = RowMap::new(3);
        other.skip(1);
        let b = column(&[2, 2, 2]);
        let (first, last) = (b.pick(&map).unwrap(), b.pick(&other).unwrap());
        assert_ne!(first.selection(), last.selection());
        for (first, last) in first.pack(3).unwrap().iter().zip(last.pack(3).unwrap()) {
            assert_ne!(first.selection(), last.selection());
            assert!(first.selection().is_some());
        }
        let parts = RaggedColumn::chain([column(&[2]), column(&[2, 1])]).unwrap();
        assert_eq!(parts.selection(), a.selection());
        // The lengths that transforms give to them, and nothing else of transforms.
        let cut = |column: &RaggedColumn, most| column.map(Truncate::new(most)).unwrap();
        assert_ne!(cut(&a, 1).selection(), cut(&a, 2).selection());
        assert_ne!(cut(&a, 1).selection(), a.selection());
        assert_eq!(cut(&a, 2).selection(), a.selection());
        assert_eq!(cut(&a, 2).selection(), cut(&a, 3).selection());
        assert_eq!(cut(&parts, 1).selection(), cut(&a, 1).selection());
        let mixed = RaggedColumn::chain([cut(&column(&[2]), 1), column(&[2, 1])]).unwrap();
        assert_ne!(mixed.selection(), cut(&a, 1).selection());
    }
}
