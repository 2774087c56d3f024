//! Any bytes as a `.npy` file give an error, or arrays whose rows equal those of the whole array.
#![no_main]

use burn_npy_core::{Array, Convert, DType, ErrorKind, file::{Buffer, Column}};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(array) = Array::from_bytes(data.to_vec()) else {
        return;
    };
    let mut bytes = vec![0; array.nbytes()];
    array.read_bytes(0, &mut bytes).unwrap();
    let mut parts = array.fields();
    parts.push((String::new(), array.clone()));
    let size = array.item().size();
    for &dtype in DType::ALL {
        if size % dtype.size() == 0 {
            parts.extend(
                array
                    .clone()
                    .reinterpret(dtype)
                    .ok()
                    .map(|array| (String::new(), array)),
            );
        }
    }
    for (_, part) in parts {
        check(&part, data);
    }
});

fn gather(column: &Column, rows: &[usize]) -> Vec<u8> {
    let mut out = Buffer::zeroed(rows.len() * column.row_bytes()).unwrap();
    column.gather(rows, out.as_mut_slice()).unwrap();
    out.as_slice().to_vec()
}

fn check(array: &Array, data: &[u8]) {
    let (Ok(whole), Ok(column)) = (Column::whole(array), Column::new(array.clone())) else {
        let _ = array.read::<f32>();
        return;
    };
    let _ = array.view::<u8>();
    let _ = array.view::<bool>();
    if let Ok(values) = array.read::<u8>() {
        assert_eq!(values.shape()[..array.shape().len()], *array.shape());
    }
    // The gathered rows equal those of the whole array.
    let whole = gather(&whole.unconverted(), &[0]);
    let raw = column.clone().unconverted();
    if column.rows() == 0 || column.rows() > 1 << 16 {
        return;
    }
    let rows: Vec<usize> = data
        .iter()
        .rev()
        .take(20)
        .map(|byte| usize::from(*byte) % column.rows())
        .collect();
    let width = raw.row_bytes();
    let expected: Vec<u8> = rows
        .iter()
        .flat_map(|row| &whole[row * width..][..width])
        .copied()
        .collect();
    assert_eq!(gather(&raw, &rows), expected);
    for to in [DType::F32, DType::F16, DType::I64, DType::U8, DType::Bool] {
        for convert in [
            Convert::new().cast(to),
            Convert::new().saturating_cast(to),
            Convert::new().wrapping_cast(to),
        ] {
            let Ok(converted) = column.clone().convert(convert.clone()) else {
                // Only floats cannot be wrapped.
                assert!(column.dtype().is_float() && to.is_int());
                continue;
            };
            let mut out = Buffer::zeroed(rows.len() * converted.row_bytes()).unwrap();
            if let Err(error) = converted.gather(&rows, out.as_mut_slice()) {
                assert_eq!(error.kind(), ErrorKind::Value);
            }
        }
    }
    if let Some(len) = column.row_shape().first() {
        let part = raw.slice(0..len.div_ceil(2)).unwrap();
        gather(&part, &rows);
    }
    assert!(column.row::<f32>(column.rows()).is_err());
}
