//! Batches of [`Sample`](crate::replay::Sample)s → a network that learns, reports of how, and snapshots.
//!
//! One OS thread ([`spawn`]) owns every tensor and the device. It takes batches from a [`BatchSource`], and between steps
//! obeys [`Command`]s. Starved, it waits and says for how long; it is never overloaded, because it asks for batches. A step
//! that is not finite is skipped and counted, and many in a row lead back to a snapshot; a snapshot that cannot be written is
//! reported and tried again at the next occasion; anything else that fails, a panic inside libtorch included, ends the thread
//! with a [`TrainError`], after what was learned up to the last whole step was written.
//!
//! All randomness comes from one seeded generator that is part of each snapshot: the same seed and the same batches give the
//! same parameters, bit for bit on a CPU, whether or not the run was interrupted.

mod appearance;
mod augment;
mod batch;
mod config;
mod cuda_library;
mod device;
mod error;
mod geometry;
mod handle;
mod interval;
mod learner;
mod objective;
mod optimizer;
mod outcome;
mod phases;
mod rate;
mod report;
mod resample;
mod run;
mod schedule;
mod snapshots;
mod source;
mod state;
mod tally;
mod weights;

#[cfg(test)]
mod moving_patterns;
#[cfg(test)]
mod tests;

pub use appearance::Appearance;
pub use augment::{SampleDraw, ViewDraw, augment, augment_with};
pub(crate) use augment::{motion_views, view};
pub use batch::Batch;
pub use config::{PrecisionChoice, TrainConfig};
pub use device::{DeviceChoice, open_device};
pub use error::TrainError;
pub use geometry::Crop;
pub use handle::{Command, EndReason, TrainEvent, TrainHandle, TrainSummary, TrainerParts, spawn};
pub use learner::Learner;
pub use objective::{MotionTarget, ObjectiveConfig};
pub use optimizer::{Optimizer, OptimizerKind};
pub use outcome::{FEATURE_WIDTH, SampleOutcome};
pub use phases::{PhaseClock, PhaseSeconds};
pub use rate::{RateChange, RateSet};
pub use report::StepReport;
pub use schedule::Schedule;
pub use source::{BatchSource, NoData};
pub use state::TrainState;
pub use weights::{VideoWeights, WeightTaker};
