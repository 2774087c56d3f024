//! The conversion of bytes as a table, for a device whose arithmetic may round in another way.

use ndarray::Array2;

use super::Column;
use crate::convert::{Arith, Guard, Stage};
use crate::{Array, Buffer, Result};

/// How many values a byte has.
const VALUES: usize = 256;
/// How many channels a table may have. With more it would be as large as a batch.
const MAX_CHANNELS: usize = 256;

/// The results of a conversion for all 256 values of a byte, and for each channel.
///
/// The byte `b`, as element `i` of a stored row, becomes value `(i / inner % channels) * 256 + b`
/// of the table, bit for bit as [`Column::gather`] would convert it.
#[derive(Debug)]
pub struct ByteTable {
    /// The values in the dtype of the column, channel by channel.
    pub values: Buffer,
    /// How many channels there are; 1 if all elements are converted alike.
    pub channels: usize,
    /// How many neighbours in a row belong to the same channel; 1 if all elements are converted
    /// alike.
    pub inner: usize,
}

impl Column {
    /// The conversion of the column as a table, for rows that are stored in bytes. With
    /// [`unconverted`](Self::unconverted) rows and the table, the conversion can be done later and
    /// elsewhere.
    ///
    /// `None` if the rows are stored in wider numbers, are not converted, are normalized along
    /// several axes or for more than 256 channels, or become integers that do not have all values.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Limit`](crate::ErrorKind::Limit) when the allocator refuses.
    pub(crate) fn byte_table(&self) -> Result<Option<ByteTable>> {
        let guarded = |stage: &Stage| stage.guard != Guard::None;
        if self.numbers.dtype.size() != 1
            || self.stages.stages.is_empty()
            || self.stages.stages.iter().any(guarded)
        {
            return Ok(None);
        }
        let mut stages = self.stages.clone();
        let mut found = None;
        for arith in stages.stages.iter_mut().flat_map(|stage| &mut stage.arith) {
            if let Arith::Normalize { inner, channels } = arith {
                let axis = (channels.len(), *inner);
                if *found.get_or_insert(axis) != axis {
                    return Ok(None);
                }
                // In the table each channel has all values of a byte.
                *inner = VALUES;
            }
        }
        let (channels, inner) = found.unwrap_or((1, 1));
        if channels > MAX_CHANNELS {
            return Ok(None);
        }
        // One row, which has all values of a byte, channel by channel.
        let all = Array2::from_shape_fn((1, channels * VALUES), |(_, i)| i as u8);
        let mut table = Self::new(Array::from(all))?;
        table.numbers.dtype = self.numbers.dtype;
        table.stages = stages;
        let mut values = Buffer::zeroed(table.row_bytes())?;
        table.gather(&[0], values.as_mut_slice())?;
        Ok(Some(ByteTable {
            values,
            channels,
            inner,
        }))
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;

    use super::*;
    use crate::{Convert, DType};

    /// Rows gathered with the conversion, and without it but through the table.
    fn both_ways(column: &Column) -> [Vec<u8>; 2] {
        let rows = [2, 0, 1];
        let gather = |column: &Column| {
            let mut out = Buffer::zeroed(rows.len() * column.row_bytes()).unwrap();
            column.gather(&rows, out.as_mut_slice()).unwrap();
            out
        };
        let table = column.byte_table().unwrap().unwrap();
        let bytes = gather(&column.clone().unconverted());
        let size = column.dtype().size();
        let row_len = column.row_len();
        let looked_up = bytes.as_slice().iter().enumerate().flat_map(|(i, byte)| {
            let channel = i % row_len / table.inner % table.channels;
            &table.values.as_slice()[(channel * 256 + usize::from(*byte)) * size..][..size]
        });
        [
            gather(column).as_slice().to_vec(),
            looked_up.copied().collect(),
        ]
    }

    #[test]
    fn the_table_is_the_conversion() {
        let images = Array3::from_shape_fn((3, 256, 3), |(i, y, x)| (i * 7 + y + x * 50) as u8);
        let signed = images.mapv(|x| x as i8);
        let to = |dtype| Convert::new().cast(dtype);
        let conversions = [
            to(DType::F32).divide(255.0),
            to(DType::F32).scale(0.1).offset(-0.5),
            to(DType::F16).scale(3.0),
            to(DType::F64).divide(3.0).cast(DType::F32),
            to(DType::BF16),
            to(DType::I32),
            to(DType::I64),
            to(DType::F32)
                .divide(255.0)
                .normalize_axis(1, &[0.4, 0.5, 0.6], &[0.2, 0.3, 0.4]),
        ];
        for array in [Array::from(images), signed.into()] {
            let column = Column::new(array).unwrap();
            for convert in &conversions {
                let column = column.clone().convert(convert.clone()).unwrap();
                let [gathered, looked_up] = both_ways(&column);
                assert!(gathered == looked_up, "{convert:?}");
            }
            let first = to(DType::F32).normalize(&[7.0; 256], &[0.3; 256]);
            let column = column.clone().convert(first.clone()).unwrap();
            let [gathered, looked_up] = both_ways(&column.reshape(&[3, 256]).unwrap());
            assert!(gathered == looked_up);
        }
    }

    #[test]
    fn floats_of_bytes_and_bools_have_tables_too() {
        let bytes = Array3::from_shape_fn((3, 16, 16), |(i, y, x)| (i * 80 + y * 16 + x) as u8);
        let small = DType::ALL.iter().filter(|dtype| dtype.small().is_some());
        for &dtype in small.chain([&DType::Bool]) {
            let mut column = Column::new(bytes.clone().into()).unwrap();
            column.numbers.dtype = dtype;
            column.stages = super::super::Stages::new(dtype);
            let column = column.convert(Convert::to::<f32>()).unwrap();
            let [gathered, looked_up] = both_ways(&column);
            assert!(gathered == looked_up, "{dtype}");
        }
    }

    #[test]
    fn what_is_no_table() {
        let column = |convert: &Convert| {
            let array = Array3::<u8>::zeros((2, 300, 3));
            let column = Column::new(array.into()).unwrap();
            column
                .convert(convert.clone())
                .unwrap()
                .byte_table()
                .unwrap()
        };
        let float = Convert::to::<f32>();
        assert!(column(&Convert::new()).is_none());
        let many = float.clone().normalize(&[0.0; 300], &[1.0; 300]);
        assert!(column(&many).is_none());
        let few = float.normalize_axis(1, &[0.0; 3], &[1.0; 3]);
        assert!(column(&few).is_some());
        let twice = few.normalize(&[0.0; 300], &[1.0; 300]);
        assert!(column(&twice).is_none());
        // A value that does not fit is an error of its row, which a table cannot give.
        assert!(column(&Convert::to::<i8>()).is_none());
        assert!(column(&Convert::to::<i16>()).is_some());
        let wide = Column::new(vec![1_u16].into()).unwrap();
        let wide = wide.convert(Convert::to::<f32>()).unwrap();
        assert!(wide.byte_table().unwrap().is_none());
    }
}
