//! Each number says where it is, so that an error that has it tells whether it names the place.

use std::path::{Path, PathBuf};

use ndarray::Array3;

use super::*;
use crate::row_map::RowMap;
use crate::{Access, Convert, OpenOptions, RaggedColumn, Result, transform, write_npy};

/// How many rows each file has.
const ROWS: [usize; 4] = [5, 0, 1, 7];
/// The shape of a row.
const ROW: [usize; 2] = [3, 2];

struct Files {
    _dir: tempfile::TempDir,
    paths: Vec<PathBuf>,
}

impl Files {
    /// Element `e` of row `r` of file `f` is `1000 f + 10 r + e`, and a half, which no integer has.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let write = |(file, rows): (usize, &usize)| {
            let path = dir.path().join(format!("{file}.npy"));
            let number = |(row, i, j)| (1000 * file + 10 * row + 2 * i + j) as f64 + 0.5;
            write_npy(
                &path,
                &Array3::from_shape_fn((*rows, ROW[0], ROW[1]), number),
            )
            .unwrap();
            path
        };
        Self {
            paths: ROWS.iter().enumerate().map(write).collect(),
            _dir: dir,
        }
    }

    fn columns(&self, access: Access) -> Vec<Column> {
        let open = |path: &PathBuf| {
            let array = Array::open_with(path, OpenOptions::new().access(access));
            Column::new(array.unwrap()).unwrap()
        };
        self.paths.iter().map(open).collect()
    }

    fn chain(&self) -> Column {
        Column::chain(self.columns(Access::Mapped)).unwrap()
    }

    /// The file, the row and the element of the number that an error is about.
    fn place(&self, error: &Error) -> (&Path, usize, usize) {
        let number = error.message().split(" has ").nth(1).unwrap();
        let number: f64 = number.split(',').next().unwrap().parse().unwrap();
        let number = number as usize;
        (&self.paths[number / 1000], number % 1000 / 10, number % 10)
    }
}

fn shuffled(column: &Column) -> Column {
    let mut map = RowMap::new(column.rows());
    map.shuffle(3);
    map.skip(2);
    column.pick(&map)
}

fn doubled(column: Column) -> Column {
    let doubled = transform::from_fn::<f64, f64>(|row, mut out, _| {
        out.assign(&row);
        Ok(())
    });
    column.map(doubled).unwrap()
}

#[test]
fn a_value_names_its_file_row_and_element() {
    let files = Files::new();
    let chain = || files.chain();
    let positioned = || Column::chain(files.columns(Access::Positioned)).unwrap();
    let windows = || chain().dilated_windows(3, 2, 2).unwrap();
    let parts_converted = files.columns(Access::Mapped).into_iter();
    let parts_converted = parts_converted.map(|part| part.convert(Convert::to::<f32>()).unwrap());
    let join = |columns: [Column; 2]| Column::join(columns).unwrap();
    let first_half = |column: &Column| {
        let mut map = RowMap::new(column.rows());
        map.take(column.rows() / 2);
        column.pick(&map)
    };
    for (number, column) in [
        chain(),
        positioned(),
        Column::chain(parts_converted).unwrap(),
        shuffled(&chain()),
        chain()
            .convert(Convert::to::<f32>())
            .unwrap()
            .cut(1..3)
            .unwrap(),
        chain().reshape(&[6]).unwrap().cut(2..5).unwrap(),
        chain().permute(&[1, 0]).unwrap(),
        windows(),
        windows().permute(&[2, 0, 1]).unwrap().cut(1..2).unwrap(),
        shuffled(&windows()),
        join([chain(), chain().permute(&[1, 0]).unwrap()]),
        join([chain().reshape(&[6]).unwrap().cut(4..6).unwrap(), chain()])
            .windows(2, 1)
            .unwrap(),
        Column::chain([first_half(&chain()), shuffled(&positioned())]).unwrap(),
    ]
    .into_iter()
    .enumerate()
    {
        let converted = column.clone().convert(Convert::to::<i64>()).unwrap();
        for row in 0..converted.rows() {
            // In the same batch as others, in the middle of them.
            let error = match row {
                0 => converted.read::<i64>(&[row]),
                _ => converted.read::<i64>(&[row, row - 1, row]),
            };
            let error = error.unwrap_err();
            let (file, of_file, element) = files.place(&error);
            assert_eq!(error.file(), Some(file), "column {number}: {error}");
            let place = format!("row {of_file} of the file, element {element}, has");
            assert!(
                error.message().starts_with(&place),
                "column {number}: {error}"
            );
        }
        // The elements that a transform makes are in no file, but the row is.
        let mapped =
            doubled(column.convert(Convert::to::<f64>()).unwrap()).convert(Convert::to::<i64>());
        let Err(error) = mapped.unwrap().row::<i64>(0) else {
            panic!("column {number}");
        };
        if error.message().contains("of the file") {
            let (file, of_file, _) = files.place(&error);
            assert_eq!(error.file(), Some(file), "column {number}: {error}");
            let place = format!("row {of_file} of the file, element 0 of what a transform made, ");
            assert!(
                error.message().starts_with(&place),
                "column {number}: {error}"
            );
        }
    }
}

#[test]
fn rows_that_were_cut_permuted_or_made_windows_name_the_place_in_the_file() {
    use ndarray::ShapeBuilder;

    let files = Files::new();
    check_places(&files, &files.chain());
    let number = |(row, i, j)| (3000 + 10 * row + 2 * i + j) as f64 + 0.5;
    let c = Array3::from_shape_fn((ROWS[3], ROW[0], ROW[1]), number);
    let fortran = Array3::from_shape_fn((ROWS[3], ROW[0], ROW[1]).f(), number);
    for array in [c, fortran] {
        write_npy(&files.paths[3], &array).unwrap();
        for access in [Access::Mapped, Access::Positioned] {
            check_places(&files, &files.columns(access)[3]);
        }
    }
}

/// Converts each element of each row by itself, so that the error is about it.
fn check_places(files: &Files, column: &Column) {
    let slice = |column: Column, part| column.slice(part).unwrap();
    let windows = |column: Column| column.dilated_windows(3, 2, 2).unwrap();
    let permute = |column: Column, axes: &[usize]| column.permute(axes).unwrap();
    let flat = |column: Column| column.reshape(&[6]).unwrap();
    let columns = [
        slice(column.clone(), 1..3),
        slice(slice(column.clone(), 1..3), 1..2),
        slice(permute(column.clone(), &[1, 0]), 1..2),
        permute(slice(column.clone(), 1..3), &[1, 0]),
        slice(flat(column.clone()), 2..5),
        windows(column.clone()),
        windows(slice(column.clone(), 2..3)),
        slice(windows(column.clone()), 1..3),
        permute(slice(windows(column.clone()), 1..2), &[1, 2, 0]),
        slice(permute(windows(column.clone()), &[2, 0, 1]), 1..2),
        column.clone().windows(2, 2).unwrap().windows(2, 1).unwrap(),
    ];
    for (number, column) in columns.into_iter().enumerate() {
        let len = column.row_len();
        let values: Vec<f64> = column.read(&[0, 1]).unwrap().iter().copied().collect();
        let flat = column.reshape(&[len]).unwrap();
        for (at, value) in values.iter().enumerate() {
            let (row, element) = (at / len, at % len);
            let one = flat.clone().slice(element..element + 1).unwrap();
            let one = one.convert(Convert::to::<i64>()).unwrap();
            let error = one.row::<i64>(row).unwrap_err();
            let (file, of_file, element) = files.place(&error);
            assert_eq!(error.file(), Some(file));
            let place = format!("row {of_file} of the file, element {element}, has {value},");
            assert!(
                error.message().starts_with(&place),
                "column {number}: {error}"
            );
        }
    }
}

#[test]
fn rows_of_one_number_are_named_by_their_row_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.npy");
    let numbers = (0..100).map(|row| f64::from(row) + 0.5);
    write_npy(&path, &ndarray::Array1::from_iter(numbers)).unwrap();
    let column = || Column::new(Array::open(&path).unwrap()).unwrap();
    let integers = |column: Column| column.convert(Convert::to::<i64>()).unwrap();
    let windows = || column().windows(4, 10).unwrap();
    let whole = Column::whole(&Array::open(&path).unwrap()).unwrap();
    for (column, row, place) in [
        (column(), 52, "row 52 of the file has 52.5,"),
        (windows(), 5, "row 50 of the file has 50.5,"),
        (
            windows().slice(2..4).unwrap(),
            5,
            "row 52 of the file has 52.5,",
        ),
        (
            whole.slice(37..40).unwrap(),
            0,
            "element 37 of the file has 37.5,",
        ),
        (
            doubled(windows()),
            5,
            "the window from row 50 of the file on, element 0 of what a transform made, has 50.5,",
        ),
    ] {
        let error = integers(column).row::<i64>(row).unwrap_err();
        assert_eq!(error.file(), Some(&*path));
        assert!(error.message().starts_with(place), "{error}");
    }
    let fail =
        || transform::from_fn::<f64, f64>(|row, _, _| Err(format!("bad {}", row[[0]]).into()));
    for (column, row, message) in [
        (
            windows(),
            5,
            "the window from row 50 of the file on: bad 50.5",
        ),
        (
            windows().slice(2..4).unwrap(),
            5,
            "the window from row 52 of the file on: bad 52.5",
        ),
        (
            column().reshape(&[1]).unwrap(),
            5,
            "row 5 of the file: bad 5.5",
        ),
        (
            Column::whole(&Array::open(&path).unwrap()).unwrap(),
            0,
            "the array of the file: bad 0.5",
        ),
    ] {
        let error = column.map(fail()).unwrap().row::<f64>(row).unwrap_err();
        assert_eq!((error.file(), error.message()), (Some(&*path), message));
    }
}

#[test]
fn an_element_that_a_transform_made_is_the_one_of_its_row() {
    let files = Files::new();
    let flat = || doubled(files.chain().reshape(&[6]).unwrap());
    let one = || doubled(files.chain().reshape(&[6]).unwrap().slice(3..4).unwrap());
    let twice = || doubled(doubled(files.chain()).permute(&[1, 0]).unwrap());
    for (number, column) in [
        flat(),
        flat().windows(3, 1).unwrap(),
        flat().windows(3, 1).unwrap().slice(1..3).unwrap(),
        flat().slice(2..5).unwrap().windows(2, 1).unwrap(),
        Column::join([flat(), flat()]).unwrap(),
        shuffled(&flat().windows(3, 2).unwrap()),
        one().windows(3, 1).unwrap(),
        twice(),
    ]
    .into_iter()
    .enumerate()
    {
        let len = column.row_len();
        let values: Vec<f64> = column.row(1).unwrap().iter().copied().collect();
        let column = column.reshape(&[len]).unwrap();
        for (element, value) in values.iter().enumerate() {
            let alone = column.clone().slice(element..element + 1).unwrap();
            let alone = alone.convert(Convert::to::<i64>()).unwrap();
            let error = alone.row::<i64>(1).unwrap_err();
            let (file, of_file, place) = files.place(&error);
            assert_eq!(error.file(), Some(file), "column {number}: {error}");
            let made = match number {
                // A row of one element.
                6 => String::new(),
                // What is named is what the last transform made.
                7 => format!(", element {element} of what a transform made,"),
                _ => format!(", element {place} of what a transform made,"),
            };
            let expected = format!("row {of_file} of the file{made} has {value},");
            assert!(
                error.message().starts_with(&expected),
                "column {number}: {error}"
            );
        }
    }
}

#[test]
fn a_transform_that_fails_names_the_file_and_its_row() {
    let files = Files::new();
    let failing = |column: Column, bad: f64| {
        let fail = transform::from_fn::<f64, f64>(move |row, mut out, _| {
            if row.iter().any(|x| *x == bad) {
                return Err("no such number".into());
            }
            out.assign(&row);
            Ok(())
        });
        column.map(fail).unwrap()
    };
    let said = |column: &Column, row| {
        let error = column.row::<f64>(row).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Transform);
        (
            error.file().map(Path::to_path_buf),
            error.message().to_owned(),
        )
    };
    let file = |at: usize| Some(files.paths[at].clone());
    let expected = |at, message: &str| (file(at), message.to_owned());
    let column = failing(files.chain(), 3034.5);
    assert!(column.row::<f64>(8).is_ok());
    let message = "row 3 of the file: no such number";
    assert_eq!(said(&column, 9), expected(3, message));
    let mut reversed = RowMap::new(column.rows());
    reversed.skip(1);
    let reversed = reversed.list((0..12).rev()).unwrap();
    let twice = doubled(doubled(column).pick(&reversed));
    let row = (0..twice.rows()).find(|row| twice.row::<f64>(*row).is_err());
    assert_eq!(said(&twice, row.unwrap()), expected(3, message));
    // A window has several rows.
    let windows = |bad| failing(files.chain().windows(2, 1).unwrap(), bad);
    assert_eq!(said(&windows(40.5), 3), expected(0, "no such number"));
    assert_eq!(said(&windows(3000.5), 6), expected(3, "no such number"));
    assert_eq!(
        said(&windows(3000.5), 5),
        (None, "no such number".to_owned())
    );
}

#[test]
fn an_error_about_all_rows_names_no_single_file() {
    let files = Files::new();
    let said = |error: Error| {
        (
            error.file().map(Path::to_path_buf),
            error.message().to_owned(),
        )
    };
    let chain = files.chain();
    let none = |message: &str| (None, message.to_owned());
    let row = |column: &Column| column.row::<f64>(13).unwrap_err();
    assert_eq!(said(row(&chain)), none("row 13 of 13, of 4 files"));
    assert_eq!(
        said(row(&shuffled(&chain))),
        none("row 13 of 11, of 4 files")
    );
    let one = files.columns(Access::Mapped).swap_remove(0);
    let of_one = |message: &str| (Some(files.paths[0].clone()), message.to_owned());
    assert_eq!(said(row(&one)), of_one("row 13 of 5"));
    let twice = Column::chain([one.clone(), one.clone()]).unwrap();
    assert_eq!(said(row(&twice)), of_one("row 13 of 10"));
    assert_eq!(said(row(&shuffled(&one))), of_one("row 13 of 3"));
    for error in [
        chain.row::<u8>(0).unwrap_err(),
        chain.clone().reshape(&[7]).unwrap_err(),
        chain.clone().slice(2..4).unwrap_err(),
        chain.clone().windows(99, 1).unwrap_err(),
        chain.clone().permute(&[0]).unwrap_err(),
        chain
            .clone()
            .convert(Convert::to::<u8>().scale(2.0))
            .unwrap_err(),
        chain.clone().map(transform::OneHot::new(3)).unwrap_err(),
    ] {
        assert_eq!(error.file(), None, "{error}");
    }
}

#[test]
fn a_file_that_changed_is_the_one_that_is_named() -> Result<()> {
    let files = Files::new();
    for access in [Access::Mapped, Access::Positioned] {
        let chain = Column::chain(files.columns(access))?;
        let columns = [
            chain.clone(),
            shuffled(&chain),
            chain.clone().windows(2, 1)?,
        ];
        std::fs::write(&files.paths[2], b"another file").unwrap();
        for column in columns {
            let errors: Vec<_> = (0..column.rows())
                .filter_map(|row| column.row::<f64>(row).err())
                .collect();
            assert!((1..=2).contains(&errors.len()));
            for error in errors {
                assert_eq!(error.kind(), ErrorKind::Changed);
                assert_eq!(error.file(), Some(&*files.paths[2]));
            }
        }
        write_npy(
            &files.paths[2],
            &Array3::from_elem((1, ROW[0], ROW[1]), 2000.5),
        )
        .unwrap();
    }
    Ok(())
}

#[test]
fn items_of_several_files_name_theirs() {
    let files = Files::new();
    let ragged = |array: Array, lengths: Vec<i64>| {
        RaggedColumn::from_lengths(array, &lengths.into()).unwrap()
    };
    let columns = files.columns(Access::Mapped);
    let chain = RaggedColumn::chain([
        ragged(columns[0].array.clone(), vec![2, 3]),
        ragged(columns[3].array.clone(), vec![0, 4, 3]),
    ]);
    let chain = chain.unwrap();
    let said = |error: Error| {
        (
            error.file().map(Path::to_path_buf),
            error.message().to_owned(),
        )
    };
    let error = chain.row::<f64>(5).unwrap_err();
    assert_eq!(said(error), (None, "row 5 of 5, of 2 files".to_owned()));
    assert_eq!(chain.row::<u8>(0).unwrap_err().file(), None);
    let converted = chain.convert(Convert::to::<i64>()).unwrap();
    let packed = chain.pack(4).unwrap()[0].clone();
    let packed = packed.convert(Convert::to::<i64>()).unwrap();
    let rows = [0, 1, 3, 4].map(|row| converted.row::<i64>(row));
    let rows = rows
        .into_iter()
        .chain((0..packed.rows()).map(|row| packed.row::<i64>(row)));
    for (number, row) in rows.enumerate() {
        let error = row.unwrap_err();
        let (file, of_file, element) = files.place(&error);
        assert_eq!(error.file(), Some(file), "{number}: {error}");
        let what = if number < 4 { "item" } else { "row" };
        let place = format!("{what} {of_file} of the file, element {element}, has");
        assert!(error.message().starts_with(&place), "{number}: {error}");
    }
}

#[test]
fn rows_of_any_length_name_their_items_in_the_file() {
    let files = Files::new();
    // Rows from items 0, 2, 2 and 6 on, in another order.
    let firsts = [6, 2, 0];
    let lengths: Array = vec![2_i64, 0, 4, 1].into();
    for access in [Access::Mapped, Access::Positioned] {
        let items = files.columns(access)[3].array.clone();
        let ragged = RaggedColumn::from_lengths(items.clone(), &lengths).unwrap();
        let map = RowMap::new(ragged.rows()).list([3, 2, 0]).unwrap();
        let ragged = ragged.pick(&map).unwrap();
        for column in [ragged.clone(), ragged.reshape(&[6]).unwrap()] {
            let converted = column.convert(Convert::to::<i64>()).unwrap();
            for (row, first) in firsts.into_iter().enumerate() {
                let error = converted.row::<i64>(row).unwrap_err();
                let (file, of_file, element) = files.place(&error);
                assert_eq!((error.file(), of_file), (Some(file), first));
                let place = format!("item {of_file} of the file, element {element}, has");
                assert!(error.message().starts_with(&place), "{error}");
            }
        }
        let copy = || {
            transform::from_fn::<f64, f64>(|row, mut out, _| {
                out.assign(&row);
                Ok(())
            })
        };
        let fail = || transform::from_fn::<f64, f64>(|_, _, _| Err("bad".into()));
        let made = ragged.map(copy()).unwrap();
        let converted = made.convert(Convert::to::<i64>()).unwrap();
        for column in [ragged.map(fail()).unwrap(), made.map(fail()).unwrap()] {
            for (row, first) in firsts.into_iter().enumerate() {
                let error = column.row::<f64>(row).unwrap_err();
                assert_eq!(error.file(), Some(&*files.paths[3]));
                let message = format!("the row from item {first} of the file on: bad");
                assert_eq!(error.message(), message);
                let error = converted.row::<i64>(row).unwrap_err();
                let place = format!(
                    "the row from item {first} of the file on, element 0 of what a transform \
                     made, has {}",
                    3000.5 + (10 * first) as f64
                );
                assert!(error.message().starts_with(&place), "{error}");
            }
        }
        // Items in memory are of rows.
        let items = Column::new(items).unwrap().read::<f64>(&[0, 1]).unwrap();
        let ragged = RaggedColumn::from_lengths(items.into(), &vec![1, 1].into()).unwrap();
        let error = ragged.map(fail()).unwrap().row::<f64>(1).unwrap_err();
        assert_eq!((error.file(), error.message()), (None, "row 1: bad"));
        let error = ragged.convert(Convert::to::<i64>()).unwrap();
        let error = error.row::<i64>(1).unwrap_err();
        let place = "row 1, element 0, has 3010.5";
        assert!(error.message().starts_with(place), "{error}");
    }
}
