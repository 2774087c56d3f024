//! Dtypes that are one string: a code such as `<f4`, one of NumPy's letters, or a name.
//!
//! NumPy writes codes only. But it reads any string that `np.dtype` accepts, and other programs
//! write names such as `float32`. `tests/dtype_names.txt` lists how NumPy reads many such strings.

use super::item::{ItemKind, ItemType, MAX_SIZE, refused, too_large};
use crate::message::quoted;
use crate::{ByteOrder, DType, Result};

/// Codes, and NumPy's names for them besides those of [`DType::name`]. A name has no byte order in
/// front of it.
///
/// A `long` and a pointer of C have 64 bits here, as in NumPy 2 on every 64-bit system except
/// Windows, where a `long` has 32. NumPy's and Python's `int` have 64 bits everywhere.
const NAMES: [(&str, &str); 20] = [
    ("b1", "bool_"),
    ("i1", "byte"),
    ("i2", "short"),
    ("i4", "intc"),
    ("i8", "int int_ intp long longlong"),
    ("u1", "ubyte"),
    ("u2", "ushort"),
    ("u4", "uintc"),
    ("u8", "uint uintp ulong ulonglong"),
    ("f2", "half"),
    ("f4", "single"),
    ("f8", "double float"),
    ("f16", "longdouble float128"),
    ("c8", "csingle complex64"),
    ("c16", "cdouble complex128 complex"),
    ("c32", "clongdouble complex256"),
    ("S0", "bytes bytes_ a"),
    ("U0", "str str_ unicode"),
    ("V0", "void"),
    ("O", "object object_"),
];

/// Codes, and NumPy's letters for them. A letter may have a byte order in front of it.
const LETTERS: [(&str, &str); 21] = [
    ("b1", "?"),
    ("i1", "b"),
    ("i2", "h"),
    ("i4", "i"),
    ("i8", "l q p n"),
    ("u1", "B"),
    ("u2", "H"),
    ("u4", "I"),
    ("u8", "L Q P N"),
    ("f2", "e"),
    ("f4", "f"),
    ("f8", "d"),
    ("f16", "g"),
    ("c8", "F"),
    ("c16", "D"),
    ("c32", "G"),
    ("S1", "c"),
    ("S0", "S"),
    ("U0", "U"),
    ("V0", "V"),
    ("O", "T"),
];

/// The code of a name in a table.
fn find(table: &[(&'static str, &str)], wanted: &str) -> Option<&'static str> {
    let mut table = table.iter();
    let row = table.find(|(_, names)| names.split(' ').any(|name| name == wanted))?;
    Some(row.0)
}

/// Splits off the mark of the byte order, if there is one, from the code.
fn split(descr: &str) -> (Option<char>, &str) {
    let marks = ['<', '>', '=', '|'];
    let mark = descr.chars().next().filter(|mark| marks.contains(mark));
    let text = &descr[mark.map_or(0, char::len_utf8)..];
    let name = mark.is_none().then(|| find(&NAMES, text)).flatten();
    let letter = || (text.len() == 1).then(|| find(&LETTERS, text)).flatten();
    (mark, name.or_else(letter).unwrap_or(text))
}

/// Whether the items are Python objects. NumPy's strings of variable length are written as objects
/// too.
pub(super) fn is_object(descr: &str) -> bool {
    match split(descr).1.strip_prefix('O') {
        Some("") => true,
        Some(size) => matches!(count(size), Some(4 | 8)),
        None => descr == "|T16",
    }
}

/// The dtype of a NumPy integer class, such as `int64`.
pub(super) fn integer(name: &str) -> Option<DType> {
    // `int` is a class of Python, not of NumPy.
    let code = find(&NAMES, name).filter(|_| name != "int");
    let dtype = match code {
        Some(code) => sized_number(code)?,
        None => DType::from_name(name)?,
    };
    (dtype.is_int() && !dtype.is_of_ml_dtypes()).then_some(dtype)
}

/// The dtype of a code such as `f4`.
fn sized_number(code: &str) -> Option<DType> {
    let letter = code.chars().next()?;
    DType::from_code(letter, count(&code[letter.len_utf8()..])?)
}

/// Parses a string. The caller has dealt with objects.
pub(super) fn parse(descr: &str) -> Result<ItemType> {
    let unknown = || {
        refused(format!(
            "dtype {} is not one that this crate reads; expected b1, i1 i2 i4 i8, u1 u2 u4 u8, \
             f2 f4 f8, c8 c16, S, U, V, M8, m8, a name of one of these such as float32, or a list \
             of fields",
            quoted(descr)
        ))
    };
    let (mark, code) = split(descr);
    let byte_order = match mark {
        Some('<') => ByteOrder::Little,
        Some('>') => ByteOrder::Big,
        _ => ByteOrder::NATIVE,
    };
    let named = DType::from_name(descr);
    if let Some(dtype) = named.or_else(|| sized_number(code)) {
        // A single byte has no byte order.
        let byte_order = match dtype.size() {
            1 => ByteOrder::NATIVE,
            _ => byte_order,
        };
        return Ok(ItemType::new(
            ItemKind::Number(dtype, byte_order),
            dtype.size(),
        ));
    }
    match descr {
        "complex32" => return Ok(ItemType::new(ItemKind::Complex(DType::F16, byte_order), 4)),
        "bcomplex32" => return Ok(ItemType::new(ItemKind::Complex(DType::BF16, byte_order), 4)),
        _ => {}
    }
    let time = |names: [&str; 2]| names.iter().find_map(|name| code.strip_prefix(name));
    if let Some(rest) = time(["datetime64", "M8"]).or_else(|| (code == "M").then_some("")) {
        let unit = time_unit(rest).ok_or_else(unknown)?;
        return Ok(ItemType::new(ItemKind::DateTime(byte_order, unit), 8));
    }
    if let Some(rest) = time(["timedelta64", "m8"]).or_else(|| (code == "m").then_some("")) {
        let unit = time_unit(rest).ok_or_else(unknown)?;
        return Ok(ItemType::new(ItemKind::TimeDelta(byte_order, unit), 8));
    }
    let letter = code.chars().next().ok_or_else(unknown)?;
    let count = count(&code[letter.len_utf8()..]).ok_or_else(unknown)?;
    // Opaque items keep a mark only if it does not depend on the machine that wrote the file.
    let marked = matches!(mark, Some('<' | '>')).then_some(byte_order);
    let generic = || "generic".to_owned();
    let (kind, unit) = match (letter, count) {
        ('S' | 'a', _) => (ItemKind::Bytes, 1),
        ('U', _) => (ItemKind::Text(byte_order), 4),
        ('V', _) => (ItemKind::Opaque(marked), 1),
        ('c', 8) => (ItemKind::Complex(DType::F32, byte_order), 1),
        ('c', 16) => (ItemKind::Complex(DType::F64, byte_order), 1),
        ('M', 8) => (ItemKind::DateTime(byte_order, generic()), 1),
        ('m', 8) => (ItemKind::TimeDelta(byte_order, generic()), 1),
        // `complex32` or `bcomplex32` of `ml_dtypes`. `np.save` writes both like this.
        ('W', 4) => (ItemKind::Opaque(marked), 1),
        ('f', 12 | 16) | ('c', 24 | 32) => {
            let instead = if letter == 'f' {
                "float64"
            } else {
                "complex128"
            };
            return Err(refused(format!(
                "dtype {} is made of long doubles, which differ from machine to machine; save \
                 the array as {instead}",
                quoted(descr)
            )));
        }
        _ => return Err(unknown()),
    };
    match count.checked_mul(unit) {
        Some(0) => Err(refused(format!(
            "dtype {}: items of no bytes",
            quoted(descr)
        ))),
        Some(size) if size <= MAX_SIZE => Ok(ItemType::new(kind, size)),
        _ => Err(too_large()),
    }
}

/// Parses a number as C does, with white space and a sign in front of it. `None` if there are no
/// digits, or something after them.
fn count(text: &str) -> Option<usize> {
    let (_, digits) = signed(text);
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    // The caller refuses a number that is too large.
    plain.then(|| digits.parse().unwrap_or(usize::MAX))
}

/// Splits a text into what is in front of the digits of a number, and the rest.
fn signed(text: &str) -> (&str, &str) {
    let blank = [' ', '\t', '\n', '\x0b', '\x0c', '\r'];
    let rest = text.trim_start_matches(blank);
    let rest = rest.strip_prefix('+').unwrap_or(rest);
    text.split_at(text.len() - rest.len())
}

/// Parses the unit of a time in brackets, such as `[25us]`, and returns it as NumPy writes it.
/// Without brackets the unit is generic. NumPy also reads fractions of a unit, but never writes
/// them, so they are refused here.
fn time_unit(rest: &str) -> Option<String> {
    const UNITS: [&str; 14] = [
        "Y", "M", "W", "D", "h", "m", "s", "ms", "us", "ns", "ps", "fs", "as", "generic",
    ];
    if rest.is_empty() {
        return Some("generic".to_owned());
    }
    let text = rest.strip_prefix('[')?.strip_suffix(']')?;
    let (before, digits) = signed(text);
    let name = digits.trim_start_matches(|c: char| c.is_ascii_digit());
    let number = &digits[..digits.len() - name.len()];
    let number = match number {
        "" if before.is_empty() => 1,
        _ => number.parse::<i32>().ok().filter(|number| *number > 0)?,
    };
    // The Greek letter stands for micro.
    let name = if name == "\u{3bc}s" { "us" } else { name };
    let name = UNITS.iter().find(|unit| **unit == name)?;
    Some(match (number, *name) {
        (1, name) | (_, name @ "generic") => name.to_owned(),
        (number, name) => format!("{number}{name}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use crate::format::literal::Literal;

    /// The output of `tests/dtype_names.py`: a string in JSON, and how NumPy reads it.
    const NAMES: &str = include_str!("../../tests/dtype_names.txt");

    /// Whether NumPy reads the dtype, but this crate does not.
    fn is_left_out(descr: &str, numpy: &str) -> bool {
        // Fields or a sub-array in a string.
        numpy.starts_with(['[', '('])
            // Items of no bytes.
            || ["S0", "U0", "V0"].contains(&&numpy[1..])
            // Long doubles.
            || ["f16", "c32"].contains(&&numpy[1..])
            // Units of zero, and fractions of a unit.
            || numpy.contains("8[0")
            || descr.contains("/")
    }

    #[test]
    fn strings_are_read_as_numpy_reads_them() {
        let (mut counts, mut wrong) = ([0; 4], Vec::new());
        for line in NAMES.lines() {
            let (descr, numpy) = line.split_once("  ").unwrap();
            let descr: String = serde_json::from_str(descr).unwrap();
            let found = ItemType::from_literal(&Literal::Str(descr.clone()));
            let found = found
                .map(|item| item.to_string())
                .map_err(|error| error.kind());
            let (kind, expected) = match numpy {
                // NumPy refuses these, but `np.save` writes them; see the test below.
                "refused" if ["f1", "W4"].contains(&split(&descr).1) => continue,
                "refused" => (0, Err(ErrorKind::Dtype)),
                "objects" => (1, Err(ErrorKind::Object)),
                _ if is_left_out(&descr, numpy) => (2, Err(ErrorKind::Dtype)),
                _ => (3, Ok(numpy.to_owned())),
            };
            if found != expected {
                wrong.push(format!("{line}: {found:?}"));
            }
            counts[kind] += 1;
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
        assert!(counts.iter().all(|count| *count > 5), "{counts:?}");
    }

    #[test]
    fn dtypes_that_numpy_writes_and_does_not_read() {
        let read = |descr: &str| parse(descr).unwrap();
        for descr in ["<f1", ">f1"] {
            assert_eq!(read(descr), read("float8_e5m2"));
        }
        assert_eq!(
            *read("<W4").kind(),
            ItemKind::Opaque(Some(ByteOrder::Little))
        );
        assert_eq!(*read(">W4").kind(), ItemKind::Opaque(Some(ByteOrder::Big)));
    }

    #[test]
    fn what_is_not_read_comes_with_advice() {
        let message = |descr: &str| parse(descr).unwrap_err().message().to_owned();
        for descr in ["<f16", "g", "longdouble", "<f12"] {
            assert!(message(descr).ends_with("machine; save the array as float64"));
        }
        assert!(message("G").ends_with("save the array as complex128"));
        assert!(message("Float32").contains("such as float32"));
        assert!(message("str").ends_with("items of no bytes"));
    }

    #[test]
    fn integers_have_names() {
        assert_eq!(integer("int64"), Some(DType::I64));
        assert_eq!(integer("uintc"), Some(DType::U32));
        for name in [
            "int", "int4", "float32", "half", "bool_", "i8", "l", "object", "",
        ] {
            assert_eq!(integer(name), None);
        }
    }
}
