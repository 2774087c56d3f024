//! What a batch is made of: one tensor a column, and the user's type around them.

use burn::tensor::kind::{Basic, Kind, TensorKind};
use burn::tensor::{Device, Tensor};

use crate::upload::Upload;

/// What a tensor of a batch must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TensorSpec {
    /// The number of its dimensions, of which the first counts the rows.
    pub rank: usize,
    /// Whether it is a tensor of floats, integers or bools.
    pub kind: Kind,
}

/// A tensor, or a tuple of up to eight tensors: one for each column.
pub trait Tensors: Send + Sized + 'static {
    /// What the tensors must be, in order.
    const SPECS: &'static [TensorSpec];

    /// The tensors from what was gathered of the columns, in order.
    ///
    /// # Panics
    ///
    /// Panics if there are fewer uploads than specs, or some of another rank or kind; the batcher has
    /// checked them.
    fn from_uploads(uploads: &mut dyn Iterator<Item = Upload>, device: &Device) -> Self;
}

impl<const D: usize, K> Tensors for Tensor<D, K>
where
    K: Basic + TensorKind + 'static,
{
    const SPECS: &'static [TensorSpec] = &[TensorSpec {
        rank: D,
        kind: K::KIND,
    }];

    fn from_uploads(uploads: &mut dyn Iterator<Item = Upload>, device: &Device) -> Self {
        uploads
            .next()
            .expect("the batcher gathers one column a tensor")
            .into_tensor(device)
    }
}

macro_rules! tuples {
    ($($tensor:ident)*) => {
        impl<$($tensor: Tensors),*> Tensors for ($($tensor,)*) {
            const SPECS: &'static [TensorSpec] = &[$($tensor::SPECS[0]),*];

            fn from_uploads(uploads: &mut dyn Iterator<Item = Upload>, device: &Device) -> Self {
                ($($tensor::from_uploads(uploads, device),)*)
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

/// A batch: tensors, or a type of yours around them.
///
/// # Example
///
/// ```
/// use burn::tensor::{Int, Tensor};
/// use burn_npy::Batch;
///
/// struct MnistBatch {
///     images: Tensor<3>,
///     targets: Tensor<1, Int>,
/// }
///
/// impl Batch for MnistBatch {
///     type Tensors = (Tensor<3>, Tensor<1, Int>);
///
///     fn from_tensors((images, targets): Self::Tensors) -> Self {
///         Self { images, targets }
///     }
/// }
/// ```
pub trait Batch: Send + Sized + 'static {
    /// The tensors that the batch is made of, each of the shape `[rows, ...row_shape]`; the last batch of an epoch may have
    /// fewer rows. Their ranks and kinds are checked against the columns
    /// when a loader is built.
    type Tensors: Tensors;

    /// The batch from its tensors. With a [`Loader`](crate::Loader), a panic in it is an error of the batch.
    fn from_tensors(tensors: Self::Tensors) -> Self;
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
    fn specs_are_in_order() {
        let specs = <(Tensor<3>, Tensor<1, Int>, Tensor<2, Bool>)>::SPECS;
        let found: Vec<_> = specs.iter().map(|spec| (spec.rank, spec.kind)).collect();
        assert_eq!(found, [(3, Kind::Float), (1, Kind::Int), (2, Kind::Bool)]);
    }
}
