//! The type of the items of an array: the `descr` of a header, parsed once.
//!
//! NumPy writes a string for a plain dtype and a list of fields for a structured one. The rules are
//! those of NumPy's [`descr_to_dtype`]. An array of items that are not numbers, such as opaque
//! bytes, can be opened and described. Only operations that need numbers fail.
//!
//! [`descr_to_dtype`]:
//! https://numpy.org/doc/stable/reference/generated/numpy.lib.format.descr_to_dtype.html

use std::collections::HashSet;
use std::fmt;

use crate::format::descr;
use crate::format::literal::Literal;
use crate::message::quoted;
use crate::{ByteOrder, DType, Error, ErrorKind, Result};

/// NumPy's limit on the size of an item in bytes.
pub(super) const MAX_SIZE: usize = i32::MAX as usize;
/// The maximum depth of nested structures. Real files need 2 or 3.
const MAX_DEPTH: usize = 32;
/// NumPy's limit on the number of axes.
pub(crate) const MAX_NDIM: usize = 64;

/// The type of an item of an array, as the `descr` of its header declares it.
///
/// It is displayed as NumPy spells it: `<f4`, `[('x', '<f4'), ('y', '<i8')]`, or `bfloat16`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemType {
    kind: ItemKind,
    size: usize,
}

/// The kinds of items.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ItemKind {
    /// A number or a bool.
    Number(DType, ByteOrder),
    /// A complex number: the real and the imaginary part, each of this dtype.
    Complex(DType, ByteOrder),
    /// Bytes of a fixed length (`S`), padded with zeros.
    Bytes,
    /// Text of a fixed length (`U`): code points of four bytes, padded with zeros.
    Text(ByteOrder),
    /// A point in time (`M8`): an `int64` that counts a unit, such as `ns`, since 1970. The
    /// smallest number is "not a time".
    DateTime(ByteOrder, String),
    /// A span of time (`m8`): an `int64` that counts a unit.
    TimeDelta(ByteOrder, String),
    /// Opaque bytes (`V`). NumPy writes the dtypes of `ml_dtypes` like this, except `float8_e5m2`.
    /// That one is a [`Number`](Self::Number), and so is any dtype that the header gives by name.
    Opaque(Option<ByteOrder>),
    /// A structure of named fields.
    Struct(Vec<Field>),
}

/// A field of a structured item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    name: String,
    title: Option<String>,
    offset: usize,
    item: ItemType,
    shape: Vec<usize>,
}

impl Field {
    /// The name of the field.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The second name, which NumPy calls the title.
    pub fn title(&self) -> Option<&str> {
        self.title.as_deref()
    }

    /// The offset of the field, in bytes from the start of the item.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// The type of the items of the field.
    pub fn item(&self) -> &ItemType {
        &self.item
    }

    /// The shape, if the field is a sub-array; empty for a single item.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }
}

/// The numbers that an item consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Numbers {
    pub(crate) dtype: DType,
    pub(crate) byte_order: ByteOrder,
    /// The length of the axis of the numbers; `None` for a single number, which has no such axis.
    pub(crate) axis: Option<usize>,
}

impl ItemType {
    pub(super) fn new(kind: ItemKind, size: usize) -> Self {
        Self { kind, size }
    }

    /// A plain number.
    pub(crate) fn number(dtype: DType, byte_order: ByteOrder) -> Self {
        Self {
            kind: ItemKind::Number(dtype, byte_order),
            size: dtype.size(),
        }
    }

    /// The kind of the item.
    pub fn kind(&self) -> &ItemKind {
        &self.kind
    }

    /// The size of an item in bytes, including the padding of a structure.
    pub fn size(&self) -> usize {
        self.size
    }

    /// The fields of a structure; empty for other kinds.
    pub fn fields(&self) -> &[Field] {
        match &self.kind {
            ItemKind::Struct(fields) => fields,
            _ => &[],
        }
    }

    /// Whether opaque items cannot be of a dtype. NumPy does not write items of its own one-byte
    /// dtypes as opaque, and `int4` read as `int8` would have the wrong sign. `uint8` is allowed,
    /// for the plain bytes.
    pub(crate) fn is_no(&self, dtype: DType) -> bool {
        let one_byte = matches!(self.kind, ItemKind::Opaque(_)) && self.size == 1;
        one_byte && matches!(dtype, DType::I8 | DType::Bool)
    }

    /// The numbers of an opaque item, taken as `dtype`; `None` if that is not possible.
    pub(crate) fn reinterpret(&self, dtype: DType) -> Option<Numbers> {
        let ItemKind::Opaque(byte_order) = self.kind else {
            // The dtype that the item has anyway is accepted.
            let is_it = |numbers: &Numbers| numbers.dtype == dtype && numbers.axis.is_none();
            return self.numbers().filter(is_it);
        };
        if self.is_no(dtype) {
            return None;
        }
        let count = self.size / dtype.size();
        self.size.is_multiple_of(dtype.size()).then_some(Numbers {
            dtype,
            byte_order: byte_order.unwrap_or(ByteOrder::NATIVE),
            axis: (count > 1 || dtype == DType::U8).then_some(count),
        })
    }

    /// The numbers of an item; `None` for opaque items and structures.
    pub(crate) fn numbers(&self) -> Option<Numbers> {
        let (dtype, byte_order, axis) = match self.kind {
            ItemKind::Number(dtype, order) => (dtype, order, None),
            ItemKind::Complex(dtype, order) => (dtype, order, Some(2)),
            ItemKind::Bytes => (DType::U8, ByteOrder::NATIVE, Some(self.size)),
            ItemKind::Text(order) => (DType::U32, order, Some(self.size / 4)),
            ItemKind::DateTime(order, _) | ItemKind::TimeDelta(order, _) => {
                (DType::I64, order, None)
            }
            ItemKind::Opaque(_) | ItemKind::Struct(_) => return None,
        };
        Some(Numbers {
            dtype,
            byte_order,
            axis,
        })
    }

    /// Parses the `descr` of a header.
    pub(crate) fn from_literal(descr: &Literal) -> Result<Self> {
        // Objects at any depth get this error, even if the `descr` has another defect.
        if holds_objects(descr) {
            return Err(Error::new(
                ErrorKind::Object,
                "the array holds Python objects, which are pickled and never loaded; if you trust \
                 the file, np.load(path, allow_pickle=True) loads it in Python, and np.savez saves \
                 its arrays",
            ));
        }
        let (item, shape) = resolve(descr, 0)?;
        if !shape.is_empty() {
            return Err(refused("a sub-array outside a structure"));
        }
        Ok(item)
    }
}

pub(super) fn refused(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Dtype, message)
}

pub(super) fn too_large() -> Error {
    refused(format!("items of more than {MAX_SIZE} bytes"))
}

fn holds_objects(descr: &Literal) -> bool {
    match descr {
        // The first part of a field is its name, which may be any text. Its dtype follows.
        Literal::List(fields) => fields.iter().any(|field| match field {
            Literal::Tuple(parts) => parts.iter().skip(1).any(holds_objects),
            _ => false,
        }),
        // A dtype and a shape.
        Literal::Tuple(parts) => parts.first().is_some_and(holds_objects),
        Literal::Str(text) => descr::is_object(text),
        _ => false,
    }
}

/// The type of an item, and its shape if it is a sub-array.
fn resolve(descr: &Literal, depth: usize) -> Result<(ItemType, Vec<usize>)> {
    if depth > MAX_DEPTH {
        return Err(refused(format!(
            "structures nest deeper than {MAX_DEPTH} levels"
        )));
    }
    match descr {
        Literal::Str(text) => Ok((descr::parse(text)?, Vec::new())),
        Literal::List(fields) => Ok((structure(fields, depth)?, Vec::new())),
        Literal::Tuple(parts) => match &parts[..] {
            [descr, shape] => {
                let (item, inner) = resolve(descr, depth + 1)?;
                let mut axes = sub_shape(shape)?;
                axes.extend(inner);
                Ok((item, axes))
            }
            _ => Err(refused("a tuple that is not a dtype and a shape")),
        },
        _ => Err(refused("`descr` is not a string or a list of fields")),
    }
}

fn structure(descrs: &[Literal], depth: usize) -> Result<ItemType> {
    let mut fields: Vec<Field> = Vec::new();
    // Names and titles.
    let mut taken: HashSet<&str> = HashSet::new();
    let mut size = 0_usize;
    for descr in descrs {
        let Literal::Tuple(parts) = descr else {
            return Err(refused("a field that is not a tuple"));
        };
        let (name, descr, shape) = match &parts[..] {
            [name, descr] => (name, descr, None),
            [name, descr, shape] => (name, descr, Some(shape)),
            _ => {
                return Err(refused(format!("a field of {} parts", parts.len())));
            }
        };
        let (title, name) = match name {
            Literal::Str(name) => (None, name),
            Literal::Tuple(names) => match &names[..] {
                [Literal::Str(title), Literal::Str(name)] => (Some(title.as_str()), name),
                _ => return Err(refused("a field whose name is not a string")),
            },
            _ => return Err(refused("a field whose name is not a string")),
        };
        let in_field = |error: Error| {
            let message = format!("field {}: {}", quoted(name), error.message());
            Error::new(error.kind(), message)
        };
        let (item, inner) = resolve(descr, depth + 1).map_err(in_field)?;
        let mut shape = match shape {
            Some(shape) => sub_shape(shape).map_err(in_field)?,
            None => Vec::new(),
        };
        shape.extend(inner);
        let bytes = shape
            .iter()
            .try_fold(item.size, |size, len| size.checked_mul(*len))
            .filter(|_| shape.len() <= MAX_NDIM);
        let offset = size;
        size = bytes
            .and_then(|bytes| bytes.checked_add(size))
            .filter(|size| *size <= MAX_SIZE)
            .ok_or_else(too_large)?;
        // NumPy writes such a field for the padding between the fields of a C structure.
        if name.is_empty() && matches!(item.kind, ItemKind::Opaque(_)) {
            continue;
        }
        let is_new = taken.insert(name) && title.is_none_or(|it| it == name || taken.insert(it));
        if !is_new {
            return Err(in_field(refused("two fields with this name")));
        }
        fields.push(Field {
            name: name.clone(),
            title: title.map(str::to_owned),
            offset,
            item,
            shape,
        });
    }
    if size == 0 {
        return Err(refused("a structure of no bytes"));
    }
    // NumPy writes a structure without fields as padding only.
    let kind = if fields.is_empty() {
        ItemKind::Opaque(None)
    } else {
        ItemKind::Struct(fields)
    };
    Ok(ItemType { kind, size })
}

/// Parses the shape of a sub-array: a tuple of lengths, or one length.
fn sub_shape(shape: &Literal) -> Result<Vec<usize>> {
    let axes = match shape {
        Literal::Tuple(axes) => &axes[..],
        length => std::slice::from_ref(length),
    };
    axes.iter()
        .map(|axis| match axis {
            Literal::Int(len) => usize::try_from(*len)
                .ok()
                .filter(|len| (1..=MAX_SIZE).contains(len))
                .ok_or_else(|| refused(format!("a sub-array with an axis of length {len}"))),
            _ => Err(refused("a sub-array whose shape is not of integers")),
        })
        .collect()
}

impl fmt::Display for ItemType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = self.size;
        let timed = |f: &mut fmt::Formatter<'_>, order: ByteOrder, letter: char, unit: &str| {
            let mark = order.mark();
            match unit {
                "generic" => write!(f, "{mark}{letter}8"),
                _ => write!(f, "{mark}{letter}8[{unit}]"),
            }
        };
        match &self.kind {
            // Written by name, since these share their codes.
            ItemKind::Number(dtype, _) if dtype.is_of_ml_dtypes() => f.write_str(dtype.name()),
            ItemKind::Complex(DType::F16, _) => f.write_str("complex32"),
            ItemKind::Complex(DType::BF16, _) => f.write_str("bcomplex32"),
            ItemKind::Number(dtype, order) => f.write_str(&dtype.descr(*order)),
            ItemKind::Complex(_, order) => write!(f, "{}c{size}", order.mark()),
            ItemKind::Bytes => write!(f, "|S{size}"),
            ItemKind::Text(order) => write!(f, "{}U{}", order.mark(), size / 4),
            ItemKind::DateTime(order, unit) => timed(f, *order, 'M', unit),
            ItemKind::TimeDelta(order, unit) => timed(f, *order, 'm', unit),
            ItemKind::Opaque(order) => {
                write!(f, "{}V{size}", order.map_or('|', ByteOrder::mark))
            }
            ItemKind::Struct(fields) => {
                let mut end = 0;
                let mut separator = "";
                f.write_str("[")?;
                for field in fields {
                    if field.offset > end {
                        write!(f, "{separator}('', '|V{}')", field.offset - end)?;
                        separator = ", ";
                    }
                    write!(f, "{separator}{field}")?;
                    separator = ", ";
                    end = field.offset + field.item.size * field.shape.iter().product::<usize>();
                }
                if size > end {
                    write!(f, "{separator}('', '|V{}')", size - end)?;
                }
                f.write_str("]")
            }
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.title {
            Some(title) => write!(f, "(({}, {}), ", Quoted(title), Quoted(&self.name))?,
            None => write!(f, "({}, ", Quoted(&self.name))?,
        }
        match self.item.kind {
            ItemKind::Struct(_) => write!(f, "{}", self.item)?,
            _ => write!(f, "{}", Quoted(&self.item.to_string()))?,
        }
        match &self.shape[..] {
            [] => {}
            [len] => write!(f, ", ({len},)")?,
            axes => {
                let axes: Vec<_> = axes.iter().map(usize::to_string).collect();
                write!(f, ", ({})", axes.join(", "))?;
            }
        }
        f.write_str(")")
    }
}

/// A string as Python writes it.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        let quote = if self.0.contains('\'') && !self.0.contains('"') {
            '"'
        } else {
            '\''
        };
        f.write_char(quote)?;
        for c in self.0.chars() {
            match c {
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                c if c == quote || c == '\\' => write!(f, "\\{c}")?,
                c if c.is_control() && u32::from(c) < 0x100 => {
                    write!(f, "\\x{:02x}", u32::from(c))?;
                }
                c => f.write_char(c)?,
            }
        }
        f.write_char(quote)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(text: &str) -> Result<ItemType> {
        ItemType::from_literal(&crate::format::literal::parse(text, false).unwrap())
    }

    #[test]
    fn plain_items_are_numbers() {
        use ByteOrder::{Big, Little};
        let of = |text: &str| item(text).unwrap().numbers().unwrap();
        let numbers = |dtype, byte_order, axis| Numbers {
            dtype,
            byte_order,
            axis,
        };
        assert_eq!(of("'>f8'"), numbers(DType::F64, Big, None));
        assert_eq!(of("'>u1'"), numbers(DType::U8, ByteOrder::NATIVE, None));
        assert_eq!(of("'>c8'"), numbers(DType::F32, Big, Some(2)));
        assert_eq!(of("'<U3'"), numbers(DType::U32, Little, Some(3)));
        assert_eq!(of("'|S5'"), numbers(DType::U8, ByteOrder::NATIVE, Some(5)));
        assert_eq!(of("'<M8[25us]'"), numbers(DType::I64, Little, None));
        assert_eq!(item("'<V2'").unwrap().numbers(), None);
        let bfloat = item("'<V2'").unwrap().reinterpret(DType::BF16);
        assert_eq!(bfloat, Some(numbers(DType::BF16, Little, None)));
        assert_eq!(item("[('', '|V8')]").unwrap(), item("'|V8'").unwrap());
        assert_eq!(item("'<V3'").unwrap().reinterpret(DType::BF16), None);
        assert_eq!(item("'<V1'").unwrap().reinterpret(DType::I8), None);
        assert_eq!(item("'<V1'").unwrap().reinterpret(DType::Bool), None);
        assert!(item("'<V1'").unwrap().reinterpret(DType::I4).is_some());
        assert!(item("'<V1'").unwrap().reinterpret(DType::U8).is_some());
        assert_eq!(item("'<f4'").unwrap().reinterpret(DType::U8), None);
    }

    #[test]
    fn structures_have_fields_at_offsets() {
        let text = "[('f0', '|i1'), ('', '|V3'), (('t', 'f1'), '<i4', (2, 3)), \
                    ('p', [('q', '>f8'), ('r', '|S2')], (4,)), ('', '|V2')]";
        let item = item(text).unwrap();
        let fields = item.fields();
        assert_eq!(item.size(), 1 + 3 + 24 + 40 + 2);
        let offsets: Vec<_> = fields.iter().map(Field::offset).collect();
        assert_eq!(offsets, [0, 4, 28]);
        assert_eq!((fields[1].name(), fields[1].title()), ("f1", Some("t")));
        assert_eq!(
            (fields[1].shape(), fields[2].shape()),
            (&[2, 3][..], &[4][..])
        );
        assert_eq!(fields[2].item().fields()[1].offset(), 8);
        assert_eq!(item.to_string(), text);
        assert_eq!(item.numbers(), None);
    }

    #[test]
    fn what_is_displayed_is_what_was_read() {
        for text in [
            "'<f4'",
            "'|u1'",
            "'>c16'",
            "'|S7'",
            "'>U3'",
            "'<M8[ns]'",
            "'<m8'",
            "'|V16'",
            "'<V2'",
            "[(\"it's\", '<i4'), ('d\"q', '<i4')]",
            "[('\\\\', '<i4'), ('a\\'\"', '<i4')]",
        ] {
            let shown = item(text).unwrap().to_string();
            let literal = if text.starts_with('[') {
                shown.clone()
            } else {
                format!("'{shown}'")
            };
            assert_eq!(literal, text);
            assert_eq!(item(&literal).unwrap(), item(text).unwrap());
        }
    }

    #[test]
    fn all_else_is_a_typed_error() {
        use ErrorKind::{Dtype, Object};
        let deep = format!("{}'<f4'{}", "[('a', ".repeat(40), ")]".repeat(40));
        for (text, kind) in [
            ("'|O'", Object),
            ("'O8'", Object),
            ("[('a', '<f4'), ('b', [('c', '|O')])]", Object),
            ("''", Dtype),
            ("'<'", Dtype),
            ("'<<f4'", Dtype),
            ("'<f16'", Dtype),
            ("'<f-4'", Dtype),
            ("'S'", Dtype),
            ("'S0'", Dtype),
            ("'S-5'", Dtype),
            ("'V99999999999999999999'", Dtype),
            ("'U999999999'", Dtype),
            ("'<M8[xs]'", Dtype),
            ("'<M8[0s]'", Dtype),
            ("'<M4'", Dtype),
            ("'\u{e9}4'", Dtype),
            ("('<f4', (2,))", Dtype),
            ("[]", Dtype),
            ("[('a', '<f4'), ('b', '<f4', (0, 2147483647))]", Dtype),
            ("[('a', '<f4'), ('a', '<f4')]", Dtype),
            ("[(('b', 'a'), '<f4'), ('b', '<f4')]", Dtype),
            ("[('a', '<f4', (-1,))]", Dtype),
            ("[('a', '<f4', (2147483647, 2147483647))]", Dtype),
            ("[('a', '<f4', (1000000000,))]", Dtype),
            ("[('a',)]", Dtype),
            ("[(1, '<f4')]", Dtype),
            ("[4]", Dtype),
            ("{'names': ['a']}", Dtype),
            ("4", Dtype),
            (&deep, Dtype),
        ] {
            assert_eq!(item(text).unwrap_err().kind(), kind, "{text}");
        }
    }
}
