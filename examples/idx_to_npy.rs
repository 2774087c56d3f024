//! Turns IDX files, the format of MNIST and its relatives, into `.npy` files.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use burn_npy::ndarray::{ArrayD, IxDyn};
use flate2::bufread::MultiGzDecoder;

const USAGE: &str = "\
Turn IDX files into NumPy .npy files.

Usage: idx_to_npy IN... OUT_DIR

IN       an IDX file, plain or gzip, or a folder: every IDX file directly in it
OUT_DIR  folder for the .npy files; made if missing, files in it are replaced

The four MNIST names give train_images.npy, train_labels.npy, test_images.npy
and test_labels.npy. Any other file keeps its name, less .gz and .idx*.";

const MAX_DIMS: u8 = 8;

type Result<T> = std::result::Result<T, String>;

fn main() -> ExitCode {
    let mut inputs: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    if inputs.iter().any(|arg| arg == "--help" || arg == "-h") {
        let _ = writeln!(io::stdout(), "{USAGE}");
        return ExitCode::SUCCESS;
    }
    let usage_error = |message: &str| {
        eprintln!("idx_to_npy: {message}\n\n{USAGE}");
        ExitCode::from(2)
    };
    let is_option = |arg: &&PathBuf| arg.to_string_lossy().starts_with('-');
    if let Some(option) = inputs.iter().find(is_option) {
        return usage_error(&format!("unknown option {}", option.display()));
    }
    let out_dir = match inputs.pop() {
        Some(out_dir) if !inputs.is_empty() => out_dir,
        _ => return usage_error("need at least one IN and the OUT_DIR"),
    };
    if out_dir.exists() && !out_dir.is_dir() {
        return usage_error(&format!("OUT_DIR {} is not a folder", out_dir.display()));
    }
    match run(&inputs, &out_dir) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("idx_to_npy: {message}");
            ExitCode::FAILURE
        }
    }
}

/// Converts all inputs, stopping at the first that fails.
fn run(inputs: &[PathBuf], out_dir: &Path) -> Result<()> {
    let mut files = Vec::new();
    for input in inputs {
        if input.is_dir() {
            files.extend(idx_files_in(input).map_err(at(input))?);
        } else {
            files.push(input.clone());
        }
    }
    let mut sources = HashMap::new();
    for file in &files {
        if let Some(other) = sources.insert(output_name(file), file) {
            let (a, b, name) = (other.display(), file.display(), output_name(file));
            return Err(format!("{a} and {b} would both become {name}"));
        }
    }
    fs::create_dir_all(out_dir).map_err(at(out_dir))?;
    for file in &files {
        let name = output_name(file);
        let (dtype, shape) = convert(file, &out_dir.join(&name)).map_err(at(file))?;
        let (source, shape) = (file_name(file), python_tuple(&shape));
        // The reader of a pipe may close it, but still wants the files.
        let _ = writeln!(io::stdout(), "{source} -> {name} {dtype} {shape}");
    }
    Ok(())
}

/// Puts the path in front of an error about it.
fn at<E: std::fmt::Display>(path: &Path) -> impl Fn(E) -> String {
    move |error| format!("{}: {error}", path.display())
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// The IDX files in a folder, sorted: those with an IDX magic, and those with an IDX
/// name, so that a damaged one is reported and not passed over.
fn idx_files_in(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).map_err(|e| e.to_string())? {
        let path = entry.map_err(|e| e.to_string())?.path();
        if path.is_file() {
            let name = file_name(&path);
            let named = name.contains("-idx") || name.contains(".idx");
            match open(&path).and_then(|mut file| read_magic(&mut file)) {
                Err(reason) if !named => eprintln!("skipped {}: {reason}", path.display()),
                _ => files.push(path),
            }
        }
    }
    if files.is_empty() {
        return Err("no IDX files in this folder".into());
    }
    files.sort();
    Ok(files)
}

fn output_name(path: &Path) -> String {
    let name = file_name(path);
    let stem = name.strip_suffix(".gz").unwrap_or(&name);
    match stem.replace(".idx", "-idx").as_str() {
        "train-images-idx3-ubyte" => "train_images.npy".into(),
        "train-labels-idx1-ubyte" => "train_labels.npy".into(),
        "t10k-images-idx3-ubyte" | "test-images-idx3-ubyte" => "test_images.npy".into(),
        "t10k-labels-idx1-ubyte" | "test-labels-idx1-ubyte" => "test_labels.npy".into(),
        _ => match stem.rsplit_once('.') {
            Some((base, ext)) if !base.is_empty() && ext.starts_with("idx") => {
                format!("{base}.npy")
            }
            _ => format!("{stem}.npy"),
        },
    }
}

/// The file's contents, unpacked when it starts like a gzip file.
fn open(path: &Path) -> Result<Box<dyn Read>> {
    let mut file = BufReader::new(File::open(path).map_err(|e| e.to_string())?);
    let start = file.fill_buf().map_err(|e| e.to_string())?;
    if start.starts_with(&[0x1f, 0x8b]) {
        Ok(Box::new(BufReader::new(MultiGzDecoder::new(file))))
    } else {
        Ok(Box::new(file))
    }
}

/// Type code and number of dimensions.
fn read_magic(input: &mut impl Read) -> Result<(u8, u8)> {
    let mut magic = [0; 4];
    read_exact(input, &mut magic)?;
    match magic {
        [0, 0, code @ (0x08 | 0x09 | 0x0b..=0x0e), dims] => match dims {
            1..=MAX_DIMS => Ok((code, dims)),
            _ => Err(format!("has {dims} dimensions, not 1 to {MAX_DIMS}")),
        },
        [0, 0, code, _] => Err(format!("unknown IDX type code {code:#04x}")),
        _ => Err(format!("not an IDX file, it starts with {magic:02x?}")),
    }
}

fn read_exact(input: &mut impl Read, buffer: &mut [u8]) -> Result<()> {
    input
        .read_exact(buffer)
        .map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => "file is truncated".to_string(),
            _ => error.to_string(),
        })
}

/// Converts one IDX file and returns the NumPy name of its type, and its shape.
fn convert(input: &Path, output: &Path) -> Result<(&'static str, Vec<usize>)> {
    let mut input = open(input)?;
    let (code, dims) = read_magic(&mut input)?;
    let mut shape = Vec::new();
    for _ in 0..dims {
        let mut dim = [0; 4];
        read_exact(&mut input, &mut dim)?;
        shape.push(u32::from_be_bytes(dim) as usize);
    }
    let dtype = match code {
        0x08 => transfer::<u8>(&mut input, &shape, output).map(|()| "uint8"),
        0x09 => transfer::<i8>(&mut input, &shape, output).map(|()| "int8"),
        0x0b => transfer::<i16>(&mut input, &shape, output).map(|()| "int16"),
        0x0c => transfer::<i32>(&mut input, &shape, output).map(|()| "int32"),
        0x0d => transfer::<f32>(&mut input, &shape, output).map(|()| "float32"),
        _ => transfer::<f64>(&mut input, &shape, output).map(|()| "float64"),
    }?;
    Ok((dtype, shape))
}

trait Element: burn_npy::file::WriteElement + Copy {
    fn from_be(bytes: &[u8]) -> Self;
}

macro_rules! element {
    ($($type:ty)*) => {$(
        impl Element for $type {
            fn from_be(bytes: &[u8]) -> Self {
                Self::from_be_bytes(bytes.try_into().expect("one element"))
            }
        }
    )*};
}
element!(u8 i8 i16 i32 f32 f64);

/// Reads the elements, which must end where the input ends, and writes the `.npy` file.
fn transfer<T: Element>(input: &mut impl Read, shape: &[usize], output: &Path) -> Result<()> {
    let size = size_of::<T>();
    let bytes = shape.iter().try_fold(size, |n, &dim| n.checked_mul(dim));
    let bytes = bytes.ok_or_else(|| format!("shape {} is too large", python_tuple(shape)))?;
    let count = bytes / size;

    // Memory grows with the data that is there, not with what the header claims.
    let mut elements: Vec<T> = Vec::new();
    let mut buffer = vec![0; bytes.min(64 * 1024)];
    while elements.len() < count {
        let part = buffer.len().min((count - elements.len()) * size);
        let part = &mut buffer[..part];
        read_exact(input, part)?;
        elements.extend(part.chunks_exact(size).map(T::from_be));
    }
    // Reaching the end also makes the gzip decoder compare its checksum.
    if io::copy(&mut input.take(1), &mut io::sink()).map_err(|e| e.to_string())? != 0 {
        return Err(format!("has more data than the {bytes} bytes of its shape"));
    }

    let array = ArrayD::from_shape_vec(IxDyn(shape), elements).map_err(|e| e.to_string())?;
    burn_npy::file::write_npy(output, &array).map_err(|error| error.to_string())
}

fn python_tuple(shape: &[usize]) -> String {
    let comma = if shape.len() == 1 { "," } else { "" };
    let dims: Vec<String> = shape.iter().map(usize::to_string).collect();
    format!("({}{comma})", dims.join(", "))
}
