//! An array: its header, and the storage that has its bytes.

mod axes;
mod memory;
mod raw;
mod read;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::format::header::{Header, Prefix};
use crate::format::item::{ItemKind, Numbers};
use crate::format::magic;
use crate::message::{known, listed, quoted, shown};
use crate::remote::{ReadAt, RemoteOptions};
use crate::storage::{Head, Storage};
use crate::zip::Stored;
use crate::{Access, ByteOrder, DType, Error, ErrorKind, Field, ItemType, Layout, Limits, Result};

pub use raw::RawFormat;
pub(crate) use read::swap_bytes;

/// How a file is opened.
///
/// # Example
///
/// ```
/// # extern crate burn_npy_core as burn_npy;
/// use burn_npy::{Array, file::{Access, OpenOptions}};
///
/// # fn main() -> burn_npy::Result<()> {
/// # let dir = tempfile::tempdir().unwrap();
/// # let path = dir.path().join("labels.npy");
/// # burn_npy::file::write_npy(&path, &ndarray::array![3_u8, 1, 2])?;
/// let options = OpenOptions::new().access(Access::Positioned);
/// let labels = Array::open_with(&path, options)?;
/// assert_eq!(labels.shape(), [3]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct OpenOptions {
    /// How the bytes of the file are read. The default is [`Access::Mapped`].
    pub access: Access,
    /// Limits on the memory, time and disk space that the file may take.
    pub limits: Limits,
    /// The folder in which large members of archives are decoded, see
    /// [`Limits::memory_bytes`](Limits#structfield.memory_bytes). The default is the system's
    /// temporary folder. The files there have no names, and are deleted when their arrays are
    /// dropped.
    pub cache_dir: Option<PathBuf>,
    /// Whether stored arrays of archives are opened without a check of their checksums. The default
    /// is `false`.
    ///
    /// To check a stored array, all of it is read, once for each open [`Npz`](crate::Npz). That
    /// runs at the speed of memory if the file is in the page cache, and at the speed of the disk
    /// if not. Skip it for a large archive that you know to be intact, such as one that was written
    /// on this machine. [`Npz::verify`](crate::Npz::verify) then checks when you ask for it.
    /// Compressed arrays are always checked, since their data is read anyway.
    pub skip_checksums: bool,
    /// Whether the file is used although its times say that it may have been written to. The
    /// default is `false`.
    ///
    /// By default a file whose length, modification time or change time differs from when it was
    /// opened gives [`ErrorKind::Changed`], and so does another file at its path. `touch`, `chmod`,
    /// `mv` and a new hard link change these times too, and some network mounts give other times at
    /// each look. Set this if you know that the bytes of the file stay the same. A file of another
    /// length is still an error.
    pub ignore_times: bool,
    /// How files at URLs are read.
    pub remote: RemoteOptions,
}

impl OpenOptions {
    /// The default options.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets [`access`](Self#structfield.access).
    pub fn access(mut self, access: Access) -> Self {
        self.access = access;
        self
    }

    /// Sets [`limits`](Self#structfield.limits).
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets [`cache_dir`](Self#structfield.cache_dir).
    pub fn cache_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.cache_dir = Some(folder.into());
        self
    }

    /// Sets [`skip_checksums`](Self#structfield.skip_checksums).
    pub fn skip_checksums(mut self, skip: bool) -> Self {
        self.skip_checksums = skip;
        self
    }

    /// Sets [`ignore_times`](Self#structfield.ignore_times).
    pub fn ignore_times(mut self, ignore: bool) -> Self {
        self.ignore_times = ignore;
        self
    }

    /// Sets [`remote`](Self#structfield.remote).
    pub fn remote(mut self, remote: RemoteOptions) -> Self {
        self.remote = remote;
        self
    }
}

/// An array in a file or in memory. Opening an array reads its header only, unless
/// [`Access::Memory`] is set.
///
/// The items of an array are numbers, or consist of numbers. A complex number is two floats,
/// fixed-width bytes and text are bytes and code points, and a time is an `i64`. An item of several
/// numbers has them along a last axis that NumPy does not count, see
/// [`number_axis`](Self::number_axis). [`field`](Self::field) gives a field of a structured array
/// as an array that shares its bytes. [`reinterpret`](Self::reinterpret) sets the dtype of opaque
/// items.
///
/// Clones share the data.
#[derive(Clone, Debug)]
pub struct Array {
    item: ItemType,
    /// The numbers that an item consists of; `None` for opaque items and structures.
    numbers: Option<Numbers>,
    layout: Layout,
    shape: Vec<usize>,
    /// The distance in bytes between neighbouring items along each axis.
    strides: Vec<usize>,
    /// The offset of the first item, in bytes from the start of the data. It is above zero for a
    /// field, which starts inside an item.
    first: usize,
    storage: Storage,
    /// The offset of the data in the storage.
    offset: u64,
    /// The size of the data in bytes. A field is only a part of it.
    stored_bytes: usize,
    version: Option<(u8, u8)>,
    source: Arc<Source>,
}

/// The file and the archive member that an array comes from, for messages.
#[derive(Debug, Default)]
pub(crate) struct Source {
    file: Option<PathBuf>,
    member: Option<String>,
    /// The location of the array in its archive, if it is stored there uncompressed.
    stored: Option<Stored>,
}

impl Source {
    fn file(storage: &Storage) -> Self {
        Self {
            file: storage.path().map(Path::to_path_buf),
            ..Self::default()
        }
    }

    pub(crate) fn member(file: &Path, member: &str, stored: Option<Stored>) -> Self {
        Self {
            file: Some(file.to_path_buf()),
            member: Some(member.to_owned()),
            stored,
        }
    }
}

impl Array {
    /// Opens a `.npy` file by mapping it into memory.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] from the file system; those of [`Header::parse`]; and
    /// [`ErrorKind::TruncatedData`] if the file is shorter than its header announces.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(path, OpenOptions::default())
    }

    /// Opens a `.npy` file with options.
    ///
    /// # Errors
    ///
    /// Those of [`Array::open`].
    pub fn open_with(path: impl AsRef<Path>, options: OpenOptions) -> Result<Self> {
        let path = path.as_ref();
        let storage = Storage::open(path, &options)?;
        Self::of_file(storage, options.limits.header_bytes).map_err(|error| error.in_file(path))
    }

    /// Opens a `.npy` file whose bytes are in memory, such as those of `include_bytes!`.
    ///
    /// # Errors
    ///
    /// Those of [`Array::open`], except those of the file system.
    pub fn from_bytes(bytes: impl AsRef<[u8]> + Send + Sync + 'static) -> Result<Self> {
        Self::of_file(Storage::memory(bytes), Limits::default().header_bytes)
    }

    /// Opens a `.npy` file that is read by a reader of your own.
    ///
    /// # Errors
    ///
    /// Those of [`Array::open`], and of the reader.
    pub fn from_reader(reader: Arc<dyn ReadAt>, options: OpenOptions) -> Result<Self> {
        let storage = Storage::remote(reader, &options)?;
        let array = Self::of_file(storage.clone(), options.limits.header_bytes);
        array.map_err(|error| match storage.path() {
            Some(path) => error.in_file(path),
            None => error,
        })
    }

    /// Opens a storage that is a `.npy` file. The caller adds the file to errors.
    pub(crate) fn of_file(storage: Storage, max_header_len: usize) -> Result<Self> {
        let (len, source) = (storage.len(), Source::file(&storage));
        let array = Self::in_storage(storage.clone(), 0, len, max_header_len, source);
        // A change of the file comes first, since it may be the cause of the error.
        array.map_err(|error| storage.check().err().unwrap_or(error))
    }

    /// Opens the `.npy` file that is the `len` bytes at `start` of a storage. The caller adds the
    /// file to errors.
    pub(crate) fn in_storage(
        storage: Storage,
        start: u64,
        len: u64,
        max_header_len: usize,
        source: Source,
    ) -> Result<Self> {
        let header = read_header(&Head::read(&storage, start)?, start, len, max_header_len)?;
        Ok(Self::with_header(header, storage, start, source))
    }

    /// The array of a header that was read at `start` of a storage.
    pub(crate) fn with_header(
        header: Header,
        storage: Storage,
        start: u64,
        source: Source,
    ) -> Self {
        let shape = header.shape().to_vec();
        Self {
            numbers: header.item().numbers(),
            strides: strides(&shape, header.layout(), header.item().size()),
            item: header.item().clone(),
            layout: header.layout(),
            shape,
            first: 0,
            offset: start + header.data_offset() as u64,
            stored_bytes: header.nbytes(),
            version: Some(header.version()),
            storage,
            source: Arc::new(source),
        }
    }

    /// The type of an item, as the file declares it.
    pub fn item(&self) -> &ItemType {
        &self.item
    }

    /// The dtype of the numbers that the items consist of; `None` for opaque items and structures.
    pub fn dtype(&self) -> Option<DType> {
        self.numbers.map(|numbers| numbers.dtype)
    }

    /// The byte order of a number. It has no meaning for numbers of one byte.
    pub fn byte_order(&self) -> ByteOrder {
        self.numbers
            .map_or(ByteOrder::NATIVE, |numbers| numbers.byte_order)
    }

    /// The memory layout of the axes, as the header declares it. After
    /// [`rows_along`](Self::rows_along) it is that of the axes in their new order, if they have
    /// one.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// The length of each axis that NumPy counts.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The number of numbers in an item: 2 for complex numbers, the length for fixed-width bytes
    /// and text, and `None` for a plain number. They are the last axis of what [`read`](Self::read)
    /// and a [`Column`](crate::Column) give.
    pub fn number_axis(&self) -> Option<usize> {
        self.numbers.and_then(|numbers| numbers.axis)
    }

    /// The numbers that the items consist of, or an error that says how to get numbers.
    pub(crate) fn numbers(&self) -> Result<Numbers> {
        self.numbers.ok_or_else(|| {
            let message = match self.item.kind() {
                ItemKind::Struct(fields) => {
                    let names = listed(fields, |field| shown(field.name()));
                    format!("items are structures; use their fields, which are {names}")
                }
                _ => {
                    let such_as = match self.item.size() {
                        1 => "a one-byte type of ml_dtypes such as int4 or float8_e4m3fn",
                        2 => "bfloat16",
                        _ => "bytes",
                    };
                    format!(
                        "items of {} are opaque; if you know what they are, such as {such_as}, \
                         reinterpret the array",
                        self.item
                    )
                }
            };
            self.locate(Error::new(ErrorKind::Dtype, message))
        })
    }

    /// The length of each axis and its stride in bytes, including the axis of the numbers of an
    /// item.
    pub(crate) fn axes(&self) -> Vec<(usize, usize)> {
        let axes = self.shape.iter().copied().zip(self.strides.iter().copied());
        let last = self
            .numbers
            .and_then(|numbers| numbers.axis.map(|len| (len, numbers.dtype.size())));
        axes.chain(last).collect()
    }

    /// The offset of the first item, in bytes from the start of the data.
    pub(crate) fn first(&self) -> usize {
        self.first
    }

    /// The size of the data that the array is a part of.
    pub(crate) fn stored_bytes(&self) -> usize {
        self.stored_bytes
    }

    /// A field of a structured array, as an array that shares its bytes. The axes of a sub-array
    /// follow those of the array, as in NumPy.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Name`] if there is no field of that name or title.
    pub fn field(&self, name: &str) -> Result<Self> {
        let is_it = |field: &&Field| field.name() == name || field.title() == Some(name);
        let field = self.item.fields().iter().find(is_it).ok_or_else(|| {
            let known = known(self.item.fields(), |field| shown(field.name()));
            self.locate(Error::new(
                ErrorKind::Name,
                format!("no field {}; {known}", quoted(name)),
            ))
        })?;
        Ok(self.with_field(field))
    }

    fn with_field(&self, field: &Field) -> Self {
        let inner = strides(field.shape(), Layout::C, field.item().size());
        Self {
            // Not cloned with the array: that would be all fields for each of them.
            item: field.item().clone(),
            numbers: field.item().numbers(),
            layout: self.layout,
            shape: [&self.shape[..], field.shape()].concat(),
            strides: [&self.strides[..], &inner].concat(),
            first: self.first + field.offset(),
            storage: self.storage.clone(),
            offset: self.offset,
            stored_bytes: self.stored_bytes,
            version: self.version,
            source: self.source.clone(),
        }
    }

    /// All fields with their names. A field that is itself a structure is replaced by its own
    /// fields, which are named `outer.inner`. It is empty if the items are not structures.
    pub fn fields(&self) -> Vec<(String, Self)> {
        let mut found = Vec::new();
        for field in self.item.fields() {
            let array = self.with_field(field);
            if array.item.fields().is_empty() {
                found.push((field.name().to_owned(), array));
                continue;
            }
            for (inner, array) in array.fields() {
                found.push((format!("{}.{inner}", field.name()), array));
            }
        }
        found
    }

    /// Sets the dtype of opaque items (`V`).
    ///
    /// NumPy writes `bfloat16` of `ml_dtypes` as `<V2`, and its types of one byte, such as `int4`
    /// and `float8_e4m3fn`, as `<V1`. The file does not say which type it is, so the caller must.
    /// (The exception is `float8_e5m2`, which is written as `<f1`.) `complex32` and `bcomplex32`
    /// are pairs of [`DType::F16`] and [`DType::BF16`]. An item of several numbers gets an axis for
    /// them. [`DType::U8`] gives the bytes of any item.
    ///
    /// If the items already have the dtype, the array is returned as it is.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Dtype`] if the items are not opaque and have another dtype, or if their size
    /// does not fit. It is also returned for opaque items of one byte as [`DType::I8`] or
    /// [`DType::Bool`]: NumPy does not write these as opaque items, so they must be of another
    /// type.
    ///
    /// # Example
    ///
    /// ```
    /// # extern crate burn_npy_core as burn_npy;
    /// use burn_npy::{Array, DType};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("weights.npy");
    /// # let header = "{'descr': '<V2', 'fortran_order': False, 'shape': (2,), }\n";
    /// # let mut bytes = [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..]].concat();
    /// # bytes.extend(header.bytes().chain([0xc0, 0x3f, 0, 0xc0]));
    /// # std::fs::write(&path, bytes)?;
    /// let weights = Array::open(&path)?.reinterpret(DType::BF16)?;
    /// let values = weights.read::<burn_npy::half::bf16>()?;
    /// assert_eq!(values.mapv(f32::from).into_raw_vec_and_offset().0, [1.5, -2.0]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn reinterpret(mut self, dtype: DType) -> Result<Self> {
        match self.item.reinterpret(dtype) {
            Some(numbers) => {
                self.numbers = Some(numbers);
                Ok(self)
            }
            None => {
                let item = &self.item;
                let message = if item.is_no(dtype) {
                    format!(
                        "items of {item} are not {dtype}, which NumPy does not write as {item}; \
                         DType::I4 is int4, and DType::U8 gives the bytes"
                    )
                } else {
                    format!("items of {item} cannot be taken for {dtype}")
                };
                Err(self.locate(Error::new(ErrorKind::Dtype, message)))
            }
        }
    }

    /// The file that has the array.
    pub fn file(&self) -> Option<&Path> {
        self.source.file.as_deref()
    }

    /// The name of the archive member that is the array.
    pub fn member(&self) -> Option<&str> {
        self.source.member.as_deref()
    }

    /// Checks that the file has not changed since it was opened, and that a stored array of an
    /// archive has the checksum that the archive has for it. The latter reads the whole member; it
    /// takes time but no memory.
    ///
    /// A compressed array was checked when it was decoded. An array in a `.npy` file or in memory
    /// has no checksum.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Crc`] if the checksum is wrong, [`ErrorKind::Changed`] if the file has changed,
    /// and [`ErrorKind::Io`] from the file system.
    pub fn verify(&self) -> Result<()> {
        let verified = match &self.source.stored {
            Some(stored) => stored.verify(&self.storage),
            None => Ok(()),
        };
        // A change of the file comes first, since it may be the cause of a wrong checksum.
        let verified = self.storage.check().and(verified);
        verified.map_err(|error| self.locate(error))
    }

    /// Whether two arrays share their bytes, as the fields of a structured array do. Then it is
    /// enough to [`verify`](Self::verify) one of them.
    pub fn shares_bytes_with(&self, other: &Self) -> bool {
        self.storage.same(&other.storage) && self.offset == other.offset
    }

    /// The format version of the header; `None` for an array without one.
    pub fn version(&self) -> Option<(u8, u8)> {
        self.version
    }

    /// The offset of the data in bytes, from the start of the `.npy` file, of the archive if the
    /// array is stored there, or of the decoded member.
    pub fn data_offset(&self) -> u64 {
        self.offset
    }

    /// The size of all items in bytes. For a field it is the size of that field in all items.
    pub fn nbytes(&self) -> usize {
        self.shape.iter().product::<usize>() * self.item.size()
    }

    /// The same array, read by position if its file is mapped.
    pub(crate) fn by_position(&self) -> Self {
        Self {
            storage: self.storage.by_position(),
            ..self.clone()
        }
    }

    pub(crate) fn storage(&self) -> &Storage {
        &self.storage
    }

    /// Adds the file and the member to an error.
    pub(crate) fn locate(&self, mut error: Error) -> Error {
        if let Some(member) = &self.source.member {
            error = error.in_array(member);
        }
        match &self.source.file {
            Some(file) => error.in_file(file),
            None => error,
        }
    }
}

/// Reads the header of the `.npy` file that is the `len` bytes at `start` of a storage.
pub(crate) fn read_header(
    head: &Head<'_>,
    start: u64,
    len: u64,
    max_header_len: usize,
) -> Result<Header> {
    let prefix = head.get(start, len.min(Prefix::MAX_LEN as u64) as usize)?;
    let prefix = match Prefix::parse(&prefix, len, max_header_len) {
        Err(error) if error.kind() == ErrorKind::Magic => {
            return Err(magic::not_a(".npy file", head.storage(), start, len));
        }
        prefix => prefix?,
    };
    let head = head.get(start, prefix.data_offset)?;
    let header = Header::parse_after(&prefix, &head)?;
    header.check_len(len)?;
    Ok(header)
}

/// The distance in bytes between neighbouring items along each axis, for items without gaps.
fn strides(shape: &[usize], layout: Layout, size: usize) -> Vec<usize> {
    let mut strides = vec![0; shape.len()];
    let mut stride = size;
    let mut step = |axis: usize| {
        strides[axis] = stride;
        // Without items the strides have no meaning, and their product may overflow.
        stride = stride.saturating_mul(shape[axis]);
    };
    match layout {
        Layout::C => (0..shape.len()).rev().for_each(&mut step),
        Layout::Fortran => (0..shape.len()).for_each(&mut step),
    }
    strides
}
