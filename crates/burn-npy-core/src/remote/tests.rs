//! Which opener opens a URL.

use std::path::Path;

use super::*;

#[test]
fn urls_need_an_opener() {
    let error = crate::Array::open("s3://bucket/x.npy?secret=1").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert_eq!(error.file(), Some(Path::new("s3://bucket/x.npy")));
    let message = error.to_string();
    assert!(message.contains("nothing opens URLs of s3"), "{message}");
    assert!(!message.contains("secret"), "{message}");
}

#[test]
#[cfg(not(feature = "http"))]
fn urls_of_the_web_need_a_feature() {
    for url in ["https://host/x.npy", "http://host/x.npy", "hf://o/n/x.npy"] {
        let error = crate::Array::open(url).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert!(error.message().contains("feature `http`"), "{error}");
    }
}

/// An opener that knows nothing is asked alone.
#[test]
fn an_opener_opens_all_urls() {
    #[derive(Debug)]
    struct Nothing;

    impl OpenUrl for Nothing {
        fn open_url(&self, url: &str) -> Result<Arc<dyn ReadAt>> {
            Err(Error::new(ErrorKind::Usage, format!("not {url}")))
        }
    }

    let options = RemoteOptions::new().opener(Nothing);
    for url in ["https://host/x", "hf://o/n/x", "s3://bucket/x"] {
        assert_eq!(
            options.open(url).unwrap_err().message(),
            format!("not {url}")
        );
    }
}
