use tch::Tensor;

use super::basic_block::{BasicBlock, stages};
use super::conv::ConvNorm;
use super::error::expect_shape;
use super::{ModelConfig, ModelError, MotionStem, Pass, Scope};

/// The M-Network: a 3-D ResNet of basic blocks (R3D-10 with one block a stage) over motion maps. Paper, section 3.3.
#[derive(Debug)]
pub struct MotionNetwork {
    stem: ConvNorm,
    stem_kind: MotionStem,
    blocks: Vec<BasicBlock>,
    input_shape: [i64; 5],
}

impl MotionNetwork {
    /// Stem 3×7×7 with stride 1, max-pool 1×3×3/2 where the configuration has it, four stages.
    pub fn new(mut scope: Scope<'_>, config: &ModelConfig) -> Result<Self, ModelError> {
        let width = i64::from(config.motion.width);
        let stem = ConvNorm::new(scope.enter("stem"), 2, width, &[3, 7, 7], &[1, 1, 1], config.norm)?;
        let crop = i64::from(config.motion_crop);
        Ok(Self {
            stem,
            stem_kind: config.motion_stem,
            blocks: stages(&mut scope, width, config.motion.blocks, 3, config.norm)?,
            input_shape: [-1, 2, i64::from(config.sample.target_frames), crop, crop],
        })
    }

    /// Motion maps `[B, 2, F, s, s]` → features by position `[B, P, C]`, P = frames · rows · columns, row-major.
    pub fn forward(&self, motion: &Tensor, pass: Pass) -> Result<Tensor, ModelError> {
        expect_shape("motion maps", motion, &self.input_shape)?;
        // Channels last: oneDNN has no other fast gradient of three-dimensional kernels on AVX2 (half of a micro step's time).
        let motion = motion
            .permute([0, 2, 3, 4, 1])
            .contiguous()
            .permute([0, 4, 1, 2, 3]);
        let mut x = self.stem.forward(&motion, pass).relu();
        if self.stem_kind == MotionStem::Pooled {
            x = x.max_pool3d([1, 3, 3], [1, 2, 2], [0, 1, 1], [1, 1, 1], false);
        }
        for block in &self.blocks {
            x = block.forward(&x, pass);
        }
        Ok(x.flatten(2, 4).transpose(1, 2))
    }
}
