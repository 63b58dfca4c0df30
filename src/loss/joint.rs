use tch::Tensor;

use super::{Contrast, context_loss, motion_loss};
use crate::model::Embeddings;

/// Both tasks of one batch.
#[derive(Debug)]
pub struct JointLoss {
    /// What is minimised: scalar, with gradient.
    pub total: Tensor,
    /// The clip finds its key frame.
    pub context: Contrast,
    /// The motion that follows is predicted.
    pub motion: Contrast,
}

/// The weight of each task (paper, section 3.4: α = 0.5 of both).
const ALPHA: f64 = 0.5;

/// The joint objective. `segments` is `[B]` i64: equal numbers mean the same segment of the same stream.
pub fn joint_loss(embeddings: &Embeddings, segments: &Tensor) -> JointLoss {
    let context = context_loss(&embeddings.clip_context, &embeddings.key_frame, segments);
    let motion = motion_loss(
        &embeddings.predicted_motion,
        &embeddings.motion,
        &embeddings.motion_known,
        segments,
    );
    JointLoss {
        total: ALPHA * &context.loss + (1.0 - ALPHA) * &motion.loss,
        context,
        motion,
    }
}
