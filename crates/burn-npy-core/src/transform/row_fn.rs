//! A transform made of a closure.

use std::error::Error as StdError;
use std::marker::PhantomData;
use std::sync::Arc;

use ndarray::{ArrayViewD, ArrayViewMutD};

use super::{RowType, RowView, RowViewMut, Transform};
use crate::order::PositionRng;
use crate::{Element, Error, ErrorKind, Result};

/// The transform that [`from_fn`] makes of a closure.
pub struct RowFn<A, B, F> {
    apply: F,
    shape: Option<Vec<usize>>,
    length: Option<Arc<dyn Fn(usize) -> usize + Send + Sync>>,
    types: PhantomData<fn(A) -> B>,
}

/// Makes a [`Transform`] of a closure, which reads elements of the type `A` and writes elements of
/// the type `B`.
///
/// The closure gets the row as an array, a new row of zeros to write to, and the generator of the
/// draw. What it returns as an error is the error of the row. The new rows have the shape of the
/// old ones, unless [`RowFn::shape`] or [`RowFn::length`] sets another.
///
/// # Examples
///
/// ```
/// # extern crate burn_npy_core as burn_npy;
/// use burn_npy::ndarray::Axis;
/// use burn_npy::transform::from_fn;
///
/// // The mean of each channel of an image `[3, height, width]`.
/// let means = from_fn::<f32, f32>(|image, mut out, _| {
///     for (channel, out) in image.axis_iter(Axis(0)).zip(&mut out) {
///         *out = channel.mean().ok_or("an image without pixels")?;
///     }
///     Ok(())
/// })
/// .shape(&[3]);
/// # let _: &dyn burn_npy::transform::Transform = &means;
/// ```
///
/// A token before each text, and one behind it. The texts may have any length:
///
/// ```
/// # extern crate burn_npy_core as burn_npy;
/// use burn_npy::file::RaggedColumn;
/// use burn_npy::ndarray::s;
/// use burn_npy::transform::from_fn;
///
/// # fn main() -> burn_npy::Result<()> {
/// let with_ends = from_fn::<u16, u16>(|tokens, mut out, _| {
///     let end = tokens.len() + 1;
///     out[[0]] = 1;
///     out.slice_mut(s![1..end]).assign(&tokens);
///     out[[end]] = 2;
///     Ok(())
/// })
/// .length(|tokens| tokens + 2);
/// let texts = RaggedColumn::from_lengths(vec![7_u16, 8, 9].into(), &vec![2, 0, 1].into())?;
/// let texts = texts.map(with_ends)?;
/// assert_eq!(texts.row::<u16>(0)?.as_slice(), Some(&[1, 7, 8, 2][..]));
/// assert_eq!(texts.lengths().collect::<Vec<_>>(), [4, 2, 3]);
/// # Ok(())
/// # }
/// ```
pub fn from_fn<A: Element, B: Element>(
    apply: impl Fn(
        ArrayViewD<'_, A>,
        ArrayViewMutD<'_, B>,
        &mut PositionRng,
    ) -> std::result::Result<(), Box<dyn StdError + Send + Sync>>
    + Send
    + Sync
    + 'static,
) -> RowFn<A, B, impl RowClosure<A, B>> {
    RowFn {
        apply,
        shape: None,
        length: None,
        types: PhantomData,
    }
}

impl<A, B, F> RowFn<A, B, F> {
    /// Sets the shape of the new rows. Those made of rows of any length all have it too, but they
    /// stay rows of any length: the first axis is their number of items.
    pub fn shape(mut self, shape: &[usize]) -> Self {
        self.shape = Some(shape.to_vec());
        self
    }

    /// Sets the length of the first axis of the new rows, as a function of the length that it has.
    /// It must give the same number each time. It is called when the transform is added to a
    /// column, for rows of any length once for each length.
    pub fn length(mut self, of: impl Fn(usize) -> usize + Send + Sync + 'static) -> Self {
        self.length = Some(Arc::new(of));
        self
    }
}

/// A closure that [`from_fn`] takes.
pub trait RowClosure<A, B>: sealed::Sealed<A, B> {}

impl<A, B, F: sealed::Sealed<A, B>> RowClosure<A, B> for F {}

mod sealed {
    use super::{ArrayViewD, ArrayViewMutD, PositionRng, StdError};

    pub trait Sealed<A, B>: Send + Sync + 'static {
        fn call(
            &self,
            row: ArrayViewD<'_, A>,
            out: ArrayViewMutD<'_, B>,
            rng: &mut PositionRng,
        ) -> Result<(), Box<dyn StdError + Send + Sync>>;
    }

    impl<A, B, F> Sealed<A, B> for F
    where
        F: Fn(
                ArrayViewD<'_, A>,
                ArrayViewMutD<'_, B>,
                &mut PositionRng,
            ) -> Result<(), Box<dyn StdError + Send + Sync>>
            + Send
            + Sync
            + 'static,
    {
        fn call(
            &self,
            row: ArrayViewD<'_, A>,
            out: ArrayViewMutD<'_, B>,
            rng: &mut PositionRng,
        ) -> Result<(), Box<dyn StdError + Send + Sync>> {
            self(row, out, rng)
        }
    }
}

impl<A: Element, B: Element, F: RowClosure<A, B>> Transform for RowFn<A, B, F> {
    fn output(&self, row: &RowType) -> Result<RowType> {
        if row.dtype != A::DTYPE {
            let message = format!(
                "the closure takes {}, but the rows are {}; convert the column first",
                A::DTYPE,
                row.dtype
            );
            return Err(Error::new(ErrorKind::Dtype, message));
        }
        let mut shape = self.shape.as_ref().unwrap_or(&row.shape).clone();
        if let Some(length) = &self.length {
            let (Some(new), Some(old)) = (shape.first_mut(), row.shape.first()) else {
                let message = "the closure sets the length of the first axis, but rows of one \
                               number have none; leave out length(..)";
                return Err(Error::new(ErrorKind::Shape, message));
            };
            *new = length(*old);
        }
        Ok(RowType::new(B::DTYPE, shape))
    }

    fn apply(
        &self,
        row: RowView<'_>,
        mut out: RowViewMut<'_>,
        rng: &mut PositionRng,
    ) -> Result<()> {
        out.bytes_mut().fill(0);
        self.apply
            .call(row.array()?, out.array_mut()?, rng)
            .map_err(|error| Error::user(error.to_string(), error))
    }
}

impl<A, B, F> std::fmt::Debug for RowFn<A, B, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RowFn")
            .field("shape", &self.shape)
            .finish_non_exhaustive()
    }
}
