//! A web server that does as it is told, well or badly.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// A request without a body.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// The path and the query.
    pub(crate) path: String,
    headers: Vec<(String, String)>,
}

impl Request {
    /// Reads one; `None` at the end of the connection.
    fn read(stream: &mut BufReader<TcpStream>) -> Option<Self> {
        let mut line = || {
            let mut line = String::new();
            let len = stream.read_line(&mut line).ok()?;
            (len > 0).then(|| line.trim_end().to_owned())
        };
        let first = line()?;
        let path = first.split(' ').nth(1)?.to_owned();
        let mut headers = Vec::new();
        loop {
            let line = line()?;
            let Some((name, value)) = line.split_once(": ") else {
                return Some(Self { path, headers });
            };
            headers.push((name.to_ascii_lowercase(), value.to_owned()));
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| &**value)
    }

    /// The bytes that it asks for. Each request of these tests asks for some.
    pub(crate) fn range(&self) -> Range<usize> {
        let range = self.header("range").unwrap().strip_prefix("bytes=");
        let (first, last) = range.unwrap().split_once('-').unwrap();
        first.parse().unwrap()..last.parse::<usize>().unwrap() + 1
    }
}

/// An answer before it is sent.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
    /// What is said of the length of the body.
    pub(crate) length: usize,
}

impl Reply {
    pub(crate) fn new(status: u16, body: &[u8]) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.to_vec(),
            length: body.len(),
        }
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self
    }

    pub(crate) fn head(&self) -> String {
        let mut head = format!("HTTP/1.1 {} Reason\r\n", self.status);
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        head + &format!("Content-Length: {}\r\n\r\n", self.length)
    }

    pub(crate) fn send(&self, stream: &mut TcpStream) -> io::Result<Then> {
        stream.write_all(&[self.head().as_bytes(), &self.body].concat())?;
        Ok(Then::GoOn)
    }
}

/// What a good server answers: the part of a file, as RFC 9110 wants it.
pub(crate) fn good(request: &Request, file: &[u8], etag: &str) -> Reply {
    let asked = request.range();
    let tagged = |reply: Reply| reply.with("ETag", etag);
    if request.header("if-match").is_some_and(|tag| tag != etag) {
        return tagged(Reply::new(412, b""));
    }
    let all = file.len();
    if asked.start >= all {
        return tagged(Reply::new(416, b"").with("Content-Range", format!("bytes */{all}")));
    }
    let end = asked.end.min(all);
    let range = format!("bytes {}-{}/{all}", asked.start, end - 1);
    tagged(Reply::new(206, &file[asked.start..end]).with("Content-Range", range))
}

/// What comes after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// The next request of the connection.
    GoOn,
    /// The end of the connection.
    Close,
}

/// Waits until the other side gives up.
pub(crate) fn stall(stream: &mut TcpStream) -> io::Result<Then> {
    let mut more = [0; 64];
    while stream.read(&mut more)? > 0 {}
    Ok(Then::Close)
}

type Answer = dyn Fn(&Request, &mut TcpStream) -> io::Result<Then> + Send + Sync;

/// A server on a free port of this machine, until it is dropped.
pub(crate) struct Server {
    address: SocketAddr,
    is_over: Arc<AtomicBool>,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    pub(crate) fn start(
        answer: impl Fn(&Request, &mut TcpStream) -> io::Result<Then> + Send + Sync + 'static,
    ) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").unwrap(), answer)
    }

    pub(crate) fn on(
        listener: TcpListener,
        answer: impl Fn(&Request, &mut TcpStream) -> io::Result<Then> + Send + Sync + 'static,
    ) -> Self {
        let address = listener.local_addr().unwrap();
        let server = Self {
            address,
            is_over: Arc::default(),
            requests: Arc::default(),
        };
        let is_over = Arc::clone(&server.is_over);
        let requests = Arc::clone(&server.requests);
        let answer: Arc<Answer> = Arc::new(answer);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if is_over.load(Ordering::SeqCst) {
                    return;
                }
                let (requests, answer) = (Arc::clone(&requests), Arc::clone(&answer));
                // It ends when the client closes the connection.
                thread::spawn(move || serve(stream.unwrap(), &requests, &*answer));
            }
        });
        server
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What it was asked so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        // Wakes the thread that waits for connections.
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(mut stream: TcpStream, requests: &Mutex<Vec<Request>>, answer: &Answer) {
    let mut input = BufReader::new(stream.try_clone().unwrap());
    while let Some(request) = Request::read(&mut input) {
        requests.lock().unwrap().push(request.clone());
        // A client that has closed the connection is not an error.
        if !matches!(answer(&request, &mut stream), Ok(Then::GoOn)) {
            break;
        }
    }
    let _ = stream.shutdown(Shutdown::Both);
}
