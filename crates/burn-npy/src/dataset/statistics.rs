//! Statistics of the columns of a dataset.

use std::collections::BTreeMap;

use burn_npy_core::{
    Convert, Error, ErrorKind, Result, Stats,
    file::{Column, RaggedColumn},
};

use super::NpyDataset;
use super::named::AnyColumn;
use super::pass::{self, Source};
use crate::memory;

impl NpyDataset {
    /// Count, least and greatest number, mean and standard deviation of a column, as it is
    /// converted, over all rows of this dataset. NaN and infinities are counted and left out of the
    /// rest. Bools are 0 and 1; integers of 64 bits are rounded to the nearest `f64`. If rows have
    /// [any length](Self::from_offsets), the numbers are those of all their items.
    ///
    /// The column is read now, once, on as many threads as there are cores. Their number does not
    /// change the result.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Name`] if there is no such column, and those of [`Column::gather`], or of
    /// [`RaggedColumn::gather`].
    ///
    /// # Example
    ///
    /// What is learned from the rows for training is applied to all rows:
    ///
    /// ```
    /// use burn_npy::{Convert, NpyDataset, ndarray::array};
    ///
    /// # fn main() -> burn_npy::Result<()> {
    /// let dataset = NpyDataset::from_arrays([("age", array![20_u8, 40, 60, 80])])?;
    /// let train = dataset.take(2);
    /// let stats = train.stats("age")?;
    /// assert_eq!((stats.mean(), stats.std()), (30.0, 10.0));
    ///
    /// let dataset = dataset.convert("age", Convert::to::<f32>().standardize(&stats))?;
    /// assert_eq!(dataset.read::<f32>("age")?, array![-1.0, 1.0, 3.0, 5.0].into_dyn());
    /// # Ok(())
    /// # }
    /// ```
    pub fn stats(&self, column: &str) -> Result<Stats> {
        let add = |stats: &mut Stats, _: &[usize], numbers: &[f64]| {
            stats.add(numbers);
            Ok(())
        };
        let merge = |all: &mut Stats, chunk| {
            all.merge(&chunk);
            Ok(())
        };
        let doubles = self.columns.any(column)?.change_items(column, doubles)?;
        let found = pass::fold(self, Source::of(&doubles, column)?, add, merge);
        found.map_err(|error| error.in_column(column))
    }

    /// As [`stats`](Self::stats), for each channel along an axis of a row. The axis is counted
    /// without that of the rows: 0 for images of the shape `[channels, height, width]` and for the
    /// columns of a table, 2 for `[height, width, channels]`. Rows of one number have one channel,
    /// along axis 0.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Name`] if there is no such column; [`ErrorKind::Usage`] if its rows have no
    /// such axis, or have [any length](Self::from_offsets); and those of [`Column::gather`].
    ///
    /// # Example
    ///
    /// ```
    /// use burn_npy::{Convert, NpyDataset, ndarray::array};
    ///
    /// # fn main() -> burn_npy::Result<()> {
    /// let table = array![[1.0, 100.0], [3.0, 100.0]];
    /// let dataset = NpyDataset::from_arrays([("table", table)])?;
    /// let columns = dataset.stats_axis("table", 0)?;
    /// assert_eq!((columns[0].mean(), columns[0].std()), (2.0, 1.0));
    ///
    /// let dataset = dataset.convert("table", Convert::new().standardize_axis(0, &columns))?;
    /// let expected = array![[-1.0, 0.0], [1.0, 0.0]];
    /// assert_eq!(dataset.read::<f64>("table")?, expected.into_dyn());
    /// # Ok(())
    /// # }
    /// ```
    pub fn stats_axis(&self, column: &str, axis: usize) -> Result<Vec<Stats>> {
        let found = self.columns.get(column);
        let found = found.and_then(|from| self.stats_of_channels(from, axis));
        found.map_err(|error| error.in_column(column))
    }

    fn stats_of_channels(&self, column: &Column, axis: usize) -> Result<Vec<Stats>> {
        // A number is its own channel.
        let shape = match column.row_shape() {
            [] => &[1],
            shape => shape,
        };
        let Some(&count) = shape.get(axis) else {
            let message = format!("rows of shape {shape:?} have no axis {axis}");
            return Err(Error::new(ErrorKind::Usage, message));
        };
        let inner: usize = shape[axis + 1..].iter().product();
        let add = |channels: &mut Vec<Stats>, _: &[usize], numbers: &[f64]| {
            expect_channels(channels, count)?;
            let mut own = Vec::new();
            memory::reserve(&mut own, numbers.len() / count.max(1))?;
            for (channel, stats) in channels.iter_mut().enumerate() {
                own.clear();
                // Without elements there are no chunks, whatever their length.
                for pixels in numbers.chunks_exact((count * inner).max(1)) {
                    own.extend_from_slice(&pixels[channel * inner..][..inner]);
                }
                stats.add(&own);
            }
            Ok(())
        };
        let merge = |all: &mut Vec<Stats>, chunk: Vec<Stats>| {
            expect_channels(all, count)?;
            all.iter_mut()
                .zip(&chunk)
                .for_each(|(all, chunk)| all.merge(chunk));
            Ok(())
        };
        let mut all = pass::fold(self, Source::Fixed(&doubles(column.clone())?), add, merge)?;
        expect_channels(&mut all, count)?;
        Ok(all)
    }

    /// How many rows each class has. The classes are the numbers of a column of integers or bools,
    /// one for each row. If rows have [any length](Self::from_offsets), there is one for each item,
    /// such as a token, and all items are counted.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Name`] if there is no such column; [`ErrorKind::Dtype`] if it is one of floats;
    /// [`ErrorKind::Shape`] if its rows, or their items, are not one number each; and those of
    /// [`Column::gather`], or of [`RaggedColumn::gather`].
    ///
    /// # Example
    ///
    /// ```
    /// use burn_npy::{NpyDataset, ndarray::array};
    ///
    /// # fn main() -> burn_npy::Result<()> {
    /// let dataset = NpyDataset::from_arrays([("labels", array![0_u8, 2, 0, 0])])?;
    /// assert!(dataset.class_counts("labels")?.into_iter().eq([(0, 3), (2, 1)]));
    /// # Ok(())
    /// # }
    /// ```
    pub fn class_counts(&self, column: &str) -> Result<BTreeMap<i64, u64>> {
        let found = self.columns.any(column);
        let found = found.and_then(|from| self.count_classes(column, from));
        found.map_err(|error| error.in_column(column))
    }

    fn count_classes(&self, name: &str, column: &AnyColumn) -> Result<BTreeMap<i64, u64>> {
        let dtype = column.dtype(name)?;
        match column {
            AnyColumn::Ragged(column) => expect_one_number_an_item(column)?,
            other => pass::expect_one_number(other.numbers(name)?)?,
        }
        if dtype.is_float() {
            let message = format!(
                "classes are integers, but the column is {dtype}; convert it with \
                 Convert::to::<i64>()"
            );
            return Err(Error::new(ErrorKind::Dtype, message));
        }
        let column = column.change_items(name, |items| items.convert(Convert::to::<i64>()))?;
        let add = |counts: &mut BTreeMap<i64, u64>, _: &[usize], classes: &[i64]| {
            for class in classes {
                *counts.entry(*class).or_default() += 1;
            }
            Ok(())
        };
        let merge = |all: &mut BTreeMap<i64, u64>, more: BTreeMap<i64, u64>| {
            for (class, count) in more {
                *all.entry(class).or_default() += count;
            }
            Ok(())
        };
        pass::fold(self, Source::of(&column, name)?, add, merge)
    }

    /// Weights of the classes 0 to `classes` - 1 with which each counts as much as any other in a
    /// loss: `rows / (k * rows of the class)`, where `k` is the number of classes that have rows.
    /// This is scikit-learn's `class_weight="balanced"`. A class without rows has the weight 1,
    /// since Burn takes no 0. Where [`class_counts`](Self::class_counts) counts items, so does
    /// this.
    ///
    /// # Errors
    ///
    /// Those of [`class_counts`](Self::class_counts), and [`ErrorKind::Value`] if a row or an item
    /// has a class below 0 or from `classes` on.
    ///
    /// # Example
    ///
    /// ```
    /// use burn::nn::loss::CrossEntropyLossConfig;
    /// use burn_npy::{NpyDataset, ndarray::array};
    ///
    /// # fn main() -> burn_npy::Result<()> {
    /// let dataset = NpyDataset::from_arrays([("labels", array![0_u8, 1, 0, 0])])?;
    /// let weights = dataset.class_weights("labels", 2)?;
    /// assert_eq!(weights, [4.0 / 6.0, 2.0]);
    ///
    /// let loss = CrossEntropyLossConfig::new().with_weights(Some(weights));
    /// # Ok(())
    /// # }
    /// ```
    pub fn class_weights(&self, column: &str, classes: usize) -> Result<Vec<f32>> {
        let counts = self.class_counts(column)?;
        let what = match self.columns.any(column)? {
            AnyColumn::Ragged(_) => "items",
            _ => "rows",
        };
        let mut weights = memory::list((0..classes).map(|_| 1.0))?;
        let share = counts.values().sum::<u64>() as f64 / counts.len() as f64;
        for (class, count) in counts {
            let weight = usize::try_from(class)
                .ok()
                .and_then(|class| weights.get_mut(class));
            let weight = weight.ok_or_else(|| {
                let message = format!(
                    "{count} {what} of class {class}, but the classes are below {classes}, from 0 \
                     on"
                );
                Error::new(ErrorKind::Value, message).in_column(column)
            })?;
            *weight = (share / count as f64) as f32;
        }
        Ok(weights)
    }
}

/// The same column as doubles.
fn doubles(column: Column) -> Result<Column> {
    column.convert(Convert::to::<f64>())
}

/// An error unless each item of rows of any length is one number.
fn expect_one_number_an_item(column: &RaggedColumn) -> Result<()> {
    let shape = column.item_shape();
    if shape.iter().product::<usize>() == 1 {
        return Ok(());
    }
    let message = format!("items of shape {shape:?}, but classes are items of one number");
    Err(Error::new(ErrorKind::Shape, message))
}

/// Makes sure that there are statistics of each channel.
fn expect_channels(channels: &mut Vec<Stats>, count: usize) -> Result<()> {
    memory::reserve(channels, count - channels.len())?;
    channels.resize(count, Stats::new());
    Ok(())
}

#[cfg(test)]
mod tests {
    use burn_npy_core::Array;
    use burn_npy_core::ndarray::{Array1, Array2, Array4, array};
    use burn_npy_core::ndarray::{Axis, s};

    use super::*;
    use crate::dataset::tests::numbers;

    fn near(found: f64, expected: f64) -> bool {
        (found - expected).abs() <= 1e-12 * expected.abs().max(1.0)
    }

    fn one(array: impl Into<Array>) -> NpyDataset {
        NpyDataset::from_arrays([("x", array)]).unwrap()
    }

    #[test]
    fn statistics_of_channels_are_those_of_their_elements() {
        // Enough rows for many chunks.
        let images = Array4::from_shape_fn((5000, 3, 5, 4), |(row, c, y, x)| {
            ((row * 7919 + c * 31 + y * 17 + x * 5) % 1009) as f32 * 0.25 - 1e3
        });
        let dataset = one(images.clone()).step(3).unwrap();
        let images = images.slice(s![..;3, .., .., ..]).mapv(f64::from);
        let check = |found: &Stats, numbers: &[f64]| {
            let numbers = Array1::from(numbers.to_vec());
            assert_eq!(found.count(), numbers.len() as u64);
            assert!(near(found.mean(), numbers.mean().unwrap()), "{found:?}");
            assert!(near(found.std(), numbers.std(0.0)), "{found:?}");
            let least = numbers.iter().copied().fold(f64::INFINITY, f64::min);
            let greatest = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            assert_eq!((found.min(), found.max()), (least, greatest));
        };
        let all: Vec<f64> = images.iter().copied().collect();
        check(&dataset.stats("x").unwrap(), &all);
        for axis in 0..3 {
            let found = dataset.stats_axis("x", axis).unwrap();
            assert_eq!(found.len(), [3, 5, 4][axis]);
            for (channel, found) in found.iter().enumerate() {
                let own = images.index_axis(Axis(axis + 1), channel);
                check(found, &own.iter().copied().collect::<Vec<_>>());
            }
        }
        // What is standardized has mean 0 and standard deviation 1.
        let channels = dataset.stats_axis("x", 1).unwrap();
        let convert = Convert::to::<f64>().standardize_axis(1, &channels);
        for channel in dataset
            .convert("x", convert)
            .unwrap()
            .stats_axis("x", 1)
            .unwrap()
        {
            assert!(
                near(channel.mean(), 0.0) && near(channel.std(), 1.0),
                "{channel:?}"
            );
        }
    }

    #[test]
    fn statistics_are_of_converted_rows_of_any_type() {
        let ages = one(vec![20_u8, 40, 60, 80]);
        let halves = ages.convert("x", Convert::to::<f32>().scale(0.5)).unwrap();
        assert_eq!(
            halves.rows([3, 0, 0]).unwrap().stats("x").unwrap().mean(),
            20.0
        );
        assert_eq!(ages.stats_axis("x", 0).unwrap(), [ages.stats("x").unwrap()]);
        let flags = one(array![true, false, true, true]).stats("x").unwrap();
        assert_eq!((flags.mean(), flags.count()), (0.75, 4));
        let large = one(vec![i64::MAX, i64::MIN]).stats("x").unwrap();
        assert_eq!(
            (large.min(), large.max()),
            (i64::MIN as f64, i64::MAX as f64)
        );
        let none = ages.take(0);
        assert!(none.stats("x").unwrap().mean().is_nan());
        assert_eq!(none.stats_axis("x", 0).unwrap(), [Stats::new()]);
        for shape in [(5, 0), (0, 2)] {
            let empty = one(Array2::<f32>::zeros(shape));
            assert_eq!(empty.stats("x").unwrap(), Stats::new());
            assert_eq!(
                empty.stats_axis("x", 0).unwrap(),
                vec![Stats::new(); shape.1]
            );
        }
        let error = ages.stats_axis("x", 1).unwrap_err();
        assert_eq!((error.kind(), error.array()), (ErrorKind::Usage, Some("x")));
        assert_eq!(ages.stats("y").unwrap_err().kind(), ErrorKind::Name);
    }

    #[test]
    fn classes_are_counted_and_weighted() {
        let labels: Vec<u8> = (0..300_000)
            .map(|row| u8::from(row % 10 == 0) * 2)
            .collect();
        let dataset = one(labels);
        let counts = dataset.class_counts("x").unwrap();
        assert!(counts.into_iter().eq([(0, 270_000), (2, 30_000)]));
        // np.bincount and compute_class_weight("balanced") of scikit-learn; class 1 has no rows.
        let weights = dataset.class_weights("x", 4).unwrap();
        assert_eq!(weights, [(300_000.0 / 540_000.0) as f32, 1.0, 5.0, 1.0]);
        let error = dataset.class_weights("x", 2).unwrap_err();
        assert_eq!((error.kind(), error.array()), (ErrorKind::Value, Some("x")));
        assert_eq!(
            error.message(),
            "30000 rows of class 2, but the classes are below 2, from 0 on"
        );
        assert_eq!(dataset.take(0).class_weights("x", 2).unwrap(), [1.0, 1.0]);

        let column = one(array![[-1_i32], [5]]);
        assert!(
            column
                .class_counts("x")
                .unwrap()
                .into_iter()
                .eq([(-1, 1), (5, 1)])
        );
        assert_eq!(
            column.class_weights("x", 6).unwrap_err().kind(),
            ErrorKind::Value
        );
        let flags = one(array![true, false, true]);
        assert!(
            flags
                .class_counts("x")
                .unwrap()
                .into_iter()
                .eq([(0, 1), (1, 2)])
        );
        for (dataset, kind) in [
            (one(vec![1.0_f32]), ErrorKind::Dtype),
            (one(array![[1_u8, 2]]), ErrorKind::Shape),
            (one(vec![u64::MAX]), ErrorKind::Value),
            (numbers(3), ErrorKind::Name),
        ] {
            assert_eq!(dataset.class_counts("x").unwrap_err().kind(), kind);
        }
    }
}
