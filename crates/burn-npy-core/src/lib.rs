//! Reads rows of NumPy files in a reproducible order.
//!
//! This is the part of `burn-npy` that does not depend on Burn and starts no threads. Data flows
//! through it in this order:
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
//! use burn_npy_core::{Array, Buffer, Column, Convert, DType, Plan, Sampler};
//!
//! # fn main() -> burn_npy_core::Result<()> {
//! # let dir = tempfile::tempdir().unwrap();
//! # let path = dir.path().join("images.npy");
//! # burn_npy_core::write_npy(&path, &ndarray::Array3::from_elem((10, 2, 2), 255_u8))?;
//! let images = Column::new(Array::open(&path)?)?.convert(&Convert::to(DType::F32).divide(255.0))?;
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
//! A mapped file is as fast as memory, but it is still a file. If another program truncates it, the
//! next access raises SIGBUS, which kills the process. `np.save` truncates the file that it
//! overwrites.
//!
//! Each gather first checks that the file was not truncated, overwritten or replaced. The file can
//! still change between the check and the copy. [`Access::Positioned`] closes that gap by a second
//! check after the read, but it is slower.
//!
//! A change is detected by the length, the time of change and the identity of the file. If a
//! process writes through a mapping of the file, the time changes only with its first write to each
//! page.

mod array;
mod buffer;
mod column;
mod convert;
mod decode;
mod dtype;
mod element;
mod error;
mod format;
mod gather;
#[doc(hidden)]
pub mod internal;
mod limits;
mod message;
pub mod ml_dtypes;
mod non_temporal;
mod npz;
mod numpy_file;
mod order;
mod readahead;
mod storage;
mod table;
mod write;
mod zip;

pub use array::{Array, OpenOptions};
pub use buffer::Buffer;
pub use column::{Column, gather_columns};
pub use convert::Convert;
pub use dtype::{ByteOrder, DType, Layout};
pub use element::Element;
pub use error::{Error, ErrorKind, Result};
pub use format::{Field, Header, ItemKind, ItemType};
pub use limits::Limits;
pub use ml_dtypes::*;
pub use npz::Npz;
pub use numpy_file::NumpyFile;
pub use order::{
    BatchPosition, Order, Partition, Permutation, Plan, PositionRng, Remainder, Sampler, Shard,
    read_index,
};
pub use storage::Access;
pub use write::{NpzWriter, WriteElement, append_npy, write_npy};

pub use {half, ndarray, rand_core};
