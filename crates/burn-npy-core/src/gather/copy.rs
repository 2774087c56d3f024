//! Rows that stay as they are.

#![deny(unsafe_code)]

use super::{Rows, Schedule, for_other_rows, for_short_rows, prefetch};
use crate::non_temporal;

/// Copies rows one after the other to `out`.
pub(crate) fn copy(rows: Rows<'_>, schedule: Schedule<'_>, out: &mut [u8]) {
    let of = schedule.rows;
    match rows.row_bytes {
        0 => {}
        1 => copy_sized::<1>(rows, schedule, out),
        2 => copy_sized::<2>(rows, schedule, out),
        4 => copy_sized::<4>(rows, schedule, out),
        8 => copy_sized::<8>(rows, schedule, out),
        9..=MAX_IN_PIECES if run_len(rows, of) == 1 => {
            let len = rows.row_bytes;
            let done = for_short_rows!(rows, schedule, out, len, |row, out| copy_row(row, out));
            for_other_rows(rows, schedule, done, out, len, copy_row);
        }
        _ => {
            let far = rows.far();
            let mut out = out;
            let mut at = 0;
            while at < of.len() {
                let run = run_len(rows, &of[at..]);
                for i in at..at + run {
                    schedule.prefetch(rows, i, far);
                }
                let (head, rest) = out.split_at_mut(run * rows.row_bytes);
                let from = if run == 1 {
                    rows.row(of[at])
                } else {
                    &rows.bytes[rows.first + of[at] * rows.stride..][..head.len()]
                };
                if schedule.non_temporal {
                    non_temporal::copy(from, head);
                } else {
                    head.copy_from_slice(from);
                }
                out = rest;
                at += run;
            }
            non_temporal::fence();
        }
    }
}

/// How many of the first rows follow each other in memory without a gap.
#[inline(always)]
fn run_len(rows: Rows<'_>, of: &[usize]) -> usize {
    if rows.stride != rows.row_bytes || !rows.list.is_empty() {
        return 1;
    }
    1 + of.windows(2).take_while(|w| w[0] + 1 == w[1]).count()
}

fn copy_sized<const N: usize>(rows: Rows<'_>, schedule: Schedule<'_>, out: &mut [u8]) {
    if schedule.prefetched {
        for (out, &row) in out.as_chunks_mut::<N>().0.iter_mut().zip(schedule.rows) {
            out.copy_from_slice(rows.row(row));
        }
        return;
    }
    let done = for_short_rows!(rows, schedule, out, N, |row, out| out.copy_from_slice(row));
    for_other_rows(rows, schedule, done, out, N, |row, out| {
        out.copy_from_slice(row)
    });
}

/// The longest row that is copied in two pieces of a fixed length, which may overlap. That is
/// faster than to call a function that branches on the length.
const MAX_IN_PIECES: usize = 128;

#[inline(always)]
fn copy_row(row: &[u8], out: &mut [u8]) {
    #[inline(always)]
    fn pieces<const N: usize>(row: &[u8], out: &mut [u8]) {
        let last = row.len() - N;
        let (head, tail): ([u8; N], [u8; N]) = (
            row[..N].try_into().expect("N bytes"),
            row[last..].try_into().expect("N bytes"),
        );
        out[..N].copy_from_slice(&head);
        out[last..].copy_from_slice(&tail);
    }
    match row.len() {
        0..8 => out.copy_from_slice(row),
        8..16 => pieces::<8>(row, out),
        16..32 => pieces::<16>(row, out),
        32..64 => pieces::<32>(row, out),
        64..=MAX_IN_PIECES => pieces::<64>(row, out),
        _ => out.copy_from_slice(row),
    }
}
