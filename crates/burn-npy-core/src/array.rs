//! One array: what its header says, and where its bytes are.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ndarray::{ArrayD, ArrayViewD, Dimension, IxDyn, ShapeBuilder};
use ndarray_npy::{ViewElement, ViewNpyExt};

use crate::header::{self, Header};
use crate::storage::Storage;
use crate::{Access, ByteOrder, DType, Element, Error, ErrorClass, Layout, Limits, Result};

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
/// Clones share the data.
#[derive(Clone, Debug)]
pub struct Array {
    dtype: DType,
    byte_order: ByteOrder,
    layout: Layout,
    shape: Vec<usize>,
    storage: Storage,
    /// Where the data begins in the storage.
    offset: u64,
    /// Where the header begins in the storage, if there is one.
    header_at: Option<u64>,
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
        Self::in_storage(storage, 0, len, None).map_err(|error| error.in_file(path))
    }

    /// The array whose `.npy` bytes are the `len` bytes at `start` of a storage. The caller adds
    /// the file to errors.
    pub(crate) fn in_storage(
        storage: Storage,
        start: u64,
        len: u64,
        named: Option<(&Path, &str)>,
    ) -> Result<Self> {
        let mut head = [0; header::MAX_HEADER_LEN + 12];
        let head = &mut head[..len.min((header::MAX_HEADER_LEN + 12) as u64) as usize];
        storage.read_at(start, head)?;
        let header = Header::parse(head)?;
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
        Ok(Self {
            dtype: header.dtype(),
            byte_order: header.byte_order(),
            layout: header.layout(),
            shape: header.shape().to_vec(),
            offset: start + header.data_offset() as u64,
            header_at: Some(start),
            storage,
            source: Arc::new(source),
        })
    }

    /// The type of the elements.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The order of the bytes of an element.
    pub fn byte_order(&self) -> ByteOrder {
        self.byte_order
    }

    /// How the axes lie in memory.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// The length of each axis.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The file that the array is in.
    pub fn file(&self) -> Option<&Path> {
        self.source.file.as_deref()
    }

    /// The archive member that the array is.
    pub fn member(&self) -> Option<&str> {
        self.source.member.as_deref()
    }

    /// Where the data begins, in bytes from the start of the file, of the archive if its member is
    /// stored, or of the decoded member.
    pub fn data_offset(&self) -> u64 {
        self.offset
    }

    /// The size of the data in bytes.
    pub fn nbytes(&self) -> usize {
        self.shape.iter().product::<usize>() * self.dtype.size()
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

    /// Copies the array into memory, in the layout of the file and the byte order of the machine.
    ///
    /// # Errors
    ///
    /// [`ErrorClass::Dtype`] if `T` is not the type of the elements, [`ErrorClass::Changed`] if
    /// the file is no longer what was opened, and what the file system says.
    pub fn read<T: Element>(&self) -> Result<ArrayD<T>> {
        self.expect_dtype::<T>()?;
        self.storage.check()?;
        let itemsize = self.dtype.size();
        let mut elements = Vec::with_capacity(self.nbytes() / itemsize);
        // A chunk at a time, so that the peak is the result and little else.
        let mut chunk = vec![0; self.nbytes().min(1 << 20)];
        let mut at = 0;
        while at < self.nbytes() {
            let len = chunk.len().min(self.nbytes() - at);
            let chunk = &mut chunk[..len];
            self.storage
                .read_at(self.offset + at as u64, chunk)
                .map_err(|error| self.locate(error))?;
            if self.byte_order != ByteOrder::NATIVE {
                swap_bytes(chunk, itemsize);
            }
            elements.extend(
                chunk
                    .chunks_exact(itemsize)
                    .map(|bytes| <T::Stored as crate::element::Scalar>::load(bytes).into()),
            );
            at += len;
        }
        let shape = IxDyn(&self.shape).set_f(self.layout == Layout::Fortran);
        ArrayD::from_shape_vec(shape, elements)
            .map_err(|error| self.locate(Error::new(ErrorClass::Shape, error.to_string())))
    }

    /// Borrows an array that is in memory, without a copy.
    ///
    /// # Errors
    ///
    /// [`ErrorClass::Usage`] if the array is in a file, which another process could change under the
    /// view: [`read`](Self::read) it, open it with [`Access::Memory`], or vouch for the file with
    /// [`view_file`](Self::view_file). [`ErrorClass::Dtype`] if `T` is not the type of the elements, or
    /// their bytes are in the other order.
    pub fn view<T: Element + ViewElement>(&self) -> Result<ArrayViewD<'_, T>> {
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
    pub unsafe fn view_file<T: Element + ViewElement>(&self) -> Result<ArrayViewD<'_, T>> {
        self.storage.check()?;
        match self.storage.bytes() {
            Some(bytes) => self.view_bytes(bytes),
            None => Err(self.locate(Error::new(
                ErrorClass::Usage,
                "the file is read by position, so there is nothing to borrow",
            ))),
        }
    }

    fn view_bytes<'a, T: Element + ViewElement>(
        &self,
        bytes: &'a [u8],
    ) -> Result<ArrayViewD<'a, T>> {
        self.expect_dtype::<T>()?;
        let refuse = |why: String| self.locate(Error::new(ErrorClass::Dtype, why));
        if self.byte_order != ByteOrder::NATIVE && self.dtype.size() > 1 {
            return Err(refuse(
                "the bytes are in the order of another machine; read the array instead".to_owned(),
            ));
        }
        let offset = self.offset as usize;
        let end = offset + self.nbytes();
        if let Some(header_at) = self.header_at {
            // The header has passed our own checks, and the slice ends with the data.
            return ArrayViewD::view_npy(&bytes[header_at as usize..end])
                .map_err(|error| refuse(format!("cannot be borrowed: {error}")));
        }
        let shape = IxDyn(&self.shape).set_f(self.layout == Layout::Fortran);
        bytemuck::checked::try_cast_slice(&bytes[offset..end])
            .ok()
            .and_then(|elements| ArrayViewD::from_shape(shape, elements).ok())
            .ok_or_else(|| refuse("cannot be borrowed: not aligned".to_owned()))
    }

    fn expect_dtype<T: Element>(&self) -> Result<()> {
        if self.dtype == T::DTYPE {
            return Ok(());
        }
        Err(self.locate(Error::new(
            ErrorClass::Dtype,
            format!("found {}, asked for {}", self.dtype, T::DTYPE),
        )))
    }
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
        let (elements, first) = array.into_raw_vec_and_offset();
        Self {
            dtype: T::DTYPE,
            byte_order: ByteOrder::NATIVE,
            layout,
            shape,
            storage: Storage::memory(Elements(elements)),
            offset: (first.unwrap_or(0) * size_of::<T>()) as u64,
            header_at: None,
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
