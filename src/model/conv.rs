use tch::Tensor;

use super::norm::Norm;
use super::{Init, ModelError, NormKind, Pass, Scope};

/// A convolution over any number of spatial dimensions, without bias (a norm follows), "same" padding for odd kernels.
#[derive(Debug)]
pub struct Conv {
    weight: Tensor,
    stride: Vec<i64>,
    padding: Vec<i64>,
}

impl Conv {
    /// `kernel` and `stride` have one entry a dimension, time first where there is time.
    pub fn new(
        mut scope: Scope<'_>,
        in_channels: i64,
        out_channels: i64,
        kernel: &[i64],
        stride: &[i64],
    ) -> Result<Self, ModelError> {
        let shape: Vec<i64> = [out_channels, in_channels]
            .into_iter()
            .chain(kernel.iter().copied())
            .collect();
        let init = Init::kaiming_fan_out(out_channels, kernel.iter().product());
        Ok(Self {
            weight: scope.weight("weight", &shape, init)?,
            stride: stride.to_vec(),
            padding: kernel.iter().map(|k| k / 2).collect(),
        })
    }

    /// `[B, C, …]` → `[B, C', …]`, in the pass's computing type.
    pub fn forward(&self, input: &Tensor, pass: Pass) -> Tensor {
        let kind = pass.compute_kind();
        let ones = vec![1; self.stride.len()];
        let zeros = vec![0; self.stride.len()];
        input.to_kind(kind).convolution(
            &self.weight.to_kind(kind),
            None::<&Tensor>,
            self.stride.as_slice(),
            self.padding.as_slice(),
            ones.as_slice(),
            false,
            zeros.as_slice(),
            1,
        )
    }
}

/// A convolution and its norm.
#[derive(Debug)]
pub struct ConvNorm {
    conv: Conv,
    norm: Norm,
}

impl ConvNorm {
    /// Named `<scope>.weight` and `<scope>.norm.…`.
    pub fn new(
        mut scope: Scope<'_>,
        in_channels: i64,
        out_channels: i64,
        kernel: &[i64],
        stride: &[i64],
        norm: NormKind,
    ) -> Result<Self, ModelError> {
        Ok(Self {
            norm: Norm::new(scope.enter("norm"), out_channels, norm)?,
            conv: Conv::new(scope, in_channels, out_channels, kernel, stride)?,
        })
    }

    /// `[B, C, …]` → `[B, C', …]`, not rectified.
    pub fn forward(&self, input: &Tensor, pass: Pass) -> Tensor {
        self.norm.forward(&self.conv.forward(input, pass), pass)
    }
}
