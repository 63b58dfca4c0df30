//! A seed → a data set of H.264 videos with two known labels each: the context (what kind of surroundings) and the motion
//! (what kind of movement).
//!
//! Rendering is pure: scene and frame number in, pixels out. Each worker thread renders one video at a time and feeds an
//! encoder of its own; memory holds a few videos' pictures at most. Any failure ends the whole: half a benchmark is none.
//!
//! Nothing but the labels differs between classes. Every scene has its colours, layout, clutter, objects, light and noise
//! drawn alike; the mean and the spread of its colours are drawn first and imposed on whatever texture comes out; encoder
//! settings are drawn for each video; and contexts and motions are combined in equal numbers.

mod encode;
mod error;
mod labels;
mod movement;
mod mp4_times;
mod noise;
mod plan;
mod render;
mod run;
mod scene;
mod texture;

pub use error::SynthError;
pub use labels::{LABELS_FILE, SETTINGS_FILE};
pub use movement::Motion;
pub(crate) use mp4_times::clear_times as clear_mp4_times;
pub use plan::SynthPart;
pub use run::{SynthOptions, SynthSummary, synthesise};
pub use texture::Context;
