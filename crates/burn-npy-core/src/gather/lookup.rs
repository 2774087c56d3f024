//! Rows of bytes whose elements are looked up.

#![deny(unsafe_code)]

use bytemuck::Pod;

use super::convert::{other_rows, stream_tiles};
use super::{Rows, Schedule};
use crate::table::{BYTES, Table};

/// Looks up every byte of the rows; `out` is of the table's dtype.
pub(super) fn lookup(rows: Rows<'_>, schedule: Schedule<'_>, table: &Table, out: &mut [u8]) {
    match table.values.len() / BYTES {
        1 => lookup_sized::<u8>(rows, schedule, table, out),
        2 => lookup_sized::<u16>(rows, schedule, table, out),
        4 => lookup_sized::<u32>(rows, schedule, table, out),
        _ => lookup_sized::<u64>(rows, schedule, table, out),
    }
}

/// Looks up values of the size of `T`.
fn lookup_sized<T: Pod>(rows: Rows<'_>, schedule: Schedule<'_>, table: &Table, out: &mut [u8]) {
    // A copy that is aligned, and so long that no byte needs a check of its bounds.
    let mut values = [T::zeroed(); BYTES];
    bytemuck::cast_slice_mut(&mut values).copy_from_slice(&table.values);
    let row = |row: &[u8], out: &mut [u8]| {
        let out: &mut [T] = bytemuck::cast_slice_mut(out);
        for (out, byte) in out.iter_mut().zip(row) {
            *out = values[usize::from(*byte)];
        }
    };
    let sizes = [1, size_of::<T>()];
    if schedule.non_temporal {
        stream_tiles(rows, schedule, out, sizes, &row);
    } else {
        other_rows(rows, schedule, 0, out, sizes, &row);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Buffer, DType};

    #[test]
    fn each_byte_is_looked_up_in_and_past_the_caches() {
        let bytes: Vec<u8> = (0..40_000_usize).map(|i| (i * i / 7) as u8).collect();
        for to in [DType::U8, DType::BF16, DType::F32, DType::I64] {
            let table = Table::new(DType::F8E3M4, to).unwrap();
            let size = to.size();
            for (row_bytes, of) in [(1, [7, 0, 9]), (13, [2, 2, 1]), (9001, [3, 0, 1])] {
                let rows = Rows {
                    bytes: &bytes,
                    first: 5,
                    stride: row_bytes,
                    row_bytes,
                    list: &[],
                    made: None,
                };
                let stored = of.iter().flat_map(|row| rows.row(*row));
                let expected: Vec<u8> = stored
                    .flat_map(|byte| &table.values[usize::from(*byte) * size..][..size])
                    .copied()
                    .collect();
                for non_temporal in [false, true] {
                    let schedule = Schedule {
                        non_temporal,
                        ..Schedule::cached(&of)
                    };
                    let mut out = Buffer::zeroed(expected.len()).unwrap();
                    lookup(rows, schedule, &table, out.as_mut_slice());
                    assert!(
                        out.as_slice() == expected,
                        "{to} {row_bytes} {non_temporal}"
                    );
                }
            }
        }
    }
}
