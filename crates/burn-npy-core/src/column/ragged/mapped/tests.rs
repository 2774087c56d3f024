//! Transforms of rows of any length against a naive twin.

use ndarray::{Array2, ArrayD, Axis, s};
use rand_core::Rng;

use super::*;
use crate::column::array_of;
use crate::column::ragged::tests::{below, column};
use crate::row_map::RowMap;
use crate::transform::{Noise, OneHot, Truncate, from_fn};
use crate::{Buffer, Convert};

const SEED: u64 = 11;
const EPOCH: u64 = 4;
const PADDING: f32 = -7.5;

/// What is done to a row.
#[derive(Clone, Copy, Debug)]
enum Op {
    First(usize),
    Random(usize),
    /// An item of ones before the row and behind it.
    Ends,
    /// A random number added to all elements.
    Jitter,
    /// To `f32`, and times a number.
    Scaled(f32),
}

/// A row of the twin, with what is done to it.
#[derive(Clone, Debug)]
struct Twin {
    row: Array2<f32>,
    ops: Vec<Op>,
}

impl Twin {
    fn made(&self, position: u64) -> Array2<f32> {
        let mut row = self.row.clone();
        let mut stream = 0;
        for op in &self.ops {
            let mut rng = PositionRng::stream(SEED, EPOCH, stream + 1).at(position);
            stream += 1;
            let len = row.nrows();
            row = match *op {
                Op::First(most) => row.slice(s![..most.min(len), ..]).to_owned(),
                Op::Random(most) if most < len => {
                    let first = rng.below((len - most) as u64 + 1) as usize;
                    row.slice(s![first..first + most, ..]).to_owned()
                }
                Op::Random(_) => row,
                Op::Ends => {
                    let mut new = Array2::ones((len + 2, 3));
                    new.slice_mut(s![1..len + 1, ..]).assign(&row);
                    new
                }
                Op::Jitter => row + (rng.next_u32() % 16) as f32,
                Op::Scaled(by) => {
                    stream -= 1;
                    row * by
                }
            };
        }
        row
    }
}

/// Adds an operation to a column; the numbers are `int16` until they are scaled.
fn done(column: &RaggedColumn, op: Op) -> RaggedColumn {
    fn ends<T: crate::Element>(one: T) -> impl Transform {
        let ends = from_fn::<T, T>(move |row, mut out, _| {
            out.fill(one);
            out.slice_axis_mut(Axis(0), (1..row.shape()[0] + 1).into())
                .assign(&row);
            Ok(())
        });
        ends.length(|len| len + 2)
    }
    let is_float = column.dtype() == DType::F32;
    match op {
        Op::First(most) => column.map(Truncate::new(most)),
        Op::Random(most) => column.map(Truncate::new(most).random()),
        Op::Ends if is_float => column.map(ends(1.0_f32)),
        Op::Ends => column.map(ends(1_i16)),
        Op::Jitter => column.map(from_fn::<f32, f32>(|row, mut out, rng| {
            out.assign(&(&row + (rng.next_u32() % 16) as f32));
            Ok(())
        })),
        Op::Scaled(by) => column.convert(Convert::to::<f32>().scale(by.into())),
    }
    .unwrap()
}

#[test]
fn transforms_between_all_other_changes_are_those_of_a_naive_twin() {
    let dir = tempfile::tempdir().unwrap();
    let (mut rows_made, mut longer) = (0, 0);
    for case in 0..150 {
        let rng = &mut PositionRng::new(8, 1, case);
        let (mut columns, mut twins) = (Vec::new(), Vec::new());
        for _ in 0..1 + below(rng, 3) {
            let (mut column, rows) = column(rng, dir.path());
            let mut ops = Vec::new();
            for _ in 0..below(rng, 5) {
                let op = match below(rng, 5) {
                    0 => Op::First(1 + below(rng, 30)),
                    1 => Op::Random(1 + below(rng, 30)),
                    2 => Op::Ends,
                    3 if column.dtype() == DType::F32 => Op::Jitter,
                    _ => Op::Scaled([0.5, 2.0][below(rng, 2)]),
                };
                column = done(&column, op);
                ops.push(op);
            }
            // So that all have one type.
            column = done(&column, Op::Scaled(1.0));
            columns.push(column);
            let twin = |row: &Array2<i16>| Twin {
                row: row.mapv(f32::from),
                ops: ops.clone(),
            };
            twins.extend(rows.iter().map(twin));
        }
        let mut column = RaggedColumn::chain(columns).unwrap();
        let mut map = RowMap::new(twins.len());
        if below(rng, 2) == 0 {
            map.shuffle(case);
            map.skip(below(rng, 3));
        }
        column = column.pick(&map).unwrap();
        let mut twins: Vec<Twin> = (0..map.len())
            .map(|row| twins[map.map(row)].clone())
            .collect();
        for op in [Op::Random(20), Op::Scaled(2.0), Op::Ends] {
            if below(rng, 2) == 0 {
                column = done(&column, op);
                twins.iter_mut().for_each(|twin| twin.ops.push(op));
            }
        }
        let made = |row: usize, position| twins[row].made(position);
        let lengths: Vec<usize> = (0..twins.len()).map(|row| made(row, 0).nrows()).collect();
        assert!(column.lengths().eq(lengths.iter().copied()), "case {case}");
        assert_eq!(column.longest(), lengths.iter().copied().max().unwrap_or(0));
        if twins.is_empty() {
            continue;
        }
        // In an epoch: any rows at any positions, padded, each in a place of its own.
        let wanted: Vec<usize> = (0..below(rng, 30))
            .map(|_| below(rng, twins.len()))
            .collect();
        let positions: Vec<u64> = wanted.iter().map(|_| rng.next_u64()).collect();
        let length = wanted.iter().map(|row| lengths[*row]).max().unwrap_or(0) + below(rng, 3);
        let bytes = column.bytes_of(length, wanted.len()).unwrap();
        let mut out = Buffer::zeroed(bytes).unwrap();
        out.as_mut_slice().fill(0xa5);
        let room = bytes / wanted.len().max(1);
        let backwards = |index: usize| wanted.len() - 1 - index;
        let draws = Draws {
            seed: SEED,
            epoch: EPOCH,
            positions: &positions,
        };
        let place = |index| backwards(index) * room..(backwards(index) + 1) * room;
        let padding = PADDING.to_ne_bytes();
        column
            .gather_drawn(&wanted, draws, place, &padding, out.as_mut_slice())
            .unwrap();
        let found = array_of::<f32>(out.as_slice(), vec![wanted.len(), length, 3]).unwrap();
        let mut expected = ArrayD::from_elem(found.shape(), PADDING);
        for (index, (row, position)) in wanted.iter().zip(&positions).enumerate() {
            let row = made(*row, *position);
            let mut place = expected.index_axis_mut(Axis(0), backwards(index));
            place.slice_mut(s![..row.nrows(), ..]).assign(&row);
        }
        assert!(found == expected, "case {case}: {:?}", twins[0].ops);
        rows_made += wanted.len();
        let is_longer = |row: &&usize| lengths[**row] > twins[**row].row.nrows();
        longer += wanted.iter().filter(is_longer).count();

        // One row after the other, outside of an epoch: as each row by itself.
        let (items, offsets) = column.read::<f32>(&wanted).unwrap();
        assert_eq!(offsets.len(), wanted.len() + 1);
        for (pair, row) in offsets.windows(2).zip(&wanted) {
            let of_row = (pair[0] as usize..pair[1] as usize).into();
            let alone = column.row::<f32>(*row).unwrap();
            assert!(items.slice_axis(Axis(0), of_row) == alone, "case {case}");
            assert_eq!(alone.shape()[0], lengths[*row]);
        }
    }
    assert!(rows_made > 1000 && longer > 100, "{rows_made} {longer}");
}

#[test]
fn a_row_without_items_keeps_the_transforms_of_its_part() {
    let empty = |ends: bool| {
        let none = Array::from(vec![0_i16; 0]);
        let column = RaggedColumn::from_lengths(none, &vec![0_i64].into()).unwrap();
        let double = from_fn::<i16, i16>(|_, mut out, _| {
            out.fill(7);
            Ok(())
        });
        match ends {
            true => column.map(double.length(|len| len + 1)).unwrap(),
            false => column,
        }
    };
    let ends = [true, false, true, true, false];
    let chain = RaggedColumn::chain(ends.map(empty)).unwrap();
    assert!(chain.lengths().eq(ends.map(usize::from)));
    for (row, end) in ends.into_iter().enumerate() {
        let row = chain.row::<i16>(row).unwrap();
        assert!(row.iter().eq(&vec![7; usize::from(end)]));
    }
}

#[test]
fn the_items_may_become_others() {
    let labels = RaggedColumn::from_lengths(vec![0_u8, 2, 1].into(), &vec![2, 1].into()).unwrap();
    let hot = labels.map(OneHot::new(3)).unwrap();
    assert_eq!((hot.dtype(), hot.item_shape()), (DType::F32, &[3][..]));
    let row = hot.row::<f32>(0).unwrap();
    assert_eq!(
        row,
        ndarray::array![[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]].into_dyn()
    );
    let wide = hot.reshape(&[3, 1]).unwrap();
    let wide = wide.convert(Convert::to::<f64>()).unwrap();
    assert_eq!(wide.row::<f64>(1).unwrap().shape(), [1, 3, 1]);
    // A `bool` of a transform is 0 or 1.
    let flags = from_fn::<u8, bool>(|row, mut out, _| {
        out.assign(&row.mapv(|x| x > 0));
        Ok(())
    });
    let flags = labels.map(flags).unwrap();
    assert_eq!(
        flags.row::<bool>(0).unwrap().as_slice(),
        Some(&[false, true][..])
    );
}

#[test]
fn what_a_transform_cannot_make_is_told() {
    let tokens = RaggedColumn::from_lengths(vec![1_u8, 2, 3].into(), &vec![2, 1].into()).unwrap();
    struct Odd;
    impl Transform for Odd {
        fn output(&self, row: &RowType) -> Result<RowType> {
            match row.shape[0] {
                1 => Ok(RowType::new(DType::U8, [1])),
                2 => Ok(RowType::new(DType::U8, [1, 2])),
                3 => Ok(RowType::new(DType::F32, [1])),
                _ => Err(Error::new(ErrorKind::Shape, "too long")),
            }
        }
        fn apply(&self, _: RowView<'_>, _: RowViewMut<'_>, _: &mut PositionRng) -> Result<()> {
            Ok(())
        }
    }
    let of = |lengths: Vec<i64>| {
        let items = vec![0_u8; lengths.iter().sum::<i64>() as usize];
        RaggedColumn::from_lengths(items.into(), &lengths.into()).unwrap()
    };
    let number = || from_fn::<u8, u8>(|_, _, _| Ok(())).shape(&[]);
    for (error, kind, message) in [
        (
            tokens.map(Noise::gaussian(1.0)).unwrap_err(),
            ErrorKind::Dtype,
            "noise takes float32",
        ),
        (
            tokens.map(Truncate::new(0)).unwrap_err(),
            ErrorKind::Usage,
            "keep 1 or more",
        ),
        (
            tokens.map(number()).unwrap_err(),
            ErrorKind::Shape,
            "the transform makes one number of a row of any length",
        ),
        (
            of(vec![1, 2]).map(Odd).unwrap_err(),
            ErrorKind::Shape,
            "the transform makes items of uint8 [2] of row 1, which has 2, but items of uint8 []",
        ),
        (
            of(vec![3, 1]).map(Odd).unwrap_err(),
            ErrorKind::Dtype,
            "items of float32 [] of row 0, which has 3",
        ),
        (
            of(vec![1, 1, 9]).map(Odd).unwrap_err(),
            ErrorKind::Shape,
            "too long; row 2 has 9 items",
        ),
        (
            tokens
                .map(from_fn::<u8, u8>(|_, _, _| Ok(())).length(|_| usize::MAX))
                .unwrap_err(),
            ErrorKind::Overflow,
            "",
        ),
        (
            tokens.map(Truncate::new(1)).unwrap().pack(4).unwrap_err(),
            ErrorKind::Usage,
            "dataset.cache()?",
        ),
    ] {
        assert!(
            error.kind() == kind && error.message().contains(message),
            "{error}"
        );
    }
    // Rows that are not used may have any length.
    let some = of(vec![1, 1, 9]).map_rows(Odd, 0..2).unwrap();
    assert!(some.lengths().take(2).eq([1, 1]));
    let none = of(vec![]).map(Odd).unwrap();
    assert_eq!(
        (none.rows(), none.dtype(), none.longest()),
        (0, DType::U8, 0)
    );
}

#[test]
fn a_failure_of_a_transform_is_one_of_its_row() {
    let fail = from_fn::<u8, u8>(|row, _, _| match row[[0]] {
        2 => Err("two".into()),
        _ => Ok(()),
    });
    let tokens = RaggedColumn::from_lengths(vec![1_u8, 2].into(), &vec![1, 1].into()).unwrap();
    let mapped = tokens.map(fail).unwrap();
    assert!(mapped.row::<u8>(0).is_ok());
    let error = mapped.row::<u8>(1).unwrap_err();
    assert_eq!(
        (error.kind(), error.message()),
        (ErrorKind::Transform, "row 1: two")
    );
    // A conversion after it names the row and the element.
    let half = from_fn::<u8, f32>(|row, mut out, _| {
        out.assign(&row.mapv(|x| f32::from(x) / 2.0));
        Ok(())
    });
    let halves = tokens
        .map(half)
        .unwrap()
        .convert(Convert::to::<i32>())
        .unwrap();
    let error = halves.row::<i32>(0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Value);
    assert!(
        error.message().starts_with("row 0, element 0, has 0.5"),
        "{error}"
    );
}
