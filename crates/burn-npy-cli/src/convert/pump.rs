//! Reads the rows of an array, some at a time, while those before are written.

use std::ops::Range;
use std::sync::mpsc;
use std::thread;

use burn_npy_core::{Result, file::Buffer};

use super::rows::{Order, Rows, Table};

/// How many bytes are read at a time, unless a row that cannot be cut has more.
const BLOCK: usize = 16 << 20;
/// How many bytes of a row are read at a time, if its elements lie apart and whole rows of a block
/// would be few. There are then a few thousand rows in a block, and as many neighbours in a read.
const PART: usize = 2 << 10;

/// Some rows one after the other, or the same part of each.
pub(crate) struct Block {
    /// Where they begin, in bytes from the start of the rows.
    start: u64,
    /// How many bytes each has here, and how far apart they begin.
    part: usize,
    pub(crate) row_bytes: usize,
    pub(crate) bytes: Buffer,
}

impl Block {
    /// The bytes that lie together, with where they belong among those of all rows.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let bytes = self.bytes.as_slice();
        let len = if self.part == self.row_bytes {
            bytes.len()
        } else {
            self.part
        };
        let at = move |row: usize| self.start + (row * self.row_bytes) as u64;
        let pieces = bytes.chunks(len.max(1)).enumerate();
        pieces.map(move |(row, piece)| (at(row), piece))
    }
}

/// How rows are divided into blocks.
struct Tiles {
    rows: usize,
    /// The length of a part along the first axis of a row; `None` for whole rows.
    part: Option<usize>,
}

impl Tiles {
    fn new(table: &Table) -> Self {
        let row = table.row_bytes.max(1);
        let whole = Self {
            rows: (BLOCK / row).max(1),
            part: None,
        };
        let Rows::Column(column) = &table.rows else {
            return whole;
        };
        let Some(axis) = column.row_shape().first().copied().filter(|axis| *axis > 1) else {
            return whole;
        };
        let of = |bytes: usize| (bytes / (row / axis).max(1)).clamp(1, axis);
        if column.is_scattered() && row > 2 * PART {
            let part = of(PART);
            return Self {
                rows: (BLOCK / (part * row / axis).max(1)).max(1),
                part: Some(part),
            };
        }
        if row > BLOCK {
            return Self {
                rows: 1,
                part: Some(of(BLOCK)),
            };
        }
        whole
    }
}

/// Calls `take` with the rows at some positions of an order, while the next are read. All bytes
/// come once, but not always in their order.
pub(crate) fn pump(
    table: &Table,
    order: &Order,
    positions: Range<usize>,
    take: &mut dyn FnMut(&Block) -> Result<()>,
) -> Result<()> {
    if table.row_bytes == 0 {
        return Ok(());
    }
    let tiles = Tiles::new(table);
    let axis = match &table.rows {
        Rows::Column(column) => column.row_shape().first().copied().unwrap_or(1),
        _ => 1,
    };
    let element = table.row_bytes / axis.max(1);
    // One block is read while another one is written.
    let (give, taken) = mpsc::sync_channel::<Block>(0);
    let (give_back, free) = mpsc::channel();
    for _ in 0..2 {
        // There is somebody who takes it.
        let _ = give_back.send(Buffer::zeroed(0)?);
    }
    let read = move || -> Result<()> {
        for first in positions.clone().step_by(tiles.rows) {
            let rows = order.rows(first..positions.end.min(first + tiles.rows));
            let step = tiles.part.unwrap_or(axis);
            for from in (0..axis).step_by(step) {
                let Ok(mut bytes): std::result::Result<Buffer, _> = free.recv() else {
                    // Nobody takes any more.
                    return Ok(());
                };
                let part = from..axis.min(from + step);
                let part_bytes = part.len() * element;
                let len = rows.len() * part_bytes;
                if bytes.capacity() < len {
                    bytes = Buffer::zeroed(len)?;
                }
                bytes.set_len(len);
                let cut = tiles.part.is_some().then_some(part);
                table.read(&rows, cut, bytes.as_mut_slice())?;
                let start = (first - positions.start) as u64 * table.row_bytes as u64;
                let block = Block {
                    start: start + (from * element) as u64,
                    part: part_bytes,
                    row_bytes: table.row_bytes,
                    bytes,
                };
                if give.send(block).is_err() {
                    return Ok(());
                }
            }
        }
        Ok(())
    };
    thread::scope(|scope| {
        let reader = scope.spawn(read);
        let mut took = Ok(());
        for block in taken {
            took = take(&block);
            if took.is_err() {
                break;
            }
            let _ = give_back.send(block.bytes);
        }
        drop(give_back);
        match reader.join() {
            Ok(read) => took.and(read),
            Err(payload) => std::panic::resume_unwind(payload),
        }
    })
}
