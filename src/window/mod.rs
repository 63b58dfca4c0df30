//! [`AccessUnit`](crate::ingest::AccessUnit)s and their motion → [`DecodeJob`](crate::decode::DecodeJob)s: which pictures
//! are worth a sample.

mod spec;

pub use spec::{FrameSize, SampleSpec};
