//! One row of a dataset: a handle, until someone asks for its values.

use std::fmt;
use std::sync::Arc;

use burn_npy_core::half::{bf16, f16};
use burn_npy_core::ndarray::ArrayD;
use burn_npy_core::{Column, DType, Element, Error, ErrorClass, F8E4M3FN, F8E5M2, Result};

use crate::bindings::Bindings;

/// The columns of a dataset, by name.
#[derive(Debug, Default)]
pub(crate) struct Columns {
    names: Vec<String>,
    columns: Vec<Column>,
    /// What batchers have made of them.
    pub(crate) bindings: Bindings,
}

impl Columns {
    pub(crate) fn push(&mut self, name: String, column: Column) {
        self.names.push(name);
        self.columns.push(column);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Column)> {
        self.names.iter().map(String::as_str).zip(&self.columns)
    }

    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    pub(crate) fn get(&self, name: &str) -> Result<&Column> {
        self.iter()
            .find(|(known, _)| *known == name)
            .map(|(_, column)| column)
            .ok_or_else(|| {
                Error::new(
                    ErrorClass::Name,
                    format!("no such column; there are {}", self.names.join(", ")),
                )
                .in_array(name)
            })
    }
}

/// A row of an [`NpyDataset`](crate::NpyDataset): what `Dataset::get` gives.
///
/// It is an index and a shared pointer, so Burn's own transforms and loaders pass it around at no
/// cost. An [`NpyBatcher`](crate::NpyBatcher) gathers many rows at once; [`get`](Self::get) and
/// [`value`](Self::value) are for looking at one.
#[derive(Clone)]
pub struct Row {
    pub(crate) columns: Arc<Columns>,
    pub(crate) index: usize,
}

impl Row {
    /// The number of the row in its files, whatever was skipped or split off; after
    /// [`windows`](crate::NpyDataset::windows), that of the window.
    pub fn index(&self) -> usize {
        self.index
    }

    /// The names of the columns.
    pub fn names(&self) -> &[String] {
        self.columns.names()
    }

    /// A value of a known type, converted as the dataset says; its shape is that of one row.
    ///
    /// # Errors
    ///
    /// [`ErrorClass::Name`] if there is no such column, [`ErrorClass::Dtype`] if it is not of type
    /// `T`, [`ErrorClass::Changed`] if the file changed, and what the file system says.
    pub fn get<T: Element>(&self, column: &str) -> Result<ArrayD<T>> {
        self.columns
            .get(column)?
            .row(self.index)
            .map_err(|error| error.in_array(column))
    }

    /// A value of whatever type the column has.
    ///
    /// # Errors
    ///
    /// Those of [`get`](Self::get).
    pub fn value(&self, column: &str) -> Result<Value> {
        Value::of(self.columns.get(column)?, self.index).map_err(|error| error.in_array(column))
    }
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for (name, column) in self.columns.iter() {
            match Value::of(column, self.index) {
                Ok(value) => map.entry(&name, &format_args!("{value}")),
                Err(error) => map.entry(&name, &error),
            };
        }
        map.finish()
    }
}

macro_rules! values {
    ($($dtype:ident($element:ty),)*) => {
        /// A value of a row, in the type of its column.
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        pub enum Value {
            $(
                #[doc = concat!("Elements of the type `", stringify!($element), "`.")]
                $dtype(ArrayD<$element>),
            )*
        }

        impl Value {
            fn of(column: &Column, row: usize) -> Result<Self> {
                match column.dtype() {
                    $(DType::$dtype => column.row(row).map(Self::$dtype),)*
                    other => Err(Error::new(ErrorClass::Dtype, format!("{other} has no value"))),
                }
            }

            /// The type of the elements.
            pub fn dtype(&self) -> DType {
                match self {
                    $(Self::$dtype(_) => DType::$dtype,)*
                }
            }

            /// The shape; empty for a single number.
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
    F8E4M3FN(F8E4M3FN),
    F8E5M2(F8E5M2),
}
