//! Rows whose parts lie apart, as in a table in Fortran layout.
//!
//! The columns of such a table are contiguous. So the rows are gathered column by column: what is
//! read of one column lies close together, and is prefetched.

#![deny(unsafe_code)]

use super::prefetch;

/// How many rows ahead of the copy memory is prefetched.
const AHEAD: usize = 24;

/// Where the pieces of rows are: a piece of row `i` begins at `start + i * stride`, where `start`
/// is its place in row 0.
#[derive(Clone, Copy)]
pub(crate) struct Pieces<'a> {
    pub(crate) bytes: &'a [u8],
    /// The distance between rows, in bytes.
    pub(crate) stride: usize,
    /// The length of a piece in bytes.
    pub(crate) len: usize,
    /// Where the pieces of row 0 begin, in the order of a gathered row.
    pub(crate) starts: &'a [usize],
}

/// Copies rows one after the other to `out`.
pub(crate) fn copy_pieces(pieces: Pieces<'_>, of: &[usize], out: &mut [u8]) {
    match pieces.len {
        0 => {}
        1 => copy_sized::<1>(pieces, of, out),
        2 => copy_sized::<2>(pieces, of, out),
        4 => copy_sized::<4>(pieces, of, out),
        8 => copy_sized::<8>(pieces, of, out),
        len => each_piece(pieces, of, |from, to| {
            out[to..][..len].copy_from_slice(&pieces.bytes[from..][..len]);
        }),
    }
}

fn copy_sized<const N: usize>(pieces: Pieces<'_>, of: &[usize], out: &mut [u8]) {
    each_piece(pieces, of, |from, to| {
        out[to..][..N].copy_from_slice(&pieces.bytes[from..][..N]);
    });
}

/// Calls `copy` with where each piece begins in memory and where it goes in the gathered rows.
#[inline(always)]
fn each_piece(pieces: Pieces<'_>, of: &[usize], mut copy: impl FnMut(usize, usize)) {
    let Pieces { stride, len, .. } = pieces;
    let row_bytes = pieces.starts.len() * len;
    let ahead = AHEAD.min(of.len());
    let near = of.len() - ahead;
    let prefetch_row = |start: usize, row: usize| {
        prefetch::<1>(pieces.bytes.as_ptr().wrapping_add(start + row * stride));
    };
    for (piece, &start) in pieces.starts.iter().enumerate() {
        let mut to = piece * len;
        for (&row, &later) in of[..near].iter().zip(&of[ahead..]) {
            prefetch_row(start, later);
            copy(start + row * stride, to);
            to += row_bytes;
        }
        // The first rows of the next piece come after the last rows.
        let next = pieces.starts.get(piece + 1).copied().unwrap_or(start);
        for (&row, &later) in of[near..].iter().zip(of) {
            prefetch_row(next, later);
            copy(start + row * stride, to);
            to += row_bytes;
        }
    }
}
