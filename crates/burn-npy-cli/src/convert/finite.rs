//! Finds finite numbers that became infinite in a cast to a smaller float.

use std::ops::Range;

use burn_npy_core::internal::visit;
use burn_npy_core::{
    Convert, DType, Error, ErrorKind, Result,
    file::{Buffer, Column},
};

use crate::open::locate;

/// The numbers before a cast to a float, as `float64`, in which every finite number is finite.
#[derive(Clone, Debug)]
pub(crate) struct Finite {
    source: Column,
    target: DType,
}

impl Finite {
    /// `None` if nothing finite can become infinite.
    pub(crate) fn new(source: &Column, target: DType) -> Result<Option<Self>> {
        if infinity(target).is_none() || source.dtype() == target {
            return Ok(None);
        }
        Ok(Some(Self {
            source: source.clone().convert(Convert::new().cast(DType::F64))?,
            target,
        }))
    }

    /// The rows of one array after the other, some of which may have been cast from nothing.
    pub(crate) fn chain(parts: Vec<(Column, Option<Self>)>) -> Result<Option<Self>> {
        let Some(target) = parts
            .iter()
            .find_map(|(_, finite)| Some(finite.as_ref()?.target))
        else {
            return Ok(None);
        };
        let source = parts.into_iter().map(|(column, finite)| match finite {
            Some(finite) => Ok(finite.source),
            None => column.convert(Convert::new().cast(DType::F64)),
        });
        Ok(Some(Self {
            source: Column::chain(source.collect::<Result<Vec<_>>>()?)?,
            target,
        }))
    }

    /// Checks rows after the cast, or a part of the first axis of each.
    pub(crate) fn check(
        &self,
        rows: &[usize],
        part: Option<Range<usize>>,
        cast: &[u8],
    ) -> Result<()> {
        let size = self.target.size();
        let row_bytes = cast.len() / rows.len().max(1);
        if row_bytes == 0 {
            return Ok(());
        }
        let pairs = rows.iter().zip(cast.chunks_exact(row_bytes));
        let infinite = pairs.filter(|(_, row)| has_infinity(row, self.target));
        let (rows, cast): (Vec<usize>, Vec<&[u8]>) = infinite.unzip();
        if rows.is_empty() {
            return Ok(());
        }
        let (mut source, mut first) = (self.source.clone(), 0);
        if let Some(part) = part {
            let axis = source.row_shape()[0];
            first = part.start * (source.row_bytes() / 8 / axis);
            source = source.slice(part)?;
        }
        let mut numbers = Buffer::zeroed(rows.len() * source.row_bytes())?;
        source.gather(&rows, numbers.as_mut_slice())?;
        let before = numbers.as_slice().chunks_exact(source.row_bytes());
        for ((row, before), cast) in rows.into_iter().zip(before).zip(cast) {
            let pairs = before.as_chunks().0.iter().zip(cast.chunks_exact(size));
            for (element, (number, cast)) in pairs.enumerate() {
                let number = f64::from_ne_bytes(*number);
                if number.is_finite() && has_infinity(cast, self.target) {
                    return Err(self.error(row, first + element, number));
                }
            }
        }
        Ok(())
    }

    fn error(&self, row: usize, element: usize, number: f64) -> Error {
        let elements = self.source.row_bytes() / 8;
        let element = match elements {
            1 => String::new(),
            _ => format!(", element {element},"),
        };
        let why = format!(
            "has {number:?}, but {} has no finite number as large; cast to a dtype that has it, or \
             take infinity with --saturate",
            self.target
        );
        let mut found = None;
        let looked = visit(&self.source, &[row], &mut |column, rows| {
            let (array, row) = (column.array(), rows[0]);
            let place = match array.file() {
                Some(_) => format!("row {row} of the file"),
                None => format!("row {row}"),
            };
            let message = format!("{place}{element} {why}");
            found = Some(locate(array, Error::new(ErrorKind::Value, message)));
            Ok(())
        });
        let place = || Error::new(ErrorKind::Value, format!("row {row}{element} {why}"));
        looked.err().or(found).unwrap_or_else(place)
    }
}

/// The bits of infinity in a dtype smaller than `float64`.
fn infinity(dtype: DType) -> Option<u32> {
    match dtype {
        DType::F16 => Some(0x7c00),
        DType::BF16 => Some(0x7f80),
        DType::F32 => Some(0x7f80_0000),
        _ => None,
    }
}

fn has_infinity(numbers: &[u8], dtype: DType) -> bool {
    let Some(infinity) = infinity(dtype) else {
        return false;
    };
    match dtype.size() {
        2 => numbers
            .as_chunks()
            .0
            .iter()
            .any(|number| u32::from(u16::from_ne_bytes(*number) & 0x7fff) == infinity),
        _ => numbers
            .as_chunks()
            .0
            .iter()
            .any(|number| u32::from_ne_bytes(*number) & 0x7fff_ffff == infinity),
    }
}
