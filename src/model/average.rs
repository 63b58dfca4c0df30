use std::collections::BTreeMap;

use tch::{Tensor, no_grad};

use super::store::{ParameterStore, load_strictly};
use super::{ModelError, Role};

/// A moving average of a network's parameters and running statistics: `average ← d · average + (1 − d) · network`.
///
/// The first steps count for more, d = min(`decay`, (1 + n) / (10 + n)) after n steps: the initial weights are soon forgotten.
#[derive(Debug)]
pub struct Average {
    decay: f64,
    /// The network's own memory, and its average.
    runs: Vec<(Tensor, Tensor)>,
    /// Names, and views into the averages.
    named: Vec<(String, Tensor)>,
}

impl Average {
    /// Of every tensor of `store` whose name begins with `prefix`, but for counters; begins as a copy.
    pub fn new(store: &ParameterStore, prefix: &str, decay: f64) -> Self {
        let mut average = Self {
            decay,
            runs: Vec::new(),
            named: Vec::new(),
        };
        for role in [Role::Weight, Role::Offset, Role::Statistic] {
            for (live, members) in store.runs_of(role, prefix) {
                let copy = no_grad(|| live.copy());
                for (name, begin, shape) in members {
                    let count = shape.iter().product();
                    average
                        .named
                        .push((name, copy.narrow(0, begin, count).view(shape.as_slice())));
                }
                average.runs.push((live, copy));
            }
        }
        average
    }

    /// Follows the network after its `step`-th step (from 1).
    pub fn follow(&mut self, step: u64) {
        let early = (1.0 + step as f64) / (10.0 + step as f64);
        let weight = 1.0 - self.decay.min(early);
        no_grad(|| {
            for (live, average) in &mut self.runs {
                let _ = average.lerp_(live, weight);
            }
        });
    }

    /// Names and values.
    pub fn named(&self) -> &[(String, Tensor)] {
        &self.named
    }

    /// Takes over saved values, all or none.
    ///
    /// # Errors
    /// A tensor that is missing, unexpected, of another shape or of another type, by name.
    pub fn load(&self, tensors: &BTreeMap<String, Tensor>) -> Result<(), ModelError> {
        load_strictly(
            self.named.iter().map(|(name, tensor)| (name.as_str(), tensor)),
            tensors,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Model, NormKind, Preset};
    use super::*;
    use tch::{Device, Kind};

    fn model() -> Model {
        Model::random(&Preset::Micro.model(NormKind::Batch), 1, Device::Cpu).unwrap()
    }

    #[test]
    fn follows_every_tensor_of_the_network_and_no_other() {
        let model = model();
        let store = model.store();
        let mut average = Average::new(store, "v.", 0.5);
        let wanted = |name: &str| name.starts_with("v.") && !name.ends_with("num_batches_tracked");
        let names: Vec<_> = store
            .parameters()
            .iter()
            .map(|parameter| parameter.name.as_str())
            .filter(|name| wanted(name))
            .collect();
        assert_eq!(average.named().len(), names.len());
        let before: Vec<Tensor> = average.named().iter().map(|(_, tensor)| tensor.copy()).collect();
        for parameter in store.parameters().iter().filter(|p| wanted(&p.name)) {
            let _ = no_grad(|| parameter.tensor.shallow_clone().g_add_scalar_(1.0));
        }
        // d = min(0.5, 11 / 20) = 0.5 after ten steps.
        average.follow(10);
        for ((name, tensor), before) in average.named().iter().zip(&before) {
            assert!(names.contains(&name.as_str()), "{name}");
            let moved = (tensor - before - 0.5).abs().max().double_value(&[]);
            assert!(moved < 1e-5, "{name} is {moved} off");
        }
        average.follow(0);
        let (name, tensor) = &average.named()[0];
        let live = store.parameters().iter().find(|p| p.name == *name).unwrap();
        let left = (tensor - &live.tensor).abs().mean(Kind::Float).double_value(&[]);
        assert!((left - 0.05).abs() < 1e-4, "d = 0.1 at first: {left}");
    }

    #[test]
    fn loads_strictly() {
        let model = model();
        let average = Average::new(model.store(), "v.", 0.99);
        let mut saved: BTreeMap<_, _> = average
            .named()
            .iter()
            .map(|(name, tensor)| (name.clone(), tensor.copy() + 1.0))
            .collect();
        average.load(&saved).unwrap();
        let (name, tensor) = &average.named()[3];
        assert_eq!(*tensor, saved[name]);
        let last = saved.pop_last().unwrap().0;
        let told = average.load(&saved).unwrap_err().to_string();
        assert!(told.contains(&last), "{told}");
    }
}
