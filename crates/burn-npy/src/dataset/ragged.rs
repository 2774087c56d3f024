//! Columns whose rows have any length.

use burn_npy_core::internal::{self, RowMap};
use burn_npy_core::{
    Array, DType, Error, ErrorKind, Result,
    file::{Column, Element, RaggedColumn},
    ndarray::ArrayD,
};

use super::NpyDataset;
use super::named::{AnyColumn, Columns};
use crate::memory;

impl NpyDataset {
    /// A dataset with one column whose rows have any length: texts, clouds of points, episodes.
    /// `items` has the items of all rows, one after the other, and row `i` is
    /// `items[offsets[i]..offsets[i + 1]]`. So `n` rows have `n + 1` offsets. [`zip`](Self::zip)
    /// adds columns with a value for each row, such as labels.
    ///
    /// In a batch, such rows become a tensor of the shape `[rows, longest, ...item_shape]`. What a
    /// row does not fill is padding: 0, or what `#[batch(pad = ..)]` says. See
    /// [`Batch`](crate::Batch) for lengths and masks, and
    /// [`Sampler::bucketed`](crate::Sampler::bucketed) for batches with little padding.
    ///
    /// Rows are taken, split, zipped, concatenated, cached and read one by one as those of other
    /// columns. [`convert`](Self::convert) and [`reshape`](Self::reshape) are about each item. A
    /// transform in [`map`](Self::map) sees a row as an array of items, [`windows`](Self::windows)
    /// lie within the rows, and [`read_ragged`](Self::read_ragged) gives all items and the offsets.
    /// [`filter`](Self::filter) and [`sort_by_key`](Self::sort_by_key) see the elements of a row,
    /// and [`stats`](Self::stats) and [`class_counts`](Self::class_counts) are about those of all
    /// rows. [`sort_by`](Self::sort_by), [`stats_axis`](Self::stats_axis),
    /// [`permute`](Self::permute), [`join`](Self::join) and [`split_column`](Self::split_column)
    /// take columns with rows of one shape alone.
    ///
    /// The offsets are checked once, and take 16 bytes of memory a row. The items stay in their
    /// file.
    ///
    /// # Errors
    ///
    /// Those of [`RaggedColumn::from_offsets`].
    ///
    /// # Example
    ///
    /// ```
    /// use burn::tensor::{Bool, Int, Tensor};
    /// use burn_npy::{Array, Batch, NpyDataset};
    ///
    /// #[derive(Batch)]
    /// struct Texts {
    ///     #[batch(pad = -1)]
    ///     tokens: Tensor<2, Int>,
    ///     #[batch(lengths = "tokens")]
    ///     lengths: Tensor<1, Int>,
    ///     #[batch(mask_pad = "tokens")]
    ///     mask_pad: Tensor<2, Bool>,
    ///     labels: Tensor<1, Int>,
    /// }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use burn_npy::{file::write_npy, ndarray::array};
    /// # let dir = tempfile::tempdir()?;
    /// # let path = |name: &str| dir.path().join(name);
    /// # write_npy(path("tokens.npy"), &array![10, 11, 20, 30, 31, 32])?;
    /// # write_npy(path("offsets.npy"), &array![0_i64, 2, 3, 6])?;
    /// # write_npy(path("labels.npy"), &array![0_u8, 1, 0])?;
    /// // np.save("tokens.npy", np.concatenate(texts))
    /// // np.save("offsets.npy", np.cumsum([0] + [len(text) for text in texts]))
    /// let tokens = Array::open(path("tokens.npy"))?;
    /// let offsets = Array::open(path("offsets.npy"))?;
    /// let dataset = NpyDataset::from_offsets("tokens", tokens, offsets)?
    ///     .zip(&NpyDataset::from_files([("labels", path("labels.npy"))])?)?;
    /// assert_eq!(
    ///     format!("{dataset:?}"),
    ///     "NpyDataset { rows: 3, tokens: int32 [*], labels: uint8 [] }"
    /// );
    ///
    /// let loader = dataset.loader::<Texts>().batch_size(2).try_build()?;
    /// let texts = loader.iter().next().unwrap()?;
    /// assert_eq!(texts.tokens.try_to_vec_as::<i64>()?, [10, 11, 20, -1]);
    /// assert_eq!(texts.lengths.try_to_vec_as::<i64>()?, [2, 1]);
    /// assert_eq!(texts.mask_pad.try_to_vec_as::<bool>()?, [false, false, false, true]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_offsets(
        name: impl Into<String>,
        items: impl Into<Array>,
        offsets: impl Into<Array>,
    ) -> Result<Self> {
        Self::of_ragged(
            name.into(),
            RaggedColumn::from_offsets(items.into(), &offsets.into()),
        )
    }

    /// As [`from_offsets`](Self::from_offsets), with the length of each row, which is the number of
    /// its items, instead of the offsets.
    ///
    /// # Errors
    ///
    /// Those of [`RaggedColumn::from_lengths`].
    ///
    /// # Example
    ///
    /// ```
    /// use burn_npy::{NpyDataset, ndarray::Array2};
    ///
    /// # fn main() -> burn_npy::Result<()> {
    /// // Clouds of 3, 0 and 4 points.
    /// let points = Array2::<f32>::zeros((7, 3));
    /// let clouds = NpyDataset::from_lengths("points", points, vec![3, 0, 4])?;
    /// assert_eq!(clouds.row(2).get::<f32>("points")?.shape(), [4, 3]);
    /// assert_eq!(clouds.skip(1).lengths("points")?, [0, 4]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_lengths(
        name: impl Into<String>,
        items: impl Into<Array>,
        lengths: impl Into<Array>,
    ) -> Result<Self> {
        Self::of_ragged(
            name.into(),
            RaggedColumn::from_lengths(items.into(), &lengths.into()),
        )
    }

    /// Puts several rows of any length into each row of `length` items, so that nearly nothing of a
    /// batch is padding. It is for models that read a text token by token. The longest rows come
    /// first, each into the fullest row that has room for it. Zeros fill what is left. A row with
    /// more than `length` items is cut into pieces.
    ///
    /// The new dataset has two columns: `column`, of the shape `[length, ...item_shape]`, and the
    /// same name with `_segments` behind it, of the shape `[length]`. That has the number of the
    /// row that an item is from, counted from 1 in each row, and 0 where there is none, so that a
    /// mask keeps the texts of a row apart. Nothing is copied, and each epoch has the same rows.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) if the dataset has other columns, whose rows
    /// would have no place; if the rows of `column` have one shape, or [transforms](Self::map) make
    /// them, which [`cache`](Self::cache) can do once; or if `length` is zero.
    ///
    /// # Example
    ///
    /// ```
    /// use burn_npy::NpyDataset;
    ///
    /// # fn main() -> burn_npy::Result<()> {
    /// // Texts of 3, 1 and 2 tokens.
    /// let tokens = vec![11, 12, 13, 21, 31, 32];
    /// let texts = NpyDataset::from_lengths("tokens", tokens, vec![3, 1, 2])?;
    /// let packed = texts.pack("tokens", 4)?;
    /// assert_eq!(
    ///     format!("{:?}", packed.row(0)),
    ///     r#"{"tokens": [11, 12, 13, 21], "tokens_segments": [1, 1, 1, 2]}"#
    /// );
    /// assert_eq!(
    ///     format!("{:?}", packed.row(1)),
    ///     r#"{"tokens": [31, 32, 0, 0], "tokens_segments": [1, 1, 0, 0]}"#
    /// );
    /// # Ok(())
    /// # }
    /// ```
    pub fn pack(&self, column: &str, length: usize) -> Result<Self> {
        let ragged = self.columns.ragged(column)?;
        if self.columns.names().len() > 1 {
            let message = format!(
                "a packed row is made of several rows, so other columns have no place; \
                 select([{}]) first",
                internal::literal(column)
            );
            return Err(Error::new(ErrorKind::Usage, message));
        }
        let packed = internal::pick_ragged(ragged, &self.rows).and_then(|rows| rows.pack(length));
        let [items, segments] = packed.map_err(|error| error.in_column(column))?;
        let mut columns = Columns::default();
        columns.push(column.to_owned(), AnyColumn::Numbers(items));
        columns.push(format!("{column}_segments"), AnyColumn::Numbers(segments));
        Self::from_columns(columns)
    }

    /// Reads all rows of any length of a column, converted and in the order of the dataset: their
    /// items as one array of the shape `[items, ...item_shape]`, and their offsets, as
    /// [`from_offsets`](Self::from_offsets) takes them.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Name`](crate::ErrorKind::Name) if there is no such column;
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) if its rows have one shape; and those of
    /// [`RaggedColumn::read`].
    ///
    /// # Example
    ///
    /// ```
    /// use burn_npy::NpyDataset;
    ///
    /// # fn main() -> burn_npy::Result<()> {
    /// let texts = NpyDataset::from_lengths("tokens", vec![11, 21, 22, 31], vec![1, 2, 1])?;
    /// let (items, offsets) = texts.skip(1).read_ragged::<i32>("tokens")?;
    /// assert_eq!((items.as_slice(), &*offsets), (Some(&[21, 22, 31][..]), &[0, 2, 3][..]));
    ///
    /// let again = NpyDataset::from_offsets("tokens", items, offsets)?;
    /// assert_eq!(again.lengths("tokens")?, [2, 1]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn read_ragged<T: Element>(&self, column: &str) -> Result<(ArrayD<T>, Vec<u64>)> {
        let ragged = self.columns.ragged(column)?;
        let rows = memory::list((0..self.len()).map(|row| self.rows.map(row)))?;
        ragged.read(&rows).map_err(|error| error.in_column(column))
    }

    fn of_ragged(name: String, column: Result<RaggedColumn>) -> Result<Self> {
        let column = column.map_err(|error| error.in_column(&name))?;
        let mut columns = Columns::default();
        columns.push(name, AnyColumn::Ragged(column));
        Self::from_columns(columns)
    }

    /// How many items each row of a column has, in the order of the dataset, for
    /// [`Sampler::bucketed`](crate::Sampler::bucketed) and for statistics. It is a column of
    /// [`from_offsets`](Self::from_offsets) or [`from_lengths`](Self::from_lengths).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Name`](crate::ErrorKind::Name) if there is no such column;
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) if its rows have one shape.
    pub fn lengths(&self, column: &str) -> Result<Vec<u64>> {
        let ragged = self.columns.ragged(column)?;
        let length = |row| ragged.length(self.rows.map(row)) as u64;
        memory::list((0..self.len()).map(length))
    }
}

impl AnyColumn {
    /// The rows that a map gives. An error names the column `name`.
    pub(super) fn pick(&self, name: &str, map: &RowMap) -> Result<Self> {
        match self {
            Self::Ragged(column) => internal::pick_ragged(column, map).map(Self::Ragged),
            other => Ok(Self::Numbers(internal::pick(other.numbers(name)?, map))),
        }
    }

    /// The rows of columns of numbers, one column after the other.
    pub(super) fn chain(columns: Vec<Self>) -> Result<Self> {
        let (mut fixed, mut ragged) = (Vec::new(), Vec::new());
        let first_is_ragged = matches!(columns.first(), Some(Self::Ragged(_)));
        for column in columns {
            let other = match column {
                Self::Numbers(column) if !first_is_ragged => {
                    fixed.push(column);
                    continue;
                }
                Self::Ragged(column) if first_is_ragged => {
                    ragged.push(column);
                    continue;
                }
                other => other,
            };
            let message = "rows of any length cannot follow rows of one shape, nor the other way";
            let error = Error::new(ErrorKind::Shape, message);
            return Err(match other.file() {
                Some(file) => error.in_file(file),
                None => error,
            });
        }
        match first_is_ragged {
            true => RaggedColumn::chain(ragged).map(Self::Ragged),
            false => Column::chain(fixed).map(Self::Numbers),
        }
    }

    /// The same rows, with changed items. If the rows have one shape, they are the items. An error
    /// names the column `name`.
    pub(super) fn change_items(
        &self,
        name: &str,
        change: impl Fn(Column) -> Result<Column>,
    ) -> Result<Self> {
        let changed = match self {
            Self::Ragged(column) => internal::change_items(column, change).map(Self::Ragged),
            other => change(other.numbers(name)?.clone()).map(Self::Numbers),
        };
        changed.map_err(|error| error.in_column(name))
    }

    /// The dtype of the numbers. An error names the column `name`.
    pub(crate) fn dtype(&self, name: &str) -> Result<DType> {
        match self {
            Self::Ragged(column) => Ok(column.dtype()),
            other => Ok(other.numbers(name)?.dtype()),
        }
    }

    /// A row as an array. An error names the column `name`.
    pub(crate) fn row<T: Element>(&self, name: &str, row: usize) -> Result<ArrayD<T>> {
        let found = match self {
            Self::Ragged(column) => column.row(row),
            other => other.numbers(name)?.row(row),
        };
        found.map_err(|error| error.in_column(name))
    }
}
