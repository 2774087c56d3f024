//! The Rust types that an element can be.

use bytemuck::{CheckedBitPattern, NoUninit, Pod, Zeroable};
use half::f16;

use crate::DType;

mod sealed {
    pub trait Sealed {}
}

/// A Rust type of an element: `bool`, `i8` to `i64`, `u8` to `u64`, [`struct@f16`], `f32` and `f64`.
///
/// The trait is sealed: the kernels are written for these types.
pub trait Element:
    sealed::Sealed
    + NoUninit
    + CheckedBitPattern
    + Default
    + PartialEq
    + std::fmt::Debug
    + Send
    + Sync
    + 'static
{
    /// The dtype of the type.
    const DTYPE: DType;

    /// How the kernels see the bytes of the type; a `bool` is any byte.
    #[doc(hidden)]
    type Stored: Scalar + Into<Self>;
}

/// What the kernels read and write: a type of which every bit pattern is a value.
#[doc(hidden)]
pub trait Scalar: Pod + PartialEq + Send + Sync {
    /// The value from bytes in the machine's order.
    fn load(bytes: &[u8]) -> Self;
}

/// A `bool` as NumPy stores it: zero is false, every other byte is true.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Zeroable, Pod)]
#[repr(transparent)]
pub struct Bit(u8);

impl Bit {
    pub(crate) fn new(value: bool) -> Self {
        Self(value.into())
    }

    pub(crate) fn get(self) -> bool {
        self.0 != 0
    }
}

impl From<Bit> for bool {
    fn from(bit: Bit) -> Self {
        bit.get()
    }
}

macro_rules! elements {
    ($($element:ty, $stored:ty, $dtype:ident;)*) => {$(
        impl sealed::Sealed for $element {}

        impl Element for $element {
            const DTYPE: DType = DType::$dtype;
            type Stored = $stored;
        }

        impl Scalar for $stored {
            #[inline(always)]
            fn load(bytes: &[u8]) -> Self {
                bytemuck::pod_read_unaligned(bytes)
            }
        }
    )*};
}

elements! {
    bool, Bit, Bool;
    i8, i8, I8;
    i16, i16, I16;
    i32, i32, I32;
    i64, i64, I64;
    u8, u8, U8;
    u16, u16, U16;
    u32, u32, U32;
    u64, u64, U64;
    f16, f16, F16;
    f32, f32, F32;
    f64, f64, F64;
}

/// Runs `$body` with `$stored` as the stored type of the dtype `$dtype`.
macro_rules! with_stored {
    ($dtype:expr, $stored:ident => $body:expr) => {{
        use $crate::DType;
        match $dtype {
            DType::Bool => {
                type $stored = $crate::element::Bit;
                $body
            }
            DType::I8 => {
                type $stored = i8;
                $body
            }
            DType::I16 => {
                type $stored = i16;
                $body
            }
            DType::I32 => {
                type $stored = i32;
                $body
            }
            DType::I64 => {
                type $stored = i64;
                $body
            }
            DType::U8 => {
                type $stored = u8;
                $body
            }
            DType::U16 => {
                type $stored = u16;
                $body
            }
            DType::U32 => {
                type $stored = u32;
                $body
            }
            DType::U64 => {
                type $stored = u64;
                $body
            }
            DType::F16 => {
                type $stored = half::f16;
                $body
            }
            DType::F32 => {
                type $stored = f32;
                $body
            }
            DType::F64 => {
                type $stored = f64;
                $body
            }
        }
    }};
}
pub(crate) use with_stored;
