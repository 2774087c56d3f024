//! The Rust types of elements.

use bytemuck::{CheckedBitPattern, NoUninit, Pod, Zeroable};
use half::{bf16, f16};

use crate::{DType, ml_dtypes, small_types};

mod sealed {
    pub trait Sealed {}
}

/// A Rust type of an element: `bool`, `i8` to `i64`, `u8` to `u64`, [`struct@f16`], `f32`, `f64`,
/// [`struct@bf16`], or one of the one-byte types in [`ml_dtypes`](crate::ml_dtypes).
///
/// The trait is sealed, since the kernels are written for these types.
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

    /// The type that the kernels use for the bytes. It differs for `bool`, which may be any byte.
    #[doc(hidden)]
    type Stored: Scalar + Into<Self>;
}

/// A type that the kernels read and write. Every bit pattern is a value of it.
#[doc(hidden)]
pub trait Scalar: Pod + PartialEq + Send + Sync {
    /// Whether it is `f16`. Processors have an instruction that widens eight of these at a time.
    const IS_HALF: bool;

    /// Reads a value from bytes in the byte order of the machine.
    fn load(bytes: &[u8]) -> Self;
}

/// A `bool` as NumPy stores it: zero is false, and every other byte is true.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Zeroable, Pod)]
#[repr(transparent)]
pub struct BoolByte(u8);

impl BoolByte {
    pub(crate) fn new(value: bool) -> Self {
        Self(value.into())
    }

    pub(crate) fn get(self) -> bool {
        self.0 != 0
    }
}

impl From<BoolByte> for bool {
    fn from(byte: BoolByte) -> Self {
        byte.get()
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
            const IS_HALF: bool = matches!(DType::$dtype, DType::F16);

            #[inline(always)]
            fn load(bytes: &[u8]) -> Self {
                bytemuck::pod_read_unaligned(bytes)
            }
        }
    )*};
}

elements! {
    bool, BoolByte, Bool;
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
    bf16, bf16, BF16;
}

macro_rules! small_elements {
    ($($(#[$doc:meta])* $name:ident $text:literal $value:ident $format:expr;)*) => {
        elements! { $(ml_dtypes::$name, ml_dtypes::$name, $name;)* }
    };
}
small_types!(small_elements);

/// Runs `$body` with `$stored` as the stored type of `$dtype`, if other dtypes can be cast to it.
/// Otherwise it runs `$other`: the one-byte types are converted by a table of all bytes.
macro_rules! with_made {
    ($dtype:expr, $stored:ident => $body:expr, $other:expr) => {
        $crate::element::with_made!(@each $dtype, $stored, $body, $other,
            Bool $crate::element::BoolByte, I8 i8, I16 i16, I32 i32, I64 i64, U8 u8, U16 u16,
            U32 u32, U64 u64, F16 half::f16, F32 f32, F64 f64, BF16 half::bf16)
    };
    (@each $dtype:expr, $stored:ident, $body:expr, $other:expr, $($name:ident $type:ty),*) => {
        match $dtype {
            $($crate::DType::$name => {
                type $stored = $type;
                $body
            })*
            _ => $other,
        }
    };
}

/// As [`with_made`], but only for the dtypes that measurements come in, on which batches are
/// computed. `i64` is one of them, since it is NumPy's default for integers.
macro_rules! with_measured {
    ($dtype:expr, $stored:ident => $body:expr, $other:expr) => {
        $crate::element::with_made!(@each $dtype, $stored, $body, $other,
            I8 i8, I16 i16, I32 i32, I64 i64, U8 u8, U16 u16, F16 half::f16, F32 f32, F64 f64,
            BF16 half::bf16)
    };
}

/// As [`with_made`], but only for the numbers whose casts to integers are guarded.
macro_rules! with_guarded {
    ($dtype:expr, $stored:ident => $body:expr, $other:expr) => {
        $crate::element::with_made!(@each $dtype, $stored, $body, $other,
            I8 i8, I16 i16, I32 i32, I64 i64, U8 u8, U16 u16, U32 u32, U64 u64,
            F16 half::f16, F32 f32, F64 f64, BF16 half::bf16)
    };
}
pub(crate) use {with_guarded, with_made, with_measured};
