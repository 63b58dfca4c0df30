use serde::{Deserialize, Serialize};

use super::ModelError;
use crate::window::SampleSpec;

/// How activations are normalised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NormKind {
    /// Over the batch, as in the paper.
    Batch,
    /// Over groups of channels: for batches whose samples resemble each other.
    Group,
}

/// What clips and key frames go through before the first convolution of the V- and the I-Network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ViewNorm {
    /// Nothing, as in the paper.
    #[default]
    None,
    /// Each view is brought to a mean of 0 and a deviation of 1: how bright and how contrasty a view is tells clips apart without a
    /// look at what they show, and small networks learn that first (docs/results.md).
    View,
}

/// What follows the M-Network's first convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MotionStem {
    /// A max-pool that halves rows and columns, as in the paper.
    Pooled,
    /// Nothing: for motion crops half as wide.
    Plain,
}

/// Width and depth of a residual network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResidualConfig {
    /// Channels of the stem; each stage has twice as many as the one before.
    pub width: u32,
    /// Blocks in each of the four stages.
    pub blocks: [u32; 4],
}

/// The transformer that predicts motion.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PredictorConfig {
    /// Features of a position (D).
    pub features: u32,
    /// Attention heads; divides `features`.
    pub heads: u32,
    /// Hidden features of the feed-forward parts.
    pub feed_forward: u32,
    /// Encoder layers.
    pub encoder_layers: u32,
    /// Decoder layers.
    pub decoder_layers: u32,
    /// Share of activations dropped in training, 0 ≤ p < 1.
    pub dropout: f64,
}

/// Everything that decides the shapes of the networks and of what they are fed with. Stored with each checkpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// The samples that it learns from.
    pub sample: SampleSpec,
    /// Side of the square crops of frames, in pixels (S).
    pub crop: u32,
    /// Side of the square crops of motion maps, in cells (s).
    pub motion_crop: u32,
    /// How activations are normalised.
    pub norm: NormKind,
    /// How views are normalised. Checkpoints from before there was a choice have none.
    #[serde(default)]
    pub view_norm: ViewNorm,
    /// The V-Network, of bottlenecks.
    pub video: ResidualConfig,
    /// The I-Network, of basic blocks.
    pub key_frame: ResidualConfig,
    /// The M-Network, of basic blocks.
    pub motion: ResidualConfig,
    /// The M-Network's beginning.
    pub motion_stem: MotionStem,
    /// The motion predictor.
    pub predictor: PredictorConfig,
    /// Hidden features of the four heads.
    pub head_hidden: u32,
    /// Features of the embeddings that are compared (E).
    pub embedding: u32,
}

/// Size after a convolution or pooling that halves, with "same" padding.
fn halved(size: i64) -> i64 {
    (size + 1) / 2
}

impl ModelConfig {
    /// Channels of the V-Network's features (C).
    pub fn video_features(&self) -> i64 {
        i64::from(self.video.width) << 5
    }

    /// Channels of the I-Network's features.
    pub fn key_frame_features(&self) -> i64 {
        i64::from(self.key_frame.width) << 3
    }

    /// Channels of the M-Network's features.
    pub fn motion_features(&self) -> i64 {
        i64::from(self.motion.width) << 3
    }

    /// The grid of the pretraining feature: frames, rows, columns.
    pub fn memory_grid(&self) -> [i64; 3] {
        let frames = halved(halved(halved(i64::from(self.sample.clip_frames))));
        let side = halved(halved(halved(halved(i64::from(self.crop)))));
        [frames, side, side]
    }

    /// The grid of the M-Network's features: frames, rows, columns.
    pub fn motion_grid(&self) -> [i64; 3] {
        let frames = halved(halved(halved(i64::from(self.sample.target_frames))));
        let mut side = halved(halved(halved(i64::from(self.motion_crop))));
        if self.motion_stem == MotionStem::Pooled {
            side = halved(side);
        }
        [frames, side, side]
    }

    /// Positions of the pretraining feature: 98 in the paper.
    pub fn memory_positions(&self) -> i64 {
        self.memory_grid().iter().product()
    }

    /// Positions at which motion is predicted (P): 49 in the paper.
    pub fn motion_positions(&self) -> i64 {
        self.motion_grid().iter().product()
    }

    /// Refuses what cannot give a network.
    pub fn validate(&self) -> Result<(), ModelError> {
        let check = |holds: bool, key: &'static str, value: String, reason: &str| {
            let reason = reason.to_owned();
            holds
                .then_some(())
                .ok_or(ModelError::Config { key, value, reason })
        };
        let frames = self.sample.clip_frames;
        check(
            frames > 0 && frames.is_multiple_of(8),
            "sample.clip_frames",
            frames.to_string(),
            "must be a multiple of 8, so that layer 3 has as many even as odd frames",
        )?;
        check(
            self.sample.target_frames > 0,
            "sample.target_frames",
            self.sample.target_frames.to_string(),
            "must be at least 1",
        )?;
        for (key, side) in [("crop", self.crop), ("motion_crop", self.motion_crop)] {
            check(side >= 16, key, side.to_string(), "must be at least 16")?;
        }
        for (key, network) in [
            ("video", self.video),
            ("key_frame", self.key_frame),
            ("motion", self.motion),
        ] {
            let sound = (1..=512).contains(&network.width) && network.blocks.iter().all(|&b| b > 0);
            check(
                sound,
                key,
                format!("{network:?}"),
                "width must be 1 to 512, and every stage needs a block",
            )?;
        }
        let predictor = self.predictor;
        check(
            predictor.heads > 0
                && predictor.features > 0
                && predictor.features.is_multiple_of(predictor.heads),
            "predictor.heads",
            predictor.heads.to_string(),
            "must divide predictor.features",
        )?;
        check(
            (0.0..1.0).contains(&predictor.dropout),
            "predictor.dropout",
            predictor.dropout.to_string(),
            "must be at least 0 and below 1",
        )?;
        check(
            predictor.feed_forward > 0 && self.head_hidden > 0 && self.embedding > 0,
            "embedding",
            self.embedding.to_string(),
            "embedding, head_hidden and predictor.feed_forward must be at least 1",
        )
    }
}
