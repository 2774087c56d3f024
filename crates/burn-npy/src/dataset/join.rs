//! Columns that become one, rows of several datasets in turn, and axes in another order.

use burn_npy_core::internal::{RowMap, quoted};
use burn_npy_core::{Error, ErrorKind, Result, file::Column};

use super::NpyDataset;
use super::named::{AnyColumn, Columns};

impl NpyDataset {
    /// Replaces several columns by one, whose rows have the elements of the first, those of the
    /// second and so on, along one axis. It takes the place of the first.
    ///
    /// It is the opposite of [`split_column`](Self::split_column). Fields of a structured array
    /// that lie next to each other are copied as one piece.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Name`] if there is no such column; [`ErrorKind::Dtype`] if the columns have
    /// different dtypes; [`ErrorKind::Duplicate`] if another column has the new name;
    /// [`ErrorKind::Usage`] if no columns are given; [`ErrorKind::Overflow`] if a row becomes too
    /// large.
    ///
    /// # Example
    ///
    /// ```
    /// use burn_npy::{NpyDataset, ndarray::array};
    ///
    /// # fn main() -> burn_npy::Result<()> {
    /// let data = NpyDataset::from_tensor_slices((
    ///     ("temperature", array![20.5, 21.0]),
    ///     ("label", array![0, 1]),
    ///     ("wind", array![[1.0, 2.0], [3.0, 4.0]]),
    /// ))?;
    /// let data = data.join("features", ["temperature", "wind"])?;
    /// assert_eq!(
    ///     format!("{data:?}"),
    ///     "NpyDataset { rows: 2, features: float64 [3], label: int32 [] }"
    /// );
    /// assert_eq!(format!("{:?}", data.row(1)), r#"{"features": [21, 3, 4], "label": 1}"#);
    /// # Ok(())
    /// # }
    /// ```
    pub fn join(
        &self,
        name: &str,
        columns: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<Self> {
        let mut sources: Vec<(String, Column)> = Vec::new();
        for source in columns {
            let source = source.as_ref();
            let column = self.columns.get(source)?;
            if let Some((first, of_first)) = sources.first()
                && of_first.dtype() != column.dtype()
            {
                let message = format!(
                    "{} cannot be joined to {}, which is {}; convert one of them first",
                    column.dtype(),
                    quoted(first),
                    of_first.dtype()
                );
                return Err(Error::new(ErrorKind::Dtype, message).in_column(source));
            }
            sources.push((source.to_owned(), column.clone()));
        }
        let joined = Column::join(sources.iter().map(|(_, column)| column.clone()));
        let joined = joined.map_err(|error| error.in_column(name))?;
        let mut columns = Columns::default();
        for (known, column) in self.columns.iter() {
            if known == sources[0].0 {
                columns.push(name.to_owned(), AnyColumn::Numbers(joined.clone()));
            } else if sources.iter().all(|(source, _)| known != source) {
                columns.push(known.to_owned(), column.clone());
            }
        }
        Ok(Self {
            rows: self.rows.clone(),
            ..Self::from_columns(columns)?
        })
    }

    /// Brings the axes of the rows of a column into another order: axis `i` of the new row is axis
    /// `axes[i]` of the old one, as in NumPy's `transpose`. For images with channels last,
    /// `[2, 0, 1]` brings the channels to the front.
    ///
    /// A row is permuted when it is gathered. Bytes are moved sooner than floats, so permute before
    /// you [convert](Self::convert).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Name`] if there is no such column, and those of [`Column::permute`].
    ///
    /// # Example
    ///
    /// ```
    /// use burn_npy::{Convert, NpyDataset, ndarray::Array4};
    ///
    /// # fn main() -> burn_npy::Result<()> {
    /// let images = NpyDataset::from_arrays([("images", Array4::<u8>::zeros((100, 32, 32, 3)))])?;
    /// let (mean, std) = ([0.4914, 0.4822, 0.4465], [0.2470, 0.2435, 0.2616]);
    /// let normalized = Convert::to::<f32>().divide(255.0).normalize(&mean, &std);
    /// let images = images.permute("images", &[2, 0, 1])?.convert("images", normalized)?;
    /// assert_eq!(format!("{images:?}"), "NpyDataset { rows: 100, images: float32 [3, 32, 32] }");
    /// # Ok(())
    /// # }
    /// ```
    pub fn permute(&self, name: &str, axes: &[usize]) -> Result<Self> {
        self.replace(name, |column| column.permute(axes))
    }

    /// Takes the rows of several datasets in turn, each as often as its weight says: with weights
    /// of 3 and 1, three of four rows are of the first. They have columns of the same names, dtypes
    /// and row shapes.
    ///
    /// The rows of each dataset keep their order and are spread evenly: at any point, the number of
    /// those taken differs from their share by less than one row for each doubling of the number of
    /// datasets, and one more. The mix ends where a dataset would have to give a row twice. So with
    /// a small dataset of a large weight, most rows of a large one are never taken. Which row is
    /// where depends on the lengths and the weights alone, so that a run can be resumed. A saved
    /// state is refused if the weights are others.
    ///
    /// A loader that shuffles brings the rows of the mix into a random order, in which the shares
    /// hold for the epoch, but not for each batch.
    ///
    /// # Errors
    ///
    /// Those of [`concat`](Self::concat), and [`ErrorKind::Usage`] if a weight is not positive and
    /// finite, or a dataset has no rows.
    ///
    /// # Example
    ///
    /// ```
    /// use burn_npy::{NpyDataset, ndarray::{Array1, array}};
    ///
    /// # fn main() -> burn_npy::Result<()> {
    /// let books = NpyDataset::from_tensor_slices((("x", Array1::from_iter(0..12)),))?;
    /// let code = NpyDataset::from_tensor_slices((("x", array![100, 101, 102, 103]),))?;
    /// let mix = NpyDataset::mix([(books, 3.0), (code, 1.0)])?;
    /// let rows = mix.read::<i32>("x")?;
    /// let expected = [0, 1, 100, 2, 3, 4, 101, 5, 6, 7, 102, 8, 9, 10, 103, 11];
    /// assert_eq!(rows.as_slice(), Some(&expected[..]));
    /// # Ok(())
    /// # }
    /// ```
    pub fn mix(datasets: impl IntoIterator<Item = (Self, f64)>) -> Result<Self> {
        let mut parts = Vec::new();
        let mut all = Vec::new();
        for (number, (dataset, weight)) in datasets.into_iter().enumerate() {
            let refuse = |what: String| {
                let message = format!("dataset {number} of those to mix has {what}");
                Err(Error::new(ErrorKind::Usage, message))
            };
            if !(weight.is_finite() && weight > 0.0) {
                return refuse(format!(
                    "the weight {weight}; expected a positive number, or leave the dataset out"
                ));
            }
            if dataset.is_empty() {
                return refuse("no rows, so nothing can be mixed with them".to_owned());
            }
            parts.push((dataset.len(), weight));
            all.push(dataset);
        }
        let mut mixed = Self::concat(all)?;
        let mut rows = RowMap::new(mixed.len());
        rows.mix(&parts);
        mixed.rows = rows;
        Ok(mixed)
    }
}

#[cfg(test)]
mod tests {
    use burn_npy_core::ndarray::{Array1, Array2, Array4, Axis, array};
    use burn_npy_core::{Array, Convert};

    use super::*;
    use crate::Windows;
    use crate::dataset::fingerprint::Fingerprint;
    use crate::dataset::tests::numbers;

    fn read(dataset: &NpyDataset, name: &str) -> Vec<i64> {
        dataset.read::<i64>(name).unwrap().into_iter().collect()
    }

    /// A structured array of `t: <i8`, `p: <i8`, `w: <i8 (3,)` and `l: |u1`.
    fn structure(rows: u8) -> Array {
        let text = format!(
            "{{'descr': [('t', '<i8'), ('p', '<i8'), ('w', '<i8', (3,)), ('l', '|u1')], \
             'fortran_order': False, 'shape': ({rows},)}}"
        );
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((text.len() as u16).to_le_bytes());
        bytes.extend(text.bytes());
        for row in 0..rows {
            bytes.extend((0..5).flat_map(|i| (10 * i64::from(row) + i).to_le_bytes()));
            bytes.push(row);
        }
        Array::from_bytes(bytes).unwrap()
    }

    #[test]
    fn columns_and_fields_become_one() {
        let fields = NpyDataset::from_arrays([("s", structure(4))]).unwrap();
        let row = |dataset: &NpyDataset, row| -> Vec<i64> {
            let row = dataset.row(row).get::<i64>("x").unwrap();
            row.into_iter().collect()
        };
        for (names, expected) in [
            // One piece of the file.
            (&["s.t", "s.p", "s.w"][..], &[20, 21, 22, 23, 24][..]),
            (&["s.p", "s.w"], &[21, 22, 23, 24]),
            (&["s.w"], &[22, 23, 24]),
            // Several.
            (&["s.t", "s.w"], &[20, 22, 23, 24]),
            (&["s.p", "s.t"], &[21, 20]),
        ] {
            let joined = fields.join("x", names).unwrap();
            assert_eq!(row(&joined, 2), expected);
            assert_eq!(row(&joined.skip(1), 1), expected);
            let left = joined.columns().count();
            assert_eq!(left, 4 - names.len() + 1);
            let windows = joined.windows(Windows::new(2)).unwrap();
            assert_eq!(row(&windows, 1)[expected.len()..], *expected);
        }
        let converted = fields.convert("s.l", Convert::to::<i64>()).unwrap();
        let joined = converted.join("s.l", ["s.l", "s.t"]).unwrap();
        assert_eq!(read(&joined, "s.l"), [0, 0, 1, 10, 2, 20, 3, 30]);
        let names: Vec<_> = joined.columns().map(|(name, _)| name).collect();
        assert_eq!(names, ["s.p", "s.w", "s.l"]);
        // What was cut comes together again.
        let table = Array2::from_shape_fn((3, 4), |(i, j)| (10 * i + j) as i64);
        let table = NpyDataset::from_tensor_slices((("t", table),)).unwrap();
        let cut = table.split_column("t", [("a", 0..1), ("b", 1..4)]).unwrap();
        assert_eq!(
            read(&cut.join("x", ["a", "b"]).unwrap(), "x"),
            read(&table, "t")
        );
        assert_eq!(
            row(&cut.join("x", ["b", "a"]).unwrap(), 1),
            [11, 12, 13, 10]
        );
    }

    #[test]
    fn what_cannot_be_joined_is_named() {
        let fields = NpyDataset::from_arrays([("s", structure(4))]).unwrap();
        let error = fields.join("x", ["s.t", "s.l"]).unwrap_err();
        assert_eq!(
            (error.kind(), error.array()),
            (ErrorKind::Dtype, Some("s.l"))
        );
        let message =
            "uint8 cannot be joined to \"s.t\", which is int64; convert one of them first";
        assert!(error.to_string().ends_with(message), "{error}");
        let error = fields.join("x", ["s.t", "z"]).unwrap_err();
        assert_eq!((error.kind(), error.array()), (ErrorKind::Name, Some("z")));
        let error = fields.join("s.l", ["s.t", "s.p"]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Duplicate);
        let none: [&str; 0] = [];
        assert_eq!(fields.join("x", none).unwrap_err().kind(), ErrorKind::Usage);
    }

    #[test]
    fn axes_of_any_column_are_permuted() {
        let images = Array4::from_shape_fn((5, 4, 3, 2), |(n, h, w, c)| {
            (1000 * n + 100 * h + 10 * w + c) as i64
        });
        let fortran = images.t().as_standard_layout().into_owned().reversed_axes();
        let expected = images.view().permuted_axes([0, 3, 1, 2]).into_dyn();
        for array in [images.clone(), fortran] {
            let dataset = NpyDataset::from_tensor_slices((("x", array),)).unwrap();
            let permuted = dataset.permute("x", &[2, 0, 1]).unwrap();
            assert_eq!(permuted.read::<i64>("x").unwrap(), expected);
            let back = permuted.permute("x", &[1, 2, 0]).unwrap();
            assert_eq!(back.read::<i64>("x").unwrap(), images.view().into_dyn());
            let floats = permuted.convert("x", Convert::to::<f32>()).unwrap();
            let found = floats.skip(3).row(1).get::<f32>("x").unwrap();
            assert_eq!(found, expected.index_axis(Axis(0), 4).mapv(|x| x as f32));
            let wide = dataset.convert("x", Convert::to::<f32>()).unwrap();
            let wide = wide.reshape("x", &[4, 6]).unwrap();
            let found = wide
                .permute("x", &[1, 0])
                .unwrap()
                .row(2)
                .get::<f32>("x")
                .unwrap();
            assert_eq!((found.shape(), found[[5, 1]]), (&[6, 4][..], 2121.0));
            for axes in [&[0, 1][..], &[0, 1, 1], &[0, 1, 3], &[0, 1, 2, 3]] {
                let error = dataset.permute("x", axes).unwrap_err();
                assert_eq!((error.kind(), error.array()), (ErrorKind::Shape, Some("x")));
            }
        }
        let none = NpyDataset::from_tensor_slices(Array4::<u8>::zeros((3, 2, 0, 5))).unwrap();
        let none = none.permute("0", &[2, 0, 1]).unwrap();
        assert_eq!(none.read::<u8>("0").unwrap().shape(), [3, 5, 2, 0]);
    }

    #[test]
    fn a_mix_is_a_dataset_like_any_other() {
        let part = |from: i64, rows: i64| {
            let rows = Array1::from_iter(from..from + rows);
            NpyDataset::from_tensor_slices(rows).unwrap()
        };
        let (a, b, c) = (part(0, 100), part(1000, 50).skip(10), part(2000, 7));
        let mix = NpyDataset::mix([(a.clone(), 5.0), (b, 4.0), (c, 1.0)]).unwrap();
        let rows = read(&mix, "0");
        let of = |part: i64| rows.iter().copied().filter(move |row| row / 1000 == part);
        let count = |part| of(part).count();
        // The third has seven rows, and would have to give an eighth.
        assert_eq!(count(2), 7);
        let share = |part| count(part) as f64 / rows.len() as f64;
        assert!((share(0) - 0.5).abs() < 0.03 && (share(1) - 0.4).abs() < 0.03);
        assert!(of(1).eq(1010..1010 + count(1) as i64));
        let (train, valid) = mix.split(0.5, 1).unwrap();
        let mut parts = [read(&train, "0"), read(&valid, "0")].concat();
        parts.sort();
        let mut sorted = rows.clone();
        sorted.sort();
        assert_eq!(parts, sorted);
        assert_eq!(read(&mix.skip(3).take(2), "0"), rows[3..5]);
        let again = NpyDataset::mix([(mix.clone(), 1.0), (a.clone(), 1.0)]).unwrap();
        let again = read(&again, "0");
        let firsts = again.iter().step_by(2).copied();
        assert!(firsts.eq(rows.iter().take(again.len().div_ceil(2)).copied()));
        assert!(
            again
                .iter()
                .skip(1)
                .step_by(2)
                .copied()
                .eq(0..again.len() as i64 / 2)
        );
        // Windows of a mix are made of its rows; those that were mixed may share any.
        let windows = mix.windows(Windows::new(3)).unwrap();
        assert_eq!(
            windows.row(4).get::<i64>("0").unwrap().as_slice(),
            Some(&rows[4..7])
        );
        let windows = |from| part(from, 50).windows(Windows::new(3)).unwrap();
        let mixed = NpyDataset::mix([(windows(0), 1.0), (windows(1000), 1.0)]).unwrap();
        assert!(mixed.split(0.5, 1).is_err());
        let error = mixed.split_in_time(0.5).unwrap_err().to_string();
        assert!(error.contains("not in the order of the file"), "{error}");
    }

    #[test]
    fn a_state_of_other_weights_is_refused() {
        let print = |weights: [f64; 2]| {
            let parts = weights.map(|weight| (numbers(50), weight));
            Fingerprint::of(&NpyDataset::mix(parts).unwrap()).unwrap()
        };
        let saved = print([3.0, 1.0]);
        print([6.0, 2.0]).expect(&saved).unwrap();
        let error = print([2.0, 1.0]).expect(&saved).unwrap_err();
        assert!(
            error.to_string().contains("of 67 rows, but there are 75"),
            "{error}"
        );
        // As many rows, but others.
        let error = print([1.0, 3.0]).expect(&saved).unwrap_err();
        assert!(
            error.to_string().contains("whose values were others"),
            "{error}"
        );
    }

    #[test]
    fn what_cannot_be_mixed_is_named() {
        for (rows, weight, message) in [
            (
                3,
                0.0,
                "dataset 1 of those to mix has the weight 0; expected a positive number",
            ),
            (3, -1.0, "has the weight -1"),
            (3, f64::NAN, "has the weight NaN"),
            (3, f64::INFINITY, "has the weight inf"),
            (0, 1.0, "dataset 1 of those to mix has no rows"),
        ] {
            let mix = NpyDataset::mix([(numbers(3), 1.0), (numbers(rows), weight)]);
            let error = mix.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage);
            assert!(error.to_string().contains(message), "{error}");
        }
        assert_eq!(NpyDataset::mix([]).unwrap_err().kind(), ErrorKind::Usage);
        let other = NpyDataset::from_tensor_slices(array![1.0_f32]).unwrap();
        let error = NpyDataset::mix([(numbers(3), 1.0), (other, 1.0)]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Dtype);
    }
}
