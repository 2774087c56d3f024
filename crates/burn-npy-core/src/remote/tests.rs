use std::path::Path;

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

#[test]
fn urls_need_an_opener() {
    let error = crate::Array::open("s3://bucket/x.npy?secret=1").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert_eq!(error.file(), Some(Path::new("s3://bucket/x.npy")));
    let message = error.to_string();
    assert!(message.contains("nothing opens URLs of s3"), "{message}");
    assert!(!message.contains("secret"), "{message}");
}
