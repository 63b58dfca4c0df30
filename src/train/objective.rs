use serde::{Deserialize, Serialize};

use super::TrainError;
use crate::window::SampleSpec;

/// Which motion the clip is to predict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MotionTarget {
    /// What follows the clip (paper, section 3.3).
    Future,
    /// The clip's own last frames (the paper's table 3 compares with it).
    Current,
}

/// Section `[train.objective]`: what is minimised. Other values than the defaults are for experiments.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ObjectiveConfig {
    /// Weight of the motion loss, 0 to 1; the context loss has the rest. Left out: what suits the preset.
    pub motion_share: Option<f64>,
    /// Which motion is predicted.
    pub motion_target: MotionTarget,
    /// Mirrored clips have mirrored motion.
    pub turn_flipped_motion: bool,
    /// Enlarged crops have larger motion.
    pub scale_cropped_motion: bool,
    /// Cells without motion vectors are unknown, not still.
    pub mask_unknown_motion: bool,
}

impl Default for ObjectiveConfig {
    fn default() -> Self {
        Self {
            motion_share: None,
            motion_target: MotionTarget::Future,
            turn_flipped_motion: true,
            scale_cropped_motion: true,
            mask_unknown_motion: true,
        }
    }
}

impl ObjectiveConfig {
    /// The samples that the target asks for.
    pub fn sample_spec(&self, preset: SampleSpec) -> SampleSpec {
        match self.motion_target {
            MotionTarget::Future => preset,
            MotionTarget::Current => SampleSpec {
                target_offset: 1 - i32::try_from(preset.target_frames).unwrap_or(i32::MAX),
                ..preset
            },
        }
    }

    pub(super) fn check(&self) -> Result<(), TrainError> {
        match self.motion_share {
            Some(share) if !(0.0..=1.0).contains(&share) => Err(TrainError::Config {
                key: "objective.motion_share",
                value: share.to_string(),
                right: "a number from 0 to 1 is right",
            }),
            _ => Ok(()),
        }
    }
}
