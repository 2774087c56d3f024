//! Coming from PyTorch: the same pipeline, the names, and the differences.
//!
//! # The same pipeline
//!
//! ```python
//! data = np.load("mnist.npz")
//! images = torch.from_numpy(data["images"]).float() / 255.0
//! labels = torch.from_numpy(data["labels"]).long()
//! train = TensorDataset(images, labels)
//! train, valid = random_split(train, [0.9, 0.1], torch.Generator().manual_seed(42))
//!
//! train = DataLoader(train, batch_size=64, shuffle=True, num_workers=4, drop_last=True)
//! valid = DataLoader(valid, batch_size=64)
//! for images, labels in train:
//!     ...
//! ```
//!
//! ```
//! # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/shown.rs"));
//! # macro_rules! println { ($($text:tt)*) => { print_line(format!($($text)*)) } }
//! use burn::tensor::{Int, Tensor};
//! use burn_npy::{Batch, Convert, NpyDataset};
//!
//! #[derive(Batch)]
//! struct Digits {
//!     images: Tensor<3>,
//!     labels: Tensor<1, Int>,
//! }
//!
//! fn main() -> burn_npy::Result<()> {
//! #   let _folder = folder();
//! #   digits();
//!     let data = NpyDataset::open("mnist.npz")?
//!         .convert("images", Convert::to::<f32>().divide(255.0))?;
//!     let (train, valid) = data.split(0.9, 42)?;
//!
//!     let train = train
//!         .loader::<Digits>()
//!         .batch_size(64)
//!         .shuffle(42)
//!         .num_workers(4)
//!         .drop_last(true)
//!         .try_build()?;
//!     let valid = valid.loader::<Digits>().batch_size(64).try_build()?;
//!     for batch in train.iter() {
//!         let Digits { images, labels } = batch?;
//! #       assert_eq!((images.dims(), labels.dims()), ([64, 28, 28], [64]));
//!         // ...
//!     }
//!     println!("{} and {} batches", train.len(), valid.len());
//! #   shown("from_pytorch");
//!     Ok(())
//! }
//! ```
//!
//! ```text
//! 14 and 2 batches
//! ```
//!
//! Nothing is read or converted before a batch needs it, so the file may be larger than memory.
//!
//! # The names
//!
//! | PyTorch | here |
//! |---|---|
//! | `Dataset` of tensors, `TensorDataset` | [`NpyDataset`](crate::NpyDataset): named columns |
//! | `Dataset.__getitem__` of your own | Burn's `Dataset`, with [`DataLoaderBuilder::new`](crate::DataLoaderBuilder::new) |
//! | `IterableDataset` | not there: rows have numbers, which the order, `resume` and `batch_at` need |
//! | `random_split(generator=..)` | [`NpyDataset::split`](crate::NpyDataset::split), [`Partition`](crate::order::Partition) for more parts |
//! | `Subset(data, rows)` | [`rows`](crate::NpyDataset::rows) of the dataset; [`filter`](crate::NpyDataset::filter) and [`folds`](crate::NpyDataset::folds) find the rows themselves |
//! | `ConcatDataset`, `StackDataset` | [`concat`](crate::NpyDataset::concat), [`zip`](crate::NpyDataset::zip); [`from_glob`](crate::NpyDataset::from_glob) for shards |
//! | `DatasetFolder`, `ImageFolder` | [`from_class_folders`](crate::NpyDataset::from_class_folders), for `.npy` files |
//! | `DataLoader(..)` | `dataset.loader::<B>()...try_build()?` |
//! | `batch_size` | `batch_size` |
//! | `shuffle=True`, `generator` | `shuffle(seed)` |
//! | `sampler=WeightedRandomSampler(..)` | `sampler(Sampler::weighted(..)?)`, [`Sampler`](crate::Sampler) has others |
//! | `RandomSampler(replacement=True, num_samples=n)` | `sampler(Sampler::with_replacement(seed).draws(n)?)` |
//! | `DistributedSampler`, `set_epoch` | `shard(Shard::from_env()?, ..)`; the epoch counts itself, see [`Shard`](crate::order::Shard) |
//! | `batch_sampler` | [`Sampler::bucketed`](crate::Sampler::bucketed) for similar lengths, [`Sampler::max_tokens`](crate::Sampler::max_tokens) for as many rows as fit; otherwise a batch is `batch_size` rows of the sampler's order |
//! | `num_workers` | `num_workers`; threads, and there are some by default |
//! | `prefetch_factor` | `prefetch`, a number of batches for all workers together; found by itself unless set |
//! | `persistent_workers` | not needed: starting a thread is cheap, and nothing is copied to it |
//! | `worker_init_fn` | not needed: random numbers belong to positions in the order, not to workers, see [`BatchInfo::rng`](crate::BatchInfo::rng) |
//! | `collate_fn` | `#[derive(Batch)]`, which also pads; beyond that [`map_batch`](crate::NpyBatcher::map_batch), or a Burn `Batcher` of your own |
//! | `pad_sequence`, a mask | a column of [`from_lengths`](crate::NpyDataset::from_lengths), see the [cookbook](crate::cookbook#8-rows-of-several-lengths) |
//! | `transform=` of a dataset | [`map`](crate::NpyDataset::map) with a [`transform`](crate::transform) or a closure; [`convert`](crate::NpyDataset::convert) for casts and normalisation |
//! | `v2.RandomCrop`, `v2.MixUp` and the like | the module [`transform`](crate::transform), see [`pipelines`](crate::pipelines#the-methods) |
//! | work on a batch in the loop, on the GPU | `map` of the builder, on tensors |
//! | `pin_memory` | not there: the backend decides how memory goes to the device |
//! | `timeout` | not there |
//! | `drop_last` | `drop_last` |
//! | `.to(device)` | `set_device(device)`: batches are made on the device |
//! | `torchdata`'s `StatefulDataLoader.state_dict()` | [`Loader::state`](crate::Loader::state), [`resume`](crate::DataLoaderBuilder::resume) |
//!
//! # The differences that bite
//!
//! - **Each call of `iter` is another epoch.** An order depends on the seed and the epoch. A second
//!   loader with the same seed starts with epoch 0 again. [`Loader::epoch`](crate::Loader::epoch)
//!   repeats one.
//! - **The seed fixes the batches.** They are the same for any number of workers. In PyTorch, what
//!   a `transform` draws depends on the number of workers.
//! - **Workers are threads.** There is no start method, no pickling, no shared memory to run out
//!   of, and no `if __name__ == "__main__"`. A transform has to be `Send + Sync`.
//! - **Integers do not become floats.** A field `Tensor<3>` does not take a column of `uint8`: the
//!   error of `try_build` says which [`convert`](crate::NpyDataset::convert) makes it one. Labels
//!   need no `.long()`: they become the integers of the device.
//! - **`float64` becomes the float of the device.** PyTorch keeps it, and the model then complains.
//! - **The last batch is smaller**, as in PyTorch, unless `drop_last(true)`.
//! - **A batch is a `Result`.** A row that cannot be loaded is an error that ends the pass, and not
//!   an exception in a worker. `batch?` passes it on.
//! - **Channels stay where they are.** There is no `ToTensor` that moves them:
//!   [`permute`](crate::NpyDataset::permute) does, see the
//!   [cookbook](crate::cookbook#3-images-with-channels-last). Transforms of images with three axes
//!   want to know where the channels are.
//! - **A transform sees one column.** An image and its mask are two columns with the same
//!   transform, which draws the same numbers, see
//!   [`pipelines`](crate::pipelines#an-image-and-its-mask).
