//! Files that NumPy wrote: `tests/fixtures/make.py` made them, with what is in them.

use std::path::{Path, PathBuf};

use burn_npy::ndarray::ArrayD;
use burn_npy::{Access, Array, DType, Element, ErrorClass, Npz, OpenOptions, half::f16};
use burn_npy_core::{ByteOrder, Column, Layout};
use serde_json::Value;
use sha2::{Digest, Sha256};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn expected() -> Value {
    let text = std::fs::read_to_string(folder().join("expected.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// The elements as little-endian bytes in C order.
fn little_endian(array: &Array) -> Vec<u8> {
    fn bytes<T: Element>(array: &Array) -> Vec<u8> {
        let values: ArrayD<T> = array.read().unwrap();
        values
            .iter()
            .flat_map(|value| {
                let mut bytes = element_bytes(value);
                if cfg!(target_endian = "big") {
                    bytes.reverse();
                }
                bytes
            })
            .collect()
    }
    match array.dtype() {
        DType::Bool => bytes::<bool>(array),
        DType::I8 => bytes::<i8>(array),
        DType::I16 => bytes::<i16>(array),
        DType::I32 => bytes::<i32>(array),
        DType::I64 => bytes::<i64>(array),
        DType::U8 => bytes::<u8>(array),
        DType::U16 => bytes::<u16>(array),
        DType::U32 => bytes::<u32>(array),
        DType::U64 => bytes::<u64>(array),
        DType::F16 => bytes::<f16>(array),
        DType::F32 => bytes::<f32>(array),
        _ => bytes::<f64>(array),
    }
}

fn element_bytes<T: Element>(value: &T) -> Vec<u8> {
    bytemuck::bytes_of(value).to_vec()
}

fn check(name: &str, array: &Array, expected: &Value) {
    let descr = array.dtype().descr(array.byte_order());
    // One byte has no order, and NumPy marks it so.
    assert_eq!(descr, expected["dtype"].as_str().unwrap(), "{name}");
    let shape: Vec<usize> = serde_json::from_value(expected["shape"].clone()).unwrap();
    assert_eq!(array.shape(), shape, "{name}");
    let fortran = array.layout() == Layout::Fortran;
    assert_eq!(
        fortran,
        expected["fortran_order"].as_bool().unwrap(),
        "{name}"
    );

    let bytes = little_endian(array);
    let itemsize = array.dtype().size();
    assert_eq!(
        hex(Sha256::digest(&bytes)),
        expected["sha256"].as_str().unwrap(),
        "{name}"
    );
    if !bytes.is_empty() {
        assert_eq!(
            hex(&bytes[..itemsize]),
            expected["first_hex"].as_str().unwrap()
        );
        let last = &bytes[bytes.len() - itemsize..];
        assert_eq!(hex(last), expected["last_hex"].as_str().unwrap());
    }
    if shape.is_empty() {
        return;
    }
    // Row by row, the other way through the code.
    let column = Column::new(array.clone()).unwrap();
    let gather = |rows: &[usize]| {
        let mut out = burn_npy_core::Buffer::zeroed(rows.len() * column.row_bytes()).unwrap();
        column.gather(rows, out.as_mut_slice()).unwrap();
        let mut out = out.as_slice().to_vec();
        if ByteOrder::NATIVE == ByteOrder::Big {
            out.chunks_exact_mut(itemsize).for_each(<[u8]>::reverse);
        }
        out
    };
    let all: Vec<usize> = (0..column.rows()).collect();
    assert_eq!(gather(&all), bytes, "{name}");
    if let Some(record) = expected.get("gather") {
        let rows: Vec<usize> = serde_json::from_value(record["rows"].clone()).unwrap();
        assert!(!rows.is_empty());
        assert_eq!(
            hex(Sha256::digest(gather(&rows))),
            record["sha256"].as_str().unwrap()
        );
    }
}

#[test]
fn npy_files_are_read_exactly() {
    let expected = expected();
    let files = expected["npy"].as_object().unwrap();
    assert!(files.len() >= 60);
    for access in [Access::Mapped, Access::Positioned, Access::Memory] {
        for (name, record) in files {
            let options = OpenOptions {
                access,
                ..Default::default()
            };
            let path = folder().join("npy").join(name);
            let array = Array::open_with(path, options).unwrap();
            let offset = record["data_offset"].as_u64().unwrap();
            assert_eq!(array.data_offset(), offset, "{name}");
            check(name, &array, record);
        }
    }
}

#[test]
fn npz_archives_are_read_exactly() {
    let expected = expected();
    for (name, record) in expected["npz"].as_object().unwrap() {
        let npz = Npz::open(folder().join("npz").join(name)).unwrap();
        let members = record["members"].as_array().unwrap();
        let names: Vec<_> = members
            .iter()
            .map(|m| m["name"].as_str().unwrap())
            .collect();
        assert_eq!(npz.names(), names, "{name}");
        for member in members {
            let member_name = member["name"].as_str().unwrap();
            match member.get("sha256") {
                Some(_) => check(name, &npz.array(member_name).unwrap(), member),
                None => {
                    let error = npz.array(member_name).unwrap_err();
                    assert_eq!(error.class(), ErrorClass::Dtype, "{error}");
                    assert_eq!(error.array(), Some(member_name));
                }
            }
        }
    }
}

#[test]
fn what_is_not_supported_is_a_typed_error() {
    let expected = expected();
    for name in expected["unsupported"].as_object().unwrap().keys() {
        let error = Array::open(folder().join("unsupported").join(name)).unwrap_err();
        let class = match name.starts_with("object") {
            true => ErrorClass::Object,
            false => ErrorClass::Dtype,
        };
        assert_eq!(error.class(), class, "{error}");
        assert!(error.to_string().contains(name.as_str()), "{error}");
    }
}
