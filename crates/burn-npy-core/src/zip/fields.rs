//! Reads the fields of a record one by one.

use super::{ZIP64_EXTRA, malformed};
use crate::Result;

/// The rest of a record. Numbers are little-endian. `None` means that there are too few bytes left.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(bytes)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*bytes)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }
}

/// Finds the zip64 record among the extra fields, if there is one.
pub(super) fn zip64_extra(extra: &[u8]) -> Result<Option<Fields<'_>>> {
    let mut fields = Fields(extra);
    let mut found = None;
    // Up to three bytes may be left over, since some writers use them for alignment.
    while fields.0.len() >= 4 {
        let record = (|| {
            let id = fields.u16()?;
            let len = fields.u16()?;
            Some((id, fields.bytes(len.into())?))
        })();
        let (id, data) = record.ok_or_else(|| malformed("an extra field that is cut off"))?;
        if id == ZIP64_EXTRA && found.replace(Fields(data)).is_some() {
            return Err(malformed("two zip64 fields"));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_zip64_record_is_found_among_others() {
        let extra = [9, 9, 2, 0, 7, 7, 1, 0, 4, 0, 1, 2, 3, 4, 0, 0];
        let mut fields = zip64_extra(&extra).unwrap().unwrap();
        assert_eq!(fields.u32(), Some(0x0403_0201));
        assert_eq!(fields.u16(), None);
        assert!(zip64_extra(&extra[..6]).unwrap().is_none());
        assert!(zip64_extra(&extra[..13]).is_err());
        assert!(zip64_extra(&[1, 0, 0, 0, 1, 0, 0, 0]).is_err());
        assert!(zip64_extra(&[0; 8]).unwrap().is_none());
    }
}
