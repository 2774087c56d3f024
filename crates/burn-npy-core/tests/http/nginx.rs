//! The real thing: nginx serves files of all kinds, also over TLS.

use std::io::ErrorKind as IoErrorKind;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use burn_npy_core::file::{Npz, NpzWriter, write_npy};
use burn_npy_core::ndarray::{Array2, ShapeBuilder};
use burn_npy_core::remote::{Http, OpenUrl, check_read_at};
use burn_npy_core::{Array, ErrorKind};
use tempfile::TempDir;

use crate::{http, npy, options, read_rows, skip, values};

/// A server of a folder, which ends when this is dropped.
struct Nginx {
    process: Child,
    folder: TempDir,
    port: u16,
    tls_port: u16,
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Nginx {
    /// Starts it. `None` if a program is missing.
    fn start() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap();
        if !certificate(folder.path()) {
            return None;
        }
        // Both are taken before one is free again, so they are two.
        let ports: Vec<_> = (0..2)
            .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
            .collect();
        let [port, tls_port] = [0, 1].map(|i: usize| ports[i].local_addr().unwrap().port());
        drop(ports);
        // One process, which is that of the user.
        let config = format!(
            "daemon off; master_process off; pid {path}/pid; error_log {path}/log;
             events {{}}
             http {{
                 access_log off;
                 client_body_temp_path {path}/t; proxy_temp_path {path}/t;
                 fastcgi_temp_path {path}/t; uwsgi_temp_path {path}/t; scgi_temp_path {path}/t;
                 gzip on; gzip_types *; gzip_min_length 1;
                 server {{ listen 127.0.0.1:{port}; root {path}; }}
                 server {{
                     listen 127.0.0.1:{tls_port} ssl; root {path};
                     ssl_certificate {path}/cert.pem; ssl_certificate_key {path}/key.pem;
                 }}
             }}"
        );
        std::fs::write(folder.path().join("config"), config).unwrap();
        let log = folder.path().join("log");
        let started = Command::new("nginx")
            .arg("-c")
            .arg(folder.path().join("config"))
            .args(["-e", log.to_str().unwrap(), "-p", path])
            .stderr(Stdio::null())
            .spawn();
        let process = match started {
            Err(error) if error.kind() == IoErrorKind::NotFound => {
                skip("there is no nginx");
                return None;
            }
            started => started.unwrap(),
        };
        let mut nginx = Self {
            process,
            folder,
            port,
            tls_port,
        };
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let is_over = nginx.process.try_wait().unwrap().is_some();
            let log = || std::fs::read_to_string(&log);
            assert!(
                !is_over && start.elapsed() < Duration::from_secs(30),
                "{:?}",
                log()
            );
            thread::sleep(Duration::from_millis(10));
        }
        Some(nginx)
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn url(&self, name: &str) -> String {
        format!("http://127.0.0.1:{}/{name}", self.port)
    }

    fn tls_url(&self, name: &str) -> String {
        format!("https://127.0.0.1:{}/{name}", self.tls_port)
    }
}

/// Makes a certificate that nobody has signed, and its key.
fn certificate(folder: &Path) -> bool {
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
        ])
        .args(["-nodes", "-days", "2", "-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-keyout", "key.pem", "-out", "cert.pem"])
        .current_dir(folder)
        .stderr(Stdio::null())
        .status();
    match made {
        Err(error) if error.kind() == IoErrorKind::NotFound => {
            skip("there is no openssl");
            false
        }
        made => {
            assert!(made.unwrap().success());
            true
        }
    }
}

#[test]
fn files_of_all_kinds_are_read() {
    let Some(nginx) = Nginx::start() else { return };
    let options = options(http(2));
    std::fs::write(nginx.path("x.npy"), npy()).unwrap();
    read_rows(&nginx.url("x.npy"), &options).unwrap();
    let file = http(1).open_url(&nginx.url("x.npy")).unwrap();
    assert!(file.version().unwrap().starts_with('"'));
    check_read_at(&*file, &npy());

    let mut fortran = Array2::zeros((64, 256).f());
    fortran.assign(&values());
    write_npy(nginx.path("fortran.npy"), &fortran).unwrap();
    let array = Array::open_with(nginx.url("fortran.npy"), options.clone()).unwrap();
    assert_eq!(array.layout(), burn_npy_core::file::Layout::Fortran);
    read_rows(&nginx.url("fortran.npy"), &options).unwrap();

    let mut writer = NpzWriter::create(nginx.path("stored.npz")).unwrap();
    writer.add("a", &values()).unwrap();
    writer.add("b", &fortran).unwrap();
    writer.finish().unwrap();
    let npz = Npz::open_with(nginx.url("stored.npz"), options.clone()).unwrap();
    for name in ["a", "b"] {
        let found = npz.array(name).unwrap().read::<f32>().unwrap();
        assert!(found == values().into_dyn(), "{name}");
    }

    let local = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../examples/mnist/data/mnist.npz"
    );
    std::fs::copy(local, nginx.path("deflated.npz")).unwrap();
    let local = Npz::open(local).unwrap();
    let npz = Npz::open_with(nginx.url("deflated.npz"), options.clone()).unwrap();
    assert_eq!(npz.names(), local.names());
    for name in npz.names() {
        let read = |npz: &Npz| npz.array(name).unwrap().read::<u8>().unwrap();
        assert!(read(&npz) == read(&local), "{name}");
    }

    std::fs::write(nginx.path("empty.npy"), b"").unwrap();
    let error = Array::open_with(nginx.url("empty.npy"), options.clone()).unwrap_err();
    assert!(error.message().ends_with("the file is empty"), "{error}");
    let error = Array::open_with(nginx.url("none.npy"), options).unwrap_err();
    assert!(
        error.message().ends_with("the server says 404 Not Found"),
        "{error}"
    );
}

#[test]
fn a_file_that_is_replaced_is_an_error() {
    let Some(nginx) = Nginx::start() else { return };
    std::fs::write(nginx.path("x.npy"), npy()).unwrap();
    let array = Array::open_with(nginx.url("x.npy"), options(http(2))).unwrap();
    // Another length, since the tags of nginx are a time in seconds and the length.
    std::fs::write(nginx.path("x.npy"), [npy(), vec![0]].concat()).unwrap();
    let error = array.read::<f32>().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Changed, "{error}");
}

#[test]
fn certificates_are_checked() {
    let Some(nginx) = Nginx::start() else { return };
    std::fs::write(nginx.path("x.npy"), npy()).unwrap();
    let error = read_rows(&nginx.tls_url("x.npy"), &options(http(2))).unwrap_err();
    let message = error.to_string();
    assert!(
        message.contains("cannot open the file: invalid peer certificate"),
        "{message}"
    );
    assert!(message.contains("`Http::root_certificates`"), "{message}");

    let pem = std::fs::read(nginx.path("cert.pem")).unwrap();
    let trusting = || -> Http { http(2).root_certificates(pem.clone()) };
    read_rows(&nginx.tls_url("x.npy"), &options(trusting())).unwrap();
    let file = trusting().open_url(&nginx.tls_url("x.npy")).unwrap();
    check_read_at(&*file, &npy());
}
