//! Shuffled crops of images in memory beside the images themselves, on one thread.
//!
//! `cargo bench -p burn-npy-core --bench crops [-- --quick] [-- mnist]`
//!
//! Bytes become floats between 0 and 1, in batches of 256 images. A word selects the images that
//! have it in their names. `plain` converts whole images; `copy` does it by way of a transform that
//! only copies them, `crop` after a random crop, `flip` after a random crop of which half are
//! mirrored. They run in turn, and `ratio` is the median of the ratios of the rate to that of
//! `plain` in all rounds. Each gather writes to other memory than the one before, as batches do.

use std::hint::black_box;
use std::time::Instant;

use burn_npy_core::order::{Permutation, PositionRng};
use burn_npy_core::transform::{RandomCrop, RowType, RowView, RowViewMut, Transform};
use burn_npy_core::{
    Convert, Result,
    file::{Buffer, Column},
};
use ndarray::Array4;

const BATCH: usize = 256;
const CONTENDERS: usize = 4;
/// How many batches each has in a round. Rounds are short because of other programs that run.
const ROUND: usize = 4;
/// How many buffers take turns.
const BUFFERS: usize = 6;

struct Copy;

impl Transform for Copy {
    fn output(&self, row: &RowType) -> Result<RowType> {
        Ok(row.clone())
    }

    fn apply(&self, row: RowView<'_>, mut out: RowViewMut<'_>, _: &mut PositionRng) -> Result<()> {
        out.bytes_mut().copy_from_slice(row.bytes());
        Ok(())
    }
}

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let quick = args.iter().any(|arg| arg == "--quick");
    let epochs = if quick { 1 } else { 15 };
    let words: Vec<_> = args.iter().filter(|arg| !arg.starts_with("--")).collect();
    println!("{:20} {:>10} {:>8}", "id", "ns a row", "ratio");
    for (name, rows, [channels, side], crop) in [
        ("mnist", 60_000, [1, 28], RandomCrop::new([28; 2]).pad(4)),
        ("cifar", 50_000, [3, 32], RandomCrop::new([32; 2]).pad(4)),
        ("64-to-56", 20_480, [3, 64], RandomCrop::new([56; 2])),
        ("256-to-224", 4096, [3, 256], RandomCrop::new([224; 2])),
    ] {
        if words.is_empty() || words.iter().any(|word| name.contains(&***word)) {
            let shape = [rows, channels, side, side];
            run(name, shape, &crop.channels_first(), epochs)?;
        }
    }
    Ok(())
}

fn run(name: &str, shape: [usize; 4], crop: &RandomCrop, epochs: usize) -> Result<()> {
    let rows = shape[0];
    let byte = |i: usize| (i.wrapping_mul(2_654_435_761) >> 11) as u8;
    let images = (0..shape.iter().product()).map(byte).collect();
    let images = Array4::from_shape_vec(shape, images).expect("as many bytes");
    let images = Column::new(images.into())?;
    let contenders: [_; CONTENDERS] = [
        ("plain", images.clone()),
        ("copy", images.clone().map(Copy)?),
        ("crop", images.clone().map(crop.clone())?),
        ("flip", images.map(crop.clone().flip(0.5))?),
    ]
    .map(|(who, column)| (who, column.convert(Convert::to::<f32>().divide(255.0))));
    let mut columns = Vec::new();
    for (who, column) in contenders {
        let column = column?;
        let mut buffers = Vec::new();
        for _ in 0..BUFFERS {
            buffers.push(Buffer::zeroed(BATCH * column.row_bytes())?);
        }
        columns.push((who, column, buffers, Vec::new()));
    }
    for epoch in 0..=epochs {
        let order = Permutation::new(rows as u64, 7, epoch as u64);
        let order: Vec<usize> = order.rows(0..rows as u64).map(|row| row as usize).collect();
        let parts: Vec<_> = order.chunks_exact(ROUND * BATCH).collect();
        for round in 0..parts.len() {
            for (which, (_, column, buffers, seconds)) in columns.iter_mut().enumerate() {
                // No images that were gathered a moment ago and may be in a near cache.
                let part = parts[(round + which * parts.len() / CONTENDERS) % parts.len()];
                let start = Instant::now();
                for (turn, of) in part.chunks_exact(BATCH).enumerate() {
                    let buffer = &mut buffers[turn % BUFFERS];
                    column.gather(of, buffer.as_mut_slice())?;
                    black_box(buffer);
                }
                // In the first epoch, the system gives the buffers memory.
                if epoch > 0 {
                    seconds.push(start.elapsed().as_secs_f64());
                }
            }
        }
    }
    let plain = columns[0].3.clone();
    for (who, _, _, seconds) in &mut columns {
        let ratios = plain.iter().zip(&*seconds).map(|(plain, own)| plain / own);
        let ratio = median(&mut Vec::from_iter(ratios));
        println!(
            "{:20} {:>10.0} {ratio:>8.2}",
            format!("{name}/{who}"),
            1e9 * median(seconds) / (ROUND * BATCH) as f64
        );
    }
    Ok(())
}

/// Sorts, too.
fn median(numbers: &mut [f64]) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}
