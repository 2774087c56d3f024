//! The batches, which burn-npy makes of NumPy files.

use std::path::Path;
use std::sync::Arc;

use burn::tensor::{Device, Int, Tensor};
use burn_npy::{
    Batch, Convert, DType, DataLoaderBuilder, Error, ErrorKind, Loader, NpyBatcher, NpyDataset,
    Result,
};

/// The side of an image in pixels.
pub(crate) const SIDE: usize = 28;

/// One batch of digits.
#[derive(Clone, Debug)]
pub(crate) struct MnistBatch {
    /// `[batch, 28, 28]`, grey levels in `[0, 1]`.
    pub(crate) images: Tensor<3>,
    /// `[batch]`, the digit that each image shows.
    pub(crate) targets: Tensor<1, Int>,
}

impl Batch for MnistBatch {
    type Tensors = (Tensor<3>, Tensor<1, Int>);

    fn from_tensors((images, targets): Self::Tensors) -> Self {
        Self { images, targets }
    }
}

/// The two splits, the training one shuffled anew in each epoch.
pub(crate) struct Loaders {
    pub(crate) train: Arc<Loader<MnistBatch>>,
    pub(crate) test: Arc<Loader<MnistBatch>>,
}

impl Loaders {
    /// Opens a `.npz` file with `train_images`, `train_labels`, `test_images` and `test_labels`, or
    /// a folder with a `.npy` file for each. Of the training images, the first `train_images` are
    /// used.
    pub(crate) fn open(
        data: &Path,
        train_images: usize,
        batch_size: usize,
        workers: usize,
        seed: u64,
        device: &Device,
    ) -> Result<Self> {
        let split = |name: &str| {
            let columns = [format!("{name}_images"), format!("{name}_labels")];
            let dataset = if data.is_dir() {
                NpyDataset::from_files(columns.each_ref().map(|column| {
                    let file = data.join(column).with_extension("npy");
                    (column.clone(), file)
                }))?
            } else {
                NpyDataset::from_npz(data, &columns)?
            };
            check_images(&dataset, &columns[0])?;
            let dataset = dataset.convert(&columns[0], &Convert::to(DType::F32).divide(255.0))?;
            let batcher = NpyBatcher::new(columns).device_dtypes();
            let builder = DataLoaderBuilder::new(batcher)
                .batch_size(batch_size)
                .num_workers(workers)
                .set_device(device.clone());
            Ok((builder, dataset))
        };
        let (train, train_set) = split("train")?;
        let (test, test_set) = split("test")?;
        Ok(Self {
            train: train
                .shuffle(seed)
                .try_build(train_set.take(train_images))?,
            test: test.try_build(test_set)?,
        })
    }
}

/// The model is made for images of one size.
fn check_images(dataset: &NpyDataset, images: &str) -> Result<()> {
    let fits = |row_shape: &[usize]| row_shape == [SIDE, SIDE];
    match dataset.columns().find(|(name, _)| *name == images) {
        Some((name, column)) if !fits(column.row_shape()) => Err(Error::new(
            ErrorKind::Shape,
            format!(
                "images of shape {:?}; expected [{SIDE}, {SIDE}]",
                column.row_shape()
            ),
        )
        .in_array(name)),
        _ => Ok(()),
    }
}
