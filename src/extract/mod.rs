//! Video files → one `.npz` each, with the motion of every frame: for people who want motion for work of their own.
//!
//! Takes files, gives `DIR/NAME.npz` in one of two [`Layout`]s. Videos are worked on by as many threads as are asked for, each
//! on one video; GStreamer's threads demux. Memory does not grow with a video's length but for some 60 bytes a frame: the
//! first pass counts frames and their order, the second writes them, compressed, as they come, array by array into files of
//! their own, which are joined in the end; frames that wait for their turn in display order are all that is held. A video that
//! fails is told with its error, the others go on, and no half-written `.npz` stays.

mod arrays;
mod error;
mod npz;
mod plan;
mod rows;
mod run;
mod video;

pub use error::ExtractError;
pub use run::{Existing, ExtractOptions, ExtractReport, Layout, VideoReport, extract};
