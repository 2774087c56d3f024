//! One array: what its header says, and where its bytes are.

mod memory;
mod read;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::dtype::abbreviated;
use crate::format::header::{Header, Prefix};
use crate::format::item::{ItemKind, Numbers};
use crate::format::magic;
use crate::storage::Storage;
use crate::zip::Stored;
use crate::{Access, ByteOrder, DType, Error, ErrorKind, Field, ItemType, Layout, Limits, Result};

pub(crate) use read::swap_bytes;

/// How a file is opened.
///
/// # Example
///
/// ```
/// use burn_npy_core::{Access, Array, OpenOptions};
///
/// # fn main() -> burn_npy_core::Result<()> {
/// # let dir = tempfile::tempdir().unwrap();
/// # let path = dir.path().join("labels.npy");
/// # burn_npy_core::write_npy(&path, &ndarray::array![3_u8, 1, 2])?;
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
}

/// An array of a file or in memory. Opening one reads its header, and its data only with
/// [`Access::Memory`].
///
/// The items of an array are numbers, or made of numbers: a complex number is two floats,
/// fixed-width bytes and text are bytes and code points, a time is an `i64`. Those stand along a
/// last axis that NumPy does not count, see [`number_axis`](Self::number_axis). The fields of a
/// structure are arrays of their own, which share its bytes: [`field`](Self::field). Opaque items
/// become numbers when the user says which: [`reinterpret`](Self::reinterpret).
///
/// Clones share the data.
#[derive(Clone, Debug)]
pub struct Array {
    item: ItemType,
    /// The numbers of an item, unless it is opaque or a structure.
    numbers: Option<Numbers>,
    layout: Layout,
    shape: Vec<usize>,
    /// For each axis, how many bytes its items are apart.
    strides: Vec<usize>,
    /// Where the first item begins, from the start of the data: fields begin inside an item.
    first: usize,
    storage: Storage,
    /// Where the data begins in the storage.
    offset: u64,
    /// The size of the data, whichever part of it the array is.
    stored_bytes: usize,
    version: Option<(u8, u8)>,
    source: Arc<Source>,
}

/// Where the array comes from.
#[derive(Debug, Default)]
pub(crate) struct Source {
    file: Option<PathBuf>,
    member: Option<String>,
    /// Where the array is in its archive, if it is stored there as it is.
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
    /// What the file system says, and whatever [`Header::parse`] refuses; also
    /// [`ErrorKind::TruncatedData`] when the file is shorter than its header announces.
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
        let storage = Storage::open(path, options.access)?;
        Self::of_file(storage, options.limits.header_bytes).map_err(|error| error.in_file(path))
    }

    /// The array of a `.npy` file that is in memory, such as one of `include_bytes!`.
    ///
    /// # Errors
    ///
    /// Those of [`Array::open`], but for the file system's.
    pub fn from_bytes(bytes: impl AsRef<[u8]> + Send + Sync + 'static) -> Result<Self> {
        Self::of_file(Storage::memory(bytes), Limits::default().header_bytes)
    }

    /// The array of a storage that is a `.npy` file. The caller adds the file to errors.
    pub(crate) fn of_file(storage: Storage, max_header_len: usize) -> Result<Self> {
        let (len, source) = (storage.len(), Source::file(&storage));
        Self::in_storage(storage, 0, len, max_header_len, source)
    }

    /// The array whose `.npy` bytes are the `len` bytes at `start` of a storage. The caller adds
    /// the file to errors.
    pub(crate) fn in_storage(
        storage: Storage,
        start: u64,
        len: u64,
        max_header_len: usize,
        source: Source,
    ) -> Result<Self> {
        let header = read_header(&storage, start, len, max_header_len)?;
        let shape = header.shape().to_vec();
        Ok(Self {
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
        })
    }

    /// What an item of the array is, as its file says.
    pub fn item(&self) -> &ItemType {
        &self.item
    }

    /// The type of the numbers that the items are made of; `None` for opaque items and structures.
    pub fn dtype(&self) -> Option<DType> {
        self.numbers.map(|numbers| numbers.dtype)
    }

    /// The order of the bytes of a number; of no meaning where a number is one byte.
    pub fn byte_order(&self) -> ByteOrder {
        self.numbers
            .map_or(ByteOrder::NATIVE, |numbers| numbers.byte_order)
    }

    /// How the axes lie in memory, as the header says.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// The length of each axis, as NumPy counts them.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// How many numbers an item is made of, if it is not one plain number: 2 for complex numbers,
    /// the length of fixed-width bytes and text. They stand along a last axis of what
    /// [`read`](Self::read) and a [`Column`](crate::Column) give.
    pub fn number_axis(&self) -> Option<usize> {
        self.numbers.and_then(|numbers| numbers.axis)
    }

    /// The numbers, or an error that says how to come by some.
    pub(crate) fn numbers(&self) -> Result<Numbers> {
        self.numbers.ok_or_else(|| {
            let message = match self.item.kind() {
                ItemKind::Struct(fields) => {
                    let names: Vec<_> = fields.iter().map(Field::name).collect();
                    format!(
                        "items are structures; use their fields, which are {}",
                        names.join(", ")
                    )
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

    /// Length and stride in bytes of each axis, that of the numbers of an item among them.
    pub(crate) fn axes(&self) -> Vec<(usize, usize)> {
        let axes = self.shape.iter().copied().zip(self.strides.iter().copied());
        let last = self
            .numbers
            .and_then(|numbers| numbers.axis.map(|len| (len, numbers.dtype.size())));
        axes.chain(last).collect()
    }

    /// Where the first item begins, in bytes from the start of the data.
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
            let known = {
                let names = self.item.fields().iter().map(Field::name);
                crate::npz::known_names(names.map(abbreviated))
            };
            self.locate(Error::new(
                ErrorKind::Name,
                format!("no field {name:?}; {known}"),
            ))
        })?;
        Ok(self.with_field(field))
    }

    fn with_field(&self, field: &Field) -> Self {
        let mut new = self.clone();
        new.item = field.item().clone();
        new.numbers = field.item().numbers();
        new.first += field.offset();
        new.shape.extend(field.shape());
        new.strides
            .extend(strides(field.shape(), Layout::C, field.item().size()));
        new
    }

    /// All fields that are no structures themselves, with their names; those of a nested structure
    /// are named `outer.inner`. Empty if the items are not structures.
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

    /// Says what opaque items (`V`) are. NumPy writes `bfloat16` of `ml_dtypes` as `<V2` and its
    /// types of one byte, such as `int4` and `float8_e4m3fn`, as `<V1`, so that only the user can
    /// know. (`float8_e5m2` alone is written as `<f1` and known.) Items of several such numbers get
    /// an axis for them, and [`DType::U8`] gives the bytes. `complex32` and `bcomplex32` are pairs
    /// of [`DType::F16`] and [`DType::BF16`].
    ///
    /// Items that are of the dtype already stay as they are.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Dtype`] if the items are not opaque and of another dtype, or of a size that
    /// does not fit; also for [`DType::I8`] and [`DType::Bool`] of one byte, which NumPy does not
    /// write as opaque items: such an item is of another type, and would have another value.
    ///
    /// # Example
    ///
    /// ```
    /// use burn_npy_core::{Array, DType};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("weights.npy");
    /// # let header = "{'descr': '<V2', 'fortran_order': False, 'shape': (2,), }\n";
    /// # let mut bytes = [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..]].concat();
    /// # bytes.extend(header.bytes().chain([0xc0, 0x3f, 0, 0xc0]));
    /// # std::fs::write(&path, bytes)?;
    /// let weights = Array::open(&path)?.reinterpret(DType::BF16)?;
    /// let values = weights.read::<burn_npy_core::half::bf16>()?;
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

    /// The file that the array is in.
    pub fn file(&self) -> Option<&Path> {
        self.source.file.as_deref()
    }

    /// The archive member that the array is.
    pub fn member(&self) -> Option<&str> {
        self.source.member.as_deref()
    }

    /// Looks whether the file is still the one that was opened. Of an array that is stored in an
    /// archive, also reads the member from its start to its end and compares the checksum with what
    /// the archive says, which takes time, but no memory.
    ///
    /// The checksum of an array that was compressed was compared when it was decoded; an array in a
    /// file of its own or in memory has none.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Crc`] if the checksum is not that of the data, [`ErrorKind::Changed`] if the
    /// file is no longer what was opened, and what the file system says.
    pub fn verify(&self) -> Result<()> {
        let verified = match &self.source.stored {
            Some(stored) => stored.verify(&self.storage),
            None => Ok(()),
        };
        // What was read of a file that changes while it is read is wrong in any way.
        let verified = self.storage.check().and(verified);
        verified.map_err(|error| self.locate(error))
    }

    /// Whether two arrays come from the same bytes, as the fields of a structured array do, so that
    /// [`verify`](Self::verify) of one is enough.
    pub fn shares_bytes_with(&self, other: &Self) -> bool {
        self.storage.same(&other.storage) && self.offset == other.offset
    }

    /// The version of the format of the array's header, if it has one.
    pub fn version(&self) -> Option<(u8, u8)> {
        self.version
    }

    /// Where the data begins, in bytes from the start of the file, of the archive if its member is
    /// stored, or of the decoded member.
    pub fn data_offset(&self) -> u64 {
        self.offset
    }

    /// The size of the items in bytes; for a field, that of its part of them.
    pub fn nbytes(&self) -> usize {
        self.shape.iter().product::<usize>() * self.item.size()
    }

    pub(crate) fn storage(&self) -> &Storage {
        &self.storage
    }

    /// Names the array in an error.
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

/// The header of the `.npy` bytes that are the `len` bytes at `start` of a storage.
pub(crate) fn read_header(
    storage: &Storage,
    start: u64,
    len: u64,
    max_header_len: usize,
) -> Result<Header> {
    let mut prefix = [0; Prefix::MAX_LEN];
    let prefix = &mut prefix[..len.min(Prefix::MAX_LEN as u64) as usize];
    storage.read_at(start, prefix)?;
    let prefix = match Prefix::parse(prefix, len, max_header_len) {
        Err(error) if error.kind() == ErrorKind::Magic => {
            return Err(magic::not_a(".npy file", storage, start, len));
        }
        prefix => prefix?,
    };
    let mut head = vec![0; prefix.data_offset];
    storage.read_at(start, &mut head)?;
    let header = Header::parse_after(&prefix, &head)?;
    header.check_len(len)?;
    Ok(header)
}

/// How many bytes the items along each axis are apart when there are no gaps.
fn strides(shape: &[usize], layout: Layout, size: usize) -> Vec<usize> {
    let mut strides = vec![0; shape.len()];
    let mut stride = size;
    let mut step = |axis: usize| {
        strides[axis] = stride;
        // Without items nothing is apart, and the product with the lengths left may overflow.
        stride = stride.saturating_mul(shape[axis]);
    };
    match layout {
        Layout::C => (0..shape.len()).rev().for_each(&mut step),
        Layout::Fortran => (0..shape.len()).for_each(&mut step),
    }
    strides
}
