//! Batches: one tensor for each column, and the user's type around the tensors.

use burn::tensor::kind::{Basic, Kind, TensorKind};
use burn::tensor::{Device, Tensor};

use crate::upload::Upload;

/// The requirements on one tensor of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TensorSpec {
    /// The number of dimensions. The first one is that of the rows.
    pub(crate) rank: usize,
    /// The kind of the elements: floats, integers or bools.
    pub(crate) kind: Kind,
}

/// The type of the tensor.
impl std::fmt::Display for TensorSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.kind {
            Kind::Float => write!(f, "Tensor<{}>", self.rank),
            kind => write!(f, "Tensor<{}, {kind:?}>", self.rank),
        }
    }
}

/// A single tensor.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a tensor",
    label = "expected a `Tensor<D, K>`",
    note = "write each tensor into one tuple, as `(a, b, c)` for `((a, b), c)`, twelve at most",
    note = "a field of a struct with `#[derive(Batch)]` that is not in the data is marked \
            `#[batch(default)]`, and one of row numbers `#[batch(file_rows)]`"
)]
pub trait SingleTensor: Send + Sized + 'static {
    /// The requirements on the tensor.
    const SPEC: TensorSpec;

    /// Makes the tensor from the gathered rows of its column.
    fn from_upload(upload: Upload, device: &Device) -> Self;
}

/// The private part of [`Tensors`], which the batcher uses.
#[diagnostic::on_unimplemented(
    message = "`Tensors` is implemented for tensors and tuples of tensors, and not by others",
    label = "not a tensor or a tuple of tensors",
    note = "a type of your own is a batch: write `#[derive(burn_npy::Batch)]` above it"
)]
pub trait Assembled: Send + Sized + 'static {
    /// The requirements on the tensors, in order.
    const SPECS: &'static [TensorSpec];

    /// Makes the tensors from the gathered rows of the columns, in order.
    ///
    /// # Panics
    ///
    /// Panics if there are fewer uploads than specs, or if the rank or kind of one is wrong. The
    /// batcher has checked that.
    fn from_uploads(uploads: &mut dyn Iterator<Item = Upload>, device: &Device) -> Self;
}

/// A tensor, or a tuple of up to twelve tensors, one for each column.
///
/// A tuple cannot contain tuples, and no other type can implement the trait. A type of your own is
/// a [`Batch`].
///
/// ```compile_fail,E0277
/// use burn::tensor::Tensor;
/// use burn_npy::NpyBatcher;
///
/// NpyBatcher::<((Tensor<1>, Tensor<1>), Tensor<1>)>::new();
/// ```
///
/// ```compile_fail,E0277
/// use burn::tensor::Tensor;
/// use burn_npy::Tensors;
///
/// struct Pair(Tensor<1>, Tensor<1>);
///
/// impl Tensors for Pair {}
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a tensor, nor a tuple of up to twelve tensors",
    label = "expected a `Tensor<D, K>`, or a tuple of up to twelve of them",
    note = "for a batch of your own type, write `#[derive(burn_npy::Batch)]` above the struct",
    note = "instead of more than twelve tensors, put columns that are alike into one array with an \
            axis more: they become one tensor"
)]
pub trait Tensors: Assembled {}

impl<const D: usize, K> SingleTensor for Tensor<D, K>
where
    K: Basic + TensorKind + 'static,
{
    const SPEC: TensorSpec = TensorSpec {
        rank: D,
        kind: K::KIND,
    };

    fn from_upload(upload: Upload, device: &Device) -> Self {
        upload.into_tensor(device)
    }
}

/// Makes a tensor from the next upload.
fn next<T: SingleTensor>(uploads: &mut dyn Iterator<Item = Upload>, device: &Device) -> T {
    let upload = uploads.next();
    T::from_upload(
        upload.expect("the batcher gathers one column a tensor"),
        device,
    )
}

impl<const D: usize, K> Assembled for Tensor<D, K>
where
    K: Basic + TensorKind + 'static,
{
    const SPECS: &'static [TensorSpec] = &[Self::SPEC];

    fn from_uploads(uploads: &mut dyn Iterator<Item = Upload>, device: &Device) -> Self {
        next(uploads, device)
    }
}

impl<const D: usize, K> Tensors for Tensor<D, K> where K: Basic + TensorKind + 'static {}

macro_rules! tuples {
    ($($tensor:ident)*) => {
        impl<$($tensor: SingleTensor),*> Tensors for ($($tensor,)*) {}

        impl<$($tensor: SingleTensor),*> Assembled for ($($tensor,)*) {
            const SPECS: &'static [TensorSpec] = &[$($tensor::SPEC),*];

            fn from_uploads(uploads: &mut dyn Iterator<Item = Upload>, device: &Device) -> Self {
                ($(next::<$tensor>(uploads, device),)*)
            }
        }
    };
}

tuples! { A }
tuples! { A B }
tuples! { A B C }
tuples! { A B C E }
tuples! { A B C E F }
tuples! { A B C E F G }
tuples! { A B C E F G H }
tuples! { A B C E F G H I }
tuples! { A B C E F G H I J }
tuples! { A B C E F G H I J K }
tuples! { A B C E F G H I J K L }
tuples! { A B C E F G H I J K L M }

/// What a tensor of a [`Batch`] gets, for [`Batch::FIELDS`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchField {
    pub(crate) column: &'static str,
    pub(crate) content: FieldContent,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum FieldContent {
    /// The rows of the column. If they have any length, a number where there is no item.
    Rows { padding: Option<f64> },
    /// How many items they have.
    Lengths,
    /// Whether an item is padding.
    MaskPad,
}

impl BatchField {
    /// The rows of a column.
    pub const fn column(column: &'static str) -> Self {
        let content = FieldContent::Rows { padding: None };
        Self { column, content }
    }

    /// The rows of a column, which have any length, with a number where there is no item.
    pub const fn padded(column: &'static str, padding: f64) -> Self {
        let padding = Some(padding);
        let content = FieldContent::Rows { padding };
        Self { column, content }
    }

    /// The lengths of the rows of a column.
    pub const fn lengths(column: &'static str) -> Self {
        let content = FieldContent::Lengths;
        Self { column, content }
    }

    /// Whether there is padding instead of an item of a column.
    pub const fn mask_pad(column: &'static str) -> Self {
        let content = FieldContent::MaskPad;
        Self { column, content }
    }
}

/// A batch: tensors, or a type of your own that contains them.
///
/// With `#[derive(Batch)]`, each field of a struct gets the column of the same name:
///
/// ```
/// use burn::tensor::{Int, Tensor};
/// use burn_npy::{Batch, NpyDataset};
///
/// #[derive(Batch)]
/// struct Digits {
///     images: Tensor<3>,
///     #[batch(column = "y")]
///     labels: Tensor<1, Int>,
///     #[batch(file_rows)]
///     rows: Vec<usize>,
///     #[batch(default)]
///     noise: Option<Tensor<3>>,
/// }
///
/// # fn main() -> burn_npy::Result<()> {
/// use burn_npy::ndarray::{Array1, Array3};
///
/// let dataset = NpyDataset::from_tensor_slices((
///     ("images", Array3::<f32>::zeros((100, 28, 28))),
///     ("y", Array1::<u8>::ones(100)),
/// ))?;
/// for batch in dataset.loader::<Digits>().batch_size(50).try_build()?.iter() {
///     let batch = batch?;
///     assert_eq!(batch.images.dims(), [50, 28, 28]);
///     assert_eq!((batch.labels.dims(), batch.rows.len()), ([50], 50));
///     assert!(batch.noise.is_none());
/// }
/// # Ok(())
/// # }
/// ```
///
/// * `#[batch(column = "..")]` names a column that is not called as the field is.
/// * `#[batch(pad = -100)]` is for a column whose rows have any length, as
///   [`NpyDataset::from_offsets`](crate::NpyDataset::from_offsets) makes it. Such a column becomes
///   a tensor of the shape `[rows, longest, ...item_shape]`, where `longest` is the length of the
///   longest row of the batch, and at least 1. What a row does not fill, at its end, is this
///   number; 0 unless it is given.
/// * `#[batch(lengths = "..")]` names such a column. The field is a `Tensor<1, Int>` and gets the
///   length of each row.
/// * `#[batch(mask_pad = "..")]` names such a column. The field is a `Tensor<2, Bool>` of the shape
///   `[rows, longest]`, true where a row is padded, as the `mask_pad` of Burn's attention and the
///   `key_padding_mask` of PyTorch are. `bool_not` makes a mask of the data of it.
/// * `#[batch(file_rows)]` is for a field of the type `Vec<usize>`. It gets the numbers of the rows
///   in their files or arrays, as [`Row::index`](crate::Row::index) gives them.
///   Rows of several datasets may have the same numbers.
/// * `#[batch(default)]` is for a field that is not in the data. It gets its `Default`.
///
/// The macro needs the dependency to be called `burn_npy`, as it is unless you rename it.
///
/// All other fields are tensors, twelve at most. A tensor and a tuple of up to twelve tensors are
/// batches too. They get the columns of the dataset in their order.
///
/// A field of another type does not compile:
///
/// ```compile_fail,E0277
/// #[derive(burn_npy::Batch)]
/// struct Digits {
///     images: Vec<f32>,
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a batch",
    label = "expected a type with `#[derive(Batch)]`, a tensor, or a tuple of up to twelve tensors",
    note = "for a batch of your own type, write `#[derive(burn_npy::Batch)]` above the struct",
    note = "instead of more than twelve tensors, put columns that are alike into one array with an \
            axis more: they become one tensor"
)]
pub trait Batch: Send + Sized + 'static {
    /// The tensors of the batch. Each has the shape `[rows, ...row_shape]`; one of rows of any
    /// length `[rows, longest, ...item_shape]`. The last batch of an
    /// epoch may have fewer rows. Their ranks and kinds are checked against the columns when a
    /// loader is built, or in each batch if the rows come from a dataset of your own.
    type Tensors: Tensors;

    /// What the tensors get, in their order. If it is `None`, the batch has all columns of the
    /// dataset, in the order of the dataset.
    const FIELDS: Option<&'static [BatchField]> = None;

    /// Whether [`set_file_rows`](Self::set_file_rows) is called.
    const NEEDS_FILE_ROWS: bool = false;

    /// Makes the batch from its tensors. In a [`Loader`](crate::Loader), a panic in this method is
    /// an error of the batch.
    fn from_tensors(tensors: Self::Tensors) -> Self;

    /// Gives the batch the numbers of its rows in their files or arrays, see
    /// [`Row::index`](crate::Row::index).
    fn set_file_rows(&mut self, rows: Vec<usize>) {
        let _ = rows;
    }
}

impl<T: Tensors> Batch for T {
    type Tensors = T;

    fn from_tensors(tensors: T) -> Self {
        tensors
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Bool, Int};

    use super::*;

    #[test]
    fn a_tuple_has_up_to_twelve_tensors() {
        type T = Tensor<1>;
        assert_eq!(<(T, T, T, T, T, T, T, T, T, T, T, T)>::SPECS.len(), 12);
        assert_eq!(<(T,)>::SPECS, T::SPECS);
    }

    #[test]
    fn specs_are_in_order() {
        let specs = <(Tensor<3>, Tensor<1, Int>, Tensor<2, Bool>)>::SPECS;
        let found: Vec<_> = specs.iter().map(|spec| (spec.rank, spec.kind)).collect();
        assert_eq!(found, [(3, Kind::Float), (1, Kind::Int), (2, Kind::Bool)]);
    }
}
