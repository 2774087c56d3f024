//! Casts from the small types of `ml_dtypes`: what each byte becomes.

use std::sync::Arc;

use crate::DType;
use crate::convert::Cast;
use crate::element::with_made;

/// How many values a byte has.
pub(crate) const BYTES: usize = 256;

/// What each byte of a small type becomes as another dtype.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Table {
    /// The values, in the byte order of the machine.
    pub(crate) values: Arc<[u8]>,
    /// Of which bytes the other dtype, an integer, does not have the value: a fraction, NaN, or
    /// what is outside of its range. Their `values` are those of Rust's `as`.
    #[allow(dead_code)]
    pub(crate) misfits: Arc<[bool; BYTES]>,
}

impl Table {
    /// The table of a cast; `None` if it is not one from a small type to one that can be made.
    pub(crate) fn new(from: DType, to: DType) -> Option<Self> {
        let format = from.small()?;
        let mut misfits = [false; BYTES];
        let mut values = Vec::with_capacity(BYTES * to.size());
        with_made!(to, To => for byte in 0..=u8::MAX {
            let value = format.value(byte);
            misfits[usize::from(byte)] = to.is_int() && !integer_has(to, value);
            // Integers are cast as integers, which wrap around, and floats as floats.
            let made: To = if format.is_float() { value.cast() } else { (value as i32).cast() };
            values.extend(bytemuck::bytes_of(&made));
        }, return None);
        Some(Self {
            values: values.into(),
            misfits: Arc::new(misfits),
        })
    }
}

/// Whether an integer dtype has a value.
fn integer_has(dtype: DType, value: f32) -> bool {
    let bits = 8 * dtype.size() as u32;
    let range = if dtype.is_signed() {
        -1 << (bits - 1)..1 << (bits - 1)
    } else {
        0..1_i128 << bits
    };
    // NaN and infinity have no fraction that is 0; what is beyond an i128 becomes its end.
    value.fract() == 0.0 && range.contains(&(value as i128))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(from: DType, byte: u8, to: DType) -> (i128, bool) {
        let table = Table::new(from, to).unwrap();
        let at = usize::from(byte);
        let value = with_made!(to, To => {
            let bytes = &table.values[at * size_of::<To>()..][..size_of::<To>()];
            let value: i64 = bytemuck::pod_read_unaligned::<To>(bytes).cast();
            i128::from(value)
        }, unreachable!());
        (value, table.misfits[at])
    }

    #[test]
    fn values_that_an_integer_does_not_have_are_known() {
        use DType::*;
        assert_eq!(value(I4, 0x0d, I8), (-3, false));
        assert_eq!(value(I4, 0x0d, U8), (253, true));
        assert_eq!(value(I4, 0x0d, F16), (-3, false));
        assert_eq!(value(I1, 1, I64), (-1, false));
        assert_eq!(value(U4, 0xff, I8), (15, false));
        assert_eq!(value(F8E4M3FN, 0x7e, I32), (448, false));
        assert_eq!(value(F8E4M3FN, 0x7e, I16), (448, false));
        assert_eq!(value(F8E4M3FN, 0x7e, U8), (255, true));
        assert_eq!(value(F8E4M3FN, 0x7f, U8), (0, true));
        assert_eq!(value(F4E2M1FN, 1, I32), (0, true));
        assert_eq!(value(F4E2M1FN, 8, U8), (0, false));
        assert_eq!(value(F8E5M2, 0x7c, I64), (i64::MAX.into(), true));
        assert_eq!(value(F8E5M2, 0x7c, F32), (i64::MAX.into(), false));
        // 2 to the power of 62 and of 63, and more than an i128 has.
        assert_eq!(value(F8E8M0FNU, 127 + 62, I64), (1 << 62, false));
        assert_eq!(value(F8E8M0FNU, 127 + 63, I64), (i64::MAX.into(), true));
        assert!(!value(F8E8M0FNU, 127 + 63, U64).1);
        assert!(value(F8E8M0FNU, 127 + 64, U64).1);
        assert!(value(F8E8M0FNU, 254, U64).1);
        // All but 0 is true, so nothing is amiss.
        assert_eq!(value(F8E5M2, 0x7f, Bool), (1, false));
        assert_eq!(value(F4E2M1FN, 8, Bool), (0, false));
    }

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
                if to.is_int() && !format.is_float() {
                    continue;
                }
                with_made!(to, To => for byte in 0..=255_u8 {
                    let expected: To = format.value(byte).cast();
                    let found = &table.values[usize::from(byte) * to.size()..][..to.size()];
                    assert_eq!(found, bytemuck::bytes_of(&expected), "{from} {byte} {to}");
                }, unreachable!());
            }
        }
    }
}
