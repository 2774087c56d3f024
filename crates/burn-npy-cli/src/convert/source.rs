//! What the inputs are, and the arrays in them.

use std::path::Path;

use burn_npy_core::internal::shown_path;
use burn_npy_core::{Array, Result as CoreResult, file::Access};

use super::images::{self, Folder, entries};
use super::rows::{Rows, Table};
use super::{Args, idx, text};
use crate::failure::Outcome;
use crate::open::{self, Target};

/// How much is decoded at most, unless the user says otherwise.
const LIMIT: u64 = 4 << 30;

/// The arrays of each input, read as `access` says.
pub(crate) fn open(args: &Args, access: Access) -> Outcome<Vec<Vec<Table>>> {
    let mut inputs = Vec::new();
    for input in args.inputs() {
        inputs.push(tables(args, input, access)?);
    }
    for (given, flag, used) in [
        (
            args.columns.is_some(),
            "columns",
            args.inputs().iter().any(|path| text::is_text(path)),
        ),
        (
            args.size.is_some(),
            "size",
            args.inputs().iter().any(|path| path.is_dir()),
        ),
        (
            args.grey,
            "grey",
            args.inputs().iter().any(|path| path.is_dir()),
        ),
    ] {
        if given && !used {
            return Err(format!("--{flag} has no meaning for these files").into());
        }
    }
    Ok(inputs)
}

fn tables(args: &Args, input: &Path, access: Access) -> Outcome<Vec<Table>> {
    if input.is_dir() {
        return folder(args, input, access);
    }
    if text::is_text(input) && !args.open.is_raw() {
        let array = text::array(input, args.columns.as_deref(), args.cast_to);
        let array = array.map_err(|error| format!("{}: {error}", shown_path(input)))?;
        let name = stem(input);
        return Ok(vec![in_file(table(args, input, name, &array), input)?]);
    }
    let target = Target::new(input);
    if target.array.is_none() && !args.open.is_raw() && idx::is_idx(input) {
        return Ok(vec![idx(args, input, access)?]);
    }
    numpy(args, input, access)
}

/// The arrays of a `.npy` or `.npz` file, or one that is named.
fn numpy(args: &Args, input: &Path, access: Access) -> Outcome<Vec<Table>> {
    let options = open::options().access(access);
    let opened = open::open(input, &args.open, options)?;
    let mut tables = Vec::new();
    for name in opened.names() {
        let array = opened.array(name.as_deref())?;
        let label = opened.label(name.as_deref());
        let name = name.unwrap_or_else(|| stem(&opened.target.file));
        tables.push(Table::new(label, name, &array, args.cast())?);
    }
    Ok(tables)
}

fn stem(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default();
    stem.to_string_lossy().into_owned()
}

fn table(args: &Args, path: &Path, name: String, array: &Array) -> CoreResult<Table> {
    Table::new(shown_path(path), name, array, args.cast())
}

/// The file of an error that has none, since the array is in memory.
fn in_file(table: CoreResult<Table>, path: &Path) -> CoreResult<Table> {
    table.map_err(|error| match error.file() {
        None => error.in_file(path),
        Some(_) => error,
    })
}

fn idx(args: &Args, path: &Path, access: Access) -> Outcome<Table> {
    let limit = args.open.limit.unwrap_or(LIMIT);
    let array = idx::array(path, open::options().access(access), limit);
    let array = array.map_err(|error| {
        let file = shown_path(path);
        match error.starts_with(&file) {
            true => error,
            false => format!("{file}: {error}"),
        }
    })?;
    Ok(in_file(table(args, path, idx::name(path), &array), path)?)
}

fn is_npy(path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default();
    extension.eq_ignore_ascii_case("npy") && path.is_file()
}

/// The IDX files of a folder, or its images with their labels, or else its `.npy` files.
fn folder(args: &Args, path: &Path, access: Access) -> Outcome<Vec<Table>> {
    let files = entries(path)?;
    let (idx_files, others): (Vec<_>, Vec<_>) = files.iter().partition(|file| idx::is_idx(file));
    if !idx_files.is_empty() {
        let tables = idx_files.into_iter().map(|file| idx(args, file, access));
        return tables.collect();
    }
    let mut arrays = others.into_iter().filter(|file| is_npy(file)).peekable();
    if arrays.peek().is_some() && !images::are_in(path)? {
        if args.size.is_some() || args.grey {
            let path = shown_path(path);
            return Err(format!("{path}: --size and --grey are for folders of images").into());
        }
        let mut tables = Vec::new();
        for file in arrays {
            tables.extend(numpy(args, file, access)?);
        }
        return Ok(tables);
    }
    let folder = Folder::open(path, args.size, args.grey)?;
    if args.cast_to.is_some() {
        return Err(format!(
            "{}: images are written as uint8; convert the .npy file to another dtype",
            shown_path(path)
        )
        .into());
    }
    let labels = folder.labels();
    let images = folder.images;
    let row_shape = images.row_shape();
    let mut tables = vec![Table {
        label: shown_path(path),
        name: "images".to_owned(),
        dtype: "uint8".to_owned(),
        descr: "'|u1'".to_owned(),
        shape: [&[images.len()], &row_shape[..]].concat(),
        row_bytes: row_shape.iter().product(),
        rows: Rows::Images(images),
        finite: None,
    }];
    if !folder.classes.is_empty() {
        let names = (0..).zip(&folder.classes);
        let names: Vec<_> = names
            .map(|(label, (class, _)): (usize, _)| format!("{label} {class}"))
            .collect();
        let label = format!("{} ({})", shown_path(path), names.join(", "));
        let labels = Array::from(labels);
        tables.push(Table::new(label, "labels".to_owned(), &labels, None)?);
    }
    Ok(tables)
}
