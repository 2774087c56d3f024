//! What `view` draws, read again.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::process::{Command, Output};

use burn_npy_core::file::{NpzWriter, write_npy};
use ndarray::{Array1, Array2, Array3, Array4, ShapeBuilder};

const PAPER: [u8; 3] = [238, 240, 242];
/// Where the first image of a sheet is, and how far apart images are.
const MARGIN: usize = 12;
const GAP: usize = 8;
const CAPTION: usize = 18;

fn burn_npy(dir: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_burn-npy"));
    command.args(args).current_dir(dir).output().unwrap()
}

/// Runs a command that succeeds, and returns what it prints.
fn run(dir: &Path, args: &[&str]) -> String {
    let output = burn_npy(dir, args);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

/// A picture that was written.
#[derive(PartialEq)]
struct Picture {
    width: usize,
    height: usize,
    pixels: Vec<[u8; 3]>,
}

impl Picture {
    fn open(path: &Path) -> Self {
        let decoder = png::Decoder::new(BufReader::new(File::open(path).unwrap()));
        let mut reader = decoder.read_info().unwrap();
        let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut bytes).unwrap();
        let pixels = match info.color_type {
            png::ColorType::Grayscale => bytes.iter().map(|grey| [*grey; 3]).collect(),
            png::ColorType::Rgb => bytes.as_chunks().0.to_vec(),
            other => panic!("{other:?}"),
        };
        Self {
            width: info.width as usize,
            height: info.height as usize,
            pixels,
        }
    }

    fn at(&self, x: usize, y: usize) -> [u8; 3] {
        self.pixels[y * self.width + x]
    }
}

/// Compares a sheet with images of `height` and `width`, whose pixels `pixel` gives: that of an
/// image, a line and a column. Each is drawn `scale` times.
fn expect(
    sheet: &Picture,
    count: usize,
    columns: usize,
    [height, width]: [usize; 2],
    scale: usize,
    pixel: impl Fn(usize, usize, usize) -> [u8; 3],
) {
    let (wide, high) = (width * scale, height * scale);
    let lines = count.div_ceil(columns);
    assert_eq!(sheet.width, 2 * MARGIN + columns * (wide + GAP) - GAP);
    assert_eq!(
        sheet.height,
        2 * MARGIN + lines * (high + CAPTION + GAP) - GAP
    );
    for y in 0..sheet.height {
        for x in 0..sheet.width {
            let inside = |place: usize, cell: usize, len: usize| {
                let place = place.checked_sub(MARGIN)?;
                (place % cell < len).then_some((place / cell, place % cell / scale))
            };
            let column = inside(x, wide + GAP, wide);
            let line = inside(y, high + CAPTION + GAP, high);
            if let (Some((column, j)), Some((line, i))) = (column, line) {
                let image = line * columns + column;
                if column < columns && image < count {
                    assert_eq!(
                        sheet.at(x, y),
                        pixel(image, i, j),
                        "image {image}: {i}, {j}"
                    );
                } else {
                    assert_eq!(sheet.at(x, y), PAPER);
                }
            }
        }
    }
}

#[test]
fn bytes_are_drawn_as_they_are_in_all_forms() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let number = |n: usize, c: usize, i: usize, j: usize| (60 * n + 17 * c + 7 * i + 3 * j) as u8;
    let grey = Array3::from_shape_fn((5, 9, 11), |(n, i, j)| number(n, 0, i, j));
    write_npy(path("grey.npy"), &grey).unwrap();
    let mut fortran = Array3::zeros((5, 9, 11).f());
    fortran.assign(&grey);
    write_npy(path("fortran.npy"), &fortran).unwrap();
    let flat = grey.to_shape((5, 99)).unwrap();
    write_npy(path("flat.npy"), &flat).unwrap();
    let last = Array4::from_shape_fn((5, 9, 11, 3), |(n, i, j, c)| number(n, c, i, j));
    write_npy(path("last.npy"), &last).unwrap();
    let first = Array4::from_shape_fn((5, 3, 9, 11), |(n, c, i, j)| number(n, c, i, j));
    write_npy(path("first.npy"), &first).unwrap();
    let mut npz = NpzWriter::create(path("all.npz")).unwrap();
    npz.add("grey", &grey).unwrap();
    npz.add("flat", &flat).unwrap();
    npz.finish().unwrap();
    let of_grey = |n, i, j| [number(n, 0, i, j); 3];
    let of_colors = |n, i, j| [0, 1, 2].map(|c| number(n, c, i, j));
    for (file, shape, is_grey) in [
        ("grey.npy", "", true),
        ("fortran.npy", "", true),
        ("flat.npy", "--shape=9x11", true),
        ("all.npz:grey", "", true),
        ("last.npy", "", false),
        ("first.npy", "", false),
    ] {
        let mut args = vec!["view", file, "-o", "out.png", "--force", "--columns=3"];
        args.push("--scale=2");
        args.extend((!shape.is_empty()).then_some(shape));
        let said = run(dir.path(), &args);
        assert_eq!(said, "out.png: 5 images, 106x104 pixels\n", "{file}");
        let sheet = Picture::open(&path("out.png"));
        match is_grey {
            true => expect(&sheet, 5, 3, [9, 11], 2, of_grey),
            false => expect(&sheet, 5, 3, [9, 11], 2, of_colors),
        }
    }
    // The order of `--random` is that of a sampler.
    let args = [
        "view",
        "grey.npy",
        "-o",
        "random.png",
        "--random=4",
        "--seed=9",
        "--scale=1",
    ];
    run(dir.path(), &args);
    let order = run(dir.path(), &["order", "--len=5", "--seed=9", "--count=4"]);
    let rows: Vec<usize> = order.lines().map(|row| row.parse().unwrap()).collect();
    let sheet = Picture::open(&path("random.png"));
    expect(&sheet, 4, 4, [9, 11], 1, |n, i, j| of_grey(rows[n], i, j));
}

#[test]
fn other_numbers_are_scaled_to_the_rows_that_are_shown() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let number = |n: usize, i: usize, j: usize| n as f32 + (i * 8 + j) as f32 / 64.0;
    let mut images = Array3::from_shape_fn((4, 8, 8), |(n, i, j)| number(n, i, j));
    images[[1, 2, 3]] = f32::NAN;
    images[[2, 0, 0]] = f32::INFINITY;
    write_npy(path("x.npy"), &images).unwrap();
    let scaled = |number: f32, low: f32, high: f32| match number.is_nan() {
        true => [207, 34, 46],
        false => {
            let part = (f64::from(number) - f64::from(low)) / f64::from(high - low);
            [(part * 255.0).round().clamp(0.0, 255.0) as u8; 3]
        }
    };
    let file = ["view", "x.npy", "-o", "x.png", "--force", "--scale=1"];
    run(dir.path(), &[&file[..], &["--rows=1..3"]].concat());
    let sheet = Picture::open(&path("x.png"));
    let high = number(2, 7, 7);
    let of = |n, i, j| scaled(images[[n + 1, i, j]], 1.0, high);
    expect(&sheet, 2, 2, [8, 8], 1, of);
    run(dir.path(), &[&file[..], &["--range=-1..2"]].concat());
    let sheet = Picture::open(&path("x.png"));
    let of = |n, i, j| scaled(images[[n, i, j]], -1.0, 2.0);
    expect(&sheet, 4, 4, [8, 8], 1, of);
    let truth = Array3::from_shape_fn((2, 8, 8), |(n, i, j)| (n + i + j) % 3 == 0);
    write_npy(path("bool.npy"), &truth).unwrap();
    run(
        dir.path(),
        &["view", "bool.npy", "-o", "bool.png", "--scale=1"],
    );
    let of = |n, i, j| [if truth[[n, i, j]] { 255 } else { 0 }; 3];
    expect(&Picture::open(&path("bool.png")), 2, 2, [8, 8], 1, of);
}

#[test]
fn labels_change_pixels_only_below_the_images() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    write_npy(path("x.npy"), &Array3::from_elem((6, 10, 10), 80_u8)).unwrap();
    write_npy(
        path("y.npy"),
        &Array1::from_iter([7_i64, 3, 12345, 0, 1, 2]),
    )
    .unwrap();
    let args = ["view", "x.npy", "--columns=3", "--scale=5", "-o"];
    run(dir.path(), &[&args[..], &["plain.png"]].concat());
    run(
        dir.path(),
        &[&args[..], &["labels.png", "--labels=y.npy"]].concat(),
    );
    let [plain, labels] = ["plain.png", "labels.png"].map(|name| Picture::open(&path(name)));
    expect(&labels, 6, 3, [10, 10], 5, |_, _, _| [80; 3]);
    let mut changed = 0;
    for y in 0..labels.height {
        for x in 0..labels.width {
            let cell = |place: usize, len: usize| place.checked_sub(MARGIN).map(|at| at % len);
            let below = cell(y, 50 + CAPTION + GAP).is_some_and(|at| (52..68).contains(&at));
            let within = cell(x, 50 + GAP).is_some_and(|at| at < 50);
            if plain.at(x, y) != labels.at(x, y) {
                changed += 1;
                assert!(below && within, "{x}, {y}");
            }
        }
    }
    assert!(changed > 100);
}

#[test]
fn a_plot_goes_through_its_numbers() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let table = Array2::from_shape_fn((50, 3), |(i, j)| (i * i % 37) as f32 + 10.0 * j as f32);
    write_npy(path("table.npy"), &table).unwrap();
    let said = run(
        dir.path(),
        &["view", "table.npy", "-o", "x.svg", "--columns-of=2,0"],
    );
    assert_eq!(said, "x.svg: 2 lines of 50 rows\n");
    let text = std::fs::read_to_string(path("x.svg")).unwrap();
    let document = roxmltree::Document::parse(&text).unwrap();
    let texts: Vec<_> = document
        .descendants()
        .filter_map(|node| node.text())
        .collect();
    for expected in ["table.npy", "row", "column 2", "column 0", "0", "60", "40"] {
        assert!(texts.contains(&expected), "{expected}: {texts:?}");
    }
    let nodes = document.descendants();
    let mut lines: Vec<Vec<[f64; 2]>> = nodes
        .filter(|node| node.attribute("stroke-width") == Some("1.5"))
        .map(|node| {
            let points = node.attribute("points").unwrap().split(' ');
            let numbers = points.map(|point| point.split_once(',').unwrap());
            let parsed = numbers.map(|(x, y)| [x.parse().unwrap(), y.parse().unwrap()]);
            parsed.collect()
        })
        .collect();
    // Two points of the first column say where the others are.
    let last = lines.pop().unwrap();
    let first = lines.pop().unwrap();
    assert!(lines.is_empty() && last.len() == 50);
    let [y0, y1] = [last[0][1], last[6][1]];
    let [x0, x49] = [last[0][0], last[49][0]];
    let unit = (y1 - y0) / f64::from(table[[6, 0]] - table[[0, 0]]);
    for (row, (first, last)) in first.iter().zip(&last).enumerate() {
        for (point, column) in [(first, 2), (last, 0)] {
            let y = y0 + unit * f64::from(table[[row, column]] - table[[0, 0]]);
            let x = x0 + (x49 - x0) * row as f64 / 49.0;
            assert!((point[1] - y).abs() < 0.3, "row {row}: {point:?}, {y}");
            assert!((point[0] - x).abs() < 0.15);
        }
    }
    // The same as pixels: each point of a line has its color.
    run(
        dir.path(),
        &["view", "table.npy", "-o", "x.png", "--columns-of=2,0"],
    );
    let picture = Picture::open(&path("x.png"));
    assert_eq!((picture.width, picture.height), (800, 400));
    for [x, y] in &last[1..49] {
        let [red, green, blue] = picture.at(*x as usize, *y as usize);
        assert!(
            red > green && green > blue,
            "{x}, {y}: {red} {green} {blue}"
        );
    }
}

#[test]
fn of_many_rows_the_extremes_are_drawn() {
    let dir = tempfile::tempdir().unwrap();
    let mut numbers = Array1::<i16>::zeros(1_000_000);
    numbers[123_456] = 300;
    numbers[900_000] = -200;
    write_npy(dir.path().join("x.npy"), &numbers).unwrap();
    run(dir.path(), &["view", "x.npy", "-o", "x.svg"]);
    let text = std::fs::read_to_string(dir.path().join("x.svg")).unwrap();
    assert!(text.len() < 30_000);
    let document = roxmltree::Document::parse(&text).unwrap();
    let line = |node: &roxmltree::Node<'_, '_>| node.attribute("stroke-width") == Some("1.5");
    let points = document.descendants().find(line).unwrap();
    let points: Vec<f64> = points
        .attribute("points")
        .unwrap()
        .split(' ')
        .map(|point| point.split_once(',').unwrap().1.parse().unwrap())
        .collect();
    let zero = points[0];
    assert_eq!(points.iter().filter(|y| **y < zero).count(), 1);
    assert_eq!(points.iter().filter(|y| **y > zero).count(), 1);
}

#[test]
fn a_file_that_is_there_stays_unless_forced_and_a_failure_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    write_npy(path("x.npy"), &Array3::<u8>::zeros((2, 4, 4))).unwrap();
    std::fs::write(path("x.png"), "old").unwrap();
    let output = burn_npy(dir.path(), &["view", "x.npy", "-o", "x.png"]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(std::fs::read(path("x.png")).unwrap(), b"old");
    let output = burn_npy(dir.path(), &["view", "x.npy", "-o", "y.png", "--rows=1..3"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(!path("y.png").exists());
    run(dir.path(), &["view", "x.npy", "-o", "x.png", "--force"]);
    assert_eq!(Picture::open(&path("x.png")).height, 12 + 56 + 18 + 12);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
}

#[test]
fn no_file_is_too_hostile_to_draw() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../burn-npy-core/tests/corpus/files");
    let dir = tempfile::tempdir().unwrap();
    let (mut files, mut drawn) = (0, 0);
    for entry in std::fs::read_dir(folder).unwrap() {
        let file = entry.unwrap().path();
        files += 1;
        for out in ["x.svg", "x.png"] {
            let args = ["view", file.to_str().unwrap(), "-o", out, "--force"];
            let output = burn_npy(dir.path(), &[&args[..], &["--limit=16777216"]].concat());
            let said = String::from_utf8(output.stderr).unwrap();
            match output.status.code() {
                Some(0) if said.is_empty() => drawn += 1,
                Some(2) if said.starts_with("burn-npy: ") && said.lines().count() == 1 => {}
                other => panic!("{args:?}: {other:?} {said}"),
            }
        }
    }
    assert!(files > 200 && drawn > 20, "{drawn} of {files}");
}
