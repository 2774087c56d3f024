//! The batcher: gathers rows of the files straight into the memory of a batch.

use std::any::Any;
use std::marker::PhantomData;
use std::sync::Arc;

use burn::data::dataloader::batcher::Batcher;
use burn::tensor::Device;
use burn::tensor::kind::Kind;
use burn_npy_core::{
    Convert, DType, Error, ErrorKind, Result,
    file::{Column, RaggedColumn},
    internal,
};

use crate::batch_map::{BatchMap, BatchTransform};
use crate::dataset::{AnyColumn, any_length, listed_names};
use crate::dtype::{check_kind, device_dtype, tensor_dtype};
use crate::layout::{Advice, BatchColumn, BatchLayout, BatchTensor, HostBatch};
use crate::layouts::Layouts;
use crate::loader::BatchInfo;
use crate::memory;
use crate::mixed;
use crate::padded::{self, Content, PaddedTensor};
use crate::pool::Pool;
use crate::row::{Columns, Row};
use crate::tensors::{Assembled, Batch, BatchField, FieldContent, TensorSpec};
use crate::upload::{DeviceLut, Upload, check_there};

/// Gathers rows into a [`Batch`]: each column becomes one tensor.
///
/// [`NpyDataset::loader`](crate::NpyDataset::loader) makes one. A project that has a loader of Burn
/// puts it in the place of its own batcher: it is a Burn `Batcher<Row, B>`, so Burn's loader takes
/// it too.
///
/// Float and integer columns are cast to the default dtypes of the device, as Burn's
/// `Tensor::from_data` does, so `float64` features and labels of bytes become what a model, a loss
/// and a metric expect. An integer that the device's integers do not have, as one above
/// 2<sup>31</sup> on a device with `i32`, is an error of its row,
/// [`ErrorKind::Value`](crate::ErrorKind::Value). Integers do not become floats by themselves, nor
/// floats integers: [`NpyDataset::convert`](crate::NpyDataset::convert) converts them.
///
/// The device's dtypes are those that it has when the loader is built, so configure the device
/// before.
///
/// Ranks, dtypes and kinds are checked when a [`Loader`](crate::Loader) of an
/// [`NpyDataset`](crate::NpyDataset) is built. Rows of another dataset, such as one of Burn's
/// transforms, are checked in each batch.
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
/// let batcher = NpyBatcher::<(Tensor<2>, Tensor<1, Int>)>::new();
/// let rows = vec![dataset.row(2), dataset.row(0)];
/// let (features, labels) = batcher.try_batch(&rows, &Device::default())?;
/// assert_eq!(features.to_data().try_to_vec::<f32>().unwrap(), [3.0, 3.0, 1.0, 3.0]);
/// assert_eq!(labels.to_data().iter::<i64>().collect::<Vec<_>>(), [0, 0]);
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
            .field("columns", &self.gather.fields)
            .field("tensors", &self.gather.specs)
            .field("keep_dtypes", &self.gather.keep_dtypes)
            .field("convert_on_device", &self.gather.convert_on_device)
            .finish()
    }
}

// The functions have the bound, not the `impl`, so that the compiler says why a type is no batch.
impl<B> NpyBatcher<B> {
    /// A batcher of the columns that the fields of the batch name. If it names none, as a tuple
    /// does not, all columns of the dataset become the tensors of the batch, in their order.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self
    where
        B: Batch,
    {
        let fields = |fields: &[BatchField]| fields.iter().map(Field::new).collect();
        Self {
            gather: Arc::new(Gather {
                fields: B::FIELDS.map(fields),
                specs: B::Tensors::SPECS,
                needs_file_rows: B::NEEDS_FILE_ROWS,
                keep_dtypes: false,
                convert_on_device: true,
                batch_map: None,
                pool: Arc::default(),
            }),
            assemble: Arc::new(Assembler(PhantomData)),
        }
    }

    /// The named columns become the tensors of the batch, in this order, each of the shape
    /// `[rows, ...row_shape]`. Fields with lengths or a mask get those of the column that is named
    /// in their place.
    pub fn with_columns(self, columns: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.change(|gather| {
            let known = gather.fields.take().unwrap_or_default();
            let known = known.iter().map(|field| field.content);
            let contents = known.chain(std::iter::repeat(FieldContent::Rows { padding: None }));
            let fields = columns.into_iter().map(Into::into).zip(contents);
            let fields = fields.map(|(column, content)| Field { column, content });
            gather.fields = Some(fields.collect());
        })
    }

    fn change(mut self, change: impl FnOnce(&mut Gather)) -> Self {
        let mut gather = Gather {
            fields: self.gather.fields.clone(),
            batch_map: self.gather.batch_map.clone(),
            pool: self.gather.pool.clone(),
            ..*self.gather
        };
        change(&mut gather);
        self.gather = Arc::new(gather);
        self
    }

    /// Keeps the dtypes of all columns: the tensors of a `float64` column are `f64`, and labels of
    /// bytes `u8`. A model whose parameters are `f32` panics on the former.
    pub fn keep_dtypes(self) -> Self {
        self.change(|gather| gather.keep_dtypes = true)
    }

    /// Whether columns of bytes go to a GPU, or to a remote device, as bytes and are converted
    /// there, as they are by default.
    ///
    /// A column of 8-bit elements that become wider, such as images that become `f32`, is then
    /// uploaded as it is stored, which takes a quarter of the memory and of the bus or the network.
    /// The batches
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
    /// let batcher = NpyBatcher::<Tensor<4>>::new().convert_on_device(false);
    /// ```
    pub fn convert_on_device(self, narrow: bool) -> Self {
        self.change(|gather| gather.convert_on_device = narrow)
    }

    /// Changes each batch in host memory before it becomes tensors, on the workers of a loader,
    /// such as with [`MixUp`](crate::transform::MixUp). The columns have the dtypes of their
    /// tensors. [`DataLoaderBuilder::map`](crate::DataLoaderBuilder::map) changes the tensors
    /// instead, on the thread that makes them.
    ///
    /// # Example
    ///
    /// ```
    /// use burn::tensor::Tensor;
    /// use burn_npy::transform::BatchRows;
    /// use burn_npy::{BatchInfo, DataLoaderBuilder, NpyBatcher, NpyDataset, ndarray::Array2};
    ///
    /// # fn main() -> burn_npy::Result<()> {
    /// let dataset = NpyDataset::from_tensor_slices((("x", Array2::<f32>::ones((10, 3))),))?;
    /// let batcher = NpyBatcher::<Tensor<2>>::new().map_batch(
    ///     // Subtracts the mean of the batch.
    ///     |batch: &mut BatchRows<'_>, _: &BatchInfo| {
    ///         let mut x = batch.column_mut::<f32>("x")?;
    ///         let mean = x.mean().unwrap_or(0.0);
    ///         x -= mean;
    ///         Ok(())
    ///     },
    /// );
    /// let loader = DataLoaderBuilder::new(batcher).batch_size(5).try_build(dataset)?;
    /// for batch in loader.iter() {
    ///     assert_eq!(batch?.sum().into_scalar::<f32>(), 0.0);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn map_batch(self, map: impl BatchTransform) -> Self {
        self.change(|gather| gather.batch_map = Some(BatchMap(Arc::new(map))))
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
        let info = BatchInfo::of_rows(rows.iter().map(|row| row.index as u64))?;
        let gathered = self.gather.rows(rows, &info, device, None)?;
        Ok(self.assemble.gathered(&gathered, device))
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
    fn assemble(
        &self,
        uploads: &mut dyn Iterator<Item = Upload>,
        file_rows: Option<&[usize]>,
        device: &Device,
    ) -> B;

    /// Makes a batch of host memory.
    fn gathered(&self, gathered: &HostBatch, device: &Device) -> B {
        self.assemble(&mut gathered.uploads(), gathered.file_rows(), device)
    }
}

struct Assembler<B>(PhantomData<fn() -> B>);

impl<B: Batch> Assemble<B> for Assembler<B> {
    fn assemble(
        &self,
        uploads: &mut dyn Iterator<Item = Upload>,
        file_rows: Option<&[usize]>,
        device: &Device,
    ) -> B {
        let tensors = B::Tensors::from_uploads(uploads, device);
        let mut batch = B::from_tensors(tensors);
        if let Some(rows) = file_rows {
            batch.set_file_rows(rows.to_vec());
        }
        batch
    }
}

/// What a tensor gets.
#[derive(Clone, Debug)]
struct Field {
    column: String,
    content: FieldContent,
}

impl Field {
    fn new(field: &BatchField) -> Self {
        Self {
            column: field.column.to_owned(),
            content: field.content,
        }
    }
}

/// What a batcher gathers.
pub(crate) struct Gather {
    /// All columns if `None`.
    fields: Option<Vec<Field>>,
    specs: &'static [TensorSpec],
    /// Whether the batch gets the numbers of its rows.
    needs_file_rows: bool,
    /// Whether the tensors have the dtypes of the columns, and not those of the device.
    keep_dtypes: bool,
    convert_on_device: bool,
    batch_map: Option<BatchMap>,
    pool: Arc<Pool>,
}

impl Gather {
    /// Looks the columns up, checks that they fit the tensors, and finds how they are uploaded.
    pub(crate) fn bind(&self, columns: &Columns, device: &Device) -> Result<Layouts> {
        check_there(device)?;
        let mixed = self.bind_converted(columns, device)?;
        let mut single = mixed.clone();
        for tensor in &mut single {
            // A function of the user gets what it asked for.
            if self.convert_on_device
                && self.batch_map.is_none()
                && let BatchTensor::Rows(column) = tensor
                && let Some(lut) = DeviceLut::of(&column.column, device)?
            {
                column.column = column.column.clone().unconverted();
                column.lut = Some(Arc::new(lut));
            }
        }
        Ok(Layouts {
            single: Arc::new(BatchLayout::new(single, self.batch_map.clone())),
            mixed: Arc::new(BatchLayout::new(mixed, self.batch_map.clone())),
        })
    }

    fn bind_converted(&self, columns: &Columns, device: &Device) -> Result<Vec<BatchTensor>> {
        let all = |column: &String| Field {
            column: column.clone(),
            content: FieldContent::Rows { padding: None },
        };
        let fields = self.fields.clone();
        let fields = fields.unwrap_or_else(|| columns.names().iter().map(all).collect());
        if fields.len() != self.specs.len() {
            let names: Vec<_> = fields.into_iter().map(|field| field.column).collect();
            return Err(Error::new(
                ErrorKind::Usage,
                format!(
                    "the batch has {}, but there are {} for them: {}; dataset.select([..]) leaves \
                     those of the batch, in the order of its tensors",
                    counted(self.specs.len(), "tensor"),
                    counted(names.len(), "column"),
                    listed_names(&names)
                ),
            ));
        }
        let mut found: Vec<BatchTensor> = Vec::new();
        for (field, spec) in fields.iter().zip(self.specs) {
            let name = &field.column;
            let column = columns
                .any(name)
                .map_err(|error| explain_name(error, name))?;
            let located = |error: Error| {
                let error = error.in_column(name);
                match column.file() {
                    Some(file) => error.in_file(file),
                    None => error,
                }
            };
            found.push(match (column, field.content) {
                (AnyColumn::Ragged(column), content) => {
                    let tensor = self.pad(name, column, content, spec, device);
                    BatchTensor::Padded(tensor.map_err(located)?)
                }
                (_, FieldContent::Rows { padding: None }) => {
                    let own = columns.get(name)?;
                    let column = self.fit(name, own, spec, device).map_err(located)?;
                    let shares = |tensor: &BatchTensor| match tensor {
                        BatchTensor::Rows(before) => internal::share_file(&before.column, &column),
                        BatchTensor::Padded(_) => false,
                    };
                    BatchTensor::Rows(Box::new(BatchColumn {
                        cast_to: (column.dtype() != own.dtype()).then_some(column.dtype()),
                        name: name.clone(),
                        dtype: tensor_dtype(column.dtype())?,
                        new_file: !found.iter().any(shares),
                        column,
                        lut: None,
                    }))
                }
                _ => {
                    columns.get(name)?;
                    let message = "its rows have one shape, so there is no padding: leave out pad, \
                                   lengths and mask_pad, or make the column with \
                                   NpyDataset::from_offsets or from_lengths";
                    return Err(located(Error::new(ErrorKind::Usage, message)));
                }
            });
        }
        Ok(found)
    }

    /// What a tensor gets of rows of any length.
    fn pad(
        &self,
        name: &str,
        column: &RaggedColumn,
        content: FieldContent,
        spec: &TensorSpec,
        device: &Device,
    ) -> Result<PaddedTensor> {
        let (mut column, own) = (column.clone(), column.dtype());
        let (content, dtype) = match content {
            FieldContent::Rows { padding } => {
                let shape = any_length(column.item_shape());
                check_rank(name, column.item_shape().len() + 2, &shape, false, spec)?;
                if let Some(dtype) = self.device_cast(own, spec.kind, device)? {
                    column = column.convert(Convert::new().cast(dtype))?;
                }
                check_kind(name, column.dtype(), spec.kind, device)?;
                let padding = padded::element(padding.unwrap_or(0.0), column.dtype())?;
                let dtype = tensor_dtype(column.dtype())?;
                (Content::Items { padding }, dtype)
            }
            FieldContent::Lengths => {
                let dtype = device_dtype(Kind::Int, device)?;
                (Content::Lengths(dtype), tensor_dtype(dtype)?)
            }
            FieldContent::MaskPad => (Content::MaskPad, padded::MASK),
        };
        padded::check_spec(&content, spec.kind, spec.rank)?;
        Ok(PaddedTensor {
            cast_to: (column.dtype() != own).then_some(column.dtype()),
            name: name.to_owned(),
            column,
            content,
            dtype,
        })
    }

    /// The dtype of the device that a column is cast to.
    fn device_cast(&self, from: DType, kind: Kind, device: &Device) -> Result<Option<DType>> {
        if self.keep_dtypes || from == DType::Bool {
            return Ok(None);
        }
        let dtype = device_dtype(kind, device)?;
        let same_kind = from.is_float() == dtype.is_float() && dtype != DType::Bool;
        Ok(same_kind.then_some(dtype))
    }

    fn fit(
        &self,
        name: &str,
        column: &Column,
        spec: &TensorSpec,
        device: &Device,
    ) -> Result<Column> {
        let shape = column.row_shape();
        let one_number = shape.iter().all(|len| *len == 1);
        check_rank(
            name,
            shape.len() + 1,
            &format!("{shape:?}"),
            one_number,
            spec,
        )?;
        let mut column = column.clone();
        if let Some(dtype) = self.device_cast(column.dtype(), spec.kind, device)? {
            column = column.convert(Convert::new().cast(dtype))?;
        }
        check_kind(name, column.dtype(), spec.kind, device)?;
        Ok(column)
    }

    /// Gathers rows of any datasets that have the columns. With `advice`, tells the system in what
    /// order, once for each pass.
    pub(crate) fn rows(
        self: &Arc<Self>,
        rows: &[Row],
        info: &BatchInfo,
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
            return self.gather(&layout, &indices, info);
        }
        let batch = mixed::gather(rows, info, |row| Ok(layouts_of(row)?.mixed), &self.pool)?;
        self.with_file_rows(batch, rows.iter().map(|row| row.index))
    }

    /// Gathers file rows of one dataset.
    pub(crate) fn gather(
        &self,
        layout: &Arc<BatchLayout>,
        rows: &[usize],
        info: &BatchInfo,
    ) -> Result<HostBatch> {
        let batch = layout.gather(&self.pool, rows, info)?;
        self.with_file_rows(batch, rows.iter().copied())
    }

    /// The batch, with the numbers of its rows in their files if it needs them.
    pub(crate) fn with_file_rows(
        &self,
        batch: HostBatch,
        rows: impl ExactSizeIterator<Item = usize>,
    ) -> Result<HostBatch> {
        if !self.needs_file_rows {
            return Ok(batch);
        }
        Ok(batch.with_file_rows(memory::list(rows)?))
    }
}

/// Checks that rows of a shape make a batch of the rank of a tensor.
fn check_rank(
    name: &str,
    rank: usize,
    shape: &str,
    one_number: bool,
    spec: &TensorSpec,
) -> Result<()> {
    if rank == spec.rank {
        return Ok(());
    }
    let name = internal::literal(name);
    let reshaped = if one_number && spec.rank == 1 {
        format!("dataset.reshape({name}, &[]) makes a row one number")
    } else if shape.starts_with("[*") {
        format!("dataset.reshape({name}, &[..]) gives items another shape")
    } else {
        format!("dataset.reshape({name}, &[..]) gives rows another shape")
    };
    Err(Error::new(
        ErrorKind::Shape,
        format!(
            "rows of shape {shape} make a batch of {}, but the batch has a tensor of {} there: use \
             {} in the batch, or {reshaped}",
            counted(rank, "dimension"),
            spec.rank,
            TensorSpec { rank, ..*spec },
        ),
    ))
}

/// Says what to do about a column that is not there.
fn explain_name(error: Error, name: &str) -> Error {
    if error.kind() != ErrorKind::Name {
        return error;
    }
    let message = format!(
        "{}; the batch asks for it, so rename its field or the column, or write \
         #[batch(column = \"..\")] above the field",
        error.message()
    );
    Error::new(error.kind(), message).in_column(name)
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
