//! Datasets: named columns with the same number of rows.

mod archive;
mod cache;
mod columns;
mod files;
pub(crate) mod fingerprint;
mod join;
mod named;
mod npz;
mod parts;
mod pass;
mod ragged;
mod rows;
mod sparse;
mod statistics;
mod verify;
mod windows;

use std::path::Path;
use std::sync::Arc;

use burn::data::dataset::{Dataset, DatasetError};
use burn_npy_core::internal::{self, RowMap, listed, literal, shown};
use burn_npy_core::ndarray::ArrayD;
use burn_npy_core::{
    Array, Error, ErrorKind, Result,
    file::{Column, Element, ItemKind, Npz, NumpyFile, OpenOptions},
};

use crate::batcher::NpyBatcher;
use crate::loader::DataLoaderBuilder;
use crate::memory;
use crate::row::Row;
use crate::slices::TensorSlices;
use crate::tensors::Batch;
use named::{Count, expect_one_length};
use npz::sealed::Names;

pub use files::glob;
pub(crate) use named::{AnyColumn, Columns, any_length, listed_names};
pub use npz::{NpzColumn, NpzSource};
pub use parts::{Part, Parts};
pub use rows::RowNumber;
pub use windows::Windows;

/// Named columns of NumPy arrays with the same number of rows. It is a Burn `Dataset` whose items
/// are [`Row`]s.
///
/// Opening `.npy` files reads their headers only. Opening an archive reads its data once, to decode
/// compressed arrays and to check the checksums of stored ones; the latter can be
/// [skipped](OpenOptions#structfield.skip_checksums). The methods that change a dataset are cheap:
/// they only describe what happens to a row when it is gathered. Clones share the data.
///
/// # Example
///
/// ```
/// use burn_npy::{Convert, NpyDataset};
///
/// # fn main() -> burn_npy::Result<()> {
/// # let dir = tempfile::tempdir().unwrap();
/// # let table = dir.path().join("table.npy");
/// # burn_npy::file::write_npy(&table, &burn_npy::ndarray::Array2::<f64>::ones((20, 10)))?;
/// // 20 rows of 10 numbers: nine features and a label.
/// let dataset = NpyDataset::open(&table)?
///     .split_column("table", (("features", 0..9), ("label", 9)))?
///     .convert("features", Convert::to::<f32>())?
///     .convert("label", Convert::to::<i64>())?;
/// let (train, valid) = dataset.split(0.8, 42)?;
///
/// assert_eq!((train.len(), valid.len()), (16, 4));
/// println!("{:?}", train.row(0));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct NpyDataset {
    columns: Arc<Columns>,
    rows: RowMap,
}

impl NpyDataset {
    /// Opens a `.npz` archive with all its arrays as columns, or a `.npy` file as one column that
    /// is named after the file. The first bytes of the file decide, not its name.
    ///
    /// Each field of a structured array becomes a column, which is read in place. The column of
    /// field `x` is named `x` if the array is a `.npy` file, and `events.x` if it is the array
    /// `events` of an archive.
    ///
    /// All arrays of an archive must be columns of one table. If they are not, nothing is decoded.
    /// The error lists the arrays and gives the call of [`from_npz`](Self::from_npz) that opens
    /// those that belong together. These are not columns of one table:
    ///
    /// * arrays of different lengths, such as those for training and for tests, and arrays without
    ///   axes, such as settings;
    /// * a one-dimensional integer array named `shape`, `dense_shape`, `x_shape` or similar next to
    ///   others, since scipy, TensorFlow and pypianoroll save the parts of a sparse array like
    ///   this;
    /// * arrays that cannot be read, such as pickled objects.
    ///
    /// # Errors
    ///
    /// Those of [`Npz::open`](crate::file::Npz::open), [`Npz::array`](crate::file::Npz::array) and
    /// [`Array::open`]; [`ErrorKind::Magic`] for a file that is neither; [`ErrorKind::Shape`] if
    /// the arrays are not the columns of one table; [`ErrorKind::Dtype`] for opaque items, see
    /// [`reinterpret`](Self::reinterpret); [`ErrorKind::Usage`] for an archive without arrays.
    ///
    /// # Example
    ///
    /// ```
    /// use burn_npy::{ErrorKind, NpyDataset};
    ///
    /// # fn main() -> burn_npy::Result<()> {
    /// # use burn_npy::{file::{NpzWriter, write_npy}, ndarray::{Array1, Array2}};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    /// # let (table, data, parts) = (path("table.npy"), path("data.npz"), path("parts.npz"));
    /// # write_npy(&table, &Array2::<f64>::zeros((100, 10)))?;
    /// # let mut npz = NpzWriter::create(&data)?;
    /// # npz.add("x", &Array2::<f32>::zeros((100, 8)))?;
    /// # npz.add("y", &Array1::<u8>::zeros(100))?;
    /// # npz.finish()?;
    /// # let mut npz = NpzWriter::create(&parts)?;
    /// # npz.add("train", &Array1::<u8>::zeros(90))?;
    /// # npz.add("test", &Array1::<u8>::zeros(10))?;
    /// # npz.finish()?;
    /// // np.save("table.npy", table)
    /// let dataset = NpyDataset::open(&table)?;
    /// assert_eq!(format!("{dataset:?}"), "NpyDataset { rows: 100, table: float64 [10] }");
    ///
    /// // np.savez("data.npz", x=x, y=y)
    /// let dataset = NpyDataset::open(&data)?;
    /// assert_eq!(format!("{dataset:?}"), "NpyDataset { rows: 100, x: float32 [8], y: uint8 [] }");
    ///
    /// // np.savez("parts.npz", train=train, test=test), of 90 and 10 rows: use `from_npz`.
    /// let error = NpyDataset::open(&parts).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Shape);
    /// # Ok(())
    /// # }
    /// ```
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(path, OpenOptions::default())
    }

    /// Like [`open`](Self::open), with options.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open).
    pub fn open_with(path: impl AsRef<Path>, options: OpenOptions) -> Result<Self> {
        let path = path.as_ref();
        // The query of a URL is no part of a name.
        let named = internal::without_secrets(path);
        let name = named.file_stem().unwrap_or_default().to_string_lossy();
        Self::open_named(path, options, &name)
    }

    /// As [`open_with`](Self::open_with), with the name of the column of a plain `.npy` file.
    fn open_named(path: &Path, options: OpenOptions, name: &str) -> Result<Self> {
        let array = match NumpyFile::open_with(path, options)? {
            NumpyFile::Npy(array) => array,
            NumpyFile::Npz(npz) => {
                archive::expect_table(path, &npz)?;
                return Self::from_members(&npz, npz.names().iter().map(|name| (name, name)));
            }
        };
        let is_opaque = |array: &Array| {
            matches!(array.item().kind(), ItemKind::Opaque(_)) && !array.shape().is_empty()
        };
        if is_opaque(&array) {
            return Err(archive::opaque_file(path, name, None, &array));
        }
        let fields = array.fields();
        if let Some((field, array)) = fields.iter().find(|(_, array)| is_opaque(array)) {
            return Err(archive::opaque_file(path, name, Some(field), array));
        }
        if fields.is_empty() {
            return Self::from_arrays([(name, array)]);
        }
        Self::from_arrays(fields)
    }

    /// Opens some arrays of an archive as columns, and ignores the others. The archive is a path or
    /// an open [`Npz`](crate::file::Npz). An array is given by its name, or by a pair of the name
    /// of the column and the name of the array.
    ///
    /// Opaque items are accepted, see [`reinterpret`](Self::reinterpret).
    ///
    /// # Errors
    ///
    /// Those of [`Npz::open`](crate::file::Npz::open) and [`Npz::array`](crate::file::Npz::array);
    /// [`ErrorKind::Name`] if there is no such array, with a list of those that exist; those of
    /// [`from_arrays`](Self::from_arrays). If the lengths differ, nothing is decoded.
    ///
    /// # Example
    ///
    /// ```
    /// use burn_npy::NpyDataset;
    ///
    /// # fn main() -> burn_npy::Result<()> {
    /// # use burn_npy::{file::NpzWriter, ndarray::{Array1, Array3}};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let mnist = dir.path().join("mnist.npz");
    /// # let mut npz = NpzWriter::create(&mnist)?;
    /// # npz.add("x_train", &Array3::<u8>::zeros((60, 28, 28)))?;
    /// # npz.add("y_train", &Array1::<u8>::zeros(60))?;
    /// # npz.add("x_test", &Array3::<u8>::zeros((10, 28, 28)))?;
    /// # npz.finish()?;
    /// // np.savez("mnist.npz", x_train=..., y_train=..., x_test=..., y_test=...)
    /// let train = NpyDataset::from_npz(&mnist, [("images", "x_train"), ("labels", "y_train")])?;
    /// let test = NpyDataset::from_npz(&mnist, ["x_test"])?;
    /// assert_eq!(
    ///     format!("{train:?}"),
    ///     "NpyDataset { rows: 60, images: uint8 [28, 28], labels: uint8 [] }"
    /// );
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_npz(
        npz: impl NpzSource,
        columns: impl IntoIterator<Item = impl NpzColumn>,
    ) -> Result<Self> {
        let names: Vec<_> = columns.into_iter().map(Names::into_names).collect();
        npz.with(|npz| {
            let headers = names.iter().map(|(_, array)| npz.header(array));
            let headers = headers.collect::<Result<Vec<_>>>()?;
            // An array without axes has no rows. `from_arrays` refuses it below.
            let counts = || {
                let counts = names.iter().zip(&headers);
                counts.filter_map(|((column, _), header)| {
                    let (name, rows) = (column, *header.shape().first()?);
                    let file = Some(npz.path());
                    Some(Count { name, file, rows })
                })
            };
            if counts().count() == headers.len() {
                expect_one_length(counts)?;
            }
            Self::from_members(npz, names.iter().map(|(column, array)| (column, array)))
        })
    }

    /// Some columns, and the arrays of an archive that they are.
    fn from_members<'a>(
        npz: &Npz,
        names: impl Iterator<Item = (&'a String, &'a String)>,
    ) -> Result<Self> {
        let arrays = names.map(|(column, array)| Ok((column.as_str(), npz.array(array)?)));
        Self::from_arrays(arrays.collect::<Result<Vec<_>>>()?)
            .map_err(|error| error.in_file(npz.path()))
    }

    /// Opens several `.npy` files, each as a column with the given name. Opaque items are accepted,
    /// see [`reinterpret`](Self::reinterpret).
    ///
    /// # Errors
    ///
    /// Those of [`Array::open`] and of [`from_arrays`](Self::from_arrays).
    pub fn from_files<N: Into<String>>(
        files: impl IntoIterator<Item = (N, impl AsRef<Path>)>,
    ) -> Result<Self> {
        let arrays: Vec<_> = files
            .into_iter()
            .map(|(name, path)| Ok((name.into(), Array::open(path)?)))
            .collect::<Result<_>>()?;
        Self::from_arrays(arrays)
    }

    /// Makes a dataset of arrays, each as a column with the given name. A structured array becomes
    /// one column for each field, named `array.field`. Opaque items are accepted, see
    /// [`reinterpret`](Self::reinterpret).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Shape`] if an array has no axes, or if the arrays have different numbers of
    /// rows; [`ErrorKind::Duplicate`] if two columns have the same name; [`ErrorKind::Usage`] if
    /// there are no arrays.
    pub fn from_arrays<N: Into<String>, A: Into<Array>>(
        arrays: impl IntoIterator<Item = (N, A)>,
    ) -> Result<Self> {
        let mut columns = Columns::default();
        for (name, array) in arrays {
            let (name, array) = (name.into(), array.into());
            let fields = array.fields();
            let mut parts = vec![(name.clone(), array)];
            if !fields.is_empty() {
                let named = |(field, array)| (format!("{name}.{field}"), array);
                parts = fields.into_iter().map(named).collect();
            }
            for (name, array) in parts {
                let column = AnyColumn::new(array).map_err(|error| error.in_column(&name))?;
                columns.push(name, column);
            }
        }
        Self::from_columns(columns)
    }

    /// Makes a dataset of an array in memory, or of a tuple of arrays, whose rows are slices along
    /// axis 0, like TensorFlow's `tf.data.Dataset.from_tensor_slices`. In a tuple, each array may
    /// be a pair of a name and the array. Columns without a name are named `0`, `1` and so on,
    /// after their place.
    ///
    /// # Errors
    ///
    /// Those of [`from_arrays`](Self::from_arrays).
    ///
    /// # Example
    ///
    /// ```
    /// use burn_npy::{NpyDataset, ndarray::array};
    ///
    /// # fn main() -> burn_npy::Result<()> {
    /// let features = array![[1.0_f32, 3.0], [2.0, 1.0], [3.0, 3.0]];
    /// let labels = array![0, 1, 0];
    /// let dataset = NpyDataset::from_tensor_slices((("features", features), ("labels", labels)))?;
    /// assert_eq!(dataset.row(1).get::<i32>("labels")?[[]], 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_tensor_slices(arrays: impl TensorSlices) -> Result<Self> {
        let arrays = arrays.into_arrays().into_iter().enumerate();
        let named = |(index, (name, array)): (usize, (Option<String>, Array))| {
            (name.unwrap_or_else(|| index.to_string()), array)
        };
        Self::from_arrays(arrays.map(named))
    }

    fn from_columns(columns: Columns) -> Result<Self> {
        let rows = columns.expect_table()?;
        Ok(Self {
            columns: Arc::new(columns),
            rows: RowMap::new(rows),
        })
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The columns with rows of one shape, with their names, in order. A column of opaque items is
    /// left out until [`reinterpret`](Self::reinterpret) sets their dtype.
    pub fn columns(&self) -> impl Iterator<Item = (&str, &Column)> {
        self.columns
            .iter()
            .filter_map(|(name, column)| match column {
                AnyColumn::Numbers(column) => Some((name, column)),
                AnyColumn::Ragged(_) | AnyColumn::Opaque(_) => None,
            })
    }

    /// The row at an index.
    ///
    /// # Panics
    ///
    /// Panics if `index` is not below [`len`](Self::len).
    pub fn row(&self, index: usize) -> Row {
        Row {
            columns: self.columns.clone(),
            index: self.rows.map(index),
        }
    }

    /// Reads all rows of a column into one array, converted and in the order of the dataset. Its
    /// shape is `[len, ...row_shape]`. It is meant for labels that are counted or
    /// [balanced](crate::Sampler::balanced).
    ///
    /// Rows of any length are no rows of one array: [`read_ragged`](Self::read_ragged) gives their
    /// items and offsets.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Name`] if there is no such column; [`ErrorKind::Usage`] if its rows have any
    /// length; and those of [`Column::read`].
    pub fn read<T: Element>(&self, column: &str) -> Result<ArrayD<T>> {
        if let AnyColumn::Ragged(_) = self.columns.any(column)? {
            let message = format!(
                "its rows have different lengths, so they are no array; dataset.read_ragged({}) \
                 gives their items and offsets",
                literal(column)
            );
            return Err(Error::new(ErrorKind::Usage, message).in_array(column));
        }
        let read = |from: &Column| {
            let rows = memory::list((0..self.len()).map(|index| self.rows.map(index)))?;
            from.read(&rows)
        };
        read(self.columns.get(column)?).map_err(|error| error.in_column(column))
    }

    /// A builder of a loader of this dataset, with the [`NpyBatcher`] that `NpyBatcher::new` makes.
    /// The fields of a batch with `#[derive(Batch)]` name their columns. A tuple gets all columns,
    /// in their order.
    ///
    /// # Example
    ///
    /// ```
    /// use burn::tensor::{Int, Tensor};
    /// use burn_npy::{NpyDataset, ndarray::{Array1, Array3}};
    ///
    /// # fn main() -> burn_npy::Result<()> {
    /// let images = Array3::<f32>::zeros((100, 28, 28));
    /// let labels = Array1::<u8>::zeros(100);
    /// let dataset = NpyDataset::from_tensor_slices((images, labels))?;
    ///
    /// let loader = dataset
    ///     .loader::<(Tensor<3>, Tensor<1, Int>)>()
    ///     .batch_size(32)
    ///     .shuffle(42)
    ///     .try_build()?;
    /// for batch in loader.iter() {
    ///     let (images, labels) = batch?;
    ///     assert_eq!(images.dims()[0], labels.dims()[0]);
    /// }
    /// assert_eq!((loader.len(), loader.num_items()), (4, 100));
    /// # Ok(())
    /// # }
    /// ```
    pub fn loader<B: Batch>(&self) -> DataLoaderBuilder<Row, B, Self> {
        DataLoaderBuilder::new(NpyBatcher::new()).of(self.clone())
    }

    pub(crate) fn shared_columns(&self) -> &Arc<Columns> {
        &self.columns
    }

    pub(crate) fn row_map(&self) -> &RowMap {
        &self.rows
    }

    /// Whether files are read at random if the rows are read in order.
    pub(crate) fn is_random(&self) -> bool {
        let of_column = |column: &AnyColumn| match column {
            AnyColumn::Numbers(column) => internal::is_random(column),
            AnyColumn::Ragged(column) => internal::is_random_ragged(column),
            AnyColumn::Opaque(_) => false,
        };
        self.rows.is_random() || self.columns.iter().any(|(_, column)| of_column(column))
    }

    /// The first `count` rows, or all if there are fewer.
    pub fn take(&self, count: usize) -> Self {
        let mut new = self.clone();
        new.rows.take(count);
        new
    }

    /// All but the first `count` rows.
    pub fn skip(&self, count: usize) -> Self {
        let mut new = self.clone();
        new.rows.skip(count);
        new
    }

    /// Splits the rows at random into two parts. The first part has `fraction` of the rows, rounded
    /// to the nearest number, and the second part has the rest. A seed gives the same parts on
    /// every machine.
    ///
    /// Windows that overlap are not split at random: most windows of one part would share rows of
    /// the file with windows of the other. [`split_in_time`](Self::split_in_time) splits them.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`] if the fraction is not between 0 and 1, or if rows are
    /// [windows](Self::windows) that overlap.
    pub fn split(&self, fraction: f64, seed: u64) -> Result<(Self, Self)> {
        let first = self.part(fraction)?;
        self.expect_apart()?;
        let mut shuffled = self.clone();
        shuffled.rows.shuffle(seed);
        Ok((shuffled.take(first), shuffled.skip(first)))
    }

    /// How many rows a fraction is.
    fn part(&self, fraction: f64) -> Result<usize> {
        if !(0.0..=1.0).contains(&fraction) {
            return Err(Error::new(
                ErrorKind::Usage,
                format!("cannot split at {fraction}; expected a fraction from 0 to 1"),
            ));
        }
        Ok((self.len() as f64 * fraction).round() as usize)
    }
}

/// The items are handles. Their data is copied on request, or gathered by a batcher.
impl Dataset<Row> for NpyDataset {
    fn get(&self, index: usize) -> std::result::Result<Row, DatasetError> {
        Ok(self.row(index))
    }

    fn get_many(&self, indexes: Vec<usize>) -> std::result::Result<Vec<Row>, DatasetError> {
        memory::list(indexes.into_iter().map(|index| self.row(index))).map_err(DatasetError::new)
    }

    fn len(&self) -> usize {
        self.len()
    }
}

/// The number of rows and the first columns, with dtypes and shapes of rows.
impl std::fmt::Debug for NpyDataset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let described = |(name, column)| format!("{}: {column}", shown(name));
        let columns = listed(self.columns.iter(), described);
        write!(f, "NpyDataset {{ rows: {}, {columns} }}", self.len())
    }
}

#[cfg(test)]
mod tests {
    use burn_npy_core::Convert;
    use burn_npy_core::ndarray::{Array1, Array2, array};

    use super::*;

    pub(super) fn numbers(len: usize) -> NpyDataset {
        let values = Array1::from_iter(0..len as i64);
        NpyDataset::from_tensor_slices(values).unwrap()
    }

    pub(super) fn values(dataset: &NpyDataset) -> Vec<i64> {
        let one_by_one: Vec<_> = (0..dataset.len())
            .map(|i| dataset.row(i).get::<i64>("0").unwrap()[[]])
            .collect();
        let read = dataset.read::<i64>("0").unwrap();
        assert_eq!(read.shape(), [dataset.len()]);
        assert_eq!(read.as_slice(), Some(&one_by_one[..]));
        one_by_one
    }

    #[test]
    fn a_column_is_read_as_it_is_converted() {
        let table = Array2::from_shape_fn((5, 3), |(i, j)| (3 * i + j) as u8);
        let dataset = NpyDataset::from_arrays([("t", table)])
            .and_then(|dataset| dataset.convert("t", Convert::to::<f32>().scale(0.5)))
            .unwrap()
            .skip(3);
        let expected = array![[4.5_f32, 5.0, 5.5], [6.0, 6.5, 7.0]];
        assert_eq!(dataset.read::<f32>("t").unwrap(), expected.into_dyn());
        assert_eq!(dataset.skip(2).read::<f32>("t").unwrap().shape(), [0, 3]);
        let error = dataset.read::<u8>("t").unwrap_err();
        assert_eq!((error.kind(), error.array()), (ErrorKind::Dtype, Some("t")));
        assert_eq!(
            dataset.read::<f32>("x").unwrap_err().kind(),
            ErrorKind::Name
        );
    }

    #[test]
    fn rows_are_taken_skipped_and_split() {
        let dataset = numbers(10);
        assert_eq!(values(&dataset.skip(2).take(5).skip(1)), [3, 4, 5, 6]);
        assert_eq!(values(&dataset.take(3).skip(5)), [0_i64; 0]);

        let (train, valid) = dataset.split(0.7, 1).unwrap();
        assert_eq!((train.len(), valid.len()), (7, 3));
        let mut all = [values(&train), values(&valid)].concat();
        assert_ne!(all, values(&dataset));
        // Taking, skipping and splitting a part gives rows of that part.
        let (inner, _) = valid.skip(1).split(0.5, 2).unwrap();
        assert!(
            values(&inner)
                .iter()
                .all(|x| values(&valid)[1..].contains(x))
        );
        all.sort();
        assert_eq!(all, values(&dataset));
        assert!(dataset.split(1.5, 0).is_err());
    }

    #[test]
    fn fields_of_a_structure_are_columns() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events.npy");
        let text =
            "{'descr': [('x', '<f4'), ('y', '|u1', (2,))], 'fortran_order': False, 'shape': (2,)}";
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((text.len() as u16).to_le_bytes());
        bytes.extend(
            text.bytes()
                .chain([0, 0, 0x80, 0x3f, 1, 2, 0, 0, 0, 0x40, 3, 4]),
        );
        std::fs::write(&path, bytes).unwrap();
        let dataset = NpyDataset::open(&path).unwrap();
        assert_eq!(format!("{:?}", dataset.row(1)), r#"{"x": 2, "y": [3, 4]}"#);
        let array = Array::open(&path).unwrap();
        let dataset = NpyDataset::from_arrays([("events", array)]).unwrap();
        let names: Vec<_> = dataset.columns().map(|(name, _)| name).collect();
        assert_eq!(names, ["events.x", "events.y"]);
    }

    #[test]
    fn tables_of_many_columns_are_soon_open() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        // As an archive.
        let mut npz = crate::file::NpzWriter::create(&path).unwrap();
        for member in 0..20_000 {
            npz.add(&format!("c{member}"), &array![member]).unwrap();
        }
        npz.finish().unwrap();
        let expect = |dataset: &NpyDataset, count: usize| {
            let names: Vec<&str> = dataset.columns().map(|(name, _)| name).collect();
            assert!(
                (0..count)
                    .map(|i| format!("c{i}"))
                    .eq(names.iter().copied())
            );
            for i in (0..count).step_by(999) {
                let value = dataset.row(0).get::<i32>(names[i]).unwrap();
                assert_eq!(value[[]], i as i32);
            }
            let last = *names.last().unwrap();
            let renamed = dataset.rename(last, "z").unwrap();
            assert!(renamed.select([&names[..1], &["z"]].concat()).is_ok());
            let selected = dataset.select(names.iter().rev()).unwrap();
            assert_eq!(selected.columns().next().unwrap().0, last);
            assert!(selected.windows(Windows::new(1)).is_ok());
            assert_eq!(format!("{dataset:?}").matches(": int32").count(), 20);
        };
        expect(&NpyDataset::open(&path).unwrap(), 20_000);
        // As a structure.
        let fields: Vec<_> = (0..5000).map(|i| format!("('c{i}', '<i4')")).collect();
        let fields = fields.join(", ");
        let text = format!("{{'descr': [{fields}], 'fortran_order': False, 'shape': (1,)}}");
        let mut bytes = b"\x93NUMPY\x02\x00".to_vec();
        bytes.extend((text.len() as u32).to_le_bytes());
        bytes.extend(text.bytes());
        bytes.extend((0..5000_i32).flat_map(i32::to_le_bytes));
        std::fs::write(&path, bytes).unwrap();
        let limits = burn_npy_core::file::Limits::new().header_bytes(1 << 20);
        let options = OpenOptions::new().limits(limits);
        expect(&NpyDataset::open_with(&path, options).unwrap(), 5000);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let arrays = || [("x", Array::from(vec![1_u8, 2])), ("y", vec![1_u8].into())];
        let message = NpyDataset::from_arrays(arrays()).unwrap_err().to_string();
        assert!(message.contains("x has 2, y has 1"), "{message}");
        let dataset = numbers(2);
        for (error, kind) in [
            (dataset.select(["a"]).unwrap_err(), ErrorKind::Name),
            (
                dataset.select(["0", "0"]).unwrap_err(),
                ErrorKind::Duplicate,
            ),
            (dataset.rename("a", "b").unwrap_err(), ErrorKind::Name),
            (dataset.reshape("0", &[2]).unwrap_err(), ErrorKind::Shape),
            (
                dataset.split_column("0", [("a", 0)]).unwrap_err(),
                ErrorKind::Shape,
            ),
            (
                NpyDataset::from_arrays([(
                    "x",
                    array![0].remove_axis(burn_npy_core::ndarray::Axis(0)),
                )])
                .unwrap_err(),
                ErrorKind::Shape,
            ),
        ] {
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.array().is_some(), "{error}");
        }
        let none: [(&str, Array); 0] = [];
        assert!(NpyDataset::from_arrays(none).is_err());
    }
}
