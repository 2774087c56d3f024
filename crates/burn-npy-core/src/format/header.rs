//! The header of a `.npy` file, parsed once into a validated type.
//!
//! [`numpy.lib.format`] describes the format: magic bytes, a version, the length of the header, and
//! a Python dictionary with the keys `descr`, `fortran_order` and `shape`. Nothing here reads a
//! file or allocates more than the size of the header.
//!
//! [`numpy.lib.format`]: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html

use std::borrow::Cow;
use std::fmt;

use crate::format::item::{ItemKind, MAX_NDIM};
use crate::format::literal::{self, Literal};
use crate::message::{quoted, shown};
use crate::{Error, ErrorKind, ItemType, Layout, Result};

pub(crate) const MAGIC: &[u8; 6] = b"\x93NUMPY";

/// NumPy's own limit on the length of a header.
pub(crate) const MAX_HEADER_LEN: usize = 10_000;

/// The header of a `.npy` file, parsed and validated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    item: ItemType,
    layout: Layout,
    shape: Vec<usize>,
    version: (u8, u8),
    data_offset: usize,
    nbytes: usize,
}

/// The bytes in front of the dictionary.
pub(crate) struct Prefix {
    version: (u8, u8),
    /// The offset at which the dictionary starts.
    start: usize,
    /// The offset at which the dictionary ends and the data starts.
    pub(crate) data_offset: usize,
}

impl Prefix {
    /// The longest prefix in bytes.
    pub(crate) const MAX_LEN: usize = 12;

    /// Parses the prefix of a file of `file_len` bytes. `bytes` is the start of the file;
    /// [`MAX_LEN`](Self::MAX_LEN) bytes are enough.
    pub(crate) fn parse(bytes: &[u8], file_len: u64, max_header_len: usize) -> Result<Self> {
        if bytes.len() < 8 || !bytes.starts_with(MAGIC) {
            return Err(Error::new(
                ErrorKind::Magic,
                "not a .npy file: it does not start with \\x93NUMPY and a version",
            ));
        }
        let version = (bytes[6], bytes[7]);
        let field = &bytes[8..];
        let (header_len, field_len) = match version {
            (1, 0) => (
                field.first_chunk().map(|b| u16::from_le_bytes(*b).into()),
                2,
            ),
            (2, 0) | (3, 0) => (field.first_chunk().map(|b| u32::from_le_bytes(*b)), 4),
            (major, minor) => {
                return Err(Error::new(
                    ErrorKind::Version,
                    format!(".npy version {major}.{minor}; expected 1.0, 2.0 or 3.0"),
                )
                .at(6));
            }
        };
        let start = 8 + field_len;
        let truncated = |expected: u64| {
            Error::new(
                ErrorKind::TruncatedHeader,
                format!(
                    "the file ends inside its header: {file_len} bytes, expected {expected}; \
                     it was cut off, so write or download it anew"
                ),
            )
        };
        let header_len = header_len.ok_or_else(|| truncated(start as u64))?;
        let end = start as u64 + u64::from(header_len);
        let too_large = header_len as usize > max_header_len;
        // A length in version 1.0 has 16 bits, so it is plausible and the file was cut off. A
        // length above the limit in another version is refused as such.
        if end > file_len && (version == (1, 0) || !too_large) {
            return Err(truncated(end));
        }
        if too_large {
            return Err(Error::new(
                ErrorKind::HeaderTooLarge,
                format!(
                    "a header of {header_len} bytes; the limit is {max_header_len}, which \
                     Limits::header_bytes of OpenOptions::limits raises"
                ),
            )
            .at(8));
        }
        Ok(Self {
            version,
            start,
            data_offset: end as usize,
        })
    }
}

impl Header {
    /// Parses the header at the start of `bytes`. The data may follow it.
    ///
    /// # Errors
    ///
    /// An error of the fitting kind for a header that the format does not allow or that this crate
    /// does not support. Among them are [`ErrorKind::Overflow`] for a size that does not fit into
    /// the address space, and [`ErrorKind::HeaderTooLarge`] for a header of more than 10,000 bytes,
    /// which is NumPy's limit.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let prefix = Prefix::parse(bytes, bytes.len() as u64, MAX_HEADER_LEN)?;
        Self::parse_after(&prefix, bytes)
    }

    /// Parses the header at the start of `bytes`, whose prefix is already parsed.
    pub(crate) fn parse_after(prefix: &Prefix, bytes: &[u8]) -> Result<Self> {
        let &Prefix {
            version,
            start,
            data_offset,
        } = prefix;
        let text = bytes.get(start..data_offset).ok_or_else(|| {
            Error::new(
                ErrorKind::TruncatedHeader,
                format!("{} bytes of a header of {data_offset}", bytes.len()),
            )
        })?;
        let text = match std::str::from_utf8(text) {
            Ok(text) if version == (3, 0) || text.is_ascii() => Cow::Borrowed(text),
            Err(error) if version == (3, 0) => {
                let at = (start + error.valid_up_to()) as u64;
                return Err(Error::new(
                    ErrorKind::Header,
                    "a version 3.0 header that is not UTF-8",
                )
                .at(at));
            }
            // Versions 1.0 and 2.0 are encoded in Latin-1.
            _ => text.iter().copied().map(char::from).collect(),
        };
        let fields = Fields::parse(&text, version != (3, 0)).map_err(|error| {
            let Some(at) = error.offset() else {
                return error;
            };
            Error::new(error.kind(), error.message()).at(start as u64 + at)
        })?;

        let item = ItemType::from_literal(&fields.descr)?;
        let layout = match fields.fortran_order {
            Literal::Bool(true) => Layout::Fortran,
            Literal::Bool(false) => Layout::C,
            _ => {
                return Err(Error::new(
                    ErrorKind::Header,
                    "`fortran_order` is not True or False",
                ));
            }
        };
        let shape = parse_shape(&fields.shape)?;
        let nbytes = checked_nbytes(&shape, item.size())?;
        if data_offset.checked_add(nbytes).is_none() {
            return Err(too_large());
        }
        Ok(Self {
            item,
            layout,
            shape,
            version,
            data_offset,
            nbytes,
        })
    }

    /// The type of an item of the array.
    pub fn item(&self) -> &ItemType {
        &self.item
    }

    /// The memory layout of the axes.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// The length of each axis.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The version of the format: (1, 0), (2, 0) or (3, 0).
    pub fn version(&self) -> (u8, u8) {
        self.version
    }

    /// The offset of the data, in bytes from the start of the file.
    pub fn data_offset(&self) -> usize {
        self.data_offset
    }

    /// The size of the data in bytes.
    pub fn nbytes(&self) -> usize {
        self.nbytes
    }

    /// Checks that a file or member of `len` bytes has all the data. Bytes after the data are
    /// ignored, as in NumPy.
    pub(crate) fn check_len(&self, len: u64) -> Result<()> {
        let expected = self.data_offset as u64 + self.nbytes as u64;
        if len < expected {
            return Err(Error::new(
                ErrorKind::TruncatedData,
                format!(
                    "{len} bytes, but items of {} in the shape {:?} need {expected}; the file was \
                     cut off, so write or download it anew",
                    shown(&self.item.to_string()),
                    self.shape
                ),
            ));
        }
        Ok(())
    }
}

/// The dtype and the shape, such as `uint8 [60, 28, 28]` or `opaque <V2 [60]`.
impl fmt::Display for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.item.kind() {
            ItemKind::Number(dtype, _) => write!(f, "{dtype}")?,
            ItemKind::Opaque(_) => write!(f, "opaque {}", self.item)?,
            _ => f.write_str(&shown(&self.item.to_string()))?,
        }
        write!(f, " {:?}", self.shape)
    }
}

/// The bytes of a header of version 1.0, or 2.0 if it is too long for that. As in NumPy, it is
/// padded with spaces so that the data starts at a multiple of 64 bytes.
pub(crate) fn encode(descr: &str, layout: Layout, shape: &[usize]) -> Vec<u8> {
    let dictionary = dictionary(descr, layout, shape);
    let padded = |prefix: usize| (prefix + dictionary.len() + 1).next_multiple_of(64) - prefix;
    let mut bytes = MAGIC.to_vec();
    let len = padded(10);
    let end = match u16::try_from(len) {
        Ok(len) => {
            bytes.extend([1, 0]);
            bytes.extend(len.to_le_bytes());
            10 + usize::from(len)
        }
        Err(_) => {
            let len = padded(12);
            bytes.extend([2, 0]);
            bytes.extend((len as u32).to_le_bytes());
            12 + len
        }
    };
    bytes.extend(dictionary.as_bytes());
    bytes.resize(end - 1, b' ');
    bytes.push(b'\n');
    bytes
}

/// The same header with another shape, in C layout and of the same length. `None` if the shape does
/// not fit into that length.
pub(crate) fn with_shape(header: &[u8], shape: &[usize]) -> Option<Vec<u8>> {
    let prefix = Prefix::parse(header, header.len() as u64, usize::MAX).ok()?;
    let old = Header::parse_after(&prefix, header).ok()?;
    let dictionary = dictionary(&format!("'{}'", old.item), Layout::C, shape);
    let mut bytes = header.get(..prefix.start)?.to_vec();
    bytes.extend(dictionary.as_bytes());
    if bytes.len() >= prefix.data_offset {
        return None;
    }
    bytes.resize(prefix.data_offset - 1, b' ');
    bytes.push(b'\n');
    Some(bytes)
}

/// The dictionary as NumPy writes it. `descr` includes its quotes or brackets.
fn dictionary(descr: &str, layout: Layout, shape: &[usize]) -> String {
    let fortran_order = match layout {
        Layout::Fortran => "True",
        Layout::C => "False",
    };
    let axes: Vec<_> = shape.iter().map(usize::to_string).collect();
    // A tuple of one element has a comma after it.
    let comma = if shape.len() == 1 { "," } else { "" };
    let axes = axes.join(", ");
    format!("{{'descr': {descr}, 'fortran_order': {fortran_order}, 'shape': ({axes}{comma}), }}")
}

fn too_large() -> Error {
    Error::new(
        ErrorKind::Overflow,
        "an array larger than the address space",
    )
}

/// The size of an array in bytes. As in NumPy, an axis of length zero does not hide an overflow of
/// the others.
pub(crate) fn checked_nbytes(shape: &[usize], itemsize: usize) -> Result<usize> {
    let mut nbytes = itemsize;
    for &len in shape {
        nbytes = nbytes
            .checked_mul(len.max(1))
            .filter(|&nbytes| isize::try_from(nbytes).is_ok())
            .ok_or_else(too_large)?;
    }
    Ok(if shape.contains(&0) { 0 } else { nbytes })
}

struct Fields {
    descr: Literal,
    fortran_order: Literal,
    shape: Literal,
}

impl Fields {
    fn parse(text: &str, python2: bool) -> Result<Self> {
        let error = |message: String| Error::new(ErrorKind::Header, message);
        let mut found = [None, None, None];
        const KEYS: [&str; 3] = ["descr", "fortran_order", "shape"];
        literal::entries(text, python2, |key, value| {
            let Literal::Str(key) = key else {
                return Err(error("a key of the header is not a string".to_owned()));
            };
            let Some(index) = KEYS.iter().position(|known| *known == key) else {
                let key = quoted(&key);
                return Err(error(format!("unknown key {key}; expected {KEYS:?}")));
            };
            match found[index].replace(value) {
                Some(_) => Err(error(format!("the key {key:?} twice"))),
                None => Ok(()),
            }
        })?;
        let [descr, fortran_order, shape] = found;
        let missing = |key: &str| error(format!("the key {key:?} is missing"));
        Ok(Self {
            descr: descr.ok_or_else(|| missing(KEYS[0]))?,
            fortran_order: fortran_order.ok_or_else(|| missing(KEYS[1]))?,
            shape: shape.ok_or_else(|| missing(KEYS[2]))?,
        })
    }
}

fn parse_shape(shape: &Literal) -> Result<Vec<usize>> {
    let error = |message: String| Error::new(ErrorKind::Shape, message);
    let Literal::Tuple(axes) = shape else {
        return Err(error("`shape` is not a tuple".to_owned()));
    };
    if axes.len() > MAX_NDIM {
        let found = axes.len();
        return Err(error(format!("{found} axes; the limit is {MAX_NDIM}")));
    }
    axes.iter()
        .map(|axis| match axis {
            Literal::Int(len @ 0..) => usize::try_from(*len).map_err(|_| too_large()),
            Literal::Int(_) | Literal::BigInt(true) => {
                Err(error("an axis of negative length".to_owned()))
            }
            Literal::BigInt(false) => Err(too_large()),
            _ => Err(error("an axis that is not an integer".to_owned())),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::strategy::Strategy;

    use super::*;

    fn npy(version: u8, text: &str) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend([version, 0]);
        match version {
            1 => bytes.extend((text.len() as u16).to_le_bytes()),
            _ => bytes.extend((text.len() as u32).to_le_bytes()),
        }
        bytes.extend(text.as_bytes());
        bytes
    }

    fn kind(descr: &str, order: &str, shape: &str) -> ErrorKind {
        let text = format!("{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}}}");
        Header::parse(&npy(1, &text)).unwrap_err().kind()
    }

    #[test]
    fn reads_a_header() {
        for version in [1, 2, 3] {
            let text = "{'descr': '>f8', 'fortran_order': True, 'shape': (3, 4), }   \n";
            let bytes = npy(version, text);
            let header = Header::parse(&bytes).unwrap();
            assert_eq!(header.item().to_string(), ">f8");
            assert_eq!(header.layout(), Layout::Fortran);
            assert_eq!(header.shape(), [3, 4]);
            assert_eq!(header.version(), (version, 0));
            assert_eq!(header.data_offset(), bytes.len());
            assert_eq!(header.nbytes(), 96);
            assert!(header.check_len(bytes.len() as u64 + 96).is_ok());
            let short = header.check_len(bytes.len() as u64 + 95).unwrap_err();
            assert_eq!(short.kind(), ErrorKind::TruncatedData);
            for end in 0..bytes.len() {
                assert!(Header::parse(&bytes[..end]).is_err());
            }
        }
    }

    #[test]
    fn a_field_may_be_called_as_an_object_is() {
        let kind = |descr: &str, name| {
            let descr = descr.replace("NAME", name);
            let header = Header::parse(&encode(&descr, Layout::C, &[1]));
            header.err().map(|error| error.kind())
        };
        for name in ["O", "|O", "O4", "O8", "|T16"] {
            for descr in [
                "[('x', '<f4'), ('NAME', '<f4')]",
                "[(('NAME', 'y'), '<f4', (2,))]",
            ] {
                assert_eq!(kind(descr, name), None);
            }
            for descr in [
                "'NAME'",
                "[('x', 'NAME')]",
                "[('x', [('y', ('NAME', (2,)))], (3,))]",
            ] {
                let found = kind(descr, name);
                assert_eq!(found, Some(ErrorKind::Object), "{descr} {name}");
            }
        }
    }

    #[test]
    fn dtypes_by_name_are_those_of_their_codes() {
        let item = |descr: &str| {
            let header = Header::parse(&encode(descr, Layout::C, &[4]));
            header.unwrap().item().clone()
        };
        for (name, code) in [
            ("'float32'", "'=f4'"),
            ("'bool'", "'|b1'"),
            ("'?'", "'|b1'"),
            ("'>q'", "'>i8'"),
            ("'datetime64[ns]'", "'=M8[ns]'"),
            (
                "[('x', 'half'), ('y', [('z', '>e', (2,)), ('t', 'a5')])]",
                "[('x', '=f2'), ('y', [('z', '>f2', (2,)), ('t', '|S5')])]",
            ),
        ] {
            assert_eq!(item(name), item(code));
        }
        // NumPy itself has no codes for these.
        let small = item("[('x', 'bfloat16'), ('y', 'int4')]");
        assert_eq!(small.to_string(), "[('x', 'bfloat16'), ('y', 'int4')]");
        assert_eq!((small.size(), item("'complex32'").size()), (3, 4));
        assert_eq!(item("'bcomplex32'").to_string(), "bcomplex32");
    }

    #[test]
    fn a_shape_may_be_of_integers_of_numpy() {
        let parse = |descr: &str, shape: &str| {
            let text = format!("{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}");
            Header::parse(&npy(1, &text))
        };
        let header = parse("'|u1'", "(np.int64(2), numpy.intp(3))").unwrap();
        assert_eq!(header.shape(), [2, 3]);
        let header = parse("[('x', '<f4', (np.int32(2), 3))]", "(1,)").unwrap();
        assert_eq!(header.item().fields()[0].shape(), [2, 3]);
        let error = parse("'|u1'", "(rows, 3)").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Header);
        assert!(error.to_string().contains("found the name `rows`"));
        assert!(error.to_string().contains("such as (2, 3)"));
        assert_eq!(kind("'|u1'", "False", "(np.int64(-2),)"), ErrorKind::Shape);
        assert_eq!(kind("'|u1'", "False", "np.int64(2)"), ErrorKind::Shape);
        assert_eq!(kind("'|u1'", "np.int64(0)", "(2,)"), ErrorKind::Header);
    }

    #[test]
    fn what_is_encoded_is_read() {
        for shape in [&[][..], &[7], &[3, 4]] {
            let bytes = encode("'<f2'", Layout::Fortran, shape);
            assert_eq!(bytes.len() % 64, 0);
            let header = Header::parse(&bytes).unwrap();
            assert_eq!((header.shape(), header.layout()), (shape, Layout::Fortran));
            assert_eq!(header.item().to_string(), "<f2");
            assert_eq!(header.data_offset(), bytes.len());

            let larger = with_shape(&bytes, &[1_000_000, 4]).unwrap();
            assert_eq!(larger.len(), bytes.len());
            let larger = Header::parse(&larger).unwrap();
            assert_eq!(
                (larger.shape(), larger.layout()),
                (&[1_000_000, 4][..], Layout::C)
            );
            assert_eq!(with_shape(&bytes, &[usize::MAX; 9]), None);
        }
        let long = encode(
            &format!("[('{}', '<f2')]", "x".repeat(70_000)),
            Layout::C,
            &[1],
        );
        assert_eq!((long[6], long.len() % 64), (2, 0));
    }

    #[test]
    fn a_field_that_is_wrong_is_named() {
        use ErrorKind::*;
        assert_eq!(kind("'<f3'", "False", "(3,)"), Dtype);
        assert_eq!(kind("[('a', '<f3')]", "False", "(3,)"), Dtype);
        assert_eq!(kind("[('a', [('b', '|O')])]", "False", "(3,)"), Object);
        assert_eq!(kind("'<f4'", "0", "(3,)"), Header);
        // Python refuses NUL, even in a comment.
        assert_eq!(kind("'<f4'", "False, # \0\n", "(3,)"), Header);
        assert_eq!(kind("'<f4'", "False", "3"), Shape);
        assert_eq!(kind("'<f4'", "False", "(3)"), Shape);
        assert_eq!(kind("'<f4'", "False", "(-1,)"), Shape);
        assert_eq!(kind("'<f4'", "False", "(True,)"), Shape);
        assert_eq!(
            kind("'<f4'", "False", "(0, 2305843009213693952, 2)"),
            Overflow
        );
        assert_eq!(kind("'<f4'", "False", "(99999999999999999999,)"), Overflow);
    }

    #[test]
    fn the_size_of_a_header_is_bounded_before_it_is_read() {
        let mut bytes = npy(2, "");
        bytes[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
        let error = Header::parse(&bytes).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::HeaderTooLarge);
        // In version 1.0, a length above the limit means a file that was cut off.
        let mut bytes = npy(1, "");
        bytes[8..10].copy_from_slice(&u16::MAX.to_le_bytes());
        let kind = Header::parse(&bytes).unwrap_err().kind();
        assert_eq!(kind, ErrorKind::TruncatedHeader);
        bytes.resize(70_000, b' ');
        let kind = Header::parse(&bytes).unwrap_err().kind();
        assert_eq!(kind, ErrorKind::HeaderTooLarge);
        assert_eq!(Header::parse(b"").unwrap_err().kind(), ErrorKind::Magic);
        assert_eq!(
            Header::parse(&npy(4, "")).unwrap_err().kind(),
            ErrorKind::Version
        );
    }

    proptest::proptest! {
        #[test]
        fn sizes_are_those_of_wide_arithmetic(
            shape in proptest::collection::vec(
                proptest::prop_oneof![
                    0..4_usize,
                    proptest::prelude::any::<usize>(),
                    (0..64_u32, 0..3_usize)
                        .prop_map(|(bits, more)| (1_usize << bits).wrapping_add(more)),
                ],
                0..5,
            ),
            size in proptest::prop_oneof![1..17_usize, 1..i32::MAX as usize],
        ) {
            // The product of six numbers of 64 bits may overflow. A saturated product is still too
            // large.
            let wide = |len: &usize| *len as u128;
            let nonzero = shape.iter().map(|len| wide(len).max(1));
            let all = nonzero.fold(wide(&size), u128::saturating_mul);
            let found = checked_nbytes(&shape, size);
            if all > isize::MAX as u128 {
                proptest::prop_assert_eq!(found.unwrap_err().kind(), ErrorKind::Overflow);
            } else {
                let exact = shape.iter().map(wide).fold(wide(&size), |all, len| all * len);
                proptest::prop_assert_eq!(wide(&found.unwrap()), exact);
            }
        }
    }
}
