//! The directory at the end of an archive, which is read in one piece.

use std::collections::HashMap;

use super::fields::{Fields, zip64_extra};
use super::{CENTRAL, CENTRAL_LEN, LOCAL_LEN, SENTINEL_16, SENTINEL_32, end, malformed, name};
use crate::storage::Storage;
use crate::{Error, ErrorKind, Result};

/// Version 6.3 of the format, the newest that Python's reader accepts.
const NEWEST: u16 = 63;

/// A member, as the directory describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(super) flags: u16,
    pub(super) method: u16,
    pub(super) crc: u32,
    /// The size in the archive.
    pub(crate) compressed: u64,
    /// The size after decoding.
    pub(crate) size: u64,
    /// The offset of the header of the member.
    pub(super) header_at: u64,
    /// The offset at which the next member or the directory starts.
    pub(super) limit: u64,
}

impl Member {
    /// Whether the bytes are not compressed.
    pub(crate) fn is_stored(&self) -> bool {
        self.method == super::STORED
    }
}

/// The members of an archive, in the order of its directory.
#[derive(Debug)]
pub(crate) struct Directory {
    pub(crate) members: Vec<Member>,
    by_name: HashMap<String, usize>,
}

impl Directory {
    /// Reads the directory of an archive. The memory it takes is proportional to the directory,
    /// which is checked to be within the file first.
    pub(crate) fn read(storage: &Storage) -> Result<Self> {
        let end = end::find(storage)?;
        let no_memory = |_| {
            let len = end.directory_len;
            Error::new(
                ErrorKind::Limit,
                format!("no memory for a directory of {len} bytes"),
            )
        };
        let len = usize::try_from(end.directory_len).unwrap_or(usize::MAX);
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(len).map_err(no_memory)?;
        bytes.resize(len, 0);
        storage.read_at(end.directory_at, &mut bytes)?;

        let mut members = Vec::new();
        members
            .try_reserve_exact(end.members as usize)
            .map_err(no_memory)?;
        // The offset at which each member starts, the smallest at which it can end, and its index.
        let mut spans = Vec::new();
        spans
            .try_reserve_exact(end.members as usize)
            .map_err(no_memory)?;
        let mut fields = Fields(&bytes);
        for index in 0..end.members {
            let at = end.directory_at + (bytes.len() - fields.0.len()) as u64;
            let (member, span_end) = parse(&mut fields).map_err(|error| error.at(at))?;
            spans.push((member.header_at, span_end, index as usize));
            members.push(member);
        }
        if !fields.0.is_empty() {
            return Err(malformed(format!(
                "{} bytes in the directory after its {} members",
                fields.0.len(),
                end.members
            ))
            .at(end.directory_at + (bytes.len() - fields.0.len()) as u64));
        }
        set_limits(&mut members, spans, end.directory_at)?;
        let by_name = index_names(&members)?;
        Ok(Self { members, by_name })
    }

    /// The index of the member with a name.
    pub(crate) fn index(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }
}

/// Parses the next member. Also returns the smallest offset at which it can end.
fn parse(fields: &mut Fields<'_>) -> Result<(Member, u64)> {
    let record = fields.bytes(CENTRAL_LEN);
    let record = record.filter(|record| record.starts_with(CENTRAL));
    let mut record = Fields(record.ok_or_else(|| malformed("no member of the directory here"))?);
    let fixed = (|| {
        let _signature = record.u32()?;
        let _made_by = record.u16()?;
        let needed = record.u16()?;
        let flags = record.u16()?;
        let method = record.u16()?;
        let _time = record.u32()?;
        let crc = record.u32()?;
        let sizes = [record.u32()?, record.u32()?];
        let lens = [record.u16()?, record.u16()?, record.u16()?];
        let disk = record.u16()?;
        let _attributes = record.bytes(6)?;
        Some((needed, flags, method, crc, sizes, lens, disk, record.u32()?))
    })();
    let mut varying = |lens: [u16; 3]| {
        let [name, extra, comment] = lens.map(usize::from);
        Some((
            fields.bytes(name)?,
            fields.bytes(extra)?,
            fields.bytes(comment)?,
        ))
    };
    let parsed = fixed.and_then(|fixed| Some((fixed, varying(fixed.5)?)));
    let (
        (needed, flags, method, crc, [compressed, size], _, disk, header_at),
        (raw, extra, _comment),
    ) = parsed.ok_or_else(|| malformed("the directory is cut off"))?;

    let name = name::decode(raw, flags)?;
    let in_member = |error: Error| error.in_array(&name);
    // The upper byte is the operating system, not part of the version.
    let needed = needed & 0xff;
    if needed > NEWEST {
        return Err(in_member(Error::new(
            ErrorKind::Method,
            format!("it needs version {needed} of the format; the newest known is {NEWEST}"),
        )));
    }
    let mut wide = zip64_extra(extra).map_err(in_member)?;
    let mut widened = |narrow: u32, what: &str| match narrow.into() {
        SENTINEL_32 => wide.as_mut().and_then(Fields::u64).ok_or_else(|| {
            in_member(malformed(format!(
                "its {what} is in no zip64 field, as it should be"
            )))
        }),
        narrow => Ok(narrow),
    };
    // The zip64 field has only the values that do not fit elsewhere, in this order.
    let size = widened(size, "size")?;
    let compressed = widened(compressed, "compressed size")?;
    let header_at = widened(header_at, "offset")?;
    let disk = match disk.into() {
        SENTINEL_16 => wide.as_mut().and_then(Fields::u32),
        _ => Some(disk.into()),
    };
    if disk != Some(0) {
        return Err(in_member(malformed("it is on another disk")));
    }
    let span_end = header_at
        .checked_add((LOCAL_LEN + raw.len()) as u64)
        .and_then(|end| end.checked_add(compressed))
        .ok_or_else(|| in_member(malformed("it ends beyond 2**64")))?;
    let member = Member {
        name,
        flags,
        method,
        crc,
        compressed,
        size,
        header_at,
        limit: 0,
    };
    Ok((member, span_end))
}

/// The error for two members with the same name.
pub(crate) fn duplicate(name: &str) -> Error {
    Error::new(
        ErrorKind::Duplicate,
        "two members with this name; NumPy reads the last, and \
         np.savez(path, **dict(np.load(path))) writes the archive anew with that one",
    )
    .in_array(name)
}

/// Maps the name of each member to its index. Two members must not share a name.
fn index_names(members: &[Member]) -> Result<HashMap<String, usize>> {
    let mut by_name = HashMap::with_capacity(members.len());
    for (index, Member { name, .. }) in members.iter().enumerate() {
        if by_name.insert(name.clone(), index).is_some() {
            return Err(duplicate(name));
        }
    }
    Ok(by_name)
}

/// Sets the limit of each member, and refuses members that overlap. Overlapping members let a small
/// archive unpack to a huge size.
fn set_limits(
    members: &mut [Member],
    mut spans: Vec<(u64, u64, usize)>,
    directory_at: u64,
) -> Result<()> {
    spans.sort_unstable();
    let next = spans.iter().skip(1).map(|&(start, ..)| start);
    for (&(start, end, index), limit) in spans.iter().zip(next.chain([directory_at])) {
        if end > limit {
            let what = if limit == directory_at {
                "the directory"
            } else {
                "the next member"
            };
            return Err(malformed(format!(
                "it is at {start} and takes {} bytes or more, but {what} begins at {limit}",
                end - start
            ))
            .at(start)
            .in_array(&members[index].name));
        }
        members[index].limit = limit;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::zip::Contents;
    use crate::zip::naive::{Archive, Entry};

    fn kind(entries: impl Into<Vec<Entry>>) -> ErrorKind {
        let storage = Storage::memory(Archive::of(entries).bytes());
        Directory::read(&storage).unwrap_err().kind()
    }

    #[test]
    fn members_may_not_overlap() {
        let x = Entry::stored("x", &[1; 100]);
        for (shift, kind_of_shift) in [(0, None), (1, Some(ErrorKind::Zip))] {
            let mut y = Entry::stored("y", &[2; 100]);
            y.shift = shift;
            let storage = Storage::memory(Archive::of([x.clone(), y]).bytes());
            let found = Directory::read(&storage).err().map(|error| error.kind());
            assert_eq!(found, kind_of_shift);
        }
        let mut long = x.clone();
        (long.compressed, long.size) = (101, 101);
        assert_eq!(kind([long.clone()]), ErrorKind::Zip);
        assert_eq!(
            kind([long.clone(), Entry::stored("y", b"")]),
            ErrorKind::Zip
        );
        long.zip64 = true;
        long.compressed = u64::MAX - 20;
        assert_eq!(kind([long]), ErrorKind::Zip);
        let mut same = Entry::stored("y", &[1; 100]);
        same.shift = (131_u64).wrapping_neg();
        same.zip64 = true;
        let archive = Archive::of([x, same]);
        let error = Directory::read(&Storage::memory(archive.bytes())).unwrap_err();
        assert!(
            error.message().contains("the next member begins at 0"),
            "{error}"
        );
    }

    #[test]
    fn names_must_be_unique_and_sound() {
        let named = |raw: &[u8], flags| {
            let mut entry = Entry::stored("", b"");
            (entry.name, entry.local_name) = (raw.to_vec(), raw.to_vec());
            entry.flags = flags;
            entry
        };
        let utf8 = 1 << 11;
        assert_eq!(
            kind([named(b"x", 0), named(b"x", utf8)]),
            ErrorKind::Duplicate
        );
        // The same name in two encodings.
        let twice = [named(&[0x84], 0), named("\u{e4}".as_bytes(), utf8)];
        assert_eq!(kind(twice), ErrorKind::Duplicate);
        assert_eq!(kind([named(&[0xff], utf8)]), ErrorKind::Zip);
        assert_eq!(kind([named(b"a\0", 0)]), ErrorKind::Zip);
    }

    #[test]
    fn formats_of_the_future_are_refused() {
        let mut bytes = Archive::of([Entry::stored("x", b"abc")]).bytes();
        let at = bytes.windows(4).position(|bytes| bytes == CENTRAL).unwrap();
        for (needed, kind) in [(63, None), (64, Some(ErrorKind::Method))] {
            bytes[at + 6] = needed;
            let found = Directory::read(&Storage::memory(bytes.clone()));
            assert_eq!(found.err().map(|error| error.kind()), kind);
        }
    }

    #[test]
    fn a_size_of_all_ones_needs_a_zip64_field() {
        let mut entry = Entry::deflated("x", b"abc");
        entry.size = u32::MAX.into();
        assert_eq!(kind([entry.clone()]), ErrorKind::Zip);
        entry.zip64 = true;
        Directory::read(&Storage::memory(Archive::of([entry]).bytes())).unwrap();
    }

    prop_compose! {
            fn any_entry()(
                name in "[a-z\u{e4}\u{2603}/.]{0,12}",
                data in prop::collection::vec(any::<u8>(), 0..200),
                deflated: bool,
                piped: bool,
                zip64: bool,
                gap in prop::collection::vec(any::<u8>(), 0..9),
                extra in prop::collection::vec(any::<u8>(), 0..9),
                comment in prop::collection::vec(any::<u8>(), 0..9),
            ) -> (Entry, Vec<u8>) {
                let mut entry = if deflated {
    Entry::deflated(&name, &data)
    } else {
    Entry::stored(&name, &data)
                };
                if piped {
                    entry = entry.piped();
                }
                entry.gap.extend(gap);
                entry.extra = [&[7, 7, extra.len() as u8, 0], &extra[..]].concat();
                (entry.zip64, entry.comment) = (zip64, comment);
                (entry, data)
            }
        }

    proptest! {
        #[test]
        fn what_the_naive_builder_writes_is_read(
            mut entries in prop::collection::vec(any_entry(), 0..8),
            comment in prop::collection::vec(any::<u8>(), 0..30),
            zip64: bool,
        ) {
            let mut seen = std::collections::HashSet::new();
            entries.retain(|(entry, _)| seen.insert(entry.name.clone()));
            // An archive without members must not start with a zip64 record.
            let zip64 = zip64 && !entries.is_empty();
            let members = entries.iter().map(|(entry, _)| entry.clone()).collect();
            let archive = Archive { entries: members, comment, zip64, lies: [0; 3] };
            let storage = Storage::memory(archive.bytes());
            let directory = Directory::read(&storage).unwrap();
            prop_assert_eq!(directory.members.len(), entries.len());
            for (member, (entry, data)) in directory.members.iter().zip(&entries) {
                prop_assert_eq!(member.name.as_bytes(), &entry.name);
                let index = directory.index(&member.name).unwrap();
                prop_assert_eq!(&directory.members[index], member);
                let mut contents = Contents::open(&storage, member).unwrap();
                let mut found = vec![0; data.len()];
                contents.read_exact(&mut found).unwrap();
                contents.finish().unwrap();
                prop_assert_eq!(&found, data);
            }
        }

        #[test]
        fn whatever_the_bytes_are_there_is_no_panic(
            entries in prop::collection::vec(any_entry(), 1..4),
            zip64: bool,
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        ) {
            let entries: Vec<_> = entries.into_iter().map(|(entry, _)| entry).collect();
            let mut bytes = Archive { zip64, ..Archive::of(entries) }.bytes();
            for (index, value) in changes {
                let index = index.index(bytes.len());
                bytes[index] = value;
            }
            let storage = Storage::memory(bytes);
            if let Ok(directory) = Directory::read(&storage) {
                for member in &directory.members {
                    let _ = Contents::open(&storage, member).and_then(Contents::verify);
                }
            }
        }
    }
}
