#[derive(burn_npy_derive::Batch)]
struct Digits(Tensor<3>, Tensor<1, Int>);

fn main() {}
