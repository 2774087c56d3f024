//! Rows of any length against a naive twin, and what is wrong with offsets.

use ndarray::{Array1, Array2, ArrayD, Axis, s};

use super::gather::fill;
use super::*;
use crate::column::array_of;
use crate::order::PositionRng;
use crate::rand_core::Rng;
use crate::{Access, Buffer, OpenOptions, write_npy};

const PADDING: f32 = -7.5;

pub(super) fn below(rng: &mut PositionRng, bound: usize) -> usize {
    (rng.next_u64() % bound.max(1) as u64) as usize
}

/// Items, and the same as an array: in memory, or in a file that is read in one way or another.
fn items(rng: &mut PositionRng, dir: &std::path::Path, count: usize) -> (Array2<i16>, Array) {
    let items = Array2::from_shape_simple_fn((count, 3), || rng.next_u32() as i16);
    let access = match below(rng, 5) {
        0 => return (items.clone(), items.into()),
        1 | 2 => Access::Mapped,
        3 => Access::Memory,
        _ => Access::Positioned,
    };
    let path = dir.join(format!("{}.npy", rng.next_u64()));
    match below(rng, 3) {
        0 => write_npy(&path, &items).unwrap(),
        // The columns lie apart.
        1 => write_npy(&path, &items.t().as_standard_layout().reversed_axes()).unwrap(),
        _ => {
            let header = crate::format::header::encode("'>i2'", crate::Layout::C, &[count, 3]);
            let bytes = items.iter().flat_map(|x| x.to_be_bytes());
            let bytes: Vec<u8> = header.iter().copied().chain(bytes).collect();
            std::fs::write(&path, bytes).unwrap();
        }
    }
    let options = OpenOptions::new().access(access);
    (items, Array::open_with(&path, options).unwrap())
}

/// A column, and its rows.
pub(super) fn column(
    rng: &mut PositionRng,
    dir: &std::path::Path,
) -> (RaggedColumn, Vec<Array2<i16>>) {
    let longest = [0, 1, 5, 40, 40, 40, 6000][below(rng, 7)];
    let lengths: Vec<usize> = (0..below(rng, 20))
        .map(|_| below(rng, longest + 1))
        .collect();
    let (items, array) = items(rng, dir, lengths.iter().sum());
    let mut start = 0;
    let rows = lengths.iter().map(|len| {
        start += len;
        items.slice(s![start - len..start, ..]).to_owned()
    });
    let rows = rows.collect();
    let offsets = lengths.iter().scan(0, |end, len| {
        *end += len;
        Some(*end as u32)
    });
    let offsets: Vec<u32> = std::iter::once(0).chain(offsets).collect();
    let lengths: Vec<i64> = lengths.iter().map(|len| *len as i64).collect();
    let column = match below(rng, 2) {
        0 => RaggedColumn::from_offsets(array, &offsets.into()),
        _ => RaggedColumn::from_lengths(array, &lengths.into()),
    };
    (column.unwrap(), rows)
}

#[test]
fn rows_are_visited_part_by_part_in_their_order() {
    let dir = tempfile::tempdir().unwrap();
    for case in 0..100 {
        let rng = &mut PositionRng::new(4, 1, case);
        let parts: Vec<_> = (0..1 + below(rng, 6))
            .map(|_| column(rng, dir.path()).0)
            .collect();
        let all = RaggedColumn::chain(parts).unwrap();
        let count = below(rng, 60).min(all.rows() * 60);
        let rows: Vec<_> = (0..count).map(|_| below(rng, all.rows())).collect();
        let mut expected = Vec::new();
        for part in 0..all.items().len() {
            let of_part = rows.iter().filter(|row| all.part_of(**row) == part);
            let runs: Vec<_> = of_part.map(|row| all.locate(*row).1).collect();
            if !runs.is_empty() {
                expected.push((part, runs));
            }
        }
        let mut found = Vec::new();
        all.visit(&rows, &mut |part, runs| {
            let is_part = |known: &Column| std::ptr::eq(known, part);
            found.push((all.items().iter().position(is_part).unwrap(), runs.to_vec()));
        });
        assert_eq!(found, expected);
    }
}

#[test]
fn every_way_to_gather_rows_of_any_length_gives_the_same() {
    let dir = tempfile::tempdir().unwrap();
    for case in 0..120 {
        let rng = &mut PositionRng::new(3, 1, case);
        let (mut columns, mut rows) = (Vec::new(), Vec::new());
        for _ in 0..1 + below(rng, 3) {
            let (column, of_column) = column(rng, dir.path());
            columns.push(column);
            rows.extend(of_column);
        }
        let column = RaggedColumn::chain(columns).unwrap();
        assert!(column.lengths().eq(rows.iter().map(Array2::nrows)));
        let mut map = RowMap::new(rows.len());
        if below(rng, 2) == 0 {
            map.shuffle(case);
            map.skip(below(rng, 3));
        }
        let column = column.pick(&map).unwrap();
        let rows: Vec<_> = (0..map.len())
            .map(|row| rows[map.map(row)].clone())
            .collect();
        assert_eq!((column.rows(), column.item_shape()), (rows.len(), &[3][..]));
        assert_eq!(
            column.longest(),
            rows.iter().map(Array2::nrows).max().unwrap_or(0)
        );
        // One pass, several, and none.
        let (column, of): (_, fn(i16) -> f32) = match below(rng, 4) {
            0 => (column.convert(Convert::to::<f32>()).unwrap(), f32::from),
            1 => {
                let convert = Convert::to::<f32>().scale(0.5).offset(1.0).scale(4.0);
                let of = |x| (f32::from(x) * 0.5 + 1.0) * 4.0;
                (column.convert(convert).unwrap(), of)
            }
            2 => {
                let convert = Convert::to::<i64>().cast(DType::F64).cast(DType::F32);
                (column.convert(convert).unwrap(), f32::from)
            }
            _ => {
                let channels = Convert::to::<f32>().normalize(&[0.0; 3], &[2.0; 3]);
                let column = column.convert(channels).unwrap();
                (column.reshape(&[1, 3]).unwrap(), |x| f32::from(x) / 2.0)
            }
        };
        for (row, expected) in rows.iter().enumerate() {
            let found = column.row::<f32>(row).unwrap();
            assert!(found.iter().copied().eq(expected.iter().map(|x| of(*x))));
            assert_eq!(found.shape()[0], expected.nrows());
        }
        if rows.is_empty() {
            continue;
        }
        let wanted: Vec<usize> = (0..below(rng, 30))
            .map(|_| below(rng, rows.len()))
            .collect();
        let lengths = wanted.iter().map(|row| rows[*row].nrows());
        let length = lengths.max().unwrap_or(0) + below(rng, 3);
        let bytes = column.bytes_of(length, wanted.len()).unwrap();
        let mut out = Buffer::zeroed(bytes).unwrap();
        out.as_mut_slice().fill(0xa5);
        let padding = PADDING.to_ne_bytes();
        column
            .gather(&wanted, length, &padding, out.as_mut_slice())
            .unwrap();
        let found = array_of::<f32>(out.as_slice(), vec![wanted.len(), length, 3]).unwrap();
        let mut expected = ArrayD::from_elem(found.shape(), PADDING);
        for (place, row) in wanted.iter().enumerate() {
            let mut place = expected.index_axis_mut(Axis(0), place);
            let row = rows[*row].mapv(of);
            place.slice_mut(s![..row.nrows(), ..]).assign(&row);
        }
        assert!(found == expected, "case {case}");
    }
}

#[test]
fn padding_is_of_any_size() {
    let mut out = Buffer::zeroed(32).unwrap();
    for size in [1, 2, 4, 8] {
        for element in [[0; 8], [255; 8], [1, 2, 3, 4, 5, 6, 7, 8]] {
            let element = &element[..size];
            fill(&mut out.as_mut_slice()[8..], element);
            assert!(
                out.as_slice()[8..]
                    .chunks(size)
                    .all(|place| place == element)
            );
            assert_eq!(out.as_slice()[..8], [0; 8]);
        }
    }
}

#[test]
fn a_value_that_does_not_fit_is_found_in_its_row() {
    let mut points = Array2::<f64>::zeros((100_000, 2));
    points[[98_000, 1]] = 0.5;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("points.npy");
    write_npy(&path, &points).unwrap();
    for access in [Access::Mapped, Access::Positioned] {
        let array = Array::open_with(&path, OpenOptions::new().access(access)).unwrap();
        let lengths = Array1::from(vec![3_i32, 0, 99_997]);
        let column = RaggedColumn::from_lengths(array, &lengths.into()).unwrap();
        let column = column.convert(Convert::to::<i32>()).unwrap();
        let error = column.row::<i32>(2).unwrap_err();
        assert_eq!(
            (error.kind(), error.file()),
            (ErrorKind::Value, Some(&*path))
        );
        let place = "item 98000 of the file, element 1, has 0.5, but int32 has no fractions";
        assert!(error.message().starts_with(place), "{error}");
        assert!(column.row::<i32>(0).is_ok() && column.row::<i32>(1).is_ok());
    }
}

#[test]
fn what_is_wrong_with_offsets_and_lengths_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("offsets.npy");
    let items = || Array::from(vec![0_u8; 10]);
    let of = |list: &[i64], lengths: bool| {
        write_npy(&path, &Array1::from(list.to_vec())).unwrap();
        let list = Array::open(&path).unwrap();
        let made = match lengths {
            true => RaggedColumn::from_lengths(items(), &list),
            false => RaggedColumn::from_offsets(items(), &list),
        };
        let error = made.unwrap_err();
        assert_eq!(error.file(), Some(&*path));
        (error.kind(), error.message().to_owned())
    };
    for (list, lengths, kind, message) in [
        (
            &[][..],
            false,
            ErrorKind::Shape,
            "n rows have n + 1 of them",
        ),
        (
            &[0, -3, 5],
            false,
            ErrorKind::Value,
            "offset 1 is -3, and none is below 0",
        ),
        (
            &[0, 7, 5],
            false,
            ErrorKind::Value,
            "offset 2 is 5, less than offset 1, which is 7: row 1 would end before it begins; if \
             these are lengths, use from_lengths",
        ),
        (
            &[0, 7, 11],
            false,
            ErrorKind::Value,
            "offset 2 is 11, but there are 10 items: row 1 would end after the last one",
        ),
        (
            &[11],
            false,
            ErrorKind::Value,
            "offset 0 is 11, but there are 10 items",
        ),
        (&[5, -1], true, ErrorKind::Value, "length 1 is -1"),
        (
            &[5, 6],
            true,
            ErrorKind::Value,
            "length 1 is 6, but only 5 of 10 items are left for row 1; if these are offsets, use \
             from_offsets",
        ),
        (
            &[5, 4],
            true,
            ErrorKind::Value,
            "the lengths add up to 9, but there are 10 items",
        ),
        (
            &[5, i64::MAX],
            true,
            ErrorKind::Value,
            "length 1 is 9223372036854775807, but only 5",
        ),
    ] {
        let (found, text) = of(list, lengths);
        assert!(found == kind && text.contains(message), "{text}");
    }
    let of = |offsets: Array| RaggedColumn::from_offsets(items(), &offsets).unwrap_err();
    assert_eq!(of(vec![0.0, 1.0].into()).kind(), ErrorKind::Dtype);
    assert_eq!(of(vec![false, true].into()).kind(), ErrorKind::Dtype);
    assert_eq!(
        of(Array2::<i64>::zeros((2, 2)).into()).kind(),
        ErrorKind::Shape
    );
    assert_eq!(of(vec![0, u64::MAX].into()).kind(), ErrorKind::Value);
    // A part of the items, and rows without items.
    let column = RaggedColumn::from_offsets(items(), &vec![2_u64, 2, 5].into()).unwrap();
    assert!(column.lengths().eq([0, 3]));
    assert_eq!(column.row::<u8>(2).unwrap_err().kind(), ErrorKind::Row);
    assert_eq!(column.row::<i8>(0).unwrap_err().kind(), ErrorKind::Dtype);
    let none = RaggedColumn::from_lengths(Array::from(vec![0_u8; 0]), &vec![0_i8].into()).unwrap();
    assert_eq!(none.row::<u8>(0).unwrap().shape(), [0]);
}

#[test]
fn a_file_that_changed_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let open = |name: &str| {
        write_npy(path(name), &Array1::from(vec![1_u8, 2, 3])).unwrap();
        let array = Array::open(path(name)).unwrap();
        RaggedColumn::from_lengths(array, &vec![1_i32, 2].into()).unwrap()
    };
    let both = RaggedColumn::chain([open("a"), open("b")]).unwrap();
    std::fs::write(path("b"), b"another file").unwrap();
    assert_eq!(both.row::<u8>(1).unwrap()[[1]], 3);
    let error = both.row::<u8>(2).unwrap_err();
    assert_eq!(
        (error.kind(), error.file()),
        (ErrorKind::Changed, Some(&*path("b")))
    );
    let bytes = RaggedColumn::from_lengths(Array::from(vec![1_i8]), &vec![1_i32].into()).unwrap();
    let error = RaggedColumn::chain([both, bytes]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Dtype);
}
