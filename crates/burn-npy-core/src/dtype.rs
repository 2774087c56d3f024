//! Dtypes, byte order and memory layout.

use std::fmt;
use std::str::FromStr;

use crate::message::quoted;
use crate::ml_dtypes::{Format, Special};
use crate::{Error, ErrorKind, Result, small_types};

macro_rules! dtypes {
    ($($(#[$doc:meta])* $small:ident $text:literal $value:ident $format:expr;)*) => {
        /// The type of the elements of an array or a column.
        ///
        /// The dtypes from [`BF16`](Self::BF16) on are those of
        /// [`ml_dtypes`](https://github.com/jax-ml/ml_dtypes). For most of them, `np.save` writes
        /// only the size of an element into the header, so you have to name the dtype with
        /// [`Array::reinterpret`](crate::Array::reinterpret). Two headers do name it: `bfloat16`,
        /// and `<f1`, which `np.save` writes for `float8_e5m2`. The one-byte dtypes can be cast
        /// from, but not to.
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
            /// The upper half of an `f32`; `bfloat16` of `ml_dtypes`.
            BF16,
            $(
                #[doc = concat!("`", $text, "` of `ml_dtypes`, of one byte:")]
                $(#[$doc])*
                $small,
            )*
        }

        impl DType {
            /// Every dtype.
            pub const ALL: &'static [Self] = &[
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
                $(Self::$small,)*
            ];

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
                    $(Self::$small => $text,)*
                }
            }

            /// The format of a one-byte dtype of `ml_dtypes`; `None` for others.
            pub(crate) const fn small(self) -> Option<Format> {
                match self {
                    $(Self::$small => Some($format),)*
                    _ => None,
                }
            }
        }
    };
}
small_types!(dtypes);

impl DType {
    /// The size of an element in bytes.
    pub const fn size(self) -> usize {
        match self {
            Self::I16 | Self::U16 | Self::F16 | Self::BF16 => 2,
            Self::I32 | Self::U32 | Self::F32 => 4,
            Self::I64 | Self::U64 | Self::F64 => 8,
            // Bool, I8, U8, and the one-byte types of `ml_dtypes`.
            _ => 1,
        }
    }

    /// Whether the dtype is a float.
    pub const fn is_float(self) -> bool {
        match self.small() {
            Some(format) => format.is_float(),
            None => self.computes(),
        }
    }

    /// Whether the dtype is an integer; `bool` is not.
    pub const fn is_int(self) -> bool {
        !self.is_float() && !matches!(self, Self::Bool)
    }

    /// The smallest and the largest value of an integer dtype; `None` for others.
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
            _ => match self.small() {
                Some(format) => return format.int_range(),
                None => return None,
            },
        })
    }

    /// Whether conversions can do arithmetic in the dtype.
    pub(crate) const fn computes(self) -> bool {
        matches!(self, Self::F16 | Self::BF16 | Self::F32 | Self::F64)
    }

    /// Whether other dtypes can be cast to it.
    pub(crate) const fn can_be_made(self) -> bool {
        self.small().is_none()
    }

    /// Whether it is a dtype of `ml_dtypes`, for which NumPy itself has no name.
    pub(crate) const fn is_of_ml_dtypes(self) -> bool {
        matches!(self, Self::BF16) || self.small().is_some()
    }

    /// The dtype as the `descr` of a header, such as `<f4` or `|u1`. The dtypes of `ml_dtypes` are
    /// opaque to NumPy, so they are `<V2` and `<V1`.
    pub fn descr(self, byte_order: ByteOrder) -> String {
        let (code, marked) = match self {
            Self::F16 | Self::F32 | Self::F64 => ('f', true),
            Self::U8 | Self::U16 | Self::U32 | Self::U64 => ('u', self.size() > 1),
            Self::I8 | Self::I16 | Self::I32 | Self::I64 => ('i', self.size() > 1),
            Self::Bool => ('b', self.size() > 1),
            // The dtypes of `ml_dtypes`.
            _ => ('V', true),
        };
        let order = if marked { byte_order.mark() } else { '|' };
        format!("{order}{code}{}", self.size())
    }

    /// The dtype of a letter and a size in bytes, such as `f` and 4, in a `descr`.
    pub(crate) fn from_code(letter: char, size: usize) -> Option<Self> {
        Some(match (letter, size) {
            ('b', 1) => Self::Bool,
            ('i', 1) => Self::I8,
            ('i', 2) => Self::I16,
            ('i', 4) => Self::I32,
            ('i', 8) => Self::I64,
            ('u', 1) => Self::U8,
            ('u', 2) => Self::U16,
            ('u', 4) => Self::U32,
            ('u', 8) => Self::U64,
            // Not a code of NumPy, but `np.save` writes it for `float8_e5m2`.
            ('f', 1) => Self::F8E5M2,
            ('f', 2) => Self::F16,
            ('f', 4) => Self::F32,
            ('f', 8) => Self::F64,
            _ => return None,
        })
    }

    /// The dtype of a [`name`](Self::name).
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        let is_it = |dtype: &&Self| dtype.name() == name;
        Self::ALL.iter().find(is_it).copied()
    }
}

/// The dtype of a [`name`](DType::name), such as `bfloat16`.
impl FromStr for DType {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::from_name(name).ok_or_else(|| {
            let known: Vec<_> = Self::ALL.iter().map(|dtype| dtype.name()).collect();
            let (name, known) = (quoted(name), known.join(", "));
            Error::new(
                ErrorKind::Dtype,
                format!("no dtype {name}; there are {known}"),
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

    /// The mark for the order in a `descr`.
    pub(crate) const fn mark(self) -> char {
        match self {
            Self::Little => '<',
            Self::Big => '>',
        }
    }
}

/// The memory layout of the axes of an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layout {
    /// The last axis varies fastest: a row is contiguous.
    C,
    /// The first axis varies fastest: a row is strided.
    Fortran,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dtype_reads_back_what_it_writes() {
        for &dtype in DType::ALL {
            assert_eq!(dtype.name().parse::<DType>().unwrap(), dtype);
            let descr = dtype.descr(ByteOrder::Big);
            let code = DType::from_code(char::from(descr.as_bytes()[1]), dtype.size());
            assert_eq!(code, (!descr.contains('V')).then_some(dtype));
            assert_eq!(descr.starts_with('|'), dtype.size() == 1 && code.is_some());
            assert_eq!(code.is_none(), dtype.is_of_ml_dtypes());
        }
        let error = "complex64".parse::<DType>().unwrap_err();
        assert!(error.message().contains("there are bool"), "{error}");
    }

    #[test]
    fn a_dtype_is_a_bool_a_float_or_an_integer() {
        for &dtype in DType::ALL {
            let kinds = [dtype == DType::Bool, dtype.is_float(), dtype.is_int()];
            let names = [
                dtype.name() == "bool",
                dtype.name().contains("float"),
                dtype.name().contains("int"),
            ];
            assert_eq!(kinds, names, "{dtype}");
        }
    }
}
