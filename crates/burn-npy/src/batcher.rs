//! The batcher: gathers rows of the files straight into the memory of a batch.

use std::any::Any;
use std::marker::PhantomData;
use std::sync::Arc;

use burn::data::dataloader::batcher::Batcher;
use burn::tensor::Device;
use burn::tensor::kind::Kind;
use burn_npy_core::{Column, Convert, DType, Error, ErrorKind, Result, internal};

use crate::dataset::listed_names;
use crate::dtype::{check_float, check_kind, device_dtype, tensor_dtype};
use crate::layout::{Advice, BatchColumn, BatchLayout, HostBatch};
use crate::layouts::Layouts;
use crate::memory;
use crate::mixed;
use crate::pool::Pool;
use crate::row::{Columns, Row};
use crate::tensors::{Assembled, Batch, TensorSpec};
use crate::upload::{DeviceLut, Upload};

/// Gathers rows into a [`Batch`]: each named column becomes one tensor.
///
/// Elements keep the dtype of their column unless the dataset
/// ([`NpyDataset::convert`](crate::NpyDataset::convert)) or the batcher
/// ([`device_dtypes`](Self::device_dtypes)) converts them. Float columns must have the float dtype
/// of the device, unless [`keep_dtypes`](Self::keep_dtypes) is called: `float64`, NumPy's default,
/// is seldom meant. Ranks, dtypes and kinds are checked when a [`Loader`](crate::Loader) of an
/// [`NpyDataset`](crate::NpyDataset) is built. Rows of another dataset, such as one of Burn's
/// transforms, are checked in each batch.
///
/// It is a Burn `Batcher<Row, B>`, so Burn's own loader takes it too.
///
/// # Example
///
/// ```
/// use burn::tensor::{Device, Int, Tensor};
/// use burn_npy::{NpyBatcher, NpyDataset, ndarray::array};
///
/// # fn main() -> burn_npy::Result<()> {
/// let dataset = NpyDataset::from_tensor_slices((
///     array![[1.0_f32, 3.0], [2.0, 1.0], [3.0, 3.0]],
///     array![0_i64, 1, 0],
/// ))?;
/// let batcher = NpyBatcher::<(Tensor<2>, Tensor<1, Int>)>::all();
/// let rows = vec![dataset.row(2), dataset.row(0)];
/// let (features, labels) = batcher.try_batch(&rows, &Device::default())?;
/// assert_eq!(features.to_data().try_to_vec::<f32>().unwrap(), [3.0, 3.0, 1.0, 3.0]);
/// assert_eq!(labels.to_data().try_to_vec::<i64>().unwrap(), [0, 0]);
/// # Ok(())
/// # }
/// ```
pub struct NpyBatcher<B> {
    pub(crate) gather: Arc<Gather>,
    pub(crate) assemble: Arc<dyn Assemble<B>>,
}

impl<B> Clone for NpyBatcher<B> {
    fn clone(&self) -> Self {
        Self {
            gather: self.gather.clone(),
            assemble: self.assemble.clone(),
        }
    }
}

impl<B> std::fmt::Debug for NpyBatcher<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NpyBatcher")
            .field("columns", &self.gather.names)
            .field("tensors", &self.gather.specs)
            .field("dtypes", &self.gather.dtypes)
            .field("convert_on_device", &self.gather.convert_on_device)
            .finish()
    }
}

// The functions have the bound, not the `impl`, so that the compiler says why a type is no batch.
impl<B> NpyBatcher<B> {
    /// The named columns become the tensors of the batch, in this order, each of the shape
    /// `[rows, ...row_shape]`.
    pub fn new(columns: impl IntoIterator<Item = impl Into<String>>) -> Self
    where
        B: Batch,
    {
        Self::with_names(Some(columns.into_iter().map(Into::into).collect()))
    }

    /// All columns of the dataset become the tensors of the batch, in their order.
    pub fn all() -> Self
    where
        B: Batch,
    {
        Self::with_names(None)
    }

    fn with_names(names: Option<Vec<String>>) -> Self
    where
        B: Batch,
    {
        Self {
            gather: Arc::new(Gather {
                names,
                specs: B::Tensors::SPECS,
                dtypes: Dtypes::Unsaid,
                convert_on_device: true,
                pool: Arc::default(),
            }),
            assemble: Arc::new(Assembler(PhantomData)),
        }
    }

    fn change(mut self, change: impl FnOnce(&mut Gather)) -> Self {
        let mut gather = Gather {
            names: self.gather.names.clone(),
            pool: self.gather.pool.clone(),
            ..*self.gather
        };
        change(&mut gather);
        self.gather = Arc::new(gather);
        self
    }

    /// Casts float and integer columns to the default dtypes of the device, as Burn's
    /// `Tensor::from_data` does: labels of bytes become what its loss functions and metrics expect.
    ///
    /// Where the integers of the device are narrower than those of the column, as `i32` is for
    /// NumPy's `i64`, a number that does not fit is an error of its row,
    /// [`ErrorKind::Value`](crate::ErrorKind::Value). To avoid that, convert the column with
    /// [`saturating_cast`](crate::Convert::saturating_cast) or
    /// [`wrapping_cast`](crate::Convert::wrapping_cast), or keep all dtypes with
    /// [`keep_dtypes`](Self::keep_dtypes). The last of the two methods that is called counts.
    pub fn device_dtypes(self) -> Self {
        self.change(|gather| gather.dtypes = Dtypes::Device)
    }

    /// Keeps the dtypes of all columns, even those of floats that are not the device's default: the
    /// tensors of a `float64` column are `f64`. A model whose parameters are `f32` panics on them,
    /// so a [`Loader`](crate::Loader) is only built for them if this is called.
    pub fn keep_dtypes(self) -> Self {
        self.change(|gather| gather.dtypes = Dtypes::Kept)
    }

    /// Whether columns of bytes go to a GPU as bytes and are converted there, as they are by
    /// default.
    ///
    /// A column of 8-bit elements that become wider, such as images that become `f32`, is then
    /// uploaded as it is stored, which takes a quarter of the memory and of the bus. The batches
    /// are the same, bit for bit: the device looks the results up in a table that the host makes.
    /// It needs memory for up to three such tensors while it makes one.
    ///
    /// It has no effect for backends on the CPU, rows of less than 64 bytes, and batches with rows
    /// of several datasets. `false` is faster for a GPU in software, which has no bus.
    ///
    /// # Example
    ///
    /// ```
    /// use burn::tensor::Tensor;
    /// use burn_npy::NpyBatcher;
    ///
    /// let batcher = NpyBatcher::<Tensor<4>>::new(["images"]).convert_on_device(false);
    /// ```
    pub fn convert_on_device(self, narrow: bool) -> Self {
        self.change(|gather| gather.convert_on_device = narrow)
    }

    /// A batch of rows, which may come from several datasets. Each dataset must have the columns,
    /// and may convert them in its own way, but to the same dtypes and shapes.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Name`] for a column that is not there; [`ErrorKind::Shape`] and
    /// [`ErrorKind::Dtype`] for one that does not fit its tensor; [`ErrorKind::Shape`] for rows
    /// of several datasets that are not alike; [`ErrorKind::Changed`] if a file changed;
    /// [`ErrorKind::Usage`] if there are no rows, or more or fewer columns than tensors; and what
    /// the file system says.
    pub fn try_batch(&self, rows: &[Row], device: &Device) -> Result<B> {
        let gathered = self.gather.rows(rows, device, None)?;
        Ok(self.assemble.assemble(&mut gathered.uploads(), device))
    }
}

/// # Panics
///
/// This trait cannot return an error, so [`NpyBatcher::try_batch`] panics here with its message.
/// The [`Loader`](crate::Loader) of this crate does not go through it.
impl<B: Batch> Batcher<Row, B> for NpyBatcher<B> {
    fn batch(&self, items: Vec<Row>, device: &Device) -> B {
        self.try_batch(&items, device)
            .unwrap_or_else(|error| panic!("{error}"))
    }
}

/// Makes the batch, of a type that only [`NpyBatcher::new`] knows to be one.
pub(crate) trait Assemble<B>: Send + Sync {
    fn assemble(&self, uploads: &mut dyn Iterator<Item = Upload>, device: &Device) -> B;
}

struct Assembler<B>(PhantomData<fn() -> B>);

impl<B: Batch> Assemble<B> for Assembler<B> {
    fn assemble(&self, uploads: &mut dyn Iterator<Item = Upload>, device: &Device) -> B {
        B::from_tensors(B::Tensors::from_uploads(uploads, device))
    }
}

/// Which dtypes the tensors have.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Dtypes {
    /// Those of the columns, whose floats must be those of the device.
    Unsaid,
    /// Those of the device.
    Device,
    /// Those of the columns.
    Kept,
}

/// What a batcher gathers.
#[derive(Debug)]
pub(crate) struct Gather {
    /// All columns if `None`.
    names: Option<Vec<String>>,
    specs: &'static [TensorSpec],
    dtypes: Dtypes,
    convert_on_device: bool,
    pool: Arc<Pool>,
}

impl Gather {
    /// Looks the columns up, checks that they fit the tensors, and finds how they are uploaded.
    pub(crate) fn bind(&self, columns: &Columns, device: &Device) -> Result<Layouts> {
        let mixed = self.bind_converted(columns, device)?;
        let mut single = mixed.clone();
        for column in &mut single {
            if self.convert_on_device
                && let Some(lut) = DeviceLut::of(&column.column, device)?
            {
                column.column = column.column.clone().unconverted();
                column.lut = Some(Arc::new(lut));
            }
        }
        Ok(Layouts {
            single: Arc::new(BatchLayout::new(single)),
            mixed: Arc::new(BatchLayout::new(mixed)),
        })
    }

    fn bind_converted(&self, columns: &Columns, device: &Device) -> Result<Vec<BatchColumn>> {
        let names = self.names.as_deref().unwrap_or(columns.names());
        if names.len() != self.specs.len() {
            return Err(Error::new(
                ErrorKind::Usage,
                format!(
                    "the batch has {}, but there are {} for them: {}; NpyBatcher::new([..]) names \
                     those of the batch, in the order of its tensors",
                    counted(self.specs.len(), "tensor"),
                    counted(names.len(), "column"),
                    listed_names(names)
                ),
            ));
        }
        let mut found: Vec<BatchColumn> = Vec::new();
        for (name, spec) in names.iter().zip(self.specs) {
            let column = columns.get(name)?;
            let column = self.fit(name, column, spec, device).map_err(|error| {
                let error = error.in_column(name);
                match column.array().file() {
                    Some(file) => error.in_file(file),
                    None => error,
                }
            })?;
            let new_file = !found
                .iter()
                .any(|b| internal::share_file(&b.column, &column));
            let cast_to = self.dtypes == Dtypes::Device;
            found.push(BatchColumn {
                cast_to: cast_to.then_some(column.dtype()),
                name: name.clone(),
                dtype: tensor_dtype(column.dtype())?,
                column,
                lut: None,
                new_file,
            });
        }
        Ok(found)
    }

    fn fit(
        &self,
        name: &str,
        column: &Column,
        spec: &TensorSpec,
        device: &Device,
    ) -> Result<Column> {
        let rank = column.row_shape().len() + 1;
        if rank != spec.rank {
            let one_number = spec.rank == 1 && column.row_shape().iter().all(|len| *len == 1);
            let name = internal::literal(name);
            let reshaped = if one_number {
                format!("dataset.reshape({name}, &[]) makes a row one number")
            } else {
                format!("dataset.reshape({name}, &[..]) gives rows another shape")
            };
            return Err(Error::new(
                ErrorKind::Shape,
                format!(
                    "rows of shape {:?} make a batch of {rank} dimensions, but the batch has a \
                     tensor of {} there: {reshaped}, or change the type of the batch",
                    column.row_shape(),
                    spec.rank
                ),
            ));
        }
        let mut column = column.clone();
        if self.dtypes == Dtypes::Device && column.dtype() != DType::Bool {
            let dtype = device_dtype(spec.kind, device)?;
            let same_kind = column.dtype().is_float() == dtype.is_float() && dtype != DType::Bool;
            if same_kind {
                column = column.convert(&Convert::to(dtype))?;
            }
        }
        check_kind(name, column.dtype(), spec.kind, device)?;
        if self.dtypes == Dtypes::Unsaid && spec.kind == Kind::Float {
            check_float(name, column.dtype(), device)?;
        }
        Ok(column)
    }

    /// Gathers rows of any datasets that have the columns. With `advice`, tells the system in what
    /// order, once for each pass.
    pub(crate) fn rows(
        self: &Arc<Self>,
        rows: &[Row],
        device: &Device,
        advice: Option<Advice>,
    ) -> Result<HostBatch> {
        let Some(first) = rows.first() else {
            return Err(Error::new(ErrorKind::Usage, "a batch without rows"));
        };
        let name = format!("{device:?}");
        let layouts_of = |row: &Row| -> Result<Layouts> {
            let columns = &row.columns;
            let make = || self.bind(columns, device);
            let layouts = columns.layouts.get(self, &name, make)?;
            if let Some(advice) = advice {
                // Both layouts have the same files.
                layouts.mixed.advise_once(advice);
            }
            Ok(layouts)
        };
        if rows.iter().all(|row| same_dataset(row, first)) {
            let layout = layouts_of(first)?.single;
            let indices = memory::list(rows.iter().map(|row| row.index))?;
            return layout.gather(&self.pool, &indices);
        }
        mixed::gather(rows, |row| Ok(layouts_of(row)?.mixed), &self.pool)
    }

    pub(crate) fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }
}

/// A number of things in words.
fn counted(count: usize, what: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{count} {what}{s}")
}

/// Whether rows are gathered together.
pub(crate) fn same_dataset(a: &Row, b: &Row) -> bool {
    Arc::ptr_eq(&a.columns, &b.columns)
}

/// The batcher as an [`NpyBatcher`], if it is one.
pub(crate) fn as_npy<O: 'static>(batcher: &dyn Any) -> Option<NpyBatcher<O>> {
    batcher.downcast_ref().cloned()
}
