//! The end record, which locates the directory.

use super::fields::Fields;
use super::{
    CENTRAL_LEN, END, END_LEN, LOCAL, SENTINEL_16, SENTINEL_32, ZIP64_END, ZIP64_END_LEN,
    ZIP64_LOCATOR, ZIP64_LOCATOR_LEN, malformed,
};
use crate::Result;
use crate::format::magic;
use crate::storage::Storage;

/// The location of the directory. It is checked to be within the file and large enough for its
/// members.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct End {
    pub(super) directory_at: u64,
    pub(super) directory_len: u64,
    pub(super) members: u64,
}

/// Finds the end record of an archive.
pub(super) fn find(storage: &Storage) -> Result<End> {
    let mut start = [0; 4];
    let start = &mut start[..storage.len().min(4) as usize];
    storage.read_at(0, start)?;
    if !start.starts_with(&LOCAL[..2]) {
        return Err(magic::not_a(".npz file", storage, 0, storage.len()));
    }
    let (at, plain) = find_plain(storage)?;
    // An archive without members has nothing in front of its end record.
    if start != LOCAL && at != 0 {
        return Err(malformed("the archive does not start with the header of a member").at(0));
    }
    let (end_at, end) = match find_zip64(storage, at, &plain)? {
        Some(found) => found,
        None => (at, plain.check()?),
    };
    let directory_end = end.directory_at.checked_add(end.directory_len);
    if directory_end != Some(end_at) {
        return Err(malformed(format!(
            "the directory is at {}, {} bytes long, but what follows it is at {end_at}",
            end.directory_at, end.directory_len
        ))
        .at(at));
    }
    // This bounds the memory that is reserved for members.
    let shortest = end.members.checked_mul(CENTRAL_LEN as u64);
    if shortest.is_none_or(|shortest| shortest > end.directory_len) {
        return Err(malformed(format!(
            "{} members cannot be in a directory of {} bytes",
            end.members, end.directory_len
        ))
        .at(at));
    }
    Ok(end)
}

/// The fields of the end record as they are in the file.
#[derive(Clone, Copy)]
struct Plain {
    disk: u16,
    directory_disk: u16,
    members_here: u16,
    members: u16,
    directory_len: u32,
    directory_at: u32,
}

impl Plain {
    fn check(self) -> Result<End> {
        let disks = [self.disk, self.directory_disk].map(u32::from);
        one_disk(disks, self.members_here.into(), self.members.into())?;
        Ok(End {
            directory_at: self.directory_at.into(),
            directory_len: self.directory_len.into(),
            members: self.members.into(),
        })
    }
}

fn one_disk(disks: [u32; 2], members_here: u64, members: u64) -> Result<()> {
    if disks != [0, 0] || members_here != members {
        return Err(malformed(
            "a part of an archive that was split over several disks",
        ));
    }
    Ok(())
}

/// Finds the end record, whose comment ends at the end of the file, and its offset.
fn find_plain(storage: &Storage) -> Result<(u64, Plain)> {
    let len = storage.len();
    let tail_len = len.min((END_LEN + usize::from(u16::MAX)) as u64);
    let mut tail = vec![0; tail_len as usize];
    storage.read_at(len - tail_len, &mut tail)?;
    let offset = |index: usize| len - tail_len + index as u64;

    let mut found: Option<(usize, Plain)> = None;
    let mut last = None;
    for (index, window) in tail.windows(END.len()).enumerate() {
        if window != END {
            continue;
        }
        let mut fields = Fields(&tail[index + END.len()..]);
        let record = (|| {
            let plain = Plain {
                disk: fields.u16()?,
                directory_disk: fields.u16()?,
                members_here: fields.u16()?,
                members: fields.u16()?,
                directory_len: fields.u32()?,
                directory_at: fields.u32()?,
            };
            Some((plain, usize::from(fields.u16()?)))
        })();
        // Readers that search backwards find this record, and others the one before it.
        if let Some((first, _)) = found {
            return Err(malformed(format!(
                "two end records, at {} and within its comment",
                offset(first)
            ))
            .at(offset(index)));
        }
        if let Some((plain, comment)) = record {
            if comment == fields.0.len() {
                found = Some((index, plain));
            }
            last = Some((index, comment, fields.0.len()));
        }
    }
    match (found, last) {
        (Some((index, plain)), _) => Ok((offset(index), plain)),
        (None, Some((index, comment, rest))) if comment < rest => Err(malformed(format!(
            "{} bytes after the end of the archive",
            rest - comment
        ))
        .at(offset(index + END_LEN + comment))),
        (None, Some((index, ..))) => {
            Err(malformed("the comment at the end is cut off").at(offset(index)))
        }
        (None, None) => Err(malformed(
            "the archive has no directory at its end, so it was cut off: write or download it anew",
        )),
    }
}

/// Finds the zip64 end record and its offset, if there is a locator in front of the plain one at
/// `at`.
fn find_zip64(storage: &Storage, at: u64, plain: &Plain) -> Result<Option<(u64, End)>> {
    let Some(locator_at) = at.checked_sub(ZIP64_LOCATOR_LEN as u64) else {
        return Ok(None);
    };
    let mut locator = [0; ZIP64_LOCATOR_LEN];
    storage.read_at(locator_at, &mut locator)?;
    let mut fields = Fields(&locator);
    if fields.array() != Some(*ZIP64_LOCATOR) {
        return Ok(None);
    }
    let place = (|| Some((fields.u32()?, fields.u64()?, fields.u32()?)))();
    let Some((0, end_at, 0 | 1)) = place else {
        return Err(malformed("the zip64 locator points to another disk").at(locator_at));
    };
    if end_at
        .checked_add(ZIP64_END_LEN as u64)
        .is_none_or(|end| end > locator_at)
    {
        return Err(
            malformed(format!("the zip64 end record cannot be at {end_at}")).at(locator_at),
        );
    }

    let mut record = [0; ZIP64_END_LEN];
    storage.read_at(end_at, &mut record)?;
    let mut fields = Fields(&record);
    if fields.array() != Some(*ZIP64_END) {
        return Err(malformed("no zip64 end record where the locator points").at(end_at));
    }
    let parsed = (|| {
        let len = fields.u64()?;
        let _versions = fields.u32()?;
        let disks = [fields.u32()?, fields.u32()?];
        let members_here = fields.u64()?;
        let members = fields.u64()?;
        let directory_len = fields.u64()?;
        let directory_at = fields.u64()?;
        let end = End {
            directory_at,
            directory_len,
            members,
        };
        Some((len, disks, members_here, end))
    })();
    let (len, disks, members_here, end) =
        parsed.ok_or_else(|| malformed("the zip64 end record is cut off").at(end_at))?;
    // The length excludes the signature and the length field, which are 12 bytes.
    if len.checked_add(12) != Some(locator_at - end_at) {
        return Err(malformed(format!(
            "the zip64 end record says {len} bytes, and its locator is {} bytes after it",
            locator_at - end_at
        ))
        .at(end_at));
    }
    one_disk(disks, members_here, end.members)?;
    let agree = |plain: u64, sentinel: u64, wide: u64| plain == sentinel || plain == wide;
    let agreed = agree(plain.disk.into(), SENTINEL_16, 0)
        && agree(plain.directory_disk.into(), SENTINEL_16, 0)
        && agree(plain.members_here.into(), SENTINEL_16, members_here)
        && agree(plain.members.into(), SENTINEL_16, end.members)
        && agree(plain.directory_len.into(), SENTINEL_32, end.directory_len)
        && agree(plain.directory_at.into(), SENTINEL_32, end.directory_at);
    if !agreed {
        return Err(malformed("the end record and the zip64 end record differ").at(at));
    }
    Ok(Some((end_at, end)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use crate::zip::naive::{Archive, Entry};

    fn archive() -> Archive {
        Archive::of([Entry::stored("x", b"abc"), Entry::stored("y", b"")])
    }

    fn find(bytes: Vec<u8>) -> Result<End> {
        super::find(&Storage::memory(bytes))
    }

    fn refused(bytes: Vec<u8>) -> String {
        let error = find(bytes).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Zip, "{error}");
        error.message().to_owned()
    }

    #[test]
    fn the_directory_is_found() {
        let mut archive = archive();
        let expected = find(archive.bytes()).unwrap();
        assert_eq!((expected.members, expected.directory_len), (2, 94));
        for comment in [0, 1, 1000, 65_535] {
            for zip64 in [false, true] {
                archive.comment = vec![b'-'; comment];
                archive.zip64 = zip64;
                assert_eq!(find(archive.bytes()).unwrap(), expected);
            }
        }
        let empty = find(Archive::default().bytes()).unwrap();
        assert_eq!((empty.members, empty.directory_at), (0, 0));
    }

    #[test]
    fn nothing_may_come_before_or_after() {
        let bytes = archive().bytes();
        let stub = find([b"#!/bin/sh", &bytes[..]].concat()).unwrap_err();
        assert_eq!(stub.kind(), ErrorKind::Magic);
        let twice = [&bytes[..], &bytes].concat();
        assert!(refused(twice).contains("what follows it is at"));
        let trailing = [&bytes[..], b"1234567"].concat();
        assert!(refused(trailing).starts_with("7 bytes after"));
        let mut cut = archive();
        cut.comment = vec![0; 10];
        let mut bytes = cut.bytes();
        bytes.pop();
        assert!(refused(bytes).contains("cut off"));
        assert!(refused(b"PK".to_vec()).contains("was cut off"));
        // An archive with members that starts with an end record.
        let mut bytes = archive().bytes();
        bytes[..4].copy_from_slice(END);
        assert!(refused(bytes).contains("does not start"));
    }

    #[test]
    fn two_end_records_are_ambiguous() {
        let mut archive = archive();
        archive.comment = Archive::default().bytes();
        assert!(refused(archive.bytes()).starts_with("two end records"));
        // In the data of a member, an end record is just data.
        let mut entry = Entry::stored("nested", &Archive::default().bytes());
        archive.comment = Vec::new();
        archive.entries.push(entry.clone());
        find(archive.bytes()).unwrap();
        // But not if its comment also ends at the end of the file.
        let rest = archive.bytes().len() - archive.entries[0].data.len();
        entry.data.truncate(20);
        entry.data.extend((rest as u16).to_le_bytes());
        for shift in 0..rest {
            let at = entry.data.len() - 2;
            entry.data[at..].copy_from_slice(&(shift as u16).to_le_bytes());
            archive.entries[2] = entry.clone();
            if find(archive.bytes()).is_err() {
                return;
            }
        }
        panic!("no comment reached to the end");
    }

    #[test]
    fn lies_of_the_end_record_are_found() {
        for zip64 in [false, true] {
            let mut archive = archive();
            archive.zip64 = zip64;
            for (index, lie) in [(1, 1), (2, 1), (1, u64::MAX), (2, u64::MAX), (0, 3)] {
                archive.lies = [0; 3];
                archive.lies[index] = lie;
                refused(archive.bytes());
            }
            archive.lies = [0; 3];
            let bytes = archive.bytes();
            for disk in [4, 6] {
                let mut bytes = bytes.clone();
                let at = bytes.len() - END_LEN + disk;
                bytes[at] = 1;
                refused(bytes);
            }
        }
    }

    #[test]
    fn the_two_end_records_must_agree() {
        let mut archive = archive();
        archive.zip64 = true;
        let bytes = archive.bytes();
        let zip64_at = bytes.len() - END_LEN - ZIP64_LOCATOR_LEN - ZIP64_END_LEN;
        // Every byte except those of the two versions.
        let checked = (0..12).chain(16..ZIP64_END_LEN + ZIP64_LOCATOR_LEN + END_LEN);
        for index in checked {
            let mut bytes = bytes.clone();
            bytes[zip64_at + index] ^= 2;
            let Err(error) = find(bytes) else {
                panic!("byte {index} of the end records is not checked");
            };
            assert_eq!(error.kind(), ErrorKind::Zip);
        }
    }
}
