//! URLs as paths.

use std::path::{Path, PathBuf};

/// The URL that a path is: a scheme of two letters or more, and `://`. Windows has drives of one
/// letter.
pub(crate) fn as_url(path: &Path) -> Option<&str> {
    let text = path.to_str()?;
    let (scheme, _) = text.split_once("://")?;
    let letters = scheme
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    (letters && scheme.len() > 1).then_some(text)
}

/// A path as it is, and a URL without what may be secret: the name and password of a user, and the
/// query, in which presigned links have their signature.
pub fn without_secrets(path: &Path) -> PathBuf {
    as_url(path).map_or_else(|| path.to_path_buf(), |url| public(url).into())
}

pub(crate) fn public(url: &str) -> String {
    let end = url.find(['?', '#']).unwrap_or(url.len());
    let url = &url[..end];
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let host = rest.find('/').unwrap_or(rest.len());
    let user = rest[..host].rfind('@').map_or(0, |at| at + 1);
    format!("{scheme}://{}", &rest[user..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_told_from_paths() {
        for url in [
            "https://host/x.npy",
            "s3://bucket/x.npz",
            "hf://datasets/a/b/c.npy",
            "a+b-c.1://x",
        ] {
            assert_eq!(as_url(Path::new(url)), Some(url));
        }
        for path in [
            "x.npy",
            "/data/x.npy",
            "c://x.npy",
            "C:\\x.npy",
            "data/a://b",
            "://x",
            "a:/b",
            "",
        ] {
            assert_eq!(as_url(Path::new(path)), None, "{path}");
        }
    }

    #[test]
    fn what_may_be_secret_is_not_shown() {
        for (url, shown) in [
            ("https://host/x.npy", "https://host/x.npy"),
            ("https://host/x.npy?X-Amz-Signature=1", "https://host/x.npy"),
            (
                "https://me:word@host:1/a@b/x.npy#part",
                "https://host:1/a@b/x.npy",
            ),
            ("s3://key@bucket", "s3://bucket"),
            ("s3://bucket/a?b#c/d@e", "s3://bucket/a"),
            ("what?x.npy", "what?x.npy"),
        ] {
            assert_eq!(without_secrets(Path::new(url)), Path::new(shown));
        }
    }
}
