//! Guesses from its first bytes what an unexpected file is, for error messages.

use std::fmt::Write;

use crate::format::header::MAGIC;
use crate::storage::Storage;
use crate::{Error, ErrorKind};

/// The number of first bytes that are examined. The magic bytes of a `tar` file are at byte 257.
pub(crate) const LOOKED_AT: usize = 264;
/// The number of bytes that a message shows.
const SHOWN: usize = 16;

/// Kinds of files that may be mistaken for a NumPy file: their magic bytes, what they are, and what
/// to do about it.
const KINDS: &[(&[u8], &str, &str)] = &[
    (
        MAGIC,
        "a .npy file",
        "open it with Array::open or NpyDataset::open",
    ),
    (
        b"PK\x03\x04",
        "a ZIP archive, as .npz files are",
        "open it with Npz::open or NpyDataset::open",
    ),
    (
        b"PK\x05\x06",
        "a ZIP archive without members",
        "nothing is in it",
    ),
    (
        b"version https://git-lfs",
        "a pointer of Git LFS in place of the file",
        "fetch the file with `git lfs pull`",
    ),
    (
        b"\x1f\x8b",
        "gzip",
        "decompress it first, with `gunzip < FILE > x.npy`",
    ),
    (b"\xfd7zXZ\0", "XZ", "decompress it first, with `unxz`"),
    (
        b"\x28\xb5\x2f\xfd",
        "Zstandard",
        "decompress it first, with `unzstd`",
    ),
    (b"BZh", "bzip2", "decompress it first, with `bunzip2`"),
    (
        b"\x04\x22\x4d\x18",
        "LZ4",
        "decompress it first, with `unlz4`",
    ),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "unpack it first"),
    (b"Rar!\x1a\x07", "a RAR archive", "unpack it first"),
    (
        b"\x89HDF\r\n\x1a\n",
        "HDF5",
        "save each of its arrays: np.save(\"x.npy\", h5py.File(path)[\"x\"][()])",
    ),
    (
        b"CDF\x01",
        "NetCDF",
        "save each of its variables with np.save",
    ),
    (
        b"CDF\x02",
        "NetCDF",
        "save each of its variables with np.save",
    ),
    (
        b"MATLAB 5.0",
        "a MATLAB file",
        "save its arrays with np.savez, from scipy.io.loadmat(path)",
    ),
    (
        b"PAR1",
        "Parquet",
        "save its columns: np.save(\"x.npy\", pd.read_parquet(path)[\"x\"].to_numpy())",
    ),
    (
        b"ARROW1",
        "Arrow",
        "save its columns: np.save(\"x.npy\", pd.read_feather(path)[\"x\"].to_numpy())",
    ),
    (
        b"SQLite format 3\0",
        "an SQLite database",
        "save its columns with np.save",
    ),
    (b"GGUF", "GGUF, the weights of a model", NO_ARRAYS),
    (b"\x89PNG", "a PNG image", IMAGE),
    (b"\xff\xd8\xff", "a JPEG image", IMAGE),
    (b"GIF8", "a GIF image", IMAGE),
    (b"II*\0", "a TIFF image", IMAGE),
    (b"MM\0*", "a TIFF image", IMAGE),
    (b"RIFF", "RIFF, such as WAV or WebP", NO_ARRAYS),
    (b"%PDF", "a PDF document", NO_ARRAYS),
];

const IMAGE: &str = "save its pixels: np.save(\"x.npy\", np.asarray(PIL.Image.open(path)))";
const NO_ARRAYS: &str = "save its numbers with np.save";

/// The error for a part of a storage that does not start like `expected`, such as ".npy file".
pub(crate) fn not_a(expected: &str, storage: &Storage, start: u64, len: u64) -> Error {
    let mut bytes = vec![0; len.min(LOOKED_AT as u64) as usize];
    match storage.read_at(start, &mut bytes) {
        Ok(()) => begins_otherwise(expected, &bytes, len),
        Err(error) => error,
    }
}

/// The same for a file of `len` bytes that starts with `start`.
pub(crate) fn begins_otherwise(expected: &str, start: &[u8], len: u64) -> Error {
    let message = match start {
        [] => format!("not a {expected}: the file is empty"),
        _ => {
            let shown = shown(start);
            let (what, advice) = describe(start, len);
            format!("not a {expected}: it begins with {shown}; {what}: {advice}")
        }
    };
    Error::new(ErrorKind::Magic, message)
}

/// What the file may be, and what to do about it.
fn describe(start: &[u8], len: u64) -> (String, &'static str) {
    let kind = KINDS.iter().find(|(magic, ..)| start.starts_with(magic));
    if let Some((_, what, advice)) = kind {
        return (format!("this is {what}"), advice);
    }
    let is = |what: &str, advice| (format!("this may be {what}"), advice);
    let text = start.trim_ascii_start();
    let begins = |with: &[u8]| {
        let head = text.get(..with.len());
        head.is_some_and(|head| head.eq_ignore_ascii_case(with))
    };
    if start.len() < MAGIC.len() + 2 && (MAGIC.starts_with(start) || start.starts_with(MAGIC)) {
        return is("a .npy file that was cut off", "write or download it anew");
    }
    if start.len() < 4 && b"PK\x03\x04".starts_with(start) {
        return is("a .npz file that was cut off", "write or download it anew");
    }
    if begins(b"<!doctype") || begins(b"<html") || begins(b"<?xml") {
        return is(
            "an HTML page in place of the file, from a download that failed",
            "download it anew",
        );
    }
    if start.get(257..262) == Some(b"ustar") {
        return is("a tar archive", "unpack it first, with `tar -xf`");
    }
    if is_safetensors(start, len) {
        return is(
            "safetensors",
            "save its tensors: np.savez(\"x.npz\", **safetensors.numpy.load_file(path))",
        );
    }
    if let [0, 0, 8 | 9 | 11..=14, 1..=4, ..] = start {
        return is(
            "an IDX file, in which MNIST comes",
            "`burn-npy convert`, of the crate burn-npy-cli, makes a .npy file of it",
        );
    }
    if let [0x80, 2..=5, ..] = start {
        return is(
            "a pickle, which is never loaded since that may run any code",
            "load it in Python, if you trust it, and save its arrays with np.savez",
        );
    }
    if begins(b"{") && is_text(start) {
        return is("JSON", "save its numbers with np.save");
    }
    if is_text(start) {
        return is(
            "text, such as CSV",
            "`burn-npy convert`, of the crate burn-npy-cli, makes a .npy file of numbers",
        );
    }
    is(
        "raw numbers, as ndarray.tofile and np.memmap write them",
        "np.save(\"x.npy\", np.fromfile(path, dtype=...).reshape(...)) makes a .npy file of them",
    )
}

/// A safetensors file starts with the length of its header, and the header with a brace.
fn is_safetensors(start: &[u8], len: u64) -> bool {
    let header = start.first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
    header.is_some_and(|header| header < len) && start.get(8..10) == Some(b"{\"")
}

fn is_text(start: &[u8]) -> bool {
    // The last character may be incomplete.
    let text = match std::str::from_utf8(start) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&start[..error.valid_up_to()]).unwrap_or("")
        }
        Err(_) => return false,
    };
    let shows = |c: char| !c.is_control() || c.is_ascii_whitespace();
    !text.is_empty() && text.chars().all(shows)
}

/// The first bytes, as numbers and as text.
fn shown(start: &[u8]) -> String {
    let bytes = &start[..start.len().min(SHOWN)];
    let mut out = String::new();
    for byte in bytes {
        let _ = write!(out, "{byte:02x} ");
    }
    let _ = write!(out, "(\"{}\")", bytes.escape_ascii());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(start: &[u8]) -> String {
        let error = begins_otherwise(".npy file", start, 1000);
        assert_eq!(error.kind(), ErrorKind::Magic);
        error.to_string()
    }

    #[test]
    fn what_a_file_is_instead_is_said_with_a_way_out() {
        let mut tar = vec![b'a'; 512];
        tar[100] = 0;
        tar[257..262].copy_from_slice(b"ustar");
        let safetensors = b"\x40\0\0\0\0\0\0\0{\"__metadata__\":";
        for (start, what, way_out) in [
            (
                &b"version https://git-lfs.github.com/spec/v1\n"[..],
                "Git LFS",
                "git lfs pull",
            ),
            (b"\n <!DOCTYPE html><html>", "download that failed", "anew"),
            (
                b"<?xml version=\"1.0\"?><Error>",
                "download that failed",
                "anew",
            ),
            (b"\x1f\x8b\x08\0", "gzip", "gunzip"),
            (b"\xfd7zXZ\0\0", "XZ", "unxz"),
            (b"\x28\xb5\x2f\xfd\x04", "Zstandard", "unzstd"),
            (b"BZh91AY", "bzip2", "bunzip2"),
            (b"\x89HDF\r\n\x1a\n\0", "HDF5", "h5py"),
            (b"\x80\x04\x95", "pickle", "np.savez"),
            (b"PAR1\x15", "Parquet", "read_parquet"),
            (b"\x89PNG\r\n", "PNG", "PIL"),
            (b"\xff\xd8\xff\xe0", "JPEG", "PIL"),
            (safetensors, "safetensors", "load_file"),
            (&tar, "tar archive", "tar -xf"),
            (b"PK\x03\x04\x14\0", "ZIP", "Npz::open"),
            (b"\x93NUM", "cut off", "anew"),
            (b"\x93NUMPY\x01", "a .npy file", ""),
            (b"P", "cut off", "anew"),
            (b"\0\0\x08\x03\0\0\xea\x60", "IDX", "burn-npy convert"),
            (b"1.5,2.5\n3.5,4.5\n", "CSV", "burn-npy convert"),
            ("\u{feff}x,y\n".as_bytes(), "CSV", "burn-npy convert"),
            (b" {\"a\": [1, 2]}", "JSON", "np.save"),
            (&[0; 112], "raw numbers", "np.fromfile"),
            (&1.5_f64.to_le_bytes(), "raw numbers", "np.fromfile"),
        ] {
            let said = said(start);
            assert!(
                said.starts_with("not a .npy file: it begins with "),
                "{said}"
            );
            assert!(said.contains(what) && said.contains(way_out), "{said}");
        }
        assert_eq!(said(b""), "not a .npy file: the file is empty");
    }

    #[test]
    fn what_is_shown_is_short_and_escaped() {
        let said = said(&[b'\x1b', b'[', b'\n', b'"', 0xff, b'a', b'b', b'c']);
        let shown = r#"it begins with 1b 5b 0a 22 ff 61 62 63 ("\x1b[\n\"\xffabc");"#;
        assert!(said.contains(shown), "{said}");
        let long = super::shown(&[b'x'; 1000]);
        assert_eq!(long.len(), SHOWN * 4 + 4);
    }

    #[test]
    fn a_character_that_is_cut_off_is_text_still() {
        assert!(is_text(&"\u{e4}\u{e4}".as_bytes()[..3]));
        assert!(!is_text(b"\xe4\xe4"));
        assert!(!is_text(b"abc\0"));
        assert!(!is_text(b""));
    }
}
