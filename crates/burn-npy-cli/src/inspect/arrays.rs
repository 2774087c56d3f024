//! What can be said of arrays from their headers.

use burn_npy_core::internal::{is_stored, is_url, shown};
use burn_npy_core::{
    Error, Result,
    file::{ItemKind, ItemType, Layout, Limits},
};

use super::table;
use crate::open::{Opened, Source};

/// What the table says of an array.
#[derive(Debug)]
pub(super) struct Facts {
    /// FILE or FILE:ARRAY.
    pub(super) label: String,
    /// The name of the array in its file.
    pub(super) name: String,
    pub(super) dtype: String,
    pub(super) shape: Vec<usize>,
    pub(super) fortran: bool,
    pub(super) nbytes: u64,
    /// The number of rows; `None` for an array without axes.
    pub(super) rows: Option<usize>,
    /// The shape of a row in a dataset, where some items have several numbers.
    pub(super) row_shape: Vec<usize>,
    /// How the loader reads it.
    pub(super) read: &'static str,
    /// Whether it is a field of the array before.
    pub(super) is_field: bool,
    /// Whether a dataset opens it as it is.
    pub(super) is_column: bool,
    /// What else a user should know.
    pub(super) notes: Vec<String>,
}

impl Facts {
    /// Leaves the name of the file out of the label, if there is another.
    pub(super) fn shorten(&mut self) {
        if !self.name.is_empty() {
            self.label = shown(&self.name);
        }
    }
}

/// The arrays of a file, and their fields. Calls `failed` with the error of each array that cannot
/// be read.
pub(super) fn of(opened: &Opened, failed: &mut dyn FnMut(Error)) -> Vec<Facts> {
    let mut found = Vec::new();
    for name in opened.names() {
        match of_array(opened, name.as_deref()) {
            Ok(facts) => found.extend(facts),
            Err(error) => failed(error),
        }
    }
    found
}

fn of_array(opened: &Opened, name: Option<&str>) -> Result<Vec<Facts>> {
    let given = name.unwrap_or("");
    // The header of a compressed array is read without decoding the data.
    if let Source::Archive(npz) = &opened.source
        && npz.names().iter().any(|known| known == given)
        && !is_stored(npz, given)?
    {
        let header = npz.header(given)?;
        let place = Place {
            layout: header.layout(),
            decoded: true,
            offset: None,
        };
        return Ok(facts(opened, name, header.item(), header.shape(), place));
    }
    let array = opened.array(name)?;
    let place = Place {
        layout: array.layout(),
        decoded: false,
        offset: Some(array.data_offset()),
    };
    Ok(facts(opened, name, array.item(), array.shape(), place))
}

/// Where an array is.
#[derive(Clone, Copy)]
struct Place {
    layout: Layout,
    /// Whether it is compressed.
    decoded: bool,
    /// Where its data starts in the file.
    offset: Option<u64>,
}

/// An array and its fields.
fn facts(
    opened: &Opened,
    name: Option<&str>,
    item: &ItemType,
    shape: &[usize],
    place: Place,
) -> Vec<Facts> {
    let mut found = vec![one(opened, name, item, shape, place)];
    for field in item.fields() {
        let name = match name {
            Some(name) => format!("{name}.{}", field.name()),
            None => field.name().to_owned(),
        };
        let shape = [shape, field.shape()].concat();
        let place = Place {
            offset: place.offset.map(|start| start + field.offset() as u64),
            ..place
        };
        for mut facts in facts(opened, Some(&name), field.item(), &shape, place) {
            facts.is_field = true;
            found.push(facts);
        }
    }
    found
}

fn one(
    opened: &Opened,
    name: Option<&str>,
    item: &ItemType,
    shape: &[usize],
    place: Place,
) -> Facts {
    let nbytes = shape.iter().product::<usize>() as u64 * item.size() as u64;
    let long_axes = shape.iter().filter(|len| **len > 1).count();
    // As in NumPy, an array in both layouts counts as C.
    let fortran = place.layout == Layout::Fortran && long_axes > 1 && nbytes > 0;
    let mut row_shape = shape.get(1..).unwrap_or(&[]).to_vec();
    row_shape.extend(numbers_of(item));
    let mut notes = Vec::new();
    if fortran {
        notes.push(
            "Fortran order, so the numbers of a row lie apart, and rows are slower to read; \
             np.ascontiguousarray brings them together"
                .to_owned(),
        );
    }
    let is_column = !has_opaque(item) && !shape.is_empty();
    if let ItemKind::Opaque(_) = item.kind() {
        notes.push(
            "opaque items; NpyDataset::reinterpret, or --as here, says which numbers they are"
                .to_owned(),
        );
    }
    if shape.is_empty() {
        notes.push("no axes, so no rows".to_owned());
    }
    let size = number_size(item);
    let is_aligned = place.offset.is_none_or(|start| start.is_multiple_of(size));
    let limit = Limits::default().member_bytes;
    if place.decoded && nbytes > limit {
        notes.push(format!(
            "larger than Limits::member_bytes, {} unless it is set, so it is refused",
            table::bytes(limit)
        ));
    }
    Facts {
        label: opened.label(name),
        name: name.unwrap_or("").to_owned(),
        dtype: table::dtype(item),
        shape: shape.to_vec(),
        fortran,
        nbytes,
        rows: shape.first().copied(),
        row_shape,
        read: match (place.decoded, is_aligned) {
            (true, _) => "decoded",
            _ if is_url(&opened.target.file) => "fetched",
            (false, true) => "mapped",
            (false, false) => "mapped, unaligned",
        },
        is_field: false,
        is_column,
        notes,
    }
}

/// The length of the axis of the numbers of an item.
fn numbers_of(item: &ItemType) -> Option<usize> {
    match item.kind() {
        ItemKind::Complex(..) => Some(2),
        ItemKind::Bytes => Some(item.size()),
        ItemKind::Text(_) => Some(item.size() / 4),
        _ => None,
    }
}

/// The size of a number in bytes.
fn number_size(item: &ItemType) -> u64 {
    match item.kind() {
        ItemKind::Number(dtype, _) | ItemKind::Complex(dtype, _) => dtype.size() as u64,
        ItemKind::Text(_) => 4,
        ItemKind::DateTime(..) | ItemKind::TimeDelta(..) => 8,
        _ => 1,
    }
}

fn has_opaque(item: &ItemType) -> bool {
    matches!(item.kind(), ItemKind::Opaque(_))
        || item.fields().iter().any(|field| has_opaque(field.item()))
}
