//! A batch of rows of several datasets: gathered dataset by dataset, each row in its place.

use std::sync::Arc;

use burn_npy_core::Result;
use burn_npy_core::internal::Draws;

use crate::batcher::same_dataset;
use crate::layout::{BatchColumn, BatchLayout, HostBatch};
use crate::loader::BatchInfo;
use crate::memory;
use crate::padded::{PaddedRows, PaddedTensor};
use crate::pool::{Pool, PooledBuffer};
use crate::row::Row;

/// The size in bytes of the memory for rows that are not neighbours in the batch: from there they
/// are copied to their places while they are in a near cache.
const SCRATCH_BYTES: usize = 64 << 10;

/// Gathers rows of datasets, whose layouts `layout` gives. There must be at least one row.
pub(crate) fn gather(
    rows: &[Row],
    info: &BatchInfo,
    layout: impl Fn(&Row) -> Result<Arc<BatchLayout>>,
    pool: &Arc<Pool>,
) -> Result<HostBatch> {
    let places = memory::list(0..rows.len())?;
    let mut by_dataset = memory::list(0..rows.len())?;
    // The rows of a dataset stay in their order. A stable sort would take memory.
    by_dataset.sort_unstable_by_key(|place| (Arc::as_ptr(&rows[*place].columns), *place));
    gather_in_order(rows, info, &by_dataset, &layout, pool)
        // If several rows fail, the error is that of the first in the batch.
        .or_else(|_| gather_in_order(rows, info, &places, &layout, pool))
}

/// Gathers the rows at the places, neighbours of one dataset together.
fn gather_in_order(
    rows: &[Row],
    info: &BatchInfo,
    places: &[usize],
    layout: &impl Fn(&Row) -> Result<Arc<BatchLayout>>,
    pool: &Arc<Pool>,
) -> Result<HostBatch> {
    let first = layout(&rows[0])?;
    let kinds = first.kinds();
    let mut positions = Vec::new();
    let buffers = first.columns.iter().map(|it| it.buffer(pool, rows.len()));
    let mut buffers: Vec<PooledBuffer> = buffers.collect::<Result<_>>()?;
    let mut scratch = pool.take(SCRATCH_BYTES)?;
    let mut indices = Vec::new();
    memory::reserve(&mut indices, rows.len())?;
    for places in places.chunk_by(|a, b| same_dataset(&rows[*a], &rows[*b])) {
        let layout = layout(&rows[places[0]])?;
        layout.expect_kinds(&kinds)?;
        if positions.is_empty() {
            positions = layout.positions(info)?;
        }
        let draws = info.draws(&positions);
        indices.clear();
        indices.extend(places.iter().map(|place| rows[*place].index));
        for (column, buffer) in layout.columns.iter().zip(&mut buffers) {
            let (out, scratch) = (buffer.as_mut_slice(), scratch.as_mut_slice());
            gather_to(column, (&indices, draws), places, out, scratch)?;
        }
    }
    first.change(&mut buffers, info)?;
    let draws = info.draws(&positions);
    let padded = gather_padded((rows, draws), places, layout, pool, &first)?;
    let columns = buffers.into_iter().map(PooledBuffer::into_shared);
    Ok(HostBatch::new(first, columns.collect(), rows.len()).with_padded(padded))
}

/// Gathers the rows of the tensors that are padded. The layouts of all rows have the same kinds as
/// the first.
fn gather_padded(
    (rows, draws): (&[Row], Draws<'_>),
    places: &[usize],
    layout: &impl Fn(&Row) -> Result<Arc<BatchLayout>>,
    pool: &Arc<Pool>,
    first: &BatchLayout,
) -> Result<Arc<[PaddedRows]>> {
    let mut parts = Vec::new();
    if !first.padded.is_empty() {
        for places in places.chunk_by(|a, b| same_dataset(&rows[*a], &rows[*b])) {
            let indices = memory::list(places.iter().map(|place| rows[*place].index))?;
            let mut positions = Vec::new();
            if !draws.positions.is_empty() {
                positions = memory::list(places.iter().map(|place| draws.positions[*place]))?;
            }
            parts.push((layout(&rows[places[0]])?, indices, positions, places));
        }
    }
    let gather = |(number, tensor): (usize, &PaddedTensor)| {
        let longest = parts
            .iter()
            .map(|(layout, indices, ..)| layout.padded[number].longest(indices.iter().copied()));
        let length = longest.max().unwrap_or(1);
        let mut buffer = tensor.buffer(pool, length, rows.len())?;
        for (layout, indices, positions, places) in &parts {
            let place = |index: usize| places[index];
            let rows = (&indices[..], Draws { positions, ..draws });
            layout.padded[number].write(rows, place, length, buffer.as_mut_slice())?;
        }
        Ok(tensor.finish(buffer, length, rows.len()))
    };
    first.padded.iter().enumerate().map(gather).collect()
}

/// Gathers rows of a column to their places in the batch.
fn gather_to(
    column: &BatchColumn,
    (rows, draws): (&[usize], Draws<'_>),
    places: &[usize],
    out: &mut [u8],
    scratch: &mut [u8],
) -> Result<()> {
    let row_bytes = column.column.row_bytes();
    // Rows of which two do not fit go to their places one by one.
    let per_turn = (scratch.len() / row_bytes.max(1)).max(1);
    let mut positions = Vec::new();
    for (rows, places) in rows.chunks(per_turn).zip(places.chunks(per_turn)) {
        let start = places[0] * row_bytes;
        positions.clear();
        memory::reserve(&mut positions, places.len())?;
        let at = places.iter().map(|place| draws.positions.get(*place));
        positions.extend(at.flatten());
        let positions = &positions;
        let draws = Draws { positions, ..draws };
        if places[places.len() - 1] - places[0] + 1 == places.len() {
            let out = &mut out[start..][..rows.len() * row_bytes];
            column.gather_into(rows, draws, out)?;
            continue;
        }
        let gathered = &mut scratch[..rows.len() * row_bytes];
        column.gather_into(rows, draws, gathered)?;
        for (row, place) in gathered.chunks_exact(row_bytes.max(1)).zip(places) {
            out[place * row_bytes..][..row_bytes].copy_from_slice(row);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use burn::tensor::{Device, Int, Tensor};
    use burn_npy_core::ndarray::{Array1, Array3};
    use burn_npy_core::rand_core::Rng;
    use burn_npy_core::{
        Array, Convert, ErrorKind,
        file::{Access, Element, OpenOptions, WriteElement, write_npy},
        order::PositionRng,
    };

    use crate::{NpyBatcher, NpyDataset};

    use super::*;

    type Batch = (Tensor<3>, Tensor<1, Int>);

    fn below(rng: &mut PositionRng, bound: usize) -> usize {
        (rng.next_u64() % bound as u64) as usize
    }

    /// A column of numbers of some type, in memory or in a file.
    fn column<T>(
        rng: &mut PositionRng,
        dir: &Path,
        rows: usize,
        shape: (usize, usize),
        of: fn(u8) -> T,
    ) -> Array
    where
        T: Element + WriteElement + Clone,
    {
        let values =
            Array3::from_shape_simple_fn((rows, shape.0, shape.1), || of(rng.next_u32() as u8));
        let access = match below(rng, 3) {
            0 => return values.into(),
            1 => Access::Mapped,
            _ => Access::Positioned,
        };
        let path = dir.join(format!("{}.npy", rng.next_u64()));
        write_npy(&path, &values).unwrap();
        let options = OpenOptions::new().access(access);
        Array::open_with(path, options).unwrap()
    }

    /// Features that become `f32` in one way or another, and labels.
    fn dataset(rng: &mut PositionRng, dir: &Path, shape: (usize, usize)) -> NpyDataset {
        let rows = 1 + below(rng, 40_000 / (shape.0 * shape.1).max(1000));
        let float = || Convert::to::<f32>();
        let (features, convert) = match below(rng, 4) {
            0 => (
                column(rng, dir, rows, shape, f32::from),
                Convert::to::<f32>(),
            ),
            1 => (
                column(rng, dir, rows, shape, |x| x),
                float().divide(1.0 + below(rng, 9) as f64),
            ),
            2 => (
                column(rng, dir, rows, shape, f64::from),
                float().scale(0.5).offset(3.0),
            ),
            _ => (column(rng, dir, rows, shape, i16::from), float()),
        };
        let labels = match below(rng, 2) {
            0 => Array::from(Array1::from_iter((0..rows).map(|row| row as i64))),
            _ => Array1::from_iter((0..rows).map(|row| row as u8)).into(),
        };
        let dataset = NpyDataset::from_arrays([("features", features), ("labels", labels)])
            .and_then(|dataset| dataset.convert("features", convert.clone()))
            .and_then(|dataset| dataset.convert("labels", Convert::to::<i64>()))
            .unwrap();
        let skipped = below(rng, rows);
        dataset.skip(skipped)
    }

    fn bytes((features, labels): Batch) -> [Vec<u8>; 2] {
        [features.into_data(), labels.into_data()].map(|data| data.as_bytes().to_vec())
    }

    #[test]
    fn rows_of_several_datasets_are_those_of_each_alone() {
        let dir = tempfile::tempdir().unwrap();
        let device = Device::flex();
        for case in 0..60 {
            let rng = &mut PositionRng::new(1, 2, case);
            // Rows of 4 bytes, of some that fit into the scratch memory, of two, of one, and of
            // none.
            let shape = [(1, 1), (5, 7), (80, 100), (100, 81), (3, 0)][below(rng, 5)];
            let datasets: Vec<_> = (0..1 + below(rng, 10))
                .map(|_| dataset(rng, dir.path(), shape))
                .collect();
            let mut rows = Vec::new();
            for _ in 0..1 + below(rng, 60) {
                let dataset = &datasets[below(rng, datasets.len())];
                let row = dataset.row(below(rng, dataset.len()));
                // Neighbours of one dataset, and the same row twice.
                rows.extend(std::iter::repeat_n(row, 1 + below(rng, 2)));
            }
            let batcher = NpyBatcher::<Batch>::new();
            let alone = |row: &Row| {
                let fresh = NpyBatcher::<Batch>::new();
                bytes(fresh.try_batch(std::slice::from_ref(row), &device).unwrap())
            };
            let mut expected = [Vec::new(), Vec::new()];
            for row in &rows {
                for (all, one) in expected.iter_mut().zip(alone(row)) {
                    all.extend(one);
                }
            }
            // The second batch finds the layouts of the first.
            for _ in 0..2 {
                let batch = batcher.try_batch(&rows, &device).unwrap();
                assert_eq!(batch.0.dims(), [rows.len(), shape.0, shape.1]);
                assert!(bytes(batch) == expected, "case {case}");
            }
            rows.reverse();
            let reversed = batcher.try_batch(&rows, &device).unwrap();
            assert_eq!(reversed.1.dims(), [rows.len()]);
        }
    }

    #[test]
    fn the_first_failure_of_the_batch_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let paths = ["a", "b", "c"].map(|name| dir.path().join(name).with_extension("npy"));
        let open = || {
            paths.clone().map(|path| {
                write_npy(&path, &Array1::from_iter(0..4_i64)).unwrap();
                NpyDataset::from_files([("x", path)]).unwrap()
            })
        };
        let batcher = NpyBatcher::<Tensor<1, Int>>::new();
        let failure = |rows: &[Row]| {
            let error = batcher.try_batch(rows, &Device::flex()).unwrap_err();
            (error.kind(), error.file().map(Path::to_owned))
        };
        let [a, b, c] = open();
        for path in &paths[1..] {
            std::fs::write(path, b"another file").unwrap();
        }
        for (order, first) in [([&a, &b, &c], 1), ([&a, &c, &b], 2), ([&c, &a, &b], 2)] {
            for twice in [false, true] {
                let mut rows = Vec::from_iter(order.map(|dataset| dataset.row(0)));
                if twice {
                    rows.extend(order.iter().rev().map(|dataset| dataset.row(1)));
                }
                let expected = (ErrorKind::Changed, Some(paths[first].clone()));
                assert_eq!(failure(&rows), expected);
            }
        }
        // What does not fit, and where that stands.
        let floats = NpyDataset::from_tensor_slices(Array1::from(vec![1.0_f32])).unwrap();
        let floats = floats.rename("0", "x").unwrap();
        let [a, b, _] = open();
        std::fs::write(&paths[1], b"another file").unwrap();
        let rows = [a.row(0), floats.row(0), b.row(0)];
        assert_eq!(failure(&rows).0, ErrorKind::Dtype);
        let rows = [a.row(0), b.row(0), floats.row(0)];
        assert_eq!(failure(&rows).0, ErrorKind::Changed);
    }

    #[test]
    fn neither_a_dataset_nor_a_batcher_is_kept() {
        let numbers = || NpyDataset::from_tensor_slices(Array1::from_iter(0..4_i64)).unwrap();
        let batch = |batcher: &NpyBatcher<Tensor<1, Int>>, datasets: &[NpyDataset]| {
            let rows = datasets.iter().map(|dataset| dataset.row(1));
            let rows: Vec<Row> = rows.collect();
            batcher.try_batch(&rows, &Device::flex()).unwrap();
        };
        // A dataset goes when its user lets it go, whatever batcher has gathered rows of it.
        let batcher = NpyBatcher::new();
        let stays = numbers();
        let gone = [0; 3].map(|_| {
            let dataset = numbers();
            batch(&batcher, &[stays.clone(), dataset.clone()]);
            Arc::downgrade(dataset.shared_columns())
        });
        assert!(gone.iter().all(|columns| columns.strong_count() == 0));
        // And so does a batcher.
        let gone = [0; 3].map(|_| {
            let batcher = NpyBatcher::new();
            batch(&batcher, std::slice::from_ref(&stays));
            batch(&batcher, &[numbers(), stays.clone()]);
            Arc::downgrade(&batcher.gather)
        });
        assert!(gone.iter().all(|gather| gather.strong_count() == 0));
        batch(&batcher, std::slice::from_ref(&stays));
        assert!(stays.shared_columns().layouts.len() <= 2);
    }
}
