//! What this crate does not do, and where it runs.
//!
//! # What cannot be opened
//!
//! - **Pickled objects**, as in arrays of the dtype `object`, are refused and never loaded: a
//!   pickle can run code. Save numbers, or text of a fixed width.
//! - **Files of `torch.save`** are pickles too. `np.savez("x.npz", x=tensor.numpy())` writes their
//!   tensors.
//! - **Remote files** need the feature `http`, see the [guide](crate::guide#files-at-urls), or an
//!   [`OpenUrl`](crate::remote::OpenUrl) of your own. A web server that sends whole files only is
//!   refused, such as `python -m http.server`: download its files. So is a file that is sent
//!   encoded. If a server sends neither `ETag` nor `Last-Modified`, nobody notices that a file was
//!   replaced by one of the same length.
//! - **Rows of several lengths** do not exist in a NumPy array. Save their items in one array, and
//!   where each row ends in another, as in the
//!   [cookbook](crate::cookbook#8-rows-of-several-lengths).
//! - **More of rows of several lengths.** Columns that are joined, permuted or cut into columns
//!   have rows of one shape, and so have those of statistics along an axis. Such things can be done
//!   to the items before [`from_offsets`](crate::NpyDataset::from_offsets).
//!   [`pack`](crate::NpyDataset::pack) and [`windows`](crate::NpyDataset::windows) need rows that
//!   lie in an array: after a transform, [`cache`](crate::NpyDataset::cache) makes them.
//! - **HDF5, Parquet, TFRecord and images** have other crates. Burn's `Dataset` can be implemented
//!   for them, and [`DataLoaderBuilder`](crate::DataLoaderBuilder) takes it.
//!
//! ```
//! # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/shown.rs"));
//! # macro_rules! println { ($($text:tt)*) => { print_line(format!($($text)*)) } }
//! use burn_npy::NpyDataset;
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//! #   let _folder = folder();
//! #   let header = "{'descr': '|O', 'fortran_order': False, 'shape': (2,), }\n";
//! #   let mut bytes = [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..]].concat();
//! #   bytes.extend(header.bytes().chain(*b"\x80\x04pickle"));
//! #   std::fs::write("names.npy", &bytes)?;
//!     // np.save("names.npy", np.array(["a", None], object))
//!     println!("{}", NpyDataset::open("names.npy").unwrap_err());
//! #   shown("limits");
//!     Ok(())
//! }
//! ```
//!
//! ```text
//! names.npy: the array holds Python objects, which are pickled and never loaded; if you trust
//!     the file, np.load(path, allow_pickle=True) loads it in Python, and np.savez saves its
//!     arrays
//! ```
//!
//! # What becomes something else
//!
//! | NumPy | here |
//! |---|---|
//! | complex numbers | two floats: a last axis of length 2 |
//! | `datetime64`, `timedelta64` | `int64`, in the unit of the file |
//! | text, `<U8` | code points: a last axis of `uint32` |
//! | bytes, `S8` | a last axis of `uint8` |
//! | structured arrays | a column for each field |
//! | `bfloat16`, `int4` and 8-bit floats of `ml_dtypes` | opaque until [`reinterpret`](crate::NpyDataset::reinterpret) names the type |
//! | `float128`, where the machine has it | refused; save `float64` |
//! | Fortran order | the same values; rows are scattered in the file, so loading them is slower |
//!
//! # What a loader does not do
//!
//! - **Streams.** Rows have numbers, and their count is known. What has no end, or no way back to a
//!   row, is not a dataset here.
//! - **Transforms of several columns together.** A transform sees a row of one column.
//!   [`join`](crate::NpyDataset::join) makes one column of several of the same dtype, and an image
//!   and its mask draw the same numbers. A function in
//!   [`map_batch`](crate::NpyBatcher::map_batch) sees all columns of a batch whose rows have one
//!   shape.
//! - **One row more or less.** A transform makes one row of a row.
//!   [`filter`](crate::NpyDataset::filter) leaves rows out before an epoch begins, and
//!   [`OnError`](crate::OnError) those whose transform fails.
//! - **Lengths that a transform draws.** How many items it makes of a row of several lengths is a
//!   function of how many there are, so that lengths are known before an epoch begins. What it
//!   leaves out of some rows only, it can set to a number that the model ignores.
//! - **Colours and rotations.** The module [`transform`](crate::transform) has no transforms for
//!   them. A closure in [`from_fn`](crate::transform::from_fn) can be one.
//! - **Transforms in a saved state.** A state does not know what a transform does, so a run that
//!   resumes with another one is not noticed, see
//!   [`pipelines`](crate::pipelines#what-a-saved-state-knows).
//! - **Transforms of rows that stay on the device.**
//!   [`resident`](crate::DataLoaderBuilder::resident) refuses them, since the rows are copied there
//!   once. It also refuses rows of several lengths.
//! - **Loading into a batch that you hold.** A batch is a new one each time; its host memory is
//!   reused.
//! - **Resuming inside an epoch under Burn's `Learner`**, which copies its loaders. It resumes
//!   after whole epochs, see the [cookbook](crate::cookbook#11-resume).
//!
//! # Several devices, here or elsewhere
//!
//! - **How many devices train** is something that Burn does not say when it cuts a loader. With
//!   [`devices(n)`](crate::DataLoaderBuilder::devices) each gets as many batches as the others.
//! - **Tensors are not made ahead** on another thread for one of several devices, so
//!   [`prefetch`](crate::DataLoaderBuilder::prefetch) counts batches in host memory only. With Burn
//!   0.22 and wgpu, such a training had wrong gradients, with and without this crate.
//! - **A remote device whose server has ended** is an error of the next pass. During a pass Burn
//!   itself notices it, when a tensor is read, and ends the training. Burn opens a session with a
//!   device once. Connected with another credential it is another device, to which a loader can be
//!   moved.
//! - **Servers that move tensors to each other**, as those of a training on several do, keep
//!   connections. If one is started again, start the others again too: with Burn 0.22 a training
//!   may otherwise wait forever.
//!
//! # Do not overwrite a file that is in use
//!
//! A file is mapped into memory, so what is written to it is seen at once. `np.save` truncates the
//! file that it overwrites. So each batch is compared with the length and the times that its file
//! had when it was opened, and the rows of another file are never given out:
//!
//! ```
//! # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/shown.rs"));
//! # macro_rules! println { ($($text:tt)*) => { print_line(format!($($text)*)) } }
//! use burn::tensor::Tensor;
//! use burn_npy::{NpyDataset, file::write_npy, ndarray::Array1};
//!
//! fn main() -> burn_npy::Result<()> {
//! #   let _folder = folder();
//!     write_npy("x.npy", &Array1::<f32>::zeros(100))?;
//!     let loader = NpyDataset::open("x.npy")?.loader::<Tensor<1>>().batch_size(10).try_build()?;
//!     write_npy("x.npy", &Array1::<f32>::ones(100))?;
//!     if let Some(Err(error)) = loader.iter().next() {
//!         println!("{error}");
//!     }
//! #   shown("limits");
//!     Ok(())
//! }
//! ```
//!
//! ```text
//! epoch 0, batch 0: /data/x.npy: `x`: the file was replaced by another file while in use
//! ```
//!
//! Give new data a new name, and let the next run open it. To replace a file that may be in use,
//! write another one and rename it. Then a run that has the old file ends with this error, and with
//! nothing worse. [`write_npy`](crate::file::write_npy) does so, and in Python:
//!
//! ```python
//! np.save("x.new.npy", x)
//! os.replace("x.new.npy", "x.npy")
//! ```
//!
//! **SIGBUS.** If a file is truncated while a batch is being copied from it, the system sends the
//! signal SIGBUS, which kills the process. A disk that cannot read a page of a mapped file does the
//! same. [`catch_sigbus`](crate::catch_sigbus), called at the start of `main`, makes both an error.
//!
//! On a file system that changes the times of files by itself, open with
//! [`OpenOptions::ignore_times`](crate::file::OpenOptions::ignore_times()). Without a map, as for a
//! network file system that is not reliable, read with
//! [`Access::Positioned`](crate::file::Access::Positioned) or
//! [`Access::Memory`](crate::file::Access::Memory).
//!
//! # Sizes
//!
//! A `.npy` file may be larger than memory, since only the rows of a batch are read. What a file
//! may ask for is bounded by [`Limits`](crate::file::Limits):
//!
//! | what | the limit, unless set |
//! |---|---|
//! | the header of a `.npy` file | 10,000 bytes, as in NumPy |
//! | an array that is decoded from an archive | 4 GiB |
//! | all decoded arrays of an open archive | 16 GiB |
//! | an array that is decoded into memory, and not into a temporary file | 1 GiB |
//!
//! There may be more files than a process may have open or mapped. A quarter of the descriptors
//! that `ulimit -n` allows is kept open, and half of the maps that `vm.max_map_count` allows are
//! used. Other files are read by position, and opened again for that. They must stay at their
//! paths.
//!
//! The tensors of a batch are twelve at most. Batches that are loaded ahead take 128 MiB unless
//! [`prefetch_bytes`](crate::DataLoaderBuilder::prefetch_bytes) says otherwise.
//!
//! # Platforms and versions
//!
//! Tested on Linux. For macOS and Windows the crate is only checked to compile.
//!
//! It needs Burn 0.22 and Rust 1.95. It is not on crates.io yet. Names may still change.
