//! Rows of a sparse matrix, made dense.

use std::sync::Arc;

use super::derived::{Derived, exactly};
use super::ragged::{RaggedColumn, Run};
use super::{Column, Draws};
use crate::order::shared::Shared;
use crate::transform::RowType;
use crate::{Array, Convert, Error, ErrorKind, Result};

/// Each row has some numbers, the places of these numbers, and zeros in all other places.
#[derive(Debug)]
struct Sparse {
    /// The numbers, and their places.
    columns: [Column; 2],
    rows: Shared<Run>,
    width: usize,
}

impl Column {
    /// The rows of a matrix in compressed rows (CSR), each as `width` numbers. Row `i` has the
    /// numbers `data[indptr[i]..indptr[i + 1]]` in the places that `indices` has there, and zeros
    /// elsewhere. A row is made dense when it is gathered.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Shape`] if `data` and `indices` are not lists of one length;
    /// [`ErrorKind::Dtype`] if the places are not integers; those of
    /// [`RaggedColumn::from_offsets`]; [`ErrorKind::Overflow`] for rows beyond all memory. A gather
    /// fails with [`ErrorKind::Value`] if a row has a place that is not below `width`, or has one
    /// twice.
    pub fn from_csr(data: Array, indices: Array, indptr: &Array, width: usize) -> Result<Self> {
        for list in [&data, &indices] {
            if list.shape() != &data.shape()[..1.min(data.shape().len())] {
                let message = format!(
                    "numbers of shape {:?} and places of shape {:?}, which should be lists of one \
                     length",
                    data.shape(),
                    indices.shape()
                );
                return Err(list.locate(Error::new(ErrorKind::Shape, message)));
            }
        }
        let rows = RaggedColumn::from_offsets(data.clone(), indptr)?.rows;
        let places = Self::new(indices)?;
        if !places.dtype().is_int() {
            let message = format!("places are integers, found {}", places.dtype());
            return Err(places.array.locate(Error::new(ErrorKind::Dtype, message)));
        }
        let places = places.convert(Convert::to::<i64>())?;
        let dense = Self::of_derived(Arc::new(Sparse {
            columns: [Self::new(data)?, places],
            rows,
            width,
        }));
        dense.check_row_bytes()?;
        Ok(dense)
    }
}

impl Sparse {
    fn items(&self, row: usize) -> std::ops::Range<usize> {
        let run = self.rows[row];
        run.start..run.start + run.len
    }
}

impl Derived for Sparse {
    fn rows(&self) -> usize {
        self.rows.len()
    }

    fn row_type(&self) -> RowType {
        RowType::new(self.columns[0].dtype(), [self.width])
    }

    fn columns(&self) -> &[Column] {
        &self.columns
    }

    fn with(&self, columns: Vec<Column>) -> Result<Arc<dyn Derived>> {
        Ok(Arc::new(Self {
            columns: exactly(columns),
            rows: self.rows.clone(),
            width: self.width,
        }))
    }

    fn visit(
        &self,
        rows: &[usize],
        f: &mut dyn FnMut(&Column, &[usize]) -> Result<()>,
    ) -> Result<()> {
        let items: Vec<usize> = rows.iter().flat_map(|row| self.items(*row)).collect();
        self.columns.iter().try_for_each(|column| f(column, &items))
    }

    fn load(&self, rows: &[usize], _: Draws<'_>, out: &mut [u8]) -> Result<()> {
        let [numbers, places] = &self.columns;
        let size = numbers.dtype().size();
        out.fill(0);
        let items: Vec<usize> = rows.iter().flat_map(|row| self.items(*row)).collect();
        let mut found = places.rows_buffer(items.len())?;
        places.load_rows(&items, Draws::default(), found.as_mut_slice())?;
        let mut found: &[i64] = bytemuck::cast_slice(found.as_slice());
        let mut given = numbers.rows_buffer(items.len())?;
        numbers.load_rows(&items, Draws::default(), given.as_mut_slice())?;
        let mut given = given.as_slice().chunks_exact(size);
        let mut seen = vec![false; self.width];
        let row_bytes = (self.width * size).max(1);
        for (row, out) in rows.iter().zip(out.chunks_exact_mut(row_bytes)) {
            let own;
            (own, found) = found.split_at(self.rows[*row].len);
            seen.fill(false);
            let refuse = |message: String| {
                let error = Error::new(ErrorKind::Value, format!("row {row} has {message}"));
                Err(places.array.locate(error))
            };
            for (place, number) in own.iter().zip(&mut given) {
                let inside = usize::try_from(*place).ok();
                let Some(at) = inside.filter(|place| *place < self.width) else {
                    let width = self.width;
                    return refuse(format!("a number in place {place} of {width}"));
                };
                if std::mem::replace(&mut seen[at], true) {
                    return refuse(format!(
                        "two numbers in place {at}; in scipy, call sum_duplicates() before save_npz"
                    ));
                }
                out[at * size..][..size].copy_from_slice(number);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;
    use rand_core::Rng;

    use super::*;
    use crate::PositionRng;

    #[test]
    fn rows_are_those_of_the_dense_matrix() {
        let mut rng = PositionRng::new(7, 0, 0);
        for _ in 0..200 {
            let mut below = |bound: u64| (rng.next_u64() % bound) as usize;
            let (rows, width) = (below(12), 1 + below(9));
            let mut dense = Array2::<f32>::zeros((rows, width));
            let (mut data, mut indices, mut indptr) = (vec![], vec![], vec![0_i32]);
            for row in 0..rows {
                // In any order.
                for place in (0..width).rev() {
                    if below(3) == 0 {
                        let number = 1 + below(100);
                        dense[[row, place]] = number as f32;
                        data.push(number as i16);
                        indices.push(place as i32);
                    }
                }
                indptr.push(data.len() as i32);
            }
            let column = Column::from_csr(data.into(), indices.into(), &indptr.into(), width);
            let column = column.unwrap().convert(Convert::to::<f32>()).unwrap();
            assert_eq!((column.rows(), column.row_shape()), (rows, &[width][..]));
            let order: Vec<usize> = (0..rows).rev().collect();
            let found = column.read::<f32>(&order).unwrap();
            assert_eq!(found, dense.select(ndarray::Axis(0), &order).into_dyn());
        }
    }

    #[test]
    fn what_is_no_matrix_is_told() {
        let csr = |data: Vec<i32>, indices: Vec<i64>, indptr: Vec<i64>| {
            Column::from_csr(data.into(), indices.into(), &indptr.into(), 3)
        };
        let error = csr(vec![1, 2], vec![0], vec![0, 1]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Shape);
        assert_eq!(
            csr(vec![1], vec![0], vec![0, 2]).unwrap_err().kind(),
            ErrorKind::Value
        );
        let table = Array2::<f32>::zeros((2, 2));
        let error = Column::from_csr(table.clone().into(), table.into(), &vec![0].into(), 3);
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Shape);
        for (places, message) in [
            ([0, 3], "row 1 has a number in place 3 of 3"),
            ([0, -1], "row 1 has a number in place -1 of 3"),
        ] {
            let column = csr(vec![1, 2], places.to_vec(), vec![0, 1, 2]).unwrap();
            assert_eq!(column.row::<i32>(0).unwrap()[[0]], 1);
            let error = column.row::<i32>(1).unwrap_err();
            assert_eq!((error.kind(), error.message()), (ErrorKind::Value, message));
        }
        let error = csr(vec![1, 2], vec![2, 2], vec![0, 2])
            .unwrap()
            .row::<i32>(0);
        let error = error.unwrap_err();
        assert!(
            error
                .message()
                .starts_with("row 0 has two numbers in place 2"),
            "{error}"
        );
    }
}
