//! Columns that fit the tensors of a batch, and what is gathered of them.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use burn::tensor::{AllocationProperty, Bytes, DType as TensorDType, Shape, TensorData};
use burn_npy_core::{Column, DType, Error, ErrorKind, Result, gather_columns, internal};

use crate::pool::{Pool, PooledBuffer};
use crate::upload::{Upload, Widen};

/// Columns that are known to fit their tensors.
#[derive(Debug)]
pub(crate) struct Bound {
    pub(crate) columns: Vec<BoundColumn>,
    /// For which pass the system was told last in what order rows are gathered.
    advised: AtomicU64,
}

/// In what order a pass gathers rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Advice {
    /// The pass, as a number that no other has.
    pub(crate) pass: u64,
    pub(crate) random: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct BoundColumn {
    pub(crate) name: String,
    /// The column as it is gathered.
    pub(crate) column: Column,
    /// That of the tensor.
    pub(crate) dtype: TensorDType,
    /// The dtype of the device, if the batcher casts to it.
    pub(crate) cast_to: Option<DType>,
    /// What is left to the device.
    pub(crate) widen: Option<Arc<Widen>>,
    /// Whether no column before this one is in the same file.
    pub(crate) new_file: bool,
}

impl BoundColumn {
    pub(crate) fn gather_into(&self, rows: &[usize], out: &mut [u8]) -> Result<()> {
        self.column
            .gather(rows, out)
            .map_err(|error| self.explain(error))
    }

    /// Names the column in an error of its gather, and says what else a user can do about a value
    /// that the integers of the device do not have.
    fn explain(&self, error: Error) -> Error {
        let error = match self.cast_to {
            Some(dtype) if error.kind() == ErrorKind::Value => {
                let message = format!(
                    "{} (device_dtypes() casts to {dtype}, the device's; keep_dtypes() in its place \
                     keeps the column's)",
                    error.message()
                );
                let new = Error::new(error.kind(), message);
                match error.file() {
                    Some(file) => new.in_file(file),
                    None => new,
                }
            }
            _ => error,
        };
        error.in_column(&self.name)
    }

    /// Checks that the file is still the one that was opened.
    fn check(&self) -> Result<()> {
        self.column
            .check()
            .map_err(|error| error.in_column(&self.name))
    }

    /// Memory for so many rows.
    pub(crate) fn buffer(&self, pool: &Arc<Pool>, rows: usize) -> Result<PooledBuffer> {
        let too_large = || Error::new(ErrorKind::Overflow, "a batch beyond all memory");
        pool.take(self.buffer_len(rows).ok_or_else(too_large)?)
            .map_err(|error| error.in_column(&self.name))
    }

    fn buffer_len(&self, rows: usize) -> Option<usize> {
        let bytes = rows.checked_mul(self.column.row_bytes())?;
        Some(self.widen.as_ref().map_or(bytes, |w| w.buffer_len(bytes)))
    }

    /// Rows as they lie in memory, if that is how they are uploaded.
    fn borrow(&self, rows: Range<usize>) -> Result<Option<bytes::Bytes>> {
        let takes = |bytes: &[u8]| self.widen.as_ref().is_none_or(|widen| widen.takes(bytes));
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
        match &self.widen {
            Some(widen) => widen.upload(bytes, shape),
            None => TensorData::from_bytes(bytes, shape, self.dtype).into(),
        }
    }
}

impl Bound {
    pub(crate) fn new(columns: Vec<BoundColumn>) -> Self {
        Self {
            columns,
            advised: AtomicU64::new(0),
        }
    }

    /// The size of a row in bytes as it is uploaded, over all columns.
    pub(crate) fn row_bytes(&self) -> usize {
        self.columns
            .iter()
            .map(|bound| bound.column.row_bytes())
            .sum()
    }

    /// Gathers rows into memory of a pool, or borrows them where they lie one after the other in
    /// memory. The files are checked first. `next_rows` are prefetched: the first rows of the batch
    /// that will be gathered next.
    pub(crate) fn gather(
        self: &Arc<Self>,
        pool: &Arc<Pool>,
        rows: &[usize],
        next_rows: &[usize],
    ) -> Result<Gathered> {
        let columns = self.columns.iter();
        let borrowed: Vec<Option<bytes::Bytes>> = match range_of(rows) {
            Some(range) => columns
                .map(|column| column.borrow(range.clone()))
                .collect::<Result<_>>()?,
            None => vec![None; columns.len()],
        };
        let columns = self.columns.iter().zip(&borrowed);
        let copied: Vec<&BoundColumn> = columns
            .filter_map(|(column, borrowed)| borrowed.is_none().then_some(column))
            .collect();
        let buffers = copied.iter().map(|column| column.buffer(pool, rows.len()));
        let mut buffers = buffers.collect::<Result<Vec<PooledBuffer>>>()?;
        let pairs = copied.iter().zip(&mut buffers);
        let mut pairs: Vec<_> = pairs
            .map(|(column, buffer)| {
                let len = rows.len() * column.column.row_bytes();
                (&column.column, &mut buffer.as_mut_slice()[..len])
            })
            .collect();
        gather_columns(&mut pairs, rows, next_rows)
            .map_err(|(index, error)| copied[index].explain(error))?;
        let mut buffers = buffers.into_iter().map(PooledBuffer::into_shared);
        let memory = borrowed.into_iter();
        let memory = memory.filter_map(|borrowed| borrowed.or_else(|| buffers.next()));
        Ok(Gathered::new(self.clone(), memory.collect(), rows.len()))
    }

    /// Whether parts of a buffer for several batches are as good as buffers of their own.
    pub(crate) fn has_runs(&self) -> bool {
        self.columns.iter().all(|bound| {
            let row_bytes = bound.column.row_bytes();
            bound.buffer_len(1) == Some(row_bytes)
        })
    }

    /// Tells the system in what order rows will be gathered.
    pub(crate) fn advise(&self, random: bool) {
        self.files()
            .for_each(|bound| internal::advise(&bound.column, random));
    }

    /// The same, once a pass.
    pub(crate) fn advise_once(&self, advice: Advice) {
        if self.advised.load(Ordering::Relaxed) != advice.pass {
            self.advised.store(advice.pass, Ordering::Relaxed);
            self.advise(advice.random);
        }
    }

    /// How many rows before the gather they should be announced; 0 if that does nothing for any
    /// column.
    pub(crate) fn rows_ahead(&self) -> usize {
        let of_each = self
            .columns
            .iter()
            .map(|bound| internal::readahead_rows(&bound.column));
        of_each.max().unwrap_or(0)
    }

    /// Tells the system which rows will be gathered soon.
    pub(crate) fn announce(&self, rows: &[usize]) {
        for bound in &self.columns {
            internal::readahead(&bound.column, rows);
        }
    }

    /// The first column of each file.
    fn files(&self) -> impl Iterator<Item = &BoundColumn> {
        self.columns.iter().filter(|bound| bound.new_file)
    }

    /// Looks whether the files are still those that were opened.
    pub(crate) fn check(&self) -> Result<()> {
        self.files().try_for_each(BoundColumn::check)
    }

    /// What the rows of each column are.
    pub(crate) fn kinds(&self) -> Vec<RowKind> {
        let kind = |bound: &BoundColumn| RowKind {
            dtype: bound.dtype,
            shape: bound.column.row_shape().to_vec(),
        };
        self.columns.iter().map(kind).collect()
    }

    /// Rows of several datasets go into one tensor, and into the batches of one loader, only if
    /// they are alike.
    pub(crate) fn expect_kinds(&self, expected: &[RowKind]) -> Result<()> {
        for (bound, expected) in self.columns.iter().zip(expected) {
            let (dtype, shape) = (bound.dtype, bound.column.row_shape());
            if (dtype, shape) == (expected.dtype, &*expected.shape) {
                continue;
            }
            let error = Error::new(
                ErrorKind::Shape,
                format!(
                    "rows of {dtype:?} {shape:?} after rows of {:?} {:?}, of another dataset: \
                     convert and reshape them alike; device_dtypes() of the batcher gives them one \
                     dtype",
                    expected.dtype, expected.shape
                ),
            );
            let error = error.in_column(&bound.name);
            return Err(match bound.column.array().file() {
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
    shape: Vec<usize>,
}

/// The rows of a batch in the memory of the host, or those of one of several batches that were
/// gathered together.
///
/// It becomes uploads only where tensors are made: what is made on one thread and dropped on
/// another costs more.
#[derive(Clone, Debug)]
pub(crate) struct Gathered {
    of: Arc<Together>,
    rows: Range<usize>,
}

#[derive(Debug)]
struct Together {
    bound: Arc<Bound>,
    columns: Vec<bytes::Bytes>,
    rows: usize,
}

impl Gathered {
    /// All of so many rows.
    pub(crate) fn new(bound: Arc<Bound>, columns: Vec<bytes::Bytes>, rows: usize) -> Self {
        let of = Together {
            bound,
            columns,
            rows,
        };
        Self {
            of: Arc::new(of),
            rows: 0..rows,
        }
    }

    /// Some of the rows. To pass each small batch through the gather costs more than its rows.
    pub(crate) fn part(&self, rows: Range<usize>) -> Self {
        Self {
            of: self.of.clone(),
            rows,
        }
    }

    /// What was gathered from.
    pub(crate) fn bound(&self) -> &Bound {
        &self.of.bound
    }

    /// How many bytes go to the device.
    pub(crate) fn bytes(&self) -> usize {
        let columns = self.of.bound.columns.iter().zip(&self.of.columns);
        columns
            .map(|(bound, bytes)| self.range(bound, bytes).len())
            .sum()
    }

    /// What is uploaded of each column.
    pub(crate) fn uploads(&self) -> impl Iterator<Item = Upload> {
        let columns = self.of.bound.columns.iter().zip(&self.of.columns);
        columns.map(|(bound, bytes)| {
            let part = bytes.slice(self.range(bound, bytes));
            bound.upload(part, self.rows.len())
        })
    }

    fn range(&self, bound: &BoundColumn, bytes: &bytes::Bytes) -> Range<usize> {
        // A buffer may be longer than its rows.
        if self.rows == (0..self.of.rows) {
            return 0..bytes.len();
        }
        let row_bytes = bound.column.row_bytes();
        self.rows.start * row_bytes..self.rows.end * row_bytes
    }
}

/// The rows as a range, if each follows the one before it.
fn range_of(rows: &[usize]) -> Option<Range<usize>> {
    let (first, last) = (*rows.first()?, *rows.last()?);
    // Most batches that are shuffled are told by their ends.
    let may_be = last.checked_sub(first) == Some(rows.len() - 1);
    let follow = || rows.windows(2).all(|pair| pair[0] + 1 == pair[1]);
    (may_be && follow()).then(|| first..last + 1)
}
