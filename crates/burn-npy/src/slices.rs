//! The arguments of `NpyDataset::from_tensor_slices`: arrays in memory.

use burn_npy_core::ndarray::{self, Dimension};
use burn_npy_core::{Array, file::Element};

use sealed::{Slice, Slices};

/// An array, or a tuple of up to twelve arrays, for
/// [`NpyDataset::from_tensor_slices`](crate::NpyDataset::from_tensor_slices). In a tuple, an array
/// may be a pair of its name and the array.
///
/// An array is one of the crate [`ndarray`](crate::ndarray), a `Vec`, or an
/// [`Array`](crate::Array). The trait cannot be implemented elsewhere.
pub trait TensorSlices: Slices {}

pub(crate) mod sealed {
    use burn_npy_core::Array;

    pub trait Slices {
        /// The arrays in order, each with its name if it has one.
        fn into_arrays(self) -> Vec<(Option<String>, Array)>;
    }

    pub trait Slice {
        fn into_array(self) -> (Option<String>, Array);
    }
}

macro_rules! arrays {
    ($([$($bounds:tt)*] $array:ty,)*) => {$(
        impl<$($bounds)*> TensorSlices for $array {}
        impl<$($bounds)*> Slices for $array {
            fn into_arrays(self) -> Vec<(Option<String>, Array)> {
                vec![self.into_array()]
            }
        }
        impl<$($bounds)*> Slice for $array {
            fn into_array(self) -> (Option<String>, Array) {
                (None, self.into())
            }
        }
    )*};
}

arrays! {
    [] Array,
    [T: Element + Clone] Vec<T>,
    [T: Element + Clone, D: Dimension] ndarray::Array<T, D>,
}

impl<A: Into<Array>> Slice for (&str, A) {
    fn into_array(self) -> (Option<String>, Array) {
        (Some(self.0.to_owned()), self.1.into())
    }
}

impl<A: Into<Array>> Slice for (String, A) {
    fn into_array(self) -> (Option<String>, Array) {
        (Some(self.0), self.1.into())
    }
}

macro_rules! tuples {
    ($($array:ident)*) => {
        impl<$($array: Slice),*> TensorSlices for ($($array,)*) {}
        impl<$($array: Slice),*> Slices for ($($array,)*) {
            fn into_arrays(self) -> Vec<(Option<String>, Array)> {
                #[allow(non_snake_case)]
                let ($($array,)*) = self;
                vec![$($array.into_array()),*]
            }
        }
    };
}

tuples! { A }
tuples! { A B }
tuples! { A B C }
tuples! { A B C D }
tuples! { A B C D E }
tuples! { A B C D E F }
tuples! { A B C D E F G }
tuples! { A B C D E F G H }
tuples! { A B C D E F G H I }
tuples! { A B C D E F G H I J }
tuples! { A B C D E F G H I J K }
tuples! { A B C D E F G H I J K L }
