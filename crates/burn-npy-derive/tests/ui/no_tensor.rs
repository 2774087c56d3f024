#[derive(burn_npy_derive::Batch)]
struct Unit;

#[derive(burn_npy_derive::Batch)]
struct OnlyRows {
    #[batch(file_rows)]
    rows: Vec<usize>,
}

fn main() {}
