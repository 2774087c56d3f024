//! A transform made of a closure.

use std::error::Error as StdError;
use std::marker::PhantomData;

use ndarray::{ArrayViewD, ArrayViewMutD};

use super::{RowType, RowView, RowViewMut, Transform};
use crate::order::PositionRng;
use crate::{Element, Error, ErrorKind, Result};

/// A [`Transform`] made of a closure, which reads elements of the type `A` and writes elements of
/// the type `B`.
///
/// The closure gets the row as an array, a new row of zeros to write to, and the generator of the
/// draw. What it returns as an error is the error of the row.
///
/// # Example
///
/// ```
/// # extern crate burn_npy_core as burn_npy;
/// use burn_npy::ndarray::{ArrayViewD, ArrayViewMutD, Axis};
/// use burn_npy::transform::RowFn;
///
/// // The mean of each channel of an image `[channels, height, width]`.
/// let means = RowFn::new(|image: ArrayViewD<'_, f32>, mut out: ArrayViewMutD<'_, f32>, _| {
///     for (channel, out) in image.axis_iter(Axis(0)).zip(&mut out) {
///         *out = channel.mean().ok_or("an image without pixels")?;
///     }
///     Ok(())
/// })
/// .shape(&[3]);
/// ```
pub struct RowFn<A, B, F> {
    apply: F,
    shape: Option<Vec<usize>>,
    types: PhantomData<fn(A) -> B>,
}

impl<A, B, F> RowFn<A, B, F>
where
    A: Element,
    B: Element,
    F: Fn(
            ArrayViewD<'_, A>,
            ArrayViewMutD<'_, B>,
            &mut PositionRng,
        ) -> std::result::Result<(), Box<dyn StdError + Send + Sync>>
        + Send
        + Sync
        + 'static,
{
    /// A transform whose new rows have the shape of the old ones.
    pub fn new(apply: F) -> Self {
        Self {
            apply,
            shape: None,
            types: PhantomData,
        }
    }

    /// Sets the shape of the new rows.
    pub fn shape(mut self, shape: &[usize]) -> Self {
        self.shape = Some(shape.to_vec());
        self
    }
}

impl<A, B, F> Transform for RowFn<A, B, F>
where
    A: Element,
    B: Element,
    F: Fn(
            ArrayViewD<'_, A>,
            ArrayViewMutD<'_, B>,
            &mut PositionRng,
        ) -> std::result::Result<(), Box<dyn StdError + Send + Sync>>
        + Send
        + Sync
        + 'static,
{
    fn output(&self, row: &RowType) -> Result<RowType> {
        if row.dtype != A::DTYPE {
            let message = format!(
                "the closure takes {}, but the rows are {}; convert the column first",
                A::DTYPE,
                row.dtype
            );
            return Err(Error::new(ErrorKind::Dtype, message));
        }
        let shape = self.shape.as_ref().unwrap_or(&row.shape);
        Ok(RowType::new(B::DTYPE, shape.clone()))
    }

    fn apply(
        &self,
        row: RowView<'_>,
        mut out: RowViewMut<'_>,
        rng: &mut PositionRng,
    ) -> Result<()> {
        out.bytes_mut().fill(0);
        (self.apply)(row.array()?, out.array_mut()?, rng)
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
