//! Batches as Burn makes them: a dataset of items in memory, and a batcher that makes tensors of
//! them.

use burn::data::dataloader::batcher::Batcher;
use burn::tensor::{Device, Int, Tensor, TensorData};

use super::{Batch, Feature};

/// A row as Burn's datasets usually hold it.
#[derive(Clone, Debug)]
pub(crate) struct Item<T> {
    pub(crate) features: Vec<T>,
    pub(crate) label: i64,
}

/// Makes a tensor of each item and joins them by `cat`, as Burn's examples do.
#[derive(Clone)]
pub(crate) struct Usual;

impl<T: Feature> Batcher<Item<T>, Batch> for Usual {
    fn batch(&self, items: Vec<Item<T>>, device: &Device) -> Batch {
        let features = items.iter().map(|item| {
            let values: Vec<f32> = item.features.iter().map(|x| x.to_f32()).collect();
            let len = values.len();
            Tensor::<2>::from_data(TensorData::new(values, [1, len]), device)
        });
        let labels = items
            .iter()
            .map(|item| Tensor::<1, Int>::from_data([item.label], device));
        (
            Tensor::cat(features.collect(), 0),
            Tensor::cat(labels.collect(), 0),
        )
    }
}

/// Makes one `Vec` for each batch, which is the fastest way with items.
#[derive(Clone)]
pub(crate) struct Best;

impl<T: Feature> Batcher<Item<T>, Batch> for Best {
    fn batch(&self, items: Vec<Item<T>>, device: &Device) -> Batch {
        let row_len = items[0].features.len();
        let mut values = Vec::with_capacity(items.len() * row_len);
        for item in &items {
            values.extend(item.features.iter().map(|x| x.to_f32()));
        }
        let labels: Vec<i64> = items.iter().map(|item| item.label).collect();
        let shape = [items.len(), row_len];
        (
            Tensor::from_data(TensorData::new(values, shape), device),
            Tensor::from_data(TensorData::new(labels, [items.len()]), device),
        )
    }
}
