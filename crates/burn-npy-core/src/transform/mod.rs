//! Transforms: a new row for each row of a column.
//!
//! A [`Transform`] sees a row and writes another, of a dtype and a shape that it declares. A
//! dataset applies it while rows are gathered, on the threads of the loader.
//!
//! # Images
//!
//! A row `[height, width]` is an image. A row with three axes needs a word about its channels:
//! `channels_first()` if it is `[channels, height, width]`, as Burn's convolutions take it, or
//! `channels_last()` if it is `[height, width, channels]`, as programs for images write it. NumPy
//! files have either, and nobody would see that a wrong guess flips the colours of an image and not
//! its columns.
//!
//! [`RandomCrop`], [`CenterCrop`], [`Pad`], [`RandomFlip`] and [`Cutout`] move elements and take
//! any dtype, so they can come before a conversion from bytes to floats, when there is less to
//! move.
//!
//! # Random numbers
//!
//! A random transform takes its numbers from the generator of the position, in the order that its
//! documentation has. So the new rows do not depend on the number of workers, and other programs
//! can compute them.

mod crop;
mod cutout;
mod flip;
mod image;
mod noise;
mod one_hot;
mod pad;
#[cfg(feature = "resize")]
mod resize;
mod row_fn;
#[cfg(test)]
mod tests;
mod truncate;

use ndarray::{ArrayViewD, ArrayViewMutD};

use crate::order::PositionRng;
use crate::{DType, Element, Error, ErrorKind, Result};

pub(crate) use ours::Ours;

pub use crop::{CenterCrop, RandomCrop};
pub use cutout::Cutout;
pub use flip::RandomFlip;
pub use noise::Noise;
pub use one_hot::OneHot;
pub use pad::Pad;
#[cfg(feature = "resize")]
pub use resize::{Resize, ResizeFilter};
pub use row_fn::{RowClosure, RowFn, from_fn};
pub use truncate::Truncate;

/// Makes a new row of each row of a column.
///
/// [`from_fn`] makes a transform of a closure.
///
/// # Example
///
/// A transform that turns an image upside down, whatever its dtype:
///
/// ```
/// # extern crate burn_npy_core as burn_npy;
/// use burn_npy::Result;
/// use burn_npy::order::PositionRng;
/// use burn_npy::transform::{RowType, RowView, RowViewMut, Transform};
///
/// struct UpsideDown;
///
/// impl Transform for UpsideDown {
///     fn output(&self, row: &RowType) -> Result<RowType> {
///         Ok(row.clone())
///     }
///
///     fn apply(
///         &self,
///         row: RowView<'_>,
///         mut out: RowViewMut<'_>,
///         _: &mut PositionRng,
///     ) -> Result<()> {
///         let line = row.bytes().len() / row.shape()[0].max(1);
///         let lines = row.bytes().chunks_exact(line.max(1)).rev();
///         for (line, out) in lines.zip(out.bytes_mut().chunks_exact_mut(line.max(1))) {
///             out.copy_from_slice(line);
///         }
///         Ok(())
///     }
/// }
/// ```
pub trait Transform: Send + Sync + 'static {
    /// The dtype and shape of the new rows, for rows of the given dtype and shape. It is called
    /// once, when the transform is added to a column. For rows of any length it is called once for
    /// each length, and the first axis of what it returns is the length of the new row, see
    /// [`RaggedColumn::map`](crate::file::RaggedColumn::map).
    ///
    /// # Errors
    ///
    /// An error says which rows the transform takes.
    fn output(&self, row: &RowType) -> Result<RowType>;

    /// Writes the new row into `out`, all of it: what was there before is unspecified. In a row of
    /// `bool`, any byte but 0 is true. The generator is that of the draw: it depends on the seed,
    /// the epoch and the position of the row in the order.
    ///
    /// # Errors
    ///
    /// An error, like a panic, is that of the row. The loader names the row, and skips it if
    /// [`on_error`] allows that.
    ///
    /// [`on_error`]: https://docs.rs/burn-npy/latest/burn_npy/struct.DataLoaderBuilder.html#method.on_error
    fn apply(&self, row: RowView<'_>, out: RowViewMut<'_>, rng: &mut PositionRng) -> Result<()>;

    /// Whether the transform only copies bytes, so that it may see a row in a mapped file that
    /// somebody changes at the same time. No other crate can say so, since it cannot name the
    /// argument.
    #[doc(hidden)]
    fn only_copies(&self, _: ours::Ours) -> bool {
        false
    }
}

mod ours {
    /// What only this crate can name.
    #[derive(Debug)]
    pub struct Ours;
}

/// The dtype and shape of the rows of a column.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "a row has nothing else")]
pub struct RowType {
    /// The dtype of the elements.
    pub dtype: DType,
    /// The length of each axis.
    pub shape: Vec<usize>,
}

impl RowType {
    /// A dtype and a shape.
    pub fn new(dtype: DType, shape: impl Into<Vec<usize>>) -> Self {
        Self {
            dtype,
            shape: shape.into(),
        }
    }

    /// The number of elements.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }
}

/// A row that a [`Transform`] sees: its elements in C order, in the byte order of the machine.
#[derive(Clone, Copy, Debug)]
pub struct RowView<'a> {
    dtype: DType,
    shape: &'a [usize],
    bytes: &'a [u8],
}

impl<'a> RowView<'a> {
    /// The caller gives as many bytes as the elements have, aligned for them.
    pub(crate) fn new(dtype: DType, shape: &'a [usize], bytes: &'a [u8]) -> Self {
        debug_assert_eq!(bytes.len(), shape.iter().product::<usize>() * dtype.size());
        Self {
            dtype,
            shape,
            bytes,
        }
    }

    /// A row in memory, with its elements in C order, to try a transform out.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Shape`] if the shape has another number of elements.
    pub fn from_elements<T: Element>(shape: &'a [usize], elements: &'a [T]) -> Result<Self> {
        expect_len(shape, elements.len())?;
        Ok(Self::new(T::DTYPE, shape, bytemuck::cast_slice(elements)))
    }

    /// The dtype of the elements.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The length of each axis.
    pub fn shape(&self) -> &'a [usize] {
        self.shape
    }

    /// The elements as bytes.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The elements, in C order.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Dtype`] if `T` is not the type of the dtype.
    pub fn elements<T: Element>(&self) -> Result<&'a [T]> {
        expect_dtype::<T>(self.dtype)?;
        bytemuck::checked::try_cast_slice(self.bytes).map_err(|error| not_elements::<T>(&error))
    }

    /// The row as an array.
    ///
    /// # Errors
    ///
    /// Those of [`elements`](Self::elements).
    pub fn array<T: Element>(&self) -> Result<ArrayViewD<'a, T>> {
        ArrayViewD::from_shape(self.shape, self.elements()?)
            .map_err(|error| Error::new(ErrorKind::Shape, error.to_string()))
    }
}

/// A row that a [`Transform`] writes: its elements in C order, in the byte order of the machine.
#[derive(Debug)]
pub struct RowViewMut<'a> {
    dtype: DType,
    shape: &'a [usize],
    bytes: &'a mut [u8],
}

impl<'a> RowViewMut<'a> {
    /// The caller gives as many bytes as the elements have, aligned for them.
    pub(crate) fn new(dtype: DType, shape: &'a [usize], bytes: &'a mut [u8]) -> Self {
        debug_assert_eq!(bytes.len(), shape.iter().product::<usize>() * dtype.size());
        Self {
            dtype,
            shape,
            bytes,
        }
    }

    /// A row in memory, with its elements in C order, to try a transform out. Rows of `bool`
    /// cannot be made of a slice, since a transform may write any byte.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Shape`] if the shape has another number of elements.
    pub fn from_elements<T>(shape: &'a [usize], elements: &'a mut [T]) -> Result<Self>
    where
        T: Element + bytemuck::AnyBitPattern,
    {
        expect_len(shape, elements.len())?;
        let bytes = bytemuck::cast_slice_mut(elements);
        Ok(Self::new(T::DTYPE, shape, bytes))
    }

    /// The dtype of the elements.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The length of each axis.
    pub fn shape(&self) -> &'a [usize] {
        self.shape
    }

    /// The elements as bytes.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        self.bytes
    }

    /// The elements, in C order.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Dtype`] if `T` is not the type of the dtype. An element that is no value of `T`
    /// is one too: fill a row of `bool` with [`bytes_mut`](Self::bytes_mut) first.
    pub fn elements_mut<T: Element>(&mut self) -> Result<&mut [T]> {
        expect_dtype::<T>(self.dtype)?;
        bytemuck::checked::try_cast_slice_mut(self.bytes).map_err(|error| not_elements::<T>(&error))
    }

    /// The row as an array.
    ///
    /// # Errors
    ///
    /// Those of [`elements_mut`](Self::elements_mut).
    pub fn array_mut<T: Element>(&mut self) -> Result<ArrayViewMutD<'_, T>> {
        ArrayViewMutD::from_shape(self.shape, self.elements_mut()?)
            .map_err(|error| Error::new(ErrorKind::Shape, error.to_string()))
    }
}

fn expect_len(shape: &[usize], len: usize) -> Result<()> {
    if shape
        .iter()
        .try_fold(1, |product: usize, len| product.checked_mul(*len))
        == Some(len)
    {
        return Ok(());
    }
    let message = format!("{len} elements are no row of shape {shape:?}");
    Err(Error::new(ErrorKind::Shape, message))
}

fn expect_dtype<T: Element>(dtype: DType) -> Result<()> {
    if dtype == T::DTYPE {
        return Ok(());
    }
    let message = format!("the row is {dtype}, asked for {}", T::DTYPE);
    Err(Error::new(ErrorKind::Dtype, message))
}

fn not_elements<T: Element>(error: &bytemuck::checked::CheckedCastError) -> Error {
    Error::new(
        ErrorKind::Dtype,
        format!("the bytes are no {}: {error}", T::DTYPE),
    )
}
