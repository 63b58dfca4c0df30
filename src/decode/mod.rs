//! [`DecodeJob`] → the pictures that a sample needs, and no others.

mod job;

pub use job::{DecodeJob, FeedUnit, RgbPicture};
