//! The natural order of paths: `shard_2` comes before `shard_10`.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};

/// Sorts paths. Names are compared folder by folder, and in a name character by character, but a
/// run of digits is one number. Where that finds no difference, as in `1` and `01`, the bytes
/// decide, so that the order does not depend on the file system.
pub fn sort(paths: &mut [PathBuf]) {
    paths.sort_by(|a, b| compare(a, b).then_with(|| a.cmp(b)));
}

fn compare(a: &Path, b: &Path) -> Ordering {
    let names = a.iter().zip(b.iter());
    let names = names.map(|(a, b)| (a.as_encoded_bytes(), b.as_encoded_bytes()));
    let mut different = names
        .map(|(a, b)| compare_names(a, b))
        .filter(|order| order.is_ne());
    let shorter = || a.iter().count().cmp(&b.iter().count());
    different.next().unwrap_or_else(shorter)
}

fn compare_names(mut a: &[u8], mut b: &[u8]) -> Ordering {
    while let ([first_a, rest_a @ ..], [first_b, rest_b @ ..]) = (a, b) {
        let order = if first_a.is_ascii_digit() && first_b.is_ascii_digit() {
            let (number_a, number_b) = (split_number(&mut a), split_number(&mut b));
            // Of numbers of any length, the one with more digits is larger.
            let by_len = number_a.len().cmp(&number_b.len());
            by_len.then_with(|| number_a.cmp(number_b))
        } else {
            (a, b) = (rest_a, rest_b);
            first_a.cmp(first_b)
        };
        if order.is_ne() {
            return order;
        }
    }
    a.len().cmp(&b.len())
}

/// Takes the digits at the start of a name, and gives them without leading zeros.
fn split_number<'a>(name: &mut &'a [u8]) -> &'a [u8] {
    let len = name.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (number, rest) = name.split_at(len);
    *name = rest;
    let zeros = number.iter().take_while(|digit| **digit == b'0').count();
    &number[zeros..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_names_are_numbers() {
        let expected = [
            "a",
            "a/1",
            "a/2/x",
            "a/10/b",
            "a/10/c",
            "a.npy",
            "a001",
            "a01",
            "a1",
            "a2",
            "a2.npy",
            "a02b",
            "a10",
            "a10b1",
            "a10b2",
            "a10b11",
            "a18446744073709551616",
            "a18446744073709551617",
            "b",
            "\u{e9}1",
            "\u{e9}2",
            "\u{e9}10",
        ];
        let mut paths: Vec<PathBuf> = expected.iter().map(PathBuf::from).collect();
        for step in [1, 5, 13] {
            // Any order gives the same one.
            let mut shuffled: Vec<_> = (0..paths.len())
                .map(|i| paths[(i * step + 3) % expected.len()].clone())
                .collect();
            sort(&mut shuffled);
            assert_eq!(
                shuffled
                    .iter()
                    .map(|path| path.to_str().unwrap())
                    .collect::<Vec<_>>(),
                expected
            );
            paths = shuffled;
        }
    }
}
