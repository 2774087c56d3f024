//! The arguments of `NpyDataset::from_tensor_slices`: arrays in memory.

use burn_npy_core::ndarray::{self, Dimension};
use burn_npy_core::{Array, Element};

/// An array, or a tuple of up to four arrays, for
/// [`NpyDataset::from_tensor_slices`](crate::NpyDataset::from_tensor_slices).
pub trait TensorSlices {
    /// The arrays, in order.
    fn into_arrays(self) -> Vec<Array>;
}

impl TensorSlices for Array {
    fn into_arrays(self) -> Vec<Array> {
        vec![self]
    }
}

impl<T: Element + Clone> TensorSlices for Vec<T> {
    fn into_arrays(self) -> Vec<Array> {
        vec![self.into()]
    }
}

impl<T: Element + Clone, D: Dimension> TensorSlices for ndarray::Array<T, D> {
    fn into_arrays(self) -> Vec<Array> {
        vec![self.into()]
    }
}

macro_rules! tuples {
    ($($array:ident)*) => {
        impl<$($array: Into<Array>),*> TensorSlices for ($($array,)*) {
            fn into_arrays(self) -> Vec<Array> {
                #[allow(non_snake_case)]
                let ($($array,)*) = self;
                vec![$($array.into()),*]
            }
        }
    };
}

tuples! { A }
tuples! { A B }
tuples! { A B C }
tuples! { A B C D }
