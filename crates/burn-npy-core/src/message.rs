//! Texts from outside in messages: printable, and short.
//!
//! Names, paths and headers come from files and from users. A terminal acts on control characters,
//! some characters change the direction of the text around them or cannot be seen, and a name may
//! have 65,535 bytes. So a message has them escaped and cut. [`Error::new`](crate::Error::new) does
//! the same to a message as a whole, for what was forgotten.

use std::fmt::Write;
use std::path::Path;

use crate::remote::url::without_secrets;

/// The longest text in a message, in bytes.
const TEXT: usize = 100;
/// The longest path, and the longest name in code that a user may copy.
const WHOLE: usize = 500;
/// How many words a list has, at most.
pub const WORDS: usize = 20;
/// The longest list.
const LIST: usize = 1300;
/// The longest message of an error, without the file, the array and the source.
pub const MESSAGE: usize = 3000;

/// A name or another text, at most 100 bytes long.
pub fn shown(text: &str) -> String {
    cut(text, TEXT, escape)
}

/// A message of somebody else as one line, at most `max` bytes long.
pub fn one_line(text: &str, max: usize) -> String {
    cut(text, max, escape)
}

/// The same in quotes.
pub fn quoted(text: &str) -> String {
    format!("\"{}\"", cut(text, TEXT, escape_in_quotes))
}

/// A path, or a URL without its secrets. Of a long one, the end is shown.
pub fn shown_path(path: &Path) -> String {
    let path = without_secrets(path);
    let path = path.to_string_lossy();
    let mut len = 0;
    let mut end = path.char_indices().rev().take_while(|(_, c)| {
        let mut one = String::new();
        escape(*c, &mut one);
        len += one.len();
        len <= WHOLE
    });
    let start = end.by_ref().last().map_or(path.len(), |(at, _)| at);
    let mut shown = String::from(if start > 0 { "..." } else { "" });
    path[start..].chars().for_each(|c| escape(c, &mut shown));
    shown
}

/// A name or a path as a literal of Rust, for code that a user may copy: at most 500 bytes long.
pub fn literal(text: &str) -> String {
    format!("\"{}\"", cut(text, WHOLE, escape_in_quotes))
}

/// An error of somebody else.
pub(crate) fn shown_source(source: &dyn std::error::Error) -> String {
    cut(&source.to_string(), WHOLE, escape)
}

/// The first few of some things, each as `show` describes it, and how many more there are.
pub fn listed<T>(things: impl IntoIterator<Item = T>, show: impl FnMut(T) -> String) -> String {
    separated(", ", things, show)
}

/// The same with something else than commas between them.
pub fn separated<T>(
    by: &str,
    things: impl IntoIterator<Item = T>,
    mut show: impl FnMut(T) -> String,
) -> String {
    let mut things = things.into_iter();
    let mut list = String::new();
    for index in 0..WORDS {
        let Some(thing) = things.next() else {
            return list;
        };
        let word = show(thing);
        if index > 0 && list.len() + word.len() > LIST {
            let _ = write!(list, "{by}and {} more", 1 + things.count());
            return list;
        }
        list += if index > 0 { by } else { "" };
        list += &word;
    }
    match things.count() {
        0 => list,
        more => format!("{list}{by}and {more} more"),
    }
}

/// Which things exist where one was not found.
pub(crate) fn known<T>(
    things: impl IntoIterator<Item = T>,
    show: impl FnMut(T) -> String,
) -> String {
    match listed(things, show) {
        none if none.is_empty() => "there are none".to_owned(),
        list => format!("there are {list}"),
    }
}

/// A message of several lines, whose texts were escaped and cut one by one.
pub(crate) fn bounded(message: String) -> String {
    if message.len() <= MESSAGE && !message.contains(|c| c != '\n' && is_hidden(c)) {
        return message;
    }
    cut(&message, MESSAGE, |c, out| match c {
        '\n' => out.push(c),
        _ => escape(c, out),
    })
}

/// The start of a text, each character as `write` writes it.
fn cut(text: &str, max: usize, write: impl Fn(char, &mut String)) -> String {
    let mut out = String::new();
    for c in text.chars() {
        let before = out.len();
        write(c, &mut out);
        if out.len() > max {
            out.truncate(before);
            out += "...";
            break;
        }
    }
    out
}

fn escape(c: char, out: &mut String) {
    if is_hidden(c) {
        out.extend(c.escape_default());
    } else {
        out.push(c);
    }
}

fn escape_in_quotes(c: char, out: &mut String) {
    match c {
        '"' | '\\' => out.extend(c.escape_default()),
        _ => escape(c, out),
    }
}

/// Whether a character is none that one sees: controls, marks of direction, separators of lines,
/// spaces without width, fillers, selectors of variants, and tags.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{115f}'..='\u{1160}'
                | '\u{3164}'
                | '\u{fe00}'..='\u{fe0f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e01ef}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_acts_on_is_escaped() {
        for (text, expected) in [
            (
                "plain \u{e9}\u{1f389} \"x\" \\",
                "plain \u{e9}\u{1f389} \"x\" \\",
            ),
            ("a\nb\r\t", "a\\nb\\r\\t"),
            ("\u{1b}[31m\u{7}", "\\u{1b}[31m\\u{7}"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("\u{202e}gpj.exe", "\\u{202e}gpj.exe"),
            (
                "\u{2066}\u{200b}\u{2028}\u{e0041}",
                "\\u{2066}\\u{200b}\\u{2028}\\u{e0041}",
            ),
        ] {
            assert_eq!(shown(text), expected);
            assert_eq!(shown_path(Path::new(text)), expected);
        }
        assert_eq!(quoted("it's \"a\\b\"\n"), r#""it's \"a\\b\"\n""#);
        assert_eq!(bounded("a\n\u{1b}b\r".to_owned()), "a\n\\u{1b}b\\r");
    }

    #[test]
    fn what_is_long_is_cut_at_a_character() {
        for c in ['x', '\u{e9}', '\u{1f389}', '\u{1b}', '\u{e0041}', '"'] {
            let text = String::from(c).repeat(60_000);
            for (shown, max) in [
                (shown(&text), TEXT + 3),
                (quoted(&text), TEXT + 5),
                (shown_path(Path::new(&text)), WHOLE + 3),
                (literal(&text), WHOLE + 5),
                (bounded(text.clone()), MESSAGE + 3),
            ] {
                assert!(shown.contains("...") && shown.len() <= max, "{shown}");
                assert!(shown.len() > max - 20, "{shown}");
            }
        }
        let exact = "x".repeat(TEXT);
        assert_eq!(shown(&exact), exact);
        assert_eq!(shown(&format!("{exact}y")), format!("{exact}..."));
        // The end of a path tells the most.
        let path = format!("/{}/file.npy", "x".repeat(WHOLE));
        let shown = shown_path(Path::new(&path));
        assert!(shown.starts_with("...x") && shown.ends_with("x/file.npy"));
    }

    #[test]
    fn a_list_has_an_end() {
        let list = |count: usize, len: usize| listed(0..count, |i| format!("{i:0len$}"));
        assert_eq!(list(0, 1), "");
        assert_eq!(list(3, 1), "0, 1, 2");
        assert!(list(20, 1).ends_with("18, 19"));
        assert!(list(21, 1).ends_with("18, 19, and 1 more"));
        let long = list(200_000, 100);
        assert!(
            long.ends_with("11, and 199988 more") && long.len() < LIST,
            "{long}"
        );
        // At least one.
        assert_eq!(list(1, 5000).len(), 5000);
        assert!(list(2, 5000).ends_with("0, and 1 more"));
        // What is not shown is not described.
        let mut described = 0;
        listed(0..1000, |_| {
            described += 1;
            String::new()
        });
        assert_eq!(described, WORDS);
    }
}
