//! Columns of columns of columns against a naive twin.

use ndarray::Array2;
use rand_core::Rng;

use super::super::{Draws, gather_drawn};
use super::*;
use crate::row_map::RowMap;
use crate::transform::{RowView, RowViewMut, Transform, from_fn};
use crate::{Access, Array, Convert, DType, ErrorKind, OpenOptions, PositionRng, write_npy};

/// What a column should be: for each row, its numbers at some position.
enum Twin {
    Table(Array2<f32>),
    Chain(Vec<Twin>),
    Picked(Box<Twin>, Vec<usize>),
    Cut(Box<Twin>, Vec<usize>),
    Windows(Box<Twin>, [usize; 4]),
    Mapped(Box<Twin>, u64),
    Converted(Box<Twin>, f32),
    Joined(Vec<Twin>),
    /// The place in the old row of each number.
    Permuted(Box<Twin>, Vec<usize>),
}

const SEED: u64 = 5;
const EPOCH: u64 = 9;

impl Twin {
    fn rows(&self) -> usize {
        match self {
            Self::Table(table) => table.nrows(),
            Self::Chain(parts) => parts.iter().map(Self::rows).sum(),
            Self::Picked(_, rows) => rows.len(),
            Self::Windows(_, [rows, ..]) => *rows,
            Self::Joined(parts) => parts[0].rows(),
            Self::Cut(of, _)
            | Self::Mapped(of, _)
            | Self::Converted(of, _)
            | Self::Permuted(of, _) => of.rows(),
        }
    }

    fn row(&self, row: usize, position: u64) -> Vec<f32> {
        match self {
            Self::Table(table) => table.row(row).to_vec(),
            Self::Chain(parts) => {
                let mut row = row;
                for part in parts {
                    if row < part.rows() {
                        return part.row(row, position);
                    }
                    row -= part.rows();
                }
                panic!("no such row");
            }
            Self::Picked(of, rows) => of.row(rows[row], position),
            Self::Joined(parts) => {
                let parts = parts.iter();
                parts.flat_map(|part| part.row(row, position)).collect()
            }
            Self::Cut(of, kept) | Self::Permuted(of, kept) => {
                let row = of.row(row, position);
                kept.iter().map(|index| row[*index]).collect()
            }
            Self::Windows(of, [_, length, stride, dilation]) => (0..*length)
                .flat_map(|index| {
                    let position = position * *length as u64 + index as u64;
                    of.row(row * stride + index * dilation, position)
                })
                .collect(),
            Self::Mapped(of, depth) => {
                let mut rng = PositionRng::stream(SEED, EPOCH, depth + 1).at(position);
                let noise = (rng.next_u32() % 8) as f32;
                let row = of.row(row, position);
                let sum = row.iter().sum();
                let changed = row.iter().map(|x| x + noise);
                changed.chain([sum]).collect()
            }
            Self::Converted(of, scale) => {
                let row = of.row(row, position);
                row.iter().map(|x| x * scale).collect()
            }
        }
    }
}

struct Made {
    rng: PositionRng,
    dir: tempfile::TempDir,
    /// How often each kind was made.
    kinds: [usize; 9],
}

impl Made {
    fn below(&mut self, bound: usize) -> usize {
        (self.rng.next_u64() % bound as u64) as usize
    }

    fn divisor(&mut self, of: usize) -> usize {
        let divisors = (1..=of).filter(|divisor| of.is_multiple_of(*divisor));
        let divisors: Vec<usize> = divisors.collect();
        divisors[self.below(divisors.len())]
    }

    /// A table with `width` numbers a row, in a file or in memory, of any layout.
    fn table(&mut self, width: usize) -> (Column, Twin) {
        let rows = self.below(30);
        let mut table = Array2::from_shape_simple_fn((rows, width), || 0);
        for x in &mut table {
            *x = self.below(64) as i16;
        }
        let twin = Twin::Table(table.mapv(f32::from));
        if self.below(2) == 0 {
            table = table.t().as_standard_layout().into_owned().reversed_axes();
        }
        let path = self.dir.path().join(format!("{}.npy", self.rng.next_u64()));
        let options = |access| OpenOptions::new().access(access);
        let array = match self.below(6) {
            // The loops for other byte orders have tests of their own.
            0 => Array::from(table),
            1 => Array::from(table.mapv(f32::from)),
            2 => {
                write_npy(&path, &table).unwrap();
                Array::open_with(&path, options(Access::Positioned)).unwrap()
            }
            3 => {
                write_npy(&path, &table).unwrap();
                Array::open(&path).unwrap()
            }
            _ => {
                write_npy(&path, &table.mapv(f32::from)).unwrap();
                Array::open(&path).unwrap()
            }
        };
        let column = Column::new(array).unwrap();
        (column.convert(Convert::to::<f32>()).unwrap(), twin)
    }

    /// A column of rows of `width` numbers, with one axis.
    fn column(&mut self, width: usize, depth: usize) -> (Column, Twin) {
        if depth == 0 || width == 0 {
            return self.table(width);
        }
        let kind = self.below(9);
        self.kinds[kind] += 1;
        let depth = depth - 1;
        let (column, twin) = match kind {
            0 => {
                let parts = 1 + self.below(4);
                let parts = (0..parts).map(|_| self.column(width, depth));
                let (columns, twins): (Vec<_>, Vec<_>) = parts.unzip();
                (Column::chain(columns).unwrap(), Twin::Chain(twins))
            }
            1 => {
                let (column, twin) = self.column(width, depth);
                let mut map = RowMap::new(column.rows());
                map.skip(self.below(5));
                map.shuffle(self.rng.next_u64());
                map.take(self.below(30));
                let rows = (0..map.len()).map(|row| map.map(row)).collect();
                (column.pick(&map), Twin::Picked(twin.into(), rows))
            }
            2 => {
                let (before, after) = (self.below(3), self.below(3));
                let (column, twin) = self.column(before + width + after, depth);
                let kept = before..before + width;
                let column = column.slice(kept.clone()).unwrap();
                (column, Twin::Cut(twin.into(), kept.collect()))
            }
            3 => {
                let length = 1 + self.below(3);
                let length = if width.is_multiple_of(length) {
                    length
                } else {
                    1
                };
                let (stride, dilation) = (1 + self.below(3), 1 + self.below(3));
                let (column, twin) = self.column(width / length, depth);
                let span = (length - 1) * dilation + 1;
                let windows = column.clone().dilated_windows(length, stride, dilation);
                if column.rows() < span {
                    assert_eq!(windows.unwrap_err().kind(), ErrorKind::Shape);
                    return self.table(width);
                }
                let rows = (0..=column.rows() - span).step_by(stride).count();
                let windows = windows.unwrap();
                assert_eq!(windows.row_shape(), [length, width / length]);
                let sizes = [rows, length, stride, dilation];
                let twin = Twin::Windows(twin.into(), sizes);
                (windows.reshape(&[width]).unwrap(), twin)
            }
            4 => {
                let (column, twin) = self.column(width - 1, depth);
                let depth = column.depth();
                (
                    column.map(noise(width)).unwrap(),
                    Twin::Mapped(twin.into(), depth),
                )
            }
            5 => {
                let scale = [0.5, 2.0, 1.0][self.below(3)];
                let (column, twin) = self.column(width, depth);
                let convert = Convert::to::<f32>().scale(f64::from(scale));
                (
                    column.convert(convert).unwrap(),
                    Twin::Converted(twin.into(), scale),
                )
            }
            6 => {
                let first = self.below(width + 1);
                let parts = [first, width - first].map(|width| self.column(width, depth));
                let rows = parts[0].0.rows().min(parts[1].0.rows());
                let take = |(column, twin): (Column, Twin)| {
                    let mut map = RowMap::new(column.rows());
                    map.take(rows);
                    // An identity of fewer rows.
                    let column = column.pick(&map);
                    (column, Twin::Picked(twin.into(), (0..rows).collect()))
                };
                let (columns, twins): (Vec<_>, Vec<_>) = parts.map(take).into_iter().unzip();
                (Column::join(columns).unwrap(), Twin::Joined(twins))
            }
            7 => {
                let (column, twin) = self.column(width, depth);
                let outer = self.divisor(width);
                let middle = self.divisor(width / outer);
                let shape = [outer, middle, width / outer / middle];
                let axes = [
                    [0, 1, 2],
                    [0, 2, 1],
                    [1, 0, 2],
                    [1, 2, 0],
                    [2, 0, 1],
                    [2, 1, 0],
                ];
                let axes = axes[self.below(6)];
                let places = ndarray::Array3::from_shape_vec(shape, (0..width).collect()).unwrap();
                let places = places.permuted_axes(axes).iter().copied().collect();
                let column = column.reshape(&shape).unwrap().permute(&axes).unwrap();
                assert_eq!(column.row_shape(), axes.map(|axis| shape[axis]));
                let column = column.reshape(&[width]).unwrap();
                (column, Twin::Permuted(twin.into(), places))
            }
            _ => {
                let (column, twin) = self.column(width, depth);
                let there = column.reshape(&[1, width, 1]).unwrap();
                (there.reshape(&[width]).unwrap(), twin)
            }
        };
        (column, twin)
    }
}

fn noise(width: usize) -> impl crate::transform::Transform {
    let noise = from_fn::<f32, f32>(|row, mut out, rng| {
        let noise = (rng.next_u32() % 8) as f32;
        let sum = row.sum();
        let row = row.iter().map(|x| x + noise).chain([sum]);
        out.iter_mut().zip(row).for_each(|(out, x)| *out = x);
        Ok(())
    });
    noise.shape(&[width])
}

#[test]
fn columns_of_columns_are_their_naive_twins() {
    let mut made = Made {
        rng: PositionRng::new(1, 2, 3),
        dir: tempfile::tempdir().unwrap(),
        kinds: [0; 9],
    };
    let (mut rows_compared, mut by_slices) = (0, 0);
    for case in 0..2000 {
        let (width, depth) = (1 + made.below(6), 1 + made.below(6));
        let (column, twin) = made.column(width, depth);
        assert_eq!(
            (column.rows(), column.row_shape()),
            (twin.rows(), &[width][..])
        );
        let error = column.read::<f32>(&[column.rows()]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Row);
        if column.rows() == 0 {
            continue;
        }
        let count = made.below(60);
        let rows: Vec<usize> = (0..count).map(|_| made.below(column.rows())).collect();
        let positions: Vec<u64> = rows.iter().map(|_| made.rng.next_u64() % 1000).collect();
        let mut out = column.rows_buffer(count).unwrap();
        let draws = Draws {
            seed: SEED,
            epoch: EPOCH,
            positions: &positions,
        };
        gather_drawn(&mut [(&column, out.as_mut_slice())], &rows, draws).unwrap();
        let expected = rows.iter().zip(&positions);
        let expected: Vec<f32> = expected.flat_map(|(row, at)| twin.row(*row, *at)).collect();
        let found: &[f32] = bytemuck::cast_slice(out.as_slice());
        assert_eq!(found, expected, "case {case}: {column:?}");
        by_slices += usize::from(column.slices(&rows, &mut Vec::new()));

        // Without draws, a row is at the position of its number, in seed 0 and epoch 0.
        let again = [&column, &crate::internal::by_position(&column).unwrap()];
        let [alone, by_position] = again.map(|column| column.read::<f32>(&rows).unwrap());
        assert_eq!(alone, by_position);
        let mut files = 0;
        column
            .visit(&rows, &mut |part, rows| {
                files += 1;
                part.expect_rows(rows)
            })
            .unwrap();
        assert!(count == 0 || files > 0);
        rows_compared += count;
    }
    assert!(
        made.kinds.iter().all(|count| *count > 500),
        "{:?}",
        made.kinds
    );
    assert!(
        rows_compared > 10_000 && by_slices > 50,
        "{rows_compared} {by_slices}"
    );
}

/// Code of the user may decide by a number twice.
#[test]
fn a_row_that_a_transform_sees_does_not_change_under_it() {
    use std::io::Write;

    let dir = tempfile::tempdir().unwrap();
    for chained in [false, true] {
        let path = dir.path().join(format!("{chained}.npy"));
        write_npy(&path, &Array2::from_elem((2, 1000), 1.0_f32)).unwrap();
        let open = || Column::new(Array::open(&path).unwrap()).unwrap();
        let column = match chained {
            true => Column::chain([open(), open()]).unwrap(),
            false => open(),
        };
        let file = path.clone();
        let overwrite = from_fn::<f32, f32>(move |row, mut out, _| {
            assert!(row.iter().all(|x| *x == 1.0));
            let mut file = std::fs::OpenOptions::new().write(true).open(&file)?;
            file.write_all(&[7; 8000])?;
            assert!(row.iter().all(|x| *x == 1.0), "the row has changed");
            out.assign(&row);
            Ok(())
        });
        let error = column.map(overwrite).unwrap().row::<f32>(1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Changed);
    }
}

#[test]
fn bools_of_a_transform_are_zero_or_one() {
    struct Bytes;
    impl Transform for Bytes {
        fn output(&self, row: &RowType) -> Result<RowType> {
            Ok(RowType::new(DType::Bool, row.shape.clone()))
        }

        fn apply(
            &self,
            row: RowView<'_>,
            mut out: RowViewMut<'_>,
            _: &mut PositionRng,
        ) -> Result<()> {
            out.bytes_mut().copy_from_slice(row.bytes());
            Ok(())
        }
    }
    let column = Column::new(vec![0_u8, 1, 2, 255].into()).unwrap();
    let column = column.map(Bytes).unwrap();
    let mut bools = [9; 4];
    column.gather(&[0, 1, 2, 3], &mut bools).unwrap();
    assert_eq!(bools, [0, 1, 1, 1]);
}

#[test]
fn a_long_chain_is_flat() {
    let mut all = Column::new(vec![0_u8].into()).unwrap();
    for number in 1..3000_u16 {
        let next = Column::new(vec![number as u8].into()).unwrap();
        all = Column::chain([all, next]).unwrap();
    }
    assert_eq!(all.rows(), 3000);
    assert_eq!(
        all.read::<u8>(&[2999, 0, 257]).unwrap().as_slice().unwrap(),
        [183, 0, 1]
    );
}

#[test]
fn what_does_not_fit_a_chain_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let column = |name: &str, width: usize| {
        let path = dir.path().join(name);
        write_npy(&path, &Array2::<f32>::zeros((2, width))).unwrap();
        Column::new(Array::open(&path).unwrap()).unwrap()
    };
    let [a, b] = [column("a.npy", 3), column("b.npy", 4)];
    let error = Column::chain([a.clone(), b.clone()]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Shape);
    assert!(error.file().unwrap().ends_with("b.npy"));
    let message = error.to_string();
    assert!(
        message.contains("rows of shape [4] after rows of shape [3] in "),
        "{message}"
    );
    assert!(message.contains("a.npy"), "{message}");
    let wide = a.clone().convert(Convert::to::<f64>()).unwrap();
    let error = Column::chain([a.clone(), wide]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Dtype);
    assert!(
        error
            .to_string()
            .contains("rows of float64 after rows of float32"),
        "{error}"
    );
    assert_eq!(Column::chain([]).unwrap_err().kind(), ErrorKind::Usage);

    // A file that changes is named too, if a row of it is wanted.
    let both = Column::chain([a, column("c.npy", 3)]).unwrap();
    std::fs::write(dir.path().join("c.npy"), b"another file").unwrap();
    assert!(both.read::<f32>(&[0, 1]).is_ok());
    let error = both.read::<f32>(&[0, 3]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Changed);
    assert!(error.file().unwrap().ends_with("c.npy"));
}
