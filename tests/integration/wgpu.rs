//! The same batches on wgpu, with whatever Vulkan driver there is; Mesa's works without a GPU.

use std::panic::catch_unwind;

use burn::data::dataloader::DataLoader;
use burn::tensor::{Bool, Device, DeviceKind, Int, Tensor, TensorData};
use burn_npy::ndarray::{Array1, Array2, Array3};
use burn_npy::{Array, Convert, DType, DataLoaderBuilder, NpyBatcher, NpyDataset};

use crate::skip;

fn device() -> Option<Device> {
    // Without a driver, the first use of the device panics.
    let found = catch_unwind(|| {
        let device = Device::wgpu(DeviceKind::DefaultDevice);
        let one = Tensor::<1>::from_data([1.0_f32], &device);
        let _ = one.into_data();
        device
    });
    if found.is_err() {
        skip("there is no Vulkan driver");
    }
    found.ok()
}

type Batch = (Tensor<3>, Tensor<1, Int>, Tensor<2, Bool>);

fn batches(device: &Device, workers: usize) -> Vec<[TensorData; 3]> {
    let images = Array3::from_shape_fn((50, 4, 3), |(i, y, x)| (i * 5 + y * 3 + x) as u8);
    let dataset = NpyDataset::from_arrays([
        ("images", Array::from(images)),
        ("labels", Array1::from_shape_fn(50, |i| i as u8).into()),
        (
            "flags",
            Array2::from_shape_fn((50, 2), |(i, j)| i % 3 == j).into(),
        ),
    ])
    .and_then(|dataset| dataset.convert("images", &Convert::to(DType::F32).divide(255.0)))
    .unwrap();
    let loader = DataLoaderBuilder::new(NpyBatcher::<Batch>::all().device_dtypes())
        .batch_size(8)
        .shuffle(3)
        .num_workers(workers)
        .set_device(device.clone())
        .try_build(dataset)
        .unwrap();
    let mut batches = Vec::new();
    for _ in 0..2 {
        for batch in loader.iter() {
            let (images, labels, flags) = batch.unwrap();
            batches.push([images.into_data(), labels.into_data(), flags.into_data()]);
        }
    }
    batches
}

#[test]
fn wgpu_gets_the_batches_of_the_cpu() {
    let Some(device) = device() else { return };
    let cpu = batches(&crate::cpu(), 0);
    assert_eq!(cpu.len(), 14);
    for workers in [0, 2] {
        let gpu = batches(&device, workers);
        assert_eq!(gpu.len(), cpu.len());
        for (gpu, cpu) in gpu.iter().zip(&cpu) {
            assert_eq!(
                gpu[0].as_slice::<f32>().unwrap(),
                cpu[0].as_slice::<f32>().unwrap()
            );
            let ints = |data: &TensorData| data.iter::<i64>().collect::<Vec<_>>();
            assert_eq!(ints(&gpu[1]), ints(&cpu[1]));
            let bools = |data: &TensorData| data.iter::<bool>().collect::<Vec<_>>();
            assert_eq!(bools(&gpu[2]), bools(&cpu[2]));
        }
    }
}

#[test]
fn a_dtype_that_the_device_lacks_is_an_error_of_the_loader() {
    let Some(device) = device() else { return };
    if device.supports_dtype(burn::tensor::DType::F64) {
        return;
    }
    let dataset = NpyDataset::from_tensor_slices(Array1::<f64>::zeros(4)).unwrap();
    let build = |batcher: NpyBatcher<Tensor<1>>| {
        DataLoaderBuilder::new(batcher)
            .set_device(device.clone())
            .try_build(dataset.clone())
    };
    let error = build(NpyBatcher::all()).unwrap_err().to_string();
    assert!(error.contains("has no float64 tensors"), "{error}");
    assert!(build(NpyBatcher::all().device_dtypes()).is_ok());

    // A loader that is moved there later says so in its first batch.
    let loader = DataLoaderBuilder::new(NpyBatcher::<Tensor<1>>::all())
        .set_device(crate::cpu())
        .try_build(dataset.clone())
        .unwrap();
    let moved = loader.to_device(&device);
    let error = moved.iter().next().unwrap().unwrap_err().to_string();
    assert!(error.contains("has no float64 tensors"), "{error}");
}
