use tch::Tensor;

use super::conv::ConvNorm;
use super::{ModelError, NormKind, Pass, Scope};

/// The basic residual block (He et al. 2015): two 3×3 or 3×3×3 convolutions and a short cut.
#[derive(Debug)]
pub struct BasicBlock {
    conv1: ConvNorm,
    conv2: ConvNorm,
    downsample: Option<ConvNorm>,
}

impl BasicBlock {
    /// `stride` has two entries for pictures and three for clips; the short cut is a 1×1(×1) convolution where the shape changes.
    pub fn new(
        mut scope: Scope<'_>,
        in_channels: i64,
        out_channels: i64,
        stride: &[i64],
        norm: NormKind,
    ) -> Result<Self, ModelError> {
        let kernel = vec![3; stride.len()];
        let ones = vec![1; stride.len()];
        let conv1 = ConvNorm::new(
            scope.enter("conv1"),
            in_channels,
            out_channels,
            &kernel,
            stride,
            norm,
        )?;
        let conv2 = ConvNorm::new(
            scope.enter("conv2"),
            out_channels,
            out_channels,
            &kernel,
            &ones,
            norm,
        )?;
        let downsample = if in_channels != out_channels || stride.iter().any(|&s| s != 1) {
            let scope = scope.enter("downsample");
            Some(ConvNorm::new(
                scope,
                in_channels,
                out_channels,
                &ones,
                stride,
                norm,
            )?)
        } else {
            None
        };
        Ok(Self {
            conv1,
            conv2,
            downsample,
        })
    }

    /// `[B, C, …]` → `[B, C', …]`
    pub fn forward(&self, input: &Tensor, pass: Pass) -> Tensor {
        let branch = self.conv2.forward(&self.conv1.forward(input, pass).relu(), pass);
        let sum = match &self.downsample {
            Some(downsample) => branch + downsample.forward(input, pass),
            None => branch + input,
        };
        sum.relu()
    }
}

/// The four residual stages of a network of basic blocks: widths C, 2C, 4C, 8C; stages 2 to 4 halve every dimension.
pub(super) fn stages(
    scope: &mut Scope<'_>,
    width: i64,
    blocks: [u32; 4],
    dimensions: usize,
    norm: NormKind,
) -> Result<Vec<BasicBlock>, ModelError> {
    let mut made = Vec::new();
    let mut channels = width;
    for (stage, &count) in blocks.iter().enumerate() {
        let mut scope = scope.enter(format_args!("layer{}", stage + 1));
        let out_channels = width << stage;
        for index in 0..count {
            let stride = if stage > 0 && index == 0 { 2 } else { 1 };
            let stride = vec![stride; dimensions];
            made.push(BasicBlock::new(
                scope.enter(index),
                channels,
                out_channels,
                &stride,
                norm,
            )?);
            channels = out_channels;
        }
    }
    Ok(made)
}
