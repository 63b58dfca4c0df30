use tch::Tensor;

use super::linear::Linear;
use super::{Init, ModelError, Pass, Scope};

/// Multi-head attention (Vaswani et al. 2017) with PyTorch's parameter names.
#[derive(Debug)]
pub struct Attention {
    in_proj_weight: Tensor,
    in_proj_bias: Tensor,
    out_proj: Linear,
    heads: i64,
    dropout: f64,
}

impl Attention {
    /// `features` must be a multiple of `heads`.
    pub fn new(mut scope: Scope<'_>, features: i64, heads: i64, dropout: f64) -> Result<Self, ModelError> {
        let init = Init::xavier(features, 3 * features);
        Ok(Self {
            in_proj_weight: scope.weight("in_proj_weight", &[3 * features, features], init)?,
            in_proj_bias: scope.offset("in_proj_bias", &[3 * features], Init::Constant(0.0))?,
            out_proj: Linear::new(scope.enter("out_proj"), features, features)?,
            heads,
            dropout,
        })
    }

    /// Queries `[B, Q, D]`, keys and values `[B, K, D]` → `[B, Q, D]`.
    pub fn forward(&self, query: &Tensor, key: &Tensor, value: &Tensor, pass: Pass) -> Tensor {
        let kind = pass.compute_kind();
        let weights = self.in_proj_weight.to_kind(kind).chunk(3, 0);
        let biases = self.in_proj_bias.to_kind(kind).chunk(3, 0);
        let projected = |input: &Tensor, part: usize| {
            let (batch, length, features) = (input.size()[0], input.size()[1], input.size()[2]);
            input
                .to_kind(kind)
                .linear(&weights[part], Some(&biases[part]))
                .view([batch, length, self.heads, features / self.heads])
                .transpose(1, 2)
        };
        let dropout = if pass.training() { self.dropout } else { 0.0 };
        let attended = Tensor::scaled_dot_product_attention(
            &projected(query, 0),
            &projected(key, 1),
            &projected(value, 2),
            None::<&Tensor>,
            dropout,
            false,
            None,
            false,
        );
        let merged = attended.transpose(1, 2).flatten(2, 3);
        self.out_proj.forward(&merged, pass)
    }
}
