//! Writes files, and compares what was written with where it comes from.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use burn_npy_core::internal::{Complete, io_error, npy_header_of, write_npz};
use burn_npy_core::{Error, ErrorKind, Result, file::Layout};
use crc32fast::Hasher;

use super::pump::pump;
use super::rows::{Order, Table};
use crate::progress::Progress;

/// How many bytes are read at a time for a checksum.
const CHUNK: usize = 1 << 20;

/// A file that is written.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) path: PathBuf,
    /// Whether it is an archive; otherwise it has one array.
    pub(crate) is_archive: bool,
    pub(crate) arrays: Vec<Part>,
}

/// Some of the rows of an array.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    /// The place of the array among all.
    pub(crate) table: usize,
    /// The positions in the order of its rows.
    pub(crate) positions: Range<usize>,
}

/// What is written: arrays, each with the order of its rows.
#[derive(Debug)]
pub(crate) struct Tables {
    pub(crate) tables: Vec<Table>,
    pub(crate) orders: Vec<Order>,
}

impl Tables {
    fn get(&self, part: &Part) -> (&Table, &Order) {
        (&self.tables[part.table], &self.orders[part.table])
    }

    /// The shape of a part.
    pub(crate) fn shape(&self, part: &Part) -> Vec<usize> {
        let mut shape = self.tables[part.table].shape.clone();
        if let Some(rows) = shape.first_mut() {
            *rows = part.positions.len();
        }
        shape
    }

    fn header(&self, part: &Part) -> Vec<u8> {
        npy_header_of(&self.tables[part.table].descr, Layout::C, &self.shape(part))
    }

    /// The size of a part in bytes.
    pub(crate) fn bytes(&self, part: &Part) -> u64 {
        part.positions.len() as u64 * self.tables[part.table].row_bytes as u64
    }
}

/// Writes a file. With `other`, what was written is compared with these tables, before the file
/// gets its name.
pub(crate) fn write(
    output: &Output,
    tables: &Tables,
    other: Option<&Tables>,
    progress: &Progress,
) -> Result<Complete> {
    Complete::new(&output.path, &mut |file| {
        let starts = if output.is_archive {
            archive(file, output, tables, progress)?
        } else {
            npy(file, 0, tables, &output.arrays[0], progress)?;
            vec![0]
        };
        let Some(other) = other else { return Ok(()) };
        for (part, start) in output.arrays.iter().zip(starts) {
            compare(file, start, other, part, progress)
                .map_err(|error| in_output(error, &output.path))?;
        }
        Ok(())
    })
}

fn in_output(error: Error, path: &Path) -> Error {
    match error.file() {
        None => error.in_file(path),
        Some(_) => error,
    }
}

fn cannot_read(error: io::Error) -> Error {
    io_error("cannot read what was written", error)
}

fn cannot_write(error: io::Error) -> Error {
    io_error("cannot write the rows", error)
}

/// Writes a `.npy` file that begins at `start`, and returns its CRC-32 and its size.
fn npy(
    file: &mut File,
    start: u64,
    tables: &Tables,
    part: &Part,
    progress: &Progress,
) -> Result<(u32, u64)> {
    let header = tables.header(part);
    let (table, order) = tables.get(part);
    let mut out = Out {
        file,
        at: start,
        crc: Some(Hasher::new()),
    };
    out.write(start, &header).map_err(cannot_write)?;
    let first = start + header.len() as u64;
    pump(table, order, part.positions.clone(), &mut |block| {
        let mut pieces = block.pieces();
        pieces
            .try_for_each(|(at, piece)| out.write(first + at, piece))
            .map_err(cannot_write)?;
        progress.advance(block.bytes.as_slice().len() as u64);
        Ok(())
    })
    .map_err(|error| match (error.kind(), error.file()) {
        // A number that was read from text.
        (ErrorKind::Value, None) => error.in_file(&table.label),
        _ => error,
    })?;
    let size = header.len() as u64 + tables.bytes(part);
    let crc = out.finish(start, size).map_err(cannot_write)?;
    Ok((crc, size))
}

/// A file that is written in any order.
struct Out<'a> {
    file: &'a mut File,
    /// Where the file is.
    at: u64,
    /// The checksum of what was written, if all of it was written in order.
    crc: Option<Hasher>,
}

impl Out<'_> {
    fn write(&mut self, to: u64, bytes: &[u8]) -> io::Result<()> {
        if self.at != to {
            self.file.seek(SeekFrom::Start(to))?;
            self.crc = None;
        }
        self.file.write_all(bytes)?;
        self.at = to + bytes.len() as u64;
        if let Some(crc) = &mut self.crc {
            crc.update(bytes);
        }
        Ok(())
    }

    /// The checksum of the file, for which it is read if it was not written in order.
    fn finish(self, start: u64, size: u64) -> io::Result<u32> {
        if let Some(crc) = self.crc {
            return Ok(crc.finalize());
        }
        let mut crc = Hasher::new();
        let mut bytes = vec![0; CHUNK];
        let mut left = size;
        self.file.seek(SeekFrom::Start(start))?;
        while left > 0 {
            let bytes = &mut bytes[..left.min(CHUNK as u64) as usize];
            self.file.read_exact(bytes)?;
            crc.update(bytes);
            left -= bytes.len() as u64;
        }
        Ok(crc.finalize())
    }
}

fn archive(
    file: &mut File,
    output: &Output,
    tables: &Tables,
    progress: &Progress,
) -> Result<Vec<u64>> {
    let names = output.arrays.iter();
    let names: Vec<_> = names.map(|part| tables.get(part).0.name.clone()).collect();
    let mut failed = None;
    let written = write_npz(file, &names, |place, file, start| {
        let written = npy(file, start, tables, &output.arrays[place], progress);
        written.map_err(|error| {
            let text = error.to_string();
            failed = Some(error);
            io::Error::other(text)
        })
    });
    written.map_err(|error| failed.unwrap_or_else(|| cannot_write(error)))
}

/// Reads the `.npy` file that begins at `start`, and the rows once more.
fn compare(
    file: &mut File,
    start: u64,
    tables: &Tables,
    part: &Part,
    progress: &Progress,
) -> Result<()> {
    let (table, order) = tables.get(part);
    let header = tables.header(part);
    let differs = |what: String| {
        let message = format!(
            "{what} that was written is not that of {}: the source has changed meanwhile, or the \
             disk or the memory is faulty",
            table.label
        );
        Error::new(ErrorKind::Io, message)
    };
    let mut found = Vec::new();
    let mut at = start;
    file.seek(SeekFrom::Start(at)).map_err(cannot_read)?;
    let mut same = |from: u64, bytes: &[u8]| -> Result<bool> {
        if at != from {
            file.seek(SeekFrom::Start(from)).map_err(cannot_read)?;
        }
        found.resize(bytes.len(), 0);
        file.read_exact(&mut found).map_err(cannot_read)?;
        at = from + bytes.len() as u64;
        Ok(found == bytes)
    };
    if !same(start, &header)? {
        return Err(differs("the header".to_owned()));
    }
    let first = start + header.len() as u64;
    pump(table, order, part.positions.clone(), &mut |block| {
        for (at, piece) in block.pieces() {
            if !same(first + at, piece)? {
                let row = at / block.row_bytes as u64;
                return Err(differs(format!("row {row} or one of the next")));
            }
        }
        progress.advance(block.bytes.as_slice().len() as u64);
        Ok(())
    })
}
