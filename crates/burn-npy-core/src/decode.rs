//! Decodes deflated arrays within limits.

use std::fs::File;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::format::header::{Header, Prefix};
use crate::format::magic;
use crate::storage::{IO_BYTES, Storage};
use crate::zip::{Contents, Member};
use crate::{Buffer, Error, ErrorKind, Limits, OpenOptions, Result};

/// How many bytes of the decoded arrays of an archive are held.
#[derive(Debug, Default)]
pub(crate) struct Total(Arc<AtomicU64>);

/// The part of the total that one array takes. It lives with the bytes of the array, and is
/// returned when it is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    total: Arc<AtomicU64>,
    len: u64,
}

impl Total {
    fn take(&self, len: u64, limit: u64) -> Result<Share> {
        let more = |held: u64| held.checked_add(len).filter(|&held| held <= limit);
        let taken = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        taken.map_err(|held| {
            Error::new(
                ErrorKind::Limit,
                format!(
                    "{len} bytes when decoded, and arrays of this archive that are in use hold \
                     {held}; together that is above the limit of {limit}: drop some of them, or \
                     raise Limits::total_bytes of OpenOptions::limits"
                ),
            )
        })?;
        let total = self.0.clone();
        Ok(Share { total, len })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.total.fetch_sub(self.len, Ordering::Relaxed);
    }
}

/// A decoded array in memory.
struct Decoded {
    // The memory goes first, and then its share.
    buffer: Buffer,
    _share: Share,
}

impl AsRef<[u8]> for Decoded {
    fn as_ref(&self) -> &[u8] {
        self.buffer.as_slice()
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
    if len <= limits.memory_bytes {
        into_memory(contents, &head, len, share)
    } else {
        into_file(contents, &head, len, share, options)
    }
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

fn into_memory(mut contents: Contents<'_>, head: &[u8], len: u64, share: Share) -> Result<Storage> {
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
    Ok(Storage::memory(Decoded {
        buffer,
        _share: share,
    }))
}

fn into_file(
    mut contents: Contents<'_>,
    head: &[u8],
    len: u64,
    share: Share,
    options: &OpenOptions,
) -> Result<Storage> {
    let mut file = temporary_file(options)
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
    Storage::temporary(&file, share)
}

fn temporary_file(options: &OpenOptions) -> std::io::Result<File> {
    match &options.cache_dir {
        Some(dir) => tempfile::tempfile_in(dir),
        None => tempfile::tempfile(),
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use ndarray_npy::WriteNpyExt;

    use super::*;
    use crate::zip::naive::{Archive, Entry};
    use crate::{Array, Column, Npz};

    /// The header, and 16,000 bytes of data.
    const LEN: u64 = 128 + 16_000;

    /// An archive of deflated arrays `a` and `b`, of which `arrays` may be held, and `bad`, whose
    /// checksum is wrong. They are decoded into memory, or into files.
    fn archive(arrays: u64, in_memory: bool) -> Npz {
        let mut bytes = Vec::new();
        ndarray::Array2::from_shape_fn((2000, 2), |(i, j)| (2 * i + j) as i32)
            .write_npy(&mut bytes)
            .unwrap();
        assert_eq!(bytes.len() as u64, LEN);
        let mut bad = Entry::deflated("bad.npy", &bytes);
        (bad.crc, bad.local_crc) = (1, 1);
        let entries = ["a.npy", "b.npy"].map(|name| Entry::deflated(name, &bytes));
        let entries = [&entries[..], &[bad]].concat();
        let memory_bytes = if in_memory { LEN } else { 0 };
        let limits = Limits::new()
            .total_bytes(arrays * LEN)
            .memory_bytes(memory_bytes);
        let options = OpenOptions::new().limits(limits);
        Npz::from_bytes(Archive::of(entries).bytes(), options).unwrap()
    }

    fn held(npz: &Npz) -> u64 {
        npz.decoded.0.load(Ordering::Relaxed)
    }

    #[test]
    fn an_array_can_be_read_again_and_again() {
        for in_memory in [true, false] {
            let npz = archive(1, in_memory);
            for _ in 0..300 {
                assert_eq!(npz.array("a").unwrap().shape(), [2000, 2]);
                assert_eq!(held(&npz), 0);
            }
        }
    }

    #[test]
    fn what_is_held_is_limited_and_what_is_dropped_makes_room() {
        for in_memory in [true, false] {
            let npz = archive(3, in_memory);
            let mut arrays = ["a", "b", "a"]
                .map(|name| npz.array(name).unwrap())
                .to_vec();
            let error = npz.array("b").unwrap_err();
            assert_eq!((error.kind(), error.array()), (ErrorKind::Limit, Some("b")));
            let said = format!(
                "{LEN} bytes when decoded, and arrays of this archive that are in use hold {}; \
                 together that is above the limit of {}: drop some of them, or raise \
                 Limits::total_bytes of OpenOptions::limits",
                3 * LEN,
                3 * LEN
            );
            assert_eq!(error.message(), said);
            // Headers and checksums need no room.
            npz.header("a").unwrap();
            npz.verify("a").unwrap();
            arrays.pop();
            arrays.push(npz.array("b").unwrap());
            assert!(npz.array("a").is_err());
            arrays.clear();
            assert_eq!(held(&npz), 0);
            npz.array("a").unwrap();
        }
    }

    #[test]
    fn a_failure_returns_what_it_took() {
        let npz = archive(1, true);
        for _ in 0..10 {
            assert_eq!(npz.array("bad").unwrap_err().kind(), ErrorKind::Crc);
            assert_eq!(held(&npz), 0);
        }
        let npz = archive(1, false);
        assert_eq!(npz.array("bad").unwrap_err().kind(), ErrorKind::Crc);
        assert_eq!(held(&npz), 0);
        npz.array("a").unwrap();
    }

    #[test]
    fn whoever_uses_the_bytes_keeps_the_share() {
        for in_memory in [true, false] {
            let npz = archive(1, in_memory);
            let takes_room = |keeps: &dyn Fn(Array) -> Box<dyn std::any::Any>| {
                let kept = keeps(npz.array("a").unwrap());
                assert_eq!(npz.array("b").unwrap_err().kind(), ErrorKind::Limit);
                drop(kept);
                npz.array("b").unwrap();
            };
            takes_room(&|array| Box::new(array.clone()));
            takes_room(&|array| Box::new(Column::new(array).unwrap()));
            takes_room(&|array| Box::new(Column::new(array).unwrap().slice(0..1).unwrap()));
            takes_room(&|array| {
                let rows = Column::new(array).unwrap().borrow(0..10);
                Box::new(rows.expect("rows in memory are borrowed"))
            });
            // What is copied is the program's own.
            let copy = npz.array("a").unwrap().read::<i32>().unwrap();
            assert_eq!((held(&npz), copy[[7, 1]]), (0, 15));
            // An array may live longer than its archive.
            let array = npz.array("a").unwrap();
            drop(npz);
            assert_eq!(array.read::<i32>().unwrap(), copy);
        }
    }

    #[test]
    fn threads_share_one_limit() {
        let npz = archive(3, true);
        let counts = thread::scope(|scope| {
            let read = |thread: usize| {
                let mut counts = [0, 0];
                for round in 0..200 {
                    let name = ["a", "b", "bad"][(thread + round) % 3];
                    match npz.array(name) {
                        Ok(array) => {
                            counts[0] += 1;
                            assert_eq!(array.shape(), [2000, 2]);
                            assert!(held(&npz) <= 3 * LEN);
                        }
                        Err(error) if name == "bad" && error.kind() == ErrorKind::Crc => {}
                        Err(error) => {
                            assert_eq!(error.kind(), ErrorKind::Limit);
                            counts[1] += 1;
                        }
                    }
                }
                counts
            };
            let threads: Vec<_> = (0..8)
                .map(|thread| scope.spawn(move || read(thread)))
                .collect();
            let counts = threads.into_iter().map(|thread| thread.join().unwrap());
            counts.fold([0, 0], |sum, counts| {
                [sum[0] + counts[0], sum[1] + counts[1]]
            })
        });
        assert!(counts[0] > 0, "{counts:?}");
        assert_eq!(held(&npz), 0);
        let _all = ["a", "b", "a"].map(|name| npz.array(name).unwrap());
    }
}
