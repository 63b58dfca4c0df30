use tch::{Kind, Tensor};

use super::linear::Linear;
use super::norm::Norm;
use super::{ModelError, NormKind, Pass, Scope};

/// A projection into the space where two views are compared: linear, norm, ReLU, linear, norm, unit length.
#[derive(Debug)]
pub struct Head {
    fc1: Linear,
    norm1: Norm,
    fc2: Linear,
    norm2: Norm,
}

impl Head {
    /// `in_features` → `hidden` → `out_features`.
    pub fn new(
        mut scope: Scope<'_>,
        in_features: i64,
        hidden: i64,
        out_features: i64,
        norm: NormKind,
    ) -> Result<Self, ModelError> {
        Ok(Self {
            fc1: Linear::new(scope.enter("fc1"), in_features, hidden)?,
            norm1: Norm::new(scope.enter("norm1"), hidden, norm)?,
            fc2: Linear::new(scope.enter("fc2"), hidden, out_features)?,
            norm2: Norm::new(scope.enter("norm2"), out_features, norm)?,
        })
    }

    /// `[N, in]` → `[N, out]`, f32, rows of length 1.
    pub fn forward(&self, input: &Tensor, pass: Pass) -> Tensor {
        let hidden = self.norm1.forward(&self.fc1.forward(input, pass), pass).relu();
        let embedding = self.norm2.forward(&self.fc2.forward(&hidden, pass), pass);
        unit_length(&embedding.to_kind(Kind::Float))
    }
}

/// Rows of `[N, E]` scaled to length 1; a row of zeros stays one.
fn unit_length(rows: &Tensor) -> Tensor {
    let length = rows
        .square()
        .sum_dim_intlist(-1, true, Kind::Float)
        .clamp_min(1e-12)
        .sqrt();
    rows / length
}
