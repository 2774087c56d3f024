//! Transforms of rows in memory, beside a copy of each row.
//!
//! `cargo bench -p burn-npy-core --bench transforms [-- --quick] [-- crop]`
//!
//! A word selects the transforms that have it in their names. A figure is the minimum of several
//! runs, which other programs disturbed least. `copies` is the time beside that of a copy of the
//! whole row.

use std::hint::black_box;
use std::time::Instant;

use burn_npy_core::Result;
use burn_npy_core::file::Element;
use burn_npy_core::order::{Permutation, PositionRng};
use burn_npy_core::transform::{
    CenterCrop, Cutout, Noise, OneHot, Pad, RandomCrop, RandomFlip, RowType, RowView, RowViewMut,
    Transform,
};

/// The bytes of the old rows, more than caches have.
const BYTES: usize = 256 << 20;

struct Bench {
    words: Vec<String>,
    bytes: usize,
    runs: usize,
}

impl Bench {
    /// Times a transform on images of this shape.
    fn run<A, B>(&self, name: &str, shape: &[usize], transform: &dyn Transform) -> Result<()>
    where
        A: Element + bytemuck::AnyBitPattern,
        B: Element + bytemuck::AnyBitPattern,
    {
        let id = format!("{name}/{}/{shape:?}", A::DTYPE);
        if !self.words.is_empty() && !self.words.iter().any(|word| id.contains(&**word)) {
            return Ok(());
        }
        let new = transform.output(&RowType::new(A::DTYPE, shape))?;
        let len = RowType::new(A::DTYPE, shape).len();
        let rows = (self.bytes / (len * size_of::<A>())).min(1 << 20);
        let mut old = vec![A::default(); rows * len];
        // The system gives each row memory of its own only when it is written.
        black_box(&mut old).fill(A::default());
        let order: Vec<usize> = Permutation::new(rows as u64, 7, 0)
            .rows(0..rows as u64)
            .map(|row| row as usize)
            .collect();
        let row = |row: usize| &old[row * len..][..len];
        let mut out = vec![B::default(); new.len()];
        let mut copy = vec![A::default(); len];
        let (mut transformed, mut copied) = (f64::INFINITY, f64::INFINITY);
        for _ in 0..self.runs {
            let start = Instant::now();
            for (position, of) in order.iter().enumerate() {
                let mut rng = PositionRng::new(1, 0, position as u64);
                let old = RowView::from_elements(shape, row(*of))?;
                let new = RowViewMut::from_elements(&new.shape, &mut out)?;
                transform.apply(old, new, &mut rng)?;
                black_box(&mut out);
            }
            transformed = transformed.min(start.elapsed().as_secs_f64());
            let start = Instant::now();
            for of in &order {
                copy.copy_from_slice(row(*of));
                black_box(&mut copy);
            }
            copied = copied.min(start.elapsed().as_secs_f64());
        }
        println!(
            "{id:44} {:>10.0} {:>8.2} {:>8.2}",
            1e9 * transformed / rows as f64,
            (rows * len * size_of::<A>()) as f64 / transformed / 1e9,
            transformed / copied
        );
        Ok(())
    }
}

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let quick = args.iter().any(|arg| arg == "--quick");
    let bench = Bench {
        words: args
            .into_iter()
            .filter(|arg| !arg.starts_with("--"))
            .collect(),
        bytes: if quick { BYTES / 32 } else { BYTES },
        runs: if quick { 1 } else { 5 },
    };
    println!(
        "{:44} {:>10} {:>8} {:>8}",
        "id", "ns a row", "GB/s", "copies"
    );
    let crop = |size: usize| RandomCrop::new([size; 2]).pad(size / 8);
    for size in [32, 224] {
        let (first, last) = ([3, size, size], [size, size, 3]);
        let plain = crop(size).channels_first();
        bench.run::<u8, u8>("crop", &first, &plain)?;
        let flipped = crop(size).flip(0.5);
        bench.run::<u8, u8>("crop, flip", &first, &flipped.clone().channels_first())?;
        bench.run::<f32, f32>("crop, flip", &first, &flipped.clone().channels_first())?;
        bench.run::<u8, u8>("crop, flip", &last, &flipped.clone().channels_last())?;
        bench.run::<f32, f32>("crop, flip", &last, &flipped.channels_last())?;
        let half = CenterCrop::new([size / 2; 2]).channels_first();
        bench.run::<u8, u8>("middle", &first, &half)?;
        let flip = RandomFlip::horizontal(1.0);
        bench.run::<u8, u8>("flip", &first, &flip.clone().channels_first())?;
        bench.run::<u16, u16>("flip", &first, &flip.clone().channels_first())?;
        bench.run::<u8, u8>("flip", &last, &flip.channels_last())?;
        let flip = RandomFlip::vertical(1.0).channels_first();
        bench.run::<u8, u8>("upside down", &first, &flip)?;
        bench.run::<u8, u8>("pad", &first, &Pad::new(2).channels_first())?;
        bench.run::<u8, u8>("cutout", &first, &Cutout::new(size / 2).channels_first())?;
        bench.run::<f32, f32>("gaussian", &first, &Noise::gaussian(0.1))?;
        bench.run::<f64, f64>("gaussian", &first, &Noise::gaussian(0.1))?;
        bench.run::<f32, f32>("uniform", &first, &Noise::uniform(-0.1, 0.1))?;
        #[cfg(feature = "resize")]
        {
            use burn_npy_core::transform::Resize;
            let resize = Resize::new([size / 2 + 3; 2]);
            bench.run::<u8, u8>("resize", &first, &resize.clone().channels_first())?;
            bench.run::<u8, u8>("resize", &last, &resize.clone().channels_last())?;
            bench.run::<f32, f32>("resize", &first, &resize.channels_first())?;
        }
    }
    bench.run::<i64, f32>("one hot", &[], &OneHot::new(10))?;
    bench.run::<i64, f32>("one hot", &[], &OneHot::new(1000).smoothing(0.1))?;
    Ok(())
}
