//! Reads arrays that NumPy wrote, gathers rows of them, and writes it all for NumPy to compare.
//!
//! `tests/numpy/roundtrip.py` makes the folder, runs this program on it, and compares.

use std::error::Error;
use std::path::Path;

use burn_npy_core::half::f16;
use burn_npy_core::ndarray::{Array1, ArrayD, Axis};
use burn_npy_core::{
    Array, DType,
    file::{
        Access, Buffer, Column, Npz, NpzWriter, OpenOptions, WriteElement, append_npy, write_npy,
    },
};
use serde_json::Value;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args_os()
        .nth(1)
        .ok_or("usage: roundtrip FOLDER")?;
    let folder = Path::new(&folder);
    let jobs: Vec<Value> = serde_json::from_slice(&std::fs::read(folder.join("jobs.json"))?)?;
    for (number, job) in jobs.iter().enumerate() {
        run(folder, number, job).map_err(|error| format!("{job}: {error}"))?;
    }
    Ok(())
}

fn run(folder: &Path, number: usize, job: &Value) -> Result<(), Box<dyn Error>> {
    let file = folder.join(job["file"].as_str().ok_or("no file")?);
    let options =
        OpenOptions::new().access([Access::Mapped, Access::Positioned, Access::Memory][number % 3]);
    let array = match job["member"].as_str() {
        Some(member) => {
            let npz = Npz::open_with(&file, options)?;
            npz.verify(member)?;
            npz.array(member)?
        }
        None => Array::open_with(&file, options)?,
    };
    let rows: Vec<usize> = serde_json::from_value(job["rows"].clone())?;
    let mut parts = array.fields();
    if parts.is_empty() {
        parts.push((String::new(), array));
    }
    let mut out = NpzWriter::create(folder.join(format!("{number}.out.npz")))?;
    for (name, part) in &parts {
        if !part.shape().is_empty() {
            let column = Column::new(part.clone())?.unconverted();
            let mut gathered = Buffer::zeroed(rows.len() * column.row_bytes())?;
            column.gather(&rows, gathered.as_mut_slice())?;
            let bytes = Array1::from(gathered.as_slice().to_vec());
            out.add(&format!("{name}.rows"), &bytes)?;
        }
        write(
            &mut out,
            &folder.join(format!("{number}.{name}.npy")),
            name,
            part,
        )?;
    }
    out.finish()?;
    Ok(())
}

fn write(npz: &mut NpzWriter, npy: &Path, name: &str, part: &Array) -> Result<(), Box<dyn Error>> {
    match part.dtype().ok_or("no numbers")? {
        DType::Bool => write_typed::<bool>(npz, npy, name, part),
        DType::I8 => write_typed::<i8>(npz, npy, name, part),
        DType::I16 => write_typed::<i16>(npz, npy, name, part),
        DType::I32 => write_typed::<i32>(npz, npy, name, part),
        DType::I64 => write_typed::<i64>(npz, npy, name, part),
        DType::U8 => write_typed::<u8>(npz, npy, name, part),
        DType::U16 => write_typed::<u16>(npz, npy, name, part),
        DType::U32 => write_typed::<u32>(npz, npy, name, part),
        DType::U64 => write_typed::<u64>(npz, npy, name, part),
        DType::F16 => write_typed::<f16>(npz, npy, name, part),
        DType::F32 => write_typed::<f32>(npz, npy, name, part),
        DType::F64 => write_typed::<f64>(npz, npy, name, part),
        other => Err(format!("{other} in a file of NumPy").into()),
    }
}

/// Writes the array to the archive at once, and to the `.npy` file in two pieces.
fn write_typed<T: WriteElement + Copy>(
    npz: &mut NpzWriter,
    npy: &Path,
    name: &str,
    part: &Array,
) -> Result<(), Box<dyn Error>> {
    let values: ArrayD<T> = part.read()?;
    npz.add(&format!("{name}.all"), &values)?;
    if values.ndim() == 0 {
        write_npy(npy, &values)?;
        return Ok(());
    }
    let (first, rest) = values.view().split_at(Axis(0), values.len_of(Axis(0)) / 2);
    append_npy(npy, &first)?;
    append_npy(npy, &rest)?;
    Ok(())
}
