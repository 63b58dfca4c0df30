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
        let (input, weight) = (input.to_kind(kind), self.weight.to_kind(kind));
        match (self.stride.as_slice(), self.padding.as_slice()) {
            _ if input.device().is_cuda() => {}
            (&[in_time, in_space, _], &[0, padding, _]) => {
                let frames = match in_time {
                    1 => input,
                    _ => input.slice(2, 0, None, in_time),
                };
                return in_space_alone(&frames, &weight.squeeze_dim(2), in_space, padding);
            }
            (&[in_time, 1, 1], &[padding, 0, 0]) => {
                return in_time_alone(&input, &weight.squeeze_dim(4), in_time, padding);
            }
            _ => {}
        }
        convolution(&input, &weight, &self.stride, &self.padding)
    }
}

fn convolution(input: &Tensor, weight: &Tensor, stride: &[i64], padding: &[i64]) -> Tensor {
    let ones = vec![1; stride.len()];
    let zeros = vec![0; stride.len()];
    let bias = None::<&Tensor>;
    input.convolution(
        weight,
        bias,
        stride,
        padding,
        ones.as_slice(),
        false,
        zeros.as_slice(),
        1,
    )
}

// On a CPU oneDNN's convolutions in two dimensions are faster than those in three, above all the gradients, and those with channels
// last need no copy of what goes in and out. (2+1)D never needs three at a time: with channels last, frames are as good as samples to a
// kernel in space, and all places of a frame are a row to a kernel in time. The sums are the same.

/// Kernels 1×k×k: `[B, C, T, H, W]` and `[C', C, k, k]` → `[B, C', T, H', W']`, in memory channels last.
fn in_space_alone(input: &Tensor, weight: &Tensor, stride: i64, padding: i64) -> Tensor {
    let [channels, frames, height, width] = dimensions(input);
    let pictures = input
        .permute([0, 2, 3, 4, 1])
        .reshape([-1, height, width, channels])
        .permute([0, 3, 1, 2]);
    let output = convolution(&pictures, weight, &[stride; 2], &[padding; 2]).permute([0, 2, 3, 1]);
    let size = output.size();
    // The batch is left open: a traced program takes any number of clips.
    output
        .reshape([-1, frames, size[1], size[2], size[3]])
        .permute([0, 4, 1, 2, 3])
}

/// Kernels k×1×1: `[B, C, T, H, W]` and `[C', C, k, 1]` → `[B, C', T', H, W]`, in memory channels last.
fn in_time_alone(input: &Tensor, weight: &Tensor, stride: i64, padding: i64) -> Tensor {
    let [channels, frames, height, width] = dimensions(input);
    let rows = input
        .permute([0, 2, 3, 4, 1])
        .reshape([-1, frames, height * width, channels])
        .permute([0, 3, 1, 2]);
    let output = convolution(&rows, weight, &[stride, 1], &[padding, 0]).permute([0, 2, 3, 1]);
    let size = output.size();
    output
        .reshape([-1, size[1], height, width, size[3]])
        .permute([0, 4, 1, 2, 3])
}

/// All sizes of `[B, C, T, H, W]` but the batch's.
fn dimensions(clips: &Tensor) -> [i64; 4] {
    let size = clips.size();
    [size[1], size[2], size[3], size[4]]
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
    use tch::{Device, Kind};

    use super::super::{Builder, Precision};
    use super::*;

    #[test]
    fn kernels_in_time_or_space_alone_give_the_convolution_of_three_dimensions() {
        for (kernel, stride) in [
            ([3, 1, 1], [1, 1, 1]),
            ([3, 1, 1], [2, 1, 1]),
            ([1, 3, 3], [1, 1, 1]),
            ([1, 7, 7], [1, 2, 2]),
            ([1, 1, 1], [1, 1, 1]),
            ([1, 1, 1], [2, 2, 2]),
        ] {
            let mut builder = Builder::new(ChaCha8Rng::seed_from_u64(5));
            let conv = Conv::new(builder.root().enter("c"), 3, 4, &kernel, &stride).unwrap();
            builder.finish(Device::Cpu).unwrap();
            let input = Tensor::arange(2 * 3 * 7 * 4 * 5, (Kind::Float, Device::Cpu))
                .sin()
                .view([2, 3, 7, 4, 5]);
            let output = conv.forward(&input, Pass::train(Precision::Float32));
            let direct = input.conv3d(
                &conv.weight,
                None::<&Tensor>,
                stride,
                kernel.map(|side| side / 2),
                [1, 1, 1],
                1,
            );
            assert_eq!(output.size(), direct.size());
            let apart = (output - direct).abs().max().double_value(&[]);
            assert!(apart < 1e-5, "{kernel:?} {stride:?}: {apart}");
        }
    }
}
