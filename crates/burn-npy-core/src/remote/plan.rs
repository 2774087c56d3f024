//! Which requests fetch some ranges of a file.

use std::ops::Range;

/// Bytes of a file that one request fetches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) range: Range<u64>,
    /// How many of them will be read; the others lie between those.
    pub(super) needed: u64,
}

/// The pieces that have some ranges, disjoint and in the order of the ranges. Ranges that are at
/// most `near` bytes apart share a piece, and a piece has at most `most` bytes.
pub(super) fn pieces(ranges: &[Range<u64>], near: u64, most: u64) -> Vec<Piece> {
    let filled = ranges.iter().enumerate().filter(|(_, of)| !of.is_empty());
    let mut sorted: Vec<_> = filled.collect();
    sorted.sort_unstable_by_key(|(_, range)| range.start);
    // The first of the ranges in a piece, and the piece.
    let mut pieces: Vec<(usize, Piece)> = Vec::with_capacity(sorted.len());
    for (index, range) in sorted {
        let covered = pieces.last().map_or(0, |(_, piece)| piece.range.end);
        for (first, piece) in pieces.iter_mut().rev() {
            if piece.range.end <= range.start {
                break;
            }
            *first = index.min(*first);
        }
        let mut start = range.start.max(covered);
        while start < range.end {
            match pieces.last_mut() {
                Some((first, last))
                    if start - last.range.end <= near && start - last.range.start < most =>
                {
                    let end = range.end.min(last.range.start.saturating_add(most));
                    last.range.end = end;
                    last.needed += end - start;
                    *first = index.min(*first);
                    start = end;
                }
                _ => {
                    let end = range.end.min(start.saturating_add(most));
                    let piece = Piece {
                        range: start..end,
                        needed: end - start,
                    };
                    pieces.push((index, piece));
                    start = end;
                }
            }
        }
    }
    // Stable, so that the pieces of a range stay in order.
    pieces.sort_by_key(|(first, _)| *first);
    pieces.into_iter().map(|(_, piece)| piece).collect()
}

/// Finds reads that follow one another, which nobody announces.
#[derive(Debug, Default)]
pub(super) struct Streams(Vec<Stream>);

#[derive(Debug)]
struct Stream {
    /// Where its last read ended.
    end: u64,
    /// How far ahead of it the file should be fetched.
    ahead: u64,
    /// Up to where that has begun.
    until: u64,
}

impl Streams {
    /// What should be fetched with a read, because it follows another: at first twice the read,
    /// and each time twice as much, up to `most` bytes. The next is due when half of it is read. Of
    /// those who read the file in order at the same time, `count` are remembered.
    pub(super) fn advance(
        &mut self,
        read: &Range<u64>,
        most: u64,
        count: usize,
    ) -> Option<Range<u64>> {
        let known = self.0.iter().position(|stream| stream.end == read.start);
        let Some(known) = known else {
            if self.0.len() >= count.max(1) {
                self.0.remove(0);
            }
            self.0.push(Stream {
                end: read.end,
                ahead: 0,
                until: read.end,
            });
            return None;
        };
        // The last one was used last.
        let mut stream = self.0.remove(known);
        let len = read.end - read.start;
        stream.end = read.end;
        stream.ahead = (2 * stream.ahead.max(len)).min(most);
        let due = stream.until < read.end.saturating_add(stream.ahead / 2);
        let from = stream.until.max(read.end);
        if due {
            stream.until = read.end.saturating_add(stream.ahead);
        }
        let until = stream.until;
        self.0.push(stream);
        (due && from < until).then_some(from..until)
    }
}

#[cfg(test)]
#[allow(clippy::single_range_in_vec_init, reason = "one range is meant")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ranges(pieces: &[Piece]) -> Vec<Range<u64>> {
        pieces.iter().map(|piece| piece.range.clone()).collect()
    }

    #[test]
    fn near_ranges_share_a_piece_and_long_ones_are_split() {
        let of = |of: &[Range<u64>]| ranges(&pieces(of, 4, 100));
        assert_eq!(of(&[0..10, 14..20]), [0..20]);
        assert_eq!(of(&[0..10, 15..20]), [0..10, 15..20]);
        // In the order in which they are given, if they are apart.
        assert_eq!(of(&[500..510, 0..10, 509..520]), [500..520, 0..10]);
        assert_eq!(of(&[0..250]), [0..100, 100..200, 200..250]);
        assert_eq!(of(&[0..98, 101..103]), [0..98, 101..103]);
        assert_eq!(of(&[0..97, 99..103]), [0..100, 100..103]);
        assert_eq!(of(&[3..3, 9..9]), []);
        assert_eq!(of(&[u64::MAX - 1..u64::MAX]), [u64::MAX - 1..u64::MAX]);
        let needed: u64 = pieces(&[0..10, 12..20, 5..15], 4, 100)[0].needed;
        assert_eq!(needed, 20);
    }

    proptest! {
        #[test]
        fn pieces_have_each_byte_once(
            ranges in prop::collection::vec((0_u64..300, 0_u64..60), 0..20),
            near in 0_u64..20,
            most in 1_u64..70,
        ) {
            let ranges: Vec<_> = ranges.iter().map(|(start, len)| *start..start + len).collect();
            let mut fetched = [0; 400];
            let pieces = pieces(&ranges, near, most);
            for Piece { range, needed } in &pieces {
                let is_needed = |at: &u64| ranges.iter().any(|range| range.contains(at));
                prop_assert!(range.start < range.end && range.end - range.start <= most);
                prop_assert_eq!(range.clone().filter(is_needed).count() as u64, *needed);
                prop_assert!(is_needed(&range.start) && is_needed(&(range.end - 1)));
                range.clone().for_each(|at| fetched[at as usize] += 1);
            }
            for at in ranges.iter().flat_map(Clone::clone) {
                prop_assert_eq!(fetched[at as usize], 1);
            }
            prop_assert!(fetched.iter().all(|times| *times <= 1));
            // The first range is fetched first.
            let first = ranges.iter().find(|range| !range.is_empty());
            if let (Some(first), Some(piece)) = (first, pieces.first()) {
                prop_assert!(piece.range.start < first.end && first.start < piece.range.end);
            }
        }
    }

    #[test]
    fn reads_that_follow_one_another_are_a_stream() {
        let mut streams = Streams::default();
        let mut read = |start: u64| streams.advance(&(start..start + 10), 100, 3);
        assert_eq!(read(0), None);
        assert_eq!(read(10), Some(20..40));
        // Twice as much, and what has begun is not begun again.
        assert_eq!(read(20), Some(40..70));
        // Another stream, and reads here and there.
        assert_eq!(read(1000), None);
        assert_eq!(read(5000), None);
        assert_eq!(read(1010), Some(1020..1040));
        assert_eq!(read(30), Some(70..120));
        assert_eq!(read(40), None);
        assert_eq!(read(50), None);
        assert_eq!(read(60), None);
        assert_eq!(read(70), Some(120..180));
    }
}
