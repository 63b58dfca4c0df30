//! [`DecodeJob`] → the pictures that a sample needs, and no others.
//!
//! Takes jobs from a bounded queue on a few OS threads, each with one decoder; gives the wanted pictures, scaled, or an
//! error that names the stream and the pictures. Overloaded, the queue is full: a file source waits, a live one sheds.
//! A decoder that fails or hangs costs its job and is replaced.

mod config;
mod decoder;
mod error;
mod job;
mod pool;
mod rgb;
mod still;
mod whole_file;

pub use config::{DecodeConfig, DecoderKind};
pub use error::DecodeError;
pub use job::{DecodeJob, FeedUnit, RgbPicture};
pub use pool::{DecodePool, DecodeQueue, DecodeReply, DecodeSnapshot, JOB_SECONDS, QueueFull};
pub use still::decode_still;
pub use whole_file::{VideoFrame, VideoReader};
