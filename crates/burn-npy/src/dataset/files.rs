//! Many files as one dataset: shards, a file a sample, a file or a folder a class.

mod pattern;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use burn_npy_core::internal::{self, shown_path};
use burn_npy_core::{
    Array, Error, ErrorKind, Result,
    file::{Access, Column, OpenOptions},
};

use super::NpyDataset;
use super::named::{AnyColumn, Columns};

pub use pattern::glob;

/// The column of files that have one plain array each.
pub(super) const DATA: &str = "data";
/// The column of the classes.
const LABEL: &str = "label";

impl NpyDataset {
    /// Opens all files that match a pattern, such as `data/train_*.npz`, as one dataset: the rows
    /// of one file after the other. It is [`from_shards`](Self::from_shards) of what [`glob()`]
    /// finds, and both say more.
    ///
    /// # Errors
    ///
    /// Those of [`glob()`] and of [`from_shards`](Self::from_shards).
    ///
    /// # Example
    ///
    /// ```
    /// use burn_npy::NpyDataset;
    ///
    /// # fn main() -> burn_npy::Result<()> {
    /// # let dir = tempfile::tempdir().unwrap();
    /// # for i in 0..12_i64 {
    /// #     let row = burn_npy::ndarray::array![i];
    /// #     burn_npy::file::write_npy(dir.path().join(format!("train_{i}.npy")), &row)?;
    /// # }
    /// # let pattern = dir.path().join("train_*.npy");
    /// # let pattern = pattern.to_str().unwrap();
    /// // train_0.npy to train_11.npy, with a row each; the pattern is "train_*.npy"
    /// let train = NpyDataset::from_glob(pattern)?.rename("data", "features")?;
    /// let rows = train.read::<i64>("features")?;
    /// assert!(rows.iter().copied().eq(0..12)); // train_2.npy comes before train_10.npy
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_glob(pattern: &str) -> Result<Self> {
        Self::from_shards(glob(pattern)?)
    }

    /// Opens several files as one dataset: the rows of one file after the other, in the order in
    /// which the files are given. Headers are read, and nothing is copied.
    ///
    /// Each file is opened as [`open`](Self::open) does it, except that a `.npy` file of plain
    /// numbers becomes the column `data`, whatever the file is called. The files must have the same
    /// columns, of the same dtypes and row shapes. They may have any number of rows, byte order and
    /// layout. To open or change each file in another way, use [`concat`](Self::concat).
    ///
    /// There may be more files than the process may have descriptors or maps: see the page on
    /// [limits](crate::limits).
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open) and of [`concat`](Self::concat), with the file.
    ///
    /// # Example
    ///
    /// ```
    /// use burn_npy::NpyDataset;
    ///
    /// # fn main() -> burn_npy::Result<()> {
    /// # use burn_npy::{file::NpzWriter, ndarray::Array1};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let (monday, tuesday) = (dir.path().join("monday.npz"), dir.path().join("tuesday.npz"));
    /// # for (path, rows) in [(&monday, 3), (&tuesday, 4)] {
    /// #     let mut npz = NpzWriter::create(path)?;
    /// #     npz.add("x", &Array1::<f32>::zeros(rows))?;
    /// #     npz.add("y", &Array1::<u8>::zeros(rows))?;
    /// #     npz.finish()?;
    /// # }
    /// // np.savez("monday.npz", x=x, y=y), of 3 rows, and tuesday.npz of 4
    /// let days = NpyDataset::from_shards([monday, tuesday])?;
    /// assert_eq!(format!("{days:?}"), "NpyDataset { rows: 7, x: float32 [], y: uint8 [] }");
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_shards(paths: impl IntoIterator<Item = impl AsRef<Path>>) -> Result<Self> {
        Self::from_shards_with(paths, OpenOptions::default())
    }

    /// As [`from_shards`](Self::from_shards), with options for each file. Files at URLs need one
    /// that says [how they are read](OpenOptions::remote()). Several of them are opened at a time.
    ///
    /// # Errors
    ///
    /// Those of [`from_shards`](Self::from_shards) and of [`open_with`](Self::open_with).
    pub fn from_shards_with(
        paths: impl IntoIterator<Item = impl AsRef<Path>>,
        options: OpenOptions,
    ) -> Result<Self> {
        let paths = paths.into_iter().map(|path| path.as_ref().to_path_buf());
        let open = |path: &Path| Self::open_named(path, options.clone(), DATA);
        let shards = open_all(&paths.collect::<Vec<_>>(), open)?;
        if shards.is_empty() {
            return Err(Error::new(ErrorKind::Usage, "no files to open"));
        }
        Self::concat(shards)
    }

    /// Opens `.npy` files that are shards of several columns, each a pattern with a name. The first
    /// file of each pattern belongs to the first of the others, and so on.
    ///
    /// So that no row gets the label of another, files that belong together must have the same
    /// number of rows, and the same text in the place of the wildcards. For other names, open each
    /// column [by itself](Self::from_glob) and put them together with [`zip`](Self::zip).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`] if the files of the patterns do not belong together;
    /// [`ErrorKind::Shape`] if the numbers of rows of two of them differ; those of [`glob()`], of
    /// [`from_files`](Self::from_files) and of [`concat`](Self::concat).
    ///
    /// # Example
    ///
    /// ```
    /// use burn_npy::NpyDataset;
    ///
    /// # fn main() -> burn_npy::Result<()> {
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    /// # for i in 0..3 {
    /// #     use burn_npy::{file::write_npy, ndarray::{Array1, Array3}};
    /// #     write_npy(path(&format!("x_{i}.npy")), &Array3::<u8>::zeros((10, 28, 28)))?;
    /// #     write_npy(path(&format!("y_{i}.npy")), &Array1::<u8>::zeros(10))?;
    /// # }
    /// # let (x, y) = (path("x_*.npy"), path("y_*.npy"));
    /// // x_0.npy to x_2.npy and y_0.npy to y_2.npy; x is "x_*.npy" and y is "y_*.npy"
    /// let train = NpyDataset::from_globs([("images", &x), ("labels", &y)])?;
    /// assert_eq!(
    ///     format!("{train:?}"),
    ///     "NpyDataset { rows: 30, images: uint8 [28, 28], labels: uint8 [] }"
    /// );
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_globs<N: Into<String>>(
        patterns: impl IntoIterator<Item = (N, impl AsRef<str>)>,
    ) -> Result<Self> {
        let mut columns: Vec<(String, String, Vec<PathBuf>)> = Vec::new();
        for (name, pattern) in patterns {
            let pattern = pattern.as_ref();
            columns.push((name.into(), pattern.to_owned(), glob(pattern)?));
        }
        let Some((_, first, paths)) = columns.first() else {
            return Err(Error::new(ErrorKind::Usage, "a dataset without columns"));
        };
        let shards = paths.len();
        for (name, pattern, others) in &columns[1..] {
            pattern::expect_pairs((first, paths), (pattern, others))
                .map_err(|error| error.in_column(name))?;
        }
        let shard = |shard: usize| {
            let files = columns.iter();
            Self::from_files(files.map(|(name, _, paths)| (name.as_str(), &paths[shard])))
        };
        Self::concat((0..shards).map(shard).collect::<Result<Vec<_>>>()?)
    }

    /// Opens `.npy` files of one sample each: row `i` is all of file `i`, in the column `data`. The
    /// arrays must have the same shape and dtype. [`glob()`] lists files by a pattern.
    ///
    /// Headers are read, and nothing is copied. The files are read by position, a call for each row
    /// that is gathered, since small maps cost more. Files that are read often belong into larger
    /// ones.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Shape`] or [`ErrorKind::Dtype`], with the file, if an array differs from the
    /// first; those of [`Array::open`]; [`ErrorKind::Usage`] if there are no files.
    ///
    /// # Example
    ///
    /// ```
    /// use burn_npy::{NpyDataset, glob};
    ///
    /// # fn main() -> burn_npy::Result<()> {
    /// # use burn_npy::{file::write_npy, ndarray::Array2};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # for i in 0..12 {
    /// #     let scan = Array2::<i16>::from_elem((5, 8), i);
    /// #     write_npy(dir.path().join(format!("scan_{i}.npy")), &scan)?;
    /// # }
    /// # let pattern = dir.path().join("scan_*.npy");
    /// # let pattern = pattern.to_str().unwrap();
    /// // scan_0.npy to scan_11.npy, each of the shape (5, 8); the pattern is "scan_*.npy"
    /// let scans = NpyDataset::from_samples(glob(pattern)?)?;
    /// assert_eq!(format!("{scans:?}"), "NpyDataset { rows: 12, data: int16 [5, 8] }");
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_samples(paths: impl IntoIterator<Item = impl AsRef<Path>>) -> Result<Self> {
        let options = || OpenOptions::new().access(Access::Positioned);
        let mut first: Option<(PathBuf, Vec<usize>)> = None;
        let mut samples = Vec::new();
        for path in paths {
            let path = path.as_ref();
            let sample = Column::whole(&Array::open_with(path, options())?)?;
            let shape = sample.row_shape();
            let (of, expected) = first.get_or_insert_with(|| (path.to_path_buf(), shape.to_vec()));
            if shape != expected {
                let message = format!(
                    "the array has the shape {shape:?}, but the one in {} has {expected:?}; each \
                     file is one row, and rows must have one shape, so pad or crop the arrays when \
                     they are written",
                    shown_path(of)
                );
                return Err(Error::new(ErrorKind::Shape, message)
                    .in_column(DATA)
                    .in_file(path));
            }
            samples.push(sample);
        }
        if samples.is_empty() {
            return Err(Error::new(ErrorKind::Usage, "no files to open"));
        }
        let rows = Column::chain(samples).map_err(|error| error.in_column(DATA))?;
        let mut columns = Columns::default();
        columns.push(DATA.to_owned(), AnyColumn::Numbers(rows));
        Self::from_columns(columns)
    }

    /// Opens a file for each class, and adds the column `label`: the index of the class, an `i64`.
    /// Also returns the names of the classes, so that `classes[label]` is one.
    ///
    /// The files are opened as in [`from_shards`](Self::from_shards). Classes have the order in
    /// which they are given first. A class may have several files.
    ///
    /// # Errors
    ///
    /// Those of [`from_shards`](Self::from_shards); [`ErrorKind::Duplicate`] if the files have a
    /// column `label` already.
    ///
    /// # Example
    ///
    /// ```
    /// use burn_npy::NpyDataset;
    ///
    /// # fn main() -> burn_npy::Result<()> {
    /// # use burn_npy::{file::write_npy, ndarray::Array3};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let (cat, dog) = (dir.path().join("cat.npy"), dir.path().join("dog.npy"));
    /// # write_npy(&cat, &Array3::<u8>::zeros((2, 28, 28)))?;
    /// # write_npy(&dog, &Array3::<u8>::zeros((3, 28, 28)))?;
    /// // cat.npy of the shape (2, 28, 28), and dog.npy of (3, 28, 28)
    /// let (drawings, classes) = NpyDataset::from_classes([("cat", cat), ("dog", dog)])?;
    /// assert_eq!(
    ///     format!("{drawings:?}"),
    ///     "NpyDataset { rows: 5, data: uint8 [28, 28], label: int64 [] }"
    /// );
    /// assert_eq!(drawings.read::<i64>("label")?.as_slice(), Some(&[0, 0, 1, 1, 1][..]));
    /// assert_eq!(classes, ["cat", "dog"]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_classes<N: Into<String>>(
        files: impl IntoIterator<Item = (N, impl AsRef<Path>)>,
    ) -> Result<(Self, Vec<String>)> {
        let (mut classes, mut labels, mut shards) = (Vec::new(), Vec::new(), Vec::new());
        for (class, path) in files {
            let class = class.into();
            let label = classes.iter().position(|known| *known == class);
            let label = label.unwrap_or(classes.len());
            if label == classes.len() {
                classes.push(class);
            }
            let shard = Self::open_named(path.as_ref(), OpenOptions::default(), DATA)?;
            labels.push((label, shard.len()));
            shards.push(shard);
        }
        if shards.is_empty() {
            return Err(Error::new(ErrorKind::Usage, "no files to open"));
        }
        Ok((Self::concat(shards)?.zip(&label_column(&labels)?)?, classes))
    }

    /// Opens a folder that has a folder for each class with a `.npy` file for each sample, as in
    /// torchvision's `ImageFolder`: `root/cat/1.npy`, `root/dog/7.npy`. The columns are `data` and
    /// `label`, and the names of the classes are returned too, as by
    /// [`from_classes`](Self::from_classes).
    ///
    /// The classes are the names of the folders, in the order of their characters, so `10` comes
    /// before `2`, as there. The samples of a class have the order of [`glob()`]. Other files, and
    /// names that begin with a dot, are passed over. The samples are opened as by
    /// [`from_samples`](Self::from_samples).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`] if there is no folder in the folder, or none of the `.npy` files in one
    /// of those; those of [`from_samples`](Self::from_samples).
    ///
    /// # Example
    ///
    /// ```
    /// use burn_npy::NpyDataset;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let root = dir.path();
    /// # for (class, file) in [("dog", "7"), ("cat", "1"), ("cat", "2")] {
    /// #     std::fs::create_dir_all(root.join(class))?;
    /// #     let drawing = burn_npy::ndarray::Array2::<u8>::zeros((28, 28));
    /// #     burn_npy::file::write_npy(root.join(class).join(format!("{file}.npy")), &drawing)?;
    /// # }
    /// // root/cat/1.npy, root/cat/2.npy and root/dog/7.npy, each of the shape (28, 28)
    /// let (drawings, classes) = NpyDataset::from_class_folders(root)?;
    /// assert_eq!(drawings.read::<i64>("label")?.as_slice(), Some(&[0, 0, 1][..]));
    /// assert_eq!(classes, ["cat", "dog"]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_class_folders(root: impl AsRef<Path>) -> Result<(Self, Vec<String>)> {
        let root = root.as_ref();
        let mut folders = pattern::entries(root)?;
        folders.retain(|path| path.is_dir());
        folders.sort_unstable();
        let (mut classes, mut labels, mut samples) = (Vec::new(), Vec::new(), Vec::new());
        for (label, folder) in folders.into_iter().enumerate() {
            let mut files = pattern::entries(&folder)?;
            let others = pattern::nearest(&files, "");
            files.retain(|path| path.extension().is_some_and(|extension| extension == "npy"));
            if files.is_empty() {
                let message = format!("a class without .npy files; {others}");
                return Err(Error::new(ErrorKind::Usage, message).in_file(folder));
            }
            internal::sort_naturally(&mut files);
            let class = folder.file_name().unwrap_or_default();
            classes.push(class.to_string_lossy().into_owned());
            labels.push((label, files.len()));
            samples.extend(files);
        }
        if samples.is_empty() {
            let others = pattern::nearest(&pattern::entries(root)?, "");
            let message = format!("no folders, of which each would be a class; {others}");
            return Err(Error::new(ErrorKind::Usage, message).in_file(root));
        }
        Ok((
            Self::from_samples(samples)?.zip(&label_column(&labels)?)?,
            classes,
        ))
    }
}

/// Opens files in their order. Of those at URLs, of which each waits for an answer, several at a
/// time. If some cannot be opened, the error is that of the first.
fn open_all<T: Send + Sync>(
    paths: &[PathBuf],
    open: impl Fn(&Path) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    if !paths.iter().any(|path| internal::is_url(path)) {
        return paths.iter().map(|path| open(path)).collect();
    }
    let opened: Vec<OnceLock<Result<T>>> = paths.iter().map(|_| OnceLock::new()).collect();
    let next = AtomicUsize::new(0);
    let open_rest = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(path) = paths.get(index) else {
                break;
            };
            let result = open(path);
            if result.is_err() {
                next.store(paths.len(), Ordering::Relaxed);
            }
            let _ = opened[index].set(result);
        }
    };
    thread::scope(|scope| {
        for _ in 1..paths.len().min(16) {
            // Without it, the others open the files.
            let _ = thread::Builder::new().spawn_scoped(scope, open_rest);
        }
        open_rest();
    });
    // Files are begun in their order, so those before the first error are all here.
    opened.into_iter().map_while(OnceLock::into_inner).collect()
}

/// The column `label`: each label as often as it says.
fn label_column(labels: &[(usize, usize)]) -> Result<NpyDataset> {
    let of_class = |(label, rows): &(usize, usize)| {
        let label = burn_npy_core::ndarray::arr0(*label as i64);
        internal::repeated(&label.into(), *rows)
    };
    let column = Column::chain(labels.iter().map(of_class).collect::<Result<Vec<_>>>()?)?;
    let mut columns = Columns::default();
    columns.push(LABEL.to_owned(), AnyColumn::Numbers(column));
    NpyDataset::from_columns(columns)
}

#[cfg(test)]
mod tests;
