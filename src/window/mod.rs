//! [`AccessUnit`](crate::ingest::AccessUnit)s and their motion → [`DecodeJob`](crate::decode::DecodeJob)s: which pictures
//! are worth a sample.
//!
//! [`Chooser`] is pure; it runs on the stream's scout thread. It holds the last GOPs, puts their pictures into display
//! order, and chooses windows by cadence, motion and demand. Overloaded, a file waits and a live stream's
//! windows are shed ([`Demand`]). A hole in the stream ends everything that it holds: the next window begins at the next
//! key frame.

mod allowance;
mod assembler;
mod chooser;
mod config;
mod display_order;
mod facts;
mod feed;
mod glimpse;
mod motion_map;
mod outcome;
mod picture;
mod plan;
mod planner;
mod resume;
mod run;
mod scout;
mod scout_state;
mod select;
mod spec;
#[cfg(test)]
mod tests;

pub use allowance::WindowAllowance;
pub use assembler::{AssembleError, Assembler, Pace, PlanFailed, assemble};
pub use chooser::{Chooser, Demand};
pub use config::{WindowConfig, WindowConfigError};
pub use facts::{FactsReader, Read, ReadError, UnitContent};
pub use glimpse::Glimpse;
pub use motion_map::{BlockMotion, CropRect, MotionGrid, MotionMap};
pub use outcome::{ChooserStats, Notice, Outcome};
pub use picture::{CodedType, PictureFacts};
pub use plan::{Choice, SamplePlan, WindowPlace};
pub use resume::ResumePoint;
pub use run::Ending;
pub use scout::{ScoutEnd, ScoutError, ScoutHandle, ScoutParts, spawn_scout};
pub use scout_state::{ScoutSnapshot, ScoutWatch};
pub use spec::{FrameSize, SampleSpec};
