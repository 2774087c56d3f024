//! Links that a redirect gives, and that expire.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use burn_npy_core::ErrorKind;
use burn_npy_core::file::OpenOptions;
use burn_npy_core::remote::{OpenUrl, RemoteOptions, check_read_at};

use crate::server::{Reply, Request, Server, good};
use crate::{http, npy, options, read_rows};

/// How often a link can be used.
const USES: usize = 2;

/// A server whose links expire: `/x.npy` leads to `/signed?key=N`, of which only the last works,
/// and not for long. `refuse` is what it says of the others.
fn expiring(refuse: u16) -> Server {
    let (bytes, links) = (npy(), AtomicUsize::new(0));
    let uses = Mutex::new(0);
    Server::start(move |request, stream| {
        let mut uses = uses.lock().unwrap();
        if request.path == "/x.npy" {
            *uses = 0;
            let link = links.fetch_add(1, Ordering::SeqCst) + 1;
            let location = format!("signed?key=secret-{link}");
            return Reply::new(302, b"moved")
                .with("Location", location)
                .send(stream);
        }
        *uses += 1;
        let link = format!("/signed?key=secret-{}", links.load(Ordering::SeqCst));
        match request.path == link && *uses <= USES {
            true => good(request, &bytes, "\"v1\"").send(stream),
            false => Reply::new(refuse, b"expired").send(stream),
        }
    })
}

fn count(server: &Server, path: &str) -> usize {
    let requests = server.requests();
    requests
        .iter()
        .filter(|request| request.path == path)
        .count()
}

#[test]
fn a_link_is_remembered_until_it_expires() {
    for refuse in [400, 401, 403, 404, 410] {
        for _ in 0..20 {
            let server = expiring(refuse);
            // A link that has expired is not an attempt. One request at a time, since each new link
            // is the end of the one before.
            let remote = RemoteOptions::new().in_flight(1).opener(http(1));
            let options = OpenOptions::new().remote(remote);
            read_rows(&server.url("/x.npy"), &options).unwrap();
            let asked = count(&server, "/x.npy");
            let all = server.requests().len();
            assert!(asked > 1 && all > 2 * asked, "{asked} of {all}");
        }
    }
}

#[test]
fn a_link_whose_server_is_gone_is_asked_for_again() {
    let bytes = npy();
    let second = Server::start(move |request, stream| good(request, &bytes, "\"v1\"").send(stream));
    let bytes = npy();
    let first = Server::start(move |request, stream| good(request, &bytes, "\"v1\"").send(stream));
    let links = [first.url("/1"), second.url("/2")];
    let asked = AtomicUsize::new(0);
    let home = Server::start(move |_, stream| {
        let link = &links[asked.fetch_add(1, Ordering::SeqCst).min(1)];
        Reply::new(307, b"").with("Location", link).send(stream)
    });
    let file = http(3).open_url(&home.url("/x.npy")).unwrap();
    drop(first);
    // Each of the threads may find that the first server takes no more connections.
    check_read_at(&*file, &npy());
    let asked = home.requests().len();
    assert!(asked > 1);
    check_read_at(&*file, &npy());
    assert_eq!(home.requests().len(), asked);
}

#[test]
fn a_link_that_is_refused_for_good_is_an_error() {
    let bytes = npy();
    let server = Server::start(move |request, stream| match &*request.path {
        "/x.npy" => Reply::new(302, b"")
            .with("Location", "/signed?key=secret")
            .send(stream),
        // The first bytes come, and no others.
        _ if request.range().start == 0 => good(request, &bytes, "\"v1\"").send(stream),
        _ => Reply::new(403, b"").send(stream),
    });
    let error = read_rows(&server.url("/x.npy"), &options(http(3))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    let message = error.to_string();
    assert!(
        message.contains("the server says 403 Forbidden"),
        "{message}"
    );
    assert!(!message.contains("secret"), "{message}");
    assert!(!message.contains("attempts"), "{message}");
}

#[test]
fn another_file_behind_a_new_link_is_a_change() {
    let (bytes, asked) = (npy(), AtomicUsize::new(0));
    let server = Server::start(move |request, stream| match &*request.path {
        "/x.npy" => {
            let link = format!("/link{}", asked.fetch_add(1, Ordering::SeqCst));
            Reply::new(302, b"").with("Location", link).send(stream)
        }
        "/link0" if request.range().start == 0 => good(request, &bytes, "\"v1\"").send(stream),
        "/link0" => Reply::new(403, b"").send(stream),
        _ => good(request, &bytes, "\"v2\"").send(stream),
    });
    let error = read_rows(&server.url("/x.npy"), &options(http(3))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Changed);
    assert!(
        error
            .to_string()
            .contains("its ETag was \"v1\" and is \"v2\""),
        "{error}"
    );
}

/// Whether a request has the key of the user.
fn has_key(request: &Request) -> bool {
    request.header("authorization").is_some()
}

#[test]
fn keys_stay_with_the_server_that_they_are_for() {
    let bytes = npy();
    let other = Server::start(move |request, stream| {
        assert!(!has_key(request), "the key was given away");
        good(request, &bytes, "\"v1\"").send(stream)
    });
    let link = other.url("/x.npy");
    let home = Server::start(move |request, stream| {
        assert!(has_key(request));
        let location = match &*request.path {
            "/x.npy" => "/moved.npy",
            _ => &*link,
        };
        Reply::new(301, b"").with("Location", location).send(stream)
    });
    let options = options(http(2).header("Authorization", "Bearer key"));
    read_rows(&home.url("/x.npy"), &options).unwrap();
    assert_eq!(count(&home, "/moved.npy"), 1);
    assert!(other.requests().len() > 1);
}
