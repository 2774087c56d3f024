//! Neighbouring rows of an array, which are the items of a row of any length.

use std::ops::Range;

use crate::Result;
use crate::column::Column;
use crate::column::gather::{BLOCK_BYTES, Scratch, room, whole_rows};
use crate::gather::{Misfit, Rows, Schedule};

/// Items that lie one after the other in memory.
pub(super) struct Items<'a> {
    bytes: &'a [u8],
    item_bytes: usize,
}

impl<'a> Items<'a> {
    pub(super) fn run(&self, items: Range<usize>) -> &'a [u8] {
        &self.bytes[items.start * self.item_bytes..items.end * self.item_bytes]
    }
}

/// Where a row is, for messages. A row has no number in a file, but its items do.
#[derive(Clone, Copy)]
pub(super) struct RowPlace {
    pub(super) row: usize,
    /// The first item of the row, if the items are in a file.
    pub(super) first_item: Option<usize>,
}

impl RowPlace {
    /// The row.
    pub(super) fn row(self) -> String {
        match self.first_item {
            None => format!("row {}", self.row),
            Some(first) => format!("the row from item {first} of the file on"),
        }
    }

    /// An element of the row, which is some of the items of an array.
    fn element(self, items: &Column, element: usize) -> String {
        let len = items.row_len();
        match self.first_item {
            None => format!("row {}, element {element},", self.row),
            Some(first) => items.element_in_file("item", first + element / len, element % len),
        }
    }

    /// An element of what a transform made of the row.
    pub(super) fn made_element(self, element: usize) -> String {
        let row = self.row();
        match self.first_item {
            None => format!("{row}, element {element},"),
            Some(_) => format!("{row}, element {element} of what a transform made,"),
        }
    }
}

/// Memory for items on their way.
#[derive(Default)]
pub(super) struct ItemScratch {
    pub(super) stages: Scratch,
    loaded: Vec<u64>,
    numbers: Vec<usize>,
}

impl Column {
    /// The rows, if each follows the one before it in memory, in the byte order of the machine.
    pub(super) fn items_in_memory(&self) -> Option<Items<'_>> {
        let source = self.rows_in_memory()?;
        (source.stride == source.row_bytes).then(|| Items {
            bytes: &source.bytes[source.first..],
            item_bytes: source.row_bytes,
        })
    }

    /// Copies neighbouring rows, converted, into `out`. They exist, and `out` has room for them. An
    /// error names the row of any length that they are.
    pub(super) fn load_items(
        &self,
        items: Range<usize>,
        place: RowPlace,
        out: &mut [u8],
        scratch: &mut ItemScratch,
    ) -> Result<()> {
        if out.is_empty() {
            return Ok(());
        }
        let (size, made) = (self.numbers.dtype.size(), self.row_bytes());
        let stored = self.row_len() * size;
        let source = self.items_in_memory();
        let per_block = match &source {
            Some(_) if self.stages.is_single_pass() => items.len(),
            Some(_) => (BLOCK_BYTES / stored.max(made)).max(1),
            None => self.rows_per_block(stored.max(made)),
        };
        let mut start = items.start;
        for out in out.chunks_mut(per_block * made) {
            let block = start..start + out.len() / made;
            let first = (start - items.start) * self.row_len();
            start = block.end;
            let loaded = match &source {
                Some(source) => source.run(block),
                None => {
                    scratch.numbers.clear();
                    scratch.numbers.extend(block.clone());
                    let plain = self.stages.stages.is_empty();
                    let into = match plain {
                        true => &mut *out,
                        false => room(&mut scratch.loaded, block.len() * stored),
                    };
                    self.load_native(&scratch.numbers, into)
                        .map_err(|error| self.array.locate(error))?;
                    if plain {
                        continue;
                    }
                    &bytemuck::cast_slice(&scratch.loaded)[..block.len() * stored]
                }
            };
            if self.stages.stages.is_empty() {
                out.copy_from_slice(loaded);
                continue;
            }
            let place = |element| place.element(self, first + element);
            self.convert_items(loaded, place, out, &mut scratch.stages)?;
        }
        Ok(())
    }

    /// Converts items in memory, of which there is at least one byte. `place` says where one of
    /// their elements is.
    pub(super) fn convert_items(
        &self,
        items: &[u8],
        place: impl Fn(usize) -> String,
        out: &mut [u8],
        scratch: &mut Scratch,
    ) -> Result<()> {
        // All of them as one row.
        let rows: Rows<'_> = whole_rows(items, 1);
        let converted = self.run_stages(rows, Schedule::cached(&[0]), out, scratch);
        converted.map_err(|(stage, misfit): (_, Misfit)| {
            let place = place(misfit.element);
            self.array.locate(self.misfit_at(&place, stage, &misfit))
        })
    }
}
