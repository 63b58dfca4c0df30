use tch::{Kind, Tensor};

use super::{Init, ModelError, Pass, Scope};

/// A linear layer with bias.
#[derive(Debug)]
pub struct Linear {
    weight: Tensor,
    bias: Tensor,
}

impl Linear {
    /// PyTorch's default initialisation.
    pub fn new(mut scope: Scope<'_>, in_features: i64, out_features: i64) -> Result<Self, ModelError> {
        let init = Init::linear(in_features);
        Ok(Self {
            weight: scope.weight("weight", &[out_features, in_features], init)?,
            bias: scope.offset("bias", &[out_features], init)?,
        })
    }

    /// `[…, in]` → `[…, out]`, in the pass's computing type.
    pub fn forward(&self, input: &Tensor, pass: Pass) -> Tensor {
        let kind = pass.compute_kind();
        input
            .to_kind(kind)
            .linear(&self.weight.to_kind(kind), Some(&self.bias.to_kind(kind)))
    }
}

/// Layer normalisation over the last dimension (Ba et al. 2016), in f32.
#[derive(Debug)]
pub struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
}

impl LayerNorm {
    /// A norm that at first changes nothing but the statistics.
    pub fn new(mut scope: Scope<'_>, features: i64) -> Result<Self, ModelError> {
        Ok(Self {
            weight: scope.offset("weight", &[features], Init::Constant(1.0))?,
            bias: scope.offset("bias", &[features], Init::Constant(0.0))?,
        })
    }

    /// `[…, C]` → `[…, C]`
    pub fn forward(&self, input: &Tensor) -> Tensor {
        input.to_kind(Kind::Float).layer_norm(
            self.weight.size().as_slice(),
            Some(&self.weight),
            Some(&self.bias),
            1e-5,
            true,
        )
    }
}
