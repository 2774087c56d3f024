//! Transforms beside NumPy, bit by bit. `transforms.py` computes the rows of `transforms.txt`.

use std::path::Path;
use std::process::Command;

use burn_npy_core::Result;
use burn_npy_core::half::f16;
use burn_npy_core::order::PositionRng;
use burn_npy_core::transform::{
    CenterCrop, Cutout, Noise, OneHot, Pad, RandomCrop, RandomFlip, RowType, RowView, RowViewMut,
    Transform, Truncate,
};

/// An element as the script prints it.
trait Shown {
    fn shown(&self) -> String;
}

macro_rules! shown {
    ($($int:ty),*) => {$(
        impl Shown for $int {
            fn shown(&self) -> String {
                self.to_string()
            }
        }
    )*};
    (bits $($float:ty),*) => {$(
        impl Shown for $float {
            fn shown(&self) -> String {
                format!("{:x}", self.to_bits())
            }
        }
    )*};
}
shown!(u8, u16, i16, i32, i64);
shown!(bits f16, f32, f64);

/// The lines of a case, for rows of the type `$old` that become rows of the type `$new`.
macro_rules! case {
    ($lines:ident, $name:literal, $old:ty => $new:ty, $shape:expr, $row:expr, $transform:expr) => {
        for position in [0, 1, 2, 3, 4, (1 << 40) + 5] {
            let row: Vec<$old> = $row;
            let new = apply::<$old, $new>(&$transform, &$shape, &row, position).unwrap();
            let new: Vec<String> = new.iter().map(Shown::shown).collect();
            $lines.push(format!("{} {position}: {}", $name, new.join(" ")));
        }
    };
    // Rows of the script's function `row`.
    ($lines:ident, $name:literal, $type:ty, $shape:expr, $transform:expr) => {
        let count: usize = $shape.iter().product();
        // An `f16` can be made of a small integer, but not of a large one.
        let row = || (0..count).map(|i| <$type>::from(((7 * i + 3) % 101) as u8)).collect();
        case!($lines, $name, $type => $type, $shape, row(), $transform);
    };
}

fn apply<A, B>(
    transform: &impl Transform,
    shape: &[usize],
    row: &[A],
    position: u64,
) -> Result<Vec<B>>
where
    A: burn_npy_core::file::Element,
    B: burn_npy_core::file::Element + bytemuck::AnyBitPattern,
{
    let new = transform.output(&RowType::new(A::DTYPE, shape))?;
    let mut out = vec![B::default(); new.len()];
    transform.apply(
        RowView::from_elements(shape, row)?,
        RowViewMut::from_elements(&new.shape, &mut out)?,
        &mut PositionRng::new(42, 3, position),
    )?;
    Ok(out)
}

#[test]
fn new_rows_are_those_of_numpy() {
    let mut lines = Vec::new();
    let crop = RandomCrop::new([2, 3]);
    case!(lines, "crop", u8, [4, 5], crop);
    let crop = RandomCrop::new([5, 6]).pad(2).fill(-7.0).channels_first();
    case!(lines, "crop padded", i16, [2, 5, 6], crop);
    let crop = RandomCrop::new([4, 10]).pad(1).fill(200.0).flip(0.5);
    case!(
        lines,
        "crop flipped",
        u8,
        [9, 11, 3],
        crop.clone().channels_last()
    );
    let crop = RandomCrop::new([3, 3]).pad(4).fill(0.125).flip(0.25);
    case!(
        lines,
        "crop floats",
        f32,
        [2, 3, 3],
        crop.clone().channels_first()
    );
    case!(lines, "center", u8, [5, 6], CenterCrop::new([2, 3]));
    let center = CenterCrop::new([1, 4]).channels_last();
    case!(lines, "center channels", f64, [4, 4, 2], center);
    case!(lines, "pad", u8, [2, 3], Pad::new(1).fill(9.0));
    let pad = Pad::new(0).height(0, 1).width(2, 3).fill(-0.5);
    case!(
        lines,
        "pad channels",
        f16,
        [2, 1, 2],
        pad.clone().channels_first()
    );
    let flip = RandomFlip::horizontal(0.5);
    case!(lines, "flip horizontal", u8, [2, 19], flip);
    let flip = RandomFlip::horizontal(0.5).channels_first();
    case!(lines, "flip horizontal channels", u16, [2, 2, 6], flip);
    let flip = RandomFlip::vertical(0.75).channels_last();
    case!(lines, "flip vertical", i64, [3, 2, 2], flip);
    case!(lines, "cutout", u8, [5, 6], Cutout::new(4).fill(255.0));
    let cutout = Cutout::new(3).channels_first();
    case!(lines, "cutout channels", f32, [2, 4, 3], cutout);
    case!(lines, "one hot", u8 => f32, [], vec![3], OneHot::new(5));
    let one_hot = OneHot::new(7).smoothing(0.1);
    case!(lines, "one hot smoothed", i64 => f32, [], vec![6], one_hot);
    let one_hot = OneHot::new(3).smoothing(0.3);
    case!(lines, "one hot mask", i16 => f32, [2, 2], vec![0, 2, 1, 1], one_hot);
    case!(lines, "gaussian", f32, [3, 4], Noise::gaussian(0.1));
    case!(lines, "gaussian double", f64, [9], Noise::gaussian(2.5));
    let gaussian = Noise::gaussian(1.0);
    case!(lines, "gaussian many", f32 => f32, [100], vec![0.0; 100], gaussian);
    case!(lines, "uniform", f32, [2, 3], Noise::uniform(-1.0, 3.0));
    case!(lines, "uniform double", f64, [4], Noise::uniform(0.25, 0.5));
    case!(lines, "truncate", u8, [9], Truncate::new(4));
    case!(
        lines,
        "truncate random",
        u16,
        [9],
        Truncate::new(4).random()
    );
    case!(
        lines,
        "truncate items",
        f32,
        [5, 2],
        Truncate::new(3).random()
    );
    case!(lines, "truncate short", i64, [3], Truncate::new(3).random());

    let golden: Vec<&str> = include_str!("transforms.txt").lines().collect();
    assert_eq!(lines.len(), golden.len());
    for (line, golden) in lines.iter().zip(golden) {
        assert_eq!(line, golden);
    }
}

#[test]
fn the_script_still_computes_these_rows() {
    let python = std::env::var("BURN_NPY_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let required = std::env::var_os("BURN_NPY_REQUIRE_ALL").is_some();
    let numpy = Command::new(&python).args(["-c", "import numpy"]).output();
    if !numpy.is_ok_and(|output| output.status.success()) {
        assert!(!required, "there is no Python with NumPy");
        eprintln!("skipped: there is no Python with NumPy");
        return;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transforms.py");
    let output = Command::new(python).arg(script).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let printed = String::from_utf8(output.stdout).unwrap();
    let lines = include_str!("transforms.txt").lines();
    assert!(printed.lines().eq(lines), "the script differs");
}
