//! Transforms beside code that computes one element of the new row at a time.

use proptest::prelude::*;
use rand_core::Rng;

use super::*;

/// An image of any dtype, with random bytes.
#[derive(Clone, Debug)]
struct Image {
    dtype: DType,
    layout: Layout,
    channels: usize,
    height: usize,
    width: usize,
    bytes: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
enum Layout {
    Plain,
    First,
    Last,
}

impl Image {
    fn shape_of(&self, [h, w]: [usize; 2]) -> Vec<usize> {
        match self.layout {
            Layout::Plain => vec![h, w],
            Layout::First => vec![self.channels, h, w],
            Layout::Last => vec![h, w, self.channels],
        }
    }

    fn row_type(&self) -> RowType {
        RowType::new(self.dtype, self.shape_of([self.height, self.width]))
    }

    /// The bytes of an element, where there is one.
    fn element(&self, channel: usize, y: isize, x: isize) -> Option<&[u8]> {
        let y = usize::try_from(y).ok().filter(|y| *y < self.height)?;
        let x = usize::try_from(x).ok().filter(|x| *x < self.width)?;
        let index = match self.layout {
            Layout::Plain => y * self.width + x,
            Layout::First => (channel * self.height + y) * self.width + x,
            Layout::Last => (y * self.width + x) * self.channels + channel,
        };
        Some(&self.bytes[index * self.dtype.size()..][..self.dtype.size()])
    }

    /// The bytes of an image of the same layout whose elements are given.
    fn made(&self, [h, w]: [usize; 2], of: impl Fn(usize, isize, isize) -> Vec<u8>) -> Vec<u8> {
        let mut out = Vec::new();
        let (channels, last) = match self.layout {
            Layout::Plain => (1, 1),
            Layout::First => (self.channels, 1),
            Layout::Last => (1, self.channels),
        };
        for plane in 0..channels {
            for y in 0..h {
                for x in 0..w {
                    for c in 0..last {
                        out.extend(of(plane + c, y as isize, x as isize));
                    }
                }
            }
        }
        out
    }
}

/// Sizes with the ends of the loops over eight bytes, and empty ones.
fn size() -> impl Strategy<Value = usize> {
    prop_oneof![8 => 1..20_usize, 1 => Just(0)]
}

fn image() -> impl Strategy<Value = Image> {
    let layout = prop_oneof![Just(Layout::Plain), Just(Layout::First), Just(Layout::Last)];
    let dtype = proptest::sample::select(DType::ALL);
    let channels = prop_oneof![8 => 1..7_usize, 1 => Just(0)];
    (dtype, layout, channels, size(), size()).prop_flat_map(
        |(dtype, layout, channels, height, width)| {
            let channels = match layout {
                Layout::Plain => 1,
                _ => channels,
            };
            let len = channels * height * width * dtype.size();
            prop::collection::vec(any::<u8>(), len).prop_map(move |bytes| Image {
                dtype,
                layout,
                channels,
                height,
                width,
                bytes,
            })
        },
    )
}

/// What a transform makes of a row. The new row has other bytes in it before.
fn apply(
    transform: &impl Transform,
    row: &RowType,
    bytes: &[u8],
    rng: &mut PositionRng,
) -> Result<(RowType, Vec<u8>)> {
    let new = transform.output(row)?;
    // Aligned for all dtypes.
    let mut old_buffer = vec![0_u64; bytes.len().div_ceil(8)];
    let old = &mut bytemuck::cast_slice_mut::<u64, u8>(&mut old_buffer)[..bytes.len()];
    old.copy_from_slice(bytes);
    let len = new.len() * new.dtype.size();
    let mut new_buffer = vec![0xa5a5_a5a5_a5a5_a5a5_u64; len.div_ceil(8)];
    let out = &mut bytemuck::cast_slice_mut(&mut new_buffer)[..len];
    transform.apply(
        RowView::new(row.dtype, &row.shape, old),
        RowViewMut::new(new.dtype, &new.shape, out),
        rng,
    )?;
    let out = out.to_vec();
    Ok((new, out))
}

/// Adds what the layout of an image asks for.
macro_rules! laid_out {
    ($transform:expr, $image:expr) => {
        match $image.layout {
            Layout::Plain => $transform,
            Layout::First => $transform.channels_first(),
            Layout::Last => $transform.channels_last(),
        }
    };
}

/// A number below another, by the definition of a draw without bias.
fn below(rng: &mut PositionRng, n: usize) -> isize {
    let n = n as u128;
    loop {
        let product = u128::from(rng.next_u64()) * n;
        if product % (1 << 64) >= (1 << 64) % n {
            return (product >> 64) as isize;
        }
    }
}

fn chance(rng: &mut PositionRng, p: f64) -> bool {
    ((rng.next_u64() >> 11) as f64) / 2_f64.powi(53) < p
}

/// A value that a dtype has, and its bytes.
fn fill_of(dtype: DType) -> (f64, Vec<u8>) {
    let whole = |value: u64, size: usize| {
        let bytes = value.to_le_bytes();
        let mut bytes = bytes[..size].to_vec();
        if cfg!(target_endian = "big") {
            bytes.reverse();
        }
        bytes
    };
    match dtype {
        DType::F16 => (-2.0, whole(0xc000, 2)),
        DType::BF16 => (-2.0, whole(0xc000, 2)),
        DType::F32 => (1.0, whole(0x3f80_0000, 4)),
        DType::F64 => (0.1, 0.1_f64.to_ne_bytes().to_vec()),
        DType::F8E4M3FN => (448.0, vec![0x7e]),
        DType::I8 => (-1.0, vec![0xff]),
        DType::I1 => (-1.0, vec![1]),
        _ if dtype.is_int() || dtype == DType::Bool => (1.0, whole(1, dtype.size())),
        DType::F8E8M0FNU => (1.0, vec![127]),
        _ => (0.0, vec![0]),
    }
}

proptest! {
    #[test]
    fn a_crop_is_that_of_the_padded_image(
        image in image(),
        (size_h, size_w, pad) in (0.0..1.0_f64, 0.0..1.0_f64, 0..4_usize),
        p in prop_oneof![Just(None), Just(Some(0.0)), Just(Some(1.0)), Just(Some(0.5))],
        position: u64,
    ) {
        let part = |len: usize, part: f64| ((len + 2 * pad + 1) as f64 * part) as usize;
        let crop = [part(image.height, size_h), part(image.width, size_w)];
        let (fill, fill_bytes) = fill_of(image.dtype);
        let mut transform = RandomCrop::new(crop).pad(pad).fill(fill);
        if let Some(p) = p {
            transform = transform.flip(p);
        }
        let transform = laid_out!(transform, image);
        let mut rng = PositionRng::new(42, 7, position);
        let mut reference = rng.clone();
        let (new, found) = apply(&transform, &image.row_type(), &image.bytes, &mut rng).unwrap();
        prop_assert_eq!(new, RowType::new(image.dtype, image.shape_of(crop)));
        let top = below(&mut reference, image.height + 2 * pad - crop[0] + 1) - pad as isize;
        let left = below(&mut reference, image.width + 2 * pad - crop[1] + 1) - pad as isize;
        let flip = p.is_some_and(|p| chance(&mut reference, p));
        let expected = image.made(crop, |c, y, x| {
            let x = if flip { crop[1] as isize - 1 - x } else { x };
            image.element(c, top + y, left + x).unwrap_or(&fill_bytes).to_vec()
        });
        prop_assert_eq!(found, expected);
        // The numbers that follow are those of whoever draws next.
        prop_assert_eq!(rng, reference);
    }

    #[test]
    fn the_middle_is_as_far_from_either_side(
        image in image(),
        (size_h, size_w) in (0.0..1.0_f64, 0.0..1.0_f64),
    ) {
        let part = |len: usize, part: f64| ((len + 1) as f64 * part) as usize;
        let crop = [part(image.height, size_h), part(image.width, size_w)];
        let transform = laid_out!(CenterCrop::new(crop), image);
        let mut rng = PositionRng::new(0, 0, 0);
        let (new, found) = apply(&transform, &image.row_type(), &image.bytes, &mut rng).unwrap();
        prop_assert_eq!(new, RowType::new(image.dtype, image.shape_of(crop)));
        let [top, left] = [image.height - crop[0], image.width - crop[1]].map(|n| n as isize / 2);
        let expected = image.made(crop, |c, y, x| {
            image.element(c, top + y, left + x).unwrap().to_vec()
        });
        prop_assert_eq!(found, expected);
        prop_assert_eq!(rng, PositionRng::new(0, 0, 0));
    }

    #[test]
    fn a_border_has_the_value_to_fill_with(
        image in image(),
        [above, below, left, right] in [0..4_usize, 0..4, 0..4, 0..4],
    ) {
        let (fill, fill_bytes) = fill_of(image.dtype);
        let transform = Pad::new(9).height(above, below).width(left, right).fill(fill);
        let transform = laid_out!(transform, image);
        let size = [above + image.height + below, left + image.width + right];
        let mut rng = PositionRng::new(0, 0, 0);
        let (new, found) = apply(&transform, &image.row_type(), &image.bytes, &mut rng).unwrap();
        prop_assert_eq!(new, RowType::new(image.dtype, image.shape_of(size)));
        let expected = image.made(size, |c, y, x| {
            let element = image.element(c, y - above as isize, x - left as isize);
            element.unwrap_or(&fill_bytes).to_vec()
        });
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn a_flip_reverses_one_axis(image in image(), horizontal: bool, p in 0.0..=1.0_f64, seed: u64) {
        let transform = match horizontal {
            true => RandomFlip::horizontal(p),
            false => RandomFlip::vertical(p),
        };
        let transform = laid_out!(transform, image);
        let mut rng = PositionRng::new(seed, 0, 0);
        let mut reference = rng.clone();
        let (new, found) = apply(&transform, &image.row_type(), &image.bytes, &mut rng).unwrap();
        prop_assert_eq!(new, image.row_type());
        let flip = chance(&mut reference, p);
        let [h, w] = [image.height, image.width];
        let expected = image.made([h, w], |c, y, x| {
            let (y, x) = match (flip, horizontal) {
                (false, _) => (y, x),
                (true, true) => (y, w as isize - 1 - x),
                (true, false) => (h as isize - 1 - y, x),
            };
            image.element(c, y, x).unwrap().to_vec()
        });
        prop_assert_eq!(found, expected);
        prop_assert_eq!(rng, reference);
    }

    #[test]
    fn a_cutout_is_a_square_around_any_pixel(image in image(), part in 0.0..1.0_f64, seed: u64) {
        let [h, w] = [image.height, image.width];
        prop_assume!(h.min(w) > 0);
        let size = 1 + (h.min(w) as f64 * part) as usize;
        let (fill, fill_bytes) = fill_of(image.dtype);
        let transform = laid_out!(Cutout::new(size).fill(fill), image);
        let mut rng = PositionRng::new(seed, 0, 0);
        let mut reference = rng.clone();
        let (new, found) = apply(&transform, &image.row_type(), &image.bytes, &mut rng).unwrap();
        prop_assert_eq!(new, image.row_type());
        let top = below(&mut reference, h) - size as isize / 2;
        let left = below(&mut reference, w) - size as isize / 2;
        let expected = image.made([h, w], |c, y, x| {
            let square = |start: isize, at| (start..start + size as isize).contains(&at);
            match square(top, y) && square(left, x) {
                true => fill_bytes.clone(),
                false => image.element(c, y, x).unwrap().to_vec(),
            }
        });
        prop_assert_eq!(found, expected);
        prop_assert_eq!(rng, reference);
    }
}

/// The kind and the message of the error when a transform is added to rows.
fn refused(transform: &impl Transform, dtype: DType, shape: &[usize]) -> (ErrorKind, String) {
    let error = transform.output(&RowType::new(dtype, shape)).unwrap_err();
    (error.kind(), error.message().to_owned())
}

#[test]
fn channels_have_to_be_placed() {
    let flip = RandomFlip::horizontal(0.5);
    let (kind, message) = refused(&flip, DType::U8, &[32, 32, 3]);
    assert_eq!(kind, ErrorKind::Shape);
    assert!(message.contains("channels_first()") && message.contains("channels_last()"));
    for shape in [&[][..], &[4], &[1, 2, 3, 4]] {
        assert_eq!(refused(&flip, DType::U8, shape).0, ErrorKind::Shape);
        let first = flip.clone().channels_first();
        assert_eq!(refused(&first, DType::U8, shape).0, ErrorKind::Shape);
        let last = flip.clone().channels_last();
        assert_eq!(refused(&last, DType::U8, shape).0, ErrorKind::Shape);
    }
    let first = flip.clone().channels_first();
    assert_eq!(refused(&first, DType::U8, &[32, 32]).0, ErrorKind::Shape);
    let last = flip.channels_last();
    assert_eq!(refused(&last, DType::U8, &[32, 32]).0, ErrorKind::Shape);
}

#[test]
fn a_crop_has_to_fit() {
    let crop = RandomCrop::new([32, 33]).pad(2);
    let (kind, message) = refused(&crop, DType::U8, &[28, 28]);
    assert_eq!(kind, ErrorKind::Shape);
    assert_eq!(
        message,
        "rows of shape [28, 28], padded by 2, are images of 32 x 32, smaller than the crop of 32 x \
         33"
    );
    // The width of images with the channels last, taken for images with the channels first.
    let crop = CenterCrop::new([24, 24]).channels_first();
    let (kind, message) = refused(&crop, DType::U8, &[32, 32, 3]);
    assert_eq!(kind, ErrorKind::Shape);
    assert_eq!(
        message,
        "rows of shape [32, 32, 3] are images of 32 x 3, smaller than the crop of 24 x 24"
    );
    let cutout = Cutout::new(17);
    assert_eq!(refused(&cutout, DType::U8, &[16, 99]).0, ErrorKind::Shape);
    let cutout = Cutout::new(0);
    assert_eq!(refused(&cutout, DType::U8, &[16, 99]).0, ErrorKind::Usage);
}

#[test]
fn sizes_that_no_machine_has_are_refused() {
    for pixels in [usize::MAX, usize::MAX / 2, usize::MAX / 4] {
        let crop = RandomCrop::new([1, 1]).pad(pixels);
        let crop = crop.output(&RowType::new(DType::F64, [0, 0]));
        // A crop of an enormous border is one pixel of it, as long as its places can be counted.
        assert_eq!(crop.is_ok(), pixels == usize::MAX / 4);
        let pad = Pad::new(pixels);
        assert_eq!(refused(&pad, DType::U8, &[2, 2]).0, ErrorKind::Overflow);
        assert_eq!(refused(&pad, DType::U8, &[0, 0]).0, ErrorKind::Overflow);
    }
    // The header of an empty array may have any other length.
    let row = RowType::new(DType::F64, [0, 0, usize::MAX]);
    let mut rng = PositionRng::new(0, 0, 0);
    let crop = RandomCrop::new([0, 0]).channels_last();
    assert_eq!(
        apply(&crop, &row, &[], &mut rng).unwrap(),
        (row.clone(), vec![])
    );
    let flip = RandomFlip::vertical(1.0).channels_last();
    assert_eq!(apply(&flip, &row, &[], &mut rng).unwrap(), (row, vec![]));
    let pad = Pad::new(1).channels_last();
    assert_eq!(
        refused(&pad, DType::F64, &[0, 0, usize::MAX]).0,
        ErrorKind::Overflow
    );
    let crop = RandomCrop::new([1, 1]).pad(usize::MAX / 4);
    let row = RowType::new(DType::U8, [0, 0]);
    let found = apply(&crop, &row, &[], &mut PositionRng::new(0, 0, 0)).unwrap();
    assert_eq!(found, (RowType::new(DType::U8, [1, 1]), vec![0]));
}

#[test]
fn a_probability_is_from_zero_to_one() {
    for p in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
        let flip = RandomFlip::vertical(p);
        assert_eq!(refused(&flip, DType::U8, &[2, 2]).0, ErrorKind::Usage);
        let crop = RandomCrop::new([1, 1]).flip(p);
        assert_eq!(refused(&crop, DType::U8, &[2, 2]).0, ErrorKind::Usage);
    }
}

/// Every dtype with numbers at the ends of its range, and beside them.
#[test]
fn a_value_to_fill_with_is_kept_or_refused() {
    let some = [
        0.0,
        1.0,
        -1.0,
        0.5,
        255.0,
        256.0,
        -128.0,
        -129.0,
        65504.0,
        65505.0,
        448.0,
        1e-7,
        0.1,
        2_f64.powi(24) + 1.0,
        2_f64.powi(63),
        2_f64.powi(64),
        -2_f64.powi(63),
        2_f64.powi(63) - 1024.0,
        1e39,
        1e300,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::NAN,
    ];
    for &dtype in DType::ALL {
        for value in some {
            let pad = Pad::new(0).width(1, 0).fill(value);
            let row = RowType::new(dtype, [1, 0]);
            let mut rng = PositionRng::new(0, 0, 0);
            match apply(&pad, &row, &[], &mut rng) {
                Ok((_, bytes)) => {
                    let read = read(dtype, &bytes);
                    assert!(
                        read == value || read.is_nan() && value.is_nan(),
                        "{dtype} {value}"
                    );
                }
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Value, "{dtype} {value}");
                    assert!(!has(dtype, value), "{dtype} {value}");
                }
            }
        }
    }
}

/// The value of an element.
fn read(dtype: DType, bytes: &[u8]) -> f64 {
    use half::{bf16, f16};

    fn of<T: bytemuck::AnyBitPattern>(bytes: &[u8]) -> T {
        bytemuck::pod_read_unaligned(bytes)
    }
    match dtype {
        DType::Bool | DType::U8 => bytes[0].into(),
        DType::I8 => of::<i8>(bytes).into(),
        DType::I16 => of::<i16>(bytes).into(),
        DType::I32 => of::<i32>(bytes).into(),
        DType::I64 => of::<i64>(bytes) as f64,
        DType::U16 => of::<u16>(bytes).into(),
        DType::U32 => of::<u32>(bytes).into(),
        DType::U64 => of::<u64>(bytes) as f64,
        DType::F16 => of::<f16>(bytes).into(),
        DType::BF16 => of::<bf16>(bytes).into(),
        DType::F32 => of::<f32>(bytes).into(),
        DType::F64 => of(bytes),
        _ => dtype.small().unwrap().value(bytes[0]).into(),
    }
}

/// Whether a dtype has a value, of those that the test tries: found by a search of all elements, or
/// by NumPy's rules for integers.
fn has(dtype: DType, value: f64) -> bool {
    let is_it = |x: f64| x == value || x.is_nan() && value.is_nan();
    match dtype {
        DType::F32 => value.is_nan() || f64::from(value as f32) == value,
        DType::F64 => true,
        _ if dtype.size() == 1 && dtype != DType::Bool => {
            (0..=u8::MAX).any(|byte| is_it(read(dtype, &[byte])))
        }
        _ if dtype.size() == 2 => {
            (0..=u16::MAX).any(|bits| is_it(read(dtype, &bits.to_ne_bytes())))
        }
        _ => {
            // 2^63 and 2^64 are the first numbers that are too large, which an f64 holds exactly.
            let (low, end) = match dtype {
                DType::Bool => (0.0, 2.0),
                DType::I32 => (-2_f64.powi(31), 2_f64.powi(31)),
                DType::U32 => (0.0, 2_f64.powi(32)),
                DType::I64 => (-2_f64.powi(63), 2_f64.powi(63)),
                _ => (0.0, 2_f64.powi(64)),
            };
            low <= value && value < end && value.fract() == 0.0
        }
    }
}

/// How often each outcome comes up must be within six standard deviations of what is expected: a
/// right generator fails that once in a hundred million outcomes, and this one has no luck.
fn assert_uniform(counts: &[u32]) {
    let expected = f64::from(counts.iter().sum::<u32>()) / counts.len() as f64;
    for count in counts {
        let off = (f64::from(*count) - expected).abs();
        assert!(off < 6.0 * expected.sqrt(), "{count} of {expected}");
    }
}

#[test]
fn each_place_of_a_crop_is_as_likely() {
    // Each element says where it is.
    let bytes: Vec<u8> = (0..10 * 12).collect();
    let row = RowType::new(DType::U8, [10, 12]);
    let crop = RandomCrop::new([8, 9]).flip(0.5);
    let mut counts = vec![0_u32; 3 * 4 * 2];
    for position in 0..100_000 {
        let mut rng = PositionRng::new(1, 2, position);
        let (_, found) = apply(&crop, &row, &bytes, &mut rng).unwrap();
        let mirrored = found[1] < found[0];
        let corner = usize::from(if mirrored { found[8] } else { found[0] });
        counts[(corner / 12 * 4 + corner % 12) * 2 + usize::from(mirrored)] += 1;
    }
    assert_uniform(&counts);
}

#[test]
fn each_middle_of_a_cutout_is_as_likely() {
    let row = RowType::new(DType::U8, [5, 7]);
    let cutout = Cutout::new(1).fill(1.0);
    let mut counts = vec![0_u32; 5 * 7];
    for position in 0..100_000 {
        let mut rng = PositionRng::new(1, 2, position);
        let (_, found) = apply(&cutout, &row, &[0; 5 * 7], &mut rng).unwrap();
        counts[found.iter().position(|x| *x == 1).unwrap()] += 1;
    }
    assert_uniform(&counts);
}

#[test]
fn a_flip_comes_as_often_as_its_probability_says() {
    let row = RowType::new(DType::U8, [2, 1]);
    for p in [0.0, 0.1, 0.5, 1.0] {
        let flip = RandomFlip::vertical(p);
        let flips = (0..100_000).filter(|position| {
            let mut rng = PositionRng::new(1, 2, *position);
            apply(&flip, &row, &[0, 1], &mut rng).unwrap().1 == [1, 0]
        });
        let off = (flips.count() as f64 - 1e5 * p).abs();
        assert!(off <= 6.0 * (1e5 * p * (1.0 - p)).sqrt(), "{off} of {p}");
    }
}

#[test]
fn labels_of_any_integer_become_probabilities() {
    for &dtype in DType::ALL {
        let one_hot = OneHot::new(3).smoothing(0.6);
        if !dtype.is_int() {
            assert_eq!(refused(&one_hot, dtype, &[]).0, ErrorKind::Dtype);
            continue;
        }
        // Zero in every dtype, and one in all but one.
        for label in [0, 1] {
            if label == 1 && dtype == DType::I1 {
                continue;
            }
            let mut bytes = vec![0; dtype.size()];
            let low = if cfg!(target_endian = "big") {
                dtype.size() - 1
            } else {
                0
            };
            bytes[low] = label as u8;
            let mut rng = PositionRng::new(0, 0, 0);
            let row = RowType::new(dtype, []);
            let (new, found) = apply(&one_hot, &row, &bytes, &mut rng).unwrap();
            assert_eq!(new, RowType::new(DType::F32, [3]));
            let mut expected = [0.2_f32; 3];
            expected[label] = 0.6;
            assert_eq!(found, bytemuck::cast_slice::<f32, u8>(&expected), "{dtype}");
        }
    }
}

#[test]
fn a_label_that_is_no_class_is_named() {
    for (dtype, bytes, label) in [
        (DType::U8, vec![10], "10"),
        (DType::I8, vec![0xff], "-1"),
        (DType::I1, vec![1], "-1"),
        (DType::U64, vec![0xff; 8], "18446744073709551615"),
        (
            DType::I64,
            i64::MIN.to_ne_bytes().to_vec(),
            "-9223372036854775808",
        ),
    ] {
        let mut rng = PositionRng::new(0, 0, 0);
        let row = RowType::new(dtype, []);
        let error = apply(&OneHot::new(10), &row, &bytes, &mut rng).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Value);
        let message = format!("the label {label} is none of 10 classes, 0 to 9");
        assert_eq!(error.message(), message);
    }
}

#[test]
fn classes_and_smoothing_are_checked() {
    let none = OneHot::new(0);
    assert_eq!(refused(&none, DType::U8, &[]).0, ErrorKind::Usage);
    for eps in [-0.1, 1.1, f64::NAN] {
        let smooth = OneHot::new(2).smoothing(eps);
        assert_eq!(refused(&smooth, DType::U8, &[]).0, ErrorKind::Usage);
    }
    let many = OneHot::new(usize::MAX / 2);
    assert_eq!(refused(&many, DType::U8, &[]).0, ErrorKind::Overflow);
}

#[test]
fn noise_has_parameters_that_make_sense() {
    for noise in [
        Noise::gaussian(-1.0),
        Noise::gaussian(f64::NAN),
        Noise::gaussian(f64::INFINITY),
        Noise::uniform(1.0, 0.0),
        Noise::uniform(f64::NAN, 0.0),
        Noise::uniform(0.0, f64::INFINITY),
        Noise::uniform(f64::NEG_INFINITY, f64::NEG_INFINITY),
        Noise::uniform(f64::MIN, f64::MAX),
    ] {
        assert_eq!(
            refused(&noise, DType::F32, &[2]).0,
            ErrorKind::Usage,
            "{noise:?}"
        );
    }
    for &dtype in DType::ALL {
        let takes = Noise::gaussian(1.0)
            .output(&RowType::new(dtype, [2]))
            .is_ok();
        assert_eq!(takes, [DType::F32, DType::F64].contains(&dtype));
    }
    let none = Noise::uniform(0.25, 0.25);
    let mut rng = PositionRng::new(0, 0, 0);
    let row = RowType::new(DType::F32, [1]);
    let (_, found) = apply(&none, &row, &1_f32.to_ne_bytes(), &mut rng).unwrap();
    assert_eq!(found, 1.25_f32.to_ne_bytes());
}

/// The share of a standard normal variable below a few numbers, and the same for uniform noise.
#[test]
fn noise_has_its_distribution() {
    let count = 200_000;
    let row = RowType::new(DType::F64, [count]);
    let zeros = vec![0; count * 8];
    let shares = |noise: Noise, ends: &[(f64, f64)]| {
        let mut rng = PositionRng::new(1, 2, 3);
        let (_, found) = apply(&noise, &row, &zeros, &mut rng).unwrap();
        let (found, _) = found.as_chunks::<8>();
        for (end, share) in ends {
            let below = found
                .iter()
                .filter(|x| f64::from_ne_bytes(**x) < *end)
                .count();
            let count = count as f64;
            let off = (below as f64 - count * share).abs();
            assert!(
                off <= 6.0 * (count * share * (1.0 - share)).sqrt(),
                "{noise:?} {end}"
            );
        }
    };
    shares(
        Noise::gaussian(2.0),
        &[
            (-6.0, 0.0013498980316300946),
            (-2.0, 0.15865525393145705),
            (-0.2, 0.460172162722971),
            (0.0, 0.5),
            (2.0, 0.8413447460685429),
            (4.0, 0.9772498680518208),
            (20.0, 1.0),
        ],
    );
    shares(
        Noise::uniform(-1.0, 3.0),
        &[(-1.0, 0.0), (0.0, 0.25), (2.5, 0.875), (3.0, 1.0)],
    );
}

#[cfg(feature = "resize")]
#[test]
fn only_images_of_pixels_are_resized() {
    let resize = Resize::new([4, 4]);
    for &dtype in DType::ALL {
        let takes = resize.output(&RowType::new(dtype, [2, 2])).is_ok();
        assert_eq!(takes, [DType::U8, DType::U16, DType::F32].contains(&dtype));
    }
    for shape in [[0, 4], [4, 0]] {
        assert_eq!(refused(&resize, DType::U8, &shape).0, ErrorKind::Shape);
        assert_eq!(
            refused(&Resize::new(shape), DType::U8, &[4, 4]).0,
            ErrorKind::Usage
        );
    }
    let last = resize.clone().channels_last();
    for channels in [0, 5] {
        assert_eq!(
            refused(&last, DType::U8, &[4, 4, channels]).0,
            ErrorKind::Shape
        );
    }
    let first = resize.channels_first();
    let none = first.output(&RowType::new(DType::U8, [0, 4, 4])).unwrap();
    assert_eq!(none.shape, [0, 4, 4]);
    assert!(first.output(&RowType::new(DType::U8, [5, 4, 4])).is_ok());
    let large = Resize::new([1 << 32, 1]);
    assert_eq!(refused(&large, DType::U8, &[4, 4]).0, ErrorKind::Limit);
    let large = Resize::new([u32::MAX as usize; 2]);
    assert_eq!(refused(&large, DType::U8, &[4, 4]).0, ErrorKind::Overflow);
}

#[cfg(feature = "resize")]
proptest! {
    #[test]
    fn the_nearest_pixel_has_the_middle_of_the_new_one(
        image in image(),
        size in [1..20_usize, 1..20],
    ) {
        prop_assume!(!image.bytes.is_empty());
        let transform = Resize::new(size).filter(ResizeFilter::Nearest);
        let transform = laid_out!(transform, image);
        let mut rng = PositionRng::new(0, 0, 0);
        let (new, found) = apply(&transform, &image.row_type(), &image.bytes, &mut rng).unwrap();
        prop_assert_eq!(new, RowType::new(image.dtype, image.shape_of(size)));
        // The last old pixel that begins at or before the middle.
        let nearest = |at: isize, old: usize, new: usize| {
            (0..old as isize)
                .rfind(|i| 2 * i * new as isize <= (2 * at + 1) * old as isize)
                .unwrap()
        };
        let expected = image.made(size, |c, y, x| {
            let y = nearest(y, image.height, size[0]);
            image.element(c, y, nearest(x, image.width, size[1])).unwrap().to_vec()
        });
        prop_assert_eq!(found, expected);
    }
}
