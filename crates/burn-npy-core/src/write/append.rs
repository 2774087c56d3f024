//! Appends rows to a file.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::Path;

use ndarray::{ArrayBase, Axis, Data, Dimension};

use crate::array::swap_bytes;
use crate::format::header::{self, Header, MAGIC, MAX_HEADER_LEN, Prefix};
use crate::format::item::ItemKind;
use crate::format::magic;
use crate::write::atomic_file::{AtomicFile, open_existing};
use crate::write::fill;
use crate::{ByteOrder, Element, Error, ErrorKind, Layout, Result, WriteElement, write_npy};

/// Appends the rows of an array to a `.npy` file. The file is created if it does not exist.
///
/// The rows are written after the data, and they are on the disk before the header counts them. So
/// a crash leaves either the old rows or all rows, and the old rows are not copied. Bytes that
/// follow the data are lost. Only if the new number of rows does not fit into the header, the whole
/// file is replaced by a new one, as [`write_npy`] does it. A program that has the file open gets
/// [`ErrorKind::Changed`]. There is no lock: two programs must not append at the same time.
///
/// # Errors
///
/// [`ErrorKind::Dtype`] if the file has items of another type; [`ErrorKind::Shape`] if its rows
/// have another shape; [`ErrorKind::Usage`] if it is in Fortran layout, where rows cannot be
/// appended, or if another array follows in the file, which would be lost; those of
/// [`Array::open`](crate::Array::open) and [`write_npy`].
///
/// After an error, such as that of a full disk, the file has its old rows, so the call can be
/// repeated. There are two exceptions, which the message names. If the file could not be put back,
/// look at its number of rows first. If the message says that the rows were added, a crash of the
/// machine may undo that; this only happens where a new file took the place of the old one.
///
/// # Example
///
/// ```
/// # extern crate burn_npy_core as burn_npy;
/// use burn_npy::{Array, file::append_npy};
/// use ndarray::array;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("scores.npy");
/// append_npy(&path, &array![[0.5_f32, 0.25]])?;
/// append_npy(&path, &array![[1.0_f32, 2.0], [3.0, 4.0]])?;
/// assert_eq!(Array::open(&path)?.shape(), [3, 2]);
/// # Ok(())
/// # }
/// ```
pub fn append_npy<T, S, D>(path: impl AsRef<Path>, rows: &ArrayBase<S, D>) -> Result<()>
where
    T: WriteElement,
    S: Data<Elem = T>,
    D: Dimension,
{
    let path = path.as_ref();
    let append = || match open_existing(path, File::options().read(true).write(true))? {
        Some(file) => append_to(path, file, rows),
        None => create(path, rows),
    };
    append().map_err(|error| error.in_file(path))
}

fn append_to<T, S, D>(path: &Path, mut file: File, rows: &ArrayBase<S, D>) -> Result<()>
where
    T: WriteElement,
    S: Data<Elem = T>,
    D: Dimension,
{
    let (old, header) = read_header(&mut file)?;
    check::<T>(&header, rows.shape())?;
    let mut shape = header.shape().to_vec();
    shape[0] = shape[0]
        .checked_add(rows.len_of(Axis(0)))
        .ok_or_else(|| Error::new(ErrorKind::Overflow, "more rows than can be counted"))?;
    header::checked_nbytes(&shape, header.item().size())?;
    let end = (header.data_offset() + header.nbytes()) as u64;
    if is_array_at(&mut file, end).map_err(|error| Error::io("cannot read the file", error))? {
        return Err(Error::new(
            ErrorKind::Usage,
            "another array follows in the file",
        ));
    }
    let swap = match header.item().kind() {
        ItemKind::Number(_, order) => *order != ByteOrder::NATIVE,
        _ => false,
    };
    let write = |out: &mut BufWriter<&mut File>| write_rows(rows, swap, out);
    match header::with_shape(&old, &shape) {
        Some(new) => in_place(&mut file, &old, &new, end, write, File::sync_all),
        None => {
            let descr = format!("'{}'", header.item());
            let head = header::encode(&descr, Layout::C, &shape);
            anew(
                path,
                &mut file,
                &head,
                header.data_offset() as u64..end,
                write,
            )
        }
    }
}

/// Creates the file in C layout, so that rows can be appended later.
fn create<T, S, D>(path: &Path, rows: &ArrayBase<S, D>) -> Result<()>
where
    T: WriteElement,
    S: Data<Elem = T>,
    D: Dimension,
{
    if rows.ndim() == 0 {
        return Err(no_rows());
    }
    let elements = rows.iter().cloned().collect();
    let rows = ndarray::ArrayD::from_shape_vec(rows.shape(), elements)
        .map_err(|error| Error::new(ErrorKind::Shape, error.to_string()))?;
    write_npy(path, &rows)
}

/// Whether another array starts at this offset. `np.save` can write several to one file.
fn is_array_at(file: &mut File, at: u64) -> io::Result<bool> {
    file.seek(SeekFrom::Start(at))?;
    let mut magic = Vec::new();
    file.take(MAGIC.len() as u64).read_to_end(&mut magic)?;
    Ok(magic == MAGIC)
}

fn no_rows() -> Error {
    Error::new(
        ErrorKind::Shape,
        "an array without axes has no rows to append",
    )
}

/// Reads the bytes of the header, and parses them.
fn read_header(file: &mut File) -> Result<(Vec<u8>, Header)> {
    let io = |error| Error::io("cannot read the file", error);
    let len = file.metadata().map_err(io)?.len();
    let mut head = Vec::new();
    file.take(Prefix::MAX_LEN as u64)
        .read_to_end(&mut head)
        .map_err(io)?;
    let prefix = match Prefix::parse(&head, len, MAX_HEADER_LEN) {
        Err(error) if error.kind() == ErrorKind::Magic => {
            let more = (magic::LOOKED_AT - Prefix::MAX_LEN) as u64;
            file.take(more).read_to_end(&mut head).map_err(io)?;
            return Err(magic::begins_otherwise(".npy file", &head, len));
        }
        prefix => prefix?,
    };
    let more = prefix.data_offset.saturating_sub(head.len());
    file.take(more as u64).read_to_end(&mut head).map_err(io)?;
    head.truncate(prefix.data_offset);
    let header = Header::parse_after(&prefix, &head)?;
    header.check_len(len)?;
    Ok((head, header))
}

fn check<T: Element>(header: &Header, rows: &[usize]) -> Result<()> {
    let found = header.item();
    let plain = matches!(found.kind(), ItemKind::Number(dtype, _) if *dtype == T::DTYPE);
    // Types that NumPy does not know are opaque in the file.
    let opaque = found.to_string() == T::DTYPE.descr(ByteOrder::NATIVE);
    if !plain && !opaque {
        return Err(Error::new(
            ErrorKind::Dtype,
            format!("the file has items of {found}, the rows {}", T::DTYPE),
        ));
    }
    if rows.is_empty() {
        return Err(no_rows());
    }
    let (shape, new) = (header.shape(), &rows[1..]);
    if shape.get(1..) != Some(new) {
        return Err(Error::new(
            ErrorKind::Shape,
            format!("an array of shape {shape:?} has no rows of shape {new:?}"),
        ));
    }
    let long_axes = shape.iter().filter(|len| **len != 1).count();
    if header.layout() == Layout::Fortran && long_axes > 1 {
        return Err(Error::new(
            ErrorKind::Usage,
            "the file is in Fortran layout, where rows cannot be appended",
        ));
    }
    Ok(())
}

/// Writes rows at the end of the data, and then the header that counts them. If that fails, the old
/// header and the old end are restored.
fn in_place(
    file: &mut File,
    old: &[u8],
    new: &[u8],
    end: u64,
    rows: impl FnOnce(&mut BufWriter<&mut File>) -> io::Result<()>,
    sync: impl Fn(&File) -> io::Result<()>,
) -> Result<()> {
    let add = |file: &mut File| {
        file.seek(SeekFrom::Start(end))?;
        fill(file, rows)?;
        let end = file.stream_position()?;
        file.set_len(end)?;
        sync(file)?;
        write_header(file, new)?;
        sync(file)
    };
    let Err(error) = add(file) else {
        return Ok(());
    };
    match put_back(file, old, end, &sync) {
        Ok(()) => Err(Error::io("the rows were not added", error)),
        Err(why) => Err(Error::io(
            &format!(
                "the rows could not be written, and the file could not be put back ({why}): look \
                 at its number of rows before you append them again"
            ),
            error,
        )),
    }
}

fn put_back(
    file: &mut File,
    header: &[u8],
    end: u64,
    sync: impl Fn(&File) -> io::Result<()>,
) -> io::Result<()> {
    let mut found = vec![0; header.len()];
    file.seek(SeekFrom::Start(0))?;
    file.read_exact(&mut found)?;
    if found != header {
        write_header(file, header)?;
        // Only then may the rows go, or a crash could leave a header that counts them.
        sync(file)?;
    }
    file.set_len(end)
}

fn write_header(file: &mut File, header: &[u8]) -> io::Result<()> {
    file.seek(SeekFrom::Start(0))?;
    file.write_all(header)
}

/// Writes the old rows and the new ones to a new file, which takes the place of the old one.
fn anew(
    path: &Path,
    file: &mut File,
    head: &[u8],
    data: Range<u64>,
    rows: impl FnOnce(&mut BufWriter<&mut File>) -> io::Result<()>,
) -> Result<()> {
    let mut anew = AtomicFile::new(path)?;
    let write = |out: &mut BufWriter<&mut File>| {
        out.write_all(head)?;
        file.seek(SeekFrom::Start(data.start))?;
        let len = data.end - data.start;
        if io::copy(&mut file.take(len), out)? != len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        rows(out)
    };
    fill(anew.file(), write).map_err(|error| Error::io("the rows were not added", error))?;
    anew.commit("the rows were added")
}

/// Writes the elements in C order and in the byte order of the file.
fn write_rows<T, S, D>(
    rows: &ArrayBase<S, D>,
    swap: bool,
    out: &mut BufWriter<&mut File>,
) -> io::Result<()>
where
    T: Element,
    S: Data<Elem = T>,
    D: Dimension,
{
    match rows.as_slice().filter(|_| !swap) {
        Some(elements) => out.write_all(bytemuck::cast_slice(elements)),
        None => rows.iter().try_for_each(|element| {
            let mut bytes = [0; 8];
            let bytes = &mut bytes[..size_of::<T>()];
            bytes.copy_from_slice(bytemuck::bytes_of(element));
            if swap {
                swap_bytes(bytes, size_of::<T>());
            }
            out.write_all(bytes)
        }),
    }
}

#[cfg(test)]
mod tests {
    use half::bf16;
    use ndarray::{Array1, Array2, array};

    use super::*;
    use crate::{Array, DType};

    #[test]
    fn rows_follow_rows() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.npy");
        let all = Array2::from_shape_fn((7, 3), |(i, j)| (i * 3 + j) as f32);
        append_npy(&path, &all.slice(ndarray::s![..1, ..])).unwrap();
        let old = Array::open(&path).unwrap();
        append_npy(&path, &all.slice(ndarray::s![1..1, ..])).unwrap();
        append_npy(&path, &all.slice(ndarray::s![1..5, ..])).unwrap();
        // Rows of another layout in memory.
        let rest = all.slice(ndarray::s![5.., ..]);
        let rest = rest.t().as_standard_layout().into_owned().reversed_axes();
        append_npy(&path, &rest).unwrap();
        assert_eq!(
            Array::open(&path).unwrap().read::<f32>().unwrap(),
            all.into_dyn()
        );
        assert_eq!(old.read::<f32>().unwrap_err().kind(), ErrorKind::Changed);
    }

    #[test]
    fn the_byte_order_and_what_follows_the_data_are_seen_to() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.npy");
        let mut bytes = header::encode("'>i2'", Layout::Fortran, &[2]);
        bytes.extend([0, 1, 0, 2, 99, 99, 99, 99, 99, 99]);
        std::fs::write(&path, bytes).unwrap();
        append_npy(&path, &array![3_i16]).unwrap();
        let array = Array::open(&path).unwrap();
        assert_eq!(array.byte_order(), ByteOrder::Big);
        assert_eq!(array.read::<i16>().unwrap(), array![1, 2, 3].into_dyn());
        assert_eq!(std::fs::metadata(&path).unwrap().len() as usize, 128 + 6);
    }

    #[test]
    fn a_header_without_room_is_written_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.npy");
        let text = "{'descr':'|u1','fortran_order':False,'shape':(9,)}";
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((text.len() as u16).to_le_bytes());
        bytes.extend(text.bytes().chain(0..9));
        std::fs::write(&path, bytes).unwrap();
        append_npy(&path, &Array1::from_iter(9..20_u8)).unwrap();
        let array = Array::open(&path).unwrap();
        assert_eq!(
            array.read::<u8>().unwrap(),
            Array1::from_iter(0..20_u8).into_dyn()
        );
        assert_eq!(array.data_offset(), 128);
    }

    #[test]
    fn a_file_of_one_row_in_fortran_layout_becomes_one_in_c_layout() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.npy");
        let mut bytes = header::encode("'|u1'", Layout::Fortran, &[1, 3]);
        bytes.extend([1, 2, 3]);
        std::fs::write(&path, bytes).unwrap();
        append_npy(&path, &array![[4_u8, 5, 6]]).unwrap();
        append_npy(&path, &array![[7_u8, 8, 9]]).unwrap();
        assert_eq!(
            Array::open(&path).unwrap().read::<u8>().unwrap(),
            array![[1, 2, 3], [4, 5, 6], [7, 8, 9]].into_dyn()
        );
    }

    #[test]
    fn an_array_that_follows_is_not_lost() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.npy");
        let mut bytes = header::encode("'|u1'", Layout::C, &[3]);
        bytes.extend([1, 2, 3]);
        bytes.extend(bytes.clone());
        std::fs::write(&path, &bytes).unwrap();
        let error = append_npy(&path, &array![4_u8]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
    }

    #[cfg(unix)]
    #[test]
    fn what_is_written_anew_is_where_it_was_and_as_private() {
        use std::os::unix::fs::{PermissionsExt, symlink};

        let dir = tempfile::tempdir().unwrap();
        let (path, link) = (dir.path().join("x.npy"), dir.path().join("link.npy"));
        let text = "{'descr':'|u1','fortran_order':False,'shape':(9,)}";
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((text.len() as u16).to_le_bytes());
        bytes.extend(text.bytes().chain(0..9));
        std::fs::write(&path, bytes).unwrap();
        let mode = |mode| std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(&path, mode(0o600)).unwrap();
        symlink("x.npy", &link).unwrap();
        append_npy(&link, &Array1::from_iter(9..20_u8)).unwrap();
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(Array::open(&path).unwrap().shape(), [20]);
    }

    #[cfg(unix)]
    #[test]
    fn a_device_is_no_file_to_append_to() {
        let error = append_npy("/dev/zero", &array![1_u8]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
        assert!(error.to_string().contains("a device, and only"), "{error}");
    }

    /// Appends 100 rows to one, while the calls of `sync` with these numbers fail.
    fn append_with_failures(path: &Path, failures: &[usize]) -> Result<()> {
        let mut file = File::options().read(true).write(true).open(path).unwrap();
        let (old, header) = read_header(&mut file).unwrap();
        let new = header::with_shape(&old, &[101]).unwrap();
        let end = (header.data_offset() + header.nbytes()) as u64;
        let rows = Array1::from_iter(1..101_u8);
        let calls = std::cell::Cell::new(0);
        let sync = |_: &File| {
            calls.set(calls.get() + 1);
            if failures.contains(&calls.get()) {
                return Err(io::Error::other("a test"));
            }
            Ok(())
        };
        let write = |out: &mut BufWriter<&mut File>| write_rows(&rows, false, out);
        in_place(&mut file, &old, &new, end, write, sync)
    }

    #[test]
    fn a_failed_sync_leaves_the_old_rows() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.npy");
        let all = Array1::from_iter(0..101_u8).into_dyn();
        // The rows; the header; the header, and then the header that is put back.
        for failures in [&[1][..], &[2], &[2, 3]] {
            write_npy(&path, &array![0_u8]).unwrap();
            let before = std::fs::read(&path).unwrap();
            let error = append_with_failures(&path, failures).unwrap_err();
            if failures.len() == 1 {
                assert_eq!(error.message(), "the rows were not added");
                assert_eq!(std::fs::read(&path).unwrap(), before);
            } else {
                // The header on the disk may count the rows, so they must stay.
                assert!(
                    error.message().contains("look at its number of rows"),
                    "{error}"
                );
                assert_eq!(std::fs::metadata(&path).unwrap().len(), 128 + 101);
            }
            assert_eq!(Array::open(&path).unwrap().shape(), [1]);
            append_with_failures(&path, &[]).unwrap();
            let found = Array::open(&path).unwrap().read::<u8>().unwrap();
            assert_eq!(found, all);
        }
    }

    #[test]
    fn rows_that_cannot_be_written_leave_the_old_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.npy");
        write_npy(&path, &array![0_u8]).unwrap();
        let before = std::fs::read(&path).unwrap();
        let mut file = File::options().read(true).write(true).open(&path).unwrap();
        let (old, _) = read_header(&mut file).unwrap();
        let write = |out: &mut BufWriter<&mut File>| {
            out.write_all(&[1; 100_000])?;
            Err(io::ErrorKind::StorageFull.into())
        };
        let error = in_place(&mut file, &old, &old, 129, write, File::sync_all).unwrap_err();
        assert_eq!(error.message(), "the rows were not added");
        let kind = error.io_error().map(io::Error::kind);
        assert_eq!(kind, Some(io::ErrorKind::StorageFull));
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }

    #[test]
    fn opaque_items_take_what_was_written_as_such() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.npy");
        append_npy(&path, &array![bf16::ONE]).unwrap();
        append_npy(&path, &array![bf16::MAX]).unwrap();
        let array = Array::open(&path)
            .unwrap()
            .reinterpret(DType::BF16)
            .unwrap();
        assert_eq!(
            array.read::<bf16>().unwrap(),
            array![bf16::ONE, bf16::MAX].into_dyn()
        );
        let error = append_npy(&path, &array![half::f16::ONE]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Dtype);
    }

    #[test]
    fn what_does_not_fit_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.npy");
        write_npy(&path, &Array2::<f32>::zeros((2, 3)).reversed_axes()).unwrap();
        let before = std::fs::read(&path).unwrap();
        let kind = |result: Result<()>| result.unwrap_err().kind();
        let fortran = append_npy(&path, &Array2::<f32>::zeros((1, 2)));
        assert_eq!(kind(fortran), ErrorKind::Usage);
        let narrow = append_npy(&path, &Array2::<f32>::zeros((1, 3)));
        assert_eq!(kind(narrow), ErrorKind::Shape);
        let doubles = append_npy(&path, &Array2::<f64>::zeros((1, 2)));
        assert_eq!(kind(doubles), ErrorKind::Dtype);
        assert_eq!(
            kind(append_npy(&path, &ndarray::arr0(1_f32))),
            ErrorKind::Shape
        );
        assert_eq!(std::fs::read(&path).unwrap(), before);
        std::fs::write(&path, b"text").unwrap();
        let other = append_npy(&path, &array![1_u8]).unwrap_err();
        assert_eq!(
            (other.kind(), other.file()),
            (ErrorKind::Magic, Some(&*path))
        );
    }
}
