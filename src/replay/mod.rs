//! [`Sample`]s in, batches of them out; bounded in bytes.
//!
//! Takes samples from the decode threads, gives batches to the trainer's thread. Runs on its callers' threads. Overloaded
//! (training behind): files wait for a [`Place`] in [`Replay::wait_for_turn`], live streams are refused one by [`Replay::promise`], and
//! streams that had fewer samples in than others go first. Starved (sources behind): [`Replay::sample_batch`] waits. What stays and what is drawn is decided by [`Eviction`] and
//! [`Sampling`]; how fast, by [`RateLimiter`]. Streams that can be read again bring a [`Ticket`] with each sample
//! ([`Replay::arrive`]), so that a checkpoint knows how far they came; in a fixed order ([`Replay::fix_order`]) their samples are
//! taken on the thread that draws. Room on disk beside memory ([`SpillFolder`]) is for the oldest in memory: they are written by
//! [`Replay::keep_spilling`] and read by whoever draws them; what the disk does not take or give back is let go and counted.

mod arrivals;
mod browse;
mod config;
mod dense;
mod features;
mod fifo;
mod limiter;
mod policy;
mod record;
mod redundancy;
mod reservoir;
mod sample;
mod shares;
mod snapshot;
mod spill;
mod store;
mod stored;
mod stream_fair;
mod table;
#[cfg(test)]
mod tests;
mod two_tier;
mod uniform;

pub use arrivals::{StreamCursor, Ticket};
pub use config::{EvictionKind, ReplayConfig, ReplayConfigError, SamplingKind};
pub use fifo::Fifo;
pub use limiter::RateLimiter;
pub use policy::{Entry, Eviction, Sampling, Victim};
pub(crate) use record::{SampleLayout, record_of, sample_of};
pub use redundancy::MinimumRedundancy;
pub use reservoir::Reservoir;
pub use sample::{MASKED, MOTION_UNITS_PER_PIXEL, Sample, SampleHead, SampleId, TimeRange};
pub use snapshot::{LimiterState, ReplaySnapshot};
pub(crate) use spill::SpillReader;
pub use spill::{
    LossReason, READ_SECONDS, SlotPlace, SpillConfig, SpillError, SpillFolder, SpillSnapshot, SpilledSample,
};
pub use store::{
    InsertRefused, NoBatch, Place, PolicyState, Replay, ReplayContent, ReplayState, StoredSamples, Turn,
};
pub use stored::StoredSample;
pub use stream_fair::StreamFair;
pub use two_tier::TwoTier;
pub use uniform::Uniform;
