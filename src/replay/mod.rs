//! [`Sample`]s in, batches of them out; bounded in bytes.
//!
//! Takes samples from the decode threads, gives batches to the trainer's thread. Runs on its callers' threads. Overloaded
//! (training behind): files wait in [`Replay::insert_blocking`], live streams are refused by [`Replay::try_insert`]. Starved
//! (sources behind): [`Replay::sample_batch`] waits. What stays and what is drawn is decided by [`Eviction`] and
//! [`Sampling`]; how fast, by [`RateLimiter`].

mod arrivals;
mod browse;
mod config;
mod fifo;
mod limiter;
mod policy;
mod sample;
mod snapshot;
mod store;
mod table;
#[cfg(test)]
mod tests;
mod uniform;

pub use arrivals::{StreamCursor, Ticket};
pub use config::{ReplayConfig, ReplayConfigError};
pub use fifo::Fifo;
pub use limiter::RateLimiter;
pub use policy::{Entry, Eviction, Sampling, Victim};
pub use sample::{MASKED, MOTION_UNITS_PER_PIXEL, Sample, SampleId, TimeRange};
pub use snapshot::{LimiterState, ReplaySnapshot};
pub use store::{InsertRefused, NoBatch, PolicyState, Replay, ReplayContent, ReplayState};
pub use uniform::Uniform;
