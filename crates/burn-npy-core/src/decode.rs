//! Deflated arrays, decoded within limits.

use std::fs::File;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::format::header::{Header, Prefix};
use crate::storage::Storage;
use crate::zip::{Contents, Member};
use crate::{Buffer, Error, ErrorClass, Limits, OpenOptions, Result};

/// How much of a member that goes to a file is in memory at a time.
const CHUNK: usize = 1 << 20;

/// How many bytes were decoded from an archive so far.
#[derive(Debug, Default)]
pub(crate) struct Total(AtomicU64);

/// A part of the total that is given back unless it is kept.
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
                ErrorClass::Limit,
                format!(
                    "{len} bytes when decoded, with {total} before them above the limit of {limit} for all"
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

/// Decodes a deflated `.npy` member: at most as many bytes as its own header announces, and no fewer.
pub(crate) fn decode(
    mut contents: Contents<'_>,
    member: &Member,
    options: &OpenOptions,
    total: &Total,
) -> Result<Storage> {
    let limits = options.limits;
    let mut head = vec![0; member.size.min(Prefix::MAX_LEN as u64) as usize];
    contents.read_exact(&mut head)?;
    let prefix = Prefix::parse(&head, member.size, limits.header_bytes)?;
    let start = head.len();
    // An empty dictionary would end before the longest prefix does.
    head.resize(prefix.data_offset.max(start), 0);
    contents.read_exact(&mut head[start..])?;
    let header = Header::parse_after(&prefix, &head)?;
    header.check_len(member.size)?;
    let len = header.data_offset() as u64 + header.nbytes() as u64;
    if member.size > len {
        return Err(Error::new(
            ErrorClass::Trailing,
            format!("{} bytes after the data of the array", member.size - len),
        ));
    }
    check_size(len, &limits)?;
    let share = total.take(len, limits.total_bytes)?;
    let storage = match len <= limits.memory_bytes {
        true => into_memory(contents, &head, len)?,
        false => into_file(contents, &head, len, options)?,
    };
    share.keep();
    Ok(storage)
}

/// Whether a deflated member may have so many bytes.
pub(crate) fn check_size(len: u64, limits: &Limits) -> Result<()> {
    match len <= limits.member_bytes {
        true => Ok(()),
        false => Err(Error::new(
            ErrorClass::Limit,
            format!(
                "{len} bytes when decoded, above the limit of {}; save it with np.savez",
                limits.member_bytes
            ),
        )),
    }
}

fn into_memory(mut contents: Contents<'_>, head: &[u8], len: u64) -> Result<Storage> {
    let mut buffer = Buffer::zeroed(usize::try_from(len).unwrap_or(usize::MAX))?;
    let (start, rest) = buffer.as_mut_slice().split_at_mut(head.len());
    start.copy_from_slice(head);
    contents.read_exact(rest)?;
    contents.finish()?;
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
    let mut chunk = vec![0; CHUNK];
    while left > 0 {
        let chunk = &mut chunk[..left.min(CHUNK as u64) as usize];
        contents.read_exact(chunk)?;
        write(chunk)?;
        left -= chunk.len() as u64;
    }
    contents.finish()?;
    Storage::unnamed(&file)
}

fn unnamed_file(options: &OpenOptions) -> std::io::Result<File> {
    match &options.cache_dir {
        Some(dir) => tempfile::tempfile_in(dir),
        None => tempfile::tempfile(),
    }
}
