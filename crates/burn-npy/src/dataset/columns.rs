//! What can be done to the columns of a dataset.

use std::sync::Arc;

use burn_npy_core::{Column, Convert, DType, Error, ErrorKind, ItemKind, Result};

use super::NpyDataset;
use super::named::{AnyColumn, Columns};

/// What part of a row becomes a column of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Part {
    /// A range along the first axis of a row, which stays an axis.
    Range(std::ops::Range<usize>),
    /// One place along the first axis of a row, which is gone.
    Index(usize),
}

impl From<std::ops::Range<usize>> for Part {
    fn from(range: std::ops::Range<usize>) -> Self {
        Self::Range(range)
    }
}

impl From<usize> for Part {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}

impl NpyDataset {
    fn with_columns(&self, columns: Columns) -> Self {
        Self {
            columns: Arc::new(columns),
            rows: self.rows.clone(),
        }
    }

    /// Keeps these columns, in this order.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Name`] for a column that is not there, [`ErrorKind::Duplicate`] for one that
    /// is named twice.
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

    /// Gives a column another name.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Name`] if the column is not there, [`ErrorKind::Duplicate`] if the new name
    /// is another column's.
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

    /// Gives each row of a column another shape of as many elements: `[784]` to `[1, 28, 28]`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Name`] and [`ErrorKind::Shape`], as in [`Column::reshape`].
    pub fn reshape(&self, name: &str, row_shape: &[usize]) -> Result<Self> {
        self.replace(name, |column| column.reshape(row_shape))
    }

    /// Converts the elements of a column when they are gathered.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Name`], and those of [`Column::convert`].
    pub fn convert(&self, name: &str, convert: &Convert) -> Result<Self> {
        self.replace(name, |column| column.convert(convert))
    }

    /// Vouches that the files behind the columns stay as they are: batches whose rows lie one after
    /// the other, as those of an order that is not shuffled do, then borrow the mapped pages on the
    /// CPU backends instead of copying them, if nothing is converted. Columns in memory are
    /// borrowed without this word. A tensor that is changed in place becomes a copy; the file never
    /// changes.
    ///
    /// # Safety
    ///
    /// Nobody may change the files, and nobody may truncate them, while the dataset, a loader of
    /// it, or a tensor of one lives. `np.save` truncates the file that it overwrites, and a tensor
    /// over a file that was truncated kills the process.
    #[allow(unsafe_code)]
    pub unsafe fn assume_unchanged(&self) -> Self {
        let mut columns = Columns::default();
        for (name, column) in self.columns.iter() {
            let column = match column.clone() {
                AnyColumn::Numbers(column) => {
                    // SAFETY: the caller promises what the column asks for.
                    AnyColumn::Numbers(unsafe { column.assume_unchanged() })
                }
                opaque => opaque,
            };
            columns.push(name.to_owned(), column);
        }
        Self {
            columns: Arc::new(columns),
            ..self.clone()
        }
    }

    /// Makes each row a window over a time series: row `i` becomes the `length` rows from `i *
    /// stride` on, in all columns, along a new first axis. Nothing is copied before a batch is
    /// gathered.
    ///
    /// # Errors
    ///
    /// Those of [`Column::windows`], and [`ErrorKind::Usage`] after rows were taken, skipped or
    /// split: windows come first, since they need neighbours.
    pub fn windows(&self, length: usize, stride: usize) -> Result<Self> {
        let whole = self
            .columns
            .iter()
            .all(|(_, column)| column.rows() == self.len());
        if !self.rows.is_identity() || !whole {
            return Err(Error::new(
                ErrorKind::Usage,
                "make windows before rows are taken, skipped or split",
            ));
        }
        let mut columns = Columns::default();
        for name in self.columns.names() {
            let column = self.columns.get(name)?.clone().windows(length, stride);
            let column = column.map_err(|error| error.in_column(name))?;
            columns.push(name.clone(), AnyColumn::Numbers(column));
        }
        Self::from_columns(columns)
    }

    /// Says what the opaque items of a column are, which the file does not tell: NumPy writes
    /// `bfloat16` of `ml_dtypes` as `<V2`, and its one-byte types, such as `int4` and
    /// `float8_e4m3fn`, as `<V1`; [`DType`] has all of them. Nobody can see whether the type is the
    /// right one: another of the same size gives other values. Items of several such numbers get an
    /// axis for them, and [`DType::U8`] gives the bytes.
    ///
    /// [`open`](Self::open) refuses opaque items. Where the columns are named, by
    /// [`from_npz`](Self::from_npz), [`from_files`](Self::from_files) or
    /// [`from_arrays`](Self::from_arrays), a column of them can be selected, renamed, and its rows
    /// be taken, skipped and split. Whatever wants its numbers is [`ErrorKind::Dtype`] until they
    /// are known.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Name`] if the column is not there; [`ErrorKind::Dtype`] if its items are not
    /// opaque, or of a size that does not fit; [`ErrorKind::Usage`] if the column was
    /// reinterpreted before.
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

    fn replace(&self, name: &str, with: impl FnOnce(Column) -> Result<Column>) -> Result<Self> {
        let column = self.columns.get(name)?.clone();
        let new = with(column).map_err(|error| error.in_column(name))?;
        Ok(self.with_column(name, new))
    }

    fn with_column(&self, name: &str, column: Column) -> Self {
        let new = AnyColumn::Numbers(column);
        let mut columns = Columns::default();
        for (known, column) in self.columns.iter() {
            let column = if known == name { &new } else { column };
            columns.push(known.to_owned(), column.clone());
        }
        self.with_columns(columns)
    }

    /// Replaces a column by parts of its rows: columns 0 to 8 of a table as `features`, column 9
    /// as `label`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Name`] if the column is not there, [`ErrorKind::Duplicate`] if a new name is
    /// taken, and those of [`Column::slice`].
    pub fn split_column<N: Into<String>>(
        &self,
        name: &str,
        parts: impl IntoIterator<Item = (N, Part)>,
    ) -> Result<Self> {
        let whole = self.columns.get(name)?;
        let mut columns = Columns::default();
        let mut parts = Some(parts);
        for (known, column) in self.columns.iter() {
            if known != name {
                columns.push(known.to_owned(), column.clone());
                continue;
            }
            for (name, part) in parts.take().into_iter().flatten() {
                let name = name.into();
                let column = cut(whole.clone(), part).map_err(|error| error.in_column(&name))?;
                columns.push(name, AnyColumn::Numbers(column));
            }
        }
        Ok(Self {
            rows: self.rows.clone(),
            ..Self::from_columns(columns)?
        })
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
    use burn_npy_core::ndarray::Array2;
    use burn_npy_core::{Array, DType};

    use super::*;
    use crate::dataset::tests::numbers;

    #[test]
    fn columns_are_selected_renamed_split_and_reshaped() {
        let table = Array2::from_shape_fn((3, 4), |(i, j)| (10 * i + j) as f64);
        let dataset =
            NpyDataset::from_arrays([("t", table.into()), ("l", Array::from(vec![7_u8, 8, 9]))])
                .unwrap();
        let dataset = dataset
            .split_column("t", [("a", (0..3).into()), ("b", 3.into())])
            .and_then(|dataset| dataset.rename("l", "label"))
            .and_then(|dataset| dataset.convert("b", &Convert::to(DType::I32)))
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
    fn windows_come_before_splits() {
        let dataset = numbers(10);
        let windows = dataset.windows(4, 3).unwrap();
        assert_eq!(windows.len(), 3);
        let window = windows.row(2).get::<i64>("0").unwrap();
        assert_eq!(window.as_slice(), Some(&[6, 7, 8, 9][..]));
        let (train, _) = windows.split(0.67, 1).unwrap();
        assert_eq!(train.len(), 2);
        for part in [dataset.take(9), dataset.skip(1), train] {
            assert_eq!(part.windows(2, 1).unwrap_err().kind(), ErrorKind::Usage);
        }
        let error = dataset.windows(11, 1).unwrap_err();
        assert_eq!((error.kind(), error.array()), (ErrorKind::Shape, Some("0")));
    }
}
