//! The batches, which burn-npy makes of NumPy files.

use std::path::Path;

use burn::tensor::{Int, Tensor};
use burn_npy::{Batch, Convert, NpyDataset, Result};

/// The side of an image in pixels.
pub(crate) const SIDE: usize = 28;

/// One batch of digits.
#[derive(Batch, Clone, Debug)]
pub(crate) struct Digits {
    /// `[batch, 28, 28]`, grey levels in `[0, 1]`.
    pub(crate) images: Tensor<3>,
    /// `[batch]`, the digit that each image shows.
    pub(crate) labels: Tensor<1, Int>,
}

/// The images and labels of a split, `train` or `test`: of a `.npz` file with `train_images`,
/// `train_labels`, `test_images` and `test_labels`, or of a folder with a `.npy` file for each.
pub(crate) fn open(data: &Path, split: &str) -> Result<NpyDataset> {
    let columns = ["images", "labels"].map(|column| (column, format!("{split}_{column}")));
    let dataset = if data.is_dir() {
        NpyDataset::from_files(columns.map(|(column, array)| {
            let file = data.join(array).with_extension("npy");
            (column, file)
        }))?
    } else {
        NpyDataset::from_npz(data, columns)?
    };
    dataset
        .reshape("images", &[SIDE, SIDE])?
        .convert("images", Convert::to::<f32>().divide(255.0))
}
