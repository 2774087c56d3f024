//! The rows that a column makes of an array, and that every way to gather them gives the same;
//! against a naive reference in `reference`.

use ndarray::{Array2, Array3, Axis, s};

use super::*;
use crate::gather::tests::at_each_level;
use crate::non_temporal::tests::with_forced;
use crate::{Access, Buffer, OpenOptions, write_npy};

mod reference;

/// The same at each level of instructions.
fn gather<T: bytemuck::Pod>(column: &Column, rows: &[usize]) -> Vec<T> {
    let mut found: Option<Vec<u8>> = None;
    at_each_level(|| {
        let mut out = Buffer::zeroed(rows.len() * column.row_bytes()).unwrap();
        column.gather(rows, out.as_mut_slice()).unwrap();
        let out = out.as_slice();
        assert!(found.get_or_insert_with(|| out.to_vec()) == out);
    });
    let found = found.unwrap();
    found
        .chunks_exact(size_of::<T>())
        .map(bytemuck::pod_read_unaligned)
        .collect()
}

#[test]
fn rows_are_taken_whole_cut_and_reshaped() {
    let table = Array2::from_shape_fn((4, 6), |(i, j)| (i * 10 + j) as i32);
    for table in [
        table.clone(),
        table.t().as_standard_layout().into_owned().reversed_axes(),
    ] {
        let column = Column::new(Array::from(table)).unwrap();
        assert_eq!(column.row_shape(), [6]);
        assert_eq!(gather::<i32>(&column, &[2])[..], [20, 21, 22, 23, 24, 25]);

        let part = column.clone().slice(1..5).unwrap().slice(1..4).unwrap();
        assert_eq!(gather::<i32>(&part, &[3, 0])[..], [32, 33, 34, 2, 3, 4]);
        assert_eq!(
            part.row::<i32>(1).unwrap().as_slice(),
            Some(&[12, 13, 14][..])
        );

        let label = column.clone().slice(5..6).unwrap().squeeze().unwrap();
        assert_eq!(label.row_shape(), [0_usize; 0]);
        assert_eq!(gather::<i32>(&label, &[0, 1, 3])[..], [5, 15, 35]);

        let square = column.clone().reshape(&[2, 3]).unwrap();
        assert_eq!(square.row::<i32>(1).unwrap().shape(), [2, 3]);
        assert!(column.clone().reshape(&[4]).is_err());
        assert!(column.clone().slice(3..7).is_err());
        assert_eq!(
            gather::<i32>(&square.slice(1..2).unwrap(), &[2]),
            [23, 24, 25]
        );
        assert_eq!(column.row::<i32>(4).unwrap_err().kind(), ErrorKind::Row);
        assert_eq!(column.row::<i64>(0).unwrap_err().kind(), ErrorKind::Dtype);
    }
}

#[test]
fn steps_are_those_of_numpy() {
    let images = Array3::from_shape_fn((3, 2, 2), |(i, c, x)| (i * 90 + c * 50 + x * 7) as u8);
    let convert = Convert::to::<f32>()
        .divide(255.0)
        .normalize(&[0.4, 0.5], &[0.2, 0.3]);
    let column = Column::new(images.clone().into()).unwrap();
    let column = column.convert(convert.clone()).unwrap();
    let expected: Vec<f32> = [2, 0]
        .iter()
        .flat_map(|&i| {
            let row = images.index_axis(Axis(0), i).into_owned();
            row.into_iter().enumerate().collect::<Vec<_>>()
        })
        .map(|(e, x)| {
            let (mean, std) = [(0.4, 0.2), (0.5, 0.3)][e / 2];
            (f32::from(x) / 255.0 - mean) / std
        })
        .collect();
    assert_eq!(gather::<f32>(&column, &[2, 0]), expected);
    // The channels stay what they were when the rows are reshaped afterwards.
    let flat = column.reshape(&[4]).unwrap();
    assert_eq!(gather::<f32>(&flat, &[2, 0]), expected);
}

#[test]
fn channels_can_be_last() {
    let image = Array3::from_shape_vec((1, 2, 2), vec![1.0_f64, 2.0, 3.0, 4.0]).unwrap();
    let convert = Convert::new().normalize_axis(1, &[1.0, 2.0], &[1.0, 2.0]);
    let column = Column::new(image.into())
        .unwrap()
        .convert(convert.clone())
        .unwrap();
    assert_eq!(gather::<f64>(&column, &[0]), [0.0, 0.0, 2.0, 1.0]);
}

#[test]
fn stored_bools_become_zero_or_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.npy");
    write_npy(&path, &ndarray::array![false, true, true]).unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    let len = bytes.len();
    bytes[len - 1] = 7;
    std::fs::write(&path, bytes).unwrap();
    let column = Column::new(Array::open(&path).unwrap()).unwrap();
    assert_eq!(gather::<u8>(&column, &[2, 0, 1]), [1, 0, 1]);
    let column = column.convert(Convert::to::<f32>()).unwrap();
    assert_eq!(gather::<f32>(&column, &[2, 0, 1]), [1.0, 0.0, 1.0]);
}

#[test]
fn empty_rows_and_no_rows() {
    let column = Column::new(Array2::<f32>::zeros((3, 0)).into()).unwrap();
    assert!(gather::<f32>(&column, &[0, 2]).is_empty());
    let column = column.convert(Convert::to::<f64>()).unwrap();
    assert!(gather::<f64>(&column, &[0, 2]).is_empty());
    assert!(Column::new(ndarray::arr0(1_u8).into()).is_err());
}

/// A file with a header of this dtype and shape before these bytes.
fn raw_file(dir: &std::path::Path, descr: &str, shape: &str, data: &[u8]) -> std::path::PathBuf {
    let text = format!("{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((text.len() as u16).to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes.extend(data);
    let path = dir.join("raw.npy");
    std::fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn fields_are_read_where_they_lie() {
    let dir = tempfile::tempdir().unwrap();
    let descr = "[('id', '|u1'), ('', '|V1'), ('at', '>i2', (2,)), \
                 ('p', [('q', '|i1'), ('r', '|S2')], (2,))]";
    // Each of 2 x 3 items: the id, a gap, two numbers, and two structures of 3 bytes.
    let data: Vec<u8> = (0..6)
        .flat_map(|i| {
            let [a, b] = [i * 10, i * 10 + 1];
            [i, 99, 0, a, 0, b, a, b'x', i, b, b'y', i]
        })
        .collect();
    let path = raw_file(dir.path(), descr, "(2, 3)", &data);
    for access in [Access::Mapped, Access::Positioned, Access::Memory] {
        let options = OpenOptions {
            access,
            ..Default::default()
        };
        let array = Array::open_with(&path, options).unwrap();
        assert_eq!(array.dtype(), None);
        let error = Column::new(array.clone()).unwrap_err();
        assert!(error.message().contains("id, at, p"), "{error}");
        let names: Vec<_> = array.fields().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["id", "at", "p.q", "p.r"]);

        let column = |name: &str| {
            let (_, array) = array
                .fields()
                .into_iter()
                .find(|(known, _)| known == name)
                .unwrap();
            Column::new(array).unwrap()
        };
        assert_eq!(gather::<u8>(&column("id"), &[1, 0]), [3, 4, 5, 0, 1, 2]);
        let at = column("at");
        assert_eq!(at.row_shape(), [3, 2]);
        assert_eq!(gather::<i16>(&at, &[1]), [30, 31, 40, 41, 50, 51]);
        let at = at.slice(1..2).unwrap();
        assert_eq!(gather::<i16>(&at, &[1, 0]), [40, 41, 10, 11]);
        assert_eq!(gather::<i8>(&column("p.q"), &[0]), [0, 1, 10, 11, 20, 21]);
        let text = column("p.r");
        assert_eq!(text.row_shape(), [3, 2, 2]);
        assert_eq!(text.array().shape(), [2, 3, 2]);
        assert_eq!(
            gather::<u8>(&text, &[0]),
            [b'x', 0, b'y', 0, b'x', 1, b'y', 1, b'x', 2, b'y', 2]
        );
        let read = array.field("at").unwrap().read::<i16>().unwrap();
        assert_eq!(read[[1, 2, 1]], 51);
        assert!(array.field("id").unwrap().view::<u8>().is_err());
        assert_eq!(array.field("q").unwrap_err().kind(), ErrorKind::Name);
    }
}

#[test]
fn windows_are_rows_of_rows() {
    let table = Array2::from_shape_fn((9, 4), |(i, j)| (i * 10 + j) as i32);
    for table in [
        table.clone(),
        table.t().as_standard_layout().into_owned().reversed_axes(),
    ] {
        let column = Column::new(Array::from(table.clone())).unwrap();
        for (length, stride) in [(1, 1), (3, 1), (3, 2), (4, 5), (9, 1), (2, 100)] {
            let windows = column.clone().windows(length, stride).unwrap();
            let expected: Vec<_> = (0..9)
                .step_by(stride)
                .filter(|start| start + length <= 9)
                .collect();
            assert_eq!(windows.rows(), expected.len());
            for (row, start) in expected.into_iter().enumerate() {
                let window = table.slice(ndarray::s![start..start + length, ..]);
                assert_eq!(windows.row::<i32>(row).unwrap(), window.into_dyn());
            }
            assert!(windows.row::<i32>(windows.rows()).is_err());
        }
        let parts = column.clone().slice(1..3).unwrap().windows(2, 3).unwrap();
        assert_eq!(
            gather::<i32>(&parts, &[1, 0]),
            [31, 32, 41, 42, 1, 2, 11, 12]
        );
        let of_windows = column.clone().windows(2, 1).unwrap().windows(3, 4).unwrap();
        assert_eq!(
            (of_windows.rows(), of_windows.row_shape()),
            (2, &[3, 2, 4][..])
        );
        assert_eq!(of_windows.row::<i32>(1).unwrap()[[2, 1, 3]], 73);
        let class = |length, stride| column.clone().windows(length, stride).unwrap_err().kind();
        assert_eq!(class(0, 1), ErrorKind::Usage);
        assert_eq!(class(1, 0), ErrorKind::Usage);
        assert_eq!(class(10, 1), ErrorKind::Shape);
    }
}

/// Large batches are stored past the caches.
#[test]
fn large_batches_are_those_of_small_ones() {
    let values = Array2::from_shape_fn((660, 5005), |(i, j)| (i * 31 + j * 7) as u8);
    let bytes = Column::new(values.clone().into()).unwrap();
    let floats = Column::new(values.mapv(f32::from).into()).unwrap();
    let short = values.to_shape((50_820, 65)).unwrap().mapv(f64::from);
    let short = Column::new(short.into()).unwrap();
    let halves = Column::new(values.mapv(|x| half::f16::from_f32(x.into())).into()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let big_endian = values.iter().flat_map(|x| i16::from(*x).to_be_bytes());
    let big_endian: Vec<u8> = big_endian.collect();
    let swapped = raw_file(dir.path(), "'>i2'", "(660, 5005)", &big_endian);
    let swapped = Column::new(Array::open(&swapped).unwrap()).unwrap();
    let images = values.to_shape((50_820, 5, 13)).unwrap().to_owned();
    let images = Column::new(images.into()).unwrap();
    let divided = Convert::to::<f32>().divide(255.0);
    for column in [
        bytes.clone().convert(divided.clone()).unwrap(),
        bytes
            .clone()
            .slice(1..5001)
            .unwrap()
            .convert(divided.clone())
            .unwrap(),
        bytes.convert(Convert::to::<f64>()).unwrap(),
        // Rows of a few lines, and of less than one.
        short.clone().convert(divided.clone()).unwrap(),
        short
            .slice(1..16)
            .unwrap()
            .convert(divided.clone())
            .unwrap(),
        floats.clone(),
        floats.clone().slice(3..5002).unwrap(),
        floats
            .clone()
            .convert(Convert::new().cast(DType::F16))
            .unwrap(),
        // A cast in two steps, and one that clamps.
        halves.convert(Convert::to::<f64>()).unwrap(),
        floats
            .convert(Convert::new().saturating_cast(DType::I16))
            .unwrap(),
        // Rows that a transform makes, and those of the other byte order.
        images
            .map(crate::transform::Pad::new(1))
            .unwrap()
            .convert(divided)
            .unwrap(),
        swapped.convert(Convert::to::<f32>()).unwrap(),
    ] {
        let rows = column.rows();
        let rows: Vec<usize> = (0..rows).map(|i| i * 397 % rows).collect();
        let in_parts = |column: &Column, parts: usize| -> Vec<u8> {
            let parts = rows.chunks(rows.len().div_ceil(parts));
            parts.flat_map(|rows| gather::<u8>(column, rows)).collect()
        };
        let small = in_parts(&column, 26);
        for forced in [true, false] {
            assert!(small == with_forced(forced, || in_parts(&column, 1)));
        }
    }
}

/// With rows of every short length, whose vectors overlap, and divisors for which a quotient may be
/// computed in another way.
#[test]
fn bytes_are_divided_as_by_a_division() {
    for len in [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 784] {
        let rows = 256_usize.div_ceil(len) + 3;
        let values = Array2::from_shape_fn((rows, len), |(i, j)| (i * len + j) as u8);
        let picks: Vec<usize> = (0..rows).rev().collect();
        let bytes = Column::new(values.clone().into()).unwrap();
        let signed = Column::new(values.mapv(|x| x as i8).into()).unwrap();
        for divisor in [255.0, 127.5, -3.0, 0.1, 1e-38, 3e38, 7.0, 256.0] {
            let convert = |to| Convert::new().cast(to).divide(divisor);
            let column = |column: &Column, to| column.clone().convert(convert(to)).unwrap();
            let values = picks.iter().flat_map(|row| values.row(*row).to_vec());
            let (found, expected): (Vec<f32>, Vec<f32>) = (
                gather(&column(&bytes, DType::F32), &picks),
                values
                    .clone()
                    .map(|x| f32::from(x) / divisor as f32)
                    .collect(),
            );
            let bits = |values: &[f32]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&found), bits(&expected), "{len} / {divisor}");
            let (found, expected): (Vec<f64>, Vec<f64>) = (
                gather(&column(&signed, DType::F64), &picks),
                values.map(|x| f64::from(x as i8) / divisor).collect(),
            );
            let bits = |values: &[f64]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&found), bits(&expected), "{len} / {divisor}");
        }
    }
}

/// Short rows have loops of their own, by the number of cache lines and of bytes; so have the last
/// of many rows.
#[test]
fn short_rows_of_every_length() {
    let rows = 150;
    let picks: Vec<usize> = (0..rows).map(|i| i * 67 % rows).collect();
    let labels = Column::new(Array::from((0..rows as i64).collect::<Vec<_>>())).unwrap();
    for stride in [1, 3, 8, 16, 40, 64, 80, 104, 128, 136, 200] {
        let values = Array2::from_shape_fn((rows, stride), |(i, j)| (i * 7 + j * 3) as u8);
        let bytes = Column::new(values.clone().into()).unwrap();
        for len in 1..=stride {
            let part = stride - len..stride;
            let column = bytes.clone().slice(part.clone()).unwrap();
            let wide = column.clone().convert(Convert::to::<i16>()).unwrap();
            let of = |row: &usize| values.slice(s![*row, part.clone()]).to_vec();
            let expected: Vec<u8> = picks.iter().flat_map(of).collect();
            assert!(
                gather::<u8>(&column, &picks) == expected,
                "{len} of {stride}"
            );
            let expected: Vec<i16> = expected.into_iter().map(i16::from).collect();
            let [out, _] = gather_together([&wide, &labels], &picks);
            let found = bytemuck::cast_slice::<u8, i16>(out.as_slice());
            assert!(found == expected, "{len} of {stride}");
        }
    }
}

/// Long rows that become wider are converted piece by piece; what is left of them is not.
#[test]
fn long_rows_of_every_length() {
    fn check<T: Element + Clone + Into<f64>>(of: fn(usize) -> T) {
        let size = size_of::<T>();
        for len in (1000 / size..1800 / size).chain([12_288 / size, 12_345 / size]) {
            let values = Array2::from_shape_fn((3, len), |(i, j)| of(i * 7 + j * 3));
            let column = Column::new(values.clone().into()).unwrap();
            let column = column.convert(Convert::to::<f64>()).unwrap();
            let rows = [2, 0, 2, 1];
            let of = |row: &usize| values.row(*row).mapv(|value| value.into()).to_vec();
            let expected: Vec<f64> = rows.iter().flat_map(of).collect();
            assert!(gather::<f64>(&column, &rows) == expected, "{len}");
        }
    }
    check(|i| i as u8);
    check(|i| i as i16);
    check(|i| i as f32);
}

/// Rows of several columns, gathered together.
fn gather_together<const N: usize>(columns: [&Column; N], rows: &[usize]) -> [Buffer; N] {
    let memory = |column: &Column| Buffer::zeroed(rows.len() * column.row_bytes()).unwrap();
    let mut out = columns.map(memory);
    let pairs = columns.into_iter().zip(&mut out);
    let mut pairs: Vec<_> = pairs
        .map(|(column, out)| (column, out.as_mut_slice()))
        .collect();
    gather_columns(&mut pairs, rows).unwrap();
    out
}

/// Columns that are gathered together are the same as columns that are gathered one by one.
#[test]
fn columns_together_are_the_same_as_alone() {
    let count = 3000;
    let table = Array2::from_shape_fn((count, 10), |(i, j)| (i * 10 + j) as f64);
    let features = Column::new(table.clone().into()).unwrap();
    let features = features.convert(Convert::to::<f32>()).unwrap();
    let fortran = table.t().as_standard_layout().into_owned().reversed_axes();
    let fortran = Column::new(fortran.into()).unwrap();
    let long = Array2::from_shape_fn((count, 600), |(i, j)| (i * 3 + j) as u8);
    let long = Column::new(long.into()).unwrap();
    let labels = Column::new((0..count as i64).collect::<Vec<_>>().into()).unwrap();
    let label = features.clone().slice(3..4).unwrap().squeeze().unwrap();
    let rows: Vec<usize> = (0..count).map(|i| i * 1009 % count).collect();
    for columns in [
        [
            &features, &labels, &label, &long, &fortran, &labels, &labels,
        ],
        [
            &long, &label, &features, &labels, &features, &fortran, &labels,
        ],
        [&labels, &fortran, &label, &long, &features, &label, &long],
    ] {
        for rows in [&rows[..5], &rows[..1024], &rows[..1025], &rows, &[]] {
            let found = gather_together(columns, rows);
            for (column, found) in columns.into_iter().zip(&found) {
                let mut alone = Buffer::zeroed(rows.len() * column.row_bytes()).unwrap();
                column.gather(rows, alone.as_mut_slice()).unwrap();
                assert!(found.as_slice() == alone.as_slice());
            }
        }
    }
}

#[test]
fn the_column_that_fails_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.npy");
    write_npy(&path, &ndarray::array![1_i64, 2, 3]).unwrap();
    let file = Column::new(Array::open(&path).unwrap()).unwrap();
    let floats = Column::new(vec![1.0, 2.0, f64::NAN].into()).unwrap();
    let floats = floats.convert(Convert::to::<i64>()).unwrap();
    let failure = |columns: [&Column; 2], rows: &[usize]| {
        let [mut a, mut b] = [0; 2].map(|_| Buffer::zeroed(8 * rows.len()).unwrap());
        let [x, y] = columns;
        let mut pairs = [(x, a.as_mut_slice()), (y, b.as_mut_slice())];
        let (index, error) = gather_columns(&mut pairs, rows).unwrap_err();
        (index, error.kind())
    };
    assert_eq!(failure([&file, &floats], &[1, 2]), (1, ErrorKind::Value));
    assert_eq!(failure([&floats, &file], &[1, 3]), (0, ErrorKind::Row));
    std::fs::write(&path, b"another file").unwrap();
    assert_eq!(failure([&floats, &file], &[0, 1]), (1, ErrorKind::Changed));
}

#[test]
fn only_rows_as_they_are_and_that_stay_are_borrowed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.npy");
    let values = Array2::from_shape_fn((9, 3), |(i, j)| (i * 3 + j) as f32);
    write_npy(&path, &values).unwrap();
    let owned = Column::new(values.clone().into()).unwrap();
    let shared = owned.borrow(2..5).unwrap();
    let expected: Vec<f32> = values
        .rows()
        .into_iter()
        .skip(2)
        .take(3)
        .flatten()
        .copied()
        .collect();
    assert_eq!(bytemuck::cast_slice::<u8, f32>(shared.as_ref()), expected);
    assert_eq!(owned.borrow(9..9).unwrap().as_ref().len(), 0);
    for range in [5..10, 10..10, 0..usize::MAX] {
        assert!(owned.borrow(range).is_none());
    }
    let converted = owned.clone().convert(Convert::to::<f64>()).unwrap();
    assert!(converted.borrow(0..1).is_none());
    assert!(owned.slice(0..2).unwrap().borrow(0..1).is_none());
    for access in [Access::Mapped, Access::Positioned] {
        let options = OpenOptions {
            access,
            ..Default::default()
        };
        let column = Column::new(Array::open_with(&path, options).unwrap()).unwrap();
        assert!(column.borrow(0..1).is_none());
        // SAFETY: the folder is this test's own.
        #[allow(unsafe_code)]
        let column = unsafe { column.assume_unchanged() };
        assert_eq!(column.borrow(2..5).is_some(), access == Access::Mapped);
    }
}

/// The bytes stay, so that the promise is kept; that the file was touched is what a check finds.
#[test]
fn a_file_that_somebody_vouches_for_is_not_checked() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.npy");
    write_npy(&path, &Array2::<f32>::ones((4, 3))).unwrap();
    let checked = Column::new(Array::open(&path).unwrap()).unwrap();
    // SAFETY: the folder is this test's own, and the bytes of the file do not change.
    #[allow(unsafe_code)]
    let vouched = unsafe { checked.clone().assume_unchanged() };
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    file.set_modified(std::time::UNIX_EPOCH).unwrap();
    assert_eq!(gather::<f32>(&vouched, &[3, 0]), [1.0; 6]);
    vouched.check().unwrap();
    let mut out = Buffer::zeroed(12).unwrap();
    let error = checked.gather(&[3], out.as_mut_slice()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Changed);
}

#[test]
fn items_of_several_numbers_have_an_axis_for_them() {
    let dir = tempfile::tempdir().unwrap();
    let data: Vec<u8> = [1.0_f32, 2.0, 3.0, 4.0]
        .into_iter()
        .flat_map(f32::to_be_bytes)
        .collect();
    let path = raw_file(dir.path(), "'>c8'", "(2,)", &data);
    let array = Array::open(&path).unwrap();
    assert_eq!((array.shape(), array.number_axis()), (&[2][..], Some(2)));
    assert_eq!(array.read::<f32>().unwrap()[[1, 0]], 3.0);
    let column = Column::new(array).unwrap();
    assert_eq!(gather::<f32>(&column, &[1]), [3.0, 4.0]);
    let imaginary = column.slice(1..2).unwrap().squeeze().unwrap();
    assert_eq!(gather::<f32>(&imaginary, &[1, 0]), [4.0, 2.0]);

    let path = raw_file(dir.path(), "'|V3'", "(2,)", b"abcdef");
    let array = Array::open(&path).unwrap();
    assert!(
        Column::new(array.clone())
            .unwrap_err()
            .message()
            .contains("opaque")
    );
    let bytes = array.clone().reinterpret(DType::U8).unwrap();
    assert_eq!(bytes.read::<u8>().unwrap().shape(), [2, 3]);
    assert!(array.reinterpret(DType::BF16).is_err());
}

#[test]
fn a_row_that_is_too_large_when_it_is_converted_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.npy");
    let write = |len: usize| {
        let bytes = crate::format::header::encode("'|u1'", crate::Layout::C, &[0, len]);
        std::fs::write(&path, bytes).unwrap();
        Column::new(Array::open(&path).unwrap()).unwrap()
    };
    let class = |column: Result<Column>| column.unwrap_err().kind();
    for len in [1 << 62, (1 << 61) - 1] {
        let column = write(len);
        let error = column.row::<u8>(0).unwrap_err().kind();
        assert!([ErrorKind::Limit, ErrorKind::Row].contains(&error));
        let wide = column.clone().convert(Convert::to::<f64>());
        assert_eq!(class(wide), ErrorKind::Overflow);
        // Also if it is only on the way.
        let through = Convert::to::<f64>().cast(DType::U8);
        assert_eq!(class(column.convert(through.clone())), ErrorKind::Overflow);
    }
    let mut windows = Column::new(vec![0_u8; 100].into());
    let mut count = 0;
    while let Ok(column) = windows {
        count += 1;
        windows = column.windows(2, 1);
    }
    assert_eq!((count, class(windows)), (63, ErrorKind::Overflow));
}

#[test]
fn a_value_that_an_integer_does_not_have_is_an_error_of_its_row() {
    let message = |values: Vec<f64>, convert: Convert| {
        let column = Column::new(values.into())
            .unwrap()
            .convert(convert.clone())
            .unwrap();
        let rows: Vec<_> = (0..column.rows()).rev().collect();
        let mut out = Buffer::zeroed(rows.len() * column.row_bytes()).unwrap();
        let error = column.gather(&rows, out.as_mut_slice()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Value);
        error.message().to_owned()
    };
    let to = |dtype| Convert::new().cast(dtype);
    for (value, dtype, expected) in [
        (
            f64::NAN,
            DType::I64,
            "row 1 has NaN, but int64 has no such value; replace it in the file, or let the loader \
             skip such rows with on_error",
        ),
        (
            f64::INFINITY,
            DType::I64,
            "row 1 has inf, but int64 goes from -9223372036854775808 to 9223372036854775807; cast \
             to a dtype that has it, or say with saturating_cast what becomes of it",
        ),
        (
            0.5,
            DType::U8,
            "row 1 has 0.5, but uint8 has no fractions; round() or trunc() before the cast says \
             what becomes of them",
        ),
    ] {
        assert_eq!(message(vec![0.0, value, 2.0], to(dtype)), expected);
    }
    assert!(
        message(vec![0.0, 300.0], to(DType::U8))
            .starts_with("row 1 has 300.0, but uint8 goes from 0")
    );
    // The value is the one that the cast meets.
    let halved = to(DType::F64).divide(2.0).cast(DType::I64);
    assert!(message(vec![0.0, 2.0, 4.0, 5.0], halved).starts_with("row 3 has 2.5"));
    let through = to(DType::I64).cast(DType::I8);
    assert!(message(vec![200.0, 100.0], through).starts_with("row 0 has 200, but int8 goes from"));
}

/// However the rows are gathered, and in however many blocks.
#[test]
fn the_row_and_the_element_that_do_not_fit_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.npy");
    let (rows, len) = (5_000, 7);
    let mut table = Array2::<i64>::ones((rows, len));
    table[[4_321, 5]] = 1 << 40;
    let fortran = table.t().as_standard_layout().into_owned().reversed_axes();
    let swapped: Vec<u8> = table.iter().flat_map(|x| x.to_be_bytes()).collect();
    for (file, order) in [("c", "<"), ("fortran", "<"), ("swapped", ">")] {
        match file {
            "c" => write_npy(&path, &table).unwrap(),
            "fortran" => write_npy(&path, &fortran).unwrap(),
            _ => {
                let descr = format!("'{order}i8'");
                let header = crate::format::header::encode(&descr, crate::Layout::C, &[rows, len]);
                std::fs::write(&path, [header, swapped.clone()].concat()).unwrap();
            }
        }
        for access in [Access::Mapped, Access::Positioned] {
            let options = OpenOptions {
                access,
                ..Default::default()
            };
            let column = Column::new(Array::open_with(&path, options).unwrap()).unwrap();
            assert_eq!(column.is_scattered(), file == "fortran");
            let checked = column.clone().convert(Convert::to::<i32>()).unwrap();
            let all: Vec<_> = (0..rows).map(|i| i * 7 % rows).collect();
            let mut out = Buffer::zeroed(rows * checked.row_bytes()).unwrap();
            let error = checked.gather(&all, out.as_mut_slice()).unwrap_err();
            let expected = "row 4321 of the file, element 5, has 1099511627776,";
            assert!(
                error.message().starts_with(expected),
                "{file} {access:?}: {error}"
            );
            let all: Vec<_> = all.into_iter().filter(|row| *row != 4_321).collect();
            let out = &mut out.as_mut_slice()[..all.len() * checked.row_bytes()];
            checked.gather(&all, out).unwrap();
            assert!(bytemuck::cast_slice::<u8, i32>(out).iter().all(|x| *x == 1));
            for (convert, expected) in [
                (Convert::new().saturating_cast(DType::I32), i32::MAX),
                (Convert::new().wrapping_cast(DType::I32), 0),
            ] {
                let column = column.clone().convert(convert.clone()).unwrap();
                assert_eq!(column.row::<i32>(4_321).unwrap()[5], expected, "{file}");
            }
        }
    }
}

#[test]
fn every_half_becomes_its_float_in_rows_of_any_length() {
    let all: Vec<half::f16> = (0..=u16::MAX).map(half::f16::from_bits).collect();
    let float = |x: half::f16| {
        if x.is_nan() {
            // It stays what it is, but quiet.
            (u32::from(x.to_bits()) << 16 & 1 << 31)
                | 0x7fc0_0000
                | u32::from(x.to_bits() & 0x3ff) << 13
        } else {
            (x.to_f64_const() as f32).to_bits()
        }
    };
    for len in [1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 31, 64, 1000] {
        let rows = all.len() / len;
        let table = Array2::from_shape_vec((rows, len), all[..rows * len].to_vec()).unwrap();
        let column = Column::new(table.into()).unwrap();
        let column = column.convert(Convert::to::<f32>()).unwrap();
        let found = gather::<u32>(&column, &Vec::from_iter(0..rows));
        let expected = all[..rows * len].iter().map(|x| float(*x));
        assert!(found.into_iter().eq(expected), "{len}");
    }
}

/// As with NumPy's `astype`, whichever loop converts them.
#[test]
fn small_integers_wrap_as_wide_ones_do() {
    let dir = tempfile::tempdir().unwrap();
    let path = raw_file(dir.path(), "'|V1'", "(5,)", &[0x8, 0xd, 0xf, 0, 7]);
    let array = Array::open(&path).unwrap();
    let array = array.reinterpret(DType::I4).unwrap();
    let column = |convert: &Convert| Column::new(array.clone()).unwrap().convert(convert.clone());
    let wrapped = |dtype| column(&Convert::new().wrapping_cast(dtype)).unwrap();
    assert_eq!(
        gather::<u8>(&wrapped(DType::U8), &[0, 1, 2, 3, 4]),
        [248, 253, 255, 0, 7]
    );
    assert_eq!(
        gather::<u32>(&wrapped(DType::U32), &[1, 4]),
        [u32::MAX - 2, 7]
    );
    assert_eq!(
        gather::<i64>(&wrapped(DType::I64), &[0, 1, 2]),
        [-8, -3, -1]
    );
    let saturated = column(&Convert::new().saturating_cast(DType::U16)).unwrap();
    assert_eq!(gather::<u16>(&saturated, &[0, 4]), [0, 7]);
    let checked = column(&Convert::to::<u8>()).unwrap();
    let error = checked.row::<u8>(1).unwrap_err();
    assert!(
        error
            .message()
            .starts_with("row 1 of the file has -3, but uint8"),
        "{error}"
    );
}

#[test]
fn a_window_that_cannot_be_converted_is_called_one() {
    let mut series = vec![0.0; 40];
    series[33] = f64::NAN;
    let windows = Column::new(series.into()).unwrap().windows(4, 3).unwrap();
    let windows = windows.convert(Convert::to::<i64>()).unwrap();
    let error = windows.row::<i64>(10).unwrap_err();
    assert!(
        error.message().starts_with("window 10, element 3, has NaN"),
        "{error}"
    );
}

#[test]
fn neighbouring_rows_of_a_fortran_array_are_read_together() {
    use ndarray::ShapeBuilder;

    use crate::Layout;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.npy");
    let number = |(i, j, k): (usize, usize, usize)| (1000 * i + 10 * j + k) as i32;
    let values = Array3::from_shape_fn((700, 3, 5).f(), number);
    write_npy(&path, &values).unwrap();
    let options = OpenOptions::new().access(Access::Positioned);
    let array = Array::open_with(&path, options).unwrap();
    assert_eq!(array.layout(), Layout::Fortran);
    let column = Column::new(array).unwrap();
    for rows in [
        (0..700).collect::<Vec<_>>(),
        (17..650).collect(),
        vec![3, 4, 5, 699, 9, 10, 10, 11, 0],
        vec![],
    ] {
        for (part, column) in [
            (0..3, column.clone()),
            (1..3, column.clone().slice(1..3).unwrap()),
        ] {
            let expected = rows.iter().flat_map(|i| {
                let pairs = part.clone().flat_map(|j| (0..5).map(move |k| (j, k)));
                pairs.map(|(j, k)| number((*i, j, k)))
            });
            assert!(gather::<i32>(&column, &rows).into_iter().eq(expected));
        }
    }
}
