//! Arithmetic on rows that were cast, and the floats that it runs in.

#![deny(unsafe_code)]

use bytemuck::Pod;
use half::{bf16, f16};

use crate::convert::{Arith, bf16_from_f64, f16_from_f64};

/// A float that arithmetic steps run in.
pub(super) trait Float:
    Pod
    + std::ops::Add<Output = Self>
    + std::ops::Sub<Output = Self>
    + std::ops::Mul<Output = Self>
    + std::ops::Div<Output = Self>
{
    fn from_f64(value: f64) -> Self;

    /// The nearest whole number, of two the even one.
    fn round(self) -> Self;

    /// Without its fraction.
    fn trunc(self) -> Self;
}

macro_rules! floats {
    ($($float:ty, $from_f64:expr, $wide:ty;)*) => {$(
        impl Float for $float {
            fn from_f64(value: f64) -> Self {
                $from_f64(value)
            }

            fn round(self) -> Self {
                Self::from_f64(<$wide>::from(self).round_ties_even().into())
            }

            fn trunc(self) -> Self {
                Self::from_f64(<$wide>::from(self).trunc().into())
            }
        }
    )*};
}

floats! {
    f16, f16_from_f64, f32;
    bf16, bf16_from_f64, f32;
    f32, |value| value as f32, f32;
    f64, |value| value, f64;
}

/// One step over whole rows, in place.
pub(super) fn arithmetic<T: Float>(arith: &Arith, out: &mut [T]) {
    match arith {
        Arith::Multiply(a) => {
            let a = T::from_f64(*a);
            out.iter_mut().for_each(|x| *x = *x * a);
        }
        Arith::Add(a) => {
            let a = T::from_f64(*a);
            out.iter_mut().for_each(|x| *x = *x + a);
        }
        Arith::Divide(a) => {
            let a = T::from_f64(*a);
            out.iter_mut().for_each(|x| *x = *x / a);
        }
        Arith::Round => out.iter_mut().for_each(|x| *x = x.round()),
        Arith::Trunc => out.iter_mut().for_each(|x| *x = x.trunc()),
        Arith::Normalize { inner, channels } => {
            let inner = *inner;
            if inner == 0 {
                return;
            }
            let channels: Vec<_> = channels
                .iter()
                .map(|(mean, std)| (T::from_f64(*mean), T::from_f64(*std)))
                .collect();
            for pixels in out.chunks_exact_mut(inner * channels.len()) {
                for (run, &(mean, std)) in pixels.chunks_exact_mut(inner).zip(&channels) {
                    run.iter_mut().for_each(|x| *x = (*x - mean) / std);
                }
            }
        }
    }
}
