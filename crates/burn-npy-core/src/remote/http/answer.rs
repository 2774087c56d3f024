//! What the head of an answer says.

use std::ops::Range;
use std::time::{Duration, SystemTime};

use ureq::http::HeaderMap;

/// The text of a header, if it is there and is text.
pub(super) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    Some(headers.get(name)?.to_str().ok()?.trim())
}

/// What identifies the bytes of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Identity {
    /// A strong `ETag`: other bytes have another.
    pub(super) etag: Option<String>,
    /// The `ETag` that Hugging Face gives for the file behind a redirect.
    pub(super) linked: Option<String>,
    /// When the bytes changed, to the second.
    pub(super) modified: Option<String>,
}

impl Identity {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        Self {
            etag: text(headers, "etag").and_then(strong),
            linked: text(headers, "x-linked-etag").and_then(strong),
            modified: text(headers, "last-modified").map(str::to_owned),
        }
    }

    /// What [`ReadAt::version`](super::super::ReadAt::version) says of a file of this length.
    pub(super) fn version(&self, len: u64) -> Option<String> {
        let tag = self.linked.as_ref().or(self.etag.as_ref());
        let modified = || Some(format!("{}, {len} bytes", self.modified.as_ref()?));
        tag.cloned().or_else(modified)
    }

    /// How the file has changed since this was its identity; `None` if it has not.
    pub(super) fn change(&self, now: &Self) -> Option<String> {
        let differ = |name: &str, before: &Option<String>, now: &Option<String>| {
            let shown = |tag: &Option<String>| match tag {
                Some(tag) => crate::message::shown(tag),
                None => "none".to_owned(),
            };
            let message = || format!("its {name} was {} and is {}", shown(before), shown(now));
            (before != now).then(message)
        };
        if self.linked.is_some() && now.linked.is_some() {
            // Where Hugging Face has put the bytes may change.
            return differ("X-Linked-ETag", &self.linked, &now.linked);
        }
        if self.etag.is_some() {
            return differ("ETag", &self.etag, &now.etag);
        }
        if self.linked.is_some() {
            // A link of Hugging Face is for these bytes, and each cache on the way has its times.
            return None;
        }
        differ("Last-Modified", &self.modified, &now.modified)
    }
}

/// A strong tag. A weak one may be that of other bytes too.
fn strong(tag: &str) -> Option<String> {
    let is_quoted = tag.len() > 2 && tag.starts_with('"') && tag.ends_with('"');
    is_quoted.then(|| tag.to_owned())
}

/// The bytes of an answer, and the length of the file. Either may be unknown.
pub(super) type Span = (Option<Range<u64>>, Option<u64>);

/// Reads a `Content-Range`: `bytes 0-9/100`, `bytes 0-9/*` or `bytes */100`.
pub(super) fn span(value: &str) -> Option<Span> {
    let (range, len) = value.strip_prefix("bytes ")?.trim().split_once('/')?;
    let number = |text: &str| text.trim().parse::<u64>().ok();
    let len = match len.trim() {
        "*" => None,
        len => Some(number(len)?),
    };
    if range == "*" {
        return Some((None, len));
    }
    let (first, last) = range.split_once('-')?;
    let range = number(first)?..number(last)?.checked_add(1)?;
    let is_inside = !range.is_empty() && len.is_none_or(|len| range.end <= len);
    is_inside.then_some((Some(range), len))
}

/// Reads a `Retry-After`: a number of seconds, or a date.
pub(super) fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = httpdate::parse_http_date(value).ok()?;
    Some(at.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read() {
        for (value, expected) in [
            ("bytes 0-9/100", Some((Some(0..10), Some(100)))),
            ("bytes 99-99/100", Some((Some(99..100), Some(100)))),
            ("bytes 5-9/*", Some((Some(5..10), None))),
            ("bytes */0", Some((None, Some(0)))),
            ("bytes 90-100/100", None),
            ("bytes 9-5/100", None),
            ("bytes 0-18446744073709551615/*", None),
            ("bytes -5/100", None),
            ("bytes 0-9", None),
            ("rows 0-9/100", None),
            ("", None),
        ] {
            assert_eq!(span(value), expected, "{value}");
        }
    }

    #[test]
    fn servers_say_when_to_come_again() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        for (value, seconds) in [
            ("0", Some(0)),
            ("120", Some(120)),
            ("Sun, 06 Nov 1994 08:49:47 GMT", Some(10)),
            ("Sunday, 06-Nov-94 08:50:37 GMT", Some(60)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("-1", None),
            ("soon", None),
        ] {
            assert_eq!(
                retry_after(value, now),
                seconds.map(Duration::from_secs),
                "{value}"
            );
        }
    }

    #[test]
    fn a_change_is_told_by_the_best_that_is_known() {
        let identity = |pairs: &[(&'static str, &str)]| {
            let pairs = pairs.iter().map(|(name, value)| {
                let name = ureq::http::HeaderName::from_static(name);
                (name, value.parse().unwrap())
            });
            Identity::of(&pairs.collect())
        };
        let a = [("etag", "\"a\""), ("last-modified", "monday")];
        let b = [("etag", "\"b\""), ("last-modified", "monday")];
        let weak = [("etag", "W/\"a\""), ("last-modified", "monday")];
        let other_day = [("etag", "W/\"a\""), ("last-modified", "tuesday")];
        let linked = [("etag", "\"b\""), ("x-linked-etag", "\"l\"")];
        let moved = [("etag", "\"c\""), ("x-linked-etag", "\"l\"")];

        let version = |pairs| identity(pairs).version(7);
        assert_eq!(version(&a).as_deref(), Some("\"a\""));
        assert_eq!(version(&weak).as_deref(), Some("monday, 7 bytes"));
        assert_eq!(version(&linked).as_deref(), Some("\"l\""));
        assert_eq!(version(&[]), None);

        let change = |before, now| identity(before).change(&identity(now));
        assert_eq!(change(&a, &a), None);
        assert_eq!(
            change(&a, &b).as_deref(),
            Some("its ETag was \"a\" and is \"b\"")
        );
        assert_eq!(
            change(&a, &[]).as_deref(),
            Some("its ETag was \"a\" and is none")
        );
        assert_eq!(change(&weak, &weak), None);
        assert_eq!(
            change(&weak, &other_day).as_deref(),
            Some("its Last-Modified was monday and is tuesday")
        );
        assert_eq!(change(&linked, &moved), None);
        // The server behind the redirect does not know the other tag.
        assert_eq!(change(&linked, &b), None);
        assert!(change(&linked, &[("etag", "\"c\"")]).is_some());
        let untagged = [("x-linked-etag", "\"l\""), ("last-modified", "monday")];
        assert_eq!(change(&untagged, &[("last-modified", "tuesday")]), None);
        assert_eq!(change(&[], &[]), None);
    }
}
