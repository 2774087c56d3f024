//! Methods of a dataset that choose and order its rows.

use burn_npy_core::order::Partition;
use burn_npy_core::{
    Convert, DType, Error, ErrorKind, Result,
    file::{Column, Element},
};

use super::NpyDataset;
use super::named::AnyColumn;
use super::pass::{self, Source};
use crate::memory;

mod sealed {
    pub trait Sealed {}
}

/// A number of a row in a list for [`rows`](NpyDataset::rows): any integer of Rust with up to 64
/// bits, or a reference to one.
///
/// The trait is sealed.
pub trait RowNumber: sealed::Sealed {
    /// The number, whatever its type is.
    #[doc(hidden)]
    fn number(self) -> i128;
}

macro_rules! row_numbers {
    ($($integer:ty)*) => {$(
        impl sealed::Sealed for $integer {}
        impl sealed::Sealed for &$integer {}

        impl RowNumber for $integer {
            fn number(self) -> i128 {
                self as i128
            }
        }

        impl RowNumber for &$integer {
            fn number(self) -> i128 {
                *self as i128
            }
        }
    )*};
}

row_numbers!(i8 i16 i32 i64 isize u8 u16 u32 u64 usize);

impl NpyDataset {
    /// The rows of a list, in its order. A row may come several times. It takes 4 bytes a row, or 8
    /// if the columns have more than 2<sup>32</sup> rows.
    ///
    /// The list may be a `Vec`, a slice, a range, an array or any other collection or iterator of
    /// integers. [`order::read_index`](crate::order::read_index) reads one from a file.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Row`] for a row that does not exist; the message names it.
    /// [`ErrorKind::Limit`] if there is no memory for the list.
    ///
    /// # Example
    ///
    /// ```
    /// use burn_npy::{NpyDataset, ndarray::array};
    ///
    /// # fn main() -> burn_npy::Result<()> {
    /// let dataset = NpyDataset::from_arrays([("x", array![10, 11, 12, 13])])?;
    /// let chosen = dataset.rows([3, 0, 3])?;
    /// assert_eq!(chosen.read::<i32>("x")?, array![13, 10, 13].into_dyn());
    ///
    /// let error = dataset.rows([3, 4]).unwrap_err();
    /// assert_eq!(error.message(), "entry 1 of the list is row 4, but there are 4 rows");
    /// # Ok(())
    /// # }
    /// ```
    pub fn rows(&self, rows: impl IntoIterator<Item = impl RowNumber>) -> Result<Self> {
        let rows = self.rows.list(rows.into_iter().map(RowNumber::number))?;
        Ok(Self {
            rows,
            ..self.clone()
        })
    }

    /// Every `stride`-th row: rows 0, `stride`, `2 * stride` and so on. After
    /// [`skip`](Self::skip), it begins with another row: `skip(2).step(10)` has rows 2, 12, 22.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`] if `stride` is zero.
    pub fn step(&self, stride: usize) -> Result<Self> {
        let mut new = self.clone();
        new.rows.step(stride)?;
        Ok(new)
    }

    /// All rows `count` times, one pass after the other. With 0 there are no rows, as with
    /// TensorFlow's `repeat(0)`.
    ///
    /// A loader that shuffles mixes the passes.
    /// [`Sampler::epoch_len`](crate::Sampler::epoch_len) makes epochs of any length that have every
    /// row before any comes again.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Overflow`] if there are more rows than half of the range of `usize`.
    ///
    /// # Example
    ///
    /// ```
    /// use burn_npy::{NpyDataset, ndarray::array};
    ///
    /// # fn main() -> burn_npy::Result<()> {
    /// let dataset = NpyDataset::from_arrays([("x", array![1, 2, 3, 4])])?;
    /// let odd = dataset.step(2)?.repeat(2)?;
    /// assert_eq!(odd.read::<i32>("x")?, array![1, 3, 1, 3].into_dyn());
    /// # Ok(())
    /// # }
    /// ```
    pub fn repeat(&self, count: usize) -> Result<Self> {
        let mut new = self.clone();
        new.rows.repeat(count)?;
        Ok(new)
    }

    /// The rows that a function keeps, in their order. It sees the elements of a column, converted,
    /// row by row, in C order. It is called now, once for each row, on as many threads as there are
    /// cores. The result holds a list of the rows, as that of [`rows`](Self::rows).
    ///
    /// Rows may have [any length](Self::from_offsets): each comes with the elements of all its
    /// items.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Name`] if there is no such column; [`ErrorKind::Dtype`] if `T` is not its dtype
    /// after the conversion; [`ErrorKind::Limit`] if there is no memory for the list or for a row;
    /// and those of [`Column::gather`], or of
    /// [`RaggedColumn::gather`](crate::file::RaggedColumn::gather).
    ///
    /// # Panics
    ///
    /// Panics if the function does.
    ///
    /// # Example
    ///
    /// ```
    /// use burn_npy::{NpyDataset, ndarray::array};
    ///
    /// # fn main() -> burn_npy::Result<()> {
    /// let points = array![[0.5, 1.0], [f64::NAN, 2.0], [0.0, 3.0]];
    /// let dataset = NpyDataset::from_arrays([("points", points)])?;
    /// let whole = dataset.filter("points", |row: &[f64]| row.iter().all(|x| x.is_finite()))?;
    /// assert_eq!(whole.read::<f64>("points")?, array![[0.5, 1.0], [0.0, 3.0]].into_dyn());
    ///
    /// // Texts of 3, 1 and 2 tokens.
    /// let texts = NpyDataset::from_lengths("tokens", vec![1, 2, 3, 4, 5, 6], vec![3, 1, 2])?;
    /// let short = texts.filter("tokens", |row: &[i32]| row.len() <= 2)?;
    /// assert_eq!(short.lengths("tokens")?, [1, 2]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn filter<T: Element>(
        &self,
        column: &str,
        keep: impl Fn(&[T]) -> bool + Sync,
    ) -> Result<Self> {
        let source = Source::of(self.columns.any(column)?, column)?;
        let kept = pass::map(self, source, keep);
        let kept = kept.map_err(|error| error.in_column(column))?;
        let rows = (0_usize..).zip(kept);
        self.rows(rows.filter(|(_, kept)| *kept).map(|(row, _)| row))
    }

    /// The rows in ascending order of a column of one number a row, as it is converted. Rows with
    /// equal numbers keep their order, and those with NaN come last. The column is read now. The
    /// result holds a list of the rows, as that of [`rows`](Self::rows).
    ///
    /// For a descending order, turn the result around: `sorted.rows((0..sorted.len()).rev())`. For
    /// an order by anything else, there is [`sort_by_key`](Self::sort_by_key).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Name`] if there is no such column; [`ErrorKind::Shape`] if its rows are not one
    /// number each; [`ErrorKind::Usage`] if they have [any length](Self::from_offsets);
    /// [`ErrorKind::Limit`] if there is no memory for the list and the numbers, some 20 bytes a
    /// row; and those of [`Column::gather`].
    ///
    /// # Example
    ///
    /// ```
    /// use burn_npy::{NpyDataset, ndarray::array};
    ///
    /// # fn main() -> burn_npy::Result<()> {
    /// let (length, id) = (array![7, 3, 7, 5], array![0, 1, 2, 3]);
    /// let dataset = NpyDataset::from_tensor_slices((("length", length), ("id", id)))?;
    /// let sorted = dataset.sort_by("length")?;
    /// assert_eq!(sorted.read::<i32>("id")?, array![1, 3, 0, 2].into_dyn());
    /// # Ok(())
    /// # }
    /// ```
    pub fn sort_by(&self, column: &str) -> Result<Self> {
        let numbers = match self.columns.any(column)? {
            AnyColumn::Ragged(_) => {
                let message = "its rows have different lengths, so they are not one number each; \
                               sort_by_key sorts by what a function makes of each row, such as \
                               its length";
                return Err(Error::new(ErrorKind::Usage, message).in_array(column));
            }
            other => other.numbers(column)?.clone(),
        };
        let keys = self.sort_keys(numbers);
        self.sorted(&keys.map_err(|error| error.in_column(column))?)
    }

    /// The rows in ascending order of the keys that a function makes of them. It sees what that of
    /// [`filter`](Self::filter) sees, and is called as that is. Rows with equal keys keep their
    /// order. The result holds a list of the rows, as that of [`rows`](Self::rows).
    ///
    /// # Errors
    ///
    /// Those of [`filter`](Self::filter). There must be memory for the keys too.
    ///
    /// # Panics
    ///
    /// Panics if the function does.
    ///
    /// # Example
    ///
    /// ```
    /// use std::cmp::Reverse;
    ///
    /// use burn_npy::NpyDataset;
    ///
    /// # fn main() -> burn_npy::Result<()> {
    /// // Texts of 1, 3 and 2 tokens; the longest comes first.
    /// let texts = NpyDataset::from_lengths("tokens", vec![1, 2, 3, 4, 5, 6], vec![1, 3, 2])?;
    /// let sorted = texts.sort_by_key("tokens", |row: &[i32]| Reverse(row.len()))?;
    /// assert_eq!(sorted.lengths("tokens")?, [3, 2, 1]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn sort_by_key<T: Element, K: Ord + Send>(
        &self,
        column: &str,
        key: impl Fn(&[T]) -> K + Sync,
    ) -> Result<Self> {
        let source = Source::of(self.columns.any(column)?, column)?;
        let keys = pass::map(self, source, key);
        self.sorted(&keys.map_err(|error| error.in_column(column))?)
    }

    /// The rows in ascending order of their keys.
    fn sorted<K: Ord>(&self, keys: &[K]) -> Result<Self> {
        let mut rows = memory::list(0..self.len())?;
        // By the number of the row where the keys are equal, so that the sort needs no memory.
        rows.sort_unstable_by(|a, b| keys[*a].cmp(&keys[*b]).then(a.cmp(b)));
        self.rows(rows)
    }

    /// A key for each row, in the order of the numbers of a column.
    fn sort_keys(&self, column: Column) -> Result<Vec<u64>> {
        pass::expect_one_number(&column)?;
        const SIGN: u64 = 1 << 63;
        match column.dtype() {
            DType::U64 => pass::map(self, Source::Fixed(&column), |row: &[u64]| row[0]),
            DType::I64 => pass::map(self, Source::Fixed(&column), |row: &[i64]| {
                row[0] as u64 ^ SIGN
            }),
            // A double holds each number of the other types.
            _ => {
                let column = column.convert(Convert::to::<f64>())?;
                pass::map(self, Source::Fixed(&column), |row: &[f64]| {
                    // The sum makes -0 a 0.
                    let bits = (row[0] + 0.0).to_bits();
                    match bits & SIGN {
                        _ if row[0].is_nan() => u64::MAX,
                        0 => bits | SIGN,
                        _ => !bits,
                    }
                })
            }
        }
    }

    /// The parts of a partition, each a dataset. Their rows keep their order.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`] if the partition is one of another number of rows, and those of
    /// [`rows`](Self::rows).
    ///
    /// # Example
    ///
    /// Three parts, each with its share of each class:
    ///
    /// ```
    /// use burn_npy::{NpyDataset, ndarray::Array1, order::Partition};
    ///
    /// # fn main() -> burn_npy::Result<()> {
    /// let labels = Array1::from_iter((0..100_u8).map(|row| row % 4));
    /// let dataset = NpyDataset::from_arrays([("labels", labels)])?;
    /// let labels = dataset.read::<u8>("labels")?;
    /// let parts = Partition::stratified_split(labels, &[0.8, 0.1, 0.1], 42)?;
    /// let [train, valid, test] = dataset.parts(&parts)?.try_into().unwrap();
    /// assert_eq!((train.len(), valid.len(), test.len()), (80, 10, 10));
    /// # Ok(())
    /// # }
    /// ```
    pub fn parts(&self, partition: &Partition) -> Result<Vec<Self>> {
        self.expect_len(partition)?;
        let parts = 0..partition.count();
        parts.map(|part| self.rows(partition.rows(part))).collect()
    }

    /// For each part of a partition, all other rows, for training, and the part itself, for
    /// validation. The rows keep their order.
    ///
    /// # Errors
    ///
    /// Those of [`parts`](Self::parts).
    ///
    /// # Example
    ///
    /// ```
    /// use burn_npy::{NpyDataset, ndarray::Array1, order::Partition};
    ///
    /// # fn main() -> burn_npy::Result<()> {
    /// let dataset = NpyDataset::from_arrays([("x", Array1::from_iter(0..100))])?;
    /// let folds = Partition::k_fold(dataset.len(), 5, 42)?;
    /// for (train, valid) in dataset.folds(&folds)? {
    ///     assert_eq!((train.len(), valid.len()), (80, 20));
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn folds(&self, partition: &Partition) -> Result<Vec<(Self, Self)>> {
        self.expect_len(partition)?;
        let fold = |part| {
            let others = self.rows(partition.others(part))?;
            Ok((others, self.rows(partition.rows(part))?))
        };
        (0..partition.count()).map(fold).collect()
    }

    fn expect_len(&self, partition: &Partition) -> Result<()> {
        if partition.len() == self.len() {
            return Ok(());
        }
        let message = format!(
            "a partition of {} rows, but the dataset has {}; make it of the labels, or of the \
             length, of this dataset",
            partition.len(),
            self.len()
        );
        Err(Error::new(ErrorKind::Usage, message))
    }
}

#[cfg(test)]
mod tests {
    use burn_npy_core::ndarray::{Array1, Array2, array};
    use burn_npy_core::order::PositionRng;
    use burn_npy_core::rand_core::Rng;
    use burn_npy_core::{Array, Sampler, half};

    use super::*;
    use crate::dataset::fingerprint::Fingerprint;
    use crate::dataset::tests::{numbers, values};

    /// A random verb, done to a dataset and to a vector of what its rows should be.
    fn verb(rng: &mut PositionRng, dataset: &NpyDataset, twin: &[i64]) -> (NpyDataset, Vec<i64>) {
        let mut below = |end: usize| rng.next_u32() as usize % end;
        let len = twin.len();
        let rest = twin.iter().copied();
        match below(9) {
            0 => {
                let count = below(len + 5);
                (dataset.take(count), rest.take(count).collect())
            }
            1 => {
                let count = below(len / 2 + 2);
                (dataset.skip(count), rest.skip(count).collect())
            }
            2 => {
                let stride = 1 + below(3);
                let twin = rest.step_by(stride).collect();
                (dataset.step(stride).unwrap(), twin)
            }
            3 => {
                let count = below(4);
                (dataset.repeat(count).unwrap(), twin.repeat(count))
            }
            4 => {
                let list: Vec<usize> = match len {
                    0 => Vec::new(),
                    _ => (0..below(2 * len)).map(|_| below(len)).collect(),
                };
                let twin = list.iter().map(|row| twin[*row]).collect();
                (dataset.rows(list).unwrap(), twin)
            }
            5 => {
                // Which rows a split has is pinned elsewhere; here they are all rows, and its own.
                let fraction = below(5) as f64 / 4.0;
                let (first, second) = dataset.split(fraction, 7).unwrap();
                let both = [values(&first), values(&second)].concat();
                let (mut all, mut expected) = (both, twin.to_vec());
                all.sort_unstable();
                expected.sort_unstable();
                assert_eq!(all, expected);
                let part = if below(2) == 0 { first } else { second };
                let twin = values(&part);
                (part, twin)
            }
            6 => {
                let divisor = 1 + below(4) as i64;
                let kept = dataset.filter("0", |row: &[i64]| row[0] % divisor == 0);
                (kept.unwrap(), rest.filter(|x| x % divisor == 0).collect())
            }
            7 => {
                let mut twin = twin.to_vec();
                twin.sort_unstable();
                (dataset.sort_by("0").unwrap(), twin)
            }
            _ => {
                let double = dataset
                    .convert("0", Convert::to::<f64>().scale(2.0))
                    .unwrap();
                let double = double.convert("0", Convert::to::<i64>()).unwrap();
                (double, rest.map(|x| 2 * x).collect())
            }
        }
    }

    #[test]
    fn any_verb_works_after_any_other() {
        for case in 0..400 {
            let mut rng = PositionRng::new(1, 0, case);
            let len = rng.next_u32() as usize % 40;
            let mut dataset = numbers(len);
            let mut twin: Vec<i64> = (0..len as i64).collect();
            for _ in 0..1 + case % 6 {
                (dataset, twin) = verb(&mut rng, &dataset, &twin);
                assert_eq!(values(&dataset), twin, "case {case}");
            }
            Fingerprint::of(&dataset).unwrap();
            // In the order of a sampler.
            let order = Sampler::shuffled(case).order(twin.len() as u64, 3);
            let rows: Vec<u64> = order.rows(0..order.len()).collect();
            let ordered = dataset.rows(&rows).unwrap();
            let expected: Vec<i64> = rows.iter().map(|row| twin[*row as usize]).collect();
            assert_eq!(values(&ordered), expected, "case {case}");
        }
    }

    #[test]
    fn parts_have_each_row_once_and_folds_all_of_them() {
        let dataset = numbers(30).skip(4).step(2).unwrap();
        let partition = Partition::split(dataset.len(), &[0.5, 0.25, 0.25], 1).unwrap();
        let parts = dataset.parts(&partition).unwrap();
        let lens: Vec<usize> = parts.iter().map(NpyDataset::len).collect();
        assert_eq!((lens[0], lens.iter().sum()), (7, 13));
        let folds = dataset.folds(&partition).unwrap();
        let all = values(&dataset);
        let mut held_out = Vec::new();
        for (part, (train, valid)) in parts.iter().zip(&folds) {
            let (train, valid) = (values(train), values(valid));
            assert_eq!(valid, values(part));
            assert!(valid.is_sorted());
            let others: Vec<i64> = all.iter().copied().filter(|x| !valid.contains(x)).collect();
            assert_eq!(train, others);
            held_out.extend(valid);
        }
        held_out.sort_unstable();
        assert_eq!(held_out, all);
        for error in [
            dataset.take(12).parts(&partition).map(drop).unwrap_err(),
            dataset.take(12).folds(&partition).map(drop).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Usage);
            assert!(
                error
                    .message()
                    .starts_with("a partition of 13 rows, but the dataset has 12;")
            );
        }
    }

    #[test]
    fn filters_see_whole_converted_rows_of_any_number() {
        let (rows, width) = (70_000, 7);
        let table = Array2::from_shape_fn((rows, width), |(i, j)| (i * 31 + j * 7) as u8);
        let table = NpyDataset::from_arrays([("t", table)]).unwrap();
        let halves = table.convert("t", Convert::to::<f32>().scale(0.5)).unwrap();
        let keep = |row: &[f32]| row.len() == 7 && row[6] - row[0] == 21.0 && row[3] > 100.0;
        let found = halves.filter("t", keep).unwrap();
        let all = table.read::<u8>("t").unwrap();
        let expected: Vec<u8> = all
            .outer_iter()
            .filter(|row| i32::from(row[6]) - i32::from(row[0]) == 42 && row[3] > 200)
            .flat_map(|row| row.iter().copied().collect::<Vec<_>>())
            .collect();
        assert!(expected.len() > 7000);
        let found = found.read::<f32>("t").unwrap();
        assert!(
            found.iter().eq(expected
                .iter()
                .map(|x| f32::from(*x) / 2.0)
                .collect::<Vec<_>>()
                .iter())
        );

        let flags = NpyDataset::from_tensor_slices(array![true, false, true]).unwrap();
        assert_eq!(flags.filter("0", |row: &[bool]| row[0]).unwrap().len(), 2);
        let nothing = NpyDataset::from_tensor_slices(Array2::<u8>::zeros((5, 0))).unwrap();
        assert_eq!(
            nothing
                .filter("0", |row: &[u8]| row.is_empty())
                .unwrap()
                .len(),
            5
        );
        assert_eq!(numbers(0).filter("0", |_: &[i64]| true).unwrap().len(), 0);
    }

    #[test]
    fn a_filter_that_fails_names_the_first_row() {
        // In many chunks, of which several fail.
        let len = 1_000_000;
        let values = (0..len).map(|row| {
            if row % 90_000 == 89_999 {
                f32::NAN
            } else {
                1.0
            }
        });
        let dataset = NpyDataset::from_tensor_slices(Array1::from_iter(values)).unwrap();
        let dataset = dataset.convert("0", Convert::to::<i64>()).unwrap();
        for _ in 0..20 {
            let error = dataset.filter("0", |_: &[i64]| true).unwrap_err();
            assert_eq!((error.kind(), error.array()), (ErrorKind::Value, Some("0")));
            assert!(error.message().starts_with("row 89999 has NaN"), "{error}");
        }
        let error = dataset.filter("0", |_: &[u8]| true).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Dtype);
        assert_eq!(error.message(), "the column is int64, asked for uint8");
        let error = dataset.filter("x", |_: &[u8]| true).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Name);
    }

    #[test]
    #[should_panic(expected = "row 600000")]
    fn a_panic_of_a_filter_is_the_one_of_its_function() {
        let dataset = numbers(1_000_000);
        let keep = |row: &[i64]| assert_ne!(row[0], 600_000, "row {}", row[0]);
        let _ = dataset.filter("0", |row: &[i64]| {
            keep(row);
            true
        });
    }

    #[test]
    fn rows_are_sorted_as_their_numbers_are() {
        let order = |values: Array| {
            let ids = Array1::from_iter(0..values.shape()[0] as i32);
            let dataset = NpyDataset::from_arrays([("x", values), ("id", ids.into())]).unwrap();
            dataset
                .sort_by("x")
                .unwrap()
                .read::<i32>("id")
                .unwrap()
                .into_raw_vec_and_offset()
                .0
        };
        let (inf, nan) = (f64::INFINITY, f64::NAN);
        let floats = vec![nan, 0.0, inf, -0.0, -inf, 5e-324, -nan, -1.5, 0.0];
        assert_eq!(order(floats.into()), [4, 7, 1, 3, 8, 5, 2, 0, 6]);
        let large = vec![i64::MAX, i64::MIN, i64::MAX - 1, -1, 0];
        assert_eq!(order(large.into()), [1, 3, 4, 2, 0]);
        assert_eq!(order(vec![u64::MAX, 0, u64::MAX - 1].into()), [1, 2, 0]);
        assert_eq!(order(vec![true, false, true].into()), [1, 0, 2]);
        assert_eq!(order(array![[3_u8], [1], [2]].into()), [1, 2, 0]);
        let halves = [2.0, -1.0, 2.0].map(half::bf16::from_f32);
        assert_eq!(order(halves.to_vec().into()), [1, 0, 2]);

        let tables = NpyDataset::from_tensor_slices(array![[1, 2], [3, 4]]).unwrap();
        let error = tables.sort_by("0").unwrap_err();
        assert_eq!((error.kind(), error.array()), (ErrorKind::Shape, Some("0")));
        assert!(error.message().contains("split_column"));
        assert_eq!(numbers(0).sort_by("0").unwrap().len(), 0);
    }

    #[test]
    fn lists_are_of_any_integers() {
        let dataset = numbers(10);
        let expect = |found: Result<NpyDataset>| assert_eq!(values(&found.unwrap()), [7, 2, 7]);
        expect(dataset.rows([7, 2, 7]));
        expect(dataset.rows([7_u64, 2, 7]));
        expect(dataset.rows(vec![7_usize, 2, 7]));
        let list = vec![7_usize, 2, 7];
        expect(dataset.rows(&list));
        expect(dataset.rows(list.iter().copied().rev()));
        expect(dataset.rows(Array1::from(vec![7_i64, 2, 7])));
        let array = Array1::from(vec![7_u8, 2, 7]);
        expect(dataset.rows(&array));
        expect(dataset.rows(array.view()));
        expect(dataset.rows((0..3).map(|i| [7, 2, 7][i])));
        assert_eq!(values(&dataset.rows(4..6).unwrap()), [4, 5]);
        let none: [u64; 0] = [];
        assert_eq!(values(&dataset.rows(none).unwrap()), [0_i64; 0]);
        for row in [10_i128, -1, i128::from(u64::MAX)] {
            let error = match u64::try_from(row) {
                Ok(row) => dataset.rows([0, row]),
                Err(_) => dataset.rows([0, row as i64]),
            };
            let error = error.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Row);
            let message = format!("entry 1 of the list is row {row}, but there are 10 rows");
            assert_eq!(error.message(), message);
        }
    }
}
