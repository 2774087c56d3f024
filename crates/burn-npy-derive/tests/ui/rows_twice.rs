#[derive(burn_npy_derive::Batch)]
struct Digits {
    images: Tensor<3>,
    #[batch(file_rows)]
    rows: Vec<usize>,
    #[batch(file_rows)]
    again: Vec<usize>,
}

fn main() {}
