//! The tensors of a batch, what they are made of, and their rows in host memory.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use burn::tensor::{AllocationProperty, Bytes, DType as TensorDType, Shape, TensorData};
use burn_npy_core::{
    DType, Error, ErrorKind, Result,
    file::Column,
    internal::{self, Draws, RowMap, gather_drawn},
};

use crate::batch_map::{BatchMap, BatchRows};
use crate::epoch_plan::BatchBound;
use crate::loader::BatchInfo;
use crate::memory;
use crate::padded::{PaddedRows, PaddedTensor};
use crate::pool::{Pool, PooledBuffer};
use crate::upload::{DeviceLut, Upload};

/// What the tensors of a batch are made of, which is known to fit them.
#[derive(Debug)]
pub(crate) struct BatchLayout {
    /// The columns with rows of one shape, in the order of their tensors.
    pub(crate) columns: Vec<BatchColumn>,
    /// The tensors of rows of any length.
    pub(crate) padded: Vec<PaddedTensor>,
    /// Which of the tensors, in their order, are padded.
    is_padded: Vec<bool>,
    /// Whether transforms make some of the rows.
    draws: bool,
    /// Changes a batch before it becomes tensors.
    batch_map: Option<BatchMap>,
    /// The last pass that advised the system.
    advised: AtomicU64,
}

/// In what order a pass gathers rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Advice {
    /// The pass, as a number that no other pass has.
    pub(crate) pass: u64,
    pub(crate) random: bool,
}

/// A column of a batch.
#[derive(Clone, Debug)]
pub(crate) struct BatchColumn {
    pub(crate) name: String,
    /// The column as it is gathered.
    pub(crate) column: Column,
    /// The dtype of the tensor.
    pub(crate) dtype: TensorDType,
    /// The dtype of the device, if the batcher casts to it from another.
    pub(crate) cast_to: Option<DType>,
    /// The conversion, if the device does it.
    pub(crate) lut: Option<Arc<DeviceLut>>,
    /// Whether no column before this one is in the same file.
    pub(crate) new_file: bool,
}

impl BatchColumn {
    /// The shape of a row.
    fn kind(&self) -> impl Iterator<Item = Option<usize>> + '_ {
        self.column.row_shape().iter().copied().map(Some)
    }

    /// Copies rows into `out`.
    pub(crate) fn gather_into(
        &self,
        rows: &[usize],
        draws: Draws<'_>,
        out: &mut [u8],
    ) -> Result<()> {
        gather_drawn(&mut [(&self.column, out)], rows, draws)
            .map_err(|(_, error)| self.explain(error))
    }

    fn explain(&self, error: Error) -> Error {
        explain(error, &self.name, self.cast_to)
    }

    /// Checks that the file is still the one that was opened.
    fn check(&self) -> Result<()> {
        self.column
            .check()
            .map_err(|error| error.in_column(&self.name))
    }

    /// Memory for `rows` rows.
    pub(crate) fn buffer(&self, pool: &Arc<Pool>, rows: usize) -> Result<PooledBuffer> {
        let too_large = || Error::new(ErrorKind::Overflow, "a batch beyond all memory");
        pool.take(self.buffer_len(rows).ok_or_else(too_large)?)
            .map_err(|error| error.in_column(&self.name))
    }

    fn buffer_len(&self, rows: usize) -> Option<usize> {
        let bytes = rows.checked_mul(self.column.row_bytes())?;
        Some(self.lut.as_ref().map_or(bytes, |lut| lut.buffer_len(bytes)))
    }

    /// Rows where they lie in memory, if they can be uploaded from there.
    fn borrow(&self, rows: Range<usize>) -> Result<Option<bytes::Bytes>> {
        let takes = |bytes: &[u8]| self.lut.as_ref().is_none_or(|lut| lut.takes(bytes));
        let shared = internal::borrow(&self.column, rows);
        let Some(shared) = shared.filter(|shared| takes(shared.as_ref())) else {
            return Ok(None);
        };
        self.check()?;
        Ok(Some(bytes::Bytes::from_owner(shared)))
    }

    fn upload(&self, bytes: bytes::Bytes, rows: usize) -> Upload {
        let bytes = Bytes::from_shared(bytes, AllocationProperty::Other);
        let shape = std::iter::once(rows).chain(self.column.row_shape().iter().copied());
        let shape: Shape = shape.collect();
        match &self.lut {
            Some(lut) => lut.upload(bytes, shape),
            None => TensorData::from_bytes(bytes, shape, self.dtype).into(),
        }
    }
}

/// Names the column in an error of its gather, and says what else a user can do about a value
/// that the integers of the device do not have.
pub(crate) fn explain(error: Error, column: &str, cast_to: Option<DType>) -> Error {
    let error = match cast_to {
        // Not one that a conversion of the user has refused.
        Some(dtype) if error.message().contains(&format!("but {dtype} goes from")) => {
            // A conversion to another dtype does not help: this cast comes after it.
            let found = error
                .message()
                .split("; cast to")
                .next()
                .unwrap_or_default();
            let message = format!(
                "{found} ({dtype} is the device's integer); keep the dtypes of the columns \
                 with NpyBatcher::new().keep_dtypes() in a DataLoaderBuilder, or say with \
                 saturating_cast or wrapping_cast what becomes of the number"
            );
            let new = Error::new(error.kind(), message);
            match error.file() {
                Some(file) => new.in_file(file),
                None => new,
            }
        }
        _ => error,
    };
    error.in_column(column)
}

/// A tensor of a batch.
#[derive(Clone, Debug)]
pub(crate) enum BatchTensor {
    Rows(Box<BatchColumn>),
    Padded(PaddedTensor),
}

impl BatchLayout {
    pub(crate) fn new(tensors: Vec<BatchTensor>, batch_map: Option<BatchMap>) -> Self {
        let is_padded = |tensor: &BatchTensor| matches!(tensor, BatchTensor::Padded(_));
        let is_padded = tensors.iter().map(is_padded).collect();
        let (mut columns, mut padded) = (Vec::new(), Vec::new());
        for tensor in tensors {
            match tensor {
                BatchTensor::Rows(column) => columns.push(*column),
                BatchTensor::Padded(tensor) => padded.push(tensor),
            }
        }
        let depths = columns.iter().map(|it| internal::depth(&it.column));
        let mut depths = depths.chain(padded.iter().map(PaddedTensor::depth));
        Self {
            draws: depths.any(|depth| depth > 0),
            columns,
            padded,
            is_padded,
            batch_map,
            advised: AtomicU64::new(0),
        }
    }

    /// At least the size in bytes of the largest batch of the rows of a map as it is uploaded, over
    /// all columns.
    pub(crate) fn batch_bytes(&self, map: &RowMap, bound: BatchBound<'_>) -> usize {
        let columns = self.columns.iter();
        let columns = columns.map(|it| it.column.row_bytes().saturating_mul(bound.most));
        let rows = || {
            let rows = bound.each(map.len());
            rows.map(|(row, most)| (map.map(row), most))
        };
        let padded = self.padded.iter().map(|tensor| tensor.batch_bytes(rows()));
        columns.chain(padded).fold(0, usize::saturating_add)
    }

    /// Gathers rows into memory of a pool, or borrows them where they lie one after the other in
    /// memory. The files are checked first.
    pub(crate) fn gather(
        self: &Arc<Self>,
        pool: &Arc<Pool>,
        rows: &[usize],
        info: &BatchInfo,
    ) -> Result<HostBatch> {
        let columns = self.columns.iter();
        let range = range_of(rows).filter(|_| self.batch_map.is_none());
        let borrowed: Vec<Option<bytes::Bytes>> = match range {
            Some(range) => columns
                .map(|column| column.borrow(range.clone()))
                .collect::<Result<_>>()?,
            None => vec![None; columns.len()],
        };
        let columns = self.columns.iter().zip(&borrowed);
        let copied: Vec<&BatchColumn> = columns
            .filter_map(|(column, borrowed)| borrowed.is_none().then_some(column))
            .collect();
        let buffers = copied.iter().map(|column| column.buffer(pool, rows.len()));
        let mut buffers = buffers.collect::<Result<Vec<PooledBuffer>>>()?;
        let pairs = copied.iter().zip(&mut buffers);
        let mut pairs: Vec<_> = pairs
            .map(|(column, buffer)| {
                // A buffer may be longer than its rows.
                let len = rows.len() * column.column.row_bytes();
                (&column.column, &mut buffer.as_mut_slice()[..len])
            })
            .collect();
        let positions = self.positions(info)?;
        let draws = info.draws(&positions);
        gather_drawn(&mut pairs, rows, draws)
            .map_err(|(index, error)| copied[index].explain(error))?;
        self.change(&mut buffers, info)?;
        let mut buffers = buffers.into_iter().map(PooledBuffer::into_shared);
        let memory = borrowed.into_iter();
        let memory = memory.filter_map(|borrowed| borrowed.or_else(|| buffers.next()));
        let padded = self.padded.iter();
        let padded = padded.map(|tensor| tensor.gather(pool, rows, draws));
        let padded = padded.collect::<Result<_>>()?;
        Ok(HostBatch::new(self.clone(), memory.collect(), rows.len()).with_padded(padded))
    }

    /// Whether code of the user changes rows.
    pub(crate) fn is_mapped(&self) -> bool {
        self.draws || self.batch_map.is_some()
    }

    /// The positions of the rows, if transforms draw by them.
    pub(crate) fn positions(&self, info: &BatchInfo) -> Result<Vec<u64>> {
        if !self.draws {
            return Ok(Vec::new());
        }
        memory::list(info.positions())
    }

    /// Has the function of the user change the rows of a batch.
    pub(crate) fn change(&self, buffers: &mut [PooledBuffer], info: &BatchInfo) -> Result<()> {
        let Some(map) = self.batch_map.as_ref().filter(|_| !info.is_trial) else {
            return Ok(());
        };
        let columns = self.columns.iter().zip(buffers);
        let columns = columns.map(|(column, buffer)| (column, buffer.as_mut_slice()));
        BatchRows::new(info.rows().len(), columns.collect()).change(map, info)
    }

    /// Whether several batches can be gathered into one buffer, of which each takes a part.
    pub(crate) fn supports_runs(&self) -> bool {
        let mut columns = self.columns.iter();
        // Each batch is padded to a length of its own.
        self.padded.is_empty()
            && columns.all(|column| column.buffer_len(1) == Some(column.column.row_bytes()))
    }

    /// Tells the system in what order rows will be gathered. Returns whether they have to be read
    /// ahead.
    pub(crate) fn advise(&self, random: bool) -> bool {
        let items = self.padded.iter().flat_map(PaddedTensor::items);
        let columns = self.files().map(|column| &column.column).chain(items);
        columns.fold(random, |any, column| internal::advise(column, random) | any)
    }

    /// As [`advise`](Self::advise), once for each pass.
    pub(crate) fn advise_once(&self, advice: Advice) {
        if self.advised.load(Ordering::Relaxed) != advice.pass {
            self.advised.store(advice.pass, Ordering::Relaxed);
            self.advise(advice.random);
        }
    }

    /// How many rows ahead of the gather [`readahead`](Self::readahead) should be called; 0 if it
    /// does nothing for any column.
    pub(crate) fn readahead_rows(&self) -> usize {
        let columns = self.columns.iter();
        let rows = columns.map(|column| internal::readahead_rows(&column.column));
        let padded = self.padded.iter().map(PaddedTensor::readahead_rows);
        rows.chain(padded).max().unwrap_or(0)
    }

    /// Asks the system to read rows that will be gathered soon, or requests remote ones. Returns
    /// whether there was room for all.
    pub(crate) fn readahead(&self, rows: &[usize]) -> bool {
        let columns = self.columns.iter();
        let fixed = columns.map(|column| internal::readahead(&column.column, rows));
        let padded = self.padded.iter().map(|tensor| tensor.readahead(rows));
        fixed
            .chain(padded)
            .fold(true, |all, has_room| all & has_room)
    }

    /// The first column of each file.
    fn files(&self) -> impl Iterator<Item = &BatchColumn> {
        self.columns.iter().filter(|column| column.new_file)
    }

    /// The names of the columns whose rows lie scattered in their files.
    pub(crate) fn scattered(&self) -> Vec<String> {
        let columns = self.columns.iter();
        let scattered = columns.filter(|column| column.column.is_scattered());
        let padded = self.padded.iter();
        let padded = padded.filter(|tensor| tensor.items().iter().any(Column::is_scattered));
        let names = scattered.map(|column| &column.name);
        names
            .chain(padded.map(|tensor| &tensor.name))
            .cloned()
            .collect()
    }

    /// The dtype and shape of the rows of each tensor.
    pub(crate) fn kinds(&self) -> Vec<RowKind> {
        self.in_order(
            self.columns.iter().map(|column| RowKind {
                dtype: column.dtype,
                shape: column.kind().collect(),
            }),
            self.padded.iter().map(|tensor| RowKind {
                dtype: tensor.dtype,
                shape: tensor.kind(),
            }),
        )
        .collect()
    }

    /// Something about each tensor, in their order, from that about the columns and that about the
    /// padded ones.
    fn in_order<T>(
        &self,
        mut columns: impl Iterator<Item = T>,
        mut padded: impl Iterator<Item = T>,
    ) -> impl Iterator<Item = T> {
        let next = move |is_padded: &bool| match is_padded {
            true => padded.next(),
            false => columns.next(),
        };
        self.is_padded.iter().filter_map(next)
    }

    /// An error if the rows are not of these kinds: rows of several datasets share a tensor, and
    /// the batches of a loader, only if they are.
    pub(crate) fn expect_kinds(&self, expected: &[RowKind]) -> Result<()> {
        let columns = self.columns.iter();
        let columns = columns.map(|it| (&it.name, internal::file(&it.column), Ok(it)));
        let padded = self.padded.iter();
        let padded = padded.map(|it| (&it.name, internal::ragged_file(&it.column), Err(it)));
        for ((name, file, tensor), expected) in self.in_order(columns, padded).zip(expected) {
            let (dtype, is_alike) = match tensor {
                Ok(column) => (
                    column.dtype,
                    column.kind().eq(expected.shape.iter().copied()),
                ),
                Err(tensor) => (tensor.dtype, tensor.kind() == expected.shape),
            };
            if is_alike && dtype == expected.dtype {
                continue;
            }
            let shape = match tensor {
                Ok(column) => column.kind().collect(),
                Err(tensor) => tensor.kind(),
            };
            let error = Error::new(
                ErrorKind::Shape,
                format!(
                    "rows of {} after rows of {expected}, of another dataset: convert and reshape \
                     them alike",
                    RowKind { dtype, shape }
                ),
            );
            let error = error.in_column(name);
            return Err(match file {
                Some(file) => error.in_file(file),
                None => error,
            });
        }
        Ok(())
    }
}

/// What the rows of a column are in a tensor.
#[derive(Debug)]
pub(crate) struct RowKind {
    dtype: TensorDType,
    /// `None` is the length of rows of any length.
    shape: Vec<Option<usize>>,
}

impl std::fmt::Display for RowKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let axis = |len: &Option<usize>| len.map_or("*".to_owned(), |len| len.to_string());
        let axes: Vec<_> = self.shape.iter().map(axis).collect();
        write!(f, "{:?} [{}]", self.dtype, axes.join(", "))
    }
}

/// The rows of a batch in host memory: all of what was gathered, or a part of it where several
/// batches were gathered together.
///
/// It becomes uploads only where tensors are made: what is made on one thread and dropped on
/// another costs more.
#[derive(Clone, Debug)]
pub(crate) struct HostBatch {
    layout: Arc<BatchLayout>,
    /// The memory of each column, which parts share.
    columns: Arc<[bytes::Bytes]>,
    /// The memory of each padded tensor. Only a batch that was gathered alone has such.
    padded: Arc<[PaddedRows]>,
    /// How many rows were gathered.
    gathered: usize,
    /// The rows of the batch among them.
    rows: Range<usize>,
    /// The rows that were gathered as rows of their files, if the batch needs them.
    file_rows: Option<Arc<Vec<usize>>>,
}

impl HostBatch {
    /// All of `rows` rows, in memory for each column of a layout.
    pub(crate) fn new(layout: Arc<BatchLayout>, columns: Arc<[bytes::Bytes]>, rows: usize) -> Self {
        Self {
            layout,
            columns,
            padded: Arc::default(),
            gathered: rows,
            rows: 0..rows,
            file_rows: None,
        }
    }

    /// Adds the memory of each padded tensor.
    pub(crate) fn with_padded(self, padded: Arc<[PaddedRows]>) -> Self {
        Self { padded, ..self }
    }

    /// Rows that are elsewhere.
    pub(crate) fn without_columns(rows: usize) -> Self {
        let layout = BatchLayout::new(Vec::new(), None);
        Self::new(Arc::new(layout), Arc::new([]), rows)
    }

    /// Keeps the rows that were gathered as rows of their files.
    pub(crate) fn with_file_rows(self, rows: Vec<usize>) -> Self {
        let file_rows = Some(Arc::new(rows));
        Self { file_rows, ..self }
    }

    /// The rows as rows of their files, if they were kept.
    pub(crate) fn file_rows(&self) -> Option<&[usize]> {
        Some(&self.file_rows.as_ref()?[self.rows.clone()])
    }

    /// Some of the rows that were gathered.
    pub(crate) fn part(&self, rows: Range<usize>) -> Self {
        Self {
            rows,
            ..self.clone()
        }
    }

    /// The columns that were gathered.
    pub(crate) fn layout(&self) -> &BatchLayout {
        &self.layout
    }

    /// How many bytes go to the device.
    pub(crate) fn bytes(&self) -> usize {
        let columns = self.ranges().map(|(_, _, range)| range.len());
        columns.chain(self.padded.iter().map(PaddedRows::len)).sum()
    }

    /// What is uploaded of each tensor.
    pub(crate) fn uploads(&self) -> impl Iterator<Item = Upload> {
        let columns = self
            .ranges()
            .map(|(column, memory, range)| column.upload(memory.slice(range), self.rows.len()));
        let padded = self.padded.iter().map(PaddedRows::upload);
        self.layout.in_order(columns, padded)
    }

    /// Each column with its memory, and where the rows are in it.
    fn ranges(&self) -> impl Iterator<Item = (&BatchColumn, &bytes::Bytes, Range<usize>)> {
        let columns = self.layout.columns.iter().zip(&*self.columns);
        columns.map(|(column, memory)| {
            let row_bytes = column.column.row_bytes();
            let range = if self.rows == (0..self.gathered) {
                // It may be longer than its rows, and is uploaded whole.
                0..memory.len()
            } else {
                self.rows.start * row_bytes..self.rows.end * row_bytes
            };
            (column, memory, range)
        })
    }
}

/// The rows as a range, if each follows the one before it.
fn range_of(rows: &[usize]) -> Option<Range<usize>> {
    let (first, last) = (*rows.first()?, *rows.last()?);
    // The ends tell for most shuffled batches.
    let may_be = last.checked_sub(first) == Some(rows.len() - 1);
    let follow = || rows.windows(2).all(|pair| pair[0] + 1 == pair[1]);
    (may_be && follow()).then(|| first..last + 1)
}
