//! What a file may make its reader do.

/// What a file may make its reader do, set by [`OpenOptions::limits`](crate::OpenOptions::limits).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest header of a `.npy` file, in bytes. 10,000 unless set, as in NumPy.
    pub header_bytes: usize,
    /// The largest array, in bytes, that is decoded from an archive, and the most that is read of a
    /// compressed member with bytes after its array. 4 GiB unless set.
    pub member_bytes: u64,
    /// How many bytes may be decoded from one archive in all. 16 GiB unless set.
    pub total_bytes: u64,
    /// The largest array, in bytes, that is decoded into memory; larger ones go to a temporary file
    /// in [`OpenOptions::cache_dir`](crate::OpenOptions::cache_dir), which is then mapped. 1 GiB
    /// unless set.
    pub memory_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_bytes: crate::format::header::MAX_HEADER_LEN,
            member_bytes: 4 << 30,
            total_bytes: 16 << 30,
            memory_bytes: 1 << 30,
        }
    }
}
