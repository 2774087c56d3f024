//! Casts from the small types of `ml_dtypes`, as tables.

use std::sync::Arc;

use crate::DType;
use crate::convert::Cast;
use crate::element::with_made;

/// How many values a byte can have.
pub(crate) const BYTES: usize = 256;

/// What each byte of a small type becomes as another dtype.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Table {
    /// The values, in the byte order of the machine.
    pub(crate) values: Arc<[u8]>,
}

impl Table {
    /// The table of a cast from a small type to a float, to `bool`, or to an integer that has all
    /// values; `None` for a cast from another type.
    pub(crate) fn new(from: DType, to: DType) -> Option<Self> {
        let format = from.small()?;
        let mut values = Vec::with_capacity(BYTES * to.size());
        with_made!(to, To => for byte in 0..=u8::MAX {
            let made: To = format.value(byte).cast();
            values.extend(bytemuck::bytes_of(&made));
        }, return None);
        Some(Self {
            values: values.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_casts_from_small_types_have_a_table() {
        assert_eq!(Table::new(DType::U8, DType::F32), None);
        assert_eq!(Table::new(DType::I4, DType::I2), None);
        for &to in DType::ALL.iter().filter(|dtype| dtype.can_be_made()) {
            let table = Table::new(DType::F8E5M2, to).unwrap();
            assert_eq!(table.values.len(), BYTES * to.size());
        }
    }

    #[test]
    fn values_are_those_of_the_casts_of_an_f32() {
        for &from in DType::ALL {
            let Some(format) = from.small() else { continue };
            for &to in DType::ALL.iter().filter(|dtype| dtype.can_be_made()) {
                let table = Table::new(from, to).unwrap();
                with_made!(to, To => for byte in 0..=255_u8 {
                    let expected: To = format.value(byte).cast();
                    let found = &table.values[usize::from(byte) * to.size()..][..to.size()];
                    assert_eq!(found, bytemuck::bytes_of(&expected), "{from} {byte} {to}");
                }, unreachable!());
            }
        }
    }
}
