use std::path::PathBuf;

use burn::data::dataset::Dataset;
use burn_npy_core::ndarray::{Array1, Array2, Array3, arr0};
use burn_npy_core::{
    Convert,
    file::{Access, NpzWriter, OpenOptions},
};

use super::*;
use crate::{NpyDataset, Windows};

/// The bytes of a `.npy` file.
pub(crate) fn npy(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n");
    let len = (header.len() as u16).to_le_bytes();
    [b"\x93NUMPY\x01\x00", &len[..], header.as_bytes(), data].concat()
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 * (crc & 1))
        })
    })
}

/// A ZIP archive of stored members.
pub(crate) fn zip(members: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let all: Vec<_> = members
        .iter()
        .map(|(name, data)| (*name, &data[..], 0_u16, crc32(data)))
        .collect();
    zip_of(&all)
}

/// A ZIP archive of members with their methods and checksums.
fn zip_of(members: &[(&str, &[u8], u16, u32)]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, data, method, crc) in members {
        let at = out.len() as u32;
        // A deflate block without compression.
        let len = data.len() as u16;
        let block = [&[1][..], &len.to_le_bytes(), &(!len).to_le_bytes(), data].concat();
        let packed = if *method == 8 { &block[..] } else { data };
        let mut record = Vec::new();
        record.extend([20, 0, 0, 0]);
        record.extend(method.to_le_bytes());
        record.extend([0; 4]);
        record.extend(crc.to_le_bytes());
        record.extend((packed.len() as u32).to_le_bytes());
        record.extend((data.len() as u32).to_le_bytes());
        record.extend((name.len() as u16).to_le_bytes());
        record.extend([0; 2]);
        out.extend([b"PK\x03\x04", &record[..], name.as_bytes(), packed].concat());
        directory.extend([b"PK\x01\x02\x14\x00", &record[..]].concat());
        directory.extend([0; 10]);
        directory.extend(at.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let (at, len) = (out.len() as u32, directory.len() as u32);
    out.extend(directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend([members.len() as u16; 2].map(u16::to_le_bytes).concat());
    out.extend([len.to_le_bytes(), at.to_le_bytes(), [0; 4]].concat()[..10].to_vec());
    out
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self, name: &str, bytes: Vec<u8>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn parts(&self) -> PathBuf {
        let path = self.path("parts.npz");
        let mut npz = NpzWriter::create(&path).unwrap();
        npz.add("x_test", &Array3::<u8>::zeros((10, 28, 28)))
            .unwrap();
        npz.add("y_test", &Array1::<u8>::zeros(10)).unwrap();
        npz.add("x_train", &Array3::<u8>::zeros((60, 28, 28)))
            .unwrap();
        npz.add("y_train", &Array1::<i64>::from_iter(0..60))
            .unwrap();
        npz.add("fps", &arr0(120.0)).unwrap();
        npz.finish().unwrap();
        path
    }
}

fn refused(path: &Path) -> Error {
    let error = NpyDataset::open(path).unwrap_err();
    assert_eq!(error.file(), Some(path), "{error}");
    error
}

#[test]
fn parts_and_facts_are_listed_with_the_call_that_opens_the_most() {
    let folder = Folder::new();
    let path = folder.parts();
    let error = refused(&path);
    assert_eq!(error.kind(), ErrorKind::Shape);
    let call = format!("NpyDataset::from_npz({path:?}, [\"x_train\", \"y_train\"])");
    let expected = format!(
        "the arrays have different numbers of rows, so they are not one dataset:
  x_test: uint8 [10, 28, 28]
  y_test: uint8 [10]
  x_train: uint8 [60, 28, 28]
  y_train: int64 [60]
  fps: float64 [], no rows
To open those with the same number of rows: {call}"
    );
    assert_eq!(error.message(), expected);
    let dataset = NpyDataset::from_npz(&path, ["x_train", "y_train"]).unwrap();
    assert_eq!(dataset.len(), 60);
}

#[test]
fn parts_open_by_a_path_or_an_archive_and_names_of_any_kind() {
    let folder = Folder::new();
    let path = folder.parts();
    let npz = Npz::open(&path).unwrap();
    let text = path.to_str().unwrap();
    let expected = "NpyDataset { rows: 60, x_train: uint8 [28, 28], y_train: int64 [] }";
    let (owned, names) = (
        text.to_owned(),
        ["x_train".to_owned(), "y_train".to_owned()],
    );
    let pairs = names.clone().map(|name| (name.clone(), name));
    for dataset in [
        NpyDataset::from_npz(text, ["x_train", "y_train"]),
        NpyDataset::from_npz(owned.clone(), names.clone()),
        NpyDataset::from_npz(&owned, &names),
        NpyDataset::from_npz(&*path, ["x_train", "y_train"].iter()),
        NpyDataset::from_npz(&path, names.iter().map(String::as_str)),
        NpyDataset::from_npz(path.clone(), &npz.names()[2..4]),
        NpyDataset::from_npz(&npz, [("x_train", "x_train"), ("y_train", "y_train")]),
        NpyDataset::from_npz(&npz, [("x_train", &names[0]), ("y_train", &names[1])]),
        NpyDataset::from_npz(&npz, &pairs),
    ] {
        assert_eq!(format!("{:?}", dataset.unwrap()), expected);
    }
    let renamed = NpyDataset::from_npz(&path, [("images", "x_test"), ("labels", "y_test")]);
    let expected = "NpyDataset { rows: 10, images: uint8 [28, 28], labels: uint8 [] }";
    assert_eq!(format!("{:?}", renamed.unwrap()), expected);

    let error = NpyDataset::from_npz(&path, ["x_valid"]).unwrap_err();
    assert_eq!(
        (error.kind(), error.array()),
        (ErrorKind::Name, Some("x_valid"))
    );
    assert!(
        error.message().contains("x_train: uint8 [60, 28, 28]"),
        "{error}"
    );
    let error = NpyDataset::from_npz(&path, ["x_train", "y_test"]).unwrap_err();
    assert_eq!(
        (error.kind(), error.file()),
        (ErrorKind::Shape, Some(&*path))
    );
    assert!(
        error.message().ends_with("x_train has 60, y_test has 10"),
        "{error}"
    );
    let error = NpyDataset::from_npz(&path, ["x_train", "fps"]).unwrap_err();
    assert_eq!(
        (error.kind(), error.array()),
        (ErrorKind::Shape, Some("fps"))
    );
    let twice = NpyDataset::from_npz(&path, [("a", "x_test"), ("a", "y_test")]);
    assert_eq!(twice.unwrap_err().kind(), ErrorKind::Duplicate);
    let none: [&str; 0] = [];
    let none = NpyDataset::from_npz(&path, none);
    assert_eq!(none.unwrap_err().kind(), ErrorKind::Usage);
    let missing = NpyDataset::from_npz("no such.npz", ["x"]);
    assert_eq!(missing.unwrap_err().kind(), ErrorKind::Io);
}

#[test]
fn nothing_is_decoded_before_the_arrays_are_known_to_go_together() {
    let folder = Folder::new();
    let (x, y) = (
        npy("'|u1'", "(2,)", &[1, 2]),
        npy("'|u1'", "(3,)", &[1, 2, 3]),
    );
    for method in [0, 8] {
        // Wrong checksums, which are not checked here.
        let path = folder.file(
            "wrong.npz",
            zip_of(&[
                ("x.npy", &x, method, 1),
                ("y.npy", &y, method, 1),
                ("z.npy", &x, method, 1),
            ]),
        );
        assert_eq!(refused(&path).kind(), ErrorKind::Shape);
        let part = NpyDataset::from_npz(&path, ["x", "y"]).unwrap_err();
        assert_eq!(part.kind(), ErrorKind::Shape);
        let part = NpyDataset::from_npz(&path, ["x", "z"]).unwrap_err();
        assert_eq!((part.kind(), part.array()), (ErrorKind::Crc, Some("x")));
        let trusting = OpenOptions::new().skip_checksums(true);
        let npz = Npz::open_with(&path, trusting).unwrap();
        assert_eq!(NpyDataset::from_npz(&npz, ["x", "z"]).is_ok(), method == 0);
    }
    let whole = [("x.npy", &x[..], 0, crc32(&x)), ("z.npy", &x, 8, crc32(&x))];
    let path = folder.file("whole.npz", zip_of(&whole));
    let dataset = NpyDataset::open(&path).unwrap();
    assert_eq!(
        dataset.read::<u8>("z").unwrap().as_slice(),
        Some(&[1, 2][..])
    );
}

#[test]
fn what_a_mac_adds_is_left_alone() {
    let folder = Folder::new();
    let x = npy("'<f8'", "(3, 4)", &[0; 96]);
    let apple = [&b"\0\x05\x16\x07"[..], &[0; 38]].concat();
    let members = [
        ("x.npy", x.clone()),
        ("__MACOSX/._x.npy", apple.clone()),
        ("._x.npy", apple),
        (".DS_Store", vec![0; 10]),
    ];
    let path = folder.file("mac.npz", zip(&members));
    let dataset = NpyDataset::open(&path).unwrap();
    assert_eq!(
        format!("{dataset:?}"),
        "NpyDataset { rows: 3, x: float64 [4] }"
    );

    let text = b"version https://git-lfs.github.com/spec/v1\n".to_vec();
    let path = folder.file("lfs.npz", zip(&[("x.npy", x), ("y.npy", text)]));
    let error = refused(&path);
    assert_eq!(error.kind(), ErrorKind::Magic);
    assert!(
        error.message().contains("\n  x: float64 [3, 4]\n"),
        "{error}"
    );
    assert!(
        error
            .message()
            .contains("\n  y: cannot be read: not a .npy file"),
        "{error}"
    );
    assert!(error.message().contains("git lfs pull"), "{error}");
    assert!(error.message().ends_with("[\"x\"])"), "{error}");
}

#[test]
fn the_parts_of_a_sparse_array_are_no_rows() {
    let folder = Folder::new();
    let rows = |name: &'static str, shape: &str, len: usize| {
        (name, npy("'<i8'", shape, &vec![0; 8 * len]))
    };
    for (members, named, alike) in [
        // pypianoroll, scipy's COO, pydata/sparse, TensorFlow.
        (
            vec![
                rows("nonzero.npy", "(3, 20)", 60),
                rows("shape.npy", "(3,)", 3),
            ],
            "shape",
            true,
        ),
        (
            vec![
                rows("row.npy", "(5,)", 5),
                rows("col.npy", "(5,)", 5),
                rows("shape.npy", "(2,)", 2),
                ("format.npy", npy("'|S3'", "()", b"coo")),
            ],
            "shape",
            false,
        ),
        (
            vec![
                rows("coords.npy", "(2, 9)", 18),
                rows("shape.npy", "(2,)", 2),
            ],
            "shape",
            true,
        ),
        (
            vec![
                rows("values.npy", "(2,)", 2),
                rows("dense_shape.npy", "(2,)", 2),
            ],
            "dense_shape",
            true,
        ),
        (
            vec![
                rows("a_csc_data.npy", "(2,)", 2),
                rows("a_csc_shape.npy", "(2,)", 2),
            ],
            "a_csc_shape",
            true,
        ),
        (
            vec![
                rows("a.data.npy", "(2,)", 2),
                rows("a.shape.npy", "(2,)", 2),
            ],
            "a.shape",
            true,
        ),
    ] {
        let path = folder.file("sparse.npz", zip(&members));
        let error = refused(&path);
        assert_eq!(error.kind(), ErrorKind::Shape);
        assert!(
            error
                .message()
                .starts_with(&format!("`{named}` seems to be the shape of a sparse")),
            "{error}"
        );
        // Arrays with the same number of rows may be columns after all.
        let has_call = error.message().contains("NpyDataset::from_npz(");
        assert_eq!(has_call, alike, "{error}");
    }
    // A caller may name such an array, and other arrays only look like a shape.
    let path = folder.file(
        "meant.npz",
        zip(&[
            rows("nonzero.npy", "(3, 20)", 60),
            rows("shape.npy", "(3,)", 3),
        ]),
    );
    assert_eq!(
        NpyDataset::from_npz(&path, ["nonzero", "shape"])
            .unwrap()
            .len(),
        3
    );
    for members in [
        vec![rows("shape.npy", "(3,)", 3)],
        vec![rows("x.npy", "(9,)", 9), rows("shape.npy", "(9,)", 9)],
        vec![rows("x.npy", "(3,)", 3), rows("shape.npy", "(3, 2)", 6)],
        vec![rows("x.npy", "(3,)", 3), rows("shapes.npy", "(3,)", 3)],
        vec![
            rows("x.npy", "(3,)", 3),
            ("shape.npy", npy("'<f8'", "(3,)", &[0; 24])),
        ],
    ] {
        NpyDataset::open(folder.file("rows.npz", zip(&members))).unwrap();
    }
}

#[test]
fn an_archive_without_arrays_says_what_is_in_it() {
    let folder = Folder::new();
    let error = refused(&folder.file("empty.npz", zip(&[])));
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert!(error.message().contains("no members"), "{error}");
    let names: Vec<_> = (0..2000).map(|i| format!("archive/data/{i}")).collect();
    let members: Vec<_> = names.iter().map(|name| (name.as_str(), vec![])).collect();
    let error = refused(&folder.file("model.npz", zip(&members)));
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert!(
        error.message().contains("archive/data/19, and 1980 more"),
        "{error}"
    );
    assert!(error.message().contains("end in .npy"), "{error}");
}

#[test]
fn what_cannot_be_a_column_is_named_by_its_kind() {
    let folder = Folder::new();
    let x = || ("x.npy", npy("'|u1'", "(2,)", &[1, 2]));
    let object = || ("o.npy", npy("'|O'", "()", b"pickle"));
    // A single array has its own error.
    let error = refused(&folder.file("object.npz", zip(&[object()])));
    assert_eq!(
        (error.kind(), error.array()),
        (ErrorKind::Object, Some("o"))
    );
    assert!(!error.message().contains('\n'), "{error}");
    let error = refused(&folder.file("objects.npz", zip(&[object(), x()])));
    assert_eq!(error.kind(), ErrorKind::Object);
    assert!(
        error.message().contains("\n  o: cannot be read: "),
        "{error}"
    );
    let error = refused(&folder.file("fact.npz", zip(&[("f.npy", npy("'|u1'", "()", &[1]))])));
    assert_eq!((error.kind(), error.array()), (ErrorKind::Shape, Some("f")));
    let facts = [
        ("f.npy", npy("'|u1'", "()", &[1])),
        ("g.npy", npy("'|u1'", "()", &[1])),
    ];
    let error = refused(&folder.file("facts.npz", zip(&facts)));
    assert!(!error.message().contains("from_npz"), "{error}");
}

#[test]
fn what_is_said_of_many_arrays_is_short() {
    let folder = Folder::new();
    let names: Vec<_> = (0..4000)
        .map(|i| format!("{i}{}.npy", "x".repeat(80)))
        .collect();
    let one = npy("'|u1'", "(1,)", &[1]);
    let two = npy("'|u1'", "(2,)", &[1, 2]);
    let member =
        |(i, name): (usize, &String)| (name.clone(), [&one, &two][usize::from(i == 7)].clone());
    let members: Vec<_> = names.iter().enumerate().map(member).collect();
    let members: Vec<_> = members
        .iter()
        .map(|(name, npy)| (name.as_str(), npy.clone()))
        .collect();
    let error = refused(&folder.file("many.npz", zip(&members)));
    assert_eq!(error.message().lines().count(), 16);
    // The array that differs is listed first.
    let second = error.message().lines().nth(1).unwrap();
    assert!(
        second.starts_with("  7xxx") && second.ends_with("uint8 [2]"),
        "{second}"
    );
    assert!(error.message().contains("\n  and 3987 more\n"), "{error}");
    assert!(error.message().ends_with(", and 3984 more])"), "{error}");
    assert!(error.message().len() < 5000);
}

fn opaque(rows: usize) -> Vec<u8> {
    let numbers = (0..rows as u16).flat_map(|i| (0x3f80 + i).to_le_bytes());
    npy("'<V2'", &format!("({rows},)"), &numbers.collect::<Vec<_>>())
}

#[test]
fn opaque_items_are_refused_with_the_call_that_opens_them() {
    let folder = Folder::new();
    let path = folder.file("bf16.npy", opaque(3));
    for access in [Access::Mapped, Access::Positioned, Access::Memory] {
        let options = OpenOptions::new().access(access);
        let error = NpyDataset::open_with(&path, options).unwrap_err();
        assert_eq!(
            (error.kind(), error.array()),
            (ErrorKind::Dtype, Some("bf16"))
        );
        assert_eq!(error.file(), Some(&*path));
        let call = format!(
            "NpyDataset::from_files([(\"bf16\", {path:?})])?.reinterpret(\"bf16\", DType::BF16)?"
        );
        assert!(error.message().ends_with(&call), "{error}");
    }
    let fields = "[('a', '<V2'), ('b', '|u1')]";
    let fields = folder.file("f.npy", npy(fields, "(1,)", &[0x80, 0x3f, 7]));
    let error = NpyDataset::open(&fields).unwrap_err();
    assert_eq!(error.array(), Some("a"));
    assert!(
        error
            .message()
            .ends_with(".reinterpret(\"f.a\", DType::BF16)?"),
        "{error}"
    );
    let dataset = NpyDataset::from_files([("f", &fields)]).unwrap();
    let dataset = dataset.reinterpret("f.a", DType::BF16).unwrap();
    assert_eq!(format!("{:?}", dataset.row(0)), r#"{"f.a": 1, "f.b": 7}"#);

    let both = [
        ("x.npy", opaque(3)),
        ("y.npy", npy("'|u1'", "(3,)", &[1, 2, 3])),
    ];
    for (members, call) in [
        (&both[..1], r#"["x"])?.reinterpret("x", DType::BF16)?"#),
        (&both[..], r#"["x", "y"])?.reinterpret("x", DType::BF16)?"#),
    ] {
        let path = folder.file("x.npz", zip(members));
        let error = refused(&path);
        assert_eq!(error.kind(), ErrorKind::Dtype);
        assert!(error.message().ends_with(call), "{error}");
        assert!(error.to_string().contains('x'));
    }
}

#[test]
fn a_column_of_opaque_items_has_numbers_once_they_are_known() {
    let folder = Folder::new();
    let path = folder.file("bf16.npy", opaque(4));
    let dataset = NpyDataset::from_files([("x", &path)]).unwrap();
    let numbers = Array2::<u8>::zeros((4, 2));
    let array = Array::open(&path).unwrap();
    let dataset = NpyDataset::from_arrays([("x", array), ("y", numbers.into())])
        .and_then(|both| both.select(["x", "y"]))
        .and_then(|both| both.rename("y", "z"))
        .unwrap()
        .skip(1)
        .take(dataset.len());
    assert_eq!(
        format!("{dataset:?}"),
        "NpyDataset { rows: 3, x: opaque <V2 [], z: uint8 [2] }"
    );
    assert_eq!(
        format!("{:?}", dataset.row(0)),
        r#"{"x": opaque <V2 [], "z": [0, 0]}"#
    );
    assert_eq!(
        dataset.columns().map(|(name, _)| name).collect::<Vec<_>>(),
        ["z"]
    );
    dataset.verify().unwrap();
    // The other column can still be used.
    assert_eq!(dataset.read::<u8>("z").unwrap().len(), 6);

    let row = dataset.get(0).unwrap();
    let whole = NpyDataset::from_files([("x", &path)]).unwrap();
    for error in [
        dataset.read::<f32>("x").unwrap_err(),
        row.get::<u8>("x").unwrap_err(),
        row.value("x").unwrap_err(),
        dataset.convert("x", Convert::to::<f32>()).unwrap_err(),
        dataset.reshape("x", &[1]).unwrap_err(),
        dataset.split_column("x", [("a", 0)]).unwrap_err(),
        whole.windows(Windows::new(2)).unwrap_err(),
    ] {
        assert_eq!(
            (error.kind(), error.array()),
            (ErrorKind::Dtype, Some("x")),
            "{error}"
        );
        assert_eq!(error.file(), Some(&*path));
        assert!(
            error
                .message()
                .contains("dataset.reinterpret(\"x\", DType::BF16)"),
            "{error}"
        );
    }

    let known = dataset.reinterpret("x", DType::BF16).unwrap();
    let known = known.convert("x", Convert::to::<f32>()).unwrap();
    let read = known.read::<f32>("x").unwrap();
    assert_eq!(read.as_slice(), Some(&[1.0078125, 1.015625, 1.0234375][..]));
    let bytes = dataset.reinterpret("x", DType::U8).unwrap();
    assert_eq!(bytes.read::<u8>("x").unwrap().shape(), [3, 2]);
    let kind = |result: Result<NpyDataset>| result.unwrap_err().kind();
    assert_eq!(kind(known.reinterpret("x", DType::BF16)), ErrorKind::Usage);
    assert_eq!(kind(known.reinterpret("z", DType::U8)), ErrorKind::Dtype);
    assert_eq!(kind(dataset.reinterpret("x", DType::F32)), ErrorKind::Dtype);
    assert_eq!(kind(dataset.reinterpret("a", DType::F32)), ErrorKind::Name);
}

#[test]
fn a_dataset_is_verified_against_its_archive_and_its_files() {
    let folder = Folder::new();
    let x = npy("'|u1'", "(2000, 3)", &[1; 6000]);
    let fields = npy("[('a', '|u1'), ('b', '|u1')]", "(2000,)", &[1; 4000]);
    let mut bytes = zip(&[("x.npy", x), ("s.npy", fields)]);
    let path = folder.file("good.npz", bytes.clone());
    let good = NpyDataset::open(&path).unwrap();
    let (train, _) = good.split(0.5, 1).unwrap();
    for dataset in [
        &good,
        &train,
        &good.take(0),
        &good.windows(Windows::new(5).stride(3)).unwrap(),
    ] {
        dataset.verify().unwrap();
    }
    // A byte of `s`, which is not checked when it is opened.
    let at = bytes.windows(5).rposition(|bytes| bytes == [1; 5]).unwrap();
    bytes[at] ^= 4;
    let damaged = folder.file("damaged.npz", bytes);
    assert_eq!(
        NpyDataset::open(&damaged).unwrap_err().kind(),
        ErrorKind::Crc
    );
    let trusting = OpenOptions::new().skip_checksums(true);
    let dataset = NpyDataset::open_with(&damaged, trusting).unwrap();
    dataset.select(["x"]).unwrap().verify().unwrap();
    for part in [dataset.clone(), dataset.select(["x", "s.b"]).unwrap()] {
        let error = part.verify().unwrap_err();
        assert_eq!((error.kind(), error.array()), (ErrorKind::Crc, Some("s")));
        assert_eq!(error.file(), Some(&*damaged));
    }
    // A file that was replaced, also that of an opaque column.
    let lone = folder.file("lone.npy", opaque(4));
    let lone = NpyDataset::from_files([("x", lone)]).unwrap();
    for (dataset, file) in [(&good, path), (&lone, folder.path("lone.npy"))] {
        std::fs::write(&file, b"changed").unwrap();
        assert_eq!(dataset.verify().unwrap_err().kind(), ErrorKind::Changed);
    }
}

#[test]
fn lengths_that_differ_are_named_with_their_files() {
    let folder = Folder::new();
    let one = folder.file("one.npy", npy("'|u1'", "(1,)", &[1]));
    let two = folder.file("two.npy", npy("'|u1'", "(2,)", &[1, 2]));
    let error = NpyDataset::from_files([("a", &one), ("b", &two)]).unwrap_err();
    let expected = format!(
        "the columns have different numbers of rows: a has 1 (in {}), b has 2 (in {})",
        one.display(),
        two.display()
    );
    assert_eq!(
        (error.kind(), error.message()),
        (ErrorKind::Shape, &*expected)
    );
    let arrays = [
        ("a", Array::open(&one).unwrap()),
        ("m", vec![1, 2, 3].into()),
    ];
    let error = NpyDataset::from_arrays(arrays).unwrap_err();
    assert!(error.message().ends_with("one.npy), m has 3"), "{error}");
}

/// Errors name a column as the user did, even if its array has another name.
#[test]
fn errors_name_the_column_and_not_the_member_that_it_is_of() {
    let folder = Folder::new();
    let table = npy("'<f8'", "(2, 2)", &bytes_of(&[1.0, 2.0, 3.0, f64::NAN]));
    let path = folder.file("table.npz", zip(&[("x.npy", table)]));
    let parts = [("f", 0), ("l", 1)];
    let dataset = NpyDataset::open(&path).unwrap();
    let dataset = dataset.split_column("x", parts).unwrap();
    let dataset = dataset.convert("l", Convert::to::<i64>()).unwrap();
    let row = dataset.row(1);
    for error in [
        dataset.verify().unwrap_err(),
        dataset.read::<i64>("l").unwrap_err(),
        row.get::<i64>("l").unwrap_err(),
        row.value("l").unwrap_err(),
    ] {
        assert_eq!((error.array(), error.file()), (Some("l"), Some(&*path)));
        let place = "row 1 of the file, element 1, has NaN";
        assert!(error.message().starts_with(place), "{error}");
    }
    let long = "layer.".repeat(20);
    let member = format!("{long}.npy");
    let (two, three) = (
        npy("'|u1'", "(2,)", &[1, 2]),
        npy("'|u1'", "(3,)", &[1, 2, 3]),
    );
    let path = folder.file("long.npz", zip(&[(&*member, three), ("b.npy", two)]));
    // The suggested call has whole names.
    assert!(refused(&path).message().contains(&format!("[{long:?}]")));
}

fn bytes_of(numbers: &[f64]) -> Vec<u8> {
    numbers.iter().flat_map(|x| x.to_le_bytes()).collect()
}
