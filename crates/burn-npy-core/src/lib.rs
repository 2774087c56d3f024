//! Reads rows of NumPy files in a reproducible order.
//!
//! This is the part of `burn-npy` that does not depend on Burn. It starts threads only for files
//! that are [not on this machine](remote). `burn-npy` re-exports all of it, so the examples of the
//! items name that crate. Data flows through it in this order:
//!
//! 1. A [`Header`] is the header of a `.npy` file, parsed once and validated.
//! 2. An [`Array`] is a header and the location of its data: a mapped file, a file that is read by
//!    position, a member of an [`Npz`] archive, or memory. Its items are numbers, consist of
//!    numbers, or are structures, whose fields are arrays too.
//! 3. A [`Column`] is an array seen as rows, with a [`Convert`] that is applied to each row.
//!    [`Column::gather`] copies any rows into a [`Buffer`] and converts them on the way.
//! 4. A [`Sampler`] gives the [`Order`] of an epoch. A [`Plan`] divides the order into batches, for
//!    one [`Shard`] or several. The order is a pure function of (length, seed, epoch, position),
//!    see [`Permutation`]. A [`Partition`] holds rows out, for validation. A [`PositionRng`] gives
//!    random numbers for a position.
//!
//! ```
//! use burn_npy_core::{Array, Convert, DType, Sampler, file::{Buffer, Column}, order::Plan};
//!
//! # fn main() -> burn_npy_core::Result<()> {
//! # let dir = tempfile::tempdir().unwrap();
//! # let path = dir.path().join("images.npy");
//! # burn_npy_core::file::write_npy(&path, &ndarray::Array3::from_elem((10, 2, 2), 255_u8))?;
//! let images = Column::new(Array::open(&path)?)?.convert(Convert::to::<f32>().divide(255.0))?;
//!
//! let order = Sampler::shuffled(42).order(images.rows() as u64, 0);
//! let plan = Plan::new(0..order.len(), 4, false);
//! let rows: Vec<usize> = order.rows(plan.batch(0)).map(|row| row as usize).collect();
//!
//! let mut batch = Buffer::zeroed(rows.len() * images.row_bytes())?;
//! images.gather(&rows, batch.as_mut_slice())?;
//! # assert!(bytemuck::cast_slice::<u8, f32>(batch.as_slice()).iter().all(|x| *x == 1.0));
//! # Ok(())
//! # }
//! ```
//!
//! [`write_npy`], [`append_npy`] and [`NpzWriter`] write files.
//!
//! # Hostile files
//!
//! Whatever the bytes of a file are, reading them gives the right values or an [`Error`] whose
//! [`ErrorKind`] says what is wrong. The time and memory it takes are proportional to the size of
//! the file, within [`Limits`]. Python objects are never loaded. No data causes a panic.
//!
//! # Files that change
//!
//! A file that another program truncates, overwrites or replaces while it is in use is an error,
//! [`ErrorKind::Changed`]. Each gather checks its files before and after the copy, and gives
//! nothing if one of them changed, so no batch mixes old and new data. Each check looks at the
//! length of the open file and at the times at which its bytes and its attributes changed. The
//! latter cannot be set back. One check in 64 follows the path of the file, since a folder of the
//! path may have been replaced. A file that is deleted stays whole while it is open, which is no
//! error.
//!
//! A mapped file is as fast as memory, but it is still a file. If another program truncates it
//! while rows are copied from it, as `np.save` does with the file that it overwrites, the system
//! raises SIGBUS, which kills the process. A page that the disk cannot read does so too. A program
//! that calls [`catch_sigbus`] gets an error instead. [`Access::Positioned`] reads without a map,
//! which is slower. Write data anew to another file and rename it, as [`write_npy`] does.
//!
//! These changes are not found:
//!
//! * a write within the same tick of the file system's clock as the write before the file was
//!   opened. A tick is some milliseconds on old kernels and on ramfs, and far below a microsecond
//!   on ext4, XFS, Btrfs and tmpfs since Linux 6.13.
//! * a write that had begun when the file was opened: the system sets the times at its start.
//! * a write through a map to a page that the same program wrote to before the file was opened,
//!   and that the system has not written to the disk since. On tmpfs and ramfs, such as `/dev/shm`,
//!   it is any page that the program has written to or read before.
//! * on tmpfs, a hole that is being punched: its zeros are there before the times change.
//! * what a network file system does not report, because it caches the times of files.
//!
//! Programs that touch a file without changing its bytes, and mounts whose times change by
//! themselves, look like a change. [`OpenOptions::ignore_times`] is for those.
//!
//! # Many files
//!
//! Open files keep a quarter of the descriptors that the process may have. The descriptors of
//! further files are closed after they are mapped, and opened again for each use that needs one.
//! Such a file must stay at its path: to delete or move it is a change.

mod array;
mod buffer;
mod column;
mod convert;
mod decode;
mod dtype;
mod element;
mod error;
pub mod file;
mod format;
mod gather;
#[doc(hidden)]
pub mod internal;
mod limits;
mod message;
pub mod ml_dtypes;
mod natural;
mod non_temporal;
mod npz;
mod numpy_file;
pub mod order;
mod positioned;
mod readahead;
pub mod remote;
mod row_map;
mod stats;
mod storage;
mod table;
pub mod transform;
mod write;
mod zip;

pub use array::Array;
pub use convert::Convert;
pub use dtype::DType;
pub use error::{Error, ErrorKind, Result};
pub use order::sampler::Sampler;
pub use stats::Stats;
pub use storage::catch_sigbus;

pub use {half, ndarray, rand_core};

// Short paths for this crate itself. Users reach these through their module.
use file::*;
use order::*;

// The example of the README is a doctest.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
