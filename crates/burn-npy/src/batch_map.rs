//! Functions of a whole batch in host memory, on the workers.

use std::sync::Arc;

use burn_npy_core::internal::user_error;
use burn_npy_core::ndarray::{ArrayViewMutD, Axis, s};
use burn_npy_core::{Error, ErrorKind, Result, file::Element, internal};
use rand_distr::{Beta, Distribution};

use crate::dataset::listed_names;
use crate::layout::BatchColumn;
use crate::loader::{BatchInfo, guarded};

/// Changes a batch before it becomes tensors, on the workers of the loader.
///
/// A closure `|batch, info| { ...; Ok(()) }` is one, and so are [`MixUp`] and [`CutMix`].
pub trait BatchTransform: Send + Sync + 'static {
    /// Changes the rows. Their number, shapes and dtypes stay.
    ///
    /// # Errors
    ///
    /// An error, like a panic, is that of the batch.
    fn apply(
        &self,
        batch: &mut BatchRows<'_>,
        info: &BatchInfo,
    ) -> std::result::Result<(), Box<dyn std::error::Error + Send + Sync>>;
}

impl<F> BatchTransform for F
where
    F: Fn(
            &mut BatchRows<'_>,
            &BatchInfo,
        ) -> std::result::Result<(), Box<dyn std::error::Error + Send + Sync>>
        + Send
        + Sync
        + 'static,
{
    fn apply(
        &self,
        batch: &mut BatchRows<'_>,
        info: &BatchInfo,
    ) -> std::result::Result<(), Box<dyn std::error::Error + Send + Sync>> {
        self(batch, info)
    }
}

/// A shared transform of batches.
#[derive(Clone)]
pub(crate) struct BatchMap(pub(crate) Arc<dyn BatchTransform>);

impl std::fmt::Debug for BatchMap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BatchMap")
    }
}

/// The rows of a batch in host memory: the columns as they will be tensors. Columns whose rows have
/// [any length](crate::NpyDataset::from_offsets) are not among them.
#[derive(Debug)]
pub struct BatchRows<'a> {
    rows: usize,
    columns: Vec<(&'a BatchColumn, &'a mut [u8])>,
}

impl<'a> BatchRows<'a> {
    pub(crate) fn new(rows: usize, columns: Vec<(&'a BatchColumn, &'a mut [u8])>) -> Self {
        Self { rows, columns }
    }

    /// Runs a transform of the user.
    pub(crate) fn change(&mut self, map: &BatchMap, info: &BatchInfo) -> Result<()> {
        // A panic is not that of a row, as one of a transform of rows would be.
        let changed = guarded("batch transform", || map.0.apply(self, info))
            .map_err(|failure| Error::new(ErrorKind::Panic, failure.message))?;
        changed.map_err(|error| match internal::as_ours(&*error) {
            Some(ours) => ours.clone(),
            None => user_error(error.to_string(), error),
        })
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The rows of a column, `[len, ...row_shape]`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Name`] if there is no such column here; [`ErrorKind::Dtype`] if `T` is not the
    /// type of its dtype in the batch.
    pub fn column_mut<T: Element>(&mut self, name: &str) -> Result<ArrayViewMutD<'_, T>> {
        let found = self
            .columns
            .iter()
            .position(|(column, _)| column.name == name);
        let Some(index) = found else {
            let names = self.columns.iter().map(|(column, _)| column.name.clone());
            let known = match &*names.collect::<Vec<_>>() {
                [] => "none".to_owned(),
                names => listed_names(names),
            };
            let message = format!(
                "the batch has no such column with rows of one shape; those it has are {known}"
            );
            return Err(Error::new(ErrorKind::Name, message).in_column(name));
        };
        let (column, bytes) = &mut self.columns[index];
        let dtype = column.column.dtype();
        if dtype != T::DTYPE {
            let message = format!("the column is {dtype} in the batch, asked for {}", T::DTYPE);
            return Err(Error::new(ErrorKind::Dtype, message).in_column(name));
        }
        let mut shape = vec![self.rows];
        shape.extend(column.column.row_shape());
        let wrong = |error: String| Error::new(ErrorKind::Shape, error).in_column(name);
        let elements = bytemuck::checked::try_cast_slice_mut(bytes)
            .map_err(|error| wrong(error.to_string()))?;
        ArrayViewMutD::from_shape(shape, elements).map_err(|error| wrong(error.to_string()))
    }
}

/// Mixes each row of a batch with the row before it, and the first with the last (Zhang et al.,
/// 2018, <https://arxiv.org/abs/1710.09412>).
///
/// All rows of a batch have the same share, which is drawn from a beta distribution with both
/// parameters `alpha`. The columns are `float32`: for labels, [one-hot](crate::transform::OneHot)
/// ones.
#[derive(Clone, Debug)]
pub struct MixUp {
    beta: Beta<f32>,
    columns: Vec<String>,
}

impl MixUp {
    /// Mixes these columns.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`] if `alpha` is not a number above zero, or beyond half of the range of
    /// `f32`.
    pub fn new(alpha: f32, columns: impl IntoIterator<Item = impl Into<String>>) -> Result<Self> {
        Ok(Self {
            beta: beta(alpha)?,
            columns: columns.into_iter().map(Into::into).collect(),
        })
    }
}

fn beta(alpha: f32) -> Result<Beta<f32>> {
    let beta = Beta::new(alpha, alpha).ok();
    // Their sum is a number of the distribution, whose samples are NaN if it is infinite.
    let beta = beta.filter(|_| (alpha + alpha).is_finite());
    beta.ok_or_else(|| {
        let message = format!(
            "a beta distribution of parameter {alpha}; it must be above 0 and at most {:e}",
            f32::MAX / 2.0
        );
        Error::new(ErrorKind::Usage, message)
    })
}

/// Each row becomes `share` of itself and the rest of the row before it.
fn mix(mut rows: ArrayViewMutD<'_, f32>, share: f32) {
    let count = rows.len_of(Axis(0));
    if count < 2 {
        return;
    }
    let last = rows.index_axis(Axis(0), count - 1).to_owned();
    for row in (1..count).rev() {
        let (before, mut after) = rows.view_mut().split_at(Axis(0), row);
        let before = before.index_axis(Axis(0), row - 1);
        let mut row = after.index_axis_mut(Axis(0), 0);
        row.zip_mut_with(&before, |x, other| *x = share * *x + (1.0 - share) * other);
    }
    let mut first = rows.index_axis_mut(Axis(0), 0);
    first.zip_mut_with(&last, |x, other| *x = share * *x + (1.0 - share) * other);
}

impl BatchTransform for MixUp {
    fn apply(
        &self,
        batch: &mut BatchRows<'_>,
        info: &BatchInfo,
    ) -> std::result::Result<(), Box<dyn std::error::Error + Send + Sync>> {
        if batch.is_empty() {
            return Ok(());
        }
        let share = self.beta.sample(&mut info.rng(0));
        for name in &self.columns {
            mix(batch.column_mut(name)?, share);
        }
        Ok(())
    }
}

/// Pastes a box of each image of a batch into the next one, and that of the last into the first
/// (Yun et al., 2019, <https://arxiv.org/abs/1905.04899>).
///
/// The images are `float32` of the shape `[.., height, width]`. The labels are `float32` too, such
/// as [one-hot](crate::transform::OneHot) ones, and are mixed by the share of pixels. All rows of a
/// batch have the same box.
#[derive(Clone, Debug)]
pub struct CutMix {
    beta: Beta<f32>,
    images: String,
    labels: String,
}

impl CutMix {
    /// Cuts the images of a column, and mixes the labels of another.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`] if `alpha` is not a number above zero, or beyond half of the range of
    /// `f32`.
    pub fn new(alpha: f32, images: impl Into<String>, labels: impl Into<String>) -> Result<Self> {
        Ok(Self {
            beta: beta(alpha)?,
            images: images.into(),
            labels: labels.into(),
        })
    }
}

impl BatchTransform for CutMix {
    fn apply(
        &self,
        batch: &mut BatchRows<'_>,
        info: &BatchInfo,
    ) -> std::result::Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let count = batch.len();
        if count == 0 {
            return Ok(());
        }
        let mut images = batch.column_mut::<f32>(&self.images)?;
        let &[_, .., height, width] = images.shape() else {
            let message = "rows of images to cut have at least a height and a width";
            return Err(Error::new(ErrorKind::Shape, message)
                .in_column(&self.images)
                .into());
        };
        let mut rng = info.rng(0);
        let share = self.beta.sample(&mut rng);
        let uniform = rand_distr::StandardUniform;
        let mut edges = |len: usize| {
            let cut = len as f32 * (1.0 - share).sqrt();
            let middle: f32 = Distribution::<f32>::sample(&uniform, &mut rng) * len as f32;
            let [start, end] = [middle - cut / 2.0, middle + cut / 2.0];
            let inside = |x: f32| x.round().clamp(0.0, len as f32) as usize;
            inside(start)..inside(end)
        };
        let (ys, xs) = (edges(height), edges(width));
        let planes = images.len() / (height * width).max(1) / count;
        let mut planes_of = images
            .view_mut()
            .into_shape_with_order((count, planes, height, width))
            .map_err(|error| Error::new(ErrorKind::Shape, error.to_string()))?;
        let mut boxes = planes_of.slice_mut(s![.., .., ys.clone(), xs.clone()]);
        let last = boxes.index_axis(Axis(0), count - 1).to_owned();
        for row in (1..count).rev() {
            let (before, mut after) = boxes.view_mut().split_at(Axis(0), row);
            let before = before.index_axis(Axis(0), row - 1);
            after.index_axis_mut(Axis(0), 0).assign(&before);
        }
        boxes.index_axis_mut(Axis(0), 0).assign(&last);
        let pasted = (ys.len() * xs.len()) as f32 / (height * width).max(1) as f32;
        mix(batch.column_mut(&self.labels)?, 1.0 - pasted);
        Ok(())
    }
}
