//! NumPy files in object stores, for [burn-npy](https://docs.rs/burn-npy): Amazon S3 and what
//! speaks its protocol, Google Cloud Storage, and Azure Blob Storage.
//!
//! [`Cloud`] opens URLs. Whatever is opened by a path in burn-npy takes one, with the options that
//! [`Cloud::open_options`] gives:
//!
//! ```no_run
//! use burn::tensor::{Device, Int, Tensor};
//! use burn_npy::{Batch, NpyDataset};
//! use burn_npy_cloud::Cloud;
//!
//! #[derive(Batch)]
//! struct Digits {
//!     images: Tensor<3>,
//!     labels: Tensor<1, Int>,
//! }
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     // np.savez("mnist.npz", images=.., labels=..), in a bucket
//!     let cloud = Cloud::from_env();
//!     let train = NpyDataset::open_with("s3://bucket/mnist.npz", cloud.open_options())?;
//!     let loader = train.loader::<Digits>().batch_size(64).shuffle(42);
//!     let loader = loader.set_device(Device::flex()).try_build()?;
//!     for batch in loader.iter() {
//!         println!("{:?}", batch?.images.dims());
//!     }
//!     Ok(())
//! }
//! ```
//!
//! The environment says who may read: `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, and
//! `AWS_ENDPOINT` for a server of your own. [`Cloud::from_env`] lists the names for all stores, and
//! [`Cloud::option`] sets them in a program. `gs://` needs the feature `gcp`, and `az://` the
//! feature `azure`.
//!
//! # Many files
//!
//! [`Cloud::list`] lists a folder or what matches a pattern, in the natural order of the names:
//!
//! ```no_run
//! use burn_npy::NpyDataset;
//! use burn_npy_cloud::Cloud;
//!
//! # fn main() -> burn_npy::Result<()> {
//! let cloud = Cloud::from_env();
//! let shards = cloud.list("s3://bucket/train/shard_*.npz")?;
//! let train = NpyDataset::from_shards_with(shards, cloud.open_options())?;
//! # Ok(())
//! # }
//! ```
//!
//! # A cache
//!
//! With a folder on a local disk, what is fetched is kept, and the second epoch is that of a local
//! file:
//!
//! ```no_run
//! use burn_npy::{NpyDataset, file::OpenOptions};
//! use burn_npy_cloud::Cloud;
//!
//! # fn main() -> burn_npy::Result<()> {
//! let remote = Cloud::from_env().remote_options().cache("/var/cache/training", 200 << 30);
//! let options = OpenOptions::new().remote(remote);
//! let train = NpyDataset::open_with("s3://bucket/mnist.npz", options)?;
//! # Ok(())
//! # }
//! ```
//!
//! # What is requested
//!
//! To open an object takes one request, which also brings the header of a `.npy` file. A `.npz`
//! archive takes one more for its directory. Then rows are requested as the order of the epoch
//! needs them, many at the same time: `burn_npy::remote` says how many, and how to change that.
//! Members of an archive that are deflated, as by `numpy.savez_compressed`, are fetched whole when
//! they are opened.
//!
//! # When something goes wrong
//!
//! A request that fails since the store cannot be reached, or says that it is busy, is repeated for
//! up to a [minute](Cloud::patience), with growing waits. What has arrived by then is kept: only
//! the rest is requested again. The first request to a bucket gives up after three seconds, since
//! then an option is likely to be wrong. Other failures are errors at once. An error names the URL,
//! and says what to do. No key of a user is in it.
//!
//! Each request asks for the version of the object that was opened. An object that is replaced or
//! deleted while it is in use is an error of [`ErrorKind::Changed`](burn_npy_core::ErrorKind), and
//! no row of the new one is given out.
//!
//! # Threads
//!
//! Requests run on two threads, which start with the first. They end with the last clone of the
//! [`Cloud`] and the last object that it opened. Nothing of this is global, and a program may use
//! this crate on threads of a runtime of its own, where opening and reading block, as for files.

mod cloud;
mod connect;
mod failure;
mod fetch;
mod location;
mod object;
mod runtime;

pub use cloud::Cloud;

#[cfg(not(any(feature = "aws", feature = "gcp", feature = "azure")))]
compile_error!("burn-npy-cloud needs one of its features aws, gcp and azure");

// The example of the README is a doctest.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
