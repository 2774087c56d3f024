#[derive(burn_npy_derive::Batch)]
struct Wide {
    a: Tensor<1>,
    b: Tensor<1>,
    c: Tensor<1>,
    d: Tensor<1>,
    e: Tensor<1>,
    f: Tensor<1>,
    g: Tensor<1>,
    h: Tensor<1>,
    i: Tensor<1>,
    j: Tensor<1>,
    k: Tensor<1>,
    l: Tensor<1>,
    m: Tensor<1>,
}

fn main() {}
