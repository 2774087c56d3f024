//! What is written: an array of a file, or what is made of a table of text or of images, as rows.

use std::ops::Range;

use burn_npy_core::internal::dense_layout;
use burn_npy_core::{
    Array, Convert, DType, Error, ErrorKind, Result, Sampler,
    file::{Buffer, ByteOrder, Column, ItemKind, Layout},
    order,
};

use super::finite::Finite;
use super::images::Images;
use crate::open::locate;
use crate::table;

/// A cast to another dtype.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cast {
    pub(crate) dtype: DType,
    pub(crate) saturates: bool,
    pub(crate) rounds: bool,
}

/// An array that is written.
#[derive(Debug)]
pub(crate) struct Table {
    /// Where it comes from, as it is printed.
    pub(crate) label: String,
    /// Its name in an archive, or that of its file.
    pub(crate) name: String,
    /// As it is printed.
    pub(crate) dtype: String,
    /// As it stands in the header, with quotes or brackets.
    pub(crate) descr: String,
    /// The axes that NumPy counts.
    pub(crate) shape: Vec<usize>,
    /// The size of a row in bytes.
    pub(crate) row_bytes: usize,
    pub(crate) rows: Rows,
    /// What no cast may make infinite.
    pub(crate) finite: Option<Finite>,
}

#[derive(Debug)]
pub(crate) enum Rows {
    /// Numbers, and items that consist of numbers.
    Column(Box<Column>),
    /// Structures, in C layout.
    Structures(Box<Array>),
    Images(Images),
}

impl Table {
    /// An array of a file, as it is or cast.
    pub(crate) fn new(
        label: String,
        name: String,
        array: &Array,
        cast: Option<Cast>,
    ) -> Result<Self> {
        let refuse = |message: String| Err(locate(array, Error::new(ErrorKind::Usage, message)));
        let item = array.item();
        let (mut dtype, mut descr) = (table::dtype(item), native(&item.to_string()));
        let column = |array: &Array| match array.shape() {
            [] => Column::whole(array),
            _ => Column::new(array.clone()),
        };
        let mut finite = None;
        let rows = match (item.kind(), cast) {
            (ItemKind::Struct(_), None) => {
                if dense_layout(array) != Some(Layout::C) {
                    return refuse(
                        "structures that do not lie one after the other in C layout; convert \
                         their fields, each as FILE:FIELD"
                            .to_owned(),
                    );
                }
                Rows::Structures(array.clone().into())
            }
            (ItemKind::Struct(_), Some(_)) => {
                let names: Vec<_> = array.fields().into_iter().map(|(name, _)| name).collect();
                let names = names.join(", ");
                return refuse(format!(
                    "structures have no dtype to cast; name a field as FILE:FIELD: {names}"
                ));
            }
            (ItemKind::Opaque(_), None) => {
                let bytes = column(&array.clone().reinterpret(DType::U8)?)?;
                Rows::Column(bytes.unconverted().into())
            }
            (ItemKind::Number(number, _), None) => {
                let column = column(array)?;
                descr = number.descr(ByteOrder::NATIVE);
                dtype = number.name().to_owned();
                Rows::Column(column.into())
            }
            (kind, None) => {
                // Written in the byte order of the machine, in which they are read.
                dtype = match kind {
                    ItemKind::Complex(DType::F32, _) => "complex64".to_owned(),
                    ItemKind::Complex(DType::F64, _) => "complex128".to_owned(),
                    _ => native(&dtype),
                };
                Rows::Column(column(array)?.unconverted().into())
            }
            (ItemKind::Number(..) | ItemKind::Opaque(_), Some(cast)) => {
                let column = column(array)?;
                if !cast.saturates {
                    finite = Finite::new(&column, cast.dtype)?;
                }
                let mut convert = Convert::new();
                if cast.rounds && column.dtype().is_float() {
                    convert = match column.dtype() {
                        DType::F64 | DType::F32 => convert.round(),
                        // Each of them is a float32.
                        _ => convert.cast(DType::F32).round(),
                    };
                }
                convert = match cast.saturates {
                    true => convert.saturating_cast(cast.dtype),
                    false => convert.cast(cast.dtype),
                };
                descr = cast.dtype.descr(ByteOrder::NATIVE);
                dtype = cast.dtype.name().to_owned();
                Rows::Column(column.convert(convert)?.into())
            }
            (_, Some(_)) => return refuse(format!("items of {item} cannot be cast")),
        };
        let row_bytes = match &rows {
            Rows::Column(column) => column.row_bytes(),
            _ => array.shape().iter().skip(1).product::<usize>() * item.size(),
        };
        Ok(Self {
            label,
            name,
            dtype,
            descr: match &rows {
                Rows::Structures(_) => descr,
                _ => format!("'{descr}'"),
            },
            shape: array.shape().to_vec(),
            row_bytes,
            rows,
            finite,
        })
    }

    /// How many rows there are. An array without axes is one.
    pub(crate) fn len(&self) -> usize {
        self.shape.first().copied().unwrap_or(1)
    }

    /// The rows of one array after the other.
    pub(crate) fn chain(tables: Vec<Self>, name: &str) -> Result<Self, String> {
        let mut columns = Vec::new();
        let mut finite = Vec::new();
        let mut labels = Vec::new();
        let mut len = 0_usize;
        let mut first: Option<(String, String, Vec<usize>)> = None;
        for table in tables {
            let label = table.label;
            let (_, dtype, shape) = first.get_or_insert_with(|| {
                (
                    table.descr.clone(),
                    table.dtype.clone(),
                    table.shape.clone(),
                )
            });
            let (Some((rows, row)), [_, expected @ ..]) = (table.shape.split_first(), &shape[..])
            else {
                return Err(format!("{label}: an array without axes has no rows"));
            };
            if table.dtype != *dtype {
                return Err(format!(
                    "{label}: {}, but {} is {dtype}; --dtype makes them the same",
                    table.dtype, labels[0]
                ));
            }
            if row != expected {
                return Err(format!(
                    "{label}: rows of shape {}, but those of {} have {}",
                    table::shape(row),
                    labels[0],
                    table::shape(expected)
                ));
            }
            let Rows::Column(column) = table.rows else {
                return Err(format!("{label}: only numbers can be put together"));
            };
            len = len.checked_add(*rows).ok_or("too many rows")?;
            finite.push((Column::clone(&column), table.finite));
            columns.push(*column);
            labels.push(label);
        }
        let (descr, dtype, mut shape) = first.ok_or("no arrays")?;
        shape[0] = len;
        let column = Column::chain(columns).map_err(|error| error.to_string())?;
        let finite = Finite::chain(finite).map_err(|error| error.to_string())?;
        Ok(Self {
            label: labels.join(" + "),
            name: name.to_owned(),
            dtype,
            descr,
            shape,
            row_bytes: column.row_bytes(),
            rows: Rows::Column(column.into()),
            finite,
        })
    }

    /// Reads rows one after the other into memory, or a part of the first axis of each.
    pub(crate) fn read(
        &self,
        rows: &[usize],
        part: Option<Range<usize>>,
        out: &mut [u8],
    ) -> Result<()> {
        match (&self.rows, part.clone()) {
            (Rows::Column(column), None) => column.gather(rows, out),
            (Rows::Column(column), Some(part)) => {
                let cut = Column::clone(column).slice(part)?;
                cut.gather(rows, out)
                    .map_err(|error| in_row(column, &cut, rows, error))
            }
            (Rows::Structures(array), _) => {
                let runs = rows.chunk_by(|a, b| a + 1 == *b);
                let mut out = &mut out[..];
                for run in runs {
                    let (head, rest) = out.split_at_mut(run.len() * self.row_bytes);
                    array.read_bytes(run[0] * self.row_bytes, head)?;
                    out = rest;
                }
                Ok(())
            }
            (Rows::Images(images), _) => images.read(rows, out),
        }?;
        match &self.finite {
            Some(finite) => finite.check(rows, part, out),
            None => Ok(()),
        }
    }
}

/// The error of a cut row, with the element as it is counted in the whole row.
fn in_row(column: &Column, cut: &Column, rows: &[usize], error: Error) -> Error {
    let gather = |column: &Column, row: usize| {
        let mut out = Buffer::zeroed(column.row_bytes())?;
        column.gather(&[row], out.as_mut_slice())
    };
    let wrong = rows.iter().find(|row| gather(cut, **row).is_err());
    let whole = wrong.and_then(|row| gather(column, *row).err());
    whole.unwrap_or(error)
}

/// A dtype in the byte order of the machine, as numbers are written.
fn native(descr: &str) -> String {
    let mark = if cfg!(target_endian = "little") {
        '<'
    } else {
        '>'
    };
    match descr.strip_prefix(['<', '>']) {
        Some(code) if !code.starts_with('V') => format!("{mark}{code}"),
        _ => descr.to_owned(),
    }
}

/// The rows that are chosen, in their order.
#[derive(Debug)]
pub(crate) struct Order {
    first: usize,
    len: usize,
    shuffled: Option<order::Order>,
}

impl Order {
    /// Those of a range, and with a seed in the order of the first epoch of [`Sampler::shuffled`].
    pub(crate) fn new(rows: Range<usize>, seed: Option<u64>) -> Self {
        let len = rows.len();
        Self {
            first: rows.start,
            len,
            shuffled: seed.map(|seed| Sampler::shuffled(seed).order(len as u64, 0)),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The rows at some positions of the order.
    pub(crate) fn rows(&self, positions: Range<usize>) -> Vec<usize> {
        match &self.shuffled {
            None => (self.first + positions.start..self.first + positions.end).collect(),
            Some(order) => {
                let rows = order.rows(positions.start as u64..positions.end as u64);
                rows.map(|row| self.first + row as usize).collect()
            }
        }
    }
}
