//! A file at a URL.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output};
use std::sync::Arc;
use std::thread;

use burn_npy_core::file::NpzWriter;
use ndarray::Array2;

/// Serves parts of a file at `/x.npz`, and nothing else. Gives its address.
fn serve(file: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let file = Arc::new(file);
    // It ends with the process.
    thread::spawn(move || {
        for stream in listener.incoming() {
            let file = Arc::clone(&file);
            thread::spawn(move || answer(stream.unwrap(), &file));
        }
    });
    address
}

fn answer(mut stream: TcpStream, file: &[u8]) {
    let lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let (mut is_known, mut range) = (false, None);
    for line in lines.map_while(Result::ok) {
        let line = line.to_ascii_lowercase();
        if line.starts_with("get ") {
            is_known = line.starts_with("get /x.npz");
        } else if let Some(bytes) = line.strip_prefix("range: bytes=") {
            let (first, last) = bytes.split_once('-').unwrap();
            range = Some(first.parse().unwrap()..last.parse::<usize>().unwrap() + 1);
        } else if line.is_empty() {
            let range = range.take().unwrap();
            let (start, end) = (range.start, range.end.min(file.len()));
            let sent = if is_known { &file[start..end] } else { b"" };
            let status = if is_known { "206 Part" } else { "404 Gone" };
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Range: bytes {start}-{}/{}\r\n\
                 Content-Length: {}\r\n\r\n",
                end - 1,
                file.len(),
                sent.len()
            );
            stream.write_all(&[head.as_bytes(), sent].concat()).unwrap();
        }
    }
}

fn run(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_burn-npy"));
    command.args(args).output().unwrap()
}

#[test]
fn a_file_may_be_at_a_url() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.npz");
    let mut writer = NpzWriter::create(&path).unwrap();
    let images = Array2::from_shape_fn((1000, 8), |(row, column)| (row * 8 + column) as i64);
    writer.add("images", &images).unwrap();
    writer
        .add("labels", &Array2::<u8>::zeros((1000, 1)))
        .unwrap();
    writer.finish().unwrap();
    let address = serve(std::fs::read(path).unwrap());
    let url = format!("http://{address}/x.npz");

    let output = run(&["inspect", &url]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    let lines: Vec<Vec<&str>> = text
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    let images = "images int64 (1000, 8) C 62.5 KiB 1000 (8,) fetched";
    assert_eq!(lines[1], images.split(' ').collect::<Vec<_>>());

    let named = format!("{url}:images");
    let output = run(&["head", &named, "--rows", "999"]);
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("7992") && text.contains("7999"), "{text}");

    let secret = format!("http://me:word@{address}/x.npz?key=secret");
    for args in [
        &["inspect"][..],
        &["inspect", "--json"],
        &["head"],
        &["head", "--json"],
        &["stats"],
        &["stats", "--json"],
        &["verify"],
    ] {
        let output = run(&[args, &[&secret]].concat());
        assert!(output.status.success(), "{output:?}");
        for text in [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text)) {
            assert!(!text.contains("word") && !text.contains("secret"), "{text}");
        }
    }

    let missing = format!("http://{address}/y.npz?key=secret");
    let output = run(&["inspect", &missing]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        format!(
            "burn-npy: http://{address}/y.npz: cannot open the file: the server says 404 Not \
             Found\n"
        )
    );
}
