//! Copies or borrows the items of an array.

use ndarray::{ArrayD, ArrayViewD, IxDyn, ShapeBuilder};

use super::{Array, strides};
use crate::buffer::with_capacity;
use crate::format::item::Numbers;
use crate::{ByteOrder, Column, Element, Error, ErrorKind, Layout, Result};

impl Array {
    /// The layout in which the items are contiguous; `None` if they are not.
    pub(crate) fn dense_layout(&self) -> Option<Layout> {
        let dense = |layout| {
            let expected = strides(&self.shape, layout, self.item.size());
            let axes = self.shape.iter().zip(self.strides.iter().zip(expected));
            // The stride of an axis of length one has no meaning.
            axes.into_iter()
                .all(|(len, (found, expected))| *len == 1 || *found == expected)
        };
        let whole = self.first == 0 && self.nbytes() == self.stored_bytes;
        [self.layout, Layout::C, Layout::Fortran]
            .into_iter()
            .find(|layout| whole && dense(*layout))
    }

    /// Copies the array into memory, in the byte order of the machine. A plain array keeps its
    /// layout.
    ///
    /// This takes the memory of the copy. It takes twice as much for a field of a structure, and
    /// for a Fortran array whose items have more than one number.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Dtype`] if `T` is not the type of the numbers, [`ErrorKind::Changed`] if the
    /// file has changed since it was opened, [`ErrorKind::Limit`] if there is not enough memory,
    /// and [`ErrorKind::Io`] from the file system.
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
        let locate = |error| self.locate(error);
        self.storage.check().map_err(locate)?;
        let size = numbers.dtype.size();
        let mut elements = with_capacity(self.stored_bytes / size).map_err(locate)?;
        // In chunks, so that the peak memory is little more than the result.
        let mut chunk = vec![0; self.stored_bytes.min(1 << 20)];
        let mut at = 0;
        while at < self.stored_bytes {
            let len = chunk.len().min(self.stored_bytes - at);
            let chunk = &mut chunk[..len];
            self.storage
                .read_at(self.offset + at as u64, chunk)
                .map_err(locate)?;
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
        // The file may have changed during the copy.
        self.storage.check().map_err(locate)?;
        let shape: Vec<_> = self.shape.iter().copied().chain(numbers.axis).collect();
        let shape = IxDyn(&shape).set_f(layout == Layout::Fortran);
        ArrayD::from_shape_vec(shape, elements)
            .map_err(|error| self.locate(Error::new(ErrorKind::Shape, error.to_string())))
    }

    /// Copies bytes of the data as they are stored, whatever the items are. For a field these are
    /// the bytes of the whole structures. `start` counts from the [start of the
    /// data](Self::data_offset).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TruncatedData`] beyond the end of the data, [`ErrorKind::Changed`] if the file
    /// has changed since it was opened, and [`ErrorKind::Io`] from the file system.
    pub fn read_bytes(&self, start: usize, out: &mut [u8]) -> Result<()> {
        let mut read = || {
            let end = start.checked_add(out.len());
            if end.is_none_or(|end| end > self.stored_bytes) {
                let kind = ErrorKind::TruncatedData;
                return Err(Error::new(kind, "a read beyond the end of the data"));
            }
            self.storage.check()?;
            self.storage.read_at(self.offset + start as u64, out)?;
            self.storage.check()
        };
        read().map_err(|error| self.locate(error))
    }

    /// Borrows an array that is in memory, without a copy.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`] if the array is in a file, which another process could change under the
    /// view: [`read`](Self::read) it, open it with [`Access::Memory`](crate::Access::Memory), or
    /// promise with [`view_file`](Self::view_file) that it does not change. [`ErrorKind::Dtype`] if
    /// `T` is not the type of the items, or if the bytes are in the other byte order, not aligned,
    /// or not values of `T`.
    pub fn view<T: Element>(&self) -> Result<ArrayViewD<'_, T>> {
        match self.storage.owned_bytes() {
            Some(bytes) => self.view_bytes(bytes),
            None => Err(self.locate(Error::new(
                ErrorKind::Usage,
                "only an array in memory can be borrowed; read it, or open it with Access::Memory",
            ))),
        }
    }

    /// Borrows an array of a mapped file, without a copy.
    ///
    /// # Errors
    ///
    /// Those of [`view`](Self::view), and [`ErrorKind::Usage`] if the file is not mapped.
    ///
    /// # Safety
    ///
    /// The file must not be changed or truncated by anyone while the view is in use.
    #[allow(unsafe_code)]
    pub unsafe fn view_file<T: Element>(&self) -> Result<ArrayViewD<'_, T>> {
        self.storage.check()?;
        match self.storage.bytes() {
            Some(bytes) => self.view_bytes(bytes),
            None => Err(self.locate(Error::new(
                ErrorKind::Usage,
                "the file is read by position, so there is nothing to borrow",
            ))),
        }
    }

    fn view_bytes<'a, T: Element>(&self, bytes: &'a [u8]) -> Result<ArrayViewD<'a, T>> {
        let numbers = self.expect_dtype::<T>()?;
        let refuse = |why| {
            Err(self.locate(Error::new(
                ErrorKind::Dtype,
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
            ErrorKind::Dtype,
            format!("found {}, asked for {}", numbers.dtype, T::DTYPE),
        )))
    }
}

/// Reverses the bytes of each element.
pub(crate) fn swap_bytes(bytes: &mut [u8], itemsize: usize) {
    match itemsize {
        1 => {}
        // With a constant size, the reversal is one instruction.
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

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;
    use crate::{Access, OpenOptions, write_npy};

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
                let options = OpenOptions::new().access(access);
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
        // SAFETY: the file is in a temporary folder of this test, so nobody else changes it.
        let view = unsafe { array.view_file::<f64>() }.unwrap();
        assert_eq!(view, array![1.5, 2.5].into_dyn());
        let error = array.view::<f64>().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert_eq!(error.file(), Some(path.as_path()));
    }

    #[test]
    fn the_wrong_type_is_an_error() {
        let error = Array::from(vec![1_u8]).read::<i8>().unwrap_err();
        assert_eq!(error.to_string(), "found uint8, asked for int8");
    }
}
