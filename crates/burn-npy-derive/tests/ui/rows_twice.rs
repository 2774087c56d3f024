#[derive(burn_npy_derive::Batch)]
struct Digits {
    images: Tensor<3>,
    #[batch(rows)]
    rows: Vec<usize>,
    #[batch(rows)]
    again: Vec<usize>,
}

fn main() {}
