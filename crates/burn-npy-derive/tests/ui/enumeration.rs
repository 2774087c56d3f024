#[derive(burn_npy_derive::Batch)]
enum Digits {
    Images,
}

fn main() {}
