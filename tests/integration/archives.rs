//! Archives as users have them: arrays of different lengths, damage, opaque items.

use std::path::{Path, PathBuf};

use burn::tensor::{Int, Tensor};
use burn_npy::ndarray::Array2;
use burn_npy::{
    Array, DType, DataLoaderBuilder, ErrorKind, NpyBatcher, NpyDataset,
    file::{NpzWriter, OpenOptions},
};

/// The archive that the example trains on: deflated parts of two lengths.
fn mnist() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/mnist/data/mnist.npz")
}

#[test]
fn the_bundled_archive_opens_by_the_call_that_its_error_shows() {
    let error = NpyDataset::open(mnist()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Shape);
    let call = format!(
        "NpyDataset::from_npz({:?}, [\"train_images\", \"train_labels\"])",
        mnist()
    );
    assert!(error.message().ends_with(&call), "{error}");
    for name in ["train_images: uint8 [", "test_labels: uint8 ["] {
        assert!(error.message().contains(name), "{error}");
    }
    let names = [("images", "test_images"), ("labels", "test_labels")];
    let dataset = NpyDataset::from_npz(mnist(), names).unwrap();
    let batcher =
        NpyBatcher::<(Tensor<3, Int>, Tensor<1, Int>)>::new().with_columns(["images", "labels"]);
    let loader = DataLoaderBuilder::new(batcher)
        .batch_size(100)
        .set_device(crate::cpu())
        .try_build(dataset)
        .unwrap();
    let (images, labels) = loader.iter().next().unwrap().unwrap();
    assert_eq!((images.dims(), labels.dims()), ([100, 28, 28], [100]));
}

#[test]
fn a_damaged_stored_archive_does_not_train() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("crc.npz");
    let mut npz = NpzWriter::create(&path).unwrap();
    npz.add("x", &Array2::<u8>::zeros((50, 8))).unwrap();
    npz.finish().unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[300] ^= 16;
    std::fs::write(&path, bytes).unwrap();
    let error = NpyDataset::open(&path).unwrap_err();
    assert_eq!((error.kind(), error.array()), (ErrorKind::Crc, Some("x")));
    let options = OpenOptions::new().skip_checksums(true);
    let dataset = NpyDataset::open_with(&path, options).unwrap();
    assert_eq!(dataset.verify().unwrap_err().kind(), ErrorKind::Crc);
}

#[test]
fn a_batcher_of_opaque_items_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.npy");
    let header = "{'descr': '<V2', 'fortran_order': False, 'shape': (2,), }\n";
    let len = (header.len() as u16).to_le_bytes();
    let data = [0xc0, 0x3f, 0, 0xc0];
    let bytes = [b"\x93NUMPY\x01\x00", &len[..], header.as_bytes(), &data].concat();
    std::fs::write(&path, bytes).unwrap();
    let dataset = NpyDataset::from_arrays([
        ("x", Array::open(&path).unwrap()),
        ("y", vec![1_i64, 2].into()),
    ])
    .unwrap();
    let build = |dataset: &NpyDataset| {
        DataLoaderBuilder::new(NpyBatcher::<(Tensor<1>, Tensor<1, Int>)>::new())
            .batch_size(2)
            .set_device(crate::cpu())
            .try_build(dataset.clone())
    };
    let error = build(&dataset).unwrap_err();
    assert_eq!((error.kind(), error.array()), (ErrorKind::Dtype, Some("x")));
    assert_eq!(error.file(), Some(&*path));
    assert!(
        error.message().contains("reinterpret(\"x\", DType::BF16)"),
        "{error}"
    );
    // A batcher that does not use the opaque column works.
    DataLoaderBuilder::new(NpyBatcher::<Tensor<1, Int>>::new().with_columns(["y"]))
        .set_device(crate::cpu())
        .try_build(dataset.clone())
        .unwrap();
    let to_f32 = burn_npy::Convert::to::<f32>();
    let known = dataset.reinterpret("x", DType::BF16).unwrap();
    let known = known.convert("x", to_f32).unwrap();
    let (x, _) = build(&known).unwrap().iter().next().unwrap().unwrap();
    assert_eq!(x.into_data().as_slice::<f32>().unwrap(), [1.5, -2.0]);
}
