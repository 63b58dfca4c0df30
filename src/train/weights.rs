use std::collections::BTreeMap;
use std::time::Duration;

use tch::{Device, Tensor, no_grad};

use crate::model::{Average, ModelError, ParameterStore};

/// What names of the V-Network's tensors begin with.
pub(super) const VIDEO_NETWORK: &str = "v.";

/// The V-Network after some step, copied to host memory: its moving average where training keeps one, as evaluation takes it.
#[derive(Debug)]
pub struct VideoWeights {
    /// Steps behind it.
    pub step: u64,
    /// Values by name, on the CPU; nobody else's memory.
    tensors: BTreeMap<String, Tensor>,
    /// Time that training stood still for the copy.
    pub copied_in: Duration,
}

/// Who gets copies of the V-Network while it is trained.
pub trait WeightTaker: Send {
    /// Whether a copy is wanted now. Asked between steps: must not block.
    fn wants(&self) -> bool;

    /// Takes the copy. Must not block either.
    fn take(&mut self, weights: VideoWeights);
}

impl VideoWeights {
    /// Copies; waits for the device.
    pub(super) fn copy_of(store: &ParameterStore, average: Option<&Average>, step: u64) -> Self {
        let host = |tensor: &Tensor| no_grad(|| tensor.detach().to_device(Device::Cpu).copy());
        let own = store.parameters().iter().map(|p| (&p.name, &p.tensor));
        let own = own.filter(|(name, _)| name.starts_with(VIDEO_NETWORK));
        let averaged = average.into_iter().flat_map(|average| average.named());
        let latest: BTreeMap<&String, &Tensor> =
            own.chain(averaged.map(|(name, tensor)| (name, tensor))).collect();
        Self {
            step,
            tensors: latest
                .into_iter()
                .map(|(name, tensor)| (name.clone(), host(tensor)))
                .collect(),
            copied_in: Duration::ZERO,
        }
    }

    /// Puts them into networks of the same configuration; their other parts stay as they are.
    ///
    /// # Errors
    /// A tensor that does not fit, by name.
    pub fn load_into(&self, store: &ParameterStore) -> Result<(), ModelError> {
        store.load_part(VIDEO_NETWORK, &self.tensors)
    }
}
