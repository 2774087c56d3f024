//! The gather of shuffled batches into one buffer, on one thread, without anything around it.
//!
//! `cargo bench -p burn-npy-core --bench gather [-- --quick]`
//!
//! The ids are `gather/<workload>/<who>`: `column` is [`gather_columns`] with the order given,
//! `order` the same with the order drawn. They run in turn.

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use burn_npy_core::{
    Array, Convert, Result,
    file::{Buffer, Column, Element, WriteElement, gather_columns, write_npy},
    order::Permutation,
};
use ndarray::{Array1, Array2};

const BATCH: usize = 256;

struct Workload {
    name: &'static str,
    features: Column,
    labels: Column,
}

impl Workload {
    /// Two mapped files, as a user has them.
    fn new<T: Element + WriteElement>(
        name: &'static str,
        dir: &Path,
        features: Array2<T>,
        convert: &Convert,
    ) -> Result<Self> {
        let file = |part| dir.join(format!("{name}-{part}.npy"));
        write_npy(file("features"), &features)?;
        write_npy(
            file("labels"),
            &Array1::from_iter(0..features.nrows() as i64),
        )?;
        Ok(Self {
            name,
            features: Column::new(Array::open(file("features"))?)?.convert(convert.clone())?,
            labels: Column::new(Array::open(file("labels"))?)?,
        })
    }

    fn epoch(&self, order: Option<&[usize]>, epoch: u64, out: &mut [Buffer; 2]) -> Result<()> {
        let rows = self.features.rows();
        let permutation = Permutation::new(rows as u64, 1, epoch);
        let mut drawn = vec![0_u64; 16 * BATCH];
        let mut numbers = Vec::new();
        for start in (0..rows).step_by(drawn.len()) {
            let end = rows.min(start + drawn.len());
            let of = match order {
                Some(order) => &order[start..end],
                None => {
                    let drawn = &mut drawn[..end - start];
                    permutation.fill(start as u64..end as u64, drawn);
                    numbers.clear();
                    numbers.extend(drawn.iter().map(|row| *row as usize));
                    &numbers
                }
            };
            let mut left = of;
            while !left.is_empty() {
                let (of, rest) = left.split_at(BATCH.min(left.len()));
                left = rest;
                let [features, labels] = &mut *out;
                features.set_len(of.len() * self.features.row_bytes());
                labels.set_len(of.len() * 8);
                let mut columns = [
                    (&self.features, features.as_mut_slice()),
                    (&self.labels, labels.as_mut_slice()),
                ];
                gather_columns(&mut columns, of).map_err(|(_, error)| error)?;
                black_box(&mut *out);
            }
        }
        Ok(())
    }
}

fn main() -> Result<()> {
    let quick = std::env::args().any(|arg| arg == "--quick");
    let (scale, rounds) = if quick { (10, 1) } else { (1, 15) };
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder to write to");
    let dir = dir.path();
    let bytes = |i: usize| (i.wrapping_mul(2_654_435_761) >> 7) as u8;
    let unit = Convert::to::<f32>().divide(255.0);
    let images = |rows: usize, len: usize| {
        Array2::from_shape_fn((rows / scale, len), |(i, j)| bytes(i * len + j))
    };
    let table = Array2::from_shape_fn((1_000_000 / scale, 10), |(i, j)| (i * 10 + j) as f64 * 0.37);
    let workloads = [
        Workload::new("mnist", dir, images(60_000, 784), &unit)?,
        Workload::new("table", dir, table, &Convert::to::<f32>())?,
        Workload::new("images", dir, images(20_000, 12_288), &unit)?,
    ];
    println!("{:24} {:>12} {:>12}", "id", "rows/s", "GB/s made");
    for workload in &workloads {
        let rows = workload.features.rows();
        let mut out = [workload.features.row_bytes(), 8].map(|bytes| {
            Buffer::zeroed(BATCH * bytes).expect("a batch is small beside the memory")
        });
        let order: Vec<usize> = Permutation::new(rows as u64, 7, 0)
            .rows(0..rows as u64)
            .map(|row| row as usize)
            .collect();
        let mut seconds = [Vec::new(), Vec::new()];
        for round in 0..=rounds {
            for (order, seconds) in [Some(&*order), None].into_iter().zip(&mut seconds) {
                let start = Instant::now();
                workload.epoch(order, round, &mut out)?;
                // The first round brings the file into memory.
                if round > 0 {
                    seconds.push(start.elapsed().as_secs_f64());
                }
            }
        }
        for (who, seconds) in ["column", "order"].into_iter().zip(&mut seconds) {
            seconds.sort_by(f64::total_cmp);
            let rate = rows as f64 / seconds[seconds.len() / 2];
            let made = rate * (workload.features.row_bytes() + 8) as f64 / 1e9;
            let id = format!("gather/{}/{who}", workload.name);
            println!("{id:24} {rate:>12.0} {made:>12.2}");
        }
    }
    Ok(())
}
