//! Archives: `.npz` files, which are ZIP archives of `.npy` files.
//!
//! The well-kept `zip` crate reads the directory and inflates; what an archive may make us do is
//! bounded here. Members that are stored are used where they lie.

use std::collections::HashMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use zip::result::ZipError;
use zip::{CompressionMethod, ZipArchive};

use crate::header::{Header, MAX_HEADER_LEN};
use crate::storage::{Reader, Storage};
use crate::{Array, Buffer, Error, ErrorClass, OpenOptions, Result};

/// What an archive may make its reader do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest array, in bytes, that is decoded into memory. 4 GiB unless set.
    pub member_bytes: u64,
    /// How many bytes may be decoded from one archive in all. 16 GiB unless set.
    pub total_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            member_bytes: 4 << 30,
            total_bytes: 16 << 30,
        }
    }
}

/// An open `.npz` archive.
///
/// Opening one reads its directory. Arrays that are stored (`np.savez`) are used where they lie
/// in the file; arrays that are deflated (`np.savez_compressed`) are decoded into memory when they are
/// asked for.
pub struct Npz {
    path: PathBuf,
    options: OpenOptions,
    storage: Storage,
    archive: Mutex<ZipArchive<Reader>>,
    names: Vec<String>,
    members: HashMap<String, usize>,
    decoded: AtomicU64,
}

impl Npz {
    /// Opens an archive by mapping it into memory.
    ///
    /// # Errors
    ///
    /// What the file system says; [`ErrorClass::Zip`] for an archive that cannot be understood;
    /// [`ErrorClass::Duplicate`] if two members have one name.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(path, OpenOptions::default())
    }

    /// Opens an archive with options.
    ///
    /// # Errors
    ///
    /// Those of [`Npz::open`].
    pub fn open_with(path: impl AsRef<Path>, options: OpenOptions) -> Result<Self> {
        let path = path.as_ref();
        let storage = Storage::open(path, options.access)?;
        let archive =
            ZipArchive::new(storage.reader()).map_err(|error| zip_error(error).in_file(path))?;
        let mut names = Vec::new();
        let mut members = HashMap::new();
        for index in 0..archive.len() {
            let name = archive.name_for_index(index).unwrap_or_default();
            // NumPy lists other members too, but they are no arrays.
            let Some(name) = name.strip_suffix(".npy") else {
                continue;
            };
            if members.insert(name.to_owned(), index).is_some() {
                return Err(
                    Error::new(ErrorClass::Duplicate, "two members with this name")
                        .in_array(name)
                        .in_file(path),
                );
            }
            names.push(name.to_owned());
        }
        Ok(Self {
            path: path.to_path_buf(),
            options,
            storage,
            archive: Mutex::new(archive),
            names,
            members,
            decoded: AtomicU64::new(0),
        })
    }

    /// The names of the arrays, without `.npy`, in the order of the archive.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// An array of the archive.
    ///
    /// # Errors
    ///
    /// [`ErrorClass::Name`] if there is none of that name; [`ErrorClass::Limit`] if decoding it
    /// would exceed the [`Limits`]; what [`Array::open`] refuses; and by their classes an archive
    /// that is damaged, encrypted, or compressed in another way than NumPy does.
    pub fn array(&self, name: &str) -> Result<Array> {
        self.open_member(name)
            .map_err(|error| error.in_array(name).in_file(&self.path))
    }

    fn open_member(&self, name: &str) -> Result<Array> {
        let index = *self.members.get(name).ok_or_else(|| {
            let known = known_names(self.names.iter().map(String::as_str));
            Error::new(ErrorClass::Name, format!("no such array; {known}"))
        })?;
        // A panic in the reader leaves nothing half done that matters.
        let mut archive = self.archive.lock().unwrap_or_else(|e| e.into_inner());
        let named = Some((self.path.as_path(), name));
        let (method, data_start, size, compressed_size) = {
            let member = archive.by_index_raw(index).map_err(zip_error)?;
            if member.encrypted() {
                return Err(Error::new(ErrorClass::Encrypted, "the member is encrypted"));
            }
            let data_start = member.data_start();
            (
                member.compression(),
                data_start,
                member.size(),
                member.compressed_size(),
            )
        };
        if data_start
            .checked_add(compressed_size)
            .is_none_or(|end| end > self.storage.len())
        {
            return Err(Error::new(
                ErrorClass::Zip,
                format!("the member is {compressed_size} bytes, more than the file has left"),
            )
            .at(data_start));
        }
        match method {
            CompressionMethod::Stored => {
                if size != compressed_size {
                    return Err(Error::new(
                        ErrorClass::Zip,
                        format!("a stored member of {compressed_size} bytes that claims {size}"),
                    ));
                }
                Array::in_storage(
                    self.storage.clone(),
                    data_start,
                    size,
                    MAX_HEADER_LEN,
                    named,
                )
            }
            CompressionMethod::Deflated => {
                let mut member = archive.by_index(index).map_err(zip_error)?;
                let buffer = self.decode(&mut member, size, compressed_size)?;
                let len = buffer.as_slice().len() as u64;
                Array::in_storage(Storage::memory(buffer), 0, len, MAX_HEADER_LEN, named)
            }
            method => Err(Error::new(
                ErrorClass::Method,
                format!("compressed by {method:?}; expected stored or deflated members"),
            )),
        }
    }

    /// Decodes a member, at most as many bytes as its own header announces. Reading on to the end
    /// makes the reader compare the checksum.
    fn decode(&self, member: &mut impl Read, size: u64, compressed: u64) -> Result<Buffer> {
        let mut head = Vec::new();
        member
            .take((MAX_HEADER_LEN + 12) as u64)
            .read_to_end(&mut head)
            .map_err(decode_error)?;
        let header = Header::parse(&head)?;
        header.check_len(size)?;
        let len = header.data_offset() as u64 + header.nbytes() as u64;
        if size > len {
            return Err(Error::new(
                ErrorClass::Trailing,
                format!("{} bytes after the data of the array", size - len),
            ));
        }
        let limits = self.options.limits;
        if len > limits.member_bytes {
            return Err(Error::new(
                ErrorClass::Limit,
                format!(
                    "{len} bytes when decoded, above the limit of {}; save it with np.savez",
                    limits.member_bytes
                ),
            ));
        }
        // Deflate cannot do better than 1032 to 1, so a larger claim is a lie.
        if len / 1032 > compressed {
            return Err(Error::new(
                ErrorClass::TruncatedData,
                format!("{compressed} compressed bytes cannot hold the {len} announced"),
            ));
        }
        let total = self.decoded.fetch_add(len, Ordering::Relaxed) + len;
        if total > limits.total_bytes {
            return Err(Error::new(
                ErrorClass::Limit,
                format!(
                    "{total} bytes decoded from the archive, above the limit of {}",
                    limits.total_bytes
                ),
            ));
        }
        let mut buffer = Buffer::zeroed(len as usize)?;
        let (start, rest) = buffer
            .as_mut_slice()
            .split_at_mut(head.len().min(len as usize));
        start.copy_from_slice(&head[..start.len()]);
        member.read_exact(rest).map_err(decode_error)?;
        match member.read(&mut [0]).map_err(decode_error)? {
            0 => Ok(buffer),
            _ => Err(Error::new(
                ErrorClass::Trailing,
                "bytes after the data of the array",
            )),
        }
    }
}

impl std::fmt::Debug for Npz {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Npz")
            .field("path", &self.path)
            .field("names", &self.names)
            .finish()
    }
}

/// The names that would have been right, for a message.
pub(crate) fn known_names<'a>(names: impl Iterator<Item = &'a str>) -> String {
    const SHOWN: usize = 20;
    let mut names: Vec<_> = names.take(SHOWN + 1).collect();
    let more = if names.len() > SHOWN { ", ..." } else { "" };
    names.truncate(SHOWN);
    match names.len() {
        0 => "there are none".to_owned(),
        _ => format!("there are {}{more}", names.join(", ")),
    }
}

fn zip_error(error: ZipError) -> Error {
    match error {
        ZipError::Io(error) => decode_error(error),
        ZipError::UnsupportedArchive(what) if what == ZipError::PASSWORD_REQUIRED => {
            Error::new(ErrorClass::Encrypted, "the member is encrypted")
        }
        ZipError::UnsupportedArchive(what) => Error::new(ErrorClass::Method, what),
        error => Error::new(ErrorClass::Zip, error.to_string()),
    }
}

fn decode_error(error: io::Error) -> Error {
    // An error of our own storage comes back out of the reader as it went in.
    let error = match error.downcast::<Error>() {
        Ok(ours) => return ours,
        Err(error) => error,
    };
    let (class, what) = match error.kind() {
        io::ErrorKind::UnexpectedEof => (ErrorClass::TruncatedData, "the member ends too early"),
        io::ErrorKind::InvalidData if error.to_string().contains("checksum") => {
            (ErrorClass::Crc, "the checksum does not match the data")
        }
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
            (ErrorClass::Zip, "the member cannot be decoded")
        }
        _ => (ErrorClass::Io, "cannot read the archive"),
    };
    Error::new(class, what).with_source(error)
}
