//! Labels as probabilities.

use super::image::{row_type, usage_error};
use super::{RowType, RowView, RowViewMut, Transform};
use crate::order::PositionRng;
use crate::{DType, Error, ErrorKind, Result};

/// A label as the probabilities of all classes: 1 for its class and 0 for the others.
///
/// The rows are labels of any integer dtype, from 0 to one less than the number of classes. The new
/// rows are `float32` with one axis more, of the length of the number of classes: `[]` becomes
/// `[classes]`, and `[height, width]` becomes `[height, width, classes]`.
///
/// # Errors
///
/// When it is added to a column: [`ErrorKind::Dtype`] if the rows are no integers, and
/// [`ErrorKind::Usage`] if there are no classes or the smoothing is not from 0 to 1. A row with a
/// label that is no class is [`ErrorKind::Value`], with the label.
///
/// # Example
///
/// ```
/// # extern crate burn_npy_core as burn_npy;
/// use burn_npy::order::PositionRng;
/// use burn_npy::transform::{OneHot, RowView, RowViewMut, Transform};
///
/// # fn main() -> burn_npy::Result<()> {
/// let label = [2_i64];
/// let mut probabilities = [0.0_f32; 4];
/// OneHot::new(4).smoothing(0.1).apply(
///     RowView::from_elements(&[], &label)?,
///     RowViewMut::from_elements(&[4], &mut probabilities)?,
///     &mut PositionRng::new(0, 0, 0),
/// )?;
/// assert_eq!(probabilities, [0.025, 0.025, 0.925, 0.025]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct OneHot {
    classes: usize,
    smoothing: f64,
}

impl OneHot {
    /// Labels of this many classes.
    pub fn new(classes: usize) -> Self {
        Self {
            classes,
            smoothing: 0.0,
        }
    }

    /// Smooths the labels, as `label_smoothing` of PyTorch's `CrossEntropyLoss` does: a part `eps`
    /// of the probability is spread over all classes, so the class of the label has
    /// `1 - eps + eps / classes` and each other `eps / classes`. Both are computed in `f64` and
    /// rounded once.
    pub fn smoothing(mut self, eps: f64) -> Self {
        self.smoothing = eps;
        self
    }
}

impl Transform for OneHot {
    fn output(&self, row: &RowType) -> Result<RowType> {
        if !row.dtype.is_int() {
            let message = format!(
                "labels are integers and the rows are {}; convert the column to int64 first",
                row.dtype
            );
            return Err(Error::new(ErrorKind::Dtype, message));
        }
        if self.classes == 0 {
            return Err(usage_error("there are no classes".to_owned()));
        }
        if !(0.0..=1.0).contains(&self.smoothing) {
            let message = format!("a smoothing of {} is not from 0 to 1", self.smoothing);
            return Err(usage_error(message));
        }
        let mut shape = row.shape.clone();
        shape.push(self.classes);
        row_type(DType::F32, shape)
    }

    fn apply(&self, row: RowView<'_>, mut out: RowViewMut<'_>, _: &mut PositionRng) -> Result<()> {
        let others = self.smoothing / self.classes as f64;
        let probability = (1.0 - self.smoothing + others) as f32;
        let labels = row.bytes().chunks_exact(row.dtype().size());
        let out = out.elements_mut::<f32>()?;
        out.fill(others as f32);
        for (label, out) in labels.zip(out.chunks_exact_mut(self.classes)) {
            let label = integer(row.dtype(), label);
            let class = usize::try_from(label)
                .ok()
                .and_then(|class| out.get_mut(class));
            let Some(class) = class else {
                let (classes, last) = (self.classes, self.classes - 1);
                let message =
                    format!("the label {label} is none of {classes} classes, 0 to {last}");
                return Err(Error::new(ErrorKind::Value, message));
            };
            *class = probability;
        }
        Ok(())
    }
}

/// The value of an element of an integer dtype.
fn integer(dtype: DType, bytes: &[u8]) -> i128 {
    macro_rules! value {
        ($($dtype:ident $int:ty),*) => {
            match dtype {
                $(DType::$dtype => bytemuck::pod_read_unaligned::<$int>(bytes).into(),)*
                // Those of `ml_dtypes`. `output` has refused floats.
                _ => dtype.small().map_or(0, |format| format.value(bytes[0]) as i128),
            }
        };
    }
    value!(I8 i8, I16 i16, I32 i32, I64 i64, U8 u8, U16 u16, U32 u32, U64 u64)
}
