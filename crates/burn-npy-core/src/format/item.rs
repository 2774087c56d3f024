//! What one item of an array is: the `descr` of a header, parsed once.
//!
//! NumPy writes a string for a plain dtype and a list of fields for a structured one. The rules
//! are those of NumPy's own [`descr_to_dtype`]; what has a name here but no number, such as opaque
//! bytes, can be opened and described, and only fails where numbers are asked for.
//!
//! [`descr_to_dtype`]: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.descr_to_dtype.html

use std::fmt;

use crate::dtype::abbreviated;
use crate::format::literal::Literal;
use crate::{ByteOrder, DType, Error, ErrorClass, Result};

/// NumPy's own limit on the size of an item in bytes.
const MAX_SIZE: usize = i32::MAX as usize;
/// How deep structures may nest; the headers of NumPy's users need 2 or 3.
const MAX_DEPTH: usize = 32;
/// NumPy's own limit on the number of axes.
pub(crate) const MAX_NDIM: usize = 64;

/// What one item of an array is, as the `descr` of its header says.
///
/// It is displayed as NumPy spells it: `<f4`, or `[('x', '<f4'), ('y', '<i8')]`.
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
    /// A point in time (`M8`): an `int64` that counts a unit, such as `ns`, since 1970; the smallest
    /// number is no time at all.
    DateTime(ByteOrder, String),
    /// A span of time (`m8`): an `int64` that counts a unit.
    TimeDelta(ByteOrder, String),
    /// Bytes of which nothing is known (`V`), the dtypes of `ml_dtypes` among them.
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
    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The second name, which NumPy calls the title.
    pub fn title(&self) -> Option<&str> {
        self.title.as_deref()
    }

    /// Where the field begins, in bytes from the start of the item.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// What an item of the field is.
    pub fn item(&self) -> &ItemType {
        &self.item
    }

    /// The shape of the sub-array that the field is; empty for a single item.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }
}

/// The numbers that an item is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Numbers {
    pub(crate) dtype: DType,
    pub(crate) byte_order: ByteOrder,
    /// How many there are along an axis of their own; no axis for a single number.
    pub(crate) axis: Option<usize>,
}

impl ItemType {
    /// A plain number in the order of the machine.
    pub(crate) fn number(dtype: DType) -> Self {
        Self {
            kind: ItemKind::Number(dtype, ByteOrder::NATIVE),
            size: dtype.size(),
        }
    }

    /// What kind of item it is.
    pub fn kind(&self) -> &ItemKind {
        &self.kind
    }

    /// The size of an item in bytes, the padding of a structure included.
    pub fn size(&self) -> usize {
        self.size
    }

    /// The fields of a structure; empty for all else.
    pub fn fields(&self) -> &[Field] {
        match &self.kind {
            ItemKind::Struct(fields) => fields,
            _ => &[],
        }
    }

    /// The same bytes as numbers of a dtype.
    pub(crate) fn reinterpret(&self, dtype: DType) -> Option<Numbers> {
        let ItemKind::Opaque(byte_order) = self.kind else {
            return None;
        };
        let count = self.size / dtype.size();
        self.size.is_multiple_of(dtype.size()).then_some(Numbers {
            dtype,
            byte_order: byte_order.unwrap_or(ByteOrder::NATIVE),
            axis: (count > 1 || dtype == DType::U8).then_some(count),
        })
    }

    /// The numbers of an item, if it is made of any.
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

    /// Reads the `descr` of a header.
    pub(crate) fn from_literal(descr: &Literal) -> Result<Self> {
        // Objects are named as what they are wherever they hide.
        if holds_objects(descr) {
            return Err(Error::new(
                ErrorClass::Object,
                "the array holds Python objects, which are pickled and never loaded",
            ));
        }
        let (item, shape) = resolve(descr, 0)?;
        if !shape.is_empty() {
            return Err(refused("a sub-array outside a structure"));
        }
        Ok(item)
    }

    fn parse(descr: &str) -> Result<Self> {
        let unknown = || {
            refused(format!(
                "dtype {:?} is not one that this crate reads; expected b1 i1 i2 i4 i8 u1 u2 u4 u8 f2 f4 \
                 f8 c8 c16 S U V M8 m8, or a list of fields",
                abbreviated(descr)
            ))
        };
        let (byte_order, code) = match descr.as_bytes().first() {
            Some(b'<') => (ByteOrder::Little, &descr[1..]),
            Some(b'>') => (ByteOrder::Big, &descr[1..]),
            Some(b'=' | b'|') => (ByteOrder::NATIVE, &descr[1..]),
            _ => (ByteOrder::NATIVE, descr),
        };
        if let Some(dtype) = DType::from_code(code) {
            // One byte has no order.
            let byte_order = match dtype.size() {
                1 => ByteOrder::NATIVE,
                _ => byte_order,
            };
            return Ok(Self {
                kind: ItemKind::Number(dtype, byte_order),
                size: dtype.size(),
            });
        }
        let (letter, rest) = match code.chars().next() {
            Some(letter) if letter.is_ascii() => (letter, &code[1..]),
            _ => return Err(unknown()),
        };
        let sized = |kind, unit: usize| {
            let count = count(rest).ok_or_else(unknown)?;
            match count.checked_mul(unit) {
                Some(0) => Err(refused(format!("dtype {descr:?}: items of no bytes"))),
                Some(size) if size <= MAX_SIZE => Ok(Self { kind, size }),
                _ => Err(too_large()),
            }
        };
        let (kind, size) = match (letter, rest) {
            ('c', "8") => (ItemKind::Complex(DType::F32, byte_order), 8),
            ('c', "16") => (ItemKind::Complex(DType::F64, byte_order), 16),
            ('S', _) => return sized(ItemKind::Bytes, 1),
            ('U', _) => return sized(ItemKind::Text(byte_order), 4),
            ('V', _) => {
                let marked = descr.starts_with(['<', '>']).then_some(byte_order);
                return sized(ItemKind::Opaque(marked), 1);
            }
            ('M' | 'm', _) => {
                let unit = rest
                    .strip_prefix('8')
                    .and_then(time_unit)
                    .ok_or_else(unknown)?;
                let kind = match letter {
                    'M' => ItemKind::DateTime(byte_order, unit.to_owned()),
                    _ => ItemKind::TimeDelta(byte_order, unit.to_owned()),
                };
                (kind, 8)
            }
            _ => return Err(unknown()),
        };
        Ok(Self { kind, size })
    }
}

fn refused(message: impl Into<String>) -> Error {
    Error::new(ErrorClass::Dtype, message)
}

fn too_large() -> Error {
    refused(format!("items of more than {MAX_SIZE} bytes"))
}

/// A number as NumPy writes it behind a letter.
fn count(digits: &str) -> Option<usize> {
    let plain = digits.bytes().all(|b| b.is_ascii_digit());
    let leading_zero = digits.len() > 1 && digits.starts_with('0');
    // What does not fit is too large, which is for the caller to say.
    (plain && !leading_zero && !digits.is_empty()).then(|| digits.parse().unwrap_or(usize::MAX))
}

/// The unit of a time in brackets, such as `[25us]`; no brackets mean that there is none.
fn time_unit(rest: &str) -> Option<&str> {
    const UNITS: [&str; 13] = [
        "Y", "M", "W", "D", "h", "m", "s", "ms", "us", "ns", "ps", "fs", "as",
    ];
    if rest.is_empty() {
        return Some("generic");
    }
    let unit = rest.strip_prefix('[')?.strip_suffix(']')?;
    let name = unit.trim_start_matches(|c: char| c.is_ascii_digit());
    let number = &unit[..unit.len() - name.len()];
    let number_fits = number.is_empty() || number.parse::<i32>().is_ok_and(|number| number > 0);
    (number_fits && UNITS.contains(&name) || unit == "generic").then_some(unit)
}

fn holds_objects(descr: &Literal) -> bool {
    match descr {
        // A field has a name, which may be any, then a dtype.
        Literal::List(fields) => fields.iter().any(|field| match field {
            Literal::Tuple(parts) => parts.iter().skip(1).any(holds_objects),
            _ => false,
        }),
        // A dtype and a shape.
        Literal::Tuple(parts) => parts.first().is_some_and(holds_objects),
        Literal::Str(text) => {
            let code = text.trim_start_matches(['<', '>', '=', '|']);
            code == "O" || code == "O8" || code == "O4" || text == "|T16"
        }
        _ => false,
    }
}

/// An item and the shape of the sub-array that it stands in.
fn resolve(descr: &Literal, depth: usize) -> Result<(ItemType, Vec<usize>)> {
    if depth > MAX_DEPTH {
        return Err(refused(format!(
            "structures nest deeper than {MAX_DEPTH} levels"
        )));
    }
    match descr {
        Literal::Str(text) => Ok((ItemType::parse(text)?, Vec::new())),
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
                [Literal::Str(title), Literal::Str(name)] => (Some(title.clone()), name),
                _ => return Err(refused("a field whose name is not a string")),
            },
            _ => return Err(refused("a field whose name is not a string")),
        };
        let in_field = |error: Error| {
            let message = format!("field {:?}: {}", abbreviated(name), error.message());
            Error::new(error.class(), message)
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
        // What NumPy writes for the gaps between the fields of a structure of C.
        if name.is_empty() && matches!(item.kind, ItemKind::Opaque(_)) {
            continue;
        }
        let taken = |known: &str| {
            let one = |field: &Field| field.name == known || field.title.as_deref() == Some(known);
            fields.iter().any(one)
        };
        if taken(name) || title.as_deref().is_some_and(taken) {
            return Err(in_field(refused("two fields with this name")));
        }
        fields.push(Field {
            name: name.clone(),
            title,
            offset,
            item,
            shape,
        });
    }
    if size == 0 {
        return Err(refused("a structure of no bytes"));
    }
    // Nothing but a gap is what NumPy writes for a structure without fields.
    let kind = match fields.is_empty() {
        true => ItemKind::Opaque(None),
        false => ItemKind::Struct(fields),
    };
    Ok(ItemType { kind, size })
}

/// The shape of a sub-array: a tuple of lengths, or one length.
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
        let quote = match self.0.contains('\'') && !self.0.contains('"') {
            true => '"',
            false => '\'',
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
            let literal = match text.starts_with('[') {
                true => shown.clone(),
                false => format!("'{shown}'"),
            };
            assert_eq!(literal, text);
            assert_eq!(item(&literal).unwrap(), item(text).unwrap());
        }
    }

    #[test]
    fn all_else_is_a_typed_error() {
        use ErrorClass::{Dtype, Object};
        let deep = format!("{}'<f4'{}", "[('a', ".repeat(40), ")]".repeat(40));
        for (text, class) in [
            ("'|O'", Object),
            ("'O8'", Object),
            ("[('a', '<f4'), ('b', [('c', '|O')])]", Object),
            ("''", Dtype),
            ("'<'", Dtype),
            ("'<<f4'", Dtype),
            ("'<f16'", Dtype),
            ("'<f+4'", Dtype),
            ("'S'", Dtype),
            ("'S0'", Dtype),
            ("'S+5'", Dtype),
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
            assert_eq!(item(text).unwrap_err().class(), class, "{text}");
        }
    }
}
