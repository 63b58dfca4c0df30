//! [`DecodeJob`] → the pictures that a sample needs, and no others.
//!
//! Takes jobs from a bounded queue on a few OS threads, each with one decoder; gives the wanted pictures, scaled, or an
//! error that names the stream and the pictures. Overloaded, the queue is full: a file source waits, a live one sheds.
//! A decoder that fails or hangs costs its job and is replaced.

mod error;
mod job;
mod rgb;
mod whole_file;

pub use error::DecodeError;
pub use job::{DecodeJob, FeedUnit, RgbPicture};
pub use whole_file::{VideoFrame, VideoReader};
