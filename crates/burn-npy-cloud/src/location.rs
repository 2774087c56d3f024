//! Which object of which store a URL means.

use burn_npy_core::{Error, ErrorKind, Result};

/// A kind of store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    S3,
    Google,
    Azure,
}

/// `s3://bucket/key`. The key is taken as it is: nothing in it is decoded, and it has no query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Location<'a> {
    pub(crate) service: Service,
    /// The URL up to the end of the bucket, without a slash.
    pub(crate) root: &'a str,
    pub(crate) bucket: &'a str,
    pub(crate) key: &'a str,
}

impl<'a> Location<'a> {
    pub(crate) fn parse(url: &'a str) -> Result<Self> {
        let wrong = || {
            let message = "not the URL of an object; they are s3://BUCKET/KEY, gs://BUCKET/KEY and \
                           az://CONTAINER/KEY";
            Error::new(ErrorKind::Usage, message)
        };
        let (scheme, rest) = url.split_once("://").ok_or_else(wrong)?;
        let service = match scheme {
            "s3" | "s3a" => Service::S3,
            "gs" => Service::Google,
            "az" | "abfs" | "abfss" => Service::Azure,
            _ => return Err(wrong()),
        };
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            return Err(wrong());
        }
        Ok(Self {
            service,
            root: &url[..scheme.len() + "://".len() + bucket.len()],
            bucket,
            key,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_split() {
        let location = Location::parse("s3://bucket/a/b c#1?%20.npy").unwrap();
        assert_eq!(location.service, Service::S3);
        assert_eq!(location.root, "s3://bucket");
        assert_eq!(location.bucket, "bucket");
        assert_eq!(location.key, "a/b c#1?%20.npy");
        let location = Location::parse("gs://b").unwrap();
        assert_eq!(
            (location.service, location.root, location.key),
            (Service::Google, "gs://b", "")
        );
        let location = Location::parse("abfss://data@account.dfs.core.windows.net/x").unwrap();
        assert_eq!(location.service, Service::Azure);
        assert_eq!(location.root, "abfss://data@account.dfs.core.windows.net");
    }

    #[test]
    fn others_are_errors() {
        for url in ["", "bucket/x", "s3:/bucket/x", "s3:///x", "ftp://bucket/x"] {
            let error = Location::parse(url).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage, "{url}");
            assert!(error.to_string().contains("s3://BUCKET/KEY"), "{error}");
        }
    }
}
