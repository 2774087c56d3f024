//! Burn's own parts work on ours, and ours on Burn's.

use std::sync::Arc;

use burn::data::dataloader::{DataLoader, DataLoaderBuilder as BurnBuilder};
use burn::data::dataset::transform::{
    ComposedDataset, Mapper, MapperDataset, PartialDataset, SamplerDataset, ShuffledDataset,
};
use burn::data::dataset::{Dataset, InMemDataset};
use burn::tensor::{Device, Int, Tensor};
use burn_npy::{DataLoaderBuilder, NpyBatcher, NpyDataset, Row, ndarray::Array1};

use crate::{batches, builder, numbered, numbers};

type Numbers = Tensor<1, Int>;

fn through_burn<D: Dataset<Row> + 'static>(dataset: D, workers: usize) -> Vec<i64> {
    let loader = BurnBuilder::new(NpyBatcher::<Numbers>::new())
        .batch_size(3)
        .num_workers(workers)
        .set_device(crate::cpu())
        .build(dataset);
    batches(&*loader).concat()
}

fn through_ours<D: Dataset<Row> + 'static>(dataset: D, workers: usize) -> Vec<i64> {
    let loader = builder().batch_size(3).num_workers(workers).build(dataset);
    batches(&*loader).concat()
}

#[test]
fn burns_loader_takes_our_dataset_and_batcher() {
    assert_eq!(through_burn(numbered(10), 0), (0..10).collect::<Vec<_>>());
    let mut with_workers = through_burn(numbered(10), 2);
    with_workers.sort();
    assert_eq!(with_workers, (0..10).collect::<Vec<_>>());
}

#[test]
fn burns_transforms_take_our_dataset() {
    for loader in [through_burn, through_ours] {
        let partial = PartialDataset::<_, Row>::new(numbered(10), 3, 7);
        assert_eq!(loader(partial, 0), [3, 4, 5, 6]);
    }
    for workers in [0, 2] {
        let composed = ComposedDataset::new(vec![numbered(5), numbered(4).skip(2)]);
        assert_eq!(through_ours(composed, workers), [0, 1, 2, 3, 4, 2, 3]);

        let shuffled = ShuffledDataset::<_, Row>::new(numbered(20), 42_u64);
        let first = through_ours(shuffled, workers);
        let mut sorted = first.clone();
        sorted.sort();
        assert_ne!(first, sorted);
        assert_eq!(sorted, (0..20).collect::<Vec<_>>());

        let sampled = SamplerDataset::<_, Row>::with_replacement(numbered(5), 30);
        assert_eq!(through_ours(sampled, workers).len(), 30);

        #[derive(Clone)]
        struct Number;
        impl Mapper<Row, i64> for Number {
            fn map(&self, row: &Row) -> i64 {
                row.get::<i64>("0").unwrap()[[]]
            }
        }
        let mapped = MapperDataset::new(numbered(5), Number);
        assert_eq!(mapped.get(3).unwrap(), 3);
    }
}

#[test]
fn our_loader_takes_burns_datasets_and_any_batcher() {
    #[derive(Clone)]
    struct Summing;
    impl burn::data::dataloader::batcher::Batcher<i64, Numbers> for Summing {
        fn batch(&self, items: Vec<i64>, device: &Device) -> Numbers {
            Tensor::from_data([items.iter().sum::<i64>()], device)
        }
    }
    // The lines of an existing project: only the builder is another.
    let loader: Arc<dyn DataLoader<Numbers>> = DataLoaderBuilder::new(Summing)
        .batch_size(4)
        .shuffle(1)
        .num_workers(2)
        .set_device(crate::cpu())
        .build(InMemDataset::new((0..10).collect()));
    let sums: Vec<_> = loader.iter().map(|sum| numbers(sum.unwrap())[0]).collect();
    assert_eq!(sums.len(), 3);
    assert_eq!(sums.iter().sum::<i64>(), 45);
}

#[test]
fn rows_of_datasets_that_differ_are_not_mixed() {
    let bytes = NpyDataset::from_tensor_slices(Array1::from(vec![1_u8, 2])).unwrap();
    let composed = ComposedDataset::new(vec![numbered(2), bytes]);
    let batcher = NpyBatcher::<Tensor<1, Int>>::new().keep_dtypes();
    let builder = DataLoaderBuilder::new(batcher).set_device(crate::cpu());
    let loader = builder.batch_size(3).build(composed);
    let error = loader.iter().next().unwrap().unwrap_err().to_string();
    assert!(
        error.contains("rows of U8 [] after rows of I64 []"),
        "{error}"
    );
}

#[test]
fn splitting_a_loader_over_devices_covers_it() {
    let loader = builder().batch_size(4).shuffle(2).build(numbered(23));
    let devices = [crate::cpu(), crate::cpu(), crate::cpu()];
    let parts = burn::data::dataloader::split::split_dataloader(loader, &devices);
    let mut all: Vec<_> = parts
        .iter()
        .flat_map(|part| batches(&**part).concat())
        .collect();
    all.sort();
    assert_eq!(all, (0..23).collect::<Vec<_>>());
}

/// The shapes in which the examples of Burn use a loader: loaders in one list, and passes over them
/// without the trait `DataLoader` in scope. Nothing but the `use` line differs.
macro_rules! project {
    ($name:ident, $builder:path) => {
        mod $name {
            use burn::data::dataset::InMemDataset;
            use $builder as DataLoaderBuilder;

            use crate::Keep;

            /// The items of each epoch of each loader.
            pub(super) fn run() -> Vec<Vec<u64>> {
                let items = |count: u64| InMemDataset::new((0..count).collect());
                let mut loaders = Vec::new();
                for count in [10, 25] {
                    let loader = DataLoaderBuilder::new(Keep)
                        .batch_size(4)
                        .shuffle(42)
                        .num_workers(2)
                        .set_device(crate::cpu())
                        .build(items(count));
                    loaders.push((format!("of {count}"), loader));
                }
                let plain = DataLoaderBuilder::new(Keep).batch_size(7).build(items(7));
                loaders.push(("plain".to_owned(), plain));
                list(&loaders)
            }

            type Loaders = [(
                String,
                std::sync::Arc<dyn burn::data::dataloader::DataLoader<Vec<u64>>>,
            )];

            fn list(loaders: &Loaders) -> Vec<Vec<u64>> {
                let mut all = Vec::new();
                for (name, loader) in loaders {
                    let mut epoch = Vec::new();
                    for (iteration, batch) in loader.iter().enumerate() {
                        let batch = batch.unwrap();
                        assert!(batch.len() <= 7, "{name}, iteration {iteration}");
                        epoch.extend(batch);
                    }
                    assert_eq!(epoch.len(), loader.num_items());
                    let mut pass = loader.iter();
                    pass.next();
                    assert!(pass.progress().items_processed > 0);
                    epoch.sort_unstable();
                    all.push(epoch);
                }
                all
            }
        }
    };
}
project!(
    with_burns_builder,
    burn::data::dataloader::DataLoaderBuilder
);
project!(with_our_builder, burn_npy::DataLoaderBuilder);

#[test]
fn a_project_moves_over_by_its_use_line() {
    let expected: Vec<Vec<u64>> = [10, 25, 7].map(|count| (0..count).collect()).into();
    assert_eq!(with_burns_builder::run(), expected);
    assert_eq!(with_our_builder::run(), expected);
}
