#[derive(burn_npy_derive::Batch)]
struct Digits {
    images: Tensor<3>,
    #[batch(column = "images")]
    labels: Tensor<1, Int>,
}

fn main() {}
