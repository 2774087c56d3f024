//! Each fault of a server, a hundred times: the right rows, or one clear error.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use burn_npy_core::ErrorKind;
use burn_npy_core::file::OpenOptions;

use crate::server::{Reply, Request, Server, Then, good, stall};
use crate::{http, npy, options, read_rows};

const RUNS: usize = 100;
/// How many runs there are at a time.
const THREADS: usize = 25;
/// How much later each begins than the one before, of runs that wait. They all run at a time, but
/// not all are busy at a time.
const STAGGER: Duration = Duration::from_millis(4);
/// How often a read is tried. A fault that comes sometimes comes less often to one read.
const ATTEMPTS: u32 = 3;
/// How long a server may say nothing. A good answer must not take as long on a busy machine.
const PATIENCE: Duration = Duration::from_millis(700);

/// Sends something else than the good answer.
type Act = fn(Reply, &mut TcpStream) -> io::Result<Then>;

/// What becomes of a read that meets a fault.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// Nobody notices.
    Unseen,
    /// The read is repeated.
    Passing,
    /// An error at once.
    Final,
    /// An error at once, of another kind.
    Changed,
}
use Outcome::{Changed, Final, Passing, Unseen};

struct Fault {
    name: &'static str,
    outcome: Outcome,
    /// The end of the message, in which each number is `N`.
    message: &'static str,
    act: Act,
}

const fn fault(name: &'static str, outcome: Outcome, message: &'static str, act: Act) -> Fault {
    Fault {
        name,
        outcome,
        message,
        act,
    }
}

impl Fault {
    /// Whether the client must give up waiting.
    fn is_slow(&self) -> bool {
        [SILENT, SLOW].contains(&self.message)
    }
}

const SLOW: &str = "the answer came too slowly";
const SILENT: &str = "the server has sent nothing for N s";
const CLOSED: &str = "the connection was closed too early";

#[rustfmt::skip]
const FAULTS: &[Fault] = &[
    fault("stalls before an answer", Passing, SILENT, |_, stream| stall(stream)),
    fault("stalls in the head", Passing, SILENT, |good, stream| {
        stream.write_all(&good.head().as_bytes()[..20])?;
        stall(stream)
    }),
    fault("stalls in the body", Passing, SILENT, |good, stream| {
        half(&good, stream)?;
        stall(stream)
    }),
    fault("drips", Passing, SLOW, |good, stream| {
        stream.write_all(good.head().as_bytes())?;
        for byte in good.body {
            stream.write_all(&[byte])?;
            thread::sleep(Duration::from_millis(20));
        }
        Ok(Then::Close)
    }),
    fault("closes before an answer", Passing, CLOSED, |_, _| Ok(Then::Close)),
    fault("cuts the head", Passing, CLOSED, |good, stream| {
        stream.write_all(&good.head().as_bytes()[..20])?;
        Ok(Then::Close)
    }),
    fault("cuts the body", Passing, CLOSED, |good, stream| {
        half(&good, stream)?;
        Ok(Then::Close)
    }),
    fault("closes idle connections", Unseen, "", |good, stream| {
        good.send(stream)?;
        Ok(Then::Close)
    }),
    fault("says what is not HTTP", Passing, "not an answer: http parse fail: invalid HTTP version",
        |_, stream| {
            stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")?;
            Ok(Then::Close)
        }),
    fault("500", Passing, "the server says N Internal Server Error", |_, to| status(500, to)),
    fault("502", Passing, "the server says N Bad Gateway", |_, to| status(502, to)),
    fault("503 with Retry-After", Passing, "the server says N Service Unavailable", |_, stream| {
        Reply::new(503, b"").with("Retry-After", "0").send(stream)
    }),
    fault("429", Passing, "the server says N Too Many Requests", |_, to| status(429, to)),
    fault("408", Passing, "the server says N Request Timeout", |_, to| status(408, to)),
    fault("400", Final, "the server says N Bad Request", |_, to| status(400, to)),
    fault("401", Final, "the server says N Unauthorized; `Http::header` can give it a key",
        |_, to| status(401, to)),
    fault("403", Final, "the server says N Forbidden; `Http::header` can give it a key, and a \
        presigned link may have expired", |_, to| status(403, to)),
    fault("404", Final, "the server says N Not Found", |_, to| status(404, to)),
    fault("410", Final, "the server says N Gone", |_, to| status(410, to)),
    fault("304", Final, "the server says N Not Modified", |_, to| status(304, to)),
    fault("redirects for ever", Final, "the server redirects more than N times", |_, stream| {
        Reply::new(302, b"").with("Location", "?again").send(stream)
    }),
    fault("short body", Passing, "the answer has fewer bytes than it should", |mut good, stream| {
        good.body.pop();
        good.length -= 1;
        good.send(stream)
    }),
    fault("long body", Passing, "the answer has more bytes than it should", |mut good, stream| {
        good.body.push(0);
        good.length += 1;
        good.send(stream)
    }),
    fault("other bytes", Passing, "the server has sent bytes N..N, and not N..N",
        |good, stream| {
            let all = file_len(&good);
            let range = format!("bytes 1-{}/{all}", good.length);
            good.with("Content-Range", range).send(stream)
        }),
    fault("no Content-Range", Passing,
        "the server has sent bytes without their place in the file, and not N..N",
        |good, stream| good.without("Content-Range").send(stream)),
    fault("ignores Range", Passing,
        "the server has sent the whole file, and not the part that it was asked for",
        |good, stream| Reply { status: 200, ..good }.without("Content-Range").send(stream)),
    fault("encodes", Passing, "the server sends the file encoded, as gzip",
        |good, stream| good.with("Content-Encoding", "gzip").send(stream)),
    fault("another ETag", Changed, "its ETag was \"vN\" and is \"vN\"",
        |good, stream| good.with("ETag", "\"v2\"").send(stream)),
    fault("no ETag", Changed, "its ETag was \"vN\" and is none",
        |good, stream| good.without("ETag").send(stream)),
    fault("another length", Changed, "it had N bytes and has N", |good, stream| {
        let range = good.headers.iter().find(|(name, _)| *name == "Content-Range");
        let (range, _) = range.unwrap().1.split_once('/').unwrap();
        let range = format!("{range}/999999");
        good.with("Content-Range", range).send(stream)
    }),
    fault("412", Changed, "its ETag is another one", |_, to| status(412, to)),
    fault("416", Changed, "it ends before byte N", |_, to| status(416, to)),
];

fn status(status: u16, stream: &mut TcpStream) -> io::Result<Then> {
    Reply::new(status, b"what a page says").send(stream)
}

/// Sends the head and half of the body.
fn half(good: &Reply, stream: &mut TcpStream) -> io::Result<()> {
    stream.write_all(good.head().as_bytes())?;
    stream.write_all(&good.body[..good.body.len() / 2])
}

fn file_len(good: &Reply) -> &str {
    let range = good
        .headers
        .iter()
        .find(|(name, _)| *name == "Content-Range");
    range.unwrap().1.split_once('/').unwrap().1
}

/// When a fault comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    /// Up to two times to each range, the first of the file included. What is slow comes once.
    Sometimes,
    /// Always, once the file is open.
    OnceOpen,
    /// Always.
    Always,
}

/// What came of the runs.
#[derive(Default)]
struct Found {
    right: usize,
    errors: usize,
    /// How often the server did as the fault wants.
    faults: usize,
    /// The ends of the messages, in which each number is `N`.
    messages: BTreeSet<String>,
    kinds: Vec<ErrorKind>,
    /// Which runs failed.
    failed: BTreeSet<String>,
    /// Which runs met a fault.
    met: BTreeSet<String>,
}

/// Which faults a server has committed.
#[derive(Default)]
struct Log {
    /// How often each range of each run was asked for, and the requests of each run.
    asked: BTreeMap<(String, usize), usize>,
    faults: usize,
    met: BTreeSet<String>,
}

impl Log {
    fn is_fault(&mut self, request: &Request, when: When, most: u64) -> bool {
        let path = request.path.split('?').next().unwrap().to_owned();
        // A read that was cut goes on where it was cut, up to the same end.
        let end = request.range().end;
        let is_open = self.asked.keys().any(|(known, _)| *known == path);
        let count = self.asked.entry((path.clone(), end)).or_default();
        *count += 1;
        let is_fault = match when {
            When::Always => true,
            When::OnceOpen => is_open,
            When::Sometimes => {
                let mut hasher = DefaultHasher::new();
                (&path, end).hash(&mut hasher);
                *count <= (hasher.finish() % (most + 1)) as usize
            }
        };
        if is_fault {
            self.faults += 1;
            self.met.insert(path);
        }
        is_fault
    }
}

fn run(fault: &'static Fault, when: When) -> Found {
    let log = Arc::new(Mutex::new(Log::default()));
    let (bytes, shared) = (npy(), Arc::clone(&log));
    let most = if fault.is_slow() { 1 } else { 2 };
    let server = Server::start(move |request, stream| {
        let good = good(request, &bytes, "\"v1\"");
        // No lock is held while it stalls.
        let is_fault = shared.lock().unwrap().is_fault(request, when, most);
        match is_fault {
            true => (fault.act)(good, stream),
            false => good.send(stream),
        }
    });
    let mut http = http(ATTEMPTS);
    if fault.is_slow() {
        http = http.timeout(PATIENCE);
    }
    let found = runs(fault.is_slow(), &options(http), |run| {
        server.url(&format!("/{run}.npy"))
    });
    let log = log.lock().unwrap();
    Found {
        faults: log.faults,
        met: log.met.clone(),
        ..found
    }
}

/// Reads rows of many files, several at a time.
fn runs(is_slow: bool, options: &OpenOptions, url: impl Fn(usize) -> String + Sync) -> Found {
    let (found, next) = (Mutex::new(Found::default()), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..if is_slow { RUNS } else { THREADS } {
            thread::sleep(if is_slow { STAGGER } else { Duration::ZERO });
            scope.spawn(|| {
                loop {
                    let run = next.fetch_add(1, Ordering::Relaxed);
                    if run >= RUNS {
                        return;
                    }
                    let url = url(run);
                    let read = read_rows(&url, options);
                    let mut found = found.lock().unwrap();
                    let Err(error) = read else {
                        found.right += 1;
                        continue;
                    };
                    found.errors += 1;
                    found.messages.insert(end_of(&error.to_string(), &url));
                    found.kinds.push(error.kind());
                    found
                        .failed
                        .insert(url[url.rfind('/').unwrap()..].to_owned());
                }
            });
        }
    });
    found.into_inner().unwrap()
}

/// What a message says after the URL, with `N` for each number.
fn end_of(message: &str, url: &str) -> String {
    let rest = message.strip_prefix(&format!("{url}: ")).expect(message);
    let mut end = String::new();
    for c in rest.chars() {
        match c.is_ascii_digit() || (c == '.' && end.ends_with('N') && !rest.contains("..")) {
            true if end.ends_with('N') => {}
            true => end.push('N'),
            false => end.push(c),
        }
    }
    end.replace("N.N s", "N s")
}

fn print(name: &str, when: &str, found: &Found) {
    println!(
        "{name:<24} {when:<10} {:>5} {:>6} {:>7}  {}",
        found.right,
        found.errors,
        found.faults,
        found.messages.iter().next().map_or("", |message| message)
    );
}

/// What comes of a fault, and the end of the message.
fn expected(fault: &Fault, when: When) -> (Outcome, &str) {
    match (fault.name, when) {
        // Said of the first bytes in other words.
        ("other bytes", When::Always) => {
            (Passing, "the server has sent other bytes than the first")
        }
        ("no Content-Range", When::Always) => {
            (Passing, "the server does not say how long the file is")
        }
        // The end of it comes.
        ("redirects for ever", When::Sometimes) => (Unseen, ""),
        _ => (fault.outcome, fault.message),
    }
}

fn check(fault: &Fault, when: When, found: &Found) {
    let at = format!("{}, {when:?}: {:?}", fault.name, found.messages);
    assert_eq!(found.right + found.errors, RUNS, "{at}");
    assert!(found.faults > 0, "{at}: the server had no fault");
    let (outcome, message) = expected(fault, when);
    if outcome == Unseen || (outcome == Passing && when == When::Sometimes) {
        assert_eq!(found.right, RUNS, "{at}");
        return;
    }
    // Who met the fault has an error, and nobody else. Several rows are requested at a time; one of
    // which the request fails before its turn is requested again.
    assert!(found.failed.is_subset(&found.met), "{at}");
    assert!(found.errors > 0, "{at}");
    assert!(found.errors == RUNS || when == When::Sometimes, "{at}");
    let kind = match outcome {
        Changed => ErrorKind::Changed,
        _ => ErrorKind::Io,
    };
    assert!(found.kinds.iter().all(|known| *known == kind), "{at}");
    let what = match outcome {
        Changed => &["the file was replaced on the server while in use"][..],
        _ => match when {
            When::Sometimes => &["cannot open the file", "cannot read bytes N..N"][..],
            When::OnceOpen => &["cannot read bytes N..N"][..],
            When::Always => &["cannot open the file"][..],
        },
    };
    let often = match outcome {
        Passing => " after N attempts",
        _ => "",
    };
    for found in &found.messages {
        let mut known = what.iter().map(|what| format!("{what}{often}: {message}"));
        assert!(known.any(|known| known == *found), "{at}");
    }
}

fn print_head() {
    println!(
        "{:<24} {:<10} {:>5} {:>6} {:>7}  of {RUNS} runs",
        "fault", "when", "right", "errors", "faults"
    );
}

fn run_and_check(fault: &'static Fault, when: When) {
    let found = run(fault, when);
    print(fault.name, &format!("{when:?}"), &found);
    check(fault, when, &found);
}

/// Each fault at each time when it can come.
fn cases() -> impl Iterator<Item = (&'static Fault, When)> {
    let times = [When::Sometimes, When::OnceOpen, When::Always];
    let cases = FAULTS
        .iter()
        .flat_map(move |fault| times.map(|when| (fault, when)));
    cases.filter(|(fault, when)| match fault.outcome {
        // The first answer is what a file is, so it cannot be a change.
        Changed => *when == When::OnceOpen,
        // To open a file is another matter: `a_server_that_sends_no_parts_is_refused_at_once`.
        _ if fault.name == "ignores Range" => *when == When::OnceOpen,
        _ => true,
    })
}

#[test]
fn each_fault_gives_the_right_rows_or_one_clear_error() {
    print_head();
    for (fault, when) in cases().filter(|(fault, _)| !fault.is_slow()) {
        run_and_check(fault, when);
    }
}

/// Several at the same time, since they wait.
#[test]
fn each_delay_gives_the_right_rows_or_one_clear_error() {
    print_head();
    thread::scope(|scope| {
        for slow in FAULTS.iter().filter(|fault| fault.is_slow()) {
            let cases = cases().filter(|(fault, _)| fault.name == slow.name);
            scope.spawn(move || cases.for_each(|(fault, when)| run_and_check(fault, when)));
        }
    });
}

#[test]
fn a_server_that_sends_no_parts_is_refused_at_once() {
    let bytes = npy();
    let server = Server::start(move |_, stream| Reply::new(200, &bytes).send(stream));
    let found = runs(false, &options(http(ATTEMPTS)), |_| server.url("/x.npy"));
    print("sends whole files", "Always", &found);
    assert_eq!(found.errors, RUNS);
    assert_eq!(
        found.messages.into_iter().collect::<Vec<_>>(),
        [
            "cannot open the file: the server sends whole files only, and not the parts that it is \
             asked for; download the file, or have it served by another program, such as nginx"
        ]
    );
    assert_eq!(server.requests().len(), RUNS);
}

/// A port at which nobody listens.
fn free_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

#[test]
fn a_server_that_is_not_there_is_one_clear_error() {
    let address = free_port();
    let found = runs(false, &options(http(ATTEMPTS)), |run| {
        format!("http://{address}/{run}.npy")
    });
    print("refuses connections", "Always", &found);
    assert_eq!(found.errors, RUNS);
    let message = found.messages.first().unwrap();
    assert_eq!(found.messages.len(), 1, "{:?}", found.messages);
    let expected = "cannot open the file after N attempts: Connection refused";
    assert!(message.starts_with(expected), "{message}");
}

#[test]
fn a_server_that_restarts_is_waited_for() {
    let (mut found, bytes) = (Found::default(), npy());
    for _ in 0..RUNS {
        let bytes = bytes.clone();
        let answer = move |request: &Request, stream: &mut TcpStream| {
            good(request, &bytes, "\"v1\"").send(stream)
        };
        let address = free_port();
        let reader = thread::spawn({
            let url = format!("http://{address}/x.npy");
            // Enough for some seconds, which a busy machine may need.
            let http = http(300).timeout(Duration::from_secs(1));
            move || read_rows(&url, &options(http.first_wait(Duration::from_micros(1))))
        });
        thread::sleep(Duration::from_millis(2));
        let _server = Server::on(TcpListener::bind(&address).unwrap(), answer);
        match reader.join().unwrap() {
            Ok(()) => found.right += 1,
            Err(error) => panic!("{error}"),
        }
    }
    print("refuses connections", "Sometimes", &found);
    assert_eq!(found.right, RUNS);
}
