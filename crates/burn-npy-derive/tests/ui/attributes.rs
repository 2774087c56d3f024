#[derive(burn_npy_derive::Batch)]
struct Digits {
    #[batch(name = "x")]
    images: Tensor<3>,
    #[batch(column)]
    labels: Tensor<1, Int>,
    #[batch(column = 3)]
    weights: Tensor<1>,
    #[batch(file_rows, default)]
    rows: Vec<usize>,
    #[batch(pad = "x")]
    padded: Tensor<2>,
    #[batch(pad = 9007199254740993)]
    inexact: Tensor<2>,
    #[batch(lengths = "x", pad = 1)]
    lengths: Tensor<1, Int>,
    #[batch(mask_pad)]
    mask: Tensor<2, Bool>,
    #[batch]
    bare: Tensor<1>,
}

#[derive(burn_npy_derive::Batch)]
#[batch(column = "x")]
struct Outside {
    images: Tensor<3>,
}

fn main() {}
