//! One array: what its header says, and where its bytes are.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ndarray::{ArrayD, ArrayViewD, Dimension, IxDyn, ShapeBuilder};

use crate::format::header::{Header, Prefix};
use crate::format::item::{ItemKind, Numbers};
use crate::storage::Storage;
use crate::{
    Access, ByteOrder, Column, DType, Element, Error, ErrorClass, Field, ItemType, Layout, Limits,
    Result,
};

/// How files are opened.
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    /// How the bytes of the file are reached.
    pub access: Access,
    /// What a file may ask for.
    pub limits: Limits,
    /// Where large members of archives are decoded to, see [`Limits::memory_bytes`]; the system's
    /// temporary folder unless set. The files there have no names, and are gone with the last array.
    pub cache_dir: Option<PathBuf>,
}

/// An array of a file or in memory. Opening one reads its header, never its data.
///
/// The items of an array are numbers, or made of numbers: a complex number is two floats, fixed-width
/// bytes and text are bytes and code points, a time is an `i64`. Those stand along a last axis that
/// NumPy does not count, see [`number_axis`](Self::number_axis). The fields of a structure are
/// arrays of their own, which share its bytes: [`field`](Self::field). Opaque items become numbers
/// when the user says which: [`reinterpret`](Self::reinterpret).
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

/// What messages call the array.
#[derive(Debug, Default)]
struct Source {
    file: Option<PathBuf>,
    member: Option<String>,
}

impl Array {
    /// Opens a `.npy` file by mapping it into memory.
    ///
    /// # Errors
    ///
    /// What the file system says, and whatever [`Header::parse`] refuses; also
    /// [`ErrorClass::TruncatedData`] when the file is shorter than its header announces.
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
        let len = storage.len();
        Self::in_storage(storage, 0, len, options.limits.header_bytes, None)
            .map_err(|error| error.in_file(path))
    }

    /// The array of a `.npy` file that is in memory, such as one of `include_bytes!`.
    ///
    /// # Errors
    ///
    /// Those of [`Array::open`], but for the file system's.
    pub fn from_bytes(bytes: impl AsRef<[u8]> + Send + Sync + 'static) -> Result<Self> {
        let storage = Storage::memory(bytes);
        let len = storage.len();
        Self::in_storage(storage, 0, len, Limits::default().header_bytes, None)
    }

    /// The array whose `.npy` bytes are the `len` bytes at `start` of a storage. The caller adds
    /// the file to errors.
    pub(crate) fn in_storage(
        storage: Storage,
        start: u64,
        len: u64,
        max_header_len: usize,
        named: Option<(&Path, &str)>,
    ) -> Result<Self> {
        let mut prefix = [0; Prefix::MAX_LEN];
        let prefix = &mut prefix[..len.min(Prefix::MAX_LEN as u64) as usize];
        storage.read_at(start, prefix)?;
        let prefix = Prefix::parse(prefix, len, max_header_len)?;
        let mut head = vec![0; prefix.data_offset];
        storage.read_at(start, &mut head)?;
        let header = Header::parse_after(&prefix, &head)?;
        header.check_len(len)?;
        let source = match named {
            Some((file, member)) => Source {
                file: Some(file.to_path_buf()),
                member: Some(member.to_owned()),
            },
            None => Source {
                file: storage.path().map(Path::to_path_buf),
                member: None,
            },
        };
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

    /// How many numbers an item is made of, if it is not one plain number: 2 for complex numbers, the
    /// length of fixed-width bytes and text. They stand along a last axis of what
    /// [`read`](Self::read) and a [`Column`] give.
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
                _ => format!(
                    "items of {} are opaque; if you know what they are, such as bfloat16, \
                     reinterpret the array",
                    self.item
                ),
            };
            self.locate(Error::new(ErrorClass::Dtype, message))
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
    /// [`ErrorClass::Name`] if there is no field of that name or title.
    pub fn field(&self, name: &str) -> Result<Self> {
        let is_it = |field: &&Field| field.name() == name || field.title() == Some(name);
        let field = self.item.fields().iter().find(is_it).ok_or_else(|| {
            let known = crate::npz::known_names(self.item.fields().iter().map(Field::name));
            self.locate(Error::new(
                ErrorClass::Name,
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

    /// Says what opaque items (`V`) are. NumPy writes `bfloat16` of `ml_dtypes` as `<V2` and its 8-bit
    /// floats as `<V1`, so that only the user can know. Items of several such numbers get an axis for
    /// them, and [`DType::U8`] gives the bytes.
    ///
    /// # Errors
    ///
    /// [`ErrorClass::Dtype`] if the items are not opaque, or of a size that does not fit.
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
            None => Err(self.locate(Error::new(
                ErrorClass::Dtype,
                format!("items of {} cannot be taken for {dtype}", self.item),
            ))),
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

    /// The layout in which the items follow each other without gaps, if they do.
    fn dense_layout(&self) -> Option<Layout> {
        let dense = |layout| {
            let expected = strides(&self.shape, layout, self.item.size());
            let axes = self.shape.iter().zip(self.strides.iter().zip(expected));
            // Along an axis of one item there is nothing to step over.
            axes.into_iter()
                .all(|(len, (found, expected))| *len == 1 || *found == expected)
        };
        let whole = self.first == 0 && self.nbytes() == self.stored_bytes;
        [self.layout, Layout::C, Layout::Fortran]
            .into_iter()
            .find(|layout| whole && dense(*layout))
    }

    /// Copies the array into memory, in the byte order of the machine; a plain array keeps its layout.
    ///
    /// The copy is all that it takes in memory, or twice that for a field of a structure, or where a
    /// Fortran array has items of more than one number.
    ///
    /// # Errors
    ///
    /// [`ErrorClass::Dtype`] if `T` is not the type of the numbers, [`ErrorClass::Changed`] if
    /// the file is no longer what was opened, and what the file system says.
    pub fn read<T: Element>(&self) -> Result<ArrayD<T>> {
        let numbers = self.expect_dtype::<T>()?;
        let layout = match (self.dense_layout(), numbers.axis) {
            (Some(Layout::C), _) => Layout::C,
            (Some(Layout::Fortran), None) => Layout::Fortran,
            _ => {
                let whole = Column::whole(self)?.unconverted().row::<T>(0)?;
                return Ok(whole);
            }
        };
        self.storage.check()?;
        let size = numbers.dtype.size();
        let mut elements = Vec::with_capacity(self.stored_bytes / size);
        // A chunk at a time, so that the peak is the result and little else.
        let mut chunk = vec![0; self.stored_bytes.min(1 << 20)];
        let mut at = 0;
        while at < self.stored_bytes {
            let len = chunk.len().min(self.stored_bytes - at);
            let chunk = &mut chunk[..len];
            self.storage
                .read_at(self.offset + at as u64, chunk)
                .map_err(|error| self.locate(error))?;
            if numbers.byte_order != ByteOrder::NATIVE {
                swap_bytes(chunk, size);
            }
            elements.extend(
                chunk
                    .chunks_exact(size)
                    .map(|bytes| <T::Stored as crate::element::Scalar>::load(bytes).into()),
            );
            at += len;
        }
        self.storage.check_after_read()?;
        let shape: Vec<_> = self.shape.iter().copied().chain(numbers.axis).collect();
        let shape = IxDyn(&shape).set_f(layout == Layout::Fortran);
        ArrayD::from_shape_vec(shape, elements)
            .map_err(|error| self.locate(Error::new(ErrorClass::Shape, error.to_string())))
    }

    /// Copies bytes of the data as they are stored, whatever the items are; for a field, those of the
    /// whole structures. `start` counts from the [beginning of the data](Self::data_offset).
    ///
    /// # Errors
    ///
    /// [`ErrorClass::TruncatedData`] beyond the end of the data, [`ErrorClass::Changed`] if the file is no
    /// longer what was opened, and what the file system says.
    pub fn read_bytes(&self, start: usize, out: &mut [u8]) -> Result<()> {
        let mut read = || {
            let end = start.checked_add(out.len());
            if end.is_none_or(|end| end > self.stored_bytes) {
                let class = ErrorClass::TruncatedData;
                return Err(Error::new(class, "a read beyond the end of the data"));
            }
            self.storage.check()?;
            self.storage.read_at(self.offset + start as u64, out)?;
            self.storage.check_after_read()
        };
        read().map_err(|error| self.locate(error))
    }

    /// Borrows an array that is in memory, without a copy.
    ///
    /// # Errors
    ///
    /// [`ErrorClass::Usage`] if the array is in a file, which another process could change under the
    /// view: [`read`](Self::read) it, open it with [`Access::Memory`], or vouch for the file with
    /// [`view_file`](Self::view_file). [`ErrorClass::Dtype`] if `T` is not the type of the items, or
    /// their bytes are in the other order, not aligned, or not values of `T`.
    pub fn view<T: Element>(&self) -> Result<ArrayViewD<'_, T>> {
        match self.storage.owned_bytes() {
            Some(bytes) => self.view_bytes(bytes),
            None => Err(self.locate(Error::new(
                ErrorClass::Usage,
                "only an array in memory can be borrowed; read it, or open it with Access::Memory",
            ))),
        }
    }

    /// Borrows an array of a mapped file, without a copy.
    ///
    /// # Errors
    ///
    /// Those of [`view`](Self::view), and [`ErrorClass::Usage`] if the file is not mapped.
    ///
    /// # Safety
    ///
    /// Nobody may change the file, and nobody may truncate it, for as long as the view lives.
    #[allow(unsafe_code)]
    pub unsafe fn view_file<T: Element>(&self) -> Result<ArrayViewD<'_, T>> {
        self.storage.check()?;
        match self.storage.bytes() {
            Some(bytes) => self.view_bytes(bytes),
            None => Err(self.locate(Error::new(
                ErrorClass::Usage,
                "the file is read by position, so there is nothing to borrow",
            ))),
        }
    }

    fn view_bytes<'a, T: Element>(&self, bytes: &'a [u8]) -> Result<ArrayViewD<'a, T>> {
        let numbers = self.expect_dtype::<T>()?;
        let refuse = |why| {
            Err(self.locate(Error::new(
                ErrorClass::Dtype,
                format!("cannot be borrowed: {why}"),
            )))
        };
        if numbers.byte_order != ByteOrder::NATIVE && numbers.dtype.size() > 1 {
            return refuse("the bytes are in the order of another machine; read the array instead");
        }
        let (Some(layout), None) = (self.dense_layout(), numbers.axis) else {
            return refuse("the items are not plain numbers one after the other");
        };
        let bytes = &bytes[self.offset as usize..][..self.stored_bytes];
        let Ok(elements) = bytemuck::checked::try_cast_slice(bytes) else {
            return refuse("the numbers are not aligned, or not all of them are values");
        };
        let shape = IxDyn(&self.shape).set_f(layout == Layout::Fortran);
        ArrayViewD::from_shape(shape, elements).or_else(|_| refuse("the shape does not fit"))
    }

    fn expect_dtype<T: Element>(&self) -> Result<Numbers> {
        let numbers = self.numbers()?;
        if numbers.dtype == T::DTYPE {
            return Ok(numbers);
        }
        Err(self.locate(Error::new(
            ErrorClass::Dtype,
            format!("found {}, asked for {}", numbers.dtype, T::DTYPE),
        )))
    }
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

/// Reverses the bytes of each element.
pub(crate) fn swap_bytes(bytes: &mut [u8], itemsize: usize) {
    match itemsize {
        1 => {}
        // Constant sizes become one instruction each.
        2 => bytes
            .as_chunks_mut::<2>()
            .0
            .iter_mut()
            .for_each(|b| b.reverse()),
        4 => bytes
            .as_chunks_mut::<4>()
            .0
            .iter_mut()
            .for_each(|b| b.reverse()),
        _ => bytes
            .as_chunks_mut::<8>()
            .0
            .iter_mut()
            .for_each(|b| b.reverse()),
    }
}

struct Elements<T>(Vec<T>);

impl<T: Element> AsRef<[u8]> for Elements<T> {
    fn as_ref(&self) -> &[u8] {
        bytemuck::cast_slice(&self.0)
    }
}

/// An array in memory; its data is not copied if it lies in C or Fortran layout.
impl<T: Element + Clone, D: Dimension> From<ndarray::Array<T, D>> for Array {
    fn from(array: ndarray::Array<T, D>) -> Self {
        let mut array = array.into_dyn();
        let layout = if array.is_standard_layout() {
            Layout::C
        } else if array.t().is_standard_layout() {
            Layout::Fortran
        } else {
            array = array.as_standard_layout().into_owned();
            Layout::C
        };
        let shape = array.shape().to_vec();
        let stored_bytes = array.len() * size_of::<T>();
        let (elements, first) = array.into_raw_vec_and_offset();
        let item = ItemType::number(T::DTYPE);
        Self {
            numbers: item.numbers(),
            strides: strides(&shape, layout, item.size()),
            item,
            layout,
            shape,
            first: 0,
            storage: Storage::memory(Elements(elements)),
            offset: (first.unwrap_or(0) * size_of::<T>()) as u64,
            stored_bytes,
            version: None,
            source: Arc::default(),
        }
    }
}

/// A one-dimensional array in memory.
impl<T: Element + Clone> From<Vec<T>> for Array {
    fn from(elements: Vec<T>) -> Self {
        ndarray::Array::from(elements).into()
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array, s};

    use super::*;
    use crate::write_npy;

    #[test]
    fn memory_and_files_read_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.npy");
        let values = Array2::from_shape_fn((5, 3), |(i, j)| (i * 10 + j) as f32);
        for values in [values.clone(), values.reversed_axes()] {
            write_npy(&path, &values).unwrap();
            let in_memory = Array::from(values.clone());
            assert_eq!(in_memory.view::<f32>().unwrap(), values.view().into_dyn());
            assert_eq!(in_memory.read::<f32>().unwrap(), values.view().into_dyn());
            for access in [Access::Mapped, Access::Positioned, Access::Memory] {
                let options = OpenOptions {
                    access,
                    ..Default::default()
                };
                let array = Array::open_with(&path, options).unwrap();
                assert_eq!(array.layout(), in_memory.layout());
                assert_eq!(array.read::<f32>().unwrap(), values.view().into_dyn());
                assert_eq!(array.view::<f32>().is_ok(), access == Access::Memory);
            }
        }
    }

    #[test]
    #[allow(unsafe_code)]
    fn a_mapped_file_can_be_borrowed_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.npy");
        write_npy(&path, &array![1.5_f64, 2.5]).unwrap();
        let array = Array::open(&path).unwrap();
        // SAFETY: nobody else knows the file.
        let view = unsafe { array.view_file::<f64>() }.unwrap();
        assert_eq!(view, array![1.5, 2.5].into_dyn());
        let error = array.view::<f64>().unwrap_err();
        assert_eq!(error.class(), ErrorClass::Usage);
        assert_eq!(error.file(), Some(path.as_path()));
    }

    #[test]
    fn a_slice_of_an_array_keeps_its_values() {
        let values = array![[1, 2, 3], [4, 5, 6], [7, 8, 9]].mapv(i64::from);
        let rows = Array::from(values.clone().slice_move(s![1.., ..]));
        assert_eq!(
            rows.read::<i64>().unwrap(),
            array![[4, 5, 6], [7, 8, 9]].into_dyn()
        );
        let reversed = Array::from(values.slice_move(s![..;-1, ..]));
        assert_eq!(reversed.read::<i64>().unwrap()[[0, 0]], 7);
    }

    #[test]
    fn the_wrong_type_is_an_error() {
        let error = Array::from(vec![1_u8]).read::<i8>().unwrap_err();
        assert_eq!(error.to_string(), "found uint8, asked for int8");
    }
}
