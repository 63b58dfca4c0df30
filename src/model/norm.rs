use tch::{Kind, Tensor};

use super::{Init, ModelError, NormKind, Pass, Scope};

/// Batch or group normalisation of `[B, C, …]`.
#[derive(Debug)]
pub enum Norm {
    /// Statistics over the batch (Ioffe and Szegedy 2015), remembered for evaluation with momentum 0.1.
    Batch {
        /// `[C]`
        weight: Tensor,
        /// `[C]`
        bias: Tensor,
        /// `[C]`
        running_mean: Tensor,
        /// `[C]`
        running_var: Tensor,
    },
    /// Statistics over groups of a sample's channels (Wu and He 2018): indifferent to what else is in the batch.
    Group {
        /// Groups; divides C.
        groups: i64,
        /// `[C]`
        weight: Tensor,
        /// `[C]`
        bias: Tensor,
    },
}

const MOMENTUM: f64 = 0.1;
const EPSILON: f64 = 1e-5;
const GROUPS_MAX: i64 = 32;

impl Norm {
    /// A norm that at first changes nothing but the statistics.
    pub fn new(mut scope: Scope<'_>, channels: i64, kind: NormKind) -> Result<Self, ModelError> {
        let weight = scope.offset("weight", &[channels], Init::Constant(1.0))?;
        let bias = scope.offset("bias", &[channels], Init::Constant(0.0))?;
        match kind {
            NormKind::Batch => {
                // The store counts the batches for all norms at once.
                scope.counter("num_batches_tracked")?;
                Ok(Self::Batch {
                    weight,
                    bias,
                    running_mean: scope.statistic("running_mean", &[channels], 0.0)?,
                    running_var: scope.statistic("running_var", &[channels], 1.0)?,
                })
            }
            NormKind::Group => Ok(Self::Group {
                groups: groups_of(channels),
                weight,
                bias,
            }),
        }
    }

    /// `[B, C, …]` → the same shape. Computes in f32 inside; batch norms give back the input's type, group norms f32.
    pub fn forward(&self, input: &Tensor, pass: Pass) -> Tensor {
        match self {
            Self::Batch {
                weight,
                bias,
                running_mean,
                running_var,
            } => input.batch_norm(
                Some(weight),
                Some(bias),
                Some(running_mean),
                Some(running_var),
                pass.training(),
                MOMENTUM,
                EPSILON,
                true,
            ),
            Self::Group { groups, weight, bias } => {
                input
                    .to_kind(Kind::Float)
                    .group_norm(*groups, Some(weight), Some(bias), EPSILON, true)
            }
        }
    }
}

/// The most groups, up to 32, that divide the channels: 32 for every width of the residual stages, 1 for the stem's prime 83.
fn groups_of(channels: i64) -> i64 {
    (1..=GROUPS_MAX)
        .rev()
        .find(|groups| channels % groups == 0)
        .unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use tch::Device;

    use super::super::{Builder, Precision};
    use super::*;

    #[test]
    fn groups_divide_the_channels() {
        assert_eq!([64, 2048, 83, 144, 20, 8].map(groups_of), [32, 32, 1, 24, 20, 8]);
    }

    #[test]
    fn batch_norm_normalises_in_training_and_remembers_for_evaluation() {
        let mut builder = Builder::new(ChaCha8Rng::seed_from_u64(5));
        let norm = Norm::new(builder.root().enter("n"), 2, NormKind::Batch).unwrap();
        let store = builder.finish(Device::Cpu).unwrap();
        let names: Vec<_> = store.parameters().iter().map(|p| p.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "n.weight",
                "n.bias",
                "n.num_batches_tracked",
                "n.running_mean",
                "n.running_var"
            ]
        );
        let input = Tensor::from_slice(&[1f32, 3.0, 5.0, 7.0]).view([2, 2, 1]);
        let output = norm.forward(&input, Pass::train(Precision::Float32));
        assert!((output.double_value(&[0, 0, 0]) + 1.0).abs() < 1e-4);
        // Channel 0 holds 1 and 5: mean 3, unbiased variance 8.
        assert!((store.parameters()[3].tensor.double_value(&[0]) - 0.3).abs() < 1e-6);
        assert!((store.parameters()[4].tensor.double_value(&[0]) - 1.7).abs() < 1e-6);
        let output = norm.forward(&input, Pass::evaluate(Precision::Float32));
        assert!((output.double_value(&[0, 0, 0]) - 0.7 / 1.7f64.sqrt()).abs() < 1e-4);
    }
}
