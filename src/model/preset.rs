use serde::{Deserialize, Serialize};

use super::{ModelConfig, MotionStem, NormKind, PredictorConfig, ResidualConfig, ViewNorm};
use crate::window::{FrameSize, SampleSpec};

/// A size of everything at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// The paper's networks, for a GPU.
    Paper,
    /// The paper's geometry in time at half the width and smaller pictures: a small GPU, or many cores.
    Small,
    /// Several steps a second on two cores; fits clips of 1.5 s.
    Micro,
}

impl Preset {
    /// All of them, largest first.
    pub const ALL: [Preset; 3] = [Preset::Paper, Preset::Small, Preset::Micro];

    /// As it is written in configurations.
    pub fn name(self) -> &'static str {
        match self {
            Preset::Paper => "paper",
            Preset::Small => "small",
            Preset::Micro => "micro",
        }
    }

    /// The samples that the preset learns from.
    pub fn sample_spec(self) -> SampleSpec {
        let size = |width, height| FrameSize { width, height };
        let paper = SampleSpec {
            clip_frames: 16,
            clip_stride: 4,
            target_offset: 3,
            target_frames: 8,
            hard_negatives: 3,
            key_frame_margin: 5,
            frame_size: size(176, 128),
            motion_size: size(88, 64),
        };
        match self {
            Preset::Paper => paper,
            Preset::Small => SampleSpec {
                frame_size: size(128, 96),
                motion_size: size(64, 48),
                ..paper
            },
            Preset::Micro => SampleSpec {
                clip_frames: 8,
                clip_stride: 2,
                target_offset: 1,
                target_frames: 4,
                frame_size: size(96, 72),
                motion_size: size(48, 36),
                ..paper
            },
        }
    }

    /// Samples in a batch, unless configured.
    pub fn batch_size(self) -> u32 {
        match self {
            Preset::Paper => 64,
            Preset::Small => 32,
            Preset::Micro => 8,
        }
    }

    /// The networks.
    pub fn model(self, norm: NormKind) -> ModelConfig {
        let residual = |width, blocks| ResidualConfig {
            width,
            blocks: [blocks; 4],
        };
        let sample = self.sample_spec();
        match self {
            Preset::Paper => ModelConfig {
                sample,
                crop: 112,
                motion_crop: 112,
                norm,
                view_norm: ViewNorm::None,
                video: residual(64, 2),
                key_frame: residual(64, 1),
                motion: residual(64, 1),
                motion_stem: MotionStem::Pooled,
                predictor: PredictorConfig {
                    features: 512,
                    heads: 8,
                    feed_forward: 512,
                    encoder_layers: 2,
                    decoder_layers: 4,
                    dropout: 0.0,
                },
                head_hidden: 2048,
                embedding: 512,
            },
            // The motion maps of the small presets are coarse: a crop of half the side without the stem's max-pool leads to the
            // same grid at a quarter of the work.
            Preset::Small => ModelConfig {
                sample,
                crop: 80,
                motion_crop: 40,
                norm,
                view_norm: ViewNorm::None,
                video: residual(32, 2),
                key_frame: residual(32, 1),
                motion: residual(32, 1),
                motion_stem: MotionStem::Plain,
                predictor: PredictorConfig {
                    features: 256,
                    heads: 8,
                    feed_forward: 256,
                    encoder_layers: 2,
                    decoder_layers: 4,
                    dropout: 0.0,
                },
                head_hidden: 1024,
                embedding: 256,
            },
            Preset::Micro => ModelConfig {
                sample,
                crop: 64,
                motion_crop: 24,
                norm,
                view_norm: ViewNorm::View,
                video: residual(8, 1),
                key_frame: residual(8, 1),
                motion: residual(8, 1),
                motion_stem: MotionStem::Plain,
                predictor: PredictorConfig {
                    features: 64,
                    heads: 4,
                    feed_forward: 128,
                    encoder_layers: 1,
                    decoder_layers: 2,
                    dropout: 0.0,
                },
                head_hidden: 256,
                embedding: 128,
            },
        }
    }
}
