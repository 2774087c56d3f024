//! Stores, made of options.

use std::sync::Arc;

use burn_npy_core::internal::quoted;
use burn_npy_core::{Error, ErrorKind, Result};
#[cfg(feature = "aws")]
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
#[cfg(feature = "azure")]
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
#[cfg(feature = "gcp")]
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::{ObjectStore, RetryConfig};

use crate::location::{Location, Service};

/// `object_store` gives a whole request half a minute, which is too little on a slow line. Here a
/// request also fails when nothing has come for a while.
const DEFAULTS: [(&str, &str); 2] = [("read_timeout", "15 seconds"), ("timeout", "5 minutes")];

/// The options that are set in the environment: what begins with the name of a cloud, and two that
/// do not.
pub(crate) fn environment() -> Vec<(String, String)> {
    let mut options = Vec::new();
    for (name, value) in std::env::vars_os() {
        let (Some(name), Some(value)) = (name.to_str(), value.to_str()) else {
            continue;
        };
        let key = match name {
            "SERVICE_ACCOUNT" => "google_service_account".to_owned(),
            "IDENTITY_ENDPOINT" => "azure_msi_endpoint".to_owned(),
            _ => name.to_ascii_lowercase(),
        };
        let of_cloud = ["aws_", "google_", "azure_"];
        if of_cloud.iter().any(|prefix| key.starts_with(prefix)) && is_known(&key) {
            options.push((key, value.to_owned()));
        }
    }
    options
}

/// Whether an option is one of any store.
fn is_known(key: &str) -> bool {
    let mut known = false;
    #[cfg(feature = "aws")]
    (known |= key.parse::<AmazonS3ConfigKey>().is_ok());
    #[cfg(feature = "gcp")]
    (known |= key.parse::<GoogleConfigKey>().is_ok());
    #[cfg(feature = "azure")]
    (known |= key.parse::<AzureConfigKey>().is_ok());
    known
}

/// A builder with each option that it knows. `$endpoints` are the options for an address of one's
/// own.
macro_rules! builder {
    ($builder:ty, $key:ty, $endpoints:expr, $options:expr) => {{
        // Failures are repeated in `fetch`, which knows what has arrived.
        let mut builder = <$builder>::new().with_retry(RetryConfig {
            max_retries: 0,
            ..RetryConfig::default()
        });
        for (key, value) in &$options {
            if let Ok(key) = key.parse::<$key>() {
                builder = builder.with_config(key, *value);
            }
        }
        let allow_http = "allow_http".parse::<$key>();
        let is_set =
            |(key, _): &(&str, &str)| key.parse::<$key>().ok() == allow_http.as_ref().ok().copied();
        let is_plain = |key: &$key| {
            let address = builder.get_config_value(key);
            address.is_some_and(|address| address.starts_with("http://"))
        };
        if let Ok(allow_http) = allow_http
            && !$options.iter().any(is_set)
            && $endpoints.iter().any(is_plain)
        {
            builder = builder.with_config(allow_http, "true");
        }
        builder
    }};
}

/// Connects to nothing yet: the first request does.
///
/// # Errors
///
/// [`ErrorKind::Usage`] for options that are unknown, or that contradict each other.
pub(crate) fn connect(
    location: Location<'_>,
    options: &[(String, String)],
) -> Result<Arc<dyn ObjectStore>> {
    if let Some((key, _)) = options.iter().find(|(key, _)| !is_known(key)) {
        let message = format!(
            "{} is no option of a store; the crate object_store lists them, such as aws_endpoint",
            quoted(key)
        );
        return Err(Error::new(ErrorKind::Usage, message));
    }
    let set = options.iter().map(|(key, value)| (&**key, &**value));
    let options: Vec<(&str, &str)> = DEFAULTS.into_iter().chain(set).collect();
    // The bucket is set last: the environment may name another.
    let built = match location.service {
        #[cfg(feature = "aws")]
        Service::S3 => {
            use AmazonS3ConfigKey::{Endpoint, S3Endpoint};
            let endpoints = [Endpoint, S3Endpoint];
            let builder = builder!(AmazonS3Builder, AmazonS3ConfigKey, endpoints, options);
            let store = builder.with_bucket_name(location.bucket).build();
            store.map(|store| Arc::new(store) as Arc<dyn ObjectStore>)
        }
        #[cfg(feature = "gcp")]
        Service::Google => {
            let endpoints = [GoogleConfigKey::BaseUrl];
            let builder = builder!(
                GoogleCloudStorageBuilder,
                GoogleConfigKey,
                endpoints,
                options
            );
            let store = builder.with_bucket_name(location.bucket).build();
            store.map(|store| Arc::new(store) as Arc<dyn ObjectStore>)
        }
        #[cfg(feature = "azure")]
        Service::Azure => {
            let endpoints = [AzureConfigKey::Endpoint];
            let builder = builder!(MicrosoftAzureBuilder, AzureConfigKey, endpoints, options);
            // The container may have the account with it.
            let store = builder.with_url(format!("{}/", location.root)).build();
            store.map(|store| Arc::new(store) as Arc<dyn ObjectStore>)
        }
        #[allow(unreachable_patterns, reason = "all features are on")]
        service => {
            let feature = match service {
                Service::S3 => "aws",
                Service::Google => "gcp",
                Service::Azure => "azure",
            };
            let message = format!("this URL needs the feature `{feature}` of burn-npy-cloud");
            return Err(Error::new(ErrorKind::Usage, message));
        }
    };
    built.map_err(|error| {
        Error::new(ErrorKind::Usage, "the options of the store do not fit").with_source(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(url: &str, options: &[(&str, &str)]) -> Result<Arc<dyn ObjectStore>> {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        let options: Vec<_> = options.iter().map(owned).collect();
        connect(Location::parse(url)?, &options)
    }

    #[cfg(feature = "aws")]
    #[test]
    fn amazon() {
        let options = [
            ("aws_region", "eu-west-1"),
            ("endpoint", "http://localhost:1"),
        ];
        let found = store("s3://my_bucket/x", &options).unwrap();
        assert_eq!(found.to_string(), "AmazonS3(my_bucket)");
        let other = [("aws_bucket", "other")];
        let found = store("s3://bucket/x", &other).unwrap();
        assert_eq!(found.to_string(), "AmazonS3(bucket)");
        let wrong = [("aws_skip_signature", "perhaps")];
        let error = store("s3://bucket/x", &wrong).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert!(error.to_string().contains("perhaps"), "{error}");
    }

    #[cfg(feature = "gcp")]
    #[test]
    fn google() {
        let options = [("google_skip_signature", "true")];
        let store = store("gs://bucket/x", &options).unwrap();
        assert_eq!(store.to_string(), "GoogleCloudStorage(bucket)");
    }

    #[cfg(feature = "azure")]
    #[test]
    fn azure() {
        let options = [("azure_storage_account_name", "account")];
        let by_option = store("az://container/x", &options).unwrap();
        assert!(by_option.to_string().contains("container"), "{by_option}");
        let url = "abfss://container@account.dfs.core.windows.net/x";
        let by_url = store(url, &[]).unwrap();
        assert_eq!(by_url.to_string(), by_option.to_string());
        let error = store("az://container/x", &[]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
    }
}
