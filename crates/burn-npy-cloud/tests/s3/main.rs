//! Objects of an S3 server that runs in this process.

mod errors;
mod list;
mod proxy;
mod read;
mod server;
mod training;

/// 12,000 handwritten digits, in an archive with deflated members.
const MNIST: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../examples/mnist/data/mnist.npz"
);
