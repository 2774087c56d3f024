//! What each [`ReadAt`] must do, as a test that those of others can run too.

use std::thread;

use super::ReadAt;
use crate::{ErrorKind, Result};

/// Checks that a [`ReadAt`] has these bytes, and no others. For the tests of an implementation.
///
/// It reads ranges of all kinds, from one thread and from several. So that it takes not too long,
/// the bytes should be some thousands.
///
/// # Panics
///
/// Panics where the implementation breaks the contract of [`ReadAt`].
///
/// # Example
///
/// ```
/// # extern crate burn_npy_core as burn_npy;
/// use burn_npy::remote::{ReadAt, check_read_at};
/// # use burn_npy::{Error, ErrorKind, Result};
/// # #[derive(Debug)]
/// # struct Blob(Vec<u8>);
/// # impl ReadAt for Blob {
/// #     fn name(&self) -> &str {
/// #         "blob"
/// #     }
/// #     fn len(&self) -> u64 {
/// #         self.0.len() as u64
/// #     }
/// #     fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<()> {
/// #         let offset = usize::try_from(offset).unwrap_or(usize::MAX);
/// #         let bytes = self.0.get(offset..).and_then(|bytes| bytes.get(..out.len()));
/// #         let short = || Error::new(ErrorKind::TruncatedData, "a read beyond the end");
/// #         out.copy_from_slice(bytes.ok_or_else(short)?);
/// #         Ok(())
/// #     }
/// # }
///
/// let bytes: Vec<u8> = (0..5000).map(|i| (i % 251) as u8).collect();
/// check_read_at(&Blob(bytes.clone()), &bytes);
/// ```
pub fn check_read_at(storage: &dyn ReadAt, bytes: &[u8]) {
    assert!(!storage.name().is_empty(), "without a name");
    let version = storage.version().map(str::to_owned);
    assert!(
        version.as_deref() != Some(""),
        "a version that says nothing"
    );
    each_range_is_right(storage, bytes);
    nothing_is_beyond_the_end(storage, bytes);
    threads_do_not_disturb_each_other(storage, bytes);
    // Whatever was read, and failed, the storage is the same.
    assert_eq!(storage.len(), bytes.len() as u64, "the length");
    assert_eq!(storage.version(), version.as_deref(), "the version");
}

/// A pattern that no file has, so that a byte that was not written is seen.
fn read(storage: &dyn ReadAt, offset: u64, len: usize, junk: u8) -> Result<Vec<u8>> {
    let mut out = vec![junk; len];
    storage.read_at(offset, &mut out)?;
    Ok(out)
}

/// Lengths and places of all sizes, from the start, from the end and around powers of two.
fn places(len: usize) -> Vec<usize> {
    let mut places = vec![0, len];
    for shift in 0..usize::BITS {
        let power = 1_usize << shift;
        if power > len {
            break;
        }
        places.extend([power - 1, power, power + 1, len - power]);
    }
    places.retain(|place| *place <= len);
    places.sort_unstable();
    places.dedup();
    places
}

fn expect(storage: &dyn ReadAt, bytes: &[u8], start: usize, end: usize) {
    let expected = &bytes[start..end];
    for junk in [0x00, 0xff] {
        let found = read(storage, start as u64, end - start, junk);
        let found = found.unwrap_or_else(|error| panic!("bytes {start}..{end}: {error}"));
        assert!(found == expected, "bytes {start}..{end} are others");
    }
}

fn each_range_is_right(storage: &dyn ReadAt, bytes: &[u8]) {
    let places = places(bytes.len());
    for (index, &start) in places.iter().enumerate() {
        for &end in &places[index..] {
            expect(storage, bytes, start, end);
        }
    }
    // From the end to the start.
    for start in (0..bytes.len())
        .rev()
        .step_by(bytes.len().div_ceil(16).max(1))
    {
        expect(storage, bytes, start, bytes.len().min(start + 3));
    }
}

fn nothing_is_beyond_the_end(storage: &dyn ReadAt, bytes: &[u8]) {
    let len = bytes.len() as u64;
    for (offset, count) in [
        (len, 1),
        (len - len.min(1), 2),
        (len + 1, 1),
        (u64::MAX, 1),
        (0, bytes.len() + 1),
    ] {
        match read(storage, offset, count, 0) {
            Ok(_) => panic!("{count} bytes at {offset} of {len}"),
            Err(error) => assert_eq!(
                error.kind(),
                ErrorKind::TruncatedData,
                "{count} bytes at {offset} of {len}: {error}"
            ),
        }
    }
}

fn threads_do_not_disturb_each_other(storage: &dyn ReadAt, bytes: &[u8]) {
    thread::scope(|scope| {
        for thread in 0..8_usize {
            scope.spawn(move || {
                // Each goes its own way, over places that others read too.
                for step in 0..32_usize {
                    let start = (step * 7919 + thread * 104_729) % (bytes.len() + 1);
                    let end = bytes.len().min(start + (step * 613) % 2048);
                    expect(storage, bytes, start, end);
                }
            });
        }
    });
}
