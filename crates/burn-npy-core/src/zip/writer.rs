//! Writes archives of stored members whose data starts at multiples of 64 bytes.

use std::io::{self, Seek, SeekFrom, Write};

use crc32fast::Hasher;

use super::{
    CENTRAL, END, FLAG_UTF8, LOCAL, LOCAL_LEN, SENTINEL_16, SENTINEL_32, STORED, ZIP64_END,
    ZIP64_END_LEN, ZIP64_EXTRA, ZIP64_LOCATOR,
};
use crate::storage::IO_BYTES;

/// Data starts at a multiple of this many bytes.
const ALIGN: u64 = 64;

/// The extra field for padding, which Android's zipalign introduced. It has the alignment and then
/// zeros.
const PADDING_EXTRA: u16 = 0xd935;
const PADDING_LEN: u64 = 6;

/// The length of a zip64 field with both sizes. Each header has room for it, since the size of a
/// member is known only after its data.
const ZIP64_LEN: u64 = 20;

/// 1 January 1980, the first date of the format. It is fixed so that the same arrays make the same
/// file.
const DATE: u16 = 1 << 5 | 1;

/// Made on Unix, as in archives of Python. Otherwise readers would ignore the permissions.
const MADE_BY: u16 = 3 << 8;
const PERMISSIONS: u32 = 0o100_644 << 16;

/// The sizes, offsets and number of members from which on zip64 records are written. Tests set
/// lower ones.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Zip64From {
    pub(crate) bytes: u64,
    pub(crate) members: u64,
}

impl Default for Zip64From {
    fn default() -> Self {
        Self {
            bytes: SENTINEL_32,
            members: SENTINEL_16,
        }
    }
}

impl Zip64From {
    /// The 32-bit field for a number: the number itself, or the sentinel if it is written in zip64.
    fn narrow(self, number: u64) -> u32 {
        if number < self.bytes.min(SENTINEL_32) {
            number as u32
        } else {
            SENTINEL_32 as u32
        }
    }
}

/// An archive that is being written. It is not usable after an error.
#[derive(Debug)]
pub(crate) struct Writer<W> {
    out: W,
    position: u64,
    zip64: Zip64From,
    members: Vec<Written>,
}

/// A member that has been written.
#[derive(Debug)]
struct Written {
    name: String,
    flags: u16,
    crc: u32,
    size: u64,
    header_at: u64,
}

/// Where a member is being written.
struct Place {
    header_at: u64,
    extra_at: u64,
    data_at: u64,
}

impl<W: Write + Seek> Writer<W> {
    /// Starts an archive at the start of `out`.
    pub(crate) fn new(out: W, zip64: Zip64From) -> Self {
        Self {
            out,
            position: 0,
            zip64,
            members: Vec::new(),
        }
    }

    /// Writes a member, whose bytes `write` writes. The name must not be longer than 65,535 bytes.
    pub(crate) fn member(
        &mut self,
        name: &str,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<()> {
        let place = self.begin_member(name)?;
        let mut data = Data {
            out: &mut self.out,
            crc: Hasher::new(),
            size: 0,
        };
        write(&mut data)?;
        let (crc, size) = (data.crc.finalize(), data.size);
        self.end_member(name, place, crc, size)
    }

    /// Writes a member in any order: `write` gets the output, where the first byte belongs, and
    /// returns the checksum and the size of what it wrote. Returns where the first byte is.
    pub(crate) fn member_by(
        &mut self,
        name: &str,
        write: impl FnOnce(&mut W, u64) -> io::Result<(u32, u64)>,
    ) -> io::Result<u64> {
        let place = self.begin_member(name)?;
        let (crc, size) = write(&mut self.out, place.data_at)?;
        let data_at = place.data_at;
        self.end_member(name, place, crc, size)?;
        Ok(data_at)
    }

    fn begin_member(&mut self, name: &str) -> io::Result<Place> {
        let name_len = u16::try_from(name.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        let header_at = self.position;
        let extra_at = header_at + LOCAL_LEN as u64 + u64::from(name_len);
        let data_at = (extra_at + ZIP64_LEN + PADDING_LEN).next_multiple_of(ALIGN);
        // The header is written last, since it has the sizes.
        io::copy(
            &mut io::Read::take(io::repeat(0), data_at - header_at),
            &mut self.out,
        )?;
        Ok(Place {
            header_at,
            extra_at,
            data_at,
        })
    }

    fn end_member(&mut self, name: &str, place: Place, crc: u32, size: u64) -> io::Result<()> {
        self.position = place.data_at + size;
        let written = Written {
            name: name.to_owned(),
            flags: if name.is_ascii() { 0 } else { FLAG_UTF8 },
            crc,
            size,
            header_at: place.header_at,
        };
        let header = self.local_header(&written, place.data_at - place.extra_at);
        self.out.seek(SeekFrom::Start(place.header_at))?;
        self.out.write_all(&header)?;
        self.out.seek(SeekFrom::Start(self.position))?;
        self.members.push(written);
        Ok(())
    }

    fn local_header(&self, member: &Written, extra_len: u64) -> Vec<u8> {
        let size = self.zip64.narrow(member.size);
        let wide = u64::from(size) == SENTINEL_32;
        let mut header = LOCAL.to_vec();
        member.put_common(&mut header, wide, size, extra_len as u16);
        header.extend(member.name.as_bytes());
        let mut padding = extra_len - 4;
        if wide {
            put_u16(&mut header, [ZIP64_EXTRA, 16]);
            put_u64(&mut header, [member.size; 2]);
            padding -= ZIP64_LEN;
        }
        put_u16(&mut header, [PADDING_EXTRA, padding as u16, ALIGN as u16]);
        header.extend(std::iter::repeat_n(0, padding as usize - 2));
        header
    }

    /// Writes the directory, without which the members cannot be read.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        let directory_at = self.position;
        for member in &self.members {
            let entry = member.directory_entry(self.zip64);
            self.out.write_all(&entry)?;
            self.position += entry.len() as u64;
        }
        let end = self.end(directory_at);
        self.out.write_all(&end)?;
        Ok(self.out)
    }

    fn end(&self, directory_at: u64) -> Vec<u8> {
        let end_at = self.position;
        let directory_len = end_at - directory_at;
        let count = self.members.len() as u64;
        let places = [directory_len, directory_at].map(|number| self.zip64.narrow(number));
        let narrow_count = if count < self.zip64.members.min(SENTINEL_16) {
            count as u16
        } else {
            SENTINEL_16 as u16
        };
        let mut end = Vec::new();
        if places.contains(&(SENTINEL_32 as u32)) || u64::from(narrow_count) == SENTINEL_16 {
            end.extend(ZIP64_END);
            put_u64(&mut end, [ZIP64_END_LEN as u64 - 12]);
            put_u16(&mut end, [MADE_BY | 45, 45]);
            put_u32(&mut end, [0, 0]);
            put_u64(&mut end, [count, count, directory_len, directory_at]);
            end.extend(ZIP64_LOCATOR);
            put_u32(&mut end, [0]);
            put_u64(&mut end, [end_at]);
            put_u32(&mut end, [1]);
        }
        end.extend(END);
        put_u16(&mut end, [0, 0, narrow_count, narrow_count]);
        put_u32(&mut end, places);
        put_u16(&mut end, [0]);
        end
    }
}

impl Written {
    /// The fields that the header and the directory share.
    fn put_common(&self, out: &mut Vec<u8>, wide: bool, size: u32, extra_len: u16) {
        let version = if wide { 45 } else { 20 };
        put_u16(out, [version, self.flags, STORED, 0, DATE]);
        put_u32(out, [self.crc, size, size]);
        put_u16(out, [self.name.len() as u16, extra_len]);
    }

    fn directory_entry(&self, zip64: Zip64From) -> Vec<u8> {
        let [size, header_at] = [self.size, self.header_at].map(|number| zip64.narrow(number));
        let mut extra = Vec::new();
        if u64::from(size) == SENTINEL_32 {
            put_u64(&mut extra, [self.size; 2]);
        }
        if u64::from(header_at) == SENTINEL_32 {
            put_u64(&mut extra, [self.header_at]);
        }
        let wide = !extra.is_empty();
        let extra_len = extra.len() as u16 + if wide { 4 } else { 0 };

        let mut entry = CENTRAL.to_vec();
        put_u16(&mut entry, [MADE_BY | if wide { 45 } else { 20 }]);
        self.put_common(&mut entry, wide, size, extra_len);
        put_u16(&mut entry, [0, 0, 0]);
        put_u32(&mut entry, [PERMISSIONS, header_at]);
        entry.extend(self.name.as_bytes());
        if wide {
            put_u16(&mut entry, [ZIP64_EXTRA, extra.len() as u16]);
            entry.extend(extra);
        }
        entry
    }
}

/// Passes the bytes of a member on, and computes their number and checksum.
struct Data<W> {
    out: W,
    crc: Hasher,
    size: u64,
}

impl<W: Write> Write for Data<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // In pieces that are still in the cache when the checksum is computed.
        let len = self.out.write(&bytes[..bytes.len().min(IO_BYTES)])?;
        self.crc.update(&bytes[..len]);
        self.size += len as u64;
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn put_u16<const N: usize>(out: &mut Vec<u8>, numbers: [u16; N]) {
    out.extend(numbers.map(u16::to_le_bytes).as_flattened());
}

fn put_u32<const N: usize>(out: &mut Vec<u8>, numbers: [u32; N]) {
    out.extend(numbers.map(u32::to_le_bytes).as_flattened());
}

fn put_u64<const N: usize>(out: &mut Vec<u8>, numbers: [u64; N]) {
    out.extend(numbers.map(u64::to_le_bytes).as_flattened());
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::storage::Storage;
    use crate::zip::{Contents, Directory};

    fn written(members: &[(&str, &[u8])], zip64: Zip64From) -> Vec<u8> {
        let mut writer = Writer::new(Cursor::new(Vec::new()), zip64);
        for (name, bytes) in members {
            writer.member(name, |out| out.write_all(bytes)).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    #[test]
    fn what_is_written_is_read_with_and_without_zip64() {
        let long = vec![7; 1000];
        let members: [(&str, &[u8]); 4] = [
            ("x.npy", b"abc"),
            ("\u{e4}/y", &long),
            ("", b""),
            ("z", b"1"),
        ];
        let all = |bytes, members| Zip64From { bytes, members };
        for (zip64, records) in [
            (Zip64From::default(), 0),
            (all(0, 0), 1),
            (all(500, 100), 1),
            (all(5000, 2), 1),
        ] {
            let bytes = written(&members, zip64);
            let found = bytes.windows(4).filter(|w| *w == ZIP64_END).count();
            assert_eq!(found, records, "{zip64:?}");
            let storage = Storage::memory(bytes);
            let directory = Directory::read(&storage).unwrap();
            assert_eq!(directory.members.len(), members.len());
            for (member, (name, expected)) in directory.members.iter().zip(members) {
                assert_eq!(member.name, name);
                let mut contents = Contents::open(&storage, member).unwrap();
                assert_eq!(contents.stored().unwrap().start() % ALIGN, 0);
                let mut found = vec![0; expected.len()];
                contents.read_exact(&mut found).unwrap();
                contents.finish().unwrap();
                assert_eq!(found, expected);
            }
        }
    }

    #[test]
    fn an_archive_without_members_is_its_end_record() {
        let bytes = written(&[], Zip64From::default());
        assert_eq!(bytes.len(), 22);
        let directory = Directory::read(&Storage::memory(bytes)).unwrap();
        assert!(directory.members.is_empty());
    }

    #[test]
    fn the_number_of_members_is_not_bounded() {
        let mut writer = Writer::new(Cursor::new(Vec::new()), Zip64From::default());
        for index in 0..70_000 {
            writer.member(&index.to_string(), |_| Ok(())).unwrap();
        }
        let storage = Storage::memory(writer.finish().unwrap().into_inner());
        let directory = Directory::read(&storage).unwrap();
        assert_eq!(directory.members.len(), 70_000);
        Contents::open(&storage, &directory.members[69_999])
            .and_then(Contents::finish)
            .unwrap();
    }
}
