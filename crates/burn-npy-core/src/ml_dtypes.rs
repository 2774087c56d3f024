//! The one-byte types that [`ml_dtypes`](https://github.com/jax-ml/ml_dtypes) adds to NumPy.
//!
//! They can be read and cast from, but not cast to. Each value takes one byte, even if the type has
//! fewer bits. All 256 bytes have a value, the same as in `ml_dtypes`. `bfloat16` takes two bytes;
//! it is [`half::bf16`](struct@half::bf16).

use std::fmt;

use bytemuck::{Pod, Zeroable};

/// Calls the macro `$with` with the types. Each has its docs, its name in Rust, its name in
/// `ml_dtypes`, the Rust type that can represent all its values, and its format.
#[doc(hidden)]
#[macro_export]
macro_rules! small_types {
    ($with:ident) => {
        $with! {
            /// 3 bits of exponent, 4 of mantissa; infinities.
            F8E3M4 "float8_e3m4" f32 Format::float(3, 4, 3, Special::Ieee);
            /// 4 bits of exponent, 3 of mantissa; infinities.
            F8E4M3 "float8_e4m3" f32 Format::float(4, 3, 7, Special::Ieee);
            /// 4 bits of exponent with a bias of 11, 3 of mantissa; no infinities, one NaN.
            F8E4M3B11FNUZ "float8_e4m3b11fnuz" f32 Format::float(4, 3, 11, Special::Fnuz);
            /// 4 bits of exponent, 3 of mantissa; no infinities; at most 448. E4M3 of the
            /// [OCP 8-bit specification][OFP8].
            ///
            /// [OFP8]: https://www.opencompute.org/documents/ocp-8-bit-floating-point-specification-ofp8-revision-1-0-2023-12-01-pdf-1
            F8E4M3FN "float8_e4m3fn" f32 Format::float(4, 3, 7, Special::Fn);
            /// 4 bits of exponent with a bias of 8, 3 of mantissa; no infinities, one NaN.
            F8E4M3FNUZ "float8_e4m3fnuz" f32 Format::float(4, 3, 8, Special::Fnuz);
            /// 5 bits of exponent, 2 of mantissa; the upper half of an `f16`.
            F8E5M2 "float8_e5m2" f32 Format::float(5, 2, 15, Special::Ieee);
            /// 5 bits of exponent with a bias of 16, 2 of mantissa; no infinities, one NaN.
            F8E5M2FNUZ "float8_e5m2fnuz" f32 Format::float(5, 2, 16, Special::Fnuz);
            /// 8 bits of exponent and nothing else: the powers of 2 from -127 to 127, and NaN.
            F8E8M0FNU "float8_e8m0fnu" f32 Format::Power;
            /// 2 bits of exponent, 3 of mantissa, in the lower 6 bits; neither infinities nor NaN.
            F6E2M3FN "float6_e2m3fn" f32 Format::float(2, 3, 1, Special::Finite);
            /// 3 bits of exponent, 2 of mantissa, in the lower 6 bits; neither infinities nor NaN.
            F6E3M2FN "float6_e3m2fn" f32 Format::float(3, 2, 3, Special::Finite);
            /// 2 bits of exponent, 1 of mantissa, in the lower 4 bits; neither infinities nor NaN.
            F4E2M1FN "float4_e2m1fn" f32 Format::float(2, 1, 1, Special::Finite);
            /// -8 to 7, in the lower 4 bits.
            I4 "int4" i8 Format::Int(4);
            /// -2 to 1, in the lower 2 bits.
            I2 "int2" i8 Format::Int(2);
            /// -1 and 0, in the lowest bit.
            I1 "int1" i8 Format::Int(1);
            /// 0 to 15, in the lower 4 bits.
            U4 "uint4" u8 Format::Uint(4);
            /// 0 to 3, in the lower 2 bits.
            U2 "uint2" u8 Format::Uint(2);
            /// 0 and 1, in the lowest bit.
            U1 "uint1" u8 Format::Uint(1);
        }
    };
}

/// How the byte of a type encodes a value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Format {
    /// A float: sign, exponent, mantissa.
    Float {
        exponent: u32,
        mantissa: u32,
        bias: i32,
        special: Special,
    },
    /// 2 to the power of the byte minus 127; 255 is NaN.
    Power,
    /// A signed integer in this number of the lower bits.
    Int(u32),
    /// An unsigned integer in this number of the lower bits.
    Uint(u32),
}

/// Which bytes of a float are infinities or NaN.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Special {
    /// Those with the highest exponent are infinities and NaN, as in IEEE 754.
    Ieee,
    /// Those with the highest exponent and mantissa are NaN.
    Fn,
    /// The byte that would be -0 is NaN.
    Fnuz,
    /// None.
    Finite,
}

impl Format {
    pub(crate) const fn float(exponent: u32, mantissa: u32, bias: i32, special: Special) -> Self {
        Self::Float {
            exponent,
            mantissa,
            bias,
            special,
        }
    }

    pub(crate) const fn is_float(self) -> bool {
        matches!(self, Self::Float { .. } | Self::Power)
    }

    /// The smallest and the largest value of an integer type; `None` for others.
    pub(crate) const fn int_range(self) -> Option<(i128, i128)> {
        match self {
            Self::Int(bits) => Some((-1 << (bits - 1), (1 << (bits - 1)) - 1)),
            Self::Uint(bits) => Some((0, (1 << bits) - 1)),
            Self::Float { .. } | Self::Power => None,
        }
    }

    /// The value of a byte. An `f32` represents the values of all types exactly.
    pub(crate) fn value(self, byte: u8) -> f32 {
        match self {
            Self::Power => match byte {
                255 => f32::NAN,
                // It is subnormal as an f32.
                0 => f32::from_bits(1 << (f32::MANTISSA_DIGITS - 2)),
                _ => power(i32::from(byte) - 127),
            },
            // Shifting up and back clears the unused bits and extends the sign.
            Self::Int(bits) => f32::from((byte << (8 - bits)) as i8 >> (8 - bits)),
            Self::Uint(bits) => f32::from(byte & (u8::MAX >> (8 - bits))),
            Self::Float {
                exponent,
                mantissa,
                bias,
                special,
            } => {
                let below_sign = (1 << (exponent + mantissa)) - 1;
                let magnitude = u32::from(byte) & below_sign;
                // In `ml_dtypes`, any bit above the magnitude makes the value negative.
                let negative = u32::from(byte) > below_sign;
                let highest = magnitude >> mantissa == (1 << exponent) - 1;
                let fraction = magnitude & ((1 << mantissa) - 1);
                let magnitude = match special {
                    // A NaN keeps its bits and becomes quiet, as when hardware casts f16 to f32.
                    Special::Ieee if highest && fraction != 0 => {
                        let shifted = fraction << (f32::MANTISSA_DIGITS - 1 - mantissa);
                        f32::from_bits(f32::NAN.to_bits() | shifted)
                    }
                    Special::Ieee if highest => f32::INFINITY,
                    Special::Fn if magnitude == below_sign => return f32::NAN,
                    Special::Fnuz if magnitude == 0 && negative => return f32::NAN,
                    _ => {
                        let exponent = (magnitude >> mantissa) as i32;
                        // A normal number has one more bit, which is not stored.
                        let unstored = u32::from(exponent > 0) << mantissa;
                        let scale = power(exponent.max(1) - bias - mantissa as i32);
                        (fraction + unstored) as f32 * scale
                    }
                };
                if negative { -magnitude } else { magnitude }
            }
        }
    }
}

/// 2 to the power of `exponent`, which must give a normal `f32`.
fn power(exponent: i32) -> f32 {
    f32::from_bits(((exponent + 127) as u32) << (f32::MANTISSA_DIGITS - 1))
}

macro_rules! define {
    ($($(#[$doc:meta])* $name:ident $text:literal $value:ident $format:expr;)*) => {$(
        #[doc = concat!("`", $text, "` of `ml_dtypes`.")]
        ///
        $(#[$doc])*
        ///
        /// Two of them are equal if their values are. Unused bits do not matter.
        #[derive(Clone, Copy, Default, Zeroable, Pod)]
        #[repr(transparent)]
        pub struct $name(u8);

        impl $name {
            /// The value that this byte encodes.
            pub const fn from_bits(bits: u8) -> Self {
                Self(bits)
            }

            /// The byte that encodes the value.
            pub const fn to_bits(self) -> u8 {
                self.0
            }

            /// The value as an `f32`, which represents it exactly.
            #[inline]
            pub fn to_f32(self) -> f32 {
                $format.value(self.0)
            }
        }

        impl From<$name> for $value {
            fn from(value: $name) -> Self {
                value.to_f32() as $value
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.to_f32() == other.to_f32()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&$value::from(*self), f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&$value::from(*self), f)
            }
        }
    )*};
}
small_types!(define);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::header;
    use crate::{Array, Column, Convert, DType, Layout};

    /// The output of `tests/small_values.py`: the name of each type and the value of each byte.
    const VALUES: &str = include_str!("../tests/small_values.txt");

    #[test]
    fn every_byte_has_the_value_of_ml_dtypes() {
        let small: Vec<_> = DType::ALL.iter().filter(|d| d.small().is_some()).collect();
        assert_eq!(VALUES.lines().count(), small.len());
        for (line, dtype) in VALUES.lines().zip(small) {
            let (name, values) = line.split_once(": ").unwrap();
            assert_eq!(name, dtype.name());
            let values: Vec<f32> = values.split(' ').map(|v| v.parse().unwrap()).collect();
            assert_eq!(values.len(), 256);
            for (byte, expected) in (0..=255).zip(values) {
                let found = dtype.small().unwrap().value(byte);
                let same = found.to_bits() == expected.to_bits();
                assert!(same || found.is_nan() && expected.is_nan(), "{name} {byte}");
            }
        }
    }

    #[test]
    fn nan_keeps_the_bits_that_an_f16_has() {
        for bits in 0..=255 {
            let half = half::f16::from_bits(u16::from(bits) << 8);
            let found = F8E5M2::from_bits(bits).to_f32();
            assert_eq!(found.to_bits(), half.to_f32().to_bits());
        }
        let nan = F8E4M3FN::from_bits(0xff).to_f32();
        assert_eq!(nan.to_bits(), f32::NAN.to_bits());
    }

    /// A file as `np.save` writes it.
    fn array(descr: &str, bytes: &[u8]) -> Array {
        let mut file = header::encode(&format!("'{descr}'"), Layout::C, &[bytes.len()]);
        file.extend(bytes);
        Array::from_bytes(file).unwrap()
    }

    #[test]
    fn what_is_saved_is_read() {
        let read = |array: Array, dtype| {
            let array = array.reinterpret(dtype).unwrap();
            let column = Column::new(array).unwrap();
            let column = column.convert(Convert::to::<f32>()).unwrap();
            (0..column.rows())
                .map(|row| column.row::<f32>(row).unwrap()[[]])
                .collect::<Vec<_>>()
        };
        let halves = [0.0, 0.5, 1.0, -2.0];
        let e5m2 = array("<f1", &[0, 0x38, 0x3c, 0xc0]);
        assert_eq!(e5m2.dtype(), Some(DType::F8E5M2));
        let elements = e5m2.read::<F8E5M2>().unwrap().mapv(f32::from);
        assert_eq!(elements.into_raw_vec_and_offset().0, halves);
        assert_eq!(read(e5m2, DType::F8E5M2), halves);
        let fnuz = array("<V1", &[0, 0x38, 0x40, 0xc8]);
        assert_eq!(fnuz.dtype(), None);
        assert_eq!(read(fnuz, DType::F8E4M3FNUZ), halves);
        let int4 = array("<V1", &[0x0d, 0x0e, 0x0f, 0, 1, 2]);
        let elements = int4.clone().reinterpret(DType::I4).unwrap().read::<I4>();
        let elements = elements.unwrap().mapv(i8::from);
        assert_eq!(elements.into_raw_vec_and_offset().0, [-3, -2, -1, 0, 1, 2]);
        assert_eq!(read(int4, DType::I4), [-3.0, -2.0, -1.0, 0.0, 1.0, 2.0]);
        let named = array("float4_e2m1fn", &[0, 1, 2, 0x0c]);
        assert_eq!(named.dtype(), Some(DType::F4E2M1FN));
        assert_eq!(read(named, DType::F4E2M1FN), halves);
        // The file of `np.save` does not tell the two types of complex numbers apart.
        let mut file = header::encode("'<W4'", Layout::C, &[1]);
        file.extend([0, 0x38, 0, 0xc0]);
        let complex = Array::from_bytes(file).unwrap();
        let complex = complex.reinterpret(DType::F16).unwrap();
        let parts = complex.read::<half::f16>().unwrap().mapv(f32::from);
        assert_eq!(parts, ndarray::array![[0.5, -2.0]].into_dyn());
    }

    #[test]
    fn long_rows_are_looked_up_too() {
        for len in [1, 7, 300, 5000] {
            let bytes = ndarray::Array2::from_shape_fn((5, len), |(i, j)| (i * 77 + j) as u8);
            let raw: Vec<u8> = bytes.iter().copied().collect();
            let mut file = header::encode("'int4'", Layout::C, &[5, len]);
            file.extend(&raw);
            let column = Column::new(Array::from_bytes(file).unwrap()).unwrap();
            let column = column.convert(Convert::to::<i16>()).unwrap();
            for row in [3, 0, 4] {
                let expected = bytes
                    .row(row)
                    .mapv(|b| i16::from(i8::from(I4::from_bits(b))));
                assert_eq!(column.row::<i16>(row).unwrap(), expected.into_dyn());
            }
        }
    }

    #[test]
    fn a_value_is_shown_and_compared_as_a_number() {
        assert_eq!(F8E4M3FN::from_bits(0x7e).to_string(), "448");
        assert_eq!(format!("{:?}", F4E2M1FN::from_bits(0x0a)), "-1.0");
        assert_eq!(
            format!("{:?} {}", I4::from_bits(0x0d), U4::from_bits(0xfd)),
            "-3 13"
        );
        assert_eq!(i8::from(I2::from_bits(0xfe)), -2);
        assert_eq!(I4::from_bits(0x3f), I4::from_bits(0x0f));
        assert_eq!(F8E5M2::from_bits(0x80), F8E5M2::from_bits(0));
        assert_ne!(F8E8M0FNU::from_bits(255), F8E8M0FNU::from_bits(255));
    }
}
