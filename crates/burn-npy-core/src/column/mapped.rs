//! Rows that a transform makes.

use std::fmt;
use std::sync::Arc;

use super::derived::{Derived, Singly, exactly};
use super::origin::Origin;
use super::{Column, Draws};
use crate::order::PositionRng;
use crate::transform::{Ours, RowType, RowView, RowViewMut, Transform};
use crate::{Buffer, DType, Result};

struct Mapped {
    column: [Column; 1],
    transform: Arc<dyn Transform>,
    row_type: RowType,
    /// How many transforms the column has already.
    depth: u64,
    /// Whether the transform may see rows where they lie.
    in_place: bool,
}

impl Column {
    /// The rows that a transform makes of these. The transform runs when rows are gathered.
    ///
    /// # Errors
    ///
    /// Those of [`Transform::output`], and [`ErrorKind::Overflow`](crate::ErrorKind::Overflow) for
    /// a new row beyond all memory.
    pub fn map(self, transform: impl Transform) -> Result<Self> {
        let mapped = Mapped::new(self, Arc::new(transform))?;
        Ok(Self::of_derived(Arc::new(mapped)))
    }
}

impl Mapped {
    fn new(column: Column, transform: Arc<dyn Transform>) -> Result<Self> {
        let locate = |error| column.locate(error);
        let row_type = transform.output(&column.row_type()).map_err(locate)?;
        crate::format::header::checked_nbytes(&row_type.shape, row_type.dtype.size())
            .map_err(locate)?;
        Ok(Self {
            depth: column.depth(),
            in_place: transform.only_copies(Ours) || column.stays(),
            column: [column],
            transform,
            row_type,
        })
    }

    fn column(&self) -> &Column {
        &self.column[0]
    }

    /// Calls `f` for each of some rows with its index and a function that writes it.
    #[inline(always)]
    fn make(
        &self,
        rows: &[usize],
        draws: Draws<'_>,
        f: &mut impl FnMut(usize, &dyn Fn(&mut [u8]) -> Result<()>) -> Result<()>,
    ) -> Result<()> {
        let column = self.column();
        let first = PositionRng::stream(draws.seed, draws.epoch, self.depth + 1);
        column.for_each_row(rows, draws, self.in_place, &mut |index, row| {
            let row = RowView::new(column.dtype(), &column.row_shape, row);
            let made = f(index, &|out: &mut [u8]| {
                let new = RowViewMut::new(self.row_type.dtype, &self.row_type.shape, &mut *out);
                let mut rng = first.at(draws.positions[index]);
                let made = self.transform.apply(row, new, &mut rng);
                if self.row_type.dtype == DType::Bool {
                    // A transform may write any byte, and a comparison on a device tells 7 from 1.
                    out.iter_mut().for_each(|byte| *byte = (*byte).min(1));
                }
                made
            });
            made.map_err(|error| column.of_transform(rows[index], error))
        })
    }
}

impl Derived for Mapped {
    fn rows(&self) -> usize {
        self.column().rows
    }

    fn row_type(&self) -> RowType {
        self.row_type.clone()
    }

    fn columns(&self) -> &[Column] {
        &self.column
    }

    fn with(&self, columns: Vec<Column>) -> Result<Arc<dyn Derived>> {
        let [column] = exactly(columns);
        Ok(Arc::new(Self::new(column, self.transform.clone())?))
    }

    fn load(&self, rows: &[usize], draws: Draws<'_>, out: &mut [u8]) -> Result<()> {
        let out_bytes = out.len() / rows.len().max(1);
        self.make(rows, draws, &mut |index, make| {
            make(&mut out[index * out_bytes..][..out_bytes])
        })
    }

    fn singly(&self) -> Option<&dyn Singly> {
        Some(self)
    }

    fn origin(&self, row: usize, element: Option<usize>) -> Option<Origin<'_>> {
        let is_one = self.row_type.shape.iter().product::<usize>() == 1;
        Some(Origin {
            column: self.column(),
            row,
            element: None,
            made: element.filter(|_| !is_one),
        })
    }

    fn depth(&self) -> u64 {
        self.depth + 1
    }
}

impl Singly for Mapped {
    fn each(
        &self,
        rows: &[usize],
        draws: Draws<'_>,
        f: &mut dyn FnMut(usize, &[u8]),
    ) -> Result<()> {
        let len = self.row_type.len() * self.row_type.dtype.size();
        let (mut row, mut next) = (Buffer::zeroed(len)?, Buffer::zeroed(len)?);
        // `f` reads a row only after the next one is made. A core that reads at once what it has
        // just written, in pieces of other sizes, waits until all is stored.
        self.make(rows, draws, &mut |index, make| {
            make(next.as_mut_slice())?;
            if index > 0 {
                f(index - 1, row.as_slice());
            }
            std::mem::swap(&mut row, &mut next);
            Ok(())
        })?;
        if let Some(last) = rows.len().checked_sub(1) {
            f(last, row.as_slice());
        }
        Ok(())
    }
}

impl fmt::Debug for Mapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mapped")
            .field("column", self.column())
            .field("row_type", &self.row_type)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array1, Array4, ArrayViewD, ArrayViewMutD};

    use super::*;
    use crate::gather::tests::at_each_level;
    use crate::non_temporal::tests::with_forced;
    use crate::transform::{RandomCrop, from_fn};
    use crate::{Access, Array, Convert, OpenOptions, write_npy};

    fn gathered(column: &Column, rows: &[usize]) -> Vec<u8> {
        let mut out = Buffer::zeroed(rows.len() * column.row_bytes()).unwrap();
        column.gather(rows, out.as_mut_slice()).unwrap();
        out.as_slice().to_vec()
    }

    #[test]
    fn rows_that_are_made_are_converted_as_rows_in_memory_are() {
        let dir = tempfile::tempdir().unwrap();
        for (count, side) in [(1, 3), (90, 9), (70, 40)] {
            let images = Array4::from_shape_fn((count, 2, side, side), |(i, c, y, x)| {
                (i * 57 + c * 101 + y * 13 + x * 7) as u8
            });
            let path = dir.path().join(format!("{side}.npy"));
            write_npy(&path, &images).unwrap();
            let read = OpenOptions::new().access(Access::Positioned);
            let rows: Vec<usize> = (0..2 * count).map(|i| i * 31 % count).collect();
            let all: Vec<usize> = (0..rows.len()).collect();
            for array in [images.into(), Array::open_with(&path, read).unwrap()] {
                let crop = RandomCrop::new([side; 2]).pad(2).flip(0.5);
                let crops = Column::new(array).unwrap().map(crop.channels_first());
                let crops = crops.unwrap();
                let made = Array::from(crops.read::<u8>(&rows).unwrap());
                let made = Column::new(made).unwrap();
                for convert in [
                    Convert::to::<f32>(),
                    Convert::to::<f32>().divide(255.0),
                    Convert::to::<f32>().scale(0.3).offset(7.0),
                    Convert::to::<f64>(),
                    Convert::to::<f32>().normalize(&[1.0, 2.0], &[3.0, 4.0]),
                    Convert::to::<f32>().cast(DType::I16),
                ] {
                    let [crops, made] = [&crops, &made].map(|column| {
                        let column = column.clone();
                        column.convert(convert.clone()).unwrap()
                    });
                    let expected = gathered(&made, &all);
                    at_each_level(|| {
                        for past_caches in [false, true] {
                            let found = with_forced(past_caches, || gathered(&crops, &rows));
                            assert!(found == expected, "{convert:?} {side} {past_caches}");
                        }
                    });
                }
            }
        }
    }

    #[test]
    fn an_error_is_that_of_the_row_that_has_it() {
        let not_five =
            |row: ArrayViewD<'_, u8>, mut out: ArrayViewMutD<'_, u8>, _: &mut PositionRng| {
                out.assign(&row);
                if row.iter().any(|x| *x == 5) {
                    return Err("five".into());
                }
                Ok(())
            };
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("numbers.npy");
        write_npy(&path, &Array1::from_iter(0..9_u8)).unwrap();
        let numbers = Column::new(Array::open(&path).unwrap()).unwrap();
        let mapped = numbers.map(from_fn(not_five)).unwrap();
        let converted = mapped.clone().convert(Convert::to::<f32>()).unwrap();
        for rows in [&[5][..], &[1, 5], &[5, 1], &[3, 5, 5, 8]] {
            let [expected, found] = [
                mapped.read::<u8>(rows).unwrap_err(),
                converted.read::<f32>(rows).unwrap_err(),
            ];
            assert_eq!(found.to_string(), expected.to_string());
            assert!(found.message().starts_with("row 5"), "{found}");
        }
    }
}
