//! From NumPy files to batches of tensors, in one page.
//!
//! `cargo run --release --example quickstart`

use std::error::Error;
use std::io::Write;

use burn::tensor::{Device, Int, Tensor};
use burn_npy::ndarray::{Array1, Array3};
use burn_npy::{Convert, DType, DataLoaderBuilder, NpyBatcher, NpyDataset};

fn main() -> Result<(), Box<dyn Error>> {
    match run(&mut std::io::stdout().lock()) {
        // The reader of a pipe has closed it, as `head` does.
        Err(error) if is_closed_pipe(&*error) => Ok(()),
        done => done,
    }
}

fn run(out: &mut impl Write) -> Result<(), Box<dyn Error>> {
    // Two files, as `np.save` would write them: 1,000 grey images and their labels.
    let dir = tempfile::tempdir()?;
    let images = dir.path().join("images.npy");
    let labels = dir.path().join("labels.npy");
    let pixel = |(i, y, x)| (i + y * x) as u8;
    burn_npy::write_npy(&images, &Array3::from_shape_fn((1000, 28, 28), pixel))?;
    burn_npy::write_npy(&labels, &Array1::from_shape_fn(1000, |i| (i % 10) as u8))?;

    // Opening reads the headers only. The rest of the files is read on demand.
    let dataset = NpyDataset::from_files([("images", images), ("labels", labels)])?
        .convert("images", &Convert::to(DType::F32).divide(255.0))?;
    writeln!(out, "{dataset:?}")?;
    writeln!(out, "label of row 7: {}", dataset.row(7).value("labels")?)?;

    // The columns of the tensors, the order, and the number of threads.
    let batcher = NpyBatcher::<(Tensor<3>, Tensor<1, Int>)>::all().device_dtypes();
    let loader = DataLoaderBuilder::new(batcher)
        .batch_size(128)
        .shuffle(42)
        .num_workers(2)
        .set_device(Device::default())
        .try_build(dataset)?;

    for batch in loader.iter() {
        let (images, labels) = batch?;
        writeln!(out, "{:?} {:?}", images.dims(), labels.dims())?;
    }
    Ok(())
}

fn is_closed_pipe(error: &(dyn Error + 'static)) -> bool {
    let error = error.downcast_ref::<std::io::Error>();
    error.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}
