//! Columns of numbers as lines, with the least and the greatest number of each step.

use std::ops::Range;

use burn_npy_core::file::{Buffer, Column};
use burn_npy_core::{Array, Convert, Result};

use crate::progress::Progress;

/// How many bytes are read at a time, unless a row has more.
const CHUNK: usize = 1 << 20;

/// An array, and which numbers of its rows are drawn.
#[derive(Debug)]
pub(super) struct Source {
    column: Column,
    /// The places of the numbers in a row, and their names.
    picks: Vec<(usize, String)>,
}

/// A line of a plot.
#[derive(Debug, PartialEq)]
pub(super) struct Line {
    pub(super) name: String,
    /// Points that are connected: rows and numbers. NaN and infinities part them.
    pub(super) pieces: Vec<Vec<[f64; 2]>>,
}

impl Source {
    pub(super) fn new(array: &Array, picks: Vec<(usize, String)>) -> Result<Self> {
        let column = Column::new(array.clone())?.convert(Convert::to::<f64>())?;
        Ok(Self { column, picks })
    }

    /// Reads rows once, in order. If there are more than two for a step, only the least and the
    /// greatest number of each step are kept, where they are.
    pub(super) fn read(
        &self,
        rows: Range<usize>,
        steps: usize,
        progress: &Progress,
    ) -> Result<Vec<Line>> {
        let row_len = self.column.row_bytes() / size_of::<f64>();
        let rows_of_chunk = (CHUNK / self.column.row_bytes().max(1)).clamp(1, rows.len().max(1));
        let rows_of_step = rows_of_step(rows.len(), steps);
        let mut buffer = Buffer::zeroed(rows_of_chunk * self.column.row_bytes())?;
        let mut lines: Vec<_> = self.picks.iter().map(|_| Builder::default()).collect();
        for first in rows.clone().step_by(rows_of_chunk) {
            let chunk: Vec<_> = (first..rows.end.min(first + rows_of_chunk)).collect();
            buffer.set_len(chunk.len() * self.column.row_bytes());
            self.column.gather(&chunk, buffer.as_mut_slice())?;
            let numbers: &[f64] = bytemuck::cast_slice(buffer.as_slice());
            for (row, numbers) in chunk.iter().zip(numbers.chunks_exact(row_len)) {
                let step = (row - rows.start) / rows_of_step;
                for (line, (place, _)) in lines.iter_mut().zip(&self.picks) {
                    line.add(step, *row, numbers[*place]);
                }
            }
            progress.advance((chunk.len() * self.column.row_bytes()) as u64);
        }
        let named = lines.into_iter().zip(&self.picks);
        Ok(named
            .map(|(line, (_, name))| Line {
                name: name.clone(),
                pieces: line.finish(),
            })
            .collect())
    }

    pub(super) fn row_bytes(&self) -> usize {
        self.column.row_bytes()
    }
}

/// How many rows a step has: 1 if the two points of each step would be as many as the rows.
pub(super) fn rows_of_step(rows: usize, steps: usize) -> usize {
    match rows <= 2 * steps {
        true => 1,
        false => rows.div_ceil(steps),
    }
}

/// A line in the making.
#[derive(Default)]
struct Builder {
    pieces: Vec<Vec<[f64; 2]>>,
    piece: Vec<[f64; 2]>,
    step: usize,
    /// The least and the greatest number of the step.
    extremes: Option<[[f64; 2]; 2]>,
    /// Whether there was a gap before the step that no piece ends at yet.
    is_parted: bool,
}

impl Builder {
    fn add(&mut self, step: usize, row: usize, number: f64) {
        if step != self.step {
            self.end_step();
            self.step = step;
        }
        if !number.is_finite() {
            self.is_parted = true;
            return;
        }
        let point = [row as f64, number];
        let [low, high] = self.extremes.get_or_insert([point; 2]);
        if number < low[1] {
            *low = point;
        }
        if number > high[1] {
            *high = point;
        }
    }

    fn end_step(&mut self) {
        // Within a step, the numbers around a gap are not parted.
        let Some([low, high]) = self.extremes.take() else {
            if self.is_parted && !self.piece.is_empty() {
                self.pieces.push(std::mem::take(&mut self.piece));
            }
            return;
        };
        self.is_parted = false;
        let (first, last) = if low[0] <= high[0] {
            (low, high)
        } else {
            (high, low)
        };
        self.piece.push(first);
        if last != first {
            self.piece.push(last);
        }
    }

    fn finish(mut self) -> Vec<Vec<[f64; 2]>> {
        self.end_step();
        if !self.piece.is_empty() {
            self.pieces.push(self.piece);
        }
        self.pieces
    }
}

#[cfg(test)]
mod tests {
    use burn_npy_core::ndarray::Array1;

    use super::*;

    fn read(numbers: Vec<f64>, rows: Range<usize>, steps: usize) -> Vec<Vec<[f64; 2]>> {
        let array = Array::from(Array1::from(numbers));
        let source = Source::new(&array, vec![(0, "x".to_owned())]).unwrap();
        let lines = source.read(rows, steps, &Progress::new(0)).unwrap();
        lines.into_iter().next().unwrap().pieces
    }

    #[test]
    fn few_rows_are_all_drawn_and_nan_parts_them() {
        let numbers = vec![1.0, 2.0, f64::NAN, f64::INFINITY, 3.0, 4.0, f64::NAN];
        let expected = [vec![[0.0, 1.0], [1.0, 2.0]], vec![[4.0, 3.0], [5.0, 4.0]]];
        assert_eq!(read(numbers.clone(), 0..7, 10), expected);
        assert_eq!(
            read(numbers, 1..5, 10),
            [vec![[1.0, 2.0]], vec![[4.0, 3.0]]]
        );
        assert_eq!(read(vec![f64::NAN; 3], 0..3, 10), [[[0.0; 2]; 0]; 0]);
    }

    #[test]
    fn the_least_and_the_greatest_number_of_each_step_are_kept_where_they_are() {
        let len = 300_001;
        let steps = 50;
        let numbers: Vec<f64> = (0..len).map(|i| ((i * 7919) % 100_003) as f64).collect();
        let found = read(numbers.clone(), 0..len, steps);
        let mut expected = Vec::new();
        for (step, chunk) in numbers.chunks(len.div_ceil(steps)).enumerate() {
            let place = |value: f64| chunk.iter().position(|x| *x == value).unwrap();
            let low = place(chunk.iter().copied().reduce(f64::min).unwrap());
            let high = place(chunk.iter().copied().reduce(f64::max).unwrap());
            for at in [low.min(high), low.max(high)] {
                expected.push([(step * len.div_ceil(steps) + at) as f64, chunk[at]]);
            }
        }
        assert_eq!(found, [expected]);
    }
}
