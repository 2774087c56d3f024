//! The header in front of each member, which must agree with the directory.

use super::fields::{Fields, zip64_extra};
use super::{
    DEFLATED, FLAG_DESCRIPTOR, LOCAL, LOCAL_LEN, Member, SENTINEL_32, STORED, malformed, name,
};
use crate::message::quoted;
use crate::storage::Head;
use crate::{Error, ErrorKind, Result};

/// Flags for encryption, or for data that is not simply compressed by the method.
const FLAG_ENCRYPTED: u16 = 1;
const FLAG_PATCHED: u16 = 1 << 5;
const FLAG_STRONG: u16 = 1 << 6;
const FLAG_MASKED: u16 = 1 << 13;

/// The method of members that WinZip encrypted. The method that compressed them is encrypted too.
const AES: u16 = 99;

/// Checks the header of a member and returns the offset of its data. The data ends before the limit
/// of the member.
pub(super) fn data_start(head: &Head<'_>, member: &Member) -> Result<u64> {
    let at = member.header_at;
    supported(member.method, member.flags)?;

    let record = head.get(at, LOCAL_LEN)?;
    let mut fields = Fields(&record);
    if fields.array() != Some(*LOCAL) {
        return Err(malformed("no header of a member where the directory points").at(at));
    }
    let parsed = (|| {
        let _version = fields.u16()?;
        let flags = fields.u16()?;
        let method = fields.u16()?;
        let _time = fields.u32()?;
        let crc = fields.u32()?;
        let sizes = [fields.u32()?, fields.u32()?];
        Some((flags, method, crc, sizes, [fields.u16()?, fields.u16()?]))
    })();
    let (flags, method, crc, sizes, [name_len, extra_len]) =
        parsed.ok_or_else(|| malformed("the header is cut off").at(at))?;

    let varying = u64::from(name_len) + u64::from(extra_len);
    let start = at.checked_add(LOCAL_LEN as u64 + varying);
    let start = start.filter(|start| {
        let end = start.checked_add(member.compressed);
        end.is_some_and(|end| end <= member.limit)
    });
    let start = start.ok_or_else(|| {
        let (len, limit) = (member.compressed, member.limit);
        malformed(format!(
            "a header and {len} bytes do not fit before {limit}, where something else begins"
        ))
        .at(at)
    })?;
    let varying = head.get(at + LOCAL_LEN as u64, varying as usize)?;
    let (raw_name, extra) = varying.split_at(name_len.into());

    let found = name::decode(raw_name, member.flags).map_err(|error| error.at(at))?;
    if found != member.name {
        return Err(differs("name", quoted(&found), quoted(&member.name)).at(at));
    }
    if method != member.method {
        return Err(differs("compression method", method, member.method).at(at));
    }
    supported(method, flags).map_err(|error| error.at(at))?;
    // A writer to a pipe does not know the sizes when it writes this header.
    if flags & FLAG_DESCRIPTOR == 0 {
        let [compressed, size] = widened(sizes, extra).map_err(|error| error.at(at))?;
        if crc != member.crc {
            let hex = |crc: u32| format!("{crc:#010x}");
            return Err(differs("checksum", hex(crc), hex(member.crc)).at(at));
        }
        if compressed != member.compressed {
            return Err(differs("compressed size", compressed, member.compressed).at(at));
        }
        if size != member.size {
            return Err(differs("size", size, member.size).at(at));
        }
    }
    Ok(start)
}

/// The compressed size and the size. They come from the zip64 field if they do not fit elsewhere.
fn widened([compressed, size]: [u32; 2], extra: &[u8]) -> Result<[u64; 2]> {
    let [compressed, size] = [compressed, size].map(u64::from);
    let wide = [compressed, size].map(|len| len == SENTINEL_32);
    if wide == [false, false] {
        return Ok([compressed, size]);
    }
    let missing = || malformed("its size is in no zip64 field, as it should be");
    let mut fields = zip64_extra(extra)?.ok_or_else(missing)?;
    // Unlike in the directory, the field should have both sizes. If it has one, it is the one whose
    // place has the sentinel.
    let both = fields.0.len() >= 16;
    let mut next = |wide: bool, narrow: u64| {
        let field = if wide || both {
            fields.u64().ok_or_else(missing)?
        } else {
            narrow
        };
        Ok::<u64, Error>(if wide { field } else { narrow })
    };
    let size = next(wide[1], size)?;
    let compressed = next(wide[0], compressed)?;
    Ok([compressed, size])
}

fn supported(method: u16, flags: u16) -> Result<()> {
    if method == AES {
        return Err(Error::new(
            ErrorKind::Method,
            "encrypted by AES (method 99); expected stored or deflated members",
        ));
    }
    if flags & (FLAG_ENCRYPTED | FLAG_STRONG | FLAG_MASKED) != 0 {
        return Err(Error::new(ErrorKind::Encrypted, "the member is encrypted"));
    }
    let name = match method {
        STORED | DEFLATED if flags & FLAG_PATCHED != 0 => "patch data",
        STORED | DEFLATED => return Ok(()),
        9 => "Deflate64",
        12 => "bzip2",
        14 => "LZMA",
        93 => "Zstandard",
        95 => "XZ",
        _ => "unknown",
    };
    Err(Error::new(
        ErrorKind::Method,
        format!("compression method {method} ({name}); expected stored or deflated members"),
    ))
}

fn differs(what: &str, here: impl std::fmt::Display, there: impl std::fmt::Display) -> Error {
    malformed(format!(
        "its {what} is {here} in its header, but {there} in the directory"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::Storage;
    use crate::zip::Directory;
    use crate::zip::naive::{Archive, Entry};

    fn start(entry: Entry) -> Result<u64> {
        let storage = Storage::memory(Archive::of([entry]).bytes());
        let member = &Directory::read(&storage)?.members[0];
        data_start(&Head::read(&storage, member.header_at)?, member)
    }

    fn changed(change: impl Fn(&mut Entry)) -> Result<u64> {
        let mut entry = Entry::stored("name", b"data");
        change(&mut entry);
        start(entry)
    }

    #[test]
    fn a_header_that_contradicts_the_directory_is_named() {
        assert_eq!(changed(|_| ()).unwrap(), 34);
        assert_eq!(changed(|entry| entry.zip64 = true).unwrap(), 54);
        let refused = |change: fn(&mut Entry), what: &str| {
            let error = changed(change).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Zip);
            assert!(error.message().starts_with(what), "{error}");
            assert!(error.offset().is_some());
        };
        refused(|entry| entry.local_name[0] = b'N', "its name is \"Name\"");
        refused(
            |entry| entry.local_method = 8,
            "its compression method is 8",
        );
        refused(|entry| entry.local_crc = 1, "its checksum is 0x00000001");
        refused(|entry| entry.local_size = 5, "its size is 5");
        refused(
            |entry| {
                entry.local_name.pop();
                entry.gap.push(0);
            },
            "its name is \"nam\"",
        );
        refused(
            |entry| {
                entry.local_name.push(b'e');
                entry.data.pop();
            },
            "a header and 4 bytes do not fit",
        );
        refused(
            |entry| entry.local_size = u32::MAX.into(),
            "its size is in no zip64",
        );
        // This is allowed if the sizes follow the data.
        changed(|entry| *entry = entry.clone().piped()).unwrap();
    }

    #[test]
    fn what_cannot_be_decoded_is_named_by_its_kind() {
        for (flags, method, kind) in [
            (1, 0, ErrorKind::Encrypted),
            (1, 8, ErrorKind::Encrypted),
            (1, 14, ErrorKind::Encrypted),
            (1 << 6 | 1, 0, ErrorKind::Encrypted),
            (1 << 13, 8, ErrorKind::Encrypted),
            (1, 99, ErrorKind::Method),
            (0, 99, ErrorKind::Method),
            (1 << 5, 8, ErrorKind::Method),
            (0, 93, ErrorKind::Method),
            (2, 14, ErrorKind::Method),
            (0, 1, ErrorKind::Method),
        ] {
            let error = changed(|entry| {
                entry.flags |= flags;
                (entry.method, entry.local_method) = (method, method);
            });
            assert_eq!(error.unwrap_err().kind(), kind, "{flags:#x} {method}");
        }
    }

    #[test]
    fn one_wide_size_may_be_alone() {
        let alone = 7_u64.to_le_bytes();
        let extra = [&[1, 0, 8, 0], &alone[..]].concat();
        assert_eq!(widened([u32::MAX, 5], &extra).unwrap(), [7, 5]);
        assert_eq!(widened([5, u32::MAX], &extra).unwrap(), [5, 7]);
        assert!(widened([u32::MAX; 2], &extra).is_err());
        let both = [&[1, 0, 16, 0], &alone[..], &9_u64.to_le_bytes()].concat();
        assert_eq!(widened([u32::MAX, 5], &both).unwrap(), [9, 5]);
        assert_eq!(widened([u32::MAX; 2], &both).unwrap(), [9, 7]);
        assert_eq!(widened([5, 6], &[]).unwrap(), [5, 6]);
    }
}
