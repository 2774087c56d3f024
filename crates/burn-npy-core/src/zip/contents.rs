//! Streams and checks the contents of a member.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use crc32fast::Hasher;
use flate2::{Decompress, FlushDecompress, Status};

use super::{Member, local, malformed};
use crate::storage::{Head, IO_BYTES, Storage};
use crate::{Error, ErrorKind, Result};

/// Reads a member from its start to its end, in constant memory.
pub(crate) struct Contents<'a> {
    storage: &'a Storage,
    /// The bytes from the header of the member on.
    head: Head<'a>,
    member: &'a Member,
    data_start: u64,
    /// The offset of the next compressed bytes.
    at: u64,
    /// The number of compressed bytes that are still to be read.
    left: u64,
    /// Compressed bytes that were read.
    chunk: Vec<u8>,
    /// The number of bytes of `chunk` that are decoded.
    used: usize,
    /// The decoder of a deflated member, once it is needed.
    inflate: Option<Decompress>,
    spare: Option<&'a SpareDecoder>,
    ended: bool,
    crc: Hasher,
    decoded: u64,
}

/// A decoder that a member has left for the next one: to allocate its window takes longer than to
/// decode a small member.
#[derive(Default)]
pub(crate) struct SpareDecoder(Mutex<Option<Decompress>>);

impl SpareDecoder {
    fn swap(&self, new: Option<Decompress>) -> Option<Decompress> {
        // A panic leaves a decoder or none.
        let mut spare = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *spare, new)
    }
}

impl Drop for Contents<'_> {
    fn drop(&mut self) {
        if let (Some(spare), Some(mut inflate)) = (self.spare, self.inflate.take()) {
            inflate.reset(false);
            spare.swap(Some(inflate));
        }
    }
}

/// The location of a stored member, and its checksum.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    range: Range<u64>,
    crc: u32,
}

impl Stored {
    /// Reads the bytes and compares their checksum with that in the archive.
    pub(crate) fn verify(&self, storage: &Storage) -> Result<()> {
        let mut crc = Hasher::new();
        storage.read_through(self.range.clone(), |piece| crc.update(piece))?;
        expect_checksum(crc, self.crc)
    }

    /// The offset of the bytes in the archive.
    pub(crate) fn start(&self) -> u64 {
        self.range.start
    }
}

fn expect_checksum(found: Hasher, expected: u32) -> Result<()> {
    let found = found.finalize();
    if found != expected {
        return Err(Error::new(
            ErrorKind::Crc,
            format!(
                "the checksum is {found:#010x}; the archive says {expected:#010x}: the data is \
                 damaged, so write or download the file anew"
            ),
        ));
    }
    Ok(())
}

impl<'a> Contents<'a> {
    /// Checks the header of the member. It reads nothing else.
    pub(crate) fn open(storage: &'a Storage, member: &'a Member) -> Result<Self> {
        let head = Head::read(storage, member.header_at)?;
        let data_start = local::data_start(&head, member)?;
        if member.is_stored() && member.size != member.compressed {
            return Err(malformed(format!(
                "a stored member of {} bytes that claims {}",
                member.compressed, member.size
            ))
            .at(member.header_at));
        }
        // Deflate compresses by a factor of 1032 at most, so a larger size must be wrong.
        if member.size / 1032 > member.compressed {
            return Err(Error::new(
                ErrorKind::TruncatedData,
                format!(
                    "{} compressed bytes cannot hold the {} announced",
                    member.compressed, member.size
                ),
            ));
        }
        Ok(Self {
            storage,
            head,
            member,
            data_start,
            at: data_start,
            left: member.compressed,
            chunk: Vec::new(),
            used: 0,
            inflate: None,
            spare: None,
            ended: false,
            crc: Hasher::new(),
            decoded: 0,
        })
    }

    /// Takes a decoder from there, and leaves it there afterwards.
    pub(crate) fn with_spare(mut self, spare: &'a SpareDecoder) -> Self {
        self.spare = Some(spare);
        self
    }

    /// The first bytes of the member, and its header before them.
    pub(crate) fn head(&self) -> &Head<'a> {
        &self.head
    }

    /// The location of the bytes, if the member is stored.
    pub(crate) fn stored(&self) -> Option<Stored> {
        self.member.is_stored().then_some(Stored {
            range: self.data_start..self.data_start + self.member.size,
            crc: self.member.crc,
        })
    }

    /// Reads the next bytes and returns how many. It is zero at the end of the member, or if `out`
    /// is empty.
    pub(crate) fn read(&mut self, out: &mut [u8]) -> Result<usize> {
        let mut len = 0;
        while len == 0 && !out.is_empty() && !self.ended {
            if self.used == self.chunk.len() {
                self.refill()?;
            }
            len = if self.member.is_stored() {
                self.copy(out)
            } else {
                self.inflate(out)?
            };
        }
        self.crc.update(&out[..len]);
        self.decoded += len as u64;
        Ok(len)
    }

    fn copy(&mut self, out: &mut [u8]) -> usize {
        let len = out.len().min(self.chunk.len() - self.used);
        out[..len].copy_from_slice(&self.chunk[self.used..][..len]);
        self.used += len;
        self.ended = len == 0;
        len
    }

    fn inflate(&mut self, out: &mut [u8]) -> Result<usize> {
        let inflate = self.inflate.get_or_insert_with(|| {
            let spare = self.spare.and_then(|spare| spare.swap(None));
            spare.unwrap_or_else(|| Decompress::new(false))
        });
        let before = (inflate.total_in(), inflate.total_out());
        let status = inflate
            .decompress(&self.chunk[self.used..], out, FlushDecompress::None)
            .map_err(|error| malformed("the member cannot be inflated").with_source(error))?;
        self.ended = status == Status::StreamEnd;
        let used = inflate.total_in() - before.0;
        let len = inflate.total_out() - before.1;
        self.used += used as usize;
        if used == 0 && len == 0 && !self.ended {
            return Err(self.too_early());
        }
        Ok(len as usize)
    }

    /// Fills `out` with the next bytes.
    pub(crate) fn read_exact(&mut self, mut out: &mut [u8]) -> Result<()> {
        while !out.is_empty() {
            match self.read(out)? {
                0 => return Err(self.too_early()),
                len => out = &mut out[len..],
            }
        }
        Ok(())
    }

    /// Checks that the member ends here, and that its size and checksum are those of the directory.
    pub(crate) fn finish(mut self) -> Result<()> {
        let size = self.member.size;
        if self.read(&mut [0])? != 0 || self.decoded > size {
            return Err(Error::new(
                ErrorKind::Trailing,
                format!("the member goes on after the {size} bytes that the directory says"),
            ));
        }
        if self.decoded < size {
            return Err(self.too_early());
        }
        let unused = self.left + (self.chunk.len() - self.used) as u64;
        if unused != 0 {
            return Err(malformed(format!(
                "{unused} compressed bytes after the end of the deflated data"
            ))
            .at(self.at - (self.chunk.len() - self.used) as u64));
        }
        expect_checksum(std::mem::take(&mut self.crc), self.member.crc)
    }

    /// Reads and checks the rest of the member.
    pub(crate) fn verify(mut self) -> Result<()> {
        let left = self.member.size.saturating_sub(self.decoded);
        if left > 0 {
            // Allow for one byte more than there should be, so that a longer member is noticed.
            let mut out = vec![0; left.saturating_add(1).min(IO_BYTES as u64) as usize];
            while self.decoded < self.member.size {
                if self.read(&mut out)? == 0 {
                    break;
                }
            }
        }
        self.finish()
    }

    fn refill(&mut self) -> Result<()> {
        self.storage.check()?;
        let len = self.left.min(IO_BYTES as u64);
        self.chunk.resize(len as usize, 0);
        self.storage.read_at(self.at, &mut self.chunk)?;
        self.used = 0;
        self.at += len;
        self.left -= len;
        Ok(())
    }

    fn too_early(&self) -> Error {
        Error::new(
            ErrorKind::TruncatedData,
            format!(
                "the member ends after {} bytes; the directory says {}",
                self.decoded, self.member.size
            ),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zip::Directory;
    use crate::zip::naive::{Archive, Entry};

    fn verify(mut entry: Entry) -> Option<ErrorKind> {
        (entry.local_crc, entry.local_size) = (entry.crc, entry.size);
        let storage = Storage::memory(Archive::of([entry]).bytes());
        let directory = Directory::read(&storage).unwrap();
        Contents::open(&storage, &directory.members[0])
            .and_then(Contents::verify)
            .err()
            .map(|error| error.kind())
    }

    #[test]
    fn a_member_is_as_long_as_the_directory_says() {
        let data: Vec<u8> = (0..1_000_000_u32).map(|i| (i / 7) as u8).collect();
        let deflated = Entry::deflated("x", &data);
        for entry in [Entry::stored("x", &data), deflated.clone()] {
            assert_eq!(verify(entry.clone()), None);
            let crc = entry.crc ^ 1;
            assert_eq!(
                verify(Entry {
                    crc,
                    ..entry.clone()
                }),
                Some(ErrorKind::Crc)
            );
            assert_eq!(verify(entry.clone().piped()), None);
        }
        let resized = |size| {
            verify(Entry {
                size,
                ..deflated.clone()
            })
        };
        assert_eq!(resized(999_999), Some(ErrorKind::Trailing));
        assert_eq!(resized(0), Some(ErrorKind::Trailing));
        assert_eq!(resized(1_000_001), Some(ErrorKind::TruncatedData));
        assert_eq!(resized(1 << 31), Some(ErrorKind::TruncatedData));

        let cut = |len| {
            let mut entry = deflated.clone();
            entry.data.resize(len, 0);
            entry.compressed = len as u64;
            verify(entry)
        };
        let len = deflated.data.len();
        for shorter in [0, 1, len / 2, len - 1] {
            assert_eq!(cut(shorter), Some(ErrorKind::TruncatedData), "{shorter}");
        }
        for longer in [1, 300_000] {
            assert_eq!(cut(len + longer), Some(ErrorKind::Zip));
        }
        let mut damaged = deflated;
        damaged.data[0] = 0xff;
        assert_eq!(verify(damaged), Some(ErrorKind::Zip));
        let mut stored = Entry::stored("x", &data);
        stored.size += 1;
        assert_eq!(verify(stored), Some(ErrorKind::Zip));
    }

    #[test]
    fn nothing_is_a_member_too() {
        assert_eq!(verify(Entry::stored("x", b"")), None);
        assert_eq!(verify(Entry::deflated("x", b"")), None);
    }
}
