//! Errors say what is wrong, and what to do.

use std::io;
use std::net::TcpListener;

use burn_npy::remote::OpenUrl;
use burn_npy::{Error, ErrorKind, NpyDataset};
use burn_npy_cloud::Cloud;

use crate::server::{Bucket, KEY, SECRET, cloud};

/// The error of opening a URL, which has all these texts and no secret.
fn expect(cloud: &Cloud, url: &str, texts: &[&str]) -> Error {
    let error = NpyDataset::open_with(url, cloud.open_options()).unwrap_err();
    let message = error.to_string();
    for text in texts {
        assert!(message.contains(text), "{text:?} is not in: {message}");
    }
    assert!(message.starts_with(url), "{message}");
    assert_eq!(message.matches(url).count(), 1, "{message}");
    for secret in [SECRET, "wrong secret", "Signature="] {
        assert!(
            !format!("{error:?} {cloud:?}").contains(secret),
            "{error:?} {cloud:?}"
        );
    }
    println!("{message}");
    error
}

fn system(error: &Error) -> Option<io::ErrorKind> {
    error.io_error().map(io::Error::kind)
}

#[test]
fn what_does_not_exist() {
    let bucket = Bucket::new();
    bucket.put("x.npy", [0; 10]);
    let cloud = bucket.cloud();
    let error = expect(
        &cloud,
        "s3://bucket/X.npy",
        &["no such object in the bucket `bucket`", "NoSuchKey"],
    );
    assert_eq!(
        (error.kind(), system(&error)),
        (ErrorKind::Io, Some(io::ErrorKind::NotFound))
    );
    let error = expect(
        &cloud,
        "s3://other/x.npy",
        &["no bucket `other`", "AWS_ENDPOINT", "NoSuchBucket"],
    );
    assert_eq!(
        (error.kind(), system(&error)),
        (ErrorKind::Io, Some(io::ErrorKind::NotFound))
    );
}

#[test]
fn wrong_credentials() {
    let bucket = Bucket::new();
    let url = bucket.put("x.npy", [0; 10]);
    let keys = "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY";
    let cloud = bucket.cloud();
    let secret = cloud
        .clone()
        .option("aws_secret_access_key", "wrong secret");
    let error = expect(&secret, &url, &[keys, "SignatureDoesNotMatch"]);
    assert_eq!(system(&error), Some(io::ErrorKind::PermissionDenied));
    let key = cloud.clone().option("aws_access_key_id", "nobody");
    expect(&key, &url, &[keys, "NotSignedUp"]);
    let anonymous = cloud.option("aws_skip_signature", "true");
    expect(&anonymous, &url, &["may not read it", "AccessDenied"]);
}

/// Where the machine has no role, as on a port where nobody listens.
#[test]
fn no_credentials() {
    let bucket = Bucket::new();
    let url = bucket.put("x.npy", [0; 10]);
    let cloud = Cloud::new()
        .option("aws_endpoint", format!("http://{}", bucket.address()))
        .option(
            "aws_metadata_endpoint",
            format!("http://{}", free_address()),
        );
    let texts = [
        "no credentials were found",
        "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        "AWS_SKIP_SIGNATURE=true",
        "AWS_ENDPOINT",
    ];
    expect(&cloud, &url, &texts);
    let half = cloud.option("aws_access_key_id", KEY);
    let error = expect(
        &half,
        &url,
        &["the options of the store do not fit", "SecretAccessKey"],
    );
    assert_eq!(error.kind(), ErrorKind::Usage);
}

fn free_address() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

#[test]
fn nobody_answers() {
    let cloud = cloud(&format!("http://{}", free_address()));
    let texts = [
        "it could not be opened in",
        "attempts",
        "check the network, and AWS_ENDPOINT",
        "refused",
    ];
    let error = expect(&cloud, "s3://bucket/x.npy", &texts);
    assert_eq!(system(&error), Some(io::ErrorKind::ConnectionRefused));
}

#[test]
fn urls_and_options_that_do_not_exist() {
    let cloud = Cloud::new();
    for (url, text) in [
        ("ftp://bucket/x.npy", "s3://BUCKET/KEY"),
        ("s3://bucket", "the URL names a bucket"),
        ("s3://bucket/", "the URL names a bucket"),
        ("s3://bucket/a//b.npy", "no object can have this name"),
    ] {
        let error = expect(&cloud, url, &[text]);
        assert_eq!(error.kind(), ErrorKind::Usage, "{error}");
    }
    #[cfg(not(feature = "gcp"))]
    expect(&cloud, "gs://bucket/x.npy", &["feature `gcp`"]);
    let wrong = cloud.option("aws_endpiont", "x");
    let error = wrong.open_url("s3://bucket/x.npy").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert!(
        error.to_string().contains("\"aws_endpiont\" is no option"),
        "{error}"
    );
}
