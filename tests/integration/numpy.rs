//! Every row of every batch, compared with what the installed NumPy makes of the same arrays.

use std::path::Path;
use std::process::Command;

use burn::tensor::{Bool, Int, Tensor, TensorData};
use burn_npy::file::{ByteOrder, RawFormat, write_npy};
use burn_npy::ndarray::{Array1, Array2, ArrayD, Axis};
use burn_npy::{Array, Convert, DType, DataLoaderBuilder, NpyBatcher, NpyDataset, Windows};

use crate::skip;

/// A Python that has NumPy: `BURN_NPY_PYTHON`, or `python3`.
pub(crate) fn python() -> Option<String> {
    let python = std::env::var("BURN_NPY_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let output = Command::new(&python).args(["-c", "import numpy"]).output();
    output
        .is_ok_and(|output| output.status.success())
        .then_some(python)
}

pub(crate) fn run(python: &str, args: &[&std::ffi::OsStr]) -> String {
    let output = Command::new(python).args(args).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout).unwrap()
}

type Everything = (
    Tensor<1, Int>,
    Tensor<4>,
    Tensor<2>,
    Tensor<2, Int>,
    Tensor<2>,
    Tensor<2, Bool>,
);

const COLUMNS: [&str; 6] = ["id", "images", "table", "signed", "half", "flag"];

fn open(folder: &Path, container: &str) -> burn_npy::Result<NpyDataset> {
    let dataset = match container {
        "npy" => NpyDataset::from_files(
            COLUMNS.map(|name| (name, folder.join(name).with_extension("npy"))),
        ),
        _ => NpyDataset::open(folder.join(container)),
    }?;
    let images = Convert::to::<f32>()
        .divide(255.0)
        .normalize(&[0.485, 0.456, 0.406], &[0.229, 0.224, 0.225]);
    dataset
        .convert("images", images)?
        .convert("table", Convert::to::<f32>().scale(0.5).offset(3.0))?
        .convert("signed", Convert::to::<i64>())?
        .convert("half", Convert::to::<f32>())
}

fn row_bytes(data: &TensorData, rows: usize, row: usize) -> &[u8] {
    let bytes = data.as_bytes();
    let row_bytes = bytes.len() / rows;
    &bytes[row * row_bytes..][..row_bytes]
}

#[test]
fn every_row_of_every_batch_is_numpys() {
    let Some(python) = python() else {
        return skip("there is no Python with NumPy");
    };
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/numpy/reference.py");
    run(&python, &[script.as_ref(), folder.as_ref(), "7".as_ref()]);

    let expected = |name: &str| -> (usize, Vec<u8>) {
        let file = folder.join(format!("{name}_expected.npy"));
        let array = Array::open(&file).unwrap();
        let bytes = std::fs::read(&file).unwrap();
        (
            array.shape()[0],
            bytes[array.data_offset() as usize..].to_vec(),
        )
    };
    let expected = COLUMNS.map(expected);
    for container in ["npy", "stored.npz", "deflated.npz"] {
        let dataset = open(folder, container).unwrap();
        let rows = dataset.len();
        let loader = DataLoaderBuilder::new(
            NpyBatcher::<Everything>::new()
                .with_columns(COLUMNS)
                .keep_dtypes(),
        )
        .batch_size(64)
        .shuffle(1)
        .num_workers(2)
        .set_device(crate::cpu())
        .try_build(dataset)
        .unwrap();
        let mut seen = vec![false; rows];
        for batch in loader.iter() {
            let (id, images, table, signed, half, flag) = batch.unwrap();
            let ids: Vec<i64> = id.to_data().try_to_vec().unwrap();
            let columns = [
                id.into_data(),
                images.into_data(),
                table.into_data(),
                signed.into_data(),
                half.into_data(),
                flag.into_data(),
            ];
            for (place, id) in ids.iter().enumerate() {
                assert!(!std::mem::replace(&mut seen[*id as usize], true));
                for (column, (rows, bytes)) in columns.iter().zip(&expected) {
                    let row_len = bytes.len() / rows;
                    let expected = &bytes[*id as usize * row_len..][..row_len];
                    assert_eq!(row_bytes(column, ids.len(), place), expected, "{container}");
                }
            }
        }
        assert!(seen.iter().all(|seen| *seen), "{container}");
    }
}

#[test]
fn numpy_reads_what_we_write() {
    let Some(python) = python() else {
        return skip("there is no Python with NumPy");
    };
    let dir = tempfile::tempdir().unwrap();
    let table = Array2::from_shape_fn((3, 4), |(i, j)| (i * 4 + j) as f64 / 3.0);
    write_npy(dir.path().join("c.npy"), &table).unwrap();
    write_npy(dir.path().join("f.npy"), &table.t()).unwrap();
    write_npy(dir.path().join("u.npy"), &Array1::from(vec![250_u8, 3])).unwrap();
    let code = "
import numpy as np, pathlib, sys
d = pathlib.Path(sys.argv[1])
c, f, u = (np.load(d / f'{n}.npy') for n in 'cfu')
expected = np.arange(12).reshape(3, 4) / 3.0
assert c.dtype == np.float64 and (c == expected).all()
assert f.shape == (4, 3) and f.flags.f_contiguous and (f.T == expected).all()
assert u.dtype == np.uint8 and u.tolist() == [250, 3]
print('ok')
";
    let printed = run(
        &python,
        &["-c".as_ref(), code.as_ref(), dir.path().as_ref()],
    );
    assert_eq!(printed.trim(), "ok");
    let view: ArrayD<f64> = Array::open(dir.path().join("f.npy"))
        .unwrap()
        .read()
        .unwrap();
    assert_eq!(
        view.index_axis(Axis(1), 2),
        table.index_axis(Axis(0), 2).into_dyn()
    );
}

#[test]
fn windows_axes_and_joined_columns_are_numpys() {
    let Some(python) = python() else {
        return skip("there is no Python with NumPy");
    };
    let dir = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/numpy/verbs.py");
    run(&python, &[script.as_ref(), dir.path().as_ref()]);
    let open = |name: &str| Array::open(dir.path().join(format!("{name}.npy"))).unwrap();
    let dataset = |name: &str| NpyDataset::from_arrays([("x", open(name))]).unwrap();

    let steps = Windows::new(5).horizon(3).gap(2).dilation(2).stride(3);
    let forecasts = dataset("x").windows(steps).unwrap();
    let tokens = Windows::new(8).shifted(1).stride(8);
    let tokens = dataset("x").windows(tokens).unwrap();
    let ends = open("ends").read::<i64>().unwrap();
    let within = Windows::new(6).stride(2).within(ends).unwrap();
    let within = dataset("x").windows(within).unwrap();
    for (windows, column, expected) in [
        (&forecasts, "x", "past"),
        (&forecasts, "x_next", "future"),
        (&tokens, "x", "tokens"),
        (&tokens, "x_next", "tokens_next"),
        (&within, "x", "within"),
    ] {
        let expected = open(expected).read::<i32>().unwrap();
        assert_eq!(windows.read::<i32>(column).unwrap(), expected, "{column}");
    }

    for name in ["images", "fortran"] {
        let first = dataset(name).permute("x", &[2, 0, 1]).unwrap();
        let expected = open("channels_first").read::<u8>().unwrap();
        assert_eq!(first.read::<u8>("x").unwrap(), expected, "{name}");
        let along = open(name).rows_along(-1).unwrap();
        let along = NpyDataset::from_arrays([("x", along)]).unwrap();
        let expected = open("along_last").read::<u8>().unwrap();
        assert_eq!(along.read::<u8>("x").unwrap(), expected, "{name}");
    }

    let raw = RawFormat::new(DType::U16).row_shape(&[8, 6, 3]);
    let raw = raw.byte_order(ByteOrder::Big);
    let raw = Array::open_raw(dir.path().join("raw.bin"), raw).unwrap();
    let expected = open("raw").read::<u16>().unwrap();
    assert_eq!(raw.read::<u16>().unwrap(), expected);

    let fields = NpyDataset::open(dir.path().join("fields.npy")).unwrap();
    for (names, expected) in [(&["t", "p", "w"][..], "features"), (&["w", "t"], "some")] {
        let joined = fields.join("x", names).unwrap();
        let expected = open(expected).read::<f64>().unwrap();
        assert_eq!(joined.read::<f64>("x").unwrap(), expected, "{names:?}");
    }
}

#[test]
fn sparse_matrices_are_those_of_scipy() {
    let Some(python) = python() else {
        return skip("there is no Python with NumPy");
    };
    let scipy = Command::new(&python).args(["-c", "import scipy"]).output();
    if !scipy.is_ok_and(|output| output.status.success()) {
        return skip("there is no SciPy");
    }
    let dir = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/numpy/sparse.py");
    run(&python, &[script.as_ref(), dir.path().as_ref()]);
    let dense = Array::open(dir.path().join("dense.npy")).unwrap();
    let expected = dense.read::<f32>().unwrap();
    for name in ["sparse_False.npz", "sparse_True.npz"] {
        let sparse = NpyDataset::from_scipy_npz(dir.path().join(name)).unwrap();
        assert_eq!(sparse.read::<f32>("data").unwrap(), expected, "{name}");
    }
    let error = NpyDataset::from_scipy_npz(dir.path().join("coo.npz")).unwrap_err();
    assert!(error.to_string().contains("matrix.tocsr()"), "{error}");
    let error = NpyDataset::open(dir.path().join("sparse_False.npz")).unwrap_err();
    assert!(error.to_string().contains("from_scipy_npz"), "{error}");
}
