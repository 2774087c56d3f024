//! Whatever fails is one clear error, and the next epoch works.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::{Dataset, DatasetError};
use burn::tensor::{Bool, Device, Int, Tensor};
use burn_npy::ndarray::{Array1, Array2, Array3};
use burn_npy::{
    Array, Batch, DataLoaderBuilder, Error, ErrorKind, Loader, NpyBatcher, NpyDataset, Sampler,
    file::{Access, OpenOptions, write_npy},
};

use crate::{builder, epoch, numbered};

/// Runs a pass: how many batches came, and the errors.
fn pass<O: Send + 'static>(loader: &Arc<Loader<O>>) -> (usize, Vec<Error>) {
    let mut batches = 0;
    let mut errors = Vec::new();
    for batch in loader.iter() {
        match batch {
            Ok(_) => batches += 1,
            Err(error) => errors.push(error),
        }
    }
    (batches, errors)
}

/// Panics at item 20 while it is told to.
#[derive(Clone)]
struct Fragile(Arc<AtomicBool>);

impl Batcher<usize, Vec<usize>> for Fragile {
    fn batch(&self, items: Vec<usize>, _: &Device) -> Vec<usize> {
        if self.0.load(Ordering::SeqCst) && items.contains(&20) {
            panic!("cannot digest {}", items[0]);
        }
        items
    }
}

/// Fails at item 20 while it is told to.
struct Flaky(Arc<AtomicBool>);

impl Dataset<usize> for Flaky {
    fn get(&self, index: usize) -> Result<usize, DatasetError> {
        if self.0.load(Ordering::SeqCst) && index == 20 {
            return Err(DatasetError::new(std::io::Error::other("bad sector")));
        }
        Ok(index)
    }

    fn len(&self) -> usize {
        64
    }
}

#[test]
fn a_batcher_that_panics_is_one_error() {
    for workers in [0, 1, 4] {
        let (fragile, flaky) = (Arc::new(AtomicBool::new(true)), Arc::default());
        let loader = DataLoaderBuilder::new(Fragile(fragile.clone()))
            .batch_size(4)
            .num_workers(workers)
            .set_device(crate::cpu())
            .try_build(Flaky(flaky))
            .unwrap();
        for number in 0..2 {
            let (batches, errors) = pass(&loader);
            assert_eq!((batches, errors.len()), (5, 1), "{workers} workers");
            let error = &errors[0];
            assert_eq!(error.kind(), ErrorKind::Panic);
            assert_eq!((error.epoch(), error.batch()), (Some(number), Some(5)));
            assert_eq!(
                errors[0].to_string(),
                format!("epoch {number}, batch 5: the batcher panicked: cannot digest 20")
            );
        }
        fragile.store(false, Ordering::SeqCst);
        let (batches, errors) = pass(&loader);
        assert_eq!((batches, errors.len()), (16, 0));
    }
}

#[test]
fn a_row_that_fails_is_named() {
    for workers in [0, 3] {
        let flaky = Arc::new(AtomicBool::new(true));
        let loader = DataLoaderBuilder::new(Fragile(Arc::default()))
            .batch_size(8)
            .num_workers(workers)
            .set_device(crate::cpu())
            .try_build(Flaky(flaky.clone()))
            .unwrap();
        let (batches, errors) = pass(&loader);
        assert_eq!((batches, errors.len()), (2, 1));
        assert_eq!(
            errors[0].to_string(),
            "epoch 0, batch 2, row 20: bad sector"
        );
        assert_eq!(errors[0].row(), Some(20));
        flaky.store(false, Ordering::SeqCst);
        assert_eq!(pass(&loader).0, 8);
    }
}

#[test]
fn a_file_that_shrinks_is_one_error() {
    for access in [Access::Mapped, Access::Positioned] {
        for workers in [0, 2] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("numbers.npy");
            write_npy(&path, &Array1::from_iter(0..10_000_i64)).unwrap();
            let options = OpenOptions::new().access(access);
            let array = Array::open_with(&path, options).unwrap();
            let dataset = NpyDataset::from_arrays([("rows", array)]).unwrap();
            let loader = builder()
                .batch_size(100)
                .shuffle(1)
                .num_workers(workers)
                .prefetch(2)
                .try_build(dataset)
                .unwrap();
            assert_eq!(epoch(&loader).len(), 100);

            let mut iter = loader.iter();
            iter.next().unwrap().unwrap();
            // Who gathers from a map while its file shrinks is killed; soon the workers have
            // nothing left to do.
            std::thread::sleep(Duration::from_millis(100));
            let file = std::fs::File::options().write(true).open(&path).unwrap();
            file.set_len(5000).unwrap();
            let errors: Vec<_> = iter.filter_map(Result::err).collect();
            assert_eq!(errors.len(), 1, "{access:?}, {workers} workers");
            let message = errors[0].to_string();
            assert!(message.starts_with("epoch 1, batch "), "{message}");
            assert!(
                message.contains("numbers.npy: `rows`: the file was"),
                "{message}"
            );
            assert_eq!(pass(&loader).1.len(), 1);

            // A change is not forgotten, even if the same bytes come back.
            write_npy(&path, &Array1::from_iter(0..10_000_i64)).unwrap();
            let message = pass(&loader).1[0].to_string();
            assert!(message.contains("the file was 80128 bytes"), "{message}");
        }
    }
}

/// A batch whose constructor panics, which runs on the thread of the consumer.
struct Picky;

impl Batch for Picky {
    type Tensors = Tensor<1, Int>;

    fn from_tensors(tensor: Tensor<1, Int>) -> Self {
        assert!(tensor.dims()[0] > 3, "too few rows");
        Self
    }
}

#[test]
fn a_batch_type_that_panics_is_one_error() {
    for workers in [0, 2] {
        let loader = DataLoaderBuilder::new(NpyBatcher::<Picky>::new())
            .batch_size(4)
            .num_workers(workers)
            .set_device(crate::cpu())
            .try_build(numbered(10))
            .unwrap();
        let (batches, errors) = pass(&loader);
        assert_eq!((batches, errors.len()), (2, 1));
        assert_eq!(
            errors[0].to_string(),
            "epoch 0, batch 2: the batch type panicked: too few rows"
        );
    }
}

#[test]
fn what_does_not_fit_is_refused_when_the_loader_is_built() {
    fn refused<B: Batch>(batcher: NpyBatcher<B>) -> (ErrorKind, String) {
        let dataset = NpyDataset::from_arrays([
            ("images", Array::from(Array3::<u8>::zeros((5, 4, 4)))),
            ("labels", Array1::<i64>::zeros(5).into()),
        ])
        .unwrap();
        let build = |workers| {
            DataLoaderBuilder::new(batcher.clone())
                .num_workers(workers)
                .set_device(crate::cpu())
        };
        let error = build(2).try_build(dataset.clone()).unwrap_err();
        // Rows that come through one of Burn's transforms are looked at when they are wanted.
        let partial = burn::data::dataset::transform::PartialDataset::new(dataset, 1, 4);
        let through_burn = build(0).try_build(partial).unwrap();
        let first = through_burn.iter().next().unwrap().err().unwrap();
        assert_eq!(first.kind(), error.kind());
        assert_eq!(first.to_string(), format!("epoch 0, batch 0: {error}"));
        (error.kind(), error.to_string())
    }
    let (kind, message) = refused(
        NpyBatcher::<(Tensor<3>, Tensor<1, Int>)>::new().with_columns(["images", "labels"]),
    );
    assert_eq!(kind, ErrorKind::Dtype);
    assert_eq!(
        message,
        "`images`: the column is uint8, but the batch wants a float tensor: \
         dataset.convert(\"images\", Convert::to::<f32>()) makes it one, or the field of the \
         batch can be of the kind Int"
    );
    let (kind, message) = refused(NpyBatcher::<Tensor<4, Int>>::new().with_columns(["images"]));
    assert_eq!(kind, ErrorKind::Shape);
    assert!(
        message.starts_with("`images`: rows of shape [4, 4]"),
        "{message}"
    );
    let (kind, message) = refused(NpyBatcher::<Tensor<1, Int>>::new().with_columns(["label"]));
    assert_eq!(kind, ErrorKind::Name);
    assert!(message.contains("images, labels"), "{message}");
    assert_eq!(
        refused(NpyBatcher::<Tensor<1, Bool>>::new().with_columns(["labels"])).0,
        ErrorKind::Dtype
    );
    assert_eq!(
        refused(NpyBatcher::<Tensor<1, Int>>::new()).0,
        ErrorKind::Usage
    );
    // To the device's dtypes, but never from one kind to another.
    let kinds = NpyBatcher::<Tensor<3>>::new().with_columns(["images"]);
    assert_eq!(refused(kinds).0, ErrorKind::Dtype);
    let error = builder().batch_size(0).try_build(numbered(3)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
}

#[test]
fn columns_of_different_lengths_are_named_with_their_counts() {
    let dir = tempfile::tempdir().unwrap();
    let files =
        ["images", "labels"].map(|name| (name, dir.path().join(name).with_extension("npy")));
    write_npy(&files[0].1, &Array2::<f32>::zeros((10, 3))).unwrap();
    write_npy(&files[1].1, &Array1::<u8>::zeros(12)).unwrap();
    let message = NpyDataset::from_files(files.clone())
        .unwrap_err()
        .to_string();
    let [(_, images), (_, labels)] = files.map(|(name, file)| (name, file.display().to_string()));
    assert!(
        message.ends_with(&format!(
            "images has 10 (in {images}), labels has 12 (in {labels})"
        )),
        "{message}"
    );
}

/// As many items as it is told.
struct Changing(Arc<AtomicUsize>);

impl Dataset<u64> for Changing {
    fn get(&self, index: usize) -> Result<u64, DatasetError> {
        if index < self.0.load(Ordering::SeqCst) {
            Ok(index as u64)
        } else {
            Err(DatasetError::new(std::io::Error::other("it is gone")))
        }
    }

    fn len(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

#[test]
fn a_dataset_that_changes_its_length_is_one_error_or_none() {
    for workers in [0, 1, 3] {
        let len = Arc::new(AtomicUsize::new(100));
        let builder = || crate::plain().batch_size(8).num_workers(workers);
        let loader = builder().try_build(Changing(len.clone())).unwrap();
        let weighted = Sampler::weighted(&[1.0; 100], 1).unwrap();
        let weighted = builder()
            .sampler(weighted)
            .try_build(Changing(len.clone()))
            .unwrap();
        let shuffled = builder()
            .shuffle(1)
            .try_build(Changing(len.clone()))
            .unwrap();
        len.store(50, Ordering::SeqCst);
        let (batches, errors) = pass(&loader);
        assert_eq!((batches, errors.len()), (6, 1));
        assert_eq!(errors[0].batch(), Some(6));
        assert_eq!(pass(&weighted).1.len(), 1);
        // What is there when the loader is built is what an epoch has.
        len.store(200, Ordering::SeqCst);
        let mut rows: Vec<_> = shuffled.iter().flat_map(Result::unwrap).collect();
        rows.sort();
        assert_eq!(rows, Vec::from_iter(0..100));
        let (batches, errors) = pass(&weighted);
        assert_eq!((batches, errors.len()), (13, 0));
    }
}

#[test]
fn what_no_memory_is_enough_for_is_an_error() {
    for (workers, size) in [(0, 1 << 48), (1, 1 << 48), (3, usize::MAX)] {
        let draws = Sampler::weighted(&[1.0; 10], 1).unwrap().draws(u64::MAX);
        let loader = crate::plain()
            .batch_size(size)
            .sampler(draws.unwrap())
            .num_workers(workers)
            .try_build(crate::Indices(10))
            .unwrap();
        let (batches, errors) = pass(&loader);
        assert_eq!((batches, errors.len()), (0, 1), "{workers} workers");
        assert!(errors[0].to_string().contains("no memory"), "{}", errors[0]);
    }
    // As many as there are, for who means that.
    for prefetch in [i32::MAX as usize, usize::MAX - 1] {
        let loader = crate::plain()
            .batch_size(3)
            .num_workers(2)
            .prefetch(prefetch)
            .try_build(crate::Indices(100))
            .unwrap();
        assert_eq!(pass(&loader).0, 34);
    }
    let many = crate::plain().num_workers(usize::MAX - 1);
    let error = many.try_build(crate::Indices(10)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
}
