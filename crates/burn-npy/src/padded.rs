//! Rows of any length in a batch: padded to the longest of the batch, their lengths, and where they
//! are padded.

use std::sync::Arc;

use burn::tensor::kind::Kind;
use burn::tensor::{AllocationProperty, BoolStore, Bytes, DType as TensorDType, TensorData};
use burn_npy_core::{
    Array, Convert, DType, Error, ErrorKind, Result,
    file::{Buffer, Column, RaggedColumn},
    internal::{self, Draws},
};

use crate::layout::explain;
use crate::pool::{Pool, PooledBuffer};
use crate::upload::Upload;

/// What a tensor gets of rows of any length.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    /// Their items, and an element where there is none.
    Items { padding: Vec<u8> },
    /// How many items they have, as integers of a dtype.
    Lengths(DType),
    /// Whether an item is padding.
    MaskPad,
}

/// A tensor of a batch that is made of rows of any length.
#[derive(Clone, Debug)]
pub(crate) struct PaddedTensor {
    pub(crate) name: String,
    pub(crate) column: RaggedColumn,
    pub(crate) content: Content,
    /// The dtype of the tensor.
    pub(crate) dtype: TensorDType,
    /// The dtype of the device, if the batcher casts to it from another.
    pub(crate) cast_to: Option<DType>,
}

/// The memory of such a tensor, and its shape.
#[derive(Clone, Debug)]
pub(crate) struct PaddedRows {
    bytes: bytes::Bytes,
    shape: Vec<usize>,
    dtype: TensorDType,
}

impl PaddedRows {
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn upload(&self) -> Upload {
        let bytes = Bytes::from_shared(self.bytes.clone(), AllocationProperty::Other);
        TensorData::from_bytes(bytes, self.shape.clone(), self.dtype).into()
    }
}

impl PaddedTensor {
    /// The length that rows are padded to. It is at least 1, since not every backend and layer
    /// takes a tensor without elements.
    pub(crate) fn longest(&self, rows: impl Iterator<Item = usize>) -> usize {
        let lengths = rows.map(|row| self.column.length(row));
        lengths.fold(1, usize::max)
    }

    /// The shape of rows that are padded to a length.
    fn row_shape(&self, length: usize) -> Vec<usize> {
        match self.content {
            Content::Items { .. } => {
                let items = self.column.item_shape().iter().copied();
                std::iter::once(length).chain(items).collect()
            }
            Content::Lengths(_) => Vec::new(),
            Content::MaskPad => vec![length],
        }
    }

    /// The shape of rows, in which `None` is their length.
    pub(crate) fn kind(&self) -> Vec<Option<usize>> {
        let mut shape: Vec<_> = self.row_shape(0).into_iter().map(Some).collect();
        if let Some(length) = shape.first_mut() {
            *length = None;
        }
        shape
    }

    /// The size in bytes of rows that are padded to a length.
    fn bytes_of(&self, length: usize, rows: usize) -> Result<usize> {
        let each = match self.content {
            Content::Items { .. } => return self.column.bytes_of(length, rows),
            Content::Lengths(dtype) => Some(dtype.size()),
            Content::MaskPad => Some(length),
        };
        let too_large = || Error::new(ErrorKind::Overflow, "a batch beyond all memory");
        let bytes = each.and_then(|each| each.checked_mul(rows));
        bytes.ok_or_else(too_large)
    }

    /// At least the size in bytes of the largest batch of some rows, each with the most rows that a
    /// batch with it may have.
    pub(crate) fn batch_bytes(&self, rows: impl Iterator<Item = (usize, usize)>) -> usize {
        // In each batch, the others are padded to one of its rows.
        let bytes = rows.map(|(row, most)| self.bytes_of(self.column.length(row).max(1), most));
        bytes
            .map(|bytes| bytes.unwrap_or(usize::MAX))
            .max()
            .unwrap_or(0)
    }

    /// Memory for rows that are padded to a length.
    pub(crate) fn buffer(
        &self,
        pool: &Arc<Pool>,
        length: usize,
        rows: usize,
    ) -> Result<PooledBuffer> {
        let bytes = self.bytes_of(length, rows);
        let buffer = bytes.and_then(|bytes| pool.take(bytes));
        buffer.map_err(|error| error.in_column(&self.name))
    }

    /// How many transforms, one after the other, make a row that is in the tensor.
    pub(crate) fn depth(&self) -> u64 {
        match self.content {
            Content::Items { .. } => internal::ragged_depth(&self.column),
            _ => 0,
        }
    }

    /// Writes rows to their places in the memory of a batch.
    pub(crate) fn write(
        &self,
        (rows, draws): (&[usize], Draws<'_>),
        place: impl Fn(usize) -> usize,
        length: usize,
        out: &mut [u8],
    ) -> Result<()> {
        let written = match &self.content {
            Content::Items { padding } => {
                let room = length * self.column.item_bytes();
                let place = |index| place(index) * room..(place(index) + 1) * room;
                internal::gather_ragged(&self.column, rows, draws, place, padding, out)
            }
            Content::Lengths(dtype) => {
                let size = dtype.size();
                let mut write = |(index, row): (usize, &usize)| {
                    let out = &mut out[place(index) * size..][..size];
                    write_integer(self.column.length(*row), *dtype, out)
                };
                rows.iter().enumerate().try_for_each(&mut write)
            }
            Content::MaskPad => {
                for (index, row) in rows.iter().enumerate() {
                    let (data, rest) = out[place(index) * length..][..length]
                        .split_at_mut(self.column.length(*row));
                    data.fill(0);
                    rest.fill(1);
                }
                Ok(())
            }
        };
        written.map_err(|error| explain(error, &self.name, self.cast_to))
    }

    pub(crate) fn finish(&self, buffer: PooledBuffer, length: usize, rows: usize) -> PaddedRows {
        let row_shape = self.row_shape(length);
        PaddedRows {
            bytes: buffer.into_shared(),
            shape: std::iter::once(rows).chain(row_shape).collect(),
            dtype: self.dtype,
        }
    }

    /// Rows in memory of a pool.
    pub(crate) fn gather(
        &self,
        pool: &Arc<Pool>,
        rows: &[usize],
        draws: Draws<'_>,
    ) -> Result<PaddedRows> {
        let length = self.longest(rows.iter().copied());
        let mut buffer = self.buffer(pool, length, rows.len())?;
        self.write((rows, draws), |index| index, length, buffer.as_mut_slice())?;
        Ok(self.finish(buffer, length, rows.len()))
    }

    /// The columns of the items, if the tensor has them.
    pub(crate) fn items(&self) -> &[Column] {
        match self.content {
            Content::Items { .. } => internal::items(&self.column),
            _ => &[],
        }
    }

    pub(crate) fn readahead_rows(&self) -> usize {
        match self.content {
            Content::Items { .. } => internal::readahead_ragged_rows(&self.column),
            _ => 0,
        }
    }

    /// Returns whether there was room for all rows.
    pub(crate) fn readahead(&self, rows: &[usize]) -> bool {
        !matches!(self.content, Content::Items { .. })
            || internal::readahead_ragged(&self.column, rows)
    }
}

/// The dtype of a mask.
pub(crate) const MASK: TensorDType = TensorDType::Bool(BoolStore::Native);

/// An element of a dtype, or an error if the dtype does not have the number.
pub(crate) fn element(number: f64, dtype: DType) -> Result<Vec<u8>> {
    let refuse = || {
        let message = format!(
            "{dtype} has no {number} for the padding; choose another number with \
             #[batch(pad = ..)], or convert the column"
        );
        Error::new(ErrorKind::Usage, message)
    };
    if dtype == DType::Bool && number != 0.0 && number != 1.0 {
        return Err(refuse());
    }
    let made = Column::new(Array::from(vec![number]))?.convert(Convert::new().cast(dtype))?;
    let mut element = Buffer::zeroed(dtype.size())?;
    made.gather(&[0], element.as_mut_slice())
        .map_err(|_| refuse())?;
    // A float that is too large becomes infinite.
    let again = made.convert(Convert::to::<f64>())?.row::<f64>(0)?;
    if again[[]].is_finite() != number.is_finite() {
        return Err(refuse());
    }
    Ok(element.as_slice().to_vec())
}

/// Writes a length as an integer of a dtype.
fn write_integer(length: usize, dtype: DType, out: &mut [u8]) -> Result<()> {
    macro_rules! write {
        ($($dtype:ident $type:ty,)*) => {
            match dtype {
                $(DType::$dtype => <$type>::try_from(length)
                    .ok()
                    .map(|length| out.copy_from_slice(&length.to_ne_bytes())),)*
                _ => None,
            }
        };
    }
    let written = write! {
        I8 i8, I16 i16, I32 i32, I64 i64, U8 u8, U16 u16, U32 u32, U64 u64,
    };
    written.ok_or_else(|| {
        let message = format!("a row has {length} items, a number that {dtype} does not have");
        Error::new(ErrorKind::Value, message)
    })
}

/// What a field with lengths or a mask must be.
pub(crate) fn check_spec(content: &Content, kind: Kind, rank: usize) -> Result<()> {
    let (wanted, found) = match content {
        Content::Items { .. } => return Ok(()),
        Content::Lengths(_) => ("Tensor<1, Int>", (kind, rank) == (Kind::Int, 1)),
        Content::MaskPad => ("Tensor<2, Bool>", (kind, rank) == (Kind::Bool, 2)),
    };
    if found {
        return Ok(());
    }
    let what = match content {
        Content::MaskPad => "mask_pad",
        _ => "lengths",
    };
    let message = format!("a field with #[batch({what} = ..)] is a {wanted}");
    Err(Error::new(ErrorKind::Shape, message))
}

#[cfg(test)]
mod tests {
    use burn_npy_core::half::f16;

    use super::*;

    #[test]
    fn a_padding_is_a_number_of_the_dtype() {
        assert_eq!(element(-100.0, DType::I8).unwrap(), (-100_i8).to_ne_bytes());
        assert_eq!(element(0.5, DType::F32).unwrap(), 0.5_f32.to_ne_bytes());
        assert_eq!(
            element(-0.1, DType::F16).unwrap(),
            f16::from_f64(-0.1).to_ne_bytes()
        );
        assert_eq!(element(1.0, DType::Bool).unwrap(), [1]);
        for (number, dtype) in [
            (-100.0, DType::U8),
            (128.0, DType::I8),
            (0.5, DType::I64),
            (1e19, DType::I64),
            (2.0, DType::Bool),
            (70_000.0, DType::F16),
            (1e39, DType::F32),
        ] {
            let error = element(number, dtype).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage);
            let message = format!("{dtype} has no {number} for the padding");
            assert!(error.message().starts_with(&message), "{error}");
        }
    }

    #[test]
    fn a_length_that_the_integers_of_the_device_do_not_have_is_an_error() {
        let mut out = [0; 2];
        write_integer(300, DType::I16, &mut out).unwrap();
        assert_eq!(out, 300_i16.to_ne_bytes());
        let error = write_integer(40_000, DType::I16, &mut out).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Value);
    }
}
