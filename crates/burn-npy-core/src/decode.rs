//! Decodes deflated arrays within limits.

use std::fs::File;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::format::header::{Header, Prefix};
use crate::format::magic;
use crate::storage::{IO_BYTES, Storage};
use crate::zip::{Contents, Member};
use crate::{Buffer, Error, ErrorKind, Limits, OpenOptions, Result};

/// The number of bytes that were decoded from an archive so far.
#[derive(Debug, Default)]
pub(crate) struct Total(AtomicU64);

/// A part of the total that is reserved for one array. It is returned when dropped, unless it is
/// kept.
#[derive(Debug)]
struct Share<'a> {
    total: &'a AtomicU64,
    len: u64,
}

impl Total {
    fn take(&self, len: u64, limit: u64) -> Result<Share<'_>> {
        let more = |total: u64| total.checked_add(len).filter(|&total| total <= limit);
        match self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
        {
            Ok(_) => Ok(Share {
                total: &self.0,
                len,
            }),
            Err(total) => Err(Error::new(
                ErrorKind::Limit,
                format!(
                    "{len} bytes when decoded, with {total} before them above the limit of {limit} \
                     for all, which Limits::total_bytes of OpenOptions::limits raises"
                ),
            )),
        }
    }
}

impl Share<'_> {
    fn keep(mut self) {
        self.len = 0;
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        self.total.fetch_sub(self.len, Ordering::Relaxed);
    }
}

/// Decodes the header of a deflated `.npy` member. Returns it with the bytes that were decoded.
pub(crate) fn read_header(
    contents: &mut Contents<'_>,
    member: &Member,
    limits: &Limits,
) -> Result<(Header, Vec<u8>)> {
    let mut head = vec![0; member.size.min(Prefix::MAX_LEN as u64) as usize];
    contents.read_exact(&mut head)?;
    let start = head.len();
    let prefix = match Prefix::parse(&head, member.size, limits.header_bytes) {
        Err(error) if error.kind() == ErrorKind::Magic => {
            head.resize(member.size.min(magic::LOOKED_AT as u64) as usize, 0);
            if contents.read_exact(&mut head[start..]).is_err() {
                head.truncate(start);
            }
            return Err(magic::begins_otherwise(".npy file", &head, member.size));
        }
        prefix => prefix?,
    };
    // With an empty dictionary, the header ends before the longest prefix does.
    head.resize(prefix.data_offset.max(start), 0);
    contents.read_exact(&mut head[start..])?;
    let header = Header::parse_after(&prefix, &head)?;
    header.check_len(member.size)?;
    Ok((header, head))
}

/// Decodes the array of a deflated `.npy` member. Bytes after the array are decoded for the
/// checksum and dropped.
pub(crate) fn decode(
    mut contents: Contents<'_>,
    member: &Member,
    options: &OpenOptions,
    total: &Total,
) -> Result<Storage> {
    let limits = options.limits;
    let (header, head) = read_header(&mut contents, member, &limits)?;
    let len = header.data_offset() as u64 + header.nbytes() as u64;
    check_size(len, &limits)?;
    if member.size > limits.member_bytes {
        return Err(Error::new(
            ErrorKind::Trailing,
            format!(
                "{} bytes after the data of the array; with them the member is above the limit of \
                 {}, which Limits::member_bytes of OpenOptions::limits raises",
                member.size - len,
                limits.member_bytes
            ),
        ));
    }
    let share = total.take(len, limits.total_bytes)?;
    let storage = if len <= limits.memory_bytes {
        into_memory(contents, &head, len)?
    } else {
        into_file(contents, &head, len, options)?
    };
    share.keep();
    Ok(storage)
}

/// Checks that a deflated member may have `len` bytes.
pub(crate) fn check_size(len: u64, limits: &Limits) -> Result<()> {
    if len <= limits.member_bytes {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Limit,
        format!(
            "{len} bytes when decoded, above the limit of {}, which Limits::member_bytes of \
             OpenOptions::limits raises; what np.savez writes is not decoded",
            limits.member_bytes
        ),
    ))
}

fn into_memory(mut contents: Contents<'_>, head: &[u8], len: u64) -> Result<Storage> {
    let buffer = Buffer::zeroed(usize::try_from(len).unwrap_or(usize::MAX));
    let mut buffer = buffer.map_err(|error| {
        let message = error.message();
        let way_out = "with a lower Limits::memory_bytes the array is decoded into a file";
        Error::new(error.kind(), format!("{message}; {way_out}"))
    })?;
    let (start, rest) = buffer.as_mut_slice().split_at_mut(head.len());
    start.copy_from_slice(head);
    contents.read_exact(rest)?;
    contents.verify()?;
    Ok(Storage::memory(buffer))
}

fn into_file(
    mut contents: Contents<'_>,
    head: &[u8],
    len: u64,
    options: &OpenOptions,
) -> Result<Storage> {
    let mut file = unnamed_file(options)
        .map_err(|error| Error::io("cannot create a temporary file to decode into", error))?;
    let mut write = |bytes: &[u8]| {
        file.write_all(bytes)
            .map_err(|error| Error::io("cannot write to a temporary file", error))
    };
    write(head)?;
    let mut left = len - head.len() as u64;
    let mut chunk = vec![0; IO_BYTES];
    while left > 0 {
        let chunk = &mut chunk[..left.min(IO_BYTES as u64) as usize];
        contents.read_exact(chunk)?;
        write(chunk)?;
        left -= chunk.len() as u64;
    }
    contents.verify()?;
    Storage::unnamed(&file)
}

fn unnamed_file(options: &OpenOptions) -> std::io::Result<File> {
    match &options.cache_dir {
        Some(dir) => tempfile::tempfile_in(dir),
        None => tempfile::tempfile(),
    }
}
