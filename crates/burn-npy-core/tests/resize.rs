//! Resized images beside Pillow. `resize.py` prints the images of `resize.txt`.

#![cfg(feature = "resize")]

use std::path::Path;
use std::process::Command;

use burn_npy_core::DType;
use burn_npy_core::file::Element;
use burn_npy_core::order::PositionRng;
use burn_npy_core::transform::{Resize, ResizeFilter, RowType, RowView, RowViewMut, Transform};

/// An element of an image.
trait Pixel: Element + bytemuck::AnyBitPattern + Into<f64> {
    /// Of a random number; integers are in the middle quarter of their range.
    fn of(random: u32) -> Self;
}

impl Pixel for u8 {
    fn of(random: u32) -> Self {
        (random >> 26) as Self + 3 * (1 << 5)
    }
}

impl Pixel for u16 {
    fn of(random: u32) -> Self {
        (random >> 18) as Self + 3 * (1 << 13)
    }
}

impl Pixel for f32 {
    fn of(random: u32) -> Self {
        (random >> 8) as Self / (1 << 24) as Self - 0.5
    }
}

/// An image of the script, resized; the channels of old and new image are first.
fn resized<T: Pixel>(
    [channels, height, width]: [usize; 3],
    size: [usize; 2],
    filter: ResizeFilter,
    channels_are_last: bool,
) -> Vec<f64> {
    let len = channels * height * width;
    let row: Vec<T> = (0..len)
        .map(|i| T::of((i as u32).wrapping_mul(2_654_435_761)))
        .collect();
    let resize = Resize::new(size).filter(filter);
    let apply = |resize: Resize, shape: &[usize], row: &[T]| {
        let new = resize.output(&RowType::new(T::DTYPE, shape)).unwrap();
        let mut out = vec![T::default(); new.len()];
        let old = RowView::from_elements(shape, row).unwrap();
        let view = RowViewMut::from_elements(&new.shape, &mut out).unwrap();
        resize
            .apply(old, view, &mut PositionRng::new(0, 0, 0))
            .unwrap();
        (new.shape, out)
    };
    let out = if channels_are_last {
        let moved = (0..len)
            .map(|i| row[i % channels * height * width + i / channels])
            .collect();
        let moved: Vec<T> = moved;
        let (shape, out) = apply(resize.channels_last(), &[height, width, channels], &moved);
        assert_eq!(shape, [size[0], size[1], channels]);
        let plane = size[0] * size[1];
        (0..out.len())
            .map(|i| out[i % plane * channels + i / plane])
            .collect()
    } else {
        let (shape, out) = apply(resize.channels_first(), &[channels, height, width], &row);
        assert_eq!(shape, [channels, size[0], size[1]]);
        out
    };
    out.into_iter().map(Into::into).collect()
}

#[test]
fn images_are_those_of_pillow() {
    let mut worst = [0.0_f64; 3];
    for line in include_str!("resize.txt").lines() {
        let (key, values) = line.split_once(": ").unwrap();
        let words: Vec<&str> = key.split(' ').collect();
        let [
            dtype,
            channels,
            height,
            width,
            "to",
            new_height,
            new_width,
            filter,
        ] = words[..]
        else {
            panic!("{key}");
        };
        let number = |word: &str| word.parse::<usize>().unwrap();
        let shape = [channels, height, width].map(number);
        let size = [new_height, new_width].map(number);
        let filter = match filter {
            "box" => ResizeFilter::Box,
            "bilinear" => ResizeFilter::Bilinear,
            "bicubic" => ResizeFilter::Bicubic,
            _ => ResizeFilter::Lanczos,
        };
        let expected: Vec<f64> = values
            .split(' ')
            .map(|value| value.parse().unwrap())
            .collect();
        for channels_are_last in [false, true] {
            // The filters that overshoot make the rounding of the first pass larger.
            let off = match filter {
                ResizeFilter::Box | ResizeFilter::Bilinear => 1.0,
                _ => 2.0,
            };
            let (found, tolerance, worst) = match dtype.parse().unwrap() {
                DType::U8 => (resized::<u8> as fn(_, _, _, _) -> _, off, &mut worst[0]),
                DType::U16 => (resized::<u16> as fn(_, _, _, _) -> _, off, &mut worst[1]),
                _ => (resized::<f32> as fn(_, _, _, _) -> _, 2e-7, &mut worst[2]),
            };
            let found: Vec<f64> = found(shape, size, filter, channels_are_last);
            assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(&expected) {
                *worst = worst.max((found - expected).abs());
                assert!(
                    (found - expected).abs() <= tolerance,
                    "{key}: {found} {expected}"
                );
            }
        }
    }
    println!("the largest differences: {worst:?}");
}

#[test]
fn the_script_still_computes_these_images() {
    let python = std::env::var("BURN_NPY_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let required = std::env::var_os("BURN_NPY_REQUIRE_ALL").is_some();
    let pillow = Command::new(&python)
        .args(["-c", "import numpy, PIL"])
        .output();
    if !pillow.is_ok_and(|output| output.status.success()) {
        assert!(!required, "there is no Python with NumPy and Pillow");
        eprintln!("skipped: there is no Python with NumPy and Pillow");
        return;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/resize.py");
    let output = Command::new(python).arg(script).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let printed = String::from_utf8(output.stdout).unwrap();
    let lines = include_str!("resize.txt").lines();
    assert!(printed.lines().eq(lines), "the script differs");
}
