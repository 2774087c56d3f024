//! Files on web servers: one that misbehaves in each way that is known, and nginx.

mod faults;
mod hub;
mod nginx;
mod redirects;
mod server;
mod sound;

use std::io::Write;
use std::time::Duration;

use burn_npy_core::file::{Column, OpenOptions, write_npy};
use burn_npy_core::remote::{Http, RemoteOptions};
use burn_npy_core::{Array, Result, ndarray::Array2};

/// Rows of 1 KiB, of which the first 15 come when the file is opened.
const ROWS: usize = 64;
const WIDTH: usize = 256;

/// Skips a test whose real part is absent, loudly; fails it where everything must be there.
fn skip(why: &str) {
    assert!(
        std::env::var_os("BURN_NPY_REQUIRE_ALL").is_none(),
        "BURN_NPY_REQUIRE_ALL is set, but {why}"
    );
    // Not `eprintln`, which the test harness would keep to itself.
    let _ = writeln!(std::io::stderr(), "skipped, since {why}");
}

/// The values of a file, each another number.
fn values() -> Array2<f32> {
    Array2::from_shape_fn((ROWS, WIDTH), |(row, column)| (row * WIDTH + column) as f32)
}

/// A `.npy` file of the values.
fn npy() -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.npy");
    write_npy(&path, &values()).unwrap();
    std::fs::read(path).unwrap()
}

/// It waits for a moment only before it tries again.
fn http(attempts: u32) -> Http {
    Http::new()
        .attempts(attempts)
        .first_wait(Duration::from_millis(1))
        .timeout(Duration::from_secs(20))
}

fn options(http: Http) -> OpenOptions {
    OpenOptions::new().remote(RemoteOptions::new().opener(http))
}

/// Opens a file and gathers rows, most of which are not among the first bytes. Gives an error, or
/// panics if a row is not the right one.
fn read_rows(url: &str, options: &OpenOptions) -> Result<()> {
    let column = Column::new(Array::open_with(url, options.clone())?)?;
    let rows = [63, 20, 40, 20, 2];
    let found = column.read::<f32>(&rows)?;
    assert!(
        found == values().select(ndarray::Axis(0), &rows).into_dyn(),
        "{url}: other rows"
    );
    Ok(())
}
