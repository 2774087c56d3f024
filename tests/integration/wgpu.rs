//! The same batches on wgpu, with any Vulkan driver. Mesa's works without a GPU.

use std::panic::catch_unwind;
use std::sync::{Mutex, MutexGuard, PoisonError};

use burn::data::dataloader::DataLoader;
use burn::tensor::{Bool, Device, DeviceKind, Int, Tensor, TensorData};
use burn_npy::ndarray::{Array1, Array2, Array3, Array4};
use burn_npy::{Array, Convert, DataLoaderBuilder, NpyBatcher, NpyDataset};

use crate::skip;

/// The device, for one test at a time: its memory is measured.
fn device() -> Option<(Device, MutexGuard<'static, ()>)> {
    static ALONE: Mutex<()> = Mutex::new(());
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
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
    found.ok().map(|device| (device, alone))
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
    .and_then(|dataset| dataset.convert("images", Convert::to::<f32>().divide(255.0)))
    .unwrap();
    let loader = DataLoaderBuilder::new(NpyBatcher::<Batch>::new())
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
    let Some((device, _alone)) = device() else {
        return;
    };
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
fn several_devices_train_as_one() {
    let Some((device, _alone)) = device() else {
        return;
    };
    crate::devices::trains_as_on_one(&device);
}

#[test]
fn a_dtype_that_the_device_lacks_is_an_error_of_the_loader() {
    let Some((device, _alone)) = device() else {
        return;
    };
    if device.supports_dtype(burn::tensor::DType::F64) {
        return;
    }
    let dataset = NpyDataset::from_tensor_slices(Array1::<f64>::zeros(4)).unwrap();
    let build = |batcher: NpyBatcher<Tensor<1>>| {
        DataLoaderBuilder::new(batcher)
            .set_device(device.clone())
            .try_build(dataset.clone())
    };
    let error = build(NpyBatcher::new()).unwrap_err().to_string();
    assert!(error.contains("has no float64 tensors"), "{error}");
    assert!(build(NpyBatcher::new()).is_ok());

    // A loader that is moved there later says so in its first batch.
    let loader = DataLoaderBuilder::new(NpyBatcher::<Tensor<1>>::new())
        .set_device(crate::cpu())
        .try_build(dataset.clone())
        .unwrap();
    let moved = loader.to_device(&device);
    let error = moved.iter().next().unwrap().unwrap_err().to_string();
    assert!(error.contains("has no float64 tensors"), "{error}");
}

/// Rows of 105 bytes, which no integer of four bytes divides.
fn images<T>(of: fn(usize) -> T) -> Array
where
    T: burn_npy::file::Element + Clone,
{
    Array4::from_shape_fn((11, 3, 5, 7), |(i, c, y, x)| {
        of(i * 41 + c * 89 + y * 13 + x * 3)
    })
    .into()
}

fn conversions() -> Vec<Convert> {
    let float = || Convert::to::<f32>();
    vec![
        float().divide(255.0),
        float().scale(0.1).offset(-3.0),
        // Channels first, and last.
        float()
            .divide(255.0)
            .normalize(&[0.485, 0.456, 0.406], &[0.229, 0.224, 0.225]),
        float().normalize_axis(2, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], &[0.3; 7]),
    ]
}

/// The bits of all batches of an epoch, whose last is short.
fn bits(dataset: &NpyDataset, batcher: NpyBatcher<Tensor<4>>, device: &Device) -> Vec<Vec<u32>> {
    let loader = DataLoaderBuilder::new(batcher)
        .batch_size(4)
        .shuffle(5)
        .num_workers(2)
        .set_device(device.clone())
        .try_build(dataset.clone())
        .unwrap();
    let bits = |batch: Tensor<4>| {
        let data = batch.into_data();
        let values = data.as_slice::<f32>().unwrap();
        values.iter().map(|x| x.to_bits()).collect()
    };
    loader.iter().map(|batch| bits(batch.unwrap())).collect()
}

#[test]
fn bytes_become_on_the_device_what_they_would_on_the_host() {
    let Some((device, _alone)) = device() else {
        return;
    };
    for (stored, convert) in [images(|i| i as u8), images(|i| i as i8)]
        .into_iter()
        .flat_map(|stored| conversions().into_iter().map(move |c| (stored.clone(), c)))
    {
        let dataset = NpyDataset::from_arrays([("images", stored)])
            .and_then(|dataset| dataset.convert("images", convert.clone()))
            .unwrap();
        let cpu = bits(&dataset, NpyBatcher::new(), &crate::cpu());
        assert_eq!(cpu.iter().map(Vec::len).sum::<usize>(), 11 * 105);
        for device in [device.clone(), device.clone().autodiff()] {
            assert!(
                bits(&dataset, NpyBatcher::new(), &device) == cpu,
                "{convert:?}"
            );
        }
        let wide = NpyBatcher::new().convert_on_device(false);
        assert!(bits(&dataset, wide, &device) == cpu, "{convert:?}");
    }
}

#[test]
fn integers_of_bytes_go_up_as_bytes() {
    let Some((device, _alone)) = device() else {
        return;
    };
    let tokens = Array2::from_shape_fn((6, 65), |(i, j)| (i * 65 + j) as u8);
    let dataset = NpyDataset::from_tensor_slices(tokens.clone()).unwrap();
    let batcher = NpyBatcher::<Tensor<2, Int>>::new();
    let rows = [4, 0, 5].map(|row| dataset.row(row));
    let batch = batcher.try_batch(&rows, &device).unwrap();
    assert_eq!(batch.dtype(), device.settings().int_dtype.into());
    let expected = [4, 0, 5].map(|row| tokens.row(row).to_vec()).concat();
    let found = batch.into_data();
    assert!(found.iter::<i64>().map(|x| x as u8).eq(expected));
}

/// Two datasets that convert in their own ways, in one batch and in turns.
#[test]
fn each_dataset_is_widened_in_its_own_way() {
    let Some((device, _alone)) = device() else {
        return;
    };
    let dataset = |divisor: f64| {
        NpyDataset::from_tensor_slices(Array2::from_elem((3, 64), 6_u8))
            .and_then(|dataset| dataset.convert("0", Convert::to::<f32>().divide(divisor)))
            .unwrap()
    };
    let (halves, thirds) = (dataset(2.0), dataset(3.0));
    let batcher = NpyBatcher::<Tensor<2>>::new();
    let firsts = |rows: &[burn_npy::Row]| -> Vec<f32> {
        let batch = batcher.try_batch(rows, &device).unwrap();
        batch
            .slice([0..rows.len(), 63..64])
            .into_data()
            .iter()
            .collect()
    };
    assert_eq!(firsts(&[halves.row(0)]), [3.0]);
    assert_eq!(firsts(&[thirds.row(1), thirds.row(2)]), [2.0, 2.0]);
    assert_eq!(firsts(&[halves.row(0), thirds.row(1)]), [3.0, 2.0]);
    assert_eq!(firsts(&[halves.row(2)]), [3.0]);
}

#[test]
fn uploads_of_bytes_are_a_quarter() {
    let Some((device, _alone)) = device() else {
        return;
    };
    let dataset = NpyDataset::from_tensor_slices(Array3::from_elem((10, 8, 24), 7_u8))
        .and_then(|dataset| dataset.convert("0", Convert::to::<f32>().divide(255.0)))
        .unwrap();
    let uploaded_bytes = |batcher: NpyBatcher<Tensor<3>>, device: &Device| {
        let loader = DataLoaderBuilder::new(batcher)
            .batch_size(4)
            .num_workers(1)
            .set_device(device.clone())
            .try_build(dataset.clone())
            .unwrap();
        assert_eq!(loader.iter().count(), 3);
        loader.report().uploaded_bytes()
    };
    let wide = NpyBatcher::new().convert_on_device(false);
    assert_eq!(uploaded_bytes(wide, &device), 4 * 10 * 192);
    assert_eq!(uploaded_bytes(NpyBatcher::new(), &device), 10 * 192);
    // The host's memory needs no upload, and so no second step.
    assert_eq!(
        uploaded_bytes(NpyBatcher::new(), &crate::cpu()),
        4 * 10 * 192
    );
}

#[test]
fn the_memory_of_the_device_is_flat_over_epochs() {
    let Some((device, _alone)) = device() else {
        return;
    };
    let images = Array4::from_shape_fn((200, 3, 32, 32), |(i, c, y, x)| (i + c + y * x) as u8);
    let dataset = NpyDataset::from_arrays([
        ("images", Array::from(images)),
        ("labels", Array1::from_shape_fn(200, |i| i as u8).into()),
    ])
    .and_then(|dataset| {
        let convert = Convert::to::<f32>().divide(255.0);
        dataset.convert("images", convert.normalize(&[0.5; 3], &[0.3; 3]))
    })
    .unwrap();
    for narrow in [true, false] {
        let batcher = NpyBatcher::<(Tensor<4>, Tensor<1, Int>)>::new();
        let loader = DataLoaderBuilder::new(batcher.convert_on_device(narrow))
            .batch_size(32)
            .shuffle(1)
            .num_workers(2)
            .set_device(device.clone())
            .try_build(dataset.clone())
            .unwrap();
        let mut memory = Vec::new();
        for _ in 0..50 {
            let mut sum = Tensor::<1>::zeros([1], &device);
            for batch in loader.iter() {
                let (images, labels) = batch.unwrap();
                sum = sum + images.mean() * labels.float().mean();
            }
            assert!(sum.into_scalar::<f32>().is_finite());
            device.sync().unwrap();
            let usage = device.memory_pool_usage().unwrap();
            memory.push((usage.bytes_reserved, usage.bytes_in_use));
        }
        assert_eq!(memory[9], memory[49], "narrow: {narrow}, {memory:?}");
    }
}

/// With workers, the tensors of a batch are made while the consumer has the one before it; nobody
/// can tell but by the report.
#[test]
fn batches_are_uploaded_ahead_of_the_consumer() {
    let Some((device, _alone)) = device() else {
        return;
    };
    let dataset = NpyDataset::from_tensor_slices(Array1::from_iter(0..40_i32)).unwrap();
    let loader = |workers| {
        DataLoaderBuilder::new(NpyBatcher::<Tensor<1, Int>>::new())
            .map(|batch, info| {
                assert_ne!(info.batch(), 7, "not this one");
                batch + 1
            })
            .batch_size(4)
            .num_workers(workers)
            .set_device(device.clone())
            .try_build(dataset.clone())
            .unwrap()
    };
    for workers in [0, 1, 3] {
        let loader = loader(workers);
        let mut pass = loader.iter();
        for batch in 0..7 {
            let expected: Vec<i32> = (4 * batch + 1..4 * batch + 5).collect();
            let found = pass.next().unwrap().unwrap().into_data();
            assert_eq!(found.iter::<i32>().collect::<Vec<_>>(), expected);
            // What is ready ahead was not yielded.
            let rows: Vec<_> = pass
                .info()
                .unwrap()
                .rows()
                .iter()
                .map(|row| *row as i32)
                .collect();
            assert_eq!(rows, (4 * batch..4 * batch + 4).collect::<Vec<_>>());
            assert_eq!(pass.progress().items_processed, 4 * (batch as usize + 1));
        }
        let error = pass.next().unwrap().unwrap_err().to_string();
        assert!(error.contains("not this one"), "{error}");
        assert!(pass.next().is_none());
        assert_eq!(loader.report().is_ahead(), workers > 0);
        // With a batch in its hands, and with none yet, the thread leaves when it is not needed.
        drop(loader.iter().next());
        drop(loader.iter());
    }
}

#[test]
fn columns_that_stay_on_the_device_give_the_same_batches() {
    if let Some((device, _alone)) = device() {
        // Gray images and colors go up as bytes; rows of 77 bytes are no whole number of integers.
        crate::resident::the_batches_are_those_of_a_gather(&device, 80 + 108);
    }
}

/// The digits go over the bus in each epoch, or once.
#[test]
fn resident_digits_cost_their_row_numbers() {
    let Some((device, _alone)) = device() else {
        return;
    };
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/mnist/data/mnist.npz");
    let columns = [("images", "train_images"), ("labels", "train_labels")];
    let digits = NpyDataset::from_npz(path, columns)
        .and_then(|digits| digits.convert("images", Convert::to::<f32>().divide(255.0)))
        .unwrap();
    let bytes_of_epochs = |resident: bool| {
        let loader = digits
            .loader::<(Tensor<3>, Tensor<1, Int>)>()
            .batch_size(256)
            .shuffle(1)
            .resident(resident)
            .set_device(device.clone())
            .try_build()
            .unwrap();
        let mut seen = 0;
        [0; 3].map(|_| {
            for batch in loader.iter() {
                let (images, labels) = batch.unwrap();
                assert_eq!(images.dims(), [labels.dims()[0], 28, 28]);
            }
            let all = loader.report().uploaded_bytes();
            all - std::mem::replace(&mut seen, all)
        })
    };
    let rows = digits.len() as u64;
    // Bytes of the image, and a label as an integer of the device.
    let row = 784 + 4;
    assert_eq!(bytes_of_epochs(false), [rows * row; 3]);
    let once = rows * row + rows * 4;
    assert_eq!(bytes_of_epochs(true), [once, rows * 4, rows * 4]);
}
