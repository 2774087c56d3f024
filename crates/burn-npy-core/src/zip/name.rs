//! The names of members.

use super::{FLAG_UTF8, malformed};
use crate::Result;

/// Decodes a name as Python's `zipfile` does: as UTF-8 if the flag is set, otherwise as code page
/// 437, whose lower half is ASCII. Within each encoding, different bytes give different names.
pub(super) fn decode(raw: &[u8], flags: u16) -> Result<String> {
    if raw.contains(&0) {
        return Err(malformed("a name with a NUL byte"));
    }
    if flags & FLAG_UTF8 != 0 || raw.is_ascii() {
        let name = std::str::from_utf8(raw).map_err(|error| {
            malformed("a name that is not UTF-8, as its flag says").with_source(error)
        })?;
        return Ok(name.to_owned());
    }
    let decode = |&byte: &u8| match byte {
        0x80.. => CODE_PAGE_437[usize::from(byte - 0x80)],
        _ => char::from(byte),
    };
    Ok(raw.iter().map(decode).collect())
}

/// The characters of the bytes from 0x80 on in code page 437, the default of the format.
#[rustfmt::skip]
const CODE_PAGE_437: [char; 128] = [
    'Ç', 'ü', 'é', 'â', 'ä', 'à', 'å', 'ç', 'ê', 'ë', 'è', 'ï', 'î', 'ì', 'Ä', 'Å',
    'É', 'æ', 'Æ', 'ô', 'ö', 'ò', 'û', 'ù', 'ÿ', 'Ö', 'Ü', '¢', '£', '¥', '₧', 'ƒ',
    'á', 'í', 'ó', 'ú', 'ñ', 'Ñ', 'ª', 'º', '¿', '⌐', '¬', '½', '¼', '¡', '«', '»',
    '░', '▒', '▓', '│', '┤', '╡', '╢', '╖', '╕', '╣', '║', '╗', '╝', '╜', '╛', '┐',
    '└', '┴', '┬', '├', '─', '┼', '╞', '╟', '╚', '╔', '╩', '╦', '╠', '═', '╬', '╧',
    '╨', '╤', '╥', '╙', '╘', '╒', '╓', '╫', '╪', '┘', '┌', '█', '▄', '▌', '▐', '▀',
    'α', 'ß', 'Γ', 'π', 'Σ', 'σ', 'µ', 'τ', 'Φ', 'Θ', 'Ω', 'δ', '∞', 'φ', 'ε', '∩',
    '≡', '±', '≥', '≤', '⌠', '⌡', '÷', '≈', '°', '∙', '·', '√', 'ⁿ', '²', '■', '\u{a0}',
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_python_makes_of_them() {
        assert_eq!(decode(b"a/b.npy", 0).unwrap(), "a/b.npy");
        assert_eq!(
            decode("\u{e4}\u{2603}".as_bytes(), FLAG_UTF8).unwrap(),
            "\u{e4}\u{2603}"
        );
        // bytes([0x84, 0xff, 0x41]).decode("cp437")
        assert_eq!(decode(&[0x84, 0xff, 0x41], 0).unwrap(), "\u{e4}\u{a0}A");
        assert!(decode(&[0x84], FLAG_UTF8).is_err());
        assert!(decode(b"a\0b", 0).is_err());
    }

    #[test]
    fn the_code_page_is_one_to_one() {
        let distinct: std::collections::HashSet<_> = CODE_PAGE_437.into_iter().collect();
        assert_eq!(distinct.len(), 128);
        assert!(CODE_PAGE_437.iter().all(|c| !c.is_ascii()));
    }
}
