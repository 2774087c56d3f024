//! Parses the Python literals of a header in one pass, with bounded depth and no evaluation.
//!
//! The grammar is the part of `ast.literal_eval` that NumPy or its users write: dictionaries,
//! lists, tuples, sets, strings, decimal numbers, `True`, `False` and `None`. In addition, a NumPy
//! integer such as `np.int64(2)` is read as the integer in it, which NumPy itself does not do.
//! Anything else is an error.

use std::iter::Peekable;
use std::str::CharIndices;

use crate::format::descr;
use crate::message::shown;
use crate::{Error, ErrorKind, Result};

/// The maximum depth of nested brackets. A plain header needs 2, and each level of nested
/// structures needs two more.
const MAX_DEPTH: usize = 128;

/// A Python literal.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Literal {
    Dict(Vec<(Literal, Literal)>),
    List(Vec<Literal>),
    Tuple(Vec<Literal>),
    Set(Vec<Literal>),
    Str(String),
    Bytes,
    Int(i64),
    /// An integer that does not fit into an `i64`. The flag says whether it is negative.
    BigInt(bool),
    Float,
    Bool(bool),
    None,
}

/// Parses one dictionary with nothing but white space around it, and passes on its entries one by
/// one. Python 2 wrote integers with an `L` at the end, which `python2` allows.
pub(crate) fn entries(
    text: &str,
    python2: bool,
    mut entry: impl FnMut(Literal, Literal) -> Result<()>,
) -> Result<()> {
    // Python refuses NUL, even in a comment.
    if let Some(at) = text.find('\0') {
        return Err(error(at, "a NUL character"));
    }
    let mut parser = Parser::new(text, python2);
    parser.skip_blank();
    if parser.at_char() != Some('{') {
        parser.value(0)?;
        return Err(error(0, "the header is not a dictionary"));
    }
    match parser.braces(0, &mut entry)? {
        Braces::Dict => parser.end(),
        Braces::Set(_) => Err(error(0, "the header is a set, not a dictionary")),
    }
}

#[cfg(test)]
pub(crate) fn parse(text: &str, python2: bool) -> Result<Literal> {
    let mut parser = Parser::new(text, python2);
    let literal = parser.value(0)?;
    parser.end()?;
    Ok(literal)
}

/// The content of braces.
enum Braces {
    /// A dictionary, whose entries have been passed on.
    Dict,
    Set(Vec<Literal>),
}

fn error(at: usize, what: impl Into<String>) -> Error {
    Error::new(ErrorKind::Header, what).at(at as u64)
}

struct Parser<'a> {
    text: &'a str,
    chars: Peekable<CharIndices<'a>>,
    python2: bool,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str, python2: bool) -> Self {
        Self {
            text,
            chars: text.char_indices().peekable(),
            python2,
        }
    }

    /// Checks that only white space is left.
    fn end(&mut self) -> Result<()> {
        self.skip_blank();
        match self.chars.next() {
            None => Ok(()),
            Some((at, c)) => Err(error(at, format!("found {c:?} after the dictionary"))),
        }
    }

    fn at_char(&mut self) -> Option<char> {
        self.chars.peek().map(|&(_, c)| c)
    }

    fn skip_blank(&mut self) {
        while let Some(&(_, c)) = self.chars.peek() {
            match c {
                ' ' | '\t' | '\n' | '\r' | '\x0c' => {
                    self.chars.next();
                }
                '#' => while self.chars.next_if(|&(_, c)| c != '\n').is_some() {},
                _ => break,
            }
        }
    }

    fn at(&mut self) -> usize {
        self.chars.peek().map_or(self.text.len(), |&(at, _)| at)
    }

    fn take(&mut self, wanted: char) -> bool {
        self.skip_blank();
        self.chars.next_if(|&(_, c)| c == wanted).is_some()
    }

    fn value(&mut self, depth: usize) -> Result<Literal> {
        self.skip_blank();
        let at = self.at();
        if depth > MAX_DEPTH {
            return Err(error(
                at,
                format!("brackets nest deeper than {MAX_DEPTH} levels"),
            ));
        }
        let Some(&(_, c)) = self.chars.peek() else {
            return Err(error(at, "the header ends where a value was expected"));
        };
        match c {
            '{' => {
                let mut entries = Vec::new();
                let found = self.braces(depth, &mut |key, value| {
                    entries.push((key, value));
                    Ok(())
                })?;
                Ok(match found {
                    Braces::Dict => Literal::Dict(entries),
                    Braces::Set(items) => Literal::Set(items),
                })
            }
            '[' => {
                self.chars.next();
                Ok(Literal::List(self.items(']', depth)?.0))
            }
            '(' => {
                self.chars.next();
                let (mut items, trailing_comma) = self.items(')', depth)?;
                // `(3)` is a number in brackets, `(3,)` and `()` are tuples.
                Ok(match items.len() {
                    1 if !trailing_comma => items.remove(0),
                    _ => Literal::Tuple(items),
                })
            }
            '\'' | '"' => Ok(Literal::Str(self.string()?)),
            '-' | '+' | '.' | '0'..='9' => self.number(),
            _ if c.is_alphabetic() || c == '_' => self.word(),
            _ => Err(error(at, format!("found {c:?} where a value was expected"))),
        }
    }

    /// Parses items up to the closing bracket. Also returns whether there was a comma in front of
    /// it.
    fn items(&mut self, close: char, depth: usize) -> Result<(Vec<Literal>, bool)> {
        let mut items = Vec::new();
        let mut comma = false;
        loop {
            if self.take(close) {
                return Ok((items, comma));
            }
            if !items.is_empty() && !comma {
                let at = self.at();
                return Err(error(at, format!("expected a comma or {close:?}")));
            }
            items.push(self.value(depth + 1)?);
            comma = self.take(',');
        }
    }

    fn braces(
        &mut self,
        depth: usize,
        entry: &mut dyn FnMut(Literal, Literal) -> Result<()>,
    ) -> Result<Braces> {
        self.chars.next();
        if self.take('}') {
            return Ok(Braces::Dict);
        }
        let first = self.value(depth + 1)?;
        if !self.take(':') {
            let comma = self.take(',');
            let mut items = vec![first];
            if comma {
                items.extend(self.items('}', depth)?.0);
            } else if !self.take('}') {
                let at = self.at();
                return Err(error(at, "expected ':', a comma or '}'"));
            }
            return Ok(Braces::Set(items));
        }
        entry(first, self.value(depth + 1)?)?;
        loop {
            let comma = self.take(',');
            if self.take('}') {
                return Ok(Braces::Dict);
            }
            let at = self.at();
            if !comma {
                return Err(error(at, "expected a comma or '}'"));
            }
            let key = self.value(depth + 1)?;
            if !self.take(':') {
                let at = self.at();
                return Err(error(at, "expected ':' after a key"));
            }
            entry(key, self.value(depth + 1)?)?;
        }
    }

    fn string(&mut self) -> Result<String> {
        let Some((start, quote)) = self.chars.next() else {
            return Err(error(self.text.len(), "expected a string"));
        };
        let mut text = String::new();
        loop {
            match self.chars.next() {
                None | Some((_, '\n')) => return Err(error(start, "the string does not end")),
                Some((_, c)) if c == quote => return Ok(text),
                Some((at, '\\')) => text.push(self.escape(at)?),
                Some((_, c)) => text.push(c),
            }
        }
    }

    fn escape(&mut self, at: usize) -> Result<char> {
        let unknown = || error(at, "an escape that NumPy does not write");
        let digits = match self.chars.next().ok_or_else(unknown)?.1 {
            c @ ('\\' | '\'' | '"') => return Ok(c),
            'n' => return Ok('\n'),
            'r' => return Ok('\r'),
            't' => return Ok('\t'),
            'x' => 2,
            'u' => 4,
            'U' => 8,
            _ => return Err(unknown()),
        };
        let mut code = 0;
        for _ in 0..digits {
            let digit = self.chars.next().and_then(|(_, c)| c.to_digit(16));
            code = code * 16 + digit.ok_or_else(unknown)?;
        }
        char::from_u32(code).ok_or_else(unknown)
    }

    fn number(&mut self) -> Result<Literal> {
        let start = self.at();
        let negative = self.chars.next_if(|&(_, c)| c == '-').is_some();
        if !negative {
            self.chars.next_if(|&(_, c)| c == '+');
        }
        let digits = self.at();
        while self
            .chars
            .next_if(|&(_, c)| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E'))
            .is_some()
        {}
        let end = self.at();
        let body = &self.text[digits..end];
        if self.python2 {
            self.chars.next_if(|&(_, c)| c == 'L');
        }
        let next = self.at();
        if self.text[next..].starts_with(|c: char| c.is_alphanumeric() || c == '_') {
            return Err(error(start, "a number that NumPy does not write"));
        }
        if body.is_empty() {
            return Err(error(start, "a sign without a number"));
        }
        if !body.bytes().all(|b| b.is_ascii_digit()) {
            return match body.parse::<f64>() {
                Ok(_) => Ok(Literal::Float),
                Err(_) => Err(error(start, "a number that NumPy does not write")),
            };
        }
        if body.len() > 1 && body.starts_with('0') && body.bytes().any(|b| b != b'0') {
            return Err(error(start, "a number with leading zeros"));
        }
        Ok(match body.parse::<i64>() {
            Ok(value) if negative => Literal::Int(-value),
            Ok(value) => Literal::Int(value),
            Err(_) => Literal::BigInt(negative),
        })
    }

    fn word(&mut self) -> Result<Literal> {
        let start = self.at();
        while self
            .chars
            .next_if(|&(_, c)| c.is_alphanumeric() || c == '_')
            .is_some()
        {}
        let end = self.at();
        let word = &self.text[start..end];
        let quoted = matches!(self.chars.peek(), Some((_, '\'' | '"')));
        match word {
            "True" => Ok(Literal::Bool(true)),
            "False" => Ok(Literal::Bool(false)),
            "None" => Ok(Literal::None),
            "b" | "B" if quoted => self.string().map(|_| Literal::Bytes),
            "u" | "U" if quoted => self.string().map(Literal::Str),
            _ => self.scalar(start),
        }
    }

    /// Parses a NumPy integer such as `np.int64(2)`. That is its `repr` since NumPy 2, and programs
    /// that format a shape themselves write it.
    fn scalar(&mut self, start: usize) -> Result<Literal> {
        while self
            .chars
            .next_if(|&(_, c)| c.is_alphanumeric() || matches!(c, '_' | '.'))
            .is_some()
        {}
        let end = self.at();
        let name = &self.text[start..end];
        let refused = |what: &str| {
            let name = shown(name);
            error(
                start,
                format!(
                    "found {what} `{name}` where a value was expected; a shape is written in plain \
                     numbers, such as (2, 3), and a dtype in quotes"
                ),
            )
        };
        let class = name
            .strip_prefix("np.")
            .or_else(|| name.strip_prefix("numpy."))
            .unwrap_or(name);
        let dtype = descr::integer(class).ok_or_else(|| refused("the name"))?;
        if !self.take('(') {
            return Err(refused("the name"));
        }
        self.skip_blank();
        let number = match self.at_char() {
            Some('-' | '+' | '0'..='9') => self.number()?,
            _ => return Err(refused("more than a number in")),
        };
        let (min, max) = dtype.int_range().unwrap_or((0, 0));
        let fits = match number {
            Literal::Int(value) => (min..=max).contains(&i128::from(value)),
            // The caller refuses an integer that is too large.
            Literal::BigInt(_) => true,
            _ => false,
        };
        if !self.take(')') {
            Err(refused("more than a number in"))
        } else if fits {
            Ok(number)
        } else {
            Err(refused("a number that does not fit"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(text: &str) -> ErrorKind {
        parse(text, false).unwrap_err().kind()
    }

    #[test]
    fn reads_what_numpy_writes() {
        let parsed = parse(
            "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2L), }\n",
            true,
        );
        let text = |text: &str| Literal::Str(text.to_owned());
        assert_eq!(
            parsed.unwrap(),
            Literal::Dict(vec![
                (text("descr"), text("<f4")),
                (text("fortran_order"), Literal::Bool(false)),
                (
                    text("shape"),
                    Literal::Tuple(vec![Literal::Int(3), Literal::Int(2)])
                ),
            ])
        );
        assert_eq!(parse("(3)", false).unwrap(), Literal::Int(3));
        assert_eq!(parse("()", false).unwrap(), Literal::Tuple(vec![]));
        assert_eq!(
            parse(r"'a\'\x41'", false).unwrap(),
            Literal::Str("a'A".to_owned())
        );
        assert_eq!(
            parse("{1}", false).unwrap(),
            Literal::Set(vec![Literal::Int(1)])
        );
    }

    #[test]
    fn an_integer_of_numpy_is_the_integer_in_it() {
        for text in [
            "np.int64(2)",
            "numpy.int32(2)",
            "uint8(2)",
            "np.intp( 2 )",
            "np.longlong (+2)",
            "int_(2)",
        ] {
            assert_eq!(parse(text, false).unwrap(), Literal::Int(2), "{text}");
        }
        let shape = "(np.int8(-128), np.uint8(255), np.uint64(18446744073709551615))";
        let [a, b] = [-128, 255].map(Literal::Int);
        assert_eq!(
            parse(shape, false).unwrap(),
            Literal::Tuple(vec![a, b, Literal::BigInt(false)])
        );
        for (text, found) in [
            ("foo", "the name `foo` where"),
            ("float32", "the name `float32` where"),
            ("np.int64", "the name `np.int64` where"),
            ("np.float64(2)", "the name `np.float64` where"),
            ("int(2)", "the name `int` where"),
            ("np.bool(2)", "the name `np.bool` where"),
            ("os.int64(2)", "the name `os.int64` where"),
            ("np.np.int64(2)", "the name `np.np.int64` where"),
            ("np.int4(2)", "the name `np.int4` where"),
            ("np.int64()", "more than a number in `np.int64`"),
            ("np.int64('2')", "more than a number in `np.int64`"),
            ("np.int64(np.int64(2))", "more than a number in `np.int64`"),
            ("np.int64(2, 3)", "more than a number in `np.int64`"),
            ("np.int64(2.5)", "a number that does not fit `np.int64`"),
            ("np.int8(128)", "a number that does not fit `np.int8`"),
            ("np.int8(-129)", "a number that does not fit `np.int8`"),
            ("np.uint8(-1)", "a number that does not fit `np.uint8`"),
            ("np.uint64(-1)", "a number that does not fit `np.uint64`"),
        ] {
            let error = parse(text, false).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Header);
            let message = error.message();
            assert!(message.starts_with(&format!("found {found}")), "{message}");
            assert!(message.ends_with("in quotes"), "{message}");
        }
    }

    #[test]
    fn refuses_the_rest_without_recursing_far() {
        for text in [
            "",
            "{",
            "{'a'",
            "{'a': }",
            "{'a': 1 'b': 2}",
            "(1 2)",
            "(,)",
            "[1,,2]",
            "'abc",
            "--1",
            "0x10",
            "1_000",
            "012",
            "f'x'",
            "dict()",
            "{'a': 1}}",
            "lambda: 1",
            "3L",
            "\0",
        ] {
            assert_eq!(kind(text), ErrorKind::Header, "{text:?}");
        }
        for bracket in ["(", "[", "{", "{1:"] {
            assert_eq!(kind(&bracket.repeat(100_000)), ErrorKind::Header);
        }
    }

    #[test]
    fn numbers_that_do_not_fit_are_known_as_such() {
        let digits = "9".repeat(9_000);
        assert_eq!(parse(&digits, false).unwrap(), Literal::BigInt(false));
        assert_eq!(
            parse(&format!("-{digits}"), false).unwrap(),
            Literal::BigInt(true)
        );
        assert_eq!(parse("1.5", false).unwrap(), Literal::Float);
    }
}
