use tch::{Kind, Tensor};

use super::conv::{Conv, ConvNorm};
use super::error::expect_shape;
use super::norm::Norm;
use super::{Init, ModelConfig, ModelError, NormKind, Pass, Scope, ViewNorm};

/// What a stage's bottlenecks widen their output by.
const EXPANSION: i64 = 4;

/// The V-Network: R(2+1)D of bottlenecks (R(2+1)D-26 with two blocks a stage; Tran et al. 2018) over a clip.
#[derive(Debug)]
pub struct VideoNetwork {
    view_norm: ViewNorm,
    stem: FactoredConv,
    stem_norm: Norm,
    stages: Vec<Vec<Bottleneck>>,
    input_shape: [i64; 5],
}

/// What the last two stages make of a clip.
#[derive(Debug)]
pub struct VideoFeatures {
    /// `[B, C/2, T/4, g, g]`: paper 1024×4×7×7.
    pub layer3: Tensor,
    /// `[B, C, T/8, ⌈g/2⌉, ⌈g/2⌉]`: paper 2048×2×4×4.
    pub layer4: Tensor,
}

impl VideoNetwork {
    /// Stem 1×7×7/2 and 3×1×1, max-pool 1×3×3/2, four stages; stages 2 to 4 halve time and space.
    ///
    /// Half of the stem's filters over time start as differences. What moves is a small part of what a clip shows, and filters that
    /// start at random pass it on as such; the norm after a difference brings it to the strength of all else. Without them
    /// predicting motion stays for hundreds of steps where positions alone bring it (docs/results.md).
    pub fn new(mut scope: Scope<'_>, config: &ModelConfig) -> Result<Self, ModelError> {
        let width = i64::from(config.video.width);
        let norm = config.norm;
        let stem_shape = FactoredShape {
            in_channels: 3,
            out_channels: width,
            frames: 3,
            side: 7,
            half_differences: true,
        };
        let stem = FactoredConv::new(scope.enter("stem"), stem_shape, [1, 2], norm)?;
        let stem_norm = Norm::new(scope.enter("stem").enter("norm"), width, norm)?;
        let mut stages = Vec::new();
        let mut channels = width;
        for (stage, &count) in config.video.blocks.iter().enumerate() {
            let mut scope = scope.enter(format_args!("layer{}", stage + 1));
            let planes = width << stage;
            let mut blocks = Vec::new();
            for index in 0..count {
                let stride = if stage > 0 && index == 0 { 2 } else { 1 };
                blocks.push(Bottleneck::new(
                    scope.enter(index),
                    channels,
                    planes,
                    stride,
                    norm,
                )?);
                channels = planes * EXPANSION;
            }
            stages.push(blocks);
        }
        let crop = i64::from(config.crop);
        Ok(Self {
            view_norm: config.view_norm,
            stem,
            stem_norm,
            stages,
            input_shape: [-1, 3, i64::from(config.sample.clip_frames), crop, crop],
        })
    }

    /// Normalised clips `[B, 3, T, S, S]` → features of the last two stages.
    pub fn forward(&self, clips: &Tensor, pass: Pass) -> Result<VideoFeatures, ModelError> {
        expect_shape("clips", clips, &self.input_shape)?;
        let clips = self.view_norm.forward(clips);
        let mut x = self
            .stem_norm
            .forward(&self.stem.forward(&clips, pass), pass)
            .relu();
        x = x.max_pool3d([1, 3, 3], [1, 2, 2], [0, 1, 1], [1, 1, 1], false);
        let mut layer3 = x.shallow_clone();
        for (stage, blocks) in self.stages.iter().enumerate() {
            for block in blocks {
                x = block.forward(&x, pass);
            }
            if stage == 2 {
                layer3 = x.shallow_clone();
            }
        }
        Ok(VideoFeatures { layer3, layer4: x })
    }
}

impl VideoFeatures {
    /// What downstream tasks use: layer 4 averaged over time and space, `[B, C]`, f32.
    pub fn pooled(&self) -> Tensor {
        self.layer4.mean_dim([2i64, 3, 4].as_slice(), false, Kind::Float)
    }

    /// What pretraining uses, at layer 3's finer grid: layer 4 scaled up, plus layer 3's even frames and odd frames side by
    /// side, `[B, C, T/8, g, g]` (paper 2048×2×7×7).
    pub fn pretraining(&self) -> Tensor {
        let even = self.layer3.slice(2, 0, None, 2);
        let odd = self.layer3.slice(2, 1, None, 2);
        let fine = Tensor::cat(&[even, odd], 1);
        let size = fine.size();
        self.layer4
            .upsample_trilinear3d(&size[2..], false, None, None, None)
            + fine
    }
}

#[derive(Clone, Copy, Debug)]
struct FactoredShape {
    in_channels: i64,
    out_channels: i64,
    frames: i64,
    side: i64,
    /// Half of the filters over time start as differences ([`Init::HalfDifferences`]).
    half_differences: bool,
}

impl FactoredShape {
    /// As many middle channels as give the two convolutions the parameters of the full one (Tran et al., section 3.5): 83 in
    /// the paper's stem.
    fn mid_channels(self) -> i64 {
        let full = self.frames * self.side * self.side * self.in_channels * self.out_channels;
        full / (self.side * self.side * self.in_channels + self.frames * self.out_channels)
    }

    fn temporal_init(self) -> Init {
        match Init::kaiming_fan_out(self.out_channels, self.frames) {
            Init::Normal { std } if self.half_differences => Init::HalfDifferences {
                std,
                taps: self.frames as usize,
            },
            plain => plain,
        }
    }
}

/// (2+1)D: a convolution in space, norm, ReLU, a convolution in time.
#[derive(Debug)]
struct FactoredConv {
    spatial: Conv,
    norm: Norm,
    temporal: Conv,
}

impl FactoredConv {
    /// `stride` is of time and of space. The middle norm is named `mid_norm`.
    fn new(
        mut scope: Scope<'_>,
        shape: FactoredShape,
        stride: [i64; 2],
        norm: NormKind,
    ) -> Result<Self, ModelError> {
        let mid = shape.mid_channels();
        let [in_time, in_space] = stride;
        let spatial_kernel = [1, shape.side, shape.side];
        let spatial_stride = [1, in_space, in_space];
        let temporal_kernel = [shape.frames, 1, 1];
        Ok(Self {
            spatial: Conv::new(
                scope.enter("spatial"),
                shape.in_channels,
                mid,
                &spatial_kernel,
                &spatial_stride,
            )?,
            norm: Norm::new(scope.enter("mid_norm"), mid, norm)?,
            temporal: Conv::starting_as(
                shape.temporal_init(),
                scope.enter("temporal"),
                mid,
                shape.out_channels,
                &temporal_kernel,
                &[in_time, 1, 1],
            )?,
        })
    }

    fn forward(&self, input: &Tensor, pass: Pass) -> Tensor {
        let middle = self.norm.forward(&self.spatial.forward(input, pass), pass).relu();
        self.temporal.forward(&middle, pass)
    }
}

/// 1×1×1, (2+1)D 3×3×3, 1×1×1 and a short cut.
#[derive(Debug)]
struct Bottleneck {
    conv1: ConvNorm,
    conv2: FactoredConv,
    norm2: Norm,
    conv3: ConvNorm,
    downsample: Option<ConvNorm>,
}

impl Bottleneck {
    fn new(
        mut scope: Scope<'_>,
        in_channels: i64,
        planes: i64,
        stride: i64,
        norm: NormKind,
    ) -> Result<Self, ModelError> {
        let out_channels = planes * EXPANSION;
        let ones = [1, 1, 1];
        let conv1 = ConvNorm::new(scope.enter("conv1"), in_channels, planes, &ones, &ones, norm)?;
        let conv2_shape = FactoredShape {
            in_channels: planes,
            out_channels: planes,
            frames: 3,
            side: 3,
            half_differences: false,
        };
        let conv2 = FactoredConv::new(scope.enter("conv2"), conv2_shape, [stride, stride], norm)?;
        let norm2 = Norm::new(scope.enter("conv2").enter("norm"), planes, norm)?;
        let conv3 = ConvNorm::new(scope.enter("conv3"), planes, out_channels, &ones, &ones, norm)?;
        let downsample = if in_channels != out_channels || stride != 1 {
            let scope = scope.enter("downsample");
            Some(ConvNorm::new(
                scope,
                in_channels,
                out_channels,
                &ones,
                &[stride; 3],
                norm,
            )?)
        } else {
            None
        };
        Ok(Self {
            conv1,
            conv2,
            norm2,
            conv3,
            downsample,
        })
    }

    fn forward(&self, input: &Tensor, pass: Pass) -> Tensor {
        let x = self.conv1.forward(input, pass).relu();
        let x = self.norm2.forward(&self.conv2.forward(&x, pass), pass).relu();
        let branch = self.conv3.forward(&x, pass);
        let sum = match &self.downsample {
            Some(downsample) => branch + downsample.forward(input, pass),
            None => branch + input,
        };
        sum.relu()
    }
}
