//! Files on web servers and on Hugging Face.

mod answer;
mod client;
mod file;
mod url;

use std::env;
use std::fmt;
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::Duration;

use ureq::Agent;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use super::url::public;
use super::{OpenUrl, ReadAt, is_web};
use crate::{Error, ErrorKind, Result};
use client::{Client, Origin};
use file::HttpFile;

/// The longest time-out, a day.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(86_400);

/// Opens files on web servers, `https://` and `http://`, and on Hugging Face, `hf://`. It needs the
/// feature `http`.
///
/// URLs of these kinds are opened with [`Http::default`] if nothing else is said. For anything else
/// give an `Http` to [`RemoteOptions::opener`](super::RemoteOptions::opener).
///
/// The server must send parts of a file, that is, answer a request for a `Range` with it. Nginx,
/// Apache, Caddy and all object stores do. If it sends a strong `ETag`, or else `Last-Modified`, a
/// file that is replaced while it is in use is an error, [`ErrorKind::Changed`].
///
/// `hf://datasets/ORG/NAME@REVISION/PATH` is a file of a dataset, `hf://ORG/NAME/PATH` one of a
/// model. Without `@REVISION` it is `main`. The commit that the revision is when the file is opened
/// is used until the end. `HF_TOKEN` in the environment is the token for what is not public, and
/// `HF_ENDPOINT` another server than `https://huggingface.co`.
///
/// What may succeed if it is repeated is repeated, up to [`attempts`](Self::attempts) times, after
/// waits that grow and are as long as the server asks for, but no longer than a minute: no
/// connection, an answer that is cut or that takes too long, and the statuses 408, 429 and 500 and
/// above.
///
/// Redirects are followed, and remembered until where they lead to is refused. Servers are trusted
/// whose certificates Mozilla's list of authorities has signed. The variables `ALL_PROXY`,
/// `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` name a proxy, and what it is not for.
///
/// # Example
///
/// ```no_run
/// # extern crate burn_npy_core as burn_npy;
/// use std::time::Duration;
///
/// use burn_npy::remote::{Http, RemoteOptions};
/// use burn_npy::{Array, file::OpenOptions};
///
/// # fn main() -> burn_npy::Result<()> {
/// let images = Array::open("https://data.example.org/images.npy")?;
/// let labels = Array::open("hf://datasets/org/name@v1.0/labels.npy")?;
///
/// let http = Http::new()
///     .header("Authorization", "Bearer 1234")
///     .timeout(Duration::from_secs(10))
///     .attempts(10);
/// let options = OpenOptions::new().remote(RemoteOptions::new().opener(http));
/// let secret = Array::open_with("https://data.example.org/secret.npy", options)?;
/// # Ok(())
/// # }
/// ```
pub struct Http {
    headers: Vec<(String, String)>,
    timeout: Duration,
    attempts: u32,
    first_wait: Duration,
    roots: Vec<Vec<u8>>,
    client: OnceLock<Result<Client>>,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            headers: Vec::new(),
            timeout: Duration::from_secs(30),
            attempts: 5,
            first_wait: Duration::from_millis(500),
            roots: Vec::new(),
            client: OnceLock::new(),
        }
    }
}

impl Http {
    /// The default options.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a header to each request, such as `Authorization`. It is sent to the server that a URL
    /// names, and to no other one to which that redirects.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets how long to wait for a connection, for the head of an answer, and for the next bytes of
    /// it: 30 seconds by default. An answer may take twice that time, and a second more for each
    /// 16 KiB.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        // ureq adds it to the time of day.
        self.timeout = timeout.clamp(Duration::from_millis(1), LONGEST_TIMEOUT);
        self
    }

    /// Sets how often a read is tried, 1 or more: 5 times by default.
    ///
    /// The waits between them are random, about 0.5, 1, 2, 4 seconds and so on, up to a minute. So
    /// 5 attempts bridge some seconds, and 12 some minutes.
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// Trusts the certificates of a PEM file, in place of Mozilla's authorities. Each call adds
    /// some.
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.roots.push(pem.into());
        self
    }

    /// Sets how long the first wait between attempts is, at most. For tests.
    #[doc(hidden)]
    pub fn first_wait(mut self, wait: Duration) -> Self {
        self.first_wait = wait;
        self
    }

    /// What keeps the connections, made for the first file.
    fn client(&self) -> Result<&Client> {
        let make = || {
            let mut tls = TlsConfig::builder();
            if !self.roots.is_empty() {
                let pem = self.roots.iter().map(|pem| certificates(pem));
                let all: Vec<_> = pem.collect::<Result<Vec<_>>>()?.concat();
                tls = tls.root_certs(RootCerts::new_with_certs(&all));
            }
            let config = Agent::config_builder()
                .tls_config(tls.build())
                .http_status_as_error(false)
                .max_redirects(0)
                .user_agent(concat!("burn-npy/", env!("CARGO_PKG_VERSION")))
                .accept_encoding("identity")
                .timeout_connect(Some(self.timeout))
                .timeout_recv_response(Some(self.timeout))
                .timeout_per_read(Some(self.timeout))
                .timeout_per_write(Some(self.timeout))
                // As many as are in use at a time, and for the few seconds that ureq keeps them.
                .max_idle_connections(usize::MAX)
                .max_idle_connections_per_host(usize::MAX)
                .build();
            Ok(Client {
                agent: config.into(),
                timeout: self.timeout,
                attempts: self.attempts,
                first_wait: self.first_wait,
            })
        };
        self.client.get_or_init(make).as_ref().map_err(Error::clone)
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<Certificate<'static>>> {
    let wrong = |what: &str| Error::new(ErrorKind::Usage, format!("the root certificates: {what}"));
    let mut found = Vec::new();
    for item in parse_pem(pem) {
        if let PemItem::Certificate(certificate) = item.map_err(|e| wrong(&e.to_string()))? {
            found.push(certificate);
        }
    }
    if found.is_empty() {
        return Err(wrong("there is none in the PEM file"));
    }
    Ok(found)
}

/// It shows no header, since they may be secret.
impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http")
            .field("timeout", &self.timeout)
            .field("attempts", &self.attempts)
            .finish_non_exhaustive()
    }
}

impl OpenUrl for Http {
    fn open_url(&self, url: &str) -> Result<Arc<dyn ReadAt>> {
        let mut headers = self.headers.clone();
        let rest = url.strip_prefix("hf://");
        let address = match rest {
            Some(rest) => {
                let endpoint = env::var("HF_ENDPOINT").ok();
                let endpoint = endpoint.filter(|endpoint| !endpoint.is_empty());
                if let Ok(token) = env::var("HF_TOKEN")
                    && !token.trim().is_empty()
                {
                    headers.push(("Authorization".into(), format!("Bearer {}", token.trim())));
                }
                url::on_hub(
                    rest,
                    endpoint.as_deref().unwrap_or("https://huggingface.co"),
                )?
            }
            None if is_web(url) => url::sendable(url),
            None => {
                let message = "expected a URL of https, http or hf";
                return Err(Error::new(ErrorKind::Usage, message));
            }
        };
        let origin = Origin {
            name: public(url),
            is_hub: rest.is_some(),
            address,
            headers,
        };
        Ok(Arc::new(HttpFile::open(self.client()?.clone(), origin)?))
    }
}

/// Opens a URL with [`Http::default`], of which there is one, so that files share connections.
pub(super) fn open(url: &str) -> Result<Arc<dyn ReadAt>> {
    static DEFAULT: LazyLock<Http> = LazyLock::new(Http::default);
    DEFAULT.open_url(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        let http = Http::new().header("Authorization", "Bearer 1234");
        assert!(!format!("{http:?}").contains("1234"));
    }

    #[test]
    fn what_is_no_certificate_is_an_error() {
        for pem in ["", "-----BEGIN CERTIFICATE-----\n!\n", "certificate"] {
            let error = Http::new().root_certificates(pem).client().err().unwrap();
            assert_eq!(error.kind(), ErrorKind::Usage, "{pem}: {error}");
        }
    }

    #[test]
    fn other_urls_are_not_known() {
        for url in ["s3://bucket/x.npy", "ftp://host/x", "x.npy"] {
            let error = Http::new().open_url(url).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage, "{url}");
        }
    }
}
