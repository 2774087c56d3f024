//! Gives any bytes to this crate and to NumPy. If both accept them, the values must be equal. If
//! NumPy refuses them, this crate must too. If NumPy could have written them, this crate must
//! accept them.
#![no_main]

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock};

use burn_npy_core::{
    Array, Error, ErrorKind, Result, file::{Buffer, Column, Header, Limits, Npz, OpenOptions},
};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

fuzz_target!(|data: &[u8]| {
    let numpy = verdict(data);
    let ours = if data.starts_with(b"PK") {
        archive(data)
    } else {
        Array::from_bytes(data.to_vec()).and_then(|array| Ok(json!([describe("", &array)?])))
    };
    match ours {
        Ok(_) if numpy["arrays"].is_null() && (is_about_lines(data) || is_more(data)) => {}
        Ok(ours) => assert_eq!(ours, numpy["arrays"], "NumPy says {numpy}"),
        Err(error) => assert!(
            numpy["canonical"] != true || may_refuse(&error),
            "refused what NumPy writes: {error}; NumPy says {numpy}"
        ),
    }
});

/// To Python a line break ends the expression, and the white space at the start of a line counts,
/// by rules that differ between the versions of the format. Here white space is white space.
fn is_about_lines(data: &[u8]) -> bool {
    let header = header(data);
    let header = header.strip_suffix(b"\n").unwrap_or(header);
    header.iter().any(|byte| b"\n\r\x0c#\\".contains(byte))
}

/// What this crate reads and NumPy does not: dtypes of `ml_dtypes` that NumPy writes, and NumPy's
/// own integers, such as `np.int64(2)`.
fn is_more(data: &[u8]) -> bool {
    let header = header(data);
    let has = |text: &[u8]| header.windows(text.len()).any(|part| part == text);
    // A name before a bracket.
    let is_call = |before: &[u8]| {
        let last = before.trim_ascii_end().last();
        last.is_some_and(|last| last.is_ascii_alphanumeric() || *last == b'_')
    };
    let mut brackets = (0..header.len()).filter(|at| header[*at] == b'(');
    has(b"f1") || has(b"W4") || brackets.any(|at| is_call(&header[..at]))
}

/// The header of a file; all of an archive, since the headers of its members are somewhere in it.
fn header(data: &[u8]) -> &[u8] {
    match Header::parse(data) {
        Ok(header) => &data[..header.data_offset()],
        Err(_) => data,
    }
}

/// Objects are never loaded, and a few dtypes have no numbers that Rust knows.
fn may_refuse(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Object | ErrorKind::Dtype | ErrorKind::HeaderTooLarge | ErrorKind::Limit
    )
}

fn archive(data: &[u8]) -> Result<Value> {
    let limits = Limits::new().member_bytes(1 << 20).total_bytes(4 << 20);
    let options = OpenOptions::new().limits(limits);
    let npz = Npz::from_bytes(data.to_vec(), options)?;
    let describe = |name: &String| describe(name, &npz.array(name)?);
    npz.names()
        .iter()
        .map(describe)
        .collect::<Result<Vec<_>>>()
        .map(Value::from)
}

/// Name, size of an item, shape, and for each part a checksum of its numbers in C order. Opaque
/// parts are left out.
fn describe(name: &str, array: &Array) -> Result<Value> {
    let mut parts = array.fields();
    if parts.is_empty() {
        parts.push((String::new(), array.clone()));
    }
    let mut sums = Vec::new();
    for (part, array) in parts {
        if array.dtype().is_none() {
            continue;
        }
        let column = Column::whole(&array)?.unconverted();
        let mut out = Buffer::zeroed(column.row_bytes())?;
        column.gather(&[0], out.as_mut_slice())?;
        sums.push(json!([part, crc32fast::hash(out.as_slice())]));
    }
    Ok(json!([name, array.item().size(), array.shape(), sums]))
}

/// The result of NumPy, in a process that lives as long as this one.
fn verdict(data: &[u8]) -> Value {
    static NUMPY: OnceLock<Mutex<Child>> = OnceLock::new();
    let start = || {
        let python = std::env::var("BURN_NPY_PYTHON").unwrap_or_else(|_| "python3".to_owned());
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/verdict.py");
        let mut command = Command::new(python);
        command
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        Mutex::new(command.spawn().expect("a Python with NumPy"))
    };
    let mut numpy = NUMPY.get_or_init(start).lock().unwrap();
    let input = numpy.stdin.as_mut().unwrap();
    input.write_all(&(data.len() as u32).to_le_bytes()).unwrap();
    input.write_all(data).unwrap();
    input.flush().unwrap();
    let output = numpy.stdout.as_mut().unwrap();
    let mut len = [0; 4];
    output.read_exact(&mut len).unwrap();
    let mut answer = vec![0; u32::from_le_bytes(len) as usize];
    output.read_exact(&mut answer).unwrap();
    serde_json::from_slice(&answer).unwrap()
}
