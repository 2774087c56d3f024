//! Methods of a dataset that change its columns.

use std::sync::Arc;

use burn_npy_core::internal;
use burn_npy_core::{
    Convert, DType, Error, ErrorKind, Result,
    file::{Column, ItemKind},
    transform::Transform,
};

use super::NpyDataset;
use super::named::{AnyColumn, Columns, listed_names};
use super::parts::{Part, Parts};

impl NpyDataset {
    fn with_columns(&self, columns: Columns) -> Self {
        Self {
            columns: Arc::new(columns),
            rows: self.rows.clone(),
        }
    }

    /// Keeps only these columns, in this order.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Name`] if there is no such column, [`ErrorKind::Duplicate`] if a name is given
    /// twice.
    pub fn select(&self, names: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Self> {
        let mut columns = Columns::default();
        for name in names {
            let name = name.as_ref();
            columns.push(name.to_owned(), self.columns.any(name)?.clone());
        }
        Ok(Self {
            rows: self.rows.clone(),
            ..Self::from_columns(columns)?
        })
    }

    /// Renames a column.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Name`] if there is no such column, [`ErrorKind::Duplicate`] if another column
    /// has the new name.
    pub fn rename(&self, from: &str, to: &str) -> Result<Self> {
        self.columns.any(from)?;
        let mut columns = Columns::default();
        for (name, column) in self.columns.iter() {
            let name = if name == from { to } else { name };
            columns.push(name.to_owned(), column.clone());
        }
        Ok(Self {
            rows: self.rows.clone(),
            ..Self::from_columns(columns)?
        })
    }

    /// Gives each row of a column another shape with the same number of elements, such as
    /// `[1, 28, 28]` for `[784]`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Name`] if there is no such column, and those of [`Column::reshape`].
    ///
    /// # Example
    ///
    /// Labels of the shape `(n, 1)` become `(n,)`, as a `Tensor<1, Int>` needs them:
    ///
    /// ```
    /// use burn_npy::{NpyDataset, ndarray::Array2};
    ///
    /// # fn main() -> burn_npy::Result<()> {
    /// let dataset = NpyDataset::from_arrays([("labels", Array2::<u8>::zeros((100, 1)))])?;
    /// assert_eq!(format!("{dataset:?}"), "NpyDataset { rows: 100, labels: uint8 [1] }");
    /// let dataset = dataset.reshape("labels", &[])?;
    /// assert_eq!(format!("{dataset:?}"), "NpyDataset { rows: 100, labels: uint8 [] }");
    /// # Ok(())
    /// # }
    /// ```
    pub fn reshape(&self, name: &str, row_shape: &[usize]) -> Result<Self> {
        self.replace_items(name, |items| items.reshape(row_shape))
    }

    /// Converts the elements of a column when its rows are gathered.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Name`] if there is no such column, and those of [`Column::convert`].
    ///
    /// # Example
    ///
    /// Bytes become floats in [0, 1]. A second call continues where the first ends:
    ///
    /// ```
    /// use burn_npy::{Convert, NpyDataset, ndarray::array};
    ///
    /// # fn main() -> burn_npy::Result<()> {
    /// let dataset = NpyDataset::from_arrays([("x", array![[0_u8, 51], [102, 255]])])?
    ///     .convert("x", Convert::to::<f32>().divide(255.0))?;
    /// assert_eq!(dataset.read::<f32>("x")?, array![[0.0, 0.2], [0.4, 1.0]].into_dyn());
    ///
    /// let dataset = dataset.convert("x", Convert::new().offset(-0.5).scale(2.0))?;
    /// assert_eq!(dataset.row(1).get::<f32>("x")?[[1]], 1.0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn convert(&self, name: &str, convert: Convert) -> Result<Self> {
        self.replace_items(name, |items| items.convert(convert.clone()))
    }

    /// Makes a new row of each row of a column, with a [`Transform`]. It runs when rows are
    /// gathered: in a loader on its workers, straight into the memory of the batch.
    ///
    /// In a loader, the generator of a row depends on the seed of the sampler, the epoch and the
    /// position of the row in it. So the batches are the same for any number of workers, and after
    /// a resume, and a row that is drawn ten times in an epoch is transformed in ten ways. The
    /// first transforms of all columns draw the same numbers, so an image and its mask are cropped
    /// alike; the second ones draw others, and so on. Outside of a loader, the position is the
    /// number of the row, in epoch 0 with seed 0.
    ///
    /// What is done first is done with fewer bytes: crop images before they are
    /// [converted](Self::convert) to floats.
    ///
    /// A row of [any length](Self::from_offsets) has its items along the first axis, and the new
    /// row may have more or fewer of them. How many is a function of the old length alone, so
    /// [`lengths`](Self::lengths) and padding are those of the new rows. See
    /// [`RaggedColumn::map`](crate::file::RaggedColumn::map).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Name`] if there is no such column; those of [`Transform::output`] and, for rows
    /// of any length, of [`RaggedColumn::map`](crate::file::RaggedColumn::map).
    ///
    /// # Examples
    ///
    /// ```
    /// use burn_npy::{NpyDataset, ndarray::Array2, transform};
    /// use rand::RngExt;
    ///
    /// # fn main() -> burn_npy::Result<()> {
    /// let series = NpyDataset::from_tensor_slices((("series", Array2::<f32>::zeros((10, 4))),))?;
    /// let jitter = transform::from_fn::<f32, f32>(|row, mut out, rng| {
    ///     out.assign(&(&row + rng.random_range(-0.1..0.1)));
    ///     Ok(())
    /// });
    /// let jittered = series.map("series", jitter)?;
    /// let row = jittered.row(3).get::<f32>("series")?;
    /// assert!(row[[0]] != 0.0 && row[[0]] == row[[3]]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Of long texts, some tokens from a random place on:
    ///
    /// ```
    /// use burn_npy::{NpyDataset, ndarray::Array1, transform::Truncate};
    ///
    /// # fn main() -> burn_npy::Result<()> {
    /// let tokens = Array1::from_iter(0..1003_u16);
    /// let texts = NpyDataset::from_lengths("tokens", tokens, vec![1000, 3])?;
    /// let texts = texts.map("tokens", Truncate::new(128).random())?;
    /// assert_eq!(texts.lengths("tokens")?, [128, 3]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn map(&self, column: &str, transform: impl Transform) -> Result<Self> {
        let AnyColumn::Ragged(ragged) = self.columns.any(column)? else {
            return self.replace(column, |column| column.map(transform));
        };
        let mapped = internal::map_ragged(ragged, transform, &self.rows);
        let mapped = mapped.map_err(|error| error.in_column(column))?;
        Ok(self.with_any_column(column, AnyColumn::Ragged(mapped)))
    }

    /// Promises that the files of the columns will not change, so that batches may borrow mapped
    /// pages, and the files are not checked for changes. The check of each file that a batch has
    /// rows of takes longer than the copy of a short row, so this helps most where a dataset has
    /// many files and short rows.
    ///
    /// A batch then borrows its rows instead of copying them if they are consecutive, as in an
    /// order that is not shuffled, if they are not converted, and if the backend runs on the CPU.
    /// Columns in memory are borrowed without this promise. A borrowed tensor that is changed in
    /// place is copied first; the file never changes.
    ///
    /// The promise may come before or after the methods that choose, combine and transform rows.
    /// For an opaque column it must come after [`reinterpret`](Self::reinterpret).
    ///
    /// # Safety
    ///
    /// The files must not be changed or truncated by anyone as long as the dataset, a loader of it,
    /// or a tensor of one exists. `np.save` truncates the file that it overwrites. An access to a
    /// tensor over a truncated file kills the process.
    #[allow(unsafe_code)]
    pub unsafe fn assume_unchanged(&self) -> Self {
        let mut columns = Columns::default();
        for (name, column) in self.columns.iter() {
            let column = match column.clone() {
                AnyColumn::Numbers(column) => {
                    // SAFETY: the caller makes the promise that the column requires.
                    AnyColumn::Numbers(unsafe { column.assume_unchanged() })
                }
                AnyColumn::Ragged(column) => {
                    // SAFETY: as above.
                    AnyColumn::Ragged(unsafe { column.assume_unchanged() })
                }
                opaque @ AnyColumn::Opaque(_) => opaque,
            };
            columns.push(name.to_owned(), column);
        }
        Self {
            columns: Arc::new(columns),
            ..self.clone()
        }
    }

    /// Sets the dtype of the opaque items of a column, which the file does not have.
    ///
    /// NumPy writes `bfloat16` of `ml_dtypes` as `<V2`, and its one-byte types, such as `int4` and
    /// `float8_e4m3fn`, as `<V1`. [`DType`] has all of them. Whether the dtype is right cannot be
    /// checked: another one of the same size gives other values. An item of several numbers gets an
    /// axis for them. [`DType::U8`] gives the bytes.
    ///
    /// [`open`](Self::open) refuses opaque items. [`from_npz`](Self::from_npz),
    /// [`from_files`](Self::from_files) and [`from_arrays`](Self::from_arrays) accept them. Until
    /// it has a dtype, an opaque column can be selected and renamed, and its rows can be taken,
    /// skipped and split. Everything that needs its numbers gives [`ErrorKind::Dtype`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Name`] if there is no such column; [`ErrorKind::Dtype`] if its items are not
    /// opaque or their size does not fit; [`ErrorKind::Usage`] if the column was reinterpreted
    /// before.
    ///
    /// # Example
    ///
    /// ```
    /// use burn_npy::{DType, NpyDataset};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let weights = dir.path().join("weights.npy");
    /// # let header = "{'descr': '<V2', 'fortran_order': False, 'shape': (2,), }\n";
    /// # let mut bytes = [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..]].concat();
    /// # bytes.extend(header.bytes().chain([0xc0, 0x3f, 0, 0xc0]));
    /// # std::fs::write(&weights, bytes)?;
    /// // np.save("weights.npy", np.array([1.5, -2.0], ml_dtypes.bfloat16))
    /// let dataset = NpyDataset::from_files([("weights", weights)])?;
    /// assert_eq!(format!("{dataset:?}"), "NpyDataset { rows: 2, weights: opaque <V2 [] }");
    /// let dataset = dataset.reinterpret("weights", DType::BF16)?;
    /// assert_eq!(format!("{:?}", dataset.row(1)), r#"{"weights": -2}"#);
    /// # Ok(())
    /// # }
    /// ```
    pub fn reinterpret(&self, name: &str, dtype: DType) -> Result<Self> {
        let array = match self.columns.any(name)? {
            AnyColumn::Opaque(array) => array.clone(),
            AnyColumn::Ragged(column) => {
                let message = format!("the items are known to be {} already", column.dtype());
                return Err(Error::new(ErrorKind::Dtype, message).in_column(name));
            }
            AnyColumn::Numbers(column) => {
                let kind = match column.array().item().kind() {
                    ItemKind::Opaque(_) => ErrorKind::Usage,
                    _ => ErrorKind::Dtype,
                };
                let message = format!("the items are known to be {} already", column.dtype());
                return Err(Error::new(kind, message).in_column(name));
            }
        };
        let new = array.reinterpret(dtype).and_then(Column::new);
        let new = new.map_err(|error| error.in_column(name))?;
        Ok(self.with_column(name, new))
    }

    pub(super) fn replace(
        &self,
        name: &str,
        with: impl FnOnce(Column) -> Result<Column>,
    ) -> Result<Self> {
        let column = self.columns.get(name)?.clone();
        let new = with(column).map_err(|error| error.in_column(name))?;
        Ok(self.with_column(name, new))
    }

    fn replace_items(&self, name: &str, with: impl Fn(Column) -> Result<Column>) -> Result<Self> {
        let new = self.columns.any(name)?.change_items(name, with)?;
        Ok(self.with_any_column(name, new))
    }

    fn with_column(&self, name: &str, column: Column) -> Self {
        self.with_any_column(name, AnyColumn::Numbers(column))
    }

    fn with_any_column(&self, name: &str, new: AnyColumn) -> Self {
        let mut columns = Columns::default();
        for (known, column) in self.columns.iter() {
            let column = if known == name { &new } else { column };
            columns.push(known.to_owned(), column.clone());
        }
        self.with_columns(columns)
    }

    /// Replaces a column by several columns, each a part of its rows. For example, a table of ten
    /// numbers a row becomes `features`, with the first nine, and `label`, with the last.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Name`] if there is no such column, [`ErrorKind::Duplicate`] if a new name is
    /// taken, and those of [`Column::slice`].
    ///
    /// # Example
    ///
    /// A range keeps the axis, an index removes it. Parts may overlap, and what is in none is left
    /// out. [`Parts`] are a tuple, or an array if all of them are ranges, or all indices:
    ///
    /// ```
    /// use burn_npy::{NpyDataset, ndarray::array};
    ///
    /// # fn main() -> burn_npy::Result<()> {
    /// let dataset = NpyDataset::from_arrays([("table", array![[1, 2, 3, 4], [5, 6, 7, 8]])])?
    ///     .split_column("table", (("features", 0..2), ("label", 3)))?;
    /// assert_eq!(
    ///     format!("{dataset:?}"),
    ///     "NpyDataset { rows: 2, features: int32 [2], label: int32 [] }"
    /// );
    /// assert_eq!(format!("{:?}", dataset.row(1)), r#"{"features": [5, 6], "label": 8}"#);
    /// # Ok(())
    /// # }
    /// ```
    pub fn split_column(&self, name: &str, parts: impl Parts) -> Result<Self> {
        let whole = self.columns.get(name)?;
        let mut columns = Columns::default();
        let mut parts = Some(parts.into_parts());
        for (known, column) in self.columns.iter() {
            if known != name {
                columns.push(known.to_owned(), column.clone());
                continue;
            }
            for (name, part) in parts.take().into_iter().flatten() {
                let column = cut(whole.clone(), part).map_err(|error| error.in_column(&name))?;
                columns.push(name, AnyColumn::Numbers(column));
            }
        }
        Ok(Self {
            rows: self.rows.clone(),
            ..Self::from_columns(columns)?
        })
    }

    /// The rows of several datasets, one dataset after the other. They have columns of the same
    /// names, dtypes and row shapes; the columns of the first give the order. Nothing is copied,
    /// and a row is gathered from the file that has it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Name`] if a dataset has other columns than the first; [`ErrorKind::Dtype`] or
    /// [`ErrorKind::Shape`], with the file, if their rows differ; [`ErrorKind::Usage`] if there are
    /// no datasets.
    ///
    /// # Example
    ///
    /// ```
    /// use burn_npy::{NpyDataset, ndarray::array};
    ///
    /// # fn main() -> burn_npy::Result<()> {
    /// let train = NpyDataset::from_tensor_slices((("x", array![1, 2, 3]),))?;
    /// let more = NpyDataset::from_tensor_slices((("x", array![4, 5]),))?;
    /// let all = NpyDataset::concat([train, more])?;
    /// assert_eq!(all.read::<i32>("x")?.as_slice(), Some(&[1, 2, 3, 4, 5][..]));
    /// # Ok(())
    /// # }
    /// ```
    pub fn concat(datasets: impl IntoIterator<Item = Self>) -> Result<Self> {
        let datasets: Vec<Self> = datasets.into_iter().collect();
        let Some(first) = datasets.first() else {
            return Err(Error::new(ErrorKind::Usage, "no datasets to concatenate"));
        };
        let mut chains: Vec<Vec<AnyColumn>> = vec![Vec::new(); first.columns.names().len()];
        for (number, dataset) in datasets.iter().enumerate() {
            let count = dataset.columns.names().len();
            if count != chains.len() {
                let message = format!(
                    "dataset {number} of those to concatenate has {}, but the first one has {}",
                    listed_names(dataset.columns.names()),
                    listed_names(first.columns.names())
                );
                return Err(Error::new(ErrorKind::Name, message));
            }
            for (name, chain) in first.columns.names().iter().zip(&mut chains) {
                chain.push(dataset.columns.any(name)?.pick(name, &dataset.rows)?);
            }
        }
        let mut columns = Columns::default();
        for (name, chain) in first.columns.names().iter().zip(chains) {
            let column = AnyColumn::chain(chain).map_err(|error| error.in_column(name))?;
            columns.push(name.clone(), column);
        }
        Self::from_columns(columns)
    }

    /// The columns of this dataset and those of another one with as many rows.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Shape`] if the other one has another number of rows; [`ErrorKind::Duplicate`]
    /// if both have a column of the same name.
    ///
    /// # Example
    ///
    /// ```
    /// use burn_npy::{NpyDataset, ndarray::array};
    ///
    /// # fn main() -> burn_npy::Result<()> {
    /// let features = NpyDataset::from_tensor_slices((("features", array![0.5, 1.5]),))?;
    /// let labels = NpyDataset::from_tensor_slices((("labels", array![7, 8, 9]),))?;
    /// let both = features.zip(&labels.skip(1))?;
    /// assert_eq!(both.row(0).get::<i32>("labels")?[[]], 8);
    /// # Ok(())
    /// # }
    /// ```
    pub fn zip(&self, other: &Self) -> Result<Self> {
        let mut columns = Columns::default();
        for dataset in [self, other] {
            for (name, column) in dataset.columns.iter() {
                columns.push(name.to_owned(), column.pick(name, &dataset.rows)?);
            }
        }
        Self::from_columns(columns)
    }

    /// The columns, with the rows of the dataset as theirs.
    pub(super) fn picked(&self) -> Result<Vec<(String, Column)>> {
        let picked = |name: &String| {
            let column = self.columns.get(name)?;
            Ok((name.clone(), internal::pick(column, &self.rows)))
        };
        self.columns.names().iter().map(picked).collect()
    }
}

fn cut(column: Column, part: Part) -> Result<Column> {
    match part {
        Part::Range(range) => column.slice(range),
        Part::Index(index) => {
            let column = column.slice(index..index.saturating_add(1))?;
            let row_shape = column.row_shape()[1..].to_vec();
            column.reshape(&row_shape)
        }
    }
}

#[cfg(test)]
mod tests {
    use burn_npy_core::Array;
    use burn_npy_core::ndarray::Array2;

    use super::*;
    use crate::dataset::tests::numbers;

    #[test]
    fn columns_are_selected_renamed_split_and_reshaped() {
        let table = Array2::from_shape_fn((3, 4), |(i, j)| (10 * i + j) as f64);
        let dataset =
            NpyDataset::from_arrays([("t", table.into()), ("l", Array::from(vec![7_u8, 8, 9]))])
                .unwrap();
        let dataset = dataset
            .split_column("t", (("a", 0..3), ("b", 3)))
            .and_then(|dataset| dataset.rename("l", "label"))
            .and_then(|dataset| dataset.convert("b", Convert::to::<i32>()))
            .and_then(|dataset| dataset.reshape("a", &[3, 1]))
            .unwrap();
        assert_eq!(
            format!("{dataset:?}"),
            "NpyDataset { rows: 3, a: float64 [3, 1], b: int32 [], label: uint8 [] }"
        );
        assert_eq!(dataset.row(2).get::<i32>("b").unwrap()[[]], 23);
        assert_eq!(dataset.row(1).value("label").unwrap().to_string(), "8");
        assert_eq!(
            format!("{:?}", dataset.select(["label", "b"]).unwrap().row(0)),
            r#"{"label": 7, "b": 3}"#
        );
    }

    #[test]
    fn what_does_not_go_together_is_named() {
        let (a, b) = (numbers(2), numbers(3));
        let error = a.zip(&b.rename("0", "1").unwrap()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Shape);
        let error = a.zip(&a).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Duplicate);
        let error = NpyDataset::concat([a.clone(), b.rename("0", "x").unwrap()]).unwrap_err();
        assert_eq!((error.kind(), error.array()), (ErrorKind::Name, Some("0")));
        let two = a.zip(&a.rename("0", "1").unwrap()).unwrap();
        let error = NpyDataset::concat([a.clone(), two])
            .unwrap_err()
            .to_string();
        let expected = "dataset 1 of those to concatenate has 0, 1, but the first one has 0";
        assert_eq!(error, expected);
        let floats = a.convert("0", Convert::to::<f32>()).unwrap();
        let error = NpyDataset::concat([a, floats]).unwrap_err();
        assert_eq!((error.kind(), error.array()), (ErrorKind::Dtype, Some("0")));
        assert_eq!(NpyDataset::concat([]).unwrap_err().kind(), ErrorKind::Usage);
    }
}
