// What the programs of the guide share, in hidden lines: a folder of their own, and the check that
// a page shows what its program prints. It is no test by itself: `include!` brings it into them.

/// What the program has printed. Each program has a `println!` that writes to it, defined in a line
/// of its own, since a macro of an included file would be ambiguous.
static PRINTED: std::sync::Mutex<String> = std::sync::Mutex::new(String::new());

/// Keeps a line for [`shown`]. The folder of the program is `/data` on the page, and a line that is
/// too long for the page continues on indented lines.
fn print_line(line: String) {
    let folder = std::env::current_dir().unwrap();
    let line = line.replace(folder.to_str().unwrap(), "/data");
    let mut printed = PRINTED.lock().unwrap();
    for line in line.lines() {
        let mut columns = 0;
        for word in line.split(' ') {
            if columns > 0 && columns + 1 + word.len() > 92 {
                printed.push_str("\n   ");
                columns = 3;
            }
            if columns > 0 {
                printed.push(' ');
                columns += 1;
            }
            printed.push_str(word);
            columns += word.len();
        }
        printed.push('\n');
    }
}

/// A new folder, in which the program runs.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::env::set_current_dir(&folder).unwrap();
    folder
}

/// Panics unless a `text` block of the page is what the program has printed.
fn shown(page: &str) {
    let path = format!("{}/src/{page}.rs", env!("CARGO_MANIFEST_DIR"));
    let source = std::fs::read_to_string(path).unwrap();
    let printed = PRINTED.lock().unwrap();
    let lines = printed.lines().map(|line| format!("//! {line}").trim_end().to_owned() + "\n");
    let block = format!("//! ```text\n{}//! ```\n", lines.collect::<String>());
    assert!(source.contains(&block), "{page} does not show this:\n{block}");
}

/// Writes `mnist.npz` with `images`, `(1000, 28, 28)` of `uint8`, and `labels`, `(1000,)` of
/// `uint8`. An image of the digit `d` has white rows at `2 * d` and below it, so they are easily
/// learned.
fn digits() {
    use burn_npy::ndarray::{Array1, Array3};

    let labels = Array1::from_shape_fn(1000, |row| (row * 7 % 10) as u8);
    let images = Array3::from_shape_fn((1000, 28, 28), |(row, y, _)| {
        if y / 2 == usize::from(labels[row]) { 255_u8 } else { 0 }
    });
    let mut npz = burn_npy::file::NpzWriter::create("mnist.npz").unwrap();
    npz.add("images", &images).unwrap();
    npz.add("labels", &labels).unwrap();
    npz.finish().unwrap();
}
