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
}

/// A float that a cast is fused with.
pub(super) trait Fused: Float + std::ops::Neg<Output = Self> {
    const ONE: Self;

    /// `self * a + b`, rounded once.
    fn mul_add(self, a: Self, b: Self) -> Self;
}

macro_rules! fused {
    ($($float:ty),*) => {$(
        impl Fused for $float {
            const ONE: Self = 1.0;

            #[inline(always)]
            fn mul_add(self, a: Self, b: Self) -> Self {
                <$float>::mul_add(self, a, b)
            }
        }
    )*};
}

fused!(f32, f64);

impl Float for f16 {
    fn from_f64(value: f64) -> Self {
        f16_from_f64(value)
    }
}

impl Float for bf16 {
    fn from_f64(value: f64) -> Self {
        bf16_from_f64(value)
    }
}

impl Float for f32 {
    fn from_f64(value: f64) -> Self {
        value as f32
    }
}

impl Float for f64 {
    fn from_f64(value: f64) -> Self {
        value
    }
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
