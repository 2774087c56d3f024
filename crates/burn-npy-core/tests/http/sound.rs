//! A server without faults.

use std::sync::Arc;
use std::time::{Duration, Instant};

use burn_npy_core::file::{Access, Npz, NpzWriter, OpenOptions};
use burn_npy_core::remote::{OpenUrl, check_read_at};
use burn_npy_core::{Array, ErrorKind};

use crate::server::{Reply, Server, good};
use crate::{http, npy, options, read_rows, values};

fn serve(file: Vec<u8>) -> Server {
    Server::start(move |request, stream| good(request, &file, "\"v1\"").send(stream))
}

#[test]
fn it_reads_as_every_reader_must() {
    for len in [0, 1, 5000, 16 << 10, (16 << 10) + 1, 40_000] {
        let bytes: Vec<u8> = (0..len).map(|i| (i % 251) as u8).collect();
        let server = serve(bytes.clone());
        let file = http(1).open_url(&server.url("/blob")).unwrap();
        assert_eq!(file.version(), Some("\"v1\""));
        check_read_at(&*file, &bytes);
    }
}

#[test]
fn arrays_and_archives_are_read() {
    let server = serve(npy());
    let options = options(http(1));
    read_rows(&server.url("/x.npy"), &options).unwrap();
    // Also with the options that nobody has set.
    read_rows(&server.url("/x.npy"), &OpenOptions::new()).unwrap();
    let memory = options.clone().access(Access::Memory);
    read_rows(&server.url("/x.npy"), &memory).unwrap();

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.npz");
    let mut writer = NpzWriter::create(&path).unwrap();
    writer.add("a", &values()).unwrap();
    writer.finish().unwrap();
    let server = serve(std::fs::read(path).unwrap());
    let npz = Npz::open_with(server.url("/x.npz"), options).unwrap();
    let array = npz.array("a").unwrap();
    assert!(array.read::<f32>().unwrap() == values().into_dyn());
}

#[test]
fn to_open_a_file_is_one_request() {
    let server = serve(npy());
    let array = Array::open_with(server.url("/x.npy"), options(http(1))).unwrap();
    assert_eq!(array.shape(), values().shape());
    let requests = server.requests();
    assert_eq!(requests.len(), 1, "{requests:?}");
    assert_eq!(requests[0].header("accept-encoding"), Some("identity"));
    assert!(requests[0].header("if-match").is_none());
}

#[test]
fn the_tag_is_asked_for() {
    let server = serve(npy());
    read_rows(&server.url("/x.npy"), &options(http(1))).unwrap();
    let requests = server.requests();
    assert!(requests.len() > 1);
    for request in &requests[1..] {
        assert_eq!(request.header("if-match"), Some("\"v1\""));
    }
}

#[test]
fn a_server_without_tags_is_known_by_its_times() {
    let bytes = npy();
    let day = "Tue, 01 Dec 2026 12:00:00 GMT";
    let server = Server::start(move |request, stream| {
        let reply = good(request, &bytes, "").without("ETag");
        reply.with("Last-Modified", day).send(stream)
    });
    let file = http(1).open_url(&server.url("/x.npy")).unwrap();
    assert_eq!(
        file.version(),
        Some(&*format!("{day}, {} bytes", npy().len()))
    );
    check_read_at(&*file, &npy());
}

#[test]
fn a_server_without_either_has_no_version() {
    let bytes = npy();
    let server = Server::start(move |request, stream| {
        good(request, &bytes, "").without("ETag").send(stream)
    });
    let file = http(1).open_url(&server.url("/x.npy")).unwrap();
    assert_eq!(file.version(), None);
    check_read_at(&*file, &npy());
}

/// A server may answer with all that there is, if all was asked for.
#[test]
fn a_small_file_may_come_whole() {
    let server = Server::start(|_, stream| Reply::new(200, b"0123456789").send(stream));
    let file = http(1).open_url(&server.url("/x")).unwrap();
    check_read_at(&*file, b"0123456789");
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn keys_are_sent_and_never_shown() {
    let bytes = npy();
    let server = Server::start(move |request, stream| {
        let is_right = request.header("authorization") == Some("Bearer key-1234")
            && request.path == "/a%20b.npy?sign=key-1234";
        match is_right {
            true => good(request, &bytes, "\"v1\"").send(stream),
            false => Reply::new(401, b"").send(stream),
        }
    });
    let with_key = || options(http(1).header("Authorization", "Bearer key-1234"));
    let url = server.url("/a b.npy?sign=key-1234");
    read_rows(&url, &with_key()).unwrap();
    let error = read_rows(&url, &options(http(1))).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "{}: cannot open the file: the server says 401 Unauthorized; `Http::header` can give \
             it a key",
            server.url("/a b.npy")
        )
    );
    let file = http(1)
        .header("Authorization", "Bearer key-1234")
        .open_url(&url);
    assert!(!format!("{file:?} {:?}", with_key()).contains("key-1234"));
}

#[test]
fn a_name_and_password_in_a_url_are_used() {
    let bytes = npy();
    let server = Server::start(move |request, stream| {
        // `me:word` in Base64.
        match request.header("authorization") == Some("Basic bWU6d29yZA==") {
            true => good(request, &bytes, "\"v1\"").send(stream),
            false => Reply::new(401, b"").send(stream),
        }
    });
    let url = server.url("/x.npy").replace("http://", "http://me:word@");
    read_rows(&url, &options(http(1))).unwrap();
    let error = read_rows(&url.replace("word", "sword"), &options(http(1))).unwrap_err();
    assert!(!error.to_string().contains("sword"), "{error}");
}

#[test]
fn it_waits_as_long_as_the_server_asks_for() {
    let bytes = npy();
    let started = Instant::now();
    let server =
        Server::start(
            move |request, stream| match started.elapsed() < Duration::from_secs(1) {
                true => Reply::new(503, b"").with("Retry-After", "1").send(stream),
                false => good(request, &bytes, "\"v1\"").send(stream),
            },
        );
    read_rows(&server.url("/x.npy"), &options(http(2))).unwrap();
    assert_eq!(server.requests()[0].path, "/x.npy");
}

#[test]
fn a_time_out_may_be_of_any_length() {
    let server = serve(npy());
    let patient = http(1).timeout(Duration::MAX);
    read_rows(&server.url("/x.npy"), &options(patient)).unwrap();
}

#[test]
fn connections_are_kept() {
    let bytes = npy();
    let peers = Arc::new(std::sync::Mutex::new(std::collections::BTreeSet::new()));
    let seen = Arc::clone(&peers);
    let server = Server::start(move |request, stream| {
        seen.lock().unwrap().insert(stream.peer_addr()?.port());
        good(request, &bytes, "\"v1\"").send(stream)
    });
    let file = http(1).open_url(&server.url("/x.npy")).unwrap();
    for _ in 0..20 {
        file.read_at(20_000, &mut [0; 1000]).unwrap();
    }
    assert_eq!(server.requests().len(), 21);
    assert_eq!(peers.lock().unwrap().len(), 1);
}

#[test]
fn what_is_no_url_of_a_server_is_an_error() {
    for url in ["http://", "https:///x", "http://host name/x"] {
        let error = http(1).open_url(url).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io, "{url}: {error}");
    }
    for url in ["hf://x.npy", "hf://datasets/a/b"] {
        let error = Array::open(url).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage, "{url}: {error}");
    }
}
