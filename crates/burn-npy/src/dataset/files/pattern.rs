//! Files by a pattern.
//!
//! The crate `glob` says which names match. Folders are read here, since its walk passes over names
//! that are not UTF-8, and a dataset without those rows would be silently short.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use ::glob::{MatchOptions, Pattern, PatternError};
use burn_npy_core::internal::{self, listed, quoted, shown, shown_path};
use burn_npy_core::{Error, ErrorKind, Result};

/// As a shell does it, and the same on every platform.
const OPTIONS: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: true,
};
const WILDCARDS: [char; 3] = ['*', '?', '['];

/// The files that match a pattern, in the natural order of their names: `shard_2.npy` comes before
/// `shard_10.npy`. Paths are compared folder by folder and character by character, but a run of
/// digits is one number, and where that finds no difference, as in `1` and `01`, the bytes decide.
///
/// In a pattern, `*` is any part of a name, `?` is one character, `[0-9a]` and `[!0-9a]` are one
/// character that is in the list or not, and `**` is any number of folders. As in a shell, a name
/// that begins with a dot needs a pattern that does so. `[[]`, `[*]` and `[?]` are the characters
/// `[`, `*` and `?`. Names that are not UTF-8 match as if they had U+FFFD for what is not.
///
/// # Errors
///
/// [`ErrorKind::Usage`] if the pattern is malformed or nothing matches: the message says what there
/// is in the folder. [`ErrorKind::Io`] if a folder cannot be read.
///
/// # Example
///
/// ```
/// # fn main() -> burn_npy::Result<()> {
/// # let dir = tempfile::tempdir().unwrap();
/// # for name in ["shard_10.npy", "shard_2.npy", "notes.txt"] {
/// #     std::fs::write(dir.path().join(name), "").unwrap();
/// # }
/// # let pattern = dir.path().join("shard_*.npy");
/// # let pattern = pattern.to_str().unwrap();
/// // shard_10.npy, shard_2.npy and notes.txt; the pattern is "shard_*.npy"
/// let paths = burn_npy::glob(pattern)?;
/// assert!(paths[0].ends_with("shard_2.npy") && paths[1].ends_with("shard_10.npy"));
/// # Ok(())
/// # }
/// ```
pub fn glob(pattern: &str) -> Result<Vec<PathBuf>> {
    let parts = Path::new(pattern).components();
    let parts: Vec<Part> = parts
        .map(|part| Part::new(part.as_os_str()))
        .collect::<Result<_, _>>()
        .map_err(|error| {
            let message = format!("the pattern {} is malformed: {error}", quoted(pattern));
            Error::new(ErrorKind::Usage, message)
        })?;
    let mut found = Vec::new();
    walk(PathBuf::new(), &parts, &mut found)?;
    internal::sort_naturally(&mut found);
    // Two `**` find a file in several ways.
    found.dedup();
    if found.is_empty() {
        return Err(no_match(pattern, &parts));
    }
    Ok(found)
}

/// A part of a pattern, between two separators.
enum Part {
    Name(OsString),
    Pattern(Pattern),
    /// Any number of folders.
    Folders,
}

impl Part {
    fn new(part: &OsStr) -> Result<Self, PatternError> {
        let text = part.to_string_lossy();
        Ok(match &*text {
            "**" => Self::Folders,
            text if text.contains(WILDCARDS) => Self::Pattern(Pattern::new(text)?),
            _ => Self::Name(part.to_owned()),
        })
    }
}

/// Adds all paths below a folder that match the rest of a pattern.
fn walk(folder: PathBuf, parts: &[Part], found: &mut Vec<PathBuf>) -> Result<()> {
    let Some((part, rest)) = parts.split_first() else {
        // A broken link matches, and is an error when it is opened.
        if fs::symlink_metadata(&folder).is_ok() {
            found.push(folder);
        }
        return Ok(());
    };
    match part {
        Part::Name(name) => walk(folder.join(name), rest, found),
        Part::Pattern(pattern) => {
            for path in entries_if_folder(&folder)? {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                if pattern.matches_with(&name, OPTIONS) {
                    if rest.is_empty() {
                        found.push(path);
                    } else {
                        walk(path, rest, found)?;
                    }
                }
            }
            Ok(())
        }
        Part::Folders => {
            walk(folder.clone(), rest, found)?;
            for path in entries_if_folder(&folder)? {
                let is_hidden = path.file_name().is_some_and(is_hidden);
                // Links may lead in circles.
                let is_folder = || fs::symlink_metadata(&path).is_ok_and(|found| found.is_dir());
                if !is_hidden && is_folder() {
                    walk(path, parts, found)?;
                }
            }
            Ok(())
        }
    }
}

fn is_hidden(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
}

/// What is in a folder; nothing if it is none.
fn entries_if_folder(folder: &Path) -> Result<Vec<PathBuf>> {
    match read_folder(folder) {
        Err(error) if is_no_folder(&error) => Ok(Vec::new()),
        read => read.map_err(|error| unreadable(folder, error)),
    }
}

fn is_no_folder(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

fn unreadable(folder: &Path, error: io::Error) -> Error {
    internal::io_error("cannot read the folder", error).in_file(folder)
}

fn read_folder(folder: &Path) -> io::Result<Vec<PathBuf>> {
    // The paths that are given out begin as the pattern does.
    let start = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    let entries = fs::read_dir(start)?;
    entries
        .map(|entry| Ok(folder.join(entry?.file_name())))
        .collect()
}

/// What is in a folder, without names that begin with a dot.
pub(super) fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut entries = read_folder(folder).map_err(|error| unreadable(folder, error))?;
    entries.retain(|path| !path.file_name().is_some_and(is_hidden));
    Ok(entries)
}

/// The error that says what there is instead.
fn no_match(pattern: &str, parts: &[Part]) -> Error {
    let refuse = |why: String| {
        let message = format!("nothing matches the pattern {}: {why}", quoted(pattern));
        Error::new(ErrorKind::Usage, message)
    };
    if pattern.contains('[') && fs::symlink_metadata(pattern).is_ok() {
        return refuse(format!(
            "there is a file of this very name, but brackets list characters; the pattern for it \
             is {}",
            quoted(&Pattern::escape(pattern))
        ));
    }
    // The last folder of those that the pattern names.
    let mut folder = PathBuf::new();
    let is_folder = |folder: &Path, part: &Part| match part {
        Part::Name(name) => folder.join(name).is_dir(),
        _ => false,
    };
    let mut parts = parts.iter().peekable();
    while let Some(Part::Name(name)) = parts.next_if(|part| is_folder(&folder, part)) {
        folder.push(name);
    }
    let start = match parts.next() {
        Some(Part::Name(name)) => name.to_string_lossy().into_owned(),
        Some(Part::Pattern(pattern)) => {
            let text = pattern.as_str();
            text[..text.find(WILDCARDS).unwrap_or(text.len())].to_owned()
        }
        _ => String::new(),
    };
    let shown_folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        &folder
    };
    match entries(shown_folder) {
        Ok(entries) => refuse(format!(
            "in the folder {}, {}",
            shown_path(shown_folder),
            nearest(&entries, &start)
        )),
        Err(error) => error,
    }
}

/// Which names there are, first those that share the most with the start of another.
pub(super) fn nearest(paths: &[PathBuf], start: &str) -> String {
    let mut paths = paths.to_vec();
    internal::sort_naturally(&mut paths);
    let name = |path: &PathBuf| {
        path.file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    };
    let shared = |path: &PathBuf| {
        let name = name(path);
        name.chars()
            .zip(start.chars())
            .take_while(|(a, b)| a == b)
            .count()
    };
    paths.sort_by_key(|path| std::cmp::Reverse(shared(path)));
    if paths.is_empty() {
        return "there is nothing".to_owned();
    }
    format!("there are {}", listed(&paths, |path| shown(&name(path))))
}

/// Checks that the files of two patterns belong together.
pub(super) fn expect_pairs(
    (first, paths): (&str, &[PathBuf]),
    (second, others): (&str, &[PathBuf]),
) -> Result<()> {
    let advice = "open each column with NpyDataset::from_glob and put them together with zip if \
                  that is right";
    if paths.len() != others.len() {
        let message = format!(
            "{} matches {} files, but {} matches {}; {advice}",
            quoted(second),
            others.len(),
            quoted(first),
            paths.len()
        );
        return Err(Error::new(ErrorKind::Usage, message));
    }
    for (path, other) in paths.iter().zip(others) {
        if let (Some(a), Some(b)) = (wild(first, path), wild(second, other))
            && a != b
        {
            let message = format!(
                "would belong to {}, but the names differ in the place of the wildcards; {advice}",
                shown_path(path)
            );
            return Err(Error::new(ErrorKind::Usage, message).in_file(other));
        }
    }
    Ok(())
}

/// What a path has in the place of the wildcards of its pattern, from the first to the last.
fn wild<'a>(pattern: &str, path: &'a Path) -> Option<&'a [u8]> {
    // The text before the first wildcard, and the one after the last.
    let (mut before, mut after) = (None, String::new());
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        let escaped = ["[[]", "[]]", "[*]", "[?]"]
            .into_iter()
            .find(|text| rest.starts_with(text));
        let len = match (escaped, c) {
            (Some(text), _) => text.len(),
            // The first character of a list may be its bracket.
            (None, '[') => {
                let first = if rest.starts_with("[!") { 3 } else { 2 };
                rest.char_indices().skip(first).find(|(_, c)| *c == ']')?.0 + 1
            }
            (None, c) => c.len_utf8(),
        };
        if escaped.is_none() && WILDCARDS.contains(&c) {
            before.get_or_insert_with(|| after.clone());
            after.clear();
        } else {
            after.push_str(escaped.map_or(&rest[..len], |text| &text[1..2]));
        }
        rest = &rest[len..];
    }
    let path = path.as_os_str().as_encoded_bytes();
    path.strip_prefix(before?.as_bytes())?
        .strip_suffix(after.as_bytes())
}
