//! Reads and writes ZIP archives, as far as `.npz` files need them. Reading is strict.
//!
//! An archive has each fact twice, and two readers that rely on different copies see different
//! files. Here both copies must agree: the end record with the directory ([`Directory`]), and the
//! directory with the header of each member ([`Contents::open`]). Members must not overlap, and
//! nothing may come before or after the archive. The format is [APPNOTE.TXT]. Where it leaves a
//! choice, this does what Python's `zipfile` does, since NumPy writes with it.
//!
//! 1. `end` finds the end record, which locates the directory.
//! 2. `directory` reads the directory in one piece.
//! 3. `local` checks the header of a member when the member is opened. So an archive with many
//!    members opens without a read of each.
//! 4. `contents` streams the contents of a member and checks its checksum.
//! 5. `writer` writes archives of stored members.
//!
//! [APPNOTE.TXT]: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT

mod contents;
mod directory;
mod end;
mod fields;
mod local;
#[cfg(test)]
pub(crate) mod naive;
mod name;
mod writer;

pub(crate) use contents::{Contents, SpareDecoder, Stored};
pub(crate) use directory::{Directory, Member, duplicate};
pub(crate) use writer::{Writer, Zip64From};

use crate::{Error, ErrorKind};

const LOCAL: &[u8; 4] = b"PK\x03\x04";
const CENTRAL: &[u8; 4] = b"PK\x01\x02";
const END: &[u8; 4] = b"PK\x05\x06";
const ZIP64_END: &[u8; 4] = b"PK\x06\x06";
const ZIP64_LOCATOR: &[u8; 4] = b"PK\x06\x07";

/// The lengths of the records without their variable parts.
const LOCAL_LEN: usize = 30;
const CENTRAL_LEN: usize = 46;
const END_LEN: usize = 22;
const ZIP64_END_LEN: usize = 56;
const ZIP64_LOCATOR_LEN: usize = 20;

/// The extra field for values that do not fit into 32 bits.
const ZIP64_EXTRA: u16 = 1;

/// Stand for a number that is in a zip64 record instead.
const SENTINEL_32: u64 = 0xffff_ffff;
const SENTINEL_16: u64 = 0xffff;

/// The name is UTF-8.
const FLAG_UTF8: u16 = 1 << 11;
/// The header of the member has no sizes; they follow the data.
const FLAG_DESCRIPTOR: u16 = 1 << 3;

const STORED: u16 = 0;
const DEFLATED: u16 = 8;

fn malformed(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Zip, message)
}
