//! IDX files, in which MNIST and its relatives come, plain or compressed by gzip.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use burn_npy_core::internal::npy_header_of;
use burn_npy_core::{
    Array, DType,
    file::{ByteOrder, Layout, OpenOptions, RawFormat},
};
use flate2::bufread::MultiGzDecoder;

const GZIP: [u8; 2] = [0x1f, 0x8b];

/// The header of an IDX file.
struct Header {
    dtype: DType,
    shape: Vec<usize>,
    /// The size of the data in bytes.
    nbytes: u64,
}

impl Header {
    /// How long it is.
    fn len(&self) -> u64 {
        4 + 4 * self.shape.len() as u64
    }

    fn read(input: &mut impl Read) -> Result<Self, String> {
        let mut magic = [0; 4];
        read_exact(input, &mut magic)?;
        let [0, 0, code, axes] = magic else {
            return Err(format!("not an IDX file, it starts with {magic:02x?}"));
        };
        let dtype = match code {
            0x08 => DType::U8,
            0x09 => DType::I8,
            0x0b => DType::I16,
            0x0c => DType::I32,
            0x0d => DType::F32,
            0x0e => DType::F64,
            _ => return Err(format!("an IDX file of an unknown type, {code:#04x}")),
        };
        if !(1..=8).contains(&axes) {
            return Err(format!("an IDX file with {axes} axes, not 1 to 8"));
        }
        let mut shape = Vec::new();
        let mut nbytes = dtype.size() as u64;
        for _ in 0..axes {
            let mut len = [0; 4];
            read_exact(input, &mut len)?;
            let len = u32::from_be_bytes(len);
            shape.push(len as usize);
            nbytes = nbytes
                .checked_mul(len.into())
                .ok_or("the shape is too large")?;
        }
        Ok(Self {
            dtype,
            shape,
            nbytes,
        })
    }
}

fn read_exact(input: &mut impl Read, bytes: &mut [u8]) -> Result<(), String> {
    input.read_exact(bytes).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => "an IDX file that was cut off".to_owned(),
        _ => error.to_string(),
    })
}

/// Whether a file is an IDX file by its first bytes or by its name, so that a damaged one is
/// reported and not passed over.
pub(crate) fn is_idx(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if name.contains("-idx") || name.contains(".idx") {
        return path.is_file();
    }
    let mut start = [0; 4];
    let first = |start: &mut [u8]| open(path).ok()?.read_exact(start).ok();
    path.is_file() && first(&mut start).is_some() && matches!(start, [0, 0, 8 | 9 | 11..=14, 1..=8])
}

/// The contents of a file, decoded if it is compressed.
fn open(path: &Path) -> io::Result<Box<dyn Read>> {
    let mut file = BufReader::new(File::open(path)?);
    Ok(match file.fill_buf()?.starts_with(&GZIP) {
        true => Box::new(BufReader::new(MultiGzDecoder::new(file))),
        false => Box::new(file),
    })
}

/// The array of an IDX file. A compressed one is decoded into memory, if it has at most `limit`
/// bytes.
pub(crate) fn array(path: &Path, options: OpenOptions, limit: u64) -> Result<Array, String> {
    let text = |error: io::Error| error.to_string();
    let mut file = File::open(path).map_err(text)?;
    let len = file.metadata().map_err(text)?.len();
    let mut start = [0; 2];
    if file.read_exact(&mut start).is_ok() && start == GZIP {
        return decode(&mut open(path).map_err(text)?, limit);
    }
    let header = Header::read(&mut open(path).map_err(text)?)?;
    let expected = header.nbytes.saturating_add(header.len());
    if expected != len {
        return Err(format!(
            "an IDX file of {} {} has {expected} bytes, but this one has {len}: it was cut off, or \
             is no such file",
            header.dtype,
            crate::table::shape(&header.shape)
        ));
    }
    let format = RawFormat::new(header.dtype).byte_order(ByteOrder::Big);
    let format = format.offset(header.len()).rows(header.shape[0]);
    let format = format.row_shape(&header.shape[1..]);
    Array::open_raw_with(path, format, options).map_err(|error| error.to_string())
}

fn decode(input: &mut impl Read, limit: u64) -> Result<Array, String> {
    let header = Header::read(input)?;
    if header.nbytes > limit {
        return Err(format!(
            "{} bytes after decompression, more than --limit {limit}",
            header.nbytes
        ));
    }
    let descr = format!("'{}'", header.dtype.descr(ByteOrder::Big));
    let mut npy = npy_header_of(&descr, Layout::C, &header.shape);
    let before = npy.len() as u64;
    // Memory grows with the data that is there, not with what the header says. To reach the end
    // makes the decoder compare its checksum.
    let mut data = input.take(header.nbytes.saturating_add(1));
    data.read_to_end(&mut npy)
        .map_err(|error| error.to_string())?;
    let found = npy.len() as u64 - before;
    if found != header.nbytes {
        let more = if found > header.nbytes {
            "more"
        } else {
            "less"
        };
        return Err(format!(
            "{more} data than the {} bytes of its shape",
            header.nbytes
        ));
    }
    Array::from_bytes(npy).map_err(|error| error.to_string())
}

/// What the array of a file is called: the four names of MNIST are those of the examples, and any
/// other file keeps its name without `.gz` and `.idx`.
pub(crate) fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let stem = name.strip_suffix(".gz").unwrap_or(&name);
    match &*stem.replace(".idx", "-idx") {
        "train-images-idx3-ubyte" => "train_images",
        "train-labels-idx1-ubyte" => "train_labels",
        "t10k-images-idx3-ubyte" | "test-images-idx3-ubyte" => "test_images",
        "t10k-labels-idx1-ubyte" | "test-labels-idx1-ubyte" => "test_labels",
        _ => match stem.rsplit_once('.') {
            Some((base, extension)) if !base.is_empty() && extension.starts_with("idx") => base,
            _ => stem,
        },
    }
    .to_owned()
}
