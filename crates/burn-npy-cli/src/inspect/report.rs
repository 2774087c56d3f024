//! Describes arrays as JSON objects.
//!
//! The test of the core's corpus compares such objects too.

use std::path::Path;

use burn_npy_core::internal::without_secrets;
use burn_npy_core::{
    Array, Result,
    file::{Buffer, ByteOrder, Column, ItemKind, Layout, Limits},
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// The number of bytes of an array that are in memory at a time, unless a row is larger.
const CHUNK: usize = 1 << 20;

/// Limits for untrusted files.
pub(crate) fn limits() -> Limits {
    Limits::new().member_bytes(64 << 20).total_bytes(256 << 20)
}

/// An array as an object, or the error.
pub(crate) fn object(file: &Path, member: Option<&str>, array: Result<Array>) -> Value {
    let mut object = json!({"file": without_secrets(file).to_string_lossy(), "member": member});
    let described = array.and_then(|array| describe(&array));
    let more = described.unwrap_or_else(
        |error| json!({"error": error.kind().name(), "message": error.to_string()}),
    );
    if let (Some(object), Value::Object(more)) = (object.as_object_mut(), more) {
        object.extend(more);
    }
    object
}

fn describe(array: &Array) -> Result<Value> {
    let item = array.item();
    let descr = item.to_string();
    let long_axes = array.shape().iter().filter(|len| **len > 1).count();
    // As in NumPy, an array in both layouts counts as C.
    let fortran = array.layout() == Layout::Fortran && long_axes > 1 && array.nbytes() > 0;
    let mut object = json!({
        "dtype": descr,
        "shape": array.shape(),
        "order": if fortran { "F" } else { "C" },
        "version": array.version().map(|(major, minor)| [major, minor]),
        "data_offset": array.data_offset(),
        "nbytes": array.nbytes(),
        "itemsize": item.size(),
    });
    if Column::new(array.clone()).is_ok_and(|column| column.is_scattered()) {
        // Gathered at a cache line for each element of a row.
        object["rows"] = "scattered".into();
    }
    let plain = matches!(item.kind(), ItemKind::Number(..) | ItemKind::Complex(..));
    if plain {
        let digest = elements(array)?;
        object["sha256"] = digest.sha256();
        if array.nbytes() > 0 {
            object["first_hex"] = hex(&digest.first).into();
            object["last_hex"] = hex(&digest.last).into();
        }
    } else {
        object["descr"] = descr.into();
        object["raw_sha256"] = stored(array)?.into();
    }
    Ok(object)
}

#[derive(Default)]
struct Elements {
    hasher: Sha256,
    first: Vec<u8>,
    last: Vec<u8>,
}

impl Elements {
    fn sha256(&self) -> Value {
        hex(&self.hasher.clone().finalize()).into()
    }
}

/// The elements in C order as little-endian bytes.
fn elements(array: &Array) -> Result<Elements> {
    let column = match array.shape() {
        [] => Column::whole(array)?,
        _ => Column::new(array.clone())?,
    }
    .unconverted();
    let (size, width) = (array.item().size(), column.dtype().size());
    let mut elements = Elements::default();
    if array.nbytes() == 0 {
        return Ok(elements);
    }
    let per_chunk = (CHUNK / column.row_bytes()).clamp(1, column.rows());
    let mut buffer = Buffer::zeroed(per_chunk * column.row_bytes())?;
    let mut rows = Vec::new();
    for start in (0..column.rows()).step_by(per_chunk) {
        rows.clear();
        rows.extend(start..column.rows().min(start + per_chunk));
        buffer.set_len(rows.len() * column.row_bytes());
        let bytes = buffer.as_mut_slice();
        column.gather(&rows, bytes)?;
        if ByteOrder::NATIVE == ByteOrder::Big {
            bytes.chunks_exact_mut(width).for_each(<[u8]>::reverse);
        }
        elements.hasher.update(&*bytes);
        if start == 0 {
            elements.first = bytes[..size].to_vec();
        }
        elements.last = bytes[bytes.len() - size..].to_vec();
    }
    Ok(elements)
}

/// The digest of the data as it is stored.
fn stored(array: &Array) -> Result<String> {
    let mut hasher = Sha256::new();
    let mut chunk = vec![0; CHUNK.min(array.nbytes())];
    let mut at = 0;
    while at < array.nbytes() {
        let len = chunk.len().min(array.nbytes() - at);
        array.read_bytes(at, &mut chunk[..len])?;
        hasher.update(&chunk[..len]);
        at += len;
    }
    Ok(hex(&hasher.finalize()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
