//! Methods of a dataset that choose and order its rows.

use burn_npy_core::order::Partition;
use burn_npy_core::{Error, ErrorKind, Result};

use super::NpyDataset;

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
    use burn_npy_core::ndarray::Array1;
    use burn_npy_core::order::PositionRng;
    use burn_npy_core::rand_core::Rng;
    use burn_npy_core::{Convert, Sampler};

    use super::*;
    use crate::dataset::fingerprint::Fingerprint;
    use crate::dataset::tests::{numbers, values};

    /// A random verb, done to a dataset and to a vector of what its rows should be.
    fn verb(rng: &mut PositionRng, dataset: &NpyDataset, twin: &[i64]) -> (NpyDataset, Vec<i64>) {
        let mut below = |end: usize| rng.next_u32() as usize % end;
        let len = twin.len();
        let rest = twin.iter().copied();
        match below(7) {
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
    fn lists_are_of_any_integers() {
        let dataset = numbers(10);
        let expect = |found: Result<NpyDataset>| assert_eq!(values(&found.unwrap()), [7, 2, 7]);
        expect(dataset.rows([7, 2, 7]));
        expect(dataset.rows([7_u64, 2, 7]));
        expect(dataset.rows(vec![7_usize, 2, 7]));
        expect(dataset.rows(&vec![7_usize, 2, 7]));
        expect(dataset.rows(Array1::from(vec![7_i64, 2, 7])));
        expect(dataset.rows(&Array1::from(vec![7_u8, 2, 7])));
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
