// A project that has a loader: a dataset, a batcher of its own, and a training loop. The `use` line
// in `main.rs` says whose `DataLoaderBuilder` this is.

#[derive(Clone, Debug)]
struct Point {
    id: i64,
    x: f32,
    y: f32,
}

#[derive(Clone, Debug)]
struct Points {
    ids: Vec<i64>,
    /// `[batch, 1]`
    x: Tensor<2>,
    /// `[batch, 1]`
    y: Tensor<2>,
}

struct PointBatcher;

impl Batcher<Point, Points> for PointBatcher {
    fn batch(&self, items: Vec<Point>, device: &Device) -> Points {
        let column = |values: Vec<f32>| {
            let data = TensorData::new(values, [items.len(), 1]);
            Tensor::from_data(data, device)
        };
        Points {
            ids: items.iter().map(|item| item.id).collect(),
            x: column(items.iter().map(|item| item.x).collect()),
            y: column(items.iter().map(|item| item.y).collect()),
        }
    }
}

/// Fits a line to the points `(x, 3 x + 1)`. Gives its slope, its height, and the numbers of the
/// items in the order in which the last epoch had them.
pub(super) fn train(workers: usize) -> Result<(f32, f32, Vec<i64>), Box<dyn Error>> {
    let device = Device::default().autodiff();
    device.seed(42);
    let point = |id: i64| {
        let x = id as f32 / 500.0 - 1.0;
        Point {
            id,
            x,
            y: 3.0 * x + 1.0,
        }
    };
    let loader = DataLoaderBuilder::new(PointBatcher)
        .batch_size(20)
        .shuffle(42)
        .num_workers(workers)
        .set_device(device.clone())
        .build(InMemDataset::new((0..1000).map(point).collect()));

    let mut model = LinearConfig::new(1, 1).init(&device);
    let mut optimizer = AdamConfig::new().init();
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.clear();
        for batch in loader.iter() {
            let batch = batch?;
            ids.extend(batch.ids);
            let loss = MseLoss::new().forward(model.forward(batch.x), batch.y, Reduction::Mean);
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            model = optimizer.step(5e-2, model, gradients);
        }
    }
    let at = |x: f32| {
        let x = Tensor::<2>::from_data([[x]], &device);
        model.forward(x).try_into_scalar::<f32>()
    };
    let height = at(0.0)?;
    Ok((at(1.0)? - height, height, ids))
}
