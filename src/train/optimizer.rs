use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor, no_grad};

use crate::model::{ModelError, Parameter, ParameterStore, load_strictly};

/// How parameters follow their gradients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerKind {
    /// Stochastic gradient descent with Nesterov momentum 0.9 (paper, section 4.1).
    Sgd,
    /// Adam with decoupled weight decay (Loshchilov and Hutter 2019), β 0.9 and 0.999.
    AdamW,
}

/// An optimiser over a store's one vector of trained values, with its state in named tensors.
#[derive(Debug)]
pub struct Optimizer {
    kind: OptimizerKind,
    weight_decay: f64,
    /// SGD's momentum, or Adam's first moment: `[P]`.
    first: Tensor,
    /// Adam's second moment: `[P]`.
    second: Option<Tensor>,
    /// Steps taken, not counting those skipped: i64.
    updates: Tensor,
}

const MOMENTUM: f64 = 0.9;
const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
const EPSILON: f64 = 1e-8;
/// On a CPU so many parameters are moved at a time: what lies between stays in the cache and takes next to no memory.
const CPU_PIECE: i64 = 1 << 20;

impl Optimizer {
    /// With its state at zero, on the store's device.
    pub fn new(kind: OptimizerKind, weight_decay: f64, store: &ParameterStore) -> Self {
        let zeros = || store.trained().detach().zeros_like();
        Self {
            kind,
            weight_decay,
            first: zeros(),
            second: (kind == OptimizerKind::AdamW).then(zeros),
            updates: Tensor::zeros([], (Kind::Int64, store.trained().device())),
        }
    }

    /// Which one it is.
    pub fn kind(&self) -> OptimizerKind {
        self.kind
    }

    /// Moves the parameters by a gradient `[P]` laid out as the store's vector, where `finite` (a boolean scalar tensor) is true.
    /// Otherwise nothing changes: neither parameters nor state. Needs no host sync.
    pub fn step(&mut self, store: &ParameterStore, gradient: &Tensor, learning_rate: f64, finite: &Tensor) {
        no_grad(|| {
            keep(&self.updates, &(&self.updates + 1), finite);
            let parameters = store.trained();
            let (decayed, all) = (store.decayed(), gradient.size()[0]);
            let longest = match parameters.device().is_cuda() {
                true => all.max(1),
                false => CPU_PIECE,
            };
            for (from, to, weight_decay) in [(0, decayed, self.weight_decay), (decayed, all, 0.0)] {
                for start in (from..to).step_by(longest as usize) {
                    let length = longest.min(to - start);
                    let piece = |vector: &Tensor| vector.narrow(0, start, length);
                    let (parameters, gradient, first) =
                        (piece(parameters), piece(gradient), piece(&self.first));
                    match &self.second {
                        None => sgd(
                            &parameters,
                            &gradient,
                            &first,
                            learning_rate,
                            weight_decay,
                            finite,
                        ),
                        Some(second) => {
                            let moments = (&first, &piece(second), &self.updates);
                            adamw(
                                &parameters,
                                &gradient,
                                moments,
                                learning_rate,
                                weight_decay,
                                finite,
                            );
                        }
                    }
                }
            }
        });
    }

    /// The state by name: `updates`, and per trained parameter `momentum.<name>` or `exp_avg.<name>` and `exp_avg_sq.<name>`, each
    /// in the parameter's shape. Views into the state.
    pub fn state(&self, store: &ParameterStore) -> Vec<(String, Tensor)> {
        let first_name = match self.kind {
            OptimizerKind::Sgd => "momentum",
            OptimizerKind::AdamW => "exp_avg",
        };
        let mut state = vec![("updates".to_owned(), self.updates.shallow_clone())];
        let mut add = |prefix: &str, parameter: &Parameter, vector: &Tensor| {
            state.push((
                format!("{prefix}.{}", parameter.name),
                store.slice_of(parameter, vector),
            ));
        };
        for parameter in store.trained_parameters() {
            add(first_name, parameter, &self.first);
            if let Some(second) = &self.second {
                add("exp_avg_sq", parameter, second);
            }
        }
        state
    }

    /// Takes over a state, all or nothing.
    ///
    /// # Errors
    /// A tensor that is missing, unexpected, of another shape or type, by name.
    pub fn load(
        &mut self,
        store: &ParameterStore,
        tensors: &BTreeMap<String, Tensor>,
    ) -> Result<(), ModelError> {
        let own = self.state(store);
        load_strictly(own.iter().map(|(name, tensor)| (name.as_str(), tensor)), tensors)
    }
}

/// The new value where `finite`, else the old one.
fn keep(old: &Tensor, new: &Tensor, finite: &Tensor) {
    old.shallow_clone().copy_(&new.where_self(finite, old));
}

fn sgd(
    parameters: &Tensor,
    gradient: &Tensor,
    momentum: &Tensor,
    learning_rate: f64,
    weight_decay: f64,
    finite: &Tensor,
) {
    let gradient = match weight_decay {
        0.0 => gradient.shallow_clone(),
        decay => gradient + parameters * decay,
    };
    let new_momentum = momentum * MOMENTUM + &gradient;
    let direction = gradient + &new_momentum * MOMENTUM;
    keep(parameters, &(parameters - direction * learning_rate), finite);
    keep(momentum, &new_momentum, finite);
}

/// `moments`: the first, the second, and how many updates they are of.
fn adamw(
    parameters: &Tensor,
    gradient: &Tensor,
    moments: (&Tensor, &Tensor, &Tensor),
    learning_rate: f64,
    weight_decay: f64,
    finite: &Tensor,
) {
    let (first, second, updates) = moments;
    let new_first = first * BETA1 + gradient * (1.0 - BETA1);
    let new_second = second * BETA2 + gradient.square() * (1.0 - BETA2);
    let updates = updates.to_kind(Kind::Double);
    let correction = |beta: f64| 1.0 - (&updates * beta.ln()).exp();
    let scale: Tensor = &new_second / correction(BETA2);
    let direction = &new_first / correction(BETA1) / (scale.sqrt() + EPSILON);
    let mut moved: Tensor = parameters - direction * learning_rate;
    if weight_decay > 0.0 {
        moved -= parameters * (learning_rate * weight_decay);
    }
    keep(parameters, &moved, finite);
    keep(first, &new_first, finite);
    keep(second, &new_second, finite);
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use tch::Device;

    use super::*;
    use crate::model::{Builder, Init};

    /// A weight of 2 and an offset of 2.
    fn store() -> ParameterStore {
        let mut builder = Builder::new(ChaCha8Rng::seed_from_u64(5));
        let mut root = builder.root();
        let _ = root.weight("weight", &[1], Init::Constant(2.0)).unwrap();
        let _ = root.offset("bias", &[1], Init::Constant(2.0)).unwrap();
        builder.finish(Device::Cpu).unwrap()
    }

    fn values(store: &ParameterStore) -> [f64; 2] {
        [0, 1].map(|index| store.parameters()[index].tensor.double_value(&[0]))
    }

    fn near(found: [f64; 2], expected: [f64; 2]) {
        let equal = found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-5);
        assert!(equal, "{found:?}, by hand {expected:?}");
    }

    fn steps(kind: OptimizerKind, decay: f64, gradients: &[f64]) -> (ParameterStore, Optimizer) {
        let store = store();
        let mut optimizer = Optimizer::new(kind, decay, &store);
        for &value in gradients {
            let gradient = store.flatten(&[
                Tensor::from_slice(&[value as f32]),
                Tensor::from_slice(&[value as f32]),
            ]);
            optimizer.step(&store, &gradient, 0.1, &Tensor::from(value.is_finite()));
        }
        (store, optimizer)
    }

    #[test]
    fn nesterov_steps_as_by_hand() {
        // bias: v = 1, p = 2 − 0.1·(1 + 0.9); v = 0.9 + 1, p −= 0.1·(1 + 0.9·1.9). The weight's gradient is 1 + 0.5·2 at first.
        let (store, _) = steps(OptimizerKind::Sgd, 0.5, &[1.0]);
        near(values(&store), [2.0 - 0.1 * 2.0 * 1.9, 2.0 - 0.1 * 1.9]);
        let (store, _) = steps(OptimizerKind::Sgd, 0.0, &[1.0, 1.0]);
        near(values(&store), [2.0 - 0.19 - 0.271; 2]);
    }

    #[test]
    fn adamw_steps_as_by_hand() {
        // After the bias corrections the first step is the learning rate long, whatever the gradient.
        let (store, _) = steps(OptimizerKind::AdamW, 0.5, &[7.0]);
        near(values(&store), [2.0 - 0.1 - 0.1 * 0.5 * 2.0, 2.0 - 0.1]);
        // Gradients 1 then −1: m̂ = (0.09 − 0.1)/0.19, v̂ = 1.
        let (store, _) = steps(OptimizerKind::AdamW, 0.0, &[1.0, -1.0]);
        near(values(&store), [2.0 - 0.1 + 0.1 * 0.01 / 0.19; 2]);
    }

    #[test]
    fn more_parameters_than_a_piece_all_move_alike() {
        for kind in [OptimizerKind::Sgd, OptimizerKind::AdamW] {
            let mut builder = Builder::new(ChaCha8Rng::seed_from_u64(5));
            let mut root = builder.root();
            let _ = root
                .weight("weight", &[CPU_PIECE + 3], Init::Constant(2.0))
                .unwrap();
            let _ = root.offset("bias", &[2], Init::Constant(2.0)).unwrap();
            let store = builder.finish(Device::Cpu).unwrap();
            let gradient = store.trained().detach().ones_like();
            let mut optimizer = Optimizer::new(kind, 0.5, &store);
            optimizer.step(&store, &gradient, 0.1, &Tensor::from(true));
            let by_hand = values(&steps(kind, 0.5, &[1.0]).0);
            for (parameter, expected) in store.parameters().iter().zip(by_hand) {
                let apart = (&parameter.tensor - expected).abs().max().double_value(&[]);
                assert!(apart < 1e-6, "{kind:?} {}: {apart}", parameter.name);
            }
        }
    }

    #[test]
    fn a_step_that_is_not_finite_changes_neither_parameters_nor_state() {
        for kind in [OptimizerKind::Sgd, OptimizerKind::AdamW] {
            let (with, with_state) = steps(kind, 0.1, &[1.0, f64::NAN, f64::INFINITY, 0.5]);
            let (without, without_state) = steps(kind, 0.1, &[1.0, 0.5]);
            assert_eq!(with.trained().detach(), without.trained().detach(), "{kind:?}");
            for (a, b) in with_state.state(&with).iter().zip(without_state.state(&without)) {
                assert_eq!(a.1, b.1, "{}", a.0);
            }
        }
    }

    #[test]
    fn the_state_has_names_and_comes_back() {
        let (store, adam) = steps(OptimizerKind::AdamW, 0.1, &[1.0, 3.0]);
        let named: BTreeMap<String, Tensor> = adam.state(&store).into_iter().collect();
        let names: Vec<_> = named.keys().map(String::as_str).collect();
        assert_eq!(
            names,
            [
                "exp_avg.bias",
                "exp_avg.weight",
                "exp_avg_sq.bias",
                "exp_avg_sq.weight",
                "updates"
            ]
        );
        let mut again = Optimizer::new(OptimizerKind::AdamW, 0.1, &store);
        again.load(&store, &named).unwrap();
        assert_eq!(again.state(&store)[0].1.int64_value(&[]), 2);
        let mut other = Optimizer::new(OptimizerKind::Sgd, 0.1, &store);
        let told = other.load(&store, &named).unwrap_err().to_string();
        assert_eq!(told, "tensor `momentum.weight` is missing");
    }
}
