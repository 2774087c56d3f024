//! Rows of bytes whose elements are looked up.

#![deny(unsafe_code)]

use bytemuck::Pod;

use super::convert::{other_rows, stream_tiles};
use super::{Rows, Wanted};
use crate::table::{BYTES, Table};

/// Looks up every byte of the rows; `out` is of the table's dtype.
pub(super) fn lookup(rows: Rows<'_>, wanted: Wanted<'_>, table: &Table, out: &mut [u8]) {
    match table.values.len() / BYTES {
        1 => lookup_sized::<u8>(rows, wanted, table, out),
        2 => lookup_sized::<u16>(rows, wanted, table, out),
        4 => lookup_sized::<u32>(rows, wanted, table, out),
        _ => lookup_sized::<u64>(rows, wanted, table, out),
    }
}

/// The same for values of the size of `T`.
fn lookup_sized<T: Pod>(rows: Rows<'_>, wanted: Wanted<'_>, table: &Table, out: &mut [u8]) {
    // A copy that is aligned, and as long as the compiler knows a byte to reach.
    let mut values = [T::zeroed(); BYTES];
    bytemuck::cast_slice_mut(&mut values).copy_from_slice(&table.values);
    let row = |row: &[u8], out: &mut [T]| {
        for (out, byte) in out.iter_mut().zip(row) {
            *out = values[usize::from(*byte)];
        }
    };
    let out = bytemuck::cast_slice_mut(out);
    if wanted.past_caches {
        stream_tiles(rows, wanted, out, rows.row_bytes, &row);
    } else {
        other_rows(rows, wanted, 0, out, rows.row_bytes, &row);
    }
}
