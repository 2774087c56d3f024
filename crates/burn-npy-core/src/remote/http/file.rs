//! A file on a server, once it is open.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, PoisonError, RwLock};

use super::client::{Answer, Client, Fault, FaultKind, Link, Origin};
use super::url;
use crate::remote::ReadAt;
use crate::{Error, ErrorKind, Result};

/// How much the first request asks for. The header of a `.npy` file is there, since it has at most
/// 10,000 bytes unless a user allows more. Not less than the first block that a pool fetches.
const HEAD: u64 = 16 << 10;

pub(super) struct HttpFile {
    client: Client,
    origin: Origin,
    len: u64,
    version: Option<String>,
    /// The first bytes, which came when the file was opened.
    head: Box<[u8]>,
    /// Where the bytes have come from last. It is set when another attempt finds another place.
    link: RwLock<Arc<Link>>,
}

impl fmt::Debug for HttpFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpFile")
            .field("name", &self.origin.name)
            .field("len", &self.len)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

impl HttpFile {
    pub(super) fn open(client: Client, mut origin: Origin) -> Result<Self> {
        let opened = client.persist(|_| {
            let answer = client.ask(&origin, &origin.address, &(0..HEAD), None)?;
            let len = len(&answer)?;
            let mut head = vec![0; len.min(HEAD) as usize];
            let (link, commit) = (Link::of(&answer), answer.commit.clone());
            if len > 0 {
                answer.read(&mut head, &mut 0)?;
            }
            Ok((len, head, link, commit))
        });
        let (len, head, link, commit) = match opened {
            Ok(opened) => opened,
            Err((fault, attempts)) => {
                return Err(fault.into_error(&origin, "cannot open the file", attempts));
            }
        };
        if origin.is_hub
            && let Some(pinned) = commit.and_then(|commit| url::pinned(&origin.address, &commit))
        {
            origin.address = pinned;
        }
        Ok(Self {
            version: link.identity.version(len),
            client,
            origin,
            len,
            head: head.into(),
            link: RwLock::new(Arc::new(link)),
        })
    }

    /// Holds no lock, since `fetch` sets the link.
    fn link(&self) -> Arc<Link> {
        Arc::clone(&self.link.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads what is still missing of a range into `out`.
    fn fetch(
        &self,
        link: &Link,
        address: &str,
        range: Range<u64>,
        out: &mut [u8],
        done: &mut usize,
    ) -> Result<(), Fault> {
        let known = &link.identity;
        let etag = known.etag.as_deref().filter(|_| address == link.address);
        let range = range.start + *done as u64..range.end;
        let answer = self.client.ask(&self.origin, address, &range, etag)?;
        let changed = |what: String| Err(Fault::new(FaultKind::Changed, what));
        match answer.status.as_u16() {
            412 => return changed("its ETag is another one".to_owned()),
            416 => return changed(format!("it ends before byte {}", range.start + 1)),
            _ => {}
        }
        let (sent, len) = answer.span.clone().unwrap_or_default();
        if let Some(len) = len.filter(|len| *len != self.len) {
            return changed(format!("it had {} bytes and has {len}", self.len));
        }
        if let Some(what) = known.change(&answer.identity) {
            return changed(what);
        }
        if answer.status != 206 {
            return Err(Fault::passing(
                "the server has sent the whole file, and not the part that it was asked for",
            ));
        }
        if sent.as_ref() != Some(&range) {
            let sent = match sent {
                Some(sent) => format!("bytes {}..{}", sent.start, sent.end),
                None => "bytes without their place in the file".to_owned(),
            };
            let (start, end) = (range.start, range.end);
            let what = format!("the server has sent {sent}, and not {start}..{end}");
            return Err(Fault::passing(what));
        }
        if answer.address != link.address {
            let mut now = Link::of(&answer);
            if now.identity.linked.is_none() {
                now.identity.linked.clone_from(&known.linked);
            }
            *self.link.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(now);
        }
        answer.read(out, done)
    }
}

/// The length of the file of which an answer has the first bytes.
fn len(answer: &Answer) -> Result<u64, Fault> {
    let refuse = |what: &str| Err(Fault::new(FaultKind::Final, what));
    match (answer.status.as_u16(), &answer.span) {
        (206, Some((Some(range), Some(len)))) => match *range == (0..HEAD.min(*len)) {
            true => Ok(*len),
            false => Err(Fault::passing(
                "the server has sent other bytes than the first",
            )),
        },
        (206, _) => Err(Fault::passing(
            "the server does not say how long the file is",
        )),
        // There is nothing that it could send.
        (416, Some((None, Some(0)))) => Ok(0),
        // All of a file that is shorter than what was asked for.
        (200, _) if answer.len.is_some_and(|len| len <= HEAD) => Ok(answer.len.unwrap_or(0)),
        (200, _) => refuse(
            "the server sends whole files only, and not the parts that it is asked for; download \
             the file, or have it served by another program, such as nginx",
        ),
        (status, _) => refuse(&format!("the server says {status}")),
    }
}

impl ReadAt for HttpFile {
    fn name(&self) -> &str {
        &self.origin.name
    }

    fn len(&self) -> u64 {
        self.len
    }

    fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        let end = offset.checked_add(out.len() as u64);
        let Some(end) = end.filter(|end| *end <= self.len) else {
            let message = format!("a read of {} bytes at {offset} of {}", out.len(), self.len);
            return Err(Error::new(ErrorKind::TruncatedData, message).in_file(&self.origin.name));
        };
        let mut done = 0;
        if let Some(head) = self.head.get(offset.min(HEAD) as usize..) {
            done = head.len().min(out.len());
            out[..done].copy_from_slice(&head[..done]);
        }
        if done == out.len() {
            return Ok(());
        }
        let first = offset + done as u64;
        let read = self.client.persist(|attempt| {
            let link = self.link();
            // After a failure, the server is asked anew where the bytes are.
            if attempt == 1 && link.address != self.origin.address {
                let read = self.fetch(&link, &link.address, offset..end, out, &mut done);
                // So it is if a link has expired, which is no failure.
                if !matches!(&read, Err(fault) if fault.kind == FaultKind::Refused) {
                    return read;
                }
            }
            let address = &self.origin.address;
            self.fetch(&link, address, offset..end, out, &mut done)
        });
        read.map_err(|(fault, attempts)| {
            let doing = format!("cannot read bytes {first}..{end}");
            fault.into_error(&self.origin, &doing, attempts)
        })
    }
}
