use tch::Tensor;

use super::basic_block::{BasicBlock, stages};
use super::conv::ConvNorm;
use super::error::expect_shape;
use super::{ModelConfig, ModelError, Pass, Scope, ViewNorm};

/// The I-Network: a 2-D ResNet of basic blocks (R2D-10 with one block a stage) over one key frame. Paper, section 3.2.
#[derive(Debug)]
pub struct KeyFrameNetwork {
    view_norm: ViewNorm,
    stem: ConvNorm,
    blocks: Vec<BasicBlock>,
    crop: i64,
}

impl KeyFrameNetwork {
    /// Stem 7×7/2, max-pool 3×3/2, four stages.
    pub fn new(mut scope: Scope<'_>, config: &ModelConfig) -> Result<Self, ModelError> {
        let width = i64::from(config.key_frame.width);
        let stem = ConvNorm::new(scope.enter("stem"), 3, width, &[7, 7], &[2, 2], config.norm)?;
        Ok(Self {
            view_norm: config.view_norm,
            stem,
            blocks: stages(&mut scope, width, config.key_frame.blocks, 2, config.norm)?,
            crop: i64::from(config.crop),
        })
    }

    /// Normalised key frames `[B, 3, S, S]` → pooled features `[B, C]`.
    pub fn forward(&self, key_frames: &Tensor, pass: Pass) -> Result<Tensor, ModelError> {
        expect_shape("key frames", key_frames, &[-1, 3, self.crop, self.crop])?;
        let key_frames = self.view_norm.forward(key_frames);
        let mut x = self.stem.forward(&key_frames, pass).relu();
        x = x.max_pool2d([3, 3], [2, 2], [1, 1], [1, 1], false);
        for block in &self.blocks {
            x = block.forward(&x, pass);
        }
        Ok(x.mean_dim([2i64, 3].as_slice(), false, None))
    }
}
