use std::fs;

use burn_npy_core::file::{NpzWriter, WriteElement, write_npy};
use burn_npy_core::ndarray::{Array1, Array2, ArrayD, Dimension, IxDyn};

use super::*;
use crate::Windows;

/// A folder of its own.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A path as text, for patterns.
    fn at(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    fn write<T: WriteElement, D: Dimension>(
        &self,
        name: &str,
        array: &burn_npy_core::ndarray::Array<T, D>,
    ) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        write_npy(&path, array).unwrap();
        path
    }

    /// Rows that count on from the file before.
    fn numbers(&self, name: &str, rows: std::ops::Range<i64>) -> PathBuf {
        self.write(name, &Array1::from_iter(rows))
    }

    fn names(&self, pattern: &str) -> Vec<String> {
        let found = glob(&self.at(pattern)).unwrap();
        let name = |path: PathBuf| {
            let name = path.strip_prefix(self.0.path()).unwrap();
            name.to_string_lossy().replace('\\', "/")
        };
        found.into_iter().map(name).collect()
    }
}

/// What an error says, with the folder left out.
fn said(folder: &Folder, error: &Error) -> String {
    let root = folder.0.path().to_str().unwrap();
    error.to_string().replace(root, "DIR")
}

#[test]
fn patterns_are_those_of_a_shell() {
    let folder = Folder::new();
    for name in [
        "x_10.npy",
        "x_9.npy",
        "x_1.npy",
        "y.npy",
        ".x_3.npy",
        "a/x_2.npy",
        "a/b/x_1.npy",
    ] {
        folder.numbers(name, 0..1);
    }
    assert_eq!(folder.names("x_*.npy"), ["x_1.npy", "x_9.npy", "x_10.npy"]);
    assert_eq!(folder.names("x_?.npy"), ["x_1.npy", "x_9.npy"]);
    assert_eq!(folder.names("[!x]*.npy"), ["y.npy"]);
    assert_eq!(folder.names(".*.npy"), [".x_3.npy"]);
    assert_eq!(folder.names("*/x_*"), ["a/x_2.npy"]);
    let all = ["a/b/x_1.npy", "a/x_2.npy", "x_1.npy", "x_9.npy", "x_10.npy"];
    assert_eq!(folder.names("**/x_*.npy"), all);
    assert_eq!(folder.names("**/**/x_*.npy"), all);
    // A name without wildcards is itself.
    assert_eq!(folder.names("y.npy"), ["y.npy"]);
}

#[test]
fn brackets_are_lists_and_can_be_escaped() {
    let folder = Folder::new();
    folder.numbers("run[1]/x_1.npy", 0..2);
    folder.numbers("run[1]/y_1.npy", 0..2);
    folder.numbers("run1/x_1.npy", 0..1);
    assert_eq!(folder.names("run[1]/x_*.npy"), ["run1/x_1.npy"]);
    assert_eq!(folder.names("run[[]1]/x_*.npy"), ["run[1]/x_1.npy"]);
    let both = ["x", "y"].map(|name| (name, folder.at(&format!("run[[]1]/{name}_*.npy"))));
    assert_eq!(NpyDataset::from_globs(both).unwrap().len(), 2);
    folder.numbers("z[0].npy", 0..1);
    let error = glob(&folder.at("z[0].npy")).unwrap_err();
    let expected = "nothing matches the pattern \"DIR/z[0].npy\": there is a file of this very \
                    name, but brackets list characters; the pattern for it is \"DIR/z[[]0[]].npy\"";
    assert_eq!(said(&folder, &error), expected);
    assert_eq!(folder.names("z[[]0[]].npy"), ["z[0].npy"]);
    let error = glob(&folder.at("z[0.npy")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert!(said(&folder, &error).starts_with("the pattern \"DIR/z[0.npy\" is malformed: "));
}

#[test]
fn a_pattern_without_files_says_what_there_is() {
    let folder = Folder::new();
    for name in [
        "a.txt",
        "train_1.npz",
        "train_10.npz",
        "train_2.npz",
        ".hidden",
    ] {
        fs::write(folder.path(name), "").unwrap();
    }
    for (pattern, expected) in [
        (
            "train_*.npy",
            "DIR, there are train_1.npz, train_2.npz, train_10.npz, a.txt",
        ),
        (
            "trian/x_*.npy",
            "DIR, there are train_1.npz, train_2.npz, train_10.npz, a.txt",
        ),
        (
            "b*",
            "DIR, there are a.txt, train_1.npz, train_2.npz, train_10.npz",
        ),
    ] {
        let error = glob(&folder.at(pattern)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        let expected =
            format!("nothing matches the pattern \"DIR/{pattern}\": in the folder {expected}");
        assert_eq!(said(&folder, &error), expected);
    }
    fs::create_dir(folder.path("empty")).unwrap();
    let error = NpyDataset::from_glob(&folder.at("empty/*.npy")).unwrap_err();
    assert!(error.message().ends_with("there is nothing"), "{error}");
}

#[cfg(target_os = "linux")]
#[test]
fn names_that_are_not_utf_8_are_not_passed_over() {
    use std::os::unix::ffi::OsStrExt;

    let folder = Folder::new();
    for (name, rows) in [
        (&b"x_\xff2.npy"[..], 2_i64..4),
        (b"x_\xff10.npy", 4..6),
        (b"x_\xff1.npy", 0..2),
    ] {
        let name = std::ffi::OsStr::from_bytes(name);
        write_npy(folder.0.path().join(name), &Array1::from_iter(rows)).unwrap();
    }
    let dataset = NpyDataset::from_glob(&folder.at("x_*.npy")).unwrap();
    assert!(
        dataset
            .read::<i64>("data")
            .unwrap()
            .iter()
            .copied()
            .eq(0..6)
    );
    let class = folder
        .0
        .path()
        .join(std::ffi::OsStr::from_bytes(b"root/\xfe"));
    fs::create_dir_all(&class).unwrap();
    write_npy(class.join("1.npy"), &Array1::from_iter(0..3_i64)).unwrap();
    let (_, classes) = NpyDataset::from_class_folders(folder.path("root")).unwrap();
    assert_eq!(classes, ["\u{fffd}"]);
}

#[test]
fn what_is_no_numpy_file_is_named() {
    let folder = Folder::new();
    folder.numbers("x_1.npy", 0..2);
    fs::write(folder.path("x_2.npy"), "1,2\n3,4\n").unwrap();
    let error = NpyDataset::from_glob(&folder.at("x_*.npy")).unwrap_err();
    assert_eq!(
        (error.kind(), error.file()),
        (ErrorKind::Magic, Some(&*folder.path("x_2.npy")))
    );
    fs::remove_file(folder.path("x_2.npy")).unwrap();
    fs::create_dir(folder.path("x_3.npy")).unwrap();
    for open in [
        |folder: &Folder| NpyDataset::from_glob(&folder.at("x_*.npy")),
        |folder: &Folder| NpyDataset::from_samples(glob(&folder.at("x_*.npy"))?),
    ] {
        let error = open(&folder).unwrap_err();
        assert_eq!(
            (error.kind(), error.file()),
            (ErrorKind::Io, Some(&*folder.path("x_3.npy")))
        );
        assert!(
            error
                .to_string()
                .ends_with("a folder; open the files that are in it"),
            "{error}"
        );
    }
}

#[test]
fn shards_are_one_after_the_other() {
    let folder = Folder::new();
    let paths = [("b.npy", 0..3), ("a.npy", 3..3), ("c.npy", 3..7)]
        .map(|(name, rows)| folder.numbers(name, rows));
    let dataset = NpyDataset::from_shards(&paths).unwrap();
    assert_eq!(
        format!("{dataset:?}"),
        "NpyDataset { rows: 7, data: int64 [] }"
    );
    assert!(
        dataset
            .read::<i64>("data")
            .unwrap()
            .iter()
            .copied()
            .eq(0..7)
    );
    // Archives have their columns.
    for (name, rows) in [("1.npz", 0..2_i64), ("2.npz", 2..5)] {
        let mut npz = NpzWriter::create(folder.path(name)).unwrap();
        npz.add("x", &Array1::from_iter(rows.clone())).unwrap();
        npz.add("y", &Array1::from_iter(rows.map(|x| -x))).unwrap();
        npz.finish().unwrap();
    }
    let dataset = NpyDataset::from_glob(&folder.at("*.npz")).unwrap();
    let read = |name| dataset.read::<i64>(name).unwrap();
    assert!(read("x").iter().copied().eq(0..5));
    assert!(read("y").iter().copied().eq((0..5).map(|x| -x)));
    // Nothing but an empty shard is a dataset without rows.
    assert!(NpyDataset::from_shards([&paths[1]]).unwrap().is_empty());
    let none: [&Path; 0] = [];
    assert_eq!(
        NpyDataset::from_shards(none).unwrap_err().kind(),
        ErrorKind::Usage
    );
}

/// Files of every byte order and layout with the same values, as NumPy writes them.
fn of_any_layout(folder: &Folder, name: &str, shape: &[usize], first: i32) -> Vec<PathBuf> {
    let len: usize = shape.iter().product();
    let value = |index: usize| first + index as i32;
    let mut paths = Vec::new();
    for (byte_order, is_fortran) in [('<', false), ('>', false), ('<', true), ('>', true)] {
        let values = ArrayD::from_shape_vec(IxDyn(shape), (0..len).map(value).collect()).unwrap();
        let values = if is_fortran {
            values.reversed_axes()
        } else {
            values
        };
        let bytes = values.iter().flat_map(|value: &i32| match byte_order {
            '<' => value.to_le_bytes(),
            _ => value.to_be_bytes(),
        });
        let order = if is_fortran { "True" } else { "False" };
        let shape: String = shape.iter().map(|len| format!("{len}, ")).collect();
        let header = format!(
            "{{'descr': '{byte_order}i4', 'fortran_order': {order}, 'shape': ({shape}), }}\n"
        );
        let mut file = b"\x93NUMPY\x01\x00".to_vec();
        file.extend((header.len() as u16).to_le_bytes());
        file.extend(header.bytes().chain(bytes));
        let path = folder.path(&format!("{name}_{}.npy", paths.len()));
        fs::write(&path, file).unwrap();
        paths.push(path);
    }
    paths
}

#[test]
fn byte_orders_and_layouts_may_differ() {
    let folder = Folder::new();
    let paths = of_any_layout(&folder, "x", &[3, 4, 2], 100);
    let one = Array::open(&paths[0]).unwrap().read::<i32>().unwrap();
    let expected: [_; 4] = std::array::from_fn(|_| one.view());
    let expected = burn_npy_core::ndarray::concatenate(burn_npy_core::ndarray::Axis(0), &expected);
    let shards = NpyDataset::from_shards(&paths).unwrap();
    assert_eq!(shards.read::<i32>("data").unwrap(), expected.unwrap());
    let samples = NpyDataset::from_samples(&paths).unwrap();
    let read = samples.read::<i32>("data").unwrap();
    assert_eq!(read.shape(), [4, 3, 4, 2]);
    assert!(read.outer_iter().all(|sample| sample == one));
    // In another order, and converted.
    let converted = shards
        .convert("data", burn_npy_core::Convert::to::<f32>())
        .unwrap();
    for (row, value) in [(7, 108.0), (0, 100.0), (11, 116.0), (3, 100.0)] {
        let row = converted.row(row).get::<f32>("data").unwrap();
        assert_eq!(row[[0, 0]], value);
    }
}

#[test]
fn a_shard_that_differs_is_named() {
    let folder = Folder::new();
    let first = folder.write("1.npy", &Array2::<f32>::zeros((2, 3)));
    for (other, kind, message) in [
        (
            folder.write("2.npy", &Array2::<f32>::zeros((2, 4))),
            ErrorKind::Shape,
            "DIR/2.npy: `data`: rows of shape [4] after rows of shape [3] in DIR/1.npy",
        ),
        (
            folder.write("3.npy", &Array2::<f64>::zeros((2, 3))),
            ErrorKind::Dtype,
            "DIR/3.npy: `data`: rows of float64 after rows of float32 in DIR/1.npy; convert one of \
             them first",
        ),
    ] {
        let error = NpyDataset::from_shards([&first, &other]).unwrap_err();
        assert_eq!((error.kind(), error.file()), (kind, Some(&*other)));
        assert_eq!(said(&folder, &error), message);
    }
    let other = folder.write("4.npy", &Array2::<f32>::zeros((3, 3)));
    let error = NpyDataset::from_samples([&first, &other]).unwrap_err();
    assert_eq!(
        (error.kind(), error.file()),
        (ErrorKind::Shape, Some(&*other))
    );
    let expected = "DIR/4.npy: `data`: the array has the shape [3, 3], but the one in DIR/1.npy \
                    has [2, 3]; each file is one row, and rows must have one shape, so pad or crop \
                    the arrays when they are written";
    assert_eq!(said(&folder, &error), expected);
    let error = NpyDataset::from_samples([first, folder.path("3.npy")]).unwrap_err();
    assert_eq!(
        (error.kind(), error.file()),
        (ErrorKind::Dtype, Some(&*folder.path("3.npy")))
    );
}

#[test]
fn a_value_that_does_not_fit_names_its_file_and_row() {
    let folder = Folder::new();
    folder.write("x_0.npy", &Array1::from(vec![1_i64, 2, 3]));
    folder.write("x_1.npy", &Array1::from(vec![1_i64, 300, 3]));
    let dataset = NpyDataset::from_glob(&folder.at("x_*.npy")).unwrap();
    let dataset = dataset
        .convert("data", burn_npy_core::Convert::to::<u8>())
        .unwrap();
    let error = dataset.read::<u8>("data").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Value);
    let start = "DIR/x_1.npy: `data`: row 1 of the file has 300, but uint8 goes from 0 to 255; ";
    assert!(said(&folder, &error).starts_with(start), "{error}");

    // As it does before and after transforms and windows.
    let windows = |dataset: &NpyDataset| dataset.windows(crate::Windows::new(2)).unwrap();
    let error = windows(&dataset).read::<u8>("data").unwrap_err();
    assert!(said(&folder, &error).starts_with(start), "{error}");
    let dataset = NpyDataset::from_glob(&folder.at("x_*.npy")).unwrap();
    let small = crate::transform::from_fn::<i64, i64>(|row, mut out, _| {
        if row[[]] > 255 {
            return Err("too large".into());
        }
        out.assign(&row);
        Ok(())
    });
    let mapped = dataset.split(1.0, 3).unwrap().0.map("data", small).unwrap();
    let error = mapped.read::<i64>("data").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transform);
    assert_eq!(
        said(&folder, &error),
        "DIR/x_1.npy: `data`: row 1 of the file: too large"
    );
}

#[test]
fn files_of_several_patterns_belong_together() {
    let folder = Folder::new();
    for i in [0, 2, 10] {
        folder.numbers(&format!("x_{i}.npy"), 10 * i..10 * i + 3);
        folder.numbers(&format!("y_{i}.npy"), 10 * i..10 * i + 3);
    }
    let open = || {
        NpyDataset::from_globs(["x", "y"].map(|name| (name, folder.at(&format!("{name}_*.npy")))))
    };
    let both = open().unwrap();
    let [x, y] = ["x", "y"].map(|name| both.read::<i64>(name).unwrap());
    assert_eq!(x, y);
    assert_eq!(
        x.as_slice(),
        Some(&[0, 1, 2, 20, 21, 22, 100, 101, 102][..])
    );

    folder.numbers("y_2.npy", 0..4);
    let error = open().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Shape);
    let expected = "the columns have different numbers of rows: x has 3 (in DIR/x_2.npy), y has 4 \
                    (in DIR/y_2.npy)";
    assert_eq!(said(&folder, &error), expected);

    fs::rename(folder.path("y_2.npy"), folder.path("y_3.npy")).unwrap();
    let error = open().unwrap_err();
    assert_eq!(
        (error.kind(), error.file()),
        (ErrorKind::Usage, Some(&*folder.path("y_3.npy")))
    );
    let start = "DIR/y_3.npy: `y`: would belong to DIR/x_2.npy, but the names differ";
    assert!(said(&folder, &error).starts_with(start), "{error}");

    fs::remove_file(folder.path("y_3.npy")).unwrap();
    let error = open().unwrap_err();
    let start = "`y`: \"DIR/y_*.npy\" matches 2 files, but \"DIR/x_*.npy\" matches 3; ";
    assert!(said(&folder, &error).starts_with(start), "{error}");
}

#[test]
fn the_label_is_the_index_of_the_class() {
    let folder = Folder::new();
    let files = [
        ("dog", "b.npy", 0..2),
        ("cat", "a.npy", 2..5),
        ("dog", "c.npy", 5..6),
    ];
    let files = files.map(|(class, name, rows)| (class, folder.numbers(name, rows)));
    let (dataset, classes) = NpyDataset::from_classes(files).unwrap();
    assert_eq!(classes, ["dog", "cat"]);
    let read = |dataset: &NpyDataset, name| {
        dataset
            .read::<i64>(name)
            .unwrap()
            .into_raw_vec_and_offset()
            .0
    };
    assert_eq!(read(&dataset, "data"), [0, 1, 2, 3, 4, 5]);
    assert_eq!(read(&dataset, "label"), [0, 0, 1, 1, 1, 0]);
    // Labels are rows like others.
    let windows = dataset.windows(Windows::new(2).stride(2)).unwrap();
    assert_eq!(read(&windows, "label"), [0, 0, 1, 1, 1, 0]);
    let (_, rest) = dataset.split(0.5, 1).unwrap();
    let pairs = read(&rest, "data").into_iter().zip(read(&rest, "label"));
    assert!(
        pairs
            .into_iter()
            .all(|(row, label)| label == i64::from((2..5).contains(&row)))
    );

    let mut npz = NpzWriter::create(folder.path("d.npz")).unwrap();
    npz.add("label", &Array1::from(vec![1_u8])).unwrap();
    npz.finish().unwrap();
    let error = NpyDataset::from_classes([("x", folder.path("d.npz"))]).unwrap_err();
    assert_eq!(
        (error.kind(), error.array()),
        (ErrorKind::Duplicate, Some("label"))
    );
}

#[test]
fn a_folder_is_a_class() {
    let folder = Folder::new();
    let value = |x: i64| Array1::from(vec![x, x]);
    for (name, x) in [
        ("10/1.npy", 0),
        ("2/10.npy", 2),
        ("2/9.npy", 1),
        (".x/1.npy", 9),
    ] {
        folder.write(name, &value(x));
    }
    fs::write(folder.path("2/notes.txt"), "").unwrap();
    fs::write(folder.path("README"), "").unwrap();
    let (dataset, classes) = NpyDataset::from_class_folders(folder.0.path()).unwrap();
    assert_eq!(classes, ["10", "2"]);
    let data = dataset.read::<i64>("data").unwrap();
    assert_eq!(data.as_slice(), Some(&[0, 0, 1, 1, 2, 2][..]));
    assert_eq!(
        dataset.read::<i64>("label").unwrap().as_slice(),
        Some(&[0, 1, 1][..])
    );

    fs::create_dir(folder.path("3")).unwrap();
    fs::write(folder.path("3/x.png"), "").unwrap();
    let error = NpyDataset::from_class_folders(folder.0.path()).unwrap_err();
    assert_eq!(
        said(&folder, &error),
        "DIR/3: a class without .npy files; there are x.png"
    );
    let error = NpyDataset::from_class_folders(folder.path("3")).unwrap_err();
    let expected = "DIR/3: no folders, of which each would be a class; there are x.png";
    assert_eq!(said(&folder, &error), expected);
}

#[test]
fn a_shard_that_changes_is_an_error_of_its_file() {
    let folder = Folder::new();
    let paths: Vec<_> = (0..3)
        .map(|i| folder.numbers(&format!("{i}.npy"), 10 * i..10 * i + 10))
        .collect();
    type Open = fn(&[PathBuf]) -> Result<NpyDataset>;
    let opens: [Open; 2] = [
        |paths| NpyDataset::from_shards(paths),
        |paths| NpyDataset::from_samples(paths),
    ];
    for open in opens {
        let dataset = open(&paths).unwrap();
        let last = dataset.len() - 1;
        assert!(dataset.row(0).get::<i64>("data").is_ok());
        folder.numbers("2.npy", 50..60);
        // Rows of the other files are what they were.
        assert!(dataset.row(0).get::<i64>("data").is_ok());
        let error = dataset.row(last).get::<i64>("data").unwrap_err();
        assert_eq!(
            (error.kind(), error.file()),
            (ErrorKind::Changed, Some(&*paths[2]))
        );
        assert!(dataset.read::<i64>("data").is_err());
    }
}
