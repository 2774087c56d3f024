//! The 8-bit floats of the OCP specification, which `ml_dtypes` brings to NumPy.
//!
//! They are read, never made: nothing here rounds to them. The formats are those of [OCP 8-bit Floating
//! Point Specification 1.0](https://www.opencompute.org/documents/ocp-8-bit-floating-point-specification-ofp8-revision-1-0-2023-12-01-pdf-1).

use std::fmt;

use bytemuck::{Pod, Zeroable};
use half::f16;

/// `float8_e4m3fn`: 4 bits of exponent, 3 of mantissa, no infinities; at most 448.
#[derive(Clone, Copy, Default, PartialEq, Zeroable, Pod)]
#[repr(transparent)]
pub struct F8E4M3FN(u8);

/// `float8_e5m2`: 5 bits of exponent, 2 of mantissa; the upper half of an `f16`.
#[derive(Clone, Copy, Default, PartialEq, Zeroable, Pod)]
#[repr(transparent)]
pub struct F8E5M2(u8);

impl F8E4M3FN {
    /// The same value as an `f32`, which holds it exactly.
    #[inline]
    pub fn to_f32(self) -> f32 {
        let magnitude = u32::from(self.0 & 0x7f);
        if magnitude == 0x7f {
            return f32::NAN;
        }
        // The bits in the place of an f32's are the value over 2^120, subnormal or not: the exponents
        // differ in their bias, 7 against 127.
        let scaled = f32::from_bits(magnitude << 20) * 2f32.powi(120);
        if self.0 & 0x80 != 0 { -scaled } else { scaled }
    }
}

impl F8E5M2 {
    /// The same value as an `f32`, which holds it exactly.
    #[inline]
    pub fn to_f32(self) -> f32 {
        f16::from_bits(u16::from(self.0) << 8).to_f32()
    }
}

macro_rules! alike {
    ($($float:ident),*) => {$(
        impl $float {
            /// The value with these bits.
            pub const fn from_bits(bits: u8) -> Self {
                Self(bits)
            }

            /// The bits.
            pub const fn to_bits(self) -> u8 {
                self.0
            }
        }

        impl From<$float> for f32 {
            fn from(value: $float) -> Self {
                value.to_f32()
            }
        }

        impl fmt::Display for $float {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.to_f32(), f)
            }
        }

        impl fmt::Debug for $float {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.to_f32(), f)
            }
        }
    )*};
}

alike!(F8E4M3FN, F8E5M2);

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition: sign, exponent and mantissa, one by one.
    fn naive(bits: u8, mantissa_bits: u32, bias: i32) -> f64 {
        let magnitude = u32::from(bits & 0x7f);
        let exponent = (magnitude >> mantissa_bits) as i32;
        let fraction =
            f64::from(magnitude & ((1 << mantissa_bits) - 1)) / f64::from(1 << mantissa_bits);
        let value = match exponent {
            0 => fraction * 2f64.powi(1 - bias),
            _ => (1.0 + fraction) * 2f64.powi(exponent - bias),
        };
        if bits & 0x80 != 0 { -value } else { value }
    }

    #[test]
    fn every_value_is_the_one_of_the_specification() {
        for bits in 0..=255 {
            let e4m3 = F8E4M3FN::from_bits(bits).to_f32();
            match bits & 0x7f {
                0x7f => assert!(e4m3.is_nan()),
                _ => assert_eq!(f64::from(e4m3).to_bits(), naive(bits, 3, 7).to_bits()),
            }
            let e5m2 = F8E5M2::from_bits(bits).to_f32();
            match bits & 0x7f {
                0x7c => assert!(e5m2.is_infinite() && e5m2.is_sign_negative() == (bits > 127)),
                0x7d.. => assert!(e5m2.is_nan()),
                _ => assert_eq!(f64::from(e5m2).to_bits(), naive(bits, 2, 15).to_bits()),
            }
        }
        assert_eq!(F8E4M3FN::from_bits(0x7e).to_string(), "448");
    }
}
