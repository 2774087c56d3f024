//! What `convert` writes: the rows that a naive reference has, and the bytes that NumPy writes.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use burn_npy_core::file::{Npz, NpzWriter, write_npy};
use burn_npy_core::{Array, ErrorKind, Sampler};
use ndarray::{Array1, Array2, ArrayD, Axis, IxDyn, ShapeBuilder, array};
use proptest::prelude::*;

fn convert(dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_burn-npy"))
        .arg("convert")
        .args(args)
        .current_dir(dir)
        .output()
        .unwrap()
}

fn fine(dir: &Path, args: &[&str]) -> String {
    let output = convert(dir, args);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// The message of a command that fails, which leaves nothing behind.
fn refused(dir: &Path, args: &[&str]) -> String {
    let before = names(dir);
    let output = convert(dir, args);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(errors.starts_with("burn-npy: ") && errors.matches('\n').count() == 1);
    assert_eq!(names(dir), before, "{errors}");
    errors
}

fn names(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    names.sort();
    names
}

/// An array of any shape and layout, with numbers that fit each dtype.
fn values(shape: &[usize], fortran: bool, salt: usize) -> ArrayD<i16> {
    let len: usize = shape.iter().product();
    let numbers = (0..len).map(|i| ((i * 31 + salt) % 100) as i16);
    let array = ArrayD::from_shape_vec(IxDyn(shape), numbers.collect()).unwrap();
    let mut out = ArrayD::zeros(IxDyn(shape).set_f(fortran));
    out.assign(&array);
    out
}

fn reference(
    inputs: &[ArrayD<i16>],
    rows: Option<(usize, usize)>,
    seed: Option<u64>,
) -> ArrayD<i16> {
    let views: Vec<_> = inputs.iter().map(|input| input.view()).collect();
    let all = ndarray::concatenate(Axis(0), &views).unwrap();
    let (start, end) = rows.unwrap_or((0, all.len_of(Axis(0))));
    let order = Sampler::sequential().order((end - start) as u64, 0);
    let shuffled = seed.map(|seed| Sampler::shuffled(seed).order((end - start) as u64, 0));
    let order = shuffled.as_ref().unwrap_or(&order);
    let rows: Vec<_> = order
        .rows(0..order.len())
        .map(|row| start + row as usize)
        .collect();
    all.select(Axis(0), &rows)
}

fn read(path: &Path, dtype: &str) -> ArrayD<i16> {
    let array = Array::open(path).unwrap();
    assert_eq!(array.layout(), burn_npy_core::file::Layout::C);
    match dtype {
        "int16" => array.read::<i16>().unwrap(),
        "float32" => array.read::<f32>().unwrap().mapv(|x| x as i16),
        "uint8" => array.read::<u8>().unwrap().mapv(i16::from),
        _ => array.read::<i64>().unwrap().mapv(|x| x as i16),
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 60,
        failure_persistence: None,
        ..Default::default()
    })]

    #[test]
    fn rows_are_those_of_a_naive_reference(
        row_shape in proptest::collection::vec(0..5_usize, 0..3),
        lens in proptest::collection::vec((0..40_usize, any::<bool>()), 1..4),
        dtype in prop::sample::select(vec!["int16", "float32", "uint8", "int64"]),
        seed in proptest::option::of(any::<u64>()),
        shards in 1..5_usize,
        by_rows in any::<bool>(),
        cut in proptest::option::of((0..40_usize, 0..40_usize)),
        archive in any::<bool>(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        let mut inputs = Vec::new();
        let mut args = Vec::new();
        for (i, (len, fortran)) in lens.iter().enumerate() {
            let shape = [&[*len], &row_shape[..]].concat();
            inputs.push(values(&shape, *fortran, i));
            let (npy, npz) = (format!("in{i}.npy"), format!("in{i}.npz"));
            if archive {
                let mut npz = NpzWriter::create(dir.join(npz)).unwrap();
                npz.add("x", &inputs[i]).unwrap();
                npz.finish().unwrap();
                args.push(format!("in{i}.npz:x"));
            } else {
                write_npy(dir.join(&npy), &inputs[i]).unwrap();
                args.push(npy);
            }
        }
        let total: usize = lens.iter().map(|(len, _)| len).sum();
        let rows = cut.map(|(a, b)| (a.min(b).min(total), a.max(b).min(total)));
        let expected = reference(&inputs, rows, seed);
        let left = expected.len_of(Axis(0));
        args.extend(["out.npy".to_owned(), format!("--dtype={dtype}")]);
        args.extend(rows.map(|(start, end)| format!("--rows={start}..{end}")));
        args.extend(seed.map(|seed| format!("--shuffle={seed}")));
        let files = if by_rows { left.div_ceil(shards).max(1) } else { shards.min(left.max(1)) };
        args.push(match by_rows {
            true => format!("--rows-per-shard={shards}"),
            false => format!("--shards={files}"),
        });
        fine(dir, &args.iter().map(String::as_str).collect::<Vec<_>>());
        let parts: Vec<_> = (0..files)
            .map(|i| read(&dir.join(format!("out-{i:05}-of-{files:05}.npy")), dtype))
            .collect();
        let views: Vec<_> = parts.iter().map(|part| part.view()).collect();
        prop_assert_eq!(ndarray::concatenate(Axis(0), &views).unwrap(), expected);
    }
}

/// Rows that are cut into tiles, since they are long and their elements lie apart.
#[test]
fn wide_fortran_tables_are_written_in_tiles() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    for shape in [&[3000, 5000][..], &[40, 9, 3000], &[2, 3_000_000]] {
        let table = values(shape, true, 7);
        write_npy(dir.join("x.npy"), &table).unwrap();
        fine(dir, &["x.npy", "y.npy", "--force"]);
        assert_eq!(read(&dir.join("y.npy"), "int16"), table);
        fine(dir, &["x.npy", "y.npz", "--force", "--dtype", "u8"]);
        let npz = Npz::open(dir.join("y.npz")).unwrap();
        npz.verify_all().unwrap();
        let array = npz.array("x").unwrap();
        assert_eq!(array.data_offset() % 64, 0);
        assert_eq!(array.read::<u8>().unwrap().mapv(i16::from), table);
    }
    // The row and the element of a wrong number are those of the array.
    let mut table = Array2::<i16>::zeros((600, 5000).f());
    table[[577, 4321]] = 300;
    write_npy(dir.join("z.npy"), &table).unwrap();
    let message = refused(dir, &["z.npy", "w.npy", "--dtype", "u8"]);
    assert!(
        message.contains("row 577 of the file, element 4321, has 300"),
        "{message}"
    );
}

#[test]
fn no_finite_number_becomes_infinite() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let mut table = Array2::<f64>::zeros((50, 3));
    table[[3, 0]] = f64::INFINITY;
    table[[4, 1]] = f64::NAN;
    write_npy(dir.join("fine.npy"), &table).unwrap();
    table[[31, 0]] = f64::NEG_INFINITY;
    table[[31, 2]] = -1e39;
    write_npy(dir.join("x.npy"), &table).unwrap();
    let expected = table.mapv(|x| x as f32);
    for dtype in ["float32", "float16", "bfloat16"] {
        fine(
            dir,
            &["fine.npy", "y.npy", "--force", &format!("--dtype={dtype}")],
        );
        for inputs in [
            &["x.npy"][..],
            &["fine.npy", "x.npy"],
            &["x.npy", "fine.npy"],
        ] {
            let out = &["z.npy", "--dtype", dtype];
            let message = refused(dir, &[inputs, out].concat());
            let place = "x.npy: row 31 of the file, element 2, has -1e39, but ";
            assert!(
                message.contains(&format!("{place}{dtype} has")),
                "{message}"
            );
        }
    }
    fine(dir, &["x.npy", "z.npy", "--dtype=f32", "--saturate"]);
    let found = Array::open(dir.join("z.npy")).unwrap();
    let same = |(a, b): (&f32, &f32)| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan();
    let found = found.read::<f32>().unwrap();
    assert!(found.iter().zip(&expected).all(same) && found[[31, 2]] == f32::NEG_INFINITY);
    // Rows that were a float32 before are put together with others that become one.
    write_npy(dir.join("single.npy"), &expected).unwrap();
    let args = [
        "single.npy",
        "fine.npy",
        "s.npy",
        "--dtype=f32",
        "--shuffle=1",
    ];
    fine(dir, &args);
    refused(dir, &["single.npy", "x.npy", "t.npy", "--dtype=f32"]);
    // Integers, the largest of which is the largest float16.
    write_npy(dir.join("i.npy"), &array![65_504_i32, -65_504]).unwrap();
    fine(dir, &["i.npy", "h.npy", "--dtype=f16"]);
    write_npy(dir.join("j.npy"), &array![65_504_i32, -65_520]).unwrap();
    let message = refused(dir, &["j.npy", "k.npy", "--dtype=f16"]);
    assert!(
        message.contains("row 1 of the file has -65520.0"),
        "{message}"
    );
    // A row that is read in parts.
    let mut wide = Array2::<f64>::zeros((600, 5000).f());
    wide[[577, 4321]] = 1e39;
    write_npy(dir.join("wide.npy"), &wide).unwrap();
    let message = refused(dir, &["wide.npy", "v.npy", "--dtype=f32"]);
    assert!(
        message.contains("row 577 of the file, element 4321, has 1e39"),
        "{message}"
    );
}

#[test]
fn shards_are_there_all_or_none_and_of_one_number() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let mut values = Array1::from_iter(0..10_i64);
    write_npy(dir.join("x.npy"), &values).unwrap();
    values[9] = 300;
    write_npy(dir.join("bad.npy"), &values).unwrap();
    // The last of the shards fails, and none is left of the others.
    refused(dir, &["bad.npy", "y.npy", "--dtype=u8", "--shards=10"]);
    fine(dir, &["x.npy", "y.npy", "--shards=10"]);
    // These are of other arrays, or no shards.
    for name in [
        "z-00000-of-00010.npy",
        "y-00000-of-00010.npz",
        "y-0-of-10.npy",
        "y-00000-of-all00.npy",
        "y-x-00000-of-00010.npy",
    ] {
        std::fs::write(dir.join(name), "").unwrap();
    }
    let message = refused(dir, &["x.npy", "y.npy", "--shards=5"]);
    assert!(
        message.contains("y-00000-of-00010.npy") && message.contains("--force removes them"),
        "{message}"
    );
    let args = ["bad.npy", "y.npy", "--dtype=u8", "--shards=5", "--force"];
    refused(dir, &args);
    let before = names(dir).len();
    fine(dir, &["x.npy", "y.npy", "--rows-per-shard=2", "--force"]);
    assert_eq!(names(dir).len(), before - 10 + 5);
    assert!(!dir.join("y-00003-of-00010.npy").exists());
    assert_eq!(
        read(&dir.join("y-00004-of-00005.npy"), "int64"),
        array![8, 9].into_dyn()
    );
    // The same number replaces its own.
    refused(dir, &["x.npy", "y.npy", "--shards=5"]);
    fine(dir, &["x.npy", "y.npy", "--shards=5", "--force"]);
    // What is read is not removed.
    let inputs = ["y-00000-of-00005.npy", "y-00001-of-00005.npy"];
    let args = ["y.npy", "--shards=2", "--force"];
    let message = refused(dir, &[&inputs[..], &args].concat());
    assert!(message.contains("an input has the name of"), "{message}");
    // More files than get their names together.
    let values = Array1::from_iter(0..250_i64);
    write_npy(dir.join("many.npy"), &values).unwrap();
    fine(dir, &["many.npy", "many/", "--shards=250"]);
    assert_eq!(names(&dir.join("many")).len(), 250);
}

#[test]
fn a_folder_of_arrays_is_an_archive_again() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let mut npz = NpzWriter::create(dir.join("train.npz")).unwrap();
    npz.add("x", &array![[1_u8, 2], [3, 4]]).unwrap();
    npz.add("y", &array![5_i64, 300]).unwrap();
    npz.finish().unwrap();
    fine(dir, &["train.npz", "train/"]);
    fine(dir, &["train/", "again.npz"]);
    let [old, new] = ["train.npz", "again.npz"].map(|name| Npz::open(dir.join(name)).unwrap());
    let x = [&old, &new].map(|npz| npz.array("x").unwrap().read::<u8>().unwrap());
    let y = [&old, &new].map(|npz| npz.array("y").unwrap().read::<i64>().unwrap());
    assert_eq!((&x[0], &y[0]), (&x[1], &y[1]));
    assert_eq!(new.names().len(), 2);
    refused(dir, &["train/", "sized.npz", "--size=8x6"]);
    // Images come first, as the folder may be that of an output of before.
    image(&dir.join("train/a.png"), 4, 3, |_, _| [0; 3]);
    let printed = fine(dir, &["train/", "images.npz"]);
    assert!(printed.contains("images.npz:images"), "{printed}");
}

#[test]
fn a_command_that_fails_leaves_no_folder() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    write_npy(dir.join("x.npy"), &array![1_i64]).unwrap();
    write_npy(dir.join("y.npy"), &array![300_i64]).unwrap();
    for out in ["new/", "new/a/b/", "new/a/../b/z.npz"] {
        refused(dir, &["x.npy", "y.npy", out, "--dtype=u8"]);
    }
    std::fs::create_dir(dir.join("old")).unwrap();
    refused(dir, &["y.npy", "old/new/", "--dtype=u8"]);
    assert!(names(&dir.join("old")).is_empty());
    fine(dir, &["x.npy", "new/a/b/", "--dtype=u8"]);
    assert_eq!(names(&dir.join("new/a/b")).len(), 1);
}

/// Whatever is in a file, the output is whole, or there is none and a message.
#[test]
fn no_file_is_too_hostile() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../burn-npy-core/tests");
    let files = ["corpus/files", "writers/files"].map(|folder| names(&root.join(folder)));
    let (mut written, mut failed) = (0, 0);
    for file in files.iter().flatten() {
        let args = [file.to_str().unwrap(), "out.npz", "--limit=16777216"];
        let output = convert(dir, &args);
        let errors = String::from_utf8(output.stderr).unwrap();
        let out = dir.join("out.npz");
        match output.status.code() {
            Some(0) if errors.is_empty() => {
                written += 1;
                Npz::open(&out).unwrap().verify_all().unwrap();
                std::fs::remove_file(out).unwrap();
            }
            Some(2) if errors.lines().all(|line| line.starts_with("burn-npy: ")) => {
                failed += 1;
                assert!(!errors.is_empty() && !out.exists(), "{file:?}");
            }
            code => panic!("{file:?}: {code:?}: {errors}"),
        }
    }
    assert!(written > 50 && failed > 100, "{written} {failed}");
}

/// An IDX file of 16-bit integers: two rows of three.
const IDX: &[u8] = &[
    0, 0, 0x0b, 2, 0, 0, 0, 2, 0, 0, 0, 3, 0, 1, 0, 2, 0, 3, 0xff, 0xff, 0x7f, 0xff, 0x80, 0,
];

fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

#[test]
fn idx_files_become_npy_files() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    std::fs::create_dir(dir.join("idx")).unwrap();
    let path = |name: &str| dir.join("idx").join(name);
    std::fs::write(path("train-images-idx3-ubyte"), IDX).unwrap();
    std::fs::write(path("other.idx.gz"), gzip(IDX)).unwrap();
    std::fs::write(path("README"), "text").unwrap();
    let printed = fine(dir, &["idx", "out"]);
    assert!(
        printed.ends_with("train-images-idx3-ubyte -> out/train_images.npy int16 (2, 3)\n"),
        "{printed}"
    );
    let expected = array![[1_i16, 2, 3], [-1, 32767, -32768]].into_dyn();
    for name in ["out/train_images.npy", "out/other.npy"] {
        assert_eq!(read(&dir.join(name), "int16"), expected);
    }
    let long = [IDX, &[0]].concat();
    for (name, bytes, what) in [
        (
            "short.idx",
            IDX[..IDX.len() - 1].to_vec(),
            "has 24 bytes, but this one has 23",
        ),
        (
            "long.idx",
            long.clone(),
            "has 24 bytes, but this one has 25",
        ),
        ("magic.idx", b"\x93NUMPY".to_vec(), "not an IDX file"),
        (
            "short.idx.gz",
            gzip(&IDX[..20]),
            "less data than the 12 bytes",
        ),
        ("long.idx.gz", gzip(&long), "more data than the 12 bytes"),
        ("cut.idx.gz", gzip(IDX)[..20].to_vec(), "cut.idx.gz: "),
    ] {
        std::fs::write(path(name), bytes).unwrap();
        let message = refused(dir, &[&format!("idx/{name}"), "new/"]);
        assert!(
            message.contains(what) && message.contains(name),
            "{message}"
        );
        assert_eq!(
            Array::open(dir.join("new")).unwrap_err().kind(),
            ErrorKind::Io
        );
    }
}

#[test]
fn text_becomes_numbers() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let write = |text: &str| std::fs::write(dir.join("t.csv"), text).unwrap();
    let floats = |args: &[&str]| {
        fine(dir, &[&["t.csv", "t.npy", "--force"], args].concat());
        Array::open(dir.join("t.npy"))
            .unwrap()
            .read::<f64>()
            .unwrap()
    };
    let integers = |args: &[&str]| {
        fine(dir, &[&["t.csv", "t.npy", "--force"], args].concat());
        Array::open(dir.join("t.npy"))
            .unwrap()
            .read::<i64>()
            .unwrap()
    };
    write("\u{feff}a, \"b c\",d\r\n1, 2.5,-3\r\n\r\n4,nan,6\n");
    let table = floats(&[]);
    assert_eq!(
        table.index_axis(Axis(0), 0),
        array![1.0, 2.5, -3.0].into_dyn()
    );
    assert!(table[[1, 1]].is_nan() && table.shape() == [2, 3]);
    assert_eq!(integers(&["--columns", "a"]), array![1, 4].into_dyn());
    assert_eq!(
        integers(&["--columns", "d,a"]),
        array![[-3, 1], [6, 4]].into_dyn()
    );
    write("1\t2\n3\t4\n");
    assert_eq!(integers(&["--columns=2"]), array![2, 4].into_dyn());
    assert_eq!(
        floats(&["--dtype=f64"]),
        array![[1.0, 2.0], [3.0, 4.0]].into_dyn()
    );
    write("x;y\n9007199254740993;1\n");
    assert_eq!(integers(&[]), array![[9007199254740993, 1]].into_dyn());
    write("x\n9223372036854775808\n");
    assert_eq!(
        floats(&["--dtype=f64"]),
        array![9223372036854775808.0].into_dyn()
    );
    for (text, args, what) in [
        (
            "a,b\n1,2\n3,x\n",
            &[][..],
            "line 3, column 2 \"b\": \"x\" is no number",
        ),
        ("1,2\n3,\n", &[], "line 2, column 2: \"\" is no number"),
        (
            "1,2\n3\n",
            &[],
            "line 2: 1 fields, but the first line has 2",
        ),
        ("1,2\n", &["--columns=c"], "no column \"c\"; there are 1, 2"),
        ("1,2\n", &["--columns=3"], "no column \"3\""),
        ("", &[], "without a line"),
        (
            "x\n9223372036854775808\n",
            &[],
            "line 2, column 1 \"x\": 9223372036854775808 does not",
        ),
        (
            "x,y\n9007199254740993,1.5\n",
            &[],
            "line 2, column 1 \"x\": 9007199254740993 does not",
        ),
        ("x\n300\n", &["--dtype=u8"], "row 0 has 300"),
        ("x\n1e39\n", &["--dtype=f32"], "row 0 has 1e39"),
        (
            "x\n1e400\n",
            &[],
            "line 2, column 1 \"x\": 1e400 does not fit",
        ),
    ] {
        write(text);
        let message = refused(dir, &[&["t.csv", "u.npy"], args].concat());
        assert!(
            message.contains(what) && message.contains("t.csv: "),
            "{message}"
        );
    }
}

fn image(path: &Path, width: u32, height: u32, of: impl Fn(u32, u32) -> [u8; 3]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let pixels = image::RgbImage::from_fn(width, height, |x, y| image::Rgb(of(x, y)));
    pixels.save(path).unwrap();
}

#[test]
fn images_become_arrays_with_labels() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let of = |salt: u8| move |x: u32, y: u32| [x as u8 * 20 + salt, y as u8 * 30, salt];
    image(&dir.join("in/dog/b.png"), 4, 3, of(2));
    image(&dir.join("in/dog/a.png"), 4, 3, of(1));
    image(&dir.join("in/cat/z.PNG"), 4, 3, of(0));
    std::fs::write(dir.join("in/cat/notes.txt"), "text").unwrap();
    let printed = fine(dir, &["in", "out/"]);
    assert!(
        printed.contains("in (0 cat, 1 dog) -> out/labels.npy int64 (3,)"),
        "{printed}"
    );
    let images = Array::open(dir.join("out/images.npy")).unwrap();
    let images = images.read::<u8>().unwrap();
    assert_eq!(images.shape(), [3, 3, 4, 3]);
    for (row, y, x, channel) in ndarray::indices((3, 3, 4, 3)) {
        let expected = of(row as u8)(x as u32, y as u32)[channel];
        assert_eq!(images[[row, y, x, channel]], expected);
    }
    let labels = Array::open(dir.join("out/labels.npy")).unwrap();
    assert_eq!(labels.read::<i64>().unwrap(), array![0, 1, 1].into_dyn());

    fine(
        dir,
        &["in", "grey.npz", "--grey", "--shuffle=3", "--shards=2"],
    );
    let npz = Npz::open(dir.join("grey-00001-of-00002.npz")).unwrap();
    assert_eq!(npz.array("images").unwrap().shape(), [2, 3, 4]);
    assert_eq!(npz.array("labels").unwrap().shape(), [2]);

    image(&dir.join("in/cat/y.jpg"), 5, 3, of(0));
    let message = refused(dir, &["in", "new.npz"]);
    assert!(message.contains("--size 5x3 resizes all"), "{message}");
    fine(dir, &["in", "sized.npz", "--size", "8x6"]);
    let npz = Npz::open(dir.join("sized.npz")).unwrap();
    assert_eq!(npz.array("images").unwrap().shape(), [4, 6, 8, 3]);
    let message = refused(dir, &["in", "new.npy", "--size=8x6"]);
    assert!(message.contains("\"images\", \"labels\""), "{message}");

    std::fs::write(dir.join("in/dog/c.png"), b"\x89PNG\r\n\x1a\nno").unwrap();
    let message = refused(dir, &["in", "new.npz", "--size=8x6"]);
    assert!(message.contains("in/dog/c.png: "), "{message}");
    std::fs::remove_file(dir.join("in/dog/c.png")).unwrap();
    std::fs::create_dir(dir.join("in/none")).unwrap();
    let message = refused(dir, &["in", "new.npz", "--size=8x6"]);
    assert!(message.contains("in/none: a class without"), "{message}");
}

#[test]
fn a_file_replaces_itself_only_by_force() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let values = Array1::from_iter(0..1000_i64);
    write_npy(dir.join("x.npy"), &values).unwrap();
    let message = refused(dir, &["x.npy", "x.npy", "--dtype=f32"]);
    assert!(message.contains("x.npy: the file exists"), "{message}");
    fine(dir, &["x.npy", "x.npy", "--dtype=f32", "--force"]);
    let found = Array::open(dir.join("x.npy"))
        .unwrap()
        .read::<f32>()
        .unwrap();
    assert_eq!(found, values.mapv(|x| x as f32).into_dyn());
}

/// A Python that has NumPy and Pillow: `BURN_NPY_PYTHON`, or `python3`.
fn python() -> Option<String> {
    let python = std::env::var("BURN_NPY_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let output = Command::new(&python)
        .args(["-c", "import numpy, PIL"])
        .output();
    let found = output.is_ok_and(|output| output.status.success());
    assert!(
        found || std::env::var_os("BURN_NPY_REQUIRE_ALL").is_none(),
        "{python} has no NumPy, or no Pillow"
    );
    found.then_some(python)
}

#[test]
fn files_have_the_bytes_that_numpy_writes() {
    let Some(python) = python() else { return };
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let run = |script: &str| {
        let mut command = Command::new(&python);
        let output = command
            .args(["-c", script])
            .current_dir(dir)
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
    };
    run(r#"
import os, numpy as np
rng = np.random.default_rng(1)
arrays = {
    'f': np.asfortranarray(rng.random((300, 70)).astype('f4')),
    'g': np.asfortranarray(rng.integers(0, 99, (6, 5, 4), 'i8')),
    'big': np.arange(12, dtype='>i4').reshape(3, 4),
    'half': np.arange(5, dtype='f2'), 'bool': np.array([True, False]),
    'c': np.asfortranarray(np.ones((3, 2), '>c16') * 2j), 's': np.array([b'a', b'bcd']),
    'u': np.asfortranarray(np.array([['a', 'bcd'], ['x', '\u00e4']])),
    't': np.array(['2020-01-01', 'NaT'], 'M8[D]'), 'scalar': np.float64(3.5),
    'empty': np.zeros((0, 3)), 'v': np.array([b'ab', b'cd'], 'V2'),
    'st': np.array([(1, 2.5), (3, 4.5)], [('a', '<i4'), ('b', '<f8')]),
}
np.savez('stored.npz', **arrays)
np.savez_compressed('packed.npz', **arrays)
os.mkdir('npy')
for name, array in arrays.items():
    np.save(f'npy/{name}.npy', array)
    native = np.asarray(array, array.dtype.newbyteorder('='), order='C')
    os.makedirs('expected', exist_ok=True)
    np.save(f'expected/{name}.npy', native)
os.mkdir('cast')
np.save('cast/f.npy', np.ascontiguousarray(arrays['f']).astype('f2'))
np.save('cast/g.npy', np.ascontiguousarray(arrays['g']).astype('u1'))
"#);
    fine(dir, &["stored.npz", "a/"]);
    fine(dir, &["packed.npz", "b/"]);
    let npy: Vec<_> = names(&dir.join("npy"));
    let npy: Vec<_> = npy.iter().map(|path| path.to_str().unwrap()).collect();
    fine(dir, &[&npy[..], &["c.npz"]].concat());
    fine(dir, &["c.npz", "c/"]);
    for path in names(&dir.join("expected")) {
        let expected = std::fs::read(&path).unwrap();
        for folder in ["a", "b", "c"] {
            let found = dir.join(folder).join(path.file_name().unwrap());
            assert!(std::fs::read(&found).unwrap() == expected, "{found:?}");
        }
    }
    for (name, dtype) in [("f", "f16"), ("g", "u8")] {
        let [file, out] = [format!("npy/{name}.npy"), format!("{name}.npy")];
        fine(dir, &[&file, &out, "--dtype", dtype]);
        let expected = std::fs::read(dir.join("cast").join(&out)).unwrap();
        assert!(std::fs::read(dir.join(&out)).unwrap() == expected, "{name}");
    }
    run(r#"
import zipfile, numpy as np
with np.load('c.npz') as found, np.load('stored.npz') as expected:
    assert set(found) == set(expected)
    for name in expected:
        assert found[name].tobytes() == np.asarray(
            expected[name], expected[name].dtype.newbyteorder('=')).tobytes('C'), name
assert zipfile.ZipFile('c.npz').testzip() is None
"#);
}

#[test]
fn pixels_are_those_of_pillow() {
    let Some(python) = python() else { return };
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    for salt in 0..3_u32 {
        let of = |x: u32, y: u32| [x * 37 + salt, y * 91 + x, (x ^ y) * 53].map(|x| x as u8);
        image(&dir.join(format!("in/{salt}.png")), 16, 9, of);
    }
    fine(dir, &["in", "colours.npy"]);
    fine(dir, &["in", "grey.npy", "--grey"]);
    let script = r#"
import glob, numpy as np
from PIL import Image
for name, mode in [('colours', 'RGB'), ('grey', 'L')]:
    images = [np.asarray(Image.open(path).convert(mode)) for path in sorted(glob.glob('in/*'))]
    assert np.array_equal(np.load(f'{name}.npy'), np.stack(images)), name
"#;
    let mut command = Command::new(python);
    let output = command.args(["-c", script]).current_dir(dir).output();
    let output = output.unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
}
