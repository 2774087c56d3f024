//! A server that answers as Hugging Face does. Its address and the token are in the environment, so
//! each client is a process of its own.

use std::process::{Command, Output};

use burn_npy_core::file::OpenOptions;
use burn_npy_core::remote::{Http, OpenUrl};

use crate::server::{Reply, Request, Server, good};
use crate::{npy, read_rows};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const URL: &str = "hf://datasets/org/name/data/x 1.npy";

/// Runs [`client`] with a URL.
fn read(endpoint: &str, url: &str) -> Output {
    Command::new(std::env::current_exe().unwrap())
        .args(["hub::client", "--exact", "--ignored", "--nocapture"])
        .env("HF_ENDPOINT", endpoint)
        .env("HF_TOKEN", " hf_secret\n")
        .env("BURN_NPY_TEST_URL", url)
        .output()
        .unwrap()
}

#[test]
#[ignore = "a process of the other tests"]
fn client() {
    // Not there if somebody runs all ignored tests.
    let Ok(url) = std::env::var("BURN_NPY_TEST_URL") else {
        return;
    };
    let read = read_rows(&url, &OpenOptions::new());
    if let Err(error) = read {
        println!("error: {error}");
        return;
    }
    let file = Http::new().open_url(&url).unwrap();
    assert_eq!(file.name(), url);
    println!("version: {}", file.version().unwrap());
}

fn printed(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}");
    text
}

fn has_token(request: &Request) -> bool {
    request.header("authorization") == Some("Bearer hf_secret")
}

/// A large file is behind a redirect to another server, which knows it by another tag.
#[test]
fn a_large_file_is_read_from_where_it_is_and_pinned() {
    let bytes = npy();
    let store = Server::start(move |request, stream| {
        assert!(
            request.header("authorization").is_none(),
            "the token was given away"
        );
        match &*request.path {
            "/blob?Signature=1" if request.range().start == 0 => {
                good(request, &bytes, "\"store\"").send(stream)
            }
            // The first link has expired when the rest is read.
            "/blob?Signature=1" => Reply::new(403, b"").send(stream),
            _ => good(request, &bytes, "\"store\"").send(stream),
        }
    });
    let blob = store.url("/blob?Signature=");
    let hub = Server::start(move |request, stream| {
        let is_main = request.path == "/datasets/org/name/resolve/main/data/x%201.npy";
        let pinned = format!("/datasets/org/name/resolve/{COMMIT}/data/x%201.npy");
        if !has_token(request) || !(is_main || request.path == pinned) {
            return Reply::new(404, b"").send(stream);
        }
        let link = format!("{blob}{}", if is_main { 1 } else { 2 });
        Reply::new(302, b"")
            .with("Location", link)
            .with("X-Repo-Commit", COMMIT)
            .with("X-Linked-ETag", "\"sha256\"")
            .with("ETag", "\"of the page\"")
            .send(stream)
    });
    let text = printed(&read(&hub.url("/"), URL));
    assert!(text.contains("version: \"sha256\"\n"), "{text}");
    let paths = hub.requests().into_iter().map(|request| request.path);
    let is_pinned = |path: &String| path.contains(COMMIT);
    let pinned: Vec<bool> = paths.map(|path| is_pinned(&path)).collect();
    // The rows are read: `main`, then its commit, by one or more of the requests that run at a
    // time. Then the version is asked for.
    let [false, rows @ .., false] = &*pinned else {
        panic!("{pinned:?}");
    };
    assert!((1..=3).contains(&rows.len()) && rows.iter().all(|is_pinned| *is_pinned));
}

/// A small file is behind a redirect on the same server.
#[test]
fn a_small_file_is_read_from_the_server_itself() {
    let bytes = npy();
    let hub = Server::start(move |request, stream| {
        assert!(has_token(request));
        let path = format!("/api/resolve-cache/models/org/name/{COMMIT}/x.npy");
        if request.path == path {
            return good(request, &bytes, "\"git\"").send(stream);
        }
        assert_eq!(request.path, "/org/name/resolve/v1.0/x.npy");
        Reply::new(307, b"")
            .with("Location", path)
            .with("X-Repo-Commit", COMMIT)
            .send(stream)
    });
    let text = printed(&read(&hub.url(""), "hf://org/name@v1.0/x.npy"));
    assert!(text.contains("version: \"git\"\n"), "{text}");
}

#[test]
fn what_is_not_public_needs_a_token() {
    let hub = Server::start(|_, stream| Reply::new(401, b"").send(stream));
    let text = printed(&read(&hub.url(""), URL));
    let expected = format!(
        "error: {URL}: cannot open the file: the server says 401 Unauthorized; for what is not \
         public, HF_TOKEN must be set\n"
    );
    assert!(text.contains(&expected), "{text}");
}
