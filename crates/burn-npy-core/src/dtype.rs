//! What an element is, how its bytes are ordered, and how the axes lie in memory.

use std::fmt;

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
}

impl DType {
    /// Every dtype.
    pub const ALL: [Self; 12] = [
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
    ];

    /// The size of an element in bytes.
    pub const fn size(self) -> usize {
        match self {
            Self::Bool | Self::I8 | Self::U8 => 1,
            Self::I16 | Self::U16 | Self::F16 => 2,
            Self::I32 | Self::U32 | Self::F32 => 4,
            Self::I64 | Self::U64 | Self::F64 => 8,
        }
    }

    /// The name that NumPy gives the dtype, such as `float32`.
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
        }
    }

    /// Whether the dtype is a float.
    pub const fn is_float(self) -> bool {
        matches!(self, Self::F16 | Self::F32 | Self::F64)
    }

    /// Whether the dtype is an integer; `bool` is not.
    pub const fn is_int(self) -> bool {
        !self.is_float() && !matches!(self, Self::Bool)
    }

    /// NumPy's spelling in a header, such as `<f4` or `|u1`.
    pub fn descr(self, byte_order: ByteOrder) -> String {
        let code = match self {
            Self::Bool => 'b',
            Self::I8 | Self::I16 | Self::I32 | Self::I64 => 'i',
            Self::U8 | Self::U16 | Self::U32 | Self::U64 => 'u',
            Self::F16 | Self::F32 | Self::F64 => 'f',
        };
        let order = match byte_order {
            _ if self.size() == 1 => '|',
            ByteOrder::Little => '<',
            ByteOrder::Big => '>',
        };
        format!("{order}{code}{}", self.size())
    }

    /// Parses the `descr` of a header: an optional byte order, a letter and a size in bytes.
    pub(crate) fn parse(descr: &str) -> Result<(Self, ByteOrder)> {
        let unsupported = |why: &str| {
            Error::new(
                ErrorClass::Dtype,
                format!(
                    "dtype {:?} {why}; expected one of b1 i1 i2 i4 i8 u1 u2 u4 u8 f2 f4 f8",
                    abbreviated(descr)
                ),
            )
        };
        let (byte_order, code) = match descr.as_bytes().first() {
            Some(b'<') => (ByteOrder::Little, &descr[1..]),
            Some(b'>') => (ByteOrder::Big, &descr[1..]),
            Some(b'=' | b'|') => (ByteOrder::NATIVE, &descr[1..]),
            _ => (ByteOrder::NATIVE, descr),
        };
        let dtype = match code {
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
            _ if code.starts_with('O') || descr == "|T16" => {
                return Err(Error::new(
                    ErrorClass::Object,
                    "the array holds Python objects, which are pickled and never loaded",
                ));
            }
            _ => {
                let known = matches!(
                    code.as_bytes().first(),
                    Some(b'c' | b'S' | b'U' | b'V' | b'M' | b'm' | b'a')
                );
                return Err(unsupported(if known {
                    "is not supported"
                } else {
                    "is unknown"
                }));
            }
        };
        Ok((dtype, byte_order))
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
            for byte_order in [ByteOrder::Little, ByteOrder::Big] {
                let (parsed, order) = DType::parse(&dtype.descr(byte_order)).unwrap();
                assert_eq!(parsed, dtype);
                assert!(dtype.size() == 1 || order == byte_order);
            }
        }
    }

    #[test]
    fn all_else_is_a_typed_error() {
        for (descr, class) in [
            ("|O", ErrorClass::Object),
            ("O8", ErrorClass::Object),
            ("<c8", ErrorClass::Dtype),
            ("<M8[ns]", ErrorClass::Dtype),
            ("", ErrorClass::Dtype),
            ("<", ErrorClass::Dtype),
            ("<<f4", ErrorClass::Dtype),
            ("<f99", ErrorClass::Dtype),
            ("\u{e9}4", ErrorClass::Dtype),
        ] {
            assert_eq!(DType::parse(descr).unwrap_err().class(), class, "{descr}");
        }
    }
}
