//! Arrays whose rows lie along another axis than the first.

use super::Array;
use crate::{Error, ErrorKind, Result};

impl Array {
    /// The same array with another axis in front, whose items become its rows. The order of the
    /// other axes stays, as with `np.moveaxis(array, axis, 0)`. A negative axis counts from the
    /// end, so -1 is the last one. Nothing is copied.
    ///
    /// Arrays of Matlab and of some HDF5 files have their samples along the last axis. If such an
    /// array is in Fortran layout, each row lies in one piece then. In C layout its elements lie
    /// apart, which costs a cache line for each; [`layout`](Self::layout) says which one it is.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Shape`] if there is no such axis.
    ///
    /// # Example
    ///
    /// ```
    /// # extern crate burn_npy_core as burn_npy;
    /// use burn_npy::{Array, file::Column};
    ///
    /// # fn main() -> burn_npy::Result<()> {
    /// // 28 x 28 pixels of 100 images.
    /// let images = Array::from(ndarray::Array3::<u8>::zeros((28, 28, 100)));
    /// let images = Column::new(images.rows_along(-1)?)?;
    /// assert_eq!((images.rows(), images.row_shape()), (100, &[28, 28][..]));
    /// # Ok(())
    /// # }
    /// ```
    pub fn rows_along(mut self, axis: isize) -> Result<Self> {
        let axes = self.shape.len();
        let from_start = if axis < 0 {
            axes.checked_sub(axis.unsigned_abs())
        } else {
            Some(axis.unsigned_abs())
        };
        let Some(axis) = from_start.filter(|axis| *axis < axes) else {
            let message = format!("no axis {axis} in an array of shape {:?}", self.shape);
            return Err(self.locate(Error::new(ErrorKind::Shape, message)));
        };
        self.shape[..=axis].rotate_right(1);
        self.strides[..=axis].rotate_right(1);
        self.layout = self.dense_layout().unwrap_or(self.layout);
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array3, Axis};

    use super::*;
    use crate::{Access, Column, Layout, OpenOptions, write_npy};

    #[test]
    fn rows_lie_along_any_axis() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.npy");
        let c = Array3::from_shape_fn((4, 5, 6), |(i, j, k)| (100 * i + 10 * j + k) as i32);
        let fortran = c.t().as_standard_layout().into_owned().reversed_axes();
        for values in [c, fortran] {
            write_npy(&path, &values).unwrap();
            for access in [Access::Mapped, Access::Positioned, Access::Memory] {
                let open = || Array::open_with(&path, OpenOptions::new().access(access)).unwrap();
                for axis in -3..3 {
                    let array = open().rows_along(axis).unwrap();
                    let axis = Axis(axis.rem_euclid(3) as usize);
                    let column = Column::new(array.clone()).unwrap();
                    assert_eq!(column.rows(), values.len_of(axis));
                    for (row, expected) in values.axis_iter(axis).enumerate() {
                        assert_eq!(column.row::<i32>(row).unwrap(), expected.into_dyn());
                    }
                    let rows: Vec<_> = (0..column.rows()).collect();
                    assert_eq!(
                        array.read::<i32>().unwrap(),
                        column.read::<i32>(&rows).unwrap()
                    );
                }
                let error = open().rows_along(3).unwrap_err();
                assert_eq!(
                    (error.kind(), error.file()),
                    (ErrorKind::Shape, Some(&*path))
                );
                assert!(
                    error
                        .to_string()
                        .ends_with("no axis 3 in an array of shape [4, 5, 6]")
                );
                assert!(open().rows_along(-4).is_err() && open().rows_along(isize::MIN).is_err());
            }
        }
    }

    #[test]
    fn samples_along_the_last_axis_in_fortran_layout_are_contiguous() {
        let values = ndarray::Array2::<f32>::zeros((3, 10)).reversed_axes();
        let samples = Array::from(values.clone()).rows_along(-1).unwrap();
        assert_eq!(
            (samples.shape(), samples.layout()),
            (&[3, 10][..], Layout::C)
        );
        assert!(!Column::new(samples).unwrap().is_scattered());
        let c = Array::from(values.as_standard_layout().into_owned())
            .rows_along(-1)
            .unwrap();
        assert_eq!(c.layout(), Layout::Fortran);
        assert!(Column::new(c).unwrap().is_scattered());
    }
}
