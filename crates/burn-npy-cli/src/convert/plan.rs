//! Which files are written, with which rows of which arrays.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs;
use std::io;
use std::num::NonZero;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use burn_npy_core::internal::{listed, quoted, shown_path};

use super::Args;
use super::rows::{Order, Table};
use super::write::{Output, Part, Tables};
use crate::open::Target;

/// A range of rows, such as `0..1000`, `500..` or `..500`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RowRange {
    start: usize,
    end: Option<usize>,
}

impl FromStr for RowRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (start, end) = text
            .split_once("..")
            .ok_or("expected A..B, such as 0..1000")?;
        let number = |text: &str| match text.trim() {
            "" => Ok(None),
            text => text
                .parse()
                .map(Some)
                .map_err(|error| format!("{text}: {error}")),
        };
        let start = number(start)?.unwrap_or(0);
        let end = number(end)?;
        if end.is_some_and(|end| end < start) {
            return Err("it ends before it begins".to_owned());
        }
        Ok(Self { start, end })
    }
}

/// What the name of the output says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Npy,
    Npz,
    Folder,
}

impl Kind {
    fn of(out: &Path) -> Result<Self, String> {
        if out.is_dir()
            || out
                .as_os_str()
                .to_string_lossy()
                .ends_with(['/', std::path::MAIN_SEPARATOR])
        {
            return Ok(Self::Folder);
        }
        match out
            .extension()
            .map(|extension| extension.to_string_lossy().to_lowercase())
        {
            Some(extension) if extension == "npy" => Ok(Self::Npy),
            Some(extension) if extension == "npz" => Ok(Self::Npz),
            None if !out.exists() => Ok(Self::Folder),
            _ => Err(format!(
                "{}: expected a .npy file, a .npz file or a folder, which ends in a slash",
                shown_path(out)
            )),
        }
    }
}

/// The arrays of all inputs, put together if the output is one `.npy` file.
pub(crate) fn tables(args: &Args, inputs: Vec<Vec<Table>>) -> Result<Tables, String> {
    let kind = Kind::of(args.out())?;
    let tables = match kind {
        Kind::Npy => {
            let mut single = Vec::new();
            for tables in inputs {
                let names = listed(&tables, |table| quoted(&table.name));
                let Ok([table]) = <[Table; 1]>::try_from(tables) else {
                    return Err(format!(
                        "{}: a .npy file has one array, but there are {names}; write to a folder \
                         or a .npz file, or name one as FILE:ARRAY",
                        shown_path(args.out())
                    ));
                };
                single.push(table);
            }
            match <[Table; 1]>::try_from(single) {
                Ok([table]) => vec![table],
                Err(several) => vec![Table::chain(several, "")?],
            }
        }
        _ => inputs.into_iter().flatten().collect(),
    };
    if tables.is_empty() {
        let files = listed(args.inputs(), |path| shown_path(path));
        return Err(format!("{files}: no arrays"));
    }
    let orders = tables.iter().map(|table| order(args, table));
    let orders = orders.collect::<Result<_, _>>()?;
    Ok(Tables { tables, orders })
}

fn order(args: &Args, table: &Table) -> Result<Order, String> {
    let len = table.len();
    let shards = args.shards.is_some() || args.rows_per_shard.is_some();
    if table.shape.is_empty() && (args.rows.is_some() || args.shuffle.is_some() || shards) {
        return Err(format!(
            "{}: an array without axes has no rows to choose",
            table.label
        ));
    }
    let rows = match args.rows {
        None => 0..len,
        Some(RowRange { start, end }) => {
            let end = end.unwrap_or(len);
            if start > end || end > len {
                return Err(format!(
                    "{}: no rows {start}..{end}, there are {len}",
                    table.label
                ));
            }
            start..end
        }
    };
    Ok(Order::new(rows, args.shuffle))
}

/// The files to write.
pub(crate) fn outputs(args: &Args, tables: &Tables) -> Result<Vec<Output>, String> {
    let kind = Kind::of(args.out())?;
    let mut names: HashMap<&str, &str> = HashMap::new();
    for table in &tables.tables {
        if kind == Kind::Folder {
            check_file_name(table)?;
        }
        if let Some(other) = names.insert(&table.name, &table.label) {
            return Err(format!(
                "{other} and {} would both be {}; convert them one by one",
                table.label,
                quoted(&table.name)
            ));
        }
    }
    let each = |table: usize| {
        let parts = divide(args, tables.orders[table].len())?.into_iter();
        Ok::<_, String>(parts.map(move |positions| Part { table, positions }))
    };
    let file = |path: PathBuf, is_archive, arrays| Output {
        path,
        is_archive,
        arrays,
    };
    let mut outputs = Vec::new();
    if kind == Kind::Npz {
        let mut shards: Vec<Vec<Part>> = Vec::new();
        for table in 0..tables.tables.len() {
            let parts: Vec<_> = each(table)?.collect();
            let [first, own] = [0, table].map(|table| tables.orders[table].len());
            if first != own && is_divided(args) {
                return Err(format!(
                    "{} rows in {}, but {own} in {}: each shard of a .npz file has the same rows \
                     of all arrays; convert them one by one",
                    first, tables.tables[0].label, tables.tables[table].label
                ));
            }
            shards.resize(parts.len(), Vec::new());
            for (shard, part) in shards.iter_mut().zip(parts) {
                shard.push(part);
            }
        }
        let paths = paths(args.out(), shards.len(), is_divided(args));
        outputs.extend(
            paths
                .zip(shards)
                .map(|(path, parts)| file(path, true, parts)),
        );
        return Ok(outputs);
    }
    for (table, Table { name, .. }) in tables.tables.iter().enumerate() {
        let path = match kind {
            Kind::Folder => args.out().join(format!("{name}.npy")),
            _ => args.out().to_path_buf(),
        };
        let parts: Vec<_> = each(table)?.collect();
        let paths = paths(&path, parts.len(), is_divided(args));
        outputs.extend(
            paths
                .zip(parts)
                .map(|(path, part)| file(path, false, vec![part])),
        );
    }
    Ok(outputs)
}

fn is_divided(args: &Args) -> bool {
    args.shards.is_some() || args.rows_per_shard.is_some()
}

/// The positions of each shard.
fn divide(args: &Args, len: usize) -> Result<Vec<Range<usize>>, String> {
    if let Some(rows) = args.rows_per_shard {
        let starts = (0..len.max(1)).step_by(rows.get());
        return Ok(starts
            .map(|start| start..len.min(start + rows.get()))
            .collect());
    }
    let shards = args.shards.map_or(1, NonZero::get);
    if shards > len.max(1) {
        return Err(format!("--shards {shards}: there are only {len} rows"));
    }
    let start = |shard: usize| (shard as u128 * len as u128 / shards as u128) as usize;
    Ok((0..shards)
        .map(|shard| start(shard)..start(shard + 1))
        .collect())
}

/// Shards beside those to write, of the same names but another number of shards: whoever opens all
/// by a pattern would open both.
pub(crate) fn other_shards(args: &Args, outputs: &[Output]) -> Result<Vec<PathBuf>, String> {
    if !is_divided(args) {
        return Ok(Vec::new());
    }
    let mut found = BTreeSet::new();
    // The first of each array; the others have the same siblings.
    let mut seen = HashSet::new();
    for output in outputs {
        let Some(new) = Shard::of(&output.path) else {
            continue;
        };
        let folder = match output.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        if !seen.insert((folder, new.stem, new.extension)) || !folder.exists() {
            continue;
        }
        let text = |error: io::Error| format!("{}: {error}", shown_path(folder));
        for entry in fs::read_dir(folder).map_err(text)? {
            let path = output.path.with_file_name(entry.map_err(text)?.file_name());
            let is_other = Shard::of(&path).is_some_and(|old| {
                (old.stem, old.extension) == (new.stem, new.extension) && old.count != new.count
            });
            if is_other && path.is_file() {
                found.insert(path);
            }
        }
    }
    let found: Vec<_> = found.into_iter().collect();
    let same = |a: &Path, b: &Path| match (fs::canonicalize(a), fs::canonicalize(b)) {
        (Ok(a), Ok(b)) => a == b || b.parent() == Some(&a),
        _ => false,
    };
    for input in args.inputs() {
        let file = Target::new(input).file;
        if let Some(path) = found.iter().find(|path| same(&file, path)) {
            return Err(format!(
                "{}: an input has the name of a shard of the output; write to another folder",
                shown_path(path)
            ));
        }
    }
    match args.force || found.is_empty() {
        true => Ok(found),
        false => Err(format!(
            "{}: shards of another number; --force removes them",
            listed(&found, |path| shown_path(path))
        )),
    }
}

/// What the name of a shard says.
struct Shard<'a> {
    stem: &'a str,
    count: &'a str,
    extension: &'a str,
}

impl<'a> Shard<'a> {
    fn of(path: &'a Path) -> Option<Self> {
        let (name, extension) = path.file_name()?.to_str()?.rsplit_once('.')?;
        let (rest, count) = name.rsplit_once("-of-")?;
        let (stem, shard) = rest.rsplit_once('-')?;
        let is_number =
            |text: &str| text.len() >= 5 && text.bytes().all(|byte| byte.is_ascii_digit());
        (is_number(count) && is_number(shard)).then_some(Self {
            stem,
            count,
            extension,
        })
    }
}

/// The path, or that of each shard: `train-00000-of-00010.npy`.
fn paths(path: &Path, shards: usize, is_divided: bool) -> impl Iterator<Item = PathBuf> {
    let stem = path.file_stem().unwrap_or_default().to_os_string();
    let extension = path.extension().unwrap_or_default().to_os_string();
    (0..shards).map(move |shard| {
        if !is_divided {
            return path.to_path_buf();
        }
        let mut name = stem.clone();
        name.push(format!("-{shard:05}-of-{shards:05}."));
        name.push(&extension);
        path.with_file_name(name)
    })
}

/// A name in an archive that leads elsewhere is not that of a file.
fn check_file_name(table: &Table) -> Result<(), String> {
    let name = &table.name;
    if name.is_empty() || name.starts_with('.') || name.contains(['/', '\\', ':', '\0']) {
        return Err(format!(
            "{}: {} is no name of a file; convert the array by itself, as FILE:ARRAY, or to a .npz \
             file",
            table.label,
            quoted(name)
        ));
    }
    Ok(())
}
