//! URLs: what they may consist of, where a redirect leads, and those of Hugging Face.

use std::fmt::Write;

use crate::message::quoted;
use crate::remote::url::public;
use crate::{Error, ErrorKind, Result};

/// A URL as it is sent: what a URL cannot have in it is escaped, as browsers do it, and there is no
/// fragment.
pub(super) fn sendable(url: &str) -> String {
    let end = url.find('#').unwrap_or(url.len());
    escaped(&url[..end], |byte| {
        byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte)
    })
}

fn escaped(text: &str, is_plain: impl Fn(u8) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if is_plain(byte) {
            out.push(byte.into());
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// The scheme and the rest of a URL.
fn split(url: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    scheme.bytes().all(is_letter).then_some((scheme, rest))
}

/// Where a URL ends that names a host and nothing else.
fn end_of_host(rest: &str) -> usize {
    rest.find(['/', '?', '#']).unwrap_or(rest.len())
}

/// The scheme, the host and the port. Two URLs with the same are of one server.
pub(super) fn server(url: &str) -> Option<String> {
    let (scheme, rest) = split(url)?;
    let host = &rest[..end_of_host(rest)];
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    Some(format!("{scheme}://{host}").to_ascii_lowercase())
}

/// Where a redirect leads, as RFC 3986 resolves it, section 5.2.
pub(super) fn resolve(base: &str, location: &str) -> Option<String> {
    if split(location).is_some() {
        return Some(sendable(location));
    }
    let (scheme, rest) = split(base)?;
    if location.starts_with("//") {
        return Some(sendable(&format!("{scheme}:{location}")));
    }
    let (host, path) = rest.split_at(end_of_host(rest));
    let path = &path[..path.find(['?', '#']).unwrap_or(path.len())];
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let path = match location.chars().next() {
        Some('/') => location.to_owned(),
        Some('?') => format!("{path}{location}"),
        _ => format!("{folder}/{location}"),
    };
    let end = path.find(['?', '#']).unwrap_or(path.len());
    let (path, query) = path.split_at(end);
    Some(sendable(&format!(
        "{scheme}://{host}{}{query}",
        without_dots(path)
    )))
}

/// A path without `.` and `..`.
fn without_dots(path: &str) -> String {
    let mut kept = Vec::new();
    for segment in path.split('/').skip(1) {
        match segment {
            "." => {}
            ".." => _ = kept.pop(),
            _ => kept.push(segment),
        }
    }
    if path.ends_with("/.") || path.ends_with("/..") {
        kept.push("");
    }
    format!("/{}", kept.join("/"))
}

/// The web address of `hf://datasets/ORG/NAME@REVISION/PATH`, of which `rest` is what follows
/// `hf://`.
pub(super) fn on_hub(rest: &str, endpoint: &str) -> Result<String> {
    let wrong = || {
        let message = format!(
            "expected hf://datasets/ORG/NAME/PATH, or hf://datasets/ORG/NAME@REVISION/PATH, found \
             {}; models are at hf://ORG/NAME/PATH",
            quoted(&public(&format!("hf://{rest}")))
        );
        Error::new(ErrorKind::Usage, message)
    };
    let kinds = ["datasets/", "spaces/"];
    let kind = kinds.iter().find(|kind| rest.starts_with(**kind));
    let kind = kind.copied().unwrap_or("");
    let (owner, rest) = rest[kind.len()..].split_once('/').ok_or_else(wrong)?;
    let name = rest.find(['@', '/']).ok_or_else(wrong)?;
    let (name, rest) = rest.split_at(name);
    let (revision, path) = match rest.strip_prefix('@') {
        // The only revisions with a slash in their names.
        Some(rest) if rest.starts_with("refs/") => {
            let mut slashes = rest.match_indices('/').map(|(at, _)| at);
            let end = slashes.nth(2).ok_or_else(wrong)?;
            (&rest[..end], &rest[end + 1..])
        }
        Some(rest) => rest.split_once('/').ok_or_else(wrong)?,
        None => ("main", &rest[1..]),
    };
    if [owner, name, revision, path]
        .iter()
        .any(|part| part.is_empty())
    {
        return Err(wrong());
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    Ok(format!(
        "{}/{kind}{}/{}/resolve/{}/{}",
        endpoint.trim_end_matches('/'),
        escaped(owner, plain),
        escaped(name, plain),
        // A slash in it may be written as %2F.
        escaped(revision, |byte| plain(byte) || byte == b'%'),
        escaped(path, |byte| plain(byte) || byte == b'/'),
    ))
}

/// The same address with the revision that a commit is, whatever is pushed later.
pub(super) fn pinned(address: &str, commit: &str) -> Option<String> {
    let (repository, rest) = address.split_once("/resolve/")?;
    let (_, path) = rest.split_once('/')?;
    let is_commit = commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_commit.then(|| format!("{repository}/resolve/{commit}/{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_url_cannot_have_is_escaped() {
        for (url, sent) in [
            ("http://h/a%20b?c=%2F&d=[1]", "http://h/a%20b?c=%2F&d=[1]"),
            ("http://h/a b#part", "http://h/a%20b"),
            ("http://h/\u{e9}\n", "http://h/%C3%A9%0A"),
            ("http://[::1]:8/x", "http://[::1]:8/x"),
        ] {
            assert_eq!(sendable(url), sent);
        }
    }

    #[test]
    fn servers_are_told_apart() {
        let known = server("https://me:word@Host:1/x@y");
        assert_eq!(known.as_deref(), Some("https://host:1"));
        assert_eq!(known, server("HTTPS://host:1?q"));
        for other in ["http://host:1/", "https://host/", "https://host:1.evil/"] {
            assert_ne!(known, server(other));
        }
        assert_eq!(server("/x"), None);
    }

    /// The examples of RFC 3986, section 5.4, that a redirect of a file may have.
    #[test]
    fn redirects_lead_where_they_should() {
        let base = "http://a/b/c/d;p?q";
        for (location, leads_to) in [
            ("g", "http://a/b/c/g"),
            ("./g", "http://a/b/c/g"),
            ("g/", "http://a/b/c/g/"),
            ("/g", "http://a/g"),
            ("//g", "http://g"),
            ("?y", "http://a/b/c/d;p?y"),
            ("g?y", "http://a/b/c/g?y"),
            ("g?y/./x", "http://a/b/c/g?y/./x"),
            ("..", "http://a/b/"),
            ("../g", "http://a/b/g"),
            ("../../../g", "http://a/g"),
            ("/./g", "http://a/g"),
            ("/../g", "http://a/g"),
            ("https://x/y?z=1://2", "https://x/y?z=1://2"),
        ] {
            assert_eq!(resolve(base, location).as_deref(), Some(leads_to));
        }
        assert_eq!(
            resolve("http://a?q", "x?u=http://b").as_deref(),
            Some("http://a/x?u=http://b")
        );
    }

    #[test]
    fn urls_of_hugging_face_are_web_addresses() {
        for (url, address) in [
            (
                "datasets/org/name/a/b c#1?.npy",
                "datasets/org/name/resolve/main/a/b%20c%231%3F.npy",
            ),
            (
                "datasets/org/name@v1.0/x.npy",
                "datasets/org/name/resolve/v1.0/x.npy",
            ),
            ("org/name/x.npy", "org/name/resolve/main/x.npy"),
            ("spaces/o/n/x@y.npy", "spaces/o/n/resolve/main/x%40y.npy"),
            (
                "datasets/o/n@refs/pr/7/x.npy",
                "datasets/o/n/resolve/refs%2Fpr%2F7/x.npy",
            ),
            (
                "datasets/o/n@refs%2Fpr%2F7/x.npy",
                "datasets/o/n/resolve/refs%2Fpr%2F7/x.npy",
            ),
        ] {
            let found = on_hub(url, "https://host/").unwrap();
            assert_eq!(found, format!("https://host/{address}"));
        }
        for wrong in [
            "",
            "org",
            "org/name",
            "org/name/",
            "datasets/org/name",
            "datasets/org/name@/x",
            "datasets/org/name@refs/pr/7",
            "datasets//name/x",
        ] {
            let error = on_hub(wrong, "https://host").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage, "{wrong}");
        }
        let error = on_hub("datasets/org?key=secret", "https://host").unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
    }

    #[test]
    fn a_branch_becomes_a_commit() {
        let commit = "0123456789abcdef0123456789abcdef01234567";
        let address = "https://host/datasets/o/n/resolve/main/a/resolve/x.npy";
        assert_eq!(
            pinned(address, commit).unwrap(),
            format!("https://host/datasets/o/n/resolve/{commit}/a/resolve/x.npy")
        );
        assert_eq!(pinned(address, "main"), None);
        assert_eq!(pinned(address, &commit[1..]), None);
        assert_eq!(pinned("https://host/x.npy", commit), None);
    }
}
