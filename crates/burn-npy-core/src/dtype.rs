//! What an element is, how its bytes are ordered, and how the axes lie in memory.

use std::fmt;
use std::str::FromStr;

use crate::{Error, ErrorClass, Result};

/// The type of the elements of an array or a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DType {
    /// One byte, 0 or 1; NumPy's `bool`.
    Bool,
    /// NumPy's `int8`.
    I8,
    /// NumPy's `int16`.
    I16,
    /// NumPy's `int32`.
    I32,
    /// NumPy's `int64`.
    I64,
    /// NumPy's `uint8`.
    U8,
    /// NumPy's `uint16`.
    U16,
    /// NumPy's `uint32`.
    U32,
    /// NumPy's `uint64`.
    U64,
    /// IEEE 754 binary16; NumPy's `float16`.
    F16,
    /// IEEE 754 binary32; NumPy's `float32`.
    F32,
    /// IEEE 754 binary64; NumPy's `float64`.
    F64,
    /// The upper half of an `f32`; `bfloat16` of `ml_dtypes`. NumPy files do not tell it from opaque
    /// bytes, so it is never found, only asked for; see [`Array::reinterpret`](crate::Array::reinterpret).
    BF16,
    /// `float8_e4m3fn` of `ml_dtypes`; as [`BF16`](Self::BF16), only asked for. It can be cast from, not to.
    F8E4M3FN,
    /// `float8_e5m2` of `ml_dtypes`; as [`BF16`](Self::BF16), only asked for. It can be cast from, not to.
    F8E5M2,
}

impl DType {
    /// Every dtype.
    pub const ALL: [Self; 15] = [
        Self::Bool,
        Self::I8,
        Self::I16,
        Self::I32,
        Self::I64,
        Self::U8,
        Self::U16,
        Self::U32,
        Self::U64,
        Self::F16,
        Self::F32,
        Self::F64,
        Self::BF16,
        Self::F8E4M3FN,
        Self::F8E5M2,
    ];

    /// The size of an element in bytes.
    pub const fn size(self) -> usize {
        match self {
            Self::Bool | Self::I8 | Self::U8 | Self::F8E4M3FN | Self::F8E5M2 => 1,
            Self::I16 | Self::U16 | Self::F16 | Self::BF16 => 2,
            Self::I32 | Self::U32 | Self::F32 => 4,
            Self::I64 | Self::U64 | Self::F64 => 8,
        }
    }

    /// The name that NumPy or `ml_dtypes` gives the dtype, such as `float32`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::I8 => "int8",
            Self::I16 => "int16",
            Self::I32 => "int32",
            Self::I64 => "int64",
            Self::U8 => "uint8",
            Self::U16 => "uint16",
            Self::U32 => "uint32",
            Self::U64 => "uint64",
            Self::F16 => "float16",
            Self::F32 => "float32",
            Self::F64 => "float64",
            Self::BF16 => "bfloat16",
            Self::F8E4M3FN => "float8_e4m3fn",
            Self::F8E5M2 => "float8_e5m2",
        }
    }

    /// Whether the dtype is a float.
    pub const fn is_float(self) -> bool {
        self.computes() || matches!(self, Self::F8E4M3FN | Self::F8E5M2)
    }

    /// Whether the dtype is an integer; `bool` is not.
    pub const fn is_int(self) -> bool {
        !self.is_float() && !matches!(self, Self::Bool)
    }

    /// The least and the greatest value of an integer.
    pub(crate) const fn int_range(self) -> Option<(i128, i128)> {
        Some(match self {
            Self::I8 => (i8::MIN as i128, i8::MAX as i128),
            Self::I16 => (i16::MIN as i128, i16::MAX as i128),
            Self::I32 => (i32::MIN as i128, i32::MAX as i128),
            Self::I64 => (i64::MIN as i128, i64::MAX as i128),
            Self::U8 => (0, u8::MAX as i128),
            Self::U16 => (0, u16::MAX as i128),
            Self::U32 => (0, u32::MAX as i128),
            Self::U64 => (0, u64::MAX as i128),
            _ => return None,
        })
    }

    /// Whether there is arithmetic in the dtype.
    pub(crate) const fn computes(self) -> bool {
        matches!(self, Self::F16 | Self::BF16 | Self::F32 | Self::F64)
    }

    /// Whether other dtypes can be cast to it.
    pub(crate) const fn can_be_made(self) -> bool {
        !matches!(self, Self::F8E4M3FN | Self::F8E5M2)
    }

    /// NumPy's spelling in a header, such as `<f4` or `|u1`. The types of `ml_dtypes` are opaque to
    /// NumPy, which spells them `<V2` and `<V1`.
    pub fn descr(self, byte_order: ByteOrder) -> String {
        let (code, marked) = match self {
            Self::Bool => ('b', self.size() > 1),
            Self::I8 | Self::I16 | Self::I32 | Self::I64 => ('i', self.size() > 1),
            Self::U8 | Self::U16 | Self::U32 | Self::U64 => ('u', self.size() > 1),
            Self::F16 | Self::F32 | Self::F64 => ('f', true),
            Self::BF16 | Self::F8E4M3FN | Self::F8E5M2 => ('V', true),
        };
        let order = if marked { byte_order.mark() } else { '|' };
        format!("{order}{code}{}", self.size())
    }

    /// The dtype of a code in a `descr`, such as `f4`.
    pub(crate) fn from_code(code: &str) -> Option<Self> {
        Some(match code {
            "b1" => Self::Bool,
            "i1" => Self::I8,
            "i2" => Self::I16,
            "i4" => Self::I32,
            "i8" => Self::I64,
            "u1" => Self::U8,
            "u2" => Self::U16,
            "u4" => Self::U32,
            "u8" => Self::U64,
            "f2" => Self::F16,
            "f4" => Self::F32,
            "f8" => Self::F64,
            _ => return None,
        })
    }
}

/// The dtype of a [`name`](DType::name), such as `bfloat16`.
impl FromStr for DType {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|dtype| dtype.name() == name)
            .ok_or_else(|| {
                let known = Self::ALL.map(Self::name).join(", ");
                let name = abbreviated(name);
                Error::new(
                    ErrorClass::Dtype,
                    format!("no dtype {name:?}; there are {known}"),
                )
            })
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The order of the bytes of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ByteOrder {
    /// Least significant byte first.
    Little,
    /// Most significant byte first.
    Big,
}

impl ByteOrder {
    /// The order of the machine that runs this code.
    pub const NATIVE: Self = if cfg!(target_endian = "big") {
        Self::Big
    } else {
        Self::Little
    };

    /// How a `descr` marks the order.
    pub(crate) const fn mark(self) -> char {
        match self {
            Self::Little => '<',
            Self::Big => '>',
        }
    }
}

/// How the axes of an array lie in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layout {
    /// The last axis varies fastest: a row is contiguous.
    C,
    /// The first axis varies fastest: a row is strided.
    Fortran,
}

/// The start of a text that came from a file, short enough for a message.
pub(crate) fn abbreviated(text: &str) -> String {
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dtype_reads_back_what_it_writes() {
        for dtype in DType::ALL {
            assert_eq!(dtype.name().parse::<DType>().unwrap(), dtype);
            let descr = dtype.descr(ByteOrder::Big);
            let code = DType::from_code(&descr[1..]);
            assert_eq!(code, (!descr.contains('V')).then_some(dtype));
            assert_eq!(descr.starts_with('|'), dtype.size() == 1 && code.is_some());
        }
        let error = "complex64".parse::<DType>().unwrap_err();
        assert!(error.message().contains("there are bool"), "{error}");
    }
}
