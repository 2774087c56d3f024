//! Lists as long as a batch or a dataset: without memory for one, an error and not an abort.

use burn_npy_core::{Error, ErrorKind, Result};

/// Makes room for something about each of `rows` more rows.
///
/// # Errors
///
/// [`ErrorKind::Limit`] when the allocator refuses.
pub(crate) fn reserve<T>(list: &mut Vec<T>, rows: usize) -> Result<()> {
    list.try_reserve(rows).map_err(|_| {
        let bytes = rows as u128 * size_of::<T>() as u128;
        let message = format!("no memory for the numbers of {rows} rows ({bytes} bytes)");
        Error::new(ErrorKind::Limit, message)
    })
}

/// A list of something about each row.
///
/// # Errors
///
/// Those of [`reserve`].
pub(crate) fn list<T>(rows: impl ExactSizeIterator<Item = T>) -> Result<Vec<T>> {
    let mut list = Vec::new();
    reserve(&mut list, rows.len())?;
    list.extend(rows);
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_memory_is_enough_for_is_an_error() {
        assert_eq!(list(3..6_u8).unwrap(), [3, 4, 5]);
        let error = list((0..usize::MAX).map(|row| row as u64)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Limit);
        assert!(
            error
                .message()
                .ends_with("rows (147573952589676412920 bytes)")
        );
    }
}
