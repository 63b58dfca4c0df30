use bytesize::ByteSize;
use serde::{Deserialize, Serialize};

use super::SampleSpec;
use crate::ingest::exact_size;

/// Section `[window]`: which windows of a stream become samples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WindowConfig {
    /// Frames from the start of one window to the start of the next at least. Left out: the frames that a clip spans, so
    /// that clips of one stream do not overlap.
    pub cadence_frames: Option<u32>,
    /// The same where nothing moves, so that a still camera is neither starved nor learned by heart. Left out: eight times
    /// the cadence.
    pub still_cadence_frames: Option<u32>,
    /// A window counts as moving when this share of its target's cells moves by an eighth of a pixel a frame or more.
    pub min_moving_share: f32,
    /// Pictures that a stream's chooser holds at most. A GOP must fit, two should.
    pub buffer_pictures: usize,
    /// Bytes of access units and motion maps that a stream's chooser holds at most.
    #[serde(serialize_with = "exact_size")]
    pub buffer_bytes: ByteSize,
}

impl Default for WindowConfig {
    fn default() -> Self {
        Self {
            cadence_frames: None,
            still_cadence_frames: None,
            min_moving_share: 0.02,
            buffer_pictures: 600,
            buffer_bytes: ByteSize::mib(32),
        }
    }
}

/// What is wrong with a [`WindowConfig`] or does not fit the [`SampleSpec`].
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum WindowConfigError {
    /// A count that must not be 0.
    #[error("window.{key} = 0: it must be at least 1")]
    Zero {
        /// The key below `[window]`.
        key: &'static str,
    },
    /// Not a share.
    #[error("window.min_moving_share = {value}: it must be from 0 to 1")]
    NotAShare {
        /// What it says.
        value: f32,
    },
    /// A still window may not come sooner than a moving one.
    #[error("window.still_cadence_frames = {still}: it must be at least the cadence, {cadence}")]
    StillCadenceTooShort {
        /// What it says.
        still: u32,
        /// The cadence in force.
        cadence: u32,
    },
    /// No window would ever fit.
    #[error(
        "window.buffer_pictures = {pictures}: a sample of this preset takes {needed} frames, and as many for reordering"
    )]
    BufferTooSmall {
        /// What it says.
        pictures: usize,
        /// Frames that a sample takes, plus the reordering delay.
        needed: usize,
    },
    /// The sample's shape has nothing in it.
    #[error("the sample's {field} is 0: it must be at least 1")]
    EmptySpec {
        /// The field of the spec.
        field: &'static str,
    },
}

impl WindowConfig {
    /// Checks the section together with the shape of the samples.
    pub fn check(&self, spec: &SampleSpec) -> Result<(), WindowConfigError> {
        let spec_counts = [
            ("clip_frames", spec.clip_frames),
            ("clip_stride", spec.clip_stride),
            ("target_frames", spec.target_frames),
            ("frame_size.width", spec.frame_size.width),
            ("frame_size.height", spec.frame_size.height),
            ("motion_size.width", spec.motion_size.width),
            ("motion_size.height", spec.motion_size.height),
        ];
        if let Some((field, _)) = spec_counts.into_iter().find(|(_, count)| *count == 0) {
            return Err(WindowConfigError::EmptySpec { field });
        }
        if self.cadence(spec) == 0 {
            return Err(WindowConfigError::Zero {
                key: "cadence_frames",
            });
        }
        if self.still_cadence(spec) < self.cadence(spec) {
            return Err(WindowConfigError::StillCadenceTooShort {
                still: self.still_cadence(spec),
                cadence: self.cadence(spec),
            });
        }
        if !(0.0..=1.0).contains(&self.min_moving_share) {
            return Err(WindowConfigError::NotAShare {
                value: self.min_moving_share,
            });
        }
        if self.buffer_bytes.as_u64() == 0 {
            return Err(WindowConfigError::Zero { key: "buffer_bytes" });
        }
        let needed = spec.needed_frames() as usize + super::display_order::REORDER_FRAMES_MAX;
        if self.buffer_pictures < needed {
            return Err(WindowConfigError::BufferTooSmall {
                pictures: self.buffer_pictures,
                needed,
            });
        }
        Ok(())
    }

    /// The cadence in force, in frames.
    pub fn cadence(&self, spec: &SampleSpec) -> u32 {
        self.cadence_frames.unwrap_or(spec.clip_span_frames())
    }

    /// The cadence in force where nothing moves, in frames.
    pub fn still_cadence(&self, spec: &SampleSpec) -> u32 {
        self.still_cadence_frames
            .unwrap_or(self.cadence(spec).saturating_mul(8))
    }
}
