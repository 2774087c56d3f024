//! Why a request failed, and what the user can do.

use std::error::Error as StdError;
use std::io;

use burn_npy_core::{Error, ErrorKind};
use object_store::client::{HttpError, HttpErrorKind};

use crate::location::Service;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The object has another version, or is gone.
    Changed,
    NoBucket,
    NoObject,
    /// There are no keys, and the machine does not tell its own. Repeated.
    NoCredentials,
    /// Keys that are wrong or no longer valid.
    WrongCredentials,
    Denied,
    /// The bucket is in another region.
    Region,
    /// The server did not answer. Repeated.
    Unreachable,
    /// The server answered that it could not. Repeated.
    Busy,
    /// The body ended too early. Repeated.
    Cut,
    /// Ranges that do not exist, or that the server does not know.
    Range,
    Other,
}

/// A failed request.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) reason: Reason,
    /// What the store, or the system, said.
    pub(crate) said: String,
    pub(crate) io: io::ErrorKind,
}

impl Failure {
    pub(crate) fn new(reason: Reason, said: impl Into<String>) -> Self {
        let io = match reason {
            Reason::NoBucket | Reason::NoObject => io::ErrorKind::NotFound,
            Reason::NoCredentials | Reason::WrongCredentials | Reason::Denied => {
                io::ErrorKind::PermissionDenied
            }
            Reason::Unreachable => io::ErrorKind::NotConnected,
            Reason::Busy => io::ErrorKind::ResourceBusy,
            Reason::Cut => io::ErrorKind::UnexpectedEof,
            _ => io::ErrorKind::Other,
        };
        let said = said.into();
        Self { reason, said, io }
    }

    /// Whether the same request may succeed later.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(
            self.reason,
            Reason::Unreachable | Reason::Busy | Reason::Cut | Reason::NoCredentials
        )
    }

    /// The error, of which `what` says what was asked for.
    pub(crate) fn error(&self, service: Service, bucket: &str, what: &str) -> Error {
        let [keys, anonymous, address] = match service {
            Service::S3 => [
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
                "AWS_SKIP_SIGNATURE=true",
                "AWS_ENDPOINT",
            ],
            Service::Google => [
                "GOOGLE_APPLICATION_CREDENTIALS",
                "GOOGLE_SKIP_SIGNATURE=true",
                "GOOGLE_BASE_URL",
            ],
            Service::Azure => [
                "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
                "AZURE_SKIP_SIGNATURE=true",
                "AZURE_STORAGE_ENDPOINT",
            ],
        };
        let message = match self.reason {
            Reason::Changed => "the object was replaced or deleted while it was in use".to_owned(),
            Reason::NoBucket => format!(
                "there is no bucket `{bucket}`; check its name, and {address} if it is elsewhere"
            ),
            Reason::NoObject => {
                format!("there is no such object in the bucket `{bucket}`; capital letters matter")
            }
            Reason::NoCredentials => format!(
                "no credentials were found; set {keys}, or {anonymous} for a public bucket, and \
                 {address} for a server of your own"
            ),
            Reason::WrongCredentials => {
                format!("the store does not accept the credentials; check {keys}")
            }
            Reason::Denied => format!(
                "these credentials may not read it, or there is no such object and they may not \
                 list the bucket `{bucket}`"
            ),
            Reason::Region => {
                format!("the bucket `{bucket}` is in another region; set AWS_REGION to it")
            }
            Reason::Unreachable => format!(
                "{what}: the store could not be reached; check the network, and {address} if it is \
                 set"
            ),
            Reason::Busy => format!("{what}: the store failed"),
            Reason::Cut => format!("{what}: the answer ended too early"),
            Reason::Range => format!("{what}: the store does not serve parts of objects"),
            Reason::Other => format!("{what}: the store refused"),
        };
        let kind = match self.reason {
            Reason::Changed => ErrorKind::Changed,
            _ => ErrorKind::Io,
        };
        Error::new(kind, message).with_source(io::Error::new(self.io, self.said.clone()))
    }
}

impl From<object_store::Error> for Failure {
    fn from(error: object_store::Error) -> Self {
        use object_store::Error as E;
        let whole = error.to_string();
        let code = element(&whole, "Code").unwrap_or_default();
        let transport = transport(&error);
        let reason = match &error {
            _ if is_about_credentials(&whole) => Reason::NoCredentials,
            _ if matches!(code, "NoSuchBucket" | "ContainerNotFound") => Reason::NoBucket,
            E::NotFound { .. } => Reason::NoObject,
            E::Precondition { .. } => Reason::Changed,
            E::PermissionDenied { .. } if matches!(code, "" | "AccessDenied" | "Forbidden") => {
                Reason::Denied
            }
            E::PermissionDenied { .. } | E::Unauthenticated { .. } => Reason::WrongCredentials,
            E::Generic { .. } => match (transport, status(&whole)) {
                (Some(_), _) => Reason::Unreachable,
                (_, Some(408 | 429 | 500..)) => Reason::Busy,
                (_, Some(416)) => Reason::Range,
                _ if whole.contains("non-partial response") => Reason::Range,
                _ if whole.contains("redirect without LOCATION")
                    || matches!(code, "AuthorizationHeaderMalformed" | "PermanentRedirect") =>
                {
                    Reason::Region
                }
                _ if matches!(code, "ExpiredToken" | "InvalidToken" | "InvalidAccessKeyId") => {
                    Reason::WrongCredentials
                }
                _ => Reason::Other,
            },
            _ => Reason::Other,
        };
        let said = match (code, transport) {
            ("", Some(transport)) => chain(transport),
            ("", None) => {
                let said = whole.split_once("Server returned non-2xx status code: ");
                let said = said.map_or(&*whole, |(_, said)| said);
                said.trim_end_matches([':', ' ']).to_owned()
            }
            (code, _) => match element(&whole, "Message") {
                Some(message) => format!("{code}: {message}"),
                None => code.to_owned(),
            },
        };
        let mut failure = Self::new(reason, said);
        if let Some(transport) = transport {
            failure.io = system(transport).unwrap_or(match transport.kind() {
                HttpErrorKind::Timeout => io::ErrorKind::TimedOut,
                HttpErrorKind::Interrupted => io::ErrorKind::Interrupted,
                _ => failure.io,
            });
        }
        failure
    }
}

/// The text of an element of the answers of all three clouds: `<Code>NoSuchKey</Code>`.
fn element<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&*format!("<{name}>"))?;
    Some(rest.split_once(&*format!("</{name}>"))?.0)
}

/// The status of the answer. `object_store` has it in its texts only.
fn status(text: &str) -> Option<u16> {
    let (_, rest) = text.split_once("non-2xx status code: ")?;
    rest.get(..3)?.parse().ok()
}

/// Whether a request to where a cloud has credentials for its machines failed. They are asked when
/// there are no others.
fn is_about_credentials(text: &str) -> bool {
    let places = [
        "/latest/api/token",
        "/latest/meta-data/iam",
        "/computeMetadata/",
        "/metadata/identity/",
    ];
    places.iter().any(|place| text.contains(place))
}

fn causes<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error| (*error).source())
}

/// The failure of a connection, if it was one.
fn transport(error: &object_store::Error) -> Option<&HttpError> {
    causes(error).find_map(|error| error.downcast_ref())
}

/// What the system said.
fn system(error: &HttpError) -> Option<io::ErrorKind> {
    let kinds = causes(error).filter_map(|error| error.downcast_ref::<io::Error>());
    kinds
        .map(io::Error::kind)
        .find(|kind| *kind != io::ErrorKind::Other)
}

/// All messages of a chain of errors, each once.
fn chain(error: &HttpError) -> String {
    let mut said = String::new();
    for text in causes(error).skip(1).map(ToString::to_string) {
        if !said.ends_with(&text) {
            let colon = if said.is_empty() { "" } else { ": " };
            said = said + colon + &text;
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_understood() {
        let text = "Error performing GET http://host/b/k in 3ms - Server returned non-2xx status \
                    code: 404 Not Found: <Error><Code>NoSuchKey</Code><Message>Nothing.</Message>";
        assert_eq!(element(text, "Code"), Some("NoSuchKey"));
        assert_eq!(element(text, "Message"), Some("Nothing."));
        assert_eq!(element(text, "Resource"), None);
        assert_eq!(status(text), Some(404));
        assert_eq!(status("no status"), None);
    }
}
