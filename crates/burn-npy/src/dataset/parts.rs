//! The parts of a row that become columns.

use std::ops::Range;

use sealed::{NamedPart, NamedParts};

/// A part of each row that becomes a column, for
/// [`split_column`](crate::NpyDataset::split_column).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Part {
    /// A range along the first axis of a row. The axis is kept.
    Range(Range<usize>),
    /// One index along the first axis of a row. The axis is removed.
    Index(usize),
}

impl From<Range<usize>> for Part {
    fn from(range: Range<usize>) -> Self {
        Self::Range(range)
    }
}

impl From<usize> for Part {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}

/// Pairs of the name of a column and the [`Part`] that it is, for
/// [`split_column`](crate::NpyDataset::split_column): a tuple of up to twelve of them, an array or
/// a `Vec`. A part is a range, an index or a `Part`. In an array or a `Vec`, all parts are of one
/// type.
///
/// The trait cannot be implemented elsewhere.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no list of named parts of a row",
    label = "no parts of a row",
    note = "give a tuple of pairs, such as `((\"features\", 0..9), (\"label\", 9))`; a single \
            pair is `[(\"features\", 0..9)]`"
)]
pub trait Parts: NamedParts {}

pub(crate) mod sealed {
    use super::Part;

    pub trait NamedParts {
        fn into_parts(self) -> Vec<(String, Part)>;
    }

    pub trait NamedPart {
        fn into_part(self) -> (String, Part);
    }
}

impl<N: Into<String>, P: Into<Part>> NamedPart for (N, P) {
    fn into_part(self) -> (String, Part) {
        (self.0.into(), self.1.into())
    }
}

impl<A: NamedPart, const LEN: usize> Parts for [A; LEN] {}
impl<A: NamedPart, const LEN: usize> NamedParts for [A; LEN] {
    fn into_parts(self) -> Vec<(String, Part)> {
        self.into_iter().map(NamedPart::into_part).collect()
    }
}

impl<A: NamedPart> Parts for Vec<A> {}
impl<A: NamedPart> NamedParts for Vec<A> {
    fn into_parts(self) -> Vec<(String, Part)> {
        self.into_iter().map(NamedPart::into_part).collect()
    }
}

macro_rules! tuples {
    ($($part:ident)*) => {
        impl<$($part: NamedPart),*> Parts for ($($part,)*) {}
        impl<$($part: NamedPart),*> NamedParts for ($($part,)*) {
            fn into_parts(self) -> Vec<(String, Part)> {
                #[allow(non_snake_case)]
                let ($($part,)*) = self;
                vec![$($part.into_part()),*]
            }
        }
    };
}

tuples! { A }
tuples! { A B }
tuples! { A B C }
tuples! { A B C D }
tuples! { A B C D E }
tuples! { A B C D E F }
tuples! { A B C D E F G }
tuples! { A B C D E F G H }
tuples! { A B C D E F G H I }
tuples! { A B C D E F G H I J }
tuples! { A B C D E F G H I J K }
tuples! { A B C D E F G H I J K L }

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(parts: impl Parts) -> Vec<(String, Part)> {
        parts.into_parts()
    }

    #[test]
    fn ranges_and_indices_are_parts_as_they_are() {
        let range = |name: &str, range| (name.to_owned(), Part::Range(range));
        let index = |name: &str, index| (name.to_owned(), Part::Index(index));
        let mixed = [range("a", 0..9), index("b", 9)];
        assert_eq!(parts((("a", 0..9), ("b", 9))), mixed);
        assert_eq!(
            parts((("a".to_owned(), 0..9), ("b", Part::Index(9)))),
            mixed
        );
        assert_eq!(
            parts([("a", Part::Range(0..9)), ("b", Part::Index(9))]),
            mixed
        );
        assert_eq!(parts(Vec::from(mixed.clone())), mixed);
        assert_eq!(
            parts([("a", 0..2), ("b", 2..4)]),
            [range("a", 0..2), range("b", 2..4)]
        );
        assert_eq!(parts([("a", 1), ("b", 0)]), [index("a", 1), index("b", 0)]);
        assert_eq!(parts((("a", 1),)), [index("a", 1)]);
        let columns = ["x", "y"].into_iter().zip(0_usize..);
        assert_eq!(
            parts(Vec::from_iter(columns)),
            [index("x", 0), index("y", 1)]
        );
    }
}
