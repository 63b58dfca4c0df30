use tch::{Kind, Tensor};

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
        scope: Scope<'_>,
        in_channels: i64,
        out_channels: i64,
        kernel: &[i64],
        stride: &[i64],
    ) -> Result<Self, ModelError> {
        let init = Init::kaiming_fan_out(out_channels, kernel.iter().product());
        Self::starting_as(init, scope, in_channels, out_channels, kernel, stride)
    }

    /// As [`Self::new`], with weights of one's own.
    pub fn starting_as(
        init: Init,
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
        Ok(Self {
            weight: scope.weight("weight", &shape, init)?,
            stride: stride.to_vec(),
            padding: kernel.iter().map(|k| k / 2).collect(),
        })
    }

    /// `[B, C, …]` → `[B, C', …]`, in the pass's computing type.
    pub fn forward(&self, input: &Tensor, pass: Pass) -> Tensor {
        let kind = pass.compute_kind();
        if let ([in_time, 1, 1], [padding, 0, 0]) = (self.stride.as_slice(), self.padding.as_slice())
            && !input.device().is_cuda()
            && self.weight.size()[2] > 1
        {
            return self.in_time(&input.to_kind(kind), *in_time, *padding, kind);
        }
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

    /// A convolution in time alone, `[B, C, T, H, W]`, as one of two dimensions over `[B, C, T, H·W]`: the same sums, without oneDNN's
    /// slow path for the weights' gradient of three-dimensional kernels on a CPU.
    fn in_time(&self, input: &Tensor, stride: i64, padding: i64, kind: Kind) -> Tensor {
        let size = input.size();
        let (height, width) = (size[3], size[4]);
        let output = input.reshape([-1, size[1], size[2], height * width]).convolution(
            &self.weight.to_kind(kind).squeeze_dim(4),
            None::<&Tensor>,
            [stride, 1],
            [padding, 0],
            [1, 1],
            false,
            [0, 0],
            1,
        );
        let size = output.size();
        // The batch is left open: a traced program takes any number of clips.
        output.view([-1, size[1], size[2], height, width])
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

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use tch::Device;

    use super::super::{Builder, Precision};
    use super::*;

    #[test]
    fn a_convolution_in_time_is_the_one_of_three_dimensions() {
        for stride in [1, 2] {
            let mut builder = Builder::new(ChaCha8Rng::seed_from_u64(5));
            let conv = Conv::new(builder.root().enter("c"), 3, 4, &[3, 1, 1], &[stride, 1, 1]).unwrap();
            builder.finish(Device::Cpu).unwrap();
            let input = Tensor::arange(2 * 3 * 7 * 4 * 5, (Kind::Float, Device::Cpu))
                .sin()
                .view([2, 3, 7, 4, 5]);
            let output = conv.forward(&input, Pass::train(Precision::Float32));
            let direct = input.conv3d(
                &conv.weight,
                None::<&Tensor>,
                [stride, 1, 1],
                [1, 0, 0],
                [1, 1, 1],
                1,
            );
            assert_eq!(output.size(), direct.size());
            assert!((output - direct).abs().max().double_value(&[]) < 1e-5);
        }
    }
}
