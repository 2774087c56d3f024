//! Arrays in memory, made from those of `ndarray`.

use std::sync::Arc;

use ndarray::Dimension;

use super::{Array, strides};
use crate::storage::Storage;
use crate::{ByteOrder, Element, ItemType, Layout};

struct Elements<T>(Vec<T>);

impl<T: Element> AsRef<[u8]> for Elements<T> {
    fn as_ref(&self) -> &[u8] {
        bytemuck::cast_slice(&self.0)
    }
}

/// An array in memory. Its data is not copied if it has C or Fortran layout.
impl<T: Element + Clone, D: Dimension> From<ndarray::Array<T, D>> for Array {
    fn from(array: ndarray::Array<T, D>) -> Self {
        let mut array = array.into_dyn();
        let layout = if array.is_standard_layout() {
            Layout::C
        } else if array.t().is_standard_layout() {
            Layout::Fortran
        } else {
            array = array.as_standard_layout().into_owned();
            Layout::C
        };
        let shape = array.shape().to_vec();
        let stored_bytes = array.len() * size_of::<T>();
        let (elements, first) = array.into_raw_vec_and_offset();
        let item = ItemType::number(T::DTYPE, ByteOrder::NATIVE);
        Self {
            numbers: item.numbers(),
            strides: strides(&shape, layout, item.size()),
            item,
            layout,
            shape,
            first: 0,
            storage: Storage::memory(Elements(elements)),
            offset: (first.unwrap_or(0) * size_of::<T>()) as u64,
            stored_bytes,
            version: None,
            source: Arc::default(),
        }
    }
}

/// A one-dimensional array in memory.
impl<T: Element + Clone> From<Vec<T>> for Array {
    fn from(elements: Vec<T>) -> Self {
        ndarray::Array::from(elements).into()
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{array, s};

    use super::*;

    #[test]
    fn a_slice_of_an_array_keeps_its_values() {
        let values = array![[1, 2, 3], [4, 5, 6], [7, 8, 9]].mapv(i64::from);
        let rows = Array::from(values.clone().slice_move(s![1.., ..]));
        assert_eq!(
            rows.read::<i64>().unwrap(),
            array![[4, 5, 6], [7, 8, 9]].into_dyn()
        );
        let reversed = Array::from(values.slice_move(s![..;-1, ..]));
        assert_eq!(reversed.read::<i64>().unwrap()[[0, 0]], 7);
    }
}
