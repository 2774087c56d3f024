//! A row of a dataset, which is a handle: values are copied on request.

use std::fmt;
use std::sync::Arc;

use burn_npy_core::half::{bf16, f16};
use burn_npy_core::internal::{WORDS, quoted};
use burn_npy_core::ndarray::ArrayD;
use burn_npy_core::{DType, Error, ErrorKind, Result, file::Element, ml_dtypes, small_types};

use crate::dataset::AnyColumn;
pub(crate) use crate::dataset::Columns;

/// A row of an [`NpyDataset`](crate::NpyDataset), which `Dataset::get` returns.
///
/// It consists of an index and a shared pointer, so Burn's transforms and loaders can pass it
/// around cheaply. An [`NpyBatcher`](crate::NpyBatcher) gathers the values of many rows at once.
/// [`get`](Self::get) and [`value`](Self::value) are for a look at a single one.
#[derive(Clone)]
pub struct Row {
    pub(crate) columns: Arc<Columns>,
    /// The file row.
    pub(crate) index: usize,
}

impl Row {
    /// The index of the row in its files, whatever was skipped or split off. After
    /// [`windows`](crate::NpyDataset::windows) it is the row at which the window begins.
    pub fn index(&self) -> usize {
        self.index
    }

    /// The names of the columns.
    pub fn names(&self) -> &[String] {
        self.columns.names()
    }

    /// The value of a column as an array of `T`, after the conversions of the dataset. Its shape is
    /// that of one row.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Name`] if there is no such column, [`ErrorKind::Dtype`] if its dtype is not
    /// that of `T`, [`ErrorKind::Changed`] if the file has changed, and [`ErrorKind::Io`] from the
    /// file system.
    pub fn get<T: Element>(&self, column: &str) -> Result<ArrayD<T>> {
        self.columns.any(column)?.row(column, self.index)
    }

    /// The value of a column, whatever its dtype is.
    ///
    /// # Errors
    ///
    /// Those of [`get`](Self::get).
    pub fn value(&self, column: &str) -> Result<Value> {
        Value::of(self.columns.any(column)?, column, self.index)
    }
}

/// The values of the first columns.
impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for (name, column) in self.columns.iter().take(WORDS) {
            map.key(&format_args!("{}", quoted(name)));
            match column {
                AnyColumn::Opaque(_) => map.value(&format_args!("{column}")),
                column => match Value::of(column, name, self.index) {
                    Ok(value) => map.value(&format_args!("{value}")),
                    Err(error) => map.value(&error),
                },
            };
        }
        if self.columns.names().len() > WORDS {
            return map.finish_non_exhaustive();
        }
        map.finish()
    }
}

macro_rules! values {
    ($($dtype:ident($element:ty),)*) => {
        /// The value of a column in one row.
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        pub enum Value {
            $(
                #[doc = concat!("Elements of the type `", stringify!($element), "`.")]
                $dtype(ArrayD<$element>),
            )*
        }

        impl Value {
            fn of(column: &AnyColumn, name: &str, row: usize) -> Result<Self> {
                match column.dtype(name)? {
                    $(DType::$dtype => column.row(name, row).map(Self::$dtype),)*
                    other => {
                        let message = format!("{other} has no value");
                        Err(Error::new(ErrorKind::Dtype, message).in_column(name))
                    }
                }
            }

            /// The dtype of the elements.
            pub fn dtype(&self) -> DType {
                match self {
                    $(Self::$dtype(_) => DType::$dtype,)*
                }
            }

            /// The shape of the array; empty for a single number.
            pub fn shape(&self) -> &[usize] {
                match self {
                    $(Self::$dtype(array) => array.shape(),)*
                }
            }
        }

        impl fmt::Display for Value {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$dtype(array) => fmt::Display::fmt(array, f),)*
                }
            }
        }
    };
}

macro_rules! all_values {
    ($($(#[$doc:meta])* $name:ident $text:literal $value:ident $format:expr;)*) => {
        values! {
            Bool(bool),
            I8(i8),
            I16(i16),
            I32(i32),
            I64(i64),
            U8(u8),
            U16(u16),
            U32(u32),
            U64(u64),
            F16(f16),
            F32(f32),
            F64(f64),
            BF16(bf16),
            $($name(ml_dtypes::$name),)*
        }
    };
}
small_types!(all_values);
