//! Asks servers for bytes, again where that may help.

use std::io::{self, Read};
use std::ops::Range;
use std::thread;
use std::time::{Duration, SystemTime};

use ureq::http::StatusCode;
use ureq::{Agent, Body, Timeout};

use super::answer::{self, Identity, Span};
use super::url;
use crate::message::one_line;
use crate::{Error, ErrorKind};

/// How many redirects are followed.
const REDIRECTS: usize = 10;
/// The longest wait between two attempts, whatever a server asks for.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// How many bytes a second an answer has at least, beyond twice the time-out.
const SLOWEST: u64 = 16 << 10;
/// The longest text of another crate in a message.
const TEXT: usize = 300;

/// What a file was opened by.
pub(super) struct Origin {
    /// The URL that messages show.
    pub(super) name: String,
    /// Whether it is on Hugging Face.
    pub(super) is_hub: bool,
    /// Where the first request goes.
    pub(super) address: String,
    /// What is sent to that server, and to no other.
    pub(super) headers: Vec<(String, String)>,
}

/// Why a request has failed.
pub(super) struct Fault {
    pub(super) kind: FaultKind,
    what: String,
    source: Option<io::Error>,
    /// When the server wants to be asked again.
    wait: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum FaultKind {
    /// It may succeed if it is repeated.
    Passing,
    /// The server refuses it. If a redirect has led there, that may have expired.
    Refused,
    /// It cannot succeed.
    Final,
    /// The file is another one.
    Changed,
}

impl Fault {
    pub(super) fn new(kind: FaultKind, what: impl Into<String>) -> Self {
        Self {
            kind,
            what: what.into(),
            source: None,
            wait: Duration::ZERO,
        }
    }

    pub(super) fn passing(what: impl Into<String>) -> Self {
        Self::new(FaultKind::Passing, what)
    }

    /// What a user sees, after a number of attempts to do something.
    pub(super) fn into_error(self, origin: &Origin, doing: &str, attempts: u32) -> Error {
        let often = match attempts {
            1 => String::new(),
            _ => format!(" after {attempts} attempts"),
        };
        let what = one_line(&self.what, TEXT);
        let error = match (self.kind, self.source) {
            (FaultKind::Changed, _) => Error::new(
                ErrorKind::Changed,
                format!("the file was replaced on the server while in use: {what}"),
            ),
            (_, Some(source)) => Error::io(&format!("{doing}{often}"), source),
            (_, None) => Error::new(ErrorKind::Io, format!("{doing}{often}: {what}")),
        };
        error.in_file(&origin.name)
    }

    fn of_status(status: StatusCode, is_hub: bool, wait: Duration) -> Self {
        let is_passing = status.is_server_error() || [408, 429].contains(&status.as_u16());
        let advice = match status.as_u16() {
            401 | 403 | 404 if is_hub => "; for what is not public, HF_TOKEN must be set",
            401 => "; `Http::header` can give it a key",
            403 => "; `Http::header` can give it a key, and a presigned link may have expired",
            _ => "",
        };
        let reason = status.canonical_reason().unwrap_or("");
        let reason = format!("{} {reason}", status.as_str());
        let what = format!("the server says {}{advice}", reason.trim_end());
        let kind = match is_passing {
            true => FaultKind::Passing,
            false => FaultKind::Refused,
        };
        Self {
            wait,
            ..Self::new(kind, what)
        }
    }

    /// Of what sends the requests. Nothing of it is shown that may have a URL in it, since the
    /// links of a redirect are signed.
    fn of_request(error: ureq::Error, timeout: Duration) -> Self {
        let limit = format!("{} s", timeout.as_secs_f64());
        match error {
            ureq::Error::Timeout(Timeout::Connect) => {
                Self::passing(format!("there was no connection within {limit}"))
            }
            ureq::Error::Timeout(Timeout::RecvBody) => {
                Self::passing("the answer came too slowly".to_owned())
            }
            ureq::Error::Timeout(_) => {
                Self::passing(format!("the server has sent nothing for {limit}"))
            }
            // How the crate of TLS says that it does not trust a server.
            ureq::Error::Io(error)
                if error.kind() == io::ErrorKind::InvalidData
                    && error.to_string().contains("certificate") =>
            {
                let what = format!("{error}; `Http::root_certificates` says whom to trust");
                Self::new(FaultKind::Final, what)
            }
            ureq::Error::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Self::passing("the connection was closed too early")
            }
            ureq::Error::Io(error) => Self {
                source: Some(error),
                ..Self::passing("")
            },
            ureq::Error::HostNotFound => Self::passing("there is no such host"),
            ureq::Error::ConnectionFailed => Self::passing("there is no connection"),
            ureq::Error::ConnectProxyFailed(_) => Self::passing("the proxy refuses the connection"),
            ureq::Error::Protocol(error) => Self::passing(format!("not an answer: {error}")),
            ureq::Error::BodyStalled => Self::passing("the answer has stopped"),
            ureq::Error::BadUri(_) => Self::new(FaultKind::Final, "this is not a URL of a server"),
            ureq::Error::Http(error) => Self::new(
                FaultKind::Final,
                format!("the URL or a header is not as HTTP wants it: {error}"),
            ),
            error => Self::new(FaultKind::Final, error.to_string()),
        }
    }
}

/// The head of an answer with bytes, or with the status 412 or 416, and its body.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) span: Option<Span>,
    pub(super) identity: Identity,
    /// The commit of Hugging Face.
    pub(super) commit: Option<String>,
    /// The length of the body, if it is known.
    pub(super) len: Option<u64>,
    /// Where it has come from, after all redirects.
    pub(super) address: String,
    body: Body,
    timeout: Duration,
}

/// What sends requests. A clone shares the connections.
#[derive(Clone)]
pub(super) struct Client {
    pub(super) agent: Agent,
    pub(super) timeout: Duration,
    pub(super) attempts: u32,
    pub(super) first_wait: Duration,
}

impl Client {
    /// Asks for bytes at an address, and follows redirects. A server of which the file has another
    /// tag than `etag` need not send them.
    pub(super) fn ask(
        &self,
        origin: &Origin,
        address: &str,
        range: &Range<u64>,
        etag: Option<&str>,
    ) -> Result<Answer, Fault> {
        let home = url::server(&origin.address);
        // Longer than the wait for the next bytes, so that an answer that stops is told from one
        // that is slow.
        let slow = Duration::from_secs((range.end - range.start) / SLOWEST);
        let slow = slow + 2 * self.timeout;
        let mut address = address.to_owned();
        let (mut linked, mut commit) = (None, None);
        for redirects in 0..=REDIRECTS {
            let bytes = format!("bytes={}-{}", range.start, range.end - 1);
            let request = self.agent.get(&address).header("Range", bytes).config();
            let mut request = request.timeout_recv_body(Some(slow)).build();
            // After a redirect, the tag is that of another server.
            if let (Some(etag), 0) = (etag, redirects) {
                request = request.header("If-Match", etag);
            }
            if url::server(&address) == home {
                for (name, value) in &origin.headers {
                    request = request.header(name, value);
                }
            }
            let fault = |error| Fault::of_request(error, self.timeout);
            let response = request.call().map_err(fault)?;
            let (status, headers) = (response.status(), response.headers());

            let mut identity = Identity::of(headers);
            linked = linked.or(identity.linked.take());
            let known = answer::text(headers, "x-repo-commit");
            commit = commit.or(known.map(str::to_owned));
            if let (true, Some(location)) =
                (status.is_redirection(), answer::text(headers, "location"))
            {
                address = redirected(&address, location)?;
                continue;
            }
            let is_bytes = [200, 206, 412, 416].contains(&status.as_u16());
            if !is_bytes {
                let wait = answer::text(headers, "retry-after");
                let wait = wait.and_then(|wait| answer::retry_after(wait, SystemTime::now()));
                let wait = wait.unwrap_or_default();
                return Err(Fault::of_status(status, origin.is_hub, wait));
            }
            let encoding = answer::text(headers, "content-encoding").unwrap_or("identity");
            if !encoding.eq_ignore_ascii_case("identity") {
                let what = format!("the server sends the file encoded, as {encoding}");
                return Err(Fault::passing(what));
            }
            identity.linked = linked;
            return Ok(Answer {
                status,
                span: answer::text(headers, "content-range").and_then(answer::span),
                identity,
                commit,
                len: answer::text(headers, "content-length").and_then(|len| len.parse().ok()),
                address,
                body: response.into_body(),
                timeout: self.timeout,
            });
        }
        let what = format!("the server redirects more than {REDIRECTS} times");
        Err(Fault::new(FaultKind::Final, what))
    }

    /// Tries something until it succeeds, or cannot, or was tried often enough. Gives the last
    /// fault, and the number of attempts.
    pub(super) fn persist<T>(
        &self,
        mut attempt: impl FnMut(u32) -> Result<T, Fault>,
    ) -> Result<T, (Fault, u32)> {
        let mut count = 0;
        loop {
            count += 1;
            match attempt(count) {
                Ok(done) => return Ok(done),
                Err(fault) if fault.kind == FaultKind::Passing && count < self.attempts => {
                    thread::sleep(self.wait(count).max(fault.wait.min(LONGEST_WAIT)));
                }
                Err(fault) => return Err((fault, count)),
            }
        }
    }

    /// How long to wait after a number of attempts. It is random, so that not all come again at the
    /// same time.
    fn wait(&self, attempts: u32) -> Duration {
        let doubled = 2_u32.saturating_pow(attempts - 1);
        let longest = self.first_wait.saturating_mul(doubled).min(LONGEST_WAIT);
        longest.mul_f64(0.5 + 0.5 * random())
    }
}

/// Where a redirect leads. It must not be less safe there.
fn redirected(address: &str, location: &str) -> Result<String, Fault> {
    let is_safe = |address: &str| address.starts_with("https:");
    let next = url::resolve(address, location);
    let next = next.filter(|next| is_safe(next) || !is_safe(address));
    let fault = || Fault::new(FaultKind::Final, "the server redirects to no https address");
    next.ok_or_else(fault)
}

/// A number from 0 to 1.
fn random() -> f64 {
    use std::hash::{BuildHasher, RandomState};
    // Its keys are other ones each time.
    RandomState::new().hash_one(0) as f64 / u64::MAX as f64
}

impl Answer {
    /// Fills `out` from the body, which must not have more. `done` counts what has come, also if
    /// not all comes. If too much comes, nothing of it counts.
    pub(super) fn read(self, out: &mut [u8], done: &mut usize) -> Result<(), Fault> {
        let mut body = self.body.into_reader();
        let fault = |error: io::Error| Fault::of_request(error.into(), self.timeout);
        let mut read = |out: &mut [u8]| loop {
            match body.read(out) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => return read.map_err(fault),
            }
        };
        let start = *done;
        while *done < out.len() {
            match read(&mut out[*done..])? {
                0 => return Err(Fault::passing("the answer has fewer bytes than it should")),
                count => *done += count,
            }
        }
        // To see its end also frees the connection for the next request.
        let end = match read(&mut [0]) {
            Ok(0) => return Ok(()),
            Ok(_) => Fault::passing("the answer has more bytes than it should"),
            Err(fault) => fault,
        };
        *done = start;
        Err(end)
    }
}

/// Where the bytes of a file are now.
#[derive(Clone)]
pub(super) struct Link {
    pub(super) address: String,
    pub(super) identity: Identity,
}

impl Link {
    pub(super) fn of(answer: &Answer) -> Self {
        Self {
            address: answer.address.clone(),
            identity: answer.identity.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_do_not_leave_tls() {
        for (address, location, is_right) in [
            ("https://a/x", "https://b/y", true),
            ("https://a/x", "/y", true),
            ("https://a/x", "http://b/y", false),
            ("http://a/x", "http://b/y", true),
            ("http://a/x", "https://a/x", true),
        ] {
            assert_eq!(
                redirected(address, location).is_ok(),
                is_right,
                "{location}"
            );
        }
    }

    #[test]
    fn waits_grow_and_are_bounded() {
        let client = Client {
            agent: Agent::new_with_defaults(),
            timeout: Duration::from_secs(1),
            attempts: 3,
            first_wait: Duration::from_millis(500),
        };
        for attempts in 1..100 {
            let longest = 0.5 * 2_f64.powi(attempts as i32 - 1);
            let longest = longest.min(60.0);
            let wait = client.wait(attempts).as_secs_f64();
            assert!(
                (longest / 2.0..=longest).contains(&wait),
                "{attempts}: {wait}"
            );
        }
    }
}
