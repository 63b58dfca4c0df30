//! [`Sample`]s in, batches of them out; bounded in bytes.

mod sample;

pub use sample::{MASKED, MOTION_UNITS_PER_PIXEL, Sample, SampleId, TimeRange};
