//! The directory at the end of an archive, read in one piece.

use std::collections::HashSet;

use super::fields::{Fields, zip64_extra};
use super::{CENTRAL, CENTRAL_LEN, LOCAL_LEN, SENTINEL_16, SENTINEL_32, end, malformed, name};
use crate::storage::Storage;
use crate::{Error, ErrorClass, Result};

/// What the directory says of a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(super) flags: u16,
    pub(super) method: u16,
    pub(super) crc: u32,
    /// The size as it is in the archive.
    pub(crate) compressed: u64,
    /// The size once decoded.
    pub(crate) size: u64,
    /// Where its own header begins.
    pub(super) header_at: u64,
    /// Where the next member or the directory begins.
    pub(super) limit: u64,
}

impl Member {
    /// Whether the bytes are in the archive as they are.
    pub(crate) fn is_stored(&self) -> bool {
        self.method == super::STORED
    }
}

/// The members of an archive, in the order of its directory.
#[derive(Debug)]
pub(crate) struct Directory {
    pub(crate) members: Vec<Member>,
}

impl Directory {
    /// Reads the directory of the archive that a storage is. Memory is taken in proportion to the
    /// directory, after it was found to lie within the file.
    pub(crate) fn read(storage: &Storage) -> Result<Self> {
        let end = end::find(storage)?;
        let no_memory = |_| {
            let len = end.directory_len;
            Error::new(
                ErrorClass::Limit,
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
        // Where each member begins, where it ends at the least, and which it is.
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
        refuse_duplicates(&members)?;
        set_limits(&mut members, spans, end.directory_at)?;
        Ok(Self { members })
    }
}

/// The next member, and where it ends at the least.
fn parse(fields: &mut Fields<'_>) -> Result<(Member, u64)> {
    let record = fields.bytes(CENTRAL_LEN);
    let record = record.filter(|record| record.starts_with(CENTRAL));
    let mut record = Fields(record.ok_or_else(|| malformed("no member of the directory here"))?);
    let fixed = (|| {
        let _signature_and_versions = record.u64()?;
        let flags = record.u16()?;
        let method = record.u16()?;
        let _time = record.u32()?;
        let crc = record.u32()?;
        let sizes = [record.u32()?, record.u32()?];
        let lens = [record.u16()?, record.u16()?, record.u16()?];
        let disk = record.u16()?;
        let _attributes = record.bytes(6)?;
        Some((flags, method, crc, sizes, lens, disk, record.u32()?))
    })();
    let mut varying = |lens: [u16; 3]| {
        let [name, extra, comment] = lens.map(usize::from);
        Some((
            fields.bytes(name)?,
            fields.bytes(extra)?,
            fields.bytes(comment)?,
        ))
    };
    let parsed = fixed.and_then(|fixed| Some((fixed, varying(fixed.4)?)));
    let ((flags, method, crc, [compressed, size], _, disk, header_at), (raw, extra, _comment)) =
        parsed.ok_or_else(|| malformed("the directory is cut off"))?;

    let name = name::decode(raw, flags)?;
    let in_member = |error: Error| error.in_array(&name);
    let mut wide = zip64_extra(extra).map_err(in_member)?;
    let mut widened = |narrow: u32, what: &str| match narrow.into() {
        SENTINEL_32 => wide.as_mut().and_then(Fields::u64).ok_or_else(|| {
            in_member(malformed(format!(
                "its {what} is in no zip64 field, as it should be"
            )))
        }),
        narrow => Ok(narrow),
    };
    // The order of the zip64 field, which holds only what does not fit elsewhere.
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

fn refuse_duplicates(members: &[Member]) -> Result<()> {
    let mut seen = HashSet::with_capacity(members.len());
    for Member { name, .. } in members {
        if !seen.insert(name.as_str()) {
            let error = Error::new(ErrorClass::Duplicate, "two members with this name");
            return Err(error.in_array(name));
        }
    }
    Ok(())
}

/// Gives each member the place at which it must end; archives whose members share bytes unpack to
/// far more than they are.
fn set_limits(
    members: &mut [Member],
    mut spans: Vec<(u64, u64, usize)>,
    directory_at: u64,
) -> Result<()> {
    spans.sort_unstable();
    let next = spans.iter().skip(1).map(|&(start, ..)| start);
    for (&(start, end, index), limit) in spans.iter().zip(next.chain([directory_at])) {
        if end > limit {
            let what = match limit == directory_at {
                true => "the directory",
                false => "the next member",
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
