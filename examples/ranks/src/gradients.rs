//! The gradients of a step, averaged over all rows of all ranks.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};
use mpi::collective::SystemOperation;
use mpi::topology::SimpleCommunicator;
use mpi::traits::CommunicatorCollectives;

/// Sums over the rows of a rank's own batch; the default if it has none.
#[derive(Default)]
pub(crate) struct Sums {
    pub(crate) rows: f32,
    pub(crate) loss: f32,
    pub(crate) gradients: GradientsParams,
}

/// The mean loss of a step and its gradients; `None` if no rank had a batch. Every rank must call
/// it, one without a batch too: the others wait for it.
///
/// The means are over rows, not over ranks. So a short batch at the end of an epoch counts as much
/// as it would in one large batch.
pub(crate) fn average<M: Module>(
    world: &SimpleCommunicator,
    model: &M,
    own: Sums,
) -> Option<(f32, GradientsParams)> {
    // All numbers of a step in one list, since each exchange costs a round trip.
    let mut pack = Pack {
        gradients: own.gradients,
        list: vec![own.rows, own.loss],
    };
    model.visit(&mut pack);
    let mut sums = vec![0.0; pack.list.len()];
    world.all_reduce_into(&pack.list[..], &mut sums[..], SystemOperation::sum());

    let rows = sums[0];
    if rows == 0.0 {
        return None;
    }
    let mut unpack = Unpack {
        gradients: GradientsParams::new(),
        list: sums[2..].iter().map(|sum| sum / rows),
    };
    model.visit(&mut unpack);
    Some((sums[1] / rows, unpack.gradients))
}

/// Appends the gradient of each parameter to a list, zeros if it has none.
struct Pack {
    gradients: GradientsParams,
    list: Vec<f32>,
}

impl ModuleVisitor for Pack {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        match self.gradients.remove::<D>(param.id) {
            Some(gradient) => self.list.extend(gradient.into_data().iter::<f32>()),
            None => {
                let count = param.shape().num_elements();
                self.list.extend(std::iter::repeat_n(0.0, count));
            }
        }
    }
}

/// Takes the gradient of each parameter from such a list.
struct Unpack<I> {
    gradients: GradientsParams,
    list: I,
}

impl<I: Iterator<Item = f32>> ModuleVisitor for Unpack<I> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let shape = param.shape();
        let values: Vec<f32> = self.list.by_ref().take(shape.num_elements()).collect();
        let gradient = Tensor::from_data(TensorData::new(values, shape), &Device::default());
        self.gradients.register::<D>(param.id, gradient);
    }
}
