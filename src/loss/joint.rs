use tch::{Kind, Tensor};

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

impl JointLoss {
    /// Each sample's own losses `[B, 2]`, f32, without gradient: context, then motion averaged over the sample's counted
    /// positions; NaN where a task had nothing to compare.
    pub fn by_sample(&self) -> Tensor {
        let context = &self.context.by_query;
        let motion = self.motion.by_query.view([context.size()[0], -1]);
        let motion = motion.nanmean([1i64].as_slice(), false, Kind::Float);
        Tensor::stack(&[context, &motion], 1)
    }
}

/// The joint objective. `motion_share` is the weight of the motion loss, the context loss has the rest (paper, section 3.4:
/// α = 0.5 of both). `segments` is `[B]` i64: equal numbers mean the same segment of the same stream.
pub fn joint_loss(embeddings: &Embeddings, segments: &Tensor, motion_share: f64) -> JointLoss {
    let context = context_loss(&embeddings.clip_context, &embeddings.key_frame, segments);
    let motion = motion_loss(
        &embeddings.predicted_motion,
        &embeddings.motion,
        &embeddings.motion_known,
        segments,
    );
    JointLoss {
        total: (1.0 - motion_share) * &context.loss + motion_share * &motion.loss,
        context,
        motion,
    }
}

#[cfg(test)]
mod tests {
    use super::super::info_nce::reference::unit_rows;
    use super::*;

    #[test]
    fn the_samples_own_losses_average_to_the_batchs() {
        let (batch, positions, e) = (3i64, 2i64, 4i64);
        let rows = |count: i64, seed| unit_rows(count as usize, e as usize, seed).1;
        let known = Tensor::from_slice(&[
            true, true, true, true, false, true, true, true, false, false, true, true,
        ]);
        let embeddings = Embeddings {
            clip_context: rows(batch, 1),
            key_frame: rows(batch, 2),
            predicted_motion: rows(batch * positions, 3).view([batch, positions, e]),
            motion: rows(batch * 2 * positions, 4).view([batch, 2, positions, e]),
            motion_known: known.view([batch, 2, positions]),
            pooled: rows(batch, 5),
        };
        let loss = joint_loss(&embeddings, &Tensor::from_slice(&[1i64, 2, 3]), 0.5);
        let each = loss.by_sample();
        assert_eq!(each.size(), [batch, 2]);
        let mean = each.select(1, 0).mean(Kind::Float).double_value(&[]);
        assert!((mean - loss.context.loss.double_value(&[])).abs() < 1e-5);
        // Two, one and no positions of the samples' targets are known.
        let value = |sample: i64| each.double_value(&[sample, 1]);
        assert!(value(2).is_nan());
        let motion = (2.0 * value(0) + value(1)) / 3.0;
        assert!((motion - loss.motion.loss.double_value(&[])).abs() < 1e-5);
    }
}
