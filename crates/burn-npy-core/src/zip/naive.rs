//! Builds archives in a simple way, and malformed ones on request, for tests of the reader.

use std::io::Write;

use super::{CENTRAL, END, LOCAL, ZIP64_END, ZIP64_LOCATOR};

/// A member, field by field. Its header can differ from the directory.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) name: Vec<u8>,
    pub(crate) local_name: Vec<u8>,
    pub(crate) flags: u16,
    pub(crate) method: u16,
    pub(crate) local_method: u16,
    pub(crate) crc: u32,
    pub(crate) local_crc: u32,
    pub(crate) size: u64,
    pub(crate) local_size: u64,
    /// The bytes in the archive.
    pub(crate) data: Vec<u8>,
    pub(crate) compressed: u64,
    /// Bytes after this member that belong to no member.
    pub(crate) gap: Vec<u8>,
    pub(crate) zip64: bool,
    pub(crate) extra: Vec<u8>,
    pub(crate) comment: Vec<u8>,
    /// Is added to the offset of the header in the directory.
    pub(crate) shift: u64,
}

impl Entry {
    pub(crate) fn stored(name: &str, data: &[u8]) -> Self {
        let name = name.as_bytes().to_vec();
        let crc = crc32fast::hash(data);
        Self {
            local_name: name.clone(),
            flags: if name.is_ascii() { 0 } else { 1 << 11 },
            name,
            method: 0,
            local_method: 0,
            crc,
            local_crc: crc,
            size: data.len() as u64,
            local_size: data.len() as u64,
            data: data.to_vec(),
            compressed: data.len() as u64,
            gap: Vec::new(),
            zip64: false,
            extra: Vec::new(),
            comment: Vec::new(),
            shift: 0,
        }
    }

    pub(crate) fn deflated(name: &str, data: &[u8]) -> Self {
        let mut encoder =
            flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(data).unwrap();
        let mut entry = Self::stored(name, data);
        entry.data = encoder.finish().unwrap();
        entry.compressed = entry.data.len() as u64;
        (entry.method, entry.local_method) = (8, 8);
        entry
    }

    /// Moves the sizes behind the data, as a writer to a pipe does.
    pub(crate) fn piped(mut self) -> Self {
        self.flags |= 1 << 3;
        (self.local_crc, self.local_size) = (0, 0);
        self.gap = [b"PK\x07\x08", &self.crc.to_le_bytes()[..]].concat();
        self.gap.extend((self.compressed as u32).to_le_bytes());
        self.gap.extend((self.size as u32).to_le_bytes());
        self
    }
}

/// An archive. Its end record can be wrong.
#[derive(Clone, Debug, Default)]
pub(crate) struct Archive {
    pub(crate) entries: Vec<Entry>,
    pub(crate) comment: Vec<u8>,
    pub(crate) zip64: bool,
    /// Are added to the count, the length and the offset of the directory in the end record.
    pub(crate) lies: [u64; 3],
}

impl Archive {
    pub(crate) fn of(entries: impl Into<Vec<Entry>>) -> Self {
        let entries = entries.into();
        Self {
            entries,
            ..Self::default()
        }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut directory = Vec::new();
        for entry in &self.entries {
            let at = (out.len() as u64).wrapping_add(entry.shift);
            let narrow = |number: u64| if entry.zip64 { u32::MAX } else { number as u32 };
            let piped = entry.flags & 8 != 0;
            let local_compressed = if piped { 0 } else { entry.compressed };
            let mut wide = Vec::new();
            if entry.zip64 {
                wide.extend([1, 0, 16, 0]);
                wide.extend(entry.local_size.to_le_bytes());
                wide.extend(local_compressed.to_le_bytes());
            }
            out.extend(LOCAL);
            for number in [20, entry.flags, entry.local_method, 0, 33] {
                out.extend(number.to_le_bytes());
            }
            out.extend(entry.local_crc.to_le_bytes());
            out.extend(narrow(local_compressed).to_le_bytes());
            out.extend(narrow(entry.local_size).to_le_bytes());
            out.extend((entry.local_name.len() as u16).to_le_bytes());
            out.extend(((wide.len() + entry.extra.len()) as u16).to_le_bytes());
            out.extend(&entry.local_name);
            out.extend(&entry.extra);
            out.extend(wide);
            out.extend(&entry.data);
            out.extend(&entry.gap);

            let mut wide = Vec::new();
            if entry.zip64 {
                wide.extend([1, 0, 24, 0]);
                for number in [entry.size, entry.compressed, at] {
                    wide.extend(number.to_le_bytes());
                }
            }
            directory.extend(CENTRAL);
            for number in [20, 20, entry.flags, entry.method, 0, 33] {
                directory.extend(number.to_le_bytes());
            }
            directory.extend(entry.crc.to_le_bytes());
            directory.extend(narrow(entry.compressed).to_le_bytes());
            directory.extend(narrow(entry.size).to_le_bytes());
            let extra_len = entry.extra.len() + wide.len();
            for len in [entry.name.len(), extra_len, entry.comment.len()] {
                directory.extend((len as u16).to_le_bytes());
            }
            directory.extend([0; 8]);
            directory.extend(narrow(at).to_le_bytes());
            directory.extend(&entry.name);
            directory.extend(&entry.extra);
            directory.extend(wide);
            directory.extend(&entry.comment);
        }
        let count = self.entries.len() as u64 + self.lies[0];
        let len = (directory.len() as u64).wrapping_add(self.lies[1]);
        let at = (out.len() as u64).wrapping_add(self.lies[2]);
        out.extend(directory);
        let end_at = out.len() as u64;
        if self.zip64 {
            out.extend(ZIP64_END);
            out.extend(44_u64.to_le_bytes());
            out.extend([0; 12]);
            for number in [count, count, len, at] {
                out.extend(number.to_le_bytes());
            }
            out.extend(ZIP64_LOCATOR);
            out.extend([0; 4]);
            out.extend(end_at.to_le_bytes());
            out.extend([1, 0, 0, 0]);
        }
        out.extend(END);
        out.extend([0; 4]);
        out.extend((count as u16).to_le_bytes());
        out.extend((count as u16).to_le_bytes());
        let narrow = |number: u64| if self.zip64 { u32::MAX } else { number as u32 };
        out.extend(narrow(len).to_le_bytes());
        out.extend(narrow(at).to_le_bytes());
        out.extend((self.comment.len() as u16).to_le_bytes());
        out.extend(&self.comment);
        out
    }
}
