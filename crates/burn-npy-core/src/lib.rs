//! NumPy files to rows, in an order that can be proven.
//!
//! This crate is the part of `burn-npy` that knows nothing of Burn and starts no threads. Data
//! flows through it in this order:
//!
//! 1. A [`Header`] is what the first bytes of a `.npy` file say, parsed once and checked.
//! 2. An [`Array`] is a header and the place of its data: a mapped file, a file that is read by
//!    position, a member of an [`Npz`] archive, or memory. Its items are numbers, or made of
//!    numbers, or structures, whose fields are arrays of their own.
//! 3. A [`Column`] is an array seen as rows, with a [`Convert`] for what happens to a row on its
//!    way. [`Column::gather`] copies any rows into a [`Buffer`], converting as it copies.
//! 4. A [`Sampler`] gives the [`Order`] of an epoch, and a [`Plan`] cuts the order into batches,
//!    for one [`Shard`] or several. The order is a pure function of (length, seed, epoch,
//!    position), see [`Permutation`]. [`Partition`] hold rows out; a [`PositionRng`] gives each
//!    position random numbers of its own.
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
//! images.check()?;
//! images.gather(&rows, batch.as_mut_slice())?;
//! # assert!(bytemuck::cast_slice::<u8, f32>(batch.as_slice()).iter().all(|x| *x == 1.0));
//! # Ok(())
//! # }
//! ```
//!
//! Files are written by [`write_npy`], [`append_npy`] and [`NpzWriter`].
//!
//! # Hostile files
//!
//! Whatever the bytes are, reading them gives the right values or an [`Error`] whose [`ErrorKind`]
//! says what is wrong, and takes no more time and memory than the file is large, within [`Limits`].
//! Python objects are never loaded. Nothing panics on data.
//!
//! # Files that change
//!
//! A mapped file is as fast as memory, but it stays a file: a program that truncates it while it is
//! in use makes the next access fail by SIGBUS, which kills the process. `np.save` truncates the
//! file that it overwrites. [`Column::check`] is meant to be called before each gather and finds a
//! file that was truncated, overwritten or replaced; what remains is the moment between the check
//! and the copy. [`Access::Positioned`] closes it, at a price in speed: what was read is checked
//! once more after the read. A change is seen by the file's length, time of change and identity, so
//! one by a process that has the file mapped for writing is seen only from its first write to each
//! page on.

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
