//! Limits on the memory, time and disk space that a file may take.

/// Limits on the memory, time and disk space that a file may take, for
/// [`OpenOptions::limits`](crate::OpenOptions::limits()).
///
/// # Example
///
/// ```
/// # extern crate burn_npy_core as burn_npy;
/// use burn_npy::file::Limits;
///
/// let limits = Limits::new().member_bytes(64 << 20).total_bytes(256 << 20);
/// assert_eq!(limits.header_bytes, 10_000);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The longest header of a `.npy` file, in bytes. The default is 10,000, as in NumPy.
    pub header_bytes: usize,
    /// The largest array, in bytes, that is decoded from an archive. It is also the most that is
    /// read of a compressed member with bytes after its array. The default is 4 GiB.
    pub member_bytes: u64,
    /// How many bytes of decoded arrays of one open archive may be held at the same time, in memory
    /// and in temporary files. The default is 16 GiB.
    ///
    /// An array takes its share when it is decoded, whether it was decoded before or not. It
    /// returns the share when the array and all that use its bytes are dropped: clones, fields,
    /// columns, datasets, and batches that borrow rows. An array that cannot be decoded takes none.
    /// Arrays that are stored in the archive, and copies that a program makes, do not count.
    pub total_bytes: u64,
    /// The largest array, in bytes, that is decoded into memory. Larger ones are decoded into a
    /// temporary file in [`OpenOptions::cache_dir`](crate::OpenOptions::cache_dir()), which is then
    /// mapped. The default is 1 GiB.
    pub memory_bytes: u64,
}

impl Limits {
    /// The default limits.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets [`header_bytes`](Self#structfield.header_bytes).
    pub fn header_bytes(mut self, bytes: usize) -> Self {
        self.header_bytes = bytes;
        self
    }

    /// Sets [`member_bytes`](Self#structfield.member_bytes).
    pub fn member_bytes(mut self, bytes: u64) -> Self {
        self.member_bytes = bytes;
        self
    }

    /// Sets [`total_bytes`](Self#structfield.total_bytes).
    pub fn total_bytes(mut self, bytes: u64) -> Self {
        self.total_bytes = bytes;
        self
    }

    /// Sets [`memory_bytes`](Self#structfield.memory_bytes).
    pub fn memory_bytes(mut self, bytes: u64) -> Self {
        self.memory_bytes = bytes;
        self
    }
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
