//! A video file → what the codec sees in it: frame types, groups of pictures, references, motion, speed; and pictures of
//! frames with their motion drawn as arrows.
//!
//! Runs on the calling thread; GStreamer's threads demux, and decode pixels for the overlay only. The file is read two or
//! three times instead of being kept in memory. Errors in the stream are listed with their access unit, not hidden.

mod direction_colour;
mod displacement;
mod entropy;
mod error;
mod gops;
mod legend;
pub(crate) mod order;
mod overlay;
mod overlay_writer;
mod report;
mod run;
mod speed;
mod statistics;
mod still_overlay;
pub(crate) mod survey;
pub(crate) mod walk;

pub use direction_colour::direction_rgb;
pub use error::InspectError;
pub use gops::GopFacts;
pub use overlay_writer::OverlayOptions;
pub use report::{
    BitFacts, ErrorFacts, INSPECT_SCHEMA, InspectReport, OverlayFacts, PictureFacts, ReferenceFacts,
    SpeedFacts, StreamError, StreamFacts,
};
pub use run::{InspectOptions, inspect};
pub use statistics::{DirectionFacts, MagnitudeFacts, MotionFacts};
pub use still_overlay::{StillMotion, draw_still, rgb_pixmap};
